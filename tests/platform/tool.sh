#!/bin/sh
# The command-line tool, examples/nn.c, as its users call it: sh tests/platform/tool.sh [PROGRAM],
# from the repository root, after make. Each check prints a line; the last line counts them.
cc=${CC:-cc}
work=$PWD/build/tool
data=$PWD/examples/data
nn=$(cd "$(dirname "${1:-build/nn}")" && pwd)/$(basename "${1:-build/nn}")
passed=0 failed=0

rm -rf "$work"
mkdir -p "$work" && cd "$work" || exit 1
[ -x "$nn" ] || { echo "tool: no $nn: run make first"; exit 1; }

# tell NAME: whether the last command succeeded.
tell()
{
    if [ $? -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "tool: $1: FAILED"
        sed 's/^/    /' out err 2>/dev/null | head -n 30
    fi
}

# runs CODE ARGUMENT...: the exit code of the tool, whose output goes to out and err.
runs()
{
    expected=$1
    shift
    "$nn" "$@" >out 2>err </dev/null
    code=$?
    [ $code -eq "$expected" ] || { echo "exit code $code: nn $*" >>err; return 1; }
}

# has FILE LINE...: whole lines of the file.
has()
{
    file=$1
    shift
    for line in "$@"; do
        grep -qxF -e "$line" "$file" || { echo "no line: $line" >>err; return 1; }
    done
}

# says TEXT: within standard error.
says()
{
    grep -qF -e "$1" err || { echo "not said: $1" >>err; return 1; }
}

# reads NAME "ARGUMENT..." LINE...: what nn info prints of the table NAME.
reads()
{
    name=$1 arguments=$2
    shift 2
    # shellcheck disable=SC2086
    runs 0 info "$name" $arguments && has out "$@"
    tell "info $name $arguments"
}

# refuses CODE TEXT ARGUMENT...: with that exit code and message, and nothing on standard output.
refuses()
{
    code=$1 text=$2
    shift 2
    runs "$code" "$@" && says "$text" && [ ! -s out ]
    tell "nn $* is refused"
}

# ---- The command line ---------------------------------------------------------------------------

help_fits()
{
    runs 0 "$@" && [ -s out ] && [ ! -s err ] &&
        awk 'length > 83 { bad = 1 } END { exit bad || NR > 24 }' out
}

for verb in train evaluate predict tune info export; do
    help_fits $verb --help
    tell "help for $verb"
    runs 0 --help && grep -q "  nn $verb" out
    tell "nn --help names $verb"
done
help_fits --help
tell "nn --help"
runs 2 && [ ! -s out ] && [ -s err ]
tell "nn without a verb"

refuses 2 "no verb 'fly'" fly
refuses 2 "no option '--targt'" train x.csv --targt y
refuses 2 "no option '--layers'" predict m.safetensors x.csv --layers 3
refuses 2 "needs a file" train
refuses 2 "needs a model and a table" predict m.safetensors
refuses 2 "one file too many" train a.csv b.csv
refuses 2 "--seed needs a value" train a.csv --seed
refuses 2 "--seed is given twice" train a.csv --seed 1 --seed=2
refuses 2 "--quiet takes no value" train a.csv --quiet=1
refuses 2 "expected a whole number from 1 to 1000000, found '0'" train a.csv --epochs 0
refuses 2 "found '2.5'" train a.csv --batch 2.5
refuses 2 "found 'nan'" train a.csv --rate nan
refuses 2 "found '1x'" train a.csv --rate 1x
refuses 2 "expected one of: relu leaky_relu" train a.csv --activation rely
refuses 2 "found '32,,16'" train "$data/tents.csv" --layers 32,,16
refuses 2 "found '0'" train "$data/tents.csv" --layers 0
refuses 2 "--delimiter: expected one character" train a.csv --delimiter ::
refuses 2 "--header and --no-header" train a.csv --header --no-header
refuses 2 "--seconds and --trials" tune a.csv --seconds 1 --trials 1
refuses 2 "one of --c, --int8, --onnx" export m.safetensors
refuses 1 "no.csv: the file cannot be opened" train no.csv
refuses 1 "no.safetensors: the file cannot be opened" evaluate no.safetensors no.csv

# ---- Tables that are read as they should be -----------------------------------------------------

printf '1,14.2,1.7\n2,12.4,0.9\n3,13.1,2.0\n1,13.9,1.8\n' >class_first.csv
reads class_first.csv "--target 1 --no-header --task classes" "rows       4" \
    "inputs     2 of the network" "target     1: 3 classes: 1, 2, 3" "    13.1 2 -> 3"

printf 'a,b\n1,2\n4,5\n' >unlabelled.csv
runs 0 info unlabelled.csv --target "" && has out "rows       2" "    1 2" "    4 5" &&
    ! grep -q target out
tell "a table without a target"
refuses 2 "nothing to predict" train unlabelled.csv --target ""

printf 'NA,NA,1\n2,3,4\n4,5,6\n' >missing.csv
refuses 1 "missing.csv, line 1, column 1: expected a cell that is not missing, found 'NA'" \
    info missing.csv --missing error
reads missing.csv "--missing drop" "rows       2, and 1 left out" "    2 3 -> 4" "    4 5 -> 6"
reads missing.csv "" "rows       3, 2 missing cells filled in" "    3 4 -> 1" "    2 3 -> 4"

printf 'x,y\n0.5,1\n0.7,1.0\n0.9,0\n0.2,0.0\n' >equal.csv
reads equal.csv "--task classes" "rows       4" "target     y: 2 classes: 0, 1" \
    "    0.7 -> 1" "    0.2 -> 0"

printf 'x,y\n0.5,yes\n0.7,no\n0.9,NA\n0.2,yes\n' >label_na.csv
refuses 1 "label_na.csv, line 4, column 2: expected" info label_na.csv
reads label_na.csv "--bad drop" "rows       3, and 1 left out" "target     y: 2 classes: no, yes"

printf '0,1,2,label\n5.1,3.5,1.4,0\n4.9,3.0,1.3,1\n6.0,2.2,4.0,0\n' >numeric.csv
reads numeric.csv "" "rows       3" "target     label: number" "    5.1 3.5 1.4 -> 0"

printf '  1 -2.5  0.3   a\n 10  3.0 -1.1   b\n' >blanks.csv
reads blanks.csv "--delimiter blanks --no-header" "rows       2" "target     4: 2 classes: a, b" \
    "    1 -2.5 0.3 -> a" "    10 3 -1.1 -> b"

printf 'a,b,c\r1,2,5\r3,4,6\r' >cr.csv
reads cr.csv "" "rows       2" "    1 2 -> 5" "    3 4 -> 6"

printf 'a;b;y\n1,5;2,0;3,1\n4,5;5,0;6,2\n' >comma.csv
reads comma.csv "--delimiter ; --decimal ," "rows       2" "    1.5 2 -> 3.1" "    4.5 5 -> 6.2"

printf '1;2;3;;\n4;5;6;;\n;;;;\n' >trailing.csv
reads trailing.csv "--delimiter ;" "rows       2" "    1 2 -> 3" "    4 5 -> 6"

printf 'a,b,y\n1,2,3\n4,5,6\n,,\n,,\n' >empty_rows.csv
reads empty_rows.csv "" "rows       2" "    1 2 -> 3" "    4 5 -> 6"

printf 'a,b,y\nTrue,2,3\nFalse,5,6\n' >bools.csv
reads bools.csv "" "rows       2" "    1 2 -> 3" "    0 5 -> 6"

printf '\377\3761\000,\0002\000,\0005\000\n\000' >utf16.csv
refuses 1 "UTF-16" info utf16.csv

printf '%%%% c\n@relation t\n@attribute a numeric\n@attribute y {p,q}\n@data\n1,p\n2,q\n' >weka.arff
reads weka.arff "--comment %@ --no-header" "rows       2" "target     2: 2 classes: p, q" \
    "    1 -> p" "    2 -> q"

awk 'BEGIN { print "a,y"; for (i = 0; i < 30; i++) print i "," i % 3 }' >few.csv
reads few.csv "" "target     y: 3 classes: 0, 1, 2"
runs 0 info few.csv && says "3 different whole numbers"
tell "a target of few whole numbers is classes, with a message"
reads few.csv "--task regression" "target     y: number"
refuses 1 "--ignore leaves" info "$data/houses.csv"
refuses 1 "the target has text" info label_na.csv --task regression --bad drop

if command -v python3 >/dev/null; then
    mkdir made && python3 "$data/tables.py" made && cmp made/parcels.csv "$data/parcels.csv" &&
        cmp made/tents.csv "$data/tents.csv" && cmp made/houses.csv "$data/houses.csv"
    tell "tables.py writes the bundled tables"
fi

# ---- Training -----------------------------------------------------------------------------------

refuses 1 "missing/m.safetensors" train "$data/parcels.csv" --target late --ignore parcel,label \
    -o missing/m.safetensors
! grep -q Epoch err # before the training, not after it
tell "a path that cannot be written is found before the training"

parcels="--target late --ignore parcel,label --epochs 12"
mkdir -p a b
# shellcheck disable=SC2086
train()
{
    folder=$1
    shift
    (cd "$folder" && cp "$data/parcels.csv" . && "$@" train parcels.csv $parcels -o m.safetensors \
        >out 2>err)
}

train a "$nn" && train b "$nn" && cmp a/m.safetensors b/m.safetensors && cmp a/m.svg b/m.svg &&
    cmp a/out b/out
tell "training twice gives the same files"

$cc -O1 -DNN_NO_SIMD -I"$work/../.." -o other "$work/../../examples/nn.c" -lm &&
    train b "$work/other" && cmp a/m.safetensors b/m.safetensors
tell "another compilation without vector kernels gives the same model"

# elsewhere COMPILER EMULATOR: the same model, picture and results on another machine.
elsewhere()
{
    if ! command -v "$1" >/dev/null || ! command -v "$2" >/dev/null; then
        echo "tool: no $1 or $2: skipped"
        [ "$CI" != true ]
        return
    fi
    printf '#!/bin/sh\nexec %s "%s/other.%s" "$@"\n' "$2" "$work" "$2" >run && chmod +x run &&
        "$1" -O1 -static -I"$work/../.." -o "other.$2" "$work/../../examples/nn.c" -lm &&
        train b "$work/run" && cmp a/m.safetensors b/m.safetensors && cmp a/m.svg b/m.svg &&
        cmp a/out b/out
}
elsewhere aarch64-linux-gnu-gcc qemu-aarch64
tell "the same on a 64-bit ARM machine"
elsewhere s390x-linux-gnu-gcc qemu-s390x
tell "the same on a big-endian machine"

# shellcheck disable=SC2086
train b "$nn" && (cd b && "$nn" train parcels.csv $parcels --seed 2 -o n.safetensors >out 2>err) &&
    ! cmp -s b/m.safetensors b/n.safetensors
tell "another seed gives another model"

grep -q '^test rows: loss 0\.[0-9]*, accuracy 0\.[0-9]* ([0-9]* of 180), precision' a/out &&
    has a/out "without a model, always no: accuracy 0.5444" &&
    grep -q '^ *no  *[0-9]* ' a/out && grep -q '^most important columns' a/out &&
    [ "$(grep -c '^Epoch [0-9]*/12: loss' a/err)" -eq 12 ] && ! grep -q Epoch a/out
tell "metrics, a confusion matrix and important columns; a line for each epoch"

sed -n '/^most important/,$p' a/out | sed -n 2,4p | grep -q service
tell "the service is among the most important columns of the parcels"

if command -v python3 >/dev/null; then
    python3 -c "import sys, xml.dom.minidom as m; d = m.parse(sys.argv[1])
texts = [t.firstChild.data for t in d.getElementsByTagName('text') if t.firstChild]
assert 'Confusion matrix' in texts and 'Loss by epoch' in texts and 'service' in texts" a/m.svg
    tell "the picture is well-formed"
fi

printf 'x,y\n<&>,1\nb,2\n<&>,1.5\nb,2.5\n' >marks.csv
runs 0 train marks.csv --quiet --epochs 3 --svg marks.svg && says "too few to divide" &&
    ! grep -q '<&' marks.svg && [ "$(grep -c Epoch err)" -eq 0 ]
tell "a table of four rows, with what XML reserves"

for options in "--layers none" "--layers 5 --activation gelu --optimizer sgd --rate 0.01" \
    "--optimizer rmsprop --dropout 0.2 --batch 7 --patience 0 --validation 0" \
    "--test 0 --decay 0 --balance"; do
    # shellcheck disable=SC2086
    runs 0 train "$data/tents.csv" --epochs 2 $options && grep -q 'accuracy 0\.' out
    tell "train $options"
done
refuses 1 "training diverged" train "$data/houses.csv" --ignore id,sold \
    --quiet --rate 1e6 --optimizer sgd

# ---- Images -------------------------------------------------------------------------------------

awk 'BEGIN { print "a,b,c,d,y"
    for (i = 0; i < 40; i++) print i % 7 "," i % 5 "," i % 3 "," i % 2 "," (i % 2 ? "p" : "q") }' \
    >image.csv
