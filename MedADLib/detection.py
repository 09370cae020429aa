"""Detect the anomalies of a scan: `detect`, its `Settings` and the resulting `Detection`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from ._version import __version__
from .errors import InputError, UnfitError
from .messages import Message
from .runtime.device import check_device, run_on
from .runtime.progress import Progress, rounded
from .scoring.healthy_reference import HealthyReference, Threshold
from .scoring.regions import Region, find_regions, midline_of
from .volume import Volume, is_single_slice

if TYPE_CHECKING:
    from .methods.base import Method
    from .modelfile.model import Model
    from .preprocessing.fit import Fit
    from .preprocessing.space import PreparedScan

SMALLEST_REGION_ML = 0.05
# An image without spacing or orientation has no volume: there, 1 mL counts as this many pixels.
PIXELS_IN_ML = 1000
# Entries of the input that say False: the file has no spacing, or no orientation. Missing in results of 3-D scans.
HAS_SPACING, HAS_ORIENTATION = "has_spacing", "has_orientation"
# Entry of the provenance: the unit of the anomaly map, missing in results of earlier versions with z-scores.
MAP_UNIT = "map_unit"
# Entry of the provenance of an ensemble: the largest rarity of each member in each region, by label and name.
FOUND_BY = "found_by"
# Entry of the provenance: by how many healthy SD the scan was brought down at each scale, see `scoring.level`.
BROUGHT_DOWN = "brought_down"
# Entry of the provenance: verdict, kind and measures of the fit of the scan to the model, see `preprocessing.fit`.
FIT = "fit"
# Warnings that a scan is one of those of the model, by part of the split.
KNOWN = {"train": "scan_in_train", "validation": "scan_in_validation", "calibration": "scan_in_calibration"}


@dataclass(frozen=True, eq=False)
class Settings:
    """What a user may set for a run; `as_json` and `from_json` convert all but the mask.

    Attributes:
        mask: Brain mask on the grid of the scan; None extracts the brain.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        seed: Random seed, 0 or more.
        threshold: None for the threshold of the model.
        smallest_region_ml: Smaller regions are not listed; mL, 0 to 10000. In an image without spacing or orientation,
            such as a PNG or a radiograph, 1 mL counts as 1000 pixels.
        smallest_region_px: The same in pixels of a single slice; None for `smallest_region_ml`.
        fast: Fewer restorations of fewer slices, if the method of the model has this mode: faster, slightly less
            exact. Thresholds and p-values come from healthy scans in fast mode, if the model was calibrated in it.
        force: Examine a scan that does not fit the model too; the result is then marked as not interpretable.

    Raises:
        InputError: If a value is of a wrong type or out of range.
    """

    mask: Volume | None = None
    device: str = "auto"
    seed: int = 0
    threshold: Threshold | None = None
    smallest_region_ml: float = SMALLEST_REGION_ML
    fast: bool = False
    smallest_region_px: int | None = None
    force: bool = False

    def __post_init__(self) -> None:
        check_device(self.device)
        seed, ml = self.seed, self.smallest_region_ml
        # In Python, bool is a subclass of int.
        if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
            raise InputError("bad_seed", value=repr(seed))
        if isinstance(ml, bool) or not isinstance(ml, Real) or not 0 <= ml < 1e4:
            raise InputError("smallest_region_out_of_range", ml=repr(ml))
        px = self.smallest_region_px
        if px is not None and (isinstance(px, bool) or not isinstance(px, Integral) or not 0 <= px < 1e8):
            raise InputError("smallest_region_pixels", px=repr(px))
        if type(self.fast) is not bool:
            raise InputError("bad_fast", value=repr(self.fast))
        if type(self.force) is not bool:
            raise InputError("bad_force", value=repr(self.force))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Settings:
        """Build settings from values by name, such as those of `as_json`; missing ones have their defaults.

        Args:
            values: By field, without the mask; the threshold as a text such as ``1ml``, a rarity or None.

        Raises:
            InputError: If a name is unknown, or a value is of a wrong type or out of range.
        """
        if unknown := sorted(set(values) - set(cls.names())):
            raise InputError("unknown_setting", name=f"{unknown[0]:.80}", known=", ".join(cls.names()))
        threshold = values.get("threshold")
        if isinstance(threshold, Real) and not isinstance(threshold, bool):
            threshold = Threshold(float(threshold))
        elif threshold is not None:
            threshold = Threshold.parse(str(threshold))
        return cls(**{**values, "threshold": threshold})

    @classmethod
    def of_provenance(cls, provenance: Mapping[str, Any]) -> Settings:
        """Read the settings of the run that made a result; those that an earlier version lacks have their defaults.

        So has a threshold without a unit of an earlier version, which is a z-score.

        Args:
            provenance: That of a `Detection`. It names the device that computed, without which GPU of several.

        Raises:
            InputError: If a value cannot be used, as in an edited scene.
        """
        chosen = provenance.get("settings")
        values = {**(chosen if isinstance(chosen, dict) else {}), "seed": provenance.get("seed")}
        if provenance.get(MAP_UNIT) is None and not str(values.get("threshold", "")).endswith(("ml", "%")):
            values.pop("threshold", None)
        values["device"] = str(provenance.get("device", "auto")).partition(":")[0]
        return cls.from_json({name: values[name] for name in cls.names() if values.get(name) is not None})

    def on(self, volume: Volume) -> Settings:
        """Return the settings with the smallest region in both units where the volume is an image, see `is_image`.

        Raises:
            InputError: If it is given in pixels and the volume has several slices.
        """
        px = self.smallest_region_px
        if px is not None and not is_single_slice(volume):
            raise InputError("pixels_for_images", name=volume.name)
        if px is None and is_image(volume):
            px = round(self.smallest_region_ml * PIXELS_IN_ML)
        ml = self.smallest_region_ml if px is None else px * volume.voxel_ml
        return replace(self, smallest_region_px=px, smallest_region_ml=ml)

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of all settings but the mask."""
        return [entry.name for entry in fields(cls) if entry.name != "mask"]

    def as_json(self) -> dict[str, Any]:
        """Return all settings but the mask by name, as JSON holds them."""
        return {
            "device": self.device,
            "seed": int(self.seed),
            "threshold": None if self.threshold is None else str(self.threshold),
            "smallest_region_ml": float(self.smallest_region_ml),
            "fast": self.fast,
            **({} if self.smallest_region_px is None else {"smallest_region_px": int(self.smallest_region_px)}),
            "force": self.force,
        }


