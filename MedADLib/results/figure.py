"""Figure of a result: scan, anomaly map and pseudo-healthy image in rows, regions below.

A single slice has one row: scan, anomaly map and pseudo-healthy image side by side. An image without orientation is
shown as it is stored, without letters.

Slices are in radiological convention, with letters at their edges: the right side of the patient is on the left of the
figure, and the face is on the left in sagittal slices.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..masks import bounding_slices
from ..volume import Volume, is_single_slice, reoriented
from .colours import heat_colours, region_colour
from .strip import HEIGHT, OWN_ON_DARK, RADIUS, TEXT_SIZE, outline, score_lines, shapes
from .text import amount, count_of_regions, doubt, in_pixels, lacks_orientation, seems, unfit_reason
from .units import LEAST_THRESHOLD, RARITY_TOP, is_rarity, legend, scale_top, value_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..detection import Detection
    from ..scoring.regions import Region

# Array axes (Z, Y, X) of all drawn volumes run towards superior, posterior and left.
TOWARDS = "LPS"
DPI = 100
GRID_WIDTH, GRID_HEIGHT = 9.5, 12.0
NARROWEST_COLUMN = 1.8
SIDE, HEAD, BAR = 0.45, 1.6, 0.85
# Pixels of the strip of scan scores to an inch; its top and width in inches.
STRIP_DPI, STRIP_TOP, STRIP_WIDTH = 100.0, 0.68, 4.2
# In its place, the mark of a result that is not interpretable, and the number of its regions below.
MARK_TOP, BELOW_MARK = 0.45, 0.9
LEGEND_COLUMNS = 11
TEXT_COLUMNS = 125
# A longer line would be cut off at the usual size.
LONG_LINE = 130
DOUBT_COLUMNS, REASON_COLUMNS = 120, 68
WARNING_LINES = 8
MARGIN_MM = 8.0
STRIP_REGIONS = 6
STRIP_HALF_MM = 32.0
# Of an image of pixels, half the width of a close-up as a share of its longest side.
CLOSE_UP_SHARE = 0.15
LABELS_IN_A_SLICE = 30
ROWS = 3
INK = "#e8e8e8"
ACCENT = "#ffb454"


@dataclass(frozen=True)
class Plane:
    """A slicing direction of an array (Z, Y, X) with axes towards superior, posterior and left.

    Attributes:
        name: Its radiological name.
        axis: Array axis normal to it.
        horizontal: Array axis shown from left to right.
        vertical: Array axis shown upwards or downwards.
        upwards: Whether the vertical axis points upwards.
        letters: Directions at the left, right, top and bottom edge.
        ends: Names of the positive and the negative RAS side of the plane.
    """

    name: str
    axis: int
    horizontal: int
    vertical: int
    upwards: bool
    letters: str
    ends: tuple[str, str]


PLANES = (
    Plane("axial", 0, 2, 1, False, "RLAP", ("superior", "inferior")),
    Plane("coronal", 1, 2, 0, True, "RLSI", ("anterior", "posterior")),
    Plane("sagittal", 2, 1, 0, True, "APSI", ("right", "left")),
)


@dataclass(frozen=True, eq=False)
class Scene:
    """A reoriented detection, cropped to the examined part; arrays run towards superior, posterior, left.

    Attributes:
        scan: The scan.
        anomaly: The anomaly map, (Z, Y, X).
        restored: The pseudo-healthy image, (Z, Y, X).
        labels: Region labels, (Z, Y, X).
        window: Intensities shown as black and white.
        threshold: Threshold of the anomaly map.
        top: Anomaly value at the end of the colour scale.
        ticks: Values at the colour scale; None for the usual ones.
        legend: Title of the colour scale.
        letters: Whether the file has an orientation, so that the edges of slices have letters.
        in_pixels: Whether it is an image of pixels, without positions in mm of a patient.
        half: Half the width of the close-ups of regions, mm.
    """

    scan: Volume
    anomaly: np.ndarray
    restored: np.ndarray
    labels: np.ndarray
    window: tuple[float, float]
    threshold: float
    top: float
    ticks: tuple[int, ...] | None
    legend: str
    letters: bool = True
    in_pixels: bool = False
    half: float = STRIP_HALF_MM

    @classmethod
    def of(cls, detection: Detection) -> Scene:
        """Reorient and crop all volumes of a detection."""
        mask = reoriented(detection.mask, TOWARDS)
        step = mask.spacing[::-1]
        inside = bounding_slices(mask.array > 0)
        tight = inside or tuple(slice(0, size) for size in mask.array.shape)
        margin = [int(n) for n in np.ceil(MARGIN_MM / step)]
        sides = zip(tight, margin, mask.array.shape)
        box = tuple(slice(max(part.start - n, 0), min(part.stop + n, size)) for part, n, size in sides)
        scan = reoriented(detection.volume, TOWARDS)
        seen = scan.array[tight][mask.array[tight] > 0] if inside else scan.array
        window = tuple(float(value) for value in np.percentile(seen, [0.5, 99.5]))
        floor = min(window[0], float(np.median(scan.array[box][[0, -1]])))
        return cls(
            scan=scan.within(box),
            anomaly=reoriented(detection.anomaly, TOWARDS).array[box],
            restored=reoriented(detection.restored, TOWARDS).array[box],
            labels=reoriented(detection.labels, TOWARDS).array[box],
            window=(floor, max(window[1], floor + 1e-6)),
            threshold=max(detection.threshold, LEAST_THRESHOLD),
            top=scale_top(detection),
            ticks=tuple(range(round(RARITY_TOP) + 1)) if is_rarity(detection) else None,
            legend=legend(detection, LEGEND_COLUMNS, english=True),
            letters=not lacks_orientation(detection),
            in_pixels=in_pixels(detection),
            half=float((step * scan.array.shape).max()) * CLOSE_UP_SHARE if in_pixels(detection) else STRIP_HALF_MM,
        )

    @property
    def planes(self) -> tuple[Plane, ...]:
        """The planes to draw: all three, or that of a single slice."""
        if not is_single_slice(self.scan):
            return PLANES
        return (PLANES[int(np.argmin(self.scan.array.shape))],)

    def nearest(self, ras: np.ndarray) -> np.ndarray:
        """Return the voxel (z, y, x) nearest to a point in RAS mm, clipped to the scene."""
        xyz = np.linalg.solve(self.scan.affine, [*ras, 1.0])[:3]
        return np.clip(np.round(xyz[::-1]).astype(int), 0, np.array(self.scan.array.shape) - 1)

    def focus(self, regions: tuple[Region, ...]) -> np.ndarray:
        """Return the voxel (z, y, x) to show: the peak of the most anomalous region, or the centre of the volume."""
        if not regions or not (self.labels == regions[0].label).any():
            return np.array(self.scan.array.shape) // 2
        hidden = np.where(self.labels == regions[0].label, self.anomaly, -np.inf)
        return np.array(np.unravel_index(hidden.argmax(), hidden.shape))

    def overlay(self, anomaly: np.ndarray) -> np.ndarray:
        """Return the RGBA colours of anomaly values, clear below the threshold."""
        palette = heat_colours(256)
        colours = palette[np.clip(anomaly / self.top * 255, 0, 255).astype(int)]
        colours[..., 3] = np.where(anomaly >= self.threshold, 0.85, 0.0)
        return colours


class Page:
    """A black page measured in inches from its top left corner, so that text fits scans of any shape."""

    def __init__(self, width: float, height: float):
        """Create an empty page."""
        from matplotlib.figure import Figure

        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height), dpi=DPI, facecolor="black")

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Add axes that fill a box."""
        bottom = 1 - (top + height) / self.height
        return self.figure.add_axes((left / self.width, bottom, width / self.width, height / self.height))

    def text(self, left: float, top: float, text: str, **style: object) -> None:
        """Add text at a position, by default of its upper left corner."""
        style = {"va": "top", "color": INK, "parse_math": False, **style}
        self.figure.text(left / self.width, 1 - top / self.height, text, **style)


