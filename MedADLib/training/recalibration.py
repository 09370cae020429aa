"""Recalibration of a model or several on other healthy scans or with other settings, as a new model file."""

from __future__ import annotations

import datetime
import logging
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..dataset.checks import check_scans
from ..dataset.discovery import find_scans
from ..dataset.scan_statistics import fingerprints_in
from ..errors import InputError
from ..io.reading_options import AS_THE_HEADER_SAYS, READING, ReadingOptions
from ..messages import Message
from ..methods.base import rounded
from ..methods.settings import with_overrides
from ..modelfile.card import model_card
from ..modelfile.disclosure import CALIBRATED_ON, FOLDS
from ..modelfile.joining import joined
from ..modelfile.known_scans import FINGERPRINTS
from ..modelfile.manifest import VERSION
from ..modelfile.model import save_model
from ..modelfile.numbering import OWN_SCANS, numbered, numbers_of
from ..runtime.atomic_files import place_for_model
from ..runtime.device import resolve, run_on
from ..scoring.healthy_reference import NEEDED, WANTED_P, Threshold
from ..scoring.leave_one_out import calibrate, fewest
from ..scoring.scan_score import check_scan_score, top_1ml
from .config import check_model_name, poolings_with
from .data import prepared_scan
from .reference_model import check_kind, named_split

if TYPE_CHECKING:
    from ..io.sources import Source
    from ..methods.base import Method
    from ..modelfile.model import Model
    from ..preprocessing.brain_space import PreparedBrain
    from ..runtime.progress import Progress
    from ..scoring.calibration import Pooling
    from ..scoring.restoration import Restoration

log = logging.getLogger(__name__)

# Score of a scan by an ensemble: the methods' own scores of its members have different units.
JOINED_SCORE = top_1ml.__name__


