"""Krita 5: fills the selection with what a lama-server makes of its surroundings, as a new layer.

Install: lama_fill.desktop and the folder lama_fill, with lama_client.py in it, go into Krita's folder pykrita.
"""

from __future__ import annotations

from array import array
from typing import Any

from krita import Extension, Krita  # type: ignore[import-not-found]

from .lama_client import DEFAULT_SERVER, Box, LamaError, Pixels, around, decode_png, encode_png, fill, only_where

SETTINGS = "lama-server"
OPTIONS = {"server": DEFAULT_SERVER, "token": "", "model": ""}
"""What is asked for and kept in Krita's settings; empty: without a token, with the server's own choice of a model."""

CHANNELS = {"RGBA": 4, "GRAYA": 2}
DEPTHS = {"U8": 8, "U16": 16}
SRGB = ("RGBA", "U16", "sRGB-elle-V2-srgbtrc.icc")
"""What pictures of other models and depths are converted to; the new layer is in it too, and Krita blends it in."""


class LamaFill(Extension):  # type: ignore[misc]
    """Two entries in Tools > Scripts."""

    def setup(self) -> None:
        """Nothing is needed when Krita starts."""

    def createActions(self, window: Any) -> None:  # noqa: N802  Krita calls it by that name
        action = window.createAction("lama_server_fill", "Remove with lama-server", "tools/scripts")
        action.triggered.connect(self.fill_selection)
        action = window.createAction("lama_server_settings", "Settings of lama-server...", "tools/scripts")
        action.triggered.connect(self.ask_settings)

    def fill_selection(self) -> None:
        """Krita waits until the server has answered."""
        application = Krita.instance()
        given = {name: application.readSetting(SETTINGS, name, usual) for name, usual in OPTIONS.items()}
        try:
            remove(application.activeDocument(), **given)
        except LamaError as error:
            _widgets().QMessageBox.warning(None, "lama-server", str(error))

    def ask_settings(self) -> None:
        application, dialog = Krita.instance(), _widgets().QInputDialog
        for name, usual in OPTIONS.items():
            before = application.readSetting(SETTINGS, name, usual)
            text, is_given = dialog.getText(None, "lama-server", f"{name}:", text=before)
            if not is_given:
                return
            application.writeSetting(SETTINGS, name, text.strip())


def remove(document: Any, **options: str) -> None:
    """Adds a layer with the filled selection. Raises `LamaError`."""
    selection = document.selection() if document else None
    if selection is None:
        raise LamaError("Nothing is selected. Select what is to go, then call this again.")
    document.waitForDone()
    width, height = document.width(), document.height()
    x0, y0 = max(0, selection.x()), max(0, selection.y())
    x1, y1 = min(width, selection.x() + selection.width()), min(height, selection.y() + selection.height())
    if x1 <= x0 or y1 <= y0:
        raise LamaError("The selection lies outside the picture. Select what is to go, then call this again.")
    crop = around(Box(x0, y0, x1 - x0, y1 - y0), width, height)
    picture, space = _read(document, crop)
    mask = Pixels(crop.width, crop.height, 1, 8, bytes(selection.pixelData(*crop)))
    patch = fill(encode_png(picture), encode_png(mask), **options)
    inside = Box(crop.x + patch.box.x, crop.y + patch.box.y, patch.box.width, patch.box.height)
    _add_layer(document, patch.model, inside, only_where(decode_png(patch.png), mask, patch.box), space)


def _read(document: Any, box: Box) -> tuple[Pixels, tuple[str, str, str]]:
    """(what is visible of a part of the picture, its colour model, depth and profile)."""
    space = document.colorModel(), document.colorDepth(), document.colorProfile()
    if space[0] in CHANNELS and space[1] in DEPTHS:
        return _in_order(box, space, document.pixelData(*box)), space
    copy = document.clone()
    try:
        copy.setColorSpace(*SRGB)
        copy.waitForDone()
        return _in_order(box, SRGB, copy.pixelData(*box)), SRGB
    finally:
        copy.close()


def _in_order(box: Box, space: tuple[str, str, str], samples: Any) -> Pixels:
    return _turned(Pixels(box.width, box.height, CHANNELS[space[0]], DEPTHS[space[1]], bytes(samples)))


def _turned(pixels: Pixels) -> Pixels:
    """Between red first, as in image files, and blue first, as Krita keeps whole numbers."""
    if pixels.channels != 4:
        return pixels
    samples = array("B" if pixels.depth == 8 else "H", pixels.samples)
    samples[0::4], samples[2::4] = samples[2::4], samples[0::4]
    return pixels._replace(samples=samples.tobytes())


def _add_layer(document: Any, model: str, box: Box, pixels: Pixels, space: tuple[str, str, str]) -> None:
    layer = document.createNode(f"Filled by {model}", "paintlayer")
    layer.setColorSpace(*space)
    layer.setPixelData(_turned(pixels).samples, *box)
    document.rootNode().addChildNode(layer, None)
    document.refreshProjection()


def _widgets() -> Any:
    """Krita 5 comes with PyQt5, Krita 6 with PyQt6."""
    try:
        from PyQt5 import QtWidgets  # type: ignore[import-not-found]
    except ImportError:
        from PyQt6 import QtWidgets  # type: ignore[import-not-found]
    return QtWidgets


Krita.instance().addExtension(LamaFill(Krita.instance()))
