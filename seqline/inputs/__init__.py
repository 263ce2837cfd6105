"""Input files: finding, listing and fingerprinting them."""
