"""The Python side of `make bench`: PyTorch, JAX and scikit-learn. The comment at the top of bench.c
describes the nets, the data and the requests. bench.py runs this program with one thread and with
all:

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 peers.py

A request ends with the number of rows and the file of the data. The program answers "skipped" to a
request for a package that is not installed.
"""

import functools
import os
import sys
import time

import numpy

try:
    import torch
    from torch import nn
except ImportError:
    torch = None
try:
    import jax
    from jax import numpy as jnp
except ImportError:
    jax = None
try:
    import sklearn
    from sklearn.neural_network import MLPClassifier
except ImportError:
    sklearn = None

ONE_THREAD = os.environ["OMP_NUM_THREADS"] == os.environ["OPENBLAS_NUM_THREADS"] == "1"
CLOCK = time.process_time if ONE_THREAD else time.perf_counter  # as in tests/bench/bench.c
WARM_UP, LONGEST = 3000, 4  # updates, or seconds, before the first sample


def measure(work, units, seconds):
    """Units per second of work(), which does `units` of them."""
    work()
    n = 1
    while True:
        begin = CLOCK()
        for _ in range(n):
            work()
        elapsed = CLOCK() - begin
        if elapsed >= seconds:
            return units * n / elapsed
        n *= 2


@functools.lru_cache(maxsize=None)
def read(widths, rows, path):
    """The rows x[rows, inputs] and y[rows, outputs] that bench.c wrote."""
    numbers = numpy.fromfile(path, dtype=numpy.float32)
    return (numbers[:rows * widths[0]].reshape(rows, widths[0]),
            numbers[rows * widths[0]:].reshape(rows, widths[-1]))


def torch_net(widths, output):
    hidden = nn.Sigmoid if widths[-1] == 1 else nn.Tanh if widths[0] == 64 else nn.ReLU
    modules = []
    for i in range(len(widths) - 1):
        modules += [nn.Linear(widths[i], widths[i + 1]), hidden()]
    modules[-1:] = output
    return nn.Sequential(*modules)


def train_torch(widths, batch, rows, path):
    x, y = (torch.from_numpy(array) for array in read(widths, rows, path))
    if widths[-1] == 1:
        net, loss = torch_net(widths, [nn.Sigmoid()]), nn.MSELoss()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    else:
        net, loss = torch_net(widths, []), nn.CrossEntropyLoss()  # which takes logits
        y = y.argmax(dim=1)
        try:
            optimizer = torch.optim.Adam(net.parameters(), fused=True)
        except (TypeError, RuntimeError):  # older versions have none for the CPU
            optimizer = torch.optim.Adam(net.parameters())
    batches = [(x[i:i + batch], y[i:i + batch]) for i in range(0, rows - batch + 1, batch)]
    state = {"next": 0}

    def step():
        batch_x, batch_y = batches[state["next"]]
        state["next"] = (state["next"] + 1) % len(batches)
        optimizer.zero_grad(set_to_none=True)
        loss(net(batch_x), batch_y).backward()
        optimizer.step()

    return step, batch


