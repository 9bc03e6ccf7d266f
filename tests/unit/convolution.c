/* Convolutions and pools: their shapes, their values against loops that were written from the
   definitions, their memory, and what every net can do. Usage: convolution [seed] */
#include "../fixtures.h"

#include <limits.h>

static uint64_t first_seed = 1;

/* ---- Shapes ---------------------------------------------------------------------------------- */

typedef struct bad {
    nn_layer layers[4];
    int count, inputs, wrong; /* the number of the layer that is wrong */
    nn_status status;
} bad;

#define SAME NN_PADDING_SAME
#define NONE NN_PADDING_NONE
#define LAST NN_DENSE(2, NN_LINEAR)

static void test_shapes_that_are_refused(void)
{
    static const bad rows[] = {
        /* the image and its place */
        {{NN_IMAGE(3, 4, 2), LAST}, 2, 23, 0, NN_ERROR_IMAGE},
        {{NN_IMAGE(3, 4, 2), LAST}, 2, 25, 0, NN_ERROR_IMAGE},
        {{NN_IMAGE(3, 4, 2)}, 1, 24, 0, NN_ERROR_IMAGE},
        {{LAST, NN_IMAGE(1, 2, 1), LAST}, 3, 24, 1, NN_ERROR_IMAGE},
        {{NN_IMAGE(3, 4, 2), NN_IMAGE(3, 4, 2), LAST}, 3, 24, 1, NN_ERROR_IMAGE},
        {{NN_CONV2D(2, 1, 1, NONE, NN_RELU), LAST}, 2, 24, 0, NN_ERROR_IMAGE},
        {{NN_MAX_POOL2D(1, 1), LAST}, 2, 24, 0, NN_ERROR_IMAGE},
        {{NN_GLOBAL_AVERAGE, LAST}, 2, 24, 0, NN_ERROR_IMAGE},
        {{NN_IMAGE(3, 4, 2), LAST, NN_CONV2D(2, 1, 1, NONE, NN_RELU)}, 3, 24, 2, NN_ERROR_IMAGE},
        {{NN_IMAGE(0, 4, 2), LAST}, 2, 24, 0, NN_ERROR_SIZE},
        {{NN_IMAGE(3, -4, 2), LAST}, 2, 24, 0, NN_ERROR_SIZE},
        {{NN_IMAGE(3, 4, 0), LAST}, 2, 24, 0, NN_ERROR_SIZE},
        {{NN_IMAGE(INT_MAX, INT_MAX, INT_MAX), LAST}, 2, 24, 0, NN_ERROR_IMAGE},
        {{NN_IMAGE(65536, 65536, 1), LAST}, 2, 24, 0, NN_ERROR_IMAGE},
        /* kernels and windows */
        {{NN_IMAGE(3, 4, 2), NN_CONV2D(2, 4, 1, NONE, NN_RELU), LAST}, 3, 24, 1, NN_ERROR_KERNEL},
        {{NN_IMAGE(3, 4, 2), NN_CONVOLUTION(2, 1, 5, 1, 1, NONE, NN_RELU), LAST},
         3,
         24,
         1,
         NN_ERROR_KERNEL},
        {{NN_IMAGE(3, 4, 2), NN_MAX_POOL2D(4, 1), LAST}, 3, 24, 1, NN_ERROR_WINDOW},
        {{NN_IMAGE(3, 4, 2), NN_AVERAGE_POOL(1, 5, 1, 1), LAST}, 3, 24, 1, NN_ERROR_WINDOW},
        {{NN_IMAGE(3, 4, 2), NN_MAX_POOL2D(2, 2), NN_MAX_POOL2D(2, 2), LAST},
         4,
         24,
         2,
         NN_ERROR_WINDOW},
        {{NN_IMAGE(3, 4, 2), NN_CONV2D(0, 1, 1, NONE, NN_RELU), LAST}, 3, 24, 1, NN_ERROR_SIZE},
        {{NN_IMAGE(3, 4, 2), NN_CONV2D(2, 0, 1, NONE, NN_RELU), LAST}, 3, 24, 1, NN_ERROR_SIZE},
        {{NN_IMAGE(3, 4, 2), NN_CONV2D(2, 1, -1, NONE, NN_RELU), LAST}, 3, 24, 1, NN_ERROR_SIZE},
        {{NN_IMAGE(3, 4, 2), NN_MAX_POOL2D(0, 1), LAST}, 3, 24, 1, NN_ERROR_SIZE},
        {{NN_IMAGE(3, 4, 2), NN_MAX_POOL2D(1, -1), LAST}, 3, 24, 1, NN_ERROR_SIZE},
        {{NN_IMAGE(3, 4, 2), NN_CONV2D(INT_MAX, 1, 1, NONE, NN_RELU), LAST},
         3,
         24,
         1,
         NN_ERROR_OVERFLOW},
        {{NN_IMAGE(3, 4, 2), NN_CONV2D(2, INT_MAX, 1, SAME, NN_RELU), LAST},
         3,
         24,
         1,
         NN_ERROR_OVERFLOW},
        {{NN_IMAGE(3, 4, 2), NN_CONV2D(2, 40000, 1, SAME, NN_RELU), LAST},
         3,
         24,
         1,
         NN_ERROR_OVERFLOW},
        {{NN_IMAGE(3, 4, 2), NN_MAX_POOL2D(INT_MAX, 1), LAST}, 3, 24, 1, NN_ERROR_OVERFLOW},
        /* padding and activation are swapped: this compiles in C */
        {{NN_IMAGE(3, 4, 2), NN_CONV2D(2, 1, 1, (nn_padding)NN_RELU, (nn_activation)NONE), LAST},
         3,
         24,
         1,
         NN_ERROR_LAYER},
        {{NN_IMAGE(3, 4, 2),
          NN_CONV2D(2, 1, 1, (nn_padding)NN_LINEAR, (nn_activation)NN_PADDING_SAME), LAST},
         3,
         24,
         1,
         NN_ERROR_ACTIVATION},
        {{NN_IMAGE(3, 4, 2), NN_CONV2D(2, 1, 1, (nn_padding)2, NN_RELU), LAST},
         3,
         24,
         1,
         NN_ERROR_LAYER},
        {{NN_IMAGE(3, 4, 2), NN_CONV2D(2, 1, 1, (nn_padding)-1, NN_RELU), LAST},
         3,
         24,
         1,
         NN_ERROR_LAYER},
        /* activations */
        {{NN_IMAGE(3, 4, 2), NN_CONV2D(2, 1, 1, NONE, NN_SOFTMAX)}, 2, 24, 1, NN_ERROR_ACTIVATION},
        {{NN_IMAGE(3, 4, 2), NN_CONV2D(2, 1, 1, NONE, (nn_activation)99), LAST},
         3,
         24,
         1,
         NN_ERROR_ACTIVATION},
        {{{NN_LAYER_IMAGE, NN_RELU, 4, 3, 2, 0, 0, NONE}, LAST}, 2, 24, 0, NN_ERROR_ACTIVATION},
        {{NN_IMAGE(3, 4, 2), {NN_LAYER_MAX_POOL, NN_RELU, 1, 1, 0, 1, 1, NONE}, LAST},
         3,
         24,
         1,
         NN_ERROR_ACTIVATION},
        {{NN_IMAGE(3, 4, 2), {NN_LAYER_GLOBAL_AVERAGE, NN_TANH, 0, 0, 0, 0, 0, NONE}, LAST},
         3,
         24,
         1,
         NN_ERROR_ACTIVATION},
    };
    int i, wrong;

    for (i = 0; i < COUNT_OF(rows); i++) {
        const bad *row = &rows[i];
        nn_shape shape;
        nn_model *model = (nn_model *)(void *)&shape;

        shape.inputs = row->inputs;
        shape.layers = row->layers;
        shape.count = row->count;
        wrong = 77;
        if (!CHECK(nn_check_shape(&shape, &wrong) == row->status && wrong == row->wrong))
            printf("row %d\n", i);
        CHECK(nn_check_shape(&shape, NULL) == row->status);
        CHECK(nn_model_size(&shape) == 0);
        CHECK(nn_model_create(&model, row->inputs, row->layers, row->count, 1) == row->status);
        CHECK(model == NULL);
    }
    CHECK(nn_check_shape(NULL, &wrong) == NN_ERROR_NULL && wrong == -1);
}

