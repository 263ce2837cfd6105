"""From a pipeline function to the compiled spec that every target runs."""

import functools
import importlib
import inspect
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from seqline.compiling.kfp_import import import_kfp
from seqline.compiling.parameters import nearest
from seqline.errors import UserError

if TYPE_CHECKING:
    from seqline.configuration import Configuration

PIPELINES = {name: f"seqline.pipelines.{name}" for name in ("training", "batch", "tuning")}

Place = Callable[[Any], None]


def compile_pipeline(
    name: str,
    output: Path,
    configuration: "Configuration | None" = None,
    place: Place = lambda task: None,
    replace: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> Path:
    """Compiles a pipeline; the file appears whole or not at all.

    The same arguments give the same bytes everywhere: nothing is read from the environment.

    Args:
        name: The pipeline's name: a key of `PIPELINES`.
        output: The YAML file to write.
        configuration: Says where the images are and what each stage asks for; without one, the contracts' own images.
        place: Called with every task (a `dsl.PipelineTask`) after that, for what one target alone needs.
        replace: Components in the place of those that the pipeline's module names so.
        defaults: Of the pipeline's parameters, in the place of its own; those that it does not have are left out.

    Returns:
        The path written.

    Raises:
        UserError: If there is no such pipeline, or the file's ending is not `.yaml`.
    """
    if name not in PIPELINES:
        raise UserError(f"no pipeline is called {name!r}; {nearest(name, PIPELINES)}")
    if output.suffix not in {".yaml", ".yml"}:
        raise UserError(f"a compiled pipeline is a YAML file, so {output} must end in .yaml")
    import_kfp()
    from kfp import compiler

    module = importlib.import_module(PIPELINES[name])
    graph = getattr(module, name)

    def place_all(tasks: Mapping[str, Any]) -> None:
        for task in tasks.values():
            if configuration is not None:
                _place(task, configuration)
            place(task)

    with mock.patch.dict(vars(module), replace or {}):
        graph = _trace_again(graph, place_all, {**_defaults(configuration), **(defaults or {})})
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".compile.") as folder:
        compiled = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(graph, str(compiled))
        compiled.replace(output)
    return output


def stages(name: str) -> dict[str, str]:
    """The stages of a pipeline, by the names that the configuration gives resources to, with their images.

    Args:
        name: A key of `PIPELINES`.
    """
    import_kfp()
    found: dict[str, str] = {}

    def note(tasks: Mapping[str, Any]) -> None:
        for task in tasks.values():
            if task.container_spec is not None:
                found[stage_of(task)] = task.container_spec.image

    _trace_again(getattr(importlib.import_module(PIPELINES[name]), name), note)
    return found


def stage_of(task: Any) -> str:
    """The stage that a task runs, such as `evaluate` for both of its tasks.

    Args:
        task: A `dsl.PipelineTask`.
    """
    return str(task.component_spec.name)


def _defaults(configuration: "Configuration | None") -> dict[str, Any]:
    """What a parameter begins with where the configuration knows it: no form has to be told which image serves."""
    from seqline.components.deploy.component import deploy

    if configuration is None or not configuration.images.registry:
        return {}
    return {"serving_image": configuration.images.reference(deploy.component_spec.implementation.container.image)}


def _trace_again(
    graph: Any, on_tasks: Callable[[Mapping[str, Any]], None], defaults: Mapping[str, Any] | None = None
) -> Any:
    """Runs a pipeline's function once more, and lets `on_tasks` change its tasks before they are compiled."""
    from kfp import dsl
    from kfp.dsl.pipeline_context import Pipeline

    @functools.wraps(graph.pipeline_func)
    def traced(*arguments: Any, **named: Any) -> Any:
        outputs = graph.pipeline_func(*arguments, **named)
        on_tasks(Pipeline.get_default_pipeline().tasks)
        return outputs

    signature = inspect.signature(graph.pipeline_func)
    given = [one.replace(default=(defaults or {}).get(name, one.default)) for name, one in signature.parameters.items()]
    traced.__signature__ = signature.replace(parameters=given)  # type: ignore[attr-defined]
    # The default would be read from an environment variable.
    with mock.patch.object(Pipeline, "_execution_caching_default", True):
        return dsl.pipeline(traced, name=graph.name)


def _place(task: Any, configuration: "Configuration") -> None:
    """Gives a task its image and what its stage asks for."""
    if task.container_spec is None:
        return
    task.set_container_image(configuration.images.reference(task.container_spec.image))
    wanted = configuration.resources.get(stage_of(task))
    if wanted is None:
        return
    if wanted.cpu:
        task.set_cpu_request(wanted.cpu).set_cpu_limit(wanted.cpu)
    if wanted.memory:
        task.set_memory_request(wanted.memory).set_memory_limit(wanted.memory)
    if wanted.accelerator:
        task.set_accelerator_type(wanted.accelerator).set_accelerator_limit(wanted.accelerators)
    if wanted.retries:
        task.set_retry(wanted.retries, backoff_duration="60s", backoff_factor=2.0)
