"""The report of preflight: its file, and the messages of training that would fail."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from seqline.components.train.preflight.report import FILE, Bucket, Largest, Report, Training
from seqline.components.train.preflight.slices import GIB
from seqline.errors import UserError

BUCKET = Bucket(128, 32, 24, steps=90, hbm_bytes=2 * GIB, flops=5e9, step_seconds=0.01, tokens_per_second=3e5)
REPORT = Report(
    "v5e:1x1",
    1,
    16 * GIB,
    "transformer demo, bfloat16",
    "2026-11-24",
    4096,
    [BUCKET],
    Largest(8192, 3 * GIB),
    Training(90, 0.5, 0.6, "USD"),
)


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    REPORT.write_to(tmp_path)
    assert json.loads((tmp_path / FILE).read_text())["schema_version"] == 2
    assert Report.read(tmp_path / FILE) == REPORT


def test_an_older_report_is_read_and_a_newer_one_refused(tmp_path: Path) -> None:
    REPORT.write_to(tmp_path)
    content = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps({**content, "schema_version": 1}))
    assert Report.read(tmp_path / FILE) == REPORT
    (tmp_path / FILE).write_text(json.dumps({**content, "schema_version": 3}))
    with pytest.raises(UserError, match=r"schema version 3, and this Seqline reads 1 to 2; run preflight again"):
        Report.read(tmp_path / FILE)


def test_the_metrics_are_the_totals() -> None:
    totals = {"tpu": "v5e:1x1", "hbm_share": 0.125, "steps": 90, "hours": 0.5, "cost": 0.6, "currency": "USD"}
    assert REPORT.metrics == totals


@pytest.mark.parametrize(
    ("bucket", "largest", "fault"),
    [
        (
            replace(BUCKET, error="it uses 20 GiB", hbm_bytes=20 * GIB),
            Largest(2048, 10 * GIB),
            "batch_tokens 4096 does not fit v5e:1x1: the batch 128x32+24 needs 20.00 GiB of the 16.00 GiB of a core; "
            "batch_tokens 2048 fits",
        ),
        (
            replace(BUCKET, error="it uses 20 GiB", hbm_bytes=20 * GIB),
            None,
            "batch_tokens 4096 does not fit v5e:1x1: the batch 128x32+24 needs 20.00 GiB of the 16.00 GiB of a core; "
            "use a smaller preset or another slice",
        ),
        (
            replace(BUCKET, error="a dynamic shape", operation="feed_forward/add", hbm_bytes=0.0),
            None,
            "training does not compile for v5e:1x1: a dynamic shape in feed_forward/add",
        ),
    ],
)
def test_a_fault_has_the_batch_and_the_remedy(bucket: Bucket, largest: Largest | None, fault: str) -> None:
    assert replace(REPORT, buckets=[bucket], largest=largest, training=None).faults == [fault]
    assert REPORT.faults == []
