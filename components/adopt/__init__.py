"""Adopt: takes a SavedModel that Seqline did not train into a release."""
