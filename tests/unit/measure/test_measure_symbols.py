# SPDX-License-Identifier: GPL-2.0-only
"""From frames to addresses, and from what addr2line says to files and lines."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from measuring import FakeEvent, World, plan_for

from lab.adapters.commands import ProcessCommands
from lab.artifacts.decoding import open_vmlinux_decoder
from lab.errors import InputError
from lab.measure.bootedkernels import booted_kernel
from lab.measure.consolefindings import parse_frame
from lab.measure.findings import RecordedConsole, collect_findings
from lab.measure.symbols import parse_addr2line, parse_symbols

MAP = """\
ffffffff81000000 T _text
ffffffff81000100 t twice
ffffffff81000120 T once
ffffffff81000150 t twice
ffffffff81000190 t same
ffffffff810001a0 t same
ffffffff810001b0 T _etext
ffffffff82000000 D data
"""


@pytest.mark.parametrize(
    ("frame", "address"),
    [
        ("once+0x8/0x30", 0xFFFFFFFF81000128),
        ("twice+0x8/0x20", 0xFFFFFFFF81000108),
        ("twice+0x8/0x40", 0xFFFFFFFF81000158),
        ("same+0x8/0x10", None),
        ("once+0x8/0x30 [module]", None),
        ("unknown+0x8/0x30", None),
        ("data+0x8/0x30", None),
    ],
)
def test_addresses(frame, address):
    assert parse_symbols(MAP).address_of(parse_frame(frame)) == address


def test_what_addr2line_says():
    output = (
        "0xffffffff81000128\ninlined\n/x/work/src/include/linux/a.h:12\n"
        "once\n../src/kernel/b.c:34 (discriminator 3)\n"
        "0xffffffff81000108\ntwice\n??:?\n0xffffffff8100010c\ntwice\nfile.c:?\n0xffffffff81000158\ntwice\nkernel/c.c:7\n"
    )
    assert parse_addr2line(output) == {
        0xFFFFFFFF81000128: "include/linux/a.h:12 in inlined(), called at kernel/b.c:34",
        0xFFFFFFFF81000158: "kernel/c.c:7",
    }


PROGRAM = """\
__attribute__((noinline)) int planted(int *place)
{
	return *place + 1;
}
int main(void)
{
	int number = 1;
	return planted(&number);
}
"""


def test_a_program_with_debug_information_is_decoded_by_the_real_tools(tmp_path: Path):
    (tmp_path / "planted.c").write_text(PROGRAM)
    subprocess.run(["gcc", "-g", "-O1", "-no-pie", "-o", "elf", "planted.c"], cwd=tmp_path, check=True)
    decoder = open_vmlinux_decoder(ProcessCommands(), tmp_path / "elf")
    (address,) = decoder.symbols.functions["planted"]
    size = next(one for one in decoder.symbols.addresses if one > address) - address
    console = f"Oops: Oops: 0000 [#1]\nRIP: 0010:planted+0x0/{size:#x}\nCall Trace:\n planted+0x1/{size:#x}\n"
    findings = collect_findings([RecordedConsole("g", "g", console.encode())], emulated=False)
    decoded = decoder.decode(findings)
    assert {text: place.rpartition("/")[2] for text, place in decoded.items()} == {
        f"planted+0x0/{size:#x}": "planted.c:3",
        f"planted+0x1/{size:#x}": "planted.c:3",
    }


def test_a_vmlinux_without_symbols_is_refused(tmp_path: Path):
    (tmp_path / "planted.c").write_text(PROGRAM)
    subprocess.run(["gcc", "-s", "-o", "elf", "planted.c"], cwd=tmp_path, check=True)
    with pytest.raises(InputError, match="has no symbols"):
        open_vmlinux_decoder(ProcessCommands(), tmp_path / "elf")
    with pytest.raises(InputError, match="no such file"):
        open_vmlinux_decoder(ProcessCommands(), tmp_path / "missing")


def test_which_kernel_wrote_a_console():
    plan = plan_for(World())
    node = plan.nodes[0].name
    restarts = [FakeEvent(7, "restart", {"node": node, "boot": 1, "kernel": "patched"})]
    kernel = plan.nodes[0].kernel
    for path, wanted in (
        (f"guests/{node}/console.log", "patched"),
        (f"guests/{node}/boots/0/console.log", kernel),
        (f"guests/{node}/boots/1/console.log", "patched"),
        (f"lost/1/guests/{node}/console.log", kernel),
    ):
        assert booted_kernel(plan, restarts, node, path) == wanted
    assert booted_kernel(plan, [], node, f"guests/{node}/console.log") == kernel
