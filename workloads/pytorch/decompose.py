"""Composite operators that are taken apart before lowering: recurrent layers, unusual einsums."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.nn import functional

aten = torch.ops.aten
Table = dict[Any, Callable[..., Any]]


def decompose(program: ExportedProgram) -> ExportedProgram:
    """Take apart what the lowering does not keep whole; the rest of the graph stays as it is.

    A recurrent layer becomes what torch runs: one product of all inputs, and one product with the
    recurrent weights in each time step. An einsum that is not one product of two operands becomes
    the products, sums and permutations that torch makes of it.
    """
    wanted = _wanted(program.graph.nodes)
    if not wanted:
        return program
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return program.run_decompositions(wanted)


def _wanted(nodes: Iterable[fx.Node]) -> Table:
    recurrent = recurrent_decompositions()
    wanted: Table = {}
    for node in nodes:
        if node.target in recurrent:
            wanted[node.target] = recurrent[node.target]
        elif node.target is aten.einsum.default and not is_one_product(node):
            from torch.export import default_decompositions

            wanted[node.target] = default_decompositions()[node.target]
    return wanted


def recurrent_decompositions() -> Table:
    """Decompositions of recurrent layers (torch's own) and of their cells."""
    from torch._decomp import decomposition_table

    layers = (aten.lstm.input, aten.gru.input, aten.rnn_tanh.input, aten.rnn_relu.input)
    return {
        **{operator: decomposition_table[operator] for operator in layers},
        aten.lstm_cell.default: _lstm_cell,
        aten.gru_cell.default: _gru_cell,
        aten.rnn_tanh_cell.default: partial(_rnn_cell, torch.tanh),
        aten.rnn_relu_cell.default: partial(_rnn_cell, torch.relu),
    }


def _lstm_cell(
    x: Tensor, state: Sequence[Tensor], w_ih: Tensor, w_hh: Tensor, *biases: Tensor | None
) -> tuple[Tensor, Tensor]:
    b_ih, b_hh = biases or (None, None)
    gates = functional.linear(x, w_ih, b_ih) + functional.linear(state[0], w_hh, b_hh)
    enter, forget, new, out = gates.chunk(4, 1)
    cell = torch.sigmoid(forget) * state[1] + torch.sigmoid(enter) * torch.tanh(new)
    return torch.sigmoid(out) * torch.tanh(cell), cell


def _gru_cell(
    x: Tensor, state: Tensor, w_ih: Tensor, w_hh: Tensor, *biases: Tensor | None
) -> Tensor:
    b_ih, b_hh = biases or (None, None)
    x_reset, x_update, x_new = functional.linear(x, w_ih, b_ih).chunk(3, 1)
    h_reset, h_update, h_new = functional.linear(state, w_hh, b_hh).chunk(3, 1)
    update = torch.sigmoid(x_update + h_update)
    new = torch.tanh(x_new + torch.sigmoid(x_reset + h_reset) * h_new)
    return new + update * (state - new)


def _rnn_cell(
    activation: Callable[[Tensor], Tensor],
    x: Tensor,
    state: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    *biases: Tensor | None,
) -> Tensor:
    b_ih, b_hh = biases or (None, None)
    return activation(functional.linear(x, w_ih, b_ih) + functional.linear(state, w_hh, b_hh))


def is_one_product(node: fx.Node) -> bool:
    """Whether an einsum node multiplies two operands with each index in rows, columns or both."""
    text = str(node.args[0]).replace(" ", "")
    operands = node.args[1]
    terms, arrow, out = text.partition("->")
    sides = terms.split(",")
    letters = "".join(sides)
    return (
        isinstance(operands, list | tuple)
        and len(operands) == 2
        and bool(arrow)
        and "." not in text
        and all(len(set(side)) == len(side) for side in sides)
        and all(letters.count(letter) == 2 or letter in out for letter in letters)
        and any(letters.count(letter) == 2 and letter not in out for letter in letters)
    )
