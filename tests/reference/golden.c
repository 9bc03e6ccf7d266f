/* Agreement with PyTorch, 1e-5 in float and 1e-12 in double: outputs, losses,
   gradients of parameters and inputs, 20 steps of each optimizer, learning rates. The vectors in
   tests/reference/golden/ and what they cover: tests/reference/golden.py, which made them. One file
   reads all of them, dense nets and nets of images, with the same reader, which makes it long. */
#include "../fixtures.h"

/* Values are compared relative to the larger of the two, or, if that is more, to a share of the
   largest of their array (a weight matrix, a bias, the outputs, ...). A value is a sum of
   terms that may cancel, each as large as the array's largest, and carries the roundings of those
   terms, not its own: it can be no more exact than a few roundings of the largest. FLOOR makes
   that TOLERANCE * FLOOR = 10 roundings in float (epsilon 6e-8) and 9 in double (1.1e-16). */
#ifdef NN_DOUBLE
#define TOLERANCE 1e-12
#define FLOOR     1e-3
#else
#define TOLERANCE 1e-5
#define FLOOR     0.06
#endif

enum { MAX_PROBLEMS = 64, MAX_WIDTHS = 8, MAX_VALUES = 1024, STEPS = 20, MAX_KEPT = 4 };

/* ---- Reading --------------------------------------------------------------------------------- */

/* Words between blanks. The first word that is not what it should be ends the reading: bad. */
typedef struct reader {
    char *text, *at;
    int bad, cases; /* cases: how many the first line promises */
} reader;

typedef struct array {
    int count;
    double value[MAX_VALUES];
} array;

static void fail(reader *in, const char *wanted, const char *got)
{
    if (!in->bad) printf("expected %s, found \"%.40s\"\n", wanted, got);
    in->bad = 1;
    test_check(0, "the data file is as tests/reference/golden.py wrote it", __FILE__, __LINE__);
}

static const char *read_word(reader *in)
{
    const char *word;
    if (in->bad) return "";
    in->at += strspn(in->at, " \r\n");
    word = in->at;
    in->at += strcspn(in->at, " \r\n");
    if (*in->at) *in->at++ = '\0';
    if (!*word) fail(in, "a word", "the end of the file");
    return word;
}

static void expect(reader *in, const char *wanted)
{
    const char *word = read_word(in);
    if (!in->bad && strcmp(word, wanted) != 0) fail(in, wanted, word);
}

static double read_number(reader *in)
{
    const char *word = read_word(in);
    char *end;
    double value = strtod(word, &end);
    if (!in->bad && (end == word || *end || !isfinite(value))) fail(in, "a number", word);
    return value;
}

/* An integer in [low, high], low after a failure. */
static int read_int(reader *in, int low, int high)
{
    double value = read_number(in);
    if (!in->bad && !(value >= low && value <= high)) fail(in, "a number in range", "another");
    return in->bad ? low : (int)value;
}

static void read_array(reader *in, const char *name, array *values)
{
    int i;
    expect(in, name);
    values->count = read_int(in, 0, MAX_VALUES);
    for (i = 0; i < values->count; i++) values->value[i] = read_number(in);
    if (in->bad) values->count = 0;
}

/* The place of a word in a list that NULL ends; the list is in the order of an enum of nn.h. */
static int read_choice(reader *in, const char *const *list)
{
    const char *word = read_word(in);
    int i;
    for (i = 0; list[i]; i++)
        if (!strcmp(list[i], word)) return i;
    if (!in->bad) fail(in, "a name", word);
    return 0;
}

/* Reads tests/reference/golden/NAME.txt whole and its first line: golden NAME CASES. */
static void open_golden(reader *in, const char *name)
{
    char path[64];
    FILE *file;
    size_t capacity = 1 << 20, size = 0;

    memset(in, 0, sizeof *in);
    sprintf(path, "tests/reference/golden/%s.txt", name);
    in->text = in->at = (char *)calloc(capacity, 1);
    file = fopen(path, "rb");
    if (!CHECK(file != NULL) || !CHECK(in->text != NULL)) {
        printf("%s cannot be read\n", path);
        in->bad = 1;
    } else {
        size = fread(in->text, 1, capacity - 1, file);
        CHECK(size > 0 && size < capacity - 1);
    }
    if (file) fclose(file);
    expect(in, "golden");
    expect(in, name);
    in->cases = read_int(in, 1, 100000);
}

