# SPDX-License-Identifier: GPL-2.0-only
"""What depends on the guest's architecture, in one table. x86_64 only, so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lab.errors import HostError


@dataclass(frozen=True)
class GuestArch:
    """How a guest of one architecture is put together.

    `machine`, `features`, `timers` and `migratable` are libvirt's (formatdomain); `smt_features` are those of the
    CPU without which a guest does not see that its vCPUs are threads of one core; `cmdline` is the kernel's command
    line (Documentation/admin-guide/kernel-parameters.txt). `trace_clock` is the clock of traces
    (Documentation/trace/ftrace.rst).
    """

    machine: str
    features: tuple[str, ...]
    timers: tuple[Mapping[str, str], ...]
    migratable: str | None
    smt_features: tuple[str, ...]
    cmdline: str
    trace_clock: str


#: Choices for x86_64 are about exits, which cost most where KVM itself is emulated: `pc` has fewer devices to
#: probe than q35; no HPET; a virtio console instead of a port written byte by byte; no timer check through
#: the PIT; the TSC is trusted instead of being watched. A CPU that need not migrate has an invariant TSC.
#: Warnings reach the console, with their time, and nothing that is less than one: every line costs exits.
#: panic=-1 reboots at once, and libvirt ends the domain on reboot: a panic is noticed, not waited out.
_ARCHES: Mapping[str, GuestArch] = MappingProxyType(
    {
        "x86_64": GuestArch(
            machine="pc",
            features=("acpi", "apic"),
            timers=(
                {"name": "pit", "tickpolicy": "delay"},
                {"name": "hpet", "present": "no"},
            ),
            migratable="off",
            # AMD's, emulated ones included: without it Linux takes each thread for a core
            # (arch/x86/kernel/cpu/topology_amd.c), and QEMU leaves it out of host-passthrough. Intel's go without.
            smt_features=("topoext",),
            cmdline="console=hvc0 loglevel=5 printk.time=1 panic=-1 no_timer_check tsc=reliable",
            # The TSC itself: a guest's is its host's and an offset that KVM tells, so both traces have one clock.
            trace_clock="x86-tsc",
        ),
    }
)


#: The clock of traces where an architecture has none that guests and their host share.
USUAL_TRACE_CLOCK = "mono"


def trace_clock(name: str) -> str:
    """The clock of traces on architecture `name`."""
    return _ARCHES[name].trace_clock if name in _ARCHES else USUAL_TRACE_CLOCK


def guest_arch(name: str) -> GuestArch:
    """The table's entry for `name`. Raises HostError where there is none."""
    try:
        return _ARCHES[name]
    except KeyError:
        known = ", ".join(sorted(_ARCHES))
        raise HostError(f"guests for architecture {name} cannot be made; the lab knows {known}") from None
