"""terraform/: HCL that the provider takes, with the roles of the documentation and of `seqline doctor`."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml

from seqline.targets.vertex.roles import AGENTS, Grant, grants

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "terraform").glob("*.tf"))
# Arguments of every resource: https://developer.hashicorp.com/terraform/language/meta-arguments
META = {"count", "for_each", "depends_on", "provider", "lifecycle", "dynamic"}
NEEDS = {"var.dataflow": "dataflow", "var.triggers": "triggers", "var.webhook": "webhook"}
NEEDS |= {"var.monitoring": "monitoring", "var.cloud_monitoring": "cloud-monitoring"}
NEEDS |= {"var.log_dataset != null && var.monitoring": "monitoring"}
NEEDS |= {"length(var.bigquery_datasets) > 0": "bigquery", "var.log_dataset != null": "log"}
NEEDS |= {"var.encryption_key != null": "key", "var.encryption_key != null && var.dataflow": "key dataflow"}
CONDITION = r"(?:var\.\w+|length\(var\.\w+\) > 0)(?: != null)?(?: && var\.\w+)?"
LOCALS = {"project": "project_roles", "bucket": "bucket_roles", "data": "data_roles", "images": "images_roles"}
LOCALS |= {"templates": "templates_roles", "dataset": "dataset_roles", "secret": "secret_roles"}
LOCALS |= {"log": "log_roles", "key": "key_roles"}
LOCALS |= {"runs": "runs_roles", "dataflow": "dataflow_roles", "serving": "serving_roles", "trigger": "trigger_roles"}


def read(name: str) -> Any:
    return yaml.safe_load((Path(__file__).parent / name).read_text(encoding="utf-8"))


@cache
def parsed() -> dict[str, list[Any]]:
    """All blocks of all files, by kind."""
    found: dict[str, list[Any]] = {}
    for file in FILES:
        with file.open(encoding="utf-8") as opened:
            for kind, blocks in hcl2.load(opened).items():
                found.setdefault(kind, []).extend(blocks)
    return found


def bare(text: Any) -> str:
    return str(text).strip('"')


def blocks_of(kind: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for block in parsed()[kind]:
        for resource, named in block.items():
            for name, body in named.items():
                yield bare(resource), bare(name), body


def faults(body: dict[str, Any], known: dict[str, Any], where: str, blocks: dict[str, Any]) -> Iterator[str]:
    """Arguments that the provider does not document, and required ones that are missing."""
    own = {name: value for name, value in body.items() if not name.startswith("__")}
    given = set(own) - META
    for dynamic in own.get("dynamic", []):
        given |= {bare(name) for name in dynamic}
        for name, one in dynamic.items():
            yield from nested(bare(name), one["content"], where, blocks)
    allowed = {*known["required"], *known["optional"]}
    yield from (f"{where}: {name} is unknown" for name in sorted(given - allowed))
    yield from (f"{where}: {name} is missing" for name in sorted(set(known["required"]) - given))
    for name, value in own.items():
        if name in META or not (isinstance(value, list) and value and all(isinstance(one, dict) for one in value)):
            continue
        yield from nested(name, value, where, blocks)


def nested(name: str, values: Any, where: str, blocks: dict[str, Any]) -> Iterator[str]:
    for value in values if isinstance(values, list) else [values]:
        if name not in blocks:
            yield f"{where}.{name}: a block whose arguments are not listed"
        else:
            yield from faults(value, blocks[name], f"{where}.{name}", blocks)


def test_every_argument_is_one_that_the_provider_documents() -> None:
    known = read("arguments.yaml")
    found = [("", *one) for one in blocks_of("resource")] + [("data.", *one) for one in blocks_of("data")]
    assert len(found) > 15
    assert {prefix + resource for prefix, resource, _, _ in found} == set(known)
    problems = [
        fault
        for prefix, resource, name, body in found
        for fault in faults(
            body, known[prefix + resource], f"{resource}.{name}", known[prefix + resource].get("blocks", {})
        )
    ]
    assert problems == []


BUCKET = 'resource "google_storage_bucket" "b" {\n name = "x"\n'


@pytest.mark.parametrize(
    ("rest", "fault"),
    [
        (' location = "eu"\n vesioning {\n enabled = true\n }\n}\n', "vesioning"),
        ("}\n", "location is missing"),
        (' location = "eu"\n versioning {\n on = true\n }\n}\n', "on is unknown"),
        (
            ' location = "eu"\n dynamic "encryption" {\n for_each = []\n content {\n key = 1\n }\n }\n}\n',
            "key is unknown",
        ),
    ],
)
def test_a_wrong_argument_is_found(rest: str, fault: str) -> None:
    (block,) = hcl2.loads(BUCKET + rest)["resource"]
    ((resource, named),) = block.items()
    ((name, body),) = named.items()
    known = read("arguments.yaml")[bare(resource)]
    assert fault in " ".join(faults(body, known, bare(name), known["blocks"]))


def test_every_reference_leads_to_something() -> None:
    text = "\n".join(file.read_text(encoding="utf-8") for file in FILES)
    text = re.sub(r"(?m)#.*$", "", text)
    variables = {bare(name) for block in parsed()["variable"] for name in block}
    assert set(re.findall(r"\bvar\.(\w+)", text)) == variables
    known = {name for block in parsed()["locals"] for name in block if not name.startswith("__")}
    assert set(re.findall(r"\blocal\.(\w+)", text)) == known
    resources = {f"{resource}.{name}" for resource, name, _ in blocks_of("resource")}
    assert set(re.findall(r"(?<!data\.)\b(google_\w+\.\w+)", text)) <= resources
    data = {f"{resource}.{name}" for resource, name, _ in blocks_of("data")}
    assert set(re.findall(r"\bdata\.(google_\w+\.\w+)", text)) <= data


def granted(on: str, name: str) -> Iterator[tuple[str, str, str, str]]:
    """The roles that terraform/ grants on one kind of resource: identity, kind, role, the condition."""
    (value,) = (block[name] for block in parsed()["locals"] if name in block)
    for identity, roles in value.items():
        if isinstance(roles, list):
            yield from ((bare(identity), on, bare(role), "") for role in roles)
            continue
        text = str(roles)
        for condition, listed in re.findall(rf"({CONDITION}) \? \[(.*?)\]", text, re.DOTALL):
            for role in re.findall(r"roles/[\w.]+", listed):
                yield bare(identity), on, role, NEEDS[condition]
        always = re.sub(rf"{CONDITION} \? \[.*?\] : \[\]", "", text, flags=re.DOTALL)
        yield from ((bare(identity), on, role, "") for role in re.findall(r"roles/[\w.]+", always))


def key(grant: Grant) -> tuple[str, str, str, str]:
    return grant.identity, grant.resource, grant.role, grant.needs


def test_terraform_grants_the_roles_that_doctor_asks_for_and_no_others() -> None:
    found = [one for on, name in LOCALS.items() for one in granted(on, name)]
    assert sorted(found) == sorted(map(key, grants()))


def test_a_role_that_two_parts_need_is_granted_once() -> None:
    # Terraform refuses a map with a key twice: the roles of one identity on one resource are its keys.
    for on, name in LOCALS.items():
        (value,) = (block[name] for block in parsed()["locals"] if name in block)
        found = [(identity, role) for identity, _, role, _ in granted(on, name)]
        for identity, role in found:
            if found.count((identity, role)) > 1:
                assert "distinct(concat(" in str(value[identity]), f"{name}: {identity} {role}"


def test_the_documentation_lists_each_role_with_what_fails_without_it() -> None:
    page = (ROOT / "docs" / "vertex.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| ([\w-]+) \| `(roles/[\w.]+)` \| ([\w ]+?)(?: \(([\w -]+)\))? \| (.+) \|$", page)
    names = {
        "account runs": "runs",
        "account dataflow": "dataflow",
        "account serving": "serving",
        "account trigger": "trigger",
        "log dataset": "log",
    }
    found = [(identity, names.get(on, on), role, needs, fails) for identity, role, on, needs, fails in rows]
    assert sorted(found) == sorted((*key(grant), grant.fails) for grant in grants())


def test_every_permission_is_one_of_its_role() -> None:
    known = read("role_permissions.yaml")
    wrong = [(grant.role, one) for grant in grants() for one in grant.permissions if one not in known[grant.role]]
    assert wrong == []


def test_every_identity_has_an_account() -> None:
    (accounts,) = (block["accounts"] for block in parsed()["locals"] if "accounts" in block)
    assert {bare(name) for name in accounts} == {grant.identity for grant in grants()} - {*AGENTS}


def test_every_service_agent_is_a_member_and_is_granted_the_key_before_what_it_encrypts() -> None:
    (agents,) = (block["agents"] for block in parsed()["locals"] if "agents" in block)
    # The storage agent's address has a data source.
    assert {bare(name): bare(domain) for name, domain in agents.items() if not name.startswith("__")} == {
        name: domain for name, (_, domain) in AGENTS.items() if name != "storage-agent"
    }
    encrypted = [
        (resource, name, body)
        for resource, name, body in blocks_of("resource")
        if "encryption_key" in str(body) and resource != "google_kms_crypto_key_iam_member"
    ]
    assert len(encrypted) == 4
    for _, name, body in encrypted:
        assert "google_kms_crypto_key_iam_member.agents" in str(body["depends_on"]), name


def test_apis_of_what_is_optional_are_enabled_with_it() -> None:
    (value,) = (str(block["apis"]) for block in parsed()["locals"] if "apis" in block)
    for condition, service in (
        ("var.dataflow", "dataflow"),
        ("var.triggers", "eventarc"),
        ("var.webhook", "secretmanager"),
        ("var.encryption_key != null", "cloudkms"),
        (r"var.monitoring \|\| var.log_dataset != null", "bigquery"),
    ):
        assert re.search(rf"{condition} \? \[[^\]]*{service}\.googleapis\.com", value), service
