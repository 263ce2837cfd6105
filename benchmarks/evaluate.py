"""The evaluate stage, scoring alone, and the reference libraries' own loops: `python -m benchmarks.evaluate`.

The stage gets a test text made of a corpus's training text. What scoring costs is measured alone, in a process of its
own and without decoding beside it: in the stage most of it goes on while the next stretch is decoded.
"""

import gzip
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.results import finish, parser, show
from seqline.artifacts.corpus import Corpus, Counts, Manifest
from seqline.components.evaluate.measuring import CHUNK_SIZE
from seqline.metrics.batch import Batch
from seqline.metrics.metrics import counted
from seqline.metrics.slices import find_slices
from seqline.metrics.statistics import Tally
from seqline.metrics.test_set import Row

FEWER = 10  # the smaller of two runs, which tell how memory grows
IN_ORDER = 1024  # sentences decoded once by length and once as they come


def spoiled(text: str, words: list[str], chooser: random.Random) -> str:
    """A text as a middling model would give it: words replaced, left out, moved."""
    tokens = [chooser.choice(words) if chooser.random() < 0.2 else word for word in text.split()]
    if len(tokens) > 4 and chooser.random() < 0.4:
        place = chooser.randrange(len(tokens) - 2)
        tokens[place : place + 3] = [*tokens[place + 1 : place + 3], tokens[place]]
    return " ".join(word for word in tokens if chooser.random() > 0.07)


def pairs(corpus: Path, many: int) -> tuple[list[Row], list[str]]:
    """So many rows of a corpus's training text, repeated if there are fewer, with outputs made from the references."""
    with gzip.open(corpus / "train.tsv.gz", "rt", encoding="utf-8") as file:
        rows = [Row(*line.rstrip("\n").split("\t")) for line in file]
    words = [word for row in rows[:1000] for word in row.reference.split()]
    chooser = random.Random(1)
    rows = [rows[place % len(rows)] for place in range(many)]
    return rows, [spoiled(row.reference, words, chooser) for row in rows]


def score(corpus: Path, many: int) -> dict[str, float]:
    """Everything that the stage does but decoding: seconds, and megabytes at the most."""
    rows, outputs = pairs(corpus, many)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        tally = Tally(Path(folder), "translation", "de", many, find_slices(rows, {}))
        for place in range(0, many, CHUNK_SIZE):
            some = rows[place : place + CHUNK_SIZE]
            batch = Batch(
                [row.source for row in some], [row.reference for row in some], outputs[place : place + CHUNK_SIZE]
            )
            tally.add(some, batch)
        counting = time.perf_counter() - start
        tally.metrics()
        tally.sliced()
        seconds = time.perf_counter() - start
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"counting": counting, "seconds": seconds, "grown": (most - before) / 1024}


