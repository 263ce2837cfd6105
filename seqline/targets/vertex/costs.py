"""What a run costs, by stage: machine hours from earlier runs, times the prices of a file.

    costs = estimate(machines(spec), history(target, pipeline), read_prices())

It is an order of magnitude: storage, network, endpoints and the start of a machine are left out.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seqline.errors import UserError

if TYPE_CHECKING:
    from seqline.targets.target import Run, Target

# https://cloud.google.com/vertex-ai/docs/pipelines/machine-types: of a task that asks for nothing.
TASK_MACHINE = "e2-standard-4"
TASK_CORES, TASK_GB = (2, 4, 8, 16, 32), 4.0
PREFLIGHT = re.compile(r"about ([\d.]+) hours|hours ([\d.]+)")
DATAFLOW = " on Dataflow, at most"
# Runs that are searched for a time of each stage.
RUNS = 5


class Family(BaseModel):
    """Prices of one family of machines.

    Attributes:
        core: Per core and hour.
        gb: Per GB of memory and hour.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    core: float = Field(ge=0)
    gb: float = Field(ge=0)

    def price(self, kind: str, cores: int) -> float | None:
        """Returns the price of a machine per hour; None if the family has no such kind.

        Args:
            kind: Such as standard.
            cores: Number of cores.
        """
        ratio = (self.model_extra or {}).get(kind)
        return cores * (self.core + float(ratio) * self.gb) if isinstance(ratio, int | float) else None


class DataflowPrices(BaseModel):
    """Prices of Dataflow's workers.

    Attributes:
        core: Per core and hour.
        gb: Per GB of memory and hour.
        machine: Their machine where none is configured.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    core: float = Field(ge=0)
    gb: float = Field(ge=0)
    machine: str


class Prices(BaseModel):
    """A file of prices.

    Attributes:
        date: When they were valid.
        region: Where.
        currency: Such as USD.
        sources: Pages that have them.
        run: Of one run of a pipeline.
        fee: What Vertex adds, as a share.
        spot: Share of the price that a spot machine costs.
        machines: By family.
        accelerators: Per hour, by type.
        dataflow: Of Dataflow's workers.
        unverified: Names of families, accelerators and versions of TPUs whose price has no source.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    date: date
    region: str
    currency: str
    sources: list[str]
    run: float = Field(ge=0)
    fee: float = Field(ge=0)
    spot: float = Field(gt=0, le=1)
    machines: dict[str, Family]
    accelerators: dict[str, float]
    dataflow: DataflowPrices
    unverified: list[str] = []

    def doubtful(self, machine: "Machine") -> list[str]:
        """Returns the names in a machine's price that have no source.

        Args:
            machine: The machine.
        """
        names = (re.split("[-:]", machine.name)[0], machine.accelerator)
        # Dataflow's workers have prices of their own.
        return [] if machine.dataflow else [name for name in names if name in self.unverified]

    def machine(self, name: str) -> float | None:
        """Returns the price of a machine type per hour, without the fee; None if the file has none.

        Args:
            name: Such as n1-standard-8.
        """
        parts = name.split("-")
        family = self.machines.get(parts[0])
        if family is None or len(parts) != 3:
            return None
        if parts[2].endswith("g") and parts[2][:-1].isdigit():
            # a2-highgpu-1g has 12 cores for each GPU.
            return family.price(parts[1], 12 * int(parts[2][:-1]))
        return family.price(parts[1], int(parts[2])) if parts[2].isdigit() else None

    def worker(self, name: str) -> float | None:
        """Returns the price of a Dataflow worker per hour; None if the file does not have the machine's memory.

        Args:
            name: Machine type; empty for the default.
        """
        parts = (name or self.dataflow.machine).split("-")
        family = self.machines.get(parts[0])
        if family is None or len(parts) != 3 or not parts[2].isdigit():
            return None
        ratio = (family.model_extra or {}).get(parts[1])
        priced = Family(core=self.dataflow.core, gb=self.dataflow.gb, **{parts[1]: ratio})
        return priced.price(parts[1], int(parts[2]))


