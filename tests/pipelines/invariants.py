"""What holds of every compiled pipeline: each function returns the violations it finds."""

import re
from collections.abc import Collection, Iterator, Mapping

from seqline.schema.sections import SECTIONS
from tests.golden.tasks import Spec, Task, parameters_of, tasks_of

# The data, the endpoint and the run itself change behind the same inputs.
NEVER_CACHED = {
    "snapshot",
    "champion",
    "bless",
    "deploy",
    "summarize",
    "infer",
    "collect",
    "monitor",
    "retrain",
    "experiment",
    "notify",
    "model-evaluation-import",
}
IMAGES = {
    "snapshot": "tokenize",
    "tokenize": "tokenize",
    "preflight": "preflight",
    "train": "train",
    "export": "train",
    "baseline": "train",
    "champion": "serve",
    "adopt": "evaluate",
    "evaluate": "evaluate",
    "bless": "evaluate",
    "deploy": "serve",
    "summarize": "evaluate",
    "infer": "infer",
    "collect": "serve",
    "monitor": "serve",
    "retrain": "serve",
    "experiment": "serve",
    "tune": "train",
    "plan-trials": "train",
    "best-trial": "tokenize",
}
LAUNCHER = re.compile(r"^gcr\.io/ml-pipeline/google-cloud-pipeline-components:VERSION$")
LAUNCHED = {"train", "hyperparameter-tuning-job", "model-evaluation-import", "notify"}
# Sections by the input that takes their options, which the first task has completed.
FIRST = {"snapshot", "collect"}
OPTIONS = {
    ("tokenize", "options"): "snapshot.corpus",
    ("preflight", "options"): "snapshot.training",
    ("train", "options"): "snapshot.training",
    ("export", "decoding"): "snapshot.decoding",
    ("export", "model_card"): "snapshot.model_card",
    ("evaluate", "options"): "snapshot.evaluation",
    ("deploy", "options"): "snapshot.serving",
    ("infer", "options"): "snapshot.inference",
    ("monitor", "options"): "collect.monitoring",
    ("retrain", "options"): "collect.retraining",
    ("tune", "options"): "snapshot.tuning",
    ("tune", "training"): "snapshot.training",
    ("plan-trials", "options"): "snapshot.tuning",
    ("plan-trials", "training"): "snapshot.training",
    ("best-trial", "options"): "snapshot.tuning",
    ("best-trial", "training"): "snapshot.training",
}
BEST = {"tune.training", "best-trial.training"}
BLESSED = "bless.Output == true"


OPPONENTS = {
    "champion": (None, "champion.champion_found"),
    "best": (None, "champion.best_found"),
    "baseline": ("baseline.model", "snapshot.baseline"),
}
"""What the challenger is compared with: the model, where it is an artifact, and what is known about it."""


def cached_as_documented(spec: Spec) -> list[str]:
    """A task is cached exactly if its inputs determine its result."""
    return [
        f"{task.name} is {'' if task.cached else 'not '}cached"
        for task in tasks_of(spec).values()
        if task.cached == (task.stage in NEVER_CACHED)
    ]


def live_only_if_blessed(spec: Spec) -> list[str]:
    """Deploy, and what follows it, runs only if bless said yes, and about the very model that it judged."""
    tasks = tasks_of(spec)
    stages = {task.stage for task in tasks.values()}
    found = [] if ("bless" in stages) == ("deploy" in stages) else ["bless and deploy need each other"]
    found += [
        f"{task.name} runs if {' and '.join(task.conditions) or 'nothing failed'}"
        for task in tasks.values()
        if "deploy" in {tasks[name].stage for name in _above(tasks, task)} and BLESSED not in task.conditions
    ]
    for task in tasks.values():
        if task.stage != "deploy":
            continue
        if task.artifacts["decision"] != "bless.decision":
            found.append(f"{task.name} has the decision of {task.artifacts['decision']}")
        evaluated = {name: tasks[_producer(source)] for name, source in tasks["bless"].artifacts.items()}
        challenger = evaluated.pop("challenger")
        if challenger.artifacts.get("model") != task.artifacts["model"]:
            found.append(f"{task.name} deploys {task.artifacts['model']}, not {challenger.artifacts.get('model')}")
        for name, other in evaluated.items():
            model, opponent = OPPONENTS.get(name, (None, ""))
            # What was not trained here did not start from a pretrained checkpoint.
            model = model if "train" in stages else None
            # An opponent's address is among what champion found: an artifact lies below its run's folder.
            if other.artifacts.get("model") != model:
                found.append(f"the {name} is {other.artifacts.get('model')}")
            parameters = {**challenger.parameters, "opponent": opponent}
            if challenger.artifacts["corpus"] != other.artifacts["corpus"] or other.parameters != parameters:
                found.append(f"challenger and {name} are not evaluated alike")
        if tasks["champion"].artifacts["model"] != task.artifacts["model"]:
            found.append("champion looks for another model than the challenger")
        if tasks["champion"].parameters.get("endpoint") != task.parameters.get("endpoint"):
            found.append("the champion is that of another endpoint")
        if set(evaluated) != set(OPPONENTS):
            found.append(f"the challenger is compared with {sorted(evaluated)}")
    return found


