"""How long a command waits for a service that has never answered, and what it says."""

import contextlib
import socket
from collections.abc import Iterator

import pytest
import requests
import urllib3

from seqline.vertex_api.first_contact import COMMAND_ATTEMPTS, COMMAND_SECONDS, FirstContact, is_silence, reason_of
from seqline.vertex_api.retries import Retries


@pytest.fixture
def contact(monkeypatch: pytest.MonkeyPatch) -> FirstContact:
    contact = FirstContact(COMMAND_SECONDS)
    monkeypatch.setattr("seqline.vertex_api.retries.first_contact", contact)
    return contact


class OverloadedError(Exception):
    status = 503


def attempts(errors: Iterator[Exception]) -> int:
    """How often a call is tried that fails each time."""
    made = []

    def call() -> None:
        made.append(1)
        raise next(errors)

    @contextlib.contextmanager
    def explained(what: str) -> Iterator[None]:
        yield

    with pytest.raises((OSError, OverloadedError), match=r".*"):
        Retries((1.0,) * 5, explained, lambda error: True, sleep=lambda seconds: None).read("read", call)
    return len(made)


def test_a_command_tries_a_service_twice_that_has_never_answered(contact: FirstContact) -> None:
    assert attempts(iter([ConnectionRefusedError("refused")] * 6)) == 2


def test_a_service_that_has_answered_is_tried_again_for_long(contact: FirstContact) -> None:
    assert attempts(iter([OverloadedError(), *[ConnectionRefusedError()] * 5])) == 6
    assert attempts(iter([ConnectionRefusedError()] * 6)) == 6


def test_a_stage_waits_for_its_network(contact: FirstContact) -> None:
    contact.seconds = 0.0
    assert attempts(iter([ConnectionRefusedError()] * 6)) == 6
    assert contact.connect_seconds(10.0) == 10.0


def test_the_time_limit_to_connect_is_short_before_the_first_answer(contact: FirstContact) -> None:
    assert contact.connect_seconds(10.0) == COMMAND_SECONDS
    contact.answered = True
    assert contact.connect_seconds(10.0) == 10.0
    assert COMMAND_ATTEMPTS * COMMAND_SECONDS + 0.5 < 3


def test_the_reason_is_a_few_words() -> None:
    with socket.socket() as bound:  # not listening: refuses
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
        with pytest.raises(requests.ConnectionError) as by_requests:
            requests.get(url, timeout=5)
        with pytest.raises(urllib3.exceptions.HTTPError) as by_urllib3:
            urllib3.PoolManager().request("GET", url, retries=0)
    for found in (by_requests.value, by_urllib3.value):
        assert is_silence(found)
        assert reason_of(found) == "Connection refused"
    assert not is_silence(OverloadedError())
    assert reason_of(ValueError("plain")) == "plain"
