"""A page with attention maps of a few validation sentences."""

import base64
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from seqline.atomic import atomic_write
from seqline.components.train.detokenizer import Detokenizer
from seqline.components.train.pairs import Pair
from seqline.html_report.page import render
from seqline.modeling.attention import MultiHeadAttention
from seqline.modeling.gpt import Gpt
from seqline.modeling.language_model import LanguageModel
from seqline.modeling.pointer import Pointed

SENTENCES, LONGEST, CELL = 3, 24, 16


@dataclass(frozen=True)
class Map:
    """One attention map.

    Attributes:
        title: Layer and heads.
        weights: Share of each row's attention, `[rows, columns]`.
        across: Tokens that are attended to.
        down: Tokens that attend.
    """

    title: str
    weights: np.ndarray
    across: list[str]
    down: list[str]

    @property
    def image(self) -> str:
        """A PNG as a data URI: a pixel for each pair of tokens, darker for more attention."""
        return png(self.weights)

    @property
    def peaks(self) -> list[tuple[str, float]]:
        """For each row, the token with the most attention and its share, for screen readers."""
        return [(self.across[int(row.argmax())], float(row.max())) for row in self.weights]


def write_attention_view(path: Path, model: LanguageModel, pairs: list[Pair], detokenizer: Detokenizer) -> None:
    """Writes the page: for each sentence the last decoder layer's heads, and all layers with their heads averaged.

    The decoder gets the reference as its target (teacher forcing). Of a transformer the maps show the cross-attention
    from the target (down) to the source (across); of a gpt, the self-attention from the target to everything before it.

    Args:
        path: The HTML file.
        model: The trained model.
        pairs: Sentences to choose from; the first short ones are shown.
        detokenizer: Turns tokens into text.
    """
    fitting = [pair for pair in pairs if 3 <= len(pair[0]) <= LONGEST and len(pair[1]) <= LONGEST]
    shown = (fitting or sorted(pairs, key=lambda pair: len(pair[0]) + len(pair[1])))[:SENTENCES]
    sentences = []
    for left, right in shown:
        source, target = detokenizer.texts([left.tolist(), right.tolist()])
        sentences.append((source, target, maps(model, (left, right), detokenizer)))
    page = render(
        Path(__file__).with_name("attention_view.html"),
        sentences=sentences,
        cell=CELL,
        kind="self-attention" if isinstance(model, Gpt) else "cross-attention",
    )
    atomic_write(path, page)


def maps(model: LanguageModel, pair: Pair, detokenizer: Detokenizer) -> list[Map]:
    """Makes the attention maps of one pair.

    Args:
        model: The trained model.
        pair: Source and target.
        detokenizer: Turns tokens into text.
    """
    config, prompt_only = model.config, isinstance(model, Gpt)
    left, right = pair
    (source, ids), starts = model.prompts([pair], len(right))
    ids[0, starts[0] + 1 : starts[0] + 1 + len(right)] = right
    ids = ids[:, : starts[0] + 1 + len(right)]
    layers = [layer.self_attention if prompt_only else layer.cross_attention for layer in model.decoder]
    with _recorded(layers) as seen:
        states = model.continuation(source)(ids)
    # A row is named after the predicted token; the position before it attends.
    down = [*detokenizer.tokens(right.tolist()), "⏎"]
    across = detokenizer.tokens(ids[0].tolist()) if prompt_only else [*detokenizer.tokens(left.tolist()), "⏎"]
    heads = [np.asarray(weights, np.float32)[:, starts[0] :, : len(across)] for weights in seen]
    last = len(heads) - 1
    found = [("last layer, mean of the heads", heads[last].mean(axis=0))]
    found += [(f"last layer, head {number + 1}", heads[last][number]) for number in range(config.num_heads)]
    found += [(f"layer {number + 1}, mean of the heads", heads[number].mean(axis=0)) for number in range(last)]
    if isinstance(states, Pointed):
        copied = np.exp(states.scores[0]) * tf.sigmoid(-states.gate[0])[:, None].numpy()
        found.insert(0, ("probability to be copied", copied[:, : len(across)]))
    return [Map(title, weights, across, down) for title, weights in found]


def png(weights: np.ndarray) -> str:
    """Draws a matrix of shares as a PNG in a data URI: blue, more opaque for larger shares.

    Args:
        weights: `[rows, columns]`, 0 to 1.
    """
    rows, columns = weights.shape
    pixels = np.zeros((rows, columns, 4), np.uint8)
    pixels[..., :3] = (47, 95, 208)
    pixels[..., 3] = np.round(255 * np.clip(weights, 0, 1)).astype(np.uint8)
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", columns, rows, 8, 6, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(data).decode()


@contextmanager
def _recorded(layers: list[MultiHeadAttention]) -> Iterator[list[Any]]:
    """Collects the attention weights of the layers, `[heads, queries, keys]` each, while one sentence runs."""
    seen: list[Any] = []
    for layer in layers:
        layer.watch = seen.append
    try:
        yield seen
    finally:
        for layer in layers:
            layer.watch = None
