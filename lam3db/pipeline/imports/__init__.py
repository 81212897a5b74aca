"""How results of others are taken in: which rows are one attempt, what is new."""
