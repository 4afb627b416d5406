# SPDX-License-Identifier: GPL-2.0-only
"""Damaged and hostile bundles: each is refused, with words of its own, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from bundles import BLOCK, END, Crafted, header, member, seal

from lab.bundle.opening import Limits, open_bundle, read_manifest, verify_bundle
from lab.errors import BundleError, InputError

SMALL = Limits(members=50, member_bytes=2**20, total_bytes=2**21, manifest_bytes=2**16)
PATCH = "inputs/kernels/plain/patches/0001-x.patch"


def sound() -> Crafted:
    return Crafted()


def with_file(name: str, data: bytes = b"x") -> bytes:
    crafted = sound()
    crafted.files[name] = data
    return crafted.pack()


def with_member(extra: bytes) -> bytes:
    """A member behind README.txt that the manifest does not name."""
    first, *rest = sound().members()
    return sound().pack(members=[first, extra, *rest])


def with_entry(**changes: Any) -> bytes:
    """The manifest's first entry, README.txt, changed."""
    crafted = sound()
    entries = crafted.entries()
    entries[0].update(changes)
    return crafted.pack(manifest=crafted.document(files=entries))


def with_manifest(**changes: Any) -> bytes:
    return sound().pack(manifest=sound().document(**changes))


def with_topology(old: str, new: str) -> bytes:
    crafted = sound()
    text = crafted.files["topology.yaml"].decode()
    assert old in text
    crafted.files["topology.yaml"] = text.replace(old, new).encode()
    return crafted.pack()


def without(name: str) -> bytes:
    crafted = sound()
    del crafted.files[name]
    return crafted.pack()


def twice() -> bytes:
    first, *rest = sound().members()
    return sound().pack(members=[first, first, *rest])


def swapped() -> bytes:
    first, second, *rest = sound().members()
    return sound().pack(members=[second, first, *rest])


def flipped() -> bytes:
    """One bit of the compressed data is another."""
    data = bytearray(sound().pack())
    data[len(data) // 2] ^= 0x10
    return bytes(data)


def changed() -> bytes:
    """Other words of the same length in a member."""
    members = [one.replace(b"a bundle", b"A bundle") for one in sound().members()]
    return sound().pack(members=members)


def bomb() -> bytes:
    """100 MiB of zeros in a few KiB, where the archive should have ended."""
    crafted = sound()
    text = json.dumps(crafted.document()).encode()
    archive = member("manifest.json", text) + b"".join(crafted.members()) + END
    packer = zstandard.ZstdCompressor(level=19).compressobj()
    parts = [packer.compress(archive), *(packer.compress(bytes(2**20)) for _ in range(100)), packer.flush()]
    return b"".join(parts)


def window_bomb() -> bytes:
    """A frame that makes its reader set a gigabyte aside."""
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=30)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return packer.compress(sound().pack()) + packer.flush()


def deep_json() -> bytes:
    return sound().pack(manifest=b'{"format": ' + b"[" * 30_000 + b"]" * 30_000 + b"}")


def many() -> bytes:
    crafted = sound()
    crafted.files |= {f"z/{number}": b"" for number in range(60)}
    return crafted.pack()


