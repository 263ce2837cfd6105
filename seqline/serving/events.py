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
from seqline.serving.request_errors import RequestError
from seqline.serving.service import Answered

REPLACEMENT = "\ufffd"


async def events(first: Answered, stream: AsyncGenerator[Answered, None], by_column: bool) -> AsyncIterator[bytes]:
    """Converts partial answers into events.

    Args:
        first: The first of them, already read.
        stream: The others.
        by_column: As for `response`.
    """
    sent = [""] * len(first.answers)
    answered = first
    try:
        for event in _deltas(sent, answered):
            yield event
        async for answered in stream:
            for event in _deltas(sent, answered):
                yield event
    except RequestError as error:
        yield _event({"error": str(error)}, "error")
        return
    finally:
        await stream.aclose()
    for index, answer in enumerate(answered.answers):
        # Sends text that was held back. If text that was already sent has changed, only the event done is correct.
        if answer.text.startswith(sent[index]) and answer.text != sent[index]:
            yield _event({"index": index, "delta": answer.text[len(sent[index]) :]})
    yield _event(response(answered, by_column), "done")


def _deltas(sent: list[str], answered: Answered) -> list[bytes]:
    """Events with the new text; an incomplete character is held back."""
    found = []
    for index, answer in enumerate(answered.answers):
        text = answer.text.rstrip(REPLACEMENT)
        if text.startswith(sent[index]) and text != sent[index]:
            found.append(_event({"index": index, "delta": text[len(sent[index]) :]}))
            sent[index] = text
    return found


def _event(content: dict[str, Any], kind: str = "") -> bytes:
    named = f"event: {kind}\n" if kind else ""
    return f"{named}data: {json.dumps(content, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
