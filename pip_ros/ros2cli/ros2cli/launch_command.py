"""``ros2 launch``: finds a launch file, shows its arguments, runs it."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory, get_packages_with_prefixes

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.utilities import perform_substitutions

if TYPE_CHECKING:
    SubParsers = argparse._SubParsersAction[argparse.ArgumentParser]


class UsageError(Exception):
    """The command cannot be run as it was given."""


def add_parser(verbs: SubParsers) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "launch",
        help="Run a launch file",
        description="Run a launch file. Ctrl-C ends all its processes: SIGINT, then SIGTERM, then SIGKILL.",
    )
    parser.add_argument("-n", "--noninteractive", action="store_true", help="Run without a terminal")
    parser.add_argument("-d", "--debug", action="store_true", help="Print more of what the launch does, and tracebacks")
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "-p", "--print", "--print-description", action="store_true", help="Print the launch file's actions, run nothing"
    )
    group.add_argument(
        "-s", "--show-args", "--show-arguments", action="store_true", help="Show the launch file's arguments, run nothing"
    )
    parser.add_argument(
        "-a", "--show-all-subprocesses-output", action="store_true", help="Show everything that the processes print"
    )
    parser.add_argument("package_name", help="Package that holds the launch file, or the path of a launch file")
    parser.add_argument("launch_file_name", nargs="?", help="Name of the launch file")
    parser.add_argument(
        "launch_arguments", nargs="*", help="Arguments of the launch file: name:=value; of equal names the last counts"
    )
    parser.set_defaults(main=run)


def run(args: Any) -> int:
    """Do what the parsed arguments say; returns the exit status."""
    try:
        path, words = _launch_file(args)
        values = parse_launch_arguments(words)
        if args.show_args or args.print:
            description = PythonLaunchDescriptionSource(path).get_launch_description(LaunchContext())
            if args.show_args:
                show_arguments(description, sys.stdout)
            else:
                print_description(description, sys.stdout)
            return 0
    except (UsageError, OSError, RuntimeError) as error:
        sys.stderr.write(f"ros2 launch: {error}\n")
        return 1
    if args.show_all_subprocesses_output:
        os.environ["OVERRIDE_LAUNCH_PROCESS_OUTPUT"] = "both"
    service = LaunchService(argv=words, noninteractive=args.noninteractive, debug=args.debug)
    include = IncludeLaunchDescription(PythonLaunchDescriptionSource(path), launch_arguments=values.items())
    service.include_launch_description(LaunchDescription([include]))
    return service.run()


def parse_launch_arguments(words: Sequence[str]) -> dict[str, str]:
    """``name:=value`` words as a dictionary; UsageError for any other word."""
    values: dict[str, str] = {}
    for word in words:
        name, separator, value = word.partition(":=")
        if not separator or not name:
            raise UsageError(f"malformed launch argument '{word}', expected name:=value")
        values[name] = value
    return values


def find_launch_file(package: str, file_name: str) -> str:
    """Path of a launch file anywhere below a package's share directory; UsageError when there is none or several."""
    try:
        share = get_package_share_directory(package)
    except (PackageNotFoundError, ValueError) as error:
        close = difflib.get_close_matches(package, list(get_packages_with_prefixes()), n=1)
        hint = f"did you mean '{close[0]}'?" if close else "build it and source install/setup.bash"
        raise UsageError(f"package '{package}' is not installed in any of AMENT_PREFIX_PATH; {hint}") from error
    found = sorted(Path(directory) / file_name for directory, _, names in os.walk(share, followlinks=True) if file_name in names)
    if not found:
        names = sorted({path.name for path in Path(share).rglob("*.launch.py")})
        raise UsageError(f"no file '{file_name}' below {share}; launch files there: {', '.join(names) or 'none'}")
    if len(found) > 1:
        raise UsageError(f"file '{file_name}' is there several times: {', '.join(map(str, found))}; give the path of one instead")
    return str(found[0])


def show_arguments(description: LaunchDescription, stream: TextIO) -> None:
    """Print every argument with its description, choices and default."""
    arguments = description.get_launch_arguments()
    stream.write("Arguments (pass arguments as '<name>:=<value>'):\n")
    if not arguments:
        stream.write("\n  No arguments.\n")
    for argument in arguments:
        choices = f" Valid choices are: {argument.choices}" if argument.choices else ""
        stream.write(f"\n    '{argument.name}':\n        {argument.description}{choices}\n")
        if argument.default_value is not None:
            context = LaunchContext()
            try:
                default = repr(perform_substitutions(context, argument.default_value))
            except RuntimeError:  # it depends on other arguments
                default = " + ".join(sub.describe() for sub in argument.default_value)
            stream.write(f"        (default: {default})\n")


def print_description(entity: LaunchDescriptionEntity, stream: TextIO, depth: int = 0) -> None:
    """Print the actions as an indented tree."""
    stream.write(f"{'    ' * depth}{entity.describe()}\n")
    for inner in entity.describe_sub_entities():
        print_description(inner, stream, depth + 1)


def _launch_file(args: Any) -> tuple[str, list[str]]:
    words = list(args.launch_arguments)
    names_a_file = args.launch_file_name is not None and ":=" not in args.launch_file_name
    # Unlike upstream, a package wins over a file of its name in the present folder when a launch file is named too.
    if Path(args.package_name).is_file() and not names_a_file:
        return args.package_name, ([] if args.launch_file_name is None else [args.launch_file_name]) + words
    if os.sep in args.package_name:
        raise UsageError(f"launch file {args.package_name} does not exist")
    if args.launch_file_name is None:
        raise UsageError(f"expected the name of a launch file after package '{args.package_name}'")
    return find_launch_file(args.package_name, args.launch_file_name), words
