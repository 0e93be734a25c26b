"""The S4 study: what sparsity buys, what bends the curve, published rates beside predictions."""
