"""The pipeline: the only code that joins the store with the parts."""

SAME_FAILURES = 5
"""As many failures of one cause end a run in which nothing has succeeded, unless told otherwise."""
