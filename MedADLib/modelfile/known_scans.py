"""Scans that trained or calibrated a model, known by their voxels and not by their names.

A model file lists fingerprints of its scans by part. Models of earlier versions list names only; for the public data
set that the shipped ones come from, `FINGERPRINTS_DS002748` tells the name of a scan by its fingerprint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from ..volume import Volume, fingerprint
from .disclosure import CALIBRATED_ON, DS002748

# Key of the fingerprints, in the training record and in the record of a later calibration.
FINGERPRINTS = "fingerprints"
DIGITS = 16
# Parts of a split that make the result of their scans better than that of a new one.
PARTS = ("train", "calibration", "validation")
# Number of the subject and fingerprint of its T1 scan in OpenNeuro ds002748 1.0.5.
FINGERPRINTS_DS002748 = """
01:4bf503e4ab177c68 02:0071315a0555a1f7 03:80ed7701a9993a88 04:b630c5462d7c80d9 05:428c14cc27e6aa26
06:6a0c0e81bd560359 07:5b69dce1f43d374b 08:297c8bf5e3610a97 09:a1bf1247f992f7a3 10:e17cc0fc7c049032
11:ae12e485a2f0ded2 12:5ac1e2ba91fc8561 13:d376abd7e108383a 14:7f796ec9cccf2798 15:8aded50d4d820c59
16:64f7f18280c6b5c0 17:0dc69f7b8c99cfb6 18:0ab2919406b8ae31 19:ca0a1f2eb69e2892 20:d2364ba1760fd5ed
21:5e4cf86f53118ff5 22:5d334a7d2eb3d216 23:b4a4e29dbada026e 24:86b3c87b6b24fd5f 25:013e8ad96b1ac3d2
26:4dfa51e54324e5f5 27:021b8b5e5489a88a 28:c4de41b4c1a3173e 29:7519c8d05de848d8 30:f1e9d8422b15b1f1
31:24cc573fdaa7c360 32:c73214b5edb2aa5f 33:f98614b92bb3116e 34:9a7dc4d6913d9191 35:ed477948d5f1e541
36:fad408a477ff5ce9 37:153f51c21f878520 38:aa4cb62323cc48f3 39:ca5fcb84252f65f3 40:a0400be4c077c8e4
41:639c740cfeda7840 42:ba7fc6bc711ef9a7 43:4807f06528d7f049 44:1bdec62092cbe78a 52:981cd6b772f05788
53:b57b5db910bd2eef 54:865821f6691a33ff 55:b570854c6e9f85a1 56:1fe0ab7a15fc68da 57:2467c0bb6cfa3d33
58:4c70f516f2707eae 59:24bb38b3068bb002 60:ce6ee658a504ba67 61:95d1f34c18323cae 62:9dd3fc590c81f464
63:b8aab82cb432dce9
"""


def short_fingerprint(volume: Volume) -> str:
    """Return the fingerprint of a scan in a model file; it needs the voxels, and does not reveal them."""
    return fingerprint(volume)[:DIGITS]


def part_of(volume: Volume, training: Mapping[str, Any]) -> str:
    """Return in which of `PARTS` of a model a scan is; empty if it is in none.

    Args:
        volume: The scan.
        training: The training record of the model; that of a file is not trusted.
    """
    split, later = (_mapping(training.get(name)) for name in ("split", CALIBRATED_ON))
    prints = _mapping(training.get(FINGERPRINTS))
    of_data = DS002748 in f"{training.get('data')} {later.get('data')}"
    if not (prints or later.get(FINGERPRINTS) or of_data):
        return ""
    known = {part: {*_texts(prints.get(part))} for part in PARTS}
    names = {part: {*_texts(split.get(part))} for part in PARTS}
    if later:
        known["calibration"], names["calibration"] = {*_texts(later.get(FINGERPRINTS))}, {*_texts(later.get("scans"))}
    own = short_fingerprint(volume)
    name = _names_of_ds002748().get(own, "") if of_data else ""
    for part in PARTS:
        if own in known[part] or (name and any(re.match(rf"{name}(?!\d)", other) for other in names[part])):
            return part
    return ""


@cache
def _names_of_ds002748() -> dict[str, str]:
    """Return the subjects of ds002748 by the fingerprints of their scans."""
    pairs = (entry.split(":") for entry in FINGERPRINTS_DS002748.split())
    return {own: f"sub-{number}" for number, own in pairs}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _texts(values: Any) -> list[str]:
    return [value for value in values if isinstance(value, str)] if isinstance(values, (list, tuple)) else []
