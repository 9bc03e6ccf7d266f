#!/bin/sh
# The header behind the macros of other headers: sh tests/platform/macros.sh, from the repository
# root. hostile_macros.txt lists names that curses.h, windows.h, Arduino.h and others define. There
# are two checks, since each sees what the other cannot: no identifier of nn.h is in the list, also
# where none of these compilers reads the code; and nn.h compiles where each name is a macro that
# expands to a syntax error. A compiler that is not there is left out, but is a failure when
# CI=true.
list=tests/platform/hostile_macros.txt
work=build/macros.$$ # NNN.sh a job, NNN.sh.out its output
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$work" || exit 1
unset CFLAGS CXXFLAGS CPPFLAGS LDFLAGS
LC_ALL=C # the compilers' messages are searched
export LC_ALL
passed=0
failed=0
count=0

# passes NAME COMMAND...: a check that is made at once.
passes()
{
    name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        echo "FAILED $name"
        failed=$((failed + 1))
    fi
}

# ---- Identifiers --------------------------------------------------------------------------------

# Reads the list and a C file, and prints each identifier of the file that is in the list, with its
# lines. A function-like macro takes part only where an opening parenthesis follows. Comments,
# literals and the names of directives are skipped, and the directives that expand no macros.
cat >"$work/identifiers.awk" <<'END'
function found(name, line)
{
    if (!(name in lines)) order[++n] = name
    else if (last[name] == line) return
    lines[name] = lines[name] " " line
    last[name] = line
}
NR == FNR {
    if (/^[#[]/) next
    for (i = 1; i <= NF; i++) {
        name = $i
        function_like = sub(/\(\)$/, "", name)
        macro[name] = function_like
    }
    next
}
{
    rest = $0
    if (!comment && rest ~ /^[ \t]*#[ \t]*(include|error|pragma[ \t]+(STDC|GCC))/) next
    if (!comment) sub(/^[ \t]*#[ \t]*[a-z]+/, "", rest)
    while (rest != "") {
        size = 1
        if (comment) {
            if (!match(rest, /\*\//)) break
            comment = 0
            size = RSTART + 1
        } else if (match(rest, /^[ \t\\]+/)) {
            size = RLENGTH
        } else if (rest ~ /^\/\*/) {
            comment = 1
            size = 2
        } else if (rest ~ /^\/\//) {
            break
        } else {
            if (waiting != "" && rest ~ /^\(/) found(waiting, line)
            waiting = ""
            if (match(rest, /^("([^"\\]|\\.)*"|'([^'\\]|\\.)*'|[0-9][0-9A-Za-z_.]*)/)) {
                size = RLENGTH
            } else if (match(rest, /^[A-Za-z_][A-Za-z0-9_]*/)) {
                size = RLENGTH
                name = substr(rest, 1, size)
                seen++
                if (name in macro && macro[name]) {
                    waiting = name
                    line = FNR
                } else if (name in macro) {
                    found(name, FNR)
                }
            }
        }
        rest = substr(rest, size + 1)
    }
}
END {
    for (i = 1; i <= n; i++) print order[i] ": line" lines[order[i]]
    if (seen < least) print "only " seen + 0 " identifiers seen"
}
END

# A file with every case, and what is to be found in it.
cat >"$work/sample.c" <<'END'
#define twice(small) (2 * (small)) /* small,
   columns */ // columns
#include <columns.h>
static int columns = 1, min, max; /* a call in two lines: */
const char *s = "\" columns", c = '"'; int columns2 = 1e5f + min
    /* . */ (s, max) + columns + columns; // min(
END
printf '# min\nsmall columns\nmin() max()\n[C]\n# s\ntwice\n' >"$work/sample.txt"
printf '%s\n' "twice: line 1" "small: line 1" "columns: line 4 6" "min: line 5" \
    >"$work/sample.expected"
awk -f "$work/identifiers.awk" "$work/sample.txt" "$work/sample.c" >"$work/sample.found"
passes "identifiers of a sample" cmp "$work/sample.expected" "$work/sample.found"

# Each identifier in the list is a failure of its own.
awk -v least=10000 -f "$work/identifiers.awk" "$list" nn.h >"$work/found" || exit 1
if [ -s "$work/found" ]; then
    echo "FAILED nn.h has identifiers that other headers define as macros:"
    cut -c 1-100 "$work/found"
    failed=$((failed + $(wc -l <"$work/found")))
else
    passed=$((passed + 1))
fi

# ---- Compilers ----------------------------------------------------------------------------------

# Makes a header of a list. ?macro? is a syntax error wherever a name or an expression may stand.
cat >"$work/hostile.awk" <<'END'
/^#/ || !NF { next }
/^\[C\]/ { print "#ifndef __cplusplus"; only_c = 1; next }
{
    for (i = 1; i <= NF; i++) {
        name = $i
        parameters = sub(/\(\)$/, "", name) ? "(...)" : ""
        print "#undef " name "\n#define " name parameters " ?macro?"
    }
}
END { if (only_c) print "#endif" }
END
awk -f "$work/hostile.awk" "$list" >"$work/hostile.h"

# The headers that nn.h includes stand before the macros; their guards keep them out behind them.
cat >"$work/standard.h" <<'END'
#include <assert.h>
#include <errno.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(_WIN32)
#include <fcntl.h>
#include <io.h>
#include <sys/stat.h>
#elif defined(__unix__)
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>
#endif
END
printf '#include "standard.h"\n#include "hostile.h"\n#define NN_IMPLEMENTATION\n#include "nn.h"\n' \
    >"$work/behind.c"

echo '#include <stdlib.h>' >"$work/trial.c"

# compiles COMPILE SWITCHES...: a job for each set of switches, where the compiler and its C library
# are there.
compiles()
{
    compile=$1
    shift
    if ! $compile -fsyntax-only "$work/trial.c" >"$work/trial" 2>&1; then
        echo "macros: $compile is not there"
        [ "$CI" = true ] && failed=$((failed + 1))
        return
    fi
    for switches in "$@"; do
        count=$((count + 1))
        echo "$compile $switches -fsyntax-only -I. $work/behind.c" \
            >"$work/$(printf '%03d' "$count").sh"
    done
}

bare="-DNN_NO_SIMD -DNN_NO_STDIO -DNN_NO_MALLOC"
for compile in "gcc -std=c99" "clang -std=c99" \
    "g++ -x c++ -std=c++11" "clang++ -x c++ -std=c++11"; do
    compiles "$compile" "" -DNN_DOUBLE "$bare" -DNN_NO_TRAIN
done
compiles "gcc -std=gnu17" "-fopenmp -DNN_STATIC -DNN_NO_FMA"
compiles "aarch64-linux-gnu-gcc -std=c99" "" -DNN_DOUBLE
compiles "x86_64-w64-mingw32-gcc -std=c99" ""
compiles "clang --target=wasm32-wasi -std=c99 -D_WASI_EMULATED_PROCESS_CLOCKS" -msimd128
compiles "avr-gcc -std=gnu99 -mmcu=atmega2560" "$bare -DNN_NO_FMA"

find "$work" -name '[0-9]*.sh' | sort |
    xargs -P "$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)" -n 1 sh -c \
        'if sh "$0" >"$0.out" 2>&1; then mv "$0" "$0.passed"; fi'
passed=$((passed + $(find "$work" -name '[0-9]*.passed' | wc -l)))
for file in "$work"/[0-9]*.sh; do
    [ -f "$file" ] || continue
    failed=$((failed + 1))
    echo "FAILED $(cat "$file")"
    grep -E 'error:|expansion of macro|expanded from macro' "$file.out" | head -n 2 | cut -c 1-100
done

# That the compilers do stand behind the macros: with a name that nn.h has, it does not compile.
for name in learning_rate "nn_fit()"; do
    echo "$name" | awk -f "$work/hostile.awk" >"$work/hostile.h"
    gcc -std=c99 -fsyntax-only -I. "$work/behind.c" >"$work/planted" 2>&1
    passes "$name is an error as a macro" \
        grep -q "in expansion of macro .${name%()}" "$work/planted"
done

echo "macros: $((passed)) passed, $failed failed"
[ $failed -eq 0 ] && [ "$passed" -gt 0 ]
