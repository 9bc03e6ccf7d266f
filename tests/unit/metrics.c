/* Metrics against constants that scikit-learn 1.2.1 gave for fixed data and against definitions
   coded once more, slowly, below. The model is one layer with identity weights, so that its
   outputs are the activation of the inputs. Usage: metrics [SEED] */
#include "refused.h"

/* What a few operations round. */
#ifdef NN_DOUBLE
#define EXACT 1e-12
#else
#define EXACT 4e-7
#endif

static uint64_t first_seed = 1;

static nn_data table(const nn_real *x, const nn_real *y, int rows, int outputs, int classes)
{
    nn_data data;
    memset(&data, 0, sizeof data);
    data.rows = rows;
    data.inputs = data.outputs = outputs;
    data.classes = classes;
    data.x = x;
    data.y = y;
    return data;
}

/* All bits set: no field can pass by not being written. */
static nn_metrics unset(void)
{
    nn_metrics m;
    memset(&m, 0xFF, sizeof m);
    return m;
}

/* ---- Fixed data, values from scikit-learn ---------------------------------------------------- */

/* How the constants were made: p = 1 / (1 + exp(-x)), q = p > 0.5, then log_loss(t, p),
   accuracy_score(t, q), precision_score, recall_score, f1_score (also average="macro"),
   roc_auc_score(t, p), mean_squared_error(t, p), mean_absolute_error(t, p), r2_score(t, p). */
static const nn_real binary_x[20] = {-2.0f, 1.5f,  0.25f,  -0.75f, 3.0f, -0.25f, 0.25f,
                                     -1.5f, 0.75f, -0.25f, 1.5f,   -3.f, 0.25f,  2.0f,
                                     -.75f, 0.5f,  -0.5f,  -2.0f,  1.0f, -1.0f};
static const nn_real binary_y[20] = {0, 1, 1, 0, 1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 0};

static void test_binary(void)
{
    nn_model *model = make_identity(1, NN_SIGMOID);
    nn_data data = table(binary_x, binary_y, 20, 1, 2);
    nn_metrics m = unset();
    CHECK(evaluate(model, &data, NN_BINARY_CROSS_ENTROPY, &m) == NN_OK);
    CHECK_NEAR(m.loss, 0.497359301568012, 1e-6, 0);
    CHECK(m.rows == 20 && m.correct == 15);
    CHECK_NEAR(m.accuracy, 0.75, EXACT, 0);
    CHECK_NEAR(m.precision, 0.7, EXACT, 0);
    CHECK_NEAR(m.recall, 0.777777777777778, EXACT, 0);
    CHECK_NEAR(m.f1, 0.736842105263158, EXACT, 0);
    CHECK_NEAR(m.macro_precision, 0.75, EXACT, 0);
    CHECK_NEAR(m.macro_recall, 0.752525252525253, EXACT, 0);
    CHECK_NEAR(m.macro_f1, 0.74937343358396, EXACT, 0);
    CHECK_NEAR(m.auc, 0.833333333333333, EXACT, 0);
    CHECK_NEAR(m.mse, 0.166552678058186, 1e-6, 0);
    CHECK_NEAR(m.mae, 0.346570683945332, 1e-6, 0);
    CHECK_NEAR(m.r2, 0.327059886633593, 1e-6, 0);
    nn_model_free(model);
}

/* Four classes, of which the last is never predicted: its precision is 0 / 0. Made as above, with
   p = softmax(x), q = argmax, zero_division=0, the regression values on the one-hot targets. */
static const nn_real classes_x[48] = {
    2, 1, 0, 0, 0, 3, 1,   0, 1, 0, 2, 0, .5f, .25f, 0, 0,    1, 2, 0, .5f,  0, 0,    1, .5f,
    3, 0, 0, 1, 0, 1, .5f, 0, 0, 2, 3, 1, 1,   .5f,  0, .75f, 0, 1, 2, 1.5f, 2, 2.5f, 0, 0};
static const int classes_y[12] = {0, 1, 2, 0, 0, 3, 3, 1, 1, 0, 2, 0};

static void one_hot(const int *labels, int rows, int classes, nn_real *y)
{
    int i;
    for (i = 0; i < rows * classes; i++) y[i] = (nn_real)(labels[i / classes] == i % classes);
}

