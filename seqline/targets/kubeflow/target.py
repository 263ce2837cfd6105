"""Kubeflow Pipelines: compile, upload, run and recurring run through `kfp.Client`."""

import dataclasses
import datetime
import hashlib
import json
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqline.configuration.parameters import Parameters, read_parameters
from seqline.errors import UserError
from seqline.problems import Problem
from seqline.targets.kubeflow.connection import BRIEF, Connection
from seqline.targets.kubeflow.progress import SECONDS, newest_record
from seqline.targets.kubeflow.schedules import UPDATABLE, Schedules
from seqline.targets.kubeflow.tags import move, require, resolve
from seqline.targets.kubeflow.tpu import check_resource, check_slice
from seqline.targets.schedule_plan import changed_fields
from seqline.targets.target import OnChange, Run, Schedule, State, Task, Template, UnsupportedError
from seqline.targets.task_progress import TaskProgress

if TYPE_CHECKING:
    from seqline.configuration import Configuration

POLL_SECONDS = 5.0
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""An id that the server makes; anything else is a tag."""
SCHEME = "kfp://"
STATES: dict[str, State] = {
    "PENDING": "pending",
    "RUNNING": "running",
    "SUCCEEDED": "succeeded",
    "SKIPPED": "skipped",
    "CACHED": "cached",
    "FAILED": "failed",
    "CANCELING": "running",
    "CANCELED": "cancelled",
    "PAUSED": "pending",
}


class Kubeflow:
    """One KFP server as a target.

    Args:
        configuration: With `targets.kubeflow`.
        sleep: Waits some seconds.
    """

    name = "kubeflow"
    updatable = UPDATABLE

    def __init__(self, configuration: "Configuration", sleep: Callable[[float], None] = time.sleep) -> None:
        settings = configuration.targets.kubeflow
        if settings is None:
            raise UserError("the configuration has no targets.kubeflow; `seqline init` shows its keys")
        self.configuration = configuration
        self.settings = settings
        self.connection = Connection(settings, sleep)
        self.plans = Schedules(self.connection)
        self.progress = TaskProgress(partial(newest_record, self.connection), SECONDS)

    @cached_property
    def checked(self) -> Connection:
        """The connection of `check`, which gives up sooner."""
        return Connection(self.settings, self.connection.sleep, BRIEF)

    def compile(self, pipeline: str, output: Path, defaults: Mapping[str, Any] | None = None) -> Path:
        """Writes the portable spec, with the settings of pods in a second document if there are any."""
        from seqline.compiling.compiler import compile_pipeline, stage_of
        from seqline.targets.kubeflow.pods import set_pod

        def place(task: Any) -> None:
            stage = stage_of(task)
            pod = self.settings.pod(stage)
            resources = self.configuration.resources.get(stage)
            if resources is not None:
                check_resource(stage, resources)
                check_slice(stage, resources, pod.node_selector)
            if task.container_spec is not None:
                set_pod(task, pod)

        return compile_pipeline(pipeline, output, self.configuration, place, defaults)

    def check(self) -> list[Problem]:
        """Checks that the server responds and accepts this caller."""
        checked = self.checked
        try:
            checked.read("list the runs", lambda client: client.list_runs(page_size=1, namespace=checked.namespace))
        except UserError as error:
            return [Problem(str(error), field="targets.kubeflow.host")]
        return []

    def parameters(self, spec: str) -> Parameters:
        """Reads the parameters of a compiled file or an uploaded version."""
        if not spec.startswith(SCHEME):
            return read_parameters(Path(spec))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pipeline.yaml"
            path.write_text(self._fetch(spec), encoding="utf-8")
            return read_parameters(path)

    def upload(self, spec: Path, tags: Sequence[str] = ()) -> Template:
        """Uploads a version, named by its content, and creates the pipeline if needed."""
        if tags:
            require(self.connection, tags)
        name = read_parameters(spec).pipeline
        # Without it the pipeline of a user would be one of all users (UploadPipeline in pipeline_upload_server.go).
        namespace = self.connection.namespace if self.connection.server.multi_user else None
        version = f"sha256-{hashlib.sha256(spec.read_bytes()).hexdigest()[:32]}"
        pipeline = self.connection.write(
            f"upload pipeline {name}",
            lambda client: self._pipeline(client, name, namespace),
            lambda client: client.upload_pipeline(str(spec), name, namespace=namespace).pipeline_id,
        )
        made = self.connection.write(
            f"upload a version of {name}",
            lambda client: self._version(client, pipeline, version),
            lambda client: client.upload_pipeline_version(str(spec), version, pipeline_id=pipeline),
        )
        id_ = made.pipeline_version_id
        page = f"{self.settings.host.rstrip('/')}/#/pipelines/details/{pipeline}/version/{id_}"
        moved = move(self.connection, pipeline, id_, tags) if tags else ()
        return Template(f"{SCHEME}{pipeline}/{id_}", name, id_, moved, page)

    def run(
        self, spec: str, arguments: Mapping[str, Any], cache: bool | None = None, on_change: OnChange | None = None
    ) -> Run:
        """Starts a run, and watches it with `on_change`."""
        name = f"{self.parameters(spec).pipeline}-{datetime.datetime.now(datetime.timezone.utc):%Y%m%d%H%M%S}"
        name += f"-{secrets.token_hex(2)}"
        if spec.startswith(SCHEME):
            if cache is False:
                raise UnsupportedError("an uploaded version runs with its own cache settings; run the compiled file")
            pipeline, version = self._resolved(spec)
            what: dict[str, Any] = {"pipeline_id": pipeline, "version_id": version}
        else:
            # True would also cache the tasks that the pipeline never caches.
            what = {"pipeline_package_path": spec, "enable_caching": False if cache is False else None}

        def start(client: Any) -> Any:
            experiment = client.create_experiment(self.settings.experiment, namespace=self.connection.namespace)
            return client.run_pipeline(
                experiment.experiment_id,
                name,
                params=dict(arguments),
                pipeline_root=self.settings.pipeline_root or None,
                service_account=self.settings.service_account or None,
                **what,
            )

        def look(client: Any) -> Any:
            return next((one for one in self._newest(client, 20) if one.display_name == name), None)

        run = self._shown(self.connection.write(f"start run {name}", look, start))
        return run if on_change is None else self.watch(run.id, on_change)

    def runs(self, pipeline: str = "", limit: int = 20) -> list[Run]:
        """The newest runs of the namespace."""
        found = self.connection.read(
            "list the runs", lambda client: self._newest(client, limit if not pipeline else 200)
        )
        shown = [self._shown(one) for one in found]
        return [run for run in shown if pipeline in ("", run.pipeline)][:limit]

    def describe(self, run: str) -> Run:
        """Looks a run up by its id; `latest` is the newest."""
        if run == "latest":
            newest = self.runs(limit=1)
            if not newest:
                raise UserError("there is no run on this server; `seqline run --target kubeflow` starts one")
            run = newest[0].id
        found = self._shown(self.connection.read(f"look up run {run}", lambda client: client.get_run(run)))
        return self.progress.update(found)

    def watch(self, run: str, on_change: OnChange) -> Run:
        """Watches a run to its end."""
        found = self.describe(run)
        on_change(found)
        while not found.ended:
            self.connection.sleep(POLL_SECONDS)
            now = self.describe(found.id)
            if now != found:
                on_change(now)
            found = now
        return found

    def cancel(self, run: str) -> Run:
        """Requests that a run stops."""
        found = self.describe(run)
        if not found.ended:
            self.connection.read(f"cancel run {found.id}", lambda client: client.terminate_run(found.id))
        return self.describe(found.id)

    def logs(self, run: str, task: str = "") -> Iterator[str]:
        """Not supported: the server's API has no logs of these runs, but their pods have."""
        found = self.describe(run)
        # The API's `pod_name` is Argo's id of a node, which is not the name of its pod; the label is on every pod
        # (SetPodMetadataLabels in backend/src/apiserver/template/v2_template.go).
        pods = f"--namespace {self.connection.namespace} --selector pipeline/runid={found.id}"
        command = f"kubectl logs {pods} --container main --prefix --tail -1"
        raise UnsupportedError(f"a KFP server has no logs; read those of the run's pods with\n  {command}")

    def digest(self, spec: str) -> str:
        """The digest of a compiled file or an uploaded version."""
        import yaml

        from seqline.schema.spec_files import read_documents

        # The server stores the content, not the bytes.
        text = self._fetch(spec) if spec.startswith(SCHEME) else Path(spec).read_text(encoding="utf-8")
        documents = [document for document in read_documents(text) if document]
        return hashlib.sha256(yaml.safe_dump_all(documents, sort_keys=True).encode()).hexdigest()[:32]

    def run_settings(self) -> dict[str, str]:
        """The configuration's settings of runs."""
        return self.plans.run_settings()

    def schedules(self) -> list[Schedule]:
        """The recurring runs that Seqline created."""
        return self.plans.found()

    def save_schedule(self, wanted: Schedule, existing: Schedule | None = None) -> Schedule:
        """Creates, enables, disables or replaces a schedule; a tag becomes the version that it points at now."""
        pipeline, version = self._resolved(wanted.template)
        wanted = dataclasses.replace(wanted, template=f"{SCHEME}{pipeline}/{version}")
        return self.plans.save(wanted, existing, changed_fields(wanted, existing) if existing else set())

    def delete_schedule(self, schedule: Schedule) -> None:
        """Deletes a schedule."""
        self.plans.delete(schedule)

    def pause_schedule(self, schedule: Schedule) -> Schedule:
        """Pauses a schedule."""
        return self.plans.turn(schedule, on=False)

    def resume_schedule(self, schedule: Schedule) -> Schedule:
        """Resumes a paused schedule."""
        return self.plans.turn(schedule, on=True)

    def _newest(self, client: Any, limit: int) -> list[Any]:
        page = client.list_runs(page_size=limit, sort_by="created_at desc", namespace=self.connection.namespace)
        return list(page.runs or [])

    def _pipeline(self, client: Any, name: str, namespace: str | None) -> Any:
        if namespace is None:
            return client.get_pipeline_id(name)
        # kfp's own look-up knows no namespaces.
        predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
        page = client.list_pipelines(filter=json.dumps({"predicates": [predicate]}), namespace=namespace)
        return next((one.pipeline_id for one in page.pipelines or []), None)

    def _resolved(self, reference: str) -> tuple[str, str]:
        """The ids of the pipeline and the version of kfp://PIPELINE/VERSION, where the version may be a tag."""
        pipeline, _, version = reference.removeprefix(SCHEME).partition("/")
        if not pipeline or not version or "/" in version:
            raise UserError(f"{reference} is not an uploaded pipeline, which has the form kfp://PIPELINE/VERSION")
        return pipeline, version if ID.fullmatch(version) else resolve(self.connection, pipeline, version)

    def _version(self, client: Any, pipeline: str, name: str) -> Any:
        page = client.list_pipeline_versions(pipeline, page_size=100, sort_by="created_at desc")
        return next((one for one in page.pipeline_versions or [] if one.display_name == name), None)

    def _fetch(self, reference: str) -> str:
        import yaml

        pipeline, version = self._resolved(reference)
        found = self.connection.read(
            f"fetch {reference}", lambda client: client.get_pipeline_version(pipeline, version).pipeline_spec
        )
        # With settings for Kubernetes the server wraps the two documents.
        documents = [found["pipeline_spec"], found["platform_spec"]] if "pipeline_spec" in found else [found]
        return str(yaml.safe_dump_all(documents, sort_keys=True))

    def _shown(self, run: Any) -> Run:
        details = (run.run_details.task_details or []) if run.run_details else []
        end = run.finished_at.timestamp() if run.finished_at and run.finished_at.year > 1970 else 0.0
        created = run.created_at.timestamp() if run.created_at else 0.0
        return Run(
            id=run.run_id,
            pipeline=run.display_name.rsplit("-", 2)[0],
            target="kubeflow",
            state=STATES.get(run.state or "PENDING", "pending"),
            created=created,
            seconds=end - created if end else 0.0,
            tasks=[_task(detail) for detail in details if detail.pod_name or detail.child_tasks is None],
            parameters=dict(run.runtime_config.parameters or {}) if run.runtime_config else {},
            error=run.error.message if run.error else "",
            console=f"{self.settings.host.rstrip('/')}/#/runs/details/{run.run_id}",
            root=(run.runtime_config.pipeline_root or "") if run.runtime_config else "",
        )


def _task(detail: Any) -> Task:
    start = detail.start_time.timestamp() if detail.start_time else 0.0
    end = detail.end_time.timestamp() if detail.end_time and detail.end_time.year > 1970 else 0.0
    error = detail.error.message if detail.error else ""
    state = STATES.get(detail.state or "PENDING", "pending")
    return Task(detail.display_name, state, start, end - start if end else 0.0, error=error, id=detail.pod_name or "")
