"""``medad compare``: compare models on the same healthy scans and the same lesions."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..evaluation.detectors import SEED
from ..evaluation.image_cases import ABNORMAL_HELP
from ..messages import visible
from .reading_arguments import add_reading_arguments, reading_options

if TYPE_CHECKING:
    from ..runtime.progress import Progress

DESCRIPTION = "Compare models on simulated lesions in healthy scans, or on abnormal 2-D images."
EPILOG = """\
Files in the output folder, of brain models:
  comparison.md     wanted values beside the measured ones
  comparison.tsv    pooled accuracy: without and with pooling and voxelwise calibration, and as shipped (the complete
                    calibration of the model file), with bootstrap intervals of the AP over subjects and over cases
  differences.tsv   paired differences in AP between detectors on the same cases, with intervals
  kinds.tsv, contrasts.tsv, sizes.tsv, unseen.tsv, real.tsv
                    the same by kind and contrast, by diameter of the lesion, for the unseen families and real scans
  scans.tsv         scores of whole scans: AUROC of scans with a lesion against untouched ones, and how often the
                    same head scores higher with a lesion; --part validation helps to choose a score
  healthy.tsv       false regions and mL in untouched scans at the default threshold
  default.tsv       lesions hit, and share of their voxels marked, at the default threshold
  restorations.tsv  healing (error of the restoration to the healthy tissue over that of the lesion) and sharpness
                    outside lesions (gradient energy over that of the scan; PSNR)
  alignment.tsv     with --contrast: distance in mm between the alignments of the simulated scan and of its T1 scan
  cost.tsv          median seconds and peak memory
  DETECTOR.png, DETECTOR-misses.png, overview.png
                    maps; missed lesions and false positives with scan and restoration
  cases, scores     what a later run uses again

With --contrast, the kinds are tumour, demyelination, cavity, infarct and haemorrhage, and weak, medium and strong are
35, 65 and 100 % of the change of the tissue. With it, and for models of any contrast, three more baselines need no
model: intensity, smoothed intensity, and the distance of smoothed intensity from the median of the brain.

For a full comparison: --every --places 2 --unseen (with 6 subjects 144 cases, and 36 of the unseen families).

Examples:
  medad compare brain-t1 our-model.medad --healthy our-scans --every --places 2 -o comparison
  medad compare our-any.medad --healthy our-scans --contrast flair -o comparison-flair
  medad compare our-any.medad --only-real --real FLAIR.nii.gz lesions.nii.gz -o comparison-real
  medad compare a.medad b.medad --healthy healthy-images --abnormal abnormal-images -o comparison"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``medad compare``."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    models = "installed models or model files; all with the same template and split"
    parser.add_argument("models", nargs="+", help=models)
    healthy = "folder or NPZ file that the models were trained from"
    parser.add_argument("--healthy", type=Path, metavar="DIR", help=f"{healthy}; needed unless --only-real")
    output = "folder for tables, figures and scores"
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help=output)
    part = "part of the split with the healthy scans (default benchmark; for 2-D models without one, calibration)"
    parser.add_argument("--part", choices=("benchmark", "validation", "calibration"), help=part)
    into = (
        "insert the lesions into the healthy scans of this folder, such as those of another scanner, instead of a part "
        "of the split; scans with a name of the split are left out"
    )
    parser.add_argument("--into", type=Path, metavar="DIR", help=into)
    parser.add_argument("--healthy-label", type=int, help="label of the healthy images in NPZ files with labels")
    parser.add_argument("--abnormal", type=Path, metavar="PATH", help=ABNORMAL_HELP)
    every = "simulate every kind of lesion with every contrast in every subject"
    parser.add_argument("--every", action="store_true", help=every)
    places = "places of each kind of lesion in a subject, each with other lesions (default %(default)s)"
    parser.add_argument("--places", type=int, default=1, metavar="N", help=places)
    unseen = (
        "also simulate the two families of lesions that no training imitates, thin tubes or sheets and changes of the "
        "thickness of the cortex, at one place; they are in unseen.tsv and in no pooled value"
    )
    parser.add_argument("--unseen", action="store_true", help=unseen)
    seed = "random seed of the lesions or of the bootstrap (default %(default)s)"
    parser.add_argument("--seed", type=int, default=SEED, help=seed)
    brighten = "add this to the standard intensity of simulated lesions, as in T2-weighted images"
    parser.add_argument("--brighten", type=float, default=0.0, metavar="VALUE", help=brighten)
    contrast = (
        "turn the healthy T1 scans into scans of this contrast, by signal equations of spin echo and inversion "
        "recovery with published relaxation times, and insert lesions of tissue with other relaxation times"
    )
    parser.add_argument("--contrast", choices=("flair", "t2", "pd", "t1"), help=contrast)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default auto)")
    real, names = "a real scan and its lesion mask, reported separately; may be repeated", ("IMAGE", "TRUTH")
    parser.add_argument("--real", nargs=2, type=Path, action="append", default=[], metavar=names, help=real)
    only = "compare on the scans of --real only, which needs no healthy scans: accuracy without thresholds in real.tsv"
    parser.add_argument("--only-real", action="store_true", help=only)
    scope = "They hold for all scans of the folder, and for a file of --real that cannot be read without them."
    add_reading_arguments(parser, scope)


def run(args: argparse.Namespace, progress: Progress | None = None) -> int:
    """Compare models, write tables and figures, and print ``comparison.tsv``."""
    from ..evaluation.comparison import Comparison
    from ..runtime.progress import Progress

    if args.healthy is None and not args.only_real:
        raise InputError("healthy_scans_needed")
    given = vars(args) | {"reading": reading_options(args)}
    asked = Comparison(**{field.name: given[field.name] for field in fields(Comparison)})
    print(visible(asked.write(progress or Progress()).read_text(encoding="utf-8")))
    return 0
