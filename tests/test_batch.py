"""Folders of photos on the command line: nothing replaced, nothing half, a bad file never stops the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import jpeg_reader
from inpaint_models import FillOptions, load_model
from inpaint_models.pipeline.inpainter import Inpainter
from lama_server import codec
from lama_server.cli.photos.batch import Event, Fill, Summary, Writer, plan, run_all
from lama_server.errors import BatchInvalid, DiskFull, RootUnavailable
from lama_server.store import saving
from test_codec_cut import CUT, HEIGHT, WIDTH


@pytest.fixture(scope="module")
def inpainter() -> Inpainter:
    return load_model("opencv")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    """(pictures, masks, out); out does not exist yet."""
    pictures, masks = tmp_path / "pictures", tmp_path / "masks"
    pictures.mkdir()
    masks.mkdir()
    return pictures, masks, tmp_path / "out"


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (60, 40), **options: Any) -> Path:
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    pixels = np.stack([x * 4 % 256, y * 6 % 256, (x + y + seed) * 2 % 256], axis=2).astype(np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def mask(path: Path, size: tuple[int, int] = (60, 40), *, empty: bool = False) -> Path:
    pixels = np.zeros((size[1], size[0]), np.uint8)
    if not empty:
        pixels[10:20, 15:30] = 255
    Image.fromarray(pixels).save(path)
    return path


def run_batch(
    image: Path,
    hole: Path,
    out: Path,
    inpainter: Inpainter,
    options: FillOptions,
    *,
    format: codec.WantedFormat = "keep",
    on_event: Callable[[Event], None] = lambda event: None,
) -> Summary:
    """Plans and runs."""
    return run_all(plan(image, hole, out, format=format), Fill(inpainter, options, Writer()), on_event)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_one_picture_one_mask_one_result(folders: tuple[Path, Path, Path], inpainter: Inpainter) -> None:
    pictures, masks, out = folders
    source, hole = picture(pictures / "a.png"), mask(masks / "m.png")
    summary = run_batch(source, hole, out / "result.png", inpainter, FillOptions())
    assert (summary.filled, summary.failed) == (1, 0)
    before, after = codec.decode(source).pixels, codec.decode(out / "result.png").pixels
    known = np.ones(before.shape[:2], bool)
    known[10:20, 15:30] = False
    assert np.array_equal(after[known], before[known])
    assert not np.array_equal(after, before)


def test_all_parts_of_a_mask_are_filled(folders: tuple[Path, Path, Path], inpainter: Inpainter) -> None:
    pictures, masks, out = folders
    source, hole = picture(pictures / "a.png", size=(640, 480)), masks / "m.png"
    marked = np.zeros((480, 640), bool)
    marked[5:25, 10:40] = marked[440:470, 600:630] = True
    Image.fromarray(marked).save(hole)
    run_batch(source, hole, out / "result.png", inpainter, FillOptions())
    before, after = codec.decode(source).pixels, codec.decode(out / "result.png").pixels
    assert np.array_equal(after[~marked], before[~marked])
    for part in ((slice(5, 25), slice(10, 40)), (slice(440, 470), slice(600, 630))):
        assert not np.array_equal(after[part], before[part])


def test_the_suffix_of_one_result_chooses_its_format(folders: tuple[Path, Path, Path], inpainter: Inpainter) -> None:
    pictures, masks, out = folders
    source, hole = picture(pictures / "a.png"), mask(masks / "m.png")
    for name, format in (("r.jpg", "jpeg"), ("r.webp", "webp"), ("r.TIF", "tiff"), ("r.jpeg", "jpeg")):
        run_batch(source, hole, out / name, inpainter, FillOptions())
        assert codec.probe(out / name.lower()).format == format


def test_a_folder_keeps_names_formats_and_metadata(folders: tuple[Path, Path, Path], inpainter: Inpainter) -> None:
    pictures, masks, out = folders
    tags = Image.Exif()
    tags[0x010F] = "Maker"
    picture(pictures / "a.jpeg", exif=tags)
    picture(pictures / "b.PNG", 1, dpi=(300, 300))
    picture(pictures / "c.gif", 2)
    picture(pictures / ".hidden.png")
    (pictures / "notes.txt").write_text("no picture")
    summary = run_batch(pictures, mask(masks / "m.png"), out, inpainter, FillOptions())
    assert summary.filled == 3
    assert names(out) == ["a.jpeg", "b.png", "c.png"]
    with Image.open(out / "a.jpeg") as image:
        assert image.getexif()[0x010F] == "Maker"
    assert codec.read_metadata(out / "b.png").dpi == pytest.approx((300, 300), abs=0.01)


def test_a_jpeg_keeps_the_blocks_that_were_not_filled(folders: tuple[Path, Path, Path], inpainter: Inpainter) -> None:
    pictures, masks, out = folders
    picture(pictures / "a.jpg")
    events: list[Event] = []
    run_batch(pictures, mask(masks / "m.png"), out, inpainter, FillOptions(), on_event=events.append)
    assert [(event.made.outcome, event.made.message) for event in events] == [("filled", "")]
    old, new = (jpeg_reader.read((folder / "a.jpg").read_bytes()).shown_blocks() for folder in (pictures, out))
    same = [(was == now).all(axis=2) for was, now in zip(old, new, strict=True)]
    assert 0.2 < same[0].mean() < 1


def test_each_picture_gets_the_mask_of_its_name(folders: tuple[Path, Path, Path], inpainter: Inpainter) -> None:
    pictures, masks, out = folders
    for stem in ("a", "b", "c"):
        picture(pictures / f"{stem}.jpg")
    mask(masks / "a.png")
    mask(masks / "b.bmp", empty=True)
    events: list[Event] = []
    summary = run_batch(pictures, masks, out, inpainter, FillOptions(), on_event=events.append)
    assert [event.made.outcome for event in events] == ["filled", "copied", "failed"]
    assert [(event.index, event.total) for event in events] == [(1, 3), (2, 3), (3, 3)]
    assert "no mask called c" in events[2].made.message
    assert (out / "b.jpg").read_bytes() == (pictures / "b.jpg").read_bytes()
    assert (summary.filled, summary.copied, summary.skipped, summary.failed) == (1, 1, 0, 1)


def test_an_empty_mask_still_converts_when_another_format_is_wanted(
    folders: tuple[Path, Path, Path], inpainter: Inpainter
) -> None:
    pictures, masks, out = folders
    source = picture(pictures / "a.jpg")
    summary = run_batch(pictures, mask(masks / "m.png", empty=True), out, inpainter, FillOptions(), format="png")
    assert summary.copied == 1
    assert np.array_equal(codec.decode(out / "a.png").pixels, codec.decode(source).pixels)


def test_a_second_run_does_only_what_is_missing(folders: tuple[Path, Path, Path], inpainter: Inpainter) -> None:
    pictures, masks, out = folders
    for stem in ("a", "b", "c"):
        picture(pictures / f"{stem}.png")
    hole = mask(masks / "m.png")
    run_batch(pictures, hole, out, inpainter, FillOptions())
    (out / "b.png").unlink()
    (out / "a.png").write_bytes(b"mine")
    summary = run_batch(pictures, hole, out, inpainter, FillOptions())
    assert (summary.filled, summary.skipped) == (1, 2)
    assert (out / "a.png").read_bytes() == b"mine"
    assert names(out) == ["a.png", "b.png", "c.png"]


def test_a_bad_file_is_reported_and_the_rest_goes_on(folders: tuple[Path, Path, Path], inpainter: Inpainter) -> None:
    pictures, masks, out = folders
    picture(pictures / "a.png")
    (pictures / "b.png").write_bytes((pictures / "a.png").read_bytes()[:-30])
    picture(pictures / "c.png", size=(61, 40))
    picture(pictures / "d.png")
    events: list[Event] = []
    run_batch(pictures, mask(masks / "m.png"), out, inpainter, FillOptions(), on_event=events.append)
    assert [event.made.outcome for event in events] == ["filled", "failed", "failed", "filled"]
    assert "ends too early" in events[1].made.message
    assert "60x40 but the image is 61x40" in events[2].made.message
    assert names(out) == ["a.png", "d.png"]


@pytest.mark.parametrize("name", CUT)
def test_a_picture_or_mask_that_is_cut_is_reported_and_not_saved(
    name: str, folders: tuple[Path, Path, Path], inpainter: Inpainter
) -> None:
    """B51, P8"""
    pictures, masks, out = folders
    cut, size = masks / "cut.img", (WIDTH, HEIGHT)
    cut.write_bytes(CUT[name])
    (pictures / "cut.png").write_bytes(CUT[name])
    events: list[Event] = []
    run_batch(pictures, mask(masks / "whole.png", size), out, inpainter, FillOptions(), on_event=events.append)
    (pictures / "cut.png").unlink()
    picture(pictures / "whole.png", size=size)
    run_batch(pictures, cut, out, inpainter, FillOptions(), on_event=events.append)
    assert [event.made.outcome for event in events] == ["failed", "failed"]
    assert all(name.split()[-1] in event.made.message for event in events)
    assert not out.exists()


def test_pictures_that_would_get_one_name_are_told_apart(
    folders: tuple[Path, Path, Path], inpainter: Inpainter
) -> None:
    pictures, masks, out = folders
    picture(pictures / "a.png")
    picture(pictures / "a.gif", 5)
    hole = mask(masks / "m.png")
    for expected in ("filled", "skipped"):
        summary = run_batch(pictures, hole, out, inpainter, FillOptions())
        assert getattr(summary, expected) == 2
    assert names(out) == ["a_gif.png", "a_png.png"]


def test_a_full_disk_ends_the_batch(
    folders: tuple[Path, Path, Path], inpainter: Inpainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures, masks, out = folders
    picture(pictures / "a.png")
    picture(pictures / "b.png")

    def full(*args: object) -> str:
        raise DiskFull("The disk is full.")

    monkeypatch.setattr(saving, "save_new", full)
    with pytest.raises(DiskFull):
        run_batch(pictures, mask(masks / "m.png"), out, inpainter, FillOptions())


def test_what_cannot_work_is_refused_before_anything_is_done(folders: tuple[Path, Path, Path]) -> None:
    pictures, masks, out = folders
    hole = mask(masks / "m.png")
    with pytest.raises(BatchInvalid, match="holds no images"):
        plan(pictures, hole, out)
    source = picture(pictures / "a.png")
    for arguments, reason in (
        ((pictures / "gone.png", hole, out), "There is no gone.png"),
        ((pictures, masks / "gone.png", out), "There is no gone.png"),
        ((pictures, hole, pictures), "another output folder"),
        ((source, hole, pictures), "another output folder"),
        ((source, hole, out / "a.exe"), "cannot be written as .exe"),
        ((pictures, hole, source), "is a file"),
        ((source, hole, source / "r.png"), "is a file"),
    ):
        with pytest.raises(BatchInvalid, match=reason):
            plan(*arguments)
    with pytest.raises(BatchInvalid, match="not called like a PNG"):
        plan(source, hole, out / "a.jpg", format="png")
    assert not out.exists()


def test_an_output_folder_that_cannot_be_made_ends_the_batch_with_its_own_error(
    folders: tuple[Path, Path, Path], inpainter: Inpainter
) -> None:
    pictures, masks, _ = folders
    source, hole = picture(pictures / "a.png"), mask(masks / "m.png")
    with pytest.raises(RootUnavailable, match="output folder cannot be written"):
        run_batch(source, hole, Path("/proc/nothing/a.png"), inpainter, FillOptions())


def test_a_mask_that_is_gone_is_a_read_error_and_the_rest_goes_on(
    folders: tuple[Path, Path, Path], inpainter: Inpainter
) -> None:
    pictures, masks, out = folders
    for stem in ("a", "b"):
        picture(pictures / f"{stem}.png")
        mask(masks / f"{stem}.png")
    jobs, events = plan(pictures, masks, out), list[Event]()
    (masks / "a.png").unlink()
    run_all(jobs, Fill(inpainter, FillOptions(), Writer()), events.append)
    assert [event.made.outcome for event in events] == ["failed", "filled"]
    assert events[0].made.message == "The photo or its mask cannot be read (No such file or directory)."
