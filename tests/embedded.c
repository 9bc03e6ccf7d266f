/* Firmware that trains on the device: tests/embedded.sh builds and runs it. From rows in flash it
   trains a classifier (2-8-1) in static memory, measures it, saves it to memory, loads that into a
   second model and predicts with both. What it prints must be the same text on every machine, and
   on the PC, but for the lines that begin with '#': sizes and times.

   NATIVE      the PC's build: vector kernels and heap as a program has them without a switch
   NN_NO_FMA   as in nn.h

   rows.h, made from a CSV file: TRAIN_ROWS, TEST_ROWS, train_x, train_y, test_x, test_y. */

#ifndef NATIVE
#define NN_NO_STDIO
#define NN_NO_MALLOC
#define NN_NO_SIMD
#endif

#include <stdint.h>
#include <string.h>

/* ---- The machine: a character out, the end, a clock ------------------------------------------ */

/* clock_now counts up, modulo CLOCK_MASK + 1, what is a fixed number of CLOCK_NAME; clock_scale says
   how many. Between two readings, an epoch or all predictions, it must not go round. */
#ifdef __AVR__

#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

#define CLOCK_NAME "cycles"
#define CLOCK_MASK UINT32_C(0xffff)

static void put(char c)
{
    while (!(UCSR0A & (1 << UDRE0))) continue;
    UDR0 = (uint8_t)c;
}

static void machine_begin(void)
{
    UCSR0B = 1 << TXEN0;
    TCCR1B = 4; /* timer 1 counts each 256th cycle */
}

/* The simulator ends where the processor sleeps and nothing can wake it. */
static void machine_end(void)
{
    cli();
    sleep_enable();
    for (;;) sleep_cpu();
}

static uint32_t clock_now(void)
{
    return TCNT1;
}

#else

#include <stdio.h> /* where the machine is an emulator's, the C library has the way out of it */

static void put(char c)
{
    putchar(c);
}

static void machine_end(void)
{
}

#if defined(__arm__) && !defined(NATIVE)

#define CLOCK_NAME "instructions"
#define CLOCK_MASK UINT32_C(0xffffff)
#define SYSTICK    ((volatile uint32_t *)0xe000e010) /* control, reload, value, going down */

static void machine_begin(void)
{
    SYSTICK[1] = CLOCK_MASK;
    SYSTICK[2] = 0;
    SYSTICK[0] = 5; /* on, at the processor's clock, without interrupts */
}

static uint32_t clock_now(void)
{
    return CLOCK_MASK - SYSTICK[2];
}

#elif defined(__riscv) && !defined(NATIVE)

#define CLOCK_NAME "instructions"
#define CLOCK_MASK UINT32_MAX

static void machine_begin(void)
{
}

static uint32_t clock_now(void)
{
    uint32_t count;
    __asm__ volatile("rdinstret %0" : "=r"(count));
    return count;
}

#else

#define CLOCK_NAME "nothing"
#define CLOCK_MASK UINT32_MAX

static void machine_begin(void)
{
}

static uint32_t clock_now(void)
{
    return 0;
}

#endif
#endif

/* ---- Text ------------------------------------------------------------------------------------ */

static void put_text(const char *text)
{
    while (*text) put(*text++);
}

static void put_number(uint64_t number)
{
    char text[21];
    int at = 20;

    text[20] = 0;
    do text[--at] = (char)('0' + (int)(number % 10));
    while (number /= 10);
    put_text(text + at);
}

static void put_hexadecimal(uint64_t number, int digits)
{
    while (digits-- > 0) put("0123456789abcdef"[(int)(number >> (4 * digits)) & 15]);
}

/* A line about the machine, which is no part of what is compared. */
static void put_note(const char *name, uint64_t number)
{
    put_text("# ");
    put_text(name);
    put_text(" ");
    put_number(number);
    put_text("\n");
}

static void broken_assertion(void)
{
    put_text("FAILED: an assertion of nn.h\n");
    machine_end();
}

#define NN_ASSERT(condition) ((condition) ? (void)0 : broken_assertion())
#define NN_IMPLEMENTATION
#include "nn.h"

#include "rows.h"

