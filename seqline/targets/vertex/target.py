"""Vertex AI Pipelines: the target's methods, built from the other modules of this package."""

import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqline.compiling.kfp_import import import_kfp
from seqline.configuration.parameters import Parameters, read_parameters
from seqline.errors import UserError
from seqline.problems import Problem
from seqline.targets.schedule_plan import changed_fields
from seqline.targets.target import OnChange, Run, Schedule, Template
from seqline.targets.task_progress import TaskProgress
from seqline.targets.vertex.connection import Connection
from seqline.targets.vertex.jobs import Jobs, new_id, pipeline_job
from seqline.targets.vertex.progress import SECONDS, newest_record
from seqline.targets.vertex.schedules import UPDATABLE, Schedules
from seqline.targets.vertex.templates import Templates, digest

if TYPE_CHECKING:
    from seqline.configuration import Configuration

POLL_SECONDS = 10.0


class Vertex:
    """One project and region of Vertex AI as a target.

    Args:
        configuration: With `targets.vertex`.
        sleep: Waits some seconds.
    """

    name = "vertex"
    updatable = UPDATABLE

    def __init__(self, configuration: "Configuration", sleep: Callable[[float], None] = time.sleep) -> None:
        settings = configuration.targets.vertex
        if settings is None:
            raise UserError("the configuration has no targets.vertex; `seqline init` shows its keys")
        self.configuration = configuration
        self.settings = settings
        self.connection = Connection(settings, sleep)
        self.jobs = Jobs(self.connection)
        self.templates = Templates(self.connection)
        self.plans = Schedules(self.connection)
        self.progress = TaskProgress(partial(newest_record, self.connection), SECONDS)

    def compile(self, pipeline: str, output: Path, defaults: Mapping[str, Any] | None = None) -> Path:
        """Writes the portable spec with the configuration's placement on Vertex."""
        import yaml

        import_kfp()
        from seqline.atomic import atomic_write
        from seqline.compiling.compiler import compile_pipeline
        from seqline.schema.spec_files import read_documents
        from seqline.targets.vertex.carried import carry
        from seqline.targets.vertex.placement import place

        address = {"api_endpoint": self.settings.api_address} if self.settings.api_address else {}
        graph = self._tuning() if pipeline == "tuning" else None
        # What one run of monitoring leaves to the next: beside a table of BigQuery there is no folder.
        state = {"monitoring": {"state": f"{self.settings.pipeline_root.rstrip('/')}/monitoring"}}
        values = {**address, **(state if pipeline == "monitoring" else {}), **(defaults or {})}
        path = compile_pipeline(pipeline, output, self.configuration, defaults=values, graph=graph)
        text = path.read_text(encoding="utf-8")
        portable = next(read_documents(text))
        placed = place(portable, self.settings, self.configuration.images)
        carry(placed, self.settings, self.configuration.images)
        if placed != portable:
            comments = text[: text.index("\ncomponents:") + 1]
            atomic_write(path, comments + yaml.dump(placed, sort_keys=True))
        return path

    def _tuning(self) -> Any:
        """The tuning pipeline with its search as a job on many machines, if training is a job; otherwise None."""
        from seqline.components.tune.vertex_job import Job, tune_as_job
        from seqline.pipelines.tuning import make_tuning
        from seqline.targets.vertex.worker_pools import trial_worker

        training, images, target = self.settings.training, self.configuration.images, self.settings
        if training is None:
            return None
        job = Job(
            trial_worker(training, images),
            target.location,
            target.encryption_key,
            target.service_account,
            target.network,
        )
        return make_tuning(tune_as_job(job, target.api_address, images.reference))

    def check(self) -> list[Problem]:
        """Checks that the placement is possible, the API responds, and this caller has permission."""
        from seqline.targets.vertex.worker_pools import worker_pools

        problems = []
        checks: list[tuple[str, Callable[[], Any]]] = [("targets.vertex", lambda: self.jobs.list("", 1))]
        if self.settings.training is not None:
            training = self.settings.training
            checks.insert(0, ("targets.vertex.training", lambda: worker_pools(training, {})))
        for field, look in checks:
            try:
                look()
            except UserError as error:  # noqa: PERF203 (a call over the network is slower)
                problems.append(Problem(str(error), field=field))
        return problems

    def parameters(self, spec: str) -> Parameters:
        """Reads the parameters of a compiled file or an uploaded version."""
        if "://" not in spec:
            return read_parameters(Path(spec))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pipeline.yaml"
            path.write_text(self.templates.fetch(self.templates.resolve(spec)), encoding="utf-8")
            return read_parameters(path)

    def upload(self, spec: Path, tags: Sequence[str] = ()) -> Template:
        """Uploads to the Artifact Registry repository, or to the bucket if none is configured."""
        return self.templates.upload(spec, tags)

    def run(
        self, spec: str, arguments: Mapping[str, Any], cache: bool | None = None, on_change: OnChange | None = None
    ) -> Run:
        """Starts a run, and watches it with `on_change`."""
        reference, content = self._read(spec)
        id_ = new_id(content["pipelineInfo"]["name"])
        run = self.jobs.start(pipeline_job(content, arguments, self.settings, cache, reference), id_)
        return run if on_change is None else self.watch(run.id, on_change)

    def runs(self, pipeline: str = "", limit: int = 20) -> list[Run]:
        """The newest runs of this project and region."""
        return self.jobs.list(pipeline, limit)

    def describe(self, run: str) -> Run:
        """Looks a run up; `latest` is the newest."""
        return self.progress.update(self.jobs.find(run))

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
        return self.jobs.cancel(run)

    def logs(self, run: str, task: str = "") -> Iterator[str]:
        """Lines from Cloud Logging."""
        return self.jobs.logs(run, task)

    def digest(self, spec: str) -> str:
        """The digest of a compiled file or an uploaded version."""
        if "://" not in spec:
            return digest(Path(spec).read_text(encoding="utf-8"))
        return digest(self.templates.fetch(self.templates.resolve(spec)))

    def run_settings(self) -> dict[str, str]:
        """The configuration's settings of runs."""
        return self.plans.run_settings()

    def schedules(self) -> list[Schedule]:
        """The schedules that Seqline created."""
        return self.plans.found()

    def save_schedule(self, wanted: Schedule, existing: Schedule | None = None) -> Schedule:
        """Creates, updates or replaces a schedule, depending on the fields that differ."""
        reference, content = self._read(wanted.template)
        wanted = dataclasses.replace(wanted, template=reference)
        changed = changed_fields(wanted, existing, self.plans.clock()) if existing else set()
        return self.plans.save(wanted, existing, content, changed)

    def delete_schedule(self, schedule: Schedule) -> None:
        """Deletes a schedule."""
        self.plans.delete(schedule)

    def pause_schedule(self, schedule: Schedule) -> Schedule:
        """Pauses a schedule."""
        return self.plans.pause(schedule)

    def resume_schedule(self, schedule: Schedule) -> Schedule:
        """Resumes a paused schedule."""
        return self.plans.resume(schedule)

    def _read(self, spec: str) -> tuple[str, dict[str, Any]]:
        """The reference of a spec, empty for a file, and its content."""
        from seqline.schema.spec_files import read_documents

        if "://" not in spec:
            read_parameters(Path(spec))
            return "", next(read_documents(Path(spec).read_text(encoding="utf-8")))
        reference = self.templates.resolve(spec)
        return reference, next(read_documents(self.templates.fetch(reference)))
