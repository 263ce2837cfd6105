"""Runs the stage alone: `python -m seqline.components.monitor --help`."""

import sys

from seqline.components.monitor.stage import monitor
from seqline.schema.stage_command import run

sys.exit(run(monitor))
