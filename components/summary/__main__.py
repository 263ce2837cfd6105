"""Runs the stage alone: `python -m components.summary --help`."""

import sys

from components.entry import run
from components.summary.stage import summarize

sys.exit(run(summarize))
