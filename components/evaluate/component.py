"""The KFP contract of evaluate."""

from kfp import dsl
from kfp.dsl import HTML, Artifact, Dataset, Input, Metrics, Model, Output


@dsl.component(base_image="seqline/evaluate:0.1.0", install_kfp_package=False)
def evaluate(
    model: Input[Model],
    corpus: Input[Dataset],
    evaluation: Output[Artifact],
    metrics: Output[Metrics],
    report: Output[HTML],
    task: str = "translation",
    batch_size: int = 64,
    terms: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
    smallest_slice: int = 20,
    required: bool = True,
) -> None:
    """Measures an exported model on the test text, through the signature that will be served.

    Args:
        model: The SavedModel; nothing at its address means that there is no champion to measure.
        corpus: The corpus whose test text is decoded and compared.
        evaluation: Figures with their signatures and intervals, slices, and every test sentence with its output.
        metrics: The same figures, for the console.
        report: One page: figures, slices, histograms, and sentences near to and far from their references.
        task: What the model was trained for, which decides the metrics: translation, summarization,
            question_answering or text_generation.
        batch_size: Sentences decoded at a time.
        terms: Words by the name of their list; the sentences with one of its words are a slice.
        smallest_slice: Slices of fewer sentences are told, but no gap and no rule rests on them.
        required: Whether a model that cannot be measured is an error; if not, it is written down.
    """
    from pathlib import Path

    from seqline.components.evaluate import console, stage

    options = stage.Options(task, batch_size, terms, smallest_slice, required)
    measured = stage.evaluate(Path(model.path), Path(corpus.path), Path(evaluation.path), Path(report.path), options)
    console.show(measured, metrics, evaluation)
