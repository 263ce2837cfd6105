"""Summary: the outcome of a run, written whether it succeeded or failed."""
