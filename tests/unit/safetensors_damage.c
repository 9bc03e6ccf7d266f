/* Model files and checkpoints with damage of every kind, also by an author who puts the checksum
   right: refused with nothing changed, or as good as the original. */
#include "files.h"

/* ---- Damage ---------------------------------------------------------------------------------- */

/* A small trained model with scaling, its trainer, and a second pair to load into. */
typedef struct pair {
    nn_model *model, *other;
    nn_trainer *trainer, *into;
    bytes model_file, checkpoint, untouched;
} pair;

static int make_pair(pair *p)
{
    static const nn_layer layers[] = {NN_DENSE(2, NN_LEAKY_RELU), NN_DENSE(1, NN_LINEAR)};
    nn_options how;
    nn_data data = probe_data();
    memset(p, 0, sizeof *p);
    memset(&how, 0, sizeof how);
    how.optimizer = NN_ADAM;
    how.epochs = 2;
    how.batch_size = 4;
    how.patience = 1;
    p->model = make_model(3, layers, 2, 1);
    p->other = make_model(3, layers, 2, 2);
    if (!p->model || !p->other) return 0;
    CHECK(nn_fit_scaling(p->model, &data, NN_SCALE_MIN_MAX) == NN_OK);
    CHECK(nn_trainer_create(&p->trainer, p->model, &how) == NN_OK);
    CHECK(nn_trainer_create(&p->into, p->other, &how) == NN_OK);
    if (!p->trainer || !p->into) return 0;
    CHECK(nn_trainer_fit(p->trainer, &data) == NN_OK);
    p->model_file = save_model(p->model);
    p->checkpoint = save_trainer(p->trainer);
    p->untouched = save_trainer(p->into);
    return p->model_file.size > 8 && p->checkpoint.size > 8;
}

static void free_pair(pair *p)
{
    nn_trainer_free(p->trainer);
    nn_trainer_free(p->into);
    nn_model_free(p->model);
    nn_model_free(p->other);
    free(p->model_file.at);
    free(p->checkpoint.at);
    free(p->untouched.at);
    CHECK(live_blocks == 0);
}

/* The second pair is as it was before any load. */
static int is_untouched(const pair *p)
{
    bytes now = save_trainer(p->into);
    int same = same_bytes(now, p->untouched);
    free(now.at);
    return same;
}

static void reset_into(const pair *p)
{
    CHECK(nn_load_checkpoint_memory(p->into, p->untouched.at, p->untouched.size, NULL) == NN_OK);
}

/* Loads bytes in each of the three ways: refused with nothing changed, or as good as the original.
   Counts the loads that were accepted. */
static int load_damaged(const pair *p, const unsigned char *at, size_t size, int checkpoint)
{
    bytes copy = copy_bytes(at, size), again;
    nn_model *made = (nn_model *)(void *)&copy;
    nn_status status = nn_load_memory(&made, copy.at, size, NULL);
    int accepted = 0;
    CHECK(is_status(status));
    if (status == NN_OK) {
        accepted++;
        CHECK(same_shape(p->model, made) && same_predictions(p->model, made));
        nn_model_free(made);
    } else {
        CHECK(made == NULL);
    }
    status = nn_load_parameters_memory(p->other, copy.at, size, NULL, NULL);
    CHECK(is_status(status));
    if (status == NN_OK) {
        accepted++;
        CHECK(same_predictions(p->model, p->other));
        reset_into(p);
    } else {
        CHECK(is_untouched(p));
    }
    status = nn_load_checkpoint_memory(p->into, copy.at, size, NULL);
    CHECK(is_status(status) && (checkpoint || status != NN_OK));
    if (status == NN_OK) {
        accepted++;
        again = save_trainer(p->into);
        CHECK(same_bytes(again, p->checkpoint));
        free(again.at);
        reset_into(p);
    } else {
        CHECK(is_untouched(p));
    }
    free(copy.at);
    return accepted;
}

