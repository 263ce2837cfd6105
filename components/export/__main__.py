"""`python -m seqline.components.export`: runs the stage alone."""

import logging
import sys

from seqline.components.export.stage import export
from seqline.schema.stage_command import run

logging.basicConfig(level=logging.INFO, format="%(message)s")
sys.exit(run(export))
