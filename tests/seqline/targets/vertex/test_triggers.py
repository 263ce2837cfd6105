"""Triggers: `seqline trigger` against stand-ins of Eventarc and Workflows, and what the workflow then does."""

import dataclasses
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqline.cli import main
from seqline.configuration import Configuration
from seqline.errors import UnreachableError, UserError
from seqline.targets.schedule_plan import steps
from seqline.targets.vertex.connection import Connection
from seqline.targets.vertex.triggers import Trigger, Triggers, differences, expression
from tests.stand_ins.events import EventsStandIn, object_event
from tests.stand_ins.registry import RegistryStandIn

TEMPLATE = f"https://us-central1-kfp.pkg.dev/my-project/templates/seqline-training/sha256:{'a' * 64}"
START = 1_800_000_000.0
WANTED = Trigger(
    "new-pairs", "data", "pairs/*.tsv", 300, "seqline-trigger@my-project.iam.gserviceaccount.com", TEMPLATE,
    {"pipeline_root": "gs://runs/root"}, {"data": "gs://data/pairs/*.tsv", "training": {"epochs": 3, "dropout": 0.2}},
)  # fmt: skip


@pytest.fixture
def events() -> Iterator[EventsStandIn]:
    with EventsStandIn.running() as running:
        running.buckets = {"data": "us-central1", "other": "eu"}
        yield running


def open_triggers(url: str) -> Triggers:
    vertex = {
        "project": "my-project", "location": "us-central1", "pipeline_root": "gs://runs/root", "api_endpoint": url,
        "labels": {"team": "mt"}, "service_account": "runs@my-project.iam.gserviceaccount.com",
    }  # fmt: skip
    configuration = Configuration.model_validate({"targets": {"vertex": vertex}})
    assert configuration.targets.vertex
    return Triggers(Connection(configuration.targets.vertex, sleep=lambda seconds: None))


@pytest.fixture
def triggers(events: EventsStandIn) -> Triggers:
    return open_triggers(events.url)


def apply(triggers: Triggers, *wanted: Trigger, prune: bool = False) -> list[tuple[str, list[str]]]:
    planned = steps(
        [triggers.complete(one) for one in wanted], triggers.found(), differences, triggers.updatable, prune
    )
    for step in planned:
        if step.action == "delete" and step.existing:
            triggers.delete(step.existing)
        if step.action in {"create", "update", "replace"} and step.wanted:
            triggers.save(step.wanted, step.existing)
    return [(step.action, [one.field for one in step.differences]) for step in planned]


@pytest.mark.parametrize("fault", [None, "lost answer", "lost request", "503", "429"])
def test_a_trigger_is_made_once_and_then_unchanged(triggers: Triggers, events: EventsStandIn, fault: Any) -> None:
    if fault:
        for kind in ("workflows", "triggers"):
            events.faults.add(f"POST {kind}", fault, times=2)
    assert apply(triggers, WANTED) == [("create", [])]
    written = list(events.writes)
    assert apply(triggers, WANTED) == [("unchanged", [])]
    assert events.writes == written
    assert sorted(events.resources) == [
        "projects/my-project/locations/us-central1/triggers/seqline-new-pairs",
        "projects/my-project/locations/us-central1/workflows/seqline-new-pairs",
    ]
    (found,) = triggers.found()
    assert dataclasses.replace(found, source="", workflow="", events="", console="") == WANTED
    assert found.console.endswith("/workflows/workflow/us-central1/seqline-new-pairs/executions?project=my-project")


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"quiet_seconds": 60}, ["quiet_seconds"]),
        ({"template": TEMPLATE.replace("a" * 64, "b" * 64)}, ["template"]),
        (
            {"parameters": {"training": {"epochs": 4}}},
            ["parameters.data", "parameters.training.dropout", "parameters.training.epochs"],
        ),
        ({"pattern": "pairs/**"}, ["pattern"]),
        ({"service_account": "other@my-project.iam.gserviceaccount.com"}, ["service_account"]),
        ({"settings": {"pipeline_root": "gs://runs/other"}}, ["settings.pipeline_root"]),
    ],
)
@pytest.mark.parametrize("fault", [None, "lost answer"])
def test_a_change_is_made_in_place_and_shown(
    triggers: Triggers, events: EventsStandIn, change: Any, fields: list[str], fault: Any
) -> None:
    apply(triggers, WANTED)
    if fault:
        events.faults.add("PATCH workflows", fault)
    changed = dataclasses.replace(WANTED, **change)
    assert apply(triggers, changed) == [("update", fields)]
    assert apply(triggers, changed) == [("unchanged", [])]
    assert len(events.resources) == 2


