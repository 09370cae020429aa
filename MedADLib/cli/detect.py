"""``medad detect``: detect anomalies in one scan, and write the results to a folder."""

from __future__ import annotations

import argparse
import importlib
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .reading_arguments import add_reading_arguments, reading_options

if TYPE_CHECKING:
    from ..detection import Detection
    from ..runtime.progress import Progress
    from .console import Console

DEFAULT_MODEL = "brain-t1"
# Digits of a fingerprint in the name of an anonymous result.
NAME_DIGITS = 8

EXAMPLES = """\
Examples:
  medad detect scan.nii.gz -o results
  medad detect dicom-folder -o results --model brain-t1-atlas --threshold 1ml
  medad detect chest.png -o results --model chest.medad
  medad detect set.npz#12 -o results --model chest.medad"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``medad detect``."""
    parser.description = "Detect anomalies in one scan, and write anomaly map, regions and figure to a folder."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    types = (
        "scan: NIfTI, NRRD, MHA, Analyze, MGZ, GIPL, MINC, PNG, JPEG, DICOM file or folder, NPZ (one of several "
        "images: FILE.npz#NUMBER, or FILE.npz#ARRAY-NUMBER where several arrays hold images)"
    )
    parser.add_argument("input", type=Path, metavar="INPUT", help=types)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUTDIR", help="folder for the results")
    models = f"installed model or model file (default {DEFAULT_MODEL})"
    parser.add_argument("--model", default=DEFAULT_MODEL, metavar="NAME|FILE", help=models)
    masks = "brain mask on the grid of the scan: non-zero in the voxels to examine, or their probability (0.5 and more)"
    parser.add_argument("--mask", type=Path, help=masks)
    devices = "auto, cpu, cuda or cuda:N (default auto)"
    parser.add_argument("--device", type=_setting("device"), default="auto", help=devices)
    parser.add_argument("--seed", type=_setting("seed"), default=0, help="random seed (default 0)")
    parser.add_argument(
        "--threshold",
        type=_setting("threshold"),
        help="a value of the map, a rarity such as 3 (1 healthy voxel in 1,000), or the expected false positives per "
        "healthy scan, such as 1ml or 0.1%% (default: threshold of the model)",
    )
    parser.add_argument(
        "--smallest-region",
        type=_smallest,
        metavar="SIZE",
        help="smaller regions are not listed: a volume such as 0.2ml, or for an image such as a PNG or a radiograph a "
        "number of pixels such as 20px (default 0.05ml or 50px)",
    )
    fast = "restore fewer slices fewer times: faster, less exact; for models with this mode, such as brain-t1-vqvae"
    parser.add_argument("--fast", action="store_true", help=fast)
    force = "examine a scan that does not fit the model too; the result is marked as not interpretable"
    parser.add_argument("--force", action="store_true", help=force)
    anonymous = (
        "name the results by a fingerprint of the voxels, and write neither name nor path of the scan; medad view then "
        "needs --scan"
    )
    parser.add_argument("--anonymous", action="store_true", help=anonymous)
    parser.add_argument("--no-picture", action="store_true", help="do not draw the figure STEM.png")
    add_reading_arguments(parser, "They hold for a mask too, unless its own header fits.")


