"""Measures nn.h and its peers side by side. Run from the repository root; `make bench` does it.

    bench.py [--backend NAME] [--rounds N] [NAME...]

takes only the results whose names contain one of NAMEs, all of them without; --backend forces one
of nn.h's back-ends. Builds bench.c with $CC and $CFLAGS, and with OpenBLAS and FANN where
they are; PyTorch and scikit-learn are compared with where this Python has them.

Every result is measured in rounds. In each round every side takes one short sample in turn, so that
all of them meet the same drift of the machine's clock. The best sample of each side counts, and
ratios are of those: noise only ever slows down, and over several runs these ratios spread half as
wide as the medians of the rounds' own ratios. Times of one thread are the processor's, so that
other programs matter little; of several threads the wall's, which needs an idle machine. The last
lines are for machines:

    bench NAME VALUE UNIT RATIO-TO RATIO

with RATIO = VALUE / the other side's value in the same UNIT, or "skipped" for a side that is not
here. RATIO-TO is one of

    peak        what the core's multiply-adds alone can do; in training, the run that does nothing
                but its matrix products at that speed
    openblas    cblas_sgemm on the same shapes, without bias and activation
    torch       PyTorch's eager loop
    sklearn     scikit-learn's MLPClassifier.partial_fit
    fann        FANN's incremental training, or fann_run
    train       nn_train_batch in a loop, to which nn_fit is compared
    one_thread  nn.h without OpenMP
"""

import argparse
import functools
import math
import os
import shlex
import subprocess
import sys
import time
from collections import namedtuple

CORES = os.cpu_count()
PRODUCT = (0.004, 30, "GFLOP/s", lambda rate: rate / 1e9)
SAMPLES = {  # what is measured: seconds of one sample, rounds, unit, value from units per second
    "peak": PRODUCT,
    "forward": PRODUCT,
    "weights": PRODUCT,
    "inputs": PRODUCT,
    "train": (0.05, 12, "samples/s", lambda rate: rate),
    "fit": (0.05, 12, "samples/s", lambda rate: rate),
    "predict": (0.01, 15, "us", lambda rate: 1e6 / rate),
}
LONGEST = 15  # seconds after which a result gets no further round, however slow its sides are

# Side: the process that is asked, and what for. A peer may be several sides; the fastest counts.
Side = namedtuple("Side", "process what name")
Case = namedtuple("Case", "name arguments ours peers flops")  # flops of one unit, for the peak


def sides(process, what, *names):
    return {name: [Side(process, what, name)] for name in names}


PEAK = {"peak": [Side("c", "peak", "nn")]}


def product(what, shape):
    peers = {**PEAK, **sides("c", what, "openblas")}
    return Case(f"{what}_{shape}", shape, Side("c", what, "nn"), peers, 1)


def training_flops(net):
    """Of one row's matrix products: forward, weight gradient, input gradient but for layer one."""
    widths = [int(width) for width in net.split("-")]
    products = [2 * rows * columns for rows, columns in zip(widths, widths[1:])]
    return 3 * sum(products) - products[0]


def training(net, batch, rows, *peers):
    """One case with one thread, and one with all, which the peers get too that can use them."""
    arguments = f"{net} {batch} {rows}"
    one, every = {}, {"one_thread": [Side("c", "train", "nn")]}
    for peer in peers:
        if peer == "peak":
            one.update(PEAK)
        elif peer == "fann":
            one.update(sides("c", "train", peer))
        else:
            one.update(sides("python", "train", peer))
            # PyTorch's own threads and OpenBLAS's may keep each other from the cores, as they do
            # with Debian's: so it may use both, or OpenBLAS's alone.
            every[peer] = [Side("python_all", "train", peer), Side("python_blas", "train", peer)]
    name = f"train_{net}_batch{batch}"
    return [Case(name, arguments, Side("c", "train", "nn"), one, training_flops(net)),
            Case(name + "_all", arguments, Side("c_all", "train", "nn"), every, 1)]


def fitting(net, batch, rows):
    return Case(f"fit_{net}_batch{batch}", f"{net} {batch} {rows}", Side("c", "fit", "nn"),
                {"train": [Side("c", "train", "nn")]}, 1)


def prediction(net, process, *peers):
    return Case(f"predict_{net}", net, Side("c", "predict", "nn"),
                sides(process, "predict", *peers), 1)


CASES = [
    *(product("forward", shape) for shape in (
        "128x128x784", "32x128x784", "256x256x256", "1024x1024x1024", "64x64x64", "32x32x16",
        "1x128x784")),
    *(product("weights", shape) for shape in ("784x128x128", "784x128x32", "1024x1024x256")),
    *(product("inputs", shape) for shape in ("128x784x128", "128x128x10", "256x1024x1024")),
    *training("784-128-10", 1, 4096, "peak", "torch"),
    *training("784-128-10", 32, 4096, "peak", "torch", "sklearn"),
    *training("784-128-10", 128, 4096, "peak", "torch", "sklearn"),
    *training("784-128-10", 1024, 4096, "peak", "torch"),
    *training("1024-1024-1024-1024-10", 256, 1024, "peak", "torch"),
    *training("2-8-1", 10, 1000, "fann", "torch"),
    *training("2-8-1", 1, 1000, "fann"),
    fitting("784-128-10", 32, 4096),
    fitting("2-8-1", 10, 1000),
    prediction("784-128-10", "python", "torch"),
    prediction("2-8-1", "c", "fann"),
]


