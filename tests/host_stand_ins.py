"""Stand-ins for what GIMP 3 and Krita offer plug-ins, as far as ours use it.

Written after runs in GIMP 3.0.4 and Krita 5.2.9, see docs/integrations.
"""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

# ---- GIMP


class GeglBuffer:
    """(H, W, C) that is read and written in one format."""

    def __init__(self, pixels: np.ndarray, format: str) -> None:
        self.pixels, self.format = pixels, format

    def get(self, place: Any, scale: float, format: str, abyss: str) -> bytes:
        assert (format, scale) == (self.format, 1.0)
        return self.pixels[place.y : place.y + place.height, place.x : place.x + place.width].tobytes()

    def set(self, place: Any, format: str, samples: bytes) -> None:
        assert format == self.format
        shape = (place.height, place.width, self.pixels.shape[2])
        values = np.frombuffer(samples, self.pixels.dtype).reshape(shape)
        self.pixels[place.y : place.y + place.height, place.x : place.x + place.width] = values


class GimpLayer:
    """A layer, which is a buffer at an offset."""

    def __init__(self, pixels: np.ndarray, name: str) -> None:
        self.pixels, self.name, self.offsets, self.is_deleted = pixels, name, (0, 0), False

    @classmethod
    def new_from_visible(cls, image: GimpImage, target: GimpImage, name: str) -> GimpLayer:
        image.copies.append(cls(image.pixels, name))
        return image.copies[-1]

    @classmethod
    def new(cls, image: GimpImage, name: str, width: int, height: int, kind: str, *_: object) -> GimpLayer:
        assert kind == {2: "graya", 4: "rgba"}[image.pixels.shape[2]]
        return cls(np.zeros((height, width, image.pixels.shape[2]), np.uint16), name)

    def get_buffer(self) -> GeglBuffer:
        assert not self.is_deleted
        return GeglBuffer(self.pixels, {2: "Y'A u16", 4: "R'G'B'A u16"}[self.pixels.shape[2]])

    def set_offsets(self, x: int, y: int) -> None:
        self.offsets = (x, y)

    def update(self, *box: int) -> None:
        assert box[2:] == (self.pixels.shape[1], self.pixels.shape[0])

    def delete(self) -> None:
        self.is_deleted = True


class GimpImage:
    """What is visible, (H, W, 2 | 4) uint16, with a selection of 8 bits."""

    def __init__(self, pixels: np.ndarray, selected: np.ndarray) -> None:
        self.pixels, self.selected = pixels, selected
        self.layers: list[GimpLayer] = []
        self.copies: list[GimpLayer] = []
        self.steps: list[str] = []

    def get_width(self) -> int:
        return int(self.pixels.shape[1])

    def get_height(self) -> int:
        return int(self.pixels.shape[0])

    def get_base_type(self) -> str:
        return {2: "gray", 4: "rgb"}[self.pixels.shape[2]]

    def get_selection(self) -> Any:
        return SimpleNamespace(get_buffer=lambda: GeglBuffer(self.selected[..., None], "Y u8"))

    def undo_group_start(self) -> None:
        self.steps.append("start")

    def undo_group_end(self) -> None:
        self.steps.append("end")

    def insert_layer(self, layer: GimpLayer, parent: None, position: int) -> None:
        self.steps.append("insert")
        self.layers.insert(position, layer)


def selection_bounds(image: GimpImage) -> Any:
    ys, xs = np.nonzero(image.selected)
    if not len(ys):
        return SimpleNamespace(non_empty=False)
    return SimpleNamespace(
        non_empty=True, x1=int(xs.min()), y1=int(ys.min()), x2=int(xs.max()) + 1, y2=int(ys.max()) + 1
    )


def gimp_modules() -> dict[str, ModuleType]:
    """The modules that a plug-in of GIMP imports, by name."""
    gi, repository = ModuleType("gi"), ModuleType("gi.repository")
    plug_in = type("PlugIn", (), {"error_quark": staticmethod(lambda: 1)})
    gimp = SimpleNamespace(
        PlugIn=plug_in,
        Layer=GimpLayer,
        Selection=SimpleNamespace(bounds=selection_bounds),
        ImageBaseType=SimpleNamespace(GRAY="gray", RGB="rgb"),
        ImageType=SimpleNamespace(GRAYA_IMAGE="graya", RGBA_IMAGE="rgba"),
        LayerMode=SimpleNamespace(NORMAL="normal"),
        RunMode=SimpleNamespace(INTERACTIVE="interactive", NONINTERACTIVE="noninteractive"),
        PDBStatusType=SimpleNamespace(SUCCESS="success", EXECUTION_ERROR="error"),
        progress_init=str,
        displays_flush=dict,
    )
    rectangle = SimpleNamespace(new=lambda x, y, w, h: SimpleNamespace(x=x, y=y, width=w, height=h))
    gegl = SimpleNamespace(Rectangle=rectangle, AbyssPolicy=SimpleNamespace(NONE="none"))
    glib = SimpleNamespace(Error=SimpleNamespace(new_literal=lambda domain, text, code: (domain, text)))
    vars(gi).update(require_version=lambda name, version: None, repository=repository)
    vars(repository).update(Gimp=gimp, Gegl=gegl, GLib=glib, GObject=SimpleNamespace())
    return {"gi": gi, "gi.repository": repository}


