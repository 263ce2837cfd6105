"""Writes the golden compiled specs anew: `make golden`, after a change of a spec that is meant."""

import re
import tempfile
from pathlib import Path

from seqline.compiling.compiler import compile_pipeline
from seqline.pipelines import PIPELINES

GOLDEN = Path(__file__).parent


def normalised(name: str) -> str:
    """Compiles a pipeline and blanks the version of kfp and of our images."""
    with tempfile.TemporaryDirectory() as folder:
        text = compile_pipeline(name, Path(folder) / f"{name}.yaml").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^sdkVersion: kfp-.*$", "sdkVersion: kfp-VERSION", text)
    return re.sub(r"(image: seqline/[a-z-]+):\S+", r"\1:VERSION", text)


if __name__ == "__main__":
    for pipeline in PIPELINES:
        (GOLDEN / f"{pipeline}.yaml").write_text(normalised(pipeline), encoding="utf-8")
        print(GOLDEN / f"{pipeline}.yaml")
