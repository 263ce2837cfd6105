"""Runs the stage alone: `python -m seqline.components.bless --help`."""

import sys

from seqline.components.bless.stage import bless
from seqline.schema.stage_command import run

sys.exit(run(bless))
