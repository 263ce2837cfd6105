"""S3's real protocol on loopback: data, folders, and where settings come from."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from seqline.errors import UserError
from seqline.inputs import kfp_launcher
from seqline.inputs.files import describe, describe_folder, find_files
from seqline.inputs.fingerprint import describe_all, fingerprint_of, require_unchanged
from seqline.inputs.s3 import arguments_of
from seqline.inputs.storage import digest_of, fsspec, list_files, local_copy, open_folder
from tests.stand_ins.server import Answer, ApiError, Faults, Request, serving

ROOT = Path(__file__).parents[3]
POD = {"KFP_POD_NAME": "train-1", "NAMESPACE": "team"}


def put(bucket: Any, key: str, content: bytes) -> None:
    bucket.client.put_object(Bucket=bucket.name, Key=key, Body=content)


@pytest.mark.parametrize("scheme", ["s3", "minio"])
def test_files_are_found_and_described_by_what_the_bucket_says(s3_bucket: Any, scheme: str) -> None:
    put(s3_bucket, "in/a.tsv", b"one\teins\n")
    put(s3_bucket, "in/b.tsv", b"two\tzwei\n")
    put(s3_bucket, "in/deeper/c.tsv", b"x")
    root = f"{scheme}://{s3_bucket.name}/in"
    assert find_files(f"{root}/*.tsv") == [f"{root}/a.tsv", f"{root}/b.tsv"]
    assert find_files(f"{root}/a.tsv,{root}/b.tsv") == [f"{root}/a.tsv", f"{root}/b.tsv"]
    found = describe(f"{root}/a.tsv")
    assert (found.size, found.checksum[:5]) == (9, "etag:")
    assert '"' not in found.checksum
    assert [name for name, _ in describe_folder(root, "warm_start")] == ["a.tsv", "b.tsv", "deeper/c.tsv"]
    with fsspec.open(f"{root}/a.tsv", "rb") as file:
        assert file.read() == b"one\teins\n"


def test_other_content_has_another_fingerprint_also_if_it_is_as_long(s3_bucket: Any) -> None:
    address = f"s3://{s3_bucket.name}/pairs.tsv"
    put(s3_bucket, "pairs.tsv", b"one\teins\n")
    before = fingerprint_of(describe_all(address))
    put(s3_bucket, "pairs.tsv", b"one\teins\n")
    assert fingerprint_of(describe_all(address)) == before
    require_unchanged(before, address)
    put(s3_bucket, "pairs.tsv", b"two\tzwei\n")
    assert fingerprint_of(describe_all(address)) != before
    with pytest.raises(UserError, match="the input files changed"):
        require_unchanged(before, address)


def test_an_object_uploaded_in_parts_has_a_checksum(s3_bucket: Any) -> None:
    upload = s3_bucket.client.create_multipart_upload(Bucket=s3_bucket.name, Key="big.tsv")["UploadId"]
    target = {"Bucket": s3_bucket.name, "Key": "big.tsv", "UploadId": upload}
    parts = [
        {"PartNumber": number, "ETag": s3_bucket.client.upload_part(**target, PartNumber=number, Body=body)["ETag"]}
        for number, body in ((1, b"x" * (5 << 20)), (2, b"end"))
    ]
    s3_bucket.client.complete_multipart_upload(**target, MultipartUpload={"Parts": parts})
    found = describe(f"s3://{s3_bucket.name}/big.tsv")
    assert (found.size, found.checksum[-2:]) == ((5 << 20) + 3, "-2")


def test_what_is_missing_is_one_message(s3_bucket: Any) -> None:
    root = f"s3://{s3_bucket.name}"
    put(s3_bucket, "folder/a.tsv", b"x")
    for data, message in (
        (f"{root}/none.tsv", "data: no such file: "),
        (f"{root}/none-*.tsv", "matches no file"),
        (f"{root}/folder", "is a folder"),
        ("s3://no-such-bucket-anywhere/*.tsv", "no-such-bucket-anywhere"),
    ):
        with pytest.raises(UserError, match=message):
            find_files(data)


def test_a_server_that_does_not_answer_is_one_message(s3_bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from seqline.inputs.s3 import S3

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    S3.clear_instance_cache()
    with pytest.raises(UserError, match=r"data: s3://b/a.tsv cannot be listed: .*127\.0\.0\.1"):
        find_files("s3://b/a.tsv")
    files, root = open_folder("s3://b/folder")
    with pytest.raises(OSError, match=r"127\.0\.0\.1"):
        files.find(root)


def test_a_folder_is_copied_whole(s3_bucket: Any) -> None:
    put(s3_bucket, "model/saved_model.pb", b"graph")
    put(s3_bucket, "model/variables/data", b"weights")
    put(s3_bucket, "model-2/other", b"x")
    address = f"s3://{s3_bucket.name}/model"
    files, root = open_folder(address)
    digest = digest_of(list_files(files, root), root)
    with local_copy(address, digest) as folder:
        copied = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert copied == {"saved_model.pb": b"graph", "variables/data": b"weights"}
    assert not folder.exists()
    put(s3_bucket, "model/variables/data", b"WEIGHTS")
    with pytest.raises(UserError, match="its files changed in the meantime: s3://"), local_copy(address, digest):
        pass


def test_a_copy_of_nothing_of_an_upward_name_or_of_changing_files_is_refused(
    s3_bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="its files are missing"), local_copy(f"s3://{s3_bucket.name}/none"):
        pass
    put(s3_bucket, "bad/../../evil", b"x")
    with pytest.raises(UserError, match="leads out of its folder"), local_copy(f"s3://{s3_bucket.name}/bad"):
        pass
    put(s3_bucket, "model/a", b"x")
    files, _ = open_folder(f"s3://{s3_bucket.name}")
    get = files.get

    def changing(*arguments: Any) -> None:
        get(*arguments)
        put(s3_bucket, "model/a", b"y")

    monkeypatch.setattr(files, "get", changing)
    with pytest.raises(UserError, match="changed in the meantime"), local_copy(f"s3://{s3_bucket.name}/model"):
        pass


def test_settings_come_from_the_environment() -> None:
    own = {"AWS_ENDPOINT_URL": "http://minio:9000", "AWS_ACCESS_KEY_ID": "a", "AWS_REGION": "eu-west-3"}
    for protocol in ("s3", "minio"):
        found = arguments_of(protocol, own)
        assert (found["endpoint_url"], found["client_kwargs"]) == ("http://minio:9000", {"region_name": "eu-west-3"})
        assert "key" not in found  # botocore reads it
        # In a pod too: the launcher's configuration is not asked.
        assert arguments_of(protocol, {**own, **POD}) == found
    assert "endpoint_url" not in arguments_of("s3", {"AWS_ACCESS_KEY_ID": "a"})
    with pytest.raises(UserError, match="minio:// needs the address of its server: set AWS_ENDPOINT_URL"):
        arguments_of("minio", {"AWS_ACCESS_KEY_ID": "a"})


class Cluster:
    """The API server of Kubernetes: config maps and secrets of a namespace."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, str]] = {}
        self.status = 0

    def name(self, request: Request) -> str:
        return "read"

    def answer(self, request: Request) -> Answer:
        if self.status:
            raise ApiError(self.status, "no")
        name = request.path.removeprefix("/api/v1/namespaces/team/")
        if name not in self.objects:
            raise ApiError(404, "not found")
        return Answer(json.dumps({"metadata": {"name": name}, "data": self.objects[name]}).encode())


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    from kubernetes import client, config

    made = Cluster()
    with serving(made, Faults()) as address:

        def load() -> None:
            settings = client.Configuration()
            settings.host = address
            client.Configuration.set_default(settings)

        monkeypatch.setattr(config, "load_incluster_config", load)
        monkeypatch.setattr(kfp_launcher, "DEFAULT_HOSTS", ("127.0.0.1",))
        yield made
    client.Configuration.set_default(None)


