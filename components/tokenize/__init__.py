"""Tokenize: raw text pairs in, a corpus of piece ids out, through one Beam pipeline."""
