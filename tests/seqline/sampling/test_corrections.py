"""What people corrected, as the pairs of the next run, and their ratings by version."""

import json
import stat
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqline.artifacts.feedback_log import Feedback, write_feedback
from seqline.artifacts.request_log import SampledRequest, write_requests
from seqline.cli import main
from seqline.endpoints.local_endpoint import Endpoint, Settings
from seqline.endpoints.sampling import FOLDER, Sampling
from seqline.sampling.corrections import Rating, corrections, ratings

NOON = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)


def said(id_: str, minutes: float = 0, version: str = "1", **fields: Any) -> Feedback:
    return Feedback(id_, NOON + timedelta(minutes=minutes), version, **fields)


def request(id_: str, source: str | None) -> SampledRequest:
    return SampledRequest(
        id_, NOON, "1", "predict", 1, 1, 1, 1, 1, 0, "Latin", None, False, False, False, None, [], source, "x"
    )  # fmt: skip


def pairs(folder: Path) -> list[tuple[str, str]]:
    return [(pair.source, pair.target) for pair in corrections(str(folder)).pairs]


def test_a_correction_is_joined_with_the_text_that_was_served(tmp_path: Path) -> None:
    write_requests(tmp_path, [request("a", "dog"), request("b", None)])
    write_feedback(tmp_path, [said("a", correction="Hund"), said("b", correction="Katze"), said("c", rating=1)])
    found = corrections(str(tmp_path))
    assert pairs(tmp_path) == [("dog", "Hund")]
    assert found.left_out == {"without its text": 1}


def test_the_last_correction_of_an_answer_wins_and_equal_pairs_are_one(tmp_path: Path) -> None:
    # Files are not in the order of their rows' times.
    write_feedback(
        tmp_path, [said("a", 2, source="dog", correction="Hund"), said("b", 1, source="dog", correction="Hund.")]
    )
    write_feedback(
        tmp_path, [said("a", 0, source="dog", correction="Katze"), said("c", 3, source=" dog", correction="Hund")]
    )
    found = corrections(str(tmp_path))
    assert pairs(tmp_path) == [("dog", "Hund."), ("dog", "Hund")]
    assert found.left_out == {"corrected again": 1, "equal to another one": 1}


def test_a_chat_is_no_pair(tmp_path: Path) -> None:
    write_feedback(tmp_path, [said("a", source="\x013\x01hello", correction="hi")])
    assert corrections(str(tmp_path)).left_out == {"of a chat": 1}


@settings(max_examples=15)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", None])), max_size=8))
def test_each_answer_has_at_most_its_last_correction(
    tmp_path_factory: pytest.TempPathFactory, given_: Sequence[tuple[str, str | None]]
) -> None:
    folder = tmp_path_factory.mktemp("log")
    for minute, (id_, correction) in enumerate(given_):
        write_feedback(folder, [said(id_, minute, source=f"text {id_}", correction=correction, rating=0.0)])
    last = {f"text {id_}": correction for id_, correction in given_ if correction}
    assert dict(pairs(folder)) == last


def test_ratings_are_by_version_and_the_last_one_of_an_answer_counts(tmp_path: Path) -> None:
    rated = [("a", 0, "1", 1.0), ("a", 1, "1", -1.0), ("b", 0, "1", 0.5), ("c", 0, "2", 1.0)]
    write_feedback(tmp_path, [said(id_, at, version, rating=rating) for id_, at, version, rating in rated])
    write_feedback(tmp_path, [said("d", correction="x")])
    assert ratings(str(tmp_path)) == {"1": Rating(-0.25, 2), "2": Rating(1.0, 1)}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A stopped endpoint that sampled, with two pairs."""
    endpoint = Endpoint(tmp_path / "endpoints" / "demo")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").touch()
    endpoint.register(tmp_path / "model", "f", {})
    endpoint.write(Settings("demo", "127.0.0.1", 8501, 0, {1: 100}, {"champion": 1}, sampling=Sampling(1.0)))
    feedback = [
        said("a", source="dog\tand", correction="Hund\nund", rating=-1.0),
        said("b", 24 * 60, source="cat", correction="Katze", rating=0.5),
        said("c", source=None, correction="Maus"),
    ]
    write_feedback(endpoint.path / FOLDER, feedback)
    return tmp_path


def test_corrections_are_exported_for_the_next_run(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for ending in ("jsonl", "tsv"):
        assert main(["feedback", "export", str(home / f"out.{ending}"), "--home", str(home)]) == 0
    shown = capsys.readouterr()
    assert f"{home / 'out.jsonl'}: 2 pairs" in shown.out
    assert f"seqline run --set feedback={home / 'out.jsonl'}" in shown.out
    assert "left out: 1 without its text" in shown.err
    first, _ = map(json.loads, (home / "out.jsonl").read_text().splitlines())
    assert first == {
        "source": "dog\tand", "target": "Hund\nund", "id": "a", "time": "2026-11-30T12:00:00+00:00", "version": "1"
    }  # fmt: skip
    assert (home / "out.tsv").read_text() == "source\ttarget\ndog and\tHund und\ncat\tKatze\n"
    assert stat.S_IMODE((home / "out.tsv").stat().st_mode) == 0o600


def test_only_later_corrections_are_exported(home: Path) -> None:
    assert main(["feedback", "export", str(home / "out.tsv"), "--since", "2026-12-01", "--home", str(home)]) == 0
    assert (home / "out.tsv").read_text().splitlines()[1:] == ["cat\tKatze"]


def test_a_file_that_is_cut_short_is_named_and_the_others_are_exported(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = write_feedback(home / "endpoints/demo" / FOLDER, [said("z", correction="x", source="y")])
    Path(broken).write_bytes(b"PAR1")
    assert main(["feedback", "export", str(home / "out.tsv"), "--home", str(home)]) == 0
    assert f"warning: {broken} was skipped: " in capsys.readouterr().err
    assert len((home / "out.tsv").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["out.txt"], "must end in .jsonl or .tsv"),
        (["out.tsv", "--since", "soon"], "--since 'soon' is not a time; write one such as 2026-01-31"),
        (["out.tsv", "--since", "2030-01-01"], "there is no correction in"),
        (["out.tsv", "--folder", "missing"], "there is no correction in missing, so nothing was written"),
        (["out.tsv", "--endpoint", "other"], "there is no endpoint 'other'; available: demo"),
    ],
)
def test_a_wrong_export_is_one_message(
    words: list[str], message: str, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    assert main(["feedback", "export", *words, "--home", str(home)]) == 1
    assert message in capsys.readouterr().err
    assert not (home / "out.tsv").exists()


def test_an_endpoint_that_samples_nothing_says_how_to(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "endpoints/demo" / FOLDER).rename(home / "elsewhere")
    endpoint = Endpoint(home / "endpoints" / "demo")
    endpoint.write(Settings("demo", "127.0.0.1", 8501))
    assert main(["feedback", "export", str(home / "out.tsv"), "--home", str(home)]) == 1
    assert "accepts no feedback: set serving.sample_requests and deploy" in capsys.readouterr().err


def test_describe_shows_the_ratings_of_each_version(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["endpoint", "describe", "--json", "--home", str(home)]) == 0
    (version,) = json.loads(capsys.readouterr().out)["versions"]
    assert version["rating"] == {"mean": -0.25, "count": 2}
    assert main(["endpoint", "describe", "--home", str(home)]) == 0
    assert "-0.25 of 2" in capsys.readouterr().out
