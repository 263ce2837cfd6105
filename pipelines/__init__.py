"""The pipelines, their configuration, the command line and the targets."""
