/* Class weights: the weights themselves, where they count, and what is refused. */
#include "refused.h"

#ifdef NN_DOUBLE
#define HUGE_WEIGHT 1e308
#else
#define HUGE_WEIGHT 3e38f
#endif

enum { ROWS = 20, EPOCHS = 3 };

static nn_real x[ROWS * 2], y[ROWS], y3[ROWS * 3], row_weight[ROWS];

/* 6 rows of class 0 and 14 of class 1; as three classes 6, 0 and 14. */
static nn_data table(int classes)
{
    nn_data data = make_data(x, classes == 2 ? y : y3, ROWS, 2, classes == 2 ? 1 : 3);
    int i;
    memset(y3, 0, sizeof y3);
    for (i = 0; i < ROWS; i++) {
        const int second = i * 7 % ROWS >= 6;
        x[2 * i] = (nn_real)(i % 7) / 3 - 1;
        x[2 * i + 1] = (nn_real)(i % 5 + 2 * second) / 2;
        y[i] = (nn_real)second;
        y3[3 * i + 2 * second] = 1;
        row_weight[i] = (nn_real)(1 + i % 3) / 2;
    }
    data.classes = classes;
    return data;
}

static nn_options options(void)
{
    nn_options how = make_options(NN_BINARY_CROSS_ENTROPY, NN_ADAM, 0.05);
    how.epochs = EPOCHS;
    how.batch_size = 7;
    return how;
}

static nn_epoch epochs[EPOCHS];

/* Trains a model; the losses are in epochs. */
static nn_model *trained(const nn_data *data, nn_options how)
{
    nn_history history = {epochs, EPOCHS, 0};
    nn_model *model = make_model(2, binary_layers, 2, 5);
    how.history = &history;
    memset(epochs, 0, sizeof epochs);
    CHECK(nn_fit(model, data, &how) == NN_OK && history.count == EPOCHS);
    return model;
}

/* Whether training by class weights is, to the bit, training by these row weights; the validation
   data has the other ones. */
static int same_as(const nn_data *data, const nn_options *how, const nn_real *weights,
                   const nn_real *validation_weights)
{
    nn_options plain = *how;
    nn_data other, validation;
    nn_epoch wanted[EPOCHS];
    nn_model *a = trained(data, *how), *b;
    int same;
    memcpy(wanted, epochs, sizeof wanted);
    plain.balance_classes = 0;
    plain.class_weights = NULL;
    other = *data;
    other.weight = weights;
    if (how->validation) {
        validation = *how->validation;
        validation.weight = validation_weights;
        plain.validation = &validation;
    }
    b = trained(&other, plain);
    same = same_parameters(a, b) && epochs[EPOCHS - 1].loss == wanted[EPOCHS - 1].loss;
    if (how->validation || how->validation_fraction > 0)
        same = same && epochs[EPOCHS - 1].validation_loss == wanted[EPOCHS - 1].validation_loss;
    nn_model_free(a);
    nn_model_free(b);
    return same;
}

/* weights[rows] = those of the data times first or second, by the row's class. */
static void weigh(const nn_data *data, nn_real first, nn_real second, nn_real *weights)
{
    int i;
    for (i = 0; i < data->rows; i++)
        weights[i] = (data->weight ? data->weight[i] : 1) *
                     (data->y[i * data->outputs] == 0 ? first : second);
}

/* ---- The weights ----------------------------------------------------------------------------- */

static void test_given(void)
{
    static const nn_real given[] = {0.75f, 3}, one_class[] = {0, 2};
    nn_real weights[ROWS], class_weights[2];
    nn_data data = table(2);
    nn_options how = options();
    int weighted;
    for (weighted = 0; weighted < 2; weighted++) {
        data.weight = weighted ? row_weight : NULL;
        memcpy(class_weights, given, sizeof given);
        how.class_weights = class_weights;
        weigh(&data, 0.75f, 3, weights);
        CHECK(same_as(&data, &how, weights, NULL));
        how.validation = &data;
        CHECK(same_as(&data, &how, weights, weights));
        how.validation = NULL;
        weights[3] *= 2; /* the comparison can fail */
        CHECK(!same_as(&data, &how, weights, NULL));
        how.class_weights = one_class;
        weigh(&data, 0, 2, weights);
        CHECK(same_as(&data, &how, weights, NULL));
    }
}

/* scikit-learn's: rows / (classes * rows of the class), with rows counted by their weights. */
static void test_balanced(void)
{
    nn_real weights[ROWS], first = 0, second = 0;
    nn_data data = table(2), validation;
    nn_options how = options();
    int i;
    how.balance_classes = 1;
    weigh(&data, (nn_real)ROWS / (2 * 6), (nn_real)ROWS / (2 * 14), weights);
    CHECK(same_as(&data, &how, weights, NULL));
    CHECK(!same_as(&data, &how, NULL, NULL));
    data.weight = row_weight; /* multiples of 1/2, whose sums are exact */
    for (i = 0; i < ROWS; i++) *(y[i] == 0 ? &first : &second) += row_weight[i];
    weigh(&data, (first + second) / (2 * first), (first + second) / (2 * second), weights);
    CHECK(same_as(&data, &how, weights, NULL));
    data.weight = NULL; /* validation rows get the weights of the training rows' classes */
    weigh(&data, (nn_real)ROWS / (2 * 6), (nn_real)ROWS / (2 * 14), weights);
    validation = data;
    validation.rows = 9;
    how.validation = &validation;
    CHECK(same_as(&data, &how, weights, weights));
    CHECK(!same_as(&data, &how, weights, NULL));
}

