/* Models over the bytes of a saved file: the same bits as the model that was saved, nothing written
   but the caller's memory, and no file taken whose metadata or data nn_save would not have written
   byte for byte. test_open [SEED]: of the models and of random damage to files. */
#define _DEFAULT_SOURCE
#include "test.h"

#include <stdarg.h>
#include <stdint.h>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#include <unistd.h>
#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif
#define HAS_PAGES
#endif

#include "counted_heap.h"

#ifdef FLASH /* each byte of a file in memory is stored as that xor this */
#define NN_READ_BYTE(pointer) ((unsigned char)(*(pointer) ^ FLASH))
#else
#define FLASH 0
#endif

#define NN_IMPLEMENTATION
#include "../nn.h"
#include "fixtures.h"

#if defined(NN_DOUBLE)
#define PROGRAM         "test_open_double"
#define SIZED(of4, of8) of8
#elif FLASH
#define PROGRAM         "test_open_flash"
#define SIZED(of4, of8) of4
#else
#define PROGRAM         "test_open"
#define SIZED(of4, of8) of4
#endif
#define MODEL_PATH "build/" PROGRAM ".safetensors"
#define OWN_TYPE   SIZED("F32", "F64")

static uint64_t seed = 1, random_state;

static unsigned random_below(unsigned limit)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(random_state >> 33) % limit;
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

typedef struct bytes {
    unsigned char *at;
    size_t size;
} bytes;

/* Of exactly that size, so that ASan sees an access past its end. */
static bytes make_bytes(size_t size)
{
    bytes b;
    b.at = (unsigned char *)malloc(size ? size : 1);
    b.size = size;
    if (!b.at) exit(2);
    return b;
}

static bytes copy_bytes(bytes from)
{
    bytes b = make_bytes(from.size);
    memcpy(b.at, from.at, from.size);
    return b;
}

static int same_bytes(bytes a, bytes b)
{
    return a.size == b.size && !memcmp(a.at, b.at, a.size);
}

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
static nn_data make_data(const nn_model *model)
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
static nn_model *make_model(int in, const nn_layer *layers, int count, nn_scaling scaling)
{
    nn_model *model = NULL;
    nn_data data;
    size_t i;

    if (!CHECK(nn_model_create(&model, in, layers, count, seed) == NN_OK)) exit(2);
    for (i = 0; i < nn_parameter_count(model); i++)
        if (nn_parameters(model)[i] == 0)
            nn_parameters(model)[i] = (nn_real)((int)random_below(200) - 100) / 256;
    data = make_data(model);
    CHECK(nn_fit_scaling(model, &data, scaling) == NN_OK);
    return model;
}

/* With scaling: 3-2-1, tanh (which no input shuts off), then linear. */
static nn_model *make_small(void)
{
    static const nn_layer layers[] = {NN_DENSE(2, NN_TANH), NN_DENSE(1, NN_LINEAR)};
    return make_model(3, layers, 2, NN_SCALE_MIN_MAX);
}

