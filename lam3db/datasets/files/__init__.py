"""Files with rows in them: how they are read, and what is said about them."""
