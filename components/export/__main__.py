"""`python -m seqline.components.export`: the stage on its own."""

import logging
import sys

from seqline.components.export.stage import export
from seqline.schema.stage_command import run

logging.basicConfig(level=logging.INFO, format="%(message)s")
sys.exit(run(export))