def run(args: argparse.Namespace, console: Console, progress: Progress) -> int:
    """Detect anomalies, write the results, print a summary and return 0.

    Args:
        args: The arguments that `add_arguments` declares, and ``detect`` and ``load_model``, which replace those of the
            library unless None.
        console: Receives warnings and the summary.
        progress: Receives each stage; may cancel.

    Raises:
        MedADError: If scan, mask, model or output folder cannot be used.
    """
    from dataclasses import replace

    from ..detection import Settings, content_hash, detect, is_image
    from ..io.reading import read_mask
    from ..io.reading_options import AS_THE_HEADER_SAYS
    from ..io.sources import named_scan
    from ..results.writing import check_ours, check_same_scan, with_reading, write_detection
    from ..runtime.atomic_files import writable_folder
    from ..volume import fingerprint

    detect = args.detect or detect
    started = time.perf_counter()
    options = reading_options(args)
    if args.anonymous:
        named = [path for path in (args.input, args.mask) if path is not None]
        console.hide(named, "the scan")
    scan = named_scan(args.input, options)
    name = scan.name
    with writable_folder(args.output):
        if not args.anonymous:
            check_ours(args.output, name)
        console.window = (0.0, 0.03)
        shown = "the scan" if args.anonymous else args.input.name
        progress.stage("reading", 0.0, 1.0, f"reading {shown}")
        volume = scan.read()
        if args.anonymous:
            name = f"scan-{fingerprint(volume)[:NAME_DIGITS]}"
            volume = replace(volume, name=name)
            console.hide(named, name)
            check_ours(args.output, name)
        check_same_scan(args.output, name, args.input, content_hash(volume))
        smallest = args.smallest_region or {}
        if "smallest_region_ml" in smallest and is_image(volume):
            raise InputError("volume_for_an_image", name=name)
        Settings(**smallest).on(volume)
        mask = None if args.mask is None else read_mask(args.mask, volume, options)
        progress.stage("loading the model", 1.0, 1.0, args.model)
        load_model = args.load_model
        if load_model is None:
            with progress.timed("import"):
                from ..modelfile.model import load_model

                # The methods import torch, which takes longer than the model itself.
                importlib.import_module("MedADLib.methods.base")
        model = load_model(args.model)
        console.window = (0.03, 0.95)
        settings = Settings(
            mask=mask,
            device=args.device,
            seed=args.seed,
            threshold=args.threshold,
            fast=args.fast,
            force=args.force,
            **smallest,
        )
        detection = detect(volume, model, settings, progress)
        for message in detection.warnings:
            console.warning(message)
        detection = replace(detection, warnings=tuple(console.warnings))
        if options != AS_THE_HEADER_SAYS:
            detection = with_reading(detection, options)
        console.window = (0.95, 1.0)
        progress.stage("writing", 0.0, 1.0)
        facts = {"source": args.input, "progress": progress, "anonymous": args.anonymous}
        files = write_detection(detection, args.output, name, not args.no_picture, **facts)
        progress.finish()
    seconds = time.perf_counter() - started
    _report(console, detection, files, seconds)
    return 0


def _report(console: Console, detection: Detection, files: list[Path], seconds: float) -> None:
    from ..results.strip import scans_needed, strip_text
    from ..results.text import count_of_regions, doubt, seems, top_regions, verdict

    model = detection.provenance.get("model", {})
    among = [strip_text(detection), *scans_needed(detection.healthy_count)] if detection.interpretable else []
    lines = [
        doubt(detection),
        f"{detection.volume.name}: {verdict(detection)}",
        "" if detection.interpretable else seems(detection),
        *among,
        count_of_regions(detection),
        *(f"  {line}" for line in top_regions(detection)),
        f"  and {len(detection.regions) - 5} more" if len(detection.regions) > 5 else "",
        f"examined part: {detection.provenance.get('brain_mask', 'unknown')}",
        f"model: {model.get('name', '?')} {model.get('version', '')}; for research only, not for diagnosis",
        f"written to {files[0].parent} in {seconds:.1f} s: {', '.join(path.name for path in files)}",
    ]
    console.result(
        [line for line in lines if line],
        score=detection.score,
        p_value=detection.p_value,
        healthy_count=detection.healthy_count,
        interpretable=detection.interpretable,
        fit=detection.provenance.get("fit"),
        scan_score=detection.reference.scan_score,
        threshold=detection.threshold,
        map_unit=detection.reference.unit,
        regions=len(detection.regions),
        summary=[str(verdict(detection)), str(count_of_regions(detection))],
        files=[str(path) for path in files],
        warnings=list(detection.warnings),
        seconds=round(seconds, 2),
    )


def _smallest(text: str) -> dict[str, float | int]:
    """Parse the size of the smallest region with its unit, as one of the `Settings`."""
    from ..detection import Settings

    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(ml|px)\s*", text, re.IGNORECASE)
    try:
        if not match:
            raise InputError("bad_smallest_region", value=f"{text:.40}")
        number, unit = match[1], match[2].lower()
        if unit == "px" and not number.isdecimal():
            raise InputError("smallest_region_pixels", px=number)
        value = {"smallest_region_px": int(number)} if unit == "px" else {"smallest_region_ml": float(number)}
        Settings(**value)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return value


def _setting(name: str) -> Callable[[str], Any]:
    """Make the parser of one of the `Settings` for argparse."""

    def parse(text: str) -> Any:
        from ..detection import Settings

        try:
            value = int(text) if name == "seed" and text.isdecimal() else text
            return getattr(Settings.from_json({name: value}), name)
        except InputError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse
