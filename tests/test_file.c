/* Model files and checkpoints: round trips to the bit, damage of every kind, and files made by hand
   as PyTorch, or an attacker, would make them. The program runs itself to resume in a new process:
   test_file resume SCENARIO. */
#include "test.h"

#include <float.h>
#include <stdint.h>
#include <time.h>

static size_t most_bytes = (size_t)-1 - 64; /* of a block */
#define MOST_BYTES most_bytes
#include "counted_heap.h"
#define NN_IMPLEMENTATION
#include "../nn.h"

#ifdef NN_DOUBLE
#define PROGRAM   "test_file_double"
#define OWN_TYPE  "F64"
#define REAL_MAX  DBL_MAX
#define REAL_TINY 5e-324
#else
#define PROGRAM   "test_file"
#define OWN_TYPE  "F32"
#define REAL_MAX  FLT_MAX
#define REAL_TINY ((nn_real)1.4e-45)
#endif
#define MODEL_PATH      "build/" PROGRAM ".safetensors"
#define CHECKPOINT_PATH "build/" PROGRAM ".checkpoint"
#define FINAL_PATH      "build/" PROGRAM ".final"
#define HISTORY_PATH    "build/" PROGRAM ".history"

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

static void put_length(unsigned char *at, uint64_t length)
{
    int i;
    for (i = 0; i < 8; i++) at[i] = (unsigned char)(length >> (8 * i));
}

static int same_bytes(bytes a, bytes b)
{
    return a.size == b.size && !memcmp(a.at, b.at, a.size);
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

/* ---- Models ---------------------------------------------------------------------------------- */

enum { PROBES = 6 };
static const nn_real probe[PROBES * 3] = {0, 0,  0, 1,   -1,     2,  0.5f, 0.25f, -3,
                                          4, -8, 1, 100, 0.125f, -7, 9,    10,    11};

static nn_model *make_model(int inputs, const nn_layer *layers, int count, uint64_t seed)
{
    nn_model *model = NULL;
    CHECK(nn_model_create(&model, inputs, layers, count, seed) == NN_OK);
    return model;
}

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

static int same_parameters(nn_model *a, nn_model *b)
{
    size_t n = nn_parameter_count(a);
    return n == nn_parameter_count(b) &&
           !memcmp(nn_parameters(a), nn_parameters(b), n * sizeof(nn_real));
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

/* Every activation as hidden and as last layer, with every scaling: saved, loaded, the same bits;
   and what was loaded saves the same bytes. */
static void round_trip(nn_activation activation, nn_scaling scaling)
{
    nn_layer layers[] = {NN_DENSE(5, NN_RELU), NN_DENSE(4, NN_TANH), NN_DENSE(3, NN_LINEAR)};
    nn_data data = probe_data();
    nn_model *model, *loaded = NULL, *filled;
    bytes first, second, file;
    if (activation != NN_SOFTMAX) layers[0].activation = activation;
    layers[2].activation = activation;
    model = make_model(3, layers, 3, 1);
    filled = make_model(3, layers, 3, 2);
    if (!model || !filled) return;
    if (scaling != NN_SCALE_NONE) CHECK(nn_fit_scaling(model, &data, scaling) == NN_OK);
    first = save_model(model);
    CHECK(nn_save(model, MODEL_PATH) == NN_OK);
    file = read_file(MODEL_PATH);
    CHECK(same_bytes(first, file));
    CHECK(nn_load_parameters_memory(filled, file.at, file.size, NULL) == NN_OK);
    CHECK(same_parameters(model, filled) && same_predictions(model, filled));
    if (CHECK(nn_load(&loaded, MODEL_PATH, NULL) == NN_OK && loaded)) {
        CHECK(same_shape(model, loaded) && same_parameters(model, loaded));
        CHECK(same_predictions(model, loaded) && same_predictions(loaded, model));
        second = save_model(loaded);
        CHECK(same_bytes(first, second));
        free(second.at);
    }
    free(first.at);
    free(file.at);
    nn_model_free(model);
    nn_model_free(filled);
    nn_model_free(loaded);
}

static void test_round_trip(void)
{
    int a, s;
    for (a = NN_LINEAR; a <= NN_SOFTMAX; a++)
        for (s = NN_SCALE_NONE; s <= NN_SCALE_MIN_MAX; s++)
            round_trip((nn_activation)a, (nn_scaling)s);
    CHECK(live_blocks == 0);
}

/* No value is rounded on its way (a text format would lose 1e-7 or the sign of zero). */
static void test_extreme_parameters(void)
{
    static const nn_real values[] = {(nn_real)1e-7, -0.0f,     REAL_TINY,    -REAL_TINY,
                                     REAL_MAX,      -REAL_MAX, (nn_real)0.1, 1.0f / 3};
    static const nn_layer layers[] = {NN_DENSE(2, NN_LINEAR)};
    nn_model *model = make_model(3, layers, 1, 1), *loaded = NULL;
    bytes b;
    if (!model || !CHECK(nn_parameter_count(model) == sizeof values / sizeof *values)) return;
    memcpy(nn_parameters(model), values, sizeof values);
    b = save_model(model);
    if (CHECK(nn_load_memory(&loaded, b.at, b.size, NULL) == NN_OK))
        CHECK(same_parameters(model, loaded));
    free(b.at);
    nn_model_free(loaded);
    nn_model_free(model);
    CHECK(live_blocks == 0);
}

/* The width of one and the depth of many: sizes at the edge of the naming. */
static void test_many_layers(void)
{
    enum { DEPTH = 24 };
    nn_layer layers[DEPTH];
    nn_model *model, *loaded = NULL;
    bytes b;
    int i;
    for (i = 0; i < DEPTH; i++) layers[i].kind = NN_LAYER_DENSE, layers[i].width = 1 + i % 3;
    for (i = 0; i < DEPTH; i++) layers[i].activation = NN_TANH;
    model = make_model(3, layers, DEPTH, 1);
    if (!model) return;
    b = save_model(model);
    if (CHECK(nn_load_memory(&loaded, b.at, b.size, NULL) == NN_OK))
        CHECK(same_shape(model, loaded) && same_parameters(model, loaded));
    free(b.at);
    nn_model_free(loaded);
    nn_model_free(model);
    CHECK(live_blocks == 0);
}

/* ---- What we write, read without nn.h -------------------------------------------------------- */

/* The header as text without the spaces between its tokens; the caller frees it. */
static char *header_text(bytes file, size_t *length)
{
    size_t i, n = 0;
    int quoted = 0;
    char *text;
    *length = 0;
    for (i = 8; i-- > 0;) *length = *length << 8 | file.at[i];
    if (!CHECK(*length >= 2 && *length <= file.size - 8)) return NULL;
    text = (char *)malloc(*length + 1);
    if (!text) return NULL;
    for (i = 0; i < *length; i++) {
        char c = (char)file.at[8 + i];
        if (c == '"' && (i == 0 || file.at[8 + i - 1] != '\\')) quoted = !quoted;
        if (quoted || (c != ' ' && c != '\n' && c != '\t')) text[n++] = c;
    }
    text[n] = 0;
    return text;
}

typedef struct entry {
    char type[8];
    unsigned long shape[2], from, to;
    int dimensions;
} entry;

static int find_entry(const char *text, const char *name, entry *e)
{
    char key[80];
    const char *at, *type, *shape, *offsets;
    sprintf(key, "\"%s\":{", name);
    if (!(at = strstr(text, key))) return 0;
    type = strstr(at, "\"dtype\":\"");
    shape = strstr(at, "\"shape\":[");
    offsets = strstr(at, "\"data_offsets\":[");
    if (!type || !shape || !offsets || sscanf(type + 9, "%7[A-Z0-9]\"", e->type) != 1) return 0;
    e->dimensions = sscanf(shape + 9, "%lu,%lu", &e->shape[0], &e->shape[1]);
    return sscanf(offsets + 16, "%lu,%lu]", &e->from, &e->to) == 2;
}

static nn_real little_endian(const unsigned char *at)
{
    nn_real value;
#ifdef NN_DOUBLE
    uint64_t bits = 0;
#else
    uint32_t bits = 0;
#endif
    size_t i;
    for (i = sizeof value; i-- > 0;) bits = bits << 8 | at[i];
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* One tensor: parameter [k * out + j] of ours is [j * in + k] of PyTorch's. */
static void check_tensor(const char *text, const char *name, const unsigned char *data,
                         const nn_real *ours, unsigned long in, unsigned long out, size_t *covered)
{
    entry e;
    unsigned long k, j;
    if (!CHECK(find_entry(text, name, &e))) return;
    CHECK(!strcmp(e.type, OWN_TYPE));
    CHECK(e.dimensions == (in ? 2 : 1) && e.shape[0] == out && (!in || e.shape[1] == in));
    if (!in) in = 1;
    if (!CHECK(e.to - e.from == in * out * sizeof(nn_real))) return;
    *covered += e.to - e.from;
    for (k = 0; k < in; k++)
        for (j = 0; j < out; j++)
            CHECK(little_endian(data + e.from + (j * in + k) * sizeof(nn_real)) ==
                  ours[k * out + j]);
}

/* A valid safetensors file: the length, a header that begins with {, data from a multiple of 8, no
   byte of it outside the tensors, and names, shapes and order of an nn.Sequential, where a linear
   activation is no module. */
static void test_layout(void)
{
    static const nn_layer layers[] = {NN_DENSE(4, NN_RELU), NN_DENSE(5, NN_LINEAR),
                                      NN_DENSE(3, NN_TANH), NN_DENSE(2, NN_SOFTMAX)};
    static const char *const weights[] = {"0.weight", "2.weight", "3.weight", "5.weight"};
    static const char *const biases[] = {"0.bias", "2.bias", "3.bias", "5.bias"};
    nn_model *model = make_model(3, layers, 4, 1);
    unsigned long in = 3, out;
    size_t length, covered = 0, i;
    const nn_real *p;
    bytes file;
    char *text;
    if (!model) return;
    p = nn_parameters(model);
    for (i = 0; i < nn_parameter_count(model); i++) nn_parameters(model)[i] = (nn_real)i + 1;
    file = save_model(model);
    if ((text = header_text(file, &length)) != NULL) {
        const unsigned char *data = file.at + 8 + length;
        CHECK(text[0] == '{' && (8 + length) % 8 == 0);
        CHECK(strstr(text, "\"__metadata__\":{\""));
        for (i = 0; i < 4; i++) {
            out = (unsigned long)layers[i].width;
            check_tensor(text, weights[i], data, p, in, out, &covered);
            check_tensor(text, biases[i], data, p + in * out, 0, out, &covered);
            p += in * out + out;
            in = out;
        }
        CHECK(covered == nn_parameter_count(model) * sizeof(nn_real));
        CHECK(file.size == 8 + length + covered);
        free(text);
    }
    free(file.at);
    nn_model_free(model);
}

/* nn_save_memory and nn_save_checkpoint_memory: exact, and nothing written when it does not fit. */
static void test_capacity(void)
{
    static const nn_layer layers[] = {NN_DENSE(2, NN_RELU), NN_DENSE(1, NN_LINEAR)};
    nn_model *model = make_model(3, layers, 2, 1);
    nn_trainer *trainer = NULL;
    size_t size, need, capacity, i;
    int checkpoint;
    if (!model || !CHECK(nn_trainer_create(&trainer, model, NULL) == NN_OK)) return;
    for (checkpoint = 0; checkpoint < 2; checkpoint++) {
        bytes b = checkpoint ? save_trainer(trainer) : save_model(model);
        unsigned char *out;
        need = b.size;
        out = (unsigned char *)malloc(need + 8);
        for (capacity = 0; out && capacity <= need + 1; capacity++) {
            int clean = 1;
            nn_status status;
            memset(out, 0x5a, need + 8);
            size = 12345;
            status = checkpoint ? nn_save_checkpoint_memory(trainer, out, capacity, &size)
                                : nn_save_memory(model, out, capacity, &size);
            if (capacity >= need) {
                CHECK(status == NN_OK && size == need && !memcmp(out, b.at, need));
                clean = out[need] == 0x5a && out[need + 1] == 0x5a;
            } else {
                CHECK(status == NN_ERROR_BLOCK);
                for (i = 0; i < need + 8; i++) clean = clean && out[i] == 0x5a;
            }
            CHECK(clean);
        }
        free(out);
        free(b.at);
    }
    nn_trainer_free(trainer);
    nn_model_free(model);
    CHECK(live_blocks == 0);
}

/* ---- Damage ---------------------------------------------------------------------------------- */

/* A small trained model with scaling, its trainer, and a second pair to load into. */
typedef struct pair {
    nn_model *model, *other;
    nn_trainer *trainer, *into;
    bytes model_file, checkpoint, untouched;
} pair;

static int make_pair(pair *p)
{
    static const nn_layer layers[] = {NN_DENSE(2, NN_LEAKY_RELU), NN_DENSE(1, NN_LINEAR)};
    nn_options how;
    nn_data data = probe_data();
    memset(p, 0, sizeof *p);
    memset(&how, 0, sizeof how);
    how.optimizer = NN_ADAM;
    how.epochs = 2;
    how.batch_size = 4;
    how.patience = 1;
    p->model = make_model(3, layers, 2, 1);
    p->other = make_model(3, layers, 2, 2);
    if (!p->model || !p->other) return 0;
    CHECK(nn_fit_scaling(p->model, &data, NN_SCALE_MIN_MAX) == NN_OK);
    CHECK(nn_trainer_create(&p->trainer, p->model, &how) == NN_OK);
    CHECK(nn_trainer_create(&p->into, p->other, &how) == NN_OK);
    if (!p->trainer || !p->into) return 0;
    CHECK(nn_trainer_fit(p->trainer, &data) == NN_OK);
    p->model_file = save_model(p->model);
    p->checkpoint = save_trainer(p->trainer);
    p->untouched = save_trainer(p->into);
    return p->model_file.size > 8 && p->checkpoint.size > 8;
}

static void free_pair(pair *p)
{
    nn_trainer_free(p->trainer);
    nn_trainer_free(p->into);
    nn_model_free(p->model);
    nn_model_free(p->other);
    free(p->model_file.at);
    free(p->checkpoint.at);
    free(p->untouched.at);
    CHECK(live_blocks == 0);
}

/* The second pair is as it was before any load. */
static int is_untouched(const pair *p)
{
    bytes now = save_trainer(p->into);
    int same = same_bytes(now, p->untouched);
    free(now.at);
    return same;
}

static void reset_into(const pair *p)
{
    CHECK(nn_load_checkpoint_memory(p->into, p->untouched.at, p->untouched.size, NULL) == NN_OK);
}

static int is_status(nn_status status)
{
    return (int)status >= 0 && status < NN_STATUS_COUNT;
}

/* Loads bytes in each of the three ways: refused with nothing changed, or as good as the original.
   Counts the loads that were accepted. */
static int load_damaged(const pair *p, const unsigned char *at, size_t size, int checkpoint)
{
    bytes copy = copy_bytes(at, size), again;
    nn_model *made = (nn_model *)(void *)&copy;
    nn_status status = nn_load_memory(&made, copy.at, size, NULL);
    int accepted = 0;
    CHECK(is_status(status));
    if (status == NN_OK) {
        accepted++;
        CHECK(same_shape(p->model, made) && same_predictions(p->model, made));
        nn_model_free(made);
    } else {
        CHECK(made == NULL);
    }
    status = nn_load_parameters_memory(p->other, copy.at, size, NULL);
    CHECK(is_status(status));
    if (status == NN_OK) {
        accepted++;
        CHECK(same_predictions(p->model, p->other));
        reset_into(p);
    } else {
        CHECK(is_untouched(p));
    }
    status = nn_load_checkpoint_memory(p->into, copy.at, size, NULL);
    CHECK(is_status(status) && (checkpoint || status != NN_OK));
    if (status == NN_OK) {
        accepted++;
        again = save_trainer(p->into);
        CHECK(same_bytes(again, p->checkpoint));
        free(again.at);
        reset_into(p);
    } else {
        CHECK(is_untouched(p));
    }
    free(copy.at);
    return accepted;
}

static void test_truncated(void)
{
    pair p;
    size_t size;
    int checkpoint;
    if (!make_pair(&p)) return;
    for (checkpoint = 0; checkpoint < 2; checkpoint++) {
        bytes file = checkpoint ? p.checkpoint : p.model_file;
        unsigned char *longer = (unsigned char *)malloc(file.size + 1);
        for (size = 0; size < file.size; size++)
            CHECK(load_damaged(&p, file.at, size, checkpoint) == 0);
        CHECK(load_damaged(&p, file.at, file.size, checkpoint) == 2 + checkpoint);
        if (longer) {
            memcpy(longer, file.at, file.size);
            longer[file.size] = 0;
            CHECK(load_damaged(&p, longer, file.size + 1, checkpoint) == 0);
        }
        free(longer);
    }
    free_pair(&p);
}

/* Any byte changed in any of five ways: 0x20 swaps the case of a letter, 0x01 makes another digit,
   0x80 leaves ASCII, 0x10 turns digits to control characters. */
static void test_flipped(void)
{
    static const unsigned char masks[] = {0x01, 0x10, 0x20, 0x80, 0xff};
    pair p;
    size_t at, k;
    int checkpoint;
    if (!make_pair(&p)) return;
    for (checkpoint = 0; checkpoint < 2; checkpoint++) {
        bytes of = checkpoint ? p.checkpoint : p.model_file, file = copy_bytes(of.at, of.size);
        for (at = 0; at < file.size; at++) {
            for (k = 0; k < sizeof masks; k++) {
                int before = test_bad;
                file.at[at] ^= masks[k];
                load_damaged(&p, file.at, file.size, checkpoint);
                file.at[at] ^= masks[k];
                if (test_bad > before && before < 5)
                    printf("%s, byte %u ^ %#x\n", checkpoint ? "checkpoint" : "model", (unsigned)at,
                           masks[k]);
            }
        }
        free(file.at);
    }
    free_pair(&p);
}

/* ---- A hostile author, whose checksum is right ----------------------------------------------- */

static uint32_t crc32_of(uint32_t crc, const unsigned char *at, size_t size)
{
    int bit;
    while (size-- > 0) {
        crc ^= *at++;
        for (bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return crc;
}

/* Where the value of a metadata key begins, and its length; NULL when there is no such key. */
static unsigned char *find_value(bytes file, const char *key, size_t *length)
{
    char text[64];
    size_t n = (size_t)sprintf(text, "\"%s\":\"", key), i;
    for (i = 8; i + n < file.size; i++) {
        unsigned char *at = file.at + i + n;
        if (memcmp(file.at + i, text, n) != 0) continue;
        *length = (size_t)((unsigned char *)memchr(at, '"', file.size - i - n) - at);
        return at;
    }
    return NULL;
}

/* The file with another value for the key, and the checksum that goes with it: CRC-32 of the data,
   then of the values from nn.version on, then of the header behind the metadata. */
static bytes with_value(bytes file, const char *key, const char *value)
{
    static const char *const keys[] = {"nn.version", "nn.widths",         "nn.activations",
                                       "nn.scaling", "nn.scaling_values", "nn.state"};
    size_t old_header = file.at[0] | (size_t)file.at[1] << 8 | (size_t)file.at[2] << 16;
    size_t data = file.size - 8 - old_header, length = 0, header, i;
    unsigned char *at = find_value(file, key, &length);
    uint32_t crc = 0xffffffffu;
    char digits[9];
    bytes b;
    if (!CHECK(at != NULL)) return copy_bytes(file.at, file.size);
    header = (old_header + strlen(value) - length + 7) / 8 * 8;
    b = make_bytes(8 + header + data);
    memset(b.at, ' ', b.size);
    put_length(b.at, header);
    i = (size_t)(at - file.at);
    memcpy(b.at + 8, file.at + 8, i - 8);
    memcpy(b.at + i, value, strlen(value));
    for (at += length, i += strlen(value); at < file.at + 8 + old_header; at++)
        if (i < 8 + header) b.at[i++] = *at;
    memcpy(b.at + 8 + header, file.at + 8 + old_header, data);
    crc = crc32_of(crc, b.at + 8 + header, data);
    for (i = 0; i < 6; i++)
        if ((at = find_value(b, keys[i], &length)) != NULL) crc = crc32_of(crc, at, length);
    if (!CHECK((at = find_value(b, "nn.crc32", &length)) != NULL)) return b;
    crc = crc32_of(crc, at + 10, (size_t)(b.at + 8 + header - (at + 10))); /* behind `"}` */
    sprintf(digits, "%08lx", (unsigned long)(uint32_t)~crc);
    memcpy(at, digits, 8);
    return b;
}

/* Metadata that the checksum covers but that make no sense. */
static void test_hostile_metadata(void)
{
    static const struct edit {
        const char *key, *value;
    } edits[] = {
        {"nn.version", ""},
        {"nn.version", "2"},
        {"nn.version", "1 "},
        {"nn.widths", ""},
        {"nn.widths", ","},
        {"nn.widths", "1"},
        {"nn.widths", "1,1"},
        {"nn.widths", "1,1,1"},
        {"nn.widths", "9,9,9,9,9,9"},
        {"nn.widths", "two"},
        {"nn.activations", ""},
        {"nn.activations", ","},
        {"nn.activations", "relu"},
        {"nn.activations", "relu,"},
        {"nn.activations", ",relu"},
        {"nn.activations", "relu,linear,linear"},
        {"nn.activations", "softmax,linear"},
        {"nn.activations", "relu,gelu"},
        {"nn.activations", "relu, linear"},
        {"nn.activations", "relu,linear,"},
        {"nn.scaling", ""},
        {"nn.scaling", "max"},
        {"nn.scaling", "none"}, /* but there are values */
        {"nn.scaling_values", ""},
        {"nn.scaling_values", "0"},
        {"nn.scaling_values", "zz"},
    };
    pair p;
    size_t i, k, length = 0;
    if (!make_pair(&p)) return;
    for (i = 0; i < sizeof edits / sizeof *edits; i++) {
        for (k = 0; k < 2; k++) {
            bytes b = with_value(k ? p.checkpoint : p.model_file, edits[i].key, edits[i].value);
            nn_model *made = (nn_model *)(void *)&p;
            nn_status status = nn_load_memory(&made, b.at, b.size, NULL);
            if (!CHECK((status == NN_ERROR_METADATA || status == NN_ERROR_ACTIVATION) && !made))
                printf("%s = \"%s\": %d\n", edits[i].key, edits[i].value, (int)status);
            if (edits[i].key[3] != 'a') /* parameters alone do without the activations */
                CHECK(nn_load_parameters_memory(p.other, b.at, b.size, NULL) == NN_ERROR_METADATA);
            else if (nn_load_parameters_memory(p.other, b.at, b.size, NULL) == NN_OK)
                reset_into(&p);
            CHECK(nn_load_checkpoint_memory(p.into, b.at, b.size, NULL) != NN_OK);
            CHECK(is_untouched(&p));
            free(b.at);
        }
    }
    CHECK(find_value(p.model_file, "nn.scaling_values", &length) && length % 12 == 0);
    for (i = 0; i < length; i += length / 6) { /* each of six numbers: infinity */
        char values[256];
        unsigned char *at = find_value(p.model_file, "nn.scaling_values", &length);
        nn_model *made = NULL;
        bytes b;
        memcpy(values, at, length);
        values[length] = 0;
        memcpy(values + i, sizeof(nn_real) == 4 ? "7f800000" : "7ff0000000000000", length / 6);
        b = with_value(p.model_file, "nn.scaling_values", values);
        CHECK(nn_load_memory(&made, b.at, b.size, NULL) == NN_ERROR_METADATA && !made);
        CHECK(nn_load_parameters_memory(p.other, b.at, b.size, NULL) == NN_ERROR_METADATA);
        free(b.at);
    }
    free_pair(&p);
}

/* Any number of a checkpoint's state replaced by any other: refused, or training goes on, or stops,
   with finite parameters and no read outside the data. */
static void test_hostile_state(void)
{
    static const char *const values[] = {
        "0000000000000000", "0000000000000001", "0000000000000002", "0000000000000005",
        "0000000000000007", "000000007ffffffe", "000000007fffffff", "0000000080000000",
        "00000000ffffffff", "0000000100000000", "7fffffffffffffff", "8000000000000000",
        "ffffffffffffffff", "000000007fc00000", "000000007f800000", "000000003f800000",
        "00000000bf800000", "7ff8000000000000", "7ff0000000000000", "3ff0000000000000",
        "bff0000000000000", "000000007f000000"};
    pair p;
    size_t length = 0, at, k, accepted = 0;
    nn_data data = probe_data();
    if (!make_pair(&p)) return;
    if (!CHECK(find_value(p.checkpoint, "nn.state", &length) && length % 16 == 0)) return;
    for (at = 0; at < length; at += 16) {
        for (k = 0; k < sizeof values / sizeof *values; k++) {
            char state[1024];
            const nn_real *parameters = nn_parameters(p.other);
            size_t i, finite = 0, ignored, count = nn_parameter_count(p.other);
            nn_status status;
            bytes b;
            memcpy(state, find_value(p.checkpoint, "nn.state", &ignored), length);
            state[length] = 0;
            memcpy(state + at, values[k], 16);
            b = with_value(p.checkpoint, "nn.state", state);
            status = nn_load_checkpoint_memory(p.into, b.at, b.size, NULL);
            CHECK(is_status(status) && status != NN_ERROR_CHECKSUM);
            if (status == NN_OK) {
                accepted++;
                CHECK(is_status(nn_trainer_fit(p.into, &data)));
                for (i = 0; i < count; i++) finite += isfinite(parameters[i]) != 0;
                if (!CHECK(finite == count)) printf("number %d = %s\n", (int)(at / 16), values[k]);
                reset_into(&p);
            } else {
                CHECK(is_untouched(&p));
            }
            free(b.at);
        }
    }
    CHECK(accepted > length / 16); /* the checksums are right: some values are harmless */
    free_pair(&p);
}

/* ---- Files made by hand ---------------------------------------------------------------------- */

/* clang-format off */
#define TENSOR(name, type, shape, from, to)                                                        \
    "\"" name "\":{\"dtype\":\"" type "\",\"shape\":[" shape "],\"data_offsets\":[" from "," to "]}"
/* clang-format on */

/* The tensors of a model 3-2-1: 44 bytes. */
#define W0  TENSOR("0.weight", "F32", "2,3", "0", "24")
#define B0  TENSOR("0.bias", "F32", "2", "24", "32")
#define W1  TENSOR("2.weight", "F32", "1,2", "32", "40")
#define B1  TENSOR("2.bias", "F32", "1", "40", "44")
#define ALL W0 "," B0 "," W1 "," B1

enum { FLOATS = 64, ALL_SIZE = 44 };

static void put_float(unsigned char *at, float value)
{
    uint32_t bits;
    int i;
    memcpy(&bits, &value, 4);
    for (i = 0; i < 4; i++) at[i] = (unsigned char)(bits >> (8 * i));
}

static void put_double(unsigned char *at, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, 8);
    put_length(at, bits);
}

/* header, then size bytes of the floats 1, 2, 3, ... */
static bytes make_file(const char *header, size_t length, size_t size)
{
    bytes b = make_bytes(8 + length + (size + 3) / 4 * 4);
    size_t i;
    put_length(b.at, length);
    memcpy(b.at + 8, header, length);
    for (i = 0; 4 * i < size; i++) put_float(b.at + 8 + length + 4 * i, (float)(i + 1));
    b.size = 8 + length + size;
    return b;
}

static nn_model *make_small(void)
{
    static const nn_layer layers[] = {NN_DENSE(2, NN_RELU), NN_DENSE(1, NN_LINEAR)};
    return make_model(3, layers, 2, 7);
}

/* W0 [2, 3] = 1..6 by rows, so ours is its transpose. */
static void check_small(nn_model *model)
{
    static const nn_real want[] = {1, 4, 2, 5, 3, 6, 7, 8, 9, 10, 11};
    CHECK(nn_parameter_count(model) == 11 && !memcmp(nn_parameters(model), want, sizeof want));
}

/* nn_load_parameters_memory of an exact copy; on failure the model must be as before. */
static nn_status fill(nn_model *model, bytes file, nn_location *place)
{
    bytes copy = copy_bytes(file.at, file.size), before = save_model(model), after;
    long live = live_blocks;
    nn_status status;
    nn_model *made = NULL;
    if (place) memset(place, 0xa5, sizeof *place);
    status = nn_load_parameters_memory(model, copy.at, copy.size, place);
    CHECK(is_status(status));
    after = save_model(model);
    if (status != NN_OK) {
        CHECK(same_bytes(before, after));
        CHECK(nn_load_memory(&made, copy.at, copy.size, NULL) != NN_OK && !made);
        if (place) CHECK(place->path == NULL && place->line == 0 && place->column == 0);
    }
    CHECK(live_blocks == live);
    free(copy.at);
    free(before.at);
    free(after.at);
    return status;
}

typedef struct foreign {
    const char *header;
    size_t size;
} foreign;

/* The four tensors by other names. */
#define NAMED(w0, b0, w1, b1)                                                                      \
    "{" TENSOR(w0, "F32", "2,3", "0", "24") "," TENSOR(b0, "F32", "2", "24", "32") "," TENSOR(     \
        w1, "F32", "1,2", "32", "40") "," TENSOR(b1, "F32", "1", "40", "44") "}"

/* clang-format off */

/* What the specification allows, or PyTorch writes. */
static const foreign foreigns[] = {
    {"{" ALL "}", ALL_SIZE},
    {"{" ALL "}     ", ALL_SIZE},
    {"{" B1 "," W0 "," W1 "," B0 "}", ALL_SIZE},
    {"{\"__metadata__\":{\"format\":\"pt\"}," ALL "}", ALL_SIZE},
    {"{" ALL ",\"__metadata__\":{}}", ALL_SIZE},
    {"{\"__metadata__\":{\"a\":\"\",\"\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"},"
     ALL "}", ALL_SIZE},
    {"{ \"0.weight\" :\n{\t\"dtype\" : \"F32\" , \"shape\" : [ 2 , 3 ] , \"data_offsets\" : [ 0 ,"
     " 24 ]\r\n} , " B0 "," W1 "," B1 " }", ALL_SIZE},
    {"{\"0.weight\":{\"data_offsets\":[0,24],\"shape\":[2,3],\"dtype\":\"F32\"}," B0 "," W1 ","
     B1 "}", ALL_SIZE},
    {NAMED("\\u0030.weight", "0.bias", "2.weight", "2.b\\u0069as"), ALL_SIZE},
    {NAMED("net.body.weight", "net.body.bias", "net.head.weight", "net.head.bias"), ALL_SIZE},
    {NAMED("fc9.weight", "fc9.bias", "fc10.weight", "fc10.bias"), ALL_SIZE},
    /* others beside them: a counter without dimensions, an empty one, other types */
    {"{" ALL "," TENSOR("1.num_batches_tracked", "I64", "", "44", "52") "}", 52},
    {"{" TENSOR("1.running_mean", "F32", "2", "44", "52") "," ALL ","
     TENSOR("mask", "BOOL", "3", "52", "55") "}", 55},
    {"{" ALL "," TENSOR("empty", "F32", "0", "44", "44") "}", 44},
    {"{" ALL "," TENSOR("half", "BF16", "2,1,1,1,2", "44", "52") "}", 52},
};

/* clang-format on */

static void test_foreign(void)
{
    size_t i;
    for (i = 0; i < sizeof foreigns / sizeof *foreigns; i++) {
        bytes file = make_file(foreigns[i].header, strlen(foreigns[i].header), foreigns[i].size);
        nn_model *model = make_small(), *made = NULL;
        nn_location place;
        nn_status status = fill(model, file, &place);
        if (CHECK(status == NN_OK))
            check_small(model);
        else
            printf("file %d: status %d at \"%s\"\n", (int)i, (int)status, place.name);
        CHECK(nn_load_memory(&made, file.at, file.size, NULL) == NN_ERROR_METADATA && !made);
        free(file.at);
        nn_model_free(model);
    }
    CHECK(live_blocks == 0);
}

/* Data in another order than the layers, the header's in a third. */
static void test_data_order(void)
{
    /* clang-format off */
    static const char header[] = "{"
        TENSOR("2.bias", "F32", "1", "0", "4") ","
        TENSOR("0.weight", "F32", "2,3", "12", "36") ","
        TENSOR("2.weight", "F32", "1,2", "4", "12") ","
        TENSOR("0.bias", "F32", "2", "36", "44") "}";
    /* clang-format on */
    static const nn_real want[] = {4, 7, 5, 8, 6, 9, 10, 11, 2, 3, 1};
    bytes file = make_file(header, sizeof header - 1, ALL_SIZE);
    nn_model *model = make_small();
    CHECK(fill(model, file, NULL) == NN_OK);
    CHECK(!memcmp(nn_parameters(model), want, sizeof want));
    free(file.at);
    nn_model_free(model);
}

/* layer.2 comes before layer.10, although "10" < "2" as text, and however the digits are spelt; all
   have the same shape, so that only the order of the values tells. */
static void test_natural_order(void)
{
    static const nn_layer layers[] = {NN_DENSE(1, NN_RELU), NN_DENSE(1, NN_RELU),
                                      NN_DENSE(1, NN_LINEAR)};
    static const char *const tens[] = {"10", "1\\u0030", "\\u0031\\u0030", "\\u00310", "010"};
    static const nn_real want[] = {5, 6, 4, 3, 1, 2};
    char header[1024];
    size_t i;
    /* clang-format off */
    static const char format[] = "{"
        TENSOR("layer.%s.weight", "F32", "1,1", "0", "4") ","
        TENSOR("layer.%s.bias", "F32", "1", "4", "8") ","
        TENSOR("layer.2.bias", "F32", "1", "8", "12") ","
        TENSOR("layer.2.weight", "F32", "1,1", "12", "16") ","
        TENSOR("layer.1.weight", "F32", "1,1", "16", "20") ","
        TENSOR("layer.1.bias", "F32", "1", "20", "24") "}";
    /* clang-format on */
    for (i = 0; i < sizeof tens / sizeof *tens; i++) {
        nn_model *model = make_model(1, layers, 3, 1);
        size_t length = (size_t)sprintf(header, format, tens[i], tens[i]);
        bytes file = make_file(header, length, 24);
        CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL) == NN_OK);
        if (!CHECK(!memcmp(nn_parameters(model), want, sizeof want)))
            printf("10 spelt as %s\n", tens[i]);
        free(file.at);
        nn_model_free(model);
    }
}

typedef struct hostile {
    const char *header;
    size_t size;
    nn_status status, or_status;
    const char *name; /* of the tensor in nn_location; NULL: not checked */
} hostile;

#define BAD_HEADER     NN_ERROR_HEADER, NN_ERROR_HEADER
#define BAD_TENSOR     NN_ERROR_TENSOR, NN_ERROR_TENSOR
#define BAD_EITHER     NN_ERROR_HEADER, NN_ERROR_TENSOR
#define BAD_EXTENT     NN_ERROR_HEADER, NN_ERROR_TRUNCATED
#define FIELDS(fields) "{\"0.weight\":{" fields "}," B0 "," W1 "," B1 "}"
#define SHAPE(text)    FIELDS("\"dtype\":\"F32\",\"shape\":" text ",\"data_offsets\":[0,24]")
#define OFFSETS(text)  FIELDS("\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":" text)

#define EXTRA(shape, from, to) "{" ALL "," TENSOR("x", "F32", shape, from, to) "}"

/* clang-format off */
static const hostile hostiles[] = {
    /* not JSON, or not this JSON */
    {"", ALL_SIZE, BAD_HEADER, NULL},
    {"{", ALL_SIZE, BAD_HEADER, NULL},
    {"}", ALL_SIZE, BAD_HEADER, NULL},
    {"[]", ALL_SIZE, BAD_HEADER, NULL},
    {"null", ALL_SIZE, BAD_HEADER, NULL},
    {"\"a\"", ALL_SIZE, BAD_HEADER, NULL},
    {" {" ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL, ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL "}x", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL "}{}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL "}}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL ",}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL ", }", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL ",\n\t}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL "{ }", ALL_SIZE, BAD_HEADER, NULL},
    {"{" W0 "{" B0 "," W1 "," B1 "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":\"\xff\xfe\"}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":\"\xc0\x80\"}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":\"\xed\xa0\x80\"}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":\"\xe2\x82\"}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":\"\\ud800\"}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":\"\\ud800\\u0041\"}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":\"\\udc00\"}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"\\u00e9\":\"\",\"\xc3\xa9\":\"\"}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL "," TENSOR("00.weight", "F32", "2,3", "44", "68") ","
     TENSOR("00.bias", "F32", "2", "68", "76") "}", 76, BAD_TENSOR, NULL},
    {"{," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" W0 ",," B0 "," W1 "," B1 "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" W0 " " B0 "," W1 "," B1 "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL ",\"x\"}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL ",x:{}}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL ",\"x\":{}}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL ",\"x\":null}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL ",\"x\":[1]}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL "/**/}", ALL_SIZE, BAD_HEADER, NULL},
    /* strings */
    {"{\"0.weight", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"0.weight\\", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"0.weight\\u00", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL "," TENSOR("\\x", "F32", "0", "44", "44") "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL "," TENSOR("\\u12g4", "F32", "0", "44", "44") "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL "," TENSOR("\\U0041", "F32", "0", "44", "44") "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL "," TENSOR("a\tb", "F32", "0", "44", "44") "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":\"\n\"}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":\"\\q\"}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    /* metadata is a map of strings */
    {"{\"__metadata__\":{\"a\":1}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":{}}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":null}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":\"a\"," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":[]," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":\"b\",}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    /* twice the same key */
    {"{" ALL "," W0 "}", ALL_SIZE, BAD_EITHER, NULL},
    {"{" ALL "," TENSOR("2.bias", "F32", "1", "44", "48") "}", 48, BAD_EITHER, NULL},
    {"{" ALL "," TENSOR("2.\\u0062ias", "F32", "1", "44", "48") "}", 48, BAD_EITHER, NULL},
    {"{" ALL "," TENSOR("x", "F32", "0", "44", "44") "," TENSOR("x", "F32", "0", "44", "44") "}",
     ALL_SIZE, BAD_EITHER, NULL},
    {"{\"__metadata__\":{},\"__metadata__\":{}," ALL "}", ALL_SIZE, NN_ERROR_HEADER,
     NN_ERROR_METADATA, NULL},
    {"{\"__metadata__\":{\"a\":\"b\",\"a\":\"c\"}," ALL "}", ALL_SIZE, NN_ERROR_HEADER,
     NN_ERROR_METADATA, NULL},
    {FIELDS("\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]"),
     ALL_SIZE, BAD_HEADER, NULL},
    {FIELDS("\"dtype\":\"F32\",\"shape\":[2,3],\"shape\":[2,3],\"data_offsets\":[0,24]"), ALL_SIZE,
     BAD_HEADER, NULL},
    {FIELDS("\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24],\"data_offsets\":[0,24]"),
     ALL_SIZE, BAD_HEADER, NULL},
    /* fields that are missing or of another kind */
    {FIELDS("\"shape\":[2,3],\"data_offsets\":[0,24]"), ALL_SIZE, BAD_HEADER, NULL},
    {FIELDS("\"dtype\":\"F32\",\"data_offsets\":[0,24]"), ALL_SIZE, BAD_HEADER, NULL},
    {FIELDS("\"dtype\":\"F32\",\"shape\":[2,3]"), ALL_SIZE, BAD_HEADER, NULL},
    {FIELDS("\"dtype\":32,\"shape\":[2,3],\"data_offsets\":[0,24]"), ALL_SIZE, BAD_HEADER, NULL},
    {FIELDS("\"dtype\":\"Q32\",\"shape\":[2,3],\"data_offsets\":[0,24]"), ALL_SIZE, BAD_EITHER,
     NULL},
    {FIELDS("\"dtype\":\"f32\",\"shape\":[2,3],\"data_offsets\":[0,24]"), ALL_SIZE, BAD_EITHER,
     NULL},
    {FIELDS("\"dtype\":\"\",\"shape\":[2,3],\"data_offsets\":[0,24]"), ALL_SIZE, BAD_EITHER, NULL},
    {SHAPE("\"2,3\""), ALL_SIZE, BAD_HEADER, NULL},
    {SHAPE("6"), ALL_SIZE, BAD_HEADER, NULL},
    {SHAPE("[2,-3]"), ALL_SIZE, BAD_HEADER, NULL},
    {SHAPE("[-2,-3]"), ALL_SIZE, BAD_HEADER, NULL},
    {SHAPE("[2,3.0]"), ALL_SIZE, BAD_HEADER, NULL},
    {SHAPE("[2,3e0]"), ALL_SIZE, BAD_HEADER, NULL},
    {SHAPE("[02,3]"), ALL_SIZE, BAD_HEADER, NULL},
    {SHAPE("[+2,3]"), ALL_SIZE, BAD_HEADER, NULL},
    {SHAPE("[2,3,]"), ALL_SIZE, BAD_HEADER, NULL},
    {SHAPE("[2 3]"), ALL_SIZE, BAD_HEADER, NULL},
    {SHAPE("[[2],[3]]"), ALL_SIZE, BAD_HEADER, NULL},
    {SHAPE("[2,3"), ALL_SIZE, BAD_HEADER, NULL},
    {OFFSETS("[0]"), ALL_SIZE, BAD_HEADER, NULL},
    {OFFSETS("[0,24,24]"), ALL_SIZE, BAD_HEADER, NULL},
    {OFFSETS("[]"), ALL_SIZE, BAD_HEADER, NULL},
    {OFFSETS("24"), ALL_SIZE, BAD_HEADER, NULL},
    {OFFSETS("[0,2.4e1]"), ALL_SIZE, BAD_HEADER, NULL},
    {OFFSETS("[-24,0]"), ALL_SIZE, BAD_HEADER, NULL},
    {OFFSETS("[-0,24]"), ALL_SIZE, BAD_HEADER, NULL},
    /* data that overlap, leave a hole, run backwards, or are not there */
    {OFFSETS("[24,0]"), ALL_SIZE, BAD_EITHER, NULL},
    {OFFSETS("[0,20]"), ALL_SIZE, BAD_EITHER, NULL},
    {OFFSETS("[0,28]"), ALL_SIZE, BAD_EITHER, NULL},
    {OFFSETS("[4,28]"), ALL_SIZE, BAD_EITHER, NULL},
    {OFFSETS("[0,18446744073709551640]"), ALL_SIZE, BAD_EITHER, NULL},
    {OFFSETS("[18446744073709551616,18446744073709551640]"), ALL_SIZE, BAD_EITHER, NULL},
    {OFFSETS("[18446744073709551592,0]"), ALL_SIZE, BAD_EITHER, NULL},
    {OFFSETS("[4294967296,4294967320]"), ALL_SIZE, NN_ERROR_HEADER, NN_ERROR_TRUNCATED, NULL},
    {OFFSETS("[0,99999999999999999999999999999999999999999999]"), ALL_SIZE, BAD_EITHER, NULL},
    {"{" W0 "," TENSOR("0.bias", "F32", "2", "20", "28") "," W1 "," B1 "}", ALL_SIZE, BAD_EITHER,
     NULL},
    {"{" W0 "," TENSOR("0.bias", "F32", "2", "32", "40") "," W1 "," B1 "}", ALL_SIZE, BAD_EITHER,
     NULL},
    {"{" W0 "," B0 "," W1 "," TENSOR("2.bias", "F32", "1", "44", "48") "}", 48, BAD_EXTENT, NULL},
    {"{" ALL "}", ALL_SIZE - 1, BAD_EXTENT, NULL},
    {"{" ALL "}", ALL_SIZE - 4, BAD_EXTENT, NULL},
    {"{" ALL "}", 0, BAD_EXTENT, NULL},
    {"{" ALL "}", ALL_SIZE + 1, BAD_EXTENT, NULL},
    {"{" ALL "}", ALL_SIZE + 4, BAD_EXTENT, NULL},
    /* extra tensors are ignored, but must be sound */
    {EXTRA("1", "44", "48"), ALL_SIZE, BAD_EXTENT, NULL},
    {EXTRA("2", "40", "48"), 48, BAD_EITHER, NULL},
    {EXTRA("1", "0", "4"), ALL_SIZE, BAD_EITHER, NULL},
    {EXTRA("2", "44", "48"), 48, BAD_EITHER, NULL},
    {EXTRA("4294967296,4294967296", "44", "44"), ALL_SIZE, BAD_EITHER, NULL},
    {EXTRA("9223372036854775808,2", "44", "44"), ALL_SIZE, BAD_EITHER, NULL},
    {EXTRA("4611686018427387904", "44", "44"), ALL_SIZE, BAD_EITHER, NULL},
    {EXTRA("6148914691236517206,3", "44", "52"), 52, BAD_EITHER, NULL},
    {EXTRA("18446744073709551617", "44", "48"), 48, BAD_EITHER, NULL},
    /* tensors that are not the model's; the place names them */
    {"{}", 0, BAD_TENSOR, NULL},
    {"{" W0 "," B0 "," W1 "}", 40, BAD_TENSOR, NULL},
    {"{" W0 "," B0 "}", 32, BAD_TENSOR, NULL},
    {"{" ALL "," TENSOR("4.weight", "F32", "1,1", "44", "48") ","
     TENSOR("4.bias", "F32", "1", "48", "52") "}", 52, BAD_TENSOR, NULL},
    {SHAPE("[3,2]"), ALL_SIZE, BAD_TENSOR, "0.weight"},
    {"{" TENSOR("0.weight", "F32", "3,2", "0", "24") "," TENSOR("0.bias", "F32", "3", "24", "36")
     "," TENSOR("2.weight", "F32", "1,2", "36", "44") "," TENSOR("2.bias", "F32", "1", "44", "48")
     "}", 48, BAD_TENSOR, "0.weight"},
    {SHAPE("[6]"), ALL_SIZE, BAD_TENSOR, "0.weight"},
    {SHAPE("[1,2,3]"), ALL_SIZE, BAD_TENSOR, "0.weight"},
    {SHAPE("[2,3,1]"), ALL_SIZE, BAD_TENSOR, "0.weight"},
    {SHAPE("[6,1]"), ALL_SIZE, BAD_TENSOR, "0.weight"},
    {"{" W0 "," TENSOR("0.bias", "F32", "2,1", "24", "32") "," W1 "," B1 "}", ALL_SIZE, BAD_TENSOR,
     "0.bias"},
    {"{" W0 "," B0 "," W1 "," TENSOR("2.bias", "F32", "", "40", "44") "}", ALL_SIZE, BAD_TENSOR,
     "2.bias"},
    {"{" TENSOR("0.weight", "I32", "2,3", "0", "24") "," B0 "," W1 "," B1 "}", ALL_SIZE, BAD_TENSOR,
     "0.weight"},
    {"{" TENSOR("0.weight", "BF16", "2,3", "0", "12") "," TENSOR("0.bias", "F32", "2", "12", "20")
     "," TENSOR("2.weight", "F32", "1,2", "20", "28") "," TENSOR("2.bias", "F32", "1", "28", "32")
     "}", 32, BAD_TENSOR, "0.weight"},
    {"{" W0 "," B0 "," W1 "," TENSOR("2.bias", "F16", "1", "40", "42") "}", 42, BAD_TENSOR,
     "2.bias"},
};
/* clang-format on */

static void test_hostile(void)
{
    size_t i;
    nn_model *model = make_small();
    for (i = 0; i < sizeof hostiles / sizeof *hostiles; i++) {
        const hostile *h = hostiles + i;
        bytes file = make_file(h->header, strlen(h->header), h->size);
        nn_location place;
        nn_status status = fill(model, file, &place);
        int good = CHECK(status == h->status || status == h->or_status);
        if (h->name) good = CHECK(!strcmp(place.name, h->name)) && good;
        if (!good)
            printf("file %d: status %d at \"%.63s\": %s\n", (int)i, (int)status, place.name,
                   h->header);
        CHECK(fill(model, file, NULL) == status);
        free(file.at);
    }
    nn_model_free(model);
    CHECK(live_blocks == 0);
}

/* The eight bytes of the header's length, from 0 to what overflows when 8 is added. */
static void test_header_length(void)
{
    static const char header[] = "{" ALL "}";
    static const uint64_t lengths[] = {0,
                                       1,
                                       sizeof header - 2,
                                       sizeof header,
                                       sizeof header - 1 + ALL_SIZE,
                                       sizeof header + ALL_SIZE,
                                       100000001,
                                       0x7fffffff,
                                       0xffffffff,
                                       0x100000000 + sizeof header - 1,
                                       0x7fffffffffffffff,
                                       0x8000000000000000,
                                       0xfffffffffffffff7,
                                       0xfffffffffffffff8,
                                       0xffffffffffffffff};
    nn_model *model = make_small();
    bytes file = make_file(header, sizeof header - 1, ALL_SIZE);
    size_t i;
    CHECK(fill(model, file, NULL) == NN_OK);
    for (i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        nn_status status;
        put_length(file.at, lengths[i]);
        status = fill(model, file, NULL);
        CHECK(status == NN_ERROR_HEADER || status == NN_ERROR_TRUNCATED);
    }
    free(file.at);
    nn_model_free(model);
    CHECK(live_blocks == 0);
}

/* A million brackets must not be a million stack frames. */
static void test_nesting(void)
{
    static const char *const starts[] = {"{\"x\":", "{\"__metadata__\":{\"a\":", "[",
                                         "{\"0.weight\":{\"shape\":", "{\"0.weight\":"};
    static const char *const repeats[] = {"{\"x\":", "[", "{\"a\":"};
    enum { DEPTH = 1000000 };
    nn_model *model = make_small();
    char *header = (char *)malloc(DEPTH * 6 + 100);
    size_t s, r, i;
    for (s = 0; header && s < sizeof starts / sizeof *starts; s++) {
        for (r = 0; r < sizeof repeats / sizeof *repeats; r++) {
            size_t length = strlen(starts[s]), n = strlen(repeats[r]);
            bytes file;
            memcpy(header, starts[s], length);
            for (i = 0; i < DEPTH; i++, length += n) memcpy(header + length, repeats[r], n);
            file = make_file(header, length, 0);
            CHECK(fill(model, file, NULL) == NN_ERROR_HEADER);
            free(file.at);
        }
    }
    free(header);
    nn_model_free(model);
    CHECK(live_blocks == 0);
}

/* Thousands of tensors beside the model's, and a long metadata string: large is not wrong. */
static void test_large_header(void)
{
    enum { COUNT = 2000, LONG = 100000 };
    nn_model *model = make_small();
    char *header = (char *)malloc(COUNT * 80 + LONG + 1000);
    size_t length, i;
    bytes file;
    if (!header || !model) return;
    length = (size_t)sprintf(header, "{\"__metadata__\":{\"note\":\"");
    memset(header + length, 'n', LONG);
    length += LONG;
    length += (size_t)sprintf(header + length, "\"}," ALL);
    for (i = 0; i < COUNT; i++)
        length += (size_t)sprintf(header + length, "," TENSOR("%05u", "F32", "0", "44", "44"),
                                  (unsigned)i);
    header[length++] = '}';
    file = make_file(header, length, ALL_SIZE);
    CHECK(fill(model, file, NULL) == NN_OK);
    check_small(model);
    free(file.at);
    free(header);
    nn_model_free(model);
    CHECK(live_blocks == 0);
}

