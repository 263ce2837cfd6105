"""What a run costs: machines from the spec, hours from earlier runs, prices from a file."""

import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from seqline.cli.costs import content_of, show, show_estimate, show_taken
from seqline.components.train.preflight.slices import TPUS
from seqline.configuration import Configuration
from seqline.errors import UnreachableError, UserError
from seqline.targets.target import Run, Task
from seqline.targets.vertex import Vertex
from seqline.targets.vertex.costs import Limits, Machine, Times, estimate, history, machines, read_prices, taken
from tests.sharing import made_once

PRICES = read_prices()
GPUS = {"machine_type": "n1-standard-8", "accelerator_type": "NVIDIA_TESLA_T4", "accelerator_count": 2}
VERTEX: dict[str, Any] = {
    "project": "a-project",
    "pipeline_root": "gs://a-bucket/root",
    "training": {**GPUS, "replicas": 3, "spot": True},
    "dataflow": {"max_workers": 20, "machine_type": "n1-standard-4"},
}
N1 = 4 * (0.031611 + 3.75 * 0.004237)
A2 = 12 * (0.031611 + 7.083 * 0.004237)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(folder: Path) -> None:
        resources = {
            "evaluate": {"cpu": 6, "memory": "60G"},
            "export": {"accelerator_type": "NVIDIA_L4", "accelerator_count": 1},
        }
        configuration = Configuration.model_validate({"targets": {"vertex": VERTEX}, "resources": resources})
        Vertex(configuration).compile("training", folder / "training.yaml")

    return made_once(tmp_path_factory, "costs", make) / "training.yaml"


def test_each_task_has_its_machines(spec: Path) -> None:
    found = machines(yaml.safe_load(spec.read_text()))
    assert found["snapshot"] == [Machine("e2-standard-4")]
    assert found["evaluate"] == [Machine("e2-standard-16")]
    assert found["export"] == [Machine("n1-standard-4", 1, "NVIDIA_L4", 1)]
    assert found["tokenize"] == [Machine("e2-standard-4"), Machine("n1-standard-4", 20, dataflow=True)]
    assert found["train"] == [
        Machine("n1-standard-8", 1, "NVIDIA_TESLA_T4", 2, True),
        Machine("n1-standard-8", 2, "NVIDIA_TESLA_T4", 2, True),
    ]
    assert "exit-handler-1" not in found
    # As the console names them.
    assert {"evaluate", "evaluate champion", "evaluate best"} <= found.keys()
    assert not {"evaluate-2", "evaluate-3"} & found.keys()


TRIAL = Machine("n1-standard-8", 2, "NVIDIA_TESLA_T4", 2, trials=True)


@pytest.fixture(scope="module")
def tuning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(folder: Path) -> None:
        configuration = Configuration.model_validate({"targets": {"vertex": {**VERTEX, "training": GPUS}}})
        Vertex(configuration).compile("tuning", folder / "tuning.yaml")

    return made_once(tmp_path_factory, "tuning-costs", make) / "tuning.yaml"


def test_a_tuning_job_has_the_machines_of_its_parallel_trials(tuning: Path) -> None:
    found = machines(yaml.safe_load(tuning.read_text()))
    assert found["hyperparameter-tuning-job"] == [TRIAL]
    assert found["plan-trials"] == [Machine("e2-standard-4")]


@pytest.mark.parametrize(("trials", "hours"), [(20, 5.0), (5, 1.5), (1, 0.5)])
def test_trials_that_never_ran_take_their_limit(trials: int, hours: float) -> None:
    limits = Limits(trials=trials, trial_minutes=30)
    (cost,) = estimate({"hyperparameter-tuning-job": [TRIAL]}, Times(), PRICES, limits).stages
    assert (cost.hours, cost.source) == (2 * hours, "tuning.trial_minutes, at most")
    (unknown,) = estimate({"hyperparameter-tuning-job": [TRIAL]}, Times(), PRICES).stages
    assert unknown.hours is None


