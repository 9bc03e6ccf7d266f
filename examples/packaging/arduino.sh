#!/bin/sh
# Makes the folder build/arduino/nn and, from it, build/nn-VERSION.zip: a library for Arduino,
# PlatformIO and ESP-IDF. make arduino runs it from the repository root, as sh
# examples/packaging/arduino.sh VERSION HOMEPAGE. The zip has the same bytes each time, wherever it
# is made. Needs zip.
set -eu
version=$1
homepage=$2
templates=examples/packaging
library=build/arduino/nn
zip=build/nn-$version.zip
model=build/iris2.safetensors

command -v zip >/dev/null || { echo "make arduino needs zip" >&2; exit 1; }

rm -rf "$library"
mkdir -p "$library/src" "$library/examples"
cp nn.h "$library/src/nn.h"
cp LICENSE "$library/LICENSE"
cp $templates/idf_CMakeLists.txt "$library/CMakeLists.txt"
cp $templates/library_README.md "$library/README.md"
for sketch in $templates/sketches/*; do
    cp -R "$sketch" "$library/examples/"
done
cp examples/microcontroller/gestures.h "$library/examples/gesture/"
for file in library.properties library.json idf_component.yml; do
    sed "s|@version@|$version|g; s|@homepage@|$homepage|g" $templates/$file.in >"$library/$file"
done

# The words that Arduino's editor colours: types, functions, constants. NN__LINKED lists functions.
awk '
/Users stop here/ { exit }
/^#define nn_[a-z_0-9]+ +NN__LINKED/ { print $2 "\tKEYWORD2" }
/^} nn_[a-z_]+;$/ { sub(/;/, ""); print $2 "\tKEYWORD1" }
/^typedef struct nn_[a-z]+ nn_[a-z]+;$/ { sub(/;/, ""); print $4 "\tKEYWORD1" }
/^typedef NN_REAL nn_real;$/ { print "nn_real\tKEYWORD1" }
/^    NN_[A-Z0-9_]+( = 0)?,?( |$)/ && !/_COUNT/ { sub(/,.*/, "", $1); print $1 "\tLITERAL1" }
/^#define NN_(DENSE|IMAGE|CON|MAX|AVERAGE|GLOBAL|MODEL_|TRAINER_|ZERO|NO_TARGET)[A-Z0-9_]*[( ]/ {
    sub(/\(.*/, "", $2)
    print $2 "\tLITERAL1"
}' nn.h | LC_ALL=C sort -u >"$library/keywords.txt"

# A model that iris2.c has trained, as C source and as the bytes of its file.
build/export "$model" "$library/examples/exported/flower.c" flower >/dev/null
mv "$library/examples/exported/flower.c" "$library/examples/exported/flower.h"
{
    echo '/* The bytes of a saved model, in flash. */'
    echo '#ifdef __AVR__'
    echo '#include <avr/pgmspace.h>'
    echo '#else'
    echo '#define PROGMEM'
    echo '#endif'
    echo 'static const unsigned char flower_model[] PROGMEM = {'
    od -An -v -tu1 "$model" | sed 's/^ */    /; s/\([0-9]\)  */\1, /g; s/ *$//; s/\([0-9]\)$/\1,/'
    echo '};'
} >"$library/examples/stored/flower_model.h"

# All that a zip says of a file beside its bytes: name, order, time, permissions.
find "$library" -type d -exec chmod 755 {} +
find "$library" -type f -exec chmod 644 {} +
find "$library" -exec env TZ=UTC touch -t 198001010000 {} +
rm -f "$zip"
(cd build/arduino && find nn -type f | LC_ALL=C sort | TZ=UTC zip -q -X -D -@ "../nn-$version.zip")
echo "$library"
echo "$zip"
