/* What the fuzz targets share: the heap and the files that the library sees, the clock, the bytes
   of an input. A target defines fuzz_one, which draws what it needs from the input, calls the
   library and states with REQUIRE what must hold. libFuzzer calls it with millions of inputs; where
   something does not hold, the program ends and the input is kept.

   Compiled with FUZZ_LINKED, a target is linked with library.c. Otherwise it has the implementation
   in itself. With FUZZ_REPLAY, main runs the files that it is given, and any compiler will do:
   make build/fuzz/csv.replay && build/fuzz/csv.replay tests/fuzz/corpus/csv */
#ifndef FUZZ_H
#define FUZZ_H

#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE 1 /* clock_gettime and opendir under -std=c99 */
#endif

#include <dirent.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if !defined(FUZZ_LINKED) && !defined(NN_IMPLEMENTATION)
#define NN_IMPLEMENTATION
#endif

#ifdef NN_IMPLEMENTATION
#define FUZZ_SHARED(declaration) declaration
#else
#define FUZZ_SHARED(declaration) extern declaration
#endif

#if defined(__SANITIZE_ADDRESS__)
#define FUZZ_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FUZZ_ASAN
#endif
#endif

#define FUZZ_FUNCTION static __attribute__((unused))

/* An invariant. */
#define REQUIRE(condition) ((condition) ? (void)0 : fuzz_fail(#condition, __FILE__, __LINE__))

FUZZ_FUNCTION void fuzz_fail(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: REQUIRE(%s) does not hold\n", file, line, condition);
    abort();
}

/* ---- The heap -------------------------------------------------------------------------------- */

typedef struct fuzz_heap {
    long blocks;        /* in use */
    size_t bytes, most; /* in them; the most of them at a time since fuzz_arm */
    long calls;         /* of malloc since fuzz_arm */
    long fail_at;       /* the call of that number fails, from 1; 0: none */
    size_t limit;       /* larger blocks are refused */
    int failed;         /* whether a call has failed since fuzz_arm */
    unsigned char fill; /* what new blocks are filled with: as numbers it is NaN */
} fuzz_heap;

FUZZ_SHARED(fuzz_heap heap);

#ifdef FUZZ_ASAN
#ifdef __cplusplus
extern "C"
#endif
    size_t
    __sanitizer_get_allocated_size(const volatile void *block);
#define FUZZ_FRONT 0
#else
#define FUZZ_FRONT 16 /* bytes before each block, for its size */
#endif

FUZZ_FUNCTION void *fuzz_malloc(size_t size)
{
    char *block = NULL;
    REQUIRE(size > 0); /* malloc(0) is NULL in some C libraries */
    heap.calls++;
    if (heap.calls != heap.fail_at && size <= heap.limit) block = (char *)malloc(size + FUZZ_FRONT);
    if (!block) {
        heap.failed = 1;
        return NULL;
    }
#ifndef FUZZ_ASAN
    memcpy(block, &size, sizeof size);
#endif
    block += FUZZ_FRONT;
    memset(block, heap.fill, size < 4096 ? size : 4096);
    heap.blocks++;
    heap.bytes += size;
    if (heap.bytes > heap.most) heap.most = heap.bytes;
    return block;
}

FUZZ_FUNCTION size_t fuzz_size(void *block)
{
#ifdef FUZZ_ASAN
    return __sanitizer_get_allocated_size(block);
#else
    size_t size;
    memcpy(&size, (char *)block - FUZZ_FRONT, sizeof size);
    return size;
#endif
}

FUZZ_FUNCTION void fuzz_free(void *block)
{
    if (!block) return;
    heap.blocks--;
    heap.bytes -= fuzz_size(block);
    free((char *)block - FUZZ_FRONT);
}

/* From here on the call of that number fails, or none. Returns the blocks in use. */
FUZZ_FUNCTION long fuzz_arm(long fail_at)
{
    heap.calls = 0;
    heap.failed = 0;
    heap.fail_at = fail_at;
    heap.most = heap.bytes;
    return heap.blocks;
}

FUZZ_FUNCTION void fuzz_disarm(void)
{
    heap.fail_at = 0;
}

#define NN_MALLOC(size)  fuzz_malloc(size)
#define NN_FREE(pointer) fuzz_free(pointer)

/* ---- Files in memory ------------------------------------------------------------------------- */

/* The paths "0" and "1" are files[0] and files[1]; no other path exists. A read gives at most
   `piece` bytes. */
typedef struct fuzz_file {
    const unsigned char *bytes;
    size_t size, at, piece;
    int open;
} fuzz_file;

FUZZ_SHARED(fuzz_file files[2]);

