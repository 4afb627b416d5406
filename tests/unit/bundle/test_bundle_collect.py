# SPDX-License-Identifier: GPL-2.0-only
"""What is in a bundle, byte for byte the same each time, and of use wherever it is unpacked."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import pytest
import yaml
from reported import DIFF, IMAGES, TOPOLOGY, Reported, add_kernel, make_reported, write

from lab.artifacts.catalogue import read_kernel_catalogue
from lab.artifacts.given import keep_given
from lab.bundle.archive import list_members, write_archive
from lab.bundle.manifest import PARTS, Bundle
from lab.bundle.opening import open_bundle
from lab.errors import InputError, RecordingError
from lab.plan.decide import plan_lab
from lab.plan.facts import HostFacts
from lab.plan.labplan import render_plan_json
from lab.recording import Recording
from lab.topology.decode import read_topology


@pytest.fixture
def reported(tmp_path: Path) -> Reported:
    return make_reported(tmp_path)


def bundle_of(reported: Reported, root: Path, **more) -> Bundle:
    stage = root / "stage"
    manifest = reported.collect(stage, **more)
    write_archive(stage, manifest, root / "b.tar.zst")
    shutil.rmtree(stage)
    return open_bundle(root / "b.tar.zst", root / "unpacked")


def left_out(bundle: Bundle) -> dict[str, str]:
    return {one.what: one.why for one in bundle.manifest.left_out}


def test_the_same_recording_gives_the_same_bytes(reported, tmp_path):
    made = []
    for number in range(2):
        stage = tmp_path / f"stage{number}"
        manifest = reported.collect(stage)
        if number:  # neither times nor modes of what goes in matter
            for path in stage.rglob("*"):
                path.chmod(0o700)
        write_archive(stage, manifest, tmp_path / f"{number}.tar.zst")
        made.append((tmp_path / f"{number}.tar.zst").read_bytes())
    assert made[0] == made[1]


def test_everything_is_there_with_size_and_hash(reported, tmp_path):
    bundle = bundle_of(reported, tmp_path)
    names = [one.path for one in bundle.manifest.files]
    for name in (
        "README.txt",
        "topology.yaml",
        "knobs.json",
        "host.json",
        "inputs/kernels/patched/patches/series",
        "inputs/kernels/patched/patches/fragment.config",
        "inputs/kernels/patched/patches/0001-mine.patch",
        "inputs/kernels/patched/config/1/my.config",
        "inputs/knob_files/1/mine.yaml",
        "inputs/knob_files/2/other.yaml",
        "kernels/patched/config",
        "kernels/patched/build.log",
        "kernels/patched/bzImage",
        "kernels/patched/fragments/1-base.config",
        "images/guest/recipe/recipe.yaml",
        "images/guest/packages.txt",
        "recording/recording.json",
        "recording/guests/one/console.log",
        "recording/verdicts.json",
    ):
        assert name in names
    for one in bundle.manifest.files:
        data = (bundle.directory / one.path).read_bytes()
        assert (one.size_bytes, one.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_the_topology_is_read_where_it_is_unpacked(reported, tmp_path):
    """Its plan has the reporter's patches and fragments, in the same order, out of the bundle."""
    bundle = bundle_of(reported, tmp_path)
    topology = read_topology(bundle.topology)
    facts = HostFacts("nested", (0, 1), 4096, emulated=False)
    catalogue_of = read_kernel_catalogue
    (bundle.directory / "inputs/kernels/tree/tree/linux").mkdir(parents=True)
    plan = plan_lab(topology, facts, "beef01", catalogue_of(topology, IMAGES))
    there = {kernel.name: kernel for kernel in reported.plan().kernels}
    for kernel in plan.kernels:
        original = there[kernel.name]
        assert [Path(path).read_bytes() for path in kernel.patches] == [
            Path(path).read_bytes() for path in original.patches
        ]
        assert [Path(path).name for path in kernel.patches] == [Path(path).name for path in original.patches]
        assert [Path(path).name for path in kernel.fragments] == [
            Path(path).name for path in original.fragments
        ]
        for path in kernel.patches:
            assert Path(path).is_relative_to(bundle.directory)
    assert {"my.knob", "other.knob"} <= topology.registry.knobs.keys()
    assert topology.host.where == "auto"


