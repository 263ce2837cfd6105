"""Models for servers under test whose workers need no TensorFlow: tests of processes start several workers.

A worker that `environment` reaches imports the stand-in of TensorFlow in tests/stand_ins/light.
"""

import os
from pathlib import Path

from seqline.artifacts.exported_model import Decoding, Description, ExportedModel

LIGHT = Path(__file__).parent / "stand_ins" / "light"


def environment() -> dict[str, str]:
    """The variables of a server whose workers use the stand-in."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(LIGHT), os.environ.get("PYTHONPATH", "")]))}


def save(folder: Path, function: str) -> Path:
    """Saves a model.

    Args:
        folder: The folder to create; its name is the model's fingerprint.
        function: What it does: the name of a function of the stand-in.
    """
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_text(function)
    description = Description(
        folder.name, "en", "de", Decoding(1, 0.0, 9, 9), "c", "2026-01-01T00:00:00+00:00", "stand-in"
    )
    ExportedModel(folder).write_description(description)
    return folder
