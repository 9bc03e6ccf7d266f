/* The models that export.c compares: the same in export_models.c, which writes them as C, and in
   export.c, which compiles what that wrote. Their parameters are made without arithmetic that
   NN_NO_FMA changes. To be included after nn.h. */
#ifndef EXPORT_MODELS_H
#define EXPORT_MODELS_H

#include <float.h>

#ifdef NN_DOUBLE
#define REAL_MAX  DBL_MAX
#define REAL_MIN  DBL_MIN
#define REAL_TINY 5e-324
#else
#define REAL_MAX  FLT_MAX
#define REAL_MIN  FLT_MIN
#define REAL_TINY ((nn_real)1.4e-45)
#endif

typedef struct model_spec {
    const char *name, *int8_name; /* of the function, without and with int8 */
    int inputs, count;
    nn_layer layers[6];
    nn_scaling scaling;
    int extreme; /* parameters of all magnitudes, and outputs whose weights are all 0 or denormal */
} model_spec;

/* Names that might be taken for something else in the file are among them. */
static const model_spec model_specs[] = {
    {NULL,
     "predict_int8",
     2,
     2,
     {NN_DENSE(8, NN_RELU), NN_DENSE(1, NN_SIGMOID)},
     NN_SCALE_STANDARD,
     0},
    {"linear", "linear8", 3, 1, {NN_DENSE(4, NN_LINEAR)}, NN_SCALE_NONE, 0},
    {"y", "x", 3, 1, {NN_DENSE(12, NN_RELU)}, NN_SCALE_NONE, 0},
    {"in", "out", 5, 1, {NN_DENSE(3, NN_LEAKY_RELU)}, NN_SCALE_MIN_MAX, 0},
    {"sigmoid", "sum", 3, 1, {NN_DENSE(9, NN_SIGMOID)}, NN_SCALE_NONE, 0},
    {"Tanh", "Do9", 3, 1, {NN_DENSE(9, NN_TANH)}, NN_SCALE_STANDARD, 0},
    {"softmax", "top", 4, 1, {NN_DENSE(10, NN_SOFTMAX)}, NN_SCALE_STANDARD, 0},
    {"a", "b", 4, 1, {NN_DENSE(2, NN_SOFTMAX)}, NN_SCALE_NONE, 0},
    {"i", "j", 1, 1, {NN_DENSE(1, NN_LINEAR)}, NN_SCALE_NONE, 0},
    {"deep",
     "deep8",
     6,
     4,
     {NN_DENSE(5, NN_TANH), NN_DENSE(7, NN_LEAKY_RELU), NN_DENSE(3, NN_SIGMOID),
      NN_DENSE(4, NN_LINEAR)},
     NN_SCALE_MIN_MAX,
     0},
    {"q__",
     "q_",
     2,
     4,
     {NN_DENSE(16, NN_RELU), NN_DENSE(9, NN_TANH), NN_DENSE(12, NN_SIGMOID),
      NN_DENSE(10, NN_SOFTMAX)},
     NN_SCALE_NONE,
     0},
    {"wide",
     "wide8",
     33,
     2,
     {NN_DENSE(65, NN_RELU), NN_DENSE(3, NN_SOFTMAX)},
     NN_SCALE_STANDARD,
     0},
    {"narrow",
     "narrow8",
     33,
     3,
     {NN_DENSE(2, NN_TANH), NN_DENSE(20, NN_LINEAR), NN_DENSE(3, NN_TANH)},
     NN_SCALE_NONE,
     0},
    {"odd", "odd8", 7, 1, {NN_DENSE(12, NN_LINEAR)}, NN_SCALE_NONE, 1},
    {"odder",
     "odder8",
     7,
     3,
     {NN_DENSE(12, NN_RELU), NN_DENSE(8, NN_LEAKY_RELU), NN_DENSE(6, NN_TANH)},
     NN_SCALE_MIN_MAX,
     1},
    {"oddest",
     "oddest8",
     9,
     2,
     {NN_DENSE(12, NN_SIGMOID), NN_DENSE(6, NN_SOFTMAX)},
     NN_SCALE_STANDARD,
     1},
    {"elu", "elu8", 3, 1, {NN_DENSE(9, NN_ELU)}, NN_SCALE_NONE, 0},
    {"silu", "silu8", 3, 1, {NN_DENSE(9, NN_SILU)}, NN_SCALE_STANDARD, 0},
    {"gelu", "erf8", 3, 1, {NN_DENSE(9, NN_GELU)}, NN_SCALE_NONE, 0},
    {"softplus", "log1p8", 3, 1, {NN_DENSE(9, NN_SOFTPLUS)}, NN_SCALE_MIN_MAX, 0},
    {"smooth",
     "smooth8",
     6,
     4,
     {NN_DENSE(8, NN_GELU), NN_DENSE(7, NN_SILU), NN_DENSE(6, NN_ELU), NN_DENSE(5, NN_SOFTPLUS)},
     NN_SCALE_MIN_MAX,
     0},
    {"mixed",
     "mixed8",
     5,
     4,
     {NN_DENSE(8, NN_SOFTPLUS), NN_DENSE(7, NN_TANH), NN_DENSE(6, NN_GELU),
      NN_DENSE(3, NN_SOFTMAX)},
     NN_SCALE_NONE,
     0},
    {"oddly",
     "oddly8",
     7,
     3,
     {NN_DENSE(12, NN_SILU), NN_DENSE(8, NN_GELU), NN_DENSE(6, NN_ELU)},
     NN_SCALE_MIN_MAX,
     1},
    {"odd_end",
     "odd_end8",
     5,
     2,
     {NN_DENSE(12, NN_ELU), NN_DENSE(6, NN_SOFTPLUS)},
     NN_SCALE_STANDARD,
     1},
    {"two", "two8", 1, 2, {NN_DENSE(2, NN_LINEAR), NN_DENSE(1, NN_LINEAR)}, NN_SCALE_NONE, 0},
    {"conv",
     "conv8",
     60,
     5,
     {NN_IMAGE(6, 5, 2), NN_CONV2D(4, 3, 1, NN_PADDING_SAME, NN_RELU), NN_MAX_POOL2D(2, 0),
      NN_CONVOLUTION(5, 2, 1, 1, 1, NN_PADDING_NONE, NN_GELU), NN_DENSE(3, NN_SOFTMAX)},
     NN_SCALE_STANDARD,
     0},
    {"zeros", /* -0 + 0 is 0, and no scaling of targets hides it */
     "zeros8",
     30,
     2,
     {NN_IMAGE(5, 3, 2), NN_CONVOLUTION(6, 4, 2, 3, 1, NN_PADDING_SAME, NN_LINEAR)},
     NN_SCALE_NONE,
     1},
    {"window",
     "pool",
     72,
     6,
     {NN_IMAGE(1, 24, 3), NN_CONV1D(8, 3, 1, NN_PADDING_NONE, NN_RELU), NN_MAX_POOL1D(2, 0),
      NN_CONV1D(5, 4, 2, NN_PADDING_SAME, NN_TANH), NN_GLOBAL_AVERAGE, NN_DENSE(4, NN_SOFTMAX)},
     NN_SCALE_NONE,
     0},
    {"steps",
     "steps8",
     77,
     4,
     {NN_IMAGE(7, 11, 1), NN_CONVOLUTION(3, 3, 5, 2, 3, NN_PADDING_SAME, NN_LEAKY_RELU),
      NN_AVERAGE_POOL(3, 2, 1, 1), NN_DENSE(2, NN_LINEAR)},
     NN_SCALE_MIN_MAX,
     1},
    {"pools",
     "pools8",
     126,
     4,
     {NN_IMAGE(7, 9, 2), NN_AVERAGE_POOL(2, 3, 1, 2), NN_MAX_POOL(3, 2, 2, 1),
      NN_AVERAGE_POOL2D(2, 1)},
     NN_SCALE_STANDARD,
     0},
    {"mean", "mean8", 60, 2, {NN_IMAGE(4, 3, 5), NN_GLOBAL_AVERAGE}, NN_SCALE_NONE, 0},
    {"flat", "flat8", 12, 2, {NN_IMAGE(2, 2, 3), NN_DENSE(5, NN_SIGMOID)}, NN_SCALE_MIN_MAX, 0},
    {"points",
     "points8",
     34,
     3,
     {NN_IMAGE(1, 2, 17), NN_CONV1D(9, 1, 1, NN_PADDING_NONE, NN_SOFTPLUS),
      NN_CONV1D(18, 5, 1, NN_PADDING_SAME, NN_ELU)},
     NN_SCALE_NONE,
     0},
};

