/* What one does with a model beside nn_predict: the classes of rows, a layer's arrays, a copy. */
#include "refused.h"

#include "files.h"

/* ---- nn_predict_classes ---------------------------------------------------------------------- */

enum { MANY = 3 * NN_PREDICT_ROWS + 5, MOST_OUTPUTS = 5 };

static nn_real rows[MANY * 3];

static void fill_rows(void)
{
    int i;
    random_state = 7;
    for (i = 0; i < MANY * 3; i++) rows[i] = (nn_real)uniform(-3, 3);
}

/* The class of a row of outputs, by its definition. */
static int class_of(const nn_real *y, int outputs)
{
    int j, top = 0;
    if (outputs == 1) return y[0] >= (nn_real)0.5;
    for (j = 1; j < outputs; j++)
        if (y[j] > y[top]) top = j;
    return top;
}

/* Every number of rows up to several times NN_PREDICT_ROWS, in the model's scratch and in the
   caller's, which is used to its last byte and no further. */
static void check_classes(const nn_model *model, int outputs)
{
    static nn_real y[MANY * MOST_OUTPUTS];
    int classes[MANY + 1], seen[MOST_OUTPUTS + 1] = {0}, count, own, i, kinds = 0;
    CHECK(nn_predict(model, rows, MANY, y, NULL) == NN_OK);
    for (count = 1; count <= MANY; count += count < 3 || count > NN_PREDICT_ROWS - 2 ? 1 : 7) {
        for (own = 0; own < 2; own++) {
            const size_t size = nn_scratch_size(model, count);
            unsigned char *scratch = (unsigned char *)malloc(size + 64);
            if (!CHECK(size > 0 && scratch)) return;
            memset(scratch, 0xff, size + 64);
            memset(classes, 0x77, sizeof classes);
            CHECK(nn_predict_classes(model, rows, count, classes, own ? scratch : NULL) == NN_OK);
            for (i = 0; i < count; i++) CHECK(classes[i] == class_of(y + i * outputs, outputs));
            CHECK(classes[count] == 0x77777777);
            for (i = 0; i < 64; i++) CHECK(scratch[size + (size_t)i] == 0xff);
            free(scratch);
        }
    }
    for (i = 0; i < MANY; i++) seen[classes[i]] = 1;
    for (i = 0; i <= MOST_OUTPUTS; i++) kinds += seen[i];
    CHECK(kinds > 1);
}

static void test_classes(void)
{
    static const nn_activation last[] = {NN_SOFTMAX, NN_SIGMOID, NN_LINEAR, NN_GELU};
    int outputs, i;
    fill_rows();
    for (outputs = 1; outputs <= MOST_OUTPUTS; outputs++) {
        for (i = 0; i < COUNT_OF(last); i++) {
            const nn_data data = make_data(rows, rows, MANY, 3, 3);
            nn_layer layers[3];
            nn_model *model;
            layers[0] = dense_layer(9, NN_SILU);
            layers[1] = dense_layer(2, NN_TANH);
            layers[2] = dense_layer(outputs, last[i]);
            if (outputs == 1 && last[i] == NN_SOFTMAX) continue; /* 1, always */
            model = make_model(3, layers, 3, 1);
            CHECK(nn_initialize(model, NN_INITIALIZE_GLOROT, (uint64_t)outputs) == NN_OK);
            if (outputs == 1 && last[i] != NN_SIGMOID)
                nn_parameters(model)[nn_parameter_count(model) - 1] = (nn_real)0.5;
            check_classes(model, outputs);
            if (i == 0) {
                nn_data other = data;
                other.outputs = outputs;
                CHECK(nn_fit_scaling(model, &other, NN_SCALE_STANDARD) == NN_OK);
                check_classes(model, outputs);
            }
            nn_model_free(model);
        }
    }
}

/* The first of equal outputs; with one output, 1/2 is class 1. */
static void test_ties(void)
{
    static const nn_real four[5][4] = {
        {1, 1, 1, 1}, {0, 2, 2, 1}, {-1, -1, -2, -1}, {0, 0, 0, 1}, {3, 3, 0, 0}};
    static const int expected[5] = {0, 1, 0, 3, 0};
    static const nn_real half[4] = {0.5f, (nn_real)0.49999997, 0, 0.75f};
    nn_model *model = make_identity(4, NN_LINEAR);
    int classes[5], i;
    CHECK(nn_predict_classes(model, four[0], 5, classes, NULL) == NN_OK);
    for (i = 0; i < 5; i++) CHECK(classes[i] == expected[i]);
    nn_model_free(model);
    model = make_unit(NN_LINEAR, 1, 0);
    CHECK(nn_predict_classes(model, half, 4, classes, NULL) == NN_OK);
    CHECK(classes[0] == 1 && classes[1] == 0 && classes[2] == 0 && classes[3] == 1);
    nn_model_free(model);
    model = make_unit(NN_SIGMOID, 0, 0);
    CHECK(nn_predict_classes(model, half, 1, classes, NULL) == NN_OK && classes[0] == 1);
    nn_model_free(model);
}

