"""Actions of launch files."""

from __future__ import annotations

from ..upstream_only import refuse_attribute
from .configuration import LogInfo, SetEnvironmentVariable, SetLaunchConfiguration
from .declare_launch_argument import DeclareLaunchArgument
from .execute_process import ExecuteProcess
from .flow import EmitEvent, GroupAction, OpaqueFunction, RegisterEventHandler, Shutdown, TimerAction
from .include_launch_description import IncludeLaunchDescription

__all__ = [
    "DeclareLaunchArgument",
    "EmitEvent",
    "ExecuteProcess",
    "GroupAction",
    "IncludeLaunchDescription",
    "LogInfo",
    "OpaqueFunction",
    "RegisterEventHandler",
    "SetEnvironmentVariable",
    "SetLaunchConfiguration",
    "Shutdown",
    "TimerAction",
]

__getattr__ = refuse_attribute(
    __name__,
    __all__,
    (
        "AppendEnvironmentVariable ExecuteLocal ForEach ForLoop LogDebug LogError LogWarning OpaqueCoroutine PopEnvironment "
        "PopLaunchConfigurations PushEnvironment PushLaunchConfigurations ReplaceEnvironmentVariables ResetEnvironment "
        "ResetLaunchConfigurations SetROSLogDir UnregisterEventHandler UnsetEnvironmentVariable UnsetLaunchConfiguration"
    ),
)
