"""Benchmarks: each `python -m benchmarks.<name>` runs Seqline and its peers on the same work."""

import os

# Without bytecode files every process, also a peer's, would compile its libraries again, and that would be measured.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
