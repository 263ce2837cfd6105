from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from seqline.components.train.options import Options
from seqline.components.train.plan import make_config
from seqline.components.train.sample import COST_SHARE, SLACK, Sample, decoding_flops, greedy, measure, names_of
from seqline.metrics.batch import Batch
from seqline.metrics.metrics import METRICS
from seqline.modeling.architectures import make_model
from seqline.modeling.config import TransformerConfig
from tests.families import LLAMA

PAIRS = [(np.array([5, 6, 7]), np.array([8])), (np.array([9]), np.array([10, 11]))]


@pytest.mark.parametrize(
    "choices",
    [{}, {"pointer": True}, {"architecture": "gpt", "encoder_layers": 0}, {**LLAMA, "suppressed_ids": [4, 7, 9, 13]}],
    ids=["transformer", "pointer", "gpt", "template"],
)
def test_every_token_is_the_most_probable_after_those_before_it(choices: dict[str, Any]) -> None:
    tf.keras.utils.set_random_seed(3)
    shape = {"hidden_dim": 8, "intermediate_dim": 16, "num_heads": 2, "encoder_layers": 1, "decoder_layers": 2}
    model = make_model(TransformerConfig(**{"vocabulary_size": 14, **shape, **choices}))
    (source, ids), starts = model.prompts(PAIRS, room=6)
    found = tf.function(greedy)(model, tf.constant(source), tf.constant(ids), tf.constant(starts)).numpy()
    logits = model.logits(model.continuation(source)(found)).numpy()
    logits[..., list(model.config.suppressed_ids)] = -np.inf
    expected = np.argmax(logits, axis=-1)
    for row, start in enumerate(starts):
        np.testing.assert_array_equal(found[row, : start + 1], ids[row, : start + 1])
        output = found[row, start + 1 : start + 7].tolist()
        ended = output.index(model.config.eos_id) + 1 if model.config.eos_id in output else len(output)
        assert output[:ended] == expected[row, start : start + ended].tolist()
        assert set(output[ended:]) <= {model.config.filler}