/* Of the rows that validation_fraction holds back none is counted: with 15 of 20 rows to train on,
   the weights are those of one of the possible numbers of class 0 among them. (6 and 14 rows cannot
   be divided in the proportion of 15 to 5, so that the weights of all rows are none of these.) */
static void test_balanced_by_training_rows(void)
{
    nn_real weights[ROWS];
    nn_data data = table(2);
    nn_options how = options();
    int seed, held, found, one_found = 0;
    how.balance_classes = 1;
    how.validation_fraction = 0.25f;
    for (seed = 0; seed < 5; seed++) {
        how.seed = (uint64_t)seed;
        for (found = held = 0; held <= 5; held++) {
            weigh(&data, (nn_real)15 / (2 * (nn_real)(6 - held)),
                  (nn_real)15 / (2 * (nn_real)(14 - 5 + held)), weights);
            found += same_as(&data, &how, weights, NULL);
        }
        one_found += found == 1;
        weigh(&data, (nn_real)ROWS / (2 * 6), (nn_real)ROWS / (2 * 14), weights);
        CHECK(!same_as(&data, &how, weights, NULL));
    }
    CHECK(one_found == 5);
}

/* With balanced weights the loss is the mean over the classes of their mean losses: over those that
   occur. */
static void test_balanced_loss(void)
{
    static const nn_layer layer = NN_DENSE(3, NN_SOFTMAX);
    nn_data data = table(3), part;
    nn_options how = make_options(NN_CROSS_ENTROPY, NN_SGD, 1e-30);
    nn_model *model = make_model(2, &layer, 1, 3);
    nn_history history = {epochs, 1, 0};
    nn_real weights[ROWS];
    nn_metrics first, second;
    int i;
    how.epochs = 1;
    how.balance_classes = 1;
    how.history = &history;
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    how.balance_classes = 0;
    part = data;
    part.weight = weights;
    for (i = 0; i < ROWS; i++) weights[i] = y3[3 * i];
    CHECK(nn_evaluate(model, &part, &how, &first) == NN_OK && first.rows == 6);
    for (i = 0; i < ROWS; i++) weights[i] = y3[3 * i + 2];
    CHECK(nn_evaluate(model, &part, &how, &second) == NN_OK && second.rows == 14);
    CHECK(fabs((double)(first.loss - second.loss)) > 0.01);
    CHECK_NEAR(epochs[0].loss, (first.loss + second.loss) / 2, 1e-6, 0);
    nn_model_free(model);
}

/* Forty classes, of which every other one occurs, by given and by balanced weights: the bits of
   training by row weights. */
static void test_many_classes(void)
{
    enum { CLASSES = 40, MANY = 100 };
    static const nn_layer layers[] = {NN_DENSE(3, NN_TANH), NN_DENSE(CLASSES, NN_SOFTMAX)};
    static nn_real inputs[MANY * 2], targets[MANY * CLASSES];
    nn_real class_weights[CLASSES], weights[MANY];
    int counts[CLASSES] = {0}, class_of[MANY], i, present = 0, balanced;
    nn_data data = make_data(inputs, targets, MANY, 2, CLASSES);
    memset(targets, 0, sizeof targets);
    for (i = 0; i < MANY; i++) {
        inputs[2 * i] = (nn_real)uniform(-1, 1);
        inputs[2 * i + 1] = (nn_real)uniform(-1, 1);
        class_of[i] = i * i % CLASSES / 2 * 2;
        targets[i * CLASSES + class_of[i]] = 1;
        present += counts[class_of[i]]++ == 0;
    }
    CHECK(present > 3 && present < 20);
    for (i = 0; i < CLASSES; i++) class_weights[i] = (nn_real)(i % 7 + 1) / 3;
    for (balanced = 0; balanced < 2; balanced++) {
        nn_options how = make_options(NN_CROSS_ENTROPY, NN_ADAM, 0.05);
        nn_model *a = make_model(2, layers, 2, 5), *b = make_model(2, layers, 2, 5);
        how.epochs = EPOCHS;
        how.batch_size = 7;
        data.weight = NULL;
        how.balance_classes = balanced;
        if (!balanced) how.class_weights = class_weights;
        CHECK(nn_fit(a, &data, &how) == NN_OK);
        for (i = 0; i < MANY; i++)
            weights[i] = balanced
                             ? (nn_real)MANY / ((nn_real)present * (nn_real)counts[class_of[i]])
                             : class_weights[class_of[i]];
        data.weight = weights;
        how.balance_classes = 0;
        how.class_weights = NULL;
        CHECK(nn_fit(b, &data, &how) == NN_OK);
        CHECK(same_parameters(a, b));
        nn_model_free(a);
        nn_model_free(b);
    }
}

