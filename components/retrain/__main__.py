"""Runs the stage alone: `python -m seqline.components.retrain --help`."""

import sys

from seqline.components.retrain.stage import retrain
from seqline.schema.stage_command import run

sys.exit(run(retrain))
