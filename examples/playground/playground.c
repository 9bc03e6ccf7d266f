/* The engine of the playground, a page on which one sees networks learn. This file is compiled
   twice. As WebAssembly it is inside the page. As a program it trains what a link of the page
   names, and prints the hash of the weights: the one that the page shows, to the last bit.

       make playground                                    needs Debian's clang, lld, wasi-libc and
                                                          libclang-rt-14-dev-wasm32
       build/playground_native data=spirals,epochs=50
       build/playground_native data=csv,target=3,epochs=50 examples/data/iris2.csv
       build/playground_native data=moons,epochs=50 --save moons.safetensors

   Settings are what follows # in the page's address: name=value, separated by commas. Those that
   are not given have the defaults of `fresh`, which are those of the page.

   WebAssembly has no fused multiply-add, so that both programs use nn.h's second arithmetic,
   NN_NO_FMA: multiply, then add, each rounded. All that comes before the weights is computed here
   from nn.h's own functions, too. No libm function takes part, and every product that is added to
   something goes through nn__fma or nn__rounded_product, which no compiler contracts. */

#undef NN_DOUBLE
#undef NN_USE_OPENBLAS
#undef NN_NO_FMA
#define NN_NO_FMA
#define NN_NO_STDIO
#define NN_NO_CONVOLUTION
#define NN_IMPLEMENTATION
#define NN_STATIC
#include "../../nn.h"

#include <stdlib.h>
#include <string.h>

/* How the page finds the functions. */
#ifdef __wasm__
#define EXPORT(name) __attribute__((export_name(#name)))
#else
#define EXPORT(name)
#endif

/* ---- Settings -------------------------------------------------------------------------------- */

enum { MAX_HIDDEN = 12, MAX_WIDTH = 512 };

typedef enum data_set {
    CIRCLES,
    XOR,
    SPIRALS,
    BLOBS,
    MOONS,
    CHECKERS,
    FIRST_SURFACE,
    PLANE = FIRST_SURFACE,
    SADDLE,
    HILLS,
    RIPPLE,
    CSV
} data_set;

typedef enum task { TASK_AUTO, TASK_CLASSES, TASK_NUMBERS } task;

enum { OPTIMIZER_SGD, OPTIMIZER_MOMENTUM, OPTIMIZER_ADAM, OPTIMIZER_RMSPROP };
enum { LOSS_AUTO, LOSS_CROSS_ENTROPY, LOSS_MSE, LOSS_MAE, LOSS_HUBER };

typedef struct settings {
    int data;         /* a data_set */
    int points;       /* of a data set that is made here */
    int classes;      /* of circles, spirals and blobs */
    double noise;     /* standard deviation, where the plane goes from -1 to 1 */
    int sample;       /* the seed of the points */
    int task;         /* of a table: classes or numbers as the target */
    int target;       /* of a table: its column, from 1; 0 is the last one */
    char ignore[120]; /* of a table: columns to leave out, from 1: "1,4" */
    double test;      /* the share of the rows that are not trained on */
    int hidden;       /* layers before the last one */
    int width[MAX_HIDDEN];
    int activation; /* of the hidden layers, an nn_activation */
    int loss, optimizer;
    double rate, decay, dropout;
    int batch;
    int seed;   /* of the weights, the order of the rows, the division of the rows, and dropout */
    int epochs; /* where the page pauses, and the program ends; 0: the page goes on */
    int across, up; /* the inputs that the plane shows, from 1; 0: see `axis`. No weight changes. */
} settings;

static settings fresh(void)
{
    settings s;

    memset(&s, 0, sizeof s);
    s.data = SPIRALS;
    s.points = 400;
    s.classes = 2;
    s.noise = 0.02;
    s.sample = s.seed = 1;
    s.test = 0.3;
    s.hidden = 2;
    s.width[0] = s.width[1] = 8;
    s.activation = NN_GELU;
    s.optimizer = OPTIMIZER_ADAM;
    s.rate = 0.01;
    s.batch = 16;
    return s;
}

/* The names of values, each list with a 0 at its end, in the order of the enums. */
static const char *const data_names[] = {"circles", "xor",      "spirals", "blobs",
                                         "moons",   "checkers", "plane",   "saddle",
                                         "hills",   "ripple",   "csv",     0};
static const char *const task_names[] = {"auto", "classes", "numbers", 0};
static const char *const activation_names[] = {
    "linear", "relu", "leaky_relu", "sigmoid",  "tanh", "softmax",
    "elu",    "silu", "gelu",       "softplus", 0};
static const char *const loss_names[] = {"auto", "cross_entropy", "mse", "mae", "huber", 0};
static const char *const optimizer_names[] = {"sgd", "momentum", "adam", "rmsprop", 0};

/* A setting: an int of [low, high], a double of [low, high], or one of the names. */
typedef struct setting {
    const char *name;
    size_t offset;
    const char *const *names;
    int is_double;
    double low, high;
} setting;

