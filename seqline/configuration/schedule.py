"""A schedule in the configuration."""

import zoneinfo
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, ValidationInfo, field_validator, model_validator

from seqline.configuration.base import Model, ParameterValues
from seqline.configuration.cron import read_cron

# Names in a machine's own files, which a service does not know.
OF_THIS_MACHINE = {"localtime", "posixrules", "Factory"}
# A KFP server rejects more runs of one schedule at a time.
MOST_ACTIVE = 10


class ScheduleSettings(Model):
    """When a pipeline runs on a schedule."""

    target: Literal["vertex", "kubeflow"] = "vertex"
    """The target; a laptop has no schedules."""
    cron: str
    """Five fields: minute, hour, day of the month, month, day of the week. "0 3 * * 1" is Mondays at three."""
    timezone: str = "UTC"
    """Time zone of the cron expression, such as Europe/Paris; on Kubeflow UTC."""
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
    """Total number of runs, at most; 0 for no limit. Not on Kubeflow."""
    max_active_runs: Annotated[int, Field(ge=1, le=100)] = 1
    """Number of active runs, at most, on Kubeflow 10; a run beyond it is skipped."""
    cache: bool | None = None
    """Whether stages use the cache; the pipeline's own setting by default. Not on Kubeflow."""

    @field_validator("cron")
    @classmethod
    def _cron(cls, value: str) -> str:
        return read_cron(value).text

    @field_validator("timezone")
    @classmethod
    def _timezone(cls, value: str) -> str:
        try:
            if value in OF_THIS_MACHINE:
                raise ValueError
            zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"there is no time zone {value!r}; write one such as UTC or Europe/Paris") from None
        return value

    @field_validator("timezone", "max_runs", "max_active_runs", "cache")
    @classmethod
    def _of_the_target(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuses what a KFP server cannot do, before any schedule is changed."""
        if info.data.get("target") != "kubeflow":
            return value
        if info.field_name == "timezone" and value != "UTC":
            raise ValueError(f"a KFP server reads cron in its own time zone; write timezone: UTC, not {value}")
        if info.field_name == "max_active_runs" and value > MOST_ACTIVE:
            raise ValueError(f"a KFP server runs at most {MOST_ACTIVE} runs of a schedule at a time, not {value}")
        if (info.field_name == "max_runs" and value) or (info.field_name == "cache" and value is not None):
            raise ValueError(f"a KFP server has no {info.field_name} for recurring runs; remove it")
        return value

    @model_validator(mode="after")
    def _order(self) -> "ScheduleSettings":
        if self.start and self.end and self.end <= self.start:
            raise ValueError(f"end must be after start, {self.start}, not {self.end}")
        return self