# ---- The programs that are asked ----------------------------------------------------------------

def output_of(command, **how):
    """What it prints, None when it fails or is not there."""
    try:
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.DEVNULL, **how).stdout
    except (OSError, subprocess.CalledProcessError):
        return None


def build():
    """Makes build/bench and, where there is OpenMP, build/bench_openmp."""
    compiler = shlex.split(os.environ.get("CC", "cc") + " " + os.environ.get("CFLAGS", "-O2"))
    options, libraries = [], []

    def try_library(macro, header, flags):
        program = f"#include <{header}>\nint main(void) {{ return 0; }}\n"
        if output_of([*compiler, "-x", "c", "-", "-o", os.devnull, *flags], input=program) is None:
            print(f"{header}: not found, skipped")
        else:
            options.append(macro)
            libraries.extend(flags)

    # OpenBLAS by pkg-config alone: other packages have a <cblas.h> that does not link with it.
    openblas = output_of(["pkg-config", "--cflags", "--libs", "openblas"])
    try_library("-DBENCH_OPENBLAS", "cblas.h", shlex.split(openblas or "-lopenblas_not_found"))
    try_library("-DBENCH_FANN", "fann.h", ["-lfann"])
    os.makedirs("build", exist_ok=True)
    command = [*compiler, *options, "-I.", "tests/bench/bench.c", *libraries, "-lm", "-o"]
    subprocess.run(command + ["build/bench"], check=True)
    if output_of(command + ["build/bench_openmp", "-fopenmp"]) is None:
        print("OpenMP: not found, skipped")
        if os.path.exists("build/bench_openmp"):
            os.remove("build/bench_openmp")


class Process:
    """A program that answers each line with a line: see tests/bench/bench.c."""

    def __init__(self, command, threads, blas_threads):
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads),
                           OPENBLAS_NUM_THREADS=str(blas_threads))
        self.pipe = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     env=environment, text=True)

    def ask(self, request):
        self.pipe.stdin.write(request + "\n")
        self.pipe.stdin.flush()
        answer = self.pipe.stdout.readline().strip()
        if not answer:
            sys.exit(f"no answer to: {request}")
        return answer


@functools.lru_cache(maxsize=None)
def process(name, backend):
    """Started when it is first needed; None when it could not be built."""
    forced = ["--backend", backend] if backend else []
    if name == "c":
        return Process(["build/bench", *forced], 1, 1)
    if name == "c_all":
        command = ["build/bench_openmp", *forced]
        return Process(command, CORES, 1) if os.path.exists(command[0]) else None
    threads = CORES if name == "python_all" else 1
    blas_threads = 1 if name == "python" else CORES
    return Process([sys.executable, "tests/bench/peers.py"], threads, blas_threads)


# ---- Measuring and printing ---------------------------------------------------------------------

def sample(case, side, backend):
    """Units per second of case, None when there is no such side."""
    program = process(side.process, backend)
    if program is None:
        return None
    rate = program.ask(f"{side.what} {side.name} {SAMPLES[side.what][0]} {case.arguments}")
    if side.process not in ("c", "python"):
        time.sleep(0.02)  # its threads may still be spinning
    if rate == "skipped":
        return None
    return float(rate) / (case.flops if side.what == "peak" else 1)


def measure(case, rounds, backend):
    """The best units per second of each side, by name of the peer; ours is "nn"."""
    best = {"nn": None, **dict.fromkeys(case.peers)}
    every = [("nn", case.ours)]
    every += [(peer, side) for peer, several in case.peers.items() for side in several]
    begin = time.monotonic()
    for _ in range(rounds):
        for peer, side in list(every):
            rate = sample(case, side, backend)
            if rate is None:
                every.remove((peer, side))
            else:
                best[peer] = max(rate, best[peer] or 0)
        if time.monotonic() - begin > LONGEST:
            break
    return best


def digits(value):
    """Four of them, and no exponent."""
    return f"{value:.{max(0, 3 - math.floor(math.log10(value)))}f}"


def report(case, best):
    """Prints a line of the table; returns the lines for machines."""
    _, _, unit, convert = SAMPLES[case.ours.what]
    values = {peer: rate and convert(rate) for peer, rate in best.items()}
    ours = values.pop("nn")
    figure = digits(ours) if ours else "skipped"
    cells, lines = [], []
    for peer, value in values.items():
        if ours and value:
            ratio = f"{ours / value:.3f}"
            cells.append(f"{ratio} x {peer} ({digits(value)})")
        else:
            ratio = "skipped"
            cells.append(f"{peer} skipped")
        lines.append(f"bench {case.name} {figure} {unit} {peer} {ratio}")
    print(f"{case.name:42}{figure:>9} {unit:9}  {', '.join(cells)}", flush=True)
    return lines


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--backend")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    chosen = [case for case in CASES
              if not options.names or any(name in case.name for name in options.names)]
    if not chosen:
        sys.exit("no such name")
    build()
    print(f"{CORES} cores; nn.h's back-end is", process("c", options.backend).ask("about"))
    if any(side.process == "python" for case in chosen for several in case.peers.values()
           for side in several):
        print(process("python", options.backend).ask("about"))
    lines = []
    for case in chosen:
        rounds = options.rounds or SAMPLES[case.ours.what][1]
        lines += report(case, measure(case, rounds, options.backend))
    print("\n".join(lines))


main()
