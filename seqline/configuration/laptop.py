"""The laptop in the configuration."""

from typing import Annotated

from pydantic import Field, StringConstraints

from seqline.configuration.base import Model, ParameterValues
from seqline.endpoints.local_endpoint import NAME


class LaptopTarget(Model):
    """This machine."""

    home: str = ".seqline"
    """Folder of runs, caches and endpoints, relative to the current folder."""
    endpoint: Annotated[str, StringConstraints(pattern=rf"^{NAME.pattern}$")] = "seqline"
    """Name of the local endpoint and of the model in its address: a lower-case letter, then at most 62 lower-case
    letters, digits and hyphens."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8501
    """Port of the endpoint's server."""
    cache: bool = True
    """Whether results of unchanged stages come from the cache."""
    parameters: ParameterValues = Field(default_factory=dict)
    """Parameters for this target, merged into the common ones."""