static uint32_t bits_of(nn_real x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* x >= 0 as the bits it is made of and as a decimal number with 4 digits, rounded: both without
   any arithmetic in floating point. */
static void put_real(nn_real x)
{
    const uint32_t bits = bits_of(x), exponent = bits >> 23;
    uint64_t scaled = ((bits & 0x7fffff) | 0x800000) * UINT64_C(10000);
    uint32_t fraction;
    int i;

    put_hexadecimal(bits, 8);
    put_text(" = ");
    if (exponent > 150) { /* 2^24 and above, NaN, the negative: none is expected */
        put_text("?");
        return;
    }
    if (exponent < 150 - 40)
        scaled = 0;
    else if (exponent < 150)
        scaled = ((scaled >> (149 - exponent)) + 1) >> 1;
    put_number(scaled / 10000);
    put_text(".");
    fraction = (uint32_t)(scaled % 10000);
    for (i = 1000; i; i /= 10) put((char)('0' + (int)(fraction / (uint32_t)i % 10)));
}

/* ---- Time ------------------------------------------------------------------------------------ */

static uint32_t clock_started;
static uint64_t clock_sum; /* in the clock's units */

static void clock_start(void)
{
    clock_started = clock_now();
}

static void clock_stop(void)
{
    clock_sum += (clock_now() - clock_started) & CLOCK_MASK;
}

/* How many instructions or cycles are in sum / units of the clock's units. */
static void clock_scale(uint64_t *sum, uint64_t *units)
{
    *sum = 256;
    *units = 1;
#if defined(__riscv)
    *sum = 1;
#elif defined(__arm__) && !defined(NATIVE)
    { /* by a loop of known length: the boards' clocks differ */
        uint32_t turns = 1000000;

        clock_sum = 0;
        clock_start();
        __asm__ volatile(".syntax unified\n1: subs %0, %0, #1\n bne 1b" : "+l"(turns) : : "cc");
        clock_stop();
        *sum = 2000000;
        *units = clock_sum;
    }
#endif
}

static void put_time(const char *name, uint64_t time, uint64_t count)
{
    uint64_t sum, units;

    clock_scale(&sum, &units);
    put_note(name, units ? time * sum / units / count : 0);
}

/* ---- The program ----------------------------------------------------------------------------- */

enum { EPOCHS = 40, BATCH = 4, TURNS = 4 /* of predictions that are timed */ };

/* Memory aligned as malloc would. */
#define BLOCK(bytes)                                                                               \
    union {                                                                                        \
        uint64_t integer;                                                                          \
        double real;                                                                               \
        void *pointer;                                                                             \
        unsigned char memory[bytes];                                                               \
    }
#ifdef NATIVE
static BLOCK(4096) model_block, trainer_block, copy_block;
#else
static BLOCK(480) model_block, copy_block;
static BLOCK(1100) trainer_block;
#endif
static unsigned char file[1024];
static nn_real answers[TEST_ROWS], copied_answers[TEST_ROWS];

/* Prints where something failed, once; main returns it. */
static int failed;

static void check(int good, const char *what)
{
    if (good) return;
    failed = 1;
    put_text("FAILED: ");
    put_text(what);
    put_text("\n");
}

/* FNV-1a with 64 bits over the bits of numbers, lowest byte first. */
static uint64_t hash_of(const nn_real *x, size_t count)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    size_t i;
    int byte;

    for (i = 0; i < count; i++)
        for (byte = 0; byte < 4; byte++)
            hash = (hash ^ ((bits_of(x[i]) >> (8 * byte)) & 255)) * UINT64_C(0x100000001b3);
    return hash;
}

static void put_hash(const char *name, const nn_real *x, size_t count)
{
    put_text(name);
    put_text(" ");
    put_hexadecimal(hash_of(x, count), 16);
    put_text("\n");
}

/* The clock stands while the callback prints. */
static int print_loss(const nn_progress *progress, void *user)
{
    clock_stop();
    if (progress->epoch == 1 || progress->epoch % 5 == 0) {
        put_text((const char *)user);
        put_number((uint64_t)progress->epoch);
        put_text(" loss ");
        put_real((nn_real)progress->loss);
        put_text("\n");
    }
    clock_start();
    return 0;
}

static nn_options training_options(void)
{
    static char prefix[] = "epoch ";
    nn_options how;

    memset(&how, 0, sizeof how);
    how.loss = NN_BINARY_CROSS_ENTROPY;
    how.optimizer = NN_ADAM;
    how.learning_rate = 0.01f;
    how.scaling = NN_SCALE_STANDARD;
    how.epochs = EPOCHS;
    how.batch_size = BATCH;
    how.seed = 1;
    how.callback = print_loss;
    how.user = prefix;
    return how;
}