static void test_four_classes(void)
{
    static const int expected[16] = {3, 2, 0, 0, 0, 2, 1, 0, 0, 0, 2, 0, 1, 0, 1, 0};
    static const double scores[12] = {0.75, 0.6, 2 / 3., 0.5, 2 / 3., 4 / 7.,
                                      0.5,  1,   2 / 3., 0,   0,      0};
    nn_model *model = make_identity(4, NN_SOFTMAX);
    nn_real y[48];
    nn_data data = table(classes_x, y, 12, 4, 4);
    nn_metrics m = unset();
    int matrix[16], i;
    one_hot(classes_y, 12, 4, y);
    CHECK(evaluate(model, &data, NN_CROSS_ENTROPY, &m) == NN_OK);
    CHECK_NEAR(m.loss, 1.04372324271406, 1e-6, 0);
    CHECK(m.rows == 12 && m.correct == 7);
    CHECK_NEAR(m.accuracy, 0.583333333333333, EXACT, 0);
    CHECK_NEAR(m.macro_precision, 0.4375, EXACT, 0);
    CHECK_NEAR(m.macro_recall, 0.566666666666667, EXACT, 0);
    CHECK_NEAR(m.macro_f1, 0.476190476190476, EXACT, 0);
    CHECK_NEAR(m.mse, 0.15496480479479, 1e-6, 0);
    CHECK_NEAR(m.mae, 0.300425023104083, 1e-6, 0);
    CHECK_NEAR(m.r2, 0.13640473933594, 1e-6, 0);
    CHECK(isnan(m.auc) && isnan(m.precision) && isnan(m.recall) && isnan(m.f1));

    memset(matrix, 0xFF, sizeof matrix);
    CHECK(nn_confusion_matrix(model, &data, matrix) == NN_OK);
    for (i = 0; i < 16; i++) CHECK(matrix[i] == expected[i]);
    for (i = 0; i < 4; i++) {
        nn_scores s;
        CHECK(nn_class_scores(matrix, 4, i, &s) == NN_OK);
        CHECK_NEAR(s.precision, scores[i * 3], EXACT, 1e-300);
        CHECK_NEAR(s.recall, scores[i * 3 + 1], EXACT, 1e-300);
        CHECK_NEAR(s.f1, scores[i * 3 + 2], EXACT, 1e-300);
    }
    nn_model_free(model);
}

/* mse, mae by hand: squares 0.25 0.25 1 1 1 1 0.25 4 over 12; the r2 of the two outputs is
   1 - 2.25 / 11.2083 and 1 - 6.5 / 31.7083; scikit-learn gives the same mean. */
static void test_regression(void)
{
    static const nn_real x[12] = {1.5f, -2, 2, 1, 2, 3, -1, 2, 1, -.5f, 2.5f, -1};
    static const nn_real y[12] = {1, -2, 2, .5f, 3, 4, -1, 1, 0, 0, 2.5f, -3};
    nn_model *model = make_identity(2, NN_LINEAR);
    nn_data data = table(x, y, 6, 2, 0);
    nn_metrics m = unset();
    CHECK(evaluate(model, &data, NN_MSE, &m) == NN_OK);
    CHECK_NEAR(m.loss, 8.75 / 12, EXACT, 0);
    CHECK_NEAR(m.mse, 8.75 / 12, EXACT, 0);
    CHECK_NEAR(m.mae, 7.5 / 12, EXACT, 0);
    CHECK_NEAR(m.r2, 0.797676950998185, EXACT, 0);
    CHECK(isnan(m.accuracy) && isnan(m.precision) && isnan(m.recall) && isnan(m.f1));
    CHECK(isnan(m.macro_precision) && isnan(m.macro_recall) && isnan(m.macro_f1));
    CHECK(isnan(m.auc));
    m = unset(); /* Huber, delta 1: 0.5 e^2 inside, |e| - 0.5 beyond; only the 2 is beyond */
    CHECK(evaluate(model, &data, NN_HUBER, &m) == NN_OK);
    CHECK_NEAR(m.loss, (4.75 / 2 + 1.5) / 12, EXACT, 0);
    nn_model_free(model);
}

/* ---- The definitions once more --------------------------------------------------------------- */

enum { MAX_ROWS = 700, MAX_WIDTH = 5 };

