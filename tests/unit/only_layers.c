/* NN_ONLY_LAYERS, NN_ONLY_PADDINGS and NN_NO_OPEN: what is left out is refused everywhere, and what is
   left gives the same numbers as ever: the values are those of a net of max pools, without padding,
   that are computed here. */
#define NN_ONLY_LAYERS                                                                             \
    (1u << NN_LAYER_DENSE | 1u << NN_LAYER_IMAGE | 1u << NN_LAYER_CONVOLUTION |                    \
     1u << NN_LAYER_MAX_POOL)
#define NN_ONLY_PADDINGS (1u << NN_PADDING_NONE)
#define NN_NO_OPEN
#ifndef NN_NO_SIMD
#define NN_NO_SIMD /* the scalar kernels alone leave anything out */
#endif
#define NN_IMPLEMENTATION
#include "files.h"

enum { SAMPLES = 8, CHANNELS = 2, INPUTS = SAMPLES * CHANNELS };

/* An image, one more layer, and a dense one. */
static nn_status try_layer(nn_layer layer)
{
    static const nn_layer image[] = {NN_IMAGE(1, SAMPLES, CHANNELS)};
    nn_layer layers[3];
    nn_shape shape;
    nn_model *model;
    nn_status status;
    int wrong;

    layers[0] = image[0];
    layers[1] = layer;
    layers[2] = dense_layer(2, NN_LINEAR);
    shape.inputs = INPUTS;
    shape.layers = layers;
    shape.count = 3;
    status = nn_check_shape(&shape, &wrong);
    CHECK(wrong == (status == NN_OK ? -1 : 1));
    CHECK((nn_model_size(&shape) > 0) == (status == NN_OK));
    CHECK(nn_model_create(&model, INPUTS, layers, 3, 1) == status);
    nn_model_free(model);
    return status;
}

static void test_layers(void)
{
    static const nn_layer left[] = {NN_CONV1D(3, 3, 1, NN_PADDING_NONE, NN_RELU),
                                    NN_MAX_POOL1D(2, 2), NN_DENSE(3, NN_RELU)};
    static const nn_layer out[] = {NN_CONV1D(3, 3, 1, NN_PADDING_SAME, NN_RELU),
                                   NN_AVERAGE_POOL1D(2, 2), NN_GLOBAL_AVERAGE};
    int i;
    for (i = 0; i < COUNT_OF(left); i++) CHECK(try_layer(left[i]) == NN_OK);
    for (i = 0; i < COUNT_OF(out); i++) CHECK(try_layer(out[i]) == NN_ERROR_LAYER);
}

/* One channel that is the sum of two neighbours, of which the largest of each three is the output. */
static void test_values(void)
{
    static const nn_layer layers[] = {
        NN_IMAGE(1, 7, 1), NN_CONV1D(1, 2, 1, NN_PADDING_NONE, NN_LINEAR), NN_MAX_POOL1D(3, 3)};
    static const nn_real x[] = {1, 5, -2, 4, -3, -6, 2}, dy[] = {1, 10};
    const nn_options how = make_options(NN_MSE, NN_SGD, 0);
    const nn_real *y;
    nn_real dx[7];
    nn_model *model = make_model(7, layers, 3, 1);
    nn_trainer *trainer;
    int i;
    static const nn_real wanted[] = {1, 1, 0, 10, 10, 0, 0};
    nn_parameters(model)[0] = nn_parameters(model)[1] = 1;
    nn_parameters(model)[2] = 0;
    if (!CHECK(nn_trainer_create(&trainer, model, &how) == NN_OK)) return;
    CHECK(nn_forward(trainer, x, 1, &y) == NN_OK);
    CHECK(y[0] == 6 && y[1] == 1); /* 6, 3, 2 and 1, -9, -4 */
    CHECK(nn_backward(trainer, dy, dx) == NN_OK);
    for (i = 0; i < 7; i++) CHECK(dx[i] == wanted[i]);
    CHECK(nn_gradients(trainer)[0] == 1 + 40 && nn_gradients(trainer)[1] == 5 - 30);
    CHECK(nn_gradients(trainer)[2] == 11);
    nn_trainer_free(trainer);
    nn_model_free(model);
}

/* A file can be loaded, but not be opened where it is. */
static void test_open(void)
{
    static const nn_layer layers[] = {NN_DENSE(3, NN_RELU), NN_DENSE(2, NN_LINEAR)};
    static unsigned char memory[4096];
    nn_model *model = make_model(3, layers, 2, 1), *loaded = NULL, *opened = model;
    const bytes file = save_model(model);
    CHECK(nn_load_memory(&loaded, file.at, file.size, NULL) == NN_OK);
    CHECK(same_predictions(model, loaded));
    CHECK(nn_model_open_in(&opened, memory, sizeof memory, file.at, file.size) ==
          NN_ERROR_READ_ONLY);
    CHECK(opened == NULL);
    nn_model_free(loaded);
    nn_model_free(model);
    free(file.at);
}

int main(void)
{
    RUN(test_layers);
    RUN(test_values);
    RUN(test_open);
    return test_done();
}
