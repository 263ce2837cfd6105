"""`python -m seqline.components.infer`: runs the stage alone."""

import sys

from seqline.components.infer.stage import infer
from seqline.schema.stage_command import run

sys.exit(run(infer))