/* What is sorted in a table, or without memory for one looked for again and again, gives the same:
   layers whose tensors stand in any order between others, and names that come twice. */
static void test_sorted_header(void)
{
    enum { COUNT = 150, LONG = 100 };
    static const nn_real want[] = {1, 4, 2, 5, 3, 6, 7, 8, 9, 10, 11};
    /* clang-format off */
    static const char *const tensors[] = {
        TENSOR("layer10.bias", "F32", "1", "40", "44"), TENSOR("layer9.bias", "F32", "2", "24", "32"),
        TENSOR("layer10.weight", "F32", "1,2", "32", "40"),
        TENSOR("layer9.weight", "F32", "2,3", "0", "24")};
    static const struct twice {
        const char *tensor, *key;
        nn_status status;
    } cases[] = {
        {"", "", NN_OK},
        {"," TENSOR("layer9.weigh\\u0074", "F32", "0", "44", "44"), "", NN_ERROR_TENSOR},
        {"," TENSOR("x00077", "F32", "0", "44", "44"), "", NN_ERROR_TENSOR},
        {"," TENSOR("x077", "F32", "0", "44", "44"), "", NN_OK},
        {"," TENSOR("k00001", "F32", "0", "44", "44"), "", NN_OK},
        {"", ",\"k00077\":\"\"", NN_ERROR_HEADER},
        {"", ",\"x00077\":\"\"", NN_OK},
    };
    /* clang-format on */
    nn_model *model = make_small();
    char *header = (char *)malloc(COUNT * (LONG + 100) + 1000);
    size_t length, i, k, order;
    int without;
    if (!header || !model) return;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (order = 0; order < 4; order++) {
            bytes file;
            length = (size_t)sprintf(header, "{\"__metadata__\":{\"a\":\"\"");
            for (k = 0; k < COUNT; k++)
                length +=
                    (size_t)sprintf(header + length, ",\"k%05u\":\"%0*d\"", (unsigned)k, LONG, 0);
            length += (size_t)sprintf(header + length, "%s}", cases[i].key);
            for (k = 0; k < COUNT; k++) {
                if (k % 40 == 7)
                    length +=
                        (size_t)sprintf(header + length, ",%s", tensors[(k / 40 + order) % 4]);
                length +=
                    (size_t)sprintf(header + length, "," TENSOR("x%05u", "F32", "0", "44", "44"),
                                    (unsigned)(COUNT - k));
            }
            length += (size_t)sprintf(header + length, "%s}", cases[i].tensor);
            file = make_file(header, length, ALL_SIZE);
            for (without = 0; without < 2; without++) {
                memset(nn_parameters(model), 0, sizeof want);
                largest_block = 0;
                most_bytes = without ? 0 : (size_t)-1 - 64;
                CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL) ==
                      cases[i].status);
                CHECK(largest_block > 2 * COUNT);
                most_bytes = (size_t)-1 - 64;
                CHECK(!memcmp(nn_parameters(model), want, sizeof want) ==
                      (cases[i].status == NN_OK));
            }
            free(file.at);
        }
    }
    free(header);
    nn_model_free(model);
    CHECK(live_blocks == 0);
}

