"""Runs the stage alone: `python -m seqline.components.evaluate --help`."""

import sys

from seqline.components.evaluate.stage import evaluate
from seqline.schema.stage_command import run

sys.exit(run(evaluate))
