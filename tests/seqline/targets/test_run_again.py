"""The command in a run's report that starts it again."""

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.cli.options import read_configuration
from seqline.cli.run import _settings
from seqline.compiling.compiler import parameters_of
from seqline.targets.run_again import predict, run_again
from seqline.targets.target import Run

HOME = Path("/home/me/my project/.seqline")
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)


def a_run(parameters: dict[str, object], pipeline: str = "seqline-training") -> Run:
    return Run("r", pipeline, "laptop", "succeeded", parameters=parameters, root=str(HOME / "runs/r"))


def read_again(command: str) -> dict[str, object]:
    """The parameters of the run that a command starts, as `seqline run` reads its flags."""
    words = shlex.split(command.replace(" \\\n", " "))  # as a shell, which shlex is not quite
    assert words[:6] == ["seqline", "run", "--target", "laptop", "--pipeline", "training"]
    flags: dict[str, list[str]] = {}
    for name, value in zip(words[6::2], words[7::2], strict=True):
        flags.setdefault(name, []).append(value)
    one = {name: values[-1] for name, values in flags.items()}
    port = int(one["--port"]) if "--port" in one else None
    settings = _settings("laptop", flags.get("--set"), one.get("--data"), one.get("--endpoint"), port, None)
    loaded = read_configuration(None, settings, Path(one["--home"]))
    laptop = loaded.configuration.targets.laptop
    values = loaded.arguments(parameters_of("training"), "laptop")
    if "--endpoint" in one:
        values["endpoint"] = str(Path(laptop.home) / "endpoints" / laptop.endpoint)
    if port:
        values["serving"] = {"port": laptop.port, **values.get("serving", {})}
    return values


@given(
    st.fixed_dictionaries(
        {"data": TEXTS.filter(bool)},
        optional={
            "endpoint": st.just(str(HOME / "endpoints/demo")),
            "previous_corpus": TEXTS.filter(bool),
            "training": st.fixed_dictionaries(
                {}, optional={"preset": st.just("demo"), "minutes": st.floats(0.5, 9), "seed": st.integers(2, 99)}
            ).filter(bool),
            "serving": st.just({"port": 8123}),
            "gate": st.just([{"metric": "bleu", "minimum": 25.0}]),
        },
    )
)
def test_the_command_starts_a_run_with_the_same_parameters(parameters: dict[str, object]) -> None:
    assert read_again(run_again(a_run(parameters))) == parameters


def test_the_default_folder_of_checkpoints_is_left_out() -> None:
    assert "checkpoints" not in run_again(a_run({"checkpoints": str(HOME / "checkpoints")}))
    assert "checkpoints=/elsewhere" in run_again(a_run({"checkpoints": "/elsewhere"}))


@pytest.mark.parametrize(
    ("endpoint", "named"), [(f"{HOME}/endpoints/demo", "demo"), ("/elsewhere/demo", "/elsewhere/demo")]
)
def test_the_text_of_a_prediction_is_one_word_of_the_shell(endpoint: str, named: str) -> None:
    words = shlex.split(predict(a_run({"endpoint": endpoint}), "it's $HOME `date`"))
    assert words == ["seqline", "predict", "it's $HOME `date`", "--endpoint", named, "--home", str(HOME)]
