"""Pointing instead of painting: rough strokes, outlines, colours, and what is found."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image
from playwright.sync_api import Route

from browser.driver import App, OpenApp
from browser.states import answer, ellipse

COIN = (155, 198)
"""The middle of one of scikit-image's coins, which are some 19 pixels in radius."""
BESIDE = (155, 172)
INK: list[tuple[int, int]] = []
"""Places in the letters of the captioned photo."""


@pytest.fixture(scope="module")
def coins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("coins") / "coins.png"
    Image.fromarray(np.dstack([skimage.data.coins()] * 3)).save(path)
    return path


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain picture with three specks."""
    pixels = np.full((480, 640, 3), (120, 140, 170), np.uint8)
    pixels += np.random.default_rng(2).integers(0, 5, pixels.shape, np.uint8)
    for x in (100, 300, 500):
        pixels[100:103, x : x + 3] = 250
    path = tmp_path_factory.mktemp("scan") / "scan.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def captioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo with a caption and a date."""
    pixels = np.full((480, 640, 3), (120, 140, 170), np.uint8)
    pixels += np.random.default_rng(2).integers(0, 5, pixels.shape, np.uint8)
    for line, place, size in (("HARBOUR AT NIGHT", (60, 430), 1.5), ("12 MAY 1998", (430, 50), 0.9)):
        cv2.putText(pixels, line, place, cv2.FONT_HERSHEY_SIMPLEX, size, (250, 250, 250), 3, cv2.LINE_AA)
    INK.extend((int(x), int(y)) for y, x in np.argwhere(pixels.min(axis=2) > 248)[::150])
    path = tmp_path_factory.mktemp("captioned") / "captioned.png"
    Image.fromarray(pixels).save(path)
    return path


def choose(app: App, key: str, photo: Path, *, fills: bool = False) -> None:
    app.open(photo)
    app.settle()
    app.fill_on_release(fills)
    app.page.locator("#stage").focus()
    app.page.keyboard.press(key)


def box_of_the_mask(app: App) -> tuple[int, int, int, int]:
    app.wait("doc.draft.at(-1)?.kind === 'bitmap'")
    shape = app.read("doc.draft.at(-1)")
    return shape["x"], shape["y"], shape["x"] + shape["w"], shape["y"] + shape["h"]


def is_the_coin(box: tuple[int, int, int, int]) -> bool:
    wanted = (COIN[0] - 19, COIN[1] - 19, COIN[0] + 19, COIN[1] + 19)
    return max(abs(one - other) for one, other in zip(box, wanted, strict=True)) <= 4


@pytest.mark.parametrize(("key", "model"), [("q", "grabcut"), ("w", "wand")])
def test_a_model_is_loaded_when_its_tool_is_taken(app: App, coins: Path, key: str, model: str) -> None:
    app.open(coins)
    app.settle()
    with app.page.expect_response("**/api/v1/models/*/load", timeout=60_000) as loaded:
        app.page.locator("#stage").focus()
        app.page.keyboard.press(key)
    assert loaded.value.url.endswith(f"/{model}/load")
    assert loaded.value.status == 204


def test_a_rough_stroke_snaps_to_the_thing_and_is_filled(app: App, coins: Path) -> None:
    choose(app, "q", coins, fills=True)
    before = app.colour_at((168, 198))
    app.paint([(147, 194), (163, 203)])
    app.wait_for_edits(1)
    app.settle()
    (shape,) = app.read("doc.edits[0].shapes")
    assert is_the_coin((shape["x"], shape["y"], shape["x"] + shape["w"], shape["y"] + shape["h"]))
    assert app.colour_at((168, 198)) != before
    app.page.keyboard.press("Control+z")
    app.settle()
    assert app.colour_at((168, 198)) == before


