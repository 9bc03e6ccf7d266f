#!/bin/sh
# Fuzzes the library with libFuzzer under AddressSanitizer and UndefinedBehaviorSanitizer:
# sh tests/fuzz/fuzz.sh, from the repository root, or make fuzz.
#
# FUZZ names the targets, all of them if it is empty. Each runs for FUZZ_SECONDS (60; 0 runs the
# corpus alone), FUZZ_JOBS (2) at a time; those that read texts run the last quarter of it with
# inputs of up to 2 MB, which are made of small ones. What is found is kept in build/fuzz/found, for
# the next time; an input for which a target fails is in build/fuzz/failed. With FUZZ_SEED, a
# number, the same inputs are drawn each time, as far as the time allows. FUZZ_FLAGS, such as
# -DNN_DOUBLE, are for the compiler. Needs clang with libFuzzer (Debian: clang libclang-rt-14-dev).

cd "$(dirname "$0")/../.." || exit 1
CC=${CLANG:-clang}
build=build/fuzz
seconds=${FUZZ_SECONDS:-60}
targets=${FUZZ:-api csv safetensors checkpoint header metadata export idx}
rm -rf $build/taken
mkdir -p $build/failed $build/log $build/taken

options="-g1 -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
    -fsanitize-coverage=inline-8bit-counters,pc-table $FUZZ_FLAGS"

# compile OBJECT SOURCE OPTIONS...: where what the object is made of has changed.
compile()
{
    object=$1
    shift
    [ ! -f "$object" ] || [ -n "$(find nn.h tests/fuzz -maxdepth 1 -newer "$object")" ] || return 0
    # shellcheck disable=SC2086
    $CC $options -c -o "$object" "$@"
}

# The vector kernels take half a minute to compile, and only one target needs them. Without these
# options, which leave every check in place, they would take more than twice as long.
simd="-fno-unroll-loops -mllvm -asan-instrumentation-with-call-threshold=0"

build_target()
{
    library=$build/library.o
    switch=-DNN_NO_SIMD
    if [ "$1" = api ]; then
        library=$build/library_simd.o
        switch=
        # shellcheck disable=SC2086
        compile $library $simd tests/fuzz/library.c || return 1
    fi
    # shellcheck disable=SC2086
    compile "$build/$1.o" -DFUZZ_LINKED $switch "tests/fuzz/$1.c" &&
        $CC $options -fsanitize=fuzzer -o "$build/$1" "$build/$1.o" $library -lm
}

# Leaks are found by the count of blocks, without the leak sanitizer, which takes time.
ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=0:malloc_context_size=0:quarantine_size_mb=16
UBSAN_OPTIONS=print_stacktrace=1
export ASAN_OPTIONS UBSAN_OPTIONS

# run NAME TARGET OPTIONS AND CORPUS...: one program, and what its last statistics say.
run()
{
    name=$1
    target=$2
    shift 2
    case $target in
    csv) set -- -dict=tests/fuzz/csv.dict "$@" ;;
    safetensors | checkpoint | header) set -- -dict=tests/fuzz/json.dict "$@" ;;
    esac
    if ! "$build/$target" -artifact_prefix="$build/failed/$target-" -timeout=60 \
        -rss_limit_mb=3000 -print_final_stats=1 -max_len=1024 -seed="${FUZZ_SEED:-0}" "$@" \
        >"$build/log/$name" 2>&1; then
        grep -aE 'REQUIRE|ERROR|runtime error|^ +#[0-9]+ .*(nn\.h|tests/)' "$build/log/$name" |
            head -n 20
        failed=$(grep -ao "$build/failed/$target-[a-z]*-[0-9a-f]*" "$build/log/$name" | tail -n 1)
        echo "fuzz: $target fails: ${FUZZ_LARGE:+FUZZ_LARGE=1 }$build/$target $failed"
        return 1
    fi
    awk -v name="$name" '
        /number_of_executed_units/ { executed = $2 }
        /average_exec_per_sec/ { rate = $2 }
        / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") covered = $(i + 1) }
        END { printf "%-18s %10d executions, %6d a second, %5d places covered\n", name, executed,
              rate, covered }' "$build/log/$name"
}

fuzz_target()
{
    build_target "$1" || return 1
    mkdir -p "$build/found/$1"
    if [ "$seconds" = 0 ]; then
        run "$1" "$1" -runs=0 "tests/fuzz/corpus/$1"
        return
    fi
    large=0
    case $1 in csv | safetensors | checkpoint | header) large=$((seconds / 4)) ;; esac
    run "$1" "$1" -max_total_time=$((seconds - large)) "$build/found/$1" "tests/fuzz/corpus/$1" ||
        return 1
    [ $large != 0 ] || return 0
    mkdir -p "$build/found/$1.large"
    (
        FUZZ_LARGE=1
        export FUZZ_LARGE
        run "$1.large" "$1" -max_total_time=$large "$build/found/$1.large" "tests/fuzz/corpus/$1"
    )
}

# Fuzzes one target after the other that no other job has taken.
fuzz_targets()
{
    for target in $targets; do
        mkdir "$build/taken/$target" 2>/dev/null || continue
        fuzz_target "$target" || touch $build/taken/failed
    done
}

compile $build/library.o -DNN_NO_SIMD tests/fuzz/library.c || exit 1
job=0
while [ $job -lt "${FUZZ_JOBS:-2}" ]; do
    fuzz_targets &
    job=$((job + 1))
done
wait
[ ! -f $build/taken/failed ]
