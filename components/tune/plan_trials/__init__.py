"""Plan trials: a search space in, the specification of a hyperparameter tuning job of Vertex AI out."""
