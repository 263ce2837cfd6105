"""Makes the preset `demo` small: in a server that stages are forked from, which imports this, and in their trials."""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[3]))

from seqline.components.tune import trial
from seqline.modeling.config import PRESETS
from tests.components.train.small import SMALL

PRESETS["demo"] = SMALL
trial.PROGRAM = (__file__,)

if __name__ == "__main__":
    runpy.run_module("seqline.components.train", run_name="__main__", alter_sys=True)
