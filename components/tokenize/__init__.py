"""The tokenize stage: raw text pairs to a corpus of token ids."""
