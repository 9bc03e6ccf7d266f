/* nn_backward belongs to the nn_forward before it: what may come between the two, and what makes it
   NN_ERROR_STATE, because the layers' outputs or the parameters are then no longer those of the
   forward pass. */
#include "refused.h"

#include "files.h"

enum { ROWS = 4, PARAMETERS = 3 * 3 + 4 };

static nn_model *model;
static nn_trainer *trainer, *other; /* of one model */
static bytes model_file, checkpoint;

static const nn_options *options(void)
{
    static nn_options how;
    how = make_options(NN_MSE, NN_RMSPROP, 0);
    how.batch_size = GOOD_ROWS;
    how.epochs = 1;
    return &how;
}

static nn_data four_rows(void)
{
    nn_data data = good_data();
    data.rows = ROWS;
    return data;
}

/* ---- What may come between ------------------------------------------------------------------- */

typedef struct event {
    const char *name;
    nn_status (*call)(void);
    nn_status status; /* what the call itself returns */
} event;

static nn_status call_nothing(void)
{
    return NN_OK;
}

static nn_status call_predict(void)
{
    nn_real y[GOOD_ROWS];
    return nn_predict(model, good_x, GOOD_ROWS, y, NULL);
}

static nn_status call_predict_classes(void)
{
    int classes[GOOD_ROWS];
    return nn_predict_classes(model, good_x, GOOD_ROWS, classes, NULL);
}

static nn_status call_evaluate(void)
{
    const nn_data data = good_data();
    nn_metrics metrics;
    return nn_evaluate(model, &data, options(), &metrics);
}

static nn_status call_save(void)
{
    unsigned char file[GOOD_SIZE];
    size_t size;
    return nn_save_memory(model, file, sizeof file, &size);
}

static nn_status call_save_checkpoint(void)
{
    unsigned char file[GOOD_SIZE];
    size_t size;
    return nn_save_checkpoint_memory(trainer, file, sizeof file, &size);
}

static nn_status call_copy(void)
{
    nn_model *copy = NULL;
    const nn_status status = nn_model_copy(&copy, model);
    nn_model_free(copy);
    return status;
}

static nn_status call_export(void)
{
    size_t size;
    return nn_export_c_memory(model, NULL, NULL, 0, &size);
}

static nn_status call_export_onnx(void)
{
    size_t size;
    return nn_export_onnx_memory(model, NULL, 0, &size);
}

static nn_status call_set_learning_rate(void)
{
    return nn_set_learning_rate(trainer, 0.5f);
}

static nn_status call_clear(void)
{
    return nn_clear_gradients(trainer);
}

static nn_status call_forward_of_another(void)
{
    const nn_real *y;
    return nn_forward(other, good_x, ROWS, &y);
}

static nn_status call_accumulate_of_another(void)
{
    const nn_data data = four_rows();
    return nn_accumulate(other, &data, NULL);
}

/* Refused calls change nothing. */
static nn_status call_refused_initialize(void)
{
    return nn_initialize(model, (nn_initialization)99, 1);
}

static nn_status call_refused_scaling(void)
{
    return nn_fit_scaling(model, NULL, NN_SCALE_STANDARD);
}

static nn_status call_refused_load(void)
{
    return nn_load_parameters_memory(model, model_file.at, model_file.size - 1, NULL, NULL);
}

static nn_status call_refused_checkpoint(void)
{
    return nn_load_checkpoint_memory(trainer, checkpoint.at, checkpoint.size - 1, NULL);
}

static nn_status call_refused_batch(void)
{
    return nn_train_batch(trainer, good_x, good_y, -1, NULL);
}

static nn_status call_refused_fit(void)
{
    return nn_trainer_fit(trainer, NULL);
}

static const event harmless[] = {
    {"nothing", call_nothing, NN_OK},
    {"nn_predict", call_predict, NN_OK},
    {"nn_predict_classes", call_predict_classes, NN_OK},
    {"nn_evaluate", call_evaluate, NN_OK},
    {"nn_save_memory", call_save, NN_OK},
    {"nn_save_checkpoint_memory", call_save_checkpoint, NN_OK},
    {"nn_model_copy", call_copy, NN_OK},
    {"nn_export_c_memory", call_export, NN_OK},
    {"nn_export_onnx_memory", call_export_onnx, NN_OK},
    {"nn_set_learning_rate", call_set_learning_rate, NN_OK},
    {"nn_clear_gradients", call_clear, NN_OK},
    {"nn_forward of another trainer", call_forward_of_another, NN_OK},
    {"nn_accumulate of another trainer", call_accumulate_of_another, NN_OK},
    {"nn_initialize, refused", call_refused_initialize, NN_ERROR_OPTION},
    {"nn_fit_scaling, refused", call_refused_scaling, NN_ERROR_NULL},
    {"nn_load_parameters_memory, refused", call_refused_load, NN_ERROR_TRUNCATED},
    {"nn_load_checkpoint_memory, refused", call_refused_checkpoint, NN_ERROR_TRUNCATED},
    {"nn_train_batch, refused", call_refused_batch, NN_ERROR_SIZE},
    {"nn_trainer_fit, refused", call_refused_fit, NN_ERROR_NULL}};

