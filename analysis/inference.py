"""Run a detector over whole frames of any size."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from data_prep.normalise import local_contrast
from networks.detector import Detector
from networks.reach import reach

BLOCK_PX = 512  # frames larger than this go through in blocks, so that memory stays flat
SAME_SCALE = 0.03  # pixel sizes nearer than this share are taken as equal


def class_probabilities(
    detector: Detector,
    frame: NDArray[np.generic],
    pixel_size_nm: float | None,
    levelled: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Probability (class, y, x) of each class, background first, for a frame (y, x) in counts.

    A frame of another pixel size than the detector was trained at is resampled to that size on
    the way in, and the probabilities back on the way out. `levelled` is the frame by `local_contrast` with its own
    period, where somebody has it; what is resampled is levelled anew.
    """
    image = np.asarray(frame, np.float32)
    zoom = scaled_period(detector, None) / scaled_period(detector, pixel_size_nm)
    if zoom != 1.0:
        image = ndimage.zoom(image, zoom, order=3, mode="reflect", grid_mode=True)
    if levelled is None or zoom != 1.0:
        levelled = local_contrast(image, detector.period_px)
    maps = network_probabilities(detector, levelled)
    if zoom != 1.0:
        back = np.array(frame.shape) / np.array(image.shape)
        maps = np.stack([ndimage.zoom(m, back, order=1, mode="nearest", grid_mode=True) for m in maps])
    return maps


def scaled_period(detector: Detector, pixel_size_nm: float | None) -> float:
    """The detector's lattice period in px of a frame with this pixel size.

    Sizes that are nearly equal, or unknown, count as the same.
    """
    if pixel_size_nm is None or detector.pixel_size_nm is None:
        return detector.period_px
    ratio = detector.pixel_size_nm / pixel_size_nm
    return detector.period_px * (ratio if abs(ratio - 1) > SAME_SCALE else 1.0)


@torch.inference_mode()
def network_probabilities(detector: Detector, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability (class, y, x) for a levelled image (y, x).

    Blocks overlap by as far as the network sees and start at multiples of its stride, so the
    result does not depend on them.
    """
    device = next(detector.model.parameters()).device
    height, width = image.shape
    halo = reach(detector.spec)
    out = np.empty((len(detector.class_names) + 1, height, width), np.float32)
    for top in range(0, height, BLOCK_PX):
        for left in range(0, width, BLOCK_PX):
            y, x = max(0, top - halo), max(0, left - halo)
            bottom, right = min(height, top + BLOCK_PX), min(width, left + BLOCK_PX)
            block = image[y : min(height, bottom + halo), x : min(width, right + halo)]
            logits = detector.model(torch.from_numpy(np.ascontiguousarray(block))[None, None].to(device))
            part = torch.softmax(logits[0].float(), 0).cpu().numpy()
            out[:, top:bottom, left:right] = part[:, top - y : bottom - y, left - x : right - x]
    return out
