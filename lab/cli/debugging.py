# SPDX-License-Identifier: GPL-2.0-only
"""Debuggers on guests of a lab that is up: the words that start one, and the kernel's symbols."""

from __future__ import annotations

import shlex
from pathlib import Path

from lab.artifacts.builtonly import NotBuiltError
from lab.artifacts.kernels import DEBUG_NAME, ensure_kernel
from lab.cli.desk import Desk
from lab.cli.running import RunningLab, host_command
from lab.errors import LabError
from lab.plan.labplan import KernelPlan, LabPlan
from lab.run.ports import Host


def gdb_words(desk: Desk, lab: RunningLab, host: Host, node: str) -> list[str]:
    """Open QEMU's gdb stub for `node`, and the words of a gdb that attaches to it.

    The stub listens on the host's loopback only; a host elsewhere is reached through ssh, so that nothing listens
    here. The guest stands still while a debugger is attached.
    """
    port = host.hypervisor.open_gdb(lab.plan.node(node).domain)
    *command, target = host_command(desk, lab) or ("",)
    place = f"127.0.0.1:{port}"
    remote = f"| {shlex.join([*command, '-W', place, target])}" if target else place
    symbols = find_symbols(desk, lab.plan, node)
    return ["gdb", "-q", "-ex", f"target remote {remote}", *([str(symbols)] if symbols else [])]


def find_symbols(desk: Desk, plan: LabPlan, node: str) -> Path | None:
    """The ELF kernel of `node` with its symbols; None where the cache does not keep it."""
    kernel = next(one for one in plan.kernels if one.name == plan.node(node).kernel)
    return kept_symbols(desk, kernel)


def kept_symbols(desk: Desk, kernel: KernelPlan) -> Path | None:
    """The same of a kernel."""
    try:
        built = ensure_kernel(desk.wiring.only_built().workshop, kernel)
    except (NotBuiltError, LabError):
        return None
    image = built.vmlinux or built.bzimage
    symbols = None if image is None else image.with_name(DEBUG_NAME)
    return symbols if symbols is not None and symbols.is_file() else None


def symbols_note(plan: LabPlan, node: str) -> str:
    """What to say where there are no symbols."""
    return (
        f"no symbols: the cache does not keep those of kernel {plan.node(node).kernel} (a ready image, or built "
        "before they were kept); give gdb the vmlinux of its build"
    )
