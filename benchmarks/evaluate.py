"""The evaluate stage, scoring alone, and the reference libraries' own loops.

    cores_busy        CPU time of the process, divided by the time and the number of cores, while the test set is
                      decoded: from the first batch to the last output, with the scoring that runs beside it
    stage_cores_busy  the same for the whole stage, which also imports TensorFlow, loads the model, prepares its graphs
                      in their first calls, computes intervals, times single requests, and writes its files

The test set is made of a corpus's training pairs. Scoring is also measured in its own process without decoding, because
in the stage most of it overlaps with the decoding of the next chunk.
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
from unittest.mock import patch

import numpy as np

from benchmarks.results import finish, parser, show
from seqline.artifacts.corpus import Corpus, Counts, Manifest
from seqline.components.evaluate.measuring import CHUNK_SIZE
from seqline.metrics.batch import Batch
from seqline.metrics.metrics import counted
from seqline.metrics.slices import find_slices
from seqline.metrics.statistics import Tally
from seqline.metrics.test_set import Row

SMALL_RUN = 10  # the smaller of two runs, which show the growth of memory, is this many times smaller
ORDER_SAMPLE = 1024  # sentences decoded once by length and once in their own order


def corrupted(text: str, words: list[str], chooser: random.Random) -> str:
    """Replaces, drops and moves words, as a mediocre model would."""
    tokens = [chooser.choice(words) if chooser.random() < 0.2 else word for word in text.split()]
    if len(tokens) > 4 and chooser.random() < 0.4:
        first = chooser.randrange(len(tokens) - 2)
        tokens[first : first + 3] = [*tokens[first + 1 : first + 3], tokens[first]]
    return " ".join(word for word in tokens if chooser.random() > 0.07)


def pairs(corpus: Path, count: int) -> tuple[list[Row], list[str]]:
    """Returns training pairs of a corpus, repeated if there are fewer, and outputs made from their references."""
    with gzip.open(corpus / "train.tsv.gz", "rt", encoding="utf-8") as file:
        rows = [Row(*line.rstrip("\n").split("\t")) for line in file]
    words = [word for row in rows[:1000] for word in row.reference.split()]
    chooser = random.Random(1)
    rows = [rows[index % len(rows)] for index in range(count)]
    return rows, [corrupted(row.reference, words, chooser) for row in rows]


def score(corpus: Path, count: int) -> dict[str, float]:
    """Measures all work of the stage except decoding: seconds, and growth of the peak memory in MB."""
    rows, outputs = pairs(corpus, count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        tally = Tally(Path(folder), "translation", "de", count, find_slices(rows, {}))
        for first in range(0, count, CHUNK_SIZE):
            chunk = rows[first : first + CHUNK_SIZE]
            sources, references = [row.source for row in chunk], [row.reference for row in chunk]
            tally.add(chunk, Batch(sources, references, outputs[first : first + CHUNK_SIZE]))
        counting = time.perf_counter() - start
        tally.metrics()
        tally.sliced()
        seconds = time.perf_counter() - start
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"counting": counting, "seconds": seconds, "growth": growth / 1024}


def stage(corpus: Path, count: int, model: Path) -> dict[str, float]:
    """Measures the stage: seconds, seconds spent waiting for scoring, shares of busy cores, peak memory in MB."""
    from seqline.components.evaluate.options import Options
    from seqline.components.evaluate.stage import evaluate

    def clocks() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    def busy(start: tuple[float, float], end: tuple[float, float]) -> float:
        return (end[1] - start[1]) / (end[0] - start[0]) / len(os.sched_getaffinity(0))

    rows, _ = pairs(corpus, count)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        test_set = Corpus(root / "corpus")
        test_set.path.mkdir()
        counts = Counts(read=count, kept=count, rejected={}, train=0, valid=0, test=count)
        Manifest("corpus", {}, counts, [], 32, "en", "de").write(test_set.manifest)
        with test_set.text("test").open("w", encoding="utf-8") as file:
            for row in rows:
                file.write(json.dumps({"source": row.source, "target": row.reference}) + "\n")
        start = clocks()
        # The stage begins its progress with the first batch. Imported here: the stage is measured with its imports.
        from seqline.components.evaluate import decoding

        class Progress(decoding.Progress):
            """Records the first and the last time."""

            def __init__(self, total: int) -> None:
                super().__init__(total)
                self.clocks = [clocks()]
                found.append(self)

            def advance(self, sentences: int) -> None:
                super().advance(sentences)
                self.clocks[1:] = [clocks()]

        found: list[Progress] = []
        with patch.object(decoding, "Progress", Progress):
            measured = evaluate(str(model), test_set.path, root / "evaluation", root / "report.html", Options())
        end = clocks()
    return {
        "wall": end[0] - start[0],
        "seconds": measured.seconds,
        "waited": measured.counting_seconds,
        "throughput": measured.metrics["throughput"].value,
        "decoding_busy": busy(*found[0].clocks),
        "busy": busy(start, end),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def by_length(corpus: Path, count: int, model: Path) -> dict[str, float]:
    """Measures sentences per second in batches of similar lengths, as in the stage, and in the original order."""
    from seqline.batch_threads import batch_threads, share_cores
    from seqline.components.evaluate.decoding import load, start_decoding

    texts = [row.source for row in pairs(corpus, count)[0]]
    share_cores()
    signature = load(model)
    rates = {}
    with batch_threads() as threads:
        start_decoding(threads, signature, texts[:128], 64)()
        # Texts that are queued together are sorted by length; one batch at a time preserves the order.
        for name, size in (("in_order", 64), ("by_length", count)):
            start = time.perf_counter()
            parts = [texts[first : first + size] for first in range(0, count, size)]
            for finish in [start_decoding(threads, signature, part, 64) for part in parts]:
                finish()
            rates[name] = count / (time.perf_counter() - start)
    return rates


def libraries(corpus: Path, count: int) -> dict[str, float]:
    """Measures sacreBLEU's and rouge-score's own loops for the same metrics, without intervals."""
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics import BLEU, CHRF, TER

    from seqline.metrics.rouge import UNICODE

    rows, outputs = pairs(corpus, count)
    references = [row.reference for row in rows]
    start = time.perf_counter()
    for metric in (BLEU(), CHRF(word_order=2), TER()):
        metric.corpus_score(outputs, [references])
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"], tokenizer=UNICODE)
    np.mean([scorer.score(*pair)["rougeL"].fmeasure for pair in zip(references, outputs, strict=True)])
    return {"seconds": time.perf_counter() - start}


def in_new_process(function: str, corpus: Path, count: int, *model: Path) -> dict[str, float]:
    """Runs one of the functions above in its own process."""
    code = (
        "import json, sys; from pathlib import Path; from benchmarks import evaluate; name, corpus, count, *model = "
        "sys.argv[1:]; print(json.dumps(getattr(evaluate, name)(Path(corpus), int(count), *map(Path, model))))"
    )
    command = [sys.executable, "-c", code, function, str(corpus), str(count), *map(str, model)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Runs the benchmark."""
    flags = parser("evaluate", "The evaluate stage, scoring alone, and the reference libraries' own loops.")
    flags.add_argument("--corpus", type=Path, required=True, help="folder with a train.tsv.gz, source TAB target")
    flags.add_argument("--model", type=Path, help="exported model; without one, only scoring is measured")
    flags.add_argument("--pairs", type=int, default=100_000, help="size of the test set")
    args = flags.parse_args()
    count = args.pairs // 20 if args.quick else args.pairs
    small, scoring = (in_new_process("score", args.corpus, size) for size in (count // SMALL_RUN, count))
    reference_seconds = in_new_process("libraries", args.corpus, count // 20)["seconds"] * 20
    metrics: dict[str, float] = {
        "pairs": float(count),
        "scoring_s": scoring["seconds"],
        "vs_libraries": reference_seconds / scoring["counting"],
        "scoring_memory_mb": scoring["growth"],
        "scoring_memory_growth": scoring["growth"] / small["growth"],
        "metrics": float(len(counted("translation")) - 1),
    }
    rows = [["Seqline, counting", scoring["counting"]], ["Seqline, with intervals and slices", scoring["seconds"]]]
    rows.append(["sacreBLEU and rouge-score", reference_seconds])
    if args.model:
        small, whole = (in_new_process("stage", args.corpus, size, args.model) for size in (count // SMALL_RUN, count))
        order = in_new_process("by_length", args.corpus, ORDER_SAMPLE, args.model)
        rows.append(["Seqline, the whole stage", whole["wall"]])
        metrics |= {
            "stage_s": whole["wall"],
            "metrics_share": scoring["seconds"] / whole["wall"],
            "waiting_share": whole["waited"] / whole["wall"],
            "decoding_sentences_s": whole["throughput"],
            "by_length_vs_in_order": order["by_length"] / order["in_order"],
            "cores_busy": whole["decoding_busy"],
            "stage_cores_busy": whole["busy"],
            "stage_memory_mb": whole["peak"],
            "stage_memory_growth": whole["peak"] / small["peak"],
        }
    show(f"Evaluation of {count:,} pairs", ["implementation", "seconds"], rows)
    finish(metrics, args.json)


if __name__ == "__main__":
    main()
