/* nn_export_c and nn_quantize. The Makefile has export_models write the models of export_models.h
   as C and compiles that into this program, which compares every function with nn_predict.
   Usage: export [seed] */
#define NN_IMPLEMENTATION
#include "../fixtures.h"

#include "export_models.h"

#ifdef NN_DOUBLE
#define EXPORTED_PATH "build/exported_double.c"
#include "build/exported_double.c"
#define STRING_TO_REAL strtod
#define FMA            fma
#else
#define EXPORTED_PATH "build/exported.c"
#include "build/exported.c"
#define STRING_TO_REAL strtof
#define FMA            fmaf
#endif

static uint64_t seed = 1;

/* ---- What was exported ----------------------------------------------------------------------- */

static int same(nn_real a, nn_real b)
{
    return (a != a && b != b) || nn__to_bits(a) == nn__to_bits(b);
}

/* An input of every kind, of which a row has one or all mixed. */
static nn_real input(uint64_t *random, int kind)
{
    switch (kind % 8) {
    case 0: return small_real(random);
    case 1: return small_real(random) * 1000;
    case 2: return small_real(random) * REAL_MIN;
    case 3: return nn__random(random) & 1 ? 0 : -(nn_real)0;
    case 4: return any_real(random);
    case 5: return (nn_real)(nn__random(random) % 1000) * REAL_TINY;
    case 6: return nn__random(random) & 1 ? REAL_MAX : -REAL_MAX;
    default: return input(random, (int)(nn__random(random) % 6));
    }
}

enum { ROWS = 1600 };

/* Returns how many outputs are numbers. */
static int compare(const nn_model *model, void (*function)(const nn_real *, nn_real *),
                   uint64_t *random)
{
    const int outputs = nn__outputs(model);
    nn_real x[MOST_INPUTS], expected[MOST_OUTPUTS], got[MOST_OUTPUTS + 1];
    int row, k, numbers = 0, bad = 0;

    for (row = 0; row < ROWS; row++) {
        for (k = 0; k < model->inputs; k++) x[k] = input(random, row);
        for (k = 0; k <= outputs; k++) got[k] = 123;
        if (nn_predict(model, x, 1, expected, NULL) != NN_OK) { /* it refuses outputs like these */
            (void)nn__infer(model, x, 1, model->scratch, expected, 0);
            nn__unscale(model, expected, 1);
            CHECK(!nn__all_finite_scalar(expected, (size_t)outputs));
        }
        function(x, got);
        CHECK(got[outputs] == 123);
        for (k = 0; k < outputs; k++) {
            numbers += expected[k] == expected[k];
            if (!same(got[k], expected[k]) && !bad++)
                printf("row %d, output %d: %.9g, not %.9g\n", row, k, (double)got[k],
                       (double)expected[k]);
        }
    }
    CHECK(!bad);
    return numbers;
}

static void test_functions_are_nn_predict(void)
{
    uint64_t random = nn__random_start(seed);
    int i, int8, numbers;

    CHECK(MODELS == sizeof exported / sizeof exported[0]);
    for (i = 0; i < MODELS; i++) {
        nn_model *model = export_model(i);
        for (int8 = 0; model && int8 < 2; int8++) {
            const int before = test_bad;
            if (int8) CHECK(nn_quantize(model) == NN_OK);
            numbers = compare(model, exported[i][int8], &random);
            if (test_bad > before)
                printf("model %d, int8 %d, seed %lu\n", i, int8, (unsigned long)seed);
            CHECK(numbers > ROWS * nn__outputs(model) / 10); /* not all NaN */
        }
        CHECK(model);
        nn_model_free(model);
    }
}

