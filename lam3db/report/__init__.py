"""Reports: numbers to tables, Markdown, CSV and JSON."""
