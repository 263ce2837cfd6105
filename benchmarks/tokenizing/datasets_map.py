"""Hugging Face's way: a Rust tokenizer of the same pieces and scores in `datasets.map`, batched, with two processes.

PYTHON datasets_map.py FOLDER VOCABULARY: prints {"seconds": ...} of the map, loading the files left out.
Runs in an environment of its own, so it imports nothing of ours.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Maps all pairs to piece ids."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["HF_HUB_OFFLINE"] = "1"
    import datasets
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    datasets.disable_progress_bars()
    pieces = [line.split("\t") for line in Path(sys.argv[2]).read_text("utf-8").splitlines()]
    unigram = models.Unigram([(piece, float(score)) for piece, score in pieces], unk_id=1, byte_fallback=True)
    tokenizer = Tokenizer(unigram)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Digits(individual_digits=True)]
    )
    tokenizer.decoder = decoders.Metaspace()

    def encode(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        return {
            side: [one.ids for one in tokenizer.encode_batch(batch[side], add_special_tokens=False)]
            for side in ("source", "target")
        }

    with tempfile.TemporaryDirectory() as cache:
        files = sorted(str(path) for path in Path(sys.argv[1]).glob("part-*.tsv"))
        data = datasets.load_dataset(
            "csv", data_files=files, delimiter="\t", column_names=["source", "target"], quoting=3, split="train",
            keep_default_na=False, cache_dir=cache, num_proc=2,
        )  # fmt: skip
        start = time.monotonic()
        mapped = data.map(encode, batched=True, batch_size=1000, num_proc=2)
        seconds = time.monotonic() - start
        print(json.dumps({"seconds": seconds, "pairs": len(mapped)}))


if __name__ == "__main__":
    main()