static const setting table[] = {
    {"data", offsetof(settings, data), data_names, 0, 0, 0},
    {"points", offsetof(settings, points), NULL, 0, 10, 20000},
    {"classes", offsetof(settings, classes), NULL, 0, 2, 8},
    {"noise", offsetof(settings, noise), NULL, 1, 0, 1},
    {"sample", offsetof(settings, sample), NULL, 0, 0, 999999999},
    {"task", offsetof(settings, task), task_names, 0, 0, 0},
    {"target", offsetof(settings, target), NULL, 0, 0, 10000},
    {"test", offsetof(settings, test), NULL, 1, 0, 0.9},
    {"activation", offsetof(settings, activation), activation_names, 0, 0, 0},
    {"loss", offsetof(settings, loss), loss_names, 0, 0, 0},
    {"optimizer", offsetof(settings, optimizer), optimizer_names, 0, 0, 0},
    {"rate", offsetof(settings, rate), NULL, 1, 1e-9, 1000},
    {"decay", offsetof(settings, decay), NULL, 1, 0, 10},
    {"dropout", offsetof(settings, dropout), NULL, 1, 0, 0.95},
    {"batch", offsetof(settings, batch), NULL, 0, 1, 20000},
    {"seed", offsetof(settings, seed), NULL, 0, 0, 999999999},
    {"epochs", offsetof(settings, epochs), NULL, 0, 0, 999999999},
    {"x", offsetof(settings, across), NULL, 0, 0, 100000},
    {"y", offsetof(settings, up), NULL, 0, 0, 100000},
};

/* What went wrong, for people. */
static char message[256];

/* Sets the message to the texts of a list that ends with NULL, cut to fit; returns 0. */
static int complain(const char *const *texts)
{
    size_t size = 0, length;

    for (; *texts; texts++) {
        length = strlen(*texts);
        if (length > sizeof message - 1 - size) length = sizeof message - 1 - size;
        memcpy(message + size, *texts, length);
        size += length;
    }
    message[size] = 0;
    return 0;
}

static int refuse(const char *what, const char *value)
{
    const char *texts[] = {what, NULL, NULL};

    texts[1] = value;
    return complain(texts);
}

static int has_failed(nn_status status)
{
    if (status != NN_OK) refuse(nn_status_text(status), NULL);
    return status != NN_OK;
}

/* Reads a decimal number of at most 15 digits, without an exponent: an integer below 2^53 divided
   by a power of ten, which is rounded once. */
static int read_number(const char *text, double *number)
{
    double digits = 0, power = 1;
    int count = 0, behind = 0;

    for (; (*text >= '0' && *text <= '9') || (*text == '.' && !behind); text++) {
        if (*text == '.') {
            behind = 1;
            continue;
        }
        digits = digits * 10 + (*text - '0'); /* exact */
        if (behind) power *= 10;
        count++;
    }
    *number = digits / power;
    return !*text && count > 0 && count <= 15;
}

/* Reads widths such as 8-8; "none" are no hidden layers. */
static int read_layers(settings *s, const char *text)
{
    s->hidden = 0;
    if (strcmp(text, "none") == 0) return 1;
    for (;; text++) {
        int width = 0;
        for (; *text >= '0' && *text <= '9' && width <= MAX_WIDTH; text++)
            width = 10 * width + (*text - '0');
        if (width < 1 || width > MAX_WIDTH || s->hidden == MAX_HIDDEN) return 0;
        s->width[s->hidden++] = width;
        if (*text != '-') return !*text;
    }
}

/* Reads columns such as 1-4. */
static int read_ignored(settings *s, const char *text)
{
    size_t i;

    if (strlen(text) >= sizeof s->ignore || text[strspn(text, "0123456789-")]) return 0;
    for (i = 0; text[i]; i++) {
        s->ignore[i] = text[i];
        if (text[i] == '-') s->ignore[i] = ',';
    }
    s->ignore[i] = 0;
    return 1;
}

static int read_value(settings *s, const setting *to, const char *value)
{
    char *field = (char *)s + to->offset;
    double number;
    int i;

    if (to->names) {
        for (i = 0; to->names[i] && strcmp(to->names[i], value) != 0; i++) {
        }
        if (!to->names[i]) return 0;
        number = i;
    } else if (!read_number(value, &number) || !(number >= to->low && number <= to->high)) {
        return 0;
    }
    if (to->is_double) {
        memcpy(field, &number, sizeof number);
    } else {
        i = (int)number;
        if (i != number) return 0;
        memcpy(field, &i, sizeof i);
    }
    return 1;
}

