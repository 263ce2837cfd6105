"""Batching, with an engine that answers when the test allows it."""

import asyncio
from typing import Any

import pytest

from seqline.serving.answers import Answer, Parameters
from seqline.serving.batching import Batcher, BusyError
from seqline.serving.engine import EngineGoneError, ModelFailedError
from seqline.serving.limits import Limits


class SlowEngine:
    """Answers each batch after `free` is released; records the batches."""

    def __init__(self) -> None:
        self.lost = False
        self.batches: list[list[str]] = []
        self.parameters: list[Parameters] = []
        self.free = asyncio.Semaphore(0)

    async def predict(self, texts: list[str], parameters: Parameters) -> tuple[list[Answer], float]:
        self.batches.append(texts)
        self.parameters.append(parameters)
        await self.free.acquire()
        if "poison" in texts:
            raise ModelFailedError("poisoned")
        if "crash" in texts:
            raise EngineGoneError
        return [Answer(text.upper(), 0.0) for text in texts], 0.0


def batcher(engine: SlowEngine, **limits: int) -> Batcher:
    return Batcher(engine, Limits(**limits), concurrency=1)  # type: ignore[arg-type]


async def together(batcher: Batcher, engine: SlowEngine, *requests: Any, batches: int) -> list[Any]:
    """Sends all requests at once, the first one shortly before the rest, and answers some batches."""
    tasks = []
    for texts, parameters in requests:
        tasks.append(asyncio.create_task(batcher.ask(texts, parameters)))
        await asyncio.sleep(0)
    for _ in range(batches):
        engine.free.release()
        await asyncio.sleep(0.02)
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_an_idle_model_gets_a_text_at_once_and_a_busy_one_gets_the_queue() -> None:
    async def run() -> None:
        engine = SlowEngine()
        answers = await together(batcher(engine), engine, (["a"], ()), (["b"], ()), (["c", "d"], ()), batches=2)
        assert engine.batches == [["a"], ["b", "c", "d"]]
        assert answers == [[Answer("A", 0.0)], [Answer("B", 0.0)], [Answer("C", 0.0), Answer("D", 0.0)]]

    asyncio.run(run())


def test_a_full_batch_is_the_oldest_text_and_texts_of_similar_length() -> None:
    async def run() -> None:
        engine = SlowEngine()
        texts = ["x" * length for length in (50, 10, 200, 49, 52)]
        await together(batcher(engine, batch=3), engine, (["a"], ()), (texts, ()), batches=3)
        assert [sorted(map(len, batch)) for batch in engine.batches] == [[1], [49, 50, 52], [10, 200]]

    asyncio.run(run())


def test_concurrent_batches_share_the_queue_but_few_texts_stay_together() -> None:
    async def run() -> None:
        engine = SlowEngine()
        shared = Batcher(engine, Limits(), concurrency=2)  # type: ignore[arg-type]
        texts = [chr(ord("a") + number) for number in range(24)]
        await together(shared, engine, (["1"], ()), (["2"], ()), (texts, ()), batches=5)
        assert [len(batch) for batch in engine.batches] == [1, 1, 12, 8, 4]
        assert [text for batch in engine.batches[2:] for text in batch] == texts

    asyncio.run(run())


def test_much_longer_texts_do_not_delay_short_ones() -> None:
    async def run() -> None:
        engine = SlowEngine()
        await together(batcher(engine), engine, (["a"], ()), (["b"], ()), (["x" * 5000], ()), (["c"], ()), batches=3)
        assert [[len(text) for text in batch] for batch in engine.batches] == [[1], [1, 1], [5000]]

    asyncio.run(run())


def test_texts_with_other_parameters_are_in_other_batches() -> None:
    async def run() -> None:
        engine = SlowEngine()
        greedy, wide = (("beam_size", 1),), (("beam_size", 8),)
        await together(batcher(engine), engine, (["a"], ()), (["b"], greedy), (["c"], wide), (["d"], greedy), batches=3)
        assert engine.batches == [["a"], ["b", "d"], ["c"]]
        assert engine.parameters == [(), greedy, wide]

    asyncio.run(run())


def test_a_request_that_would_be_answered_too_late_is_rejected_at_once() -> None:
    async def run() -> None:
        engine = SlowEngine()
        queue = Batcher(engine, Limits(seconds=0.1), concurrency=1)
        paced = asyncio.create_task(queue.ask(["a"]))
        await asyncio.sleep(0.05)
        engine.free.release()
        await paced  # at most 20 texts a second
        first, queued = (asyncio.create_task(queue.ask([text] * count)) for text, count in (("b", 1), ("c", 60)))
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match=r"try again in \d+ s"):
            await queue.ask(["d"])
        engine.free.release()
        engine.free.release()
        assert len(await first) + len(await queued) == 61
        queue.limits = Limits(seconds=60)
        engine.free.release()
        assert await queue.ask(["d"]) == [Answer("D", 0.0)]

    asyncio.run(run())


def test_a_full_queue_rejects_requests_with_a_retry_time() -> None:
    async def run() -> None:
        engine = SlowEngine()
        queue = batcher(engine, queue=2)
        answers = await together(queue, engine, (["a"], ()), (["b", "c"], ()), (["d"], ()), batches=2)
        assert answers[:2] == [[Answer("A", 0.0)], [Answer("B", 0.0), Answer("C", 0.0)]]
        assert isinstance(answers[2], BusyError)
        assert 1 <= answers[2].retry_after <= 60

    asyncio.run(run())


def test_a_cancelled_request_is_not_answered() -> None:
    async def run() -> None:
        engine = SlowEngine()
        queue = batcher(engine)
        first, second = (asyncio.create_task(queue.ask([text])) for text in "ab")
        await asyncio.sleep(0)
        second.cancel()
        engine.free.release()
        await first
        await asyncio.sleep(0.02)
        assert engine.batches == [["a"]]
        assert queue.idle

    asyncio.run(run())


@pytest.mark.parametrize(("bad", "error"), [("poison", ModelFailedError), ("crash", EngineGoneError)])
def test_a_bad_text_does_not_fail_the_others_of_its_batch(bad: str, error: type[Exception]) -> None:
    async def run() -> None:
        engine = SlowEngine()
        answers = await together(batcher(engine), engine, (["a"], ()), (["b"], ()), ([bad], ()), (["c"], ()), batches=5)
        assert engine.batches == [["a"], ["b", bad, "c"], ["b"], [bad], ["c"]]
        assert [answer for answer in answers if isinstance(answer, list)] == [[Answer(text, 0.0)] for text in "ABC"]
        assert isinstance(answers[2], error)

    asyncio.run(run())


def test_after_a_batch_the_batcher_waits_for_clients_that_just_got_an_answer() -> None:
    async def run() -> None:
        engine = SlowEngine()
        queue = batcher(engine)

        async def client(text: str) -> None:
            for _ in range(2):
                await queue.ask([text])

        clients = [asyncio.create_task(client(text)) for text in ("a", "b", "c")]
        await asyncio.sleep(0.3)
        for _ in range(3):
            engine.free.release()
            await asyncio.sleep(0.1)
        engine.free.release()
        await asyncio.gather(*clients)
        # The first text is alone; then the other two, whose clients send again and share a batch with the queue.
        assert engine.batches[:2] == [["a"], ["b", "c"]] or engine.batches[:2] == [["a"], ["b", "c", "a"]]
        assert sorted(text for batch in engine.batches for text in batch) == ["a", "a", "b", "b", "c", "c"]
        assert len(engine.batches) <= 4

    asyncio.run(run())
