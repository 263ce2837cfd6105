"""Experiments of training: sets of options by name, alone or several together."""

import json
import multiprocessing
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqline.components.tokenize.options import Options as TokenizeOptions
from seqline.components.tokenize.stage import tokenize

Found = Mapping[tuple[str, str], float]
"""Metrics by name and by what is appended to the experiment's name."""


@dataclass(frozen=True)
class Experiments:
    """Options of training, or of tokenize, that differ from those that all experiments have.

    Attributes:
        options: Options by the experiment's name.
        tokenizing: Options of tokenize that all have.
        together: The experiments that `all` runs together.
    """

    options: Mapping[str, Mapping[str, Any]]
    tokenizing: Mapping[str, Any]
    together: Sequence[str]

    def add_flags(self, flags: ArgumentParser, minutes: float, only: Sequence[str], seeds: Sequence[int]) -> None:
        """Adds the flags of a benchmark that runs experiments.

        Args:
            flags: The benchmark's flags.
            minutes: Training time by default.
            only: Experiments that run by default.
            seeds: Seeds by default.
        """
        flags.add_argument("pairs", type=Path, help="folder with train.tsv.gz, valid.tsv.gz and test.tsv.gz")
        flags.add_argument("--minutes", type=float, default=minutes, help="training time of each experiment")
        flags.add_argument("--only", nargs="+", default=list(only), metavar="NAME", help="experiments, joined by +")
        flags.add_argument("--seeds", type=int, nargs="+", default=list(seeds), help="each experiment is run with each")
        flags.add_argument("--prepared", type=Path, help="folder of the tokenized pairs, which are stored and reused")

    def run(
        self, args: Namespace, folder: Path, run: Callable[[Path, Path, str, float, int], Found]
    ) -> dict[str, float | str]:
        """Runs the experiments, each in a process of its own, so that none changes memory or threads of the next.

        Args:
            args: The values of the flags.
            folder: Folder for the corpora if there is no `--prepared`.
            run: Runs one, from the folder of the pairs, that of the corpora, its name, its minutes and its seed.

        Returns:
            The metrics; with several seeds, each with its seed.
        """
        metrics: dict[str, float | str] = {}
        minutes, seeds = (0.3, args.seeds[:1]) if args.quick else (args.minutes, args.seeds)
        context = multiprocessing.get_context("spawn")
        for name in args.only:
            for seed in seeds:
                suffix = f"_seed_{seed}" if len(seeds) > 1 else ""
                with ProcessPoolExecutor(1, mp_context=context) as process:
                    found = process.submit(run, args.pairs, args.prepared or folder, name, minutes, seed).result()
                metrics |= {f"{metric}_{name}{kind}{suffix}": value for (metric, kind), value in found.items()}
                if args.json:  # also if a later one fails
                    args.json.with_suffix(f".{name}{suffix}.json").write_text(json.dumps(metrics, indent=1))
        return metrics

    def check(self, flags: ArgumentParser, names: Sequence[str]) -> None:
        """Ends the program if a name is not that of an experiment.

        Args:
            flags: The benchmark's flags.
            names: Names of experiments, joined by +.
        """
        for unknown in sorted({part for name in names for part in self.parts(name)} - set(self.options)):
            flags.error(f"there is no experiment {unknown}; they are {', '.join(self.options)}, all")

    def parts(self, name: str) -> Iterator[str]:
        """Yields the experiments in a name.

        Args:
            name: Its name, or several joined by +.
        """
        for part in name.split("+"):
            yield from self.together if part == "all" else (part,)

    def changes(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The options of tokenize and those of training that differ in an experiment.

        Args:
            name: Its name, or several joined by +.
        """
        changes = {key: value for part in self.parts(name) for key, value in self.options[part].items()}
        ours = {key: value for key, value in changes.items() if key in TokenizeOptions.model_fields}
        return ours, {key: value for key, value in changes.items() if key not in ours}

    def tokenized(self, pairs: Path, folder: Path, changes: Mapping[str, Any]) -> Path:
        """Tokenizes the pairs, unless that has been done.

        Args:
            pairs: Folder with train.tsv.gz, valid.tsv.gz and test.tsv.gz.
            folder: Folder for the corpora.
            changes: Options of tokenize that differ.

        Returns:
            The corpus folder.
        """
        corpus = folder / "-".join(["corpus", *(f"{key}-{value}" for key, value in changes.items())])
        if not corpus.exists():
            folder.mkdir(parents=True, exist_ok=True)
            files = [str(pairs / f"{split}.tsv.gz") for split in ("train", "valid", "test")]
            options = TokenizeOptions(**{**self.tokenizing, **changes})
            tokenize(files[0], corpus, folder / "report.html", valid_data=files[1], test_data=files[2], options=options)
        return corpus
