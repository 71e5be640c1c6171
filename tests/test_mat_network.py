"""What the MAT generator promises at any size, on a network small enough to run in a blink."""

import pytest
import torch

from inpaint_models.mat.network import (
    HIDDEN_LOGIT,
    MAT,
    STAGES,
    DropoutMasks,
    MATConfig,
    MultiHeadContextualAttention,
    StageConfig,
    from_windows,
    shifted_visibility,
    to_windows,
)

pytestmark = pytest.mark.usefixtures("one_thread")

SIDE = 64
CONFIG = MATConfig(
    resolution=SIDE,
    channels=8,
    heads=2,
    stages=(
        StageConfig(2, 4, 16, "keep"),
        StageConfig(2, 4, 8, "down"),
        StageConfig(2, 4, 4, "down"),
        StageConfig(2, 4, 8, "up"),
        StageConfig(2, 4, 16, "up"),
    ),
    latent_width=6,
    mapping_layers=2,
    unet_widths=(4, 6, 8),
)


@pytest.fixture(scope="module")
def network() -> MAT:
    torch.manual_seed(0)
    network = MAT(CONFIG).eval().requires_grad_(False)
    for name, value in network.named_parameters():
        if name.endswith("noise.strength"):
            value.fill_(0.3)
    return network


def example(
    network: MAT, side: int = SIDE, *, batch: int = 1, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, DropoutMasks]:
    """A random picture with a hole right of and below its centre."""
    rng = torch.Generator().manual_seed(seed)
    known = torch.ones(batch, 1, side, side)
    known[..., side // 2 : side // 2 + 20, side // 2 - 8 : side // 2 + 20] = 0
    maps = [
        (torch.rand(batch, *shape, generator=rng) < 0.5).float()
        for shape in network.config.dropout_shapes((side, side))
    ]
    image = torch.rand(batch, 3, side, side, generator=rng) * 2 - 1
    return image, known, torch.randn(batch, 6, generator=rng), DropoutMasks(maps[0], maps[1])


def test_known_pixels_come_back_unchanged_and_the_hole_does_not(network: MAT) -> None:
    image, known, z, keep = example(network)
    result = network(image, known, z, keep)
    inside = (known > 0).expand_as(image)
    assert torch.equal(result[inside], image[inside])
    assert not torch.isclose(result[~inside], image[~inside]).any()


def test_what_the_hole_held_does_not_matter(network: MAT) -> None:
    image, known, z, keep = example(network)
    other = image * known + 5 * (1 - known)
    assert torch.equal(network(image, known, z, keep), network(other, known, z, keep))


def test_another_z_gives_another_answer_and_truncation_0_only_one(network: MAT) -> None:
    image, known, z, keep = example(network)
    assert not torch.allclose(network(image, known, z, keep), network(image, known, -z, keep))
    always = [network(image, known, noise, keep, truncation=0.0) for noise in (z, -z)]
    torch.testing.assert_close(always[0], always[1])


def test_the_items_of_a_batch_do_not_mix(network: MAT) -> None:
    image, known, z, keep = example(network, batch=2)
    together = network(image, known, z, keep)
    for i in range(2):
        item = slice(i, i + 1)
        alone = network(image[item], known[item], z[item], DropoutMasks(keep.tokens[item], keep.features[item]))
        torch.testing.assert_close(together[item], alone, atol=1e-5, rtol=1e-4)


def test_a_picture_larger_than_the_trained_size_is_filled(network: MAT) -> None:
    image, known, z, keep = example(network, side=2 * SIDE)
    result = network(image, known, z, keep)
    assert result.shape == (1, 3, 2 * SIDE, 2 * SIDE)
    assert result.isfinite().all()


def test_a_picture_without_any_known_pixel_is_filled(network: MAT) -> None:
    image, known, z, keep = example(network)
    assert network(image, torch.zeros_like(known), z, keep).isfinite().all()


def test_every_part_is_announced_in_order_and_the_last_shows_the_coarse_picture(network: MAT) -> None:
    image, known, z, keep = example(network)
    told = []
    network(image, known, z, keep, on_stage=lambda name, estimate: told.append((name, estimate)))

    assert tuple(name for name, _ in told) == STAGES
    assert [estimate is None for _, estimate in told] == [True] * 7 + [False]
    coarse = told[-1][1]()
    inside = (known > 0).expand_as(image)
    assert torch.equal(coarse[inside], image[inside])


def test_windows_are_cut_in_row_major_order_and_join_again() -> None:
    grid = torch.arange(2 * 4 * 8 * 3).reshape(2, 4, 8, 3)
    windows = to_windows(grid, 4)
    assert windows.shape == (2, 2, 16, 3)
    assert torch.equal(windows[0, 1, 5], grid[0, 1, 4 + 1])
    assert torch.equal(from_windows(windows, (4, 8)), grid)


def test_tokens_of_a_shifted_window_see_only_their_neighbours_of_the_unshifted_map() -> None:
    visibility = shifted_visibility((8, 8), 4, 2)
    origin = torch.arange(64).reshape(1, 8, 8, 1)
    tokens = to_windows(torch.roll(origin, (-2, -2), (1, 2)), 4)[0, :, :, 0]
    for window, ids in enumerate(tokens):
        rows, columns = ids // 8, ids % 8
        near = ((rows[:, None] - rows).abs() < 4) & ((columns[:, None] - columns).abs() < 4)
        expected = torch.where(near, 0.0, HIDDEN_LOGIT)
        assert torch.equal(visibility[window], expected)


@pytest.mark.parametrize("shift", [0, 2])
def test_one_known_token_makes_its_whole_window_known_and_no_other(shift: int) -> None:
    attention = MultiHeadContextualAttention(4, 2, window=4, shift=shift)
    known = torch.zeros(1, 8, 8)
    known[0, 2, 3] = 1

    _, after = attention(torch.randn(1, 64, 4), (8, 8), known.reshape(1, 64, 1))

    expected = torch.zeros(8, 8)
    expected[shift : shift + 4, shift : shift + 4] = 1
    assert torch.equal(after[0, :, 0].reshape(8, 8), expected)


def test_attention_does_not_look_at_hidden_tokens_where_a_window_has_known_ones() -> None:
    attention = MultiHeadContextualAttention(4, 2, window=4, shift=0)
    tokens, known = torch.randn(1, 16, 4), torch.ones(1, 16, 1)
    known[0, 5:9] = 0
    other = tokens.clone()
    other[0, 5:9] = torch.randn(4, 4)

    before, _ = attention(tokens, (4, 4), known)
    after, _ = attention(other, (4, 4), known)

    visible = known[0, :, 0] > 0
    torch.testing.assert_close(before[0, visible], after[0, visible])
