"""Measures nn.h and other libraries side by side. `make bench` runs it, from the repository root.

    bench.py [--backend NAME] [--rounds N] [NAME...]

Without arguments it measures everything and writes the table tests/bench/results-PROCESSOR.md, from
which `make pictures` draws the chart. With NAMEs it measures only the results whose names contain
one of them, and writes no file. --backend forces one of nn.h's back-ends. The program builds
bench.c with $CC and $CFLAGS, and with OpenBLAS and FANN if they are installed; it compares with
PyTorch, JAX and scikit-learn if $PEERS, a Python interpreter (this one), has them. $MNIST may name
the folder of MNIST, which nets of 784 inputs then learn.

Each result is measured in rounds. In each round every library takes one short sample in turn, so
that a change of the machine's clock rate meets all of them. The best sample of each library counts:
noise can only make a sample slower. With one thread, times are processor times, which other
programs hardly change. With several threads, times are wall-clock times, and the machine must be
idle. The last lines are for other programs to read:

    bench NAME VALUE UNIT OTHER RATIO

RATIO is VALUE divided by the other library's value in the same UNIT, or "skipped" where one of the
two is missing. OTHER is one of

    peak        what one core can do with multiply-adds alone; in training, a run that does nothing
                but its matrix products at that rate
    openblas    cblas_sgemm on the same shapes, without bias and activation
    torch       PyTorch: the product with its matrix library, or its eager training loop
    jax         JAX: training in one compiled scan
    sklearn     scikit-learn's MLPClassifier.partial_fit
    fann        FANN's incremental training, or fann_run
    train       nn_train_batch in a loop, to which nn_fit is compared
    second      the second epoch of a training run, to which the last is compared
    one_thread  nn.h without OpenMP
"""

import argparse
import functools
import math
import os
import platform
import re
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
    "epoch": (0, 1, "samples/s", lambda rate: rate),
    "predict": (0.01, 15, "us", lambda rate: 1e6 / rate),
}
IDLE = 0.3  # largest load at which results with several threads are kept
LONGEST = 15  # a result gets no further round after so many seconds

# Side: the process that is asked, and the request. Of a peer with several sides the fastest counts.
Side = namedtuple("Side", "process what name")
# Case: work is its description in the table; flops are those of one unit, for the peak.
Case = namedtuple("Case", "name work arguments ours peers flops")


def sides(process, what, *names):
    return {name: [Side(process, what, name)] for name in names}


PEAK = {"peak": [Side("c", "peak", "nn")]}


def product(what, shape):
    peers = {**PEAK, **sides("c", what, "openblas"), **sides("python", what, "torch")}
    work = {"forward": "forward", "weights": "weight gradient", "inputs": "input gradient"}[what]
    return Case(f"{what}_{shape}", f"{work} {shape}", shape, Side("c", what, "nn"), peers, 1)


def training_flops(net):
    """One row's: forward, weight gradient, and input gradient of all layers but the first."""
    widths = [int(width) for width in net.split("-")]
    products = [2 * rows * columns for rows, columns in zip(widths, widths[1:])]
    return 3 * sum(products) - products[0]


def training(net, batch, *peers):
    """One case with one thread, and one with all threads for nn.h and the peers that have them."""
    arguments = f"{net} {batch}"
    one, every = {}, {"one_thread": [Side("c", "train", "nn")]}
    for peer in peers:
        if peer == "peak":
            one.update(PEAK)
        elif peer == "fann":
            one.update(sides("c", "train", peer))
        else:
            one.update(sides("python", "train", peer))
            # PyTorch's threads and OpenBLAS's may compete for the cores, as in Debian's packages.
            # So PyTorch is measured with both, and with OpenBLAS's alone.
            every[peer] = [Side("python_all", "train", peer), Side("python_blas", "train", peer)]
    name = f"train_{net}_batch{batch}"
    work = f"training {net}, batch {batch}"
    return [Case(name, work, arguments, Side("c", "train", "nn"), one, training_flops(net)),
            Case(name + "_all", f"{work}, {CORES} threads", arguments, Side("c_all", "train", "nn"),
                 every, 1)]


def fitting(net, batch):
    return Case(f"fit_{net}_batch{batch}", f"nn_fit {net}, batch {batch}", f"{net} {batch}",
                Side("c", "fit", "nn"), {"train": [Side("c", "train", "nn")]}, 1)


def last_epoch(net, batch):
    return Case(f"epoch_{net}_batch{batch}", f"last of 20 epochs, {net}, batch {batch}",
                f"{net} {batch}", Side("c", "epoch", "last"), sides("c", "epoch", "second"), 1)


def prediction(net, process, *peers):
    return Case(f"predict_{net}", f"predicting one row, {net}", net, Side("c", "predict", "nn"),
                sides(process, "predict", *peers), 1)


