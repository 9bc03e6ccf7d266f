/* Large models, whose headers are some MB long, are saved and loaded. Files that do not end, or
   that announce more than they have, are refused before much is read and before much memory is
   asked for. */
#define NN_IMPLEMENTATION /* with a function that reads in place of the C library's */
#include "../test.h"

/* Behind the end of a file, `endless` goes on, again and again; an empty text is the end. */
static const char *endless = "";
static size_t endless_at;
static double bytes_read;

static size_t read_on(void *buffer, size_t size, FILE *file)
{
    unsigned char *at = (unsigned char *)buffer;
    size_t got = fread(buffer, 1, size, file);
    for (; *endless && got < size; endless_at++) {
        if (!endless[endless_at]) endless_at = 0;
        at[got++] = (unsigned char)(endless[endless_at] == '0' ? 0 : endless[endless_at]);
    }
    bytes_read += (double)got;
    return got;
}
#define NN_FREAD(buffer, size, file) read_on(buffer, size, file)

#include "files.h"

/* ---- Large models ---------------------------------------------------------------------------- */

/* Trains a little, saves and loads; the loaded model predicts and saves the same. */
static void save_and_load(nn_model *model, int inputs, nn_scaling scaling)
{
    enum { ROWS = 3 };
    nn_real *x = (nn_real *)malloc(ROWS * (size_t)inputs * sizeof *x), y[ROWS], again[ROWS];
    const char *path = temporary("large");
    nn_model *loaded = NULL;
    nn_options how;
    nn_data data;
    nn_location place;
    bytes first, second;
    int i;

    if (!CHECK(x != NULL)) exit(2);
    for (i = 0; i < ROWS * inputs; i++) x[i] = (nn_real)(i % 7) / 4;
    for (i = 0; i < ROWS; i++) y[i] = (nn_real)i;
    memset(&data, 0, sizeof data);
    data.rows = ROWS;
    data.inputs = inputs;
    data.outputs = 1;
    data.x = x;
    data.y = y;
    memset(&how, 0, sizeof how);
    how.epochs = 1;
    how.scaling = scaling;
    how.learning_rate = (nn_real)1e-6;
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK(nn_save(model, path) == NN_OK);
    CHECK(nn_load(&loaded, path, &place) == NN_OK);
    CHECK(nn_predict(model, x, ROWS, y, NULL) == NN_OK);
    CHECK(nn_predict(loaded, x, ROWS, again, NULL) == NN_OK);
    CHECK(!memcmp(y, again, sizeof y));
    CHECK(!memcmp(nn_parameters(model), nn_parameters(loaded),
                  nn_parameter_count(model) * sizeof(nn_real)));
    first = save_model(model);
    second = save_model(loaded);
    CHECK(same_bytes(first, second));
    CHECK(nn_initialize(loaded, NN_INITIALIZE_DEFAULT, 9) == NN_OK);
    CHECK(nn_load_parameters(loaded, path, NULL, &place) == NN_OK);
    CHECK(!memcmp(nn_parameters(model), nn_parameters(loaded),
                  nn_parameter_count(model) * sizeof(nn_real)));
    free(first.at);
    free(second.at);
    free(x);
    nn_model_free(loaded);
    nn_model_free(model);
}

static void test_many_layers(void)
{
    enum { MOST = 3000 };
    static nn_layer layers[MOST];
    static const int counts[] = {1100, MOST};
    int i;

    for (i = 0; i < MOST; i++) layers[i] = dense_layer(1, i % 2 ? NN_TANH : NN_LINEAR);
    for (i = 0; i < 2; i++) save_and_load(make_model(2, layers, counts[i], 1), 2, NN_SCALE_NONE);
}

static void test_many_inputs(void)
{
    const nn_layer layer = dense_layer(1, NN_LINEAR);
    save_and_load(make_model(140000, &layer, 1, 1), 140000, NN_SCALE_STANDARD);
}

