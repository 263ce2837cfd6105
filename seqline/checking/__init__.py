"""Checks that run before anything is sent."""
