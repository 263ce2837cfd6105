"""`python -m components.champion`: the stage on its own."""

import logging
import sys

from components.champion.stage import champion
from components.entry import run

logging.basicConfig(level=logging.INFO, format="%(message)s")
sys.exit(run(champion))
