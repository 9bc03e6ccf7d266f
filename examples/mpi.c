/* Trains one network in many processes with MPI. On 1, 2, 4 or 8 processes it gives the same
   weights, to the last bit, and so does the program without MPI, which is one process.

       mpicc -O2 -I. examples/mpi.c -o mpi -lm && mpirun -n 4 ./mpi
       cc -DNO_MPI -O2 -I. examples/mpi.c -o mpi_alone -lm && ./mpi_alone

   Run it from the top folder of the repository: without a FOLDER it takes
   examples/data/digits.csv, with one the four files of MNIST. `./mpi --help` lists the options.

   SHARDS. Each batch is divided into S shards. S is a power of two that the user chooses
   (--shards), and does not depend on the number of processes. nn_shard_gradient gives the part of
   each shard in the gradient of the batch's mean loss. The S parts are added in one binary tree:

       ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7))        for 8 shards

   P processes, a power of two and at most S, have S / P neighbouring shards each. A process adds
   these by itself. The levels above are exchanges between pairs of processes: see add_processes.
   Since a + b = b + a, both of a pair compute the same bits. With the sum, every process makes the
   same update.

   UNEVEN NUMBERS. Part i of n rows in S parts begins at row n i / S, rounded down. The parts differ
   by one row at most. Where there are fewer rows than parts, some parts have no rows; their
   gradients are 0. The last batch of an epoch has the rows that are left, and is divided likewise.

   AVERAGING. With --average K, each shard is a worker. It has its own part of the training rows,
   and only its weights leave it (McMahan et al. 2017, "Communication-efficient learning of deep
   networks from decentralized data"). All workers begin with the same weights. Each makes K updates
   with its own rows and a new optimizer. Then the weights of all are averaged in the same tree,
   each worker's times its share of the rows. An epoch has as many steps as without averaging. A
   worker divides its rows into as many parts; where a part has no rows, it makes no update. An
   average is taken at the end of an epoch, too.

   LOSS AND ACCURACY. The losses go through the same tree. For the test, the test rows are divided
   into S parts. Rows that are predicted correctly are counted, which has no rounding errors.

   CHECKPOINTS. Process 0 saves one after each epoch (--checkpoint FILE), and with --every N also
   after each N steps. Where there is a FILE when the program starts, process 0 reads it and sends
   its bytes to the others. All continue from there, to the same bits as without an interruption,
   also when there are more or fewer processes. If a process dies, MPI ends the others and says so.
*/

#ifndef NO_MPI
#include <mpi.h>
#endif

#define NN_IMPLEMENTATION
#include "../nn.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST_LAYERS 9    /* with the last one */
#define MOST_SHARDS 4096 /* 2^12 */
#define MOST_LEVELS 12

/* ---- Processes ------------------------------------------------------------------------------- */

static int process = 0, processes = 1; /* number of this one, from 0; how many there are */

#ifdef NO_MPI

static void start(int *argc, char ***argv)
{
    (void)argc, (void)argv;
}

static void finish(void)
{
}

static void abort_all(void)
{
}

static double seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* Sends numbers to another process and receives some from it, at the same time. */
static void exchange(int other, const nn_real *sent, size_t count, nn_real *received, size_t most)
{
    (void)other, (void)sent, (void)count, (void)received, (void)most;
}

/* Gives all processes the bytes of process 0. */
static void broadcast(void *bytes, size_t size)
{
    (void)bytes, (void)size;
}

/* Returns the sum of a count over all processes. */
static long long add_counts(long long count)
{
    return count;
}

#else

#ifdef NN_DOUBLE
#define MPI_REAL_TYPE MPI_DOUBLE
#else
#define MPI_REAL_TYPE MPI_FLOAT
#endif

static void start(int *argc, char ***argv)
{
    MPI_Init(argc, argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &process);
    MPI_Comm_size(MPI_COMM_WORLD, &processes);
}

static void finish(void)
{
    MPI_Finalize();
}

