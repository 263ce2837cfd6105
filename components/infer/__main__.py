"""`python -m components.infer`: the stage on its own."""

import sys

from components.entry import run
from components.infer.stage import infer

sys.exit(run(infer))
