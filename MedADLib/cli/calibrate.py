"""``medad calibrate``: recalibrate a model on other healthy scans or with other settings."""

from __future__ import annotations

import argparse
import datetime
import logging
import re
import tempfile
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..messages import Message
from ..modelfile.manifest import VERSION
from ..runtime.atomic_files import place_for_model
from ..scoring.healthy_reference import Threshold
from ..training.config import check_model_name, pooling_with, settings_of

if TYPE_CHECKING:
    from ..methods.base import Method
    from ..modelfile.model import Model
    from ..preprocessing.brain_space import PreparedBrain
    from ..runtime.progress import Progress
    from ..scoring.restoration import Restoration

log = logging.getLogger(__name__)

# With this many scans a p-value can be below 0.05.
ADVISED = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``medad calibrate``."""
    parser.description = "Recalibrate a model on your own healthy scans, and write it as a new model file."
    parser.add_argument("model", help="installed model or model file; its networks do not change")
    parser.add_argument(
        "--healthy",
        type=Path,
        required=True,
        metavar="DIR",
        help=f"folder of healthy scans, {ADVISED} or more if possible; scans of the training of the model are left out",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="NAME.medad", help="the new model file")
    parser.add_argument("--only", metavar="PATTERN", help="use only files with names like this, such as '*_T1w.nii.gz'")
    parser.add_argument("--skip-bad", action="store_true", help="leave out scans that cannot be used, and copies")
    parser.add_argument("--mixed", action="store_true", help="accept scans that seem to be of different kinds")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change a setting of the method that does not concern the networks, such as samples=5; may be repeated",
    )
    parser.add_argument("--threshold", help="default threshold of the model, such as 1ml (default: unchanged)")
    parser.add_argument(
        "--minimum-mm", type=float, metavar="MM", help="box of the minimum pooling (default: unchanged)"
    )
    parser.add_argument(
        "--average-mm", type=float, metavar="MM", help="box of the average pooling (default: unchanged)"
    )
    parser.add_argument("--description", help="purpose of the model in one line (default: unchanged)")
    parser.add_argument("--model-version", metavar="X.Y.Z", help="version of the new model (default: unchanged)")
    parser.add_argument("--data-note", default="", help="source and licence of the scans for the model card")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default 0)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default auto)")


def run(args: argparse.Namespace, progress: Progress | None = None) -> int:
    """Restore the healthy scans, calibrate on them and write the model.

    Args:
        args: The arguments that `add_arguments` declares, and ``load_model``, which replaces that of the library unless
            None.
        progress: Receives the stages and steps; may cancel.

    Returns:
        0.

    Raises:
        MedADError: If scans, settings or the path of the new model cannot be used.
    """
    from ..methods.base import faster_form
    from ..modelfile.card import model_card
    from ..modelfile.disclosure import CALIBRATED_ON
    from ..modelfile.model import load_model, save_model
    from ..runtime.device import resolve
    from ..runtime.progress import Progress
    from ..scoring.calibration import calibrate, fewest
    from ..training.data import brought

    progress = progress or Progress()
    check_model_name(args.output)
    # Refuse an unknown device before any scan is read.
    resolve(args.device)
    model = (args.load_model or load_model)(args.model)
    threshold = Threshold.parse(args.threshold) if args.threshold else model.calibration.reference.threshold
    pooling = pooling_with(model.calibration.pooling, args.minimum_mm, args.average_mm)
    if args.model_version and not re.fullmatch(VERSION, args.model_version, re.ASCII):
        raise InputError("bad_model_version", version=args.model_version)
    if args.seed < 0:
        raise InputError("negative_seed", seed=args.seed)
    method = with_settings(model.method, settings_of(args.set))
    with place_for_model(args.output):
        scans = _usable(args, model, fewest(model.template.symmetric), progress)
        if len(scans) < ADVISED:
            least = 1 / (len(scans) + 1)
            log.warning(Message("few_healthy_scans", count=len(scans), least=least))
        progress.stage("calibration", 0.1, 0.98)
        healthy, fast, quick = [], [], faster_form(method)
        for number, (name, source) in enumerate(scans.items()):
            progress.update(number / len(scans), f"examining {name}, {number + 1} of {len(scans)}")
            scan = brought(source, model.template)
            healthy.append((scan, _restored(method, scan, args)))
            if quick is not None:
                fast.append(_restored(quick, scan, args))
        calibration = calibrate(healthy, pooling, threshold, fast or None)
        progress.stage("writing", 0.98, 1.0)
        found = replace(
            model,
            name=args.output.stem,
            version=args.model_version or model.version,
            created=datetime.date.today().isoformat(),
            description=args.description or model.description,
            method=method,
            calibration=calibration,
            training=dict(model.training)
            | {CALIBRATED_ON: {"data": args.data_note or args.healthy.name, "scans": list(scans)}},
        )
        save_model(replace(found, card=model_card(found)), args.output)
    progress.finish()
    if not args.quiet:
        was, now = (c.reference.value_of(threshold) for c in (model.calibration, calibration))
        found = f"{threshold} is a z-score of {now:.2f} (was {was:.2f})"
        print(f"{args.output}: calibrated on {len(scans)} scans; {found}")
    return 0


def _restored(method: Method, scan: PreparedBrain, args: argparse.Namespace) -> Restoration:
    from ..runtime.device import run_on

    found, _, notes = run_on(
        args.device, lambda device: method.restore(scan.image, scan.mask, seed=args.seed, device=device)
    )
    for note in notes:
        log.warning(note)
    return found


def with_settings(method: Method, overrides: dict[str, object]) -> Method:
    """Replace settings of a method, and keep its networks.

    Args:
        method: The trained method.
        overrides: JSON values by name.

    Raises:
        InputError: If a setting is unknown, has a wrong value, or cannot be changed after the training.
    """
    from ..methods.settings import with_overrides

    if not overrides:
        return method
    free = getattr(type(method), "adjustable", ())
    if fixed := [name for name in overrides if name not in free]:
        setting, name = fixed[0], type(method).name
        if free:
            raise InputError("setting_not_adjustable", setting=setting, method=name, adjustable=", ".join(free))
        raise InputError("no_adjustable_settings", setting=setting, method=name)
    parameters = with_overrides(method.parameters, overrides, refused=())
    return type(method).from_tensors(parameters, method.tensors())


def _usable(args: argparse.Namespace, model: Model, needed: int, progress: Progress) -> dict:
    """Find the usable scans that are in no other part of the split of the model."""
    from ..dataset.checks import check_scans
    from ..dataset.discovery import find_scans
    from ..training.reference_model import check_kind, kept_split

    scans = find_scans(args.healthy, args.only, skip_bad=args.skip_bad)
    check_kind(model, scans.values(), None, "auto")
    split = None
    with suppress(InputError):
        split = kept_split(model)
    other = set() if split is None else {*split.train, *split.validation, *split.benchmark}
    scans = _without(scans, other, model.name)
    progress.stage("checking scans", 0.0, 0.1)
    with tempfile.TemporaryDirectory(prefix="MedAD-") as folder:
        record, kind = Path(folder) / "checks.json", model.template.kind
        return check_scans(scans, record, args.skip_bad, args.mixed, progress, kind, needed)


def _without(scans: dict, other: Collection[str], name: str) -> dict:
    kept = {key: source for key, source in scans.items() if key not in other}
    if count := len(scans) - len(kept):
        log.warning(Message("training_scans_left_out", count=count, model=name))
    return kept
