#!/bin/sh
# The header under every compiler, standard and switch that it promises, and what it leaves in the
# program that includes it. Run from the repository root: sh tests/platform/header.sh
# Each job is a script; it passes when it returns 0. They run in parallel. A compiler that is not
# there is left out, but is a failure when CI=true.

# In it: NNNN.sh a job, its output NNNN.sh.out, its files NNNN.sh.d/; one for each run.
work=build/header.$$
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$work"
cp nn.h "$work/other.h"
cat nn.h nn.h >"$work/twice.h"

# An inherited option would make every result depend on who runs this.
unset CFLAGS CXXFLAGS CPPFLAGS LDFLAGS

warnings="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"
count=0

# job NAME: reads the script of the job from standard input.
job()
{
    count=$((count + 1))
    file=$work/$(printf '%04d' "$count").sh
    { printf '# %s\nset -e\nd=%s.d\nmkdir -p $d\n' "$1" "$file"; cat; } >"$file"
}

# ---- Sources ------------------------------------------------------------------------------------

printf '#include "nn.h"\n' >"$work/declare.c"
printf '#define NN_IMPLEMENTATION\n#include "nn.h"\n' >"$work/implement.c"
printf '#define NN_IMPLEMENTATION\n#include "nn.h"\n#include "nn.h"\n' >"$work/again.c"
printf '#include "nn.h"\n#define NN_IMPLEMENTATION\n#include "nn.h"\n' >"$work/later.c"
printf '#define NN_IMPLEMENTATION\n#include "%s/twice.h"\n' "$work" >"$work/twice.c"
printf '#define NN_IMPLEMENTATION\n#include "%s/other.h"\n' "$work" >"$work/other.c"

# A user's program: partly filled layers, zeroed options, and a check that what was linked works.
cat >"$work/user.c" <<'END'
#include "nn.h"

int main(void)
{
    const nn_layer layers[] = {NN_DENSE(3, NN_RELU), NN_DENSE(1, NN_LINEAR)};
#ifdef __cplusplus
    nn_options how = {};
    nn_data data = {};
#else
    nn_options how = {0};
    nn_data data = {0};
#endif
    const nn_real x[2] = {1, 2}, y[2] = {1, 2};
    nn_metrics result;
    nn_model *model;
    data.rows = 2;
    data.inputs = data.outputs = 1;
    data.x = x;
    data.y = y;
    how.epochs = 2;
    if (nn_model_create(&model, 1, layers, 2, 1) != NN_OK) return 1;
    if (nn_fit(model, &data, &how) != NN_OK) return 2;
    if (nn_evaluate(model, &data, &how, &result) != NN_OK || !(result.loss >= 0)) return 3;
    nn_model_free(model);
    return 0;
}
END
printf '#define NN_STATIC\n#define NN_IMPLEMENTATION\n' | cat - "$work/user.c" >"$work/private.c"
printf '#define NN_STATIC\n#define NN_IMPLEMENTATION\n#include "nn.h"\n' >"$work/private2.c"

# Every symbol of the C standard library that the implementation may need, and what compilers add:
# checked copies (_FORTIFY_SOURCE), stack protector, CPU detection, glibc's names for C99 functions.
cat >"$work/allowed" <<'END'
calloc free malloc qsort realloc
memchr memcmp memcpy memmove memset strchr strcmp strlen strncmp
fclose ferror fflush fgetc fopen fread fseek ftell fwrite remove rename setvbuf
fprintf fputc fputs putc snprintf stderr stdout
ceil ceilf fabs fabsf floor floorf fma fmaf sqrt sqrtf ldexp ldexpf
clock difftime time timespec_get abort __assert_fail __errno_location
__memcpy_chk __memmove_chk __memset_chk __fprintf_chk __snprintf_chk __fread_chk
__stack_chk_fail __cpu_indicator_init __cpu_model _GLOBAL_OFFSET_TABLE_
END
tr ' ' '\n' <"$work/allowed" | sed '/^$/d' | sort >"$work/allowed.sorted"

# ---- What a file brings into the program that includes it ---------------------------------------

