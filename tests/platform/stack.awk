# The deepest path of calls from each public function of nn.h, in bytes of stack, from gcc's graph of
# calls (-fcallgraph-info=su); prints the deepest of all, and fails when it is above `most`, when it
# is unbounded, or when no kernel was seen. A call by pointer goes to any function that nothing calls
# by name: a kernel, a comparison for qsort, what OpenMP runs; from within such a function only to one
# that itself makes no calls by pointer: a product calls its tiles. The C library's and a callback's
# stack is not in it.
function field(key,   text)
{
    if (!match($0, key ": \"[^\"]*\"")) return ""
    text = substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 4)
    sub(/^[^:]*:/, "", text)
    return text
}
function wrong(text) { print text; bad = 1 }
function deepest(name,   i, below, most_below)
{
    if (name in depth) return depth[name]
    if (name in open) {
        if (name == "__indirect_call") return deepest(last)
        wrong("recursion: " name)
        return 0
    }
    open[name] = 1
    for (i = 1; i <= calls[name]; i++) {
        below = deepest(call[name, i])
        if (below > most_below) {
            most_below = below
            next_of[name] = call[name, i]
        }
    }
    delete open[name]
    return depth[name] = bytes[name] + most_below
}
function calls_by_pointer(name,   i)
{
    if (name == "__indirect_call") return 1
    if (name in by_pointer) return by_pointer[name]
    by_pointer[name] = 0
    for (i = 1; i <= calls[name] && !by_pointer[name]; i++)
        by_pointer[name] = calls_by_pointer(call[name, i])
    return by_pointer[name]
}
/^node:/ && match($0, /[0-9]+ bytes \([a-z,]*\)/) {
    size = substr($0, RSTART) + 0
    name = field("title")
    bytes[name] = size
    if ($0 ~ /bytes \(dynamic\)/) wrong("a stack of unknown size: " name)
}
/^edge:/ {
    from = field("sourcename")
    to = field("targetname")
    call[from, ++calls[from]] = to
    called[to] = 1
}
END {
    for (name in bytes) {
        if (name ~ /^nn__/ && !(name in called)) {
            call["__indirect_call", ++calls["__indirect_call"]] = name
            kernels++
            if (!calls_by_pointer(name) && (last == "" || deepest(name) > deepest(last))) last = name
        }
    }
    deepest("__indirect_call")
    for (name in bytes) {
        if (name in called) continue
        if (deepest(name) > deepest(worst)) worst = name
    }
    if (kernels < 10) wrong("only " kernels + 0 " functions that are called by pointer")
    printf "%d bytes:", deepest(worst)
    for (name = worst; name != ""; name = next_of[name]) {
        if (name == "__indirect_call" && pointers++) name = last
        if (name != "__indirect_call") printf " %s %d", name, bytes[name]
    }
    print ""
    exit bad || deepest(worst) > most
}
