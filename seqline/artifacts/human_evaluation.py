"""Layout of a human evaluation: `seqline rate import` writes it, *bless* reads it.

human.json   the two models, the raters, and the metrics
"""

from dataclasses import dataclass
from typing import ClassVar

from seqline.artifacts.evaluation import MetricValue
from seqline.artifacts.record import Record, Schema
from seqline.errors import UserError

PREFERENCE, AGREEMENT = HUMAN_METRICS = ("human_preference", "human_agreement")


@dataclass(frozen=True)
class HumanEvaluation(Record):
    """Raters' comparison of two models.

    Attributes:
        challenger: Fingerprint of the challenger.
        champion: Fingerprint of the champion.
        corpus: Fingerprint of the corpus that the test set belongs to.
        raters: Their names.
        sentences: Sentences that at least one of them compared.
        won: Comparisons that the challenger won.
        equal: Comparisons that neither won.
        lost: Comparisons that the champion won.
        metrics: `human_preference` with its interval; `human_agreement` where two raters compared the same sentences.
    """

    SCHEMA: ClassVar[Schema] = Schema(version=1, remedy="write it with `seqline rate import`")

    challenger: str
    champion: str
    corpus: str
    raters: list[str]
    sentences: int
    won: int
    equal: int
    lost: int
    metrics: dict[str, MetricValue]


def read_human_evaluation(address: str) -> HumanEvaluation:
    """Reads a human evaluation.

    Args:
        address: The file, local or in a bucket.

    Raises:
        UserError: If it is missing or cannot be read.
    """
    from seqline.inputs.storage import fsspec

    origin, remedy = f"human_evaluation: {address}", HumanEvaluation.SCHEMA.remedy
    try:
        with fsspec.open(address, encoding="utf-8", mode="r") as file:
            text = file.read()
    except FileNotFoundError:
        raise UserError(f"{origin} is missing; {remedy}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{origin} cannot be read ({error}); {remedy}") from error
    return HumanEvaluation.from_json(text, origin)
