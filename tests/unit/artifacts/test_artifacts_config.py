# SPDX-License-Identifier: GPL-2.0-only
"""Config fragments: what they ask for, and whether it stuck."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.artifacts.config import (
    Definition,
    Unmet,
    Wish,
    final_wishes,
    parse_config,
    parse_fragment,
    parse_kconfig,
    read_definitions,
    unstuck,
)
from lab.errors import InputError

CONFIGS = Path(__file__).parents[3] / "images/kernels/configs"


def test_the_last_wish_for_a_symbol_counts():
    first = parse_fragment("CONFIG_A=y\nCONFIG_B=y\n", "base")
    second = parse_fragment("# why\n# CONFIG_A is not set\n", "more")
    wishes = {wish.symbol: wish for wish in final_wishes([first, second])}
    assert wishes["A"] == Wish("A", "n", "more", 2)
    assert wishes["B"].value == "y"


def test_a_module_is_a_wish_like_any_other():
    (wish,) = parse_fragment("CONFIG_A=m\n", "my.config")
    assert unstuck([wish], parse_config("CONFIG_A=m\n")) == ()
    assert unstuck([wish], parse_config("CONFIG_A=y\n")) == (wish,)


def test_a_bad_line_is_named():
    with pytest.raises(InputError, match="not a line") as caught:
        parse_fragment("# fine\nCONFIG_A = y\n", "my.config")
    assert caught.value.message.startswith("my.config:2: ")


def test_what_did_not_stick_is_found_whatever_its_kind():
    wishes = parse_fragment("CONFIG_A=y\nCONFIG_B=n\nCONFIG_C=64\n# CONFIG_D is not set\nCONFIG_E=y\n", "f")
    config = parse_config('CONFIG_A=y\nCONFIG_C=8\nCONFIG_D=y\n# CONFIG_E is not set\nCONFIG_X="t"\n')
    assert [wish.symbol for wish in unstuck(wishes, config)] == ["C", "D", "E"]


KCONFIG = """\
config A
\tbool "A"
\tdepends on B && !C
\tdepends on D
\thelp
\t  depends on nothing

menuconfig E
\tbool
if F
config G
\tbool
endif
"""


def test_dependencies_are_found():
    found = parse_kconfig(KCONFIG, ["A", "E", "Z"])
    assert found["A"].depends[:2] == ("B && !C", "D")
    assert found["E"] == Definition(())
    assert "Z" not in found


def test_another_architecture_defines_nothing(tmp_path: Path):
    for arch, symbol in (("x86", "A"), ("arm", "B")):
        (tmp_path / "arch" / arch).mkdir(parents=True)
        (tmp_path / "arch" / arch / "Kconfig").write_text(f"config {symbol}\n\tdepends on {arch.upper()}\n")
    assert read_definitions(tmp_path, ["A", "B"], "x86") == {"A": Definition(("X86",))}


def test_the_message_says_wanted_got_and_why():
    wish = Wish("KVM", "y", "host.config", 3)
    assert str(Unmet(wish, "n", Definition(("VIRTUALIZATION",)))) == (
        "host.config:3: CONFIG_KVM: wanted y, got n; it depends on VIRTUALIZATION"
    )
    assert "no such symbol" in str(Unmet(wish, "n", None))


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.config")), ids=lambda path: path.name)
def test_the_projects_own_fragments_are_well_formed_and_ask_for_nothing_twice(path: Path):
    wishes = parse_fragment(path.read_text(), path.name)
    symbols = [wish.symbol for wish in wishes]
    assert wishes
    assert len(symbols) == len(set(symbols))