#: What is wrong -> (the file, what is said of it).
CASES: dict[str, tuple[Callable[[], bytes], str]] = {
    # the file
    "empty": (lambda: b"", r"does not begin like a zstandard file"),
    "another kind of file": (lambda: b"PK\3\4" + bytes(600), r"not a bundle: it does not begin like"),
    "cut in the middle": (lambda: sound().pack()[:-200], r"cut short: its compressed data have no end"),
    "last byte lost": (lambda: sound().pack()[:-1], r"cut short: its compressed data have no end"),
    "a bit flipped": (flipped, r"compressed data are damaged"),
    "something behind it": (lambda: sound().pack() + b"#!/bin/sh\n", r"behind the end of its compressed data"),
    "a second frame": (lambda: sound().pack() * 2, r"behind the end of its compressed data"),
    "bomb of zeros": (bomb, r"data behind the end of the archive"),
    "bomb of a window": (window_bomb, r"compressed data are damaged: .*memory"),
    # the archive
    "no archive": (lambda: seal(b"hello " * 200), r"follows its beginning is not a header .*wrong magic"),
    "empty archive": (lambda: seal(END), r"manifest.json should come first in it, and nothing does"),
    "manifest not first": (
        lambda: seal(member("README.txt", b"x") + END),
        r"should come first in it, and 'README.txt' does",
    ),
    "old kind of header": (
        lambda: with_member(member("x", magic=b"ustar  \0")),
        r"follows README.txt is not a header .*wrong magic",
    ),
    "header damaged": (lambda: with_member(member("x", checksum=1)), r"behind README.txt is damaged .*checksum"),
    "size not a number": (lambda: with_member(header("x", b"12345678999")), r"size of 'x' is not a number"),
    "size in GNU's form": (
        lambda: with_member(header("y", b"\x80" + bytes(10) + b"\1")),
        r"size of 'y' is not a number",
    ),
    "archive without an end": (lambda: sound().pack(end=b""), r"behind topology.yaml: the archive has no end"),
    "half of an end": (
        lambda: sound().pack(end=bytes(BLOCK) + b"x" * BLOCK),
        r"empty block behind topology.yaml that does not end",
    ),
    "data behind the archive": (
        lambda: sound().pack(end=END + b"x" * BLOCK),
        r"data behind the end of the archive",
    ),
    "data hidden behind a member": (
        lambda: sound().pack(members=[sound().members()[0][:-1] + b"x", *sound().members()[1:]]),
        r"data hidden behind README.txt",
    ),
    "member cut short": (
        lambda: sound().pack(members=[sound().members()[0][: BLOCK + 4]], end=b""),
        r"cut short within README.txt",
    ),
    # what members are
    "symbolic link": (lambda: with_member(header("l", 0, b"2", link=b"/etc/passwd")), r"'l' is a symbolic link"),
    "hard link": (lambda: with_member(header("l", 0, b"1", link=b"README.txt")), r"'l' is a hard link"),
    "character device": (lambda: with_member(header("dev", 0, b"3")), r"'dev' is a character device"),
    "block device": (lambda: with_member(header("dev", 0, b"4")), r"'dev' is a block device"),
    "directory": (lambda: with_member(header("dir/", 0, b"5")), r"'dir/' is a directory"),
    "fifo": (lambda: with_member(header("pipe", 0, b"6")), r"'pipe' is a fifo"),
    "extended header": (lambda: with_member(member("x", b"11 path=/e\n", b"x")), r"'x' is an extended header"),
    "GNU long name": (lambda: with_member(member("././@LongLink", b"/etc/x\0", b"L")), r"is a GNU long name"),
    "sparse file": (lambda: with_member(header("s", 0, b"S")), r"'s' is a sparse file"),
    "unknown type": (lambda: with_member(header("q", 0, b"Q")), r"'q' is of the unknown type b'Q'"),
    # what they are called
    "path out of it": (lambda: with_member(member("a/../../x")), r"member 'a/../../x' leads out of the bundle"),
    "absolute path": (lambda: with_member(member("/etc/cron.d/x")), r"'/etc/cron.d/x' has an absolute path"),
    "absolute by prefix": (
        lambda: with_member(member("cron.d/y", prefix=b"/etc")),
        r"'/etc/cron.d/y' has an absolute path",
    ),
    "no name": (lambda: with_member(member("")), r"member '' has no name"),
    "dot": (lambda: with_member(member("./x")), r"'./x' has an empty or `\.` part"),
    "control character": (lambda: with_member(member("a\x1b[2J")), r"has the character U\+001B in its name"),
    "newline": (lambda: with_member(member("a\nb")), r"has the character U\+000A in its name"),
    "right to left": (lambda: with_member(member("a\u202egpj.sh")), r"has the character U\+202E in its name"),
    "not UTF-8": (lambda: with_member(member(b"a\xff")), r"the name behind README.txt is not UTF-8"),
    "backslash": (lambda: with_member(member("..\\..\\x")), r"has a backslash in its name"),
    "too deep": (lambda: with_member(member("d/" * 20 + "x")), r"lies 21 levels deep; 16 are allowed"),
    "too long": (lambda: with_member(member("n" * 100)), r"has a name that is too long \(100 bytes\)"),
    # members against the manifest
    "wrong hash": (changed, r"'README.txt' is not what its manifest says: its SHA-256"),
    "wrong size": (lambda: with_entry(size_bytes=8), r"'README.txt' has 9 bytes; its manifest says 8"),
    "twice": (twice, r"has 'README.txt' twice$"),
    "surplus": (lambda: with_member(member("extra", b"x")), r"has 'extra', which its manifest does not name"),
    "surplus at the end": (
        lambda: sound().pack(members=[*sound().members(), member("z", b"x")]),
        r"has 'z', which its manifest does not name",
    ),
    "missing": (lambda: sound().pack(members=sound().members()[:-1]), r"lacks 'topology.yaml'"),
    "wrong order": (swapped, r"'inputs/.*' comes before its turn"),
    # the manifest
    "not JSON": (lambda: sound().pack(manifest=b"{]"), r"manifest cannot be read as JSON: Expecting"),
    "not UTF-8 JSON": (lambda: sound().pack(manifest=b'{"a": "\xff"}'), r"as JSON: 'utf-8' codec"),
    "deep JSON": (deep_json, r"as JSON: nested too deep"),
    "a key twice": (lambda: sound().pack(manifest=b'{"format": 1, "format": 2}'), r"the key 'format' stands twice"),
    "another format": (lambda: with_manifest(format="zip"), r"does not say that it is a paravirt-lab-bundle"),
    "newer version": (lambda: with_manifest(version=2), r"is of version '2'; this lab reads version 1"),
    "unknown key": (lambda: with_manifest(run="rm -rf /"), r"malformed: run: Extra inputs"),
    "files missing": (lambda: sound().pack(manifest={**sound().document(), "files": None}), r"malformed: files"),
    "negative size": (lambda: with_entry(size_bytes=-1), r"malformed: files.0.size_bytes: .*greater"),
    "no hash": (lambda: with_entry(sha256="abc"), r"malformed: files.0.sha256"),
    "escape in a text": (lambda: with_manifest(name="\x1b]0;x\x07"), r"in its manifest has U\+001B"),
    "itself": (lambda: with_file("manifest.json"), r"manifest names itself"),
    "entry out of it": (lambda: with_entry(path="../x"), r"entry '../x' of its manifest leads out"),
    "entry absolute": (lambda: with_entry(path="/x"), r"entry '/x' of its manifest has an absolute path"),
    "entry twice": (
        lambda: with_manifest(files=[*sound().entries(), sound().entries()[-1]]),
        r"manifest has 'topology.yaml' twice",
    ),
    "unsorted": (
        lambda: with_manifest(files=sound().entries()[::-1]),
        r"does not have its members in the order of their names",
    ),
    "file and directory": (lambda: with_file("README.txt/x"), r"'README.txt' would have to be a file and a dir"),
    "speaks of what is not there": (
        lambda: with_manifest(
            kernels=[{"name": "k", "source": {"kind": "debian", "value": "6.12"}, "config": "gone"}]
        ),
        r"speaks of 'gone' and has no such member",
    ),
    # limits
    "large manifest": (lambda: with_manifest(name="x" * 2**17), r"manifest has \d+ bytes; 65536 are allowed"),
    "too many members": (many, r"has 65 members; 50 are allowed"),
    "huge member": (lambda: with_file("z", bytes(2**20 + 1)), r"'z' would have 1048577 bytes; 1048576 are"),
    "huge member by word": (lambda: with_entry(size_bytes=2**60), r"'README.txt' would have 1152921504606846976"),
    "huge together": (
        lambda: Crafted({**sound().files, **{f"z{n}": bytes(2**20) for n in range(3)}}).pack(),
        r"would unpack to \d+ bytes; 2097152 are allowed",
    ),
    # what is in it
    "no README": (lambda: without("README.txt"), r"has no README.txt"),
    "no topology": (lambda: without("topology.yaml"), r"has no topology.yaml"),
    "no plan": (lambda: without("recording/plan.json"), r"has no recording/plan.json"),
    "bad plan": (lambda: with_file("recording/plan.json", b"{}"), r"plan.json: cannot be read as a plan"),
    "unknown recording": (
        lambda: with_file("recording/recording.json", b'{"format": 9}'),
        r"recording cannot be used: .*format 9",
    ),
    "topology of bytes": (lambda: with_file("topology.yaml", b"\xff\xfe"), r"topology is not UTF-8"),
    "topology no YAML": (lambda: with_file("topology.yaml", b"a: ["), r"topology cannot be read: line"),
    "topology a list": (lambda: with_file("topology.yaml", b"- a"), r"topology is not one"),
    "topology elsewhere": (
        lambda: with_topology("where: local", "where: ssh://root@victim"),
        r"wants to run on the host 'ssh://root@victim'",
    ),
    "patch elsewhere": (
        lambda: with_topology('{debian: "6.12"}}', '{debian: "6.12"}, patches: [/etc/shadow]}'),
        r"kernels.plain.patches '/etc/shadow' of its topology has an absolute path",
    ),
    "config elsewhere": (
        lambda: with_topology('{debian: "6.12"}}', '{debian: "6.12"}, config: [../../x]}'),
        r"kernels.plain.config '../../x' of its topology leads out",
    ),
    "tree elsewhere": (
        lambda: with_topology('{debian: "6.12"}', "{tree: /usr/src/linux}"),
        r"kernels.plain.source.tree '/usr/src/linux' of its topology has an absolute",
    ),
    "knobs elsewhere": (
        lambda: with_topology("load:\n", "knob_files: [./../x.yaml]\nload:\n"),
        r"knob_files './../x.yaml' of its topology leads out",
    ),
}  # fmt: skip

