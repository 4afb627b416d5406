# SPDX-License-Identifier: GPL-2.0-only
"""What a bundle must hold to be of use, and what its topology may name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lab.bundle.manifest import README, RECORDING, TOPOLOGY, Bundle
from lab.bundle.names import quoted, wrong_name
from lab.errors import BundleError, RecordingError
from lab.recording import Recording
from lab.strictyaml.yamltree import YamlSyntaxError, parse_document

_NEEDED = (README, TOPOLOGY, f"{RECORDING}/plan.json", f"{RECORDING}/recording.json")
#: Of documents that are read as a whole.
_MAX_PARSED_BYTES = 64 * 2**20
_WHERE = ("auto", "local", "nested")


def check_contents(bundle: Bundle, name: str) -> None:
    """Raises BundleError, naming the bundle `name`, where an unpacked bundle cannot be used, or its topology names
    files outside of it or a host of its own."""
    sizes = {one.path: one.size_bytes for one in bundle.manifest.files}
    for path in _NEEDED:
        if path not in sizes:
            raise BundleError(f"{name}: has no {path}")
        if sizes[path] > _MAX_PARSED_BYTES:
            raise BundleError(f"{name}: {path} has {sizes[path]} bytes; {_MAX_PARSED_BYTES} are allowed")
    try:
        Recording(bundle.recording).plan()
    except RecordingError as error:
        raise BundleError(f"{name}: its recording cannot be used: {_within(bundle, error)}") from None
    _check_topology(bundle, name)


def _within(bundle: Bundle, error: RecordingError) -> str:
    return error.message.replace(f"{bundle.directory}/", "").splitlines()[0]


def _check_topology(bundle: Bundle, name: str) -> None:
    try:
        value = parse_document(bundle.topology.read_bytes().decode()).value
    except UnicodeDecodeError:
        raise BundleError(f"{name}: its topology is not UTF-8") from None
    except YamlSyntaxError as error:
        raise BundleError(
            f"{name}: its topology cannot be read: line {error.finding.line}: {error.finding.message}"
        ) from None
    if not isinstance(value, dict):
        raise BundleError(f"{name}: its topology is not one")
    where = value["host"].get("where") if isinstance(value.get("host"), dict) else None
    if where is not None and where not in _WHERE:
        raise BundleError(f"{name}: its topology wants to run on the host {quoted(str(where))}")
    for key, path in named_paths(value):
        if wrong := wrong_name(path.removeprefix("./")):
            raise BundleError(f"{name}: {key} {quoted(path)} of its topology {wrong}")


def named_paths(topology: Any) -> Iterator[tuple[str, str]]:
    """(key, path) of every file and directory that a topology's document names, as far as it has the right shape;
    also the names of shipped series."""
    if not isinstance(topology, dict):
        return
    for key in ("knob_files", "load_files"):
        yield from ((key, path) for path in _list_of_text(topology.get(key)))
    kernels = topology.get("kernels")
    for name, kernel in kernels.items() if isinstance(kernels, dict) else ():
        if isinstance(kernel, dict):
            yield from _kernel_paths(f"kernels.{name}", kernel)


def _kernel_paths(name: str, kernel: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key in ("patches", "config"):
        yield from ((f"{name}.{key}", path) for path in _list_of_text(kernel.get(key)))
    source = kernel.get("source")
    for key in ("tarball", "tree", "image"):
        path = source.get(key) if isinstance(source, dict) else None
        if isinstance(path, str):
            yield f"{name}.source.{key}", path


def _list_of_text(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
