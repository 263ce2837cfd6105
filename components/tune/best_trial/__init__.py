"""Best trial: a hyperparameter tuning job of Vertex AI in, the best hyperparameters out."""
