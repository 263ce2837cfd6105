"""The adapter of a LoRA training as an artifact of its own, in the format of PEFT.

adapter/
  adapter_config.json        the fields of PEFT's LoraConfig
  adapter_model.safetensors  A and B of each projection

Names are those of peft 0.21 (Apache-2.0): save_pretrained in peft_model.py, get_peft_model_state_dict in
utils/save_and_load.py.
"""

import json
from pathlib import Path

import numpy as np

from seqline.components.train.options import Options
from seqline.modeling.language_model import LanguageModel
from seqline.modeling.lora import projections
from seqline.pretrained.hub import SCHEME
from seqline.pretrained.recipes import Recipes

PREFIX = "base_model.model."


def write_adapter(model: LanguageModel, folder: Path, options: Options, recipes: Recipes | None) -> None:
    """Writes the adapter.

    Args:
        model: The model, whose adapters are not merged.
        folder: The folder to write.
        options: Options of training.
        recipes: The checkpoint's names of the weights; None for a model of our own, which has our names.
    """
    from safetensors.numpy import save_file

    tensors: dict[str, np.ndarray] = {}
    for path, layer, parts, _ in projections(model):
        if layer.adapter is None:
            continue
        if recipes is None:
            names = [path.replace("/", ".") + f".{part}_{number}" for number, part in enumerate(parts)]
        else:
            names = [part.name.removesuffix(".weight") for part in recipes.parts[f"{path}/kernel"]]
        for number, down, up in layer.adapter.pairs():
            # PyTorch's matrices are [outputs, inputs].
            tensors[f"{PREFIX}{names[number]}.lora_A.weight"] = np.ascontiguousarray(down.numpy().T)
            tensors[f"{PREFIX}{names[number]}.lora_B.weight"] = np.ascontiguousarray(up.numpy().T)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    base, _, revision = options.pretrained.removeprefix(SCHEME).partition("@")
    config = {
        "base_model_name_or_path": base if options.pretrained.startswith(SCHEME) else options.pretrained or None,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "lora_alpha": options.lora_alpha,
        "lora_dropout": 0.0,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": options.lora_rank,
        "revision": revision if options.pretrained.startswith(SCHEME) and revision else None,
        "target_modules": sorted({name.split(".")[-3] for name in tensors}),
        "task_type": "CAUSAL_LM" if model.config.architecture == "gpt" else "SEQ_2_SEQ_LM",
        "use_rslora": False,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
