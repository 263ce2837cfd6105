"""OpenNMT-tf's exported SavedModel in `benchmarks.decode`: a model of the same shape with random weights."""

import os
import tempfile
from pathlib import Path
from typing import Any

import sentencepiece

from benchmarks.decode_timing import Translate, run


def export(task: dict[str, Any], processor: Any, length: int) -> str:
    """Exports a model whose outputs all have the same length.

    Args:
        task: The model's shape, and the decoding options.
        processor: The tokenizer.
        length: Length of the outputs in tokens.

    Returns:
        The model's folder.
    """
    import opennmt
    import tensorflow as tf

    tf.random.set_seed(1)
    folder = Path(tempfile.mkdtemp())
    vocabulary = folder / "vocabulary"
    names = [processor.id_to_piece(token) for token in range(processor.get_piece_size())]
    special = ["<blank>", "<s>", "</s>"]
    rest = [name for name in names if name not in special]
    vocabulary.write_text("".join(f"{name}\n" for name in [*special, *rest]), encoding="utf-8")
    embedder = opennmt.inputters.WordEmbedder
    model = opennmt.models.Transformer(
        source_inputter=embedder(embedding_size=task["hidden_dim"]),
        target_inputter=embedder(embedding_size=task["hidden_dim"]),
        num_layers=tuple(task["layers"]),
        num_units=task["hidden_dim"],
        num_heads=task["num_heads"],
        ffn_inner_dim=task["intermediate_dim"],
        share_embeddings=opennmt.models.EmbeddingsSharingLevel.ALL,
    )
    model.initialize(
        {"source_vocabulary": str(vocabulary), "target_vocabulary": str(vocabulary)},
        params={
            "beam_width": task["beam_size"],
            "length_penalty": task["length_penalty"],
            "maximum_decoding_length": length,
            "minimum_decoding_length": length,
        },
    )
    model.create_variables()
    model.export(str(folder / "model"))
    return str(folder / "model")


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Exports the model for each output length."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    # They cannot be changed once the export has started TensorFlow.
    tf.config.threading.set_intra_op_parallelism_threads(task["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(max(2, task["workers"]))
    processor = sentencepiece.SentencePieceProcessor(model_file=task["tokenizer"])
    lengths = {task["single_length"], task["batch_length"]}
    return {"models": {length: export(task, processor, length) for length in lengths}}


def load(task: dict[str, Any]) -> Translate:
    """Loads the exported models."""
    import tensorflow as tf

    processor = sentencepiece.SentencePieceProcessor(model_file=task["tokenizer"])
    loaded = {length: tf.saved_model.load(model) for length, model in task["models"].items()}

    def translate(texts: list[str]) -> list[str]:
        rows = processor.encode(texts, out_type=str)
        tokens = tf.ragged.constant(rows, dtype=tf.string).to_tensor("")
        lengths = tf.constant([len(row) for row in rows], tf.int32)
        length = task["single_length"] if len(texts) == 1 else task["batch_length"]
        found = loaded[length].signatures["serving_default"](tokens=tokens, length=lengths)
        best = zip(found["tokens"].numpy()[:, 0], found["length"].numpy()[:, 0], strict=True)
        return [processor.decode([token.decode() for token in row[:size]]) for row, size in best]

    return translate


if __name__ == "__main__":
    run(load, prepare)
