# SPDX-License-Identifier: GPL-2.0-only
"""Traces of a host with the names of its processes replaced, in place: every record stays where it was."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from lab.bundle.pseudonyms import NAME_BYTES, Pseudonyms
from lab.trace.fields import is_readable, read_numbers
from lab.trace.formats import EventFormat, Field, Formats, Kind, parse_formats
from lab.trace.ringbuffer import Records, read_buffer

_COMMON_TYPE = Field("common_type", 0, 2)
_NAMES = re.compile(rb"(== names )(\d+)(\n)")
_NAMED = re.compile(rb"^(\s*\d{1,9} )(.*)$", re.MULTILINE)
#: A name as short as that may be part of anything.
_TELLING_BYTES = 4


def keep_threads(threads: bytes, formats: bytes, pseudonyms: Pseudonyms) -> None:
    """Names of the lab's own threads (lab.measure.tracefiles) stay what they are."""
    own = {line.split(b" ", 1)[0] for line in threads.splitlines()}
    for match in _NAMED.finditer(formats):
        if match[1].strip() in own:
            pseudonyms.keep(match[2])


def redact_formats(data: bytes, pseudonyms: Pseudonyms) -> bytes:
    """The file `formats`: the names that the kernel had saved are a piece of it, with its length in front."""
    heading = _NAMES.search(data)
    if heading is None:
        return data
    begin, end = heading.end(), heading.end() + int(heading[2])
    body = _NAMED.sub(lambda match: match[1] + pseudonyms.of(match[2]), data[begin:end])
    return data[: heading.start()] + b"== names %d\n" % len(body) + body + data[end:]


def redact_trace(raw: bytes, formats: bytes, page_bytes: int, pseudonyms: Pseudonyms) -> bytes | None:
    """A CPU's file; None where a name may still be in it, because not every record could be read."""
    parsed = parse_formats(formats)
    changed = np.frombuffer(raw, np.uint8).copy()
    buffer = read_buffer(raw, parsed.header, page_bytes)
    for event, records in _by_event(parsed, buffer.records, buffer.words):
        for field in _names(event):
            _replace(changed, records.where(records.length >= field.end), field, pseudonyms.of)
    made = changed.tobytes()
    telling = (name for name in pseudonyms.hidden if len(name) >= _TELLING_BYTES)
    return None if buffer.faults or any(name in made for name in telling) else made


def _by_event(
    formats: Formats, records: Records, words: NDArray[np.uint32]
) -> Iterable[tuple[EventFormat, Records]]:
    commons = [event.fields["common_type"] for event in formats.events.values()]
    kind = next((one for one in commons if is_readable(one)), _COMMON_TYPE)
    typed = records.where(records.length >= kind.end)
    numbers = read_numbers(words, typed, kind)
    for event in formats.events.values():
        yield event, typed.where(numbers == event.number)


def _names(event: EventFormat) -> list[Field]:
    return [
        field
        for name, field in event.fields.items()
        if name.endswith("comm") and field.kind is Kind.ARRAY and field.size == NAME_BYTES
    ]


def _replace(
    changed: NDArray[np.uint8], records: Records, field: Field, rename: Callable[[bytes], bytes]
) -> None:
    """Each different name once, and then all places where it stands."""
    if not len(records):
        return
    places = (records.start + field.offset)[:, None] + np.arange(field.size)
    names, which = np.unique(changed[places], axis=0, return_inverse=True)
    renamed = [rename(name.tobytes().split(b"\0", 1)[0]) for name in names]
    table = np.frombuffer(b"".join(name.ljust(field.size, b"\0") for name in renamed), np.uint8)
    changed[places] = table.reshape(-1, field.size)[which.reshape(-1)]