enum { MODELS = sizeof model_specs / sizeof model_specs[0], MOST_INPUTS = 126, MOST_OUTPUTS = 36 };

/* A finite number of any bits. */
static nn_real any_real(uint64_t *random)
{
    nn_real x;
    do {
        const uint64_t low = nn__random(random);
        x = nn__from_bits((nn__bits)(low << 32 | nn__random(random)));
    } while (!nn__is_finite(x));
    return x;
}

/* A multiple of 2^-22 in [-2, 2). */
static nn_real small_real(uint64_t *random)
{
    return (nn_real)((double)(nn__random(random) >> 8) / 4194304 - 2);
}

static nn_real odd_real(uint64_t *random, int column)
{
    switch (column % 6) {
    case 1: return nn__random(random) & 1 ? 0 : -(nn_real)0;
    case 2: return small_real(random) * REAL_MIN;
    case 3: return (nn_real)(nn__random(random) % 2000) * REAL_TINY;
    case 4: return nn__random(random) & 7 ? small_real(random) : REAL_MAX;
    case 5: return any_real(random);
    default: return small_real(random);
    }
}

/* Names of classes for models whose last layer is softmax: with what a string literal of C must
   escape, and a digit behind an escape. */
static const char *const class_texts[] = {
    "cat", "\"big\" dog\\", "\xc3\xa9\x37", "\?\?/ \?\?=", "", "\n\t\x01\x7f\x31", "a,b", "%s", "0",
    "//"};

