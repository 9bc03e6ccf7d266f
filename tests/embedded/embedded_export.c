/* Firmware that predicts with files that nn_export_c wrote, without nn.h: embedded.sh builds
   and runs it. The exported functions' outputs must have the bits of nn_predict on the PC.

   WRITE       on the PC: trains as embedded.c does, writes exported.c, exported_int8.c and
               exported.safetensors into the folder that the command line names
   NATIVE      on the PC: prints what nn_predict makes of that model, and of it after nn_quantize;
               the folder is FOLDER

   rows.h is that of embedded.c. */

#include "embedded.h"

#include <stdio.h>

#if defined(WRITE) || defined(NATIVE)
#define NN_IMPLEMENTATION
#include "nn.h"
#else
typedef float nn_real;
#endif

#include "rows.h"

#ifdef WRITE

/* A net of the other activations, whose weights are as they were drawn. */
static int write_smooth(const char *folder)
{
    static const nn_export_options smooth = {"predict_smooth", 0, 0};
    const nn_layer layers[] = {NN_DENSE(6, NN_GELU), NN_DENSE(4, NN_SILU), NN_DENSE(3, NN_ELU),
                               NN_DENSE(1, NN_SOFTPLUS)};
    char path[2][4096];
    nn_model *model;

    sprintf(path[0], "%s/exported_smooth.c", folder);
    sprintf(path[1], "%s/exported_smooth.safetensors", folder);
    return nn_model_create(&model, 2, layers, 4, 1) == NN_OK &&
           nn_export_c(model, path[0], &smooth) == NN_OK && nn_save(model, path[1]) == NN_OK;
}

static int write_files(nn_model *model, const char *folder)
{
    static const nn_export_options whole = {"predict_whole", 0, 0};
    static const nn_export_options small = {"predict_int8", 1, 0};
    char path[3][4096];

    sprintf(path[0], "%s/exported.c", folder);
    sprintf(path[1], "%s/exported_int8.c", folder);
    sprintf(path[2], "%s/exported.safetensors", folder);
    return nn_export_c(model, path[0], &whole) == NN_OK &&
           nn_export_c(model, path[1], &small) == NN_OK && nn_save(model, path[2]) == NN_OK;
}

int main(int argc, char **argv)
{
    const nn_layer layers[] = {NN_DENSE(8, NN_RELU), NN_DENSE(1, NN_SIGMOID)};
    nn_options how;
    nn_data data;
    nn_model *model;

    memset(&data, 0, sizeof data);
    data.rows = TRAIN_ROWS;
    data.inputs = 2;
    data.outputs = 1;
    data.x = train_x;
    data.y = train_y;
    memset(&how, 0, sizeof how);
    how.loss = NN_BINARY_CROSS_ENTROPY;
    how.optimizer = NN_ADAM;
    how.learning_rate = 0.01f;
    how.scaling = NN_SCALE_STANDARD;
    return argc != 2 || nn_model_create(&model, 2, layers, 2, 1) != NN_OK ||
           nn_fit(model, &data, &how) != NN_OK || !write_files(model, argv[1]) ||
           !write_smooth(argv[1]);
}

#else

static nn_real answers[TEST_ROWS];

/* The hash of the answers to all test rows, and how many are right. */
static void put_answers(const char *name)
{
    int row, right = 0;

    for (row = 0; row < TEST_ROWS; row++) right += (answers[row] >= 0.5f) == (test_y[row] > 0);
    put_text(name);
    put_text(": ");
    put_number((uint64_t)right);
    put_text(" of ");
    put_number(TEST_ROWS);
    put_hash(", bits", answers, TEST_ROWS);
}

#ifdef NATIVE

int main(void)
{
    nn_model *model;

    check(nn_load(&model, FOLDER "/exported.safetensors", NULL) == NN_OK, "nn_load");
    if (failed) return 1;
    check(nn_predict(model, test_x, TEST_ROWS, answers, NULL) == NN_OK, "nn_predict");
    put_answers("whole");
    check(nn_quantize(model) == NN_OK, "nn_quantize");
    check(nn_predict(model, test_x, TEST_ROWS, answers, NULL) == NN_OK, "nn_predict");
    put_answers("int8");
    check(nn_load(&model, FOLDER "/exported_smooth.safetensors", NULL) == NN_OK, "nn_load");
    if (failed) return 1;
    check(nn_predict(model, test_x, TEST_ROWS, answers, NULL) == NN_OK, "nn_predict");
    put_answers("smooth");
    put_text(failed ? "FAILED\n" : "done\n");
    return failed;
}

#else

#include "exported.c"
#include "exported_int8.c"
#include "exported_smooth.c"

int main(void)
{
    int row;

    machine_begin();
    put_text("# unit " CLOCK_NAME "\n");
    clock_sum = 0;
    clock_start();
    for (row = 0; row < TEST_ROWS; row++) predict_whole(test_x + 2 * row, answers + row);
    clock_stop();
    put_time("prediction", clock_sum, TEST_ROWS);
    put_answers("whole");
    for (row = 0; row < TEST_ROWS; row++) predict_int8(test_x + 2 * row, answers + row);
    put_answers("int8");
    for (row = 0; row < TEST_ROWS; row++) predict_smooth(test_x + 2 * row, answers + row);
    put_answers("smooth");
    put_text("done\n");
    machine_end();
    return 0;
}

#endif
#endif
