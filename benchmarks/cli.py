"""The command line against vertex-deployer's and kfp's: help, check and compile of the same pipeline; a cached run.

Everybody is a fresh process in an environment of its own, and they take turns; the best of each counts. vertex-deployer
gets the pipeline and its configuration in the folders that it wants, and checks and compiles without a connection.
`cached_run_overhead_s` is the time of a whole `seqline run` whose cachable stages are all hits, less the time of the
stages that are never cached and so ran.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.environments import environment
from benchmarks.results import finish, parser, show
from seqline.configuration.yaml_lines import read_yaml
from seqline.errors import UserError
from seqline.targets.laptop import Home
from seqline.targets.run_record import read_run

ROOT = Path(__file__).parents[1]
PARAMETERS = {"data": "pairs.tsv", "training": {"epochs": 3, "dropout": 0.2}}
# A run small enough to wait for; what is measured is the second one, which computes nothing.
SMALL = {"preset": "demo", "vocabulary_size": 400, "epochs": 1, "batch_tokens": 1024, "beam_size": 1, "endpoint": ""}
PROJECT = {
    "PROJECT_ID": "my-project",
    "GCP_REGION": "europe-west4",
    "GAR_LOCATION": "europe-west4",
    "GAR_PIPELINES_REPO_ID": "pipelines",
    "VERTEX_STAGING_BUCKET_NAME": "my-bucket",
    "VERTEX_SERVICE_ACCOUNT": "seqline@my-project.iam.gserviceaccount.com",
}


def main() -> None:
    """Measures and prints."""
    arguments = parser("cli", "The command line against vertex-deployer and the kfp CLI.").parse_args()
    deployer = environment("vertex-deployer", ["vertex-deployer==1.0.0", "kfp==2.17.0"]).parent
    kfp = environment("kfp", ["kfp==2.17.0", "pydantic>=2.12", "pyyaml"]).parent / "kfp"
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        prepare(place)
        seqline = Path(sys.executable).with_name("seqline")
        vertex_deployer = deployer / "vertex-deployer"
        pipeline = place / "vertex" / "pipelines" / "training.py"
        commands: dict[str, list[list[str | Path]]] = {
            "seqline --help": [[seqline, "--help"]],
            "kfp --help": [[kfp, "--help"]],
            "vertex-deployer --help": [[vertex_deployer, "--help"]],
            "seqline check + compile": [
                [seqline, "check", "--offline"],
                [seqline, "compile", "--output", "spec.yaml"],
            ],
            "vertex-deployer check + compile": [
                [vertex_deployer, "check", "training", "--raise-error"],
                [vertex_deployer, "deploy", "training", "--compile", "--env-file", ".env", "--skip-validation"],
            ],
            "kfp dsl compile": [
                [kfp, "dsl", "compile", "--py", pipeline, "--function", "training", "--output", place / "kfp.yaml"]
            ],
        }
        seconds = race(commands, place, repeats=3 if arguments.quick else 7)
        ours, theirs = (read_yaml(place / f"{name}.yaml").content["root"] for name in ("spec", "kfp"))
        # Seqline writes the configuration's values as defaults; the graph is the same.
        if ours["dag"] != theirs["dag"]:
            raise UserError("seqline and kfp compiled different pipelines")
        show("Seconds, best of turns", ["command", "seconds"], [[name, value] for name, value in seconds.items()])
        whole, stages = cached_run(seqline, place, repeats=1 if arguments.quick else 3)
    figures = {
        "help_s": seconds["seqline --help"],
        "help_vs_kfp": seconds["kfp --help"] / seconds["seqline --help"],
        "help_vs_vertex_deployer": seconds["vertex-deployer --help"] / seconds["seqline --help"],
        "check_compile_s": seconds["seqline check + compile"],
        "check_compile_vs_vertex_deployer": seconds["vertex-deployer check + compile"]
        / seconds["seqline check + compile"],
        "cached_run_s": whole,
        "cached_run_overhead_s": whole - stages,
    }
    finish({name: round(value, 3) for name, value in figures.items()}, arguments.json)


def prepare(place: Path) -> None:
    """Lays the pipeline and its configuration out for everybody.

    Args:
        place: An empty folder.
    """
    (place / "seqline.yaml").write_text(json.dumps({"parameters": PARAMETERS}))
    pipelines, configs = place / "vertex" / "pipelines", place / "vertex" / "configs" / "training"
    for folder in (pipelines, configs):
        folder.mkdir(parents=True)
    (pipelines / "__init__.py").touch()
    (pipelines / "training.py").write_text(
        "from seqline.pipelines.training import training\n\n__all__ = ['training']\n"
    )
    (configs / "config.yaml").write_text(json.dumps(PARAMETERS))
    (place / "pyproject.toml").write_text('[tool.vertex_deployer]\nvertex_folder_path = "vertex"\n')
    (place / ".env").write_text("".join(f"{name}={value}\n" for name, value in PROJECT.items()))


def race(commands: Mapping[str, Sequence[Sequence[str | Path]]], place: Path, repeats: int) -> dict[str, float]:
    """Lets everybody run in turns.

    Args:
        commands: What each does, one process after the other.
        place: The folder to run in.
        repeats: How many turns.

    Returns:
        The seconds of each one's best turn.
    """
    best = dict.fromkeys(commands, float("inf"))
    for _ in range(repeats):
        for name, steps in commands.items():
            best[name] = min(best[name], sum(timed(step, place) for step in steps))
    return best


def timed(command: Sequence[str | Path], place: Path) -> float:
    """Runs a command to its end.

    Args:
        command: Program and arguments.
        place: The folder to run in.

    Returns:
        Its wall time in seconds.

    Raises:
        UserError: If it fails: a command that does not do its work is not to be timed.
    """
    environment_ = {**os.environ, "PYTHONPATH": f"{place}{os.pathsep}{ROOT}"}
    start = time.perf_counter()
    done = subprocess.run(
        [str(part) for part in command], cwd=place, env=environment_, capture_output=True, text=True, check=False
    )
    took = time.perf_counter() - start
    if done.returncode:
        raise UserError(f"{' '.join(map(str, command))} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return took


def cached_run(seqline: Path, place: Path, repeats: int) -> tuple[float, float]:
    """Runs the pipeline on the sample until nothing is left to compute, then times the same command.

    Args:
        seqline: The command.
        place: The folder to run in.
        repeats: How often it is timed; the run with the least overhead counts.

    Returns:
        Seconds of the whole command, and of the stages that ran in it.
    """
    timed([seqline, "sample", "pairs.tsv", "--pairs", "600"], place)
    settings = [f"--set={name}={value}" for name, value in SMALL.items()]
    command: list[str | Path] = [seqline, "run", "--data", "pairs.tsv", *settings]
    timed(command, place)
    found = []
    for _ in range(repeats):
        whole = timed(command, place)
        newest = max(Home(place / ".seqline").runs.iterdir(), key=lambda path: path.stat().st_mtime)
        tasks = read_run(newest).tasks
        if "cached" not in {task.state for task in tasks}:
            raise UserError(f"nothing came from the cache in {newest}")
        found.append((whole, sum(task.seconds for task in tasks if task.state != "cached")))
    return min(found, key=lambda pair: pair[0] - pair[1])


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
