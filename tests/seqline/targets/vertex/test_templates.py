"""Templates in a bucket, for who has no repository: gcsfs against a server that speaks Cloud Storage's protocol."""

from pathlib import Path
from typing import Any

import pytest

from seqline.configuration import Configuration
from seqline.errors import UserError
from seqline.targets.vertex import Vertex
from tests.stand_ins.vertex import PROJECT, VertexStandIn

SPEC = """
components: {comp-one: {executorLabel: exec-one}}
deploymentSpec: {executors: {exec-one: {container: {image: "seqline/one:9", command: [echo]}}}}
pipelineInfo: {name: nothing}
root:
  dag: {tasks: {one: {componentRef: {name: comp-one}, taskInfo: {name: one}}}}
  inputDefinitions: {parameters: {count: {parameterType: NUMBER_INTEGER, defaultValue: 3.0}}}
schemaVersion: 2.1.0
sdkVersion: kfp-2.17.0
"""


@pytest.fixture
def bucket(cloud_storage: Any) -> Any:
    cloud_storage.mkdir("bucket")
    return cloud_storage


def test_an_upload_is_one_file_by_its_content_and_a_tag_moves(
    bucket: Any, vertex: VertexStandIn, tmp_path: Path
) -> None:
    settings = {"project": PROJECT, "location": "us-central1", "pipeline_root": "gs://bucket/root"}
    target = Vertex(
        Configuration.model_validate({"targets": {"vertex": {**settings, "api_endpoint": vertex.url}}}),
        sleep=lambda seconds: None,
    )
    spec = tmp_path / "nothing.yaml"
    spec.write_text(SPEC)
    first = target.upload(spec, ["live"])
    assert target.upload(spec, ["live"]) == first
    assert first.reference == f"gs://bucket/root/templates/nothing/{first.version.replace(':', '-')}.yaml"
    spec.write_text(SPEC + "# other\n")
    second = target.upload(spec, ["live"])
    assert sorted(name.rpartition("/")[2] for name in bucket.ls("bucket/root/templates/nothing")) == sorted(
        ["live", *(one.reference.rpartition("/")[2] for one in (first, second))]
    )
    tag = "gs://bucket/root/templates/nothing/live"
    assert target.templates.resolve(tag) == second.reference
    assert target.parameters(tag).types == {"count": "NUMBER_INTEGER"}
    assert target.run(tag, {"count": 4}).parameters == {"count": 4}
    with pytest.raises(UserError, match="there is no gs://bucket/root/templates/nothing/dead"):
        target.run("gs://bucket/root/templates/nothing/dead", {})