/* How many of them the model has, 0 where it has none. */
static int class_count(const model_spec *spec)
{
    const nn_layer *last = &spec->layers[spec->count - 1];
    return last->activation == NN_SOFTMAX && last->width > 1 ? last->width : 0;
}

/* Gives the model the names of its classes; 0: no memory. */
static int name_classes(nn_model *model, int count)
{
    char row[400], *to = row;
    int i;
    const char *from;

    for (i = 0; i < count; i++) {
        if (i) *to++ = ',';
        *to++ = '"';
        for (from = class_texts[i]; *from; *to++ = *from++)
            if (*from == '"') *to++ = '"';
        *to++ = '"';
    }
    *to = 0;
    return !count || nn_set_metadata(model, "class_names", row) == NN_OK;
}

/* Makes model i on the heap; NULL: no memory. */
static nn_model *export_model(int i)
{
    const model_spec *spec = &model_specs[i];
    uint64_t random = nn__random_start((uint64_t)i);
    nn_model *model;
    nn_real *p;
    int layer, outputs, k, j;

    if (nn_model_create(&model, spec->inputs, spec->layers, spec->count, 1) != NN_OK) return NULL;
    p = nn_parameters(model);
    for (layer = 0; layer < spec->count; layer++) {
        const nn__matrix w = nn__layer_at(model, layer).matrix;
        const int extreme = spec->extreme && layer == nn__first_layer(model);
        for (k = 0; k < w.rows; k++)
            for (j = 0; j < w.cols; j++)
                *p++ = extreme ? odd_real(&random, j) : small_real(&random);
        for (j = 0; j < w.cols; j++) *p++ = j % 4 == 3 ? -(nn_real)0 : small_real(&random);
    }
    model->scaling = spec->scaling;
    for (k = 0; spec->scaling != NN_SCALE_NONE && k < spec->inputs; k++) {
        model->offset[k] = small_real(&random);
        model->offset[spec->inputs + k] = small_real(&random);
    }
    if (i % 2 && spec->layers[spec->count - 1].activation != NN_SOFTMAX) {
        model->target_scaling = NN_SCALE_STANDARD; /* every other model of a regression */
        for (k = 0, outputs = nn__outputs(model); k < outputs; k++) {
            model->target_offset[k] = small_real(&random) * 1000;
            model->target_offset[outputs + k] = nn__absolute(small_real(&random)) + (nn_real)0.001;
        }
    }
    if (name_classes(model, class_count(spec))) return model;
    nn_model_free(model);
    return NULL;
}

#endif
