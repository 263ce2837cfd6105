"""The bill of materials of an image, as CycloneDX."""

import json
import sys
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from seqline.errors import UserError
from seqline.images.build import Engine
from seqline.images.sbom import write_sbom

# In place of `docker run`: this Python is used as the image's, and the output of dpkg-query is fixed.
DOCKER = """#!{python}
import os, sys
if sys.argv[1] != "run":
    sys.exit(0)
words = sys.argv[2:]
program = next(word[13:] for word in words if word.startswith("--entrypoint="))
if program == "python3":
    os.execv({python!r}, [{python!r}, "-c", words[-1]])
print({debian!r}, end="")
"""
DEBIAN = "libc6\t2.36-9\tamd64\tglibc\nbash\t5.2\tamd64\tbash\n"


def engine(folder: Path, debian: str = DEBIAN) -> Engine:
    path = folder / "docker"
    path.write_text(DOCKER.format(python=sys.executable, debian=debian))
    path.chmod(0o755)
    return Engine((str(path),))


def test_it_lists_the_packages_of_the_image_in_the_standards_format(tmp_path: Path) -> None:
    write_sbom(tmp_path / "serve.cdx.json", "repo/seqline/serve:1", engine(tmp_path))
    text = (tmp_path / "serve.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    purls = {one["purl"] for one in bill["components"]}
    assert {"pkg:deb/debian/libc6@2.36-9?arch=amd64&upstream=glibc", "pkg:deb/debian/bash@5.2?arch=amd64"} <= purls
    assert any(purl.startswith("pkg:pypi/pytest@") for purl in purls)
    pytest_ = next(one for one in bill["components"] if one["name"] == "pytest")
    assert "MIT" in json.dumps(pytest_["licenses"])
    assert bill["metadata"]["component"]["name"] == "repo/seqline/serve"


def test_the_same_content_has_the_same_number_and_other_content_another(tmp_path: Path) -> None:
    def number(debian: str) -> str:
        write_sbom(tmp_path / "a.json", "serve:1", engine(tmp_path, debian))
        return str(json.loads((tmp_path / "a.json").read_text())["serialNumber"])

    assert number(DEBIAN) == number(DEBIAN) != number("")


def test_an_image_that_fails_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "docker"
    path.write_text('#!/bin/sh\n[ "$1" != run ] || { echo "no such file" >&2; exit 127; }\n')
    path.chmod(0o755)
    with pytest.raises(UserError, match=r"`python3` fails in serve:1: no such file"):
        write_sbom(tmp_path / "a.json", "serve:1", Engine((str(path),)))
    assert not (tmp_path / "a.json").exists()