/* Neither the arithmetic nor the back-end changes what is written. */
static void test_the_same_text(void)
{
    static char text[1000000], again[1000000];
    FILE *file = fopen(EXPORTED_PATH, "rb");
    size_t length = file ? fread(text, 1, sizeof text, file) : 0, at = 0, size, k;
    nn_export_options how = {NULL, 0, 0};
    int i;

    CHECK(file && length > 10000 && length < sizeof text);
    if (file) fclose(file);
    for (i = 0; i < 2 * MODELS; i++) {
        nn_model *model = export_model(i / 2);
        how.name = i % 2 ? model_specs[i / 2].int8_name : model_specs[i / 2].name;
        how.int8 = i % 2;
        how.class_names = nn_class_name(model, 0) != NULL;
        CHECK(nn_export_c_memory(model, &how, again, sizeof again, &size) == NN_OK);
        nn_model_free(model);
        if (!CHECK(size <= length - at && !memcmp(text + at, again, size))) break;
        at += size;
    }
    CHECK(length - at < 3000); /* the tables are left */
    for (k = 0; k < at; k++)
        if (!(text[k] == '\n' || (text[k] >= ' ' && text[k] <= '~'))) break;
    CHECK(k == at);
}

/* Once quantized, the weights are written as if they had been before. */
static void test_int8_of_quantized(void)
{
    static char first[200000], second[200000];
    nn_export_options how = {NULL, 1, 0};
    size_t size[2];
    int i;

    for (i = 0; i < MODELS; i++) {
        nn_model *model = export_model(i);
        CHECK(nn_export_c_memory(model, &how, first, sizeof first, &size[0]) == NN_OK);
        CHECK(nn_quantize(model) == NN_OK);
        CHECK(nn_export_c_memory(model, &how, second, sizeof second, &size[1]) == NN_OK);
        CHECK(size[0] == size[1] && !memcmp(first, second, size[0]));
        nn_model_free(model);
    }
}

/* ---- How it is written ----------------------------------------------------------------------- */

/* The C library reads back the constants of any number. */
static void test_constants(void)
{
    const nn_real some[] = {0,        -(nn_real)0, 1,         -1,        (nn_real)0.1,  REAL_MAX,
                            REAL_MIN, REAL_TINY,   -REAL_MAX, -REAL_MIN, 3 * REAL_TINY, 65536};
    uint64_t random = nn__random_start(seed);
    unsigned char text[64];
    int i;

    for (i = 0; i < 20000; i++) {
        const nn_real x = i < NN__COUNT(some) ? some[i] : any_real(&random);
        nn__writer writer = {NULL, 0, 0};
        char *end;
        writer.bytes = text;
        nn__write_constant(&writer, x);
        text[writer.size] = 0;
        CHECK(nn__to_bits(STRING_TO_REAL((char *)text, &end)) == nn__to_bits(x));
        CHECK(!strcmp(end, sizeof(nn_real) == 4 ? "f" : ""));
    }
}

/* platform/reserved.sh asks for every name that the compilers at hand define. */
static void test_names(void)
{
    static const char *const good[] = {
        "predict",  "a",      "a1",     "Int",
        "ints",     "in",     "A_b_9",  "clas",
        "or_",      "Bool",   "linux_", "mylinux",
        "is_spam",  "stress", "total",  "memory",
        "exponent", "intf",   "expx",   "exp_f",
        "f",        "l",      "t",      "double_",
        "NNx",      "Mx",     "f3",     "predict_model_for_the_second_floor"};
    static const char *const bad[] = {
        "", "1a", "a b", " ", "a ", "a-b", "a.b", "a$", "\xc3\xa4", "a\n", "int", "class", "xor",
        "alignas", "_Bool", "__func__", "_A", "_a", "_", "_bool", "_Generic", "new", "while",
        "xor_eq", "true", "constexpr", "restrict", "inline", "asm", "typeof", "this", "a\"", "*/",
        "a(", "a\\", "static_assert", "NN_", "NN_FLASH", "NN_NO_FMA", "NN_predict", "a{", "a~b",
        /* compilers, systems, headers */
        "linux", "unix", "i386", "main", "int8_t", "double_t", "uint_fast16_t", "INT8_MIN", "NAN",
        "I", "X1", "M_PIl", "FILE"};
    nn_model *model = export_model(0);
    nn_export_options how = {NULL, 0, 0};
    size_t size;
    int i;

    for (i = 0; i < NN__COUNT(good); i++) {
        how.name = good[i];
        CHECK(nn_export_c_memory(model, &how, NULL, 0, &size) == NN_OK && size > 0);
    }
    for (i = 0; i < NN__COUNT(bad); i++) {
        how.name = bad[i];
        size = 1;
        if (!CHECK(nn_export_c_memory(model, &how, NULL, 0, &size) == NN_ERROR_OPTION && !size))
            printf("name '%s'\n", bad[i]);
    }
    nn_model_free(model);
}

