"""Predicts in PyTorch with a model that nn_save wrote. Needs PyTorch and the package safetensors.

    make run
    python3 examples/python/pytorch.py build/iris2.safetensors 4.9,2.0 4.5,1.5

Each further argument is one row of inputs, as they were before scaling. The program prints the
outputs, which are nn.h's but for rounding.
"""

import sys

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

MODULES = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "elu": nn.ELU, "sigmoid": nn.Sigmoid,
           "tanh": nn.Tanh, "silu": nn.SiLU, "gelu": nn.GELU, "softplus": nn.Softplus,
           "softmax": lambda: nn.Softmax(dim=1)}


class Scaling(nn.Module):
    """(x - offset) / scale, with one offset and one scale for each input."""

    def __init__(self, offset, scale):
        super().__init__()
        self.offset, self.scale = offset, scale

    def forward(self, x):
        return (x - self.offset) / self.scale


class Unscaling(Scaling):
    """Back to the units of the targets: y * scale + offset."""

    def forward(self, y):
        return y * self.scale + self.offset


def read_numbers(metadata, key, default):
    """The decimal numbers that the metadata list under a key; `default` where there are none."""
    numbers = [float(number) for number in metadata[key].split(",")] if key in metadata else default
    return torch.tensor(numbers, dtype=torch.float64)


class ToImages(nn.Module):
    """Rows of height * width * channels numbers to PyTorch's images, channels first."""

    def __init__(self, height, width, channels, flat):
        super().__init__()
        self.shape, self.flat = (height, width, channels), flat

    def forward(self, rows):
        x = rows.reshape(len(rows), *self.shape).permute(0, 3, 1, 2)
        return x.squeeze(2) if self.flat else x


class ToRows(nn.Module):
    """Back to rows of numbers, the channels of a pixel side by side."""

    def forward(self, y):
        return y.movedim(1, -1).flatten(1)


def sizes(text):
    """The numbers of "5x5"."""
    return [int(number) for number in text.split("x")]


def image_modules(layers, activations):
    """The net of the layers that nn.layers lists, and what reorders the rows before and behind."""
    height, width, channels = sizes(layers[0].split()[1])
    inputs = height * width * channels
    flat = height == 1 and all(layer.split()[2].startswith("1x") for layer in layers
                               if layer.startswith("convolution"))
    dims = slice(1, 2) if flat else slice(0, 2)  # of a sequence only the width
    pools = {"max_pool": (nn.MaxPool2d, nn.MaxPool1d), "average_pool": (nn.AvgPool2d, nn.AvgPool1d)}
    modules, to_images, image = [], ToImages(height, width, channels, flat), True
    for layer, activation in zip(layers[1:], activations[1:]):
        kind, *fields = layer.split()
        if kind == "convolution":
            kernel, stride = sizes(fields[1])[dims], sizes(fields[3])[dims]
            padding = [side // 2 if fields[4] == "same" else 0 for side in kernel]
            if any(side % 2 == 0 for side in kernel) and any(padding):
                if max(stride) > 1:
                    sys.exit("PyTorch has no padding for an even kernel with a stride")
                padding = "same"
            convolution = nn.Conv1d if flat else nn.Conv2d
            modules.append(convolution(channels, int(fields[0]), kernel, stride, padding))
            channels = int(fields[0])
        elif kind in pools:
            modules.append(pools[kind][flat](sizes(fields[0])[dims], sizes(fields[2])[dims]))
        elif kind == "global_average":
            modules.append(nn.AdaptiveAvgPool1d(1) if flat else nn.AdaptiveAvgPool2d(1))
        else:
            if image:
                modules.append(nn.Flatten())
            modules.append(nn.LazyLinear(int(fields[0])))
            image = False
        if activation != "linear":
            modules.append(MODULES[activation]())
    net = nn.Sequential(*modules)
    net(to_images(torch.zeros(1, inputs)))  # tells nn.LazyLinear how many inputs it has
    return net, [to_images], [ToRows()] if image else []


def dense_modules(widths, activations):
    """The same for dense layers, whose rows keep their order."""
    modules = []
    for inputs, outputs, activation in zip(widths, widths[1:], activations):
        modules.append(nn.Linear(inputs, outputs))
        if activation != "linear":
            modules.append(MODULES[activation]())
    return nn.Sequential(*modules), [], []


def load(path):
    """The network, as nn.Sequential of scaling, layers and unscaling; it computes in double."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    activations = metadata["nn.activations"].split(",")
    if "nn.layers" in metadata:
        net, before, behind = image_modules(metadata["nn.layers"].split(","), activations)
    else:
        net, before, behind = dense_modules(sizes(metadata["nn.widths"].replace(",", "x")),
                                            activations)
    for tensor in tensors.values():
        net = net.to(tensor.dtype)
    net.load_state_dict(tensors)
    scaling = Scaling(read_numbers(metadata, "nn.input_offset", [0.0]),
                      read_numbers(metadata, "nn.input_scale", [1.0]))
    unscaling = Unscaling(read_numbers(metadata, "nn.target_offset", [0.0]),
                          read_numbers(metadata, "nn.target_scale", [1.0]))
    return nn.Sequential(scaling, *before, net.double(), *behind, unscaling)


def main():
    path, *rows = sys.argv[1:]
    x = torch.tensor([[float(cell) for cell in row.split(",")] for row in rows],
                     dtype=torch.float64)
    with torch.no_grad():
        for row in load(path)(x).tolist():
            print(" ".join(f"{y:.4f}" for y in row))


if __name__ == "__main__":
    main()
