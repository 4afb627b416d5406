# SPDX-License-Identifier: GPL-2.0-only
"""Nothing in a bundle tells whose machine it was made on, unless that is asked for."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest
from reported import NEEDLES, Reported, make_reported

from lab.bundle.pseudonyms import Pseudonyms
from lab.bundle.redact import Redactor, Secrets
from lab.bundle.redacttrace import redact_trace
from lab.measure.derive import measure_recording
from lab.recording import Recording
from lab.trace.about import parse_about
from lab.trace.clocks import host_clock
from lab.trace.decode import decode_trace


@pytest.fixture
def reported(tmp_path: Path) -> Reported:
    return make_reported(tmp_path)


def found(directory: Path, needles: tuple[str, ...]) -> set[str]:
    """Needles that are in any file below a directory, or in its name."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    texts = [str(path.relative_to(directory)).encode() + b"\n" + path.read_bytes() for path in files]
    return {one for one in needles if any(one.encode() in text for text in texts)}


def test_no_file_of_a_bundle_has_a_secret(reported, tmp_path):
    manifest = reported.collect(tmp_path / "stage")
    needles = (*NEEDLES, str(reported.home), str(reported.cache.root))
    assert found(tmp_path / "stage", needles) == set()
    assert not [needle for needle in needles if needle in manifest.model_dump_json()]


def test_all_of_them_were_there(reported, tmp_path):
    """Otherwise the test before this one would say nothing."""
    reported.collect(tmp_path / "stage", redact=False)
    assert found(tmp_path / "stage", NEEDLES) == set(NEEDLES)


def test_what_is_not_secret_stays(reported, tmp_path):
    reported.collect(tmp_path / "stage")
    console = (tmp_path / "stage/recording/guests/one/console.log").read_text()
    for kept in ("Linux version", "fair.c:17", "127.0.0.1", "52:54:00:12:34:56"):
        assert kept in console
    assert reported.plan().network.gateway in console
    assert "peers ADDRESS and ADDRESS by MAC" in console


def test_a_name_within_another_word_is_no_name(reported, tmp_path):
    assert Redactor(Secrets(machines=("star",))).apply(b"star starlet north-star") == (
        b"MACHINE starlet north-MACHINE"
    )


def test_processes_are_numbered_and_everything_else_of_the_stream_stays(reported, tmp_path):
    reported.collect(tmp_path / "stage")
    before = (reported.recording / "host/probe.stream").read_text().splitlines()
    after = (tmp_path / "stage/recording/host/probe.stream").read_text().splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert [new.split(" ", 9)[9] for _, new in changed] == ["process-1", "process-2", "process-2"]
    assert all(new.split(" ")[:9] == old.split(" ")[:9] for old, new in changed)


def test_a_host_of_the_labs_own_keeps_its_processes(tmp_path):
    reported = make_reported(tmp_path, "nested")
    reported.collect(tmp_path / "stage")
    kept = (tmp_path / "stage/recording/host/probe.stream").read_text()
    assert "0-2 init\n" in kept


def test_processes_in_a_trace_are_numbered_and_everything_else_stays(reported, tmp_path):
    reported.collect(tmp_path / "stage")
    assert b"sleep" in (reported.recording / "host/traces/contended/cpu1.raw").read_bytes()
    assert found(tmp_path / "stage/recording/host", ("sleep", "pvtrace")) == set()
    traces = [
        decode_trace(files, "@host", "contended", host_clock(parse_about(files.about)))
        for files in (
            Recording(directory).traces("contended").host
            for directory in (reported.recording, tmp_path / "stage/recording")
        )
    ]
    was, now = traces
    assert len(was.switches.t_ns) > 100
    for column in dataclasses.fields(was.switches):
        assert np.array_equal(getattr(was.switches, column.name), getattr(now.switches, column.name))
    assert now.damage == was.damage
    assert {now.names[tid] for tid, name in was.names.items() if name == "sh"} == {"sh"}, "the lab's own"
    assert {now.names[tid] for tid, name in was.names.items() if name.startswith("kworker/")} <= set(
        was.names.values()
    )
    hidden = {now.names[tid] for tid, name in was.names.items() if name == "sleep"}
    assert len(hidden) == 1
    assert hidden.pop().startswith("process-")


