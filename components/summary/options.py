"""Options of the summary stage."""

from pydantic import Field

from seqline.schema.options import BaseOptions


class RunStatus(BaseOptions):
    """The run's final status, as the orchestrator reports it."""

    state: str = Field("SUCCEEDED", description="SUCCEEDED, FAILED or CANCELLED.")
    task: str = Field("", description="The task that the status is about; on a laptop the name of the exit handler.")
    error: str = Field("", description="The error message; empty if nothing failed.")
