"""Every command of the documentation is read by the parser that it is for, or is marked as needing a cloud."""

import argparse
import importlib
import re
from typing import Any

import pytest
import typer
from typer.main import get_command

from seqline.cli import app, main
from seqline.cli.verbosity import without_flags
from seqline.schema.stage_command import run
from tests.docs.commands import ROOT, Block, blocks

BLOCKS = blocks()
COMMAND = get_command(app)
TARGETS = re.findall(r"(?m)^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"))
# Of the shell and of well-known tools of this machine; what they do is not ours to test.
TOOLS = {
    ".",
    "cat",
    "cd",
    "chmod",
    "cp",
    "curl",
    "echo",
    "export",
    "file",
    "git",
    "grep",
    "gzip",
    "head",
    "hf",
    "pip",
    "pre-commit",
    "python",
    "uv",
}
# They reach a cloud or a cluster whatever their arguments.
CLOUD_TOOLS = {"bq", "docker", "gcloud", "gsutil", "helm", "kubectl", "terraform"}
CLOUD_WORDS = re.compile(r"gs://|s3://|kserve://|^projects/|^(vertex|kubeflow|cloud)$|ENGINE=cloud|pkg\.dev/")
CLOUD_COMMANDS = {"promote", "schedule", "trigger", "upload"}


def needs_a_cloud(words: list[str]) -> bool:
    if words[0] in CLOUD_TOOLS or (seqline(words) and CLOUD_COMMANDS & set(seqline(words)[:1])):
        return True
    return words[0] not in TOOLS and any(CLOUD_WORDS.search(word) for word in words)


def seqline(words: list[str]) -> list[str]:
    """The arguments of a command `seqline`; empty for another command."""
    return words[1:] if words[0] in ("seqline", ".venv/bin/seqline") else []


def module(words: list[str]) -> tuple[str, list[str]]:
    """Module and arguments of `python -m MODULE`; empty for another command."""
    if words[0].rpartition("/")[2] in ("python", "python3") and words[1:2] == ["-m"]:
        return words[2], words[3:]
    return "", []


def read(arguments: list[str]) -> None:
    """Parses a command line as `seqline` does, without calling the command."""
    command: Any = COMMAND
    context, words = None, without_flags(arguments)[1]
    name = "seqline"
    while True:
        context = command.make_context(name, list(words), parent=context)
        if not hasattr(command, "commands"):
            return
        name, command, words = command.resolve_command(context, [*context._protected_args, *context.args])


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_the_commands_of_a_block_are_right(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in block.commands():
        check(block, words, monkeypatch)


def check(block: Block, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    name, arguments = module(words)
    if given := seqline(words):
        try:
            read(given)
        except typer.Exit:
            pass  # --help and --version
        except Exception as error:
            pytest.fail(f"{block}: seqline {' '.join(given)}: {getattr(error, 'message', error)}")
    elif words[0] == "make":
        assert [word for word in words[1:] if "=" not in word and word not in TARGETS] == []
    elif name.startswith("seqline.components."):
        read_stage(name, arguments, monkeypatch)
    elif name:
        assert importlib.util.find_spec(name)  # type: ignore[attr-defined]
    else:
        tool = re.sub(r"^python3.*", "python", words[0].rpartition("/")[2])
        if tool == "python" and words[1:] and not words[1].startswith("-"):
            assert (ROOT / words[1]).is_file() or f'title="{words[1]}"' in block.page.read_text()
        assert tool in TOOLS | CLOUD_TOOLS or block.needs, f"{block}: what is {tool}? Add it to the tools of this test"


def read_stage(name: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Parses the command line of a stage, without calling it."""
    stage = importlib.import_module(f"{name}.stage")
    entry = getattr(stage, {"summary": "summarize"}.get(name.rpartition(".")[2], name.rpartition(".")[2]))

    def parse_args(self: argparse.ArgumentParser, given: list[str]) -> None:
        original(self, given)
        raise SystemExit(0)

    original = argparse.ArgumentParser.parse_args
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
    with pytest.raises(SystemExit) as ended:
        run(entry, arguments)
    assert ended.value.code in (0, None)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_that_needs_a_cloud_says_so(block: Block) -> None:
    needing = [" ".join(words) for words in block.commands() if needs_a_cloud(words)]
    if needing:
        assert block.needs, f'{block}: begin the block with ```console title="Needs Google Cloud": {needing[0]}'


def test_a_wrong_flag_and_a_wrong_command_fail() -> None:
    for line in ("run --dta pairs.tsv", "runs lst", "run --data", "schedule apply --prun"):
        with pytest.raises(Exception, match=r"No such|requires an argument"):
            read(line.split())


# Cheap, and without a service. In this order in one project, as a reader types them.
RUN = ("init", "sample", "explain", "check", "compile", "runs list", "endpoint list", "completion")


def test_the_cheap_commands_run_in_one_project(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path_factory.mktemp("project")
    monkeypatch.chdir(project)
    for name in ("pairs.tsv", "build/sample.tsv"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("source\ttarget\n" + "".join(f"text {n}\tText {n}\n" for n in range(50)))
    wanted: dict[str, list[list[str]]] = {name: [] for name in RUN}
    for block in BLOCKS:
        for words in block.commands():
            given = seqline(words)
            name = next((one for one in RUN if given[: len(one.split())] == one.split()), "")
            # A file of the reader's own, another target, or a TPU.
            others = {"--config", "--target", "--deep", "--pipeline"} & set(given)
            if name and not block.needs and not others and given not in wanted[name]:
                wanted[name].append(given)
    for name, commands in wanted.items():
        for given in commands[:2] if name in ("check", "compile") else commands:
            extra = {"check": ["--offline"], "init": ["--force"]}.get(name, [])
            assert main([*given, *extra]) == 0, " ".join(given)
    assert sum(map(len, wanted.values())) >= 5
