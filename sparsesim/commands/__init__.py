"""The verbs of the command line. Each imports what it needs only when it runs."""
