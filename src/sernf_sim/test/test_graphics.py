"""Which graphics library is used, and what is said when there is none."""

from __future__ import annotations

import ctypes.util

import mujoco
import pytest

from sernf_sim.graphics import OffscreenPicture, RenderError, choose_library


@pytest.mark.parametrize(("value", "library"), [("egl", "egl"), (" OSMesa ", "osmesa")])
def test_the_variable_decides(monkeypatch: pytest.MonkeyPatch, value: str, library: str) -> None:
    monkeypatch.setenv("MUJOCO_GL", value)
    assert choose_library() == library


def test_a_library_that_needs_a_display_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "glfw")
    with pytest.raises(RenderError, match="expected egl or osmesa or nothing"):
        choose_library()


@pytest.mark.parametrize(("installed", "library"), [({"EGL", "OSMesa"}, "egl"), ({"OSMesa"}, "osmesa")])
def test_without_the_variable_what_is_installed_decides(
    monkeypatch: pytest.MonkeyPatch, installed: set[str], library: str
) -> None:
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: name if name in installed else None)
    assert choose_library() == library


def test_says_what_to_install_when_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    with pytest.raises(RenderError, match="apt install libegl1"):
        choose_library()


def test_closing_twice_is_harmless_and_closed_is_closed() -> None:
    spec = mujoco.MjSpec()
    spec.worldbody.add_camera(name="eye")
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    picture = OffscreenPicture(model, 32, 16, fine=False)
    assert picture.take(data, "eye", mujoco.MjvOption()).shape == (16, 32, 3)
    picture.close()
    picture.close()
    with pytest.raises(RenderError, match="closed"):
        picture.take(data, "eye", mujoco.MjvOption())
