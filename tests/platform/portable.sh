#!/bin/sh
# The same bits on every machine: sh tests/platform/portable.sh, from the repository root.
# Builds tests/test_bits.c, which knows the hash that its training runs must have, and where there
# is more to differ tests/test_kernels.c and, with what nn_export_c wrote here, tests/test_export.c,
# and runs them: natively from many compilers and flags, with each back-end, under emulators, under
# wine. One line for each machine. Installs nothing: a machine whose tools are not here is skipped,
# which with CI=true is a failure.
work=$PWD/build/portable

# ---- How a program is run: functions that take it and its arguments -----------------------------

natively() { "$@"; }
forced() { for name in scalar avx2; do NN_BACKEND=$name "$@" || return 1; done; }
forced_avx512() { NN_BACKEND=avx512 "$@"; }
with_threads() { for n in 1 2 7; do OMP_NUM_THREADS=$n "$@" || return 1; done; }
# This emulator's masked loads touch what is masked out, too.
under_qemu()
{
    for cpu in Nehalem Haswell Haswell,-fma; do
        qemu-x86_64 -cpu $cpu "$@" no-page || return 1
    done
}
under_wine() { WINEPREFIX=$work/wine WINEDEBUG=-all wine "$@"; }
# With threads of its own, node 20 may die on its way out, when the program has ended well.
under_node() { node --no-warnings --single-threaded "$work/wasi.mjs" "$@"; }

# What the tools of a machine must build and run to count as here.
make_files()
{
    cat >"$work/trial.c" <<'END'
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
END
    cat >"$work/wasi.mjs" <<'END'
import { readFileSync } from 'node:fs';
import { WASI } from 'node:wasi';
const wasi = new WASI({ version: 'preview1', args: process.argv.slice(2), returnOnExit: true });
const module = await WebAssembly.compile(readFileSync(process.argv[2]));
const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
process.exit(wasi.start(instance));
END
    for real in "" _double; do
        ${CC:-cc} -I. -o "$work/export_models" "tests/export_models$real.c" -lm &&
            "$work/export_models" "build/exported$real.c" || exit 1
    done
}

# ---- One machine --------------------------------------------------------------------------------

tell()
{
    echo "$*"
    echo "$*" >>"$work/results"
}

# build_and_run PROGRAM ARITHMETIC COMPILE RUN BACK-ENDS: 0 when all went well and test_bits named
# these back-ends.
build_and_run()
{
    arguments=
    [ "$1" = bits ] || arguments="1 quick"
    define=$(echo "$2" | sed 's/plain//; s/,/ /')
    # shellcheck disable=SC2086
    $3 $define -I. -o "$folder/a.exe" "tests/test_$1.c" -lm >"$folder/log" 2>&1 &&
        $4 "$folder/a.exe" $arguments </dev/null >"$folder/log" 2>&1 || return 1
    [ "$1" != bits ] || [ -z "$5" ] ||
        [ "$(tr -d '\r' <"$folder/log" | sed -n 's/^back-end //p' | xargs)" = "$5" ]
}

# machine NAME NEEDS COMPILE RUN BACK-ENDS ARITHMETICS PROGRAMS: a line of the table, which is run
# when its number is $wanted. NEEDS: what to install (Debian's packages); BACK-ENDS: those that must
# be used, run by run; "" for any.
machine()
{
    line=$((line + 1))
    [ "$line" = "$wanted" ] || return 0
    folder=$work/$line
    mkdir "$folder"
    # shellcheck disable=SC2086
    if ! $3 -o "$folder/trial.exe" "$work/trial.c" -lm >"$folder/log" 2>&1 ||
        ! $4 "$folder/trial.exe" </dev/null >"$folder/log" 2>&1; then
        tell "skipped: $1 (needs $2)"
        return 0
    fi
    for arithmetic in $6; do
        for program in $7; do
            build_and_run "$program" "$arithmetic" "$3" "$4" "$5" && continue
            tell "FAILED $1: test_$program, $arithmetic"
            tail -n 5 "$folder/log" | sed 's/^/    /'
            return 0
        done
    done
    tell "ok $1"
}

# ---- The machines -------------------------------------------------------------------------------

float="plain -DNN_NO_FMA"
all="$float -DNN_DOUBLE -DNN_DOUBLE,-DNN_NO_FMA"

