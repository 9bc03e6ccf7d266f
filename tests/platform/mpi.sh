#!/bin/sh
# examples/mpi.c: sh tests/platform/mpi.sh, from the repository root. Any number of processes prints
# what one process without MPI prints: the losses and the hash of the weights, whatever the shards,
# batches and options; a run whose process was killed goes on to the same end, on another number of
# processes; wrong arguments and files are refused. Needs Debian's openmpi-bin and libopenmpi-dev;
# installs nothing.
set -eu
work=build/mpi.files
failed=0
passed=0
runner=

unset CFLAGS CPPFLAGS LDFLAGS NN_BACKEND OMP_NUM_THREADS
# Open MPI runs as root, and more processes than processors, only when it is told to. In containers,
# processes may not read each other's memory, which it would report.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_btl_vader_single_copy_mechanism=none

for tool in mpicc mpirun; do
    command -v $tool >/dev/null || {
        echo "mpi: skipped, needs openmpi-bin libopenmpi-dev"
        [ "${CI:-}" != true ]
        exit
    }
done
make build/mpi build/mpi_alone
rm -rf $work
mkdir -p $work
trap '[ -z "$runner" ] || kill "$runner" 2>/dev/null || true' EXIT
trap 'exit 1' HUP INT TERM

# says NAME COMMAND...: counts a check.
says()
{
    name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $name"
    fi
}

# on PROCESSES ARGUMENT...: runs the example; 0 processes is the one without MPI.
on()
{
    count=$1
    shift
    if [ "$count" = 0 ]; then
        build/mpi_alone "$@"
    else
        timeout 120 mpirun -n "$count" build/mpi "$@" </dev/null
    fi
}

# ---- One result ---------------------------------------------------------------------------------

# same TITLE ARGUMENT...: all numbers of processes print the same. The text is left in $work/TITLE.
same()
{
    title=$1
    shift
    on 0 "$@" >"$work/$title" 2>&1 || echo failed >>"$work/$title"
    says "$title: a hash" grep -qx 'hash [0-9a-f]\{16\}' "$work/$title"
    for n in 1 2 4 8; do
        on $n "$@" >"$work/$title.$n" 2>&1 || echo failed >>"$work/$title.$n"
        says "$title on $n processes" cmp "$work/$title" "$work/$title.$n"
    done
}

# Images of 3 x 5 bytes as MNIST has them: 203 for training, 37 for the test. The bytes are those of
# a text.
images()
{
    mkdir -p $work/images
    for set in "train 203 \313" "t10k 37 \045"; do
        # shellcheck disable=SC2086
        set -- $set
        {
            printf '\0\0\10\3\0\0\0%b\0\0\0\3\0\0\0\5' "$3"
            head -c $((15 * $2)) nn.h
        } >"$work/images/$1-images-idx3-ubyte"
        {
            printf '\0\0\10\1\0\0\0%b' "$3"
            awk -v n="$2" 'BEGIN { for (i = 0; i < n; i++) printf "\\%03o", i * 7 % 10 }' |
                xargs -0 printf
        } >"$work/images/$1-labels-idx1-ubyte"
    done
}

# 1438 rows in batches of 64: the last batch has 30 rows, which 8 shards do not divide; neither do
# they divide the 359 rows of the test.
images
same plain --epochs 3
same options --epochs 2 --batch 100 --shards 16 --sgd 0.1 --dropout 0.2 --clip 1 --decay 0.01
same few_rows --epochs 1 --batch 5              # shards without rows
same whole --epochs 3 --batch 5000 --dropout 0.3 # one batch, of all rows
same averaged --epochs 3 --average 5 --sgd 0.3
same averaged_adam --epochs 2 --average 1000 --shards 16 --batch 9 --dropout 0.2
same idx --epochs 2 --layers 16,8 --batch 33 $work/images

# What must change the result does.
grep -h hash $work/plain $work/options $work/averaged >$work/hashes
on 0 --epochs 3 --shards 4 | grep hash >>$work/hashes
on 0 --epochs 3 --seed 2 | grep hash >>$work/hashes
on 0 --epochs 3 --average 6 --sgd 0.3 | grep hash >>$work/hashes
says "other arguments, other weights" [ "$(sort -u $work/hashes | wc -l)" -eq 6 ]
says "it learns" grep -q 'test accuracy 0\.9' $work/averaged

