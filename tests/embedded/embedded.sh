#!/bin/sh
# Firmware that trains on the device: sh tests/embedded/embedded.sh, from the repository root.
# Builds embedded*.c, and with them the board's gesture.c, for microcontrollers and runs them in
# emulators: what they print must be what the PC's build prints, to the last bit. Then what the
# header costs a microcontroller: code, memory and stack, against budgets, of dense nets and of one
# with a convolution; and what it must not have there. With the argument "sizes": what each function
# of embedded_size.c's programs takes.
# Installs nothing: what has no tools here is skipped, which with CI=true is a failure.
suite=embedded
. tests/platform/jobs.sh
sources=tests/embedded
board=examples/microcontroller # a program, and the README that tells how to compile it

# ---- Toolchains ---------------------------------------------------------------------------------

sections="-ffunction-sections -fdata-sections -Wl,--gc-sections"
picolibc="--specs=picolibc.specs"
hosted="$picolibc --crt0=hosted --oslib=semihost"
arm="arm-none-eabi-gcc -Os $sections -mthumb"
riscv="riscv64-unknown-elf-gcc -Os $sections -mcmodel=medany"
avr="avr-gcc -std=gnu99 -Os $sections -DF_CPU=16000000UL"
m4f="-mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16"
arm_packages="gcc-arm-none-eabi libnewlib-arm-none-eabi picolibc-arm-none-eabi qemu-system-arm"
riscv_packages="gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf qemu-system-misc"
avr_packages="gcc-avr avr-libc simavr"
bare="-DNN_NO_STDIO -DNN_NO_MALLOC -DNN_NO_SIMD"
dense=-DNN_NO_CONVOLUTION

# memory FLASH SIZE RAM SIZE: the linker's options for picolibc.
memory()
{
    printf '%s' "-Wl,--defsym=__flash=$1,--defsym=__flash_size=$2,--defsym=__ram=$3"
    printf '%s' ",--defsym=__ram_size=$4,--defsym=__stack_size=2k"
}

# emulate EMULATOR PROGRAM: its output; under qemu main's value is returned, and an instruction
# takes a nanosecond of the timers' time. simavr prints with colours, and a dot at a line's end.
emulate()
{
    case $1 in
    qemu*)
        # shellcheck disable=SC2086
        timeout 120 $1 -nographic -monitor none -serial none -icount shift=0 \
            -semihosting-config enable=on,chardev=c0 -chardev stdio,id=c0 -kernel "$2" </dev/null
        ;;
    simavr*)
        # shellcheck disable=SC2086
        timeout 120 $1 "$2" </dev/null 2>&1 |
            awk '{ gsub(/\033\[[0-9;]*m/, "") } sub(/\.$/, "")'
        ;;
    esac
}

# ---- The firmware on the PC ---------------------------------------------------------------------

# With the vector kernels, but without optimisation, which would take most of this suite's time and
# changes no bit: tests/platform/portable.sh compares the levels.

# The rows as C arrays: every fifth is a test row; classes are numbered as they appear.
make_rows()
{
    awk -F, '
    function real(text) { return text (text ~ /\./ ? "" : ".0") "f" }
    NR > 1 {
        sub(/\r$/, "")
        if (!($3 in class)) class[$3] = classes++
        part = (NR - 1) % 5 ? "train" : "test"
        rows[part]++
        x[part] = x[part] "    " real($1) ", " real($2) ",\n"
        y[part] = y[part] "    " class[$3] ",\n"
    }
    END {
        for (part in rows) {
            printf "#define %s_ROWS %d\n", toupper(part), rows[part]
            printf "static const nn_real %s_x[] = {\n%s};\n", part, x[part]
            printf "static const nn_real %s_y[] = {\n%s};\n", part, y[part]
        }
    }' examples/data/iris2.csv >"$work/rows.h"
}

# The exported functions that embedded_export.c calls.
make_exported()
{
    ${CC:-cc} -O0 -DNATIVE -DWRITE -I. "-I$work" -o "$work/write.exe" \
        "$sources/embedded_export.c" -lm &&
        "$work/write.exe" "$work"
}

