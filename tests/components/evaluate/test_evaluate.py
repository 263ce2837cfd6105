import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.artifacts.corpus import Corpus, Counts, Manifest
from seqline.artifacts.evaluation import Evaluation, read_evaluation, read_sentences
from seqline.artifacts.exported_model import Decoding, Description, ExportedModel
from seqline.components.evaluate.stage import Options, evaluate
from seqline.errors import UserError
from seqline.metrics.metrics import counted
from tests.examples import examples

PAIRS = [
    (f"a sentence number {n} " + "long " * (n % 7), f"A SENTENCE NUMBER {n} " + "LONG " * (n % 7)) for n in range(50)
]
MARKUP = "<script>alert('x')</script>"


def write_corpus(
    folder: Path, pairs: list[tuple[str, str]], target_language: str = "de", options: dict[str, Any] | None = None
) -> Path:
    folder.mkdir(parents=True)
    counts = Counts(read=len(pairs), kept=len(pairs), rejected={}, train=0, valid=0, test=len(pairs))
    manifest = Manifest("corpus-fingerprint", options or {}, counts, [], 32, "en", target_language)
    corpus = Corpus(folder)
    corpus.manifest.write_text(manifest.to_json(), encoding="utf-8")
    rows = [json.dumps({"source": source, "target": target}) + "\n" for source, target in pairs]
    corpus.text("test").write_text("".join(rows), encoding="utf-8")
    return folder


@pytest.fixture
def small_corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus", PAIRS)


def save(folder: Path, outputs: Any = None, signature: str = "serving_default", scores: bool = False) -> Path:
    """A SavedModel whose output is its input in capitals; "nan" scores NaN, "mute" has an empty output.

    One that scores scores every character of a target as a token of probability 1/2.
    """
    import tensorflow as tf

    class Upper(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def answer(self, text: Any) -> dict[str, Any]:
            score = -0.01 * tf.cast(tf.strings.length(text), tf.float32)
            score = tf.where(tf.strings.regex_full_match(text, "nan.*"), float("nan"), score)
            mute = tf.strings.regex_full_match(text, "mute.*")
            found = {"text": tf.where(mute, "", tf.strings.upper(text)), "score": score, "rows": tf.size(text)}
            return {name: found[name] for name in outputs or ("text", "score")}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=name) for name in ("source", "target")])
        def score(self, source: Any, target: Any) -> dict[str, Any]:
            tokens = tf.strings.length(target, "UTF8_CHAR") + 0 * tf.strings.length(source)
            log_probability = tf.math.log(0.5) * tf.cast(tokens, tf.float32)
            log_probability = tf.where(tf.strings.regex_full_match(target, "NAN.*"), float("nan"), log_probability)
            return {"log_probability": log_probability, "tokens": tokens}

    module = Upper()
    signatures = {signature: module.answer, **({"score": module.score} if scores else {})}
    tf.saved_model.save(module, str(folder), signatures)
    ExportedModel(folder).write_description(
        Description("model-fingerprint", "en", "de", Decoding(), "corpus-fingerprint", "2026-01-01", "2")
    )
    return folder


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("toy") / "model")


@pytest.fixture(scope="session")
def signature(model: Path) -> Any:
    from seqline.components.evaluate.decoding import load

    return load(model)


def measure(
    model: Path,
    corpus: Path,
    options: Options = Options(),  # noqa: B008
    required: bool = True,
    standing: str = "",
    problem: str = "",
) -> Evaluation:
    home = corpus.parent
    measured = evaluate(model, corpus, home / "evaluation", home / "report.html", options, required, standing, problem)
    assert read_evaluation(home / "evaluation") == measured
    return measured


