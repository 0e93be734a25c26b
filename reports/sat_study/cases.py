"""What the study simulates: networks, and the ways in which each is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.labels import network_label, slug, variant_label

#: The largest first: they keep the workers busy to the end.
NETWORKS = ("resnet50", "resnet18_tiny", "vit", "vgg19", "resnet9")
#: Method and pattern of each trace of a network.
PAPER_VARIANTS = (
    ("dense", "none"),
    ("srste", "nm:2:8"),
    ("sdgp", "nm:2:8"),
    ("sdwp", "nm:2:8"),
    ("bdwp", "nm:2:4"),
    ("bdwp", "nm:1:4"),
    ("bdwp", "nm:2:8"),
    ("bdwp", "nm:1:8"),
    ("bdwp", "nm:2:16"),
)
EXTENSION_VARIANTS = (
    ("transposable", "nm:2:8"),
    ("bimask", "nm:2:8"),
    ("slope", "nm:2:8"),
)
DENSE = ("dense", "none")
#: The variant that the published speedup is of.
HEADLINE = ("bdwp", "nm:2:8")
#: How networks are written in figures, in the order in which they stand there.
TITLES = {
    "resnet9": "ResNet-9",
    "vgg19": "VGG-19",
    "vit": "ViT",
    "resnet18_tiny": "ResNet-18",
    "resnet50": "ResNet-50",
}


@dataclass(frozen=True)
class Case:
    """One trace of the study: a training step of `network` with `batch` samples."""

    network: str
    method: str
    prune: str
    batch: int

    @property
    def name(self) -> str:
        """File name, without suffix."""
        return f"{slug(self.network)}-{slug(variant_label(self.prune, self.method))}-b{self.batch}"

    @property
    def variant(self) -> tuple[str, str]:
        return self.method, self.prune


def cases_of(networks: Sequence[str], batch: int) -> list[Case]:
    """Every network in every variant, the extensions included."""
    return [
        Case(network, method, prune, batch)
        for network in networks
        for method, prune in (*PAPER_VARIANTS, *EXTENSION_VARIANTS)
    ]


def headline_cases(networks: Sequence[str], batch: int) -> list[Case]:
    """Every network dense and as the published speedup has it."""
    return [
        Case(network, method, prune, batch)
        for network in networks
        for method, prune in (DENSE, HEADLINE)
    ]


def title(network: str) -> str:
    """How `network` is written in figures."""
    return TITLES.get(network, network_label(network))
