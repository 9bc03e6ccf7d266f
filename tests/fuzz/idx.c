/* IDX files: nn_read_idx. An input begins with the classes and the allocation that fails, and has
   two files, as they are or, where its third byte is 1, with a header that is mended: three bytes
   say how many items there are, and how long and wide. "\n--\n" separates the files. */
#include "fuzz.h"

static unsigned char *mend_idx(fuzz_input in, int dimensions, size_t *size)
{
    const size_t start = 4 + 4 * (size_t)dimensions;
    size_t product = 1, i;
    unsigned char lengths[3], *bytes;

    for (i = 0; i < 3; i++) lengths[i] = (unsigned char)(take_byte(&in) - '0');
    for (i = 0; i < (size_t)dimensions; i++) product *= lengths[i];
    if (product > 65536) product = 65536;
    bytes = (unsigned char *)calloc(1, start + product);
    bytes[2] = 8;
    bytes[3] = (unsigned char)dimensions;
    for (i = 0; i < (size_t)dimensions; i++) bytes[4 + 4 * i + 3] = lengths[i];
    for (i = 0; i < product; i++) bytes[start + i] = (unsigned char)take_byte(&in);
    *size = start + product;
    return bytes;
}

static void fuzz_one(fuzz_input in)
{
    int classes = take_below(&in, 258) - 1, mended, i;
    const long fail_at = take_below(&in, 16);
    unsigned char *bytes[2];
    nn_location location;
    nn_status status;
    nn_data data;
    size_t k;

    mended = take_below(&in, 2);
    if (classes == -1) classes = 0;
    for (i = 0; i < 2; i++) {
        fuzz_input file = take_until(&in, "\n--\n");
        files[i].piece = (size_t)-1;
        if (mended) {
            bytes[i] = mend_idx(file, 3 - 2 * i, &files[i].size);
        } else {
            files[i].size = (size_t)(file.end - file.at);
            bytes[i] = copy_bytes(file.at, files[i].size);
        }
        files[i].bytes = bytes[i];
    }
    memset(&data, 0xff, sizeof data);
    memset(&location, 0xff, sizeof location);
    (void)fuzz_arm(fail_at);
    status = nn_read_idx(&data, "0", "1", classes, &location);
    fuzz_disarm();
    REQUIRE(is_status(status) && is_terminated(&location) && location.path);
    REQUIRE(!heap.failed || status == NN_ERROR_MEMORY);
    REQUIRE(heap.most <= 8 * (files[0].size + files[1].size) + (1 << 18));
    if (status == NN_OK) {
        const unsigned char *x = bytes[0] + 4 + 4 * bytes[0][3];
        const unsigned char *labels = bytes[1] + 4 + 4 * bytes[1][3];
        const size_t count = (size_t)data.rows * (size_t)data.inputs;

        REQUIRE(data.rows > 0 && data.inputs > 0 && data.classes >= 2 && data.memory);
        REQUIRE(data.outputs == (data.classes == 2 ? 1 : data.classes) && data.labels && !data.y);
        REQUIRE(x + count == bytes[0] + files[0].size);
        for (k = 0; k < count; k++) REQUIRE(data.x[k] == (nn_real)x[k] / 255);
        for (k = 0; k < (size_t)data.rows; k++)
            REQUIRE(data.labels[k] == labels[k] && data.labels[k] < data.classes);
    } else {
        REQUIRE(all_bytes_are(&data, sizeof data, 0) && heap.blocks == 0);
    }
    nn_data_free(&data);
    free(bytes[0]);
    free(bytes[1]);
}
