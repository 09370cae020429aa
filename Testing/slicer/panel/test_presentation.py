"""How the panel presents itself and a result: words, boxes, locations, titles of models, a first sample."""

from __future__ import annotations

import ast
import re
import types
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest
from fake_slicer import FakeSlicer, panel_fixtures
from fake_slicer.panel_fixtures import InlineClient, run, scan, slice_centre
from PySide6 import QtCore, QtGui, QtWidgets
from support.source_code import ROOT, syntax
from support.two_blobs import two_blobs

from MedADLib.messages import Message
from MedADLib.scoring.regions import find_regions, midline_of
from MedADLib.slicer.scene.nodes import find_result
from MedADLib.slicer.worker import client

SIDE = 5
OUTLYING = Message("out_of_distribution", histogram=9.0, histogram_limit=0.1, correlation=0.1, correlation_limit=0.9)
# What a reader of scans should not have to translate, and the standard terms of which the panel must use some.
JARGON = re.compile(
    r"healthy spread|unusual|take[ns]? back|imagin|graphics card|processor|random &?number:|healthy version"
    r"|(?-i:\bml\b)|anew|\bpictures?\b",
    re.IGNORECASE,
)
TERMS = (
    *("Undo", "Random seed", "Automatic", "CPU", "GPU (CUDA)", "pseudo-healthy", "z-score", "Rarity"),
    *("SD above the healthy mean", "Expected false positives (mL per healthy scan)", "Blend: scan ↔ pseudo-healthy"),
)


def shown(app):
    return app.widget.panel.result_panel.detection


def with_warning(text):
    def detect(volume, settings, model):
        found = two_blobs(volume, settings, model)
        made_by = {**found.provenance["model"], "name": "brain-t1"}
        return replace(found, warnings=(*found.warnings, text), provenance={**found.provenance, "model": made_by})

    return detect


def ring(volume, settings, model):
    """A region in the shape of a C, with its centroid outside of it, and its peak at one end."""
    found = two_blobs(volume, settings, model)
    z, y, x = np.indices(volume.array.shape)
    radius, angle = np.hypot(y - 24, x - 22), np.arctan2(y - 24, x - 22)
    inside = (np.abs(radius - 10) < 2) & (np.abs(z - 20) < 3) & (np.abs(angle) < 2.6)
    array = np.where(inside, 4 + angle, 0.2).astype(np.float32)
    array[found.mask.array == 0] = 0
    anomaly = volume.with_array(array)
    labels, regions = find_regions(anomaly, 1.0, found.reference.region_p_value, 0.05, midline_of(found.mask))
    return replace(found, anomaly=anomaly, labels=volume.with_array(labels), regions=regions, threshold=1.0)


def texts_of(path):
    """The texts that a module of the panel or the page shows: arguments of `_`, `html` widgets and `title=`."""
    for node in ast.walk(syntax(path)):
        called = getattr(getattr(node, "func", None), "id", getattr(getattr(node, "func", None), "attr", ""))
        if isinstance(node, ast.Call) and called in ("_", "Span", "Div", "Label", "Th", "Summary", "_slider"):
            values = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg in ("title", None))]
            yield from (v.value for v in values if isinstance(v, ast.Constant) and isinstance(v.value, str))


def test_panel_and_browser_use_standard_terms():
    panel = ElementTree.parse(ROOT / "MedAD" / "Resources" / "UI" / "MedAD.ui")
    files = [*(ROOT / "MedADLib" / "slicer" / "panel").glob("*.py")]
    files += [ROOT / "MedADLib" / "browser" / "page.py", ROOT / "MedADLib" / "messages" / "results.py"]
    texts = [text.text for text in panel.iter("string") if text.text and text.get("notr") is None]
    texts += [text for path in files for text in texts_of(path)]
    assert len(texts) > 150
    # A reader does not see the names of placeholders.
    texts = [re.sub(r"\{\w+", "{", text) for text in texts]
    assert [text for text in texts if JARGON.search(text)] == []
    everything = "\n".join(texts).replace("&", "")
    for term in TERMS:
        assert term in everything, term


def contrast(palette) -> float:
    """The ratio of WCAG 2 between letters and ground; 4.5 is enough for body text."""

    def luminance(role):
        parts = np.array(palette.color(role).getRgbF()[:3])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    roles = QtGui.QPalette.ColorRole
    low, high = sorted(luminance(role) for role in (roles.Window, roles.WindowText))
    return (high + 0.05) / (low + 0.05)


