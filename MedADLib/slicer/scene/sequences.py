"""Sequences: the volumes of all frames, and their results as sequences of the same browser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import slicer

from ...errors import InputError
from ...volume import Volume
from .attributes import attributes_of, write_attributes
from .display import show_anomaly, show_labels
from .nodes import NODES, SceneResult, find_result
from .ownership import ROLE
from .segments import segmentation_of, surface_of
from .show import images_of, show_detection
from .table import describe_columns, table_of
from .undo import hand_over, remember
from .volumes import matrix_from_array, volume_from_node

if TYPE_CHECKING:
    from ...detection import Detection
    from .transaction import Snapshot

# The storage of volume sequences would drop the attributes of each frame's result.
STORAGE = "vtkMRMLSequenceStorageNode"
FRAME = "MedAD.frame"


@dataclass(frozen=True, eq=False)
class Frames:
    """Frames of the sequence that a volume belongs to.

    Attributes:
        shown: The volume node that shows the selected frame.
        browser: Its sequence browser.
        sequence: The sequence of all frames.
    """

    shown: slicer.vtkMRMLVolumeNode
    browser: slicer.vtkMRMLSequenceBrowserNode
    sequence: slicer.vtkMRMLSequenceNode

    @property
    def count(self) -> int:
        """Number of frames."""
        return self.sequence.GetNumberOfDataNodes()

    @property
    def selected(self) -> int:
        """Number of the shown frame, from 0."""
        master = self.browser.GetMasterSequenceNode()
        value = master.GetNthIndexValue(max(self.browser.GetSelectedItemNumber(), 0))
        return max(self.sequence.GetItemNumberFromIndexValue(value, False), 0)

    def volume(self, number: int) -> Volume:
        """Read a frame, shown or not; see `volume_from_node`.

        Raises:
            InputError: If the frame does not exist any more, or has no usable image.
        """
        node = self.sequence.GetNthDataNode(number) if 0 <= number < self.count else None
        if node is None:
            raise InputError("frame_gone", number=number + 1, name=self.shown.GetName())
        return replace(volume_from_node(node), name=f"{self.shown.GetName()} frame {number + 1}")


def frames_of(volume_node: slicer.vtkMRMLVolumeNode) -> Frames | None:
    """Find the frames of the sequence that a volume belongs to; None if it belongs to none."""
    scene = volume_node.GetScene()
    for browser in list(scene.GetNodes()) if scene is not None else []:
        if browser.IsA("vtkMRMLSequenceBrowserNode"):
            sequence = browser.GetSequenceNode(volume_node)
            if sequence is not None and sequence.GetNumberOfDataNodes() and browser.GetMasterSequenceNode() is not None:
                return Frames(volume_node, browser, sequence)
    return None


def show_sequence(
    detections: Mapping[int, Detection],
    volume_node: slicer.vtkMRMLVolumeNode,
    browser: slicer.vtkMRMLSequenceBrowserNode,
    scene: slicer.vtkMRMLScene,
    lay: bool = True,
) -> SceneResult:
    """Put the detections of all frames into the scene, so that the browser shows each frame with its result.

    The shown frame stays. Results of an earlier run are replaced; `undo_detection` restores them. Changes of a reader
    to a frame's result, such as its threshold, are kept with that frame. If anything fails, the scene is unchanged.

    Args:
        detections: The detections by the frame's number; one for every frame.
        volume_node: The volume that shows the selected frame.
        browser: Its sequence browser.
        scene: The scene that holds them.
        lay: As in `show_detection`.

    Returns:
        The nodes of the result, which show that of the selected frame.

    Raises:
        InputError: If volume or frames are no longer those that were examined.
    """
    frames = frames_of(volume_node) if volume_node is not None else None
    if frames is None or frames.browser is not browser:
        raise InputError("sequence_gone")
    _check_frames(detections, frames)
    # Slow and memory-consuming steps come before the first change of the scene.
    recorded = _record(detections, frames)
    former = find_result(volume_node, scene)
    old = {} if former is None else {role: browser.GetSequenceNode(node) for role, node in former.nodes().items()}
    exchange = _Exchange(browser, {role: sequence for role, sequence in old.items() if sequence is not None}, former)
    exchange.detach()
    try:
        result = show_detection(detections[frames.selected], volume_node, scene, lay)
        exchange.before = hand_over(volume_node)
        exchange.attach(recorded, result)
        strongest = max(detections.values(), key=lambda detection: float(detection.anomaly.array.max()))
        show_anomaly(result.anomaly, strongest, False)
        show_labels(result.labels, max(len(detection.regions) for detection in detections.values()))
        follow_frame(result)
    except BaseException:
        exchange.restore(scene)
        exchange.forget()
        raise
    remember(volume_node, exchange)
    return result


def mark_frame(result: SceneResult) -> None:
    """Store which frame a result belongs to, if only one frame of its scan's sequence was examined."""
    frames = frames_of(result.input)
    if frames is not None and frames_of(result.anomaly) is None:
        result.anomaly.SetAttribute(FRAME, str(frames.selected))


def shows_another_frame(result: SceneResult) -> bool:
    """Whether the scan shows another frame than the only one that the result belongs to."""
    frame, frames = result.anomaly.GetAttribute(FRAME), frames_of(result.input)
    return frame is not None and frames is not None and frame != str(frames.selected)


