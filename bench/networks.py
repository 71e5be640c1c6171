"""Networks with random weights, which cost what the published ones cost: as torch runs them, and in their engines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from inpaint_models.fcf.checkpoint import PUBLISHED as FCF
from inpaint_models.fcf.engine import FcFEngine
from inpaint_models.fcf.network import FcF
from inpaint_models.lama import network as lama
from inpaint_models.lama.engine import LamaEngine
from inpaint_models.ldm.engine import LdmEngine
from inpaint_models.manga.engine import MangaEngine
from inpaint_models.manga.lines import LineExtractor
from inpaint_models.manga.network import AppearanceNetwork, ScreenEncoder, SemanticNetwork
from inpaint_models.manga.procedure import Networks as MangaNetworks
from inpaint_models.manga.procedure import fill_page
from inpaint_models.mat.engine import PUBLISHED as MAT_CONFIG
from inpaint_models.mat.engine import MATEngine, draw
from inpaint_models.mat.inference import InferenceMAT
from inpaint_models.mat.network import MAT, DropoutMasks
from inpaint_models.migan import network as migan
from inpaint_models.migan.engine import MIGANEngine
from inpaint_models.migan.inference import InferenceMIGAN
from inpaint_models.types import Engine
from inpaint_models.zits.engine import ZitsEngine
from inpaint_models.zits.procedure import Networks as ZitsNetworks
from inpaint_models.zits.procedure import fill_picture
from inpaint_models.zits.structure import EdgeLineTransformer, StructureUpsampler
from inpaint_models.zits.texture import StructureEncoder, TextureNetwork
from inpaint_models.zits.wireframe import WireframeDetector

from .bench_ldm import random_networks as random_ldm

NetworksT = TypeVar("NetworksT", MangaNetworks, ZitsNetworks)


class Bench(NamedTuple):
    """A model's network, or several.

    make    builds it
    engine  from what `make` gives, for a device and a number format
    plain   a fill by what `make` gives, of a picture in [-1, 1], (1, 3, H, W), and a mask, (1, 1, H, W), 1 = hole
    """

    make: Callable[[], Any]
    engine: Callable[[Any, str, torch.dtype], Engine]
    plain: Callable[[Any, Tensor, Tensor], Tensor] | None = None


def _ready(network: nn.Module) -> nn.Module:
    return network.eval().requires_grad_(False)


def _all_ready(networks: NetworksT) -> NetworksT:
    for network in networks:
        _ready(network)
    return networks


def _mat(network: Any, x: Tensor, mask: Tensor) -> Tensor:
    noise = draw(0, network.config.latent_width, network.config.dropout_shapes((x.shape[2], x.shape[3])))
    z, tokens, features = map(torch.from_numpy, noise)
    result: Tensor = network(x, 1 - mask, z, DropoutMasks(tokens, features))
    return result


def _manga(networks: MangaNetworks, x: Tensor, mask: Tensor) -> Tensor:
    gray = x.mean(dim=1, keepdim=True)
    return fill_page(networks, gray, mask, torch.randn_like(gray), on_step=lambda stage, page: None)


BENCHES: dict[str, Bench] = {
    "migan": Bench(
        lambda: _ready(migan.MIGAN()),
        lambda network, device, dtype: MIGANEngine(InferenceMIGAN(network), device, dtype=dtype),
        lambda network, x, mask: network(migan.masked_input(x, 1 - mask)),
    ),
    "lama": Bench(
        lambda: _ready(lama.FFCResNetGenerator()),
        # which reads the weights and keeps none of them
        lambda _, device, dtype: LamaEngine(lambda: made("lama").state_dict(), device=device, dtype=dtype),
        lambda network, x, mask: network(lama.masked_input((x + 1) / 2, mask)),
    ),
    "mat": Bench(
        lambda: _ready(MAT(MAT_CONFIG)),
        lambda network, device, dtype: MATEngine(
            InferenceMAT(network).to(device), device, bfloat16=dtype == torch.bfloat16
        ),
        _mat,
    ),
    "fcf": Bench(
        lambda: _ready(FcF(FCF)),
        lambda network, device, dtype: FcFEngine(network, device, bfloat16=dtype == torch.bfloat16),
        lambda network, x, mask: network(x, mask, x.new_zeros(1, FCF.latent_width)),
    ),
    "manga": Bench(
        lambda: _all_ready(MangaNetworks(LineExtractor(), ScreenEncoder(), SemanticNetwork(), AppearanceNetwork())),
        lambda networks, device, dtype: MangaEngine(networks, device),
        _manga,
    ),
    "zits": Bench(
        lambda: _all_ready(
            ZitsNetworks(
                WireframeDetector(), EdgeLineTransformer(), StructureUpsampler(), StructureEncoder(), TextureNetwork()
            )
        ),
        ZitsEngine,
        lambda networks, x, mask: fill_picture(networks, (x + 1) / 2, mask, on_step=lambda stage, found: None),
    ),
    "ldm": Bench(random_ldm, lambda networks, device, dtype: LdmEngine(*networks, device=device, dtype=dtype)),
}


def made(name: str) -> Any:
    """The network, the same in every process."""
    torch.manual_seed(0)
    return BENCHES[name].make()


def engine(name: str, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Engine:
    return BENCHES[name].engine(made(name), device, dtype)
