"""Runs the stage alone: `python -m seqline.components.adopt --help`."""

import sys

from seqline.components.adopt.stage import adopt
from seqline.schema.stage_command import run

sys.exit(run(adopt))
