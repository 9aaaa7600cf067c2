"""Stand-in for ROS 2's ``launch_ros`` on machines whose ROS 2 comes from PyPI, which lacks that package.

Own code after the documented behaviour of ROS 2 Kilted, for the part that this project uses: nodes as processes, their parameters
and remappings, package shares, namespaces. Anything else raises an error that says so. It needs no rclpy of its own.
"""

from . import actions, parameter_descriptions, substitutions

__all__ = ["actions", "parameter_descriptions", "substitutions"]
