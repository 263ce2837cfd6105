"""The DAGs: what they pass on, what they cache, and what they deploy behind."""

import ast
import inspect
from pathlib import Path

import pytest

import seqline.pipelines
from seqline.compiling.sources import find_pipeline
from seqline.configuration.accelerators import accelerated_images
from seqline.pipelines import PIPELINES
from seqline.schema.sections import SECTIONS
from tests.golden.tasks import Spec
from tests.golden.variants import VARIANTS, documents, of_every_variant
from tests.pipelines import invariants

ROOT = Path(__file__).parents[2]
FILES = sorted(Path(seqline.pipelines.__file__).parent.glob("[a-z]*.py"))


def spec(name: str) -> Spec:
    return documents(name)[0]


@of_every_variant
def test_what_depends_on_more_than_its_inputs_is_never_cached_and_all_else_is(name: str) -> None:
    assert invariants.cached_as_documented(spec(name)) == []


@of_every_variant
def test_a_model_goes_live_only_if_bless_said_so_of_this_model(name: str) -> None:
    assert invariants.live_only_if_blessed(spec(name)) == []


@of_every_variant
def test_every_parameter_reaches_the_inputs_of_its_name(name: str) -> None:
    # On Dataflow the configuration sets the flags.
    replaced = {("tokenize", "beam_options")} if VARIANTS[name].target == "vertex" else set()
    assert invariants.parameters_reach_inputs_of_their_names(spec(name), replaced) == []


@of_every_variant
def test_stages_have_the_options_that_snapshot_completed(name: str) -> None:
    assert invariants.options_come_from_snapshot(spec(name)) == []


@of_every_variant
def test_what_reads_the_data_has_its_fingerprint(name: str) -> None:
    assert invariants.data_has_its_fingerprint(spec(name)) == []


@of_every_variant
def test_every_stage_runs_in_its_own_image_of_the_configured_repository(name: str) -> None:
    repository = VARIANTS[name].configuration.get("images", {}).get("repository", "seqline")
    assert invariants.images_are_ours(spec(name), repository) == []


@of_every_variant
def test_every_stage_has_its_own_command_whatever_its_image_starts_by_itself(name: str) -> None:
    executors = spec(name)["deploymentSpec"]["executors"].values()
    containers = [one["container"] for one in executors if "container" in one]
    assert [one["image"] for one in containers if not one.get("command")] == []
    for component in spec(name)["components"].values():
        pools = component.get("inputDefinitions", {}).get("parameters", {}).get("worker_pool_specs", {})
        assert all(pool["container_spec"]["command"] for pool in pools.get("defaultValue", []))


@of_every_variant
def test_only_stages_with_configured_retries_are_repeated(name: str) -> None:
    resources = VARIANTS[name].configuration.get("resources", {})
    retries = {stage: wanted["retries"] for stage, wanted in resources.items()}
    assert invariants.retried_as_configured(spec(name), retries) == []


@of_every_variant
def test_the_outcome_is_reported_whatever_happens(name: str) -> None:
    assert invariants.reported_whatever_happens(spec(name)) == []


def test_every_image_has_a_folder() -> None:
    folders = {path.parent.name for path in (ROOT / "containers").glob("*/requirements.txt")}
    assert set(invariants.IMAGES.values()) | accelerated_images() == folders


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_file_holds_the_dag_and_nothing_else(path: Path) -> None:
    body = ast.parse(path.read_text()).body
    functions = [node for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assert len(functions) == 1
    assert len(path.read_text().splitlines()) <= 130


@pytest.mark.parametrize("name", PIPELINES)
def test_the_docstring_is_the_numbered_list_of_the_steps(name: str) -> None:
    text = inspect.getdoc(find_pipeline(name).pipeline_func) or ""
    steps = [line for line in text.partition("Args:")[0].splitlines() if line[:1].isdigit()]
    assert [step.partition(".")[0] for step in steps] == [str(number) for number in range(1, len(steps) + 1)]
    assert len(steps) >= 3


def test_a_first_task_has_an_input_for_every_section() -> None:
    from seqline.components.collect.component import collect
    from seqline.components.snapshot.component import snapshot

    inputs = {name for first in (snapshot, collect) for name in first.component_spec.inputs or {}}
    assert set(SECTIONS) <= inputs