refuses 2 "--image 3x2x1: the table has 4 inputs" train image.csv --image 3x2x1
refuses 2 "such as 28x28x1, found '2x2'" train image.csv --image 2x2
refuses 2 "too small for the default layers: give --layers" train image.csv --image 2x2x1
refuses 2 "layer 1: a convolution's kernel is larger" train image.csv --image 2x2x1 --layers conv4k3
refuses 2 "layer 2: a pool's window is larger" train image.csv --image 2x2x1 --layers conv2k2,pool2
refuses 2 "convolutions and pools need --image" train image.csv --layers conv4k3
refuses 2 "found 'conv4'" train image.csv --image 2x2x1 --layers conv4
runs 0 train image.csv --image 2x2x1 --layers conv2k2,4 --epochs 2 --quiet -o image.safetensors &&
    runs 0 info image.safetensors && has out "parameters 27" \
    "layers     4 inputs -> image 2x2x1 -> convolution 2 2x2 relu -> 4 relu -> 1 sigmoid"
tell "training with an image"

# Sequences of 24 samples of 2 signals: the class is whether the first signal turns in 4, in 6 or in
# 12 samples, from any phase. $work/other has no vector kernels, and prints and writes the same.
awk 'BEGIN { for (i = 0; i < 48; i++) printf "s%d,", i
    print "turns"
    for (i = 0; i < 90; i++) {
        n = i % 3 == 0 ? 4 : i % 3 == 1 ? 6 : 12
        for (k = 0; k < 24; k++)
            printf "%.3f,%.3f,", sin(6.2831853 * (k / n + i * 7 % 13 / 13)), (i * 5 + k * 3) % 7 / 7
        print "per" n
    } }' >sequence.csv
