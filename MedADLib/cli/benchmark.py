"""``medad benchmark``: measure sampling, whole detections and how times grow with the size of the scan."""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..runtime.atomic_files import staging_folder, writable_folder

if TYPE_CHECKING:
    from ..modelfile.model import Model
    from ..runtime.progress import Progress

WHAT = ("samplers", "volumes", "runs", "scaling", "products")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``medad benchmark``."""
    parser.description = "Measure the speed of MedAD on this computer, and compare it with other implementations."
    parser.add_argument(
        "what",
        nargs="*",
        type=_known,
        default=[],
        metavar="WHAT",
        help=f"what to measure: {', '.join(WHAT)} (default all)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("benchmark"),
        metavar="DIR",
        help="folder for tables, figures and report.md (default %(default)s)",
    )
    parser.add_argument(
        "--scan", type=Path, help="skull-stripped T1-weighted scan of a brain (default: the MNI152 brain)"
    )
    parser.add_argument(
        "--model", default="brain-t1", metavar="NAME|FILE", help="model of latent restoration (default %(default)s)"
    )
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="NAME|FILE",
        help="another model for whole detections; may be repeated",
    )
    parser.add_argument(
        "--runs",
        type=_runs,
        default=3,
        help="runs of each measurement but products; the tables show medians (default 3)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default auto)")
    parser.add_argument(
        "--no-monai", action="store_true", help="do not measure the sampling of MONAI, which takes a minute per run"
    )


def run(args: argparse.Namespace, progress: Progress | None = None) -> int:
    """Measure, write the report and print it.

    Args:
        args: The arguments that `add_arguments` declares.
        progress: Receives the stages and steps; may cancel.

    Returns:
        0.

    Raises:
        MedADError: If scan or model cannot be used.
    """
    from ..methods.latent_restoration import LatentRestoration
    from ..methods.volume_restoration import VolumeRestoration
    from ..modelfile.model import load_model
    from ..runtime.device import resolve
    from ..runtime.progress import Progress

    what, progress, device = list(args.what or WHAT), progress or Progress(), resolve(args.device)
    model = load_model(args.model)
    if not isinstance(model.method, LatentRestoration) or isinstance(model.method, VolumeRestoration):
        raise InputError("slice_restoration_needed", model=model.name)
    if model.template.kind != "brain":
        raise InputError("brain_model_needed", model=model.name)
    for name in args.also:
        load_model(name)
    with writable_folder(args.output):
        _measure(args, what, model, device, progress)
    return 0


def _measure(args: argparse.Namespace, what: list[str], model: Model, device: str, progress: Progress) -> None:
    from ..benchmark.micro import agreement, products, volume_race
    from ..benchmark.report import Measured, write_report
    from ..benchmark.samplers import PUBLISHED_SAMPLES, as_published, race
    from ..benchmark.scaling import growth
    from ..benchmark.standard_scan import standard_scan
    from ..benchmark.whole_runs import cold_command, warm_worker

    scan, measured = None, Measured("", f"{model.name} {model.version}")
    if not {"samplers", "runs", "scaling"}.isdisjoint(what):
        progress.stage("scan", 0.0, 0.05, "putting a lesion into the scan")
        scan = standard_scan(model.template, args.scan)
        measured.scan = scan.name
    if "samplers" in what:
        progress.stage("samplers", 0.05, 0.38)
        published, monai = as_published(model.method), not args.no_monai
        given = scan.prepared.image, scan.prepared.mask
        measured.race = race(published, *given, scan.lesion, args.runs, monai, progress, device)
        if device != "cpu":
            measured.device = [agreement(published, *given, device, args.runs)]
    if "volumes" in what:
        progress.stage("volumes", 0.38, 0.4)
        measured.volumes = volume_race(PUBLISHED_SAMPLES, args.runs, progress, device)
    if "runs" in what:
        progress.stage("whole detections", 0.4, 0.7)
        with staging_folder(Path(tempfile.gettempdir())) as folder:
            path = folder / "scan.nii.gz"
            scan.volume.write(path)
            ways = [(args.model, False), (args.model, True), *((name, False) for name in args.also)]
            for number, (name, fast) in enumerate(ways):

                def report(half: float = 0.0, number: int = number, name: str = name) -> None:
                    progress.update((number + half) / len(ways), f"{name}, {'warm' if half else 'cold'}")

                measured.runs.append(cold_command(path, name, args.runs, fast, device, report))
                measured.runs.append(warm_worker(scan.volume, name, args.runs, fast, device, partial(report, 0.5)))
    if "scaling" in what:
        progress.stage("scaling", 0.7, 1.0)
        measured.growth = growth(model, scan, args.runs, progress, device)
    if "products" in what:
        measured.products = products(model.method.prior.to("cpu"))
    written = write_report(measured, args.output)
    progress.finish()
    if not args.quiet:
        print((args.output / "report.md").read_text(encoding="utf-8"))
        print("written: " + ", ".join(str(path) for path in written))


def _known(name: str) -> str:
    if name not in WHAT:
        raise argparse.ArgumentTypeError(f"{name!a:.80} is not a measurement; known: {', '.join(WHAT)}")
    return name


def _runs(text: str) -> int:
    if len(text) > 3 or not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError("it must be 1 to 100")
    return int(text)
