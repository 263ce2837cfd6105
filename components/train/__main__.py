"""`python -m components.train`: the stage on its own."""

import logging
import sys

from components.entry import run
from components.train.stage import train

logging.basicConfig(level=logging.INFO, format="%(message)s")
sys.exit(run(train))
