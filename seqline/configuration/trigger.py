"""A trigger in the configuration: new data in a bucket starts a run."""

from typing import Annotated

from pydantic import Field, StringConstraints, field_validator

from seqline.configuration.base import Model, ParameterValues

# A run's ID is the trigger's name and a generation of 16 digits or more; a workflow's name also begins with seqline-.
TriggerName = Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$")]


class TriggerSettings(Model):
    """Which new data starts which run."""

    objects: Annotated[str, StringConstraints(pattern=r"^gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]/\S+$")]
    """Objects whose new versions start a run, such as gs://my-bucket/pairs/*.tsv.gz; * stands for any characters but /,
    ** for any."""
    quiet_seconds: Annotated[int, Field(ge=0, le=60 * 60 * 24)] = 300
    """Time after the last new object until the run starts; objects that arrive within it start one run together."""
    pipeline: str = ""
    """A pipeline other than the configuration's; then only the trigger's own parameters apply."""
    template: str = ""
    """An uploaded version to run; empty to compile and upload the pipeline."""
    parameters: ParameterValues = Field(default_factory=dict)
    """Parameters for this trigger, merged into the common ones and the target's."""
    service_account: str = ""
    """Service account of the workflow and its events; seqline-trigger of the project by default."""

    @field_validator("objects")
    @classmethod
    def _objects(cls, value: str) -> str:
        path = value.removeprefix("gs://").partition("/")[2]
        if path.startswith("/") or any(character in value for character in "?[]{},"):
            raise ValueError(
                f"{value!r} is not a pattern of objects; only * and ** are special, as in gs://b/pairs/*.tsv"
            )
        return value

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.objects.removeprefix("gs://").partition("/")[0]

    @property
    def pattern(self) -> str:
        """The pattern of the objects' names."""
        return self.objects.removeprefix("gs://").partition("/")[2]

    def account(self, project: str) -> str:
        """Returns the service account.

        Args:
            project: The project's id.
        """
        # A project of an organization with a domain has the id DOMAIN:NAME; its accounts end in NAME.DOMAIN.
        domain, _, name = project.rpartition(":")
        place = f"{name}.{domain}" if domain else name
        return self.service_account or f"seqline-trigger@{place}.iam.gserviceaccount.com"
