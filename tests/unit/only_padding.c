/* NN_ONLY_PADDINGS with padding alone: convolutions without it are left out, and the layers that have
   no padding are there. */
#define NN_ONLY_PADDINGS (1u << NN_PADDING_SAME)
#define NN_IMPLEMENTATION
#include "../fixtures.h"

static void test_layers(void)
{
    static const nn_layer same[] = {NN_IMAGE(2, 3, 1), NN_CONV2D(2, 3, 1, NN_PADDING_SAME, NN_RELU),
                                    NN_MAX_POOL2D(2, 1), NN_DENSE(1, NN_LINEAR)};
    static const nn_layer none[] = {NN_IMAGE(2, 3, 1), NN_CONV2D(2, 1, 1, NN_PADDING_NONE, NN_RELU),
                                    NN_MAX_POOL2D(2, 1), NN_DENSE(1, NN_LINEAR)};
    nn_shape shape = {6, same, 4};
    int wrong;
    CHECK(nn_check_shape(&shape, &wrong) == NN_OK && wrong == -1);
    shape.layers = none;
    CHECK(nn_check_shape(&shape, &wrong) == NN_ERROR_LAYER && wrong == 1);
}

/* A kernel of ones sums what it covers: of a constant image, the pixels of its patch. */
static void test_values(void)
{
    static const nn_layer layers[] = {NN_IMAGE(2, 3, 1),
                                      NN_CONV2D(1, 3, 1, NN_PADDING_SAME, NN_LINEAR)};
    static const nn_real x[] = {1, 1, 1, 1, 1, 1}, wanted[] = {4, 6, 4, 4, 6, 4};
    nn_model *model = make_model(6, layers, 2, 1);
    nn_real y[6];
    int i;
    for (i = 0; i < 10; i++) nn_parameters(model)[i] = (nn_real)(i < 9);
    CHECK(nn_predict(model, x, 1, y, NULL) == NN_OK);
    CHECK(!memcmp(y, wanted, sizeof y));
    nn_model_free(model);
}

int main(void)
{
    RUN(test_layers);
    RUN(test_values);
    return test_done();
}
