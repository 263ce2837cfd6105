"""Whether both TensorFlow releases in use pass the export: that of the TPU image, 2.20, and that of serving, 2.21.

Each exports the checkpoint in an environment of its own, with all of the export's checks; then each loads the other's
model and must give the same texts for the validation inputs.
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
    "2.20": ["tensorflow==2.20.0", "tensorflow-text==2.20.1", "keras==3.15.1"],
    "2.21": ["tensorflow==2.21.0", "tensorflow-text==2.21.1", "keras==3.15.1"],
}
EXPORT = """
import sys
from pathlib import Path
from seqline.components.export.stage import export
export(*map(Path, sys.argv[1:]))
"""
TEXTS = 200


def run(python: Path, *arguments: str, text: str = "") -> str:
    """Runs Python to its end, and returns what it wrote.

    Args:
        python: Which.
        *arguments: Its arguments.
        text: Its standard input.

    Raises:
        UserError: If it fails.
    """
    known = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [str(python), *arguments]
    done = subprocess.run(command, input=text, env=known, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def main() -> None:
    """Exports with both, and loads crosswise."""
    flags = parser("export_versions", "the export under TensorFlow 2.20 and 2.21, and each other's models")
    flags.add_argument("checkpoint", type=Path, help="a checkpoint folder that train wrote")
    flags.add_argument("corpus", type=Path, help="its corpus folder")
    given = flags.parse_args()
    pairs = Corpus(given.corpus).read_text("valid")[: 20 if given.quick else TEXTS]
    texts = json.dumps([pair["source"] for pair in pairs])
    pythons = {release: environment(f"tensorflow-{release}", packages) for release, packages in RELEASES.items()}
    answers = {}
    with tempfile.TemporaryDirectory() as name:
        for release, python in pythons.items():
            run(python, "-c", EXPORT, str(given.checkpoint), str(given.corpus), f"{name}/{release}")
        for written in RELEASES:
            for read, python in pythons.items():
                said = run(python, "-m", "seqline.components.export.verify", f"{name}/{written}", text=texts)
                answers[f"written_{written}_read_{read}"] = json.loads(said.splitlines()[-1])
    expected = next(iter(answers.values()))
    figures = {
        f"{pair}_same_texts": sum(map(str.__eq__, answer, expected)) / len(expected) for pair, answer in answers.items()
    }
    finish(figures, given.json)
    if min(figures.values()) < 1:
        raise UserError("the releases do not give the same texts")


if __name__ == "__main__":
    main()
