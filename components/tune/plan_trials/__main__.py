"""`python -m seqline.components.tune.plan_trials`: the stage on its own."""

import sys

from seqline.components.tune.plan_trials.stage import plan_trials
from seqline.schema.stage_command import run

sys.exit(run(plan_trials))
