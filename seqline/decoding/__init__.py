"""Decoding in a TensorFlow graph: beam search, sampling, streaming and scoring."""
