# SPDX-License-Identifier: GPL-2.0-only
"""The KVM probe, with a program in place of QEMU: what it is given, what it may do, and what comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.adapters.kvmprobe import ProbeGuest, probe_kvm, read_verdict

#: Finds the paths among QEMU's arguments, counts its starts, and goes on as a test says.
_EMULATOR = """#!/bin/sh
for word; do
    case $word in
    file,id=port,path=*) port=${word#*path=} ;;
    file,id=console,path=*) console=${word#*path=} ;;
    */initrd) initrd=$word ;;
    esac
done
echo start >>"$(dirname "$0")/starts"
starts=$(wc -l <"$(dirname "$0")/starts")
"""
_SPEAKS = 'echo "pvprobe 1" >"$port"; exec sleep 30\n'
_DIES = 'printf "early\\r\\nlab-init: fatal\\r\\n\\r\\n" >"$console"\n'


class Bench:
    """A guest whose emulator is a shell script."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.cache = directory / "state" / "verdict.json"
        for name in ("vmlinux", "root.erofs", "init"):
            (directory / name).write_bytes(b"")

    def guest(self, script: str) -> ProbeGuest:
        emulator = self.directory / "qemu"
        emulator.write_text(_EMULATOR + script)
        emulator.chmod(0o755)
        paths = (self.directory / name for name in ("vmlinux", "root.erofs", "init"))
        return ProbeGuest(str(emulator), *paths)

    @property
    def starts(self) -> int:
        return len((self.directory / "starts").read_text().splitlines())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_guest_that_speaks_means_usable_and_is_not_booted_again(bench: Bench) -> None:
    verdict = probe_kvm(bench.guest(_SPEAKS), bench.cache)
    assert verdict.usable
    assert probe_kvm(bench.guest(_SPEAKS), bench.cache) == verdict == read_verdict(bench.cache)
    assert bench.starts == 1


def test_the_guest_is_given_what_its_sshd_needs(bench: Bench) -> None:
    needs = 'grep -q "OPENSSH PRIVATE KEY" "$initrd" && grep -q seed/authorized_keys "$initrd" || exit 1\n'
    assert probe_kvm(bench.guest(needs + _SPEAKS), bench.cache).usable


def test_one_guest_that_dies_in_silence_decides_nothing(bench: Bench) -> None:
    script = f'if [ "$starts" = 1 ]; then {_DIES}exit 0; fi\n{_SPEAKS}'
    assert probe_kvm(bench.guest(script), bench.cache).usable
    assert bench.starts == 2


def test_a_guest_that_always_dies_is_told_of_by_its_last_words(bench: Bench) -> None:
    verdict = probe_kvm(bench.guest(_DIES), bench.cache)
    assert not verdict.usable
    assert verdict.reason.endswith("QEMU ended with status 0; its console ends: lab-init: fatal")
    assert bench.starts == 2


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo KVM internal error. Suberror: 1 >&2; exec sleep 30\n", "KVM internal error. Suberror: 1"),
        ("echo Could not access KVM kernel module >&2; exit 1\n", "Could not access KVM kernel module"),
    ],
)
def test_what_the_emulator_complains_of_is_final(bench: Bench, script: str, reason: str) -> None:
    verdict = probe_kvm(bench.guest(script), bench.cache)
    assert not verdict.usable
    assert verdict.reason.endswith(reason)
    assert bench.starts == 1
