# SPDX-License-Identifier: GPL-2.0-only
"""From a plan to guests whose probes speak. Guests start in parallel; one that is lost is started again."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from pydantic import TypeAdapter

from lab.artifacts.initrd import render_initrd, render_seed
from lab.errors import BootTimeout, LabFailure, Lost
from lab.loads.model import SELFTEST_IMAGE
from lab.plan.cmdline import override_cmdline, read_parameter, words_of
from lab.plan.domainxml import GuestPaths, render_domain_xml, render_guest_cmdline
from lab.plan.labplan import LabPlan, NodePlan
from lab.run.events import Journal
from lab.run.kernelfiles import KernelFiles, KernelTable, booted_kernels, initrd_name
from lab.run.ports import Host, Launch, Narrator
from lab.run.watch import DELIVERY_S, Watch
from lab.secretfile import write_secret

#: Boots of one guest before the lab gives up: a guest is lost about once in 30 to 100 boots on a bad emulator.
BOOT_ATTEMPTS = 3
BOOT_TIMEOUT_S = 120
_PARALLEL_STARTS = 8
_FILE_TIMEOUT_S = 60


@dataclass(frozen=True)
class GuestKeys:
    """What a guest is given: who may log in, and the private key it presents; `host_public` is its public key."""

    authorized: str
    host_private: bytes
    host_public: str

    def seed(self) -> Mapping[str, bytes]:
        """The files that the guest's init puts in place."""
        return {
            "authorized_keys": self.authorized.encode() + b"\n",
            "ssh_host_ed25519_key": self.host_private,
        }


@dataclass(frozen=True)
class GuestFiles:
    """Paths of one guest on the host, its command line, and the name of its kernel where that is not the node's
    own; of its start number `boot`, counted from 0.

    Every start has a console and a stream of its own: what the guest said before it was started anew stays.
    """

    paths: GuestPaths
    pid_file: str
    stream: str
    boot: int = 0
    kernel: str = ""

    def parameter(self, name: str) -> str:
        """What its command line sets a parameter to (lab.plan.cmdline.read_parameter)."""
        return read_parameter(self.paths.cmdline, name)

    def of_next_boot(self, parameters: Mapping[str, str]) -> GuestFiles:
        """The same guest started once more with these parameters on its command line."""
        return self._next(
            replace(self.paths, cmdline=override_cmdline(self.paths.cmdline, parameters)), self.kernel
        )

    def with_kernel(self, name: str, kernel: KernelFiles, cmdline: str) -> GuestFiles:
        """The same guest started once more with the kernel called `name` and this command line."""
        return self._next(
            replace(self.paths, kernel=kernel.kernel, initrd=kernel.initrd, cmdline=cmdline), name
        )

    def _next(self, paths: GuestPaths, kernel: str) -> GuestFiles:
        number = self.boot + 1
        numbered = replace(
            paths,
            console_log=_numbered(paths.console_log, number),
            probe_socket=_numbered(paths.probe_socket, number),
        )
        return GuestFiles(numbered, self.pid_file, _numbered(self.stream, number), number, kernel)


@dataclass(frozen=True)
class BootWish:
    """What a guest is to be started with: a kernel by its name, and parameters on top of what the plan puts on its
    command line."""

    kernel: str
    parameters: Mapping[str, str]


def _numbered(path: str, number: int) -> str:
    """NODE.console of the first start, NODE.1.console of the second."""
    name = PurePosixPath(path)
    stem = name.stem if number == 1 else PurePosixPath(name.stem).stem
    return str(name.with_name(f"{stem}.{number}{name.suffix}"))


