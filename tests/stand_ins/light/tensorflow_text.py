"""Registers no ops."""
