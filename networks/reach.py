"""How far a network sees."""

from __future__ import annotations

from networks.space import Convolution, NetworkSpec, Pool, Upsample, walk


def reach(spec: NetworkSpec) -> int:
    """How far in px a pixel's logits see, as a multiple of the deepest stride."""
    steps = walk(spec.layers)
    far = steps[-1].after  # the block of pixels that one output stands for
    for layer, _, _, before, after, _ in steps:
        if isinstance(layer, Pool):
            far += layer.side // 2 * before
        elif isinstance(layer, Convolution):
            far += max(layer.kernel_height, layer.kernel_width) // 2 * layer.dilation * before
        elif isinstance(layer, Upsample):
            far += before - after  # to the other end of the pixel that it divides
    deepest = spec.deepest_stride
    return -(-far // deepest) * deepest
