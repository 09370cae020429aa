"""What is shown belongs to the chosen scan: every order of load, choose, run, delete, close, save and reopen of two."""

from __future__ import annotations

import random

import numpy as np
import pytest
from fake_slicer.panel_fixtures import app, catch_up, own_home, planted_installer, run, scan, slice_centre, stub_client
from support.mrml import slicer, voxels
from support.two_blobs import two_blobs

from MedADLib.slicer.run import Outcome
from MedADLib.slicer.scene.nodes import find_result
from MedADLib.slicer.scene.transaction import remove_node
from MedADLib.slicer.worker import client as worker_client

__all__ = ["app", "own_home", "planted_installer", "stub_client"]

STEPS = ("load A", "load B", "choose A", "choose B", "run", "delete A", "delete B", "close", "reopen")


def volumes() -> dict:
    """Two heads of one grid that no voxel tells apart by place, and whose values differ."""
    first = scan("A")
    other = first.with_array(first.array * 0.5 + 40.0 * (first.array > 0), "B")
    return {"A": first, "B": other}


class Desk:
    """A reader at the panel."""

    def __init__(self, app, folder):
        self.app, self.folder, self._volumes = app, folder, volumes()
        app.open_module("MedAD")

    def node(self, name):
        found = [node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if node.GetName() == name]
        return found[0] if found else None

    def do(self, step: str) -> bool:
        """Do a step if it is possible now; returns whether it was done."""
        what, _, name = step.partition(" ")
        node = self.node(name) if name else None
        if what == "load":
            if node is not None:
                return False
            self.app.load_volume(self._volumes[name])
        elif what == "choose":
            if node is None:
                return False
            self.app.select_node("inputSelector", node)
        elif what == "run":
            if not self.app.ui.runButton.enabled:
                return False
            run(self.app)
        elif what == "delete":
            if node is None:
                return False
            remove_node(node, self.app.scene)
        elif what == "close":
            self.app.close_scene()
        elif what == "reopen":
            path = self.folder / "scene.mrb"
            self.app.save_scene(path)
            self.app.open_scene(path)
        catch_up(self.app)
        return True

    def check(self) -> None:
        """Table, overlay, outlines, legend, 3-D and background belong to the chosen scan."""
        scene, ui = self.app.scene, self.app.ui
        views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
        chosen = self.app.widget._parameterNode.inputVolume
        result = None if chosen is None else find_result(chosen, scene)
        assert (result is None) == ui.resultSection.isHidden() == ui.regionsSection.isHidden()
        for view in views:
            layers = (view.GetBackgroundVolumeID(), view.GetForegroundVolumeID(), view.GetLabelVolumeID())
            nodes = [scene.GetNodeByID(layer) for layer in layers if layer]
            if chosen is not None:
                assert scene.GetNodeByID(layers[0]) is chosen
            for node in nodes:
                if node is not None and node.GetAttribute("MedAD.role"):
                    assert node.GetNodeReference("MedAD.input") is chosen is not None
            if result is not None:
                assert layers[1] == result.anomaly.GetID()
        for node in scene.GetNodes():
            if node.GetAttribute("MedAD.role") in ("segmentation", "body"):
                ours = result is not None and node in result.nodes().values()
                assert bool(node.GetDisplayNode().GetVisibility()) == ours, node.GetName()
            if node.IsA("vtkMRMLColorLegendDisplayNode") and node.GetVisibility():
                owner = node.GetPrimaryDisplayNode().GetDisplayableNode()
                shown = {view.GetForegroundVolumeID() for view in views}
                assert owner.GetID() not in shown or owner.GetNodeReference("MedAD.input") is chosen
        if result is not None:
            assert np.array_equal(voxels(result.input), self._volumes[chosen.GetName()].array)
            assert result.anomaly.GetName() == f"{chosen.GetName()} anomaly"
            assert ui.regionsTable.rowCount == result.table.GetNumberOfRows()


