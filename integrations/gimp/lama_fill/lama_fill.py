#!/usr/bin/env python3
"""GIMP 3: fills the selection with what a lama-server makes of its surroundings, as a new layer.

Install: this file and lama_client.py go into a folder lama_fill in GIMP's folder of plug-ins.
"""

from __future__ import annotations

import sys
from typing import Any

import gi

gi.require_version("Gegl", "0.4")
gi.require_version("Gimp", "3.0")
from gi.repository import Gegl, Gimp, GLib, GObject  # noqa: E402
from lama_client import DEFAULT_SERVER, Box, LamaError, Pixels, around, decode_png, encode_png, fill, only_where  # noqa: E402

PROCEDURE = "lama-server-fill"


class LamaFill(Gimp.PlugIn):  # type: ignore[misc]
    """Registers the one procedure."""

    def do_query_procedures(self) -> list[str]:
        return [PROCEDURE]

    def do_set_i18n(self, name: str) -> bool:
        return False

    def do_create_procedure(self, name: str) -> Any:
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, run, None)
        procedure.set_image_types("RGB*, GRAY*")
        procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.DRAWABLE | Gimp.ProcedureSensitivityMask.DRAWABLES)
        procedure.set_menu_label("Remove with _lama-server...")
        procedure.add_menu_path("<Image>/Filters/Enhance")
        procedure.set_documentation(
            "Remove what is selected", "Sends the selection and its surroundings to a lama-server on this machine or "
            "another, and shows the result as a new layer.", name,
        )  # fmt: skip
        both = GObject.ParamFlags.READWRITE
        procedure.add_string_argument("server", "Ser_ver", "Its address", DEFAULT_SERVER, both)
        procedure.add_string_argument("token", "_Token", "Where the server asks for one", "", both)
        procedure.add_string_argument("model", "_Model", "Empty: the server's own choice", "", both)
        procedure.add_int_argument("seed", "S_eed", "Another one gives another result", 0, 2**31 - 1, 0, both)
        return procedure


def run(procedure: Any, run_mode: Any, image: Any, drawables: Any, config: Any, data: Any) -> Any:
    """What GIMP calls; asks in a dialog unless it is called by a script."""
    if run_mode == Gimp.RunMode.INTERACTIVE and not _asked(procedure, config):
        return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
    try:
        remove(image, **{name: config.get_property(name) for name in ("server", "token", "model", "seed")})
    except LamaError as error:
        told = GLib.Error.new_literal(Gimp.PlugIn.error_quark(), str(error), 0)
        return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, told)
    Gimp.displays_flush()
    return procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)


def remove(image: Any, **options: Any) -> None:
    """Adds a layer with the filled selection. Raises `LamaError`."""
    bounds = Gimp.Selection.bounds(image)
    if not bounds.non_empty:
        raise LamaError("Nothing is selected. Select what is to go, then call this again.")
    hole = Box(bounds.x1, bounds.y1, bounds.x2 - bounds.x1, bounds.y2 - bounds.y1)
    crop = around(hole, image.get_width(), image.get_height())
    grey = image.get_base_type() == Gimp.ImageBaseType.GRAY
    visible = Gimp.Layer.new_from_visible(image, image, "lama-server")
    picture = _read(visible, crop, "Y'A u16" if grey else "R'G'B'A u16", 2 if grey else 4, 16)
    mask = _read(image.get_selection(), crop, "Y u8", 1, 8)
    visible.delete()
    Gimp.progress_init("Waiting for lama-server")
    patch = fill(encode_png(picture), encode_png(mask), **options)
    inside = Box(crop.x + patch.box.x, crop.y + patch.box.y, patch.box.width, patch.box.height)
    _add_layer(image, patch.model, inside, only_where(decode_png(patch.png), mask, patch.box))


def _read(drawable: Any, box: Box, kind: str, channels: int, depth: int) -> Pixels:
    """A part of a drawable that covers the whole image, converted by GEGL from whatever precision it has."""
    place = Gegl.Rectangle.new(box.x, box.y, box.width, box.height)
    samples = drawable.get_buffer().get(place, 1.0, kind, Gegl.AbyssPolicy.NONE)
    return Pixels(box.width, box.height, channels, depth, bytes(samples))


def _add_layer(image: Any, model: str, box: Box, pixels: Pixels) -> None:
    """In one step of the undo history."""
    grey = pixels.channels == 2
    kind = Gimp.ImageType.GRAYA_IMAGE if grey else Gimp.ImageType.RGBA_IMAGE
    image.undo_group_start()
    layer = Gimp.Layer.new(image, f"Filled by {model}", box.width, box.height, kind, 100, Gimp.LayerMode.NORMAL)
    layer.set_offsets(box.x, box.y)
    image.insert_layer(layer, None, 0)
    place = Gegl.Rectangle.new(0, 0, box.width, box.height)
    layer.get_buffer().set(place, "Y'A u16" if grey else "R'G'B'A u16", pixels.samples)
    layer.update(0, 0, box.width, box.height)
    image.undo_group_end()


def _asked(procedure: Any, config: Any) -> bool:
    """Whether the person went on."""
    gi.require_version("GimpUi", "3.0")
    from gi.repository import GimpUi

    GimpUi.init(PROCEDURE)
    dialog = GimpUi.ProcedureDialog(procedure=procedure, config=config)
    dialog.fill(None)
    try:
        return bool(dialog.run())
    finally:
        dialog.destroy()


if __name__ == "__main__":
    Gimp.main(LamaFill.__gtype__, sys.argv)
