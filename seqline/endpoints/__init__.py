"""Endpoints that serve versions of a model: a folder on this machine, or Vertex AI."""
