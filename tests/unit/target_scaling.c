/* Scaling of the targets of a regression: training on scaled targets, predicting in their own
   units. What training on targets that the caller scales by hand gives is the reference. */
#include "files.h"

enum { ROWS = 40, INPUTS = 3, MOST = 3 };

static nn_real table_x[ROWS * INPUTS], table_y[ROWS * MOST], scaled_y[ROWS * MOST];
static nn_real row_weights[ROWS];

/* Targets with means of hundred thousands, and of thousandths. */
static nn_data make_table(int outputs)
{
    nn_data data = make_data(table_x, table_y, ROWS, INPUTS, outputs);
    int i, j;
    random_state = 5;
    for (i = 0; i < ROWS; i++) {
        nn_real *x = table_x + i * INPUTS;
        for (j = 0; j < INPUTS; j++) x[j] = (nn_real)uniform(-1, 1);
        for (j = 0; j < outputs; j++)
            table_y[i * outputs + j] =
                j == 1 ? x[0] * x[2] / 1000 : 250000 + 90000 * x[0] + 20000 * x[1] * x[j];
        row_weights[i] = (nn_real)(i % 3);
    }
    return data;
}

/* The offset and the factor of an output, as the model's file says. */
static void read_scaling(const nn_model *model, int outputs, nn_real *offset, nn_real *factor)
{
    bytes file = save_model(model);
    size_t length = 0, size = 2 * sizeof(nn_real);
    const unsigned char *at = find_value(file, "nn.target_values", &length);
    int i;
    CHECK(at && length == 2 * (size_t)outputs * size);
    for (i = 0; at && i < 2 * outputs; i++) {
        char digits[17];
        uint64_t wide;
        uint32_t narrow;
        memcpy(digits, at + (size_t)i * size, size);
        digits[size] = 0;
        wide = strtoull(digits, NULL, 16);
        narrow = (uint32_t)wide;
        memcpy(i < outputs ? offset + i : factor + i - outputs,
               sizeof(nn_real) == 4 ? (void *)&narrow : (void *)&wide, sizeof(nn_real));
    }
    free(file.at);
}

/* The same data with targets that are scaled by hand. */
static nn_data by_hand(const nn_data *data, const nn_real *offset, const nn_real *factor)
{
    nn_data scaled = *data;
    int i;
    for (i = 0; i < data->rows * data->outputs; i++) {
        volatile nn_real d = data->y[i] - offset[i % data->outputs];
        scaled_y[i] = d * factor[i % data->outputs];
    }
    scaled.y = scaled_y;
    return scaled;
}

static nn_model *make_net(int outputs, nn_activation last)
{
    nn_layer layers[2];
    layers[0] = dense_layer(7, NN_TANH);
    layers[1] = dense_layer(outputs, last);
    return make_model(INPUTS, layers, 2, 3);
}

typedef struct losses {
    nn_real at[64];
    int count;
} losses;

static int keep_losses(const nn_progress *progress, void *user)
{
    losses *kept = (losses *)user;
    if (kept->count > 62) return 0;
    kept->at[kept->count++] = progress->loss;
    kept->at[kept->count++] = progress->validation_loss;
    return 0;
}

static nn_options training(nn_loss loss, int variant, losses *kept)
{
    nn_options how = make_options(loss, NN_ADAM, 0.01);
    how.epochs = 6;
    how.batch_size = 8;
    how.micro_batch_size = variant % 2 ? 3 : 0;
    how.validation_fraction = (nn_real)(variant % 3 ? 0 : 0.25);
    how.patience = variant % 4 == 1 ? 2 : 0;
    how.scaling = variant % 2 ? NN_SCALE_MIN_MAX : NN_SCALE_NONE;
    how.callback = keep_losses;
    how.user = kept;
    return how;
}

/* ---- Training -------------------------------------------------------------------------------- */

static const nn_loss all_losses[] = {NN_MSE, NN_HUBER, NN_MAE, NN_QUANTILE};