# Macros that lines of the header define and leave defined, from the output of cc -E -dD.
cat >"$work/macros.awk" <<'END'
/^# [0-9]+ "/ { ours = $3 ~ /nn\.h"$/; next }
/^#define / && ours { split($2, part, "("); name[part[1]] = 1 }
/^#undef / && ours { delete name[$2] }
END { for (n in name) if (n !~ /^(NN_|nn__)/) { print "macro " n; bad = 1 } exit bad }
END

# Names at file scope that lines of the header declare, from the output of cc -E: tags, typedefs,
# functions, objects and enumeration constants. Tokens are words and single marks; a name at file
# scope is a word before one of ( ; { [ = , outside all brackets, or alone in (*name); a constant
# is a word before = , or } within an enum. What belongs to the compiler begins with two underlines.
cat >"$work/names.awk" <<'END'
function see(word)
{
    seen++
    if (word !~ /^(nn_|NN_|__|_Static_assert$)/) { print "name " word; bad = 1 }
}
function is_word(t) { return t ~ /^[A-Za-z_]/ && t !~ keyword }
BEGIN { keyword = "^(struct|enum|union|static|extern|const|void|int|inline|double|float|char|if)$" }
/^# [0-9]+ "/ { ours = $3 ~ /nn\.h"$/; next }
/^#/ || !ours { next }
{
    gsub(/"([^"\\]|\\.)*"/, " \"\" ")
    gsub(/'([^'\\]|\\.)'/, " 0 ")
    gsub(/[^A-Za-z0-9_ \t]/, " & ")
    n = split($0, token, " ")
    for (i = 1; i <= n; i++) {
        t = token[i]
        outside = braces == 0 && parens == 0 && !value
        if (outside && t ~ /^[(;{[=,]$/ && is_word(last)) see(last)
        if (in_enum && braces == 1 && t ~ /^[=,}]$/ && is_word(last) && before != "=") see(last)
        if (t == "enum" && braces == 0) in_enum = 1
        if (t == ";" && braces == 0) in_enum = value = 0
        if (t == "=" && braces == 0) value = 1
        if (t == "{" && !(last == "\"" && braces == 0 && parens == 0)) braces++
        if (t == "}" && braces > 0 && --braces == 0) value = in_enum = 0
        if (t == "(") parens++
        if (t == ")") parens--
        if (braces == 0 && t == ")" && before == "*" && earlier == "(") see(last)
        earlier = before
        before = last
        last = t
    }
}
END { if (seen < 100) { print "only " seen + 0 " names seen"; bad = 1 } exit bad }
END

# ---- Jobs for one compiler ----------------------------------------------------------------------

# standards CC CXX: no warning, with and without the implementation, optimised (more is diagnosed);
# included twice, first for its declarations alone, pasted twice, and under another name.
standards()
{
    for standard in c99 c11 gnu17 c++11 c++17; do
        case $standard in
        c++*) compile="$2 -x c++" ;;
        *) compile=$1 ;;
        esac
        compile="$compile -std=$standard $warnings -I."
        for file in declare implement user; do
            job "$compile $file.c" <<END
$compile -O2 -c -o \$d/a.o $work/$file.c
END
        done
    done
    for compile in "$1 -std=c99" "$2 -x c++ -std=c++11"; do
        for file in again later twice other; do
            job "$compile $file.c" <<END
$compile $warnings -O0 -c -I. -o \$d/a.o $work/$file.c
END
        done
    done
    job "$1 without flags" <<END
$1 -Werror -c -I. -o \$d/a.o $work/implement.c
END
    job "$2 without flags" <<END
$2 -Werror -x c++ -c -I. -o \$d/a.o $work/implement.c
END
}

