/* What the tests of CSV share. */
#ifndef CSV_H
#define CSV_H

#include "../fixtures.h"

static void check_equal(const nn_data *a, const nn_data *b)
{
    size_t n = (size_t)a->rows;
    int i;
    if (!CHECK(a->rows == b->rows && a->inputs == b->inputs && a->outputs == b->outputs)) return;
    CHECK(a->classes == b->classes && a->dropped == b->dropped);
    CHECK(!memcmp(a->x, b->x, n * (size_t)a->inputs * sizeof *a->x));
    CHECK(!a->y == !b->y && !a->labels == !b->labels);
    if (a->y && b->y) CHECK(!memcmp(a->y, b->y, n * (size_t)a->outputs * sizeof *a->y));
    if (a->labels && b->labels) CHECK(!memcmp(a->labels, b->labels, n * sizeof *a->labels));
    CHECK(a->imputed == b->imputed && a->unknown == b->unknown && !strcmp(a->recipe, b->recipe));
    for (i = 0; i < a->inputs; i++) CHECK(!strcmp(a->input_names[i], b->input_names[i]));
    if (!CHECK(!a->class_names == !b->class_names) || !a->class_names) return;
    for (i = 0; i < a->classes; i++) CHECK(!strcmp(a->class_names[i], b->class_names[i]));
}

/* The text has no terminating zero, so that ASan sees a read past its end; it is gone before the
   result is looked at, and the result starts as rubbish. */
static nn_status parse_bytes(nn_data *data, const char *text, size_t length,
                             const nn_csv_options *how)
{
    char *copy = (char *)malloc(length ? length : 1);
    nn_status status;
    if (!CHECK(copy != NULL)) return NN_ERROR_MEMORY;
    memcpy(copy, text, length);
    memset(data, 0xa5, sizeof *data);
    status = nn_parse_csv(data, copy, length, how);
    memset(copy, '#', length);
    free(copy);
    if (status != NN_OK) CHECK(data_is_zero(data));
    return status;
}

/* From memory and from a file: both must give the same, and the same place. */
static nn_status parse(nn_data *data, const char *text, const nn_csv_options *how)
{
    nn_data from_file;
    nn_location place;
    nn_status status, file_status;
    memset(&from_file, 0xa5, sizeof from_file);
    memset(&place, 0, sizeof place);
    if (how && how->location) memset(how->location, 0xa5, sizeof place);
    write_file(temporary("table.csv"), text, strlen(text));
    file_status = nn_read_csv(&from_file, temporary("table.csv"), how);
    if (how && how->location) {
        place = *how->location;
        memset(how->location, 0xa5, sizeof place);
    }
    status = parse_bytes(data, text, strlen(text), how);
    CHECK(status == file_status);
    if (status == NN_OK && file_status == NN_OK) check_equal(data, &from_file);
    if (file_status != NN_OK) CHECK(data_is_zero(&from_file));
    if (status != NN_OK && how && how->location) {
        CHECK(how->location->path == NULL);
        CHECK(place.path && !strcmp(place.path, temporary("table.csv")));
        CHECK(place.line == how->location->line && place.column == how->location->column);
        CHECK(!strcmp(place.name, how->location->name));
        CHECK(!strcmp(place.expected, how->location->expected));
    }
    nn_data_free(&from_file);
    return status;
}

static nn_csv_options plain(void)
{
    nn_csv_options how;
    memset(&how, 0, sizeof how);
    return how;
}

#endif
