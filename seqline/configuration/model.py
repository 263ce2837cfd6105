"""The model of `seqline.yaml`."""

from typing import Literal

from pydantic import Field

from seqline.configuration.base import Model, Name, ParameterValues
from seqline.configuration.images import Images
from seqline.configuration.kubeflow import KubeflowTarget
from seqline.configuration.laptop import LaptopTarget
from seqline.configuration.resources import Resources
from seqline.configuration.schedule import ScheduleSettings
from seqline.configuration.trigger import TriggerName, TriggerSettings
from seqline.configuration.vertex import VertexTarget

TargetName = Literal["laptop", "kubeflow", "vertex"]


class Targets(Model):
    """Where pipelines can run; only configured targets can be used."""

    laptop: LaptopTarget = LaptopTarget()
    """This machine; it needs no settings."""
    kubeflow: KubeflowTarget | None = None
    """A Kubeflow Pipelines server."""
    vertex: VertexTarget | None = None
    """Vertex AI Pipelines in one project and region."""


class Configuration(Model):
    """Pipeline, target, parameters and schedules."""

    pipeline: str = "training"
    """The pipeline: training, batch, tuning or monitoring."""
    target: TargetName = "laptop"
    """The target that `seqline run` uses without --target."""
    parameters: ParameterValues = Field(default_factory=dict)
    """Parameters of the pipeline: those of the run by name, and an object of options for each section."""
    images: Images = Images()
    """Repository and version of the stages' images."""
    resources: dict[str, Resources] = Field(default_factory=dict)
    """Resources by stage; a laptop ignores them."""
    targets: Targets = Targets()
    """Where pipelines can run."""
    schedules: dict[Name, ScheduleSettings] = Field(default_factory=dict)
    """Schedules by name, which `seqline schedule apply` creates and updates."""
    triggers: dict[TriggerName, TriggerSettings] = Field(default_factory=dict)
    """Triggers by name, with which new data starts runs on Vertex; `seqline trigger apply` creates and updates them."""
