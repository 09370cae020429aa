"""Page of the browser view: four views, verdict, sliders and regions, without external resources."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trame_client.ui.core import AbstractLayout
from trame_client.widgets import client, html

from ..results.colours import heat_colours
from .live_result import css_colour

STYLE = """
:root { --ink: #22303a; --soft: #5d6d78; --line: #d9e1e6; --paper: #ffffff; --ground: #f2f5f7; --accent: #14748c; }
html, body, #app { height: 100%; margin: 0; overflow: hidden; }
body { font: 14px/1.4 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; color: var(--ink); }
#app > div { height: 100%; }
.page { height: 100vh; display: grid; grid-template: 44px 1fr / 1fr 372px; background: var(--ground); }
.head { grid-column: 1 / 3; display: flex; align-items: center; gap: 14px; padding: 0 14px; background: var(--paper);
  border-bottom: 1px solid var(--line); white-space: nowrap; }
.head b { font-size: 17px; color: var(--accent); letter-spacing: .01em; }
.head .grow { flex: 1; min-width: 0; overflow: hidden; text-overflow: ellipsis; }
.head .notice { color: #8a4b00; background: #fff4e0; border-radius: 10px; padding: 2px 10px; font-size: 13px; }
select { font: inherit; color: inherit; border: 1px solid var(--line); border-radius: 6px; padding: 3px 6px;
  background: var(--paper); max-width: 260px; }
.views { display: grid; grid-template: 1fr 1fr / 1fr 1fr; gap: 2px; background: #39444b; overflow: hidden; }
.view { position: relative; background: #000; overflow: hidden; min-width: 0; min-height: 0; }
.over { position: absolute; color: #e6ebee; font-size: 13px; text-shadow: 0 0 3px #000, 0 0 2px #000;
  pointer-events: none; user-select: none; }
.over.name { top: 6px; left: 10px; }
.over.mixture { top: 6px; right: 10px; color: #ffd479; }
.over.part { top: 28px; white-space: nowrap; }
.over.left, .over.right { top: 50%; transform: translateY(-50%); font-weight: 600; }
.over.left { left: 8px; } .over.right { right: 8px; }
.over.low, .over.high { left: 50%; transform: translateX(-50%); font-weight: 600; }
.over.low { bottom: 24px; } .over.high { top: 6px; }
.view input[type=range] { position: absolute; left: 10px; right: 10px; bottom: 4px; width: calc(100% - 20px);
  opacity: .45; } .view input[type=range]:hover, .view input[type=range]:focus { opacity: 1; }
.view input.grip { appearance: none; direction: rtl; left: -8px; bottom: 26%; width: calc(100% + 16px); height: 34px;
  opacity: 1; background: none; pointer-events: none; }
.view input.grip::-webkit-slider-thumb { appearance: none; pointer-events: auto; cursor: ew-resize; width: 16px;
  height: 34px; box-sizing: border-box; border: 1px solid #000; border-radius: 8px; background: #fff; opacity: .85; }
.view input.grip::-moz-range-thumb { pointer-events: auto; cursor: ew-resize; width: 16px;
  height: 34px; box-sizing: border-box; border: 1px solid #000; border-radius: 8px; background: #fff; opacity: .85; }
.switch { display: inline-flex; border: 1px solid var(--line); border-radius: 6px; overflow: hidden; font-size: 12.5px;
  position: relative; }
.switch label { padding: 1px 10px; cursor: pointer; } .switch label.on { background: #d5ecf2; font-weight: 600; }
.switch input { position: absolute; opacity: 0; } .switch label:focus-within { outline: 2px solid var(--accent);
  outline-offset: -2px; }
.panel { display: flex; flex-direction: column; min-height: 0; background: var(--paper);
  border-left: 1px solid var(--line); }
.panel > section { padding: 10px 14px; border-bottom: 1px solid var(--line); }
.panel > section:first-child { max-height: 34vh; overflow: auto; box-sizing: border-box; flex-shrink: 0; }
.panel .fill { flex: 1; min-height: 96px; overflow: auto; padding: 0; }
.verdict { font-weight: 600; } .strip { margin-top: 8px; } .lines { white-space: pre-line; }
.warning, .error { margin-top: 6px; padding: 5px 9px; border-radius: 6px; font-size: 13px; }
.warning { background: #fff4e0; color: #6e3d00; } .error { background: #fde7e7; color: #8c1414; }
.row { display: flex; justify-content: space-between; align-items: baseline; gap: 8px; }
.row + .row, input + .row { margin-top: 8px; }
.value { font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap; }
.soft { color: var(--soft); font-size: 12.5px; }
input[type=range] { width: 100%; margin: 4px 0 0; accent-color: var(--accent); height: 18px; }
label.check { display: inline-flex; gap: 6px; align-items: center; cursor: pointer; }
input[type=checkbox] { accent-color: var(--accent); margin: 0; }
.legend { height: 10px; border-radius: 3px; margin-top: 8px; border: 1px solid #000; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { position: sticky; top: 0; background: var(--ground); text-align: right; font-weight: 600; font-size: 12.5px;
  color: var(--soft); padding: 5px 6px; }
td { text-align: right; padding: 5px 6px; border-bottom: 1px solid #edf1f3; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 14px; }
th:last-child, td:last-child { padding-right: 14px; white-space: pre; }
.given { max-width: 112px; margin-left: auto; overflow: hidden; text-overflow: ellipsis; font-weight: 600; }
tbody tr { cursor: pointer; } tbody tr:hover { background: #eef6f8; }
tbody tr.selected { background: #d5ecf2; }
tbody tr:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; }
.dot { display: inline-block; width: 11px; height: 11px; border-radius: 50%; margin-right: 7px;
  border: 1px solid rgba(0, 0, 0, .35); vertical-align: -1px; }
.none { padding: 14px; color: var(--soft); }
details summary { cursor: pointer; color: var(--accent); }
dl { display: grid; grid-template-columns: auto 1fr; gap: 2px 12px; margin: 8px 0 0; font-size: 12.5px;
  max-height: 150px; overflow: auto; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.busy { opacity: .55; }
"""

NOTICE = "For research only. Not a medical device."
STEPS = 1000
BLEND_STEP = 0.5


def build_page(server: Any, views: tuple[str, ...], select: Callable[[int], None]) -> AbstractLayout:
    """Lay out the page with these views in reading order; `select` is called with the rank of a selected region."""
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
    """Add the texts and the slider of a slice view."""
    html.Div(f"{title} · {{{{ place_{name} }}}}", classes="over name")
    html.Div("{{ blend }} % pseudo-healthy", v_if="compare === 'fade' && blend > 0", classes="over mixture")
    with html.Template(v_if="compare === 'swipe'"):
        for text, edge, percent in (("scan", "right", "blend"), ("pseudo-healthy", "left", "100 - blend")):
            place = f"{{ {edge}: `calc(${{{percent}}}% + 7px)` }}"
            html.Div(text, v_if="blend > 0", classes="over part", style=(place,))
        # The pseudo-healthy image is on the right of the line, so 0 % is at the right edge.
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
    """Add the text of the 3-D view."""
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
        html.Div("✗ {{ verdict }}", v_if="!interpretable", classes="error", id="not-interpretable")
        html.Div("✗ {{ out_of_distribution }}", v_if="out_of_distribution", classes="error", id="out-of-distribution")
        html.Div("⚠ {{ warning }}", v_for="warning in warnings", key="warning", classes="warning")
        html.Div("{{ verdict }}", v_if="interpretable", classes="verdict", id="verdict")
        html.Div(v_html=("strip",), classes="strip", id="strip")
        html.Div("{{ score }}", v_if="interpretable", classes="soft lines", id="score")


def _threshold() -> None:
    with html.Section():
        with html.Div(classes="row"):
            html.Label("{{ allowed_title }}", raw_attrs=['for="threshold"'])
            html.Span("{{ allowed }}", classes="value", id="allowed")
        _slider("threshold", STEPS, title="Volume of a healthy scan above the threshold by mistake, on average")
        with html.Div(classes="row soft"):
            html.Span("stricter")
            html.Span("laxer")
        html.Div("{{ threshold_value }}", title=("unit",), classes="soft", id="threshold-value")


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
            html.Span("{{ legend }}", title=("unit",), id="legend")
            html.Span("{{ scale_top }}")


def _regions(select: Callable[[int], None]) -> None:
    with html.Section(classes="soft"):
        html.Span("{{ count }}", id="count")
    with html.Section(classes="fill"):
        with html.Table(v_if="rows.length", id="regions"):
            with html.Thead(), html.Tr():
                html.Th("#")
                html.Th("{{ size_title }}", id="size-title")
                html.Th("{{ peak_title }}", title=("unit",))
                for title in ("p", "Side", "{{ place_title }}"):
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
        html.Div("{{ nothing }}", v_else=True, classes="none")


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
    """Return the colours of the map on black as stops of a gradient."""
    colours = heat_colours(9)
    return ", ".join(css_colour(tuple(part * alpha for part in rgb)) for *rgb, alpha in colours)
