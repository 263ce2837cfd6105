"""The launcher, which runs a task's command in its pod: backend/src/v2/component/launcher_v2.go at 2.17.0."""

import json
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqline.targets import stage_processes
from seqline.targets.stage_processes import StageProcesses
from tests.stand_ins.kfp_launcher import roots
from tests.stand_ins.kfp_launcher.buckets import BucketConfig, LauncherError, local_path
from tests.stand_ins.kfp_launcher.metadata import Artifact, Store, value
from tests.stand_ins.kfp_launcher.stores import Store as Objects

# MAX_ARG_STRLEN of Linux: a longer word of a command is E2BIG.
LONGEST_WORD = 128 * 1024
REPOSITORY = str(Path(__file__).parents[3])


@dataclass(frozen=True)
class Kill:
    """A pod to kill.

    Attributes:
        task: The task's name.
        when: Pattern of the event, as `roots` sees it: `open PATH ...` or `os.rename FROM TO`.
        attempts: Attempts that are killed.
        pod: Whether the launcher is killed too, so that nothing is recorded.
    """

    task: str
    when: str
    attempts: int = 1
    pod: bool = False


class Pods(StageProcesses):
    """Processes of tasks, forked from servers that also import `roots`.

    Args:
        folder: A folder without modules.
        imports: Modules of the tests that the servers import too.
    """

    def __init__(self, folder: Path, imports: Sequence[str] = ()) -> None:
        super().__init__()
        self._folder, self._imports = folder, imports

    def _start(self, modules: Sequence[str], folder: Path) -> stage_processes._Server:
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = REPOSITORY if before is None else f"{REPOSITORY}{os.pathsep}{before}"
        try:
            return super()._start((*modules, roots.__name__, *self._imports), self._folder)
        finally:
            if before is None:
                del os.environ["PYTHONPATH"]
            else:
                os.environ["PYTHONPATH"] = before


