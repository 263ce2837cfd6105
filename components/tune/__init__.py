"""Tune: a search space in, the best hyperparameters out."""
