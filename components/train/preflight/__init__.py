"""Preflight: whether training compiles for a TPU and fits it, and how long it takes, before a TPU is rented."""