def test_a_trace_that_cannot_be_read_as_a_whole_is_left_out(reported, tmp_path):
    raw = reported.recording / "host/traces/contended/cpu1.raw"
    raw.write_bytes(raw.read_bytes()[: 5 * 4096 + 100])
    manifest = reported.collect(tmp_path / "stage")
    (said,) = [one for one in manifest.left_out if one.what.endswith("cpu1.raw")]
    assert "not all names of processes in it could be replaced" in said.why
    assert not list((tmp_path / "stage").rglob("cpu1.raw"))


def test_a_name_that_is_left_in_a_trace_is_found():
    names = Pseudonyms()
    names.of(b"secretd")
    assert redact_trace(bytes(16) + b"secretd".ljust(4080, b"\0"), b"", 4096, names) is None


def test_figures_stay_what_they_were(reported, tmp_path):
    reported.collect(tmp_path / "stage")
    before, after = Recording(reported.recording), Recording(tmp_path / "stage/recording")
    was, now = (measure_recording(one, one.plan()) for one in (before, after))
    assert len(was.vcpus) == 2
    assert (now.vcpus, now.tasks, now.affinities, now.clocks) == (
        was.vcpus,
        was.tasks,
        was.affinities,
        was.clocks,
    )


@pytest.mark.parametrize("name", ["paravirt", "two", "vcpus", "debian", "root"])
def test_a_machine_called_like_a_word_of_the_plan_spoils_nothing(reported, tmp_path, name):
    """Its name cannot be told from that word, and is none that anybody else does not have."""
    secrets = dataclasses.replace(reported.secrets, machines=(name,))
    one = type("Named", (Reported,), {"secrets": secrets})(reported.root)
    one.collect(tmp_path / "stage")
    assert Recording(tmp_path / "stage/recording").plan().nodes == reported.plan().nodes


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Linux version 6.12.117-1 (Debian 12.2.0-14)", True),
        ("at 12:34:56 on 2026-11-24", True),
        ("std::string at 00:1f.0", True),
        ("0.0.0.0:80 and ::1", True),
        ("255.255.255.255", True),
        ("from 10.1.2.3 port 22", False),
        ("from 10.1.2.3:22.", False),
        ("fe80::5054:ff:fe12:3456 up", False),
        ("at 2001:db8::1.", False),
        ("sha256:0123456789abcdef0123456789abcdef", True),
        ("::1 and ::", True),
        ("http://packages.example/debian", False),
        ("ssh://someone@somewhere", False),
        ("/home/someone/x", False),
        ("00:00:00:00:00:00", True),
        ("in /elsewhere/cache/kernel/.0123456789abcdef0123.x/work", False),
        ("CCACHE_DIR=/elsewhere/ccache CC=gcc", False),
        ("kernel/sched/fair.c and /proc/sys/kernel/sched", True),
        ("aa:bb:cc:dd:ee:ff", False),
    ],
)
def test_addresses_and_places_are_told_from_numbers(text, kept):
    assert (Redactor(Secrets()).apply_text(text) == text) is kept


@pytest.mark.parametrize("text", ["a:" + "0" * 200_000 + "g", "a:" * 100_000, "/" * 200_000, "1." * 100_000])
def test_no_text_takes_for_ever(text):
    """A guest's console may say anything."""
    started = time.process_time()
    Redactor(Secrets(machines=("darkstar",), paths={"/home/jdoe": "HOME"})).apply_text(text)
    assert time.process_time() - started < 5


def test_a_key_without_its_end_does_not_take_the_rest_along():
    text = f"-----BEGIN PRIVATE KEY-----\n{'QUJD' * 16}\nand on it goes\n"
    assert Redactor(Secrets()).apply_text(text) == "PRIVATE-KEY\nand on it goes\n"


def test_lines_of_other_kinds_are_no_tasks():
    stream = b"s 1 x\nt 1 1 - 0\ntt 1\nt 1 1 - 0 1 2 3 4 a b c\nz 1 2"
    assert Pseudonyms().redact_stream(stream) == b"s 1 x\nt 1 1 - 0\ntt 1\nt 1 1 - 0 1 2 3 4 process-1\nz 1 2"
