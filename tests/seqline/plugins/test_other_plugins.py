"""Targets, notifiers and architectures of other packages."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from seqline.artifacts.run_summary import Summary
from seqline.cli import main
from seqline.components.snapshot.added import with_plugins
from seqline.components.summary.notify import notify
from seqline.components.summary.options import NotificationOptions
from seqline.components.train.options import Options
from seqline.components.train.plan import make_config
from seqline.errors import UserError
from seqline.plugins.registry import ARCHITECTURES
from seqline.schema.sections import resolve
from tests.plugin_packages import installed, write_package

CODE = """
import json
from pathlib import Path

from pydantic import BaseModel

from seqline.compiling.compiler import compile_pipeline
from seqline.configuration.parameters import read_parameters
from seqline.plugins import architecture, notifier, target
from seqline.targets.target import Run


class Settings(BaseModel):
    queue: str = "short"
    priority: int = 0


@target("slurm", settings=Settings)
class Slurm:
    name = "slurm"
    updatable = frozenset()

    def __init__(self, configuration):
        self.configuration = configuration
        self.settings = configuration.targets.settings("slurm")
        if self.settings.priority == -1:
            raise RuntimeError("the queue is closed")

    def compile(self, pipeline, output, defaults=None):
        return compile_pipeline(pipeline, output, self.configuration, defaults=defaults)

    def check(self):
        return []

    def parameters(self, spec):
        return read_parameters(Path(spec))

    def run(self, spec, arguments, cache=None, on_change=None):
        if self.settings.priority == -2:
            raise OSError("no space")
        Path("submitted.json").write_text(json.dumps([self.settings.model_dump(), dict(arguments)]))
        return Run("7", "training", "slurm", "succeeded", console="https://slurm.example.org/7")

    def runs(self, pipeline="", limit=20):
        return [Run("7", "training", "slurm", "succeeded")]

    describe = watch = cancel = logs = runs


@notifier("pager")
def page(summary, page, options):
    if options.get("broken"):
        raise ValueError("secret")
    Path(options["file"]).write_text(summary.headline() + page)


@architecture("deep_encoder", family="transformer")
def deep(fields):
    return {"encoder_layers": 2 * fields["encoder_layers"], "decoder_layers": 1, "positions": "rotary"}


@architecture("odd", family="gpt")
def odd(fields):
    return {"num_heads": 7}
