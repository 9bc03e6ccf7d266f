#!/bin/sh
# The header under every compiler, standard and switch that it promises, and what it leaves in the
# program that includes it. Run from the repository root: sh tests/platform/header.sh
# A compiler that is not here is skipped, which with CI=true is a failure.
#
# The implementation is long, so it is compiled no more often than its text or its code can differ.
# Optimised, in C and in C++, each compiler sees it once with all vector kernels; all else looks at
# the objects of that, leaves the vector kernels out, or does not generate code at all.
suite=header
quiet=1
. tests/platform/jobs.sh
models=build/exported # .c and _double.c, from the Makefile: what nn_export_c writes

# The header silences two or three of C++'s within the implementation, where it says why.
warnings="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wcast-qual -Wcast-align
    -Wdouble-promotion -Wundef -Wsign-conversion -Wnull-dereference -Wvla -Werror"

# warnings_of COMPILE: those, and the ones that its language and compiler have besides.
warnings_of()
{
    case $1 in
    g++*) echo "$warnings -Wold-style-cast -Wzero-as-null-pointer-constant -Wuseless-cast" ;;
    *++*) echo "$warnings -Wold-style-cast -Wzero-as-null-pointer-constant" ;;
    *) echo "$warnings -Wmissing-prototypes -Wstrict-prototypes" ;;
    esac
}

# ---- Sources ------------------------------------------------------------------------------------

# Besides these: tests/platform/user.c and predict.c, users' programs.
make_sources()
{
    cp tests/platform/user.c tests/platform/predict.c "$work"
    cp nn.h "$work/other.h"
    cat nn.h nn.h >"$work/twice.h"
    printf '#include "nn.h"\n' >"$work/declare.c"
    printf '#define NN_IMPLEMENTATION\n#include "nn.h"\n' >"$work/implement.c"
    { grep 'define NN_DEF.*visibility' nn.h; cat "$work/implement.c"; } >"$work/exporting.c"
    printf '#define NN_IMPLEMENTATION\n#include "nn.h"\n#include "nn.h"\n' >"$work/again.c"
    printf '#include "nn.h"\n#define NN_IMPLEMENTATION\n#include "nn.h"\n' >"$work/later.c"
    printf '#define NN_IMPLEMENTATION\n#include "%s/twice.h"\n' "$work" >"$work/twice.c"
    printf '#define NN_IMPLEMENTATION\n#include "%s/other.h"\n' "$work" >"$work/other.c"
    printf '#define NN_STATIC\n#define NN_IMPLEMENTATION\n#include "user.c"\n' >"$work/private.c"
    printf '#define NN_STATIC\n#define NN_IMPLEMENTATION\n#include "nn.h"\n' >"$work/private2.c"
    mkdir -p "$work/msvc/sys"
    cp tests/platform/msvc.h "$work/msvc"
    for header in assert errno fcntl io math stdio stdlib string sys/stat time; do
        echo '#include "msvc.h"' >"$work/msvc/$header.h"
    done
    echo "$allowed" | tr ' ' '\n' | sed '/^$/d' | sort >"$work/allowed"
}

# Every symbol of the C standard library that the implementation may need; what saving needs of POSIX;
# and what compilers add: checked copies (_FORTIFY_SOURCE), memcmp as bcmp, stack protector, CPU
# detection, glibc's names for C99 functions, and its older names for stat.
allowed="
calloc free malloc realloc
bcmp memchr memcmp memcpy memmove memset strchr strcmp strlen strncmp
fclose ferror fflush fgetc fopen fread fseek ftell fwrite remove rename setvbuf
fprintf fputc fputs putc snprintf stderr stdout
close fchmod fchown fdopen fileno fstat fsync open readlink stat __fxstat __xstat
ceil ceilf fabs fabsf floor floorf fma fmaf sqrt sqrtf ldexp ldexpf
clock difftime time timespec_get abort __assert_fail __errno_location
__memcpy_chk __memmove_chk __memset_chk __fprintf_chk __snprintf_chk __fread_chk __readlink_chk
__stack_chk_fail __cpu_indicator_init __cpu_model _GLOBAL_OFFSET_TABLE_
"

