"""Fast core: a time wheel of ready threads, and private instructions run ahead of time.

The same machine as `stepped`, clock for clock, but

- clocks in which no thread can issue are skipped: threads wait in a wheel, one 64-bit mask per
  clock and group of threads;
- a thread's private instructions touch nobody else, so they are executed in one go when the shared
  instruction before them completes; after that only their issue slots are simulated.

It is one loop over flat arrays on purpose: Numba's reference counting makes a call with twenty
arrays cost several times the work of an event.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

from sparsesim.machines.piuma import isa
from sparsesim.machines.piuma import state as st
from sparsesim.machines.piuma.data_cache import find_line, place_line
from sparsesim.machines.piuma.dram_timing import dram_access

#: Longest run of private instructions; longer means that a kernel loops without end.
RUN_LIMIT = 1 << 20


@intrinsic
def count_trailing_zeros(_typing: Any, _value: Any) -> Any:
    """Number of zeros below the lowest one of a non-zero uint64."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], context.get_constant(types.boolean, 1))

    return types.int64(types.uint64), generate


@intrinsic
def population_count(_typing: Any, _value: Any) -> Any:
    """Number of ones of a uint64."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


Array = npt.NDArray[Any]


@intrinsic
def prefetch(_typing: Any, array: Any, _index: Any) -> Any:
    """Ask the host's caches for an element that will be used some events later."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        address = builder.bitcast(builder.gep(data, [arguments[1]]), cgutils.voidptr_t)
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, word, word, word])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [address, word(1), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


U1 = np.uint64(1)
U0 = np.uint64(0)
#: Masks that change nothing: they tell the compiler that an index is not negative, so that it need
#: not test for indices that count from the end.
THREAD_MASK = 0x3FFF
REGISTER = isa.REGISTERS - 1
INDEX = 0xFFFFFF
ADDRESS = 0xFFFFFFFFFF


# Nothing is allocated: without reference counts (`_nrt`) inlined calls cost nothing.
@numba.njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def run(
    code: Array,
    mem: Array,
    memf: Array,
    reg: Array,
    regf: Array,
    p: Array,
    net: Array,
    dram: Array,
    cache: Array,
    spad: Array,
    thr: Array,
    eng: Array,
    queues: Array,
    cnt: Array,
    pipe: Array,
    samples: Array,
    marks: Array,
    region: Array,
    wheel: Array,
    arrivals: Array,
    occupied: Array,
    masks: Array,
    waiting: Array,
    barriers: Array,
) -> int:
    """Run all threads to their end; returns 0 or a fault number (see `isa`).

    All arrays are flat int64 (masks uint64) and hold the state that `launch` prepares.
    """
    # Types for the checker only: NumPy integers and Python ones mix freely in compiled code.
    begins_private: Any
    cache_clock: Any
    cause: Any
    chip_busy: Any
    chip_last: Any
    failed: Any
    fault: Any
    home: Any
    interval: Any
    issued: Any
    k: Any
    left: Any
    live: Any
    multiplies: Any
    pc: Any
    sample_count: Any
    sample_next: Any
    sample_width: Any
    sent: Any
    t: Any
    wake: Any
    width: Any
    width_shift: Any
    words: Any
    cores = p[st.P_CORES]
    groups = 2 * cores
    arrival_groups = groups + (cores + 63) // 64
    pipes = p[st.P_PIPES]
    slots = np.int64(st.WHEEL)
    slot_mask = np.int64(st.WHEEL - 1)
    total = p[st.P_TOTAL]
    spad_base = p[st.P_SPAD]
    spad_shift = p[st.P_SPAD_SHIFT]
    cached_end = p[st.P_CACHED]
    ilv_shift = p[st.P_ILV_SHIFT]
    ilv_mask = (np.int64(1) << ilv_shift) - 1
    bank_mask = p[st.P_SPAD_BANK_MASK]
    banks = spad.size // cores
    line_shift = p[st.P_LINE_SHIFT]
    region_shift = p[st.P_REGION_SHIFT]
    engine = eng.size // cores
    max_cycles = p[st.P_MAX_CYCLES]
    ways = p[st.P_WAYS]
    most_probes = np.int64(1) << spad_shift
    spad_request = p[st.P_SPAD_REQUEST]
    spad_response = p[st.P_SPAD_RESPONSE]
    atomic_cycles = p[st.P_ATOMIC]

    # Lanes of a group's mask, one per multi-threaded pipeline.
    multi_top = np.uint64(p[st.P_THREADS] - 1)
    multi_low = U0
    for k in range(0, 64, p[st.P_THREADS]):
        multi_low |= U1 << np.uint64(k)
    multi_high = multi_low << multi_top
    for g in range(groups):
        masks[g * st.MASKS + st.M_TURN] = ~U0
        masks[g * st.MASKS + st.M_CAUSE] = ~U0

    live = np.int64(0)
    for i in range(thr.size // st.THREAD):
        pc = thr[i * st.THREAD + st.T_PC]
        if pc >= 0:
            live += 1
            w = pc * isa.WORDS
            rb = i * isa.REGISTERS
            a = reg[rb + code[w + 2]] + reg[rb + code[w + 3]] + code[w + 5]
            thr[i * st.THREAD + st.T_ADDRESS] = a
            thr[i * st.THREAD + st.T_PATH] = (
                st.PATH_CACHE if code[w] == isa.LD and 0 <= a < cached_end else st.PATH_OTHER
            )
            thr[i * st.THREAD + st.T_CORE] = (i // st.GROUP) % cores
    t = np.int64(1)
    chip_last = np.int64(0)
    issued = np.int64(0)
    chip_busy = np.int64(0)
    cache_clock = np.int64(1)
    multiplies = np.int64(0)
    sample_width = np.int64(64)
    sample_next = np.int64(64)
    sample_count = np.int64(0)
    fault = np.int64(0)

    while live > 0 and fault == 0:
        while t >= sample_next:
            if sample_count == st.SAMPLES:
                for k in range(st.SAMPLES // 2):
                    for f in range(st.SAMPLE):
                        samples[k * st.SAMPLE + f] = samples[(2 * k + 1) * st.SAMPLE + f]
                sample_count = st.SAMPLES // 2
                sample_width *= 2
                sample_next = (sample_count + 1) * sample_width
            else:
                b = sample_count * st.SAMPLE
                samples[b + st.A_CYCLE] = sample_next
                samples[b + st.A_ISSUED] = issued
                words = np.int64(0)
                for c in range(cores):
                    words += dram[p[st.P_DRAM_COUNT_BASE] + c * st.DRAM_COUNTS + st.DC_WORDS]
                samples[b + st.A_DRAM_WORDS] = words
                samples[b + st.A_SPAD_WORDS] = cnt[st.N_SPAD_WORDS]
                samples[b + st.A_MISSES] = cnt[st.N_MISSES]
                sample_count += 1
                sample_next += sample_width
        if t > max_cycles:
            fault = isa.FAULT_BUDGET
            break
        slot = t & slot_mask
        flags = occupied[slot]
        occupied[slot] = 0
        left_ready = U0
        for phase in range(0 if flags & 2 else 1, 2):
            for g in range(arrival_groups if phase == 0 else groups):
                if phase == 0:
                    at = slot * arrival_groups + g
                    chosen = arrivals[at]
                    if chosen == U0:
                        continue
                    arrivals[at] = U0
                    if g >= groups:
                        # A DMA engine moves its next beat.
                        while chosen != U0:
                            c = (g - groups) * 64 + count_trailing_zeros(chosen)
                            chosen &= chosen - U1
                            e = c * engine
                            if eng[e + st.E_DMA_DUE] <= t:
                                d = e + st.E_DESCRIPTORS + eng[e + st.E_DMA_HEAD] * st.DESCRIPTOR
                                mode = eng[d + st.D_MODE]
                                source = eng[d + st.D_FROM]
                                goal = eng[d + st.D_TO]
                                arg = eng[d + st.D_ARG]
                                progress = eng[d + st.D_PROGRESS]
                                n = min(p[st.P_DMA_BEAT_WORDS], eng[d + st.D_COUNT] - progress)
                                sent = np.int64(-1)
                                beat_done = t + p[st.P_SPAD_REQUEST] + 1 + p[st.P_SPAD_RESPONSE]
                                for k in range(progress, progress + n):
                                    to = goal + k
                                    if mode == isa.DMA_SCATTER or mode == isa.DMA_SCATTER_FILL:
                                        a = arg + k
                                        if a < spad_base or a >= total:
                                            fault = isa.FAULT_ADDRESS
                                            break
                                        to = goal + mem[a]
                                    elif mode == isa.DMA_STRIDE_OUT:
                                        to = goal + k * arg
                                    if to < 0 or to >= total:
                                        fault = isa.FAULT_ADDRESS
                                        break
                                    moment = t + p[st.P_SPAD_REQUEST]
                                    if mode == isa.DMA_FILL or mode == isa.DMA_SCATTER_FILL:
                                        mem[to] = source
                                    else:
                                        a = source + k
                                        if mode == isa.DMA_GATHER:
                                            a = arg + k
                                            if a < spad_base or a >= total:
                                                fault = isa.FAULT_ADDRESS
                                                break
                                            a = source + mem[a]
                                        elif mode == isa.DMA_STRIDE_IN:
                                            a = source + k * arg
                                        if a < 0 or a >= total:
                                            fault = isa.FAULT_ADDRESS
                                            break
                                        mem[to] = mem[a]
                                        if a < spad_base:
                                            home = (a >> ilv_shift) % cores
                                            word = (((a >> ilv_shift) // cores) << ilv_shift) | (
                                                a & ilv_mask
                                            )
                                            moment = t
                                            if home != c:
                                                if sent < 0:
                                                    sent = max(t, eng[e + st.E_INJECT])
                                                    eng[e + st.E_INJECT] = sent + p[st.P_PORT]
                                                    cnt[st.N_MESSAGES] += 1
                                                moment = sent + net[c * cores + home]
                                            moment = dram_access(dram, p, moment, home, word, 1)
                                            if home != c:
                                                moment += net[home * cores + c]
                                            cnt[st.N_REGION + 2 * region[a >> region_shift]] += 1
                                        else:
                                            cnt[st.N_SPAD_WORDS] += 1
                                    if to < spad_base:
                                        home = (to >> ilv_shift) % cores
                                        word = (((to >> ilv_shift) // cores) << ilv_shift) | (
                                            to & ilv_mask
                                        )
                                        if home != c:
                                            if sent < 0:
                                                sent = max(t, eng[e + st.E_INJECT])
                                                eng[e + st.E_INJECT] = sent + p[st.P_PORT]
                                                cnt[st.N_MESSAGES] += 1
                                            moment = max(moment, sent) + net[c * cores + home]
                                        moment = dram_access(dram, p, moment, home, word, 1)
                                        if home != c:
                                            moment += net[home * cores + c]
                                        cnt[st.N_REGION + 2 * region[to >> region_shift] + 1] += 1
                                    else:
                                        cnt[st.N_SPAD_WORDS] += 1
                                        moment += 1 + p[st.P_SPAD_RESPONSE]
                                    if moment > beat_done:
                                        beat_done = moment
                                if fault != 0:
                                    cnt[st.N_FAULT_NUMBER] = 1
                                    break
                                progress += n
                                if isa.DMA_GATHER <= mode <= isa.DMA_SCATTER_FILL:
                                    # Indices of a later beat; the next one would come too late.
                                    a = source if mode == isa.DMA_GATHER else goal
                                    first = progress + 2 * n
                                    last = min(first + n, eng[d + st.D_COUNT])
                                    for k in range(first, last):
                                        if spad_base <= arg + k < total:
                                            prefetch(mem, a + mem[arg + k])
                                eng[d + st.D_PROGRESS] = progress
                                cnt[st.N_DMA_WORDS] += n
                                cnt[st.N_DMA_BEATS] += 1
                                beat = eng[e + st.E_DMA_BEATS]
                                outstanding = p[st.P_DMA_OUTSTANDING]
                                eng[e + st.E_RING + beat % outstanding] = beat_done
                                eng[e + st.E_DMA_BEATS] = beat + 1
                                w = max(
                                    t + p[st.P_DMA_BEAT_CYCLES],
                                    eng[e + st.E_RING + (beat + 1) % outstanding],
                                )
                                owner = eng[d + st.D_OWNER] * st.THREAD
                                if beat_done > thr[owner + st.T_DMA_LAST]:
                                    thr[owner + st.T_DMA_LAST] = beat_done
                                if progress == eng[d + st.D_COUNT]:
                                    head = eng[e + st.E_DMA_HEAD] + 1
                                    eng[e + st.E_DMA_HEAD] = (
                                        0 if head == p[st.P_DMA_QUEUE] else head
                                    )
                                    eng[e + st.E_DMA_COUNT] -= 1
                                    thr[owner + st.T_DMA_PENDING] -= 1
                                    if (
                                        thr[owner + st.T_DMA_WAITING] == 1
                                        and thr[owner + st.T_DMA_PENDING] == 0
                                    ):
                                        thr[owner + st.T_DMA_WAITING] = 0
                                        wake = max(t + 1, thr[owner + st.T_DMA_LAST])
                                        oi = owner // st.THREAD
                                        thr[owner + st.T_KIND] = st.K_FAR
                                        thr[owner + st.T_DUE] = wake
                                        s = min(wake, t + slots - 1) & slot_mask
                                        arrivals[s * arrival_groups + oi // st.GROUP] |= (
                                            U1 << np.uint64(oi % st.GROUP)
                                        )
                                        occupied[s] |= 2
                                    for k in range(2):
                                        mask = np.uint64(eng[e + st.E_DMA_WAIT_MULTI + k])
                                        if mask != U0:
                                            eng[e + st.E_DMA_WAIT_MULTI + k] = 0
                                            s = (t + 1) & slot_mask
                                            arrivals[s * arrival_groups + c + k * cores] |= mask
                                            occupied[s] |= 2
                                    if eng[e + st.E_DMA_COUNT] > 0:
                                        w += p[st.P_DMA_START]
                                if eng[e + st.E_DMA_COUNT] > 0:
                                    eng[e + st.E_DMA_DUE] = w
                                else:
                                    eng[e + st.E_DMA_BUSY] = 0
                                    continue
                            w = eng[e + st.E_DMA_DUE]
                            s = min(w, t + slots - 1) & slot_mask
                            arrivals[s * arrival_groups + g] |= U1 << np.uint64(c & 63)
                            occupied[s] |= 2
                        continue
                    interval = np.int64(0)
                    width_shift = np.int64(0)
                    mb = g * st.MASKS
                    own = g if g < cores else g - cores
                else:
                    mb = (g * st.MASKS) & INDEX
                    m = masks[mb + st.M_READY]
                    if flags & 1:
                        at = (slot * groups + g) & INDEX
                        m |= wheel[at]
                        wheel[at] = U0
                    if m == U0:
                        continue
                    if g < cores:
                        own = g
                        width_shift = p[st.P_THREAD_SHIFT]
                        interval = p[st.P_ISSUE]
                        low, high, top = multi_low, multi_high, multi_top
                    else:
                        own = g - cores
                        width_shift = np.int64(0)
                        interval = p[st.P_SINGLE_ISSUE]
                        low, high, top = ~U0, ~U0, U0
                    # Each pipeline (a lane of the mask) takes the next ready thread, round robin:
                    # the first at or after its turn, else the first of all. No branches: all lanes
                    # at once. `low` and `high` mark the lowest and highest bit of every lane.
                    turn = masks[mb + st.M_TURN]
                    later = m & turn
                    some = (((later & ~high) + ~high) | later) & high
                    whole = some | (some - (some >> top))
                    chosen = (later & whole) | (m & ~whole)
                    chosen &= ((~chosen & ~high) + low) ^ (~chosen & high)
                    some = (((chosen & ~high) + ~high) | chosen) & high
                    one = some >> top
                    whole = some | (some - one)
                    masks[mb + st.M_TURN] = (turn & ~whole) | (whole & ~(chosen | (chosen - one)))
                    m ^= chosen
                    masks[mb + st.M_READY] = m
                    left_ready |= m
                    issued += population_count(one)
                    caused = masks[mb + st.M_CAUSE]
                    if chip_last != t:
                        if t - chip_last > 1:
                            local = count_trailing_zeros(chosen)
                            cause = np.int64(st.S_DEPENDENCY)
                            if (caused >> np.uint64(local)) & U1 != U0:
                                cause = thr[(g * st.GROUP + local) * st.THREAD + st.T_CAUSE]
                            cnt[st.N_CHIP_STALLS + cause] += t - chip_last - 1
                        chip_last = t
                        chip_busy += 1
                    # Pipelines that did not issue in the clock before, or that did and now do not.
                    group_last = np.int64(masks[mb + st.M_LAST])
                    before = masks[mb + st.M_LANES]
                    same = before & one if group_last == t - 1 else U0
                    masks[mb + st.M_LAST] = np.uint64(t)
                    masks[mb + st.M_LANES] = one
                    before ^= same
                    while before != U0:
                        local = count_trailing_zeros(before)
                        before &= before - U1
                        base = ((g * pipes + (local >> width_shift)) * st.PIPE) & INDEX
                        pipe[base + st.L_LAST] = group_last
                    one ^= same
                    while one != U0:
                        local = count_trailing_zeros(one)
                        one &= one - U1
                        base = ((g * pipes + (local >> width_shift)) * st.PIPE) & INDEX
                        local += count_trailing_zeros(chosen >> np.uint64(local))
                        ti = ((g * st.GROUP + local) & THREAD_MASK) * st.THREAD
                        cause = np.int64(st.S_DEPENDENCY)
                        if (caused >> np.uint64(local)) & U1 != U0:
                            cause = thr[ti + st.T_CAUSE]
                        pipe[(base + st.L_STALLS + cause) & INDEX] += t - pipe[base + st.L_LAST] - 1
                    # Threads that issue a private instruction, executed already.
                    running = chosen & masks[mb + st.M_PRIVATE]
                    if running != U0:
                        chosen ^= running
                        s = (t + interval) & slot_mask
                        wheel[(s * groups + g) & INDEX] |= running
                        occupied[s] |= 1
                        masks[mb + st.M_CAUSE] = caused & ~running
                        # One less to issue: subtract 1, digit by digit, from all at once.
                        digit0 = masks[mb + st.M_LEFT]
                        digit1 = masks[mb + st.M_LEFT + 1]
                        digit2 = masks[mb + st.M_LEFT + 2]
                        borrow = running & ~digit0
                        digit0 ^= running
                        later = borrow & ~digit1
                        digit1 ^= borrow
                        borrow = later & ~digit2
                        digit2 ^= later
                        masks[mb + st.M_LEFT] = digit0
                        masks[mb + st.M_LEFT + 1] = digit1
                        masks[mb + st.M_LEFT + 2] = digit2
                        while borrow != U0:
                            bit = borrow & (~borrow + U1)
                            ti = (g * st.GROUP + count_trailing_zeros(borrow)) * st.THREAD
                            borrow ^= bit
                            thr[ti + st.T_LEFT] -= 1
                            if thr[ti + st.T_LEFT] == 0:
                                masks[mb + st.M_MANY] ^= bit
                        masks[mb + st.M_PRIVATE] ^= running & ~(
                            digit0 | digit1 | digit2 | masks[mb + st.M_MANY]
                        )
                own_banks = own * banks
                while chosen != U0:
                    local = count_trailing_zeros(chosen)
                    bit = chosen & (~chosen + U1)
                    chosen ^= bit
                    i = (g * st.GROUP + local) & THREAD_MASK
                    ti = i * st.THREAD
                    path = thr[ti + st.T_PATH]
                    if phase == 0:
                        if thr[ti + st.T_DUE] > t and thr[ti + st.T_KIND] != st.K_RETRY:
                            s = min(thr[ti + st.T_DUE], t + slots - 1) & slot_mask
                            arrivals[s * arrival_groups + g] |= bit
                            occupied[s] |= 2
                            continue
                        if thr[ti + st.T_KIND] == st.K_FAR:
                            masks[g * st.MASKS + st.M_READY] |= bit
                            continue
                        interval = p[st.P_ISSUE] if g < cores else p[st.P_SINGLE_ISSUE]
                        path = np.int64(st.PATH_OTHER)

                    # The shared instruction at T_PC.
                    pc = thr[ti + st.T_PC]
                    w = (pc & INDEX) * isa.WORDS
                    op = code[w]
                    rb = i * isa.REGISTERS
                    cause = np.int64(st.S_DEPENDENCY)
                    wake = np.int64(-1)  # -1: not known yet, somebody else wakes the thread
                    begins_private = np.int64(0)
                    if path == st.PATH_SCRATCHPAD:
                        a = thr[ti + st.T_ADDRESS] & ADDRESS
                        bank = (own_banks + ((a - spad_base) & bank_mask)) & INDEX
                        moment = t + spad_request
                        free = spad[bank]
                        if free > moment:
                            cnt[st.N_BANK_WAIT] += free - moment
                            moment = free
                            cause = np.int64(st.S_BANK)
                        moment += atomic_cycles if op >= isa.CAS else 1
                        spad[bank] = moment
                        wake = moment + spad_response
                        cnt[st.N_SPAD_WORDS] += 1
                        rd = rb + (code[w + 1] & REGISTER)
                        if op == isa.CAS:
                            old = mem[a]
                            brought = reg[rb + (code[w + 4] & REGISTER)]
                            failed = thr[ti + st.T_FAILED] + 1 if old != brought else 0
                            if old == reg[rb + (code[w + 6] & REGISTER)]:
                                mem[a] = brought
                                failed = np.int64(0)
                            reg[rd] = old
                            thr[ti + st.T_FAILED] = failed
                            if failed > most_probes:
                                fault = isa.FAULT_FULL
                                cnt[st.N_FAULT_THREAD] = i
                                cnt[st.N_FAULT_PC] = pc
                                break
                        elif op == isa.AFADD:
                            memf[a] += regf[rb + (code[w + 4] & REGISTER)]
                        elif op == isa.ST:
                            mem[a] = reg[rb + (code[w + 4] & REGISTER)]
                        elif op == isa.LD:
                            reg[rd] = mem[a]
                        else:
                            old = mem[a]
                            mem[a] = old + reg[rb + (code[w + 4] & REGISTER)]
                            reg[rd] = old
                    elif op >= isa.FIRST_SHARED and op <= isa.LAST_MEMORY:
                        a = thr[ti + st.T_ADDRESS]
                        own_pipe = g * pipes + (local >> (p[st.P_THREAD_SHIFT] if g < cores else 0))
                        if path == st.PATH_CACHE:
                            k = find_line(cache, p, own_pipe, a >> line_shift)
                            if k >= 0:
                                cnt[st.N_HITS] += 1
                                cache_clock += 1
                                there = cache[k + ways]
                                cache[k + 2 * ways] = cache_clock
                                wake = t + p[st.P_HIT]
                                if there > wake:
                                    cnt[st.N_MERGED] += 1
                                    wake = there
                                    cause = np.int64(st.S_MEMORY)
                                reg[rb + (code[w + 1] & REGISTER)] = mem[a & ADDRESS]
                            else:
                                cnt[st.N_MISSES] += 1
                        elif a < 0 or a >= total:
                            fault = isa.FAULT_ADDRESS
                            cnt[st.N_FAULT_THREAD] = i
                            cnt[st.N_FAULT_PC] = pc
                            break
                        if wake < 0:
                            me = thr[ti + st.T_CORE]
                            cacheable = op == isa.LD and a < cached_end
                            in_spad = a >= spad_base
                            if in_spad:
                                home = (a - spad_base) >> spad_shift
                                word = a - spad_base
                            elif cores == 1:
                                home = np.int64(0)
                                word = a
                            else:
                                home = (a >> ilv_shift) % cores
                                word = (((a >> ilv_shift) // cores) << ilv_shift) | (a & ilv_mask)
                            moment = t
                            if home != me:
                                if phase == 1:
                                    e = me * engine
                                    sent = max(t, eng[e + st.E_INJECT])
                                    eng[e + st.E_INJECT] = sent + p[st.P_PORT]
                                    cnt[st.N_MESSAGES] += 1
                                    cnt[st.N_PORT_WAIT] += sent - t
                                    due = sent + net[me * cores + home]
                                    thr[ti + st.T_KIND] = st.K_ARRIVAL
                                    thr[ti + st.T_DUE] = due
                                    s = min(due, t + slots - 1) & slot_mask
                                    arrivals[s * arrival_groups + g] |= bit
                                    occupied[s] |= 2
                                    continue
                                e = home * engine
                                moment = max(t, eng[e + st.E_EJECT])
                                eng[e + st.E_EJECT] = moment + p[st.P_PORT]
                                cnt[st.N_PORT_WAIT] += moment - t
                                cause = np.int64(st.S_INPUT)
                                if op >= isa.CAS:
                                    cnt[st.N_REMOTE_ATOMICS] += 1
                            if in_spad:
                                bank = home * banks + (word & bank_mask)
                                moment += p[st.P_SPAD_REQUEST]
                                if spad[bank] > moment:
                                    cnt[st.N_BANK_WAIT] += spad[bank] - moment
                                    moment = spad[bank]
                                    if cause == st.S_DEPENDENCY:
                                        cause = np.int64(st.S_BANK)
                                moment += p[st.P_ATOMIC] if op >= isa.CAS else 1
                                spad[bank] = moment
                                wake = moment + p[st.P_SPAD_RESPONSE]
                                cnt[st.N_SPAD_WORDS] += 1
                            else:
                                cause = np.int64(st.S_MEMORY)
                                place = st.N_REGION + 2 * region[a >> region_shift]
                                if cacheable:
                                    first = (word >> line_shift) << line_shift
                                    for k in range(1 << line_shift):
                                        wake = max(
                                            wake, dram_access(dram, p, moment, home, first + k, 1)
                                        )
                                    cnt[place] += 1 << line_shift
                                else:
                                    wake = dram_access(
                                        dram, p, moment, home, word, 2 if op >= isa.CAS else 1
                                    )
                                    if op != isa.ST:
                                        cnt[place] += 1
                                    if op != isa.LD:
                                        cnt[place + 1] += 1
                            if home != me:
                                wake += net[home * cores + me]
                            if cacheable:
                                cache_clock += 1
                                place_line(cache, p, own_pipe, a >> line_shift, wake, cache_clock)
                            if op == isa.LD:
                                reg[rb + (code[w + 1] & REGISTER)] = mem[a]
                            elif op == isa.ST:
                                mem[a] = reg[rb + (code[w + 4] & REGISTER)]
                            elif op == isa.CAS:
                                old = mem[a]
                                brought = reg[rb + (code[w + 4] & REGISTER)]
                                failed = thr[ti + st.T_FAILED] + 1 if old != brought else 0
                                if old == reg[rb + (code[w + 6] & REGISTER)]:
                                    mem[a] = brought
                                    failed = np.int64(0)
                                reg[rb + (code[w + 1] & REGISTER)] = old
                                thr[ti + st.T_FAILED] = failed
                                if failed > most_probes:
                                    fault = isa.FAULT_FULL
                                    cnt[st.N_FAULT_THREAD] = i
                                    cnt[st.N_FAULT_PC] = pc
                                    break
                            elif op == isa.AADD:
                                old = mem[a]
                                mem[a] = old + reg[rb + (code[w + 4] & REGISTER)]
                                reg[rb + (code[w + 1] & REGISTER)] = old
                            else:
                                memf[a] += regf[rb + (code[w + 4] & REGISTER)]
                    elif op == isa.POP or op == isa.QSET:
                        me = thr[ti + st.T_CORE]
                        queue = reg[rb + (code[w + 2] & REGISTER)] + code[w + 5]
                        if queue < 0 or queue >= cores * st.QUEUES_PER_CORE:
                            fault = isa.FAULT_ADDRESS
                            cnt[st.N_FAULT_THREAD] = i
                            cnt[st.N_FAULT_PC] = pc
                            break
                        home = queue // st.QUEUES_PER_CORE
                        moment = t
                        if home != me:
                            if phase == 1:
                                e = me * engine
                                sent = max(t, eng[e + st.E_INJECT])
                                eng[e + st.E_INJECT] = sent + p[st.P_PORT]
                                cnt[st.N_MESSAGES] += 1
                                cnt[st.N_PORT_WAIT] += sent - t
                                due = sent + net[me * cores + home]
                                thr[ti + st.T_KIND] = st.K_ARRIVAL
                                thr[ti + st.T_DUE] = due
                                s = min(due, t + slots - 1) & slot_mask
                                arrivals[s * arrival_groups + g] |= bit
                                occupied[s] |= 2
                                continue
                            e = home * engine
                            moment = max(t, eng[e + st.E_EJECT])
                            eng[e + st.E_EJECT] = moment + p[st.P_PORT]
                            cnt[st.N_PORT_WAIT] += moment - t
                        cause = np.int64(st.S_INPUT)
                        e = home * engine
                        start = max(moment, eng[e + st.E_QUEUE])
                        cnt[st.N_QUEUE_WAIT] += start - moment
                        eng[e + st.E_QUEUE] = start + p[st.P_QUEUE_CYCLES]
                        wake = start + p[st.P_QUEUE_LATENCY]
                        if home != me:
                            wake += net[home * cores + me]
                        if op == isa.POP:
                            if queues[2 * queue] < queues[2 * queue + 1]:
                                reg[rb + (code[w + 1] & REGISTER)] = queues[2 * queue]
                                queues[2 * queue] += 1
                            else:
                                reg[rb + (code[w + 1] & REGISTER)] = -1
                        else:
                            queues[2 * queue] = reg[rb + (code[w + 3] & REGISTER)]
                            queues[2 * queue + 1] = reg[rb + (code[w + 4] & REGISTER)]
                    elif op == isa.BARRIER:
                        me = thr[ti + st.T_CORE]
                        cause = np.int64(st.S_IMBALANCE)
                        thr[ti + st.T_BARRIER_SINCE] = t
                        if code[w + 5] == 0:
                            barriers[me] += 1
                            waiting[g] |= bit
                            if barriers[me] == p[st.P_CORE_BARRIER_COUNT]:
                                barriers[me] = 0
                                cnt[st.N_BARRIERS] += 1
                                s = (t + p[st.P_BARRIER]) & slot_mask
                                occupied[s] |= 1
                                for k in range(2):
                                    mask = waiting[me + k * cores]
                                    wheel[s * groups + me + k * cores] |= mask
                                    waiting[me + k * cores] = U0
                                    while mask != U0:
                                        b = (me + k * cores) * st.GROUP + count_trailing_zeros(mask)
                                        mask &= mask - U1
                                        thr[b * st.THREAD + st.T_BARRIER_CYCLES] += (
                                            t - thr[b * st.THREAD + st.T_BARRIER_SINCE]
                                        )
                        else:
                            barriers[cores] += 1
                            waiting[groups + g] |= bit
                            if barriers[cores] == p[st.P_GLOBAL_BARRIER_COUNT]:
                                barriers[cores] = 0
                                cnt[st.N_BARRIERS] += 1
                                s = (t + p[st.P_GLOBAL_BARRIER]) & slot_mask
                                occupied[s] |= 1
                                for k in range(groups):
                                    mask = waiting[groups + k]
                                    wheel[s * groups + k] |= mask
                                    waiting[groups + k] = U0
                                    while mask != U0:
                                        b = k * st.GROUP + count_trailing_zeros(mask)
                                        mask &= mask - U1
                                        thr[b * st.THREAD + st.T_BARRIER_CYCLES] += (
                                            t - thr[b * st.THREAD + st.T_BARRIER_SINCE]
                                        )
                    elif op == isa.DMA:
                        me = thr[ti + st.T_CORE]
                        cause = np.int64(st.S_OUTPUT)
                        e = me * engine
                        n = reg[rb + (code[w + 4] & REGISTER)]
                        if n <= 0:
                            wake = t + interval
                        elif eng[e + st.E_DMA_COUNT] == p[st.P_DMA_QUEUE]:
                            thr[ti + st.T_KIND] = st.K_RETRY
                            k = st.E_DMA_WAIT_MULTI if g < cores else st.E_DMA_WAIT_SINGLE
                            eng[e + k] |= np.int64(bit)
                            thr[ti + st.T_CAUSE] = cause
                            masks[mb + st.M_CAUSE] |= bit
                            continue
                        else:
                            k = eng[e + st.E_DMA_HEAD] + eng[e + st.E_DMA_COUNT]
                            if k >= p[st.P_DMA_QUEUE]:
                                k -= p[st.P_DMA_QUEUE]
                            d = e + st.E_DESCRIPTORS + k * st.DESCRIPTOR
                            eng[d + st.D_FROM] = reg[rb + (code[w + 2] & REGISTER)]
                            eng[d + st.D_TO] = reg[rb + (code[w + 3] & REGISTER)]
                            eng[d + st.D_COUNT] = n
                            eng[d + st.D_MODE] = code[w + 5]
                            eng[d + st.D_ARG] = reg[rb + (code[w + 6] & REGISTER)]
                            eng[d + st.D_OWNER] = i
                            eng[d + st.D_PROGRESS] = 0
                            eng[e + st.E_DMA_COUNT] += 1
                            thr[ti + st.T_DMA_PENDING] += 1
                            wake = t + interval
                            if eng[e + st.E_DMA_BUSY] == 0:
                                eng[e + st.E_DMA_BUSY] = 1
                                due = max(
                                    t + p[st.P_DMA_START],
                                    eng[
                                        e
                                        + st.E_RING
                                        + eng[e + st.E_DMA_BEATS] % p[st.P_DMA_OUTSTANDING]
                                    ],
                                )
                                eng[e + st.E_DMA_DUE] = due
                                s = min(due, t + slots - 1) & slot_mask
                                arrivals[s * arrival_groups + groups + (me >> 6)] |= (
                                    U1 << np.uint64(me & 63)
                                )
                                occupied[s] |= 2
                    elif op == isa.DMAWAIT:
                        cause = np.int64(st.S_OUTPUT)
                        if thr[ti + st.T_DMA_PENDING] == 0:
                            wake = max(t + interval, thr[ti + st.T_DMA_LAST])
                        else:
                            thr[ti + st.T_DMA_WAITING] = 1
                    elif op == isa.MARK:
                        wake = t + interval
                        if marks[0] < st.MAX_MARKS:
                            k = marks[0]
                            marks[1 + 2 * k] = code[w + 5]
                            marks[2 + 2 * k] = t
                            marks[0] = k + 1
                    elif op == isa.HALT:
                        live -= 1
                        cnt[st.N_OPS + (op & 63)] += 1
                        thr[ti + st.T_ISSUED] += 1
                        thr[ti + st.T_END] = t
                        thr[ti + st.T_PC] = -1
                        cnt[st.N_CYCLES] = t
                        continue
                    elif op < isa.FIRST_SHARED:
                        # Only at the start of a thread: nothing ran ahead of its first instruction.
                        begins_private = np.int64(1)
                        wake = t + interval
                    else:
                        fault = isa.FAULT_TRAP
                        cnt[st.N_FAULT_THREAD] = i
                        cnt[st.N_FAULT_PC] = pc
                        cnt[st.N_FAULT_NUMBER] = code[w + 5]
                        break
                    cnt[st.N_OPS + (op & 63)] += 1 - begins_private
                    thr[ti + st.T_CAUSE] = cause
                    masks[mb + st.M_CAUSE] |= bit

                    # Run ahead through the private instructions.
                    pc += 1 - begins_private
                    left = np.int64(0)
                    while True:
                        w = (pc & INDEX) * isa.WORDS
                        op = code[w]
                        if op >= isa.FIRST_SHARED:
                            break
                        left += 1
                        pc += 1
                        x = reg[rb + (code[w + 2] & REGISTER)]
                        y = reg[rb + (code[w + 3] & REGISTER)] + code[w + 5]
                        if op == isa.ADD:
                            reg[rb + (code[w + 1] & REGISTER)] = x + y
                        elif op == isa.BNE:
                            if x != y:
                                pc = np.int64(code[w + 6])
                        elif op == isa.BEQ:
                            if x == y:
                                pc = np.int64(code[w + 6])
                        elif op == isa.BLT:
                            if x < y:
                                pc = np.int64(code[w + 6])
                        elif op == isa.BGE:
                            if x >= y:
                                pc = np.int64(code[w + 6])
                        elif op == isa.FMUL:
                            regf[rb + (code[w + 1] & REGISTER)] = (
                                regf[rb + (code[w + 2] & REGISTER)]
                                * regf[rb + (code[w + 3] & REGISTER)]
                            )
                            multiplies += 1
                        elif op == isa.FMA:
                            regf[rb + (code[w + 1] & REGISTER)] = (
                                regf[rb + (code[w + 2] & REGISTER)]
                                * regf[rb + (code[w + 3] & REGISTER)]
                                + regf[rb + (code[w + 4] & REGISTER)]
                            )
                            multiplies += 1
                            cnt[st.N_FLOAT_ADDS] += 1
                        elif op == isa.AND:
                            reg[rb + (code[w + 1] & REGISTER)] = x & y
                        elif op == isa.JMP:
                            pc = np.int64(code[w + 6])
                        elif op == isa.SUB:
                            reg[rb + (code[w + 1] & REGISTER)] = x - y
                        elif op == isa.MUL:
                            reg[rb + (code[w + 1] & REGISTER)] = x * y
                        elif op == isa.SHR:
                            reg[rb + (code[w + 1] & REGISTER)] = np.int64(
                                np.uint64(x) >> np.uint64(y)
                            )
                        elif op == isa.SHL:
                            reg[rb + (code[w + 1] & REGISTER)] = x << y
                        elif op == isa.OR:
                            reg[rb + (code[w + 1] & REGISTER)] = x | y
                        elif op == isa.XOR:
                            reg[rb + (code[w + 1] & REGISTER)] = x ^ y
                        elif op == isa.MIN:
                            reg[rb + (code[w + 1] & REGISTER)] = min(x, y)
                        elif op == isa.MAX:
                            reg[rb + (code[w + 1] & REGISTER)] = max(x, y)
                        elif op == isa.FADD:
                            regf[rb + (code[w + 1] & REGISTER)] = (
                                regf[rb + (code[w + 2] & REGISTER)]
                                + regf[rb + (code[w + 3] & REGISTER)]
                            )
                            cnt[st.N_FLOAT_ADDS] += 1
                        elif op == isa.LOG2:
                            k = np.int64(0)
                            while x > 1:
                                x >>= 1
                                k += 1
                            reg[rb + (code[w + 1] & REGISTER)] = k
                        if left > RUN_LIMIT:
                            fault = isa.FAULT_RUNAWAY
                            cnt[st.N_FAULT_THREAD] = i
                            cnt[st.N_FAULT_PC] = pc
                            break
                    thr[ti + st.T_PC] = pc
                    a = (
                        reg[rb + (code[w + 2] & REGISTER)]
                        + reg[rb + (code[w + 3] & REGISTER)]
                        + code[w + 5]
                    )
                    thr[ti + st.T_ADDRESS] = a
                    path = np.int64(st.PATH_OTHER)
                    if op <= isa.LAST_MEMORY:
                        prefetch(mem, a)
                        if spad_base <= a < total and (a - spad_base) >> spad_shift == own:
                            path = np.int64(st.PATH_SCRATCHPAD)
                        elif op == isa.LD and 0 <= a < cached_end:
                            path = np.int64(st.PATH_CACHE)
                    thr[ti + st.T_PATH] = path
                    left -= begins_private
                    if left > 0:
                        masks[mb + st.M_PRIVATE] |= bit
                        masks[mb + st.M_LEFT] |= bit if left & 1 else U0
                        masks[mb + st.M_LEFT + 1] |= bit if left & 2 else U0
                        masks[mb + st.M_LEFT + 2] |= bit if left & 4 else U0
                        if left > 7:
                            thr[ti + st.T_LEFT] = left >> 3
                            masks[mb + st.M_MANY] |= bit
                    thr[ti + st.T_ISSUED] += left + 1
                    if wake >= 0:
                        if wake - t < slots:
                            s = wake & slot_mask
                            wheel[(s * groups + g) & INDEX] |= bit
                            occupied[s] |= 1
                        else:
                            thr[ti + st.T_KIND] = st.K_FAR
                            thr[ti + st.T_DUE] = wake
                            s = (t + slots - 1) & slot_mask
                            arrivals[s * arrival_groups + g] |= bit
                            occupied[s] |= 2
                if fault != 0:
                    break
            if fault != 0:
                break
        t += 1
        if left_ready == U0 and live > 0 and fault == 0:
            last = t + slots
            while occupied[t & slot_mask] == 0:
                t += 1
                if t == last:
                    fault = isa.FAULT_DEADLOCK
                    break
    for g in range(groups):
        width = p[st.P_THREADS] if g < cores else 1
        mb = g * st.MASKS
        for q in range(p[st.P_PIPELINES] if g < cores else p[st.P_SINGLE]):
            base = (g * pipes + q) * st.PIPE
            if (masks[mb + st.M_LANES] >> np.uint64(q * width)) & U1 != U0:
                pipe[base + st.L_LAST] = np.int64(masks[mb + st.M_LAST])
            lane = masks[mb + st.M_TURN] >> np.uint64(q * width)
            if width < 64:
                lane &= (U1 << np.uint64(width)) - U1
            pipe[base + st.L_NEXT] = count_trailing_zeros(lane) if lane != U0 else 0
    cnt[st.N_ISSUED] = issued
    cnt[st.N_CHIP_BUSY] = chip_busy
    cnt[st.N_MULTIPLIES] = multiplies
    samples[st.SAMPLES * st.SAMPLE] = sample_count
    samples[st.SAMPLES * st.SAMPLE + 1] = sample_width
    return int(fault)
