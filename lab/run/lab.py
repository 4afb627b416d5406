# SPDX-License-Identifier: GPL-2.0-only
"""A lab: its record, its network, its guests, and the shells into them. Made in order, ended in reverse."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol, TypeVar

from lab.errors import HostLost, LabError, Lost
from lab.measure.snapshots import COMMANDS, ONLOOKER, ONLOOKER_LINK
from lab.plan.domainxml import render_network_xml
from lab.plan.knobs import registry_of
from lab.plan.labplan import HOST_SCOPE, LabPlan, render_plan_json
from lab.run.boot import Boot, BootWish, GuestFiles, GuestKeys, stage_guests, write_guests
from lab.run.events import Journal
from lab.run.hogends import end_hogs, hog_directory
from lab.run.kernelfiles import kernel_table
from lab.run.knobclaims import HostClaims
from lab.run.knobjournal import KnobJournal
from lab.run.knobmachines import Machines, host_machine, machines_of
from lab.run.knobrestore import Restored, restore_entries
from lab.run.knobs import KnobDriver
from lab.run.leases import check_leases, leases_locked
from lab.run.ports import Host, Launch, Narrator
from lab.run.records import LabRecord, LabRecords, LabState, ProcessName
from lab.run.shells import GuestShells
from lab.run.tracectl import end_recorders
from lab.run.watch import Watch, tail_or_nothing
from lab.secretfile import write_secret

_FILE_TIMEOUT_S = 60
_PATIENCE_S = 0.2
_WATCH_S = 0.01
_Result = TypeVar("_Result")


class KeyMaker(Protocol):
    """Makes the lab's keys."""

    def __call__(self) -> tuple[bytes, str]:
        """A private key file's bytes and the public key's line."""


@dataclass(frozen=True)
class Lab:
    """A lab whose guests are up."""

    plan: LabPlan
    host: Host
    record: LabRecord
    directory: Path
    boot: Boot
    watch: Watch
    journal: Journal
    shells: GuestShells
    knobs: KnobDriver
    uninterrupted: Callable[[], AbstractContextManager[None]] = nullcontext
    #: Which entries of the cache it is made of (Launch.keys).
    made_of: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    #: How much the host's console had said before.
    host_console_bytes: int = 0

    @property
    def files(self) -> Mapping[str, GuestFiles]:
        """Every guest's files as it was last started."""
        return self.boot.guests

    def start_anew(self, changes: Mapping[str, Mapping[str, str]]) -> None:
        """Start guests anew with parameters of their command lines changed, by guest (lab.plan.cmdline).

        Loads that ran in them have ended, and knobs are as the kernel has them. Raises GuestLost or BootTimeout
        where one does not come up again, and GuestLost where another dies meanwhile.
        """
        self._restart(changes, lambda: self.boot.run_anew(changes))

    def boot_as_wished(self, wanted: Mapping[str, BootWish]) -> tuple[str, ...]:
        """Start those guests anew that do not run what is wished; their names. Raises as `start_anew`."""
        changes = self.boot.differing(wanted)
        if changes:
            self._restart(changes, lambda: self.boot.run_wished(changes))
        return tuple(changes)

    def revive(self, names: Sequence[str]) -> None:
        """Start guests that died once more. Raises as `start_anew`."""
        self._restart(names, lambda: self.boot.revive(names))

    def _restart(self, names: Iterable[str], restart: Callable[[], None]) -> None:
        for name in names:
            self.shells.drop(name)
        try:
            restart()
        finally:
            write_guests(self.directory, self.files)

    def console_tail(self, node: str) -> str:
        """The last lines of a guest's console; empty where it cannot be read."""
        return read_console_tail(self.host, self.files[node].paths.console_log)

    def everywhere(self, names: list[str], work: Callable[[str], _Result]) -> list[_Result]:
        """`work` for every node name, at the same time.

        Raises GuestLost or HostLost as soon as something dies: a dead guest answers no command, and the
        command would wait for its deadline.
        """
        with ThreadPoolExecutor(max(1, len(names))) as pool:
            running = [pool.submit(work, name) for name in names]
            try:
                while wait(running, timeout=_PATIENCE_S).not_done:
                    self.watch.next_change(_WATCH_S)
                    self.watch.raise_deaths()
            except Lost:
                self.shells.close()  # whoever still waits for an answer gives up
                raise
            return [one.result() for one in running]