static void abort_all(void)
{
    MPI_Abort(MPI_COMM_WORLD, 1);
}

static double seconds(void)
{
    return MPI_Wtime();
}

static void exchange(int other, const nn_real *sent, size_t count, nn_real *received, size_t most)
{
    MPI_Sendrecv(sent, (int)count, MPI_REAL_TYPE, other, 0, received, (int)most, MPI_REAL_TYPE,
                 other, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

static void broadcast(void *bytes, size_t size)
{
    MPI_Bcast(bytes, (int)size, MPI_BYTE, 0, MPI_COMM_WORLD);
}

static long long add_counts(long long count)
{
    long long sum = 0;

    MPI_Allreduce(&count, &sum, 1, MPI_LONG_LONG, MPI_SUM, MPI_COMM_WORLD);
    return sum;
}

#endif

/* Ends all processes with a message. */
static void fail(const char *what, const char *why)
{
    fprintf(stderr, "mpi: process %d of %d: %s%s%s\n", process, processes, what, why ? ": " : "",
            why ? why : "");
    (void)fflush(stderr);
    abort_all();
    exit(1);
}

static void check(nn_status status, const char *what)
{
    if (status != NN_OK) fail(what, nn_status_text(status));
}

static void *allocate(size_t count, size_t size)
{
    void *memory = count < SIZE_MAX / size ? malloc(count * size + 1) : NULL;

    if (!memory) fail("out of memory", NULL);
    return memory;
}

/* ---- A run ----------------------------------------------------------------------------------- */

typedef struct run {
    /* Options. */
    int epochs, batch, shards;
    int average; /* steps between averages; 0: gradients are added in each step */
    int every;   /* steps between checkpoints; 0: only after epochs */
    int seed, adam, times;
    double rate, dropout, clip, decay;
    const char *folder, *checkpoint;
    int widths[MOST_LAYERS], layers;

    nn_data train, test;
    nn_options how;
    nn_real shares[MOST_LAYERS]; /* of dropout */
    nn_model *model;
    nn_trainer *trainer;
    int steps;          /* of an epoch */
    int epoch, step;    /* that are done; steps of this epoch */
    double loss;        /* sum over the rows of this epoch so far */
    size_t count;       /* numbers of a leaf of the tree: the parameters and a loss */
    int levels;         /* of the tree within this process, with the leaves */
    nn_real *sums;      /* [levels][count] */
    nn_real *received;  /* [count / 2 + 1] */
    nn_real *start;     /* [parameters] with averaging: the weights before the round */
    long long correct;  /* test rows that are right */
    int *order;         /* [rows] */
    nn_real *x;         /* rows that are computed, */
    int *labels;        /* and their classes */
    double exchanging;  /* seconds in this step */
    char settings[160]; /* what must be the same in all processes, and after a checkpoint */
} run;

/* Where part i of n rows begins when they are divided into `parts`; part `parts` begins at n. */
static int part_of(int n, int i, int parts)
{
    return (int)((int64_t)n * i / parts);
}

/* splitmix64 (Steele, Lea and Flood 2014) */
static uint64_t random_bits(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* A seed for worker w in step number `step` of the whole run. */
static uint64_t seed_of(const run *r, int64_t step, int w)
{
    uint64_t state = (uint64_t)r->seed;

    state = random_bits(&state) + (uint64_t)step;
    state = random_bits(&state) + (uint64_t)w;
    return random_bits(&state);
}

/* The rows first ... first + count - 1 in the random order of an epoch, which depends on nothing
   but the arguments: so no state of it need be saved. */
static void shuffle(const run *r, int first, int count, int worker)
{
    uint64_t state = seed_of(r, r->epoch, -1 - worker);
    int i;

    for (i = 0; i < count; i++) r->order[i] = first + i;
    for (i = count - 1; i > 0; i--) { /* Fisher and Yates */
        const int k = (int)((random_bits(&state) >> 32) * ((uint64_t)i + 1) >> 32);
        const int row = r->order[i];
        r->order[i] = r->order[k];
        r->order[k] = row;
    }
}

/* Copies the rows order[first ... first + count - 1] to where they can be computed. */
static nn_data gather(const run *r, int first, int count)
{
    const size_t inputs = (size_t)r->train.inputs;
    nn_data part = r->train;
    int b;

    for (b = 0; b < count; b++) {
        const int row = r->order[first + b];
        memcpy(r->x + (size_t)b * inputs, r->train.x + (size_t)row * inputs, inputs * sizeof *r->x);
        r->labels[b] = r->train.labels[row];
    }
    part.rows = count;
    part.x = r->x;
    part.labels = r->labels;
    return part;
}

/* ---- The tree -------------------------------------------------------------------------------- */

/* A leaf: what one shard adds to the sum, count numbers. */
typedef void (*leaf_function)(run *, int shard, nn_real *leaf);

/* The gradient of a shard of this step's batch, and its part of the batch's loss times the rows. */
static void gradient_leaf(run *r, int s, nn_real *leaf)
{
    const int first = r->step * r->batch, left = r->train.rows - first;
    const int rows = left < r->batch ? left : r->batch;
    const int from = part_of(rows, s, r->shards), to = part_of(rows, s + 1, r->shards);
    const nn_data part = gather(r, first + from, to - from);
    nn_shard shard;
    nn_real loss;

    memset(&shard, 0, sizeof shard);
    shard.batch_rows = rows;
    shard.first = from;
    check(nn_shard_gradient(r->trainer, &part, &shard, &loss), "training");
    memcpy(leaf, nn_gradients(r->trainer), (r->count - 1) * sizeof *leaf);
    leaf[r->count - 1] = loss * (nn_real)rows;
}

/* Where a round of averaging that begins at this step ends: it does not go beyond the epoch. */
static int end_of_round(const run *r)
{
    return r->average < r->steps - r->step ? r->step + r->average : r->steps;
}

/* The weights of a worker after its own updates, times its share of the rows; and its losses. */
static void weights_leaf(run *r, int w, nn_real *leaf)
{
    const int first = part_of(r->train.rows, w, r->shards);
    const int rows = part_of(r->train.rows, w + 1, r->shards) - first;
    const size_t count = r->count - 1;
    const nn_real share = (nn_real)rows / (nn_real)r->train.rows;
    nn_options how = r->how;
    nn_real losses = 0, loss;
    nn_trainer *trainer;
    size_t i;
    int t;

    memcpy(r->start, nn_parameters(r->model), count * sizeof *leaf);
    shuffle(r, first, rows, w);
    how.seed = seed_of(r, (int64_t)r->epoch * r->steps + r->step, w);
    check(nn_trainer_create(&trainer, r->model, &how), "training");
    for (t = r->step; t < end_of_round(r); t++) {
        const int from = part_of(rows, t, r->steps), to = part_of(rows, t + 1, r->steps);
        const nn_data part = gather(r, from, to - from);
        if (from == to) continue;
        check(nn_accumulate(trainer, &part, &loss), "training");
        check(nn_update(trainer), "training");
        losses += loss * (nn_real)(to - from);
    }
    nn_trainer_free(trainer);
    for (i = 0; i < count; i++) leaf[i] = share * nn_parameters(r->model)[i];
    leaf[count] = losses;
    memcpy(nn_parameters(r->model), r->start, count * sizeof *leaf);
}

/* The losses of a part of the test rows. Rows that are right are counted aside. */
static void test_leaf(run *r, int s, nn_real *leaf)
{
    const int from = part_of(r->test.rows, s, r->shards);
    nn_data part = r->test;
    nn_metrics metrics;

    *leaf = 0;
    part.rows = part_of(r->test.rows, s + 1, r->shards) - from;
    if (!part.rows) return;
    part.x += (size_t)from * (size_t)part.inputs;
    part.labels += from;
    check(nn_evaluate(r->model, &part, &r->how, &metrics), "testing");
    *leaf = metrics.loss * (nn_real)metrics.rows;
    r->correct += metrics.correct;
}

/* sum[count] becomes the sum of some leaves, a power of two: of the first half and of the second.
   The levels below are stored behind it. */
static void add_leaves(run *r, leaf_function make, int first, int leaves, nn_real *sum,
                       size_t count)
{
    const int half = leaves / 2;
    size_t i;

    if (leaves == 1) {
        make(r, first, sum);
        return;
    }
    add_leaves(r, make, first, half, sum, count);
    add_leaves(r, make, first + half, half, sum + count, count);
    for (i = 0; i < count; i++) sum[i] += sum[count + i];
}

/* The same over the processes, whose sums are the leaves: all get the sum. On the way up, the
   processes of a pair whose numbers differ in one bit, from the lowest one on, divide the numbers
   that both have: each keeps one half, sends the other one, and adds what it receives. So each
   number of the sum is made by one process, in the order of the tree. On the way down they give
   each other what they have. A process sends 2 (1 - 1 / P) count numbers in 2 log2 P messages
   (Rabenseifner 2004, "Optimization of collective reduction operations"). */
static void add_processes(const run *r, nn_real *sum, size_t count)
{
    size_t from[MOST_LEVELS + 1], to[MOST_LEVELS + 1], i;
    int bit, level = 0;

    from[0] = 0;
    to[0] = count;
    for (bit = 1; bit < processes; bit *= 2, level++) {
        const size_t begin = from[level], end = to[level], middle = begin + (end - begin) / 2;
        const int upper = (process & bit) != 0; /* this process keeps the upper half */

        from[level + 1] = upper ? middle : begin;
        to[level + 1] = upper ? end : middle;
        exchange(process ^ bit, sum + (upper ? begin : middle),
                 upper ? middle - begin : end - middle, r->received,
                 to[level + 1] - from[level + 1]);
        for (i = from[level + 1]; i < to[level + 1]; i++)
            sum[i] += r->received[i - from[level + 1]];
    }
    while (level-- > 0) {
        const size_t begin = from[level], end = to[level], middle = begin + (end - begin) / 2;
        const int upper = from[level + 1] != begin;

        bit /= 2;
        exchange(process ^ bit, sum + from[level + 1], to[level + 1] - from[level + 1],
                 sum + (upper ? begin : middle), upper ? middle - begin : end - middle);
    }
}

/* Returns the sum of all shards' leaves. */
static const nn_real *add_all(run *r, leaf_function make, size_t count)
{
    const int own = r->shards / processes;
    double begin;

    add_leaves(r, make, process * own, own, r->sums, count);
    begin = seconds();
    add_processes(r, r->sums, count);
    r->exchanging = seconds() - begin;
    return r->sums;
}

/* ---- Checkpoints ----------------------------------------------------------------------------- */

static void save(const run *r)
{
    char position[100];

    if (!r->checkpoint || process != 0) return;
    snprintf(position, sizeof position, "%d %d %a", r->epoch, r->step, r->loss);
    check(nn_set_metadata(r->model, "mpi.settings", r->settings), r->checkpoint);
    check(nn_set_metadata(r->model, "mpi.position", position), r->checkpoint);
    check(nn_save_checkpoint(r->trainer, r->checkpoint), r->checkpoint);
}

/* Returns the bytes of the checkpoint, or NULL when there is no such file. */
static unsigned char *read_checkpoint(const char *path, long *size)
{
    FILE *file = fopen(path, "rb");
    unsigned char *bytes;

    *size = -1;
    if (!file && errno == ENOENT) return NULL;
    if (!file || fseek(file, 0, SEEK_END) || (*size = ftell(file)) < 0 || *size > INT_MAX ||
        fseek(file, 0, SEEK_SET))
        fail(path, "cannot be read");
    bytes = (unsigned char *)allocate((size_t)*size, 1);
    if (fread(bytes, 1, (size_t)*size, file) != (size_t)*size) fail(path, "cannot be read");
    (void)fclose(file);
    return bytes;
}

static void resume(run *r)
{
    unsigned char *bytes = NULL;
    const char *settings, *position;
    char *end;
    nn_location location;
    nn_status status;
    long size = -1;

    if (!r->checkpoint) return;
    if (process == 0) bytes = read_checkpoint(r->checkpoint, &size);
    broadcast(&size, sizeof size);
    if (size < 0) return;
    if (process != 0) bytes = (unsigned char *)allocate((size_t)size, 1);
    broadcast(bytes, (size_t)size);
    status = nn_load_checkpoint_memory(r->trainer, bytes, (size_t)size, &location);
    free(bytes);
    if (status == NN_ERROR_OPTION && process == 0)
        fprintf(stderr, "mpi: %s is %s in %s\n", location.name,
                location.expected[0] ? location.expected : "another one", r->checkpoint);
    check(status, r->checkpoint);
    settings = nn_metadata(r->model, "mpi.settings");
    position = nn_metadata(r->model, "mpi.position");
    if (!settings || strcmp(settings, r->settings) != 0) {
        if (process == 0)
            fprintf(stderr, "mpi: its settings are: %s\nmpi: these are: %s\n",
                    settings ? settings : "none", r->settings);
        fail(r->checkpoint, "a checkpoint of another run");
    }
    if (!position) fail(r->checkpoint, "without its position");
    r->epoch = (int)strtol(position, &end, 10);
    r->step = (int)strtol(end, &end, 10);
    r->loss = strtod(end, &end);
    if (*end || r->epoch < 0 || r->step < 0 || r->step >= r->steps)
        fail(r->checkpoint, "its position cannot be read");
    if (process == 0) printf("resumed at epoch %d, step %d\n", r->epoch, r->step);
}

/* ---- Training -------------------------------------------------------------------------------- */

/* One update, or one round of averaging. */
static void advance(run *r)
{
    const int64_t begun = (int64_t)r->epoch * r->steps + r->step;
    const nn_real *sum = add_all(r, r->average ? weights_leaf : gradient_leaf, r->count);
    const size_t bytes = (r->count - 1) * sizeof *sum;

    if (r->average) {
        memcpy(nn_parameters(r->model), sum, bytes);
        r->step = end_of_round(r);
    } else {
        memcpy(nn_gradients(r->trainer), sum, bytes);
        check(nn_update(r->trainer), "training");
        r->step++;
    }
    r->loss += (double)sum[r->count - 1];
    if (r->step == r->steps) return; /* there is one after the epoch */
    if (r->every && ((int64_t)r->epoch * r->steps + r->step) / r->every != begun / r->every)
        save(r);
}

static void train(run *r)
{
    double fastest = 0, exchanging = 0, begin, elapsed;

    while (r->epoch < r->epochs) {
        if (!r->average) shuffle(r, 0, r->train.rows, 0);
        while (r->step < r->steps) {
            begin = seconds();
            advance(r);
            elapsed = seconds() - begin;
            /* The last one of an epoch may have fewer rows. */
            if (r->step == r->steps || (fastest > 0 && elapsed >= fastest)) continue;
            fastest = elapsed;
            exchanging = r->exchanging;
        }
        r->epoch++;
        r->step = 0;
        if (process == 0) {
            printf("Epoch %d/%d: loss %.4f\n", r->epoch, r->epochs, r->loss / r->train.rows);
            (void)fflush(stdout);
        }
        r->loss = 0;
        save(r);
    }
    if (process == 0 && r->times)
        printf("fastest %s: %.3f ms, of which %.3f ms were exchange and waiting\n",
               r->average ? "round" : "step", 1e3 * fastest, 1e3 * exchanging);
}

static void test(run *r)
{
    double loss;

    r->correct = 0;
    loss = (double)*add_all(r, test_leaf, 1) / r->test.rows;
    r->correct = add_counts(r->correct);
    if (process == 0)
        printf("test loss %.4f\ntest accuracy %.4f (%lld of %d)\n", loss,
               (double)r->correct / r->test.rows, r->correct, r->test.rows);
}

/* ---- Arguments ------------------------------------------------------------------------------- */

/* Ends all processes without the messages of MPI_Abort. */
static void leave(int status)
{
    (void)fflush(stdout);
    finish();
    exit(status);
}

static void refuse(const char *wrong)
{
    if (process == 0) fprintf(stderr, "mpi: %s; --help lists the options\n", wrong);
    leave(2);
}

static void help(void)
{
    if (process == 0)
        printf("usage: mpi [options] [FOLDER]\n"
               "FOLDER has MNIST's four files; without it examples/data/digits.csv is read.\n"
               "  --layers 64        widths of the hidden layers, such as 512,512\n"
               "  --epochs 20\n"
               "  --batch 64         rows for each update\n"
               "  --shards 8         parts of a batch: a power of two, at least the processes\n"
               "  --average 0        K: shards are workers, which train K steps by themselves\n"
               "  --adam 0.001       learning rate of Adam\n"
               "  --sgd RATE         SGD instead\n"
               "  --decay 0          weight decay\n"
               "  --clip 0           largest norm of the gradient; 0: any\n"
               "  --dropout 0        share of the hidden units\n"
               "  --seed 1\n"
               "  --checkpoint FILE  saved after each epoch; where there is one, training goes on\n"
               "  --every 0          N: also saved after each N steps\n"
               "  --times            print how long the fastest step took\n");
    leave(0);
}

/* A whole number between two others; returns 0 for any other text. */
static int take_integer(const char *text, int least, int most, int *value)
{
    char *end;
    long number;

    errno = 0;
    number = strtol(text, &end, 10);
    if (end == text || *end || errno || number < least || number > most) return 0;
    *value = (int)number;
    return 1;
}

static int take_real(const char *text, double *value)
{
    char *end;

    *value = strtod(text, &end);
    return end != text && !*end && *value >= 0 && *value <= 1e6;
}

/* "512,512" */
static int take_widths(const char *text, run *r)
{
    char *end;

    for (r->layers = 0; r->layers < MOST_LAYERS - 1; text = end + 1) {
        const long width = strtol(text, &end, 10);
        if (end == text || width < 1 || width > 65536 || (*end && *end != ',')) return 0;
        r->widths[r->layers++] = (int)width;
        if (!*end) return 1;
    }
    return 0;
}

static int is_power_of_two(int n)
{
    return n > 0 && (n & (n - 1)) == 0;
}

static int take_option(run *r, const char *name, const char *value)
{
    const struct {
        const char *name;
        int *value;
        int least, most;
    } integers[] = {
        {"--epochs", &r->epochs, 1, INT_MAX},     {"--batch", &r->batch, 1, 1 << 24},
        {"--shards", &r->shards, 1, MOST_SHARDS}, {"--average", &r->average, 0, INT_MAX},
        {"--every", &r->every, 0, INT_MAX},       {"--seed", &r->seed, 0, INT_MAX}};
    const struct {
        const char *name;
        double *value;
    } reals[] = {{"--adam", &r->rate},
                 {"--sgd", &r->rate},
                 {"--decay", &r->decay},
                 {"--clip", &r->clip},
                 {"--dropout", &r->dropout}};
    size_t i;

    for (i = 0; i < sizeof integers / sizeof *integers; i++)
        if (!strcmp(name, integers[i].name))
            return take_integer(value, integers[i].least, integers[i].most, integers[i].value);
    for (i = 0; i < sizeof reals / sizeof *reals; i++) {
        if (strcmp(name, reals[i].name) != 0) continue;
        if (reals[i].value == &r->rate) r->adam = name[2] == 'a';
        return take_real(value, reals[i].value) && (reals[i].value != &r->rate || r->rate > 0);
    }
    if (!strcmp(name, "--layers")) return take_widths(value, r);
    if (strcmp(name, "--checkpoint") != 0) return 0;
    r->checkpoint = value;
    return *value != 0;
}

static void take_arguments(run *r, int argc, char **argv)
{
    char wrong[200];
    int i;

    r->epochs = 20;
    r->batch = 64;
    r->shards = 8;
    r->adam = r->seed = r->layers = 1;
    r->widths[0] = 64;
    r->rate = 1e-3;
    for (i = 1; i < argc; i++) {
        const char *const name = argv[i];
        if (!strcmp(name, "--help")) help();
        if (!strcmp(name, "--times")) {
            r->times = 1;
        } else if (name[0] != '-' && !r->folder) {
            r->folder = name;
        } else {
            const char *const value = i + 1 < argc ? argv[++i] : "";
            snprintf(wrong, sizeof wrong, "not understood: %s %s", name, value);
            if (!take_option(r, name, value)) refuse(wrong);
        }
    }
    if (r->every && !r->checkpoint) refuse("--every needs --checkpoint");
    if (r->dropout >= 1) refuse("--dropout is less than 1");
    if (!is_power_of_two(r->shards)) refuse("the shards are a power of two");
    if (!is_power_of_two(processes)) refuse("the number of processes is a power of two");
    if (processes > r->shards) refuse("there are more processes than shards");
}

/* ---- Data and model -------------------------------------------------------------------------- */

/* Reads FOLDER/NAME-images-idx3-ubyte and FOLDER/NAME-labels-idx1-ubyte. */
static void read_images(nn_data *data, const char *folder, const char *name)
{
    char images[1024], labels[1024];
    int length = snprintf(images, sizeof images, "%s/%s-images-idx3-ubyte", folder, name);

    if (length < 0 || length >= (int)sizeof images) fail(folder, "the name is too long");
    snprintf(labels, sizeof labels, "%s/%s-labels-idx1-ubyte", folder, name);
    check(nn_read_idx(data, images, labels, 10, NULL), images);
}

/* Every process reads all rows. A program for more data than memory would read only the rows that
   the shards of its process need. */
static void read_data(run *r)
{
    const char *const path = "examples/data/digits.csv";
    nn_csv_options csv;
    nn_data data;

    if (r->folder) {
        read_images(&r->train, r->folder, "train");
        read_images(&r->test, r->folder, "t10k");
        return;
    }
    memset(&csv, 0, sizeof csv);
    csv.labels = 1; /* the last column is a class, although it is a number */
    check(nn_read_csv(&data, path, &csv), path);
    check(nn_split(&data, 0.8f, 1, &r->train, &r->test), path);
    nn_data_free(&data);
}

/* 64-bit FNV-1a (Fowler, Noll and Vo) of words of 32 bits, each in four little-endian bytes. */
static uint64_t hash_words(uint64_t hash, const void *words, size_t count)
{
    const unsigned char *at = (const unsigned char *)words;
    uint32_t bits;
    size_t i;
    int k;

    for (i = 0; i < count; i++) {
        memcpy(&bits, at + 4 * i, 4);
        for (k = 0; k < 32; k += 8) hash = (hash ^ (bits >> k & 255)) * UINT64_C(0x100000001b3);
    }
    return hash;
}

#define HASH_START UINT64_C(0xcbf29ce484222325)

/* Ends the run where process 0 has another text. */
static void compare(const char *text, const char *what)
{
    char first[sizeof((run *)0)->settings];

    memset(first, 0, sizeof first);
    snprintf(first, sizeof first, "%s", text);
    broadcast(first, sizeof first);
    if (strcmp(first, text) != 0) fail(what, first);
}

/* The settings that are neither in the options of the trainer nor in the model. */
static void describe(run *r)
{
    const size_t words = sizeof(nn_real) / 4, rows = (size_t)r->train.rows;
    uint64_t hash = HASH_START;

    hash = hash_words(hash, r->train.x, rows * (size_t)r->train.inputs * words);
    hash = hash_words(hash, r->train.labels, rows * sizeof *r->train.labels / 4);
    snprintf(r->settings, sizeof r->settings,
             "data %016llx, %d rows, batches of %d, %d shards, averages after %d steps",
             (unsigned long long)hash, r->train.rows, r->batch, r->shards, r->average);
    compare(r->settings, "process 0 has other data or arguments");
}

static void make_model(run *r)
{
    nn_layer layers[MOST_LAYERS];
    int i;

    memset(layers, 0, sizeof layers);
    for (i = 0; i <= r->layers; i++) {
        layers[i].kind = NN_LAYER_DENSE;
        layers[i].width = i < r->layers ? r->widths[i] : r->train.outputs;
        layers[i].activation = i < r->layers ? NN_RELU : NN_SOFTMAX;
        r->shares[i] = i < r->layers ? (nn_real)r->dropout : 0;
    }
    check(nn_model_create(&r->model, r->train.inputs, layers, r->layers + 1, (uint64_t)r->seed),
          "the network");
    if (!r->folder) /* pixels from [0, 16] to [0, 1] */
        check(nn_fit_scaling(r->model, &r->train, NN_SCALE_MIN_MAX), "scaling");
    r->how.loss = NN_CROSS_ENTROPY;
    r->how.optimizer = r->adam ? NN_ADAM : NN_SGD;
    r->how.learning_rate = (nn_real)r->rate;
    r->how.weight_decay = (nn_real)r->decay;
    r->how.clip_norm = (nn_real)r->clip;
    r->how.dropout = r->dropout > 0 ? r->shares : NULL;
    r->how.batch_size = r->batch;
    r->how.micro_batch_size = (r->batch - 1) / r->shards + 1; /* the most rows of a shard */
    r->how.seed = (uint64_t)r->seed;
    check(nn_trainer_create(&r->trainer, r->model, &r->how), "the trainer");
}

static void begin_run(run *r)
{
    int own;

    read_data(r);
    if (!r->train.labels || !r->test.labels) fail("the data has no classes", NULL);
    if (r->batch > r->train.rows) r->batch = r->train.rows;
    r->steps = (r->train.rows - 1) / r->batch + 1;
    describe(r);
    make_model(r);
    r->count = nn_parameter_count(r->model) + 1;
    if (r->count > INT_MAX) fail("too many parameters for one message", NULL);
    for (own = r->shards / processes; own; own /= 2) r->levels++;
    r->sums = (nn_real *)allocate((size_t)r->levels * r->count, sizeof(nn_real));
    r->received = (nn_real *)allocate(r->count / 2 + 1, sizeof(nn_real));
    r->start = (nn_real *)allocate(r->average ? r->count : 1, sizeof(nn_real));
    r->order = (int *)allocate((size_t)r->train.rows, sizeof(int));
    r->x = (nn_real *)allocate((size_t)r->how.micro_batch_size * (size_t)r->train.inputs,
                               sizeof(nn_real));
    r->labels = (int *)allocate((size_t)r->how.micro_batch_size, sizeof(int));
    resume(r);
}

static void end_run(run *r)
{
    free(r->labels), free(r->x), free(r->order);
    free(r->start), free(r->received), free(r->sums);
    nn_trainer_free(r->trainer);
    nn_model_free(r->model);
    nn_data_free(&r->test);
    nn_data_free(&r->train);
}

int main(int argc, char **argv)
{
    static run r; /* all 0 */
    char weights[32];

    start(&argc, &argv);
    take_arguments(&r, argc, argv);
    begin_run(&r);
    train(&r);
    test(&r);
    snprintf(weights, sizeof weights, "%016llx",
             (unsigned long long)hash_words(HASH_START, nn_parameters(r.model),
                                            (r.count - 1) * (sizeof(nn_real) / 4)));
    compare(weights, "its weights are not those of process 0");
    if (process == 0) printf("hash %s\n", weights);
    end_run(&r);
    leave(0);
    return 0;
}
