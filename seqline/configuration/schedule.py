"""A schedule as the configuration wants it."""

import zoneinfo
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, field_validator, model_validator

from seqline.configuration.base import Model, ParameterValues
from seqline.configuration.cron import check_cron


class ScheduleSettings(Model):
    """When a pipeline runs by itself."""

    cron: str
    """Five fields: minute, hour, day of the month, month, day of the week. "0 3 * * 1" is Mondays at three."""
    timezone: str = "UTC"
    """In which the fields are read, such as Europe/Paris."""
    target: Literal["vertex", "kubeflow"] = "vertex"
    """Where it runs; the laptop has no schedules."""
    pipeline: str = ""
    """Another pipeline than the configuration's own; its parameters are then only the schedule's."""
    template: str = ""
    """An uploaded version to run; empty to upload what this configuration compiles to."""
    parameters: ParameterValues = Field(default_factory=dict)
    """Values on top of the common ones and the target's."""
    paused: bool = False
    """Whether it exists and starts nothing."""
    start: AwareDatetime | None = None
    """The first moment at which it may start a run, such as 2030-01-31T00:00:00Z."""
    end: AwareDatetime | None = None
    """The last one."""
    max_runs: Annotated[int, Field(ge=0)] = 0
    """How many runs it starts in all; 0 for no limit."""
    max_active_runs: Annotated[int, Field(ge=1, le=100)] = 1
    """How many of its runs may be active at a time; a run that would be one more is left out."""
    cache: bool | None = None
    """Whether stages are taken from the cache; as the pipeline says by default."""

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
            raise ValueError(f"end, {self.end}, is not after start, {self.start}")
        return self