def follow_frame(result: SceneResult) -> None:
    """Set the overlay to the threshold of the shown frame, because all frames share one display."""
    display = result.anomaly.GetDisplayNode()
    threshold = result.anomaly.GetAttribute("MedAD.threshold")
    if display is not None and threshold is not None:
        display.SetThreshold(float(threshold), display.GetUpperThreshold())


class _Exchange:
    """Exchange of result sequences in a browser that can be reverted; has the interface of a `Snapshot`."""

    def __init__(
        self,
        browser: slicer.vtkMRMLSequenceBrowserNode,
        old: dict[str, slicer.vtkMRMLSequenceNode],
        former: SceneResult | None,
    ):
        self._browser, self._old, self._former = browser, old, former
        self._new: list[slicer.vtkMRMLSequenceNode] = []
        self.before: Snapshot | None = None

    def detach(self) -> None:
        """Remove the old sequences; otherwise they would record changes of the nodes that show them."""
        for sequence in self._old.values():
            scene = sequence.GetScene()
            self._browser.RemoveSynchronizedSequenceNode(sequence.GetID())
            scene.RemoveNode(sequence)

    def attach(self, recorded: dict[str, slicer.vtkMRMLSequenceNode], result: SceneResult) -> None:
        """Add new sequences, which the result's nodes show."""
        for role, node in result.nodes().items():
            self._new.append(recorded[role])
            self._put(recorded[role], node)

    def restore(self, scene: slicer.vtkMRMLScene) -> None:
        """Restore the former sequences and nodes."""
        for sequence in self._new:
            if scene.IsNodePresent(sequence):
                self._browser.RemoveSynchronizedSequenceNode(sequence.GetID())
                scene.RemoveNode(sequence)
        if self.before is not None:
            self.before.restore(scene)
        for role, sequence in self._old.items():
            node = getattr(self._former, role)
            if scene.IsNodePresent(node) and scene.IsNodePresent(self._browser):
                self._put(sequence, node)

    def forget(self) -> None:
        """Release the replaced sequences and nodes."""
        if self.before is not None:
            self.before.forget()
        self._old, self._former, self._new = {}, None, []

    def _put(self, sequence: slicer.vtkMRMLSequenceNode, node: slicer.vtkMRMLNode) -> None:
        node.GetScene().AddNode(sequence)
        # A frame shares its content with the node that showed it; copied onto itself, it would be emptied.
        if node.IsA("vtkMRMLSegmentationNode"):
            node.SetAndObserveSegmentation(slicer.vtkSegmentation())
        elif node.IsA("vtkMRMLModelNode"):
            node.SetAndObservePolyData(None)
        # For a sequence without a proxy node, Slicer would add a node of its own.
        modifying = self._browser.StartModify()
        self._browser.AddSynchronizedSequenceNode(sequence)
        self._browser.AddProxyNode(node, sequence, False)
        self._browser.EndModify(modifying)
        self._browser.SetSaveChanges(sequence, True)


def _check_frames(detections: Mapping[int, Detection], frames: Frames) -> None:
    name = frames.shown.GetName()
    if set(detections) != set(range(frames.count)):
        raise InputError("frames_changed", examined=len(detections), name=name, count=frames.count)
    for number, detection in detections.items():
        if not frames.volume(number).same_grid(detection.volume):
            raise InputError("frame_moved", number=number + 1, name=name)


def _record(detections: Mapping[int, Detection], frames: Frames) -> dict[str, slicer.vtkMRMLSequenceNode]:
    """Make a sequence of all frames for each role, not yet in the scene."""
    found = {}
    for role, (_, name) in NODES.items():
        sequence = found[role] = slicer.vtkMRMLSequenceNode()
        sequence.SetName(f"{name.format(frames.shown.GetName())} frames")
        sequence.SetIndexName(frames.sequence.GetIndexName())
        sequence.SetIndexUnit(frames.sequence.GetIndexUnit())
        sequence.SetIndexType(frames.sequence.GetIndexType())
        sequence.SetNumericIndexValueTolerance(frames.sequence.GetNumericIndexValueTolerance())
        sequence.SetDefaultSequenceStorageNodeClassName(STORAGE)
    for number, detection in sorted(detections.items()):
        for role, node in _nodes_of(detection).items():
            node.SetName(NODES[role][1].format(frames.shown.GetName()))
            found[role].SetDataNodeAtValue(node, frames.sequence.GetNthIndexValue(number))
    return found


def _nodes_of(detection: Detection) -> dict[str, slicer.vtkMRMLNode]:
    """Make the nodes of a detection by role, outside any scene and without display."""
    nodes = {role: getattr(slicer, class_name)() for role, (class_name, _) in NODES.items()}
    for role, image in images_of(detection).items():
        nodes[role].SetIJKToRASMatrix(matrix_from_array(detection.volume.affine))
        nodes[role].SetAndObserveImageData(image)
    nodes["segmentation"].SetAndObserveSegmentation(segmentation_of(detection))
    nodes["table"].SetAndObserveTable(table_of(detection.regions))
    describe_columns(nodes["table"], detection.reference.unit)
    nodes["body"].SetAndObservePolyData(surface_of(detection.mask))
    attributes = attributes_of(detection)
    for role, node in nodes.items():
        node.SetAttribute(ROLE, role)
        write_attributes(node, attributes[role])
    return nodes
