"""The store of images and edits: nothing half, nothing lost, bounded."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inpaint_models.types import Box
from lama_server import codec
from lama_server.errors import EditNotFound, ImageError, ImageNotFound, StoreFull
from lama_server.imaging.layers import LayeredPixels
from lama_server.imaging.pictures import Overlay
from lama_server.imaging.pixel_files import write_pixels
from lama_server.store import image_store, roots, space
from lama_server.store.image_store import EditRecord, ImageStore, StoredImage

GENEROUS = 2**30
CAP = 100_000


def photo(seed: int = 0, side: int = 40) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side + 4, 3), np.uint8)
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def record(image: str, *parents: str, box: Box = Box(2, 3, 7, 9)) -> EditRecord:  # noqa: B008
    return EditRecord(image, parents, (box,), {"mask": {"shapes": []}, "run": {"model": "opencv", "seed": 1}})


def patch(seed: int = 1, box: Box = Box(2, 3, 7, 9)) -> bytes:  # noqa: B008
    return codec.encode_patch(np.random.default_rng(seed).integers(0, 256, (box.height, box.width, 3), np.uint8))


def pngs(store: ImageStore, edit_id: str) -> list[Path]:
    return [overlay.png for overlay in store.patches(store.get_edit(edit_id))]


def overlays(store: ImageStore, image_id: str, edits: list[str]) -> list[Overlay]:
    """The layers of edits that have nothing but patches."""
    layers = store.resolve(image_id, edits)
    patches = [layer for layer in layers if isinstance(layer, Overlay)]
    assert len(patches) == len(layers)
    return patches


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "store", GENEROUS)


def decoded(store: ImageStore, image_id: str) -> Path:
    """Does the codec worker's part."""
    with store.scratch() as scratch:
        write_pixels(scratch.result, codec.decode(store.original_path(image_id)).pixels)
        store.add_pixels(image_id, scratch)
    path = store.pixels_path(image_id)
    assert path is not None
    return path


def test_an_image_is_named_by_its_bytes_and_kept_as_it_came(store: ImageStore) -> None:
    data = photo()
    image = store.add_image(data, "beach.png")
    assert image.id == hashlib.sha256(data).hexdigest()
    assert (image.name, image.info.width, image.info.height) == ("beach.png", 44, 40)
    assert store.original_path(image.id).read_bytes() == data
    assert store.get_image(image.id) == image


def test_the_same_bytes_again_are_the_same_image_under_the_newest_name(store: ImageStore, tmp_path: Path) -> None:
    first = store.add_image(photo(), "a.png")
    before = files(tmp_path)
    second = store.add_image([photo()[:100], photo()[100:]], "b.png")
    assert (first.id, second.name) == (second.id, "b.png")
    assert store.get_image(first.id).name == "b.png"
    assert files(tmp_path) == before


def test_a_refused_upload_leaves_nothing(store: ImageStore, tmp_path: Path) -> None:
    before = files(tmp_path)
    with pytest.raises(ImageError):
        store.add_image(b"no picture", "x.png")
    with store.receive() as upload:
        upload.write(photo())
    assert files(tmp_path) == before
    assert list((tmp_path / "store" / "tmp").iterdir()) == []


def test_images_and_edits_survive_a_restart(store: ImageStore, tmp_path: Path) -> None:
    image = store.add_image(photo(), "a.png")
    first = store.add_edit(record(image.id), [patch()])
    second = store.add_edit(record(image.id, first.id), [patch(2)])
    again = ImageStore(tmp_path / "store", GENEROUS)
    assert again.get_image(image.id) == image
    assert again.get_edit(second.id) == second
    assert again.get_edit(second.id).record.parents == (first.id,)
    assert [png.read_bytes() for png in pngs(again, first.id)] == [patch()]