def test_nothing_else_of_the_topology_changes(reported, tmp_path):
    bundle = bundle_of(reported, tmp_path)
    before, after = yaml.safe_load(TOPOLOGY), yaml.safe_load(bundle.topology.read_text())
    for key in ("version", "name", "defaults", "nodes", "load", "phases", "expect"):
        assert after[key] == before[key]
    assert list(after["kernels"]) == ["patched", "tree"], "those that no node has are nobody's business"
    assert after["host"] == {"where": "auto", "pcpus": "0"}
    assert after["kernels"]["tree"] == {
        "source": {"tree": "./inputs/kernels/tree/tree/linux", "ref": "0" * 40}
    }


def test_kernels_are_told_by_reference(reported, tmp_path):
    bundle = bundle_of(reported, tmp_path)
    patched, tree = bundle.kernel("patched"), bundle.kernel("tree")
    assert patched is not None and tree is not None
    assert patched.source.identity == "debian linux-source-6.12 6.12.117-1"
    assert (patched.release, patched.compiler) == ("6.12.117", "gcc 12")
    assert len(patched.patches) == 19
    assert bundle.path(patched.bzimage).read_bytes() == b"bzImage of patched"
    assert (tree.source.kind, tree.source.value, tree.source.ref) == ("tree", "linux", "v6.12")
    assert tree.source.identity == f"git {'0' * 40}"
    assert left_out(bundle)["source of kernel tree"] == f"sources are told by reference: git {'0' * 40}"


def test_the_entries_that_a_recording_names_are_exact(reported, tmp_path):
    assert not bundle_of(reported, tmp_path).kernel("patched").exact
    about = json.loads((reported.recording / "recording.json").read_text())
    kernels = {one.inputs["name"]: one.key for one in reported.cache.entries("kernel")}
    (image,) = reported.cache.entries("guest-image")
    about["artifacts"] = {"kernels": kernels, "images": {"guest": image.key}}
    write(reported.recording / "recording.json", json.dumps(about))
    # Somebody worked on the series since: what was built has its own copies.
    write(reported.home / "mine/0001-mine.patch", DIFF.replace("+b", "+c"))
    write(reported.home / "mine/my.config", "CONFIG_SCHED_DEBUG=n\n")
    (tmp_path / "again").mkdir()
    bundle = bundle_of(reported, tmp_path / "again")
    patched = bundle.kernel("patched")
    assert patched.exact
    assert patched.key == kernels["patched"]
    inputs = bundle.directory / "inputs/kernels/patched"
    assert (inputs / "patches/0001-mine.patch").read_text() == f"Subject: mine\n\n{DIFF}"
    assert (inputs / "config/1/my.config").read_text() == "CONFIG_SCHED_DEBUG=y\n"
    assert bundle.manifest.images[0].exact


def test_a_kernel_that_is_gone_is_said_and_its_patches_are_there(reported, tmp_path):
    for entry in reported.cache.entries("kernel"):
        reported.cache.remove(entry)
    for entry in reported.cache.entries("guest-image"):
        reported.cache.remove(entry)
    bundle = bundle_of(reported, tmp_path)
    assert left_out(bundle)["kernel patched"] == "it is not in the cache any more"
    assert left_out(bundle)["image guest"] == "it is not in the cache any more"
    patched = bundle.kernel("patched")
    assert (patched.key, patched.config, patched.bzimage, len(patched.patches)) == (None, None, None, 19)


def test_a_patch_that_is_gone_with_its_kernel_is_said(reported, tmp_path):
    for entry in reported.cache.entries("kernel"):
        reported.cache.remove(entry)
    (reported.home / "mine/0001-mine.patch").unlink()
    bundle = bundle_of(reported, tmp_path)
    member = "inputs/kernels/patched/patches/0001-mine.patch"
    assert left_out(bundle)[member] == "there is no 0001-mine.patch any more as it was built in"
    (bundle.directory / "inputs/kernels/tree/tree/linux").mkdir(parents=True)
    with pytest.raises(InputError, match=r"lists 0001-mine\.patch, which is not there"):
        read_kernel_catalogue(read_topology(bundle.topology), IMAGES)


