"""Where the images are."""

import pytest

from seqline.configuration.images import Images
from seqline.errors import UserError

DIGEST = "sha256:" + "0" * 64


def test_an_image_has_the_repository_and_the_tag_of_the_configuration() -> None:
    images = Images(repository="eu.example.org/p", tag="7")
    assert images.reference("seqline/tokenize:0.1.0") == "eu.example.org/p/tokenize:7"


def test_a_digest_counts_more_than_a_tag() -> None:
    images = Images(repository="eu.example.org/p", tag="7", digests={"train": DIGEST})
    assert images.reference("seqline/train:0.1.0") == f"eu.example.org/p/train@{DIGEST}"
    assert images.name(images.reference("seqline/train:0.1.0")) == "train"


def test_without_settings_an_image_is_what_its_contract_says() -> None:
    assert Images().reference("seqline/train-tpu:0.1.0") == "seqline/train-tpu:0.1.0"


def test_an_image_that_is_not_ours_stays_as_it_is() -> None:
    images = Images(repository="eu.example.org/p")
    assert images.reference("gcr.io/ml-pipeline/google-cloud-pipeline-components:2.22.0").startswith("gcr.io/")
    with pytest.raises(UserError, match="not an image of"):
        images.name("gcr.io/other:1")
