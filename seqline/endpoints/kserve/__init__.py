"""Endpoints on KServe: an InferenceService, and the record of its versions in a ConfigMap. docs/kserve.md has an overview."""
