"""Monitoring: how many requests a change takes to be found, and how often an alarm is false.

Traffic is simulated from real corpora. A part of a corpus is the training data; the rest of it are requests, drawn with
replacement. Changes are planted in them: another domain, another language, longer texts, typing errors, and a server
whose tokenizer is another one. Each window is judged by the default rules as the pipeline does, day after day.

`false_alarms_per_year` are the alarms of a year without a change, with a window a day; `detected_*` are the requests
after a change until the first alarm. Costs are of the files, and of collecting and judging them, per million sampled
requests.
"""

import gzip
import io
import itertools
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.results import finish, parser, show
from seqline.artifacts.feedback_log import SCHEMA as FEEDBACK
from seqline.artifacts.monitoring_state import State
from seqline.artifacts.reference import TOKEN_BUCKETS, WHOLE, Reference, Sources
from seqline.artifacts.request_log import SampledRequest, table_of, write_requests
from seqline.components.collect.stage import shuffled
from seqline.components.export.reference import FEWEST, TAIL, values_of
from seqline.components.monitor.evidence import Evidence
from seqline.components.monitor.measuring import measure
from seqline.components.monitor.rules import DEFAULT
from seqline.components.monitor.traffic import Traffic
from seqline.errors import UserError
from seqline.metrics.sequential import required
from seqline.metrics.surprise import surprise
from seqline.sampling.identification import COMMON, language_of_text, scripts_of

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
DAYS_A_YEAR = 365
LETTERS = "abcdefghijklmnopqrstuvwxyz"
FALSE_ALARMS = 0.5
CLEAN = 3
"""Windows before a change."""


@dataclass(frozen=True)
class Text:
    """A text with all that a sampled request says about it.

    Attributes:
        tokens: Its token ids.
        unknown: Number of its tokens that are unknown or bytes.
        characters: Its length.
        script: Its script.
        language: Its language.
    """

    tokens: tuple[int, ...]
    unknown: int
    characters: int
    script: str
    language: str | None


class Tokenizer:
    """A SentencePiece model as Seqline trains it.

    Args:
        texts: What it is trained on.
        size: Size of its vocabulary.
    """

    def __init__(self, texts: Sequence[str], size: int) -> None:
        import sentencepiece

        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts), model_writer=model, vocab_size=size, byte_fallback=True, minloglevel=2,
            hard_vocab_limit=False,
        )  # fmt: skip
        self.processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
        self.unknown = {
            id_
            for id_ in range(self.processor.vocab_size())
            if self.processor.is_byte(id_) or self.processor.is_unknown(id_)
        }

    def texts(self, texts: Sequence[str]) -> list[Text]:
        """Computes what a server samples of texts.

        Args:
            texts: The texts.
        """
        rows = zip(
            texts, self.processor.encode(list(texts)), scripts_of(texts), map(language_of_text, texts), strict=True
        )
        return [
            Text(tuple(ids), sum(id_ in self.unknown for id_ in ids), len(text), script, language)
            for text, ids, script, language in rows
            if ids
        ]


@dataclass(frozen=True)
class World:
    """What traffic is made of.

    Attributes:
        reference: The training corpus in figures.
        usual: Requests without a change.
        changes: Requests of each change, by its name and size.
    """

    reference: Reference
    usual: list[Text]
    changes: dict[str, Callable[[random.Random], Text]]


