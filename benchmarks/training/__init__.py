"""The trainers that `benchmarks.train` compares, each run by its own Python."""
