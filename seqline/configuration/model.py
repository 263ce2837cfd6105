"""The model of `seqline.yaml`."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from seqline.configuration.base import Model, Name, ParameterValues, Written
from seqline.configuration.images import Images
from seqline.configuration.kubeflow import KubeflowTarget
from seqline.configuration.laptop import LaptopTarget
from seqline.configuration.resources import Resources
from seqline.configuration.schedule import ScheduleSettings
from seqline.configuration.trigger import TriggerName, TriggerSettings
from seqline.configuration.vertex import VertexTarget
from seqline.plugins.registry import TARGETS
from seqline.schema.messages import explain
from seqline.schema.options import refusing

BUILT_IN = ("laptop", "kubeflow", "vertex")


def _known_target(name: str) -> str:
    if name not in BUILT_IN:
        with refusing():
            TARGETS.source(name, BUILT_IN)
    return name


TargetName = Annotated[str, AfterValidator(_known_target)]


class Targets(Model):
    """Where pipelines can run; only configured targets can be used."""

    __pydantic_extra__: dict[str, Annotated[Any, BeforeValidator(lambda named: _settings(*named))]]
    model_config = ConfigDict(extra="allow")  # the settings of plugins' targets

    laptop: LaptopTarget = LaptopTarget()
    """This machine; it needs no settings."""
    kubeflow: KubeflowTarget | None = None
    """A Kubeflow Pipelines server."""
    vertex: VertexTarget | None = None
    """Vertex AI Pipelines in one project and region."""

    @model_validator(mode="before")
    @classmethod
    def _with_names(cls, values: Any) -> Any:
        """Hands the names of plugins' targets to the validator of their settings."""
        if not isinstance(values, dict):
            return values
        return {name: one if name in cls.model_fields else (str(name), one) for name, one in values.items()}

    def settings(self, name: str) -> Any:
        """The settings of a target; None if it is not configured.

        Args:
            name: The target's name.
        """
        return getattr(self, name, None)

    @property
    def configured(self) -> list[str]:
        """The names of the targets that are configured."""
        return [name for name in (*BUILT_IN, *(self.model_extra or {})) if self.settings(name) is not None]


def _settings(name: str, value: Any) -> Any:
    with refusing():
        model = TARGETS.find(name, BUILT_IN).settings
    try:
        return model.model_validate(_plain(value) or {})
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, one['loc']))}: {explain(one, model)}" for one in error.errors(include_url=False))
        raise ValueError("; ".join(faults)) from None


def _plain(value: Any) -> Any:
    """Values without their text in the file, which only models of the configuration read."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value.value if isinstance(value, Written) else value


class Configuration(Model):
    """Pipeline, target, parameters and schedules."""

    pipeline: str = "training"
    """The pipeline: one of ours, such as training, a plugin's, MODULE:NAME or a file such as path/to/dag.py."""
    target: TargetName = "laptop"
    """The target that `seqline run` uses without --target: laptop, kubeflow, vertex or a plugin's."""
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