def test_another_bucket_is_another_trigger_where_that_bucket_is(triggers: Triggers, events: EventsStandIn) -> None:
    apply(triggers, WANTED)
    changed = dataclasses.replace(WANTED, bucket="other")
    assert apply(triggers, changed) == [("replace", ["bucket"])]
    assert [name for name in events.resources if "/triggers/" in name] == [
        "projects/my-project/locations/eu/triggers/seqline-new-pairs"
    ]
    assert apply(triggers, changed) == [("unchanged", [])]


def test_an_interrupted_apply_is_completed_by_the_next(triggers: Triggers, events: EventsStandIn) -> None:
    events.refused = {"triggers"}
    with pytest.raises(UnreachableError, match=r"needs the role roles/eventarc\.developer on project my-project"):
        apply(triggers, WANTED)
    assert [one.state for one in triggers.found()] == ["incomplete"]
    events.refused = set()
    assert apply(triggers, WANTED) == [("update", ["state"])]
    assert apply(triggers, WANTED) == [("unchanged", [])]


def test_triggers_are_deleted_only_if_seqline_made_them(triggers: Triggers, events: EventsStandIn) -> None:
    apply(triggers, WANTED)
    foreign = "projects/my-project/locations/us-central1/workflows/theirs"
    events.resources[foreign] = {"name": foreign, "labels": {"team": "x"}, "sourceContents": ""}
    assert apply(triggers) == [("ignored", [])]
    events.faults.add("DELETE triggers", "lost answer")
    assert apply(triggers, prune=True) == [("delete", [])]
    assert list(events.resources) == [foreign]
    taken = "projects/my-project/locations/us-central1/workflows/seqline-new-pairs"
    events.resources[taken] = {"name": taken, "labels": {}, "sourceContents": ""}
    with pytest.raises(UserError, match="another seqline-new-pairs exists that Seqline did not create"):
        apply(triggers, WANTED)


def test_a_bucket_that_does_not_exist_is_named_before_anything_changes(
    triggers: Triggers, events: EventsStandIn
) -> None:
    with pytest.raises(UserError, match="there is no bucket gs://none"):
        apply(triggers, dataclasses.replace(WANTED, bucket="none"))
    assert events.writes == []


