"""Layout of a human evaluation: what `seqline rate import` writes, and *bless* reads.

human.json   who was compared, by how many raters on how many sentences, and the figures

Standard library and fsspec only: the gate reads it without what computes it.
"""

import json
from dataclasses import asdict, dataclass

from seqline.artifacts.evaluation import Figure, figures
from seqline.errors import UserError

SCHEMA_VERSION = 1
PREFERENCE, AGREEMENT = HUMAN = ("human_preference", "human_agreement")


@dataclass(frozen=True)
class HumanEvaluation:
    """What raters said of two models.

    Attributes:
        challenger: Fingerprint of the challenger.
        champion: Fingerprint of the champion.
        corpus: Fingerprint of the corpus whose test text both answered.
        raters: Their names.
        sentences: Sentences that at least one of them compared.
        won: Comparisons that the challenger won.
        equal: Comparisons that neither won.
        lost: Comparisons that the champion won.
        metrics: `human_preference` with its interval; `human_agreement` where two raters compared the same sentences.
    """

    challenger: str
    champion: str
    corpus: str
    raters: list[str]
    sentences: int
    won: int
    equal: int
    lost: int
    metrics: dict[str, Figure]

    def to_json(self) -> str:
        """The text of human.json."""
        content = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_human_evaluation(address: str) -> HumanEvaluation:
    """Reads a human evaluation.

    Args:
        address: The file, local or gs://.

    Raises:
        UserError: If it is not there, is none, or has another schema version.
    """
    import fsspec

    try:
        with fsspec.open(address, encoding="utf-8", mode="r") as file:
            content = json.load(file)
        version = content.pop("schema_version")
        if version != SCHEMA_VERSION:
            raise UserError(
                f"human: {address} has schema version {version}, this Seqline reads {SCHEMA_VERSION}: import the "
                "ratings again"
            )
        return HumanEvaluation(**{**content, "metrics": figures(content["metrics"])})
    except FileNotFoundError:
        raise UserError(f"human: {address} is not there; `seqline rate import` writes it") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"human: {address} is no human evaluation ({error!r}); `seqline rate import` writes one"
        ) from error
