"""`seqline.yaml`: what runs where, with which parameters, and when.

One pydantic model a file here; `reading` makes a `Configuration` of one file or several, with `--set` on top.
"""

from seqline.configuration.model import Configuration
from seqline.configuration.reading import Loaded, load

__all__ = ["Configuration", "Loaded", "load"]
