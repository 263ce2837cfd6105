import json
import random
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

WORDS = {
    "red": "rot",
    "green": "grün",
    "blue": "blau",
    "one": "eins",
    "two": "zwei",
    "three": "drei",
    "house": "Haus",
    "tree": "Baum",
    "and": "und",
    "river": "Fluss",
}


@pytest.fixture(scope="session")
def pairs_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few hundred pairs that a small model can learn: word for word."""
    chooser = random.Random(7)
    sources = {" ".join(chooser.choices(list(WORDS), k=chooser.randint(2, 5))) for _ in range(500)}
    lines = [f"{source}\t{' '.join(WORDS[word] for word in source.split())}" for source in sorted(sources)]
    path = tmp_path_factory.mktemp("data") / "pairs.tsv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def corpus(pairs_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus that tokenize makes of `pairs_file`."""
    from components.tokenize.options import Options
    from components.tokenize.stage import tokenize

    folder = tmp_path_factory.mktemp("corpus")
    options = Options(vocabulary_size=320, valid_share=0.1, test_share=0.1, shards=2)
    tokenize(str(pairs_file), folder / "corpus", folder / "report.html", options=options)
    return folder / "corpus"


@pytest.fixture(scope="session")
def checkpoint(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of two epochs: real, and not good."""
    from components.train.stage import Options, train

    folder = tmp_path_factory.mktemp("checkpoint")
    train(corpus, folder / "checkpoint", options=Options(preset="demo", epochs=2, batch_tokens=512))
    return folder / "checkpoint"


@pytest.fixture(scope="session")
def exported_model(checkpoint: Path, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SavedModel of `checkpoint`."""
    from components.export.stage import Decoding, export

    folder = tmp_path_factory.mktemp("model")
    export(checkpoint, corpus, folder / "model", Decoding(beam_size=2, max_output_length=16))
    return folder / "model"


@pytest.fixture(scope="session")
def toy_models(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Two SavedModels with the serving signature, quick to load: one shouts, one whispers; and one that fails."""
    import tensorflow as tf

    root = tmp_path_factory.mktemp("toys")

    def save(name: str, change: object) -> Path:
        class Toy(tf.Module):
            @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="text")])
            def serve(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
                return {"text": change(text), "score": tf.zeros(tf.shape(text)[0])}  # type: ignore[operator]

        toy = Toy()
        tf.saved_model.save(toy, str(root / name), signatures={"serving_default": toy.serve})
        description = {
            "schema_version": 1,
            "fingerprint": name,
            "source_language": "en",
            "target_language": "de",
            "decoding": {"beam_size": 1, "length_penalty": 0.0, "max_input_length": 9, "max_output_length": 9},
            "corpus_fingerprint": "c",
            "created": "2026-01-01T00:00:00+00:00",
            "tensorflow": tf.__version__,
        }
        (root / name / "model.json").write_text(json.dumps(description))
        return root / name

    def fail(text: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies([tf.debugging.Assert(tf.size(text) < 0, ["this model is broken"])]):
            return tf.identity(text)

    return SimpleNamespace(
        loud=save("loud", tf.strings.upper), quiet=save("quiet", tf.strings.lower), broken=save("broken", fail)
    )


@pytest.fixture
def vertex() -> Iterator[Any]:
    """The Vertex API on loopback, a `tests.stand_ins.vertex.VertexStandIn`, empty."""
    from tests.stand_ins.vertex import VertexStandIn

    with VertexStandIn.running() as running:
        yield running