static void test_truncated(void)
{
    pair p;
    size_t size;
    int checkpoint;
    if (!make_pair(&p)) return;
    for (checkpoint = 0; checkpoint < 2; checkpoint++) {
        bytes file = checkpoint ? p.checkpoint : p.model_file;
        unsigned char *longer = (unsigned char *)malloc(file.size + 1);
        for (size = 0; size < file.size; size++)
            CHECK(load_damaged(&p, file.at, size, checkpoint) == 0);
        CHECK(load_damaged(&p, file.at, file.size, checkpoint) == 2 + checkpoint);
        if (longer) {
            memcpy(longer, file.at, file.size);
            longer[file.size] = 0;
            CHECK(load_damaged(&p, longer, file.size + 1, checkpoint) == 0);
        }
        free(longer);
    }
    free_pair(&p);
}

/* Any byte changed in any of five ways: 0x20 swaps the case of a letter, 0x01 makes another digit,
   0x80 leaves ASCII, 0x10 turns digits to control characters. */
static void test_flipped(void)
{
    static const unsigned char masks[] = {0x01, 0x10, 0x20, 0x80, 0xff};
    pair p;
    size_t at, k;
    int checkpoint;
    if (!make_pair(&p)) return;
    for (checkpoint = 0; checkpoint < 2; checkpoint++) {
        bytes of = checkpoint ? p.checkpoint : p.model_file, file = copy_bytes(of.at, of.size);
        for (at = 0; at < file.size; at++) {
            for (k = 0; k < sizeof masks; k++) {
                int before = test_bad;
                file.at[at] ^= masks[k];
                load_damaged(&p, file.at, file.size, checkpoint);
                file.at[at] ^= masks[k];
                if (test_bad > before && before < 5)
                    printf("%s, byte %u ^ %#x\n", checkpoint ? "checkpoint" : "model", (unsigned)at,
                           masks[k]);
            }
        }
        free(file.at);
    }
    free_pair(&p);
}

/* Overwrites, in a saved model, the number that follows `key` in the header. */
static void forge(char *file, size_t size, const char *key, const char *number)
{
    size_t i, length = strlen(key);
    for (i = 8; i + length + strlen(number) < size; i++) {
        if (memcmp(file + i, key, length) != 0) continue;
        memcpy(file + i + length, number, strlen(number));
        return;
    }
    CHECK(key == NULL); /* not found */
}

/* Indexes and sizes from files are taken at their word: wild reads in FANN, a heap overflow in
   KANN. Widths below have two digits, so that forged numbers keep the header's length. */
static void test_sizes_from_files_are_checked(void)
{
    static const nn_layer layers[2] = {NN_DENSE(12, NN_RELU), NN_DENSE(11, NN_SOFTMAX)};
    static const char *const keys[3] = {"\"shape\":[", "\"shape\":[", "\"data_offsets\":["};
    static const char *const numbers[3] = {"99", "-1", "9"};
    nn_model *model = make_model(10, layers, 2, 1), *loaded;
    char file[8192], copy[8192];
    size_t size = 0;
    int i;
    CHECK(nn_save_memory(model, file, sizeof file, &size) == NN_OK);
    loaded = model;
    for (i = 0; i < 3; i++) {
        memcpy(copy, file, size);
        forge(copy, size, keys[i], numbers[i]);
        CHECK(nn_load_memory(&loaded, copy, size, NULL) != NN_OK && loaded == NULL);
    }
    for (i = 0; i < 8; i++) { /* the header's length, made huge byte by byte */
        memcpy(copy, file, size);
        copy[i] = (char)0xFF;
        CHECK(nn_load_memory(&loaded, copy, size, NULL) != NN_OK && loaded == NULL);
    }
    CHECK(nn_load_memory(&loaded, file, size, NULL) == NN_OK);
    nn_model_free(loaded);
    nn_model_free(model);
}

/* ---- A hostile author, whose checksum is right ----------------------------------------------- */

/* The file with another value for the key, and the checksum that goes with it. */
static bytes with_value(bytes file, const char *key, const char *value)
{
    size_t old_header = file.at[0] | (size_t)file.at[1] << 8 | (size_t)file.at[2] << 16;
    size_t data = file.size - 8 - old_header, length = 0, header, i;
    unsigned char *at = find_value(file, key, &length);
    bytes b;
    if (!CHECK(at != NULL)) return copy_bytes(file.at, file.size);
    header = (old_header + strlen(value) - length + 7) / 8 * 8;
    b = make_bytes(8 + header + data);
    memset(b.at, ' ', b.size);
    put_length(b.at, header);
    i = (size_t)(at - file.at);
    memcpy(b.at + 8, file.at + 8, i - 8);
    memcpy(b.at + i, value, strlen(value));
    for (at += length, i += strlen(value); at < file.at + 8 + old_header; at++)
        if (i < 8 + header) b.at[i++] = *at;
    memcpy(b.at + 8 + header, file.at + 8 + old_header, data);
    CHECK(put_checksum(b));
    return b;
}

