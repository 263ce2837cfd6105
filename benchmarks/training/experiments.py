"""Experiments of training: sets of options by name, alone or several together."""

import json
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.alone import alone
from benchmarks.results import finish, parser
from seqline.components.tokenize.options import Options as TokenizeOptions
from seqline.components.tokenize.stage import tokenize

SPLITS = ("train", "valid", "test")
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

    def main(
        self,
        name: str,
        description: str,
        run: Callable[[Path, Path, str, float, int], Found],
        minutes: float,
        only: Sequence[str],
        seeds: Sequence[int],
    ) -> None:
        """Runs a benchmark: reads its flags, runs the experiments, and prints their metrics.

        Args:
            name: The benchmark's module name.
            description: What it measures.
            run: Runs an experiment, from the folder of the pairs, that of the corpora, its name, its minutes and its
                seed.
            minutes: Training time by default.
            only: Experiments that run by default.
            seeds: Seeds by default.
        """
        flags = parser(name, description)
        flags.add_argument("pairs", type=Path, help="folder with train.tsv.gz, valid.tsv.gz and test.tsv.gz")
        flags.add_argument("--minutes", type=float, default=minutes, help="training time of each experiment")
        flags.add_argument("--only", nargs="+", default=list(only), metavar="NAME", help="experiments, joined by +")
        flags.add_argument("--seeds", type=int, nargs="+", default=list(seeds), help="each experiment is run with each")
        flags.add_argument("--prepared", type=Path, help="folder of the tokenized pairs, which are stored and reused")
        args = flags.parse_args()
        for unknown in sorted({part for one in args.only for part in self._parts(one)} - set(self.options)):
            flags.error(f"there is no experiment {unknown}; they are {', '.join(self.options)}, all")
        with tempfile.TemporaryDirectory() as folder:
            metrics = self._run(args, Path(folder), run)
        finish(metrics, args.json)

    def _run(
        self, args: Namespace, folder: Path, run: Callable[[Path, Path, str, float, int], Found]
    ) -> dict[str, float | str]:
        """Runs each experiment in a process of its own, so that none changes memory or threads of the next."""
        metrics: dict[str, float | str] = {}
        minutes, seeds = (0.3, args.seeds[:1]) if args.quick else (args.minutes, args.seeds)
        for name in args.only:
            for seed in seeds:
                suffix = f"_seed_{seed}" if len(seeds) > 1 else ""
                found = alone(run, args.pairs, args.prepared or folder, name, minutes, seed)
                metrics |= {f"{metric}_{name}{kind}{suffix}": value for (metric, kind), value in found.items()}
                if args.json:  # also if a later one fails
                    args.json.with_suffix(f".{name}{suffix}.json").write_text(json.dumps(metrics, indent=1))
        return metrics

    def _parts(self, name: str) -> Iterator[str]:
        """Yields the experiments in a name."""
        for part in name.split("+"):
            yield from self.together if part == "all" else (part,)

    def prepared(self, pairs: Path, folder: Path, name: str) -> tuple[Path, dict[str, Any]]:
        """Tokenizes the pairs for an experiment, unless that has been done.

        Args:
            pairs: Folder with train.tsv.gz, valid.tsv.gz and test.tsv.gz.
            folder: Folder for the corpora.
            name: The experiment's name, or several joined by +.

        Returns:
            The corpus folder, and the options of training that differ.
        """
        training = {key: value for part in self._parts(name) for key, value in self.options[part].items()}
        changes = {key: training.pop(key) for key in list(training) if key in TokenizeOptions.model_fields}
        corpus = folder / "-".join(["corpus", *(f"{key}-{value}" for key, value in changes.items())])
        files = {split: pairs / f"{split}.tsv.gz" for split in SPLITS}
        tokenize_once(files, corpus, TokenizeOptions(**{**self.tokenizing, **changes}))
        return corpus, training


def tokenize_once(files: Mapping[str, Path], corpus: Path, options: TokenizeOptions) -> None:
    """Tokenizes pairs, unless that has been done.

    Args:
        files: The file of each of `SPLITS`.
        corpus: The corpus folder.
        options: Options of tokenize.
    """
    if not corpus.exists():
        corpus.parent.mkdir(parents=True, exist_ok=True)
        train, valid, test = (str(files[split]) for split in SPLITS)
        tokenize(train, corpus, corpus.parent / "report.html", valid_data=valid, test_data=test, options=options)
