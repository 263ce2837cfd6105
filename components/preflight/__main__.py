"""`python -m components.preflight`: the stage on its own."""

import sys

from components.entry import run
from components.preflight.stage import preflight

sys.exit(run(preflight))