# symbols CC: declarations make none, NN_STATIC exports none, all others begin with nn_ (nn__ is
# internal), and the library needs nothing but C's.
symbols()
{
    job "$1 declarations only" <<END
$1 -O0 -c -I. -o \$d/a.o $work/declare.c
[ -z "\$(nm \$d/a.o)" ]
END
    job "$1 NN_STATIC exports nothing" <<END
$1 -O0 -DNN_STATIC -c -I. -o \$d/a.o $work/implement.c
[ -z "\$(nm -g --defined-only \$d/a.o)" ]
$1 -O0 -DNN_STATIC -DNN_NO_STDIO -DNN_NO_MALLOC -c -I. -o \$d/b.o $work/implement.c
[ -z "\$(nm -g --defined-only \$d/b.o)" ]
END
    job "$1 exports nn_ only" <<END
$1 -O2 -c -I. -o \$d/a.o $work/implement.c
nm -g --defined-only \$d/a.o >\$d/names
awk '\$3 !~ /^nn_[a-z]/ { print; bad = 1 } END { exit bad || NR < 40 }' \$d/names
END
    needs "$1" "" '^$'
    needs "$1" "-DNN_NO_STDIO" '^(f(open|read|write|close|error|flush|printf)|std|put|clock|time)'
    needs "$1" "-DNN_NO_MALLOC" '^(malloc|calloc|realloc|free)$'
    needs "$1" "-DNN_NO_STDIO -DNN_NO_MALLOC -DNN_NO_TRAIN" '(alloc|free|qsort|fopen|clock)'
    job "$1 NN_NO_SIMD looks at no processor and has no table of kernels" <<END
$1 -O2 -DNN_NO_SIMD -c -I. -o \$d/a.o $work/implement.c
nm \$d/a.o >\$d/names
grep -q ' T nn_fit\$' \$d/names
if grep -E 'nn__(kernels|level|cpuid|find_kernels|saved_states)' \$d/names; then exit 1; fi
objdump -d \$d/a.o >\$d/code
grep -q '<nn_fit>:' \$d/code
if grep -wE 'cpuid|xgetbv' \$d/code; then exit 1; fi
END
    job "$1 a net of more layers than NN_MODEL_SIZE takes" <<END
printf '#include "nn.h"\nchar a[NN_MODEL_SIZE(%s)];\n' 1,2,3,4,5,6,7,8,9 >\$d/eight.c
printf '#include "nn.h"\nchar a[NN_MODEL_SIZE(%s)];\n' 1,2,3,4,5,6,7,8,9,10 >\$d/nine.c
$1 -fsyntax-only -I. \$d/eight.c
if $1 -fsyntax-only -I. \$d/nine.c 2>\$d/message; then exit 1; fi
grep -i 'negative' \$d/message
END
    job "$1 macros outside NN_" <<END
for f in declare implement; do
    for flags in "" "-O3 -march=native"; do
        $1 -E -dD \$flags -I. $work/\$f.c >\$d/text
        grep -q NN_VERSION \$d/text
        awk -f $work/macros.awk \$d/text
    done
done
END
    job "$1 names outside nn_" <<END
for f in declare implement; do
    $1 -E -I. $work/\$f.c >\$d/text
    awk -f $work/names.awk \$d/text
done
END
}

# needs CC SWITCHES PATTERN: undefined symbols are on the list and none matches PATTERN.
needs()
{
    job "$1 $2 needs the C library only" <<END
$1 -O2 $2 -c -I. -o \$d/a.o $work/implement.c
nm -u \$d/a.o | awk '{ print \$NF }' | sort -u >\$d/needed
comm -23 \$d/needed $work/allowed.sorted >\$d/foreign
if grep . \$d/foreign; then exit 1; fi
if grep -E '$3' \$d/needed; then exit 1; fi
END
}

