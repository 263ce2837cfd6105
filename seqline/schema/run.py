"""The parameters of a run: what a person changes from run to run."""

from typing import Literal

from pydantic import Field, field_validator

from seqline.schema.options import BaseOptions, refusing

Task = Literal["translation", "summarization", "question_answering", "text_generation"]


FINGERPRINTS = "Package, version and digest of each plugin that the stage uses, by name; snapshot sets it."


class TaskOption(BaseOptions):
    """What the model is for."""

    task: Task = Field(
        "translation", description="What the model is for, which selects the cleaning rules and the metrics."
    )


class SourceOption(BaseOptions):
    """Where the source text is in a row."""

    source_field: str = Field(
        "source", description="Column or field of the source text; empty for text generation without a prompt."
    )


class PairOptions(TaskOption, SourceOption):
    """How rows of the data are read as pairs."""

    source_language: str = Field("en", description="Language code of the sources, such as en, zh-Hant or zho_Hans.")
    target_language: str = Field("de", description="Language code of the targets, such as de, zh-Hant or zho_Hans.")
    target_field: str = Field("target", description="Column or field of the target text.")
    context_field: str = Field("", description="Column or field of the context of a question; empty for none.")
    slice_field: str = Field(
        "", description="Column or field that names the slice of a pair, such as its domain; empty for none."
    )
    tokenizer: str = Field(
        "",
        description="SentencePiece model, or folder of a pretrained checkpoint whose tokenizer to use, local or in a "
        "bucket; empty to train one.",
    )

    @field_validator("source_language", "target_language")
    @classmethod
    def _check_language(cls, value: str) -> str:
        from seqline.languages import find_language

        if value.strip():  # a stage that needs one refuses an empty one
            with refusing():
                find_language(value)
        return value


class RunParameters(PairOptions):
    """What a run reads, what the model is for, and where it goes live."""

    data: str = Field(
        "",
        description="Pairs of source and target (.tsv, .csv, .jsonl, .parquet, optionally .gz, .zst or .bz2), or for "
        "batch inference texts (.txt, .tsv, .jsonl): a path, a pattern or several with commas, local or in a bucket; "
        "or a BigQuery query.",
    )
    valid_data: str = Field("", description="Validation pairs; empty to split them off by a hash of the source.")
    test_data: str = Field("", description="Test pairs; empty to split them off by a hash of the source.")
    feedback: str = Field(
        "",
        description="Corrections from `seqline feedback export`, in the form of data with source and target: pairs "
        "for training alone, never for validation or test; empty for none.",
    )
    previous_corpus: str = Field(
        "", description="Corpus folder to measure drift against, local or in a bucket; empty for none."
    )
    model: str = Field(
        "", description="Exported model, or an endpoint (a local folder or kserve://NAMESPACE/NAME): its live version."
    )
    warm_start: str = Field(
        "", description="Checkpoint folder whose weights training starts from, local or in a bucket; empty for none."
    )
    human_evaluation: str = Field(
        "", description="Human evaluation of challenger and champion from `seqline rate import`; empty for none."
    )
    endpoint: str = Field(
        "",
        description="Where the model goes live: a local endpoint's folder, projects/P/locations/L/endpoints/NAME on "
        "Vertex AI, or kserve://NAMESPACE/NAME on KServe; empty to deploy nothing.",
    )
    checkpoints: str = Field(
        "",
        description="Folder of the working state that a killed run resumes from, local or in a bucket; empty for one "
        "beside the output, which ends with the pod on Kubeflow.",
    )
    reason: str = Field("", description="Why the run was started, for its report; monitoring writes it.")
    beam_options: str = Field("", description="Flags of Apache Beam, such as --runner=DataflowRunner.")
    api_endpoint: str = Field(
        "", description="Host of the Vertex API, for Private Service Connect; empty for the region's own."
    )
