# SPDX-License-Identifier: GPL-2.0-only
"""What the end-to-end tests take for a complaint of a kernel, and what not."""

from __future__ import annotations

import pytest
from e2e.kernel_log import find_complaints

#: First lines of reports as kernels print them.
REPORTS = (
    "[   12.345678] WARNING: CPU: 2 PID: 123 at kernel/sched/core.c:1234 push_one+0x12/0x34",
    "[   12.345678] WARNING: possible circular locking dependency detected",
    "[   12.345678] ------------[ cut here ]------------\n[   12.345678] kernel BUG at kernel/cpu.c:1!",
    "[   12.345678] BUG: kernel NULL pointer dereference, address: 0000000000000008",
    "[   12.345678] BUG: scheduling while atomic: storm/99/0x00000002",
    "[   12.345678] watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [pvspin:71]",
    "[   12.345678] Oops: general protection fault, probably for non-canonical address: 0000 [#1] SMP",
    "[   12.345678] Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: f+0x1/0x2",
    "[   12.345678] rcu: INFO: rcu_sched self-detected stall on CPU",
    "[   12.345678] rcu: INFO: rcu_sched detected expedited stalls on CPUs/tasks: { 2-... } 21 jiffies s: 1",
    "[   12.345678] INFO: task kworker/1:1:44 blocked for more than 122 seconds.",
    "[   12.345678] list_add corruption. prev->next should be next (1), but was 2. (prev=3).",
    "[   12.345678] smpboot: do_boot_cpu failed(-1) to wakeup CPU#3",
    "[   12.345678] CPU3 failed to report alive state",
)

#: What kernels of the lab say when all is well.
HARMLESS = """\
[    0.000000] Linux version 6.12.117 (gcc) #1 SMP PREEMPT_DYNAMIC
[    0.131000] smpboot: Allowing 4 CPUs, 0 hotplug CPUs
[    0.231000] rcu: Hierarchical RCU implementation.
[    0.332000] Warning: unable to open an initial console.
[    0.431000] NMI watchdog: Perf NMI watchdog permanently disabled
[    9.145100] smpboot: CPU 3 is now offline
[    9.245100] process 77 (pvspin) no longer affine to cpu3
[    9.345100] smpboot: Booting Node 0 Processor 3 APIC 0x3
"""


@pytest.mark.parametrize("report", REPORTS)
def test_a_report_is_found_with_what_follows(report: str) -> None:
    (found,) = find_complaints(f"{HARMLESS}{report}\n[   12.4]  some_function+0x1/0x2\n")
    assert report.splitlines()[-1] in found and "some_function" in found
    assert "Linux version" not in found


def test_what_is_harmless_is_left_out() -> None:
    assert find_complaints(HARMLESS) == ()


def test_reports_far_apart_are_told_one_by_one() -> None:
    assert len(find_complaints("\n".join((REPORTS[0], *["idle"] * 40, REPORTS[5])))) == 2