/* Reads the settings of a link. Returns 0 and sets the message when one is wrong. */
static int read_settings(settings *s, const char *text)
{
    char part[128], *value;
    size_t length, i;
    int good;

    *s = fresh();
    for (; *text; text += length + (text[length] == ',')) {
        length = strcspn(text, ",");
        if (length >= sizeof part) return refuse("this setting is too long: ", text);
        memcpy(part, text, length);
        part[length] = 0;
        if (!length) continue;
        value = strchr(part, '=');
        if (!value) return refuse("this setting has no value: ", part);
        *value++ = 0;
        for (i = 0; i < sizeof table / sizeof *table && strcmp(table[i].name, part) != 0;) i++;
        if (i < sizeof table / sizeof *table)
            good = read_value(s, &table[i], value);
        else if (strcmp(part, "layers") == 0)
            good = read_layers(s, value);
        else if (strcmp(part, "ignore") == 0)
            good = read_ignored(s, value);
        else
            return refuse("there is no setting ", part);
        if (good) continue;
        value[-1] = '=';
        return refuse("this setting is not possible: ", part);
    }
    if (s->activation == NN_SOFTMAX) return refuse("softmax is for the last layer only", NULL);
    return 1;
}

/* ---- Data sets ------------------------------------------------------------------------------- */

/* The cosine and sine of an angle in turns, >= 0. */
static nn_real cosine(nn_real turns)
{
    nn_real half_turns = 2 * turns; /* exact, as the differences are */

    while (half_turns >= 2) half_turns -= 2;
    return nn__cosine_of_pi(half_turns > 1 ? 2 - half_turns : half_turns);
}

static nn_real sine(nn_real turns)
{
    return cosine(turns + (nn_real)0.75);
}

/* About a normal distribution, of deviation 1: the sum of twelve uniform numbers (Irwin, Hall). */
static nn_real normal(uint64_t *state)
{
    nn_real sum = -6;
    int i;

    for (i = 0; i < 12; i++) sum += nn__uniform(state);
    return sum;
}

/* A uniform number in [low, high). */
static nn_real between(nn_real low, nn_real high, uint64_t *state)
{
    return nn__fma(high - low, nn__uniform(state), low);
}

/* A point of class k of `classes` in about [-1, 1] x [-1, 1], without noise. */
static void place_in_class(const settings *s, int k, uint64_t *state, nn_real *x)
{
    const nn_real share = (nn_real)k / (nn_real)s->classes;
    nn_real radius, turns;

    switch (s->data) {
    case CIRCLES: /* a disc, and rings around it */
        radius = k ? between(0, (nn_real)0.6, state) : (nn_real)0.6 * nn__uniform(state);
        radius = ((nn_real)k + radius) / ((nn_real)s->classes - (nn_real)0.4);
        turns = nn__uniform(state);
        x[0] = radius * cosine(turns);
        x[1] = radius * sine(turns);
        break;
    case SPIRALS: /* arms of one turn and a half */
        radius = between((nn_real)0.05, 1, state);
        turns = nn__fma((nn_real)1.5, radius, share);
        x[0] = radius * cosine(turns);
        x[1] = radius * sine(turns);
        break;
    case BLOBS: /* clouds on a circle */
        turns = share + (nn_real)0.125;
        x[0] = nn__fma((nn_real)0.13, normal(state), (nn_real)0.62 * cosine(turns));
        x[1] = nn__fma((nn_real)0.13, normal(state), (nn_real)0.62 * sine(turns));
        break;
    default: /* MOONS: two half circles, each around the other one's end */
        turns = (nn_real)0.5 * nn__uniform(state);
        x[0] = (nn_real)0.6 * cosine(turns);
        x[1] = nn__fma((nn_real)0.6, sine(turns), (nn_real)-0.15);
        x[0] = k ? (nn_real)0.3 - x[0] : x[0] - (nn_real)0.3;
        if (k) x[1] = -x[1];
        break;
    }
}

/* A point of the square, a little away from the borders of its classes; returns its class. */
static int place_in_square(const settings *s, uint64_t *state, nn_real *x)
{
    const int cells = s->data == XOR ? 2 : 4;
    int i, sum = 0;

    for (i = 0; i < 2; i++) {
        int cell = (int)(nn__random(state) >> 8) % cells;
        nn_real within = between((nn_real)0.04, (nn_real)0.96, state);
        x[i] = nn__fma(2 / (nn_real)cells, (nn_real)cell + within, -1);
        sum += cell;
    }
    return sum % 2;
}

/* One of the hills: exp(-8 ((x - across)^2 + (y - up)^2)). */
static nn_real hill(const nn_real *x, nn_real across, nn_real up)
{
    const nn_real dx = x[0] - across, dy = x[1] - up;

    return nn__exp(-8 * nn__fma(dx, dx, nn__rounded_product(dy, dy)));
}

/* The height of a surface above x, within [-1, 1]. */
static nn_real surface(const settings *s, const nn_real *x)
{
    nn_real squares;

    switch (s->data) {
    case PLANE: return (x[0] + x[1]) / 2;
    case SADDLE: return x[0] * x[1];
    case HILLS:
        return hill(x, (nn_real)-0.5, (nn_real)0.5) + hill(x, (nn_real)0.5, (nn_real)-0.5) -
               hill(x, (nn_real)0.5, (nn_real)0.5) - hill(x, (nn_real)-0.5, (nn_real)-0.5);
    default: /* RIPPLE: a wave around the middle */
        squares = nn__fma(x[0], x[0], nn__rounded_product(x[1], x[1]));
        return cosine(NN_SQRT(squares));
    }
}