/* The compiled file has the names of the classes; a model without names cannot write them. */
static void test_class_names(void)
{
    nn_export_options how = {NULL, 0, 1};
    int i, int8, c, models = 0;
    size_t size;

    for (i = 0; i < MODELS; i++) {
        nn_model *model = export_model(i);
        const int count = class_count(&model_specs[i]);
        size = 1;
        CHECK(nn_export_c_memory(model, &how, NULL, 0, &size) == (count ? NN_OK : NN_ERROR_OPTION));
        CHECK((size > 0) == (count > 0));
        models += count > 0;
        for (int8 = 0; int8 < 2; int8++)
            for (c = 0; c < count; c++)
                CHECK(!strcmp(exported_classes[i][int8][c], class_texts[c]) &&
                      !strcmp(nn_class_name(model, c), class_texts[c]));
        nn_model_free(model);
    }
    CHECK(models > 3);
}

static void test_capacity(void)
{
    static char text[100000];
    nn_model *model = export_model(0);
    size_t size, needed;

    CHECK(nn_export_c_memory(model, NULL, NULL, 0, &needed) == NN_OK);
    CHECK(needed > 1000 && needed < sizeof text);
    memset(text, 1, sizeof text);
    CHECK(nn_export_c_memory(model, NULL, text, needed - 1, &size) == NN_ERROR_BLOCK);
    CHECK(size == needed && text[0] == 1);
    CHECK(nn_export_c_memory(model, NULL, text, needed, &size) == NN_OK);
    CHECK(size == needed && text[needed - 1] == '\n' && text[needed] == 1);
    CHECK(!memchr(text, 0, needed) && !memchr(text, 1, needed));
    CHECK(nn_export_c_memory(model, NULL, text, needed, NULL) == NN_ERROR_NULL);
    CHECK(nn_export_c_memory(NULL, NULL, text, needed, &size) == NN_ERROR_NULL && size == 0);
    nn_parameters(model)[3] = (nn_real)HUGE_VAL;
    size = 1;
    CHECK(nn_export_c_memory(model, NULL, text, needed, &size) == NN_ERROR_PARAMETER && size == 0);
    nn_parameters(model)[3] = 0;
    CHECK(nn_export_c_memory(model, NULL, NULL, 0, &size) == NN_OK);
    model->offset[3] = (nn_real)HUGE_VAL; /* a factor */
    CHECK(nn_export_c_memory(model, NULL, NULL, 0, &size) == NN_ERROR_PARAMETER && size == 0);
    nn_model_free(model);
}

static void test_path(void)
{
    static char text[100000], read[100000];
    nn_model *model = export_model(9);
    nn_export_options how = {"net", 1, 0};
    size_t size;
    const char *written = temporary("net.c");
    FILE *file;

    CHECK(nn_export_c_memory(model, &how, text, sizeof text, &size) == NN_OK);
    CHECK(nn_export_c(model, written, &how) == NN_OK);
    file = fopen(written, "rb");
    CHECK(file && fread(read, 1, sizeof read, file) == size && !memcmp(text, read, size));
    if (file) fclose(file);
    CHECK(nn_export_c(model, NULL, &how) == NN_ERROR_NULL);
    CHECK(nn_export_c(NULL, written, &how) == NN_ERROR_NULL);
    CHECK(nn_export_c(model, "build/no such folder/net.c", &how) == NN_ERROR_OPEN);
    how.name = "1";
    CHECK(nn_export_c(model, written, &how) == NN_ERROR_OPTION);
    nn_model_free(model);
    remove(written);
}

