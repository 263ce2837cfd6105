"""keras-hub's samplers in `benchmarks.decode`: its encoder-decoder of the same shape with random weights."""

import os
from typing import Any

import numpy as np
import sentencepiece

from benchmarks.decode_timing import Translate, run


def load(task: dict[str, Any]) -> Translate:
    """Creates the model, and compiles its `generate`."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"], os.environ["KERAS_BACKEND"] = "3", "tensorflow"
    import keras_hub

    processor = sentencepiece.SentencePieceProcessor(model_file=task["tokenizer"])
    pad, start, end = processor.pad_id(), processor.bos_id(), processor.eos_id()
    backbone = keras_hub.models.BartBackbone(
        vocabulary_size=processor.get_piece_size(),
        num_layers=task["layers"][0],
        num_heads=task["num_heads"],
        hidden_dim=task["hidden_dim"],
        intermediate_dim=task["intermediate_dim"],
        max_sequence_length=512,
    )
    model = keras_hub.models.BartSeq2SeqLM(backbone=backbone, preprocessor=None)
    beams = task["beam_size"]
    samplers = keras_hub.samplers
    model.compile(sampler=samplers.BeamSampler(num_beams=beams) if beams > 1 else samplers.GreedySampler())

    def translate(texts: list[str]) -> list[str]:
        ids = [[*row, end] for row in processor.encode(texts)]
        # `generate` is compiled once per shape.
        width = task["longest_source"]
        source = np.array([row + [pad] * (width - len(row)) for row in ids], np.int32)
        length = task["single_length"] if len(texts) == 1 else task["batch_length"]
        target = np.zeros((len(ids), length + 1), np.int32)
        target[:, 0] = start
        found = model.generate(
            {
                "encoder_token_ids": source,
                "encoder_padding_mask": source != pad,
                "decoder_token_ids": target,
                "decoder_padding_mask": np.arange(length + 1)[None] == np.zeros((len(ids), 1)),
            },
            # With random weights, no token may end a sentence.
            stop_token_ids=None,
        )
        return [str(text) for text in processor.decode(np.asarray(found["decoder_token_ids"]).tolist())]

    return translate


if __name__ == "__main__":
    run(load)
