/* A batch_size larger than the data means all of the data: the same bits as its exact number of
   rows, in no more memory. */
#include <limits.h>

#include "../fixtures.h"

enum { ROWS = 10, INPUTS = 2, MOST = 64 };

static const nn_layer layers[] = {NN_DENSE(5, NN_GELU), NN_DENSE(2, NN_SOFTMAX)};
static const nn_shape shape = {INPUTS, layers, 2};
static const nn_real dropout[] = {0.25f, 0};
static nn_real x[ROWS * INPUTS], y[ROWS * 2];

static nn_data ten_rows(void)
{
    nn_data data = make_data(x, y, ROWS, INPUTS, 2);
    int i;
    random_state = 3;
    memset(y, 0, sizeof y);
    for (i = 0; i < ROWS * INPUTS; i++) x[i] = (nn_real)uniform(-2, 2);
    for (i = 0; i < ROWS; i++) y[2 * i + i % 2] = 1;
    data.classes = 2;
    return data;
}

static nn_options options(int batch_size)
{
    nn_options how = make_options(NN_CROSS_ENTROPY, NN_RMSPROP, 0);
    how.epochs = 7;
    how.batch_size = batch_size;
    how.dropout = dropout;
    how.schedule = NN_SCHEDULE_COSINE;
    return how;
}

/* The parameters after nn_fit, and its largest block. */
static size_t fit(const nn_options *how, nn_real *result)
{
    const nn_data data = ten_rows();
    nn_model *model = make_model(INPUTS, layers, 2, 1);
    CHECK(nn_parameter_count(model) <= MOST);
    largest_block = 0;
    CHECK(nn_fit(model, &data, how) == NN_OK);
    memset(result, 0, MOST * sizeof *result);
    memcpy(result, nn_parameters(model), nn_parameter_count(model) * sizeof *result);
    nn_model_free(model);
    return largest_block;
}

static const int larger[] = {ROWS + 1, 2 * ROWS, 1000, INT_MAX - 1, INT_MAX};

static void test_fit(void)
{
    static const int micro[] = {1, 3, ROWS - 1, ROWS, ROWS + 1, INT_MAX};
    nn_real exact[MOST], found[MOST], fewer[MOST];
    nn_options how = options(ROWS);
    const size_t size = fit(&how, exact);
    int i;
    CHECK(size > 0);
    for (i = 0; i < COUNT_OF(larger); i++) {
        how = options(larger[i]);
        CHECK(fit(&how, found) <= size);
        CHECK(!memcmp(exact, found, sizeof exact));
    }
    how = options(0); /* 32 */
    fit(&how, found);
    CHECK(!memcmp(exact, found, sizeof exact));
    how = options(ROWS - 1); /* a last batch of one row */
    fit(&how, fewer);
    CHECK(memcmp(exact, fewer, sizeof exact) != 0);
    for (i = 0; i < COUNT_OF(micro); i++) { /* dropout: masks of each part */
        nn_options whole = options(ROWS);
        how = options(INT_MAX);
        whole.micro_batch_size = how.micro_batch_size = micro[i];
        fit(&whole, exact);
        CHECK(fit(&how, found) <= size);
        CHECK(!memcmp(exact, found, sizeof exact));
    }
}

/* Rows that are held out are none of the batch's; of weight 0 neither. */
static void test_fit_of_some_rows(void)
{
    nn_real exact[MOST], found[MOST];
    nn_options how = options(8), more = options(INT_MAX);
    how.validation_fraction = more.validation_fraction = (nn_real)0.2;
    how.patience = more.patience = 3;
    fit(&how, exact);
    fit(&more, found);
    CHECK(!memcmp(exact, found, sizeof exact));
}

/* A trainer does not know its data when it is made: it takes the memory that batch_size needs. */
static void test_trainer_fit(void)
{
    static const int sizes[] = {ROWS, ROWS + 1, 33, 1000};
    const nn_data data = ten_rows();
    nn_model *models[4];
    int i;
    for (i = 0; i < 4; i++) {
        const nn_options how = options(sizes[i]);
        nn_trainer *trainer;
        models[i] = make_model(INPUTS, layers, 2, 1);
        trainer = make_trainer(models[i], &how);
        CHECK(nn_trainer_fit(trainer, &data) == NN_OK);
        CHECK(same_parameters(models[0], models[i]));
        nn_trainer_free(trainer);
    }
    for (i = 0; i < 4; i++) nn_model_free(models[i]);
}

static int see_batches(const nn_progress *progress, void *user)
{
    int *most = (int *)user;
    if (progress->batches > *most) *most = progress->batches;
    CHECK(progress->batch == 0 || progress->batch == 1);
    return 0;
}

/* One batch in each epoch, and the callback is told so. */
static void test_one_batch(void)
{
    nn_options how = options(INT_MAX);
    nn_real found[MOST];
    int most = 0;
    how.callback = see_batches;
    how.callback_batches = 1;
    how.user = &most;
    fit(&how, found);
    CHECK(most == 1);
}

/* Each fold trains on half of the rows. */
static void test_cross_validate(void)
{
    const nn_data data = ten_rows();
    nn_metrics exact[2], found[2];
    nn_options how = options(ROWS / 2);
    int i;
    CHECK(nn_cross_validate(&shape, &data, &how, 2, exact) == NN_OK);
    for (i = 0; i < COUNT_OF(larger); i++) {
        how = options(larger[i]);
        CHECK(nn_cross_validate(&shape, &data, &how, 2, found) == NN_OK);
        CHECK(found[0].loss == exact[0].loss && found[1].loss == exact[1].loss);
        CHECK(found[0].mse == exact[0].mse && found[1].mse == exact[1].mse);
    }
    how = options(ROWS / 2 - 1);
    CHECK(nn_cross_validate(&shape, &data, &how, 2, found) == NN_OK);
    CHECK(found[0].loss != exact[0].loss);
}

int main(void)
{
    RUN(test_fit);
    RUN(test_fit_of_some_rows);
    RUN(test_trainer_fit);
    RUN(test_one_batch);
    RUN(test_cross_validate);
    return test_done();
}
