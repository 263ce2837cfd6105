"""Makes the preset `demo` small in the process that imports this: a server that stages are forked from."""

from seqline.modeling.config import PRESETS
from tests.components.train.small import SMALL

PRESETS["demo"] = SMALL
