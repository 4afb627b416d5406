# SPDX-License-Identifier: GPL-2.0-only
"""A recording of somebody who has secrets, with a cache of what was built for it, all made of small files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cli.recordings import write_recording
from fakes import RecordedProgress

from lab.artifacts.cache import Cache
from lab.artifacts.catalogue import read_kernel_catalogue
from lab.artifacts.given import keep_given
from lab.artifacts.patches import patch_digest, read_patches
from lab.artifacts.recipe import recipe_inputs
from lab.artifacts.workshop import file_digest
from lab.bundle.collect import Choices, Sources, collect_bundle
from lab.bundle.manifest import PARTS, USUALLY_LEFT_OUT, Manifest, Part
from lab.bundle.redact import Secrets
from lab.plan.decide import plan_lab
from lab.plan.facts import HostFacts
from lab.plan.labplan import KernelPlan, LabPlan, render_plan_json
from lab.topology.decode import read_topology

IMAGES = Path(__file__).parents[3] / "images"
#: Of a real machine: what the shells 8635 to 8637 did, one of which starts `sleep` again and again.
TRACE = Path(__file__).parents[2] / "data/traces/host-6.18-mono"
DIFF = "--- a/kernel/sched/fair.c\n+++ b/kernel/sched/fair.c\n@@ -1 +1 @@\n-a\n+b\n"

TOPOLOGY = """\
version: 1
name: pair
description: what jdoe saw on darkstar
host: {where: "ssh://jdoe@buildbox.example.org", pcpus: "0"}
knob_files: [../knobs/mine.yaml, ../knobs/more]
kernels:
  plain: {source: {debian: "6.12"}}
  patched:
    source: {debian: "6.12"}
    patches: [paravirt-cpus, ../mine/0001-mine.patch]
    config: [../mine/my.config]   # for debugging
  tree: {source: {tree: ../linux, ref: v6.12}}
defaults:
  node: {vcpus: 1, pinning: ["0"], kernel: tree}
nodes:
  - name: one
  - {name: two, kernel: patched}
load:
  - name: busy
phases:
  - name: contended
    start: [busy]
    duration: 15s
    set: [{nodes: two, knob: avoid_cpus, value: ""}]
expect:
  - steal: {phase: contended, min: 40%, max: 60%}
  - agreement: {max: 2%}
"""
MINE = """\
version: 1
knobs:
  my.knob: {type: integer, doc: mine, backends: [{kind: file, path: /proc/sys/my}]}
"""

#: What must not be found in a redacted bundle, in any file.
NEEDLES = (
    "darkstar",
    "jdoe",
    "buildbox",
    "corp.example",
    "192.0.2.17",
    "2001:db8::17",
    "3c:ec:ef:12:34:56",
    "secretd",
    "BEGIN OPENSSH",
    "b3BlbnNzaC1rZXk",
    "AAAAC3NzaC1lZDI1",
    "/srv/private",
)

CONSOLE = """\
[    0.0] Linux version 6.12.117 (lab@lab)
[    1.0] at /home/jdoe/linux/kernel/sched/fair.c:17, told darkstar.example.org
[    1.1] peers 192.0.2.17 and 2001:db8::17 by 3c:ec:ef:12:34:56; own {gateway}, 127.0.0.1, 52:54:00:12:34:56
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXk=
-----END OPENSSH PRIVATE KEY-----
ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB jdoe@darkstar
"""
SNAPSHOT = """\
s 100 phase-start contended
k cpu0 1 2 3 4 5 6 7 8 9 10
t 1 1 - 0 27 880063169 0 0-2 init
t 7 7 @kernel 0 27 880063169 0 0-2 kworker/0:0-events
t 8 8 - 0 27 880063169 0 0-2 secretd of jdoe
t 9 9 - 0 27 880063169 0 0-2 secretd of jdoe
t 10 10 one 0 27 880063169 0 0-2 CPU 0/KVM
f /sys/devices/system/cpu/smt/active 1
z 200 5
"""


@dataclass(frozen=True)
class Reported:
    """A recording below a home directory `root`/home/jdoe, and the cache that belongs to it."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home/jdoe"

    @property
    def recording(self) -> Path:
        return self.home / "recordings/pair"

    @property
    def cache(self) -> Cache:
        return Cache(self.root / "srv/private/cache", RecordedProgress())

    @property
    def topology(self) -> Path:
        return self.home / "topologies/pair.yaml"

    @property
    def secrets(self) -> Secrets:
        return Secrets(
            machines=("darkstar.example.org", "darkstar"),
            users=("jdoe", "root"),
            paths={str(self.home): "HOME", str(self.cache.root): "CACHE", "/srv/private": "STATE"},
        )

    def plan(self, where: str = "ssh://jdoe@buildbox.example.org") -> LabPlan:
        facts = HostFacts(
            where,
            (0, 1),
            4096,
            emulated=False,
            store_dir="/srv/private/store",
            kernel="6.1.0-jdoe",
            qemu="9.2.0",
        )
        topology = read_topology(self.topology)
        return plan_lab(topology, facts, "cafe01", read_kernel_catalogue(topology, IMAGES))

    def collect(self, stage: Path, *, redact: bool = True, parts: frozenset[Part] | None = None) -> Manifest:
        usual = frozenset(part for part in PARTS if part not in USUALLY_LEFT_OUT)
        chosen = Choices(usual if parts is None else parts, self.secrets if redact else None)
        stage.mkdir()
        return collect_bundle(self.recording, Sources(self.cache, IMAGES), chosen, stage)


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def make_reported(root: Path, where: str = "ssh://jdoe@buildbox.example.org") -> Reported:
    """All of it: files that the topology names, the recording, kernels and images."""
    one = Reported(root)
    write(one.topology, TOPOLOGY)
    write(one.home / "knobs/mine.yaml", MINE)
    write(one.home / "knobs/more/other.yaml", MINE.replace("my.knob", "other.knob"))
    write(one.home / "mine/0001-mine.patch", f"Subject: mine\n\n{DIFF}")
    write(one.home / "mine/my.config", "CONFIG_SCHED_DEBUG=y\n")
    write(one.home / "linux/Kconfig", "")
    _write_recording(one, where)
    for kernel in one.plan(where).kernels:
        add_kernel(one.cache, kernel)
    add_image(one.cache, "guest")
    return one