# ---- Checks -------------------------------------------------------------------------------------

# These are the functions of rows; they end with the first command that fails. Those that write an
# object for others name it. "CXX -x c++" is one compiler of C++.

# compile COMPILE SOURCE [OBJECT]: without a warning.
compile()
{
    echo "$1 $2" >&2
    $1 $(warnings_of "$1") -I. -c -o "${3:-$folder/a.o}" "$work/$2"
}

# diagnose COMPILE SOURCE...: without a warning, and without code being made.
diagnose()
{
    command=$1
    shift
    for source in "$@"; do
        echo "$command $source" >&2
        $command $(warnings_of "$command") -I. -fsyntax-only "$work/$source"
    done
}

# warning COMPILE: with the level at which the compiler gives all of its warnings: gcc finds some while
# it optimises, clang none.
warning()
{
    case $1 in
    gcc* | g++*) echo "$1 -O2" ;;
    *) echo "$1 -O0" ;;
    esac
}

# small COMPILE: declarations and a program that uses them, optimised (more is diagnosed).
small()
{
    compile "$1 -O2" declare.c
    compile "$1 -O2" user.c
}

# without_flags COMPILE OBJECT: as a user compiles who says nothing.
without_flags()
{
    $1 -Werror -c -I. -o "$2" "$work/implement.c"
}

# needs_only OBJECT PATTERN: what it takes from others is on the list, and none matches PATTERN.
needs_only()
{
    nm -u "$1" | awk '{ print $NF }' | sort -u >"$folder/needed"
    comm -23 "$folder/needed" "$work/allowed" >"$folder/foreign"
    ! grep . "$folder/foreign" >&2 || return 1
    ! grep -E "$2" "$folder/needed" >&2
}

stdio='^(f(open|read|write|close|error|flush|printf)|std|put|clock|time)'
posix='^(close|f(chmod|chown|dopen|ileno|stat|sync)|open|readlink|stat|__f?xstat)$'
heap='^(malloc|calloc|realloc|free)$'

# switch_alone COMPILE SWITCH: code is made, so that gcc sees unused functions and a compiler sees
# what may not be inlined; what a switch forbids is not called.
switch_alone()
{
    compile "$1 -DNN_$2 $(blas "$2") -O0" later.c
    case $2 in
    NO_STDIO) needs_only "$folder/a.o" "$stdio" ;;
    NO_MALLOC) needs_only "$folder/a.o" "$heap" ;;
    esac
}

# A library's own warnings are its own.
blas()
{
    [ "$1" != USE_OPENBLAS ] || pkg-config --cflags openblas | sed 's/-I/-isystem /g'
}

# switch_pair CC CXX SWITCH SWITCH: what breaks is a name that one switch takes away and another
# one's code wants, or leaves unused; no code need be made to see that. (gcc sees what is unused
# only when it makes code; clang sees it always.) A name that is lost in C++ alone, clang sees.
switch_pair()
{
    switches="-DNN_$3 -DNN_$4 $(blas "$3") $(blas "$4")"
    diagnose "$1 -std=c99 $switches" later.c
    [ "$1" = gcc ] || diagnose "$2 -std=c++11 $switches" later.c
}

# links COMPILE OBJECT...; does_not_link NAME COMPILE OBJECT...: because it lacks the function NAME.
links()
{
    $1 -o "$folder/program" "$2" "$3" -lm
}
does_not_link()
{
    ! LC_ALL=C $2 -o "$folder/program" "$3" "$4" -lm 2>"$folder/message" || return 1
    grep -E "undefined (reference to|symbol:?) *.?$1('|\$)" "$folder/message" >&2
}

