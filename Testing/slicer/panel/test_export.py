"""Export from the panel: usable names, accepted regions only, no foreign files, and a clear error."""

from __future__ import annotations

import json
import os
import sys

import numpy as np
import pytest
from fake_slicer.panel_fixtures import catch_up, run, scan

from MedADLib.io.reading import read_image
from MedADLib.messages import Message
from MedADLib.results import writing
from MedADLib.results.writing import RESULT_SUFFIXES

# The figure needs matplotlib, which tests have and Slicer may lack.
SUFFIXES = list(RESULT_SUFFIXES)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "out"
    path.mkdir()
    return path


def export(app, folder):
    app.answers.append(str(folder))
    app.click("exportButton")


def printed(app):
    return (app.ui.statusLabel.text or app.ui.errorLabel.text).replace("\u200b", "")


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_files_are_named_after_the_scan_and_reported(done, folder):
    export(done, folder)
    assert files(folder) == sorted(f"scan{suffix}" for suffix in SUFFIXES)
    assert str(folder) in printed(done) and f"{len(SUFFIXES)} files" in printed(done)


NAMES = (
    ("a/b:c*?", "a_b_c_"),
    ("", "scan"),
    (" .. ", "scan"),
    ("Größe ü", "Größe ü"),
    ("con", "con_"),
    ("x" * 300, None),
)


def test_any_name_of_a_scan_gives_usable_file_names(done, folder, no_drawing):
    for number, (name, stem) in enumerate(NAMES):
        done.scan.SetName(name)
        (folder / str(number)).mkdir()
        export(done, folder / str(number))
        found = files(folder / str(number))
        assert len(found) == len(SUFFIXES), name
        if stem is not None:
            assert found == sorted(f"{stem}{suffix}" for suffix in SUFFIXES), name
        assert all(len(file.encode()) < 200 for file in found), name


def test_only_accepted_regions_are_written_with_their_names(done, folder, no_drawing):
    done.cell("regionsTable", 0, 0).tick()
    done.cell("regionsTable", 1, 1).type("old stroke")
    export(done, folder)
    labels = read_image(folder / "scan_regions.nii.gz").array
    assert set(np.unique(labels)) == {0, 2}
    facts = json.loads((folder / "scan.json").read_text(encoding="utf-8"))
    assert [entry["rank"] for entry in facts["regions"]] == [2] and [e["rank"] for e in facts["rejected"]] == [1]
    assert facts["names"] == {"2": "old stroke"}
    header = (folder / "scan_regions.seg.nrrd").read_bytes()[:4000]
    assert b"old stroke" in header and b"Region 1" not in header
    assert len((folder / "scan_regions.tsv").read_text(encoding="utf-8").splitlines()) == 2


def test_own_results_are_replaced_and_other_files_stay(done, folder, no_drawing):
    (folder / "notes.txt").write_text("mine")
    export(done, folder)
    done.cell("regionsTable", 0, 0).tick()
    export(done, folder)
    assert len(json.loads((folder / "scan.json").read_text(encoding="utf-8"))["regions"]) == 1
    assert files(folder) == sorted(["notes.txt", *(f"scan{suffix}" for suffix in SUFFIXES)])


def test_files_of_somebody_else_are_not_replaced(done, folder):
    (folder / "scan.json").write_text('{"RepetitionTime": 2.3}')
    export(done, folder)
    assert Message("not_our_file", path=folder / "scan.json") in printed(done)
    assert files(folder) == ["scan.json"] and "RepetitionTime" in (folder / "scan.json").read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="no such permissions")
def test_a_folder_that_cannot_be_written_is_reported(done, folder, monkeypatch):
    folder.chmod(0o500)
    if os.geteuid() == 0:
        import tempfile

        def refuse(**options):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    export(done, folder)
    monkeypatch.undo()
    folder.chmod(0o700)
    assert "cannot be written: Permission denied" in printed(done) and files(folder) == []


def test_a_full_disk_is_reported_and_leaves_nothing(done, folder, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "write_nifti", full)
    export(done, folder)
    assert "No space left on device" in printed(done) and files(folder) == []


def test_the_file_dialog_can_be_left(done):
    done.answers.append(None)
    done.click("exportButton")
    assert not done.ui.statusLabel.visible


def test_a_result_with_deleted_parts_is_not_exported(done, folder, no_drawing):
    done.scene.RemoveNode(done.widget.panel._shown.restored)
    catch_up(done)
    assert not done.ui.regionsSection.visible and not done.ui.resultSection.visible
    run(done)
    export(done, folder)
    assert len(files(folder)) == len(SUFFIXES)


def test_two_scans_of_one_folder_keep_apart(panel, folder, no_drawing):
    run(panel)
    export(panel, folder)
    panel.select_node("inputSelector", panel.load_volume(scan("other")))
    run(panel)
    export(panel, folder)
    assert files(folder) == sorted(f"{stem}{suffix}" for suffix in SUFFIXES for stem in ("scan", "other"))
