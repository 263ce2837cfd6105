"""Options of the evaluate stage."""

from pydantic import Field, field_validator

from seqline.schema.options import refusing
from seqline.schema.run import TaskOption


class Options(TaskOption):
    """How a model is evaluated."""

    batch_size: int = Field(64, ge=1, description="Sentences decoded at a time.")
    terms: dict[str, list[str]] = Field(
        {},
        description='Lists of terms by name, such as {"feminine": ["she", "her"]}; the test sentences with a term of a '
        "list are a slice.",
    )
    min_slice_size: int = Field(
        20, ge=1, description="Smaller slices are reported but excluded from gap metrics and gate rules."
    )

    @field_validator("terms")
    @classmethod
    def _check_terms(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        from seqline.metrics.slices import check_terms

        with refusing():
            check_terms(value)
        return value
