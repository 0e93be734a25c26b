"""The 8 x 8 handwritten digits that ship inside scikit-learn: 1,797 images of 10 classes.

They are close to saturated: what trains on them shows that a method trains, not how it fares on
ImageNet.
"""

from __future__ import annotations

import importlib.util

import torch

from sparsesim.errors import InputError
from workloads.pytorch.classifier_training import Examples


def digits(seed: int, training_share: float = 0.7) -> tuple[Examples, Examples]:
    """Training and held-out digits, split by class with `seed`; pixels from 0 to 1.

    Raises:
        InputError: scikit-learn, which ships the digits, is not installed.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise InputError("digits: needs scikit-learn (pip install 'sparsesim[torch]')")
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(
        images.reshape(-1, 1, 8, 8) / 16.0,
        labels,
        train_size=training_share,
        random_state=seed,
        stratify=labels,
    )
    x_train, x_test = (torch.tensor(part, dtype=torch.float32) for part in parts[:2])
    y_train, y_test = (torch.tensor(part, dtype=torch.int64) for part in parts[2:])
    return Examples(x_train, y_train), Examples(x_test, y_test)
