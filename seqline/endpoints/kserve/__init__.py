"""Endpoints on KServe: an InferenceService, and a ConfigMap with its versions. See docs/kserve.md."""
