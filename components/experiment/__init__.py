"""Experiment: enters a run on Vertex AI into an Experiment."""
