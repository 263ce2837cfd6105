"""The graph of a compiled pipeline, and the page of a laptop's run."""

import html
import re
from dataclasses import replace
from pathlib import Path

import pytest
from kfp import dsl

from seqline.artifacts.decision import RuleResult
from seqline.artifacts.evaluation import MetricValue
from seqline.artifacts.run_summary import DecisionSummary, Summary, write_summary
from seqline.compiling.compiler import compile_pipeline
from seqline.targets.graph import Node, read_graph
from seqline.targets.kfp_local import LocalTask
from seqline.targets.run_report import copy_reports, lay_out, write_report
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


def test_all_pages_of_a_stage_are_copied_and_linked(graph: list[Node], tmp_path: Path) -> None:
    pages = {}
    for output in ("report", "attention"):
        made = tmp_path / "train" / output
        made.parent.mkdir(exist_ok=True)
        made.write_text(f"<title>Seqline</title><header><!--links--><!--/links--></header>{output}")
        pages[output] = dsl.HTML(uri=str(made))
    copy_reports(LocalTask("train", "succeeded", id="train", run=tmp_path, outputs=pages))
    write_report(a_run(tmp_path), graph)
    report = write_report(a_run(tmp_path), graph).read_text()
    for output, name in (("report", "train.html"), ("attention", "train.attention.html")):
        assert f'<a href="reports/{name}">{output}</a>' in report
        page = (tmp_path / "reports" / name).read_text()
        assert page.endswith(output)
        title = {"report": "train", "attention": "train: attention"}[output]
        assert f"<title>{title}: Seqline</title>" in page, "the titles of a run's pages must differ"
        assert page.count("<nav") == 1, "writing the report twice must not add the links twice"
        assert '<a href="../report.html">Run toy-1</a>' in page
        other = {"report": "train.attention.html", "attention": "train.html"}[output]
        assert f'<a href="{other}">' in page


def test_the_page_has_the_live_version_the_endpoint_and_the_command_to_run_it_again(
    graph: list[Node], tmp_path: Path
) -> None:
    rules = [RuleResult("BLEU at least 20", 31.2, 20.0, True, "BLEU is 31.20.")]
    deployment = {"endpoint": "x", "live": True, "version": 4, "url": "http://127.0.0.1:8501/v1/models/x:predict"}
    made = Summary(
        "toy-1",
        "SUCCEEDED",
        metrics={"bleu": MetricValue(31.2, True, "s", 30.0, 32.0)},
        decision=DecisionSummary(True, "new", rules),
        deployment=deployment,
    )
    (tmp_path / "summarize" / "summary").mkdir(parents=True)
    write_summary(tmp_path / "summarize" / "summary", made)
    text = " ".join(html.unescape(re.sub("<[^>]*>", " ", write_report(a_run(tmp_path), graph).read_text())).split())
    assert "BLEU ↑ 31.20 95% interval 30.00 to 32.00 Gate 1 of 1 rules passed" in text
    assert "Live version 4 this run's model" in text
    assert "http://127.0.0.1:8501/ shows the endpoint's page" in text
    assert "seqline run --target laptop" in text
    assert "--data a.tsv" in text


def test_without_a_gate_the_first_row_is_what_the_stages_computed(graph: list[Node], tmp_path: Path) -> None:
    run = replace(a_run(tmp_path), tasks=[Task("infer", "succeeded", 10, 1, "9 lines, 1 malformed", id="infer")])
    page = write_report(run, graph).read_text()
    assert "<dt>infer</dt><dd>9 lines, 1 malformed</dd>" in page


def test_a_sign_shows_each_state_beside_its_color(graph: list[Node], tmp_path: Path) -> None:
    page = write_report(a_run(tmp_path), graph).read_text()
    for sign in ("✓ 1.0 s", "= 0.1 s", "✗ 1 min 0 s", "· not reached"):
        assert sign in page
