#!/bin/sh
# Static analysis: sh tests/platform/analyse.sh, from the repository root. No finding of clang-tidy
# (which checks, and why not the others: .clang-tidy), of gcc -fanalyzer or of cppcheck. A finding that
# is wrong is suppressed where it is, by a comment that says why. Needs Debian's clang-tidy, cppcheck
# and gcc; installs nothing.
#
# What each of them sees: clang-tidy follows all paths through nn.h with the scalar kernels, and
# without following paths checks the vector kernels, the switches and the examples. (It takes their
# loops for paths, of which there are too many; and what it says of the examples is about checks that
# it does not see, in nn.h.) gcc follows the calls of nn.h and of the examples, with the scalar
# kernels. cppcheck sees the scalar kernels under each switch, and the examples.
work=build/analyse
rm -rf $work
mkdir -p $work || exit 1

# run NAME COMMAND...: a job; what it prints is a finding, or that it could not run.
jobs=0
run()
{
    jobs=$((jobs + 1))
    name=$work/$(printf '%02d' $jobs)
    echo "$1" >"$name.name"
    shift
    for argument in "$@"; do printf "'%s' " "$argument"; done >"$name.sh"
}

tidy="clang-tidy --quiet"
ast="$tidy --checks=-clang-analyzer-*"
header="-x c -std=c99 -DNN_IMPLEMENTATION"

# Each must find what is planted.
cat >$work/planted.c <<'END'
#include <stdlib.h>
int planted(int n);
int planted(int n)
{
    int *p = (int *)malloc(sizeof *p);
    if (!p) return 0;
    *p = n;
    free(p);
    return *p;
}
int outside(int n);
int outside(int n)
{
    int a[2] = {1, 2};
    return n ? a[2] : a[0];
}
END
run "planted, clang-tidy" $tidy $work/planted.c -- -std=c99
run "planted, gcc" gcc -std=c99 -fanalyzer -c $work/planted.c -o $work/planted.o
run "planted, cppcheck" cppcheck --quiet --error-exitcode=1 $work/planted.c

# The longest first.
run "clang-tidy nn.h" $tidy nn.h -- $header -DNN_NO_SIMD
# gcc takes what nn__fmaf writes with memcpy for uninitialised: a machine with fma does without.
for switches in "" "-DNN_NO_MALLOC -DNN_NO_STDIO -D__FMA__"; do
    run "gcc nn.h $switches" gcc -O0 -fanalyzer $header -DNN_NO_SIMD $switches -c nn.h -o $work/nn.o
done
run "clang-tidy nn.h, vectors" $ast nn.h -- $header
run "clang-tidy nn.h, double" $ast nn.h -- $header -DNN_DOUBLE -DNN_NO_FMA
run "clang-tidy nn.h, bare" $ast nn.h -- $header -DNN_NO_MALLOC -DNN_NO_STDIO -DNN_NO_SIMD
run "clang-tidy nn.h, no training" $ast nn.h -- $header -DNN_NO_TRAIN
for file in examples/*.c examples/playground/*.c; do
    run "clang-tidy $file" $ast "$file" -- -std=c99 -DNO_MPI # for examples/mpi.c
done
run "clang-tidy playground.c, page" $ast examples/playground/playground.c -- --target=wasm32-wasi

# cppcheck does not read the system's headers, so that it is told what #if asks of them. Its styles:
# variables are declared where a function begins; a table of texts has lines that are alike; offsetof
# uses members that no code names; a size that this nn_real does not have is of the other one;
# continue is the body of an empty loop. It does not see that say() and fail() end a program.
known="-D__FMA__ -DDBL_MANT_DIG=53 -DINT_MAX=2147483647 -DSIZE_MAX=0xffffffffffffffff"
check="cppcheck --quiet --std=c99 --language=c --platform=unix64 --error-exitcode=1
    --enable=warning,style,performance,portability $known -DNN_NO_SIMD
    --suppress=variableScope --suppress=duplicateCondition --suppress=unusedStructMember
    --suppress=knownConditionTrueFalse --suppress=clarifyCalculation --suppress=redundantContinue
    --suppress=nullPointerRedundantCheck:examples/* --suppress=ctunullpointer:examples/nn.c
    --suppress=arrayIndexOutOfBounds:examples/nn.c
    --suppress=duplicateExpression:nn.h" # (u - u) / (u - u) is NaN on purpose
for switches in "" -DNN_DOUBLE "-DNN_NO_MALLOC -DNN_NO_STDIO" -DNN_NO_TRAIN; do
    run "cppcheck nn.h $switches" $check -DNN_IMPLEMENTATION $switches nn.h
done
for file in examples/*.c examples/playground/*.c; do
    run "cppcheck $file" $check -DNN_IMPLEMENTED "$file"
done

for tool in clang-tidy gcc cppcheck; do
    command -v $tool >/dev/null || {
        echo "analyse: $tool is not here"
        exit 1
    }
done
find $work -name '*.sh' | sort | xargs -P "$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)" -n 1 \
    sh -c 'sh "$0" >"$0.out" 2>&1; echo $? >"$0.status"'

# A job is good when it returned 0 and no line is a finding; a planted one when there is one.
failed=0
for name in $work/*.name; do
    job=${name%.name}
    title=$(cat "$name")
    found=$(grep -c -E '(warning|error|style|performance|portability): ' "$job.sh.out")
    good=0
    [ "$found" -eq 0 ] && [ "$(cat "$job.sh.status")" -eq 0 ] && good=1
    case $title in planted*) good=$((found > 0)) ;; esac
    [ $good -eq 1 ] && continue
    failed=$((failed + 1))
    echo "FAILED $title"
    grep -E '(warning|error|style|performance|portability): ' "$job.sh.out" | head -n 20
    [ "$found" -gt 0 ] || tail -n 5 "$job.sh.out"
done
echo "analyse: $jobs analyses, $failed failed"
[ $failed -eq 0 ]
