# SPDX-License-Identifier: GPL-2.0-only
"""The cache: entries are complete or absent, whatever happens meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from fakes import RecordedProgress
from hypothesis import given
from hypothesis import strategies as st

from lab.artifacts.cache import Cache, cache_root, entry_key
from lab.artifacts.listing import list_images, list_kernels

BUILDER = textwrap.dedent("""
    import os, sys, time
    from pathlib import Path
    from lab.artifacts.cache import Cache
    from lab.artifacts.ports import Silence

    def build(directory):
        with open(sys.argv[2], "a") as builds:
            builds.write("built\\n")
        (directory / "half").write_text("half")
        print("building", flush=True)
        time.sleep(float(sys.argv[3]))
        (directory / "whole").write_text("whole")

    class Told(Silence):
        def step(self, what):
            print(what, flush=True)

    entry = Cache(Path(sys.argv[1]), Told()).ensure("thing", {"a": 1}, build)
    assert (entry / "whole").read_text() == "whole"
""")


def start_builder(root: Path, builds: Path, seconds: float) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", BUILDER, str(root), str(builds), str(seconds)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", RecordedProgress())


def write_whole(directory: Path) -> None:
    (directory / "whole").write_text("whole")


def test_root_is_where_the_environment_says():
    home = Path("/home/u")
    assert cache_root({"LAB_CACHE_DIR": "/c"}, home, True) == Path("/c")
    assert cache_root({"XDG_CACHE_HOME": "/x"}, home, True) == Path("/x/paravirt-lab")
    assert cache_root({}, home, True) == Path("/var/cache/paravirt-lab")
    assert cache_root({}, home, False) == home / ".cache/paravirt-lab"


def test_builds_once(cache: Cache):
    builds: list[Path] = []
    for _ in range(2):
        entry = cache.ensure("thing", {"a": 1}, lambda directory: builds.append(directory))
    assert len(builds) == 1
    assert entry == cache.find("thing", {"a": 1})
    assert cache.find("thing", {"a": 2}) is None


def test_two_processes_build_once_and_the_second_says_that_it_waits(tmp_path: Path):
    builds = tmp_path / "builds"
    first = start_builder(tmp_path / "cache", builds, 1)
    assert read_line(first) == "building"
    second = start_builder(tmp_path / "cache", builds, 1)
    assert read_line(second).startswith("waiting for another lab that builds thing")
    assert first.wait(30) == 0
    assert second.wait(30) == 0
    assert builds.read_text() == "built\n"


def test_a_killed_build_leaves_nothing_that_is_found_and_is_cleared_away(tmp_path: Path, cache: Cache):
    killed = start_builder(cache.root, tmp_path / "builds", 60)
    assert read_line(killed) == "building"
    killed.kill()
    killed.wait(30)
    assert list((cache.root / "thing").glob(".*/half"))
    assert cache.find("thing", {"a": 1}) is None
    entry = cache.ensure("thing", {"a": 1}, write_whole)
    assert [path.name for path in (cache.root / "thing").iterdir()] == [entry.name]
    assert not (entry / "half").exists()


def test_leftovers_are_cleared_but_not_what_is_being_built(tmp_path: Path, cache: Cache):
    builder = start_builder(cache.root, tmp_path / "builds", 60)
    assert read_line(builder) == "building"
    assert cache.remove_leftovers() == ()
    builder.kill()
    builder.wait(30)
    (leftover,) = cache.remove_leftovers()
    assert not leftover.exists()


def test_a_failed_build_publishes_nothing(cache: Cache):
    def fail(directory: Path) -> None:
        write_whole(directory)
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        cache.ensure("thing", {"a": 1}, fail)
    assert list((cache.root / "thing").iterdir()) == []
    assert (cache.ensure("thing", {"a": 1}, write_whole) / "whole").is_file()


def test_everybody_can_read_an_entry_whatever_the_umask(cache: Cache):
    def build(directory: Path) -> None:
        (directory / "sub").mkdir()
        (directory / "sub/program").write_text("#!/bin/sh\n")
        (directory / "sub/program").chmod(0o700)
        write_whole(directory)

    before = os.umask(0o077)
    try:
        entry = cache.ensure("thing", {}, build)
    finally:
        os.umask(before)
    modes = {name: (entry / name).stat().st_mode & 0o777 for name in ("", "sub", "sub/program", "whole")}
    assert modes == {"": 0o755, "sub": 0o755, "sub/program": 0o755, "whole": 0o644}
    assert cache.root.stat().st_mode & 0o005 == 0o005


def test_entries_are_listed_with_the_last_used_first_and_can_be_removed(cache: Cache):
    for number in (1, 2):
        entry = cache.ensure("thing", {"n": number}, write_whole)
        os.utime(entry, (time.time() - 100 * number,) * 2)
    cache.ensure("thing", {"n": 2}, write_whole)
    assert [entry.inputs for entry in cache.entries("thing")] == [{"n": 2}, {"n": 1}]
    newest, oldest = cache.entries("thing")
    assert newest.size_bytes > 0
    assert newest.age_s < 50 < oldest.age_s
    cache.remove(oldest)
    assert [entry.inputs for entry in cache.entries("thing")] == [{"n": 2}]
    assert not oldest.path.exists()


def test_kernels_and_images_are_listed_by_what_they_are(cache: Cache):
    def build(name: str, text: str):
        return lambda directory: (directory / name).write_text(text)

    cache.ensure("kernel", {"k": 1}, build("about.json", '{"release": "6.12.1"}'))
    cache.ensure("toolbox", {"t": 1}, build("version", "11.1.3\n"))
    for kind in ("guest-loads-image", "guest-image"):
        cache.ensure(kind, {"g": 1}, build("root.erofs", ""))
    assert [(item.kind, item.title) for item in list_kernels(cache)] == [("kernel", "6.12.1")]
    images = [(item.kind, item.title) for item in list_images(cache)]
    assert images == [
        ("guest-image", "guest-image"),
        ("guest-loads-image", "guest-loads-image"),
        ("toolbox", "QEMU 11.1.3"),
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, max_size=4), st.randoms())
def test_key_does_not_depend_on_the_order_of_inputs(inputs, random):
    items = list(inputs.items())
    random.shuffle(items)
    assert entry_key(dict(items)) == entry_key(inputs)