/* A model that was opened over a file has no parameters to write or to change. */
static void test_opened(void)
{
    static unsigned char file[10000], memory[10000];
    nn_model *model = export_model(0), *opened = NULL;
    size_t size, length;

    CHECK(nn_save_memory(model, file, sizeof file, &length) == NN_OK);
    CHECK(nn_model_open_in(&opened, memory, sizeof memory, file, length) == NN_OK);
    size = 1;
    CHECK(nn_export_c_memory(opened, NULL, NULL, 0, &size) == NN_ERROR_READ_ONLY && !size);
    CHECK(nn_quantize(opened) == NN_ERROR_READ_ONLY);
    nn_model_free(model);
}

/* ---- nn_quantize ----------------------------------------------------------------------------- */

enum { WEIGHTS = 9 };

/* Quantizes the WEIGHTS weights w of one output, checks what is promised of them, returns the
   scale. */
static nn_real quantize(nn_model *model, const nn_real *w)
{
    nn_real *now = nn_parameters(model), largest = 0, scale, before[WEIGHTS + 1];
    int k;

    for (k = 0; k < WEIGHTS; k++) {
        now[k] = w[k];
        if (nn__absolute(w[k]) > largest) largest = nn__absolute(w[k]);
    }
    now[WEIGHTS] = (nn_real)0.3;
    scale = nn__int8_scale(now, WEIGHTS, 1, 0);
    CHECK(nn_quantize(model) == NN_OK);
    CHECK(now[WEIGHTS] == (nn_real)0.3);
    CHECK(nn__to_bits(nn__int8_scale(now, WEIGHTS, 1, 0)) == nn__to_bits(scale));
    CHECK((scale > 0) == (largest > 0) && scale <= REAL_MAX / 127);
    for (k = 0; k < WEIGHTS; k++) {
        const nn_real q = scale > 0 ? now[k] / scale : 0, error = nn__absolute(w[k] - now[k]);
        CHECK(q == (nn_real)(int)q && q >= -127 && q <= 127);
        CHECK(FMA(q, scale, -now[k]) == 0); /* exact */
        CHECK(2 * error <= scale);
        if (2 * error >= scale && q > -127 && q < 127) /* a tie goes away from zero */
            CHECK(nn__absolute(now[k]) >= nn__absolute(w[k]));
        if (now[k] == 0) CHECK(nn__to_bits(now[k]) == 0);
    }
    memcpy(before, now, sizeof before);
    CHECK(nn_quantize(model) == NN_OK);
    CHECK(!memcmp(before, now, sizeof before));
    return scale;
}

static nn_model *make_column(void)
{
    const nn_layer layer = NN_DENSE(1, NN_LINEAR);
    nn_model *model;
    return nn_model_create(&model, WEIGHTS, &layer, 1, 1) == NN_OK ? model : NULL;
}

static void test_quantize_any_magnitude(void)
{
    uint64_t random = nn__random_start(seed);
    nn_model *model = make_column();
    nn_real w[WEIGHTS], unit, scale, highest;
    int i, k;

    for (i = 0; i < 20000; i++) {
        unit = nn__absolute(any_real(&random)) / 4;
        highest = 0;
        for (k = 0; k < WEIGHTS; k++) {
            w[k] = small_real(&random) * unit;
            if (nn__absolute(w[k]) > highest) highest = nn__absolute(w[k]);
        }
        scale = quantize(model, w);
        if (scale < REAL_MIN || highest > REAL_MAX / 2) continue;
        CHECK(scale >= highest / 127 && scale - highest / 127 <= scale / 65536);
        CHECK((nn__to_bits(scale) & 127) == 0);
    }
    nn_model_free(model);
}

/* Columns whose largest weight is a small multiple of the smallest denormal, near where denormals
   end, or near where numbers end. */
