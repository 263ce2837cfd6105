"""The command line compared with vertex-deployer and kfp: help, check and compile of the same pipeline; a cached run.

Each command runs in new processes and in its own environment. Commands alternate, and the best of several runs
counts. vertex-deployer gets the pipeline and its configuration in its own folder layout, and runs offline.
`cached_run_overhead_s` is the time of a `seqline run` in which every cacheable stage is a hit, minus the time of the
stages that are never cached.
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
# Options of a small run; the measured runs after it find everything in the cache.
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
    """Runs the benchmark."""
    args = parser("cli", "The command line compared with vertex-deployer and the kfp CLI.").parse_args()
    deployer = environment("vertex-deployer", ["vertex-deployer==1.0.0", "kfp==2.17.0"]).parent
    kfp = environment("kfp", ["kfp==2.17.0", "pydantic>=2.12", "pyyaml"]).parent / "kfp"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        seqline = Path(sys.executable).with_name("seqline")
        vertex_deployer = deployer / "vertex-deployer"
        pipeline = folder / "vertex" / "pipelines" / "training.py"
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
                [kfp, "dsl", "compile", "--py", pipeline, "--function", "training", "--output", folder / "kfp.yaml"]
            ],
        }
        seconds = best_seconds(commands, folder, repeats=3 if args.quick else 7)
        ours, theirs = (read_yaml(folder / f"{name}.yaml").content["root"] for name in ("spec", "kfp"))
        # Seqline writes the configuration's values as defaults; the graph is the same.
        if ours["dag"] != theirs["dag"]:
            raise UserError("seqline and kfp compiled different pipelines")
        show("Best wall time", ["command", "seconds"], list(seconds.items()))
        whole, stages = cached_run(seqline, folder, repeats=1 if args.quick else 3)
    metrics = {
        "help_s": seconds["seqline --help"],
        "help_vs_kfp": seconds["kfp --help"] / seconds["seqline --help"],
        "help_vs_vertex_deployer": seconds["vertex-deployer --help"] / seconds["seqline --help"],
        "check_compile_s": seconds["seqline check + compile"],
        "check_compile_vs_vertex_deployer": seconds["vertex-deployer check + compile"]
        / seconds["seqline check + compile"],
        "cached_run_s": whole,
        "cached_run_overhead_s": whole - stages,
    }
    finish({name: round(value, 3) for name, value in metrics.items()}, args.json)


def prepare(folder: Path) -> None:
    """Writes the pipeline and its configuration for every command.

    Args:
        folder: An empty folder.
    """
    (folder / "seqline.yaml").write_text(json.dumps({"parameters": PARAMETERS}))
    pipelines, configs = folder / "vertex" / "pipelines", folder / "vertex" / "configs" / "training"
    for path in (pipelines, configs):
        path.mkdir(parents=True)
    (pipelines / "__init__.py").touch()
    (pipelines / "training.py").write_text(
        "from seqline.pipelines.training import training\n\n__all__ = ['training']\n"
    )
    (configs / "config.yaml").write_text(json.dumps(PARAMETERS))
    (folder / "pyproject.toml").write_text('[tool.vertex_deployer]\nvertex_folder_path = "vertex"\n')
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in PROJECT.items()))


def best_seconds(
    commands: Mapping[str, Sequence[Sequence[str | Path]]], folder: Path, repeats: int
) -> dict[str, float]:
    """Runs the commands alternately.

    Args:
        commands: The command lines that each name stands for, run one after the other.
        folder: Working directory of the commands.
        repeats: Number of runs of each.

    Returns:
        Wall time of the best run of each, in seconds.
    """
    best = dict.fromkeys(commands, float("inf"))
    for _ in range(repeats):
        for name, steps in commands.items():
            best[name] = min(best[name], sum(timed(step, folder) for step in steps))
    return best


def timed(command: Sequence[str | Path], folder: Path) -> float:
    """Runs a command.

    Args:
        command: Program and arguments.
        folder: Working directory of the commands.

    Returns:
        Its wall time in seconds.

    Raises:
        UserError: If it fails.
    """
    variables = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    start = time.perf_counter()
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    took = time.perf_counter() - start
    if done.returncode:
        raise UserError(f"{' '.join(map(str, command))} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return took


def cached_run(seqline: Path, folder: Path, repeats: int) -> tuple[float, float]:
    """Runs the pipeline on the sample corpus, then times the same command with everything in the cache.

    Args:
        seqline: The command.
        folder: Working directory of the commands.
        repeats: Number of timed runs; the one with the smallest overhead counts.

    Returns:
        Seconds of the command, and of the stages that ran in it.
    """
    timed([seqline, "sample", "pairs.tsv", "--pairs", "600"], folder)
    settings = [f"--set={name}={value}" for name, value in SMALL.items()]
    command: list[str | Path] = [seqline, "run", "--data", "pairs.tsv", *settings]
    timed(command, folder)
    found = []
    for _ in range(repeats):
        whole = timed(command, folder)
        newest = max(Home(folder / ".seqline").runs.iterdir(), key=lambda path: path.stat().st_mtime)
        tasks = read_run(newest).tasks
        if "cached" not in {task.state for task in tasks}:
            raise UserError(f"{newest} used nothing from the cache")
        found.append((whole, sum(task.seconds for task in tasks if task.state != "cached")))
    return min(found, key=lambda pair: pair[0] - pair[1])


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