def stage_guests(
    host: Host, plan: LabPlan, launch: Launch, keys: Mapping[str, GuestKeys], local: Path, remote: str
) -> dict[str, GuestFiles]:
    """Put everything in place that the domains name. `local` and `remote` are the lab's directories.

    Guests share their initramfs but for the keys in it: those are a small archive of their own, appended on
    the host, where both are readable by nobody else. So are the modules of a kernel that has some.
    """
    base = local / "init.cpio"
    base.write_bytes(render_initrd(launch.init_binary.read_bytes(), {}))
    for name, key in keys.items():
        seed = local / f"{name}.seed"
        write_secret(seed, render_seed(key.seed()))
        host.shell.put(seed, f"{remote}/{name}.seed", 0o600)
    join = [f"cd {shlex.quote(remote)}", "umask 077"]
    for node, kernel in booted_kernels(plan):
        parts = [host.stage(base), f"{node.name}.seed", *map(host.stage, _archives(launch, node, kernel))]
        join.append(f"cat {shlex.join(parts)} >{initrd_name(node, kernel)}")
    host.shell.run(" && ".join(join), timeout_s=_FILE_TIMEOUT_S)
    return {node.name: _guest_files(host, plan, node, launch, remote) for node in plan.nodes}


def _archives(launch: Launch, node: NodePlan, kernel: str) -> Iterator[Path]:
    """What comes with a kernel."""
    if kernel in launch.modules:
        yield launch.modules[kernel]
    if node.image == SELFTEST_IMAGE and kernel in launch.selftests:
        yield launch.selftests[kernel]


def _guest_files(host: Host, plan: LabPlan, node: NodePlan, launch: Launch, remote: str) -> GuestFiles:
    paths = GuestPaths(
        kernel=host.stage(launch.kernels[node.kernel]),
        initrd=f"{remote}/{initrd_name(node, node.kernel)}",
        root_image=host.stage(launch.images.get(node.image, launch.root_image)),
        console_log=f"{remote}/{node.name}.console",
        probe_socket=f"{remote}/{node.name}.sock",
        cmdline=render_guest_cmdline(plan, node),
    )
    return GuestFiles(paths, f"/run/libvirt/qemu/{node.domain}.pid", f"{remote}/{node.name}.stream")


#: In the lab's own directory: what a guest has to be started anew with by somebody else, after `lab up`.
GUESTS_FILE = "guests.json"


def write_guests(directory: Path, guests: Mapping[str, GuestFiles]) -> None:
    """Write the guests' files down, at once or not at all."""
    part = directory / f"{GUESTS_FILE}.part"
    part.write_text(json.dumps({name: asdict(files) for name, files in guests.items()}, indent=1) + "\n")
    part.replace(directory / GUESTS_FILE)


def read_guests(directory: Path) -> dict[str, GuestFiles]:
    """What `write_guests` wrote. Raises LabFailure where it cannot be read."""
    path = directory / GUESTS_FILE
    try:
        return TypeAdapter(dict[str, GuestFiles]).validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise LabFailure(f"{path}: cannot be read: {error}") from None


