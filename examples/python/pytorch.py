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


def load(path):
    """The network, as nn.Sequential of scaling, layers and unscaling; it computes in double."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    widths = [int(width) for width in metadata["nn.widths"].split(",")]
    modules = []
    for i, activation in enumerate(metadata["nn.activations"].split(",")):
        modules.append(nn.Linear(widths[i], widths[i + 1]))
        if activation != "linear":
            modules.append(MODULES[activation]())
    net = nn.Sequential(*modules).to(tensors["0.weight"].dtype)
    net.load_state_dict(tensors)
    scaling = Scaling(read_numbers(metadata, "nn.input_offset", [0.0]),
                      read_numbers(metadata, "nn.input_scale", [1.0]))
    unscaling = Unscaling(read_numbers(metadata, "nn.target_offset", [0.0]),
                          read_numbers(metadata, "nn.target_scale", [1.0]))
    return nn.Sequential(scaling, net.double(), unscaling)


def main():
    path, *rows = sys.argv[1:]
    x = torch.tensor([[float(cell) for cell in row.split(",")] for row in rows],
                     dtype=torch.float64)
    with torch.no_grad():
        for row in load(path)(x).tolist():
            print(" ".join(f"{y:.4f}" for y in row))


main()
