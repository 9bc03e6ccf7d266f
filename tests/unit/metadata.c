/* Metadata: pairs that a model carries with it, names of inputs and classes, and the checks that
   names make possible. */
#include "files.h"

static nn_model *make_net(int outputs)
{
    nn_layer layers[2];
    layers[0] = dense_layer(4, NN_TANH);
    layers[1] = dense_layer(outputs, NN_LINEAR);
    return make_model(3, layers, 2, 1);
}

/* Of texts that may be NULL. */
static int same_text(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

/* ---- Pairs ----------------------------------------------------------------------------------- */

static void test_set_and_get(void)
{
    nn_model *model = make_net(2);
    char key[] = "author", value[] = "Ada";
    const char *stored;

    CHECK(nn_metadata(model, "author") == NULL);
    CHECK(nn_set_metadata(model, key, value) == NN_OK);
    key[0] = value[0] = '?'; /* both are copied */
    stored = nn_metadata(model, "author");
    CHECK(same_text(stored, "Ada"));
    CHECK(nn_set_metadata(model, "licence", "MIT") == NN_OK);
    CHECK(nn_set_metadata(model, "a", "") == NN_OK);
    CHECK(nn_metadata(model, "author") == stored); /* it stays where it is */
    CHECK(same_text(nn_metadata(model, "a"), ""));
    CHECK(nn_set_metadata(model, "author", "Grace") == NN_OK);
    CHECK(same_text(nn_metadata(model, "author"), "Grace"));
    CHECK(nn_set_metadata(model, "author", NULL) == NN_OK);
    CHECK(nn_metadata(model, "author") == NULL);
    CHECK(nn_set_metadata(model, "author", NULL) == NN_OK);
    CHECK(same_text(nn_metadata(model, "licence"), "MIT"));
    CHECK(nn_metadata(model, "licenc") == NULL && nn_metadata(model, "licences") == NULL);
    CHECK(nn_set_metadata(NULL, "a", "b") == NN_ERROR_NULL);
    CHECK(nn_set_metadata(model, NULL, "b") == NN_ERROR_NULL);
    CHECK(nn_metadata(NULL, "a") == NULL && nn_metadata(model, NULL) == NULL);
    nn_model_free(model);
}

static void test_refused(void)
{
    static const char *const keys[] = {"", "format", "nn.", "nn.widths", "\xff", "a\xc3"};
    static const char *const texts[] = {"\x80",
                                        "\xbf",
                                        "\xc0\x80",
                                        "\xc1\xbf",
                                        "\xc2",
                                        "\xc2 ",
                                        "\xe0\x9f\xbf",
                                        "\xed\xa0\x80",
                                        "\xed\xbf\xbf",
                                        "\xe2\x82",
                                        "\xe2\x82 ",
                                        "\xf0\x8f\xbf\xbf",
                                        "\xf4\x90\x80\x80",
                                        "\xf5\x80\x80\x80",
                                        "Gr\xf6\xdf"
                                        "e",
                                        "\xf0\x9f\x98"};
    static const char *const good[] = {"\x01\x1f\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "formats",
                                       "nn"};
    nn_model *model = make_net(2);
    int i;

    CHECK(nn_set_metadata(model, "a", "kept") == NN_OK);
    for (i = 0; i < COUNT_OF(keys); i++) {
        CHECK(nn_set_metadata(model, keys[i], "b") == NN_ERROR_METADATA);
        CHECK(nn_set_metadata(model, keys[i], NULL) == NN_ERROR_METADATA);
        CHECK(nn_metadata(model, keys[i]) == NULL);
    }
    for (i = 0; i < COUNT_OF(texts); i++) {
        CHECK(nn_set_metadata(model, "a", texts[i]) == NN_ERROR_METADATA);
        CHECK(nn_set_metadata(model, texts[i], "a") == NN_ERROR_METADATA);
    }
    CHECK(same_text(nn_metadata(model, "a"), "kept"));
    for (i = 0; i < COUNT_OF(good); i++) {
        CHECK(nn_set_metadata(model, good[i], good[i]) == NN_OK);
        CHECK(same_text(nn_metadata(model, good[i]), good[i]));
    }
    nn_model_free(model);
}

/* ---- Names ----------------------------------------------------------------------------------- */

static void test_rows_of_names(void)
{
    static const char *const wrong[] = {"a,b\"",  "a,\"b",     "a,\"b\"c", "a,b\nc",
                                        "a,b\rc", "a,\"b\"\"", "\"a,b"};
    nn_model *model = make_net(2);
    const char *name;
    int i;

    CHECK(nn_class_name(model, 0) == NULL && nn_input_name(model, 0) == NULL);
    CHECK(nn_set_metadata(model, "class_names", "no,yes") == NN_OK);
    name = nn_class_name(model, 1);
    CHECK(same_text(name, "yes") && same_text(nn_class_name(model, 0), "no"));
    CHECK(!nn_class_name(model, -1) && !nn_class_name(model, 2) && !nn_class_name(NULL, 0));
    CHECK(nn_input_name(model, 0) == NULL);
    CHECK(nn_set_metadata(model, "input_names", "a,\"b,\"\"\n\",") == NN_OK);
    CHECK(same_text(nn_input_name(model, 0), "a"));
    CHECK(same_text(nn_input_name(model, 1), "b,\"\n"));
    CHECK(same_text(nn_input_name(model, 2), ""));
    CHECK(!nn_input_name(model, 3) && nn_class_name(model, 1) == name);
    for (i = 0; i < COUNT_OF(wrong); i++)
        CHECK(nn_set_metadata(model, "class_names", wrong[i]) == NN_ERROR_METADATA);
    CHECK(nn_set_metadata(model, "input_names", "a,b") == NN_ERROR_SHAPE);
    CHECK(nn_set_metadata(model, "input_names", "a,b,c,d") == NN_ERROR_SHAPE);
    CHECK(nn_set_metadata(model, "class_names", "") == NN_ERROR_LABEL);
    CHECK(nn_set_metadata(model, "class_names", "a,b,c") == NN_ERROR_LABEL);
    CHECK(nn_class_name(model, 1) == name);
    CHECK(nn_set_metadata(model, "class_names", NULL) == NN_OK);
    CHECK(nn_class_name(model, 0) == NULL && same_text(nn_input_name(model, 0), "a"));
    nn_model_free(model);

    model = make_net(1); /* two classes have one output */
    CHECK(nn_set_metadata(model, "class_names", "no,\"\"") == NN_OK);
    CHECK(same_text(nn_class_name(model, 1), ""));
    nn_model_free(model);
}

enum { DATA_ROWS = 12 };
static nn_real data_x[DATA_ROWS * 3], data_y[DATA_ROWS * 2];

/* Of three inputs and two classes, one-hot. */
static nn_data named_data(const char *const *input_names, const char *const *class_names)
{
    nn_data data = make_data(data_x, data_y, DATA_ROWS, 3, 2);
    int i;
    for (i = 0; i < DATA_ROWS * 3; i++) data_x[i] = (nn_real)((i * 7) % 11) - 5;
    for (i = 0; i < DATA_ROWS * 2; i++) data_y[i] = (i / 2 + i) % 2;
    data.classes = 2;
    data.input_names = input_names;
    data.class_names = class_names;
    return data;
}

static nn_status measure(const nn_model *model, const nn_data *data)
{
    nn_metrics metrics;
    return nn_evaluate(model, data, NULL, &metrics);
}

static const char *const sizes[] = {"height", "width, \"left\"", "depth"};
static const char *const turned[] = {"width, \"left\"", "height", "depth"};
static const char *const numbered[] = {"x1", "x2", "x3"};
static const char *const numbered_turned[] = {"x2", "x1", "x3"};
static const char *const animals[] = {"cat", "dog"};
static const char *const swapped[] = {"dog", "cat"};

/* nn_fit keeps the names and the recipe of the data; a second one with the same leaves them where
   they are. */
static void test_fit_keeps_names(void)
{
    nn_model *model = make_net(2), *copy = NULL;
    nn_data data = named_data(sizes, animals), none = named_data(NULL, NULL);
    nn_options how = make_options(NN_MSE, NN_SGD, 0.01);
    const char *name, *recipe;

    how.epochs = 1;
    data.recipe = "how\n";
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK(same_text(nn_metadata(model, "input_names"), "height,\"width, \"\"left\"\"\",depth"));
    CHECK(same_text(nn_metadata(model, "class_names"), "cat,dog"));
    CHECK(same_text(nn_metadata(model, "recipe"), "how\n"));
    name = nn_input_name(model, 1);
    recipe = nn_metadata(model, "recipe");
    CHECK(same_text(name, sizes[1]) && same_text(nn_class_name(model, 1), "dog"));
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK(nn_fit(model, &none, &how) == NN_OK);
    CHECK(nn_input_name(model, 1) == name && nn_metadata(model, "recipe") == recipe);
    data.recipe = "another";
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK(same_text(nn_metadata(model, "recipe"), "another") && nn_input_name(model, 1) == name);
    CHECK(nn_model_copy(&copy, model) == NN_OK);
    nn_model_free(model);
    CHECK(same_text(nn_class_name(copy, 0), "cat") && same_text(nn_input_name(copy, 2), "depth"));
    CHECK(same_text(nn_metadata(copy, "recipe"), "another"));
    nn_model_free(copy);

    model = make_net(2);
    data.recipe = "\xff";
    CHECK(nn_fit(model, &data, &how) == NN_ERROR_METADATA);
    CHECK(!nn_metadata(model, "input_names") && !nn_metadata(model, "class_names"));
    data.recipe = NULL;
    how.batch_size = 1;
    CHECK(nn_fit(model, &none, &how) == NN_OK && !nn_metadata(model, "class_names"));
    nn_model_free(model);
}

/* Data whose columns or classes are in another order are refused wherever data meet a model. */
static void test_other_names(void)
{
    nn_model *model = make_net(2);
    const nn_data data = named_data(sizes, animals), columns = named_data(turned, animals);
    const nn_data classes = named_data(sizes, swapped), none = named_data(NULL, NULL);
    const char *const missing[] = {"height", NULL, "depth"};
    const nn_data broken = named_data(missing, NULL);
    nn_options how = make_options(NN_MSE, NN_SGD, 0.01);
    nn_trainer *trainer = NULL;
    nn_real loss, y[64];
    int matrix[4];

    how.epochs = 1;
    CHECK(nn_fit(model, &broken, &how) == NN_ERROR_NULL);
    CHECK(measure(model, &columns) == NN_OK); /* the model has no names yet */
    how.validation = &columns;
    CHECK(nn_fit(model, &data, &how) == NN_ERROR_SHAPE); /* but training and validation have */
    how.validation = &classes;
    CHECK(nn_fit(model, &data, &how) == NN_ERROR_LABEL);
    CHECK(!nn_metadata(model, "input_names"));
    how.validation = NULL;
    CHECK(nn_fit(model, &data, &how) == NN_OK);

    CHECK(measure(model, &data) == NN_OK && measure(model, &none) == NN_OK);
    CHECK(measure(model, &columns) == NN_ERROR_SHAPE);
    CHECK(measure(model, &classes) == NN_ERROR_LABEL);
    CHECK(nn_confusion_matrix(model, &data, matrix) == NN_OK);
    CHECK(nn_confusion_matrix(model, &columns, matrix) == NN_ERROR_SHAPE);
    CHECK(nn_confusion_matrix(model, &classes, matrix) == NN_ERROR_LABEL);
    CHECK(data.rows * 2 <= COUNT_OF(y));
    CHECK(nn_predict_data(model, &data, y, NULL) == NN_OK);
    CHECK(nn_predict_data(model, &columns, y, NULL) == NN_ERROR_SHAPE);
    CHECK(nn_predict_data(model, &classes, y, NULL) == NN_OK); /* these it does not use */
    CHECK(nn_fit_scaling(model, &columns, NN_SCALE_STANDARD) == NN_ERROR_SHAPE);
    CHECK(nn_fit(model, &columns, &how) == NN_ERROR_SHAPE);
    CHECK(nn_fit(model, &classes, &how) == NN_ERROR_LABEL);
    how.validation = &columns;
    CHECK(nn_fit(model, &data, &how) == NN_ERROR_SHAPE);
    how.validation = &classes;
    CHECK(nn_fit(model, &none, &how) == NN_ERROR_LABEL);
    how.validation = NULL;
    CHECK(nn_trainer_create(&trainer, model, &how) == NN_OK);
    CHECK(nn_accumulate(trainer, &columns, &loss) == NN_ERROR_SHAPE);
    CHECK(nn_trainer_fit(trainer, &columns) == NN_ERROR_SHAPE);
    nn_trainer_free(trainer);

    /* who means it removes the names first */
    CHECK(nn_set_metadata(model, "input_names", NULL) == NN_OK);
    CHECK(nn_fit(model, &columns, &how) == NN_OK);
    CHECK(same_text(nn_input_name(model, 1), "height"));
    nn_model_free(model);
}

/* Names that a reader makes up for a table without a header say nothing, but x2 is not x1. */
static void test_made_up_names(void)
{
    const nn_data real = named_data(sizes, NULL), made_up = named_data(numbered, NULL);
    const nn_data other = named_data(numbered_turned, NULL);
    nn_options how = make_options(NN_MSE, NN_SGD, 0.01);
    nn_model *model = make_net(2);

    how.epochs = 1;
    CHECK(nn_fit(model, &made_up, &how) == NN_OK);
    CHECK(same_text(nn_input_name(model, 1), "x2"));
    CHECK(measure(model, &real) == NN_OK && measure(model, &made_up) == NN_OK);
    CHECK(measure(model, &other) == NN_ERROR_SHAPE);
    CHECK(nn_fit(model, &real, &how) == NN_OK);
    CHECK(same_text(nn_input_name(model, 1), sizes[1])); /* the better name */
    CHECK(nn_fit(model, &made_up, &how) == NN_OK);
    CHECK(same_text(nn_input_name(model, 1), sizes[1]));
    CHECK(measure(model, &made_up) == NN_OK && measure(model, &other) == NN_ERROR_SHAPE);
    nn_model_free(model);
}

/* ---- Files ----------------------------------------------------------------------------------- */

static const char strange[] =
    "\x01\t\n\r\x1f \"\\/\x7f \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \\u0041";

/* A model with metadata of every kind. */
static nn_model *make_named(void)
{
    nn_model *model = make_net(2);
    CHECK(nn_set_metadata(model, "zeta", strange) == NN_OK);
    CHECK(nn_set_metadata(model, strange, "value") == NN_OK);
    CHECK(nn_set_metadata(model, "author", "") == NN_OK);
    CHECK(nn_set_metadata(model, "class_names", "cat,\"dog, big\"") == NN_OK);
    CHECK(nn_set_metadata(model, "input_names", "a,b,\xc3\xa9") == NN_OK);
    return model;
}

static int has_all(const nn_model *model)
{
    return same_text(nn_metadata(model, "zeta"), strange) &&
           same_text(nn_metadata(model, strange), "value") &&
           same_text(nn_metadata(model, "author"), "") &&
           same_text(nn_class_name(model, 1), "dog, big") &&
           same_text(nn_input_name(model, 2), "\xc3\xa9");
}

static void test_save_and_load(void)
{
    nn_model *model = make_named(), *loaded = NULL, *other = make_net(2);
    bytes file = save_model(model), again;

    CHECK(nn_load_memory(&loaded, file.at, file.size, NULL) == NN_OK);
    CHECK(has_all(loaded) && same_predictions(model, loaded));
    again = save_model(loaded);
    CHECK(same_bytes(file, again));
    free(again.at);
    CHECK(nn_set_metadata(loaded, "author", "Ada") == NN_OK);
    CHECK(nn_set_metadata(loaded, "author", NULL) == NN_OK);
    again = save_model(loaded);
    CHECK(!same_bytes(file, again));
    free(again.at);
    nn_model_free(loaded);

    /* a file of ours replaces all pairs, and nothing where it is refused */
    CHECK(nn_set_metadata(other, "old", "one") == NN_OK);
    file.at[file.size - 1] ^= 1;
    CHECK(nn_load_parameters_memory(other, file.at, file.size, NULL, NULL) == NN_ERROR_CHECKSUM);
    CHECK(same_text(nn_metadata(other, "old"), "one") && !nn_metadata(other, "zeta"));
    file.at[file.size - 1] ^= 1;
    CHECK(nn_load_parameters_memory(other, file.at, file.size, NULL, NULL) == NN_OK);
    CHECK(has_all(other) && !nn_metadata(other, "old"));
    nn_model_free(other);
    nn_model_free(model);
    free(file.at);
}

static void test_checkpoint(void)
{
    nn_model *model = make_named(), *other = make_net(2);
    const nn_options how = make_options(NN_MSE, NN_ADAM, 0.01);
    nn_trainer *trainer = NULL, *into = NULL;
    bytes file, again;

    CHECK(nn_trainer_create(&trainer, model, &how) == NN_OK);
    CHECK(nn_trainer_create(&into, other, &how) == NN_OK);
    CHECK(nn_set_metadata(other, "old", "one") == NN_OK);
    file = save_trainer(trainer);
    CHECK(nn_load_checkpoint_memory(into, file.at, file.size, NULL) == NN_OK);
    CHECK(has_all(other) && !nn_metadata(other, "old"));
    again = save_trainer(into);
    CHECK(same_bytes(file, again));
    nn_trainer_free(trainer);
    nn_trainer_free(into);
    nn_model_free(model);
    nn_model_free(other);
    free(file.at);
    free(again.at);
}

/* The order of the calls does not show in a file. */
static void test_order(void)
{
    static const char *const keys[] = {"b", "a", "c", "B", "\xc3\xa9", "ab", "", "d"};
    nn_model *models[2];
    bytes files[2];
    int i, k;
    for (k = 0; k < 2; k++) {
        models[k] = make_net(2);
        for (i = 0; i < COUNT_OF(keys); i++) {
            const char *key = keys[k ? COUNT_OF(keys) - 1 - i : i];
            CHECK(nn_set_metadata(models[k], key, "v") == (*key ? NN_OK : NN_ERROR_METADATA));
        }
        files[k] = save_model(models[k]);
    }
    CHECK(same_bytes(files[0], files[1]));
    for (k = 0; k < 2; k++) {
        nn_model_free(models[k]);
        free(files[k].at);
    }
}

/* Every bit of the pairs is under the checksum. */
static void test_damage(void)
{
    nn_model *model = make_named(), *loaded = NULL, *opened = NULL;
    bytes file = save_model(model), memory;
    size_t at, end = 8 + header_size(file), length;
    unsigned char *crc = find_value(file, "nn.crc32", &length);
    int bit;

    memory = make_bytes(nn_model_open_size(file.at, file.size));
    CHECK(memory.size > 0 && crc && length == 8);
    for (at = crc ? (size_t)(crc - file.at) : end; at < end; at++)
        for (bit = 0; bit < 8; bit++) {
            file.at[at] ^= (unsigned char)(1 << bit);
            CHECK(nn_load_memory(&loaded, file.at, file.size, NULL) != NN_OK && !loaded);
            CHECK(nn_model_open_in(&opened, memory.at, memory.size, file.at, file.size) != NN_OK);
            file.at[at] ^= (unsigned char)(1 << bit);
        }
    CHECK(nn_model_open_in(&opened, memory.at, memory.size, file.at, file.size) == NN_OK);
    CHECK(same_predictions(model, opened));
    CHECK(nn_metadata(opened, "zeta") == NULL); /* they stay in the file */
    CHECK(nn_set_metadata(opened, "class_names", "x,y") == NN_OK);
    CHECK(same_text(nn_class_name(opened, 1), "y"));
    nn_model_free(opened);
    nn_model_free(model);
    free(memory.at);
    free(file.at);
}

/* What nn_save never writes, under a checksum that is right. */
static void test_hostile_pairs(void)
{
    static const char *const refused[] = {",\"a\":\"1\",\"a\":\"2\"",
                                          ",\"b\":\"\",\"a\":\"\"",
                                          ",\"\":\"\"",
                                          ",\"a\":\"\\u0000\"",
                                          ",\"a\\u0000\":\"\"",
                                          ",\"format\":\"pt\"",
                                          ",\"a\":1",
                                          ",\"a\":\"\\ud800\"",
                                          ",\"a\":\"\xff\"",
                                          ",\"a\":\"\n\"",
                                          ",\"a\"",
                                          ",\"class_names\":\"a,b,c\"",
                                          ",\"input_names\":\"a\"",
                                          ",\"class_names\":\"\\\"\""};
    static const char *const taken[] = {
        ",\"nn.new\":\"1\",\"a\":\"\\u0041\\ud83d\\ude00\\u20AC\\/\"",
        ", \"a\" : \"A\xf0\x9f\x98\x80\xe2\x82\xac/\" "};
    nn_model *model = make_net(2), *loaded = NULL;
    bytes file = save_model(model), edited;
    int i;

    for (i = 0; i < COUNT_OF(refused); i++) {
        edited = with_pairs(file, refused[i]);
        CHECK(nn_load_memory(&loaded, edited.at, edited.size, NULL) != NN_OK && !loaded);
        CHECK(nn_load_parameters_memory(model, edited.at, edited.size, NULL, NULL) != NN_OK);
        free(edited.at);
    }
    for (i = 0; i < COUNT_OF(taken); i++) {
        edited = with_pairs(file, taken[i]);
        CHECK(nn_load_memory(&loaded, edited.at, edited.size, NULL) == NN_OK);
        CHECK(same_text(nn_metadata(loaded, "a"), "A\xf0\x9f\x98\x80\xe2\x82\xac/"));
        nn_model_free(loaded);
        free(edited.at);
    }
    nn_model_free(model);
    free(file.at);
}

/* Whether the file has a value for the key, exactly this one. */
static int has_value(bytes file, const char *key, const char *value)
{
    size_t length;
    const unsigned char *at = find_value(file, key, &length);
    return at && length == strlen(value) && !memcmp(at, value, length);
}

/* The scaling stands in a file as decimal numbers too, in front of the user's pairs. */
static void test_decimal_numbers(void)
{
    static const nn_real mean[] = {(nn_real)0.1, -(nn_real)2.5, 1000000};
    static const nn_real deviation[] = {(nn_real)0.5, 4, 1024};
    nn_model *model = make_named(), *loaded = NULL;
    bytes file = save_model(model), again;
    size_t length;

    CHECK(!find_value(file, "nn.input_offset", &length));
    free(file.at);
    CHECK(nn_set_scaling(model, mean, deviation) == NN_OK);
    file = save_model(model);
    CHECK(has_value(file, "nn.input_offset", "0.1,-2.5,1000000"));
    CHECK(has_value(file, "nn.input_scale", "0.5,4,1024"));
    CHECK(nn_load_memory(&loaded, file.at, file.size, NULL) == NN_OK && has_all(loaded));
    CHECK(!nn_metadata(loaded, "nn.input_scale") && same_predictions(model, loaded));
    again = save_model(loaded);
    CHECK(same_bytes(file, again));
    nn_model_free(loaded);
    nn_model_free(model);
    free(file.at);
    free(again.at);
}

/* A model of many scaled inputs. */
static nn_model *make_scaled(int inputs)
{
    const nn_layer layer = dense_layer(1, NN_LINEAR);
    nn_model *model = make_model(inputs, &layer, 1, 1);
    nn_real *mean = (nn_real *)malloc((size_t)inputs * 2 * sizeof *mean);
    int i;

    if (!CHECK(mean != NULL)) exit(2);
    for (i = 0; i < inputs; i++) {
        mean[i] = (nn_real)-1.2345678901234567;
        mean[inputs + i] = (nn_real)1.2345678901234567;
    }
    CHECK(nn_set_scaling(model, mean, mean + inputs) == NN_OK);
    free(mean);
    return model;
}

static void test_many_inputs(void)
{
    enum { INPUTS = 140000 };
    nn_model *model = make_scaled(INPUTS), *loaded = NULL;
    bytes file = save_model(model), again;
    size_t length = 0;

    CHECK(find_value(file, "nn.input_scale", &length) && length > 9 * INPUTS);
    CHECK(nn_load_memory(&loaded, file.at, file.size, NULL) == NN_OK);
    again = save_model(loaded);
    CHECK(same_bytes(file, again));
    nn_model_free(loaded);
    nn_model_free(model);
    free(file.at);
    free(again.at);
}

/* The metadata of a file that another program wrote are ignored, and the model's are kept. */
static void test_foreign_file(void)
{
    nn_model *model = make_unit(NN_LINEAR, 1, 0);
    char header[] = "{\"__metadata__\":{\"author\":\"other\",\"class_names\":\"a,b\"},"
                    "\"w.weight\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]},"
                    "\"w.bias\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}";
    const size_t length = strlen(header);
    bytes file = make_bytes(8 + length + 8);

    put_length(file.at, length);
    memcpy(file.at + 8, header, length);
    memset(file.at + 8 + length, 0, 8);
    CHECK(nn_set_metadata(model, "author", "me") == NN_OK);
    CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL, NULL) == NN_OK);
    CHECK(nn_parameters(model)[0] == 0);
    CHECK(same_text(nn_metadata(model, "author"), "me") && !nn_metadata(model, "class_names"));
    nn_model_free(model);
    free(file.at);
}

