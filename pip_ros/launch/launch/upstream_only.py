"""Errors for what ROS 2's own packages can do and these stand-ins cannot.

Each error names the missing thing, says what there is, and names the ROS package to install.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping


def refuse_attribute(module: str, provided: Iterable[str], upstream: str, ros_package: str = "launch") -> Callable[[str], object]:
    """A module's ``__getattr__``: ImportError for upstream's further names, AttributeError for any other name.

    upstream: the further names, separated by spaces
    """
    provided, further = tuple(provided), frozenset(upstream.split())

    def getattr_of_module(name: str) -> object:
        if name in further:
            raise ImportError(
                f"{module}.{name} is not part of this stand-in, which provides {', '.join(provided)}. "
                f"{install_hint(ros_package)}",
                name=module,
            )
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return getattr_of_module


def refuse_keywords(owner: object, keywords: Mapping[str, object], ros_package: str = "launch") -> None:
    """TypeError when there are keywords left that this stand-in does not know."""
    if keywords:
        names = ", ".join(sorted(keywords))
        raise TypeError(f"{type(owner).__name__}: argument {names} is not part of this stand-in. {install_hint(ros_package)}")


def install_hint(ros_package: str) -> str:
    """One sentence that names the package to install."""
    return f"Install ROS 2's own package (apt install ros-kilted-{ros_package.replace('_', '-')}) to use it."
