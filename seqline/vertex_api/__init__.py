"""Google's Vertex API: clients and retries."""
