"""Every state of the page and every way to look at it: for the checks of accessibility, and for pictures."""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import Route

from browser.driver import PATIENCE_S, App, Point

DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}

LOOKS: Mapping[str, Mapping[str, Any]] = {
    "light": {"viewport": DESK, "color_scheme": "light"},
    "dark": {"viewport": DESK, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "has_touch": True, "is_mobile": True},
    "phone-on-its-side": {"viewport": {"width": 844, "height": 390}, "color_scheme": "dark", "has_touch": True},
    "forced-colours": {"viewport": DESK, "forced_colors": "active"},
    "zoom-200": {"viewport": {"width": 720, "height": 450}},
    "zoom-400": {"viewport": {"width": 320, "height": 256}},
}
"""Options of a browser's context by name. A zoom of 200 % leaves half of a window, 400 % a quarter."""

STROKES = (((0.62, 0.60), (0.62, 0.80), (0.70, 0.84)), ((0.30, 0.70), (0.36, 0.72)))
"""What is painted, in shares of the photo's width and height."""

PROBLEM = {
    "code": "engine.out_of_memory",
    "title": "The engine needs more memory",
    "detail": "It takes 6.0 GB and 3.1 GB are free.",
    "retryable": True,
    "request_id": "0123456789abcdef",
}
ENDLESS_STREAM = """lines => {
  window.realFetch = window.fetch;
  window.fetch = (url, options) => {
    if (!String(url).endsWith("/api/v1/edits")) return window.realFetch(url, options);
    const start = stream => {
      stream.enqueue(new TextEncoder().encode(lines));
      options.signal.addEventListener("abort", () => stream.error(options.signal.reason));
    };
    return Promise.resolve(new Response(new ReadableStream({ start })));
  };
}"""
"""A route's answer is whole at once; only the page itself can be given one that goes on."""


def states(app: App, photo: Path) -> Iterator[str]:
    """Leads a fresh page from state to state; gives the name of each while the page stands in it.

    The server has a folder of photos, one of them broken. Where it would take a large model, its answer is made here.
    """
    page = app.page
    page.locator("#photos .shot.broken").wait_for()
    _rest(app)
    yield "gallery"
    page.keyboard.press("Escape")
    _rest(app)
    yield "empty"
    app.open(photo)
    _rest(app)
    yield "first"
    yield from _fills(app, photo)
    page.locator("#menu-button").click()
    _rest(app)
    yield "menu"
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Shift+s")
    page.locator("#save").get_by_label("JPEG", exact=True).check()
    _rest(app)
    yield "save"
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    _rest(app)
    yield "compare"
    page.keyboard.press("/")
    page.keyboard.press("?")
    _rest(app)
    yield "help"
    page.keyboard.press("Escape")
    yield from _tools(app)
    yield from _models(app)


def _fills(app: App, photo: Path) -> Iterator[str]:
    """From the first stroke to a choice of results."""
    page = app.page
    _press(app, 0)
    yield "painting"
    _stream_a_preview(app, photo)
    page.mouse.up()
    app.wait("lama.bitmaps.estimates().length > 0")
    _rest(app)
    yield "filling"
    page.keyboard.press("Escape")
    app.wait("state.jobs.length === 0")
    page.evaluate("() => { window.fetch = window.realFetch; }")
    page.route("**/api/v1/edits", _refuse, times=1)
    page.locator("#run").click()
    page.locator(".note").wait_for()
    _rest(app)
    yield "error"
    page.locator(".note").get_by_role("button", name="Try again").click()
    app.wait_for_edits(1)
    _press(app, 1)
    page.mouse.up()
    app.wait_for_edits(2)
    _rest(app)
    yield "result"
    page.keyboard.press("v")
    _rest(app)
    yield "results"
    page.keyboard.press("Escape")