def draw(detection: Detection, path: Path) -> None:
    """Write the figure of a detection as a PNG file, with English text.

    Raises:
        OSError: If it cannot be written.
    """
    scene = Scene.of(detection)
    extent = np.array(scene.scan.array.shape) * scene.scan.spacing[::-1]
    # A single slice has its three images side by side.
    planes = scene.planes if len(scene.planes) > 1 else scene.planes * ROWS
    rows = ROWS if len(scene.planes) > 1 else 1
    widths = np.array([extent[plane.horizontal] for plane in planes])
    height = max(extent[plane.vertical] for plane in planes)
    scale = min(GRID_WIDTH / widths.sum(), GRID_HEIGHT / 3 / height)
    widths, height = np.maximum(widths * scale, NARROWEST_COLUMN), height * scale
    shown = detection.regions[:STRIP_REGIONS]
    tile = GRID_WIDTH / STRIP_REGIONS
    wrapped = [line for text in detection.warnings for line in textwrap.wrap(f"Warning: {text}", TEXT_COLUMNS)]
    notes = wrapped[:WARNING_LINES]
    if len(wrapped) > len(notes):
        notes[-1] += " ... (the rest is in the JSON file)"

    strip_top = HEAD + rows * height + 0.15
    # The size of a region of an image takes two lines.
    captions = 0.65 if scene.in_pixels else 0.5
    notes_top = strip_top + (tile + captions if shown else 0.0)
    page = Page(SIDE + max(GRID_WIDTH, widths.sum()) + BAR, notes_top + 0.17 * len(notes) + 0.35)
    name = detection.volume.name
    page.text(SIDE, 0.12, name if len(name) <= 80 else f"{name[:50]}...{name[-27:]}", fontsize=12, weight="bold")
    count = count_of_regions(detection)
    # NOT INTERPRETABLE stands first.
    count_top = 0.38 if detection.interpretable else BELOW_MARK
    page.text(SIDE, count_top, count, fontsize=10 if detection.interpretable and len(count) <= LONG_LINE else 8.5)
    if (line := doubt(detection)) is not None:
        page.text(SIDE, 0.53, textwrap.shorten(line, DOUBT_COLUMNS), fontsize=9, color=ACCENT, weight="bold")
    _draw_grid(page, scene, scene.focus(detection.regions), widths, height)
    _draw_strip(page, detection)
    bar_top = HEAD + (1.15 if rows > 1 else 0.25) * height
    _draw_bar(page.axes(SIDE + widths.sum() + 0.2, bar_top, 0.14, (0.7 if rows > 1 else 0.5) * height), scene)
    for number, region in enumerate(shown):
        axes = page.axes(SIDE + number * tile, strip_top, 0.96 * tile, 0.96 * tile)
        size = amount(detection, region.volume_ml).replace(" (", "\n(")
        _draw_region(axes, scene, region, size, value_text(detection, region.peak))
    page.text(SIDE, notes_top, "\n".join(notes), fontsize=8, color=ACCENT, linespacing=1.4)
    model = detection.provenance.get("model", {})
    about = f"MedAD, model {model.get('name', '?')} {model.get('version', '')}. For research only, not for diagnosis."
    page.text(SIDE, page.height - 0.1, about, color="#9a9a9a", fontsize=8, va="bottom")
    # Level 4 takes half the time of the default level 6 and adds 6 % to the size.
    page.figure.savefig(path, facecolor="black", pil_kwargs={"compress_level": 4})