# agreement CC CXX SWITCH: files that agree about a switch make a program that runs, in C and in C++;
# files that do not agree make none, whichever of them has the switch. No public function is left
# out.
agreement()
{
    ending=_$(echo "$3" | tr = _)
    compile "$1 -std=c99 -DNN_$3 -O0" implement.c "$folder/library.o"
    nm -g --defined-only "$folder/library.o" >"$folder/names"
    grep -q " T nn_predict$ending\$" "$folder/names"
    ! grep -v "$ending\$" "$folder/names" >&2 || return 1
    for command in "$1" "$2 -x c++"; do
        compile "$command" predict.c "$folder/without.o"
        compile "$command -DNN_$3" predict.c "$folder/with.o"
        links "$2" "$folder/with.o" "$folder/library.o"
        "$folder/program"
        does_not_link nn_predict "$2" "$folder/without.o" "$folder/library.o"
        does_not_link "nn_predict$ending" "$2" "$folder/with.o" "$work/$1.o"
    done
}

# linker PACKAGES COMPILE LINK: the same with other linkers and what they leave out.
linker()
{
    needs "${2%% *}" "$1"
    small="$2 -DNN_NO_SIMD"
    compile "$small" implement.c "$folder/library.o"
    compile "$small" predict.c "$folder/without.o"
    compile "$small -DNN_DOUBLE" predict.c "$folder/with.o"
    links "$3" "$folder/without.o" "$folder/library.o"
    does_not_link nn_predict_DOUBLE_NO_SIMD "$3" "$folder/with.o" "$folder/library.o"
}

# two_builds COMPILE OBJECT: float, which OBJECT has, and double in one program.
two_builds()
{
    echo 'int one(void); int two(void); int main(void) { return one() || two(); }' >"$folder/main.c"
    $1 -O0 -DNN_DOUBLE -I. -c -o "$folder/a.o" "$work/implement.c"
    $1 -Dmain=one -I. -c -o "$folder/b.o" "$work/user.c"
    $1 -Dmain=two -DNN_DOUBLE -I. -c -o "$folder/c.o" "$work/user.c"
    $1 -o "$folder/program" "$folder/main.c" "$folder/a.o" "$folder/b.o" "$folder/c.o" "$2" -lm
    "$folder/program"
}

# shared COMPILE LINK: a library that hides what is not marked as the header's first page shows, and a
# program of it.
shared()
{
    hidden="$1 -DNN_NO_SIMD -O0 -fPIC -fvisibility=hidden"
    compile "$hidden" exporting.c
    $2 -shared -o "$folder/libnn.so" "$folder/a.o" -lm
    nm -D --defined-only "$folder/libnn.so" | awk '{ print $3 }' >"$folder/names"
    ! grep -v '^nn_[a-z]' "$folder/names" >&2 || return 1
    compile "$1 -DNN_NO_SIMD" user.c "$folder/user.o"
    links "$2" "$folder/user.o" "$folder/libnn.so"
    "$folder/program"
    compile "$1 -DNN_NO_SIMD -DNN_DOUBLE" user.c "$folder/other.o"
    does_not_link nn_fit_DOUBLE_NO_SIMD "$2" "$folder/other.o" "$folder/libnn.so"
    compile "$hidden" implement.c
    $2 -shared -o "$folder/libnn.so" "$folder/a.o" -lm
    does_not_link nn_fit_NO_SIMD "$2" "$folder/user.o" "$folder/libnn.so"
}

# changed COMPILE SWITCH: within one file, a switch that comes or goes after the first #include is an
# error that names it.
changed()
{
    name=NN_${2%=*}
    for lines in "" "#define"; do
        {
            echo '#include "nn.h"'
            echo "#undef $name"
            [ -z "$lines" ] || echo "#define $name$(echo "$2" | sed 's/^[^=]*//; s/=/ /')"
            printf '#define NN_IMPLEMENTATION\n#include "nn.h"\n'
        } >"$folder/changed.c"
        define=
        [ -n "$lines" ] || define=-DNN_$2
        case $2 in
        *=*) ! $1 $define -I. -fsyntax-only "$folder/changed.c" 2>"$folder/message" || return 1 ;;
        *) ! $1 $define -I. -E "$folder/changed.c" >/dev/null 2>"$folder/message" || return 1 ;;
        esac
        grep -E "$name.has.changed" "$folder/message" >&2
    done
}