def test_what_a_recording_kept_of_its_kernels_is_enough(reported, tmp_path):
    (kernel,) = [one for one in reported.plan().kernels if one.name == "patched"]
    keep_given(kernel, reported.recording / "kernels/patched")
    for entry in reported.cache.entries("kernel"):
        reported.cache.remove(entry)
    shutil.rmtree(reported.home / "mine")
    bundle = bundle_of(reported, tmp_path)
    inputs = bundle.directory / "inputs/kernels/patched"
    assert (inputs / "patches/0001-mine.patch").read_text() == f"Subject: mine\n\n{DIFF}"
    assert (inputs / "config/1/my.config").read_text() == "CONFIG_SCHED_DEBUG=y\n"
    assert len(bundle.kernel("patched").patches) == 19


def test_a_shipped_series_that_lay_elsewhere_is_found_by_what_it_does(reported, tmp_path):
    """As after `lab repro`, which unpacks a bundle for as long as it runs."""
    plan = reported.plan()
    kernels = []
    for kernel in plan.kernels:
        series = [path for path in kernel.patches if "paravirt-cpus" in path]
        moved = dataclasses.replace(
            kernel,
            patches=tuple(f"/gone/{Path(path).name}" for path in series),
            fragments=tuple(f"/gone/{Path(path).name}" for path in kernel.fragments[:3] if series),
        )
        kernels.append(moved)
        if series:
            there = dataclasses.replace(kernel, patches=tuple(series), fragments=kernel.fragments[:3])
            key = add_kernel(reported.cache, there)
            shutil.rmtree(reported.cache.root / "kernel" / key / "given")
    write(
        reported.recording / "plan.json",
        render_plan_json(dataclasses.replace(plan, kernels=tuple(kernels))),
    )
    patched = bundle_of(reported, tmp_path).kernel("patched")
    assert patched.key == key
    assert (len(patched.patches), len(patched.fragments)) == (18, 3)


def test_parts_are_left_out_and_added(reported, tmp_path):
    bundle = bundle_of(reported, tmp_path, parts=frozenset({"vmlinux", "modules"}))
    names = {one.path for one in bundle.manifest.files}
    assert {"kernels/patched/vmlinux", "kernels/patched/modules.cpio"} <= names
    assert not {name for name in names if name.endswith(("bzImage", "build.log", "console.log"))}
    said = left_out(bundle)
    assert said["bzImage of kernel patched"] == "without kernels"
    assert said["consoles"] == "without consoles"
    (tmp_path / "all").mkdir()
    everything = bundle_of(reported, tmp_path / "all", parts=frozenset(PARTS), redact=False)
    assert "recording/host/traces/contended/cpu0.raw" in {one.path for one in everything.manifest.files}


def test_what_is_no_part_of_a_recording_stays_at_home(reported, tmp_path):
    bundle = bundle_of(reported, tmp_path, redact=False)
    assert left_out(bundle)["recording/core.dump"] == "it is not known as a part of a recording"
    assert not list(bundle.directory.rglob("core.dump")) + list(bundle.directory.rglob("report.html"))


def test_links_out_of_a_recording_are_not_followed(reported, tmp_path):
    secret = write(tmp_path / "secret", "do not tell")
    (reported.recording / "guests/two/console.log").symlink_to(secret)
    bundle = bundle_of(reported, tmp_path)
    assert not any(
        b"do not tell" in path.read_bytes() for path in bundle.directory.rglob("*") if path.is_file()
    )


def test_it_can_be_judged_there(reported, tmp_path):
    bundle = bundle_of(reported, tmp_path)
    document = json.loads((bundle.recording / "verdicts.json").read_text())
    assert bundle.manifest.verdict == document["outcome"] == "passed"


