"""Corpora of any size, and one training of them in a process of its own."""
