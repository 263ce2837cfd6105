"""Options of the evaluate stage."""

from pydantic import Field, field_validator, model_validator

from seqline.metrics.metrics import find_metric
from seqline.schema.options import refusing
from seqline.schema.run import FINGERPRINTS, TaskOption


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

    metrics: list[str] = Field(
        [], description="Metrics of plugins to measure; those that the gate's rules name are added by themselves."
    )
    plugins: dict[str, str] = Field({}, description=FINGERPRINTS)

    @model_validator(mode="after")
    def _check_metrics(self) -> "Options":
        for name in self.metrics:
            with refusing():
                metric = find_metric(name)
            if not metric.counter or self.task not in metric.tasks:
                raise ValueError(f"metrics: {name} is not available for task {self.task}")
        return self

    @field_validator("terms")
    @classmethod
    def _check_terms(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        if value:
            # Imported here: it imports numpy, and every command checks options.
            from seqline.metrics.slices import check_terms

            with refusing():
                check_terms(value)
        return value