# private COMPILE: two private copies in one program, optimised and not; they export nothing.
private()
{
    compile "$1 -O2" private.c "$folder/a.o"
    compile "$1 -O0" private2.c "$folder/b.o"
    compile "$1 -O0 -DNN_STATIC -DNN_NO_STDIO -DNN_NO_MALLOC -DNN_NO_SIMD" implement.c "$folder/c.o"
    [ "$(nm -g --defined-only "$folder/a.o" | awk '{ print $3 }')" = main ]
    [ -z "$(nm -g --defined-only "$folder/b.o")" ]
    [ -z "$(nm -g --defined-only "$folder/c.o")" ]
    $1 -o "$folder/program" "$folder/a.o" "$folder/b.o" -lm
    "$folder/program"
}

# declares_only COMPILE: declarations make no symbol.
declares_only()
{
    compile "$1 -O0" declare.c
    [ -z "$(nm "$folder/a.o")" ]
}

# exports OBJECT: all that it exports begins with nn_ (nn__ is internal); it needs C's library only.
exports()
{
    nm -g --defined-only "$1" >"$folder/names"
    awk '$3 !~ /^nn_[a-z]/ { print; bad = 1 } END { exit bad || NR < 40 }' "$folder/names" >&2
    needs_only "$1" '^$'
}

# needs_without COMPILE PATTERN: the same under switches. The vector kernels' needs are those of the
# object above.
needs_without()
{
    compile "$(warning "$1") -DNN_NO_SIMD" implement.c
    needs_only "$folder/a.o" "$2"
}

# no_simd COMPILE OBJECT: NN_NO_SIMD needs C's library only, looks at no processor and has no table of
# kernels, which OBJECT, compiled without it, has.
no_simd()
{
    compile "$1 -O2 -DNN_NO_SIMD" implement.c
    needs_only "$folder/a.o" '^$'
    for object in "$2" "$folder/a.o"; do
        nm "$object" >"$folder/names"
        grep -Eq ' T nn_fit(_NO_SIMD)?$' "$folder/names"
        grep -E "$simd_names" "$folder/names" >"$folder/found" || [ "$object" != "$2" ]
        objdump -d "$object" >"$folder/code"
        grep -Eq '<nn_fit(_NO_SIMD)?>:' "$folder/code"
        [ "$(uname -m)" != x86_64 ] || grep -wE 'cpuid|xgetbv' "$folder/code" >>"$folder/found" ||
            [ "$object" != "$2" ]
    done
    [ ! -s "$folder/found" ] || { head -n 5 "$folder/found" >&2; return 1; }
}
simd_names='nn__(kernels|level|cpuid|find_kernels|saved_states)'

# stack COMPILE: training and predicting keep within the stack that the header promises, when they run.
stack()
{
    for double in "" -DNN_DOUBLE; do
        $1 $double -I. -pthread -o "$folder/program" tests/platform/stack.c -lm
        "$folder/program" >&2
    done
}

# framed COMPILE: the compiler with options to write what each function takes of the stack, and gcc's
# to write what it calls. They change no code.
framed()
{
    case $1 in
    gcc*) echo "$1 -fstack-usage -fcallgraph-info=su" ;;
    *) echo "$1 -fstack-usage" ;;
    esac
}

# frames COMPILE [OBJECT]: so does every function, with every vector kernel; with gcc, also every path
# of calls from one. What they take is printed at the end. OBJECT was made by such a compiler.
frames()
{
    object=$2
    if [ -z "$object" ]; then
        object=$folder/a.o
        $(framed "$1") -I. -c -o "$object" "$work/implement.c"
    fi
    sort -t "$(printf '\t')" -k 2,2nr "${object%.o}.su" >"$folder/frames"
    awk -F '\t' -v title="$1" '
    $3 !~ /static|bounded/ || $2 > 65536 { print > "/dev/stderr"; bad = 1 }
    NR <= 3 { sub(/.*:/, "", $1); largest = largest ", " $1 " " $2 }
    END { print title ": " substr(largest, 3); exit bad || NR < 200 }' "$folder/frames" >"$folder/largest"
    : >"$folder/path"
    [ "${1%% *}" != gcc ] ||
        awk -v most=65536 -f tests/platform/stack.awk "${object%.o}.ci" >"$folder/path" ||
        { cat "$folder/path" >&2; return 1; }
    { cat "$folder/largest"; sed 's/^/    deepest /' "$folder/path" | cut -c 1-160; } >>"$work/frames"
}