def test_an_edit_keeps_all_its_patches(store: ImageStore, tmp_path: Path) -> None:
    image = store.add_image(photo(), "a.png")
    boxes = (Box(2, 3, 7, 9), Box(20, 10, 22, 12), Box(30, 0, 44, 1))
    several = EditRecord(image.id, (), boxes, {"mask": {"shapes": []}})
    edit = store.add_edit(several, [patch(seed, box) for seed, box in enumerate(boxes)])
    again = ImageStore(tmp_path / "store", GENEROUS)
    placed = overlays(again, image.id, [edit.id])
    assert again.get_edit(edit.id) == edit
    assert [overlay.box for overlay in placed] == list(boxes)
    assert [overlay.png.read_bytes() for overlay in placed] == [patch(seed, box) for seed, box in enumerate(boxes)]


def test_an_edit_of_version_0_1_is_read_as_it_was_stored(store: ImageStore, tmp_path: Path) -> None:
    image = store.add_image(photo(), "a.png")
    folder = tmp_path / "store" / "images" / image.id[:2] / image.id / "edits" / ("ab" * 16)
    folder.mkdir(parents=True)
    (folder / "patch.png").write_bytes(patch())
    content = {"image": image.id, "parents": [], "box": [2, 3, 7, 9], "request": {"mask": {"shapes": []}}}
    (folder / "edit.json").write_text(json.dumps(content))
    again = ImageStore(tmp_path / "store", GENEROUS)
    (placed,) = overlays(again, image.id, [folder.name])
    assert (placed.box, placed.png.read_bytes()) == (Box(2, 3, 7, 9), patch())
    newer = again.add_edit(record(image.id, folder.name), [patch(2)])
    assert len(overlays(again, image.id, [folder.name, newer.id])) == 2


def test_resolve_gives_exactly_the_asked_edits_in_the_asked_order(store: ImageStore) -> None:
    image, other = store.add_image(photo(), "a.png"), store.add_image(photo(1), "b.png")
    a, b = store.add_edit(record(image.id), [patch()]), store.add_edit(record(image.id), [patch(2)])
    foreign = store.add_edit(record(other.id), [patch()])
    shown = [overlay.png for overlay in overlays(store, image.id, [b.id, a.id, b.id])]
    assert shown == [*pngs(store, b.id), *pngs(store, a.id)]
    with pytest.raises(EditNotFound):
        store.resolve(image.id, [a.id, foreign.id])
    with pytest.raises(EditNotFound):
        store.add_edit(record(image.id, foreign.id), [patch()])
    with pytest.raises(ImageNotFound):
        store.add_edit(record("0" * 64), [patch()])


HOSTILE_IDS = ["", ".", "..", "../x", "A" * 64, "0" * 63, "0" * 64 + "\n", "0" * 32 + "/", "é" * 32, "0" * 64 + "\0",
               "/etc/passwd", "//etc/passwd", "file:///etc/passwd", "~/.ssh/id_rsa", "..\\..\\x", "C:\\x",
               "\\\\host\\x", "CON", "a.png::$DATA", "n" * 300, "a/" * 2048]  # fmt: skip


@pytest.mark.parametrize("bad", HOSTILE_IDS)
def test_an_id_that_is_not_hexadecimal_never_becomes_a_path(store: ImageStore, bad: str) -> None:
    """B81, B83, B84, B90, B91."""
    with pytest.raises(ImageNotFound):
        store.get_image(bad)
    with pytest.raises(EditNotFound):
        store.get_edit(bad)


