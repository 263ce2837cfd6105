"""The queue of a stream's partial answers."""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.serving.partial_answers import QUEUED, PartialAnswers


@given(st.integers(0, 200), st.booleans())
def test_it_stays_small_and_has_the_first_and_the_last_item(count: int, fails: bool) -> None:
    async def main() -> list[int]:
        found: PartialAnswers[int] = PartialAnswers()
        for number in range(count):
            found.put(number)
        found.end(ValueError("no") if fails else None)
        found.end()  # only the first end counts
        read: list[int] = []
        with pytest.raises(ValueError, match="no") if fails else contextlib.nullcontext():
            async for number in found:
                read.append(number)  # noqa: PERF401 (an error ends the loop)
        return read

    read = asyncio.run(main())
    assert read == sorted(set(read))
    assert len(read) == min(count, QUEUED)
    assert read[:1] + read[-1:] == ([0, count - 1] if count else [])


def test_a_reader_waits_for_the_next_item() -> None:
    async def main() -> None:
        found: PartialAnswers[int] = PartialAnswers()
        reading = asyncio.create_task(anext(found))
        await asyncio.sleep(0)
        assert not reading.done()
        found.put(3)
        assert await reading == 3
        found.end()
        with pytest.raises(StopAsyncIteration):
            await anext(found)

    asyncio.run(main())
