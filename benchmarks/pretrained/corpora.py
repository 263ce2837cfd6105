"""Corpora with the checkpoint's tokenizer, for `benchmarks.pretrained`."""

import gzip
import itertools
from pathlib import Path

from seqline.components.tokenize.options import Options
from seqline.components.tokenize.stage import tokenize

TEMPLATES = {"question_answering": "{source}\nanswer:", "summarization": "{source}\nsummary:"}
"""Prompts: a chat template would add 30 tokens, a system message, to each pair."""


def prepare(pairs: Path, checkpoint: Path, folder: Path, kind: str, sizes: dict[str, int]) -> Path:
    """Tokenizes pairs with a prompt.

    Args:
        pairs: Folder with train.tsv.gz, valid.tsv.gz and test.tsv.gz.
        checkpoint: The checkpoint's folder.
        folder: The folder to write.
        kind: question_answering or summarization.
        sizes: The largest number of pairs of each split; all where it has none.

    Returns:
        The corpus.
    """
    folder.mkdir(parents=True)
    given = {}
    for split in ("train", "valid", "test"):
        file = folder / f"{split}.tsv"
        given[split] = str(file)
        with gzip.open(pairs / f"{split}.tsv.gz", "rt", encoding="utf-8", newline="\n") as lines:
            file.write_text("".join(itertools.islice(lines, sizes.get(split))), encoding="utf-8")
    options = Options().with_values(
        task=kind, tokenizer=str(checkpoint), template=TEMPLATES[kind], max_tokens=256, shards=1
    )
    corpus = folder / "corpus"
    tokenize(
        given["train"],
        corpus,
        folder / "report.html",
        valid_data=given["valid"],
        test_data=given["test"],
        options=options,
    )
    return corpus