def train_jax(widths, batch, rows, path):
    """One compiled scan over up to 256 batches, which stay on the device."""
    if widths[-1] == 1:
        return None
    x, y = read(widths, rows, path)
    count = min(256, rows // batch)
    calls = rows // batch // count
    x = jnp.asarray(x[:calls * count * batch]).reshape(calls, count, batch, widths[0])
    y = jnp.asarray(y[:calls * count * batch]).reshape(calls, count, batch, widths[-1])
    hidden = jnp.tanh if widths[0] == 64 else jax.nn.relu
    keys = jax.random.split(jax.random.PRNGKey(1), len(widths))
    theta = [(jax.random.uniform(keys[i], (widths[i], widths[i + 1]), minval=-1, maxval=1)
              / widths[i] ** 0.5, jnp.zeros(widths[i + 1])) for i in range(len(widths) - 1)]
    zeros = jax.tree_util.tree_map(jnp.zeros_like, theta)

    def loss(theta, batch_x, batch_y):
        for w, b in theta[:-1]:
            batch_x = hidden(batch_x @ w + b)
        logits = batch_x @ theta[-1][0] + theta[-1][1]
        return -(jax.nn.log_softmax(logits) * batch_y).sum(axis=1).mean()

    def step(carry, one):
        theta, m, v, t = carry
        gradients = jax.grad(loss)(theta, *one)
        t += 1
        m = jax.tree_util.tree_map(lambda a, g: 0.9 * a + 0.1 * g, m, gradients)
        v = jax.tree_util.tree_map(lambda a, g: 0.999 * a + 0.001 * g * g, v, gradients)
        rate, root = 1e-3 / (1 - 0.9 ** t), (1 - 0.999 ** t) ** 0.5
        theta = jax.tree_util.tree_map(
            lambda w, a, b: w - rate * a / (jnp.sqrt(b) / root + 1e-8), theta, m, v)
        return (theta, m, v, t), None

    @jax.jit
    def run(carry, call):
        return jax.lax.scan(step, carry, (x[call], y[call]))[0]

    state = {"carry": (theta, zeros, zeros, jnp.float32(0)), "call": 0}

    def some():
        state["carry"] = jax.block_until_ready(run(state["carry"], state["call"]))
        state["call"] = (state["call"] + 1) % calls

    return some, count * batch


def train_sklearn(widths, batch, rows, path):
    x, y = read(widths, rows, path)
    x, y = x[:4096], y[:4096].argmax(axis=1)  # a pass over them is a short sample
    hidden = "tanh" if widths[0] == 64 else "relu"
    net = MLPClassifier(widths[1:-1], activation=hidden, solver="adam", alpha=0, batch_size=batch)
    net.partial_fit(x, y, classes=range(widths[-1]))
    return lambda: net.partial_fit(x, y), len(x)


def predict_torch(widths, batch, rows, path):
    net = torch_net(widths, [nn.Sigmoid() if widths[-1] == 1 else nn.Softmax(dim=1)])
    x = torch.from_numpy(read(widths, rows, path)[0][:1])

    def work():
        with torch.no_grad():
            net(x)

    return work, 1


def forward_torch(widths, batch, rows, path):
    """y = x w + b, by the matrix library that PyTorch has inside (MKL or oneDNN, or OpenBLAS)."""
    m, n, k = widths
    x, w, b = torch.rand(m, k), torch.rand(k, n), torch.rand(n)
    y = torch.empty(m, n)
    return lambda: torch.addmm(b, x, w, out=y), 2.0 * m * n * k


def weights_torch(widths, batch, rows, path):
    m, n, k = widths
    x, dz, dw = torch.rand(k, m), torch.rand(k, n), torch.empty(m, n)
    return lambda: torch.mm(x.t(), dz, out=dw), 2.0 * m * n * k


def inputs_torch(widths, batch, rows, path):
    m, n, k = widths
    dz, w, dx = torch.rand(m, k), torch.rand(n, k), torch.empty(m, n)
    return lambda: torch.mm(dz, w.t(), out=dx), 2.0 * m * n * k


WORKS = {}
if torch:
    WORKS.update({("train", "torch"): train_torch, ("predict", "torch"): predict_torch,
                  ("forward", "torch"): forward_torch, ("weights", "torch"): weights_torch,
                  ("inputs", "torch"): inputs_torch})
if jax:
    WORKS["train", "jax"] = train_jax
if sklearn:
    WORKS["train", "sklearn"] = train_sklearn


@functools.lru_cache(maxsize=None)
def work_of(what, side, sizes, batch, rows, path):
    """(work, units), after the warm-up; None where this side does not have it."""
    widths = tuple(int(width) for width in sizes.replace("x", "-").split("-"))
    made = WORKS[what, side](widths, batch, rows, path)
    if made and what == "train":
        work, units = made
        begin = CLOCK()
        for _ in range(max(1, WARM_UP * batch // units)):
            work()
            if CLOCK() - begin > LONGEST:
                break
    return made


def answer(what, side=None, seconds=0, sizes="", batch=1, rows=1, path=""):
    if what == "about":
        packages = [("torch: PyTorch", torch), ("jax: JAX", jax), ("sklearn: scikit-learn", sklearn)]
        return "; ".join(f"{name} {module.__version__ if module else 'absent'}"
                         for name, module in packages)
    if (what, side) not in WORKS:
        return "skipped"
    made = work_of(what, side, sizes, int(batch), int(rows), path)
    return measure(*made, float(seconds)) if made else "skipped"


def main():
    if torch:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        torch.manual_seed(1)
    for line in sys.stdin:
        print(answer(*line.split()), flush=True)


main()
