"""The options of a training, from the command line or a file, and its checkpoint folder.

What can be chosen for a training, on the command line or in a file; the command line wins.

Where a training keeps its checkpoints: a folder for each set of settings, so that none takes another's weights.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..errors import InputError
from ..modelfile.manifest import NAME

if TYPE_CHECKING:
    from ..scoring.calibration import Pooling
    from .loop import Plan

EXTRA, METHOD = "extra", "method"

# What only some methods have. One file of options may serve several methods, so this is no reason to refuse it.
ONLY_OF = {
    "prior_steps": ("latent_restoration", "volume_restoration", "f_anogan"),
    "sweep_steps": ("autoencoder",),
}
NOT_OF = {"steps": ("atlas",), "latent": ("atlas",)}

# What a value of each kind is called in TOML and JSON.
FILE_TYPES = {Path: "string", str: "string", bool: "boolean", int: "integer", float: "number"}


@dataclass(frozen=True)
class Options:
    """What a user may choose; None takes the method's own.

    Attributes:
        steps: Optimizer steps of the main network.
        prior_steps: Optimizer steps of the prior.
        latent: Latent size of an autoencoder; None chooses it on the validation scans.
        sweep_steps: Steps for each latent size tried.
        seed: Of everything random.
        device: Where to train.
        reduced: bfloat16 autocast.
        extra: What this method alone knows, by name; each method refuses names that it does not know.
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

    def wishes(self) -> dict[str, object]:
        """What is asked of the method's own parameters."""
        return dict(self.extra) | ({} if self.latent is None else {"latent": self.latent})

    def plan(self, steps: int, rate: float) -> Plan:
        """The training plan of a network."""
        from .loop import Plan

        return Plan(steps, rate, every=min(250, steps), seed=self.seed, reduced=self.reduced)


class Choice(NamedTuple):
    """One option.

    Attributes:
        name: As on the command line, without dashes; in a file, ``-`` may be written ``_``.
        kind: bool, int, float, str or Path.
        help: What it means.
        default: What is taken where it is not given.
        metavar: What stands for its value in the help.
        short: Short form on the command line.
        allowed: The only values possible; empty allows all.
    """

    name: str
    kind: type
    help: str
    default: object = None
    metavar: str | None = None
    short: str | None = None
    allowed: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Its name among parsed arguments and in files."""
        return self.name.replace("-", "_")


CHOICES = (
    Choice("healthy", Path, "folder of healthy scans or 2-D images, with or without subfolders; or one NPZ file",
           metavar="DIR"),
    Choice("output", Path, "the model file to write", metavar="NAME.medad", short="-o"),
    Choice("only", str, "pattern of the file names to take, such as '*_T1w.nii.gz'", metavar="PATTERN"),
    Choice("subjects", str, "whose a scan is: sub-XX in its path or the PatientID of DICOM files, else folder, else "
           "file or each image of an NPZ file (auto); folder; or file", "auto", allowed=("auto", "folder", "file")),
    Choice("healthy-label", int, "label of the healthy images in NPZ files with labels"),
    Choice("skip-bad", bool, "leave out scans that cannot be used, copies, and pictures beside volumes, instead of "
           "refusing"),
    Choice("mixed", bool, "train although the scans seem to be of different kinds"),
    Choice("split", Path, "JSON that says which scan is for what; else by chance, by subject, but NPZ files with "
           "arrays train_* and test_* keep their own split: the test images are only for medad compare and medad sweep",
           metavar="FILE"),
    Choice("like", str, "take the template and, without --split, the split of this model, by name or file, so that "
           "medad compare can judge both", metavar="MODEL"),
    Choice("work", Path, "prepared scans, checkpoints and logs; else NAME.work", metavar="DIR"),
    Choice("seed", int, "of everything random (default 0)", 0),
    Choice("device", str, "auto, cpu, cuda or cuda:N (default auto)", "auto"),
    Choice("steps", int, "training steps of the main network"),
    Choice("prior-steps", int, "training steps of the second network, such as the prior (..._restoration)"),
    Choice("latent", int, "latent size; else chosen on the validation scans (autoencoder) or the method's own"),
    Choice("sweep-steps", int, "steps for each latent size tried (autoencoder)"),
    Choice("augmentation", bool, "change training slices a little at random (default); the paper of the autoencoder "
           "does not, and learns faster for it", True),
    Choice("full-precision", bool, "never train in bfloat16"),
    Choice("size", int, "pixels along the longer side of a 2-D model; else chosen from the images"),
    Choice("prepare", str, "what volumes are: brains, cut out and aligned (brain); anything else, by its whole field "
           "of view (field); or look whether they hold brains (auto)", "auto", allowed=("auto", "brain", "field")),
    Choice("threshold", str, "the model's own threshold, such as 1ml, 0.1%% or 3.5 (default 1ml; 0.1%% of the slice "
           "for a 2-D model, of the field of view for volumes that are no brains)"),
    Choice("minimum-mm", float, "box of the minimum pooling; else the method's own"),
    Choice("average-mm", float, "box of the average pooling; else the method's own"),
    Choice("data-note", str, "source and licence of the scans, for the model card", ""),
    Choice("authors", str, "who trained the model, for the model card", ""),
    Choice("licence", Path, "text of the licence; else none is granted", metavar="FILE"),
    Choice("modality", str, "what the scans are (default T1-weighted MR of the brain; else 2-D images or 3-D scans)"),
    Choice("pictures", Path, "where the training pictures go; else the work folder", metavar="DIR"),
)  # fmt: skip


def useless(args: argparse.Namespace) -> list[str]:
    """Options that were given and that the method to be trained has no use for, as on the command line.

    Args:
        args: What `settled` gives, with ``method``.
    """
    found = [key for key, methods in ONLY_OF.items() if args.method not in methods]
    found += [key for key, methods in NOT_OF.items() if args.method in methods]
    if args.latent is not None and "sweep_steps" not in found:
        # A latent size that is given is not looked for.
        found.append("sweep_steps")
    return ["--" + key.replace("_", "-") for key in found if getattr(args, key) is not None]


def add_choices(parser: argparse.ArgumentParser) -> None:
    """Declare all options, ``--config`` and ``--set``."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="TOML or JSON with any of these options; the command line wins"
    )
    for choice in CHOICES:
        names = [*([choice.short] if choice.short else []), f"--{choice.name}"]
        if choice.kind is bool:
            parser.add_argument(*names, action=argparse.BooleanOptionalAction, default=None, help=choice.help)
            continue
        values = {"choices": choice.allowed} if choice.allowed else {"metavar": choice.metavar}
        parser.add_argument(*names, type=choice.kind, default=None, help=choice.help, **values)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"a setting of the method alone, as under '{EXTRA}' in the file; may be repeated",
    )


