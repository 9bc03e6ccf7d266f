/* Model files: round trips to the bit, the layout of what is written, paths. Damaged files:
   safetensors_damage.c; files of other programs: safetensors_header.c; checkpoints: checkpoint.c;
   models over the bytes of a file: safetensors_open.c and its like. */
#include "files.h"
#include "refused.h"

/* ---- Models ---------------------------------------------------------------------------------- */

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
    CHECK(nn_save(model, temporary("model")) == NN_OK);
    file = read_file(temporary("model"));
    CHECK(same_bytes(first, file));
    CHECK(nn_load_parameters_memory(filled, file.at, file.size, NULL, NULL) == NN_OK);
    CHECK(same_parameters(model, filled) && same_predictions(model, filled));
    if (CHECK(nn_load(&loaded, temporary("model"), NULL) == NN_OK && loaded)) {
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
    for (a = NN_LINEAR; a < NN_ACTIVATION_COUNT; a++)
        for (s = NN_SCALE_NONE; s <= NN_SCALE_MIN_MAX; s++)
            round_trip((nn_activation)a, (nn_scaling)s);
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
}

/* The width of one and the depth of many: sizes at the edge of the naming. */
static void test_many_layers(void)
{
    enum { DEPTH = 24 };
    nn_layer layers[DEPTH];
    nn_model *model, *loaded = NULL;
    bytes b;
    int i;
    for (i = 0; i < DEPTH; i++) layers[i] = dense_layer(1 + i % 3, NN_TANH);
    model = make_model(3, layers, DEPTH, 1);
    if (!model) return;
    b = save_model(model);
    if (CHECK(nn_load_memory(&loaded, b.at, b.size, NULL) == NN_OK))
        CHECK(same_shape(model, loaded) && same_parameters(model, loaded));
    free(b.at);
    nn_model_free(loaded);
    nn_model_free(model);
}

/* tinn saves with %f, which makes 1e-7 a 0; here every bit survives, also of denormals and -0. */
static void test_small_weights_survive_saving(void)
{
    static const nn_real values[6] = {1e-7f, -1e-7f, 1.17549435e-38f, 1e-42f, -0.0f, 0.1f};
    static const nn_layer layer = NN_DENSE(2, NN_LINEAR);
    nn_model *model = make_model(2, &layer, 1, 1), *copy = NULL;
    memcpy(nn_parameters(model), values, sizeof values);
    CHECK(nn_save(model, "build/test_peers_small.safetensors") == NN_OK);
    CHECK(nn_load(&copy, "build/test_peers_small.safetensors", NULL) == NN_OK);
    if (copy) CHECK(memcmp(nn_parameters(copy), values, sizeof values) == 0);
    remove("build/test_peers_small.safetensors");
    nn_model_free(copy);
    nn_model_free(model);
}

/* genann's files lose the activations. */
static void test_saving_keeps_activations(void)
{
    static const nn_layer layers[6] = {NN_DENSE(3, NN_LINEAR),     NN_DENSE(4, NN_RELU),
                                       NN_DENSE(5, NN_LEAKY_RELU), NN_DENSE(2, NN_SIGMOID),
                                       NN_DENSE(3, NN_TANH),       NN_DENSE(2, NN_SOFTMAX)};
    nn_model *model = make_model(2, layers, 6, 1), *copy = NULL;
    nn_real x[2] = {0.5f, -2}, a[2] = {1, 2}, b[2] = {3, 4};
    char file[8192];
    size_t size = 0;
    nn_shape shape;
    int i;
    CHECK(nn_save_memory(model, file, sizeof file, &size) == NN_OK);
    CHECK(nn_load_memory(&copy, file, size, NULL) == NN_OK);
    CHECK(nn_get_shape(copy, &shape) == NN_OK && shape.inputs == 2 && shape.count == 6);
    for (i = 0; i < 6; i++) {
        CHECK(shape.layers[i].width == layers[i].width);
        CHECK(shape.layers[i].activation == layers[i].activation);
    }
    CHECK(nn_predict(model, x, 1, a, NULL) == NN_OK && nn_predict(copy, x, 1, b, NULL) == NN_OK);
    CHECK(memcmp(a, b, sizeof a) == 0);
    nn_model_free(copy);
    nn_model_free(model);
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
}

/* ---- What is refused ------------------------------------------------------------------------- */