/* The block of a data set that is made here. */
typedef struct points {
    nn_real *x, *y;
    int *labels;
} points;

/* Which classes a data set has, if it lets one choose. */
static int classes_of(const settings *s)
{
    if (s->data >= FIRST_SURFACE) return 0;
    return s->data == CIRCLES || s->data == SPIRALS || s->data == BLOBS ? s->classes : 2;
}

static int make_points(nn_data *data, const settings *given)
{
    settings s = *given;
    const nn_real noise = (nn_real)s.noise;
    uint64_t state = nn__random_start((uint64_t)s.sample);
    size_t rows = (size_t)s.points;
    points p;
    int i, k;

    memset(data, 0, sizeof *data);
    p.x = (nn_real *)malloc(rows * (3 * sizeof(nn_real) + sizeof(int)));
    if (!p.x) return refuse("out of memory", NULL);
    p.y = p.x + 2 * rows;
    p.labels = (int *)(void *)(p.y + rows);
    s.classes = classes_of(&s);
    for (i = 0; i < s.points; i++) {
        nn_real *x = p.x + 2 * i;
        if (s.data == XOR || s.data == CHECKERS) {
            p.labels[i] = place_in_square(&s, &state, x);
        } else if (s.classes) {
            p.labels[i] = i % s.classes;
            place_in_class(&s, p.labels[i], &state, x);
        } else {
            for (k = 0; k < 2; k++) x[k] = between(-1, 1, &state);
            p.y[i] = nn__fma(noise, normal(&state), surface(&s, x));
        }
        for (k = 0; k < 2 && s.classes; k++) x[k] = nn__fma(noise, normal(&state), x[k]);
    }
    data->rows = s.points;
    data->inputs = 2;
    data->classes = s.classes;
    data->outputs = s.classes > 2 ? s.classes : 1;
    data->x = p.x;
    data->y = s.classes ? NULL : p.y;
    data->labels = s.classes ? p.labels : NULL;
    return 1;
}

/* ---- Tables ---------------------------------------------------------------------------------- */

/* Appends a count to a text that has room for it. */
static void put_count(char *text, long count)
{
    char digits[24];
    int n = 0;

    text += strlen(text);
    do digits[n++] = (char)('0' + count % 10);
    while (count /= 10);
    while (n) *text++ = digits[--n];
    *text = 0;
}

/* Whether the target is a class, though its cells are numbers: a few different whole numbers. */
static int looks_like_classes(const nn_data *data)
{
    nn_real found[10];
    int i, k, count = 0;

    for (i = 0; i < data->rows; i++) {
        const nn_real y = data->y[i];
        if (!(y >= -1000 && y <= 1000) || (nn_real)(int)y != y) return 0;
        for (k = 0; k < count && found[k] != y; k++) {
        }
        if (k < count) continue;
        if (count == 10) return 0;
        found[count++] = y;
    }
    return count > 1;
}

/* Reads a table. Without a choice of the task, the target decides. The delimiter is a comma, or a
   semicolon or tab where the first line has more of these. */
static int read_table(nn_data *data, const settings *s, const char *text, size_t length)
{
    char column[24] = "";
    size_t i, count[3] = {0, 0, 0};
    nn_location where;
    nn_csv_options read;
    nn_status status;

    memset(&read, 0, sizeof read);
    memset(&where, 0, sizeof where);
    for (i = 0; i < length && text[i] != '\n' && text[i] != '\r'; i++) {
        count[0] += text[i] == ',';
        count[1] += text[i] == ';';
        count[2] += text[i] == '\t';
    }
    if (count[1] > count[0]) read.delimiter = ';';
    if (count[2] > count[0] && count[2] > count[1]) read.delimiter = '\t';
    if (s->target) {
        put_count(column, s->target);
        read.target = column;
    }
    if (*s->ignore) read.ignore = s->ignore;
    read.text_columns = read.impute = read.drop_bad_rows = 1;
    read.labels = s->task == TASK_CLASSES;
    read.location = &where;
    status = nn_parse_csv(data, text, length, &read);
    if (status == NN_OK && s->task == TASK_AUTO && !data->classes && looks_like_classes(data)) {
        nn_data_free(data);
        read.labels = 1;
        status = nn_parse_csv(data, text, length, &read);
    }
    if (status != NN_OK) {
        char place[80] = "line ";
        const char *texts[] = {place, ": ", NULL, NULL};
        put_count(place, where.line);
        if (where.column) {
            strcat(place, ", column ");
            put_count(place, where.column);
        }
        texts[2] = nn_status_text(status);
        return complain(where.line ? texts : texts + 2);
    }
    if (s->task == TASK_NUMBERS && data->classes) {
        nn_data_free(data);
        return refuse("the target is text: it can only be a class", NULL);
    }
    return 1;
}

/* ---- The playground -------------------------------------------------------------------------- */

