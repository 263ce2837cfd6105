"""The Model Registry on Vertex: one model for each endpoint, with a version for each blessed model.

a version's labels  seqline-fingerprint: its model's fingerprint, so that no model is registered twice
                    seqline-rolled-back: the date of its rollback, so that it is not deployed again
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from seqline.endpoints.back_end import BEST, CHAMPION, PREVIOUS, Registered, label_of
from seqline.endpoints.names import model_id
from seqline.endpoints.vertex_hosting import Hosting
from seqline.vertex_api.operations import Operations

# The port of gRPC in the container; HTTP has 8080.
GRPC_PORT = 8500
LABEL, ROLLED_BACK = "seqline-fingerprint", "seqline-rolled-back"


@dataclass(frozen=True)
class Registry:
    """The versions of one model.

    Attributes:
        parent: projects/P/locations/L.
        name: The endpoint's id, which the model's id is made of.
        client: The client of the model service.
        operations: How long operations are followed.
        hosting: How Vertex hosts the versions.
    """

    parent: str
    name: str
    client: Any
    operations: Operations
    hosting: Hosting

    @property
    def model(self) -> str:
        """The model's resource name."""
        return f"{self.parent}/models/{model_id(self.name)}"

    def upload(self, address: str, fingerprint: str, metrics: Mapping[str, float], grpc: bool) -> int:
        """Uploads a model as a version of the registry's model, which the first version creates.

        Args:
            address: The model's folder, gs://.
            fingerprint: Its fingerprint.
            metrics: The challenger's metrics in the decision that blessed it.
            grpc: Whether the container also takes gRPC.

        Returns:
            The version's number; that of the existing one if the model is registered.
        """
        from google.cloud import aiplatform_v1

        uploaded = aiplatform_v1.Model(
            display_name=self.name,
            artifact_uri=address,
            version_description=", ".join(f"{name} {value:.4g}" for name, value in metrics.items()),
            labels={**self.hosting.labels, LABEL: label_of(fingerprint)},
            container_spec={
                "image_uri": self.hosting.machine.image,
                "predict_route": "/predict",
                "health_route": "/healthz",
                "ports": [{"container_port": 8080}],
                # Vertex also sends health checks to this port: seqline.serving.grpc_health answers them.
                "grpc_ports": [{"container_port": GRPC_PORT}] if grpc else [],
                "args": ["--grpc-port", str(GRPC_PORT)] if grpc else [],
            },
            **self.hosting.encryption(),
        )

        def upload() -> Any:
            under = {"parent_model": self.model} if self.resources() else {"model_id": model_id(self.name)}
            return self.client.upload_model(request={"parent": self.parent, "model": uploaded, **under})

        operations = replace(self.operations, client=self.client)
        return operations.finish(
            "register the model", lambda: self.find(fingerprint), upload, "UploadModel", [self.model]
        )

    def resources(self) -> list[Any]:
        """Returns the versions, oldest first."""
        from google.api_core.exceptions import NotFound

        try:
            found = list(self.client.list_model_versions(name=self.model))
        except NotFound:
            return []
        return sorted(found, key=lambda known: int(known.version_id))

    def versions(self) -> list[Registered]:
        """Returns the versions, oldest first, as every back end has them."""
        return [
            Registered(
                int(known.version_id),
                known.labels.get(LABEL, ""),
                known.version_create_time.isoformat(timespec="seconds"),
                known.artifact_uri,
                known.version_description,
            )
            for known in self.resources()
        ]

    def find(self, fingerprint: str) -> int | None:
        """Returns the number of a model's version, if it is registered.

        Args:
            fingerprint: The model's.
        """
        label = label_of(fingerprint)
        return next((known.version for known in self.versions() if known.fingerprint == label), None)

    def names(self) -> tuple[dict[str, int], dict[str, str]]:
        """Returns versions by alias, and dates of rollbacks by fingerprint."""
        versions = self.resources()
        aliases = {
            alias: int(known.version_id)
            for known in versions
            for alias in known.version_aliases
            if alias in (CHAMPION, PREVIOUS, BEST)
        }
        dates = {
            known.labels[LABEL]: known.labels[ROLLED_BACK]
            for known in versions
            if {LABEL, ROLLED_BACK} <= {*known.labels}
        }
        return aliases, dates

    def move(self, alias: str, version: int) -> None:
        """Moves an alias; the champion is also Vertex's default version.

        Args:
            alias: The alias.
            version: The version that gets it.
        """
        given = [alias, "default"] if alias == CHAMPION else [alias]
        self.client.merge_version_aliases(name=f"{self.model}@{version}", version_aliases=given)

    def mark(self, fingerprint: str, date: str) -> None:
        """Labels the versions of a model as rolled back; a change since they were read is an error.

        Args:
            fingerprint: The model's, as it is registered.
            date: The date; empty to remove the label.
        """
        from google.cloud import aiplatform_v1

        for version in [known.version for known in self.versions() if known.fingerprint == fingerprint]:
            name = f"{self.model}@{version}"
            model = self.client.get_model(name=name)
            labels = {key: value for key, value in model.labels.items() if key != ROLLED_BACK}
            labels |= {ROLLED_BACK: date} if date else {}
            changed = aiplatform_v1.Model(name=name, display_name=model.display_name, labels=labels, etag=model.etag)
            self.client.update_model(model=changed, update_mask={"paths": ["labels"]})
