"""The schema of options: one base, the sections of a run, and what is generated from them."""
