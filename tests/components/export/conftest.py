import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from tests.sharing import made_once


@pytest.fixture(scope="session")
def loaded_model(exported_model: Path) -> Any:
    """The exported model, loaded as a server does."""
    import tensorflow_text  # noqa: F401 (registers its ops)

    return tf.saved_model.load(str(exported_model))


@pytest.fixture(scope="session")
def small_model(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gpt as Llama's, one layer of random weights, exported as int8 from a corpus of long pairs."""
    from seqline.artifacts.checkpoint import Checkpoint, CheckpointConfig
    from seqline.artifacts.corpus import Corpus
    from seqline.components.export.options import DecodingOptions
    from seqline.components.export.stage import export
    from seqline.modeling.architectures import make_model
    from seqline.modeling.config import TransformerConfig

    def make(folder: Path) -> None:
        long_pairs = Corpus(shutil.copytree(corpus, folder / "corpus"))
        manifest = json.loads(long_pairs.manifest.read_text(encoding="utf-8"))
        manifest["options"]["max_tokens"] = 512
        long_pairs.manifest.write_text(json.dumps(manifest), encoding="utf-8")
        config = TransformerConfig(
            vocabulary_size=manifest["vocabulary_size"],
            architecture="gpt",
            encoder_layers=0,
            decoder_layers=1,
            hidden_dim=64,
            intermediate_dim=128,
            num_heads=4,
            num_kv_heads=2,
            head_dim=8,
            positions="rotary",
            activation="swiglu",
            attention_bias="none",
            feed_forward_bias=False,
            embedding_scale=False,
            max_length=300,
        )
        checkpoint = Checkpoint(folder / "checkpoint")
        checkpoint.path.mkdir()
        CheckpointConfig(config.to_dict(), {}, manifest["fingerprint"], "en", "de").write(checkpoint.config)
        shutil.copy(long_pairs.path / "tokenizer.model", checkpoint.tokenizer)
        checkpoint.history.write_text("[]", encoding="utf-8")
        tf.keras.utils.set_random_seed(4)
        make_model(config).save_weights(checkpoint.weights)
        options = DecodingOptions(beam_size=2, max_output_length=8, weight_dtype="int8")
        export(checkpoint.path, long_pairs.path, folder / "model", options)

    return made_once(tmp_path_factory, "small", make) / "model"


@pytest.fixture(scope="session")
def loaded_small_model(small_model: Path) -> Any:
    """`small_model`, loaded as a server does."""
    import tensorflow_text  # noqa: F401 (registers its ops)

    return tf.saved_model.load(str(small_model))
