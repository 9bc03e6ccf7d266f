/* Models over the bytes of a saved file: what their tests share. Files are built here without
   nn.h, so that any of their bytes can be made wrong under a checksum that is right. */
#ifndef SAFETENSORS_OPEN_H
#define SAFETENSORS_OPEN_H

#include <stdarg.h>

#include "files.h"

#ifndef FLASH
#define FLASH 0
#endif

#ifdef NN_DOUBLE
#define SIZED(of4, of8) of8
#else
#define SIZED(of4, of8) of4
#endif

static uint64_t seed = 1;

/* ---- Bytes ----------------------------------------------------------------------------------- */

static int all_are(const unsigned char *at, size_t size, unsigned char value)
{
    while (size > 0 && at[size - 1] == value) size--;
    return !size;
}

/* Writes the file as NN_READ_BYTE reads it. */
static void store(unsigned char *at, bytes file)
{
    size_t i;
    for (i = 0; i < file.size; i++) at[i] = (unsigned char)(file.at[i] ^ FLASH);
}

static bytes stored_copy(bytes file)
{
    bytes b = make_bytes(file.size);
    store(b.at, file);
    return b;
}

static int is_stored(const unsigned char *at, bytes file)
{
    size_t i;
    for (i = 0; i < file.size; i++)
        if (at[i] != (unsigned char)(file.at[i] ^ FLASH)) return 0;
    return 1;
}

/* ---- Models ---------------------------------------------------------------------------------- */

enum { MOST_LAYERS = 8, WIDEST = 40, ROWS = 70 };

static nn_real inputs[ROWS * WIDEST];

static void make_inputs(void)
{
    int i;
    for (i = 0; i < ROWS * WIDEST; i++) inputs[i] = (nn_real)((int)random_below(4001) - 2000) / 512;
}

static int outputs_of(const nn_model *model)
{
    nn_shape shape;
    return nn_get_shape(model, &shape) == NN_OK ? shape.layers[shape.count - 1].width : 0;
}

/* ROWS rows of inputs, the targets that fit the last activation. */
static nn_data data_for(const nn_model *model)
{
    static nn_real targets[ROWS * WIDEST];
    nn_data data;
    nn_shape shape;
    int b, j, last, outputs = outputs_of(model);

    memset(&data, 0, sizeof data);
    if (!CHECK(nn_get_shape(model, &shape) == NN_OK && outputs <= WIDEST)) return data;
    last = (int)shape.layers[shape.count - 1].activation;
    data.rows = ROWS;
    data.inputs = shape.inputs;
    data.outputs = outputs;
    data.x = inputs;
    data.y = targets;
    if (last == NN_SOFTMAX && outputs > 1) data.classes = outputs;
    if (last == NN_SIGMOID && outputs == 1) data.classes = 2;
    for (b = 0; b < ROWS; b++)
        for (j = 0; j < outputs; j++)
            targets[b * outputs + j] =
                data.classes == outputs ? b % outputs == j : (nn_real)((b + j) % 2);
    return data;
}

static nn_loss loss_of(const nn_model *model, const nn_data *data)
{
    nn_shape shape;
    int last = NN_LINEAR;
    if (nn_get_shape(model, &shape) == NN_OK) last = (int)shape.layers[shape.count - 1].activation;
    if (last == NN_SIGMOID) return NN_BINARY_CROSS_ENTROPY;
    return last == NN_SOFTMAX && data->classes ? NN_CROSS_ENTROPY : NN_MSE;
}

/* Biases that are not zero, and the scaling fitted. */
static nn_model *make_scaled(int in, const nn_layer *layers, int count, nn_scaling scaling)
{
    nn_model *model = NULL;
    nn_data data;
    size_t i;

    if (!CHECK(nn_model_create(&model, in, layers, count, seed) == NN_OK)) exit(2);
    for (i = 0; i < nn_parameter_count(model); i++)
        if (nn_parameters(model)[i] == 0)
            nn_parameters(model)[i] = (nn_real)((int)random_below(200) - 100) / 256;
    data = data_for(model);
    CHECK(nn_fit_scaling(model, &data, scaling) == NN_OK);
    return model;
}

/* With scaling: 3-2-1, tanh (which no input shuts off), then linear. */
static nn_model *make_small(void)
{
    static const nn_layer layers[] = {NN_DENSE(2, NN_TANH), NN_DENSE(1, NN_LINEAR)};
    return make_scaled(3, layers, 2, NN_SCALE_MIN_MAX);
}

static int fits_inputs(const nn_model *model)
{
    nn_shape shape;
    return nn_get_shape(model, &shape) == NN_OK && shape.inputs <= WIDEST;
}

