# SPDX-License-Identifier: GPL-2.0-only
"""Whether a series applies to a kernel, found out in seconds: only the files that patches name are taken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from lab.artifacts.difftext import touched_files
from lab.artifacts.patches import Patch, apply_patches, read_patches
from lab.artifacts.source import open_source
from lab.artifacts.workshop import Workshop
from lab.errors import CommandFailed, PatchRejected
from lab.plan.labplan import KernelPlan, KernelSourcePlan


def check_series(workshop: Workshop, base: KernelPlan, patches: Sequence[Patch], work: Path) -> str:
    """Apply `patches` on top of those of `base` to a copy below `work`; what identifies the source.

    Raises PatchRejected with number, subject, file, hunk and reject of the first that does not apply, and what
    opening the source raises.
    """
    source = open_source(workshop, base.source)
    before = read_patches(tuple(Path(path) for path in base.patches))
    tree = work / f"tree-{base.name}"
    tree.mkdir(parents=True)
    log = workshop.cache.log(f"try-{base.name}")
    log.write_text("")
    every = (*before, *patches)
    names = dict.fromkeys(name for patch in every for name in touched_files(patch.text))
    source.take(tuple(names), tree, log)
    apply_patches(workshop.commands, tree, before, work, log)
    try:
        apply_patches(workshop.commands, tree, tuple(patches), work, log)
    except PatchRejected as error:
        on = f"{source.identity}" + (f" with {len(before)} patches of its own" if before else "")
        message = f"the series does not apply to kernel {base.name} ({on}): {error.message}"
        raise PatchRejected(
            message, f"--kernel names another base, rebasing makes it fit; the whole log is {log}"
        ) from error
    return source.identity


def has_commit(workshop: Workshop, source: KernelSourcePlan, commit: str) -> bool:
    """Whether a source is a git tree that has a commit."""
    if source.kind != "tree" or not (Path(source.value) / ".git").exists():
        return False
    argv: list[str | Path] = ["git", "-C", source.value, "cat-file", "-e", f"{commit}^{{commit}}"]
    try:
        workshop.commands.output(argv, what=f"looking up {commit}")
    except CommandFailed:
        return False
    return True


def choose_commit(
    workshop: Workshop, commit: str | None, sources: Iterable[KernelSourcePlan]
) -> tuple[str | None, tuple[str, ...]]:
    """Whether a series' base-commit can be what kernels are built from: the commit or None, and words about it."""
    if commit is None:
        return None, ()
    short, chosen, notes = commit[:12], None, dict[str, None]()
    for source in sources:
        name = source.value if source.kind == "debian" else Path(source.value).name
        if source.kind != "tree":
            why = f"not honoured: {source.kind} {name} has no commits; the series is tried on it as it is"
        elif source.ref is not None:
            why = f"not honoured: {source.ref} of {name} was asked for"
        elif has_commit(workshop, source, commit):
            chosen, why = commit, "honoured: both kernels are built from it"
        else:
            why = f"not honoured: {name} has no such commit; the series is tried on it as it is"
        notes[f"base-commit {short} {why}"] = None
    return chosen, tuple(notes)
