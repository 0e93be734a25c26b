"""One experiment: a network, a method, a pattern and a seed, trained and measured."""

from __future__ import annotations

import copy
import functools
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from workloads.forward_graph import ForwardGraph
from workloads.pruning.methods import plan_layers
from workloads.pytorch.capture import capture
from workloads.pytorch.classifier_training import Schedule, accuracy, train
from workloads.pytorch.digits_data import digits
from workloads.pytorch.lower import lower
from workloads.pytorch.network import Network
from workloads.pytorch.nm_autograd import DECAY, install_plans
from workloads.pytorch.source import load_network
from workloads.recipe import parse_pruning
from workloads.training_study.divergence import DIRECTIONS, architecture, divergence

DENSE = "none"


@dataclass(frozen=True)
class Setting:
    """How a network of the catalog is trained: its share of the digits, and the optimizer."""

    training_share: float
    schedule: Schedule


#: The CNN sees 360 images: with more of them all methods are at 98 to 99 % and nothing shows.
SETTINGS: dict[str, Setting] = {
    "digits_cnn": Setting(0.2003, Schedule(40, 60, 0.1, 0.9, 1e-4)),
    "digits_vit": Setting(0.7, Schedule(20, 64, 4e-3, 0.9, 1e-2, "adamw")),
}


@dataclass(frozen=True, order=True)
class Experiment:
    """What is trained. `prune` is ``none`` (with method ``dense``) or a recipe."""

    network: str
    method: str
    prune: str
    seed: int

    @property
    def configuration(self) -> str:
        """What the seeds have in common, as a file name."""
        pattern = self.prune.removeprefix("nm:").replace(":", "-")
        return f"{self.network}-{self.method}" + ("" if self.prune == DENSE else f"-{pattern}")

    @property
    def name(self) -> str:
        return f"{self.configuration}-seed{self.seed}"


def experiments(
    networks: tuple[str, ...], methods: tuple[str, ...], patterns: tuple[str, ...], seeds: int
) -> list[Experiment]:
    """All combinations, seed after seed; dense once per network and seed."""
    found = []
    for seed in range(seeds):
        for network in networks:
            for method in methods:
                for prune in (DENSE,) if method == "dense" else patterns:
                    found.append(Experiment(network, method, prune, seed))
    return found


def settings_of(network: str, epochs: int | None = None) -> dict[str, Any]:
    """The settings of a network as JSON; `epochs` in place of its own."""
    setting = _setting(network, epochs)
    return {"training_share": setting.training_share, "decay": DECAY, **asdict(setting.schedule)}


def _setting(network: str, epochs: int | None) -> Setting:
    setting = SETTINGS[network]
    if epochs is None:
        return setting
    return replace(setting, schedule=replace(setting.schedule, epochs=epochs))


@functools.cache
def _captured(network: str) -> tuple[Network, ForwardGraph]:
    """A fresh network and its forward graph, which says what can be pruned."""
    found = load_network(network, SETTINGS[network].schedule.batch, lambda _message: None)
    return found, lower(network, capture(found, training=True), allow_unknown=False).graph


def carry_out(
    experiment: Experiment, epochs: int | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train a network and measure it after each epoch.

    Returns:
        A record that JSON can hold, and the state dict of the trained network. The record has
        `settings`, `training_samples`, `steps`, held-out `accuracy` (0 to 1), `masked_weights`
        (fraction of all parameters), `cpu_seconds`, and `epochs`: per epoch the accuracy (None
        between evaluations) and, for each direction, SAD to the epoch before and to the start.

    Raises:
        InputError: unknown words, or a pattern that fits no layer.
    """
    started = time.process_time()
    setting = _setting(experiment.network, epochs)
    _, graph = _captured(experiment.network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(experiment.seed)
        module = copy.deepcopy(
            load_network(experiment.network, setting.schedule.batch, lambda _message: None).module
        )
    pattern = parse_pruning(experiment.prune)
    install_plans(module, plan_layers(graph.weights, pattern, experiment.method, training=True))
    learning, held_out = digits(experiment.seed, setting.training_share)
    first = last = architecture(module)
    rows: list[dict[str, Any]] = []
    evaluate_every = max(1, setting.schedule.epochs // 10)

    def after_epoch(done: int) -> None:
        nonlocal last
        now = architecture(module)
        measured = done % evaluate_every == 0 or done == setting.schedule.epochs
        row: dict[str, Any] = {
            "epoch": done,
            "accuracy": accuracy(module, held_out) if measured else None,
        }
        for direction in DIRECTIONS:
            row[f"sad_{direction}"] = divergence(last, now, direction)
            row[f"sad_{direction}_from_start"] = divergence(first, now, direction)
        rows.append(row)
        last = now

    train(module, learning, setting.schedule, experiment.seed, after_epoch)
    masked = set(first.forward) | set(first.backward)
    weights = sum(module.get_submodule(name).weight.numel() for name in masked)
    record = {
        **asdict(experiment),
        "settings": settings_of(experiment.network, epochs),
        "training_samples": learning.labels.numel(),
        "steps": setting.schedule.steps(learning.labels.numel()),
        "accuracy": rows[-1]["accuracy"],
        "masked_weights": weights / sum(value.numel() for value in module.parameters()),
        "cpu_seconds": round(time.process_time() - started, 2),
        "epochs": rows,
    }
    return record, module.state_dict()