/* The same bits, but any NaN for any other: hostile weights may overflow. */
static int same_numbers(const nn_real *a, const nn_real *b, size_t count)
{
    for (; count > 0; count--, a++, b++)
        if (memcmp(a, b, sizeof *a) != 0 && !(*a != *a && *b != *b)) return 0;
    return 1;
}

/* Both predict the same for so many rows, each into memory of its own, exactly as long. */
static int predict_the_same(const nn_model *a, const nn_model *b, int rows)
{
    const size_t count = (size_t)rows * (size_t)outputs_of(a);
    bytes ya = make_bytes(count * sizeof(nn_real)), yb = make_bytes(count * sizeof(nn_real));
    nn_status status;
    int same;
    memset(ya.at, 0xff, ya.size);
    memset(yb.at, 0x7f, yb.size);
    status = nn_predict(a, inputs, rows, (nn_real *)(void *)ya.at, NULL);
    same = outputs_of(a) == outputs_of(b) && (status == NN_OK || status == NN_ERROR_DATA) &&
           nn_predict(b, inputs, rows, (nn_real *)(void *)yb.at, NULL) == status &&
           same_numbers((nn_real *)(void *)ya.at, (nn_real *)(void *)yb.at, count);
    free(ya.at);
    free(yb.at);
    return same;
}

/* ---- Headers and files ----------------------------------------------------------------------- */

/* A header as text that grows. */
typedef struct text {
    char *at;
    size_t size, capacity;
} text;

static void add_bytes(text *t, const char *from, size_t size)
{
    if (size >= t->capacity - t->size) {
        t->capacity = 2 * (t->size + size) + 256;
        t->at = (char *)realloc(t->at, t->capacity);
        if (!t->at) exit(2);
    }
    memcpy(t->at + t->size, from, size);
    t->at[t->size += size] = 0;
}

static void add(text *t, const char *format, ...)
{
    char line[256];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    add_bytes(t, line, strlen(line));
}

static text no_text(void)
{
    text t = {NULL, 0, 0};
    add_bytes(&t, "", 0);
    return t;
}

/* With the first `from` replaced by `to`. */
static text edited(text t, const char *from, const char *to)
{
    text e = no_text();
    const char *at = strstr(t.at, from);
    if (!CHECK(at != NULL)) {
        printf("no %s\n", from);
        at = t.at;
    }
    add_bytes(&e, t.at, (size_t)(at - t.at));
    add_bytes(&e, to, strlen(to));
    at += strlen(from);
    add_bytes(&e, at, strlen(at));
    return e;
}

static double number_at(size_t i)
{
    return (i % 2 ? -1.0 : 1.0) * (double)(i % 64 + 1) / 8;
}

static void put_number(unsigned char *at, size_t real, double x)
{
    const float narrow = (float)x;
    unsigned char number[8];
    uint64_t wide_bits;
    uint32_t bits;
    memcpy(&wide_bits, &x, 8);
    memcpy(&bits, &narrow, 4);
    put_length(number, real == 8 ? wide_bits : bits);
    memcpy(at, number, real);
}

/* Data of `size` bytes, as numbers of so many bytes: 1/8, -2/8, 3/8, ... */
static bytes make_numbers(size_t size, size_t real)
{
    bytes b = make_bytes(size);
    size_t i;
    memset(b.at, 0, size);
    for (i = 0; i < size / real; i++) put_number(b.at + i * real, real, number_at(i));
    return b;
}

/* The header, padded to a multiple of `unit` with so many more spaces; then the data. The checksum
   is right. */
static bytes assemble(text header, bytes data, size_t unit, size_t more)
{
    const size_t length = (header.size + unit - 1) / unit * unit + more;
    bytes file = make_bytes(8 + length + data.size);
    put_length(file.at, length);
    memset(file.at + 8, ' ', length);
    memcpy(file.at + 8, header.at, header.size);
    memcpy(file.at + 8 + length, data.at, data.size);
    (void)put_checksum(file);
    return file;
}

/* What is written in a header. Widths are any numbers; what they take is counted modulo a power of
   two, as a reader with such numbers would. */
typedef struct net {
    uint64_t widths[MOST_LAYERS + 2]; /* inputs, widths, 0 */
    const char *activations;          /* with commas */
    const char *scaling, *values;
    size_t real; /* bytes of a number */
    uint64_t mask;
} net;

static void add_tensor(text *t, const char *name, const char *shape, const net *n, uint64_t numbers,
                       uint64_t *offset)
{
    const uint64_t end = (*offset + numbers * n->real) & n->mask;
    add(t, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%llu,%llu]}", name,
        n->real == 4 ? "F32" : "F64", shape, (unsigned long long)*offset, (unsigned long long)end);
    *offset = end;
}