image="--image 1x24x2 --epochs 40 --batch 8 --rate 0.01 --quiet"

# both ARGUMENT...: the tool, and its other compilation, print the same.
both()
{
    runs 0 "$@" && "$work/other" "$@" >out.other 2>err </dev/null && cmp out out.other
}
# shellcheck disable=SC2086
set -- train sequence.csv $image --layers conv6k4,pool2,conv8k3s2p,average2,5 -o s.safetensors
runs 0 "$@" && mv s.safetensors s.svg a && both "$@" && cmp s.safetensors a/s.safetensors &&
    cmp s.svg a/s.svg &&
    awk -F 'accuracy ' '/^test rows/ { good = $2 + 0 > 0.8 } END { exit !good }' out
tell "training a one-dimensional net, with and without vector kernels"
runs 0 info s.safetensors && has out "layers     48 inputs -> image 1x24x2 \
-> convolution 6 1x4 relu -> max pool 1x2 stride 1x2 -> convolution 8 1x3 padded relu stride 1x2 \
-> average pool 1x2 stride 1x2 -> 5 relu -> 3 softmax"
tell "nn info says what a one-dimensional net is"
both evaluate s.safetensors sequence.csv && grep -q '^all rows: .* of 90)' out &&
    grep -q '^ *per12 ' out
