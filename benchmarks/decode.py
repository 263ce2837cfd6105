"""Decoding: Seqline's SavedModel against CTranslate2 with the same weights; `python -m benchmarks.decode --help`."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import sacrebleu

from benchmarks.environments import environment
from benchmarks.results import finish, parser, show
from components.export.exported import Decoding
from components.export.stage import export
from components.tokenize.corpus import Corpus
from components.train.checkpoint import Checkpoint
from components.train.model import Transformer, TransformerConfig

CTRANSLATE2 = ["ctranslate2==4.8.5", "numpy==2.4.6", "sentencepiece==0.2.3"]
ROUNDS = 2
LENGTH_PENALTY = 0.6


def write_weights(checkpoint: Checkpoint, file: Path) -> dict[str, Any]:
    """Writes the trained weights under plain names.

    Args:
        checkpoint: The trained model.
        file: The .npz file to write.

    Returns:
        What a peer must know of the model's shape.
    """
    model = Transformer(TransformerConfig.from_dict(checkpoint.read_config()["model"]))
    model.load_weights(checkpoint.weights)
    weights = {"embedding": np.asarray(model.embedding), "positions": model.encodings}
    for side in ("encoder", "decoder"):
        weights[f"{side}_norm"] = np.asarray(getattr(model, f"{side}_norm").scale)
        for number, layer in enumerate(getattr(model, side)):
            blocks = {"feed_forward": ("expand", "contract"), "self_attention": ("project_in", "project_out")}
            norms = ["self_norm", "feed_forward_norm"]
            if side == "decoder":
                blocks["cross_attention"] = ("project_in", "project_out")
                norms.append("cross_norm")
            for norm in norms:
                weights[f"{side}.{number}.{norm}"] = np.asarray(getattr(layer, norm).scale)
            for block, parts in blocks.items():
                for part in parts:
                    dense = getattr(getattr(layer, block), part)
                    weights[f"{side}.{number}.{block}.{part}.kernel"] = np.asarray(dense.kernel)
                    weights[f"{side}.{number}.{block}.{part}.bias"] = np.asarray(dense.bias)
    np.savez(file, **weights)  # type: ignore[arg-type]
    config = model.config
    layers = [config.encoder_layers, config.decoder_layers]
    return {"weights": str(file), "layers": layers, "heads": config.heads, "width": config.width}


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
        raise RuntimeError(f"{module} failed:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measures all engines, in turns."""
    arguments = parser("decode", "sentences per second and latency, text in to text out, against CTranslate2")
    arguments.add_argument("checkpoint", type=Path, help="a checkpoint folder that train wrote")
    arguments.add_argument("corpus", type=Path, help="its corpus folder; the test text is decoded")
    given = arguments.parse_args()
    pairs = Corpus(given.corpus).read_text("test")[: 256 if given.quick else None]
    texts, references = [pair["source"] for pair in pairs], [pair["target"] for pair in pairs]
    peer = environment("ctranslate2", CTRANSLATE2)
    figures: dict[str, float | str] = {}
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shape = write_weights(Checkpoint(given.checkpoint), folder / "weights.npz")
        for beam_size in (4, 1):
            model = folder / f"beam-{beam_size}"
            export(given.checkpoint, given.corpus, model, Decoding(beam_size, LENGTH_PENALTY))
            task = {
                **shape,
                "model": str(model),
                "tokenizer": str(Checkpoint(given.checkpoint).tokenizer),
                "beam_size": beam_size,
                "length_penalty": LENGTH_PENALTY,
                "texts": texts,
                "batch_size": 64,
                "passes": 1 if given.quick else 2,
                "singles": 40 if given.quick else 100,
            }
            engines: dict[str, tuple[str | Path, str, dict[str, Any]]] = {
                "seqline": (sys.executable, "benchmarks.decode_seqline", task),
                "ctranslate2_f32": (peer, "benchmarks.decode_ctranslate2", {**task, "quantization": None}),
                "ctranslate2_int8": (peer, "benchmarks.decode_ctranslate2", {**task, "quantization": "int8"}),
            }
            # In turns, and the best of each: what else the machine does meets all of them alike.
            turns = [{engine: measure(*what) for engine, what in engines.items()} for _ in range(ROUNDS)]
            for engine in engines:
                best = {
                    "rate": max(turn[engine]["rate"] for turn in turns),
                    "latency_ms": 1000 * min(turn[engine]["latency"] for turn in turns),
                    "load": min(turn[engine]["load"] for turn in turns),
                    "first": min(turn[engine]["first"] for turn in turns),
                    "bleu": sacrebleu.corpus_bleu(turns[0][engine]["answers"], [references]).score,
                }
                rows.append([engine, beam_size, *best.values()])
                figures |= {f"{engine}_beam{beam_size}_{name}": value for name, value in best.items()}
    show("Decoding", ["engine", "beam", "sentences/s, b64", "ms, b1", "load s", "first call s", "BLEU"], rows)
    for kind in ("f32", "int8"):
        figures[f"vs_ctranslate2_{kind}_b64"] = _ratio(figures, "seqline_beam4_rate", f"ctranslate2_{kind}_beam4_rate")
    figures["latency_vs_ctranslate2_f32_b1"] = _ratio(
        figures, "seqline_beam4_latency_ms", "ctranslate2_f32_beam4_latency_ms"
    )
    finish(figures, given.json)


def _ratio(figures: dict[str, Any], ours: str, theirs: str) -> float:
    return float(figures[ours]) / float(figures[theirs])


if __name__ == "__main__":
    main()
