"""Layouts of the artifacts in which stages meet."""
