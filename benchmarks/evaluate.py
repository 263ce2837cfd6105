"""Scoring against decoding, and against the reference libraries' own loops: `python -m benchmarks.evaluate`."""

import gzip
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.results import finish, parser, show
from components.evaluate.batch import Batch
from components.evaluate.measuring import STRETCH
from components.evaluate.metrics import counted
from components.evaluate.slices import find_slices
from components.evaluate.tally import Tally
from components.evaluate.test_text import Row

DECODED = 512  # sentences by which decoding is timed


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
        for place in range(0, many, STRETCH):
            some = rows[place : place + STRETCH]
            batch = Batch(
                [row.source for row in some], [row.reference for row in some], outputs[place : place + STRETCH]
            )
            tally.add(some, batch)
        counting = time.perf_counter() - start
        tally.figures()
        tally.sliced()
        seconds = time.perf_counter() - start
    return {
        "counting": counting,
        "seconds": seconds,
        "before": before / 1024,
        "most": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def libraries(corpus: Path, many: int) -> float:
    """Seconds of sacreBLEU's and rouge-score's own loops for the same figures, without intervals."""
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics import BLEU, CHRF, TER

    from components.evaluate.rouge import UNICODE

    rows, outputs = pairs(corpus, many)
    references = [row.reference for row in rows]
    start = time.perf_counter()
    for metric in (BLEU(), CHRF(word_order=2), TER()):
        metric.corpus_score(outputs, [references])
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"], tokenizer=UNICODE)
    np.mean([scorer.score(*pair)["rougeL"].fmeasure for pair in zip(references, outputs, strict=True)])
    return time.perf_counter() - start


def decoding(corpus: Path, model: Path) -> float:
    """Sentences a second that an exported model answers, in batches of 64."""
    from components.evaluate.decoding import decode, load

    texts = [row.source for row in pairs(corpus, DECODED)[0]]
    signature = load(model)
    decode(signature, texts[:64], 64)
    start = time.perf_counter()
    decode(signature, texts, 64)
    return DECODED / (time.perf_counter() - start)


def in_its_own_process(corpus: Path, many: int) -> dict[str, float]:
    """What `score` gives, with the memory of nothing else."""
    code = "import json, sys; from pathlib import Path; from benchmarks.evaluate import score; "
    code += "print(json.dumps(score(Path(sys.argv[1]), int(sys.argv[2]))))"
    command = [sys.executable, "-c", code, str(corpus), str(many)]
    return dict(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def main() -> None:
    """Measures, and prints."""
    arguments = parser("evaluate", __doc__)
    arguments.add_argument("--corpus", type=Path, required=True, help="folder of train.tsv.gz, source TAB target")
    arguments.add_argument("--model", type=Path, help="exported model, to compare with decoding")
    given = arguments.parse_args()
    many = 10_000 if given.quick else 100_000
    few, some = in_its_own_process(given.corpus, many // 10), in_its_own_process(given.corpus, many)
    sample = many // 20
    theirs = libraries(given.corpus, sample) * many / sample
    figures: dict[str, float] = {
        "scoring_s": some["seconds"],
        "vs_libraries": theirs / some["counting"],
        "growth_memory": (some["most"] - some["before"]) / (few["most"] - few["before"]),
        "memory_scoring_mb": some["most"] - some["before"],
        "metrics": float(len(counted("translation")) - 1),
    }
    if given.model:
        rate = decoding(given.corpus, given.model)
        figures |= {"decoding_sentences_s": rate, "metrics_share": some["seconds"] / (some["seconds"] + many / rate)}
    rows = [["Seqline, counting", some["counting"]], ["Seqline, with intervals and slices", some["seconds"]]]
    show(f"Seconds for {many:,} pairs", ["who", "s"], [*rows, ["sacreBLEU and rouge-score", theirs]])
    finish(figures, given.json)


if __name__ == "__main__":
    main()
