"""Models in the panel: listed in words, added by button or by dropping a file, refused, removed, gone when wanted."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from fake_slicer.panel_fixtures import column, results, run, scan
from PySide6 import QtCore, QtWidgets
from support.source_code import ROOT

from MedADLib.errors import ModelError
from MedADLib.modelfile.archive import read_archive, write_archive
from MedADLib.modelfile.manifest import MANIFEST
from MedADLib.modelfile.model import save_model
from MedADLib.modelfile.store import ModelSummary, add
from MedADLib.slicer.panel.texts import sentence

NAME, PURPOSE, SIZE, DATE = range(4)
SHIPPED = sorted((ROOT / "Resources" / "models").glob("*.medad"))
METHOD = "models/method.safetensors"


@pytest.fixture
def download(tmp_path):
    """A model file as somebody sent it."""
    return downloaded(tmp_path, "knee")


def downloaded(folder: Path, name: str, **manifest) -> Path:
    from support.model_files import REGISTRY, forge, model

    path = folder / f"{name}.medad"
    save_model(model(name=name, modality="T2-weighted MR of the knee", description="Knees of adults"), path, REGISTRY)
    return forge(path, **{"method": {"name": "atlas", "parameters": {}}} | manifest)


def cells(panel, column):
    table = panel.ui.modelsTable
    return [table.item(row, column).text() for row in range(table.rowCount)]


def names(panel):
    table = panel.ui.modelsTable
    return [table.item(row, NAME).data(QtCore.Qt.ItemDataRole.UserRole) for row in range(table.rowCount)]


def choose_row(panel, name):
    if panel.ui.modelsSection.collapsed:
        panel.click("modelsSection")
    panel.cell("modelsTable", names(panel).index(name), PURPOSE).click()


def add_by_button(panel, path, *answers):
    if panel.ui.modelsSection.collapsed:
        panel.click("modelsSection")
    panel.answers.extend([str(path), *answers])
    panel.click("addModelButton")


def own_files(home):
    folder = home / ".medad" / "models"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def printed(panel):
    return panel.ui.statusLabel.text or panel.ui.errorLabel.text


def test_the_list_states_name_purpose_size_and_date(panel):
    assert names(panel) == ["brain-t1", "brain-t1-ae", "brain-t1-atlas", "brain-t1-vqvae"]
    recommended = "Synthetic-anomaly restoration (recommended)"
    assert cells(panel, NAME) == [recommended, "Autoencoder", "Atlas (fastest)", "Restoration"]
    purpose = "T1-weighted MR of the brain (removes what resembles a synthetic anomaly of any size)"
    assert cells(panel, PURPOSE)[0] == purpose
    latent = "T1-weighted MR of the brain (resamples what is improbable in healthy scans, slice by slice)"
    assert cells(panel, PURPOSE)[3] == latent
    megabytes = [f"{path.stat().st_size / 1e6:.1f} MB" for path in SHIPPED]
    assert sorted(cells(panel, SIZE)) == sorted(megabytes)
    assert all(len(date.split("-")) == 3 and "T" not in date for date in cells(panel, DATE))
    selector = panel.ui.modelSelector
    assert selector.currentText == recommended
    assert "brain-t1" in selector.toolTip and purpose in selector.toolTip
    assert "brain-t1-atlas" in selector.itemData(2, QtCore.Qt.ItemDataRole.ToolTipRole)


def test_purposes_are_words_for_readers_of_scans():
    summary = ModelSummary("m", Path("m.medad"), method="autoencoder", modality="Chest radiographs", kind="2-D")
    assert summary.purpose == "Chest radiographs, single slices (reconstructs the scan from a compressed code)"
    assert replace(summary, kind="3-D", method="something_new").purpose == "Chest radiographs"
    assert replace(summary, modality="", description="for knees").purpose == "for knees"


def test_about_opens_the_card(panel):
    texts = []

    def read(dialog):
        texts.append(dialog._object.findChild(QtWidgets.QTextBrowser).toPlainText())

    panel.answers.append(read)
    panel.click("cardButton")
    choose_row(panel, "brain-t1-atlas")
    panel.answers.append(read)
    panel.click("modelCardButton")
    assert [text for kind, text in panel.messages if kind == "dialog"] == ["About brain-t1", "About brain-t1-atlas"]
    assert len(texts) == 2 and texts[0] != texts[1] and all("T1-weighted" in text for text in texts)


STRANGERS = """# A card