static int same_shape(const nn_model *a, const nn_model *b)
{
    nn_shape sa, sb;
    int i, same;
    if (nn_get_shape(a, &sa) != NN_OK || nn_get_shape(b, &sb) != NN_OK) return 0;
    same = sa.inputs == sb.inputs && sa.count == sb.count;
    for (i = 0; same && i < sa.count; i++)
        same = sa.layers[i].width == sb.layers[i].width &&
               sa.layers[i].activation == sb.layers[i].activation;
    return same;
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
static int same_predictions(const nn_model *a, const nn_model *b, int rows)
{
    const size_t count = (size_t)rows * (size_t)outputs_of(a);
    bytes ya = make_bytes(count * sizeof(nn_real)), yb = make_bytes(count * sizeof(nn_real));
    int same;
    memset(ya.at, 0xff, ya.size);
    memset(yb.at, 0x7f, yb.size);
    same = outputs_of(a) == outputs_of(b) &&
           nn_predict(a, inputs, rows, (nn_real *)(void *)ya.at, NULL) == NN_OK &&
           nn_predict(b, inputs, rows, (nn_real *)(void *)yb.at, NULL) == NN_OK &&
           same_numbers((nn_real *)(void *)ya.at, (nn_real *)(void *)yb.at, count);
    free(ya.at);
    free(yb.at);
    return same;
}

/* ---- Files made by hand ---------------------------------------------------------------------- */

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

static uint32_t crc32_of(uint32_t crc, const unsigned char *at, size_t size)
{
    int bit;
    while (size-- > 0) {
        crc ^= *at++;
        for (bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return crc;
}

static void put_length(unsigned char *at, uint64_t length)
{
    int i;
    for (i = 0; i < 8; i++) at[i] = (unsigned char)(length >> (8 * i));
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

/* The checksum: CRC-32 of the data, of the values from nn.version on, and of the header behind its
   first brace that closes, the metadata's. */
static void put_checksum(bytes file)
{
    static const char *const keys[] = {"nn.version", "nn.widths",         "nn.activations",
                                       "nn.scaling", "nn.scaling_values", "nn.state"};
    const size_t data = 8 + header_size(file);
    uint32_t crc = crc32_of(0xffffffffu, file.at + data, file.size - data);
    unsigned char *at;
    char digits[9];
    size_t i, length;
    for (i = 0; i < sizeof keys / sizeof *keys; i++)
        if ((at = find_value(file, keys[i], &length)) != NULL) crc = crc32_of(crc, at, length);
    at = (unsigned char *)memchr(file.at + 8, '}', data - 8);
    if (at) crc = crc32_of(crc, at + 1, (size_t)(file.at + data - at) - 1);
    sprintf(digits, "%08lx", (unsigned long)(uint32_t)~crc);
    at = find_value(file, "nn.crc32", &length);
    if (at && length >= 8) memcpy(at, digits, 8);
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
    put_checksum(file);
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

/* The file with the tensors' descriptions that its metadata ask for; where these cannot be read, or
   the checksum is wrong, as it is. */
static bytes described_anew(bytes file)
{
    size_t length, widths_length, names_length, size;
    const unsigned char *crc, *widths, *names;
    bytes data, result;
    text t;
    net n;
    int wrong;

    if (file.size < 8 || header_size(file) > file.size - 8) return copy_bytes(file);
    size = 8 + header_size(file);
    crc = find_value(file, "nn.crc32", &length);
    widths = find_value(file, "nn.widths", &widths_length);
    names = find_value(file, "nn.activations", &names_length);
    if (!crc || !widths || !names || length != 8 || crc + 10 > file.at + size || crc[9] != '}')
        return copy_bytes(file);
    result = copy_bytes(file);
    put_checksum(result);
    wrong = !same_bytes(result, file);
    free(result.at);
    if (wrong) return copy_bytes(file);
    memset(&n, 0, sizeof n);
    n.real = sizeof(nn_real);
    n.mask = UINT64_MAX;
    t = no_text();
    add_bytes(&t, (const char *)file.at + 8, (size_t)(crc + 10 - file.at) - 8);
    (void)add_tensors(&t, &n, (const char *)widths, (const char *)names);
    data.at = file.at + size;
    data.size = file.size - size;
    result = assemble(t, data, 8, 0);
    free(t.at);
    return result;
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

/* Opens a copy of the file in memory of exactly nn_model_open_size bytes, both so many bytes behind an
   address that is aligned. */
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

/* The rule: nn_model_open_in does not read the tensors' descriptions, which only the checksum covers.
   With those that belong to the metadata, a file that it takes is one that nn_load_memory takes and
   nn_save would write byte for byte, and it takes all of these. Both models are the same. Returns
   whether it takes the file; *loads is whether nn_load_memory takes it as it is. */
static int obeys(bytes file, int *loads)
{
    opened o = open_at(file, 0, 0);
    bytes copy = stored_copy(file), good = described_anew(file), again = make_bytes(good.size);
    bytes stored = stored_copy(good);
    nn_model *loaded = NULL;
    const long live = live_blocks;
    size_t size;
    int same, taken = o.status == NN_OK;

    *loads = nn_load_memory(&loaded, copy.at, copy.size, NULL) == NN_OK;
    nn_model_free(loaded);
    same = nn_load_memory(&loaded, stored.at, stored.size, NULL) == NN_OK &&
           nn_save_memory(loaded, again.at, again.size, &size) == NN_OK && size == good.size &&
           same_bytes(again, good);
    CHECK(taken == same);
    if (same && taken) {
        CHECK(same_shape(loaded, o.model));
        if (fits_inputs(loaded)) CHECK(same_predictions(loaded, o.model, 3));
    }
    nn_model_free(loaded);
    free(copy.at);
    free(good.at);
    free(stored.at);
    free(again.at);
    close_opened(&o);
    CHECK(live_blocks == live);
    return taken;
}

static int is_taken(bytes file)
{
    int loads;
    return obeys(file, &loads);
}

/* ---- The same model -------------------------------------------------------------------------- */

static void check_scratch(const nn_model *model, const opened *o, int rows)
{
    const size_t size = nn_scratch_size(model, rows);
    const size_t count = (size_t)rows * (size_t)outputs_of(model);
    bytes scratch = make_bytes(size), before = copy_bytes(o->block);
    bytes ya = make_bytes(count * sizeof(nn_real)), yb = make_bytes(count * sizeof(nn_real));

    CHECK(size > 0 && nn_scratch_size(o->model, rows) == size);
    memset(scratch.at, 0xff, size);
    memset(yb.at, 0xff, yb.size);
    CHECK(nn_predict(model, inputs, rows, (nn_real *)(void *)ya.at, NULL) == NN_OK);
    CHECK(nn_predict(o->model, inputs, rows, (nn_real *)(void *)yb.at, scratch.at) == NN_OK);
    CHECK(same_bytes(ya, yb));
    CHECK(same_bytes(before, o->block)); /* threads may share the model */
    free(scratch.at);
    free(before.at);
    free(ya.at);
    free(yb.at);
}

static void check_metrics(const nn_model *model, const nn_model *opened_model)
{
    static int ma[WIDEST * WIDEST], mb[WIDEST * WIDEST];
    nn_data data = make_data(model);
    nn_loss loss = loss_of(model, &data);
    nn_metrics a, b;

    memset(&a, 0x11, sizeof a);
    memset(&b, 0x22, sizeof b);
    CHECK(evaluate(model, &data, loss, &a) == NN_OK && a.loss >= 0);
    CHECK(evaluate(opened_model, &data, loss, &b) == NN_OK);
    CHECK(!memcmp(&a, &b, sizeof a));
    if (!data.classes) return;
    memset(ma, 0x11, sizeof ma);
    memset(mb, 0x11, sizeof mb);
    CHECK(nn_confusion_matrix(model, &data, ma) == NN_OK);
    CHECK(nn_confusion_matrix(opened_model, &data, mb) == NN_OK);
    CHECK(!memcmp(ma, mb, sizeof ma));
}

static void check_same(nn_model *model, const opened *o, int step)
{
    int rows;

    CHECK(same_shape(model, o->model));
    CHECK(nn_parameter_count(o->model) == nn_parameter_count(model));
    CHECK(nn_parameters(o->model) == NULL);
    CHECK(!strcmp(nn_backend(o->model), nn_backend(model)));
    for (rows = 1; rows <= ROWS; rows += step) CHECK(same_predictions(model, o->model, rows));
    for (rows = 31; rows <= 33; rows++) CHECK(same_predictions(model, o->model, rows));
    for (rows = 1; rows <= ROWS; rows += 23) check_scratch(model, o, rows);
    check_metrics(model, o->model);
}

/* Saves the model, opens it somewhere, and compares; one byte less is refused, more is not. */
static void check_model(nn_model *model, size_t file_shift, size_t shift, int step)
{
    bytes file = save_model(model);
    opened o = open_at(file, file_shift, shift);
    nn_model *none = model;

    if (CHECK(o.status == NN_OK)) {
        check_same(model, &o, step);
        CHECK(is_stored(o.file.at + file_shift, file));
        memset(o.block.at, GUARD_BYTE, o.block.size);
        CHECK(nn_model_open_in(&none, o.memory, o.size - 1, o.file.at + file_shift, file.size) ==
                  NN_ERROR_BLOCK &&
              !none);
        CHECK(all_are(o.block.at, o.block.size, GUARD_BYTE));
        CHECK(nn_model_open_in(&o.model, o.memory, o.size + 1, o.file.at + file_shift, file.size) ==
              NN_OK);
    }
    close_opened(&o);
    CHECK(is_taken(file));
    free(file.at);
}

/* Every activation as the hidden ones and as the last, with every scaling, for every number of
   rows. */
static void test_activations(void)
{
    nn_layer layers[] = {NN_DENSE(7, NN_RELU), NN_DENSE(4, NN_TANH), NN_DENSE(3, NN_LINEAR)};
    nn_model *model;
    int a, s;

    for (a = NN_LINEAR; a <= NN_SOFTMAX; a++) {
        for (s = NN_SCALE_NONE; s <= NN_SCALE_MIN_MAX; s++) {
            if (a != NN_SOFTMAX) layers[0].activation = layers[1].activation = (nn_activation)a;
            layers[2].activation = (nn_activation)a;
            layers[2].kind = NN_LAYER_DENSE;
            layers[2].width = s == NN_SCALE_NONE ? 1 : 3;
            model = make_model(5, layers, 3, (nn_scaling)s);
            check_model(model, (size_t)a, (size_t)s, 1);
            nn_model_free(model);
        }
    }
    CHECK(live_blocks == 0);
}

/* 1 to 8 layers, widths 1 to 40, wherever the file and the memory begin. */
static void test_shapes(void)
{
    nn_layer layers[MOST_LAYERS];
    nn_model *model;
    int round, count, i;

    for (round = 0; round < 72; round++) {
        count = 1 + round % MOST_LAYERS;
        for (i = 0; i < count; i++) {
            layers[i].kind = NN_LAYER_DENSE;
            layers[i].width = 1 + (int)random_below(WIDEST);
            layers[i].activation = (nn_activation)random_below(i == count - 1 ? 6 : 5);
        }
        model = make_model(1 + (int)random_below(WIDEST), layers, count, (nn_scaling)(round % 3));
        check_model(model, (size_t)round % 9, (size_t)round * 5 % 71, 29);
        nn_model_free(model);
    }
    CHECK(live_blocks == 0);
}

/* Numbers at the edge of the format: no other comes out. */
static void test_extreme_parameters(void)
{
    static const nn_real values[] = {
        (nn_real)1e-7, -0.0f, SIZED((nn_real)1.4e-45, 5e-324), SIZED((nn_real)-1.4e-45, -5e-324),
        (nn_real)0.1,  0,     SIZED((nn_real)3.4e38, 1.7e308), SIZED((nn_real)-3.4e38, -1.7e308)};
    static const nn_layer layers[] = {NN_DENSE(2, NN_LINEAR)};
    nn_model *model = make_model(3, layers, 1, NN_SCALE_NONE);
    size_t i;

    for (i = 0; i < 8; i++) {
        size_t k;
        for (k = 0; k < 8; k++) nn_parameters(model)[k] = values[(k + i) % 8] / 64;
        check_model(model, i, 8 - i, 1);
    }
    nn_model_free(model);
}

/* Nothing writes to the file, and nothing reads past it: its end is the end of what may be read,
   and none of it may be written. */
static void test_read_only_memory(void)
{
#ifdef HAS_PAGES
    static const nn_layer layers[] = {NN_DENSE(5, NN_TANH), NN_DENSE(4, NN_SIGMOID),
                                      NN_DENSE(3, NN_SOFTMAX)};
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    nn_model *model = make_model(6, layers, 3, NN_SCALE_STANDARD);
    bytes file = save_model(model), memory;
    const size_t pages = (file.size + page - 1) / page * page;
    unsigned char *map = (unsigned char *)mmap(NULL, pages + page, PROT_READ | PROT_WRITE,
                                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    opened o;

    if (CHECK((void *)map != MAP_FAILED)) {
        unsigned char *at = map + pages - file.size;
        store(at, file);
        CHECK(!mprotect(map, pages, PROT_READ) && !mprotect(map + pages, page, PROT_NONE));
        memory = make_bytes(nn_model_open_size(at, file.size));
        memset(&o, 0, sizeof o);
        o.block = memory;
        if (CHECK(nn_model_open_in(&o.model, memory.at, memory.size, at, file.size) == NN_OK))
            check_same(model, &o, 7);
        free(memory.at);
        munmap(map, pages + page);
    }
    free(file.at);
    nn_model_free(model);
#endif
}

/* ---- What may not be done -------------------------------------------------------------------- */

static void check_trainers(nn_model *model)
{
    static unsigned char memory[NN_TRAINER_SIZE(2, 32, 3, 2, 1)];
    static const nn_real dropout[2] = {(nn_real)0.5, 0};
    const long live = live_blocks;
    nn_trainer *trainer = (nn_trainer *)(void *)model;
    nn_options how;

    memset(&how, 0, sizeof how);
    CHECK(nn_trainer_create(&trainer, model, NULL) == NN_ERROR_READ_ONLY && !trainer);
    how.optimizer = NN_ADAM;
    trainer = (nn_trainer *)(void *)model;
    memset(memory, GUARD_BYTE, sizeof memory);
    CHECK(nn_trainer_create_in(&trainer, memory, sizeof memory, model, &how) ==
              NN_ERROR_READ_ONLY &&
          !trainer);
    CHECK(all_are(memory, sizeof memory, GUARD_BYTE));
    CHECK(nn_trainer_size(model, &how) == 0);
    how.dropout = dropout;
    trainer = (nn_trainer *)(void *)model;
    CHECK(nn_trainer_create(&trainer, model, &how) == NN_ERROR_READ_ONLY && !trainer);
    CHECK(live_blocks == live);
}

static void check_fit(nn_model *model)
{
    nn_data data = make_data(model);
    nn_options how;

    memset(&how, 0, sizeof how);
    how.epochs = 1;
    CHECK(nn_fit(model, &data, NULL) == NN_ERROR_READ_ONLY);
    how.scaling = NN_SCALE_STANDARD;
    CHECK(nn_fit(model, &data, &how) == NN_ERROR_READ_ONLY);
    CHECK(nn_initialize(model, NN_INITIALIZE_DEFAULT, 7) == NN_ERROR_READ_ONLY);
}

static void check_files(nn_model *model, bytes file)
{
    unsigned char buffer[64];
    size_t size = 99;
    nn_location place;

    memset(buffer, GUARD_BYTE, sizeof buffer);
    CHECK(nn_save_memory(model, NULL, 0, &size) == NN_ERROR_READ_ONLY && size == 0);
    size = 99;
    CHECK(nn_save_memory(model, buffer, sizeof buffer, &size) == NN_ERROR_READ_ONLY && size == 0);
    CHECK(all_are(buffer, sizeof buffer, GUARD_BYTE));
    CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL) == NN_ERROR_READ_ONLY);
    memset(&place, GUARD_BYTE, sizeof place);
    CHECK(nn_load_parameters_memory(model, file.at, file.size, &place) == NN_ERROR_READ_ONLY);
    CHECK(place.path == NULL && place.name[0] == 0);
    CHECK(nn_load_parameters(model, MODEL_PATH, NULL) == NN_ERROR_READ_ONLY);
    CHECK(nn_load_parameters(model, MODEL_PATH, &place) == NN_ERROR_READ_ONLY);
    remove(MODEL_PATH ".none");
    CHECK(nn_save(model, MODEL_PATH ".none") == NN_ERROR_READ_ONLY);
    CHECK(remove(MODEL_PATH ".none") != 0);
}

/* All that changes or writes parameters says so, and changes nothing: neither the file, nor the
   model, nor its scaling. */
static void test_read_only(void)
{
    nn_model *model = make_small(), *other = make_small();
    bytes file = save_model(model), second, before;
    opened o = open_at(file, 3, 5);

    CHECK(nn_initialize(other, NN_INITIALIZE_DEFAULT, 1234) == NN_OK &&
          !same_predictions(model, other, 9));
    second = save_model(other);
    CHECK(nn_save(other, MODEL_PATH) == NN_OK);
    if (CHECK(o.status == NN_OK)) {
        CHECK(same_predictions(model, o.model, 9));
        before = copy_bytes(o.block);
        check_trainers(o.model);
        check_fit(o.model);
        check_files(o.model, second);
        CHECK(same_bytes(before, o.block));
        CHECK(is_stored(o.file.at + 3, file));
        CHECK(same_predictions(model, o.model, 9));
        free(before.at);
    }
    remove(MODEL_PATH);
    close_opened(&o);
    free(file.at);
    free(second.at);
    nn_model_free(model);
    nn_model_free(other);
    CHECK(live_blocks == 0);
}

/* The scaling lives in the caller's memory: it can be fitted anew, as the saved model's can; a
   model that is opened again has the file's. */
static void test_scaling(void)
{
    nn_model *model = make_small();
    bytes file = save_model(model);
    opened o = open_at(file, 1, 2), again;
    nn_data data = make_data(model);
    int s;

    if (CHECK(o.status == NN_OK)) {
        for (s = NN_SCALE_MIN_MAX; s >= NN_SCALE_NONE; s--) {
            data.rows = 20 + s;
            CHECK(nn_fit_scaling(model, &data, (nn_scaling)s) == NN_OK);
            CHECK(!same_predictions(model, o.model, 9));
            CHECK(nn_fit_scaling(o.model, &data, (nn_scaling)s) == NN_OK);
            CHECK(same_predictions(model, o.model, 9));
        }
        CHECK(is_stored(o.file.at + 1, file));
        again = open_at(file, 0, 0);
        CHECK(again.status == NN_OK && !same_predictions(again.model, o.model, 9));
        close_opened(&again);
    }
    close_opened(&o);
    free(file.at);
    nn_model_free(model);
}

/* ---- Nothing, and too little ----------------------------------------------------------------- */

static void test_null(void)
{
    static const unsigned char nothing[8] = {FLASH, FLASH, FLASH, FLASH,
                                             FLASH, FLASH, FLASH, FLASH};
    nn_model *model = make_small(), *made = model;
    bytes file = save_model(model), stored = copy_bytes(file), memory;
    size_t size;

    store(stored.at, file);
    memory = make_bytes(nn_model_open_size(stored.at, stored.size));
    CHECK(memory.size > 0);
    CHECK(nn_model_open_in(NULL, memory.at, memory.size, stored.at, stored.size) == NN_ERROR_NULL);
    CHECK(nn_model_open_in(&made, NULL, memory.size, stored.at, stored.size) == NN_ERROR_NULL &&
          !made);
    made = model;
    CHECK(nn_model_open_in(&made, memory.at, memory.size, NULL, stored.size) == NN_ERROR_NULL &&
          !made);
    made = model;
    CHECK(nn_model_open_in(&made, memory.at, memory.size, NULL, 0) == NN_ERROR_NULL && !made);
    made = model;
    CHECK(nn_model_open_in(&made, NULL, 0, NULL, 0) == NN_ERROR_NULL && !made);
    made = model;
    CHECK(nn_model_open_in(&made, memory.at, 0, stored.at, stored.size) == NN_ERROR_BLOCK && !made);
    CHECK(nn_model_open_size(NULL, 0) == 0 && nn_model_open_size(NULL, 1000) == 0);
    for (size = 0; size <= 8; size++) {
        made = model;
        CHECK(nn_model_open_in(&made, memory.at, memory.size, stored.at, size) ==
              NN_ERROR_TRUNCATED);
        CHECK(!made && nn_model_open_size(stored.at, size) == 0);
        made = model;
        CHECK(nn_model_open_in(&made, memory.at, memory.size, nothing, size) != NN_OK);
        CHECK(!made && nn_model_open_size(nothing, size) == 0);
    }
    free(memory.at);
    free(stored.at);
    free(file.at);
    nn_model_free(model);
}

/* ---- Damage ---------------------------------------------------------------------------------- */

/* Cut short anywhere, or longer. */
static void test_truncated(void)
{
    nn_model *model = make_small();
    bytes file = save_model(model), part, longer;
    size_t size;
    int loads, value;

    nn_model_free(model);
    CHECK(is_taken(file));
    for (size = 0; size < file.size; size++) {
        part = file;
        part.size = size;
        CHECK(!obeys(part, &loads) && !loads);
        CHECK(nn_model_open_size(file.at, size) == 0);
    }
    for (size = 1; size <= 16; size++) {
        for (value = 0; value < 256; value += 32) {
            longer = make_bytes(file.size + size);
            memcpy(longer.at, file.at, file.size);
            memset(longer.at + file.size, value, size);
            CHECK(!obeys(longer, &loads) && !loads);
            free(longer.at);
        }
    }
    free(file.at);
}

/* Any other value of any byte: never taken. */
static void test_changed(void)
{
    nn_model *model = make_small(), *made;
    bytes file = save_model(model), stored = copy_bytes(file), memory;
    size_t at;
    int change, taken = 0;

    nn_model_free(model);
    store(stored.at, file);
    memory = make_bytes(nn_model_open_size(stored.at, stored.size));
    for (at = 0; at < file.size; at++) {
        for (change = 0; change < 256; change++) {
            stored.at[at] = (unsigned char)(file.at[at] ^ FLASH ^ change);
            made = model;
            if (nn_model_open_in(&made, memory.at, memory.size, stored.at, stored.size) == NN_OK) {
                if (!CHECK(made && change == 0)) printf("byte %u ^ %#x\n", (unsigned)at, change);
                taken++;
            } else {
                CHECK(!made);
            }
        }
        stored.at[at] = (unsigned char)(file.at[at] ^ FLASH);
    }
    CHECK((size_t)taken == file.size); /* the unchanged ones */
    free(memory.at);
    free(stored.at);
    free(file.at);
}

/* ---- Files made by hand, whose checksum is right --------------------------------------------- */

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

/* Whether the file with this header is taken; *loads whether nn_load_memory takes it. */
static int header_taken(text header, bytes data, int *loads)
{
    bytes file = assemble(header, data, 8, 0);
    int taken = obeys(file, loads);
    free(file.at);
    return taken;
}

/* Files made here are those that nn_save writes. */
static void test_by_hand(void)
{
    static const nn_layer layers[] = {NN_DENSE(2, NN_RELU), NN_DENSE(1, NN_LINEAR)};
    static const nn_real probe[3] = {3, -2, 5};
    nn_model *model = NULL;
    nn_real y[1], *p;
    net n = small_net();
    size_t size, i;
    text header;
    bytes data, file, saved;
    opened o;

    n.scaling = "none";
    n.values = "";
    header = make_header(&n, &size);
    data = make_numbers(size, n.real);
    file = assemble(header, data, 8, 0);
    CHECK(nn_model_create(&model, 3, layers, 2, 1) == NN_OK);
    p = nn_parameters(model);
    for (i = 0; i < 11; i++) { /* [2 x 3], [2], [1 x 2], [1] there; [3 x 2] first here */
        const size_t at = i < 6 ? i % 2 * 3 + i / 2 : i;
        p[i] = (nn_real)number_at(at);
    }
    saved = save_model(model);
    CHECK(same_bytes(file, saved));
    o = open_at(file, 0, 0);
    if (CHECK(o.status ==
              NN_OK)) { /* 7/8 + (3 + 4 + 15)/8, and below zero -8/8 - (12 + 10 + 30)/8 */
        CHECK(nn_predict(o.model, probe, 1, y, NULL) == NN_OK);
        CHECK(y[0] == (nn_real)(11.0 / 8 + 9.0 / 8 * (7 + 3 + 4 + 15) / 8));
    }
    close_opened(&o);
    free(saved.at);
    free(file.at);
    free(data.at);
    free(header.at);
    nn_model_free(model);
}

typedef struct edit {
    const char *from, *to;
    int takers; /* nn_load_memory 1, nn_model_open_in 2 */
} edit;

/* clang-format off */
#define TENSOR(name, shape, from, to) \
    "\"" name "\":{\"dtype\":\"" OWN_TYPE "\"," \
    "\"shape\":[" shape "],\"data_offsets\":[" from "," to "]}"
#define W0 TENSOR("0.weight", "2,3", "0", SIZED("24", "48"))
#define B0 TENSOR("0.bias", "2", SIZED("24", "48"), SIZED("32", "64"))
#define W1 TENSOR("2.weight", "1,2", SIZED("32", "64"), SIZED("40", "80"))
#define B1 TENSOR("2.bias", "1", SIZED("40", "80"), SIZED("44", "88"))
#define ALL W0 "," B0 "," W1 "," B1
#define LIST "\"nn.activations\":\"relu,linear\""
#define WIDE(widths) "\"nn.widths\":\"3,2,1\"", "\"nn.widths\":\"" widths "\""
#define LISTED(list) LIST, "\"nn.activations\":\"" list "\""
#define SCALED(kind) "\"nn.scaling\":\"min-max\"", "\"nn.scaling\":\"" kind "\""
#define VALUES(values) SCALING_VALUES, values
#define INFINITE SIZED("7f800000", "7ff0000000000000")
#define ONE SIZED("3f800000", "3ff0000000000000")
#define TWO SIZED("40000000", "4000000000000000")

static const edit edits[] = {
    {"\"nn.version\":\"1\"", "\"nn.version\":\"\"", 0},
    {"\"nn.version\":\"1\"", "\"nn.version\":\"2\"", 0},
    {"\"nn.version\":\"1\"", "\"nn.version\":\"1 \"", 0},
    {"\"nn.version\":\"1\"", "\"nn.version\":\"01\"", 0},
    {"\"nn.version\":\"1\"", "\"nn.version\":\"11\"", 0},
    {"\"nn.version\":\"1\",", "", 0},
    {WIDE(""), 0},
    {WIDE("3"), 0},
    {WIDE("3,"), 0},
    {WIDE("3,2"), 0},
    {WIDE("3,2,"), 0},
    {WIDE("3,2,1,"), 0},
    {WIDE(",3,2,1"), 0},
    {WIDE("3,,2,1"), 0},
    {WIDE("3,2,1,1"), 0},
    {WIDE("3,2,2"), 0},
    {WIDE("4,2,1"), 0},
    {WIDE("2,3,1"), 0},
    {WIDE("8,1,1"), 0},
    {WIDE("4,1,3"), 0},
    {WIDE("0,2,3"), 0},
    {WIDE("3,0,11"), 0},
    {WIDE("10,1"), 0},
    {WIDE("03,2,1"), 0},
    {WIDE("3,02,1"), 0},
    {WIDE("3,2,01"), 0},
    {WIDE("+3,2,1"), 0},
    {WIDE("-3,2,1"), 0},
    {WIDE("3.0,2,1"), 0},
    {WIDE("3, 2,1"), 0},
    {WIDE(" 3,2,1"), 0},
    {WIDE("3,2,1 "), 0},
    {WIDE("3;2,1"), 0},
    {WIDE("3,2,:"), 0},
    {WIDE("3,2,/"), 0},
    {"\"nn.widths\":\"3,2,1\",", "", 1}, /* as files of other versions */
    {LISTED(""), 0},
    {LISTED(","), 0},
    {LISTED("relu"), 0},
    {LISTED("relu,"), 0},
    {LISTED(",linear"), 0},
    {LISTED(",relu,linear"), 0},
    {LISTED("relu,,linear"), 0},
    {LISTED("relu,linear,"), 0},
    {LISTED("relu,linear,linear"), 0},
    {LISTED("relu,linear,tanh,relu"), 0},
    {LISTED("softmax,linear"), 0},
    {LISTED("softmax,softmax"), 0},
    {LISTED("relu,gelu"), 0},
    {LISTED("relu, linear"), 0},
    {LISTED("relu;linear"), 0},
    {LISTED("Relu,linear"), 0},
    {LISTED("relu,linea"), 0},
    {LISTED("relu,linearr"), 0},
    {LISTED("reluu,linear"), 0},
    {LISTED("linear,linear"), 3}, /* though the names say that the first has an activation */
    {LISTED("relu,softmax"), 3},
    {LISTED("relu,sigmoid"), 3},
    {LISTED("tanh,relu"), 3},
    {LISTED("leaky_relu,leaky_relu"), 3},
    {LIST ",", "", 0},
    {SCALED(""), 0},
    {SCALED("none"), 0},
    {SCALED("max"), 0},
    {SCALED("min-ma"), 0},
    {SCALED("min-maxx"), 0},
    {SCALED("standard "), 0},
    {SCALED("standard"), 3},
    {VALUES(""), 0},
    {VALUES("0"), 0},
    {VALUES(ONE), 0},
    {VALUES(SCALING_VALUES "0"), 0},
    {VALUES(SCALING_VALUES ONE), 0},
    {VALUES(SCALING_VALUES ONE ONE), 0},
    {VALUES(SCALING_VALUES SCALING_VALUES), SIZED(1, 0)}, /* as doubles */
    {ONE TWO, INFINITE TWO, 0},
    {ONE TWO, ONE INFINITE, 0},
    {ONE TWO, "f" TWO, 0},
    {ONE TWO, "g" SIZED("f800000", "ff0000000000000") TWO, 0},
    {ONE TWO, " " SIZED("f800000", "ff0000000000000") TWO, 0},
    {ONE TWO, "/" SIZED("f800000", "ff0000000000000") TWO, 0},
    {ONE TWO, ":" SIZED("f800000", "ff0000000000000") TWO, 0},
    {ONE TWO, "`" SIZED("f800000", "ff0000000000000") TWO, 0},
    {ONE TWO, "3F" SIZED("800000", "f0000000000000") TWO, 0},
    {ONE TWO, "\\u0033f" SIZED("800000", "f0000000000000") TWO, 0},
    {ONE TWO, TWO ONE, 3},
    {ONE TWO, SIZED("00000000", "0000000000000000") TWO, 3},
    {ONE TWO, SIZED("80000001", "8000000000000001") TWO, 3},
    /* the metadata otherwise */
    {"\"nn.crc32\":\"00000000\"", "\"nn.crc32\":\"0000000\"", 0},
    {"\"nn.crc32\":\"00000000\"", "\"nn.crc32\":\"000000000\"", 0},
    {"\"nn.crc32\":\"00000000\"", "\"nn.crc32\":\"\"", 0},
    {",\"nn.crc32\":\"00000000\"", "", 0},
    {"\"format\":\"pt\"", "\"format\":\"np\"", 1},
    {"\"format\":\"pt\",", "", 1},
    {"\"format\":\"pt\"", "\"format\":\"pt\",\"author\":\"x\"", 1},
    {"\"format\":\"pt\",\"nn.version\":\"1\"", "\"nn.version\":\"1\",\"format\":\"pt\"", 1},
    {"\"nn.widths\":\"3,2,1\"," LIST, LIST ",\"nn.widths\":\"3,2,1\"", 1},
    {"\"nn.crc32\"", "\"nn.state\":\"\",\"nn.crc32\"", 1},
    {"\"nn.crc32\"", "\"nn.state\":\"0\",\"nn.crc32\"", 1},
    {"\"nn.version\"", "\"nn\\u002eversion\"", 0},
    {"\"nn.version\"", "\"nn.Version\"", 0},
    {"{\"__metadata__\":{\"format\":\"pt\"", "{\"__metadata__\":{\"format\":\"pt\"},\"x\":{", 0},
    /* space, and order */
    {"{\"__", " {\"__", 0},
    {"{\"__", "{ \"__", 1},
    {"__\":{", "__\": {", 1},
    {"__\":{", "__\" :{", 1},
    {"\"pt\",", "\"pt\", ", 1},
    {"[2,3]", "[2, 3]", 3},
    {"[2,3]", "[ 2,3]", 3},
    {"[2,3]", "[2,3 ]", 3},
    {"[2,3]", "[2,3\t]", 3},
    {",\"0.bias\"", ",\n\"0.bias\"", 3},
    {"]}}", "]} }", 3},
    {"},\"0.weight\"", "} ,\"0.weight\"", 3},
    {"},\"0.weight\"", "}\n\t,\"0.weight\"", 3},
    {"]}}", "] }}", 3},
    {"]}}", "]}}\n", 3},
    {"]}}", "]}}\t\r ", 3},
    {"]}}", "]}}}", 2},
    {"]}}", "]},}", 2},
    {"]}}", "]}", 2},
    {W0 "," B0, B0 "," W0, 3},
    {ALL, W1 "," B1 "," W0 "," B0, 3},
    {"\"dtype\":\"" OWN_TYPE "\",\"shape\":[2,3]", "\"shape\":[2,3],\"dtype\":\"" OWN_TYPE "\"", 3},
    /* other tensors */
    {"0.weight", "00.weight", 2},
    {"0.weight", "1.weight", 2},
    {"0.weight", "weight", 2},
    {"0.bias", "2.bias", 2},
    {"0.bias", "0.bia", 2},
    {ALL, W0 "," B0, 2},
    {B1, B1 "," B1, 2},
    {B1, B1 "," TENSOR("x", "0", SIZED("44", "88"), SIZED("44", "88")), 3},
    {"\"dtype\":\"F", "\"dtype\":\"I", 2},
    {"\"dtype\":\"F", "\"dtype\":\"BF", 2},
    {"\"dtype\":\"" OWN_TYPE, "\"dtype\":\"" SIZED("F64", "F32"), 2},
    {"[2,3]", "[3,2]", 2},
    {"[2,3]", "[1,6]", 2},
    {"[2,3]", "[6]", 2},
    {"[2,3]", "[2,3,1]", 2},
    {"[2,3]", "[2]", 2},
    {"[2,3]", "[]", 2},
    {"[2,3]", "[,]", 2},
    {"[2,3]", "[2,]", 2},
    {"[2,3]", "[,3]", 2},
    {"[2,3]", "[-2,-3]", 2},
    {"[2,3]", "[+2,3]", 2},
    {"[2,3]", "[2.0,3]", 2},
    {"[2,3]", "[2e0,3]", 2},
    {"[2,3]", "[0x2,3]", 2},
    {"[2,3]", "[\"2\",3]", 2},
    {"[2]", "[2,1]", 2},
    {"[2]", "[1,2]", 2},
    {"[1,2]", "[2,1]", 2},
    /* layers that do not fit, or have no width, over all of the data */
    {ALL, TENSOR("0.weight", "1,3", "0", SIZED("12", "24")) ","
          TENSOR("0.bias", "1", SIZED("12", "24"), SIZED("16", "32")) ","
          TENSOR("2.weight", "1,6", SIZED("16", "32"), SIZED("40", "80")) "," B1, 2},
    {ALL, TENSOR("0.weight", "1,3", "0", SIZED("12", "24")) ","
          TENSOR("0.bias", "1", SIZED("12", "24"), SIZED("16", "32")) ","
          TENSOR("2.weight", "1,1", SIZED("16", "32"), SIZED("20", "40")) ","
          TENSOR("2.bias", "6", SIZED("20", "40"), SIZED("44", "88")), 2},
    {ALL, TENSOR("0.weight", "1,3", "0", SIZED("12", "24")) ","
          TENSOR("0.bias", "6", SIZED("12", "24"), SIZED("36", "72")) ","
          TENSOR("2.weight", "1,1", SIZED("36", "72"), SIZED("40", "80")) "," B1, 2},
    {ALL, TENSOR("0.weight", "0,3", "0", "0") "," TENSOR("0.bias", "0", "0", "0") ","
          TENSOR("2.weight", "11,0", "0", "0") ","
          TENSOR("2.bias", "11", "0", SIZED("44", "88")), 2},
    {ALL, TENSOR("0.weight", "11,0", "0", "0") ","
          TENSOR("0.bias", "11", "0", SIZED("44", "88")) ","
          TENSOR("2.weight", "0,11", SIZED("44", "88"), SIZED("44", "88")) ","
          TENSOR("2.bias", "0", SIZED("44", "88"), SIZED("44", "88")), 2},
    {ALL, TENSOR("0.weight", "2,3", "0", SIZED("24", "48")) ","
          TENSOR("0.bias", "2", SIZED("24", "48"), SIZED("32", "64")) ","
          TENSOR("2.weight", "0,2", SIZED("32", "64"), SIZED("32", "64")) ","
          TENSOR("2.bias", "0", SIZED("32", "64"), SIZED("32", "64")), 2},
    /* data that two tensors share, or that none has */
    {B0, TENSOR("0.bias", "2", SIZED("16", "32"), SIZED("24", "48")), 2},
    {B0, TENSOR("0.bias", "2", SIZED("20", "40"), SIZED("28", "56")), 2},
    {B0, TENSOR("0.bias", "2", SIZED("32", "64"), SIZED("40", "80")), 2},
    {B0, TENSOR("0.bias", "2", SIZED("0", "0"), SIZED("8", "16")), 2},
    {W1 "," B1, TENSOR("2.weight", "1,2", SIZED("36", "72"), SIZED("44", "88")) ","
                TENSOR("2.bias", "1", SIZED("32", "64"), SIZED("36", "72")), 3},
    {W1, TENSOR("2.weight", "1,2", SIZED("40", "80"), SIZED("32", "64")), 2},
};
/* clang-format on */

/* Each edit of a header: taken by nn_load_memory, by nn_model_open_in, by both, or by neither. */
static void test_edits(void)
{
    net n = small_net();
    size_t size, i;
    text header = make_header(&n, &size), other;
    bytes data = make_numbers(size, n.real);
    int loads;

    CHECK(header_taken(header, data, &loads));
    for (i = 0; i < sizeof edits / sizeof *edits; i++) {
        int taken, bad = test_bad;
        other = edited(header, edits[i].from, edits[i].to);
        taken = header_taken(other, data, &loads);
        CHECK(loads == (edits[i].takers & 1) && taken == edits[i].takers >> 1);
        if (test_bad > bad && bad < 5)
            printf("%s -> %s: loads %d, opens %d\n", edits[i].from, edits[i].to, loads, taken);
        free(other.at);
    }
    free(data.at);
    free(header.at);
}

/* Every width replaced: by others, by ones that are the same modulo 2^8, 2^16, 2^32
   or 2^64, by the same with a zero before it. */
static void test_numbers(void)
{
    static const char *const numbers[] = {"",
                                          "0",
                                          "1",
                                          "2",
                                          "3",
                                          "32767",
                                          "65535",
                                          "65536",
                                          "1073741824",
                                          "2147483583",
                                          "2147483584",
                                          "2147483647",
                                          "2147483648",
                                          "4294967295",
                                          "4294967296",
                                          "4611686018427387904",
                                          "9223372036854775807",
                                          "9223372036854775808",
                                          "18446744073709551606",
                                          "18446744073709551615",
                                          "18446744073709551616",
                                          "99999999999999999999999999999999999999999999"};
    enum { OTHERS = sizeof numbers / sizeof *numbers, DERIVED = 8 };
    net n = small_net();
    size_t size, start, end, found = 0;
    text header = make_header(&n, &size), other;
    bytes data = make_numbers(size, n.real);
    int i, loads;

    for (start = (size_t)(strstr(header.at, "3,2,1") - header.at); header.at[start] != '"';
         start = end) {
        end = start + strspn(header.at + start, "0123456789");
        if (end == start) {
            end++;
            continue;
        }
        found++;
        for (i = 0; i < OTHERS + DERIVED; i++) {
            const unsigned value = (unsigned)atoi(header.at + start);
            char to[64];
            int same = 0;
            if (i < OTHERS) sprintf(to, "%s", numbers[i]);
            if (i == OTHERS) sprintf(to, "0%u", value);
            if (i == OTHERS + 1) sprintf(to, "%u", value + 1);
            if (i == OTHERS + 2) sprintf(to, "%u", value ? value - 1 : 7);
            if (i == OTHERS + 3) sprintf(to, "%u", value + 256);
            if (i == OTHERS + 4) sprintf(to, "%u", value + 65536);
            if (i == OTHERS + 5) sprintf(to, "4294967%u", 296 + value);
            if (i == OTHERS + 6) sprintf(to, "1844674407370955%u", 1616 + value);
            if (i == OTHERS + 7) sprintf(to, "%u ", value);
            same = strlen(to) == end - start && !strncmp(to, header.at + start, end - start);
            other = no_text();
            add_bytes(&other, header.at, start);
            add_bytes(&other, to, strlen(to));
            add_bytes(&other, header.at + end, header.size - end);
            if (!CHECK(header_taken(other, data, &loads) == same))
                printf("%s at %u\n", to, (unsigned)start);
            free(other.at);
        }
    }
    CHECK(found == 3);
    free(data.at);
    free(header.at);
}

/* Widths whose products fit the few bytes of data only modulo 2^32 or 2^64: all consistent. */
static void test_wrapped(void)
{
    static const uint64_t shapes[][3] = {
        {UINT64_C(1) << 62, 1, 0},
        {UINT64_C(1) << 63, 1, 0},
        {UINT64_C(1) << 32, UINT64_C(1) << 32, 0},
        {(UINT64_C(1) << 32) + 3, 2, 0},
        {(UINT64_C(1) << 62) + 3, 2, 0},
        {(UINT64_C(1) << 61) + 3, 2, 0},
        {3, (UINT64_C(1) << 62) + 2, 1},
        {3, (UINT64_C(1) << 32) + 2, 1},
        {3, (UINT64_C(1) << 30) + 2, 1},
        {3, (UINT64_C(1) << 29) + 2, 1},
        {1 << 30, 1, 0},
        {(1 << 30) + 3, 1, 0},
        {1 << 29, 1, 0},
        {(1 << 29) + 3, 1, 0},
        {1 << 28, 4, 0},
        {65536, 65536, 0},
        {65536, 16384, 1},
        {32768, 16384, 1},
        {1 << 30, 4, 1},
        {UINT64_C(2147483647), 2, 1},
        {UINT64_C(2147483648), 2, 1},
        {UINT64_C(4294967295), 1, 1},
        {1, UINT64_C(2147483647), 1},
        {1, UINT64_C(2147483583), 1},
    };
    static const uint64_t masks[] = {UINT64_MAX, UINT32_MAX, 0xffff};
    size_t i, k, size, tried = 0;
    int loads;

    for (i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        for (k = 0; k < 3; k++) {
            net n = small_net();
            text header;
            bytes data;
            n.widths[0] = shapes[i][0];
            n.widths[1] = shapes[i][1];
            n.widths[2] = shapes[i][2];
            n.scaling = "none";
            n.values = "";
            n.activations = shapes[i][2] ? "relu,linear" : "relu";
            n.mask = masks[k];
            header = make_header(&n, &size);
            if (size < 1 << 20) {
                data = make_numbers(size, n.real);
                CHECK(!header_taken(header, data, &loads) && !loads);
                free(data.at);
                tried++;
            }
            free(header.at);
        }
    }
    CHECK(tried > 30);
}

/* Data that are longer or shorter than the tensors, and headers that are cut, all with the checksum
   that is theirs and nothing behind. */
static void test_lengths(void)
{
    net n = small_net();
    size_t size, length, cut;
    text header = make_header(&n, &size), part;
    const size_t described = (size_t)(strchr(header.at, '}') - header.at) + 1;
    bytes data, file, none = make_bytes(0);
    int loads;

    for (length = 0; length <= 2 * size; length++) {
        data = make_numbers(length, n.real);
        CHECK(header_taken(header, data, &loads) == (length == size) && loads == (length == size));
        free(data.at);
    }
    data = make_numbers(size, n.real);
    for (cut = 0; cut < header.size; cut++) {
        part = no_text();
        add_bytes(&part, header.at, cut);
        file = assemble(part, none, 1, 0);
        CHECK(!obeys(file, &loads) && !loads);
        free(file.at);
        CHECK(header_taken(part, data, &loads) == (cut >= described) && !loads);
        free(part.at);
    }
    free(none.at);
    free(data.at);
    free(header.at);
}

/* How the header is padded, and what its length is said to be. */
static void test_padding(void)
{
    static const uint64_t lengths[] = {0,
                                       1,
                                       2,
                                       0x7fff,
                                       0x8000,
                                       0xffff,
                                       UINT64_C(0x7fffffff),
                                       UINT64_C(0x80000000),
                                       UINT64_C(0xffffffff),
                                       UINT64_C(0x7fffffffffffffff),
                                       UINT64_C(0x8000000000000000),
                                       UINT64_C(0xfffffffffffffff8),
                                       UINT64_C(0xffffffffffffffff)};
    static const uint64_t carries[] = {UINT64_C(1) << 16, UINT64_C(1) << 32, UINT64_C(1) << 48,
                                       UINT64_C(1) << 63};
    net n = small_net();
    size_t size, i, more;
    text header = make_header(&n, &size);
    bytes data, file;
    int loads;

    data = make_numbers(size, n.real);
    for (more = 0; more <= 16; more++) {
        file = assemble(header, data, 8, more);
        CHECK(obeys(file, &loads) && loads);
        free(file.at);
        file = assemble(header, data, 1, more);
        CHECK(obeys(file, &loads) && loads);
        free(file.at);
    }
    file = assemble(header, data, 8, 0);
    more = header_size(file);
    CHECK(more > header.size); /* something is padded */
    for (i = 1; i <= more - header.size; i++) {
        file.at[8 + more - i] = '\n';
        put_checksum(file);
        CHECK(obeys(file, &loads) && loads);
        file.at[8 + more - i] = 0;
        put_checksum(file);
        CHECK(obeys(file, &loads) && !loads);
        file.at[8 + more - i] = ' ';
        put_checksum(file);
    }
    for (i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        put_length(file.at, lengths[i]);
        CHECK(!obeys(file, &loads) && !loads);
    }
    for (i = 0; i < sizeof carries / sizeof *carries; i++) {
        put_length(file.at, more + carries[i]);
        CHECK(!obeys(file, &loads) && !loads);
    }
    for (i = 0; i < 24; i++) {
        put_length(file.at, more + i - 12);
        CHECK(obeys(file, &loads) == (i == 12));
    }
    free(file.at);
    free(data.at);
    free(header.at);
}

/* Weights and scaling that are not finite, under a checksum that is right; and one that is not. */
static void test_not_finite(void)
{
    static const uint64_t values[] = {SIZED(0x7f800000, UINT64_C(0x7ff0000000000000)),
                                      SIZED(0xff800000, UINT64_C(0xfff0000000000000)),
                                      SIZED(0x7fc00000, UINT64_C(0x7ff8000000000000)),
                                      SIZED(0x7f800001, UINT64_C(0x7ff0000000000001)),
                                      SIZED(0xffffffff, UINT64_C(0xffffffffffffffff))};
    static const uint64_t largest = SIZED(0x7f7fffff, UINT64_C(0x7fefffffffffffff));
    net n = small_net();
    size_t size, i, k, b;
    text header = make_header(&n, &size);
    bytes data = make_numbers(size, n.real), file = assemble(header, data, 8, 0), kept;
    unsigned char *at = file.at + file.size - size;
    opened o;

    for (i = 0; i < size / n.real; i++) {
        kept = copy_bytes(file);
        for (k = 0; k <= sizeof values / sizeof *values; k++) {
            const uint64_t value = k ? values[k - 1] : largest;
            for (b = 0; b < n.real; b++) at[i * n.real + b] = (unsigned char)(value >> (8 * b));
            o = open_at(file, 0, 0);
            CHECK(o.status == NN_ERROR_CHECKSUM);
            close_opened(&o);
            put_checksum(file);
            o = open_at(file, 0, 0);
            CHECK(o.status == (k ? NN_ERROR_PARAMETER : NN_OK));
            close_opened(&o);
            CHECK(is_taken(file) == !k);
        }
        memcpy(file.at, kept.at, kept.size);
        free(kept.at);
    }
    CHECK(is_taken(file));
    free(file.at);
    free(data.at);
    free(header.at);
}

/* Files of ours, but of other kinds: a checkpoint, and the other precision, which other functions
   take. */
static void test_other_kinds(void)
{
    nn_model *model = make_small();
    nn_trainer *trainer = NULL;
    net n = small_net();
    size_t size = 0;
    text header, other;
    bytes file, data;
    int loads;

    CHECK(nn_trainer_create(&trainer, model, NULL) == NN_OK);
    CHECK(nn_save_checkpoint_memory(trainer, NULL, 0, &size) == NN_OK && size > 8);
    file = make_bytes(size);
    CHECK(nn_save_checkpoint_memory(trainer, file.at, size, &size) == NN_OK);
    nn_trainer_free(trainer);
    nn_model_free(model);
    CHECK(!obeys(file, &loads) && loads);
    free(file.at);

    n.real = 12 - sizeof(nn_real);
    n.scaling = "none";
    n.values = "";
    header = make_header(&n, &size);
    data = make_numbers(size, n.real);
    CHECK(!header_taken(header, data, &loads) && loads);
    free(data.at);
    free(header.at);

    n.real = sizeof(nn_real); /* what follows 9 in ASCII is no digit for 10 */
    n.widths[0] = 10;
    n.widths[1] = 1;
    n.widths[2] = 0;
    n.activations = "relu";
    header = make_header(&n, &size);
    other = edited(header, "\"10,1\"", "\":,1\"");
    data = make_numbers(size, n.real);
    CHECK(header_taken(header, data, &loads) && loads);
    CHECK(!header_taken(other, data, &loads));
    free(data.at);
    free(header.at);
    free(other.at);
}

/* Makes the data of linear layers of width 1, w, b, w, b, ...; what comes out of them for the first
   input, exactly: the weights are 1 and -1. */
static nn_real make_chain(bytes data, int layers)
{
    nn_real x = inputs[0];
    int i;
    for (i = 0; i < layers; i++) {
        const int sign = i % 3 ? 1 : -1;
        put_number(data.at + 2 * (size_t)i * sizeof(nn_real), sizeof(nn_real), sign);
        x = (sign < 0 ? -x : x) + (nn_real)number_at(2 * (size_t)i + 1);
    }
    return x;
}

/* As many layers as nn_save writes, and no more; a header as long as it writes, and no longer. */
static void test_limits(void)
{
    enum { MOST = 1022, SCALED_INPUTS = SIZED(130900, 65470) };
    net n = small_net();
    text header, names;
    bytes data, file;
    nn_shape shape;
    nn_real y = 0, wanted;
    opened o;
    size_t size, i;
    int layers, loads;

    for (layers = MOST; layers <= MOST + 1; layers++) {
        header = no_text();
        names = no_text();
        for (i = 0; i < (size_t)layers; i++) add(&names, i ? ",linear" : "linear");
        add(&header, "{\"__metadata__\":{\"format\":\"pt\",\"nn.version\":\"1\",\"nn.widths\":\"1");
        for (i = 0; i < (size_t)layers; i++) add(&header, ",1");
        add(&header, "\",\"nn.activations\":\"");
        add_bytes(&header, names.at, names.size);
        add(&header, "\",\"nn.scaling\":\"none\",\"nn.scaling_values\":\"\",\"nn.crc32\":");
        add(&header, "\"00000000\"}");
        for (i = 0; i < (size_t)layers; i++) {
            const size_t at = 2 * i * n.real;
            add(&header, ",\"%u.weight\":{\"dtype\":\"" OWN_TYPE "\",\"shape\":[1,1],",
                (unsigned)i);
            add(&header, "\"data_offsets\":[%u,%u]}", (unsigned)at, (unsigned)(at + n.real));
            add(&header, ",\"%u.bias\":{\"dtype\":\"" OWN_TYPE "\",\"shape\":[1],", (unsigned)i);
            add(&header, "\"data_offsets\":[%u,%u]}", (unsigned)(at + n.real),
                (unsigned)(at + 2 * n.real));
        }
        add(&header, "}");
        data = make_numbers(2 * (size_t)layers * n.real, n.real);
        wanted = make_chain(data, layers);
        file = assemble(header, data, 8, 0);
        o = open_at(file, 0, 0); /* alone: nn_load_memory takes seconds */
        CHECK(o.status == (layers <= MOST ? NN_OK : NN_ERROR_HEADER));
        if (o.status == NN_OK) {
            CHECK(nn_get_shape(o.model, &shape) == NN_OK && shape.count == layers);
            CHECK(nn_predict(o.model, inputs, 1, &y, NULL) == NN_OK);
            CHECK(y == wanted);
        }
        close_opened(&o);
        free(file.at);
        free(data.at);
        free(header.at);
        free(names.at);
    }
    n = small_net();
    n.scaling = "standard";
    for (i = 0; i < 2; i++) { /* 16 or 32 characters for each input, of 2 MB */
        n.widths[0] = SCALED_INPUTS + i * 1000;
        n.widths[1] = 1;
        n.widths[2] = 0;
        n.activations = "linear";
        names = no_text();
        for (size = 0; size < 2 * (size_t)n.widths[0]; size++) add_bytes(&names, ONE, 2 * n.real);
        n.values = names.at;
        header = make_header(&n, &size);
        data = make_numbers(size, n.real);
        CHECK(header_taken(header, data, &loads) == !i && loads == !i);
        CHECK((header.size > (size_t)2 << 20) == (i == 1));
        free(data.at);
        free(header.at);
        free(names.at);
    }
}

/* ---- Random damage --------------------------------------------------------------------------- */

/* Removes, repeats, moves or overwrites a few bytes. */
static void damage(text *t)
{
    static const char likely[] = "0123456789[]{},\":.abcdefluxw \\-";
    size_t at, size;
    text result = no_text();

    if (t->size < 40) return;
    at = random_below((unsigned)t->size - 20);
    size = 1 + random_below(random_below(4) ? 3 : 16);
    switch (random_below(4)) {
    case 0: /* remove */
        add_bytes(&result, t->at, at);
        add_bytes(&result, t->at + at + size, t->size - at - size);
        break;
    case 1: /* repeat */
        add_bytes(&result, t->at, at + size);
        add_bytes(&result, t->at + at, t->size - at);
        break;
    case 2: /* copy another part */
        add_bytes(&result, t->at, t->size);
        memmove(result.at + random_below((unsigned)t->size - 20), t->at + at, size);
        break;
    default: /* overwrite */
        add_bytes(&result, t->at, t->size);
        result.at[at] = random_below(8) ? likely[random_below(sizeof likely - 1)]
                                        : (char)(1 + random_below(255));
    }
    free(t->at);
    *t = result;
}

/* Headers with random damage and the right checksum, and data with: all obey the rule. */
static void test_random(void)
{
    static const char *const lists[] = {"relu,linear,softmax", "linear,tanh,sigmoid",
                                        "leaky_relu,linear,linear"};
    int round, changes, loads, taken = 0, loaded = 0;

    for (round = 0; round < 30000; round++) {
        net n = small_net();
        text header;
        bytes data, file;
        size_t size;
        int bad = test_bad;
        n.widths[0] = 1 + random_below(3);
        n.widths[1] = 1 + random_below(3);
        n.widths[2] = 1 + random_below(3);
        n.widths[3] = random_below(2) ? 0 : 1 + random_below(12);
        n.activations = n.widths[3] ? lists[random_below(3)] : "tanh,relu";
        if (n.widths[0] != 3) {
            n.scaling = "none";
            n.values = "";
        }
        header = make_header(&n, &size);
        data = make_numbers(size, n.real);
        for (changes = (int)random_below(4); changes > 0; changes--) damage(&header);
        for (changes = (int)random_below(3); changes > 0; changes--)
            data.at[random_below((unsigned)data.size)] = (unsigned char)random_below(256);
        file = assemble(header, data, random_below(16) ? 8 : 1, 0);
        taken += obeys(file, &loads);
        loaded += loads;
        if (test_bad > bad && bad < 5)
            printf("seed %lu, round %d: %s\n", (unsigned long)seed, round, header.at);
        free(file.at);
        free(data.at);
        free(header.at);
    }
    CHECK(taken > 3000 && taken < 27000 && loaded > 3000 && loaded < 27000);
}

int main(int argc, char **argv)
{
    if (argc > 1) seed = strtoul(argv[1], NULL, 10);
    random_state = seed;
    make_inputs();
    RUN(test_activations);
    RUN(test_shapes);
    RUN(test_extreme_parameters);
    RUN(test_read_only_memory);
    RUN(test_read_only);
    RUN(test_scaling);
    RUN(test_null);
    RUN(test_truncated);
    RUN(test_changed);
    RUN(test_by_hand);
    RUN(test_edits);
    RUN(test_numbers);
    RUN(test_wrapped);
    RUN(test_lengths);
    RUN(test_padding);
    RUN(test_not_finite);
    RUN(test_other_kinds);
    RUN(test_limits);
    RUN(test_random);
    return test_done(PROGRAM);
}
