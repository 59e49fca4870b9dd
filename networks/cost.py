"""What a network costs: floating-point operations, weights, memory."""

from __future__ import annotations

import resource
import sys

import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from networks.build import PixelNetwork


def training_flops(model: PixelNetwork, batch_size: int, tile_px: int) -> int:
    """FLOPs of one training iteration, forward and backward, by PyTorch's own counter.

    Counted on one tile: convolutions, all that is counted, are linear in the batch. Multiply
    and add are two operations. The model's gradients are cleared afterwards.
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()  # so that counting leaves no trace in running statistics
    with FlopCounterMode(display=False) as counter:
        tile = torch.zeros(1, 1, tile_px, tile_px, device=device)
        target = torch.zeros(1, tile_px, tile_px, dtype=torch.long, device=device)
        functional.cross_entropy(model(tile), target).backward()  # type: ignore[no-untyped-call]
    model.zero_grad(set_to_none=True)
    model.train(was_training)
    return int(counter.get_total_flops()) * batch_size


def weights(model: PixelNetwork) -> int:
    """How many numbers are learnt."""
    return sum(parameter.numel() for parameter in model.parameters())


def peak_memory_bytes(device: torch.device) -> int:
    """Most memory used so far: of the device if it is a GPU, else of this process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
