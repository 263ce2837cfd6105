"""Export: a checkpoint in, a SavedModel out that takes text and gives text."""
