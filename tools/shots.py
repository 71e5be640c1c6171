"""Takes a picture of every state of the page in every look: build/shots/LOOK-STATE.png, and a sheet of each look.

Run as `make shots`, or as `python -m tools.shots LOOK ...` for some. Drives the real server with a sample photo.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from browser.driver import App, launch_chromium, running_server  # noqa: E402
from browser.states import LOOKS, make_folder, states  # noqa: E402

SHOTS = ROOT / "build" / "shots"
SAMPLES = ROOT / "frontend" / "samples"
IMAGES = ROOT / "docs" / "images"
SHEET_COLUMNS = 3
SHEET_PX = 720


def main() -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = launch_chromium(playwright)
        pictures = make_folder(
            Path(folder) / "holiday", [*sorted(SAMPLES.glob("*.jpg")), *sorted(IMAGES.glob("*.webp"))]
        )
        with running_server(Path(folder) / "data", "--model", "patchmatch", "--input", str(pictures)) as server:
            for look in sys.argv[1:] or LOOKS:
                page = browser.new_context(**LOOKS[look]).new_page()
                page.goto(server.url)
                taken = []
                for state in states(App(page), SAMPLES / "beach.jpg"):
                    taken.append(SHOTS / f"{look}-{state}.png")
                    page.screenshot(path=taken[-1])
                page.unroute_all(behavior="wait")
                page.context.close()
                make_sheet(taken, SHOTS / f"sheet-{look}.png")
        browser.close()


def make_sheet(pictures: list[Path], path: Path) -> None:
    """All pictures of a look beside each other, for a first glance."""
    tiles = []
    for picture in pictures:
        with Image.open(picture) as full:
            full.thumbnail((SHEET_PX, SHEET_PX))
            tiles.append(full.convert("RGB"))
    width, height = max(tile.width for tile in tiles) + 8, max(tile.height for tile in tiles) + 8
    sheet = Image.new("RGB", (SHEET_COLUMNS * width, -(-len(tiles) // SHEET_COLUMNS) * height), "steelblue")
    for place, tile in enumerate(tiles):
        row, column = divmod(place, SHEET_COLUMNS)
        sheet.paste(tile, (column * width, row * height))
    sheet.save(path)


if __name__ == "__main__":
    main()
