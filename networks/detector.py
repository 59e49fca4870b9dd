"""The detector: the one file that leaves. Weights and all that is needed to use them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from data_prep.errors import InputError
from data_prep.files import whole_file
from networks.build import PixelNetwork, build, channels_last
from networks.space import Convolution, FullyConnected, Layer, NetworkSpec, Pool, Training, Upsample

FORMAT = "evostem detector 1"
LAYERS: dict[str, type[Layer]] = {
    "convolution": Convolution,
    "pool": Pool,
    "fully_connected": FullyConnected,
    "upsample": Upsample,
}


@dataclass(frozen=True)
class Detector:
    """A trained network and how to use it.

    `class_names` without the background; `period_px` is the lattice spacing that frames had in
    training and `pixel_size_nm` their pixel size; `threshold` on the peak probability was chosen
    on validation data; `provenance` says what it was trained on.
    """

    model: PixelNetwork
    spec: NetworkSpec
    genome: bytes
    class_names: tuple[str, ...]
    period_px: float
    pixel_size_nm: float | None
    threshold: float
    provenance: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write one safetensors file."""
        names = {kind: name for name, kind in LAYERS.items()}
        meta = {
            "format": FORMAT,
            "layers": [{"kind": names[type(layer)], **asdict(layer)} for layer in self.spec.layers],
            "training": asdict(self.spec.training),
            "genome": self.genome.hex(),
            "normalisation": "local_contrast",
            "class_names": list(self.class_names),
            "period_px": self.period_px,
            "pixel_size_nm": self.pixel_size_nm,
            "threshold": self.threshold,
            "provenance": self.provenance,
        }
        weights = {name: value.contiguous().cpu() for name, value in self.model.state_dict().items()}
        with whole_file(path) as temporary:
            save_file(weights, temporary, metadata={"evostem": json.dumps(meta)})


def load_detector(path: Path) -> Detector:
    """Read a detector; safe for files from strangers, as nothing in one is executed.

    Raises InputError if the file is missing, damaged, or not a detector.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as stored:
            meta = json.loads((stored.metadata() or {}).get("evostem", "{}"))
            weights = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: is not a detector file, or a damaged one ({error})") from None
    if meta.get("format") != FORMAT:
        raise InputError(f"{path}: is not a detector that this evostem reads ('{FORMAT}')")
    try:
        return _assemble(meta, weights)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: is a damaged detector ({' '.join(str(error).split())[:120]})") from None


def _assemble(meta: dict[str, Any], weights: dict[str, Tensor]) -> Detector:
    layers = tuple(LAYERS[layer.pop("kind")](**layer) for layer in meta["layers"])
    spec = NetworkSpec(layers, Training(**meta["training"]))
    model = build(spec, len(meta["class_names"]) + 1)
    model.load_state_dict(weights)
    model.eval()
    return Detector(
        channels_last(model),
        spec,
        bytes.fromhex(meta["genome"]),
        tuple(meta["class_names"]),
        meta["period_px"],
        meta["pixel_size_nm"],
        meta["threshold"],
        meta["provenance"],
    )
