/* Tables: nn_parse_csv and nn_read_csv with options, and recipes.

   An input begins with a line of characters that choose the options (0 means the default), then has
   one line each for target, use, ignore, missing, comment and class_names, then the table. After
   "\n===\n" a second table may follow, which is read by the recipe of the first, or a recipe by
   which the table is read. */
#include "fuzz.h"

enum { OWN_RECIPE, OTHER_TABLE, GIVEN_RECIPE, MODES };

typedef struct csv_input {
    nn_csv_options options;
    char *lines[6];
    char *names;                 /* class_names, as one text */
    const char *class_names[16]; /* that point into it */
    int mode, piece;             /* of files: the bytes that a read gives; 0: memory */
    long fail_at;
    char *table, *second;
    size_t size, second_size;
} csv_input;

static void take_class_names(csv_input *input)
{
    char *at = input->names = input->lines[5];
    if (!at) return;
    input->options.class_names = input->class_names;
    while (at && input->options.classes < 16) {
        char *comma = strchr(at, ',');
        if (comma) *comma = 0;
        input->class_names[input->options.classes++] = at;
        at = comma ? comma + 1 : NULL;
    }
}

static void take_csv(fuzz_input in, csv_input *input)
{
    nn_csv_options *o = &input->options;
    fuzz_input first = take_until(&in, "\n"), table;
    int byte, i;

    memset(input, 0, sizeof *input);
    byte = take_byte(&first);
    o->delimiter = (char)(byte == '0' ? 0 : byte == 'n' ? '\n' : byte);
    byte = take_byte(&first);
    o->decimal = (char)(byte == '0' ? 0 : byte);
    o->header = (nn_csv_header)take_below(&first, 4);
    byte = take_below(&first, 9);
    o->targets = byte < 8 ? byte : -1;
    byte = take_below(&first, 4);
    o->labels = byte & 1;
    if (byte & 2) o->target = NN_NO_TARGET;
    byte = take_below(&first, 8);
    o->text_columns = byte & 1;
    o->impute = byte >> 1 & 1;
    o->drop_bad_rows = byte >> 2;
    input->mode = take_below(&first, MODES);
    input->piece = take_below(&first, 128);
    input->fail_at = take_below(&first, 256);
    for (i = 0; i < 6; i++) input->lines[i] = take_line(&in);
    if (input->lines[0]) o->target = input->lines[0];
    o->use = input->lines[1];
    o->ignore = input->lines[2];
    o->missing = input->lines[3];
    o->comment = input->lines[4];
    take_class_names(input);
    table = take_until(&in, "\n===\n");
    input->size = (size_t)(table.end - table.at);
    input->second_size = (size_t)(in.end - in.at);
    if (fuzz_large) {
        input->table = enlarge((const char *)table.at, input->size, '\n', &input->size);
        input->second = enlarge((const char *)in.at, input->second_size, '\n', &input->second_size);
    } else {
        input->table = (char *)copy_bytes(table.at, input->size);
        input->second = (char *)copy_bytes(in.at, input->second_size);
    }
}

static void free_csv(csv_input *input)
{
    int i;
    for (i = 0; i < 6; i++) free(input->lines[i]);
    free(input->table);
    free(input->second);
}

/* ---- What holds of every table --------------------------------------------------------------- */

static void check_data(const nn_data *data)
{
    const size_t inputs = (size_t)data->rows * (size_t)data->inputs;
    const size_t outputs = (size_t)data->rows * (size_t)data->outputs;
    size_t i;

    REQUIRE(data->rows > 0 && data->inputs > 0 && data->outputs >= 0 && data->dropped >= 0);
    REQUIRE(data->memory && data->x && data->input_names && data->recipe && !data->weight);
    for (i = 0; i < inputs; i++) REQUIRE(isfinite(data->x[i]));
    for (i = 0; data->y && i < outputs; i++) REQUIRE(isfinite(data->y[i]));
    for (i = 0; data->labels && i < (size_t)data->rows; i++)
        REQUIRE(data->labels[i] >= 0 && data->labels[i] < data->classes);
    REQUIRE(data->classes == 0 || data->classes >= 2);
    REQUIRE(!data->class_names == !data->classes && !(data->y && data->labels));
    REQUIRE(!data->labels || data->classes);
    for (i = 0; i < (size_t)data->inputs; i++) REQUIRE(data->input_names[i]);
    for (i = 0; i < (size_t)data->classes; i++) REQUIRE(data->class_names[i]);
}

