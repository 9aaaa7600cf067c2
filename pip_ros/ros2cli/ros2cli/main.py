"""The ``ros2`` command. It knows ``launch``; any other verb says what to install."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from . import launch_command

_UPSTREAM_VERBS = (
    "action bag component control daemon doctor extension_points extensions interface lifecycle multicast node param pkg plugin "
    "run security service test topic trace wtf"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in _UPSTREAM_VERBS.split():
        sys.stderr.write(
            f"ros2: '{words[0]}' is not part of this stand-in, which provides launch. "
            "Install ROS 2's own command line (apt install ros-kilted-ros2cli-common-extensions) to use it.\n"
        )
        return 2
    parser = argparse.ArgumentParser(
        prog="ros2",
        description="ROS 2 command line of a machine whose ROS 2 comes from PyPI. Only 'launch' is here; "
        "the other verbs need a ROS 2 installation.",
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    launch_command.add_parser(verbs)
    args = parser.parse_args(words)
    return int(args.main(args))


if __name__ == "__main__":
    sys.exit(main())