/* Weights, losses and metrics have the bits of training on targets that are scaled by hand. */
static void test_as_by_hand(void)
{
    static const nn_activation lasts[] = {NN_LINEAR, NN_TANH, NN_GELU};
    int variant;
    for (variant = 0; variant < 24; variant++) {
        const int outputs = 1 + variant % 3;
        nn_data data = make_table(outputs), scaled;
        losses kept[2];
        nn_options how = training(all_losses[variant % 4], variant, &kept[0]);
        nn_model *model = make_net(outputs, lasts[variant / 4 % 3]), *plain = NULL;
        nn_real offset[MOST], factor[MOST];
        nn_metrics measured, expected;

        memset(kept, 0, sizeof kept);
        if (variant % 5 == 2) data.weight = row_weights;
        CHECK(nn_model_copy(&plain, model) == NN_OK);
        how.target_scaling = variant % 2 ? NN_SCALE_STANDARD : NN_SCALE_MIN_MAX;
        CHECK(nn_fit(model, &data, &how) == NN_OK);
        read_scaling(model, outputs, offset, factor);
        scaled = by_hand(&data, offset, factor);
        how.target_scaling = NN_SCALE_NONE;
        how.user = &kept[1];
        CHECK(nn_fit(plain, &scaled, &how) == NN_OK);
        CHECK(same_parameters(model, plain));
        CHECK(kept[0].count > 0 && !memcmp(&kept[0], &kept[1], sizeof kept[0]));
        CHECK(nn_evaluate(model, &data, &how, &measured) == NN_OK);
        CHECK(nn_evaluate(plain, &scaled, &how, &expected) == NN_OK);
        CHECK(!memcmp(&measured.loss, &expected.loss, sizeof measured.loss));
        if (test_bad) printf("variant %d\n", variant);
        nn_model_free(model);
        nn_model_free(plain);
    }
}

/* nn_train_batch, nn_accumulate, nn_forward and nn_backward: the same gradients as by hand. */
static void test_steps(void)
{
    int variant;
    for (variant = 0; variant < 6; variant++) {
        const int outputs = 1 + variant % 3;
        nn_data data = make_table(outputs), scaled;
        const nn_options how = make_options(all_losses[variant % 4], NN_ADAM, 0.01);
        nn_model *model = make_net(outputs, variant % 2 ? NN_SOFTPLUS : NN_LINEAR), *plain = NULL;
        nn_trainer *trainer = NULL, *other = NULL;
        nn_real offset[MOST], factor[MOST], loss, expected, dx[2][8 * INPUTS];
        nn_real dy[8 * MOST], dp[8 * MOST], y[8 * MOST];
        const nn_real *out = NULL, *plain_out = NULL;
        const size_t size = nn_parameter_count(model) * sizeof(nn_real);
        int i;

        CHECK(nn_model_copy(&plain, model) == NN_OK);
        CHECK(nn_fit_target_scaling(model, &data, NN_SCALE_STANDARD) == NN_OK);
        read_scaling(model, outputs, offset, factor);
        scaled = by_hand(&data, offset, factor);
        data.rows = scaled.rows = 8;
        CHECK(nn_trainer_create(&trainer, model, &how) == NN_OK);
        CHECK(nn_trainer_create(&other, plain, &how) == NN_OK);
        CHECK(nn_train_batch(trainer, data.x, data.y, 8, &loss) == NN_OK);
        CHECK(nn_train_batch(other, scaled.x, scaled.y, 8, &expected) == NN_OK);
        CHECK(loss == expected && same_parameters(model, plain));
        CHECK(nn_accumulate(trainer, &data, &loss) == NN_OK);
        CHECK(nn_accumulate(other, &scaled, &expected) == NN_OK);
        CHECK(loss == expected && !memcmp(nn_gradients(trainer), nn_gradients(other), size));
        CHECK(nn_clear_gradients(trainer) == NN_OK && nn_clear_gradients(other) == NN_OK);

        CHECK(nn_predict(model, data.x, 8, y, NULL) == NN_OK);
        CHECK(nn_forward(trainer, data.x, 8, &out) == NN_OK);
        CHECK(nn_forward(other, data.x, 8, &plain_out) == NN_OK);
        CHECK(out && !memcmp(out, y, (size_t)(8 * outputs) * sizeof *y));
        for (i = 0; i < 8 * outputs; i++) {
            dy[i] = (nn_real)(i % 7 - 3) / 8;
            dp[i] = dy[i] * (1 / factor[i % outputs]);
        }
        /* The derivative may stand where the outputs are. */
        if (variant > 2) memcpy((nn_real *)(uintptr_t)out, dy, (size_t)(8 * outputs) * sizeof *dy);
        CHECK(nn_backward(trainer, variant > 2 ? out : dy, dx[0]) == NN_OK);
        CHECK(nn_backward(other, dp, dx[1]) == NN_OK);
        CHECK(!memcmp(dx[0], dx[1], sizeof dx[0]));
        CHECK(!memcmp(nn_gradients(trainer), nn_gradients(other), size));
        nn_trainer_free(trainer);
        nn_trainer_free(other);
        nn_model_free(model);
        nn_model_free(plain);
    }
}