static int same_data(const nn_data *a, const nn_data *b)
{
    const size_t rows = (size_t)a->rows;
    int i, same = a->rows == b->rows && a->inputs == b->inputs && a->outputs == b->outputs &&
                  a->classes == b->classes && !a->y == !b->y && !a->labels == !b->labels &&
                  a->dropped == b->dropped && a->imputed == b->imputed && a->unknown == b->unknown;

    same = same && !memcmp(a->x, b->x, rows * (size_t)a->inputs * sizeof(nn_real)) &&
           same_text(a->recipe, b->recipe);
    if (same && a->y) same = !memcmp(a->y, b->y, rows * (size_t)a->outputs * sizeof(nn_real));
    if (same && a->labels) same = !memcmp(a->labels, b->labels, rows * sizeof(int));
    for (i = 0; same && i < a->inputs; i++) same = same_text(a->input_names[i], b->input_names[i]);
    for (i = 0; same && i < a->classes; i++) same = same_text(a->class_names[i], b->class_names[i]);
    return same;
}

/* Reads a table from memory or from a file. */
static nn_status read_table(nn_data *data, const char *text, size_t size, int piece,
                            const nn_csv_options *options, long fail_at)
{
    const long blocks = fuzz_arm(fail_at);
    const size_t before = heap.bytes;
    size_t columns = 1, bytes = size, i, most, kept;
    nn_location location;
    nn_csv_options o = *options;
    nn_status status;

    o.location = &location;
    memset(data, 0xff, sizeof *data);
    memset(&location, 0xff, sizeof location);
    files[0].bytes = (const unsigned char *)text;
    files[0].size = size;
    files[0].piece = piece > 1 ? (size_t)piece : (size_t)-1;
    if (o.like) bytes += strlen(o.like->recipe);
    if (o.model) bytes += strlen(nn_metadata(o.model, "recipe"));
    fuzz_start_clock(bytes);
    status = piece ? nn_read_csv(data, "0", &o) : nn_parse_csv(data, text, size, &o);
    fuzz_stop_clock(bytes);
    fuzz_disarm();
    REQUIRE(is_status(status) && is_terminated(&location));
    REQUIRE(!heap.failed || status == NN_ERROR_MEMORY);
    most = heap.most - before;
    kept = heap.bytes - before;
    /* The memory is at most twice that of data, and some hundred bytes for each column; more for
       the texts of a column, which take some times their length, and for the parts of a file. */
    for (i = 0; i < size; i++)
        columns += text[i] == (o.delimiter ? o.delimiter : ',') || text[i] == ' ';
    REQUIRE(most <= 2 * kept + 400 * columns + 200 * bytes + ((size_t)1 << 20));
    if (status == NN_OK) {
        REQUIRE(heap.blocks == blocks + 1);
        check_data(data);
    } else {
        REQUIRE(heap.blocks == blocks && all_bytes_are(data, sizeof *data, 0));
        REQUIRE(status != NN_ERROR_STATE && status != NN_ERROR_TENSOR);
    }
    return status;
}

/* ---- What holds of simple tables ------------------------------------------------------------- */

/* Every row is read or counted. Without quotes, comments and CR, rows are lines. */
static void count_rows(const csv_input *input, const nn_data *data)
{
    const char delimiter = (char)(input->options.delimiter ? input->options.delimiter : ',');
    const char *at = input->table, *end = at + input->size, *stop;
    long rows = 0;
    int empty;

    if (input->options.comment || memchr(at, '"', input->size) || memchr(at, '\r', input->size) ||
        (input->size > 2 && memcmp(at, "\xef\xbb\xbf", 3) == 0))
        return;
    for (; at < end; at = stop + 1) {
        stop = (const char *)memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        for (empty = 1; at < stop && empty; at++)
            empty = *at == delimiter || *at == ' ' || *at == '\t';
        rows += !empty;
    }
    rows -= strncmp(strchr(data->recipe + 6, ','), ",header,", 8) == 0;
    REQUIRE(rows == (long)data->rows + data->dropped);
}

