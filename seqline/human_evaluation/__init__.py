"""Blind human comparison of challenger and champion; preference and agreement become metrics for the gate."""
