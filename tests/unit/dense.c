/* Dense layers: what a row or a column gives does not depend on its neighbours. Gradients against
   differences of the loss: gradient.c; every vector kernel against the scalar one: kernels.c. */
#include "../fixtures.h"

/* Its SIMD lanes and its scalar tail differ by 1.7e-4. A row's results must not depend on the rows
   around it, nor a column's on the lane it falls in: every width from 1 to 40. */
static void test_rows_do_not_depend_on_the_batch(void)
{
    enum { ROWS = 37 };
    nn_real x[ROWS * 40], all[ROWS * 40], one[40];
    int width, i, row;
    for (i = 0; i < ROWS * 40; i++) x[i] = (nn_real)((i * 37 % 101) / 50.0 - 1);
    for (width = 1; width <= 40; width++) {
        nn_layer layers[3];
        nn_model *model;
        size_t bytes = (size_t)width * sizeof(nn_real);
        layers[0] = dense_layer(width, NN_TANH);
        layers[1] = dense_layer(width, NN_SIGMOID);
        layers[2] = dense_layer(width, width > 1 ? NN_SOFTMAX : NN_LEAKY_RELU);
        model = make_model(width, layers, 3, 1);
        memset(all, 0xFF, sizeof all);
        CHECK(nn_predict(model, x, ROWS, all, NULL) == NN_OK);
        for (row = 0; row < ROWS; row++) {
            memset(one, 0xFF, sizeof one);
            CHECK(nn_predict(model, x + row * width, 1, one, NULL) == NN_OK);
            CHECK(memcmp(one, all + row * width, bytes) == 0);
        }
        nn_model_free(model);
    }
}

/* All columns have the same weights: every lane and the tail must give the same bits, forward and
   in the gradients. */
static void test_columns_do_not_depend_on_the_lane(void)
{
    static const nn_activation activations[5] = {NN_LINEAR, NN_RELU, NN_SIGMOID, NN_TANH,
                                                 NN_LEAKY_RELU};
    enum { INPUTS = 9 };
    nn_real x[INPUTS], dy[40];
    int i, width;
    for (i = 0; i < INPUTS; i++) x[i] = (nn_real)(0.37 * i - 1.3);
    for (i = 0; i < 40; i++) dy[i] = (nn_real)0.7;
    for (width = 1; width <= 40; width++) {
        nn_options how = make_options(NN_MSE, NN_SGD, 1);
        nn_layer layer;
        nn_model *model;
        nn_trainer *trainer;
        const nn_real *y = NULL, *g;
        layer = dense_layer(width, activations[width % 5]);
        model = make_model(INPUTS, &layer, 1, 1);
        for (i = 0; i < (INPUTS + 1) * width; i++)
            nn_parameters(model)[i] = (nn_real)(i / width * 0.11 - 0.4);
        trainer = make_trainer(model, &how);
        CHECK(nn_forward(trainer, x, 1, &y) == NN_OK);
        for (i = 0; i < width; i++) CHECK(memcmp(y + i, y, sizeof *y) == 0);
        CHECK(nn_backward(trainer, dy, NULL) == NN_OK);
        g = nn_gradients(trainer);
        for (i = 0; i < (INPUTS + 1) * width; i++)
            CHECK(memcmp(g + i, g + i / width * width, sizeof *g) == 0);
        nn_trainer_free(trainer);
        nn_model_free(model);
    }
}

int main(void)
{
    RUN(test_rows_do_not_depend_on_the_batch);
    RUN(test_columns_do_not_depend_on_the_lane);
    return test_done();
}
