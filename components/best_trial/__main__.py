"""`python -m components.best_trial`: the stage on its own."""

import sys

from components.best_trial.stage import best_trial
from components.entry import run

sys.exit(run(best_trial))
