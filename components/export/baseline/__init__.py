"""Baseline: the checkpoint that training started from, untouched, as a SavedModel."""
