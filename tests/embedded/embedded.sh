#!/bin/sh
# Firmware that trains on the device: sh tests/embedded/embedded.sh, from the repository root.
# Builds tests/embedded/embedded.c for microcontrollers and runs it in emulators: what it prints must be what
# the PC's build prints, to the last bit. Then what the header costs a microcontroller: code, memory
# and stack, against budgets; and what it must not have there. With the argument "sizes": what each
# function of tests/embedded/embedded_size.c's programs takes.
# One line for each machine and check. Installs nothing: what has no tools here is skipped, which
# with CI=true is a failure.
work=$PWD/build/embedded

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

# The exported functions that tests/embedded/embedded_export.c calls.
make_exported()
{
    ${CC:-cc} -O2 -DNATIVE -DWRITE -I. "-I$work" -o "$work/write.exe" tests/embedded/embedded_export.c -lm &&
        "$work/write.exe" "$work"
}

compared() { tr -d '\r' <"$1" | grep -v '^#'; }

# The text that PROGRAM must print, in each arithmetic.
make_expected()
{
    for arithmetic in fma NN_NO_FMA; do
        file=$work/$1.$arithmetic
        define=
        [ $arithmetic = fma ] || define=-D$arithmetic
        # shellcheck disable=SC2086
        ${CC:-cc} -O2 -DNATIVE "-DFOLDER=\"$work\"" $define -I. "-I$work" -o "$file.exe" "tests/embedded/$1.c" -lm &&
            "$file.exe" >"$file.text" && compared "$file.text" >"$file.expected" &&
            grep -q '^done' "$file.expected" || return 1
    done
}

# ---- A line of the table ------------------------------------------------------------------------

# Each line is a job of its own: it is run when its number is $wanted, in $folder.
begin()
{
    line=$((line + 1))
    [ "$line" = "$wanted" ] || return 1
    folder=$work/$line
    mkdir "$folder"
}

tell() { printf '%s\n' "$*" >"$work/$line.result"; }

# missing TOOLS NEEDS NAME: skips what has not all of its tools here.
missing()
{
    for tool in $1; do
        command -v "$tool" >/dev/null && continue
        tell "skipped: $3 (needs $2)"
        return 0
    done
    return 1
}

# note NAME: the number of a line "# NAME number" that the firmware printed, or 0.
note() { awk -v name="$1" '$2 == name { n = $3 + 0 } END { printf "%d", n }' "$folder/text"; }

# run PROGRAM ARITHMETIC EMULATOR: whether it ends well and prints what the PC printed.
run()
{
    emulate "$3" "$folder/a.elf" >"$folder/text" 2>"$folder/log"
    status=$?
    compared "$folder/text" >"$folder/compared"
    diff "$work/$1.$2.expected" "$folder/compared" >>"$folder/log" 2>&1 && [ $status -eq 0 ]
}

# machine NAME NEEDS ARITHMETIC PROGRAM COMPILE EMULATOR: builds tests/embedded/PROGRAM.c, runs it, compares
# what it prints with the PC's.
machine()
{
    begin || return 0
    ! missing "${5%% *} ${6%% *}" "$2" "$1" || return 0
    define=
    [ "$3" = fma ] || define=-D$3
    verdict=FAILED
    # shellcheck disable=SC2086
    $5 $define -I. "-I$work" -o "$folder/a.elf" "tests/embedded/$4.c" -lm >"$folder/log" 2>&1 &&
        run "$4" "$3" "$6" && verdict=ok
    flash=0 rows=1
    touch "$folder/text"
    [ "$(note rows)" -eq 0 ] || rows=$(note rows)
    [ ! -f "$folder/a.elf" ] ||
        flash=$("${5%%gcc *}size" "$folder/a.elf" | awk 'NR == 2 { print $1 + $2 }')
    tell "$(printf '%-20s %-9s %6d %5d %10s %8d %8s  %s' "$1" "$3" "$flash" \
        "$(($(note model_bytes) + $(note trainer_bytes)))" "$(note training)" \
        "$(($(note training) / rows))" "$(note prediction)" "$verdict")"
}