@dataclass(frozen=True, eq=False)
class Detection:
    """Result of a detection; every volume is on the grid of the scan, with arrays (Z, Y, X).

    Attributes:
        volume: The scan.
        mask: Examined region, uint8.
        anomaly: Anomaly map, float32, finite, 0 or more: rarity, −log10 of the healthy exceedance, and 0 outside the
            examined region. In results of earlier versions z-scores (SD above the healthy mean), see `reference.unit`.
        restored: Pseudo-healthy image, in the intensity units of the scan.
        labels: int16, the number of the region of each voxel, 0 for none.
        regions: Regions above the threshold, by rank.
        threshold: Threshold of the anomaly map, in its unit.
        expected_false_positive_ml: Mean volume above the threshold in a healthy scan, mL.
        score: Score of the whole scan, larger = more anomalous; `reference.scan_score` names it.
        p_value: (1 + #{healthy ≥ score}) / (n + 1); NaN, as in its regions, if the result is not `interpretable`.
        healthy_count: n, the number of healthy scans; no p-value is below 1 / (n + 1).
        reference: Scores of the healthy scans of the model, which give p-values and thresholds.
        provenance: Model, settings, versions and times, as JSON holds them.
        warnings: Warnings for the user; a `Message` where it has a code.
    """

    volume: Volume
    mask: Volume
    anomaly: Volume
    restored: Volume
    labels: Volume
    regions: tuple[Region, ...]
    threshold: float
    expected_false_positive_ml: float
    score: float
    p_value: float
    healthy_count: int
    reference: HealthyReference
    provenance: dict
    warnings: tuple[str, ...]

    @property
    def interpretable(self) -> bool:
        """Whether the scan fits the model, so that verdict and p-values mean something."""
        return interpretable(self.provenance)

    def region_p_value(self, peak: float) -> float:
        """Return the p-value of a region with this peak; NaN if the result is not interpretable."""
        return self.reference.region_p_value(peak) if self.interpretable else no_p_value(peak)


