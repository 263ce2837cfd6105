"""The projections that can have a low-rank adapter; without TensorFlow, for the options."""

from typing import Literal

Target = Literal["queries", "keys", "values", "output", "expand", "contract"]
