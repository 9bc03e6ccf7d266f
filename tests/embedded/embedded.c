/* Firmware that trains on the device: embedded.sh builds and runs it. From rows in flash it trains
   a classifier (2-8-1) in static memory, measures it, saves it to memory, loads that into a second
   model, opens it where it lies, and predicts with all three. What it prints must be the same text
   on every machine, and on the PC.

   NATIVE      the PC's build: vector kernels and heap as a program has them without a switch, and
               whole batches, where a device takes a row at a time
   NN_NO_FMA   as in nn.h

   rows.h, made from a CSV file: TRAIN_ROWS, TEST_ROWS, train_x, train_y, test_x, test_y. */

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

enum { EPOCHS = 40, BATCH = 4, TURNS = 4 /* of predictions that are timed */ };

#ifdef NATIVE
enum { MICRO_BATCH = BATCH };
#else
enum { MICRO_BATCH = 1 };
#endif

static unsigned char model_memory[NN_MODEL_SIZE(2, 8, 1)], copy_memory[NN_MODEL_SIZE(2, 8, 1)];
static unsigned char trainer_memory[NN_TRAINER_SIZE(2, MICRO_BATCH, 2, 8, 1)]; /* Adam */
static unsigned char file[1024];
static nn_real answers[TEST_ROWS], copied_answers[TEST_ROWS];

/* The clock stands while the callback prints. */
static int print_loss(const nn_progress *progress, void *user)
{
    clock_stop();
    if (progress->epoch == 1 || progress->epoch % 5 == 0) {
        put_text((const char *)user);
        put_number((uint64_t)progress->epoch);
        put_text(" loss ");
        put_real(progress->loss);
        put_text("\n");
    }
    clock_start();
    return 0;
}

static nn_options training_options(void)
{
    static char prefix[] = "epoch ";
    nn_options how;

    memset(&how, 0, sizeof how);
    how.loss = NN_BINARY_CROSS_ENTROPY;
    how.optimizer = NN_ADAM;
    how.learning_rate = 0.01f;
    how.scaling = NN_SCALE_STANDARD;
    how.epochs = EPOCHS;
    how.batch_size = BATCH;
    how.micro_batch_size = MICRO_BATCH;
    how.seed = 1;
    how.callback = print_loss;
    how.user = prefix;
    return how;
}

static nn_data data_of(const nn_real *x, const nn_real *y, int rows)
{
    nn_data data;

    memset(&data, 0, sizeof data);
    data.rows = rows;
    data.inputs = 2;
    data.outputs = 1;
    data.classes = 2;
    data.x = x;
    data.y = y;
    return data;
}

static void train(nn_model *model)
{
    const nn_options how = training_options();
    const nn_data data = data_of(train_x, train_y, TRAIN_ROWS);
    nn_trainer *trainer;
    nn_status status;

    put_note("trainer_bytes", sizeof trainer_memory);
    check(nn_trainer_size(model, &how) == sizeof trainer_memory, "nn_trainer_size");
    status = nn_trainer_create_in(&trainer, trainer_memory, sizeof trainer_memory, model, &how);
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

static void measure(const nn_model *model)
{
    const nn_options how = training_options();
    const nn_data data = data_of(test_x, test_y, TEST_ROWS);
    nn_metrics metrics;

    check(nn_evaluate(model, &data, &how, &metrics) == NN_OK, "nn_evaluate");
    put_text("test accuracy ");
    put_number((uint64_t)metrics.correct);
    put_text(" of ");
    put_number((uint64_t)metrics.rows);
    put_text(", loss ");
    put_real(metrics.loss);
    put_text("\n");
    check(metrics.rows == TEST_ROWS && metrics.correct * 10 >= metrics.rows * 9, "accuracy");
}

/* Predicts row by row, as a device would; several times, for the clock. */
static void predict(const nn_model *model)
{
    int turn, row;
    nn_status status = NN_OK;

    clock_sum = 0;
    clock_start();
    for (turn = 0; turn < TURNS; turn++)
        for (row = 0; row < TEST_ROWS && status == NN_OK; row++)
            status = nn_predict(model, test_x + 2 * row, 1, answers + row, NULL);
    clock_stop();
    check(status == NN_OK, "nn_predict");
    put_time("prediction", clock_sum, (uint64_t)TURNS * TEST_ROWS);
}

static void check_copy(const nn_model *other, const char *what)
{
    check(nn_predict(other, test_x, TEST_ROWS, copied_answers, NULL) == NN_OK &&
              memcmp(answers, copied_answers, sizeof answers) == 0,
          what);
}

/* Saves the model, loads the file into another one, opens it, and predicts with these. */
static void copy(const nn_model *model, const nn_shape *shape)
{
    nn_model *other;
    size_t size;

    check(nn_save_memory(model, file, sizeof file, &size) == NN_OK, "nn_save_memory");
    put_text("saved "); /* the header of a build with a heap is longer */
    put_number(size - 8 - (file[0] | (size_t)file[1] << 8));
    put_text(" bytes behind the header\n");
    check(nn_model_create_in(&other, copy_memory, sizeof copy_memory, shape, 2) == NN_OK, "a copy");
    if (failed) return;
    check(nn_load_parameters_memory(other, file, size, NULL, NULL) == NN_OK, "nn_load_parameters_memory");
    check_copy(other, "the loaded model's predictions");
    check(nn_model_open_size(file, size) == NN_MODEL_OPEN_SIZE(2, 8, 1), "nn_model_open_size");
    check(nn_model_open_in(&other, copy_memory, NN_MODEL_OPEN_SIZE(2, 8, 1), file, size) == NN_OK,
          "nn_model_open_in");
    if (!failed) check_copy(other, "the opened file's predictions");
}

int main(void)
{
    const nn_layer layers[] = {NN_DENSE(8, NN_RELU), NN_DENSE(1, NN_SIGMOID)};
    nn_shape shape;
    nn_model *model;

    machine_begin();
    put_text("# unit " CLOCK_NAME "\n");
    shape.inputs = 2;
    shape.layers = layers;
    shape.count = 2;
    put_note("model_bytes", sizeof model_memory);
    check(nn_model_size(&shape) == sizeof model_memory, "nn_model_size");
    check(nn_model_create_in(&model, model_memory, sizeof model_memory, &shape, 1) == NN_OK,
          "nn_model_create_in");
    if (!failed) {
        train(model);
        measure(model);
        predict(model);
        copy(model, &shape);
        put_hash("weights", nn_parameters(model), nn_parameter_count(model));
        put_hash("predictions", answers, TEST_ROWS);
    }
    put_text(failed ? "FAILED\n" : "done\n");
    machine_end();
    return failed;
}
