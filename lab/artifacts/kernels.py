# SPDX-License-Identifier: GPL-2.0-only
"""Kernels: built out of tree from a source, patches and config fragments, or taken as they are."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.artifacts.config import (
    Unmet,
    Wish,
    final_wishes,
    parse_config,
    parse_fragment,
    read_definitions,
    unstuck,
)
from lab.artifacts.given import keep_given
from lab.artifacts.modules import has_modules, module_names, read_modules_archive
from lab.artifacts.patches import Patch, apply_patches, patch_digest, read_patches
from lab.artifacts.source import Source, open_source
from lab.artifacts.workshop import Workshop, file_digest
from lab.errors import BuildFailed, CommandFailed, InputError
from lab.plan.labplan import KernelPlan, KernelSourcePlan

#: The ELF kernel with its symbols; kernels that were built before it was kept do not have it.
DEBUG_NAME = "vmlinux.debug"
#: Counts up when the code below makes another kernel out of the same inputs.
_VERSION = 1
_CONFIG_TIMEOUT_S = 300
_BUILD_TIMEOUT_S = 3 * 3600
_ERROR_LINES = 15
#: Lines of kbuild's output that stand for a piece of work done.
_WORK_LINE = re.compile(rb"^  (?:CC|AS|LD|AR|HOSTCC|OBJCOPY)  ", re.MULTILINE)
_ERROR_LINE = re.compile(r"\berror\b[: ]|: undefined reference|\*\*\* |No rule to make target", re.IGNORECASE)
#: The lab's own fragments, below `images`: they serve many kernel versions, so they may name symbols that one
#: version does not have.
_OWN_CONFIGS = Path("kernels", "configs")
HOST_KERNEL_SOURCE = KernelSourcePlan("debian", "6.12")


@dataclass(frozen=True)
class Architecture:
    """What a build needs to know of an architecture: its name under arch/, and where its image appears."""

    name: str
    image: str


ARCHITECTURES = {"x86_64": Architecture("x86", "arch/x86/boot/bzImage")}


@dataclass(frozen=True)
class BuiltKernel:
    """A kernel in the cache. At least one of `bzimage` and `vmlinux` is there; `vmlinux` is the uncompressed
    ELF, which QEMU starts through its PVH entry. `config`, `log` and `release` are what is known of a ready
    image: None, None and possibly "". `fragments` are the names of the fragments that went in. `modules` is a cpio
    archive of /lib/modules; None where the kernel has no modules.
    """

    bzimage: Path | None
    vmlinux: Path | None
    config: Path | None
    log: Path | None
    key: str
    release: str
    fragments: tuple[str, ...]
    modules: Path | None = None

    @property
    def boot_image(self) -> Path:
        """What to start: the uncompressed kernel where there is one, because it boots faster."""
        image = self.vmlinux or self.bzimage
        assert image is not None
        return image


def host_kernel_plan(images_dir: Path) -> KernelPlan:
    """The kernel of the emulated host VM: Debian's, unpatched, with KVM built in and nothing that patches
    code at run time."""
    names = ("base.config", "emulated.config", "host.config")
    fragments = tuple(str(images_dir / _OWN_CONFIGS / name) for name in names)
    return KernelPlan("host", HOST_KERNEL_SOURCE, (), fragments, "")


def ensure_kernel(workshop: Workshop, plan: KernelPlan, arch: str = "x86_64") -> BuiltKernel:
    """The kernel of `plan`, built or copied unless it is in the cache.

    Raises PatchRejected, BuildFailed (compiler's first errors, or config symbols that did not stick), and
    InputError for fragments, patches or sources that cannot be used.
    """
    if plan.source.kind == "image":
        return _ensure_ready_image(workshop, plan)
    source = open_source(workshop, plan.source)
    patches = read_patches(tuple(Path(path) for path in plan.patches))
    wishes = final_wishes([read_fragment(Path(path)) for path in plan.fragments])
    inputs = kernel_inputs(plan, patches, source.identity, read_compiler(workshop), arch)
    if workshop.bench_for(plan.source) and workshop.cache.find("kernel", inputs) is None:
        inputs["bench"] = True  # a clean build never gets what was made out of leftovers
    job = _Job(workshop, plan, source, patches, wishes, ARCHITECTURES[arch])
    return _built(workshop.cache.ensure("kernel", inputs, job.build), plan)


def kernel_inputs(
    plan: KernelPlan, patches: Sequence[Patch], source: str, compiler: str, arch: str
) -> dict[str, Any]:
    """Everything that decides what kernel comes out, for the cache's key.

    The kernel's name does not, and neither do names of patch files and what patches say besides their diffs.
    """
    inputs = {
        "version": _VERSION,
        "arch": arch,
        "compiler": compiler,
        "source": source,
        "patches": [patch_digest(patch) for patch in patches],
        "fragments": [[Path(path).name, file_digest(Path(path))] for path in plan.fragments],
    }
    # Whoever is strict must not be given what was built with symbols left out.
    tolerated = [Path(path).name for path in plan.tolerated]
    return {**inputs, "tolerated": tolerated} if tolerated else inputs


def read_fragment(path: Path) -> tuple[Wish, ...]:
    """The wishes in a fragment file. Raises InputError."""
    try:
        return parse_fragment(path.read_text(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"config fragment {path} cannot be read: {error}") from None


def read_compiler(workshop: Workshop) -> str:
    """The first line of `gcc --version`: it has Debian's package version too."""
    return workshop.commands.output(["gcc", "--version"], what="asking for gcc").splitlines()[0]


def _built(entry: Path, plan: KernelPlan) -> BuiltKernel:
    def present(name: str) -> Path | None:
        return entry / name if (entry / name).exists() else None

    about = json.loads((entry / "about.json").read_text())
    return BuiltKernel(
        bzimage=present("bzImage"),
        vmlinux=present("vmlinux"),
        config=present("config"),
        log=present("build.log"),
        key=entry.name,
        release=about["release"],
        fragments=tuple(Path(path).name for path in plan.fragments),
        modules=present("modules.cpio"),
    )


@dataclass(frozen=True)
class _Job:
    """One kernel build. Work happens in `work/src` and `work/obj` of the entry: side by side, so that every
    path the compiler sees is relative and ccache's results serve every build."""

    workshop: Workshop
    plan: KernelPlan
    source: Source
    patches: tuple[Patch, ...]
    wishes: tuple[Wish, ...]
    arch: Architecture

    def build(self, directory: Path) -> None:
        log = self.workshop.build_log("kernel", directory)
        self.workshop.progress.step(f"building kernel {self.plan.name} (log: {log})")
        self.workshop.progress.update(None, "copying the source")
        with self._workplace(directory, log) as work:
            self._build_in(work, directory, log)

    @contextmanager
    def _workplace(self, directory: Path, log: Path) -> Iterator[Path]:
        """Where the work happens, with the source in it: new and gone afterwards, or the bench."""
        bench = self.workshop.bench_for(self.plan.source)
        if bench is not None:
            with bench.opened(self.workshop.commands, log) as work:
                yield work
            return
        work = directory / "work"
        (work / "obj").mkdir(parents=True)
        self.source.unpack(work / "src", log)
        yield work
        shutil.rmtree(work)

    def _build_in(self, work: Path, directory: Path, log: Path) -> None:
        started = time.monotonic()
        self.workshop.progress.update(None, "applying patches")
        apply_patches(self.workshop.commands, work / "src", self.patches, work, log)
        self._configure(work, log)
        self._compile(work, log)
        self._keep(work, directory, log)
        keep_given(self.plan, directory)
        modules = self._keep_modules(work, directory, log)
        _write_about(directory, work, log, time.monotonic() - started, modules)

    def _make(self, work: Path, *words: str) -> list[str | Path]:
        paths: list[str | Path] = ["-C", work / "src", f"O={work / 'obj'}", f"ARCH={self.arch.name}"]
        return ["make", *paths, "CC=ccache gcc", f"-j{len(os.sched_getaffinity(0))}", *words]

    def _environment(self, work: Path) -> dict[str, str]:
        return {
            "CCACHE_DIR": str(self.workshop.cache.root / "ccache"),
            "CCACHE_BASEDIR": str(work),
            "CCACHE_NOHASHDIR": "1",
            "CCACHE_SLOPPINESS": "time_macros,file_macro",
            "CCACHE_COMPRESS": "1",
            "CCACHE_MAXSIZE": "10G",
            "CCACHE_UMASK": "022",
            "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970",
            "KBUILD_BUILD_USER": "lab",
            "KBUILD_BUILD_HOST": "lab",
        }

    def _run_make(
        self,
        work: Path,
        log: Path,
        words: tuple[str, ...],
        what: str,
        watch: Callable[[], None] | None = None,
    ) -> None:
        start = log.stat().st_size
        timeout_s = _CONFIG_TIMEOUT_S if watch is None else _BUILD_TIMEOUT_S
        try:
            self.workshop.commands.run(
                self._make(work, *words),
                what=what,
                log=log,
                env=self._environment(work),
                timeout_s=timeout_s,
                watch=watch,
            )
        except CommandFailed as error:
            errors = first_errors(log.read_bytes()[start:].decode(errors="replace"))
            message = f"kernel {self.plan.name}: {what} failed:\n{errors}" if errors else error.message
            raise BuildFailed(message, f"the whole log is {log}") from error

    def _configure(self, work: Path, log: Path) -> None:
        """allnoconfig with the fragments, later ones first in effect; then the check that all of it stuck."""
        self.workshop.progress.update(None, "configuring")
        wanted = work / "wanted.config"
        wanted.write_text("".join(f"CONFIG_{wish.symbol}={wish.value}\n" for wish in self.wishes))
        words = (f"KCONFIG_ALLCONFIG={wanted}", "allnoconfig")
        self._run_make(work, log, words, "configuring")
        missed = unstuck(self.wishes, parse_config((work / "obj/.config").read_text()))
        if missed:
            self._judge_missed(work, log, missed)

    def _judge_missed(self, work: Path, log: Path, missed: tuple[Wish, ...]) -> None:
        definitions = read_definitions(work / "src", {wish.symbol for wish in missed}, self.arch.name)
        own = self.workshop.images_dir / _OWN_CONFIGS
        serious = []
        for wish in missed:
            unmet = Unmet(wish, "n", definitions.get(wish.symbol))
            lenient = Path(wish.file).parent == own or wish.file in self.plan.tolerated
            if unmet.definition is None and lenient:
                with log.open("a") as sink:
                    sink.write(f"note: {unmet}\n")
            else:
                serious.append(unmet)
        if serious:
            lines = "\n".join(f"  {unmet}" for unmet in serious)
            raise BuildFailed(f"kernel {self.plan.name}: config did not stick:\n{lines}", f"see {log}")

    def _compile(self, work: Path, log: Path) -> None:
        meter = _Meter(self.workshop, log, log.stat().st_size, _expected_work(self.workshop, self.plan))
        modules = ("modules",) if _wants_modules(work) else ()
        self._run_make(work, log, ("vmlinux", Path(self.arch.image).name, *modules), "compiling", meter.watch)

    def _keep(self, work: Path, directory: Path, log: Path) -> None:
        obj = work / "obj"
        shutil.copyfile(obj / self.arch.image, directory / "bzImage")
        shutil.copyfile(obj / ".config", directory / "config")
        shutil.copyfile(obj / "System.map", directory / "System.map")
        self.workshop.commands.run(
            # Symbols are in System.map; the boot loader reads segments only.
            ["objcopy", "--strip-all", obj / "vmlinux", directory / "vmlinux"],
            what="stripping vmlinux",
            log=log,
            timeout_s=_CONFIG_TIMEOUT_S,
        )
        self.workshop.commands.run(
            # For debuggers, and where it was built with debug information for files and lines.
            ["objcopy", "--compress-debug-sections", obj / "vmlinux", directory / DEBUG_NAME],
            what="keeping symbols",
            log=log,
            timeout_s=_CONFIG_TIMEOUT_S,
        )
        shutil.copyfile(log, directory / "build.log")

    def _keep_modules(self, work: Path, directory: Path, log: Path) -> tuple[str, ...]:
        """Their names; none where the kernel has no modules. Debug information is stripped."""
        if not _wants_modules(work):
            return ()
        staged = work / "staged"
        words = (f"INSTALL_MOD_PATH={staged}", "INSTALL_MOD_STRIP=1", "modules_install")
        self._run_make(work, log, words, "installing modules")
        (directory / "modules.cpio").write_bytes(read_modules_archive(staged))
        return module_names(staged)


def _wants_modules(work: Path) -> bool:
    return has_modules(parse_config((work / "obj/.config").read_text()))


def first_errors(log: str) -> str:
    """The first lines of a build's output that report an error, or "" where none is recognised."""
    lines = log.splitlines()
    return "\n".join([line for line in lines if _ERROR_LINE.search(line)][:_ERROR_LINES])


def count_work(log: bytes) -> int:
    """How many pieces of work kbuild reports in its output."""
    return len(_WORK_LINE.findall(log))


class _Meter:
    """Tells how far a compilation is, against how much work the last kernel was."""

    def __init__(self, workshop: Workshop, log: Path, start: int, expected: int | None) -> None:
        self._progress = workshop.progress
        self._log = log
        self._position = start
        self._expected = expected
        self._done = 0
        self._started = time.monotonic()

    def watch(self) -> None:
        with self._log.open("rb") as source:
            source.seek(self._position)
            text = source.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._position += len(whole)
        self._done += count_work(whole)
        share = min(0.99, self._done / self._expected) if self._expected else None
        seconds = time.monotonic() - self._started
        self._progress.update(share, f"compiled {self._done} files in {seconds:.0f} s")


def _expected_work(workshop: Workshop, plan: KernelPlan) -> int | None:
    """How much work the kernel last used was, of those with the same fragments if there is one; None where
    nothing was built yet."""
    fragments = [Path(path).name for path in plan.fragments]
    entries = workshop.cache.entries("kernel")
    built = [entry for entry in entries if "fragments" in entry.inputs and "bench" not in entry.inputs]
    alike = [entry for entry in built if [name for name, _ in entry.inputs["fragments"]] == fragments]
    for entry in (*alike, *built):
        return int(json.loads((entry.path / "about.json").read_text())["work"])
    return None


def _write_about(directory: Path, work: Path, log: Path, seconds: float, modules: tuple[str, ...]) -> None:
    release = (work / "obj/include/config/kernel.release").read_text().strip()
    about = {"release": release, "work": count_work(log.read_bytes()), "seconds": round(seconds, 1)}
    (directory / "about.json").write_text(
        json.dumps({**about, "modules": modules} if modules else about) + "\n"
    )


def _ensure_ready_image(workshop: Workshop, plan: KernelPlan) -> BuiltKernel:
    path = Path(plan.source.value)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"kernel image {path}: {error.strerror}") from None
    name = image_name(data)
    if name is None:
        raise InputError(f"kernel image {path} is neither a bzImage nor an ELF kernel")

    def build(directory: Path) -> None:
        (directory / name).write_bytes(data)
        (directory / "about.json").write_text(json.dumps({"release": image_release(data)}) + "\n")

    inputs = {"version": _VERSION, "image": file_digest(path)}
    return _built(workshop.cache.ensure("kernel", inputs, build), plan)


def image_name(data: bytes) -> str | None:
    """ "bzImage" or "vmlinux" for the bytes of such a kernel, else None.

    The magic of a bzImage is at 0x202 (Documentation/arch/x86/boot.rst).
    """
    if data[0x202:0x206] == b"HdrS":
        return "bzImage"
    return "vmlinux" if data[:4] == b"\x7fELF" else None


def image_release(data: bytes) -> str:
    """The release in the header of a bzImage; "" for other kernels or where it has none."""
    if image_name(data) != "bzImage":
        return ""
    (offset,) = struct.unpack_from("<H", data, 0x20E)
    if offset == 0:
        return ""
    words = data[offset + 0x200 :].split(b"\0", 1)[0].decode(errors="replace").split()
    return words[0] if words else ""
