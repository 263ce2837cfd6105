"""Hugging Face's Trainer with PEFT in `benchmarks.pretrained.train`, in the peers' environment."""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments

from benchmarks.training.task import run_task

WARM_UP = 2
"""Batches that do not count."""
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Trains for the seconds, or until two epochs are over.

    Args:
        task: The task of `benchmarks.pretrained.train_seqline`, with `rows` (a file of prompts and targets),
            `batch_rows`, `seconds` and `variant`: float32, autocast or bfloat16.
    """
    torch.set_num_threads(task["threads"])
    torch.manual_seed(1)
    kind = torch.bfloat16 if task["variant"] == "bfloat16" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(task["folder"], dtype=kind, use_cache=False)
    adapters = LoraConfig(
        r=task["rank"],
        lora_alpha=task["alpha"],
        lora_dropout=0.0,
        target_modules=PROJECTIONS,
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(model, adapters)
    rows = [
        {"input_ids": source + target, "labels": [-100] * len(source) + target}
        for source, target in json.loads(Path(task["rows"]).read_text())
    ]
    seen = {"tokens": 0, "began": 0.0, "ended": 0.0}

    class Timed(Trainer):
        def training_step(self, model: Any, inputs: dict[str, Any], *rest: Any) -> Any:
            loss = super().training_step(model, inputs, *rest)
            if self.state.global_step >= WARM_UP:
                seen["tokens"] += int(inputs["attention_mask"].sum())
            return loss

    class Clock(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            seen["ended"] = time.perf_counter()
            if state.global_step == WARM_UP:
                seen["began"] = seen["ended"]
            elif state.global_step > WARM_UP and seen["ended"] - seen["began"] > task["seconds"]:
                control.should_training_stop = True

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=task["batch_rows"],
            num_train_epochs=2,
            group_by_length=True,
            learning_rate=5e-4,
            bf16=task["variant"] == "autocast",
            use_cpu=True,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = Timed(model, arguments, train_dataset=rows, data_collator=_padded, callbacks=[Clock()])
        trainer.train()
    return {"tokens_per_second": seen["tokens"] / (seen["ended"] - seen["began"])}


def _padded(rows: list[dict[str, list[int]]]) -> dict[str, Any]:
    longest = max(len(row["input_ids"]) for row in rows)

    def tensor(values: list[list[int]], fill: int) -> Any:
        return torch.tensor([one + [fill] * (longest - len(one)) for one in values])

    ids = [row["input_ids"] for row in rows]
    return {
        "input_ids": tensor(ids, 0),
        "attention_mask": tensor([[1] * len(one) for one in ids], 0),
        "labels": tensor([row["labels"] for row in rows], -100),
    }


if __name__ == "__main__":
    run_task(run)
