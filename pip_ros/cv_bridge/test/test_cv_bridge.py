"""CvBridge both ways: nothing is lost, memory is shared where that is promised, and what cannot be is refused with a reason."""

from __future__ import annotations

import sys
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

import cv_bridge
from cv_bridge import CvBridge, CvBridgeError

BRIDGE = CvBridge()
DTYPES = ["uint8", "int8", "uint16", "int16", "int32", "float32", "float64"]
BAYER = [f"bayer_{pattern}{bits}" for pattern in ("rggb", "bggr", "gbrg", "grbg") for bits in (8, 16)]
CHANNELS = {"mono": 1, "rgb": 3, "bgr": 3, "rgba": 4, "bgra": 4}
NAMED = [
    *((f"{name}{bits}", f"uint{bits}", channels) for name, channels in CHANNELS.items() for bits in (8, 16)),
    *((name, "uint16" if name.endswith("16") else "uint8", 1) for name in BAYER),
    *((name, "uint8", 2) for name in ("yuv422", "yuv422_yuy2", "uyvy", "yuyv")),
]
sides = st.integers(1, 9)


@st.composite
def images(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    dtype = np.dtype(draw(st.sampled_from(DTYPES))).newbyteorder(draw(st.sampled_from("<>")))
    shape = (draw(sides), draw(sides), *draw(st.sampled_from([(), (2,), (3,), (4,), (7,)])))
    image = draw(arrays(dtype, shape))
    return image[::2, ::-1] if draw(st.booleans()) else image


@given(images())
def test_an_image_comes_back_as_it_went(image: np.ndarray[Any, Any]) -> None:
    msg = BRIDGE.cv2_to_imgmsg(image)
    assert msg.step * msg.height == len(msg.data)
    assert (msg.height, msg.width) == image.shape[:2]
    assert bool(msg.is_bigendian) == (image.dtype.newbyteorder("<") != image.dtype)
    back = BRIDGE.imgmsg_to_cv2(msg)
    assert back.dtype == image.dtype.newbyteorder("=")
    assert back.dtype.isnative
    assert back.flags.c_contiguous
    np.testing.assert_array_equal(back, image)


@given(images(), st.integers(1, 17), st.booleans())
def test_padded_rows_are_cut(image: np.ndarray[Any, Any], padding: int, last_row_padded: bool) -> None:
    msg = BRIDGE.cv2_to_imgmsg(image)
    rows = np.frombuffer(msg.data, np.uint8).reshape(msg.height, msg.step)
    data = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xEE).tobytes()
    padded = Image(height=msg.height, width=msg.width, encoding=msg.encoding, is_bigendian=msg.is_bigendian)
    padded.step = msg.step + padding
    padded.data = data if last_row_padded else data[:-padding]
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(padded), image)


@pytest.mark.parametrize(("encoding", "dtype", "channels"), NAMED)
def test_every_named_encoding_goes_both_ways(encoding: str, dtype: str, channels: int) -> None:
    assert BRIDGE.encoding_to_dtype_with_channels(encoding) == (dtype, channels)
    shape = (4, 6) if channels == 1 else (4, 6, channels)
    image = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    msg = BRIDGE.cv2_to_imgmsg(image, encoding)
    assert msg.encoding == encoding
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(msg), image)
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(msg, encoding), image)


@pytest.mark.parametrize("depth", ["8U", "8S", "16U", "16S", "32S", "32F", "64F"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_type_codes_are_those_of_the_installed_opencv(depth: str, channels: int) -> None:
    code = f"{depth}C{channels}"
    number = getattr(cv2, f"CV_{code}")
    assert BRIDGE.encoding_to_cvtype2(code) == cv_bridge.getCvType(code) == number
    dtype, found = BRIDGE.cvtype2_to_dtype_with_channels(number)
    assert (dtype, found) == BRIDGE.encoding_to_dtype_with_channels(code)
    assert found == channels
    assert BRIDGE.dtype_with_channels_to_cvtype2(np.dtype(dtype), channels) == code


def test_a_type_code_without_channels_means_one() -> None:
    assert BRIDGE.encoding_to_dtype_with_channels("32F") == ("float32", 1)
    assert BRIDGE.encoding_to_dtype_with_channels("16UC11") == ("uint16", 11)


def test_unpadded_native_data_are_shared() -> None:
    msg = BRIDGE.cv2_to_imgmsg(np.zeros((2, 3, 3), np.uint8), "rgb8")
    image = BRIDGE.imgmsg_to_cv2(msg)
    msg.data[4] = 9
    assert image[0, 1, 1] == 9
    image[1, 2, 2] = 7
    assert msg.data[-1] == 7


def test_a_message_does_not_share_memory_with_its_image() -> None:
    image = np.zeros((2, 2), np.uint16)
    msg = BRIDGE.cv2_to_imgmsg(image)
    image[:] = 1
    assert not any(msg.data)


def test_a_one_channel_image_of_three_dimensions_loses_the_third() -> None:
    msg = BRIDGE.cv2_to_imgmsg(np.ones((2, 3, 1), np.float32))
    assert msg.encoding == "32FC1"
    assert BRIDGE.imgmsg_to_cv2(msg).shape == (2, 3)


def test_empty_images_pass() -> None:
    for shape in ((0, 4, 3), (4, 0, 3), (0, 0)):
        assert BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(np.zeros(shape, np.uint8))).shape == shape


def test_the_header_is_passed_on() -> None:
    header = Header(frame_id="camera")
    header.stamp.sec = 3
    assert BRIDGE.cv2_to_imgmsg(np.zeros((1, 1), np.uint8), header=header).header == header


@given(arrays(np.uint8, st.tuples(sides, sides, st.just(3))))
def test_colours_keep_their_meaning_whatever_the_order_of_channels(image: np.ndarray[Any, Any]) -> None:
    msg = BRIDGE.cv2_to_imgmsg(image, "rgb8")
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(msg, "bgr8"), image[:, :, ::-1])
    rgba, bgra16 = BRIDGE.imgmsg_to_cv2(msg, "rgba8"), BRIDGE.imgmsg_to_cv2(msg, "bgra16")
    np.testing.assert_array_equal(rgba[:, :, :3], image)
    assert (rgba[:, :, 3] == 255).all()
    np.testing.assert_array_equal(bgra16[:, :, :3], image[:, :, ::-1] * np.uint16(257))
    back = BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(bgra16, "bgra16"), "rgb8")
    np.testing.assert_array_equal(back, image)


