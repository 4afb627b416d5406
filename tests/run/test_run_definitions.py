# SPDX-License-Identifier: GPL-2.0-only
"""Files of definitions are kept with the recording of the topology that names them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

from cli.recordings import write_recording

from lab.artifacts.given import kept_fragment, kept_patch
from lab.plan.labplan import parse_plan_json, render_plan_json
from lab.run.definitions import keep_definitions, keep_inputs

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


def test_kernels_that_are_not_all_the_labs_own_are_kept(tmp_path: Path):
    images = tmp_path / "images"
    for name in ("images/own.patch", "images/own.config", "mine.patch"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    recording = write_recording(tmp_path / "recording")
    path = recording / "plan.json"
    plan = parse_plan_json(path.read_text())
    (own,) = plan.kernels
    own = dataclasses.replace(own, patches=(f"{images}/own.patch",), fragments=(f"{images}/own.config",))
    mine = dataclasses.replace(own, name="mine", patches=(*own.patches, f"{tmp_path}/mine.patch"))
    path.write_text(render_plan_json(dataclasses.replace(plan, kernels=(own, mine))))
    keep_inputs(SimpleNamespace(text="", directory=tmp_path), recording, images)
    assert [one.name for one in (recording / "kernels").iterdir()] == ["mine"]
    kept = recording / "kernels/mine"
    patch, fragment = (
        kept_patch(kept, 2, f"{tmp_path}/mine.patch"),
        kept_fragment(kept, 1, f"{images}/own.config"),
    )
    assert patch is not None and fragment is not None
    assert (patch.read_text(), fragment.read_text()) == ("mine.patch", "images/own.config")


def test_nothing_is_kept_where_nothing_was_recorded(tmp_path: Path):
    keep_inputs(SimpleNamespace(text=TEXT, directory=tmp_path), tmp_path / "none", tmp_path / "images")
    assert list(tmp_path.iterdir()) == []
