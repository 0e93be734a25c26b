"""What Verilator's linter overlooks in emitted files, and how large designs lint sooner."""

from __future__ import annotations

import re

#: Verilator warnings that stay, and why; all others are clean under -Wall.
LINT_WAIVERS: dict[str, str] = {
    "CASEOVERLAP": "multiplexers are written as casez over one-hot selects",
    "DECLFILENAME": "the parts of the unit are modules in the same file",
    "UNUSEDSIGNAL": "carries and shifted-out bits are named but not read",
    "WIDTH": "operands are extended and results cut as Verilog does by itself",
}

#: Options that take the linter's time on a large array down by a quarter: they switch off rewriting
#: of the flattened design for a fast model. No warning is lost (`tests/hw/test_lint_faults.py`).
LINT_OPTIONS: tuple[str, ...] = (
    "-fno-combine",
    "-fno-life",
    "-fno-life-post",
    "-fno-localize",
    "-fno-reorder",
    "-fno-split",
    "-fno-subst",
)

#: Instances that stand one after the other, as the converter writes them.
_INSTANCES = re.compile(r"(?:^  \w+ \w+ \(\n(?:    \..*\n)+  \);\n)+", re.MULTILINE)


def waivers_of(text: str) -> dict[str, str]:
    """The waivers that a Verilog file needs."""
    needless = set()
    if "casez" not in text:
        needless.add("CASEOVERLAP")
    if len(re.findall(r"^module ", text, re.MULTILINE)) == 1:
        needless.add("DECLFILENAME")
    return {rule: why for rule, why in LINT_WAIVERS.items() if rule not in needless}


def with_waivers(text: str) -> str:
    """A Verilog text behind the waivers that it needs; none of widths holds for its instances, so
    that a port connected with a wrong width is found."""
    head = "".join(f"/* verilator lint_off {rule} */\n" for rule in waivers_of(text))
    strict = _INSTANCES.sub(
        lambda found: f"/* verilator lint_on WIDTH */\n{found[0]}/* verilator lint_off WIDTH */\n",
        text,
    )
    return f"{head}\n{strict}"


__all__ = ["LINT_OPTIONS", "LINT_WAIVERS", "waivers_of", "with_waivers"]
