"""The built-in sample corpus."""
