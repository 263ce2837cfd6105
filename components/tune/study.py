"""The search on this machine: Optuna chooses, every trial is a process that trains."""

import logging
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from seqline.artifacts.trial_metrics import FILE, TRIAL, read_report
from seqline.artifacts.tuning import METRIC, Trial
from seqline.components.train.options import Options as Training
from seqline.components.tune.options import Options
from seqline.components.tune.space import Dimension, apply
from seqline.components.tune.trial import flags
from seqline.errors import UserError

log = logging.getLogger(__name__)

STATES = {TrialState.COMPLETE: "succeeded", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
KILLED = "killed"
FAILURES_AT_THE_START = 3


def distribution(one: Dimension) -> BaseDistribution:
    """Returns a dimension as Optuna has it.

    Args:
        one: The dimension.
    """
    if one.values:
        return CategoricalDistribution(one.values)
    if one.kind is int:
        return IntDistribution(int(one.low or 0), int(one.high or 0), log=one.log)
    return FloatDistribution(one.low or 0.0, one.high or 0.0, log=one.log)


class Study:
    """A study that is kept in a folder.

    Args:
        folder: Its journal, the logs and the working state of its trials.
        corpus: The corpus to train on.
        dimensions: What is searched.
        options: The search's budget.
        training: Training options of the first trial, and of all trials where they are not searched.
        warm_start: A checkpoint folder whose weights every trial starts from; empty for random ones.
        poll_seconds: How often a trial's figures are looked at.
    """

    def __init__(
        self,
        folder: Path,
        corpus: Path,
        dimensions: Sequence[Dimension],
        options: Options,
        training: Training,
        warm_start: str = "",
        poll_seconds: float = 0.5,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.corpus, self.options, self.training = folder, corpus, options, training
        self.dimensions, self.warm_start, self.poll_seconds = dimensions, warm_start, poll_seconds
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = JournalStorage(JournalFileBackend(str(folder / "study.journal")))
        self.study = optuna.create_study(
            study_name="tuning", storage=storage, load_if_exists=True, direction="minimize"
        )
        self._continue()
        # Another seed each time: a study that continues is not to try the same again.
        self.study.sampler = optuna.samplers.TPESampler(
            seed=training.seed + len(self.study.trials), multivariate=len(dimensions) > 1
        )
        self.study.pruner = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1)

    def run(self) -> list[Trial]:
        """Runs the trials that are not yet done.

        Returns:
            All trials.

        Raises:
            UserError: If the first ones all fail.
        """
        while len(done := self._done()) < self.options.trials:
            if len(done) >= FAILURES_AT_THE_START and all(trial.state == "failed" for trial in done):
                raise UserError(f"the first {len(done)} trials all failed: {self._reason(done[0].number)}")
            self._run_trial()
        return self._done()

    def _continue(self) -> None:
        """Begins with the given hyperparameters; takes up the trials that a killed process left."""
        if not self.study.trials:
            values = {one.name: getattr(self.training, one.name) for one in self.dimensions}
            if all(one.holds(values[one.name]) for one in self.dimensions):
                self.study.enqueue_trial(values)
        for trial in self.study.get_trials(states=[TrialState.RUNNING]):
            log.info("trial %d was killed; it goes on as another", trial.number)
            self.study.set_user_attr(KILLED, [*self.study.user_attrs.get(KILLED, []), trial.number])
            self.study.tell(trial.number, state=TrialState.FAIL)
            self.study.enqueue_trial(trial.params)

    def _done(self) -> list[Trial]:
        """The trials that ended, without those that were killed."""
        killed = self.study.user_attrs.get(KILLED, [])
        ended = self.study.get_trials(states=list(STATES))
        return [
            Trial(
                trial.number,
                STATES[trial.state],
                trial.params,
                min(trial.intermediate_values.values(), default=None),
                trial.intermediate_values,
            )
            for trial in ended
            if trial.number not in killed
        ]

    def _run_trial(self) -> None:
        trial = self.study.ask({one.name: distribution(one) for one in self.dimensions})
        chosen = ", ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in trial.params.items()
        )
        log.info("trial %d: %s", trial.number, chosen)
        state, figures = self._train(trial)
        rmtree(self._folder(trial.number) / "checkpoint", ignore_errors=True)
        if state is TrialState.COMPLETE:
            self.study.tell(trial, min(figures.values()))
        else:
            self.study.tell(trial, state=state)
        best = f"{min(figures.values()):.4f}" if figures else self._reason(trial.number)
        log.info("trial %d %s after %d epochs: %s", trial.number, STATES[state], len(figures), best)

    def _train(self, trial: Any) -> tuple[TrialState, dict[int, float]]:
        """Trains in a process, and ends it when its figures fall behind."""
        folder = self._folder(trial.number)
        folder.mkdir(exist_ok=True)
        metrics = folder / "metrics.jsonl"
        training = apply(self.training, trial.params)
        command = [
            *(sys.executable, "-m", "seqline.components.train"),
            f"--output={folder / 'checkpoint'}",
            f"--checkpoints={self.folder / 'checkpoints'}",
            *flags(str(self.corpus), self.options, training, self.warm_start),
        ]
        environment = {**os.environ, FILE: str(metrics), TRIAL: str(trial.number)}
        with (folder / "log.txt").open("w", encoding="utf-8") as log_file:
            process = subprocess.Popen(command, stdout=log_file, stderr=subprocess.STDOUT, env=environment)
            try:
                seen: dict[int, float] = {}
                while True:
                    ended = process.poll() is not None
                    for epoch, value in read_report(metrics, METRIC).items():
                        if epoch not in seen and math.isfinite(value):
                            seen[epoch] = value
                            trial.report(value, epoch)
                    if ended:
                        good = process.returncode == 0 and seen
                        return (TrialState.COMPLETE if good else TrialState.FAIL), seen
                    if trial.should_prune():
                        return TrialState.PRUNED, seen
                    time.sleep(self.poll_seconds)
            finally:
                process.kill()
                process.wait()

    def _folder(self, number: int) -> Path:
        return self.folder / f"trial-{number:04}"

    def _reason(self, number: int) -> str:
        """The last line that a trial printed."""
        lines = (self._folder(number) / "log.txt").read_text(encoding="utf-8").strip().splitlines()
        return lines[-1] if lines else "it printed nothing"