static void test_quantize_at_the_edges(void)
{
    static const int starts[] = {1, 254 * 127, (1 << 17) - 500, (1 << 23) - 500};
    static const int ends[] = {127 * 300, 257 * 127, (1 << 17) + 500, (1 << 23) + 500};
    uint64_t random = nn__random_start(seed);
    nn_model *model = make_column();
    nn_real w[WEIGHTS];
    int i, k, range;

    for (range = 0; range < 4; range++) {
        for (i = starts[range]; i < ends[range]; i++) {
            for (k = 0; k < WEIGHTS; k++)
                w[k] = (nn_real)(int)(nn__random(&random) % ((uint32_t)i + 1)) * REAL_TINY;
            w[i % WEIGHTS] = (nn_real)(i & 1 ? i : -i) * REAL_TINY;
            (void)quantize(model, w);
        }
    }
    for (i = 0; i < 3000; i++) {
        for (k = 0; k < WEIGHTS; k++) w[k] = small_real(&random) * (REAL_MAX / 2);
        w[i % WEIGHTS] = nn__from_bits(nn__to_bits(REAL_MAX) - (nn__bits)i);
        (void)quantize(model, w);
    }
    nn_model_free(model);
}

static void test_quantize_halves(void)
{
    const nn_real w[WEIGHTS] = {
        127,           (nn_real)0.5,    (nn_real)-0.5, (nn_real)1.5,  (nn_real)-62.5,
        (nn_real)0.49, (nn_real)126.75, -127,          (nn_real)-3.25};
    const nn_real expected[WEIGHTS] = {127, 1, -1, 2, -63, 0, 127, -127, -3};
    nn_model *model = make_column();
    nn_real halved[WEIGHTS];
    int k;

    CHECK(quantize(model, w) == 1);
    CHECK(!memcmp(nn_parameters(model), expected, sizeof expected));
    for (k = 0; k < WEIGHTS; k++) halved[k] = w[k] / 1024;
    CHECK(quantize(model, halved) == (nn_real)1 / 1024);
    for (k = 0; k < WEIGHTS; k++) CHECK(nn_parameters(model)[k] == expected[k] / 1024);
    nn_model_free(model);
}

static void test_quantize_zeros_and_errors(void)
{
    nn_real w[WEIGHTS] = {0, -(nn_real)0};
    nn_model *model = make_column();
    int i;

    CHECK(quantize(model, w) == 0);
    for (i = 0; i < WEIGHTS; i++) CHECK(nn__to_bits(nn_parameters(model)[i]) == 0);
    CHECK(nn_quantize(NULL) == NN_ERROR_NULL);
    for (i = 0; i <= WEIGHTS; i++) nn_parameters(model)[i] = (nn_real)0.1 * (nn_real)(i + 1);
    nn_parameters(model)[WEIGHTS] = (nn_real)HUGE_VAL;
    CHECK(nn_quantize(model) == NN_ERROR_PARAMETER);
    for (i = 0; i < WEIGHTS; i++) CHECK(nn_parameters(model)[i] == (nn_real)0.1 * (nn_real)(i + 1));
    nn_model_free(model);
}

/* Each output has a scale of its own, in every layer. */
static void test_quantize_outputs(void)
{
    const nn_layer layers[] = {NN_DENSE(3, NN_TANH), NN_DENSE(2, NN_LINEAR)};
    const nn_real before[] = {1,  100, 0,           /* W [2 x 3] */
                              -2, 50,  0, 1, 2, 3,  /* b */
                              8,  1,                /* W [3 x 2] */
                              4,  -1,  2, 1, 5, 6}; /* b */
    nn_model *model;
    nn_real *p;

    CHECK(nn_model_create(&model, 2, layers, 2, 1) == NN_OK);
    p = nn_parameters(model);
    CHECK(nn_parameter_count(model) == NN__COUNT(before));
    memcpy(p, before, sizeof before);
    CHECK(nn_quantize(model) == NN_OK);
    CHECK_NEAR(p[0], 2.0 * 63 / 127, 1e-4, 0); /* 1 is just below 63.5 scales, rounded up */
    CHECK_NEAR(p[3], -2, 1e-4, 0);
    CHECK_NEAR(p[1], 100, 1e-4, 0);
    CHECK_NEAR(p[4], 100.0 * 63 / 127, 1e-4, 0);
    CHECK(p[2] == 0 && p[5] == 0);
    CHECK(!memcmp(p + 6, before + 6, 3 * sizeof *p) && !memcmp(p + 15, before + 15, 2 * sizeof *p));
    CHECK_NEAR(p[9], 8, 1e-4, 0);
    CHECK_NEAR(p[13], 8.0 * 32 / 127, 1e-4, 0);
    CHECK_NEAR(p[10], 1, 1e-4, 0);
    CHECK_NEAR(p[12], -1, 1e-4, 0);
    nn_model_free(model);
}

