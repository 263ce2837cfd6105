"""Champion: which version the challenger must beat."""