# ---- Krita


class KritaNode:
    """A paint layer."""

    def __init__(self, name: str) -> None:
        self.name, self.space, self.box, self.samples = name, ("", "", ""), (0, 0, 0, 0), b""

    def setColorSpace(self, *space: str) -> bool:  # noqa: N802
        self.space = space  # type: ignore[assignment]
        return True

    def setPixelData(self, samples: bytes, *box: int) -> bool:  # noqa: N802
        self.samples, self.box = samples, box  # type: ignore[assignment]
        return True


class KritaDocument:
    """A picture as Krita keeps it: blue first in whole numbers; what is converted to them comes from `whole`."""

    def __init__(
        self, space: tuple[str, str, str], stored: np.ndarray, selected: np.ndarray | None, whole: np.ndarray
    ) -> None:
        self.space, self.stored, self.selected, self.whole = space, stored, selected, whole
        self.layers: list[KritaNode] = []
        self.copies: list[KritaDocument] = []
        self.is_open = True

    def width(self) -> int:
        return int(self.stored.shape[1])

    def height(self) -> int:
        return int(self.stored.shape[0])

    def colorModel(self) -> str:  # noqa: N802
        return self.space[0]

    def colorDepth(self) -> str:  # noqa: N802
        return self.space[1]

    def colorProfile(self) -> str:  # noqa: N802
        return self.space[2]

    def pixelData(self, x: int, y: int, width: int, height: int) -> bytes:  # noqa: N802
        return self.stored[y : y + height, x : x + width].tobytes()

    def clone(self) -> KritaDocument:
        self.copies.append(KritaDocument(self.space, self.stored, self.selected, self.whole))
        return self.copies[-1]

    def setColorSpace(self, *space: str) -> bool:  # noqa: N802
        self.space, self.stored = space, self.whole  # type: ignore[assignment]
        return True

    def close(self) -> None:
        self.is_open = False

    def selection(self) -> Any:
        if self.selected is None:
            return None
        selected = self.selected
        ys, xs = np.nonzero(selected)
        box = int(xs.min()), int(ys.min()), int(np.ptp(xs)) + 1, int(np.ptp(ys)) + 1
        return SimpleNamespace(
            x=lambda: box[0],
            y=lambda: box[1],
            width=lambda: box[2],
            height=lambda: box[3],
            pixelData=lambda x, y, w, h: selected[y : y + h, x : x + w].tobytes(),
        )

    def createNode(self, name: str, kind: str) -> KritaNode:  # noqa: N802
        assert kind == "paintlayer"
        return KritaNode(name)

    def rootNode(self) -> Any:  # noqa: N802
        return SimpleNamespace(addChildNode=lambda node, below: self.layers.append(node))

    def waitForDone(self) -> None:  # noqa: N802
        assert self.is_open

    def refreshProjection(self) -> None:  # noqa: N802
        assert self.layers


class KritaApplication:
    """Krita itself, with its settings and what plug-ins have registered."""

    def __init__(self) -> None:
        self.extensions: list[Any] = []
        self.settings: dict[tuple[str, str], str] = {}
        self.document: KritaDocument | None = None

    def addExtension(self, extension: Any) -> None:  # noqa: N802
        self.extensions.append(extension)

    def activeDocument(self) -> KritaDocument | None:  # noqa: N802
        return self.document

    def readSetting(self, group: str, name: str, usual: str) -> str:  # noqa: N802
        return self.settings.get((group, name), usual)

    def writeSetting(self, group: str, name: str, value: str) -> None:  # noqa: N802
        self.settings[group, name] = value


def krita_modules(application: KritaApplication, answers: list[str], shown: list[str]) -> dict[str, ModuleType]:
    """The modules that a plug-in of Krita imports; dialogs take their texts from `answers`, messages go to `shown`."""
    krita, pyqt, widgets = ModuleType("krita"), ModuleType("PyQt5"), ModuleType("PyQt5.QtWidgets")
    extension = type("Extension", (), {"__init__": lambda self, parent: None})
    vars(krita).update(Extension=extension, Krita=SimpleNamespace(instance=lambda: application))
    dialog = SimpleNamespace(getText=lambda *_, text: (answers.pop(0), True) if answers else (text, False))
    box = SimpleNamespace(warning=lambda parent, title, text: shown.append(text))
    vars(widgets).update(QInputDialog=dialog, QMessageBox=box)
    vars(pyqt).update(QtWidgets=widgets)
    return {"krita": krita, "PyQt5": pyqt, "PyQt5.QtWidgets": widgets}
