"""The page as an application of its own: its manifest and its icons."""

from __future__ import annotations

import io
import json
import math
from urllib.parse import urljoin

import numpy as np
from PIL import Image, ImageChops
from tools import icons

from browser.driver import ROOT, App

MASK_RADIUS = 0.4
"""Of a maskable icon's width: what lies further from its middle may be cut off."""


def test_the_browser_takes_the_manifest_and_would_install_the_page(app: App) -> None:
    devtools = app.page.context.new_cdp_session(app.page)
    found = devtools.send("Page.getAppManifest")
    assert found["errors"] == []
    assert devtools.send("Page.getInstallabilityErrors")["installabilityErrors"] in (
        [],
        [{"errorId": "in-incognito", "errorArguments": []}],
    )
    manifest = json.loads(found["data"])
    for icon in manifest["icons"]:
        answer = app.page.request.get(urljoin(found["url"], icon["src"]))
        assert answer.ok
        assert answer.headers["content-type"] == icon["type"]
        if icon["type"] == "image/png":
            with Image.open(io.BytesIO(answer.body())) as picture:
                assert icon["sizes"] == f"{picture.width}x{picture.height}"
    assert {icon.get("purpose", "any") for icon in manifest["icons"]} == {"any", "maskable"}


def test_the_icons_are_those_that_the_tool_draws() -> None:
    assert (ROOT / "frontend" / "icon.svg").read_text(encoding="utf-8") == icons.svg() + "\n"
    with Image.open(ROOT / "frontend" / "icons" / "192.png") as kept:
        difference = ImageChops.difference(kept.convert("RGBA"), icons.draw(192, maskable=False))
    assert np.asarray(difference).max() <= 8, "but for rounding in another version of Pillow"


def test_the_mark_of_the_maskable_icon_lies_where_nothing_is_cut_off() -> None:
    picture = icons.draw(128, maskable=True).convert("RGB")
    for x in range(128):
        for y in range(128):
            if math.hypot(x - 63.5, y - 63.5) > MASK_RADIUS * 128:
                assert picture.getpixel((x, y)) == picture.getpixel((0, 0))
