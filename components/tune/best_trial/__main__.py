"""`python -m seqline.components.tune.best_trial`: the stage on its own."""

import sys

from seqline.components.tune.best_trial.stage import best_trial
from seqline.schema.stage_command import run

sys.exit(run(best_trial))
