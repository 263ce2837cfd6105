"""Hugging Face `generate` in `benchmarks.decode`: a model of the same shape with random weights."""

from typing import Any

import sentencepiece
import torch
from transformers import MarianConfig, MarianMTModel

from benchmarks.decode_timing import Translate, run


def load(task: dict[str, Any]) -> Translate:
    """Creates the model."""
    torch.set_num_threads(task["threads"])
    torch.manual_seed(1)
    processor = sentencepiece.SentencePieceProcessor(model_file=task["tokenizer"])
    pad, start, end = processor.pad_id(), processor.bos_id(), processor.eos_id()
    encoder, decoder = task["layers"]
    config = MarianConfig(
        vocab_size=processor.get_piece_size(),
        d_model=task["hidden_dim"],
        encoder_layers=encoder,
        decoder_layers=decoder,
        encoder_attention_heads=task["num_heads"],
        decoder_attention_heads=task["num_heads"],
        encoder_ffn_dim=task["intermediate_dim"],
        decoder_ffn_dim=task["intermediate_dim"],
        activation_function="relu",
        scale_embedding=True,
        max_position_embeddings=512,
        pad_token_id=pad,
        eos_token_id=end,
        decoder_start_token_id=start,
        forced_eos_token_id=None,
    )
    model = MarianMTModel(config).eval()
    model.generation_config.bad_words_ids = None

    def translate(texts: list[str]) -> list[str]:
        ids = [[*row, end] for row in processor.encode(texts)]
        longest = max(map(len, ids))
        batch = torch.tensor([row + [pad] * (longest - len(row)) for row in ids])
        length = task["single_length"] if len(texts) == 1 else task["batch_length"]
        with torch.inference_mode():
            found = model.generate(
                batch,
                attention_mask=(batch != pad).long(),
                num_beams=task["beam_size"],
                min_new_tokens=length,
                max_new_tokens=length,
                length_penalty=task["length_penalty"] if task["beam_size"] > 1 else None,
                do_sample=False,
            )
        return [str(text) for text in processor.decode(found.tolist())]

    return translate


if __name__ == "__main__":
    run(load)
