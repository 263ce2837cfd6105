from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqline.modeling.config import PRESETS
from tests.components.train.small import SMALL
from tests.sharing import made_once


@pytest.fixture
def small_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the preset `demo` small."""
    monkeypatch.setitem(PRESETS, "demo", SMALL)


@pytest.fixture(scope="session")
def plain() -> Any:
    """The options of `undisturbed`."""
    from seqline.components.train.options import Options

    return Options(preset="demo", epochs=2, batch_tokens=256, dropout=0.0, decoded_sample=0, precision="float32")


@pytest.fixture(scope="session")
def undisturbed(corpus: Path, plain: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint that one process trains on one device, with a small `demo`."""
    from seqline.components.train.stage import train

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(PRESETS, "demo", SMALL)
            train(corpus, folder / "checkpoint", options=plain)

    return made_once(tmp_path_factory, "undisturbed", make) / "checkpoint"


class BegunError(Exception):
    """Ends a training."""


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch, small_demo: None) -> Callable[..., Any]:
    """Trains, and ends after a batch that changes no weights, so that no step is traced; returns the trainer."""
    from seqline.components.train.stage import train
    from seqline.components.train.trainer import Trainer

    begun: list[Trainer] = []

    def learn(trainer: Trainer) -> None:
        trainer.step += 1
        trainer.save()
        begun.append(trainer)
        raise BegunError

    def begin_with(*args: Any, **kwargs: Any) -> Trainer:
        with pytest.raises(BegunError):
            train(*args, **kwargs)
        return begun.pop()

    monkeypatch.setattr(Trainer, "_learn", learn)
    return begin_with