![inline](file://{file}) ![share](file://server/share/a.png) ![by reference][1] ![collapsed][] ![shortcut]
\\![escaped](file://{file}) \\\\![twice](file://{file}) [![in a link](file://{file})](https://example.org/)
!\u200b[hidden](file://{file}) ![a ![nested](file://{file}) b](file://{file})
![data](data:image/png;base64,AAAA)

<img src="file://{file}"> <IMG/SRC=file://{file}> <body background="file://{file}">x</body>
<a href="file://{file}">raw</a> <!-- comment --> <?php ?> <![CDATA[ <img src="{file}"> ]]> &lt;img src="x"&gt;

<table background="file://{file}"><tr><td>cell</td></tr></table>

    ![indented code](file://{file})

| a ![cell](file://{file}) | b |
|---|---|
| ![cell](file://{file}) | <img src="file://{file}"> |

> ![quoted](file://{file} "<img src='file://{file}'>")

[page](https://example.org/page "<img src='file://{file}'>") [plain](http://example.org/) [file](file:///etc/passwd)
[share](//server/share) [relative](LICENSE) [script](javascript:alert(1)) [mail](mailto:a@example.org) [none](https:)
[fake](https://example.org\u202e@evil.example/) <https://example.org/auto>

[1]: file://{file}
[collapsed]: file://{file}
[shortcut]: <file://{file}>
"""


@pytest.fixture
def card_of_a_stranger(panel, tmp_path, monkeypatch):
    """The window with a card that tries to load and to open things; functions that get it and click its links."""
    from PySide6 import QtGui

    file = tmp_path / "image.png"
    image = QtGui.QImage(8, 8, QtGui.QImage.Format.Format_RGB32)
    image.fill(0xFF0000)
    assert image.save(str(file))
    text = STRANGERS.replace("{file}", file.as_posix())
    monkeypatch.setattr("MedADLib.slicer.panel.models.card", lambda name: text)
    seen = {}

    def act(dialog):
        seen["browser"] = browser = dialog._object.findChild(QtWidgets.QTextBrowser)
        seen["before"] = browser.source().toString()
        document = browser.document()
        block = document.begin()
        formats = []
        while block.isValid():
            fragments = block.begin()
            while not fragments.atEnd():
                formats.append((fragments.fragment().charFormat(), fragments.fragment().text()))
                fragments += 1
            block = block.next()
        seen["formats"], seen["text"] = formats, browser.toPlainText()
        browser.grab()
        for link in {form.anchorHref() for form, _ in formats if form.isAnchor()}:
            browser.anchorClicked.emit(QtCore.QUrl(link))
        seen["after"] = browser.source().toString()

    panel.answers.append(act)
    return seen


def test_the_card_of_a_stranger_loads_nothing_and_opens_only_https_after_a_question(panel, card_of_a_stranger):
    seen = card_of_a_stranger
    panel.answers.extend([False] * 3)
    panel.click("cardButton")
    assert not [text for form, text in seen["formats"] if form.isImageFormat()]
    assert "\ufffc" not in seen["text"], "an image leaves this character"
    tips = [form.toolTip() for form, _ in seen["formats"]]
    assert not [tip for tip in tips if "<img" in tip]
    for shown in ("inline", "share", "by reference", "shortcut", "escaped", "nested", "<img src=", "raw", "comment"):
        assert shown in seen["text"], shown
    assert "\u202e" not in seen["text"] and "\u200b" not in seen["text"]
    assert seen["before"] == seen["after"] == ""
    assert panel.dialogs.opened_urls == [], "every question was answered with no"


def test_a_link_is_opened_when_the_user_agrees(panel, card_of_a_stranger):
    panel.answers.extend([True] * 3)
    panel.click("cardButton")
    assert panel.dialogs.opened_urls and all(url.startswith("https://") for url in panel.dialogs.opened_urls)
    assert "https://example.org/page" in panel.dialogs.opened_urls
    questions = [text for kind, text in panel.messages if kind == "question"]
    assert len(questions) == len(panel.dialogs.opened_urls) and all("example.org" in text for text in questions)
    refused = [text for kind, text in panel.messages if kind == "warning"]
    for scheme in ("http://example.org", "file:///etc/passwd", "javascript:", "mailto:", "LICENSE", "//server/share"):
        assert any(scheme in text for text in refused), scheme


def test_a_model_is_added_by_button_chosen_and_used(panel, download, own_home):
    add_by_button(panel, download)
    assert own_files(own_home) == ["knee.medad"] and "knee" in names(panel)
    assert panel.widget._parameterNode.modelName == "knee"
    assert panel.ui.modelSelector.currentText == "knee (Atlas)"
    assert "knee was added" in printed(panel)
    assert "Fits knee, if it is T2-weighted MR of the knee" in panel.ui.reportLabel.text
    run(panel)
    assert "knee" in panel.widget.panel.result_panel.detection.provenance["model"]["name"]


def test_the_file_dialog_can_be_left(panel, own_home):
    add_by_button(panel, "")
    assert len(names(panel)) == len(SHIPPED) and not own_files(own_home) and not panel.ui.statusLabel.visible


@pytest.mark.parametrize("opened", [True, False], ids=["panel open", "never opened"])
def test_a_model_is_added_by_dropping_its_file_on_slicer(app, download, own_home, opened):
    app._files["MedAD"] = ROOT / "MedAD" / "MedAD.py"
    if opened:
        app.open_module("MedAD")
    else:
        app._load_module("MedAD")
        assert "MedAD" not in app.widgets
    assert app.drop_file(download)
    assert own_files(own_home) == ["knee.medad"]
    if not opened:
        app.select_module("MedAD")
    assert "knee" in names(app) and app.ui.modelSelector.currentText == "knee (Atlas)"


def test_a_bad_file_dropped_while_another_module_is_shown_is_reported_in_a_window(panel, tmp_path, own_home):
    (tmp_path / "bad.medad").write_text("<html>")
    panel.select_module("Data")
    assert not panel.drop_file(tmp_path / "bad.medad")
    assert [kind for kind, text in panel.messages if "is not a MedAD model file" in text] == ["error"]
    assert not own_files(own_home)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def changed(path):
    write_archive(path, read_archive(path) | {METHOD: b"other"})


def executable(path):
    write_archive(path, read_archive(path) | {"models/model.pt": b"x"})


def climbing(path):
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../evil.py", "import os")


def too_new(path):
    from support.model_files import forge

    forge(path, format_version=9)


def markup(path):
    document = json.loads(read_archive(path)[MANIFEST]) | {"name": "<img src='file:///etc/passwd'>"}
    write_archive(path, read_archive(path) | {MANIFEST: json.dumps(document).encode()})


SPOILT = (
    (lambda path: path.write_bytes(b"GIF89a"), "model_not_zip", "knee.medad"),
    (cut, "model_cut_short", "knee.medad"),
    (changed, "model_problem", METHOD),
    (executable, "model_problem", "models/model.pt"),
    (climbing, "entry_unsafe_name", "../../evil.py"),
    (markup, "model_problem_damaged", "<img src='file:///etc/passwd'>"),
    (too_new, "model_problem", "9"),
    (lambda path: path.unlink(), "not_found", "knee.medad"),
)


def test_a_file_that_is_not_a_sound_model_is_refused_with_a_sentence(panel, tmp_path, own_home):
    for number, (spoil, code, detail) in enumerate(SPOILT):
        (tmp_path / str(number)).mkdir()
        path = downloaded(tmp_path / str(number), "knee")
        spoil(path)
        with pytest.raises(ModelError) as caught:
            add(path)
        assert caught.value.code == code and detail in caught.value.problem
        add_by_button(panel, path)
        assert printed(panel).replace("\u200b", "") == sentence(str(caught.value))
        assert own_files(own_home) == [] and len(names(panel)) == len(SHIPPED)
        assert panel.widget._parameterNode.modelName == "brain-t1" and panel.ui.runButton.enabled


def test_another_model_of_the_same_name_replaces_only_with_consent(panel, tmp_path, own_home):
    add_by_button(panel, downloaded(tmp_path, "knee"))
    before = (own_home / ".medad" / "models" / "knee.medad").read_bytes()
    newer = downloaded(tmp_path, "knee", version="9.9.9")
    add_by_button(panel, newer, False)
    question = panel.messages[-1][1]
    assert "version 9.9.9" in question and "Replace" in question
    assert (own_home / ".medad" / "models" / "knee.medad").read_bytes() == before
    add_by_button(panel, newer, True)
    assert own_files(own_home) == ["knee.medad"]
    assert (own_home / ".medad" / "models" / "knee.medad").read_bytes() == newer.read_bytes()


def test_a_model_named_like_a_shipped_one_does_not_hide_it(panel, tmp_path, own_home):
    add_by_button(panel, downloaded(tmp_path, "brain-t1"))
    assert "ships with MedAD" in printed(panel) and "rename the file" in printed(panel)
    assert not own_files(own_home)


def test_own_models_are_removed_with_consent_and_shipped_ones_are_not(panel, download, own_home):
    choose_row(panel, "brain-t1")
    assert not panel.ui.removeModelButton.enabled
    assert "comes with MedAD" in panel.ui.removeModelButton.toolTip
    add_by_button(panel, download)
    choose_row(panel, "knee")
    panel.answers.append(False)
    panel.click("removeModelButton")
    assert own_files(own_home) == ["knee.medad"] and "knee" in names(panel)
    panel.answers.append(True)
    panel.click("removeModelButton")
    assert own_files(own_home) == [] and "knee" not in names(panel)
    assert not panel.ui.runButton.enabled and "knee is not installed" in panel.ui.runButton.toolTip
    assert "knee is not installed" in panel.ui.reportLabel.text
    panel.choose("modelSelector", panel.ui.modelSelector.itemText(0))
    assert panel.ui.runButton.enabled and "not installed" not in panel.ui.reportLabel.text


def delete(path):
    path.unlink()


@pytest.mark.parametrize("spoil", [delete, lambda path: path.write_bytes(b"PK")], ids=["deleted", "damaged"])
def test_a_model_that_is_damaged_after_it_was_chosen_is_reported_at_run(panel, download, own_home, spoil, monkeypatch):
    add_by_button(panel, download)
    monkeypatch.setattr(type(panel.widget.logic.client), "detect", look_first)
    spoil(own_home / ".medad" / "models" / "knee.medad")
    run(panel)
    assert "knee" in printed(panel) and not results(panel)
    assert not panel.ui.runButton.enabled
    assert "knee is not installed, or its file is damaged" in panel.ui.reportLabel.text
    monkeypatch.undo()
    panel.choose("modelSelector", panel.ui.modelSelector.itemText(0))
    run(panel)
    assert len(column(panel, 1)) == 2


def look_first(client, job, listener):
    """A worker that looks at the model's file as the real one does, and finds it wanting."""
    from MedADLib.modelfile.model import load_model

    try:
        load_model(job.model)
    except ModelError as error:
        listener.failed("ModelError", str(error))
        return
    raise AssertionError("the model is sound")


def test_models_that_came_or_went_are_seen_when_the_panel_is_shown_again(panel, download, own_home):
    folder = own_home / ".medad" / "models"
    folder.mkdir(parents=True)
    panel.leave_module()
    shutil.copy(download, folder / "knee.medad")
    panel.enter_module()
    assert (
        "knee" in names(panel) and panel.ui.modelSelector.currentText == "Synthetic-anomaly restoration (recommended)"
    )


def test_a_damaged_own_model_is_listed_with_its_fault_and_can_be_removed(panel, own_home):
    folder = own_home / ".medad" / "models"
    folder.mkdir(parents=True)
    (folder / "spoilt.medad").write_bytes(b"PK")
    panel.leave_module()
    panel.enter_module()
    assert "spoilt.medad" in cells(panel, PURPOSE)[names(panel).index("spoilt")]
    assert panel.ui.modelSelector.findData("spoilt") == -1
    choose_row(panel, "spoilt")
    panel.answers.append(True)
    panel.click("removeModelButton")
    assert "spoilt" not in names(panel) and panel.ui.runButton.enabled


def test_the_users_models_lie_outside_the_extension(own_home):
    from MedADLib.modelfile.store import own_folder

    assert own_folder() == own_home / ".medad" / "models" and ROOT not in own_folder().parents


def test_a_scene_that_wants_a_model_of_another_computer_states_it(panel, download, tmp_path, own_home):
    add_by_button(panel, download)
    panel.save_scene(tmp_path / "scene.mrb")
    (own_home / ".medad" / "models" / "knee.medad").unlink()
    panel.leave_module()
    panel.enter_module()
    panel.open_scene(tmp_path / "scene.mrb")
    assert panel.widget._parameterNode.modelName == "knee" and panel.ui.modelSelector.currentIndex == -1
    assert not panel.ui.runButton.enabled
    assert "The model knee is not installed, or its file is damaged. Choose another one" in panel.ui.runButton.toolTip
    assert panel.ui.cardButton.enabled is False
    panel.select_node("inputSelector", panel.load_volume(scan("other")))
    assert "knee is not installed" in panel.ui.reportLabel.text
