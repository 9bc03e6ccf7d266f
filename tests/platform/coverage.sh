#!/bin/sh
# Which lines and branches of nn.h the tests reach, by room: sh tests/platform/coverage.sh [-v], from
# the repository root; -v lists the branches that were not reached, too. Needs gcc 9 or later with
# its gcov, and Python 3. Returns 1 when fewer are reached than coverage.py demands: every line and
# 98 % of the branches.
#
# The tests of make test are built without optimisation, so that gcov sees the branches of the
# source: each outcome of each condition, also of those that && and || combine. What is counted is
# the sum over all programs: nn_real as float and as double, with and without fma, with and without a
# heap. They run with the machine's best back-end; the test of the kernels compares all that the
# machine has. One that it lacks is left out, and named. Three programs are built for 32 bits, too,
# where there are only scalar kernels, and where sizes that ints make may not fit a size_t.
#
# gcov knows code that a macro holds only by the line where the macro is used. That line of a vector
# kernel is one for all kernels of an instruction set. Therefore a kernel is not counted by its lines:
# it counts as one line, which is reached when the kernel is called, in the room of its macro, and all
# its branches are counted.
#
# A comment in nn.h that begins with "unreached:" excuses the line on which it begins, and says why
# nothing can reach it. Beside a default it excuses one branch of the switch, too. The failing side
# of NN_ASSERT is never counted.
#
# These run long and reach nothing that the others do not:
skip="reference/accuracy unit/kernels.double unit/gradient.double unit/safetensors_open_damage.double
    unit/safetensors_open_damage.flash"

build=build/coverage
rm -rf $build
mkdir -p $build

# make_with CC BUILD TARGET...
make_with()
{
    compiler=$1
    folder=$2
    shift 2
    make -j"$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)" --no-print-directory \
        BUILD="$folder" BACKENDS=best CC="$compiler" CFLAGS="-O0 --coverage" SKIP="$skip" "$@"
}

good=1 # what a test reaches before it fails is printed all the same
make_with "${CC:-gcc}" $build test || good=0

small="i686-linux-gnu-gcc"
if command -v $small >/dev/null; then
    programs="$build/32/unit/overflow $build/32/unit/model $build/32/unit/fit"
    results=
    for program in $programs; do results="$results $program.result"; done
    make_with "$small -static -msse2 -mfpmath=sse" $build/32 OPENBLAS=0 $results || exit 1
    sh tests/run -sum $programs || good=0
elif [ "$CI" = true ]; then
    echo "coverage: $small is not here"
    exit 1
fi

# gcov names the programs that were built but not run.
find $build -name '*.gcno' -exec "${GCOV:-gcov}" -bjt {} + 2>$build/gcov.log |
    python3 tests/platform/coverage.py nn.h "$@" $($build/platform/backends) || good=0
[ $good -eq 1 ]