#: Cases that look alike from outside, and are told alike.
SAME_WORDS = {
    ("another kind of file", "empty"),
    ("cut in the middle", "last byte lost"),
    ("a second frame", "something behind it"),
    ("bomb of zeros", "data behind the archive"),
}


def refusal(tmp_path: Path, case: str) -> BundleError:
    file, into = tmp_path / "b.tar.zst", tmp_path / "deep/into"
    file.write_bytes(CASES[case][0]())
    with pytest.raises(BundleError) as refused:
        open_bundle(file, into, SMALL)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["b.tar.zst"], "something is left behind"
    return refused.value


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_with_words_of_its_own_and_leaves_nothing(tmp_path, case):
    message = refusal(tmp_path, case).message
    assert message.startswith("b.tar.zst: ")
    assert re.search(CASES[case][1], message), message
    assert message.isprintable() or "\n" in message


def test_no_two_of_them_are_told_alike(tmp_path):
    told: dict[str, str] = {}
    for number, case in enumerate(CASES):
        directory = tmp_path / str(number)
        directory.mkdir()
        message = refusal(directory, case).message
        if message in told:
            assert tuple(sorted((told[message], case))) in SAME_WORDS
        told[message] = case
    assert len(told) >= 70


def test_the_sound_one_is_opened(tmp_path):
    file = tmp_path / "b.tar.zst"
    file.write_bytes(sound().pack())
    bundle = open_bundle(file, tmp_path / "into", SMALL)
    found = {
        path.relative_to(bundle.directory).as_posix(): path.read_bytes()
        for path in bundle.directory.rglob("*")
        if path.is_file()
    }
    assert found == sound().files
    assert verify_bundle(file) == bundle.manifest == read_manifest(file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar.zst", "into"]


def test_what_was_unpacked_can_be_read_and_not_run(tmp_path):
    file = tmp_path / "b.tar.zst"
    file.write_bytes(sound().pack())
    bundle = open_bundle(file, tmp_path / "into")
    assert {path.stat().st_mode & 0o111 for path in bundle.directory.rglob("*") if path.is_file()} == {0}


def test_an_empty_directory_is_taken_and_any_other_is_not(tmp_path):
    file = tmp_path / "b.tar.zst"
    file.write_bytes(sound().pack())
    (tmp_path / "empty").mkdir()
    open_bundle(file, tmp_path / "empty")
    for taken in ("empty", "b.tar.zst"):
        with pytest.raises(InputError, match="exists and is not an empty directory"):
            open_bundle(file, tmp_path / taken)


def test_a_link_is_not_followed_to_where_it_unpacks(tmp_path):
    file = tmp_path / "b.tar.zst"
    file.write_bytes(sound().pack())
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="exists and is not an empty directory"):
        open_bundle(file, tmp_path / "link")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_files_that_cannot_be_read_are_told(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, words in (
        ("none", "No such file"),
        ("pipe", "not a regular file"),
        (".", "not a regular file"),
    ):
        with pytest.raises(InputError, match=words):
            open_bundle(tmp_path / name, tmp_path / "into")


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    """Here because of a limit; a disk that is full says it the same way."""
    file = tmp_path / "b.tar.zst"
    file.write_bytes(sound().pack())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(InputError, match=r"into: cannot be written: File too large"):
            open_bundle(file, tmp_path / "into")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["b.tar.zst"]


def test_a_bundle_larger_than_the_disk_is_not_begun(tmp_path):
    file = tmp_path / "b.tar.zst"
    entries = sound().entries()
    entries[0]["size_bytes"] = 2**60
    file.write_bytes(sound().pack(manifest=sound().document(files=entries)))
    huge = Limits(member_bytes=2**61, total_bytes=2**62)
    with pytest.raises(InputError, match=r"MiB left; the bundle needs 1099511627776"):
        open_bundle(file, tmp_path / "into", huge)
