"""What can be seen of an edit before it is finished: estimates, and patches that are done while others are not."""

from __future__ import annotations

import secrets
from collections import OrderedDict, defaultdict
from dataclasses import dataclass

from ..schemas.base import wire_box
from ..schemas.events import PatchEvent, PreviewEvent
from ..workers.messages import PatchReport, PreviewReport

PREVIEWS_KEPT = 32


@dataclass(frozen=True, slots=True)
class Preview:
    image: bytes
    media_type: str


class EarlyPictures:
    """Kept in memory: the newest previews, and patches until their edit is stored or given up."""

    def __init__(self) -> None:
        self._previews: OrderedDict[str, Preview] = OrderedDict()
        self._patches: defaultdict[str, dict[int, bytes]] = defaultdict(dict)

    def preview(self, name: str) -> Preview | None:
        return self._previews.get(name)

    def patch(self, edit: str, index: int) -> bytes | None:
        """The PNG of a patch of an edit that is being made."""
        return self._patches.get(edit, {}).get(index)

    def add_preview(self, job: str, run: int, report: PreviewReport) -> PreviewEvent:
        name = f"{job}-{run}-{secrets.token_hex(4)}"
        self._previews[name] = Preview(report.image, report.media_type)
        while len(self._previews) > PREVIEWS_KEPT:
            self._previews.popitem(last=False)
        return PreviewEvent(type="preview", job=job, run=run, url=f"/api/v1/previews/{name}", **wire_box(report.box))

    def add_patch(self, job: str, run: int, edit: str, report: PatchReport) -> PatchEvent:
        self._patches[edit][report.index] = report.patch.png
        return PatchEvent(
            type="patch",
            job=job,
            run=run,
            edit=edit,
            index=report.index,
            of=report.of,
            url=patch_url(edit, report.index),
            **wire_box(report.patch.box),
        )

    def drop_patches(self, edit: str) -> None:
        self._patches.pop(edit, None)


def patch_url(edit: str, index: int) -> str:
    return f"/api/v1/edits/{edit}/patches/{index}.png"
