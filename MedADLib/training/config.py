"""Options of a training, from the command line or a file; options on the command line take precedence."""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..errors import InputError
from ..methods.registry import ENTRIES, OPTIONS
from ..modelfile.manifest import NAME
from ..scoring.healthy_reference import NEEDED
from ..scoring.scan_score import METHOD as METHOD_SCORE
from ..scoring.scan_score import NAMES as SCAN_SCORES

if TYPE_CHECKING:
    from ..scoring.calibration import Pooling
    from .loop import Plan

EXTRA, METHOD = "extra", "method"
# Steps between validations, after each of which a checkpoint is written.
EVERY = 250
# Healthy scans advised for a calibration: with so many a p-value can be below `WANTED_P`.
ADVISED = NEEDED + 1

# What a value of each kind is called in TOML and JSON.
FILE_TYPES = {Path: "string", str: "string", bool: "boolean", int: "integer", float: "number"}


@dataclass(frozen=True)
class Options:
    """Options of a training; None takes the default of the method.

    Attributes:
        steps: Optimizer steps of the main network.
        prior_steps: Optimizer steps of the second network, such as the prior.
        latent: Latent size; an autoencoder without one chooses it on the validation scans.
        sweep_steps: Optimizer steps for each latent size tried.
        seed: Random seed.
        device: Device of the training.
        reduced: Whether to train with bfloat16 autocast.
        extra: Settings of the method by name; each method refuses unknown names.

    Raises:
        InputError: If a number of steps or the latent size is below 1.
    """

    steps: int | None = None
    prior_steps: int | None = None
    latent: int | None = None
    sweep_steps: int | None = None
    seed: int = 0
    device: str = "cpu"
    reduced: bool = False
    extra: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for value in (self.steps, self.prior_steps, self.latent, self.sweep_steps):
            if value is not None and value < 1:
                raise InputError("steps_not_positive")

    def overrides(self) -> dict[str, object]:
        """Collect the values that replace parameters of the method, by name."""
        return dict(self.extra) | ({} if self.latent is None else {"latent": self.latent})

    def plan(self, steps: int, rate: float) -> Plan:
        """Create the training plan of a network from its steps and its largest learning rate."""
        from .loop import Plan

        return Plan(steps, rate, every=min(EVERY, steps), seed=self.seed, reduced=self.reduced)


class Choice(NamedTuple):
    """One option of the command line and of files.

    Attributes:
        name: Name on the command line without dashes; in a file, ``_`` may replace ``-``.
        kind: bool, int, float, str or Path.
        help: Help text; ``%`` is written ``%%``.
        default: Value if the option is not given.
        metavar: Placeholder of the value in the help.
        short: Short form on the command line.
        allowed: Possible values; empty allows all.
        count: Number of values; a file has a list of them if there are several.
    """

    name: str
    kind: type
    help: str
    default: object = None
    metavar: str | tuple[str, ...] | None = None
    short: str | None = None
    allowed: tuple[str, ...] = ()
    count: int = 1

    @property
    def key(self) -> str:
        """Name among parsed arguments and in files."""
        return self.name.replace("-", "_")


