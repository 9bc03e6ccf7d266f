/* Models over the bytes of a saved file: the same bits as the model that was saved, and nothing
   written but the caller's memory. Usage: safetensors_open [SEED] */
#define _DEFAULT_SOURCE
#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#include <unistd.h>
#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif
#define HAS_PAGES
#endif

#include "safetensors_open.h"

/* ---- The same model -------------------------------------------------------------------------- */

static void check_scratch(const nn_model *model, const opened *o, int rows)
{
    const size_t size = nn_scratch_size(model, rows);
    const size_t count = (size_t)rows * (size_t)outputs_of(model);
    bytes scratch = make_bytes(size), before = copy_bytes(o->block.at, o->block.size);
    bytes ya = make_bytes(count * sizeof(nn_real)), yb = make_bytes(count * sizeof(nn_real));
    nn_status status;

    CHECK(size > 0 && nn_scratch_size(o->model, rows) == size);
    memset(scratch.at, 0xff, size);
    memset(yb.at, 0xff, yb.size);
    status = nn_predict(model, inputs, rows, (nn_real *)(void *)ya.at, NULL);
    CHECK(status == NN_OK || status == NN_ERROR_DATA); /* outputs that overflow */
    CHECK(nn_predict(o->model, inputs, rows, (nn_real *)(void *)yb.at, scratch.at) == status);
    CHECK(same_bytes(ya, yb));
    CHECK(same_bytes(before, o->block)); /* threads may share the model */
    free(scratch.at);
    free(before.at);
    free(ya.at);
    free(yb.at);
}

static void check_metrics(const nn_model *model, const nn_model *opened_model)
{
    static int ma[WIDEST * WIDEST], mb[WIDEST * WIDEST];
    nn_data data = data_for(model);
    nn_loss loss = loss_of(model, &data);
    nn_metrics a, b;
    nn_status status;

    memset(&a, 0x11, sizeof a);
    memset(&b, 0x22, sizeof b);
    status = evaluate(model, &data, loss, &a);
    CHECK((status == NN_OK || status == NN_ERROR_DATA) && a.loss >= 0);
    CHECK(evaluate(opened_model, &data, loss, &b) == status);
    CHECK(!memcmp(&a, &b, sizeof a));
    if (!data.classes) return;
    memset(ma, 0x11, sizeof ma);
    memset(mb, 0x11, sizeof mb);
    status = nn_confusion_matrix(model, &data, ma);
    CHECK(status == NN_OK || status == NN_ERROR_DATA);
    CHECK(nn_confusion_matrix(opened_model, &data, mb) == status);
    CHECK(!memcmp(ma, mb, sizeof ma));
}

static void check_same(nn_model *model, const opened *o, int step)
{
    int rows;

    CHECK(same_shape(model, o->model));
    CHECK(nn_parameter_count(o->model) == nn_parameter_count(model));
    CHECK(nn_parameters(o->model) == NULL);
    CHECK(!strcmp(nn_backend(o->model), nn_backend(model)));
    for (rows = 1; rows <= ROWS; rows += step) CHECK(predict_the_same(model, o->model, rows));
    for (rows = 31; rows <= 33; rows++) CHECK(predict_the_same(model, o->model, rows));
    for (rows = 1; rows <= ROWS; rows += 23) check_scratch(model, o, rows);
    check_metrics(model, o->model);
}

/* Saves the model, opens it somewhere, and compares; one byte less is refused, more is not. */
static void check_model(nn_model *model, size_t file_shift, size_t shift, int step)
{
    bytes file = save_model(model);
    opened o = open_at(file, file_shift, shift);
    nn_model *none = model;

    if (CHECK(o.status == NN_OK)) {
        check_same(model, &o, step);
        CHECK(is_stored(o.file.at + file_shift, file));
        memset(o.block.at, GUARD_BYTE, o.block.size);
        CHECK(nn_model_open_in(&none, o.memory, o.size - 1, o.file.at + file_shift, file.size) ==
                  NN_ERROR_BLOCK &&
              !none);
        CHECK(all_are(o.block.at, o.block.size, GUARD_BYTE));
        CHECK(nn_model_open_in(&o.model, o.memory, o.size + 1, o.file.at + file_shift, file.size) ==
              NN_OK);
    }
    close_opened(&o);
    CHECK(is_taken(file));
    free(file.at);
}

