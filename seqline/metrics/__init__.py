"""Metrics of generated text, and the significance of their differences."""
