"""Benchmarks of lapwing beside its peers; ``python -m bench`` prints the tables."""
