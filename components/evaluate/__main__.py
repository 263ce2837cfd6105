"""Runs the stage alone: `python -m components.evaluate --help`."""

import sys

from components.entry import run
from components.evaluate.stage import evaluate

sys.exit(run(evaluate))
