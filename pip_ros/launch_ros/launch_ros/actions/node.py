"""Nodes as processes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from launch import LaunchContext, SomeSubstitutionsType
from launch.actions import ExecuteProcess
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

from ..parameter_descriptions import evaluate_parameter_dict
from ..substitutions import FindPackagePrefix
from .push_ros_namespace import current_namespace, join_namespace

SomeParameters = Sequence[SomeSubstitutionsType | Mapping[Any, Any]]


class Node(ExecuteProcess):
    """Runs an executable of ``lib/<package>`` as a ROS node.

    executable:    file name below the package's ``lib/<package>``; without ``package`` a path or a name on PATH
    name:          node name; by default the program's own
    namespace:     below the one that PushRosNamespace gave, unless it starts with ``/``
    exec_name:     name in the launch's messages, by default the executable's
    parameters:    YAML files (paths) and dictionaries, later ones win
    remappings:    (from, to) pairs
    arguments:     words before, and ``ros_arguments`` behind ``--ros-args``
    Further keywords are those of ExecuteProcess.
    """

    def __init__(
        self,
        *,
        executable: SomeSubstitutionsType,
        package: SomeSubstitutionsType | None = None,
        name: SomeSubstitutionsType | None = None,
        namespace: SomeSubstitutionsType | None = None,
        exec_name: SomeSubstitutionsType | None = None,
        parameters: SomeParameters | None = None,
        remappings: Iterable[tuple[SomeSubstitutionsType, SomeSubstitutionsType]] | None = None,
        ros_arguments: Iterable[SomeSubstitutionsType] | None = None,
        arguments: Iterable[SomeSubstitutionsType] | None = None,
        **process_keywords: Any,
    ) -> None:
        super().__init__(cmd=[executable], name=exec_name, **process_keywords)
        if isinstance(parameters, (str, Mapping)):
            raise TypeError(
                "Node: expected parameters to be a list of files and dictionaries, got one of them; put it into a list"
            )
        self._package = None if package is None else normalize_to_list_of_substitutions(package)
        self._executable = normalize_to_list_of_substitutions(executable)
        self._node_name = None if name is None else normalize_to_list_of_substitutions(name)
        self._namespace = None if namespace is None else normalize_to_list_of_substitutions(namespace)
        self._parameters = list(parameters or ())
        self._remappings = [
            (normalize_to_list_of_substitutions(source), normalize_to_list_of_substitutions(target))
            for source, target in remappings or ()
        ]
        self._ros_arguments = [normalize_to_list_of_substitutions(word) for word in ros_arguments or ()]
        self._arguments = [normalize_to_list_of_substitutions(word) for word in arguments or ()]

    def describe(self) -> str:
        parts = {"package": self._package, "executable": self._executable, "name": self._node_name, "namespace": self._namespace}
        shown = (f"{key}={' + '.join(sub.describe() for sub in subs)}" for key, subs in parts.items() if subs)
        return f"Node({', '.join(shown)})"

    def _make_command(self, context: LaunchContext) -> list[str]:
        command = [self._find_executable(context)]
        command += [perform_substitutions(context, word) for word in self._arguments]
        command += ["--ros-args", *(perform_substitutions(context, word) for word in self._ros_arguments)]
        if self._node_name is not None:
            command += ["-r", f"__node:={perform_substitutions(context, self._node_name)}"]
        inner = "" if self._namespace is None else perform_substitutions(context, self._namespace)
        namespace = join_namespace(current_namespace(context), inner)
        if namespace:
            command += ["-r", f"__ns:={namespace}"]
        for parameter in self._parameters:
            command += ["--params-file", self._parameter_file(context, parameter)]
        for source, target in self._remappings:
            command += ["-r", f"{perform_substitutions(context, source)}:={perform_substitutions(context, target)}"]
        return command

    def _find_executable(self, context: LaunchContext) -> str:
        executable = perform_substitutions(context, self._executable)
        if self._package is None:
            return executable
        package = perform_substitutions(context, self._package)
        directory = Path(FindPackagePrefix(package).perform(context)) / "lib" / package
        path = directory / executable
        if not (path.is_file() and os.access(path, os.X_OK)):
            found = sorted(file.name for file in directory.glob("*")) if directory.is_dir() else []
            raise RuntimeError(
                f"package '{package}': expected an executable '{executable}' in {directory}, "
                f"found {', '.join(found) or 'none'}; build the package again"
            )
        return str(path)

    def _parameter_file(self, context: LaunchContext, parameter: SomeSubstitutionsType | Mapping[Any, Any]) -> str:
        if not isinstance(parameter, Mapping):
            path = perform_substitutions(context, normalize_to_list_of_substitutions(parameter))
            if not Path(path).is_file():
                raise FileNotFoundError(f"parameter file {path} does not exist")
            return path
        values = evaluate_parameter_dict(context, parameter)
        descriptor, path = tempfile.mkstemp(prefix="launch_params_", suffix=".yaml")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yaml.safe_dump({"/**": {"ros__parameters": values}}, file)
        context.add_cleanup(lambda: Path(path).unlink(missing_ok=True))
        return path