/* The weights of all pixels of a kernel share the scale of their channel of the output. */
static void test_quantize_channels(void)
{
    const nn_layer layers[] = {NN_IMAGE(2, 2, 1), NN_CONV2D(2, 2, 1, NN_PADDING_SAME, NN_LINEAR),
                               NN_MAX_POOL2D(2, 0), NN_DENSE(1, NN_LINEAR)};
    const nn_real before[] = {127,
                              5,
                              (nn_real)0.6,
                              -254,
                              1,
                              3,
                              (nn_real)-3.4,
                              4,
                              7,
                              9, /* W, b */
                              (nn_real)12.7,
                              0,
                              11};
    const nn_real after[] = {127, 6, 1, -254, 1, 4, -3, 4, 7, 9, (nn_real)12.7, 0, 11};
    nn_model *model = make_model(4, layers, 4, 1);
    int i;

    CHECK(nn_parameter_count(model) == NN__COUNT(before));
    memcpy(nn_parameters(model), before, sizeof before);
    CHECK(nn_quantize(model) == NN_OK);
    for (i = 0; i < NN__COUNT(after); i++)
        CHECK_NEAR(nn_parameters(model)[i], after[i], i < 10 ? 0 : 1e-4, 0);
    nn_model_free(model);
}

/* The arrays on the stack hold images without padding; the comment counts their numbers, and
   describes the layers. */
static void test_manual_of_images(void)
{
    static const char *const lines[] = {
        "       layers      image 4x3x2\n"
        "                   convolution 5 3x2 stride 2x1 same relu\n"
        "                   average_pool 2x2 stride 1x1\n"
        "                   global_average\n"
        "                   dense 3 linear\n"
        "       parameters  83\n",
        "hold 40 numbers"}; /* 30 of the convolution and 10 of the pool */
    const nn_layer layers[] = {NN_IMAGE(4, 3, 2),
                               NN_CONVOLUTION(5, 3, 2, 2, 1, NN_PADDING_SAME, NN_RELU),
                               NN_AVERAGE_POOL2D(2, 1), NN_GLOBAL_AVERAGE, NN_DENSE(3, NN_LINEAR)};
    static char text[20000];
    nn_model *model = make_model(24, layers, 5, 1);
    size_t size;
    int i;

    CHECK(nn_export_c_memory(model, NULL, text, sizeof text - 1, &size) == NN_OK);
    text[size] = 0;
    for (i = 0; i < COUNT_OF(lines); i++) CHECK(strstr(text, lines[i]));
    nn_model_free(model);
}

int main(int argc, char **argv)
{
    if (argc > 1) seed = strtoul(argv[1], NULL, 10);
    RUN(test_functions_are_nn_predict);
    RUN(test_the_same_text);
    RUN(test_int8_of_quantized);
    RUN(test_constants);
    RUN(test_names);
    RUN(test_class_names);
    RUN(test_capacity);
    RUN(test_path);
    RUN(test_opened);
    RUN(test_quantize_any_magnitude);
    RUN(test_quantize_at_the_edges);
    RUN(test_quantize_halves);
    RUN(test_quantize_zeros_and_errors);
    RUN(test_quantize_outputs);
    RUN(test_quantize_channels);
    RUN(test_manual_of_images);
    CHECK(live_blocks == 0);
    return test_done();
}
