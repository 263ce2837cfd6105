"""The sampler by itself, without its thread and its process: what it drops, and what it sends."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from seqline.artifacts.request_log import REQUESTS
from seqline.endpoints.sampling import Sampling
from seqline.sampling.features import Features, Sample, with_texts
from seqline.sampling.received_feedback import ReceivedFeedback
from seqline.sampling.recent import Known
from seqline.serving import sampler as module
from seqline.serving.answer_ids import Ids
from seqline.serving.answers import Answer, Counts
from seqline.serving.metrics import Metrics
from seqline.serving.sampler import Sampler

Make = Callable[..., Sampler]


class StandIn:
    """A process that takes messages while it is ready."""

    def __init__(self, settings: Sampling, metrics: Metrics) -> None:
        self.messages: list[Mapping[str, Any]] = []
        self.rows: list[Mapping[str, int]] = []
        self.ready = True
        self.closed = False

    def is_ready(self, urgent: bool = False) -> bool:
        return self.ready

    def send(self, message: Mapping[str, Any], rows: Mapping[str, int]) -> None:
        self.messages.append(message)
        self.rows.append(rows)

    def close(self, seconds: float) -> None:
        self.closed = True

    @property
    def answers(self) -> list[Sample]:
        return [Sample._make(one) for message in self.messages for one in message["answers"]]

    @property
    def feedback(self) -> list[ReceivedFeedback]:
        return [ReceivedFeedback._make(one) for message in self.messages for one in message["feedback"]]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setattr(module, "RowProcess", StandIn)

    def made(**settings: Any) -> Sampler:
        return Sampler(
            Sampling(1.0, folder=str(tmp_path), **settings),
            lambda version: Path(f"/models/{version}"),
            Metrics(),
            False,
        )

    return made


def take(sampler: Sampler, *texts: str) -> Ids:
    ids = Ids.draw(len(texts), 1.0)
    answers = [Answer(f"of {text}", -1.0, cut=True, counts=Counts(4, (3,), (True,))) for text in texts]
    sampler.take(ids, 3, "predict", 0.5, texts, answers, "web")
    return ids


def process_of(sampler: Sampler) -> StandIn:
    process = sampler._process
    assert isinstance(process, StandIn)
    return process


def dropped(sampler: Sampler, reason: str) -> float:
    return sampler._metrics.registry.get_sample_value("seqline_sample_drops_total", {"reason": reason}) or 0.0


def rated(id_: str) -> ReceivedFeedback:
    return ReceivedFeedback(id_, 1.0, "3", rating=1.0)


def test_the_answers_are_sent_with_the_folder_of_their_model(make: Make) -> None:
    sampler = make()
    (id_,) = take(sampler, "dog").sampled
    sampler.take_feedback(rated(id_))
    sampler.work()
    (message,) = process_of(sampler).messages
    assert (message["models"], message["behind"]) == ({"3": "/models/3"}, False)
    (answer,) = process_of(sampler).answers
    assert answer == Sample(id_, answer.time, "3", "predict", 0.5, "dog", "of dog", 2, True, -1.0, "web")
    assert process_of(sampler).feedback == [rated(id_)]
    assert process_of(sampler).rows == [{"write": 1, "feedback": 1}]


def test_what_the_queue_has_no_room_for_is_dropped_and_counted(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUE", 2)
    sampler = make()
    ids = take(sampler, "a", "b", "c")
    assert dropped(sampler, "queue") == 1
    assert sampler.recent.find(ids.sampled[2]) is None
    assert not sampler.take_feedback(rated(ids.sampled[0]))
    sampler.work()
    assert sampler.take_feedback(rated(ids.sampled[0]))
    sampler.close()
    assert [answer.id for answer in process_of(sampler).answers] == list(ids.sampled[:2])
    assert dropped(sampler, "queue") == 1


def test_the_characters_that_wait_are_limited_and_freed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUED_CHARACTERS", 10)
    sampler = make()
    for _ in range(3):
        (id_,) = take(sampler, "abc").sampled  # 9 characters with its answer
        assert not sampler.take_feedback(rated(id_)._replace(comment="12"))
        sampler.work()
        assert sampler.take_feedback(rated(id_)._replace(comment="12"))
        sampler.work()
    assert dropped(sampler, "queue") == 0
    take(sampler, "abc", "abc")
    assert dropped(sampler, "queue") == 1


def test_many_answers_are_sent_in_several_messages_and_say_that_the_process_is_behind(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    monkeypatch.setattr(module, "BEHIND", 4)
    sampler = make()
    ids = take(sampler, "a", "b", "c", "d", "e").sampled
    sampler.work()
    assert [answer.id for answer in process_of(sampler).answers] == list(ids)
    messages = process_of(sampler).messages
    assert [(len(message["answers"]), message["behind"]) for message in messages] == [(2, True), (2, False), (1, False)]


def test_answers_wait_until_the_process_is_there_again_and_are_counted_at_the_end(make: Make) -> None:
    sampler = make()
    process_of(sampler).ready = False
    (id_,) = take(sampler, "a").sampled
    sampler.work()
    assert not process_of(sampler).messages
    process_of(sampler).ready = True
    sampler.work()
    assert process_of(sampler).answers[0].id == id_
    process_of(sampler).ready = False
    take(sampler, "b", "c")
    sampler.take_feedback(rated(id_))
    sampler.close()
    assert process_of(sampler).closed
    assert (dropped(sampler, "write"), dropped(sampler, "feedback")) == (2, 1)


def test_where_texts_are_stored_feedback_has_what_was_served(make: Make) -> None:
    sampler = make(texts=True)
    (id_,) = take(sampler, "dog").sampled
    assert sampler.recent.find(id_) == Known("3", "dog", "of dog")
    sampler.take_feedback(rated(id_)._replace(source="forged", output="forged"))
    sampler.work()
    assert process_of(sampler).feedback == [rated(id_)._replace(source="dog", output="of dog")]


def test_without_stored_texts_the_client_says_what_its_correction_is_of(make: Make) -> None:
    sampler = make()
    (id_,) = take(sampler, "dog").sampled
    assert sampler.recent.find(id_) == Known("3")
    said = rated(id_)._replace(source="dog", output="Katze", correction="Hund")
    sampler.take_feedback(said)
    sampler.work()
    assert process_of(sampler).feedback == [said]


def test_an_answer_of_another_server_is_found_once_its_file_is_written(make: Make, tmp_path: Path) -> None:
    sampler = make(texts=True)
    assert sampler.look("a") is None
    rows = Features(lambda version: None).table([Sample("a", 1.0, "3", "predict", 0.5, "", "")])
    REQUESTS.write(tmp_path, with_texts(rows, ["a ***"], ["***"]))
    known = sampler.look("a")
    assert known == Known("3", "a ***", "***", redacted=True)
    sampler.recent.add("a", known)
    sampler.take_feedback(rated("a"))
    sampler.work()
    assert process_of(sampler).feedback == [rated("a")._replace(source="a ***", output="***", redacted=True)]


def test_files_are_looked_in_once_a_second(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler, now_ = make(), 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now_)
    assert [sampler.may_look(), sampler.may_look()] == [True, False]
    now_ = 101.0
    assert sampler.may_look()