/* A field that a kind of layer does not have must be 0. */
static void test_fields_without_effect(void)
{
    static const nn_layer good[] = {
        NN_DENSE(24, NN_RELU), NN_IMAGE(3, 4, 2),       NN_CONV2D(2, 2, 1, SAME, NN_RELU),
        NN_MAX_POOL2D(2, 2),   NN_AVERAGE_POOL2D(2, 2), NN_GLOBAL_AVERAGE};
    /* of width, height, channels, stride_height, stride_width, padding */
    static const char *const fields[] = {"w.....", "whc...", "whcssp",
                                         "wh.ss.", "wh.ss.", "......"};
    int i, k, wrong;

    for (i = 0; i < COUNT_OF(good); i++)
        for (k = 0; k < 6; k++) {
            nn_layer layers[3] = {NN_IMAGE(3, 4, 2), NN_IMAGE(3, 4, 2), LAST};
            nn_layer *layer = layers + (i > 1);
            int *const field[] = {&layer->width, &layer->height, &layer->channels,
                                  &layer->stride_height, &layer->stride_width};
            nn_shape shape;

            *layer = good[i];
            if (k == 5)
                layer->padding = SAME;
            else if (!*field[k])
                *field[k] = 1;
            if (i < 2) layers[1] = layers[2];
            shape.inputs = 24;
            shape.layers = layers;
            shape.count = i < 2 ? 2 : 3;
            if (fields[i][k] == '.')
                CHECK(nn_check_shape(&shape, &wrong) == NN_ERROR_LAYER && wrong == (i > 1));
            else
                CHECK(nn_check_shape(&shape, &wrong) == NN_OK && wrong == -1);
        }
}