compared() { tr -d '\r' <"$1" | grep -v '^#'; }

# The text that PROGRAM must print: make_expected PROGRAM ARITHMETIC
make_expected()
{
    file=$work/$1.$2
    define=
    [ "$2" = fma ] || define=-D$2
    # shellcheck disable=SC2086
    ${CC:-cc} -O0 -DNATIVE "-DFOLDER=\"$work\"" $define -I. "-I$work" -o "$file.exe" \
        "$sources/$1.c" -lm
    "$file.exe" >"$file.text"
    compared "$file.text" >"$file.expected"
    grep '^done' "$file.expected"
}

# ---- A machine ----------------------------------------------------------------------------------

# note NAME: the number of a line "# NAME number" that the firmware printed, or 0.
note() { awk -v name="$1" '$2 == name { n = $3 + 0 } END { printf "%d", n }' "$folder/text"; }

# build_and_run PACKAGES ARITHMETIC PROGRAM COMPILE EMULATOR: it must end well and print what the PC
# printed.
build_and_run()
{
    needs "${4%% *} ${5%% *}" "$1"
    define= status=0
    [ "$2" = fma ] || define=-D$2
    # shellcheck disable=SC2086
    $4 $define -I. "-I$work" -o "$folder/a.elf" "$sources/$3.c" -lm >&2
    emulate "$5" "$folder/a.elf" >"$folder/text" || status=$?
    trained=$(note rows)
    [ "$trained" -gt 0 ] || trained=1
    printf '%-9s %6d %5d %10s %8d %8s\n' "$2" \
        "$("${4%%gcc *}size" "$folder/a.elf" | awk 'NR == 2 { print $1 + $2 }')" \
        "$(($(note model_bytes) + $(note trainer_bytes)))" "$(note training)" \
        "$(($(note training) / trained))" "$(note prediction)"
    compared "$folder/text" >"$folder/compared"
    diff "$work/$3.$2.expected" "$folder/compared" >&2 && [ $status -eq 0 ]
}

# machine NAME PACKAGES ARITHMETIC PROGRAM COMPILE EMULATOR
machine()
{
    name=$1
    shift
    row "$name" build_and_run "$@"
}

# check NAME PACKAGES TOOLS FUNCTION...: a function that prints one line of what it measured, and
# returns 0 when that is as it should be; what is wrong goes to standard error.
check()
{
    name=$1
    shift
    row "$name" check_with "$@"
}

check_with()
{
    needs "$2" "$1"
    shift 2
    "$@"
}

# ---- What the header costs ----------------------------------------------------------------------

# The header on its own. library COMPILE OBJECT
library()
{
    printf '#define NN_IMPLEMENTATION\n#include "nn.h"\n' >"$folder/library.c"
    # shellcheck disable=SC2086
    $1 $bare -I. -c -o "$2" "$folder/library.c" >&2
}

# The objects that the checks weigh and look into: the whole library and predicting only, with all
# layers and for dense nets.
make_library()
{
    graph="-fstack-usage -fcallgraph-info=su"
    library "$arm $m4f $picolibc $graph" "$work/library.o"
    library "$arm $m4f $picolibc $graph $dense" "$work/dense.o"
    library "$arm $m4f $picolibc $dense -DNN_NO_TRAIN" "$work/dense.predicting.o"
    library "$arm $m4f $picolibc -DNN_NO_TRAIN" "$work/library.predicting.o"
}

# Of a linker's map: bytes, section, file of all that takes flash, but what is the program's own.
flash_of()
{
    awk '
    /^Linker script and memory map/ { begun = 1 }
    !begun { next }
    /^ \.[^ ]+$/ { name = $1; next }
    /^ \.[^ ]+ +0x/ { name = $1; $1 = "" ; $0 = $0 }
    $1 ~ /^0x/ && $2 ~ /^0x/ && NF == 3 && name != "" {
        if (name ~ /^\.(text|rodata|data|ARM\.ex|init|fini|srodata)/ && $3 !~ /program\.o$/)
            print $2, name, $3
        name = ""
        next
    }
    { name = "" }' "$1" | while read -r size name file; do
        [ "$((size))" -eq 0 ] || echo "$((size)) $name $(basename "$file")"
    done
}