@dataclass(frozen=True)
class Surroundings:
    """What making a lab needs besides a plan."""

    records: LabRecords
    state_dir: Path
    launch: Launch
    make_keys: KeyMaker
    narrator: Narrator
    #: Entered around the ending of a lab: whoever can be interrupted holds interrupts back in it.
    uninterrupted: Callable[[], AbstractContextManager[None]] = nullcontext
    monotonic: Callable[[], float] = time.monotonic


def read_console_tail(host: Host, path: str) -> str:
    """The last lines of a console on the host."""
    command = f"tail -c 8192 {shlex.quote(path)}"
    return tail_or_nothing(lambda: host.shell.run(command, timeout_s=_FILE_TIMEOUT_S).stdout)


@contextmanager
def open_lab(host: Host, plan: LabPlan, around: Surroundings, journal: Journal) -> Iterator[Lab]:
    """A lab that ends with the context, whatever happens in it, unless `keep_lab` gave it to the user."""
    remote = f"{host.facts.store_dir}/labs/{plan.lab_id}"
    with leases_locked(around.state_dir):
        _end_left(host, around.records)
        check_leases(around.records, plan)
        record = around.records.create(plan, remote)
    try:
        with ExitStack() as stack:
            yield _make(host, plan, around, journal, record, stack)
    finally:
        kept = any(one.lab_id == record.lab_id and one.state is LabState.UP for one in around.records.all())
        if not kept:
            with around.uninterrupted():
                ended = end_lab(host, around.records, record)
            if not ended:
                around.narrator.say(
                    f"the connection to {record.where} was lost: `lab gc` ends {record.lab_id}"
                )


def _make(
    host: Host, plan: LabPlan, around: Surroundings, journal: Journal, record: LabRecord, stack: ExitStack
) -> Lab:
    local, remote = around.records.directory(plan.lab_id), record.remote_dir
    # QEMU's own user must pass through both; -m does not reach the parents that -p makes.
    hogs = [hog_directory(remote)] if plan.hogs else []
    passed = shlex.join([str(PurePosixPath(remote).parent), remote, *hogs])
    host.shell.run(f"mkdir -p -m 711 {passed}", timeout_s=_FILE_TIMEOUT_S)
    said = len(host.console())
    private, public = around.make_keys()
    key_file = local / "key"
    write_secret(key_file, private)
    keys = {node.name: GuestKeys(public, *around.make_keys()) for node in plan.nodes}
    with ThreadPoolExecutor(1) as pool:  # starting a network takes libvirt about as long as the files take
        network = pool.submit(host.hypervisor.create_network, render_network_xml(plan))
        files = stage_guests(host, plan, around.launch, keys, local, remote)
        kernels = kernel_table(host, plan, around.launch, remote)
        network.result()
    agent = stack.enter_context(host.start_agent(f"{remote}/host.stream", plan.measure.interval_ms))
    outer = stack.enter_context(host.start_outer(local / "outer.stream", plan.measure.interval_ms))

    def console_tail(name: str) -> str:
        return read_console_tail(host, boot.guests[name].paths.console_log)

    watch = Watch(agent, console_tail, outer, around.monotonic, emulated=host.facts.emulated)
    watch.own(COMMANDS, _pid_of_shell(host))
    for name, pid_file in zip((ONLOOKER, ONLOOKER_LINK), top_pid_files(remote), strict=True):
        watch.own(name, pid_file)
    boot = Boot(host, plan, files, watch, journal, around.narrator, console_tail, around.monotonic, kernels)
    boot.run()
    host_keys = {name: one.host_public for name, one in keys.items()}

    def note_retry(node: str, reason: str, attempt: int) -> None:
        journal.add(0, "retry", what=f"connection to guest {node}", reason=reason, attempt=attempt)

    shells = GuestShells(host, plan, key_file, host_keys, note_retry)
    stack.callback(shells.close)
    (local / "plan.json").write_text(render_plan_json(plan))
    (local / "host_keys").write_text("".join(f"{name} {key}\n" for name, key in host_keys.items()))
    write_guests(local, files)
    around.records.update(record, LabState.RUNNING)
    knobs = open_knobs(
        around.records, around.state_dir, record, plan, machines_of(host, remote, shells.__getitem__)
    )
    made_of = around.launch.keys
    return Lab(
        *(plan, host, record, local, boot, watch, journal, shells, knobs, around.uninterrupted, made_of),
        host_console_bytes=said,
    )