tell "evaluate a net of sequences"
both predict s.safetensors sequence.csv && has out "turns,per12,per4,per6" &&
    [ "$(wc -l <out)" -eq 91 ] && mv out predicted &&
    awk -F, -v OFS=, '{ last = $49; for (i = 49; i > 1; i--) $i = $(i - 1); $1 = last; print }' \
        sequence.csv >moved.csv && runs 0 predict s.safetensors moved.csv && cmp out predicted
tell "predict sequences, in columns of another order too"
both tune sequence.csv --image 1x24x2 --layers conv4k3,pool2,global --epochs 6 --trials 3 \
    --folds 2 --quiet && grep -q '^best of 3 trials' out && tail -n 1 out >tuned &&
    grep -q -- '--image 1x24x2 --layers conv4k3,pool2,global --rate ' tuned &&
    sed "s|^nn |'$nn' |" tuned >command.sh && sh command.sh >out 2>err && grep -q '^test rows' out
tell "tune a net of sequences, and train it by the command that tuning prints"

# The exported function gives the class that nn predict prints. Weights of a byte may change some.
cat >classify.c <<'END'
#include "exported.c"
#include <stdio.h>
int main(void)
{
    float x[48], y[3];
    int i, k;
    for (;; puts(predict_classes[k])) {
        for (i = 0; i < 48; i++)
            if (scanf("%f,", x + i) != 1) return 0;
        predict(x, y);
        for (k = 0, i = 1; i < 3; i++)
            if (y[i] > y[k]) k = i;
    }
}
END
sed 1d sequence.csv | cut -d, -f1-48 >rows.csv
sed 1d predicted | cut -d, -f1 >classes
for form in --c --int8; do
    both export s.safetensors $form && mv out exported.c &&
        $cc -std=c99 -O1 -Wall -Wextra -Werror -o classify classify.c -lm &&
        ./classify <rows.csv >exported && [ "$(wc -l <exported)" -eq 90 ] &&
        same=$(paste -d, classes exported | awk -F, '$1 == $2 { n++ } END { print n + 0 }') &&
        [ "$same" -ge "$([ $form = --c ] && echo 90 || echo 85)" ]
    tell "export $form of a net of sequences"
