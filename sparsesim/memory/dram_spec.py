"""What a DRAM channel is: timing in memory clocks, address mapping, controller queue."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sparsesim.validation import Record

Clocks = Annotated[int, Field(ge=1, le=2**18)]
Bits = Annotated[int, Field(ge=0, le=32)]

MAX_BANKS = 64

#: Fields of a line's address, lowest first, by name of the mapping.
#: `row_bank_group`: consecutive lines fill a row, then the same row of another bank group.
#: `row_bank`: consecutive lines fill a row, then the next row of the same bank.
#: `interleaved`: consecutive lines go to different bank groups.
#: `mop4`: four consecutive lines in a row, then another bank; bank and row bits are XORed with
#: the column bits (as in Ramulator's MOP4CLXOR).
Mapping = Literal["row_bank_group", "row_bank", "interleaved", "mop4"]


class DramTiming(Record):
    """Constraints between commands, in clocks of the command bus (JEDEC names, JESD79-4).

    Attributes:
        cl, cwl: read and write command to the first data.
        bl: clocks of one burst on the data bus.
        rcd, rp, ras: activate to column, precharge to activate, activate to precharge.
        rtp, wr: read command to precharge; last write data to precharge.
        ccd_s, ccd_l: column to column of the same direction, in another or the same bank group.
        rrd_s, rrd_l: activate to activate, in another or the same bank group.
        faw: window that holds at most four activates.
        wtr_s, wtr_l: last write data to read command, in another or the same bank group.
        rtw_gap: clocks the data bus rests between read data and write data.
        refi, rfc: refreshes are due this often, and take this long (all banks).
    """

    cl: Clocks
    cwl: Clocks
    bl: Clocks
    rcd: Clocks
    rp: Clocks
    ras: Clocks
    rtp: Clocks
    wr: Clocks
    ccd_s: Clocks
    ccd_l: Clocks
    rrd_s: Clocks
    rrd_l: Clocks
    faw: Clocks
    wtr_s: Clocks
    wtr_l: Clocks
    rtw_gap: Annotated[int, Field(ge=0, le=64)] = 2
    refi: Clocks
    rfc: Clocks

    @property
    def read_to_write(self) -> int:
        """Read command to write command."""
        return max(1, self.cl + self.bl + self.rtw_gap - self.cwl)

    @model_validator(mode="after")
    def _consistent(self) -> DramTiming:
        if self.ccd_s < self.bl:
            raise ValueError(f"ccd_s {self.ccd_s} is less than a burst of bl {self.bl} clocks")
        for short, long in (("ccd_s", "ccd_l"), ("rrd_s", "rrd_l"), ("wtr_s", "wtr_l")):
            if getattr(self, short) > getattr(self, long):
                raise ValueError(f"{short} {getattr(self, short)} exceeds {long}")
        needed = self.rfc + 2 * (self.ras + self.rp + self.cl + self.cwl + self.bl + self.wr)
        if self.refi <= needed:
            raise ValueError(f"refi {self.refi} leaves no time between refreshes: needs > {needed}")
        return self


class DramChannel(Record):
    """One channel with one rank behind one command bus, and its controller.

    Attributes:
        clock_hz: of the command bus.
        access_bytes: of one burst, the unit of addresses ("line").
        bank_groups, banks_per_group: powers of two; at most 64 banks.
        row_lines: lines in a row of a bank; a power of two.
        rows: per bank; a power of two.
        queue_depth: requests the controller chooses from.
        controller_clocks: added to every request between its data and its requester.
        opener_first: the access that a row was opened for goes before accesses to other rows, as
            in Ramulator 2; otherwise only age counts.
        early_precharge: a row may be closed for a request to another row although queued requests
            hit it, once the access it was opened for has been served, as in Ramulator 2.
        row_hit_limit: row hits in a row after which an older request to another row of the bank
            goes first; 0: none.
    """

    clock_hz: float = Field(gt=0)
    access_bytes: Annotated[int, Field(ge=1)]
    bank_groups: Annotated[int, Field(ge=1, le=MAX_BANKS)]
    banks_per_group: Annotated[int, Field(ge=1, le=MAX_BANKS)]
    row_lines: Annotated[int, Field(ge=1, le=2**16)]
    rows: Annotated[int, Field(ge=1, le=2**24)]
    timing: DramTiming
    mapping: Mapping = "interleaved"
    queue_depth: Annotated[int, Field(ge=1, le=2**16)] = 32
    controller_clocks: Annotated[int, Field(ge=0, le=2**16)] = 0
    opener_first: bool = False
    early_precharge: bool = False
    row_hit_limit: Annotated[int, Field(ge=0, le=2**16)] = 0

    @model_validator(mode="after")
    def _powers_of_two(self) -> DramChannel:
        for name in ("bank_groups", "banks_per_group", "row_lines", "rows"):
            value = getattr(self, name)
            if value & (value - 1):
                raise ValueError(f"{name} {value} is not a power of two")
        if self.banks > MAX_BANKS:
            raise ValueError(f"{self.banks} banks, at most {MAX_BANKS}")
        if self.mapping == "mop4" and self.row_lines < 4:
            raise ValueError(f"mapping mop4 needs rows of 4 lines or more (got {self.row_lines})")
        return self

    @property
    def banks(self) -> int:
        return self.bank_groups * self.banks_per_group

    @property
    def lines(self) -> int:
        """Addresses of the channel, in units of `access_bytes`."""
        return self.banks * self.rows * self.row_lines

    @property
    def peak_bytes_per_second(self) -> float:
        """Of the data bus, without any gap."""
        return self.access_bytes * self.clock_hz / self.timing.bl


def ddr4_2400(
    latency: int = 17,
    mapping: Mapping = "interleaved",
    *,
    rfc: int = 420,
    refi: int = 9360,
    queue_depth: int = 32,
    controller_clocks: int = 0,
    opener_first: bool = False,
    early_precharge: bool = False,
) -> DramChannel:
    """DDR4-2400, 8 Gb x8 devices on a 64-bit channel, CL = tRCD = tRP = `latency`.

    Values: JESD79-4 as tabulated by Ramulator 2 (presets DDR4_2400R/U, 8Gb_x8).
    """
    return DramChannel(
        clock_hz=1.2e9,
        access_bytes=64,
        bank_groups=4,
        banks_per_group=4,
        row_lines=128,
        rows=2**16,
        mapping=mapping,
        queue_depth=queue_depth,
        controller_clocks=controller_clocks,
        opener_first=opener_first,
        early_precharge=early_precharge,
        timing=DramTiming(
            cl=latency, cwl=12, bl=4, rcd=latency, rp=latency, ras=39, rtp=9, wr=18,
            ccd_s=4, ccd_l=6, rrd_s=4, rrd_l=6, faw=26, wtr_s=3, wtr_l=9, refi=refi, rfc=rfc,
        ),
    )  # fmt: skip
