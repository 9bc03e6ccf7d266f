/* Several threads predict with one const model, each with its own scratch, and make and train
   models of their own: the same bits as alone. For ThreadSanitizer as well. Needs -pthread. */
#define _POSIX_C_SOURCE   200809L
#define NN_IMPLEMENTATION /* without the heap that counts, which threads cannot share */
#define NN_BACKEND        getenv("NN_BACKEND") /* test.h's own notes that it was asked: a race here */
#include "../test.h"

#include "../../nn.h"

#include <pthread.h>

enum { THREADS = 4, ROWS = 150, INPUTS = 11, OUTPUTS = 5, ROUNDS = 20 };

typedef struct worker {
    const nn_model *model;
    const nn_real *x;
    int number, bad;
    nn_real y[ROUNDS][ROWS * OUTPUTS]; /* what each round predicted */
    nn_real theta[64];                 /* parameters of the worker's own net, trained */
} worker;

static const nn_layer layers[3] = {NN_DENSE(19, NN_TANH), NN_DENSE(33, NN_RELU),
                                   NN_DENSE(OUTPUTS, NN_SOFTMAX)};

/* Nothing of nn.h has run before but nn_model_create: a table that is filled at first use would
   race here. */
static void train_own(worker *w)
{
    static const nn_layer small[2] = {NN_DENSE(6, NN_TANH), NN_DENSE(1, NN_SIGMOID)};
    static const nn_real x[8] = {0, 0, 0, 1, 1, 0, 1, 1}, y[4] = {0, 1, 1, 0};
    static const nn_real share[2] = {0.25f, 0};
    nn_options how;
    nn_data data;
    nn_model *model = NULL;
    nn_metrics metrics;
    memset(&how, 0, sizeof how);
    memset(&data, 0, sizeof data);
    how.loss = NN_BINARY_CROSS_ENTROPY;
    how.optimizer = NN_ADAM;
    how.epochs = 50;
    how.dropout = share;
    data.rows = 4;
    data.inputs = 2;
    data.outputs = 1;
    data.classes = 2;
    data.x = x;
    data.y = y;
    w->bad += nn_model_create(&model, 2, small, 2, 1) != NN_OK;
    w->bad += nn_fit(model, &data, &how) != NN_OK;
    w->bad += nn_evaluate(model, &data, &how, &metrics) != NN_OK;
    if (model) memcpy(w->theta, nn_parameters(model), nn_parameter_count(model) * sizeof(nn_real));
    nn_model_free(model);
}

/* Rows in pieces whose size differs by thread and round; each piece with the worker's scratch. */
static void *work(void *argument)
{
    worker *w = (worker *)argument;
    void *scratch = malloc(nn_scratch_size(w->model, ROWS));
    int round, row;
    train_own(w);
    for (round = 0; round < ROUNDS; round++) {
        int piece = 1 + (round * 13 + w->number * 7) % 40;
        for (row = 0; row < ROWS; row += piece) {
            int rows = ROWS - row < piece ? ROWS - row : piece;
            w->bad += nn_predict(w->model, w->x + row * INPUTS, rows, w->y[round] + row * OUTPUTS,
                                 scratch) != NN_OK;
        }
    }
    free(scratch);
    return NULL;
}

static void test_threads_share_a_model(void)
{
    static worker workers[THREADS], alone;
    static nn_real x[ROWS * INPUTS], y[ROWS * OUTPUTS];
    static const nn_real target[2 * OUTPUTS] = {1, 0, 0, 0, 0, 0, 1};
    pthread_t threads[THREADS];
    nn_model *model = NULL;
    nn_data data;
    int i, round;
    for (i = 0; i < ROWS * INPUTS; i++) x[i] = (nn_real)((i * 37 % 1009) / 500.0 - 1);
    memset(&data, 0, sizeof data);
    data.rows = 2;
    data.inputs = INPUTS;
    data.outputs = OUTPUTS;
    data.x = x;
    data.y = target;
    if (!CHECK(nn_model_create(&model, INPUTS, layers, 3, 1) == NN_OK)) return;
    CHECK(nn_fit_scaling(model, &data, NN_SCALE_MIN_MAX) == NN_OK);
    for (i = 0; i < THREADS; i++) {
        memset(&workers[i], 0xFF, sizeof workers[i]);
        workers[i].model = model;
        workers[i].x = x;
        workers[i].number = i;
        workers[i].bad = 0;
        CHECK(pthread_create(&threads[i], NULL, work, &workers[i]) == 0);
    }
    for (i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);

    memset(&alone, 0xFF, sizeof alone);
    alone.bad = 0;
    train_own(&alone);
    CHECK(alone.bad == 0 && alone.theta[0] == alone.theta[0]);
    CHECK(nn_predict(model, x, ROWS, y, NULL) == NN_OK);
    CHECK(y[0] > 0 && y[ROWS * OUTPUTS - 1] > 0);
    for (i = 0; i < THREADS; i++) {
        CHECK(workers[i].bad == 0);
        CHECK(memcmp(workers[i].theta, alone.theta, sizeof alone.theta) == 0);
        for (round = 0; round < ROUNDS; round++)
            CHECK(memcmp(workers[i].y[round], y, sizeof y) == 0);
    }
    nn_model_free(model);
}

int main(void)
{
    test_needs_backend = 1;
    RUN(test_threads_share_a_model);
    return test_done();
}
