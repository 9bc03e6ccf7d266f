/* IDX (MNIST's format): a small pair of files, and everything that can be wrong with one. */
#include "../fixtures.h"

/* Three images of 2 rows and 4 columns, with the labels 2, 0, 3. */
enum { IMAGES_SIZE = 16 + 24, LABELS_SIZE = 8 + 3 };
static const unsigned char images[IMAGES_SIZE] = {
    0, 0,  8,  3,  0,  0,   0,   3,   0,   0,   0,   2, 0, 0, 0, 4, 0, 1, 2,   3,
    4, 50, 51, 85, 86, 127, 128, 129, 170, 171, 200, 3, 7, 9, 0, 0, 0, 0, 254, 255,
};

static const unsigned char labels[LABELS_SIZE] = {0, 0, 8, 1, 0, 0, 0, 3, 2, 0, 3};

static nn_status read_pair(nn_data *data, int classes, nn_location *place)
{
    nn_status status;
    memset(data, 0xa5, sizeof *data);
    if (place) memset(place, 0xa5, sizeof *place);
    status = nn_read_idx(data, temporary("images"), temporary("labels"), classes, place);
    CHECK((int)status >= 0 && status < NN_STATUS_COUNT);
    if (status != NN_OK) {
        CHECK(data_is_zero(data));
        CHECK(live_blocks == 0);
    }
    return status;
}

static void write_good(void)
{
    write_file(temporary("images"), images, sizeof images);
    write_file(temporary("labels"), labels, sizeof labels);
}

static void expect_good(int classes, int want_classes)
{
    static const int class_of[] = {2, 0, 3};
    nn_data data;
    int i;
    if (!CHECK(read_pair(&data, classes, NULL) == NN_OK)) return;
    CHECK(data.rows == 3 && data.inputs == 8 && data.outputs == want_classes);
    CHECK(data.classes == want_classes && !data.weight && data.dropped == 0);
    CHECK(!data.y && !data.input_names && !data.class_names && !data.recipe);
    for (i = 0; i < 24; i++) CHECK(data.x[i] == (nn_real)images[16 + i] / 255);
    if (!CHECK(data.labels != NULL)) return;
    for (i = 0; i < 3; i++) CHECK(data.labels[i] == class_of[i]);
    nn_data_free(&data);
    CHECK(data_is_zero(&data));
    CHECK(live_blocks == 0);
}

static void test_good(void)
{
    write_good();
    expect_good(0, 4);
    expect_good(4, 4);
    expect_good(10, 10);
}

/* Two classes are one output. */
static void test_two_classes(void)
{
    static const unsigned char two[LABELS_SIZE] = {0, 0, 8, 1, 0, 0, 0, 3, 1, 0, 1};
    nn_data data;
    write_good();
    write_file(temporary("labels"), two, sizeof two);
    if (!CHECK(read_pair(&data, 0, NULL) == NN_OK)) return;
    CHECK(data.classes == 2 && data.outputs == 1);
    CHECK(data.labels[0] == 1 && data.labels[1] == 0 && data.labels[2] == 1);
    nn_data_free(&data);
}

/* A row costs its inputs and one int, however many classes there are: one-hot targets of 256
   classes would need as much as 256 inputs. */
static void test_memory(void)
{
    enum { COUNT = 20000 };
    static unsigned char many_images[16 + COUNT], many_labels[8 + COUNT];
    nn_data data;
    int i;
    memcpy(many_images, "\0\0\10\3\0\0\0\0\0\0\0\1\0\0\0\1", 16);
    memcpy(many_labels, "\0\0\10\1\0\0\0\0", 8);
    many_images[6] = many_labels[6] = COUNT / 256;
    many_images[7] = many_labels[7] = COUNT % 256;
    for (i = 0; i < COUNT; i++) many_labels[8 + i] = (unsigned char)i;
    write_file(temporary("images"), many_images, sizeof many_images);
    write_file(temporary("labels"), many_labels, sizeof many_labels);
    largest_block = 0;
    if (!CHECK(read_pair(&data, 0, NULL) == NN_OK)) return;
    CHECK(data.rows == COUNT && data.classes == 256 && data.outputs == 256);
    CHECK(largest_block >= COUNT * (sizeof(nn_real) + sizeof(int)));
    CHECK(largest_block < COUNT * (sizeof(nn_real) + sizeof(int)) + 4096);
    for (i = 0; i < COUNT; i++) CHECK(data.labels[i] == i % 256);
    nn_data_free(&data);
}