def ground_of(app, name):
    """The most frequent colour of a widget as it is drawn."""
    widget = getattr(app.ui, name)._object
    app.grab()
    image = widget.grab().toImage().convertToFormat(QtGui.QImage.Format.Format_RGB32)
    colours = [image.pixelColor(x, y).name() for x in range(2, image.width(), 3) for y in range(2, image.height(), 3)]
    return max(set(colours), key=colours.count)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_boxes_have_icon_text_and_colours_that_can_be_read(tmp_path, stub_client, planted_installer, monkeypatch, dark):
    (tmp_path / "slicer").mkdir()
    with FakeSlicer(tmp_path / "slicer", dark=dark) as app:
        app.load_volume(scan())
        app.open_module("MedAD")
        app.click("runButton")
        app.widget.panel.run_panel.fail("it failed on purpose")
        grounds = []
        for name in ("error", "warnings"):
            box = getattr(app.ui, f"{name}Box")
            assert box.visible and not getattr(app.ui, f"{name}Icon")._object.pixmap().isNull()
            assert contrast(box._object.palette()) > 7
            grounds.append(QtGui.QColor(ground_of(app, f"{name}Box")))
        red, amber = grounds
        assert red.red() > red.green() + 25 and red.red() > red.blue() + 20
        assert amber.green() > amber.blue() + 20 and amber.red() > amber.blue() + 25


class Fails(InlineClient):
    def detect(self, job, listener):
        listener.failed("ModelError", "the model is broken. Get it again.")


def test_a_failed_run_is_reported_in_the_red_box_and_news_in_the_small_line(app, monkeypatch):
    monkeypatch.setattr(client, "WorkerClient", Fails)
    app.load_volume(scan())
    app.open_module("MedAD")
    assert not app.ui.errorBox.visible
    run(app)
    assert app.ui.errorBox.visible and "The model is broken" in app.ui.errorLabel.text
    assert not app.ui.statusLabel.visible
    app.widget.panel.run_panel.say("news")
    assert not app.ui.errorBox.visible and app.ui.statusLabel.text == "News"


def test_warnings_stand_above_the_verdict(done):
    def top(name):
        widget = getattr(done.ui, name)._object
        return widget.mapTo(done.window.widget(), QtCore.QPoint(0, 0)).y()

    done.grab()
    assert top("warningsBox") < top("verdictLabel") and "does not know" in done.ui.warningsLabel.text


def test_an_out_of_distribution_scan_takes_the_place_of_what_was_guessed_before_the_run(panel, monkeypatch):
    assert "Fits brain-t1" in panel.ui.reportLabel.text
    run(panel)
    assert "Fits brain-t1" in panel.ui.reportLabel.text
    monkeypatch.setattr(panel_fixtures, "two_blobs", with_warning(OUTLYING))
    run(panel)
    assert panel.ui.warningsLabel.text.startswith("This scan differs from the training data"), "it comes first"
    amber = QtGui.QColor(ground_of(panel, "warningsBox"))
    assert amber.green() < amber.red() - 25 and abs(amber.green() - amber.blue()) < 12, "the box is red"
    assert "Fits" not in panel.ui.reportLabel.text
    assert "differs from the training data of brain-t1" in panel.ui.reportLabel.text
    panel.choose("modelSelector", "Autoencoder")
    assert "Fits brain-t1-ae" in panel.ui.reportLabel.text, "the run says nothing of another model"
    panel.choose("modelSelector", "Synthetic-anomaly restoration (recommended)")
    assert "Fits" not in panel.ui.reportLabel.text
    panel.select_node("inputSelector", panel.load_volume(scan("other")))
    assert "Fits brain-t1" in panel.ui.reportLabel.text


def test_a_click_jumps_to_the_peak_where_the_centroid_lies_outside(panel, monkeypatch):
    monkeypatch.setattr(panel_fixtures, "two_blobs", ring)
    run(panel)
    (region,) = shown(panel).regions
    labels = shown(panel).labels
    outside, inside = (
        labels.array[tuple(np.linalg.solve(labels.affine, [*ras, 1.0])[2::-1].round().astype(int))]
        for ras in (region.centroid_ras, region.peak_ras)
    )
    assert (outside, inside) == (0, 1)
    panel.scene.GetSingletonNode("Red", "vtkMRMLSliceNode").JumpSliceByCentering(0.0, 0.0, 0.0)
    panel.cell("regionsTable", 0, SIDE).click()
    assert np.allclose(slice_centre(panel), region.peak_ras, atol=1.0)
    row = find_result(panel.scan, panel.scene).table.GetTable()
    assert [row.GetValueByName(0, f"peak_{axis}").ToDouble() for axis in "RAS"] == pytest.approx(region.peak_ras)
    assert row.GetValueByName(0, "side").ToString() == region.side