/* ---- What may not ---------------------------------------------------------------------------- */

static nn_status call_update(void)
{
    return nn_update(trainer);
}

static nn_status call_update_of_another(void)
{
    return nn_update(other);
}

static nn_status call_trainer_fit(void)
{
    const nn_data data = good_data();
    return nn_trainer_fit(trainer, &data);
}

static nn_status call_trainer_fit_of_another(void)
{
    const nn_data data = good_data();
    return nn_trainer_fit(other, &data);
}

static nn_status call_fit(void)
{
    const nn_data data = good_data();
    return nn_fit(model, &data, options());
}

static nn_status call_train_batch(void)
{
    return nn_train_batch(trainer, good_x, good_y, ROWS, NULL);
}

static nn_status call_accumulate(void)
{
    const nn_data data = four_rows();
    return nn_accumulate(trainer, &data, NULL);
}

static nn_status call_shard(void)
{
    const nn_data data = four_rows();
    nn_shard shard;
    memset(&shard, 0, sizeof shard);
    shard.batch_rows = data.rows;
    return nn_shard_gradient(trainer, &data, &shard, NULL);
}

static nn_status call_backward(void)
{
    static const nn_real dy[ROWS] = {1, 1, 1, 1};
    return nn_backward(trainer, dy, NULL);
}

static nn_status call_load_parameters(void)
{
    return nn_load_parameters_memory(model, model_file.at, model_file.size, NULL, NULL);
}

/* A file of another program: the parameters alone, all 0. */
static nn_status call_load_foreign(void)
{
    const int size = (int)sizeof(nn_real);
    char file[1024];
    const int length =
        sprintf(file + 8,
                "{\"0.weight\":{\"dtype\":\"%s\",\"shape\":[3,2],\"data_offsets\":[0,%d]},"
                "\"0.bias\":{\"dtype\":\"%s\",\"shape\":[3],\"data_offsets\":[%d,%d]},"
                "\"2.weight\":{\"dtype\":\"%s\",\"shape\":[1,3],\"data_offsets\":[%d,%d]},"
                "\"2.bias\":{\"dtype\":\"%s\",\"shape\":[1],\"data_offsets\":[%d,%d]}}",
                OWN_TYPE, 6 * size, OWN_TYPE, 6 * size, 9 * size, OWN_TYPE, 9 * size, 12 * size,
                OWN_TYPE, 12 * size, 13 * size);
    put_length((unsigned char *)file, (uint64_t)length);
    memset(file + 8 + length, 0, (size_t)(13 * size));
    return nn_load_parameters_memory(model, file, (size_t)(8 + length + 13 * size), NULL, NULL);
}

static nn_status call_load_checkpoint_of_another(void)
{
    return nn_load_checkpoint_memory(other, checkpoint.at, checkpoint.size, NULL);
}

static nn_status call_load_checkpoint(void)
{
    return nn_load_checkpoint_memory(trainer, checkpoint.at, checkpoint.size, NULL);
}

static nn_status call_initialize(void)
{
    return nn_initialize(model, NN_INITIALIZE_HE, 4);
}

static nn_status call_fit_scaling(void)
{
    const nn_data data = good_data();
    return nn_fit_scaling(model, &data, NN_SCALE_STANDARD);
}

static nn_status call_clear_scaling(void)
{
    return nn_fit_scaling(model, NULL, NN_SCALE_NONE);
}

static nn_status call_quantize(void)
{
    return nn_quantize(model);
}