@cache
def read_prices(path: Path | None = None) -> Prices:
    """Reads a file of prices.

    Args:
        path: The file; by default Seqline's own.

    Raises:
        UserError: If it is not one.
    """
    import yaml

    file = path or Path(__file__).with_name("prices.yaml")
    try:
        return Prices.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{file} is not YAML: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"{file}: {where}: {first['msg']}; Seqline's own prices.yaml shows the form") from None


@dataclass(frozen=True)
class Machine:
    """The machines of a task.

    Attributes:
        name: Machine type, or a TPU slice such as v5e:2x4.
        count: How many of them run at a time.
        accelerator: Type of each machine's accelerators; empty for none.
        accelerators: Their number on each machine.
        spot: Whether they are spot machines.
        dataflow: Whether they are Dataflow's workers.
        trials: Whether they are those of a tuning job, whose trials share them.
    """

    name: str
    count: int = 1
    accelerator: str = ""
    accelerators: int = 0
    spot: bool = False
    dataflow: bool = False
    trials: bool = False

    def __str__(self) -> str:
        name = self.name or "default machine"
        text = name if self.count == 1 else f"{self.count} x {name}"
        text += f" with {self.accelerators} x {self.accelerator}" if self.accelerator else ""
        return text + (", spot" if self.spot else "")


@dataclass(frozen=True)
class Cost:
    """What one stage costs.

    Attributes:
        task: The task's name.
        machine: Its machines; None where a run costs nothing, such as on a laptop.
        hours: Hours of all its machines together; None if they are not known.
        source: Where the hours are from.
        amount: In the currency of the prices; None if it is not known.
    """

    task: str
    machine: Machine | None
    hours: float | None
    source: str
    amount: float | None


@dataclass(frozen=True)
class Costs:
    """What a run costs.

    Attributes:
        stages: By task, in the order of the pipeline.
        prices: The prices; None where a run costs nothing.
    """

    stages: tuple[Cost, ...]
    prices: Prices | None

    @property
    def hours(self) -> float:
        """Hours of all machines, as far as they are known."""
        return sum(cost.hours or 0.0 for cost in self.stages)

    @property
    def amount(self) -> float:
        """The total as far as it is known, with the price of the run itself."""
        return sum(cost.amount or 0.0 for cost in self.stages) + (self.prices.run if self.prices else 0.0)

    @property
    def unverified(self) -> list[str]:
        """Names in the prices of the stages that have no source."""
        known = [cost.machine for cost in self.stages if cost.machine and cost.amount]
        names = [name for machine in known for name in self.prices.doubtful(machine)] if self.prices else []
        return list(dict.fromkeys(names))

    @property
    def complete(self) -> bool:
        """Whether every stage's cost is known."""
        return all(cost.amount is not None for cost in self.stages)


