/* The JSON of a model file's header: what nn.h takes must be what an independent reader of the
   grammar takes. The input is 1 to give the tensors new places, and the text of a file: see
   models.h. It is loaded into a model of one input and one output. */
#include "models.h"

/* ---- An independent reader of JSON (RFC 8259) ------------------------------------------------ */

typedef struct json {
    const unsigned char *at, *end;
    int depth;
} json;

static void skip_blanks(json *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r'))
        j->at++;
}

static int is_hex(const unsigned char *at, const unsigned char *end, unsigned *code)
{
    int i;
    for (*code = 0, i = 0; i < 4; i++) {
        const int c = at + i < end ? at[i] : 0;
        if (c >= '0' && c <= '9')
            *code = *code * 16 + (unsigned)(c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            *code = *code * 16 + (unsigned)((c | 32) - 'a' + 10);
        else
            return 0;
    }
    return 1;
}

/* The length of the UTF-8 character at `at`, 0 where it is none (RFC 3629). */
static int utf8_length(const unsigned char *at, const unsigned char *end)
{
    uint32_t code;
    int length, i;
    if (*at < 0x80) return 1;
    if (*at < 0xc2 || *at > 0xf4) return 0;
    length = *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : 4;
    if (end - at < length) return 0;
    code = *at & (0x7fu >> length);
    for (i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
        code = code << 6 | (at[i] & 0x3fu);
    }
    if (length == 3 && (code < 0x800 || (code >= 0xd800 && code < 0xe000))) return 0;
    return length != 4 || (code >= 0x10000 && code < 0x110000) ? length : 0;
}

static int skip_string(json *j)
{
    unsigned code, low;
    if (j->at == j->end || *j->at++ != '"') return 0;
    while (j->at < j->end && *j->at != '"') {
        const int length = utf8_length(j->at, j->end);
        if (*j->at < 0x20 || !length) return 0;
        j->at += length;
        if (length > 1 || j->at[-1] != '\\') continue;
        if (j->at == j->end) return 0;
        if (*j->at == 'u') {
            if (!is_hex(j->at + 1, j->end, &code)) return 0;
            j->at += 5;
            if (code >= 0xdc00 && code < 0xe000) return 0; /* half a pair is no character */
            if (code < 0xd800 || code >= 0xe000) continue;
            if (j->end - j->at < 6 || j->at[0] != '\\' || j->at[1] != 'u' ||
                !is_hex(j->at + 2, j->end, &low) || low < 0xdc00 || low >= 0xe000)
                return 0;
            j->at += 6;
        } else if (!strchr("\"\\/bfnrt", *j->at) || !*j->at) {
            return 0;
        } else {
            j->at++;
        }
    }
    return j->at < j->end && *j->at++ == '"';
}

static int skip_number(json *j)
{
    const unsigned char *start;
    if (j->at < j->end && *j->at == '-') j->at++;
    start = j->at;
    while (j->at < j->end && *j->at >= '0' && *j->at <= '9') j->at++;
    if (j->at == start || (*start == '0' && j->at > start + 1)) return 0;
    if (j->at < j->end && *j->at == '.') {
        start = ++j->at;
        while (j->at < j->end && *j->at >= '0' && *j->at <= '9') j->at++;
        if (j->at == start) return 0;
    }
    if (j->at < j->end && (*j->at | 32) == 'e') {
        j->at++;
        if (j->at < j->end && (*j->at == '+' || *j->at == '-')) j->at++;
        start = j->at;
        while (j->at < j->end && *j->at >= '0' && *j->at <= '9') j->at++;
        if (j->at == start) return 0;
    }
    return 1;
}

static int skip_value(json *j)
{
    static const char *const words[] = {"true", "false", "null"};
    int i, open;
    skip_blanks(j);
    if (j->at == j->end || j->depth > 60) return 0;
    if (*j->at == '"') return skip_string(j);
    for (i = 0; i < 3; i++)
        if ((size_t)(j->end - j->at) >= strlen(words[i]) &&
            memcmp(j->at, words[i], strlen(words[i])) == 0) {
            j->at += strlen(words[i]);
            return 1;
        }
    open = *j->at;
    if (open != '{' && open != '[') return skip_number(j);
    j->at++;
    j->depth++;
    skip_blanks(j);
    if (j->at < j->end && *j->at == open + 2) {
        j->at++;
        j->depth--;
        return 1;
    }
    for (;;) {
        skip_blanks(j);
        if (open == '{') {
            if (!skip_string(j)) return 0;
            skip_blanks(j);
            if (j->at == j->end || *j->at++ != ':') return 0;
        }
        if (!skip_value(j)) return 0;
        skip_blanks(j);
        if (j->at < j->end && *j->at == ',') {
            j->at++;
            continue;
        }
        if (j->at == j->end || *j->at++ != open + 2) return 0;
        j->depth--;
        return 1;
    }
}

static int is_json(const unsigned char *at, const unsigned char *end)
{
    json j;
    j.at = at;
    j.end = end;
    j.depth = 0;
    if (!skip_value(&j)) return 0;
    skip_blanks(&j);
    return j.at == j.end;
}

/* ---- The target ------------------------------------------------------------------------------ */

static void fuzz_one(fuzz_input in)
{
    const nn_layer layer = NN_DENSE(1, NN_LINEAR);
    static nn_model *model;
    static nn_real before[2] = {5, 7};
    const int layout = take_below(&in, 2);
    nn_location location;
    nn_status status;
    size_t size, length = 0, i;
    unsigned char *bytes = mend_file(in, layout, &size);

    /* One model serves all inputs: the heap of the run is empty. */
    if (!model) {
        static unsigned char memory[4096];
        nn_shape shape;
        shape.inputs = 1;
        shape.layers = &layer;
        shape.count = 1;
        REQUIRE(nn_model_create_in(&model, memory, sizeof memory, &shape, 1) == NN_OK);
    }
    memcpy(nn_parameters(model), before, sizeof before);
    memset(&location, 0xff, sizeof location);
    (void)fuzz_arm(0);
    fuzz_start_clock(size);
    status = nn_load_parameters_memory(model, bytes, size, NULL, &location);
    fuzz_stop_clock(size);
    REQUIRE(is_status(status) && is_terminated(&location));
    REQUIRE(heap.most <= 400 * size + 65536);
    for (i = 8; i > 0; i--) length = length << 8 | bytes[i - 1];
    /* What stands for a layer may be refused later; the header was legal then. */
    if (status == NN_OK || status == NN_ERROR_CHECKSUM || status == NN_ERROR_PARAMETER)
        REQUIRE(is_json(bytes + 8, bytes + 8 + length));
    if (status != NN_OK) require_same(nn_parameters(model), sizeof before, before, sizeof before);
    nn_model_free(model); /* frees its metadata */
    model = NULL;
    free(bytes);
}
