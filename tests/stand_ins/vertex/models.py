"""ModelService: models with versions and aliases."""

import re
from dataclasses import dataclass, field
from typing import Any

from google.cloud.aiplatform_v1 import types
from google.protobuf import empty_pb2

from tests.stand_ins.server import ApiError
from tests.stand_ins.vertex.state import Clock, Collection, Operations, canonical, matches, page_of, require_current

ALIAS = re.compile(r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]")
# The documentation of UploadModelRequest.model_id in google/cloud/aiplatform_v1/types/model_service.py.
MODEL_ID = re.compile(r"[a-z_][a-z0-9_-]{0,62}")


@dataclass
class Models:
    """The model registry.

    Attributes:
        versions: By model name, its versions in the order they were uploaded.
        deployed: Model versions on endpoints, as name@version; updated by the endpoints.
    """

    clock: Clock
    operations: Operations
    versions: dict[str, list[types.Model]] = field(default_factory=dict)
    deployed: list[str] = field(default_factory=list)
    names: Collection = field(default_factory=lambda: Collection("models"))

    def upload_model(self, request: types.UploadModelRequest) -> Any:
        """A new model, or a new version under `parent_model`."""
        model = types.Model(request.model)
        if not model.container_spec and not model.artifact_uri:
            raise ApiError(400, "model: a container_spec or an artifact_uri is needed")
        for alias in model.version_aliases:
            _check_alias(alias)
        if request.model_id and not MODEL_ID.fullmatch(request.model_id):
            raise ApiError(400, f"Invalid model_id {request.model_id!r}")
        if request.parent_model:
            held = self._versions(request.parent_model)
            model.name = held[0].name
        else:
            self.names.add(request.parent, model, request.model_id)
            held = self.versions.setdefault(model.name, [])
        model.version_id = str(max((int(one.version_id) for one in held), default=0) + 1)
        model.create_time = model.update_time = model.version_create_time = self.clock.tick()
        model.etag = f"etag-{model.version_id}-1"
        aliases = list(model.version_aliases) + ([] if held else ["default"])
        model.version_aliases = []

        def effect() -> None:
            held.append(model)
            self._give(held, model, aliases)

        answer = types.UploadModelResponse(model=model.name, model_version_id=model.version_id)
        return self.operations.start(model.name, answer, types.UploadModelOperationMetadata(), effect)

    def get_model(self, request: types.GetModelRequest) -> types.Model:
        """A version by id or alias; the default one by the bare name."""
        return self.find(request.name)

    def list_models(self, request: types.ListModelsRequest) -> types.ListModelsResponse:
        """The default version of each model."""
        newest = {name: self.find(name) for name in self.versions}
        self.names.items = newest
        models, token = self.names.select(request)
        return types.ListModelsResponse(models=models, next_page_token=token)

    def list_model_versions(self, request: types.ListModelVersionsRequest) -> types.ListModelVersionsResponse:
        """All versions of a model."""
        found = [one for one in self._versions(request.name) if matches(one, request.filter, frozenset())]
        if request.order_by.endswith("desc"):
            found = found[::-1]
        models, token = page_of(found, request, self.names.page)
        return types.ListModelVersionsResponse(models=models, next_page_token=token)

    def merge_version_aliases(self, request: types.MergeVersionAliasesRequest) -> types.Model:
        """Gives aliases to a version, taking them from the one that had them; a leading minus takes away."""
        model = self.find(request.name)
        held = self.versions[model.name]
        given = [alias for alias in request.version_aliases if not alias.startswith("-")]
        taken = {alias[1:] for alias in request.version_aliases if alias.startswith("-")}
        for alias in [*given, *taken]:
            _check_alias(alias)
        if "default" in taken:
            raise ApiError(400, "The default alias cannot be removed; give it to another version instead")
        model.version_aliases = [alias for alias in model.version_aliases if alias not in taken]
        self._give(held, model, given)
        return model

    def update_model(self, request: types.UpdateModelRequest) -> types.Model:
        """Changes labels and texts of a version."""
        model = self.find(request.model.name)
        require_current(request.model.etag, model.etag, model.name)
        for path in request.update_mask.paths:
            if path not in {"display_name", "description", "version_description", "labels"}:
                raise ApiError(400, f"Field {path} of a model cannot be updated")
            setattr(model, path, getattr(request.model, path))
        model.etag += "1"
        return model

    def delete_model_version(self, request: types.DeleteModelVersionRequest) -> Any:
        """Removes a version that is neither deployed nor the default."""
        if "@" not in request.name:
            raise ApiError(400, "the version ID must be explicitly included")
        model = self.find(request.name)
        if "default" in model.version_aliases:
            raise ApiError(400, "The default version cannot be deleted")
        self._require_idle([model])
        self.versions[model.name].remove(model)
        return self.operations.start(model.name, empty_pb2.Empty(), types.DeleteOperationMetadata())

    def delete_model(self, request: types.DeleteModelRequest) -> Any:
        """Removes a model with all its versions."""
        held = self._versions(request.name)
        self._require_idle(held)
        name = held[0].name
        del self.versions[name]
        return self.operations.start(name, empty_pb2.Empty(), types.DeleteOperationMetadata())

    def find(self, name: str) -> types.Model:
        """A version by `name@version`, `name@alias` or the bare name."""
        bare, _, wanted = name.partition("@")
        wanted = wanted or "default"
        for model in self._versions(bare):
            if wanted == model.version_id or wanted in model.version_aliases:
                return model
        raise ApiError(404, f"{name} is not found.")

    def _versions(self, name: str) -> list[types.Model]:
        bare = canonical(name.partition("@")[0])
        if bare not in self.versions:
            raise ApiError(404, f"The Model {name} does not exist.")
        return self.versions[bare]

    def _require_idle(self, models: list[types.Model]) -> None:
        for model in models:
            if f"{model.name}@{model.version_id}" in self.deployed:
                raise ApiError(400, f"Model {model.name}@{model.version_id} is deployed; undeploy it first")

    @staticmethod
    def _give(held: list[types.Model], model: types.Model, aliases: list[str]) -> None:
        for other in held:
            other.version_aliases = [alias for alias in other.version_aliases if alias not in aliases]
        model.version_aliases = [*model.version_aliases, *aliases]


def _check_alias(alias: str) -> None:
    if not ALIAS.fullmatch(alias):
        raise ApiError(400, f"Invalid version alias {alias!r}")
