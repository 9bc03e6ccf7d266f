# Prints the macros outside NN_ and nn_ that lines of nn.h define and leave defined, from the output
# of cc -E -dD; returns 1 when there are any.
/^# [0-9]+ "/ { ours = $3 ~ /nn\.h"$/; next }
/^#define / && ours { split($2, part, "("); name[part[1]] = 1 }
/^#undef / && ours { delete name[$2] }
END { for (n in name) if (n !~ /^(NN_|nn_)/) { print "macro " n; bad = 1 } exit bad }
