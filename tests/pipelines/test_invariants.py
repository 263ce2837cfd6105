"""Each invariant finds the faults that it is about."""

from collections.abc import Callable
from functools import partial

import pytest

from tests.golden.tasks import Spec, dags_of
from tests.golden.variants import documents
from tests.pipelines.invariants import (
    cached_as_documented,
    data_has_its_fingerprint,
    images_are_ours,
    live_only_if_blessed,
    options_come_from_snapshot,
    parameters_reach_inputs_of_their_names,
    reported_whatever_happens,
    retried_as_configured,
)

Change = Callable[[Spec], object]


def task(spec: Spec, name: str) -> Spec:
    """A task of any group, to be changed."""
    (found,) = [dag["tasks"][name] for dag in dags_of(spec) if name in dag["tasks"]]
    return found


def parameters(spec: Spec, name: str) -> Spec:
    return task(spec, name)["inputs"]["parameters"]


def cached(name: str, value: bool) -> Change:
    return lambda spec: task(spec, name).update(cachingOptions={"enableCache": value})


def without(name: str, parameter: str) -> Change:
    return lambda spec: parameters(spec, name).pop(parameter)


def from_parameter(name: str, parameter: str, other: str) -> Change:
    """Connects an input to another parameter of the pipeline."""
    value = {"componentInputParameter": f"pipelinechannel--{other}"}
    return lambda spec: parameters(spec, name).update({parameter: value})


def from_output(name: str, parameter: str, producer: str, key: str) -> Change:
    """Connects an input to another output of a task."""
    value = {"taskOutputParameter": {"producerTask": producer, "outputParameterKey": key}}
    return lambda spec: parameters(spec, name).update({parameter: value})


def artifact(name: str, key: str, producer: str, output: str) -> Change:
    value = {"taskOutputArtifact": {"producerTask": producer, "outputArtifactKey": output}}
    return lambda spec: task(spec, name)["inputs"]["artifacts"].update({key: value})


def condition(text: str) -> Change:
    return lambda spec: task(spec, "condition-2").update(triggerPolicy={"condition": text})


def unconditional(spec: Spec) -> None:
    del task(spec, "condition-2")["triggerPolicy"]


def deploy_twice(spec: Spec) -> None:
    """A second deploy outside of the condition."""
    again = {
        **task(spec, "deploy"),
        "inputs": {
            "artifacts": {
                "model": {"taskOutputArtifact": {"producerTask": "export", "outputArtifactKey": "model"}},
                "decision": {"taskOutputArtifact": {"producerTask": "bless", "outputArtifactKey": "decision"}},
            },
            "parameters": {**parameters(spec, "champion"), **{"options": parameters(spec, "train")["options"]}},
        },
    }
    spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]["deploy-2"] = again


def import_without_condition(spec: Spec) -> None:
    """A task that follows deploy, moved out of the group with the condition."""
    inner = spec["components"]["comp-condition-2"]["dag"]["tasks"]
    outer = spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    outer["deploy"], outer["import-evaluation"] = inner.pop("deploy"), inner.pop("import-evaluation")
    group = outer.pop("condition-2")["inputs"]
    for moved in ("deploy", "import-evaluation"):
        for kind, values in outer[moved]["inputs"].items():
            for key, value in values.items():
                source = next(iter(value.values()))
                if isinstance(source, str) and source in group[kind]:
                    values[key] = group[kind][source]


def image(executor: str, name: str) -> Change:
    return lambda spec: spec["deploymentSpec"]["executors"][executor]["container"].update(image=name)


def job_image(spec: Spec) -> None:
    pools = spec["components"]["comp-train"]["inputDefinitions"]["parameters"]["worker_pool_specs"]["defaultValue"]
    pools[0]["container_spec"]["image_uri"] = "example.org/train-tpu:VERSION"


def retried(name: str) -> Change:
    return lambda spec: task(spec, name).update(retryPolicy={"maxRetryCount": 3})


def summary_only_after_success(spec: Spec) -> None:
    del task(spec, "summarize")["triggerPolicy"]


def another_task_next_to_the_summary(spec: Spec) -> None:
    spec["root"]["dag"]["tasks"]["snapshot-2"] = {"componentRef": {"name": "comp-snapshot"}}


named, ours = parameters_reach_inputs_of_their_names, partial(images_are_ours, repository="seqline")
in_europe = partial(images_are_ours, repository="europe-docker.pkg.dev/my-project/seqline")
never = partial(retried_as_configured, retries={})


