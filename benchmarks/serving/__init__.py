"""Load generators, peers and endurance tests of the model server; each runs as its own process."""
