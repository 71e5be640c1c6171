"""LaMa, and the same network trained on manga and anime.

The published files differ only in how they wrap the same tensors: "generator.model." in the official checkpoint,
"model.generator.model." or "model.model." in TorchScript files.
"""

from ..registry import Licence, ModelEntry, SizeRequirement, Strategy, WeightsFile

_SANSTER = "https://github.com/Sanster/models/releases/download"

LAMA = ModelEntry(
    name="lama",
    title="LaMa",
    trait="clean and fast, the all-rounder",
    description=(
        "Continues walls, floors, water and other repeating structure over large holes. Trained on photographs of "
        "places; best up to about two thousand pixels around the hole, and with refinement beyond."
    ),
    licence=Licence("Apache-2.0", "https://github.com/advimman/lama/blob/main/LICENSE"),
    loader="inpaint_models.lama.engine:load",
    weights=(
        WeightsFile(
            "big-lama.pt",
            sources=(
                f"{_SANSTER}/add_big_lama/big-lama.pt",
                "https://huggingface.co/gaspardbruno/BigLama/resolve/main/big-lama.pt",
            ),
            size_bytes=205_669_692,
            sha256="344c77bbcb158f17dd143070d1e789f38a66c04202311ae3a258ef66667a9ea9",
            md5="e3aa4aaa15225a33ec84f9f4bc47e500",
        ),
    ),
    size=SizeRequirement(minimum=16, multiple_of=8),
    strategy=Strategy(kind="crop", trigger_px=800, margin_px=196, cap_px=2048),
)
