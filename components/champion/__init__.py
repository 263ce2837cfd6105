"""Champion: looks up the version that the challenger must beat."""
