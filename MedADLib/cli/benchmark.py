"""``medad benchmark``: measure sampling, whole detections and how times grow with the size of the scan."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..runtime.progress import Progress

SPEED = ("samplers", "volumes", "runs", "scaling", "products")
WHAT = ("gpu", *SPEED)
# Samplers, scaling and products need latent restoration; whole detections also measure the default of `medad detect`.
MODEL, ALSO = "brain-t1-vqvae", "brain-t1"

EXAMPLES = """\
Examples:
  medad benchmark
  medad benchmark runs --scan scan.nii.gz --runs 5 -o benchmark"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``medad benchmark``."""
    parser.description = "Measure the speed of MedAD on this computer, and compare it with other implementations."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    what = f"what to measure: {', '.join(WHAT)} (default gpu with --device cuda, else all others)"
    parser.add_argument("what", nargs="*", type=_known, default=[], metavar="WHAT", help=what)
    output = "folder for tables, figures and report.md (default %(default)s)"
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmark"), metavar="DIR", help=output)
    scan = "skull-stripped T1-weighted scan of a brain (default: the MNI152 brain)"
    parser.add_argument("--scan", type=Path, help=scan)
    model = "model of latent restoration; for gpu, of any method (default %(default)s)"
    parser.add_argument("--model", default=MODEL, metavar="NAME|FILE", help=model)
    also = (
        "another model for whole detections and for gpu, which has all shipped models; may be repeated (default "
        f"{ALSO} with {MODEL}, else none)"
    )
    parser.add_argument("--also", action="append", metavar="NAME|FILE", help=also)
    runs = "runs of each measurement except products; the tables show medians (default 3)"
    parser.add_argument("--runs", type=_runs, default=3, help=runs)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default auto)")
    no_monai = "do not measure the sampling of MONAI, which takes a minute per run"
    parser.add_argument("--no-monai", action="store_true", help=no_monai)


def run(args: argparse.Namespace, progress: Progress | None = None) -> int:
    """Measure, write the report and print it."""
    from ..benchmark.suite import measure
    from ..runtime.progress import Progress

    usual = ("gpu",) if args.device.startswith("cuda") else SPEED
    what, monai = list(args.what or usual), not args.no_monai
    also = args.also or ([ALSO] if args.model == MODEL else [])
    written = measure(
        what, args.model, args.output, args.scan, also, args.runs, args.device, monai, progress or Progress()
    )
    if not args.quiet:
        print((args.output / "report.md").read_text(encoding="utf-8"))
        print("written: " + ", ".join(str(path) for path in written))
    return 0


def _known(name: str) -> str:
    if name not in WHAT:
        raise argparse.ArgumentTypeError(f"{name!a:.80} is not a measurement; known: {', '.join(WHAT)}")
    return name


def _runs(text: str) -> int:
    if len(text) > 3 or not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError("it must be 1 to 100")
    return int(text)
