"""The message SavedModel, without signatures."""

from types import SimpleNamespace

SavedModel = SimpleNamespace(
    FromString=lambda content: SimpleNamespace(meta_graphs=[SimpleNamespace(signature_def={})])
)
