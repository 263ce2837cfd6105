"""Hugging Face's Marian on PyTorch in `benchmarks.train`, in its own environment."""

import itertools
import random
import time
from pathlib import Path
from typing import Any

from benchmarks.training.task import run_task


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Trains in a plain loop over prepared batches of similar lengths; the first steps are excluded.

    `Seq2SeqTrainer` measures a batch in sentences and has more overhead, so this is the peer's best case. With `test`,
    the learning rate rises and falls linearly, as `Seq2SeqTrainer`'s does, and is 0 when the time is up.

    Args:
        task: See `run_task`; the variant is float32, or autocast: float32 weights with products in bfloat16.
    """
    import torch
    from transformers import MarianConfig, MarianMTModel

    torch.set_num_threads(task["threads"])
    torch.manual_seed(task.get("seed", 1))
    shape = task["shape"]
    lines = Path(task["folder"], "vocabulary.txt").read_text(encoding="utf-8").split("\n")[:-1]
    vocabulary = {token: number for number, token in enumerate(lines)}
    pad, start, end = (vocabulary[token] for token in ("<blank>", "<s>", "</s>"))
    config = MarianConfig(
        vocab_size=len(vocabulary),
        d_model=shape["hidden_dim"],
        encoder_layers=shape["encoder_layers"],
        decoder_layers=shape["decoder_layers"],
        encoder_ffn_dim=shape["intermediate_dim"],
        decoder_ffn_dim=shape["intermediate_dim"],
        encoder_attention_heads=shape["num_heads"],
        decoder_attention_heads=shape["num_heads"],
        activation_function="relu",
        dropout=task["dropout"],
        attention_dropout=0.0,
        activation_dropout=0.0,
        scale_embedding=True,
        share_encoder_decoder_embeddings=True,
        max_position_embeddings=512,
        pad_token_id=pad,
        bos_token_id=start,
        eos_token_id=end,
        decoder_start_token_id=start,
    )
    model = MarianMTModel(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    batches = _batches(task, vocabulary, end)

    def step(source: Any, target: Any) -> int:
        decoder_input = torch.nn.functional.pad(target[:, :-1], (1, 0), value=start)
        with torch.autocast("cpu", torch.bfloat16, enabled=task["variant"] == "autocast"):
            logits = model(
                input_ids=source, attention_mask=source != pad, decoder_input_ids=decoder_input, use_cache=False
            ).logits
            loss = torch.nn.functional.cross_entropy(
                logits.flatten(0, 1), target.flatten(), ignore_index=pad, label_smoothing=task["label_smoothing"]
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return int((target != pad).sum())

    tensors = [tuple(_padded(side, pad) for side in batch) for batch in batches]
    cycle = itertools.cycle(tensors)
    if "test" in task:
        began, steps = time.perf_counter(), 0
        while (done := (time.perf_counter() - began) / task["seconds"]) < 1:
            steps += 1
            for group in optimizer.param_groups:
                group["lr"] = task["learning_rate"] * min(steps / task["warmup_steps"], 1 - done)
            step(*next(cycle))
        return {"outputs": {"last": _decoded(model.eval(), task, lines, vocabulary)}}
    for _, batch in zip(range(10), cycle, strict=False):
        step(*batch)
    tokens, began = 0, time.perf_counter()
    while time.perf_counter() - began < task["seconds"]:
        tokens += step(*next(cycle))
    return {"tokens_per_second": tokens / (time.perf_counter() - began)}


def _decoded(model: Any, task: dict[str, Any], tokens: list[str], vocabulary: dict[str, int]) -> list[str]:
    """Decodes the file `test` with beam 4, and returns lines of tokens."""
    import torch

    pad, start, end = (vocabulary[token] for token in ("<blank>", "<s>", "</s>"))
    lines = Path(task["test"]).read_text(encoding="utf-8").split("\n")[:-1]
    sources = [[*(vocabulary.get(token, pad) for token in line.split(" ")), end] for line in lines]
    special, found = {pad, start, end}, []
    with torch.inference_mode():
        for first in range(0, len(sources), 64):
            batch = _padded(sources[first : first + 64], pad)
            outputs = model.generate(
                batch, attention_mask=batch != pad, num_beams=4, length_penalty=0.6, max_new_tokens=128, do_sample=False
            )
            found += [" ".join(tokens[id_] for id_ in row.tolist() if id_ not in special) for row in outputs]
    return found


def _batches(task: dict[str, Any], vocabulary: dict[str, int], end: int) -> list[tuple[Any, ...]]:
    """Batches of pairs of similar lengths, up to `batch_tokens` with padding, in random order."""
    sides = []
    for side in ("source", "target"):
        lines = Path(task["folder"], f"train.{side}").read_text(encoding="utf-8").split("\n")[:-1]
        sides.append([[*(vocabulary[token] for token in line.split(" ")), end] for line in lines])
    pairs = sorted(zip(*sides, strict=True), key=lambda pair: (max(map(len, pair)), len(pair[1])))
    batches: list[list[Any]] = [[]]
    for pair in pairs:
        if (len(batches[-1]) + 1) * max(map(len, pair)) > task["batch_tokens"]:
            batches.append([])
        batches[-1].append(pair)
    random.Random(task.get("seed", 1)).shuffle(batches)
    return [tuple(zip(*batch, strict=True)) for batch in batches]


def _padded(rows: Any, pad: int) -> Any:
    import torch

    longest = max(map(len, rows))
    return torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows])


if __name__ == "__main__":
    run_task(run)