/* Numbers up to INT_MAX in every field of every layer are refused or have a size: nothing overflows,
   which the sanitizers would find. */
static void test_extreme_fields(void)
{
    static const int extremes[] = {-INT_MAX, INT_MAX,     INT_MAX - 1, INT_MAX - 64,
                                   46341,    INT_MAX / 2, 65536,       INT_MAX / 24};
    static const nn_layer middle[] = {NN_CONV2D(2, 2, 1, SAME, NN_RELU),
                                      NN_CONV2D(2, 2, 1, NONE, NN_RELU), NN_MAX_POOL2D(2, 2),
                                      NN_AVERAGE_POOL2D(2, 2)};
    int i, k, first, second, refused = 0, accepted = 0;

    for (i = 0; i < COUNT_OF(middle) * 8 * 8; i++)
        for (first = 0; first < 8; first++)
            for (second = 0; second < 8; second++) {
                nn_layer layers[3] = {NN_IMAGE(3, 4, 2), NN_GLOBAL_AVERAGE, LAST};
                int *const field[] = {&layers[0].height,       &layers[0].width,
                                      &layers[0].channels,     &layers[1].height,
                                      &layers[1].width,        &layers[1].channels,
                                      &layers[1].stride_width, &layers[2].width};
                nn_shape shape;
                nn_status status;
                int wrong = 77;

                layers[1] = middle[i / 64];
                *field[first] = extremes[i / 8 % 8];
                *field[second] = extremes[i % 8];
                shape.inputs = 24;
                for (k = 0; k < 3; k++) /* an image that fits its row, where one can */
                    if (*field[k] == 65536 && first != second && first < 3 && second > 2)
                        shape.inputs = 65536 * (24 / (k == 0 ? 3 : k == 1 ? 4 : 2));
                shape.layers = layers;
                shape.count = 3;
                status = nn_check_shape(&shape, &wrong);
                CHECK(status == NN_OK ? wrong == -1 : wrong >= 0 && wrong < 3);
                if (status == NN_OK)
                    accepted++;
                else
                    refused++, CHECK(nn_model_size(&shape) == 0);
            }
    CHECK(refused > 1000 && accepted > 100);
}