def interpretable(provenance: Mapping[str, Any]) -> bool:
    """Return whether the scan of a result with this provenance fits the model; results of earlier versions do."""
    fit = provenance.get(FIT)
    return not (isinstance(fit, dict) and fit.get("verdict") == "unfit")


@dataclass(frozen=True, eq=False)
class Judgement:
    """The fit of a scan to a model, and the prepared scan that a run needs again.

    Attributes:
        fit: The fit.
        examined: The examined part, bool (Z, Y, X), on the grid of the scan.
        how: How that part was found.
        prepared: The scan in the space of the model.
        model: Name of the model.
        seconds: Seconds of the stages and parts so far.
    """

    fit: Fit
    examined: np.ndarray
    how: Message
    prepared: PreparedScan
    model: str
    seconds: dict[str, float]

    def refusal(self, force: bool = False) -> UnfitError | None:
        """Return why a run refuses the scan; None if it does not.

        Args:
            force: Whether the run examines a scan that does not fit too, which needs an alignment at least.
        """
        from .preprocessing.fit import kind_name
        from .preprocessing.registration import LEAST_INFORMATION

        fit, name = self.fit, self.prepared.native.name
        if fit.verdict != "unfit":
            return None
        quality = getattr(self.prepared, "quality", None)
        if quality is not None and quality.failed and (force or fit.reasons[0].code == "fit_not_aligned"):
            facts = {"information": quality.information, "limit": LEAST_INFORMATION}
            return UnfitError("alignment_failed", name=name, model=self.model, **facts)
        if force:
            return None
        helps = Message("force_helps" if quality is None or not quality.failed else "force_helps_not")
        facts = {"name": name, "model": self.model, "reason": fit.reasons[0], "models": _models_for(fit.seems)}
        facts |= {"force": helps}
        if fit.seems:
            return UnfitError("scan_does_not_fit_seems", kind=kind_name(fit.seems), **facts)
        return UnfitError("scan_does_not_fit", **facts)


def judge(volume: Volume, model: Model, mask: Volume | None = None, progress: Progress | None = None) -> Judgement:
    """Judge the fit of a scan to a model, before a restoration; without torch but for a skull.

    Args:
        volume: The scan, of any orientation and spacing.
        model: The model; only its space and modality are used.
        mask: Brain mask on the grid of the scan; None extracts the brain.
        progress: Receives each stage; can cancel.

    Raises:
        InputError: If the scan or the mask cannot be used.
        Cancelled: If the user has requested cancellation.
    """
    from .preprocessing.fit import judged

    progress, space = progress or Progress(), model.template
    progress.stage(space.region, 0.0, 0.05, Message("progress_examined_part"))
    examined, how = space.examined(volume, mask, progress)
    progress.stage("preparation", 0.05, 0.3, Message("progress_preparation"))
    prepared = space.prepared(volume, examined, progress)
    with progress.timed("fit"):
        fit = judged(prepared, how, model, volume.described)
    progress.finish()
    return Judgement(fit, examined, how, prepared, model.name, dict(progress.seconds))


