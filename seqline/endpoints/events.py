"""Server-sent events of a streamed answer: docs/serving.md lists them."""

import json
from collections.abc import Iterable, Iterator

from seqline.endpoints.back_end import RefusedError
from seqline.errors import UserError


def deltas(lines: Iterable[bytes]) -> Iterator[str]:
    """Yields the pieces of the first text's answer, as they arrive.

    Args:
        lines: The response's lines.

    Raises:
        RefusedError: If the server reports an error in the stream.
        UserError: If the stream ends before the answer does.
    """
    event, sent = "", ""
    for line in lines:
        name, _, value = line.decode("utf-8", "replace").rstrip("\r\n").partition(":")
        if not name:
            event = ""
        elif name == "event":
            event = value.strip()
        elif name == "data":
            content = json.loads(value)
            if event == "done":
                answer = str(content["predictions"][0]["text"])
                if answer != sent:
                    # A piece was corrected after it was sent: the whole answer follows on its own line.
                    yield answer.removeprefix(sent) if answer.startswith(sent) else f"\n{answer}"
                return
            if event == "error":
                raise RefusedError(str(content["error"]))
            sent += str(content["delta"])
            yield str(content["delta"])
    raise UserError("the response is incomplete: the connection ended before the event `done`")