static void test_label_outside(void)
{
    static const unsigned char zeros[LABELS_SIZE] = {0, 0, 8, 1, 0, 0, 0, 3, 0, 0, 0};
    nn_data data;
    nn_location place;
    write_good();
    CHECK(read_pair(&data, 3, &place) == NN_ERROR_LABEL);
    CHECK(place.path && !strcmp(place.path, temporary("labels")));
    CHECK(read_pair(&data, 2, NULL) == NN_ERROR_LABEL);
    CHECK(read_pair(&data, -1, NULL) == NN_ERROR_SIZE);
    write_file(temporary("labels"), zeros, sizeof zeros); /* one class is nothing to learn */
    CHECK(read_pair(&data, 0, NULL) == NN_ERROR_LABEL);
    nn_data_free(&data);
}

static void test_truncated(void)
{
    nn_data data;
    nn_location place;
    size_t size;
    nn_status status;
    write_good();
    for (size = 0; size < sizeof images; size++) {
        write_file(temporary("images"), images, size);
        status = read_pair(&data, 0, &place);
        CHECK(status == NN_ERROR_IDX_SIZE || (size < 4 && status == NN_ERROR_IDX_MAGIC));
        CHECK(place.path && !strcmp(place.path, temporary("images")));
    }
    write_good();
    for (size = 0; size < sizeof labels; size++) {
        write_file(temporary("labels"), labels, size);
        status = read_pair(&data, 0, &place);
        CHECK(status == NN_ERROR_IDX_SIZE || (size < 4 && status == NN_ERROR_IDX_MAGIC));
        CHECK(place.path && !strcmp(place.path, temporary("labels")));
    }
}

static void test_trailing(void)
{
    unsigned char longer[IMAGES_SIZE + 1];
    nn_data data;
    write_good();
    memcpy(longer, images, sizeof images);
    longer[IMAGES_SIZE] = 0;
    write_file(temporary("images"), longer, IMAGES_SIZE + 1);
    CHECK(read_pair(&data, 0, NULL) == NN_ERROR_IDX_SIZE);
    write_good();
    memcpy(longer, labels, sizeof labels);
    longer[LABELS_SIZE] = 0;
    write_file(temporary("labels"), longer, LABELS_SIZE + 1);
    CHECK(read_pair(&data, 0, NULL) == NN_ERROR_IDX_SIZE);
}

/* Each whole in itself, but not of the same count. */
static void test_counts_differ(void)
{
    static const unsigned char four[12] = {0, 0, 8, 1, 0, 0, 0, 4, 2, 0, 3, 1};
    static const unsigned char two[10] = {0, 0, 8, 1, 0, 0, 0, 2, 2, 0};
    nn_data data;
    write_good();
    write_file(temporary("labels"), four, sizeof four);
    CHECK(read_pair(&data, 0, NULL) == NN_ERROR_IDX_SIZE);
    write_file(temporary("labels"), two, sizeof two);
    CHECK(read_pair(&data, 0, NULL) == NN_ERROR_IDX_SIZE);
}

/* The first four bytes: 0, 0, type 8 (unsigned byte), dimensions 3 and 1. */
static void test_magic(void)
{
    static const struct magic {
        int at, value;
    } magics[] = {{0, 1},  {1, 1},    {2, 0}, {2, 9},    {2, 0x0b}, {2, 0x0d},
                  {2, 14}, {2, 0x88}, {3, 0}, {0, 0x1f}, {0, 'P'}};
    unsigned char wrong[IMAGES_SIZE];
    nn_data data;
    nn_location place;
    size_t i;
    for (i = 0; i < sizeof magics / sizeof *magics; i++) {
        write_good();
        memcpy(wrong, images, sizeof images);
        wrong[magics[i].at] = (unsigned char)magics[i].value;
        write_file(temporary("images"), wrong, sizeof images);
        CHECK(read_pair(&data, 0, &place) == NN_ERROR_IDX_MAGIC);
        CHECK(place.path && !strcmp(place.path, temporary("images")));
        write_good();
        memcpy(wrong, labels, sizeof labels);
        wrong[magics[i].at] = (unsigned char)magics[i].value;
        write_file(temporary("labels"), wrong, sizeof labels);
        CHECK(read_pair(&data, 0, &place) == NN_ERROR_IDX_MAGIC);
        CHECK(place.path && !strcmp(place.path, temporary("labels")));
    }
    write_good();
    CHECK(nn_read_idx(&data, temporary("labels"), temporary("images"), 0, &place) ==
          NN_ERROR_IDX_MAGIC); /* swapped */
}

/* Dimensions that are zero, that are more than there is, and whose product is the file's size only
   modulo 2^32 or 2^64. Nothing of that size may be asked for. */