def read(path: Path) -> list[tuple[str, str]]:
    """Reads pairs of a corpus: source TAB target, compressed."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = (line.rstrip("\n").split("\t") for line in file)
        return [(row[0], row[1]) for row in rows if len(row) == 2]


def world(corpus: Path, other: Path, count: int, vocabulary: int) -> World:
    """Makes the training data, the requests and the changes.

    Args:
        corpus: Folder of the corpus.
        other: Folder of a corpus of another domain.
        count: Pairs of the training data, and texts of each pool of requests.
        vocabulary: Size of the tokenizer.
    """
    pairs = read(corpus / "train.tsv.gz")
    random.Random(0).shuffle(pairs)
    trained, rest = pairs[: len(pairs) * 3 // 5][:count], pairs[len(pairs) * 3 // 5 :]
    held_out, live = rest[: len(rest) // 4], rest[len(rest) // 4 :][:count]
    tokenizer = Tokenizer([text for pair in trained for text in pair], vocabulary)
    usual = tokenizer.texts([source for source, _ in live])
    chooser = random.Random(1)
    pools = {
        "domain": tokenizer.texts(
            [" ".join(source.split()[:40]) for source, _ in read(other / "train.tsv.gz")[:count]]
        ),
        "language": tokenizer.texts([target for _, target in live]),
        "longer": tokenizer.texts([f"{one[0]} {two[0]}" for one, two in itertools.pairwise(live)]),
    }
    typing = {
        rate: tokenizer.texts([misspelt(source, rate, chooser) for source, _ in live[: count // 2]])
        for rate in (0.02, 0.05, 0.1)
    }
    # A server that was given the tokenizer of another version.
    mistaken = Tokenizer([text for pair in held_out for text in pair], vocabulary)
    pools["tokenizer"] = mistaken.texts([source for source, _ in live[: count // 2]])

    def mixed(pool: list[Text], share: float) -> Callable[[random.Random], Text]:
        return lambda draws: draws.choice(pool if draws.random() < share else usual)

    changes = {
        f"{name} {share:.0%}": mixed(pools[name], share)
        for name, shares in (
            ("domain", (0.1, 0.3, 1.0)),
            ("language", (0.05, 0.2)),
            ("longer", (0.3, 1.0)),
            ("tokenizer", (1.0,)),
        )
        for share in shares
    }
    changes |= {f"typing errors {rate:.0%}": mixed(pool, 1.0) for rate, pool in typing.items()}
    return World(reference_of(tokenizer, trained, held_out), usual, changes)


def misspelt(text: str, rate: float, chooser: random.Random) -> str:
    """Replaces characters of a text."""
    return "".join(chooser.choice(LETTERS) if chooser.random() < rate else character for character in text)


def reference_of(
    tokenizer: Tokenizer, trained: Sequence[tuple[str, str]], held_out: Sequence[tuple[str, str]]
) -> Reference:
    """Makes the training figures, as tokenize and export do."""
    sides = {
        side: tokenizer.processor.encode([pair[index] for pair in trained])
        for index, side in enumerate(("source", "target"))
    }
    weights: Counter[int] = Counter()
    for ids in sides["source"]:
        for token in ids:
            weights[token] += WHOLE // len(ids)
    lengths = {side: Counter(map(len, rows)) for side, rows in sides.items()}
    sources = Sources.of(weights, frozenset(tokenizer.unknown), lengths, len(trained))
    texts = tokenizer.texts([source for source, _ in held_out])
    found = [Counter(text.script for text in texts if text.script != COMMON)]
    found += [Counter(text.language for text in texts if text.language)]
    scripts, languages = ({name: count / one.total() for name, count in one.items()} for one in found)
    encoded = [list(text.tokens) for text in texts]
    if len(encoded) < FEWEST:
        raise UserError(f"--corpus: {len(encoded)} held-out texts are too few; give a larger corpus")
    scores = surprise(values_of(encoded), np.array(sources.tokens))
    limit = float(np.quantile(scores, 1 - TAIL))
    return Reference(
        "benchmark", "benchmark", "en", replace(sources, scripts=scripts, languages=languages), limit,
        float((scores > limit).mean()), len(encoded),
    )  # fmt: skip


def window(
    draw: Callable[[random.Random], Text], requests: int, draws: random.Random, day: int
) -> list[SampledRequest]:
    """Makes the requests of a window."""
    start = START + timedelta(days=day)
    rows = []
    for number in range(requests):
        text = draw(draws)
        length = max(1, round(len(text.tokens) * draws.gauss(1.05, 0.1)))
        rows.append(
            SampledRequest(
                id=f"{draws.getrandbits(128):032x}", time=start + timedelta(seconds=number), version="1",
                interface="predict", latency_ms=20 * draws.lognormvariate(0, 0.4), source_characters=text.characters,
                source_tokens=len(text.tokens), output_characters=5 * length, output_tokens=length,
                unknown_tokens=text.unknown, script=text.script, language=text.language, truncated=False, empty=False,
                copied=False, score=-draws.lognormvariate(-1, 0.5),
                token_buckets=sorted(token % TOKEN_BUCKETS for token in text.tokens),
            )
        )  # fmt: skip
    return rows


class Watch:
    """Judges windows one after the other.

    Args:
        reference: The training corpus.
    """

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.limit = required(FALSE_ALARMS, 24.0, len(DEFAULT))
        self.state: State | None = None
        self.earlier: Traffic | None = None

    def see(self, rows: list[SampledRequest], day: int) -> list[str]:
        """Judges a window.

        Args:
            rows: Its requests.
            day: Its number.

        Returns:
            The figures of the rules that are newly in alarm.
        """
        traffic = Traffic(shuffled(table_of(rows)), FEEDBACK.empty_table(), self.reference)
        evidence = Evidence(self.state)
        measured = {one.figure: one for one in measure(traffic, self.earlier)}
        end = (START + timedelta(days=day + 1)).isoformat()
        found = [
            evidence.judge(rule, "", traffic, self.earlier, measured.get(rule.figure), self.limit, end)
            for rule in DEFAULT
        ]
        self.state, self.earlier = State(end, end, "f", len(rows), **evidence.kept(found)), traffic
        return [rule.figure for rule, one in zip(DEFAULT, found, strict=True) if one.new]


def false_alarms(made: World, days: int, requests: int, seed: int) -> Counter[str]:
    """Counts the alarms of days without a change, by figure."""
    watch, draws, found = Watch(made.reference), random.Random(seed), Counter[str]()
    for day in range(days):
        found.update(watch.see(window(lambda one: one.choice(made.usual), requests, draws, day), day))
    return found


def detected(made: World, change: str, requests: int, most: int, seed: int) -> tuple[int, str]:
    """Plants a change after a few windows.

    Returns:
        The requests from the change to the first alarm, or -1; and the figures that raised it.
    """
    watch, draws = Watch(made.reference), random.Random(seed)
    for day in range(CLEAN):
        watch.see(window(lambda one: one.choice(made.usual), requests, draws, day), day)
    for day in range(most):
        if found := watch.see(window(made.changes[change], requests, draws, CLEAN + day), CLEAN + day):
            return (day + 1) * requests, ", ".join(found)
    return -1, ""


def costs(made: World, requests: int) -> dict[str, float]:
    """Measures bytes and seconds of the CPU per million sampled requests."""
    from seqline.artifacts.request_log import read_requests

    rows = window(lambda one: one.choice(made.usual), requests, random.Random(9), 0)
    with tempfile.TemporaryDirectory() as folder:
        size = Path(write_requests(folder, rows)).stat().st_size
        begun = time.process_time()
        table = read_requests(folder).table
        traffic = Traffic(shuffled(table), FEEDBACK.empty_table(), made.reference)
        measured = {one.figure: one for one in measure(traffic, traffic)}
        evidence = Evidence(None)
        for rule in DEFAULT:
            evidence.judge(rule, "", traffic, traffic, measured.get(rule.figure), 9.0, START.isoformat())
        seconds = time.process_time() - begun
    million = 1e6 / requests
    return {"megabytes_per_million": size * million / 1e6, "cpu_s_per_million": seconds * million}


def main() -> None:
    """Runs the benchmark."""
    flags = parser("monitoring", "Monitoring: requests until a change is found, and false alarms a year.")
    flags.add_argument("--corpus", type=Path, required=True, help="folder with a train.tsv.gz, source TAB target")
    flags.add_argument("--other", type=Path, required=True, help="the same of another domain")
    flags.add_argument("--requests", type=int, default=500, help="sampled requests of a window")
    args = flags.parse_args()
    count, years, repeats, most = (4000, 1, 1, 12) if args.quick else (40_000, 10, 5, 60)
    made = world(args.corpus, args.other, count, 2000 if args.quick else 8000)
    alarms: Counter[str] = Counter()
    days = DAYS_A_YEAR * years // (4 if args.quick else 1)
    for seed in range(repeats):
        alarms += false_alarms(made, days // repeats, args.requests, seed)
    rows, metrics = [], {}
    for change in made.changes:
        found = [detected(made, change, args.requests, most, seed) for seed in range(repeats)]
        missed = sum(requests < 0 for requests, _ in found)
        until = median(requests if requests > 0 else float("inf") for requests, _ in found)
        figures = Counter(figures for _, figures in found if figures).most_common(1)
        rows.append([change, until, missed, figures[0][0] if figures else ""])
        name = change.replace("%", "").replace(" ", "_")
        metrics[f"detected_{name}"] = until if until < float("inf") else -1.0
    show(
        f"Requests until the first alarm, {args.requests} a window, at most {most} windows",
        ["change", "requests (median)", f"missed of {repeats}", "figures"],
        rows,
    )
    metrics |= {"false_alarms_per_year": sum(alarms.values()) * DAYS_A_YEAR / days, "simulated_days": float(days)}
    metrics |= costs(made, 2000 if args.quick else 50_000)
    if alarms:
        show("False alarms", ["figure", "alarms"], list(alarms.items()))
    finish({name: round(value, 4) for name, value in metrics.items()}, args.json)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
