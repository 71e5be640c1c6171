"""Every form in which people hold weights is read, and nothing that could run code is opened."""

from __future__ import annotations

import argparse
import collections
import hashlib
import io
import json
import logging
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import checkpoint_forms as forms
from inpaint_models import catalog
from inpaint_models.errors import UnsafeWeights, WeightsCorrupted, WeightsMissing
from inpaint_models.weights import read_state_dict
from inpaint_models.weights.formats import MAX_HEADER_BYTES, members_of
from inpaint_models.weights.hash_cache import HashCache
from parity import weights as synthetic

KEYS = {
    "model.1.ffc.convl2l.weight": (4, 3, 2, 2),
    "model.1.bn_l.weight": (4,),
    "model.1.bn_l.running_mean": (4,),
    "model.1.bn_l.num_batches_tracked": (),
    "model.34.bias": (3,),
}


def tensors() -> dict[str, Tensor]:
    values = {key: torch.from_numpy(synthetic.normal(key, shape)) for key, shape in KEYS.items()}
    values["model.1.bn_l.num_batches_tracked"] = torch.tensor(7)
    return values


def assert_same(state: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert list(state) == list(expected)
    for key, tensor in expected.items():
        assert state[key].dtype == tensor.dtype
        torch.testing.assert_close(state[key], tensor, rtol=0, atol=0)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


PREFIXES = ["", "generator.", "model.", "model.generator.", "module."]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("form", ["safetensors", "pth", "legacy", "lightning", "torchscript"])
def test_every_form_is_read_under_every_published_prefix(tmp_path: Path, form: str, prefix: str) -> None:
    values = forms.under(prefix, tensors())
    path = tmp_path / "weights.bin"
    if form == "safetensors":
        forms.write_safetensors(path, values)
    elif form == "lightning":
        forms.write_lightning(path, {**values, "discriminator.model0.0.weight": torch.ones(2)})
    elif form == "torchscript":
        forms.write_torchscript(path, values)
    else:
        forms.write_pth(path, values, legacy=form == "legacy")
    assert_same(read_state_dict(path, KEYS, known_hashes={sha256(path)}), tensors())


def test_lama_is_read_under_the_keys_of_its_manifest(tmp_path: Path) -> None:
    """All 989 keys of big-LaMa as its public exporter wrote them; tiny tensors, because only names matter here."""
    shapes = dict.fromkeys(synthetic.shapes(synthetic.read_manifest("lama"), "generator"), (1,))
    values = {key.removeprefix("generator."): torch.full((1,), float(i)) for i, key in enumerate(shapes)}
    path = forms.write_torchscript(tmp_path / "big-lama.pt", forms.under("model.generator.", values))
    state = read_state_dict(path, {key.removeprefix("generator."): (1,) for key in shapes}, allow_torchscript=True)
    assert [float(tensor) for tensor in state.values()] == list(range(989))
    assert len(read_state_dict(path, shapes, allow_torchscript=True)) == 989


def test_a_file_with_fewer_leading_parts_than_the_network_is_read(tmp_path: Path) -> None:
    values = {key.removeprefix("model."): tensor for key, tensor in tensors().items()}
    assert_same(read_state_dict(forms.write_safetensors(tmp_path / "bare.safetensors", values), KEYS), tensors())


def test_half_precision_stays_half_precision(tmp_path: Path) -> None:
    halves = {key: tensor.half() for key, tensor in tensors().items()}
    for path in (
        forms.write_safetensors(tmp_path / "a.safetensors", halves),
        forms.write_pth(tmp_path / "b.pth", halves),
    ):
        assert {tensor.dtype for tensor in read_state_dict(path, KEYS).values()} == {torch.float16}


def test_a_batch_norm_counter_that_a_converter_dropped_is_zero(tmp_path: Path) -> None:
    values = tensors()
    del values["model.1.bn_l.num_batches_tracked"]
    state = read_state_dict(forms.write_safetensors(tmp_path / "a.safetensors", values), KEYS)
    assert int(state["model.1.bn_l.num_batches_tracked"]) == 0
    assert list(state) == list(KEYS)


def test_the_averaged_copy_is_preferred(tmp_path: Path) -> None:
    averaged = {key: tensor + 1 for key, tensor in tensors().items()}
    path = tmp_path / "both.pth"
    torch.save({"G": tensors(), "D": {}, "G_ema": averaged}, path)
    assert_same(read_state_dict(path, KEYS), averaged)


def test_of_two_equal_networks_neither_is_taken(tmp_path: Path) -> None:
    one, two = forms.under("first.", tensors()), forms.under("second.", tensors())
    path = forms.write_safetensors(tmp_path / "a.safetensors", {**one, **two})
    with pytest.raises(WeightsCorrupted, match="2 networks"):
        read_state_dict(path, KEYS)


def test_extra_keys_are_named_in_the_debug_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = forms.write_safetensors(tmp_path / "a.safetensors", {**tensors(), "zz.extra": torch.ones(1)})
    with caplog.at_level(logging.DEBUG, "inpaint_models"):
        read_state_dict(path, KEYS)
    assert "1 tensors are not used, such as zz.extra" in caplog.text


def test_what_training_left_beside_the_weights_is_passed_over(tmp_path: Path) -> None:
    beside = {
        "score": np.float64(0.5),
        "history": np.arange(3),
        "arguments": argparse.Namespace(lr=0.1, out=Path("runs")),
        "counts": collections.defaultdict(list, {"a": [1]}),
        "kinds": [dict, int, torch.float32, torch.Size([2]), torch.device("cpu"), {1, 2}, b"bytes", 1j, None],
    }
    for legacy in (False, True):
        path = forms.write_pth(tmp_path / "a.ckpt", {"state_dict": tensors(), **beside}, legacy=legacy)
        assert_same(read_state_dict(path, KEYS), tensors())


def test_a_parameter_is_read_as_a_tensor_without_gradient(tmp_path: Path) -> None:
    path = forms.write_pth(tmp_path / "a.pth", {"a": torch.nn.Parameter(torch.ones(2))})
    state = read_state_dict(path, {"a": (2,)})
    assert type(state["a"]) is Tensor
    assert not state["a"].requires_grad


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"no file lama\.pt"):
        read_state_dict(tmp_path / "lama.pt", KEYS)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"synthesis.first_stage.conv_first.conv.weight": (2,)}, "looks like MAT, but LaMa was expected"),
        ({"model.diffusion_model.input_blocks.0.weight": (2,)}, "looks like Latent diffusion, but LaMa"),
        ({"generator.middle.0.ffc1.ffc.convl2l.weight": (2,)}, "looks like ZITS, but LaMa"),
        ({"b8.ffc_skip.0.ffc_act.ffc_block.conv1.ffc.convl2l.weight": (2,)}, "looks like FcF, but LaMa"),
        ({"layer1.0.conv1.weight": (2,)}, "looks like an image classifier"),
        ({"a.b": (2,)}, "1 tensors, but not all of the 4 expected"),
        ({**KEYS, "model.34.bias": (5,)}, r"model of another size: model.34.bias is \(5,\), expected \(3,\)"),
    ],
)
def test_a_file_of_another_model_is_called_what_it_is(tmp_path: Path, other: dict[str, tuple[int]], said: str) -> None:
    """B115."""
    path = forms.write_pth(tmp_path / "a.pth", {key: torch.zeros(shape) for key, shape in other.items()})
    with pytest.raises(WeightsCorrupted, match=said):
        read_state_dict(path, KEYS, families=catalog.families())