#ifdef NN_DOUBLE
/* The sum of (y - t)^2 over rows and outputs, in the targets' own units. */
static double squares(const nn_model *model, const nn_data *data)
{
    nn_real y[8 * MOST];
    double sum = 0;
    int i;
    CHECK(nn_predict(model, data->x, data->rows, y, NULL) == NN_OK);
    for (i = 0; i < data->rows * data->outputs; i++)
        sum += (y[i] - data->y[i]) * (y[i] - data->y[i]);
    return sum;
}

/* The gradient of nn_backward against central differences. */
static void test_gradient(void)
{
    nn_data data = make_table(2);
    const nn_options how = make_options(NN_MSE, NN_SGD, 0.01);
    nn_model *model = make_net(2, NN_GELU);
    nn_trainer *trainer = NULL;
    nn_real dy[8 * MOST];
    const nn_real *y = NULL;
    size_t i;
    int k;

    CHECK(nn_fit_target_scaling(model, &data, NN_SCALE_STANDARD) == NN_OK);
    CHECK(nn_fit_scaling(model, &data, NN_SCALE_STANDARD) == NN_OK);
    data.rows = 8;
    CHECK(nn_trainer_create(&trainer, model, &how) == NN_OK);
    CHECK(nn_forward(trainer, data.x, 8, &y) == NN_OK);
    for (k = 0; k < 16; k++) dy[k] = 2 * (y[k] - data.y[k]);
    CHECK(nn_backward(trainer, dy, NULL) == NN_OK);
    for (i = 0; i < nn_parameter_count(model); i++) {
        const double h = 1e-5, before = nn_parameters(model)[i];
        double difference;
        nn_parameters(model)[i] = before + h;
        difference = squares(model, &data);
        nn_parameters(model)[i] = before - h;
        difference = (difference - squares(model, &data)) / (2 * h);
        nn_parameters(model)[i] = before;
        CHECK_NEAR(nn_gradients(trainer)[i], difference, 1e-6, 1e6);
    }
    nn_trainer_free(trainer);
    nn_model_free(model);
}
#endif

/* House prices: without the scaling the net learns nothing, with it nearly all. */
static void test_house_prices(void)
{
    static nn_real x[500 * 4], y[500];
    nn_data data = make_data(x, y, 500, 4, 1), train, test;
    nn_layer layers[2];
    nn_metrics m;
    int i, scaled;

    random_state = 11;
    for (i = 0; i < 500; i++) {
        nn_real *house = x + 4 * i;
        house[0] = (nn_real)uniform(50, 250); /* square metres */
        house[1] = (nn_real)random_below(5);  /* rooms */
        house[2] = (nn_real)uniform(0, 100);  /* years */
        house[3] = (nn_real)random_below(2);  /* a garden */
        y[i] = 60000 + 2100 * house[0] + 9000 * house[1] - 400 * house[2] +
               300 * house[3] * house[0] + (nn_real)uniform(-5000, 5000);
    }
    layers[0] = dense_layer(16, NN_TANH);
    layers[1] = dense_layer(1, NN_LINEAR);
    CHECK(nn_split(&data, (nn_real)0.8, 1, &train, &test) == NN_OK);
    for (scaled = 0; scaled < 2; scaled++) {
        nn_model *model = make_model(4, layers, 2, 1);
        nn_options how = make_options(NN_MSE, NN_ADAM, 0.01);
        how.scaling = NN_SCALE_STANDARD;
        how.target_scaling = scaled ? NN_SCALE_STANDARD : NN_SCALE_NONE;
        CHECK(nn_fit(model, &train, &how) == NN_OK);
        CHECK(nn_evaluate(model, &test, &how, &m) == NN_OK);
        if (scaled)
            CHECK(m.r2 >= (nn_real)0.98 && m.mae < 10000 && m.mae > 1000 && m.loss < (nn_real)0.02);
        else
            CHECK(m.r2 < 0);
        nn_model_free(model);
    }
    nn_data_free(&train);
    nn_data_free(&test);
}

