"""From a pipeline function to the compiled spec that every target runs."""

import importlib
import tempfile
from pathlib import Path

from components.errors import UserError
from pipelines.parameters import nearest

PIPELINES = {"training": "pipelines.training"}


def compile_pipeline(name: str, output: Path) -> Path:
    """Compiles a pipeline; the file appears whole or not at all.

    Args:
        name: The pipeline's name: a key of `PIPELINES`.
        output: The YAML file to write.

    Returns:
        The path written.

    Raises:
        UserError: If there is no such pipeline, or the file's ending is not `.yaml`.
    """
    if name not in PIPELINES:
        raise UserError(f"no pipeline is called {name!r}; {nearest(name, PIPELINES)}")
    if output.suffix not in {".yaml", ".yml"}:
        raise UserError(f"a compiled pipeline is a YAML file, so {output} must end in .yaml")
    from kfp import compiler

    pipeline = getattr(importlib.import_module(PIPELINES[name]), name)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".compile.") as folder:
        compiled = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(pipeline, str(compiled))
        compiled.replace(output)
    return output
