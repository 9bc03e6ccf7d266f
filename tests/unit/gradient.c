/* Every gradient against central differences of the loss, in double: hidden activation x output
   activation x loss x 1 to 4 layers x batch 1, 2, 7 x dropout x row weights x label smoothing,
   parameters and inputs; of those with ELU, SiLU, GELU, softplus, MAE or the quantile loss, a
   third; some of them with micro-batches too. Usage: gradient [seed]

   The difference is (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h with h = 1e-3: its truncation is
   h^4 f'''''/30, its rounding about the loss's 1e-15 / h, together some 1e-12 absolute. A relative
   error of 1e-7 can therefore be told from noise only for values above some 1e-5; FLOOR leaves a
   factor of ten. Most values are above it, which is checked. */
#ifndef NN_DOUBLE
#define NN_DOUBLE
#endif
#include "../fixtures.h"

#define TOLERANCE 1e-7
#define FLOOR     1e-4
#define STEP      1e-3

enum { INPUTS = 2, OUTPUTS = 3, MAX_LAYERS = 4, MAX_ROWS = 7, MAX_PARAMETERS = 65 };

static uint64_t first_seed = 1;

/* ---- One combination of everything ----------------------------------------------------------- */

typedef struct combination {
    int layers, rows;
    nn_activation hidden, output;
    nn_loss loss;
    int dropout, weights, smoothing;
    nn_scaling scaling;
    int micro; /* micro_batch_size */
} combination;

typedef struct problem {
    combination kind;
    nn_layer layers[MAX_LAYERS];
    nn_options how;
    nn_model *model;
    nn_data batch;
    void *memory; /* for one trainer */
    size_t size;
    double x[MAX_ROWS * INPUTS], y[MAX_ROWS * OUTPUTS], weight[MAX_ROWS], dropout[MAX_LAYERS];
    double dy[MAX_ROWS * OUTPUTS]; /* coefficients of a linear functional of the outputs */
} problem;

/* Targets the loss accepts, with the corners 0 and 1 among them: for the cross-entropy one-hot
   rows, probabilities, and a row that does not add up to 1, where softmax - t would be wrong. */
static void fill_targets(problem *p)
{
    int row, k;
    for (row = 0; row < p->kind.rows; row++) {
        double *t = p->y + row * OUTPUTS;
        double sum = 0;
        for (k = 0; k < OUTPUTS; k++) {
            if (p->kind.loss == NN_BINARY_CROSS_ENTROPY)
                t[k] = uniform(0, 1) < 0.5 ? (double)((row + k) % 2) : uniform(0, 1);
            else if (p->kind.loss == NN_CROSS_ENTROPY)
                sum += t[k] = row % 2 ? uniform(0, 1) : (double)(k == row % OUTPUTS);
            else
                t[k] = uniform(-2, 2);
        }
        if (p->kind.loss != NN_CROSS_ENTROPY || row == 3) continue;
        for (k = 0; k < OUTPUTS; k++) t[k] /= sum;
    }
}

static void fill_rows(problem *p)
{
    int i;
    for (i = 0; i < p->kind.rows * INPUTS; i++) p->x[i] = uniform(-2, 2);
    for (i = 0; i < p->kind.rows * OUTPUTS; i++) p->dy[i] = uniform(-1, 1);
    for (i = 0; i < p->kind.rows; i++) p->weight[i] = i == 1 ? 0 : uniform(0.5, 2);
    fill_targets(p);
    p->batch.rows = p->kind.rows;
    p->batch.inputs = INPUTS;
    p->batch.outputs = OUTPUTS;
    p->batch.x = p->x;
    p->batch.y = p->y;
    p->batch.weight = p->kind.weights ? p->weight : NULL;
}