/* What the documentation says of the number of positions. */
static void test_positions(void)
{
    int n, kernel, stride;

    for (n = 1; n <= 12; n++)
        for (kernel = 1; kernel <= 7; kernel++)
            for (stride = 1; stride <= 4; stride++) {
                const nn_layer same[] = {NN_IMAGE(1, n, 1),
                                         NN_CONV1D(1, kernel, stride, SAME, NN_LINEAR)};
                const nn_layer none[] = {NN_IMAGE(1, n, 1),
                                         NN_CONV1D(1, kernel, stride, NONE, NN_LINEAR)};
                nn_model *model = make_model(n, same, 2, 1);

                CHECK(nn_outputs(model) == (n + stride - 1) / stride);
                nn_model_free(model);
                if (kernel > n) continue;
                model = make_model(n, none, 2, 1);
                CHECK(nn_outputs(model) == (n - kernel) / stride + 1);
                nn_model_free(model);
            }
    CHECK(nn_outputs(NULL) == 0);
}

/* ---- Values ---------------------------------------------------------------------------------- */

typedef struct image {
    int height, width, channels;
    double at[4096];
} image;

/* The number at a pixel, or 0 beyond the edges. */
static double pixel(const image *from, int line, int column, int channel)
{
    if (line < 0 || column < 0 || line >= from->height || column >= from->width) return 0;
    return from->at[(line * from->width + column) * from->channels + channel];
}

/* y(i, j, c) = the sum of x(i s - p + k, j t - q + l, d) w(k, l, d, c), plus b(c). */
static void convolve(const nn_layer *layer, const nn_real *w, const nn_real *b, const image *x,
                     image *y)
{
    const int s = layer->stride_height ? layer->stride_height : 1;
    const int t = layer->stride_width ? layer->stride_width : 1;
    const int p = layer->padding == SAME ? (layer->height - 1) / 2 : 0;
    const int q = layer->padding == SAME ? (layer->width - 1) / 2 : 0;
    int i, j, c, k, l, d;

    y->channels = layer->channels;
    y->height =
        layer->padding == SAME ? (x->height + s - 1) / s : (x->height - layer->height) / s + 1;
    y->width = layer->padding == SAME ? (x->width + t - 1) / t : (x->width - layer->width) / t + 1;
    for (i = 0; i < y->height; i++)
        for (j = 0; j < y->width; j++)
            for (c = 0; c < y->channels; c++) {
                double sum = (double)b[c];
                for (k = 0; k < layer->height; k++)
                    for (l = 0; l < layer->width; l++)
                        for (d = 0; d < x->channels; d++)
                            sum +=
                                pixel(x, i * s - p + k, j * t - q + l, d) *
                                (double)
                                    w[((k * layer->width + l) * x->channels + d) * y->channels + c];
                y->at[(i * y->width + j) * y->channels + c] = sum;
            }
}

static void pool(const nn_layer *layer, const image *x, image *y)
{
    const int whole = layer->kind == NN_LAYER_GLOBAL_AVERAGE;
    const int h = whole ? x->height : layer->height, w = whole ? x->width : layer->width;
    const int s = layer->stride_height ? layer->stride_height : h;
    const int t = layer->stride_width ? layer->stride_width : w;
    int i, j, c, k, l;

    y->channels = x->channels;
    y->height = (x->height - h) / s + 1;
    y->width = (x->width - w) / t + 1;
    for (i = 0; i < y->height; i++)
        for (j = 0; j < y->width; j++)
            for (c = 0; c < x->channels; c++) {
                double sum = 0, most = -HUGE_VAL;
                for (k = 0; k < h; k++)
                    for (l = 0; l < w; l++) {
                        const double v = pixel(x, i * s + k, j * t + l, c);
                        sum += v;
                        if (v > most) most = v;
                    }
                y->at[(i * y->width + j) * x->channels + c] =
                    layer->kind == NN_LAYER_MAX_POOL ? most : sum / (h * w);
            }
}