static nn_data data_of(const nn_real *x, const nn_real *y, int rows)
{
    nn_data data;

    memset(&data, 0, sizeof data);
    data.rows = rows;
    data.inputs = 2;
    data.outputs = 1;
    data.classes = 2;
    data.x = x;
    data.y = y;
    return data;
}

static void train(nn_model *model)
{
    const nn_options how = training_options();
    const nn_data data = data_of(train_x, train_y, TRAIN_ROWS);
    nn_trainer *trainer;
    nn_status status;

    put_note("trainer_bytes", nn_trainer_size(model, &how));
    status = nn_trainer_create_in(&trainer, &trainer_block, sizeof trainer_block, model, &how);
    check(status == NN_OK, "nn_trainer_create_in");
    if (status != NN_OK) return;
    clock_sum = 0;
    clock_start();
    status = nn_trainer_fit(trainer, &data);
    clock_stop();
    check(status == NN_OK, "nn_trainer_fit");
    put_time("training", clock_sum, 1);
    put_note("rows", (uint64_t)EPOCHS * TRAIN_ROWS);
}

static void measure(const nn_model *model)
{
    const nn_data data = data_of(test_x, test_y, TEST_ROWS);
    nn_metrics metrics;

    check(nn_evaluate(model, &data, NN_BINARY_CROSS_ENTROPY, &metrics) == NN_OK, "nn_evaluate");
    put_text("test accuracy ");
    put_number((uint64_t)metrics.correct);
    put_text(" of ");
    put_number((uint64_t)metrics.rows);
    put_text(", loss ");
    put_real((nn_real)metrics.loss);
    put_text("\n");
    check(metrics.rows == TEST_ROWS && metrics.correct * 10 >= metrics.rows * 9, "accuracy");
}

/* Predicts row by row, as a device would; several times, for the clock. */
static void predict(const nn_model *model)
{
    int turn, row;
    nn_status status = NN_OK;

    clock_sum = 0;
    clock_start();
    for (turn = 0; turn < TURNS; turn++)
        for (row = 0; row < TEST_ROWS && status == NN_OK; row++)
            status = nn_predict(model, test_x + 2 * row, 1, answers + row, NULL);
    clock_stop();
    check(status == NN_OK, "nn_predict");
    put_time("prediction", clock_sum, (uint64_t)TURNS * TEST_ROWS);
}

/* Saves the model, loads the file into another one, and predicts with that. */
static void copy(const nn_model *model, const nn_shape *shape)
{
    nn_model *other;
    nn_status status;
    size_t size;

    check(nn_save_memory(model, file, sizeof file, &size) == NN_OK, "nn_save_memory");
    put_text("saved ");
    put_number(size);
    put_text(" bytes\n");
    status = nn_create_in(&other, &copy_block, sizeof copy_block, shape, 2); /* other weights */
    check(status == NN_OK, "the second nn_create_in");
    if (status != NN_OK) return;
    status = nn_load_parameters_memory(other, file, size, NULL);
    check(status == NN_OK, "nn_load_parameters_memory");
    status = nn_predict(other, test_x, TEST_ROWS, copied_answers, NULL);
    check(status == NN_OK && memcmp(answers, copied_answers, sizeof answers) == 0,
          "the loaded model's predictions");
}

int main(void)
{
    const nn_layer layers[] = {{8, NN_RELU}, {1, NN_SIGMOID}};
    nn_shape shape;
    nn_model *model;

    machine_begin();
    put_text("# unit " CLOCK_NAME "\n");
    shape.inputs = 2;
    shape.layers = layers;
    shape.count = 2;
    put_note("model_bytes", nn_model_size(&shape));
    check(nn_create_in(&model, &model_block, sizeof model_block, &shape, 1) == NN_OK,
          "nn_create_in");
    if (!failed) {
        train(model);
        measure(model);
        predict(model);
        copy(model, &shape);
        put_hash("weights", nn_parameters(model), nn_parameter_count(model));
        put_hash("predictions", answers, TEST_ROWS);
    }
    put_text(failed ? "FAILED\n" : "done\n");
    machine_end();
    return failed;
}
