"""Detect anomalies in a scan with a known lesion, or in your own scan, and write files and a scene."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from ..benchmark.standard_scan import LESION, SEED, mni152_brain
from ..detection import Detection, Settings, detect
from ..errors import MedADError
from ..evaluation.overlap import KnownLesion
from ..evaluation.simulation.insertion import insert_lesion
from ..io.reading import read_image
from ..modelfile.model import load_model
from ..results.strip import scans_needed, strip_text
from ..results.text import count_of_regions, location, place, top_regions, verdict
from ..results.writing import write_detection
from ..runtime.atomic_files import writable_folder
from ..runtime.progress import Progress
from ..volume import Volume, stem

SCENE = "demo"


def main(argv: list[str] | None = None) -> int:
    """Run the demo; return 0 if it is done, 1 if it failed, 130 if it was cancelled.

    Args:
        argv: Arguments without the name of the program; None takes those of the process.
    """
    example = "Example: python -m MedADLib.cli.demo scan.nii.gz --output demo"
    parser = argparse.ArgumentParser(prog="python -m MedADLib.cli.demo", description=__doc__, epilog=example)
    scan = "your scan (default: the MNI152 brain with a simulated lesion)"
    parser.add_argument("input", nargs="?", type=Path, help=scan)
    parser.add_argument("--output", type=Path, default=Path("demo"), help="folder for the results (default demo)")
    parser.add_argument("--model", default="brain-t1", help="installed model or model file (default brain-t1)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default auto)")
    args = parser.parse_args(argv)
    try:
        with writable_folder(args.output):
            _run(args)
    except MedADError as error:
        print(f"medad: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("medad: cancelled", file=sys.stderr)
        return 130
    return 0


def _run(args: argparse.Namespace) -> None:
    if args.input is None:
        brain = mni152_brain()
        lesion = insert_lesion(brain, brain.array > 0.05, LESION, SEED)
        scan, truth, name, source = lesion.volume, lesion.mask, "mni152", None
    else:
        scan, truth, name, source = read_image(args.input), None, stem(args.input), args.input
    progress = Progress(_show)
    detection = detect(scan, load_model(args.model), Settings(device=args.device), progress)
    print(file=sys.stderr)
    files = write_detection(detection, args.output, name, name != SCENE, source)
    files += _scene(detection, args.output)
    if truth is not None:
        for volume, file in ((scan, f"{name}.nii.gz"), (truth, f"{name}_lesion.nii.gz")):
            volume.write(args.output / file)
            files.append(args.output / file)
        _print_overlap(detection, truth)
    print(verdict(detection))
    if detection.interpretable:
        for line in (strip_text(detection), *scans_needed(detection.healthy_count)):
            print(line)
    print(count_of_regions(detection))
    for line in top_regions(detection):
        print(f"  {line}")
    for warning in detection.warnings:
        print(f"warning: {warning}")
    print("seconds: " + ", ".join(f"{stage} {s:.1f}" for stage, s in detection.provenance["seconds"].items()))
    print("written: " + ", ".join(str(file) for file in files))


def _print_overlap(detection: Detection, truth: Volume) -> None:
    """Print the position of the lesion, the region that contains it, and their overlap."""
    lesion = KnownLesion.of(detection, truth)
    print(f"the lesion is at {place(lesion.centre)}: {lesion.volume_ml:.1f} mL")
    if lesion.region is None:
        print("it was NOT found at this threshold")
        return
    where = location(detection, lesion.region)
    print(f"it was found as region {lesion.region.rank} of {len(detection.regions)}, {where}")
    print(f"overlap: Dice {lesion.dice:.2f}, {lesion.covered:.0%} of the lesion covered; all regions together: Dice "
          f"{lesion.dice_of_all:.2f}")  # fmt: skip


def _scene(detection: Detection, folder: Path) -> list[Path]:
    """Write the result as a Slicer scene and as an image of its views."""
    try:
        from ..slicer.headless.render import render_views
        from ..slicer.headless.scene import StandaloneScene
        from ..slicer.scene.show import show_detection
    except ImportError:
        print("no scene written: slicer-core is missing; install the demo extra")
        return []
    standalone = StandaloneScene()
    result = show_detection(detection, standalone.add_volume(detection.volume), standalone.scene)
    if detection.regions:
        centre = detection.regions[0].peak_ras
    else:
        centre = detection.volume.ras_from_voxels(np.argwhere(detection.mask.array > 0)).mean(axis=0)
    figure, bundle = folder / f"{SCENE}.png", folder / f"{SCENE}.mrb"
    render_views(standalone, result, centre, figure)
    standalone.save(bundle)
    return [figure, bundle]


def _show(stage: str, fraction: float, message: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{fraction:4.0%} {stage}: {message}"[:100].ljust(100), end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
