#!/bin/sh
# The library for Arduino, PlatformIO and ESP-IDF: sh tests/platform/arduino.sh, from the repository
# root. What make arduino writes must follow the published rules of the three registries, pass the
# checks of PlatformIO and of ESP-IDF's component manager, and be the same bytes each time. Every
# sketch is compiled without a warning for the PC and for Cortex-M0 and M4F behind a stand-in for
# Arduino.h, and by Arduino's builder with Arduino's core for an Uno and a Mega; all must print the
# same, in emulators. gesture.ino is too large for an Uno, and runs too long in a Mega's emulator:
# embedded.sh runs its training there.
# Installs nothing: what has no tools here is skipped, which with CI=true is a failure. The checks
# of the registries are in build/venv-arduino: make build/venv-arduino/installed.
suite=arduino-test
. tests/platform/jobs.sh
library=$PWD/build/arduino/nn
python=$PWD/build/venv-arduino/bin
version=$(awk -F '"' '/define NN_VERSION +"/ { print $2; exit }' nn.h)
zip=$PWD/build/nn-$version.zip
sketches="xor stored exported gesture"
tab=$(printf '\t')

# The second time is under another mask, in another time zone and language, over a file that was
# left behind.
make_library()
{
    make arduino && cp "$zip" "$work/first.zip" && touch "$library/src/left.h" &&
        (umask 077 && TZ=Asia/Tokyo LC_ALL=C.UTF-8 make arduino)
}

# ---- What the registries ask for ----------------------------------------------------------------

same_zip()
{
    needs unzip unzip
    cmp "$work/first.zip" "$zip" >&2
    (cd "$folder" && unzip -q "$zip")
    diff -r "$folder/nn" "$library" >&2
    [ "$(ls "$folder/nn")" = "$(ls "$library")" ]
    echo "$(wc -c <"$zip") bytes, $(find "$folder/nn" -type f | wc -l) files"
}

# complain TEXT: the row fails.
complain()
{
    echo "$1" >&2
    return 1
}

# property NAME: its value in library.properties.
property() { sed -n "s/^$1=//p" "$library/library.properties"; }

# Arduino's library specification, revision 2.2, and what its Library Manager demands besides.
arduino_properties()
{
    file=$library/library.properties
    for name in name version author maintainer sentence paragraph category url architectures; do
        [ "$(grep -c "^$name=[^ ].*[^ ]\$\|^$name=[^ ]\$" "$file")" -eq 1 ] ||
            complain "library.properties has not one line $name=..."
    done
    fields="name|version|author|maintainer|sentence|paragraph|category|url|architectures|includes"
    ! grep -vE "^($fields)=" "$file" >&2 || complain "an unknown line in library.properties"
    name=$(property name)
    # Letters, digits and _.- only, at most 16; "Arduino" and "library" are not wanted in names.
    echo "$name" | grep -qE '^[A-Za-z][A-Za-z0-9_.-]{0,15}$' || complain "the name $name"
    ! echo "$name" | grep -qiE 'arduino|library' || complain "the name $name"
    [ "$name" = "$(basename "$library")" ] || complain "the folder has another name than $name"
    [ -f "$library/src/$name.h" ] || complain "no header is called $name.h"
    [ "$(property version)" = "$version" ] || complain "the version is not that of nn.h"
    echo "$version" | grep -qE '^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}$' || complain "$version"
    ! property maintainer | grep -qi arduino || complain "the maintainer's name"
    case $(property paragraph) in
    "$(property sentence)"*) complain "the paragraph repeats the sentence" ;;
    esac
    printf '%s\n' Display Communication "Signal Input/Output" Sensors "Device Control" Timing \
        "Data Storage" "Data Processing" Other | grep -qxF "$(property category)" ||
        complain "no such category"
    property url | grep -qE '^https?://[^ ]+\.[^ ]+$' || complain "the url"
    [ "$(property architectures)" = "*" ] || complain "the architectures"
    for header in $(property includes | tr ',' ' '); do
        [ -f "$library/src/$header" ] || complain "no src/$header"
    done
    echo "name $name, version $version"
}