def _draw_strip(page: Page, detection: Detection) -> None:
    """Draw the score of the scan among those of the healthy scans, with its sentences beside it."""
    from matplotlib.patches import Circle, Polygon

    if not detection.interpretable:
        page.text(SIDE, MARK_TOP, "NOT INTERPRETABLE", fontsize=20, color=ACCENT, weight="bold")
        kind = seems(detection)
        text = f"The scan does not fit the model: {unfit_reason(detection)}{f'; {kind}' if kind else ''}."
        reason = "\n".join(textwrap.wrap(text, REASON_COLUMNS))
        page.text(SIDE + STRIP_WIDTH + 0.3, MARK_TOP, reason, fontsize=9, color=ACCENT, linespacing=1.35)
        return
    width = STRIP_WIDTH * STRIP_DPI
    axes = page.axes(SIDE, STRIP_TOP, STRIP_WIDTH, HEIGHT / STRIP_DPI)
    axes.set_xlim(0, width)
    axes.set_ylim(HEIGHT, 0)
    axes.set_axis_off()
    for shape in shapes(detection, width):
        colour = OWN_ON_DARK if shape.own else INK
        if shape.kind == "line":
            axes.plot((0, width), (shape.y, shape.y), color=colour, alpha=0.5, linewidth=0.8, zorder=1)
        elif shape.kind == "circle":
            axes.add_patch(Circle((shape.x, shape.y), RADIUS, fill=False, edgecolor=colour, linewidth=0.9))
        elif shape.kind == "text":
            align = {"start": "left", "middle": "center", "end": "right"}[shape.anchor]
            size = TEXT_SIZE * 72 / STRIP_DPI
            axes.text(shape.x, shape.y, shape.text, color=colour, ha=align, va="baseline", fontsize=size)
        else:
            axes.add_patch(Polygon(outline(shape), facecolor=colour, edgecolor="black", linewidth=0.7, zorder=3))
    text = "\n".join(f"{line}." for line in score_lines(detection))
    page.text(SIDE + STRIP_WIDTH + 0.3, STRIP_TOP, text, fontsize=9, linespacing=1.35)


