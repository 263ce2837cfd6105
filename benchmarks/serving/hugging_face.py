"""The peer: a plain FastAPI server that calls Hugging Face `generate` for each request.

Runs in an environment of its own, without Seqline. The model has the shape that config.json says and random weights,
which never end a sentence: it gets as many new pieces as the other side's answers have on average. The answers' time
depends on the shape and the length, not on the weights.
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
pieces = sentencepiece.SentencePieceProcessor(model_file=os.environ["TOKENIZER"])
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
# Two `generate` calls on the same cores take longer than one after the other.
one_at_a_time = threading.Lock()
app = FastAPI()


class Request(BaseModel):
    """A request's body."""

    instances: list[str]


@app.post("/predict")
def predict(request: Request) -> dict[str, list[dict[str, str]]]:
    """Answers one request."""
    ids = [[*pieces.encode(text), 2] for text in request.instances]
    longest = max(map(len, ids))
    batch = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
    with one_at_a_time, torch.inference_mode():
        found = model.generate(
            batch,
            attention_mask=(batch != 0).long(),
            num_beams=BEAMS,
            min_new_tokens=LENGTH,
            max_new_tokens=LENGTH,
            length_penalty=0.6,
        )
    size = pieces.get_piece_size()
    texts = [pieces.decode([piece for piece in row if 2 < piece < size]) for row in found.tolist()]
    return {"predictions": [{"text": text} for text in texts]}