def safetensors_bytes(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(start: int, end: int) -> dict[str, object]:
    return {"dtype": "U8", "shape": [end - start], "data_offsets": [start, end]}


DAMAGED_SAFETENSORS = {
    "header of 2^63 bytes": safetensors_bytes({}, length=1 << 63),
    "header longer than the file": safetensors_bytes({"a": entry(0, 4)}, b"1234", length=1000),
    "header of 100 MB": safetensors_bytes(b"{" + b" " * 100_000_000 + b"}"),
    "header that is no JSON": safetensors_bytes(b"{nonsense}"),
    "deeply nested header": safetensors_bytes(b'{"a":' + b"[" * 100_000),
    "overlapping tensors": safetensors_bytes({"a": entry(0, 4), "b": entry(2, 6)}, b"123456"),
    "gap between tensors": safetensors_bytes({"a": entry(0, 2), "b": entry(4, 6)}, b"123456"),
    "offsets outside": safetensors_bytes({"a": entry(0, 400)}, b"1234"),
    "appended pickle": safetensors_bytes({"a": entry(0, 4)}, b"1234" + pickle.dumps("x")),
    "cut in the data": safetensors_bytes({"a": entry(0, 4)}, b"12"),
    "7 bytes": b"1234567",
    "nothing": b"",
    "web page": b"<!DOCTYPE html><html><body>Not found</body></html>",
    "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
}


@pytest.mark.parametrize("content", DAMAGED_SAFETENSORS.values(), ids=DAMAGED_SAFETENSORS)
def test_a_damaged_safetensors_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """B115, B117."""
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsCorrupted):
        read_state_dict(path, {"a": (4,)})


