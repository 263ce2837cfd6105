"""Streamed answers as server-sent events.

    data: {"index": 0, "delta": "Ein "}                              new text of an answer; deltas add up to it
    event: done
    data: {"predictions": [{"text": "Ein Hund", "score": -0.2}]}     the response without streaming
    event: error
    data: {"error": "..."}                                           instead of done

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from seqline.serving.contract import response
from seqline.serving.growing_text import GrowingText
from seqline.serving.request_errors import RequestError
from seqline.serving.service import Answered


async def events(first: Answered, stream: AsyncGenerator[Answered, None], by_column: bool) -> AsyncIterator[bytes]:
    """Converts partial answers into events.

    Args:
        first: The first of them, already read.
        stream: The others.
        by_column: As for `response`.
    """
    texts = [GrowingText() for _ in first.answers]
    answered = first
    try:
        for event in _deltas(texts, answered):
            yield event
        async for answered in stream:
            for event in _deltas(texts, answered):
                yield event
    except RequestError as error:
        yield _event({"error": str(error)}, "error")
        return
    finally:
        await stream.aclose()
    # Sends text that was withheld. If text that was already sent has changed, only the event done is correct.
    for event in _deltas(texts, answered, last=True):
        yield event
    yield _event(response(answered, by_column), "done")


def _deltas(texts: list[GrowingText], answered: Answered, last: bool = False) -> list[bytes]:
    """Events with the new text."""
    found = []
    for index, (text, answer) in enumerate(zip(texts, answered.answers, strict=True)):
        if new := text.added(answer.text, last):
            found.append(_event({"index": index, "delta": new}))
    return found


def _event(content: dict[str, Any], kind: str = "") -> bytes:
    named = f"event: {kind}\n" if kind else ""
    return f"{named}data: {json.dumps(content, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
