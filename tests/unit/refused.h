/* Calls that must be refused: each gives its documented status, changes nothing and leaks nothing.
   For the tests of every room. */
#ifndef REFUSED_H
#define REFUSED_H

#include <limits.h>

#include "../fixtures.h"

#define R_NAN ((nn_real)NAN)
#define R_INF ((nn_real)INFINITY)

enum { GOOD_ROWS = 6, GOOD_INPUTS = 2, GOOD_BATCH = 4, GOOD_SIZE = 8192 };

/* ---- A model and a trainer that must not change ---------------------------------------------- */

static const nn_layer binary_layers[] = {NN_DENSE(3, NN_TANH), NN_DENSE(1, NN_SIGMOID)};
static const nn_layer class_layers[] = {NN_DENSE(3, NN_RELU), NN_DENSE(3, NN_SOFTMAX)};
static const nn_layer linear_layers[] = {NN_DENSE(3, NN_TANH), NN_DENSE(1, NN_LINEAR)};
static const nn_shape binary_shape = {GOOD_INPUTS, binary_layers, 2};

static nn_real good_x[GOOD_ROWS * GOOD_INPUTS] = {1, 2, -1, 0.5f, 3, -2, 0, 0, 1, 1, -3, 4};
static nn_real good_y[GOOD_ROWS] = {0, 1, 1, 0, 1, 0},
               good_weight[GOOD_ROWS] = {1, 2, 1, 0.5f, 1, 0};
static nn_real class_y[GOOD_ROWS * 3] = {1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1};

static nn_model *good_model;     /* sigmoid */
static nn_trainer *good_trainer; /* of model, binary cross-entropy, Adam, batches of 4 */
static unsigned char good_state[GOOD_SIZE];
static size_t good_size;
static long good_live;

static nn_data good_data(void)
{
    nn_data data = make_data(good_x, good_y, GOOD_ROWS, GOOD_INPUTS, 1);
    return data;
}

static nn_options good_options(void)
{
    nn_options how = make_options(NN_BINARY_CROSS_ENTROPY, NN_ADAM, 0);
    how.epochs = 2;
    how.batch_size = GOOD_BATCH;
    return how;
}

static int begin(void)
{
    nn_options how = good_options();
    if (!CHECK(nn_model_create(&good_model, GOOD_INPUTS, binary_layers, 2, 1) == NN_OK)) return 0;
    if (!CHECK(nn_trainer_create(&good_trainer, good_model, &how) == NN_OK)) return 0;
    CHECK(nn_save_checkpoint_memory(good_trainer, good_state, sizeof good_state, &good_size) ==
          NN_OK);
    good_live = live_blocks;
    return 1;
}

static void end(void)
{
    nn_trainer_free(good_trainer);
    nn_model_free(good_model);
    CHECK(live_blocks == 0);
}

/* Parameters, scaling, and the trainer's whole state are what they were. */
static int unchanged(void)
{
    static unsigned char now[GOOD_SIZE];
    size_t size = 0;
    return nn_save_checkpoint_memory(good_trainer, now, sizeof now, &size) == NN_OK &&
           size == good_size && !memcmp(now, good_state, size);
}

static void refused(nn_status status, nn_status expected, const char *text, int line)
{
    int good = CHECK(status == expected);
    good = CHECK(live_blocks == good_live) && good;
    good = CHECK(unchanged()) && good;
    if (!good && test_bad <= 15)
        printf("line %d: %s: status %d, not %d\n", line, text, (int)status, (int)expected);
}

#define REFUSED(call, expected) refused((call), expected, #call, __LINE__)

/* ---- Options and data that no function takes ------------------------------------------------- */

/* Every function that takes options: the same status, and no trainer. */
static void bad_options(const nn_options *how, nn_status expected, int line)
{
    nn_data data = good_data();
    nn_metrics results[2];
    nn_trainer *made = (nn_trainer *)(void *)&data;
    uint64_t memory[1024];
    int failures = test_bad;
    REFUSED(nn_fit(good_model, &data, how), expected);
    REFUSED(nn_trainer_create(&made, good_model, how), expected);
    CHECK(!made);
    made = (nn_trainer *)(void *)&data;
    REFUSED(nn_trainer_create_in(&made, memory, sizeof memory, good_model, how), expected);
    CHECK(!made);
    CHECK(nn_trainer_size(good_model, how) == 0);
    memset(results, 0xa5, sizeof results);
    REFUSED(nn_cross_validate(&binary_shape, &data, how, 2, results), expected);
    CHECK(all_zero(results, sizeof results));
    if (test_bad > failures) printf("options of line %d\n", line);
}

/* One field after another out of its range, the rest good. */
#define BAD_OPTION(field, value)                                                                   \
    do {                                                                                           \
        nn_options how_ = how;                                                                     \
        how_.field = value;                                                                        \
        bad_options(&how_, NN_ERROR_OPTION, __LINE__);                                             \
    } while (0)

#define BAD_REAL(field, value)                                                                     \
    do {                                                                                           \
        BAD_OPTION(field, value);                                                                  \
        BAD_OPTION(field, R_NAN);                                                                  \
        BAD_OPTION(field, R_INF);                                                                  \
        BAD_OPTION(field, -R_INF);                                                                 \
    } while (0)

/* Every function that reads a whole set gives the same status. */
static void bad_data(const nn_data *data, nn_status expected, int line)
{
    nn_options how = good_options();
    nn_metrics results[2];
    nn_data good = good_data();
    int failures = test_bad;
    REFUSED(nn_fit(good_model, data, &how), expected);
    REFUSED(nn_trainer_fit(good_trainer, data), expected);
    memset(results, 0xa5, sizeof results);
    REFUSED(evaluate(good_model, data, NN_BINARY_CROSS_ENTROPY, results), expected);
    CHECK(all_zero(results, sizeof *results));
    memset(results, 0xa5, sizeof results);
    REFUSED(nn_cross_validate(&binary_shape, data, &how, 2, results), expected);
    CHECK(all_zero(results, sizeof results));
    how.validation = data;
    REFUSED(nn_fit(good_model, &good, &how), expected);
    if (test_bad > failures) printf("data of line %d\n", line);
}

#define BAD_DATA(expected) bad_data(&data, expected, __LINE__)

#endif
