"""Hugging Face's `generate` in `benchmarks.pretrained.parity`, in the peers' environment."""

import json
import sys
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def generate(task: dict[str, Any]) -> dict[str, Any]:
    """Continues the prompts, one at a time, up to the end of each.

    Args:
        task: `folder`, `prompts` (token ids) and their `texts`, `tokens` and `threads`.

    Returns:
        Its own ids of the texts, the new tokens, and the logits behind each prompt.
    """
    torch.set_num_threads(task["threads"])
    tokenizer = AutoTokenizer.from_pretrained(task["folder"])
    model = AutoModelForCausalLM.from_pretrained(task["folder"], dtype=torch.float32).eval()
    end, outputs, logits = model.config.eos_token_id, [], []
    with torch.inference_mode():
        for prompt in task["prompts"]:
            ids = torch.tensor([prompt])
            logits.append(model(ids).logits[0, -1].tolist())
            found = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=task["tokens"],
                pad_token_id=end,
            )
            outputs.append(found[0, len(prompt) :].tolist())
    return {
        "prompts": [tokenizer(text, add_special_tokens=False).input_ids for text in task["texts"]],
        "outputs": outputs,
        "logits": logits,
    }


if __name__ == "__main__":
    print(json.dumps(generate(json.load(sys.stdin))))
