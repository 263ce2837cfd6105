"""The model server, the same process on a laptop and in the serving image."""
