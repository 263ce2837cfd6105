"""Sampled requests: what is computed of a text and its answer, and the logs that they are read from."""