def test_a_selection_is_shown_erased_from_and_undone_like_a_stroke(app: App, coins: Path) -> None:
    choose(app, "q", coins)
    app.paint([(147, 194), (163, 203)])
    assert is_the_coin(box_of_the_mask(app))
    app.settle()
    assert app.ink_at(COIN) > 200
    assert app.ink_at(BESIDE) == 0
    app.page.keyboard.press("e")
    app.paint([COIN, (COIN[0] + 2, COIN[1])])
    app.settle()
    assert app.ink_at(COIN) == 0
    for _ in range(2):
        app.page.keyboard.press("Control+z")
    assert app.read("doc.draft.length") == 0


def test_a_shadow_is_offered_as_long_as_the_thing_is_selected(app: App, coins: Path) -> None:
    choose(app, "q", coins)
    app.wait("state.tool === 'snap'")

    def with_shadow(route: Route) -> None:
        response = route.fetch()
        outline, selected = map(json.loads, response.text().splitlines())
        lines = (outline, {**selected, "shadow": selected["shapes"]})
        route.fulfill(response=response, body="\n".join(map(json.dumps, lines)))

    app.page.route("**/api/v1/select", with_shadow)
    offer = app.page.get_by_role("button", name="Select it too")
    app.paint([(147, 194), (163, 203)])
    offer.wait_for()
    outline = app.page.locator(".proposal-shadow")
    outline.wait_for()
    app.page.keyboard.press("Delete")
    app.wait("doc.draft.length === 0")
    offer.wait_for(state="hidden")
    outline.wait_for(state="hidden")
    app.paint([(147, 194), (163, 203)])
    offer.click()
    app.wait("doc.draft.length === 2")
    outline.wait_for(state="hidden")


DECODING = """() => {
  window.made = { canvas_px: 0, decoded: [] };
  const { OffscreenCanvas, createImageBitmap } = window;
  window.OffscreenCanvas = class extends OffscreenCanvas {
    constructor(width, height) {
      super(width, height);
      made.canvas_px = Math.max(made.canvas_px, width * height);
    }
  };
  window.createImageBitmap = (source, ...rest) => {
    made.decoded.push(source.size ?? 0);
    return createImageBitmap(source, ...rest);
  };
}"""
"""Notes the largest canvas and the sizes of the files that the browser decodes from then on."""


