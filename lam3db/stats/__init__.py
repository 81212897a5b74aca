"""Statistics: numbers with their uncertainty; no database here."""
