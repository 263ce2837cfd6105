"""Runs the stage alone: `python -m components.snapshot --help`."""

import sys

from components.entry import run
from components.snapshot.stage import snapshot

sys.exit(run(snapshot))
