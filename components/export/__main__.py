"""`python -m components.export`: the stage on its own."""

import logging
import sys

from components.entry import run
from components.export.stage import export

logging.basicConfig(level=logging.INFO, format="%(message)s")
sys.exit(run(export))