/* Everything that a page shows. There is one in each worker. */
typedef struct playground {
    settings set;
    nn_data data, train, test;
    nn_model *model;
    nn_trainer *trainer;
    nn_options how, measured;
    nn_real *mean, *low, *high; /* [inputs] of all rows */
    int epoch, left;            /* complete epochs; batches that may still be trained now */
    int diverged;
    nn_real *plane; /* the inputs of a picture, then what the layers make of them */
    size_t plane_size;
    char *text; /* the settings or the table that the page sends, or the file that it receives */
    size_t text_size;
} playground;

static playground self;

static void stop(void)
{
    nn_trainer_free(self.trainer);
    nn_model_free(self.model);
    nn_data_free(&self.train);
    nn_data_free(&self.test);
    if (self.set.data != CSV) free((void *)self.data.x);
    nn_data_free(&self.data);
    free(self.mean);
    self.trainer = NULL;
    self.model = NULL;
    self.mean = NULL;
    memset(&self.data, 0, sizeof self.data);
    self.epoch = self.diverged = 0;
}

/* Called after each batch and after each epoch. Training pauses at the end of an epoch, and when
   as many batches are done as were asked for. */
static int count_batch(const nn_progress *progress, void *user)
{
    (void)user;
    if (!progress->batch) {
        self.epoch = progress->epoch;
        return 1;
    }
    return --self.left <= 0;
}

static nn_loss chosen_loss(void)
{
    switch (self.set.loss) {
    case LOSS_MSE: return NN_MSE;
    case LOSS_MAE: return NN_MAE;
    case LOSS_HUBER: return NN_HUBER;
    default: break;
    }
    if (!self.data.classes) return NN_MSE;
    return self.data.outputs == 1 ? NN_BINARY_CROSS_ENTROPY : NN_CROSS_ENTROPY;
}

static void fill_options(void)
{
    static nn_real dropout[MAX_HIDDEN + 1];
    nn_options *how = &self.how;
    int i;

    memset(how, 0, sizeof *how);
    how->epochs = 1000000000;
    how->loss = chosen_loss();
    how->optimizer = self.set.optimizer == OPTIMIZER_ADAM      ? NN_ADAM
                     : self.set.optimizer == OPTIMIZER_RMSPROP ? NN_RMSPROP
                                                               : NN_SGD;
    if (self.set.optimizer == OPTIMIZER_MOMENTUM) how->momentum = (nn_real)0.9;
    how->learning_rate = (nn_real)self.set.rate;
    how->weight_decay = (nn_real)self.set.decay;
    how->batch_size = self.set.batch < self.train.rows ? self.set.batch : self.train.rows;
    for (i = 0; i <= self.set.hidden; i++)
        dropout[i] = i < self.set.hidden ? (nn_real)self.set.dropout : 0;
    if (self.set.dropout > 0 && self.set.hidden > 0) how->dropout = dropout;
    how->scaling = NN_SCALE_STANDARD;
    if (!self.data.classes) how->target_scaling = NN_SCALE_STANDARD;
    how->seed = (uint64_t)self.set.seed;
    how->callback = count_batch;
    how->callback_batches = 1;
    memset(&self.measured, 0, sizeof self.measured);
    self.measured.loss = how->loss;
}

static int make_model(void)
{
    nn_layer layers[MAX_HIDDEN + 1];
    int i;

    memset(layers, 0, sizeof layers);
    for (i = 0; i <= self.set.hidden; i++) {
        layers[i].kind = NN_LAYER_DENSE;
        layers[i].width = i < self.set.hidden ? self.set.width[i] : self.data.outputs;
        layers[i].activation = i < self.set.hidden     ? (nn_activation)self.set.activation
                               : !self.data.classes    ? NN_LINEAR
                               : self.data.outputs > 1 ? NN_SOFTMAX
                                                       : NN_SIGMOID;
    }
    if (has_failed(nn_model_create(&self.model, self.data.inputs, layers, self.set.hidden + 1,
                                   (uint64_t)self.set.seed)))
        return 0;
    /* The page shows the net before it has learned anything. nn_trainer_fit would compute the same
       scaling. */
    if (has_failed(nn_fit_scaling(self.model, &self.train, NN_SCALE_STANDARD))) return 0;
    if (!self.data.classes &&
        has_failed(nn_fit_target_scaling(self.model, &self.train, NN_SCALE_STANDARD)))
        return 0;
    return !has_failed(nn_trainer_create(&self.trainer, self.model, &self.how));
}

/* The mean and the range of each input: for the plane that the page shows. */
static int measure_inputs(void)
{
    const size_t inputs = (size_t)self.data.inputs;
    size_t i, row;

    self.mean = (nn_real *)calloc(3 * inputs, sizeof(nn_real));
    if (!self.mean) return refuse("out of memory", NULL);
    self.low = self.mean + inputs;
    self.high = self.low + inputs;
    for (i = 0; i < inputs; i++) {
        double sum = 0;
        self.low[i] = self.high[i] = self.data.x[i];
        for (row = 0; row < (size_t)self.data.rows; row++) {
            const nn_real x = self.data.x[row * inputs + i];
            if (x < self.low[i]) self.low[i] = x;
            if (x > self.high[i]) self.high[i] = x;
            sum += (double)x;
        }
        self.mean[i] = (nn_real)(sum / self.data.rows);
    }
    return 1;
}

