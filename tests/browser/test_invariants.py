"""What must hold whatever the size of the photo: bounded canvases and requests, one upload, no stutter."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from playwright.sync_api import Request

from browser.driver import App, OpenApp

WATCH = """
(() => {
  const seen = { largest: 0 };
  for (const name of ["width", "height"]) {
    const own = Object.getOwnPropertyDescriptor(HTMLCanvasElement.prototype, name);
    Object.defineProperty(HTMLCanvasElement.prototype, name, {
      ...own,
      set(value) { own.set.call(this, value); seen.largest = Math.max(seen.largest, this.width * this.height); },
    });
  }
  if (globalThis.OffscreenCanvas) {
    globalThis.OffscreenCanvas = class extends OffscreenCanvas {
      constructor(width, height) { super(width, height); seen.largest = Math.max(seen.largest, width * height); }
    };
  }
  globalThis.seen = seen;
})();
"""
VIEWPORT = {"width": 1280, "height": 800}
DPR = 2
STROKES = 4


def cost_of_strokes(app: App) -> float:
    """Seconds of a processor that the page takes for a stroke, which other work on the machine does not lengthen."""
    session = app.page.context.new_cdp_session(app.page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent_s() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))

    width, height = app.read("[state.image.width, state.image.height]")
    costs = []
    for stroke in range(STROKES):
        app.settle()
        before_s, top = spent_s(), (0.1 + 0.1 * stroke) * height
        points = [(0.2, 0.0), (0.4, 0.05), (0.25, 0.06), (0.45, 0.03)]
        app.paint([(x * width, top + y * height) for x, y in points], steps=25)
        costs.append(spent_s() - before_s)
    return min(costs)


def test_the_cost_of_a_stroke_does_not_grow_with_the_photo(
    open_app: OpenApp, large_photo: Path, tmp_path: Path
) -> None:
    with Image.open(large_photo) as photo:
        photo.resize((600, 400)).save(tmp_path / "small.jpg")
    app = open_app(script=WATCH, viewport=VIEWPORT, device_scale_factor=DPR)
    uploads: list[str] = []
    bodies: list[int] = []

    def note(request: Request) -> None:
        if request.method == "POST" and "/api/v1/images?" in request.url:
            uploads.append(request.url)
        if request.method == "POST" and request.url.endswith("/api/v1/edits"):
            bodies.append(len(request.post_data_buffer or b""))

    app.open(tmp_path / "small.jpg")
    app.wait("state.image.id !== null")
    app.fill_on_release(False)
    small_s = cost_of_strokes(app)
    app.page.on("request", note)
    app.open(large_photo)
    assert app.read("[state.image.width, state.image.height]") == [6000, 4000]
    app.wait("state.image.id !== null")
    large_s = cost_of_strokes(app)
    assert large_s < 3 * small_s

    app.page.keyboard.press("Control+z")
    app.page.keyboard.press("Enter")
    app.wait_for_edits(1)
    for _ in range(3):
        app.page.mouse.wheel(0, -400)
    app.settle()
    app.paint([(3000.0, 2000.0), (3050.0, 2010.0)])
    app.page.keyboard.press("Enter")
    app.wait_for_edits(2)

    assert len(uploads) == 1
    assert len(bodies) == 2
    assert max(bodies) < 64 * 1024
    largest = app.page.evaluate("() => seen.largest")
    assert 0 < largest <= VIEWPORT["width"] * VIEWPORT["height"] * DPR**2 * 1.1


def test_undo_redo_and_choosing_need_no_request(open_app: OpenApp, photos: Path) -> None:
    app = open_app()
    app.open(photos / "astronaut.png")
    app.paint([(60.0, 60.0), (90.0, 60.0)])
    app.wait_for_edits(1)
    requests: list[str] = []
    app.page.on("request", lambda request: requests.append(request.url))
    for key in ("Control+z", "Control+z", "Control+y", "Control+y", "/", "/"):
        app.page.keyboard.press(key)
        app.settle()
    assert [url for url in requests if not url.startswith("blob:")] == []


def test_opening_another_photo_gives_the_first_ones_pixels_back(open_app: OpenApp, photos: Path) -> None:
    app = open_app()
    app.open(photos / "astronaut.png")
    app.paint([(60.0, 60.0), (90.0, 60.0)])
    app.wait_for_edits(1)
    assert app.read("lama.bitmaps.counts().decoded") == 1
    app.open(photos / "chelsea.jpg")
    app.settle()
    assert app.read("lama.bitmaps.counts()") == {"patches": 0, "decoded": 0, "urls": 0, "estimates": 0, "tiles": 1}