static void test_classes_refused(void)
{
    static const nn_real bad[] = {R_NAN, R_INF, -R_INF};
    uint64_t scratch[256];
    int classes[GOOD_ROWS], i;
    nn_real wrong[GOOD_ROWS * GOOD_INPUTS];
    if (!begin()) return;
    memset(classes, 0x77, sizeof classes);
    REFUSED(nn_predict_classes(NULL, good_x, 1, classes, NULL), NN_ERROR_NULL);
    REFUSED(nn_predict_classes(good_model, NULL, 1, classes, NULL), NN_ERROR_NULL);
    REFUSED(nn_predict_classes(good_model, good_x, 1, NULL, NULL), NN_ERROR_NULL);
    REFUSED(nn_predict_classes(good_model, good_x, 0, classes, NULL), NN_ERROR_SIZE);
    REFUSED(nn_predict_classes(good_model, good_x, -1, classes, NULL), NN_ERROR_SIZE);
    REFUSED(nn_predict_classes(good_model, good_x, 1, classes, (char *)scratch + 1),
            NN_ERROR_BLOCK);
    for (i = 0; i < 3; i++) {
        memcpy(wrong, good_x, sizeof wrong);
        wrong[GOOD_ROWS * GOOD_INPUTS - 1] = bad[i];
        REFUSED(nn_predict_classes(good_model, wrong, GOOD_ROWS, classes, NULL), NN_ERROR_DATA);
    }
    for (i = 0; i < GOOD_ROWS; i++) CHECK(classes[i] == 0x77777777);
    end();
}

/* A model over the bytes of a file: the same classes; no arrays, and no copy. */
static void test_opened(void)
{
    static const nn_layer layers[] = {NN_DENSE(7, NN_GELU), NN_DENSE(4, NN_SOFTMAX)};
    nn_model *model = make_model(3, layers, 2, 5), *opened = NULL, *copy;
    const bytes file = save_model(model);
    const size_t size = nn_model_open_size(file.at, file.size);
    void *memory = malloc(size);
    int classes[2][MANY];
    nn_layer_arrays arrays;
    long live = live_blocks;
    fill_rows();
    if (!CHECK(memory && nn_model_open_in(&opened, memory, size, file.at, file.size) == NN_OK))
        return;
    CHECK(nn_predict_classes(model, rows, MANY, classes[0], NULL) == NN_OK);
    CHECK(nn_predict_classes(opened, rows, MANY, classes[1], NULL) == NN_OK);
    CHECK(!memcmp(classes[0], classes[1], sizeof classes[0]));
    copy = model;
    CHECK(nn_model_copy(&copy, opened) == NN_ERROR_READ_ONLY && !copy);
    memset(&arrays, 0xa5, sizeof arrays);
    CHECK(nn_layer_parameters(opened, 0, &arrays) == NN_ERROR_READ_ONLY);
    CHECK(all_zero(&arrays, sizeof arrays));
    CHECK(live_blocks == live);
    free(memory);
    free(file.at);
    nn_model_free(model);
}

/* ---- nn_layer_parameters --------------------------------------------------------------------- */

static void test_layer_parameters(void)
{
    static const nn_layer layers[] = {NN_DENSE(4, NN_ELU), NN_DENSE(1, NN_TANH),
                                      NN_DENSE(3, NN_LINEAR)};
    static const int widths[] = {2, 4, 1, 3};
    nn_model *model = make_model(2, layers, 3, 1);
    nn_real *at = nn_parameters(model);
    nn_layer_arrays arrays;
    int i;
    for (i = 0; i < 3; i++) {
        memset(&arrays, 0xa5, sizeof arrays);
        CHECK(nn_layer_parameters(model, i, &arrays) == NN_OK);
        CHECK(arrays.inputs == widths[i] && arrays.outputs == widths[i + 1]);
        CHECK(arrays.weights == at);
        at += widths[i] * widths[i + 1];
        CHECK(arrays.biases == at);
        at += widths[i + 1];
    }
    CHECK(at == nn_parameters(model) + nn_parameter_count(model));
    for (i = -1; i < 4; i += 4) {
        memset(&arrays, 0xa5, sizeof arrays);
        CHECK(nn_layer_parameters(model, i, &arrays) == NN_ERROR_SIZE);
        CHECK(all_zero(&arrays, sizeof arrays));
    }
    memset(&arrays, 0xa5, sizeof arrays);
    CHECK(nn_layer_parameters(NULL, 0, &arrays) == NN_ERROR_NULL);
    CHECK(all_zero(&arrays, sizeof arrays));
    CHECK(nn_layer_parameters(model, 0, NULL) == NN_ERROR_NULL);
    nn_model_free(model);
}

