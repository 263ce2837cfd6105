"""Plan trials: a search space in, what Vertex AI's hyperparameter tuning runs out."""
