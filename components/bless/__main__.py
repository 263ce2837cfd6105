"""Runs the stage alone: `python -m components.bless --help`."""

import sys

from components.bless.stage import bless
from components.entry import run

sys.exit(run(bless))
