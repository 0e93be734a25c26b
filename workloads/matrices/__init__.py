"""Sparse matrices as workloads: readers, generators, and the traces of their products."""
