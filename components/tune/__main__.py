"""`python -m components.tune`: the stage on its own."""

import sys

from components.entry import run
from components.tune.stage import tune

sys.exit(run(tune))