def stage(corpus: Path, many: int, model: Path) -> dict[str, float]:
    """The stage itself: seconds, those in which nothing but scoring went on, busy cores, megabytes at the most."""
    from seqline.components.evaluate.options import Options
    from seqline.components.evaluate.stage import evaluate

    rows, _ = pairs(corpus, many)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        text = Corpus(home / "corpus")
        text.path.mkdir()
        counts = Counts(read=many, kept=many, rejected={}, train=0, valid=0, test=many)
        text.manifest.write_text(Manifest("corpus", {}, counts, [], 32, "en", "de").to_json(), encoding="utf-8")
        with text.text("test").open("w", encoding="utf-8") as file:
            for row in rows:
                file.write(json.dumps({"source": row.source, "target": row.reference}) + "\n")
        used = time.process_time()
        start = time.perf_counter()
        measured = evaluate(model, text.path, home / "evaluation", home / "report.html", Options())
        wall = time.perf_counter() - start
    return {
        "wall": wall,
        "seconds": measured.seconds,
        "waited": measured.counting_seconds,
        "throughput": measured.metrics["throughput"].value,
        "busy": (time.process_time() - used) / wall / len(os.sched_getaffinity(0)),
        "most": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def by_length(corpus: Path, many: int, model: Path) -> dict[str, float]:
    """Sentences a second in batches of similar lengths, as the stage decodes, and in the order of the text."""
    from seqline.components.evaluate.decoding import decode, load

    texts = [row.source for row in pairs(corpus, many)[0]]
    signature = load(model)
    decode(signature, texts[:128], 64)
    rates = {}
    for name in ("in_order", "by_length"):
        start = time.perf_counter()
        for place in range(0, many, 64 if name == "in_order" else many):
            decode(signature, texts[place : place + (64 if name == "in_order" else many)], 64)
        rates[name] = many / (time.perf_counter() - start)
    return rates


def libraries(corpus: Path, many: int) -> dict[str, float]:
    """Seconds of sacreBLEU's and rouge-score's own loops for the same figures, without intervals."""
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics import BLEU, CHRF, TER

    from seqline.metrics.rouge import UNICODE

    rows, outputs = pairs(corpus, many)
    references = [row.reference for row in rows]
    start = time.perf_counter()
    for metric in (BLEU(), CHRF(word_order=2), TER()):
        metric.corpus_score(outputs, [references])
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"], tokenizer=UNICODE)
    np.mean([scorer.score(*pair)["rougeL"].fmeasure for pair in zip(references, outputs, strict=True)])
    return {"seconds": time.perf_counter() - start}


def alone(what: str, corpus: Path, many: int, *model: Path) -> dict[str, float]:
    """What one of the functions above gives, in a process of its own."""
    code = (
        "import json, sys; from pathlib import Path; from benchmarks import evaluate; what, corpus, many, *model = "
        "sys.argv[1:]; print(json.dumps(getattr(evaluate, what)(Path(corpus), int(many), *map(Path, model))))"
    )
    command = [sys.executable, "-c", code, what, str(corpus), str(many), *map(str, model)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measures, and prints."""
    arguments = parser("evaluate", "The evaluate stage, scoring alone, and the reference libraries' own loops.")
    arguments.add_argument("--corpus", type=Path, required=True, help="folder of train.tsv.gz, source TAB target")
    arguments.add_argument("--model", type=Path, help="exported model; without one, only scoring is measured")
    arguments.add_argument("--pairs", type=int, default=100_000, help="size of the test text")
    given = arguments.parse_args()
    many = given.pairs // 20 if given.quick else given.pairs
    few, some = (alone("score", given.corpus, size) for size in (many // FEWER, many))
    theirs = alone("libraries", given.corpus, many // 20)["seconds"] * 20
    figures: dict[str, float] = {
        "pairs": float(many),
        "scoring_s": some["seconds"],
        "vs_libraries": theirs / some["counting"],
        "scoring_memory_mb": some["grown"],
        "scoring_memory_growth": some["grown"] / few["grown"],
        "metrics": float(len(counted("translation")) - 1),
    }
    rows = [["Seqline, counting", some["counting"]], ["Seqline, with intervals and slices", some["seconds"]]]
    rows.append(["sacreBLEU and rouge-score", theirs])
    if given.model:
        small, whole = (alone("stage", given.corpus, size, given.model) for size in (many // FEWER, many))
        order = alone("by_length", given.corpus, IN_ORDER, given.model)
        rows.append(["the whole stage", whole["wall"]])
        figures |= {
            "stage_s": whole["wall"],
            "metrics_share": some["seconds"] / whole["wall"],
            "waiting_share": whole["waited"] / whole["wall"],
            "decoding_sentences_s": whole["throughput"],
            "by_length_vs_in_order": order["by_length"] / order["in_order"],
            "cores_busy": whole["busy"],
            "stage_memory_mb": whole["most"],
            "stage_memory_growth": whole["most"] / small["most"],
        }
    show(f"Seconds for {many:,} pairs", ["who", "s"], rows)
    finish(figures, given.json)


if __name__ == "__main__":
    main()
