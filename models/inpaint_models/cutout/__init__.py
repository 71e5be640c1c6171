"""Cutting out the subject by networks trained for it: three sizes, in the files that rembg publishes."""

from ..parameters import BACKGROUND
from ..registry import Licence, ModelEntry, WeightsFile

_RELEASE = "https://github.com/danielgatis/rembg/releases/download/v0.0.0"
_LOADER = "inpaint_models.cutout.engine:load"
_BYTES_PER_PX = 40

U2NETP = ModelEntry(
    name="u2netp",
    title="U²-Net small",
    tagline="cuts out the subject, quick, 4 MiB",
    description="Tells the subject from its background at 320 pixels, in less than a second. Fine edges are soft.",
    licence=Licence("Apache-2.0", "https://github.com/xuebinqin/U-2-Net/blob/master/LICENSE"),
    loader=_LOADER,
    task="matte",
    weights=(
        WeightsFile(
            "u2netp.onnx",
            sources=(f"{_RELEASE}/u2netp.onnx",),
            size_bytes=4_574_861,
            sha256="309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
            md5="8e83ca70e441ab06c318d82300c84806",
        ),
    ),
    requires=("onnxruntime",),
    extra="onnx",
    parameters=(BACKGROUND,),
    memory_bytes=300 * 2**20,
    bytes_per_px=_BYTES_PER_PX,
)

ISNET = ModelEntry(
    name="isnet",
    title="IS-Net",
    tagline="cuts out the subject with its details",
    description="Tells the subject from its background at 1024 pixels: thin parts, handles, spokes and fur.",
    licence=Licence("Apache-2.0", "https://github.com/xuebinqin/DIS/blob/main/LICENSE.md"),
    loader=_LOADER,
    task="matte",
    weights=(
        WeightsFile(
            "isnet-general-use.onnx",
            sources=(f"{_RELEASE}/isnet-general-use.onnx",),
            size_bytes=178_648_008,
            sha256="60920e99c45464f2ba57bee2ad08c919a52bbf852739e96947fbb4358c0d964a",
            md5="fc16ebd8b0c10d971d3513d564d01e29",
        ),
    ),
    requires=("onnxruntime",),
    extra="onnx",
    parameters=(BACKGROUND,),
    memory_bytes=2 * 2**30,
    bytes_per_px=_BYTES_PER_PX,
)

BIREFNET = ModelEntry(
    name="birefnet-lite",
    title="BiRefNet lite",
    tagline="the best cut, slow, much memory",
    description="Tells the subject from its background at 1024 pixels, with the cleanest edges. Takes some 4 GiB.",
    licence=Licence("MIT", "https://github.com/ZhengPeng7/BiRefNet/blob/main/LICENSE"),
    loader=_LOADER,
    task="matte",
    weights=(
        WeightsFile(
            "birefnet-general-lite.onnx",
            sources=(f"{_RELEASE}/BiRefNet-general-bb_swin_v1_tiny-epoch_232.onnx",),
            size_bytes=224_005_088,
            sha256="5600024376f572a557870a5eb0afb1e5961636bef4e1e22132025467d0f03333",
            md5="4fab47adc4ff364be1713e97b7e66334",
        ),
    ),
    requires=("onnxruntime",),
    extra="onnx",
    parameters=(BACKGROUND,),
    memory_bytes=4 * 2**30,
    bytes_per_px=_BYTES_PER_PX,
)