/* Metadata that the checksum covers but that make no sense. */
static void test_hostile_metadata(void)
{
    static const struct edit {
        const char *key, *value;
    } edits[] = {
        {"nn.version", ""},
        {"nn.version", "2"},
        {"nn.version", "1 "},
        {"nn.widths", ""},
        {"nn.widths", ","},
        {"nn.widths", "1"},
        {"nn.widths", "1,1"},
        {"nn.widths", "1,1,1"},
        {"nn.widths", "9,9,9,9,9,9"},
        {"nn.widths", "two"},
        {"nn.activations", ""},
        {"nn.activations", ","},
        {"nn.activations", "relu"},
        {"nn.activations", "relu,"},
        {"nn.activations", ",relu"},
        {"nn.activations", "relu,linear,linear"},
        {"nn.activations", "softmax,linear"},
        {"nn.activations", "relu,maxout"},
        {"nn.activations", "relu, linear"},
        {"nn.activations", "relu,linear,"},
        {"nn.scaling", ""},
        {"nn.scaling", "max"},
        {"nn.scaling", "none"}, /* but there are values */
        {"nn.scaling", "min-max,"},
        {"nn.scaling", "min-max,none"},
        {"nn.scaling_values", ""},
        {"nn.scaling_values", "0"},
        {"nn.scaling_values", "zz"},
    };
    pair p;
    size_t i, k, length = 0;
    if (!make_pair(&p)) return;
    for (i = 0; i < sizeof edits / sizeof *edits; i++) {
        for (k = 0; k < 2; k++) {
            bytes b = with_value(k ? p.checkpoint : p.model_file, edits[i].key, edits[i].value);
            nn_model *made = (nn_model *)(void *)&p;
            nn_status status = nn_load_memory(&made, b.at, b.size, NULL);
            if (!CHECK((status == NN_ERROR_METADATA || status == NN_ERROR_ACTIVATION) && !made))
                printf("%s = \"%s\": %d\n", edits[i].key, edits[i].value, (int)status);
            if (edits[i].key[3] != 'a') /* parameters alone do without the activations */
                CHECK(nn_load_parameters_memory(p.other, b.at, b.size, NULL, NULL) ==
                      NN_ERROR_METADATA);
            else if (nn_load_parameters_memory(p.other, b.at, b.size, NULL, NULL) == NN_OK)
                reset_into(&p);
            CHECK(nn_load_checkpoint_memory(p.into, b.at, b.size, NULL) != NN_OK);
            CHECK(is_untouched(&p));
            free(b.at);
        }
    }
    CHECK(find_value(p.model_file, "nn.scaling_values", &length) && length % 12 == 0);
    for (i = 0; i < length; i += length / 6) { /* each of six numbers: infinity */
        char values[256];
        unsigned char *at = find_value(p.model_file, "nn.scaling_values", &length);
        nn_model *made = NULL;
        bytes b;
        memcpy(values, at, length);
        values[length] = 0;
        memcpy(values + i, sizeof(nn_real) == 4 ? "7f800000" : "7ff0000000000000", length / 6);
        b = with_value(p.model_file, "nn.scaling_values", values);
        CHECK(nn_load_memory(&made, b.at, b.size, NULL) == NN_ERROR_METADATA && !made);
        CHECK(nn_load_parameters_memory(p.other, b.at, b.size, NULL, NULL) == NN_ERROR_METADATA);
        free(b.at);
    }
    free_pair(&p);
}