CHOICES = (
    Choice("healthy", Path, "folder of healthy scans or 2-D images, with or without subfolders, or one NPZ file",
           metavar="DIR"),
    Choice("output", Path, "model file to write", metavar="NAME.medad", short="-o"),
    Choice("only", str, "use only files with names like this, such as '*_T1w.nii.gz'", metavar="PATTERN"),
    Choice("subjects", str, "how to identify the subject of a scan: by sub-XX in its path or the PatientID of DICOM "
           "files, else by folder, else by file or image of an NPZ file (auto, the default); by folder; or by file",
           "auto", allowed=("auto", "folder", "file")),
    Choice("healthy-label", int, "label of the healthy images in NPZ files with labels"),
    Choice("orientation", str, "directions that the axes of all files run towards, such as RAS (right, anterior, "
           "superior), where their headers lack or say it wrongly", metavar="RAS"),
    Choice("spacing", float, "voxel spacing along the axes of all files in mm, where their headers lack or say it "
           "wrongly", metavar=("X", "Y", "Z"), count=3),
    Choice("unit", str, "unit of the lengths in all headers: um, mm, cm or m"),
    Choice("use", str, "the position that counts where those of NIfTI headers contradict each other: sform or qform",
           metavar="FORM"),
    Choice("exclude", str, "scans to leave out by name, separated by commas, such as those that the leave-one-out "
           "comparison at the end of a training lists as outliers", metavar="NAME,NAME"),
    Choice("skip-bad", bool, "leave out unusable scans, copies, and 2-D images beside volumes, instead of stopping"),
    Choice("mixed", bool, "accept scans that seem to be of different kinds"),
    Choice("split", Path, "JSON file with the lists train, validation, calibration and benchmark of scans (default: a "
           "random split by subject; NPZ files with arrays train_* and test_* keep their own split, and only medad "
           "compare and medad sweep use the test images)", metavar="FILE"),
    Choice("like", str, "use the template and, without --split, the split of this installed model or model file, so "
           "that medad compare can compare both", metavar="MODEL"),
    Choice("work", Path, "folder for prepared scans, checkpoints and logs (default NAME.work)", metavar="DIR"),
    Choice("seed", int, "random seed (default 0)", 0),
    Choice("device", str, "auto, cpu, cuda or cuda:N (default auto)", "auto"),
    Choice("steps", int, "training steps of the main network (default: of the method)"),
    Choice("prior-steps", int, "training steps of the second network, such as the prior of latent_restoration "
           "(default: of the method)"),
    Choice("latent", int, "latent size (default: of the method; autoencoder chooses it on the validation scans)"),
    Choice("sweep-steps", int, "training steps for each latent size that autoencoder tries (default: of the method)"),
    Choice("augmentation", bool, "augment the training slices (default); the paper of the autoencoder does not, and "
           "learns faster without it", True),
    Choice("full-precision", bool, "never train in bfloat16"),
    Choice("size", int, "pixels along the longer side of a 2-D model (default: from the images)"),
    Choice("prepare", str, "how to prepare volumes: extract the brain and align it (brain); use the whole field of "
           "view (field); or brain if most of a few scans contain one, else field (auto, the default)", "auto",
           allowed=("auto", "brain", "field")),
    Choice("threshold", str, "default threshold of the model: a rarity such as 3.5, or the expected false positives "
           "per healthy scan, such as 1ml or 0.1%% (default 1ml; 0.1%% for 2-D models and for --prepare field)"),
    Choice("minimum-mm", float, "box of the minimum pooling in mm, at the coarse scale (default: of the method)"),
    Choice("average-mm", float, "box of the average pooling in mm, at the coarse scale (default: of the method)"),
    Choice("fine-mm", float, "box of the average pooling in mm of a second, fine scale without minimum; 0 for none "
           "(default 2.5 if the coarse scale is coarser)"),
    Choice("scan-score", str, "how to score a whole scan: by the method, or by the anomaly map (default method)",
           METHOD_SCORE, allowed=SCAN_SCORES),
    Choice("folds", int, "calibrate on the training scans too, each scored by a method trained without this fold of "
           "subjects: 5, for example; only for methods that train fast (default 0: none)", 0, metavar="K"),
    Choice("named-scans", bool, "name the scans in the model file, for public data; otherwise it numbers them, and "
           "scans.tsv in the work folder names them", False),
    Choice("data-note", str, "source and licence of the scans for the model card", ""),
    Choice("authors", str, "authors of the model for the model card", ""),
    Choice("licence", Path, "text file with the licence of the model (default: none is granted)", metavar="FILE"),
    Choice("modality", str, "modality of the scans (default: T1-weighted MR of the brain, 2-D images or 3-D scans)"),
    Choice("pictures", Path, "folder for the training figures (default: the work folder)", metavar="DIR"),
)  # fmt: skip


