"""A process that only runs SavedModels imports a part of TensorFlow."""

import json
import subprocess
import sys
from types import SimpleNamespace

# The API by way of a model, then a name that only the whole import has.
PROCESS = """
import json, sys
from pathlib import Path
from seqline.lean_tensorflow import import_lean
import_lean()
import tensorflow as tf
from seqline.serving.model import Model
(answer,) = Model(Path(sys.argv[1])).predict(["Straße"], ())
heavy = ("keras", "jax", "h5py", "tensorflow_text", "tensorflow.lite.python.lite", "tensorflow._api.v2.compat.v1")
found = {
    "text": answer.text,
    "heavy": [name for name in heavy if name in sys.modules],
    "wrapped": hasattr(tf, "__wrapped__"),
    "keras": tf.keras.__name__,
    "unknown": hasattr(tf, "no_such_name"),
    "gradient": 0.0,
}
variable = tf.Variable(3.0)
with tf.GradientTape() as tape:
    squared = variable * variable
found["gradient"] = float(tape.gradient(squared, variable))
print(json.dumps(found))
"""


def test_a_saved_model_runs_with_a_part_of_tensorflow_and_the_rest_is_imported_when_it_is_used(
    toy_models: SimpleNamespace,
) -> None:
    done = subprocess.run([sys.executable, "-c", PROCESS, str(toy_models.loud)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("keras").startswith("keras")
    assert found == {"text": "STRAßE", "heavy": [], "wrapped": False, "unknown": False, "gradient": 6.0}
