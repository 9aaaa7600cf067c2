"""The error of this package."""


class CvBridgeError(TypeError):
    """An image or message that cannot be converted: unknown encoding, wrong type, wrong size, unreadable data."""
