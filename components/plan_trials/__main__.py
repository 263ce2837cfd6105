"""`python -m components.plan_trials`: the stage on its own."""

import sys

from components.entry import run
from components.plan_trials.stage import plan_trials

sys.exit(run(plan_trials))
