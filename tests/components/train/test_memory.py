"""The memory that a training needs."""

import logging
from pathlib import Path
from typing import Any

import pytest

from seqline.components.train import memory
from seqline.components.train.buckets import Bucket
from seqline.components.train.memory import check_memory, estimate, machine_memory
from seqline.components.train.options import Options
from seqline.errors import UserError
from seqline.modeling.config import TransformerConfig

LLAMA = TransformerConfig(
    architecture="gpt", vocabulary_size=49152, encoder_layers=0, decoder_layers=30, hidden_dim=576,
    intermediate_dim=1536, num_heads=9, num_kv_heads=3, head_dim=64, activation="swiglu", positions="rotary",
    attention_bias="none", feed_forward_bias=False,
)  # fmt: skip
BATCH = [Bucket(8, 512, 512)]


def parts(**options: Any) -> dict[str, int]:
    return estimate(LLAMA, Options(pretrained="x", **options), BATCH, 1, "float32")


def test_only_what_is_trained_has_gradients_and_state() -> None:
    full, lora, last = parts(), parts(fine_tuning="lora"), parts(fine_tuning="last")
    assert full["weights"] == full["gradients"] == 4 * 134_515_008  # SmolLM2-135M
    assert full["optimizer"] == 2 * full["gradients"]
    assert lora["gradients"] == 4 * 16 * 30 * (2 * (576 + 576) + 2 * (576 + 192) + 3 * (576 + 1536))
    assert lora["optimizer"] < full["optimizer"] / 20
    assert last["optimizer"] < full["optimizer"] / 15
    assert full["average"] == 0
    assert parts(ema_momentum=0.9)["average"] == full["weights"]


def test_gradient_checkpointing_and_smaller_batches_need_less() -> None:
    assert parts(gradient_checkpointing=True)["activations"] < parts()["activations"] / 8
    half = estimate(LLAMA, Options(pretrained="x"), BATCH, 2, "float32")
    assert half["activations"] == parts()["activations"] // 2
    assert estimate(LLAMA, Options(pretrained="x"), BATCH, 1, "bfloat16")["activations"] < parts()["activations"]
    assert parts(gradient_accumulation_steps=2)["gradients"] == 2 * parts()["gradients"]
    assert parts(r_drop=5.0)["activations"] == 2 * parts()["activations"]


@pytest.mark.parametrize(
    ("limit", "options", "advice"),
    [
        (
            1.5e9,
            {},
            r"most of it is activations \(\d\.\d\d GB\): lower training.batch_tokens \(4096\) or set training.gr",
        ),
        (
            1.5e9,
            {"gradient_checkpointing": True},
            r"optimizer \(1.08 GB\): set training.fine_tuning to lora, or use a m",
        ),
        (0.5e9, {"gradient_checkpointing": True, "fine_tuning": "lora"}, "weights .*: use a smaller model, or use a m"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_to_change(
    limit: float,
    options: dict[str, Any],
    advice: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(memory, "device_memory", lambda: (int(limit), "this container"))
    chosen = Options(pretrained="x", **options)
    with (
        caplog.at_level(logging.INFO),
        pytest.raises(
            UserError, match=rf"at least .* of memory, but this container has {limit / 1e9:.2f} GB; .*{advice}"
        ),
    ):
        check_memory(LLAMA, chosen, BATCH, 1, "float32")
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split()[1] for line in lines[:5]] == ["weights", "gradients", "optimizer", "average", "activations"]
    monkeypatch.setattr(memory, "device_memory", lambda: (int(64e9), "this machine"))
    check_memory(LLAMA, chosen, BATCH, 1, "float32")


def test_the_limit_is_that_of_the_container(tmp_path: Path) -> None:
    file = tmp_path / "memory.max"
    whole = machine_memory((str(file),))
    assert whole[0] > 1e8
    assert whole[1] == "this machine"
    for content, expected in (("max\n", whole), (f"{1 << 62}", whole), ("67108864\n", (64 << 20, "this container"))):
        file.write_text(content)
        assert machine_memory((str(file),)) == expected