def test_a_recording_that_was_cut_short_is_bundled(reported, tmp_path):
    for name in ("events.jsonl", "kvmstats.jsonl", "host/probe.stream", "guests/two/probe.stream"):
        data = (reported.recording / name).read_bytes()
        write(reported.recording / name, data[: len(data) // 3])
    bundle = bundle_of(reported, tmp_path)
    assert bundle.manifest.verdict in (None, "undecided", "failed")
    assert Recording(bundle.recording).plan().name == "pair"


def test_a_recording_without_any_stream_is_bundled(reported, tmp_path):
    for path in (*reported.recording.rglob("*.stream"), *reported.recording.rglob("*.jsonl")):
        path.unlink()
    bundle = bundle_of(reported, tmp_path)
    assert bundle.manifest.verdict != "passed"


def test_a_lost_attempt_comes_with_it(reported, tmp_path):
    aside = reported.recording / "lost/1"
    shutil.copytree(reported.recording, aside, ignore=shutil.ignore_patterns("lost", "core.dump"))
    bundle = bundle_of(reported, tmp_path)
    (lost,) = Recording(bundle.recording).lost_attempts()
    assert Recording(lost).plan().name == "pair"
    assert "jdoe" not in (lost / "plan.json").read_text()


def test_addresses_of_a_lost_attempt_are_the_labs_own(reported, tmp_path):
    aside = reported.recording / "lost/1"
    shutil.copytree(reported.recording, aside, ignore=shutil.ignore_patterns("lost", "core.dump"))
    plan = reported.plan()
    network = dataclasses.replace(plan.network, gateway="10.99.98.1")
    write(aside / "plan.json", render_plan_json(dataclasses.replace(plan, network=network)))
    write(aside / "guests/one/console.log", "10.99.98.2 asked 10.97.96.2")
    bundle = bundle_of(reported, tmp_path)
    console = (bundle.recording / "lost/1/guests/one/console.log").read_text()
    assert console == "10.99.98.2 asked ADDRESS"


def test_host_and_knobs_are_told(reported, tmp_path):
    bundle = bundle_of(reported, tmp_path)
    host = json.loads((bundle.directory / "host.json").read_text())
    assert host["facts"]["qemu"] == "9.2.0"
    assert host["facts"]["where"] == "ssh://user@host"
    assert host["settings"] == {"/sys/devices/system/cpu/smt/active": "1"}
    knobs = json.loads((bundle.directory / "knobs.json").read_text())
    assert list(knobs) == ["avoid_cpus"]
    assert {one["generation"] for one in knobs["avoid_cpus"]["backends"]}


def test_seeds_are_told_by_their_places(reported, tmp_path):
    text = (
        TOPOLOGY + "arms:\n  - {name: a}\n  - {name: b, set: [{nodes: two, knob: avoid_cpus, value: ''}]}\n"
    )
    write(reported.recording / "topology.yaml", text + "repeats: {count: 3, seed: 42}\n")
    assert bundle_of(reported, tmp_path).manifest.seeds == {"repeats.seed": 42}


def test_the_readme_says_what_it_is_and_what_is_missing(reported, tmp_path):
    bundle = bundle_of(reported, tmp_path)
    readme = (bundle.directory / "README.txt").read_text()
    for words in (
        "Bundle of pair",
        "lab repro FILE.tar.zst",
        "6.12.117",
        "19 in inputs/",
        "source of kernel tree: sources are told by reference",
    ):
        assert words in readme


@pytest.mark.parametrize(
    ("text", "words"), [("a: [", "cannot be read"), ("[]", "no topology.yaml"), ("", "no topology.yaml")]
)
def test_a_recording_without_its_topology_is_told(reported, tmp_path, text, words):
    write(reported.recording / "topology.yaml", text)
    with pytest.raises(RecordingError, match=words):
        reported.collect(tmp_path / "stage")


def test_names_that_no_bundle_can_have_are_told(tmp_path):
    write(tmp_path / "a\nb", "x")
    with pytest.raises(InputError, match=r"'a\\nb' cannot be in a bundle: it has the character U\+000A"):
        list_members(tmp_path)