/* A header has room for 100 MB, in one pair or in many. Where it has no room for the decimal numbers
   of a scaling, they are left out. All these bytes make the test long. */
static void test_limits(void)
{
    enum { PAIRS = 5000 };
    nn_model *model = make_net(2), *loaded = NULL;
    const size_t most = 100000000;
    char key[16], *text = (char *)malloc(most + 1);
    size_t size, length;
    bytes file;
    int i;

    if (!CHECK(text != NULL)) return;
    for (i = 0; i < PAIRS; i++) {
        sprintf(key, "%d", i);
        CHECK(nn_set_metadata(model, key, "v") == NN_OK);
    }
    file = save_model(model);
    CHECK(nn_load_memory(&loaded, file.at, file.size, NULL) == NN_OK);
    CHECK(same_text(nn_metadata(loaded, "4999"), "v"));
    nn_model_free(loaded);
    nn_model_free(model);
    free(file.at);

    model = make_scaled(20000);
    memset(text, 'a', most);
    text[most] = 0;
    CHECK(nn_set_metadata(model, "long", text) == NN_OK);
    CHECK(nn_save_memory(model, NULL, 0, &size) == NN_ERROR_OVERFLOW && !size);
    text[most - 4 * 20000 * sizeof(nn_real) - 1000] = 0; /* what is left takes the scaling */
    CHECK(nn_set_metadata(model, "long", text) == NN_OK);
    file = save_model(model);
    CHECK(!find_value(file, "nn.input_offset", &length));
    CHECK(nn_load_memory(&loaded, file.at, file.size, NULL) == NN_OK);
    CHECK(same_text(nn_metadata(loaded, "long"), text));
    nn_model_free(loaded);
    nn_model_free(model);
    free(file.at);
    free(text);
}

