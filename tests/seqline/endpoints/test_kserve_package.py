"""KServe's own package: its clients with our server, its models with our objects; and the real server behind KServe."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.environments import environment
from seqline.errors import UserError
from tests import light_models
from tests.seqline.endpoints.conftest import KServe
from tests.servers import StandInEngine, free_port, in_process, wait_ready

pytestmark = pytest.mark.e2e(seconds=30)

# It needs protobuf below 7, so it is not installed beside Seqline.
PACKAGES = ["kserve==0.21.0"]


@pytest.fixture(scope="module")
def python() -> Path:
    """The Python of an environment with KServe's package."""
    try:
        return environment("kserve", PACKAGES)
    except UserError as error:
        # Where packages can be installed, what was never run would look as if it had passed.
        (pytest.fail if "REQUIRE_KSERVE" in os.environ else pytest.skip)(str(error))


def run(python: Path, task: dict[str, Any]) -> dict[str, Any]:
    script = Path(__file__).with_name("kserve_client.py")
    variables = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "KUBECONFIG")}
    done = subprocess.run(
        [str(python), str(script)], input=json.dumps(task), env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_kserves_clients_and_models_accept_our_server_and_objects(python: Path, kserve_in: Callable[..., Any]) -> None:
    objects = []
    for mode in ("standard", "serverless"):
        kserve: KServe = kserve_in(mode)
        hosting = kserve.back_end(
            image="registry/serve@sha256:1",
            mode=mode,
            cpu="2",
            memory="4Gi",
            gpus=1,
            max_replicas=3,
            scale_metric="cpu" if mode == "standard" else "rps",
            scale_target=50,
            service_account="models",
            timeout=30,
        )
        number = hosting.register(kserve.model(mode), mode, {})
        hosting.add(number)
        objects.append(kserve.cluster.objects.get("inferenceservices", "ns", "demo"))
        kserve.cluster.objects.stored.clear()
    spec = [{key: value for key, value in made.items() if key != "status"} for made in objects]
    engine = StandInEngine("A:", ("serving_default", "parameters"))
    engine.metadata["json"]["parameters"] = {"inputs": {"temperature": {}, "sampling": {}}}
    with in_process({1: engine}) as server:
        task = {"objects": spec, "name": "m", "url": server.url, "grpc": f"127.0.0.1:{server.grpc_port}"}
        found = run(python, task)
    assert found["problems"] == []
    ready = {"live": True, "ready": True, "model": True}
    outputs = {"text": ["A:grüße", "A:b"], "score": [0.0, 0.0], "cut": [False, False]}
    assert {key: found["rest"][key] for key in ready} == ready
    assert found["rest"]["outputs"] == outputs
    assert "binary tensor data is not supported over REST" in found["rest"]["binary"]
    assert "there is no model 'other'; this server has 'm', '404" in found["rest"]["unknown"]
    assert found["grpc"] == {
        **ready,
        "raw": outputs,
        "typed": outputs,
        "unknown": "NOT_FOUND there is no model 'other'; this server has 'm'",
    }


def test_the_real_server_serves_the_model_that_the_storage_initializer_wrote(
    serverless: KServe, tmp_path: Path
) -> None:
    folders = {f"s3://bucket/{name}": serverless.model(name, function) for name, function in FUNCTIONS.items()}

    def start(container: dict[str, Any], arguments: list[str]) -> tuple[str, Callable[[], None]]:
        (address,) = [one["value"] for one in container["env"] if one["name"] == "STORAGE_URI"]
        given = [str(folders[address]) if one == "/mnt/models" else one for one in arguments]
        port, log = free_port(), tmp_path / f"server-{len(serverless.cluster.controller.ends)}.log"
        # On every address of the pod; here of this machine only.
        command = [*given[: given.index("--host")], "--host", "127.0.0.1", "--port", str(port)]
        with log.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "seqline.serving", *command],
                env={**os.environ, **light_models.environment()},
                stderr=file,
            )
        wait_ready(f"http://127.0.0.1:{port}{container['readinessProbe']['httpGet']['path']}", process, log)

        def end() -> None:
            process.terminate()
            process.wait()

        return f"http://127.0.0.1:{port}", end

    serverless.cluster.controller.start = start
    serverless.deploy(serverless.model("one"))
    assert serverless.deploy(serverless.model("two", "lower")).version == 2
    assert serverless.back_end().predict(["Hello"])[0]["text"] == "hello"


FUNCTIONS = {"one": "upper", "two": "lower"}
