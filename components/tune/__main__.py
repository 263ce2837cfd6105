"""`python -m seqline.components.tune`: the stage on its own."""

import sys

from seqline.components.tune.stage import tune
from seqline.schema.stage_command import run

sys.exit(run(tune))
