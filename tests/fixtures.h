/* nn.h as most tests need it, with a heap that counts, and what several tests share. A file that
   defines NN_IMPLEMENTATION first has the implementation in itself, where it can also define
   NN_MALLOC and its like; any other is linked with tests/library.c, or, compiled without
   TEST_LINKED, has it in itself too. */
#ifndef FIXTURES_H
#define FIXTURES_H

#if !defined(TEST_LINKED) && !defined(NN_IMPLEMENTATION)
#define NN_IMPLEMENTATION
#endif

#include "test.h"

#ifndef NN_MALLOC
#include "counted_heap.h"
#endif

/* As in a microcontroller's flash: each byte of an opened file is stored as that xor this. */
#ifdef FLASH
#define NN_READ_BYTE(pointer) ((unsigned char)(*(pointer) ^ FLASH))
#endif

#include "../nn.h"

/* Each test ends with every block freed. */
#ifdef COUNTED_HEAP_H
#undef RUN
#define RUN(function)                                                                              \
    do {                                                                                           \
        test_begin();                                                                              \
        function();                                                                                \
        if (live_blocks) CHECK(live_blocks == 0);                                                  \
        live_blocks = 0;                                                                           \
        test_end(#function);                                                                       \
    } while (0)
#endif

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* ---- Numbers --------------------------------------------------------------------------------- */

static uint64_t random_state;

/* splitmix64 (Steele, Lea and Flood 2014) */
TEST_FUNCTION uint64_t random_bits(void)
{
    uint64_t z = (random_state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* In 0 .. n - 1. */
TEST_FUNCTION int random_below(int n)
{
    return (int)(random_bits() % (uint64_t)n);
}

/* In [low, high). */
TEST_FUNCTION double uniform(double low, double high)
{
    return low + (high - low) * ((double)(random_bits() >> 11) / 9007199254740992.0);
}

TEST_FUNCTION int all_zero(const void *bytes, size_t size)
{
    const unsigned char *at = (const unsigned char *)bytes;
    while (size-- > 0)
        if (*at++) return 0;
    return 1;
}

/* ---- Files ----------------------------------------------------------------------------------- */

TEST_FUNCTION void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (!CHECK(file != NULL)) return;
    CHECK(fwrite(bytes, 1, size, file) == size);
    CHECK(fclose(file) == 0);
}

TEST_FUNCTION int file_exists(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file) fclose(file);
    return file != NULL;
}

/* ---- Options and data ------------------------------------------------------------------------ */

TEST_FUNCTION nn_options make_options(nn_loss loss, nn_optimizer optimizer, double learning_rate)
{
    nn_options how;
    memset(&how, 0, sizeof how);
    how.loss = loss;
    how.optimizer = optimizer;
    how.learning_rate = (nn_real)learning_rate;
    return how;
}

TEST_FUNCTION nn_data make_data(const nn_real *x, const nn_real *y, int rows, int inputs,
                                int outputs)
{
    nn_data data;
    memset(&data, 0, sizeof data);
    data.rows = rows;
    data.inputs = inputs;
    data.outputs = outputs;
    data.x = x;
    data.y = y;
    return data;
}

TEST_FUNCTION int data_is_zero(const nn_data *data)
{
    return !data->rows && !data->inputs && !data->outputs && !data->classes && !data->dropped &&
           !data->imputed && !data->unknown && !data->x && !data->y && !data->labels &&
           !data->weight && !data->input_names && !data->class_names && !data->recipe &&
           !data->memory;
}

/* ---- Models ---------------------------------------------------------------------------------- */

TEST_FUNCTION nn_layer dense_layer(int width, nn_activation activation)
{
    nn_layer layer;
    memset(&layer, 0, sizeof layer);
    layer.kind = NN_LAYER_DENSE;
    layer.width = width;
    layer.activation = activation;
    return layer;
}

/* Of the same layers. */
TEST_FUNCTION int same_shape(const nn_model *a, const nn_model *b)
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

TEST_FUNCTION int same_parameters(nn_model *a, nn_model *b)
{
    const size_t n = nn_parameter_count(a);
    return n == nn_parameter_count(b) &&
           !memcmp(nn_parameters(a), nn_parameters(b), n * sizeof(nn_real));
}

TEST_FUNCTION int all_finite(nn_model *model)
{
    const nn_real *p = nn_parameters(model);
    size_t i;
    for (i = 0; i < nn_parameter_count(model); i++)
        if (!isfinite(p[i])) return 0;
    return nn_parameter_count(model) > 0;
}

#ifndef NN_NO_MALLOC

TEST_FUNCTION nn_model *make_model(int inputs, const nn_layer *layers, int count, uint64_t seed)
{
    nn_model *model = NULL;
    if (!CHECK(nn_model_create(&model, inputs, layers, count, seed) == NN_OK)) exit(1);
    return model;
}

/* One layer of one output whose parameters are all 0. */
TEST_FUNCTION nn_model *make_line(int inputs)
{
    const nn_layer layer = dense_layer(1, NN_LINEAR);
    nn_model *model = make_model(inputs, &layer, 1, 1);
    memset(nn_parameters(model), 0, nn_parameter_count(model) * sizeof(nn_real));
    return model;
}

/* One layer of one input and one output: activation(w x + b). */
TEST_FUNCTION nn_model *make_unit(nn_activation activation, double w, double b)
{
    const nn_layer layer = dense_layer(1, activation);
    nn_model *model = make_model(1, &layer, 1, 1);
    nn_parameters(model)[0] = (nn_real)w;
    nn_parameters(model)[1] = (nn_real)b;
    return model;
}

/* One layer: y = activation(x). */
TEST_FUNCTION nn_model *make_identity(int width, nn_activation activation)
{
    const nn_layer layer = dense_layer(width, activation);
    nn_model *model = make_model(width, &layer, 1, 1);
    int i;
    memset(nn_parameters(model), 0, nn_parameter_count(model) * sizeof(nn_real));
    for (i = 0; i < width; i++) nn_parameters(model)[i * (width + 1)] = 1;
    return model;
}

TEST_FUNCTION nn_trainer *make_trainer(nn_model *model, const nn_options *how)
{
    nn_trainer *trainer = NULL;
    if (!CHECK(nn_trainer_create(&trainer, model, how) == NN_OK)) exit(1);
    return trainer;
}

/* nn_evaluate with a loss whose other options are defaults. */
TEST_FUNCTION nn_status evaluate(const nn_model *model, const nn_data *data, nn_loss loss,
                                 nn_metrics *metrics)
{
    const nn_options how = make_options(loss, NN_SGD, 0);
    return nn_evaluate(model, data, &how, metrics);
}

/* ---- An example that makes use of much ------------------------------------------------------- */

enum { EXAMPLE_ROWS = 40, EXAMPLE_INPUTS = 2 };

static const nn_layer example_layers[] = {NN_DENSE(5, NN_TANH), NN_DENSE(1, NN_SIGMOID)};
static const nn_shape example_shape = {EXAMPLE_INPUTS, example_layers, 2};
static const nn_real example_dropout[] = {0.25f, 0};

/* Two classes with names, and a weight for each row. */
TEST_FUNCTION nn_data example_data(void)
{
    static nn_real x[EXAMPLE_ROWS * EXAMPLE_INPUTS], y[EXAMPLE_ROWS], weight[EXAMPLE_ROWS];
    static const char *const names[] = {"no", "yes"};
    nn_data data = make_data(x, y, EXAMPLE_ROWS, EXAMPLE_INPUTS, 1);
    int i;
    for (i = 0; i < EXAMPLE_ROWS; i++) {
        x[2 * i] = (nn_real)(i % 7) - 3;
        x[2 * i + 1] = (nn_real)(i % 5);
        y[i] = (nn_real)(i % 2);
        weight[i] = (nn_real)(1 + i % 3);
    }
    data.classes = 2;
    data.weight = weight;
    data.class_names = names;
    return data;
}

TEST_FUNCTION nn_options example_options(void)
{
    nn_options how = make_options(NN_BINARY_CROSS_ENTROPY, NN_ADAM, 0);
    how.epochs = 3;
    how.batch_size = 8;
    how.dropout = example_dropout;
    how.scaling = NN_SCALE_STANDARD;
    how.validation_fraction = 0.25f;
    how.patience = 2;
    how.clip_norm = 1;
    return how;
}

TEST_FUNCTION nn_model *example_model(uint64_t seed)
{
    return make_model(EXAMPLE_INPUTS, example_layers, 2, seed);
}

#endif

#endif