CASES = [
    *(product("forward", shape) for shape in (
        "128x128x784", "32x128x784", "256x256x256", "512x512x512", "1024x1024x1024",
        "256x1024x1024", "64x64x64", "32x32x16", "1x128x784")),
    *(product("weights", shape) for shape in (
        "784x128x128", "784x128x32", "784x128x1024", "1024x1024x256")),
    *(product("inputs", shape) for shape in ("128x784x128", "128x128x10", "256x1024x1024")),
    *(case for batch in (1, 8, 32, 128, 1024)
      for case in training("784-128-10", batch, "peak", "torch", "jax", "sklearn")),
    *training("1024-1024-1024-1024-10", 256, "peak", "torch", "jax"),
    *training("64-64-64-10", 32, "torch", "jax", "sklearn"),
    *training("2-8-1", 10, "fann", "torch"),
    *training("2-8-1", 1, "fann"),
    fitting("784-128-10", 32),
    fitting("2-8-1", 10),
    last_epoch("784-128-10", 32),
    prediction("784-128-10", "python", "torch"),
    prediction("2-8-1", "c", "fann"),
    prediction("64-32-32-1", "c", "fann"),
]


# ---- The programs that are asked ----------------------------------------------------------------

def output_of(command, **how):
    """What the command prints; None if it fails or is not installed."""
    try:
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.DEVNULL, **how).stdout
    except (OSError, subprocess.CalledProcessError):
        return None


def build():
    """Makes build/bench and, if the compiler has OpenMP, build/bench_openmp."""
    compiler = shlex.split(os.environ.get("CC", "cc") + " " + os.environ.get("CFLAGS", "-O2"))
    options, libraries = [], []

    def try_library(macro, header, flags):
        program = f"#include <{header}>\nint main(void) {{ return 0; }}\n"
        if output_of([*compiler, "-x", "c", "-", "-o", os.devnull, *flags], input=program) is None:
            print(f"{header}: not found, skipped")
        else:
            options.append(macro)
            libraries.extend(flags)

    # Only pkg-config finds OpenBLAS: a <cblas.h> alone may belong to another library.
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


def cpu_info(field):
    """A field of Linux's /proc/cpuinfo, of the first core; "" where there is none."""
    try:
        with open("/proc/cpuinfo") as file:
            found = re.search(rf"^{field}\s*:\s*(.*)$", file.read(), re.MULTILINE)
    except OSError:
        return ""
    return found.group(1) if found else ""


class Process:
    """A program that answers each line with a line: see bench.c."""

    def __init__(self, command, threads, blas_threads):
        # A machine may force OpenBLAS's kernels by a variable. Here it takes the fastest it has.
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("OPENBLAS_")}
        environment.update(OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(blas_threads))
        if threads == 1:  # JAX takes its number of threads from here
            environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
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
    """The program, started when it is first needed; None if it could not be built."""
    forced = ["--backend", backend] if backend else []
    if name == "c":
        return Process(["build/bench", *forced], 1, 1)
    if name == "c_all":
        command = ["build/bench_openmp", *forced]
        return Process(command, CORES, 1) if os.path.exists(command[0]) else None
    threads = CORES if name == "python_all" else 1
    blas_threads = 1 if name == "python" else CORES
    python = os.environ.get("PEERS") or sys.executable
    return Process([python, "tests/bench/peers.py"], threads, blas_threads)


@functools.lru_cache(maxsize=None)
def rows_of(sizes, backend):
    """The number of rows and the file of the data for a net, for the Python side."""
    widths = sizes.split("-")
    return process("c", backend).ask(f"data nn 0 {widths[0]}-{widths[-1]}")


# ---- Measuring ----------------------------------------------------------------------------------

def sample(case, side, backend):
    """Units per second; None if the side is not installed."""
    program = process(side.process, backend)
    if program is None:
        return None
    request = f"{side.what} {side.name} {SAMPLES[side.what][0]} {case.arguments}"
    if side.process.startswith("python") and "x" not in case.arguments:
        batch = "" if side.what == "train" else " 1"
        request += f"{batch} {rows_of(case.arguments.split()[0], backend)}"
    rate = program.ask(request)
    if side.process not in ("c", "python"):
        time.sleep(0.02)  # its threads may still be spinning
    if rate == "skipped":
        return None
    return float(rate) / (case.flops if side.what == "peak" else 1)


def measure(case, rounds, backend):
    """The most units per second of each library; "nn" is ours."""
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


# ---- Reporting ----------------------------------------------------------------------------------

def digits(value):
    """At least four digits, and no exponent."""
    return f"{value:,.{max(0, 3 - math.floor(math.log10(value)))}f}"


def results(case, best):
    """The values in the case's unit by library, first ours, "nn"; None for a missing library."""
    convert = SAMPLES[case.ours.what][3]
    return {name: rate and convert(rate) for name, rate in best.items()}


def faster(case, ours, other):
    """How many times as fast as the other nn.h is: times are better when they are smaller."""
    return other / ours if SAMPLES[case.ours.what][2] == "us" else ours / other