def test_the_test_set_is_decoded_by_the_signature_and_scored(model: Path, small_corpus: Path) -> None:
    measured = measure(model, small_corpus)
    assert (measured.absent, measured.sentences) == (False, 50)
    assert (measured.model_fingerprint, measured.corpus_fingerprint) == ("model-fingerprint", "corpus-fingerprint")
    assert measured.metrics["bleu"].value == pytest.approx(100)
    assert "tok:13a" in measured.metrics["bleu"].signature
    names = {metric.name for metric in counted("translation")} - {"perplexity"}
    assert names < set(measured.metrics)
    assert {"latency_p50", "latency_p95", "throughput", "model_size"} < set(measured.metrics)
    sentences = list(read_sentences(small_corpus.parent / "evaluation"))
    assert [(one.source, one.reference, one.output) for one in sentences] == [(s, t, s.upper()) for s, t in PAIRS]
    assert sentences[1].score == pytest.approx(-0.01 * len(PAIRS[1][0]))


def test_perplexity_is_computed_from_the_models_scores_of_the_references(tmp_path: Path) -> None:
    scoring = save(tmp_path / "model", scores=True)
    measured = measure(scoring, write_corpus(tmp_path / "corpus", PAIRS))
    perplexity = measured.metrics["perplexity"]
    assert perplexity.value == pytest.approx(2)
    assert perplexity.higher_is_better is False
    assert "not available" not in (tmp_path / "report.html").read_text(encoding="utf-8")
    with pytest.raises(UserError, match="reference of test sentence 51 is nan"):
        measure(scoring, write_corpus(tmp_path / "broken" / "corpus", [*PAIRS, ("b", "NAN")]))


def test_text_generation_without_prompts_has_empty_sources(tmp_path: Path) -> None:
    options = {"task": "text_generation", "source_field": ""}
    corpus = write_corpus(tmp_path / "corpus", [("", reference) for _, reference in PAIRS], options=options)
    measured = measure(save(tmp_path / "model", scores=True), corpus, Options(task="text_generation"))
    assert measured.sentences == 50
    assert measured.metrics["perplexity"].value == pytest.approx(2)
    assert "chrf" in measured.metrics
    # With prompts, an empty one is a fault of the corpus.
    prompted = write_corpus(tmp_path / "prompted", [("", "b")], options={**options, "source_field": "source"})
    with pytest.raises(UserError, match=r"test\.jsonl line 1 has no source text"):
        measure(tmp_path / "model", prompted)


def test_without_a_scoring_signature_perplexity_is_not_available_and_not_zero(model: Path, small_corpus: Path) -> None:
    assert "perplexity" not in measure(model, small_corpus).metrics
    assert "not available" in (small_corpus.parent / "report.html").read_text(encoding="utf-8")


@given(st.lists(st.text(max_size=20), min_size=1, max_size=20), st.integers(1, 30))
@examples(40)
def test_outputs_are_in_the_order_of_the_inputs_for_every_batch_size(
    signature: Any, texts: list[str], size: int
) -> None:
    from seqline.batch_threads import batch_threads
    from seqline.components.evaluate.decoding import start_decoding

    texts = [f"t {text}" for text in texts]
    with batch_threads() as threads:
        decoded = start_decoding(threads, signature, texts, size)()
    # tf.strings.upper knows ASCII only.
    assert decoded.outputs == ["".join(c.upper() if c.isascii() else c for c in text) for text in texts]


