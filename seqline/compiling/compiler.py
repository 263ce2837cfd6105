"""From a pipeline function to the compiled spec that every target runs."""

import functools
import inspect
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqline.atomic import atomic_write
from seqline.compiling.sources import find_pipeline
from seqline.configuration.accelerators import image_with, kind_of, serving_image
from seqline.configuration.parameters import Parameters, merge
from seqline.errors import UserError

if TYPE_CHECKING:
    from seqline.configuration import Configuration

Place = Callable[[Any], None]

RETRYING = f"{28 * 24 * 3600}s"
"""Time from the first attempt's start within which a task is retried: that of the longest job. By default it is an
hour, after which Argo stops an attempt that runs (executionDeadline in processNodeRetries,
workflow/controller/operator.go of argoproj/argo-workflows); Vertex takes an hour at most, for its pauses alone."""


def compile_pipeline(
    name: str,
    output: Path,
    configuration: "Configuration | None" = None,
    place: Place = lambda task: None,
    defaults: Mapping[str, Any] | None = None,
    graph: Any = None,
) -> Path:
    """Compiles a pipeline; the file appears whole or not at all.

    The same arguments give the same bytes everywhere: nothing is read from the environment.

    Args:
        name: The pipeline, as in `find_pipeline`.
        output: The YAML file to write.
        configuration: Says where the images are and what each stage asks for; without one, the contracts' own images.
        place: Called with every task (a `dsl.PipelineTask`) after that, for what one target alone needs.
        defaults: Values of the pipeline's parameters that replace its own defaults; those of an object's fields are
            merged, and parameters that the pipeline does not have are left out.
        graph: A variant of the pipeline to compile; the registered one by default.

    Returns:
        The path written.

    Raises:
        UserError: If there is no such pipeline, or the file's ending is not `.yaml`.
    """
    pipeline = graph or find_pipeline(name)
    if output.suffix not in {".yaml", ".yml"}:
        raise UserError(f"a compiled pipeline is a YAML file, so {output} must end in .yaml")
    from kfp import compiler

    def place_all(tasks: Mapping[str, Any]) -> None:
        for task in tasks.values():
            if configuration is not None:
                _place(task, configuration)
            place(task)

    traced = _trace_again(pipeline, place_all, merge(_image(configuration, defaults or {}), defaults or {}))
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(traced, str(compiled))
        atomic_write(output, compiled.read_text(encoding="utf-8"))
    return output


def parameters_of(name: str) -> Parameters:
    """The parameters of a pipeline, without compiling it to a file.

    Args:
        name: As in `find_pipeline`.
    """
    from google.protobuf import json_format

    spec = find_pipeline(name).pipeline_spec
    return Parameters.of(spec.pipeline_info.name, json_format.MessageToDict(spec.root))


def stages(name: str) -> dict[str, str]:
    """The stages of a pipeline, by the names that the configuration gives resources to, with their images.

    Args:
        name: As in `find_pipeline`.
    """
    found: dict[str, str] = {}

    def note(tasks: Mapping[str, Any]) -> None:
        for task in tasks.values():
            if task.container_spec is not None:
                found[stage_of(task)] = task.container_spec.image

    _trace_again(find_pipeline(name), note)
    return found


def stage_of(task: Any) -> str:
    """The stage that a task runs, such as `evaluate` for both of its tasks.

    Args:
        task: A `dsl.PipelineTask`.
    """
    return str(task.component_spec.name)


def _image(configuration: "Configuration | None", defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The default of the image that serves, on a CPU or a GPU; a run for the other kind names its image itself."""
    from seqline.components.deploy.component import deploy

    if configuration is None or not configuration.images.registry:
        return {}
    serving = defaults.get("serving")
    accelerator = serving.get("accelerator_type", "") if isinstance(serving, Mapping) else ""
    image = serving_image(str(accelerator), deploy.component_spec.implementation.container.image)
    return {"serving": {"image": configuration.images.reference(image)}}


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
    given = [
        one.replace(default=merge(one.default, (defaults or {}).get(name, one.default)))
        for name, one in signature.parameters.items()
    ]
    traced.__signature__ = signature.replace(parameters=given)  # type: ignore[attr-defined]
    return dsl.pipeline(traced, name=graph.name)


def _place(task: Any, configuration: "Configuration") -> None:
    """Gives a task what its stage asks for, and the image for that."""
    if task.container_spec is None:
        return
    stage, image = stage_of(task), task.container_spec.image
    wanted = configuration.resources.get(stage)
    if wanted is None:
        task.set_container_image(configuration.images.reference(image))
        return
    try:
        image = image_with(kind_of(wanted.accelerator_type), stage, image)
    except UserError as error:
        raise UserError(f"resources.{stage}.accelerator_type: {error}") from None
    task.set_container_image(configuration.images.reference(image))
    if wanted.cpu:
        task.set_cpu_request(wanted.cpu).set_cpu_limit(wanted.cpu)
    if wanted.memory:
        task.set_memory_request(wanted.memory).set_memory_limit(wanted.memory)
    if wanted.accelerator_type:
        task.set_accelerator_type(wanted.accelerator_type).set_accelerator_limit(wanted.accelerator_count)
    if wanted.retries:
        task.set_retry(wanted.retries, backoff_duration="60s", backoff_factor=2.0, backoff_max_duration=RETRYING)