@dataclass
class Times:
    """Seconds of stages in earlier runs.

    Attributes:
        seconds: By task, each from the newest run in which it really ran.
        runs: By task, that run.
        planned: Hours of training that the newest preflight expects; 0 without one.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    planned: float = 0.0


def history(target: "Target", pipeline: str) -> Times:
    """Reads the times of stages from the newest successful runs.

    Args:
        target: The target.
        pipeline: The pipeline's name in its spec.
    """
    found = Times()
    succeeded = [run for run in target.runs(pipeline, 4 * RUNS) if run.state == "succeeded"]
    for run in succeeded[:RUNS]:
        for task in target.describe(run.id).tasks:
            if task.state == "succeeded" and task.seconds and task.name not in found.seconds:
                found.seconds[task.name], found.runs[task.name] = task.seconds, run.id
            hours = PREFLIGHT.search(task.metric) if task.name.startswith("preflight") else None
            if hours and not found.planned:
                found.planned = float(hours[1] or hours[2])
    return found


def machines(spec: Mapping[str, Any]) -> dict[str, list[Machine]]:
    """Reads the machines of each task from a spec for Vertex.

    Args:
        spec: The compiled pipeline.

    Returns:
        The machines by task, named as the console names it; tasks that run no container are left out.
    """
    components, executors = spec["components"], spec["deploymentSpec"]["executors"]
    found: dict[str, list[Machine]] = {}

    def below(dag: Mapping[str, Any]) -> None:
        for name, task in dag["tasks"].items():
            component = components[task["componentRef"]["name"]]
            if "dag" in component:
                below(component["dag"])
                continue
            executor = executors.get(component.get("executorLabel", ""), {})
            if "container" in executor:
                own = _job(component) or [_task(executor["container"].get("resources", {}))]
                shown = task.get("taskInfo", {}).get("name", name)
                found[name if shown in found else shown] = _trials(task, dag["tasks"]) or [*own, *_workers(task)]

    below(spec["root"]["dag"])
    return found


def _task(resources: Mapping[str, Any]) -> Machine:
    """The smallest machine that has what a task asks for."""
    kind = resources.get("accelerator", {})
    accelerator = str(kind.get("resourceType", kind.get("type", "")))
    count = int(kind.get("resourceCount", kind.get("count", 0)) or 0)
    if accelerator.startswith("TPU_"):
        return Machine(f"{accelerator.removeprefix('TPU_').lower()}:2x2")
    cores, memory = float(resources.get("cpuLimit", 0) or 0), float(resources.get("memoryLimit", 0) or 0)
    family, ratio = ("n1", 3.75) if accelerator else ("e2", TASK_GB)
    needed = max(cores, memory / ratio, 4.0)
    size = next((size for size in TASK_CORES if size >= needed), TASK_CORES[-1])
    if needed > TASK_CORES[-1]:
        family, size = "n1", next((size for size in (64, 96) if size >= needed), 96)
    return Machine(f"{family}-standard-{size}", accelerator=accelerator, accelerators=count if accelerator else 0)


def _job(component: Mapping[str, Any]) -> list[Machine]:
    """The machines of a custom job, from the defaults of the component that starts it."""
    inputs = component.get("inputDefinitions", {}).get("parameters", {})
    spot = inputs.get("strategy", {}).get("defaultValue") == "SPOT"
    return _pools(inputs.get("worker_pool_specs", {}).get("defaultValue", []), spot)


def _trials(task: Mapping[str, Any], siblings: Mapping[str, Any]) -> list[Machine]:
    """The machines of a tuning job: those of one trial, which another task plans, for each that runs at a time."""
    parallel = _constant(task, "parallel_trial_count")
    workers = [worker for one in siblings.values() if (worker := _constant(one, "worker"))]
    machines = _pools(workers, spot=False) if parallel else []
    return [replace(machine, count=machine.count * int(parallel), trials=True) for machine in machines]


def _constant(task: Mapping[str, Any], name: str) -> Any:
    value = task.get("inputs", {}).get("parameters", {}).get(name, {})
    return value.get("runtimeValue", {}).get("constant")


def _pools(pools: Sequence[Mapping[str, Any]], spot: bool) -> list[Machine]:
    """The machines of worker pools."""
    found = []
    for pool in pools:
        machine, count = pool["machine_spec"], int(pool.get("replica_count", 1))
        name, accelerator = machine["machine_type"], machine.get("accelerator_type", "")
        if machine.get("tpu_topology"):
            found.append(Machine(f"v5e:{machine['tpu_topology']}", count, spot=spot))
        elif accelerator.startswith("TPU_"):
            found.append(Machine(f"{accelerator.removeprefix('TPU_').lower()}:2x2", count, spot=spot))
        else:
            number = int(machine.get("accelerator_count", 0)) if accelerator else 0
            found.append(Machine(name, count, accelerator, number, spot))
    return found


def _workers(task: Mapping[str, Any]) -> list[Machine]:
    """Dataflow's workers of a task, at most."""
    flags = str(_constant(task, "beam_options") or "").split()
    words = dict(word.removeprefix("--").partition("=")[::2] for word in flags)
    if words.get("runner") != "DataflowRunner":
        return []
    return [Machine(words.get("worker_machine_type", ""), int(words.get("max_num_workers", 1)), dataflow=True)]


