"""`python -m seqline.components.train`: the stage on its own."""

import sys

from seqline.components.train.stage import train
from seqline.schema.stage_command import run

sys.exit(run(train))
