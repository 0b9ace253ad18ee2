"""Pairs of datasets to align: generators, and data that other packages bundle (nothing is downloaded)."""

from ._pairs import AlignmentPair, load_digits_pair, load_pbmc_pair, make_cluster_pair, make_torus_pair

__all__ = ["AlignmentPair", "load_digits_pair", "load_pbmc_pair", "make_cluster_pair", "make_torus_pair"]