/* A model in the caller's memory keeps its metadata on the heap. */
static void test_callers_memory(void)
{
    const nn_layer layer = dense_layer(1, NN_LINEAR);
    nn_shape shape;
    nn_model *model = NULL;
    bytes memory;

    shape.inputs = 2;
    shape.layers = &layer;
    shape.count = 1;
    memory = make_bytes(nn_model_size(&shape));
    CHECK(nn_model_create_in(&model, memory.at, memory.size, &shape, 1) == NN_OK);
    CHECK(nn_set_metadata(model, "a", "b") == NN_OK && live_blocks == 1);
    nn_model_free(model);
    CHECK(live_blocks == 0);
    nn_model_free(model); /* it has no metadata any more */
    free(memory.at);
}

int main(void)
{
    test_any_backend();
    RUN(test_set_and_get);
    RUN(test_refused);
    RUN(test_rows_of_names);
    RUN(test_fit_keeps_names);
    RUN(test_other_names);
    RUN(test_made_up_names);
    RUN(test_save_and_load);
    RUN(test_checkpoint);
    RUN(test_order);
    RUN(test_damage);
    RUN(test_hostile_pairs);
    RUN(test_decimal_numbers);
    RUN(test_many_inputs);
    RUN(test_foreign_file);
    RUN(test_limits);
    RUN(test_callers_memory);
    return test_done();
}