# Folders as Arduino wants them; nothing that its Library Manager refuses.
arduino_folders()
{
    for file in LICENSE README.md keywords.txt library.properties src/nn.h; do
        [ -s "$library/$file" ] || complain "no $file"
    done
    cmp nn.h "$library/src/nn.h" >&2
    cmp LICENSE "$library/LICENSE" >&2
    [ -z "$(find "$library" ! -type f ! -type d)" ] || complain "a link"
    [ -z "$(find "$library" -name '*.exe' -o -name '.*' ! -name .)" ] || complain "hidden or .exe"
    (cd "$library/examples" && find . -mindepth 1 -type d | sort) >"$folder/found"
    printf './%s\n' $sketches | sort | diff - "$folder/found" >&2
    for sketch in $sketches; do
        [ -f "$library/examples/$sketch/$sketch.ino" ] || complain "no $sketch.ino"
        [ "$(find "$library/examples/$sketch" -name '*.ino' | wc -l)" -eq 1 ] || complain "$sketch"
    done
    ! grep -rnE "@[a-z]+@|$tab" "$library" --include='*.md' --include='*.json' --include='*.yml' \
        --include='*.ino' --include=library.properties >&2
}

# One tab between a word and its kind; every public function, and only words of the header.
arduino_keywords()
{
    ! grep -vE "^[A-Za-z0-9_]+$tab(KEYWORD1|KEYWORD2|LITERAL1)\$" "$library/keywords.txt" >&2 ||
        return 1
    cut -f 1 "$library/keywords.txt" | sort >"$folder/words"
    [ -z "$(uniq -d "$folder/words")" ] || return 1
    grep -Eo '[A-Za-z_0-9]+' nn.h | sort -u | comm -23 "$folder/words" - >"$folder/unknown"
    ! grep . "$folder/unknown" >&2 || return 1
    sed -n "s/^#define \(nn_[a-z_0-9]*\) *NN__LINKED.*/\1${tab}KEYWORD2/p" nn.h |
        sort >"$folder/functions"
    grep KEYWORD2 "$library/keywords.txt" | sort | diff "$folder/functions" - >&2
    for word in nn_model nn_options nn_layer; do
        grep -qx "$word${tab}KEYWORD1" "$library/keywords.txt" || complain "$word"
    done
    for word in NN_OK NN_DENSE NN_RELU NN_ADAM NN_MODEL_SIZE NN_ZERO; do
        grep -qx "$word${tab}LITERAL1" "$library/keywords.txt" || complain "$word"
    done
    echo "$(wc -l <"$folder/words") words, $(wc -l <"$folder/functions") functions"
}

# PlatformIO's library.json: the fields that it demands, and that they say the same as Arduino's.
platformio_fields()
{
    needs python3 python3
    python3 - "$library" "$version" <<'END_OF_PYTHON'
import json, os, sys
folder, version = sys.argv[1:]
with open(folder + "/library.json") as file:
    fields = json.load(file)
unknown = set(fields) - {"name", "version", "description", "keywords", "homepage", "authors",
                         "license", "headers", "frameworks", "platforms"}
assert not unknown, unknown
assert fields["name"] == "nn" and fields["version"] == version, fields
assert 0 < len(fields["description"]) <= 255, len(fields["description"])
assert fields["license"] == "MIT" and fields["headers"] == "nn.h"
assert all(word == word.lower() and len(word) <= 50 for word in fields["keywords"])
assert len(set(fields["keywords"])) == len(fields["keywords"])
assert os.path.exists(folder + "/src/" + fields["headers"])
with open(folder + "/library.properties") as file:
    assert "url=" + fields["homepage"] + "\n" in file
print(len(fields), "fields")
END_OF_PYTHON
}

# Its own parser and packer.
platformio_pack()
{
    needs "$python/pio" "platformio from PyPI"
    PLATFORMIO_CORE_DIR=$folder "$python/python" tests/platform/arduino.py "$library" \
        "$folder/nn.tar.gz" >&2
    tar tzf "$folder/nn.tar.gz" | sed 's,^\./,,; /\/$/d' | sort >"$folder/packed"
    grep -qx src/nn.h "$folder/packed"
    grep -qx examples/xor/xor.ino "$folder/packed"
    cp -R "$library" "$folder/nn"
    sed 's/"MIT"/"none"/' "$library/library.json" >"$folder/nn/library.json"
    ! PLATFORMIO_CORE_DIR=$folder "$python/python" tests/platform/arduino.py "$folder/nn" \
        "$folder/wrong.tar.gz" >"$folder/message" 2>&1 || return 1
    grep 'Invalid SPDX license' "$folder/message" >&2
    echo "$(wc -l <"$folder/packed") files"
}

# ESP-IDF: its component manager takes the folder without a warning.
idf_pack()
{
    needs "$python/compote" "idf-component-manager from PyPI"
    mkdir "$folder/home"
    IDF_TOOLS_PATH=$folder/home "$python/compote" -W component pack --name nn \
        --project-dir "$library" --dest-dir "$folder/dist" >&2
    tar tzf "$folder/dist/nn_$version.tgz" >"$folder/packed"
    grep -q 'src/nn.h$' "$folder/packed"
    grep -q 'CMakeLists.txt$' "$folder/packed"
    grep -c '[^/]$' "$folder/packed" | sed 's/$/ files/'
}

