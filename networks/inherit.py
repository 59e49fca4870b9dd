"""Networks that begin with the weights of another where their layers agree.

Source: Real et al., "Large-scale evolution of image classifiers", ICML 2017 (weight inheritance).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from data_prep.files import whole_file
from networks.agreement import HEAD, agreement, shared
from networks.build import PixelNetwork
from networks.genome import decode
from networks.space import Limits, NetworkSpec

State = dict[str, Tensor]


def save_weights(model: PixelNetwork, genome: bytes, path: Path) -> None:
    """Write a network's weights, for `inherit`; in half precision, as training goes on from them anyway."""
    # Not the statistics of normalisation, which may be larger than half precision holds.
    halved = {name: value.detach().half() for name, value in model.named_parameters()}
    state = {name: value.contiguous().cpu() for name, value in {**model.state_dict(), **halved}.items()}
    with whole_file(path) as temporary:
        save_file(state, temporary, {"genome": genome.hex()})


def inherit(model: PixelNetwork, spec: NetworkSpec, paths: Sequence[Path]) -> float:
    """Give a network the weights of whichever file it shares most with; returns the share of its weights.

    Files that are gone, or cannot be read, are passed over.
    """
    found = [weights for path in paths if (weights := _read(path)) is not None]
    if not found:
        return 0.0
    other, state = max(found, key=lambda weights: shared(spec, weights[0]))
    own: State = model.state_dict()
    copied = 0
    with torch.no_grad():
        for place, theirs in agreement(spec, other):
            prefix = _prefix(place)
            for name in (name for name in own if name.startswith(prefix)):
                own[name].copy_(state[_prefix(theirs) + name.removeprefix(prefix)])
                copied += own[name].numel()
    return copied / sum(int(value.numel()) for value in own.values())


def _read(path: Path) -> tuple[NetworkSpec, State] | None:
    """The network and the weights of a file; None if it cannot be read: its network may be forgotten by now."""
    try:
        with safe_open(path, "pt") as stored:
            genome = bytes.fromhex(stored.metadata()["genome"])
            return decode(genome, Limits()), {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (OSError, SafetensorError):
        return None


def _prefix(place: int) -> str:
    """How the names of a layer's weights begin."""
    return "head." if place == HEAD else f"layers.{place}."
