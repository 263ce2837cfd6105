"""A BigQuery query instead of files: BigQuery's own client, and a stand-in for its service."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import google.auth
import pytest
from google.auth.credentials import AnonymousCredentials

from seqline.components.collect.sources import run_query
from seqline.components.snapshot.stage import snapshot
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.stage import tokenize
from seqline.errors import UserError
from seqline.inputs.bigquery import copy
from tests.stand_ins.bigquery import BigQuery
from tests.stand_ins.server import Faults, serving

QUERY = "SELECT source, target FROM `my-project.texts.pairs` WHERE domain IN ('news', 'law')"
PAIRS = [(f"number {number} of cats", f"Zahl {number} von Katzen") for number in range(100)]


@pytest.fixture
def bigquery(monkeypatch: pytest.MonkeyPatch) -> Iterator[BigQuery]:
    service = BigQuery({QUERY: PAIRS, "SELECT 1": []})
    with serving(service, Faults()) as address:
        monkeypatch.setattr(google.auth, "default", lambda **_: (AnonymousCredentials(), "my-project"))
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", address)
        yield service


def test_a_query_s_rows_become_a_corpus(bigquery: BigQuery, tmp_path: Path) -> None:
    options = Options(vocabulary_size=320, valid_share=0.1, test_share=0.1)
    manifest = tokenize(QUERY, tmp_path / "corpus", tmp_path / "report.html", options=options)
    lines = "".join(f"{source}\t{target}\n" for source, target in reversed(PAIRS))
    (tmp_path / "pairs.tsv").write_text(lines)
    tokenize(str(tmp_path / "pairs.tsv"), tmp_path / "files", tmp_path / "report.html", options=options)
    assert manifest.counts.read == manifest.counts.kept == 100
    assert manifest.fingerprint != json.loads((tmp_path / "files" / "manifest.json").read_text())["fingerprint"]
    for shard in manifest.shards:
        for name in (shard.file, shard.lengths_file):
            assert (tmp_path / "corpus" / name).read_bytes() == (tmp_path / "files" / name).read_bytes()


def test_the_fingerprint_follows_the_rows_and_fetches_none(bigquery: BigQuery, tmp_path: Path) -> None:
    first = snapshot(QUERY, tmp_path / "one")
    bigquery.results[QUERY] = PAIRS[::-1]
    assert snapshot(f"\n{QUERY} ;", tmp_path / "two") == first
    bigquery.results[QUERY] = [*PAIRS[:-1], ("another", "anderes")]
    assert snapshot(QUERY, tmp_path / "three") != first
    assert QUERY not in bigquery.queries


def test_a_query_of_a_job_on_vertex_is_a_job_of_its_own_project(
    bigquery: BigQuery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There the default project is one of Google's, where a query is refused."""
    first = snapshot(QUERY, tmp_path / "one")
    monkeypatch.setattr(google.auth, "default", lambda **_: (AnonymousCredentials(), "tenant-project"))
    monkeypatch.setenv("CLOUD_ML_PROJECT_ID", "my-project")
    assert snapshot(QUERY, tmp_path / "two") == first
    start = datetime(2026, 11, 1, tzinfo=timezone.utc)
    assert len(list(run_query(QUERY, start, start + timedelta(hours=1)))) == len(PAIRS)


def test_a_faulty_query_is_one_message(bigquery: BigQuery, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"^test_data: BigQuery rejected the query: Syntax error: Expected end of input"
    ):
        tokenize(QUERY, tmp_path / "corpus", tmp_path / "report.html", test_data="select nothing")
    with pytest.raises(UserError, match=r"^data: the query returns no rows: SELECT 1"):
        tokenize("SELECT 1", tmp_path / "corpus", tmp_path / "report.html")
    with pytest.raises(UserError, match=r"the query of data: no column 'answer'"):
        tokenize(QUERY, tmp_path / "corpus", tmp_path / "report.html", options=Options(target_field="answer"))
    assert not (tmp_path / "corpus").exists()


def test_a_full_disk_is_not_blamed_on_bigquery(bigquery: BigQuery) -> None:
    with pytest.raises(UserError, match=r"^data: /dev/full cannot be written: No space left on device"):
        copy(QUERY, "data", "/dev/full")


def test_without_credentials_the_message_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(UserError, match=r"^data: the query cannot be sent to BigQuery"):
        snapshot(QUERY, tmp_path / "snapshot")