/* ---- Predicting and measuring ---------------------------------------------------------------- */

static void test_units(void)
{
    nn_data data = make_table(2);
    const nn_real mean[] = {200000, (nn_real)-0.5}, deviation[] = {50000, (nn_real)0.125};
    nn_model *model = make_net(2, NN_LINEAR), *plain = NULL;
    nn_real p[ROWS * 2], y[ROWS * 2];
    nn_metrics m;
    double squared = 0, absolute = 0;
    int classes[ROWS], i;

    CHECK(nn_model_copy(&plain, model) == NN_OK);
    CHECK(nn_set_target_scaling(model, mean, deviation) == NN_OK);
    CHECK(nn_predict(plain, data.x, ROWS, p, NULL) == NN_OK);
    CHECK(nn_predict(model, data.x, ROWS, y, NULL) == NN_OK);
    CHECK(nn_predict_classes(model, data.x, ROWS, classes, NULL) == NN_OK);
    for (i = 0; i < ROWS * 2; i++) {
        const nn_real scale = 1 / (1 / deviation[i % 2]);
        CHECK_NEAR(y[i], (double)p[i] * scale + mean[i % 2], 1e-6, 1e-6);
        if (i % 2) CHECK(classes[i / 2] == 0); /* the first output is far larger */
        squared += ((double)y[i] - data.y[i]) * ((double)y[i] - data.y[i]);
        absolute += fabs((double)y[i] - data.y[i]);
    }
    CHECK(nn_evaluate(model, &data, NULL, &m) == NN_OK);
    CHECK_NEAR(m.mse, squared / (ROWS * 2), 1e-5, 0);
    CHECK_NEAR(m.mae, absolute / (ROWS * 2), 1e-5, 0);
    CHECK(m.loss < m.mse / 1000);
    CHECK(nn_fit_target_scaling(model, NULL, NN_SCALE_NONE) == NN_OK);
    CHECK(nn_predict(model, data.x, ROWS, y, NULL) == NN_OK && !memcmp(p, y, sizeof p));
    nn_model_free(model);
    nn_model_free(plain);
}

/* A second nn_fit keeps the scaling of the first; a constant target is only shifted. */
static void test_kept(void)
{
    nn_data data = make_table(2);
    nn_options how = make_options(NN_MSE, NN_SGD, 0.01);
    nn_model *model = make_net(2, NN_LINEAR);
    nn_real offset[2][MOST], factor[2][MOST];
    int i;

    how.epochs = 1;
    how.target_scaling = NN_SCALE_STANDARD;
    for (i = 0; i < ROWS; i++) table_y[2 * i + 1] = 7;
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    read_scaling(model, 2, offset[0], factor[0]);
    CHECK(offset[0][1] == 7 && factor[0][1] == 1 && factor[0][0] < (nn_real)0.001);
    for (i = 0; i < 2 * ROWS; i++) table_y[i] *= 2;
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    read_scaling(model, 2, offset[1], factor[1]);
    CHECK(!memcmp(offset[0], offset[1], 2 * sizeof(nn_real)));
    CHECK(!memcmp(factor[0], factor[1], 2 * sizeof(nn_real)));
    nn_model_free(model);
}

/* ---- What is refused ------------------------------------------------------------------------- */

