"""Streamed answers as server-sent events.

    data: {"index": 0, "delta": "Ein "}                              what an answer has gained; deltas add up to it
    event: done
    data: {"predictions": [{"text": "Ein Hund", "score": -0.2}]}     as without streaming
    event: error
    data: {"error": "..."}                                           in the place of done

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from seqline.serving.contract import response
from seqline.serving.request_errors import RequestError
from seqline.serving.service import Answered

REPLACEMENT = "\ufffd"


async def events(first: Answered, stream: AsyncGenerator[Answered, None], by_column: bool) -> AsyncIterator[bytes]:
    """Turns answers so far into events.

    Args:
        first: The first of them, which has been read already.
        stream: The others.
        by_column: As for `response`.
    """
    told = [""] * len(first.answers)
    answered = first
    try:
        for event in _gained(told, answered):
            yield event
        async for answered in stream:
            for event in _gained(told, answered):
                yield event
    except RequestError as refusal:
        yield _event({"error": str(refusal)}, "error")
        return
    finally:
        await stream.aclose()
    for index, answer in enumerate(answered.answers):
        # What was held back; nothing can be done about an end that changed after it was told, but done has it right.
        if answer.text.startswith(told[index]) and answer.text != told[index]:
            yield _event({"index": index, "delta": answer.text[len(told[index]) :]})
    yield _event(response(answered, by_column), "done")


def _gained(told: list[str], answered: Answered) -> list[bytes]:
    """The new ends; half of a character is held back until it is whole."""
    found = []
    for index, answer in enumerate(answered.answers):
        text = answer.text.rstrip(REPLACEMENT)
        if text.startswith(told[index]) and text != told[index]:
            found.append(_event({"index": index, "delta": text[len(told[index]) :]}))
            told[index] = text
    return found


def _event(content: dict[str, Any], kind: str = "") -> bytes:
    named = f"event: {kind}\n" if kind else ""
    return f"{named}data: {json.dumps(content, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