/* Every activation as the hidden ones and as the last, with every scaling, for every number of
   rows. */
static void test_activations(void)
{
    nn_layer layers[] = {NN_DENSE(7, NN_RELU), NN_DENSE(4, NN_TANH), NN_DENSE(3, NN_LINEAR)};
    nn_model *model;
    int a, s;

    for (a = NN_LINEAR; a < NN_ACTIVATION_COUNT; a++) {
        for (s = NN_SCALE_NONE; s <= NN_SCALE_MIN_MAX; s++) {
            if (a != NN_SOFTMAX) layers[0].activation = layers[1].activation = (nn_activation)a;
            layers[2].activation = (nn_activation)a;
            layers[2].kind = NN_LAYER_DENSE;
            layers[2].width = s != NN_SCALE_NONE ? 3 : a == NN_SOFTMAX ? 2 : 1;
            model = make_scaled(5, layers, 3, (nn_scaling)s);
            check_model(model, (size_t)a, (size_t)s, 1);
            nn_model_free(model);
        }
    }
}

/* 1 to 8 layers, widths 1 to 40, wherever the file and the memory begin. */
static void test_shapes(void)
{
    nn_layer layers[MOST_LAYERS];
    nn_model *model;
    int round, count, i;

    for (round = 0; round < 72; round++) {
        count = 1 + round % MOST_LAYERS;
        for (i = 0; i < count; i++) {
            layers[i] = dense_layer(1 + random_below(WIDEST), NN_LINEAR);
            layers[i].activation = (nn_activation)random_below(NN_ACTIVATION_COUNT);
            if (layers[i].activation == NN_SOFTMAX && (i < count - 1 || layers[i].width == 1))
                layers[i].activation = NN_LINEAR;
        }
        model = make_scaled(1 + (int)random_below(WIDEST), layers, count, (nn_scaling)(round % 3));
        check_model(model, (size_t)round % 9, (size_t)round * 5 % 71, 29);
        nn_model_free(model);
    }
}

/* Numbers at the edge of the format: no other comes out. */
static void test_extreme_parameters(void)
{
    static const nn_real values[] = {
        (nn_real)1e-7, -0.0f, SIZED((nn_real)1.4e-45, 5e-324), SIZED((nn_real)-1.4e-45, -5e-324),
        (nn_real)0.1,  0,     SIZED((nn_real)3.4e38, 1.7e308), SIZED((nn_real)-3.4e38, -1.7e308)};
    static const nn_layer layers[] = {NN_DENSE(2, NN_LINEAR)};
    nn_model *model = make_scaled(3, layers, 1, NN_SCALE_NONE);
    size_t i;

    for (i = 0; i < 8; i++) {
        size_t k;
        for (k = 0; k < 8; k++) nn_parameters(model)[k] = values[(k + i) % 8] / 64;
        check_model(model, i, 8 - i, 1);
    }
    nn_model_free(model);
}

/* Nothing writes to the file, and nothing reads past it: its end is the end of what may be read,
   and none of it may be written. */
