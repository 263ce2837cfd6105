"""The places where a compiled pipeline runs."""
