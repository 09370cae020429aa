"""The papers that each method is from, for the card of a trained model; numbered as in docs/METHODS.md."""

from __future__ import annotations

from collections.abc import Mapping

from .method import Method

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
}
OF_METHOD = {
    "atlas": (),
    "autoencoder": (1,),
    "latent_restoration": (15,),
    "vae": (7,),
    "context_encoder": (9,),
    "cevae": (10,),
    "vae_tv": (8,),
    "gmvae_tv": (8,),
    "vae_gan": (5, 11),
    "adversarial_autoencoder": (6, 12),
    "f_anogan": (13,),
    "fpi": (20,),
    "denoising": (22,),
    "implicit_field": (17,),
    "morphaeus": (18,),
    "volume_restoration": (15, 16),
}
# What a setting adds, of the method or of its training.
OF_SETTING = {
    ("loss", "ssim"): 2,
    ("loss", "perceptual"): 2,
    ("variant", "uncertain"): 3,
    ("variant", "memory"): 4,
    ("variant", "spatial"): 5,
    ("variant", "constrained"): 6,
    ("error", "categorical"): 17,
    ("blending", "poisson"): 21,
    ("score", "gradient"): 7,
    ("score", "jacobian"): 19,
    ("schedule", "morphade"): 19,
}


def papers_of(method: Method, facts: Mapping[str, object]) -> list[str]:
    """The papers of a method with its settings, each as authors, year and where it is found.

    Args:
        method: The method.
        facts: What its training kept; among it a schedule, where there is a choice.
    """
    settings = [*vars(method.parameters).items(), ("schedule", facts.get("schedule"))]
    numbers = [*OF_METHOD[method.name], *(OF_SETTING[entry] for entry in settings if _is_added(entry))]
    if method.name == "f_anogan" and method.parameters.search_steps:
        numbers.append(14)
    return [PAPERS[number] for number in dict.fromkeys(numbers)]


def _is_added(entry: tuple[str, object]) -> bool:
    return isinstance(entry[1], str) and entry in OF_SETTING
