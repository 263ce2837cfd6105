"""EndpointService and PredictionService: deployed models, traffic, answers."""

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.cloud.aiplatform_v1 import types
from google.protobuf import empty_pb2, json_format

from tests.stand_ins.server import Answer, ApiError
from tests.stand_ins.vertex.containers import unhealthy
from tests.stand_ins.vertex.domains import attach, kind_of
from tests.stand_ins.vertex.machines import check_resources
from tests.stand_ins.vertex.models import Models
from tests.stand_ins.vertex.state import Clock, Collection, Operations, require_current

# The documentation of CreateEndpointRequest.endpoint_id in google/cloud/aiplatform_v1/types/endpoint_service.py.
ENDPOINT_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?|[1-9][0-9]{0,8}")
# docs.cloud.google.com/vertex-ai/docs/predictions/online-prediction-logging: the log of requests is enabled "by
# creating or patching the prediction endpoint". The time limit has an update of its own (types/endpoint_service.py,
# UpdateEndpointLongRunningRequest); key, network and type have none.
UPDATABLE = {"display_name", "description", "labels", "traffic_split", "predict_request_response_logging_config"}
# types/endpoint.py, DeployedModel.id: "1-10 characters, and valid characters are /[0-9]/".
DEPLOYED_ID = re.compile(r"[0-9]{1,10}")
TABLE = re.compile(r"bq://[a-z][a-z0-9:.-]*(\.\w+){0,2}")
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
        port: The stand-in's port, in the addresses of dedicated and private endpoints.
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
    port: int = 0

    def create_endpoint(self, request: types.CreateEndpointRequest) -> Any:
        """A new endpoint without models."""
        endpoint = types.Endpoint(request.endpoint)
        if endpoint.traffic_split:
            raise ApiError(400, "endpoint.traffic_split cannot be set before a model is deployed")
        if request.endpoint_id and not ENDPOINT_ID.fullmatch(request.endpoint_id):
            raise ApiError(400, f"Invalid endpoint_id {request.endpoint_id!r}")
        _check_access(endpoint)
        self.resources.add(request.parent, endpoint, request.endpoint_id)
        endpoint.create_time = self.clock.tick()
        self._touch(endpoint)
        if endpoint.dedicated_endpoint_enabled:
            endpoint.dedicated_endpoint_dns = f"localhost:{self.port}"
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
        _check_access(endpoint)
        self._touch(endpoint)
        return endpoint

    def update_endpoint_long_running(self, request: types.UpdateEndpointLongRunningRequest) -> Any:
        """Changes the time limit of requests."""
        endpoint = self.resources.get(request.endpoint.name)
        require_current(request.endpoint.etag, endpoint.etag, endpoint.name)
        changed = types.Endpoint(endpoint)
        changed.client_connection_config = request.endpoint.client_connection_config
        _check_access(changed)

        def effect() -> None:
            endpoint.client_connection_config = request.endpoint.client_connection_config
            self._touch(endpoint)

        return self.operations.start(endpoint.name, changed, types.UpdateEndpointOperationMetadata(), effect)

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
        check_resources(deployed)
        deployed.id = deployed.id or str(next(self.ids))
        if not DEPLOYED_ID.fullmatch(deployed.id):
            raise ApiError(400, f"Invalid deployed_model.id {deployed.id!r}")
        if any(deployed.id == other.id for other in endpoint.deployed_models):
            raise ApiError(409, f"DeployedModel {deployed.id} already exists")
        deployed.model, deployed.model_version_id = model.name, model.version_id
        deployed.display_name = deployed.display_name or model.display_name
        deployed.create_time = self.clock.tick()
        version = f"{model.name}@{model.version_id}"
        reason = "its health route answers 503" if version in self.broken else unhealthy(model.container_spec)
        if reason:
            operation = self.operations.start(endpoint.name, empty_pb2.Empty(), types.DeployModelOperationMetadata())
            failed = self.operations.items[operation.name]
            failed.error.code, failed.error.message = (
                9,
                f"The model server never became ready: {reason}",
            )
            return operation
        split = {deployed.id if name == "0" else name: share for name, share in request.traffic_split.items()}
        _check_split([*endpoint.deployed_models, deployed], split)

        def effect() -> None:
            endpoint.deployed_models = [*endpoint.deployed_models, deployed]
            if split:
                self._split(endpoint, split)
            self.models.deployed.append(version)
            attach(endpoint, self.port)
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
        raw = types.PredictRequest.pb(request)
        instances = [json_format.MessageToDict(one) for one in raw.instances]
        deployed, model, predictions = self._serve(
            request.endpoint, instances, json_format.MessageToDict(raw.parameters)
        )
        response = types.PredictResponse(deployed_model_id=deployed.id, model=model.name)
        response.model_version_id, response.model_display_name = model.version_id, model.display_name
        pb = types.PredictResponse.pb(response)
        for prediction in predictions:
            json_format.ParseDict(prediction, pb.predictions.add())
        return response

    def stream_raw_predict(self, request: types.StreamRawPredictRequest) -> Answer:
        """Hands a body over to a deployed model as it is, which answers as Seqline's server does."""
        body = json.loads(request.http_body.data)
        _, _, predictions = self._serve(request.endpoint, body["instances"], body.get("parameters"))
        lines = [
            f"data: {json.dumps({'index': index, 'delta': piece})}\n\n"
            for index, prediction in enumerate(predictions)
            for piece in re.findall(r"\s*\S+", prediction["text"])
        ]
        done = f"event: done\ndata: {json.dumps({'predictions': predictions})}\n\n"
        return Answer("".join([*lines, done]).encode(), content_type="text/event-stream")

    def _serve(self, name: str, instances: list[Any], parameters: Any) -> tuple[Any, types.Model, list[Any]]:
        """The deployed model whose turn it is, its version, and what it answers."""
        endpoint = self.resources.get(name)
        if not endpoint.traffic_split:
            raise ApiError(400, f"Endpoint {endpoint.name} has no traffic split, so nothing can answer")
        # In proportion to the shares, and never many in a row.
        turns = [name for name, share in sorted(endpoint.traffic_split.items()) for _ in range(share)]
        chosen = turns[next(self.requests) * 37 % 100]
        deployed = next(one for one in endpoint.deployed_models if one.id == chosen)
        model = self.models.find(f"{deployed.model}@{deployed.model_version_id}")
        return deployed, model, self.serve(model, instances, parameters)

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