def test_the_options_of_a_run_limit_its_estimate(tuning: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = {"tuning": {"trials": 4, "trial_minutes": 30}}
    show_estimate(target({}), str(tuning), arguments, None)
    (line,) = [one for one in capsys.readouterr().out.splitlines() if "hyperparameter-tuning-job" in one]
    assert "2 x n1-standard-8 with 2 x NVIDIA_TESLA_T4  2.00" in line


def test_a_slice_of_a_tpu_has_its_own_price() -> None:
    (cost,) = estimate({"train": [Machine("v5e:2x4")]}, Times({"train": 3600.0}, {"train": "r"}), PRICES).stages
    assert cost.amount == pytest.approx(8 * 1.20 * 1.15)
    assert (cost.hours, cost.source) == (1.0, "run r")


@pytest.mark.parametrize(
    ("machine", "price"),
    [
        (Machine("n1-standard-4"), N1 * 1.15),
        (Machine("e2-highmem-8"), 8 * (0.02181159 + 8 * 0.00292353) * 1.15),
        (Machine("n1-standard-4", spot=True), N1 * 1.15 * 0.6),
        (Machine("n1-standard-4", accelerator="NVIDIA_TESLA_T4", accelerators=2), (N1 + 0.7) * 1.15),
        (Machine("a2-highgpu-1g", accelerator="NVIDIA_TESLA_A100", accelerators=1), (A2 + 2.933908) * 1.15),
        (Machine("n1-standard-4", dataflow=True), 4 * (0.056 + 3.75 * 0.003557)),
        (Machine("", dataflow=True), 0.056 + 3.75 * 0.003557),
        (Machine("z9-standard-4"), None),
        (Machine("n1-odd-4"), None),
        (Machine("n1-standard-4", accelerator="NVIDIA_NEW", accelerators=1), None),
        (Machine("v9:2x2"), None),
        (Machine("cloud-tpu"), None),
    ],
)  # fmt: skip
def test_the_price_of_a_machine(machine: Machine, price: float | None) -> None:
    (cost,) = estimate({"x": [machine]}, Times({"x": 3600.0}, {"x": "r"}), PRICES).stages
    assert cost.amount == (None if price is None else pytest.approx(price))


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(1, 50)), max_size=6))
def test_the_total_is_the_sum_and_more_machines_cost_more(items: list[tuple[float, int]]) -> None:
    wanted = {str(number): [Machine("n1-standard-8", count)] for number, (_, count) in enumerate(items)}
    times = Times({str(number): seconds for number, (seconds, _) in enumerate(items)}, dict.fromkeys(wanted, "r"))
    costs = estimate(wanted, times, PRICES)
    assert costs.complete
    assert costs.hours == pytest.approx(sum(seconds * count for seconds, count in items) / 3600)
    assert costs.amount == pytest.approx(PRICES.run + sum(cost.amount or 0 for cost in costs.stages))


RUNS = {
    "new": Run("new", "p", "vertex", "succeeded", tasks=[
        Task("tokenize", "cached", seconds=3.0), Task("train", "cached", seconds=1.0),
        Task("bless", "succeeded", seconds=90.0),
    ]),
    "failed": Run("failed", "p", "vertex", "failed", tasks=[Task("train", "succeeded", seconds=99999.0)]),
    "old": Run("old", "p", "vertex", "succeeded", tasks=[
        Task("tokenize", "succeeded", seconds=1800.0), Task("train", "succeeded", seconds=7200.0),
        Task("bless", "succeeded", seconds=60.0),
        Task("preflight", "succeeded", seconds=5.0, metric="cost 3, hours 2.5"),
    ]),
}  # fmt: skip


def target(runs: dict[str, Run], name: str = "vertex") -> Any:
    return SimpleNamespace(name=name, runs=lambda pipeline, limit: list(runs.values()), describe=runs.get)


def test_hours_are_those_of_the_newest_run_in_which_a_stage_really_ran() -> None:
    times = history(target(RUNS), "p")
    assert times.seconds == {"bless": 90.0, "tokenize": 1800.0, "train": 7200.0, "preflight": 5.0}
    assert (times.runs["bless"], times.runs["train"], times.planned) == ("new", "old", 2.5)


def test_training_that_never_ran_takes_what_preflight_computed_or_its_limit() -> None:
    wanted = {"train": [Machine("n1-standard-4")], "export": [Machine("n1-standard-4")]}
    first = estimate(wanted, Times(planned=2.5), PRICES, Limits(60.0))
    assert [(cost.hours, cost.source) for cost in first.stages] == [(2.5, "preflight"), (None, "no earlier run")]
    assert not first.complete
    second = estimate(wanted, Times(), PRICES, Limits(60.0))
    assert (second.stages[0].hours, second.stages[0].source) == (1.0, "training.minutes, at most")
    assert estimate(wanted, Times(), PRICES).stages[0].hours is None


def test_what_a_run_took_leaves_out_what_was_cached() -> None:
    wanted = {name: [Machine("n1-standard-4")] for name in ("tokenize", "train", "bless")}
    costs = taken(wanted, RUNS["new"], PRICES)
    assert costs.hours == pytest.approx(90 / 3600)
    assert [cost.amount == 0 for cost in costs.stages] == [True, True, False]