def test_an_operation_that_fails_says_why(
    triggers: Triggers, events: EventsStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = {"code": 7, "message": "Permission denied while using the Eventarc Service Agent."}
    monkeypatch.setattr(events, "_operation", lambda name: {"name": name, "done": True, "error": error})
    with pytest.raises(UnreachableError, match="cannot save the workflow seqline-new-pairs: Permission denied while"):
        apply(triggers, WANTED)


# What the workflow does.


@pytest.fixture
def ready(triggers: Triggers, events: EventsStandIn) -> EventsStandIn:
    apply(triggers, WANTED)
    return events


def arrive(events: EventsStandIn, *arrivals: tuple[float, str], late: float = 0.5, times: int = 1) -> None:
    """Objects arrive some seconds after the start; their events come a little later."""
    made = [(START + at + late, object_event("data", name, START + at)) for at, name in arrivals]
    events.deliver(made * times)


def test_a_new_object_starts_a_run_after_the_quiet_time(ready: EventsStandIn) -> None:
    arrive(ready, (0, "pairs/a.tsv"))
    ((id_, job),) = ready.jobs.items()
    assert id_ == "new-pairs-1800000000000000"
    assert job["createTime"] == START + 300.5
    assert job["templateUri"] == TEMPLATE
    assert job["runtimeConfig"] == {
        "gcsOutputDirectory": "gs://runs/root",
        "parameterValues": {"data": "gs://data/pairs/*.tsv", "training": {"epochs": 3, "dropout": 0.2}},
    }
    assert job["serviceAccount"] == "runs@my-project.iam.gserviceaccount.com"
    assert job["labels"] == {"team": "mt", "managed-by": "seqline", "seqline-trigger": "new-pairs"}


def test_other_objects_start_nothing_and_delay_nothing(ready: EventsStandIn) -> None:
    arrive(ready, (0, "pairs/a.tsv"), (10, "pairs/deep/b.tsv"), (20, "pairs/c.csv"), (30, "other/d.tsv"))
    assert list(ready.jobs) == ["new-pairs-1800000000000000"]


def test_objects_that_arrive_together_start_one_run_after_the_last(ready: EventsStandIn) -> None:
    arrive(ready, *((float(number), f"pairs/{number}.tsv") for number in range(7)))
    assert [job["createTime"] for job in ready.jobs.values()] == [START + 306.5]
    assert sum(result.startswith("newer: ") for result in ready.results) == 6


def test_an_event_that_is_delivered_again_starts_no_second_run(ready: EventsStandIn) -> None:
    arrive(ready, (0, "pairs/a.tsv"), times=3)
    arrive(ready, (0, "pairs/a.tsv"), late=4000.0)
    assert len(ready.jobs) == 1
    assert ready.results[1:] == ["already started: 1800000000000000"] * 3


def test_a_changed_trigger_does_not_start_a_generation_again(ready: EventsStandIn, triggers: Triggers) -> None:
    arrive(ready, (0, "pairs/a.tsv"))
    apply(triggers, dataclasses.replace(WANTED, template=TEMPLATE.replace("a" * 64, "b" * 64)))
    arrive(ready, (0, "pairs/a.tsv"), late=9000.0)
    assert len(ready.jobs) == 1


@pytest.mark.parametrize("failing", [[503], [429, 503], [200, 599], [503, 599]])
def test_a_failed_request_of_the_workflow_is_repeated(ready: EventsStandIn, failing: list[int]) -> None:
    ready.failing = [code for code in failing if code != 200]
    arrive(ready, (0, "pairs/a.tsv"))
    assert len(ready.jobs) == 1


def test_another_error_fails_the_execution(ready: EventsStandIn) -> None:
    ready.failing = [403]
    with pytest.raises(Exception, match="403"):
        arrive(ready, (0, "pairs/a.tsv"))


ARRIVALS = st.lists(
    st.tuples(
        st.integers(0, 2000),
        st.sampled_from(["pairs/a.tsv", "pairs/b.tsv", "pairs/c.tsv", "pairs/x.csv"]),
        st.floats(0.1, 40),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=9,
)


@given(arrivals=ARRIVALS)
@settings(max_examples=60)
def test_every_quiet_time_is_followed_by_exactly_one_run(arrivals: list[tuple[int, str, float, int]]) -> None:
    """Whatever arrives when, late or twice: never two runs for one generation, and none between data that follows."""
    stand_in = EventsStandIn(buckets={"data": "us-central1"})
    made = open_triggers("http://unused")
    parent = "projects/my-project/locations/us-central1"
    filters = [{"attribute": "type", "value": "finalized"}, {"attribute": "bucket", "value": "data"}]
    workflow = f"{parent}/workflows/seqline-new-pairs"
    stand_in.resources = {
        workflow: {"sourceContents": made.source(WANTED)},
        f"{parent}/triggers/t": {"eventFilters": filters, "destination": {"workflow": workflow}},
    }
    delivered = [
        (START + at + late * (number + 1), object_event("data", name, START + at))
        for at, name, late, times in arrivals
        for number in range(times)
    ]
    stand_in.deliver(delivered)
    moments = sorted({at for at, name, _, _ in arrivals if name.endswith(".tsv")})
    # The data is quiet if nothing follows within the quiet time; an event's delay makes the wait longer.
    slack = 3 * 40
    last = [at for at, after in itertools.pairwise([*moments, 10**9]) if after - at > 300 + slack]
    perhaps = [at for at, after in itertools.pairwise([*moments, 10**9]) if after - at >= 300]
    started = sorted(int(id_.rpartition("-")[2]) // 10**6 - int(START) for id_ in stand_in.jobs)
    assert set(last) <= set(started) <= set(perhaps)


def test_values_that_look_like_expressions_arrive_as_they_are(triggers: Triggers, events: EventsStandIn) -> None:
    odd = {"pattern": '${sys.get_env("X")}', "dollar": "$5 $${x} $", "text": "'\"\\ \n ü 漢 😀: # - {}"}
    apply(triggers, dataclasses.replace(WANTED, parameters={"corpus": odd}))
    arrive(events, (0, "pairs/a.tsv"))
    (job,) = events.jobs.values()
    assert job["runtimeConfig"]["parameterValues"] == {"corpus": odd}
    assert triggers.found()[0].parameters == {"corpus": odd}


def test_parameters_that_are_too_long_are_refused(triggers: Triggers) -> None:
    with pytest.raises(UserError, match=r"its workflow has \d+,\d+ bytes, and Workflows takes 131,072"):
        triggers.source(dataclasses.replace(WANTED, parameters={"data": "x" * 140_000}))


@given(
    st.lists(
        st.sampled_from(["*", "**", "/", "a", "B", ".", "$", "+", "(", "|", "ü", "\\", " "]), min_size=1, max_size=8
    ),
    st.lists(st.sampled_from(["/", "a", "B", ".", "$", "+", "(", "|", "ü", "\\", " ", "x"]), max_size=8),
)
def test_a_pattern_means_what_it_says(pattern: list[str], name: list[str]) -> None:
    def fits(rest: str, text: str) -> bool:
        if not rest:
            return not text
        if rest.startswith("**"):
            return any(fits(rest[2:], text[cut:]) for cut in range(len(text) + 1))
        if rest.startswith("*"):
            return any(fits(rest[1:], text[cut:]) for cut in range(len(text) + 1) if "/" not in text[:cut])
        return text[:1] == rest[0] and fits(rest[1:], text[1:])

    joined = "".join(pattern)
    if "***" not in joined:
        assert bool(re.search(expression(joined), "".join(name))) == fits(joined, "".join(name))


# The command.

FILE = """
target: vertex
parameters: {{data: "gs://data/pairs/*.tsv"}}
targets:
  vertex:
    project: my-project
    location: us-central1
    pipeline_root: gs://runs/root
    repository: {registry}
    api_endpoint: {api}
triggers:
  new-pairs:
    objects: "gs://data/pairs/*.tsv"
    pipeline: batch
    quiet_seconds: {quiet}
    parameters: {{data: "gs://data/x.txt"}}
"""


def test_the_whole_way_from_a_file_to_a_trigger(
    events: EventsStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("seqline.targets.vertex.triggers.POLL_SECONDS", 0.0)

    def ask(*words: str, code: int = 0) -> Any:
        assert main(list(words)) == code
        text = capsys.readouterr().out
        return json.loads(text) if "--json" in words else text

    def write(quiet: int) -> None:
        Path("seqline.yaml").write_text(FILE.format(registry=registry.url, api=events.url, quiet=quiet))

    with RegistryStandIn.running() as registry:
        write(300)
        assert "+ new-pairs" in ask("trigger", "plan")
        assert registry.uploads == 0
        (made,) = ask("trigger", "apply", "--json")
        assert (made["action"], made["trigger"]["state"]) == ("create", "active")
        (version,) = registry.versions["seqline-batch"]
        assert made["trigger"]["template"] == f"{registry.url}/seqline-batch/{version}"
        assert made["trigger"]["parameters"] == {"data": "gs://data/x.txt"}
        assert ask("trigger", "apply", "--json")[0]["action"] == "unchanged"
        write(60)
        assert "quiet_seconds: 300 -> 60" in ask("trigger", "apply")
        assert [one["name"] for one in ask("trigger", "list", "--json")] == ["new-pairs"]
        ask("trigger", "delete", "new-pear", code=1)
        assert ask("trigger", "delete", "new-pairs") == "new-pairs: deleted\n"
        assert events.resources == {}
        Path("seqline.yaml").write_text(Path("seqline.yaml").read_text().replace("repository", "#repository"))
        ask("trigger", "apply", code=1)


@pytest.mark.parametrize(
    ("trigger", "message"),
    [
        ({"objects": "data/*.tsv"}, "triggers.t.objects"),
        ({"objects": "gs://data"}, "triggers.t.objects"),
        ({"objects": "gs://data/p?.tsv"}, "only * and ** are special"),
        ({"objects": "gs://data/p", "quiet_seconds": -1}, "triggers.t.quiet_seconds"),
        ({"objects": "gs://data/p", "object": 1}, "triggers.t.object"),
    ],
)
def test_a_wrong_trigger_is_refused_by_its_key(
    trigger: Any, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "seqline.yaml"
    file.write_text(json.dumps({"triggers": {"t": trigger}}))
    assert main(["trigger", "plan", "--config", str(file)]) == 1
    assert message in capsys.readouterr().err