def test_the_report_shows_metrics_signatures_and_sentences_as_text(model: Path, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", [*PAIRS, (MARKUP, MARKUP), ("mute now", "STUMM")])
    measured = measure(model, corpus)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"{measured.metrics['chrf'].value:.2f}" in html
    assert measured.metrics["bleu"].signature in html
    for heading in ("Closest to the reference", "Furthest from the reference", "Random sample"):
        assert heading in html
    assert ">empty<" in html
    assert "<script" not in html.lower()
    assert "&lt;script&gt;" in html


def test_metrics_have_intervals_and_the_report_marks_the_words_that_differ(model: Path, tmp_path: Path) -> None:
    pairs = [*PAIRS[:20], *((f"{n} other words", f"{n} ANDERE WORDS") for n in range(20))]
    bleu = measure(model, write_corpus(tmp_path / "corpus", pairs)).metrics["bleu"]
    assert bleu.low is not None
    assert bleu.high is not None
    assert bleu.low < bleu.value < bleu.high
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<mark class="good">ANDERE</mark>' in html
    assert '<mark class="bad">OTHER</mark>' in html


def test_slices_are_reported_and_the_widest_gap_is_a_metric(model: Path, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", PAIRS)
    rows = [
        {"source": f"{who} went {n} times", "target": f"{who} WENT {n} TIMES" if who == "he" else "X", "slice": region}
        for n in range(15)
        for who, region in (("he", "north"), ("she", "south"))
    ]
    rows.append({"source": "the theme", "target": "THE THEME", "slice": "rare"})
    Corpus(corpus).text("test").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    measured = measure(model, corpus, Options(terms={"men": ["he"], "women": ["she"]}, min_slice_size=10))
    found = {(one.slicing, one.name): one for one in measured.slices}
    assert {slicing for slicing, _ in found} == {"length", "slice", "terms"}
    assert found["slice", "north"].sentences == found["terms", "men"].sentences == 15
    assert found["slice", "rare"].sentences == 1
    assert sum(one.sentences for one in measured.slices if one.slicing == "length") == 31
    gap = found["terms", "men"].metrics["bleu"].value - found["terms", "women"].metrics["bleu"].value
    assert gap > 10
    assert measured.metrics["gap_terms"].value == pytest.approx(gap)
    assert measured.metrics["widest_gap"].value >= measured.metrics["gap_slice"].value
    assert "north" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_results_do_not_depend_on_the_chunk_size(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = measure(model, write_corpus(tmp_path / "a" / "corpus", PAIRS))
    monkeypatch.setattr("seqline.components.evaluate.measuring.CHUNK_SIZE", 7)
    cut = measure(model, write_corpus(tmp_path / "b" / "corpus", PAIRS))
    for name in {metric.name for metric in counted("translation")} & set(whole.metrics):
        assert cut.metrics[name] == whole.metrics[name]
    assert cut.slices == whole.slices
    assert list(read_sentences(tmp_path / "a" / "evaluation")) == list(read_sentences(tmp_path / "b" / "evaluation"))


def test_a_champion_that_cannot_be_measured_is_recorded_with_the_reason(model: Path, tmp_path: Path) -> None:
    damaged = save(tmp_path / "model")
    (damaged / "saved_model.pb").write_bytes(b"damaged")
    for index, (champion, pairs, reason) in enumerate(
        [(damaged, PAIRS, "does not load"), (model, [*PAIRS, ("nan", "b")], "score for test sentence 51 is nan")]
    ):
        measured = measure(champion, write_corpus(tmp_path / str(index) / "corpus", pairs), required=False)
        assert measured.absent
        assert reason in measured.problem
        assert measured.metrics == {}
        assert reason in (tmp_path / str(index) / "report.html").read_text(encoding="utf-8")
        assert not (tmp_path / str(index) / "evaluation" / "statistics").exists()


def test_an_empty_test_set_is_an_error_for_a_champion_too(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is empty"):
        measure(model, write_corpus(tmp_path / "corpus", []), required=False)


def test_one_sentence_is_enough(model: Path, tmp_path: Path) -> None:
    measured = measure(model, write_corpus(tmp_path / "corpus", [("one", "ONE")]))
    assert measured.metrics["exact_match"].value == 100
    assert "widest_gap" not in measured.metrics
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count("<dt>Output</dt>") == 1


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        ("none", "There is no version to compare with: no version is live."),
        ("same", "The version to compare with is the challenger itself."),
        ("champion", "The best version so far is the live version"),
    ],
)
def test_why_there_is_nothing_to_measure_is_recorded(small_corpus: Path, standing: str, said: str) -> None:
    found = measure(small_corpus.parent / "none", small_corpus, required=False, standing=standing)
    assert (found.absent, found.standing, found.problem) == (True, standing, "")
    assert said in (small_corpus.parent / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("made", [True, False])
def test_the_files_of_a_champion_that_are_gone_are_a_problem(small_corpus: Path, made: bool) -> None:
    folder = small_corpus.parent / "gone"
    if made:
        folder.mkdir()
    found = measure(folder, small_corpus, required=False)
    assert (found.absent, found.standing, found.problem) == (True, "", f"its files are missing: {folder}")
    with pytest.raises(UserError, match="gone contains no exported model"):
        measure(folder, small_corpus)


def test_a_problem_that_is_known_already_is_recorded_without_measuring(model: Path, small_corpus: Path) -> None:
    found = measure(model, small_corpus, required=False, problem="it cannot be identified")
    assert (found.absent, found.problem, found.metrics) == (True, "it cannot be identified", {})
    html = (small_corpus.parent / "report.html").read_text(encoding="utf-8")
    assert "There is a version to compare with, but it cannot be evaluated: it cannot be identified" in html


def test_an_unknown_standing_is_refused(small_corpus: Path) -> None:
    with pytest.raises(UserError, match="standing must be one of none, same, champion, not 'absent'"):
        measure(small_corpus, small_corpus, required=False, standing="absent")


@pytest.mark.parametrize(
    ("opponent", "standing", "problem"),
    [
        ({"standing": "none"}, "none", ""),
        ({"problem": "its files are missing"}, "", "its files are missing"),
        ({"version": "3"}, "", "it is not known whether there is a version to compare with"),
        ({"address": "/models/3"}, "", "its files are missing: "),
    ],
)
def test_the_component_records_what_champion_found(
    small_corpus: Path, opponent: dict, standing: str, problem: str
) -> None:
    from kfp.dsl import HTML, Artifact, Dataset, Metrics, Model

    from seqline.components.evaluate.component import evaluate as component

    home = small_corpus.parent
    outputs = {"evaluation": Artifact(uri=str(home / "e")), "metrics": Metrics(uri=str(home / "m"))}
    inputs = {"model": Model(uri=str(home / "none")), "corpus": Dataset(uri=str(small_corpus))}
    component.python_func(**inputs, **outputs, report=HTML(uri=str(home / "page")), opponent=opponent)
    found = read_evaluation(home / "e")
    assert found.standing == standing
    assert found.problem.startswith(problem)
    assert bool(outputs["evaluation"].metadata["problem"]) == bool(problem)  # or the laptop would cache it


def test_a_model_that_is_not_there_is_recorded_without_tensorflow(small_corpus: Path) -> None:
    code = (
        "import sys; from seqline.schema.stage_command import run; "
        "from seqline.components.evaluate.stage import evaluate; "
        "assert run(evaluate) == 0; print({'tensorflow', 'sacrebleu'} & set(sys.modules))"
    )
    flags = ["--model", "none", "--corpus", "corpus", "--evaluation", "evaluation", "--report", "report.html"]
    flags += ["--standing", "none"]
    command = [sys.executable, "-c", code, *flags]
    done = subprocess.run(command, cwd=small_corpus.parent, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    found = read_evaluation(small_corpus.parent / "evaluation")
    assert found == Evaluation(True, "", "corpus-fingerprint", language="de", standing="none")
    assert list(read_sentences(small_corpus.parent / "evaluation")) == []


def refused(model: Path, corpus: Path, message: str) -> None:
    with pytest.raises(UserError, match=message):
        measure(model, corpus)
    assert {path.name for path in corpus.parent.iterdir()} <= {"corpus", "model"}


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], r"test\.jsonl is empty"),
        ([("a", "b"), ("c", "  ")], r"test\.jsonl line 2 has no target text"),
        ([("", "b")], r"test\.jsonl line 1 has no source text"),
        ([("nan", "b")], "score for test sentence 1 is nan, not a number"),
    ],
)
def test_a_test_set_that_cannot_be_measured_is_refused(
    model: Path, tmp_path: Path, pairs: list[tuple[str, str]], message: str
) -> None:
    refused(model, write_corpus(tmp_path / "corpus", pairs), message)