/* Draws one convolution or pool that the image can have. */
static int draw_layer(nn_layer *layer, const image *x)
{
    static const nn_layer_kind kinds[] = {NN_LAYER_CONVOLUTION,  NN_LAYER_CONVOLUTION,
                                          NN_LAYER_CONVOLUTION,  NN_LAYER_MAX_POOL,
                                          NN_LAYER_AVERAGE_POOL, NN_LAYER_GLOBAL_AVERAGE};
    memset(layer, 0, sizeof *layer);
    layer->kind = kinds[random_below(6)];
    if (layer->kind == NN_LAYER_GLOBAL_AVERAGE) return 1;
    layer->height = 1 + random_below(5);
    layer->width = 1 + random_below(5);
    layer->stride_height = random_below(4);
    layer->stride_width = random_below(4);
    if (layer->kind == NN_LAYER_CONVOLUTION) {
        layer->channels = 1 + random_below(random_below(2) ? 4 : 34);
        layer->padding = random_below(2) ? NN_PADDING_SAME : NN_PADDING_NONE;
        if (layer->padding == SAME) return 1;
    }
    return layer->height <= x->height && layer->width <= x->width;
}

/* Layers of all kinds, two behind each other, give what the definitions say. */
static void test_values(void)
{
    static image x, y;
    static nn_real row[2 * 4096], out[2 * 4096];
    const double tolerance = sizeof(nn_real) == 4 ? 2e-5 : 1e-13;
    int n, i, k;

    for (n = 0; n < 400; n++) {
        nn_layer layers[3] = {NN_IMAGE(1, 1, 1), NN_GLOBAL_AVERAGE, NN_GLOBAL_AVERAGE};
        nn_layer_arrays arrays;
        nn_model *model;

        random_state = first_seed + (uint64_t)n;
        layers[0].height = x.height = 1 + random_below(9);
        layers[0].width = x.width = 1 + random_below(9);
        layers[0].channels = x.channels = 1 + random_below(random_below(2) ? 3 : 18);
        for (i = 0; i < x.height * x.width * x.channels; i++) {
            row[i] = (nn_real)uniform(-1, 1);
            x.at[i] = (double)row[i];
        }
        while (!draw_layer(&layers[1], &x)) continue;
        model = make_model(i, layers, 2, (uint64_t)n);
        CHECK(nn_layer_parameters(model, 1, &arrays) == NN_OK);
        if (layers[1].kind == NN_LAYER_CONVOLUTION) {
            CHECK(arrays.inputs == layers[1].height * layers[1].width * x.channels);
            CHECK(arrays.outputs == layers[1].channels);
            convolve(&layers[1], arrays.weights, arrays.biases, &x, &y);
        } else {
            CHECK(!arrays.inputs && !arrays.outputs && !arrays.weights && !arrays.biases);
            pool(&layers[1], &x, &y);
        }
        memcpy(row + i, row, (size_t)i * sizeof *row); /* the second row is a multiple */
        for (k = 0; k < i; k++) row[i + k] *= 2;
        for (k = 0; k < COUNT_OF(out); k++) out[k] = (nn_real)NAN;
        if (CHECK(nn_outputs(model) == y.height * y.width * y.channels) &&
            CHECK(nn_predict(model, row, 2, out, NULL) == NN_OK)) {
            for (k = 0; k < nn_outputs(model); k++) CHECK_NEAR(out[k], y.at[k], tolerance, 1);
            if (layers[1].kind != NN_LAYER_CONVOLUTION)
                for (k = 0; k < nn_outputs(model); k++)
                    CHECK(out[nn_outputs(model) + k] == 2 * out[k]);
        }
        if (test_bad) printf("seed %lu\n", (unsigned long)(first_seed + (uint64_t)n));
        nn_model_free(model);
    }
}