done
both export s.safetensors --onnx && [ -s out ]
tell "export --onnx of a net of sequences"

# ---- A model that is used -----------------------------------------------------------------------

model=$work/a/m.safetensors
runs 0 info "$model" && grep -q '^layers     16 inputs -> 32 relu -> 16 relu -> 1 sigmoid$' out &&
    has out "command    nn train parcels.csv $parcels -o m.safetensors" \
        "target     late: 2 classes: no, yes" \
        "input      service: 3 categories: economy, express, standard" &&
    grep -qE '^inputs /   [0-9.]+(,[0-9.]+){15}$' out
tell "nn info says what a model is"

cat >hash.c <<'END'
#define NN_IMPLEMENTATION
#include "nn.h"
#include <stdio.h>
int main(int argc, char **argv)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    const unsigned char *bytes;
    nn_model *model;
    size_t i;
    if (argc < 2 || nn_load(&model, argv[1], NULL) != NN_OK) return 1;
    bytes = (const unsigned char *)nn_parameters(model); /* of a little-endian machine */
    for (i = 0; i < 4 * nn_parameter_count(model); i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    printf("hash       %016llx\n", (unsigned long long)hash);
    nn_model_free(model);
    return 0;
}
END
runs 0 info "$model" && $cc -O1 -DNN_NO_SIMD -I"$work/../.." -o hash hash.c -lm &&
    has out "$(./hash "$model")"
tell "the hash is that of a program"

runs 0 evaluate "$model" "$data/parcels.csv" --svg e.svg && grep -q '^all rows: .* of 900)' out &&
    grep -q 'Confusion matrix' e.svg
tell "evaluate"
runs 0 train "$data/tents.csv" --quiet --epochs 5 -o tents.safetensors &&
    runs 0 evaluate tents.safetensors "$data/tents.csv" && mv out straight &&
    awk -F, -v OFS=, '{ print $7, $6, $5, $4, $3, $2, $1 }' "$data/tents.csv" >turned.csv &&
    runs 0 evaluate tents.safetensors turned.csv && cmp out straight
tell "columns in another order"
cut -d, -f1-6 "$data/tents.csv" >untargeted.csv
refuses 1 "the target 'judged' is needed" evaluate tents.safetensors untargeted.csv
sed '3s/,[a-z]*$/,/' "$data/tents.csv" >unjudged.csv
refuses 1 "unjudged.csv, line 3, column 7" evaluate tents.safetensors unjudged.csv
runs 0 evaluate tents.safetensors unjudged.csv --bad drop && says "1 rows with bad" &&
    grep -q ' of 1199)' out
tell "evaluate without the bad rows"
refuses 1 "'service'" evaluate "$model" "$data/tents.csv"
cut -d, -f2- "$data/tents.csv" >short.csv
refuses 1 "'price'" evaluate tents.safetensors short.csv
awk -F, -v OFS=, 'NR == 5 { $1 = "free" } { print }' "$data/tents.csv" >unknown.csv
runs 0 evaluate tents.safetensors unknown.csv && says "unknown to the model"
tell "an unknown category is said"

# ---- Predicting ---------------------------------------------------------------------------------

runs 0 predict tents.safetensors "$data/tents.csv" && [ "$(wc -l <out)" -eq 1201 ] &&
    has out "judged,best,fair,good,poor" && mv out all