/* Checking that no name comes twice may take the square of the header's length, not its cube. */
static void test_header_time(void)
{
    enum { COUNT = 600 };
    nn_model *model = make_small();
    char *header = (char *)malloc(COUNT * 100 + 1000);
    size_t length, i;
    bytes file;
    clock_t start = clock();
    if (!header || !model) return;
    length = (size_t)sprintf(header, "{" ALL);
    for (i = 0; i < COUNT; i++)
        length += (size_t)sprintf(header + length, "," TENSOR("%05u", "F32", "0", "44", "44"),
                                  (unsigned)i);
    length += (size_t)sprintf(header + length, ",\"__metadata__\":{\"key\":\"\"");
    for (i = 0; i < COUNT; i++)
        length += (size_t)sprintf(header + length, ",\"key%05u\":\"value\"", (unsigned)i);
    length += (size_t)sprintf(header + length, "}}");
    file = make_file(header, length, ALL_SIZE);
    CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL) == NN_OK);
    check_small(model);
    CHECK((double)(clock() - start) / CLOCKS_PER_SEC < 2);
    free(file.at);
    free(header);
    nn_model_free(model);
    CHECK(live_blocks == 0);
}

/* Nor may a long string of metadata be read again for every tensor. */
static void test_metadata_time(void)
{
    enum { COUNT = 1000, LONG = 2000000 };
    nn_model *model = make_small();
    char *header = (char *)malloc(COUNT * 100 + LONG + 1000);
    size_t length, i;
    bytes file;
    clock_t start = clock();
    if (!header || !model) return;
    length = (size_t)sprintf(header, "{" ALL);
    for (i = 0; i < COUNT; i++)
        length += (size_t)sprintf(header + length, "," TENSOR("%05u", "F32", "0", "44", "44"),
                                  (unsigned)i);
    length += (size_t)sprintf(header + length, ",\"__metadata__\":{\"note\":\"");
    memset(header + length, 'n', LONG);
    length += LONG;
    length += (size_t)sprintf(header + length, "\"}}");
    file = make_file(header, length, ALL_SIZE);
    CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL) == NN_OK);
    check_small(model);
    CHECK((double)(clock() - start) / CLOCKS_PER_SEC < 2);
    free(file.at);
    free(header);
    nn_model_free(model);
    CHECK(live_blocks == 0);
}

/* The other precision is taken, rounded to the nearest; what overflows it is refused. */
static void test_other_type(void)
{
    static const nn_layer layers[] = {NN_DENSE(1, NN_LINEAR)};
    /* clang-format off */
    static const char header[] = "{"
        TENSOR("0.weight", "F64", "1,2", "0", "16") ","
        TENSOR("0.bias", "F32", "1", "16", "20") "}";
    /* clang-format on */
    nn_model *model = make_model(2, layers, 1, 1);
    bytes file = make_file(header, sizeof header - 1, 20);
    unsigned char *data = file.at + sizeof header - 1 + 8;
    const nn_real *p = nn_parameters(model);
    nn_status status;
    nn_location place;
    put_double(data, 0.1);
    put_double(data + 8, -2.5);
    put_float(data + 16, 0.1f);
    CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL) == NN_OK);
    CHECK(p[0] == (nn_real)0.1 && p[1] == (nn_real)-2.5 && p[2] == (nn_real)0.1f);
    put_double(data + 8, 1e300);
    memset(&place, 0, sizeof place);
    status = nn_load_parameters_memory(model, file.at, file.size, &place);
    if (sizeof(nn_real) == 8) {
        CHECK(status == NN_OK && p[1] == (nn_real)1e300);
    } else {
        CHECK(status == NN_ERROR_PARAMETER && p[1] == (nn_real)-2.5);
        CHECK(!strcmp(place.name, "0.weight"));
    }
    free(file.at);
    nn_model_free(model);
}

/* NaN and infinity are refused, in any tensor, and the place names it. */
static void test_not_finite(void)
{
    static const char header[] = "{" ALL "}";
    static const float bad[] = {(float)NAN, (float)INFINITY, -(float)INFINITY};
    static const int at[] = {0, 5, 6, 7, 8, 10};
    static const char *const names[] = {"0.weight", "0.weight", "0.bias",
                                        "0.bias",   "2.weight", "2.bias"};
    nn_model *model = make_small();
    size_t i, k;
    for (i = 0; i < sizeof at / sizeof *at; i++) {
        for (k = 0; k < 3; k++) {
            bytes file = make_file(header, sizeof header - 1, ALL_SIZE);
            nn_location place;
            put_float(file.at + 8 + sizeof header - 1 + 4 * at[i], bad[k]);
            CHECK(fill(model, file, &place) == NN_ERROR_PARAMETER);
            CHECK(!strcmp(place.name, names[i]));
            free(file.at);
        }
    }
    nn_model_free(model);
    CHECK(live_blocks == 0);
}

/* Nor are they saved: what could not be loaded again must not replace a good file. */
static void test_save_not_finite(void)
{
    nn_model *model = make_small();
    nn_trainer *trainer = NULL;
    bytes before, after;
    unsigned char out[4096];
    size_t size = 9;
    CHECK(nn_trainer_create(&trainer, model, NULL) == NN_OK);
    CHECK(nn_save(model, MODEL_PATH) == NN_OK);
    before = read_file(MODEL_PATH);
    nn_parameters(model)[3] = (nn_real)NAN;
    CHECK(nn_save(model, MODEL_PATH) == NN_ERROR_PARAMETER);
    CHECK(nn_save_checkpoint(trainer, MODEL_PATH) == NN_ERROR_PARAMETER);
    CHECK(nn_save_memory(model, out, sizeof out, &size) == NN_ERROR_PARAMETER && size == 0);
    after = read_file(MODEL_PATH);
    CHECK(same_bytes(before, after));
    free(before.at);
    free(after.at);
    nn_trainer_free(trainer);
    nn_model_free(model);
    CHECK(live_blocks == 0);
}

/* ---- Paths ----------------------------------------------------------------------------------- */