@pytest.mark.parametrize("token", [0, 1, 2])
def test_no_output_has_padding_an_unknown_token_or_bos(token: int, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config(Options(preset="demo"), vocabulary_size=14, max_length=9)
    model = make_model(config)
    preferred = tf.one_hot(token, config.vocabulary_size) * 9 + tf.one_hot(7, config.vocabulary_size)
    monkeypatch.setattr(model, "logits", lambda states: states[:, :1] * 0 + preferred)
    (source, ids), starts = model.prompts(PAIRS, room=4)
    found = greedy(model, tf.constant(source), tf.constant(ids), tf.constant(starts)).numpy()
    assert found[:, 1:].tolist() == [[7] * 4] * 2


def test_outputs_equal_to_their_references_score_a_hundred_and_others_less() -> None:
    references = ["a small house by the river", "ein Haus am großen Fluss"]
    assert measure(references, references, "de") == pytest.approx({"valid_bleu": 100.0, "valid_rougeL": 100.0})
    worse = measure(["a small house by a tree", ""], references, "en")
    assert 0 < worse["valid_bleu"] < 60
    assert worse["valid_rougeL"] == pytest.approx(100 * (4 / 6) / 2)


@pytest.mark.parametrize("language", ["zh", "zho_Hans", "jpn_Jpan", "ko", "th", "de"])
def test_the_decoded_sample_is_measured_as_the_evaluation_does(language: str) -> None:
    references = ["年老的面包师在河边唱歌。", "他在花园里等待。", "ein Haus am großen Fluss"]
    outputs = ["年老的面包师在桥下唱歌。", "他在花园里唱歌。", "ein Haus am kleinen Fluss"]
    batch = Batch(references, references, outputs)
    for name, value in measure(outputs, references, language).items():
        counter = METRICS[name.removeprefix("valid_")].counts(language)
        assert value == pytest.approx(counter.score(counter.count(batch).sum(axis=0, keepdims=True))[0])


def test_bleu_of_a_partly_right_chinese_sample_is_not_zero() -> None:
    assert measure(["年老的面包师在桥下唱歌。"], ["年老的面包师在河边唱歌。"], "zho_Hans")["valid_bleu"] > 40


class Words:
    """Stands for a detokenizer: each token is a word."""

    def texts(self, rows: Any) -> list[str]:
        return [" ".join(f"w{token}" for token in row) for row in rows]


@pytest.fixture(scope="module")
def model() -> Any:
    tf.keras.utils.set_random_seed(3)
    shape = {"hidden_dim": 8, "intermediate_dim": 16, "num_heads": 2, "encoder_layers": 1, "decoder_layers": 1}
    return make_model(TransformerConfig(vocabulary_size=14, **shape))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def valid() -> list[Any]:
    random = np.random.default_rng(5)
    return [(random.integers(4, 14, 6), random.integers(4, 14, length)) for length in random.integers(1, 9, 150)]


def sample(model: Any, pairs: list[Any], **options: Any) -> Sample:
    detokenizer: Any = Words()
    return Sample(pairs, model, detokenizer, "en", names_of("question_answering", "loss"), **options)


def test_a_sample_and_then_all_pairs_are_measured_with_the_metrics_of_the_task(model: Any, valid: list[Any]) -> None:
    # Outputs of an untrained model end at their limit, which is that of the longest target of a group.
    valid = [(left, np.resize(right, 4)) for left, right in valid]
    some = sample(model, valid, size=64, epoch_flops=1e15)
    assert some.count == len(valid)
    found = some.measure() | some.measure_all()
    names = ("bleu", "rougeL", "exact_match", "token_f1")
    assert set(found) == {f"valid_{name}{end}" for name in names for end in ("", "_all")}
    whole = sample(model, valid, size=len(valid))
    assert not whole.has_more
    expected = {f"{name}_all": value for name, value in whole.measure().items()}
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_groups_that_are_decoded_at_the_same_time_have_the_same_metrics(model: Any, valid: list[Any]) -> None:
    valid = [(left, np.resize(right, 4)) for left, right in valid]
    alone, together = (sample(model, valid, size=len(valid), at_once=at_once) for at_once in (1, 3))
    assert len(together.first) > len(alone.first)
    assert together.measure() == pytest.approx(alone.measure())


@pytest.mark.parametrize("affordable", [0, 64, 100])
def test_decoding_all_pairs_costs_a_share_of_an_epoch_at_most(model: Any, valid: list[Any], affordable: int) -> None:
    each = max(decoding_flops(model.config, *map(len, pair)) for pair in valid)
    found = sample(model, valid, size=64, epoch_flops=affordable * each / COST_SHARE)
    assert found.count >= max(64, affordable)
    pairs = [pair for group in (*found.first, *found.rest) for pair in group.references]
    cost = sum(decoding_flops(model.config, 6, len(text.split())) for text in pairs)
    assert found.count == 64 or cost <= affordable * each
    assert found.has_more == (found.count > 64)


def test_the_cost_of_decoding_is_that_of_its_steps() -> None:
    config = TransformerConfig(vocabulary_size=1000)
    one, two = (decoding_flops(config, 10, target) for target in (8, 16))
    # Twice the steps, each over more positions.
    assert 2 < two / one < 2 * (16 + SLACK) / (8 + SLACK) + 0.2


@pytest.mark.parametrize(
    ("task", "monitor", "answers"),
    [("translation", "loss", False), ("question_answering", "bleu", True), ("summarization", "token_f1", True)],
)
def test_answers_are_measured_for_questions_and_for_whoever_monitors_them(
    task: str, monitor: str, answers: bool
) -> None:
    assert ("exact_match" in names_of(task, monitor)) == answers
