"""Models that are joined to an ensemble: splits, records, and what cannot be joined."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.model_files import model
from support.raised import raises

from MedADLib.errors import InputError
from MedADLib.methods.atlas import Atlas
from MedADLib.modelfile.joining import joined
from MedADLib.modelfile.model import Model


def named(name: str, split: dict, **changes) -> Model:
    image = model().template.image.array
    method = Atlas.train([(image, np.ones(image.shape, bool))] * 3, (2.0, 2.0, 3.0))
    return model(name=name, method=method, training={"data": f"data of {name}", "split": split, "seed": 3}, **changes)


def parts(train: str, validation: str, calibration: str, benchmark: str) -> dict[str, list[str]]:
    names = zip(("train", "validation", "calibration", "benchmark"), (train, validation, calibration, benchmark))
    return {part: list(letters) for part, letters in names}


@pytest.fixture
def both() -> tuple[Model, Model]:
    first = named("first", parts("abc", "d", "ef", "gh"), authors="A", licence="One.\n", sha256="1")
    return first, named("second", parts("abe", "f", "cd", "gi"), authors="B", licence="Two.\n", sha256="2")


def test_no_scan_that_a_member_learned_from_is_left_for_the_calibration(both):
    assert joined(both).training["split"] == parts("abce", "df", "", "ghi")
    apart = named("second", parts("abc", "d", "efj", "h"))
    assert joined([both[0], apart]).training["split"] == parts("abc", "d", "efj", "gh")


def test_the_ensemble_records_where_its_members_come_from(both):
    found = joined(both)
    assert found.method.members == ("first", "second") and found.calibration is None and found.sha256 == ""
    assert found.training["members"] == {
        "first": {"version": "1.2.0", "sha256": "1", "seed": 3},
        "second": {"version": "1.2.0", "sha256": "2", "seed": 3},
    }
    assert found.training["data"] == "data of first; data of second"
    assert (found.authors, found.licence) == ("A; B", "One.\n\nTwo.\n")
    assert found.description == "Ensemble of first and second"


def test_models_that_do_not_go_together_are_refused(both):
    first, second = both
    grid = replace(second.template, mask=~second.template.mask)
    for others, code in (
        ([first], "ensemble_same_name"),
        ([replace(second, calibration=None)], "ensemble_not_calibrated"),
        ([replace(second, template=grid)], "ensemble_other_template"),
        ([replace(second, method=joined(both).method)], "ensemble_in_ensemble"),
        ([replace(second, name=f"model-{number}") for number in range(4)], "ensemble_too_large"),
    ):
        with raises(InputError, code):
            joined([first, *others])
