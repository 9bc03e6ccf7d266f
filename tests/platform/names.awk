# Prints the names outside nn_ and NN_ that lines of nn.h declare at file scope, from the output of
# cc -E: tags, typedefs, functions, objects and enumeration constants; returns 1 when there are any.
#
# Tokens are words and single marks; a name at file scope is a word before one of ( ; { [ = , outside
# all brackets, or alone in (*name) or in (name)(; a constant is a word before = , or } within an
# enum. What belongs to the compiler begins with two underlines. What nn.h declares in place of
# POSIX's headers is known.
function see(word)
{
    seen++
    if (word !~ /^(nn_|NN_|__|_Static_assert$)/ && word !~ posix) { print "name " word; bad = 1 }
}
function is_word(t) { return t ~ /^[A-Za-z_]/ && t !~ keyword && t !~ posix_type }
BEGIN {
    keyword = "^(struct|enum|union|static|extern|const|void|int|inline|double|float|char|if)$"
    posix_type = "^ssize_t$"
    posix = "^(close|fchown|fsync|readlink|fchmod|fdopen|fileno)$"
}
/^# [0-9]+ "/ { ours = $3 ~ /nn\.h"$/; next }
/^#/ || !ours { next }
{
    gsub(/"([^"\\]|\\.)*"/, " \"\" ")
    gsub(/'([^'\\]|\\.)'/, " 0 ")
    gsub(/[^A-Za-z0-9_ \t]/, " & ")
    n = split($0, token, " ")
    for (i = 1; i <= n; i++) {
        t = token[i]
        outside = braces == 0 && parens == 0 && !value
        if (outside && t ~ /^[(;{[=,]$/ && is_word(last)) see(last)
        if (in_enum && braces == 1 && t ~ /^[=,}]$/ && is_word(last) && before != "=") see(last)
        if (t == "enum" && braces == 0) in_enum = 1
        if (t == ";" && braces == 0) in_enum = value = 0
        if (t == "=" && braces == 0) value = 1
        if (t == "{" && !(last == "\"" && braces == 0 && parens == 0)) braces++
        if (t == "}" && braces > 0 && --braces == 0) value = in_enum = 0
        if (t == "(") parens++
        if (t == ")") parens--
        if (braces == 0 && parens == 0 && t == ")" && before == "*" && earlier == "(") see(last)
        if (outside && t == "(" && last == ")" && earlier == "(" && is_word(before)) see(before)
        earlier = before
        before = last
        last = t
    }
}
END { if (seen < 100) { print "only " seen + 0 " names seen"; bad = 1 } exit bad }
