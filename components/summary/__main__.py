"""Runs the stage alone: `python -m seqline.components.summary --help`."""

import sys

from seqline.components.summary.stage import summarize
from seqline.schema.stage_command import run

sys.exit(run(summarize))