# microsoft COMPILE: as Microsoft's compiler would read it, as far as clang can tell: its macros, its
# dialect, and headers with what its own declare. Its vector kernels are code that clang does not
# read while it says that it is clang.
microsoft()
{
    dialect="--target=x86_64-pc-windows-msvc -fms-compatibility -fms-extensions -fmsc-version=1930
        -ffreestanding -isystem $work/msvc -I. -fsyntax-only"
    for define in "" -DNN_DOUBLE -DNN_NO_FMA -DNN_NO_STDIO; do
        for kernels in "" "-U__clang__ -march=x86-64-v4"; do
            $1 $dialect -Wall -Wextra -Wno-unknown-pragmas -Wconversion -Werror $define $kernels "$work/later.c"
        done
    done
    $1 $dialect -Wall -Wextra -Werror "$work/user.c"
}

# layers COMPILE: a net of more layers than NN_MODEL_SIZE takes.
layers()
{
    printf '#include "nn.h"\nchar a[NN_MODEL_SIZE(%s)];\n' 1,2,3,4,5,6,7,8,9 >"$folder/eight.c"
    printf '#include "nn.h"\nchar a[NN_MODEL_SIZE(%s)];\n' 1,2,3,4,5,6,7,8,9,10 >"$folder/nine.c"
    $1 -fsyntax-only -I. "$folder/eight.c"
    ! $1 -fsyntax-only -I. "$folder/nine.c" 2>"$folder/message" || return 1
    grep -i negative "$folder/message"
}

# macros COMPILE, names COMPILE: what is left outside NN_ and nn_.
macros()
{
    for source in declare implement; do
        for flags in "" "-O3 -march=native"; do
            $1 -E -dD $flags -I. "$work/$source.c" >"$folder/text"
            grep -q NN_VERSION "$folder/text"
            awk -f tests/platform/macros.awk "$folder/text" >&2
        done
    done
}
names()
{
    for source in declare implement; do
        $1 -E -I. "$work/$source.c" >"$folder/text"
        awk -f tests/platform/names.awk "$folder/text" >&2
    done
}

# link_program COMPILE OBJECT CXX: a program with the implementation from elsewhere.
link_program()
{
    $1 -c -I. -o "$folder/a.o" "$work/user.c"
    $3 -o "$folder/program" "$folder/a.o" "$2" -lm
    "$folder/program"
}

# refused COMPILE SOURCE: -ffast-math is, with a word on how to allow it.
refused()
{
    ! $1 -ffast-math -fsyntax-only -I. "$2" 2>"$folder/message" || return 1
    grep '#error' "$folder/message"
    grep NN_ALLOW_FAST_MATH "$folder/message"
}
fast_math()
{
    refused "$1" "$work/implement.c"
    diagnose "$1 -ffast-math -DNN_ALLOW_FAST_MATH" implement.c
    compile "$(warning "$1") -ffast-math -DNN_ALLOW_FAST_MATH -DNN_NO_SIMD" implement.c
}

# fuses COMPILE SOURCE: whether a product is fused with a sum in its code, for a processor that can.
fuses()
{
    $1 -march=x86-64-v4 -std=gnu17 -c -I. -o "$folder/a.o" "$2" || exit 1
    objdump -d --no-show-raw-insn "$folder/a.o" >"$folder/code" || exit 1
    grep -m 5 -E 'vfn?m(add|sub)' "$folder/code" >&2
}

# Under NN_NO_FMA no compiler fuses, neither in the header nor in what nn_export_c writes; without it
# they do, which shows that it would be seen. The header's clock, which is no part of it, is left out.
# Compilers fuse from -O1 on; that they fuse no more of the header with -O2 and -O3 is what the bits of
# tests/platform/portable.sh show.
fused()
{
    fuses "$1 -O2" "$2"
    for level in -O2 -O3; do
        ! fuses "$1 $level -DNN_NO_FMA" "$2" || return 1
    done
}
fused_header()
{
    fuses "$1 -O1 -DNN_NO_STDIO -DNN_NO_MALLOC -DNN_NO_TRAIN -DNN_NO_SIMD" "$work/implement.c"
    ! fuses "$1 -O1 -DNN_NO_STDIO -DNN_NO_FMA" "$work/implement.c"
}

