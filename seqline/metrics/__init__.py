"""Quality metrics of texts, and the significance of their differences."""
