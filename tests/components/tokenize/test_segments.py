from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa

from seqline.components.tokenize.segments import hashed, mixed, open_batches, read_tables


def test_the_hashes_are_the_same_in_every_version() -> None:
    # Written down: they decide splits, which of two near duplicates stays, and the order of a corpus's pairs.
    found = hashed([b"", b"a house", "ein Häuschen".encode()])
    assert found.tolist() == [0x2D06800538D394C2, 0x48DEB1B6EA6F224A, 0x8A5950DADD83C326]
    assert mixed(found, found[[1, 2, 0]]).tolist() == [0x2B04EEDA9A346279, 0x8A70A7AAC53B386B, 0xC6B84E85220BEADC]


def test_pairs_have_hashes_of_their_own() -> None:
    one = hashed([str(number).encode() for number in range(300)])
    first, second = np.repeat(one, 300), np.tile(one, 300)
    assert len(np.unique(mixed(first, second))) == 300 * 300


def test_batches_are_read_from_a_local_file_and_from_a_url(tmp_path: Path) -> None:
    for path in (str(tmp_path / "pairs"), "memory://segments/pairs"):
        with fsspec.open(path, "wb") as file, pa.ipc.new_file(file, pa.schema({"line": pa.int64()})) as writer:
            for lines in ([1, 2], [3]):
                writer.write_batch(pa.record_batch({"line": pa.array(lines)}))
        assert open_batches(path).get_batch(1).to_pydict() == {"line": [3]}
        assert [table["line"].to_pylist() for table in read_tables(path)] == [[1, 2], [3]]
