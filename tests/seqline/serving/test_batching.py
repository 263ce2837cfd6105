"""Batching, with an engine that answers when the test allows it and a clock that the test moves."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.serving.answers import Answer, Parameters
from seqline.serving.batching import Batcher, BusyError
from seqline.serving.engine import EngineGoneError, ModelFailedError
from seqline.serving.limits import Limits
from tests.seqline.serving.manual_loop import advance, clock, run


class GatedEngine:
    """Answers a batch in upper case each time `answer` is called; records the batches."""

    def __init__(self) -> None:
        self.lost = False
        self.batches: list[list[str]] = []
        self.parameters: list[Parameters] = []
        self.free = asyncio.Semaphore(0)
        self.crashes = 0

    async def predict(self, texts: list[str], parameters: Parameters) -> tuple[list[Answer], float]:
        self.batches.append(texts)
        self.parameters.append(parameters)
        crashes = self.crashes
        await self.free.acquire()
        if "crash" in texts and crashes == self.crashes:
            self.crashes += 1
        if crashes != self.crashes:  # since then, the worker has ended and another one has started
            raise EngineGoneError
        if "poison" in texts:
            raise ModelFailedError("poisoned")
        return [Answer(text.upper(), 0.0) for text in texts], 0.25

    async def stream(self, texts: list[str], parameters: Parameters) -> AsyncGenerator[list[Answer], None]:
        for text in texts:
            await self.free.acquire()
            yield [Answer(text, 0.0)]

    async def answer(self, seconds: float = 0.0) -> None:
        """Ends a batch `seconds` from now."""
        await advance(seconds)
        self.free.release()
        await advance()


def batcher(engine: GatedEngine, concurrency: int = 1, on_batch: Any = lambda *_: None, **limits: float) -> Batcher:
    return Batcher(engine, Limits(**limits), concurrency, on_batch, clock)  # type: ignore[arg-type]


async def send(queue: Batcher, *texts: str, parameters: Parameters = ()) -> "asyncio.Task[list[Answer]]":
    request = asyncio.create_task(queue.ask(list(texts), parameters))
    await advance()
    return request


async def together(queue: Batcher, engine: GatedEngine, *requests: Any, batches: int) -> list[Any]:
    """Sends all requests at once, the first one shortly before the rest, and answers some batches."""
    tasks = [await send(queue, *texts, parameters=parameters) for texts, parameters in requests]
    for _ in range(batches):
        await engine.answer()
        await advance(0.01)  # longer than it ever waits for more texts
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_an_idle_model_gets_a_text_at_once_and_a_busy_one_gets_the_queue() -> None:
    async def main() -> None:
        engine = GatedEngine()
        answers = await together(batcher(engine), engine, (["a"], ()), (["b"], ()), (["c", "d"], ()), batches=2)
        assert engine.batches == [["a"], ["b", "c", "d"]]
        assert answers == [[Answer("A", 0.0)], [Answer("B", 0.0)], [Answer("C", 0.0), Answer("D", 0.0)]]

    run(main())


def test_a_full_batch_is_the_oldest_text_and_texts_of_similar_length() -> None:
    async def main() -> None:
        engine = GatedEngine()
        texts = ["x" * length for length in (50, 10, 200, 49, 52)]
        await together(batcher(engine, batch=3), engine, (["a"], ()), (texts, ()), batches=3)
        assert [sorted(map(len, batch)) for batch in engine.batches] == [[1], [49, 50, 52], [10, 200]]

    run(main())


def test_concurrent_batches_share_the_queue_but_few_texts_stay_together() -> None:
    async def main() -> None:
        engine = GatedEngine()
        texts = [chr(ord("a") + number) for number in range(34)]
        queue = batcher(engine, concurrency=2)
        await together(queue, engine, (["1"], ()), (["2"], ()), (texts, ()), batches=5)
        assert [len(batch) for batch in engine.batches] == [1, 1, 17, 12, 5]
        assert [text for batch in engine.batches[2:] for text in batch] == texts

    run(main())


def test_much_longer_texts_do_not_delay_short_ones() -> None:
    async def main() -> None:
        engine = GatedEngine()
        await together(batcher(engine), engine, (["a"], ()), (["b"], ()), (["x" * 5000], ()), (["c"], ()), batches=3)
        assert [[len(text) for text in batch] for batch in engine.batches] == [[1], [1, 1], [5000]]

    run(main())


def test_short_texts_pass_long_ones_in_one_batch_at_a_time() -> None:
    async def main() -> None:
        engine = GatedEngine()
        queue = batcher(engine)
        long = await send(queue, "x" * 300)
        first, second, similar = await send(queue, "a"), await send(queue, "b"), await send(queue, "y" * 151)
        assert engine.batches == [["x" * 300], ["a"]]
        await engine.answer()  # of the long text: the next lane is free although a short one is in flight
        assert await long == [Answer("X" * 300, 0.0)]
        assert engine.batches[2:] == [["b", "y" * 151]]
        for _ in range(2):
            await engine.answer()
        assert await asyncio.gather(first, second, similar)
        assert queue.idle

    run(main())


@pytest.mark.parametrize(("length", "rested", "passes"), [(100, 13.4, False), (50, 13.4, True), (100, 13.6, True)])
def test_texts_half_as_long_pass_for_a_tenth_of_the_time(length: int, rested: float, passes: bool) -> None:
    async def main() -> None:
        engine = GatedEngine()
        queue = batcher(engine)
        requests = [await send(queue, "x" * 200), await send(queue, "a" * 100)]
        await engine.answer(1.0)  # of the long text
        requests.append(await send(queue, "y" * 200))
        await engine.answer(0.5)  # of the one that passed it, after 1.5 seconds
        await advance(rested)
        requests.append(await send(queue, "b" * length))
        assert [len(batch[0]) for batch in engine.batches[2:]] == ([200, length] if passes else [200])
        for _ in range(2):
            await engine.answer()
        await asyncio.gather(*requests)

    run(main())


@pytest.mark.parametrize(("length", "shorter"), [(59, 1), (60, 31), (300, 151)])
def test_a_text_waits_for_batches_that_are_not_much_longer(length: int, shorter: int) -> None:
    async def main() -> None:
        engine = GatedEngine()
        queue = batcher(engine)
        requests = [await send(queue, "x" * length), await send(queue, "y" * shorter)]
        assert engine.batches == [["x" * length]]
        for _ in requests:
            await engine.answer()
        await asyncio.gather(*requests)

    run(main())


@pytest.mark.parametrize(
    ("lengths", "batches"),
    [
        ((1, 255), [[1, 255]]),
        ((255, 256), [[255], [256]]),
        ((256, 1023), [[256, 1023]]),
        ((1023, 1024), [[1023], [1024]]),
    ],
)
def test_texts_up_to_four_times_as_long_share_a_batch(lengths: tuple[int, int], batches: list[list[int]]) -> None:
    async def main() -> None:
        engine = GatedEngine()
        texts = ["x" * length for length in lengths]
        await together(batcher(engine), engine, (["a"], ()), (texts, ()), batches=1 + len(batches))
        assert [[len(text) for text in batch] for batch in engine.batches[1:]] == batches

    run(main())


def test_texts_with_other_parameters_are_in_other_batches() -> None:
    async def main() -> None:
        engine = GatedEngine()
        greedy, wide = (("beam_size", 1),), (("beam_size", 8),)
        await together(batcher(engine), engine, (["a"], ()), (["b"], greedy), (["c"], wide), (["d"], greedy), batches=3)
        assert engine.batches == [["a"], ["b", "d"], ["c"]]
        assert engine.parameters == [(), greedy, wide]

    run(main())


@given(
    requests=st.lists(
        st.tuples(
            st.lists(st.sampled_from(["a", "bb", "c" * 300, "d" * 2000, "poison", "crash"]), min_size=1, max_size=9),
            st.sampled_from([(), (("beam_size", 2),), (("sampling", True),)]),
        ),
        max_size=8,
    ),
    batch=st.integers(1, 9),
    concurrency=st.integers(1, 3),
)
def test_every_request_gets_its_own_answers_or_its_own_error(requests: Any, batch: int, concurrency: int) -> None:
    async def main() -> None:
        engine = GatedEngine()
        queue = batcher(engine, concurrency, batch=batch)
        tasks = [await send(queue, *texts, parameters=parameters) for texts, parameters in requests]
        while not queue.idle:
            await engine.answer()
            await advance(0.01)
        for (texts, _), task in zip(requests, tasks, strict=True):
            if {"poison", "crash"}.isdisjoint(texts):
                assert await task == [Answer(text.upper(), 0.0) for text in texts]
            else:
                assert isinstance(task.exception(), ModelFailedError | EngineGoneError)
        assert all(len(sent) <= batch for sent in engine.batches)

    run(main())


def test_after_a_small_batch_the_next_one_starts_at_once() -> None:
    async def main() -> None:
        engine = GatedEngine()
        queue = batcher(engine)
        requests = [await send(queue, "a"), await send(queue, *"bcdefghijkl")]
        await engine.answer()
        requests.append(await send(queue, "z"))
        await engine.answer(10.0)
        assert engine.batches == [["a"], list("bcdefghijkl"), ["z"]]
        await engine.answer()
        await asyncio.gather(*requests)

    run(main())


@pytest.mark.parametrize(("seconds", "pause"), [(0.1, 0.005), (10.0, 0.01)])
def test_clients_that_just_got_an_answer_are_in_the_next_batch(seconds: float, pause: float) -> None:
    async def main() -> None:
        engine = GatedEngine()
        queue = batcher(engine)

        async def client(text: str) -> None:
            for number in (1, 2):
                await queue.ask([f"{text}{number}"])

        await send(queue, "a")
        names = "bcdefghijklm"
        clients = [asyncio.create_task(client(text)) for text in names]
        await engine.answer()
        await send(queue, "z")  # of another client
        await engine.answer(seconds)
        assert engine.batches == [["a"], [f"{name}1" for name in names]]
        await advance(0.9 * pause)
        assert len(engine.batches) == 2  # it still waits for more
        await advance(0.2 * pause)
        assert engine.batches[2:] == [["z", *(f"{name}2" for name in names)]]
        await engine.answer()
        await asyncio.gather(*clients)

    run(main())


def test_a_full_batch_does_not_wait_for_more() -> None:
    async def main() -> None:
        engine = GatedEngine()
        queue = batcher(engine, batch=3)
        await send(queue, "a")
        await send(queue, "b", "c", "d")
        await engine.answer()
        await send(queue, "e", "f", "g")
        await engine.answer(1.0)
        assert engine.batches[2:] == [["e", "f", "g"]]

    run(main())


def test_after_a_batch_of_one_text_the_next_does_not_wait() -> None:
    async def main() -> None:
        engine = GatedEngine()
        queue = batcher(engine)
        await send(queue, "a")
        await send(queue, "b")
        await engine.answer(1.0)
        assert engine.batches == [["a"], ["b"]]

    run(main())


@pytest.mark.parametrize(("idle", "waits"), [(0.009, True), (0.011, False)])
def test_a_text_waits_only_if_a_batch_just_ended(idle: float, waits: bool) -> None:
    async def main() -> None:
        engine = GatedEngine()
        queue = batcher(engine)
        await send(queue, "a")
        await send(queue, *"bcdefghijklm")
        await engine.answer()
        await engine.answer(1.0)
        await advance(idle)
        await send(queue, "z")
        assert engine.batches[2:] == ([] if waits else [["z"]])
        await advance(0.01)
        assert engine.batches[2:] == [["z"]]

    run(main())


@pytest.mark.parametrize(("queued", "late"), [(10, False), (11, True)])
def test_a_request_that_would_be_answered_too_late_is_rejected_at_once(queued: int, late: bool) -> None:
    async def main() -> None:
        engine = GatedEngine()
        queue = batcher(engine, seconds=5)
        first = await send(queue, "a")
        await engine.answer(0.5)  # two texts a second
        assert await first == [Answer("A", 0.0)]
        for text in ("b", *map(str, range(queued))):
            await send(queue, text)
        request = await send(queue, "c")
        await advance()
        assert request.done() == late
        if late:
            assert isinstance(error := request.exception(), BusyError)
            assert (error.retry_after, str(error)) == (6, "too many requests are waiting; try again in 6 s")

    run(main())


def test_the_retry_time_follows_the_pace_of_the_last_batches() -> None:
    async def main() -> None:
        engine = GatedEngine()
        queue = batcher(engine, queue=20)
        await send(queue, "a", "b")
        await engine.answer(1.0)  # two texts a second
        await advance(1.0)
        await send(queue, *"cdef")
        await engine.answer(1.0)  # four texts a second, of which a tenth counts: 2.2
        await advance(1.0)
        await send(queue, "g")
        await send(queue, *map(str, range(10)))
        with pytest.raises(BusyError) as busy:
            await queue.ask(["x"] * 11)
        assert busy.value.retry_after == 5

    run(main())


@pytest.mark.parametrize(("seconds", "retry_after"), [(0.001, 1), (1000.0, 60)])
def test_the_retry_time_is_between_a_second_and_a_minute(seconds: float, retry_after: int) -> None:
    async def main() -> None:
        engine = GatedEngine()
        queue = batcher(engine, queue=2, seconds=10_000)
        await send(queue, "a")
        await engine.answer(seconds)
        await send(queue, "b")
        await send(queue, "c")
        with pytest.raises(BusyError) as busy:
            await queue.ask(["d", "e"])
        assert busy.value.retry_after == retry_after

    run(main())


def test_a_full_queue_rejects_requests_with_a_retry_time() -> None:
    async def main() -> None:
        engine = GatedEngine()
        queue = batcher(engine, queue=2)
        answers = await together(queue, engine, (["a"], ()), (["b", "c"], ()), (["d"], ()), batches=2)
        assert answers[:2] == [[Answer("A", 0.0)], [Answer("B", 0.0), Answer("C", 0.0)]]
        assert isinstance(answers[2], BusyError)
        assert answers[2].retry_after == 1

    run(main())


def test_a_cancelled_request_is_not_answered() -> None:
    async def main() -> None:
        engine = GatedEngine()
        queue = batcher(engine)
        first, second = [await send(queue, text) for text in "ab"]
        second.cancel()
        await advance()
        assert queue.waiting == 0
        assert not queue.idle
        await engine.answer()
        assert await first == [Answer("A", 0.0)]
        assert engine.batches == [["a"]]
        assert queue.idle

    run(main())


@pytest.mark.parametrize(("bad", "error"), [("poison", ModelFailedError), ("crash", EngineGoneError)])
def test_a_bad_text_does_not_fail_the_others_of_its_batch(bad: str, error: type[Exception]) -> None:
    async def main() -> None:
        engine = GatedEngine()
        answers = await together(batcher(engine), engine, (["a"], ()), (["b"], ()), ([bad], ()), (["c"], ()), batches=5)
        assert engine.batches == [["a"], ["b", bad, "c"], ["b"], [bad], ["c"]]
        assert [answer for answer in answers if isinstance(answer, list)] == [[Answer(text, 0.0)] for text in "ABC"]
        assert isinstance(answers[2], error)

    run(main())


@pytest.mark.parametrize(("text", "attempts"), [("poison", 1), ("crash", 2)])
def test_a_text_that_fails_alone_is_retried_only_if_the_worker_ended(text: str, attempts: int) -> None:
    async def main() -> None:
        engine = GatedEngine()
        (answer,) = await together(batcher(engine), engine, ([text], ()), batches=attempts)
        assert isinstance(answer, Exception)
        assert engine.batches == [[text]] * attempts

    run(main())


def test_texts_of_a_crash_are_retried_with_nothing_beside_them() -> None:
    async def main() -> None:
        engine = GatedEngine()
        queue = batcher(engine, concurrency=2)
        crash, innocent = await send(queue, "crash"), await send(queue, "x" * 300)
        await engine.answer()
        other = await send(queue, "b")  # not even a short text passes
        assert engine.batches[2:] == []  # the other batch has not ended yet
        await engine.answer()
        for text in ("x" * 300, "crash", "b"):
            assert engine.batches[-1] == [text]
            await engine.answer()
        assert isinstance(crash.exception(), EngineGoneError)
        assert await innocent == [Answer("X" * 300, 0.0)]
        assert await other == [Answer("B", 0.0)]

    run(main())


def test_a_text_whose_batch_was_poisoned_survives_a_crash_beside_it() -> None:
    async def main() -> None:
        engine = GatedEngine()
        queue = batcher(engine, concurrency=2)
        first, second, innocent, poison = [await send(queue, text) for text in ("1", "2", "a", "poison")]
        crash = await send(queue, "crash", parameters=(("beam_size", 2),))
        for _ in range(3):
            await engine.answer()
        assert engine.batches[2:] == [["a", "poison"], ["crash"], ["a"]]  # the last two are in flight
        while not queue.idle:
            await engine.answer()
        assert [await each for each in (first, second, innocent)] == [[Answer(text, 0.0)] for text in "12A"]
        assert isinstance(poison.exception(), ModelFailedError)
        assert isinstance(crash.exception(), EngineGoneError)

    run(main())


SAMPLED = (("sampling", True),)


@pytest.mark.parametrize(
    ("parameters", "batches"),
    [
        (SAMPLED, [["1"], ["a", "b"], ["a"], ["a"]]),
        ((*SAMPLED, ("seed", 7)), [["1"], ["a", "b", "a", "a"]]),
        ((("sampling", False),), [["1"], ["a", "b", "a", "a"]]),
        ((), [["1"], ["a", "b", "a", "a"]]),
    ],
)
def test_equal_texts_that_are_sampled_without_a_seed_share_no_batch(
    parameters: Parameters, batches: list[list[str]]
) -> None:
    async def main() -> None:
        engine = GatedEngine()
        requests = (["1"], ()), (["a", "b"], parameters), (["a"], parameters), (["a"], parameters)
        answers = await together(batcher(engine), engine, *requests, batches=len(batches))
        assert engine.batches == batches
        assert answers[1:] == [[Answer("A", 0.0), Answer("B", 0.0)], [Answer("A", 0.0)], [Answer("A", 0.0)]]

    run(main())


def test_equal_texts_that_are_sampled_do_not_pass_a_long_one_together() -> None:
    async def main() -> None:
        engine = GatedEngine()
        queue = batcher(engine)
        requests = [await send(queue, "x" * 300), await send(queue, "a", "b", "a", parameters=SAMPLED)]
        assert engine.batches[1:] == [["a", "b"]]
        while not queue.idle:
            await engine.answer()
        await asyncio.gather(*requests)

    run(main())


def test_while_the_worker_restarts_texts_wait_and_the_next_worker_answers_them() -> None:
    async def main() -> None:
        first, second = GatedEngine(), GatedEngine()
        queue = batcher(first)
        first.lost = True
        request = await send(queue, "a")
        await advance(60)
        assert (first.batches, queue.waiting) == ([], 1)
        queue.replace(second)  # type: ignore[arg-type]
        await second.answer()
        assert await request == [Answer("A", 0.0)]

    run(main())


def test_if_no_worker_can_be_started_the_texts_that_wait_fail() -> None:
    async def main() -> None:
        engine = GatedEngine()
        engine.lost = True
        queue = batcher(engine)
        request, gone = await send(queue, "a"), await send(queue, "b")
        gone.cancel()
        queue.fail()
        with pytest.raises(EngineGoneError):
            await request
        assert queue.idle

    run(main())


def test_a_batch_is_reported_with_its_size_the_model_s_time_and_the_longest_wait() -> None:
    async def main() -> None:
        engine = GatedEngine()
        reports: list[tuple[int, float, float]] = []
        queue = batcher(engine, on_batch=lambda *report: reports.append(report))
        await send(queue, "a")
        await send(queue, "b")
        await advance(1.0)
        await send(queue, "c")
        await engine.answer(2.0)
        await engine.answer(0.5)
        assert reports == [(1, 0.25, 0.0), (2, 0.25, 3.0)]
        assert queue.answered == clock()

    run(main())


def test_the_time_of_the_last_answer_is_forgotten_when_the_model_fails() -> None:
    async def main() -> None:
        engine = GatedEngine()
        queue = batcher(engine)
        assert queue.answered == -float("inf")
        await together(queue, engine, (["a"], ()), batches=1)
        assert queue.answered == clock() - 0.01
        await together(queue, engine, (["poison"], ()), batches=1)
        assert queue.answered == -float("inf")

    run(main())


def test_a_batch_in_flight_is_no_sign_of_work_after_the_model_failed() -> None:
    async def main() -> None:
        engine = GatedEngine()
        queue = batcher(engine)
        first = asyncio.create_task(queue.ask(["a"]))
        await advance()
        assert queue.works
        await engine.answer()
        await first
        await together(queue, engine, (["poison"], ()), batches=1)
        again = asyncio.create_task(queue.ask(["b"]))
        await advance()
        assert not queue.works
        await engine.answer()
        await again

    run(main())


def test_streams_up_to_their_limit_run_beside_the_batches() -> None:
    async def main() -> None:
        engine = GatedEngine()
        queue = batcher(engine, streams=1)
        stream = queue.stream(["Ein", "Ein Hund"])
        engine.free.release()
        assert await anext(stream) == [Answer("Ein", 0.0)]
        assert not queue.idle
        with pytest.raises(BusyError) as busy:
            await anext(queue.stream(["Zwei"]))
        assert busy.value.retry_after == 1
        await advance(5.0)
        engine.free.release()
        assert [answers async for answers in stream] == [[Answer("Ein Hund", 0.0)]]
        assert queue.idle
        assert queue.answered == clock()
        engine.free.release()
        assert [answers async for answers in queue.stream(["Zwei"])] == [[Answer("Zwei", 0.0)]]

    run(main())
