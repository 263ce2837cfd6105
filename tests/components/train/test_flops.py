"""The operations of a training step, for the utilization of the machine."""

import pytest

from seqline.components.train.flops import training_flops
from seqline.components.train.options import Options
from seqline.modeling.config import TransformerConfig

GPT = TransformerConfig(
    architecture="gpt", vocabulary_size=1000, encoder_layers=0, decoder_layers=4, hidden_dim=32, intermediate_dim=64,
    num_heads=4, activation="swiglu",
)  # fmt: skip
PAIRS = TransformerConfig(vocabulary_size=1000, hidden_dim=32, intermediate_dim=64)
LAYER, LOGITS = 4 * 32 * 32 + 3 * 32 * 64, 32 * 1000


def flops(config: TransformerConfig, **options: object) -> float:
    return training_flops(config, 30.0, 10.0, 2.0, Options(pretrained="x", **options))


def test_a_trained_weight_takes_part_three_times() -> None:
    attention = 2 * 32 * 10  # keys and values of half of 20 tokens
    assert flops(GPT) == 6 * (40 * 4 * (LAYER + attention) + 10 * LOGITS)
    assert training_flops(GPT, 30.0, 10.0, 2.0) == flops(GPT)
    assert flops(GPT, r_drop=5.0) == 2 * flops(GPT)


def test_a_pointer_is_two_products_and_one_attention() -> None:
    # Keys of 30 tokens, queries of 10; scores and context over 15 tokens of the source; the gate.
    added = 40 * 32 * 32 + 10 * (2 * 32 * 15 + 2 * 32)
    assert flops(PAIRS.with_values(pointer=True)) - flops(PAIRS) == pytest.approx(6 * added)


def test_a_frozen_weight_has_no_gradient() -> None:
    # All but the adapters: forward, and backward for the states.
    attention, adapters = 2 * 32 * 10, 1 * (8 * 32 + 3 * (32 + 64))
    expected = 2 * (40 * 4 * (2 * LAYER + 3 * adapters + 3 * attention) + 2 * 10 * LOGITS)
    assert flops(GPT, fine_tuning="lora", lora_rank=1) == pytest.approx(expected)


def test_layers_below_those_that_are_trained_have_no_backward_pass() -> None:
    attention = 2 * 32 * 10
    expected = 2 * (40 * (3 + 1 + 1 + 1) * (LAYER + attention) + 2 * 10 * LOGITS)
    assert flops(GPT, fine_tuning="last", last_layers=1) == pytest.approx(expected)
    last, lora = flops(PAIRS, fine_tuning="last", last_layers=1), flops(PAIRS, fine_tuning="lora", lora_rank=1)
    assert last < lora < flops(PAIRS)
