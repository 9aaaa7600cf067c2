"""Stand-in for ROS 2's command line on machines whose ROS 2 comes from PyPI: ``ros2 launch``."""
