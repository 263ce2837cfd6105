"""Runs the stage alone: `python -m components.tokenize --help`."""

import sys

from components.entry import run
from components.tokenize.stage import tokenize

sys.exit(run(tokenize))
