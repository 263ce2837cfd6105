"""Hugging Face: a Rust tokenizer with the same vocabulary and scores in `datasets.map`, batched, with two processes.

`PYTHON datasets_map.py FOLDER VOCABULARY` prints {"seconds": ...} of the map, without loading the files.
Runs in its own environment, so it imports nothing of Seqline.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Maps all pairs to token ids."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["HF_HUB_OFFLINE"] = "1"
    import datasets
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    datasets.disable_progress_bars()
    vocabulary = [line.split("\t") for line in Path(sys.argv[2]).read_text("utf-8").splitlines()]
    unigram = models.Unigram([(token, float(score)) for token, score in vocabulary], unk_id=1, byte_fallback=True)
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
