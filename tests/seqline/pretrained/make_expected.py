"""Writes what transformers computes for the small checkpoints: logits, and greedy and beam outputs of 200 inputs.

It runs in an environment of its own, with torch and transformers 4.57.1 (see `benchmarks.pretrained`):

    python -m tests.seqline.pretrained.make_expected [FAMILY ...]

Search options of both sides that have the same result: length_penalty 1.0 divides by the generated length, end
included; transformers' early_stopping False keeps as many finished hypotheses as the beam has, which here is n_best 4.
At the limit of length the two differ: transformers ranks what is unfinished among what is finished, and Seqline after
it. So the 200 inputs are those whose output ends; of the Marian model, none does on either side.
"""

import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from tests import pretrained_checkpoints as checkpoints

FOLDER = Path(__file__).parent / "expected"
DRAWN, INPUTS, LONGEST, BEAM = 500, 200, 24, 4


def main() -> None:
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    FOLDER.mkdir(exist_ok=True)
    for family in sys.argv[1:] or checkpoints.PARITY:
        with tempfile.TemporaryDirectory() as folder:
            model = load(checkpoints.write(Path(folder), family))
        found = expected(model, family)
        np.savez_compressed(FOLDER / f"{family}.npz", **found)
        lengths, different = (found["beam"] >= 0).sum(1), len(np.unique(found["beam"], axis=0))
        print(f"{family}: {len(lengths)} inputs, {different} outputs, {lengths.mean():.1f} tokens", flush=True)


def load(folder: Path) -> Any:
    kind = transformers.AutoConfig.from_pretrained(folder).is_encoder_decoder
    auto = transformers.AutoModelForSeq2SeqLM if kind else transformers.AutoModelForCausalLM
    model, info = auto.from_pretrained(folder, output_loading_info=True, attn_implementation="eager")
    assert not any(info.values()), info
    model.generation_config = transformers.GenerationConfig(
        eos_token_id=model.config.eos_token_id,
        pad_token_id=model.config.pad_token_id or model.config.eos_token_id if not kind else model.config.pad_token_id,
        decoder_start_token_id=getattr(model.config, "decoder_start_token_id", None),
    )
    return model.eval()


def expected(model: Any, family: str) -> dict[str, np.ndarray]:
    rows = checkpoints.inputs(family, DRAWN)
    targets = checkpoints.inputs(family, 4, seed=8)
    found: dict[str, Any] = {"logits": np.zeros((4, 12, checkpoints.VOCABULARY), np.float32)}
    start = checkpoints.CONFIGS[family].get("decoder_start_token_id")
    with torch.inference_mode():
        for number, (row, target) in enumerate(zip(rows[:4], targets, strict=True)):
            if start is None:
                logits = model(torch.tensor([row])).logits[0]
            else:
                logits = model(torch.tensor([row]), decoder_input_ids=torch.tensor([[start, *target[:-1]]])).logits[0]
            found["logits"][number, : len(logits)] = logits.numpy()
        drawn = generate(model, rows, BEAM, family)
        ended = (drawn == model.config.eos_token_id).any(1)
        found["chosen"] = np.flatnonzero(ended if ended.any() else ~ended)[:INPUTS].astype(np.int16)
        found["beam"] = drawn[found["chosen"]]
        found["greedy"] = generate(model, [rows[number] for number in found["chosen"]], 1, family)
    return found


def generate(model: Any, rows: list[list[int]], beam: int, family: str) -> np.ndarray:
    """The generated ids, padded with -1 after the end."""
    found = np.full((len(rows), LONGEST), -1, np.int8)
    groups = defaultdict(list)
    for number, row in enumerate(rows):
        groups[len(row)].append(number)  # so that nothing is padded
    options: dict[str, Any] = {"length_penalty": 1.0, "early_stopping": False} if beam > 1 else {}
    if (pad := checkpoints.CONFIGS[family].get("pad_token_id")) is not None:
        options["suppress_tokens"] = [pad]
    for length, numbers in groups.items():
        ids = torch.tensor([rows[number] for number in numbers])
        outputs = model.generate(
            ids, attention_mask=torch.ones_like(ids), num_beams=beam, do_sample=False, max_new_tokens=LONGEST, **options
        ).numpy()
        outputs = outputs[:, 1:] if model.config.is_encoder_decoder else outputs[:, length:]
        for number, output in zip(numbers, outputs.tolist(), strict=True):
            end = model.config.eos_token_id
            output = output[: output.index(end) + 1] if end in output else output
            found[number, : len(output)] = output
    return found


if __name__ == "__main__":
    main()