# check NAME NEEDS TOOLS FUNCTION...: a function that prints one line of what it measured, and
# returns 0 when that is as it should be; what is wrong goes to standard error.
check()
{
    begin || return 0
    name=$1 needs=$2 tools=$3
    shift 3
    ! missing "$tools" "$needs" "$name" || return 0
    verdict=FAILED
    "$@" >"$folder/line" 2>"$folder/log" && verdict=ok
    tell "$(printf '%-38s %-43s %s' "$name" "$(head -n 1 "$folder/line")" "$verdict")"
}

# ---- What the header costs ----------------------------------------------------------------------

# The header on its own. library COMPILE FLAGS...: to $folder/nn.o.
library()
{
    printf '#define NN_IMPLEMENTATION\n#include "nn.h"\n' >"$folder/library.c"
    compile=$1
    shift
    # shellcheck disable=SC2086
    $compile "$@" $bare -I. -c -o "$folder/nn.o" "$folder/library.c"
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

# weigh PROGRAM [FLAGS]: links a program of tests/embedded/embedded_size.c without any start-up, so that all
# in it but its own object is the header, or was pulled in by it.
weigh()
{
    program=$1
    shift
    compile="$arm $m4f $picolibc"
    # shellcheck disable=SC2086
    library "$compile" "$@" &&
        $compile "$@" "-DPROGRAM=$program" -I. -c -o "$folder/program.o" tests/embedded/embedded_size.c &&
        $compile $bare_link "-Wl,-Map=$folder/map" -o "$folder/a.elf" "$folder/program.o" \
            "$folder/nn.o" -lm &&
        flash_of "$folder/map" | sort -rn >"$folder/weights"
}
bare_link="-nostartfiles -Wl,-e,main $(memory 0 4M 0x20000000 4M)"

# The same in one file under NN_STATIC, as a sketch has it, where the compiler leaves out more: the
# bytes of all of it, the program itself too.
weigh_static()
{
    program=$1
    shift
    # shellcheck disable=SC2086
    $arm $m4f $picolibc "$@" "-DPROGRAM=$program" -DNN_IMPLEMENTATION -DNN_STATIC \
        $bare_link -I. -o "$folder/static.elf" tests/embedded/embedded_size.c -lm >&2 &&
        arm-none-eabi-size "$folder/static.elf" | awk 'NR == 2 { print $1 + $2 }'
}

# budget BYTES PROGRAM [FLAGS]: of the one file.
budget()
{
    most=$1
    shift
    weigh "$@" >&2 && size=$(weigh_static "$@") || return 1
    awk -v most="$most" -v size="$size" '
        { sum += $1 }
        END {
            printf "%d of at most %d bytes; an object %d\n", size, most, sum
            exit !(sum && size && size <= most)
        }' "$folder/weights" && return 0
    head -n 12 "$folder/weights" >&2
    return 1
}

# examples/microcontroller/xor.c: the command of the README beside it compiles it, and it learns.
readme_program()
{
    awk '/^    arm-none-eabi-gcc/ { on = 1 } on; on && !/\\$/ { exit }' \
        examples/microcontroller/README.md >"$folder/command"
    cp examples/microcontroller/xor.c nn.h "$folder"
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
        examples/microcontroller/xor.c -lm >&2 &&
        avr-size "$folder/a.elf" | awk 'NR == 2 {
            printf "%d bytes, RAM %d, without the stack\n", $1 + $2, $2 + $3
            exit !($1 + $2 <= 32256 && $2 + $3 <= 1400)
        }'
}

# The table of memory in examples/microcontroller/README.md must have each row as measured here.
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
        $arm $m4f $picolibc $bare "-DWIDTHS=$(echo $net | tr - ,)" -I. -c -o "$folder/a.o" \
            "$folder/sizes.c" >&2 || return 1
        row="| $net |"
        for array in open model sgd momentum adam; do
            row="$row $(arm-none-eabi-nm -S -t d "$folder/a.o" |
                awk -v name=$array '$4 == name { printf "%d", $2 }') |"
        done
        grep -qxF "$row" examples/microcontroller/README.md ||
            { echo "not in examples/microcontroller/README.md: $row" >&2; return 1; }
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