/* The file with the first `from` in its header replaced, and its checksum put right. */
static bytes with_text(bytes file, const char *from, const char *to)
{
    const size_t old = header_size(file), length = strlen(from), more = strlen(to);
    const size_t header = (old + more - length + 7) / 8 * 8;
    bytes b = make_bytes(file.size + header - old);
    size_t i = 8;
    while (i + length <= 8 + old && memcmp(file.at + i, from, length) != 0) i++;
    if (!CHECK(i + length <= 8 + old)) exit(1);
    memset(b.at, ' ', b.size);
    put_length(b.at, header);
    memcpy(b.at + 8, file.at + 8, i - 8);
    memcpy(b.at + i, to, more);
    memcpy(b.at + i + more, file.at + i + length, 8 + old - i - length);
    memcpy(b.at + 8 + header, file.at + 8 + old, file.size - 8 - old);
    CHECK(put_checksum(b));
    return b;
}

/* An array of the trainer that is not what it must be. */
static void test_hostile_arrays(void)
{
    enum { COUNT = 11, ARRAY = COUNT * (int)sizeof(nn_real) };
    static const char first[] = "optimizer.first", *const keys[] = {first, "optimizer.second",
                                                                    "best.parameters"};
    char from[200], to[200];
    pair p;
    bytes b;
    nn_location place;
    int i;
    if (!make_pair(&p)) return;
    if (!CHECK(nn_parameter_count(p.model) == COUNT)) return;
    for (i = 0; i < 3; i++) {
        const size_t at = 8 + header_size(p.checkpoint) + (size_t)(i + 2) * ARRAY;
        sprintf(from, "\"%s\":{\"dtype\":\"" OWN_TYPE "\"", keys[i]);
        sprintf(to, "\"%s\":{\"dtype\":\"%s\"", keys[i], sizeof(nn_real) == 4 ? "I32" : "I64");
        b = with_text(p.checkpoint, from, to);
        CHECK(nn_load_checkpoint_memory(p.into, b.at, b.size, NULL) == NN_ERROR_TENSOR);
        free(b.at);
        sprintf(from, "\"%s\":{\"dtype\":\"" OWN_TYPE "\",\"shape\":[11]", keys[i]);
        sprintf(to, "\"%s\":{\"dtype\":\"" OWN_TYPE "\",\"shape\":[1,11]", keys[i]);
        b = with_text(p.checkpoint, from, to);
        CHECK(nn_load_checkpoint_memory(p.into, b.at, b.size, NULL) == NN_ERROR_TENSOR);
        free(b.at);
        b = copy_bytes(p.checkpoint.at, p.checkpoint.size);
        memset(b.at + at - sizeof(nn_real), 0xff, sizeof(nn_real)); /* the last number: NaN */
        CHECK(put_checksum(b));
        CHECK(nn_load_checkpoint_memory(p.into, b.at, b.size, &place) == NN_ERROR_PARAMETER);
        CHECK(!strcmp(place.name, keys[i]));
        free(b.at);
    }
    /* The first array is one number shorter, and the second one longer. */
    sprintf(from, "[11],\"data_offsets\":[%d,%d]}", ARRAY, 2 * ARRAY);
    sprintf(to, "[10],\"data_offsets\":[%d,%d]}", ARRAY, 2 * ARRAY - (int)sizeof(nn_real));
    b = with_text(p.checkpoint, from, to);
    sprintf(from, "[11],\"data_offsets\":[%d,%d]}", 2 * ARRAY, 3 * ARRAY);
    sprintf(to, "[12],\"data_offsets\":[%d,%d]}", 2 * ARRAY - (int)sizeof(nn_real), 3 * ARRAY);
    {
        const bytes both = with_text(b, from, to);
        CHECK(nn_load_checkpoint_memory(p.into, both.at, both.size, NULL) == NN_ERROR_TENSOR);
        free(both.at);
    }
    free(b.at);
    /* A tensor of no name that a checkpoint has. */
    b = with_text(p.checkpoint, first, "optimizer.third");
    CHECK(nn_load_checkpoint_memory(p.into, b.at, b.size, &place) == NN_ERROR_TENSOR);
    CHECK(!strcmp(place.name, "optimizer.third"));
    free(b.at);
    CHECK(is_untouched(&p));
    free_pair(&p);
}

/* A checkpoint of a trainer without patience, in which the best parameters take the place of the
   array that Adam needs. */