static void test_refused(void)
{
    static const nn_layer sigmoid[] = {NN_DENSE(1, NN_SIGMOID)};
    nn_data data = make_table(1), classes;
    static nn_real zeros[ROWS];
    static int labels[ROWS];
    const nn_real mean[] = {1}, deviation[] = {2}, negative[] = {-2}, huge_x[] = {(nn_real)NAN};
    nn_options how = make_options(NN_MSE, NN_SGD, 0.01);
    nn_model *model = make_net(1, NN_LINEAR), *binary = make_model(INPUTS, sigmoid, 1, 1);
    nn_trainer *trainer = NULL;
    nn_metrics m;
    nn_real loss;
    int matrix[4];

    classes = data;
    classes.y = zeros;
    classes.classes = 2;
    CHECK(nn_set_target_scaling(NULL, mean, deviation) == NN_ERROR_NULL);
    CHECK(nn_set_target_scaling(model, NULL, deviation) == NN_ERROR_NULL);
    CHECK(nn_set_target_scaling(model, mean, NULL) == NN_ERROR_NULL);
    CHECK(nn_set_target_scaling(model, mean, negative) == NN_ERROR_OPTION);
    CHECK(nn_set_target_scaling(model, huge_x, deviation) == NN_ERROR_OPTION);
    CHECK(nn_fit_target_scaling(NULL, &data, NN_SCALE_STANDARD) == NN_ERROR_NULL);
    CHECK(nn_fit_target_scaling(model, NULL, NN_SCALE_STANDARD) == NN_ERROR_NULL);
    CHECK(nn_fit_target_scaling(model, &data, (nn_scaling)3) == NN_ERROR_OPTION);
    CHECK(nn_fit_target_scaling(model, &classes, NN_SCALE_STANDARD) == NN_ERROR_OPTION);
    data.outputs = 2;
    CHECK(nn_fit_target_scaling(model, &data, NN_SCALE_STANDARD) == NN_ERROR_SHAPE);
    data.outputs = 1;
    data.y = NULL; /* the targets are not known */
    CHECK(nn_fit_target_scaling(model, &data, NN_SCALE_STANDARD) == NN_ERROR_NULL);
    data.y = table_y;
    classes.y = NULL;
    classes.labels = labels;
    CHECK(nn_fit_target_scaling(model, &classes, NN_SCALE_STANDARD) == NN_ERROR_OPTION);
    how.target_scaling = NN_SCALE_STANDARD;
    CHECK(nn_fit(model, &classes, &how) == NN_ERROR_OPTION);
    classes.classes = 0;
    CHECK(nn_fit_target_scaling(model, &classes, NN_SCALE_STANDARD) != NN_OK);
    CHECK(nn_fit(model, &classes, &how) != NN_OK);
    classes.classes = 2;
    classes.labels = NULL;
    classes.y = zeros;
    table_y[3] = REAL_MAX;
    CHECK(nn_fit_target_scaling(model, &data, NN_SCALE_STANDARD) == NN_ERROR_DATA);
    how.target_scaling = NN_SCALE_MIN_MAX;
    CHECK(nn_fit(model, &data, &how) == NN_ERROR_DATA);
    table_y[3] = 1;
    CHECK(nn_fit(model, &classes, &how) == NN_ERROR_OPTION);
    how.target_scaling = (nn_scaling)3;
    CHECK(nn_fit(model, &data, &how) == NN_ERROR_OPTION);
    how.target_scaling = NN_SCALE_MIN_MAX;
    how.loss = NN_BINARY_CROSS_ENTROPY;
    CHECK(nn_fit(binary, &classes, &how) == NN_ERROR_OPTION);
    CHECK(nn_trainer_size(binary, &how) == 0);
    how.target_scaling = NN_SCALE_NONE;
    CHECK(nn_fit(binary, &classes, &how) == NN_OK);

    /* Classes and a model whose targets are scaled do not go together. */
    CHECK(nn_set_target_scaling(binary, mean, deviation) == NN_OK);
    CHECK(nn_fit(binary, &classes, &how) == NN_ERROR_OPTION);
    CHECK(nn_evaluate(binary, &classes, &how, &m) == NN_ERROR_OPTION);
    CHECK(nn_confusion_matrix(binary, &classes, matrix) == NN_ERROR_OPTION);
    CHECK(nn_trainer_create(&trainer, binary, &how) == NN_OK);
    CHECK(nn_train_batch(trainer, classes.x, classes.y, 1, &loss) == NN_ERROR_OPTION);
    nn_trainer_free(trainer);
    how.loss = NN_MSE;
    CHECK(nn_fit(binary, &classes, &how) == NN_ERROR_OPTION);
    CHECK(nn_fit(binary, &data, &how) == NN_OK); /* a regression with a sigmoid */
    nn_model_free(model);
    nn_model_free(binary);
}