static int divide_rows(void)
{
    if (self.set.test > 0)
        return !has_failed(nn_split(&self.data, 1 - (nn_real)self.set.test, (uint64_t)self.set.seed,
                                    &self.train, &self.test));
    self.train = self.data;
    self.train.memory = NULL; /* self.data's */
    return 1;
}

/* Starts again with settings and, for data=csv, the text of a table. Returns 1, or 0 and a
   message. */
static int start(const char *text, const char *csv, size_t length)
{
    settings set;

    if (!read_settings(&set, text)) return 0;
    if (set.data == CSV && !csv) return refuse("data=csv needs a table", NULL);
    stop();
    self.set = set;
    if (!(set.data == CSV ? read_table(&self.data, &set, csv, length)
                          : make_points(&self.data, &set)))
        return 0;
    if (set.loss == LOSS_CROSS_ENTROPY && !self.data.classes)
        return refuse("cross-entropy is for classes", NULL);
    if (!divide_rows()) return 0;
    fill_options();
    return make_model() && measure_inputs();
}

/* Trains until an epoch ends, at most so many batches. Returns 1, or 0 and a message. */
static int train(int batches)
{
    nn_status status;

    if (self.diverged || !self.trainer) return 0;
    self.left = batches;
    status = nn_trainer_fit(self.trainer, &self.train);
    self.diverged = has_failed(status);
    return !self.diverged;
}

/* 64-bit FNV-1a (Fowler, Noll and Vo) of the parameters as little-endian floats, as `nn info` has
   it; in hexadecimal. */
static const char *hash_text(void)
{
    static char text[17];
    const nn_real *parameters = nn_parameters(self.model);
    const size_t count = nn_parameter_count(self.model);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    size_t i;
    int k;

    for (i = 0; i < count; i++) {
        const uint32_t bits = nn__to_bits(parameters[i]);
        for (k = 0; k < 32; k += 8) hash = (hash ^ (bits >> k & 255)) * UINT64_C(0x100000001b3);
    }
    for (k = 0; k < 16; k++) text[k] = "0123456789abcdef"[hash >> (60 - 4 * k) & 15];
    return text;
}

#ifdef __wasm__

/* ---- What the page calls --------------------------------------------------------------------- */

/* Memory for a text of the page, and for the 0 behind it: valid until the next call. */
EXPORT(text) char *get_text(size_t size)
{
    free(self.text);
    self.text = (char *)malloc(size + 1);
    self.text_size = size;
    if (self.text) self.text[size] = 0;
    return self.text;
}

/* The settings are the first `settings_size` bytes of the text; behind them and a 0 is the table,
   if there is one. */
EXPORT(start) int export_start(size_t settings_size)
{
    const size_t begin = settings_size + 1;

    self.text[settings_size] = 0;
    return self.text_size > begin ? start(self.text, self.text + begin, self.text_size - begin)
                                  : start(self.text, NULL, 0);
}

EXPORT(train) int export_train(int batches)
{
    return train(batches);
}

EXPORT(message) const char *export_message(void)
{
    return message;
}

EXPORT(hash) const char *export_hash(void)
{
    return hash_text();
}

/* The numbers that describe what was started, in the order of the page's `describe`. */
EXPORT(facts) const double *export_facts(void)
{
    static double facts[12];

    facts[0] = self.data.inputs;
    facts[1] = self.data.outputs;
    facts[2] = self.data.classes;
    facts[3] = self.train.rows;
    facts[4] = self.test.rows;
    facts[5] = self.data.dropped;
    facts[6] = self.data.imputed;
    facts[7] = (self.train.rows - 1) / self.how.batch_size + 1;
    facts[8] = (double)nn_parameter_count(self.model);
    facts[9] = self.how.loss;
    return facts;
}

/* Epoch, training loss and score, test loss and score. The score is the accuracy, or R2. */
EXPORT(measure) const double *export_measure(void)
{
    static double results[5];
    nn_metrics m;

    results[0] = self.epoch;
    results[1] = results[2] = results[3] = results[4] = (double)NN__NAN;
    if (nn_evaluate(self.model, &self.train, &self.measured, &m) == NN_OK) {
        results[1] = (double)m.loss;
        results[2] = (double)(self.data.classes ? m.accuracy : m.r2);
    }
    if (self.test.rows && nn_evaluate(self.model, &self.test, &self.measured, &m) == NN_OK) {
        results[3] = (double)m.loss;
        results[4] = (double)(self.data.classes ? m.accuracy : m.r2);
    }
    return results;
}

EXPORT(epoch) int export_epoch(void)
{
    return self.epoch;
}

EXPORT(parameters) const nn_real *export_parameters(void)
{
    return nn_parameters(self.model);
}

