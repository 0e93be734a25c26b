"""Machine-independent cycle models of memories (Numba)."""