static void test_paths(void)
{
    static const char missing[] = "build/no such folder/no such file";
    nn_model *model = make_small(), *made = (nn_model *)(void *)&made;
    nn_trainer *trainer = NULL;
    nn_location place;
    bytes before, after;
    CHECK(nn_trainer_create(&trainer, model, NULL) == NN_OK);
    before = save_trainer(trainer);
    memset(&place, 0xa5, sizeof place);
    CHECK(nn_load(&made, missing, &place) == NN_ERROR_OPEN && !made);
    CHECK(place.path && !strcmp(place.path, missing) && !place.line && !place.name[0]);
    CHECK(nn_load(&made, "build", &place) == NN_ERROR_READ && !made);
    CHECK(place.path && !strcmp(place.path, "build"));
    CHECK(nn_load_parameters(model, missing, NULL) == NN_ERROR_OPEN);
    CHECK(nn_load_parameters(model, "build", NULL) == NN_ERROR_READ);
    CHECK(nn_load_checkpoint(trainer, missing, &place) == NN_ERROR_OPEN);
    CHECK(nn_load_checkpoint(trainer, "build", NULL) == NN_ERROR_READ);
    CHECK(nn_save(model, missing) == NN_ERROR_OPEN);
    CHECK(nn_save_checkpoint(trainer, missing) == NN_ERROR_OPEN);
    CHECK(nn_save(model, "build/.") == NN_ERROR_WRITE); /* a folder cannot be replaced */
    CHECK(nn_save_checkpoint(trainer, "build/.") == NN_ERROR_WRITE);
    CHECK(fopen("build/..tmp", "rb") == NULL);
    after = save_trainer(trainer);
    CHECK(same_bytes(before, after));
    free(before.at);
    free(after.at);
    nn_trainer_free(trainer);
    nn_model_free(model);
    CHECK(live_blocks == 0);
}

/* ---- Checkpoints ----------------------------------------------------------------------------- */

enum { ROWS = 50, EPOCHS = 10, CLASSES = 3, MOST_EPOCHS = 40 };

static nn_real train_x[ROWS * 3], train_y[ROWS * CLASSES];

/* Three noisy clusters; the same in every process. */
static nn_data training_data(void)
{
    nn_data data;
    uint32_t state = 12345;
    int i;
    memset(&data, 0, sizeof data);
    memset(train_y, 0, sizeof train_y);
    for (i = 0; i < ROWS * 3; i++) {
        state = state * 1664525u + 1013904223u;
        train_x[i] = (nn_real)(state >> 16) / 16384 - 2 + (nn_real)((i / 3) % 3 == i % 3) * 2;
    }
    for (i = 0; i < ROWS; i++) train_y[i * CLASSES + i % CLASSES] = 1;
    data.rows = ROWS;
    data.inputs = 3;
    data.outputs = data.classes = CLASSES;
    data.x = train_x;
    data.y = train_y;
    return data;
}

typedef struct scenario {
    const char *name;
    nn_optimizer optimizer;
    nn_real learning_rate, momentum, weight_decay, clip_norm, label_smoothing;
    nn_schedule schedule;
    int nesterov, dropout, warmup, patience, epochs;
    nn_real validation_fraction;
    nn_scaling scaling;
} scenario;

static const scenario scenarios[] = {
    {"plain SGD", NN_SGD, 0, 0, 0, 0, 0, NN_SCHEDULE_CONSTANT, 0, 0, 0, 0, EPOCHS, 0,
     NN_SCALE_NONE},
    {"momentum", NN_SGD, 0.0625f, 0.875f, 0.015625f, 0, 0, NN_SCHEDULE_CONSTANT, 1, 0, 0, 0, EPOCHS,
     0, NN_SCALE_NONE},
    {"Adam", NN_ADAM, 0.015625f, 0, 0.0625f, 0.5f, 0, NN_SCHEDULE_CONSTANT, 0, 0, 0, 0, EPOCHS, 0,
     NN_SCALE_STANDARD},
    {"dropout", NN_SGD, 0.0625f, 0, 0, 0, 0.125f, NN_SCHEDULE_CONSTANT, 0, 1, 0, 0, EPOCHS, 0,
     NN_SCALE_MIN_MAX},
    {"cosine with warm-up", NN_SGD, 0.125f, 0.5f, 0, 0, 0, NN_SCHEDULE_COSINE, 0, 0, 15, 0, EPOCHS,
     0, NN_SCALE_NONE},
    {"steps", NN_ADAM, 0.03125f, 0, 0, 0, 0, NN_SCHEDULE_STEP, 0, 0, 3, 0, EPOCHS, 0.25f,
     NN_SCALE_NONE},
    {"patience", NN_SGD, 0.5f, 0.875f, 0, 0, 0, NN_SCHEDULE_CONSTANT, 0, 0, 0, 4, MOST_EPOCHS,
     0.375f, NN_SCALE_NONE},
    {"patience without validation", NN_SGD, 2, 0.875f, 0, 0, 0, NN_SCHEDULE_CONSTANT, 0, 0, 0, 5,
     MOST_EPOCHS, 0, NN_SCALE_NONE},
    {"everything", NN_ADAM, 0.125f, 0, 0.0625f, 1, 0.0625f, NN_SCHEDULE_COSINE, 0, 1, 4, 6,
     MOST_EPOCHS, 0.25f, NN_SCALE_STANDARD},
};

enum { SCENARIOS = (int)(sizeof scenarios / sizeof *scenarios) };

/* One line of the history for each epoch, and where to stop or to save. */
typedef struct record {
    double epoch, loss, accuracy, validation_loss, validation_accuracy, learning_rate, norm, best;
} record;

typedef struct history {
    record lines[MOST_EPOCHS + 1];
    int count;
    int at_epoch, at_batch; /* at_batch: 0 the epoch's end, -1 its last batch */
    int stop;               /* 1: stops there; 0: saves a checkpoint there and goes on */
    int reached;
} history;

static int watch(const nn_progress *progress, void *user)
{
    history *h = (history *)user;
    int batch = h->at_batch < 0 ? progress->batches : h->at_batch;
    if (progress->batch == 0 && h->count <= MOST_EPOCHS) {
        record *r = &h->lines[h->count++];
        r->epoch = progress->epoch;
        r->loss = progress->loss;
        r->accuracy = progress->accuracy;
        r->validation_loss = progress->validation_loss;
        r->validation_accuracy = progress->validation_accuracy;
        r->learning_rate = progress->learning_rate;
        r->norm = progress->gradient_norm;
        r->best = progress->best_epoch;
    }
    if (progress->epoch != h->at_epoch || progress->batch != batch) return 0;
    h->reached++;
    if (!h->stop) CHECK(nn_save_checkpoint(progress->trainer, CHECKPOINT_PATH) == NN_OK);
    return h->stop;
}

static nn_options scenario_options(const scenario *s, history *h)
{
    static const nn_real dropout[] = {0.25f, 0.125f, 0};
    nn_options how;
    memset(&how, 0, sizeof how);
    how.loss = NN_CROSS_ENTROPY;
    how.optimizer = s->optimizer;
    how.epochs = s->epochs;
    how.batch_size = 16; /* 50 rows: the last batch has 2 */
    how.learning_rate = s->learning_rate;
    how.momentum = s->momentum;
    how.nesterov = s->nesterov;
    how.weight_decay = s->weight_decay;
    how.clip_norm = s->clip_norm;
    how.schedule = s->schedule;
    how.schedule_steps = s->schedule == NN_SCHEDULE_STEP ? 7 : 0;
    how.warmup_steps = s->warmup;
    how.label_smoothing = s->label_smoothing;
    if (s->dropout) how.dropout = dropout;
    how.scaling = s->scaling;
    how.validation_fraction = s->validation_fraction;
    how.patience = s->patience;
    how.seed = 99;
    how.callback = watch;
    how.callback_batches = h->at_batch != 0;
    how.user = h;
    return how;
}

static nn_trainer *make_trainer(const nn_options *how, uint64_t seed, nn_model **model)
{
    static const nn_layer layers[] = {NN_DENSE(6, NN_TANH), NN_DENSE(5, NN_RELU),
                                      NN_DENSE(CLASSES, NN_SOFTMAX)};
    nn_trainer *trainer = NULL;
    *model = make_model(3, layers, 3, seed);
    if (*model) CHECK(nn_trainer_create(&trainer, *model, how) == NN_OK);
    return trainer;
}

/* The new process: another seed, so that whatever is not in the checkpoint shows. */
static int resume(int index)
{
    history h;
    nn_options how;
    nn_data data = training_data();
    nn_model *model = NULL;
    nn_trainer *trainer;
    FILE *file;
    int good;
    memset(&h, 0, sizeof h);
    how = scenario_options(scenarios + index, &h);
    trainer = make_trainer(&how, 4321, &model);
    good = trainer && CHECK(nn_load_checkpoint(trainer, CHECKPOINT_PATH, NULL) == NN_OK) &&
           CHECK(nn_trainer_fit(trainer, &data) == NN_OK) &&
           CHECK(nn_save_checkpoint(trainer, FINAL_PATH) == NN_OK);
    nn_trainer_free(trainer);
    nn_model_free(model);
    if (!good || !(file = fopen(HISTORY_PATH, "wb"))) return 1;
    good = fwrite(h.lines, sizeof *h.lines, (size_t)h.count, file) == (size_t)h.count;
    return fclose(file) != 0 || !good;
}

static const char *own_path;

static int run_self(int index)
{
    char command[1024];
    if (strlen(own_path) > sizeof command - 64) return 0;
    sprintf(command, "\"%s\" resume %d", own_path, index);
    fflush(stdout);
    return system(command) == 0;
}

static int same_double(double a, double b)
{
    return a == b || (a != a && b != b);
}

/* The resumed run's lines are the last ones of the run that was never interrupted. */
static void check_history(const history *whole)
{
    bytes b = read_file(HISTORY_PATH);
    size_t count = b.size / sizeof(record), i, k;
    record *lines = (record *)malloc(b.size ? b.size : 1);
    if (!lines) exit(2);
    memcpy(lines, b.at, b.size);
    if (CHECK(count > 0 && count <= (size_t)whole->count)) {
        const record *want = whole->lines + ((size_t)whole->count - count);
        for (i = 0; i < count; i++) {
            const double *got = &lines[i].epoch, *line = &want[i].epoch;
            for (k = 0; k < sizeof(record) / sizeof(double); k++)
                CHECK(same_double(got[k], line[k]));
        }
    }
    free(lines);
    free(b.at);
}

/* One whole run, which saves a checkpoint at the place on its way; another that stops there and
   saves then. Both checkpoints, resumed by a new process, end in the whole run's state. */