def _draw_grid(page: Page, scene: Scene, focus: np.ndarray, widths: np.ndarray, height: float) -> None:
    """Draw three planes through the focus side by side: scan, anomaly map and pseudo-healthy image in rows.

    Of a single slice, these three are side by side.
    """
    ras = scene.scan.ras_from_voxels(focus[None])[0]
    rows = (("scan", scene.scan.array), ("anomaly map", scene.scan.array), ("pseudo-healthy", scene.restored))
    if len(scene.planes) == 1:
        _draw_row(page, scene, focus, widths, height, rows)
        return
    for column, plane in enumerate(PLANES):
        left = SIDE + widths[:column].sum()
        title = _plane_title(plane, ras)
        page.text(left + widths[column] / 2, HEAD - 0.05, title, ha="center", va="bottom", fontsize=9)
        for row, (_, image) in enumerate(rows):
            axes = page.axes(left, HEAD + row * height, widths[column], height)
            _draw_slice(axes, scene, plane, int(focus[plane.axis]), image, overlay=row == 1)
            _draw_letters(axes, plane)
    for row, (title, _) in enumerate(rows):
        page.text(SIDE - 0.15, HEAD + (row + 0.5) * height, title, rotation=90, ha="center", va="center", fontsize=10)


def _plane_title(plane: Plane, ras: np.ndarray) -> str:
    """Return name and position of a slice through a point in RAS mm."""
    mm = ras[2 - plane.axis]
    return f"{plane.name}, {abs(mm):.0f} mm {plane.ends[int(mm < 0)]}"


def _draw_row(
    page: Page,
    scene: Scene,
    focus: np.ndarray,
    widths: np.ndarray,
    height: float,
    images: tuple[tuple[str, np.ndarray], ...],
) -> None:
    """Draw the images of a single slice side by side, with their names above."""
    (plane,) = scene.planes
    for column, (title, image) in enumerate(images):
        left = SIDE + widths[:column].sum()
        if column == 0 and not scene.in_pixels:
            title = f"{title}: {_plane_title(plane, scene.scan.ras_from_voxels(focus[None])[0])}"
        page.text(left + widths[column] / 2, HEAD - 0.05, title, ha="center", va="bottom", fontsize=9)
        axes = page.axes(left, HEAD, widths[column], height)
        _draw_slice(axes, scene, plane, int(focus[plane.axis]), image, overlay=column == 1)
        if scene.letters:
            _draw_letters(axes, plane)


