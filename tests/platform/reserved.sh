#!/bin/sh
# nn_export_c refuses names that would not compile: sh tests/platform/reserved.sh, from the repository
# root. Asks each compiler that is here, in the dialect that it has by itself and with all extensions
# of its C library, for the macros that it defines, and for the constants and types of the headers
# of an exported file. No such name may be accepted, and none of a few others refused. Installs
# nothing.
work=build/reserved
rm -rf $work
mkdir -p $work && : >$work/empty.c || exit 1

${CC:-cc} -O1 -DNN_NO_SIMD -I. -o $work/accepted tests/platform/reserved.c -lm || exit 1
make -s build/exported.c || exit 1
grep "^#include" build/exported.c | grep -v avr/ | sort -u >$work/exported.c
if [ "$(wc -l <$work/exported.c)" -lt 2 ]; then
    echo "reserved: no headers found in an exported file"
    exit 1
fi

# names COMPILE...: adds the macros of the compiler, and the types of the headers, to the list.
names()
{
    "$@" -E -dM $work/empty.c 2>/dev/null | sed -nE 's/^#define ([A-Za-z]\w*).*/\1/p'
    "$@" -E -dM $work/exported.c 2>/dev/null | sed -nE 's/^#define (M_\w*|[A-Z][A-Z0-9_]*) .*/\1/p'
    "$@" -E -P $work/exported.c 2>/dev/null | sed -nE 's/^ *typedef .* ([a-z]\w*_t);.*/\1/p'
}

asked=0
while read -r compile; do
    # shellcheck disable=SC2086
    if ! command -v ${compile%% *} >/dev/null || ! $compile -E $work/exported.c >/dev/null 2>&1; then
        echo "reserved: $compile is not here"
        [ "$CI" = true ] && exit 1
        continue
    fi
    # shellcheck disable=SC2086
    names $compile >>$work/names
    asked=$((asked + 1))
done <<'END'
cc
gcc
gcc -D_GNU_SOURCE
gcc -D_FORTIFY_SOURCE=2 -O2
g++ -x c++
clang
clang -D_GNU_SOURCE
tcc
musl-gcc -D_GNU_SOURCE
i686-linux-gnu-gcc
aarch64-linux-gnu-gcc -D_GNU_SOURCE
arm-linux-gnueabihf-gcc -D_GNU_SOURCE
s390x-linux-gnu-gcc -D_GNU_SOURCE
x86_64-w64-mingw32-gcc
arm-none-eabi-gcc -D_GNU_SOURCE
riscv64-unknown-elf-gcc --specs=picolibc.specs -D_GNU_SOURCE
avr-gcc -mmcu=atmega2560
clang --target=wasm32-wasi -D_GNU_SOURCE
END
# What compilers define for machines and systems whose headers are not here.
for target in x86_64-pc-windows-msvc x86_64-apple-darwin powerpc64-linux-gnu mips-linux-gnu \
    mipsel-linux-gnu sparc-sun-solaris m68k-linux-gnu x86_64-unknown-freebsd powerpc-ibm-aix \
    hexagon arm64_32-apple-watchos powerpc-unknown-lv2 ve-linux-gnu; do
    clang --target=$target -E -dM -x c - </dev/null 2>/dev/null |
        sed -nE 's/^#define ([A-Za-z]\w*).*/\1/p' >>$work/names
done
sort -u $work/names -o $work/names

count=$(wc -l <$work/names)
failed=$($work/accepted <$work/names | tee $work/wrong | wc -l)
sed 's/^/FAILED nn_export_c accepts the name /' $work/wrong
for name in linux unix int8_t INT8_MIN; do
    grep -qx "$name" $work/names || {
        echo "FAILED $name is not among the names"
        failed=$((failed + 1))
    }
done
[ "$(printf 'predict\nx\nmodel_2\n' | $work/accepted | wc -l)" -eq 3 ] || {
    echo "FAILED a good name is refused"
    failed=$((failed + 1))
}
echo "reserved: $count names of $asked compilers, $failed failed"
[ "$failed" -eq 0 ] && [ "$count" -gt 100 ]
