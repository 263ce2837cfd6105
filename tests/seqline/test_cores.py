"""The number of cores, by the affinity of the process and the limit of its container."""

import os
from pathlib import Path

import pytest

from seqline.cores import usable_cores
from seqline.serving.engine import Device


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))


@pytest.mark.parametrize(
    ("content", "cores"),
    [
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("50000 100000\n", 1),
        ("25000 50000\n", 1),
        ("1600000 100000\n", 8),
        ("max 100000\n", 8),
        ("", 8),
    ],
)
def test_a_limit_of_version_2_counts(tmp_path: Path, content: str, cores: int) -> None:
    (tmp_path / "cpu.max").write_text(content)
    assert usable_cores(tmp_path) == cores


@pytest.mark.parametrize(("quota", "cores"), [("250000", 3), ("100000", 1), ("-1", 8), ("many", 8)])
def test_a_limit_of_version_1_counts(tmp_path: Path, quota: str, cores: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert usable_cores(tmp_path) == cores


def test_without_a_control_group_all_cores_count(tmp_path: Path) -> None:
    assert usable_cores(tmp_path) == 8


def test_a_worker_shares_the_cores_of_its_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqline.cores.CGROUP", tmp_path)
    assert Device.here() == Device(2, 4)
    (tmp_path / "cpu.max").write_text("300000 100000\n")
    assert Device.here() == Device(2, 1)
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    assert Device.here() == Device(1, 1)
