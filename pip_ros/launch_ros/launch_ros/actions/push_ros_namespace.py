"""Namespaces of groups of nodes."""

from __future__ import annotations

from launch import Action, Condition, LaunchContext, SomeSubstitutionsType
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

_KEY = "ros_namespace"


class PushROSNamespace(Action):
    """Nodes after it, up to the end of its GroupAction, live under this namespace; one that starts with ``/`` replaces it."""

    def __init__(self, namespace: SomeSubstitutionsType, *, condition: Condition | None = None) -> None:
        super().__init__(condition=condition)
        self.namespace = normalize_to_list_of_substitutions(namespace)

    def execute(self, context: LaunchContext) -> None:
        namespace = perform_substitutions(context, self.namespace)
        context.launch_configurations[_KEY] = join_namespace(current_namespace(context), namespace)


PushRosNamespace = PushROSNamespace


def current_namespace(context: LaunchContext) -> str:
    """What was pushed so far; empty at the root."""
    return context.launch_configurations.get(_KEY, "")


def join_namespace(outer: str, inner: str) -> str:
    """``inner`` below ``outer``, with a leading and no trailing slash; empty at the root."""
    path = inner if inner.startswith("/") else f"{outer}/{inner}"
    parts = [part for part in path.split("/") if part]
    return "/" + "/".join(parts) if parts else ""