# weigh PROGRAM [-DNN_NO_TRAIN]: links a program of embedded_size.c without any start-up, so that all
# in it but its own object is the header, or was pulled in by it.
weigh()
{
    object=$work/dense.o
    [ -z "$2" ] || object=$work/dense.predicting.o
    [ "$1" != 5 ] || object=$work/library.predicting.o
    # shellcheck disable=SC2086
    $arm $m4f $picolibc $2 "-DPROGRAM=$1" -I. -c -o "$folder/program.o" \
        "$sources/embedded_size.c" &&
        $arm $m4f $picolibc $bare_link "-Wl,-Map=$folder/map" -o "$folder/a.elf" \
            "$folder/program.o" "$object" -lm &&
        flash_of "$folder/map" | sort -rn >"$folder/weights"
}
bare_link="-nostartfiles -Wl,-e,main $(memory 0 4M 0x20000000 4M)"

# The same in one file under NN_STATIC, as a sketch has it, where the compiler leaves out more: the
# bytes of all of it, the program itself too.
weigh_static()
{
    # shellcheck disable=SC2086
    $arm $m4f $picolibc $2 "-DPROGRAM=$1" -DNN_IMPLEMENTATION -DNN_STATIC $bare_link -I. \
        -o "$folder/static.elf" "$sources/embedded_size.c" -lm >&2 &&
        arm-none-eabi-size "$folder/static.elf" | awk 'NR == 2 { print $1 + $2 }'
}

# budget BYTES PROGRAM [FLAGS]: of the one file, with the operations that the program uses; also what
# it takes with all operations, and the object with all of them in a program of several files.
budget()
{
    most=$1
    shift
    weigh "$@" >&2 && size=$(weigh_static "$@") &&
        whole=$(weigh_static "$1" "$2 -DALL_OPERATIONS") || return 1
    awk -v most="$most" -v size="$size" -v whole="$whole" '
        { sum += $1 }
        END {
            printf "%d of at most %d bytes; all: %d, object %d\n", size, most, whole, sum
            exit !(sum && size && size <= most)
        }' "$folder/weights" && return 0
    head -n 12 "$folder/weights" >&2
    return 1
}

# The board's xor.c: the command of the README beside it compiles it, and it learns.
readme_program()
{
    awk '/^    arm-none-eabi-gcc/ { on = 1 } on; on && !/\\$/ { exit }' \
        $board/README.md >"$folder/command"
    cp $board/xor.c nn.h "$folder"
    # shellcheck disable=SC2086
    (cd "$folder" && sh ./command) >&2 && [ -f "$folder/xor.elf" ] &&
        $arm $m4f $hosted $mps2 -Wall -Wextra -Werror -o "$folder/a.elf" "$folder/xor.c" -lm >&2 &&
        emulate "qemu-system-arm -M mps2-an386" "$folder/a.elf" >&2 &&
        $arm $m4f $picolibc $bare_link -o "$folder/b.elf" "$folder/xor.c" -lm >&2 &&
        arm-none-eabi-size "$folder/b.elf" | awk 'NR == 2 { printf "%d bytes\n", $1 + $2 }'
}

# The same for an Arduino Uno: whether it fits.
readme_uno()
{
    # shellcheck disable=SC2086
    $avr -mmcu=atmega328p -DNN_NO_FMA -Wall -Wextra -Werror -I. -o "$folder/a.elf" \
        $board/xor.c -lm >&2 &&
        avr-size "$folder/a.elf" | awk 'NR == 2 {
            printf "%d bytes, RAM %d, without the stack\n", $1 + $2, $2 + $3
            exit !($1 + $2 <= 32256 && $2 + $3 <= 1400)
        }'
}

