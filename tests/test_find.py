"""Find: what the runner promises, and each finder on pictures into which something was drawn."""

from __future__ import annotations

import importlib.util
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data

from inpaint_models import load_model
from inpaint_models.errors import Cancelled, InvalidImage, Unavailable
from inpaint_models.imaging.tiles import tiles_of
from inpaint_models.protocols import Finding
from inpaint_models.tasks.find import Finder

FINDERS = ("text", "dust", "wires")


def ground(height: int = 480, width: int = 640) -> np.ndarray:
    """A sky: smooth, with noise."""
    rows = np.linspace(0, 1, height)[:, None, None]
    sky = np.array([120, 150, 200]) + rows * np.array([80, 60, 30]) + np.zeros((1, width, 1))
    noisy: np.ndarray = np.clip(sky + np.random.default_rng(8).normal(0, 2, sky.shape), 0, 255)
    return noisy.astype(np.uint8)


def find(name: str, image: np.ndarray) -> list[Finding]:
    finder: Finder = load_model(name, task="find")
    return finder(image)


def covered(found: list[Finding], shape: tuple[int, ...]) -> np.ndarray:
    flags = np.zeros(shape[:2], bool)
    for finding in found:
        flags[finding.mask.box.slices] |= finding.mask.coverage > 127
    return flags


@pytest.mark.parametrize("name", FINDERS)
def test_nothing_is_found_where_nothing_is(name: str) -> None:
    assert find(name, ground()) == []
    assert find(name, np.zeros((40, 50, 3), np.uint8)) == []


@pytest.mark.parametrize("name", FINDERS)
@pytest.mark.parametrize("size", [(1, 1), (1, 30), (9, 2)])
def test_the_smallest_images_are_searched(name: str, size: tuple[int, int]) -> None:
    assert find(name, np.zeros((*size, 3), np.uint8)) == []


@pytest.mark.parametrize("name", FINDERS)
def test_a_search_can_be_cancelled(name: str) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise Cancelled("No longer wanted.")

    with pytest.raises(Cancelled):
        load_model(name, task="find")(ground(), progress=stop)


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(InvalidImage):
        find("dust", np.zeros((4, 4, 3), np.float32))


@pytest.mark.parametrize("size", [(1, 1), (100, 100), (101, 350), (1000, 64)])
def test_tiles_own_every_pixel_once(size: tuple[int, int]) -> None:
    owned = np.zeros(size, int)
    for tile in tiles_of(*size, 100, 16):
        owned[tile.own.slices] += 1
        assert tile.seen == tile.own.grown(16).clipped(*size)
    assert (owned == 1).all()


# dust


def dusty(image: np.ndarray, colour: int, scale: int = 1) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """(the image with specks of several sizes, where they are)."""
    places = [
        (60 * scale + 90 * scale * column, 70 * scale + 100 * scale * row) for column in range(6) for row in range(4)
    ]
    for index, place in enumerate(places):
        cv2.circle(image, place, scale * (1 + index % 4), (colour,) * 3, -1, cv2.LINE_AA)
    return image, places


@pytest.mark.parametrize("colour", [250, 5])
def test_specks_are_found_one_by_one(colour: int) -> None:
    image, places = dusty(ground(), colour)
    found = find("dust", image)
    assert {finding.category for finding in found} == {"dust"}
    assert len(found) == len(places)
    marked = covered(found, image.shape)
    assert all(marked[y, x] for x, y in places)
    assert marked.mean() < 0.01
    assert all(0 < finding.score <= 1 for finding in found)
    assert [finding.score for finding in found] == sorted((finding.score for finding in found), reverse=True)


def test_specks_between_the_tiles_of_a_large_scan_are_found_once() -> None:
    image = cv2.resize(ground(), (3200, 2400), interpolation=cv2.INTER_CUBIC)
    places = [(x, y) for x in range(1040, 1100, 12) for y in range(780, 840, 12)]
    for place in places:
        cv2.circle(image, place, 2, (250, 250, 250), -1)
    found = find("dust", image)
    marked = covered(found, image.shape)
    assert all(marked[y, x] for x, y in places)
    assert len(found) == len(places)


def test_a_scratch_is_told_from_dust() -> None:
    image = ground()
    cv2.polylines(
        image, [np.array([(100, 100), (180, 130), (240, 190)], np.int32)], False, (245, 245, 245), 1, cv2.LINE_AA
    )
    assert [finding.category for finding in find("dust", image)] == ["scratch"]


def test_edges_are_no_dust() -> None:
    image = ground()
    cv2.rectangle(image, (100, 100), (300, 300), (30, 60, 30), -1)
    cv2.circle(image, (450, 250), 60, (200, 160, 30), -1, cv2.LINE_AA)
    assert find("dust", image) == []


# wires


@pytest.mark.parametrize("width", [1, 2, 4])
@pytest.mark.parametrize("colour", [20, 250])
def test_a_sagging_wire_is_found_whole(width: int, colour: int) -> None:
    image, wire = ground(), np.zeros((480, 640), np.uint8)
    path = np.array([(x, 100 + 0.2 * x + 0.0004 * x * (640 - x)) for x in range(0, 641, 10)], np.int32)
    cv2.polylines(image, [path], False, (colour,) * 3, width, cv2.LINE_AA)
    cv2.polylines(wire, [path], False, 1, 1)
    found = find("wires", image)
    assert [finding.category for finding in found] == ["wire"]
    marked = covered(found, image.shape)
    assert marked[wire > 0].mean() > 0.9
    assert marked.mean() < 0.04


def test_edges_are_no_wires() -> None:
    image = ground()
    image[200:] = (70, 60, 50)
    image[:, 300:] //= 2
    assert find("wires", image) == []


def test_a_wire_on_a_large_photo_is_as_long_there() -> None:
    image = cv2.resize(ground(), (4000, 3000), interpolation=cv2.INTER_LINEAR)
    cv2.line(image, (0, 900), (3999, 1400), (20, 20, 20), 6, cv2.LINE_AA)
    (found,) = find("wires", image)
    assert found.mask.box.width > 3600


# text


@pytest.mark.parametrize(("height_px", "turned"), [(12, False), (40, True), (150, False)])
def test_a_line_of_text_is_found_at_its_size(height_px: int, turned: bool) -> None:
    image = ground(900, 1200)
    if turned:
        image = np.ascontiguousarray(np.rot90(image))
    drawn, at = image.copy(), (image.shape[1] // 10, image.shape[0] // 2)
    scale = height_px / 22  # the height of Hershey's capitals
    cv2.putText(
        drawn, "Holiday", at, cv2.FONT_HERSHEY_SIMPLEX, scale, (15, 15, 20), max(1, round(2 * scale)), cv2.LINE_AA
    )
    ink = np.abs(drawn.astype(int) - image).max(axis=2) > 60
    if turned:
        drawn, ink = np.ascontiguousarray(np.rot90(drawn)), np.rot90(ink)
    found = find("text", drawn)
    assert {finding.category for finding in found} == {"text"}
    marked = covered(found, drawn.shape)
    assert marked[ink].mean() > 0.95
    assert marked.mean() < 6 * ink.mean()


def test_a_thing_that_fills_the_photo_is_no_text() -> None:
    photo = skimage.data.coffee()
    assert covered(find("text", photo), photo.shape).mean() < 0.01


def test_text_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Unavailable, match=r"pip install 'lama-server\[find\]'"):
        load_model("text", task="find")
