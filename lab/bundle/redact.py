# SPDX-License-Identifier: GPL-2.0-only
"""Takes out of text what says whose machine it came from. Pure.

What goes: names of the machine and of its user, home directories and other private paths, addresses beyond loopback
and the lab's own network, hardware addresses that the lab did not make, keys, hosts reached by ssh, and of a host
that is not the lab's own the names of its processes (lab.bundle.pseudonyms). What stays as it is, because it is
hashed or is what the bundle is about: patches, config fragments, files of definitions, kernels.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from lab.plan.labplan import LabPlan

#: Names that many machines and users have; and words that kernels and the lab say themselves.
_COMMON = frozenset(
    (
        "root",
        "localhost",
        "user",
        "guest",
        "host",
        "lab",
        "debian",
        "linux",
        "kernel",
        "test",
        "vm",
        "node",
        "qemu",
    )
)
_PRIVATE_KEY = re.compile(
    rb"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----"
    rb"(?:.{0,16384}?-----END [A-Z ]{0,30}PRIVATE KEY-----|(?:\s+[A-Za-z0-9+/=]{16,})*)",
    re.DOTALL,
)
_PUBLIC_KEY = re.compile(
    rb"\b(ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-[a-z0-9-]+) AAAA[0-9A-Za-z+/=]+(?: [^\s\"']+@[^\s\"']+)?"
)
_SSH_HOST = re.compile(rb"ssh://[^\s/\"'<>]+")
_HOME = re.compile(rb"/(home|Users)/(?!USER\b)[^/\s\"':,;<>]+")
#: An entry of a cache of the lab's, wherever that lay when it was built.
_CACHE = re.compile(
    rb"(?<![\w.])/[^\s\"'=:,]{0,200}?/((?:kernel|source|probe|toolbox|[a-z-]+-image)/\.?[0-9a-f]{20}\b)"
)
_CCACHE = re.compile(rb"\b(CCACHE_DIR=)/[^\s\"']*")
_URI_HOST = re.compile(rb"\b((?:https?|ftp)://)[^\s/\"'<>]+")
_IPV4 = re.compile(rb"(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?![\w.-]*\w)")
#: Whatever may be one: what it is, is for a parser to say. Nothing in it can match in two ways.
_IPV6 = re.compile(
    rb"(?<![\w:.])(?=[0-9a-f]{0,4}:[0-9a-f]{0,4}:)[0-9a-f:]{3,39}(?![\w:])(?!\.\w)", re.IGNORECASE
)
_MAC = re.compile(rb"(?<![\w:])(?:[0-9a-f]{2}:){5}[0-9a-f]{2}(?![\w:])", re.IGNORECASE)
#: Where a checkout of the lab has its kernels.
_IMAGES = "/images/kernels/"
#: Hardware addresses that QEMU makes up.
_EMULATED_MAC = b"52:54:00:"


@dataclass(frozen=True)
class Secrets:
    """What must not be in a bundle. `machines` and `users` are names; `paths` maps directories to what they are
    called instead. Addresses in `networks` and hardware addresses `macs` are the lab's own, and stay."""

    machines: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    paths: Mapping[str, str] = field(default_factory=dict)
    networks: tuple[str, ...] = ()
    macs: frozenset[str] = frozenset()

    def of_plan(self, plan: LabPlan) -> Secrets:
        """These, with what a plan says: the ssh host, directories of the host and of kernels, its own network."""
        where = plan.host.where.removeprefix("ssh://") if plan.host.where.startswith("ssh://") else ""
        user, _, machine = where.rpartition("@")
        return Secrets(
            machines=(*self.machines, *_names([machine.partition(":")[0]])),
            users=(*self.users, *_names([user])),
            paths={**_kernel_paths(plan), plan.host.store_dir: "STORE", **self.paths},
            networks=(*self.networks, f"{plan.network.gateway}/{plan.network.prefix}"),
            macs=self.macs | {node.mac.lower() for node in plan.nodes},
        )


def _names(names: Iterable[str]) -> list[str]:
    return [name for name in names if name]


