"""Evaluate: runs the exported model's signature on the test set and scores it as the reference libraries do."""
