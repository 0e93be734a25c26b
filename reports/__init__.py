"""From result folders to tables, figures and one page that explains itself."""