def _tools(app: App) -> Iterator[str]:
    """Those that do not paint, with nothing filled on release."""
    page = app.page
    app.fill_on_release(False)
    page.locator("#stage").focus()
    _choose(app, "k", "polygon")
    for corner in _points(app, 0):
        page.mouse.click(*app.on_screen(corner))
    page.mouse.move(*app.on_screen(_points(app, 1)[1]))
    _rest(app)
    yield "corners"
    page.keyboard.press("Escape")
    thing = ellipse(app, (0.36, 0.62, 0.14, 0.2))
    answer(
        app,
        "select",
        {"type": "selected", "model": "", "ms": 0, "shapes": [thing], "shadow": [ellipse(app, (0.3, 0.76, 0.2, 0.06))]},
    )
    _choose(app, "q", "snap")
    app.paint(_points(app, 1))
    page.locator("#told-act").wait_for()
    _rest(app)
    yield "selected"
    page.keyboard.press("Delete")
    places = {"text": (0.1, 0.1, 0.24, 0.08), "wire": (0.4, 0.2, 0.5, 0.03), "dust": (0.7, 0.5, 0.01, 0.01)}
    found = [{"category": sort, "score": 0.8, "shapes": [ellipse(app, box)]} for sort, box in places.items()]
    answer(app, "find", {"type": "found", "models": [], "ms": 0, "left_out": 0, "findings": found})
    page.keyboard.press("f")
    page.locator(".suggestions button").first.wait_for()
    _rest(app)
    yield "found"
    page.keyboard.press("c")
    for edge in ("Left", "Right"):
        page.get_by_role("slider", name=f"{edge} edge").press(f"Shift+Arrow{edge}")
    _rest(app)
    yield "extend"
    page.locator("#stage").focus()
    page.keyboard.press("Escape")
    page.keyboard.press("b")


def _models(app: App) -> Iterator[str]:
    """Kinds, all models, the options of one that copies, where it copies from, and a model that takes words."""
    page = app.page
    page.route("**/api/v1/models", _models_in_all_states)
    page.locator("#model").click()
    app.wait("state.models.some(({state}) => state === 'downloading')")
    _rest(app)
    yield "models"
    page.locator("#all-models").click()
    _rest(app)
    yield "all-models"
    page.locator("#models input[value=patchmatch]").check()
    page.locator("#tune").click()
    page.locator("#options-form input").first.wait_for()
    _rest(app)
    yield "options"
    app.close_panels()
    for which, (key, tool) in enumerate((("s", "source"), ("a", "avoid"))):
        _choose(app, key, tool)
        app.paint(_points(app, which))
    _rest(app)
    yield "sources"
    page.keyboard.press("Delete")
    page.keyboard.press("b")
    app.open_models()
    takes_words = app.read("state.models.find(({kind, state}) => kind === 'words' && state === 'ready').name")
    page.locator(f"#models input[value={takes_words}]").check()
    app.close_panels()
    page.locator("#words").wait_for()
    app.paint(_points(app, 0))
    _rest(app)
    yield "words"


def make_folder(folder: Path, pictures: Iterable[Path]) -> Path:
    """Some photos and a broken one, for a server to show."""
    folder.mkdir()
    for number, picture in enumerate(pictures):
        shutil.copy(picture, folder / f"{number}-{picture.name}")
    (folder / "0-scan-0041.png").write_bytes(b"not a picture, whatever its name says")
    return folder


def _rest(app: App) -> None:
    """Returns when nothing moves any more, but for what goes on for ever."""
    app.settle()
    app.page.evaluate(
        """() => Promise.allSettled(document.getAnimations()
          .filter(each => each.effect.getTiming().iterations !== Infinity)
          .map(each => each.finished)).then(() => null)"""
    )


def _points(app: App, which: int) -> list[Point]:
    image = app.read("state.image")
    return [(x * image["width"], y * image["height"]) for x, y in STROKES[which]]


