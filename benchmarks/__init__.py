"""Side-by-side measurements: each `python -m benchmarks.<name>` runs Seqline and its peers on the same work."""

import os

# Some machines forbid bytecode; every process, a peer's too, would compile its libraries anew and measure that.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
