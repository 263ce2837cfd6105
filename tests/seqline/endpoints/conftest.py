"""A cluster with KServe, and models for it."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from seqline.artifacts.deployment import Deployment
from seqline.components.deploy.stage import Options, deploy
from seqline.endpoints.kserve import back_end as module
from seqline.endpoints.kserve import cluster as cluster_module
from seqline.endpoints.kserve import lock as lock_module
from seqline.endpoints.kserve import requests as requests_module
from seqline.endpoints.kserve.back_end import KServeBackEnd
from seqline.endpoints.kserve.hosting import Hosting
from tests import light_models
from tests.components.deploy.test_deploy import decide, live_on
from tests.stand_ins.kserve import KServeStandIn

ENDPOINT = "kserve://ns/demo"
IMAGE = "registry.example/models@sha256:1"
MODES = ("standard", "serverless")


@dataclass
class KServe:
    """An endpoint on the cluster.

    Attributes:
        cluster: The stand-in.
        folder: A folder of the test.
        mode: The deployment mode.
    """

    cluster: KServeStandIn
    folder: Path
    mode: str

    def model(self, name: str, function: str = "upper") -> Path:
        """An exported model, which is at s3://bucket/NAME too."""
        path = self.folder / "models" / name
        if not path.exists():
            light_models.save(path, function)
        self.cluster.models[f"s3://bucket/{name}"] = str.upper if function == "upper" else str.lower
        return path

    def options(self, **values: Any) -> Options:
        return Options(**{"image": IMAGE, "deployment_mode": self.mode, "gateway": self.cluster.url, **values})

    def deploy(self, model: Path, **values: Any) -> Deployment:
        decision, judged = self.folder / "decision", live_on(self.back_end())
        shutil.rmtree(decision, ignore_errors=True)
        decide(decision, model, judged=judged)
        return deploy(model, decision, self.folder / "out", ENDPOINT, options=self.options(**values))

    def back_end(self, seconds: float = 60.0, **hosting: Any) -> KServeBackEnd:
        return KServeBackEnd(ENDPOINT, Hosting(gateway=self.cluster.url, **hosting), seconds)


@pytest.fixture
def kserve_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes an endpoint in a deployment mode."""
    monkeypatch.setattr(module, "address_in_store", lambda model: f"s3://bucket/{model.name}")
    for changed in (cluster_module, requests_module):
        monkeypatch.setattr(changed, "PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr(lock_module, "POLL", 0.0)
    with KServeStandIn.running() as cluster:
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig(tmp_path)))
        yield lambda mode: KServe(cluster, tmp_path, mode)


@pytest.fixture(params=MODES)
def kserve(kserve_in: Any, request: pytest.FixtureRequest) -> KServe:
    """An endpoint in each deployment mode."""
    made: KServe = kserve_in(request.param)
    return made


@pytest.fixture
def serverless(kserve_in: Any) -> KServe:
    """An endpoint in serverless mode."""
    made: KServe = kserve_in("serverless")
    return made


@pytest.fixture
def standard(kserve_in: Any) -> KServe:
    """An endpoint in standard mode."""
    made: KServe = kserve_in("standard")
    return made
