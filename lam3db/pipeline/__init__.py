"""The pipeline: the only code that joins the store with the parts."""
