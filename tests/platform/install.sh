#!/bin/sh
# What users get by make install, CMake and pkg-config: sh tests/platform/install.sh, from the
# repository root. The header is installed in four ways: into a prefix, for a package (DESTDIR),
# into folders of the user's choice, and into a prefix that is moved afterwards. From each, programs
# are built as users build them; all must print the version and the hash of weights that a plain
# compile of the same program prints. Then it is uninstalled, and nothing may be left.
# A tool that is not here is skipped, which with CI=true is a failure.
suite=install
. tests/platform/jobs.sh
version=$(awk -F '"' '/define NN_VERSION +"/ { print $2; exit }' nn.h)

# ---- Installing ---------------------------------------------------------------------------------

# In the folders of the user's choice the header has a mistake that warnings find, so that one sees
# whether they reach the user.
folders="includedir=$work/own/headers/nn datadir=$work/own/data pkgconfigdir=$work/own/pc
    cmakedir=$work/own/cmake docdir=$work/own/texts"
make_installed()
{
    # A mask that lets nobody else read is root's on many machines.
    (
        umask 077
        make -s install PREFIX="$work/prefix" &&
            make -s install DESTDIR="$work/stage" PREFIX=/usr &&
            make -s install PREFIX="$work/before" &&
            make -s install PREFIX="$work/own" $folders
    ) >"$work/log" 2>&1 || return 1
    mv "$work/before" "$work/moved"
    echo 'static inline int mistake(double x, int y) { return (int)x + (unsigned)y * 1.5; }' \
        >>"$work/own/headers/nn/nn.h"
    ${CC:-cc} -I. -o "$work/plain" tests/platform/consumer.c -lm 2>>"$work/log" &&
        "$work/plain" >"$work/expected" &&
        grep -q "^nn.h $version, weights ........\$" "$work/expected"
}

# installed_files: every file that make install wrote, by the folder that it was installed into.
installed_files()
{
    for file in include/nn.h share/cmake/nn/nnConfig.cmake share/cmake/nn/nnConfigVersion.cmake \
        share/doc/nn/LICENSE share/pkgconfig/nn.pc; do
        echo "./$file"
    done >"$folder/wanted"
    for base in prefix moved stage/usr; do
        (cd "$work/$base" && find . -type f | sort) >"$folder/found"
        diff "$folder/wanted" "$folder/found" >&2 || return 1
        cmp nn.h "$work/$base/include/nn.h" >&2 || return 1
        cmp LICENSE "$work/$base/share/doc/nn/LICENSE" >&2 || return 1
        [ -z "$(find "$work/$base" -type f ! -perm 644)" ] || return 1
        ! grep -r '@[a-z]*@' "$work/$base/share" >&2 || return 1
    done
    ! grep -r "$work" "$work/stage" >&2 || return 1
    echo "$(wc -l <"$folder/wanted") files in each"
}

# news: the header's NEWS is of this version, and its table of names is right: the header declares
# none of the old names and all of the new ones.
news()
{
    awk '/^   NEWS\./ { on = 1 } /^\*\// { on = 0 } on' nn.h >"$folder/news"
    grep -q "^   $version adds to " "$folder/news"
    awk '/^   These names/ { on = 1; next } /^   [^ ]/ { on = 0 } on' "$folder/news" |
        sed '/0\.1\.0/d' >"$folder/table"
    cut -c 1-47 "$folder/table" | grep -Eo '(nn|NN)_[A-Za-z_]+' >"$folder/old"
    cut -c 48- "$folder/table" | grep -Eo '(nn|NN)_[A-Za-z_]+' >"$folder/new"
    # Without its first page; the names as words.
    sed '1,/^\*\//d; /Users stop here/q' nn.h | grep -Eo '[A-Za-z_0-9]+' | sort -u >"$folder/words"
    ! grep -xFf "$folder/old" "$folder/words" >&2 || return 1
    sort -u "$folder/new" | comm -23 - "$folder/words" >"$folder/unknown"
    ! grep . "$folder/unknown" >&2 || return 1
    [ "$(wc -l <"$folder/old")" -eq "$(wc -l <"$folder/new")" ]
    echo "$(wc -l <"$folder/old") names"
}

# relative: a relative PREFIX would mean another folder wherever it is read.
relative()
{
    ! make install PREFIX=build/install/relative >"$folder/message" 2>&1 &&
        grep -q 'no absolute path' "$folder/message" && [ ! -e build/install/relative ]
}

# ---- Users --------------------------------------------------------------------------------------

# same PROGRAM: it prints what the plain one prints.
same()
{
    "$1" >"$folder/output" && diff "$work/expected" "$folder/output" >&2 && cat "$folder/output"
}

