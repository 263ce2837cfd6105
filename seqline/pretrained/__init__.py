"""Checkpoints in Hugging Face's format: where they are, their configuration and their weights."""
