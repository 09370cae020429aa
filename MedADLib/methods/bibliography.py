"""References of MedAD and of its methods, for the help, the README and model cards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from .registry import ENTRIES

if TYPE_CHECKING:
    from .base import Method

THANKS = (
    "The choice of methods and of what to compare follows the slides of Sergio Naval Marimont's lecture on "
    "unsupervised anomaly detection in medical images."
)

# Papers of the methods, numbered as in docs/METHODS.md; `registry.ENTRIES` refers to these numbers.
PAPERS = {
    1: "Cai, Chen, Cheng 2024, doi:10.1007/978-3-031-72120-5_51",
    2: "Bergmann et al. 2019, arXiv:1807.02011; Shvetsova et al. 2021, arXiv:2006.13265",
    3: "Mao et al. 2020, doi:10.1007/978-3-030-59725-2_51",
    4: "Gong et al. 2019, arXiv:1904.02639",
    5: "Baur et al. 2021, doi:10.1016/j.media.2020.101952",
    6: "Chen, Konukoglu 2018, arXiv:1806.04972",
    7: "Zimmerer et al. 2019, arXiv:1907.02796; Kingma, Welling 2014, arXiv:1312.6114",
    8: "You et al. 2019, PMLR 102:540–556",
    9: "Pathak et al. 2016, arXiv:1604.07379",
    10: "Zimmerer et al. 2018, arXiv:1812.05941",
    11: "Baur et al. 2018, arXiv:1804.04488",
    12: "Makhzani et al. 2015, arXiv:1511.05644",
    13: "Schlegl et al. 2019, doi:10.1016/j.media.2019.01.010",
    14: "Schlegl et al. 2017, arXiv:1703.05921",
    15: "Naval Marimont, Tarroni 2021, doi:10.1109/ISBI48211.2021.9433778",
    16: "Pinaya et al. 2022, doi:10.1016/j.media.2022.102475",
    17: "Naval Marimont, Tarroni 2021, arXiv:2106.05214",
    18: "Bercea, Rueckert, Schnabel 2023, doi:10.1007/978-3-031-43904-9_30",
    19: "Avci et al. 2024, arXiv:2407.03863",
    20: "Tan et al. 2020, arXiv:2011.04197",
    21: "Tan et al. 2021, doi:10.1007/978-3-030-87240-3_56",
    22: "Kascenas, Pugeault, O'Neil 2022, PMLR 172:653–664",
    23: "Naval Marimont et al. 2024, doi:10.1007/978-3-031-72120-5_23",
    24: "Liu et al. 2025, arXiv:2501.13370",
    25: "Meissen et al. 2023, doi:10.1007/978-3-031-33842-7_2",
    26: "Defard et al. 2021, doi:10.1007/978-3-030-68799-1_35",
    27: "Bercea et al. 2023, doi:10.1007/978-3-031-43904-9_29",
}


@dataclass(frozen=True)
class Reference:
    """A reference.

    Attributes:
        authors: "Family A. B., Family C."; for many authors, the first three and "et al.".
        year: Year of publication.
        title: Full title.
        venue: Journal or proceedings with volume and pages, or the archive.
        link: Address; the DOI if there is one.
        why: Use of the work in MedAD.
    """

    authors: str
    year: int
    title: str
    venue: str
    link: str
    why: str

    @property
    def doi(self) -> str:
        """Return the DOI; empty if there is none."""
        return self.link.removeprefix("https://doi.org/") if self.link.startswith("https://doi.org/") else ""

    @property
    def label(self) -> str:
        """Return the text of the link: doi:… or the address."""
        return f"doi:{self.doi}" if self.doi else self.link.removeprefix("https://")


REFERENCES = (
    Reference("Cai Y., Chen H., Cheng K.-T.", 2024,
              "Rethinking Autoencoders for Medical Anomaly Detection from A Theoretical Perspective",
              "MICCAI 2024, LNCS 15011, 544-554", "https://doi.org/10.1007/978-3-031-72120-5_51",
              "AE4AD: the latent size decides what an autoencoder can miss (method of brain-t1-ae)"),
    Reference("Bercea C. I., Rueckert D., Schnabel J. A.", 2023,
              "What Do AEs Learn? Challenging Common Assumptions in Unsupervised Anomaly Detection",
              "MICCAI 2023, LNCS 14224, 304-314", "https://doi.org/10.1007/978-3-031-43904-9_30",
              "MorphAEus: why plain autoencoders fall short, and deformable ones"),
    Reference("Avci M. Y., Chan E., Zimmer V. et al.", 2024,
              "Unsupervised Analysis of Alzheimer's Disease Signatures using 3D Deformable Autoencoders",
              "arXiv:2407.03863", "https://arxiv.org/abs/2407.03863",
              "MORPHADE: MorphAEus in two steps, with the deformation as part of the score (settings of morphaeus)"),
    Reference("Naval Marimont S., Tarroni G.", 2021,
              "Anomaly detection through latent space restoration using vector-quantized variational autoencoders",
              "IEEE 18th International Symposium on Biomedical Imaging (ISBI)",
              "https://doi.org/10.1109/ISBI48211.2021.9433778",
              "latent restoration and its scores (method of brain-t1-vqvae)"),
    Reference("Naval Marimont S., Tarroni G.", 2021,
              "Implicit field learning for unsupervised anomaly detection in medical images",
              "MICCAI 2021; arXiv:2106.05214", "https://arxiv.org/abs/2106.05214",
              "classes of intensities in place of intensities, and the auto-decoder of an implicit field"),
    Reference("van den Oord A., Vinyals O., Kavukcuoglu K.", 2017, "Neural Discrete Representation Learning",
              "Advances in Neural Information Processing Systems 30", "https://arxiv.org/abs/1711.00937",
              "VQ-VAE: the network that turns slices into codes and back"),
    Reference("Pinaya W. H. L., Tudosiu P.-D., Gray R., et al.", 2022,
              "Unsupervised brain imaging 3D anomaly detection and segmentation with transformers",
              "Medical Image Analysis 79, 102475", "https://doi.org/10.1016/j.media.2022.102475",
              "a transformer as prior over the codes of whole volumes (volume_restoration)"),
    Reference("Bezmaternykh D. D., Melnikov M. Ye., Savelov A. A., et al.", 2021,
              "Brain Networks Connectivity in Mild to Moderate Depression: Resting State fMRI Study with Implications "
              "to Nonpharmacological Treatment", "Neural Plasticity 2021, 8846097",
              "https://doi.org/10.1155/2021/8846097",
              "the study whose published scans the shipped models were trained on"),
    Reference("Bezmaternykh D. D., Melnikov M. E., Savelov A. A., Petrovskii E. D.", 2021,
              "Resting state with closed eyes for patients with depression and healthy participants",
              "OpenNeuro, data set ds002748, version 1.0.5, CC0",
              "https://doi.org/10.18112/openneuro.ds002748.v1.0.5", "the scans themselves"),
    Reference("Cardoso M. J., Li W., Brown R., et al.", 2022,
              "MONAI: An open-source framework for deep learning in healthcare", "arXiv:2211.02701",
              "https://doi.org/10.48550/arXiv.2211.02701",
              "diffusion loss, Dice and model bundles; the VQ-VAE has its layers"),
    Reference("Fisch L., Zumdick S., Barkhau C., et al.", 2024,
              "deepbet: Fast brain extraction of T1-weighted MRI using Convolutional Neural Networks",
              "Computers in Biology and Medicine 179, 108845", "https://doi.org/10.1016/j.compbiomed.2024.108845",
              "brain extraction in scans with a skull"),
    Reference("Fedorov A., Beichel R., Kalpathy-Cramer J., et al.", 2012,
              "3D Slicer as an Image Computing Platform for the Quantitative Imaging Network",
              "Magnetic Resonance Imaging 30(9), 1323-1341", "https://doi.org/10.1016/j.mri.2012.05.001",
              "3D Slicer"),
)  # fmt: skip


def markdown() -> str:
    """Format the references and the acknowledgement as Markdown, for the README."""
    lines = [
        f"- {entry.authors} ({entry.year}). {entry.title}. *{entry.venue}*. [{entry.label}]({entry.link}): {entry.why}."
        for entry in REFERENCES
    ]
    return "\n".join([*lines, "", THANKS])


def html() -> str:
    """Format the references and the acknowledgement as HTML, for the module's help in Slicer."""
    items = "".join(
        f"<li>{escape(entry.authors)} ({entry.year}). {escape(entry.title)}. <i>{escape(entry.venue)}</i>. "
        f'<a href="{escape(entry.link)}">{escape(entry.label)}</a>: {escape(entry.why)}.</li>'
        for entry in REFERENCES
    )
    return f"<ul>{items}</ul><p>{escape(THANKS)}</p>"


def papers_of(method: Method, facts: Mapping[str, object]) -> list[str]:
    """Return the papers of a method and of its settings, each as authors, year and identifier.

    Args:
        method: The method.
        facts: Record of its training; a ``schedule`` in it counts as a setting.
    """
    entry, settings = ENTRIES[method.name], vars(method.parameters) | {"schedule": facts.get("schedule")}
    added = (paper for (name, value), paper in entry.setting_papers.items() if _is_set(settings.get(name), value))
    found = dict.fromkeys((*entry.papers, *added))
    return [PAPERS[paper] if isinstance(paper, int) else paper for paper in found]


def _is_set(value: object, wanted: object) -> bool:
    return bool(value) if wanted is True else value == wanted
