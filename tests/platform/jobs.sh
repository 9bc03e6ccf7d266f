# Shared by the scripts that test many compilers and machines: a table of rows, several at a time.
#
#     suite=portable            # all files go to build/portable
#     . tests/platform/jobs.sh
#     if first; then prepare; fi
#     row TITLE FUNCTION ARGUMENT...
#     ...
#     run_rows                  # runs the rows so far; what follows may use what they built
#     row ...
#     run_rows
#     finish
#
# A row is run by running the whole script again with the row's number as its argument: that process
# passes over every other row. What runs longest should come first. The function of a row runs in a
# subshell with set -e; $folder is a folder of its own. It returns 0 when all is well; the first line
# that it prints on standard output is the row's detail, and standard error is shown when it fails.
# needs and skip leave a row out, which is a failure when CI=true. Nothing here installs anything.

work=$PWD/build/$suite
wanted=$1
rows=0
rows_run=0

# An inherited option would make every result depend on who runs this.
unset CFLAGS CXXFLAGS CPPFLAGS LDFLAGS NN_BACKEND OMP_NUM_THREADS

# Whether this is the process that runs the others.
first() { [ -z "$wanted" ]; }

if first; then
    rm -rf "$work"
    mkdir -p "$work" || exit 1
fi

# skip WHAT: leaves the row out because this machine lacks it.
skip()
{
    echo "$1" >"$folder/skipped"
    exit 0
}

# needs TOOLS PACKAGES: leaves the row out when one of the TOOLS is not here.
needs()
{
    for tool in $1; do
        command -v "$tool" >/dev/null || skip "$2"
    done
}

row()
{
    rows=$((rows + 1))
    [ "$rows" = "$wanted" ] || return 0
    title=$1
    shift
    folder=$work/$rows
    mkdir "$folder"
    (
        set -e
        "$@"
    ) >"$folder/detail" 2>"$folder/log" </dev/null
    status=$?
    verdict=FAILED
    [ $status -ne 0 ] || verdict=ok
    detail=$(head -n 1 "$folder/detail")
    if [ -f "$folder/skipped" ]; then
        verdict=skipped
        detail=$(cat "$folder/skipped")
    fi
    times >"$folder/times" # of this process and those it has waited for
    {
        printf '%s\t%s\t%s\t' "$verdict" "$title" "$detail"
        awk '{ for (i = 1; i <= 2; i++) { split($i, part, "m"); sum += part[1] * 60 + part[2] } }
            END { printf "%.1f\n", sum }' "$folder/times"
    } >"$folder/result"
    exit 0
}

run_rows()
{
    first || return 0
    seq "$((rows_run + 1))" "$rows" |
        xargs -n 1 -P "$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)" sh "$0"
    rows_run=$rows
}

# One line for each title, with the processor seconds of its rows; a quiet suite's good rows are
# counted only. A row without a result has died. $excused: a pattern of what CI may lack.
finish()
{
    number=0
    while [ $number -lt $rows ]; do
        number=$((number + 1))
        mkdir -p "$work/$number"
        [ -f "$work/$number/result" ] ||
            printf 'FAILED\trow %s\tdied\t0\n' "$number" >"$work/$number/result"
        printf '%s\t%s\n' "$number" "$(cat "$work/$number/result")"
    done >"$work/results"
    awk -F '\t' -v quiet="$quiet" '
    function flush() {
        if (title != "" && !(quiet && verdict == "ok"))
            printf "%-8s%-44s%-52s%5.1f s\n", verdict, title, detail, seconds
    }
    {
        if ($3 == title && $2 == verdict) {
            if (verdict == "ok" && $4 != "") detail = detail (detail == "" ? "" : ", ") $4
            seconds += $5
            next
        }
        flush()
        verdict = $2; title = $3; detail = $4; seconds = $5
        if (verdict == "skipped") detail = "needs " detail
        if (verdict == "FAILED") {
            flush()
            fflush()
            title = ""
            system("tail -n 14 " folder "/" $1 "/log | sed \"s/^/    /\"")
        }
    }
    END { flush() }' folder="$work" "$work/results"
    awk -F '\t' -v suite="$suite" -v excused="${excused:-nothing}" -v strict="$CI" '
    { count[$2]++; seconds += $5 }
    $2 == "skipped" && strict == "true" && $4 !~ excused { bad = 1 }
    END {
        printf "%s: %d passed, %d failed, %d skipped, %.0f s of processor time\n", suite,
            count["ok"], count["FAILED"], count["skipped"], seconds
        exit bad || count["FAILED"] || !count["ok"]
    }' "$work/results"
}
