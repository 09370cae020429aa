"""Opens the module of an unpacked package on the bench and clicks Run Detection: the tiny model finds a ball in a head.

Run by test_package.py in a process of its own, with the package's folder as the only place of MedADLib:
run_from_package.py FOLDER_OF_MODULES FOLDER_FOR_SETTINGS
"""

from __future__ import annotations

import sys
from pathlib import Path

import slicer
from bench import Bench

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
    with Bench(folder) as bench:
        head, ball = add_tiny_head(slicer.mrmlScene)
        bench.open_module("MedAD", modules / "MedAD.py")
        bench.select_node("inputSelector", head)
        models = [bench.ui.modelSelector.itemText(row) for row in range(bench.ui.modelSelector.count)]
        bench.choose("modelSelector", next(text for text in models if "tiny" in text))
        bench.click("runButton")
        bench.wait(lambda: not bench.widget.panel.running, PATIENCE_SECONDS)
        assert bench.ui.regionsTable.rowCount > 0, bench.ui.statusLabel.text
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
