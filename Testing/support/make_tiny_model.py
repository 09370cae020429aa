"""Makes MedAD/Resources/tiny.medad again, the model of the module's self test: an atlas of made-up heads."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing")]

from MedADLib.cli import train  # noqa: E402
from MedADLib.preprocessing.template_building import build_template  # noqa: E402
from MedADLib.training import data  # noqa: E402
from support.phantoms import head  # noqa: E402

SHAPE, SPACING = (20, 28, 24), (6.0, 6.5, 6.5)
PARTS = {"train": range(6), "validation": range(6, 7), "calibration": range(7, 12)}


def coarse_template(scans, progress=None):
    """The template on a grid that keeps the file small."""
    return build_template(scans, SHAPE, SPACING, progress)


def main() -> None:
    """Train on a dozen made-up heads."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "healthy").mkdir()
        for number in (n for numbers in PARTS.values() for n in numbers):
            volume, _ = head(number)
            volume.write(folder / "healthy" / f"{volume.name}.nii.gz")
        split = {part: [f"head-{number}" for number in numbers] for part, numbers in PARTS.items()}
        (folder / "split.json").write_text(json.dumps(split | {"benchmark": []}))
        parser = argparse.ArgumentParser()
        train.add_arguments(parser)
        places = ["--healthy", folder / "healthy", "--split", folder / "split.json", "--work", folder / "work"]
        output = [
            "-o",
            ROOT / "MedAD" / "Resources" / "tiny.medad",
            "--data-note",
            "made-up heads, for the self test",
            "--named-scans",
        ]
        with mock.patch.object(data, "build_template", coarse_template):
            train.run(parser.parse_args([str(word) for word in ["atlas", *places, *output]]))


if __name__ == "__main__":
    main()