static const event changes[] = {
    {"nn_update", call_update, NN_OK},
    {"nn_update of another trainer", call_update_of_another, NN_OK},
    {"nn_trainer_fit", call_trainer_fit, NN_OK},
    {"nn_trainer_fit of another trainer", call_trainer_fit_of_another, NN_OK},
    {"nn_fit", call_fit, NN_OK},
    {"nn_train_batch", call_train_batch, NN_OK},
    {"nn_accumulate", call_accumulate, NN_OK},
    {"nn_shard_gradient", call_shard, NN_OK},
    {"nn_backward", call_backward, NN_OK},
    {"nn_load_parameters_memory", call_load_parameters, NN_OK},
    {"nn_load_parameters_memory of PyTorch's", call_load_foreign, NN_OK},
    {"nn_load_checkpoint_memory", call_load_checkpoint, NN_OK},
    {"nn_load_checkpoint_memory into another trainer", call_load_checkpoint_of_another, NN_OK},
    {"nn_initialize", call_initialize, NN_OK},
    {"nn_fit_scaling", call_fit_scaling, NN_OK},
    {"nn_fit_scaling, to none", call_clear_scaling, NN_OK},
    {"nn_quantize", call_quantize, NN_OK}};

/* ---- Both ------------------------------------------------------------------------------------ */

static void make_objects(void)
{
    static const nn_layer layers[] = {NN_DENSE(3, NN_SILU), NN_DENSE(1, NN_LINEAR)};
    model = make_model(GOOD_INPUTS, layers, 2, 1);
    trainer = make_trainer(model, options());
    other = make_trainer(model, options());
    CHECK(nn_parameter_count(model) == PARAMETERS);
    model_file = save_model(model);
    checkpoint = save_trainer(trainer);
}

static void free_objects(void)
{
    nn_trainer_free(trainer);
    nn_trainer_free(other);
    nn_model_free(model);
    free(model_file.at);
    free(checkpoint.at);
}

static nn_status forward(void)
{
    const nn_real *y = NULL;
    return nn_forward(trainer, good_x, ROWS, &y);
}

/* dL/dx and the gradients are those of a trainer for which nothing came between. */
static void test_harmless(void)
{
    static const nn_real dy[ROWS] = {1, -2, 0.5f, 3};
    nn_real want[PARAMETERS], want_dx[ROWS * GOOD_INPUTS], dx[ROWS * GOOD_INPUTS];
    int i;
    for (i = 0; i < COUNT_OF(harmless); i++) {
        const int before = test_bad;
        make_objects();
        CHECK(forward() == NN_OK);
        CHECK(harmless[i].call() == harmless[i].status);
        CHECK(nn_backward(trainer, dy, dx) == NN_OK);
        if (i == 0) {
            memcpy(want, nn_gradients(trainer), sizeof want);
            memcpy(want_dx, dx, sizeof dx);
            CHECK(!all_zero(want, sizeof want) && !all_zero(dx, sizeof dx));
        }
        CHECK(!memcmp(want, nn_gradients(trainer), sizeof want));
        CHECK(!memcmp(want_dx, dx, sizeof dx));
        if (test_bad > before) printf("    %s\n", harmless[i].name);
        free_objects();
    }
}

/* Gradients and dx are as they were; the next nn_forward is good again. */
static void test_changes(void)
{
    static const nn_real dy[ROWS] = {1, -2, 0.5f, 3};
    nn_real gradients[PARAMETERS], dx[ROWS * GOOD_INPUTS];
    int i, k;
    for (i = 0; i < COUNT_OF(changes); i++) {
        const int before = test_bad;
        make_objects();
        for (k = 0; k < ROWS * GOOD_INPUTS; k++) dx[k] = 99;
        CHECK(forward() == NN_OK);
        CHECK(changes[i].call() == changes[i].status);
        memcpy(gradients, nn_gradients(trainer), sizeof gradients);
        CHECK(nn_backward(trainer, dy, dx) == NN_ERROR_STATE);
        CHECK(nn_backward(trainer, dy, NULL) == NN_ERROR_STATE);
        CHECK(!memcmp(gradients, nn_gradients(trainer), sizeof gradients));
        for (k = 0; k < ROWS * GOOD_INPUTS; k++) CHECK(dx[k] == 99);
        CHECK(forward() == NN_OK);
        CHECK(nn_backward(trainer, dy, dx) == NN_OK && dx[0] != 99);
        if (test_bad > before) printf("    %s\n", changes[i].name);
        free_objects();
    }
}

/* Before any nn_forward; and a new one replaces the one before. */
static void test_order(void)
{
    static const nn_real dy[ROWS] = {1, -2, 0.5f, 3};
    make_objects();
    CHECK(nn_backward(trainer, dy, NULL) == NN_ERROR_STATE);
    CHECK(forward() == NN_OK && forward() == NN_OK);
    CHECK(nn_backward(trainer, dy, NULL) == NN_OK);
    CHECK(nn_backward(trainer, dy, NULL) == NN_ERROR_STATE);
    CHECK(nn_update(trainer) == NN_OK);
    free_objects();
}

int main(void)
{
    RUN(test_harmless);
    RUN(test_changes);
    RUN(test_order);
    return test_done();
}