def test_a_web_page_saved_as_weights_is_called_one(tmp_path: Path) -> None:
    path = tmp_path / "big-lama.pt"
    path.write_bytes(DAMAGED_SAFETENSORS["web page"])
    with pytest.raises(WeightsCorrupted, match="web page"):
        read_state_dict(path, KEYS)


def test_the_header_limit_holds_on_both_sides(tmp_path: Path) -> None:
    """B117."""
    path = tmp_path / "a.safetensors"
    text = json.dumps({"a": entry(0, 4)}).encode()
    path.write_bytes(safetensors_bytes(text.ljust(MAX_HEADER_BYTES), b"1234"))
    assert read_state_dict(path, {"a": (4,)})["a"].tolist() == list(b"1234")
    path.write_bytes(safetensors_bytes(text.ljust(MAX_HEADER_BYTES + 1), b"1234"))
    with pytest.raises(WeightsCorrupted):
        read_state_dict(path, {"a": (4,)})


@pytest.mark.parametrize("form", ["pth", "legacy", "torchscript", "safetensors"])
def test_a_file_cut_anywhere_is_corrupted(tmp_path: Path, form: str) -> None:
    """B115."""
    path = tmp_path / "weights"
    if form == "torchscript":
        forms.write_torchscript(path, tensors())
    elif form == "safetensors":
        forms.write_safetensors(path, tensors())
    else:
        forms.write_pth(path, tensors(), legacy=form == "legacy")
    whole = path.read_bytes()
    for share in range(20):
        path.write_bytes(whole[: len(whole) * share // 20])
        with pytest.raises((WeightsCorrupted, UnsafeWeights)):
            read_state_dict(path, KEYS, allow_torchscript=True)


class Canary:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path, function: str = "open") -> None:
        self.path, self.function = path, function

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        if self.function == "system":
            import os

            return os.system, (f"touch {self.path}",)
        if self.function == "eval":
            return eval, (f"open({str(self.path)!r}, 'w')",)
        return open, (str(self.path), "w")


@pytest.mark.parametrize("function", ["open", "system", "eval"])
@pytest.mark.parametrize("form", ["zip", "legacy", "bare pickle", "protocol 4", "second pickle in the zip"])
def test_a_malicious_pickle_is_refused_and_never_runs(tmp_path: Path, form: str, function: str) -> None:
    """B116."""
    canary, path = tmp_path / "canary", tmp_path / "lama.ckpt"
    content = {"state_dict": tensors(), "extra": Canary(canary, function)}
    if form == "bare pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    elif form == "protocol 4":
        torch.save(content, path, pickle_protocol=4)
    elif form == "second pickle in the zip":
        torch.save({"state_dict": tensors()}, path)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("archive/Other.PKL", pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(UnsafeWeights, match=r"lama\.ckpt"):
        read_state_dict(path, KEYS)
    assert not canary.exists()


def test_the_refusal_names_what_the_pickle_wanted(tmp_path: Path) -> None:
    path = tmp_path / "lama.ckpt"
    torch.save({"x": Canary(tmp_path / "canary", "system")}, path)
    with pytest.raises(UnsafeWeights, match=r"names posix\.system|names nt\.system"):
        read_state_dict(path, KEYS)


def test_torchscript_of_unknown_hash_is_refused(tmp_path: Path) -> None:
    """B119."""
    path = forms.write_torchscript(tmp_path / "big-lama.pt", tensors())
    with pytest.raises(UnsafeWeights, match=sha256(path)):
        read_state_dict(path, KEYS)
    with pytest.raises(UnsafeWeights):
        read_state_dict(path, KEYS, known_hashes={"0" * 64})
    md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    assert_same(read_state_dict(path, KEYS, known_hashes={md5}), tensors())
    assert_same(read_state_dict(path, KEYS, allow_torchscript=True), tensors())


def archive_with(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


HARMLESS, HARMFUL = b"harmless", b"harmful!"
PLAIN, OTHER = (archive_with({"a/version": b"3", "a/data.pkl": pickle}) for pickle in (HARMLESS, HARMFUL))


def with_end(**changes: int) -> bytes:
    """`PLAIN` with other values in its end record."""
    names = ("disk", "first_disk", "here", "count", "size", "start", "comment")
    values = dict(zip(names, struct.unpack("<4H2LH", PLAIN[-18:]), strict=True))
    return PLAIN[:-18] + struct.pack("<4H2LH", *(values | changes).values())


STRANGE_ARCHIVES = {
    "two directories": OTHER[:-22] + PLAIN,
    "data in front": PLAIN[: PLAIN.index(b"PK\1\2")] + PLAIN,
    "data behind": PLAIN + b"behind",
    "a comment": with_end(comment=6) + b"behind",
    "a second end record": PLAIN + PLAIN[-22:],
    "a directory elsewhere": with_end(start=0),
    "fewer members than there are": with_end(here=1, count=1),
    "a part of several": with_end(disk=1, first_disk=1),
    "a locator that points elsewhere": PLAIN[:-22] + struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1) + PLAIN[-22:],
    "a name that goes on after a NUL": PLAIN.replace(b"a/version", b"a/v.pkl\0x"),
    "name that leaves the folder": archive_with({"archive/../../../tmp/x": b"", "archive/data.pkl": b"\x80\x02N."}),
    "absolute name": archive_with({"/etc/passwd": b"", "archive/data.pkl": b"\x80\x02N."}),
    "backslashes": archive_with({"archive\\..\\x": b"", "archive/data.pkl": b"\x80\x02N."}),
    "two members that differ in case": archive_with({"a/data.pkl": b"\x80\x02N.", "a/DATA.pkl": b"\x80\x02N."}),
    "compressed members": archive_with({"archive/data.pkl": b"\x80\x02N." * 9}, zipfile.ZIP_DEFLATED),
    "archive of a checkpoint": archive_with({"big-lama/models/best.ckpt": b"PK", "big-lama/config.yaml": b""}),
    "other archive": archive_with({"readme.txt": b"hello"}),
}


@pytest.mark.parametrize("content", STRANGE_ARCHIVES.values(), ids=STRANGE_ARCHIVES)
def test_an_archive_that_torch_did_not_write_is_refused(tmp_path: Path, content: bytes) -> None:
    """B118."""
    path = tmp_path / "lama.pt"
    path.write_bytes(content)
    with pytest.raises((UnsafeWeights, WeightsCorrupted)):
        read_state_dict(path, KEYS, allow_torchscript=True)


def test_the_archive_with_two_directories_shows_python_and_torch_different_contents() -> None:
    content = STRANGE_ARCHIVES["two directories"]
    assert zipfile.ZipFile(io.BytesIO(content)).read("a/data.pkl") == HARMLESS
    assert torch._C.PyTorchFileReader(io.BytesIO(content)).get_record("data.pkl") == HARMFUL


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return forms.write_pth(tmp_path_factory.mktemp("saved") / "a.pth", tensors()).read_bytes()


@given(data=st.data())
@settings(max_examples=400)
def test_an_archive_that_is_accepted_is_the_same_to_python_and_torch(saved: bytes, data: st.DataObject) -> None:
    """B118."""
    changed = bytearray(saved)
    directory = changed.index(b"PK\1\2")
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(directory, len(changed) - 1) | st.integers(len(changed) - 98, len(changed) - 1))
        changed[at : at + data.draw(st.integers(0, 1))] = data.draw(st.binary(max_size=2))
    try:
        members = members_of(io.BytesIO(changed), "a.pth")
        python = {m.filename.partition("/")[2]: zipfile.ZipFile(io.BytesIO(changed)).read(m) for m in members}
    except (WeightsCorrupted, UnsafeWeights, zipfile.BadZipFile, EOFError):
        return
    try:
        reader = torch._C.PyTorchFileReader(io.BytesIO(changed))
    except RuntimeError:
        return
    assert {name: reader.get_record(name) for name in reader.get_all_records()} == python


def test_a_member_that_says_it_is_a_folder_is_refused(saved: bytes) -> None:
    """B118: Python reads its bytes, torch reads zeros."""
    changed = bytearray(saved)
    first = changed.index(b"PK\1\2")
    changed[first + 38] |= 0x10  # external attributes
    with pytest.raises(UnsafeWeights, match="out of order"):
        members_of(io.BytesIO(changed), "a.pth")


def test_the_official_zip_is_said_to_need_unpacking(tmp_path: Path) -> None:
    path = tmp_path / "big-lama.zip"
    path.write_bytes(STRANGE_ARCHIVES["archive of a checkpoint"])
    with pytest.raises(UnsafeWeights, match=r"Unpack it and use best\.ckpt"):
        read_state_dict(path, KEYS)


def test_a_safetensors_copy_is_kept_and_used_from_then_on(tmp_path: Path) -> None:
    path, home = forms.write_torchscript(tmp_path / "lama.pt", forms.under("model.", tensors())), tmp_path / "models"
    known = {sha256(path)}
    read_state_dict(path, KEYS, known_hashes=known, copies_in=home)
    (copy,) = (home / "converted").glob("*.safetensors")
    assert HashCache(home).unchanged(copy).made_from == sha256(path)  # type: ignore[union-attr]
    # Without a known hash the program would be refused: so the copy is what is read.
    assert_same(read_state_dict(path, KEYS, known_hashes=set(), copies_in=home), tensors())


def test_a_copy_that_was_touched_is_not_used(tmp_path: Path) -> None:
    path, home = forms.write_pth(tmp_path / "lama.pth", tensors()), tmp_path / "models"
    read_state_dict(path, KEYS, copies_in=home)
    (copy,) = (home / "converted").iterdir()
    forms.write_safetensors(copy, {key: tensor * 0 for key, tensor in tensors().items()})
    assert_same(read_state_dict(path, KEYS, copies_in=home), tensors())


def test_a_copy_of_a_file_that_was_replaced_is_not_used(tmp_path: Path) -> None:
    path, home = forms.write_pth(tmp_path / "lama.pth", tensors()), tmp_path / "models"
    read_state_dict(path, KEYS, copies_in=home)
    newer = {key: tensor + 1 for key, tensor in tensors().items()}
    forms.write_pth(path, newer)
    assert_same(read_state_dict(path, KEYS, copies_in=home), newer)
    assert_same(read_state_dict(path, KEYS, copies_in=home), newer)


def test_two_networks_of_one_checkpoint_get_two_copies(tmp_path: Path) -> None:
    path, home = tmp_path / "last.ckpt", tmp_path / "models"
    one, two = {"a.weight": torch.ones(2)}, {"b.weight": torch.zeros(3)}
    torch.save({"state_dict": {**one, **two}}, path)
    for _ in range(2):
        assert_same(read_state_dict(path, {"a.weight": (2,)}, copies_in=home), one)
        assert_same(read_state_dict(path, {"b.weight": (3,)}, copies_in=home), two)
    assert len(list((home / "converted").iterdir())) == 2


def test_a_model_folder_that_cannot_be_made_costs_only_the_copy(tmp_path: Path) -> None:
    path, home = forms.write_pth(tmp_path / "lama.pth", tensors()), tmp_path / "models"
    home.write_text("a file is in the way")
    assert_same(read_state_dict(path, KEYS, copies_in=home), tensors())


def test_a_path_that_is_not_ascii_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "Модели für Bücher 模型"
    folder.mkdir()
    path = forms.write_torchscript(tmp_path / "a.pt", tensors()).rename(folder / "löschen.pt")
    assert_same(read_state_dict(path, KEYS, allow_torchscript=True, copies_in=folder), tensors())
    assert_same(read_state_dict(path, KEYS, copies_in=folder), tensors())


def test_importing_the_package_imports_no_torch() -> None:
    code = "import inpaint_models.weights, sys; assert 'torch' not in sys.modules and 'safetensors' not in sys.modules"
    subprocess.run([sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"], check=True)