# The board's gesture.c, which trains a convolution: the command of the README compiles it. The bytes
# of its code, without the constant arrays of gestures.
gesture()
{
    most=$1
    shift
    # shellcheck disable=SC2086
    $arm "$@" $picolibc $bare_link -Wall -Wextra -Werror -I. -o "$folder/a.elf" \
        $board/gesture.c -lm >&2 || return 1
    rows=$(arm-none-eabi-nm -S -t d "$folder/a.elf" | awk '$4 ~ /_rows$/ { n += $2 } END { print n }')
    arm-none-eabi-size "$folder/a.elf" | awk -v rows="$rows" -v most="$most" 'NR == 2 {
        printf "%d of at most %d bytes\n", $1 + $2 - rows, most
        exit !(rows > 4000 && $1 + $2 - rows <= most)
    }'
}

# Its gestures are what the program beside it writes, and it learns on this machine as its first
# lines say.
gesture_data()
{
    ${CC:-cc} -O2 -Wall -Wextra -Werror -o "$folder/make_gestures" $board/make_gestures.c >&2 &&
        "$folder/make_gestures" >"$folder/gestures.h" &&
        cmp "$folder/gestures.h" $board/gestures.h >&2 &&
        ${CC:-cc} -O2 -DPRINT -Wall -Wextra -Werror -I. -o "$folder/gesture" $board/gesture.c -lm >&2 &&
        "$folder/gesture" >"$folder/text" &&
        awk '{ value[$1] = $2 } END { printf "%d %% correct\n", value["correct_percent"] }' \
            "$folder/text"
}

# The table of memory in the board's README must have each row as measured here.
readme_memory()
{
    cat >"$folder/sizes.c" <<'END'
#include "nn.h"
#define AND_TRAINER(moments, ...) NN_MODEL_SIZE(__VA_ARGS__) + NN_TRAINER_SIZE(moments, 1, __VA_ARGS__)
char open[NN_MODEL_OPEN_SIZE(WIDTHS)], model[NN_MODEL_SIZE(WIDTHS)], sgd[AND_TRAINER(0, WIDTHS)];
char momentum[AND_TRAINER(1, WIDTHS)], adam[AND_TRAINER(2, WIDTHS)];
END
    rows=0
    for net in 2-8-1 10-16-4 64-32-10; do
        # shellcheck disable=SC2086
        $arm $m4f $picolibc $bare $dense "-DWIDTHS=$(echo $net | tr - ,)" -I. -c -o "$folder/a.o" \
            "$folder/sizes.c" >&2 || return 1
        row="| $net |"
        for array in open model sgd momentum adam; do
            row="$row $(arm-none-eabi-nm -S -t d "$folder/a.o" |
                awk -v name=$array '$4 == name { printf "%d", $2 }') |"
        done
        grep -qxF "$row" $board/README.md ||
            { echo "not in $board/README.md: $row" >&2; return 1; }
        rows=$((rows + 1))
    done
    echo "$rows rows"
}

# What an exported function takes, without the constant arrays: at most 1 kB.
exported()
{
    # shellcheck disable=SC2086
    $arm $m4f $picolibc -Wall -Wextra -Werror -c -o "$folder/a.o" "$work/exported.c" >&2 &&
        $arm $m4f $picolibc -Wall -Wextra -Werror -c -o "$folder/b.o" "$work/exported_int8.c" >&2 &&
        for object in a b; do
            arm-none-eabi-size -A "$folder/$object.o" | awk '/^\.text/ { n += $2 } END { print n }'
        done | xargs | awk '{ printf "%d, as int8 %d bytes\n", $1, $2; exit !($1 && $1 <= 1024 && $2 && $2 <= 1024) }'
}

