#!/bin/sh
# The hash of tests/test_bits.c under every compiler, optimisation level and standard that is here:
# sh tests/bits.sh, from the repository root. With CI=true a missing compiler is a failure.
mkdir -p build/bits
passed=0
failed=0
for arithmetic in "" -DNN_NO_FMA -DNN_DOUBLE "-DNN_DOUBLE -DNN_NO_FMA"; do
    for compiler in gcc clang; do
        if ! command -v $compiler >/dev/null 2>&1; then
            echo "$compiler is not here: skipped"
            [ -z "$CI" ] || failed=$((failed + 1))
            continue
        fi
        for flags in "-O0 -std=c99" "-O0 -std=gnu17" "-O2 -std=c99" "-O2 -std=gnu17" \
            "-O3 -std=c99" "-O3 -std=gnu17" "-O2 -march=native -std=c99" \
            "-O3 -march=native -std=gnu17" "-O3 -march=native -ffp-contract=fast -std=gnu17" \
            "-O3 -march=x86-64-v2 -std=gnu17" "-Os -std=gnu17"; do
            case "$flags" in *x86-64*) [ "$(uname -m)" = x86_64 ] || continue ;; esac
            case "$compiler $flags $arithmetic" in # clang drops its pragma then
            clang*contract=fast*NO_FMA) continue ;;
            esac
            if $compiler $flags $arithmetic -I. -o build/bits/a tests/test_bits.c -lm &&
                build/bits/a >build/bits/out 2>&1; then
                passed=$((passed + 1))
            else
                failed=$((failed + 1))
                echo "$compiler $flags $arithmetic: $(grep hash build/bits/out)"
            fi
        done
    done
done
echo "bits: $passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
