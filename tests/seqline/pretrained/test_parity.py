"""The same weights give the same logits and outputs as transformers, for each family.

`expected/` holds what `make_expected.py` computed with transformers 4.57.1 and the checkpoints of
`tests.pretrained_checkpoints`, whose weights are drawn anew in each test.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from seqline.decoding.decoder import Decoder
from seqline.decoding.search import search
from seqline.decoding.search_options import Search
from seqline.modeling.language_model import LanguageModel, padded
from seqline.pretrained.checkpoint import read_pretrained
from seqline.pretrained.loading import build_model
from tests import pretrained_checkpoints as checkpoints

EXPECTED = Path(__file__).parent / "expected"
LONGEST = 24


@pytest.fixture(params=checkpoints.PARITY)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(family: str, tmp_path: Path) -> LanguageModel:
    return build_model(read_pretrained(checkpoints.write(tmp_path / family, family)))


def logits_of(model: LanguageModel, family: str) -> list[np.ndarray]:
    """The logits of the first inputs, a sequence at a time."""
    found = []
    for row, target in zip(checkpoints.inputs(family, 4), checkpoints.inputs(family, 4, seed=8), strict=True):
        ids = np.array([row])
        if model.config.architecture == "gpt":
            inputs: Any = (ids, np.ones_like(ids), np.arange(len(row))[None])
        else:
            inputs = (ids, np.array([[model.config.start, *target[:-1]]]))
        found.append(model(inputs)[0].numpy())
    return found


def outputs_of(model: LanguageModel, rows: list[list[int]], options: Search) -> np.ndarray:
    """The first result of each row, with -1 after its end; the rows are padded, those of transformers were not."""
    decoder, config = Decoder(model, longest=64), model.config

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)], autograph=False)
    def run(source: Any) -> Any:
        with decoder.unpacked():
            return search(decoder, source, options).ids[:, 0]

    found = np.full((len(rows), LONGEST), -1)
    for number, ids in enumerate(run(tf.constant(padded(rows, config.padding))).numpy().tolist()):
        ids = ids[: ids.index(config.eos_id) + 1] if config.eos_id in ids else ids
        found[number, : len(ids)] = ids
    return found


def test_logits_and_outputs_equal_those_of_transformers(model: LanguageModel, family: str) -> None:
    expected = np.load(EXPECTED / f"{family}.npz")
    for found, logits in zip(logits_of(model, family), expected["logits"], strict=True):
        np.testing.assert_allclose(found, logits[: len(found)], rtol=0, atol=1e-4)
    assert len(expected["chosen"]) == 200
    drawn = checkpoints.inputs(family, 500)
    rows = [drawn[number] for number in expected["chosen"]]
    greedy = Search(beam_size=1, max_output_length=LONGEST, length_penalty=0.0)
    np.testing.assert_array_equal(outputs_of(model, rows, greedy), expected["greedy"])
    beam = Search(beam_size=4, n_best=4, max_output_length=LONGEST, length_penalty=1.0)
    np.testing.assert_array_equal(outputs_of(model, rows, beam), expected["beam"])


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_halves_are_read_as_they_are(kind: str, tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "half", "qwen2", kind=kind, shards=2)
    rounded = {name: checkpoints.as_kind(one, kind) for name, one in checkpoints.weights_of("qwen2").items()}
    same = checkpoints.write(tmp_path / "whole", "qwen2", weights={n: np.float32(w) for n, w in rounded.items()})
    one, other = (logits_of(build_model(read_pretrained(path)), "qwen2") for path in (folder, same))
    for found, expected in zip(one, other, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_model_can_be_shorter_than_the_checkpoint_s_positions(tmp_path: Path) -> None:
    pretrained = read_pretrained(checkpoints.write(tmp_path / "marian", "marian"))
    short = build_model(pretrained, max_length=16)
    assert short.config.max_length == 16
    for found, logits in zip(logits_of(short, "marian"), np.load(EXPECTED / "marian.npz")["logits"], strict=True):
        np.testing.assert_allclose(found, logits[: len(found)], rtol=0, atol=1e-4)
