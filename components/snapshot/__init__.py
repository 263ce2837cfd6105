"""The first stage: checks the run's parameters and fingerprints the input data."""
