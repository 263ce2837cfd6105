"""A compiled pipeline whose stages run through an engine, in the image that the spec names."""

import json
import os
import sys
from pathlib import Path

import pytest
from kfp import compiler, dsl

from seqline.images.build import Engine
from seqline.targets.containers import run_in_containers, serve_in_container
from seqline.targets.laptop import Home

# In place of docker, without an image: logs the request, then runs the entry point with its arguments.
DOCKER = """#!{python}
import itertools, json, os, sys
if sys.argv[1] == "run":
    options = list(itertools.takewhile(lambda word: word.startswith("--"), sys.argv[2:]))
    image, *arguments = sys.argv[2 + len(options):]
    with open({log!r}, "a") as log:
        log.write(json.dumps({{"image": image, "options": options}}) + "\\n")
    for name, value in (word[6:].split("=", 1) for word in options if word.startswith("--env=")):
        os.environ[name] = value
    program = next(word[13:] for word in options if word.startswith("--entrypoint="))
    os.execvp(program, [program, *arguments])
"""

SERVER = """
import os, json
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == os.environ["AIP_HEALTH_ROUTE"] else 404); self.end_headers()
    def do_POST(self):
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["instances"][0]
        self.send_response(200); self.end_headers()
        self.wfile.write(json.dumps({"predictions": [{"text": text.upper(), "score": 0}]}).encode())
HTTPServer(("127.0.0.1", int(os.environ["AIP_HTTP_PORT"])), Handler).serve_forever()
"""


@dsl.component(base_image="seqline/first:9", install_kfp_package=False)
def write(text: str, page: dsl.Output[dsl.Artifact]) -> str:
    from pathlib import Path

    Path(page.path).write_text(text)
    return text[::-1]


@dsl.component(base_image="seqline/second:9", install_kfp_package=False)
def check(text: str, page: dsl.Input[dsl.Artifact]) -> None:
    from pathlib import Path

    assert Path(page.path).read_text() == text[::-1]
    if text == "dab":
        raise ValueError("a bad text")


@dsl.pipeline(name="two-images")
def two_images(text: str) -> None:
    written = write(text=text)
    check(text=written.outputs["Output"], page=written.outputs["page"]).set_env_variable("COLOUR", "green")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "requests.jsonl"


@pytest.fixture
def engine(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    path = tmp_path / "bin" / "docker"
    path.parent.mkdir()
    path.write_text(DOCKER.format(python=sys.executable, log=str(log)))
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return Engine((str(path),))


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "two.yaml"
    compiler.Compiler().compile(two_images, str(path))
    return path


def test_every_stage_runs_in_the_image_that_the_spec_names(
    spec: Path, engine: Engine, log: Path, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    result = run_in_containers(spec, {"text": "abc"}, home, engine)
    assert [(task.name, task.state) for task in result.tasks] == [("write", "succeeded"), ("check", "succeeded")]
    requests = [json.loads(line) for line in log.read_text().splitlines()]
    assert [one["image"] for one in requests] == ["seqline/first:9", "seqline/second:9"]
    assert all(f"--volume={home.path}:{home.path}" in one["options"] for one in requests)
    assert "--env=COLOUR=green" in requests[1]["options"]


@pytest.mark.parametrize(("user", "chosen"), [(0, set()), (1234, {"--user=1234:56"})])
def test_a_stage_runs_as_the_user_and_as_the_image_s_own_user_for_root(
    spec: Path, engine: Engine, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, chosen: set[str]
) -> None:
    monkeypatch.setattr("os.getuid", lambda: user)
    monkeypatch.setattr("os.getgid", lambda: 56)
    run_in_containers(spec, {"text": "abc"}, Home(tmp_path / "home"), engine)
    users = {
        option for line in log.read_text().splitlines() for option in json.loads(line)["options"] if "--user" in option
    }
    assert users == chosen


def test_the_users_umask_comes_back(spec: Path, engine: Engine, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        run_in_containers(spec, {"text": "abc"}, Home(tmp_path / "home"), engine)
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


def test_a_stage_that_fails_in_its_image_fails_the_run_with_its_message(
    spec: Path, engine: Engine, tmp_path: Path
) -> None:
    result = run_in_containers(spec, {"text": "bad"}, Home(tmp_path / "home"), engine)
    assert [task.state for task in result.tasks] == ["succeeded", "failed"]
    assert "a bad text" in result.error


def test_the_serving_image_gets_a_request_by_the_routes_of_vertex_and_is_stopped(
    engine: Engine, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "inside" / "seqline" / "serving"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(SERVER)
    monkeypatch.setenv("PYTHONPATH", str(package.parent.parent))
    monkeypatch.chdir(package.parent.parent)
    assert serve_in_container(tmp_path, engine, "seqline/serve:9", "an hour", seconds=20) == "AN HOUR"
    options = json.loads(log.read_text())["options"]
    assert f"--env=AIP_STORAGE_URI={tmp_path}" in options
