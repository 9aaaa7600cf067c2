"""Where launch descriptions come from."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .substitution import (
    SomeSubstitutionsType,
    describe_substitutions,
    normalize_to_list_of_substitutions,
    perform_substitutions,
)
from .upstream_only import install_hint, refuse_attribute

if TYPE_CHECKING:
    from .launch_context import LaunchContext
    from .launch_description import LaunchDescription

__all__ = ["PythonLaunchDescriptionSource", "get_launch_description_from_python_launch_file"]


class LaunchDescriptionSource:
    """A place that a description can be read from."""

    def __init__(self, location: SomeSubstitutionsType) -> None:
        self._location = normalize_to_list_of_substitutions(location)

    @property
    def location(self) -> str:
        """The place, for messages."""
        return describe_substitutions(self._location)

    def get_launch_description(self, context: LaunchContext) -> LaunchDescription:
        """The description. Raises OSError or RuntimeError when there is none."""
        return get_launch_description_from_python_launch_file(perform_substitutions(context, self._location))


class PythonLaunchDescriptionSource(LaunchDescriptionSource):
    """A Python file with a function ``generate_launch_description``."""

    def __init__(self, launch_file_path: SomeSubstitutionsType) -> None:
        super().__init__(launch_file_path)


def get_launch_description_from_python_launch_file(python_launch_file_path: str) -> LaunchDescription:
    """Run a launch file's ``generate_launch_description``."""
    module = _load(Path(python_launch_file_path))
    generate = getattr(module, "generate_launch_description", None)
    if not callable(generate):
        raise RuntimeError(f"{python_launch_file_path}: expected a function generate_launch_description(), found none")
    description: LaunchDescription = generate()
    return description


def _load(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"launch file {path} does not exist")
    if path.suffix != ".py":
        raise RuntimeError(f"{path}: only Python launch files are part of this stand-in. {install_hint('launch')}")
    spec = importlib.util.spec_from_file_location("launch_file", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


__getattr__ = refuse_attribute(
    __name__,
    __all__,
    "AnyLaunchDescriptionSource FrontendLaunchDescriptionSource XMLLaunchDescriptionSource YAMLLaunchDescriptionSource",
)