tell "predict"
awk -F, 'NR == 1 { split($0, name) }
    NR > 1 { sum = 0; best = 2
        for (i = 2; i <= 5; i++) { sum += $i; if ($i + 0 > $best + 0) best = i }
        if (sum < 0.99999 || sum > 1.00001 || name[best] != $1) exit 1 }' all
tell "probabilities add up to 1, and the class has the largest"
runs 0 predict "$model" "$data/parcels.csv" && [ "$(wc -l <out)" -eq 901 ] &&
    awk -F, 'NR > 1 && $1 != ($3 >= 0.5 ? "yes" : "no") { exit 1 }' out
tell "of two classes the more probable one"
runs 0 predict tents.safetensors untargeted.csv && cmp out all
tell "predict without the target"
"$nn" predict tents.safetensors - <"$data/tents.csv" >out 2>err && cmp out all
tell "predict standard input"
sed 's/$/\r/' "$data/tents.csv" >crlf.csv && runs 0 predict tents.safetensors crlf.csv &&
    cmp out all
tell "predict lines that end with CRLF"
tr '\n' '\r' <"$data/tents.csv" >cr.csv && runs 0 predict tents.safetensors cr.csv && cmp out all
tell "predict lines that end with CR"
{ printf '\357\273\277# a comment\n\n' && cat "$data/tents.csv" && printf '\n\n'; } |
    awk '{ print } NR % 100 == 0 { print "# " NR " \"" }' >comments.csv
runs 0 predict tents.safetensors comments.csv --comment '#' && cmp out all
tell "predict with comments and empty lines"

# repeated TIMES: the table's rows, that many times.
repeated()
{
    head -n 1 "$data/tents.csv"
    i=0
    while [ "$i" -lt "$1" ]; do
        tail -n +2 "$data/tents.csv"
        i=$((i + 1))
    done
}
repeated 200 >large.csv
# shellcheck disable=SC3045
(ulimit -v 12000 && "$nn" predict tents.safetensors large.csv >out 2>err) &&
    [ "$(wc -l <out)" -eq 240001 ] &&
    [ "$(tail -n +2 out | sort | uniq -c | awk '$1 % 200' | wc -l)" -eq 0 ]
tell "predict a table that is larger than memory"
rm -f large.csv

# A row in the place of the header is not lost, and unknown categories are counted.
printf '1,2,3\n' >row.csv
refuses 1 "row.csv, line 1" predict tents.safetensors row.csv
sed '2s/^[^,]*,/unheard of,/' "$data/tents.csv" >unknown.csv
runs 0 predict tents.safetensors unknown.csv && says "1 cells of categories that are unknown"
tell "nn predict says how many categories are unknown"

mkfifo in && "$nn" predict tents.safetensors - <in >out 2>err &
process=$!
while [ ! -p in ]; do sleep 0.1; done
exec 3>in
# waits LINES: for at most ten seconds until the prediction has that many lines.
waits()
{
    i=0
    while [ "$(wc -l <out)" -lt "$1" ] && [ $i -lt 100 ]; do
        sleep 0.1
        i=$((i + 1))
    done
    [ "$(wc -l <out)" -eq "$1" ]
}
sed -n 1,2p "$data/tents.csv" >&3 && waits 2 && sed -n 3p "$data/tents.csv" >&3 && waits 3
tell "each row of a pipe is predicted when it comes"
exec 3>&-
wait $process && sed -n 1,3p all | cmp - out
tell "the pipe's end"

printf '%s\n' judged,price,persons,poles,weight,rain,storage x,low,2,1,light,dry,none ,high,4,2 \
    "" 'x,"lo' 'w",3,1,heavy,dry,both' 'x,l"w,3,1,heavy,dry,both' x,low,2,1,light,dry,none >bad.csv
runs 1 predict tents.safetensors bad.csv && [ "$(wc -l <out)" -eq 6 ] &&
    [ "$(sed -n 2p out)" = "$(sed -n 6p out)" ] &&
    [ "$(sed -n '3p;5p' out | sort -u)" = ,,,, ] &&
    says "bad.csv, line 3, column 4: expected 7 cells" &&
    says "bad.csv, line 7, column 2" && says "2 rows could not be read"
tell "a row that cannot be read is a row of empty cells"
awk 'BEGIN { print "rain,price,persons,poles,weight,storage"
    for (i = 0; i < 1500; i++) print "dry,\"very\n\nlow\",3,1,light,\"both\"" }' >lines.csv
