"""Corpora, measurement and peers of `benchmarks.tokenize`."""