/* A dense layer behind an image takes its numbers in their order. */
static void test_dense_behind_an_image(void)
{
    static const nn_layer image_first[] = {NN_IMAGE(2, 3, 2), NN_DENSE(4, NN_TANH)};
    static const nn_layer plain[] = {NN_DENSE(4, NN_TANH)};
    nn_model *a = make_model(12, image_first, 2, 5), *b = make_model(12, plain, 1, 5);
    nn_real x[12], y[4], z[4];
    int i;

    for (i = 0; i < 12; i++) x[i] = (nn_real)(i % 5) - 2;
    CHECK(same_parameters(a, b));
    CHECK(nn_predict(a, x, 1, y, NULL) == NN_OK && nn_predict(b, x, 1, z, NULL) == NN_OK);
    CHECK(!memcmp(y, z, sizeof y));
    nn_model_free(a);
    nn_model_free(b);
}

/* ---- What every net can do ------------------------------------------------------------------- */

enum { NET_ROWS = 30, NET_INPUTS = 6 * 5 * 2 };

static const nn_layer net[] = {
    NN_IMAGE(6, 5, 2),           NN_CONV2D(5, 3, 1, NN_PADDING_SAME, NN_GELU),
    NN_MAX_POOL2D(2, 1),         NN_CONVOLUTION(4, 2, 3, 2, 1, NN_PADDING_NONE, NN_RELU),
    NN_AVERAGE_POOL(1, 2, 1, 1), NN_DENSE(6, NN_SILU),
    NN_DENSE(3, NN_SOFTMAX)};

static nn_data net_data(void)
{
    static nn_real x[NET_ROWS * NET_INPUTS];
    static int labels[NET_ROWS];
    nn_data data = make_data(x, NULL, NET_ROWS, NET_INPUTS, 3);
    int i;

    random_state = 9;
    for (i = 0; i < NET_ROWS; i++) labels[i] = i % 3;
    for (i = 0; i < NET_ROWS * NET_INPUTS; i++)
        x[i] = (nn_real)(uniform(-1, 1) + 0.3 * labels[i / NET_INPUTS] * (i % 2));
    data.classes = 3;
    data.labels = labels;
    return data;
}

static nn_options net_options(void)
{
    nn_options how = make_options(NN_CROSS_ENTROPY, NN_ADAM, 0.01);

    how.epochs = 4;
    how.batch_size = 8;
    how.seed = 3;
    return how;
}

static nn_model *fitted(const nn_options *how)
{
    const nn_data data = net_data();
    nn_model *model = make_model(NET_INPUTS, net, COUNT_OF(net), 2);

    CHECK(nn_fit(model, &data, how) == NN_OK);
    return model;
}

/* Training lowers the loss, and micro-batches of any size give the same bits. */
static void test_training(void)
{
    const nn_data data = net_data();
    nn_options how = net_options();
    nn_model *untrained = make_model(NET_INPUTS, net, COUNT_OF(net), 2), *whole = fitted(&how);
    nn_metrics before, after;
    int micro;

    CHECK(evaluate(untrained, &data, NN_CROSS_ENTROPY, &before) == NN_OK);
    CHECK(evaluate(whole, &data, NN_CROSS_ENTROPY, &after) == NN_OK);
    CHECK(after.loss < before.loss && all_finite(whole) && !same_parameters(whole, untrained));
    for (micro = 1; micro < 8; micro++) {
        nn_model *parts;

        how.micro_batch_size = micro;
        parts = fitted(&how);
        CHECK(same_parameters(whole, parts));
        nn_model_free(parts);
    }
    nn_model_free(untrained);
    nn_model_free(whole);
}

