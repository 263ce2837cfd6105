"""EndpointService and PredictionService: deployed models, traffic, answers."""

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.cloud.aiplatform_v1 import types
from google.protobuf import empty_pb2, json_format

from tests.stand_ins.server import ApiError
from tests.stand_ins.vertex.models import Models
from tests.stand_ins.vertex.state import Clock, Collection, Operations, require_current

UPDATABLE = {"display_name", "description", "labels", "traffic_split", "client_connection_config"}
# The documentation of CreateEndpointRequest.endpoint_id in google/cloud/aiplatform_v1/types/endpoint_service.py.
ENDPOINT_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?|[1-9][0-9]{0,8}")
Serve = Callable[[types.Model, list[Any], Any], list[Any]]


def no_model_server(model: types.Model, instances: list[Any], parameters: Any) -> list[Any]:
    """The default model of a test."""
    return [{"text": f"{instance} by version {model.version_id}", "score": 0.0} for instance in instances]


@dataclass
class Endpoints:
    """Endpoints with deployed models.

    Attributes:
        serve: What a deployed model answers: called with its model version, the instances and the parameters.
        broken: Model versions, as name@version, whose container never becomes healthy: deploying them fails.
    """

    clock: Clock
    operations: Operations
    models: Models
    serve: Serve = no_model_server
    broken: set[str] = field(default_factory=set)
    resources: Collection = field(
        default_factory=lambda: Collection("endpoints", frozenset({"display_name", "endpoint"}))
    )
    ids: Any = field(default_factory=lambda: itertools.count(501))
    requests: Any = field(default_factory=itertools.count)

    def create_endpoint(self, request: types.CreateEndpointRequest) -> Any:
        """A new endpoint without models."""
        endpoint = types.Endpoint(request.endpoint)
        if endpoint.traffic_split:
            raise ApiError(400, "endpoint.traffic_split cannot be set before a model is deployed")
        if request.endpoint_id and not ENDPOINT_ID.fullmatch(request.endpoint_id):
            raise ApiError(400, f"Invalid endpoint_id {request.endpoint_id!r}")
        self.resources.add(request.parent, endpoint, request.endpoint_id)
        endpoint.create_time = self.clock.tick()
        self._touch(endpoint)
        if endpoint.dedicated_endpoint_enabled:
            parts = endpoint.name.split("/")
            endpoint.dedicated_endpoint_dns = f"{parts[5]}.{parts[3]}-{parts[1]}.prediction.vertexai.goog"
        return self.operations.start(endpoint.name, endpoint, types.CreateEndpointOperationMetadata())

    def get_endpoint(self, request: types.GetEndpointRequest) -> types.Endpoint:
        """One endpoint."""
        return self.resources.get(request.name)

    def list_endpoints(self, request: types.ListEndpointsRequest) -> types.ListEndpointsResponse:
        """Endpoints, newest first."""
        endpoints, token = self.resources.select(request)
        return types.ListEndpointsResponse(endpoints=endpoints, next_page_token=token)

    def update_endpoint(self, request: types.UpdateEndpointRequest) -> types.Endpoint:
        """Changes what the mask names."""
        endpoint = self.resources.get(request.endpoint.name)
        require_current(request.endpoint.etag, endpoint.etag, endpoint.name)
        for path in request.update_mask.paths:
            if path not in UPDATABLE:
                raise ApiError(400, f"Field {path} of an endpoint cannot be updated")
            value = getattr(request.endpoint, path)
            if path == "traffic_split":
                self._split(endpoint, dict(value))
            else:
                setattr(endpoint, path, value)
        self._touch(endpoint)
        return endpoint

    def delete_endpoint(self, request: types.DeleteEndpointRequest) -> Any:
        """Removes an endpoint that holds no model."""
        endpoint = self.resources.get(request.name)
        if endpoint.deployed_models:
            raise ApiError(400, f"Endpoint {endpoint.name} has deployed models; undeploy them first")
        self.resources.remove(request.name)
        return self.operations.start(endpoint.name, empty_pb2.Empty(), types.DeleteOperationMetadata())

    def deploy_model(self, request: types.DeployModelRequest) -> Any:
        """Adds a model version to an endpoint; "0" in the split is its key."""
        endpoint = self.resources.get(request.endpoint)
        deployed = types.DeployedModel(request.deployed_model)
        if not deployed.model:
            raise ApiError(400, "Required field is not set: deployed_model.model")
        model = self.models.find(deployed.model)
        _check_resources(deployed)
        deployed.id = deployed.id or str(next(self.ids))
        if any(deployed.id == other.id for other in endpoint.deployed_models):
            raise ApiError(409, f"DeployedModel {deployed.id} already exists")
        deployed.model, deployed.model_version_id = model.name, model.version_id
        deployed.display_name = deployed.display_name or model.display_name
        deployed.create_time = self.clock.tick()
        version = f"{model.name}@{model.version_id}"
        if version in self.broken:
            operation = self.operations.start(endpoint.name, empty_pb2.Empty(), types.DeployModelOperationMetadata())
            failed = self.operations.items[operation.name]
            failed.error.code, failed.error.message = (
                9,
                "The model server never became ready: its health route answers 503",
            )
            return operation
        split = {deployed.id if name == "0" else name: share for name, share in request.traffic_split.items()}
        _check_split([*endpoint.deployed_models, deployed], split)

        def effect() -> None:
            endpoint.deployed_models = [*endpoint.deployed_models, deployed]
            if split:
                self._split(endpoint, split)
            self.models.deployed.append(version)
            self._touch(endpoint)

        answer = types.DeployModelResponse(deployed_model=deployed)
        return self.operations.start(endpoint.name, answer, types.DeployModelOperationMetadata(), effect)

    def undeploy_model(self, request: types.UndeployModelRequest) -> Any:
        """Takes a model off an endpoint; it must have no traffic left."""
        endpoint = self.resources.get(request.endpoint)
        gone = next((one for one in endpoint.deployed_models if one.id == request.deployed_model_id), None)
        if gone is None:
            raise ApiError(404, f"DeployedModel {request.deployed_model_id} is not found.")
        rest = [one for one in endpoint.deployed_models if one.id != gone.id]
        split = dict(request.traffic_split or endpoint.traffic_split)
        if rest and split.get(gone.id):
            raise ApiError(400, f"DeployedModel {gone.id} has traffic; take it away first")

        def effect() -> None:
            endpoint.deployed_models = [one for one in endpoint.deployed_models if one.id != gone.id]
            self._split(endpoint, {name: share for name, share in split.items() if rest and name != gone.id})
            self.models.deployed.remove(f"{gone.model}@{gone.model_version_id}")
            self._touch(endpoint)

        answer = types.UndeployModelResponse()
        return self.operations.start(endpoint.name, answer, types.UndeployModelOperationMetadata(), effect)

    def mutate_deployed_model(self, request: types.MutateDeployedModelRequest) -> Any:
        """Changes the replicas of a deployed model."""
        endpoint = self.resources.get(request.endpoint)
        models = list(endpoint.deployed_models)
        index = next((n for n, one in enumerate(models) if one.id == request.deployed_model.id), None)
        if index is None:
            raise ApiError(404, f"DeployedModel {request.deployed_model.id} is not found.")
        models[index].dedicated_resources = request.deployed_model.dedicated_resources
        endpoint.deployed_models = models
        answer = types.MutateDeployedModelResponse(deployed_model=models[index])
        return self.operations.start(endpoint.name, answer, types.MutateDeployedModelOperationMetadata())

    def predict(self, request: types.PredictRequest) -> types.PredictResponse:
        """Sends requests to the deployed models in turn, in proportion to the split."""
        endpoint = self.resources.get(request.endpoint)
        if not endpoint.traffic_split:
            raise ApiError(400, f"Endpoint {endpoint.name} has no traffic split, so nothing can answer")
        # In proportion to the shares, and never many in a row.
        turns = [name for name, share in sorted(endpoint.traffic_split.items()) for _ in range(share)]
        chosen = turns[next(self.requests) * 37 % 100]
        deployed = next(one for one in endpoint.deployed_models if one.id == chosen)
        model = self.models.find(f"{deployed.model}@{deployed.model_version_id}")
        raw = types.PredictRequest.pb(request)
        instances = [json_format.MessageToDict(one) for one in raw.instances]
        predictions = self.serve(model, instances, json_format.MessageToDict(raw.parameters))
        response = types.PredictResponse(deployed_model_id=deployed.id, model=model.name)
        response.model_version_id, response.model_display_name = model.version_id, model.display_name
        pb = types.PredictResponse.pb(response)
        for prediction in predictions:
            json_format.ParseDict(prediction, pb.predictions.add())
        return response

    def _touch(self, endpoint: types.Endpoint) -> None:
        """A change: another etag."""
        endpoint.update_time = self.clock.tick()
        endpoint.etag = f"etag-{next(self.ids)}"

    @staticmethod
    def _split(endpoint: types.Endpoint, split: dict[str, int]) -> None:
        _check_split(endpoint.deployed_models, split)
        endpoint.traffic_split = split


def _check_split(deployed: Any, split: dict[str, int]) -> None:
    unknown = set(split) - {one.id for one in deployed}
    if unknown:
        raise ApiError(400, f"traffic_split names unknown deployed models: {sorted(unknown)}")
    if split and sum(split.values()) != 100:
        raise ApiError(400, f"traffic_split must add up to 100, not {sum(split.values())}")
    if any(not 0 <= share <= 100 for share in split.values()):
        raise ApiError(400, "traffic_split: each share must be between 0 and 100")


def _check_resources(deployed: types.DeployedModel) -> None:
    resources = deployed.dedicated_resources
    if not resources and not deployed.automatic_resources:
        raise ApiError(400, "deployed_model: dedicated_resources or automatic_resources must be set")
    if resources and not resources.machine_spec.machine_type:
        raise ApiError(400, "Required field is not set: deployed_model.dedicated_resources.machine_spec.machine_type")
    if resources and not resources.min_replica_count:
        raise ApiError(400, "Required field is not set: deployed_model.dedicated_resources.min_replica_count")
    if resources and resources.max_replica_count and resources.max_replica_count < resources.min_replica_count:
        raise ApiError(400, "deployed_model.dedicated_resources: max_replica_count is below min_replica_count")