@pytest.mark.parametrize("line", ['{"source": "a"}', '{"source": "a", "target": null}'])
def test_a_missing_reference_is_refused(model: Path, small_corpus: Path, line: str) -> None:
    Corpus(small_corpus).text("test").write_text(line + "\n")
    refused(model, small_corpus, "line 1 has no target text")


def test_a_test_set_that_is_not_json_is_refused(model: Path, small_corpus: Path) -> None:
    Corpus(small_corpus).text("test").write_text("a\tb\n")
    refused(model, small_corpus, "not JSON Lines")


def test_a_folder_that_is_no_model_is_refused(small_corpus: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "notes.txt").write_text("hello")
    refused(folder, small_corpus, "contains no exported model")


def test_a_damaged_model_is_refused(small_corpus: Path, tmp_path: Path) -> None:
    damaged = save(tmp_path / "model")
    (damaged / "saved_model.pb").write_bytes(b"damaged")
    refused(damaged, small_corpus, r"does not load with TensorFlow [\d.]+: [^\n;]+; export the model again")


def test_a_model_without_the_serving_signature_is_refused(small_corpus: Path, tmp_path: Path) -> None:
    refused(save(tmp_path / "model", signature="other"), small_corpus, "no signature 'serving_default', only other")


def test_a_signature_without_scores_is_refused(small_corpus: Path, tmp_path: Path) -> None:
    refused(
        save(tmp_path / "model", outputs=("text", "rows")), small_corpus, "must take text and return text and score"
    )