/* A stride may be longer than any line, up to INT_MAX: then there is one position. */
static void test_long_strides(void)
{
    static const int strides[] = {6, 70000, INT_MAX / 2 + 1, INT_MAX};
    const nn_data data = net_data();
    const nn_options how = net_options();
    nn_model *first = NULL, *model;
    int i;

    for (i = 0; i < COUNT_OF(strides); i++, first = first ? first : model) {
        const int s = strides[i];
        const nn_layer layers[] = {NN_IMAGE(6, 5, 2),
                                   NN_CONVOLUTION(17, 2, 2, 1, s, SAME, NN_TANH),
                                   NN_CONVOLUTION(5, 3, 1, s, s, NONE, NN_RELU),
                                   NN_MAX_POOL(1, 1, s, 1),
                                   NN_AVERAGE_POOL(1, 1, 1, s),
                                   NN_DENSE(3, NN_SOFTMAX)};

        model = make_model(NET_INPUTS, layers, COUNT_OF(layers), 2);
        CHECK(nn_fit(model, &data, &how) == NN_OK);
        if (i) CHECK(same_parameters(first, model));
        if (i) nn_model_free(model);
    }
    nn_model_free(first);
}

static void test_dropout(void)
{
    static nn_real dropout[COUNT_OF(net)] = {0, 0.3f, 0.2f, 0.3f, 0, 0.1f, 0};
    nn_options how = net_options();
    nn_model *without = fitted(&how), *with, *again;

    how.dropout = dropout;
    with = fitted(&how);
    again = fitted(&how);
    CHECK(same_parameters(with, again) && !same_parameters(with, without));
    dropout[0] = 0.1f; /* an image has none */
    CHECK(nn_trainer_size(with, &how) == 0);
    dropout[0] = 0;
    nn_model_free(without);
    nn_model_free(with);
    nn_model_free(again);
}

/* One row at a time, by one thread's own scratch memory, as all rows together; and a copy. */
static void test_predicting(void)
{
    const nn_options how = net_options();
    const nn_data data = net_data();
    nn_model *model = fitted(&how), *copy;
    nn_real all[NET_ROWS * 3], one[3];
    int classes[NET_ROWS], i;
    void *scratch = malloc(nn_scratch_size(model, 1));

    CHECK(nn_model_copy(&copy, model) == NN_OK && same_shape(copy, model));
    CHECK(nn_predict(model, data.x, NET_ROWS, all, NULL) == NN_OK);
    CHECK(nn_predict_classes(model, data.x, NET_ROWS, classes, NULL) == NN_OK);
    for (i = 0; i < NET_ROWS; i++) {
        CHECK(nn_predict(copy, data.x + i * NET_INPUTS, 1, one, scratch) == NN_OK);
        CHECK(!memcmp(one, all + 3 * i, sizeof one));
        CHECK(all[3 * i + classes[i]] >= one[0] && all[3 * i + classes[i]] >= one[2]);
    }
    free(scratch);
    nn_model_free(copy);
    nn_model_free(model);
}

/* Scratch memory of exactly the stated size is enough for any number of rows. */
static void test_scratch_sizes(void)
{
    const nn_data data = net_data();
    nn_model *model = make_model(NET_INPUTS, net, COUNT_OF(net), 2);
    nn_real all[NET_ROWS * 3], some[NET_ROWS * 3];
    int rows;

    CHECK(nn_predict(model, data.x, NET_ROWS, all, NULL) == NN_OK);
    for (rows = 1; rows <= NET_ROWS; rows++) {
        void *scratch = malloc(nn_scratch_size(model, rows));

        CHECK(nn_predict(model, data.x, rows, some, scratch) == NN_OK);
        CHECK(!memcmp(some, all, (size_t)rows * 3 * sizeof *some));
        free(scratch);
    }
    nn_model_free(model);
}

