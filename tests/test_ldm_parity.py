"""Latent diffusion's networks compute what the published ones compute: same keys, same numbers from the same weights.

The synthetic weights are written straight into the modules, one tensor per thread, so that the 440 million parameters
exist only once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inpaint_models.ldm.autoencoder import Autoencoder
from inpaint_models.ldm.checkpoint import AUTOENCODER_PREFIX, ema_key
from inpaint_models.ldm.engine import make_condition
from inpaint_models.ldm.inference import to_inference_form
from inpaint_models.ldm.samplers import SAMPLERS, Denoiser, evenly_spaced, signal_levels
from inpaint_models.ldm.unet import UNetModel
from parity import goldens, weights

MANIFEST = weights.read_manifest("ldm")
GOLDEN = goldens.load("ldm", "golden_128x192")
SAMPLING = goldens.load("ldm", "golden_samplers_256")
UNET_PREFIX = "model.diffusion_model."

# Torch's group normalisation in float32 rounds the encoder's large groups: 1.7e-4 was measured with AVX2, 3e-5 with
# AVX-512, and 4.3e-4 on another picture. A mistake costs a hundred times that: 0.5 for a wrong epsilon.
LATENT_ATOL = 6e-4


@pytest.fixture(autouse=True, scope="module")
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def fill_with_synthetic_weights(network: nn.Module, section: str, prefix: str) -> None:
    entries = MANIFEST["tensors"][section]
    network.to_empty(device="cpu").eval()

    def fill(item: tuple[str, Tensor]) -> None:
        key, target = prefix + item[0], item[1]
        with torch.inference_mode():  # a thread's own setting
            target.copy_(torch.from_numpy(weights.tensor(key, entries[key]["shape"], entries[key]["gen"])))

    largest_first = sorted(network.state_dict().items(), key=lambda item: -item[1].numel())
    with ThreadPoolExecutor() as threads:
        list(threads.map(fill, largest_first))


@pytest.fixture(scope="module")
def unet() -> UNetModel:
    with torch.device("meta"):
        network = UNetModel()
    fill_with_synthetic_weights(network, "unet", UNET_PREFIX)
    return network


@pytest.fixture(scope="module")
def autoencoder() -> Autoencoder:
    with torch.device("meta"):
        network = Autoencoder()
    fill_with_synthetic_weights(network, "first_stage", AUTOENCODER_PREFIX)
    return network


def tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


class Activations(dict[str, NDArray[Any]]):
    """What those modules returned whose outputs the golden file describes."""

    def watch(self, network: nn.Module, prefix: str) -> list[Callable[[], None]]:
        """Returns what takes each hook off again."""
        described = {name.split("/")[1] for name in GOLDEN if name.startswith("act/")}
        return [
            module.register_forward_hook(partial(self.keep, prefix + name)).remove
            for name, module in network.named_modules()
            if prefix + name in described
        ]

    def keep(self, name: str, module: nn.Module, inputs: object, output: Tensor) -> None:
        self[name] = output.numpy().copy()


def run_watched(network: nn.Module, prefix: str, run: Callable[[], Tensor]) -> tuple[Tensor, Activations]:
    activations = Activations()
    unhook = activations.watch(network, prefix)
    result = run()
    for remove in unhook:
        remove()
    return result, activations


def assert_activations_close(activations: Activations, *, atol: float) -> None:
    assert activations
    for name, value in activations.items():
        goldens.assert_close(name, value, GOLDEN, atol=atol)


@pytest.mark.parametrize(
    ("build", "section", "prefix", "parameters"),
    [
        (UNetModel, "unet", UNET_PREFIX, 387_245_827),
        (Autoencoder, "first_stage", AUTOENCODER_PREFIX, 53_219_486),
    ],
)
def test_keys_and_shapes_are_the_published_ones_in_their_order(
    build: Callable[[], nn.Module], section: str, prefix: str, parameters: int
) -> None:
    with torch.device("meta"):
        state = build().state_dict()
    ours = [(prefix + key, tuple(value.shape)) for key, value in state.items()]
    assert ours == list(weights.shapes(MANIFEST, section).items())
    assert sum(value.numel() for value in state.values()) == parameters


def test_condition_is_the_reference_latents_and_mask(autoencoder: Autoencoder) -> None:
    image, hole = GOLDEN["image"].astype(np.float32) / np.float32(255), GOLDEN["mask"] > 127
    device = torch.device("cpu")
    joined, activations = run_watched(
        autoencoder, AUTOENCODER_PREFIX, lambda: make_condition(autoencoder, image, hole, device).joined
    )
    goldens.assert_close("latent", joined[:, :3].numpy(), GOLDEN, atol=LATENT_ATOL)
    goldens.assert_close("cond", joined.numpy(), GOLDEN, atol=LATENT_ATOL)
    assert_activations_close(activations, atol=LATENT_ATOL)


def test_decoder_gives_the_reference_codes_and_image(autoencoder: Autoencoder) -> None:
    latents = tensor(GOLDEN["decode_in"])
    assert np.array_equal(autoencoder.quantize.nearest_codes(latents)[0].numpy(), GOLDEN["decode_codes"])
    image, activations = run_watched(autoencoder, AUTOENCODER_PREFIX, lambda: autoencoder.decode(latents))
    goldens.assert_close("decoded", image.numpy(), GOLDEN, atol=2e-4)
    assert_activations_close(activations, atol=2e-4)


def test_unet_gives_the_reference_noise(unet: UNetModel) -> None:
    joined = torch.cat([tensor(GOLDEN["x_T"]), tensor(GOLDEN["cond"])], dim=1)
    noise, activations = run_watched(unet, UNET_PREFIX, lambda: unet(joined, torch.tensor([int(GOLDEN["t"])])))
    goldens.assert_close("eps", noise.numpy(), GOLDEN, atol=5e-5)
    assert_activations_close(activations, atol=1e-4)


@pytest.fixture(scope="module")
def fast_unet(unet: UNetModel) -> UNetModel:
    """The form for CPUs; shares with the readable one what is the same."""
    with torch.device("meta"):
        network = UNetModel()
    network.load_state_dict(unet.state_dict(), assign=True)
    to_inference_form(network.eval())
    return network


def test_inference_form_gives_the_reference_noise(fast_unet: UNetModel) -> None:
    joined = torch.cat([tensor(GOLDEN["x_T"]), tensor(GOLDEN["cond"])], dim=1)
    noise = fast_unet(joined.contiguous(memory_format=torch.channels_last), torch.tensor([int(GOLDEN["t"])]))
    goldens.assert_close("eps", noise.numpy(), GOLDEN, atol=1e-4)


@pytest.fixture(scope="module")
def denoise(fast_unet: UNetModel) -> Denoiser:
    """The U-Net under the golden condition. Remembers its answers: the samplers' first two evaluations agree."""
    answers: dict[tuple[bytes, int], Tensor] = {}

    def evaluate(x: Tensor, timestep: int) -> Tensor:
        question = (x.numpy().tobytes(), timestep)
        if question not in answers:
            joined = torch.cat([x, tensor(SAMPLING["cond"])], dim=1).contiguous(memory_format=torch.channels_last)
            answers[question] = fast_unet(joined, torch.tensor([timestep]))
        return answers[question]

    return evaluate


