"""The card of a trained model: its papers, and sizes in units that its scans have."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

from plane_phantoms import toy_plane_model

from MedADLib.calibration import Pooling
from MedADLib.methods.morphaeus import MorphAEusParameters
from MedADLib.modelcard import model_card
from MedADLib.modelfile import load_model


def test_the_schedule_of_the_training_names_its_paper():
    model = load_model("brain-t1-atlas")
    method = SimpleNamespace(name="morphaeus", parameters=MorphAEusParameters())
    for schedule, named in (("morphaeus", False), ("morphade", True)):
        card = model_card(replace(model, method=method, training=model.training | {"facts": {"schedule": schedule}}))
        assert "Paper: Bercea" in card and ("Paper: Avci et al. 2024" in card) is named


def test_sizes_of_volumes_are_in_mm_and_ml():
    card = model_card(load_model("brain-t1-atlas"))
    assert "- Pooling: minimum over 0 mm, mean over 6 mm." in card
    assert " ml on average" in card and "pixel" not in card


def test_sizes_of_pictures_are_in_pixels_and_shares():
    model = load_model(toy_plane_model())
    # 64 pixels along the longer side, which counts as 192 mm.
    assert model.calibration.pooling.average_mm == 6.0
    assert "in pixels of the model's grid: minimum over 1, mean over 2." in model.card
    pooling = replace(model.calibration, pooling=Pooling(9.0, 14.0))
    assert "minimum over 3, mean over 4.67." in model_card(replace(model, calibration=pooling))
    assert "counts as 192 mm and a pixel as 3 mm" in model.card
    assert " ml " not in model.card and " % of its pixels on average" in model.card
