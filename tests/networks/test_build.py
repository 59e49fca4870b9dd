"""Networks answer for every pixel, wherever the frame was cut."""

import numpy as np
import pytest
import torch

from networks.build import Dropout, build
from networks.genome import LENGTH, decode, encode
from networks.reach import reach
from networks.space import Convolution, FullyConnected, Limits, NetworkSpec, Upsample, sample


def networks(count):
    """Of random strings, half as many of those that go up, and of the prior."""
    rng = np.random.default_rng(3)
    drawn = [decode(rng.bytes(LENGTH), Limits()) for _ in range(10 * count)]
    going_up = [spec for spec in drawn if any(isinstance(layer, Upsample) for layer in spec.layers)]
    return [*drawn[:count], *going_up[: count // 2], *(decode(encode(sample(rng)), Limits()) for _ in range(count))]


@pytest.mark.parametrize("size", [(64, 64), (37, 50), (16, 91)])
def test_logits_have_the_resolution_of_the_image(size):
    for spec in networks(10):
        model = build(spec, 4).eval()
        with torch.inference_mode():
            assert model(torch.zeros(2, 1, *size)).shape == (2, 4, *size)


def test_away_from_borders_the_answer_does_not_depend_on_the_cut():
    torch.manual_seed(0)
    image = torch.randn(1, 1, 160, 168, dtype=torch.float64)
    for spec in networks(15):
        model = build(spec, 3).double().eval()
        far = reach(spec)
        top, left = 4 * spec.deepest_stride, 6 * spec.deepest_stride
        with torch.inference_mode():
            whole = model(image)[..., top + far : 140 - far, left + far : 150 - far]
            part = model(image[..., top:140, left:150])[..., far : 140 - top - far, far : 150 - left - far]
        assert whole.numel() > 0
        torch.testing.assert_close(part, whole, rtol=0, atol=1e-12)  # but for the order of sums


def test_reach_is_where_influence_ends():
    torch.manual_seed(1)
    for spec in networks(10):
        model = build(spec, 2).eval()
        image = torch.randn(1, 1, 128, 128)
        touched = image.clone()
        touched[0, 0, 64, 64] += 5
        with torch.inference_mode():
            changed = (model(image) - model(touched)).abs().amax((0, 1)) > 1e-6
        rows, columns = torch.nonzero(changed, as_tuple=True)
        if len(rows):
            assert (rows - 64).abs().max() <= reach(spec)
            assert (columns - 64).abs().max() <= reach(spec)


def test_a_fresh_network_believes_that_defects_are_rare():
    torch.manual_seed(0)
    for spec in networks(5):
        model = build(spec, 3).eval()
        with torch.no_grad():
            model.head.weight.zero_()
            background = torch.softmax(model(torch.randn(1, 1, 32, 32)), 1)[:, 0]
        torch.testing.assert_close(background, torch.full_like(background, 0.95))


def test_dropout_keeps_whole_channels_at_its_rate_and_the_mean_as_it_was():
    dropout, image = Dropout(500, 40, 0.2), torch.rand(500, 40, 3, 4)
    before = torch.get_rng_state()
    dropout.draw(torch.Generator().manual_seed(1))
    assert torch.equal(torch.get_rng_state(), before)  # no noise from anywhere else
    out = dropout(image)
    kept = out[..., 0, 0] != 0
    torch.testing.assert_close(out, image / 0.8 * kept[..., None, None])
    assert kept.float().mean() == pytest.approx(0.8, abs=5 * (0.2 * 0.8 / 20_000) ** 0.5)
    assert torch.equal(dropout(image), out)
    dropout.draw(torch.Generator().manual_seed(2))
    assert not torch.equal(dropout(image), out)
    assert torch.equal(dropout.eval()(image), image)


def test_dropout_is_no_part_of_what_is_saved():
    def spec(rate):
        convolution = Convolution(8, 3, 3, 1, 1, "zeros", "relu", "batch", rate, skip=False)
        return NetworkSpec((convolution, FullyConnected(16, "relu", rate)), sample(np.random.default_rng(1)).training)

    statistics = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    for rate in (0.0, 0.2):
        assert list(build(spec(rate), 3).state_dict()) == [
            "layers.0.convolution.weight",
            *(f"layers.0.normalisation.{name}" for name in statistics),
            "layers.1.0.weight",
            "layers.1.0.bias",
            "head.weight",
            "head.bias",
        ]
