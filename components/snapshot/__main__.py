"""Runs the stage alone: `python -m seqline.components.snapshot --help`."""

import sys

from seqline.components.snapshot.stage import snapshot
from seqline.schema.stage_command import run

sys.exit(run(snapshot))
