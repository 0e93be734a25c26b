"""The verb `extract`: from a network to a trace."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsesim.errors import InputError
from sparsesim.trace import Dense, Trace
from sparsesim.validation import shown
from workloads.activation_recipe import parse_activations, parse_kv_cache
from workloads.catalog import catalog_names, load_entry
from workloads.drawn_masks import DrawnMasks
from workloads.forward_pass import add_forward
from workloads.found_masks import FoundMasks
from workloads.mask_source import MaskSource
from workloads.matrices.extract import extract_product
from workloads.matrices.source import is_matrix_source
from workloads.provenance import (
    DENSE_NOTE,
    left_dense,
    measured_how,
    pruned_how,
    pruning_notes,
)
from workloads.pruning.allocation import GlobalMagnitude
from workloads.pruning.group_quantisation import GroupQuantised, quantised_how
from workloads.pruning.methods import plan_layers
from workloads.pruning.monarch import Monarch
from workloads.pruning.pruning import Pruning
from workloads.pruning.weight_masks import WeightMasks
from workloads.recipe import DETECT, METHODS, PHASES, check_choice, parse_recipe
from workloads.trace_builder import TraceBuilder
from workloads.training_phases import OPTIMIZERS, STRIDED_BP_NOTE, add_backward

if TYPE_CHECKING:
    from workloads.forward_graph import ForwardGraph
    from workloads.pytorch.lower import Lowered
    from workloads.pytorch.network import Network

MAX_SEED = 2**32 - 1


def _silent(_message: str) -> None:
    return None


def extract(
    source: str,
    *,
    prune: str = DETECT,
    method: str = "bdwp",
    phase: str = "training",
    optimizer: str = "sgd",
    batch: int = 32,
    seed: int = 0,
    checkpoint: Path | None = None,
    model: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    lazy: bool = False,
    activations: str | None = None,
    kv_cache: str | None = None,
    inputs: Sequence[str] = (),
    times: str | None = None,
    allow_unknown: bool = False,
    on_message: Callable[[str], None] = _silent,
) -> Trace:
    """Capture a network, prune it and derive the operators of one step.

    Args:
        source: a catalog name; ``module:function`` returning (module, example inputs); a ``.pt2``
            or ``.onnx`` file; or a file of weights (``.safetensors``, ``.pt``), with `model`.
        prune: ``detect`` (keep the zeros that the weights have, whatever pattern they follow),
            ``none`` (dense), or a recipe such as ``nm:N:M``, ``balanced:S``, ``unstructured:P``.
        method: which products of training are pruned; see `workloads.pruning.methods`.
        phase: ``training`` (FF, loss, BP, WU, update) or ``inference`` (forward alone).
        optimizer: of training: ``sgd`` (with momentum) or ``adam``.
        batch: samples in one step.
        seed: of the initial weights, and of training where the entry trains.
        checkpoint: a ``.pt`` or ``.safetensors`` state dict to take the weights from.
        model: the architecture (a catalog name or ``module:function``) of a `source` that is a
            file of weights.
        parameters: of a catalog network, in place of its defaults (``--param``); see
            `workloads.catalog_listing`.
        lazy: build the model on torch's meta device: no weight takes memory, and the masks are
            descriptors (pattern, density, seed) that are drawn when they are read. Networks of
            the catalog that are too large to hold are always built so.
        activations: measure the sparsity of activations in a run: ``zeros``, ``threshold:P``,
            ``channels:P`` or ``delta:BITS``; see `workloads.activation_recipe`.
        kv_cache: prune what attention reads: ``mustafar:P`` or ``alisa:P``.
        inputs: files with the inputs of that run, or ``random``; ``delta`` takes two.
        times: what the matrix `source` is multiplied with (itself if None): ``transpose``,
            ``dense:COLS`` or another matrix; see `workloads.matrices`.
        allow_unknown: count an unsupported operator as an element-wise step.
        on_message: called with each line a user should see.

    Raises:
        InputError: anything wrong with the arguments, the model or the checkpoint, in one line.
    """
    if is_matrix_source(source):
        if parameters:
            raise InputError(f"--param: {source} is a matrix; networks of the catalog have them")
        kept = "none" if prune == DETECT else prune
        return extract_product(source, times, kept, checkpoint, on_message)
    if times is not None:
        raise InputError(f"--times {shown(times)}: {source} is not a matrix")
    detecting = prune == DETECT
    recipe = Dense() if detecting else parse_recipe(prune)
    pattern = Dense() if isinstance(recipe, Monarch) else recipe
    check_choice("--method", method, METHODS)
    check_choice("--phase", phase, PHASES)
    check_choice("--optimizer", optimizer, tuple(OPTIMIZERS))
    _check_whole("--batch", batch, 1, 2**31 - 1)
    _check_whole("--seed", seed, 0, MAX_SEED)
    measured = None if activations is None else parse_activations(activations)
    cached = None if kv_cache is None else parse_kv_cache(kv_cache)
    if importlib.util.find_spec("torch") is None:
        raise InputError("extract: needs PyTorch (pip install 'sparsesim[torch]')")

    import torch

    from workloads.pytorch.capture import capture
    from workloads.pytorch.checkpoint import load_checkpoint, refuse_non_finite
    from workloads.pytorch.input_files import input_frame
    from workloads.pytorch.lower import lower
    from workloads.pytorch.measure import measure
    from workloads.pytorch.monarch_layer import replace_linears
    from workloads.pytorch.source import is_weight_file, load_network
    from workloads.pytorch.sparse_storage import densify

    if is_weight_file(source):
        if model is None:
            raise InputError(
                f"{source}: a file of weights; name its architecture with --model (a catalog name "
                "or module:function)"
            )
        if checkpoint is not None:
            raise InputError(f"{source}: is a file of weights itself; drop --checkpoint")
        architecture, checkpoint = model, Path(source)
    elif model is not None:
        raise InputError(f"--model {shown(model)}: {source} is not a file of weights")
    else:
        architecture = source
    lazy = lazy or (architecture in catalog_names() and load_entry(architecture).lazy)
    if lazy and checkpoint is not None:
        raise InputError(f"--lazy: no weights are read; drop {checkpoint} or --lazy")
    if lazy and isinstance(pattern, GlobalMagnitude):
        raise InputError(f"--prune {prune}: needs the weights, which a lazy network has not")
    training = phase == "training"
    if training and isinstance(pattern, GroupQuantised):
        raise InputError(f"--prune {prune}: quantises for inference; add --phase inference")
    dense = isinstance(pattern, Dense) or method == "dense"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = load_network(architecture, batch, on_message, lazy, parameters)
        weights_from = "none: built without values" if lazy else network.weights
        rules = densify(network.module, source)
        if checkpoint is not None:
            rules = load_checkpoint(network.module, Path(checkpoint))
            weights_from = f"checkpoint {Path(checkpoint).name}"
        if not lazy:
            refuse_non_finite(network.module, source)
        untrained = copy.deepcopy(network.module) if network.training and not lazy else None
        read_notes = list(network.notes)
        captured = capture(network, training)
        lowered = lower(source, captured, allow_unknown)
        graph = lowered.graph
        plans = plan_layers(graph.weights, pattern, method, training)
        learned: dict[str, Any] = {}
        if untrained is not None and checkpoint is None:
            label = None if dense else f"{method} {prune.removeprefix('nm:')}"
            learned = _learn(network, untrained, graph, pattern, method, label, seed, on_message)
            weights_from = learned.pop("weights")
            plans = plan_layers(graph.weights, pattern, method, training)  # of the trained weights
        dense_layers = left_dense(graph, plans)
        factored: dict[str, Any] = {}
        if isinstance(recipe, Monarch):
            factored, dense_layers = replace_linears(network, graph, recipe)
            network.notes[:] = read_notes
            captured = capture(network, training)
            lowered = lower(source, captured, allow_unknown)
            graph = lowered.graph

        found = FoundMasks()
        masks: MaskSource = WeightMasks(plans)
        if lazy:
            masks = DrawnMasks(plans, seed)
        elif detecting:
            masks = found
        running = None
        if measured is not None or cached is not None:
            _check_measurable(lazy, training, activations, kv_cache, lowered)
            frames = [input_frame(captured, name, seed) for name in inputs or ("random",)]
            running = measure(captured, lowered, frames, measured, cached)
        elif inputs:
            raise InputError("--inputs: give --activations or --kv-cache too")
        builder = TraceBuilder(masks, running)
        add_forward(graph, builder, training)
        loss = add_backward(graph, builder, optimizer) if training else None

    if dense_layers:
        listed = ", ".join(f"{layer} ({reason})" for layer, reason in dense_layers.items())
        on_message(f"left dense: {listed}")
    provenance: dict[str, Any] = {
        "source": source,
        "model": type(network.module).__name__,
        "parameters": sum(value.numel() for value in network.module.parameters()),
        **pruned_how(prune, method, dense, found),
        "configuration": network.configuration,
        "phase": phase,
        **({"optimizer": optimizer} if training else {}),
        "batch": network.batch,
        "seed": seed,
        "weights": weights_from,
        "left_dense": dense_layers,
        "torch": str(torch.__version__),
        **({"lazy": "masks are drawn from the seed when they are read"} if lazy else {}),
        **({"stored_as": rules} if rules else {}),
        **({"monarch": factored} if factored else {}),
        **(
            quantised_how(pattern, graph.weights, plans, lazy)
            if isinstance(pattern, GroupQuantised) and not dense
            else {}
        ),
        **measured_how(activations, kv_cache, inputs, running),
        **learned,
    }
    if loss is not None:
        provenance["loss"] = loss
    for line in found.lines():
        on_message(f"found {line} (--prune overrides)")
    untouched = detecting or isinstance(recipe, Monarch)
    notes = pruning_notes(None if untouched else pattern, method, training, builder)
    notes += network.notes
    for note in notes:
        if note not in (STRIDED_BP_NOTE, DENSE_NOTE):  # neither is a surprise
            on_message(note)
    provenance["notes"] = notes
    return builder.build(source, provenance)


def _check_measurable(
    lazy: bool, training: bool, activations: str | None, kv_cache: str | None, lowered: Lowered
) -> None:
    if lazy:
        raise InputError(
            "--lazy: a model without values cannot run; drop --activations, --kv-cache"
        )
    if training and (kv_cache is not None or activations != "zeros"):
        what = f"--kv-cache {kv_cache}" if kv_cache is not None else f"--activations {activations}"
        raise InputError(f"{what}: is a method of inference; add --phase inference")
    if kv_cache is not None and not lowered.attentions and not lowered.unfused:
        raise InputError(f"--kv-cache {kv_cache}: the network has no attention")


def _check_whole(option: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(f"{option} {shown(value)}: must be a whole number from {low} to {high}")


def _learn(
    network: Network,
    untrained: Any,
    graph: ForwardGraph,
    pattern: Pruning,
    method: str,
    label: str | None,
    seed: int,
    on_message: Callable[[str], None],
) -> dict[str, Any]:
    """Train dense and, with a `label`, as it says; the network keeps the latter weights."""
    assert network.training is not None
    outcome = network.training(copy.deepcopy(untrained), {}, seed)
    accuracy = {"dense": round(outcome.accuracy, 4)}
    if label is not None:
        plans = plan_layers(graph.weights, pattern, method, training=True)
        outcome = network.training(untrained, plans, seed)
        accuracy[label] = round(outcome.accuracy, 4)
    network.module.load_state_dict(outcome.state)
    scores = ", ".join(f"{name} {value:.2%}" for name, value in accuracy.items())
    on_message(f"trained {network.source}: held-out accuracy {scores}")
    weights = f"trained here ({label or 'dense'}, seed {seed})"
    return {"weights": weights, "accuracy": accuracy, "training": outcome.settings}
