"""`python -m seqline.components.champion`: the stage on its own."""

import logging
import sys

from seqline.components.champion.stage import champion
from seqline.schema.stage_command import run

logging.basicConfig(level=logging.INFO, format="%(message)s")
sys.exit(run(champion))