# ---- A process that dies ------------------------------------------------------------------------

# child_of PROCESS: the last process "mpi" that it started.
child_of()
{
    for file in /proc/[0-9]*/stat; do
        read -r pid name state parent rest 2>/dev/null <"$file" || continue
        if [ "$parent" = "$1" ] && [ "$name" = "(mpi)" ]; then echo "$pid"; fi
    done | tail -n 1
}

# interrupted TITLE ARGUMENT...: a run on 4 processes, one of which is killed when there is a
# checkpoint, and what comes of it on other numbers of processes.
interrupted()
{
    title=$1
    shift
    file=$work/$title.safetensors
    on 0 "$@" >"$work/$title"
    mpirun -n 4 build/mpi "$@" --checkpoint "$file" --every 3 </dev/null \
        >"$work/$title.killed" 2>&1 &
    runner=$!
    tries=0
    while [ ! -f "$file" ] && [ $tries -lt 600 ]; do
        sleep 0.05
        tries=$((tries + 1))
    done
    victim=$(child_of $runner)
    says "$title: a process to kill" [ -n "$victim" ]
    [ -z "$victim" ] || kill -KILL "$victim"
    status=0
    wait $runner || status=$?
    runner=
    says "$title: the run fails" [ $status -ne 0 ]
    says "$title: and says why" grep -qi 'signal 9' "$work/$title.killed"
    says "$title: before its end" sh -c "! grep -q hash '$work/$title.killed'"
    for n in 0 2 8; do
        cp "$file" "$work/again"
        on $n "$@" --checkpoint "$work/again" >"$work/$title.$n" 2>&1 ||
            echo failed >>"$work/$title.$n"
        says "$title: $n processes go on" grep -q '^resumed at epoch' "$work/$title.$n"
        # The epochs that are left print the same, and so does the test.
        sed 1d "$work/$title.$n" >"$work/rest"
        tail -n "$(wc -l <"$work/rest")" "$work/$title" >"$work/expected"
        says "$title: $n processes to the same end" cmp "$work/rest" "$work/expected"
    done
}

interrupted killed --epochs 20 --batch 8 --dropout 0.1
interrupted killed_averaging --epochs 20 --batch 8 --average 4 --sgd 0.1

# ---- What is refused ----------------------------------------------------------------------------

# refused STATUS PATTERN PROCESSES ARGUMENT...: nothing is trained, and a message has the pattern.
refused()
{
    expected=$1 pattern=$2
    shift 2
    status=0
    on "$@" >$work/output 2>$work/message || status=$?
    says "refused: $*" [ $status -eq "$expected" ]
    says "message of: $*" grep -q -e "$pattern" $work/message
    says "no result of: $*" sh -c "! grep -q hash $work/output"
}

for arguments in "--epochs 0" "--epochs 3x" "--epochs 99999999999" --epochs "--batch -1" \
    "--shards 6" "--shards 0" "--shards 8192" "--average -1" "--adam 0" "--adam nan" "--sgd inf" \
    "--dropout 1" "--decay -1" "--clip x" "--layers 0" "--layers 8," "--layers 8,x" \
    "--layers 1,1,1,1,1,1,1,1,1" "--every 3" "--seed -1" --unknown "a b"; do
    # shellcheck disable=SC2086
    refused 2 'mpi: ' 0 $arguments
done
refused 2 'a power of two' 3
refused 2 'more processes than shards' 4 --shards 2
refused 1 'process 0 of 1: build/nowhere/train' 0 build/nowhere
refused 1 'process . of 2: build/nowhere/train' 2 build/nowhere

# Checkpoints of other runs, and what is left of a file.
checkpoint=$work/killed.safetensors
head -c 5000 $checkpoint >$work/cut
goes_on="2 --batch 8 --dropout 0.1 --checkpoint"
# shellcheck disable=SC2086
{
    refused 1 'a checkpoint of another run' $goes_on $checkpoint --average 2
    refused 1 'learning_rate is 0.001 in' $goes_on $checkpoint --adam 0.01
    refused 1 "$checkpoint" $goes_on $checkpoint --layers 32
    refused 1 "$work/cut" $goes_on $work/cut
}
refused 1 "$work: " 2 --checkpoint $work

echo "mpi: $passed passed, $failed failed"
[ $failed -eq 0 ]