typedef struct sample {
    int rows, outputs, classes;
    nn_loss loss;
    nn_real x[MAX_ROWS * MAX_WIDTH], y[MAX_ROWS * MAX_WIDTH], p[MAX_ROWS * MAX_WIDTH];
    nn_real weight[MAX_ROWS];
} sample;

static sample shared; /* large for a stack */

static int class_of(const nn_real *v, int outputs)
{
    int k, best = 0;
    if (outputs == 1) return v[0] > (nn_real)0.5;
    for (k = 1; k < outputs; k++)
        if (v[k] > v[best]) best = k;
    return best;
}

static double element_loss(const sample *s, int i)
{
    double z = (double)s->x[i], t = (double)s->y[i], e = fabs((double)s->p[i] - t), sum = 0;
    int k, first = i / s->outputs * s->outputs;
    switch (s->loss) {
    case NN_MSE: return e * e / s->outputs;
    case NN_HUBER: return (e <= 1 ? 0.5 * e * e : e - 0.5) / s->outputs;
    case NN_BINARY_CROSS_ENTROPY:
        return ((z > 0 ? z : 0) - z * t + log1p(exp(-fabs(z)))) / s->outputs;
    default:
        for (k = 0; k < s->outputs; k++) sum += exp((double)s->x[first + k] - z);
        return t * log(sum); /* -t log(exp(z) / sum of exp) */
    }
}

