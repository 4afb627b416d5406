#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""`lab up` against the same two domains started by bare `virsh create`, side by side in one run.

    bench_up.py [PAIRS]      default 5

Both are timed as whole commands on this machine, on a warm host with everything built, and both end when the
last of two guests' probes has spoken. The bare way is what one would type: one ssh session that starts both
domains with `virsh create`, one after the other, and waits for the probes' first words; network, images and
definitions are in place before its clock starts. Prints each pair, the medians and the ratio.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from lab.adapters.hosts import LibvirtHost
from lab.adapters.nested import NestedHost
from lab.artifacts.probe import ensure_probe
from lab.places import find_places
from lab.plan.domainxml import render_domain_xml, render_network_xml
from lab.plan.labplan import LabPlan
from lab.run.boot import GuestFiles, GuestKeys, stage_guests
from lab.run.ports import Host
from lab.topology.decode import read_topology
from lab.wiring import Wiring, make_keys

ROOT = Path(__file__).parents[2]
TOPOLOGY = ROOT / "topologies/quickstart.yaml"
LAB = Path(sys.executable).parent / "lab"


class Silent:
    """Tells nobody."""

    def say(self, text: str) -> None:
        pass

    def step(self, what: str) -> None:
        pass

    def update(self, done: float | None, text: str) -> None:
        pass


def timed(argv: list[str], script: str | None = None) -> float:
    started = time.perf_counter()
    subprocess.run(argv, input=script, text=True, check=True, capture_output=True, timeout=300)
    return time.perf_counter() - started


def time_lab() -> float:
    seconds = timed([str(LAB), "up", str(TOPOLOGY)])
    subprocess.run([LAB, "down"], check=True, capture_output=True, timeout=120)
    return seconds


class Bare:
    """The same two domains without the lab: everything staged, the network up, the definitions on the host."""

    def __init__(self, wiring: Wiring, host: Host, plan: LabPlan, remote: str, ssh: list[str]) -> None:
        self._host = host
        self._plan = plan
        self._ssh = ssh
        self._remote = remote
        local = wiring.places.state_dir / "bench"
        local.mkdir(exist_ok=True)
        host.shell.run(f"mkdir -p {remote}", timeout_s=60)
        keys = {node.name: GuestKeys("", *make_keys()) for node in plan.nodes}
        self._files = stage_guests(host, plan, wiring.launch(plan), keys, local, remote)
        self._probe = host.stage(ensure_probe(wiring.workshop).pvprobe)
        for node in plan.nodes:
            xml = local / f"{node.name}.xml"
            xml.write_text(render_domain_xml(plan, node, self._files[node.name].paths))
            host.shell.put(xml, f"{remote}/{node.name}.xml")

    def time(self) -> float:
        self._host.hypervisor.create_network(render_network_xml(self._plan))
        try:
            return timed(self._ssh, self._script())
        finally:
            for node in self._plan.nodes:
                self._host.hypervisor.destroy_domain(node.domain)
            self._host.hypervisor.destroy_network(self._plan.network.name)

    def _script(self) -> str:
        """A shell script: `virsh create` for each, then wait until the probe on the host has heard them all."""
        create = [f"virsh -q create {self._remote}/{node.name}.xml" for node in self._plan.nodes]
        watch = "; ".join(f"echo guest {name} {_watched(files)}" for name, files in self._files.items())
        wait = (
            f"rm -f {self._remote}/in; mkfifo {self._remote}/in\n"
            f"{self._probe} host --out {self._remote}/host.stream --interval 100 <{self._remote}/in |\n"
            f"{{ exec 3>{self._remote}/in; ({watch}) >&3; heard=0\n"
            f"while [ $heard -lt {len(self._files)} ] && read -r kind rest; do\n"
            "    [ $kind = ready ] && heard=$((heard + 1))\n"
            "done; echo quit >&3; }"
        )
        return "set -e\n" + "\n".join([*create, wait]) + "\n"


def _watched(files: GuestFiles) -> str:
    return shlex.join([files.pid_file, files.paths.probe_socket, files.stream, files.paths.console_log])


@contextmanager
def opened(wiring: Wiring) -> Iterator[tuple[Host, list[str]]]:
    where = wiring.resolve_where(os.environ.get("LAB_HOST", "auto"))
    with wiring.open_host(where) as host:
        assert isinstance(host, LibvirtHost | NestedHost)
        nested = ["ssh", "-F", str(wiring.host_vm.ssh_config), "lab-host", "sh", "-s"]
        yield host, nested if where == "nested" else ["sh", "-s"]


def main(pairs: int) -> None:
    wiring = Wiring(find_places(os.environ), Silent(), Silent())
    with opened(wiring) as (host, ssh):
        plan = wiring.plan(read_topology(TOPOLOGY), host.facts)
        remote = f"{host.facts.store_dir}/bench"
        bare = Bare(wiring, host, plan, remote, ssh)
        time_lab(), bare.time()  # one of each that does not count: caches on the host fill
        lab_s, bare_s = [], []
        for number in range(1, pairs + 1):
            lab_s.append(time_lab())
            bare_s.append(bare.time())
            print(f"pair {number}: lab up {lab_s[-1]:.2f} s, bare {bare_s[-1]:.2f} s", flush=True)
        host.shell.run(f"rm -rf {remote}", timeout_s=60)
    ratios = [ours / theirs for ours, theirs in zip(lab_s, bare_s, strict=True)]
    print(f"median: lab up {median(lab_s):.2f} s, bare virsh create {median(bare_s):.2f} s")
    print(f"ratio pair by pair: min {min(ratios):.2f}, median {median(ratios):.2f}, max {max(ratios):.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