def encoded(**values: str) -> dict[str, str]:
    return {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}


def providers(**of: Any) -> dict[str, str]:
    return {"providers": json.dumps(of)}


REFERENCE = {"secretRef": {"secretName": "mine", "accessKeyKey": "id", "secretKeyKey": "word"}}


def test_in_a_pod_they_come_from_the_launchers_configuration(cluster: Cluster) -> None:
    default = {"endpoint": "minio.team:9000", "region": "here", "disableSSL": True, "credentials": REFERENCE}
    cluster.objects = {
        "configmaps/kfp-launcher": providers(s3={"default": default}),
        "secrets/mine": encoded(id="key", word="hidden"),
    }
    found = arguments_of("s3", POD)
    assert (found["endpoint_url"], found["key"], found["secret"]) == ("http://minio.team:9000", "key", "hidden")
    assert found["client_kwargs"] == {"region_name": "here"}
    assert found["config_kwargs"]["s3"] == {"addressing_style": "path"}
    # Variables have precedence, each by itself.
    mixed = arguments_of("s3", {**POD, "AWS_ACCESS_KEY_ID": "own"})
    assert "key" not in mixed
    assert mixed["endpoint_url"] == "http://minio.team:9000"
    assert arguments_of("s3", {**POD, "AWS_ENDPOINT_URL": "https://other"})["endpoint_url"] == "https://other"


