from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.artifacts.corpus import Corpus
from seqline.components.train.batches import Batches
from seqline.components.train.copy_exercises import LONGEST, CopyExercises
from seqline.components.train.options import Options
from seqline.components.train.pairs import HeldPairs
from seqline.components.train.plan import make_plan
from seqline.components.train.records import read_data
from seqline.errors import UserError
from seqline.modeling.config import TransformerConfig
from tests.examples import examples

CONFIG = TransformerConfig(vocabulary_size=900, hidden_dim=8, num_heads=2)
LENGTHS = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 12)), min_size=1, max_size=60)


def batches(lengths: list[tuple[int, int]], exercised: int, replicas: int = 1) -> Batches:
    """Sources of distinct tokens, and targets that no source has."""
    pairs = [(np.arange(4, 4 + left, dtype=np.int32), np.full(right, 800, np.int32)) for left, right in lengths]
    exercises = CopyExercises(CONFIG, exercised) if exercised else None
    return Batches(HeldPairs(pairs), CONFIG, 256, replicas=replicas, by_source=True, exercises=exercises)


def rows(found: Any) -> list[tuple[list[int], list[int], list[int]]]:
    return [
        tuple([token for token in side.tolist() if token != 0] for side in row)
        for (source, entered), expected in found
        for row in zip(source, entered, expected, strict=True)
    ]


@examples(20)
@given(lengths=LENGTHS, seed=st.integers(0, 9))
def test_an_exercise_is_the_source_with_a_marked_span_as_its_target(lengths: list[tuple[int, int]], seed: int) -> None:
    plain, changed = (rows(batches(lengths, number).parts(seed, 0, 0, [0])) for number in (0, 1000))
    for (source, entered, expected), (was_source, *was) in zip(changed, plain, strict=True):
        if CONFIG.bos_id not in source:
            assert (source, entered, expected) == (was_source, *was)
            continue
        first, second = (index for index, token in enumerate(source) if token == CONFIG.bos_id)
        span = source[first + 1 : second]
        assert 1 <= len(span) <= LONGEST
        assert entered == [CONFIG.bos_id, *span]
        assert expected == [*span, CONFIG.eos_id]
        # All but two tokens, in their order: as long as the source was.
        assert [token for token in source if token != CONFIG.bos_id] == was_source[2:]
        assert len(source) == len(was_source)


def test_half_of_the_pairs_are_replaced_in_the_first_batches_only() -> None:
    made, lengths = [], [(20, 9)] * 4000
    whole = batches(lengths, 7)
    for epoch in range(2):
        made += [np.mean([2 in source for source, *_ in rows([one])]) for one in whole.parts(1, epoch, 0, [0])]
    assert 0.3 < np.mean(made[:7]) < 0.7
    assert max(made[7:]) == 0
    # The first batches of the training, not of an epoch.
    further = batches(lengths, len(whole) + 3)
    assert sum(2 in source for source, *_ in rows(further.parts(1, 1, 2, [0]))) > 0
    assert sum(2 in source for source, *_ in rows(further.parts(1, 1, 3, [0]))) == 0


@examples(8)
@given(lengths=LENGTHS, skip=st.integers(0, 4))
def test_a_training_that_resumes_and_one_on_several_devices_have_the_same_exercises(
    lengths: list[tuple[int, int]], skip: int
) -> None:
    whole = batches(lengths, 5, replicas=2)
    expected = rows(whole.parts(3, 0, 0, [0, 1]))
    assert expected == rows(whole.parts(3, 0, 0, [0, 1]))
    parts = [rows([part]) for part in whole.parts(3, 0, 0, [0, 1])]
    for replica in (0, 1):
        found = [rows([part]) for part in whole.parts(3, 0, skip, [replica])]
        assert found == parts[replica::2][skip:]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"architecture": "gpt", "copy_warmup_steps": 9}, "copy_warmup_steps cannot be set with architecture gpt, "),
        ({"architecture": "gpt", "pointer": True}, "pointer cannot be set with architecture gpt, which has no encoder"),
        ({"pretrained": "x", "pointer": True}, "pointer cannot be set with pretrained: the model's shape is that of"),
        ({"pretrained": "x", "copy_warmup_steps": 9}, "copy_warmup_steps is for random weights"),
    ],
)
def test_what_cannot_copy_is_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        Options(**options)
    assert message in str(error.value)


def test_training_has_exercises_and_validation_none(corpus: Path) -> None:
    options = Options(preset="demo", copy_warmup_steps=3, gradient_accumulation_steps=2)
    plan = make_plan(options, read_data(Corpus(corpus)), 1)
    assert isinstance(plan.train, Batches)
    assert isinstance(plan.valid, Batches)
    assert plan.train.exercises == CopyExercises(plan.config, 6)
    assert plan.valid.exercises is None