# Its build calls one function of ESP-IDF, whose folders must be there.
idf_register()
{
    needs cmake cmake
    cat >"$folder/check.cmake" <<'END_OF_CMAKE'
function(idf_component_register)
    cmake_parse_arguments(component "" "" "INCLUDE_DIRS" ${ARGN})
    if(component_UNPARSED_ARGUMENTS OR NOT EXISTS "${LIBRARY}/${component_INCLUDE_DIRS}/nn.h")
        message(FATAL_ERROR "${ARGN}")
    endif()
    message("include ${component_INCLUDE_DIRS}")
endfunction()
include("${LIBRARY}/CMakeLists.txt")
END_OF_CMAKE
    cmake -DLIBRARY="$library" -P "$folder/check.cmake" 2>&1 | grep '^include src$'
    grep -qx "version: \"$version\"" "$library/idf_component.yml"
}

# ---- Sketches -----------------------------------------------------------------------------------

# compile COMPILE SKETCH: behind the stand-in, without a warning; C++ of 2011, as Arduino's AVR
# boards have it.
compile()
{
    # shellcheck disable=SC2086
    $1 -x c++ -std=gnu++11 -Wall -Wextra -Werror -include tests/platform/sketch.h \
        "-I$library/src" -c -o "$folder/$2.o" "$library/examples/$2/$2.ino" >&2
}

# What all sketches print on the PC.
on_pc()
{
    needs "${CXX:-c++}" g++
    for sketch in $sketches; do
        compile "${CXX:-c++} -O1 -DNN_NO_SIMD -Wpedantic" $sketch
        ${CXX:-c++} -o "$folder/$sketch.elf" "$folder/$sketch.o" -lm
        "$folder/$sketch.elf" >"$work/$sketch.expected"
        [ "$(tail -n 1 "$work/$sketch.expected")" = "done" ] || complain "$sketch"
    done
    cmp "$work/stored.expected" "$work/exported.expected" >&2
    grep -qx '1 xor 1 = 0\.0[0-9]*' "$work/xor.expected"
    grep -qx '1 xor 0 = 0\.9[0-9]*' "$work/xor.expected"
    grep -qx 'correct test rows: 5[4-9]' "$work/gesture.expected"
    grep -c 'probability of virginica: [01]\.[0-9]*' "$work/stored.expected" |
        sed 's/$/ probabilities/'
}

# cortex MACHINE OPTIONS: in an emulator.
cortex()
{
    needs "arm-none-eabi-g++ qemu-system-arm" \
        "gcc-arm-none-eabi picolibc-arm-none-eabi qemu-system-arm"
    machine=$1
    shift
    memory=-Wl,--defsym=__flash=0,--defsym=__flash_size=256k,--defsym=__ram=0x20000000
    memory=$memory,--defsym=__ram_size=16k,--defsym=__stack_size=2k
    sizes=
    for sketch in $sketches; do
        compile "arm-none-eabi-g++ -Os -mthumb $* -fno-exceptions -fno-rtti -ffunction-sections
            -fdata-sections --specs=picolibc.specs" $sketch
        # As C: picolibc has no library of C++, which sketches do not need.
        # shellcheck disable=SC2086
        arm-none-eabi-gcc -mthumb "$@" -Wl,--gc-sections --specs=picolibc.specs --crt0=hosted \
            --oslib=semihost $memory -o "$folder/$sketch.elf" "$folder/$sketch.o" -lm >&2
        timeout 60 qemu-system-arm -M "$machine" -nographic -monitor none -serial none \
            -semihosting-config enable=on,chardev=c0 -chardev stdio,id=c0 \
            -kernel "$folder/$sketch.elf" </dev/null >"$folder/$sketch.output" 2>&1
        tr -d '\r' <"$folder/$sketch.output" | diff "$work/$sketch.expected" - >&2
        sizes="$sizes $(arm-none-eabi-size "$folder/$sketch.elf" | awk 'NR == 2 { print $1 + $2 }')"
    done
    echo "flash$sizes"
}