def test_grey_is_the_weighted_sum_of_the_colours() -> None:
    image = np.zeros((1, 3, 3), np.uint8)
    image[0, range(3), range(3)] = 255
    grey = BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(image, "rgb8"), "mono8")
    np.testing.assert_allclose(grey[0], [0.299 * 255, 0.587 * 255, 0.114 * 255], atol=1)


@given(arrays(np.uint16, st.tuples(sides, sides)))
def test_sixteen_bits_are_scaled_to_eight_and_rounded(image: np.ndarray[Any, Any]) -> None:
    eight = BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(image, "mono16"), "mono8")
    np.testing.assert_array_equal(eight, (image.astype(np.uint32) + 128) // 257)


def test_type_codes_change_the_element_type_keeping_the_value_in_range() -> None:
    depth_m = np.array([[0.0, 1.5, -3.0, 70000.0, np.nan, np.inf]], np.float32)
    depth = BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(depth_m), "16UC1")
    np.testing.assert_array_equal(depth, np.array([[0, 2, 0, 65535, 0, 65535]], np.uint16))
    colour = np.full((2, 2, 3), 200, np.uint8)
    floats = BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(colour, "rgb8"), "32FC3")
    assert floats.dtype == np.float32
    assert (floats == 200).all()
    signed = BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(np.array([[-128, 127]], np.int8)), "16SC1")
    np.testing.assert_array_equal(signed, np.array([[-32768, 127 * 257]], np.int16))


@pytest.mark.parametrize("encoding", BAYER)
def test_bayer_mosaics_become_the_colour_they_were_made_of(encoding: str) -> None:
    rgb = {"r": 200, "g": 120, "b": 40}
    pattern = np.array([rgb[letter] for letter in encoding[6:10]]).reshape(2, 2)
    scale = 257 if encoding.endswith("16") else 1
    mosaic = (np.tile(pattern, (4, 4)) * scale).astype(np.uint16 if scale > 1 else np.uint8)
    msg = BRIDGE.cv2_to_imgmsg(mosaic, encoding)
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(msg, "rgb8"), np.broadcast_to([200, 120, 40], (8, 8, 3)))
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(msg, "bgr8"), np.broadcast_to([40, 120, 200], (8, 8, 3)))
    assert BRIDGE.imgmsg_to_cv2(msg, "mono16").dtype == np.uint16


@pytest.mark.parametrize(("encoding", "pixels"), [("yuv422", (128, 80, 128, 160)), ("yuv422_yuy2", (80, 128, 160, 128))])
def test_yuv422_has_one_luma_a_pixel(encoding: str, pixels: tuple[int, ...]) -> None:
    image = np.array(pixels, np.uint8).reshape(1, 2, 2)
    msg = BRIDGE.cv2_to_imgmsg(image, encoding)
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(msg, "mono8"), [[80, 160]])
    bgr = BRIDGE.imgmsg_to_cv2(msg, "bgr8").astype(int)
    assert (np.ptp(bgr, axis=2) <= 1).all(), "neutral chroma is grey"
    assert bgr[0, 0, 0] < bgr[0, 1, 0]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_is_lossless(dtype: type[np.generic], channels: int) -> None:
    shape = (5, 7) if channels == 1 else (5, 7, channels)
    image = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, shape, dtype=dtype)  # type: ignore[type-var]
    msg = BRIDGE.cv2_to_compressed_imgmsg(image, "png")
    assert msg.format == "png"
    np.testing.assert_array_equal(BRIDGE.compressed_imgmsg_to_cv2(msg), image)
    if channels == 3:
        scaled = BRIDGE.compressed_imgmsg_to_cv2(msg, "rgb16")
        np.testing.assert_array_equal(scaled[:, :, ::-1], image * np.uint16(257) if dtype is np.uint8 else image)
    if channels == 1:
        assert BRIDGE.compressed_imgmsg_to_cv2(msg, "bgr8").shape == (5, 7, 3)


