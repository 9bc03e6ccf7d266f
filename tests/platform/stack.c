/* How much stack training and predicting take, in bytes: for each back-end, one line with the most
   that any operation took. Returns 1 when that is more than the header promises, 64 kB, or so
   little that the packing of matrices was not seen. A thread runs on a stack that was filled with a
   pattern; what is no longer the pattern was used. tests/platform/header.sh runs this with each
   compiler and level of optimisation. Needs POSIX threads. */
#define _DEFAULT_SOURCE
#define NN_IMPLEMENTATION
static const char *forced;
#define NN_BACKEND forced
#include "nn.h"

#include <pthread.h>
#include <sys/mman.h>

enum { STACK = 1 << 21, PROMISED = 64 * 1024, PATTERN = 0xa5 };
enum { ROWS = 70, WIDE = 1025, EPOCHS = 1 };

typedef struct net {
    int inputs;
    nn_layer layers[2];
    nn_loss loss;
    nn_optimizer optimizer;
} net;

static nn_real x[ROWS * WIDE], y[ROWS * WIDE];

static void stop(const char *why)
{
    fprintf(stderr, "stack: %s\n", why);
    exit(2);
}

static void check(nn_status status)
{
    if (status != NN_OK) stop(nn_status_text(status));
}

/* Trains a net and predicts with it. */
static void *train(void *argument)
{
    const net *n = (const net *)argument;
    nn_model *model;
    nn_options how;
    nn_data data;
    nn_metrics metrics;

    memset(&how, 0, sizeof how);
    memset(&data, 0, sizeof data);
    how.loss = n->loss;
    how.optimizer = n->optimizer;
    how.epochs = EPOCHS;
    how.batch_size = ROWS;
    data.rows = ROWS;
    data.inputs = n->inputs;
    data.outputs = n->layers[1].width;
    data.x = x;
    data.y = y;
    check(nn_model_create(&model, n->inputs, n->layers, 2, 1));
    check(nn_fit(model, &data, &how));
    check(nn_evaluate(model, &data, &how, &metrics));
    nn_model_free(model);
    return NULL;
}

static void *do_nothing(void *unused)
{
    return unused;
}

/* Returns the bytes of stack that a thread used for a function. */
static size_t used(void *(*function)(void *), void *argument)
{
    unsigned char *stack = (unsigned char *)mmap(NULL, STACK, PROT_READ | PROT_WRITE,
                                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_attr_t attributes;
    pthread_t thread;
    size_t unused = 0;

    if (stack == MAP_FAILED) stop("no memory");
    memset(stack, PATTERN, STACK);
    if (pthread_attr_init(&attributes) || pthread_attr_setstack(&attributes, stack, STACK) ||
        pthread_create(&thread, &attributes, function, argument) || pthread_join(thread, NULL))
        stop("no thread");
    while (unused < STACK && stack[unused] == PATTERN) unused++;
    (void)pthread_attr_destroy(&attributes);
    (void)munmap(stack, STACK);
    return STACK - unused;
}

static net make_net(int inputs, int hidden, int outputs, int activation)
{
    net n;

    memset(&n, 0, sizeof n);
    n.inputs = inputs;
    n.layers[0].kind = n.layers[1].kind = NN_LAYER_DENSE;
    n.layers[0].width = hidden;
    n.layers[0].activation = (nn_activation)activation;
    n.layers[1].width = outputs;
    return n;
}

/* Returns the most that a net used: with every activation and every optimizer, and with products
   that pack each of their matrices. */
static size_t most_used(void)
{
    size_t most = 0, bytes;
    net n;
    int i;

    for (i = 0; i < NN_ACTIVATION_COUNT + NN_OPTIMIZER_COUNT + 2; i++) {
        const int optimizer = i - NN_ACTIVATION_COUNT;

        n = make_net(21, 37, 3, i < NN_ACTIVATION_COUNT ? i : NN_RELU);
        if (i == NN_SOFTMAX) n = make_net(21, 37, 3, NN_TANH);
        if (i == NN_SOFTMAX) n.layers[1].activation = NN_SOFTMAX, n.loss = NN_CROSS_ENTROPY;
        if (optimizer >= 0 && optimizer < NN_OPTIMIZER_COUNT) n.optimizer = (nn_optimizer)optimizer;
        if (optimizer == NN_OPTIMIZER_COUNT) n = make_net(1024, 70, WIDE, NN_RELU);
        if (optimizer == NN_OPTIMIZER_COUNT + 1) n = make_net(300, 1024, 40, NN_RELU);
        bytes = used(train, &n);
        if (bytes > most) most = bytes;
    }
    return most;
}

int main(void)
{
    const int level = nn__level();
    const size_t own = used(do_nothing, NULL); /* the thread's */
    int i, bad = 0;

    for (i = 0; i < ROWS * WIDE; i++) {
        x[i] = (nn_real)(i % 7) / 7;
        y[i] = (nn_real)(i % 3 == i / 3 % 3);
    }
    for (i = 0; nn__kernels_of(i, level); i++) {
        size_t bytes;

        forced = nn__kernels_of(i, level)->name;
        bytes = most_used() - own;
        printf("%s: %lu\n", forced, (unsigned long)bytes);
        bad |= bytes > PROMISED || (i > 0 && bytes < PROMISED / 2);
    }
    return bad;
}