/* Blocks of exactly the stated sizes are enough, and a byte less is not. */
static void test_sizes(void)
{
    const nn_data data = net_data();
    nn_options how = net_options();
    nn_model *model, *heap = make_model(NET_INPUTS, net, COUNT_OF(net), 2);
    nn_trainer *trainer;
    nn_shape shape;
    size_t size, trainer_size;
    void *block, *trainer_block;

    CHECK(nn_get_shape(heap, &shape) == NN_OK && shape.count == COUNT_OF(net));
    size = nn_model_size(&shape);
    block = malloc(size);
    CHECK(nn_model_create_in(&model, block, size - 1, &shape, 2) == NN_ERROR_BLOCK);
    if (!CHECK(nn_model_create_in(&model, block, size, &shape, 2) == NN_OK)) return;
    CHECK(same_parameters(model, heap));
    for (how.micro_batch_size = 0; how.micro_batch_size < 4; how.micro_batch_size++) {
        trainer_size = nn_trainer_size(model, &how);
        trainer_block = malloc(trainer_size);
        CHECK(nn_trainer_create_in(&trainer, trainer_block, trainer_size - 1, model, &how) ==
              NN_ERROR_BLOCK);
        if (CHECK(nn_trainer_create_in(&trainer, trainer_block, trainer_size, model, &how) ==
                  NN_OK))
            CHECK(nn_trainer_fit(trainer, &data) == NN_OK);
        nn_trainer_free(trainer);
        free(trainer_block);
    }
    nn_model_free(model);
    free(block);
    nn_model_free(heap);
}

static void test_the_rest(void)
{
    nn_options how = net_options();
    const nn_data data = net_data();
    nn_metrics folds[3];
    nn_input_importance importance[NET_INPUTS];
    nn_model *model;
    nn_shape shape;
    int matrix[9], i, sum = 0;

    how.validation_fraction = 0.3f;
    how.patience = 2;
    how.scaling = NN_SCALE_STANDARD;
    model = fitted(&how);
    CHECK(nn_confusion_matrix(model, &data, matrix) == NN_OK);
    for (i = 0; i < 9; i++) sum += matrix[i];
    CHECK(sum == NET_ROWS);
    how = net_options();
    CHECK(nn_importance(model, &data, &how, 2, importance) == NN_OK);
    CHECK(nn_get_shape(model, &shape) == NN_OK);
    CHECK(nn_cross_validate(&shape, &data, &how, 3, folds) == NN_OK && folds[2].rows == 10);
    CHECK(nn_initialize(model, NN_INITIALIZE_HE, 1) == NN_OK && all_finite(model));
    nn_model_free(model);
}

/* The bounds of the initial weights of a convolution: fan_in is the kernel's area times the
   channels before it, fan_out the area times its own. */
static void test_initialization(void)
{
    static const nn_layer layers[] = {NN_IMAGE(5, 5, 3),
                                      NN_CONVOLUTION(40, 3, 2, 1, 1, NN_PADDING_NONE, NN_RELU)};
    static const double squares[] = {1.0 / 18, 6.0 / 18, 6.0 / (18 + 240), 3.0 / 18};
    nn_model *model = make_model(75, layers, 2, 1);
    nn_layer_arrays arrays;
    int scheme, i;

    CHECK(nn_layer_parameters(model, 1, &arrays) == NN_OK && arrays.inputs == 18);
    for (scheme = 0; scheme < 4; scheme++) {
        double most = 0;

        CHECK(nn_initialize(model, (nn_initialization)scheme, 1) == NN_OK);
        for (i = 0; i < 18 * 40; i++) most = fmax(most, fabs((double)arrays.weights[i]));
        CHECK(most <= sqrt(squares[scheme]) * 1.000001 && most > 0.98 * sqrt(squares[scheme]));
        for (i = 0; i < 40; i++) CHECK((arrays.biases[i] == 0) == (scheme > 0));
    }
    nn_model_free(model);
}

int main(int argc, char **argv)
{
    if (argc > 1) first_seed = (uint64_t)strtoul(argv[1], NULL, 10);
    RUN(test_shapes_that_are_refused);
    RUN(test_fields_without_effect);
    RUN(test_extreme_fields);
    RUN(test_positions);
    RUN(test_values);
    RUN(test_dense_behind_an_image);
    RUN(test_training);
    RUN(test_long_strides);
    RUN(test_dropout);
    RUN(test_predicting);
    RUN(test_scratch_sizes);
    RUN(test_sizes);
    RUN(test_the_rest);
    RUN(test_initialization);
    return test_done();
}