def detect(
    volume: Volume,
    model: Model,
    settings: Settings | None = None,
    progress: Progress | None = None,
    judgement: Judgement | None = None,
) -> Detection:
    """Detect the anomalies of a scan.

    Args:
        volume: The scan, of any orientation and spacing.
        model: A calibrated model, see `load_model`.
        settings: None for the defaults.
        progress: Receives each stage; can cancel.
        judgement: That of the same voxels, model and mask, which saves the preparation; None judges the scan.

    Returns:
        The detection on the grid of the scan.

    Raises:
        InputError: If the scan or the mask cannot be used, or the device does not exist.
        UnfitError: If the scan does not fit the model and the settings do not force it, or it cannot be aligned.
        Cancelled: If the user has requested cancellation.
    """
    settings, progress = (settings or Settings()).on(volume), progress or Progress()
    calibration = model.calibration
    if calibration is None:
        raise InputError("not_calibrated", model=model.name)
    earlier = {} if judgement is None else judgement.seconds
    judgement = judgement or judge(volume, model, settings.mask, progress)
    if refusal := judgement.refusal(settings.force):
        raise refusal
    space, fit, examined, prepared = model.template, judgement.fit, judgement.examined, judgement.prepared
    progress.stage("restoration", 0.3, 0.9, Message("progress_restoration"))
    method, fast, speed = _method(model, settings.fast)
    restoration, device, notes = run_on(
        settings.device,
        lambda device: method.restore(
            prepared.image, prepared.mask, seed=settings.seed, device=device, progress=progress
        ),
        method.networks().values(),
    )
    progress.stage("anomaly map", 0.9, 0.95, Message("progress_comparison"))
    rarities = calibration.rarities(restoration.score, prepared.mask, space.image.spacing, progress, fast)
    with progress.timed("calibrate"):
        rarity = calibration.joined(rarities.of_members, prepared.mask, fast)
    score = calibration.score_of(rarity, prepared.mask, space.image.voxel_ml, restoration.sample_score, fast)
    with progress.timed("back to native"):
        anomaly = prepared.map_to_native(rarity)
        restored = prepared.image_to_native(restoration.restored)
    progress.stage("regions", 0.95, 1.0, Message("progress_regions"))
    reference, meaningful = calibration.reference_of(fast), fit.verdict != "unfit"
    settings = replace(settings, threshold=settings.threshold or reference.threshold)
    threshold = reference.value_of(settings.threshold)
    mask = volume.with_array(examined.view(np.uint8), f"{volume.name}_mask")
    region_p_value = reference.region_p_value if meaningful else no_p_value
    midline = midline_between(mask, fit.reasons)
    labels, regions = find_regions(anomaly, threshold, region_p_value, settings.smallest_region_ml, midline)
    found_by = (
        _found_by(method.members, rarities.of_members, prepared, labels, progress) if method.members and regions else {}
    )
    progress.finish()
    # The advice to calibrate on scans of the same scanner is wrong for a scan that does not fit.
    higher = rarities.beyond_healthy and meaningful
    level_warning = [Message("scores_higher_everywhere", sd=max(rarities.excess))] if higher else []
    chosen = settings.as_json()
    # The device that computed, which may differ from the one that was asked for.
    del chosen["device"]
    provenance = {
        "model": {"name": model.name, "version": model.version, "sha256": model.sha256},
        "method": model.method.name,
        "seed": chosen.pop("seed"),
        "settings": chosen,
        "device": device,
        "brain_mask": judgement.how,
        "input": {"name": volume.name, "sha256": content_hash(volume), **lacking(volume)},
        "resemblance": {key: round(value, 4) for key, value in prepared.similarity.items()},
        FIT: fit.as_json(),
        "facts": restoration.facts,
        **({FOUND_BY: found_by} if found_by else {}),
        **({BROUGHT_DOWN: [round(excess, 2) for excess in rarities.excess]} if rarities.excess else {}),
        MAP_UNIT: reference.unit,
        "scan_score": reference.scan_score,
        "versions": versions(),
        "seconds": rounded({**earlier, **progress.seconds}),
    }
    return Detection(
        volume,
        mask,
        anomaly,
        restored,
        volume.with_array(labels, f"{volume.name}_regions"),
        regions,
        threshold,
        reference.expected_false_positive_ml(threshold),
        score,
        reference.sample_p_value(score) if meaningful else no_p_value(score),
        reference.count,
        reference,
        provenance,
        (
            *(*known_scan(volume, model), *fit.reasons, *_whole_foreground(judgement)),
            *(*_wrong_voxels(volume, prepared), *level_warning, *speed, *notes),
        ),
    )


def is_image(volume: Volume) -> bool:
    """Return whether a volume is an image of pixels, such as a PNG or a radiograph: it lacks spacing or orientation."""
    return bool(lacking(volume))


def lacking(volume: Volume) -> dict[str, bool]:
    """Return the entries of the input that say what the file of a scan lacks; empty for most scans."""
    return {name: False for name in (HAS_SPACING, HAS_ORIENTATION) if not getattr(volume, name)}