def unused_options(args: argparse.Namespace) -> list[str]:
    """List the given options that the method does not use, as they are written on the command line."""
    # One file of options may serve several methods, so these are passed over and not refused.
    found = [key for key in OPTIONS if key not in ENTRIES[args.method].options]
    if args.latent is not None and "sweep_steps" not in found:
        # With a given latent size there is no sweep.
        found.append("sweep_steps")
    return ["--" + key.replace("_", "-") for key in found if getattr(args, key) is not None]


def add_choices(parser: argparse.ArgumentParser, choices: Iterable[Choice] = CHOICES) -> None:
    """Declare these options, ``--config`` and ``--set``."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="TOML or JSON file with any of these options; options on the command line take precedence",
    )
    for choice in choices:
        names = [*([choice.short] if choice.short else []), f"--{choice.name}"]
        if choice.kind is bool:
            parser.add_argument(*names, action=argparse.BooleanOptionalAction, default=None, help=choice.help)
            continue
        values = {"choices": choice.allowed} if choice.allowed else {"metavar": choice.metavar}
        if choice.count > 1:
            values["nargs"] = choice.count
        parser.add_argument(*names, type=choice.kind, default=None, help=choice.help, **values)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"set a setting of the method, as under '{EXTRA}' in the file; may be repeated",
    )


def complete_arguments(args: argparse.Namespace, output: str = "NAME.medad") -> argparse.Namespace:
    """Complete a copy of the arguments of `add_choices`, with ``method``, by the options of the file and defaults.

    Paths in the file are relative to the folder of the file. Its table ``extra`` contains the settings of the method,
    which the method checks. The file may name its ``method``. A message that asks for the output calls it `output`.

    Raises:
        InputError: If the file cannot be read, is for another method, or has an unknown option or a value of the wrong
            type; or if a required option is missing.
    """
    content = {} if args.config is None else _read(args.config)
    extra = content.pop(EXTRA, {})
    if not isinstance(extra, dict):
        raise InputError("extra_not_a_table", file=args.config)
    method = content.pop(METHOD, None)
    if method is not None and method != args.method:
        raise InputError("options_of_other_method", file=args.config, found=method, method=args.method)
    given = {key.replace("-", "_"): value for key, value in content.items()}
    refuse_unknown(given, [choice.key for choice in CHOICES] + [EXTRA], args.config)
    found = vars(args) | {EXTRA: dict(extra) | settings_of(args.set)}
    for choice in CHOICES:
        filed = _value(choice, given[choice.key], args.config) if choice.key in given else choice.default
        if found[choice.key] is None:
            found[choice.key] = filed
    for key, example in (("healthy", "--healthy DIR"), ("output", f"-o {output}")):
        if found[key] is None:
            raise InputError("missing_option", option=key, example=example)
    return argparse.Namespace(**found)


def refuse_unknown(given: Iterable[str], known: Iterable[str], file: Path | None) -> None:
    """Refuse the names given in a file that are not known.

    Raises:
        InputError: For the first unknown name; the remedy names a similar known one.
    """
    known = list(known)
    for key in given:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            if nearest:
                raise InputError("misspelled_option", file=file, option=key, nearest=nearest[0])
            raise InputError("unknown_option", file=file, option=key, known=", ".join(known))


def _read(path: Path) -> dict:
    """Read a TOML or JSON file."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix.lower() == ".toml":
            try:
                import tomllib
            except ImportError as error:
                raise InputError("toml_unavailable") from error
            content = tomllib.loads(text)
        else:
            content = json.loads(text)
    except OSError as error:
        raise InputError("unreadable", path=path, reason=error.strerror or error) from error
    except ValueError as error:
        raise InputError("bad_options_file", file=path, reason=error) from error
    if not isinstance(content, dict):
        raise InputError("no_options_in_file", file=path)
    return content