static double slow_loss(const sample *s)
{
    double sum = 0, total = 0;
    int i;
    for (i = 0; i < s->rows; i++) total += (double)s->weight[i];
    for (i = 0; i < s->rows * s->outputs; i++)
        sum += (double)s->weight[i / s->outputs] * element_loss(s, i);
    return sum / total;
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

/* Counts pairs: for each row of class 1 the rows of class 0 that score less, half for equal. */
static double slow_auc(const sample *s)
{
    double wins = 0, pairs = 0;
    int i, j, o = s->outputs;
    for (i = 0; i < s->rows; i++) {
        if (s->weight[i] <= 0 || class_of(s->y + i * o, o) != 1) continue;
        for (j = 0; j < s->rows; j++) {
            nn_real a = s->p[i * o + o - 1], b = s->p[j * o + o - 1];
            if (s->weight[j] <= 0 || class_of(s->y + j * o, o) != 0) continue;
            pairs += 1;
            wins += a > b ? 1 : a == b ? 0.5 : 0;
        }
    }
    return pairs > 0 ? wins / pairs : NAN;
}

static double slow_r2(const sample *s)
{
    double sum = 0;
    int i, k;
    for (k = 0; k < s->outputs; k++) {
        double mean = 0, residual = 0, total = 0, n = 0;
        for (i = 0; i < s->rows; i++) {
            if (s->weight[i] > 0) n++, mean += (double)s->y[i * s->outputs + k];
        }
        for (i = 0; i < s->rows; i++) {
            double y = (double)s->y[i * s->outputs + k], p = (double)s->p[i * s->outputs + k];
            if (s->weight[i] > 0) residual += (y - p) * (y - p);
            if (s->weight[i] > 0) total += (y - mean / n) * (y - mean / n);
        }
        sum += 1 - residual / total;
    }
    return sum / s->outputs;
}

/* Class counts, straight from the words: of true class a, predicted class b. */
static int slow_count(const sample *s, int a, int b)
{
    int i, count = 0, o = s->outputs;
    for (i = 0; i < s->rows; i++)
        count += s->weight[i] > 0 && (a < 0 || class_of(s->y + i * o, o) == a) &&
                 (b < 0 || class_of(s->p + i * o, o) == b);
    return count;
}

static void check_classes(const sample *s, const nn_metrics *m, const int *matrix)
{
    double precision = 0, recall = 0, f1 = 0;
    int a, b, correct = 0, present = 0;
    for (a = 0; a < s->classes; a++) {
        int hits = slow_count(s, a, a);
        double p = ratio(hits, slow_count(s, -1, a)), r = ratio(hits, slow_count(s, a, -1));
        double f = ratio(2 * p * r, p + r);
        nn_scores scores;
        for (b = 0; b < s->classes; b++) CHECK(matrix[a * s->classes + b] == slow_count(s, a, b));
        CHECK(nn_class_scores(matrix, s->classes, a, &scores) == NN_OK);
        CHECK_NEAR(scores.precision, p, EXACT, 1e-300);
        CHECK_NEAR(scores.recall, r, EXACT, 1e-300);
        CHECK_NEAR(scores.f1, f, EXACT, 1e-300);
        CHECK(scores.support == slow_count(s, a, -1));
        CHECK(scores.predicted == slow_count(s, -1, a));
        present += slow_count(s, a, -1) + slow_count(s, -1, a) > 0;
        if (a == 1 && s->classes == 2) {
            CHECK_NEAR(m->precision, p, EXACT, 1e-300);
            CHECK_NEAR(m->recall, r, EXACT, 1e-300);
            CHECK_NEAR(m->f1, f, EXACT, 1e-300);
        }
        correct += hits, precision += p, recall += r, f1 += f;
    }
    CHECK(m->rows == slow_count(s, -1, -1) && m->correct == correct);
    CHECK_NEAR(m->accuracy, (double)correct / m->rows, EXACT, 1e-300);
    CHECK_NEAR(m->macro_precision, precision / present, EXACT, 1e-300);
    CHECK_NEAR(m->macro_recall, recall / present, EXACT, 1e-300);
    CHECK_NEAR(m->macro_f1, f1 / present, EXACT, 1e-300);
}

static void check_sample(const sample *s, const nn_model *model, int weights)
{
    nn_data data = table(s->x, s->y, s->rows, s->outputs, s->classes);
    nn_metrics m = unset();
    double mse = 0, mae = 0;
    int i, matrix[MAX_WIDTH * MAX_WIDTH + 4], kept = slow_count(s, -1, -1);
    if (weights) data.weight = s->weight;
    CHECK(evaluate(model, &data, s->loss, &m) == NN_OK);
    CHECK_NEAR(m.loss, slow_loss(s), 1e-6, 1e-3);
    for (i = 0; i < s->rows * s->outputs; i++) {
        double e = fabs((double)s->p[i] - (double)s->y[i]);
        if (s->weight[i / s->outputs] > 0) mse += e * e, mae += e;
    }
    CHECK_NEAR(m.mse, mse / kept / s->outputs, 1e-6, 1e-6);
    CHECK_NEAR(m.mae, mae / kept / s->outputs, 1e-6, 1e-6);
    if (kept > 20) CHECK_NEAR(1 - m.r2, 1 - slow_r2(s), 1e-6, 0); /* the ratio of the sums */
    if (!s->classes) return;
    CHECK(nn_confusion_matrix(model, &data, matrix) == NN_OK);
    check_classes(s, &m, matrix);
    if (s->classes > 2 || isnan(slow_auc(s)))
        CHECK(isnan(m.auc));
    else
        CHECK_NEAR(m.auc, slow_auc(s), EXACT, 1e-300);
}

/* Scores on a grid of quarters, so that ties are many; some classes and sides may be empty. */
static void draw(sample *s, int classification)
{
    int i, k;
    for (i = 0; i < s->rows; i++) {
        int label = (int)uniform(0, s->classes ? s->classes : 1);
        s->weight[i] = uniform(0, 1) < 0.2 && i ? 0 : (nn_real)uniform(0.1, 3);
        for (k = 0; k < s->outputs; k++) {
            int at = i * s->outputs + k;
            s->x[at] = (nn_real)(floor(uniform(-12, 12)) / 4 + 0.125);
            if (!classification)
                s->y[at] = (nn_real)uniform(-2, 2);
            else
                s->y[at] = (nn_real)(s->outputs == 1 ? label : label == k);
            if (s->y[at] > 0 && classification) s->x[at] += (nn_real)0.75;
        }
    }
}

/* Many sizes, to pass every boundary of blocks of rows; weights on and off. */
static void check_random(int outputs, int classes, nn_activation activation, nn_loss loss)
{
    static const int rows[8] = {1, 2, 3, 17, 64, 255, 257, 700};
    nn_model *model = make_identity(outputs, activation);
    int i, j, weights;
    for (i = 0; i < 8; i++) {
        for (weights = 0; weights < 2; weights++) {
            random_state = first_seed + (uint64_t)(i * 2 + weights);
            shared.rows = rows[i];
            shared.outputs = outputs;
            shared.classes = classes;
            shared.loss = loss;
            draw(&shared, classes > 0);
            for (j = 0; j < rows[i] && !weights; j++) shared.weight[j] = 1;
            CHECK(nn_predict(model, shared.x, rows[i], shared.p, NULL) == NN_OK);
            check_sample(&shared, model, weights);
        }
    }
    if (test_bad) printf("seed %llu\n", (unsigned long long)first_seed);
    nn_model_free(model);
}

static void test_random_binary(void)
{
    check_random(1, 2, NN_SIGMOID, NN_BINARY_CROSS_ENTROPY);
    check_random(1, 2, NN_SIGMOID, NN_MSE);
    check_random(1, 2, NN_LINEAR, NN_HUBER);
}

static void test_random_two_outputs(void)
{
    check_random(2, 2, NN_SOFTMAX, NN_CROSS_ENTROPY);
}

static void test_random_classes(void)
{
    check_random(3, 3, NN_SOFTMAX, NN_CROSS_ENTROPY);
    check_random(5, 5, NN_SOFTMAX, NN_MSE);
    check_random(4, 4, NN_SIGMOID, NN_BINARY_CROSS_ENTROPY);
}

static void test_random_regression(void)
{
    check_random(1, 0, NN_LINEAR, NN_MSE);
    check_random(3, 0, NN_LINEAR, NN_HUBER);
    check_random(2, 0, NN_TANH, NN_MSE);
}

/* ---- Corners --------------------------------------------------------------------------------- */

/* Rows of weight 0 might as well not be there: every value keeps its bits, in the matrix too. */
static void test_zero_weight_rows(void)
{
    nn_model *model = make_identity(1, NN_SIGMOID);
    nn_real x[40], y[40], weight[40], some_x[20], some_y[20];
    nn_data data = table(x, y, 40, 1, 2), some = table(some_x, some_y, 20, 1, 2);
    nn_metrics all = unset(), part = unset();
    int i, a[4] = {-1, -1, -1, -1}, b[4] = {-2, -2, -2, -2};
    for (i = 0; i < 40; i++) {
        x[i] = i % 2 ? binary_x[i / 2] : (nn_real)(i % 3 ? -9 : 9);
        y[i] = i % 2 ? binary_y[i / 2] : (nn_real)(i % 4 == 0);
        weight[i] = (nn_real)(i % 2);
    }
    memcpy(some_x, binary_x, sizeof some_x);
    memcpy(some_y, binary_y, sizeof some_y);
    data.weight = weight;
    CHECK(evaluate(model, &data, NN_BINARY_CROSS_ENTROPY, &all) == NN_OK);
    CHECK(evaluate(model, &some, NN_BINARY_CROSS_ENTROPY, &part) == NN_OK);
    CHECK(all.rows == 20 && all.correct == 15);
    CHECK(all.loss == part.loss && all.accuracy == part.accuracy && all.auc == part.auc);
    CHECK(all.precision == part.precision && all.recall == part.recall && all.f1 == part.f1);
    CHECK(all.macro_precision == part.macro_precision && all.macro_recall == part.macro_recall);
    CHECK(all.macro_f1 == part.macro_f1 && all.mse == part.mse && all.mae == part.mae);
    CHECK(all.r2 == part.r2);
    CHECK(nn_confusion_matrix(model, &data, a) == NN_OK &&
          nn_confusion_matrix(model, &some, b) == NN_OK);
    CHECK(memcmp(a, b, sizeof a) == 0);
    nn_model_free(model);
}

/* Weights count in the loss alone: (2 * 1 + 1 * 9) / 3, but mse (1 + 9) / 2. */
static void test_weights_in_loss(void)
{
    static const nn_real x[2] = {1, 3}, y[2] = {0, 0}, weight[2] = {2, 1};
    nn_model *model = make_identity(1, NN_LINEAR);
    nn_data data = table(x, y, 2, 1, 0);
    nn_metrics m = unset();
    data.weight = weight;
    CHECK(evaluate(model, &data, NN_MSE, &m) == NN_OK);
    CHECK_NEAR(m.loss, 11. / 3, EXACT, 0);
    CHECK_NEAR(m.mse, 5, EXACT, 0);
    CHECK_NEAR(m.mae, 2, EXACT, 0);
    nn_model_free(model);
}

/* Nothing predicted as class 1, none of it there: 0 / 0 is 0. AUC needs both classes. */
static void test_nothing_of_a_class(void)
{
    static const nn_real x[3] = {-1, -2, -3}, y[3] = {0, 0, 0};
    nn_model *model = make_identity(1, NN_SIGMOID);
    nn_data data = table(x, y, 3, 1, 2);
    nn_metrics m = unset();
    CHECK(evaluate(model, &data, NN_BINARY_CROSS_ENTROPY, &m) == NN_OK);
    CHECK(m.accuracy == 1 && m.correct == 3 && m.rows == 3);
    CHECK(m.precision == 0 && m.recall == 0 && m.f1 == 0);
    CHECK_NEAR(m.macro_precision, 1, EXACT, 0);
    CHECK_NEAR(m.macro_recall, 1, EXACT, 0);
    CHECK_NEAR(m.macro_f1, 1, EXACT, 0);
    CHECK(isnan(m.auc));
    nn_model_free(model);
}

/* A model whose outputs are NaN cannot be measured. */
static void test_nan_outputs(void)
{
    static const nn_real x[4] = {-2, -1, 1, 2}, y[4] = {0, 0, 1, 1};
    nn_model *model = make_identity(1, NN_SIGMOID);
    nn_data data = table(x, y, 4, 1, 2);
    nn_metrics m = unset();
    nn_parameters(model)[1] = (nn_real)NAN;
    CHECK(evaluate(model, &data, NN_BINARY_CROSS_ENTROPY, &m) == NN_ERROR_PARAMETER);
    CHECK(all_zero(&m, sizeof m));
    nn_model_free(model);
}

/* The area at its ends and with every score tied. */
static void test_auc_extremes(void)
{
    static const nn_real up[4] = {-2, -1, 1, 2}, down[4] = {2, 1, -1, -2}, tied[4] = {1, 1, 1, 1};
    static const nn_real y[4] = {0, 0, 1, 1};
    static const nn_real *const x[3] = {up, down, tied};
    static const nn_real area[3] = {1, 0, 0.5};
    nn_model *model = make_identity(1, NN_SIGMOID);
    int i;
    for (i = 0; i < 3; i++) {
        nn_data data = table(x[i], y, 4, 1, 2);
        nn_metrics m = unset();
        CHECK(evaluate(model, &data, NN_BINARY_CROSS_ENTROPY, &m) == NN_OK);
        CHECK(m.auc == area[i]);
    }
    nn_model_free(model);
}

/* A perfect fit has no error and R2 of 1. */
static void test_perfect_regression(void)
{
    static const nn_real x[3] = {1, 5, -2};
    nn_model *model = make_identity(1, NN_LINEAR);
    nn_data data = table(x, x, 3, 1, 0);
    nn_metrics m = unset();
    CHECK(evaluate(model, &data, NN_MSE, &m) == NN_OK);
    CHECK(m.loss == 0 && m.mse == 0 && m.mae == 0 && m.r2 == 1);
    nn_model_free(model);
}

/* A cross-entropy's targets say the class even when data.classes is 0; no confusion matrix then. */
static void test_accuracy_without_classes(void)
{
    nn_model *model = make_identity(4, NN_SOFTMAX);
    nn_real y[48];
    nn_data data = table(classes_x, y, 12, 4, 0);
    nn_metrics m = unset();
    int matrix[16];
    one_hot(classes_y, 12, 4, y);
    CHECK(evaluate(model, &data, NN_CROSS_ENTROPY, &m) == NN_OK);
    CHECK(m.rows == 12 && m.correct == 7);
    CHECK_NEAR(m.accuracy, 7. / 12, EXACT, 0);
    CHECK(nn_confusion_matrix(model, &data, matrix) != NN_OK);
    nn_model_free(model);
}

/* The scaling that the model stores is applied to raw inputs, once. */
static void test_scaled_inputs(void)
{
    static const nn_real x[4] = {10, 20, 30, 40};
    static const nn_real y[4] = {0, 0, 1, 1};
    nn_model *model = make_identity(1, NN_LINEAR);
    nn_data data = table(x, y, 4, 1, 0);
    nn_metrics m = unset();
    CHECK(nn_fit_scaling(model, &data, NN_SCALE_MIN_MAX) == NN_OK); /* 0, 1/3, 2/3, 1 */
    CHECK(evaluate(model, &data, NN_MSE, &m) == NN_OK);
    CHECK_NEAR(m.mse, 2. / 9 / 4, 1e-6, 0);
    nn_model_free(model);
}

static void test_class_scores(void)
{
    static const int matrix[9] = {5, 1, 0, 2, 3, 0, 0, 0, 0};
    nn_scores s;
    CHECK(nn_class_scores(matrix, 3, 0, &s) == NN_OK);
    CHECK_NEAR(s.precision, 5. / 7, EXACT, 0);
    CHECK_NEAR(s.recall, 5. / 6, EXACT, 0);
    CHECK_NEAR(s.f1, 10. / 13, EXACT, 0);
    CHECK(s.support == 6);
    CHECK(nn_class_scores(matrix, 3, 2, &s) == NN_OK);
    CHECK(s.precision == 0 && s.recall == 0 && s.f1 == 0 && s.support == 0);
    CHECK(nn_class_scores(matrix, 3, 3, &s) == NN_ERROR_LABEL);
    CHECK(nn_class_scores(matrix, 3, -1, &s) == NN_ERROR_LABEL);
    CHECK(nn_class_scores(NULL, 3, 0, &s) == NN_ERROR_NULL);
    CHECK(nn_class_scores(matrix, 3, 0, NULL) == NN_ERROR_NULL);
}

static void test_class_scores_refused(void)
{
    static const int matrix[] = {3, 1, 2, 4};
    static const int bad[][2] = {{2, 2}, {2, -1}, {2, INT_MAX}, {2, INT_MIN}};
    nn_scores scores;
    size_t i;
    if (!begin()) return;
    REFUSED(nn_class_scores(NULL, 2, 0, &scores), NN_ERROR_NULL);
    REFUSED(nn_class_scores(matrix, 2, 0, NULL), NN_ERROR_NULL);
    REFUSED(nn_class_scores(matrix, 0, 0, &scores), NN_ERROR_SIZE);
    REFUSED(nn_class_scores(matrix, -2, 0, &scores), NN_ERROR_SIZE);
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        memset(&scores, 0xa5, sizeof scores);
        REFUSED(nn_class_scores(matrix, bad[i][0], bad[i][1], &scores), NN_ERROR_LABEL);
        CHECK(all_zero(&scores, sizeof scores));
    }
    end();
}

