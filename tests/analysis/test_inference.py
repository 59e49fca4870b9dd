from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from analysis import inference
from analysis.inference import class_probabilities, network_probabilities, scaled_period
from data_prep.normalise import local_contrast
from networks.build import build
from networks.detector import Detector
from networks.genome import LENGTH, decode
from networks.space import Convolution, FullyConnected, Layer, Limits, NetworkSpec, Pool, Upsample

PERIOD_PX = 8.0
PIXEL_NM = 0.04
CLASSES = ("vacancy", "dopant")


def a_detector(layers: tuple[Layer, ...], seed: int) -> Detector:
    """An untrained network with weights and batch statistics far from their defaults."""
    training = decode(bytes(LENGTH), Limits()).training
    torch.manual_seed(seed)
    model = build(NetworkSpec(layers, training), len(CLASSES) + 1)
    with torch.no_grad():
        for part in model.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                assert part.running_mean is not None
                assert part.running_var is not None
                part.running_mean.normal_()
                part.running_var.uniform_(0.5, 2.0)
        model.head.weight.normal_(0, 3)
    spec = NetworkSpec(layers, training)
    return Detector(model.eval(), spec, bytes(LENGTH), CLASSES, PERIOD_PX, PIXEL_NM, 0.5, {})


def convolution(height: int, width: int, stride: int = 1, dilation: int = 1, padding: str = "zeros") -> Convolution:
    return Convolution(6, height, width, stride, dilation, padding, "silu", "batch", 0.1, skip=False)


NETWORKS: dict[str, tuple[Layer, ...]] = {
    "plain": (convolution(5, 3), convolution(3, 3)),
    "wide and dilated": (convolution(3, 7, dilation=3, padding="replicate"), convolution(7, 1, dilation=2)),
    "strided": (convolution(3, 5, stride=2), convolution(5, 3, stride=2), convolution(3, 3, dilation=2)),
    "pooled": (convolution(3, 3), Pool("max", 2, 2), convolution(3, 5), Pool("average", 5, 2), convolution(3, 3)),
    "up again": (
        convolution(3, 3),
        Pool("max", 2, 2),
        convolution(5, 3, stride=2),
        Upsample(join=True),
        convolution(3, 3),
    ),
    "all the way up": (
        convolution(3, 3, stride=2),
        convolution(5, 3, stride=2),
        Upsample(join=True),
        Upsample(join=True),
    ),
    "pooled in place": (Pool("average", 3, 1), convolution(5, 5), Pool("max", 5, 1), FullyConnected(8, "elu", 0.0)),
}


def image_of(shape: tuple[int, int], seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("shape", [(65, 111), (96, 70)])
def test_block_by_block_is_the_same_as_the_whole_frame_at_once(
    name: str, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = a_detector(NETWORKS[name], seed=3)
    image = image_of(shape)
    with torch.inference_mode():
        whole = torch.softmax(detector.model(torch.from_numpy(image)[None, None])[0], 0).numpy()
    monkeypatch.setattr(inference, "BLOCK_PX", 32)
    blocks = network_probabilities(detector, image)
    assert blocks.shape == (3, *shape)
    assert blocks.std(axis=(1, 2)).max() > 2e-3
    np.testing.assert_allclose(blocks, whole, atol=1e-5)


def test_networks_of_random_genomes_do_not_show_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "BLOCK_PX", 32)
    rng = np.random.default_rng(5)
    image = image_of((50, 77))
    for seed in range(8):
        spec = decode(rng.bytes(LENGTH), Limits(operations=1000))
        detector = a_detector(spec.layers, seed)
        with torch.inference_mode():
            whole = torch.softmax(detector.model(torch.from_numpy(image)[None, None])[0], 0).numpy()
        np.testing.assert_allclose(network_probabilities(detector, image), whole, atol=1e-5, err_msg=str(spec))


def test_probabilities_of_all_classes_add_up_to_one() -> None:
    detector = a_detector(NETWORKS["strided"], seed=4)
    for pixel_size_nm in (PIXEL_NM, 1.5 * PIXEL_NM):
        maps = class_probabilities(detector, 50 + 10 * image_of((66, 91)), pixel_size_nm)
        assert maps.shape == (3, 66, 91)
        assert maps.min() >= 0
        np.testing.assert_allclose(maps.sum(axis=0), 1.0, atol=1e-5)


def test_frames_are_levelled_before_the_network_sees_them() -> None:
    detector = a_detector(NETWORKS["plain"], seed=4)
    frame = 50 + 10 * image_of((66, 91))
    with torch.inference_mode():
        levelled = torch.from_numpy(local_contrast(frame, PERIOD_PX))[None, None]
        expected = torch.softmax(detector.model(levelled)[0], 0).numpy()
    np.testing.assert_allclose(class_probabilities(detector, frame, None), expected, atol=1e-5)
    brighter = class_probabilities(detector, 3 * frame + 200, None)
    np.testing.assert_allclose(brighter, expected, atol=2e-3)


@pytest.mark.parametrize(
    ("pixel_size_nm", "expected"),
    [(None, 8.0), (0.04, 8.0), (0.0405, 8.0), (0.02, 16.0), (0.08, 4.0)],
)
def test_the_period_follows_the_pixel_size(pixel_size_nm: float | None, expected: float) -> None:
    detector = a_detector(NETWORKS["plain"], seed=4)
    assert scaled_period(detector, pixel_size_nm) == pytest.approx(expected)
    assert scaled_period(replace(detector, pixel_size_nm=None), pixel_size_nm) == 8.0


def brightness_detector() -> Detector:
    """A network by hand: the brighter a pixel, the likelier it is a vacancy."""
    detector = a_detector((Convolution(4, 1, 1, 1, 1, "zeros", "relu", "none", 0.0, skip=False),), seed=0)
    block = detector.model.layers[0]
    with torch.no_grad():
        block.convolution.weight.fill_(1.0)
        block.convolution.bias.zero_()
        detector.model.head.weight.zero_()
        detector.model.head.weight[1] = 0.25
    return detector


@pytest.mark.parametrize("pixel_size_nm", [0.02, 0.04, 0.06, 0.1])
def test_defects_of_a_zoomed_frame_stay_where_they_are(pixel_size_nm: float) -> None:
    """Spots of one size in nm, drawn at several magnifications, are found at their own places."""
    shape_nm, places_nm = (3.6, 5.4), [(0.8, 1.0), (1.4, 4.2), (2.9, 2.2)]
    shape = (round(shape_nm[0] / pixel_size_nm), round(shape_nm[1] / pixel_size_nm))
    y, x = (np.mgrid[: shape[0], : shape[1]] + 0.5) * pixel_size_nm
    frame = np.random.default_rng(2).normal(10, 0.1, shape)
    for p, q in places_nm:
        frame += 20 * np.exp(-((y - p) ** 2 + (x - q) ** 2) / (2 * 0.12**2))
    vacancy = class_probabilities(brightness_detector(), frame, pixel_size_nm)[1]
    assert vacancy.shape == shape
    likely, count = ndimage.label(vacancy > (vacancy.max() + np.median(vacancy)) / 2)
    assert count == 3
    centres = (np.array(ndimage.center_of_mass(likely > 0, likely, [1, 2, 3])) + 0.5) * pixel_size_nm
    assert sorted(map(tuple, centres.tolist())) == [pytest.approx(place, abs=0.04) for place in places_nm]
