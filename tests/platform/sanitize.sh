#!/bin/sh
# Every test under AddressSanitizer and UndefinedBehaviorSanitizer, and the threads' test under
# ThreadSanitizer: sh tests/platform/sanitize.sh, from the repository root. CC names gcc or clang.
CC=${CC:-cc}
mkdir -p build/sanitize
# clang takes minutes to instrument the unrolled vector kernels: with it the scalar ones are tested.
case $($CC --version) in *clang*) CC="$CC -DNN_NO_SIMD" ;; esac
programs=
list=
for source in tests/test_*.c; do
    name=$(basename "$source" .c)
    programs="$programs build/sanitize/$name"
    list="$list $name"
done
# Two at a time: most of the time is the compiler's.
# shellcheck disable=SC2086
printf '%s\n' $list | xargs -P 2 -I NAME $CC -g -O1 -fno-omit-frame-pointer \
    -fsanitize=address,undefined -fno-sanitize-recover=all -pthread -I. \
    -o build/sanitize/NAME tests/NAME.c -lm || exit 1
$CC -g -O1 -fsanitize=thread -pthread -I. -o build/sanitize/threads_tsan tests/test_threads.c -lm ||
    exit 1
# returning NULL for too large a size is what the library expects of malloc
ASAN_OPTIONS=allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 \
    sh tests/run $programs build/sanitize/threads_tsan