def test_files_belong_to_the_owner_alone(store: ImageStore, tmp_path: Path) -> None:
    image = store.add_image(photo(), "a.png")
    store.add_edit(record(image.id), [patch()])
    decoded(store, image.id)
    for path in (tmp_path / "store").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_an_edit_starts_no_threads_of_its_own_and_reads_the_photos_record_once(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = store.add_image(photo(), "a.png")
    writers, reads = set[threading.Thread](), list[Path]()
    write_file, read_image = image_store._write_file, image_store._read_image

    def written(path: Path, data: bytes) -> None:
        writers.add(threading.current_thread())
        write_file(path, data)

    def read(folder: Path) -> StoredImage | None:
        reads.append(folder)
        return read_image(folder)

    monkeypatch.setattr(image_store, "_write_file", written)
    monkeypatch.setattr(image_store, "_read_image", read)
    with store.hold(store.get_image(image.id).id):
        for _ in range(20):
            assert store.original_path(image.id).exists()
            assert store.pixels_path(image.id) is None
            store.add_edit(record(image.id), [patch(), patch()])
    assert len(reads) == 1
    assert len(writers) <= image_store._WRITERS


def test_a_damaged_record_counts_as_absent_and_can_be_replaced(store: ImageStore, tmp_path: Path) -> None:
    image = store.add_image(photo(), "a.png")
    info = store.original_path(image.id).with_name("info.json")
    for content in (b"", b"[]", b'{"name": "a.png"}', b'{"name": "a.png", "info": {}}', b"\xff"):
        info.write_bytes(content)
        with pytest.raises(ImageNotFound):
            store.get_image(image.id)
        assert store.add_image(photo(), "a.png") == image


# --------------------------------------------------------------------------------------- the size cap


def used_bytes(root: Path) -> int:
    """What the store's cap counts."""
    return sum(path.lstat().st_size for path in (root / "images").rglob("*") if path.is_file())


def aged(path: Path, seconds: float) -> None:
    stamp = time.time() - seconds
    os.utime(path.with_name("info.json"), (stamp, stamp))


def test_decoded_pixels_go_first_and_then_whole_images_that_were_used_longest_ago(tmp_path: Path) -> None:
    store = ImageStore(tmp_path, GENEROUS)
    ids = [store.add_image(photo(seed), f"{seed}.png").id for seed in range(3)]
    edits = [store.add_edit(record(image_id), [patch()]).id for image_id in ids]
    for age, image_id in enumerate(ids):
        decoded(store, image_id)
        aged(store.original_path(image_id), 100 * (3 - age))
    full, pixels = used_bytes(tmp_path), 40 * 44 * 3
    roomy = ImageStore(tmp_path, full - pixels - 129)
    assert [roomy.pixels_path(image_id) is None for image_id in ids] == [True, True, False]
    for age, image_id in enumerate(ids):
        aged(roomy.original_path(image_id), 100 * (3 - age))
    tight = ImageStore(tmp_path, used_bytes(tmp_path) - pixels - 200)
    with pytest.raises(ImageNotFound):
        tight.get_image(ids[0])
    with pytest.raises(EditNotFound):
        tight.get_edit(edits[0])
    assert tight.get_edit(edits[1]).record.image == ids[1]
    assert tight.pixels_path(ids[2]) is None


def test_what_is_in_use_or_was_opened_a_moment_ago_stays_and_nothing_more_is_taken_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cap holds, whatever is under way (P5)."""
    monkeypatch.setattr(space, "_FUTILE_S", 0.0)
    store = ImageStore(tmp_path, CAP)
    image = store.add_image(photo(), "a.png")
    decoded(store, image.id)
    with store.hold(image.id):
        with pytest.raises(StoreFull, match="--data-cap") as refused, store.scratch() as scratch:
            scratch.take(CAP - used_bytes(tmp_path) + 1)
        assert refused.value.limit is not None
        assert store.pixels_path(image.id) is not None
    with store.scratch() as scratch:
        scratch.take(CAP - used_bytes(tmp_path) + 1)
        assert store.pixels_path(image.id) is None, "pixels can be made again, so they may go"
    assert store.get_image(image.id) == image
    with pytest.raises(ImageNotFound):
        ImageStore(tmp_path, 1).get_image(image.id)


def test_what_was_used_ten_minutes_ago_makes_room_for_what_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ImageStore(tmp_path, CAP)
    old = store.add_image(photo(), "a.png")
    assert store.add_image(photo(1), "b.png").id != old.id
    with store.scratch() as scratch:
        scratch.take(CAP - used_bytes(tmp_path) - 100)
        with pytest.raises(StoreFull):
            store.add_image(photo(2), "c.png")
        monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + 601)
        store.add_image(photo(2), "c.png")
    with pytest.raises(ImageNotFound):
        store.get_image(old.id)


def test_room_that_was_set_aside_is_given_back_whatever_happens(store: ImageStore, tmp_path: Path) -> None:
    """Also by work that is told of its room only after it was closed: the last lines would raise."""
    for _ in range(3):
        with store.receive() as upload:
            upload.scratch.take(GENEROUS // 2)
            upload.write(b"no image")
            with pytest.raises(ImageError):
                upload.finish("a.png")
        scratch = store.scratch()
        scratch.close()
        scratch.take(GENEROUS // 2)
        scratch.close()
    with store.scratch() as scratch:
        scratch.take(GENEROUS)
    assert list((tmp_path / "store" / "tmp").iterdir()) == []


def test_a_disk_that_others_filled_costs_pixels_and_no_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can be made again goes; work does not, however little that helps."""
    image = ImageStore(tmp_path, GENEROUS).add_image(photo(), "a.png")
    store = ImageStore(tmp_path, GENEROUS, min_free_bytes=1000)
    decoded(store, image.id)
    monkeypatch.setattr(roots, "free_bytes", lambda folder: 999)
    with pytest.raises(StoreFull, match="at least 1 MiB stay free"):
        store.add_image(photo(1), "b.png")
    assert store.get_image(image.id) == image
    assert store.pixels_path(image.id) is None
    monkeypatch.undo()
    store.add_image(photo(1), "b.png")


def test_a_store_that_is_deleted_is_made_again(store: ImageStore, tmp_path: Path) -> None:
    """B95: also with the folders above it."""
    image = store.add_image(photo(), "a.png")
    edit = store.add_edit(record(image.id), [patch()])
    (tmp_path / "store").rename(tmp_path / "gone")
    with pytest.raises(ImageNotFound):
        store.get_image(image.id)
    with pytest.raises(EditNotFound):
        store.get_edit(edit.id)
    assert store.add_image(photo(), "a.png") == image
    assert stat.S_IMODE((tmp_path / "store").stat().st_mode) == 0o700


@pytest.mark.parametrize("has_handles", [True, False], ids=["handles", "paths"])
def test_a_root_is_refused_where_its_path_holds_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_handles: bool
) -> None:
    """P2, on systems with and without folders as handles."""
    monkeypatch.setattr(roots, "HAS_DIR_FDS", has_handles)
    real, link = tmp_path / "a" / "b", tmp_path / "link"
    roots.make_root(real)
    roots.check_writable(real)
    link.symlink_to(tmp_path / "a")
    for folder in (link, link / "b", real / ".." / ".." / "link"):
        with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
            roots.make_root(folder)
        with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
            roots.check_writable(folder)
    with pytest.raises(FileNotFoundError):
        roots.check_root(tmp_path / "missing")
    assert list(real.iterdir()) == []