# Compilers and flags. The standard decides what a compiler may fuse into fma (gcc: gnu17 is
# -ffp-contract=fast), the target whether it can. Told -ffp-contract=fast, clang drops the
# pragma that NN_NO_FMA needs.
compilers()
{
    machine "gcc -O0" gcc "gcc -O0 -std=c99" natively "" "$all" bits
    machine "clang -O0" clang "clang -O0 -std=c99" natively "" "$all" bits
    for cc in gcc clang; do
        machine "$cc -O1" $cc "$cc -O1 -std=c99" natively "" "$float" bits
        machine "$cc -O2 -std=c99" $cc "$cc -O2 -std=c99" natively "" "$float" bits
        machine "$cc -O2 -std=gnu17" $cc "$cc -O2 -std=gnu17" natively "" \
            "$all" "bits export"
        machine "$cc -Os" $cc "$cc -Os -std=gnu17" natively "" "$float" bits
        machine "$cc -O2 -march=native" $cc "$cc -O2 -march=native -std=c99" natively "" \
            "$float" bits
        machine "$cc -O2 -march=x86-64-v2" "$cc on x86-64" "$cc -O2 -march=x86-64-v2 -std=gnu17" \
            natively "" "$float" bits
        machine "$cc -O3" $cc "$cc -O3 -std=gnu17" natively "" "$float" bits
        machine "$cc -O3 -march=native" $cc "$cc -O3 -march=native -std=gnu17" natively "" \
            "$all" "bits export"
        machine "$cc -O2 -DNN_NO_SIMD" $cc "$cc -O2 -DNN_NO_SIMD" natively scalar "$all" bits
        machine "$cc -O0, each kernel" $cc "$cc -O0" natively "" "$float" kernels
        machine "$cc -O3, each kernel" $cc "$cc -O3" natively "" plain kernels
        machine "$cc -fopenmp, 1, 2 and 7 threads" "$cc libomp-dev" "$cc -O2 -fopenmp" \
            with_threads "" "$float" "bits kernels"
    done
    machine "gcc -march=native -ffp-contract=fast" gcc "gcc -O2 -march=native -ffp-contract=fast" \
        natively "" "$float" "bits export"
    machine "clang -march=native -ffp-contract=fast" clang \
        "clang -O2 -march=native -ffp-contract=fast" natively "" "plain -DNN_DOUBLE" bits
}

# Processors, C libraries and operating systems.
platforms()
{
    machine "Windows x64" "gcc-mingw-w64-x86-64 wine wine64" "x86_64-w64-mingw32-gcc -O2 -static" \
        under_wine "" "$float" "bits kernels export"
    machine "Windows x64, -O0" "gcc-mingw-w64-x86-64 wine wine64" \
        "x86_64-w64-mingw32-gcc -O0 -static" under_wine "" plain "bits kernels"
    machine "scalar, then AVX2, forced" "gcc, a processor with AVX2" 'gcc -O2 -DNEEDS="avx2"' \
        forced "scalar avx2" "$all" bits
    machine "AVX-512, forced" "gcc, a processor with AVX-512" 'gcc -O2 -DNEEDS="avx512f"' \
        forced_avx512 avx512 "$float" bits
    machine "Nehalem, Haswell, Haswell without fma" "gcc qemu-user" "gcc -O2 -static" under_qemu \
        "scalar avx2 scalar" "$float" "bits kernels"
    machine "aarch64 (NEON)" "gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user" \
        "aarch64-linux-gnu-gcc -O2 -static" qemu-aarch64 neon "$float -DNN_DOUBLE" \
        "bits kernels export"
    machine "aarch64 (NEON), clang" "clang gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user" \
        "clang --target=aarch64-linux-gnu -O2 -static" qemu-aarch64 neon "$float" "bits kernels"
    machine "s390x (big-endian)" "gcc-s390x-linux-gnu libc6-dev-s390x-cross qemu-user" \
        "s390x-linux-gnu-gcc -O2 -static" qemu-s390x scalar "$all" "bits export"
    machine "armhf" "gcc-arm-linux-gnueabihf libc6-dev-armhf-cross qemu-user" \
        "arm-linux-gnueabihf-gcc -O2 -static" qemu-arm scalar "$float" "bits export"
    machine "i386 with SSE" "gcc-i686-linux-gnu libc6-dev-i386-cross" \
        "i686-linux-gnu-gcc -O2 -static -msse2 -mfpmath=sse" natively scalar "$float" "bits export"
    machine "WebAssembly with SIMD128" "$wasi_packages" "$wasi -msimd128" under_node wasm \
        -DNN_NO_FMA "bits kernels"
    machine "WebAssembly" "$wasi_packages" "$wasi" under_node scalar "$float" bits
    machine "musl" musl-tools "musl-gcc -O2 -static" natively "" "$float" \
        "bits kernels export"
    machine "tcc" tcc tcc natively scalar "$all" "bits export"
}
wasi="clang --target=wasm32-wasi -O2 -D_WASI_EMULATED_PROCESS_CLOCKS -lwasi-emulated-process-clocks"
wasi_packages="clang wasi-libc libclang-rt-14-dev-wasm32 lld nodejs"

# ---- Run: this script again for each line of the table, as many at a time as there are cores ----

wanted=$1
line=0
compilers
platforms
[ -z "$wanted" ] || exit 0

unset CFLAGS CPPFLAGS LDFLAGS NN_BACKEND OMP_NUM_THREADS
rm -rf "$work"
mkdir -p "$work" || exit 1
make_files
seq "$line" | xargs -n 1 -P "$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)" sh "$0"
! command -v wineserver >/dev/null || WINEPREFIX=$work/wine wineserver -k 2>/dev/null

count() { grep -c "^$1" "$work/results"; }
failed=$(count FAILED)
skipped=$(count skipped)
passed=$(count ok)
echo "portable: $passed passed, $failed failed, $skipped skipped"
[ "$((passed + failed + skipped))" -eq "$line" ] || exit 1
# A processor cannot be installed; tools can.
[ "$CI" != true ] || ! grep '^skipped' "$work/results" | grep -qv 'a processor' || exit 1
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
