"""The training that a configuration describes, for the TPU compiler."""

from dataclasses import dataclass

from seqline.compiling.compiler import parameters_of
from seqline.components.tokenize.options import LARGEST_VOCABULARY
from seqline.components.tokenize.options import Options as Corpus
from seqline.components.train.choices import Choices, choose_by_task
from seqline.components.train.options import Options
from seqline.configuration import Loaded
from seqline.problems import Problem
from seqline.schema.auto import AUTO


@dataclass(frozen=True)
class TrainingPlan:
    """The training of a configuration.

    Attributes:
        tpu: The TPU slice; empty without a TPU.
        options: Options of training.
        vocabulary_size: Size of the vocabulary in tokens, at most.
        max_tokens: Longest source or target in tokens.
    """

    tpu: str
    options: Options
    vocabulary_size: int
    max_tokens: int


def training_plan(loaded: Loaded) -> TrainingPlan:
    """Returns the training on Vertex, or on the default target if Vertex is not configured.

    Args:
        loaded: The configuration.
    """
    configuration = loaded.configuration
    known = parameters_of("training")
    target = "vertex" if configuration.targets.vertex is not None else configuration.target
    values = loaded.arguments(known, target)
    corpus = Corpus(**values.get("corpus", {}))
    training = Options(**values.get("training", {}))
    training = Choices(choose_by_task(training, values.get("task", known.defaults["task"]))).applied(training)
    vocabulary_size = corpus.vocabulary_size if corpus.vocabulary_size != AUTO else LARGEST_VOCABULARY
    return TrainingPlan(tpu_of(loaded), training, vocabulary_size, corpus.max_tokens)


def tpu_of(loaded: Loaded) -> str:
    """Returns the TPU slice of training on Vertex; empty without a TPU.

    Args:
        loaded: The configuration.
    """
    vertex = loaded.configuration.targets.vertex
    if vertex is None:
        return ""
    from seqline.targets.vertex.tpu import slice_name

    resources = loaded.configuration.resources.get("train")
    return slice_name(vertex.training, resources.accelerator_type if resources is not None else "")


def problems(loaded: Loaded) -> list[Problem]:
    """Runs the TPU compiler and returns the problems that it finds; takes minutes.

    Without a corpus, it compiles the longest batch that is possible.

    Args:
        loaded: The configuration.

    Raises:
        UserError: If the compiler is not installed.
    """
    tpu = tpu_of(loaded)
    if not tpu:
        return []
    from seqline.components.train.preflight.compiled_plan import compile_plan
    from seqline.components.train.preflight.plan import plan_without_corpus
    from seqline.components.train.preflight.slices import read_slice

    wanted = training_plan(loaded)
    if undecided := wanted.options.undecided:
        message = f"the TPU compiler did not run: {undecided[0]} is auto, which training selects; set it to check it"
        return [Problem(message, field=f"parameters.training.{undecided[0]}", warning=True)]
    slice_ = read_slice(tpu)
    longest = (wanted.max_tokens + 1,) if wanted.options.family != "gpt" else ()
    plan = plan_without_corpus(wanted.options, wanted.vocabulary_size, wanted.max_tokens, slice_.replicas, longest)
    report = compile_plan(slice_, plan, compiled_buckets=1, search=False)
    field = "targets.vertex.training.tpu" if loaded.configuration.targets.vertex.training else "resources.train"  # type: ignore[union-attr]
    return [Problem(fault, loaded.where(*field.split(".")), field) for fault in report.faults]
