# SPDX-License-Identifier: GPL-2.0-only
"""From a manifest's bytes to a Manifest, or to what is wrong with them. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from lab.bundle.manifest import FORMAT, MANIFEST, VERSION, FileEntry, Manifest
from lab.bundle.names import clash, quoted, strange_character, wrong_name
from lab.errors import BundleError


def parse_manifest(data: bytes, name: str) -> Manifest:
    """The manifest in `data`. Raises BundleError, naming the bundle `name`."""
    document = _parse_json(data, name)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise BundleError(f"{name}: not a bundle: its manifest does not say that it is a {FORMAT}")
    if document.get("version") != VERSION:
        raise BundleError(
            f"{name}: is of version {quoted(str(document.get('version')))}; this lab reads version {VERSION}",
            "a newer lab may read it",
        )
    _check_texts(document, name)
    manifest = _validate(data, name)
    _check_files(manifest.files, name)
    _check_references(manifest, name)
    return manifest


def _parse_json(data: bytes, name: str) -> Any:
    try:
        return json.loads(data.decode(), object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        said = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise BundleError(f"{name}: its manifest cannot be read as JSON: {said}") from None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        ((often, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {quoted(often)} stands twice")
    return made


def _check_texts(document: Any, name: str) -> None:
    """What is printed later must not be able to steer a terminal."""
    for text in _texts(document):
        if strange := strange_character(text):
            raise BundleError(f"{name}: the text {quoted(text)} in its manifest has U+{ord(strange):04X}")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from _texts(one)


def _validate(data: bytes, name: str) -> Manifest:
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BundleError(f"{name}: its manifest is malformed: {place}: {first['msg']}") from None


def _check_files(files: tuple[FileEntry, ...], name: str) -> None:
    paths = [one.path for one in files]
    for path in paths:
        if wrong := wrong_name(path):
            raise BundleError(f"{name}: the entry {quoted(path)} of its manifest {wrong}")
    if MANIFEST in paths:
        raise BundleError(f"{name}: its manifest names itself")
    ((often, times),) = Counter(paths).most_common(1) or [("", 0)]
    if times > 1:
        raise BundleError(f"{name}: its manifest has {quoted(often)} twice")
    if paths != sorted(paths, key=str.encode):
        raise BundleError(f"{name}: its manifest does not have its members in the order of their names")
    if both := clash(paths):
        raise BundleError(f"{name}: {quoted(both)} would have to be a file and a directory")


def _check_references(manifest: Manifest, name: str) -> None:
    """Members that kernels and images speak of are there."""
    paths = {one.path for one in manifest.files}
    for path in _references(manifest):
        if path not in paths:
            raise BundleError(f"{name}: its manifest speaks of {quoted(path)} and has no such member")


def _references(manifest: Manifest) -> Iterator[str]:
    for kernel in manifest.kernels:
        single = (kernel.config, kernel.log, kernel.bzimage, kernel.vmlinux, kernel.modules)
        yield from (*kernel.patches, *kernel.fragments, *(path for path in single if path is not None))
    for image in manifest.images:
        yield from (*image.recipe, *(path for path in (image.packages, image.log) if path is not None))
