"""The graph of a compiled pipeline, and the page of a laptop's run."""

from pathlib import Path

import pytest

from seqline.compiling.compiler import compile_pipeline
from seqline.targets.graph import Node, read_graph
from seqline.targets.run_report import lay_out, write_report
from seqline.targets.target import Run, Task


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> list[Node]:
    return read_graph(compile_pipeline("training", tmp_path_factory.mktemp("spec") / "training.yaml"))


def a_run(folder: Path) -> Run:
    tasks = [
        Task("snapshot", "succeeded", 10, 1, "data abc", id="snapshot"),
        Task("tokenize", "cached", 11, 0.1, "9 pairs", id="tokenize"),
        Task("train", "failed", 12, 60, error="too <few> pairs", id="train"),
    ]
    return Run("toy-1", "toy", "laptop", "failed", 10, 63, tasks, {"data": "a.tsv"}, "too <few> pairs", "", str(folder))


def test_dependencies_go_through_groups_and_conditions(graph: list[Node]) -> None:
    after = {node.id: node.after for node in graph}
    assert after["tokenize"] == ("snapshot",)
    assert set(after["bless"]) == {"evaluate", "evaluate-2", "evaluate-3", "evaluate-4"}
    assert after["deploy"] == ("bless",)
    assert after["summarize"] == ("deploy",)
    assert [node.id for node in graph if node.conditional] == ["deploy"]


def test_no_box_lies_on_another_and_every_line_goes_right(graph: list[Node], tmp_path: Path) -> None:
    boxes, edges = lay_out(a_run(tmp_path), graph)
    assert len({(box.x, box.y) for box in boxes}) == len(boxes) == len(graph)
    assert all(start.x < end.x for start, end in edges)


def test_the_page_shows_states_metrics_the_error_and_links_that_exist(graph: list[Node], tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "train.log").write_text("log")
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "tokenize.html").write_text("page")
    page = write_report(a_run(tmp_path), graph).read_text()
    for shown in (
        "too &lt;few&gt; pairs",
        "9 pairs",
        "not reached",
        'href="reports/tokenize.html"',
        'href="logs/train.log"',
    ):
        assert shown in page
    assert "logs/snapshot.log" not in page
    assert "http" not in page.replace("http-equiv", "")