static void test_hostile_array_names(void)
{
    static const nn_layer layer = NN_DENSE(1, NN_LINEAR);
    const nn_options how = make_options(NN_MSE, NN_ADAM, 0);
    nn_model *model = make_model(3, &layer, 1, 1);
    nn_trainer *trainer = make_trainer(model, &how);
    const bytes file = save_trainer(trainer);
    const bytes b = with_text(file, "optimizer.first", "best.parameters");
    CHECK(nn_load_checkpoint_memory(trainer, file.at, file.size, NULL) == NN_OK);
    CHECK(nn_load_checkpoint_memory(trainer, b.at, b.size, NULL) == NN_ERROR_TENSOR);
    free(file.at);
    free(b.at);
    nn_trainer_free(trainer);
    nn_model_free(model);
}

/* Options that are no list of as many numbers, or NaN; a file without what a checkpoint has. */
static void test_hostile_options(void)
{
    pair p;
    size_t length, i, options = 0, rates = 0;
    const unsigned char *state;
    char text[2048];
    nn_location place;
    nn_model *made = NULL;
    bytes b;
    if (!make_pair(&p)) return;
    state = find_value(p.checkpoint, "nn.state", &length);
    if (!CHECK(state && length + 40 < sizeof text)) return;
    memcpy(text, state, length);
    strcpy(text + length, ",0"); /* one more */
    b = with_value(p.checkpoint, "nn.state", text);
    CHECK(nn_load_checkpoint_memory(p.into, b.at, b.size, NULL) == NN_ERROR_METADATA);
    free(b.at);
    for (i = 0; i < length; i++) {
        static const char *const wrong[] = {"", "00000000000000000", "g",
                                            sizeof(nn_real) == 4 ? "7fc00000" : "7ff8000000000000"};
        size_t end = i + 1, k;
        if (state[i] != ',') continue;
        options++;
        while (end < length && state[end] != ',') end++;
        for (k = 0; k < 4; k++) {
            nn_status status;
            memcpy(text, state, i + 1);
            strcpy(text + i + 1, wrong[k]);
            memcpy(text + i + 1 + strlen(wrong[k]), state + end, length - end);
            text[i + 1 + strlen(wrong[k]) + length - end] = 0;
            b = with_value(p.checkpoint, "nn.state", text);
            status = nn_load_checkpoint_memory(p.into, b.at, b.size, &place);
            if (k < 3)
                CHECK(status == NN_ERROR_METADATA);
            else if (status == NN_OK) /* no option that may differ has an effect here */
                reset_into(&p);
            else
                CHECK(status == NN_ERROR_OPTION && *place.name);
            if (k == 3 && !strcmp(place.name, "learning_rate")) {
                CHECK(!*place.expected); /* there is no text for NaN */
                rates++;
            }
            free(b.at);
        }
    }
    CHECK(options > 10 && rates == 1);

    b = with_text(p.checkpoint, "nn.version", "xx.version"); /* not ours */
    CHECK(nn_load_checkpoint_memory(p.into, b.at, b.size, NULL) == NN_ERROR_METADATA);
    free(b.at);
    b = with_text(p.checkpoint, "nn.activations", "xx.activations");
    CHECK(nn_load_checkpoint_memory(p.into, b.at, b.size, NULL) == NN_ERROR_METADATA);
    CHECK(nn_load_memory(&made, b.at, b.size, NULL) == NN_ERROR_METADATA && !made);
    free(b.at);
    b = copy_bytes(p.model_file.at, p.model_file.size); /* the tensors alone, with any metadata */
    for (i = 8; i < 8 + header_size(b); i++)
        if (!memcmp(b.at + i, "\"nn.", 4)) b.at[i + 1] = 'x';
    CHECK(nn_load_checkpoint_memory(p.into, b.at, b.size, NULL) == NN_ERROR_METADATA);
    CHECK(nn_load_parameters_memory(p.other, b.at, b.size, NULL, NULL) == NN_OK);
    reset_into(&p);
    free(b.at);
    CHECK(is_untouched(&p));
    free_pair(&p);
}

/* Our metadata, but no layer. */
static void test_no_layers(void)
{
    static const nn_layer layer = NN_DENSE(1, NN_LINEAR);
    nn_model *model = make_model(3, &layer, 1, 1), *made = NULL;
    const bytes file = save_model(model);
    const bytes half = with_text(file, "0.weight", "0-weight");
    const bytes none = with_text(half, "0.bias", "0-bias");
    CHECK(nn_load_memory(&made, file.at, file.size, NULL) == NN_OK);
    nn_model_free(made);
    CHECK(nn_load_memory(&made, none.at, none.size, NULL) != NN_OK && !made);
    free(file.at);
    free(half.at);
    free(none.at);
    nn_model_free(model);
}

