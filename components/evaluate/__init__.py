"""Evaluate: the exported model's own signature on the test text, scored by the reference libraries."""
