# SPDX-License-Identifier: GPL-2.0-only
"""Files of definitions are kept with the recording of the topology that names them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from lab.run.definitions import keep_definitions

TEXT = "knob_files: [../mine.yaml, more, gone.yaml]\nload_files: [loads.yaml]\n"


def test_files_and_directories_are_kept_by_their_places(tmp_path: Path):
    (tmp_path / "t/more").mkdir(parents=True)
    for name in ("mine.yaml", "t/more/a.yaml", "t/more/b.yaml", "t/more/notes.txt", "t/loads.yaml"):
        (tmp_path / name).write_text(name)
    topology = SimpleNamespace(text=TEXT, directory=tmp_path / "t")
    recording = tmp_path / "recording"
    keep_definitions(topology, recording)
    assert not recording.exists(), "where nothing was recorded, nothing is kept"
    recording.mkdir()
    keep_definitions(topology, recording)
    kept = {
        str(path.relative_to(recording / "definitions")): path.read_text()
        for path in recording.rglob("*")
        if path.is_file()
    }
    assert kept == {
        "knob_files/1/mine.yaml": "mine.yaml",
        "knob_files/2/a.yaml": "t/more/a.yaml",
        "knob_files/2/b.yaml": "t/more/b.yaml",
        "load_files/1/loads.yaml": "t/loads.yaml",
    }