# stack OBJECT FUNCTIONS: the deepest path of calls from functions, in bytes, from gcc's graph of
# calls; no recursion, no stack of unknown size, no call by pointer but the callback's. The C library's
# own is not in it.
stack()
{
    awk -v wanted="$2" '
    function field(key,   text) {
        if (!match($0, key ": \"[^\"]*\"")) return ""
        text = substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 4)
        sub(/^[^:]*:/, "", text)
        gsub(/(_NO_[A-Z]+)+/, "", text) # the switches at the end of public names
        return text
    }
    function wrong(text) { print text >"/dev/stderr"; bad = 1 }
    function deepest(name,   i, below, most) {
        if (name in depth) return depth[name]
        if (name in open) { wrong("recursion: " name); return 0 }
        open[name] = 1
        for (i = 1; i <= calls[name]; i++) {
            below = deepest(call[name, i])
            if (below > most) most = below
        }
        delete open[name]
        return depth[name] = bytes[name] + most
    }
    /^node:/ && match($0, /[0-9]+ bytes \([a-z,]*\)/) {
        size = substr($0, RSTART) + 0
        name = field("title")
        bytes[name] = size
        if ($0 !~ /bytes \(static\)/) wrong("a stack of unknown size: " name)
    }
    /^edge:/ {
        from = field("sourcename")
        to = field("targetname")
        call[from, ++calls[from]] = to
        if (to == "__indirect_call" && from !~ /^(nn__call_back|nn__train_epoch|nn_trainer_fit)/)
            wrong("a call by pointer: " from)
    }
    END {
        count = split(wanted, root, " ")
        for (i = 1; i <= count; i++) {
            if (!(root[i] in bytes)) wrong("no function " root[i])
            if (!deepest(root[i])) wrong("no stack: " root[i])
            printf "%s%d", (i > 1 ? ", " : ""), deepest(root[i])
        }
        for (other in bytes) deepest(other)
        print " bytes"
        exit bad
    }' "$work/$1.ci"
}

# No table of kernels, no look at the processor; no call by pointer but the callback's.
dispatch()
{
    arm-none-eabi-nm "$work/library.o" >"$folder/symbols"
    grep -q ' T nn_trainer_fit_NO_' "$folder/symbols" || return 1
    ! grep -E 'nn__(kernels|level|cpuid|find_kernels)|_(avx|neon|wasm)' "$folder/symbols" >&2 ||
        return 1
    arm-none-eabi-objdump -d --no-show-raw-insn "$work/library.o" | awk '
    /^[0-9a-f]+ <.*>:$/ { name = substr($2, 2, length($2) - 3) }
    $2 ~ /^blx?(\.|$)/ && $3 ~ /^[0-9a-f]/ { direct++ }
    $2 ~ /^bl?x/ && $3 ~ /^(r[0-9]+|ip|fp|sl|sb)/ {
        if (name ~ /^(nn__call_back|nn__train_epoch|nn_trainer_fit)/) callbacks++
        else { print name ": " $0 >"/dev/stderr"; bad = 1 }
    }
    END {
        printf "%d calls by pointer, the callback%ss\n", callbacks, "\047"
        exit bad || direct < 50 || callbacks < 1
    }'
}

# No double and no division of 64 bits, but where files are read: their numbers may be doubles.
no_double()
{
    arm-none-eabi-objdump -dr "$work/library.o" | awk '
    /^[0-9a-f]+ <.*>:$/ { name = substr($2, 2, length($2) - 3) }
    /R_ARM.*__aeabi_(d[a-z2]|cd|f2d|u?l2d|u?i2d|u?ldiv)/ {
        if ($3 ~ /_d2f$/ && name ~ /^nn__(real_of|read_real|read_scaling|read_tensor)/) reading++
        else { print name ": " $3 >"/dev/stderr"; bad = 1 }
    }
    END { printf "%d calls, in reading files\n", reading; exit bad || !reading }'
}

# symbols COMPILE: what the header needs of others.
symbols()
{
    library "$1 $picolibc" "$folder/nn.o"
    "${1%%gcc *}nm" -u "$folder/nn.o" | awk '{ print $2 }' | sort -u >"$folder/needed"
    grep -vE '^(__|mem(cpy|set|cmp)$|str(len|cmp)$|sqrtf$|fmaf$)' "$folder/needed" >"$folder/others" || true
    echo "$(grep -vc '^__' "$folder/needed") functions of the C library"
    ! grep . "$folder/others" >&2
}

