"""Layers to call in some calls' place: they compute the same function in less time, or for less tracing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tuner.trial.folding import folded
from tuner.trial.fused_norm import fused
from tuner.trial.model_graph import Call, Tensor
from tuner.trial.variable_dropout import variable_dropouts


def faster(calls: Sequence[Call], ends: Sequence[Tensor]) -> dict[int, Any]:
    """For `ModelGraph.part`: normalization folded into convolutions where it is frozen, fused where it is not, and
    dropout with its rate in a variable."""
    return variable_dropouts(calls) | fused(calls) | folded(calls, ends)