"""
PLUGINS = {
    "targets:slurm": "Slurm",
    "notifiers:pager": "page",
    "architectures:deep_encoder": "deep",
    "architectures:odd": "odd",
}


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    write_package(tmp_path / "site", "my-plugins", "2", CODE, PLUGINS)
    monkeypatch.chdir(tmp_path)
    with installed(tmp_path / "site"):
        yield


def test_a_target_runs_what_is_compiled_with_its_own_settings(capsys: pytest.CaptureFixture) -> None:
    Path("seqline.yaml").write_text("target: slurm\ntargets:\n  slurm:\n    queue: long\n    priority: 3\n")
    assert main(["run", "--set", "data=x.tsv", "--no-watch"]) == 0
    settings, arguments = json.loads(Path("submitted.json").read_text())
    assert (settings, arguments) == ({"queue": "long", "priority": 3}, {"data": "x.tsv"})
    assert main(["check", "--offline", "--target", "slurm"]) == 0
    assert main(["runs", "list"]) == 0
    capsys.readouterr()
    assert main(["compile", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["digest"] == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("targets: {slurm: {priority: high}}", "slurm: priority: "),
        ("targets: {slrum: {}}", "there is no target 'slrum'; did you mean 'slurm'?"),
        ("target: slrum", "there is no target 'slrum'; did you mean 'slurm'?"),
        ("target: slurm", "the configuration has no targets.slurm; write slurm: {} there"),
    ],
)
def test_a_wrong_target_or_setting_is_refused(content: str, message: str, capsys: pytest.CaptureFixture) -> None:
    Path("seqline.yaml").write_text(content + "\n")
    assert main(["run", "--set", "data=x.tsv"]) != 0
    assert message in capsys.readouterr().err
    assert not Path("submitted.json").exists()


@pytest.mark.parametrize(
    ("priority", "command", "message"),
    [
        (-1, ["run", "--data", "x.tsv"], "the target slurm fails: RuntimeError: the queue is closed; --verbose shows"),
        (-2, ["run", "--data", "x.tsv"], "the target slurm fails: OSError: no space"),
        (0, ["upload"], "the target slurm does not support this: its class has no upload"),
        (0, ["schedule", "list"], "the target slurm does not support this: its class has no schedules"),
    ],
)
def test_a_target_that_fails_is_a_message(
    priority: int, command: list[str], message: str, capsys: pytest.CaptureFixture
) -> None:
    Path("seqline.yaml").write_text(f"target: slurm\ntargets: {{slurm: {{priority: {priority}}}}}\n")
    assert main(command) == 1
    assert f"error: {message}" in capsys.readouterr().err


def test_the_settings_of_a_plugin_s_target_are_explained(capsys: pytest.CaptureFixture) -> None:
    assert main(["explain", "targets.slurm.priority"]) == 0
    assert "accepts: whole number" in capsys.readouterr().out
    assert main(["explain", "targets.slurm"]) == 0
    assert "targets.slurm.queue" in capsys.readouterr().out
    assert main(["explain", "targets.slurm.queu"]) == 1
    assert "did you mean 'targets.slurm.queue'?" in capsys.readouterr().err


def test_a_notifier_gets_the_outcome_and_its_options() -> None:
    options = NotificationOptions(notifiers={"pager": {"file": "page.txt"}})
    assert notify(Summary("run", "FAILED", "train"), "", options) == []
    assert Path("page.txt").read_text() == "The run failed in train."


def test_a_notifier_that_fails_is_a_note_without_what_it_said() -> None:
    options = NotificationOptions(notifiers={"pager": {"broken": True}})
    assert notify(Summary("run", "FAILED"), "", options) == ["Notifier pager failed: ValueError"]


def test_a_notifier_that_is_not_installed_is_refused_before_the_run_and_a_note_at_its_end() -> None:
    with pytest.raises(
        UserError, match=r"notification.notifiers.pagr: there is no notifier 'pagr'; did you mean 'pager'"
    ):
        resolve({}, {"notification": {"notifiers": {"pagr": {}}}})
    (note,) = notify(Summary("run", "FAILED"), "", NotificationOptions(notifiers={"pagr": {}}))
    assert note.startswith("Notifier pagr was not called: there is no notifier 'pagr'")


def test_an_architecture_arranges_the_layers_of_its_family() -> None:
    made = make_config(Options(architecture="deep_encoder", preset="tiny", dropout=0.3), 400, 32)
    assert (made.architecture, made.encoder_layers, made.decoder_layers, made.positions) == (
        "transformer",
        8,
        1,
        "rotary",
    )
    assert (made.vocabulary_size, made.max_length, made.dropout) == (400, 32, 0.3)
    found = with_plugins(resolve({}, {"training": {"architecture": "deep_encoder"}}))["training"].model_dump()
    assert found["plugins"] == {"deep_encoder": ARCHITECTURES.fingerprint("deep_encoder")}


def test_an_architecture_that_does_not_fit_is_refused_with_its_origin() -> None:
    with pytest.raises(
        UserError, match=r"'odd' \(entry point .* of my-plugins==2, .*\) returns fields that do not fit: h"
    ):
        make_config(Options(architecture="odd", preset="tiny"), 400, 32)
    with pytest.raises(UserError, match=r"there is no architecture 'deep_encodr'; did you mean 'deep_encoder'"):
        Options(architecture="deep_encodr")