static nn_status load_once(bytes b, nn_model **made)
{
    const nn_status status = nn_load_memory(made, b.at, b.size, NULL);
    CHECK((status == NN_OK) == (*made != NULL));
    return status;
}

/* The scaling of the targets that makes no sense, or that no checksum covers. */
static void test_hostile_target_scaling(void)
{
    static const char *const kinds[] = {"", "none", "max", "standard,", "standard,standard"};
    static const char key[] = "\"nn.target_scaling\":\"standard\"";
    static const nn_layer layer = NN_DENSE(1, NN_LINEAR);
    const nn_data data = probe_data();
    nn_options how = make_options(NN_MSE, NN_SGD, 0);
    nn_model *model = make_model(3, &layer, 1, 1), *made = NULL, *again = NULL;
    char values[80], text[400];
    size_t length = 0, digits, i;
    const unsigned char *at;
    bytes file, b, plain;
    b = save_model(model);
    plain = with_value(b, "nn.version", "2"); /* of a file that may have these keys */
    free(b.at);
    how.epochs = 1;
    how.scaling = how.target_scaling = NN_SCALE_STANDARD;
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    file = save_model(model);
    at = find_value(file, "nn.target_values", &length);
    if (!CHECK(at && length + 2 < sizeof values)) return;
    digits = length / 2;
    for (i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        b = with_value(file, "nn.target_scaling", kinds[i]);
        CHECK(load_once(b, &made) == NN_ERROR_METADATA);
        free(b.at);
    }
    for (i = 0; i < 8; i++) {
        memcpy(values, at, length);
        values[length] = 0;
        if (i == 0) strcat(values, "0");
        if (i == 1) values[length - 1] = 0;
        if (i == 2) *values = 0;
        if (i == 3 || i == 4) /* an infinite offset or factor */
            memcpy(values + (i - 3) * digits, digits == 8 ? "7f800000" : "7ff0000000000000",
                   digits);
        if (i > 4) memset(values + digits, '0', digits);            /* a factor of 0 */
        if (i == 6) values[digits] = 'b', values[digits + 1] = 'f'; /* below 0 */
        if (i == 7) values[length - 1] = '1'; /* so small that its inverse is infinite */
        b = with_value(file, "nn.target_values", values);
        if (!CHECK(load_once(b, &made) == NN_ERROR_METADATA)) printf("values %s\n", values);
        free(b.at);
    }
    /* In front of the checksum, which does not cover it there; the values alone there. */
    memcpy(values, at, length);
    values[length] = 0;
    sprintf(text, "%s,\"nn.target_values\":\"%s\",\"nn.crc32\"", key, values);
    b = with_text(plain, "\"nn.crc32\"", text);
    CHECK(load_once(b, &made) == NN_ERROR_METADATA);
    free(b.at);
    sprintf(text, "\"nn.target_values\":\"%s\",\"nn.crc32\"", values);
    b = with_text(plain, "\"nn.crc32\"", text);
    sprintf(text, ",%s", key);
    {
        const bytes both = with_pairs(b, text);
        CHECK(load_once(both, &made) == NN_ERROR_METADATA);
        free(both.at);
    }
    free(b.at);

    /* A factor of the inputs whose inverse is infinite is legal. It has no decimal numbers, and the
       scaling of the targets stays all the same. */
    at = find_value(file, "nn.scaling_values", &length);
    if (!CHECK(at && length < sizeof text)) return;
    memcpy(text, at, length);
    text[length] = 0;
    memset(text + length - digits, '0', digits);
    b = with_value(file, "nn.scaling_values", text);
    CHECK(find_value(file, "nn.input_scale", &i) != NULL);
    if (CHECK(load_once(b, &made) == NN_OK)) {
        const bytes saved = save_model(made);
        CHECK(!find_value(saved, "nn.input_scale", &i) &&
              !find_value(saved, "nn.target_scale", &i));
        CHECK(find_value(saved, "nn.target_values", &i) != NULL);
        if (CHECK(load_once(saved, &again) == NN_OK)) CHECK(same_predictions(made, again));
        nn_model_free(again);
        nn_model_free(made);
        free(saved.at);
    }
    free(b.at);
    free(file.at);
    free(plain.at);
    nn_model_free(model);
}

