from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import tensorflow as tf

from seqline import progress
from seqline.artifacts.corpus import Corpus
from seqline.components.train.batches import Batches
from seqline.components.train.history import describe
from seqline.components.train.objective import TrainingModel, make_training_model
from seqline.components.train.options import Options
from seqline.components.train.pairs import HeldPairs, StoredPairs, Window
from seqline.components.train.records import stored
from seqline.components.train.subwords import SampledBatches
from seqline.components.train.trainer import Trainer
from seqline.components.train.working_state import WorkingState
from seqline.errors import UserError
from seqline.modeling.config import TransformerConfig
from tests.components.train.shards import empty_corpus, write_tokens
from tests.components.train.small import SMALL

HISTORY = [
    {"epoch": 1, "valid_loss": 3.0, "valid_perplexity": 20.1, "valid_accuracy": 0.30, "valid_bleu": 5.0},
    {"epoch": 2, "valid_loss": 2.0, "valid_perplexity": 7.4, "valid_accuracy": 0.40, "valid_bleu": 9.0},
    {"epoch": 3, "valid_loss": 2.1, "valid_perplexity": 8.2, "valid_accuracy": 0.45, "valid_bleu": 12.0},
    {"epoch": 4, "valid_loss": 2.2, "valid_perplexity": 9.0, "valid_accuracy": 0.44, "valid_bleu": 13.0},
]


def trainer(tmp_path: Path, history: list[dict[str, float]], **options: Any) -> Trainer:
    model: Any = SimpleNamespace(distribute_strategy=tf.distribute.get_strategy(), jit_compile=False)
    batches: Any = [None]
    made = Trainer(model, batches, batches, WorkingState(tmp_path), Options(**{"preset": "tiny", **options}))
    made.history = history
    return made


def test_epochs_that_were_not_measured_on_all_pairs_are_not_the_best(tmp_path: Path) -> None:
    history = [
        {"epoch": 1, "valid_bleu": 10.0, "valid_bleu_all": 12.0},
        {"epoch": 2, "valid_bleu": 14.0, "valid_bleu_all": 11.0},
        {"epoch": 3, "valid_bleu": 7.0},
        {"epoch": 4, "valid_bleu": 6.0},
    ]
    made = trainer(tmp_path, history, monitor="bleu", patience=3)
    assert made.best_epoch == 1
    assert made.out_of_patience()


@pytest.mark.parametrize(("monitor", "best"), [("loss", 2), ("perplexity", 2), ("accuracy", 3), ("bleu", 4)])
def test_any_metric_selects_the_best_epoch_and_stops_training(tmp_path: Path, monitor: str, best: int) -> None:
    for patience in (1, 2, 3):
        made = trainer(tmp_path, HISTORY, monitor=monitor, patience=patience)
        assert made.best_epoch == best
        assert made.out_of_patience() == (4 - best >= patience)
    assert not trainer(tmp_path, HISTORY, monitor=monitor, patience=0).out_of_patience()


def test_of_equal_epochs_the_last_one_is_the_best(tmp_path: Path) -> None:
    assert trainer(tmp_path, [HISTORY[0], {**HISTORY[0], "epoch": 2}]).best_epoch == 2