/* After the promised cases comes `end`, and then nothing. */
static void close_golden(reader *in)
{
    expect(in, "end");
    if (!in->bad) CHECK(in->at[strspn(in->at, "\r\n")] == '\0');
    free(in->text);
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static const char *now = ""; /* what is compared, for the message of a failure */
static int now_case;

static double largest_of(const double *values, int count)
{
    double largest = 0;
    int i;
    for (i = 0; i < count; i++)
        if (fabs(values[i]) > largest) largest = fabs(values[i]);
    return largest;
}

static void check_doubles(const char *what, const double *got, const double *expected, int count)
{
    double smallest = FLOOR * largest_of(expected, count);
    int i, before = test_bad;
    for (i = 0; i < count; i++) CHECK_NEAR(got[i], expected[i], TOLERANCE, smallest);
    if (test_bad > before && before < 5)
        printf("    %s, case %d: %s [%d]\n", now, now_case, what, count);
}

static void check_reals(const char *what, const nn_real *got, const double *expected, int count)
{
    static double wide[MAX_VALUES];
    int i;
    for (i = 0; i < count; i++) wide[i] = (double)got[i];
    check_doubles(what, wide, expected, count);
}

/* ---- Problems -------------------------------------------------------------------------------- */

static const char *const activation_names[] = {"linear", "relu",     "leaky_relu", "sigmoid",
                                               "tanh",   "softmax",  "elu",        "silu",
                                               "gelu",   "softplus", NULL};
static const char *const loss_names[] = {
    "mse", "huber", "binary_cross_entropy", "cross_entropy", "mae", "quantile", NULL};
static const char *const target_names[] = {"real", "unit", "probability", "onehot", NULL};

typedef struct reals {
    int count;
    nn_real value[MAX_VALUES];
} reals;

typedef struct problem {
    int widths[MAX_WIDTHS], depth, rows; /* widths[depth + 1] */
    reals parameters, x, weight, target[4];
} problem;

static problem problems[MAX_PROBLEMS];
static int problem_count;

/* Inputs must be the same numbers in float and in double. */
static void read_reals(reader *in, const char *name, int count, reals *values)
{
    static array read;
    int i;
    read_array(in, name, &read);
    CHECK(read.count == count);
    for (i = 0; i < read.count; i++) {
        values->value[i] = (nn_real)read.value[i];
        CHECK((double)(float)read.value[i] == read.value[i]);
    }
    values->count = read.count;
}

static void read_problem(reader *in, problem *p)
{
    static array widths;
    int i, outputs, count = 0;

    read_array(in, "problem", &widths);
    if (!CHECK(widths.count >= 2 && widths.count <= MAX_WIDTHS)) in->bad = 1;
    if (in->bad) return;
    p->depth = widths.count - 1;
    for (i = 0; i <= p->depth; i++) p->widths[i] = (int)widths.value[i];
    for (i = 0; i < p->depth; i++) count += (p->widths[i] + 1) * p->widths[i + 1];
    outputs = p->widths[p->depth];
    expect(in, "rows");
    p->rows = read_int(in, 1, MAX_VALUES);
    read_reals(in, "parameters", count, &p->parameters);
    read_reals(in, "x", p->rows * p->widths[0], &p->x);
    read_reals(in, "weight", p->rows, &p->weight);
    for (i = 0; target_names[i]; i++)
        read_reals(in, target_names[i], p->rows * outputs, &p->target[i]);
}

static void test_problems(void)
{
    reader in;
    open_golden(&in, "problems");
    CHECK(in.cases <= MAX_PROBLEMS);
    while (!in.bad && problem_count < in.cases && problem_count < MAX_PROBLEMS)
        read_problem(&in, &problems[problem_count++]);
    close_golden(&in);
    CHECK(problem_count > 0);
}

/* The model of a problem, with its parameters. */
static nn_model *problem_model(const problem *p, nn_activation hidden, nn_activation output)
{
    nn_layer layers[MAX_WIDTHS];
    nn_model *model;
    int i;

    for (i = 0; i < p->depth; i++) {
        layers[i] = dense_layer(p->widths[i + 1], i + 1 < p->depth ? hidden : output);
    }
    if (!CHECK(nn_model_create(&model, p->widths[0], layers, p->depth, 1) == NN_OK)) return NULL;
    if (!CHECK(nn_parameter_count(model) == (size_t)p->parameters.count)) return NULL;
    memcpy(nn_parameters(model), p->parameters.value,
           (size_t)p->parameters.count * sizeof(nn_real));
    return model;
}

/* Each W and each b is an array of its own: layers differ in size. */
static void check_layers(const char *what, const problem *p, const nn_real *got,
                         const double *expected)
{
    int i, at = 0;
    for (i = 0; i < p->depth; i++) {
        int in = p->widths[i], out = p->widths[i + 1];
        check_reals(what, got + at, expected + at, in * out);
        at += in * out;
        check_reals(what, got + at, expected + at, out);
        at += out;
    }
}

static void fill_nan(nn_real *values, int count)
{
    int i;
    for (i = 0; i < count; i++) values[i] = (nn_real)NAN;
}

/* ---- Outputs --------------------------------------------------------------------------------- */

static void check_outputs(const problem *p, nn_activation hidden, nn_activation output,
                          const array *expected)
{
    static nn_real y[MAX_VALUES];
    const nn_real *forward = NULL;
    nn_options how;
    nn_model *model = problem_model(p, hidden, output);
    nn_trainer *trainer;

    if (!model) return;
    fill_nan(y, MAX_VALUES);
    CHECK(nn_predict(model, p->x.value, p->rows, y, NULL) == NN_OK);
    check_reals("nn_predict", y, expected->value, expected->count);

    memset(&how, 0, sizeof how);
    how.batch_size = p->rows;
    trainer = make_trainer(model, &how);
    if (CHECK(nn_forward(trainer, p->x.value, p->rows, &forward) == NN_OK))
        check_reals("nn_forward", forward, expected->value, expected->count);
    nn_trainer_free(trainer);
    nn_model_free(model);
}

/* A transposed W, a bias left out, an activation of the wrong layer or of the wrong slope. */
static void test_outputs(void)
{
    static array expected;
    reader in;

    now = "outputs";
    open_golden(&in, now);
    for (now_case = 0; !in.bad && now_case < in.cases; now_case++) {
        int index, hidden, output;
        expect(&in, "case");
        index = read_int(&in, 0, problem_count - 1);
        hidden = read_choice(&in, activation_names);
        output = read_choice(&in, activation_names);
        read_array(&in, "y", &expected);
        if (in.bad) break;
        CHECK(expected.count ==
              problems[index].rows * problems[index].widths[problems[index].depth]);
        check_outputs(&problems[index], (nn_activation)hidden, (nn_activation)output, &expected);
    }
    CHECK(now_case == in.cases && now_case > 0);
    close_golden(&in);
}

/* ---- Losses and gradients -------------------------------------------------------------------- */

typedef struct loss_case {
    const problem *p;
    nn_activation hidden, output;
    int target, weighted;
    nn_options how;
    double loss;
    array gradients, dy, dx; /* dy and dx are empty where p rounds to 0 or 1 */
} loss_case;

static void read_loss_case(reader *in, loss_case *c)
{
    double number; /* the loss's own: Huber's delta, the quantile */
    int outputs;

    memset(&c->how, 0, sizeof c->how);
    expect(in, "case");
    c->p = &problems[read_int(in, 0, problem_count - 1)];
    c->hidden = (nn_activation)read_choice(in, activation_names);
    c->output = (nn_activation)read_choice(in, activation_names);
    c->how.loss = (nn_loss)read_choice(in, loss_names);
    c->target = read_choice(in, target_names);
    c->weighted = read_int(in, 0, 1);
    number = read_number(in);
    if (c->how.loss == NN_QUANTILE)
        c->how.quantile = (nn_real)number;
    else if (c->how.loss == NN_HUBER)
        c->how.huber_delta = (nn_real)number;
    c->how.label_smoothing = (nn_real)read_number(in);
    c->how.batch_size = c->p->rows;
    expect(in, "loss");
    c->loss = read_number(in);
    read_array(in, "gradients", &c->gradients);
    read_array(in, "dy", &c->dy);
    read_array(in, "dx", &c->dx);
    if (in->bad) return;
    outputs = c->p->rows * c->p->widths[c->p->depth];
    CHECK(c->gradients.count == c->p->parameters.count);
    CHECK(c->dy.count == 0 || c->dy.count == outputs);
    CHECK(c->dx.count == (c->dy.count ? c->p->x.count : 0));
}

/* The loss and its gradient by nn_accumulate. */
static void check_loss(const loss_case *c, nn_model *model)
{
    const problem *p = c->p;
    nn_trainer *trainer = make_trainer(model, &c->how);
    nn_data batch;
    nn_real loss = NAN;

    batch = make_data(p->x.value, p->target[c->target].value, p->rows, p->widths[0],
                      p->widths[p->depth]);
    batch.weight = c->weighted ? p->weight.value : NULL;
    if (CHECK(nn_accumulate(trainer, &batch, &loss) == NN_OK)) {
        const double got = loss;
        check_doubles("loss", &got, &c->loss, 1);
        check_layers("gradients of nn_accumulate", p, nn_gradients(trainer), c->gradients.value);
    }
    nn_trainer_free(trainer);
}

/* The same gradient, and that of the inputs, by nn_backward from PyTorch's dL/d(output). */
static void check_backward(const loss_case *c, nn_model *model)
{
    static nn_real dy[MAX_VALUES], dx[MAX_VALUES];
    nn_trainer *trainer = make_trainer(model, &c->how);
    const nn_real *y;
    int i;

    for (i = 0; i < c->dy.count; i++) dy[i] = (nn_real)c->dy.value[i];
    fill_nan(dx, MAX_VALUES);
    if (CHECK(nn_forward(trainer, c->p->x.value, c->p->rows, &y) == NN_OK) &&
        CHECK(nn_backward(trainer, dy, dx) == NN_OK)) {
        check_reals("dx", dx, c->dx.value, c->dx.count);
        check_layers("gradients of nn_backward", c->p, nn_gradients(trainer), c->gradients.value);
    }
    nn_trainer_free(trainer);
}

/* A missing 1/outputs or 2, a batch divided by N, a sum of weights in place of their mean, a
   derivative taken from the output in place of its input, an unfused cross-entropy. */
static void test_losses(void)
{
    static loss_case c;
    int backward = 0;
    reader in;

    now = "losses";
    open_golden(&in, now);
    for (now_case = 0; !in.bad && now_case < in.cases; now_case++) {
        nn_model *model;
        read_loss_case(&in, &c);
        model = in.bad ? NULL : problem_model(c.p, c.hidden, c.output);
        if (!model) break;
        check_loss(&c, model);
        if (c.dy.count) {
            check_backward(&c, model);
            backward++;
        }
        nn_model_free(model);
    }
    CHECK(now_case == in.cases && now_case > 0);
    CHECK(backward > in.cases / 2);
    close_golden(&in);
}

/* ---- Training -------------------------------------------------------------------------------- */

typedef struct training {
    char name[32];
    const problem *p;
    nn_options how;
    nn_activation hidden, output;
    int target, kept;
    array batches; /* rows of each, one after the other, then from the first row again */
    array losses, norms, rates, steps, after[MAX_KEPT];
} training;

#define FIELD(name)                                                                                \
    {                                                                                              \
#name, offsetof(nn_options, name)                                                          \
    }

typedef struct field {
    const char *name;
    size_t offset;
} field;

static const field int_fields[] = {FIELD(schedule_steps), FIELD(warmup_steps), FIELD(nesterov)};
static const field real_fields[] = {
    FIELD(learning_rate), FIELD(momentum),    FIELD(beta1),
    FIELD(beta2),         FIELD(epsilon),     FIELD(weight_decay),
    FIELD(clip_norm),     FIELD(step_factor), FIELD(minimum_learning_rate),
    FIELD(alpha),         FIELD(quantile)};

/* The place of a field in nn_options, NULL when it is not in the list. */
static void *find_field(nn_options *how, const char *name, const field *fields, int count)
{
    int i;
    for (i = 0; i < count; i++)
        if (!strcmp(fields[i].name, name)) return (char *)how + fields[i].offset;
    return NULL;
}

/* A number; the word zero stands for a 0 that does not mean the default. */
static nn_real read_number_or_zero(reader *in)
{
    const char *word = in->at + strspn(in->at, " \r\n");

    if (strncmp(word, "zero", 4) != 0) return (nn_real)read_number(in);
    expect(in, "zero");
    return NN_ZERO;
}

/* One `name value` pair of nn_options. */
static void read_option(reader *in, nn_options *how)
{
    static const char *const optimizers[] = {"sgd", "adam", "rmsprop", NULL};
    static const char *const schedules[] = {"constant", "step", "cosine", NULL};
    const char *name = read_word(in);
    void *place;

    if (!strcmp(name, "optimizer"))
        how->optimizer = (nn_optimizer)read_choice(in, optimizers);
    else if (!strcmp(name, "schedule"))
        how->schedule = (nn_schedule)read_choice(in, schedules);
    else if ((place = find_field(how, name, int_fields, COUNT_OF(int_fields))) != NULL)
        *(int *)place = read_int(in, 1, 1000);
    else if ((place = find_field(how, name, real_fields, COUNT_OF(real_fields))) != NULL)
        *(nn_real *)place = read_number_or_zero(in);
    else
        fail(in, "an option", name);
}

static void read_options(reader *in, char *name, nn_options *how)
{
    int i, count;
    expect(in, "case");
    sprintf(name, "%.31s", read_word(in));
    memset(how, 0, sizeof *how);
    expect(in, "options");
    count = read_int(in, 0, 20);
    for (i = 0; i < count && !in->bad; i++) read_option(in, how);
}

static void read_training(reader *in, training *t)
{
    int i;

    t->p = &problems[problem_count - 1];
    read_options(in, t->name, &t->how);
    expect(in, "model");
    t->hidden = (nn_activation)read_choice(in, activation_names);
    t->output = (nn_activation)read_choice(in, activation_names);
    t->how.loss = (nn_loss)read_choice(in, loss_names);
    t->how.batch_size = t->p->rows;
    t->target = read_choice(in, target_names);
    read_array(in, "batches", &t->batches);
    read_array(in, "losses", &t->losses);
    read_array(in, "norms", &t->norms);
    read_array(in, "rates", &t->rates);
    read_array(in, "kept", &t->steps);
    if (!CHECK(t->steps.count > 0 && t->steps.count <= MAX_KEPT)) in->bad = 1;
    for (i = 0; i < t->steps.count && !in->bad; i++) {
        read_array(in, "after", &t->after[i]);
        CHECK(t->after[i].count == t->p->parameters.count);
    }
    if (in->bad) return;
    CHECK(t->batches.count > 0 && t->losses.count == STEPS && t->rates.count == STEPS + 1);
    CHECK(t->norms.count == (t->how.clip_norm > 0 ? STEPS : 0));
    CHECK(t->steps.value[t->steps.count - 1] == STEPS);
}

/* All as one array: each update rounds a parameter at the size that it then has, and brings in the
   roundings of all layers. */
static void check_parameters(const training *t, int kept, nn_model *model)
{
    check_reals("parameters", nn_parameters(model), t->after[kept].value, t->after[kept].count);
}

/* 20 updates by nn_train_batch: rates, losses and parameters. */
static void check_steps(const training *t, nn_model *model)
{
    const problem *p = t->p;
    nn_trainer *trainer = make_trainer(model, &t->how);
    double losses[STEPS], rates[STEPS + 1];
    nn_real loss;
    int step, first = 0, kept = 0;

    for (step = 0; step < STEPS; step++) {
        int batch = step % t->batches.count, rows = (int)t->batches.value[batch];
        if (batch == 0) first = 0;
        loss = NAN;
        rates[step] = nn_learning_rate(trainer);
        CHECK(nn_train_batch(trainer, p->x.value + first * p->widths[0],
                             p->target[t->target].value + first * p->widths[p->depth], rows,
                             &loss) == NN_OK);
        losses[step] = loss;
        first += rows;
        if (step + 1 == (int)t->steps.value[kept]) check_parameters(t, kept++, model);
    }
    rates[STEPS] = nn_learning_rate(trainer);
    CHECK(kept == t->steps.count);
    check_doubles("losses", losses, t->losses.value, STEPS);
    check_doubles("rates", rates, t->rates.value, STEPS + 1);
    nn_trainer_free(trainer);
}

/* What nn_fit reports of each epoch. */
typedef struct record {
    int epochs;
    double losses[STEPS], norms[STEPS], rates[STEPS];
} record;

static int keep_record(const nn_progress *progress, void *user)
{
    record *r = (record *)user;
    if (!CHECK(r->epochs < STEPS)) return 1;
    r->losses[r->epochs] = progress->loss;
    r->norms[r->epochs] = progress->gradient_norm;
    r->rates[r->epochs] = progress->learning_rate;
    r->epochs++;
    return 0;
}

/* The same 20 updates by nn_fit, all rows in each: the order of its rows does not matter. */
static void check_fit(const training *t, nn_model *model)
{
    const problem *p = t->p;
    nn_options how = t->how;
    nn_data data;
    record r;

    memset(&data, 0, sizeof data);
    memset(&r, 0, sizeof r);
    data.rows = p->rows;
    data.inputs = p->widths[0];
    data.outputs = p->widths[p->depth];
    data.x = p->x.value;
    data.y = p->target[t->target].value;
    how.epochs = STEPS;
    how.callback = keep_record;
    how.user = &r;
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK(r.epochs == STEPS);
    check_doubles("losses of nn_fit", r.losses, t->losses.value, STEPS);
    check_doubles("rates of nn_fit", r.rates, t->rates.value, STEPS);
    check_doubles("norms before clipping", r.norms, t->norms.value, t->norms.count);
    check_parameters(t, t->steps.count - 1, model);
}

/* A momentum that forgets its first step, an Adam whose t counts tensors, epsilon inside the root,
   decay that is not decoupled, a norm of each layer in place of the global one, a schedule that
   counts the warm-up. */
static void test_steps(void)
{
    static training t;
    int fits = 0;
    reader in;

    now = "steps";
    open_golden(&in, now);
    for (now_case = 0; !in.bad && now_case < in.cases; now_case++) {
        nn_model *model;
        int before = test_bad;
        read_training(&in, &t);
        model = in.bad ? NULL : problem_model(t.p, t.hidden, t.output);
        if (!model) break;
        check_steps(&t, model);
        nn_model_free(model);
        if (t.batches.count == 1 && (model = problem_model(t.p, t.hidden, t.output)) != NULL) {
            check_fit(&t, model);
            nn_model_free(model);
            fits++;
        }
        if (test_bad > before) printf("    %s\n", t.name);
    }
    CHECK(now_case == in.cases && now_case > 0);
    CHECK(fits >= 4);
    close_golden(&in);
}

/* Longer sequences of the learning rate alone. */
static void test_rates(void)
{
    static array rates;
    const nn_layer layer[] = {NN_DENSE(1, NN_LINEAR)};
    const nn_real one[] = {1};
    char name[32];
    nn_options how;
    reader in;

    now = "rates";
    open_golden(&in, now);
    for (now_case = 0; !in.bad && now_case < in.cases; now_case++) {
        nn_model *model = NULL;
        nn_trainer *trainer;
        double got[MAX_VALUES];
        int i;
        read_options(&in, name, &how);
        read_array(&in, "rates", &rates);
        if (in.bad || !CHECK(nn_model_create(&model, 1, layer, 1, 1) == NN_OK)) break;
        CHECK(rates.count > 1);
        trainer = make_trainer(model, &how);
        for (i = 0; i < rates.count; i++) {
            got[i] = nn_learning_rate(trainer);
            CHECK(nn_train_batch(trainer, one, one, 1, NULL) == NN_OK);
        }
        check_doubles(name, got, rates.value, rates.count);
        nn_trainer_free(trainer);
        nn_model_free(model);
    }
    CHECK(now_case == in.cases && now_case > 0);
    close_golden(&in);
}

/* ---- Images ---------------------------------------------------------------------------------- */

/* One layer as golden.py writes it: see IMAGE_NETS there. */
static nn_layer read_layer(reader *in)
{
    static const char *const kinds[] = {"dense", "image", "conv", "max", "average", "global", NULL};
    const nn_layer_kind kind = (nn_layer_kind)read_choice(in, kinds);
    nn_layer layer;

    memset(&layer, 0, sizeof layer);
    layer.kind = kind;
    if (kind == NN_LAYER_GLOBAL_AVERAGE) return layer;
    if (kind == NN_LAYER_DENSE) {
        layer.width = read_int(in, 1, 100);
        layer.activation = (nn_activation)read_choice(in, activation_names);
        return layer;
    }
    layer.height = read_int(in, 1, 100);
    layer.width = read_int(in, 1, 100);
    layer.stride_height = read_int(in, 1, 100);
    layer.stride_width = read_int(in, 1, 100);
    if (kind == NN_LAYER_CONVOLUTION) {
        layer.padding = read_int(in, 0, 1) ? NN_PADDING_SAME : NN_PADDING_NONE;
        layer.channels = read_int(in, 1, 100);
        layer.activation = (nn_activation)read_choice(in, activation_names);
    }
    return layer;
}

typedef struct image_case {
    char name[32];
    nn_options how;
    nn_layer layers[MAX_WIDTHS];
    int count, rows, inputs;
    reals parameters, x, target;
    array y, gradients, step_dx, step_gradients, losses, after;
    double value;
} image_case;

static void read_some_reals(reader *in, const char *name, reals *values)
{
    static array read;
    int i;

    read_array(in, name, &read);
    for (i = 0; i < read.count; i++) values->value[i] = (nn_real)read.value[i];
    values->count = read.count;
}

static void read_image_case(reader *in, image_case *c)
{
    static array image;
    int i;

    read_options(in, c->name, &c->how);
    expect(in, "loss");
    c->how.loss = (nn_loss)read_choice(in, loss_names);
    read_array(in, "image", &image);
    if (!CHECK(image.count == 3)) in->bad = 1;
    memset(c->layers, 0, sizeof c->layers);
    c->layers[0].kind = NN_LAYER_IMAGE;
    c->layers[0].height = (int)image.value[0];
    c->layers[0].width = (int)image.value[1];
    c->layers[0].channels = (int)image.value[2];
    c->inputs = c->layers[0].height * c->layers[0].width * c->layers[0].channels;
    expect(in, "layers");
    c->count = 1 + read_int(in, 1, MAX_WIDTHS - 1);
    for (i = 1; i < c->count; i++) c->layers[i] = read_layer(in);
    expect(in, "rows");
    c->how.batch_size = c->rows = read_int(in, 1, 100);
    read_some_reals(in, "parameters", &c->parameters);
    read_some_reals(in, "x", &c->x);
    read_some_reals(in, "target", &c->target);
    read_array(in, "y", &c->y);
    expect(in, "value");
    c->value = read_number(in);
    read_array(in, "gradients", &c->gradients);
    read_array(in, "step_dx", &c->step_dx);
    read_array(in, "step_gradients", &c->step_gradients);
    read_array(in, "losses", &c->losses);
    read_array(in, "after", &c->after);
}

/* Each layer's weights and biases are arrays of their own. */
static void check_image_layers(nn_model *model, int count, const nn_real *got,
                               const double *expected)
{
    nn_layer_arrays arrays;
    int i, n, at = 0;

    for (i = 0; i < count; i++) {
        CHECK(nn_layer_parameters(model, i, &arrays) == NN_OK);
        n = arrays.inputs * arrays.outputs;
        check_reals("weights", got + at, expected + at, n);
        check_reals("biases", got + at + n, expected + at + n, arrays.outputs);
        at += n + arrays.outputs;
    }
}

static void check_image_case(const image_case *c, nn_model *model)
{
    static nn_real y[MAX_VALUES], dx[MAX_VALUES], dy[MAX_VALUES];
    nn_trainer *trainer = make_trainer(model, &c->how);
    nn_data batch = make_data(c->x.value, c->target.value, c->rows, c->inputs, nn_outputs(model));
    const nn_real *forward;
    nn_real loss = (nn_real)NAN;
    double losses[16];
    int i;

    fill_nan(y, MAX_VALUES);
    fill_nan(dx, MAX_VALUES);
    CHECK(nn_predict(model, c->x.value, c->rows, y, NULL) == NN_OK);
    check_reals("nn_predict", y, c->y.value, c->y.count);
    CHECK(nn_accumulate(trainer, &batch, &loss) == NN_OK);
    losses[0] = (double)loss;
    check_doubles("loss", losses, &c->value, 1);
    check_image_layers(model, c->count, nn_gradients(trainer), c->gradients.value);
    CHECK(nn_clear_gradients(trainer) == NN_OK);
    for (i = 0; i < c->target.count; i++) dy[i] = c->target.value[i] / 2 + (nn_real)0.25;
    CHECK(nn_forward(trainer, c->x.value, c->rows, &forward) == NN_OK);
    check_reals("nn_forward", forward, c->y.value, c->y.count);
    CHECK(nn_backward(trainer, dy, dx) == NN_OK);
    check_reals("dx", dx, c->step_dx.value, c->step_dx.count);
    check_image_layers(model, c->count, nn_gradients(trainer), c->step_gradients.value);
    CHECK(nn_clear_gradients(trainer) == NN_OK);
    for (i = 0; i < c->losses.count && i < COUNT_OF(losses); i++) {
        CHECK(nn_train_batch(trainer, c->x.value, c->target.value, c->rows, &loss) == NN_OK);
        losses[i] = (double)loss;
    }
    check_doubles("losses", losses, c->losses.value, c->losses.count);
    check_reals("parameters", nn_parameters(model), c->after.value, c->after.count);
    nn_trainer_free(trainer);
}

/* A kernel in another order, padding on the wrong side, a stride that begins elsewhere, an image
   that is flattened channels first, a mean over the wrong count. */
static void test_images(void)
{
    static image_case c;
    reader in;

    now = "images";
    open_golden(&in, now);
    for (now_case = 0; !in.bad && now_case < in.cases; now_case++) {
        nn_model *model = NULL;
        read_image_case(&in, &c);
        if (in.bad || !CHECK(nn_model_create(&model, c.inputs, c.layers, c.count, 1) == NN_OK))
            break;
        CHECK(c.x.count == c.rows * c.inputs && c.y.count == c.rows * nn_outputs(model));
        CHECK(c.y.count == c.target.count && c.step_dx.count == c.x.count);
        if (CHECK(nn_parameter_count(model) == (size_t)c.parameters.count &&
                  c.gradients.count == c.parameters.count && c.after.count == c.parameters.count)) {
            memcpy(nn_parameters(model), c.parameters.value,
                   (size_t)c.parameters.count * sizeof(nn_real));
            check_image_case(&c, model);
        }
        nn_model_free(model);
    }
    CHECK(now_case == in.cases && now_case > 0);
    close_golden(&in);
}

int main(void)
{
    RUN(test_problems);
    if (!test_failed) {
        RUN(test_outputs);
        RUN(test_losses);
        RUN(test_steps);
        RUN(test_rates);
        RUN(test_images);
    }
    return test_done();
}