/* More metadata than a header can hold, beside a scaling or without one. */
static void test_long_metadata(void)
{
    enum { LENGTH = 100000000 };
    char *text = (char *)malloc(LENGTH + 1);
    int scaled;

    if (!CHECK(text != NULL)) return;
    memset(text, 'a', LENGTH);
    text[LENGTH] = 0;
    for (scaled = 0; scaled < 2; scaled++) {
        static const nn_real x[2] = {1, 2};
        const nn_data data = make_data(x, NULL, 2, 1, 0);
        nn_model *model = make_unit(NN_LINEAR, 1, 0);
        size_t size = 0;
        if (scaled) CHECK(nn_fit_scaling(model, &data, NN_SCALE_STANDARD) == NN_OK);
        CHECK(nn_set_metadata(model, "notes", text) == NN_OK);
        CHECK(nn_save(model, temporary("large")) == NN_ERROR_OVERFLOW);
        CHECK(nn_set_metadata(model, "notes", "short") == NN_OK);
        CHECK(nn_save_memory(model, NULL, 0, &size) == NN_OK && size > 0);
        nn_model_free(model);
    }
    free(text);
}

/* A list of as many names. */
static void test_many_names(void)
{
    enum { COUNT = 1100 };
    static nn_layer layers[COUNT];
    static char texts[COUNT][8];
    static const char *names[COUNT];
    nn_model *model, *other;
    bytes file;
    int i;

    for (i = 0; i < COUNT; i++) {
        layers[i] = dense_layer(1, NN_LINEAR);
        sprintf(texts[i], "%d", COUNT - 1 - i);
        names[i] = texts[i];
    }
    model = make_model(1, layers, COUNT, 1);
    other = make_model(1, layers, COUNT, 2);
    file = save_model(model);
    CHECK(nn_load_parameters_memory(other, file.at, file.size, names, NULL) == NN_OK);
    for (i = 0; i < COUNT; i++)
        CHECK(!memcmp(nn_parameters(model) + 2 * i, nn_parameters(other) + 2 * (COUNT - 1 - i),
                      2 * sizeof(nn_real)));
    nn_model_free(model);
    nn_model_free(other);
    free(file.at);
}

/* ---- Files that do not end ------------------------------------------------------------------- */

/* All functions that load a file refuse it with the status, and read and allocate no more. */
static void refuse(const void *file, size_t size, const char *tail, nn_status status, double most)
{
    static const nn_layer layer[] = {NN_DENSE(1, NN_LINEAR)};
    const char *path = temporary("endless");
    nn_model *model = make_model(2, layer, 1, 1), *loaded = NULL;
    nn_trainer *trainer = NULL;
    nn_location place;
    int which;

    write_file(path, file, size);
    CHECK(nn_trainer_create(&trainer, model, NULL) == NN_OK);
    for (which = 0; which < 3; which++) {
        nn_status got;
        memset(&place, 0xa5, sizeof place);
        bytes_read = 0;
        largest_block = 0;
        endless = tail;
        endless_at = 0;
        if (which == 0)
            got = nn_load(&loaded, path, &place);
        else if (which == 1)
            got = nn_load_parameters(model, path, NULL, &place);
        else
            got = nn_load_checkpoint(trainer, path, &place);
        endless = "";
        if (!CHECK(got == status) || !CHECK(bytes_read <= most))
            printf("%d: status %d after %.0f bytes\n", which, (int)got, bytes_read);
        CHECK(!loaded && (double)largest_block <= 2 * most + 32768);
        CHECK(place.path && !strcmp(place.path, path));
    }
    nn_trainer_free(trainer);
    nn_model_free(model);
}

/* A header and its length in front of it. */
static bytes with_length(uint64_t length, const char *header)
{
    bytes b = make_bytes(8 + strlen(header));
    put_length(b.at, length);
    memcpy(b.at + 8, header, strlen(header));
    return b;
}

