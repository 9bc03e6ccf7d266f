/* Models for the fuzz targets: files made of a text, models in blocks at odd addresses, and what
   holds of every model.

   The text of a file is a header in JSON, then "\n--\n" and the data. The length of the header, the
   length of the data and the checksum are mended, so that an input that changes the header reaches
   what is behind the checks of these. */
#ifndef MODELS_H
#define MODELS_H

#include "fuzz.h"

enum { MEND_MOST_DATA = 1 << 21 };

/* What the checksum covers, in its order: the data, the values of these keys, the header behind the
   checksum. */
static const char *const mend_keys[] = {"nn.version",     "nn.widths",  "nn.layers",
                                        "nn.activations", "nn.scaling", "nn.scaling_values",
                                        "nn.state",       "nn.crc32"};
enum { MEND_KEYS = 8, MEND_CHECKSUM = 7 };

typedef struct mend_parts {
    fuzz_input values[MEND_KEYS];
    size_t data; /* the largest end of a tensor */
} mend_parts;

/* Takes a string, without a look at what escapes mean. */
static fuzz_input take_quoted(fuzz_input *in)
{
    fuzz_input string = *in;
    string.at = ++in->at;
    while (in->at < in->end && *in->at != '"') in->at += 1 + (*in->at == '\\');
    if (in->at > in->end) in->at = in->end;
    string.end = in->at;
    if (in->at < in->end) in->at++;
    return string;
}

static int quoted_is(fuzz_input string, const char *text)
{
    return (size_t)(string.end - string.at) == strlen(text) &&
           memcmp(string.at, text, strlen(text)) == 0;
}

static size_t take_digits(fuzz_input *in)
{
    size_t number = 0;
    while (in->at < in->end && (*in->at < '0' || *in->at > '9') && *in->at != ']') in->at++;
    for (; in->at < in->end && *in->at >= '0' && *in->at <= '9'; in->at++)
        if (number < SIZE_MAX / 16) number = 10 * number + (size_t)(*in->at - '0');
    return number;
}

static mend_parts find_parts(fuzz_input header)
{
    mend_parts parts;
    fuzz_input key;
    size_t end;
    int i;

    memset(&parts, 0, sizeof parts);
    memset(&key, 0, sizeof key);
    while (header.at < header.end) {
        if (*header.at == '"') {
            const fuzz_input string = take_quoted(&header);
            for (i = 0; i < MEND_KEYS; i++)
                if (quoted_is(key, mend_keys[i])) parts.values[i] = string;
            key = string;
            continue;
        }
        if (*header.at == '[' && quoted_is(key, "data_offsets")) {
            (void)take_digits(&header);
            end = take_digits(&header);
            if (end > parts.data) parts.data = end;
            continue;
        }
        header.at++;
    }
    return parts;
}

