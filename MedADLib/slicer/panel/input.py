"""The input section of the panel: scan, model, and whether they fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from ...errors import MedADError
from ...messages import Message, say, translated, visible
from ...modelfile.store import ModelSummary, list_models, titles
from ...preprocessing.input_check import InputReport, inspect
from ...results.text import out_of_distribution
from ...worker.protocol import Judged
from ..run import cannot_be_forced
from ..scene.dicom_facts import lacks_spacing
from ..scene.ownership import ROLE
from ..scene.sequences import frames_of
from ..scene.volumes import volume_and_notes
from .notices import NoticeBox
from .texts import breakable, reason, sentence, tooltip

if TYPE_CHECKING:
    from ...detection import Detection
    from ..judgement import Judge
    from ..request import Request

SIGNS = {"fits": "✓", "doubtful": "⚠", "unfit": "✗"}


class InputPanel:
    """Shows the choice of scan and model, and the check of the scan.

    `on_model` is called with the name of a chosen model, `on_card` with that of a model to show the card of.
    """

    def __init__(self, ui: Any, on_model: Callable[[str], None], on_card: Callable[[str], None]):
        self._ui = ui
        self._on_model, self._on_card = on_model, on_card
        self._models: dict[str, ModelSummary] = {}
        self._judged: tuple = ()
        self._report: InputReport | str | None = None
        # The fit of the scan; why it is not known; whether it is being judged.
        self._fit: tuple[Judged | None, str, bool] = (None, "", False)
        # What a run refused because the scan does not fit the model, and why.
        self._refusal: tuple[tuple, str] = ((), "")
        # Model of the last run on the scan, and its out-of-distribution warning.
        self._run: tuple[str, str] = ("", "")
        self._masked = False
        self._box = NoticeBox(ui.fitBox, ui.fitIcon, ui.fitLabel)
        self._fast = ui.fastCheckBox.text, ui.fastCheckBox.toolTip
        ui.modelSelector.connect("currentIndexChanged(int)", self._chosen)
        ui.cardButton.connect("clicked(bool)", self._card)
        for selector in (ui.inputSelector, ui.maskSelector):
            take_keys(selector, "QComboBox")
        self.refresh_models("")

    def refresh_models(self, name: str) -> None:
        """List the models again, with `name` chosen."""
        self._models = {model.name: model for model in list_models() if not model.error}
        selector = self._ui.modelSelector
        blocked = selector.blockSignals(True)
        selector.clear()
        models = list(self._models.values())
        for model, title in zip(models, titles(models)):
            selector.addItem(visible(title), model.name)
            selector.setItemData(selector.count - 1, tooltip(_tip(model)), qt.Qt.ToolTipRole)
        selector.setCurrentIndex(selector.findData(name))
        selector.blockSignals(blocked)

    def refresh(self, volume: slicer.vtkMRMLVolumeNode | None, model: str, masked: bool) -> None:
        """Show a scan and a model; with `masked`, the user gives a mask of the part to examine."""
        selector = self._ui.modelSelector
        index = selector.findData(model)
        if index != selector.currentIndex:
            blocked = selector.blockSignals(True)
            selector.setCurrentIndex(index)
            selector.blockSignals(blocked)
        summary = self._models.get(model)
        selector.toolTip = tooltip(_tip(summary) if summary else _("The model of healthy scans to compare with."))
        self._ui.cardButton.enabled = summary is not None
        self._offer_fast_mode(summary)
        frames = frames_of(volume) if volume is not None else None
        self._ui.framesCheckBox.visible = frames is not None
        if frames is not None:
            text = _("Examine every frame of the sequence ({count} frames)")
            self._ui.framesCheckBox.text = text.format(count=frames.count)
        self._masked = masked
        self._judge(volume, summary, masked)
        self._show_report(model)

    def show_fit(self, judge: Judge) -> None:
        """Show what is known about the fit of the scan to the model."""
        fit = judge.found, judge.failure, judge.judging
        if fit != self._fit:
            self._fit = fit
            selector = self._ui.modelSelector
            self._show_report(selector.itemData(selector.currentIndex) or "")

    def to_judge(self, model: str) -> ModelSummary | None:
        """Return the model to judge the shown scan with; None if there is nothing to judge before a run.

        A given mask leaves the judgement to the run, because a segmentation must be exported for it.
        """
        report = self._report
        sound = isinstance(report, InputReport) and report.verdict != "unfit"
        return self._models.get(model) if sound and not self._masked and not self.refused else None

    def show_run(self, detection: Detection | None) -> None:
        """Replace the check of the chosen scan by the finding of a run on it; None for no run."""
        run = ("", "")
        if detection is not None:
            run = str(detection.provenance.get("model", {}).get("name", "")), out_of_distribution(detection)
        if run != self._run:
            self._run = run
            selector = self._ui.modelSelector
            self._show_report(selector.itemData(selector.currentIndex) or "")

    def _show_report(self, model: str) -> None:
        lines = self._words(model) + ([] if model in self._models else [f"{SIGNS['unfit']} {self._lacking(model)}"])
        self._ui.reportLabel.text = breakable("\n".join(map(sentence, lines)))
        self._ui.reportLabel.visible = bool(lines)
        self._show_doubts(model)
        # Last, because a selector that loses its node changes the parameters, which refresh the panel once more.
        self._hide_results()

    def obstacle(self, volume: slicer.vtkMRMLVolumeNode | None, model: str) -> str:
        """Return why a detection cannot run; empty if it can."""
        if volume is None:
            return _("Select a scan to examine.")
        if model not in self._models:
            return self._lacking(model)
        if isinstance(self._report, str):
            return self._report
        if self._report is not None and self._report.verdict == "unfit":
            return translated(self._report.reason)
        if self.refused:
            return translated(self._refusal[1])
        return "" if self._fit[0] is None else translated(self._fit[0].refusal)

    @property
    def forcible(self) -> bool:
        """Whether the chosen scan does not fit the model, but can be examined nevertheless."""
        fit = self._fit[0]
        return self.refused or (fit is not None and bool(fit.refusal) and fit.forcible)

    @property
    def refused(self) -> bool:
        """Whether a run has refused the chosen scan, with this model and mask, and could be forced."""
        return bool(self._refusal[1]) and self._refusal[0] == self._judged

    def refuse(self, request: Request, message: str) -> None:
        """Disable detections on a scan that does not fit the model, until another one, or another model, is chosen."""
        model = self._models.get(request.model)
        self._refusal = _key(request.volume, model, request.mask is not None), message

    def _offer_fast_mode(self, model: ModelSummary | None) -> None:
        """Disable the box for a model without fast mode, and say so; its tick stays for the next model."""
        box = self._ui.fastCheckBox
        box.enabled = model is None or model.fast
        text = _("The chosen model has no fast mode: it runs as usual.")
        box.text, box.toolTip = self._fast if box.enabled else (_("Fast: not with this model"), tooltip(text))

    def _hide_results(self) -> None:
        """Keep MedAD's own results out of both selectors, by their IDs, as a selector cannot exclude attributes."""
        hidden = [node.GetID() for node in slicer.mrmlScene.GetNodes() if node.GetAttribute(ROLE)]
        for selector in (self._ui.inputSelector, self._ui.maskSelector):
            selector.sortFilterProxyModel().hiddenNodeIDs = hidden

    def _lacking(self, model: str) -> str:
        if not model:
            return _("Choose a model.")
        text = _("The model {name} is not installed, or its file is damaged. Choose another one, or add it to Models.")
        return text.format(name=model)

    def _judge(self, volume: slicer.vtkMRMLVolumeNode | None, model: ModelSummary | None, masked: bool) -> None:
        key = _key(volume, model, masked)
        if key == self._judged:
            return
        self._judged, self._report = key, None
        if volume is not None and volume.GetAttribute(ROLE):
            self._report = _("{name} is a result of MedAD, not a scan.").format(name=volume.GetName())
        elif volume is not None:
            try:
                scan, notes = volume_and_notes(volume)
                report = inspect(scan, model, masked)
                self._report = replace(report, facts=(*report.facts[:1], *notes, *report.facts[1:]))
                if scan.has_spacing and lacks_spacing(volume, scan):
                    self._report = self._report.doubted(Message("scan_spacing_assumed"))
            except MedADError as error:
                self._report = reason(error)

    def _words(self, model: str) -> list[str]:
        report = self._report
        if report is None or isinstance(report, str):
            return [f"{SIGNS['unfit']} {report}"] if report else []
        lines = [translated(line) for line in report.lines]
        if self.refused:
            text = _("does not fit {name}, see below").format(name=model)
            return [*(lines[:-1] if not report.reason else lines), f"{SIGNS['unfit']} {text}"]
        fit, failure, judging = self._fit
        if fit is not None and fit.refusal:
            text = _("does not fit {name}").format(name=model)
            judged = [f"{SIGNS['unfit']} {text}"] if self._run[0] == model else []
            return [*(lines[:-1] if not report.reason else lines), *judged]
        if self._run[1] and self._run[0] == model:
            text = _("the last run found that this scan differs from the training data of {name}")
            guessed = not report.reason and model in self._models
            return [*(lines[:-1] if guessed else lines), f"{SIGNS['unfit']} {text.format(name=model)}"]
        if report.reason:
            # The last line gives the verdict and its reason.
            lines[-1] = f"{SIGNS[report.verdict]} {lines[-1]}"
        elif fit is not None:
            lines[-1:] = [f"{SIGNS['fits']} {say('scan_fits', model=model)}"] if fit.verdict == "fits" else []
        if judging:
            lines.append(_("Judging the scan…"))
        elif failure:
            lines.append(f"{SIGNS['doubtful']} {_('not judged: {problem}').format(problem=translated(failure))}")
        return lines

    def _show_doubts(self, model: str) -> None:
        """Show in a box what speaks against a run, unless the result of a run shows it."""
        fit = self._fit[0]
        if fit is None or self.refused or self._run[0] == model:
            self._box.clear()
        elif fit.refusal:
            self._box.show(sentence(_brief(fit.refusal)), "error")
        elif fit.reasons:
            self._box.show("\n".join(sentence(translated(reason)) for reason in fit.reasons), "warning")
        else:
            self._box.clear()

    def _chosen(self, index: int) -> None:
        name = self._ui.modelSelector.itemData(index)
        if name:
            self._on_model(name)

    def _card(self, checked: bool = False) -> None:
        name = self._ui.modelSelector.itemData(self._ui.modelSelector.currentIndex)
        if name:
            self._on_card(name)