def midline_between(mask: Volume, warnings: Sequence[str]) -> float | None:
    """Return the midline of an examined part, see `midline_of`; None for a head that is turned against its axes."""
    turned = any(isinstance(warning, Message) and warning.code == "head_turned" for warning in warnings)
    return None if turned else midline_of(mask)


def no_p_value(value: float) -> float:
    """Return NaN, the p-value of a result that is not interpretable."""
    return float("nan")


def fit_of(volume: Volume, model: Model, mask: Volume | None = None, progress: Progress | None = None) -> Fit:
    """Judge the fit of a scan to a model, see `judge`."""
    return judge(volume, model, mask, progress).fit


def _models_for(kind: str) -> Message:
    """Return which installed models a kind of scan would fit."""
    from .modelfile.store import list_models
    from .preprocessing.fit import kinds_of

    if kind == "label_map":
        return Message("scan_wanted")
    if not kind or kind == "other_part":
        return Message("another_model")
    wanted = {"t2_or_pd": {"t2", "pd"}, "flair_or_t1_agent": {"flair", "t1_agent"}}.get(kind, {kind})
    names = [one.name for one in list_models() if not one.error and kinds_of(one.modality) & wanted]
    return Message("fitting_models", models=", ".join(names)) if names else Message("no_fitting_model")


def known_scan(volume: Volume, model: Model) -> list[Message]:
    """Return a warning if a scan, by its voxels, is one of those that trained or calibrated a model."""
    from .modelfile.known_scans import part_of

    part = part_of(volume, model.training)
    return [Message(KNOWN[part], model=model.name)] if part else []


def _whole_foreground(judgement: Judgement) -> list[Message]:
    """Return a warning if no brain was found; one of results only, because a run refuses such a scan."""
    name = judgement.prepared.native.name
    return [Message("whole_foreground_examined", name=name)] if judgement.how.code == "part_foreground" else []


def _wrong_voxels(volume: Volume, prepared: PreparedScan) -> list[Message]:
    """Return a warning if voxels of a scan were replaced."""
    if prepared.native is volume:
        return []
    count = int((prepared.native.array != volume.array).sum())
    return [Message("wrong_voxel") if count == 1 else Message("wrong_voxels", count=count)]


def _found_by(
    members: Sequence[str],
    rarities: Sequence[np.ndarray],
    prepared: PreparedScan,
    labels: np.ndarray,
    progress: Progress,
) -> dict[str, dict[str, float]]:
    """Return the largest rarity of each member of an ensemble in each region, by label and name.

    Args:
        members: Names of the members.
        rarities: Their rarities inside the mask of the prepared scan, each (N,).
        prepared: The scan on the model's grid.
        labels: Regions on the grid of the scan, (Z, Y, X), 1 to the number of regions.
        progress: Times the resampling.
    """
    from .scoring.calibration import on_grid

    found: dict[str, dict[str, float]] = {str(label): {} for label in range(1, int(labels.max()) + 1)}
    inside = labels > 0
    for name, rarity in zip(members, rarities):
        with progress.timed("back to native"):
            values = prepared.map_to_native(on_grid(rarity, prepared.mask)).array[inside]
        highest = np.zeros(len(found) + 1, np.float32)
        np.maximum.at(highest, labels[inside], values)
        for label, value in zip(found, highest[1:]):
            found[label][name] = round(float(value), 2)
    return found


def _method(model: Model, fast: bool) -> tuple[Method, bool, list[str]]:
    """Choose the method to restore with; return also whether it is in fast mode, and notes for the user."""
    if not fast:
        return model.method, False, []
    method = model.method.faster()
    if method is None:
        return model.method, False, [Message("no_fast_mode", model=model.name)]
    if model.calibration.fast is None:
        return method, True, [Message("fast_mode_not_calibrated")]
    return method, True, [Message("fast_mode")]


def content_hash(volume: Volume) -> str:
    """Return the SHA-256 of voxels and affine, in hexadecimal digits."""
    import hashlib

    digest = hashlib.sha256(np.ascontiguousarray(volume.array).data)
    digest.update(np.round(volume.affine, 6).tobytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of MedAD, Python and the packages that compute a result."""
    import platform

    import SimpleITK
    import torch

    return {
        "medad": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "SimpleITK": SimpleITK.Version_VersionString(),
    }
