"""Measures of embeddings and alignments."""

from ._alignment import (
    davies_bouldin_rms,
    foscttm,
    jaccard_concordance,
    label_transfer_accuracy,
    mixing_score,
)
from ._entropy import diffusion_spectral_entropy, diffusion_spectral_mutual_information

__all__ = [
    "davies_bouldin_rms",
    "diffusion_spectral_entropy",
    "diffusion_spectral_mutual_information",
    "foscttm",
    "jaccard_concordance",
    "label_transfer_accuracy",
    "mixing_score",
]