# links CC CXX: two files make one program, in C, in C++, and in either with the other.
links()
{
    for pair in "$1:$1" "$2 -x c++:$2 -x c++" "$1:$2 -x c++" "$2 -x c++:$1"; do
        job "link ${pair%:*} with the implementation from ${pair#*:}" <<END
${pair%:*} -c -I. -o \$d/a.o $work/user.c
${pair#*:} -c -I. -o \$d/b.o $work/implement.c
$2 -o \$d/program \$d/a.o \$d/b.o -lm
\$d/program
END
    done
    job "$1 two private copies in one program" <<END
$1 $warnings -O2 -I. -o \$d/program $work/private.c $work/private2.c -lm
\$d/program
END
}

# fast_math CC: refused, with a word on how to allow it.
fast_math()
{
    job "$1 -ffast-math is refused" <<END
if $1 -ffast-math -fsyntax-only -I. $work/implement.c 2>\$d/message; then exit 1; fi
grep '#error' \$d/message
grep NN_ALLOW_FAST_MATH \$d/message
END
    job "$1 -ffast-math is allowed on demand" <<END
$1 $warnings -O2 -ffast-math -DNN_ALLOW_FAST_MATH -c -I. -o \$d/a.o $work/implement.c
END
}

# switches CC CXX: every switch alone and every pair of switches. Unoptimised code is enough: what
# breaks is a name that one switch takes away and another one's code wants, or leaves unused.
switches()
{
    list="STATIC NO_STDIO NO_MALLOC NO_TRAIN NO_SIMD NO_FMA DOUBLE"
    blas=
    if pkg-config --exists openblas 2>/dev/null; then
        list="$list USE_OPENBLAS"
        blas=$(pkg-config --cflags openblas | sed 's/-I/-isystem /g') # its warnings are its own
    fi
    for a in $list; do
        started=0
        for b in $list; do
            [ "$a" = "$b" ] && started=1
            [ $started = 1 ] || continue
            define="-DNN_$a"
            [ "$a" = "$b" ] || define="$define -DNN_$b"
            for compile in "$1 -std=c99" "$2 -x c++ -std=c++11"; do
                compile="$compile $warnings $define"
                job "$compile" <<END
$compile $blas -O0 -c -I. -o \$d/a.o $work/later.c
END
            done
        done
    done
}

# fused CC: under NN_NO_FMA no compiler fuses a product with a sum, neither in the header nor in what
# nn_export_c writes, whatever the processor could do. The clock, which is no part of it, is left out.
fused()
{
    [ "$(uname -m)" = x86_64 ] || return 0
    for define in "" -DNN_DOUBLE; do
        for level in -O2 -O3; do
            job "$1 $define $level fuses nothing under NN_NO_FMA" <<END
$1 $define -O0 -I. -o \$d/write tests/export_models.c -lm
\$d/write \$d/models.c
compile="$1 $define $level -march=x86-64-v4 -std=gnu17 -c -I. -o \$d/a.o"
for source in \$d/models.c "-DNN_NO_STDIO $work/implement.c"; do
    for flag in "" -DNN_NO_FMA; do
        \$compile \$flag \$source
        objdump -d --no-show-raw-insn \$d/a.o >\$d/code
        grep -E 'vfn?m(add|sub)' \$d/code >\$d/fused || [ "\$flag" ]
    done
    if grep . \$d/fused; then exit 1; fi
done
END
        done
    done
}

# exported CC CXX: what nn_export_c writes gives no warning either, in C and in C++ (where 17 is the
# first to have hexadecimal floating constants).
exported()
{
    for define in "" -DNN_DOUBLE; do
        job "$1 $define what was exported" <<END
$1 $define -O0 -I. -o \$d/write tests/export_models.c -lm
\$d/write \$d/models.c
echo 'int main(void) { return !exported[0][0]; }' >>\$d/models.c
for flags in "" -DNN_NO_FMA; do
    for compile in "$1 -std=c99 -Wdouble-promotion -Wmissing-prototypes" "$2 -x c++ -std=c++17"; do
        \$compile $warnings \$flags -O2 -c -o \$d/a.o \$d/models.c
    done
done
if $1 $define -ffast-math -fsyntax-only \$d/models.c 2>\$d/message; then exit 1; fi
grep NN_ALLOW_FAST_MATH \$d/message
END
    done
}

missing=0
for pair in gcc:g++ clang:clang++; do
    cc=${pair%:*}
    cxx=${pair#*:}
    if ! command -v "$cc" >/dev/null || ! command -v "$cxx" >/dev/null; then
        echo "header: $cc or $cxx is not there"
        [ "$CI" = true ] && missing=$((missing + 1))
        continue
    fi
    standards "$cc" "$cxx"
    symbols "$cc"
    links "$cc" "$cxx"
    fast_math "$cc"
    switches "$cc" "$cxx"
    fused "$cc"
    exported "$cc" "$cxx"
done

# ---- Run ----------------------------------------------------------------------------------------

parallel=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
find "$work" -name '*.sh' | sort | xargs -P "$parallel" -n 1 sh -c \
    'if sh "$0" >"$0.out" 2>&1; then mv "$0" "$0.passed"; fi'

passed=$(find "$work" -name '*.passed' | wc -l)
failed=$((count - passed + missing))
for file in "$work"/*.sh; do
    [ -f "$file" ] || continue
    sed -n '1s/^# /FAILED /p' "$file"
    head -n 20 "$file.out"
done
echo "header: $((passed)) passed, $failed failed"
[ $failed -eq 0 ] && [ "$passed" -gt 0 ]
