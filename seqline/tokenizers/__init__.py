"""Tokenizers: on the host with the libraries that they were made for, and in the exported graph with TensorFlow."""
