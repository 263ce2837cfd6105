"""The search that export compares the program with, compared with the reference on random bigram models."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seqline.components.export.plain import plain_search
from seqline.decoding.search_options import Search
from tests.examples import examples
from tests.seqline.decoding.reference import beam_search, sample

VOCABULARY, BOS, EOS = 9, 2, 3

constraints = {
    "n_best": st.integers(1, 4),
    "min_output_length": st.integers(0, 4),
    "max_output_length": st.integers(1, 12),
    "length_penalty": st.sampled_from([0.0, 0.6, 1.0]),
    "repetition_penalty": st.sampled_from([1.0, 0.7, 1.5]),
    "no_repeat_ngram_size": st.integers(0, 3),
    "early_stop": st.booleans(),
}
sampling = {
    "temperature": st.sampled_from([0.5, 1.0, 3.0]),
    "top_k": st.integers(0, 4),
    "top_p": st.sampled_from([1.0, 0.9, 0.3]),
    "seed": st.integers(0, 99),
}


def compare(options: Search, model: int) -> None:
    table = np.random.default_rng(model).normal(scale=2, size=(VOCABULARY, VOCABULARY)).astype(np.float32)

    def next_logits(prefixes: np.ndarray) -> np.ndarray:
        return table[prefixes[:, -1]]

    reference = sample if options.sampling else beam_search
    expected = reference(next_logits, options, BOS, EOS)
    found = plain_search(next_logits, options, BOS, EOS)
    assert [tuple(ids) for ids, _ in found] == [ids for ids, _ in expected]
    np.testing.assert_allclose([score for _, score in found], [score for _, score in expected], atol=1e-4)


@given(values=st.fixed_dictionaries({**constraints, "beam_size": st.integers(1, 4)}), model=st.integers(0, 99))
def test_it_finds_what_the_reference_finds(values: dict[str, Any], model: int) -> None:
    compare(Search(**values), model)


@examples(25)
@given(values=st.fixed_dictionaries({**constraints, **sampling}), model=st.integers(0, 99))
def test_it_samples_what_the_reference_samples(values: dict[str, Any], model: int) -> None:
    compare(Search(sampling=True, **values), model)
