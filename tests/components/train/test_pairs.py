"""Reading a corpus from disk: every pair once an epoch, for any number of workers; damage is one message."""

import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.artifacts.corpus import Corpus
from seqline.components.train import pairs as reading
from seqline.components.train.batches import Batches
from seqline.components.train.corpus_files import local_corpus
from seqline.components.train.epochs import EpochBatches
from seqline.components.train.lengths import Lengths
from seqline.components.train.packing import Packs
from seqline.components.train.pairs import HeldPairs, Pair, StoredPairs
from seqline.components.train.records import read_data, sample, stored
from seqline.errors import UserError
from seqline.modeling.config import TransformerConfig
from tests.components.train.shards import empty_corpus, write_pairs, write_tokens
from tests.examples import examples

CONFIG = TransformerConfig(vocabulary_size=500, hidden_dim=8, num_heads=2)
GPT = CONFIG.with_values(architecture="gpt", encoder_layers=0, max_length=64)
LENGTHS = st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=80)


def numbered(lengths: list[tuple[int, int]]) -> list[Pair]:
    """Pairs whose target begins with their number."""
    return [
        (np.full(left, 5, np.int32), np.array([20 + number] + [9] * (right - 1), np.int32))
        for number, (left, right) in enumerate(lengths)
    ]


def on_disk(folder: Path, pairs: list[Pair], shards: int, **windows: int) -> StoredPairs:
    """The pairs as a corpus has them."""
    empty_corpus(folder)
    write_tokens(folder, "train", *(pairs[number::shards] for number in range(shards)))
    return StoredPairs(stored(Corpus(folder), "train"), **windows)


def numbers_of(parts: list[Any]) -> Counter[int]:
    """How often each pair's target is in the batches."""
    ids = np.concatenate([expected.ravel() for _, expected in parts])
    return Counter(int(token) - 20 for token in ids if token >= 20)