static void test_nulls(void)
{
    const char *path = temporary("missing");
    nn_shape shape;
    nn_model *made = (nn_model *)(void *)&shape;
    size_t size = 9;
    if (!begin()) return;
    REFUSED(nn_save_memory(NULL, NULL, 0, &size), NN_ERROR_NULL);
    CHECK(size == 0);
    REFUSED(nn_save_memory(good_model, NULL, 0, NULL), NN_ERROR_NULL);
    size = 9;
    REFUSED(nn_save_checkpoint_memory(NULL, NULL, 0, &size), NN_ERROR_NULL);
    CHECK(size == 0);
    REFUSED(nn_save_checkpoint_memory(good_trainer, NULL, 0, NULL), NN_ERROR_NULL);
    REFUSED(nn_load_checkpoint_memory(NULL, good_state, good_size, NULL), NN_ERROR_NULL);
    REFUSED(nn_load_checkpoint_memory(good_trainer, NULL, good_size, NULL), NN_ERROR_NULL);
    REFUSED(nn_load_parameters_memory(NULL, good_state, good_size, NULL, NULL), NN_ERROR_NULL);
    REFUSED(nn_load_parameters_memory(good_model, NULL, good_size, NULL, NULL), NN_ERROR_NULL);
    REFUSED(nn_load_memory(NULL, good_state, good_size, NULL), NN_ERROR_NULL);
    REFUSED(nn_load_memory(&made, NULL, good_size, NULL), NN_ERROR_NULL);
    CHECK(!made);
    made = (nn_model *)(void *)&shape;
    REFUSED(nn_load(&made, NULL, NULL), NN_ERROR_NULL);
    CHECK(!made);
    REFUSED(nn_load(NULL, path, NULL), NN_ERROR_NULL);
    REFUSED(nn_load_parameters(NULL, path, NULL, NULL), NN_ERROR_NULL);
    REFUSED(nn_load_parameters(good_model, NULL, NULL, NULL), NN_ERROR_NULL);
    REFUSED(nn_load_checkpoint(NULL, path, NULL), NN_ERROR_NULL);
    REFUSED(nn_load_checkpoint(good_trainer, NULL, NULL), NN_ERROR_NULL);
    REFUSED(nn_save(NULL, path), NN_ERROR_NULL);
    REFUSED(nn_save(good_model, NULL), NN_ERROR_NULL);
    REFUSED(nn_save_checkpoint(NULL, path), NN_ERROR_NULL);
    REFUSED(nn_save_checkpoint(good_trainer, NULL), NN_ERROR_NULL);
    CHECK(!file_exists(path));
    end();
}

/* Nor are they saved: what could not be loaded again must not replace a good file. */
static void test_save_not_finite(void)
{
    nn_model *model = example_model(7);
    nn_trainer *trainer = NULL;
    bytes before, after;
    unsigned char out[4096];
    size_t size = 9;
    CHECK(nn_trainer_create(&trainer, model, NULL) == NN_OK);
    CHECK(nn_save(model, temporary("model")) == NN_OK);
    before = read_file(temporary("model"));
    nn_parameters(model)[3] = (nn_real)NAN;
    CHECK(nn_save(model, temporary("model")) == NN_ERROR_PARAMETER);
    CHECK(nn_save_checkpoint(trainer, temporary("model")) == NN_ERROR_PARAMETER);
    CHECK(nn_save_memory(model, out, sizeof out, &size) == NN_ERROR_PARAMETER && size == 0);
    after = read_file(temporary("model"));
    CHECK(same_bytes(before, after));
    free(before.at);
    free(after.at);
    nn_trainer_free(trainer);
    nn_model_free(model);
}

static void test_paths(void)
{
    static const char missing[] = "build/no such folder/no such file";
    nn_model *model = example_model(7), *made = (nn_model *)(void *)&made;
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
    CHECK(nn_load_parameters(model, missing, NULL, NULL) == NN_ERROR_OPEN);
    CHECK(nn_load_parameters(model, "build", NULL, NULL) == NN_ERROR_READ);
    CHECK(nn_load_checkpoint(trainer, missing, &place) == NN_ERROR_OPEN);
    CHECK(nn_load_checkpoint(trainer, "build", NULL) == NN_ERROR_READ);
    CHECK(nn_save(model, missing) == NN_ERROR_OPEN);
    CHECK(nn_save_checkpoint(trainer, missing) == NN_ERROR_OPEN);
    CHECK(nn_save(model, "build/.") == NN_ERROR_OPEN); /* a folder cannot be replaced */
    CHECK(nn_save_checkpoint(trainer, "build/.") == NN_ERROR_OPEN);
    after = save_trainer(trainer);
    CHECK(same_bytes(before, after));
    free(before.at);
    free(after.at);
    nn_trainer_free(trainer);
    nn_model_free(model);
}

int main(void)
{
    RUN(test_round_trip);
    RUN(test_extreme_parameters);
    RUN(test_many_layers);
    RUN(test_small_weights_survive_saving);
    RUN(test_saving_keeps_activations);
    RUN(test_layout);
    RUN(test_capacity);
    RUN(test_nulls);
    RUN(test_save_not_finite);
    RUN(test_paths);
    remove(temporary("model"));
    return test_done();
}