# exported CC CXX SOURCE: what nn_export_c writes gives no warning either, in C and in C++ (where 17
# is the first to have hexadecimal floating constants), but for what is not C++'s style.
exported()
{
    { cat "$3"; echo 'int main(void) { return !exported[0][0] || !exported_classes[0][1]; }'; } >"$folder/models.c"
    for flags in "" -DNN_NO_FMA; do
        for command in "$1 -std=c99" "$2 -std=c++17"; do
            $(warning "$command") $(warnings_of "$command" | sed 's/-Wold-style-cast.*//') $flags -c \
                -o "$folder/a.o" "$folder/models.c"
        done
    done
    refused "$1" "$folder/models.c"
}

# ---- The table ----------------------------------------------------------------------------------

# objects CC CXX: rows that make the objects, for the rows below; the longest come first.
objects()
{
    c="$1 -std=c99"
    cxx="$2 -x c++ -std=c++11"
    row "$1, what is fused" fused_header "$1"
    row "$1 -DNN_DOUBLE, what is fused" fused_header "$1 -DNN_DOUBLE"
    row "$c -O2" compile "$(framed "$c -O2")" implement.c "$work/$1.optimised.o"
    row "$cxx -O2" compile "$cxx -O2" implement.c
    row "$1, two private copies" private "$1"
    row "$1 without flags" without_flags "$(framed "$1")" "$work/$1.o"
    row "$2 without flags" without_flags "$2 -x c++" "$work/$2.o"
}

# checks CC CXX
checks()
{
    c="$1 -std=c99"
    cxx="$2 -x c++ -std=c++11"
    row "$1 -ffast-math" fast_math "$1"
    row "$1 without stdio" needs_without "$1 -DNN_NO_STDIO" "$stdio|$posix"
    row "$1 with files of the program's own" needs_without "$1 -DNN_FOPEN=fopen" "$posix"
    row "$1 predicting, with files" needs_without "$1 -DNN_NO_TRAIN" "$posix"
    row "$1 without a heap" needs_without "$1 -DNN_NO_MALLOC" "$heap"
    row "$1 predicting only" needs_without "$1 -DNN_NO_STDIO -DNN_NO_MALLOC -DNN_NO_TRAIN" \
        '(alloc|free|fopen|clock)'
    row "$1 -DNN_NO_SIMD" no_simd "$1" "$work/$1.optimised.o"
    for double in "" _double; do
        define=
        [ -z "$double" ] || define=-DNN_DOUBLE
        row "$1 $define, what was exported" exported "$1" "$2 -x c++" "$models$double.c"
        row "$1 $define, what is fused of it" fused "$1 $define" "$models$double.c"
    done
    for standard in c11 gnu17 c2x; do
        row "$1 -std=$standard" diagnose "$1 -std=$standard" implement.c
        row "$1 -std=$standard, small" small "$1 -std=$standard"
    done
    for standard in c++17 c++20; do
        row "$2 -std=$standard" diagnose "$2 -x c++ -std=$standard" implement.c
        row "$2 -std=$standard, small" small "$2 -x c++ -std=$standard"
    done
    for command in "$c" "$cxx"; do
        row "$command, small" small "$command"
        row "$command, twice" diagnose "$command" again.c later.c twice.c other.c
    done
    for command in "$1" "$2 -x c++"; do
        for object in "$1" "$2"; do
            row "$command with $object's" link_program "$command" "$work/$object.o" "$2"
        done
    done
    for switch in $agreed; do
        row "$1 and $2, -DNN_$switch" agreement "$1" "$2" "$switch"
        row "$1, $switch changes" changed "$1" "$switch"
    done
    row "$1, STATIC changes" changed "$1" STATIC
    row "$1, shared library" shared "$1" "$1"
    row "$2, shared library" shared "$2 -x c++" "$2"
    row "$1, two builds" two_builds "$1" "$work/$1.o"
    row "$1, declarations" declares_only "$1"
    row "$1, what it exports and needs" exports "$work/$1.optimised.o"
    row "$1, too many layers" layers "$1"
    for level in -O0 -O2; do
        row "$1 $level, stack" stack "$1 $level"
    done
    row "$1 -O0, frames" frames "$1 -O0" "$work/$1.o"
    row "$c -O2, frames" frames "$c -O2" "$work/$1.optimised.o"
    # A frame grows by what is inlined and unrolled: -Og does less of it than -O1, -Os than -O2.
    for level in -O1 "-O3 -march=native" "-O0 -DNN_DOUBLE"; do
        row "$1 $level, frames" frames "$1 $level"
    done
    row "$1, macros" macros "$1"
    row "$1, names" names "$1"
    switches "$1" "$2"
}