def test_a_thing_that_fills_a_large_photo_is_drawn_and_never_decoded_at_its_size(
    app: App, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pixels = np.full((3000, 4000, 3), (120, 140, 170), np.uint8)
    cv2.circle(pixels, (2000, 1500), 1400, (190, 90, 60), -1)
    path = tmp_path_factory.mktemp("large") / "large.png"
    Image.fromarray(pixels).save(path, compress_level=1)
    choose(app, "q", path)
    app.page.evaluate(DECODING)
    app.paint([(1200, 1200), (2800, 1800)])
    box = box_of_the_mask(app)
    assert np.abs(np.subtract(box, (600, 100, 3400, 2900))).max() <= 12
    app.settle()
    for place in ((2000, 1500), (650, 1500), (2000, 2850)):
        assert app.ink_at(place) > 200
    assert app.ink_at((560, 1500)) == 0
    made, window = app.page.evaluate("made"), app.read("state.viewport")
    size_bytes = len(base64.b64decode(app.read("doc.draft.at(-1).png")))
    assert size_bytes not in made["decoded"], "a browser decodes a picture at its full size first"
    assert made["canvas_px"] <= 4 * window["width"] * window["height"]


def test_the_right_button_takes_a_thing_out_of_what_is_painted(app: App, coins: Path) -> None:
    choose(app, "r", coins)
    app.paint([(120, 160), (200, 240)])
    app.page.keyboard.press("q")
    app.paint([(147, 194), (163, 203)], button="right")
    app.wait("doc.draft.length === 2 && doc.draft[1].kind === 'bitmap'")
    app.settle()
    assert app.ink_at(COIN) == 0
    assert app.ink_at(BESIDE) > 200


HOLDING = """() => {
  const before = window.fetch;
  const held = new Promise((resolve) => { window.letGo = resolve; });
  let ended = false;
  const endOfTheFirstLine = (chunk) => (ended ? 0 : chunk.indexOf(10) + 1 || chunk.length);
  window.fetch = async (path, options) => {
    const response = await before(path, options);
    if (!String(path).endsWith("/select")) return response;
    const lines = new TransformStream({
      async transform(chunk, out) {
        const end = endOfTheFirstLine(chunk);
        if (end > 0) out.enqueue(chunk.slice(0, end));
        ended ||= chunk.includes(10);
        if (end === chunk.length) return;
        await held;
        out.enqueue(chunk.slice(end));
      },
    });
    return new Response(response.body.pipeThrough(lines), { headers: response.headers });
  };
}"""
"""Of the answer to a selection only the first line comes through, until `letGo()` is called."""


def test_the_outline_is_painted_before_the_mask_has_come_and_a_fill_waits_for_it(app: App, coins: Path) -> None:
    choose(app, "q", coins)
    app.wait("state.tool === 'snap'")
    app.page.evaluate(HOLDING)
    app.page.evaluate(DECODING)
    app.paint([(147, 194), (163, 203)])
    app.wait("doc.draft.at(-1)?.kind === 'poly'")
    app.settle()
    assert (app.ink_at(COIN) > 200, app.ink_at(BESIDE)) == (True, 0)
    assert app.page.evaluate("made") == {"canvas_px": 0, "decoded": []}, "no picture is needed for it"
    app.page.keyboard.press("e")
    app.paint([(170, 198), (176, 198)])
    app.page.keyboard.press("Control+z")
    app.page.keyboard.press("Enter")
    app.settle()
    assert app.read("[state.jobs.length, doc.draft.map(({ kind }) => kind).join()]") == [0, "poly"]
    app.page.evaluate("letGo()")
    app.wait_for_edits(1)
    (shape,) = app.read("doc.edits[0].shapes")
    assert is_the_coin((shape["x"], shape["y"], shape["x"] + shape["w"], shape["y"] + shape["h"]))


def test_an_outline_snaps_to_the_edge(app: App, coins: Path) -> None:
    choose(app, "g", coins)
    turns = np.linspace(0, 2 * np.pi, 20)
    app.paint([(COIN[0] + 21 * np.cos(turn), COIN[1] + 21 * np.sin(turn)) for turn in turns], steps=2)
    assert is_the_coin(box_of_the_mask(app))


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """On a plain ground, 100 pixels in radius around (320, 240)."""
    pixels = np.full((480, 640, 3), (120, 140, 170), np.uint8)
    y, x = np.mgrid[0:480, 0:640] + 0.5
    pixels[np.hypot(x - 320, y - 240) < 100] = (190, 90, 60)
    path = tmp_path_factory.mktemp("disc") / "disc.png"
    Image.fromarray(pixels).save(path)
    return path


def drawn_line(app: App) -> np.ndarray:
    """(n, 2): the line that is being drawn, in pixels of the photo."""
    points = app.page.locator("svg.outline polygon").get_attribute("points")
    view = app.read("state.view")
    assert points
    screen = np.array([[float(value) for value in pair.split(",")] for pair in points.split()])
    return np.asarray((screen - (view["x"], view["y"])) / view["scale"])


def around_the_disc(wobble: float) -> list[tuple[float, float]]:
    """Once along its edge, in and out by `wobble`."""
    angles = np.linspace(0, 2 * np.pi, 25)
    radii = 100 + wobble * np.cos(np.arange(25) * np.pi)
    return [(320 + r * np.cos(a), 240 + r * np.sin(a)) for r, a in zip(radii, angles, strict=True)]


def test_the_line_lies_on_the_edge_while_it_is_drawn(app: App, disc: Path) -> None:
    choose(app, "g", disc)
    mouse = app.page.mouse
    path = around_the_disc(wobble=4)
    mouse.move(*app.on_screen(path[0]))
    mouse.down()
    for point in path[1:13]:
        mouse.move(*app.on_screen(point), steps=3)
        app.settle()
        line = drawn_line(app)
        off = np.abs(np.hypot(*(line - (320, 240)).T) - 100)
        assert off.max() <= 2
    assert np.ptp(line[:, 0]) > 195, "it goes from one side to the other"
    assert app.read("doc.draft.length") == 0
    for point in path[13:]:
        mouse.move(*app.on_screen(point), steps=3)
    mouse.up()
    box = box_of_the_mask(app)
    assert np.abs(np.subtract(box, (220, 140, 420, 340))).max() <= 3


def test_the_keyboard_draws_along_an_edge(app: App, disc: Path) -> None:
    choose(app, "g", disc)
    page = app.page
    page.keyboard.press("ArrowDown")
    while app.read("state.crosshair.y") < 340:
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    app.settle()
    line = drawn_line(app)
    assert len(line) > 10
    assert np.abs(np.hypot(*(line - (320, 240)).T) - 100).max() <= 2


def test_the_wand_takes_a_colour_and_more_of_it_by_a_longer_drag(app: App, coins: Path) -> None:
    choose(app, "w", coins)
    sizes = []
    for end in ((26, 120), (60, 120)):
        app.paint([(20, 120), end])
        box = box_of_the_mask(app)
        sizes.append((box[2] - box[0]) * (box[3] - box[1]))
        app.page.keyboard.press("Delete")
        app.wait("doc.draft.length === 0")
    assert sizes[1] > sizes[0]


def test_all_of_a_sort_that_was_found_are_filled_at_once(app: App, scan: Path) -> None:
    choose(app, "f", scan)
    page = app.page
    page.get_by_role("button", name="All of these: Dust (3)").wait_for()
    assert page.locator(".suggestions button").count() == 3
    assert app.read("doc.draft.length") == 0, "nothing is changed unasked"
    page.get_by_role("button", name="All of these: Dust (3)").click()
    assert app.read("doc.draft.length") == 3
    page.keyboard.press("Enter")
    app.wait_for_edits(1)
    app.settle()
    assert max(app.colour_at((301, 101))) < 200
    page.keyboard.press("p")
    assert page.locator(".suggestions button").count() == 0


def test_text_is_found_accepted_and_filled(app: App, captioned: Path) -> None:
    choose(app, "f", captioned)
    page = app.page
    page.get_by_role("button", name="All of these: Text (2)").click()
    app.wait("doc.draft.length === 2")
    page.get_by_text("Nothing more was found").wait_for()
    page.keyboard.press("Enter")
    app.wait_for_edits(1)
    app.settle()
    assert all(max(app.colour_at(place)) < 200 for place in INK)


def test_what_else_could_be_found_is_told_with_its_licence_and_what_is_to_be_done(app: App, scan: Path) -> None:
    choose(app, "f", scan)
    app.page.locator("#told-text", has_text="Could be found too: People (Apache-2.0, 5.9 MiB)").wait_for()
    app.page.get_by_role("button", name="What is missing?").click()
    app.page.locator("#notes").get_by_text("human_segmentation_pphumanseg_2023mar.onnx").wait_for()


def test_a_suggestion_is_taken_by_a_click_on_it(app: App, scan: Path) -> None:
    choose(app, "f", scan)
    app.page.locator(".suggestions button").first.wait_for()
    app.page.mouse.click(*app.on_screen((301, 101)))
    x0, y0, x1, y1 = box_of_the_mask(app)
    assert (x0 <= 301 < x1, y0 <= 101 < y1) == (True, True)
    assert app.page.locator(".suggestions button").count() == 2


def test_the_keyboard_alone_selects_and_finds(app: App, coins: Path, scan: Path) -> None:
    choose(app, "q", coins)
    keyboard = app.page.keyboard
    keyboard.press("ArrowLeft")
    target = COIN
    for key, axis in (("ArrowLeft", "x"), ("ArrowUp", "y"), ("ArrowRight", "x"), ("ArrowDown", "y")):
        sign = 1 if key in ("ArrowLeft", "ArrowUp") else -1
        wanted = target[0] if axis == "x" else target[1]
        while sign * (app.read(f"state.crosshair.{axis}") - wanted) > 4:
            keyboard.press(key)
    keyboard.press("Enter")
    keyboard.press("ArrowRight")
    keyboard.press("Enter")
    assert is_the_coin(box_of_the_mask(app))
    keyboard.press("Escape")
    choose(app, "f", scan)
    app.page.locator(".suggestions button").first.wait_for()
    app.page.locator(".suggestions button").first.focus()
    keyboard.press("Enter")
    app.wait("doc.draft.length === 1")


def test_a_finger_selects(open_app: OpenApp, coins: Path) -> None:
    app = open_app(has_touch=True, viewport={"width": 390, "height": 844})
    app.open(coins)
    app.settle()
    app.fill_on_release(False)
    app.page.get_by_role("button", name="Select", exact=True).tap()
    app.page.touchscreen.tap(*app.on_screen(COIN))
    assert is_the_coin(box_of_the_mask(app))


def test_a_speck_is_outlined_as_small_as_it_is_and_taken_by_a_finger_beside_it(open_app: OpenApp, coins: Path) -> None:
    app = open_app(has_touch=True, viewport={"width": 390, "height": 844})
    app.open(coins)
    app.settle()
    app.fill_on_release(False)
    speck = ellipse(app, (0.5, 0.5, 0.01, 0.01))
    answer(app, "find", {"type": "found", "findings": [{"category": "dust", "score": 0.8, "shapes": [speck]}]})
    app.page.locator(".rail [data-command=tool-find]").tap()
    button = app.page.locator(".suggestions button")
    box = button.bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) == (44, 44)
    drawn = button.evaluate("each => parseFloat(getComputedStyle(each, '::before').width)")
    assert drawn < 20
    app.page.touchscreen.tap(box["x"] + 4, box["y"] + 4)
    app.wait("doc.draft.length === 1")


