"""Options of monitoring, which collect and monitor read."""

from pydantic import Field, field_validator

from seqline.components.monitor.rules import AlarmRule
from seqline.schema.options import BaseOptions


class Options(BaseOptions):
    """How live traffic is monitored."""

    requests: str = Field(
        "",
        description="Location of the sampled requests: a folder, local or in a bucket, or a table of BigQuery as "
        "bq://PROJECT.DATASET.TABLE; empty for the endpoint's own.",
    )
    state: str = Field(
        "",
        description="Folder of the state between runs, local or in a bucket; empty for `monitoring` in the "
        "folder of the requests. Several endpoints can share a folder.",
    )
    hours: float = Field(
        24.0, ge=1, le=24 * 366, description="Length of a window in hours. A window ends at a full hour."
    )
    since_previous: bool = Field(
        True, description="Whether a window begins at the end of the previous one, however long ago that was."
    )
    max_requests: int = Field(
        100_000, ge=1, description="Largest number of requests of a window to compare; of more, a random sample."
    )
    rules: list[AlarmRule] = Field(
        [],
        description='Rules such as {"figure": "token_distance", "against": "training", "above": 0.2, "then": '
        '"retrain"}; empty for the default rules. See docs/monitoring.md.',
    )
    slices: int = Field(
        5, ge=0, le=50, description="Largest number of slices to compare separately, the largest first."
    )
    min_slice_size: int = Field(100, ge=1, description="Smallest number of requests of a slice to compare separately.")
    false_alarms_per_year: float = Field(
        0.5,
        gt=0,
        le=365,
        description="Largest average number of false alarms a year, for all rules and slices together.",
    )
    metrics_file: str = Field(
        "", description="File for Prometheus's textfile collector, local or in a bucket; empty for none."
    )
    pushgateway: str = Field(
        "", pattern=r"^(https?://\S+)?$", description="Address of a Prometheus Pushgateway; empty for none."
    )
    cloud_monitoring: bool = Field(
        False, description="Whether to publish the figures to Cloud Monitoring, for an endpoint on Vertex AI."
    )

    @field_validator("rules")
    @classmethod
    def _check_rules(cls, value: list[AlarmRule]) -> list[AlarmRule]:
        keys = [rule.key for rule in value]
        twice = next((rule for rule in value if keys.count(rule.key) > 1), None)
        if twice:
            raise ValueError(f"two rules differ only in `then`: {twice.describe()}; delete one")
        return value
