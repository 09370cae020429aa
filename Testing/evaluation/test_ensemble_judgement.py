"""An ensemble in a comparison is judged by its own calibration, which alone joins the maps of its members."""

from __future__ import annotations

import numpy as np

from MedADLib.evaluation.detectors import Detector, Kept
from MedADLib.evaluation.judgement import variants
from MedADLib.scoring.calibration import Pooling
from MedADLib.scoring.healthy_reference import Threshold
from MedADLib.scoring.leave_one_out import calibrate_scores

SHAPE, SPACING = (16, 20, 20), (2.0, 2.0, 2.0)
MASK = np.ones(SHAPE, bool)


def kept(kind: str, seed: int) -> Kept:
    """Maps of two members in different units; the second one sees a lesion."""
    random, truth = np.random.default_rng(seed), np.zeros(SHAPE, bool)
    score = np.stack([random.normal(0, 1, SHAPE), 1000 * random.random(SHAPE)]).astype(np.float32)
    if kind == "tumour":
        truth[6:10, 6:10, 6:10] = True
        score[1][truth] += 2000
    return Kept(kind, "strong", MASK, truth, score, 0.0, f"subject-{seed}", f"{kind}-{seed}")


def test_only_the_shipped_form_of_an_ensemble_is_judged():
    healthy = [kept("calibration", seed) for seed in range(4)]
    poolings = (Pooling(0.0, 2.0), Pooling(0.0, 2.0, 1))
    calibration = calibrate_scores(
        [k.score for k in healthy], [MASK] * 4, SPACING, poolings, Threshold(1, "ml"), [0.0] * 4
    )
    detector = Detector("both", "key", lambda prepared: None, poolings[-1], calibration, restores=False)
    (found,) = variants(detector, [*healthy, kept("healthy", 10), kept("tumour", 11)], SPACING)
    assert found.form.complete and found.form.shipped is calibration and len(found.judged) == 2
    tumour = found.judged[1]
    assert all(lesion.hit for lesion in tumour.lesions) and len(tumour.lesions) == 1