def assert_equal(parts: list[Any], others: list[Any]) -> None:
    """Asserts that parts are the same arrays in the same order."""
    assert len(parts) == len(others)
    for (fields, expected), (other_fields, other_expected) in zip(parts, others, strict=True):
        for one, other in zip((*fields, expected), (*other_fields, other_expected), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that examples write to."""
    return tmp_path_factory.mktemp("pairs")


@examples(25)
@given(
    lengths=LENGTHS,
    shards=st.integers(1, 3),
    window=st.integers(1, 90),
    replicas=st.integers(1, 9),
    kind=st.sampled_from([(Batches, CONFIG), (Packs, GPT)]),
    seed=st.integers(0, 3),
)
def test_every_pair_comes_once_an_epoch_for_any_number_of_workers(
    folder: Path, lengths: list[tuple[int, int]], shards: int, window: int, replicas: int, kind: Any, seed: int
) -> None:
    made, config = kind
    pairs = on_disk(folder, numbered(lengths), min(shards, len(lengths)), window_pairs=window)
    batches: EpochBatches[Any] = made(pairs, config, 128, replicas=replicas)
    for epoch in (0, 1):
        workers = [list(batches.parts(seed, epoch, 0, [replica])) for replica in range(replicas)]
        assert {len(parts) for parts in workers} == {len(batches)}
        assert numbers_of([part for parts in workers for part in parts]) == Counter(range(len(lengths)))
        # Replicas work on one shape at a time.
        for step in zip(*workers, strict=True):
            assert len({expected.shape for _, expected in step}) == 1
        together = list(batches.parts(seed, epoch, 0, range(replicas)))
        assert_equal(together, [part for step in zip(*workers, strict=True) for part in step])


@examples(15)
@given(
    lengths=LENGTHS,
    window=st.integers(1, 90),
    skip=st.integers(0, 30),
    kind=st.sampled_from([(Batches, CONFIG), (Packs, GPT)]),
)
def test_an_epoch_that_resumes_is_the_rest_of_the_same_epoch(
    folder: Path, lengths: list[tuple[int, int]], window: int, skip: int, kind: Any
) -> None:
    made, config = kind
    batches: EpochBatches[Any] = made(on_disk(folder, numbered(lengths), 1, window_pairs=window), config, 64)
    assert_equal(list(batches.parts(1, 2, 0, [0]))[skip:], list(batches.parts(1, 2, skip, [0])))


@examples(10)
@given(lengths=LENGTHS, window=st.integers(4, 90))
def test_one_two_four_and_eight_workers_share_the_same_batches(
    folder: Path, lengths: list[tuple[int, int]], window: int
) -> None:
    pairs = on_disk(folder, numbered(lengths), 1, window_pairs=window)
    found = []
    for replicas in (1, 2, 4, 8):
        batches = Batches(pairs, CONFIG, 256, replicas=replicas)
        parts = [expected for _, expected in batches.parts(1, 0, 0, range(replicas))]
        steps = [np.concatenate(parts[first : first + replicas]) for first in range(0, len(parts), replicas)]
        found.append([sorted(map(tuple, step.tolist())) for step in steps])
    assert found[0] == found[1] == found[2] == found[3]


def test_a_worker_reads_its_part_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = on_disk(tmp_path / "corpus", numbered([(10, 10)] * 400), 2)
    batches = Batches(pairs, CONFIG, 88, replicas=4)
    monkeypatch.setattr(reading, "ROWS", 16)
    read: list[int] = []
    plain = reading._read

    def counting(file: Path, kind: Any, first: int, count: int) -> np.ndarray:
        if file.suffix == ".ids":
            read.append(count)
        return plain(file, kind, first, count)

    monkeypatch.setattr(reading, "_read", counting)
    for replica in range(4):
        read.clear()
        list(batches.parts(1, 0, 0, [replica]))
        assert sum(read) == 400 * 20 // 4


def test_other_seeds_and_epochs_have_other_orders(tmp_path: Path) -> None:
    batches = Batches(on_disk(tmp_path, numbered([(3, 3)] * 64), 2, window_pairs=20), CONFIG, 32)
    orders = {
        tuple(np.concatenate([expected[:, 0] for _, expected in batches.parts(seed, epoch, 0, [0])]).tolist())
        for seed, epoch in ((1, 0), (1, 1), (2, 0), (1, 0))
    }
    assert len(orders) == 3


@examples(20)
@given(
    pairs=st.lists(st.tuples(*[st.lists(st.integers(0, 2**31 - 1), max_size=9)] * 2), min_size=1, max_size=30),
    cut=st.integers(0, 30),
)
def test_ids_of_any_size_are_read_as_they_were_written(
    folder: Path, pairs: list[tuple[list[int], list[int]]], cut: int
) -> None:
    listed: list[Pair] = [(np.array(left, np.int32), np.array(right, np.int32)) for left, right in pairs]
    empty_corpus(folder, "uint32")
    write_tokens(folder, "train", listed[:cut], listed[cut:])
    found = StoredPairs(stored(Corpus(folder), "train"), window_pairs=7).listed()
    assert [(left.tolist(), right.tolist()) for left, right in found] == pairs


def test_an_id_that_does_not_fit_the_type_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="a token's id is outside the vocabulary"):
        write_tokens(empty_corpus(tmp_path), "train", [(np.array([1 << 16]), np.array([1]))])


@given(lengths=LENGTHS)
def test_counted_lengths_are_those_of_the_pairs(lengths: list[tuple[int, int]]) -> None:
    table = Lengths.of(np.array(lengths))
    found = zip(table.source.tolist(), table.target.tolist(), table.counts.tolist(), strict=True)
    assert {(left, right): count for left, right, count in found} == Counter(lengths)
    assert table.pairs == len(lengths)
    assert table.longest_pair == max(map(sum, lengths))


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 2)


def extend(file: Path) -> None:
    with file.open("ab") as content:
        content.write(b"\0\0")


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[2] ^= 1
    file.write_bytes(content)


def swap(file: Path) -> None:
    """Exchanges the lengths of two pairs: their sum stays."""
    lengths = np.fromfile(file, "<u4").reshape(-1, 2)
    lengths[:] = lengths[::-1]
    lengths.tofile(file)


def remove(file: Path) -> None:
    file.unlink()


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A corpus of a few pairs."""
    corpus = empty_corpus(tmp_path / "corpus")
    write_pairs(corpus, "train", [(5, 6)] * 20 + [(3, 2)] * 20, [(4, 4)] * 9)
    write_pairs(corpus, "valid", [(3, 4)] * 5)
    return corpus


DAMAGES = [
    (cut, "ids", "has 878 bytes, and manifest.json says 880"),
    (cut, "lengths", "has 318 bytes, and manifest.json says 320"),
    (extend, "ids", "has 882 bytes, and manifest.json says 880"),
    (flip, "ids", "its CRC-32C is [0-9a-f]{8}, and manifest.json says [0-9a-f]{8}; tokenize again, or copy"),
    (flip, "lengths", "its CRC-32C is"),
    (swap, "lengths", "its CRC-32C is"),
    (remove, "ids", "the corpus .* is incomplete: .* is missing; tokenize again"),
]


@pytest.mark.parametrize("bucket", [False, True], ids=["disk", "bucket"])
@pytest.mark.parametrize(("damage", "suffix", "message"), DAMAGES)
def test_a_damaged_file_is_one_message_with_its_name(
    made: Path,
    damage: Callable[[Path], None],
    suffix: str,
    message: str,
    bucket: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_pairs(made, "train", [(5, 6), (6, 5)] * 20)
    monkeypatch.setenv("SEQLINE_BUCKETS", str(made) if bucket else "")
    file = made / f"train-00000-of-00001.{suffix}"
    damage(file)
    with pytest.raises(UserError, match=message) as raised, local_corpus(Corpus(made)):
        pass
    assert file.name in str(raised.value)
    assert str(made) in str(raised.value)


def test_lengths_that_do_not_fit_the_ids_are_refused_before_anything_is_read(made: Path) -> None:
    file = made / "train-00000-of-00002.lengths"
    lengths = np.fromfile(file, "<u4")
    lengths[0] += 1
    lengths.tofile(file)
    with pytest.raises(UserError, match=rf"{file} is damaged: its lengths add up to 321 tokens, and .*ids has 320"):
        read_data(Corpus(made))


def test_a_corpus_in_a_bucket_is_copied_in_pieces_and_the_copy_is_deleted(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQLINE_BUCKETS", str(made))
    monkeypatch.setattr("seqline.components.train.corpus_files.RANGE", 100)
    with local_corpus(Corpus(made)) as copy:
        assert copy.path != made
        for file in copy.path.iterdir():
            assert file.read_bytes() == (made / file.name).read_bytes()
        assert len(read_data(copy).train) == 49
    assert not copy.path.exists()


def test_a_copy_without_room_is_refused_before_it_begins(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQLINE_BUCKETS", str(made))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 0))  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=r"only 0\.0 GB are free in .*use a larger disk, or set TMPDIR"):
        local_corpus(Corpus(made)).__enter__()


def test_a_file_that_is_cut_while_it_is_read_is_one_message(made: Path) -> None:
    batches = Batches(StoredPairs(stored(Corpus(made), "train")), CONFIG, 128)
    cut(made / "train-00000-of-00002.ids")
    with pytest.raises(UserError, match=r"train-00000-of-00002.ids was truncated during training"):
        list(batches.parts(1, 0, 0, [0]))
    with pytest.raises(Exception, match="was truncated during training"):
        list(batches.dataset(1, 0))
    assert batches.problem is not None


def test_many_validation_pairs_are_sampled_by_their_hashes(caplog: pytest.LogCaptureFixture) -> None:
    pairs = numbered([(1 + number % 7, 1 + number % 5) for number in range(300)])
    with caplog.at_level(logging.INFO):
        chosen = sample(HeldPairs(pairs), 30)
    assert "validating on 30 of 300 pairs, the same in every run" in caplog.text
    numbers = [int(right[0]) - 20 for _, right in chosen]
    assert len(set(numbers)) == 30
    # Neither the order nor most of the other pairs decide.
    others = [int(right[0]) - 20 for _, right in sample(HeldPairs(pairs[::-1]), 30)]
    assert sorted(others) == numbers
    fewer = {int(right[0]) - 20 for _, right in sample(HeldPairs(pairs[:200]), 30)}
    assert {number for number in numbers if number < 200} <= fewer
    assert len(sample(HeldPairs(pairs), 300)) == 300


def test_a_sample_of_several_windows_is_that_of_one(tmp_path: Path) -> None:
    pairs = numbered([(2, 3)] * 60)
    several = sample(on_disk(tmp_path, pairs, 1, window_pairs=11), 20)
    for (_, right), (_, other) in zip(several, sample(HeldPairs(pairs), 20), strict=True):
        np.testing.assert_array_equal(right, other)