@dataclass(frozen=True)
class Limits:
    """How long what has never run may take, by the run's options; 0 for no limit.

    Attributes:
        minutes: The option `training.minutes`.
        trials: The option `tuning.trials`.
        trial_minutes: The option `tuning.trial_minutes`.
    """

    minutes: float = 0.0
    trials: int = 0
    trial_minutes: float = 0.0


def estimate(
    wanted: Mapping[str, Sequence[Machine]], times: Times, prices: Prices | None, limits: Limits = Limits()
) -> Costs:
    """Estimates what a run costs in which no stage is cached.

    Args:
        wanted: From `machines`.
        times: From `history`.
        prices: The prices; None where a run costs nothing.
        limits: By the options of the run.
    """
    stages = []
    for task, used in wanted.items():
        hours, source = None, "no earlier run"
        if task in times.seconds:
            hours, source = times.seconds[task] / 3600, f"run {times.runs[task]}"
        elif task.startswith("train") and times.planned:
            hours, source = times.planned, "preflight"
        elif task.startswith("train") and limits.minutes:
            hours, source = limits.minutes / 60, "training.minutes, at most"
        elif any(machine.trials for machine in used) and limits.trial_minutes:
            rounds = math.ceil(limits.trials / used[0].count)
            hours, source = rounds * limits.trial_minutes / 60, "tuning.trial_minutes, at most"
        for machine in used:
            name = f"{task}{DATAFLOW}" if machine.dataflow else task
            stages.append(_cost(name, machine, hours, source, prices))
    return Costs(tuple(stages), prices)


def taken(wanted: Mapping[str, Sequence[Machine]], run: "Run", prices: Prices | None) -> Costs:
    """Returns what a run took, from the times of its tasks.

    Args:
        wanted: From `machines`.
        run: The run, with its tasks.
        prices: The prices; None where a run costs nothing.
    """
    stages = []
    for task in run.tasks:
        hours = 0.0 if task.state in {"cached", "skipped"} else task.seconds / 3600
        for machine in wanted.get(task.name, ()):
            name = f"{task.name}{DATAFLOW}" if machine.dataflow else task.name
            stages.append(_cost(name, machine, hours, task.state, prices))
    return Costs(tuple(stages), prices)


def _cost(task: str, machine: Machine, hours: float | None, source: str, prices: Prices | None) -> Cost:
    if hours is None or prices is None:
        return Cost(task, machine if prices else None, hours, source, None if prices else 0.0)
    total = hours * machine.count
    price = _price(machine, prices)
    return Cost(task, machine, total, source, None if price is None else price * total)


def _price(machine: Machine, prices: Prices) -> float | None:
    """The price of one machine per hour; None if the file has none."""
    if machine.dataflow:
        return prices.worker(machine.name)
    price = _slice(machine.name) if ":" in machine.name else prices.machine(machine.name)
    if machine.accelerator:
        each = prices.accelerators.get(machine.accelerator)
        price = None if price is None or each is None else price + machine.accelerators * each
    return None if price is None else price * (1 + prices.fee) * (prices.spot if machine.spot else 1)


def _slice(name: str) -> float | None:
    """The price of a TPU slice per hour."""
    from seqline.components.train.preflight.slices import read_slice

    try:
        found = read_slice(name)
    except UserError:
        return None
    return found.price_per_hour
