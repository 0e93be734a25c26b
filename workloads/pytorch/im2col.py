"""The im2col matrix of a real image, in the order of a trace: taps, then channels."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from sparsesim.trace import Convolution


def im2col(image: Tensor, conv: Convolution, groups: int) -> Tensor:
    """Rows of every output pixel, padding as zeros: (groups x pixels, taps x channels).

    Args:
        image: (batch, channels, height, width); a missing batch or height is of extent one.
        conv: its geometry, with the channels of one group.
        groups: of channels; the rows of one group follow those of another.
    """
    image = image.reshape(conv.batch, groups * conv.channels, conv.height, conv.width)
    down, right = conv.padding
    extra = [
        (extent - 1) * stride + dilation * (size - 1) + 1 - length - 2 * pad
        for extent, stride, dilation, size, length, pad in zip(
            (conv.out_height, conv.out_width), conv.stride, conv.dilation, conv.kernel,
            (conv.height, conv.width), conv.padding, strict=True,
        )
    ]  # fmt: skip
    # "same" padding of an even kernel is one longer behind than in front.
    image = functional.pad(image, (right, right + max(extra[1], 0), down, down + max(extra[0], 0)))
    batch, channel, row, column = image.stride()
    windows = image.as_strided(
        (
            groups, conv.batch, conv.out_height, conv.out_width,
            conv.kernel[0], conv.kernel[1], conv.channels,
        ),
        (
            channel * conv.channels, batch, row * conv.stride[0], column * conv.stride[1],
            row * conv.dilation[0], column * conv.dilation[1], channel,
        ),
    )  # fmt: skip
    return windows.reshape(groups * conv.pixels, conv.columns)
