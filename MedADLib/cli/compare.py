"""``medad compare``: compare models on the same healthy scans and the same lesions.

`evaluation.image_comparison` compares models of single slices.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..evaluation.detectors import Detector, Kept, detectors
from ..evaluation.image_cases import ABNORMAL_HELP
from ..runtime.atomic_files import replacing, write_json

if TYPE_CHECKING:
    from ..evaluation.lesion_cases import Case
    from ..runtime.progress import Progress

SEED = 20260


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``medad compare``."""
    parser.description = "Compare models on simulated lesions in healthy scans, or on abnormal 2-D images."
    parser.add_argument(
        "models", nargs="+", help="installed models or model files; all with the same template and split"
    )
    parser.add_argument(
        "--healthy",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder or NPZ file that the models were trained from",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="folder for tables, figures and scores"
    )
    parser.add_argument(
        "--part",
        choices=("benchmark", "validation", "calibration"),
        help="part of the split with the healthy scans (default benchmark; for 2-D models without one, calibration)",
    )
    parser.add_argument("--healthy-label", type=int, help="label of the healthy images in NPZ files with labels")
    parser.add_argument("--abnormal", type=Path, metavar="PATH", help=ABNORMAL_HELP)
    parser.add_argument(
        "--every", action="store_true", help="simulate every kind of lesion with every contrast in every subject"
    )
    parser.add_argument(
        "--seed", type=int, default=SEED, help="random seed of the lesions or of the bootstrap (default %(default)s)"
    )
    parser.add_argument(
        "--brighten",
        type=float,
        default=0.0,
        metavar="VALUE",
        help="add this to the standard intensity of simulated lesions, as in T2-weighted images",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default auto)")
    parser.add_argument(
        "--real",
        nargs=2,
        type=Path,
        action="append",
        default=[],
        metavar=("IMAGE", "TRUTH"),
        help="a real scan and its lesion mask, reported separately; may be repeated",
    )


def file_name(name: str) -> str:
    """Convert the name of a detector to a valid file name."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-")


def run(args: argparse.Namespace, progress: Progress | None = None) -> int:
    """Compare models, and write ``comparison.tsv``, ``kinds.tsv``, ``real.tsv``, ``comparison.json`` and figures.

    For models of single slices, see `image_comparison.compare_planes`.

    Args:
        args: The arguments that `add_arguments` declares.
        progress: Receives each case; may cancel, after which the same command uses the stored scores.

    Returns:
        0.

    Raises:
        MedADError: If the models differ in template or split, or scans are missing.
    """
    from ..dataset.discovery import find_scans
    from ..evaluation.figures import Strip, write_overview, write_picture
    from ..evaluation.image_comparison import compare_planes
    from ..evaluation.lesion_cases import CaseName, case_names, cases, real_case
    from ..evaluation.tables import kind_rows, real_rows, rows_of, variants
    from ..modelfile.model import load_model
    from ..runtime.device import resolve
    from ..runtime.progress import Progress
    from ..runtime.tables import write_table

    progress = progress or Progress()
    models = [load_model(name) for name in args.models]
    template, split = models[0].template, models[0].training.get("split")
    for model in models:
        if not np.array_equal(model.template.image.array, template.image.array) or model.training.get("split") != split:
            raise InputError("models_differ", model=model.name, first=models[0].name)
    methods = detectors(models, resolve(args.device))
    if template.kind == "plane":
        table = compare_planes(args, models, methods, progress)
        progress.finish()
        print(table.read_text(encoding="utf-8"))
        return 0
    if template.kind != "brain":
        raise InputError("brain_model_needed", model=models[0].name)
    if args.abnormal is not None or args.healthy_label is not None or args.part == "calibration":
        raise InputError("image_options_for_volumes")
    args.part = args.part or "benchmark"
    if not (split or {}).get(args.part):
        raise InputError("part_without_scans", model=models[0].name, part=args.part)
    scans = find_scans(args.healthy, skip_bad=True)
    args.output.mkdir(parents=True, exist_ok=True)
    names = [CaseName(subject, "calibration") for subject in split["calibration"]]
    names += case_names(split[args.part], args.every)
    todo = [(str(name), name.kind, name.contrast) for name in names]
    progress.stage("scoring", 0.0, 0.9)
    for number, name in enumerate(names):
        progress.update(number / len(names), str(name))
        make = lambda name=name: next(cases([_untouched(name)], scans, template, args.seed))  # noqa: E731
        bright = lambda make=make: make().brightened(args.brighten)  # noqa: E731
        _score(bright, str(name), methods, args)
    for image, truth in args.real:
        label = f"{image.parent.name}-{image.name.split('.')[0]}"
        progress.update(1.0, label)
        _score(lambda image=image, truth=truth: real_case(image, truth, template), label, methods, args)
        todo.append((label, "real", label))
    progress.stage("tables", 0.9, 1.0)
    spacing, voxel_ml = template.image.spacing, template.image.voxel_ml
    rows, by_kind, real, strips = [], [], [], []
    for number, detector in enumerate(methods):
        progress.update(number / len(methods), detector.name)
        # Process one detector at a time: the maps of all take gigabytes.
        kept = [_kept(detector, args, *what) for what in todo]
        found = list(variants(detector, kept, spacing))
        rows += rows_of(found, voxel_ml)
        by_kind += kind_rows(found, voxel_ml)
        real += real_rows(found, voxel_ml)
        write_picture(args.output / f"{file_name(detector.name)}.png", detector.name, found[-1])
        strips.append(Strip.of(detector.name, found[-1]))
    write_overview(args.output / "overview.png", strips)
    for name, table in (("comparison.tsv", rows), ("kinds.tsv", by_kind), ("real.tsv", real)):
        if table:
            write_table(args.output / name, table)
    record = {"models": {m.name: m.sha256 for m in models}, "part": args.part, "seed": args.seed, "cases": len(names)}
    record["brightened"] = args.brighten
    write_json(args.output / "comparison.json", record | {"rows": rows}, indent=1)
    progress.finish()
    print((args.output / "comparison.tsv").read_text(encoding="utf-8"))
    return 0


def _untouched(name):
    """Create calibration scans in the same way as scans without a lesion."""
    return replace(name, kind="healthy") if name.kind == "calibration" else name


def _score(make: Callable[[], Case], label: str, methods: Sequence[Detector], args: argparse.Namespace) -> None:
    """Score a case with every detector, and store the scores; stored scores of an earlier run remain."""
    case: Case | None = None
    for detector in methods:
        file = _file(detector, label, args)
        if not file.is_file():
            case = case or make()
            score, sample = detector.score(case.prepared)
            file.parent.mkdir(exist_ok=True)
            with replacing(file) as partial:
                np.savez(partial, score=score, sample=sample, mask=case.prepared.mask, truth=case.truth)


def _kept(detector: Detector, args: argparse.Namespace, label: str, kind: str, contrast: str) -> Kept:
    """Read the stored scores of a case."""
    with np.load(_file(detector, label, args), allow_pickle=False) as content:
        return Kept(kind, contrast, content["mask"], content["truth"], content["score"], float(content["sample"]))


def _file(detector: Detector, label: str, args: argparse.Namespace) -> Path:
    brighter = f"_brighter-{args.brighten:g}" if args.brighten else ""
    return args.output / "scores" / f"{label}_{args.seed}{brighter}_{detector.key}.npz"
