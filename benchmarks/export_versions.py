"""Compatibility of the export with TensorFlow 2.20, the release of the TPU image, and 2.21, that of the serving image.

Each release exports the checkpoint in its own environment, with all checks of the export; then each loads both models
and must return the same texts for the validation inputs.
"""

import json
import os
import subprocess
import tempfile
from pathlib import Path

from benchmarks.environments import environment
from benchmarks.results import finish, parser
from seqline.artifacts.corpus import Corpus
from seqline.errors import UserError

RELEASES = {
    "2.20": ["tensorflow==2.20.0", "tensorflow-text==2.20.1", "keras==3.15.1", "pydantic>=2.12"],
    "2.21": ["tensorflow==2.21.0", "tensorflow-text==2.21.1", "keras==3.15.1", "pydantic>=2.12"],
}
EXPORT = """
import sys
from pathlib import Path
from seqline.components.export.stage import export
export(*map(Path, sys.argv[1:]))
"""
TEXTS = 200


def run(python: Path, *arguments: str, text: str = "") -> str:
    """Runs a Python process, and returns its standard output.

    Args:
        python: The environment's Python.
        *arguments: Its arguments.
        text: Its standard input.

    Raises:
        UserError: If it fails.
    """
    variables = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [str(python), *arguments]
    done = subprocess.run(command, input=text, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def main() -> None:
    """Runs the benchmark."""
    flags = parser("export_versions", "the export with TensorFlow 2.20 and 2.21, and its models in both releases")
    flags.add_argument("checkpoint", type=Path, help="checkpoint folder that train wrote")
    flags.add_argument("corpus", type=Path, help="corpus folder that it was trained on")
    args = flags.parse_args()
    pairs = Corpus(args.corpus).read_text("valid")[: 20 if args.quick else TEXTS]
    texts = [pair["source"] for pair in pairs]
    pythons = {release: environment(f"tensorflow-{release}", packages) for release, packages in RELEASES.items()}
    outputs = {}
    with tempfile.TemporaryDirectory() as name:
        for release, python in pythons.items():
            run(python, "-c", EXPORT, str(args.checkpoint), str(args.corpus), f"{name}/{release}")
        for written in RELEASES:
            for read, python in pythons.items():
                given = json.dumps([f"{name}/{written}", texts])
                output = run(python, "-m", "seqline.components.export.verify", text=given)
                outputs[f"written_{written}_read_{read}"] = json.loads(output.splitlines()[-1])
    expected = next(iter(outputs.values()))
    metrics = {
        f"{pair}_same_texts": sum(map(str.__eq__, found, expected)) / len(expected) for pair, found in outputs.items()
    }
    finish(metrics, args.json)
    if min(metrics.values()) < 1:
        raise UserError("the releases return different texts")


if __name__ == "__main__":
    main()
