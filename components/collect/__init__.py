"""Collect: the sampled requests of a window, and what they are compared with."""
