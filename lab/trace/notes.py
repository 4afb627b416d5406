# SPDX-License-Identifier: GPL-2.0-only
"""Events that are told in words: a template with the names of their fields.

{name} is a number or a text, {name:cpus} a mask of CPUs, told as a list of them.
"""

from __future__ import annotations

from string import Formatter

from lab.trace.fields import is_readable, read_bytes, read_numbers, read_text
from lab.trace.formats import EventFormat, Field
from lab.trace.ringbuffer import Records, Words
from lab.units import format_cpulist

_CPUS = "cpus"
#: No kernel has more (CONFIG_NR_CPUS of x86: 8192); a longer mask is damage.
_MASK_BYTES = 1024


def fields_in(template: str) -> tuple[str, ...]:
    """The names of the fields that a template asks for."""
    return tuple(name for _, name, _, _ in Formatter().parse(template) if name)


def read_notes(template: str, event: EventFormat, words: Words, records: Records) -> tuple[str, ...]:
    """The words of each record of `event`, which has all fields of the template; what lies outside of a record is
    told as a question mark."""
    values = [
        _values(event.fields[name], spec == _CPUS, words, records)
        for _, name, spec, _ in Formatter().parse(template)
        if name
    ]
    plain = "".join(text + ("{}" if name else "") for text, name, _, _ in Formatter().parse(template))
    return tuple(plain.format(*row) for row in zip(*values, strict=True))


def parse_mask(data: bytes) -> str:
    """A mask of CPUs (little-endian longs) as a list, such as 0,2-3; nothing where no bit is set."""
    bits = int.from_bytes(data[:_MASK_BYTES], "little")
    return format_cpulist([at for at in range(bits.bit_length()) if bits >> at & 1])


def _values(field: Field, as_cpus: bool, words: Words, records: Records) -> list[str]:
    if is_readable(field):
        return [str(value) for value in read_numbers(words, records, field).tolist()]
    places = zip(records.start.tolist(), records.length.tolist(), strict=True)
    if as_cpus:
        return [_mask(read_bytes(words, start, length, field)) for start, length in places]
    texts = (read_text(words, start, length, field) for start, length in places)
    return ["?" if text is None else text for text in texts]


def _mask(data: bytes | None) -> str:
    return "?" if data is None else parse_mask(data) or "none"
