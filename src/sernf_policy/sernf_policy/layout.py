"""What a policy sees and does, by name: which terms make up its observation, which joints its chunks move, and how far ahead.

A checkpoint carries its layout; whoever loads it compares by name and refuses what does not fit (`LayoutError`), so a joint that
moved to another place in a vector can never be commanded by mistake.
"""

from __future__ import annotations

from dataclasses import dataclass

from sernf_robot.joints import JOINTS

TERM_SIZES = {
    "joint_position": None,
    "commanded_position": None,
    "hand_position": 3,
    "hand_rotation": 6,
    "object_position": 3,
    "object_rotation": 6,
    "object_in_hand": 3,
    "object_at_grasp": 3,
    "object_at_object": 3,
    "object_square": 4,
}
IMAGE = "image"
"""Term -> how many numbers; None: one for each joint. `object_...` terms are written `object_position/NAME`. Any term may end
with `@K`: the same, K control ticks earlier (or as long ago as is known). `image/CAMERA` is what an encoder makes of the newest
picture of a camera; its `CameraView` says how many numbers, and of what part of the picture.

Positions in m in `fr3_link0`, rotations as the first two columns of the rotation matrix, `object_in_hand` in the hand frame (m),
joints in rad. `object_at_grasp` and `object_at_object/NAME:OTHER` look closely: the offset from the point between fingers and
thumb (hand frame), or from another object (base frame), in m, saturating beyond NEAR_M; among the decimetres that positions span,
a centimetre would be lost. `object_square`: how an object stands whose four sides look alike: x and y of its upright axis, cosine
and sine of four times its yaw. `commanded_position`: the joint targets in effect when the observation was made.
"""

NEAR_M = 0.05
LONGEST_AGO = 20
"""Control ticks that a term may look back."""

DUCK_OBSERVATION = (
    "joint_position", "commanded_position", "hand_position", "hand_rotation",
    "object_position/duck", "object_in_hand/duck", "object_position/bowl", "object_in_hand/bowl",
    "object_at_grasp/duck", "object_at_object/duck:bowl",
)  # fmt: skip
"""Without the duck's rotation: nobody grasps by it, and a duck that was rolled over by a missed grasp has one never seen."""


SEEN_OBSERVATION = ("joint_position", "commanded_position", "hand_position", "hand_rotation", "image/front", "image/wrist")
"""From two cameras and the joints alone."""

CUBE_OBSERVATION = (
    "joint_position", "commanded_position", "object_in_hand/cube", "object_square/cube",
    "joint_position@1", "joint_position@2", "commanded_position@1", "commanded_position@2",
    "object_in_hand/cube@2", "object_square/cube@2", "object_square/cube@4",
)  # fmt: skip
"""What fingers press on shows in how far they stay behind their targets, and how things move in what was seen before."""


class LayoutError(ValueError):
    """Two layouts that do not fit; the message says what was expected and what came."""


@dataclass(frozen=True, kw_only=True)
class CameraView:
    """What is seen of one camera: of a picture of `source_px` (width, height) the part `crop` (left, top, right, bottom; shares
    of width and height), resized to `size_px` (width, height). `features`: how many numbers an encoder makes of that.
    """

    name: str
    source_px: tuple[int, int] = (128, 128)
    crop: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    size_px: tuple[int, int] = (64, 64)
    features: int = 32

    def __post_init__(self) -> None:
        left, top, right, bottom = self.crop
        if not (0.0 <= left < right <= 1.0 and 0.0 <= top < bottom <= 1.0):
            raise LayoutError(f"crop of camera {self.name}: expected 0 <= left < right <= 1 and top alike, got {self.crop}")
        if not all(16 <= size <= 4096 for size in (*self.source_px, *self.size_px)):
            raise LayoutError(f"camera {self.name}: expected pictures of 16 to 4096, got {self.source_px} and {self.size_px}")
        if not 1 <= self.features <= 1024:
            raise LayoutError(f"features of camera {self.name}: expected 1 to 1024, got {self.features}")


