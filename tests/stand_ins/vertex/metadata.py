"""MetadataService: contexts, such as Experiments and the runs in them."""

from dataclasses import dataclass, field
from typing import Any

from google.cloud.aiplatform_v1 import types

from tests.stand_ins.server import ApiError
from tests.stand_ins.vertex.state import Clock, Collection


@dataclass
class Metadata:
    """The default metadata store.

    Attributes:
        contexts: Experiments and runs.
        children: Names of a context's children, by its name.
    """

    clock: Clock
    contexts: Collection
    children: dict[str, list[str]] = field(default_factory=dict)

    def create_context(self, request: types.CreateContextRequest) -> types.Context:
        """A new context; aiplatform/metadata/constants.py names the schema of Experiments."""
        context = types.Context(request.context)
        if not context.schema_title or not context.schema_version:
            raise ApiError(400, "context.schema_title and context.schema_version are needed")
        self.contexts.add(request.parent, context, request.context_id)
        context.create_time = self.clock.tick()
        return context

    def get_context(self, request: types.GetContextRequest) -> types.Context:
        """One context."""
        return self.contexts.get(request.name)

    def add_context_children(self, request: types.AddContextChildrenRequest) -> Any:
        """Adds children; types/metadata_service.py: those that are children already "are simply skipped"."""
        parent = self.contexts.get(request.context)
        held = self.children.setdefault(parent.name, [])
        for name in request.child_contexts:
            child = self.contexts.get(name).name
            if child not in held:
                held.append(child)
        return types.AddContextChildrenResponse()