static void test_dimensions(void)
{
    static const struct dimensions {
        uint32_t count, rows, columns;
    } wrong[] = {
        {0, 2, 4},
        {3, 0, 4},
        {3, 2, 0},
        {3, 4, 4},
        {0xffffffffu, 0xffffffffu, 0xffffffffu},
        {0x80000000u, 0x80000000u, 4},
        {2, 0x10000u, 0x10000u},
        {3, 0x80000000u, 0x80000000u},
        {3, 0x55555558u, 0x10000u},
        {3, 0x20000002u, 0x20000004u},
    };
    unsigned char bytes[IMAGES_SIZE];
    nn_data data;
    size_t i, with_pixels;
    int k;
    memcpy(bytes, images, sizeof images);
    for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        for (k = 0; k < 4; k++) {
            bytes[4 + k] = (unsigned char)(wrong[i].count >> (24 - 8 * k));
            bytes[8 + k] = (unsigned char)(wrong[i].rows >> (24 - 8 * k));
            bytes[12 + k] = (unsigned char)(wrong[i].columns >> (24 - 8 * k));
        }
        for (with_pixels = 0; with_pixels < 2; with_pixels++) {
            write_good();
            write_file(temporary("images"), bytes, with_pixels ? sizeof bytes : 16);
            largest_block = 0;
            CHECK(read_pair(&data, 0, NULL) != NN_OK);
            CHECK(largest_block < 1 << 20);
        }
    }
}

/* Any one byte replaced: a status, and sound values when it is NN_OK. */
static void test_flips(void)
{
    static const unsigned char masks[] = {1, 2, 0x80, 0xff};
    unsigned char bytes[IMAGES_SIZE + LABELS_SIZE];
    size_t at, k, accepted = 0;
    int i;
    for (at = 0; at < sizeof bytes; at++) {
        for (k = 0; k < sizeof masks; k++) {
            nn_data data;
            memcpy(bytes, images, IMAGES_SIZE);
            memcpy(bytes + IMAGES_SIZE, labels, LABELS_SIZE);
            bytes[at] ^= masks[k];
            write_file(temporary("images"), bytes, IMAGES_SIZE);
            write_file(temporary("labels"), bytes + IMAGES_SIZE, LABELS_SIZE);
            if (read_pair(&data, 0, NULL) != NN_OK) continue;
            accepted++;
            for (i = 0; i < data.rows * data.inputs; i++) CHECK(data.x[i] >= 0 && data.x[i] <= 1);
            for (i = 0; i < data.rows; i++)
                CHECK(data.labels[i] >= 0 && data.labels[i] < data.classes);
            nn_data_free(&data);
        }
    }
    CHECK(accepted >= 4 * 24); /* any pixel is a good pixel */
}

static void test_paths(void)
{
    static const char missing[] = "build/no such folder/no such file";
    nn_data data;
    nn_location place;
    write_good();
    memset(&data, 0xa5, sizeof data);
    memset(&place, 0xa5, sizeof place);
    CHECK(nn_read_idx(&data, missing, temporary("labels"), 0, &place) == NN_ERROR_OPEN);
    CHECK(place.path && !strcmp(place.path, missing) && place.line == 0 && place.column == 0);
    CHECK(data_is_zero(&data));
    CHECK(nn_read_idx(&data, temporary("images"), missing, 0, &place) == NN_ERROR_OPEN);
    CHECK(place.path && !strcmp(place.path, missing));
    CHECK(nn_read_idx(&data, "build", temporary("labels"), 0, &place) == NN_ERROR_READ);
    CHECK(place.path && !strcmp(place.path, "build"));
    CHECK(nn_read_idx(&data, temporary("images"), "build", 0, NULL) == NN_ERROR_READ);
    CHECK(data_is_zero(&data));
}

static void test_nulls(void)
{
    static const char path[] = "build/no such file";
    nn_data data;
    CHECK(nn_read_idx(NULL, path, path, 0, NULL) == NN_ERROR_NULL);
    memset(&data, 0xa5, sizeof data);
    CHECK(nn_read_idx(&data, NULL, path, 0, NULL) == NN_ERROR_NULL);
    CHECK(data_is_zero(&data));
    memset(&data, 0xa5, sizeof data);
    CHECK(nn_read_idx(&data, path, NULL, 0, NULL) == NN_ERROR_NULL);
    CHECK(data_is_zero(&data));
    memset(&data, 0xa5, sizeof data);
    CHECK(nn_read_idx(&data, path, path, 1, NULL) == NN_ERROR_SIZE); /* one class is none */
    CHECK(nn_read_idx(&data, path, path, -1, NULL) == NN_ERROR_SIZE);
    CHECK(data_is_zero(&data));
}

int main(void)
{
    heap_limit = 1 << 20; /* no test here needs more */
    RUN(test_good);
    RUN(test_two_classes);
    RUN(test_memory);
    RUN(test_label_outside);
    RUN(test_truncated);
    RUN(test_trailing);
    RUN(test_counts_differ);
    RUN(test_magic);
    RUN(test_dimensions);
    RUN(test_flips);
    RUN(test_paths);
    RUN(test_nulls);
    remove(temporary("images"));
    remove(temporary("labels"));
    return test_done();
}
