# SPDX-License-Identifier: GPL-2.0-only
"""`lab doctor`: what this machine can do, what is missing, and the command that mends it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.checkup import (
    Finding,
    State,
    check_disk,
    check_python,
    check_reach,
    check_tools,
    how_to_start_libvirt,
)
from lab.cli.desk import Desk, desk_of
from lab.cli.parameters import JsonOption
from lab.errors import ExitCode, HostError, LabError

if TYPE_CHECKING:
    from lab.adapters.kvmprobe import KvmVerdict
    from lab.wiring import Wiring

_PREPARE = "lab prepare topologies/quickstart.yaml"


def doctor(
    ctx: typer.Context,
    probe: Annotated[
        bool, typer.Option("--probe", help="Build what probing KVM needs, if it is not there, and probe.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Check what this machine can do.

    Says what is missing and the command that mends it, and where `auto` runs guests. Exits 3 where labs cannot
    run.
    """
    desk = desk_of(ctx)
    report = examine(desk, probe)
    if as_json:
        desk.print_json({**asdict(report), "ready": report.ready})
    else:
        desk.print(render_report(report))
    return ExitCode.PASSED if report.ready else ExitCode.HOST_UNFIT


@dataclass(frozen=True)
class Report:
    """Findings, and where `auto` runs: local or nested, None while KVM was not probed."""

    findings: tuple[Finding, ...]
    where: str | None
    reason: str

    @property
    def ready(self) -> bool:
        """Whether labs can run."""
        return not any(finding.state is State.PROBLEM for finding in self.findings)


def render_report(report: Report) -> str:
    """As text; each command that mends something is on a line of its own."""
    lines = []
    for finding in report.findings:
        lines.append(f"{finding.state.value:<8} {finding.name}: {finding.text}")
        lines += [f"         -> {finding.mend}"] if finding.mend else []
    ready = "labs can run" if report.ready else "labs cannot run before the problems above are mended"
    return (
        "\n".join([*lines, "", f"auto means {report.where or 'local or nested'}: {report.reason}", ready])
        + "\n"
    )


def examine(desk: Desk, probe: bool) -> Report:
    """Everything, looked at. Nothing is built without `probe`, and nothing is started but the probe's guest."""
    findings = [check_python(), check_libvirt(desk), check_tools()]
    findings += [*check_disk(desk.places), *check_reach(desk.places)]
    verdict, kvm = check_kvm(desk, probe)
    findings.append(kvm)
    if verdict is None or not verdict.usable:
        findings += check_host_vm(desk)
    return Report(tuple(findings), *_where(verdict))


def _where(verdict: KvmVerdict | None) -> tuple[str | None, str]:
    if verdict is None:
        return None, "the first `lab prepare` or `lab run` boots the lab's guest kernel to find out"
    return "local" if verdict.usable else "nested", verdict.reason


def check_libvirt(desk: Desk) -> Finding:
    """Whether this machine's libvirt answers: guests need it, and so does the host VM."""
    try:
        library, qemu = desk.wiring.local_libvirt_versions()
    except HostError as error:
        return Finding("libvirt", State.PROBLEM, error.message, how_to_start_libvirt())
    return Finding("libvirt", State.OK, f"{library} answers" + (f", with QEMU {qemu}" if qemu else ""))


def check_kvm(desk: Desk, probe: bool) -> tuple[KvmVerdict | None, Finding]:
    """Whether KVM here runs the lab's guests. Not an obstacle where it does not: there is the host VM."""
    from lab.adapters.kvmprobe import read_verdict, refused_at_once
    from lab.artifacts.builtonly import NotBuiltError

    verdict = refused_at_once()
    if verdict is None and probe:
        verdict = desk.wiring.kvm_verdict()
    if verdict is None:
        try:
            verdict = desk.wiring.only_built().kvm_verdict()
        except NotBuiltError:
            verdict = read_verdict(desk.places.kvm_verdict)
        except LabError as error:  # a tool that is missing is told of by check_tools
            return None, Finding("kvm", State.NOTE, f"not probed: {error.message.splitlines()[0]}", None)
    if verdict is None:
        text = "not probed yet: /dev/kvm opens, which proves nothing"
        return None, Finding("kvm", State.NOTE, text, "lab doctor --probe")
    return verdict, Finding("kvm", State.OK if verdict.usable else State.NOTE, verdict.reason)


def check_host_vm(desk: Desk) -> Iterator[Finding]:
    """What the host VM is made of, and whether it runs."""
    yield _parts(desk.wiring.only_built())
    try:
        seen = desk.wiring.host_vm.status()
    except HostError:
        return  # libvirt does not answer: told already
    saved = "a saved state to start from" if seen.saved else "no saved state yet"
    running = "running" if seen.running else "not running"
    yield Finding("host VM", State.OK if seen.running else State.NOTE, f"{running}, {saved}")


def _parts(wiring: Wiring) -> Finding:
    try:
        parts = wiring.host_vm_parts()
    except LabError as error:
        text = f"not all there: {error.message.splitlines()[0]}"
        return Finding("host VM's parts", State.NOTE, text, _PREPARE)
    return Finding("host VM's parts", State.OK, f"emulator {parts.emulator}, image {parts.image}")
