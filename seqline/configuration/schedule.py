"""A schedule in the configuration."""

import zoneinfo
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, field_validator, model_validator

from seqline.configuration.base import Model, ParameterValues
from seqline.configuration.cron import check_cron


class ScheduleSettings(Model):
    """When a pipeline runs on a schedule."""

    cron: str
    """Five fields: minute, hour, day of the month, month, day of the week. "0 3 * * 1" is Mondays at three."""
    timezone: str = "UTC"
    """Time zone of the cron expression, such as Europe/Paris."""
    target: Literal["vertex", "kubeflow"] = "vertex"
    """The target; a laptop has no schedules."""
    pipeline: str = ""
    """A pipeline other than the configuration's; then only the schedule's own parameters apply."""
    template: str = ""
    """An uploaded version to run; empty to compile and upload the pipeline."""
    parameters: ParameterValues = Field(default_factory=dict)
    """Parameters for this schedule, merged into the common ones and the target's."""
    paused: bool = False
    """Whether it is paused."""
    start: AwareDatetime | None = None
    """Earliest start of a run, such as 2030-01-31T00:00:00Z."""
    end: AwareDatetime | None = None
    """Latest start of a run."""
    max_runs: Annotated[int, Field(ge=0)] = 0
    """Total number of runs, at most; 0 for no limit."""
    max_active_runs: Annotated[int, Field(ge=1, le=100)] = 1
    """Number of active runs, at most; a run beyond it is skipped."""
    cache: bool | None = None
    """Whether stages use the cache; the pipeline's own setting by default."""

    @field_validator("cron")
    @classmethod
    def _cron(cls, value: str) -> str:
        return check_cron(value)

    @field_validator("timezone")
    @classmethod
    def _timezone(cls, value: str) -> str:
        try:
            zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"there is no time zone {value!r}; write one such as UTC or Europe/Paris") from None
        return value

    @model_validator(mode="after")
    def _order(self) -> "ScheduleSettings":
        if self.start and self.end and self.end <= self.start:
            raise ValueError(f"end must be after start, {self.start}, not {self.end}")
        return self