def test_news_and_errors_go_when_another_scan_is_chosen_or_the_scene_closes(done, tmp_path):
    other = done.load_volume(scan("other"))
    for describe in (done.widget.panel.run_panel.say, done.widget.panel.run_panel.fail):
        for node in (other, done.scan):
            describe("something of this scan")
            done.select_node("inputSelector", node)
            assert not done.ui.statusLabel.visible and not done.ui.errorBox.visible
    done.widget.panel.run_panel.fail("something of this scene")
    done.close_scene()
    assert not done.ui.errorBox.visible


@pytest.fixture
def sample_data(app):
    """Slicer's Sample Data module, which gives what a test plants, or raises it."""
    module, planted = types.ModuleType("SampleData"), types.SimpleNamespace(asked=[], answer=None)

    class SampleDataLogic:
        @staticmethod
        def registerCustomSampleDataSource(**source):
            pass

        def downloadSamples(self, name):
            planted.asked.append(name)
            return planted.answer()

    module.SampleDataLogic = SampleDataLogic
    app.layers.add_module("SampleData", module)
    return planted


def test_an_empty_scene_offers_a_sample_with_one_click(app, sample_data):
    from MedADLib.slicer.sampledata import samples

    app.open_module("MedAD")
    sample_data.answer = lambda: [app.load_volume(scan("MRHead"))]
    assert app.ui.sampleButton.visible and samples()[0].expect[:40] in app.ui.sampleButton.toolTip
    assert app.ui.sampleLabel.visible and "false positive" in app.ui.sampleLabel.text
    app.click("sampleButton")
    assert sample_data.asked == [samples()[0].title]
    assert app.widget._parameterNode.inputVolume.GetName() == "MRHead" and app.ui.runButton.enabled
    assert not app.ui.sampleButton.visible
    app.close_scene()
    assert app.ui.sampleButton.visible


def no_connection():
    raise RuntimeError("Download failed: no connection")


@pytest.mark.parametrize(
    ("answer", "words"), [(no_connection, "no connection"), (list, "loaded nothing"), (lambda: None, "loaded nothing")]
)
def test_a_failed_download_is_reported_in_the_box(app, sample_data, answer, words):
    app.open_module("MedAD")
    sample_data.answer = answer
    app.click("sampleButton")
    assert app.ui.errorBox.visible and words in app.ui.errorLabel.text
    assert app.ui.sampleButton.visible and not app.slot_errors


def test_a_slicer_without_sample_data_offers_none(app):
    app.open_module("MedAD")
    app.layers.add_module("SampleData", None)
    app.widget.panel.refresh()
    assert not app.ui.sampleButton.visible


def test_every_widget_states_what_it_is_for(done):
    for widget in done.window.widget().findChildren(QtWidgets.QWidget):
        kinds = (QtWidgets.QAbstractButton, QtWidgets.QComboBox, QtWidgets.QAbstractSpinBox, QtWidgets.QAbstractSlider)
        labelled = isinstance(widget, QtWidgets.QLabel) and widget.buddy() is not None
        if widget.objectName() in vars(done.ui) and (isinstance(widget, kinds) or labelled):
            assert widget.toolTip(), widget.objectName()


def test_the_device_is_a_gpu_or_a_cpu(panel):
    selector = panel.ui.deviceSelector
    assert [selector.itemText(index) for index in range(selector.count)] == ["Automatic", "CPU", "GPU (CUDA)"]
    assert [selector.itemData(index) for index in range(selector.count)] == ["auto", "cpu", "cuda"]


def test_titles_of_models_differ_in_their_first_words():
    from MedADLib.methods.registry import ENTRIES
    from MedADLib.modelfile.store import list_models, titles

    models = list_models()
    shipped = titles(models)
    recommended = "Synthetic-anomaly restoration (recommended)"
    assert shipped == [recommended, "Autoencoder", "Atlas (fastest)", "Restoration"]
    assert len({entry.title for entry in ENTRIES.values()}) == len(ENTRIES)
    own = replace(models[0], name="knee", own=True)
    assert own.title == "knee (Synthetic-anomaly restoration)", "a user's own model has its name first"
    assert titles([models[0], replace(models[0], name="brain-t2")]) == [
        f"{recommended}, brain-t1",
        f"{recommended}, brain-t2",
    ]
