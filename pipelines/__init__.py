"""The pipelines, one DAG a file."""
