"""Preferences of the user, kept in Slicer's settings for all scenes."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

PREFIX = "MedAD/"
DEFAULT_IDLE_MINUTES, MOST_IDLE_MINUTES = 10, 240
DEVICES = ("auto", "cpu", "cuda")


class Preferences:
    """Device, idle time and export folder."""

    def __init__(self) -> None:
        self._settings = qt.QSettings()
        self._client: Any = None

    def bind(self, ui: Any, client: Any) -> None:
        """Show the preferences in the panel, store the choices of the user, and tell the client how long to keep the
        model loaded.
        """
        self._ui, self._client = ui, client
        for device, text in zip(DEVICES, (_("Automatic"), _("CPU"), _("GPU (CUDA)"))):
            ui.deviceSelector.addItem(text, device)
        ui.deviceSelector.setCurrentIndex(max(0, ui.deviceSelector.findData(self.device)))
        ui.idleBox.setValue(self.idle_minutes)
        client.idle_seconds = 60 * self.idle_minutes
        ui.deviceSelector.connect("currentIndexChanged(int)", self._device_chosen)
        ui.idleBox.connect("valueChanged(int)", self._idle_chosen)

    @property
    def device(self) -> str:
        """Device for models: auto, cpu or cuda."""
        device = str(self._get("device", "auto"))
        return device if device in DEVICES else "auto"

    @property
    def idle_minutes(self) -> int:
        """Time (minutes) for which a model stays loaded."""
        try:
            minutes = int(self._get("idleMinutes", DEFAULT_IDLE_MINUTES))
        except ValueError:
            # Users can edit the file of settings.
            minutes = DEFAULT_IDLE_MINUTES
        return min(max(minutes, 1), MOST_IDLE_MINUTES)

    @property
    def export_folder(self) -> str:
        """Folder of the last export."""
        return str(self._get("exportFolder", ""))

    @export_folder.setter
    def export_folder(self, folder: str) -> None:
        self._settings.setValue(PREFIX + "exportFolder", folder)

    def _get(self, key: str, default: Any) -> Any:
        value = self._settings.value(PREFIX + key)
        return default if value is None else value

    def _device_chosen(self, index: int) -> None:
        self._settings.setValue(PREFIX + "device", self._ui.deviceSelector.itemData(index))

    def _idle_chosen(self, minutes: int) -> None:
        self._settings.setValue(PREFIX + "idleMinutes", minutes)
        self._client.idle_seconds = 60 * minutes
