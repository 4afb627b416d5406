# SPDX-License-Identifier: GPL-2.0-only
"""Frames of call traces to files and lines, by a kernel in the cache or a vmlinux that somebody names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.artifacts.kernels import DEBUG_NAME
from lab.artifacts.ports import Commands
from lab.errors import InputError
from lab.measure.consolefindings import Frame
from lab.measure.findings import Finding
from lab.measure.symbols import SymbolTable, lookup_address, parse_addr2line, parse_symbols

_NM_TIMEOUT_S = 120
_ADDR2LINE_TIMEOUT_S = 300


@dataclass(frozen=True)
class Decoder:
    """One kernel: its symbols, and the ELF file that may have debug information."""

    commands: Commands
    symbols: SymbolTable
    elf: Path | None

    def decode(self, findings: Iterable[Finding]) -> Mapping[str, str]:
        """File and line by the text of each frame, as far as the kernel tells."""
        wanted = dict(pair for finding in findings for pair in self._addresses(finding))
        if not wanted or self.elf is None:
            return {}
        lines = self._lines(sorted(set(wanted.values())))
        return {text: lines[address] for text, address in wanted.items() if address in lines}

    def _addresses(self, finding: Finding) -> Iterable[tuple[str, int]]:
        report = finding.report
        frames: list[Frame] = [*report.trace, *([report.ip] if report.ip is not None else [])]
        for frame in frames:
            address = self.symbols.address_of(frame)
            if address is not None:
                yield str(frame), lookup_address(address, frame, report.ip)

    def _lines(self, addresses: list[int]) -> dict[int, str]:
        assert self.elf is not None
        options = ["-f", "-i", "-a", *(f"{one:#x}" for one in addresses)]
        words = ["addr2line", "-e", str(self.elf), *options]
        output = self.commands.output(words, what=f"decoding by {self.elf}", timeout_s=_ADDR2LINE_TIMEOUT_S)
        return parse_addr2line(output)


def open_kept_decoder(commands: Commands, entry: Path) -> Decoder | None:
    """The decoder of a kernel's entry in the cache; None where that has no symbols."""
    system_map, elf = entry / "System.map", entry / DEBUG_NAME
    if not system_map.is_file():
        return None
    return Decoder(commands, parse_symbols(system_map.read_text()), elf if elf.is_file() else None)


def open_vmlinux_decoder(commands: Commands, vmlinux: Path) -> Decoder:
    """The decoder of a vmlinux that has its symbols. Raises InputError where it has none, or is no such file."""
    if not vmlinux.is_file():
        raise InputError(f"{vmlinux}: there is no such file")
    text = commands.output(["nm", vmlinux], what=f"reading symbols of {vmlinux}", timeout_s=_NM_TIMEOUT_S)
    symbols = parse_symbols(text)
    if not symbols.functions:
        raise InputError(f"{vmlinux}: has no symbols", "name the vmlinux of the build, not a stripped copy")
    return Decoder(commands, symbols, vmlinux)
