"""Decoding: Seqline's SavedModel compared with CTranslate2, Hugging Face, OpenNMT-tf and keras-hub.

CTranslate2 uses the same weights. Seqline computes in float32, and in bfloat16 where the processor multiplies it:
`vs_...` compare its faster precision with a peer, `f32_vs_...` float32. The other peers' formats cannot store the
weights: they use a model of the same shape with random weights, which never ends a sentence. For a batch they decode as
many tokens as the longest output of a batch has on average, as a trained model would, and for a single text as many as
an output has on average. Engines alternate, each in its own process on all cores; the best run of each counts.

With `--shortlist`, Seqline and CTranslate2 are also measured with a shortlist, which is a vocabulary mapping there, of
the same tokens: `shortlist_vs_ctranslate2_f32_b64` compares Seqline with a shortlist with CTranslate2 without one, and
`shortlist_vs_ctranslate2_f32_vmap_b64` with one. `shortlist_same` is the share of outputs that do not change.
"""

import itertools
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sacrebleu
from sentencepiece import SentencePieceProcessor

from benchmarks.decode_weights import train_once, write_weights
from benchmarks.environments import (
    FOLDER,
    HUGGING_FACE,
    OPENNMT_TF,
    ctranslate2_computes,
    environment,
    run_module,
)
from benchmarks.results import finish, parser, show
from seqline.accelerators import multiplies_bfloat16
from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus
from seqline.components.export.lexicon import make_lexicon
from seqline.components.export.options import DecodingOptions
from seqline.components.export.stage import export
from seqline.modeling.config import TransformerConfig

BATCH = 64
LENGTH_PENALTY = 0.6
PEERS = {
    "ctranslate2": ["ctranslate2==4.8.5", "numpy==2.4.6", "sentencepiece==0.2.3"],
    "hugging_face": HUGGING_FACE,
    "opennmt_tf": OPENNMT_TF,
    "keras_hub": ["keras-hub==0.32.0", "keras==3.15.1", "tensorflow-cpu==2.21.0", "sentencepiece==0.2.3"],
}
LENGTHS = (16, 32, 64, 128, 256)
QUANTIZATIONS = {"f32": None, "int8": "int8", "bf16": "bfloat16"}
SAME_WEIGHTS = ("seqline", "ctranslate2")
"""What the names of the engines with Seqline's weights begin with."""


