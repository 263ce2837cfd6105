"""Decoding: Seqline's SavedModel beside CTranslate2, Hugging Face, OpenNMT-tf and keras-hub.

CTranslate2 gets the very weights. The other peers' formats do not hold them: they get a model of the same shape with
random weights, which ends no sentence. They decode as many pieces as the longest output of a batch has on average over
the batches, as a trained model of theirs would, and alone as many as an output has on average. Engines take turns, each
in a process of its own, with both cores; the best turn of each counts.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sacrebleu
from sentencepiece import SentencePieceProcessor

from benchmarks.decode_weights import trained, write_weights
from benchmarks.environments import environment
from benchmarks.results import finish, parser, show
from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus
from seqline.components.export.options import DecodingOptions
from seqline.components.export.stage import export

BATCH = 64
LENGTH_PENALTY = 0.6
PEERS = {
    "ctranslate2": ["ctranslate2==4.8.5", "numpy==2.4.6", "sentencepiece==0.2.3"],
    "hugging_face": [
        "accelerate==1.11.0",
        "numpy==2.4.6",
        "torch==2.13.0",
        "transformers==4.57.1",
        "sentencepiece==0.2.3",
    ],
    "opennmt_tf": [
        "numpy==1.24.3",
        "opennmt-tf==2.32.0",
        "tensorflow-cpu==2.13.1",
        "setuptools==69.5.1",
        "sentencepiece==0.2.0",
    ],
    "keras_hub": ["keras-hub==0.32.0", "keras==3.15.1", "tensorflow-cpu==2.21.0", "sentencepiece==0.2.3"],
}
LENGTHS = (16, 32, 64, 128, 256)


def measure(python: str | Path, module: str, task: dict[str, Any]) -> dict[str, Any]:
    """Runs one engine in a process of its own; see `benchmarks.decode_timing`.

    Args:
        python: The engine's Python.
        module: Its module.
        task: What to do.
    """
    command = [str(python), "-m", module]
    done = subprocess.run(command, input=json.dumps(task), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{module} failed:\n{done.stderr[-3000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measures all engines, in turns."""
    flags = parser("decode", "sentences per second and latency, text in to text out, beside other engines")
    flags.add_argument("data", type=Path, help="a folder of train.tsv.gz, valid.tsv.gz and test.tsv.gz")
    flags.add_argument("--preset", default="tiny", help="the model's size")
    flags.add_argument("--minutes", type=float, default=15, help="how long it is trained, if that was not done before")
    flags.add_argument("--work", type=Path, help="where its corpus and checkpoint are, or will be kept")
    flags.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS), help="all by default")
    flags.add_argument("--beams", nargs="+", type=int, default=[4, 1], help="beam sizes")
    flags.add_argument("--weights", action="store_true", help="also BLEU and size of bfloat16 and int8 weights")
    given = flags.parse_args()
    work = given.work or Path(".benchmarks") / f"decode-{given.preset}"
    checkpoint, corpus = trained(given.data, work, given.preset, 1.0 if given.quick else given.minutes)
    pairs = Corpus(corpus).read_text("test")[: 256 if given.quick else None]
    texts, references = [pair["source"] for pair in pairs], [pair["target"] for pair in pairs]
    figures: dict[str, float | str] = {"preset": given.preset}
    rows: list[list[Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        task = {
            **write_weights(Checkpoint(checkpoint), folder / "weights.npz"),
            "tokenizer": str(Checkpoint(checkpoint).tokenizer),
            "length_penalty": LENGTH_PENALTY,
            "texts": texts,
            "batch_size": BATCH,
            "passes": 1 if given.quick else 2,
            "singles": 25 if given.quick else 60,
            **settings()[0],
        }
        for beam in given.beams:
            model = folder / f"beam-{beam}"
            export(checkpoint, corpus, model, DecodingOptions(beam_size=beam, length_penalty=LENGTH_PENALTY))
            found = race({**task, "model": str(model), "beam_size": beam}, given.peers, 1 if given.quick else 2)
            for engine, turns in found.items():
                best = {
                    "rate": max(turn["rate"] for turn in turns),
                    "latency_ms": 1000 * min(turn["latency"] for turn in turns),
                    "load_s": min(turn["load"] for turn in turns),
                    "first_s": min(turn["first"] for turn in turns),
                    "bleu": bleu(turns[0]["answers"], references) if engine in SAME_WEIGHTS else float("nan"),
                }
                fastest = max(turns, key=lambda turn: turn["rate"])
                rows.append([engine, beam, f"{fastest['workers']} x {fastest['threads']}", *best.values()])
                figures |= {f"{engine}_beam{beam}_{name}": value for name, value in best.items() if value == value}
        # Before what follows: it takes minutes.
        show(
            "Decoding",
            ["engine", "beam", "workers x threads", "sentences/s, b64", "ms, b1", "load s", "first call s", "BLEU"],
            rows,
        )
        if given.weights:
            for kind in ("float32", "bfloat16", "int8"):
                model = folder / kind
                export(
                    checkpoint,
                    corpus,
                    model,
                    DecodingOptions(length_penalty=LENGTH_PENALTY).with_values(weight_dtype=kind),
                )
                turn = measure(sys.executable, "benchmarks.decode_seqline", {**task, "model": str(model), "passes": 1})
                figures[f"bleu_{kind}"] = bleu(turn["answers"], references)
                size = sum(file.stat().st_size for file in model.rglob("*") if file.is_file())
                figures[f"megabytes_{kind}"] = size / 1e6
                figures[f"rate_{kind}"] = turn["rate"]
        lengths = LENGTHS[:3] if given.quick else LENGTHS
        lengthy = {**task, "texts": texts[:16], "checkpoint": str(checkpoint), "lengths": lengths}
        seconds = {"seqline": measure(sys.executable, "benchmarks.decode_lengths", lengthy)["seconds"]}
        if "ctranslate2" in given.peers:
            python = environment("ctranslate2", PEERS["ctranslate2"])
            peer = measure(python, "benchmarks.decode_lengths", {**lengthy, "quantization": None})
            seconds["ctranslate2_f32"] = peer["seconds"]
    show(
        "Beam 4, 16 texts, so many pieces: seconds",
        ["pieces", *seconds],
        list(zip(lengths, *seconds.values(), strict=True)),
    )
    for engine, found in seconds.items():
        figures |= {f"{engine}_seconds_{length}_pieces": one for length, one in zip(lengths, found, strict=True)}
        figures[f"{engine}_piece_cost_longest_vs_16"] = (found[-1] / lengths[-1]) / (found[0] / lengths[0])
    finish(figures | ratios(figures), given.json)


SAME_WEIGHTS = ("seqline", "ctranslate2_f32", "ctranslate2_int8")


def race(task: dict[str, Any], peers: Sequence[str], turns: int) -> dict[str, list[dict[str, Any]]]:
    """Lets everybody decode, in turns: what else the machine does meets all of them alike.

    Args:
        task: What to do.
        peers: Names of `PEERS`.
        turns: How many.

    Returns:
        What was measured, by engine and turn.
    """
    first = measure(sys.executable, "benchmarks.decode_seqline", task)
    processor = SentencePieceProcessor(model_file=task["tokenizer"])
    pieces = [len(ids) + 1 for ids in processor.encode(first["answers"])]
    longest = [max(pieces[start : start + BATCH]) for start in range(0, len(pieces), BATCH)]
    task = {
        **task,
        "pieces": round(statistics.mean(longest)),
        "pieces_alone": round(statistics.mean(pieces)),
        "limits": sorted({round(statistics.mean(longest)), round(statistics.mean(pieces))}),
        "longest_source": 1 + max(len(ids) for ids in processor.encode(task["texts"])),
    }
    engines: dict[str, tuple[str | Path, str, dict[str, Any]]] = {
        "seqline": (sys.executable, "benchmarks.decode_seqline", task)
    }
    for peer in peers:
        python = environment(peer.replace("_", "-"), PEERS[peer])
        if peer == "ctranslate2":
            for kind, quantization in (("f32", None), ("int8", "int8")):
                quantized = {**task, "quantization": quantization}
                engines[f"ctranslate2_{kind}"] = (python, "benchmarks.decode_ctranslate2", quantized)
        else:
            # They are many times slower: a part of the text is enough.
            batches = 2 if peer == "keras_hub" else 4
            part = {**task, "texts": task["texts"][: batches * BATCH], "singles": min(15, task["singles"]), "passes": 1}
            engines[peer] = (python, f"benchmarks.decode_{peer}", part)
    found: dict[str, list[dict[str, Any]]] = {engine: [] for engine in engines}
    for turn in range(turns):
        for engine, what in engines.items():
            # Of the slow ones one turn is enough.
            if turn == 0 or engine in SAME_WEIGHTS:
                interpreter, module, asked = what
                # keras-hub's `generate` is for one thread.
                tried = settings()[:1] if engine == "keras_hub" else settings()
                found[engine] += measured_settings(interpreter, module, asked, tried)
    return found


def measured_settings(
    python: str | Path, module: str, task: dict[str, Any], tried: list[dict[str, int]]
) -> list[dict[str, Any]]:
    """Measures an engine in several settings; one in which a peer crashes is left out, if it runs in another.

    Args:
        python: The engine's Python.
        module: Its module.
        task: What to do.
        tried: The settings.
    """

    def attempt(setting: dict[str, int]) -> dict[str, Any] | RuntimeError:
        try:
            return measure(python, module, task | setting) | setting
        except RuntimeError as error:
            print(f"left out, with {setting}: {error}", file=sys.stderr)
            return error

    found = [attempt(setting) for setting in tried]
    turns = [turn for turn in found if not isinstance(turn, RuntimeError)]
    for failure in found:
        if isinstance(failure, RuntimeError) and (not turns or python == sys.executable):
            raise failure
    return turns


def settings() -> list[dict[str, int]]:
    """The ways to use the cores: all for one batch at a time, or one for each of several batches."""
    cores = len(os.sched_getaffinity(0))
    return [{"threads": cores, "workers": 1}, {"threads": 1, "workers": cores}][:cores]


def bleu(answers: list[str], references: list[str]) -> float:
    """BLEU of answers."""
    return float(sacrebleu.corpus_bleu(answers, [references]).score)


def ratios(figures: dict[str, Any]) -> dict[str, float]:
    """Seqline's rate over the peers', and its latency over CTranslate2's.

    Args:
        figures: What was measured.
    """
    names = {
        "vs_hugging_face_b64": "hugging_face",
        "vs_opennmt_tf_b64": "opennmt_tf",
        "vs_keras_hub_b64": "keras_hub",
        "vs_ctranslate2_f32_b64": "ctranslate2_f32",
        "vs_ctranslate2_int8_b64": "ctranslate2_int8",
    }
    found = {}
    for beam, suffix in ((4, ""), (1, "_greedy")):
        ours = f"seqline_beam{beam}_"
        for name, peer in names.items():
            if f"{peer}_beam{beam}_rate" in figures:
                found[name + suffix] = figures[f"{ours}rate"] / figures[f"{peer}_beam{beam}_rate"]
        if f"ctranslate2_f32_beam{beam}_latency_ms" in figures:
            theirs = figures[f"ctranslate2_f32_beam{beam}_latency_ms"]
            found[f"latency_vs_ctranslate2_f32_b1{suffix}"] = figures[f"{ours}latency_ms"] / theirs
    return found


if __name__ == "__main__":
    main()
