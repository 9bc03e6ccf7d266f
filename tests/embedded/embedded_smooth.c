/* Firmware that trains a net of GELU, SiLU, ELU and softplus with RMSprop on the device, first with
   the mean absolute error, then, from where that left it, with a quantile loss: embedded.sh builds
   and runs it. What it prints must be the same text on every machine, and on the PC.

   NATIVE and NN_NO_FMA are as in embedded.c, rows.h too. */

#ifndef NATIVE
#define NN_NO_STDIO
#define NN_NO_MALLOC
#define NN_NO_CONVOLUTION
#define NN_NO_SIMD
#endif

#include "embedded.h"

static void broken_assertion(void)
{
    put_text("FAILED: an assertion of nn.h\n");
    machine_end();
}

#define NN_ASSERT(condition) ((condition) ? (void)0 : broken_assertion())
#define NN_IMPLEMENTATION
#include "nn.h"

#include "rows.h"

enum { EPOCHS = 8, BATCH = 4 };

#ifdef NATIVE
enum { MICRO_BATCH = BATCH, SIZE = 16384 };
#else
enum { MICRO_BATCH = 1, SIZE = 2048 };
#endif

static unsigned char model_memory[NN_MODEL_SIZE(2, 6, 4, 3, 1)], trainer_memory[SIZE];
static nn_real answers[TEST_ROWS];

static int print_loss(const nn_progress *progress, void *user)
{
    clock_stop();
    put_text((const char *)user);
    put_number((uint64_t)progress->epoch);
    put_text(" loss ");
    put_real(progress->loss);
    put_text(" test ");
    put_real(progress->validation_loss);
    put_text("\n");
    clock_start();
    return 0;
}

static nn_data data_of(const nn_real *x, const nn_real *y, int rows)
{
    nn_data data;

    memset(&data, 0, sizeof data);
    data.rows = rows;
    data.inputs = 2;
    data.outputs = 1;
    data.x = x;
    data.y = y;
    return data;
}

/* A class as a number is what is learned: 0 or 1. */
static void train(nn_model *model, nn_options *how)
{
    static char prefix[] = "epoch ";
    const nn_data data = data_of(train_x, train_y, TRAIN_ROWS);
    const nn_data test = data_of(test_x, test_y, TEST_ROWS);
    nn_trainer *trainer;
    nn_status status;

    how->optimizer = NN_RMSPROP;
    how->scaling = NN_SCALE_STANDARD;
    how->epochs = EPOCHS;
    how->batch_size = BATCH;
    how->micro_batch_size = MICRO_BATCH;
    how->validation = &test;
    how->seed = 1;
    how->callback = print_loss;
    how->user = prefix;
    put_note("trainer_bytes", nn_trainer_size(model, how));
    status = nn_trainer_create_in(&trainer, trainer_memory, sizeof trainer_memory, model, how);
    check(status == NN_OK, "nn_trainer_create_in");
    if (status != NN_OK) return;
    clock_sum = 0;
    clock_start();
    status = nn_trainer_fit(trainer, &data);
    clock_stop();
    check(status == NN_OK, "nn_trainer_fit");
    put_time("training", clock_sum, 1);
    put_note("rows", (uint64_t)EPOCHS * TRAIN_ROWS);
}

static void measure(const nn_model *model, const nn_options *how)
{
    const nn_data data = data_of(test_x, test_y, TEST_ROWS);
    nn_metrics metrics;

    check(nn_evaluate(model, &data, how, &metrics) == NN_OK, "nn_evaluate");
    put_text("loss ");
    put_real(metrics.loss);
    put_text(", mean absolute error ");
    put_real(metrics.mae);
    put_text("\n");
    clock_sum = 0;
    clock_start();
    check(nn_predict(model, test_x, TEST_ROWS, answers, NULL) == NN_OK, "nn_predict");
    clock_stop();
    put_time("prediction", clock_sum, TEST_ROWS);
    put_hash("weights", model->parameters, model->parameter_count);
    put_hash("predictions", answers, TEST_ROWS);
    check(metrics.mae < 0.25f, "what it has learned");
}

int main(void)
{
    const nn_layer layers[] = {NN_DENSE(6, NN_GELU), NN_DENSE(4, NN_SILU), NN_DENSE(3, NN_ELU),
                               NN_DENSE(1, NN_SOFTPLUS)};
    nn_options first, second;
    nn_shape shape;
    nn_model *model;

    machine_begin();
    put_text("# unit " CLOCK_NAME "\n");
    shape.inputs = 2;
    shape.layers = layers;
    shape.count = 4;
    put_note("model_bytes", sizeof model_memory);
    memset(&first, 0, sizeof first);
    first.loss = NN_MAE;
    first.momentum = 0.5f;
    memset(&second, 0, sizeof second);
    second.loss = NN_QUANTILE;
    second.quantile = 0.75f;
    second.learning_rate = 0.001f;
    second.alpha = 0.9f;
    second.weight_decay = 0.001f;
    check(nn_model_create_in(&model, model_memory, sizeof model_memory, &shape, 1) == NN_OK,
          "nn_model_create_in");
    if (!failed) {
        train(model, &first);
        measure(model, &first);
        train(model, &second);
        measure(model, &second);
    }
    put_text(failed ? "FAILED\n" : "done\n");
    machine_end();
    return failed;
}
