"""`seqline predict`: one answer or one named error for each line, without a server."""

import gzip
import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.cli import main
from seqline.cli.predict import predict
from seqline.cli.texts import Text, answered
from seqline.endpoints.back_end import NONE, RefusedError
from seqline.errors import UserError


class Endpoint:
    """Answers in upper case; refuses a request that has a text with "!", as a server refuses a long text."""

    def __init__(self) -> None:
        self.requests: list[list[str]] = []

    def runs(self) -> bool:
        return True

    def predict(self, texts: list[str], parameters: Mapping[str, Any] = NONE) -> list[dict[str, Any]]:
        self.requests.append(texts)
        for index, text in enumerate(texts):
            if "!" in text:
                raise RefusedError(f"text {index} has 20500 characters; the limit is 20000")
            if "down" in text:
                raise UserError("http://127.0.0.1:1 does not respond")
        return [{"text": text.upper(), "score": 0.0} for text in texts]

    def stream(self, text: str, parameters: Mapping[str, Any] = NONE) -> Iterator[str]:
        yield from (one["text"] for one in self.predict([text], parameters))
        yield "."


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    endpoint = Endpoint()
    monkeypatch.setitem(predict.__globals__, "choose", lambda *_: endpoint)
    return endpoint


Run = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def run(endpoint: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Predicts for a file's content; returns the exit code, the lines of the output and the errors."""

    def run(content: bytes, *flags: str, by_file: bool = True) -> tuple[int, list[str], str]:
        (tmp_path / "in.txt").write_bytes(content)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        code = main(["predict", *(["--file", str(tmp_path / "in.txt")] if by_file else []), *flags])
        output, errors = capsys.readouterr()
        assert output == "" or output.endswith("\n")
        return code, output.split("\n")[:-1], errors

    return run


@pytest.mark.parametrize("by_file", [True, False])
@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("one\u2028more\ntwo\u0085more\nthree\fmore\x1cmore\nfour\n", 4),
        ("one\ntwo\rmore\nthree\r\n", 3),
        ("\ufeffone\ntwo", 2),
        ("one\n\n \ntwo\n\n", 5),
        ("", 0),
    ],
)
def test_a_line_is_what_ends_with_lf(content: str, texts: int, by_file: bool, run: Run, endpoint: Endpoint) -> None:
    code, lines, errors = run(content.encode(), by_file=by_file)
    assert (code, errors) == (0, "")
    assert len(lines) == texts
    sent = [text for request in endpoint.requests for text in request]
    assert sent == [line.removeprefix("\ufeff").rstrip("\r") for line in content.split("\n")][:texts]


def test_a_refused_text_takes_no_other_answer_away(run: Run, tmp_path: Path, endpoint: Endpoint) -> None:
    content = "".join(f"line {number}{'!' * (number in (5, 68))}\n" for number in range(1, 71)).encode()
    code, lines, errors = run(content)
    assert code == 1
    assert lines == ["" if number in (5, 68) else f"LINE {number}" for number in range(1, 71)]
    place = f"error: {tmp_path / 'in.txt'}, line {{}}: the endpoint rejected it: the text has 20500 characters; "
    assert [place.format(number) in errors for number in (5, 68)] == [True, True]
    assert errors.endswith("error: 2 of 70 texts have no answer, see above; their lines are empty\n")
    assert len(endpoint.requests) < 30


def test_the_output_file_and_json_name_the_error_of_a_line(run: Run, tmp_path: Path) -> None:
    code, _, _ = run(b"one\nf\xfcr\ntwo!\n", "--json", "--output", str(tmp_path / "out.jsonl"))
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().split("\n")[:-1]]
    assert code == 1
    assert [row.get("text") for row in rows] == ["ONE", None, None]
    assert [row["input"] for row in rows] == ["one", "f\ufffdr", "two!"]
    assert rows[1]["error"].endswith("in.txt, line 2: byte 2 of the line is not UTF-8")
    assert "in.txt, line 3: the endpoint rejected it" in rows[2]["error"]


def test_a_request_that_is_refused_for_every_text_is_one_error(run: Run) -> None:
    code, lines, errors = run(b"one!\ntwo!\n")
    assert (code, lines) == (1, [])
    assert errors.count("error:") == 1


def test_an_endpoint_that_does_not_answer_ends_the_command(run: Run, endpoint: Endpoint) -> None:
    code, lines, errors = run(b"one\ndown\n")
    assert (code, lines) == (1, [])
    assert "does not respond" in errors
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_file_in_utf16_is_refused_as_a_whole(encoding: str, run: Run) -> None:
    code, _, errors = run("Twenty three cats für\n".encode(encoding))
    assert code == 1
    assert "in.txt, line 1: the file is UTF-16 or UTF-32; convert it to UTF-8" in errors


def test_a_compressed_file_is_read_and_a_cut_one_named(endpoint: Endpoint, run: Run, tmp_path: Path) -> None:
    packed = gzip.compress(b"one\ntwo\n")
    for name, content, code in (("a.txt.gz", packed, 0), ("b.txt.gz", packed[:-9], 1), ("c.txt", packed, 1)):
        (tmp_path / name).write_bytes(content)
        assert main(["predict", "--file", str(tmp_path / name)]) == code
    assert endpoint.requests == [["one", "two"]]


def test_an_argument_that_is_not_utf8_is_named(endpoint: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "gr\udcfc\udcdfe"]) == 1
    assert capsys.readouterr().err == "error: 'gr\ufffd\ufffde': the text is not UTF-8\n"
    assert not endpoint.requests


def test_an_answer_with_a_line_break_is_one_line(endpoint: Endpoint, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "predict", lambda texts, _: [{"text": "a\nb\r\nc", "score": 0.0} for _ in texts])
    assert run(b"one\ntwo\n")[1] == ["a b c", "a b c"]


@given(st.lists(st.text("ab!\u2028\u0085\f\v\r \u200b\x00", max_size=4), max_size=80))
def test_the_answers_are_always_in_step_with_the_texts(texts: list[str]) -> None:
    inputs = [Text(f"line {number}", text) for number, text in enumerate(texts)]
    rows = answered(Endpoint(), inputs, {})  # type: ignore[arg-type]
    assert [row["input"] for row in rows] == texts
    assert ["error" in row for row in rows] == ["!" in text for text in texts]


def test_streamed_answers_are_lines_and_a_refused_text_is_an_empty_one(run: Run) -> None:
    code, lines, errors = run(b"a\nb!\nc\n", "--stream")
    assert (code, lines) == (1, ["A.", "", "C."])
    assert "in.txt, line 2: the endpoint rejected it: text 0 has 20500 characters" in errors


@pytest.mark.parametrize("flag", [["--json"], ["--output", "out.txt"]])
def test_streamed_answers_go_to_the_terminal_only(run: Run, flag: list[str]) -> None:
    code, lines, errors = run(b"a\n", "--stream", *flag)
    assert (code, lines) == (1, [])
    assert "omit --json and --output" in errors