/* A table of nothing but numbers, without empty cells, each of which the C library reads too. */
static void check_numbers(const csv_input *input, const nn_data *data)
{
    nn_csv_options none;
    char *text, *at, *end;
    int row, i;

    memset(&none, 0, sizeof none);
    if (memcmp(&none, &input->options, sizeof none) != 0 || data->dropped || data->imputed ||
        !strstr(data->recipe, ",numbers,"))
        return;
    for (at = input->table; at < input->table + input->size; at++)
        if (!strchr("0123456789.-,\n", *at) || !*at) return;
    if (data->y == NULL || data->inputs < 1 || input->size > 4096) return;
    for (at = input->table; at + 1 < input->table + input->size; at++)
        if ((at[0] == ',' || at[0] == '\n') && (at[1] == ',' || at[1] == '\n')) return;
    if (*input->table == ',') return;
    text = (char *)malloc(input->size + 1);
    memcpy(text, input->table, input->size);
    text[input->size] = 0;
    at = text;
    for (row = 0; row < data->rows; row++)
        for (i = 0; i <= data->inputs; i++) {
            const nn_real read = i < data->inputs
                                     ? data->x[(size_t)row * (size_t)data->inputs + (size_t)i]
                                     : data->y[row];
            while (*at == '\n' || *at == ',') at++;
#ifdef NN_DOUBLE
            REQUIRE(read == strtod(at, &end) && end > at);
#else
            REQUIRE(read == strtof(at, &end) && end > at);
#endif
            at = end;
        }
    free(text);
}

/* ---- Recipes --------------------------------------------------------------------------------- */

/* A model of the data's inputs and outputs that has its recipe. */
static nn_model *make_model(const nn_data *data)
{
    nn_layer layer = NN_DENSE(1, NN_LINEAR);
    nn_model *model;

    layer.width = data->outputs ? data->outputs : 1;
    if ((size_t)data->inputs * (size_t)layer.width > 100000) return NULL;
    REQUIRE(nn_model_create(&model, data->inputs, &layer, 1, 1) == NN_OK);
    REQUIRE(nn_set_metadata(model, "recipe", data->recipe) == NN_OK);
    return model;
}

/* Reads a table as data was read. */
static nn_status read_alike(const csv_input *input, const nn_data *data, nn_data *again,
                            const char *text, size_t size, long fail_at)
{
    nn_csv_options o;
    nn_model *model = NULL;
    nn_status status;

    memset(&o, 0, sizeof o);
    o.comment = input->options.comment;
    o.drop_bad_rows = input->options.drop_bad_rows;
    if (input->piece & 1 && data->outputs) model = make_model(data);
    if (model)
        o.model = model;
    else
        o.like = data;
    status = read_table(again, text, size, 0, &o, fail_at);
    nn_model_free(model);
    return status;
}

/* The same table, by its own recipe, is the same data. Where a name occurs twice, a column cannot
   be found. Rows that end before a column lack its cell as long as the column is empty, and are an
   error as soon as it is known to be used, which the recipe says. */
static void read_by_own_recipe(const csv_input *input, const nn_data *data)
{
    nn_data again;
    nn_status status = read_alike(input, data, &again, input->table, input->size, 0);

    REQUIRE(status == NN_OK || status == NN_ERROR_CSV_COLUMN || status == NN_ERROR_MEMORY ||
            (status == NN_ERROR_CSV_CELLS && (data->dropped || data->imputed)));
    if (status == NN_OK) REQUIRE(same_data(data, &again));
    nn_data_free(&again);
}

static void read_by_given_recipe(csv_input *input)
{
    nn_data like, data;
    nn_csv_options o;
    fuzz_input text;
    char *recipe;

    text.at = (const unsigned char *)input->second;
    text.end = text.at + input->second_size;
    recipe = make_string(text);
    memset(&like, 0, sizeof like);
    like.recipe = recipe;
    like.inputs = 1 + input->piece % 8;
    like.outputs = 1;
    o = input->options;
    o.like = &like;
    (void)read_table(&data, input->table, input->size, 0, &o, input->fail_at);
    nn_data_free(&data);
    free(recipe);
}

static void fuzz_one(fuzz_input in)
{
    csv_input input;
    nn_data data, other;
    nn_status status;

    take_csv(in, &input);
    if (input.mode == GIVEN_RECIPE) {
        read_by_given_recipe(&input);
        free_csv(&input);
        return;
    }
    status = read_table(&data, input.table, input.size, 0, &input.options, input.fail_at);
    if (input.piece && !input.fail_at) { /* a file gives the same */
        nn_status same =
            read_table(&other, input.table, input.size, input.piece, &input.options, 0);
        REQUIRE(same == status && (status != NN_OK || same_data(&data, &other)));
        nn_data_free(&other);
    }
    if (status == NN_OK) {
        count_rows(&input, &data);
        check_numbers(&input, &data);
        if (input.mode == OWN_RECIPE) read_by_own_recipe(&input, &data);
        if (input.mode == OTHER_TABLE) {
            (void)read_alike(&input, &data, &other, input.second, input.second_size, 0);
            nn_data_free(&other);
        }
    }
    nn_data_free(&data);
    free_csv(&input);
}
