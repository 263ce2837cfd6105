"""The whole of `seqline.yaml`."""

from typing import Literal

from pydantic import Field

from seqline.configuration.base import Model, Name, ParameterValues
from seqline.configuration.images import Images
from seqline.configuration.kubeflow import KubeflowTarget
from seqline.configuration.laptop import LaptopTarget
from seqline.configuration.resources import Resources
from seqline.configuration.schedule import ScheduleSettings
from seqline.configuration.vertex import VertexTarget

TargetName = Literal["laptop", "kubeflow", "vertex"]


class Targets(Model):
    """The places where pipelines run; one that is left out cannot be used."""

    laptop: LaptopTarget = LaptopTarget()
    """This machine: needs no settings."""
    kubeflow: KubeflowTarget | None = None
    """A Kubeflow Pipelines server."""
    vertex: VertexTarget | None = None
    """Vertex AI Pipelines in one project and region."""


class Configuration(Model):
    """What runs where, with which parameters, and when."""

    pipeline: str = "training"
    """Which pipeline: training, batch or tuning."""
    target: TargetName = "laptop"
    """Where `seqline run` runs it unless --target says otherwise."""
    parameters: ParameterValues = Field(default_factory=dict)
    """Values of the pipeline's parameters by name; the rest keep their defaults."""
    images: Images = Images()
    """Where the images of the stages are."""
    resources: dict[str, Resources] = Field(default_factory=dict)
    """What a stage asks for, by stage; a laptop ignores it."""
    targets: Targets = Targets()
    """The places where pipelines run."""
    schedules: dict[Name, ScheduleSettings] = Field(default_factory=dict)
    """What `seqline schedule apply` makes true, by name."""