# warnings COMPILE: the firmware, and a program that only predicts, without a warning.
warnings()
{
    # shellcheck disable=SC2086
    $1 -Wall -Wextra -Werror -I. "-I$work" -c -o "$folder/a.o" "$sources/embedded.c" >&2 &&
        $1 -Wall -Wextra -Werror -DNN_NO_TRAIN -DPROGRAM=4 -DNN_IMPLEMENTATION -DNN_STATIC \
            -Wno-unused-function -I. -c -o "$folder/b.o" "$sources/embedded_size.c" >&2 &&
        echo "no warning"
}

# Where double has 32 bits, no fma can be computed: the compiler says what to define.
refused()
{
    ! avr-gcc -std=gnu99 -Os -mmcu=atmega2560 $bare -I. "-I$work" -fsyntax-only \
        "$sources/embedded.c" 2>"$folder/message" &&
        grep -q 'define NN_NO_FMA' "$folder/message" && echo "refused"
}

# sketch COMPILE: the firmware as C++, behind what an Arduino sketch has before it.
sketch()
{
    cat >"$folder/Arduino.h" <<'END'
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#undef abs
#define abs(x) ((x) > 0 ? (x) : -(x))
#define round(x) ((x) >= 0 ? (long)((x) + 0.5) : (long)((x)-0.5))
#define sq(x) ((x) * (x))
#define bit(b) (1UL << (b))
#define lowByte(w) ((uint8_t)((w) & 0xff))
#define constrain(x, low, high) ((x) < (low) ? (low) : ((x) > (high) ? (high) : (x)))
#define F(text) (text)
#define PI 3.1415926535897932384626433832795
#define EULER 2.718281828459045235360287471352
#define B0 0
#define B1 1
#define LOW 0
#define HIGH 1
#define INPUT 0
#define OUTPUT 1
#define CHANGE 1
#define DEFAULT 1
#define SERIAL 0
#define interrupts() ((void)0)
typedef bool boolean;
typedef uint8_t byte;
typedef unsigned int word;
END
    warnings "$1 -x c++ -fno-exceptions -fno-rtti -include $folder/Arduino.h"
}

# ---- The table ----------------------------------------------------------------------------------

