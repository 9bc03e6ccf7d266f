/* Model files as bytes: for the tests of saving, loading and opening them. */
#ifndef FILES_H
#define FILES_H

#include <float.h>

#include "../fixtures.h"

#ifdef NN_DOUBLE
#define OWN_TYPE  "F64"
#define REAL_MAX  DBL_MAX
#define REAL_TINY 5e-324
#else
#define OWN_TYPE  "F32"
#define REAL_MAX  FLT_MAX
#define REAL_TINY ((nn_real)1.4e-45)
#endif

/* ---- Bytes ----------------------------------------------------------------------------------- */

typedef struct bytes {
    unsigned char *at;
    size_t size;
} bytes;

static bytes make_bytes(size_t size)
{
    bytes b;
    b.at = (unsigned char *)malloc(size ? size : 1);
    b.size = size;
    if (!b.at) exit(2);
    return b;
}

/* A copy of exactly that size, so that ASan sees a read past its end. */
static bytes copy_bytes(const void *from, size_t size)
{
    bytes b = make_bytes(size);
    memcpy(b.at, from, size);
    return b;
}

static int same_bytes(bytes a, bytes b)
{
    return a.size == b.size && !memcmp(a.at, b.at, a.size);
}

static void put_length(unsigned char *at, uint64_t length)
{
    int i;
    for (i = 0; i < 8; i++) at[i] = (unsigned char)(length >> (8 * i));
}

static bytes save_model(const nn_model *model)
{
    bytes b = make_bytes(0);
    size_t size = 0;
    if (!CHECK(nn_save_memory(model, NULL, 0, &size) == NN_OK && size > 8)) return b;
    free(b.at);
    b = make_bytes(size);
    CHECK(nn_save_memory(model, b.at, b.size, &size) == NN_OK && size == b.size);
    return b;
}

static bytes save_trainer(const nn_trainer *trainer)
{
    bytes b = make_bytes(0);
    size_t size = 0;
    if (!CHECK(nn_save_checkpoint_memory(trainer, NULL, 0, &size) == NN_OK && size > 8)) return b;
    free(b.at);
    b = make_bytes(size);
    CHECK(nn_save_checkpoint_memory(trainer, b.at, b.size, &size) == NN_OK && size == b.size);
    return b;
}

static bytes read_file(const char *path)
{
    bytes b = make_bytes(0);
    FILE *file = fopen(path, "rb");
    long size;
    if (!CHECK(file != NULL)) return b;
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    rewind(file);
    free(b.at);
    b = make_bytes((size_t)size);
    CHECK(fread(b.at, 1, b.size, file) == b.size);
    fclose(file);
    return b;
}

/* ---- A small model and its inputs ------------------------------------------------------------ */

enum { PROBES = 6 };
static const nn_real probe[PROBES * 3] = {0, 0,  0, 1,   -1,     2,  0.5f, 0.25f, -3,
                                          4, -8, 1, 100, 0.125f, -7, 9,    10,    11};

static nn_data probe_data(void)
{
    nn_data data;
    memset(&data, 0, sizeof data);
    data.rows = PROBES;
    data.inputs = 3;
    data.outputs = 1;
    data.x = data.y = probe;
    return data;
}

/* Two models give the same bits for the probes; both have 3 inputs. */
static int same_predictions(const nn_model *a, const nn_model *b)
{
    nn_real ya[PROBES * 8], yb[PROBES * 8];
    nn_shape shape;
    memset(ya, 0xff, sizeof ya);
    memset(yb, 0x7f, sizeof yb);
    if (nn_get_shape(a, &shape) != NN_OK) return 0;
    if (nn_predict(a, probe, PROBES, ya, NULL) != NN_OK) return 0;
    if (nn_predict(b, probe, PROBES, yb, NULL) != NN_OK) return 0;
    return !memcmp(ya, yb, (size_t)(PROBES * shape.layers[shape.count - 1].width) * sizeof *ya);
}

static int is_status(nn_status status)
{
    return (int)status >= 0 && status < NN_STATUS_COUNT;
}

/* ---- The checksum and the metadata ----------------------------------------------------------- */

static uint32_t crc32_of(uint32_t crc, const unsigned char *at, size_t size)
{
    int bit;
    while (size-- > 0) {
        crc ^= *at++;
        for (bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return crc;
}

/* SIZE_MAX when it is more. */
static size_t header_size(bytes file)
{
    uint64_t length = 0;
    int i;
    for (i = 8; i-- > 0;) length = length << 8 | file.at[i];
    return length < SIZE_MAX ? (size_t)length : SIZE_MAX;
}

/* Where the value of a metadata key begins, and its length; NULL when there is no such key. */
static unsigned char *find_value(bytes file, const char *key, size_t *length)
{
    const unsigned char *end = file.at + 8 + header_size(file), *at, *stop;
    char quoted[64];
    size_t n;
    sprintf(quoted, "\"%s\":\"", key);
    n = strlen(quoted);
    for (at = file.at + 8; at + n < end; at++) {
        if (memcmp(at, quoted, n) != 0) continue;
        stop = (const unsigned char *)memchr(at + n, '"', (size_t)(end - at) - n);
        if (!stop) return NULL;
        *length = (size_t)(stop - at) - n;
        return file.at + (at - file.at) + n;
    }
    return NULL;
}

/* Puts the checksum right: CRC-32 of the data, of the values from nn.version on, and of the header
   behind the checksum, or behind the metadata where these end there. Returns whether the file has a
   checksum to put right. */
static int put_checksum(bytes file)
{
    static const char *const keys[] = {"nn.version",     "nn.widths",  "nn.layers",
                                       "nn.activations", "nn.scaling", "nn.scaling_values",
                                       "nn.state"};
    const size_t data = 8 + header_size(file);
    uint32_t crc = crc32_of(0xffffffffu, file.at + data, file.size - data);
    unsigned char *at, *stated;
    char digits[9];
    size_t i, length;
    for (i = 0; i < sizeof keys / sizeof *keys; i++)
        if ((at = find_value(file, keys[i], &length)) != NULL) crc = crc32_of(crc, at, length);
    stated = find_value(file, "nn.crc32", &length);
    if (!stated) return 0;
    at = stated + length + 1;
    if (at < file.at + data && *at == '}') at++;
    crc = crc32_of(crc, at, (size_t)(file.at + data - at));
    sprintf(digits, "%08lx", (unsigned long)(uint32_t)~crc);
    if (length >= 8) memcpy(stated, digits, 8);
    return length == 8;
}

/* The file with `text` in front of the end of its metadata, and the checksum put right. */
static bytes with_pairs(bytes file, const char *text)
{
    const size_t old = header_size(file), more = strlen(text), size = (old + more + 7) / 8 * 8;
    size_t length;
    const unsigned char *crc = find_value(file, "nn.crc32", &length), *end;
    bytes b = make_bytes(file.size + size - old);
    end = crc ? (const unsigned char *)memchr(crc, '}', old) : NULL;
    if (!CHECK(end != NULL)) exit(2);
    memset(b.at, ' ', b.size);
    put_length(b.at, size);
    length = (size_t)(end - file.at);
    memcpy(b.at + 8, file.at + 8, length - 8);
    memcpy(b.at + length, text, more);
    memcpy(b.at + length + more, end, 8 + old - length);
    memcpy(b.at + 8 + size, file.at + 8 + old, file.size - 8 - old);
    CHECK(put_checksum(b));
    return b;
}

#endif