static void test_endless(void)
{
    static const struct beginning {
        uint64_t length; /* of the header; 0: its true length */
        const char *header, *tail;
        nn_status status;
        double most;
    } files[] = {
        {0, "", "0", NN_ERROR_HEADER, 8},
        {0, "", "{}", NN_ERROR_HEADER, 8},
        {100000001, "", " ", NN_ERROR_HEADER, 8},
        {UINT64_C(0xffffffffffffffff), "", " ", NN_ERROR_HEADER, 8},
        {UINT64_C(0x100000000), "", " ", NN_ERROR_HEADER, 8},
        {1000000, "{", "{", NN_ERROR_HEADER, 1000008},
        {100000000, "{}", "", NN_ERROR_TRUNCATED, 10}, /* says 100 MB and has 2 bytes */
        {0, "{}", "0", NN_ERROR_TRUNCATED, 11},
        {0, "{\"a\":{\"dtype\":\"U8\",\"shape\":[9],\"data_offsets\":[1,10]}}", "0",
         NN_ERROR_HEADER, 100},
        {0, "{\"a\":{\"dtype\":\"U8\",\"shape\":[9],\"data_offsets\":[0,9]}}", "0",
         NN_ERROR_TRUNCATED, 100},
        {0, "{\"a\":{\"dtype\":\"U8\",\"shape\":[99999],\"data_offsets\":[0,99999]}}", "0",
         NN_ERROR_TRUNCATED, 101000},
        /* says a terabyte and has nothing */
        {0,
         "{\"a\":{\"dtype\":\"U8\",\"shape\":[1000000000000],\"data_offsets\":[0,1000000000000]}}",
         "", sizeof(size_t) > 4 ? NN_ERROR_TRUNCATED : NN_ERROR_HEADER, 100},
    };
    int i;

    for (i = 0; i < COUNT_OF(files); i++) {
        const uint64_t length = files[i].length ? files[i].length : strlen(files[i].header);
        bytes b = with_length(*files[i].header || files[i].length ? length : 0, files[i].header);
        if (i == 1) memset(b.at, '{', 8); /* text in place of the length */
        refuse(b.at, b.size, files[i].tail, files[i].status, files[i].most);
        free(b.at);
    }
    refuse("", 0, "", NN_ERROR_TRUNCATED, 0);
}

/* A whole file of ours with more behind it: one byte more is read. */
static void test_tail(void)
{
    static const nn_layer layer[] = {NN_DENSE(1, NN_LINEAR)};
    nn_model *model = make_model(2, layer, 1, 1), *loaded = NULL;
    bytes file = save_model(model);
    const char *path = temporary("tail");

    refuse(file.at, file.size, "0", NN_ERROR_TRUNCATED, (double)file.size + 1);
    refuse(file.at, file.size - 1, "", NN_ERROR_TRUNCATED, (double)file.size - 1);
    write_file(path, file.at, file.size);
    bytes_read = 0;
    CHECK(nn_load(&loaded, path, NULL) == NN_OK && bytes_read == (double)file.size);
    nn_model_free(loaded);
    nn_model_free(model);
    free(file.at);
}

/* IDX files too are read no further than their headers say. */
static void test_idx(void)
{
    static const struct beginning {
        const char *images, *labels, *tail;
        size_t size, label_size;
        nn_status status;
        double most;
    } files[] = {
        {"", "", "0", 0, 0, NN_ERROR_IDX_MAGIC, 4},
        {"\0\0\10\3", "", "0", 4, 0, NN_ERROR_IDX_SIZE, 16},
        {"\0\0\10\377", "", "0", 4, 0, NN_ERROR_IDX_SIZE, 1024},
        {"\0\0\10\3\0\0\0\1\0\0\0\1\0\0\0\1", "", "0", 16, 0, NN_ERROR_IDX_SIZE, 18},
        {"\0\0\10\3\177\377\377\377\0\0\0\1\0\0\0\1", "", "", 16, 0, NN_ERROR_IDX_SIZE, 16},
        {"\0\0\10\3\0\0\0\1\0\0\0\1\0\0\0\1x", "\0\0\10\1\0\0\0\2", "", 17, 8, NN_ERROR_IDX_SIZE,
         25},
    };
    int i;

    for (i = 0; i < COUNT_OF(files); i++) {
        nn_data data;
        nn_status status;
        write_file(temporary("images"), files[i].images, files[i].size);
        write_file(temporary("labels"), files[i].labels, files[i].label_size);
        bytes_read = 0;
        largest_block = 0;
        endless = files[i].tail;
        status = nn_read_idx(&data, temporary("images"), temporary("labels"), 0, NULL);
        endless = "";
        CHECK(status == files[i].status && bytes_read <= files[i].most && largest_block <= 65536);
    }
}

int main(void)
{
    test_any_backend(); /* files are the same with each */
    RUN(test_many_layers);
    RUN(test_many_inputs);
    RUN(test_long_metadata);
    RUN(test_many_names);
    RUN(test_endless);
    RUN(test_tail);
    RUN(test_idx);
    remove(temporary("large"));
    remove(temporary("endless"));
    remove(temporary("tail"));
    remove(temporary("images"));
    remove(temporary("labels"));
    return test_done();
}
