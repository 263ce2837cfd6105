"""The checkpoint's tokenizer in the exported graph: its speed, and its share of a request's time."""

import gzip
from pathlib import Path
from typing import Any

from benchmarks import graph_tokenizer
from benchmarks.pretrained.checkpoint import PROMPTS, TOKENS
from benchmarks.timing import fastest

RUNS = 10


def measure(checkpoint: Path, folder: Path, pairs: Path | None, quick: bool) -> dict[str, float | str]:
    """Tokenizes texts at batch 64, and compares the times of a request with and without the model.

    Args:
        checkpoint: The checkpoint's folder.
        folder: Working folder.
        pairs: Folder with test.tsv.gz, whose sources are tokenized; None for the prompts.
        quick: Whether to tokenize fewer texts, and to decode fewer tokens.
    """
    texts = PROMPTS
    if pairs:
        with gzip.open(pairs / "test.tsv.gz", "rt", encoding="utf-8", newline="\n") as lines:
            texts = [line.partition("\t")[0] for line in lines]
    file = folder / "texts.txt"
    file.write_text("\n".join(texts) + "\n", encoding="utf-8")
    rates = graph_tokenizer.measure(str(checkpoint), file, 4 if quick else 32)
    metrics: dict[str, float | str] = {f"tokenizer_{name}": rate for name, rate in rates.items()}
    return metrics | _shares(checkpoint, folder, texts[0], 8 if quick else TOKENS)


def _shares(checkpoint: Path, folder: Path, text: str, tokens: int) -> dict[str, float]:
    import tensorflow as tf

    from seqline.artifacts.exported_model import Decoding
    from seqline.components.export.executor import in_one_thread
    from seqline.components.export.program import Program
    from seqline.pretrained.checkpoint import read_pretrained
    from seqline.pretrained.loading import build_model
    from seqline.tokenizers.checkpoint_files import read_folder

    model = build_model(read_pretrained(checkpoint), max_length=512)
    (folder / "tokenizer.json").write_bytes(read_folder(str(checkpoint)).tokenizer.to_bytes())
    decoding = Decoding(1, 0.0, max_input_length=256, max_output_length=tokens)
    program = Program(model, folder / "tokenizer.json", decoding)

    def without_model(text: Any) -> dict[str, Any]:
        source, _ = program.read(text)
        return {"text": program.decode(source[:, :tokens])}

    ways = {"request": program.serve, "tokenizer": without_model}
    given = tf.constant([text])

    def best(function: Any) -> float:
        call = in_one_thread(function)
        return fastest(lambda: call(text=given)["text"].numpy(), RUNS)

    seconds = {name: best(function) for name, function in ways.items()}
    return {
        "request_ms": 1000 * seconds["request"],
        "tokenizer_ms": 1000 * seconds["tokenizer"],
        "tokenizer_share": seconds["tokenizer"] / seconds["request"],
    }
