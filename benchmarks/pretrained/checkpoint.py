"""The checkpoint that `benchmarks.pretrained` starts from, and the prompts that it continues."""

from pathlib import Path

from benchmarks.environments import FOLDER, PRETRAINED, environment, run_module
from seqline.tokenizers.checkpoint_files import read_folder
from seqline.tokenizers.host import HostTokenizer

TOKENS = 50
"""New tokens of each prompt."""
PROMPTS = [
    "The capital of France is",
    "Water boils at a temperature of",
    "Once upon a time, in a small village by the sea,",
    "The three primary colours are",
    "To make a cup of tea, first",
    "def fibonacci(n):",
    "Photosynthesis is the process by which",
    "In 1969, the first humans",
    "The opposite of cold is",
    "A healthy breakfast consists of",
    "The quick brown fox",
    "My favourite book is about",
    "Dear Sir or Madam,\n\nI am writing to",
    "The largest planet of the solar system is",
    "import numpy as np\n\n",
    "Q: What is 7 times 8?\nA:",
    "The Roman Empire fell because",
    "Le chat est assis sur",
    "Shopping list:\n- apples\n-",
    "Machine learning is",
]


def peer_python() -> Path:
    """Returns the Python of the environment with the peers; creates it if it does not exist."""
    return environment("pretrained", *PRETRAINED)


def smollm2() -> Path:
    """Returns the folder of SmolLM2-135M-Instruct; unpacks it if it does not exist."""
    folder = FOLDER.resolve() / "smollm2-135m-instruct"
    if not (folder / "unpacked").exists():
        run_module(peer_python(), "benchmarks.pretrained.unpack", {"folder": str(folder)})
        (folder / "unpacked").touch()
    return folder


def encoded(checkpoint: Path, prompts: list[str]) -> list[list[int]]:
    """Tokenizes prompts, without a template.

    Args:
        checkpoint: The checkpoint's folder.
        prompts: The texts.
    """
    return HostTokenizer(read_folder(str(checkpoint)).tokenizer).encode_sources(prompts)
