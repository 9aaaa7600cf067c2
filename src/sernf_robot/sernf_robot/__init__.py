"""Facts of the FR3 + ORCA robot, and how configuration files are read."""