def _value(choice: Choice, value: object, file: Path) -> object:
    """Check a value of the file, and convert it as the command line does."""
    kinds: Mapping[type, tuple[type, ...]] = {float: (int, float), Path: (str,)}
    several, values = choice.count > 1, value if isinstance(value, list) else [value]
    right = all(isinstance(one, kinds.get(choice.kind, (choice.kind,))) for one in values)
    right = right and isinstance(value, list) == several and len(values) == choice.count
    if not right or (choice.kind is not bool and any(isinstance(one, bool) for one in values)):
        wanted = FILE_TYPES[choice.kind]
        wanted = f"list of {choice.count} values of type {wanted}" if several else wanted
        # Quotes in the message distinguish a text such as '5' from a number.
        raise InputError("option_of_wrong_type", file=file, option=choice.key, value=ascii(value), type=wanted)
    if several:
        return [float(one) if choice.kind is float else one for one in values]
    if choice.allowed and value not in choice.allowed:
        allowed = ", ".join(choice.allowed)
        raise InputError("option_not_allowed", file=file, option=choice.key, value=value, allowed=allowed)
    if choice.kind is Path:
        return file.parent / Path(value).expanduser()
    return float(value) if choice.kind is float else value


def settings_of(written: Iterable[str]) -> dict[str, object]:
    """Parse settings such as ``loss=ssim``; a value that is not JSON is a text.

    Raises:
        InputError: If a text is not NAME=VALUE.
    """
    found = {}
    for text in written:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InputError("not_name_value", text=text)
        try:
            found[name.replace("-", "_")] = json.loads(value)
        except ValueError:
            found[name.replace("-", "_")] = value
    return found


def check_model_name(path: Path) -> None:
    """Refuse a path that cannot be a model file.

    Raises:
        InputError: If it does not end in ``.medad``, or its stem is not a name for a model.
    """
    if path.suffix != ".medad" or not re.fullmatch(NAME, path.stem, re.ASCII):
        raise InputError("bad_model_file_name", path=path)


def poolings_with(
    poolings: Sequence[Pooling], minimum_mm: float | None, average_mm: float | None, fine_mm: float | None
) -> tuple[Pooling, ...]:
    """Replace the pooling sizes in mm that a user gives, of all members of an ensemble; None keeps the present ones.

    Args:
        poolings: Poolings of the scales of each member, from fine to coarse.
        minimum_mm: Box of the minimum at the coarse scale.
        average_mm: Box of the mean at the coarse scale.
        fine_mm: Box of the mean at the fine scale, which replaces all but the coarse one; 0 for none.

    Raises:
        InputError: If a size is out of range.
    """
    found: list[Pooling] = []
    try:
        for member in sorted({pooling.member for pooling in poolings}):
            *finer, coarse = (pooling for pooling in poolings if pooling.member == member)
            coarse = coarse.replaced(minimum_mm, average_mm)
            found += (*finer, coarse) if fine_mm is None else coarse.with_fine(fine_mm)
    except ValueError as error:
        raise InputError("bad_pooling_size") from error
    return tuple(found)


def training_folder(
    work: Path, name: str, extra: Mapping[str, object], latent: int | None = None, augmentation: bool = True
) -> Path:
    """Return the folder of the checkpoints: ``NAME`` for default settings, ``NAME-1a2b3c4d`` for others.

    Each set of settings has its own folder, so that no training continues from the weights of another. The number of
    steps does not count as a setting, because a checkpoint contains its plan.
    """
    chosen = {"extra": dict(extra), "latent": latent, "augmentation": augmentation}
    if chosen == {"extra": {}, "latent": None, "augmentation": True}:
        return work / name
    digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:8]
    return work / f"{name}-{digest}"
