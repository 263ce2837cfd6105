"""Decoding inside a TensorFlow graph: beam search, streaming and scoring."""