static void interrupt(int index, int at_epoch, int at_batch)
{
    nn_data data = training_data();
    history whole, part;
    bytes want;
    int stop, before = test_bad;
    memset(&whole, 0, sizeof whole);
    want = make_bytes(0);
    for (stop = 0; stop < 2; stop++) {
        history *h = stop ? &part : &whole;
        nn_model *model = NULL;
        nn_trainer *trainer;
        nn_options how;
        bytes got;
        memset(h, 0, sizeof *h);
        h->at_epoch = at_epoch;
        h->at_batch = at_batch;
        h->stop = stop;
        how = scenario_options(scenarios + index, h);
        if (!(trainer = make_trainer(&how, 1, &model))) return;
        CHECK(nn_trainer_fit(trainer, &data) == NN_OK && h->reached == 1);
        if (stop) {
            CHECK(nn_save_checkpoint(trainer, CHECKPOINT_PATH) == NN_OK);
            CHECK(nn_trainer_fit(trainer, &data) == NN_OK); /* it can also just go on */
        } else {
            free(want.at);
            want = save_trainer(trainer);
        }
        got = save_trainer(trainer);
        CHECK(same_bytes(got, want));
        free(got.at);
        nn_trainer_free(trainer);
        nn_model_free(model);
        if (!CHECK(run_self(index))) continue;
        got = read_file(FINAL_PATH);
        CHECK(same_bytes(got, want));
        free(got.at);
        check_history(&whole);
    }
    free(want.at);
    if (test_bad > before)
        printf("%s, epoch %d, batch %d\n", scenarios[index].name, at_epoch, at_batch);
}

static void test_resume(void)
{
    int i;
    for (i = 0; i < SCENARIOS; i++) interrupt(i, 4, 0);
    CHECK(live_blocks == 0);
}

/* In the middle of an epoch, before its end is reckoned up, and in the first batch of all. */
static void test_resume_inside(void)
{
    int i;
    for (i = 0; i < SCENARIOS; i++) interrupt(i, 4, 2);
    interrupt(2, 1, 1);
    interrupt(2, 4, -1);
    interrupt(6, 4, -1);
    interrupt(8, 5, -1);
    CHECK(live_blocks == 0);
}

/* What resume tests with patience need to mean something: the best epoch lies before the
   checkpoint, and training ends after it and before the last epoch. */
static void test_resume_patience(void)
{
    int i, k;
    for (i = 0; i < SCENARIOS; i++) {
        history h;
        nn_options how;
        nn_data data = training_data();
        nn_model *model = NULL;
        nn_trainer *trainer;
        int best;
        if (!scenarios[i].patience) continue;
        memset(&h, 0, sizeof h);
        how = scenario_options(scenarios + i, &h);
        if (!(trainer = make_trainer(&how, 1, &model))) continue;
        CHECK(nn_trainer_fit(trainer, &data) == NN_OK && h.count > 0);
        best = (int)h.lines[h.count - 1].best;
        CHECK(best > 0 && h.count == best + scenarios[i].patience && h.count < MOST_EPOCHS);
        for (k = best + 1; k < h.count; k++) interrupt(i, k, 0);
        nn_trainer_free(trainer);
        nn_model_free(model);
    }
    CHECK(live_blocks == 0);
}

/* As a user would: 4 epochs by the options, saved, then options with 10. */
static void test_more_epochs(void)
{
    static const int which[] = {0, 1, 2, 3};
    size_t i;
    for (i = 0; i < sizeof which / sizeof *which; i++) {
        int index = which[i], epochs;
        nn_data data = training_data();
        bytes files[2], got;
        for (epochs = 4; epochs <= EPOCHS; epochs += EPOCHS - 4) {
            history h;
            nn_options how;
            nn_model *model = NULL;
            nn_trainer *trainer;
            memset(&h, 0, sizeof h);
            how = scenario_options(scenarios + index, &h);
            how.epochs = epochs;
            if (!(trainer = make_trainer(&how, 1, &model))) return;
            CHECK(nn_trainer_fit(trainer, &data) == NN_OK && h.count == epochs);
            files[epochs != 4] = save_model(model);
            if (epochs == 4) CHECK(nn_save_checkpoint(trainer, CHECKPOINT_PATH) == NN_OK);
            nn_trainer_free(trainer);
            nn_model_free(model);
        }
        CHECK(!same_bytes(files[0], files[1]));
        if (CHECK(run_self(index))) {
            nn_model *loaded = NULL;
            CHECK(nn_load(&loaded, FINAL_PATH, NULL) == NN_OK); /* a checkpoint is a model file */
            got = save_model(loaded);
            CHECK(same_bytes(got, files[1]));
            free(got.at);
            nn_model_free(loaded);
        }
        free(files[0].at);
        free(files[1].at);
    }
    CHECK(live_blocks == 0);
}

/* A checkpoint opens as a model, in each way that a model file does; a model file is not one. */
static void test_checkpoint_as_model(void)
{
    pair p;
    nn_model *loaded = NULL;
    if (!make_pair(&p)) return;
    CHECK(nn_save_checkpoint(p.trainer, CHECKPOINT_PATH) == NN_OK);
    if (CHECK(nn_load(&loaded, CHECKPOINT_PATH, NULL) == NN_OK))
        CHECK(same_shape(p.model, loaded) && same_predictions(p.model, loaded));
    nn_model_free(loaded);
    CHECK(nn_load_parameters(p.other, CHECKPOINT_PATH, NULL) == NN_OK);
    CHECK(same_predictions(p.model, p.other));
    reset_into(&p);
    CHECK(nn_load_checkpoint_memory(p.into, p.model_file.at, p.model_file.size, NULL) != NN_OK);
    CHECK(is_untouched(&p));
    free_pair(&p);
}

/* Into a trainer of another kind: refused, and the trainer is as it was. */
static void test_checkpoint_refused(void)
{
    static const nn_layer layers[] = {NN_DENSE(4, NN_TANH), NN_DENSE(2, NN_LINEAR)},
                          wider[] = {NN_DENSE(5, NN_TANH), NN_DENSE(2, NN_LINEAR)};
    static const nn_layer other[] = {NN_DENSE(4, NN_RELU), NN_DENSE(2, NN_LINEAR)},
                          *const shapes[] = {layers, wider, other};
    static const int patiences[] = {0, 3};
    int from, to, kinds = 3 * 3 * 2;
    bytes files[18];
    nn_model *models[18];
    nn_trainer *trainers[18];
    for (from = 0; from < kinds; from++) {
        nn_options how;
        memset(&how, 0, sizeof how);
        how.optimizer = from / 3 % 3 == 2 ? NN_ADAM : NN_SGD;
        how.momentum = from / 3 % 3 == 1 ? (nn_real)0.5 : 0;
        how.patience = patiences[from / 9];
        models[from] = make_model(3, shapes[from % 3], 2, (uint64_t)from + 1);
        CHECK(nn_trainer_create(&trainers[from], models[from], &how) == NN_OK);
        files[from] = save_trainer(trainers[from]);
    }
    for (from = 0; from < kinds; from++) {
        for (to = 0; to < kinds; to++) {
            bytes after;
            nn_status status;
            if (from == to ||
                (from / 3 % 3 != 2 && to / 3 % 3 != 2 && from % 3 == to % 3 && from / 9 == to / 9))
                continue; /* momentum or not is a setting of the same optimizer */
            status =
                nn_load_checkpoint_memory(trainers[to], files[from].at, files[from].size, NULL);
            CHECK(status != NN_OK && is_status(status));
            after = save_trainer(trainers[to]);
            if (!CHECK(same_bytes(after, files[to]))) printf("from %d to %d\n", from, to);
            free(after.at);
        }
    }
    for (from = 0; from < kinds; from++) {
        nn_trainer_free(trainers[from]);
        nn_model_free(models[from]);
        free(files[from].at);
    }
    CHECK(live_blocks == 0);
}

/* A checkpoint from within an epoch, resumed with fewer rows than it had dealt: a status or a
   finite model, and no read outside the data. */
static void test_resume_other_data(void)
{
    nn_data data = training_data();
    int rows;
    for (rows = 1; rows < ROWS; rows += 7) {
        history h;
        nn_options how;
        nn_model *model = NULL;
        nn_trainer *trainer;
        nn_real *x = (nn_real *)malloc((size_t)(rows * 3) * sizeof *x);
        size_t i;
        memset(&h, 0, sizeof h);
        h.at_epoch = 2;
        h.at_batch = 3;
        h.stop = 1;
        how = scenario_options(scenarios + 2, &h);
        if (!x || !(trainer = make_trainer(&how, 1, &model))) return;
        data.rows = ROWS;
        data.x = train_x;
        CHECK(nn_trainer_fit(trainer, &data) == NN_OK && h.reached == 1);
        memcpy(x, train_x, (size_t)(rows * 3) * sizeof *x);
        data.rows = rows;
        data.x = x;
        CHECK(is_status(nn_trainer_fit(trainer, &data)));
        for (i = 0; i < nn_parameter_count(model); i++) CHECK(isfinite(nn_parameters(model)[i]));
        free(x);
        nn_trainer_free(trainer);
        nn_model_free(model);
    }
    CHECK(live_blocks == 0);
}

int main(int argc, char **argv)
{
    own_path = argv[0];
    if (argc > 2 && !strcmp(argv[1], "resume")) return resume(atoi(argv[2]) % SCENARIOS);
    RUN(test_round_trip);
    RUN(test_extreme_parameters);
    RUN(test_many_layers);
    RUN(test_layout);
    RUN(test_capacity);
    RUN(test_truncated);
    RUN(test_flipped);
    RUN(test_hostile_metadata);
    RUN(test_hostile_state);
    RUN(test_foreign);
    RUN(test_data_order);
    RUN(test_natural_order);
    RUN(test_hostile);
    RUN(test_header_length);
    RUN(test_nesting);
    RUN(test_large_header);
    RUN(test_sorted_header);
    RUN(test_header_time);
    RUN(test_metadata_time);
    RUN(test_other_type);
    RUN(test_not_finite);
    RUN(test_save_not_finite);
    RUN(test_paths);
    RUN(test_resume);
    RUN(test_resume_inside);
    RUN(test_resume_patience);
    RUN(test_more_epochs);
    RUN(test_checkpoint_as_model);
    RUN(test_checkpoint_refused);
    RUN(test_resume_other_data);
    remove(MODEL_PATH);
    remove(CHECKPOINT_PATH);
    remove(FINAL_PATH);
    remove(HISTORY_PATH);
    return test_done(PROGRAM);
}
