"""Calls to Google's Vertex API: clients, retries, transient errors."""
