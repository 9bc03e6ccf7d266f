#!/bin/sh
# tests/unit/faults.c makes memory and files fail in every public function that can meet it: sh
# tests/platform/faults.sh, from the repository root. Finds in the graph of calls, which gcc 10 or
# later writes, the public functions that reach NN_MALLOC or NN_FOPEN there, and of each a call under
# TRY. Calls through pointers are not in the graph; none of them allocates.
work=build/faults
mkdir -p $work || exit 1
"${GCC:-gcc}" -O0 -DNN_NO_SIMD -fcallgraph-info -I. -c -o $work/faults.o tests/unit/faults.c || exit 1

awk '
function name(field) {
    match($0, field ": \"[^\"]*\"")
    text = substr($0, RSTART, RLENGTH - 1)
    sub(/.*[:"]/, "", text)
    return text
}
/^edge:/ { caller[++n] = name("sourcename"); callee[n] = name("targetname") }
END {
    reaches["hook_malloc"] = reaches["hook_open"] = 1
    do {
        more = 0
        for (i = 1; i <= n; i++)
            if (callee[i] in reaches && !(caller[i] in reaches)) more = reaches[caller[i]] = 1
    } while (more)
    for (f in reaches) if (f ~ /^nn_[^_]/) print f
}' $work/faults.ci | sed 's/_NO_SIMD$//' | sort >$work/functions
grep -o 'TRY(nn_[a-z0-9_]*' tests/unit/faults.c | sed 's/TRY(//' | sort -u >$work/tried

count=$(wc -l <$work/functions)
failed=$(comm -23 $work/functions $work/tried | tee $work/missing | wc -l)
sed 's/^/FAILED no job in faults.c for /' $work/missing
echo "faults: $count functions reach memory or files, $failed without a job"
[ "$failed" -eq 0 ] && [ "$count" -gt 20 ]
