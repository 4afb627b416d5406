# SPDX-License-Identifier: GPL-2.0-only
"""Whether this machine's KVM really runs a guest kernel.

/dev/kvm that opens is no proof: on some machines it opens, makes VMs and vCPUs, and still cannot run a stock
kernel. So the lab's own guest kernel and image are booted, and its probe must speak.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.adapters.keys import make_key_pair
from lab.artifacts.initrd import write_initrd
from lab.plan.arch import guest_arch
from lab.plan.domainxml import PROBE_PORT

#: A guest speaks within 2 s where KVM works; a machine that emulates instructions one by one never gets there.
_TIMEOUT_S = 30
#: The verdict stands until the machine boots again, so one guest that dies without a word does not decide it.
_ATTEMPTS = 2
_KVM_DEVICE = Path("/dev/kvm")
_POLL_S = 0.05


@dataclass(frozen=True)
class KvmVerdict:
    """`seconds` is how long the probe took to speak, or to be given up; `fingerprint` what it was found on."""

    usable: bool
    reason: str
    seconds: float
    fingerprint: str


@dataclass(frozen=True)
class ProbeGuest:
    """What is booted: files on this machine."""

    emulator: str
    kernel: Path
    root_image: Path
    init_binary: Path


def refused_at_once() -> KvmVerdict | None:
    """A verdict that needs no guest: there is no KVM at all, or this user may not use it."""
    if not _KVM_DEVICE.exists():
        return KvmVerdict(False, f"{_KVM_DEVICE} does not exist", 0.0, "")
    if not os.access(_KVM_DEVICE, os.R_OK | os.W_OK):
        return KvmVerdict(
            False, f"{_KVM_DEVICE} cannot be opened for reading and writing by this user", 0.0, ""
        )
    return None


def probe_kvm(guest: ProbeGuest, cache: Path) -> KvmVerdict:
    """Boot `guest` under KVM, unless `cache` holds a verdict for this very machine, kernel and guest."""
    fingerprint = _fingerprint(guest)
    known = read_verdict(cache)
    if known is not None and known.fingerprint == fingerprint:
        return known
    verdict = _boot(guest, fingerprint)
    cache.parent.mkdir(parents=True, exist_ok=True)
    cache.write_text(json.dumps(asdict(verdict), indent=2) + "\n")
    return verdict


def _fingerprint(guest: ProbeGuest) -> str:
    files = (guest.kernel, guest.root_image, guest.init_binary)
    return " ".join([_boot_id(), platform.release(), platform.machine(), guest.emulator, *map(str, files)])


def read_verdict(cache: Path) -> KvmVerdict | None:
    """The last verdict, whatever guest it was found with; None where there is none of this boot of the machine."""
    try:
        verdict = KvmVerdict(**json.loads(cache.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return verdict if verdict.fingerprint.startswith(_boot_id()) else None


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass(frozen=True)
class _Failure:
    """`silent` where QEMU ended and said nothing, as after a triple fault or a panic in the guest."""

    reason: str
    silent: bool = False


def _boot(guest: ProbeGuest, fingerprint: str) -> KvmVerdict:
    started = time.monotonic()
    failure = _boot_patiently(guest)
    seconds = round(time.monotonic() - started, 1)
    if failure is None:
        return KvmVerdict(
            True, f"the lab's guest kernel booted under KVM in {seconds} s", seconds, fingerprint
        )
    reason = f"/dev/kvm opens, but the lab's guest kernel does not boot: {failure.reason}"
    return KvmVerdict(False, reason, seconds, fingerprint)


def _boot_patiently(guest: ProbeGuest) -> _Failure | None:
    failure = None
    for _ in range(_ATTEMPTS):
        with tempfile.TemporaryDirectory(prefix="lab-kvm-probe-") as name:
            failure = _wait_for_probe(guest, Path(name))
        if failure is None or not failure.silent:
            break
    return failure


def _wait_for_probe(guest: ProbeGuest, directory: Path) -> _Failure | None:
    said, errors = directory / "port", directory / "stderr"
    with _running(_command(guest, directory), errors) as child:
        deadline = time.monotonic() + _TIMEOUT_S
        while time.monotonic() < deadline:
            if said.exists() and b"\n" in said.read_bytes():
                return None
            ended = child.poll() is not None
            complaint = errors.read_text(errors="replace").strip()
            if "KVM internal error" in complaint or (ended and complaint):
                return _Failure(complaint.splitlines()[0])
            if ended:
                return _Failure(f"QEMU ended with status {child.poll()}{_last_words(directory)}", silent=True)
            time.sleep(_POLL_S)
    return _Failure(f"its probe did not speak within {_TIMEOUT_S} s{_last_words(directory)}")


def _last_words(directory: Path) -> str:
    """The last line on the guest's console, as the end of a sentence; nothing where there is none."""
    console = directory / "console"
    lines = console.read_text(errors="replace").split("\n") if console.exists() else []
    words = [line.strip() for line in lines if line.strip()]
    return f"; its console ends: {words[-1]}" if words else ""


@contextmanager
def _running(argv: Sequence[str], errors: Path) -> Iterator[subprocess.Popen[bytes]]:
    with errors.open("wb") as sink:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def _command(guest: ProbeGuest, directory: Path) -> Sequence[str]:
    initrd = directory / "initrd"
    # Its sshd starts before its probe, as in any guest, and wants a host key; nobody logs in.
    seed = {"authorized_keys": b"", "ssh_host_ed25519_key": make_key_pair().private}
    write_initrd(initrd, guest.init_binary, seed)
    arch = guest_arch(platform.machine())
    return [
        *(
            guest.emulator,
            "-machine",
            arch.machine,
            "-accel",
            "kvm",
            "-cpu",
            "host",
            "-smp",
            "1",
            "-m",
            "256",
        ),
        *("-kernel", str(guest.kernel), "-initrd", str(initrd)),
        *("-append", f"{arch.cmdline} lab.name=probe lab.interval_ms=100"),
        *("-nodefaults", "-display", "none", "-no-reboot"),
        *("-drive", f"if=none,id=root,format=raw,readonly=on,file={guest.root_image}"),
        *("-device", "virtio-blk-pci,drive=root", "-device", "virtio-serial-pci"),
        *(
            "-chardev",
            f"file,id=console,path={directory / 'console'}",
            "-device",
            "virtconsole,chardev=console",
        ),
        *("-chardev", f"file,id=port,path={directory / 'port'}"),
        *("-device", f"virtserialport,chardev=port,name={PROBE_PORT}"),
    ]