static void add_metadata(text *t, const net *n)
{
    int i;
    add(t, "{\"__metadata__\":{\"format\":\"pt\",\"nn.version\":\"1\",\"nn.widths\":\"");
    for (i = 0; n->widths[i]; i++) add(t, i ? ",%llu" : "%llu", (unsigned long long)n->widths[i]);
    add(t, "\",\"nn.activations\":\"");
    add_bytes(t, n->activations, strlen(n->activations));
    add(t, "\",\"nn.scaling\":\"%s\",\"nn.scaling_values\":\"", n->scaling);
    add_bytes(t, n->values, strlen(n->values));
    add(t, "\",\"nn.crc32\":\"00000000\"}");
}

/* The tensors of a net with these widths and activations, as the metadata lists them, up to a
   quote; returns the bytes of the data. */
static uint64_t add_tensors(text *t, const net *n, const char *widths, const char *activation)
{
    char name[64], shape[64], *end;
    uint64_t offset = 0, in = strtoull(widths, &end, 10), out;
    int module = 0;

    for (; *end == ','; in = out) {
        out = strtoull(end + 1, &end, 10);
        sprintf(name, "%d.weight", module);
        sprintf(shape, "%llu,%llu", (unsigned long long)out, (unsigned long long)in);
        add_tensor(t, name, shape, n, in * out, &offset);
        sprintf(name, "%d.bias", module);
        sprintf(shape, "%llu", (unsigned long long)out);
        add_tensor(t, name, shape, n, out, &offset);
        module += strncmp(activation, "linear", 6) ? 2 : 1;
        activation += strcspn(activation, ",\"");
        activation += *activation == ',';
    }
    add(t, "}");
    return offset;
}

/* The header that describes the net; *size becomes that of the data. */
static text make_header(const net *n, size_t *size)
{
    static const char key[] = "\"nn.widths\":\"";
    text t = no_text(), widths = no_text();

    add_metadata(&t, n);
    add_bytes(&widths, t.at, t.size);
    *size = (size_t)add_tensors(&t, n, strstr(widths.at, key) + sizeof key - 1, n->activations);
    free(widths.at);
    return t;
}

/* The file with what its metadata, up to the checksum, ask for behind that: their end, and the
   tensors' descriptions. Where they cannot be read, or the checksum is wrong, the file as it is. */
static bytes described_anew(bytes file)
{
    size_t length, widths_length, names_length, size;
    const unsigned char *crc, *widths, *names;
    bytes data, result;
    text t;
    net n;
    int wrong;

    if (file.size < 8 || header_size(file) > file.size - 8) return copy_bytes(file.at, file.size);
    size = 8 + header_size(file);
    crc = find_value(file, "nn.crc32", &length);
    widths = find_value(file, "nn.widths", &widths_length);
    names = find_value(file, "nn.activations", &names_length);
    if (!crc || !widths || !names || length != 8) return copy_bytes(file.at, file.size);
    result = copy_bytes(file.at, file.size);
    (void)put_checksum(result);
    wrong = !same_bytes(result, file);
    free(result.at);
    if (wrong) return copy_bytes(file.at, file.size);
    memset(&n, 0, sizeof n);
    n.real = sizeof(nn_real);
    n.mask = UINT64_MAX;
    t = no_text();
    add_bytes(&t, (const char *)file.at + 8, (size_t)(crc + 9 - file.at) - 8);
    add(&t, "}");
    (void)add_tensors(&t, &n, (const char *)widths, (const char *)names);
    data.at = file.at + size;
    data.size = file.size - size;
    result = assemble(t, data, 8, 0);
    free(t.at);
    return result;
}

#define ONE SIZED("3f800000", "3ff0000000000000") /* as it is written in a file */

/* Offsets 1, 2, 3 and factors 1/2, 1/4, 1/8. */
#define SCALING_VALUES                                                                             \
    SIZED("3f80000040000000404000003f0000003e8000003e000000",                                      \
          "3ff000000000000040000000000000004008000000000000"                                       \
          "3fe00000000000003fd00000000000003fc0000000000000")

static net small_net(void)
{
    net n;
    memset(&n, 0, sizeof n);
    n.widths[0] = 3;
    n.widths[1] = 2;
    n.widths[2] = 1;
    n.activations = "relu,linear";
    n.scaling = "min-max";
    n.values = SCALING_VALUES;
    n.real = sizeof(nn_real);
    n.mask = UINT64_MAX;
    return n;
}

/* ---- Opening --------------------------------------------------------------------------------- */

enum { GUARD = 64, GUARD_BYTE = 0xa5 };

