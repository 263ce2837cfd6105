"""`python -m seqline.components.train.preflight`: the stage on its own."""

import sys

from seqline.components.train.preflight.stage import preflight
from seqline.schema.stage_command import run

sys.exit(run(preflight))
