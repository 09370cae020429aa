"""Open the module of an unpacked package in the fake Slicer and click Run Detection: the model finds a ball in a head.

Run by test_package.py in a process of its own, with the package's folder as the only place of MedADLib:
run_from_package.py FOLDER_OF_MODULES FOLDER_FOR_SETTINGS
"""

from __future__ import annotations

import sys
from pathlib import Path

import slicer

sys.path.append(str(Path(__file__).resolve().parents[1]))
from fake_slicer import FakeSlicer

import MedADLib
from MedADLib.modelfile.store import add
from MedADLib.slicer.install import installer
from MedADLib.slicer.scene.nodes import find_result
from MedADLib.slicer.selftest import NothingMissing, add_tiny_head

PATIENCE_SECONDS = 300


def main(modules: Path, folder: Path) -> None:
    assert Path(MedADLib.__file__).parent.parent == modules, MedADLib.__file__
    assert not writable(modules)
    installer.SlicerInstaller = NothingMissing
    add(modules / "Resources" / "tiny.medad")
    with FakeSlicer(folder) as app:
        head, ball = add_tiny_head(slicer.mrmlScene)
        app.open_module("MedAD", modules / "MedAD.py")
        app.select_node("inputSelector", head)
        models = [app.ui.modelSelector.itemText(row) for row in range(app.ui.modelSelector.count)]
        app.choose("modelSelector", next(text for text in models if "tiny" in text))
        app.click("runButton")
        app.wait(lambda: not app.widget.panel.running, PATIENCE_SECONDS)
        assert app.ui.regionsTable.rowCount > 0, app.ui.statusLabel.text
        anomaly = slicer.util.arrayFromVolume(find_result(head, slicer.mrmlScene).anomaly)
        assert anomaly[ball].mean() > 5 * anomaly[anomaly > 0].mean()


def writable(folder: Path) -> bool:
    try:
        (folder / "new").touch()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