/* Labels are the classes that they are in y, in the training data and in the validation data. */
static void test_labels(void)
{
    int labels[ROWS], i, balanced;
    nn_data data = table(2), other;
    for (i = 0; i < ROWS; i++) labels[i] = y[i] == 1;
    other = data;
    other.y = NULL;
    other.labels = labels;
    for (balanced = 0; balanced < 2; balanced++) {
        static const nn_real given[] = {0.75f, 3};
        nn_options how = options();
        nn_epoch wanted[EPOCHS];
        nn_model *a, *b;
        how.balance_classes = balanced;
        if (!balanced) how.class_weights = given;
        how.validation = &data;
        a = trained(&data, how);
        memcpy(wanted, epochs, sizeof wanted);
        how.validation = &other;
        b = trained(&other, how);
        CHECK(same_parameters(a, b));
        CHECK(wanted[EPOCHS - 1].loss == epochs[EPOCHS - 1].loss);
        CHECK(wanted[EPOCHS - 1].validation_loss == epochs[EPOCHS - 1].validation_loss);
        nn_model_free(a);
        nn_model_free(b);
    }
}

/* ---- Trainers -------------------------------------------------------------------------------- */

static int stop_after_one(const nn_progress *progress, void *user)
{
    (void)user;
    return progress->epoch == 1 && progress->batch != 1;
}

/* A trainer on the heap has its own copies of dropout and of the class weights; a run that goes on
   computes the same weights again. */
static void test_copied(void)
{
    nn_real class_weights[2] = {2, 0.5f}, dropout[2] = {0.5f, 0};
    nn_data data = table(2);
    nn_options how = options();
    nn_model *whole, *parts = make_model(2, binary_layers, 2, 5);
    nn_trainer *trainer;
    how.class_weights = class_weights;
    how.dropout = dropout;
    whole = trained(&data, how);
    how.callback = stop_after_one;
    how.callback_batches = 1;
    trainer = make_trainer(parts, &how);
    class_weights[0] = class_weights[1] = -1;
    dropout[0] = dropout[1] = -1;
    CHECK(nn_trainer_fit(trainer, &data) == NN_OK && !same_parameters(whole, parts));
    while (nn_trainer_fit(trainer, &data) == NN_OK) continue;
    CHECK(same_parameters(whole, parts));
    nn_trainer_free(trainer);
    nn_model_free(whole);
    nn_model_free(parts);
}

/* ---- Refused --------------------------------------------------------------------------------- */

static void test_refused(void)
{
    static const nn_real good[] = {1, 2},
                         bad[][2] = {{-1, 1}, {1, R_NAN}, {R_INF, 1}, {0, 0}, {1, -R_INF}};
    nn_options how = good_options();
    nn_data data = good_data();
    int i;
    if (!begin()) return;
    for (i = 0; i < COUNT_OF(bad); i++) BAD_OPTION(class_weights, bad[i]);
    BAD_OPTION(balance_classes, -1);
    how.class_weights = good;
    BAD_OPTION(balance_classes, 1); /* one of the two */
    how.loss = NN_MSE;              /* a regression has no classes */
    REFUSED(nn_fit(good_model, &data, &how), NN_ERROR_LABEL);
    how.class_weights = NULL;
    how.balance_classes = 1;
    REFUSED(nn_fit(good_model, &data, &how), NN_ERROR_LABEL);
    data.classes = 2;
    how.epochs = 1;
    how.learning_rate = 1e-30f;
    CHECK(nn_fit(good_model, &data, &how) == NN_OK); /* with classes it has */
    end();
}

/* Nothing is left to train on, or to validate on; or a weight overflows. */
static void test_without_weight(void)
{
    static const nn_real first[] = {1, 0}, huge[] = {HUGE_WEIGHT, 1};
    nn_real weights[ROWS];
    nn_data data = table(2), validation = table(2);
    nn_options how = options();
    nn_model *model = make_model(2, binary_layers, 2, 1);
    int i;
    how.class_weights = first;
    for (i = 0; i < ROWS; i++) weights[i] = y[i];
    data.weight = weights;
    CHECK(nn_fit(model, &data, &how) == NN_ERROR_WEIGHT);
    data.weight = NULL;
    validation.weight = weights;
    how.validation = &validation;
    CHECK(nn_fit(model, &data, &how) == NN_ERROR_WEIGHT);
    how.validation = NULL;
    how.class_weights = huge;
    for (i = 0; i < ROWS; i++) weights[i] = 100;
    data.weight = weights;
    CHECK(nn_fit(model, &data, &how) == NN_ERROR_WEIGHT);
    nn_model_free(model);
}

int main(void)
{
    RUN(test_given);
    RUN(test_balanced);
    RUN(test_balanced_by_training_rows);
    RUN(test_balanced_loss);
    RUN(test_many_classes);
    RUN(test_labels);
    RUN(test_copied);
    RUN(test_refused);
    RUN(test_without_weight);
    return test_done();
}