static uint32_t mend_crc(uint32_t crc, const unsigned char *at, const unsigned char *end)
{
    int i;
    for (; at < end; at++)
        for (crc ^= *at, i = 0; i < 8; i++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    return crc;
}

/* Gives the tensors of a header places one behind the other. The result is a new block. */
static unsigned char *lay_out(fuzz_input header, size_t *length)
{
    const size_t room = 2 * (size_t)(header.end - header.at) + 64;
    unsigned char *text = (unsigned char *)malloc(room), *to = text;
    fuzz_input key;
    size_t at = 0;

    memset(&key, 0, sizeof key);
    while (header.at < header.end && (size_t)(to - text) < room - 64) {
        const unsigned char *from = header.at;
        if (*from == '[' && quoted_is(key, "data_offsets")) {
            const size_t start = take_digits(&header), end = take_digits(&header);
            const size_t bytes = end > start && end - start < 65536 ? end - start : 0;
            to += sprintf((char *)to, "[%zu,%zu", at, at + bytes);
            at += bytes;
            continue;
        }
        if (*from == '"')
            key = take_quoted(&header);
        else
            header.at++;
        if ((size_t)(to - text) + (size_t)(header.at - from) > room - 64) break;
        memcpy(to, from, (size_t)(header.at - from));
        to += header.at - from;
    }
    *length = (size_t)(to - text);
    return text;
}

/* The file, in a block of its own. Data that is missing is made up, of bytes that are finite
   numbers in every type. */
FUZZ_FUNCTION unsigned char *mend_file(fuzz_input in, int layout, size_t *size)
{
    fuzz_input header = take_until(&in, "\n--\n");
    unsigned char *large = NULL, *file, *laid = NULL;
    size_t length = (size_t)(header.end - header.at), data, i;
    mend_parts parts;
    uint32_t crc = 0xffffffffu;
    int digit;

    if (fuzz_large) {
        large = (unsigned char *)enlarge((const char *)header.at, length, '}', &length);
        header.at = large;
        header.end = large + length;
    }
    if (layout) {
        header.at = laid = lay_out(header, &length);
        header.end = laid + length;
    }
    parts = find_parts(header);
    data = parts.data < MEND_MOST_DATA ? parts.data : (size_t)(in.end - in.at);
    file = (unsigned char *)malloc(8 + length + data);
    for (i = 0; i < 8; i++) file[i] = (unsigned char)((uint64_t)length >> 8 * i);
    memcpy(file + 8, header.at, length);
    for (i = 0; i < data; i++)
        file[8 + length + i] = in.at < in.end ? *in.at++ : (unsigned char)(0x30 + i * 7 % 13);
    *size = 8 + length + data;
    if (parts.values[MEND_CHECKSUM].end - parts.values[MEND_CHECKSUM].at == 8) {
        const size_t at = (size_t)(parts.values[MEND_CHECKSUM].at - header.at);
        size_t rest = at + 9;
        if (rest < length && header.at[rest] == '}') rest++;
        if (rest > length) rest = length;
        crc = mend_crc(crc, file + 8 + length, file + *size);
        for (i = 0; i < MEND_CHECKSUM; i++)
            crc = mend_crc(crc, parts.values[i].at, parts.values[i].end);
        crc = ~mend_crc(crc, file + 8 + rest, file + 8 + length);
        for (i = 0; i < 8; i++) {
            digit = (int)(crc >> (28 - 4 * i) & 15);
            file[8 + at + i] = (unsigned char)(digit < 10 ? '0' + digit : 'a' + digit - 10);
        }
    }
    free(large);
    free(laid);
    return file;
}

/* ---- Blocks at odd addresses ----------------------------------------------------------------- */

/* size bytes at the end of a block of its own, so that what is read or written behind them is
   found, and what is written before them too: check_block looks. */
typedef struct odd_block {
    unsigned char *block, *memory;
    size_t size;
} odd_block;

enum { FRONT = 0xa5 };

static odd_block make_block(size_t size, int odd)
{
    odd_block made;
    made.block = (unsigned char *)malloc(size + 16 + (size_t)odd);
    made.memory = made.block + 16 + odd;
    made.size = size;
    memset(made.block, FRONT, (size_t)(made.memory - made.block));
    memset(made.memory, 0xff, size);
    return made;
}

static void check_block(const odd_block *block)
{
    REQUIRE(all_bytes_are(block->block, (size_t)(block->memory - block->block), FRONT));
}

static void free_block(odd_block *block)
{
    check_block(block);
    free(block->block);
    block->block = NULL;
}

/* A model in such a block. */
FUZZ_FUNCTION nn_model *place_model(odd_block *block, const nn_shape *shape, int odd, uint64_t seed)
{
    const size_t size = nn_model_size(shape);
    nn_model *model = NULL;

    REQUIRE(size > 0);
    *block = make_block(size, odd);
    REQUIRE(nn_model_create_in(&model, block->memory, size - 1, shape, seed) == NN_ERROR_BLOCK);
    REQUIRE(!model);
    REQUIRE(nn_model_create_in(&model, block->memory, size, shape, seed) == NN_OK && model);
    return model;
}

/* ---- What holds of every model --------------------------------------------------------------- */

/* Whether its outputs take little time: a small file may describe a large image. */
FUZZ_FUNCTION int is_quick(const nn_model *model)
{
    const size_t count = nn_parameter_count(model);
    nn_shape shape;

    REQUIRE(nn_get_shape(model, &shape) == NN_OK);
    if (count >= 100000) return 0;
    if (shape.layers[0].kind != NN_LAYER_IMAGE) return 1;
    return shape.inputs < 1000 && count * (size_t)shape.inputs < 1000000 && shape.count < 20;
}

/* The bytes of a file, in a block of their own. */
static unsigned char *save(const nn_model *model, size_t *size)
{
    unsigned char *bytes;
    size_t again = 0;

    REQUIRE(nn_save_memory(model, NULL, 0, size) == NN_OK && *size > 8);
    bytes = (unsigned char *)malloc(*size);
    REQUIRE(nn_save_memory(model, bytes, *size, &again) == NN_OK && again == *size);
    return bytes;
}

/* The outputs for three rows, in a block of their own; where one is not finite, they are 0. */
static nn_real *predict(const nn_model *model, size_t *size)
{
    nn_shape shape;
    size_t i, inputs, outputs, scratch_size = nn_scratch_size(model, 3);
    nn_real *x, *y;
    nn_status status;
    void *scratch = malloc(scratch_size);

    REQUIRE(nn_get_shape(model, &shape) == NN_OK && scratch_size);
    inputs = (size_t)shape.inputs;
    outputs = (size_t)nn_outputs(model);
    x = (nn_real *)malloc(3 * inputs * sizeof(nn_real));
    y = (nn_real *)malloc(3 * outputs * sizeof(nn_real));
    for (i = 0; i < 3 * inputs; i++) x[i] = (nn_real)((double)(i * 37 % 101) / 16 - 3);
    memset(y, 0xff, 3 * outputs * sizeof(nn_real));
    status = nn_predict(model, x, 3, y, scratch);
    REQUIRE(status == NN_OK ||
            (status == NN_ERROR_DATA && all_bytes_are(y, 3 * outputs * sizeof(nn_real), 0)));
    free(x);
    free(scratch);
    *size = 3 * outputs * sizeof(nn_real);
    return y;
}

static void require_same(const void *a, size_t a_size, const void *b, size_t b_size)
{
    REQUIRE(a_size == b_size);
    REQUIRE(memcmp(a, b, a_size) == 0);
}

/* All NaN are one: their signs are not defined. */
static void require_same_outputs(const nn_real *a, size_t a_size, const nn_real *b, size_t b_size)
{
    size_t i;
    REQUIRE(a_size == b_size);
    for (i = 0; i < a_size / sizeof(nn_real); i++)
        REQUIRE(memcmp(&a[i], &b[i], sizeof(nn_real)) == 0 || (isnan(a[i]) && isnan(b[i])));
}

static void require_same_predictions(const nn_model *a, const nn_model *b)
{
    size_t a_size, b_size;
    nn_real *a_outputs = predict(a, &a_size), *b_outputs = predict(b, &b_size);
    require_same_outputs(a_outputs, a_size, b_outputs, b_size);
    free(a_outputs);
    free(b_outputs);
}

static void require_same_file(const nn_model *model, const void *bytes, size_t size)
{
    size_t again_size;
    unsigned char *again = save(model, &again_size);
    require_same(again, again_size, bytes, size);
    free(again);
}

static void check_load(const nn_model *model, const void *bytes, size_t size)
{
    nn_model *other = NULL;

    REQUIRE(nn_load_memory(&other, bytes, size, NULL) == NN_OK);
    require_same_file(other, bytes, size);
    require_same_predictions(model, other);
    nn_model_free(other);
}

static void check_copy(const nn_model *model, const void *bytes, size_t size)
{
    nn_model *other = NULL;

    REQUIRE(nn_model_copy(&other, model) == NN_OK);
    require_same_file(other, bytes, size);
    require_same_predictions(model, other);
    nn_model_free(other);
}

static void check_open(const nn_model *model, const void *bytes, size_t size, int odd)
{
    odd_block file = make_block(size, odd), block;
    nn_model *other = NULL;
    size_t needed;

    memcpy(file.memory, bytes, size);
    needed = nn_model_open_size(file.memory, size);
    REQUIRE(needed > 0);
    block = make_block(needed, (odd * 5 + 3) % 16);
    REQUIRE(nn_model_open_in(&other, block.memory, needed - 1, file.memory, size) ==
            NN_ERROR_BLOCK);
    REQUIRE(!other);
    REQUIRE(nn_model_open_in(&other, block.memory, needed, file.memory, size) == NN_OK);
    require_same_predictions(model, other);
    REQUIRE(nn_save_memory(other, NULL, 0, &size) == NN_ERROR_READ_ONLY && size == 0);
    nn_model_free(other);
    free_block(&block);
    free_block(&file);
}

/* What is saved is loaded, copied and opened to the same bits. To save time it is one of the three,
   or another check of the file. */
FUZZ_FUNCTION void check_model(const nn_model *model, int odd)
{
    size_t size, again = 0;
    unsigned char *bytes = save(model, &size);

    switch (odd % 4) {
    case 0: check_load(model, bytes, size); break;
    case 1: check_copy(model, bytes, size); break;
    case 2: check_open(model, bytes, size, odd); break;
    default:
        REQUIRE(nn_save_memory(model, bytes, size - 1, &again) == NN_ERROR_BLOCK && again == size);
        require_same_predictions(model, model);
    }
    free(bytes);
}

#endif
