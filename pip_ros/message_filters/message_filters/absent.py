"""What to say about parts of upstream's message_filters that this stand-in lacks."""

PROVIDED = ("ApproximateTimeSynchronizer", "Cache", "SimpleFilter", "Subscriber", "TimeSynchronizer")
UPSTREAM_ONLY = frozenset({"Chain", "DeltaFilter", "InputAligner", "TimeSequencer", "delta_filter", "input_aligner"})


def absent_error(name: str) -> ImportError:
    """The error for an upstream name that is not here; an ImportError keeps its text in ``from message_filters import ...``."""
    return ImportError(
        f"message_filters.{name} is not part of this stand-in, which provides {', '.join(PROVIDED)}. "
        "Install ROS 2's own package (apt install ros-kilted-message-filters) to use it.",
        name="message_filters",
    )
