"""Colours of regions: neighbours in rank are clearly different, also for readers who are weak in red or green."""

from __future__ import annotations

import numpy as np
import pytest

from MedADLib.results.colours import REGION_COLOURS, RGB_FROM_XYZ, WHITE_D65, heat_colours, region_colour

# What is seen of linear RGB; Machado, Oliveira and Fernandes 2009, severity 1.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
# About 1 is just noticeable side by side.
CLEAR, CLEAR_OF_HEAT, CLEAR_OF_FOUR = 17.0, 20.0, 20.0
CLEAR_OF_GREY, CLEAR_OF_GREY_AT_TOP, CLEAR_STEP = 15.0, 23.0, 3.0


def lab(rgb: np.ndarray, vision: str) -> np.ndarray:
    """CIELAB of sRGB colours (N, 3) as they are seen."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ VISION[vision].T, 0, 1) @ np.linalg.inv(RGB_FROM_XYZ).T / WHITE_D65
    x, y, z = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def ciede2000(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Colour differences of CIELAB colours (..., 3) by Sharma, Wu and Dalal 2005."""
    (l1, a1, b1), (l2, a2, b2) = np.moveaxis(first, -1, 0), np.moveaxis(second, -1, 0)
    mean_chroma = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    stretch = 1.5 - 0.5 * np.sqrt(mean_chroma**7 / (mean_chroma**7 + 25.0**7))
    c1, c2 = np.hypot(a1 * stretch, b1), np.hypot(a2 * stretch, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1 * stretch)) % 360, np.degrees(np.arctan2(b2, a2 * stretch)) % 360
    turn = (h2 - h1 + 180) % 360 - 180
    hue_difference = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    lightness, chroma, hue = (l1 + l2) / 2, (c1 + c2) / 2, (h1 + turn / 2) % 360
    t = 1 - 0.17 * cos(hue - 30) + 0.24 * cos(2 * hue) + 0.32 * cos(3 * hue + 6) - 0.20 * cos(4 * hue - 63)
    by_lightness = (l2 - l1) / (1 + 0.015 * (lightness - 50) ** 2 / np.sqrt(20 + (lightness - 50) ** 2))
    by_chroma, by_hue = (c2 - c1) / (1 + 0.045 * chroma), hue_difference / (1 + 0.015 * chroma * t)
    rotation = -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7))
    rotation = rotation * np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2))))
    return np.sqrt(by_lightness**2 + by_chroma**2 + by_hue**2 + rotation * by_chroma * by_hue)


def cos(degrees):
    return np.cos(np.radians(degrees))


def test_the_measure_is_right():
    """Pairs 1, 7 and 17 of the test data of Sharma, Wu and Dalal."""
    first = np.array([[50, 2.6772, -79.7751], [50, 0, 0], [50, 2.5, 0]])
    second = np.array([[50, 0, -82.7485], [50, -1, 2], [73, 25, -18]])
    assert ciede2000(first, second) == pytest.approx([2.0425, 2.3669, 27.1492], abs=1e-4)


@pytest.mark.parametrize("vision", VISION)
def test_a_region_looks_different_from_the_next_two_and_from_the_map(vision):
    # One round and the beginning of the next.
    colours = lab(np.array([region_colour(rank) for rank in range(1, len(REGION_COLOURS) + 3)]), vision)
    for step in (1, 2):
        assert ciede2000(colours[:-step], colours[step:]).min() > CLEAR
    # Below a quarter of the scale, the map is all but transparent.
    heat = lab(heat_colours(256)[64:, :3], vision)
    assert ciede2000(colours[:, None], heat[None]).min() > CLEAR_OF_HEAT


def test_a_region_looks_different_from_the_next_four():
    colours = lab(np.array([region_colour(rank) for rank in range(1, len(REGION_COLOURS) + 5)]), "normal")
    for step in (1, 2, 3, 4):
        assert ciede2000(colours[:-step], colours[step:]).min() > CLEAR_OF_FOUR


@pytest.mark.parametrize("vision", VISION)
def test_a_half_transparent_map_shows_on_any_grey_and_also_where_it_is_highest(vision):
    # From rarity 2.4 on; the default thresholds of the shipped models are about 3.1.
    heat = 0.5 * heat_colours(256)[102:, :3]
    for grey in np.linspace(0, 1, 21):
        found = ciede2000(lab(heat + 0.5 * grey, vision), lab(np.full((1, 3), grey), vision))
        assert found.min() > CLEAR_OF_GREY and found[-1] > CLEAR_OF_GREY_AT_TOP


@pytest.mark.parametrize("vision", VISION)
def test_a_half_transparent_map_has_another_colour_at_each_rarity(vision):
    heat = 0.5 * heat_colours(7)[3:, :3]
    for grey in np.linspace(0, 0.9, 10):
        found = lab(heat + 0.5 * grey, vision)
        assert ciede2000(found[:-1], found[1:]).min() > CLEAR_STEP


def test_a_colour_depends_on_the_rank_alone():
    assert region_colour(3) == region_colour(3 + len(REGION_COLOURS)) != region_colour(4)
    assert all(0 <= part <= 1 for rank in range(1, 40) for part in region_colour(rank))