# by_pkg_config COMPILE SETTING...: with these settings of pkg-config.
by_pkg_config()
{
    needs "${1%% *} pkg-config" "pkg-config"
    compile=$1
    shift
    [ "$(env "$@" pkg-config --modversion nn)" = "$version" ]
    env "$@" pkg-config --atleast-version=0.2 nn
    # shellcheck disable=SC2046
    $compile $(env "$@" pkg-config --cflags nn) -o "$folder/program" tests/platform/consumer.c \
        $(env "$@" pkg-config --libs nn)
    same "$folder/program"
}

# project LANGUAGE: begins a project in the folder, whose lines come from standard input.
project()
{
    mkdir -p "$folder/project"
    {
        printf 'cmake_minimum_required(VERSION 3.14)\nproject(app %s)\n' "$1"
        cat
    } >"$folder/project/CMakeLists.txt"
    main=main.c
    [ "$1" = C ] || main=main.cpp
    cp tests/platform/consumer.c "$folder/project/$main"
}

# build OPTION...: configures the project with these options and builds it.
build()
{
    # Not what is installed on this machine, but what the options name.
    cmake -S "$folder/project" -B "$folder/build" -DCMAKE_FIND_USE_CMAKE_SYSTEM_PATH=OFF "$@" >&2 &&
        cmake --build "$folder/build" >&2
}

# by_find_package LANGUAGE OPTION...
by_find_package()
{
    needs cmake cmake
    main=$(echo "main.$1" | sed 's/CXX$/cpp/; s/C$/c/')
    project "$1" <<END_OF_LINES
find_package(nn 0.2 REQUIRED)
add_executable(app $main)
target_link_libraries(app PRIVATE nn::nn)
END_OF_LINES
    shift
    build "$@"
    same "$folder/build/app"
}

# for_windows: where the C library has no mathematics of its own, none are linked; here they are.
for_windows()
{
    needs "cmake x86_64-w64-mingw32-gcc" "cmake gcc-mingw-w64-x86-64"
    project C <<'END_OF_LINES'
find_package(nn 0.2 REQUIRED)
add_executable(app main.c)
target_link_libraries(app PRIVATE nn::nn)
get_target_property(libraries nn::nn INTERFACE_LINK_LIBRARIES)
if(WIN32 AND libraries)
    message(FATAL_ERROR "on Windows ${libraries} is linked")
elseif(NOT WIN32 AND NOT libraries STREQUAL "m")
    message(FATAL_ERROR "not m but ${libraries} is linked")
endif()
END_OF_LINES
    cmake -S "$folder/project" -B "$folder/here" -DCMAKE_PREFIX_PATH="$work/prefix" >&2
    build -DCMAKE_SYSTEM_NAME=Windows -DCMAKE_C_COMPILER=x86_64-w64-mingw32-gcc \
        -DCMAKE_PREFIX_PATH="$work/prefix"
    [ -f "$folder/build/app.exe" ]
}

# strict_user: a C++ program whose warnings are errors builds with nn::nn although the header has a
# mistake, and does not where the header's folder is one of its own.
strict_user()
{
    needs "cmake ${CXX:-c++}" "cmake g++"
    strict="-Wall -Wextra -Werror -Wconversion -Wsign-conversion -Wold-style-cast"
    by_find_package CXX "-DCMAKE_CXX_FLAGS=$strict" -Dnn_DIR="$work/own/cmake"
    ! ${CXX:-c++} $strict -I"$work/own/headers/nn" -fsyntax-only "$folder/project/main.cpp" \
        2>"$folder/message" || return 1
    grep -E 'error: .*(old-style-cast|cast|conversion)' "$folder/message" >&2
}

# versions: what find_package says to each version that is asked for.
versions()
{
    needs cmake cmake
    project C <<'END_OF_LINES'
function(ask expected)
    unset(nn_DIR CACHE)
    find_package(nn ${ARGN} QUIET)
    if(NOT "${nn_FOUND}" STREQUAL "${expected}")
        message(FATAL_ERROR "find_package(nn ${ARGN}): ${nn_FOUND}, not ${expected}")
    endif()
endfunction()
string(REGEX MATCH "^([0-9]+)\\.([0-9]+)\\.([0-9]+)$" whole "${VERSION}")
set(major ${CMAKE_MATCH_1})
set(minor ${CMAKE_MATCH_2})
set(patch ${CMAKE_MATCH_3})
math(EXPR more_major "${major} + 1")
math(EXPR more_minor "${minor} + 1")
math(EXPR less_minor "${minor} - 1")
math(EXPR more_patch "${patch} + 1")
ask(1)
ask(1 ${major}.${minor})
ask(1 ${VERSION})
ask(1 ${VERSION} EXACT)
ask(0 ${major}.${minor}.${more_patch})
ask(0 ${major}.${more_minor})
ask(0 ${more_major})
ask(0 ${major}.${minor}.${more_patch} EXACT)
if(major EQUAL 0)
    ask(0 ${major}.${less_minor})
    ask(0 ${major}.${less_minor}.${patch} EXACT)
endif()
if(NOT CMAKE_VERSION VERSION_LESS 3.19)
    ask(1 ${major}.${less_minor}...${more_major})
    ask(1 ${VERSION}...${VERSION})
    ask(0 ${major}.${less_minor}...<${VERSION})
    ask(0 ${major}.${more_minor}...${more_major})
endif()
find_package(nn ${VERSION} REQUIRED)
find_package(nn ${VERSION} REQUIRED) # a second time, as by two of its libraries
if(NOT nn_VERSION STREQUAL VERSION)
    message(FATAL_ERROR "nn_VERSION is ${nn_VERSION}")
endif()
END_OF_LINES
    cmake -S "$folder/project" -B "$folder/build" -DVERSION="$version" \
        -DCMAKE_PREFIX_PATH="$work/prefix" >&2 && echo "$version"
}

