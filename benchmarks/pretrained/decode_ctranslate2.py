"""CTranslate2 in `benchmarks.pretrained`, in the peers' environment; its own converter reads the checkpoint."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import ctranslate2

from benchmarks.pretrained.timing import Generate, run


def load(task: dict[str, Any]) -> Generate:
    """Converts and loads the checkpoint.

    Args:
        task: The task, with `weights` (float32, bfloat16 or int8) and `pieces`, the text of each token id.
    """
    pieces = task["pieces"]
    with tempfile.TemporaryDirectory() as folder:
        converter = Path(sys.executable).with_name("ct2-transformers-converter")
        command = [str(converter), "--model", task["folder"], "--output_dir", f"{folder}/model"]
        done = subprocess.run(
            [*command, "--quantization", task["weights"]], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{converter.name} failed:\n{done.stderr[-2000:]}")
        engine = ctranslate2.Generator(
            f"{folder}/model", compute_type=task["weights"], intra_threads=task["threads"], inter_threads=1
        )

    def generate(prompts: list[list[int]]) -> list[list[int]]:
        found = engine.generate_batch(
            [[pieces[token] for token in prompt] for prompt in prompts],
            beam_size=1,
            min_length=task["tokens"],
            max_length=task["tokens"],
            include_prompt_in_result=False,
        )
        return [list(result.sequences_ids[0]) for result in found]

    return generate


if __name__ == "__main__":
    run(load)
