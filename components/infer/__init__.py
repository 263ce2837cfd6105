"""Infer: batch inference, a prediction for every line of large files."""