EXPORT(input_name) const char *export_input_name(int i)
{
    return self.data.input_names ? self.data.input_names[i] : NULL;
}

EXPORT(class_name) const char *export_class_name(int k)
{
    return self.data.class_names ? self.data.class_names[k] : NULL;
}

/* The inputs that the plane shows at first, from 0: the first and the second one (n is 0 or 1) that
   have more than two values, if there are any. Categories have two. */
EXPORT(axis) int export_axis(int n)
{
    const size_t inputs = (size_t)self.data.inputs;
    int i, row, found = 0;

    for (i = 0; i < self.data.inputs; i++) {
        for (row = 0; row < self.data.rows; row++) {
            const nn_real x = self.data.x[(size_t)row * inputs + (size_t)i];
            if (x != self.low[i] && x != self.high[i]) break;
        }
        if (row < self.data.rows && found++ == n) return i;
    }
    return n < self.data.inputs ? n : 0;
}

/* The range of an input: its lowest value, its highest one, its mean. */
EXPORT(range) const double *export_range(int i)
{
    static double range[3];

    range[0] = (double)self.low[i];
    range[1] = (double)self.high[i];
    range[2] = (double)self.mean[i];
    return range;
}

/* The rows, of training and then of the test: two inputs and the target. */
EXPORT(points) const nn_real *export_points(int across, int up)
{
    const nn_data *parts[2];
    const size_t inputs = (size_t)self.data.inputs;
    nn_real *at;
    int part, i;

    parts[0] = &self.train;
    parts[1] = &self.test;
    if (!get_text((size_t)self.data.rows * 3 * sizeof(nn_real))) return NULL;
    at = (nn_real *)(void *)self.text;
    for (part = 0; part < 2; part++) {
        for (i = 0; i < parts[part]->rows; i++) {
            const nn_real *x = parts[part]->x + (size_t)i * inputs;
            *at++ = x[across];
            *at++ = x[up];
            *at++ = parts[part]->labels ? (nn_real)parts[part]->labels[i] : parts[part]->y[i];
        }
    }
    return (nn_real *)(void *)self.text;
}

/* Room for so many numbers, used by one picture at a time. */
static nn_real *reserve(size_t count)
{
    if (count > self.plane_size) {
        free(self.plane);
        self.plane = (nn_real *)malloc(count * sizeof(nn_real));
        self.plane_size = self.plane ? count : 0;
    }
    return self.plane;
}

/* The window of a picture: two inputs and what they are at its edges; all others are their mean. */
typedef struct window {
    int across, up;
    double left, right, bottom, top;
} window;

static window view;

EXPORT(look_at)
void export_look_at(int across, int up, double left, double right, double bottom, double top)
{
    view.across = across;
    view.up = up;
    view.left = left;
    view.right = right;
    view.bottom = bottom;
    view.top = top;
}

/* x[side * side x inputs]: the middles of the window's cells, line by line from the top. */
static void fill_plane(nn_real *x, int side)
{
    const size_t inputs = (size_t)self.data.inputs;
    int row, column;

    for (row = 0; row < side; row++) {
        for (column = 0; column < side; column++, x += inputs) {
            memcpy(x, self.mean, inputs * sizeof *x);
            x[view.up] = (nn_real)(view.top - (view.top - view.bottom) * (row + 0.5) / side);
            x[view.across] =
                (nn_real)(view.left + (view.right - view.left) * (column + 0.5) / side);
        }
    }
}

/* The outputs [side * side x outputs] in the window, or NULL. */
EXPORT(plane) const nn_real *export_plane(int side)
{
    const size_t cells = (size_t)side * (size_t)side, inputs = (size_t)self.data.inputs;
    nn_real *x = reserve(cells * (inputs + (size_t)self.data.outputs));

    if (!x) return NULL;
    fill_plane(x, side);
    if (has_failed(nn_predict(self.model, x, side * side, x + cells * inputs, NULL))) return NULL;
    return x + cells * inputs;
}

/* One layer of the model as a model of its own, which shares nothing with it. */
static nn_status copy_layer(nn_model **copy, int layer)
{
    nn_layer_arrays from, to;
    nn_shape shape;
    nn_layer one[1];
    nn_status status;

    status = nn_get_shape(self.model, &shape);
    if (status == NN_OK) status = nn_layer_parameters(self.model, layer, &from);
    if (status != NN_OK) return status;
    one[0] = shape.layers[layer];
    status = nn_model_create(copy, from.inputs, one, 1, 0);
    if (status != NN_OK) return status;
    if (!layer) status = nn_fit_scaling(*copy, &self.train, NN_SCALE_STANDARD);
    if (status == NN_OK) status = nn_layer_parameters(*copy, 0, &to);
    if (status != NN_OK) {
        nn_model_free(*copy);
        return status;
    }
    memcpy(to.weights, from.weights, sizeof(nn_real) * (size_t)from.inputs * (size_t)from.outputs);
    memcpy(to.biases, from.biases, sizeof(nn_real) * (size_t)from.outputs);
    return NN_OK;
}

