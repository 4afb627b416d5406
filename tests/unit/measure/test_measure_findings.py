# SPDX-License-Identifier: GPL-2.0-only
"""Reports of kernels on consoles: what kind they are, who, when and where, and whose trouble it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.measure.consolefindings import MOST_FINDINGS, parse_findings, parse_frame
from lab.measure.findings import RecordedConsole, collect_findings
from lab.plan.labplan import HOST_SCOPE

#: As kernel/panic.c, arch/x86/kernel/dumpstack.c and their neighbours write them.
WARNING = """\
[    0.000000] Linux version 6.12.0
[   12.345678] ------------[ cut here ]------------
[   12.345700] refcount_t: underflow; use-after-free.
[   12.345713] WARNING: CPU: 1 PID: 77 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110
[   12.345714] Modules linked in: foo(O)
[   12.345715] CPU: 1 UID: 0 PID: 77 Comm: my prog Tainted: G           O       6.12.0 #1
[   12.345717] RIP: 0010:refcount_warn_saturate+0xba/0x110
[   12.345719] RSP: 0018:ffffc90000123 EFLAGS: 00010282
[   12.345720] Call Trace:
[   12.345720]  <TASK>
[   12.345720]  ? __warn+0x81/0x130
[   12.345720]  foo_write+0x12/0x30 [foo]
[   12.345720]  vfs_write+0xf5/0x400
[   12.345720]  </TASK>
[   12.345720] ---[ end trace 0000000000000000 ]---
"""
OOPS = """\
[   13.000000] BUG: kernel NULL pointer dereference, address: 0000000000000000
[   13.000000] #PF: supervisor write access in kernel mode
[   13.000000] Oops: Oops: 0002 [#1] PREEMPT SMP NOPTI
[   13.000000] CPU: 0 UID: 0 PID: 90 Comm: sh Not tainted 6.12.0 #1
[   13.000000] RIP: 0010:planted_write+0x12/0x20
[   13.000000] Call Trace:
[   13.000000]  <TASK>
[   13.000000]  vfs_write+0x9b/0x170
[   13.000000]  </TASK>
[   13.000000] ---[ end trace 0000000000000000 ]---
[   13.000000] RIP: 0010:planted_write+0x12/0x20
[   13.000000] Kernel panic - not syncing: Fatal exception
"""


def test_a_warning_with_all_that_it_says():
    (found,) = parse_findings(WARNING.encode())
    assert (found.kind, found.line, found.time_s) == ("warning", 4, 12.345713)
    assert WARNING.encode()[found.offset :].startswith(b"[   12.345713] WARNING")
    assert (found.vcpu, found.pid, found.process) == (1, 77, "my prog")
    assert found.message == "refcount_t: underflow; use-after-free."
    assert found.place == "refcount_warn_saturate+0xba/0x110"
    assert [str(one) for one in found.trace] == [
        "? __warn+0x81/0x130",
        "foo_write+0x12/0x30 [foo]",
        "vfs_write+0xf5/0x400",
    ]
    assert not found.is_fatal


def test_an_oops_and_the_panic_it_leads_to_are_one():
    (found,) = parse_findings(OOPS.encode())
    assert (found.kind, found.panic, found.is_fatal) == ("oops", "Fatal exception", True)
    assert (found.vcpu, found.process, found.place) == (0, "sh", "planted_write+0x12/0x20")


def test_a_panic_of_its_own_is_placed_where_it_was_called():
    text = (
        "[ 3.000000] Kernel panic - not syncing: sysrq triggered crash\n"
        "[ 3.000000] CPU: 1 UID: 0 PID: 61 Comm: sh Not tainted 6.12.0 #1\n"
        "[ 3.000000] Call Trace:\n[ 3.000000]  <TASK>\n[ 3.000000]  dump_stack_lvl+0x4f/0x70\n"
        "[ 3.000000]  panic+0x171/0x340\n[ 3.000000]  sysrq_handle_crash+0x15/0x20\n"
    )
    (found,) = parse_findings((WARNING + text).encode())[1:]
    assert (found.kind, found.place, found.vcpu) == ("panic", "sysrq_handle_crash+0x15/0x20", 1)


@pytest.mark.parametrize(
    ("line", "kind", "vcpu", "pid", "process"),
    [
        ("watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [a b:99]", "soft-lockup", 3, 99, "a b"),
        ("watchdog: Watchdog detected hard LOCKUP on cpu 2", "hard-lockup", 2, None, ""),
        ("CPU2: Watchdog detected hard LOCKUP on cpu 2", "hard-lockup", 2, None, ""),
        (
            "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:\n\t2-....: (1 GPs behind)",
            "rcu-stall",
            2,
            None,
            "",
        ),
        (
            "rcu: INFO: rcu_sched detected expedited stalls on CPUs/tasks: { 1-... }",
            "rcu-stall",
            None,
            None,
            "",
        ),
        (
            "INFO: task kworker/0:1:12 blocked for more than 122 seconds.",
            "hung-task",
            None,
            12,
            "kworker/0:1",
        ),
        ("INFO: task x:12 blocked in I/O wait for more than 122 seconds.", "hung-task", None, 12, "x"),
        ("WARNING: CPU: 0 PID: 1 at resched_curr+0x1/0x30", "warning", 0, 1, ""),
        ("WARNING: kernel/x.c:7 at resched+0x1/0x30 [m], CPU#5: a b/77", "warning", 5, 77, "a b"),
        ("WARNING: possible circular locking dependency detected", "lockdep", None, None, ""),
        ("WARNING: suspicious RCU usage", "lockdep", None, None, ""),
        ("BUG: KASAN: slab-use-after-free in f+0x1/0x2", "kasan", None, None, ""),
        ("BUG: KCSAN: data-race in f / g", "kcsan", None, None, ""),
        ("UBSAN: array-index-out-of-bounds in kernel/x.c:7:3", "ubsan", None, None, ""),
        ("kernel BUG at kernel/sched/core.c:12!", "bug", None, None, ""),
        ("BUG: scheduling while atomic: sh/61/0x00000002", "bug", None, None, ""),
        (
            "general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP",
            "oops",
            None,
            None,
            "",
        ),
        ("Oops: int3: 0000 [#1] SMP", "oops", None, None, ""),
        ("Unable to handle kernel paging request at virtual address 0", "oops", None, None, ""),
        ("Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100", "panic", None, None, ""),
    ],
)
def test_heads(line, kind, vcpu, pid, process):
    stamped = "\n".join(f"[   12.000001] {one}" for one in line.split("\n"))
    for text in (line, stamped, stamped.replace("] ", "][    T61] ", 1)):
        (found,) = parse_findings(text.encode())
        assert (found.kind, found.vcpu, found.pid, found.process) == (kind, vcpu, pid, process)


@pytest.mark.parametrize(
    "line",
    [
        "rcu: Hierarchical RCU implementation.",
        "WARNING: the user's own words",
        "lab-init: ready",
        "Spectre V2 : WARNING: Unprivileged eBPF is enabled",
        "clocksource: Switched to clocksource kvm-clock",
        "No bugs here: BUG: is said in the middle",
        "random: crng init done",
    ],
)
def test_what_is_no_report(line):
    assert parse_findings(line.encode()) == ()


def test_a_stack_that_was_interrupted_goes_on_behind_its_registers():
    text = (
        "watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [spin:99]\n"
        "CPU: 1 UID: 0 PID: 99 Comm: spin Not tainted 6.12.0 #1\nRIP: 0010:spinning+0x4/0x10\nCall Trace:\n <IRQ>\n"
        " ? watchdog_timer_fn+0x1/0x2\n </IRQ>\n <TASK>\n ? asm_sysvec_apic_timer_interrupt+0x16/0x20\n"
        "RIP: 0010:spinning+0x4/0x10\nCode: 90\nRSP: 0018:ffff EFLAGS: 00000246\nRAX: 0\n spin_write+0x5/0x6\n"
        " </TASK>\nsomething else\n unrelated+0x1/0x2\n"
    )
    (found,) = parse_findings(text.encode())
    assert found.place == "spinning+0x4/0x10"
    assert [str(one) for one in found.trace if one.sure] == ["spin_write+0x5/0x6"]


def test_a_kernel_that_warns_in_a_loop_is_heard_a_bounded_number_of_times():
    assert len(parse_findings(WARNING.encode() * (MOST_FINDINGS + 10))) == MOST_FINDINGS


def test_frames():
    assert str(parse_frame(" ? f.isra.0+0x1f/0x20 [m 0123abc]")) == "? f.isra.0+0x1f/0x20 [m]"
    assert parse_frame("RSP: 0018:ffff") is None


@given(st.binary(max_size=400))
def test_any_bytes_will_do(data):
    parse_findings(data + b"\nBUG: " + data + b"\nCall Trace:\n f+0x1/0x2\n" + data)


def test_whose_trouble_it_is():
    int3 = b"Oops: int3: 0000 [#1] SMP\nKernel panic - not syncing: Fatal exception\n"
    consoles = [RecordedConsole(HOST_SCOPE, "host/console.log", OOPS.encode())]
    consoles.append(RecordedConsole("g", "guests/g/console.log", int3, "start 0"))
    consoles.append(RecordedConsole("g", "guests/g/console.log", OOPS.encode()))
    emulated = collect_findings(consoles, emulated=True)
    assert [bool(one.environment) for one in emulated] == [True, True, False]
    assert [one.where for one in emulated] == ["host", "g, start 0", "g"]
    assert [bool(one.environment) for one in collect_findings(consoles, emulated=False)] == [
        True,
        False,
        False,
    ]


def test_frames_are_told_with_what_they_were_decoded_to():
    decoded = {"guests/g/console.log": {"vfs_write+0x9b/0x170": "fs/read_write.c:584"}}
    console = RecordedConsole("g", "guests/g/console.log", OOPS.encode())
    (found,) = collect_findings([console], emulated=True, decoded=decoded)
    assert list(found.frames()) == ["planted_write+0x12/0x20", "vfs_write+0x9b/0x170 (fs/read_write.c:584)"]
