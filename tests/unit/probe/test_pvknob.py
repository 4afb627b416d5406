# SPDX-License-Identifier: GPL-2.0-only
"""pvknob on trees that look like a kernel: every kind of knob, refusals, what brings values back, who is let in."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from pathlib import Path

import pytest

from lab.run.pvknob import Answer, Line, escape, parse_answer, parse_line

RELEASE = os.uname().release
LOADER = Path(__file__).with_name("fake_loader.sh")


class Tree:
    """A root directory for pvknob."""

    def __init__(self, program: Path, root: Path) -> None:
        self.program, self.root = program, root
        self.put("/proc/sys/kernel/random/boot_id", "boot-1\n")
        self.put("/proc/mounts", "debugfs /sys/kernel/debug debugfs rw 0 0\ncgroup2 /cg cgroup2 rw 0 0\n")

    def put(self, path: str, text: str, mode: int = 0o644) -> Path:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    def text(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text()

    def run(
        self, *words: str, options: tuple[str, ...] = (), stdin: bytes = b""
    ) -> subprocess.CompletedProcess:
        command = [str(self.program), "--root", str(self.root), *options, *words]
        return subprocess.run(command, input=stdin, capture_output=True, timeout=20)

    def ask(self, *words: str, options: tuple[str, ...] = (), stdin: bytes = b"") -> Answer:
        done = self.run(*words, options=options, stdin=stdin)
        return parse_answer(done.returncode, done.stdout.decode(), done.stderr.decode(), " ".join(words))

    def get(self, word: str) -> Line:
        (line,) = self.ask("get", word).lines
        return line

    def state(self, word: str) -> str:
        (line,) = self.ask("probe", word).lines
        return line.kind

    def set(self, word: str, value: str) -> Line:
        (line,) = self.ask("set", word, escape(value)).lines
        return line


@pytest.fixture
def tree(built: Path, tmp_path: Path) -> Tree:
    return Tree(built / "pvknob", tmp_path / "root")


def back(line: Line) -> tuple[str, str]:
    return line["undo"], line["back"]


# ---- one file


@pytest.mark.parametrize(
    ("word", "path"),
    [
        ("file:/sys/devices/system/cpu/paravirt", "/sys/devices/system/cpu/paravirt"),
        ("debugfs:sched/steal_monitor/enable", "/sys/kernel/debug/sched/steal_monitor/enable"),
        ("sysctl:kernel.panic", "/proc/sys/kernel/panic"),
        ("sysctl:net.ipv4.conf.eth0/5.forwarding", "/proc/sys/net/ipv4/conf/eth0.5/forwarding"),
        ("module_parameter:kvm-amd/nested", "/sys/module/kvm_amd/parameters/nested"),
        ("module_parameter+reload:kvm/x", "/sys/module/kvm/parameters/x"),
    ],
)
def test_kinds_that_are_one_file(tree: Tree, word: str, path: str) -> None:
    assert tree.state(word) == "absent"
    tree.put(path, "7\n")
    assert tree.state(word) == "writable"
    assert (tree.get(word)["value"], tree.get(word)["place"]) == ("7", str(tree.root) + path)
    line = tree.set(word, "8")
    assert (line.kind, line["old"], line["new"], back(line)) == ("set", "7", "8", (word, "7"))
    assert int(line["t0_ns"]) <= int(line["t1_ns"]) <= time.monotonic_ns()
    assert tree.text(path) == "8\n"


def test_a_file_of_the_kernel_is_writable_by_its_mode(tree: Tree) -> None:
    tree.put("/sys/x", "0\n", 0o444)
    assert tree.state("file:/sys/x") == "readable"
    (tree.root / "sys/dir").mkdir()
    assert tree.state("file:/sys/dir") == "absent"


@pytest.mark.parametrize(
    "value", ["", "a b", "two\nlines", "back\\slash", "\x00\x01", "ä", "\udcff", "x" * 65536]
)
def test_odd_values_go_and_come_back_as_they_are(tree: Tree, value: str) -> None:
    tree.put("/sys/x", "old\n")
    line = tree.set("file:/sys/x", value)
    assert line["new"] == value
    written = (tree.root / "sys/x").read_bytes()
    assert written == value.encode(errors="surrogateescape") + b"\n"


def test_a_value_on_standard_input_is_taken_as_it_is(tree: Tree) -> None:
    tree.put("/sys/x", "old\n")
    (line,) = tree.ask("set", "file:/sys/x", stdin=b"a\\x20b\nc").lines
    assert line["new"] == "a\\x20b\nc"


def test_several_in_order_until_one_is_refused(tree: Tree) -> None:
    tree.put("/sys/a", "1\n")
    tree.put("/sys/c", "1\n")
    lines = tree.ask("set", "file:/sys/a", "2", "file:/sys/b", "2", "file:/sys/c", "2").lines
    assert [line.kind for line in lines] == ["set", "refused"]
    assert lines[1]["errno"] == "ENOENT"
    assert (tree.text("/sys/a"), tree.text("/sys/c")) == ("2\n", "1\n")


def test_of_a_list_the_chosen_word_brings_it_back(tree: Tree) -> None:
    tree.put("/sys/thp", "always [madvise] never\n")
    assert back(tree.get("file:/sys/thp")) == ("file:/sys/thp", "madvise")
    for text in ("[alone]", "a[1] b", "one [two] [three]", "x\n[y] z"):
        tree.put("/sys/other", text + "\n")
        assert back(tree.get("file:/sys/other")) == ("file:/sys/other", text)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may write there")
def test_the_kernels_refusal_names_the_errno_and_what_it_holds(built: Path) -> None:
    """On the real kernel, whose file takes no letters."""
    place = "/proc/sys/kernel/panic_on_warn"
    held = Path(place).read_text().strip()
    words = [str(built / "pvknob"), "set", f"file:{place}", "letters"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=20)
    (line,) = parse_answer(done.returncode, done.stdout, done.stderr, "").lines
    assert (line.kind, line["errno"], line["old"], line["new"]) == ("refused", "EINVAL", held, held)
    assert line.why == "Invalid argument (EINVAL)"
    assert Path(place).read_text().strip() == held


# ---- the scheduler's features


def test_scheduler_features(tree: Tree) -> None:
    word = "sched_feature:NEXT_BUDDY"
    assert tree.get(word)["errno"] == "ENOENT"
    tree.put("/sys/kernel/debug/sched/features", "PLACE_LAG NO_NEXT_BUDDY NEXT\n")
    assert tree.get("sched_feature:NEXT_BUDD").kind == "absent"
    assert back(tree.get(word)) == (word, "0")
    assert tree.get("sched_feature:PLACE_LAG")["value"] == "1"
    for value in ("1", "Y", "NEXT_BUDDY"):
        tree.put("/sys/kernel/debug/sched/features", "PLACE_LAG NO_NEXT_BUDDY\n")
        tree.ask("set", word, value)
        assert tree.text("/sys/kernel/debug/sched/features") == "NEXT_BUDDY\n"
    for value in ("0", "off", "NO_NEXT_BUDDY"):
        tree.put("/sys/kernel/debug/sched/features", "NEXT_BUDDY\n")
        tree.ask("set", word, value)
        assert tree.text("/sys/kernel/debug/sched/features") == "NO_NEXT_BUDDY\n"
    assert tree.set(word, "PLACE_LAG")["errno"] == "EINVAL"


def test_scheduler_features_before_5_13(tree: Tree) -> None:
    tree.put("/sys/kernel/debug/sched_features", "PLACE_LAG\n")
    assert tree.get("sched_feature:PLACE_LAG")["value"] == "1"


# ---- CPUs


def put_cpus(tree: Tree, *online: str | None) -> None:
    for cpu, state in enumerate(online):
        tree.put(f"/sys/devices/system/cpu/cpu{cpu}/topology/core_id", "0\n")
        if state is not None:
            tree.put(f"/sys/devices/system/cpu/cpu{cpu}/online", f"{state}\n")
    tree.put("/sys/devices/system/cpu/cpufreq/x", "")


def test_cpus_are_put_online_and_offline_by_a_list(tree: Tree) -> None:
    put_cpus(tree, None, "1", "1", "0")
    assert tree.get("cpu_online:")["value"] == "0-2"
    line = tree.set("cpu_online:", "0,3")
    assert (line["old"], line["new"], back(line)) == ("0-2", "0,3", ("cpu_online:", "0-2"))
    assert [tree.text(f"/sys/devices/system/cpu/cpu{cpu}/online") for cpu in (1, 2, 3)] == [
        "0\n",
        "0\n",
        "1\n",
    ]


@pytest.mark.parametrize(
    ("value", "errno", "why"),
    [
        ("1", "EPERM", "CPU 0 cannot"),
        ("0-9", "EINVAL", "no CPU 4"),
        ("", "EINVAL", "list"),
        ("x", "EINVAL", "list"),
    ],
)
def test_lists_of_cpus_that_cannot_be(tree: Tree, value: str, errno: str, why: str) -> None:
    put_cpus(tree, None, "1", "1", "0")
    line = tree.set("cpu_online:", value)
    assert (line.kind, line["errno"]) == ("refused", errno)
    assert why in line["why"]
    assert tree.get("cpu_online:")["value"] == "0-2"


def test_cpus_that_cannot_be_moved(tree: Tree) -> None:
    assert tree.state("cpu_online:") == "absent"
    put_cpus(tree, None, None)
    assert tree.state("cpu_online:") == "readable"


# ---- control groups


def test_an_isolated_partition_needs_a_kernel_with_cpusets(tree: Tree) -> None:
    assert tree.state("isolated_partition:lab") == "absent"
    tree.put("/cg/cgroup.controllers", "cpu memory\n")
    assert "no cpuset" in tree.get("isolated_partition:lab")["why"]
    tree.put("/cg/cgroup.controllers", "cpuset cpu memory\n")
    assert tree.state("isolated_partition:lab") == "writable"
    assert tree.get("isolated_partition:lab")["value"] == ""
    tree.put("/cg/lab/cpuset.cpus.partition", "isolated\n")
    tree.put("/cg/lab/cpuset.cpus", "1-2\n")
    assert tree.get("isolated_partition:lab")["value"] == "1-2"
    tree.put("/cg/lab/cpuset.cpus.partition", "isolated invalid (cpu list empty)\n")
    assert tree.get("isolated_partition:lab")["value"] == ""


def test_control_groups_of_vcpus_are_found_by_their_threads(tree: Tree) -> None:
    tree.put("/run/libvirt/qemu/lab-a-g1.pid", "77\n")
    for tid, name, group in (
        (77, "qemu", "emulator"),
        (78, "CPU 0/KVM", "vcpu0"),
        (79, "CPU 1/KVM", "vcpu1"),
    ):
        tree.put(f"/proc/77/task/{tid}/comm", f"{name}\n")
        tree.put(f"/proc/77/task/{tid}/cgroup", f"4:cpu:/old\n0::/machine/g1/{group}\n")
        tree.put(f"/cg/machine/g1/{group}/cpu.max", "max 100000\n")
    line = tree.set("cgroup:lab-a-g1/vcpu1/cpu.max", "50000 100000")
    assert (line["old"], line["new"]) == ("max 100000", "50000 100000")
    assert tree.text("/cg/machine/g1/vcpu1/cpu.max") == "50000 100000\n"
    assert tree.get("cgroup:lab-a-g1/cpu.max")["place"].endswith("/cg/machine/g1/emulator/cpu.max")
    assert "no thread of vCPU 2" in tree.get("cgroup:lab-a-g1/vcpu2/cpu.max")["why"]
    assert tree.get("cgroup:lab-a-g2/vcpu0/cpu.max").kind == "absent"
    assert tree.get("cgroup:cpu.max")["errno"] == "EINVAL"


@pytest.mark.parametrize("below", ["", "/emulator", "/libvirt/emulator"])
def test_the_control_group_of_a_domain_is_above_those_of_its_threads(tree: Tree, below: str) -> None:
    tree.put("/run/libvirt/qemu/lab-a-g1.pid", "77\n")
    tree.put("/proc/77/task/77/cgroup", f"0::/machine/g1{below}\n")
    tree.put("/cg/machine/g1/cpu.weight", "100\n")
    line = tree.set("domain_cgroup:lab-a-g1/cpu.weight", "300")
    assert (line["old"], line["new"]) == ("100", "300")
    assert tree.text("/cg/machine/g1/cpu.weight") == "300\n"
    assert tree.get("domain_cgroup:lab-a-g2/cpu.weight").kind == "absent"
    assert tree.get("domain_cgroup:cpu.weight")["errno"] == "EINVAL"


# ---- the command line


def test_the_command_line_can_be_read_only(tree: Tree) -> None:
    tree.put("/proc/cmdline", "quiet nohz_full=1 nohz_full=2-3\n")
    assert tree.get("cmdline:nohz_full")["value"] == "2-3"
    assert tree.get("cmdline:quiet")["value"] == "quiet"
    assert (tree.state("cmdline:nohz"), tree.get("cmdline:nohz")["value"]) == ("readable", "")
    assert tree.set("cmdline:nohz_full", "1")["errno"] == "EROFS"


# ---- modules

PARAMETERS = {"high_threshold": "500", "interval_ms": "1000", "low_threshold": "200"}


@pytest.fixture
def governor(tree: Tree) -> Tree:
    """A module whose parameters cannot be written once it is loaded, and that wants low < high."""
    directory = f"/lib/modules/{RELEASE}"
    tree.put(f"{directory}/modules.dep", "kernel/dep.ko:\nkernel/steal-governor.ko: kernel/dep.ko\n")
    tree.put(f"{directory}/kernel/dep.ko", "")
    file = tree.root / directory.lstrip("/") / "kernel/steal-governor.ko"
    file.write_bytes(b"ELF" + b"".join(f"\0parmtype={name}:uint".encode() for name in PARAMETERS) + b"\0")
    tree.put("/sbin/loader", LOADER.read_text(), 0o755)
    (tree.root / "sys/module").mkdir(parents=True)
    return tree


def parameters(tree: Tree) -> dict[str, str]:
    found = (tree.root / "sys/module/steal_governor/parameters").glob("*")
    return {path.name: path.read_text().strip() for path in found}


def is_loaded(tree: Tree, name: str = "steal_governor") -> bool:
    return (tree.root / "sys/module" / name).exists()


MODULE = "module:steal_governor"
HIGH, LOW = (f"module_parameter+reload:steal_governor/{name}" for name in ("high_threshold", "low_threshold"))


def test_a_module_is_loaded_and_unloaded(governor: Tree) -> None:
    assert governor.state(MODULE) == "loadable"
    assert governor.state("module:nothing") == "absent"
    line = governor.set(MODULE, "1")
    assert (line["old"], line["new"], back(line)) == ("0", "1", (MODULE, "0"))
    assert is_loaded(governor, "dep"), "what it needs is loaded before"
    assert parameters(governor) == PARAMETERS
    line = governor.set(MODULE, "0")
    assert back(line) == (MODULE, "1 high_threshold=500 interval_ms=1000 low_threshold=200")
    assert not is_loaded(governor)


def test_a_parameter_by_reload_keeps_the_others(governor: Tree) -> None:
    governor.set(MODULE, "1 interval_ms=250")
    assert governor.state(HIGH) == "writable"
    assert governor.state(HIGH.replace("+reload", "")) == "readable"
    line = governor.set(HIGH, "600")
    assert (line["old"], line["new"]) == ("500", "600")
    assert back(line) == (MODULE, "1 high_threshold=500 interval_ms=250 low_threshold=200")
    assert parameters(governor) == {**PARAMETERS, "high_threshold": "600", "interval_ms": "250"}
    governor.set(*back(line))
    assert parameters(governor) == {**PARAMETERS, "interval_ms": "250"}


def test_parameters_of_one_module_are_one_load(governor: Tree) -> None:
    """One by one the first would be refused: low would not be less than high."""
    governor.set(MODULE, "1")
    lines = governor.ask("set", LOW, "700", HIGH, "900", MODULE, "1").lines
    assert [(line.kind, line["new"]) for line in lines] == [("set", "700"), ("set", "900"), ("set", "1")]
    assert len({line["t0_ns"] for line in lines}) == 1
    assert parameters(governor) == {**PARAMETERS, "low_threshold": "700", "high_threshold": "900"}


def test_a_module_that_does_not_load_is_as_it_was(governor: Tree) -> None:
    governor.set(MODULE, "1 interval_ms=250")
    line = governor.set(LOW, "700")
    assert (line.kind, line["errno"], line["old"], line["new"]) == ("refused", "EINVAL", "200", "200")
    assert parameters(governor) == {**PARAMETERS, "interval_ms": "250"}


def test_a_module_in_use_stays(governor: Tree) -> None:
    governor.set(MODULE, "1")
    governor.put("/sys/module/steal_governor/refcnt", "3\n")
    line = governor.set(HIGH, "600")
    assert (line.kind, line["errno"]) == ("refused", "EAGAIN")
    assert "3 users" in line["why"]
    assert parameters(governor) == PARAMETERS


def test_a_parameter_of_a_module_that_is_not_loaded_loads_it(governor: Tree) -> None:
    assert governor.state(HIGH) == "loadable"
    assert governor.state(HIGH.replace("high_", "other_")) == "absent"
    assert back(governor.get(HIGH)) == (MODULE, "0")
    line = governor.set(HIGH, "600")
    assert parameters(governor)["high_threshold"] == "600"
    governor.set(*back(line))
    assert not is_loaded(governor)


def test_values_with_spaces_and_unset_texts(governor: Tree) -> None:
    governor.set(MODULE, "1")
    governor.put("/sys/module/steal_governor/parameters/name", "(null)\n")
    governor.put("/sys/module/steal_governor/parameters/words", "a b\n")
    assert back(governor.get(MODULE))[1].endswith('low_threshold=200 words="a b"')


def test_what_is_built_in_cannot_be_unloaded(tree: Tree) -> None:
    tree.put("/sys/module/kvm/parameters/x", "1\n", 0o444)
    assert (tree.state("module:kvm"), tree.get("module:kvm")["value"]) == ("readable", "1")
    assert tree.set("module:kvm", "0")["errno"] == "EPERM"
    assert tree.state("module_parameter+reload:kvm/x") == "readable"


# ---- the kernel's log


def test_what_the_kernel_logs_meanwhile_is_told(governor: Tree) -> None:
    """The stand-in for the loader writes to the log when it refuses."""
    governor.set(MODULE, "1")
    governor.put("/dev/kmsg", "6,1,1,-;before\n")
    answer = governor.ask("set", LOW, "700")
    assert answer.log == ("steal_governor: low_threshold must be less than high_threshold",)


# ---- who is let in


def test_nobody_is_let_in_after_another_start(tree: Tree) -> None:
    tree.put("/sys/x", "1\n")
    assert tree.run("set", "file:/sys/x", "2", options=("--boot", "boot-0")).returncode == 3
    assert tree.text("/sys/x") == "1\n"
    assert tree.run("set", "file:/sys/x", "2", options=("--boot", "boot-1")).returncode == 0


def test_whoever_comes_too_late_is_not_let_in(tree: Tree, tmp_path: Path) -> None:
    tree.put("/sys/x", "1\n")
    fence = str(tmp_path / "fence")
    assert tree.run("set", "file:/sys/x", "2", options=("--fence", fence, "7")).returncode == 0
    assert tree.run("set", "file:/sys/x", "3", options=("--fence", fence, "7")).returncode == 0
    assert tree.run("get", "file:/sys/x", options=("--fence", fence, "12")).returncode == 0
    late = tree.run("set", "file:/sys/x", "4", options=("--fence", fence, "7"))
    assert late.returncode == 3
    assert b"\nstale " in late.stdout
    gone = tree.run("set", "file:/sys/x", "4", options=("--fence", str(tmp_path / "no/fence"), "20"))
    assert gone.returncode == 3
    assert tree.text("/sys/x") == "3\n"


def test_whoever_is_in_keeps_others_out(tree: Tree, tmp_path: Path) -> None:
    tree.put("/sys/x", "1\n")
    command = [str(tree.program), "--root", str(tree.root), "--fence", str(tmp_path / "fence"), "1"]
    with (tmp_path / "fence").open("w") as inside:
        fcntl.flock(inside, fcntl.LOCK_EX)
        waiting = subprocess.Popen([*command, "set", "file:/sys/x", "2"], stdout=subprocess.DEVNULL)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(0.3)
        assert tree.text("/sys/x") == "1\n"
    assert waiting.wait(10) == 0
    assert tree.text("/sys/x") == "2\n"


# ---- watching and usage


def test_watching_tells_changes_until_its_input_ends(tree: Tree) -> None:
    tree.put("/sys/x", "1\n")
    command = [str(tree.program), "--root", str(tree.root), "watch", "10", "file:/sys/x", "file:/sys/y"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None and watching.stdin is not None
        lines = [parse_line(watching.stdout.readline().strip()) for _ in range(3)][1:]
        assert [(line.kind, line["value"]) for line in lines] == [("value", "1"), ("value", "(ENOENT)")]
        tree.put("/sys/y", "new\n")
        line = parse_line(watching.stdout.readline().strip())
        assert (line.kind, line["word"], line["old"], line["value"]) == (
            "changed",
            "file:/sys/y",
            "(ENOENT)",
            "new",
        )
        watching.stdin.close()
        assert watching.wait(10) == 0


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("frob",),
        ("get", "nokind:x"),
        ("get", "file"),
        ("get", "file+twice:/x"),
        ("set",),
        ("set", "file:/x", "1", "file:/y"),
        ("set", "file:/x", "a\\b"),
        ("watch", "0", "file:/x"),
        ("--frob", "1", "get"),
    ],
)
def test_wrong_usage(tree: Tree, words: tuple[str, ...]) -> None:
    done = tree.run(*words)
    assert done.returncode == 2
    assert b"usage: pvknob" in done.stderr