@dataclass(frozen=True, kw_only=True)
class PolicyLayout:
    """Observation terms, joints and timing of one policy. `joint_names`: the order of actions and joint terms.

    `absolute_joints`: the policy says where these go; of the others it says how far they go from the commanded position. Nothing
    holds a joint of the second kind but what it sees, so joints that act alike everywhere, such as fingers, are better absolute:
    they cannot drift.
    """

    task: str
    observation: tuple[str, ...]
    joint_names: tuple[str, ...] = JOINTS
    absolute_joints: tuple[str, ...] = ()
    cameras: tuple[CameraView, ...] = ()
    horizon: int = 10
    step_period_s: float = 0.05

    def __post_init__(self) -> None:
        if "commanded_position" not in self.observation:
            raise LayoutError("observation: expected the term commanded_position, from which chunks are counted; add it")
        for term in self.observation:
            self.size_of(term)
        seen, views = sorted(set(self._names(IMAGE))), sorted(view.name for view in self.cameras)
        if seen != views:
            raise LayoutError(f"cameras: expected one view of each of {seen}, which the observation names, got {views}")
        for name, values in (("observation", self.observation), ("joint_names", self.joint_names)):
            if len(set(values)) != len(values):
                raise LayoutError(f"{name}: expected every name once, got {', '.join(values)}")
        strangers = sorted(set(self.absolute_joints) - set(self.joint_names))
        if strangers:
            raise LayoutError(f"absolute_joints: expected some of joint_names, got also {', '.join(strangers)}")
        if not 1 <= self.horizon <= 200:
            raise LayoutError(f"horizon: expected 1 to 200 steps, got {self.horizon}")
        if not 0.01 <= self.step_period_s <= 0.1:
            raise LayoutError(f"step_period_s: expected 0.01 to 0.1 (10 to 100 Hz), got {self.step_period_s}")

    @property
    def action_size(self) -> int:
        """A, the number of joints."""
        return len(self.joint_names)

    @property
    def counted(self) -> tuple[bool, ...]:
        """For each joint whether its chunk counts from the commanded position."""
        return tuple(name not in self.absolute_joints for name in self.joint_names)

    @property
    def chunk_size(self) -> int:
        """D = H * A."""
        return self.horizon * self.action_size

    @property
    def observation_size(self) -> int:
        """Length of the observation vector."""
        return sum(self.size_of(term) for term in self.observation)

    @property
    def of_body(self) -> tuple[bool, ...]:
        """For each number of the observation vector whether it does not come from a picture."""
        return tuple(not term.startswith(f"{IMAGE}/") for term in self.observation for _ in range(self.size_of(term)))

    def size_of(self, term: str) -> int:
        """How many numbers `term` is; raises LayoutError for one that is not known."""
        kind, _, camera = ticks_ago(term)[0].partition("/")
        if kind != IMAGE:
            return term_size(term, self.action_size)
        if "@" in term:
            raise LayoutError(f"observation: expected image/CAMERA without @K, got {term}; only the newest picture is seen")
        return self.view_of(camera).features

    def view_of(self, camera: str) -> CameraView:
        """Raises LayoutError."""
        for view in self.cameras:
            if view.name == camera:
                return view
        raise LayoutError(
            f"observation: expected image/CAMERA with one of the cameras {[v.name for v in self.cameras]}, got {camera!r}"
        )

    def slice_of(self, term: str) -> slice:
        """Where the numbers of `term` lie in the observation vector; raises LayoutError when the policy does not see it."""
        start = 0
        for name in self.observation:
            size = self.size_of(name)
            if name == term:
                return slice(start, start + size)
            start += size
        raise LayoutError(f"observation: expected {term} among its terms, got {', '.join(self.observation)}")

    def term_at(self, index: int) -> str:
        """The term that number `index` of the observation vector belongs to."""
        return next(term for term in self.observation if index < self.slice_of(term).stop)

    @property
    def objects(self) -> tuple[str, ...]:
        """Objects whose poses are needed, each once, in the order of their first term."""
        return tuple(dict.fromkeys(name for names in self._names("object_") for name in names.split(":")))

    def _names(self, kind: str) -> list[str]:
        """What stands behind the slash of terms whose kind begins like this."""
        terms = [ticks_ago(term)[0] for term in self.observation]
        return [term.partition("/")[2] for term in terms if term.startswith(kind)]

    @property
    def memory(self) -> int:
        """How many earlier control ticks the policy sees."""
        return max(ticks_ago(term)[1] for term in self.observation)

    def check_joints(self, joint_names: tuple[str, ...]) -> None:
        """Raises LayoutError unless the robot has exactly these joints (in any order)."""
        missing = sorted(set(self.joint_names) - set(joint_names))
        unknown = sorted(set(joint_names) - set(self.joint_names))
        if missing or unknown:
            raise LayoutError(
                f"joints: the policy moves {len(self.joint_names)}, the robot has {len(joint_names)}; "
                f"missing on the robot: {', '.join(missing) or 'none'}; unknown to the policy: {', '.join(unknown) or 'none'}"
            )


def ticks_ago(term: str) -> tuple[str, int]:
    """The term without its `@K`, and K; 0 without. Raises LayoutError."""
    now, at, ago = term.partition("@")
    if at and not (ago.isdecimal() and 1 <= int(ago) <= LONGEST_AGO):
        raise LayoutError(f"observation: expected TERM@K with K from 1 to {LONGEST_AGO}, got '{term}'")
    return now, int(ago or 0)


def term_size(term: str, joints: int) -> int:
    """Numbers of one observation term; raises LayoutError for an unknown one."""
    now, _ = ticks_ago(term)
    kind, slash, name = now.partition("/")
    names = name.split(":") if slash else []
    needed = 2 if kind == "object_at_object" else 1 if kind.startswith("object_") else 0
    if kind not in TERM_SIZES or len(names) != needed or not all(names):
        raise LayoutError(
            f"observation: expected terms out of {', '.join(TERM_SIZES)} (objects as object_position/NAME, pairs as "
            f"object_at_object/NAME:OTHER, any of them as TERM@K with K from 1 to {LONGEST_AGO}), got '{term}'"
        )
    size = TERM_SIZES[kind]
    return joints if size is None else size
