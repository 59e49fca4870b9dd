"""How far a network sees."""

from __future__ import annotations

from networks.space import Convolution, NetworkSpec, Pool


def reach(spec: NetworkSpec) -> int:
    """How far in px a pixel's logits see, as a multiple of the total stride."""
    far, scale = 0, 1
    for layer in spec.layers:
        if isinstance(layer, Pool):
            far += layer.side // 2 * scale
        elif isinstance(layer, Convolution):
            far += max(layer.kernel_height, layer.kernel_width) // 2 * layer.dilation * scale
        scale *= getattr(layer, "stride", 1)
    far += scale  # the block of pixels that one output stands for
    return -(-far // scale) * scale
