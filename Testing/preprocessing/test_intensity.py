from __future__ import annotations

import numpy as np
import pytest
from support.phantoms import head

from MedADLib.errors import InputError
from MedADLib.preprocessing.intensity import (
    Landmarks,
    bias_field,
    histogram_distance,
    landmark_values,
    standard_histogram,
)


def test_landmarks_invert_each_other_also_beyond_their_ends():
    values = np.random.default_rng(0).gamma(2, 100, 5000)
    marks = landmark_values(values)
    landmarks = Landmarks(marks, np.linspace(0.1, 0.9, len(marks)))
    probe = np.linspace(marks[0] - 100, marks[-1] + 100, 300)
    assert np.allclose(landmarks.backward(landmarks.forward(probe)), probe, atol=0.5)
    assert (np.diff(landmarks.forward(probe)) > 0).all()


def test_two_scans_of_one_anatomy_with_other_gain_get_the_same_standard_intensities():
    volume, mask = head(1)
    target = np.linspace(0.1, 0.9, len(landmark_values(volume.array[mask])))
    mapped = []
    for gain, offset in ((1.0, 0.0), (3.0, 40.0)):
        values = volume.array * gain + offset
        mapped.append(Landmarks(landmark_values(values[mask]), target).forward(values[mask]))
    assert np.abs(mapped[0] - mapped[1]).max() < 1e-3


def test_a_constant_brain_is_refused():
    with pytest.raises(InputError) as caught:
        landmark_values(np.full(100, 7.0))
    assert caught.value.code == "brain_one_intensity"


def test_histogram_distance_is_the_wasserstein_distance():
    from scipy.stats import wasserstein_distance

    random = np.random.default_rng(1)
    first, second = standard_histogram(random.normal(size=9000)), standard_histogram(random.gamma(1, size=9000))
    places = np.arange(len(first)) * 0.025
    assert histogram_distance(first, second) == pytest.approx(
        wasserstein_distance(places, places, first, second), rel=1e-6
    )
    assert histogram_distance(first, first) == 0


def test_bias_field_takes_out_a_drift():
    volume, mask = head(2)
    drift = np.exp(np.linspace(-0.3, 0.3, volume.array.shape[1]))[None, :, None].astype(np.float32)
    drifted = volume.with_array((volume.array * drift).astype(np.float32))
    corrected = drifted.array / bias_field(drifted, mask)
    white = mask & (volume.array > np.percentile(volume.array[mask], 60))
    before, after = drifted.array[white], corrected[white]
    assert after.std() / after.mean() < 0.5 * before.std() / before.mean()
