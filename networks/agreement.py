"""Where the layers of two networks agree, so that one can begin with weights of the other."""

from __future__ import annotations

from difflib import SequenceMatcher

from networks.space import Convolution, FullyConnected, NetworkSpec, walk

HEAD = -1  # place of the last layer, which gives the classes
Shape = tuple[int, int, int, int, str]


def agreement(own: NetworkSpec, other: NetworkSpec) -> list[tuple[int, int]]:
    """Pairs of places of layers, in the own and in the other network, whose weights have the same shapes.

    Layers are matched in their order, so that an inserted or deleted one leaves those around it matched.
    """
    mine, theirs = _shapes(own), _shapes(other)
    matcher = SequenceMatcher(a=[shape for _, shape in mine], b=[shape for _, shape in theirs], autojunk=False)
    return [
        (mine[block.a + step][0], theirs[block.b + step][0])
        for block in matcher.get_matching_blocks()
        for step in range(block.size)
    ]


def shared(own: NetworkSpec, other: NetworkSpec) -> float:
    """The share of the own network's weights that lie in layers which agree with the other's."""
    sizes = {place: _size(shape) for place, shape in _shapes(own)}
    return sum(sizes[place] for place, _ in agreement(own, other)) / sum(sizes.values())


def _shapes(spec: NetworkSpec) -> list[tuple[int, Shape]]:
    """Place and shape of each layer that has weights: channels in and out, window, normalisation."""
    shapes: list[tuple[int, Shape]] = []
    steps = walk(spec.layers)
    for place, (layer, entering, leaving, *_) in enumerate(steps):
        if isinstance(layer, Convolution):
            shapes.append((place, (entering, leaving, layer.kernel_height, layer.kernel_width, layer.normalisation)))
        elif isinstance(layer, FullyConnected):
            shapes.append((place, (entering, leaving, 1, 1, "fully connected")))
    return [*shapes, (HEAD, (steps[-1].leaving, spec.stride**2, 1, 1, "head"))]


def _size(shape: Shape) -> int:
    entering, leaving, height, width, _ = shape
    return entering * leaving * height * width