machines()
{
    machine Cortex-M0 "$arm_packages" NN_NO_FMA embedded \
        "$arm -mcpu=cortex-m0 $hosted $(memory 0 256k 0x20000000 16k)" "qemu-system-arm -M microbit"
    machine Cortex-M3 "$arm_packages" NN_NO_FMA embedded \
        "$arm -mcpu=cortex-m3 $hosted $mps2" "qemu-system-arm -M mps2-an385"
    machine Cortex-M4F "$arm_packages" fma embedded \
        "$arm $m4f $hosted $mps2" "qemu-system-arm -M mps2-an386"
    machine Cortex-M7 "$arm_packages" fma embedded \
        "$arm -mcpu=cortex-m7 -mfloat-abi=hard -mfpu=fpv5-d16 $hosted $mps2" \
        "qemu-system-arm -M mps2-an500"
    machine Cortex-M33 "$arm_packages" fma embedded \
        "$arm -mcpu=cortex-m33 -mfloat-abi=hard -mfpu=fpv5-sp-d16 $hosted
            $(memory 0x10000000 4M 0x38000000 1M)" "qemu-system-arm -M mps2-an505"
    machine Cortex-M55 "$arm_packages" fma embedded \
        "$arm -mcpu=cortex-m55 -mfloat-abi=hard $hosted $(memory 0 512k 0x20000000 512k)" \
        "qemu-system-arm -M mps3-an547"
    machine RV32IMAFC "$riscv_packages" fma embedded \
        "$riscv -march=rv32imafc -mabi=ilp32f $hosted $(memory 0x80000000 4M 0x80400000 4M)" \
        "qemu-system-riscv32 -M virt -bios none"
    machine "ATmega2560 (cycles)" "$avr_packages" NN_NO_FMA embedded \
        "$avr -mmcu=atmega2560" "simavr -m atmega2560 -f 16000000"
    machine "Cortex-M0, smooth" "$arm_packages" NN_NO_FMA embedded_smooth \
        "$arm -mcpu=cortex-m0 $hosted $(memory 0 256k 0x20000000 16k)" "qemu-system-arm -M microbit"
    machine "Cortex-M4F, smooth" "$arm_packages" fma embedded_smooth \
        "$arm $m4f $hosted $mps2" "qemu-system-arm -M mps2-an386"
    machine "ATmega2560, smooth" "$avr_packages" NN_NO_FMA embedded_smooth \
        "$avr -mmcu=atmega2560" "simavr -m atmega2560 -f 16000000"
    machine "Cortex-M0, gesture" "$arm_packages" NN_NO_FMA embedded_gesture \
        "$arm -mcpu=cortex-m0 $hosted $(memory 0 256k 0x20000000 16k)" "qemu-system-arm -M microbit"
    machine "Cortex-M4F, gesture" "$arm_packages" fma embedded_gesture \
        "$arm $m4f $hosted $mps2" "qemu-system-arm -M mps2-an386"
    machine "RV32IMAFC, gesture" "$riscv_packages" fma embedded_gesture \
        "$riscv -march=rv32imafc -mabi=ilp32f $hosted $(memory 0x80000000 4M 0x80400000 4M)" \
        "qemu-system-riscv32 -M virt -bios none"
    machine "ATmega2560, gesture" "$avr_packages" NN_NO_FMA embedded_gesture \
        "$avr -mmcu=atmega2560" "simavr -m atmega2560 -f 16000000"
    machine "Cortex-M0, image" "$arm_packages" NN_NO_FMA embedded_image \
        "$arm -mcpu=cortex-m0 $hosted $(memory 0 256k 0x20000000 16k)" "qemu-system-arm -M microbit"
    machine "Cortex-M4F, image" "$arm_packages" fma embedded_image \
        "$arm $m4f $hosted $mps2" "qemu-system-arm -M mps2-an386"
    machine "RV32IMAFC, image" "$riscv_packages" fma embedded_image \
        "$riscv -march=rv32imafc -mabi=ilp32f $hosted $(memory 0x80000000 4M 0x80400000 4M)" \
        "qemu-system-riscv32 -M virt -bios none"
    machine "ATmega2560, image" "$avr_packages" NN_NO_FMA embedded_image \
        "$avr -mmcu=atmega2560" "simavr -m atmega2560 -f 16000000"
    machine "Cortex-M0, exported" "$arm_packages" NN_NO_FMA embedded_export \
        "$arm -mcpu=cortex-m0 $hosted $(memory 0 256k 0x20000000 16k)" "qemu-system-arm -M microbit"
    machine "Cortex-M4F, exported" "$arm_packages" fma embedded_export \
        "$arm $m4f $hosted $mps2" "qemu-system-arm -M mps2-an386"
    machine "ATmega2560, exported" "$avr_packages" NN_NO_FMA embedded_export \
        "$avr -mmcu=atmega2560" "simavr -m atmega2560 -f 16000000"
}
mps2=$(memory 0 4M 0x20000000 4M)

