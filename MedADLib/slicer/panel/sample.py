"""Button of the panel that loads a sample scan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _

from ..sampledata import samples
from .texts import tooltip


class SamplePanel:
    """Offers a sample scan; `on_loaded` is called with the loaded volume node, `on_error` with errors for the user."""

    def __init__(self, ui: Any, on_loaded: Callable[[Any], None], on_error: Callable[[str], None]):
        self._ui = ui
        self._on_loaded, self._on_error = on_loaded, on_error
        ui.sampleButton.toolTip = tooltip(
            _("Download a sample scan and choose it. {expect}").format(expect=samples()[0].expect)
        )
        ui.sampleLabel.text = samples()[0].title
        ui.sampleButton.connect("clicked(bool)", self._load)
        self.refresh(None)

    def refresh(self, scan: Any) -> None:
        """Offer the sample if there is no scan and Slicer has its Sample Data module.

        Args:
            scan: A scan in the scene, None if there is none.
        """
        offered = scan is None and _sample_data() is not None
        self._ui.sampleButton.visible = self._ui.sampleLabel.visible = offered

    def _load(self, checked: bool = False) -> None:
        nodes, problem = [], _("Sample Data loaded nothing")
        try:
            with slicer.util.WaitCursor():
                nodes = _sample_data()().downloadSamples(samples()[0].title) or []
        except Exception as error:
            # Whatever a download may raise; the user can try again or load a scan of their own.
            problem = str(error) or type(error).__name__
        node = next((node for node in nodes if isinstance(node, slicer.vtkMRMLScalarVolumeNode)), None)
        if node is None:
            text = _("The sample could not be loaded ({problem}). Check the connection, or load a scan of your own.")
            self._on_error(text.format(problem=problem.rstrip(".")))
            return
        self._on_loaded(node)


def _sample_data() -> Any:
    """The logic class of Slicer's Sample Data module; None in a Slicer without one."""
    try:
        from SampleData import SampleDataLogic
    except ImportError:
        return None
    return SampleDataLogic