def test_an_image_that_does_not_decode_can_be_taken_away(store: ImageStore, tmp_path: Path) -> None:
    image = store.add_image(photo(), "a.png")
    edit = store.add_edit(record(image.id), [patch()])
    store.remove_image(image.id)
    with pytest.raises(ImageNotFound):
        store.get_image(image.id)
    with pytest.raises(EditNotFound):
        store.get_edit(edit.id)
    assert files(tmp_path) == set()


# ------------------------------------------------------------------------------------ faults and races


def test_leftovers_of_a_killed_process_are_swept_when_they_are_old(store: ImageStore, tmp_path: Path) -> None:
    old, young = tmp_path / "store" / "tmp" / "old", tmp_path / "store" / "tmp" / "young"
    for folder in (old, young):
        folder.mkdir()
        (folder / "original").write_bytes(b"x")
    os.utime(old, (1, 1))
    ImageStore(tmp_path / "store", GENEROUS)
    assert not old.exists()
    assert young.exists()


def test_leftovers_of_a_killed_process_count_and_go_when_room_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "_FUTILE_S", 0.0)
    left = tmp_path / "tmp" / "left"
    left.mkdir(parents=True)
    (left / "result").write_bytes(bytes(CAP // 2))
    store = ImageStore(tmp_path, CAP)
    with store.scratch() as scratch:
        with pytest.raises(StoreFull):
            scratch.take(CAP // 2 + 1)
        os.utime(left, (1, 1))
        os.utime(scratch.path, (1, 1))
        scratch.take(CAP // 2 + 1)
        assert list((tmp_path / "tmp").iterdir()) == [scratch.path], "one's own work stays, however old"


@pytest.mark.parametrize("call", ["fsync", "rename", "replace"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_disk_that_fills_up_is_reported_and_leaves_the_store_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    store = ImageStore(tmp_path, GENEROUS)
    image = store.add_image(photo(), "a.png")
    edit = store.add_edit(record(image.id), [patch()])
    before = files(tmp_path)
    fail_from(monkeypatch, call, number)
    outcomes = []
    for action in (lambda: store.add_image(photo(7), "b.png"), lambda: store.add_edit(record(image.id), [patch(3)])):
        try:
            action()
            outcomes.append("done")
        except StoreFull:
            outcomes.append("full")
    monkeypatch.undo()
    again = ImageStore(tmp_path, GENEROUS)
    assert again.get_edit(edit.id) == edit
    if outcomes == ["full", "full"]:
        assert files(tmp_path) == before
    for path in tmp_path.glob("images/*/*"):
        assert hashlib.sha256((path / "original").read_bytes()).hexdigest() == path.name
        again.get_image(path.name)


def fail_from(monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> None:
    """From the n-th call on, `os.CALL` says that the disk is full."""
    real, count = getattr(os, call), 0

    def failing(*args: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        if count >= number:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*args, **options)

    monkeypatch.setattr(os, call, failing)


WRITER = """
import sys
from pathlib import Path
from lama_server.store.image_store import ImageStore
sys.path.insert(0, sys.argv[2])
from test_image_store import patch, photo, record
store = ImageStore(Path(sys.argv[1]), 2**30)
store.add_image(photo(10_000, 200), "first.png")
print("ready", flush=True)
for seed in range(10_000):
    image = store.add_image(photo(seed, 200), "a.png")
    store.add_edit(record(image.id), [patch(seed)])
"""


def test_killing_the_process_at_any_moment_leaves_only_whole_images_and_edits(tmp_path: Path) -> None:
    paths = os.pathsep.join(path for path in sys.path if path)
    for round_ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(Path(__file__).parent)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths},
        )
        assert child.stdout is not None
        with child.stdout:
            assert child.stdout.readline() == b"ready\n"
            time.sleep(0.01 + 0.03 * round_)
            child.kill()
            child.wait()
    store = ImageStore(tmp_path, GENEROUS)
    found = list(tmp_path.glob("images/*/*"))
    assert found
    for path in found:
        assert hashlib.sha256((path / "original").read_bytes()).hexdigest() == path.name
        assert codec.decode(path / "original").info == store.get_image(path.name).info
        for edit in path.glob("edits/*"):
            assert store.get_edit(edit.name).record.image == path.name
            for png in pngs(store, edit.name):
                assert codec.decode_patch(png.read_bytes(), has_alpha=False).shape == (6, 5, 3)


def test_many_threads_may_add_at_once(store: ImageStore) -> None:
    errors: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            image = store.add_image(photo(seed % 3), f"{seed}.png")
            store.add_edit(record(image.id), [patch(seed)])
            decoded(store, image.id)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for seed in range(3):
        image = store.get_image(hashlib.sha256(photo(seed)).hexdigest())
        assert store.pixels_path(image.id) is not None


def test_from_upload_to_the_saved_file(store: ImageStore) -> None:
    image = store.add_image(photo(), "a.png")
    box = Box(2, 3, 7, 9)
    edit = store.add_edit(record(image.id), [patch(1, box)])
    source = codec.decode(store.original_path(image.id)).pixels
    base = np.load(decoded(store, image.id), mmap_mode="r")
    placed = overlays(store, image.id, [edit.id])
    layers = [(p.box, lambda p=p: codec.decode_patch(p.png.read_bytes(), has_alpha=False)) for p in placed]
    edited = LayeredPixels(base, layers)
    result = codec.decode(codec.render(store.original_path(image.id), edited, image.info)).pixels
    known = np.ones(source.shape[:2], bool)
    known[box.slices] = False
    assert np.array_equal(result[known], source[known])
    assert np.array_equal(result[box.slices], codec.decode_patch(patch(1, box), has_alpha=False))
