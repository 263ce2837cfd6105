"""A stand-in for the Dataflow API: it holds each job request against the real protobuf, and runs what was staged.

Beam's own client stages the pipeline on Cloud Storage, as it does for Dataflow, and this reads it from there.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import fsspec
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner
from google.cloud import dataflow_v1beta3 as dataflow
from google.protobuf import json_format

from tests.stand_ins.server import Answer, ApiError, Request

JOBS = "/v1b3/projects/my-project/locations/europe-west4/jobs"


@dataclass
class Dataflow:
    """Takes jobs and runs them.

    Attributes:
        jobs: The requests.
        runs: Whether jobs are run, or only reported as done.
    """

    jobs: list[dataflow.Job] = field(default_factory=list)
    runs: bool = True

    def name(self, request: Request) -> str:
        if request.verb == "POST" and request.path == JOBS:
            return "CreateJob"
        if request.verb == "GET" and request.path.startswith(JOBS):
            return "ListJobMessages" if request.path.endswith("/messages") else "GetJob"
        raise ApiError(404, f"{request.verb} {request.path} is not Dataflow's")

    def answer(self, request: Request) -> Answer:
        name = self.name(request)
        if name == "ListJobMessages":
            return Answer(b"{}")
        if name == "CreateJob":
            content = json.loads(request.body)
            job = dataflow.Job.pb()()
            # Fields that the service does not know are refused here too.
            json_format.ParseDict(content, job)
            self.jobs.append(dataflow.Job.wrap(job))
            if self.runs:
                self._run(self.jobs[-1])
        number = len(self.jobs) - 1 if name == "CreateJob" else int(request.path.rpartition("-")[2])
        state = "JOB_STATE_PENDING" if name == "CreateJob" else "JOB_STATE_DONE"
        job = {"id": f"job-{number}", "projectId": "my-project", "location": "europe-west4", "currentState": state}
        return Answer(json.dumps(job).encode())

    def _run(self, job: dataflow.Job) -> None:
        options: Any = json_format.MessageToDict(dataflow.Environment.pb(job.environment))["sdkPipelineOptions"][
            "options"
        ]
        with fsspec.open(options["pipelineUrl"].replace("https://storage.googleapis.com/", "gs://"), "rb") as file:
            pipeline = beam_runner_api_pb2.Pipeline.FromString(file.read())
        for one in pipeline.components.environments.values():
            # A worker writes staged files to a folder of Dataflow (semi_persist_dir of sdks/python/container/boot.go),
            # where only root may, and runs as its image's user: pangeo-data/pangeo-docker-images, pull request 360.
            if one.dependencies:
                raise ApiError(400, f"The worker cannot write {len(one.dependencies)} staged files: permission denied")
            one.urn = python_urns.EMBEDDED_PYTHON
            one.ClearField("payload")
        fn_runner.FnApiRunner().run_via_runner_api(pipeline, PipelineOptions([])).wait_until_finish()
