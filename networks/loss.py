"""What training makes small."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from data_prep.labels import IGNORE

FOCUS = 2.0  # the exponent of Lin et al., "Focal loss for dense object detection", ICCV 2017


def loss(logits: Tensor, labels: Tensor, kind: str, weight: Tensor, hole: int) -> Tensor:
    """Loss of logits (batch, class, y, x) against labels (batch, y, x), unlabelled pixels left out."""
    known = labels != IGNORE
    target = labels.where(known, 0)
    each = functional.cross_entropy(logits, target, weight=weight, reduction="none") * known
    if kind == "focal":
        sure = torch.softmax(logits, 1).gather(1, target[:, None])[:, 0]
        return ((1 - sure) ** FOCUS * each).sum() / known.sum().clamp(min=1)
    # As torch's own mean, but 0 and not NaN for a batch in which nothing is labelled.
    entropy = each.sum() / (weight[target] * known).sum().clamp(min=1.0)
    if kind == "cross_entropy":
        return entropy
    # Soft Dice of defects other than holes (Milletari et al., "V-Net", 3DV 2016), beside the entropy.
    single = (known & (labels != hole)).float()
    defect = (1 - torch.softmax(logits, 1)[:, 0]) * single
    truth = (labels > 0).float() * single
    return entropy + 1 - (2 * (defect * truth).sum() + 1) / (defect.sum() + truth.sum() + 1)