@dataclass(frozen=True)
class Recalibration:
    """What to change in a model; None keeps what the model has.

    Attributes:
        healthy: Folder of healthy scans; scans of the training of the model are left out.
        output: The new model file.
        only: Pattern of file names to use.
        skip_bad: Whether to leave out scans that cannot be used, and copies.
        mixed: Whether to accept scans that seem to be of different kinds.
        settings: Settings of the method that do not concern the networks, by name.
        threshold: Default threshold of the model.
        minimum_mm: Box of the minimum pooling in mm, at the coarse scale.
        average_mm: Box of the average pooling in mm, at the coarse scale.
        fine_mm: Box of the average pooling in mm of the fine scale; 0 for a single scale.
        scan_score: How a whole scan is scored; an ensemble of models is scored by the mean of the highest 1 mL.
        combine: How an ensemble joins the rarities of its members, one of `calibration.COMBINATIONS`.
        description: Purpose of the model in one line.
        model_version: Version of the new model, ``X.Y.Z``.
        data_note: Source and licence of the scans.
        named_scans: Whether the file names the new scans instead of numbering them.
        seed: Random seed.
        device: Device of the restorations.
        reading: What the user says about the scans beyond their headers.
    """

    healthy: Path
    output: Path
    only: str | None = None
    skip_bad: bool = False
    mixed: bool = False
    settings: Mapping[str, object] = field(default_factory=dict)
    threshold: str | None = None
    minimum_mm: float | None = None
    average_mm: float | None = None
    fine_mm: float | None = None
    scan_score: str | None = None
    combine: str | None = None
    description: str | None = None
    model_version: str | None = None
    data_note: str = ""
    named_scans: bool = False
    seed: int = 0
    device: str = "auto"
    reading: ReadingOptions = AS_THE_HEADER_SAYS

    def __post_init__(self) -> None:
        check_model_name(self.output)
        # Refuse an unknown device before any scan is read.
        resolve(self.device)

    def write(self, models: Sequence[Model], progress: Progress) -> Model:
        """Restore the healthy scans, calibrate on them, and write and return the new model.

        Networks stay, but for the rounding of their weights to half precision.

        Args:
            models: One model, or several with the same template, which become the members of an ensemble.
            progress: Receives each scan; may cancel.

        Raises:
            MedADError: If models, scans, settings or the path of the new model cannot be used.
        """
        first = models[0].calibration
        model, poolings, scan_score = models[0], first.poolings, self.scan_score or first.scan_score
        if len(models) > 1:
            model = joined(models)
            parts = (pooling for number, each in enumerate(models) for pooling in as_member(each, number))
            poolings, scan_score = tuple(parts), self.scan_score or JOINED_SCORE
        threshold = Threshold.parse(self.threshold) if self.threshold else first.reference.threshold
        check_scan_score(scan_score)
        poolings = poolings_with(poolings, self.minimum_mm, self.average_mm, self.fine_mm)
        combination = self.combine or first.combination
        if self.model_version and not re.fullmatch(VERSION, self.model_version, re.ASCII):
            raise InputError("bad_model_version", version=self.model_version)
        if self.seed < 0:
            raise InputError("bad_seed", value=self.seed)
        method = rounded(_with_settings(model.method, self.settings))
        with place_for_model(self.output):
            scans, fingerprints = self._usable(model, progress)
            if (count := len(scans)) < NEEDED:
                numbers = {"least": 1 / (count + 1), "p": WANTED_P, "needed": NEEDED}
                log.warning(Message("few_healthy_scans", count=count, **numbers))
            progress.stage("calibration", 0.1, 0.98)
            healthy, fast, quick = [], [], method.faster()
            for number, (name, source) in enumerate(scans.items()):
                progress.update(number / len(scans), f"examining {name}, {number + 1} of {len(scans)}")
                scan = prepared_scan(source, model.template)
                healthy.append((scan, self._restored(method, scan)))
                if quick is not None:
                    fast.append(self._restored(quick, scan))
            progress.stage("writing", 0.98, 1.0)
            first_number = 1 + max((int(name[5:]) for name in numbers_of(model.training)), default=0)
            numbers = numbered({"scans": list(scans)}, fingerprints, first_number)
            names, note = (list(scans), self.healthy.name) if self.named_scans else (numbers.parts["scans"], OWN_SCANS)
            used = {"data": self.data_note or note, "scans": names, FINGERPRINTS: numbers.fingerprints["scans"]}
            if self.reading != AS_THE_HEADER_SAYS:
                used[READING] = self.reading.as_json()
            # Training scans that calibrated out of fold are part of the former calibration only.
            training = {key: value for key, value in model.training.items() if key != FOLDS}
            found = replace(
                model,
                name=self.output.stem,
                version=self.model_version or model.version,
                created=datetime.date.today().isoformat(),
                description=self.description or model.description,
                method=method,
                calibration=calibrate(healthy, poolings, threshold, fast or None, scan_score, combination),
                training=training | {CALIBRATED_ON: used},
            )
            save_model(replace(found, card=model_card(found)), self.output)
        progress.finish()
        return found

    def _restored(self, method: Method, scan: PreparedBrain) -> Restoration:
        found, _, notes = run_on(
            self.device,
            lambda device: method.restore(scan.image, scan.mask, seed=self.seed, device=device),
            method.networks().values(),
        )
        for note in notes:
            log.warning(note)
        return found

    def _usable(self, model: Model, progress: Progress) -> tuple[dict[str, Source], dict[str, str]]:
        """Find the usable scans that are in no other part of the split of the model, and their fingerprints."""
        found = find_scans(self.healthy, self.only, skip_bad=self.skip_bad, options=self.reading)
        check_kind(model, found.values(), None, "auto")
        split = None
        with suppress(InputError):
            split = named_split(model, found)
        other = set() if split is None else {*split.train, *split.validation, *split.benchmark}
        scans = {name: source for name, source in found.items() if name not in other}
        if count := len(found) - len(scans):
            log.warning(Message("training_scans_left_out", count=count, model=model.name))
        progress.stage("checking scans", 0.0, 0.1)
        with tempfile.TemporaryDirectory(prefix="MedAD-") as folder:
            record, space = Path(folder) / "checks.json", model.template
            needed = fewest(space.symmetric)
            usable = check_scans(scans, record, self.skip_bad, self.mixed, progress, space.kind, needed)
            return usable, fingerprints_in(record)


def as_member(model: Model, number: int) -> tuple[Pooling, ...]:
    """Return the poolings of a model for its maps as the member of this number."""
    return tuple(replace(pooling, member=number) for pooling in model.calibration.poolings)


def _with_settings(method: Method, overrides: Mapping[str, object]) -> Method:
    """Replace settings of a method by JSON values, and keep its networks; raises InputError for one that is fixed."""
    if not overrides:
        return method
    free = method.adjustable
    if fixed := [name for name in overrides if name not in free]:
        setting, name = fixed[0], type(method).name
        if free:
            raise InputError("setting_not_adjustable", setting=setting, method=name, adjustable=", ".join(free))
        raise InputError("no_adjustable_settings", setting=setting, method=name)
    parameters = with_overrides(method.parameters, dict(overrides), refused=())
    return type(method).from_tensors(parameters, method.tensors())
