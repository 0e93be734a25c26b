"""The figures of a report: the numbers behind each are a table, the drawing is separate."""
