# SPDX-License-Identifier: GPL-2.0-only
"""Who took a pCPU from a vCPU, in words."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from lab.trace.model import Thread

IDLE = "idle"
UNKNOWN = "unknown"

#: Names that the kernel gives its own threads (kthread_create and smpboot_register_percpu_thread in kernel/, mm/,
#: block/, fs/, arch/x86/kvm, drivers/vhost): a trace has no other word on whether a thread is one.
_KERNEL_THREADS = re.compile(
    r"""kworker/|ksoftirqd/|ktimers/|migration/|rcu_|rcu[bc]/|rcuo[a-z]/|cpuhp/|idle_inject/|watchdog/|watchdogd$|
    kthreadd$|pool_workqueue_|kswapd\d|kcompactd\d|khugepaged$|ksmd$|oom_reaper$|khungtaskd$|kauditd$|kdevtmpfs$|
    kblockd$|kintegrityd$|irq/\d|irq_work/|jbd2/|ext4-rsv|xfs|btrfs-|erofs_worker|kvm-nx-lpage|kvm-pit/|vhost-\d|
    scsi_eh_|hwrng$|psimon$|backlog_napi/|napi/|stopper/""",
    re.VERBOSE,
)


def name_taker(
    tid: int, names: Mapping[int, str], threads: Mapping[int, Thread], kernel_tids: Collection[int] = ()
) -> str:
    """Thread `tid` of the host as a text: "guest2 vcpu 1", "guest2 emulator", "hog noisy", "kernel kworker/0:1",
    "foreign bash", "idle" (thread 0), "unknown" (-1).

    `names` are the tasks' names, `threads` the lab's own, `kernel_tids` threads known to be the kernel's; beyond
    these, those count as such that bear a name that the kernel gives. A thread without a name goes by its number.
    """
    if tid <= 0:
        return IDLE if tid == 0 else UNKNOWN
    if tid in threads:
        return _name_own(threads[tid])
    name = names.get(tid, f"thread {tid}")
    kernel = tid in kernel_tids or _KERNEL_THREADS.match(name) is not None
    return f"kernel {name}" if kernel else f"foreign {name}"


def is_hog(thread: Thread) -> bool:
    """Whether `thread` is of a hog: what it is there is "thread N", which no thread of a guest's emulator is."""
    return thread.vcpu is None and thread.role.split(" ")[0] == "thread"


def _name_own(thread: Thread) -> str:
    if thread.vcpu is not None:
        return f"{thread.owner} vcpu {thread.vcpu}"
    return f"hog {thread.owner}" if is_hog(thread) else f"{thread.owner} {thread.role}"
