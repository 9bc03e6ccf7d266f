#!/bin/sh
# The tests under AddressSanitizer and UndefinedBehaviorSanitizer, and the threads' test under
# ThreadSanitizer: sh tests/platform/sanitize.sh, from the repository root. CC names gcc or clang.
CC=${CC:-cc}
build=build/sanitize/$(basename "${CC%% *}")

# Without optimisation each access of the source is still there to be checked, and the vector kernels
# compile in seconds: gcc takes ten times as long with -O1. Only UBSan's object-size check needs
# optimised code; make fuzz has it, with -O1. gcc tests the vector kernels here and clang the scalar
# ones, since make fuzz tests the vector kernels of clang.
options="-g1 -O0 -fno-omit-frame-pointer"
case $($CC --version) in *clang*) options="$options -DNN_NO_SIMD" ;; esac

# These run long and reach nothing that the others do not: see coverage.sh.
skip="reference/accuracy unit/gradient.double"

# make_with SANITIZER OPTIONS TARGET [VARIABLE]...: in a folder of its own.
make_with()
{
    folder=$build.$1
    sanitizers=$2
    shift 2
    make -j"$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)" --no-print-directory \
        BUILD="$folder" BACKENDS=best CC="$CC" CFLAGS="$options $sanitizers" "$@"
}

# Returning NULL for too large a size is what the library expects of malloc.
ASAN_OPTIONS=allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 \
    make_with address "-fsanitize=address,undefined -fno-sanitize-recover=all" test SKIP="$skip" &&
    make_with thread -fsanitize=thread "$build.thread/platform/threads" &&
    sh tests/run "$build.thread/platform/threads"