/* ---- Files and copies ------------------------------------------------------------------------ */

/* Both predict the same for the table. */
static int predict_the_same(const nn_model *a, const nn_model *b)
{
    nn_real ya[ROWS * 2], yb[ROWS * 2];
    memset(yb, 0xff, sizeof yb);
    return nn_predict(a, table_x, ROWS, ya, NULL) == NN_OK &&
           nn_predict(b, table_x, ROWS, yb, NULL) == NN_OK && !memcmp(ya, yb, sizeof ya);
}

static nn_model *make_trained(nn_scaling scaling)
{
    nn_data data = make_table(2);
    nn_options how = make_options(NN_MSE, NN_ADAM, 0.01);
    nn_model *model = make_net(2, NN_LINEAR);
    how.epochs = 3;
    how.scaling = scaling;
    how.target_scaling = NN_SCALE_MIN_MAX;
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    return model;
}

static void test_files(void)
{
    int scaling;
    for (scaling = 0; scaling < 3; scaling++) {
        nn_model *model = make_trained((nn_scaling)scaling), *other = make_net(2, NN_LINEAR);
        nn_model *loaded = NULL, *copy = NULL, *opened = NULL;
        bytes file, again, memory, plain = save_model(other);
        size_t length;

        CHECK(nn_set_metadata(model, "author", "Ada") == NN_OK);
        file = save_model(model);
        CHECK(*find_value(file, "nn.version", &length) == '2');
        CHECK(*find_value(plain, "nn.version", &length) == '1');
        CHECK(find_value(file, "nn.target_scale", &length) &&
              find_value(file, "nn.target_offset", &length));
        CHECK(nn_load_memory(&loaded, file.at, file.size, NULL) == NN_OK);
        CHECK(predict_the_same(model, loaded) && nn_metadata(loaded, "author"));
        again = save_model(loaded);
        CHECK(same_bytes(file, again));
        CHECK(!predict_the_same(model, other));
        CHECK(nn_load_parameters_memory(other, file.at, file.size, NULL, NULL) == NN_OK);
        CHECK(predict_the_same(model, other));
        CHECK(nn_model_copy(&copy, model) == NN_OK && predict_the_same(model, copy));
        memory = make_bytes(nn_model_open_size(file.at, file.size));
        CHECK(nn_model_open_in(&opened, memory.at, memory.size, file.at, file.size) == NN_OK);
        CHECK(opened && predict_the_same(model, opened));
        nn_model_free(opened);

        /* a file without it removes it */
        CHECK(nn_load_parameters_memory(copy, plain.at, plain.size, NULL, NULL) == NN_OK);
        CHECK(nn_load_parameters_memory(other, file.at, file.size, NULL, NULL) == NN_OK);
        CHECK(!predict_the_same(copy, other));
        free(again.at);
        again = save_model(copy);
        CHECK(same_bytes(plain, again));
        nn_model_free(model);
        nn_model_free(other);
        nn_model_free(loaded);
        nn_model_free(copy);
        free(file.at);
        free(again.at);
        free(memory.at);
        free(plain.at);
    }
}

