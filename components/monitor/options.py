"""Options of monitoring, which collect and monitor read."""

from pydantic import Field, field_validator

from seqline.components.monitor.rules import AlarmRule
from seqline.schema.options import BaseOptions


class Options(BaseOptions):
    """How live traffic is monitored."""

    requests: str = Field(
        "",
        description="Where the sampled requests are: a folder, local or in a bucket, or a table of BigQuery as "
        "bq://PROJECT.DATASET.TABLE; empty for the endpoint's own.",
    )
    state: str = Field(
        "",
        description="Folder of what one run leaves to the next, local or in a bucket; empty for `monitoring` in the "
        "folder of the requests. Endpoints may share a folder.",
    )
    hours: float = Field(24.0, ge=1, le=24 * 366, description="Length of a window in hours, which ends at a full hour.")
    since_previous: bool = Field(
        True, description="Whether a window begins where the previous one ended, however long ago that was."
    )
    max_requests: int = Field(
        100_000, ge=1, description="Most requests of a window that are compared; of more, a random part is."
    )
    rules: list[AlarmRule] = Field(
        [],
        description='Rules such as {"figure": "token_distance", "against": "training", "above": 0.2, "then": '
        '"retrain"}; empty for the default rules. See docs/monitoring.md.',
    )
    slices: int = Field(5, ge=0, le=50, description="Most slices that are compared by themselves, the largest first.")
    min_slice_size: int = Field(100, ge=1, description="Requests of a window from which a slice is compared by itself.")
    false_alarms_per_year: float = Field(
        0.5, gt=0, le=365, description="Most false alarms a year, on average, of all rules and slices together."
    )
    metrics_file: str = Field(
        "", description="File for Prometheus's textfile collector, local or in a bucket; empty for none."
    )
    pushgateway: str = Field(
        "", pattern=r"^(https?://\S+)?$", description="Address of a Prometheus Pushgateway; empty for none."
    )
    cloud_monitoring: bool = Field(
        False, description="Whether the figures go to Cloud Monitoring, for an endpoint on Vertex AI."
    )

    @field_validator("rules")
    @classmethod
    def _check_rules(cls, value: list[AlarmRule]) -> list[AlarmRule]:
        keys = [rule.key for rule in value]
        twice = next((rule for rule in value if keys.count(rule.key) > 1), None)
        if twice:
            raise ValueError(f"two rules are the same but for what they do: {twice.describe()}; delete one")
        return value
