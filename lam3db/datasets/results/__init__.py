"""Results that others stored: their files, read into one shape."""