def test_an_estimate_is_shown_with_its_date_and_what_is_unknown(
    spec: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    show_estimate(target(RUNS), str(spec), {}, None)
    shown = capsys.readouterr().out
    assert "2 x n1-standard-8 with 2 x NVIDIA_TESLA_T4, spot" in shown
    assert "tokenize on Dataflow, at most" in shown
    assert "unknown" in shown
    assert "at least " in shown
    assert f"USD at the prices of {PRICES.date} in us-central1" in shown
    mine = tmp_path / "mine.yaml"
    text = (
        Path(yaml.__file__).read_text()
        and (Path(__file__).parents[4] / "seqline/targets/vertex/prices.yaml").read_text()
    )
    mine.write_text(text.replace("currency: USD", "currency: EUR").replace(str(PRICES.date), "2030-01-01"))
    show_taken(yaml.safe_load(spec.read_text()), RUNS["old"], mine)
    assert "EUR at the prices of 2030-01-01" in capsys.readouterr().out


def test_elsewhere_a_run_has_hours_and_no_price(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_estimate(target(RUNS, "laptop"), str(spec), {}, None)
    shown = capsys.readouterr()
    assert "on target laptop a run has no price" in shown.err
    assert "USD" not in shown.out


def test_machines_are_shown_before_the_first_login(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def runs(pipeline: str, limit: int) -> Any:
        raise UnreachableError("there are no Google Cloud credentials")

    unreachable = SimpleNamespace(name="vertex", runs=runs)
    show_estimate(unreachable, str(spec), {"training": {"minutes": 60}}, None)  # type: ignore[arg-type]
    shown = capsys.readouterr()
    assert "training.minutes, at most" in shown.out
    assert "earlier runs cannot be read: there are no Google Cloud credentials" in shown.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read"),
        ("a: [", "is not YAML"),
        ("- 1", "Input should be a valid dictionary"),
        ("date: 2030-01-01", "Field required"),
        ("date: soon", "date: "),
    ],
)
def test_a_wrong_file_of_prices_is_named(text: str | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_prices(file)
    assert str(file) in str(caught.value)


def test_the_fee_is_the_one_of_the_source() -> None:
    # https://cloud.google.com/vertex-ai/pricing, 2026-09-08: training on n1-standard-4.
    assert N1 * (1 + PRICES.fee) == pytest.approx(0.21849885)


A100 = Machine("a2-highgpu-1g", accelerator="NVIDIA_TESLA_A100", accelerators=1)


@pytest.mark.parametrize(
    ("machine", "names"),
    [
        (Machine("n1-standard-4"), []),
        (Machine("v5e:2x4"), []),
        (Machine("v3:2x2"), ["v3"]),
        (Machine("c2-standard-4"), ["c2"]),
        (Machine("c2-standard-4", dataflow=True), []),
        (A100, ["a2", "NVIDIA_TESLA_A100"]),
    ],
)
def test_a_price_without_a_source_is_called_unverified(machine: Machine, names: list[str]) -> None:
    assert PRICES.doubtful(machine) == names
    costs = estimate({"x": [machine]}, Times({"x": 60.0}, {"x": "r"}), PRICES)
    assert costs.unverified == names


def test_what_is_unverified_is_marked_in_the_estimate_and_after_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    wanted, times = {"train": [A100], "bless": [Machine("e2-standard-4")]}, Times({"train": 60.0, "bless": 60.0}, {})
    times.runs = dict.fromkeys(wanted, "r")
    show(estimate(wanted, times, PRICES), "estimate")
    lines = capsys.readouterr().out.splitlines()
    assert [("*" in line) for line in lines if line.strip().startswith(("train", "bless"))] == [True, False]
    assert lines[-1] == "* estimate; price unverified: a2, NVIDIA_TESLA_A100"
    content = content_of(estimate(wanted, times, PRICES))
    assert [stage["stage"] for stage in content["stages"]] == ["train", "bless"]
    assert (content["currency"], content["unverified"]) == ("USD", ["a2", "NVIDIA_TESLA_A100"])


def test_every_unverified_name_is_one_of_a_price() -> None:
    tpus = yaml.safe_load(TPUS.read_text(encoding="utf-8"))["versions"]
    assert set(PRICES.unverified) <= {*PRICES.machines, *PRICES.accelerators, *tpus}


def test_the_prices_have_a_date_and_sources() -> None:
    assert isinstance(PRICES.date, datetime.date)
    assert all(source.startswith("https://cloud.google.com/") for source in PRICES.sources)