FUZZ_FUNCTION FILE *fuzz_open(const char *path, const char *mode)
{
    fuzz_file *file = &files[*path == '1'];
    if ((strcmp(path, "0") != 0 && strcmp(path, "1") != 0) || *mode != 'r') return NULL;
    file->at = 0;
    file->open++;
    return (FILE *)(void *)file;
}

FUZZ_FUNCTION size_t fuzz_read(void *buffer, size_t size, FILE *stream)
{
    fuzz_file *file = (fuzz_file *)(void *)stream;
    size_t got = file->size - file->at;
    if (got > size) got = size;
    if (got > file->piece) got = file->piece;
    if (got) memcpy(buffer, file->bytes + file->at, got);
    file->at += got;
    return got;
}

FUZZ_FUNCTION int fuzz_close(FILE *stream)
{
    ((fuzz_file *)(void *)stream)->open--;
    return 0;
}

#define NN_FOPEN(path, mode)          fuzz_open(path, mode)
#define NN_FREAD(buffer, bytes, file) fuzz_read(buffer, bytes, file)
#define NN_FERROR(file)               ((void)(file), 0)
#define NN_FCLOSE(file)               fuzz_close(file)

/* ---- The library ----------------------------------------------------------------------------- */

FUZZ_SHARED(const char *fuzz_backend);

#define NN_BACKEND fuzz_backend
#include "../../nn.h"

/* ---- The clock ------------------------------------------------------------------------------- */

/* Time is linear in the bytes that a call reads: with sanitizers 0.1 us for most bytes, and up to
   5 us where each is a column of its own. What grows faster exceeds this in inputs of a
   megabyte. */
FUZZ_FUNCTION double fuzz_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double fuzz_started;

FUZZ_FUNCTION void fuzz_start_clock(size_t size)
{
    if (size > 4096) fuzz_started = fuzz_seconds();
}

FUZZ_FUNCTION void fuzz_stop_clock(size_t size)
{
    if (size > 4096) REQUIRE(fuzz_seconds() - fuzz_started < 0.5 + 8e-6 * (double)size);
}

/* ---- Inputs ---------------------------------------------------------------------------------- */

typedef struct fuzz_input {
    const unsigned char *at, *end;
} fuzz_input;

/* The next byte, or '0' at the end. */
FUZZ_FUNCTION int take_byte(fuzz_input *in)
{
    return in->at < in->end ? *in->at++ : '0';
}

/* The next byte as a number from 0 to below - 1. Digits mean themselves, so that the files of the
   corpus can be read. */
FUZZ_FUNCTION int take_below(fuzz_input *in, int below)
{
    return (take_byte(in) - '0' + 256) % 256 % below;
}

/* What is left, up to a mark, which is skipped; all of it where there is no mark. */
FUZZ_FUNCTION fuzz_input take_until(fuzz_input *in, const char *mark)
{
    const size_t length = strlen(mark);
    fuzz_input part = *in;
    const unsigned char *at = in->at;
    for (; (size_t)(in->end - at) >= length; at++)
        if (*at == (unsigned char)*mark && memcmp(at, mark, length) == 0) {
            part.end = at;
            in->at = at + length;
            return part;
        }
    in->at = in->end;
    return part;
}

/* A copy as a string, in a block of its own, which ends where the string does. Bytes behind a zero
   are left out. */
FUZZ_FUNCTION char *make_string(fuzz_input part)
{
    const size_t size = (size_t)(part.end - part.at);
    const unsigned char *zero = size ? (const unsigned char *)memchr(part.at, 0, size) : NULL;
    const size_t length = zero ? (size_t)(zero - part.at) : size;
    char *text = (char *)malloc(length + 1);
    if (length) memcpy(text, part.at, length);
    text[length] = 0;
    return text;
}

/* The next line as a string; NULL for an empty one. */
FUZZ_FUNCTION char *take_line(fuzz_input *in)
{
    const fuzz_input line = take_until(in, "\n");
    return line.at == line.end ? NULL : make_string(line);
}

/* A copy in a block of its own, so that what is read beside it is found. */
FUZZ_FUNCTION unsigned char *copy_bytes(const void *bytes, size_t size)
{
    unsigned char *copy = (unsigned char *)malloc(size + !size);
    if (size) memcpy(copy, bytes, size);
    return copy;
}

/* splitmix64 (Steele, Lea and Flood 2014) */
FUZZ_FUNCTION uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* FNV-1a (Fowler, Noll and Vo), of eight bytes at a time. */
FUZZ_FUNCTION uint64_t hash_bytes(const void *bytes, size_t size)
{
    const unsigned char *at = (const unsigned char *)bytes;
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ size, word;

    for (; size >= sizeof word; at += sizeof word, size -= sizeof word) {
        memcpy(&word, at, sizeof word);
        hash = (hash ^ word) * UINT64_C(0x100000001b3);
        hash ^= hash >> 32;
    }
    while (size-- > 0) hash = (hash ^ *at++) * UINT64_C(0x100000001b3);
    return hash;
}