/* What is written there is what the model computes with: y = x * weights + biases. */
static void test_layer_parameters_are_used(void)
{
    static const nn_layer layer = NN_DENSE(2, NN_LINEAR);
    static const nn_real x[3] = {1, 10, 100};
    nn_model *model = make_model(3, &layer, 1, 1);
    nn_layer_arrays arrays;
    nn_real y[2];
    int i;
    CHECK(nn_layer_parameters(model, 0, &arrays) == NN_OK);
    for (i = 0; i < 6; i++) arrays.weights[i] = (nn_real)(i + 1);
    arrays.biases[0] = 1000;
    arrays.biases[1] = 2000;
    CHECK(nn_predict(model, x, 1, y, NULL) == NN_OK);
    CHECK(y[0] == 1531 && y[1] == 2642);
    nn_model_free(model);
}

/* ---- nn_model_copy --------------------------------------------------------------------------- */

/* The same file and the same predictions, with every scaling; and each lives without the other. */
static void test_copy(void)
{
    static const nn_layer layers[] = {NN_DENSE(5, NN_SOFTPLUS), NN_DENSE(4, NN_RELU),
                                      NN_DENSE(3, NN_SOFTMAX)};
    const nn_data data = probe_data();
    int s;
    for (s = NN_SCALE_NONE; s <= NN_SCALE_MIN_MAX; s++) {
        nn_model *model = make_model(3, layers, 3, 1), *copy = NULL;
        nn_data fitted = data;
        bytes first, second, third;
        nn_real y[2][PROBES * 3];
        fitted.outputs = 3;
        fitted.y = (const nn_real *)y[0];
        memset(y, 0, sizeof y);
        CHECK(nn_fit_scaling(model, &fitted, (nn_scaling)s) == NN_OK);
        first = save_model(model);
        if (!CHECK(nn_model_copy(&copy, model) == NN_OK && copy && copy != model)) return;
        CHECK(nn_parameters(copy) != nn_parameters(model));
        CHECK(same_shape(copy, model) && same_parameters(copy, model));
        second = save_model(copy);
        CHECK(same_bytes(first, second));
        CHECK(nn_predict(model, probe, PROBES, y[0], NULL) == NN_OK);
        CHECK(nn_initialize(model, NN_INITIALIZE_DEFAULT, 9) == NN_OK);
        CHECK(nn_fit_scaling(model, NULL, NN_SCALE_NONE) == NN_OK);
        nn_model_free(model);
        third = save_model(copy);
        CHECK(same_bytes(first, third));
        CHECK(nn_predict(copy, probe, PROBES, y[1], NULL) == NN_OK);
        CHECK(!memcmp(y[0], y[1], sizeof y[0]));
        free(first.at);
        free(second.at);
        free(third.at);
        nn_model_free(copy);
    }
}

/* A copy trains as the model would have. */
static void test_copy_trains(void)
{
    const nn_data data = example_data();
    const nn_options how = example_options();
    nn_model *model = example_model(1), *copy = NULL;
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    if (!CHECK(nn_model_copy(&copy, model) == NN_OK)) return;
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK(!same_parameters(model, copy));
    CHECK(nn_fit(copy, &data, &how) == NN_OK);
    CHECK(same_parameters(model, copy));
    nn_model_free(model);
    nn_model_free(copy);
}

/* Of a model in the caller's memory too; without memory there is none, and nothing leaks. */
static void test_copy_refused(void)
{
    const size_t limit = heap_limit, size = nn_model_size(&binary_shape);
    void *memory = malloc(size);
    nn_model *model = NULL, *copy;
    nn_real y;
    long live = live_blocks;
    if (!CHECK(memory && nn_model_create_in(&model, memory, size, &binary_shape, 3) == NN_OK))
        return;
    copy = model;
    CHECK(nn_model_copy(&copy, NULL) == NN_ERROR_NULL && !copy);
    CHECK(nn_model_copy(NULL, model) == NN_ERROR_NULL);
    heap_limit = size - 1;
    copy = model;
    CHECK(nn_model_copy(&copy, model) == NN_ERROR_MEMORY && !copy);
    heap_limit = limit;
    CHECK(live_blocks == live);
    CHECK(nn_model_copy(&copy, model) == NN_OK && copy && live_blocks == live + 1);
    CHECK(same_shape(copy, model) && same_parameters(copy, model));
    nn_model_free(model);
    free(memory);
    CHECK(nn_predict(copy, good_x, 1, &y, NULL) == NN_OK);
    nn_model_free(copy);
    CHECK(live_blocks == live);
}

int main(void)
{
    RUN(test_classes);
    RUN(test_ties);
    RUN(test_classes_refused);
    RUN(test_opened);
    RUN(test_layer_parameters);
    RUN(test_layer_parameters_are_used);
    RUN(test_copy);
    RUN(test_copy_trains);
    RUN(test_copy_refused);
    return test_done();
}