def test_jpeg_is_near_and_by_default() -> None:
    image = np.full((16, 16, 3), (20, 120, 220), np.uint8)
    msg = BRIDGE.cv2_to_compressed_imgmsg(image)
    assert msg.format == "jpg"
    np.testing.assert_allclose(BRIDGE.compressed_imgmsg_to_cv2(msg), image, atol=4)
    np.testing.assert_allclose(BRIDGE.compressed_imgmsg_to_cv2(msg, "rgb8"), image[:, :, ::-1], atol=4)


def image_msg(encoding: str, *, width: int = 2, height: int = 2, step: int = 6, size: int = 12) -> Image:
    return Image(encoding=encoding, width=width, height=height, step=step, data=bytes(size))


@pytest.mark.parametrize(
    ("convert", "text"),
    [
        (lambda: BRIDGE.imgmsg_to_cv2(image_msg("rgb9")), "unknown image encoding 'rgb9'"),
        (lambda: BRIDGE.imgmsg_to_cv2(image_msg("")), "unknown image encoding ''"),
        (lambda: BRIDGE.imgmsg_to_cv2(image_msg("8UC0")), "unknown image encoding"),
        (lambda: BRIDGE.imgmsg_to_cv2(image_msg("rgb8", step=5)), "expected step >= 6 bytes"),
        (lambda: BRIDGE.imgmsg_to_cv2(image_msg("rgb8", size=11)), "at least 12 bytes .* got 11"),
        (lambda: BRIDGE.imgmsg_to_cv2(image_msg("8UC3"), "bgr8"), "says nothing about colour"),
        (lambda: BRIDGE.imgmsg_to_cv2(image_msg("rgb8"), "8UC1"), "expected 3 channels, got 1"),
        (lambda: BRIDGE.imgmsg_to_cv2(image_msg("rgb8"), "bayer_rggb8"), "cannot convert rgb8 to bayer_rggb8"),
        (lambda: BRIDGE.imgmsg_to_cv2(image_msg("bayer_rggb8"), "rgba8"), "cannot convert bayer_rggb8 to rgba8"),
        (lambda: BRIDGE.imgmsg_to_cv2(image_msg("rgb8", height=0, size=0), "bgr8"), r"shape \(0, 2, 3\)"),
        (lambda: BRIDGE.cv2_to_imgmsg(np.zeros((2, 2, 3), np.uint8), "rgba8"), "rgba8 expects .* 8UC4, got 8UC3"),
        (lambda: BRIDGE.cv2_to_imgmsg(np.zeros((2, 2), np.int64)), "no image encoding holds int64"),
        (lambda: BRIDGE.cv2_to_imgmsg(np.zeros((2, 2), bool)), "no image encoding holds bool"),
        (lambda: BRIDGE.cv2_to_imgmsg(np.zeros(4, np.uint8)), r"got shape \(4,\)"),
        (lambda: BRIDGE.cv2_to_imgmsg(np.zeros((2, 2, 0), np.uint8)), "1 to 512 channels, got 0"),
        (
            lambda: BRIDGE.compressed_imgmsg_to_cv2(CompressedImage(format="jpeg", data=b"no image")),
            "cannot decode 8 bytes .*'jpeg'",
        ),
        (lambda: BRIDGE.compressed_imgmsg_to_cv2(CompressedImage(format="png")), "cannot decode 0 bytes"),
        (lambda: BRIDGE.cv2_to_compressed_imgmsg(np.zeros((2, 2), np.uint8), "no_such_format"), "as no_such_format"),
        (lambda: BRIDGE.cv2_to_compressed_imgmsg(np.zeros((0, 2), np.uint8), "png"), "cannot encode"),
        (lambda: BRIDGE.cvtype2_to_dtype_with_channels(-1), "-1 is no OpenCV type"),
    ],
)
def test_what_cannot_be_converted_is_explained(convert: Any, text: str) -> None:
    with pytest.raises(CvBridgeError, match=text):
        convert()


def test_only_arrays_are_images() -> None:
    for convert in (BRIDGE.cv2_to_imgmsg, BRIDGE.cv2_to_compressed_imgmsg):
        with pytest.raises(TypeError, match=r"numpy\.ndarray, got list"):
            convert([[1]])  # type: ignore[arg-type]


def test_the_error_is_a_type_error_as_upstream() -> None:
    assert issubclass(CvBridgeError, TypeError)
    assert sys.modules["cv_bridge.core"].CvBridgeError is CvBridgeError


def test_what_is_not_provided_names_the_ros_package() -> None:
    with pytest.raises(ImportError, match="apt install ros-kilted-cv-bridge"):
        from cv_bridge import cvtColorForDisplay  # noqa: F401
    assert not hasattr(cv_bridge, "no_such_name")
