"""Options of the bless stage."""

from pydantic import Field

from seqline.components.bless.rules import Rule
from seqline.schema.options import BaseOptions


class Options(BaseOptions):
    """The gate."""

    gate: list[Rule] = Field(
        [],
        description='Rules that the challenger must meet, such as {"metric": "bleu", "minimum": 20}; empty for the two '
        "default rules. See docs/gate.md.",
    )