/* ---- The options of nn_evaluate -------------------------------------------------------------- */

/* NULL options are those of a zeroed nn_options: the MSE. */
static void test_no_options(void)
{
    static const nn_real x[2] = {1, -2}, y[2] = {0, 1};
    nn_model *model = make_identity(1, NN_LINEAR);
    nn_data data = table(x, y, 2, 1, 0);
    nn_options zero;
    nn_metrics m = unset(), n = unset();
    memset(&zero, 0, sizeof zero);
    CHECK(nn_evaluate(model, &data, NULL, &m) == NN_OK);
    CHECK(m.loss == 5 && m.mse == 5 && m.mae == 2);
    CHECK(nn_evaluate(model, &data, &zero, &n) == NN_OK);
    CHECK(!memcmp(&m, &n, sizeof m));
    nn_model_free(model);
    model = make_identity(1, NN_SIGMOID); /* the loss of a classifier must be said */
    data.classes = 2;
    CHECK(nn_evaluate(model, &data, NULL, &m) == NN_OK && m.loss == m.mse);
    nn_model_free(model);
}

/* Errors 0.5, 2 and -4: within delta e^2 / 2, beyond it delta (|e| - delta / 2). */
static void test_huber_delta(void)
{
    static const nn_real x[3] = {0.5f, 2, -4}, y[3] = {0, 0, 0};
    static const struct {
        nn_real delta;
        double loss;
    } cases[] = {{0, (0.125 + 1.5 + 3.5) / 3}, /* means 1 */
                 {1, (0.125 + 1.5 + 3.5) / 3},
                 {3, (0.125 + 2 + 7.5) / 3},
                 {0.25f, (0.09375 + 0.46875 + 0.96875) / 3},
                 {10, (0.125 + 2 + 8) / 3}};
    nn_model *model = make_identity(1, NN_LINEAR);
    nn_data data = table(x, y, 3, 1, 0);
    nn_options how = make_options(NN_HUBER, NN_SGD, 0);
    nn_metrics m;
    int i;
    for (i = 0; i < COUNT_OF(cases); i++) {
        how.huber_delta = cases[i].delta;
        m = unset();
        CHECK(nn_evaluate(model, &data, &how, &m) == NN_OK);
        CHECK_NEAR(m.loss, cases[i].loss, EXACT, 0);
        CHECK_NEAR(m.mse, 20.25 / 3, EXACT, 0); /* metrics do not follow the loss */
    }
    nn_model_free(model);
}