def settled(args: argparse.Namespace) -> argparse.Namespace:
    """Arguments with what the file says where the command line is silent, and else the defaults.

    In the file, paths are meant from the file's own folder. The settings of the method alone stand in a table
    ``extra`` and are checked by the method. The file may name the ``method`` that it is for.

    Args:
        args: What the parser of `add_choices` gives, with ``method``.

    Returns:
        A copy that has ``extra`` too: a dictionary.

    Raises:
        InputError: If the file cannot be read, is for another method, or has an unknown option or a value of the wrong
            kind.
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
    for key, example in (("healthy", "--healthy DIR"), ("output", "-o NAME.medad")):
        if found[key] is None:
            raise InputError("missing_option", option=key, example=example)
    return argparse.Namespace(**found)


def refuse_unknown(given: Iterable[str], known: Iterable[str], file: Path | None) -> None:
    """Refuse names that nobody knows, with the nearest known one.

    Raises:
        InputError: Naming the first.
    """
    known = list(known)
    for key in given:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            if nearest:
                raise InputError("misspelled_option", file=file, option=key, nearest=nearest[0])
            raise InputError("unknown_option", file=file, option=key, known=", ".join(known))


def _read(path: Path) -> dict:
    """The content of a TOML or JSON file."""
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
        raise InputError("unreadable_options", file=path, reason=error.strerror or error) from error
    except ValueError as error:
        raise InputError("bad_options_file", file=path, reason=error) from error
    if not isinstance(content, dict):
        raise InputError("no_options_in_file", file=path)
    return content


def _value(choice: Choice, value: object, file: Path) -> object:
    """A value of the file as the command line would give it."""
    kinds: Mapping[type, tuple[type, ...]] = {float: (int, float), Path: (str,)}
    right = isinstance(value, kinds.get(choice.kind, (choice.kind,)))
    if not right or (isinstance(value, bool) and choice.kind is not bool):
        # An integer instead of a text must not look like one.
        raise InputError(
            "option_of_wrong_type", file=file, option=choice.key, value=ascii(value), type=FILE_TYPES[choice.kind]
        )
    if choice.allowed and value not in choice.allowed:
        allowed = ", ".join(choice.allowed)
        raise InputError("option_not_allowed", file=file, option=choice.key, value=value, allowed=allowed)
    if choice.kind is Path:
        return file.parent / Path(value).expanduser()
    return float(value) if choice.kind is float else value


def settings_of(written: Iterable[str]) -> dict[str, object]:
    """Settings written as NAME=VALUE; the value is JSON, or else text."""
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

    Args:
        path: Of the model file to write.

    Raises:
        InputError: If it does not end in ``.medad``, or its stem is not a name for a model.
    """
    if path.suffix != ".medad" or not re.fullmatch(NAME, path.stem, re.ASCII):
        raise InputError("bad_model_file_name", path=path)


def pooling_with(pooling: Pooling, minimum_mm: float | None, average_mm: float | None) -> Pooling:
    """Replace the pooling sizes that a user gives.

    Args:
        pooling: Of the method or model.
        minimum_mm: Edge of the box of the minimum in mm; None keeps the present one.
        average_mm: Edge of the box of the average in mm; None keeps the present one.

    Raises:
        InputError: If a size is out of range.
    """
    try:
        return pooling.replaced(minimum_mm, average_mm)
    except ValueError as error:
        raise InputError("bad_pooling_size") from error


def training_folder(
    work: Path, name: str, extra: Mapping[str, object], latent: int | None = None, augmentation: bool = True
) -> Path:
    """``NAME`` for the settings that a method has by itself, ``NAME-1a2b3c4d`` for others.

    What only ends a training sooner or later, such as its steps, is no setting: a checkpoint knows its plan.

    Args:
        work: The work folder.
        name: Of the method.
        extra: The method's own settings, as the user gave them.
        latent: Latent size, if the user gave one.
        augmentation: Whether slices are changed at random.
    """
    chosen = {"extra": dict(extra), "latent": latent, "augmentation": augmentation}
    if chosen == {"extra": {}, "latent": None, "augmentation": True}:
        return work / name
    digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:8]
    return work / f"{name}-{digest}"
