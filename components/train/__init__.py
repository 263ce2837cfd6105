"""Train: a corpus in, a checkpoint out."""