def _brief(refusal: str) -> str:
    """Return the refusal of a scan in the words of the panel, with what the scan seems to be instead of the numbers."""
    codes = {"scan_does_not_fit": "chosen_scan_unfit", "scan_does_not_fit_seems": "chosen_scan_seems"}
    code = codes.get(getattr(refusal, "code", ""))
    if code is None:
        return translated(refusal)
    anyway = Message("anyway_helps_not" if cannot_be_forced(refusal) else "anyway_helps")
    return translated(Message(code, **refusal.parameters, anyway=anyway))


def _key(volume: slicer.vtkMRMLVolumeNode | None, model: ModelSummary | None, masked: bool) -> tuple:
    """Return what a judgement of a scan depends on."""
    image = volume.GetImageData() if volume is not None else None
    return (volume, image and image.GetMTime(), volume and volume.GetMTime(), model, masked)


def take_keys(widget: Any, part: str) -> None:
    """Give keyboard focus by Tab and by a label's Alt key to a composite widget of Slicer.

    A qMRMLNodeComboBox takes no keyboard focus, and as the focus proxy of its combo box keeps it from that one as well;
    a label passes the focus to its buddy only if that one takes it. `part` is the class of the inner widget that
    handles keys.
    """
    inner = widget.findChild(part)
    inner.setFocusProxy(None)
    widget.setFocusProxy(inner)
    widget.setFocusPolicy(qt.Qt.StrongFocus)


def _tip(model: ModelSummary) -> str:
    """Name, purpose and note of a model, which its title leaves out."""
    return "\n".join(filter(None, (f"{model.name} {model.version}: {model.purpose}", model.note)))