# The deepest path of calls from functions, in bytes, from gcc's graph of calls; no recursion, no
# stack of unknown size, no call by pointer but the callback's. The C library's own is not in it.
stack()
{
    library "$arm $m4f $picolibc" -fstack-usage -fcallgraph-info=su >&2 || return 1
    awk -v wanted="$1" '
    function field(key,   text) {
        if (!match($0, key ": \"[^\"]*\"")) return ""
        text = substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 4)
        sub(/^[^:]*:/, "", text)
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
    }' "$folder/nn.ci"
}

# No table of kernels, no look at the processor; no call by pointer but the callback's.
dispatch()
{
    library "$arm $m4f $picolibc" >&2 || return 1
    arm-none-eabi-nm "$folder/nn.o" >"$folder/symbols"
    grep -q ' T nn_trainer_fit$' "$folder/symbols" || return 1
    ! grep -E 'nn__(kernels|level|cpuid|find_kernels)|_(avx|neon|wasm)' "$folder/symbols" >&2 ||
        return 1
    arm-none-eabi-objdump -d --no-show-raw-insn "$folder/nn.o" | awk '
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

# No arithmetic in double and no division of 64 bits but in reading files, whose numbers may be so.
no_double()
{
    library "$arm $m4f $picolibc" >&2 || return 1
    arm-none-eabi-objdump -dr "$folder/nn.o" | awk '
    /^[0-9a-f]+ <.*>:$/ { name = substr($2, 2, length($2) - 3) }
    /R_ARM.*__aeabi_(d[a-z]|cd|f2d|u?l2d|u?i2d|u?ldiv)/ {
        if (name ~ /^nn__(read_real|read_scaling|take_number|tensor_is_finite)/) reading++
        else { print name ": " $3 >"/dev/stderr"; bad = 1 }
    }
    END { printf "%d calls, in reading files\n", reading; exit bad || !reading }'
}

# symbols COMPILE: what the header needs of others.
symbols()
{
    library "$1 $picolibc" >&2 || return 1
    "${1%%gcc *}nm" -u "$folder/nn.o" | awk '{ print $2 }' | sort -u >"$folder/needed"
    grep -vE '^(__|mem(cpy|set|cmp)$|str(len|cmp)$|sqrtf$|fmaf$)' "$folder/needed" >"$folder/others"
    echo "$(grep -vc '^__' "$folder/needed") functions of the C library"
    ! grep . "$folder/others" >&2
}

# warnings COMPILE: the firmware, and a program that only predicts, without a warning.
warnings()
{
    # shellcheck disable=SC2086
    $1 -Wall -Wextra -Werror -I. "-I$work" -c -o "$folder/a.o" tests/embedded/embedded.c >&2 &&
        $1 -Wall -Wextra -Werror -DNN_NO_TRAIN -DPROGRAM=4 -DNN_IMPLEMENTATION -DNN_STATIC \
            -Wno-unused-function -I. -c -o "$folder/b.o" tests/embedded/embedded_size.c >&2 &&
        echo "no warning"
}

# Where double has 32 bits, no fma can be computed: the compiler says what to define.
refused()
{
    ! avr-gcc -std=gnu99 -Os -mmcu=atmega2560 $bare -I. "-I$work" -fsyntax-only tests/embedded/embedded.c \
        2>"$folder/message" && grep -q 'define NN_NO_FMA' "$folder/message" && echo "refused"
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
    machine "Cortex-M0, exported" "$arm_packages" NN_NO_FMA embedded_export \
        "$arm -mcpu=cortex-m0 $hosted $(memory 0 256k 0x20000000 16k)" "qemu-system-arm -M microbit"
    machine "Cortex-M4F, exported" "$arm_packages" fma embedded_export \
        "$arm $m4f $hosted $mps2" "qemu-system-arm -M mps2-an386"
    machine "ATmega2560, exported" "$avr_packages" NN_NO_FMA embedded_export \
        "$avr -mmcu=atmega2560" "simavr -m atmega2560 -f 16000000"
}
mps2=$(memory 0 4M 0x20000000 4M)
programs="embedded embedded_export" # those that the machines run

cost()
{
    check "create, nn_train_batch, predict" "$arm_packages" "${arm%% *}" budget 6500 1
    check "create, nn_trainer_fit, nn_evaluate" "$arm_packages" "${arm%% *}" budget 10000 2
    check "create, predict under NN_NO_TRAIN" "$arm_packages" "${arm%% *}" \
        budget 3000 3 -DNN_NO_TRAIN
    check "open a file in flash, predict" "$arm_packages" "${arm%% *}" budget 3000 4 -DNN_NO_TRAIN
    check "an exported function's code" "$arm_packages" "${arm%% *}" exported
    check "examples/microcontroller/xor.c" "$arm_packages" "${arm%% *} qemu-system-arm" readme_program
    check "the same, ATmega328P" "$avr_packages" "${avr%% *}" readme_uno
    check "its README's table of memory" "$arm_packages" "${arm%% *}" readme_memory
    check "stack: nn_train_batch, nn_trainer_fit" "$arm_packages" "${arm%% *}" \
        stack "nn_train_batch nn_trainer_fit"
    check "stack: nn_predict, nn_evaluate" "$arm_packages" "${arm%% *}" \
        stack "nn_predict nn_evaluate"
    check "stack: nn_model_open_in" "$arm_packages" "${arm%% *}" stack nn_model_open_in
    check "stack: saving to, loading from memory" "$arm_packages" "${arm%% *}" \
        stack "nn_save_memory nn_load_parameters_memory"
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

# The blocks of the model and the trainer, as the Cortex-M4F's firmware printed them.
budget_of_memory()
{
    awk -v most=900 '$1 == "Cortex-M4F" {
        good = $4 && $4 <= most
        printf "%-38s %-43s %s\n", "RAM of model and trainer, Cortex-M4F",
            $4 " of at most " most " bytes", good ? "ok" : "FAILED"
    }' "$work"/*.result
}

# ---- Run: this script again for each line of the table, as many at a time as there are cores ----

show_sizes()
{
    for program in 1 2 "3 -DNN_NO_TRAIN" "4 -DNN_NO_TRAIN"; do
        folder=$work/sizes
        mkdir -p "$folder"
        # shellcheck disable=SC2086
        weigh $program || return 1
        echo "program $program:"
        awk '{ sum += $1; printf "%6d  %s  %s\n", $1, $2, $3 }
            END { printf "%6d  in all\n", sum }' "$folder/weights"
    done
}

wanted=$1
unset CFLAGS CPPFLAGS LDFLAGS NN_BACKEND
if [ "$wanted" = sizes ]; then
    mkdir -p "$work"
    show_sizes
    exit
fi
line=0
machines
machine_lines=$line
cost
[ -z "$wanted" ] || exit 0

rm -rf "$work"
mkdir -p "$work" || exit 1
make_rows
make_exported || exit 1
for program in $programs; do
    make_expected "$program" && continue
    echo "FAILED tests/embedded/$program.c on the PC"
    exit 1
done
seq "$line" | xargs -n 1 -P "$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)" sh "$0"

# Flash: of the whole firmware. RAM: the blocks of model and trainer. The rest: instructions.
echo "machine              arithm.    flash   RAM   training  per row  predict"
number=0
while [ $number -lt $line ]; do
    number=$((number + 1))
    cat "$work/$number.result"
    ! grep -q 'FAILED$' "$work/$number.result" || tail -n 14 "$work/$number/log" | sed 's/^/    /'
    [ $number -ne "$machine_lines" ] || budget_of_memory | tee "$work/memory"
done
mv "$work/memory" "$work/memory.result"

count() { cat "$work"/*.result | grep -cE "$1"; }
failed=$(count 'FAILED$')
skipped=$(count '^skipped')
passed=$(count 'ok$')
echo "embedded: $passed passed, $failed failed, $skipped skipped"
[ "$((passed + failed + skipped))" -ge "$line" ] || exit 1
[ "$CI" != true ] || [ "$skipped" -eq 0 ] || exit 1
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
