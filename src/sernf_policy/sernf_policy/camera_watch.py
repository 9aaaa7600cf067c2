"""Whether what cameras show may be acted on. Everything that is wrong is named by its topic, with what to do.

A picture counts by its stamp. Cameras fail in more ways than by falling silent: the same picture again and again, pictures late,
of another size, or in another encoding. Each of these stops the policy; each but the encoding ends when it ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sernf_policy.layout import CameraView
from sernf_policy.pictures import Picture

NS_PER_S = 1_000_000_000
ENCODINGS = ("rgb8", "bgr8")


@dataclass(frozen=True, kw_only=True)
class CameraConfig:
    """`oldest_s`: a picture older than this is not acted on. `slop_s`: within which pictures of several cameras belong together.

    `most_repeats`: how often in a row a camera may show the very same picture; no two of a real camera's are alike.
    """

    oldest_s: float = 0.3
    slop_s: float = 0.05
    most_repeats: int = 4

    def __post_init__(self) -> None:
        for name in ("oldest_s", "slop_s"):
            if not 0.0 < getattr(self, name) <= 10.0:
                raise ValueError(f"{name}: expected more than 0 and at most 10 s, got {getattr(self, name)}")
        if self.most_repeats < 1:
            raise ValueError(f"most_repeats: expected 1 or more, got {self.most_repeats}")


@dataclass
class _Camera:
    """What is known of one."""

    stamp_ns: int = 0
    encoding: str = ""
    now_encoding: str = ""
    shape: tuple[int, ...] = ()
    content: bytes = b""
    repeats: int = 0

    def accept(self) -> None:
        """Expect pictures as they are now, if they can be used."""
        if self.now_encoding in ENCODINGS:
            self.encoding = self.now_encoding


class CameraWatch:
    """Takes what arrives; one thread."""

    def __init__(self, config: CameraConfig) -> None:
        self._config = config
        self._cameras: dict[str, _Camera] = {}
        self._pictures: Mapping[str, Picture] = {}
        self._together_ns = 0
        self.received = self.matched_pictures = 0
        """pictures that came, and those of them that were matched with the other cameras'"""

    def arrived(self, name: str, stamp_ns: int, encoding: str, content: bytes) -> None:
        """A message, before it is matched with those of other cameras."""
        camera = self._cameras.setdefault(name, _Camera())
        self.received += 1
        if stamp_ns < camera.stamp_ns:
            return
        camera.stamp_ns, camera.now_encoding = stamp_ns, encoding
        if not camera.encoding:
            camera.accept()
        camera.repeats = camera.repeats + 1 if content == camera.content else 0
        camera.content = content

    def matched(self, stamp_ns: int, pictures: Mapping[str, Picture]) -> None:
        """One picture (H, W, 3) RGB of each camera, taken at the same time; `stamp_ns`: of the oldest."""
        self.matched_pictures += len(pictures)
        if stamp_ns >= self._together_ns:
            self._together_ns, self._pictures = stamp_ns, pictures

    def accept_encodings(self) -> None:
        """Somebody has looked: what cameras send now is what they are expected to send."""
        for camera in self._cameras.values():
            camera.accept()

    @property
    def pictures(self) -> Mapping[str, Picture]:
        """The newest that belong together."""
        return self._pictures

    @property
    def stamp_ns(self) -> int:
        """Of the oldest of them; 0 before the first."""
        return self._together_ns

    def obstacle(self, now_ns: int, views: Sequence[CameraView]) -> str:
        """Why the newest pictures may not be acted on; empty when they may."""
        for view in views:
            trouble = self._trouble(view, now_ns)
            if trouble:
                return f"{camera_topic(view.name)}: {trouble}"
        if views and not self._is_fresh(self._together_ns, now_ns):
            names = ", ".join(view.name for view in views)
            return f"cameras {names}: no pictures taken within {self._config.slop_s:g} s of each other; synchronise their clocks"
        return ""

    def _trouble(self, view: CameraView, now_ns: int) -> str:
        camera, config = self._cameras.get(view.name), self._config
        if camera is None:
            return "no picture yet; is the camera's driver running, and its topic remapped?"
        if not self._is_fresh(camera.stamp_ns, now_ns):
            age_s = (now_ns - camera.stamp_ns) / NS_PER_S
            return f"the newest picture is {age_s:.2f} s old, expected at most {config.oldest_s:g} s; see the camera's driver"
        if camera.now_encoding not in ENCODINGS:
            return f"expected pictures as {' or '.join(ENCODINGS)}, got {camera.now_encoding}; set the driver's encoding"
        if camera.now_encoding != camera.encoding:
            return (
                f"expected {camera.encoding} as before, got {camera.now_encoding}; set it back, or call policy/set_mode if it "
                "is meant"
            )
        if camera.repeats >= config.most_repeats:
            return f"the same picture {camera.repeats + 1} times in a row: it is frozen; restart the camera's driver"
        picture = self._pictures.get(view.name)
        if picture is not None and picture.shape[1::-1] != view.source_px:
            got, expected = (" x ".join(map(str, size)) for size in (picture.shape[1::-1], view.source_px))
            return f"expected pictures of {expected}, got {got}; set the camera's resolution back"
        return ""

    def _is_fresh(self, stamp_ns: int, now_ns: int) -> bool:
        return (now_ns - stamp_ns) / NS_PER_S <= self._config.oldest_s


def camera_topic(name: str) -> str:
    """Topic of a camera's pictures."""
    return f"camera/{name}/image_raw"