/* The loss is that of the targets (1 - s) t + s / outputs; all other metrics are of the targets. */
static void test_label_smoothing(void)
{
    static const nn_real x[6] = {2, 0, -1, 0.5f, 1, 0}, y[6] = {1, 0, 0, 0, 0, 1};
    nn_model *model = make_identity(3, NN_SOFTMAX);
    nn_data data = table(x, y, 2, 3, 3);
    nn_options how = make_options(NN_CROSS_ENTROPY, NN_SGD, 0);
    nn_metrics plain = unset(), m;
    double loss = 0, s;
    int share, row, i;
    CHECK(nn_evaluate(model, &data, &how, &plain) == NN_OK);
    for (share = 0; share <= 9; share += 3) {
        how.label_smoothing = (nn_real)share / 10;
        s = (double)how.label_smoothing;
        for (row = 0, loss = 0; row < 2; row++) {
            const nn_real *z = x + 3 * row, *t = y + 3 * row;
            const double all = log(exp((double)z[0]) + exp((double)z[1]) + exp((double)z[2]));
            for (i = 0; i < 3; i++)
                loss -= ((1 - s) * (double)t[i] + s / 3) * ((double)z[i] - all) / 2;
        }
        m = unset();
        CHECK(nn_evaluate(model, &data, &how, &m) == NN_OK);
        CHECK_NEAR(m.loss, loss, 1e-6, 0);
        CHECK(share == 0 || m.loss > plain.loss);
        m.loss = plain.loss;
        CHECK(!memcmp(&m, &plain, sizeof m));
    }
    nn_model_free(model);
}

