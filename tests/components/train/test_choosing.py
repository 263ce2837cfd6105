"""What training chooses for options that are auto: from what, with which reasons, and once for a training."""

import dataclasses
import html
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus
from seqline.components.train import hardware
from seqline.components.train.choices import Choice, undecided
from seqline.components.train.choosing import choose_model
from seqline.components.train.options import AUTO_OPTIONS, Options
from seqline.components.train.outputs import repeating
from seqline.components.train.plan import Plan, make_plan
from seqline.components.train.records import TrainingData, read_data
from seqline.components.train.scale import Speed
from seqline.components.train.speed import MeasuredSpeed
from seqline.components.train.stage import train
from seqline.components.train.trainer import Trainer
from seqline.configuration.yaml_lines import parse_yaml
from seqline.errors import UserError
from seqline.modeling.config import PRESETS
from tests.components.train.shards import write_pairs

PEAK = 1e11


@pytest.fixture
def data(corpus: Path) -> TrainingData:
    return read_data(Corpus(corpus))


def planned(options: Options, data: TrainingData, peak: float = PEAK) -> Plan:
    return make_plan(options, data, 1, None, choose_model(options, data, Speed(peak)))


def test_everything_that_is_not_set_is_chosen_and_logged_with_a_reason(
    data: TrainingData, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        plan = planned(Options(preset="auto", minutes=10), data)
    assert undecided(plan.options) == []
    assert set(plan.choices.options) == {"preset", "learning_rate", *AUTO_OPTIONS}
    for name, choice in plan.choices.options.items():
        assert getattr(plan.options, name) == choice.value
        assert f"{name} {choice.value}: {choice.reason}" in caplog.messages
        assert "\n" not in choice.reason


@pytest.mark.parametrize(
    "given",
    [
        {"dropout": 0.1, "patience": 5},
        {"label_smoothing": 0.1, "warmup_steps": 400, "beta_2": 0.98},
        {"ema_momentum": 0.999, "learning_rate": 0.001},
        {"preset": "demo", "dropout": "auto"},
    ],
    ids=str,
)
def test_a_value_that_is_set_is_not_chosen(data: TrainingData, given: dict[str, Any]) -> None:
    plan = planned(Options(**{"preset": "auto", **given}), data)
    fixed = {name: value for name, value in given.items() if value != "auto"}
    assert {name: getattr(plan.options, name) for name in fixed} == fixed
    assert not set(fixed) & set(plan.choices.options)


def test_the_time_ends_a_training_that_chooses_its_options(data: TrainingData) -> None:
    short, long = (planned(Options(preset="auto", minutes=minutes, patience=0), data, 1e9) for minutes in (10, 30))
    assert 20 < 2 * short.choices.passes < long.choices.passes < long.options.epochs
    assert Options(preset="auto").epochs == Options(preset="demo", dropout="auto", minutes=10).epochs == 20
    assert Options(preset="auto", minutes=10, epochs=7).epochs == 7


def test_without_auto_only_the_learning_rate_is_chosen(data: TrainingData) -> None:
    options = Options(preset="demo")
    plan = planned(options, data)
    assert set(plan.choices.options) == {"learning_rate"}
    assert plan.options == options.settled().with_values(learning_rate=plan.choices.options["learning_rate"].value)


def test_the_chosen_values_repeat_the_training(data: TrainingData) -> None:
    plan = planned(Options(preset="auto", minutes=10), data)
    flags = [flag.split("=") for flag in repeating(plan).removeprefix("--set ").split(" --set ")]
    values = {name.removeprefix("training."): parse_yaml(value, ("parameters", name)) for name, value in flags}
    again = planned(Options(minutes=10, **values), data, peak=PEAK / 1000)
    assert again.options == plan.options
    assert again.config == plan.config
    assert again.choices.options == {}


def of_task(corpus: Path, folder: Path, task: str) -> TrainingData:
    copy = shutil.copytree(corpus, folder / task)
    manifest = Corpus(copy).read_manifest()
    dataclasses.replace(manifest, options={**manifest.options, "task": task}).write(Corpus(copy).manifest)
    return read_data(Corpus(copy))


def test_tasks_that_copy_get_a_pointer_by_default(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = ("pointer", "positions", "bucket_by")
    found = {}
    for task in ("translation", "text_generation", "summarization", "question_answering"):
        options = Options(preset="demo")
        plan = planned(options, of_task(corpus, tmp_path, task))
        found[task] = tuple(getattr(plan.options, name) for name in names)
        assert (plan.config.pointer, plan.config.positions) == found[task][:2]
    assert found == {
        "translation": (False, "sinusoidal", "both"),
        "text_generation": (False, "sinusoidal", "both"),
        "summarization": (True, "rotary", "both"),
        "question_answering": (True, "rotary", "source"),
    }
    with caplog.at_level(logging.INFO):
        planned(Options(preset="demo"), of_task(corpus, tmp_path / "again", "question_answering"))
    assert "pointer True: question_answering copies from the source" in caplog.messages


def test_the_speed_is_that_of_the_model_that_the_task_decides(
    corpus: Path, begin: Callable[..., Trainer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[Plan] = []

    def measure(_: MeasuredSpeed, plan: Plan) -> float:
        plans.append(plan)
        return 1e9

    monkeypatch.setattr(MeasuredSpeed, "_measured", measure)
    copy = of_task(corpus, tmp_path, "question_answering").corpus.path
    options = Options(preset="demo", dropout="auto", minutes=5, batch_tokens=256, decoded_sample=0, precision="float32")
    trainer = begin(copy, tmp_path / "out", options=options)
    (measured,) = plans
    assert measured.config == trainer.model.model.config.with_values(dropout=measured.config.dropout)
    assert (measured.config.pointer, measured.options.bucket_by) == (True, "source")


@pytest.mark.parametrize(
    "given",
    [
        {"pointer": False, "positions": "sinusoidal", "bucket_by": "both"},
        {"architecture": "gpt", "bucket_by": "both"},
    ],
    ids=str,
)
def test_the_task_does_not_change_what_is_set_nor_another_architecture(
    corpus: Path, tmp_path: Path, given: dict[str, Any]
) -> None:
    plan = planned(Options(preset="demo", **given), of_task(corpus, tmp_path, "question_answering"))
    assert (plan.config.pointer, plan.config.positions, plan.options.bucket_by) == (False, "sinusoidal", "both")


def test_short_answers_are_not_smoothed(corpus: Path, tmp_path: Path) -> None:
    copy = of_task(corpus, tmp_path, "question_answering").corpus.path
    write_pairs(copy, "train", [(60, 1)] * 40)
    chosen = planned(Options(preset="auto"), read_data(Corpus(copy))).choices.options
    assert chosen["label_smoothing"] == Choice(0.0, "2.0 target tokens in a pair, the end included")
    assert chosen["beta_2"].value == 0.995


def test_few_passes_need_less_dropout_and_a_shorter_warm_up(data: TrainingData) -> None:
    many, few = (
        planned(Options(preset="auto", epochs=1000, minutes=minutes, patience=0), data).options
        for minutes in (100, 0.01)
    )
    assert few.dropout < many.dropout  # type: ignore[operator]
    assert few.warmup_steps < many.warmup_steps  # type: ignore[operator]


def test_r_drop_has_half_the_passes_and_always_some_dropout(data: TrainingData) -> None:
    options = Options(preset="demo", dropout="auto", epochs=1000, minutes=1e-4)
    plain, twice = (planned(options.with_values(r_drop=weight), data) for weight in (0.0, 5.0))
    assert plain.options.dropout == 0
    assert twice.options.dropout == 0.05
    assert twice.choices.passes == pytest.approx(plain.choices.passes / 2)
    # With the preset too.
    selected = Options(preset="auto", r_drop=5.0, minutes=1e-3)
    assert planned(selected, data).choices.passes == pytest.approx(
        planned(selected.with_values(r_drop=0.0), data).choices.passes / 2
    )


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the peak that training measures."""

    def set_peak(peak: float) -> None:
        monkeypatch.setattr(hardware, "measure_hardware", lambda *_: hardware.Hardware(1, "float32", peak))

    return set_peak


def test_a_training_that_resumes_keeps_its_choices_on_a_faster_machine(
    corpus: Path, begin: Callable[..., Trainer], measured: Callable[[float], None], tmp_path: Path
) -> None:
    found: list[Trainer] = []
    for peak in (1e8, 1e12):
        measured(peak)
        options = Options(
            preset="auto", minutes=0.5, batch_tokens=256, epochs=100, decoded_sample=0, precision="float32"
        )
        found.append(begin(corpus, tmp_path / "out", checkpoints=str(tmp_path / "states"), options=options))
    assert [trainer.step for trainer in found] == [1, 2]
    assert found[0].choices.options == found[1].choices.options
    assert found[0].options == found[1].options
    # With a state of its own, the faster machine chooses other values.
    options = options.with_values(seed=2)
    assert begin(corpus, tmp_path / "out", options=options).choices.options != found[0].choices.options


def test_an_option_that_is_set_when_a_training_resumes_is_not_overwritten(
    corpus: Path, begin: Callable[..., Trainer], tmp_path: Path
) -> None:
    options = Options(preset="auto", batch_tokens=256, decoded_sample=0, precision="float32", minutes=1e-3)
    begin(corpus, tmp_path / "out", options=options)
    trainer = begin(corpus, tmp_path / "out", options=options.with_values(patience=17))
    assert (trainer.step, trainer.options.patience) == (2, 17)


def test_a_warm_start_decides_the_preset(
    corpus: Path, checkpoint: Path, begin: Callable[..., Trainer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Checkpoint(checkpoint).read_config().model
    monkeypatch.setitem(PRESETS, "demo", {name: model[name] for name in PRESETS["demo"]})
    options = Options(preset="auto", batch_tokens=256, decoded_sample=0, precision="float32")
    trainer = begin(corpus, tmp_path / "out", warm_start=str(checkpoint), options=options)
    assert trainer.choices.options["preset"] == Choice("demo", "the model of warm_start has this size")


@pytest.mark.parametrize(
    ("options", "chosen", "found"),
    [
        ({"preset": "small"}, {}, "small"),
        ({"preset": "auto"}, {"preset": {"value": "base", "reason": ""}}, "base"),
        ({"pretrained": "x", "preset": "auto"}, {}, ""),
    ],
    ids=["set", "chosen", "pretrained"],
)
def test_a_checkpoint_whose_size_a_plugin_arranged_still_has_its_preset(
    checkpoint: Path, tmp_path: Path, options: dict[str, Any], chosen: dict[str, Any], found: str
) -> None:
    copy = Checkpoint(shutil.copytree(checkpoint, tmp_path / "copy"))
    config = copy.read_config()
    model = {**config.model, "intermediate_dim": 77}
    dataclasses.replace(config, model=model, options=options, chosen=chosen).write(copy.config)
    assert copy.read_config().preset == found


def test_an_option_that_is_auto_when_a_training_resumes_is_chosen_then(data: TrainingData) -> None:
    options = Options(preset="demo", dropout="auto", minutes=10)
    earlier = planned(options, data).choices
    later = choose_model(options.with_values(patience="auto"), data, Speed(PEAK / 1000), earlier=earlier)
    plan = make_plan(options.with_values(patience="auto"), data, 1, None, later)
    assert plan.choices.options["dropout"] == earlier.options["dropout"]
    assert plan.choices.options["patience"].value == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "tiny"}, "preset cannot be set with pretrained"),
        ({"dropout": "auto", "patience": "auto"}, "dropout and patience cannot be auto with pretrained"),
    ],
)
def test_with_pretrained_weights_auto_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Options(pretrained="checkpoint", **options)


@pytest.mark.e2e(seconds=20)
def test_checkpoint_and_report_have_the_choices_and_the_flags_that_repeat_them(
    corpus: Path, small_demo: None, tmp_path: Path
) -> None:
    options = Options(
        preset="demo", dropout="auto", warmup_steps="auto", epochs=1, batch_tokens=512, decoded_sample=0,
        precision="float32",
    )  # fmt: skip
    train(corpus, tmp_path / "out", report=tmp_path / "report.html", options=options)
    config = Checkpoint(tmp_path / "out").read_config()
    assert config.options["dropout"] == "auto"
    assert set(config.chosen) == {"dropout", "warmup_steps", "learning_rate"}
    used = config.used_options
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(html.escape(one["reason"]) in page for one in config.chosen.values())
    assert f"--set training.dropout={used['dropout']}" in page
    assert f"--set training.warmup_steps={used['warmup_steps']}" in page
