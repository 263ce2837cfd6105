"""Infer: a large file of texts in, a prediction for every line out."""
