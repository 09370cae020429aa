"""What is on the page: four views on the left, and on the right the verdict, the sliders and the regions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trame_client.ui.core import AbstractLayout
from trame_client.widgets import client, html

from ..colours import heat_colours
from .live_result import css_colour
from .style import STYLE

NOTICE = "For research only. Not a medical device."
STEPS = 1000
BLEND_STEP = 0.5


def build_page(server: Any, views: tuple[str, ...], select: Callable[[int], None]) -> AbstractLayout:
    """Lay out the page.

    Args:
        server: Whose state it shows.
        views: Names of the views in reading order.
        select: Called with the rank of the region that was chosen.

    Returns:
        The layout.
    """
    layout = AbstractLayout(server, html.Div())
    with layout:
        client.Style(STYLE)
        with html.Div(classes=("'page' + (busy ? ' busy' : '')",)):
            _head()
            with html.Div(classes="views"):
                for name in views:
                    with html.Div(classes="view", id=f"view-{name}"):
                        client.ServerTemplate(name=name)
            with html.Div(classes="panel"):
                _verdict()
                _threshold()
                _layers()
                _regions(select)
                _facts()
    layout.flush_content()
    return layout


def slice_overlay(name: str, title: str) -> None:
    """What is written on a slice view, and its slider."""
    html.Div(f"{title} · {{{{ place_{name} }}}}", classes="over name")
    html.Div("{{ blend }} % pseudo-healthy", v_if="compare === 'fade' && blend > 0", classes="over mixture")
    with html.Template(v_if="compare === 'swipe'"):
        for text, edge, percent in (("scan", "right", "blend"), ("pseudo-healthy", "left", "100 - blend")):
            place = f"{{ {edge}: `calc(${{{percent}}}% + 7px)` }}"
            html.Div(text, v_if="blend > 0", classes="over part", style=(place,))
        # The line comes from the right, because the pseudo-healthy image is on its right.
        _slider("blend", 100, BLEND_STEP, title="Drag to swipe", classes="grip", id=f"grip-{name}", tabindex="-1")
    for index, edge in enumerate(("left", "right", "low", "high")):
        html.Div(f"{{{{ letters_{name}[{index}] }}}}", classes=f"over {edge}")
    html.Input(
        type="range",
        raw_attrs=[f'aria-label="{title} slice"'],
        min=(f"range_{name}[0]",),
        max=(f"range_{name}[1]",),
        step=(f"range_{name}[2]",),
        v_model=f"offset_{name}",
    )


def space_overlay() -> None:
    """What is written on the 3-D view."""
    html.Div("3-D · drag to turn, wheel to zoom", classes="over name")


def _head() -> None:
    with html.Div(classes="head"):
        html.B("MedAD")
        with html.Select(v_model="chosen", v_if="results.length > 1", raw_attrs=['aria-label="Result"'], id="results"):
            html.Option("{{ name }}", v_for="name in results", key="name", value=("name",))
        html.Span("{{ chosen }}", v_if="results.length < 2")
        html.Span("{{ model }}", classes="soft grow")
        html.Span(NOTICE, classes="notice")


def _verdict() -> None:
    with html.Section():
        html.Div("✗ {{ error }}", v_if="error", classes="error", id="error")
        html.Div("✗ {{ unlike }}", v_if="unlike", classes="error", id="unlike")
        html.Div("⚠ {{ warning }}", v_for="warning in warnings", key="warning", classes="warning")
        html.Div("{{ verdict }}", classes="verdict", id="verdict")


def _threshold() -> None:
    with html.Section():
        with html.Div(classes="row"):
            html.Label("Expected false positives (mL per healthy scan)", raw_attrs=['for="threshold"'])
            html.Span("{{ allowed }}", classes="value", id="allowed")
        _slider("threshold", STEPS, title="Volume of a healthy scan above the threshold by mistake, on average")
        with html.Div(classes="row soft"):
            html.Span("stricter")
            html.Span("{{ threshold_value }}", title="SD above the healthy mean")
            html.Span("laxer")


def _layers() -> None:
    with html.Section():
        with html.Div(classes="row"):
            html.Label("Blend: scan ↔ pseudo-healthy", raw_attrs=['for="blend"'])
            with html.Div(classes="switch", raw_attrs=['role="radiogroup"', 'aria-label="Way to compare"']):
                for way in ("swipe", "fade"):
                    with html.Label(classes=(f"compare === '{way}' ? 'on' : ''",)):
                        html.Input(type="radio", value=way, v_model="compare", id=f"compare-{way}")
                        html.Span(way.capitalize())
        _slider("blend", 100, BLEND_STEP, title="From the scan to the pseudo-healthy image that the model expects")
        with html.Div(classes="row soft"):
            html.Span("scan")
            html.Span("pseudo-healthy")
        with html.Div(classes="row"):
            with html.Label(classes="check"):
                html.Input(type="checkbox", v_model="anomaly_on", id="anomaly")
                html.Span("Anomaly map")
            with html.Label(classes="check"):
                html.Input(type="checkbox", v_model="outlines_on", id="outlines")
                html.Span("Region outlines")
        with html.Div(classes="row"):
            html.Label("Opacity of the map")
            html.Span("{{ opacity }} %", classes="value")
        _slider("opacity", 100, disabled=("!anomaly_on",))
        html.Div(classes="legend", style=f"background: linear-gradient(to right, {_gradient()})")
        with html.Div(classes="row soft"):
            html.Span("0")
            html.Span("z-score (SD above the healthy mean)")
            html.Span("{{ scale_top }}")


def _regions(select: Callable[[int], None]) -> None:
    with html.Section(classes="soft"):
        html.Span("{{ count }}", id="count")
    with html.Section(classes="fill"):
        with html.Table(v_if="rows.length", id="regions"):
            with html.Thead(), html.Tr():
                for title in ("#", "mL", "Peak", "p", "Side", "Peak at, mm"):
                    html.Th(title)
            with (
                html.Tbody(),
                html.Tr(
                    v_for="row in rows",
                    key="row.rank",
                    tabindex="0",
                    title=("row.title",),
                    classes=("row.rank === selected ? 'selected' : ''",),
                    click=(select, "[row.rank]"),
                    raw_attrs=['@keydown.enter="$event.target.click()"'],
                ),
            ):
                with html.Td():
                    html.Span(classes="dot", style=("{ background: row.colour }",))
                    html.Span("{{ row.rank }}")
                for column in ("volume", "peak", "p", "side"):
                    html.Td(f"{{{{ row.{column} }}}}")
                with html.Td():
                    html.Div("{{ row.name }}", v_if="row.name", classes="given")
                    html.Div("{{ row.place }}")
        html.Div("Nothing in this scan is above the threshold.", v_else=True, classes="none")


def _facts() -> None:
    with html.Section(), html.Details():
        html.Summary("How this was made")
        with html.Dl(), html.Template(v_for="fact in facts", key="fact[0]"):
            html.Dt("{{ fact[0] }}")
            html.Dd("{{ fact[1] }}")


def _slider(name: str, most: int, step: float = 1, **attributes: Any) -> None:
    options = {"id": name, "min": "0", "max": str(most), "step": str(step), **attributes}
    html.Input(type="range", v_model=name, **options)


def _gradient() -> str:
    """The colours of the map as they look on black."""
    colours = heat_colours(9)
    return ", ".join(css_colour(tuple(part * alpha for part in rgb)) for *rgb, alpha in colours)