@pytest.fixture
def desk(app, tmp_path):
    return Desk(app, tmp_path)


def walk(seed: int) -> list[str]:
    """Steps in which each step follows each other one once (an Eulerian circuit of all ordered pairs)."""
    generator = random.Random(seed)
    left = {step: generator.sample(STEPS, len(STEPS)) for step in STEPS}
    path, circuit = [STEPS[0]], []
    while path:
        if left[path[-1]]:
            path.append(left[path[-1]].pop())
        else:
            circuit.append(path.pop())
    return circuit


def test_the_walk_holds_every_pair_of_steps():
    steps = walk(0)
    assert {(a, b) for a in STEPS for b in STEPS} == set(zip(steps, steps[1:]))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_the_chosen_scan_alone_is_shown_in_every_order_of_steps(desk, seed):
    done = []
    for step in walk(seed):
        # Most walks lose their scans quickly, so that little would be shown.
        if desk.node("A") is None and desk.node("B") is None and not step.startswith("load"):
            done += [("load A", desk.do("load A")), ("run", desk.do("run")), ("load B", desk.do("load B"))]
        done.append((step, desk.do(step)))
        try:
            desk.check()
        except AssertionError as error:
            steps = ", ".join(name for name, possible in done if possible)
            raise AssertionError(f"after {steps}: {error}") from error


def test_a_result_of_a_scan_that_is_deleted_never_comes_to_another_scan(desk):
    for step in ("load A", "run", "delete A", "reopen", "load B"):
        desk.do(step)
        desk.check()
    assert find_result(desk.node("B"), desk.app.scene) is None
    maps = [node for node in desk.app.scene.GetNodes() if node.GetAttribute("MedAD.role") == "anomaly"]
    assert [node.GetName() for node in maps] == ["A anomaly"], "nothing is lost"


def test_a_scan_deleted_during_a_run_leaves_nothing_to_the_next_one(desk, monkeypatch):
    desk.do("load A")
    desk.do("run")

    def delete_and_detect(volume, settings, model):
        remove_node(desk.node("A"), desk.app.scene)
        return two_blobs(volume, settings, model)

    monkeypatch.setattr("fake_slicer.panel_fixtures.two_blobs", delete_and_detect)
    desk.do("run")
    assert "no longer in the scene" in desk.app.ui.errorLabel.text
    for step in ("reopen", "load B", "choose B"):
        desk.do(step)
        desk.check()
    assert find_result(desk.node("B"), desk.app.scene) is None


def test_a_run_that_ends_while_another_scan_is_chosen_shows_nothing_over_it(desk, monkeypatch):
    desk.do("load A")
    detect = worker_client.WorkerClient.detect

    def load_another_and_detect(client, job, listener):
        desk.app.load_volume(desk._volumes["B"])
        desk.app.widget._parameterNode.inputVolume = desk.node("B")
        detect(client, job, listener)

    monkeypatch.setattr(worker_client.WorkerClient, "detect", load_another_and_detect)
    desk.do("run")
    desk.check()
    assert "Examined A" in desk.app.ui.statusLabel.text
    assert find_result(desk.node("A"), desk.app.scene) is not None


