"""Retrain: starts a run of the training pipeline because an alarm asks for it."""
