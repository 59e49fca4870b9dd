"""What a network costs: floating-point operations, weights, memory."""

from __future__ import annotations

import copy
import resource
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from networks.build import PixelNetwork

SMALL_PX = 16  # a multiple of any stride


def training_flops(model: PixelNetwork, batch_size: int, tile_px: int) -> int:
    """FLOPs of one training iteration, forward and backward, by PyTorch's own counter.

    Convolutions are all that is counted; multiply and add are two operations. Counted on one small image, as they
    grow with the number of pixels; tiles are filled up to a multiple of the deepest stride.
    """
    counted = _counted(copy.deepcopy(model), 1, SMALL_PX, iterations=1)
    side = -(-tile_px // model.deepest_stride) * model.deepest_stride
    return counted * batch_size * side**2 // SMALL_PX**2


def training_flops_by_slope(model: PixelNetwork, batch_size: int, tile_px: int) -> float:
    """FLOPs of one training iteration as Patton et al. (SC18, section 6) took them: the slope of a line.

    The FLOPs of 4, 6, … 18 iterations are counted; what is not done in each iteration is in the intercept.
    """
    model = copy.deepcopy(model)
    numbers = range(4, 19, 2)
    counts = [_counted(model, batch_size, tile_px, number) for number in numbers]
    return float(np.polyfit(numbers, counts, 1)[0])


def _counted(model: PixelNetwork, batch_size: int, tile_px: int, iterations: int) -> int:
    device = next(model.parameters()).device
    images = torch.zeros(batch_size, 1, tile_px, tile_px, device=device)
    model.eval()
    with FlopCounterMode(display=False) as counter:
        for _ in range(iterations):
            model(images).logsumexp(1).sum().backward()
    return int(counter.get_total_flops())


def weights(model: PixelNetwork) -> int:
    """How many numbers are learnt."""
    return sum(parameter.numel() for parameter in model.parameters())


def forget_peak_memory(device: torch.device) -> None:
    """Let `peak_memory_bytes` begin anew, where the system can (GPUs, Linux)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):  # proc(5), clear_refs: 5 resets the peak resident set size
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_bytes(device: torch.device) -> int:
    """Most memory used since `forget_peak_memory`: of the device if it is a GPU, else of this process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        status = Path("/proc/self/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) * 1024
    except (OSError, StopIteration):  # not Linux: the peak of the process's life
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
