# SPDX-License-Identifier: GPL-2.0-only
"""Whatever happens to a bundle's bytes: it is refused in order, or it is what it was."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from bundles import END, Crafted, member, seal
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.bundle.opening import Limits, open_bundle
from lab.errors import BundleError

SMALL = Limits(members=50, member_bytes=2**20, total_bytes=2**21, manifest_bytes=2**16)
FEW = settings(max_examples=60, deadline=None)


def archive() -> bytes:
    crafted = Crafted()
    first = member("manifest.json", json.dumps(crafted.document()).encode())
    return first + b"".join(crafted.members()) + END


ARCHIVE = archive()
SEALED = seal(ARCHIVE)
#: (where, what stands there then), as fractions of the whole.
PATCHES = st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4)


def patched(data: bytes, patches: list[tuple[float, bytes]]) -> bytes:
    changed = bytearray(data)
    for where, new in patches:
        at = int(where * (len(data) - 1))
        changed[at : at + len(new)] = new
    return bytes(changed)


def check(file_bytes: bytes) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        file, into = Path(scratch, "b.tar.zst"), Path(scratch, "into")
        file.write_bytes(file_bytes)
        try:
            bundle = open_bundle(file, into, SMALL)
        except BundleError:
            assert [path.name for path in Path(scratch).iterdir()] == ["b.tar.zst"]
        else:
            assert {
                one.path: (into / one.path).read_bytes() for one in bundle.manifest.files
            } == Crafted().files


@FEW
@given(PATCHES)
def test_changes_of_the_file(patches):
    check(patched(SEALED, patches))


@FEW
@given(PATCHES)
def test_changes_of_the_archive(patches):
    check(seal(patched(ARCHIVE, patches)))


@FEW
@given(st.integers(0, len(ARCHIVE)), st.integers(0, len(ARCHIVE)), st.binary(max_size=600))
def test_pieces_of_the_archive_moved(start, end, between):
    check(seal(ARCHIVE[:start] + between + ARCHIVE[end:]))


LEAF = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8))
VALUE = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner)
)


@FEW
@given(st.sampled_from(sorted(Crafted().document())), VALUE)
def test_values_of_the_manifest(key: str, value: Any):
    crafted = Crafted()
    document = crafted.document(**{key: value})
    file_bytes = crafted.pack(manifest=document)
    if key in ("name", "lab_version", "redacted") and type(value) is type(crafted.document()[key]):
        return  # another name is no damage
    check(file_bytes)


@FEW
@given(VALUE)
def test_manifests_of_any_shape(value: Any):
    check(Crafted().pack(manifest=json.dumps(value).encode()))