def test_a_view_that_shows_another_scan_loses_overlay_and_outlines(desk):
    """Also while another module is shown."""
    desk.do("load A")
    desk.do("load B")
    desk.do("choose A")
    desk.do("run")
    result = desk.app.widget.panel.result
    desk.app.select_module("Volumes")
    red, *others = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    red.SetBackgroundVolumeID(desk.node("B").GetID())
    assert red.GetForegroundVolumeID() is None
    slices = {node.GetLayoutName(): node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLSliceNode")}
    limited = result.segmentation.GetDisplayNode().GetViewNodeIDs()
    assert slices[red.GetLayoutName()] not in limited
    assert all(slices[view.GetLayoutName()] in limited for view in others)
    assert all(view.GetForegroundVolumeID() == result.anomaly.GetID() for view in others)
    for view in others:
        view.SetBackgroundVolumeID(desk.node("B").GetID())
    assert not result.segmentation.GetDisplayNode().GetVisibility()
    desk.app.select_module("MedAD")
    catch_up(desk.app)
    assert desk.app.widget._parameterNode.inputVolume is desk.node("B")
    desk.check()
    desk.do("choose A")
    desk.check()
    assert not result.segmentation.GetDisplayNode().GetViewNodeIDs()


def test_after_switching_scans_the_views_stand_inside_the_chosen_one(desk):
    desk._volumes["B"].affine[:3, 3] += 1000.0
    desk.do("load A")
    desk.do("load B")
    for name in "ABA":
        desk.do(f"choose {name}")
        bounds = np.zeros(6)
        desk.node(name).GetRASBounds(bounds)
        centre = slice_centre(desk.app)
        assert (centre >= bounds[::2]).all() and (centre <= bounds[1::2]).all(), name


def test_a_result_that_points_to_another_scan_is_refused(desk):
    desk.do("load A")
    desk.do("run")
    result = desk.app.widget.panel.result
    desk.do("load B")
    other = desk.node("B")
    for node in result.nodes().values():
        node.SetNodeReferenceID("MedAD.input", other.GetID())
    desk.app.select_node("inputSelector", desk.node("A"))
    desk.app.select_node("inputSelector", other)
    assert desk.app.ui.resultSection.isHidden() and "other voxels" in desk.app.ui.errorLabel.text


def test_the_verdict_names_the_model_that_made_the_result(desk):
    desk.do("load A")
    desk.do("run")
    ui = desk.app.ui
    made_by = desk.app.widget.panel.result_panel.detection.provenance["model"]
    named = f"{made_by['name']} {made_by['version']}"
    assert named in ui.verdictLabel.text and "not by the model" not in ui.verdictLabel.text
    other = next(row for row in range(ui.modelSelector.count) if ui.modelSelector.itemData(row) != made_by["name"])
    desk.app.choose("modelSelector", ui.modelSelector.itemText(other))
    assert named in ui.verdictLabel.text and "not by the model" in ui.verdictLabel.text


def both(desk):
    """A is examined and chosen; B is loaded; returns A's result."""
    for step in ("load A", "load B", "choose A", "run"):
        desk.do(step)
    return desk.app.widget.panel.result


def shown_layers(desk):
    views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return {(view.GetBackgroundVolumeID(), view.GetForegroundVolumeID(), view.GetLabelVolumeID()) for view in views}


def test_regions_in_the_segment_editor_belong_to_their_scan(desk):
    both(desk)
    desk.app.click("editButton")
    (handed,) = [n for n in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if n.GetAttribute("MedAD.handedOn")]
    assert handed.GetDisplayNode().GetVisibility()
    desk.app.select_module("MedAD")
    desk.do("choose B")
    assert not handed.GetDisplayNode().GetVisibility()
    desk.do("choose A")
    assert handed.GetDisplayNode().GetVisibility()
    desk.do("delete A")
    catch_up(desk.app)
    assert not handed.GetDisplayNode().GetVisibility()


def test_whatever_is_made_visible_of_another_scan_is_hidden_again(desk):
    result = both(desk)
    desk.do("choose B")
    for node in (result.segmentation, result.body):
        node.GetDisplayNode().SetVisibility(True)
        assert not node.GetDisplayNode().GetVisibility()
    for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        view.SetForegroundVolumeID(result.anomaly.GetID())
        view.SetLabelVolumeID(result.labels.GetID())
        assert not view.GetForegroundVolumeID() and not view.GetLabelVolumeID()
    desk.check()


def test_a_map_as_background_chooses_its_scan(desk):
    result = both(desk)
    desk.do("choose B")
    for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        view.SetBackgroundVolumeID(result.anomaly.GetID())
    catch_up(desk.app)
    assert desk.app.widget._parameterNode.inputVolume is desk.node("A")
    desk.check()


def test_the_result_follows_a_scan_that_moves(desk):
    result = both(desk)
    transform = desk.app.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    desk.node("A").SetAndObserveTransformNodeID(transform.GetID())
    catch_up(desk.app)
    for role in ("anomaly", "segmentation", "body"):
        assert getattr(result, role).GetTransformNodeID() == transform.GetID()


@pytest.mark.parametrize("change", ["place", "voxels", "part"])
def test_a_result_that_does_not_fit_any_more_is_hidden_and_said_so(desk, change):
    result, scan_node = both(desk), desk.node("A")
    if change == "place":
        scan_node.SetOrigin(100.0, 50.0, 25.0)
    elif change == "voxels":
        slicer.util.arrayFromVolume(scan_node)[:] *= 0.5
        slicer.util.arrayFromVolumeModified(scan_node)
    else:
        desk.app.scene.RemoveNode(result.table)
    catch_up(desk.app)
    assert desk.app.ui.resultSection.isHidden() and desk.app.ui.errorLabel.text
    assert not result.segmentation.GetDisplayNode().GetVisibility()
    assert not result.body.GetDisplayNode().GetVisibility()
    assert all(not foreground for _, foreground, _ in shown_layers(desk))
    desk.do("choose B")
    desk.do("choose A")
    assert not result.segmentation.GetDisplayNode().GetVisibility()


def test_two_scans_in_different_views_share_no_3d_view(desk):
    result = both(desk)
    view_3d = desk.app.scene.AddNewNodeByClass("vtkMRMLViewNode")
    desk.do("choose B")
    red = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")[0]
    red.SetBackgroundVolumeID(desk.node("A").GetID())
    catch_up(desk.app)
    limited = result.segmentation.GetDisplayNode().GetViewNodeIDs()
    assert limited and view_3d.GetID() not in limited


def test_the_table_view_shows_the_regions_of_the_chosen_scan(desk):
    result = both(desk)
    view = desk.app.scene.AddNewNodeByClass("vtkMRMLTableViewNode")
    view.SetTableNodeID(result.table.GetID())
    desk.do("choose B")
    assert not view.GetTableNodeID()
    desk.do("run")
    view.SetTableNodeID(desk.app.widget.panel.result.table.GetID())
    desk.do("choose A")
    assert view.GetTableNodeID() == result.table.GetID()


def test_result_nodes_bear_the_present_name_of_their_scan(desk):
    result = both(desk)
    desk.node("A").SetName("renamed")
    catch_up(desk.app)
    assert result.anomaly.GetName() == "renamed anomaly" and result.segmentation.GetName() == "renamed regions"


def test_the_guard_is_there_before_the_module_is_opened(app):
    import sys

    app.open_module("MedAD")
    guards = list(sys.modules["MedAD"]._guards)
    assert not guards, "the panel has its own"
    sys.modules["MedAD"].guardViews()
    assert len(sys.modules["MedAD"]._guards) == 1
    sys.modules["MedAD"]._stopGuard()


def test_a_scene_closed_during_a_run_leaves_no_word(desk, monkeypatch):
    desk.do("load A")
    panel = desk.app.widget.panel

    class Started:
        ended = False

        def cancel(self):
            self.finish(Outcome("cancelled", "Cancelled."))

    started = Started()

    def start(request, on_progress, on_finished, is_chosen):
        started.finish = on_finished
        return started

    monkeypatch.setattr(panel._logic, "start", start)
    desk.app.click("runButton")
    monkeypatch.setattr(started, "cancel", lambda: None, raising=False)
    desk.do("close")
    started.finish(Outcome("cancelled", "Cancelled."))
    assert desk.app.ui.statusLabel.text == ""
