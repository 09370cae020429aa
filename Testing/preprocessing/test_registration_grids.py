"""A template's coarse grids: made once for all scans, anew for another template, and never kept longer than it."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import SimpleITK as sitk
from support.phantoms import head

from MedADLib.preprocessing.registration import LEVELS, affine_to_native, coarse, template_levels


def test_each_level_is_the_template_on_its_grid():
    template, mask = head(0)
    levels = template_levels(template, mask)
    assert [(level.spacing, level.near is None) for level in levels] == list(LEVELS)
    expected = coarse(template.with_array(np.where(mask, template.array, 0)), LEVELS[-1][0])
    assert np.array_equal(*(sitk.GetArrayFromImage(image) for image in (levels[-1].image, expected)))


def test_the_grids_of_a_template_are_made_once_and_those_of_another_mask_anew():
    template, mask = head(0)
    first = template_levels(template, mask)
    assert template_levels(template, mask) is first
    smaller = mask & (np.arange(mask.shape[0]) < 25)[:, None, None]
    assert template_levels(template, smaller) is not first


def test_the_second_alignment_is_the_first_bit_for_bit():
    template, mask = head(0)
    scan, brain = head(1)
    first, second = (affine_to_native(template, mask, scan, brain) for _ in range(2))
    fresh, fresh_mask = head(0)
    assert np.array_equal(first, second)
    assert np.array_equal(first, affine_to_native(fresh, fresh_mask, scan, brain))


def test_grids_are_forgotten_with_their_template():
    template, mask = head(0)
    level = weakref.ref(template_levels(template, mask)[0])
    del template, mask
    gc.collect()
    assert level() is None
