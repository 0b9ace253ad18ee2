"""Measures of embeddings and alignments."""

from ._alignment import (
    davies_bouldin_rms,
    foscttm,
    jaccard_concordance,
    label_transfer_accuracy,
    mixing_score,
)

__all__ = [
    "davies_bouldin_rms",
    "foscttm",
    "jaccard_concordance",
    "label_transfer_accuracy",
    "mixing_score",
]
