"""Training of the catalog's digits networks, as their entries do it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from torch import nn

from workloads.catalog import Trained
from workloads.pruning.methods import LayerPlan
from workloads.pytorch.classifier_training import Schedule, accuracy, train
from workloads.pytorch.digits_data import digits
from workloads.pytorch.nm_autograd import DECAY, install_plans


def train_on_digits(
    module: nn.Module, plans: Mapping[str, LayerPlan], seed: int, schedule: Schedule
) -> Trained:
    """Train `module` in place by `plans` (dense where there are none).

    Held-out accuracy is that of the network as inference runs it: with its forward masks.
    """
    learning, held_out = digits(seed)
    install_plans(module, dict(plans))
    train(module, learning, schedule, seed)
    settings = {
        "data": "scikit-learn load_digits",
        "training_samples": learning.labels.numel(),
        "held_out_samples": held_out.labels.numel(),
        "sr_ste_decay": DECAY,
        **asdict(schedule),
    }
    return Trained(module.state_dict(), accuracy(module, held_out), settings)