/* Training goes on after a checkpoint as if it had not been interrupted. */
static void test_checkpoint(void)
{
    nn_data data = make_table(2);
    nn_options how = make_options(NN_MSE, NN_ADAM, 0.01);
    nn_model *model = make_net(2, NN_LINEAR), *other = make_net(2, NN_LINEAR);
    nn_trainer *trainer = NULL, *into = NULL;
    bytes file, again;

    how.epochs = 2;
    how.target_scaling = NN_SCALE_STANDARD;
    CHECK(nn_trainer_create(&trainer, model, &how) == NN_OK);
    CHECK(nn_trainer_fit(trainer, &data) == NN_OK);
    file = save_trainer(trainer);
    nn_trainer_free(trainer);
    CHECK(nn_trainer_create(&into, other, &how) == NN_OK);
    CHECK(nn_load_checkpoint_memory(into, file.at, file.size, NULL) == NN_OK);
    again = save_trainer(into);
    CHECK(same_bytes(file, again));
    nn_trainer_free(into);
    how.epochs = 5;
    CHECK(nn_trainer_create(&trainer, model, &how) == NN_OK);
    CHECK(nn_trainer_create(&into, other, &how) == NN_OK);
    CHECK(nn_load_checkpoint_memory(trainer, file.at, file.size, NULL) == NN_OK);
    CHECK(nn_load_checkpoint_memory(into, file.at, file.size, NULL) == NN_OK);
    CHECK(nn_trainer_fit(trainer, &data) == NN_OK && nn_trainer_fit(into, &data) == NN_OK);
    CHECK(same_parameters(model, other) && predict_the_same(model, other));
    nn_trainer_free(trainer);
    nn_trainer_free(into);
    nn_model_free(model);
    nn_model_free(other);
    free(file.at);
    free(again.at);
}

/* Files that nn_save does not write, under a checksum that is right; and each byte of a header made
   wrong, from the checksum on. */
static void test_damage(void)
{
    nn_model *model = make_trained(NN_SCALE_NONE), *loaded = NULL, *opened = NULL;
    bytes file = save_model(model), b, memory;
    size_t at, length, end = 8 + header_size(file), digits = 2 * sizeof(nn_real);
    int i;

    memory = make_bytes(nn_model_open_size(file.at, file.size));
    for (i = 0; i < 7; i++) {
        unsigned char *value;
        const char *text = NULL;
        b = copy_bytes(file.at, file.size);
        value = find_value(b, "nn.target_values", &length);
        if (!CHECK(value && length == 4 * digits)) return;
        switch (i) {
        case 0: *find_value(b, "nn.version", &length) = '1'; break;
        case 1: memcpy(find_value(b, "nn.target_scaling", &length), "min-mix", 7); break;
        case 2: text = "ffffffffffffffff"; break; /* NaN */
        case 3: text = "0000000000000000"; break; /* a factor of 0 */
        case 4: text = "bf800000bf800000"; break; /* negative */
        case 5: text = "g"; break;
        default: memcpy(value - 19, "nn.target_volumes", 16); break;
        }
        if (text) memcpy(value + 3 * digits, text, text[1] ? digits : 1);
        CHECK(put_checksum(b));
        CHECK(nn_load_memory(&loaded, b.at, b.size, NULL) == NN_ERROR_METADATA && !loaded);
        CHECK(nn_load_parameters_memory(model, b.at, b.size, NULL, NULL) == NN_ERROR_METADATA);
        CHECK(nn_model_open_in(&opened, memory.at, memory.size, b.at, b.size) != NN_OK && !opened);
        free(b.at);
    }
    for (at = (size_t)(find_value(file, "nn.crc32", &length) - file.at); at < end; at++) {
        file.at[at] ^= 1;
        CHECK(nn_load_memory(&loaded, file.at, file.size, NULL) != NN_OK && !loaded);
        CHECK(nn_model_open_in(&opened, memory.at, memory.size, file.at, file.size) != NN_OK);
        file.at[at] ^= 1;
    }
    CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL, NULL) == NN_OK);
    nn_model_free(model);
    free(memory.at);
    free(file.at);
}

int main(void)
{
    RUN(test_as_by_hand);
    RUN(test_steps);
#ifdef NN_DOUBLE
    RUN(test_gradient);
#endif
    RUN(test_house_prices);
    RUN(test_units);
    RUN(test_kept);
    RUN(test_refused);
    RUN(test_files);
    RUN(test_checkpoint);
    RUN(test_damage);
    return test_done();
}