/* An opened model, and what it lives in: guards around the memory. */
typedef struct opened {
    nn_model *model;
    nn_status status;
    bytes file; /* as it is stored, `shift` bytes into the block */
    unsigned char *memory;
    bytes block; /* `shift` bytes, memory[size], GUARD bytes */
    size_t shift, size;
} opened;

/* Opens a copy of the file in memory of exactly nn_model_open_size bytes, both so many bytes behind
   an address that is aligned. */
static opened open_at(bytes file, size_t file_shift, size_t shift)
{
    opened o;
    o.file = make_bytes(file_shift + file.size);
    o.file.size = file.size;
    store(o.file.at + file_shift, file);
    o.shift = shift;
    o.size = nn_model_open_size(o.file.at + file_shift, file.size);
    o.block = make_bytes(shift + o.size + GUARD);
    o.memory = o.block.at + shift;
    memset(o.block.at, GUARD_BYTE, o.block.size);
    o.model = (nn_model *)(void *)&o;
    o.status = nn_model_open_in(&o.model, o.memory, o.size, o.file.at + file_shift, file.size);
    CHECK((o.status == NN_OK) == (o.model != NULL));
    CHECK((int)o.status >= 0 && o.status < NN_STATUS_COUNT);
    if (o.status == NN_OK) CHECK(o.size > 0);
    CHECK(is_stored(o.file.at + file_shift, file));
    return o;
}

static void close_opened(opened *o)
{
    CHECK(all_are(o->block.at, o->shift, GUARD_BYTE));
    CHECK(all_are(o->memory + o->size, GUARD, GUARD_BYTE));
    nn_model_free(o->model);
    free(o->block.at);
    free(o->file.at);
}

/* The file without the pairs behind its checksum, which is put right. */
static bytes without_pairs(bytes file)
{
    const size_t start = 8 + header_size(file);
    size_t length;
    const unsigned char *crc = find_value(file, "nn.crc32", &length), *end, *last = file.at + start;
    bytes data, result;
    text t;
    if (!crc || length != 8 || crc[9] != ',') return copy_bytes(file.at, file.size);
    end = (const unsigned char *)memchr(crc, '}', (size_t)(file.at + start - crc));
    if (!CHECK(end != NULL)) return copy_bytes(file.at, file.size);
    while (last[-1] == ' ') last--;
    data.at = file.at + start;
    data.size = file.size - start;
    t = no_text();
    add_bytes(&t, (const char *)file.at + 8, (size_t)(crc + 9 - file.at) - 8);
    add_bytes(&t, (const char *)end, (size_t)(last - end));
    result = assemble(t, data, 8, 0);
    free(t.at);
    return result;
}

/* Whether nn_save writes the file, byte for byte but for the pairs behind the checksum. */
static int saves_as(const nn_model *model, bytes file)
{
    bytes saved = save_model(model), bare = without_pairs(saved);
    const int same = same_bytes(bare, file);
    free(saved.at);
    free(bare.at);
    return same;
}

/* The rule: nn_model_open_in reads nothing of the header behind the checksum, which covers it. With
   the tensors' descriptions that belong to the metadata, a file that it takes is one that
   nn_load_memory takes and nn_save would write byte for byte, but for pairs behind the checksum,
   and it takes all of these. Both models are the same. Returns whether it takes the file; *loads is
   whether nn_load_memory takes it as it is. */
static int obeys(bytes file, int *loads)
{
    opened o = open_at(file, 0, 0);
    bytes copy = stored_copy(file), good = described_anew(file);
    bytes stored = stored_copy(good);
    nn_model *loaded = NULL;
    const long live = live_blocks;
    int same, taken = o.status == NN_OK;

    *loads = nn_load_memory(&loaded, copy.at, copy.size, NULL) == NN_OK;
    nn_model_free(loaded);
    same = nn_load_memory(&loaded, stored.at, stored.size, NULL) == NN_OK && saves_as(loaded, good);
    CHECK(taken == same);
    if (same && taken) {
        CHECK(same_shape(loaded, o.model));
        if (fits_inputs(loaded)) CHECK(predict_the_same(loaded, o.model, 3));
    }
    nn_model_free(loaded);
    free(copy.at);
    free(good.at);
    free(stored.at);
    close_opened(&o);
    CHECK(live_blocks == live);
    return taken;
}

static int is_taken(bytes file)
{
    int loads;
    return obeys(file, &loads);
}

/* Whether the file with this header is taken; *loads whether nn_load_memory takes it. */
static int header_taken(text header, bytes data, int *loads)
{
    bytes file = assemble(header, data, 8, 0);
    int taken = obeys(file, loads);
    free(file.at);
    return taken;
}

#endif
