"""The texts of `seqline predict`, and their answers or errors, one for each."""

import io
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from seqline.errors import UserError

if TYPE_CHECKING:
    from seqline.endpoints.back_end import BackEnd


class Text(NamedTuple):
    """A text to predict for.

    Attributes:
        where: Its place, for messages.
        text: The text.
        problem: Why it cannot be sent; empty if it can.
    """

    where: str
    text: str
    problem: str = ""

    def failed(self, problem: str) -> dict[str, Any]:
        """Returns the row of a text without an answer."""
        return {"input": self.text, "error": f"{self.where}: {problem}"}


def read_texts(given: list[str] | None, file: Path | None) -> list[Text]:
    """Reads the texts of a command.

    Args:
        given: Its arguments.
        file: A file with one text per line; standard input without both.

    Raises:
        UserError: If both are given, or the file cannot be read or is UTF-16.
    """
    if given and file:
        raise UserError("give texts, or a file with --file, not both")
    if given:
        return [_argument(text) for text in given]
    from seqline.inputs.compression import DAMAGED, check_content, compression_of, decompressed
    from seqline.inputs.lines import check_encoding, decode_line, split_lines

    name = "standard input" if file is None else str(file)
    try:
        content = sys.stdin.buffer.read() if file is None else file.read_bytes()
        content = decompressed(io.BytesIO(content), compression_of(name)).read()
    except DAMAGED as error:
        raise UserError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    check_content(content, name)
    check_encoding(content, name)
    found = []
    for number, line in enumerate(split_lines(content), start=1):
        where = f"{name}, line {number}"
        try:
            found.append(Text(where, decode_line(line, number == 1)))
        except UnicodeDecodeError as error:
            text = line.decode("utf-8", "replace").rstrip("\r")
            found.append(Text(where, text, f"byte {error.start + 1} of the line is not UTF-8"))
    return found


def _argument(text: str) -> Text:
    from seqline.schema.transport import is_utf8

    if is_utf8(text):
        return Text(repr(text[:60]), text)
    readable = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return Text(repr(readable), readable, "the text is not UTF-8")


def answered(back_end: "BackEnd", batch: list[Text], parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns an answer or an error for each text.

    A refused request is sent again in halves, so that one text takes no other's answer away.

    Args:
        back_end: The endpoint.
        batch: The texts of one request.
        parameters: Decoding parameters.

    Raises:
        UserError: If the endpoint does not respond.
    """
    from seqline.endpoints.back_end import RefusedError

    asked = [one for one in batch if not one.problem]
    if len(asked) < len(batch):
        answers = iter(answered(back_end, asked, parameters) if asked else ())
        return [one.failed(one.problem) if one.problem else next(answers) for one in batch]
    try:
        predictions = back_end.predict([one.text for one in batch], parameters)
    except RefusedError as error:
        if len(batch) > 1:
            half = len(batch) // 2
            return [row for part in (batch[:half], batch[half:]) for row in answered(back_end, part, parameters)]
        # The request held this text alone: its index there says nothing.
        message = re.sub(r"^(?:text 0|instances\.0)\b", "the text", str(error))
        return [batch[0].failed(f"the endpoint rejected it: {message}")]
    return [{"input": one.text, **prediction} for one, prediction in zip(batch, predictions, strict=True)]
