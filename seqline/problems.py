"""What `seqline check` reports."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """Something that is wrong.

    Attributes:
        message: What is wrong and what to do, one sentence or two.
        where: File and line, or the name of a service; empty where neither is known.
        field: The dotted name in the configuration, such as targets.vertex.project; empty where it is about none.
        warning: Whether it works all the same, for now.
    """

    message: str
    where: str = ""
    field: str = ""
    warning: bool = False

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.field, self.message) if part)