/* The outputs of all hidden units in the window: [layers x side * side x width], or NULL. Each
   layer takes what the one before it has made. */
EXPORT(units) const nn_real *export_units(int side)
{
    const size_t cells = (size_t)side * (size_t)side;
    size_t count = (size_t)self.data.inputs;
    nn_real *x, *y;
    nn_model *layer;
    nn_status status;
    int i;

    for (i = 0; i < self.set.hidden; i++) count += (size_t)self.set.width[i];
    x = reserve(cells * count);
    if (!x) return NULL;
    fill_plane(x, side);
    y = x + cells * (size_t)self.data.inputs;
    for (i = 0; i < self.set.hidden; i++) {
        if (has_failed(copy_layer(&layer, i))) return NULL;
        status = nn_predict(layer, x, (int)cells, y, NULL);
        nn_model_free(layer);
        if (has_failed(status)) return NULL;
        x = y;
        y += cells * (size_t)self.set.width[i];
    }
    return self.plane + cells * (size_t)self.data.inputs;
}

/* The files of the model: 0 safetensors, 1 C source, 2 ONNX. Returns the size, and the bytes are
   what `saved` points to; 0 after a failure. */
EXPORT(save) size_t export_save(int kind)
{
    size_t size = 0;
    int pass;

    for (pass = 0; pass < 2; pass++) {
        char *to = pass ? get_text(size) : NULL;
        nn_status status = kind == 0   ? nn_save_memory(self.model, to, size, &size)
                           : kind == 1 ? nn_export_c_memory(self.model, NULL, to, size, &size)
                                       : nn_export_onnx_memory(self.model, to, size, &size);
        if (pass && !to) return 0;
        if (status != NN_OK && !(status == NN_ERROR_BLOCK && !pass) && has_failed(status)) return 0;
    }
    return size;
}

EXPORT(saved) const char *export_saved(void)
{
    return self.text;
}

#else

/* ---- The program ----------------------------------------------------------------------------- */

#include <stdio.h>

static int fail(const char *about)
{
    fprintf(stderr, "playground_native: %s%s%s\n", about, *about ? ": " : "", message);
    return 1;
}

/* Reads a whole file; the caller frees it. */
static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    char *bytes = NULL, *larger;
    size_t capacity = 0, got;

    *size = 0;
    if (!file) return NULL;
    do {
        capacity = 2 * capacity + 65536;
        larger = (char *)realloc(bytes, capacity);
        if (!larger) break;
        bytes = larger;
        got = fread(bytes + *size, 1, capacity - *size, file);
        *size += got;
    } while (*size == capacity);
    if (!larger || ferror(file)) {
        free(bytes);
        bytes = NULL;
    }
    (void)fclose(file); /* it was only read */
    return bytes;
}

/* Writes the model as the page's button does. */
static int save(const char *path)
{
    size_t size = 0;
    char *bytes;
    FILE *file;
    int written;

    if (has_failed(nn_save_memory(self.model, NULL, 0, &size))) return 0;
    bytes = (char *)malloc(size);
    if (!bytes) return refuse("out of memory", NULL);
    if (has_failed(nn_save_memory(self.model, bytes, size, &size))) {
        free(bytes);
        return 0;
    }
    file = fopen(path, "wb");
    written = file && fwrite(bytes, 1, size, file) == size;
    if (file && fclose(file) != 0) written = 0;
    free(bytes);
    return written || refuse("cannot write this file", NULL);
}

static void print_part(const char *name, const nn_data *data)
{
    nn_metrics m;

    if (!data->rows || nn_evaluate(self.model, data, &self.measured, &m) != NN_OK) return;
    printf("%-8s %d rows, loss %.6g, %s %.4f\n", name, data->rows, (double)m.loss,
           data->classes ? "accuracy" : "R2", (double)(data->classes ? m.accuracy : m.r2));
}

int main(int argc, char **argv)
{
    const char *path = NULL, *to = NULL, *link = "";
    char *csv = NULL;
    size_t size = 0;
    int i, given = 0, status;

    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--save") == 0 && i + 1 < argc)
            to = argv[++i];
        else if (given++ == 0)
            link = argv[i][0] == '#' ? argv[i] + 1 : argv[i];
        else
            path = argv[i];
    }
    if (given < 1 || given > 2) {
        fprintf(stderr, "usage: playground_native SETTINGS [TABLE.csv] [--save FILE]\n");
        return 2;
    }
    if (path && !(csv = read_file(path, &size))) {
        refuse("cannot read this file", NULL);
        return fail(path);
    }
    status = start(link, csv, size) ? 0 : fail(link);
    while (!status && self.epoch < self.set.epochs)
        if (!train(1000000000)) status = fail("training");
    if (!status) {
        print_part("training", &self.train);
        print_part("test", &self.test);
        printf("epoch    %d\nhash     %s\n", self.epoch, hash_text());
        if (to && !save(to)) status = fail(to);
    }
    stop();
    free(csv);
    return status;
}

#endif