/* Scaling fitted to rows whose means are not 0 and whose spreads are neither 1 nor equal. */
static void fit_scaling(problem *p)
{
    static const double x[8] = {1, -1.5, 3, 2.5, 4, 0.5, -1, 3};
    static const double y[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    nn_data data = make_data(x, y, 4, INPUTS, OUTPUTS);
    CHECK(nn_fit_scaling(p->model, &data, p->kind.scaling) == NN_OK);
}

static int can_smooth(nn_loss loss)
{
    return loss == NN_BINARY_CROSS_ENTROPY || loss == NN_CROSS_ENTROPY;
}

/* Where the loss has no label smoothing, `smoothing` is one more problem of the same kind. */
static int begin(problem *p, const combination *kind)
{
    static const int widths[MAX_LAYERS - 1] = {4, 3, 5};
    nn_real *theta;
    size_t i;
    int l;
    memset(p, 0, sizeof *p);
    p->kind = *kind;
    for (l = 0; l < kind->layers; l++) {
        int last = l == kind->layers - 1;
        p->layers[l] = dense_layer(last ? OUTPUTS : widths[l], last ? kind->output : kind->hidden);
        p->dropout[l] = last ? 0 : 0.4;
    }
    p->how.loss = kind->loss;
    p->how.batch_size = MAX_ROWS;
    p->how.huber_delta = kind->loss == NN_HUBER ? 0.7 : 0;
    p->how.quantile = kind->loss == NN_QUANTILE ? 0.3 : 0;
    p->how.micro_batch_size = kind->micro;
    p->how.label_smoothing = kind->smoothing && can_smooth(kind->loss) ? 0.15 : 0;
    p->how.dropout = kind->dropout ? p->dropout : NULL;
    p->how.seed = first_seed + 7;
    if (!CHECK(nn_model_create(&p->model, INPUTS, p->layers, kind->layers, 1) == NN_OK)) return 0;
    theta = nn_parameters(p->model);
    for (i = 0; i < nn_parameter_count(p->model); i++) theta[i] = uniform(-0.9, 0.9);
    fill_rows(p);
    if (kind->scaling) fit_scaling(p);
    p->size = nn_trainer_size(p->model, &p->how);
    p->memory = malloc(p->size);
    return CHECK(p->size > 0 && p->memory && nn_parameter_count(p->model) <= MAX_PARAMETERS);
}

static void end(problem *p)
{
    nn_model_free(p->model);
    free(p->memory);
}

/* A trainer in its first state: the same dropout masks each time. */
static nn_trainer *fresh(problem *p)
{
    nn_trainer *trainer = NULL;
    CHECK(nn_trainer_create_in(&trainer, p->memory, p->size, p->model, &p->how) == NN_OK);
    return trainer;
}

/* ---- Differences ----------------------------------------------------------------------------- */

typedef double (*scalar)(problem *p);

/* The loss of the batch. */
static double batch_loss(problem *p)
{
    double loss = NAN;
    CHECK(nn_accumulate(fresh(p), &p->batch, &loss) == NN_OK);
    return loss;
}

/* sum of dy * y: its gradients are rows of the Jacobian, mixed at random. */
static double functional(problem *p)
{
    const nn_real *y = NULL;
    double sum = 0;
    int i;
    if (!CHECK(nn_forward(fresh(p), p->x, p->kind.rows, &y) == NN_OK)) return NAN;
    for (i = 0; i < p->kind.rows * OUTPUTS; i++) sum += p->dy[i] * y[i];
    return sum;
}

static double difference(scalar f, problem *p, double *at, double step)
{
    double here = *at, near_, far;
    *at = here + step;
    near_ = f(p);
    *at = here - step;
    near_ -= f(p);
    *at = here + 2 * step;
    far = f(p);
    *at = here - 2 * step;
    far -= f(p);
    *at = here;
    return (8 * near_ - far) / (12 * step);
}

static int close_enough(double a, double b)
{
    double scale = fabs(a) > fabs(b) ? fabs(a) : fabs(b);
    return fabs(a - b) <= TOLERANCE * (scale > FLOOR ? scale : FLOOR);
}

static long compared, kinks, above_floor;

/* ELU's own derivative bends. */
static int bends(nn_activation activation)
{
    return activation == NN_RELU || activation == NN_LEAKY_RELU || activation == NN_ELU;
}

static int loss_bends(nn_loss loss)
{
    return loss == NN_HUBER || loss == NN_MAE || loss == NN_QUANTILE;
}

static int has_kinks(const combination *kind)
{
    return (kind->layers > 1 && bends(kind->hidden)) || bends(kind->output) ||
           loss_bends(kind->loss);
}

/* f(h) - 2 f(0) + f(-h): h^2 f'' where f is smooth, the change of slope times h about a kink. */
static double bend(scalar f, problem *p, double *at, double step)
{
    double here = *at, sum = -2 * f(p);
    *at = here + step;
    sum += f(p);
    *at = here - step;
    sum += f(p);
    *at = here;
    return sum;
}

/* Whether a kink (of ReLU, leaky ReLU, ELU's derivative, Huber's, MAE, quantile) inside the steps
   explains that the narrow difference misses the gradient by error. The gradient takes no part: off
   the middle, a kink makes the differences of two steps disagree; in the middle, it makes the bend
   linear in the step, not quadratic. A wrong gradient in a smooth place does neither. */
static int at_kink(scalar f, problem *p, double *at, double disagreement, double error)
{
    if (!has_kinks(&p->kind)) return 0;
    if (disagreement > error / 50) return 1;
    return fabs(bend(f, p, at, STEP) - 16 * bend(f, p, at, STEP / 4)) > STEP * error;
}

/* The second, smaller step serves where the first is too coarse: 256 times less truncation. */
static void compare(scalar f, problem *p, double *at, double gradient)
{
    double wide, narrow;
    compared++;
    above_floor += fabs(gradient) > FLOOR;
    wide = difference(f, p, at, STEP);
    if (close_enough(wide, gradient)) return;
    narrow = difference(f, p, at, STEP / 4);
    if (close_enough(narrow, gradient)) return;
    if (at_kink(f, p, at, fabs(wide - narrow), fabs(narrow - gradient))) {
        kinks++;
        return;
    }
    if (!test_check(0, "gradient ~ difference", __FILE__, __LINE__) && test_bad <= 5)
        printf("  %.15g and %.15g: seed %llu, layers %d, rows %d, hidden %d, output %d, loss %d, "
               "dropout %d, weights %d, smoothing %d, scaling %d, micro %d\n",
               gradient, wide, (unsigned long long)first_seed, p->kind.layers, p->kind.rows,
               (int)p->kind.hidden, (int)p->kind.output, (int)p->kind.loss, p->kind.dropout,
               p->kind.weights, p->kind.smoothing, (int)p->kind.scaling, p->kind.micro);
}

static void compare_parameters(scalar f, problem *p, const double *gradients)
{
    size_t i;
    for (i = 0; i < nn_parameter_count(p->model); i++)
        compare(f, p, nn_parameters(p->model) + i, gradients[i]);
}

static void compare_inputs(scalar f, problem *p, const double *dx)
{
    int i;
    for (i = 0; i < p->kind.rows * INPUTS; i++) compare(f, p, p->x + i, dx[i]);
}

/* No smooth net of ours, all of whose units are on, has a gradient that is exactly 0: a pass that
   writes nothing would be seen even where the loss is flat. (Huber's slopes at their limits, and
   those of MAE and the quantile loss, cancel exactly, between two rows or in softmax, whose outputs
   have a constant sum.) */
static void check_not_zero(const problem *p, const double *gradients)
{
    size_t i, zeros = 0, count = nn_parameter_count(p->model);
    for (i = 0; i < count; i++) zeros += gradients[i] == 0;
    CHECK(zeros < count || p->kind.output == NN_RELU || loss_bends(p->kind.loss));
    if (p->kind.hidden == NN_RELU || p->kind.output == NN_RELU || p->kind.dropout) return;
    CHECK(zeros == 0 || loss_bends(p->kind.loss));
}

/* ---- Losses ---------------------------------------------------------------------------------- */

/* dL/dy of one output, by the definition of the loss; share is the row's part of the mean. */
static double loss_slope(const problem *p, double y, double t, double share)
{
    double error = y - t, s = p->how.label_smoothing;
    switch (p->kind.loss) {
    case NN_MSE: return share * 2 * error / OUTPUTS;
    case NN_HUBER:
        if (fabs(error) > p->how.huber_delta) error = error > 0 ? 0.7 : -0.7;
        return share * error / OUTPUTS;
    case NN_BINARY_CROSS_ENTROPY:
        return share * (y - ((1 - s) * t + s / 2)) / (y * (1 - y)) / OUTPUTS;
    case NN_MAE: return share * (error > 0 ? 1 : -1) / OUTPUTS;
    case NN_QUANTILE: return share * (error > 0 ? 0.7 : -0.3) / OUTPUTS;
    default: return -share * ((1 - s) * t + s / OUTPUTS) / y;
    }
}

/* The same gradient by the other road, forward, dL/dy by hand, backward: this gives dL/dx, and its
   parameter gradients must be those of the fused losses. Rows of weight 0 are not there at all:
   they draw no dropout mask and have no gradient. */
static void step_gradients(problem *p, const double *fused, double *dx)
{
    nn_trainer *trainer = fresh(p);
    const nn_real *y = NULL;
    double x[MAX_ROWS * INPUTS] = {0}, slopes[MAX_ROWS * OUTPUTS], found[MAX_ROWS * INPUTS],
                        total = 0;
    int row[MAX_ROWS], rows = 0, i, k;
    for (i = 0; i < p->kind.rows; i++) {
        double weight = p->kind.weights ? p->weight[i] : 1;
        for (k = 0; k < INPUTS; k++) dx[i * INPUTS + k] = 0;
        if (weight == 0) continue;
        memcpy(x + rows * INPUTS, p->x + i * INPUTS, INPUTS * sizeof *x);
        total += weight;
        row[rows++] = i;
    }
    if (!CHECK(nn_forward(trainer, x, rows, &y) == NN_OK)) return;
    for (i = 0; i < rows * OUTPUTS; i++) {
        double weight = p->kind.weights ? p->weight[row[i / OUTPUTS]] : 1;
        slopes[i] =
            loss_slope(p, y[i], p->y[row[i / OUTPUTS] * OUTPUTS + i % OUTPUTS], weight / total);
    }
    for (i = 0; i < MAX_ROWS * INPUTS; i++) found[i] = NAN;
    CHECK(nn_backward(trainer, slopes, found) == NN_OK);
    for (i = 0; i < rows; i++)
        memcpy(dx + row[i] * INPUTS, found + i * INPUTS, INPUTS * sizeof *dx);
    for (k = 0; k < (int)nn_parameter_count(p->model); k++)
        CHECK_NEAR(nn_gradients(trainer)[k], fused[k], 1e-11, 1);
}

static void check_loss(const combination *kind)
{
    problem p;
    double gradients[MAX_PARAMETERS], dx[MAX_ROWS * INPUTS], loss = NAN;
    nn_trainer *trainer;
    if (!begin(&p, kind)) return;
    trainer = fresh(&p);
    if (CHECK(nn_accumulate(trainer, &p.batch, &loss) == NN_OK)) {
        memcpy(gradients, nn_gradients(trainer), nn_parameter_count(p.model) * sizeof(double));
        check_not_zero(&p, gradients);
        step_gradients(&p, gradients, dx);
        compare_parameters(batch_loss, &p, gradients);
        compare_inputs(batch_loss, &p, dx);
    }
    end(&p);
}

static int fits(nn_activation output, nn_loss loss)
{
    if (loss == NN_BINARY_CROSS_ENTROPY) return output == NN_SIGMOID;
    if (loss == NN_CROSS_ENTROPY) return output == NN_SOFTMAX;
    return 1;
}

/* Every combination with one loss, unrolled from one counter; with one layer there is no hidden
   activation and nothing to drop. */
static void check_every(nn_loss loss, void (*check)(const combination *), nn_scaling scaling)
{
    static const int rows[3] = {1, 2, 7};
    long before = compared;
    int i;
    for (i = 0; i < MAX_LAYERS * 3 * 5 * 6 * 8; i++) {
        combination kind;
        int rest = i;
        kind.layers = 1 + rest % MAX_LAYERS, rest /= MAX_LAYERS;
        kind.rows = rows[rest % 3], rest /= 3;
        kind.hidden = (nn_activation)(rest % 5), rest /= 5;
        kind.output = (nn_activation)(rest % 6), rest /= 6;
        kind.dropout = rest % 2, kind.weights = rest / 2 % 2, kind.smoothing = rest / 4;
        kind.loss = loss;
        kind.scaling = scaling;
        kind.micro = 0;
        if (!fits(kind.output, loss)) continue;
        if (kind.layers == 1 && (kind.hidden != NN_LINEAR || kind.dropout)) continue;
        random_state = first_seed * 1000003 + (uint64_t)i;
        check(&kind);
    }
    CHECK(compared > before);
}

static int is_smooth(nn_activation activation)
{
    return activation == NN_ELU || activation == NN_SILU || activation == NN_GELU ||
           activation == NN_SOFTPLUS;
}

/* Every third combination of one loss with activations of which one is ELU, SiLU, GELU or softplus;
   with MAE and the quantile loss, of any. `part` is 0, 1 or 2: which third. */
static void check_smooth(nn_loss loss, void (*check)(const combination *), nn_scaling scaling,
                         int part)
{
    static const nn_activation hidden[9] = {NN_LINEAR,     NN_GELU,    NN_ELU,
                                            NN_RELU,       NN_SILU,    NN_SOFTPLUS,
                                            NN_LEAKY_RELU, NN_SIGMOID, NN_TANH};
    static const int rows[3] = {1, 2, 7};
    long before = compared;
    int i;
    for (i = part; i < MAX_LAYERS * 9 * NN_ACTIVATION_COUNT * 8 * 3; i += 3) {
        combination kind;
        int rest = i;
        kind.layers = 1 + rest % MAX_LAYERS, rest /= MAX_LAYERS;
        kind.hidden = hidden[rest % 9], rest /= 9;
        kind.output = (nn_activation)(rest % NN_ACTIVATION_COUNT), rest /= NN_ACTIVATION_COUNT;
        kind.dropout = rest % 2, kind.weights = rest / 2 % 2, kind.smoothing = rest / 4 % 2;
        kind.rows = rows[rest / 8];
        kind.loss = loss;
        kind.scaling = scaling;
        kind.micro = 0;
        if (!fits(kind.output, loss) || (kind.smoothing && !can_smooth(loss))) continue;
        if (kind.layers == 1 && (kind.hidden != NN_LINEAR || kind.dropout)) continue;
        if (!(kind.layers > 1 && is_smooth(kind.hidden)) && !is_smooth(kind.output) &&
            loss != NN_MAE && loss != NN_QUANTILE)
            continue;
        random_state = first_seed * 1000003 + 100000 + (uint64_t)i;
        check(&kind);
    }
    CHECK(compared > before);
}

static void test_mse(void)
{
    check_every(NN_MSE, check_loss, NN_SCALE_NONE);
}

static void test_huber(void)
{
    check_every(NN_HUBER, check_loss, NN_SCALE_NONE);
}

static void test_binary_cross_entropy(void)
{
    check_every(NN_BINARY_CROSS_ENTROPY, check_loss, NN_SCALE_NONE);
}

static void test_cross_entropy(void)
{
    check_every(NN_CROSS_ENTROPY, check_loss, NN_SCALE_NONE);
}

/* With input scaling: dL/dx is that of the raw inputs, divided by the spread. */
static void test_scaled_inputs(void)
{
    check_every(NN_CROSS_ENTROPY, check_loss, NN_SCALE_STANDARD);
    check_every(NN_BINARY_CROSS_ENTROPY, check_loss, NN_SCALE_MIN_MAX);
}

static void test_mae(void)
{
    check_smooth(NN_MAE, check_loss, NN_SCALE_NONE, 0);
}

static void test_quantile(void)
{
    check_smooth(NN_QUANTILE, check_loss, NN_SCALE_NONE, 1);
}

static void test_smooth_activations(void)
{
    check_smooth(NN_MSE, check_loss, NN_SCALE_NONE, 2);
    check_smooth(NN_HUBER, check_loss, NN_SCALE_NONE, 0);
    check_smooth(NN_BINARY_CROSS_ENTROPY, check_loss, NN_SCALE_STANDARD, 1);
    check_smooth(NN_CROSS_ENTROPY, check_loss, NN_SCALE_MIN_MAX, 2);
}

/* Pairs that do not fit are refused, those that fit are not; so is softmax in the middle. */
static void test_pairs(void)
{
    int output, loss, pairs = 0;
    for (output = 0; output < NN_ACTIVATION_COUNT; output++) {
        for (loss = 0; loss < NN_LOSS_COUNT; loss++) {
            nn_layer layers[2] = {NN_DENSE(3, NN_TANH), NN_DENSE(OUTPUTS, NN_LINEAR)};
            nn_model *model = NULL;
            nn_trainer *trainer = NULL;
            nn_options how;
            nn_status status;
            how = make_options((nn_loss)loss, NN_SGD, 0);
            layers[1].activation = (nn_activation)output;
            CHECK(nn_model_create(&model, INPUTS, layers, 2, 1) == NN_OK);
            status = nn_trainer_create(&trainer, model, &how);
            pairs += status == NN_OK;
            CHECK(status == (fits((nn_activation)output, how.loss) ? NN_OK : NN_ERROR_LOSS));
            CHECK((trainer != NULL) == (status == NN_OK));
            nn_trainer_free(trainer);
            nn_model_free(model);
        }
    }
    CHECK(pairs == 4 * 10 + 2);
}

/* ---- Forward and backward with any dL/dy ----------------------------------------------------- */

/* For softmax this needs its full Jacobian: dy is not a loss's. */
static void check_functional(const combination *kind)
{
    problem p;
    double dx[MAX_ROWS * INPUTS], gradients[MAX_PARAMETERS];
    const nn_real *y = NULL;
    nn_trainer *trainer;
    int i;
    if (kind->weights || kind->smoothing || !begin(&p, kind)) return;
    for (i = 0; i < MAX_ROWS * INPUTS; i++) dx[i] = NAN;
    trainer = fresh(&p);
    CHECK(nn_forward(trainer, p.x, p.kind.rows, &y) == NN_OK && y != NULL);
    CHECK(nn_backward(trainer, p.dy, dx) == NN_OK);
    memcpy(gradients, nn_gradients(trainer), nn_parameter_count(p.model) * sizeof(double));
    check_not_zero(&p, gradients);
    compare_parameters(functional, &p, gradients);
    compare_inputs(functional, &p, dx);
    end(&p);
}

static void test_jacobian(void)
{
    check_every(NN_MSE, check_functional, NN_SCALE_NONE);
}

static void test_jacobian_scaled(void)
{
    check_every(NN_MSE, check_functional, NN_SCALE_STANDARD);
    check_every(NN_MSE, check_functional, NN_SCALE_MIN_MAX);
}

/* A trainer made for a fused loss still takes dL/d(output), not dL/d(logit). */
static void test_jacobian_of_fused(void)
{
    check_every(NN_BINARY_CROSS_ENTROPY, check_functional, NN_SCALE_NONE);
    check_every(NN_CROSS_ENTROPY, check_functional, NN_SCALE_NONE);
}

static void test_jacobian_smooth(void)
{
    check_smooth(NN_MSE, check_functional, NN_SCALE_NONE, 0);
    check_smooth(NN_MAE, check_functional, NN_SCALE_STANDARD, 1);
}

/* ---- Batches in parts ------------------------------------------------------------------------ */

/* The whole batch's gradient where its rows go through the net a few at a time, each part with
   masks of its own; and twice that where the gradients are added to. */
static void check_parts(const combination *kind)
{
    problem p;
    double gradients[MAX_PARAMETERS];
    nn_trainer *trainer;
    size_t i;
    if (!begin(&p, kind)) return;
    trainer = fresh(&p);
    CHECK(nn_accumulate(trainer, &p.batch, NULL) == NN_OK);
    memcpy(gradients, nn_gradients(trainer), nn_parameter_count(p.model) * sizeof(double));
    check_not_zero(&p, gradients);
    if (!kind->dropout) {
        CHECK(nn_accumulate(trainer, &p.batch, NULL) == NN_OK);
        for (i = 0; i < nn_parameter_count(p.model); i++)
            CHECK_NEAR(nn_gradients(trainer)[i], 2 * gradients[i], 1e-13, 1e-3);
    }
    compare_parameters(batch_loss, &p, gradients);
    end(&p);
}

/* The activations that keep z have an array more; dropout has two more behind it. */
static void test_micro_batches(void)
{
    static const nn_activation hidden[] = {NN_ELU, NN_SILU, NN_GELU, NN_SOFTPLUS, NN_TANH};
    static const nn_activation output[] = {NN_SILU, NN_LINEAR,  NN_SOFTPLUS,
                                           NN_GELU, NN_SIGMOID, NN_SOFTMAX};
    static const nn_loss losses[] = {
        NN_MSE, NN_MAE, NN_HUBER, NN_QUANTILE, NN_BINARY_CROSS_ENTROPY, NN_CROSS_ENTROPY};
    int i;
    for (i = 0; i < 5 * 6 * MAX_ROWS * 4; i++) {
        combination kind;
        int rest = i;
        memset(&kind, 0, sizeof kind);
        kind.hidden = hidden[rest % 5], rest /= 5;
        kind.output = output[rest % 6];
        kind.loss = losses[rest % 6], rest /= 6;
        kind.micro = 1 + rest % MAX_ROWS, rest /= MAX_ROWS;
        kind.dropout = rest % 2;
        kind.weights = rest / 2;
        kind.rows = MAX_ROWS;
        kind.layers = 2 + i % 3;
        random_state = first_seed * 1000003 + 200000 + (uint64_t)i;
        check_parts(&kind);
    }
}

/* ---- What the gradients array does ----------------------------------------------------------- */

static const combination plain = {3, 7, NN_TANH, NN_SOFTMAX,    NN_CROSS_ENTROPY,
                                  0, 1, 0,       NN_SCALE_NONE, 0};

/* Two batches add, by either road, and dx is overwritten, not added to. */
static void test_gradients_add(void)
{
    problem p;
    nn_trainer *trainer;
    const nn_real *y;
    double once[MAX_PARAMETERS], first[MAX_ROWS * INPUTS], second[MAX_ROWS * INPUTS];
    size_t i, count;
    random_state = first_seed;
    if (!begin(&p, &plain)) return;
    count = nn_parameter_count(p.model);
    trainer = fresh(&p);
    for (i = 0; i < count; i++) CHECK(nn_gradients(trainer)[i] == 0);
    CHECK(nn_accumulate(trainer, &p.batch, NULL) == NN_OK);
    memcpy(once, nn_gradients(trainer), count * sizeof(double));
    CHECK(nn_accumulate(trainer, &p.batch, NULL) == NN_OK);
    for (i = 0; i < count; i++) CHECK_NEAR(nn_gradients(trainer)[i], 2 * once[i], 1e-13, 1e-3);

    trainer = fresh(&p);
    CHECK(nn_forward(trainer, p.x, 7, &y) == NN_OK && nn_backward(trainer, p.dy, first) == NN_OK);
    memcpy(once, nn_gradients(trainer), count * sizeof(double));
    CHECK(nn_forward(trainer, p.x, 7, &y) == NN_OK && nn_backward(trainer, p.dy, second) == NN_OK);
    for (i = 0; i < count; i++) CHECK_NEAR(nn_gradients(trainer)[i], 2 * once[i], 1e-13, 1e-3);
    CHECK(memcmp(first, second, sizeof first) == 0);
    end(&p);
}

/* After nn_update the gradients stay readable and the next backward pass starts them anew: they are
   those of a new trainer on the updated model, bit for bit. */
static void test_update_starts_anew(void)
{
    problem p, q;
    nn_trainer *trainer;
    double before[MAX_PARAMETERS], after[MAX_PARAMETERS];
    size_t bytes;
    random_state = first_seed;
    if (!begin(&p, &plain)) return;
    bytes = nn_parameter_count(p.model) * sizeof(double);
    trainer = fresh(&p);
    CHECK(nn_accumulate(trainer, &p.batch, NULL) == NN_OK);
    memcpy(before, nn_gradients(trainer), bytes);
    CHECK(nn_update(trainer) == NN_OK);
    CHECK(memcmp(before, nn_gradients(trainer), bytes) == 0);
    CHECK(nn_accumulate(trainer, &p.batch, NULL) == NN_OK);
    memcpy(after, nn_gradients(trainer), bytes);
    CHECK(memcmp(before, after, bytes) != 0);
    q = p;
    q.memory = malloc(q.size);
    trainer = fresh(&q);
    CHECK(nn_accumulate(trainer, &p.batch, NULL) == NN_OK);
    CHECK(memcmp(after, nn_gradients(trainer), bytes) == 0);
    free(q.memory);
    end(&p);
}

/* One backward pass for each forward pass; dx may be left out without changing the gradients. */
static void test_order_of_calls(void)
{
    problem p;
    nn_trainer *trainer;
    const nn_real *y;
    double dx[MAX_ROWS * INPUTS], with[MAX_PARAMETERS];
    size_t bytes;
    random_state = first_seed;
    if (!begin(&p, &plain)) return;
    bytes = nn_parameter_count(p.model) * sizeof(double);
    trainer = fresh(&p);
    CHECK(nn_backward(trainer, p.dy, dx) == NN_ERROR_STATE);
    CHECK(nn_forward(trainer, p.x, 7, &y) == NN_OK && nn_backward(trainer, p.dy, dx) == NN_OK);
    memcpy(with, nn_gradients(trainer), bytes);
    CHECK(nn_backward(trainer, p.dy, dx) == NN_ERROR_STATE);
    CHECK(memcmp(with, nn_gradients(trainer), bytes) == 0);
    trainer = fresh(&p);
    CHECK(nn_forward(trainer, p.x, 7, &y) == NN_OK && nn_backward(trainer, p.dy, NULL) == NN_OK);
    CHECK(memcmp(with, nn_gradients(trainer), bytes) == 0);
    CHECK(nn_forward(trainer, p.x, 7, &y) == NN_OK); /* its outputs go with the next batch */
    CHECK(nn_accumulate(trainer, &p.batch, NULL) == NN_OK);
    CHECK(nn_backward(trainer, p.dy, NULL) == NN_ERROR_STATE);
    end(&p);
}

/* That the comparisons above were made, and were of values, not of zeros and kinks. */
static void test_not_vacuous(void)
{
    printf("%ld gradients compared, %ld above the floor, %ld left out at kinks\n", compared,
           above_floor, kinks);
    CHECK(compared > 600000);
    CHECK(above_floor > compared / 2);
    CHECK(kinks < compared / 500);
}

int main(int argc, char **argv)
{
    if (argc > 1) first_seed = (uint64_t)strtoull(argv[1], NULL, 10);
    RUN(test_mse);
    RUN(test_huber);
    RUN(test_binary_cross_entropy);
    RUN(test_cross_entropy);
    RUN(test_mae);
    RUN(test_quantile);
    RUN(test_smooth_activations);
    RUN(test_scaled_inputs);
    RUN(test_pairs);
    RUN(test_jacobian);
    RUN(test_jacobian_scaled);
    RUN(test_jacobian_of_fused);
    RUN(test_jacobian_smooth);
    RUN(test_micro_batches);
    RUN(test_gradients_add);
    RUN(test_update_starts_anew);
    RUN(test_order_of_calls);
    RUN(test_not_vacuous);
    return test_done();
}