def _press(app: App, which: int) -> None:
    """Paints a stroke and keeps the button down."""
    points = _points(app, which)
    app.page.mouse.move(*app.on_screen(points[0]))
    app.page.mouse.down()
    for point in points[1:]:
        app.page.mouse.move(*app.on_screen(point), steps=6)


def _choose(app: App, key: str, tool: str) -> None:
    """By its key; some tools are loaded first."""
    app.page.keyboard.press(key)
    app.wait(f"state.tool === {tool!r}")


def ellipse(app: App, place: tuple[float, float, float, float]) -> dict[str, Any]:
    """An ellipse as a bitmap shape, in a box given as shares of the photo: left, top, width, height."""
    image = app.read("state.image")
    x, y, w, h = (round(share * side) for share, side in zip(place, (image["width"], image["height"]) * 2, strict=True))
    mask = Image.new("L", (w, h))
    ImageDraw.Draw(mask).ellipse((0, 0, w - 1, h - 1), fill=255)
    png = base64.b64encode(_png(mask)).decode()
    return {"op": "add", "kind": "bitmap", "x": x, "y": y, "w": w, "h": h, "png": png}


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def answer(app: App, path: str, reply: Mapping[str, Any]) -> None:
    """The next question is answered with this."""
    app.page.route(f"**/api/v1/{path}", lambda route: route.fulfill(json=reply), times=1)


def _stream_a_preview(app: App, photo: Path) -> None:
    """Fills never end from now on: they show one preview, in the stroke a blurred copy of what lies to the left."""
    d = round(app.read("state.prefs.brush / state.view.scale"))
    stroke = [(round(x), round(y)) for x, y in _points(app, 0)]
    with Image.open(photo) as full:
        x0, y0 = (max(0, min(at) - d) for at in zip(*stroke, strict=True))
        x1, y1 = (min(side, max(at) + d) for at, side in zip(zip(*stroke, strict=True), full.size, strict=True))
        preview = full.convert("RGB").crop((x0, y0, x1, y1))
        beside = full.convert("RGB").crop((2 * x0 - x1, y0, x0, y1)).filter(ImageFilter.GaussianBlur(6))
    hole = Image.new("L", preview.size)
    draw = ImageDraw.Draw(hole)
    draw.line([(x - x0, y - y0) for x, y in stroke], fill=255, width=d)
    for x, y in stroke:
        draw.circle((x - x0, y - y0), d / 2, fill=255)
    preview.paste(beside, mask=hole)
    app.page.route("**/preview.png", lambda route: route.fulfill(body=_png(preview), content_type="image/png"))
    box = {"x": x0, "y": y0, "w": x1 - x0, "h": y1 - y0}
    lines = [
        {"type": "progress", "job": "1", "run": 0, "stage": "filling", "step": 4, "total": 10},
        {"type": "preview", "job": "1", "run": 0, "url": "/preview.png", **box},
    ]
    app.page.evaluate(ENDLESS_STREAM, "".join(f"{json.dumps(line)}\n" for line in lines))


def _models_in_all_states(route: Route) -> None:
    """The server's list with a download that runs, one that failed, and a model that takes words as if it were here."""
    response = route.fetch(timeout=1000 * PATIENCE_S, max_retries=3)
    reply = response.json()
    missing = [model for model in reply["models"] if model["state"] == "missing" and model["task"] == "fill"]
    next(model for model in missing if model["kind"] == "words").update(state="ready", problem=None)
    others = [model for model in missing if model["state"] == "missing"]
    total = others[0]["download_bytes"]
    others[0].update(state="downloading", problem=None, progress={"done_bytes": total // 3, "total_bytes": total})
    others[1].update(state="failed", problem={**PROBLEM, "title": "The download failed", "detail": "The disk is full."})
    route.fulfill(response=response, json=reply)


def _refuse(route: Route) -> None:
    route.fulfill(status=507, content_type="application/problem+json", json=PROBLEM)
