"""What a user says about an image file beyond its header, or against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..volume import LETTERS, size_text

if TYPE_CHECKING:
    from argparse import Namespace

# Millimetres of each unit of length.
UNITS = {"um": 1e-3, "mm": 1.0, "cm": 10.0, "m": 1000.0}
FORMS = ("sform", "qform")
# Key of the options where results and models keep how their scans were read.
READING = "reading"


@dataclass(frozen=True)
class ReadingOptions:
    """What a user says about an image file; each one goes before the header.

    Attributes:
        orientation: Directions that the axes (x, y, z) run towards, such as ``RAS``; empty for those of the header.
        spacing: Voxel spacing along (x, y, z) in mm; None for that of the header.
        unit: Unit of the lengths in the header, a key of `UNITS`; empty for the one that the header names.
        form: The position of a NIfTI header that counts, ``sform`` or ``qform``; empty for the usual choice.

    Raises:
        InputError: If a value is of a wrong form.
    """

    orientation: str = ""
    spacing: tuple[float, float, float] | None = None
    unit: str = ""
    form: str = ""

    def __post_init__(self) -> None:
        letters = self.orientation
        if letters and (not isinstance(letters, str) or sorted(_axis(letter) for letter in letters) != [0, 1, 2]):
            raise InputError("bad_orientation_option", value=f"{letters!r:.80}")
        if self.spacing is not None:
            try:
                spacing = tuple(float(step) for step in self.spacing)
            except (TypeError, ValueError):
                spacing = ()
            if len(spacing) != 3 or not (np.isfinite(spacing).all() and min(spacing) > 0):
                raise InputError("bad_spacing_option", value=f"{self.spacing!r:.80}")
            object.__setattr__(self, "spacing", spacing)
        if self.unit and self.unit not in UNITS:
            raise InputError("bad_unit_option", value=f"{self.unit!r:.80}", known=", ".join(UNITS))
        if self.form and self.form not in FORMS:
            raise InputError("bad_form_option", value=f"{self.form!r:.80}")

    @property
    def unit_is_sure(self) -> bool:
        """Whether the user gives the unit of length, so that a very large field of view is no mistake."""
        return bool(self.unit or self.spacing)

    def as_json(self) -> dict[str, Any]:
        """Return what is set, by name, as JSON holds it; empty if nothing is."""
        return {name: list(value) if name == "spacing" else value for name, value in asdict(self).items() if value}

    @classmethod
    def of_arguments(cls, args: Namespace) -> ReadingOptions:
        """Return the options of the arguments ``orientation``, ``spacing``, ``unit`` and ``use`` of a command.

        Raises:
            InputError: If a value is of a wrong form.
        """
        words = {name: written(name, getattr(args, argument) or "") for name, argument in ARGUMENTS.items()}
        return cls(spacing=args.spacing, **words)

    def described(self) -> str:
        """Return what is set, for display, such as ``orientation RAS, spacing 3 x 2 x 4 mm``; empty if nothing is."""
        words = {name: value for name, value in self.as_json().items() if name != "spacing"}
        shown = [f"{name} {value}" for name, value in words.items()]
        return ", ".join([*shown, *([f"spacing {size_text(self.spacing)} mm"] if self.spacing else [])])

    @classmethod
    def from_json(cls, values: Any) -> ReadingOptions:
        """Rebuild the options from `as_json`; None gives the defaults.

        Raises:
            InputError: If a name is unknown or a value of a wrong form.
        """
        values = {} if values is None else values
        names = cls.__dataclass_fields__
        if not isinstance(values, Mapping) or set(values) - set(names):
            raise InputError("bad_reading_options")
        return cls(**values)


AS_THE_HEADER_SAYS = ReadingOptions()
# Arguments of the command line by the names of their options.
ARGUMENTS = {"orientation": "orientation", "unit": "unit", "form": "use"}


def written(name: str, text: str) -> str:
    """Return an option as a user writes it, in upper or lower case, in the form of `ReadingOptions`.

    Raises:
        InputError: If it is none.
    """
    return getattr(ReadingOptions(**{name: text.upper() if name == "orientation" else text.lower()}), name)


def _axis(letter: str) -> int:
    """Return the RAS axis of a letter, -1 for another one."""
    return LETTERS[letter][0] if letter in LETTERS else -1