/* Whether inputs are made large: the environment's FUZZ_LARGE. */
static int fuzz_large;

/* A text with a piece of it repeated, up to 2 MB in all. Which piece, how often, and whether its
   digits and letters change with each repetition, follows from the text. */
FUZZ_FUNCTION char *enlarge(const char *text, size_t size, char boundary, size_t *large)
{
    uint64_t state = hash_bytes(text, size);
    const size_t wanted = (size_t)1 << (14 + next_random(&state) % 8);
    const int change = (int)(next_random(&state) % 4);
    size_t begin = size ? (size_t)(next_random(&state) % size) : 0, end = begin, i;
    char *result = (char *)malloc(size + wanted + 1), *to = result;

    if (size)
        end = begin + 1 + (size_t)(next_random(&state) % (size - begin < 64 ? size - begin : 64));
    if (size && next_random(&state) % 4) { /* whole lines, or what takes their place */
        while (begin && text[begin - 1] != boundary) begin--;
        while (end < size && text[end - 1] != boundary) end++;
        if (end - begin > wanted) end = begin + wanted;
    }
    memcpy(to, text, begin);
    to += begin;
    while (end > begin && (size_t)(to - result) + (end - begin) < begin + wanted)
        for (i = begin; i < end; i++) {
            char c = text[i];
            if ((change & 1) && c >= '0' && c <= '9') c = (char)('0' + next_random(&state) % 10);
            if ((change & 2) && c >= 'a' && c <= 'z') c = (char)('a' + next_random(&state) % 26);
            *to++ = c;
        }
    memcpy(to, text + begin, size - begin);
    *large = (size_t)(to - result) + size - begin;
    return result;
}

/* ---- What every target checks ---------------------------------------------------------------- */

FUZZ_FUNCTION int is_status(nn_status status)
{
    return (unsigned)status < NN_STATUS_COUNT && nn_status_text(status)[0];
}

FUZZ_FUNCTION int is_terminated(const nn_location *location)
{
    return memchr(location->name, 0, sizeof location->name) != NULL &&
           memchr(location->expected, 0, sizeof location->expected) != NULL;
}

FUZZ_FUNCTION int all_bytes_are(const void *bytes, size_t size, int value)
{
    const unsigned char *at = (const unsigned char *)bytes;
    while (size-- > 0)
        if (*at++ != value) return 0;
    return 1;
}

FUZZ_FUNCTION int same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* ---- libFuzzer, or files --------------------------------------------------------------------- */

static void fuzz_one(fuzz_input in);

#ifndef FUZZ_LIBRARY

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static int begun;
    fuzz_input in;

    if (!begun) {
        begun = 1;
        fuzz_large = getenv("FUZZ_LARGE") != NULL;
        heap.limit = (size_t)1 << 28;
        heap.fill = 0xff;
    }
    in.at = bytes;
    in.end = bytes + size;
    fuzz_one(in);
    REQUIRE(heap.blocks == 0 && heap.bytes == 0);
    REQUIRE(!files[0].open && !files[1].open);
    return 0;
}

#ifdef FUZZ_REPLAY
static long fuzz_replayed;

static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    size_t room = 1 << 16, size = 0, got;
    unsigned char *bytes = (unsigned char *)malloc(room), *exact;

    if (!file) {
        perror(path);
        exit(1);
    }
    while ((got = fread(bytes + size, 1, room - size, file)) > 0) {
        size += got;
        if (size == room) bytes = (unsigned char *)realloc(bytes, room *= 2);
    }
    fclose(file);
    exact = (unsigned char *)malloc(size + !size);
    memcpy(exact, bytes, size);
    free(bytes);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    fuzz_replayed++;
}

int main(int count, char **paths)
{
    int i;
    for (i = 1; i < count; i++) {
        DIR *folder = opendir(paths[i]);
        const struct dirent *entry;
        char path[4096];

        if (!folder) replay_file(paths[i]);
        while (folder && (entry = readdir(folder)) != NULL) {
            if (*entry->d_name == '.') continue;
            snprintf(path, sizeof path, "%s/%s", paths[i], entry->d_name);
            replay_file(path);
        }
        if (folder) closedir(folder);
    }
    printf("%ld inputs\n", fuzz_replayed);
    return fuzz_replayed == 0;
}
#endif
#endif

#endif