def _draw_slice(axes: Axes, scene: Scene, plane: Plane, index: int, image: np.ndarray, overlay: bool) -> None:
    """Draw one slice with axes in mm, with `overlay` also the anomaly map and the outlines of regions."""
    step = scene.scan.spacing[::-1]
    cut = image.take(index, plane.axis)
    rows, columns = cut.shape
    width, height = columns * step[plane.horizontal], rows * step[plane.vertical]
    where = {
        "extent": (0, width, 0, height) if plane.upwards else (0, width, height, 0),
        "origin": "lower" if plane.upwards else "upper",
    }
    axes.imshow(cut, cmap="gray", vmin=scene.window[0], vmax=scene.window[1], **where)
    if overlay:
        axes.imshow(scene.overlay(scene.anomaly.take(index, plane.axis)), interpolation="nearest", **where)
        labels = scene.labels.take(index, plane.axis)
        x = (np.arange(columns) + 0.5) * step[plane.horizontal]
        y = (np.arange(rows) + 0.5) * step[plane.vertical]
        for label in [label for label in np.unique(labels) if label > 0][:LABELS_IN_A_SLICE]:
            if min(labels.shape) > 1:
                axes.contour(x, y, labels == label, [0.5], colors=[region_colour(int(label))], linewidths=1.2)
    axes.set_aspect("equal")
    axes.set_axis_off()


def _draw_letters(axes: Axes, plane: Plane) -> None:
    """Draw the directions of the body at the edges of a slice."""
    from matplotlib.patheffects import withStroke

    sides = ((0.02, 0.5, "left", "center"), (0.98, 0.5, "right", "center"))
    ends = ((0.5, 0.98, "center", "top"), (0.5, 0.02, "center", "bottom"))
    for letter, (x, y, ha, va) in zip(plane.letters, sides + ends):
        text = axes.text(x, y, letter, transform=axes.transAxes, ha=ha, va=va, color=ACCENT, fontsize=9, weight="bold")
        text.set_path_effects([withStroke(linewidth=2.5, foreground="black")])


def _draw_bar(axes: Axes, scene: Scene) -> None:
    """Draw the colour bar of the anomaly map with the threshold."""
    values = np.linspace(0, scene.top, 256)
    colours = heat_colours(256)[:, None, :3]
    axes.imshow(colours, origin="lower", extent=(0, 1, 0, scene.top), aspect="auto")
    axes.set_ylim(0, values[-1])
    axes.set_xticks([])
    axes.yaxis.tick_right()
    if scene.ticks is not None:
        axes.set_yticks(scene.ticks, [*map(str, scene.ticks[:-1]), f"≥ {scene.ticks[-1]}"])
    axes.tick_params(colors=INK, labelsize=8)
    axes.axhline(scene.threshold, color="white", linewidth=1.5)
    axes.set_title(scene.legend, color=INK, fontsize=8)
    axes.set_xlabel("line:\nthreshold", color=INK, fontsize=7)
    for spine in axes.spines.values():
        spine.set_color(INK)


def _draw_region(axes: Axes, scene: Scene, region: Region, size: str, peak: str) -> None:
    """Draw a close-up of one region with its rank, size and peak: axial, or in the plane of a single slice."""
    plane = scene.planes[0]
    place = scene.nearest(np.array(region.peak_ras))
    step = scene.scan.spacing[::-1]
    _draw_slice(axes, scene, plane, int(place[plane.axis]), scene.scan.array, overlay=True)
    x, y = ((place[axis] + 0.5) * step[axis] for axis in (plane.horizontal, plane.vertical))
    down = -scene.half if plane.upwards else scene.half
    axes.set_xlim(x - scene.half, x + scene.half)
    axes.set_ylim(y + down, y - down)
    side = f" {region.side}" if region.side else ""
    q = "" if np.isnan(region.q_value) else f", q {region.q_value:.2g}"
    caption = f"{region.rank}:{side} {size}\npeak {peak}{q}"
    axes.text(0.5, -0.04, caption, transform=axes.transAxes, ha="center", va="top", color=INK, fontsize=8)
