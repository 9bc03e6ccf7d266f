/* Metadata: a sequence of calls, one in each line, compared with a list of pairs that is kept here.

       +key=value   nn_set_metadata        c    a copy takes the model's place
       -key         removes it             s    it is saved and loaded
       ?n           the names of n         fn   in front of one: allocation n of the call fails */
#include "models.h"

enum { MOST_PAIRS = 64 };

typedef struct pairs {
    char *key[MOST_PAIRS], *value[MOST_PAIRS];
    int count;
} pairs;

static int find(const pairs *list, const char *key)
{
    int i;
    for (i = 0; i < list->count; i++)
        if (strcmp(list->key[i], key) == 0) return i;
    return -1;
}

static void remove_pair(pairs *list, int i)
{
    if (i < 0) return;
    free(list->key[i]);
    free(list->value[i]);
    list->count--;
    list->key[i] = list->key[list->count];
    list->value[i] = list->value[list->count];
}

static char *copy_text(const char *text)
{
    return (char *)copy_bytes(text, strlen(text) + 1);
}

static int is_utf8(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    while (*at) {
        uint32_t code = *at;
        int more = 0;
        if (*at >= 0x80) {
            if (*at < 0xc2 || *at > 0xf4) return 0;
            more = *at < 0xe0 ? 1 : *at < 0xf0 ? 2 : 3;
            code = *at & (0x3fu >> more);
        }
        for (at++; more && (*at & 0xc0) == 0x80; more--, at++) code = code << 6 | (*at & 0x3fu);
        if (more) return 0;
        if (code >= 0xd800 && code < 0xe000) return 0;
        if (code > 0x10ffff) return 0;
        /* too long a form */
        if (at[-1] >= 0x80) {
            if (code < 0x80) return 0;
            if (code < 0x800 && (const char *)at - text >= 3 && at[-3] >= 0xe0) return 0;
            if (code < 0x10000 && (const char *)at - text >= 4 && at[-4] >= 0xf0) return 0;
        }
    }
    return 1;
}

/* The cells of a row of CSV, or -1: see nn_class_name. */
static int count_names(const char *row)
{
    int count = 1;
    for (;; count++) {
        if (*row == '"') {
            for (row++; *row && (*row != '"' || row[1] == '"'); row++) row += *row == '"';
            if (*row++ != '"') return -1;
        } else {
            while (*row && *row != ',' && *row != '"' && *row != '\n' && *row != '\r') row++;
        }
        if (!*row) return count;
        if (*row++ != ',') return -1;
    }
}

static void check_pairs(const nn_model *model, const pairs *list)
{
    int i;
    for (i = 0; i < list->count; i++)
        REQUIRE(same_text(nn_metadata(model, list->key[i]), list->value[i]));
    if (find(list, "other") < 0) REQUIRE(!nn_metadata(model, "other"));
}

static void set(nn_model *model, pairs *list, const char *key, const char *value, long fail_at)
{
    const int at = find(list, key);
    const long blocks = fuzz_arm(fail_at);
    const nn_status status = nn_set_metadata(model, key, value);
    const int inputs = !strcmp(key, "input_names"), classes = !strcmp(key, "class_names");
    nn_status expected = NN_OK;

    fuzz_disarm();
    if (!is_utf8(key) || !*key || !strcmp(key, "format") || !strncmp(key, "nn.", 3) ||
        (value && !is_utf8(value)) || (value && (inputs || classes) && count_names(value) < 0))
        expected = NN_ERROR_METADATA;
    else if (value && inputs && count_names(value) != 3)
        expected = NN_ERROR_SHAPE;
    else if (value && classes && count_names(value) > 2)
        expected = NN_ERROR_LABEL;
    REQUIRE(status == (heap.failed ? NN_ERROR_MEMORY : expected));
    if (status != NN_OK) {
        REQUIRE(heap.blocks == blocks);
        return;
    }
    REQUIRE(same_text(nn_metadata(model, key), value));
    if (at >= 0) remove_pair(list, at);
    if (!value || list->count == MOST_PAIRS) return;
    list->key[list->count] = copy_text(key);
    list->value[list->count++] = copy_text(value);
}

/* ... nn_input_name(i) is the cell of the row. */
static void check_names(const nn_model *model, int i)
{
    const char *inputs = nn_metadata(model, "input_names");
    const char *classes = nn_metadata(model, "class_names");
    const char *name = nn_input_name(model, i);

    REQUIRE((name != NULL) == (inputs && i >= 0 && i < 3));
    if (name && !strchr(inputs, '"')) {
        while (i--) inputs = strchr(inputs, ',') + 1;
        REQUIRE(!strncmp(inputs, name, strlen(name)));
        REQUIRE(inputs[strlen(name)] == ',' || !inputs[strlen(name)]);
        return;
    }
    name = nn_class_name(model, i);
    REQUIRE((name != NULL) == (classes && i >= 0 && i < count_names(classes)));
}

static void fuzz_one(fuzz_input in)
{
    static const nn_layer layer = NN_DENSE(1, NN_SIGMOID);
    nn_model *model, *other;
    pairs list;
    int calls = 0;

    memset(&list, 0, sizeof list);
    REQUIRE(nn_model_create(&model, 3, &layer, 1, 1) == NN_OK);
    while (in.at < in.end && calls++ < 200) {
        fuzz_input line = take_until(&in, "\n");
        long fail_at = 0;
        int what = take_byte(&line);

        if (what == 'f') {
            fail_at = take_below(&line, 16);
            what = take_byte(&line);
        }
        if (what == '+') {
            fuzz_input key = take_until(&line, "=");
            char *key_text = make_string(key), *value = make_string(line);
            set(model, &list, key_text, value, fail_at);
            free(key_text);
            free(value);
        } else if (what == '-') {
            char *key = make_string(line);
            set(model, &list, key, NULL, fail_at);
            free(key);
        } else if (what == '?') {
            check_names(model, take_below(&line, 8) - 1);
        } else if (what == 'c') {
            const long blocks = fuzz_arm(fail_at);
            const nn_status status = nn_model_copy(&other, model);
            fuzz_disarm();
            REQUIRE(status == (heap.failed ? NN_ERROR_MEMORY : NN_OK));
            if (status == NN_OK) {
                check_pairs(other, &list);
                nn_model_free(model);
                model = other;
            } else {
                REQUIRE(!other && heap.blocks == blocks);
            }
        } else if (what == 's') {
            size_t size;
            unsigned char *bytes = save(model, &size);
            long blocks;
            nn_status status;

            blocks = fuzz_arm(fail_at);
            status = nn_load_memory(&other, bytes, size, NULL);
            fuzz_disarm();
            REQUIRE(status == NN_OK || (heap.failed && status == NN_ERROR_MEMORY));
            if (status == NN_OK) {
                require_same_file(other, bytes, size);
                nn_model_free(model);
                model = other;
            } else {
                REQUIRE(!other && heap.blocks == blocks);
            }
            free(bytes);
        }
        check_pairs(model, &list);
    }
    nn_model_free(model);
    while (list.count) remove_pair(&list, 0);
}
