"""A plain FastAPI server that calls Hugging Face `generate` for each request.

Runs in its own environment, without Seqline. The model has Seqline's shape and random weights, which never end a
sentence: it generates as many tokens as Seqline's outputs have on average. The time depends on the shape and the
length, not on the weights.
"""

import os
import threading

import sentencepiece
import torch
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import MarianConfig, MarianMTModel

SHAPE = dict(pair.split("=") for pair in os.environ["SHAPE"].split())
torch.set_num_threads(int(os.environ["THREADS"]))
processor = sentencepiece.SentencePieceProcessor(model_file=os.environ["TOKENIZER"])
config = MarianConfig(
    vocab_size=int(SHAPE["vocabulary_size"]),
    d_model=int(SHAPE["hidden_dim"]),
    encoder_layers=int(SHAPE["encoder_layers"]),
    decoder_layers=int(SHAPE["decoder_layers"]),
    encoder_attention_heads=int(SHAPE["num_heads"]),
    decoder_attention_heads=int(SHAPE["num_heads"]),
    encoder_ffn_dim=int(SHAPE["intermediate_dim"]),
    decoder_ffn_dim=int(SHAPE["intermediate_dim"]),
    max_position_embeddings=512,
    pad_token_id=0,
    eos_token_id=2,
    decoder_start_token_id=1,
    bad_words_ids=None,
)
torch.manual_seed(1)
model = MarianMTModel(config).eval()
LENGTH, BEAMS = int(os.environ["LENGTH"]), int(os.environ["BEAMS"])
# Two concurrent `generate` calls on the same cores take longer than two sequential ones.
lock = threading.Lock()
app = FastAPI()


class Request(BaseModel):
    """The body of a request."""

    instances: list[str]


@app.post("/predict")
def predict(request: Request) -> dict[str, list[dict[str, str]]]:
    """Returns the outputs of one request."""
    ids = [[*processor.encode(text), 2] for text in request.instances]
    longest = max(map(len, ids))
    batch = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
    with lock, torch.inference_mode():
        found = model.generate(
            batch,
            attention_mask=(batch != 0).long(),
            num_beams=BEAMS,
            min_new_tokens=LENGTH,
            max_new_tokens=LENGTH,
            length_penalty=0.6,
        )
    size = processor.get_piece_size()
    texts = [processor.decode([token for token in row if 2 < token < size]) for row in found.tolist()]
    return {"predictions": [{"text": text} for text in texts]}
