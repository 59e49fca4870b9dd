"""Networks that begin with the weights of another where their layers agree.

Source: Real et al., "Large-scale evolution of image classifiers", ICML 2017 (weight inheritance).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from data_prep.files import whole_file
from networks.agreement import HEAD, agreement
from networks.build import PixelNetwork
from networks.genome import decode
from networks.space import Limits, NetworkSpec


def save_weights(model: PixelNetwork, genome: bytes, path: Path) -> None:
    """Write a network's weights, for `inherit`; in half precision, as training goes on from them anyway."""
    state = {name: value.half() if value.is_floating_point() else value for name, value in model.state_dict().items()}
    with whole_file(path) as temporary:
        save_file({name: v.contiguous().cpu() for name, v in state.items()}, temporary, {"genome": genome.hex()})


def inherit(model: PixelNetwork, spec: NetworkSpec, paths: Sequence[Path]) -> float:
    """Give a network the weights of whichever file it shares most layers with; returns the share of its weights.

    Files that are not there are passed over.
    """
    pairs: list[tuple[int, int]] = []
    source = None
    for path in paths:
        if path.exists():
            with safe_open(path, "pt") as stored:
                found = agreement(spec, decode(bytes.fromhex(stored.metadata()["genome"]), Limits()))
            if len(found) > len(pairs):
                pairs, source = found, path
    if source is None:
        return 0.0
    own: dict[str, Tensor] = model.state_dict()
    copied = 0
    with torch.no_grad(), safe_open(source, "pt") as stored:
        for place, theirs in pairs:
            prefix = _prefix(place)
            for name in (name for name in own if name.startswith(prefix)):
                own[name].copy_(stored.get_tensor(_prefix(theirs) + name.removeprefix(prefix)))
                copied += own[name].numel()
    return copied / sum(int(value.numel()) for value in own.values())


def _prefix(place: int) -> str:
    """How the names of a layer's weights begin."""
    return "head." if place == HEAD else f"layers.{place}."