def main() -> None:
    """Runs the benchmark."""
    flags = parser("decode", "sentences per second and latency, text in to text out, compared with other engines")
    flags.add_argument("data", type=Path, help="folder of train.tsv.gz, valid.tsv.gz and test.tsv.gz")
    flags.add_argument("--preset", default="tiny", help="the model's size")
    flags.add_argument("--minutes", type=float, default=15, help="training time, unless the checkpoint exists")
    flags.add_argument("--work", type=Path, help="folder of the corpus and the checkpoint")
    flags.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS), help="all by default")
    flags.add_argument("--beams", nargs="+", type=int, default=[4, 1], help="beam sizes")
    flags.add_argument("--shortlist", action="store_true", help="also with a shortlist")
    flags.add_argument("--weights", action="store_true", help="also BLEU and size of bfloat16 and int8 weights")
    args = flags.parse_args()
    work = args.work or FOLDER / f"decode-{args.preset}"
    checkpoint, corpus = train_once(args.data, work, args.preset, 1.0 if args.quick else args.minutes)
    pairs = Corpus(corpus).read_text("test")[: 256 if args.quick else None]
    texts, references = [pair["source"] for pair in pairs], [pair["target"] for pair in pairs]
    metrics: dict[str, float | str] = {"preset": args.preset}
    rows: list[list[Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        task = {
            **write_weights(Checkpoint(checkpoint), folder / "weights.npz"),
            "tokenizer": str(Checkpoint(checkpoint).tokenizer),
            "length_penalty": LENGTH_PENALTY,
            "texts": texts,
            "batch_size": BATCH,
            "passes": 1 if args.quick else 2,
            "singles": 25 if args.quick else 60,
            **settings()[0],
        }
        if args.shortlist:
            task["shortlist"] = write_lexicon(Corpus(corpus), Checkpoint(checkpoint), folder / "lexicon.npz")
        kinds = {"seqline": "float32", **({"seqline_bf16": "bfloat16"} if multiplies_bfloat16() else {})}
        for beam in args.beams:
            models = {}
            for shortlist, (engine, dtype) in itertools.product([False, True][: 1 + args.shortlist], kinds.items()):
                name = f"{engine}_shortlist" if shortlist else engine
                chosen = {"beam_size": beam, "weight_dtype": dtype, "shortlist": shortlist}
                models[name] = folder / f"{name}-{beam}"
                export(
                    checkpoint,
                    corpus,
                    models[name],
                    DecodingOptions(length_penalty=LENGTH_PENALTY).with_values(**chosen),
                )
            found = measure_engines({**task, "beam_size": beam}, models, args.peers, 1 if args.quick else 2)
            for engine, runs in found.items():
                best = {
                    "rate": max(run["rate"] for run in runs),
                    "latency_ms": 1000 * min(run["latency"] for run in runs),
                    "load_s": min(run["load"] for run in runs),
                    "first_s": min(run["first"] for run in runs),
                    "bleu": bleu(runs[0]["outputs"], references) if engine.startswith(SAME_WEIGHTS) else float("nan"),
                }
                fastest = max(runs, key=lambda run: run["rate"])
                rows.append([engine, beam, f"{fastest['workers']} x {fastest['threads']}", *best.values()])
                metrics |= {f"{engine}_beam{beam}_{name}": value for name, value in best.items() if value == value}
            if args.shortlist:
                both = [found[engine][0]["outputs"] for engine in ("seqline", "seqline_shortlist")]
                same = [one == other for one, other in zip(*both, strict=True)]
                metrics[f"shortlist_same_beam{beam}"] = statistics.mean(same)
        # Shown first: the rest takes minutes.
        show(
            "Decoding",
            ["engine", "beam", "workers x threads", "sentences/s, b64", "ms, b1", "load s", "first call s", "BLEU"],
            rows,
        )
        if args.weights:
            for dtype in ("float32", "bfloat16", "int8"):
                model = folder / dtype
                options = DecodingOptions(length_penalty=LENGTH_PENALTY).with_values(weight_dtype=dtype)
                export(checkpoint, corpus, model, options)
                part = {**task, "model": str(model), "passes": 1}
                run = run_module(sys.executable, "benchmarks.decode_seqline", part)
                metrics[f"bleu_{dtype}"] = bleu(run["outputs"], references)
                size = sum(file.stat().st_size for file in model.rglob("*") if file.is_file())
                metrics[f"megabytes_{dtype}"] = size / 1e6
                metrics[f"rate_{dtype}"] = run["rate"]
        lengths = LENGTHS[:3] if args.quick else LENGTHS
        by_length = {**task, "texts": texts[:16], "checkpoint": str(checkpoint), "lengths": lengths}
        seconds = {"seqline": run_module(sys.executable, "benchmarks.decode_lengths", by_length)["seconds"]}
        if "ctranslate2" in args.peers:
            python = environment("ctranslate2", PEERS["ctranslate2"])
            peer = run_module(python, "benchmarks.decode_lengths", {**by_length, "quantization": None})
            seconds["ctranslate2_f32"] = peer["seconds"]
    rows = [list(row) for row in zip(lengths, *seconds.values(), strict=True)]
    show("Seconds by output length, beam 4, 16 texts", ["tokens", *seconds], rows)
    for engine, times in seconds.items():
        metrics |= {f"{engine}_seconds_{length}_pieces": time for length, time in zip(lengths, times, strict=True)}
        metrics[f"{engine}_piece_cost_longest_vs_16"] = (times[-1] / lengths[-1]) / (times[0] / lengths[0])
    finish(metrics | ratios(metrics), args.json)


def write_lexicon(corpus: Corpus, checkpoint: Checkpoint, file: Path) -> str:
    """Writes the tokens of the shortlist that the export makes.

    Args:
        corpus: The corpus.
        checkpoint: The trained model.
        file: The .npz file to write.

    Returns:
        The file.
    """
    config = TransformerConfig.from_dict(checkpoint.read_config().model)
    lexicon = make_lexicon(corpus, config)
    np.savez(file, frequent=lexicon.frequent, linked=lexicon.linked)
    return str(file)


def measure_engines(
    task: dict[str, Any], models: Mapping[str, Path], peers: Sequence[str], repeats: int
) -> dict[str, list[dict[str, Any]]]:
    """Runs the engines alternately, so that other load on the machine affects all of them.

    Args:
        task: The task; see `benchmarks.decode_timing`.
        models: Seqline's models by the engine's name.
        peers: Names of `PEERS`.
        repeats: Number of runs.

    Returns:
        The measurements of each engine, one per run and setting.
    """
    task = {**task, "model": str(models["seqline"])}
    first = run_module(sys.executable, "benchmarks.decode_seqline", task)
    processor = SentencePieceProcessor(model_file=task["tokenizer"])
    lengths = [len(ids) + 1 for ids in processor.encode(first["outputs"])]
    longest = [max(lengths[start : start + BATCH]) for start in range(0, len(lengths), BATCH)]
    task = {
        **task,
        "batch_length": round(statistics.mean(longest)),
        "single_length": round(statistics.mean(lengths)),
        "longest_source": 1 + max(len(ids) for ids in processor.encode(task["texts"])),
    }
    engines: dict[str, tuple[str | Path, str, dict[str, Any]]] = {
        name: (sys.executable, "benchmarks.decode_seqline", {**task, "model": str(model)})
        for name, model in models.items()
    }
    for peer in peers:
        python = environment(peer.replace("_", "-"), PEERS[peer])
        if peer == "ctranslate2":
            for suffix, quantization in QUANTIZATIONS.items():
                if suffix == "bf16" and not ctranslate2_computes(python, "bfloat16"):
                    continue
                for ending, lexicon in {"": None, "_vmap": task.get("shortlist")}.items():
                    if lexicon or not ending:
                        its_task = {**task, "quantization": quantization, "lexicon": lexicon}
                        engines[f"ctranslate2_{suffix}{ending}"] = (python, "benchmarks.decode_ctranslate2", its_task)
        else:
            # They are many times slower: a part of the texts is enough.
            batches = 2 if peer == "keras_hub" else 4
            part = {**task, "texts": task["texts"][: batches * BATCH], "singles": min(15, task["singles"]), "passes": 1}
            engines[peer] = (python, f"benchmarks.decode_{peer}", part)
    found: dict[str, list[dict[str, Any]]] = {engine: [] for engine in engines}
    for repeat in range(repeats):
        for engine, (interpreter, module, its_task) in engines.items():
            # One run of the slow engines is enough.
            if repeat == 0 or engine.startswith(SAME_WEIGHTS):
                # keras-hub's `generate` is not thread-safe.
                candidates = settings()[:1] if engine == "keras_hub" else settings()
                found[engine] += measure_settings(interpreter, module, its_task, candidates)
    return found


def measure_settings(
    python: str | Path, module: str, task: dict[str, Any], candidates: list[dict[str, int]]
) -> list[dict[str, Any]]:
    """Measures an engine in several settings; one in which a peer fails is skipped, unless it fails in all.

    Args:
        python: The engine's Python.
        module: Its module.
        task: Its task.
        candidates: The settings.

    Raises:
        RuntimeError: If Seqline fails in any setting, or a peer in all.
    """
    runs = []
    for number, setting in enumerate(candidates, 1):
        try:
            runs.append(run_module(python, module, task | setting) | setting)
        except RuntimeError as error:  # noqa: PERF203 (a run takes seconds)
            if python == sys.executable or (number == len(candidates) and not runs):
                raise
            print(f"skipped, with {setting}: {error}", file=sys.stderr)
    return runs


def settings() -> list[dict[str, int]]:
    """The ways to use the cores: all for one batch at a time, or one for each of several concurrent batches."""
    cores = len(os.sched_getaffinity(0))
    return [{"threads": cores, "workers": 1}, {"threads": 1, "workers": cores}][:cores]


def bleu(outputs: list[str], references: list[str]) -> float:
    """BLEU of the outputs, 0 to 100."""
    return float(sacrebleu.corpus_bleu(outputs, [references]).score)


def ratios(metrics: dict[str, Any]) -> dict[str, float]:
    """Divides Seqline's rate by the peers', and its latency by CTranslate2's.

    Args:
        metrics: The metrics of all engines.

    Returns:
        The ratios of Seqline's faster precision, beginning with `f32_` those of float32, and what bfloat16 adds to
        BLEU.
    """
    names = {
        "vs_hugging_face_b64": "hugging_face",
        "vs_opennmt_tf_b64": "opennmt_tf",
        "vs_keras_hub_b64": "keras_hub",
        "vs_ctranslate2_f32_b64": "ctranslate2_f32",
        "vs_ctranslate2_int8_b64": "ctranslate2_int8",
        "vs_ctranslate2_bf16_b64": "ctranslate2_bf16",
    }
    found = {}
    for beam, suffix in ((4, ""), (1, "_greedy")):

        def of(engine: str, name: str, beam: int = beam) -> float | None:
            return metrics.get(f"{engine}_beam{beam}_{name}")

        rates = [rate for rate in (of("seqline", "rate"), of("seqline_bf16", "rate")) if rate]
        latencies = [time for time in (of("seqline", "latency_ms"), of("seqline_bf16", "latency_ms")) if time]
        for name, peer in names.items():
            if theirs := of(peer, "rate"):
                found[name + suffix] = max(rates) / theirs
                found[f"f32_{name}{suffix}"] = rates[0] / theirs
        if theirs := of("ctranslate2_f32", "latency_ms"):
            found[f"latency_vs_ctranslate2_f32_b1{suffix}"] = min(latencies) / theirs
        listed = ("seqline_shortlist", "seqline_bf16_shortlist")
        for peer in (f"ctranslate2_{kind}{ending}" for kind in QUANTIZATIONS for ending in ("", "_vmap")):
            for name, metric, best in (("vs", "rate", max), ("latency_vs", "latency_ms", min)):
                ours = [value for engine in listed if (value := of(engine, metric))]
                if ours and (theirs := of(peer, metric)):
                    found[f"shortlist_{name}_{peer}_{'b64' if best is max else 'b1'}{suffix}"] = best(ours) / theirs
        if (bleu_bf16 := of("seqline_bf16", "bleu")) and (bleu_f32 := of("seqline", "bleu")):
            found[f"bleu_bf16_minus_f32{suffix}"] = bleu_bf16 - bleu_f32
    return found


if __name__ == "__main__":
    main()