/* Any number of a checkpoint's state replaced by any other: refused, or training goes on, or stops,
   with finite parameters and no read outside the data. */
static void test_hostile_state(void)
{
    static const char *const values[] = {
        "0000000000000000", "0000000000000001", "0000000000000002", "0000000000000005",
        "0000000000000007", "000000007ffffffe", "000000007fffffff", "0000000080000000",
        "00000000ffffffff", "0000000100000000", "7fffffffffffffff", "8000000000000000",
        "ffffffffffffffff", "000000007fc00000", "000000007f800000", "000000003f800000",
        "00000000bf800000", "7ff8000000000000", "7ff0000000000000", "3ff0000000000000",
        "bff0000000000000", "000000007f000000"};
    pair p;
    size_t length = 0, numbers, at, k, accepted = 0;
    nn_data data = probe_data();
    const unsigned char *comma;
    if (!make_pair(&p)) return;
    if (!CHECK(find_value(p.checkpoint, "nn.state", &length) != NULL)) return;
    comma =
        (const unsigned char *)memchr(find_value(p.checkpoint, "nn.state", &length), ',', length);
    if (!CHECK(comma != NULL)) return;
    numbers = (size_t)(comma - find_value(p.checkpoint, "nn.state", &length));
    CHECK(numbers % 16 == 0); /* the options follow */
    for (at = 0; at < numbers; at += 16) {
        for (k = 0; k < sizeof values / sizeof *values; k++) {
            char state[1024];
            const nn_real *parameters = nn_parameters(p.other);
            size_t i, finite = 0, ignored, count = nn_parameter_count(p.other);
            nn_status status;
            bytes b;
            memcpy(state, find_value(p.checkpoint, "nn.state", &ignored), length);
            state[length] = 0;
            memcpy(state + at, values[k], 16);
            b = with_value(p.checkpoint, "nn.state", state);
            status = nn_load_checkpoint_memory(p.into, b.at, b.size, NULL);
            CHECK(is_status(status) && status != NN_ERROR_CHECKSUM);
            if (status == NN_OK) {
                accepted++;
                CHECK(is_status(nn_trainer_fit(p.into, &data)));
                for (i = 0; i < count; i++) finite += isfinite(parameters[i]) != 0;
                if (!CHECK(finite == count)) printf("number %d = %s\n", (int)(at / 16), values[k]);
                reset_into(&p);
            } else {
                CHECK(is_untouched(&p));
            }
            free(b.at);
        }
    }
    CHECK(accepted > numbers / 16); /* the checksums are right: some values are harmless */
    free_pair(&p);
}

/* ---- Files of the wrong kind ----------------------------------------------------------------- */

/* A checkpoint opens as a model, in each way that a model file does; a model file is not one. */
static void test_checkpoint_as_model(void)
{
    pair p;
    nn_model *loaded = NULL;
    if (!make_pair(&p)) return;
    CHECK(nn_save_checkpoint(p.trainer, temporary("checkpoint")) == NN_OK);
    if (CHECK(nn_load(&loaded, temporary("checkpoint"), NULL) == NN_OK))
        CHECK(same_shape(p.model, loaded) && same_predictions(p.model, loaded));
    nn_model_free(loaded);
    CHECK(nn_load_parameters(p.other, temporary("checkpoint"), NULL, NULL) == NN_OK);
    CHECK(same_predictions(p.model, p.other));
    reset_into(&p);
    CHECK(nn_load_checkpoint_memory(p.into, p.model_file.at, p.model_file.size, NULL) != NN_OK);
    CHECK(is_untouched(&p));
    free_pair(&p);
}

int main(void)
{
    RUN(test_truncated);
    RUN(test_flipped);
    RUN(test_sizes_from_files_are_checked);
    RUN(test_hostile_metadata);
    RUN(test_hostile_arrays);
    RUN(test_hostile_array_names);
    RUN(test_hostile_options);
    RUN(test_no_layers);
    RUN(test_hostile_target_scaling);
    RUN(test_hostile_state);
    RUN(test_checkpoint_as_model);
    remove(temporary("checkpoint"));
    return test_done();
}
