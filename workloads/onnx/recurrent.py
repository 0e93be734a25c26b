"""The recurrent operators of ONNX as torch calls: one product of all inputs, one per time step.

Equations and the order of gates are those of the standard (RNN; GRU: z, r, h; LSTM: i, o, f, c).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from workloads.onnx.attributes import Attributes

Activation = Callable[[Tensor], Tensor]
#: State of a direction (hidden, and cell of an LSTM), and how a step changes it.
State = tuple[Tensor, ...]
Step = Callable[[Tensor, State], State]

_ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
}


def rnn(
    attributes: Attributes,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: list[int] | None = None,
    initial_h: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """``RNN``: Y (time, directions, batch, hidden) and the last state."""

    def step(direction: int, recurrent: Tensor, bias: Tensor | None) -> Step:
        (act,) = _activations(attributes, direction, ("tanh",))

        def advance(inputs: Tensor, state: State) -> State:
            return (act(inputs + functional.linear(state[0], recurrent, bias)),)

        return advance

    return _run(attributes, x, (w, r, b), lengths, (initial_h,), step)


def gru(
    attributes: Attributes,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: list[int] | None = None,
    initial_h: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """``GRU``, with the reset gate before or after the product with the hidden state."""
    reset_after = bool(attributes.get("linear_before_reset", 0))

    def step(direction: int, recurrent: Tensor, bias: Tensor | None) -> Step:
        gate, act = _activations(attributes, direction, ("sigmoid", "tanh"))
        hidden = recurrent.shape[1]

        def after(inputs: Tensor, state: State) -> State:
            (h,) = state
            update, reset, new = inputs.chunk(3, 1)
            h_update, h_reset, h_new = functional.linear(h, recurrent, bias).chunk(3, 1)
            z = gate(update + h_update)
            return (_mixed(z, act(new + gate(reset + h_reset) * h_new), h),)

        def before(inputs: Tensor, state: State) -> State:
            (h,) = state
            split = [2 * hidden, hidden]
            gates, candidate = recurrent.split(split)
            parts = (None, None) if bias is None else bias.split(split)
            update, reset, new = inputs.chunk(3, 1)
            h_update, h_reset = functional.linear(h, gates, parts[0]).chunk(2, 1)
            z, reset = gate(update + h_update), gate(reset + h_reset)
            return (_mixed(z, act(new + functional.linear(reset * h, candidate, parts[1])), h),)

        return after if reset_after else before

    return _run(attributes, x, (w, r, b), lengths, (initial_h,), step)


def lstm(
    attributes: Attributes,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: list[int] | None = None,
    initial_h: Tensor | None = None,
    initial_c: Tensor | None = None,
    peepholes: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """``LSTM``, with peepholes and coupled gates if asked for."""

    def step(direction: int, recurrent: Tensor, bias: Tensor | None) -> Step:
        gate, act, last = _activations(attributes, direction, ("sigmoid", "tanh", "tanh"))
        peep = None if peepholes is None else peepholes[direction].chunk(3)

        def advance(inputs: Tensor, state: State) -> State:
            h, c = state
            enter, out, forget, new = (inputs + functional.linear(h, recurrent, bias)).chunk(4, 1)
            if peep is not None:
                enter, forget = enter + peep[0] * c, forget + peep[2] * c
            enter = gate(enter)
            keep = 1 - enter if attributes.get("input_forget", 0) else gate(forget)
            c = keep * c + enter * act(new)
            out = out if peep is None else out + peep[1] * c
            return gate(out) * last(c), c

        return advance

    return _run(attributes, x, (w, r, b), lengths, (initial_h, initial_c), step)


def _mixed(update: Tensor, new: Tensor, h: Tensor) -> Tensor:
    return new + update * (h - new)


def _run(
    attributes: Attributes,
    x: Tensor,
    weights: tuple[Tensor, Tensor, Tensor | None],
    lengths: list[int] | None,
    initial: Sequence[Tensor | None],
    step: Callable[[int, Tensor, Tensor | None], Step],
) -> tuple[Tensor, ...]:
    """Advance every direction over all time steps: Y, and the last of each state."""
    w, r, b = weights
    batch_first = bool(attributes.get("layout", 0))
    if (x.ndim, w.ndim, r.ndim) != (3, 3, 3):
        raise attributes.refuse(f"an input of {x.ndim} axes with weights of {w.ndim} and {r.ndim}")
    x = x.transpose(0, 1) if batch_first else x  # (time, batch, inputs)
    time, batch, hidden = x.shape[0], x.shape[1], r.shape[2]
    if lengths is not None and any(length != time for length in lengths):
        raise attributes.refuse("sequence_lens shorter than the input")
    wanted = {"forward": 1, "reverse": 1, "bidirectional": 2}
    kind = attributes.get("direction", "forward")
    if wanted.get(kind) != w.shape[0]:
        raise attributes.refuse(f"direction {kind!r} with weights of {w.shape[0]} directions")
    outputs: list[Tensor] = []
    lasts: list[State] = []
    for direction in range(w.shape[0]):
        bias = (None, None) if b is None else _of(b, direction).chunk(2)
        advance = step(direction, _of(r, direction), bias[1])
        inputs = functional.linear(x, _of(w, direction), bias[0])
        state = tuple(
            x.new_zeros(batch, hidden)
            if value is None
            else (value[:, direction] if batch_first else value[direction])
            for value in initial
        )
        backwards = kind == "reverse" or direction == 1
        seen: list[Tensor] = []
        for index in reversed(range(time)) if backwards else range(time):
            state = advance(inputs[index], state)
            seen.append(state[0])
        outputs.append(torch.stack(seen[::-1] if backwards else seen))
        lasts.append(state)
    axis = 2 if batch_first else 1
    y = torch.stack(outputs, dim=1)  # (time, directions, batch, hidden)
    y = y.permute(2, 0, 1, 3) if batch_first else y
    ends = (torch.stack(values, dim=axis - 1) for values in zip(*lasts, strict=True))
    return (y, *ends)


def _of(weights: Tensor, direction: int) -> Tensor:
    """The part of one direction; all of it, where there is but one."""
    return weights.squeeze(0) if weights.shape[0] == 1 else weights[direction]


def _activations(
    attributes: Attributes, direction: int, defaults: Sequence[str]
) -> list[Activation]:
    """The activations of a direction, each clipping its input first where the node says so."""
    given: list[Any] = list(attributes.get("activations", []))
    names = [name.decode() if isinstance(name, bytes) else str(name) for name in given]
    chosen = names[direction * len(defaults) :][: len(defaults)] or list(defaults)
    for name in chosen:
        if name.lower() not in _ACTIVATIONS:
            raise attributes.refuse(f"activation {name!r}")
    if len(chosen) != len(defaults):
        raise attributes.refuse(f"the number of activations ({len(names)})")
    clip = attributes.get("clip")
    functions = [_ACTIVATIONS[name.lower()] for name in chosen]
    if clip is None:
        return functions
    return [partial(_clipped, act, float(clip)) for act in functions]


def _clipped(activation: Activation, clip: float, x: Tensor) -> Tensor:
    return activation(x.clamp(-clip, clip))
