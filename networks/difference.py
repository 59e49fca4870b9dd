"""What makes one network another: the changes from the one to the other, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import cache

from networks.space import Convolution, Layer, NetworkSpec, Pool, Upsample

GAP = 0.6  # cost of a layer that is there on one side only; of a pair, the share of its values that differ
OTHER_KIND = 2.0  # cost of a pair of layers of different kinds: never cheaper than two gaps


def difference(old: NetworkSpec, new: NetworkSpec) -> list[str]:
    """What changes from `old` to `new`, such as `kernels 16→24 in layer 2` and `+ conv 24@3x3 as layer 3`.

    Layers are numbered from 1, those that are new, changed or moved as in `new`, those that went as in `old`.
    Empty if the networks are the same.
    """
    pairs = align(old.layers, new.layers)
    gone = [layer for layer, other in pairs if layer is not None and other is None]
    words: list[str] = []
    after = 0
    moved: list[Layer] = []
    for left, right in pairs:
        after += right is not None
        if left is not None and right is not None:
            changes = _changes(left, right)
            words += [f"{', '.join(changes)} in layer {after}"] if changes else []
        elif right is not None and right in gone:
            gone.remove(right)
            moved.append(right)
            words.append(f"{_short(right)} moved to layer {after}")
        elif right is not None:
            words.append(f"+ {_short(right)} as layer {after}")
    before = 0
    for left, right in pairs:
        before += left is not None
        if left is None or right is not None:
            continue
        if left in moved:
            moved.remove(left)
        else:
            words.append(f"- {_short(left)}, was layer {before}")
    return words + _changes(old.training, new.training)


def align(old: Sequence[Layer], new: Sequence[Layer]) -> list[tuple[Layer | None, Layer | None]]:
    """Pairs of layers, in order, of the least cost; None where one side has no layer.

    Source: Needleman and Wunsch, "A general method applicable to the search for similarities in the amino acid
    sequence of two proteins", Journal of Molecular Biology 48, 443-453, 1970.
    """

    @cache
    def best(i: int, j: int) -> tuple[float, tuple[tuple[Layer | None, Layer | None], ...]]:
        """Cost and pairs of what is left of both from layers `i` and `j` on."""
        choices = []
        if i < len(old) and j < len(new):
            cost, rest = best(i + 1, j + 1)
            choices.append((cost + pair_cost(old[i], new[j]), ((old[i], new[j]), *rest)))
        if i < len(old):
            cost, rest = best(i + 1, j)
            choices.append((cost + GAP, ((old[i], None), *rest)))
        if j < len(new):
            cost, rest = best(i, j + 1)
            choices.append((cost + GAP, ((None, new[j]), *rest)))
        return min(choices, key=lambda choice: choice[0], default=(0.0, ()))

    return list(best(0, 0)[1])


def pair_cost(old: Layer, new: Layer) -> float:
    """How unlike two layers are: 0 if they are equal, 1 if all their values differ."""
    if type(old) is not type(new):
        return OTHER_KIND
    names = [field.name for field in fields(old)]
    return float(sum(getattr(old, name) != getattr(new, name) for name in names)) / len(names)


def _changes(old: object, new: object) -> list[str]:
    """Fields in which two dataclasses of a kind differ."""
    words = []
    for name in (field.name for field in fields(old)):  # type: ignore[arg-type]
        one, other = getattr(old, name), getattr(new, name)
        if one != other:
            words.append(f"{name.replace('_', ' ')} {_value(one)}→{_value(other)}")
    return words


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")


def _short(layer: Layer) -> str:
    if isinstance(layer, Convolution):
        return f"conv {layer.kernels}@{layer.kernel_height}x{layer.kernel_width}"
    if isinstance(layer, Pool):
        return f"{layer.operation} pool {layer.side}x{layer.side}"
    if isinstance(layer, Upsample):
        return "upsampling with join" if layer.join else "upsampling"
    return f"full {layer.neurons}"
