"""The models, which training, export and preflight share."""
