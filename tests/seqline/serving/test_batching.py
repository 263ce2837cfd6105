"""Batching, against an engine that answers when the test lets it."""

import asyncio
from typing import Any

import pytest

from seqline.serving.answers import Answer, Parameters
from seqline.serving.batching import Batcher, BusyError
from seqline.serving.engine import EngineGoneError, ModelFailedError
from seqline.serving.limits import Limits


class SlowEngine:
    """Answers each batch when told to; notes what it was asked."""

    def __init__(self) -> None:
        self.lost = False
        self.asked: list[list[str]] = []
        self.parameters: list[Parameters] = []
        self.free = asyncio.Semaphore(0)

    async def predict(self, texts: list[str], parameters: Parameters) -> tuple[list[Answer], float]:
        self.asked.append(texts)
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
    """Asks all at once, the first one a moment before the rest, and lets so many batches through."""
    asked = []
    for texts, parameters in requests:
        asked.append(asyncio.create_task(batcher.ask(texts, parameters)))
        await asyncio.sleep(0)
    for _ in range(batches):
        engine.free.release()
        await asyncio.sleep(0.02)
    return await asyncio.gather(*asked, return_exceptions=True)


def test_an_idle_model_gets_a_text_at_once_and_a_busy_one_what_has_queued() -> None:
    async def run() -> None:
        engine = SlowEngine()
        answers = await together(batcher(engine), engine, (["a"], ()), (["b"], ()), (["c", "d"], ()), batches=2)
        assert engine.asked == [["a"], ["b", "c", "d"]]
        assert answers == [[Answer("A", 0.0)], [Answer("B", 0.0)], [Answer("C", 0.0), Answer("D", 0.0)]]

    asyncio.run(run())


def test_a_full_batch_is_the_oldest_text_and_those_of_about_its_length() -> None:
    async def run() -> None:
        engine = SlowEngine()
        texts = ["x" * length for length in (50, 10, 200, 49, 52)]
        await together(batcher(engine, batch=3), engine, (["a"], ()), (texts, ()), batches=3)
        assert [sorted(map(len, batch)) for batch in engine.asked] == [[1], [49, 50, 52], [10, 200]]

    asyncio.run(run())


def test_batches_side_by_side_share_what_waits_but_a_few_texts_stay_together() -> None:
    async def run() -> None:
        engine = SlowEngine()
        shared = Batcher(engine, Limits(), concurrency=2)  # type: ignore[arg-type]
        texts = [chr(ord("a") + number) for number in range(24)]
        await together(shared, engine, (["1"], ()), (["2"], ()), (texts, ()), batches=5)
        assert [len(batch) for batch in engine.asked] == [1, 1, 12, 8, 4]
        assert [text for batch in engine.asked[2:] for text in batch] == texts

    asyncio.run(run())


def test_much_longer_texts_do_not_hold_up_short_ones() -> None:
    async def run() -> None:
        engine = SlowEngine()
        await together(batcher(engine), engine, (["a"], ()), (["b"], ()), (["x" * 5000], ()), (["c"], ()), batches=3)
        assert [[len(text) for text in batch] for batch in engine.asked] == [[1], [1, 1], [5000]]

    asyncio.run(run())


def test_texts_with_other_parameters_are_answered_apart() -> None:
    async def run() -> None:
        engine = SlowEngine()
        greedy, wide = (("beam_size", 1),), (("beam_size", 8),)
        await together(batcher(engine), engine, (["a"], ()), (["b"], greedy), (["c"], wide), (["d"], greedy), batches=3)
        assert engine.asked == [["a"], ["b", "d"], ["c"]]
        assert engine.parameters == [(), greedy, wide]

    asyncio.run(run())


def test_what_would_be_answered_too_late_is_refused_at_once() -> None:
    async def run() -> None:
        engine = SlowEngine()
        held = Batcher(engine, Limits(seconds=0.1), concurrency=1)
        paced = asyncio.create_task(held.ask(["a"]))
        await asyncio.sleep(0.05)
        engine.free.release()
        await paced  # at most 20 texts a second
        first, queued = (asyncio.create_task(held.ask([text] * count)) for text, count in (("b", 1), ("c", 60)))
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match=r"try again in \d+ s"):
            await held.ask(["d"])
        engine.free.release()
        engine.free.release()
        assert len(await first) + len(await queued) == 61
        held.limits = Limits(seconds=60)
        engine.free.release()
        assert await held.ask(["d"]) == [Answer("D", 0.0)]

    asyncio.run(run())


def test_beyond_the_queue_is_refused_and_says_when_to_come_back() -> None:
    async def run() -> None:
        engine = SlowEngine()
        held = batcher(engine, queue=2)
        answers = await together(held, engine, (["a"], ()), (["b", "c"], ()), (["d"], ()), batches=2)
        assert answers[:2] == [[Answer("A", 0.0)], [Answer("B", 0.0), Answer("C", 0.0)]]
        assert isinstance(answers[2], BusyError)
        assert 1 <= answers[2].retry_after <= 60

    asyncio.run(run())


def test_what_nobody_waits_for_is_not_answered() -> None:
    async def run() -> None:
        engine = SlowEngine()
        held = batcher(engine)
        first, second = (asyncio.create_task(held.ask([text])) for text in "ab")
        await asyncio.sleep(0)
        second.cancel()
        engine.free.release()
        await first
        await asyncio.sleep(0.02)
        assert engine.asked == [["a"]]
        assert held.idle

    asyncio.run(run())


@pytest.mark.parametrize(("bad", "error"), [("poison", ModelFailedError), ("crash", EngineGoneError)])
def test_a_bad_text_does_not_take_the_others_of_its_batch_with_it(bad: str, error: type[Exception]) -> None:
    async def run() -> None:
        engine = SlowEngine()
        answers = await together(batcher(engine), engine, (["a"], ()), (["b"], ()), ([bad], ()), (["c"], ()), batches=5)
        assert engine.asked == [["a"], ["b", bad, "c"], ["b"], [bad], ["c"]]
        assert [answer for answer in answers if isinstance(answer, list)] == [[Answer(text, 0.0)] for text in "ABC"]
        assert isinstance(answers[2], error)

    asyncio.run(run())


def test_after_a_batch_it_lingers_for_those_who_were_just_answered() -> None:
    async def run() -> None:
        engine = SlowEngine()
        held = batcher(engine)

        async def client(text: str) -> None:
            for _ in range(2):
                await held.ask([text])

        clients = [asyncio.create_task(client(text)) for text in ("a", "b", "c")]
        await asyncio.sleep(0.3)
        for _ in range(3):
            engine.free.release()
            await asyncio.sleep(0.1)
        engine.free.release()
        await asyncio.gather(*clients)
        # The first goes alone; then the other two, who then ask again together with what has queued.
        assert engine.asked[:2] == [["a"], ["b", "c"]] or engine.asked[:2] == [["a"], ["b", "c", "a"]]
        assert sorted(text for batch in engine.asked for text in batch) == ["a", "a", "b", "b", "c", "c"]
        assert len(engine.asked) <= 4

    asyncio.run(run())