# without_header: a package whose header is gone says so.
without_header()
{
    needs cmake cmake
    cp -R "$work/prefix" "$folder/prefix"
    rm "$folder/prefix/include/nn.h"
    project C <<'END_OF_LINES'
find_package(nn 0.2 REQUIRED)
END_OF_LINES
    ! cmake -S "$folder/project" -B "$folder/build" -DCMAKE_PREFIX_PATH="$folder/prefix" \
        >"$folder/message" 2>&1 && grep -o 'There is no nn.h' "$folder/message"
}

# fetched HOW: by FetchContent, from a git repository with a tag, or from an archive.
fetched()
{
    needs "cmake git" "cmake git"
    mkdir "$folder/origin"
    cp nn.h LICENSE "$folder/origin"
    case $1 in
    git)
        (
            cd "$folder/origin"
            git init -q
            git add nn.h LICENSE
            git -c user.name=test -c user.email=test -c commit.gpgsign=false commit -q -m nn
            git tag "v$version"
        )
        from="GIT_REPOSITORY $folder/origin GIT_TAG v$version"
        ;;
    archive)
        mv "$folder/origin" "$folder/nn-$version"
        (cd "$folder" && tar czf nn.tar.gz "nn-$version")
        from="URL $folder/nn.tar.gz"
        ;;
    esac
    project C <<END_OF_LINES
include(FetchContent)
FetchContent_Declare(nn $from)
FetchContent_MakeAvailable(nn)
add_executable(app main.c)
target_include_directories(app SYSTEM PRIVATE \${nn_SOURCE_DIR})
target_link_libraries(app PRIVATE m)
END_OF_LINES
    build
    same "$folder/build/app"
}

# uninstalled: no file is left, nor a folder of nn's own; what others put beside them stays.
uninstalled()
{
    touch "$work/prefix/share/doc/nn/other" "$work/prefix/include/other.h"
    make -s uninstall PREFIX="$work/prefix" >&2
    make -s uninstall DESTDIR="$work/stage" PREFIX=/usr >&2
    make -s uninstall PREFIX="$work/own" $folders >&2
    find "$work/stage" "$work/own" \( -type f -o -name nn -path '*share*' \) >"$folder/left"
    find "$work/prefix" -type f | sort >>"$folder/left"
    printf '%s\n' "$work/prefix/include/other.h" "$work/prefix/share/doc/nn/other" |
        diff - "$folder/left" >&2
    make -s uninstall PREFIX="$work/prefix" >&2 # again: there is nothing to do
}

# ---- The table ----------------------------------------------------------------------------------

if first && ! make_installed; then
    cat "$work/log"
    echo "install: make install has failed, or what it installed"
    exit 1
fi
pc=share/pkgconfig
row "C++ with warnings as errors, own folders" strict_user
row "find_package, a prefix" by_find_package C -DCMAKE_PREFIX_PATH="$work/prefix"
row "find_package, a staged package" by_find_package C -DCMAKE_PREFIX_PATH="$work/stage/usr"
row "find_package, a moved prefix, C++" by_find_package CXX -DCMAKE_PREFIX_PATH="$work/moved"
row "find_package, for Windows" for_windows
row "FetchContent, a git repository" fetched git
row "FetchContent, an archive" fetched archive
row "find_package, versions" versions
row "find_package, no header" without_header
row "pkg-config, a prefix" by_pkg_config "${CC:-cc}" PKG_CONFIG_PATH="$work/prefix/$pc"
row "pkg-config, a staged package" by_pkg_config "${CC:-cc}" \
    PKG_CONFIG_LIBDIR="$work/stage/usr/$pc" PKG_CONFIG_SYSROOT_DIR="$work/stage"
row "pkg-config, own folders" by_pkg_config "${CC:-cc}" PKG_CONFIG_PATH="$work/own/pc"
row "what is installed" installed_files
row "a relative prefix" relative
row "names of 0.1.0" news
run_rows
row "make uninstall" uninstalled
run_rows
finish
