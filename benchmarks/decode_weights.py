"""The trained model of `benchmarks.decode`, and its weights as NumPy arrays."""

from pathlib import Path
from typing import Any

import numpy as np

from seqline.artifacts.checkpoint import Checkpoint
from seqline.components.tokenize.options import Options as TokenizeOptions
from seqline.components.tokenize.stage import tokenize
from seqline.components.train.options import Options
from seqline.components.train.stage import train
from seqline.modeling.architectures import make_model
from seqline.modeling.config import TransformerConfig
from seqline.modeling.positions import sinusoids

POSITIONS = 512


def train_once(data: Path, work: Path, preset: str, minutes: float) -> tuple[Path, Path]:
    """Tokenizes and trains, unless the results already exist.

    Args:
        data: Folder of train.tsv.gz, valid.tsv.gz and test.tsv.gz.
        work: Folder of the corpus and the checkpoint.
        preset: The model's size.
        minutes: Training time.

    Returns:
        The checkpoint folder and the corpus folder.
    """
    checkpoint, corpus = work / "checkpoint", work / "corpus"
    if not corpus.exists():
        options = TokenizeOptions(vocabulary_size=8000)
        train_data, valid_data, test_data = (str(data / f"{split}.tsv.gz") for split in ("train", "valid", "test"))
        report = work / "report.html"
        tokenize(train_data, corpus, report, valid_data=valid_data, test_data=test_data, options=options)
    if not checkpoint.exists():
        train(corpus, checkpoint, options=Options().with_values(preset=preset, minutes=minutes, epochs=1000))
    return checkpoint, corpus


def write_weights(checkpoint: Checkpoint, file: Path) -> dict[str, Any]:
    """Writes the trained weights as NumPy arrays.

    Args:
        checkpoint: The trained model.
        file: The .npz file to write.

    Returns:
        The keys of a peer's task: the file, and the model's shape.
    """
    model: Any = make_model(TransformerConfig.from_dict(checkpoint.read_config().model))
    model.load_weights(checkpoint.weights)
    # More than training needs: CTranslate2 computes none itself.
    positions = sinusoids(POSITIONS, model.config.hidden_dim)
    weights = {"embedding": np.asarray(model.embedding), "positions": positions}
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
    return {
        "weights": str(file),
        "layers": [config.encoder_layers, config.decoder_layers],
        "num_heads": config.num_heads,
        "hidden_dim": config.hidden_dim,
        "intermediate_dim": config.intermediate_dim,
    }
