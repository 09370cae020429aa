"""Synchronisation of the page with the scene: controls change the views, and views change the controls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import MedADError
from ..messages import translated, visible
from ..results.reading import StoredResult
from ..results.text import in_pixels, lacks_orientation, out_of_distribution
from ..slicer.headless.views import edge_letters
from .live_result import LiveResult
from .page import STEPS, build_page, slice_overlay, space_overlay
from .views import SLICES, SPACE, Stage, Views

if TYPE_CHECKING:
    from ..detection import Detection
    from ..results.decisions import Decision
    from ..slicer.scene.live_threshold import LiveThreshold

OPACITY_PERCENT = 65
LABELS = ("Red", SPACE, "Green", "Yellow")
PAUSE_SECONDS = 0.01
REST_SECONDS = 0.25
SURFACE_SECONDS = 0.2
NO_SWIPE = 1.0


class Viewer:
    """One page for several results; create and use it in a running event loop.

    Args:
        server: A trame server that has not been started.
        results: Results to choose from.
        open_result: Reads one of them with the decisions of its reader, by rank.
    """

    def __init__(
        self,
        server: Any,
        results: list[StoredResult],
        open_result: Callable[[StoredResult], tuple[Detection, dict[int, Decision]]],
    ):
        self._server, self._state = server, server.state
        # By the names that the page shows.
        self._results = {visible(stored.stem): stored for stored in results}
        self._open = open_result
        self._live: LiveResult | None = None
        self._threshold: LiveThreshold | None = None
        self._surfaces_pending = False
        self._shown = ""
        self._update_requested = asyncio.Event()
        self._prepare_state()
        self.stage = Stage()
        self.views = Views(self.stage, server, self._overlay, self._moved, self._go_to)
        build_page(server, LABELS, self._select)
        controls = ("threshold", "compare", "blend", "opacity", "anomaly_on", "outlines_on", "chosen")
        self._state.change(*controls)(self._request_update)
        self._state.change(*(f"offset_{name}" for name in SLICES))(self._scroll)
        self._task = asyncio.get_running_loop().create_task(self._work())

    def show(self, name: str) -> None:
        """Open a result and show it at its most anomalous region.

        Raises:
            MedADError: If it cannot be opened; the previous result stays.
        """
        name = visible(name)
        detection, decided = self._open(self._results[name])
        self.views.swipe(NO_SWIPE, 0.0)
        self._threshold = self.stage.show(detection, decided)
        self._live = live = LiveResult(self._threshold, self.stage.decisions)
        self._shown = name
        made = live.detection.provenance.get("model", {})
        with self._state as state:
            state.chosen, state.error = name, ""
            first = out_of_distribution(live.detection)
            # A warning without a code comes as it is from the file of the result.
            state.out_of_distribution = visible(translated(first))
            state.warnings = [visible(translated(warning)) for warning in live.detection.warnings if warning != first]
            state.model = visible(f"model {made.get('name', '?')} {made.get('version', '')}")
            state.facts = live.facts()
            state.strip, state.score = live.strip(), live.score()
            state.legend, state.unit, state.peak_title = live.legend(), live.unit(), live.peak_title()
            state.allowed_title, state.size_title, state.place_title = (
                live.allowed_title(),
                live.size_title(),
                live.place_title(),
            )
            # The slider has steps: the threshold of the result stays until the slider moves.
            live.position = round(STEPS * live.position) / STEPS
            state.threshold = round(STEPS * live.position)
            self._update_views()
            self._update_texts()
            self.views.frame()
            for region in live.regions()[:1]:
                self._select(region.rank)
            for view in SLICES:
                low, high = self.views.slices[view].get_slice_range()
                state[f"range_{view}"] = [low, high, self.views.slices[view].get_slice_step()]
                letters = edge_letters(self.views.slices[view].get_view_node())
                state[f"letters_{view}"] = [""] * 4 if lacks_orientation(live.detection) else letters
                self._moved(view)

    def close(self) -> None:
        """Free the graphics memory."""
        self._task.cancel()
        self.views.close()

    def _prepare_state(self) -> None:
        state = self._state
        state.trame__title = "MedAD"
        state.update({"results": list(self._results), "chosen": next(iter(self._results)), "busy": False, "error": ""})
        state.update(
            {"verdict": "", "interpretable": True, "model": "", "facts": [], "rows": [], "count": "", "selected": 0}
        )
        state.update({"out_of_distribution": "", "warnings": [], "compare": "swipe", "blend": 0})
        state.update({"threshold": 0, "allowed": "", "threshold_value": "", "scale_top": ""})
        state.update({"strip": "", "score": "", "legend": "", "unit": "", "peak_title": ""})
        state.update({"allowed_title": "", "size_title": "mL", "place_title": "", "nothing": ""})
        state.update({"opacity": OPACITY_PERCENT, "anomaly_on": True, "outlines_on": True})
        for name in SLICES:
            state.update({f"place_{name}": "", f"offset_{name}": 0, f"range_{name}": [0, 1, 1]})
            state[f"letters_{name}"] = ["", "", "", ""]

    def _overlay(self, name: str) -> None:
        if name == SPACE:
            space_overlay()
        else:
            slice_overlay(name, SLICES[name])

    def _request_update(self, **_: Any) -> None:
        self._update_requested.set()

    async def _work(self) -> None:
        """Follow the present state of the controls; intermediate states are skipped."""
        while True:
            try:
                await asyncio.wait_for(self._update_requested.wait(), REST_SECONDS if self._surfaces_pending else None)
            except (TimeoutError, asyncio.TimeoutError):
                self._surfaces_pending = not self._threshold.finish(SURFACE_SECONDS)
                self.views.hold_space(self._surfaces_pending)
                continue
            self._update_requested.clear()
            if self._state.chosen != self._shown:
                await self._change_result()
            elif self._live is not None:
                with self._state:
                    # Surfaces are slow: they are computed when the slider rests, and a new move interrupts that.
                    position = float(self._state.threshold) / STEPS
                    if position != self._live.position:
                        self.views.hold_space(True)
                        self._surfaces_pending = True
                        self._live.move(position)
                    self._update_views()
                    self._update_texts()
                    self.views.draw()
            await asyncio.sleep(PAUSE_SECONDS)

    async def _change_result(self) -> None:
        with self._state:
            self._state.busy = True
        await asyncio.sleep(PAUSE_SECONDS)
        with self._state:
            try:
                self.show(self._state.chosen)
            except MedADError as error:
                self._state.error, self._state.chosen = translated(error.message), self._shown
            self._state.busy = False

    def _update_views(self) -> None:
        state = self._state
        anomaly = float(state.opacity) / 100 if state.anomaly_on else 0.0
        swiping, blend = state.compare == "swipe", float(state.blend) / 100
        self.stage.look(0.0 if swiping else blend, anomaly, bool(state.outlines_on))
        self.views.swipe(NO_SWIPE - blend if swiping else NO_SWIPE, anomaly)

    def _update_texts(self) -> None:
        state, live = self._state, self._live
        state.verdict, state.count, state.rows = live.verdict(), live.count(), live.rows()
        state.interpretable = live.detection.interpretable
        state.allowed, state.threshold_value = live.allowed(), live.threshold()
        state.nothing = live.nothing() if not state.rows else ""
        state.scale_top = live.scale_top(self.stage.scale_top())
        state.selected = live.selected.rank if live.selected else 0

    def _select(self, rank: int) -> None:
        region = self._live.select(int(rank))
        if region is not None:
            with self._state as state:
                state.selected = region.rank
                self._go_to(region.peak_ras)

    def _go_to(self, ras: Any) -> None:
        self.stage.go_to(ras)
        self.views.draw()

    def _moved(self, name: str) -> None:
        if self._live is None:
            return
        with self._state as state:
            place, state[f"offset_{name}"] = self.views.place(name)
            state[f"place_{name}"] = "" if in_pixels(self._live.detection) else place

    def _scroll(self, **_: Any) -> None:
        if self._live is None:
            return
        for name, view in self.views.slices.items():
            wanted = float(self._state[f"offset_{name}"])
            if abs(wanted - view.get_slice_value()) > 1e-3:
                view.set_slice_value(wanted)
                view.schedule_render()