runs 0 predict tents.safetensors lines.csv && [ "$(wc -l <out)" -eq 1501 ] &&
    [ "$(tail -n +2 out | sort -u | wc -l)" -eq 1 ]
tell "line ends in quotes"
printf '\n,,,,,,\n' >>bad.csv
runs 1 predict tents.safetensors bad.csv && [ "$(wc -l <out)" -eq 7 ] &&
    [ "$(tail -n 1 out)" = ,,,, ]
tell "a row of nothing but delimiters too"
refuses 1 "no row of data" predict tents.safetensors /dev/null
refuses 1 "cannot be opened" predict tents.safetensors no.csv
runs 1 predict tents.safetensors short.csv && says "'price'"
tell "predict a table without an input"

runs 0 train "$data/houses.csv" --ignore id,sold --quiet -o houses.safetensors &&
    awk -F 'R2 ' '/^test rows/ { r2 = $2 } END { exit r2 < 0.9 }' out &&
    grep -q 'Predicted against true' houses.svg
tell "prices in the hundred thousands: R2 of 0.9 and more"
runs 0 predict houses.safetensors "$data/houses.csv" && [ "$(head -n 1 out)" = price ] &&
    awk 'NR > 1 && $1 > 20000 && $1 < 1500000 { good++ } END { exit good < 780 || NR != 801 }' out
tell "predicted prices"
sed 's/,/;/g' class_first.csv >semicolons.csv
runs 0 train class_first.csv --no-header --target 1 --task classes --quiet -o first.safetensors &&
    runs 0 predict first.safetensors class_first.csv && mv out straight &&
    [ "$(wc -l <straight)" -eq 5 ] &&
    runs 0 predict first.safetensors semicolons.csv --delimiter ';' && cmp out straight &&
    cut -d, -f2- class_first.csv >inputs.csv &&
    runs 0 predict first.safetensors inputs.csv && cmp out straight
tell "a model of a table without a header"

# ---- Tuning and exporting -----------------------------------------------------------------------

tune="tune $data/tents.csv --trials 3 --folds 3 --epochs 4 --seed 5"
# shellcheck disable=SC2086
runs 0 $tune && mv out first && runs 0 $tune && cmp out first &&
    [ "$(grep -c '^nn: trial' err)" -eq 3 ] &&
    tail -n 1 out | grep -q '^nn train .*--layers .*--rate .*--decay '
tell "tuning twice gives the same"
tail -n 1 first | sed "s|^nn |'$nn' |" >command.sh
# shellcheck disable=SC2086
sh command.sh >again 2>err && grep -q '^test rows' again && runs 0 $tune -o t.safetensors &&
    sed 1,3d out | cmp - again && [ -s t.safetensors ] && [ -s t.svg ]
tell "the command that tuning prints gives the model that it writes"
runs 0 tune "$data/tents.csv" --layers 4 --rate 0.01 --folds 2 --epochs 1 --quiet &&
    grep -q '^best of 6 trials' out && grep -q -- '--layers 4 --rate 0.01 ' out
tell "tuning keeps the options that are given"
runs 0 tune "$data/tents.csv" --seconds 1 --folds 2 --epochs 20 --quiet &&
    grep -q '^best of [1-9]' out
tell "tuning for a second"

runs 0 export tents.safetensors --c --name judge && mv out judge.c &&
    grep -q 'void judge(const float' judge.c && grep -q '"best"' judge.c &&
    $cc -std=c99 -Wall -Wextra -Werror -c judge.c
tell "export --c"
runs 0 export tents.safetensors --int8 -o int8.c && [ ! -s out ] &&
    grep -q 'the weights as int8' int8.c &&
    $cc -std=c99 -Wall -Wextra -Werror -c int8.c
tell "export --int8"
runs 0 export tents.safetensors --onnx -o m.onnx && [ -s m.onnx ] &&
    runs 0 export tents.safetensors --onnx && cmp out m.onnx
tell "export --onnx"
refuses 2 "cannot name a C function" export tents.safetensors --c --name 3x
refuses 2 "no classes" train "$data/houses.csv" --ignore id,sold --balance
if [ -e /dev/full ]; then
    "$nn" info tents.safetensors >/dev/full 2>err
    [ $? -eq 1 ] && says "standard output"
    tell "a full disk"
fi

echo "tool: $passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
