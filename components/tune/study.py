"""The search on this machine: Optuna chooses the hyperparameters, every trial trains in a process."""

import logging
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.trial import TrialState

from seqline.artifacts.trial_metrics import FILE, TRIAL, read_report
from seqline.artifacts.tuning import METRIC, Trial
from seqline.buckets import remove
from seqline.children import ending_with_parent
from seqline.components.train.options import Options as Training
from seqline.components.tune import trial as trial_process
from seqline.components.tune.journal import open_journal
from seqline.components.tune.options import Options
from seqline.components.tune.space import Dimension, apply
from seqline.errors import UserError
from seqline.inputs.mirror import Mirror
from seqline.progress import VARIABLE, Progress, newest, report

log = logging.getLogger(__name__)

STATES = {TrialState.COMPLETE: "succeeded", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
KILLED = "killed"
MAX_FIRST_FAILURES = 3


def distribution(one: Dimension) -> BaseDistribution:
    """Returns a dimension as a distribution of Optuna.

    Args:
        one: The dimension.
    """
    if one.values:
        return CategoricalDistribution(one.values)
    if one.kind is int:
        return IntDistribution(int(one.low or 0), int(one.high or 0), log=one.log)
    return FloatDistribution(one.low or 0.0, one.high or 0.0, log=one.log)


class Study:
    """A study that is stored in a folder, and resumes from there.

    Args:
        folder: Folder of the journal, and of the logs and the working state of the trials.
        corpus: The corpus to train on.
        dimensions: The search space.
        options: The budget of the search.
        training: Training options of the first trial, and of all trials where they are not searched.
        warm_start: A checkpoint folder whose weights every trial starts from; empty for random weights.
        poll_seconds: Seconds between reads of a trial's metrics.
        mirror: The folder's copy in a bucket that is not mounted, where the trials have their working state; None for
            none.
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
        mirror: Mirror | None = None,
    ) -> None:
        # The trials run in another folder.
        folder, corpus = folder.absolute(), corpus.absolute()
        if warm_start and "://" not in warm_start:
            warm_start = str(Path(warm_start).absolute())
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.corpus, self.options, self.training = folder, corpus, options, training
        self.dimensions, self.warm_start, self.poll_seconds = dimensions, warm_start, poll_seconds
        self.mirror = mirror
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = JournalStorage(open_journal(folder / "study.journal", mirror))
        self.study = optuna.create_study(
            study_name="tuning", storage=storage, load_if_exists=True, direction="minimize"
        )
        self._resume()
        # A resumed study needs another seed, or it would try the same values again.
        self.study.sampler = optuna.samplers.TPESampler(
            seed=training.seed + len(self.study.trials), multivariate=len(dimensions) > 1
        )
        self.study.pruner = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1)

    def run(self) -> list[Trial]:
        """Runs the remaining trials.

        Returns:
            All trials.

        Raises:
            UserError: If the first trials all fail.
        """
        while len(done := self._done()) < self.options.trials:
            if len(done) >= MAX_FIRST_FAILURES and all(trial.state == "failed" for trial in done):
                raise UserError(f"the first {len(done)} trials all failed: {self._reason(done[0].number)}")
            self._run_trial()
            self._remove_states()
        return self._done()

    def _resume(self) -> None:
        """Enqueues the given hyperparameters, or the trials of a process that was killed."""
        if not self.study.trials:
            given = {one.name: getattr(self.training, one.name) for one in self.dimensions}
            # Values outside the space, such as a learning rate that is derived from the model, are sampled.
            if values := {one.name: given[one.name] for one in self.dimensions if one.holds(given[one.name])}:
                self.study.enqueue_trial(values)
        for trial in self.study.get_trials(states=[TrialState.RUNNING]):
            log.info("trial %d was killed; it resumes as a new trial", trial.number)
            self.study.set_user_attr(KILLED, [*self.study.user_attrs.get(KILLED, []), trial.number])
            self.study.tell(trial.number, state=TrialState.FAIL)
            self.study.enqueue_trial(trial.params)

    def _done(self) -> list[Trial]:
        """The trials that ended, except those that were killed."""
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
        state, losses = self._train(trial)
        with suppress(OSError):
            remove(self._folder(trial.number) / "checkpoint")
        if state is TrialState.COMPLETE:
            self.study.tell(trial, min(losses.values()))
        else:
            self.study.tell(trial, state=state)
        result = f"{min(losses.values()):.4f}" if losses else self._reason(trial.number)
        log.info("trial %d %s after %d epochs: %s", trial.number, STATES[state], len(losses), result)

    def _remove_states(self) -> None:
        """Removes the working states that trials left which were pruned or failed."""
        if self.study.get_trials(deepcopy=False, states=[TrialState.WAITING]):
            return  # one of them may resume a trial that was killed
        with suppress(OSError):  # they are removed after the next trial
            if self.mirror is not None:
                self.mirror.clear(self._states)
            remove(self._states)

    def _train(self, trial: Any) -> tuple[TrialState, dict[int, float]]:
        """Trains in a process, and kills it if the trial is pruned; returns the loss by epoch."""
        folder = self._folder(trial.number)
        folder.mkdir(parents=True, exist_ok=True)
        metrics = folder / "metrics.jsonl"
        training = apply(self.training, trial.params)
        command = [
            *(sys.executable, *trial_process.PROGRAM),
            f"--output={folder / 'checkpoint'}",
            f"--checkpoints={self.mirror.address if self.mirror else self.folder}/{self._states.name}",
            *trial_process.flags(str(self.corpus), self.options, training, self.warm_start),
        ]
        # The current folder must not shadow a module.
        environment = {**os.environ, "PYTHONSAFEPATH": "1", FILE: str(metrics), TRIAL: str(trial.number)}
        environment[VARIABLE] = str(folder)  # the trial's own; this stage reports the search
        with (folder / "log.txt").open("w", encoding="utf-8") as log_file:
            process = subprocess.Popen(
                command,
                stdout=log_file,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=self.folder,
                preexec_fn=ending_with_parent(),
            )
            try:
                losses: dict[int, float] = {}
                while True:
                    ended = process.poll() is not None
                    for epoch, value in read_report(metrics, METRIC).items():
                        if epoch not in losses and math.isfinite(value):
                            losses[epoch] = value
                            trial.report(value, epoch)
                    report(lambda: self._position(folder))
                    if ended:
                        complete = process.returncode == 0 and losses
                        return (TrialState.COMPLETE if complete else TrialState.FAIL), losses
                    if trial.should_prune():
                        return TrialState.PRUNED, losses
                    time.sleep(self.poll_seconds)
            finally:
                process.kill()
                process.wait()

    def _position(self, folder: Path) -> Progress:
        """How far the search is, of which the trial in a folder runs."""
        done, trial = self._done(), newest(folder)
        losses = [trial.value for trial in done if trial.value is not None]
        share = (len(done) + (trial.share or 0.0 if trial else 0.0)) / self.options.trials
        return Progress(
            f"trial {len(done) + 1} of {self.options.trials}{f', {trial.text}' if trial else ''}",
            min(share, 1.0),
            {**(trial.values if trial else {}), **({"best loss": min(losses)} if losses else {})},
        )

    @property
    def _states(self) -> Path:
        """The folder of the trials' working states; with a mirror, only its copy in the bucket has all of them."""
        return self.folder / "checkpoints"

    def _folder(self, number: int) -> Path:
        return self.folder / f"trial-{number:04}"

    def _reason(self, number: int) -> str:
        """The last line that a trial printed."""
        log_file = self._folder(number) / "log.txt"  # in a bucket it is gone with the process that was killed
        lines = log_file.read_text(encoding="utf-8").strip().splitlines() if log_file.exists() else []
        return lines[-1] if lines else "it printed nothing"
