/* Activations: values far from 0, where other libraries give NaN, and the derivative of a ReLU that
   is off. Every derivative against differences of the loss: gradient.c; every vector kernel against
   the scalar one: kernels.c. */
#include "../fixtures.h"

/* Its ReLU derivative tests the output, so that dead units get the full gradient. Here one unit is
   dead, one lives, one stands at 0 exactly, where PyTorch's derivative is 0 too. */
static void test_dead_relu_gets_no_gradient(void)
{
    static const nn_layer layers[2] = {NN_DENSE(3, NN_RELU), NN_DENSE(1, NN_LINEAR)};
    static const nn_real theta[10] = {-1, 2, 1, 0, 0, -1, 1, 1, 1, 0};
    static const nn_real x = 1, dy = 1;
    nn_model *model = make_model(1, layers, 2, 1);
    nn_options how = make_options(NN_MSE, NN_SGD, 0.1);
    nn_trainer *trainer = make_trainer(model, &how);
    const nn_real *y = NULL, *g;
    nn_real dx = 99;
    memcpy(nn_parameters(model), theta, sizeof theta);
    CHECK(nn_forward(trainer, &x, 1, &y) == NN_OK && y[0] == 2);
    CHECK(nn_backward(trainer, &dy, &dx) == NN_OK);
    g = nn_gradients(trainer);
    CHECK(g[0] == 0 && g[3] == 0); /* dead: z = -1 */
    CHECK(g[1] == 1 && g[4] == 1); /* alive: z = 2 */
    CHECK(g[2] == 0 && g[5] == 0); /* z = 0 */
    CHECK(g[6] == 0 && g[7] == 2 && g[8] == 0 && g[9] == 1);
    CHECK(dx == 2); /* through the living unit alone */
    nn_trainer_free(trainer);
    nn_model_free(model);
}

/* tanh(100) is NaN there. */
static void test_large_arguments(void)
{
    static const nn_real x[8] = {100, -100, 1e4f, -1e4f, 3e38f, -3e38f, 88.8f, -104};
    nn_real y[8];
    nn_model *model = make_unit(NN_TANH, 1, 0);
    int i;
    memset(y, 0xFF, sizeof y);
    CHECK(nn_predict(model, x, 8, y, NULL) == NN_OK);
    for (i = 0; i < 8; i++) CHECK(y[i] == (x[i] > 0 ? 1 : -1));
    nn_model_free(model);
    model = make_unit(NN_SIGMOID, 1, 0);
    memset(y, 0xFF, sizeof y);
    CHECK(nn_predict(model, x, 8, y, NULL) == NN_OK);
    for (i = 0; i < 8; i++) CHECK_NEAR(y[i], x[i] > 0 ? 1 : exp((double)x[i]), 1e-6, 1e-37);
    nn_model_free(model);
}

/* Softmax is 4.4 % off in AIfES, NaN for (100, 0) in Cranium. */
static void test_softmax(void)
{
    static const nn_real x[7][3] = {{1, 2, 3},      {-0.5f, 0.25f, 0.125f}, {100, 0, 0},
                                    {-80, 0, 5},    {1e4f, -1e4f, 0},       {-3e38f, 3e38f, 0},
                                    {500, 501, 502}};
    nn_real y[7][3];
    nn_model *model = make_identity(3, NN_SOFTMAX);
    int i, k;
    memset(y, 0xFF, sizeof y);
    CHECK(nn_predict(model, x[0], 7, y[0], NULL) == NN_OK);
    for (i = 0; i < 7; i++) {
        double largest = -INFINITY, sum = 0;
        for (k = 0; k < 3; k++) largest = fmax(largest, (double)x[i][k]);
        for (k = 0; k < 3; k++) sum += exp((double)x[i][k] - largest);
        for (k = 0; k < 3; k++)
            CHECK_NEAR(y[i][k], exp((double)x[i][k] - largest) / sum, 1e-6, 1e-37);
    }
    nn_model_free(model);
}

int main(void)
{
    RUN(test_dead_relu_gets_no_gradient);
    RUN(test_large_arguments);
    RUN(test_softmax);
    return test_done();
}