def test_a_folder_that_is_no_corpus_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"manifest\.json is missing"):
        measure(model, tmp_path / "corpus")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "sing"}, "task must be"),
        ({"batch_size": 0}, "batch_size"),
        ({"terms": {"he": "he"}}, r"terms.he must be a list, not 'he'"),
        ({"terms": {"he": []}}, "terms: he must be a list of words"),
    ],
)
def test_invalid_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Options(**options)


def test_the_component_sets_the_metadata_for_consoles(model: Path, small_corpus: Path, tmp_path: Path) -> None:
    from kfp.dsl import HTML, Artifact, Dataset, Metrics, Model

    from seqline.components.evaluate.component import evaluate as component

    metrics, written = Metrics(uri=str(tmp_path / "metrics")), Artifact(uri=str(tmp_path / "out" / "evaluation"))
    inputs = {"model": Model(uri=str(model)), "corpus": Dataset(uri=str(small_corpus))}
    component.python_func(**inputs, evaluation=written, metrics=metrics, report=HTML(uri=str(tmp_path / "page")))
    assert metrics.metadata["bleu"] == pytest.approx(100)
    assert written.metadata == {"absent": False, "model_fingerprint": "model-fingerprint"}
    assert read_evaluation(tmp_path / "out" / "evaluation").metrics["bleu"].value == metrics.metadata["bleu"]
    assert (tmp_path / "page").read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.e2e
def test_a_trained_and_exported_model_is_measured(exported_model: Path, corpus: Path, tmp_path: Path) -> None:
    measured = evaluate(exported_model, corpus, tmp_path / "evaluation", tmp_path / "report.html")
    assert measured.model_fingerprint == ExportedModel(exported_model).read_description().fingerprint
    assert measured.corpus_fingerprint == Corpus(corpus).read_manifest().fingerprint
    assert measured.sentences == len(Corpus(corpus).read_text("test"))
    assert measured.metrics["empty_outputs"].value < 100
    assert measured.metrics["perplexity"].value > 1
    assert all(sentence.score <= 0 for sentence in read_sentences(tmp_path / "evaluation"))


def test_a_model_in_a_bucket_is_copied_and_measured_if_its_files_are_those_that_were_looked_up(
    model: Path, small_corpus: Path, s3_bucket: Any
) -> None:
    from seqline.components.champion.files import read_files

    address = f"s3://{s3_bucket.name}/runs/1/model"
    for path in model.rglob("*"):
        if path.is_file():
            s3_bucket.store.put(s3_bucket.name, f"runs/1/model/{path.relative_to(model)}", path)
    home, digest = small_corpus.parent, read_files(address, "model-fingerprint")
    outputs = small_corpus, home / "evaluation", home / "report.html", Options(), False, "", ""
    assert evaluate(address, *outputs, digest).metrics["bleu"].value == pytest.approx(100)

    s3_bucket.client.put_object(Bucket=s3_bucket.name, Key="runs/1/model/model.json", Body=b"{}")
    # Not recorded: what is recorded is cached, and this may pass.
    with pytest.raises(UserError, match="its files changed in the meantime: s3://"):
        evaluate(address, *outputs, digest)
    with pytest.raises(UserError, match="its files are missing: s3://"):
        evaluate(f"s3://{s3_bucket.name}/other", *outputs, digest)