@pytest.mark.parametrize(
    ("default", "expected"),
    [
        ({"endpoint": "s3.amazonaws.com", "credentials": {"fromEnv": True}}, None),
        ({"endpoint": "https://s3.amazonaws.com", "credentials": {"fromEnv": True}}, None),
        ({"endpoint": "store.example.org", "credentials": {"fromEnv": True}}, "https://store.example.org"),
        ({"endpoint": "http://store.example.org", "credentials": {"fromEnv": True}}, "http://store.example.org"),
    ],
)
def test_an_endpoint_is_read_as_the_launcher_reads_it(
    cluster: Cluster, default: Mapping[str, Any], expected: str | None
) -> None:
    cluster.objects = {"configmaps/kfp-launcher": providers(s3={"default": default})}
    found = arguments_of("s3", POD)
    assert found.get("endpoint_url") == expected
    assert "key" not in found


def test_without_a_provider_minio_is_the_server_that_comes_with_kubeflow(cluster: Cluster) -> None:
    cluster.objects = {"secrets/mlpipeline-minio-artifact": encoded(accesskey="minio", secretkey="minio123")}
    found = arguments_of("minio", POD)
    assert (found["endpoint_url"], found["key"], found["secret"]) == ("http://127.0.0.1:9000", "minio", "minio123")
    service = {"SEAWEEDFS_SERVICE_HOST": "10.0.0.7"}
    assert arguments_of("minio", {**POD, **service})["endpoint_url"] == "http://10.0.0.7:9000"
    assert "endpoint_url" not in arguments_of("s3", POD)  # Amazon's, with credentials of the environment


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ({}, "there is no secret mlpipeline-minio-artifact"),
        ({"secrets/mlpipeline-minio-artifact": encoded(accesskey="a")}, "has no key 'secretkey'"),
        ({"configmaps/kfp-launcher": {"providers": "[1"}}, "providers is not a YAML object"),
        ({"configmaps/kfp-launcher": {"providers": "[1]"}}, "providers is not a YAML object"),
        (
            {"configmaps/kfp-launcher": providers(minio={"default": {"endpoint": "e"}})},
            "needs fromEnv: true, or secretRef",
        ),
    ],
)
def test_a_launchers_configuration_that_is_wrong_is_named(
    cluster: Cluster, objects: dict[str, dict[str, str]], message: str
) -> None:
    cluster.objects = objects
    with pytest.raises(UserError, match=message.replace("[", r"\[")):
        arguments_of("minio", POD)


def test_a_service_account_that_may_not_read_it_is_named(cluster: Cluster) -> None:
    cluster.status = 403
    with pytest.raises(UserError, match=r"the config map kfp-launcher cannot be read \(403 .*set AWS_ENDPOINT_URL"):
        arguments_of("s3", POD)


def test_every_module_opens_addresses_with_our_protocols() -> None:
    found = [
        str(path.relative_to(ROOT))
        for folder in ("components", "seqline")
        for path in (ROOT / folder).rglob("*.py")
        if any(line.split()[:2] in (["import", "fsspec"], ["from", "fsspec.core"]) for line in path.open())
    ]
    assert sorted(set(found)) == ["seqline/inputs/storage.py"]


def test_another_process_knows_them_too(s3_bucket: Any) -> None:
    """Beam's workers unpickle our functions, whose modules import the protocols."""
    put(s3_bucket, "a.txt", b"text")
    program = (
        "import sys; from seqline.inputs.storage import fsspec; print(fsspec.open(sys.argv[1], 'r').open().read())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, f"minio://{s3_bucket.name}/a.txt"], capture_output=True, text=True
    )
    assert done.stdout == "text\n", done.stderr
