"""Long operations: started once, found after a lost response, followed to the end or to the time limit."""

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.aiplatform_v1 import types
from google.longrunning import operations_pb2
from google.protobuf import any_pb2

from seqline.errors import UserError
from seqline.vertex_api.operations import Operations, TimeLimitError
from seqline.vertex_api.retries import Retries


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    try:
        yield
    except exceptions.GoogleAPIError as error:
        raise UserError(f"Vertex did not {what}: {error}") from error


class Service:
    """A service whose operations end after some looks; `now` is the time in seconds, which only pauses let pass."""

    def __init__(self, looks: int = 0, lost: int = 0, error: str = "") -> None:
        self.looks, self.lost, self.error = looks, lost, error
        self.started: list[operations_pb2.Operation] = []
        self.foreign: list[operations_pb2.Operation] = []
        self.result: str | None = None
        self.away, self.now = 0, 0.0

    def start(self) -> Any:
        metadata = any_pb2.Any()
        metadata.Pack(types.DeployModelOperationMetadata.pb(types.DeployModelOperationMetadata()))
        self.started.append(operations_pb2.Operation(name=f"operations/{len(self.started)}", metadata=metadata))
        if self.lost:
            self.lost -= 1
            raise exceptions.ServiceUnavailable("the response is lost")
        return SimpleNamespace(operation=self.started[-1])

    def look(self) -> str | None:
        return self.result

    def get_operation(self, request: dict[str, str]) -> operations_pb2.Operation:
        self._answer()
        operation = next(one for one in [*self.started, *self.foreign] if one.name == request["name"])
        self.looks -= 1
        if self.looks <= 0:
            operation.done = True
            error = "of someone else" if operation in self.foreign else self.error
            if error:
                operation.error.code, operation.error.message = 9, error
            else:
                self.result = "deployed"
        return operation

    def list_operations(self, request: dict[str, str]) -> operations_pb2.ListOperationsResponse:
        self._answer()
        return operations_pb2.ListOperationsResponse(operations=[*self.started, *self.foreign])

    def finish(self, seconds: float = 3600) -> str:
        retries = Retries(
            (1.0, 2.0),
            explained,
            lambda error: isinstance(error, exceptions.ServiceUnavailable),
            sleep=self._sleep,
        )
        operations = Operations(self, retries, seconds, (1.0, 15.0), lambda: self.now)
        return operations.finish("deploy version 3", self.look, self.start, "DeployModel", ["endpoints/e"])

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def _answer(self) -> None:
        if self.away:
            self.away -= 1
            raise exceptions.ServiceUnavailable("away")


def test_an_operation_is_followed_to_its_end() -> None:
    service = Service(looks=20)
    assert service.finish() == "deployed"
    assert len(service.started) == 1
    assert service.finish() == "deployed"  # the result exists
    assert len(service.started) == 1


@pytest.mark.parametrize("away", [0, 30])
def test_a_lost_response_starts_nothing_again_however_long_the_service_is_away(away: int) -> None:
    service = Service(looks=20, lost=1)
    service.away = away
    assert service.finish() == "deployed"
    assert len(service.started) == 1


def test_its_error_is_reported() -> None:
    with pytest.raises(UserError, match=r"Vertex did not deploy version 3: .*no machine is free"):
        Service(looks=3, error="no machine is free").finish()


def test_the_error_of_an_operation_of_somebody_else_is_not() -> None:
    service = Service(looks=3)
    service.start()
    service.foreign = [service.started.pop()]
    service.foreign[0].name = "operations/foreign"
    assert service.finish() == "deployed"
    assert [one.name for one in service.started] == ["operations/0"]


def test_it_has_a_time_limit() -> None:
    service = Service(looks=10**6)
    with pytest.raises(TimeLimitError, match="Vertex did not deploy version 3 within 600 s"):
        service.finish(600)
    assert 600 <= service.now < 620


def test_a_service_that_stays_away_is_given_up_at_the_limit() -> None:
    service = Service()
    service.away = 10**6
    with pytest.raises(UserError, match="Vertex did not deploy version 3"):
        service.finish(600)
    assert 600 <= service.now < 620
