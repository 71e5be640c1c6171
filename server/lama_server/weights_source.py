"""The library's weights, as the server asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from inpaint_models.registry import ModelEntry

from .models_state import DownloadReport
from .settings import Settings


class LibraryWeights:
    """`WeightsSource` over `inpaint_models.weights`, which is imported when a model with weights is first asked for."""

    def __init__(self, settings: Settings) -> None:
        self._model_dir = settings.model_dir

    def find(self, entry: ModelEntry) -> Mapping[str, Path] | None:
        from inpaint_models.weights import locate

        files = locate(entry, self._model_dir)
        return files.paths if files.status == "ready" else None

    def download(self, entry: ModelEntry, report: DownloadReport) -> Mapping[str, Path]:
        from inpaint_models.weights import DownloadProgress, download

        def listen(progress: DownloadProgress) -> None:
            report(progress.done_bytes, progress.total_bytes)

        return download(entry, self._model_dir, progress=listen).paths
