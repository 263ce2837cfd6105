"""The work and the peers of `python -m benchmarks.tokenize`."""
