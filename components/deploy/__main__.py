"""`python -m components.deploy`: the stage on its own."""

import logging
import sys

from components.deploy.stage import deploy
from components.entry import run

logging.basicConfig(level=logging.INFO, format="%(message)s")
sys.exit(run(deploy))