cost()
{
    check "create, nn_train_batch, predict" "$arm_packages" "${arm%% *}" budget 6500 1
    check "create, nn_trainer_fit, nn_evaluate" "$arm_packages" "${arm%% *}" budget 10000 2
    check "create, predict under NN_NO_TRAIN" "$arm_packages" "${arm%% *}" \
        budget 3000 3 -DNN_NO_TRAIN
    check "open a file in flash, predict" "$arm_packages" "${arm%% *}" budget 3000 4 -DNN_NO_TRAIN
    check "the same, of a convolution" "$arm_packages" "${arm%% *}" budget 5300 5 -DNN_NO_TRAIN
    check "an exported function's code" "$arm_packages" "${arm%% *}" exported
    check "$board/xor.c" "$arm_packages" "${arm%% *} qemu-system-arm" readme_program
    check "the same, ATmega328P" "$avr_packages" "${avr%% *}" readme_uno
    check "$board/gesture.c" "" "${CC:-cc}" gesture_data
    check "the same, Cortex-M4F" "$arm_packages" "${arm%% *}" gesture 9000 $m4f
    check "the same, Cortex-M0" "$arm_packages" "${arm%% *}" \
        gesture 15000 -mcpu=cortex-m0 -DNN_NO_FMA
    check "its README's table of memory" "$arm_packages" "${arm%% *}" readme_memory
    check "stack: nn_train_batch, nn_trainer_fit" "$arm_packages" "${arm%% *}" \
        stack dense "nn_train_batch nn_trainer_fit"
    check "stack: nn_predict, nn_evaluate" "$arm_packages" "${arm%% *}" \
        stack dense "nn_predict nn_evaluate"
    check "stack: nn_model_open_in" "$arm_packages" "${arm%% *}" stack dense nn_model_open_in
    check "stack: saving to, loading from memory" "$arm_packages" "${arm%% *}" \
        stack dense "nn_save_memory nn_load_parameters_memory"
    check "with convolutions: the first four" "$arm_packages" "${arm%% *}" \
        stack library "nn_train_batch nn_trainer_fit nn_predict nn_evaluate"
    check "with convolutions: the other three" "$arm_packages" "${arm%% *}" \
        stack library "nn_model_open_in nn_save_memory nn_load_parameters_memory"
    check "no dispatch" "$arm_packages" "${arm%% *}" dispatch
    check "symbols, Cortex-M0" "$arm_packages" "${arm%% *}" \
        symbols "$arm -mcpu=cortex-m0 -DNN_NO_FMA"
    check "symbols, Cortex-M4F" "$arm_packages" "${arm%% *}" symbols "$arm $m4f"
    check "no double, no division of 64 bits" "$arm_packages" "${arm%% *}" no_double
    check "as a sketch, Cortex-M4F" "$arm_packages" arm-none-eabi-g++ \
        sketch "arm-none-eabi-g++ -std=gnu++11 -Os -mthumb $m4f $picolibc"
    check "as a sketch, ATmega2560" "$avr_packages" avr-g++ \
        sketch "avr-g++ -std=gnu++11 -Os -mmcu=atmega2560 -DNN_NO_FMA"
    check "ATmega2560 without NN_NO_FMA" "$avr_packages" avr-gcc refused
    check "warnings, ATmega2560" "$avr_packages" avr-gcc \
        warnings "avr-gcc -std=gnu99 -Os -mmcu=atmega2560 -DNN_NO_FMA"
}

# budget_of_memory BYTES ROW: the blocks of the model and the trainer, as the firmware of that row
# printed them.
budget_of_memory()
{
    awk -F '\t' -v most="$1" -v row="$2" '$2 == row {
        split($3, column, " ")
        bytes = column[3]
        print bytes " of at most " most " bytes"
    }
    END { exit !(bytes && bytes <= most) }' "$work"/*/result
}

show_sizes()
{
    folder=$work/sizes
    mkdir -p "$folder"
    make_library
    for program in 1 2 "3 -DNN_NO_TRAIN" "4 -DNN_NO_TRAIN" "5 -DNN_NO_TRAIN"; do
        # shellcheck disable=SC2086
        weigh $program || return 1
        echo "program $program:"
        awk '{ sum += $1; printf "%6d  %s  %s\n", $1, $2, $3 }
            END { printf "%6d  in all\n", sum }' "$folder/weights"
    done
}

if [ "$wanted" = sizes ]; then
    show_sizes
    exit
fi
if first; then
    make_rows
    make_exported || exit 1
fi
for program in embedded embedded_smooth embedded_gesture embedded_image embedded_export; do
    for arithmetic in fma NN_NO_FMA; do
        row "$program.c on the PC, $arithmetic" make_expected $program $arithmetic
    done
done
check "the library" "$arm_packages" "${arm%% *}" make_library
run_rows
machines
cost
run_rows
check "RAM of model and trainer, Cortex-M4F" "$arm_packages" qemu-system-arm \
    budget_of_memory 900 Cortex-M4F
check "the same of gesture.c" "$arm_packages" qemu-system-arm \
    budget_of_memory 4000 "Cortex-M4F, gesture"
run_rows

# Flash: of the whole firmware. RAM: the blocks of model and trainer. The rest: instructions.
printf '%52s%s\n' "" "arithm.    flash   RAM   training  per row  predict"
finish