def parameters_reach_inputs_of_their_names(spec: Spec, replaced: Collection[tuple[str, str]] = ()) -> list[str]:
    """Each parameter is read, by inputs of its name only; each input of its name has its value, or snapshot's of it.

    Args:
        spec: The compiled spec.
        replaced: Inputs by task whose value a target sets instead.
    """
    tasks, known, found = tasks_of(spec), parameters_of(spec), []
    for name in known:
        readers = [(task, key) for task in tasks.values() for key, source in task.parameters.items() if source == name]
        if not readers and name not in {key for _, key in replaced}:
            found.append(f"{name} is not read")
        found += [f"{name} reaches {task.name}.{key}" for task, key in readers if key != name]
    for task in tasks.values():
        for key in {*task.parameters, *task.constants, *task.defaults} & set(known):
            source = task.parameters.get(key, "")
            if source not in (key, f"snapshot.{key}") and (task.name, key) not in replaced:
                found.append(f"{task.name}.{key} is {source or 'not connected'}")
    return found


def options_come_from_snapshot(spec: Spec) -> list[str]:
    """A stage's options are those that snapshot completed; training after a search has the best trial's."""
    tasks = tasks_of(spec)
    tuned = any(task.stage in ("tune", "best-trial") for task in tasks.values())
    found = []
    for task in tasks.values():
        for key, source in task.parameters.items():
            if source in set(SECTIONS) - {"gate", "notification"} and task.stage not in FIRST:
                found.append(f"{task.name}.{key} has the section {source} as it was given")
        for (stage, key), expected in OPTIONS.items():
            wanted = BEST if tuned and (stage, key) in {("train", "options"), ("preflight", "options")} else {expected}
            if task.stage == stage and task.parameters.get(key) not in wanted:
                found.append(f"{task.name}.{key} is {task.parameters.get(key)}")
    return found


def data_has_its_fingerprint(spec: Spec) -> list[str]:
    """What reads the data has the fingerprint of the very data that snapshot read."""
    tasks = tasks_of(spec)
    found = []
    for task in tasks.values():
        if task.stage == "snapshot" or "data" not in task.parameters:
            continue
        if task.parameters.get("fingerprint") != "snapshot.fingerprint":
            found.append(f"{task.name} has no fingerprint of its data")
        found += [
            f"{task.name}.{key} is not what snapshot read"
            for key in ("data", "valid_data", "test_data")
            if task.parameters.get(key) not in (None, tasks["snapshot"].parameters.get(key))
        ]
    return found


def images_are_ours(spec: Spec, repository: str) -> list[str]:
    """Every stage runs in its own image of the repository, or in a job that a Google launcher starts in it.

    Args:
        spec: The compiled spec.
        repository: The configured repository of images.
    """
    found = []
    for task in tasks_of(spec).values():
        if "importer" in task.executor or (task.stage in LAUNCHED and LAUNCHER.match(task.image)):
            continue
        accelerator = task.executor["container"].get("resources", {}).get("accelerator", {}).get("resourceType", "")
        image = "train-gpu" if accelerator.lower().startswith("nvidia") else IMAGES.get(task.stage)
        if task.image != f"{repository}/{image}:VERSION":
            found.append(f"{task.name} runs in {task.image}")
    jobs = {
        name for name in _values(spec, "image_uri") if not re.fullmatch(r"train(-gpu|-tpu)?", _name(name, repository))
    }
    return [*found, *(f"a job runs in {image}" for image in sorted(jobs))]


def retried_as_configured(spec: Spec, retries: Mapping[str, int]) -> list[str]:
    """Only the tasks of the stages with configured retries are repeated, and as often.

    Args:
        spec: The compiled spec.
        retries: Their number by stage.
    """
    return [
        f"{task.name} is repeated {task.retries.get('maxRetryCount', 0)} times"
        for task in tasks_of(spec).values()
        if task.retries.get("maxRetryCount", 0) != retries.get(task.stage, 0)
    ]


def reported_whatever_happens(spec: Spec) -> list[str]:
    """The last tasks run in any case, after everything else; no other task runs after a failure."""
    found = []
    for task in tasks_of(spec).values():
        last = task.stage in ("summarize", "notify")
        if last != task.always:
            found.append(f"{task.name} {'does not run' if last else 'runs'} after a failure")
        if last and (task.groups or task.conditions or task.after != ("exit-handler-1",)):
            found.append(f"{task.name} is not the last")
        if not last and task.groups[:1] != ("exit-handler-1",) and "exit-handler-1" in spec["root"]["dag"]["tasks"]:
            found.append(f"{task.name} is outside of what the last task waits for")
    return found


def _above(tasks: Mapping[str, Task], task: Task) -> set[str]:
    """The task and all tasks whose outputs reach it."""
    found, rest = set(), [task.name]
    while rest:
        name = rest.pop()
        if name not in found:
            found.add(name)
            sources = [*tasks[name].artifacts.values(), *tasks[name].parameters.values()]
            rest += [_producer(source) for source in sources if _producer(source) in tasks]
    return found


def _producer(source: str) -> str:
    return source.partition(".")[0] if "." in source else ""


def _name(image: str, repository: str) -> str:
    return image.removeprefix(f"{repository}/").removesuffix(":VERSION")


def _values(value: object, key: str) -> Iterator[str]:
    """The texts with a key, at any depth."""
    if isinstance(value, dict):
        for name, one in value.items():
            if name == key and isinstance(one, str):
                yield one
            yield from _values(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from _values(one, key)
