"""`seqline.yaml`: what runs where, with which parameters, and when.

One pydantic model a file; `reading` makes a `Configuration` from files and `--set`.
"""

from seqline.configuration.loaded import Loaded
from seqline.configuration.model import Configuration
from seqline.configuration.reading import load

__all__ = ["Configuration", "Loaded", "load"]
