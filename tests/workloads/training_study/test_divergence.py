"""Sparse architecture divergence counts the weights that change sides."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch import nn  # noqa: E402

from sparsesim.trace import NM  # noqa: E402
from workloads.pruning.methods import LayerPlan  # noqa: E402
from workloads.pytorch.nm_autograd import install_plans  # noqa: E402
from workloads.training_study.divergence import architecture, divergence  # noqa: E402


def network(plan: LayerPlan) -> nn.Module:
    module = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False))
    install_plans(module, {"0.weight": plan, "1.weight": plan})
    with torch.no_grad():
        for layer in module:
            layer.weight.copy_(torch.arange(1.0, 65.0).reshape(8, 8))
    return module


def test_it_is_the_fraction_of_the_masked_weights_that_differ() -> None:
    module = network(LayerPlan(NM(n=2, m=8), forward=True, backward="k"))
    before = architecture(module)
    assert divergence(before, before, "forward") == 0.0
    with torch.no_grad():
        module[0].weight[3] = module[0].weight[3].flip(0)  # the two largest are now the first two
    after = architecture(module)
    assert divergence(before, after, "forward") == 4 / 128  # two leave, two come, one row
    # Along the outputs the two largest of each input are the last two, whatever row 3 holds.
    assert divergence(before, after, "backward") == 0.0


def test_a_direction_without_masks_has_none() -> None:
    sdgp = architecture(network(LayerPlan(NM(n=2, m=8), gradient=True)))
    assert divergence(sdgp, sdgp, "forward") is None
    sdwp = architecture(network(LayerPlan(NM(n=2, m=8), backward="k")))
    assert divergence(sdwp, sdwp, "forward") is None
    assert divergence(sdwp, sdwp, "backward") == 0.0
