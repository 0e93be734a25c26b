"""Stepped core: every clock, every thread; the specification that `fast` equals.

In each clock, in this order:

1. requests that reach their goal in this clock are served, in order of thread;
2. DMA engines that are due move one beat, in order of core;
3. every pipeline issues one instruction: of its ready threads the first, round robin.

A thread has one instruction in flight. Memory changes when a request is served, and requests to a
bank, a channel or a port are served in the order in which they reach it.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from sparsesim.machines.piuma import isa
from sparsesim.machines.piuma import state as st
from sparsesim.machines.piuma.data_cache import find_line, place_line
from sparsesim.machines.piuma.dram_timing import dram_access

Array = npt.NDArray[Any]
READY = 0


@numba.njit(cache=True)
def _home(p: Array, address: int) -> tuple[int, int]:
    """(core, word inside its DRAM or global scratchpad word) of a global address."""
    if address >= p[st.P_SPAD]:
        word = address - p[st.P_SPAD]
        return word >> p[st.P_SPAD_SHIFT], word
    block = address >> p[st.P_ILV_SHIFT]
    inside = address - (block << p[st.P_ILV_SHIFT])
    return block % p[st.P_CORES], ((block // p[st.P_CORES]) << p[st.P_ILV_SHIFT]) + inside


@numba.njit(cache=True)
def _send(p: Array, net: Array, eng: Array, cnt: Array, time: int, core: int, home: int) -> int:
    """Clock at which a message that wants to leave `core` at `time` reaches `home`."""
    port = core * (eng.size // p[st.P_CORES]) + st.E_INJECT
    sent = max(time, eng[port])
    eng[port] = sent + p[st.P_PORT]
    cnt[st.N_MESSAGES] += 1
    cnt[st.N_PORT_WAIT] += sent - time
    return sent + net[core * p[st.P_CORES] + home]


@numba.njit(cache=True)
def _receive(p: Array, eng: Array, cnt: Array, time: int, home: int) -> int:
    """Clock at which a message that reached `home` at `time` is through its port."""
    port = home * (eng.size // p[st.P_CORES]) + st.E_EJECT
    taken = max(time, eng[port])
    eng[port] = taken + p[st.P_PORT]
    cnt[st.N_PORT_WAIT] += taken - time
    return taken


@numba.njit(cache=True)
def _private(code: Array, reg: Array, regf: Array, cnt: Array, i: int, pc: int) -> int:
    """Execute the private instruction at `pc` of thread `i`; returns the next one."""
    w = pc * isa.WORDS
    op = code[w]
    rb = i * isa.REGISTERS
    rd = rb + code[w + 1]
    ra = rb + code[w + 2]
    x = reg[ra]
    y = reg[rb + code[w + 3]] + code[w + 5]
    following: Any = pc + 1
    if op == isa.ADD:
        reg[rd] = x + y
    elif op == isa.SUB:
        reg[rd] = x - y
    elif op == isa.MUL:
        reg[rd] = x * y
    elif op == isa.AND:
        reg[rd] = x & y
    elif op == isa.OR:
        reg[rd] = x | y
    elif op == isa.XOR:
        reg[rd] = x ^ y
    elif op == isa.SHL:
        reg[rd] = x << y
    elif op == isa.SHR:
        reg[rd] = np.int64(np.uint64(x) >> np.uint64(y))
    elif op == isa.MIN:
        reg[rd] = min(x, y)
    elif op == isa.MAX:
        reg[rd] = max(x, y)
    elif op == isa.LOG2:
        reg[rd] = 0
        while x > 1:
            x >>= 1
            reg[rd] += 1
    elif op == isa.FADD:
        regf[rd] = regf[ra] + regf[rb + code[w + 3]]
        cnt[st.N_FLOAT_ADDS] += 1
    elif op == isa.FMUL:
        regf[rd] = regf[ra] * regf[rb + code[w + 3]]
        cnt[st.N_MULTIPLIES] += 1
    elif op == isa.FMA:
        regf[rd] = regf[ra] * regf[rb + code[w + 3]] + regf[rb + code[w + 4]]
        cnt[st.N_MULTIPLIES] += 1
        cnt[st.N_FLOAT_ADDS] += 1
    else:
        taken = op == isa.JMP
        if op == isa.BEQ:
            taken = x == y
        elif op == isa.BNE:
            taken = x != y
        elif op == isa.BLT:
            taken = x < y
        elif op == isa.BGE:
            taken = x >= y
        if taken:
            following = np.int64(code[w + 6])
    return following


@numba.njit(cache=True)
def _serve_memory(
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
    cnt: Array,
    region: Array,
    clock: Array,
    i: int,
    time: int,
    pipe: int,
) -> None:
    """Serve the memory instruction of thread `i`, at its goal since `time`; sets T_DUE."""
    ti = i * st.THREAD
    w = thr[ti + st.T_PC] * isa.WORDS
    op = code[w]
    rb = i * isa.REGISTERS
    a = reg[rb + code[w + 2]] + reg[rb + code[w + 3]] + code[w + 5]
    home, word = _home(p, a)
    me = (i // st.GROUP) % p[st.P_CORES]
    cacheable = op == isa.LD and a < p[st.P_CACHED]
    done: Any
    atomic = op in (isa.CAS, isa.AADD, isa.AFADD)
    cause = st.S_INPUT if home != me else st.S_DEPENDENCY
    if home != me and atomic:
        cnt[st.N_REMOTE_ATOMICS] += 1
    if a >= p[st.P_SPAD]:
        bank = home * (spad.size // p[st.P_CORES]) + word % (p[st.P_SPAD_BANK_MASK] + 1)
        reached = time + p[st.P_SPAD_REQUEST]
        if spad[bank] > reached:
            cnt[st.N_BANK_WAIT] += spad[bank] - reached
            if cause == st.S_DEPENDENCY:
                cause = st.S_BANK
        spad[bank] = max(reached, spad[bank]) + (p[st.P_ATOMIC] if atomic else 1)
        done = spad[bank] + p[st.P_SPAD_RESPONSE]
        cnt[st.N_SPAD_WORDS] += 1
    else:
        cause = st.S_MEMORY
        place = st.N_REGION + 2 * region[a >> p[st.P_REGION_SHIFT]]
        if cacheable:
            words = 1 << p[st.P_LINE_SHIFT]
            first = word - word % words
            done = np.int64(0)
            for k in range(words):
                done = max(done, dram_access(dram, p, time, home, first + k, 1))
            cnt[place] += words
        else:
            done = dram_access(dram, p, time, home, word, 2 if atomic else 1)
            cnt[place] += 0 if op == isa.ST else 1
            cnt[place + 1] += 0 if op == isa.LD else 1
    if home != me:
        done += net[home * p[st.P_CORES] + me]
    if cacheable:
        clock[0] += 1
        place_line(cache, p, pipe, a >> p[st.P_LINE_SHIFT], done, clock[0])
    rd, rc = rb + code[w + 1], rb + code[w + 4]
    if op == isa.LD:
        reg[rd] = mem[a]
    elif op == isa.ST:
        mem[a] = reg[rc]
    elif op == isa.CAS:
        old = mem[a]
        brought = reg[rc]
        thr[ti + st.T_FAILED] += 1
        if old == brought:
            thr[ti + st.T_FAILED] = 0
        if old == reg[rb + code[w + 6]]:
            mem[a] = brought
            thr[ti + st.T_FAILED] = 0
        reg[rd] = old
    elif op == isa.AADD:
        old = mem[a]
        mem[a] = old + reg[rc]
        reg[rd] = old
    else:
        memf[a] += regf[rc]
    cnt[st.N_OPS + op] += 1
    thr[ti + st.T_CAUSE] = cause
    thr[ti + st.T_KIND] = READY
    thr[ti + st.T_DUE] = done
    thr[ti + st.T_PC] += 1


@numba.njit(cache=True)
def _serve_queue(
    code: Array,
    reg: Array,
    p: Array,
    net: Array,
    thr: Array,
    eng: Array,
    queues: Array,
    cnt: Array,
    i: int,
    time: int,
) -> None:
    """Serve a pop or qset of thread `i`, at the queue engine since `time`; sets T_DUE."""
    ti = i * st.THREAD
    w = thr[ti + st.T_PC] * isa.WORDS
    op = code[w]
    rb = i * isa.REGISTERS
    queue = reg[rb + code[w + 2]] + code[w + 5]
    home = queue // st.QUEUES_PER_CORE
    me = (i // st.GROUP) % p[st.P_CORES]
    e = home * (eng.size // p[st.P_CORES]) + st.E_QUEUE
    start = max(time, eng[e])
    cnt[st.N_QUEUE_WAIT] += start - time
    eng[e] = start + p[st.P_QUEUE_CYCLES]
    done = start + p[st.P_QUEUE_LATENCY]
    if home != me:
        done += net[home * p[st.P_CORES] + me]
    if op == isa.QSET:
        queues[2 * queue] = reg[rb + code[w + 3]]
        queues[2 * queue + 1] = reg[rb + code[w + 4]]
    elif queues[2 * queue] < queues[2 * queue + 1]:
        reg[rb + code[w + 1]] = queues[2 * queue]
        queues[2 * queue] += 1
    else:
        reg[rb + code[w + 1]] = -1
    cnt[st.N_OPS + op] += 1
    thr[ti + st.T_CAUSE] = st.S_INPUT
    thr[ti + st.T_KIND] = READY
    thr[ti + st.T_DUE] = done
    thr[ti + st.T_PC] += 1


@numba.njit(cache=True)
def _push_descriptor(
    code: Array,
    reg: Array,
    p: Array,
    thr: Array,
    eng: Array,
    cnt: Array,
    i: int,
    t: int,
    interval: int,
) -> None:
    """Hand the descriptor of thread `i` to its core's DMA engine, or wait for room."""
    ti = i * st.THREAD
    w = thr[ti + st.T_PC] * isa.WORDS
    rb = i * isa.REGISTERS
    me = (i // st.GROUP) % p[st.P_CORES]
    e = me * (eng.size // p[st.P_CORES])
    count = reg[rb + code[w + 4]]
    thr[ti + st.T_CAUSE] = st.S_OUTPUT
    if count > 0:
        if eng[e + st.E_DMA_COUNT] == p[st.P_DMA_QUEUE]:
            thr[ti + st.T_KIND] = st.K_BLOCKED
            return
        place = (eng[e + st.E_DMA_HEAD] + eng[e + st.E_DMA_COUNT]) % p[st.P_DMA_QUEUE]
        d = e + st.E_DESCRIPTORS + place * st.DESCRIPTOR
        eng[d + st.D_FROM] = reg[rb + code[w + 2]]
        eng[d + st.D_TO] = reg[rb + code[w + 3]]
        eng[d + st.D_COUNT] = count
        eng[d + st.D_MODE] = code[w + 5]
        eng[d + st.D_ARG] = reg[rb + code[w + 6]]
        eng[d + st.D_OWNER] = i
        eng[d + st.D_PROGRESS] = 0
        eng[e + st.E_DMA_COUNT] += 1
        thr[ti + st.T_DMA_PENDING] += 1
        if eng[e + st.E_DMA_BUSY] == 0:
            eng[e + st.E_DMA_BUSY] = 1
            oldest = eng[e + st.E_RING + eng[e + st.E_DMA_BEATS] % p[st.P_DMA_OUTSTANDING]]
            eng[e + st.E_DMA_DUE] = max(t + p[st.P_DMA_START], oldest)
    cnt[st.N_OPS + isa.DMA] += 1
    thr[ti + st.T_KIND] = READY
    thr[ti + st.T_DUE] = t + interval
    thr[ti + st.T_PC] += 1


@numba.njit(cache=True)
def _element(mem: Array, p: Array, mode: int, d: int, eng: Array, k: int) -> tuple[int, int]:
    """(from, to) of element `k` of the descriptor at `d`; from -1: a fill; to -2: a fault."""
    source, goal, arg = eng[d + st.D_FROM], eng[d + st.D_TO], eng[d + st.D_ARG]
    total, spad = p[st.P_TOTAL], p[st.P_SPAD]
    a, to = source + k, goal + k
    if mode in (isa.DMA_GATHER, isa.DMA_SCATTER, isa.DMA_SCATTER_FILL):
        if arg + k < spad or arg + k >= total:
            return -2, -2
        if mode == isa.DMA_GATHER:
            a = source + mem[arg + k]
        else:
            to = goal + mem[arg + k]
    elif mode == isa.DMA_STRIDE_IN:
        a = source + k * arg
    elif mode == isa.DMA_STRIDE_OUT:
        to = goal + k * arg
    if mode in (isa.DMA_FILL, isa.DMA_SCATTER_FILL):
        a = np.int64(-1)
    elif a < 0 or a >= total:
        return -2, -2
    if to < 0 or to >= total:
        return -2, -2
    return a, to


@numba.njit(cache=True)
def _move_beat(
    mem: Array,
    p: Array,
    net: Array,
    dram: Array,
    thr: Array,
    eng: Array,
    cnt: Array,
    region: Array,
    c: int,
    t: int,
) -> bool:
    """Move the next beat of the DMA engine of core `c`; returns whether all addresses exist."""
    e = c * (eng.size // p[st.P_CORES])
    d = e + st.E_DESCRIPTORS + eng[e + st.E_DMA_HEAD] * st.DESCRIPTOR
    progress = eng[d + st.D_PROGRESS]
    words = min(p[st.P_DMA_BEAT_WORDS], eng[d + st.D_COUNT] - progress)
    sent: Any = np.int64(-1)
    beat_done = t + p[st.P_SPAD_REQUEST] + 1 + p[st.P_SPAD_RESPONSE]
    for k in range(progress, progress + words):
        a, to = _element(mem, p, eng[d + st.D_MODE], d, eng, k)
        if to == -2:
            return False
        time = t + p[st.P_SPAD_REQUEST]
        mem[to] = eng[d + st.D_FROM] if a < 0 else mem[a]
        for address in (a, to):
            if address < 0:
                continue
            if address >= p[st.P_SPAD]:
                cnt[st.N_SPAD_WORDS] += 1
                if address == to:
                    time += 1 + p[st.P_SPAD_RESPONSE]
                continue
            home, word = _home(p, address)
            if address == a:
                time = t
            away = np.int64(0)
            if home != c:
                if sent < 0:
                    sent = max(t, eng[e + st.E_INJECT])
                    eng[e + st.E_INJECT] = sent + p[st.P_PORT]
                    cnt[st.N_MESSAGES] += 1
                time = max(time, sent) + net[c * p[st.P_CORES] + home]
                away = net[home * p[st.P_CORES] + c]
            time = dram_access(dram, p, time, home, word, 1) + away
            cnt[st.N_REGION + 2 * region[address >> p[st.P_REGION_SHIFT]] + (address == to)] += 1
        beat_done = max(beat_done, time)
    progress += words
    eng[d + st.D_PROGRESS] = progress
    cnt[st.N_DMA_WORDS] += words
    cnt[st.N_DMA_BEATS] += 1
    beats = eng[e + st.E_DMA_BEATS]
    eng[e + st.E_RING + beats % p[st.P_DMA_OUTSTANDING]] = beat_done
    eng[e + st.E_DMA_BEATS] = beats + 1
    oldest = eng[e + st.E_RING + (beats + 1) % p[st.P_DMA_OUTSTANDING]]
    eng[e + st.E_DMA_DUE] = max(t + p[st.P_DMA_BEAT_CYCLES], oldest)
    owner = eng[d + st.D_OWNER] * st.THREAD
    thr[owner + st.T_DMA_LAST] = max(thr[owner + st.T_DMA_LAST], beat_done)
    if progress < eng[d + st.D_COUNT]:
        return True
    eng[e + st.E_DMA_HEAD] = (eng[e + st.E_DMA_HEAD] + 1) % p[st.P_DMA_QUEUE]
    eng[e + st.E_DMA_COUNT] -= 1
    thr[owner + st.T_DMA_PENDING] -= 1
    if thr[owner + st.T_DMA_WAITING] == 1 and thr[owner + st.T_DMA_PENDING] == 0:
        thr[owner + st.T_DMA_WAITING] = 0
        thr[owner + st.T_KIND] = READY
        thr[owner + st.T_DUE] = max(t + 1, thr[owner + st.T_DMA_LAST])
    if eng[e + st.E_DMA_COUNT] == 0:
        eng[e + st.E_DMA_BUSY] = 0
    else:
        eng[e + st.E_DMA_DUE] += p[st.P_DMA_START]
    return True


@numba.njit(cache=True, nogil=True, error_model="numpy")
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
    _wheel: Array,
    _arrivals: Array,
    _occupied: Array,
    _masks: Array,
    _waiting: Array,
    barriers: Array,
) -> int:
    """Run all threads to their end; same arguments and result as `fast.run`."""
    cores = p[st.P_CORES]
    engine = eng.size // cores
    threads = thr.size // st.THREAD
    i: Any
    live = 0
    for i in range(threads):
        if thr[i * st.THREAD + st.T_PC] >= 0:
            live += 1
            thr[i * st.THREAD + st.T_DUE] = 1
    clock = np.ones(1, np.int64)
    barrier_of = np.full(threads, -1, np.int64)  # barrier at which a thread waits
    chip_last = 0
    width = 64
    count = 0
    t = 0
    while live > 0:
        t += 1
        if t > p[st.P_MAX_CYCLES]:
            return isa.FAULT_BUDGET
        if t == (count + 1) * width and count == st.SAMPLES:
            for k in range(st.SAMPLES // 2):
                for f in range(st.SAMPLE):
                    samples[k * st.SAMPLE + f] = samples[(2 * k + 1) * st.SAMPLE + f]
            count = st.SAMPLES // 2
            width *= 2
        if t == (count + 1) * width:
            samples[count * st.SAMPLE + st.A_CYCLE] = t
            samples[count * st.SAMPLE + st.A_ISSUED] = cnt[st.N_ISSUED]
            for c in range(cores):
                words = dram[p[st.P_DRAM_COUNT_BASE] + c * st.DRAM_COUNTS + st.DC_WORDS]
                if c == 0:
                    samples[count * st.SAMPLE + st.A_DRAM_WORDS] = 0
                samples[count * st.SAMPLE + st.A_DRAM_WORDS] += words
            samples[count * st.SAMPLE + st.A_SPAD_WORDS] = cnt[st.N_SPAD_WORDS]
            samples[count * st.SAMPLE + st.A_MISSES] = cnt[st.N_MISSES]
            count += 1

        # 1. Requests that reach their goal.
        moving = False
        for i in range(threads):
            ti = i * st.THREAD
            if thr[ti + st.T_PC] < 0:
                continue
            if thr[ti + st.T_KIND] != st.K_BLOCKED:
                moving = True
            if thr[ti + st.T_DUE] != t:
                continue
            g = i // st.GROUP
            me = g % cores
            w = thr[ti + st.T_PC] * isa.WORDS
            if thr[ti + st.T_KIND] == st.K_RETRY:
                interval = p[st.P_ISSUE] if g < cores else p[st.P_SINGLE_ISSUE]
                _push_descriptor(code, reg, p, thr, eng, cnt, i, t, interval)
            elif thr[ti + st.T_KIND] == st.K_ARRIVAL:
                rb = i * isa.REGISTERS
                if code[w] in (isa.POP, isa.QSET):
                    home = (reg[rb + code[w + 2]] + code[w + 5]) // st.QUEUES_PER_CORE
                    time = _receive(p, eng, cnt, t, home)
                    _serve_queue(code, reg, p, net, thr, eng, queues, cnt, i, time)
                else:
                    a = reg[rb + code[w + 2]] + reg[rb + code[w + 3]] + code[w + 5]
                    home, _word = _home(p, a)
                    time = _receive(p, eng, cnt, t, home)
                    shift = p[st.P_THREAD_SHIFT] if g < cores else 0
                    _serve_memory(
                        code, mem, memf, reg, regf, p, net, dram, cache, spad, thr, cnt, region,
                        clock, i, time, g * p[st.P_PIPES] + ((i % st.GROUP) >> shift),
                    )  # fmt: skip

        # A thread that has probed every slot there can be would probe for ever.
        for i in range(threads):
            ti = i * st.THREAD
            if thr[ti + st.T_FAILED] > 1 << p[st.P_SPAD_SHIFT]:
                cnt[st.N_FAULT_THREAD] = i
                cnt[st.N_FAULT_PC] = thr[ti + st.T_PC]
                return isa.FAULT_FULL

        # 2. DMA engines.
        for c in range(cores):
            e = c * engine
            if eng[e + st.E_DMA_BUSY] == 1:
                moving = True
            if eng[e + st.E_DMA_BUSY] == 1 and eng[e + st.E_DMA_DUE] == t:
                before = eng[e + st.E_DMA_COUNT]
                if not _move_beat(mem, p, net, dram, thr, eng, cnt, region, c, t):
                    cnt[st.N_FAULT_NUMBER] = 1
                    return isa.FAULT_ADDRESS
                if eng[e + st.E_DMA_COUNT] < before:
                    for i in range(threads):
                        ti = i * st.THREAD
                        if (
                            thr[ti + st.T_KIND] == st.K_BLOCKED
                            and (i // st.GROUP) % cores == c
                            and code[thr[ti + st.T_PC] * isa.WORDS] == isa.DMA
                            and barrier_of[i] < 0
                            and thr[ti + st.T_DMA_WAITING] == 0
                        ):
                            thr[ti + st.T_KIND] = st.K_RETRY
                            thr[ti + st.T_DUE] = t + 1

        # 3. One instruction per pipeline.
        chip_cause = -1
        for g in range(2 * cores):
            me = g % cores
            pipelines = p[st.P_PIPELINES] if g < cores else p[st.P_SINGLE]
            per_pipe = p[st.P_THREADS] if g < cores else 1
            interval = p[st.P_ISSUE] if g < cores else p[st.P_SINGLE_ISSUE]
            for q in range(pipelines):
                base = (g * p[st.P_PIPES] + q) * st.PIPE
                i = np.int64(-1)
                for k in range(per_pipe):
                    place = (pipe[base + st.L_NEXT] + k) % per_pipe
                    candidate = g * st.GROUP + q * per_pipe + place
                    tc = candidate * st.THREAD
                    if (
                        thr[tc + st.T_PC] >= 0
                        and thr[tc + st.T_KIND] == READY
                        and thr[tc + st.T_DUE] <= t
                    ):
                        i = candidate
                        pipe[base + st.L_NEXT] = (place + 1) % per_pipe
                        break
                if i < 0:
                    continue
                ti = i * st.THREAD
                cause = thr[ti + st.T_CAUSE]
                pipe[base + st.L_STALLS + cause] += t - pipe[base + st.L_LAST] - 1
                pipe[base + st.L_LAST] = t
                if chip_cause < 0:
                    chip_cause = cause
                cnt[st.N_ISSUED] += 1
                pc = thr[ti + st.T_PC]
                w = pc * isa.WORDS
                op = code[w]
                rb = i * isa.REGISTERS
                thr[ti + st.T_ISSUED] += 1
                if op < isa.FIRST_SHARED:
                    thr[ti + st.T_PC] = _private(code, reg, regf, cnt, i, pc)
                    thr[ti + st.T_DUE] = t + interval
                    thr[ti + st.T_CAUSE] = st.S_DEPENDENCY
                elif op <= isa.LAST_MEMORY:
                    a = reg[rb + code[w + 2]] + reg[rb + code[w + 3]] + code[w + 5]
                    if a < 0 or a >= p[st.P_TOTAL]:
                        cnt[st.N_FAULT_THREAD] = i
                        cnt[st.N_FAULT_PC] = pc
                        return isa.FAULT_ADDRESS
                    own = g * p[st.P_PIPES] + q
                    if op == isa.LD and a < p[st.P_CACHED]:
                        k = find_line(cache, p, own, a >> p[st.P_LINE_SHIFT])
                        if k >= 0:
                            cnt[st.N_HITS] += 1
                            clock[0] += 1
                            there = cache[k + p[st.P_WAYS]]
                            cache[k + 2 * p[st.P_WAYS]] = clock[0]
                            thr[ti + st.T_DUE] = max(t + p[st.P_HIT], there)
                            thr[ti + st.T_CAUSE] = st.S_DEPENDENCY
                            if there > t + p[st.P_HIT]:
                                cnt[st.N_MERGED] += 1
                                thr[ti + st.T_CAUSE] = st.S_MEMORY
                            reg[rb + code[w + 1]] = mem[a]
                            cnt[st.N_OPS + op] += 1
                            thr[ti + st.T_PC] += 1
                            continue
                        cnt[st.N_MISSES] += 1
                    home, _word = _home(p, a)
                    if home != me:
                        thr[ti + st.T_KIND] = st.K_ARRIVAL
                        thr[ti + st.T_DUE] = _send(p, net, eng, cnt, t, me, home)
                    else:
                        _serve_memory(
                            code, mem, memf, reg, regf, p, net, dram, cache, spad, thr, cnt,
                            region, clock, i, t, own,
                        )  # fmt: skip
                elif op == isa.POP or op == isa.QSET:
                    queue = reg[rb + code[w + 2]] + code[w + 5]
                    if queue < 0 or queue >= cores * st.QUEUES_PER_CORE:
                        cnt[st.N_FAULT_THREAD] = i
                        cnt[st.N_FAULT_PC] = pc
                        return isa.FAULT_ADDRESS
                    home = queue // st.QUEUES_PER_CORE
                    if home != me:
                        thr[ti + st.T_KIND] = st.K_ARRIVAL
                        thr[ti + st.T_DUE] = _send(p, net, eng, cnt, t, me, home)
                    else:
                        _serve_queue(code, reg, p, net, thr, eng, queues, cnt, i, t)
                elif op == isa.BARRIER:
                    everyone = code[w + 5] != 0
                    number = cores if everyone else me
                    cnt[st.N_OPS + op] += 1
                    thr[ti + st.T_PC] += 1
                    thr[ti + st.T_KIND] = st.K_BLOCKED
                    thr[ti + st.T_CAUSE] = st.S_IMBALANCE
                    thr[ti + st.T_BARRIER_SINCE] = t
                    barrier_of[i] = number
                    barriers[number] += 1
                    goal = p[st.P_GLOBAL_BARRIER_COUNT] if everyone else p[st.P_CORE_BARRIER_COUNT]
                    if barriers[number] == goal:
                        barriers[number] = 0
                        cnt[st.N_BARRIERS] += 1
                        for k in range(threads):
                            if barrier_of[k] == number:
                                barrier_of[k] = -1
                                tk = k * st.THREAD
                                thr[tk + st.T_KIND] = READY
                                thr[tk + st.T_DUE] = t + (
                                    p[st.P_GLOBAL_BARRIER] if everyone else p[st.P_BARRIER]
                                )
                                thr[tk + st.T_BARRIER_CYCLES] += t - thr[tk + st.T_BARRIER_SINCE]
                elif op == isa.DMA:
                    _push_descriptor(code, reg, p, thr, eng, cnt, i, t, interval)
                elif op == isa.DMAWAIT:
                    cnt[st.N_OPS + op] += 1
                    thr[ti + st.T_PC] += 1
                    thr[ti + st.T_CAUSE] = st.S_OUTPUT
                    if thr[ti + st.T_DMA_PENDING] == 0:
                        thr[ti + st.T_DUE] = max(t + interval, thr[ti + st.T_DMA_LAST])
                    else:
                        thr[ti + st.T_KIND] = st.K_BLOCKED
                        thr[ti + st.T_DMA_WAITING] = 1
                elif op == isa.MARK:
                    cnt[st.N_OPS + op] += 1
                    thr[ti + st.T_PC] += 1
                    thr[ti + st.T_CAUSE] = st.S_DEPENDENCY
                    thr[ti + st.T_DUE] = t + interval
                    if marks[0] < st.MAX_MARKS:
                        marks[1 + 2 * marks[0]] = code[w + 5]
                        marks[2 + 2 * marks[0]] = t
                        marks[0] += 1
                elif op == isa.HALT:
                    cnt[st.N_OPS + op] += 1
                    thr[ti + st.T_END] = t
                    thr[ti + st.T_PC] = -1
                    cnt[st.N_CYCLES] = t
                    live -= 1
                else:
                    cnt[st.N_FAULT_THREAD] = i
                    cnt[st.N_FAULT_PC] = pc
                    cnt[st.N_FAULT_NUMBER] = code[w + 5]
                    return isa.FAULT_TRAP
        if chip_cause >= 0:
            cnt[st.N_CHIP_STALLS + chip_cause] += t - chip_last - 1
            chip_last = t
            cnt[st.N_CHIP_BUSY] += 1
        if live > 0 and not moving:
            return isa.FAULT_DEADLOCK
    samples[st.SAMPLES * st.SAMPLE] = count
    samples[st.SAMPLES * st.SAMPLE + 1] = width
    return 0