def test_a_search_tells_how_far_it_is_and_is_stopped(app: App, scan: Path) -> None:
    step = {"type": "progress", "job": "", "model": "dust", "step": 1, "total": 4}
    speck = {"kind": "bitmap", "op": "add", "x": 90, "y": 90, "w": 20, "h": 20, "png": ""}
    found = {"type": "found", "job": "", "models": ["text"], "ms": 1, "left_out": 0,
             "findings": [{"category": "text", "score": 0.8, "model": "text", "shapes": [speck]}]}  # fmt: skip
    lines = "".join(f"{json.dumps(line)}\n" for line in (found, step))
    app.page.evaluate(
        """lines => {
          const before = window.fetch;
          window.fetch = (path, options) => {
            if (!String(path).endsWith("/find")) return before(path, options);
            window.fetch = before;
            const stream = new ReadableStream({
              start(controller) {
                controller.enqueue(new TextEncoder().encode(lines));
                options.signal.addEventListener("abort", () => controller.error(options.signal.reason));
              },
            });
            return Promise.resolve(new Response(stream));
          };
        }""",
        lines,
    )
    choose(app, "f", scan)
    app.page.get_by_text("Looking for Dust: 25 %").wait_for()
    assert app.page.locator(".suggestions button").count() == 1, "what was found is there before the rest"
    app.page.get_by_role("button", name="Stop").click()
    app.page.get_by_text("Looking for Dust: 25 %").wait_for(state="detached")
    assert app.page.locator("#found [data-category=text]").count() == 1
