"""The plug-ins for GIMP, Krita and darktable against a real server, installed as their pages say, in stand-in hosts."""

from __future__ import annotations

import ast
import importlib
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile
from lupa.lua54 import LuaRuntime

from fake_engines import photo
from host_stand_ins import GimpImage, KritaApplication, KritaDocument, gimp_modules, krita_modules
from serving import ROOT, RunningServer

PLUGINS = ROOT / "integrations"
CLIENT = PLUGINS / "lama_integrations/lama_client.py"
HOLE = (slice(16, 36), slice(20, 44))
RED = 90 * 257


@pytest.fixture
def address(server: RunningServer) -> str:
    return f"http://127.0.0.1:{server.port}"


def selected(empty: bool = False) -> np.ndarray:
    """A selection with a soft edge, of which the server fills the inner part."""
    out = np.zeros((64, 96), np.uint8)
    if not empty:
        out[15:37, 19:45] = 60
        out[HOLE] = 255
    return out


def with_alpha(pixels: np.ndarray) -> np.ndarray:
    return np.dstack([pixels, np.full(pixels.shape[:2], np.iinfo(pixels.dtype).max, pixels.dtype)])


def installed(monkeypatch: pytest.MonkeyPatch, folder: Path, files: list[Path], modules: dict[str, ModuleType]) -> None:
    folder.mkdir()
    for file in files:
        shutil.copy(file, folder)
    for name in ("lama_fill", "lama_client", "lama_fill.lama_client"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.parametrize("file", ["gimp/lama_fill/lama_fill.py", "krita/lama_fill/__init__.py"])
def test_a_python_plug_in_needs_its_host_and_the_standard_library_only(file: str) -> None:
    tree = ast.parse((PLUGINS / file).read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    hosts = {"gi", "krita", "PyQt5", "PyQt6", "lama_client"}
    assert {name.split(".")[0] for name in names} - hosts <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", [p for p in PLUGINS.rglob("*.*") if p.suffix in (".py", ".lua")], ids=lambda p: p.name)
def test_a_plug_in_can_be_read_at_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 300


# ---- GIMP


@pytest.fixture
def gimp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    folder = tmp_path / "lama_fill"
    installed(monkeypatch, folder, [PLUGINS / "gimp/lama_fill/lama_fill.py", CLIENT], gimp_modules())
    monkeypatch.syspath_prepend(str(folder))
    yield importlib.import_module("lama_fill")
    for name in ("lama_fill", "lama_client"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("channels", [2, 4])
def test_gimp_gets_a_layer_that_shows_the_filled_selection_alone(gimp: Any, address: str, channels: int) -> None:
    pixels = with_alpha(photo().astype(np.uint16) * 257)
    image = GimpImage(pixels if channels == 4 else np.ascontiguousarray(pixels[..., (0, 3)]), selected())
    before = image.pixels.copy()
    gimp.remove(image, server=address, token="", model="painter", seed=90)
    (layer,) = image.layers
    assert (layer.name, layer.offsets, layer.pixels.shape) == ("Filled by painter", (20, 16), (20, 24, channels))
    assert (layer.pixels[..., -1] == 65535).all()
    if channels == 4:
        assert np.array_equal(np.unique(layer.pixels[..., 0]), [RED])
    assert np.array_equal(image.pixels, before)
    assert image.steps == ["start", "insert", "end"]
    assert all(copy.is_deleted for copy in image.copies)


def test_gimp_sends_only_the_surroundings_of_a_small_selection_in_a_large_picture(gimp: Any, address: str) -> None:
    pixels = with_alpha(photo(1200, 900).astype(np.uint16) * 257)
    mask = np.zeros((900, 1200), np.uint8)
    mask[700:710, 1000:1020] = 255
    image = GimpImage(pixels, mask)
    gimp.remove(image, server=address, token="", model="painter", seed=90)
    assert (image.layers[0].offsets, image.layers[0].pixels.shape) == ((1000, 700), (10, 20, 4))


def run_in_gimp(gimp: Any, image: GimpImage, **options: object) -> tuple[str, Any]:
    procedure = SimpleNamespace(new_return_values=lambda status, error: (status, error))
    config = SimpleNamespace(get_property=options.__getitem__)
    status, error = gimp.run(procedure, "noninteractive", image, [], config, None)
    return status, error


def test_gimp_is_told_what_went_wrong(gimp: Any, address: str) -> None:
    image = GimpImage(with_alpha(photo().astype(np.uint16)), selected(empty=True))
    options = {"server": address, "token": "", "model": "painter", "seed": 1}
    assert run_in_gimp(gimp, image, **options) == (
        "error", (1, "Nothing is selected. Select what is to go, then call this again."),
    )  # fmt: skip
    image.selected = selected()
    status, (_, said) = run_in_gimp(gimp, image, **{**options, "model": "nothing"})
    assert (status, said.split(".")[0]) == ("error", "There is no model 'nothing'")
    assert image.layers == []
    assert run_in_gimp(gimp, image, **options) == ("success", None)


# ---- Krita


@pytest.fixture
def application() -> KritaApplication:
    return KritaApplication()


@pytest.fixture
def shown() -> list[str]:
    return []


@pytest.fixture
def answers() -> list[str]:
    return []


@pytest.fixture
def krita(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    application: KritaApplication,
    answers: list[str],
    shown: list[str],
) -> Iterator[Any]:
    files = [PLUGINS / "krita/lama_fill/__init__.py", CLIENT]
    installed(monkeypatch, tmp_path / "lama_fill", files, krita_modules(application, answers, shown))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("lama_fill")
    for name in ("lama_fill", "lama_fill.lama_client"):
        sys.modules.pop(name, None)


def blue_first(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(with_alpha(pixels)[..., (2, 1, 0, 3)])


WIDE = photo().astype(np.uint16) * 257
PICTURES = {
    "RGBA U8": (("RGBA", "U8", "sRGB"), blue_first(photo())),
    "RGBA U16": (("RGBA", "U16", "a profile"), blue_first(WIDE)),
    "GRAYA U8": (("GRAYA", "U8", "grey"), with_alpha(photo()[..., 0])),
    "GRAYA U16": (("GRAYA", "U16", "grey"), with_alpha(WIDE[..., 0])),
    "RGBA F32": (("RGBA", "F32", "linear"), with_alpha(WIDE).astype(np.float32) / 65535),
    "CMYKA U8": (("CMYKA", "U8", "paper"), np.zeros((64, 96, 5), np.uint8)),
}


@pytest.mark.parametrize("name", PICTURES)
def test_krita_gets_a_layer_that_shows_the_filled_selection_alone(krita: Any, address: str, name: str) -> None:
    space, stored = PICTURES[name]
    document = KritaDocument(space, stored, selected(), blue_first(WIDE))
    krita.remove(document, server=address, token="", model="painter")
    (layer,) = document.layers
    is_kept = name.split()[1] in ("U8", "U16") and not name.startswith("CMYK")
    assert layer.space == (space if is_kept else krita.SRGB)
    assert (layer.name, layer.box) == ("Filled by painter", (20, 16, 24, 20))
    kind = np.uint8 if layer.space[1] == "U8" else np.uint16
    pixels = np.frombuffer(layer.samples, kind).reshape(20, 24, -1)
    assert not pixels[..., :-1].any()
    assert (pixels[..., -1] == np.iinfo(kind).max).all()
    assert all(not copy.is_open for copy in document.copies)


def test_krita_keeps_red_and_blue_apart(krita: Any, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    space, stored = PICTURES["RGBA U16"]
    document = KritaDocument(space, stored, selected(), stored)
    fill = krita.fill
    monkeypatch.setattr(krita, "fill", lambda image, mask, **options: fill(image, mask, **options, seed=90))
    krita.remove(document, server=address, token="", model="painter")
    pixels = np.frombuffer(document.layers[0].samples, np.uint16).reshape(20, 24, 4)
    assert (pixels == [0, 0, RED, 65535]).all()


def test_krita_fills_from_its_menu_with_the_settings_that_were_given(
    krita: Any, address: str, application: KritaApplication, answers: list[str], shown: list[str]
) -> None:
    (extension,) = application.extensions
    entries: dict[str, Callable[[], None]] = {}

    def create_action(name: str, title: str, place: str) -> Any:
        return SimpleNamespace(triggered=SimpleNamespace(connect=partial(entries.__setitem__, name)))

    extension.setup()
    extension.createActions(SimpleNamespace(createAction=create_action))
    answers += [f" {address} ", "", "painter"]
    entries["lama_server_settings"]()
    space, stored = PICTURES["RGBA U8"]
    application.document = KritaDocument(space, stored, selected(), stored)
    entries["lama_server_fill"]()
    assert shown == []
    assert len(application.document.layers) == 1
    application.document.selected = None
    entries["lama_server_fill"]()
    application.document = None
    entries["lama_server_fill"]()
    assert shown == ["Nothing is selected. Select what is to go, then call this again."] * 2


# ---- darktable


DARKTABLE = """
local preferences, made = {}, {}
local log = { printed = {}, errors = {}, grouped = {} }
local function image(path, filename, tags)
  return { path = path, filename = filename, rating = 3,
           get_tags = function() return tags end,
           group_with = function(self, other) log.grouped[#log.grouped + 1] = { self, other } end }
end
package.loaded["darktable"] = {
  preferences = {
    register = function(module, name, kind, label, help, usual) preferences[name] = usual end,
    read = function(module, name, kind) return preferences[name] end,
  },
  register_storage = function(name, label, store, finalize, supported)
    made = { store = store, finalize = finalize, supported = supported }
  end,
  destroy_storage = function(name) made = {} end,
  control = { execute = function(command) local ok, _, code = os.execute(command) return ok and 0 or code end },
  database = { import = function(path) log.imported = path return image(path, path, {}) end },
  print = function(text) log.printed[#log.printed + 1] = text end,
  print_error = function(text) log.errors[#log.errors + 1] = text end,
}
return preferences, log, image, function() return made end
"""


@pytest.fixture
def darktable(address: str) -> Any:
    """(preferences, log, image, storage) of a stand-in for darktable that has loaded the script."""
    lua = LuaRuntime(unpack_returned_tuples=True)
    preferences, log, image, storage = lua.execute(DARKTABLE)
    module = lua.execute((PLUGINS / "darktable/lama_fill.lua").read_text(encoding="utf-8"))
    preferences.server = f"{address}/"
    preferences.model = "painter"
    return SimpleNamespace(lua=lua, preferences=preferences, log=log, image=image, storage=storage, module=module)


def exported(folder: Path, dtype: type) -> tuple[Path, Path]:
    """What darktable exports of a photo and its mask, under names that a shell would stumble over."""
    photo_file, mask_file = folder / 'it\'s a "photo" & more.tif', folder / "its mask.tif"
    white = 1 if dtype is np.float32 else 65535
    mask = np.repeat(selected()[..., None] == 255, 3, axis=2)
    tifffile.imwrite(photo_file, (photo() / 255 * white).astype(dtype), photometric="rgb")
    tifffile.imwrite(mask_file, (mask * white).astype(dtype), photometric="rgb")
    return photo_file, mask_file


def export(darktable: Any, folder: Path, files: tuple[Path, ...]) -> Any:
    """Ends an export: the first file is that of the photo, the second that of a duplicate with the tag of masks."""
    table, mask_tag = darktable.lua.table(), darktable.lua.table_from({"name": "lama-server|mask"})
    tags = [darktable.lua.table_from(held) for held in ([], [mask_tag])]
    images = [darktable.image(str(folder), "DSC_1.NEF", held) for held in tags]
    for image, file in zip(images, files, strict=False):
        table[image] = str(file)
    darktable.storage().finalize(None, table, None)
    return images[0]


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_darktable_gets_a_tiff_of_the_same_depth_beside_the_photo(darktable: Any, tmp_path: Path, dtype: type) -> None:
    (tmp_path / "DSC_1_lama.tif").write_bytes(b"mine")
    files = exported(tmp_path, dtype)
    original = tifffile.imread(files[0])
    image = export(darktable, tmp_path, files)
    target = tmp_path / "DSC_1_lama_1.tif"
    assert darktable.log.imported == str(target)
    result = tifffile.imread(target) if dtype is np.uint16 else read_by_opencv(target)
    assert result.dtype == dtype
    assert (result[HOLE] == 0).all()
    result[HOLE] = original[HOLE]
    assert np.array_equal(result, original)
    assert (tmp_path / "DSC_1_lama.tif").read_bytes() == b"mine"
    made, group = darktable.log.grouped[1][1], darktable.log.grouped[1][2]
    assert (made.rating, group.filename) == (3, image.filename)
    assert list(darktable.log.errors.values()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["DSC_1_lama.tif", "DSC_1_lama_1.tif"]


def read_by_opencv(path: Path) -> np.ndarray:
    import cv2

    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return np.ascontiguousarray(pixels[..., ::-1])


def test_darktable_is_told_what_went_wrong(darktable: Any, tmp_path: Path) -> None:
    export(darktable, tmp_path, exported(tmp_path, np.uint16)[:1])
    darktable.preferences.model = 'no"such'
    export(darktable, tmp_path, exported(tmp_path, np.uint16))
    darktable.preferences.server = "http://127.0.0.1:9"
    export(darktable, tmp_path, exported(tmp_path, np.uint16))
    missing, unknown, silent = darktable.log.errors.values()
    assert missing == "lama-server: DSC_1.NEF: no duplicate with the tag lama-server|mask was exported with it"
    assert unknown.startswith("lama-server: DSC_1.NEF: There is no model 'no\"such'. There are: ")
    assert silent == "lama-server: DSC_1.NEF: there is no lama-server at http://127.0.0.1:9"
    assert darktable.log.imported is None
    assert [path.name for path in tmp_path.iterdir() if "photo" not in path.name] == []


def test_darktable_offers_the_target_for_tiff_only(darktable: Any) -> None:
    supported = darktable.storage().supported
    assert [bool(supported(None, SimpleNamespace(extension=name))) for name in ("tif", "jpg")] == [True, False]
    darktable.storage().store(None, None, None, "a", 1, 2, True, None)
    assert list(darktable.log.printed.values()) == ["exported 1 of 2 for lama-server"]
    darktable.module.destroy()
    assert darktable.storage().finalize is None