@dataclass
class Launcher:
    """Runs commands in pods.

    Attributes:
        stores: Object stores by scheme.
        root: Address of the run's folder.
        pods: Processes.
        environment: Variables of every pod.
        metadata: Where artifacts are recorded.
    """

    stores: Mapping[str, Objects]
    root: str
    pods: Pods
    environment: Mapping[str, str]
    metadata: Store

    def launch(
        self,
        component: dict[str, Any],
        executor: dict[str, Any],
        words: list[str],
        pod: Path,
        attempt: int,
        variables: Mapping[str, str],
        large: bool = False,
    ) -> tuple[dict[str, Any], dict[str, Artifact], int]:
        """executeV2: downloads, runs, uploads.

        Returns:
            Output parameters, output artifacts and the command's exit code.

        Raises:
            LauncherError: If the launcher fails.
        """
        executor, bucket = deepcopy(executor), BucketConfig.of_root(self.root)
        logs = executor["outputs"]["artifacts"]["executor-logs"]["artifacts"][0]
        logs["uri"] += f"-{attempt}"  # qualifyExecutorLogsURI; 2.5.0 has no number
        self._download(executor, bucket, pod)
        self._prepare(executor, pod)
        log = local_path(logs["uri"], pod)
        own = {roots.ROOT: str(pod), "KFP_POD_NAME": pod.name, "TMPDIR": str(pod / "tmp")}
        command = self._compiled(component, executor, words, pod)
        if large:
            self.pods.warm_up(command, pod)
        code = self.pods.run(command, pod, log, {**self.environment, **variables, **own}, large)
        if code != 0:
            # Only the logs of a task that failed.
            failed = {"executor-logs": executor["outputs"]["artifacts"]["executor-logs"]}
            return {}, self._upload(failed, {}, bucket, pod), code
        output = self._output(Path(executor["outputs"]["outputFile"]))
        parameters = self._parameters(executor, output, component)
        return parameters, self._upload(executor["outputs"]["artifacts"], output.get("artifacts", {}), bucket, pod), 0

    def _download(self, executor: dict[str, Any], bucket: BucketConfig, pod: Path) -> None:
        """downloadArtifacts."""
        for name, listed in executor["inputs"]["artifacts"].items():
            for artifact in listed["artifacts"]:
                uri = artifact["uri"]
                try:
                    target = local_path(uri, pod)
                except LauncherError:
                    continue  # "does not have a recognized storage URI"
                config = bucket if uri.startswith(bucket.prefixed) else BucketConfig.of_artifact(uri)
                try:
                    config.download(self.stores, target, config.key_of(uri))
                except LauncherError as error:
                    raise LauncherError(f'failed to download input artifact "{name}": {error}') from error

    def _prepare(self, executor: dict[str, Any], pod: Path) -> None:
        """prepareOutputFolders: the folders above the outputs."""
        for parameter in executor["outputs"]["parameters"].values():
            Path(parameter["outputFile"]).parent.mkdir(parents=True, exist_ok=True)
        for listed in executor["outputs"]["artifacts"].values():
            for artifact in listed["artifacts"]:
                local_path(artifact["uri"], pod).parent.mkdir(parents=True, exist_ok=True)
        (pod / "tmp").mkdir(exist_ok=True)

    def _compiled(self, component: dict[str, Any], executor: dict[str, Any], words: list[str], pod: Path) -> list[str]:
        """addDefaultParams and compileCmdAndArgs."""
        filled = deepcopy(executor)
        for name, spec in component.get("inputDefinitions", {}).get("parameters", {}).items():
            if "defaultValue" in spec:
                filled["inputs"]["parameterValues"].setdefault(name, value(spec["defaultValue"]))
        placeholders = {
            f"{{{{$.inputs.parameters['{name}']}}}}": given if isinstance(given, str) else json.dumps(given)
            for name, given in filled["inputs"]["parameterValues"].items()
        }
        for side in ("inputs", "outputs"):
            for name, listed in filled[side]["artifacts"].items():
                uri = listed["artifacts"][0]["uri"]
                placeholders[f"{{{{$.{side}.artifacts['{name}'].uri}}}}"] = uri
                with suppress(LauncherError) if side == "inputs" else nullcontext():
                    placeholders[f"{{{{$.{side}.artifacts['{name}'].path}}}}"] = str(local_path(uri, pod))
        whole = json.dumps(filled)
        compiled = []
        for word in words:
            made = word.replace("{{$}}", whole)
            for placeholder, replacement in placeholders.items():
                made = made.replace(placeholder, replacement)
            if len(made.encode()) >= LONGEST_WORD:
                raise LauncherError(f"fork/exec: argument list too long: {len(made)} bytes")
            compiled.append(made)
        return compiled

    def _output(self, file: Path) -> dict[str, Any]:
        """getExecutorOutputFile: protojson knows no NaN."""
        if not file.exists():
            return {}

        def refuse(word: str) -> None:
            raise LauncherError(f"failed to unmarshall ExecutorOutput: invalid value {word}")

        return dict(json.loads(file.read_text(encoding="utf-8"), parse_constant=refuse))

    def _parameters(
        self, executor: dict[str, Any], output: dict[str, Any], component: dict[str, Any]
    ) -> dict[str, Any]:
        """collectOutputParameters."""
        found: dict[str, Any] = value(output.get("parameterValues", {}))
        for name, parameter in executor["outputs"]["parameters"].items():
            if name in found:
                continue
            kind = component["outputDefinitions"]["parameters"][name]["parameterType"]
            try:
                text = Path(parameter["outputFile"]).read_text(encoding="utf-8")
            except OSError as error:
                raise LauncherError(f'failed to read output parameter name="{name}": {error}') from error
            found[name] = text if kind == "STRING" else value(json.loads(text))
        return found

    def _upload(
        self, artifacts: dict[str, Any], written: dict[str, Any], bucket: BucketConfig, pod: Path
    ) -> dict[str, Artifact]:
        """uploadOutputArtifacts: an address must lie below the run's root, and a file may be missing."""
        recorded = {}
        for name, listed in artifacts.items():
            artifact = listed["artifacts"][0]
            if name != "executor-logs" and name in written:  # mergeRuntimeArtifacts
                one = written[name]["artifacts"][0]
                artifact["uri"] = one.get("uri") or artifact["uri"]
                artifact["metadata"] = {**artifact.get("metadata", {}), **value(one.get("metadata") or {})}
            try:
                local = local_path(artifact["uri"], pod)
            except LauncherError:
                pass  # "Skipping uploading to remote storage."
            else:
                try:
                    key = bucket.key_of(artifact["uri"])
                    if not bucket.upload(self.stores, local, key) and name == "executor-logs":
                        continue
                except LauncherError as error:
                    raise LauncherError(f'failed to upload output artifact "{name}": {error}') from error
            recorded[name] = self.metadata.record(name, artifact["uri"], artifact.get("metadata", {}))
        return recorded


def killed(code: int) -> bool:
    """Whether a process ended by SIGKILL."""
    return code == -signal.SIGKILL