class Boot:
    """Boots the guests of one lab, and starts them anew with another command line, or another of `kernels`."""

    def __init__(
        self,
        host: Host,
        plan: LabPlan,
        guests: Mapping[str, GuestFiles],
        watch: Watch,
        journal: Journal,
        narrator: Narrator,
        console_tail: Callable[[str], str],
        monotonic: Callable[[], float] = time.monotonic,
        kernels: KernelTable = MappingProxyType({}),
    ) -> None:
        self._host = host
        self._monotonic = monotonic
        self._kernels = kernels
        self._plan = plan
        self._guests = dict(guests)
        self._earlier: dict[str, list[GuestFiles]] = {}
        self._lost_consoles: dict[str, list[str]] = {}
        self._watch = watch
        self._journal = journal
        self._narrator = narrator
        self._console_tail = console_tail
        self._attempts = dict.fromkeys(guests, 0)
        self._created: dict[str, float] = {}

    @property
    def guests(self) -> Mapping[str, GuestFiles]:
        """The files of every guest as it was last started."""
        return self._guests

    def run(self) -> None:
        """Return when every guest's probe has spoken. Raises GuestLost or BootTimeout after the last attempt."""
        started = self._monotonic()
        self._boot(list(self._guests))
        self._narrator.say(f"{len(self._guests)} guests up in {self._monotonic() - started:.1f} s")

    def parameter(self, name: str, parameter: str) -> str:
        """What the command line of guest `name` sets a parameter to (lab.plan.cmdline.read_parameter)."""
        return self._guests[name].parameter(parameter)

    def watch(self, names: Iterable[str]) -> None:
        """Begin to watch guests that run already."""
        for name in names:
            files = self._guests[name]
            self._watch.guest(
                name, files.pid_file, files.paths.probe_socket, files.stream, files.paths.console_log
            )

    def run_anew(self, changes: Mapping[str, Mapping[str, str]]) -> None:
        """End guests and start them with parameters changed (by guest); return when their probes have spoken.

        Every one is written down before it ends: what its earlier start said ends there. Raises as `run`, and
        GuestLost where another guest dies meanwhile.
        """
        following = {name: self._guests[name].of_next_boot(one) for name, one in changes.items()}
        self._run_following(following, {_render_parameters(one) for one in changes.values()})

    def differing(self, wanted: Mapping[str, BootWish]) -> dict[str, BootWish]:
        """Those of `wanted` whose guests run another kernel or have another command line than is wished."""
        return {name: wish for name, wish in wanted.items() if not self._runs(name, wish)}

    def run_wished(self, wanted: Mapping[str, BootWish]) -> None:
        """The same for guests that are to boot another kernel, with a command line of its own."""
        following = {
            name: self._guests[name].with_kernel(
                wish.kernel, self._kernels[name, wish.kernel], self._cmdline(name, wish)
            )
            for name, wish in wanted.items()
        }
        self._run_following(following, {_render_wish(one) for one in wanted.values()})

    def revive(self, names: Iterable[str]) -> None:
        """Start guests that died once more with what they ran; return when their probes have spoken. Raises as
        `run_anew`."""
        started = self._monotonic()
        following = {name: self._guests[name].of_next_boot({}) for name in names}
        self._end(following)
        self._boot(list(following))
        self._narrator.say(f"{', '.join(following)} up again in {self._monotonic() - started:.1f} s")

    def kernel(self, name: str) -> str:
        """The name of the kernel that guest `name` was last started with."""
        return self._guests[name].kernel or self._plan.node(name).kernel

    def _runs(self, name: str, wish: BootWish) -> bool:
        same_words = sorted(words_of(self._guests[name].paths.cmdline)) == sorted(
            words_of(self._cmdline(name, wish))
        )
        return self.kernel(name) == wish.kernel and same_words

    def _cmdline(self, name: str, wish: BootWish) -> str:
        node = replace(self._plan.node(name), kernel=wish.kernel)
        return override_cmdline(render_guest_cmdline(self._plan, node), wish.parameters)

    def _run_following(self, following: Mapping[str, GuestFiles], why: Iterable[str]) -> None:
        started = self._monotonic()
        self._watch.sleep(DELIVERY_S)  # what was sampled until now is still on its way
        self._end(following)
        self._boot(list(following))
        seconds = self._monotonic() - started
        self._narrator.say(
            f"{', '.join(following)} started anew in {seconds:.1f} s: {'; '.join(sorted(why))}"
        )

    def _end(self, following: Mapping[str, GuestFiles]) -> None:
        """Write down that guests end, and end them, all at the same time: that takes half a second each."""
        for name, files in following.items():
            now_ns = self._watch.mark(f"restart {name}")
            kernel = files.kernel or self._plan.node(name).kernel
            self._journal.add(
                now_ns, "restart", node=name, boot=files.boot, cmdline=files.paths.cmdline, kernel=kernel
            )
            self._watch.drop(name)
            self._earlier.setdefault(name, []).append(self._guests[name])
            self._guests[name] = files
            self._attempts[name] = 0
        domains = [self._plan.node(name).domain for name in following]
        with ThreadPoolExecutor(_PARALLEL_STARTS) as pool:
            list(pool.map(self._host.hypervisor.destroy_domain, domains))

    def _boot(self, names: list[str]) -> None:
        self._start(names)
        while waiting := [name for name in names if not self._watch.is_ready(name)]:
            self._watch.next_change(0.5)
            self._note_ready(waiting)
            self._start(self._lost(waiting))
            self._watch.raise_deaths(apart_from=waiting)

    def _start(self, names: Iterable[str]) -> None:
        with ThreadPoolExecutor(_PARALLEL_STARTS) as pool:
            list(pool.map(self._start_one, names))

    def _start_one(self, name: str) -> None:
        self._attempts[name] += 1
        self._created[name] = self._monotonic()
        self._host.hypervisor.create_domain(self.domain_xml(name))
        self.watch([name])

    def domain_xml(self, name: str, files: GuestFiles | None = None) -> str:
        """The domain of `name` as it is given to libvirt; that of an earlier start by its files."""
        paths = (files or self._guests[name]).paths
        return render_domain_xml(self._plan, self._plan.node(name), paths)

    def starts(self, name: str) -> tuple[GuestFiles, ...]:
        """The files of every start of `name` that this object has seen to, in order."""
        return (*self._earlier.get(name, ()), self._guests[name])

    def _note_ready(self, waiting: Iterable[str]) -> None:
        for name in waiting:
            ready_ns = self._watch.ready_ns(name)
            if ready_ns is not None:
                seconds = round(self._monotonic() - self._created[name], 2)
                self._journal.add(ready_ns, "ready", node=name, boot_s=seconds)

    def _lost(self, waiting: list[str]) -> list[str]:
        return [name for name in waiting if self._end_if_lost(name)]

    def _end_if_lost(self, name: str) -> bool:
        lost = self._loss(name)
        if lost is None:
            return False
        if self._attempts[name] == BOOT_ATTEMPTS:
            raise type(lost)(f"{lost.message}\n(lost {BOOT_ATTEMPTS} times while booting)")
        self._keep_console(name)
        first = lost.message.splitlines()[0]
        self._narrator.say(f"{first}: booting it again")
        self._journal.add(
            0, "retry", what=f"boot of guest {name}", reason=first, attempt=self._attempts[name]
        )
        self._watch.drop(name)
        self._host.hypervisor.destroy_domain(self._plan.node(name).domain)
        return True

    def _keep_console(self, name: str) -> None:
        """The next boot writes the same file anew: what this one said would be gone."""
        kept = self._lost_consoles.setdefault(name, [])
        console = self._guests[name].paths.console_log
        copy = f"{console}.lost{len(kept) + 1}"
        command = shlex.join(["cp", "-f", console, copy])
        if self._host.shell.run(command, timeout_s=_FILE_TIMEOUT_S, check=False).status == 0:
            kept.append(copy)

    def lost_consoles(self, name: str) -> tuple[str, ...]:
        """What boots of `name` said that were lost, as files on the host, in order."""
        return tuple(self._lost_consoles.get(name, ()))

    def _loss(self, name: str) -> Lost | None:
        reason = self._watch.death(name)
        if reason is not None:
            self._watch.await_end(name)
            return self._watch.loss_of(name)(self._with_console(name, f"guest {name} {reason} while booting"))
        if self._monotonic() > self._created[name] + BOOT_TIMEOUT_S:
            late = f"guest {name}: its probe did not speak within {BOOT_TIMEOUT_S} s"
            return BootTimeout(self._with_console(name, late))
        return None

    def _with_console(self, name: str, what: str) -> str:
        return f"{what}; its console ends:\n{self._console_tail(name)}"


def _render_wish(wish: BootWish) -> str:
    more = _render_parameters(wish.parameters)
    return f"kernel {wish.kernel}{f', {more}' if more else ''}"


def _render_parameters(parameters: Mapping[str, str]) -> str:
    return " ".join(
        override_cmdline("", {name: raw}) or f"without {name}" for name, raw in parameters.items()
    )
