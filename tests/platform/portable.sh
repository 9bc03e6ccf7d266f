#!/bin/sh
# The same bits on every machine: sh tests/platform/portable.sh, from the repository root.
# Builds tests/platform/everywhere.c, which knows the hash that its training runs must have, compares
# every vector kernel with its scalar definition, and what nn_export_c wrote here with nn_predict.
# Runs it natively from many compilers and flags, under emulators, under wine. Installs nothing: a
# machine whose tools are not here is skipped, which with CI=true is a failure.
suite=portable
. tests/platform/jobs.sh
program=tests/platform/everywhere.c
excused='a processor' # cannot be installed

# ---- How a program is run: functions that take it and its arguments -----------------------------

natively() { "$@"; }
# The test of the kernels sets the number of threads itself. Threads that wait for work leave the
# processor to others.
with_threads()
{
    export OMP_WAIT_POLICY=passive
    OMP_NUM_THREADS=7 "$@" && OMP_NUM_THREADS=1 "$1" bits && OMP_NUM_THREADS=2 "$1" bits
}
# Only one of these processors has vector kernels to compare. This emulator's masked loads touch what
# is masked out, too.
under_qemu()
{
    a=$1
    shift
    qemu-x86_64 -cpu Nehalem "$a" bits && qemu-x86_64 -cpu Haswell "$a" no-page "$@" &&
        qemu-x86_64 -cpu Haswell,-fma "$a" bits
}
under_wine() { WINEPREFIX=$work/wine WINEDEBUG=-all flock "$work/wine.lock" wine "$@"; }
# With threads of its own, node 20 may die on its way out, when the program has ended well.
under_node() { node --no-warnings --single-threaded "$work/wasi.mjs" "$@"; }

# What the tools of a machine must build and run to count as here.
make_files()
{
    cat >"$work/trial.c" <<'END_OF_FILE'
#include <math.h>
#include <stdio.h>
#ifdef _OPENMP
#include <omp.h>
#endif
int main(void)
{
#ifdef NEEDS
    if (!__builtin_cpu_supports(NEEDS)) return 1;
#endif
    return printf("%g\n", floor(1.5)) < 2;
}
END_OF_FILE
    cat >"$work/wasi.mjs" <<'END_OF_FILE'
import { readFileSync } from 'node:fs';
import { WASI } from 'node:wasi';
const wasi = new WASI({ version: 'preview1', args: process.argv.slice(2), returnOnExit: true });
const module = await WebAssembly.compile(readFileSync(process.argv[2]));
const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
process.exit(wasi.start(instance));
END_OF_FILE
    make build/exported.c build/exported_double.c
}

# ---- One machine --------------------------------------------------------------------------------

# try NEEDS COMPILE RUN: leaves the row out when a small program cannot be built or run.
# shellcheck disable=SC2086
try()
{
    if ! $2 -o "$folder/trial.exe" "$work/trial.c" -lm >"$folder/trial" 2>&1 ||
        ! $3 "$folder/trial.exe" >"$folder/trial" 2>&1; then
        skip "$1"
    fi
}

# build_and_run NEEDS COMPILE RUN BEST ARITHMETIC PARTS
# shellcheck disable=SC2086
build_and_run()
{
    try "$1" "$2" "$3"
    define=
    case $5 in *double*) define=-DNN_DOUBLE ;; esac
    case $5 in *no_fma*) define="$define -DNN_NO_FMA" ;; esac
    $2 $define -I. -o "$folder/a.exe" "$program" -lm >&2
    TEST_FOLDER=$folder $3 "$folder/a.exe" $6 >"$folder/text" 2>&1 || {
        cat "$folder/text" >&2
        return 1
    }
    ! find "$folder" -name '*.tmp' | grep . >&2 || return 1 # temporary files
    best=$(tr -d '\r' <"$folder/text" | sed -n 's/^best //p' | xargs)
    [ -n "$best" ] || return 1
    [ -z "$4" ] || [ "$best" = "$4" ] || {
        echo "the best back-end is $best, not $4" >&2
        return 1
    }
    echo "$5"
}

# machine NAME NEEDS COMPILE RUN BEST ARITHMETICS [PARTS]: NEEDS: what to install (Debian's
# packages); BEST: the back-end that must be chosen, run by run; "" for any.
machine()
{
    for arithmetic in $6; do
        row "$1" build_and_run "$2" "$3" "$4" "$5" "$arithmetic" "${7:-bits kernels export saving}"
    done
}

# forks CC: the ways out of fork after threads, which the header's first page lists.
forks()
{
    try "$1 libomp-dev" "$1 -fopenmp" natively
    $1 -O1 -fopenmp -I. -o "$folder/a.exe" tests/platform/fork.c -lm >&2
    OMP_NUM_THREADS=3 "$folder/a.exe" >&2
}

# A DLL as the header's first page shows it, and programs that use it: with dllimport, without, and
# with another switch, which does not link.
dll()
{
    needs "x86_64-w64-mingw32-gcc wine" "gcc-mingw-w64-x86-64 wine wine64"
    gcc="x86_64-w64-mingw32-gcc -I."
    { grep 'define NN_DEF.*dllexport' nn.h; printf '#define NN_IMPLEMENTATION\n#include "nn.h"\n'; } \
        >"$folder/nn.c"
    $gcc -O1 -DNN_NO_SIMD -static -shared -o "$folder/nn.dll" "$folder/nn.c" >&2
    for define in "-DNN_DEF=extern __declspec(dllimport)" -DNOTHING; do
        $gcc -DNN_NO_SIMD "$define" -o "$folder/a.exe" tests/platform/user.c "$folder/nn.dll" >&2
        under_wine "$folder/a.exe" >&2
    done
    ! $gcc -DNN_NO_SIMD -DNN_DOUBLE -o "$folder/a.exe" tests/platform/user.c "$folder/nn.dll" \
        2>"$folder/message" || return 1
    grep -q 'undefined reference to .nn_fit_DOUBLE_NO_SIMD' "$folder/message"
}

