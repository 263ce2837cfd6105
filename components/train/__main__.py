"""`python -m seqline.components.train`: the stage on its own."""

import logging
import sys

from seqline.components.train.stage import train
from seqline.schema.stage_command import run

logging.basicConfig(level=logging.INFO, format="%(message)s")
sys.exit(run(train))
