#!/bin/sh
# README.md as a reader would try it: sh tests/platform/readme.sh, from the repository root.
# The program must compile without a warning in a folder with nn.h alone, and print what README.md
# says. The API must declare every public function of nn.h as nn.h does. The snippet of a loss must
# compile, the CMake lines must build a program, and every linked file must exist. Where an example
# has printed to build/NAME.log, each line that examples/README.md shows of it must be there.
# The figures and the chart of speed must be those of the benchmark's table.
cc=${CC:-cc}
warnings="-std=c99 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
passed=0 failed=0 skipped=0

# tell RESULT NAME: 0 is passed, 77 skipped, all others failed.
tell()
{
    case $1 in
    0) passed=$((passed + 1)) word=ok ;;
    77) skipped=$((skipped + 1)) word="skipped: no CMake, no Python, or no example was run" ;;
    *) failed=$((failed + 1)) word=FAILED ;;
    esac
    echo "readme: $2: $word"
}

# block N: the Nth block of C.
block()
{
    awk -v wanted="$1" '/^```c$/ { n++; on = 1; next } /^```/ { on = 0 } on && n == wanted' README.md
}

program()
{
    block 1 >"$folder/flowers.c"
    cp nn.h "$folder"
    cp examples/data/iris2.csv "$folder/flowers.csv"
    # shellcheck disable=SC2086
    (cd "$folder" && $cc $warnings -O2 flowers.c -o flowers -lm && ./flowers >output) || return 1
    # The lines below the command that runs it: each but "..." must be printed.
    awk '/^    cp .*flowers/ { on = 1; next } on && /^    / { sub(/^    /, ""); print; next }
        on && /^[^ ]/ { exit }' README.md | grep -vxF ... >"$folder/expected"
    [ -s "$folder/expected" ] && ! grep -vxFf "$folder/output" "$folder/expected"
}

# Declaring a function again is an error unless the types are the same. README.md says that each
# function of a path has one of memory, and does not list these.
api()
{
    {
        printf '#include "nn.h"\n'
        block 2 | sed 's/^nn_[a-z_]*(/nn_status &/'
    } >"$folder/api.c"
    # shellcheck disable=SC2086
    $cc $warnings -I. -fsyntax-only "$folder/api.c" || return 1
    sed '/^#endif \/\* NN_H \*\//q' nn.h | awk '/^NN_DEF/, /;/' | grep -o 'nn_[a-z0-9_]*(' | sort -u |
        grep -v '_memory($' | while read -r name; do
            grep -qF "$name" "$folder/api.c" || { echo "not in README.md: $name)"; exit 1; }
        done
}

loss()
{
    {
        printf '#define NN_IMPLEMENTATION\n#define NN_STATIC\n#include "nn.h"\n'
        printf 'static nn_status status;\n#define check(call) if ((status = (call)) != NN_OK) return\n'
        printf 'void step(nn_trainer *trainer, nn_real *x, nn_real *t, nn_real *dy, int rows, int outputs)\n'
        printf '{\nconst nn_real *y;\nint i;\n'
        block 3
        printf '}\n'
    } >"$folder/loss.c"
    # shellcheck disable=SC2086
    $cc -std=c99 -Wall -Wextra -Werror -I. -c -o "$folder/loss.o" "$folder/loss.c"
}

cmake_lines()
{
    command -v cmake >/dev/null || return 77
    mkdir -p "$folder/cmake"
    {
        printf 'cmake_minimum_required(VERSION 3.14)\nproject(app C)\n'
        awk '/^      [A-Za-z_]*\(.*\)/' README.md | sed "s#path/to/nn.h/folder#$PWD#"
    } >"$folder/cmake/CMakeLists.txt"
    cp "$folder/flowers.c" "$folder/cmake/main.c"
    source=-DFETCHCONTENT_SOURCE_DIR_NN=$PWD # instead of the address that FetchContent is told
    (cd "$folder/cmake" && CC=$cc cmake "$source" -S . -B build && cmake --build build && [ -x build/app ]) \
        >"$folder/log" 2>&1 || { cat "$folder/log"; return 1; }
}

links()
{
    grep -o '](\([^)]*\))' README.md | sed 's/^](//; s/)$//' >"$folder/links"
    [ -s "$folder/links" ] || return 1
    while read -r link; do
        [ -e "$link" ] || { echo "no such file: $link"; return 1; }
    done <"$folder/links"
}

# The six numbers are those of the table that README.md links to.
speed()
{
    command -v python3 >/dev/null || return 77
    table=$(grep -o 'tests/bench/results-[a-z0-9-]*\.md' README.md) || return 1
    python3 tests/bench/chart.py "$table" "$folder/speed.svg" >"$folder/numbers" || return 1
    [ "$(wc -l <"$folder/numbers")" -eq 6 ] && ! grep -vxFf README.md "$folder/numbers" &&
        cmp "$folder/speed.svg" examples/speed.svg
}

outputs()
{
    awk '/^[a-z_0-9]*\.c/ { name = $1; sub(/\.c.*/, "", name) }
        /^[^ a-z]|^python/ { name = "" }
        /^python\/[a-z_0-9]*\.py/ { name = $1; sub(/^python\//, "", name); sub(/\.py.*/, "", name) }
        /^    / && name { print name " " substr($0, 5) }' examples/README.md >"$folder/shown"
    number=0
    while IFS= read -r line; do
        name=${line%% *} line=${line#* }
        if [ ! -f "build/$name.log" ] || [ "$line" = ... ]; then continue; fi
        grep -qxF -e "$line" "build/$name.log" || { echo "$name does not print: $line"; return 1; }
        number=$((number + 1))
    done <"$folder/shown"
    [ $number -gt 0 ] || return 77
}

length()
{
    lines=$(wc -l <README.md)
    [ "$lines" -le 200 ] || { echo "$lines lines, more than 200"; return 1; }
}

for check in program api loss cmake_lines speed links outputs length; do
    $check
    tell $? $check
done
echo "readme: $passed passed, $failed failed, $skipped skipped"
[ "$CI" != true ] || [ "$skipped" -eq 0 ] || exit 1
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
