"""Building the container images and listing their content."""
