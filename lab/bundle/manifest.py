# SPDX-License-Identifier: GPL-2.0-only
"""The bundle: one file that lets somebody else see, judge and run again what a recording is about. Version 1.

A bundle is a tar archive (ustar, regular files only) in one zstandard frame. Its first member is `manifest.json`,
which names every other member with its size and SHA-256; the others follow, sorted by their paths' bytes. There
are no directories, links or extended headers in it. Owner 0:0, mode 0644 and time 0 for all, so that one recording
gives the same bytes again. What is in it:

    manifest.json                  a Manifest
    README.txt                     what this is and what to do with it, for people
    topology.yaml                  the topology; every path in it is relative and means a file of the bundle
    inputs/kernels/KERNEL/patches/series, FILE..., fragment.config
                                   all patches of the kernel (those of shipped series too) as one series, byte for
                                   byte, and the config fragment that came with them
    inputs/kernels/KERNEL/config/N/FILE
                                   further config fragments of the topology
    inputs/kernels/KERNEL/image/FILE
                                   the kernel itself, where the topology names a ready one
    inputs/knob_files/N/..., inputs/load_files/N/...
                                   files and directories of definitions that the topology names
    kernels/KERNEL/fragments/N-FILE
                                   all config fragments, the lab's own first, in the order in which they count
    kernels/KERNEL/config          the .config that came out of them
    kernels/KERNEL/build.log       what patch, kbuild and the compiler said
    kernels/KERNEL/bzImage, vmlinux, modules.cpio
                                   the kernel as it was built; vmlinux and modules only where they were asked for
    images/KIND/recipe/...         the recipe of a root image, or of the emulator's toolbox
    images/KIND/packages.txt       the packages that went in, one `name version architecture` a line
    images/KIND/build.log          how it was made
    knobs.json                     definitions of the knobs used, by name
    host.json                      the host as the lab saw it: its facts, and settings of SMT, turbo and governors
    recording/...                  the recording (lab.recording), with consoles, traces and verdicts.json

The kernel of the host VM, where there is one, is the KERNEL `@host`. Trees and tarballs of kernel sources are never
in a bundle: KernelPart.source says what they were, and topology.yaml has the path in the bundle where a copy may
be put. With `redacted`, user and machine names, paths of the machine and names of its processes were
replaced (lab.bundle.redact).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

FORMAT = "paravirt-lab-bundle"
VERSION = 1
MANIFEST = "manifest.json"
README = "README.txt"
TOPOLOGY = "topology.yaml"
RECORDING = "recording"
KNOBS = "knobs.json"
HOST = "host.json"
#: The name of the host VM's kernel; no kernel of a topology can be called so.
HOST_KERNEL = "@host"

Part = Literal["kernels", "vmlinux", "modules", "traces", "consoles", "logs", "lost"]
#: What may be left out of a bundle; all but vmlinux and modules is in it unless that is asked for.
PARTS: tuple[Part, ...] = ("kernels", "vmlinux", "modules", "traces", "consoles", "logs", "lost")
USUALLY_LEFT_OUT: tuple[Part, ...] = ("vmlinux", "modules")


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FileEntry(_Model):
    """A member of the archive; `sha256` in hex."""

    path: str
    size_bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class SourceRef(_Model):
    """A kernel's source by reference. `kind`, `value` and `ref` are those of lab.plan.labplan.KernelSourcePlan, a
    path as its last component; `identity` says exactly which one was built: `debian linux-source-6.12 6.12.117-1`,
    `tarball SHA256`, `git COMMIT [HASH OF CHANGES]` or `listing HASH`, None where that is not known any more.
    `path` is where in the bundle topology.yaml looks for a tarball, tree or image: that of an image is a member, a
    tarball or tree is for somebody to put there.
    """

    kind: Literal["debian", "tarball", "tree", "image"]
    value: str
    ref: str | None = None
    identity: str | None = None
    path: str | None = None


class KernelPart(_Model):
    """A kernel. `key` is its entry in the cache of kernels, None where there was none any more; `exact` that the
    recording itself said so, else it is what the files on disk gave when the bundle was made.

    `patches` and `fragments` are members of the bundle in the order in which they count. What was left out or could
    not be had is None or missing there, and Manifest.left_out says why.
    """

    name: str
    source: SourceRef
    cmdline: str = ""
    key: str | None = None
    exact: bool = False
    compiler: str | None = None
    release: str | None = None
    patches: tuple[str, ...] = ()
    fragments: tuple[str, ...] = ()
    config: str | None = None
    log: str | None = None
    bzimage: str | None = None
    vmlinux: str | None = None
    modules: str | None = None


class ImagePart(_Model):
    """A root image, by its recipe: the image itself is not in the bundle. `inputs` is all that went in, as hashes
    (what the cache's key is made of); `sha256` and `size_bytes` are those of the image that was used."""

    kind: str
    key: str | None = None
    exact: bool = False
    inputs: dict[str, Any] = {}
    sha256: str | None = None
    size_bytes: int | None = None
    recipe: tuple[str, ...] = ()
    packages: str | None = None
    log: str | None = None


class LeftOut(_Model):
    """Something that is not in the bundle, and why."""

    what: str
    why: str


class Manifest(_Model):
    """What a bundle holds. `name` is the topology's, `created` when the recording was made, `verdict` what was
    judged in one word (passed, failed, undecided, skipped), None where nothing could be. `seeds` are those of
    everything that was drawn at random."""

    format: Literal["paravirt-lab-bundle"] = "paravirt-lab-bundle"
    version: Literal[1] = 1
    name: str
    lab_version: str
    created: str = ""
    redacted: bool
    verdict: str | None = None
    seeds: dict[str, int] = {}
    kernels: tuple[KernelPart, ...] = ()
    images: tuple[ImagePart, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    files: tuple[FileEntry, ...]

    @property
    def size_bytes(self) -> int:
        """Of all members, unpacked, without the manifest."""
        return sum(one.size_bytes for one in self.files)


@dataclass(frozen=True)
class Bundle:
    """A bundle that was verified and unpacked into `directory`.

    `lab` reads `topology` as any other: its relative paths mean files of the directory. Whoever runs it asks first
    what that would do to this machine (lab.bundle.consent), of the plan that is to be carried out.
    """

    directory: Path
    manifest: Manifest

    @property
    def topology(self) -> Path:
        """The topology file."""
        return self.directory / TOPOLOGY

    @property
    def recording(self) -> Path:
        """The directory of the reporter's recording: lab.recording.Recording reads it."""
        return self.directory / RECORDING

    def kernel(self, name: str) -> KernelPart | None:
        """What is known of the kernel `name` of the topology."""
        return next((one for one in self.manifest.kernels if one.name == name), None)

    def path(self, member: str | None) -> Path | None:
        """Where a member was unpacked to; None for None."""
        return None if member is None else self.directory / member
