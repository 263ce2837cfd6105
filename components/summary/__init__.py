"""Summary: what a run did and came to, written whether it succeeded or failed."""
