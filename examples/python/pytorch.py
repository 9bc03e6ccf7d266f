"""Predicts in PyTorch with a model that nn_save wrote. Needs PyTorch and the package safetensors.

    make run
    python3 examples/python/pytorch.py build/iris2.safetensors 4.9,2.0 4.5,1.5

Each further argument is one row of inputs, as they were before scaling. The program prints the
outputs, which are nn.h's but for rounding.
"""

import struct
import sys

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

MODULES = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "elu": nn.ELU, "sigmoid": nn.Sigmoid,
           "tanh": nn.Tanh, "silu": nn.SiLU, "gelu": nn.GELU, "softplus": nn.Softplus,
           "softmax": lambda: nn.Softmax(dim=1)}


class Scaling(nn.Module):
    """(x - offset) * factor, with one offset and one factor for each input."""

    def __init__(self, offset, factor):
        super().__init__()
        self.offset, self.factor = offset, factor

    def forward(self, x):
        return (x - self.offset) * self.factor


def read_scaling(metadata, inputs, letter):
    """The scaling that is stored as text: the bits of the offsets, then of the factors, in hex."""
    if metadata["nn.scaling"] == "none":
        return Scaling(torch.zeros(inputs), torch.ones(inputs))
    values = struct.unpack(f">{2 * inputs}{letter}", bytes.fromhex(metadata["nn.scaling_values"]))
    return Scaling(*torch.tensor(values, dtype=torch.float64).reshape(2, inputs))


def load(path):
    """The network, as nn.Sequential of the scaling and the layers; it computes in double."""
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
    letter = "d" if tensors["0.weight"].dtype == torch.float64 else "f"  # NN_DOUBLE, or float
    return nn.Sequential(read_scaling(metadata, widths[0], letter), net.double())


def main():
    path, *rows = sys.argv[1:]
    x = torch.tensor([[float(cell) for cell in row.split(",")] for row in rows],
                     dtype=torch.float64)
    with torch.no_grad():
        for row in load(path)(x).tolist():
            print(" ".join(f"{y:.4f}" for y in row))


main()