static void test_read_only_memory(void)
{
#ifdef HAS_PAGES
    static const nn_layer layers[] = {NN_DENSE(5, NN_TANH), NN_DENSE(4, NN_SIGMOID),
                                      NN_DENSE(3, NN_SOFTMAX)};
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    nn_model *model = make_scaled(6, layers, 3, NN_SCALE_STANDARD);
    bytes file = save_model(model), memory;
    const size_t pages = (file.size + page - 1) / page * page;
    unsigned char *map = (unsigned char *)mmap(NULL, pages + page, PROT_READ | PROT_WRITE,
                                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    opened o;

    if (CHECK((void *)map != MAP_FAILED)) {
        unsigned char *at = map + pages - file.size;
        store(at, file);
        CHECK(!mprotect(map, pages, PROT_READ) && !mprotect(map + pages, page, PROT_NONE));
        memory = make_bytes(nn_model_open_size(at, file.size));
        memset(&o, 0, sizeof o);
        o.block = memory;
        if (CHECK(nn_model_open_in(&o.model, memory.at, memory.size, at, file.size) == NN_OK))
            check_same(model, &o, 7);
        free(memory.at);
        munmap(map, pages + page);
    }
    free(file.at);
    nn_model_free(model);
#endif
}

/* ---- What may not be done -------------------------------------------------------------------- */

static void check_trainers(nn_model *model)
{
    static unsigned char memory[NN_TRAINER_SIZE(2, 32, 3, 2, 1)];
    static const nn_real dropout[2] = {(nn_real)0.5, 0};
    const long live = live_blocks;
    nn_trainer *trainer = (nn_trainer *)(void *)model;
    nn_options how;

    memset(&how, 0, sizeof how);
    CHECK(nn_trainer_create(&trainer, model, NULL) == NN_ERROR_READ_ONLY && !trainer);
    how.optimizer = NN_ADAM;
    trainer = (nn_trainer *)(void *)model;
    memset(memory, GUARD_BYTE, sizeof memory);
    CHECK(nn_trainer_create_in(&trainer, memory, sizeof memory, model, &how) ==
              NN_ERROR_READ_ONLY &&
          !trainer);
    CHECK(all_are(memory, sizeof memory, GUARD_BYTE));
    CHECK(nn_trainer_size(model, &how) == 0);
    how.dropout = dropout;
    trainer = (nn_trainer *)(void *)model;
    CHECK(nn_trainer_create(&trainer, model, &how) == NN_ERROR_READ_ONLY && !trainer);
    CHECK(live_blocks == live);
}

static void check_fit(nn_model *model)
{
    nn_data data = data_for(model);
    nn_options how;

    memset(&how, 0, sizeof how);
    how.epochs = 1;
    CHECK(nn_fit(model, &data, NULL) == NN_ERROR_READ_ONLY);
    how.scaling = NN_SCALE_STANDARD;
    CHECK(nn_fit(model, &data, &how) == NN_ERROR_READ_ONLY);
    CHECK(nn_initialize(model, NN_INITIALIZE_DEFAULT, 7) == NN_ERROR_READ_ONLY);
}

static void check_files(nn_model *model, bytes file)
{
    unsigned char buffer[64];
    size_t size = 99;
    nn_location place;

    memset(buffer, GUARD_BYTE, sizeof buffer);
    CHECK(nn_save_memory(model, NULL, 0, &size) == NN_ERROR_READ_ONLY && size == 0);
    size = 99;
    CHECK(nn_save_memory(model, buffer, sizeof buffer, &size) == NN_ERROR_READ_ONLY && size == 0);
    CHECK(all_are(buffer, sizeof buffer, GUARD_BYTE));
    CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL, NULL) == NN_ERROR_READ_ONLY);
    memset(&place, GUARD_BYTE, sizeof place);
    CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL, &place) == NN_ERROR_READ_ONLY);
    CHECK(place.path == NULL && place.name[0] == 0);
    CHECK(nn_load_parameters(model, temporary("model"), NULL, NULL) == NN_ERROR_READ_ONLY);
    CHECK(nn_load_parameters(model, temporary("model"), NULL, &place) == NN_ERROR_READ_ONLY);
    remove(temporary("none"));
    CHECK(nn_save(model, temporary("none")) == NN_ERROR_READ_ONLY);
    CHECK(remove(temporary("none")) != 0);
}

/* All that changes or writes parameters says so, and changes nothing: neither the file, nor the
   model, nor its scaling. */
static void test_read_only(void)
{
    nn_model *model = make_small(), *other = make_small();
    bytes file = save_model(model), second, before;
    opened o = open_at(file, 3, 5);

    CHECK(nn_initialize(other, NN_INITIALIZE_DEFAULT, 1234) == NN_OK &&
          !predict_the_same(model, other, 9));
    second = save_model(other);
    CHECK(nn_save(other, temporary("model")) == NN_OK);
    if (CHECK(o.status == NN_OK)) {
        CHECK(predict_the_same(model, o.model, 9));
        before = copy_bytes(o.block.at, o.block.size);
        check_trainers(o.model);
        check_fit(o.model);
        check_files(o.model, second);
        CHECK(same_bytes(before, o.block));
        CHECK(is_stored(o.file.at + 3, file));
        CHECK(predict_the_same(model, o.model, 9));
        free(before.at);
    }
    remove(temporary("model"));
    close_opened(&o);
    free(file.at);
    free(second.at);
    nn_model_free(model);
    nn_model_free(other);
}

