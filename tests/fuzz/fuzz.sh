#!/bin/sh
# Fuzzes the library with libFuzzer under AddressSanitizer and UndefinedBehaviorSanitizer:
# sh tests/fuzz/fuzz.sh, from the repository root, or make fuzz.
#
# FUZZ names the targets, all of them if it is empty. Each runs for FUZZ_SECONDS (60; 0 runs the
# corpus alone), FUZZ_JOBS (2) at a time; for the last quarter with inputs of up to 2 MB, which are
# made of the corpus. What is found is kept in build/fuzz/found/TARGET, for the next time; an input
# for which a target fails is in build/fuzz/failed. Needs clang with libFuzzer (Debian: clang
# libclang-rt-14-dev).

cd "$(dirname "$0")/../.." || exit 1
CC=${CLANG:-clang}
build=build/fuzz
seconds=${FUZZ_SECONDS:-60}
jobs=${FUZZ_JOBS:-2}
targets=${FUZZ:-api csv safetensors checkpoint header metadata export idx}
mkdir -p $build/failed $build/log

# The vector kernels take a minute to compile, and only one target needs them.
options="-g1 -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
    -fsanitize-coverage=inline-8bit-counters,pc-table $FUZZ_FLAGS"
switches_of()
{
    [ "$1" = api ] || echo -DNN_NO_SIMD
}
library_of()
{
    [ "$1" = api ] && echo $build/library_simd.o || echo $build/library.o
}
dictionary_of()
{
    case $1 in
    csv) echo -dict=tests/fuzz/csv.dict ;;
    safetensors | checkpoint | header) echo -dict=tests/fuzz/json.dict ;;
    esac
}

# compile OBJECT SOURCE OPTIONS...: where the object is older than what it is made of.
compile()
{
    object=$1
    shift
    [ -n "$(find nn.h tests/fuzz -maxdepth 1 -newer "$object" 2>/dev/null)" ] ||
        [ ! -f "$object" ] || return 0
    # shellcheck disable=SC2086
    $CC $options -c -o "$object" "$@"
}

case " $targets " in *" api "*) compile $build/library_simd.o tests/fuzz/library.c & simd=$! ;; esac
compile $build/library.o -DNN_NO_SIMD tests/fuzz/library.c || exit 1
[ -z "$simd" ] || wait $simd || exit 1
for target in $targets; do
    # shellcheck disable=SC2046,SC2086
    compile $build/$target.o $(switches_of $target) -DFUZZ_LINKED tests/fuzz/$target.c &&
        $CC $options -fsanitize=fuzzer -o $build/$target $build/$target.o $(library_of $target) -lm ||
        exit 1
done

# Leaks are found by the count of blocks, without the leak sanitizer, which takes time.
export ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=0:malloc_context_size=0:quarantine_size_mb=16
export UBSAN_OPTIONS=print_stacktrace=1

# fuzz TARGET SECONDS CORPUS...: one program; its last lines of statistics go to a file.
fuzz()
{
    target=$1
    time=$2
    shift 2
    log=$build/log/$target${FUZZ_LARGE:+.large}
    if [ "$time" = 0 ]; then set -- -runs=0 "$@"; else set -- -max_total_time="$time" "$@"; fi
    # shellcheck disable=SC2046
    if ! $build/$target -artifact_prefix=$build/failed/$target- -timeout=60 -rss_limit_mb=3000 \
        -print_final_stats=1 $(dictionary_of $target) "$@" >"$log" 2>&1; then
        grep -aE 'REQUIRE|ERROR|runtime error|^ +#[0-9]+ .*(nn\.h|tests/)' "$log" | head -n 20
        failed=$(grep -ao "$build/failed/.*" "$log" | tail -n 1)
        echo "fuzz: $target fails: ${FUZZ_LARGE:+FUZZ_LARGE=1 }$build/$target $failed"
        return 1
    fi
    awk -v name="$target${FUZZ_LARGE:+, large}" '
        /number_of_executed_units/ { executed = $2 }
        /average_exec_per_sec/ { rate = $2 }
        / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") covered = $(i + 1) }
        END { printf "%-20s %9d executions, %6d a second, %5d places covered\n", name, executed,
              rate, covered }' "$log"
}

one_target()
{
    small=$((seconds - seconds / 4))
    mkdir -p $build/found/$1
    fuzz "$1" $small -max_len=1024 $build/found/"$1" tests/fuzz/corpus/"$1" || return 1
    case $1 in csv | safetensors | checkpoint | header) ;; *) return 0 ;; esac
    [ "$seconds" -gt 3 ] || return 0
    mkdir -p $build/large/"$1"
    FUZZ_LARGE=1
    export FUZZ_LARGE
    fuzz "$1" $((seconds / 4)) -max_len=1024 $build/large/"$1" tests/fuzz/corpus/"$1"
}

status=0
running=
for target in $targets; do
    one_target "$target" &
    running="$running $!"
    # shellcheck disable=SC2086
    set -- $running
    if [ $# -ge "$jobs" ]; then
        wait "$1" || status=1
        shift
        running=$*
    fi
done
for job in $running; do wait "$job" || status=1; done
exit $status
