"""What --model does where it does not fill but makes the whole picture anew: cut out, enlarge, restore."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from inpaint_models.tasks.enlarge import Enlarger
from inpaint_models.tasks.matte import Matter
from inpaint_models.tasks.restore import Restorer
from inpaint_models.types import ParamValue

from ... import codec
from ...imaging.canvas import check_size
from .batch import Job, Made, Writer

Remaker = Matter | Enlarger | Restorer


@dataclass(frozen=True, slots=True)
class Remake:
    """A `Process` of batch.py."""

    model: Remaker
    params: Mapping[str, ParamValue]
    writer: Writer

    def __call__(self, job: Job) -> Made:
        """Raises whatever is wrong with the photo."""
        info = self.shown(codec.probe(job.image, self.writer.limits))
        path = job.result(info)
        if path.exists():
            return Made("skipped", path)
        if isinstance(self.model, Enlarger):
            check_size(info.width, info.height, self.writer.limits, "")
        pixels = codec.decode(job.image, self.writer.limits).pixels
        made = self.model.cut_out if isinstance(self.model, Matter) else self.model
        return self.writer.write(job, path, made(pixels, self.params), info, None)

    def shown(self, info: codec.ImageInfo) -> codec.ImageInfo:
        """The photo with what the model changes of its canvas."""
        if isinstance(self.model, Enlarger):
            factor = int(str(self.model.entry.check_params(self.params)["factor"]))
            return replace(info, width=info.width * factor, height=info.height * factor)
        return replace(info, has_alpha=not self.params.get("background")) if isinstance(self.model, Matter) else info
