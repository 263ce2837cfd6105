"""Options of retraining."""

from typing import Any

from pydantic import Field, field_validator

from seqline.schema.options import BaseOptions


class Options(BaseOptions):
    """Which run an alarm starts, and how often."""

    template: str = Field(
        "",
        pattern=r"^(|https?://\S+/sha256:[0-9a-f]{64}|(gs://|/|~)\S+\.ya?ml|kfp://\S+/\S+)$",
        description="The training pipeline to run: the address of one version, which `seqline upload` printed; on a "
        "laptop a compiled file, or empty to compile it.",
    )
    parameters: dict[str, Any] = Field(
        {}, description='Parameters of the run, such as {"data": "gs://bucket/pairs/*.tsv"}; the others have '
        "the template's defaults."
    )  # fmt: skip
    cooling_days: float = Field(7.0, ge=0, description="Smallest time between two retraining runs, in days.")
    monthly_budget: int = Field(4, ge=0, description="Largest number of retraining runs in 30 days; 0 for none.")
    min_new_pairs: int = Field(
        100,
        ge=0,
        description="Smallest number of new pairs since the training of the live version: rows of data, and "
        "corrections.",
    )
    host: str = Field(
        "", pattern=r"^(https?://\S+)?$", description="Address of the Kubeflow Pipelines API; empty for the cluster's."
    )
    home: str = Field("", description="Folder of the runs on a laptop; empty for that of this run.")

    @field_validator("parameters")
    @classmethod
    def _check_parameters(cls, value: dict[str, Any]) -> dict[str, Any]:
        if "reason" in value:
            raise ValueError("monitoring sets reason: omit it")
        return value
