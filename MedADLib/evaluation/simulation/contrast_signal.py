"""Signal of brain tissue and of lesions in spin echo and FLAIR images, from published relaxation times.

The contrasts of the benchmark come from signal equations. The generator of the contrasts of the training has none, and
the two share no code and no number.

| | T1 at 1.5 T, 3 T | T2 at 1.5 T, 3 T | proton density |
|---|---|---|---|
| fluid | 4329 ms (Rooney et al. 2007) | 2200 ms (Atlas 2009) | 1 (Kwan et al. 1999) |
| cortex | 999 ms (Rooney), 1331 ms (Wansapura et al. 1999) | 95, 99 ms (Stanisz et al. 2005) | 0.86 (Kwan) |
| white matter | 680 ms (Rooney), 832 ms (Wansapura) | 72, 69 ms (Stanisz) | 0.77 (Kwan) |

Rooney et al. give T1 as a function of the field: 0.00071 s·(γB/Hz)^0.382 for white and 0.00116 s·(γB/Hz)^0.376 for grey
matter. Deep grey matter has 0.9 of the T2 of white matter: its rate is the mean of those of prefrontal cortex (14.4
1/s) and globus pallidus (25.8 1/s) at 3 T, where that of white matter is 18.0 1/s (Gelman et al. 1999). Its T1 and
proton density are half way between cortex and white matter, as its brightness in T1-weighted images is.

Lesions:

- **Demyelination** multiplies T1, T2 and proton density by the ratios of multiple sclerosis lesions to white matter in
  the tissue table of BrainWeb (752/500, 237/70 and 0.76/0.77; Kwan et al. 1999).
- **Oedema** and tumour add free water in fast exchange: rates are means of those of tissue and fluid (Zimmerman and
  Brittin 1957), and so is the proton density. The shares of water are our choice.
- **Haemorrhage** with deoxyhaemoglobin has a long T1 and a short T2 (Bradley 1993). 1500 and 25 ms are our choice.
- **Cavity**: fluid takes the place of tissue in a share of each voxel.

References:
    Atlas: Magnetic Resonance Imaging of the Brain and Spine, 4th edition, 2009, volume 1, table 2.1.
    Bradley 1993, doi:10.1148/radiology.189.1.8372185.
    Gelman et al. 1999, Radiology 210:759, pubmed 10207479.
    Kwan, Evans, Pike 1999, doi:10.1109/42.816072, and the table of tissue parameters of BrainWeb.
    Rooney et al. 2007, doi:10.1002/mrm.21122.
    Stanisz et al. 2005, doi:10.1002/mrm.20605.
    Wansapura et al. 1999, J Magn Reson Imaging 9:531, pubmed 10232510.
    Zimmerman, Brittin 1957, doi:10.1021/j150556a015.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from .tissue_mixture import CORTEX, DEEP, FLUID, TISSUES, WHITE


@dataclass(frozen=True)
class Relaxation:
    """Magnetic properties of a tissue.

    Attributes:
        t1: Longitudinal relaxation time in ms.
        t2: Transverse relaxation time in ms.
        density: Proton density, 1 for water.
    """

    t1: float
    t2: float
    density: float

    def towards(self, other: Relaxation, share: float) -> Relaxation:
        """Return the properties at a share of the way to another tissue, geometrically."""
        pairs = zip((self.t1, self.t2, self.density), (other.t1, other.t2, other.density))
        return Relaxation(*(a ** (1 - share) * b**share for a, b in pairs))

    def with_water(self, fluid: Relaxation, share: float) -> Relaxation:
        """Return the properties with this share of free water in fast exchange."""
        t1, t2 = (1 / ((1 - share) / a + share / b) for a, b in ((self.t1, fluid.t1), (self.t2, fluid.t2)))
        return Relaxation(t1, t2, (1 - share) * self.density + share * fluid.density)


def _tissues(cortex: tuple[float, float], white: tuple[float, float]) -> dict[str, Relaxation]:
    deep = Relaxation((cortex[0] + white[0]) / 2, 0.9 * white[1], (0.86 + 0.77) / 2)
    found = {FLUID: Relaxation(4329.0, 2200.0, 1.0), CORTEX: Relaxation(*cortex, 0.86)}
    return found | {DEEP: deep, WHITE: Relaxation(*white, 0.77)}


# By field strength in T.
RELAXATION: dict[float, dict[str, Relaxation]] = {
    1.5: _tissues((999.0, 95.0), (680.0, 72.0)),
    3.0: _tissues((1331.0, 99.0), (832.0, 69.0)),
}
BLOOD = Relaxation(1500.0, 25.0, 0.86)
# T1, T2 and proton density of multiple sclerosis lesions over those of white matter.
DEMYELINATED = (752 / 500, 237 / 70, 0.76 / 0.77)
# Shares of added free water in a core of a tumour, in its oedema, and in an infarct, at full severity.
TUMOUR_WATER, OEDEMA_WATER, INFARCT_WATER = 0.5, 0.35, 0.45


@dataclass(frozen=True)
class Sequence:
    """A spin echo sequence, with an inversion pulse before it or without.

    Attributes:
        tr: Repetition time in ms.
        te: Echo time in ms.
        ti: Inversion time in ms; 0 without an inversion pulse.
    """

    tr: float
    te: float
    ti: float = 0.0

    def signal(self, tissue: Relaxation) -> float:
        """Return the signal of a tissue; with an inversion pulse it can be negative.

        The refocusing pulse at half the echo time inverts what has recovered until then (Bernstein, King, Zhou:
        Handbook of MRI Pulse Sequences, 2004).
        """
        echo = np.exp(-(self.tr - self.te / 2) / tissue.t1)
        recovered = 1 - 2 * echo + np.exp(-self.tr / tissue.t1)
        if self.ti:
            recovered = 1 - 2 * np.exp(-self.ti / tissue.t1) + 2 * echo - np.exp(-self.tr / tissue.t1)
        return float(tissue.density * recovered * np.exp(-self.te / tissue.t2))


# Usual protocols. The inversion times null fluid at these repetition times.
PROTOCOLS: dict[str, tuple[Sequence, ...]] = {
    "flair": (
        Sequence(9000, 120, 2500),
        Sequence(11000, 125, 2700),
        Sequence(8000, 95, 2370),
        Sequence(6000, 140, 2030),
    ),
    "t2": (Sequence(3000, 80), Sequence(4000, 100), Sequence(6000, 110), Sequence(2500, 90)),
    "pd": (Sequence(2500, 20), Sequence(3000, 15), Sequence(4000, 12), Sequence(2200, 30)),
    "t1": (Sequence(500, 15), Sequence(600, 10), Sequence(450, 12), Sequence(650, 9)),
}
SCAN_CONTRASTS = tuple(PROTOCOLS)


def demyelinated(tissue: Relaxation, fluid: Relaxation) -> Relaxation:
    """Return the properties of a tissue that lost its myelin."""
    t1, t2, density = DEMYELINATED
    return Relaxation(tissue.t1 * t1, tissue.t2 * t2, tissue.density * density)


def bleeding(tissue: Relaxation, fluid: Relaxation) -> Relaxation:
    """Return the properties of blood with deoxyhaemoglobin."""
    return BLOOD


def watery(share: float) -> Callable[[Relaxation, Relaxation], Relaxation]:
    """Return the change of a tissue that takes up this share of free water."""
    return lambda tissue, fluid: tissue.with_water(fluid, share)


def emptied(tissue: Relaxation, fluid: Relaxation) -> Relaxation:
    """Return the properties of fluid."""
    return fluid


@dataclass(frozen=True)
class Finding:
    """A kind of lesion of the benchmark of other contrasts.

    Attributes:
        shape: The kind of `insertion.RADII_MM` with its shape and position.
        change: Maps tissue and fluid to the changed tissue, at full severity.
        rim: The same around the core of a tumour; None without a rim.
        mixes: Whether a lesser severity is a smaller share of each voxel; otherwise all of it is less changed.
    """

    shape: str
    change: Callable[[Relaxation, Relaxation], Relaxation]
    rim: Callable[[Relaxation, Relaxation], Relaxation] | None = None
    mixes: bool = False

    def signals(self, sequence: Sequence, tissues: Mapping[str, Relaxation], severity: float) -> np.ndarray:
        """Return the signal of each tissue changed by core and rim, (2, 4); without a rim the second is the first."""
        return np.array([self._changed(change, sequence, tissues, severity) for change in (self.change, self.rim)])

    def _changed(self, change, sequence, tissues, severity) -> list[float]:
        change = change or self.change
        found = []
        for name in TISSUES:
            before = tissues[name]
            # What is fluid already takes up no water and has no myelin.
            after = before if name == FLUID and change is not bleeding else change(before, tissues[FLUID])
            if self.mixes:
                found.append((1 - severity) * sequence.signal(before) + severity * sequence.signal(after))
            else:
                found.append(sequence.signal(before.towards(after, severity)))
        return found


# The order is part of the seeds: new findings come last.
FINDINGS: dict[str, Finding] = {
    "tumour": Finding("tumour", watery(TUMOUR_WATER), watery(OEDEMA_WATER)),
    "demyelination": Finding("spots", demyelinated),
    "cavity": Finding("cavity", emptied, mixes=True),
    "infarct": Finding("texture", watery(INFARCT_WATER)),
    "haemorrhage": Finding("texture", bleeding),
}
SEVERITIES = {"weak": 0.35, "medium": 0.65, "strong": 1.0}