@pytest.mark.parametrize(
    ("pipeline", "invariant", "change", "violation"),
    [
        ("training", cached_as_documented, cached("snapshot", True), "snapshot is cached"),
        ("training", cached_as_documented, cached("champion", True), "champion is cached"),
        ("training", cached_as_documented, cached("bless", True), "bless is cached"),
        ("training", cached_as_documented, cached("deploy", True), "deploy is cached"),
        ("training", cached_as_documented, cached("summarize", True), "summarize is cached"),
        ("training", cached_as_documented, cached("train", False), "train is not cached"),
        ("batch", cached_as_documented, cached("infer", True), "infer is cached"),
        ("training", live_only_if_blessed, unconditional, "deploy runs if nothing failed"),
        ("training", live_only_if_blessed, condition("true"), "deploy runs if true"),
        (
            "training",
            live_only_if_blessed,
            condition("inputs.parameter_values['pipelinechannel--bless-Output'] != true"),
            "deploy runs if bless.Output != true",
        ),
        (
            "training",
            live_only_if_blessed,
            from_output("condition-2", "pipelinechannel--bless-Output", "evaluate", "passed"),
            "deploy runs if evaluate.passed == true",
        ),
        ("training", live_only_if_blessed, deploy_twice, "deploy-2 runs if nothing failed"),
        (
            "training-vertex",
            live_only_if_blessed,
            import_without_condition,
            "model-evaluation-import runs if deploy.Output == true",
        ),
        (
            "training",
            live_only_if_blessed,
            artifact("condition-2", "pipelinechannel--export-model", "champion", "champion"),
            "deploy deploys champion.champion, not export.model",
        ),
        (
            "training",
            live_only_if_blessed,
            artifact("condition-2", "pipelinechannel--bless-decision", "evaluate", "evaluation"),
            "deploy has the decision of evaluate.evaluation",
        ),
        (
            "training",
            live_only_if_blessed,
            artifact("bless", "challenger", "evaluate-2", "evaluation"),
            "deploys export",
        ),
        ("training", live_only_if_blessed, artifact("evaluate-2", "model", "export", "model"), "champion is export"),
        (
            "training",
            live_only_if_blessed,
            artifact("evaluate-3", "model", "champion", "champion"),
            "best is champion.c",
        ),
        (
            "training",
            live_only_if_blessed,
            from_output("evaluate-3", "opponent", "champion", "champion_found"),
            "challenger and best are not evaluated alike",
        ),
        (
            "training",
            live_only_if_blessed,
            without("evaluate-2", "opponent"),
            "challenger and champion are not evaluated",
        ),
        ("training", live_only_if_blessed, artifact("evaluate-2", "corpus", "export", "model"), "not evaluated alike"),
        (
            "training",
            live_only_if_blessed,
            from_output("evaluate-2", "options", "snapshot", "decoding"),
            "not evaluated alike",
        ),
        (
            "training",
            live_only_if_blessed,
            from_parameter("champion", "endpoint", "api_endpoint"),
            "champion is that of another endpoint",
        ),
        ("training", named, without("tokenize", "previous_corpus"), "tokenize.previous_corpus is not connected"),
        ("training", named, without("tokenize", "test_data"), "tokenize.test_data is not connected"),
        (
            "training",
            named,
            from_parameter("tokenize", "test_data", "valid_data"),
            "valid_data reaches tokenize.test_data",
        ),
        ("training", named, from_parameter("bless", "human_evaluation", "data"), "data reaches bless.human_evaluation"),
        (
            "training",
            named,
            from_output("export", "model_card", "snapshot", "decoding"),
            "export.model_card is snapshot",
        ),
        ("training", options_come_from_snapshot, from_parameter("train", "options", "training"), "as it was given"),
        ("training", options_come_from_snapshot, without("evaluate", "options"), "evaluate.options is None"),
        (
            "training",
            options_come_from_snapshot,
            from_output("train", "options", "snapshot", "corpus"),
            "train.options is snapshot.corpus",
        ),
        (
            "tuning",
            options_come_from_snapshot,
            from_output("train", "options", "snapshot", "training"),
            "train.options is snapshot.training",
        ),
        ("training", data_has_its_fingerprint, without("tokenize", "fingerprint"), "tokenize has no fingerprint"),
        ("batch", data_has_its_fingerprint, without("infer", "fingerprint"), "infer has no fingerprint"),
        ("training", data_has_its_fingerprint, without("snapshot", "test_data"), "test_data is not what snapshot read"),
        ("training", ours, image("exec-train", "python:3.11"), "train runs in python:3.11"),
        ("training", ours, image("exec-bless", "seqline/serve:VERSION"), "bless runs in seqline/serve"),
        ("training-vertex", in_europe, image("exec-deploy", "seqline/serve:VERSION"), "deploy runs in seqline/serve"),
        ("training-vertex", in_europe, job_image, "a job runs in example.org/train-tpu"),
        ("training", never, retried("deploy"), "deploy is repeated 3 times"),
        ("training", reported_whatever_happens, summary_only_after_success, "summarize does not run after a failure"),
        ("training", reported_whatever_happens, another_task_next_to_the_summary, "snapshot-2 is outside"),
    ],
)
def test_a_fault_is_found(
    pipeline: str, invariant: Callable[[Spec], list[str]], change: Change, violation: str
) -> None:
    spec, _ = documents(pipeline)
    assert [one for one in invariant(spec) if violation in one] == []
    change(spec)
    assert [one for one in invariant(spec) if violation in one]
