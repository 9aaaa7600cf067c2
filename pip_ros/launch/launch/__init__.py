"""Stand-in for ROS 2's ``launch`` on machines whose ROS 2 comes from PyPI, which lacks that package.

Own code after the documented behaviour of ROS 2 Kilted: the same import names, call signatures and results for the part that
this project uses. Anything else raises an error that says so. Every process runs in a session of its own; a guardian ends them
all when the launch itself is killed.
"""

from .action import Action, LaunchDescriptionEntity, SomeActions
from .conditions import Condition
from .event import Event, EventHandler
from .launch_context import LaunchContext
from .launch_description import LaunchDescription
from .launch_description_sources import LaunchDescriptionSource
from .launch_service import LaunchService
from .substitution import SomeSubstitutionsType, Substitution

__all__ = [
    "Action",
    "Condition",
    "Event",
    "EventHandler",
    "LaunchContext",
    "LaunchDescription",
    "LaunchDescriptionEntity",
    "LaunchDescriptionSource",
    "LaunchService",
    "SomeActions",
    "SomeSubstitutionsType",
    "Substitution",
]
