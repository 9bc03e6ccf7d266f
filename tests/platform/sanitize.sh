#!/bin/sh
# Every test under AddressSanitizer and UndefinedBehaviorSanitizer, and the threads' test under
# ThreadSanitizer: sh tests/platform/sanitize.sh, from the repository root. CC names gcc or clang.
#
# The compiler's part is the longest. Instrumented vector kernels take it four times as long, clang
# minutes where they are unrolled, so clang tests the scalar ones. With gcc the tests of the kernels,
# the hash of training runs and all that is linked with the library have the vector kernels; these
# programs, which have an implementation of their own for other reasons, do without:
scalar="unit/export unit/export.double unit/export.no_fma unit/export_models
    unit/export_models.double unit/faults unit/checkpoint_options unit/safetensors_limits
    unit/safetensors_time unit/saving unit/unchanged"

CC=${CC:-cc}
build=build/sanitize/$(basename "${CC%% *}")
case $($CC --version) in *clang*) CC="$CC -DNN_NO_SIMD" ;; esac

# make_with SANITIZER OPTIONS TARGET [VARIABLE]...: in a folder of its own.
make_with()
{
    folder=$build.$1
    options=$2
    shift 2
    make -j"$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)" --no-print-directory \
        BUILD="$folder" BACKENDS=best CC="$CC" CFLAGS="-g1 -O1 -fno-omit-frame-pointer $options" "$@"
}

set --
for program in $scalar; do
    set -- "$@" "FLAGS/$program=-DNN_NO_SIMD"
done
# What is left out is compiled in other programs, too: bits.bare and sizes.static are such builds.
# Returning NULL for too large a size is what the library expects of malloc.
ASAN_OPTIONS=allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 \
    make_with address "-fsanitize=address,undefined -fno-sanitize-recover=all" test \
    SKIP="platform/bits.dense platform/sizes.dense" "$@" &&
    make_with thread -fsanitize=thread "$build.thread/platform/threads" &&
    sh tests/run "$build.thread/platform/threads"