def top_pid_files(remote_dir: str) -> tuple[str, str]:
    """Where whoever looks on writes its process down, and the one that carries its connection; `remote_dir` is the
    lab's directory on the host."""
    return f"{remote_dir}/top.pid", f"{remote_dir}/top-link.pid"


def _pid_of_shell(host: Host) -> str:
    """The process on the host whose children the lab's commands there are."""
    return host.shell.run("echo $PPID", timeout_s=_FILE_TIMEOUT_S).stdout.strip()


def open_knobs(
    records: LabRecords,
    state_dir: Path,
    record: LabRecord,
    plan: LabPlan,
    machines: Machines,
    owner: ProcessName | None = None,
) -> KnobDriver:
    """What drives the knobs of a lab (KnobDriver)."""
    claims = HostClaims(records, state_dir, record.lab_id, record.where)
    journal = KnobJournal(records.directory(record.lab_id))
    return KnobDriver(journal, machines, registry_of(plan), claims, owner)


def keep_lab(around: Surroundings, lab: Lab) -> LabRecord:
    """Give the lab to the user: it stays until `lab down`."""
    return around.records.update(lab.record, LabState.UP)


def end_lab(host: Host | None, records: LabRecords, record: LabRecord) -> bool:
    """End exactly what the record names, and forget it. `host` is None where the host itself is gone.

    A domain or network of that name that carries another lab's id is left alone. False, and the record stays,
    where the connection to the host was lost: nobody knows then whether the host is gone or lives on.
    """
    if host is not None:
        records.update(record, LabState.ENDING)
        try:
            _end_on_host(host, records, record)
        except BaseException as error:
            records.update(record, LabState.LEFT)
            if isinstance(error, HostLost):
                return False
            raise
    records.remove(record)
    return True


def _end_left(host: Host, records: LabRecords) -> None:
    """End what could not be ended when the connection to this host was lost: it would contend with the new lab."""
    for record in records.all():
        if record.state is LabState.LEFT and record.where == host.facts.where:
            end_lab(host, records, record)


def _end_on_host(host: Host, records: LabRecords, record: LabRecord) -> None:
    domains, networks = host.hypervisor.domains(), host.hypervisor.networks()
    problems: list[LabError] = []
    for name in record.domains:
        if domains.get(name) == record.lab_id:
            _attempt(lambda name=name: host.hypervisor.destroy_domain(name), problems)  # type: ignore[misc]
    if networks.get(record.network) == record.lab_id:
        _attempt(lambda: host.hypervisor.destroy_network(record.network), problems)
    ended = _attempt(lambda: end_hogs(host, record), problems)
    ended = _attempt(lambda: end_recorders(host, record), problems) and ended
    if not _attempt(lambda: restore_host_knobs(host, records, record), problems) or not ended:
        raise problems[0]  # the lab's directory there is what a later attempt needs
    _attempt(
        lambda: host.shell.run(f"rm -rf {shlex.quote(record.remote_dir)}", timeout_s=_FILE_TIMEOUT_S),
        problems,
    )
    if problems:
        raise problems[0]


def restore_host_knobs(host: Host, records: LabRecords, record: LabRecord) -> tuple[Restored, ...]:
    """Bring back what a lab wrote to its host's knobs, by the journal. Raises KnobError after all was tried."""
    journal = KnobJournal(records.directory(record.lab_id))
    if not journal.open_entries(HOST_SCOPE):
        return ()
    with journal.locked() as opened:
        machine = host_machine(host, record.remote_dir)
        return restore_entries(machine, opened, opened.open_entries(HOST_SCOPE))


def _attempt(action: Callable[[], object], problems: list[LabError]) -> bool:
    try:
        action()
    except LabError as error:
        problems.append(error)
        return False
    return True
