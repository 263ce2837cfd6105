"""From a checkpoint in Hugging Face's format to text: the stages, one after the other, on a small one."""

import json
from pathlib import Path

import pytest

from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus
from seqline.components.snapshot.stage import check_and_snapshot
from seqline.components.tokenize.options import Options as CorpusOptions
from seqline.components.tokenize.stage import tokenize
from seqline.components.train.options import Options
from seqline.tokenizers.host import HostTokenizer, read_tokenizer
from tests import whole_checkpoints


@pytest.mark.e2e(seconds=60)
def test_a_checkpoint_is_fine_tuned_exported_and_takes_text(pairs_file: Path, tmp_path: Path) -> None:
    import tensorflow as tf

    from seqline.components.export.options import DecodingOptions
    from seqline.components.export.stage import export
    from seqline.components.train.stage import train

    folder = whole_checkpoints.write_llama(tmp_path / "checkpoint")
    lines = pairs_file.read_text(encoding="utf-8").splitlines(keepends=True)[:100]
    (tmp_path / "pairs.tsv").write_text("".join(lines), encoding="utf-8")
    data = str(tmp_path / "pairs.tsv")
    given = {
        "data": data,
        "corpus": {"valid_share": 0.1, "test_share": 0.1, "shards": 1, "chat": True, "template": "In German: {source}"},
        "training": {
            "pretrained": str(folder), "epochs": 1, "batch_tokens": 512, "precision": "float32", "decoded_sample": 2,
        },
    }  # fmt: skip
    fingerprint, *_, corpus_options, training = check_and_snapshot(tmp_path / "snapshot", given)
    corpus = tmp_path / "corpus"
    tokenize(data, corpus, tmp_path / "page.html", fingerprint, options=CorpusOptions(**corpus_options))
    train(corpus, tmp_path / "trained", options=Options(**training))
    export(tmp_path / "trained", corpus, tmp_path / "model", DecodingOptions(beam_size=1, max_output_length=6))

    tokenizer = read_tokenizer(Corpus(corpus).tokenizer.read_bytes())
    config = Checkpoint(tmp_path / "trained").read_config().model
    assert config["eos_id"] == tokenizer.end == tokenizer.pad
    # No id without a text is ever an output.
    assert set(range(tokenizer.vocabulary_size, 512)) <= set(config["suppressed_ids"])
    signatures = tf.saved_model.load(str(tmp_path / "model")).signatures
    source = Corpus(corpus).read_text("test")[0]["source"]
    found = signatures["serving_default"](text=tf.constant([source]))
    # Serving reads the prompt that training saw.
    (prompt,) = HostTokenizer(tokenizer).encode_sources([source])
    same = signatures["ids"](ids=tf.constant([prompt], tf.int32))
    assert float(found["score"][0]) == pytest.approx(float(same["score"][0]), abs=1e-5)
    ids = [id_ for id_ in same["ids"].numpy()[0].tolist() if id_ >= 0]
    assert found["text"].numpy()[0].decode() == HostTokenizer(tokenizer).decode([ids])[0]
    scored = signatures["score"](source=tf.constant([source]), target=found["text"])
    assert int(scored["tokens"][0]) > 0
    assert float(scored["log_probability"][0]) < 0
    described = json.loads((tmp_path / "model" / "model.json").read_text(encoding="utf-8"))
    assert described["decoding"]["max_input_length"] > 100