def _check_access(endpoint: types.Endpoint) -> None:
    kind, limit = kind_of(endpoint), endpoint.client_connection_config.inference_timeout
    # types/endpoint.py, network and private_service_connect_config: "are mutually exclusive".
    if endpoint.network and kind == "private":
        raise ApiError(400, "endpoint: network and private_service_connect_config are mutually exclusive")
    # aiplatform/models.py, Endpoint.create, inference_timeout: "applies to either PSC endpoints ... or dedicated
    # endpoints"; docs.cloud.google.com/vertex-ai/docs/predictions/create-public-endpoint: at most an hour.
    if limit and kind == "shared":
        raise ApiError(400, "client_connection_config.inference_timeout is not supported on a shared endpoint")
    if limit and not 0 < limit.total_seconds() <= 3600:
        raise ApiError(400, "client_connection_config.inference_timeout must be at most 3600s")
    log = endpoint.predict_request_response_logging_config
    # types/endpoint.py, sampling_rate: "a fraction in range(0,1]"; types/io.py, BigQueryDestination.output_uri.
    if log.enabled and not 0 < log.sampling_rate <= 1:
        raise ApiError(400, "predict_request_response_logging_config.sampling_rate must be in (0, 1]")
    if log.enabled and not TABLE.fullmatch(log.bigquery_destination.output_uri):
        raise ApiError(400, "predict_request_response_logging_config.bigquery_destination.output_uri is invalid")