def print_line(case, values):
    """Prints the line for a person to read; returns the lines for other programs."""
    unit, ours = SAMPLES[case.ours.what][2], values["nn"]
    cells, lines = [], []
    for peer, value in list(values.items())[1:]:
        ratio = f"{ours / value:.3f}" if ours and value else "skipped"
        cells.append(f"{ratio} x {peer} ({digits(value)})" if ours and value else f"{peer} skipped")
        figure = digits(ours).replace(",", "") if ours else "skipped"
        lines.append(f"bench {case.name} {figure} {unit} {peer} {ratio}")
    print(f"{case.name:42}{digits(ours) if ours else 'skipped':>10} {unit:9}  {', '.join(cells)}",
          flush=True)
    return lines


def versions(backend):
    """What is compared, by the names of the peers."""
    about = process("c", backend).ask("about") + "; " + process("python", backend).ask("about")
    found = dict(part.split(": ", 1) for part in about.split("; "))
    found["fann"] = "FANN " + (output_of(["pkg-config", "--modversion", "fann"]) or "").strip()
    found.update(train="nn_train_batch", one_thread="one thread", second="the second epoch")
    return found


PROSE = """# The benchmark on {processor}

`make bench` wrote this file. Do not edit it; run the command again.

- Processor: {processor}, {cores} cores, {peak} GFLOP/s peak on one core.
- Library: {nn} kernels, compiled by {compiler} with `{flags}`.
- The load of other programs at the start was {load:.1f}. Results with several threads need an idle
  machine: {threads}.
- "Of peak" is nn.h's share of what one core can do with multiply-adds alone. In training only the
  multiply-adds of the matrix products count.
- "(2.0 x)" says that nn.h is 2.0 times as fast as the library before it.
- A product `forward MxNxK` has M rows, N outputs and K inputs; it includes the bias and ReLU.
  A weight gradient has M inputs, N outputs and K rows; an input gradient M rows, N inputs and
  K outputs.
- Nets with one output are sigmoid throughout and are trained with the squared error and SGD (FANN
  one row at a time, whatever the batch). Nets with ten outputs have ReLU (the net of 64 inputs
  tanh) and softmax and are trained with the cross-entropy and Adam.
- Training data: {data} for 784 inputs, the bundled digits for 64, else a generated set that exceeds
  the caches. Every library has trained for up to 3,000 updates before it is measured.
- nn_fit also shuffles the rows, counts the right predictions and checks the data.

| work | nn.h | of peak | other libraries |
|---|---|---|---|
"""


def write_table(table, backend, load):
    """Writes results-PROCESSOR.md; table has a (case, values) for each row."""
    found = versions(backend)
    processor = cpu_info("model name") or platform.processor() or platform.machine()
    compiler = shlex.split(os.environ.get("CC", "cc"))
    peak = max((values["peak"] for case, values in table
                if case.ours.what == "forward" and values["peak"]), default=0)
    family = cpu_info("cpu family")
    text = PROSE.format(
        processor=processor + (f" (family {family}, model {cpu_info('model')})" if family else ""),
        cores=CORES, peak=round(peak), nn=found["nn"], load=load,
        threads="they are in the table" if load <= IDLE else "they are left out here",
        compiler=(output_of([*compiler, "--version"]) or compiler[0]).splitlines()[0],
        flags=os.environ.get("CFLAGS", "-O2"),
        data="MNIST" if os.environ.get("MNIST") else "a generated set like MNIST")
    units = {"us": "microseconds", "samples/s": "rows/s"}
    for case, values in table:
        unit, ours = SAMPLES[case.ours.what][2], values["nn"]
        if not ours or (case.ours.process == "c_all" and load > IDLE):
            continue
        peak = f"{ours / values['peak']:.2f}" if values.get("peak") else ""
        others = "; ".join(
            f"{found[peer]}: {digits(value)} ({faster(case, ours, value):.2f} x)"
            for peer, value in values.items() if value and peer not in ("nn", "peak"))
        text += f"| {case.work} | {digits(ours)} {units.get(unit, unit)} | {peak} | {others} |\n"
    name = re.sub("[^a-z0-9]+", "-", processor.lower()).strip("-")
    path = f"tests/bench/results-{name}.md"
    with open(path, "w") as file:
        file.write(text)
    print(f"written to {path}")


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
    load = os.getloadavg()[0]
    build()
    print(f"{CORES} cores;", process("c", options.backend).ask("about"))
    if any(side.process == "python" for case in chosen for several in case.peers.values()
           for side in several):
        print(process("python", options.backend).ask("about"))
    table, lines = [], []
    for case in chosen:
        rounds = options.rounds or SAMPLES[case.ours.what][1]
        table.append((case, results(case, measure(case, rounds, options.backend))))
        lines += print_line(*table[-1])
    if not options.names and not options.rounds and not options.backend:
        write_table(table, options.backend, load)
    print("\n".join(lines))


main()