# ---- The machines -------------------------------------------------------------------------------

float="fma no_fma"
all="$float double_fma double_no_fma"

# Compilers and flags. The standard decides what a compiler may fuse into fma (gcc: gnu17 is
# -ffp-contract=fast), the target whether it can. Told -ffp-contract=fast, clang drops the
# pragma that NN_NO_FMA needs; the standard changes nothing of its arithmetic.
#
# Each level, each target and each way of fusing meets every arithmetic that it may change, but
# not each of the others. Under NN_STATIC a compiler makes code only for what the program calls,
# which is faster, and may inline more of it. The vector kernels take most of the compiler's time;
# they name their own targets, so that -march=x86-64-v2 and the standard c99, under which gcc fuses
# nothing, are for the scalar ones.
compilers()
{
    for cc in gcc clang; do
        machine "$cc -O3 -march=native" $cc "$cc -O3 -march=native -std=gnu17 -DNN_STATIC" \
            natively "" "$all"
        machine "$cc -O3 -march=x86-64-v2" "$cc on x86-64" \
            "$cc -O3 -march=x86-64-v2 -std=gnu17 -DNN_STATIC -DNN_NO_SIMD" natively scalar "$float"
        machine "$cc -O1 -fopenmp, 1, 2 and 7 threads" "$cc libomp-dev" \
            "$cc -O1 -fopenmp -DNN_STATIC" with_threads "" "$float"
        row "$cc -fopenmp, fork" forks "$cc"
        machine "$cc -O2 -march=native" $cc \
            "$cc -O2 -march=native -std=c99 -DNN_STATIC -DNN_NO_SIMD" natively scalar "$float"
        machine "$cc -O2 -std=gnu17" $cc "$cc -O2 -std=gnu17" natively "" "$all"
        machine "$cc -Os" $cc "$cc -Os -std=gnu17 -DNN_STATIC" natively "" "$float"
        machine "$cc -O0" $cc "$cc -O0 -std=c99" natively "" "$all"
        machine "$cc -O2 -DNN_NO_SIMD" $cc "$cc -O2 -std=c99 -DNN_NO_SIMD" natively scalar "$all"
    done
    machine "clang -march=native -ffp-contract=fast" clang \
        "clang -O2 -march=native -ffp-contract=fast -DNN_STATIC" natively "" "fma double_fma"
}

# Processors, C libraries and operating systems; with -O1 where another row has the code with -O2.
platforms()
{
    machine "Nehalem, Haswell, Haswell without fma" "gcc qemu-user" "gcc -O1 -static" under_qemu \
        "scalar avx2 scalar" "$float" "bits kernels"
    machine "aarch64 (NEON)" "gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user" \
        "aarch64-linux-gnu-gcc -O2 -static" qemu-aarch64 neon "$float double_fma"
    machine "aarch64 (NEON), clang" "clang gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user" \
        "clang --target=aarch64-linux-gnu -O2 -static" qemu-aarch64 neon "$float"
    machine "s390x (big-endian)" "gcc-s390x-linux-gnu libc6-dev-s390x-cross qemu-user" \
        "s390x-linux-gnu-gcc -O2 -static" qemu-s390x scalar "$all"
    machine "armhf" "gcc-arm-linux-gnueabihf libc6-dev-armhf-cross qemu-user" \
        "arm-linux-gnueabihf-gcc -O2 -static" qemu-arm scalar "$float"
    machine "Windows x64" "gcc-mingw-w64-x86-64 wine wine64" "x86_64-w64-mingw32-gcc -O2 -static" \
        under_wine "" "$float"
    machine "Windows x64, -O0" "gcc-mingw-w64-x86-64 wine wine64" \
        "x86_64-w64-mingw32-gcc -O0 -static" under_wine "" fma
    row "Windows x64, DLL" dll
    machine "musl" musl-tools "musl-gcc -O1 -static" natively "" "$float"
    machine "i386 with SSE" "gcc-i686-linux-gnu libc6-dev-i386-cross" \
        "i686-linux-gnu-gcc -O2 -static -msse2 -mfpmath=sse" natively scalar "$float"
    machine "WebAssembly with SIMD128" "$wasi_packages" "$wasi -msimd128" under_node wasm no_fma \
        "bits kernels"
    machine "WebAssembly" "$wasi_packages" "$wasi" under_node scalar "$float" "bits kernels"
    machine "tcc" tcc tcc natively scalar "$all"
    machine "files by C11's library alone" gcc "gcc -O1 -DNN_NO_SIMD -std=gnu17 $no_posix" natively \
        scalar fma "bits saving"
    machine "files by C99's library alone" gcc "gcc -O1 -DNN_NO_SIMD -std=c99 $no_posix" natively \
        scalar fma "bits saving"
}
no_posix="-U__unix__ -U__unix"
wasi="clang --target=wasm32-wasi -O2 -D_WASI_EMULATED_PROCESS_CLOCKS -lwasi-emulated-process-clocks"
wasi_packages="clang wasi-libc libclang-rt-14-dev-wasm32 lld nodejs"

# Every row runs with each back-end that the processor has; these tell a reader of which that is true.
processors()
{
    for name in avx2 avx512f; do
        row "a processor with $name" try "gcc, a processor with $name" "gcc -DNEEDS=\"$name\"" natively
    done
}

if first; then
    make_files >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
fi
platforms
compilers
processors
run_rows
! command -v wineserver >/dev/null || WINEPREFIX=$work/wine wineserver -k 2>/dev/null
finish
