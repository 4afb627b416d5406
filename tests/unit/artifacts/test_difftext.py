# SPDX-License-Identifier: GPL-2.0-only
"""What of a patch counts: the diff, however it was sent."""

from __future__ import annotations

import email
import email.policy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.artifacts.difftext import NewSymbol, new_symbols, normal_form, touched_files

SHIPPED = Path(__file__).parents[3] / "images/kernels/paravirt-cpus"
DIFF = b"""\
diff --git a/kernel/a.c b/kernel/a.c
index 1111111..2222222 100644
--- a/kernel/a.c
+++ b/kernel/a.c
@@ -1,3 +1,3 @@ static int a(void)
 one
-two
+TWO
 three
"""
BARE = b"--- a/kernel/a.c\t2026-11-24 05:57:30\n+++ b/kernel/a.c\t2026-11-24\n"


def test_what_stands_around_a_diff_does_not_count() -> None:
    mailed = (
        b"Subject: [PATCH] two\n\nWhy: -- see below.\n---\n kernel/a.c | 2 +-\n\n" + DIFF + b"-- \n2.45\n"
    )
    other = DIFF.replace(b"1111111..2222222", b"aaaaaaa..bbbbbbb").replace(b" static int a(void)", b"")
    assert normal_form(mailed) == normal_form(DIFF) == normal_form(other)
    assert normal_form(DIFF.replace(b"\n", b"\r\n")) == normal_form(DIFF)


@pytest.mark.parametrize(
    "change",
    [(b"+TWO", b"+Two"), (b" three", b" 3"), (b"-1,3 +1,3", b"-9,3 +9,3"), (b"kernel/a.c", b"kernel/b.c")],
)
def test_what_patch_acts_on_counts(change: tuple[bytes, bytes]) -> None:
    assert normal_form(DIFF.replace(*change)) != normal_form(DIFF)


def test_modes_moves_and_missing_newlines_count() -> None:
    moved = b"diff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to y\n"
    assert b"rename to y" in normal_form(moved)
    assert touched_files(moved) == ("x", "y")
    runnable = b"diff --git a/s b/s\nold mode 100644\nnew mode 100755\n"
    assert b"new mode 100755" in normal_form(runnable)
    assert normal_form(DIFF + b"\\ No newline at end of file\n") != normal_form(DIFF)


def test_a_hunk_that_looks_like_headers_is_a_hunk() -> None:
    tricky = b"--- a/f\n+++ b/f\n@@ -1,2 +1,1 @@\n--- old/name\n index 123..456\n-- \n2.45\n"
    assert normal_form(tricky) == tricky.removesuffix(b"-- \n2.45\n")
    assert touched_files(tricky)[0] == "f"


def test_what_cannot_be_read_counts_as_it_is() -> None:
    cut = DIFF[: DIFF.index(b" three")]
    assert normal_form(cut) == cut
    binary = b"diff --git a/x b/x\nGIT binary patch\nliteral 3\nabc\n"
    assert normal_form(binary) == binary
    assert normal_form(b"no diff at all\n") == b"no diff at all\n"


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_the_normal_form_of_a_diff_in_any_mail_is_the_diffs(before: bytes) -> None:
    words = b"".join(b"> " + line + b"\n" for line in before.replace(b"\r", b"").split(b"\n"))
    assert normal_form(words + DIFF) == normal_form(DIFF)


def test_the_normal_form_is_its_own() -> None:
    for path in SHIPPED.glob("*.patch"):
        once = normal_form(path.read_bytes())
        assert normal_form(once) == once


def test_shipped_patches_count_the_same_out_of_a_mail() -> None:
    for path in SHIPPED.glob("*.patch"):
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        body = message.get_payload(decode=True)
        assert isinstance(body, bytes)
        assert normal_form(body) == normal_form(path.read_bytes())
        assert len(normal_form(body)) < len(body)


def test_files_are_told_once_and_new_ones_too() -> None:
    made = BARE + b"@@ -1 +1 @@\n-a\n+b\n--- /dev/null\n+++ b/kernel/new.c\n@@ -0,0 +1 @@\n+x\n"
    assert touched_files(made) == ("kernel/a.c", "kernel/new.c")


def test_symbols_that_a_patch_adds_are_told_with_their_default() -> None:
    found = {symbol for path in sorted(SHIPPED.glob("*.patch")) for symbol in new_symbols(path.read_bytes())}
    assert NewSymbol("PARAVIRT_CPUS", False) in found
    kconfig = (
        b"--- a/init/Kconfig\n+++ b/init/Kconfig\n@@ -1,1 +1,9 @@\n config OLD\n+config FIRST\n"
        b'+\tbool "The first"\n+\tdefault y\n+config HIDDEN\n+\tbool\n+\n+config LAST\n+\ttristate "Last"\n'
    )
    assert new_symbols(kconfig) == (NewSymbol("FIRST", True), NewSymbol("LAST", False))
    assert new_symbols(kconfig.replace(b"init/Kconfig", b"doc/example.txt")) == ()
