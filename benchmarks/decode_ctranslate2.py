"""CTranslate2 in `benchmarks.decode`, with the weights that Seqline exports."""

import tempfile
from collections.abc import Callable
from typing import Any

import ctranslate2
import numpy as np
import sentencepiece
from ctranslate2.specs import TransformerSpec

from benchmarks.decode_timing import Translate, run


def convert(task: dict[str, Any], processor: Any) -> str:
    """Writes the trained weights in CTranslate2's format.

    Args:
        task: `weights`, the file that `benchmarks.decode` wrote; `quantization`, a type or None; `lexicon`, a file of
            the tokens of Seqline's shortlist, or none.
        processor: The tokenizer.

    Returns:
        The model's folder.
    """
    weights, width = np.load(task["weights"]), task["hidden_dim"]
    spec = TransformerSpec.from_config(task["layers"], task["num_heads"], pre_norm=True, rms_norm=True)

    def linear(layer: Any, kernel: np.ndarray, bias: np.ndarray) -> None:
        layer.weight, layer.bias = np.ascontiguousarray(kernel.T), bias

    def dense(layer: Any, name: str) -> None:
        linear(layer, weights[f"{name}.kernel"], weights[f"{name}.bias"])

    for side, stack in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        embeddings = stack.embeddings[0] if side == "encoder" else stack.embeddings
        embeddings.weight = weights["embedding"]
        stack.position_encodings.encodings = weights["positions"]
        stack.layer_norm.gamma = weights[f"{side}_norm"]
        for number, layer in enumerate(stack.layer):
            name = f"{side}.{number}"
            layer.self_attention.layer_norm.gamma = weights[f"{name}.self_norm"]
            dense(layer.self_attention.linear[0], f"{name}.self_attention.project_in")
            dense(layer.self_attention.linear[1], f"{name}.self_attention.project_out")
            if side == "decoder":
                layer.attention.layer_norm.gamma = weights[f"{name}.cross_norm"]
                kernel = weights[f"{name}.cross_attention.project_in.kernel"]
                bias = weights[f"{name}.cross_attention.project_in.bias"]
                linear(layer.attention.linear[0], kernel[:, :width], bias[:width])
                linear(layer.attention.linear[1], kernel[:, width:], bias[width:])
                dense(layer.attention.linear[2], f"{name}.cross_attention.project_out")
            layer.ffn.layer_norm.gamma = weights[f"{name}.feed_forward_norm"]
            dense(layer.ffn.linear_0, f"{name}.feed_forward.expand")
            dense(layer.ffn.linear_1, f"{name}.feed_forward.contract")
    spec.decoder.projection.weight = weights["embedding"]
    vocabulary = [processor.id_to_piece(token) for token in range(processor.vocab_size())]
    spec.register_source_vocabulary(vocabulary)
    spec.register_target_vocabulary(vocabulary)
    if task.get("lexicon"):
        spec.register_vocabulary_mapping(write_mapping(np.load(task["lexicon"]), vocabulary))
    spec.config.bos_token = spec.config.decoder_start_token = processor.id_to_piece(processor.bos_id())
    spec.config.eos_token = processor.id_to_piece(processor.eos_id())
    spec.config.unk_token = processor.id_to_piece(processor.unk_id())
    spec.config.layer_norm_epsilon = 1e-6
    spec.validate()
    # Its converter makes bfloat16 with PyTorch only, but the engine makes it from float32 when it loads.
    spec.optimize(quantization=None if task["quantization"] == "bfloat16" else task["quantization"])
    folder = tempfile.mkdtemp()
    spec.save(folder)
    return folder


def write_mapping(lexicon: Any, vocabulary: list[str]) -> str:
    """Writes the tokens of a shortlist as CTranslate2's vocabulary mapping.

    Args:
        lexicon: The arrays of `seqline.decoding.lexicon.Lexicon`.
        vocabulary: The tokens.

    Returns:
        The file.
    """
    lines = ["\t" + " ".join(vocabulary[token] for token in lexicon["frequent"])]
    for token, linked in zip(vocabulary, lexicon["linked"], strict=True):
        candidates = [vocabulary[other] for other in linked if other < len(vocabulary)]
        if candidates:
            lines.append(f"{token}\t{' '.join(candidates)}")
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", delete=False) as file:
        file.writelines(f"{line}\n" for line in lines)
    return file.name


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Converts the model."""
    processor = sentencepiece.SentencePieceProcessor(model_file=task["tokenizer"])
    return {"converted": convert(task, processor)}


def load_engine(task: dict[str, Any]) -> tuple[Any, Callable[[list[str]], list[list[str]]]]:
    """Loads the converted model and its tokenizer.

    Args:
        task: `converted`, the model's folder, and the settings.

    Returns:
        The engine, and a function that tokenizes texts.
    """
    processor = sentencepiece.SentencePieceProcessor(model_file=task["tokenizer"])
    engine = ctranslate2.Translator(
        task["converted"],
        compute_type=task["quantization"] or "float32",
        intra_threads=task["threads"],
        inter_threads=task["workers"],
    )
    end = processor.id_to_piece(processor.eos_id())
    return engine, lambda texts: [[*tokens, end] for tokens in processor.encode(texts, out_type=str)]


def load(task: dict[str, Any]) -> Translate:
    """Loads the converted model; `max_output_length` of the task is 128 by default."""
    engine, tokenize = load_engine(task)
    processor = sentencepiece.SentencePieceProcessor(model_file=task["tokenizer"])

    def translate(texts: list[str]) -> list[str]:
        found = engine.translate_batch(
            tokenize(texts),
            beam_size=task["beam_size"],
            length_penalty=task["length_penalty"],
            use_vmap=bool(task.get("lexicon")),
            max_decoding_length=task.get("max_output_length", 128),
        )
        return [processor.decode(result.hypotheses[0]) for result in found]

    return translate


if __name__ == "__main__":
    run(load, prepare)
