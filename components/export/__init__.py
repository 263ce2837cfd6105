"""Export: a checkpoint in, a text-to-text SavedModel out."""
