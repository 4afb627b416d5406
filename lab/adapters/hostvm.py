# SPDX-License-Identifier: GPL-2.0-only
"""The host VM: a machine of the lab's own with real KVM, where this machine has none that works.

It runs under this machine's libvirt, under KVM where nesting works and otherwise under QEMU's TCG, which
emulates AMD SVM. It is reached by ssh over loopback only, its disk is a read-only image (so nothing of it
outlives it), and its state is saved once it is ready: later starts restore that state.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from lab.adapters.keys import make_key_pair
from lab.adapters.libvirt import LibvirtHypervisor
from lab.artifacts.initrd import write_initrd
from lab.errors import HostLost, LabFailure
from lab.plan.domainxml import METADATA_URI
from lab.run.ports import Narrator
from lab.secretfile import write_secret

#: Address of the host VM in QEMU's user network, whose router is 10.0.2.2 (QEMU's documentation, -netdev user).
_ADDRESS = "10.0.2.15/24"
_READY = "lab-host: ready"
_BOOT_TIMEOUT_S = 180
_START_ATTEMPTS = 3
_TAIL_LINES = 30
#: A socket's path may have 107 bytes (unix(7)), and ssh appends 17 while it makes one.
_LONGEST_CONTROL_PATH = 90


#: Guests here run no guests of their own, and what KVM takes from the CPU for such (virtual GIF, virtual VMLOAD and
#: VMSAVE) is more emulation to go wrong. Polling for the wake-up of a halted vCPU takes CPU time that is the
#: emulator's, outside. khugepaged ran beside guests for up to a third of a pCPU after their start, and after an
#: hour of guests coming and going it never left its CPU again (soft lockup, 6.12.117 under QEMU 11.1.3).
KERNEL_OPTIONS = "kvm_amd.nested=0 kvm_amd.vgif=0 kvm_amd.vls=0 kvm.halt_poll_ns=0 transparent_hugepage=never"


@dataclass(frozen=True)
class HostVmParts:
    """Everything a host VM is made of, and its shape. `accelerator` is `kvm` or `qemu` (TCG)."""

    emulator: str
    kernel: str
    image: str
    init_binary: str
    probe: str
    accelerator: str
    vcpus: int
    memory_mib: int
    #: Part of the kernel's command line: a saved state of another one is another machine.
    kernel_options: str = KERNEL_OPTIONS


@dataclass(frozen=True)
class HostVmStatus:
    """A host VM as last seen. `port` is None where it does not run."""

    name: str
    running: bool
    port: int | None
    saved: bool


class HostVm:
    """The one host VM of a state directory. Every method may be called at any time from any process."""

    def __init__(self, directory: Path, narrator: Narrator) -> None:
        self.directory = directory
        self._narrator = narrator
        directory.mkdir(parents=True, exist_ok=True)

    @property
    def name(self) -> str:
        """The name of its domain: one per state directory and user."""
        return f"lab-host-{_short_hash(str(self.directory.resolve()))}"

    @property
    def ssh_config(self) -> Path:
        """An ssh configuration file in which the host `lab-host` is this VM."""
        return self.directory / "ssh_config"

    @property
    def console_log(self) -> Path:
        """What the VM's console said since it was started."""
        return self.directory / "console.log"

    @property
    def pid_file(self) -> Path:
        """Where libvirt keeps the pid of the VM's emulator."""
        return Path("/run/libvirt/qemu") / f"{self.name}.pid"

    @property
    def _control_path(self) -> str:
        """Where ssh keeps the socket of the connection that all its clients share."""
        path = str(self.directory.resolve() / "ssh")
        return path if len(path) <= _LONGEST_CONTROL_PATH else "none"

    def ensure_up(self, parts: HostVmParts) -> None:
        """Have it running: take a running one, else restore the saved state, else boot.

        A running one is not asked whether it answers: whoever connects next finds out, and calls `restart`.
        A VM that is lost while it starts is started again a bounded number of times. Raises HostLost.
        """
        with self._locked():
            if self._read_state().get("parts") != asdict(parts) or not self.is_running():
                self._restart(parts)

    def restart(self, parts: HostVmParts) -> None:
        """End it, whatever state it is in, and have it running again. Raises HostLost."""
        with self._locked():
            self._restart(parts)

    def _restart(self, parts: HostVmParts) -> None:
        self._end()
        self._start_patiently(parts)

    def _start_patiently(self, parts: HostVmParts) -> None:
        for attempt in range(1, _START_ATTEMPTS + 1):
            try:
                self._start(parts)
                return
            except (HostLost, LabFailure) as error:
                self._end()
                self._forget_saved()
                if attempt == _START_ATTEMPTS:
                    raise HostLost(
                        f"the host VM did not start in {attempt} attempts: {error.message}"
                    ) from None
                self._narrator.say(f"host VM lost while starting ({error.message.splitlines()[0]}), again")

    def _start(self, parts: HostVmParts) -> None:
        started = time.monotonic()
        if self._saved_state(parts).exists():
            self._restore(parts)
            how = "restored"
        else:
            self._boot(parts)
            how = "booted"
            if self._saved(parts):
                self._restore(parts)
                how = "booted, saved and restored"
        self._narrator.say(f"host VM {how} in {time.monotonic() - started:.1f} s")

    def _boot(self, parts: HostVmParts) -> None:
        self._narrator.say("booting the host VM")
        self._write_identity(parts)
        self._write_state(parts, _free_port())
        with self._libvirt() as libvirt:
            libvirt.create_domain(self._xml(parts))
        self._wait("its console to say it is ready", lambda: _READY in self._console())
        self._wait("ssh to answer", self._answers)
        # libvirt asks QEMU what it can do once and keeps the answer, which the saved state then holds.
        self._ssh("virsh -q domcapabilities --virttype kvm >/dev/null")

    def _saved(self, parts: HostVmParts) -> bool:
        try:
            self._save(parts)
        except HostLost:
            raise
        except LabFailure as error:  # it still runs: only the next start will take longer
            self._narrator.say(error.message)
            with self._libvirt() as libvirt:
                libvirt.monitor(self.name, "cont")
            return False
        return True

    def _save(self, parts: HostVmParts) -> None:
        """Write its state to a file and end it.

        By QEMU's own monitor: an older libvirt's save speaks a dialect that a newer QEMU no longer knows.
        """
        self._narrator.say("saving the host VM's state")
        self._leave()
        part = self._saved_state(parts).with_suffix(".part")
        write_secret(part, b"")
        owner = Path(f"/proc/{self.pid_file.read_text().strip()}").stat()
        os.chown(part, owner.st_uid, owner.st_gid)  # QEMU runs as a user of its own, and writes it
        with self._libvirt() as libvirt:
            libvirt.monitor(self.name, "stop")
            libvirt.monitor(self.name, "migrate", uri=f"file:{part}")
            self._wait("its state to be saved", lambda: self._is_saved(libvirt))
            libvirt.destroy_domain(self.name)
        part.rename(self._saved_state(parts))

    def _is_saved(self, libvirt: LibvirtHypervisor) -> bool:
        state = libvirt.monitor(self.name, "query-migrate").get("status")
        if state == "failed":
            raise LabFailure("the host VM's state cannot be saved: QEMU's migration to a file failed")
        return bool(state == "completed")

    def _restore(self, parts: HostVmParts) -> None:
        self._write_state(parts, _free_port())
        with self._libvirt() as libvirt:
            libvirt.create_domain(self._xml(parts, incoming=str(self._saved_state(parts))))
        self._wait("ssh to answer", self._answers)

    def down(self) -> bool:
        """End it; False if it did not run. The saved state stays."""
        with self._locked():
            return self._end()

    def _end(self) -> bool:
        self._leave()
        with self._libvirt() as libvirt:
            ended = libvirt.destroy_domain(self.name)
        with suppress(FileNotFoundError):
            (self.directory / "state.json").unlink()
        return ended

    def is_running(self) -> bool:
        """Whether its emulator runs."""
        with self._libvirt() as libvirt:
            return self.name in libvirt.domains()

    def status(self) -> HostVmStatus:
        """What can be seen of it without starting anything."""
        running = self.is_running()
        port = self._port() if running else None
        saved = any(self.directory.glob("saved-*.state"))
        return HostVmStatus(self.name, running, port, saved)

    def console_tail(self) -> str:
        """The last lines of its console."""
        return "\n".join(self._console().splitlines()[-_TAIL_LINES:])

    # what it is made of

    def _write_identity(self, parts: HostVmParts) -> None:
        user, host = make_key_pair(), make_key_pair()
        write_secret(self.directory / "key", user.private)
        (self.directory / "host_key.pub").write_text(host.public)
        seed = {"authorized_keys": user.public.encode() + b"\n", "ssh_host_ed25519_key": host.private}
        if parts.accelerator == "qemu":
            seed["emulated"] = b""
        initrd = self.directory / "initrd"
        write_initrd(initrd, Path(parts.init_binary), seed)

    def _write_state(self, parts: HostVmParts, port: int) -> None:
        public = (self.directory / "host_key.pub").read_text().strip()
        (self.directory / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}\n")
        self.ssh_config.write_text(
            f"Host lab-host\n  HostName 127.0.0.1\n  Port {port}\n  User root\n"
            f"  IdentityFile {self.directory / 'key'}\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {self.directory / 'known_hosts'}\n  StrictHostKeyChecking yes\n"
            # One connection for everything that ssh does with it: a key exchange costs most of what reaching an
            # emulated machine costs. It notices within half a minute that the other end is gone.
            f"  ControlMaster auto\n  ControlPath {self._control_path}\n  ControlPersist 600\n"
            "  ServerAliveInterval 5\n  ServerAliveCountMax 6\n  LogLevel ERROR\n"
        )
        state = {"parts": asdict(parts), "port": port}
        (self.directory / "state.json").write_text(json.dumps(state, indent=2) + "\n")

    def _read_state(self) -> Mapping[str, Any]:
        try:
            state = json.loads((self.directory / "state.json").read_text())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def _port(self) -> int:
        return int(self._read_state().get("port", 0))

    def _saved_state(self, parts: HostVmParts) -> Path:
        # The key pair is part of what was saved: a state whose keys were lost cannot be reached.
        key = self.directory / "host_key.pub"
        identity = key.read_text() if key.exists() else ""
        text = json.dumps(asdict(parts), sort_keys=True) + identity
        return self.directory / f"saved-{_short_hash(text)}.state"

    def _forget_saved(self) -> None:
        for path in self.directory.glob("saved-*"):
            path.unlink(missing_ok=True)

    def _xml(self, parts: HostVmParts, incoming: str | None = None) -> str:
        environment = Environment(
            loader=PackageLoader("lab.adapters"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        return environment.get_template("host-vm.xml.j2").render(
            **asdict(parts),
            name=self.name,
            metadata_uri=METADATA_URI,
            lab_id="host",
            initrd=str(self.directory / "initrd"),
            cmdline=_cmdline(parts),
            cpu_mode="host-passthrough" if parts.accelerator == "kvm" else "maximum",
            console_log=str(self.console_log),
            port=self._port(),
            incoming=incoming,
        )

    # reaching it

    def _ssh(self, command: str, timeout_s: float = 120) -> bool:
        argv = [
            "ssh",
            "-F",
            str(self.ssh_config),
            "-o",
            "BatchMode=yes",
            "-o",
            "ConnectTimeout=5",
            "lab-host",
            command,
        ]
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout_s,
                check=False,
                start_new_session=True,  # Ctrl-C in the terminal is for the lab to handle, in order
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def _leave(self) -> None:
        """End the shared connection: one to a machine that is stopped keeps whoever uses it waiting."""
        if self.ssh_config.exists():
            leave = ["ssh", "-F", str(self.ssh_config), "-O", "exit", "lab-host"]
            with suppress(subprocess.TimeoutExpired):
                subprocess.run(leave, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)

    def _answers(self) -> bool:
        return self.ssh_config.exists() and self._port() != 0 and self._ssh("true", timeout_s=20)

    def _console(self) -> str:
        try:
            return self.console_log.read_text(errors="replace")
        except OSError:
            return ""

    def _wait(self, what: str, done: Any) -> None:
        waiting = Retrying(
            retry=retry_if_result(lambda happened: not happened),
            stop=stop_after_delay(_BOOT_TIMEOUT_S),
            wait=wait_fixed(0.1),
        )
        try:
            waiting(self._unless_dead, done)
        except RetryError:
            raise HostLost(
                f"the host VM: waited {_BOOT_TIMEOUT_S} s for {what}; its console ends:\n{self.console_tail()}"
            ) from None

    def _unless_dead(self, done: Any) -> bool:
        if done():
            return True
        if not self.is_running():
            raise HostLost(f"the host VM died; its console ends:\n{self.console_tail()}")
        return False

    @contextmanager
    def _libvirt(self) -> Iterator[LibvirtHypervisor]:
        libvirt = LibvirtHypervisor("qemu:///system")
        try:
            yield libvirt
        finally:
            libvirt.close()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _cmdline(parts: HostVmParts) -> str:
    words = ["console=hvc0", "loglevel=5", "printk.time=1", "panic=-1"]
    words += [f"lab.ip={_ADDRESS}", "lab.role=host", "lab.name=lab-host"]
    words.append(parts.kernel_options)
    if parts.accelerator == "qemu":
        # The TSC under TCG is this machine's own. Calibrating it in an emulated machine under load goes wrong by
        # per cents, and KVM then refuses or rescales every guest's clock.
        words += ["tsc=reliable", f"tsc_early_khz={_tsc_khz(parts.probe)}", "no_timer_check"]
    return " ".join(words)


def _tsc_khz(probe: str) -> int:
    done = subprocess.run([probe, "tsc"], capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        raise LabFailure(f"`{shlex.join([probe, 'tsc'])}` failed: {done.stderr.strip()}")
    return int(done.stdout)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _short_hash(text: str) -> str:
    return hashlib.sha256(f"{os.getuid()} {text}".encode()).hexdigest()[:8]
