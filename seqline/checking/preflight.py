"""What a configuration asks of the TPU compiler."""

from dataclasses import dataclass

from seqline.compiling.compiler import parameters_of
from seqline.components.tokenize.options import Options as Corpus
from seqline.components.train.options import Options
from seqline.configuration import Loaded
from seqline.problems import Problem


@dataclass(frozen=True)
class Question:
    """What is to be trained, and on what.

    Attributes:
        tpu: The slice; empty if the configuration has no TPU.
        options: Options of training.
        vocabulary_size: Most pieces of the vocabulary.
        max_tokens: Longest source or target in pieces.
    """

    tpu: str
    options: Options
    vocabulary_size: int
    max_tokens: int


def questions(loaded: Loaded) -> Question:
    """Reads what a configuration trains on Vertex, or by hand where it has no Vertex.

    Args:
        loaded: The configuration.
    """
    configuration = loaded.configuration
    known = parameters_of("training")
    target = "vertex" if configuration.targets.vertex is not None else configuration.target
    values = loaded.arguments(known, target)
    corpus = Corpus(**values.get("corpus", {}))
    return Question(tpu_of(loaded), Options(**values.get("training", {})), corpus.vocabulary_size, corpus.max_tokens)


def tpu_of(loaded: Loaded) -> str:
    """The slice that training runs on on Vertex; empty if it is none.

    Args:
        loaded: The configuration.
    """
    vertex = loaded.configuration.targets.vertex
    if vertex is None:
        return ""
    if vertex.training is not None:
        slice_ = vertex.training.tpu
        return f"{slice_.version}:{slice_.topology}" if slice_ is not None else ""
    wanted = loaded.configuration.resources.get("train")
    accelerator = wanted.accelerator if wanted is not None else ""
    return f"{accelerator.removeprefix('TPU_').lower()}:2x2" if accelerator.startswith("TPU_V") else ""


def problems(loaded: Loaded) -> list[Problem]:
    """What the TPU compiler has against the configuration; takes minutes.

    Without the corpus, it is asked about the longest batch that there can be.

    Args:
        loaded: The configuration.

    Raises:
        UserError: If the compiler is not installed.
    """
    from seqline.components.train.preflight.slices import read_slice
    from seqline.components.train.preflight.stage import ask, plan_without_corpus

    tpu = tpu_of(loaded)
    if not tpu:
        return []
    question = questions(loaded)
    slice_ = read_slice(tpu)
    longest = (question.max_tokens + 1,) if question.options.architecture != "gpt" else ()
    plan = plan_without_corpus(
        question.options, question.vocabulary_size, question.max_tokens, slice_.replicas, longest
    )
    report = ask(slice_, plan, question.options, compiled_buckets=1, search=False)
    field = "targets.vertex.training.tpu" if loaded.configuration.targets.vertex.training else "resources.train"  # type: ignore[union-attr]
    return [Problem(fault, loaded.where(*field.split(".")), field) for fault in report.faults]
