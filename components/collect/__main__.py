"""Runs the stage alone: `python -m seqline.components.collect --help`."""

import sys

from seqline.components.collect.stage import collect
from seqline.schema.stage_command import run

sys.exit(run(collect))