@pytest.mark.parametrize("sampler", ["ddim", "plms"])
def test_four_steps_follow_the_reference(sampler: str, denoise: Denoiser, autoencoder: Autoencoder) -> None:
    samples = list(SAMPLERS[sampler](denoise, tensor(SAMPLING["x_T"]), evenly_spaced(4)))
    path = np.concatenate([sample.x.numpy() for sample in samples])
    goldens.assert_close(f"{sampler}4_x", path, SAMPLING, atol=1e-3)  # values of magnitude 40
    if sampler == "ddim":
        codes = autoencoder.quantize.nearest_codes(samples[-1].x)[0].numpy()
        assert np.array_equal(codes, SAMPLING["ddim4_codes"])
        goldens.assert_close("ddim4_decoded", autoencoder.decode(samples[-1].x).numpy(), SAMPLING, atol=3e-4)


def test_moving_average_keys_are_the_published_ones() -> None:
    published = weights.shapes(MANIFEST, "ema")
    bookkeeping = {"model_ema.decay": (), "model_ema.num_updates": ()}
    with torch.device("meta"):
        state = UNetModel().state_dict()
    ours = {f"model_ema.{ema_key(key)}": tuple(value.shape) for key, value in state.items()}
    assert ours | bookkeeping == published


@pytest.mark.parametrize("steps", [4, 20, 50])
def test_schedules_are_the_reference_ones(steps: int) -> None:
    rising = evenly_spaced(steps)[::-1]
    assert [step.timestep for step in rising] == SAMPLING[f"ddim{steps}_timesteps"].tolist()
    np.testing.assert_allclose([step.alpha for step in rising], SAMPLING[f"ddim{steps}_alphas"], atol=1e-7)
    np.testing.assert_allclose([step.alpha_prev for step in rising], SAMPLING[f"ddim{steps}_alphas_prev"], atol=1e-7)


def test_signal_levels_are_the_checkpoint_s_buffer() -> None:
    published = weights.state_dict(MANIFEST, "schedule", ["alphas_cumprod"])["alphas_cumprod"]
    np.testing.assert_allclose(signal_levels(), published, atol=1e-7)