static void test_options_refused(void)
{
    static const nn_real bad_smoothing[] = {-0.5f, 1, 1.5f, R_NAN, R_INF};
    static const nn_real bad_delta[] = {-0.5f, R_NAN, R_INF, -R_INF};
    nn_data data = good_data();
    nn_metrics m;
    int i;
    if (!begin()) return;
    for (i = 0; i < COUNT_OF(bad_smoothing); i++) {
        nn_options how = good_options();
        how.label_smoothing = bad_smoothing[i];
        m = unset();
        REFUSED(nn_evaluate(good_model, &data, &how, &m), NN_ERROR_OPTION);
        CHECK(all_zero(&m, sizeof m));
    }
    for (i = 0; i < COUNT_OF(bad_delta); i++) {
        nn_options how = good_options();
        how.loss = NN_HUBER;
        how.huber_delta = bad_delta[i];
        m = unset();
        REFUSED(nn_evaluate(good_model, &data, &how, &m), NN_ERROR_OPTION);
        CHECK(all_zero(&m, sizeof m));
    }
    end();
}

int main(int argc, char **argv)
{
    if (argc > 1) first_seed = (uint64_t)strtoull(argv[1], NULL, 10);
    RUN(test_binary);
    RUN(test_four_classes);
    RUN(test_regression);
    RUN(test_random_binary);
    RUN(test_random_two_outputs);
    RUN(test_random_classes);
    RUN(test_random_regression);
    RUN(test_zero_weight_rows);
    RUN(test_weights_in_loss);
    RUN(test_nothing_of_a_class);
    RUN(test_auc_extremes);
    RUN(test_perfect_regression);
    RUN(test_accuracy_without_classes);
    RUN(test_scaled_inputs);
    RUN(test_class_scores);
    RUN(test_class_scores_refused);
    RUN(test_no_options);
    RUN(test_huber_delta);
    RUN(test_label_smoothing);
    RUN(test_options_refused);
    return test_done();
}
