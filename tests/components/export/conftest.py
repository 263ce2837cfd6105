from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf


@pytest.fixture(scope="session")
def loaded_model(exported_model: Path) -> Any:
    """The exported model, loaded as a server does."""
    import tensorflow_text  # noqa: F401 (registers its ops)

    return tf.saved_model.load(str(exported_model))
