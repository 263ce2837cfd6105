"""The trainers that `benchmarks.train` compares; each runs in its own environment."""