# switches CC CXX: each alone, in C and in C++, and each pair.
switches()
{
    others="$all_switches"
    for switch in $all_switches; do
        others=${others#* }
        row "$c -DNN_$switch" switch_alone "$c" "$switch"
        # Clang makes code from what it has checked already: two switches can change that.
        case $1,$switch in
        gcc,* | *,DOUBLE | *,NO_FMA) row "$cxx -DNN_$switch" switch_alone "$cxx" "$switch" ;;
        *) row "$cxx -DNN_$switch" diagnose "$cxx -DNN_$switch $(blas "$switch")" later.c ;;
        esac
        [ "$switch" != "${all_switches##* }" ] || break
        for other in $others; do
            row "$1 -DNN_$switch -DNN_$other" switch_pair "$1" "$2 -x c++" "$switch" "$other"
        done
    done
}
agreed="DOUBLE NO_FMA NO_STDIO NO_MALLOC NO_TRAIN NO_SIMD NO_CONVOLUTION ALIGNMENT=16 PREDICT_ROWS=5"
all_switches="STATIC NO_STDIO NO_MALLOC NO_TRAIN NO_SIMD NO_CONVOLUTION NO_FMA DOUBLE"
! pkg-config --exists openblas 2>/dev/null || all_switches="$all_switches USE_OPENBLAS"

linkers()
{
    sections="-ffunction-sections -fdata-sections"
    collect="-Wl,--gc-sections"
    cortex="-mthumb -mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16 --specs=picolibc.specs"
    row "-flto" linker gcc "gcc -O2 -flto $sections" "gcc -O2 -flto $collect"
    row "-flto, lld" linker "clang lld" "clang -O2 -flto $sections" \
        "clang -O2 -flto -fuse-ld=lld $collect"
    row "Windows" linker gcc-mingw-w64-x86-64 "x86_64-w64-mingw32-gcc -O0 $sections" \
        "x86_64-w64-mingw32-gcc $collect"
    row "microcontroller" linker "gcc-arm-none-eabi picolibc-arm-none-eabi" \
        "arm-none-eabi-gcc -Os $cortex $sections" \
        "arm-none-eabi-gcc $cortex $collect --crt0=hosted --oslib=semihost"
    row "tcc" linker tcc tcc tcc
    row "Microsoft's dialect of C" microsoft "clang -std=c17"
    row "Microsoft's dialect of C++" microsoft "clang++ -x c++ -std=c++17"
}

# with_each TABLE: its rows for each pair of compilers that is here.
with_each()
{
    for pair in gcc:g++ clang:clang++; do
        if command -v "${pair%:*}" >/dev/null && command -v "${pair#*:}" >/dev/null; then
            "$1" "${pair%:*}" "${pair#*:}"
        else
            row "${pair%:*}" needs "${pair%:*} ${pair#*:}" "$(echo "$pair" | tr : ' ')"
        fi
    done
}

if first; then
    make_sources
    make build/exported.c build/exported_double.c >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
fi
with_each objects
run_rows
with_each checks
linkers
run_rows
! first || cat "$work/frames"
finish