class Clock:
    """A clock that stands still until a test moves it."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class ScriptedSample:
    """A decoded sample with given scores; decoding takes a minute.

    With `scores_of_all`, more pairs can be measured, each time with the next of them.
    """

    def __init__(
        self, model: TrainingModel, clock: Clock, scores: dict[int, float], scores_of_all: list[float]
    ) -> None:
        self.model, self.clock, self.scores, self.scores_of_all = model, clock, dict(scores), list(scores_of_all)
        self.has_more = bool(scores_of_all)
        self.weights: list[list[np.ndarray]] = []

    def measure_all(self) -> dict[str, float]:
        return {"valid_bleu_all": self.scores_of_all.pop(0), "valid_rougeL_all": 0.0}

    def measure(self) -> dict[str, float]:
        self.clock.now += 60
        self.weights.append([variable.numpy() for variable in self.model.trainable_variables])
        return {"valid_bleu": self.scores.pop(min(self.scores)), "valid_rougeL": 0.0}


class KilledError(BaseException):
    """Stands for SIGKILL: nothing is saved."""


class Room:
    """Trainers of one small model, whose step is traced once: a new process starts with its first weights."""

    options = Options(
        preset="tiny",
        epochs=3,
        decoded_sample=1,
        patience=0,
        dropout=0.1,
        monitor="bleu",
        learning_rate=0.02,
        warmup_steps=3,
    )

    def __init__(self) -> None:
        tf.keras.utils.set_random_seed(1)
        config = TransformerConfig(vocabulary_size=30, dropout=0.1, **SMALL)
        random = np.random.default_rng(1)
        pairs = [(ids, ids[::-1].copy()) for ids in random.integers(4, 30, (40, 3)).astype(np.int32)]
        self.train, self.valid = Batches(HeldPairs(pairs[:32]), config, 32), Batches(HeldPairs(pairs[32:]), config, 64)
        self.model = make_training_model(config, self.options, compiled=False)
        self.variables = [*self.model.variables, *self.model.optimizer.variables, *self.model.metrics_variables]
        self.first = [variable.numpy() for variable in self.variables]
        self.clock, self.batch_seconds = Clock(), 0.0
        self.model.make_train_function()
        step = self.model.train_function

        def timed_step(iterator: Any) -> Any:
            self.clock.now += self.batch_seconds
            return step(iterator)

        self.model.train_function = timed_step

    def trainer(
        self,
        folder: Path,
        kill: tuple[int, int] | None = None,
        scores: dict[int, float] | None = None,
        scores_of_all: tuple[float, ...] = (),
        batch_seconds: float = 1.0,
        **options: Any,
    ) -> Trainer:
        """A trainer of a new process, which saves after every batch.

        Args:
            folder: Folder of the working state.
            kill: Epoch and batch after whose save the process is killed.
            scores: BLEU by epoch.
            scores_of_all: BLEU of more pairs, of the epochs that are measured on them.
            batch_seconds: Seconds that a batch takes.
            **options: Options that differ.
        """
        for variable, value in zip(self.variables, self.first, strict=True):
            variable.assign(value)
        self.clock, self.batch_seconds = Clock(), batch_seconds
        clock = self.clock
        sample: Any = ScriptedSample(self.model, clock, scores or {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0}, list(scores_of_all))

        class Process(Trainer):
            def save(self) -> None:
                super().save()
                if kill == (self.epoch + 1, self.step):
                    raise KilledError

        return Process(
            self.model,
            self.train,
            self.valid,
            WorkingState(folder),
            self.options.with_values(**options),
            sample=sample,
            save_seconds=-1.0,
            clock=clock,
        )

    def weights(self) -> list[np.ndarray]:
        return [variable.numpy() for variable in self.model.trainable_variables]


@pytest.fixture(scope="module")
def room() -> Room:
    return Room()


def check_equal(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def killed(trainer: Trainer) -> None:
    with pytest.raises(KilledError):
        trainer.run()


@pytest.fixture(scope="module")
def undisturbed_run(room: Room, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, float]], Any]:
    """History and weights of two epochs."""
    history = room.trainer(tmp_path_factory.mktemp("undisturbed"), epochs=2).run()
    return history, room.weights()


@pytest.mark.parametrize("kill", [(1, 4), (2, 0), (2, 2)], ids=str)
def test_training_that_is_killed_anywhere_ends_with_the_same_weights(
    room: Room, undisturbed_run: tuple[list[dict[str, float]], Any], tmp_path: Path, kill: tuple[int, int]
) -> None:
    history, weights = undisturbed_run
    assert len(room.train) == 4
    assert np.abs(weights[0] - room.first[0]).max() > 0.01
    killed(room.trainer(tmp_path, kill, epochs=2))
    again = room.trainer(tmp_path, epochs=2, scores={epoch: float(epoch) for epoch in range(kill[0], 3)})
    for entry, expected in zip(again.run(), history, strict=True):
        assert entry == pytest.approx(expected, rel=1e-4)
    check_equal(room.weights(), weights)


def test_an_epoch_of_sampled_segmentations_that_is_killed_continues_in_its_window(room: Room, tmp_path: Path) -> None:
    corpus = empty_corpus(tmp_path / "corpus")
    write_tokens(corpus, "train", room.train.pairs.listed())
    pairs = StoredPairs(stored(Corpus(corpus), "train"), window_pairs=12)
    sampled: list[tuple[int, ...]] = []

    class Best:
        def sample(self, window: Window, seed: tuple[int, ...]) -> Window:
            sampled.append(seed)
            return window

    def begun(folder: str, **options: Any) -> Trainer:
        trainer, subwords = room.trainer(tmp_path / folder, epochs=2, **options), cast("Any", Best())
        trainer.resample = partial(SampledBatches, Batches(pairs, room.train.config, 32), subwords)
        return trainer

    history = begun("undisturbed").run()
    weights, order = room.weights(), sampled[:]
    assert [entry["target_tokens"] for entry in history] == [128, 128]
    assert len(order) == 2 * pairs.windows == 6
    killed(begun("killed", kill=(2, 3)))
    sampled.clear()
    for entry, expected in zip(begun("killed", scores={2: 2.0}).run(), history, strict=True):
        assert entry["loss"] == pytest.approx(expected["loss"], rel=1e-4)
    check_equal(room.weights(), weights)
    # Of the three windows of the second epoch, the first two batches were the first.
    assert sampled == order[4:]


def test_the_weights_of_the_best_epoch_are_those_of_before_the_kill(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "FILE_SECONDS", 0.0)
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "progress"))
    first = room.trainer(tmp_path, kill=(2, 2), scores={1: 90.0})
    killed(first)
    said = progress.newest(tmp_path / "progress")
    assert said is not None
    assert said.text.startswith("epoch 2 of")
    assert said.values["valid BLEU"] == 90.0
    monkeypatch.delenv(progress.VARIABLE)
    again = room.trainer(tmp_path, epochs=2, scores={2: 10.0})
    again.run()
    assert again.best_epoch == 1
    check_equal(room.weights(), first.sample.weights[0])  # type: ignore[union-attr]


def test_the_best_epoch_is_the_best_on_all_pairs_that_are_measured(room: Room, tmp_path: Path) -> None:
    # The sample of the second epoch is far below that of the best one, that of the third a little.
    trainer = room.trainer(tmp_path, scores={1: 20.0, 2: 17.0, 3: 19.0}, scores_of_all=(18.0, 21.0))
    history = trainer.run()
    assert [entry.get("valid_bleu_all") for entry in history] == [18.0, None, 21.0]
    assert trainer.best_epoch == 3
    check_equal(room.weights(), trainer.sample.weights[2])  # type: ignore[union-attr]


def test_only_a_decoded_monitor_is_measured_on_all_pairs(room: Room, tmp_path: Path) -> None:
    history = room.trainer(tmp_path, scores_of_all=(1.0,), monitor="loss", epochs=1).run()
    assert "valid_bleu_all" not in history[0]


def test_the_time_limit_includes_the_validation_that_is_expected(room: Room, tmp_path: Path) -> None:
    # An epoch is 4 batches of 10 s and a validation of 60 s: the third epoch would end at 300 s.
    trainer = room.trainer(tmp_path, batch_seconds=10.0, minutes=4.0, epochs=9)
    assert [entry["target_tokens"] for entry in trainer.run()] == [128, 128]
    assert trainer.elapsed == 200
    trainer = room.trainer(tmp_path / "longer", batch_seconds=10.0, minutes=4.5, epochs=9)
    # One batch, and no validation after the limit.
    assert [entry["target_tokens"] for entry in trainer.run()] == [128, 128, 32]
    assert trainer.elapsed == 270


def test_the_time_of_earlier_processes_counts(room: Room, tmp_path: Path) -> None:
    killed(room.trainer(tmp_path, kill=(2, 0), batch_seconds=0.25, minutes=3.0, epochs=9))
    again = room.trainer(tmp_path, batch_seconds=0.25, minutes=3.0, epochs=9)
    # Three epochs of 61 s: the last one is cut.
    assert len(again.run()) == 2
    assert again.elapsed == 122


def test_time_that_is_used_up_before_the_first_validation_still_makes_a_model(room: Room, tmp_path: Path) -> None:
    trainer = room.trainer(tmp_path, batch_seconds=10.0, minutes=0.5, epochs=9)
    (entry,) = trainer.run()
    assert entry["target_tokens"] == 3 * 32
    assert trainer.elapsed == 90


def test_a_kill_during_the_validation_that_ends_the_time_loses_nothing(room: Room, tmp_path: Path) -> None:
    killed(room.trainer(tmp_path, kill=(1, 3), batch_seconds=10.0, minutes=0.5))
    (entry,) = room.trainer(tmp_path, batch_seconds=10.0, minutes=0.5).run()
    assert entry["target_tokens"] == 3 * 32


def rates_of(trainer: Trainer, room: Room) -> list[float]:
    """The learning rate of each batch; trains."""
    found: list[float] = []
    step = room.model.train_function

    def noted(iterator: Any) -> Any:
        found.append(float(room.model.optimizer.learning_rate))
        return step(iterator)

    room.model.train_function = noted
    try:
        trainer.run()
    except KilledError:
        pass
    finally:
        room.model.train_function = step
    return found


def test_the_rate_ends_with_a_training_whose_epochs_are_longer_than_expected(room: Room, tmp_path: Path) -> None:
    def begun(folder: str, kill: tuple[int, int] | None = None) -> Trainer:
        trainer = room.trainer(tmp_path / folder, kill, warmup_steps=1)
        # As with sampled segmentations, whose number of batches is known once they are made.
        longer: Any = Batches(room.train.pairs, room.train.config, 16)
        trainer.resample = lambda windows: longer
        return trainer

    expected = rates_of(begun("undisturbed"), room)
    assert len(expected) == 3 * 8 > 3 * len(room.train)
    assert expected[8:] == pytest.approx([0.02 * (25 - update) / 24 for update in range(9, 25)], rel=1e-5)
    # The second kill is in the validation of the first epoch.
    for kill in ((1, 3), (1, 8), (2, 0), (3, 2)):
        parts = [rates_of(begun(str(kill), one), room) for one in (kill, None)]
        assert parts[0] + parts[1] == expected


@pytest.mark.parametrize("kill", [(1, 2), (2, 0), (3, 1)], ids=str)
def test_the_schedule_of_a_killed_run_is_that_of_one_that_was_not(
    room: Room, tmp_path: Path, kill: tuple[int, int]
) -> None:
    options = {"minutes": 6.0, "epochs": 9, "batch_seconds": 10.0, "learning_rate": 0.02, "warmup_steps": 1}
    expected = rates_of(room.trainer(tmp_path / "undisturbed", **options), room)
    # Three epochs of 100 s; the last batch begins at 230 s of the 300 s before the last validation.
    assert len(expected) == 12
    assert expected[-1] == pytest.approx(0.02 * 70 / 300, rel=0.1)
    first = rates_of(room.trainer(tmp_path / "killed", kill, **options), room)
    rest = rates_of(room.trainer(tmp_path / "killed", **options), room)
    assert first + rest == pytest.approx(expected, rel=1e-5)


def test_an_epoch_that_was_interrupted_has_the_time_of_both_parts(room: Room, tmp_path: Path) -> None:
    killed(room.trainer(tmp_path, kill=(1, 2), batch_seconds=1000.0, epochs=1))
    (entry,) = room.trainer(tmp_path, batch_seconds=10.0, epochs=1).run()
    assert entry["seconds"] == 2 * 1000 + 2 * 10
    assert entry["tokens_per_second"] == pytest.approx(128 / 2020)


def test_sigterm_saves_and_ends_the_process(room: Room, tmp_path: Path) -> None:
    first = room.trainer(tmp_path)
    first.save_seconds = 1e9
    first.terminated = True
    with pytest.raises(SystemExit) as ended:
        first.run()
    assert ended.value.code == 143
    assert (WorkingState(tmp_path).load() or ({}, {}))[1]["step"] == 1


def test_a_loss_that_is_not_a_number_ends_training_with_its_position(room: Room, tmp_path: Path) -> None:
    trainer = room.trainer(tmp_path)

    def spoil(windows: Sequence[int]) -> Any:
        if trainer.epoch == 1:
            room.model.trainable_variables[0].assign(np.full_like(room.first[0], np.nan))
        return room.train

    trainer.resample = spoil
    with pytest.raises(UserError, match="the loss is not a number at epoch 2, batch 1: lower the learning"):
        trainer.run()


def test_an_epoch_s_log_line_has_throughput_and_utilization() -> None:
    entry = {
        **HISTORY[2],
        "loss": 2.5,
        "tokens_per_second": 12345.6,
        "flop_utilization": 0.38,
        "lr": 0.002,
    }
    line = describe(entry, 20)
    assert line.startswith("epoch 3 of 20: loss 2.500, valid loss 2.100, valid accuracy 45.0%, BLEU 12.0, ")
    assert "12,346 target tokens/s, 38% of the matmul peak" in line
