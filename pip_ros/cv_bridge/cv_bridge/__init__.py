"""Stand-in for ROS 2's ``cv_bridge`` (Python) on machines whose ROS 2 comes from PyPI, which lacks that package.

Own code after the documented behaviour: ``CvBridge`` with all its conversions. Needs OpenCV 4 or 5 (cv2) and numpy.
"""

from .conversion import cvtColor2
from .core import CvBridge, getCvType
from .errors import CvBridgeError

__all__ = ["CvBridge", "CvBridgeError", "cvtColor2", "getCvType"]


def __getattr__(name: str) -> object:
    """Explain the missing upstream name, so that ``from cv_bridge import cvtColorForDisplay`` says what to do (ImportError)."""
    if name == "cvtColorForDisplay":
        raise ImportError(
            f"cv_bridge.{name} is not part of this stand-in, which provides {', '.join(__all__)}. "
            "Install ROS 2's own package (apt install ros-kilted-cv-bridge) to use it.",
            name=__name__,
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
