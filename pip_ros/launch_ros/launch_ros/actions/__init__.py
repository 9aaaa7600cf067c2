"""Actions that run nodes."""

from __future__ import annotations

from launch.upstream_only import refuse_attribute

from .node import Node
from .push_ros_namespace import PushROSNamespace, PushRosNamespace

__all__ = ["Node", "PushROSNamespace", "PushRosNamespace"]

__getattr__ = refuse_attribute(
    __name__,
    __all__,
    (
        "ComposableNodeContainer LifecycleNode LifecycleTransition LoadComposableNodes ROSTimer RosTimer SetParameter "
        "SetParametersFromFile SetROSLogDir SetRemap SetUseSimTime"
    ),
    "launch_ros",
)
