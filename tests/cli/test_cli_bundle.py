# SPDX-License-Identifier: GPL-2.0-only
"""`lab bundle`: a recording as one file, what that holds, and what is said of what cannot be bundled or read."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest
from bundles import Crafted, header
from cli.driving import call
from cli.recordings import TOPOLOGY, write_recording

from lab.bundle.opening import open_bundle

DATA = Path(__file__).parents[1] / "data/recordings"


def test_a_recording_becomes_one_file_of_stated_size(lab, quickstart, tmp_path):
    done = lab("bundle", quickstart, "-o", tmp_path / "q.tar.zst")
    assert done.code == 0
    assert done.out.startswith(f"{tmp_path}/q.tar.zst: ")
    assert " KiB (" in done.out
    assert "left out: kernel paravirt: it is not in the cache any more" in done.err
    bundle = open_bundle(tmp_path / "q.tar.zst", tmp_path / "into")
    assert bundle.manifest.verdict == "passed"
    assert len(bundle.kernel("paravirt").patches) == 18


def test_it_lies_beside_the_recording_and_is_the_same_each_time(lab, quickstart, tmp_path):
    made = []
    for force in ((), ("--force",)):
        assert lab("bundle", quickstart, *force).code == 0
        made.append((tmp_path / "quickstart.tar.zst").read_bytes())
    assert made[0] == made[1]


def test_an_unpacked_bundle_is_judged_like_the_recording(lab, quickstart, tmp_path):
    lab("bundle", quickstart)
    bundle = open_bundle(tmp_path / "quickstart.tar.zst", tmp_path / "into")
    before, after = lab("check", quickstart, "--json"), lab("check", bundle.recording, "--json")
    assert before.code == after.code == 0
    one, other = json.loads(before.out), json.loads(after.out)
    one.pop("recording"), other.pop("recording")
    assert one == other


def test_a_failed_recording_is_bundled_and_says_so(lab, tmp_path):
    recording = write_recording(tmp_path / "pair", guest_steal=0.9, host_delay=0.9)
    done = lab("bundle", recording, "--json")
    assert done.code == 0
    document = json.loads(done.out)
    assert document["verdict"] == "failed"
    assert document["packed_bytes"] == (tmp_path / "pair.tar.zst").stat().st_size


def test_an_undecided_recording_is_bundled_and_says_so(lab, tmp_path):
    text = TOPOLOGY.replace("  - agreement: {max: 2%}\n", "")
    recording = write_recording(tmp_path / "pair", text, guest_steal=0.5, host_delay=0.3)
    lab("bundle", recording)
    done = lab("bundle", "--list", tmp_path / "pair.tar.zst")
    assert done.code == 0
    assert "verdict: undecided; redacted" in done.out


def test_the_list_has_every_file_with_its_size(lab, quickstart, tmp_path):
    lab("bundle", quickstart)
    done = lab("bundle", "--list", tmp_path / "quickstart.tar.zst")
    assert done.code == 0
    assert "every one verified" in done.out
    assert f"{(quickstart / 'host/probe.stream').stat().st_size:>12}" in done.out
    assert "not in it: kernel paravirt (it is not in the cache any more)" in done.out
    document = json.loads(lab("bundle", "--list", tmp_path / "quickstart.tar.zst", "--json").out)
    assert document["verified"] is True
    assert {one["path"] for one in document["files"]} >= {"README.txt", "topology.yaml"}


def test_a_refused_bundle_is_bad_input(lab, tmp_path):
    first, *rest = Crafted().members()
    link = header("l", 0, b"2", link=b"/etc/passwd")
    (tmp_path / "evil.tar.zst").write_bytes(Crafted().pack(members=[first, link, *rest]))
    done = lab("bundle", "--list", tmp_path / "evil.tar.zst")
    assert (done.code, done.out) == (2, "")
    assert done.err == "lab: error: evil.tar.zst: 'l' is a symbolic link; a bundle has regular files only\n"


def test_nobody_and_no_machine_is_named(lab, quickstart, tmp_path, monkeypatch):
    monkeypatch.setenv("USER", "jdoe")
    monkeypatch.setenv("HOME", str(tmp_path))
    machine = f"{platform.node()} [{tmp_path}]"
    (quickstart / "guests/guest1/console.log").write_text(f"{machine} of jdoe, from {lab.state_dir}/x\n")
    lab("bundle", quickstart, "-o", tmp_path / "r.tar.zst")
    lab("bundle", quickstart, "-o", tmp_path / "n.tar.zst", "--no-redact")
    redacted, kept = (
        (open_bundle(tmp_path / f"{one}.tar.zst", tmp_path / one).recording / "guests/guest1/console.log")
        for one in ("r", "n")
    )
    assert "jdoe" in kept.read_text()
    texts = [path.read_bytes() for path in (tmp_path / "r").rglob("*") if path.is_file()]
    for secret in ("jdoe", str(tmp_path), str(lab.state_dir)):
        assert not [text for text in texts if secret.encode() in text]
    assert redacted.read_text().endswith("[HOME] of USER, from STATE/x\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--without", "kernel"), "--without kernel: no part of a bundle; there are kernels, vmlinux"),
        (("--with", "src"), "--with src: no part of a bundle"),
        (("--list", "-o", "x"), "--list takes a bundle and none of -o, --with and --without"),
    ],
)
def test_words_that_make_no_sense_are_told(lab, quickstart, words, said):
    done = lab("bundle", quickstart, *words)
    assert done.code == 2
    assert said in done.err


def test_nothing_is_replaced_unasked(lab, quickstart, tmp_path):
    (tmp_path / "quickstart.tar.zst").write_text("mine")
    done = lab("bundle", quickstart)
    assert done.code == 2
    assert "exists already" in done.err
    assert (tmp_path / "quickstart.tar.zst").read_text() == "mine"


def test_what_is_no_recording_is_told(lab, tmp_path):
    done = lab("bundle", tmp_path, "-o", tmp_path / "x.tar.zst")
    assert done.code == 2
    assert "not a recording" in done.err
    assert list(tmp_path.glob("*.zst")) == []


def test_a_place_that_cannot_be_written_is_told(lab, quickstart, tmp_path):
    done = lab("bundle", quickstart, "-o", tmp_path / "none/x.tar.zst")
    assert done.code == 2
    assert "none/x.tar.zst: cannot be written: No such file" in done.err


def test_help_says_what_parts_there_are():
    done = call("bundle", "--help")
    assert done.code == 0
    for word in ("--without", "--no-redact", "--list", "traces", "vmlinux"):
        assert word in done.out