def _kernel_paths(plan: LabPlan) -> dict[str, str]:
    """Directories of kernels' inputs. Of trees and tarballs only where they lie is private."""
    found = [path for kernel in plan.kernels for path in (*kernel.patches, *kernel.fragments)]
    found += [kernel.source.value for kernel in plan.kernels if kernel.source.kind != "debian"]
    parents = {path.rpartition("/")[0] for path in found if path.startswith("/")}
    own = {parent.partition(_IMAGES)[0] for parent in parents if _IMAGES in parent}
    # A directory at the top, such as /tmp, is nobody's, and guests have it, too.
    private = {parent for parent in parents if _IMAGES not in parent and parent.count("/") > 1}
    return {**dict.fromkeys(own - {""}, "LAB"), **dict.fromkeys(private, "PATH")}


class Redactor:
    """Replaces secrets in bytes of text; `own_words` (names of nodes, phases, loads...) are never taken for names
    of machines or users."""

    def __init__(self, secrets: Secrets, own_words: Iterable[str] = ()) -> None:
        kept = _COMMON | {word.lower() for word in own_words}
        self._networks = [ipaddress.ip_network(one, strict=False) for one in secrets.networks]
        self._macs = secrets.macs
        self._steps: list[tuple[re.Pattern[bytes], bytes | Callable[[re.Match[bytes]], bytes]]] = [
            (_PRIVATE_KEY, b"PRIVATE-KEY"),
            (_PUBLIC_KEY, rb"\1 KEY"),
            (_SSH_HOST, b"ssh://user@host"),
            *_path_steps(secrets.paths),
            (_CACHE, rb"CACHE/\1"),
            (_CCACHE, rb"\1CACHE/ccache"),
            (_HOME, rb"/\1/USER"),
            (_URI_HOST, rb"\1HOST"),
            *_name_steps(secrets.machines, b"MACHINE", kept),
            *_name_steps(secrets.users, b"USER", kept),
            (_MAC, self._mac),
            (_IPV4, self._address),
            (_IPV6, self._address),
        ]

    def apply(self, data: bytes) -> bytes:
        """`data` without secrets."""
        for pattern, replacement in self._steps:
            data = pattern.sub(replacement, data)
        return data

    def apply_text(self, text: str) -> str:
        """The same of text."""
        return self.apply(text.encode(errors="surrogateescape")).decode(errors="surrogateescape")

    def _address(self, match: re.Match[bytes]) -> bytes:
        try:
            address = ipaddress.ip_address(match[0].decode())
        except ValueError:
            return match[0]
        if address.is_loopback or address.is_unspecified or int(address) == 0xFFFFFFFF:
            return match[0]
        if any(address in network for network in self._networks if network.version == address.version):
            return match[0]
        return b"ADDRESS"

    def _mac(self, match: re.Match[bytes]) -> bytes:
        mac = match[0].lower()
        own = mac.startswith(_EMULATED_MAC) or mac.decode() in self._macs
        return match[0] if own or mac in (b"00:00:00:00:00:00", b"ff:ff:ff:ff:ff:ff") else b"MAC"


def _path_steps(paths: Mapping[str, str]) -> list[tuple[re.Pattern[bytes], bytes]]:
    """The longest first: a state directory may lie below the home directory."""
    ordered = sorted(paths.items(), key=lambda pair: (-len(pair[0]), pair[0]))
    ends = rb"(?![\w.-])"
    return [
        (re.compile(rb"(?<![\w.])" + re.escape(path.encode()) + ends), name.encode())
        for path, name in ordered
        if path.strip("/")
    ]


def _name_steps(
    names: Iterable[str], replacement: bytes, kept: frozenset[str] | set[str]
) -> list[tuple[re.Pattern[bytes], bytes]]:
    wanted = sorted(
        {name for name in names if name and name.lower() not in kept}, key=lambda one: (-len(one), one)
    )
    return [
        (
            re.compile(rb"(?<![A-Za-z0-9])" + re.escape(name.encode()) + rb"(?![A-Za-z0-9])", re.IGNORECASE),
            replacement,
        )
        for name in wanted
    ]
