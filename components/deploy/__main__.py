"""`python -m seqline.components.deploy`: the stage on its own."""

import logging
import sys

from seqline.components.deploy.stage import deploy
from seqline.schema.stage_command import run

logging.basicConfig(level=logging.INFO, format="%(message)s")
sys.exit(run(deploy))
