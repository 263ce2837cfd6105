"""Side-by-side measurements: each `python -m benchmarks.<name>` runs Seqline and its peers on the same work."""
