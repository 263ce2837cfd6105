"""Hugging Face's `generate` in `benchmarks.pretrained`, in the peers' environment."""

from typing import Any

import torch
from transformers import AutoModelForCausalLM

from benchmarks.pretrained.timing import Generate, run


def load(task: dict[str, Any]) -> Generate:
    """Loads the checkpoint.

    Args:
        task: The task, with `weights`: float32 or bfloat16.
    """
    torch.set_num_threads(task["threads"])
    model = AutoModelForCausalLM.from_pretrained(task["folder"], dtype=getattr(torch, task["weights"])).eval()
    end = model.config.eos_token_id

    def generate(prompts: list[list[int]]) -> list[list[int]]:
        longest = max(map(len, prompts))
        ids = torch.tensor([[end] * (longest - len(row)) + row for row in prompts])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in prompts])
        with torch.inference_mode():
            found = model.generate(
                ids,
                attention_mask=mask,
                do_sample=False,
                min_new_tokens=task["tokens"],
                max_new_tokens=task["tokens"],
                pad_token_id=end,
            )
        return [list(row) for row in found[:, longest:].tolist()]

    return generate


if __name__ == "__main__":
    run(load)