/* The scaling lives in the caller's memory: it can be fitted anew, as the saved model's can; a
   model that is opened again has the file's. */
static void test_scaling(void)
{
    nn_model *model = make_small();
    bytes file = save_model(model);
    opened o = open_at(file, 1, 2), again;
    nn_data data = data_for(model);
    int s;

    if (CHECK(o.status == NN_OK)) {
        for (s = NN_SCALE_MIN_MAX; s >= NN_SCALE_NONE; s--) {
            data.rows = 20 + s;
            CHECK(nn_fit_scaling(model, &data, (nn_scaling)s) == NN_OK);
            CHECK(!predict_the_same(model, o.model, 9));
            CHECK(nn_fit_scaling(o.model, &data, (nn_scaling)s) == NN_OK);
            CHECK(predict_the_same(model, o.model, 9));
        }
        CHECK(is_stored(o.file.at + 1, file));
        again = open_at(file, 0, 0);
        CHECK(again.status == NN_OK && !predict_the_same(again.model, o.model, 9));
        close_opened(&again);
    }
    close_opened(&o);
    free(file.at);
    nn_model_free(model);
}

/* ---- Nothing, and too little ----------------------------------------------------------------- */

static void test_null(void)
{
    static const unsigned char nothing[8] = {FLASH, FLASH, FLASH, FLASH,
                                             FLASH, FLASH, FLASH, FLASH};
    nn_model *model = make_small(), *made = model;
    bytes file = save_model(model), stored = copy_bytes(file.at, file.size), memory;
    size_t size;

    store(stored.at, file);
    memory = make_bytes(nn_model_open_size(stored.at, stored.size));
    CHECK(memory.size > 0);
    CHECK(nn_model_open_in(NULL, memory.at, memory.size, stored.at, stored.size) == NN_ERROR_NULL);
    CHECK(nn_model_open_in(&made, NULL, memory.size, stored.at, stored.size) == NN_ERROR_NULL &&
          !made);
    made = model;
    CHECK(nn_model_open_in(&made, memory.at, memory.size, NULL, stored.size) == NN_ERROR_NULL &&
          !made);
    made = model;
    CHECK(nn_model_open_in(&made, memory.at, memory.size, NULL, 0) == NN_ERROR_NULL && !made);
    made = model;
    CHECK(nn_model_open_in(&made, NULL, 0, NULL, 0) == NN_ERROR_NULL && !made);
    made = model;
    CHECK(nn_model_open_in(&made, memory.at, 0, stored.at, stored.size) == NN_ERROR_BLOCK && !made);
    CHECK(nn_model_open_size(NULL, 0) == 0 && nn_model_open_size(NULL, 1000) == 0);
    for (size = 0; size <= 8; size++) {
        made = model;
        CHECK(nn_model_open_in(&made, memory.at, memory.size, stored.at, size) ==
              NN_ERROR_TRUNCATED);
        CHECK(!made && nn_model_open_size(stored.at, size) == 0);
        made = model;
        CHECK(nn_model_open_in(&made, memory.at, memory.size, nothing, size) != NN_OK);
        CHECK(!made && nn_model_open_size(nothing, size) == 0);
    }
    free(memory.at);
    free(stored.at);
    free(file.at);
    nn_model_free(model);
}

int main(int argc, char **argv)
{
    if (argc > 1) seed = strtoull(argv[1], NULL, 10);
    random_state = seed;
    make_inputs();
    RUN(test_activations);
    RUN(test_shapes);
    RUN(test_extreme_parameters);
    RUN(test_read_only_memory);
    RUN(test_read_only);
    RUN(test_scaling);
    RUN(test_null);
    return test_done();
}
