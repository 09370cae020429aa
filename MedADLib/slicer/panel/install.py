"""Preparation of a run: packages installed with the user's consent, and a restart if it is needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from ..install.installer import SlicerInstaller
from ..install.packages import InstallError, plan_text
from ..install.pending_run import PendingRun, PendingRuns
from ..request import Request, write_settings
from .texts import reason, tooltip

if TYPE_CHECKING:
    from .run import RunPanel


class InstallPanel:
    """Asks, installs with progress in the run panel, and stores the run that waits for a restart."""

    def __init__(self, ui: Any, run_panel: RunPanel):
        self._ui, self._run_panel = ui, run_panel
        self._pending = PendingRuns()
        self._waits_for_restart = False
        self.busy = False

    def ready(self, installer: SlicerInstaller, request: Request) -> bool:
        """Install what a run needs; False if the run must not begin, and the panel shows why.

        Raises:
            InstallError: If MedAD cannot run in this Slicer at all.
        """
        self._run_panel.say(_("Checking the Python packages."))
        packages = installer.missing()
        if not packages:
            return True
        if not slicer.util.confirmOkCancelDisplay(plan_text(packages), windowTitle=_("Install what MedAD needs")):
            self._run_panel.say(_("Nothing was installed, and nothing was run."))
            return False
        self._ui.logCheckBox.checked = True
        self._run_panel.say(_("Installing. This can take some minutes the first time."))
        self._run_panel.enable(_("Wait until everything is installed."))
        slicer.app.processEvents()
        self.busy = True
        try:
            ready = installer.install(packages, self._log)
        except InstallError as error:
            self._run_panel.fail(reason(error))
            return False
        finally:
            self.busy = False
        if ready:
            self._run_panel.say("")
            return True
        self._waits_for_restart = True
        self._pending.remember(_pending(request))
        self._run_panel.say(_("Slicer has to be restarted before MedAD can run; the run continues then."))
        if slicer.util.confirmYesNoDisplay(_("Restart Slicer now? What is not saved in your scene will be lost.")):
            slicer.app.restart()
        return False

    def continued(self) -> PendingRun | None:
        """Return the run that waited for the restart, if the user agrees to go on with it; asks only once."""
        if self._waits_for_restart:
            return None
        pending = self._pending.take()
        if pending is None:
            return None
        file = Path(pending.scene or pending.volume)
        if not file.is_file():
            self._run_panel.say(_("Slicer has restarted. Load your scan and click Run Detection to go on."))
            return None
        question = _("Slicer has restarted. Open {name} and go on with the detection?")
        return pending if slicer.util.confirmYesNoDisplay(tooltip(question.format(name=file.name))) else None

    def _log(self, line: str) -> None:
        self._run_panel.log(line)
        slicer.app.processEvents()


def reopen(pending: PendingRun, parameters: Any) -> bool:
    """Open the scan of a run that waited, set the panel's parameters, and return whether the run can begin as
    requested.

    `parameters` returns the parameters of the scene, which change when a scene is opened.
    """
    scan = None
    if pending.scene:
        slicer.util.loadScene(pending.scene)
        scan = slicer.mrmlScene.GetFirstNodeByName(pending.scan)
    if scan is None and pending.volume:
        # The user may have loaded the scan after saving the scene.
        scan = slicer.util.loadVolume(pending.volume)
    found = parameters()
    if scan is not None and scan.IsA("vtkMRMLScalarVolumeNode"):
        found.inputVolume = scan
    found.modelName = pending.model
    found.allFrames = pending.all_frames
    write_settings(found, pending.settings)
    return found.inputVolume is not None and pending.masked == (found.maskNode is not None)


def _pending(request: Request) -> PendingRun:
    storage = request.volume.GetStorageNode()
    return PendingRun(
        model=request.model,
        volume=(storage.GetFileName() or "") if storage is not None else "",
        scene=slicer.mrmlScene.GetURL() or "",
        scan=request.volume.GetName(),
        masked=request.mask is not None,
        all_frames=request.all_frames,
        settings=request.settings,
    )
