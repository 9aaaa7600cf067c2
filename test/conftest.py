"""Every test talks in a ROS domain of its own, so that nothing of another test or of a running robot is heard."""

from __future__ import annotations

import os

os.environ.setdefault("ROS_DOMAIN_ID", str(50 + os.getpid() % 40))
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
