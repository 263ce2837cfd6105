"""Runs the stage alone: `python -m seqline.components.tokenize --help`."""

import sys

from seqline.components.tokenize.stage import tokenize
from seqline.schema.stage_command import run

sys.exit(run(tokenize))