def _write_recording(one: Reported, where: str) -> None:
    directory = write_recording(one.recording)
    plan = one.plan(where)
    write(directory / "plan.json", render_plan_json(plan))
    write(directory / "topology.yaml", TOPOLOGY)
    write(directory / "guests/one/console.log", CONSOLE.format(gateway=plan.network.gateway))
    write(directory / "guests/one/domain.xml", "<source file='/srv/private/store/root.erofs'/>\n")
    write(directory / "guests/one/loads/busy/0.out", "on darkstar\n")
    shutil.copytree(TRACE, directory / "host/traces/contended")
    write(directory / "host/traces/contended/threads", "8635 busy hog 0\n")
    write(directory / "definitions/knob_files/1/mine.yaml", MINE)
    write(directory / "definitions/knob_files/2/other.yaml", MINE.replace("my.knob", "other.knob"))
    write(directory / "report.html", "made by jdoe")
    write(directory / "core.dump", b"jdoe")
    with (directory / "events.jsonl").open("a") as events:
        events.write(json.dumps({"t_ns": 5, "kind": "note", "text": f"{one.home}/x lost on darkstar"}) + "\n")
    with (directory / "host/probe.stream").open("a") as stream:
        stream.write(SNAPSHOT)


def add_kernel(cache: Cache, plan: KernelPlan, inputs: Mapping[str, Any] | None = None) -> str:
    """An entry as a build leaves it; its key."""
    source = "debian linux-source-6.12 6.12.117-1" if plan.source.kind == "debian" else f"git {'0' * 40}"
    patches = read_patches(tuple(map(Path, plan.patches)))
    known = {
        "compiler": "gcc 12",
        "source": source,
        "patches": [patch_digest(patch) for patch in patches],
        "fragments": [[Path(path).name, file_digest(Path(path))] for path in plan.fragments],
        "name": plan.name,
        **(inputs or {}),
    }

    def build(directory: Path) -> None:
        write(directory / "about.json", '{"release": "6.12.117", "work": 1}')
        write(directory / "config", "# made in /home/jdoe/linux\nCONFIG_SMP=y\n")
        write(directory / "build.log", "$ make -C /srv/private/cache/work\n  CC      init/main.o\n")
        for name in ("bzImage", "vmlinux", "modules.cpio"):
            write(directory / name, f"{name} of {plan.name}")
        keep_given(plan, directory)

    return cache.ensure("kernel", known, build).name


def add_image(cache: Cache, kind: str) -> None:
    def build(directory: Path) -> None:
        write(directory / "root.erofs", b"erofs")
        write(directory / "packages.txt", "busybox-static 1.37 amd64\n")
        write(directory / "build.log", "$ mmdebstrap 'deb http://mirror.corp.example/debian trixie main'\n")

    cache.ensure(f"{kind}-image", {**recipe_inputs(IMAGES / kind), "programs": {}}, build)


def change_plan(one: Reported, **changes: Any) -> None:
    """Let the recording have another plan."""
    path = one.recording / "plan.json"
    plan = one.plan()
    write(path, render_plan_json(replace(plan, **changes)))