# arduino BOARD PROCESSOR: as Arduino's IDE builds a sketch, its prototypes and libraries found by
# Arduino's builder, with Arduino's core for AVR; then in an emulator. Neither the library nor the
# sketch may give a warning. Debian's avr-gcc lacks one name that this core needs.
arduino()
{
    needs "arduino-builder simavr" "arduino-builder arduino-core-avr simavr"
    hardware=/usr/share/arduino/hardware
    [ -d $hardware/arduino/avr ] || skip arduino-core-avr
    sizes=
    for sketch in $sketches; do
        [ "$1,$sketch" != uno,gesture ] || continue
        mkdir -p "$folder/$sketch"
        arduino-builder -compile -hardware $hardware -hardware /usr/share/arduino-builder \
            -tools /usr/bin -tools /usr/share/arduino-builder -fqbn "arduino:avr:$1" \
            -libraries "$(dirname "$library")" -build-path "$folder/$sketch" -warnings all \
            -prefs=compiler.cpp.extra_flags=-DDECIMAL_DIG=__DECIMAL_DIG__ \
            "$library/examples/$sketch/$sketch.ino" >"$folder/$sketch.log" 2>&1 ||
            { cat "$folder/$sketch.log" >&2; return 1; }
        ! grep -E '(nn\.h|\.ino|flower[_a-z]*\.h):[0-9]+:.*(warning|error)' \
            "$folder/$sketch.log" >&2 || return 1
        program=$folder/$sketch/$sketch.ino.elf
        if [ $sketch != gesture ]; then
            simulate "$2" "$program" >"$folder/$sketch.output"
            diff "$work/$sketch.expected" "$folder/$sketch.output" >&2
        fi
        sizes="$sizes $(avr-size "$program" | awk 'NR == 2 { print $1 + $2 "+" $2 + $3 }')"
    done
    echo "flash+RAM$sizes"
}

# simulate PROCESSOR PROGRAM: what it prints up to "done". A sketch never ends, nor does the
# emulator, which therefore is ended here.
simulate()
{
    simavr -m "$1" -f 16000000 "$2" </dev/null >"$2.raw" 2>&1 &
    simulator=$!
    seconds=0
    while ! grep -q done "$2.raw" && [ $seconds -lt 60 ] && kill -0 $simulator 2>/dev/null; do
        sleep 1
        seconds=$((seconds + 1))
    done
    kill $simulator 2>/dev/null || true
    wait $simulator 2>/dev/null || true
    # It colours what the serial port sends, and shows a line's two last characters as dots.
    awk '{ gsub(/\033\[[0-9;]*m/, "") } sub(/\.\.$/, "")' "$2.raw"
}

# size PROGRAM flash|RAM [TOOL]: in kB, with one decimal.
size()
{
    "${3:-avr-size}" "$1" | awk -v wanted="$2" \
        'NR == 2 { printf "%.1f kB", (wanted == "flash" ? $1 + $2 : $2 + $3) / 1000 }'
}

# readme_sizes: what the two READMEs tell of the Uno (for gesture of the Mega), and one of them of a
# Cortex-M4F.
readme_sizes()
{
    needs "avr-size arm-none-eabi-size" "binutils-avr binutils-arm-none-eabi"
    for sketch in $sketches; do
        avr=$work/$uno/$sketch/$sketch.ino.elf
        [ $sketch != gesture ] || avr=$work/$mega/$sketch/$sketch.ino.elf
        arm=$work/$m4f/$sketch.elf
        [ -f "$avr" ] && [ -f "$arm" ] || skip "the programs of an Uno and a Cortex-M4F"
        flash=$(size "$avr" flash)
        grep -q "^| $sketch .*| $flash |\$" "$library/README.md" ||
            complain "README.md of the library: $sketch takes $flash"
        row="| $flash | $(size "$avr" RAM) | $(size "$arm" flash arm-none-eabi-size) |"
        grep -q "^| $sketch .*$row\$" examples/packaging/README.md ||
            complain "examples/packaging/README.md: $sketch $row"
    done
    echo "$(echo "$sketches" | wc -w) rows"
}

# ---- The table ----------------------------------------------------------------------------------

if first && ! make_library >"$work/log" 2>&1; then
    cat "$work/log"
    echo "arduino: make arduino has failed"
    exit 1
fi
row "sketches on the PC" on_pc
run_rows
row "an Uno" arduino uno atmega328p
uno=$rows
row "a Mega" arduino mega:cpu=atmega2560 atmega2560
mega=$rows
row "Cortex-M0" cortex microbit -mcpu=cortex-m0
row "Cortex-M4F" cortex mps2-an386 -mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16
m4f=$rows
row "PlatformIO's packer" platformio_pack
row "ESP-IDF's component manager" idf_pack
row "the zip, twice" same_zip
row "library.properties" arduino_properties
row "folders" arduino_folders
row "keywords.txt" arduino_keywords
row "library.json" platformio_fields
row "ESP-IDF's CMakeLists.txt" idf_register
run_rows
row "sizes in the READMEs" readme_sizes
run_rows
finish
