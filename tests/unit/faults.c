/* Memory and the disk that fail: every allocation and every read made to fail in turn, writes that
   stop at every byte, a read-only folder, a full disk. A call that fails keeps no memory, leaves no
   file open and changes nothing. A job for every function that can fail makes it long. */
#define _POSIX_C_SOURCE   200809L
#define NN_IMPLEMENTATION /* with the functions below in place of the C library's */
#include "../test.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the library asked for, and what is to fail. */
static struct hooks {
    long live, allocations, frees; /* blocks now, allocations and frees so far */
    long fail_at, calls;           /* the call of that number fails, from 1; 0: none */
    int failed;
    long files;                     /* open now */
    long budget;                    /* bytes that can still be written; -1: no end */
    int open, flush, close, rename; /* 1: fails */
    int read_error;
    const char *redirect; /* opened in place of any path to write */
} hook;

static int fails_now(void)
{
    if (hook.fail_at == 0 || ++hook.calls != hook.fail_at) return 0;
    hook.failed = 1;
    return 1;
}

/* Reads are counted by fail_at in the tests of reading, where no allocation fails. */
static int count_reads;

static void *hook_malloc(size_t size)
{
    void *block;
    hook.allocations++;
    if (!count_reads && fails_now()) return NULL;
    block = malloc(size);
    if (block) hook.live++;
    return block;
}

static void hook_free(void *block)
{
    hook.frees++;
    if (block) hook.live--;
    free(block);
}

static FILE *hook_open(const char *path, const char *mode)
{
    FILE *file;
    if (hook.open) return NULL;
    file = fopen(*mode == 'w' && hook.redirect ? hook.redirect : path, mode);
    if (file) hook.files++;
    return file;
}

static size_t hook_write(const void *buffer, size_t bytes, FILE *file)
{
    size_t allowed = bytes;
    if (hook.budget >= 0 && (size_t)hook.budget < bytes) allowed = (size_t)hook.budget;
    if (hook.budget >= 0) hook.budget -= (long)allowed;
    return fwrite(buffer, 1, allowed, file);
}

static int hook_close(FILE *file)
{
    int result = fclose(file);
    hook.files--;
    return hook.close ? EOF : result;
}

static int hook_error(FILE *file)
{
    return hook.read_error || ferror(file);
}

static int hook_flush(FILE *file)
{
    return hook.flush ? EOF : fflush(file);
}

static int hook_rename(const char *from, const char *to)
{
    return hook.rename ? -1 : rename(from, to);
}

static size_t hook_read(void *buffer, size_t bytes, FILE *file)
{
    if (count_reads && fails_now()) hook.read_error = 1;
    return hook.read_error ? 0 : fread(buffer, 1, bytes, file);
}

#define NN_MALLOC(size)                hook_malloc(size)
#define NN_FREE(pointer)               hook_free(pointer)
#define NN_FOPEN(path, mode)           hook_open(path, mode)
#define NN_FREAD(buffer, bytes, file)  hook_read(buffer, bytes, file)
#define NN_FWRITE(buffer, bytes, file) hook_write(buffer, bytes, file)
#define NN_FERROR(file)                hook_error(file)
#define NN_FFLUSH(file)                hook_flush(file)
#define NN_FCLOSE(file)                hook_close(file)
#define NN_RENAME(from, to)            hook_rename(from, to)
#define NN_REMOVE(path)                remove(path)

#include "../fixtures.h"

/* ---- The nets of the jobs -------------------------------------------------------------------- */

/* That of the fixtures, and one of images with the same inputs and output. */
static const nn_layer image_layers[] = {NN_IMAGE(1, EXAMPLE_INPUTS, 1),
                                        NN_CONV1D(3, 2, 1, NN_PADDING_SAME, NN_TANH),
                                        NN_MAX_POOL1D(2, 1), NN_DENSE(1, NN_SIGMOID)};
static const nn_real image_dropout[] = {0, 0.25f, 0, 0};
static int image_net; /* 1: the jobs have the second one */

static nn_shape net_shape(void)
{
    nn_shape shape = example_shape;
    if (image_net) shape.layers = image_layers;
    if (image_net) shape.count = COUNT_OF(image_layers);
    return shape;
}

static nn_model *net_model(uint64_t seed)
{
    const nn_shape shape = net_shape();
    return make_model(shape.inputs, shape.layers, shape.count, seed);
}

static nn_options net_options(void)
{
    nn_options how = example_options();
    if (image_net) how.dropout = image_dropout;
    return how;
}

/* ---- Every allocation in turn ---------------------------------------------------------------- */

static long job_fail_at;

/* Between arm and disarm the call of number job_fail_at fails, and a failed call keeps no block. */
static long armed_live;

static void arm(void)
{
    hook.calls = 0;
    hook.failed = 0;
    hook.fail_at = job_fail_at;
    armed_live = hook.live;
}

static nn_status last_status; /* of the last call under TRY */

static nn_status disarm(nn_status status)
{
    last_status = status;
    hook.fail_at = 0;
    hook.read_error = 0;
    if (status != NN_OK) CHECK(hook.live == armed_live);
    CHECK(hook.files == 0);
    return status;
}

#define TRY(call) (arm(), disarm(call))

/* A job makes what it needs, makes one call under TRY, checks what came of it, and cleans up. */
typedef nn_status (*job)(void);

static void fail_each(job run, const char *name, nn_status expected, long least)
{
    long live = hook.live;
    int before = test_bad;
    for (job_fail_at = 1; job_fail_at < 1000; job_fail_at++) {
        nn_status status = run();
        CHECK(hook.live == live);
        if (!hook.failed) {
            CHECK(status == NN_OK);
            break;
        }
        CHECK(status == expected);
    }
    CHECK(job_fail_at < 1000 && job_fail_at > least);
    if (test_bad > before) printf("%s, call %ld\n", name, job_fail_at);
}

static nn_status job_create(void)
{
    const nn_shape shape = net_shape();
    nn_model *model = (nn_model *)(void *)&hook;
    nn_status status = TRY(nn_model_create(&model, shape.inputs, shape.layers, shape.count, 1));
    if (status != NN_OK) CHECK(!model);
    nn_model_free(model);
    return status;
}

static nn_status job_trainer(void)
{
    nn_model *model = net_model(1);
    nn_options how = net_options();
    nn_trainer *trainer = (nn_trainer *)(void *)&hook;
    nn_status status = TRY(nn_trainer_create(&trainer, model, &how));
    if (status != NN_OK) CHECK(!trainer);
    nn_trainer_free(trainer);
    nn_model_free(model);
    return status;
}

/* Failed, the model keeps the value that it had. */
static nn_status job_set_metadata(void)
{
    nn_model *model = net_model(1);
    const char *name;
    nn_status status;
    CHECK(nn_set_metadata(model, "class_names", "a,b") == NN_OK);
    name = nn_class_name(model, 1);
    status = TRY(nn_set_metadata(model, "class_names", "c,d"));
    if (status == NN_OK)
        CHECK(!strcmp(nn_class_name(model, 1), "d"));
    else
        CHECK(nn_class_name(model, 1) == name && !strcmp(name, "b"));
    nn_model_free(model);
    return status;
}

static nn_status job_copy(void)
{
    nn_model *model = net_model(1), *copy = (nn_model *)(void *)&hook;
    nn_status status;
    CHECK(nn_set_metadata(model, "author", "Ada") == NN_OK);
    CHECK(nn_set_metadata(model, "class_names", "a,b") == NN_OK);
    status = TRY(nn_model_copy(&copy, model));
    if (status == NN_OK)
        CHECK(!strcmp(nn_metadata(copy, "author"), "Ada"));
    else
        CHECK(!copy);
    nn_model_free(copy);
    nn_model_free(model);
    return status;
}

/* Failed, the model has neither other parameters nor a scaling, and no names. */
static nn_status job_fit(void)
{
    nn_model *model = net_model(1), *same = net_model(1);
    nn_options how = net_options();
    nn_data data = example_data();
    nn_real y[2][EXAMPLE_ROWS];
    nn_status status = TRY(nn_fit(model, &data, &how));
    memset(y, 0, sizeof y);
    CHECK((nn_class_name(model, 0) != NULL) == (status == NN_OK));
    CHECK(nn_predict(model, data.x, EXAMPLE_ROWS, y[0], NULL) == NN_OK);
    CHECK(nn_predict(same, data.x, EXAMPLE_ROWS, y[1], NULL) == NN_OK);
    CHECK((memcmp(y[0], y[1], sizeof y[0]) == 0) == (status != NN_OK));
    nn_model_free(model);
    nn_model_free(same);
    return status;
}

/* The same with weights for the classes, which a run allocates. */
static nn_status job_fit_balanced(void)
{
    nn_model *model = net_model(1), *same = net_model(1);
    nn_options how = net_options();
    nn_data data = example_data();
    nn_status status;
    how.balance_classes = 1;
    how.validation_fraction = 0;
    how.validation = &data;
    status = TRY(nn_fit(model, &data, &how));
    CHECK(same_parameters(model, same) == (status != NN_OK));
    nn_model_free(model);
    nn_model_free(same);
    return status;
}

/* The trainer is as before: a second run ends where the first would have. */
static nn_status job_trainer_fit(void)
{
    nn_model *model = net_model(1), *same = net_model(1);
    nn_options how = net_options();
    nn_data data = example_data();
    nn_trainer *trainer, *other;
    how.balance_classes = 1;
    trainer = make_trainer(model, &how);
    other = make_trainer(same, &how);
    TRY(nn_trainer_fit(trainer, &data));
    CHECK(same_parameters(model, same) == (last_status != NN_OK));
    if (last_status != NN_OK) CHECK(nn_trainer_fit(trainer, &data) == NN_OK);
    CHECK(nn_trainer_fit(other, &data) == NN_OK);
    CHECK(same_parameters(model, same));
    nn_trainer_free(trainer);
    nn_trainer_free(other);
    nn_model_free(model);
    nn_model_free(same);
    return last_status;
}

static nn_status job_importance(void)
{
    nn_model *model = net_model(1);
    nn_data data = example_data();
    nn_input_importance results[EXAMPLE_INPUTS];
    nn_status status;
    memset(results, 0xa5, sizeof results);
    status = TRY(nn_importance(model, &data, NULL, 2, results));
    if (status != NN_OK) CHECK(all_zero(results, sizeof results));
    nn_model_free(model);
    return status;
}

static nn_status job_cross_validate(void)
{
    nn_options how = net_options();
    nn_data data = example_data();
    const nn_shape shape = net_shape();
    nn_metrics results[3];
    nn_status status;
    memset(results, 0xa5, sizeof results);
    status = TRY(nn_cross_validate(&shape, &data, &how, 3, results));
    if (status != NN_OK) CHECK(all_zero(results, sizeof results));
    return status;
}

static nn_status job_evaluate(void)
{
    nn_model *model = net_model(1);
    nn_data data = example_data();
    nn_metrics metrics;
    const nn_options how = make_options(NN_BINARY_CROSS_ENTROPY, NN_SGD, 0);
    nn_status status;
    memset(&metrics, 0xa5, sizeof metrics);
    status = TRY(nn_evaluate(model, &data, &how, &metrics));
    if (status != NN_OK) CHECK(all_zero(&metrics, sizeof metrics));
    nn_model_free(model);
    return status;
}

static nn_status job_confusion(void)
{
    nn_model *model = net_model(1);
    nn_data data = example_data();
    int matrix[4] = {9, 9, 9, 9};
    nn_status status = TRY(nn_confusion_matrix(model, &data, matrix));
    if (status == NN_OK) CHECK(matrix[0] + matrix[1] + matrix[2] + matrix[3] == EXAMPLE_ROWS);
    nn_model_free(model);
    return status;
}

static nn_status job_fit_scaling(void)
{
    nn_model *model = net_model(1);
    nn_data data = example_data();
    nn_status status = TRY(nn_fit_scaling(model, &data, NN_SCALE_MIN_MAX));
    nn_model_free(model);
    return status;
}

static nn_status check_two(nn_status status, nn_data *train, nn_data *test)
{
    if (status != NN_OK) CHECK(data_is_zero(train) && data_is_zero(test));
    nn_data_free(train);
    nn_data_free(test);
    return status;
}

static nn_status job_split(void)
{
    nn_data data = example_data(), train, test;
    memset(&train, 0xa5, sizeof train);
    memset(&test, 0xa5, sizeof test);
    return check_two(TRY(nn_split(&data, 0.5f, 1, &train, &test)), &train, &test);
}

static nn_status job_fold(void)
{
    static const nn_fold fold = {4, 1, 1};
    nn_data data = example_data(), train, test;
    memset(&train, 0xa5, sizeof train);
    memset(&test, 0xa5, sizeof test);
    return check_two(TRY(nn_split_fold(&data, &fold, &train, &test)), &train, &test);
}

static const char csv_text[] = "a,b,kind\n1,2,red\n3,\"4\",\"gr\"\"een\"\n5,6,blue\n7,8,red\n";

static nn_status check_table(nn_status status, nn_data *data)
{
    if (status != NN_OK) CHECK(data_is_zero(data));
    nn_data_free(data);
    return status;
}

/* A table of a text, and of a file. */
static nn_status parse_table(const char *text, const nn_csv_options *how)
{
    nn_data data;
    memset(&data, 0xa5, sizeof data);
    return check_table(TRY(nn_parse_csv(&data, text, strlen(text), how)), &data);
}

static nn_status read_table(const char *name, const nn_csv_options *how)
{
    nn_data data;
    memset(&data, 0xa5, sizeof data);
    return check_table(TRY(nn_read_csv(&data, temporary(name), how)), &data);
}

/* With categories of texts, where impute is 1 also in missing cells. */
static nn_csv_options text_options(const char *target, int impute)
{
    nn_csv_options how;
    memset(&how, 0, sizeof how);
    how.target = target;
    how.text_columns = 1;
    how.impute = impute;
    return how;
}

static nn_status job_csv(void)
{
    return parse_table(csv_text, NULL);
}

static const char table_text[] = "a,b,c,d\nx,1,2,3\ny,,4,5\n,6,7,8\n";

/* Reads the text that is its own recipe, while nothing fails. */
static nn_data make_table(const char *text, const nn_csv_options *how)
{
    nn_data data;
    CHECK(nn_parse_csv(&data, text, strlen(text), how) == NN_OK);
    return data;
}

/* Categories, a mean for the missing cell, several targets out of their order. */
static nn_status job_table(void)
{
    const nn_csv_options how = text_options("d,c", 1);
    return parse_table(table_text, &how);
}

/* Given classes, marks of missing cells, rows that are dropped. */
static nn_status job_classes(void)
{
    static const char text[] = "a,kind\n1,red\n-,blue\n3,red\n4,\"bl\"\"ue\"\n";
    static const char *const names[] = {"bl\"ue", "red"};
    nn_csv_options how;
    memset(&how, 0, sizeof how);
    how.class_names = names;
    how.classes = 2;
    how.missing = "-";
    how.drop_bad_rows = 1;
    return parse_table(text, &how);
}

/* The same table by the recipe of other data, with the columns in another order and one more. */
static nn_status job_table_like(void)
{
    static const char text[] = "d,more,c,b,a\n3,0,2,1,x\n";
    const nn_csv_options how = text_options("d,c", 1);
    nn_csv_options again;
    nn_data like = make_table(table_text, &how);
    memset(&again, 0, sizeof again);
    again.like = &like;
    parse_table(text, &again);
    nn_data_free(&like);
    return last_status;
}

/* Texts of more characters and of a greater number than there is room for at first. */
static nn_status job_many_texts(void)
{
    static char text[40000];
    const nn_csv_options how = text_options(NULL, 0);
    size_t used = 0;
    int i;
    for (i = 0; i < 200; i++)
        used += (size_t)sprintf(text + used, "a text that takes some room, number %d,%d\n", i, i);
    return parse_table(text, &how);
}

/* A model that was trained on a table, with its recipe. */
static nn_model *make_table_model(void)
{
    const nn_csv_options how = text_options("d,c", 1);
    nn_options options = make_options(NN_MSE, NN_SGD, 0);
    const nn_layer layer = dense_layer(2, NN_LINEAR);
    nn_data data;
    nn_model *model;
    options.epochs = 1;
    data = make_table(table_text, &how);
    model = make_model(data.inputs, &layer, 1, 1);
    CHECK(nn_fit(model, &data, &options) == NN_OK);
    CHECK(nn_metadata(model, "nn.recipe") || data.recipe);
    nn_data_free(&data);
    return model;
}

/* From a file, by the recipe of a model. */
static nn_status job_table_of_model(void)
{
    nn_model *model = make_table_model();
    nn_csv_options how;
    memset(&how, 0, sizeof how);
    how.model = model;
    read_table("table", &how);
    nn_model_free(model);
    return last_status;
}

/* A model keeps the recipe, the names of the inputs and what it had. */
static nn_status job_fit_table(void)
{
    const nn_csv_options how = text_options("d,c", 1);
    nn_options options = make_options(NN_MSE, NN_SGD, 0);
    const nn_layer layer = dense_layer(2, NN_LINEAR);
    nn_data data;
    nn_model *model;
    options.epochs = 1;
    options.target_scaling = NN_SCALE_STANDARD;
    data = make_table(table_text, &how);
    model = make_model(data.inputs, &layer, 1, 1);
    CHECK(nn_set_metadata(model, "author", "Ada") == NN_OK);
    TRY(nn_fit(model, &data, &options));
    CHECK((nn_input_name(model, 0) != NULL) == (last_status == NN_OK));
    CHECK(!strcmp(nn_metadata(model, "author"), "Ada"));
    nn_data_free(&data);
    nn_model_free(model);
    return last_status;
}

static nn_status job_importance_of_table(void)
{
    const nn_csv_options how = text_options("d,c", 1);
    nn_model *model = make_table_model();
    nn_input_importance results[16];
    nn_data data;
    memset(results, 0xa5, sizeof results);
    data = make_table(table_text, &how);
    TRY(nn_importance(model, &data, NULL, 2, results));
    if (last_status != NN_OK) CHECK(all_zero(results, (size_t)data.inputs * sizeof *results));
    nn_data_free(&data);
    nn_model_free(model);
    return last_status;
}

/* Means for the missing cells are in the graph. */
static nn_status job_export_onnx_memory(void)
{
    static char buffer[30000];
    nn_model *model = make_table_model();
    size_t size = 1;
    TRY(nn_export_onnx_memory(model, buffer, sizeof buffer, &size));
    CHECK((size > 0) == (last_status == NN_OK));
    nn_model_free(model);
    return last_status;
}

/* A row that is longer than what is read at a time. */
static nn_status job_read_long_row(void)
{
    const nn_csv_options how = text_options(NULL, 0);
    return read_table("long", &how);
}

/* The same in the first row, where the ends of lines are looked for. */
static nn_status job_read_long_first_row(void)
{
    const nn_csv_options how = text_options(NULL, 0);
    return read_table("first", &how);
}

/* A first row that ends with an empty cell: the rows behind it are read first. */
static nn_status job_read_late_column(void)
{
    const nn_csv_options how = text_options("2", 1);
    return read_table("late", &how);
}

/* A first row of data, with a class. */
static nn_status job_first_row(void)
{
    static const char text[] = "1,red\n2,tan\n";
    nn_csv_options how;
    memset(&how, 0, sizeof how);
    how.header = NN_CSV_HEADER_NO;
    return parse_table(text, &how);
}

/* By a recipe without names, where the targets are missing. */
static nn_status job_numbers_like(void)
{
    static const char text[] = "1,2,3\n4,5,6\n", other[] = "7,8\n";
    nn_csv_options how;
    nn_data like;
    memset(&how, 0, sizeof how);
    CHECK(nn_parse_csv(&like, text, sizeof text - 1, NULL) == NN_OK);
    how.like = &like;
    parse_table(other, &how);
    nn_data_free(&like);
    return last_status;
}

static nn_status job_read_csv(void)
{
    return read_table("csv", NULL);
}

static nn_status job_idx(void)
{
    nn_data data;
    memset(&data, 0xa5, sizeof data);
    return check_table(TRY(nn_read_idx(&data, temporary("images"), temporary("labels"), 3, NULL)),
                       &data);
}

static nn_status job_load(void)
{
    nn_model *model = (nn_model *)(void *)&hook;
    nn_status status = TRY(nn_load(&model, temporary("model"), NULL));
    if (status != NN_OK) CHECK(!model);
    nn_model_free(model);
    return status;
}

/* The file's size, its bytes in buffer; -1 when there is none. */
static long read_file(const char *path, unsigned char *buffer, size_t capacity)
{
    FILE *file = fopen(path, "rb");
    size_t size;
    if (!file) return -1;
    size = fread(buffer, 1, capacity, file);
    fclose(file);
    return (long)size;
}

static unsigned char old_file[16384];
static long old_size;

/* The file at MODEL_PATH is a checkpoint that every loader takes; remembers its bytes. */
static void write_old_file(void)
{
    nn_model *model = net_model(77);
    nn_options how = net_options();
    nn_trainer *trainer = NULL;
    CHECK(nn_trainer_create(&trainer, model, &how) == NN_OK);
    CHECK(nn_set_metadata(model, "author", "Ada") == NN_OK);
    CHECK(nn_set_metadata(model, "class_names", "no,yes") == NN_OK);
    CHECK(nn_save_checkpoint(trainer, temporary("model")) == NN_OK);
    nn_trainer_free(trainer);
    nn_model_free(model);
    old_size = read_file(temporary("model"), old_file, sizeof old_file);
    CHECK(old_size > 0 && old_size < (long)sizeof old_file);
}

/* How many temporary files there are in a folder. */
static int temporary_files(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    int count = 0;
    if (!CHECK(folder != NULL)) return -1;
    while ((entry = readdir(folder)) != NULL) count += strstr(entry->d_name, ".tmp") != NULL;
    closedir(folder);
    return count;
}

/* The old file is whole and no temporary one is left. */
static int old_is_intact(void)
{
    static unsigned char now[sizeof old_file];
    long size = read_file(temporary("model"), now, sizeof now);
    return size == old_size && !memcmp(now, old_file, (size_t)size) &&
           temporary_files(temporary("")) == 0;
}

/* A call that succeeded has replaced the old file, and no other has. Puts it back. */
static nn_status check_replaced(nn_status status)
{
    CHECK(old_is_intact() == (status != NN_OK));
    write_file(temporary("model"), old_file, (size_t)old_size);
    return status;
}

static nn_status job_load_memory(void)
{
    nn_model *model = (nn_model *)(void *)&hook;
    nn_status status = TRY(nn_load_memory(&model, old_file, (size_t)old_size, NULL));
    if (status != NN_OK) CHECK(!model);
    nn_model_free(model);
    return status;
}

static nn_status job_load_parameters(void)
{
    nn_model *model = net_model(5), *same = net_model(5);
    size_t bytes = nn_parameter_count(model) * sizeof(nn_real);
    nn_status status = TRY(nn_load_parameters(model, temporary("model"), NULL, NULL));
    CHECK((memcmp(nn_parameters(model), nn_parameters(same), bytes) == 0) == (status != NN_OK));
    CHECK((nn_metadata(model, "author") != NULL) == (status == NN_OK));
    nn_model_free(model);
    nn_model_free(same);
    return status;
}

static nn_status job_load_parameters_memory(void)
{
    nn_model *model = net_model(5), *same = net_model(5);
    TRY(nn_load_parameters_memory(model, old_file, (size_t)old_size, NULL, NULL));
    CHECK(same_parameters(model, same) == (last_status != NN_OK));
    CHECK((nn_metadata(model, "author") != NULL) == (last_status == NN_OK));
    nn_model_free(model);
    nn_model_free(same);
    return last_status;
}

/* From the file, or from its bytes. */
static nn_status load_checkpoint(int memory)
{
    static unsigned char before[sizeof old_file], after[sizeof old_file];
    nn_model *model = net_model(5);
    nn_options how = net_options();
    nn_trainer *trainer = NULL;
    nn_status status;
    size_t size = 0;
    CHECK(nn_trainer_create(&trainer, model, &how) == NN_OK);
    CHECK(nn_save_checkpoint_memory(trainer, before, sizeof before, &size) == NN_OK);
    if (memory)
        status = TRY(nn_load_checkpoint_memory(trainer, old_file, (size_t)old_size, NULL));
    else
        status = TRY(nn_load_checkpoint(trainer, temporary("model"), NULL));
    CHECK(nn_save_checkpoint_memory(trainer, after, sizeof after, &size) == NN_OK);
    CHECK((memcmp(before, after, size) == 0) == (status != NN_OK));
    nn_trainer_free(trainer);
    nn_model_free(model);
    return status;
}

static nn_status job_load_checkpoint(void)
{
    return load_checkpoint(0);
}

static nn_status job_load_checkpoint_memory(void)
{
    return load_checkpoint(1);
}

static nn_status job_save(void)
{
    nn_model *model = net_model(5);
    nn_status status = check_replaced(TRY(nn_save(model, temporary("model"))));
    nn_model_free(model);
    return status;
}

static nn_status job_save_checkpoint(void)
{
    nn_model *model = net_model(5);
    nn_options how = net_options();
    nn_trainer *trainer = NULL;
    nn_status status;
    CHECK(nn_trainer_create(&trainer, model, &how) == NN_OK);
    status = check_replaced(TRY(nn_save_checkpoint(trainer, temporary("model"))));
    nn_trainer_free(trainer);
    nn_model_free(model);
    return status;
}

static nn_status job_export_c(void)
{
    nn_model *model = net_model(5);
    nn_status status = check_replaced(TRY(nn_export_c(model, temporary("model"), NULL)));
    nn_model_free(model);
    return status;
}

static nn_status export_onnx(nn_model *model)
{
    nn_status status = check_replaced(TRY(nn_export_onnx(model, temporary("model"))));
    nn_model_free(model);
    return status;
}

static nn_status job_export_onnx(void)
{
    return export_onnx(net_model(5));
}

/* Means for missing cells, which the memory is asked for again while writing. */
static nn_status job_export_onnx_table(void)
{
    return export_onnx(make_table_model());
}

static void write_files(void)
{
    static const unsigned char images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0,
                                           0, 1, 0, 0, 0, 2, 9, 8, 7, 6};
    static const unsigned char labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 0, 2};
    static char text[100000];
    size_t i;
    write_file(temporary("csv"), csv_text, sizeof csv_text - 1);
    write_file(temporary("table"), table_text, sizeof table_text - 1);
    memset(text, 'a', sizeof text);
    memcpy(text, "h,k\n", 4);
    memcpy(text + sizeof text - 3, ",1\n", 3);
    write_file(temporary("long"), text, sizeof text);
    memcpy(text, "aaaa", 4);
    memcpy(text + sizeof text - 7, ",1\nb,2\n", 7);
    write_file(temporary("first"), text, sizeof text);
    memset(text, 'b', sizeof text);
    for (i = 0; i < sizeof text; i += 2000) memcpy(text + i, i ? ",1,\n" : "b,1,", 4);
    memcpy(text + 4, "\n", 1);
    memcpy(text + sizeof text - 5, ",1,2\n", 5);
    write_file(temporary("late"), text, sizeof text);
    write_file(temporary("images"), images, sizeof images);
    write_file(temporary("labels"), labels, sizeof labels);
    write_old_file();
}

#define FAIL_EACH(run, least) fail_each(run, #run, NN_ERROR_MEMORY, least)

static void test_allocations(void)
{
    write_files();
    FAIL_EACH(job_create, 1);
    FAIL_EACH(job_trainer, 1);
    FAIL_EACH(job_set_metadata, 1);
    FAIL_EACH(job_copy, 3);
    FAIL_EACH(job_fit, 3);
    FAIL_EACH(job_fit_balanced, 2);
    FAIL_EACH(job_trainer_fit, 1);
    FAIL_EACH(job_cross_validate, 3);
    FAIL_EACH(job_evaluate, 0);
    FAIL_EACH(job_confusion, 0);
    FAIL_EACH(job_importance, 1);
    FAIL_EACH(job_fit_scaling, 0);
    FAIL_EACH(job_load, 6); /* two for each pair of the metadata */
    FAIL_EACH(job_load_memory, 5);
    FAIL_EACH(job_load_parameters, 5);
    FAIL_EACH(job_load_parameters_memory, 4);
    FAIL_EACH(job_load_checkpoint, 5);
    FAIL_EACH(job_load_checkpoint_memory, 4);
    FAIL_EACH(job_save, 0);
    FAIL_EACH(job_save_checkpoint, 0);
    FAIL_EACH(job_export_c, 0);
    FAIL_EACH(job_export_onnx, 0);
    CHECK(hook.live == 0);
}

static void test_allocations_of_tables(void)
{
    write_files();
    FAIL_EACH(job_fit_table, 4);
    FAIL_EACH(job_importance_of_table, 1);
    FAIL_EACH(job_split, 2);
    FAIL_EACH(job_fold, 2);
    FAIL_EACH(job_csv, 1);
    FAIL_EACH(job_table, 5);
    FAIL_EACH(job_classes, 4);
    FAIL_EACH(job_table_like, 5);
    FAIL_EACH(job_table_of_model, 5);
    FAIL_EACH(job_many_texts, 5);
    FAIL_EACH(job_read_long_row, 4);
    FAIL_EACH(job_read_long_first_row, 4);
    FAIL_EACH(job_read_late_column, 5);
    FAIL_EACH(job_first_row, 4);
    FAIL_EACH(job_numbers_like, 4);
    FAIL_EACH(job_read_csv, 2);
    FAIL_EACH(job_idx, 1);
    FAIL_EACH(job_export_onnx_memory, 0);
    FAIL_EACH(job_export_onnx_table, 3);
    CHECK(hook.live == 0);
}

/* An array whose bytes no size_t holds is not asked for. */
static void test_large_arrays(void)
{
    const long before = hook.allocations;
    void *array = nn__allocate(3, 5);
    CHECK(array != NULL && hook.allocations == before + 1);
    hook_free(array);
    CHECK(!nn__allocate(SIZE_MAX / 8 + 1, 8) && !nn__allocate(2, SIZE_MAX / 2 + 1));
    CHECK(hook.allocations == before + 1);
}

/* The same jobs with a read that fails, at every read in turn. */
static void test_reads(void)
{
    static const job jobs[] = {
        job_read_csv, job_table_of_model,  job_read_long_row,   job_read_long_first_row,
        job_load,     job_load_parameters, job_load_checkpoint, job_read_late_column,
        job_idx};
    size_t i;
    write_files();
    count_reads = 1;
    for (i = 0; i < sizeof jobs / sizeof *jobs; i++)
        fail_each(jobs[i], "reading job", NN_ERROR_READ, 1);
    count_reads = 0;
    CHECK(hook.live == 0);
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void no_faults(void)
{
    hook.budget = -1;
    hook.open = hook.flush = hook.close = hook.rename = 0;
    hook.redirect = NULL;
}

/* The ways to write a file, and how long a file each of them writes. */
enum { WRITERS = 4 };

static nn_status write_with(int writer, const nn_model *model, const nn_trainer *trainer,
                            const char *path)
{
    switch (writer) {
    case 0: return nn_save(model, path);
    case 1: return nn_save_checkpoint(trainer, path);
    case 2: return nn_export_c(model, path, NULL);
    default: return nn_export_onnx(model, path);
    }
}

static long size_with(int writer, const nn_model *model, const nn_trainer *trainer)
{
    size_t size = 0;
    nn_status status = NN_OK;
    switch (writer) {
    case 0: status = nn_save_memory(model, NULL, 0, &size); break;
    case 1: status = nn_save_checkpoint_memory(trainer, NULL, 0, &size); break;
    case 2: status = nn_export_c_memory(model, NULL, NULL, 0, &size); break;
    default: status = nn_export_onnx_memory(model, NULL, 0, &size);
    }
    CHECK(status == NN_OK && size > 0);
    return (long)size;
}

/* Each of them, under whatever fault is set; the old file must survive, or none appear. */
static void save_under_fault(nn_status expected, long budget)
{
    nn_model *model = net_model(5);
    nn_trainer *trainer = NULL;
    nn_options how = net_options();
    unsigned char byte;
    struct hooks fault = hook;
    int i, there;
    no_faults();
    CHECK(nn_trainer_create(&trainer, model, &how) == NN_OK);
    for (there = 0; there < 2; there++) {
        if (there)
            write_file(temporary("model"), old_file, (size_t)old_size);
        else
            remove(temporary("model"));
        for (i = 0; i < WRITERS; i++) {
            nn_status status;
            if (budget >= size_with(i, model, trainer)) continue;
            hook.open = fault.open;
            hook.flush = fault.flush;
            hook.close = fault.close;
            hook.rename = fault.rename;
            hook.redirect = fault.redirect;
            hook.budget = budget;
            status = write_with(i, model, trainer, temporary("model"));
            no_faults();
            CHECK(status == expected);
            CHECK(hook.files == 0);
            CHECK(there ? old_is_intact() : read_file(temporary("model"), &byte, 1) == -1);
            CHECK(temporary_files(temporary("")) == 0);
        }
    }
    nn_trainer_free(trainer);
    nn_model_free(model);
}

/* A temporary file is never created over one that is there. */
static void test_no_overwriting(void)
{
    no_faults();
    write_old_file();
    CHECK(!NN_FOPEN_NEW(temporary("model"), 0) && hook.files == 0);
    CHECK(old_is_intact());
}

static void test_short_writes(void)
{
    long budget;
    no_faults();
    for (budget = 0; budget < old_size; budget++) save_under_fault(NN_ERROR_WRITE, budget);
    CHECK(hook.live == 0);
}

static void test_failing_calls(void)
{
    no_faults();
    hook.open = 1;
    save_under_fault(NN_ERROR_OPEN, -1);
    hook.flush = 1;
    save_under_fault(NN_ERROR_WRITE, -1);
    hook.close = 1;
    save_under_fault(NN_ERROR_WRITE, -1);
    hook.rename = 1;
    save_under_fault(NN_ERROR_WRITE, -1);
    CHECK(hook.live == 0);
}

/* A full disk accepts the bytes into stdio's buffer, and fails when they are flushed. */
static void test_full_disk(void)
{
    FILE *full = fopen("/dev/full", "wb");
    if (!full) {
        printf("skipped: no /dev/full\n");
        return;
    }
    fclose(full);
    no_faults();
    hook.redirect = "/dev/full";
    save_under_fault(NN_ERROR_WRITE, -1);
    CHECK(hook.live == 0);
}

/* As nobody when we are root, for whom no folder is read-only. */
static void test_readonly_folder(void)
{
    const char *folder = temporary("readonly"), *path = temporary("readonly/model");
    unsigned char before[4096], after[4096];
    nn_model *model = net_model(5), *other = net_model(6);
    long size;
    int state = -1;
    pid_t child;
    mkdir(folder, 0755);
    chmod(folder, 0755);
    no_faults();
    CHECK(nn_save(model, path) == NN_OK);
    size = read_file(path, before, sizeof before);
    CHECK(size > 0 && chmod(folder, 0555) == 0);
    fflush(stdout);
    child = fork();
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(2);
        _exit(nn_save(other, path) == NN_ERROR_OPEN ? 0 : 1);
    }
    CHECK(child > 0 && waitpid(child, &state, 0) == child);
    CHECK(WIFEXITED(state) && WEXITSTATUS(state) == 0);
    CHECK(chmod(folder, 0755) == 0);
    CHECK(read_file(path, after, sizeof after) == size && !memcmp(before, after, (size_t)size));
    CHECK(temporary_files(folder) == 0);
    remove(path);
    rmdir(folder);
    nn_model_free(model);
    nn_model_free(other);
    CHECK(hook.live == 0);
}

int main(void)
{
    no_faults();
    for (image_net = 0; image_net < 2; image_net++) {
        RUN(test_allocations);
        RUN(test_reads);
        RUN(test_no_overwriting);
        RUN(test_short_writes);
        RUN(test_failing_calls);
        RUN(test_full_disk);
        RUN(test_readonly_folder);
    }
    RUN(test_allocations_of_tables);
    RUN(test_large_arrays);
    remove(temporary("model"));
    remove(temporary("csv"));
    remove(temporary("table"));
    remove(temporary("long"));
    remove(temporary("first"));
    remove(temporary("late"));
    remove(temporary("images"));
    remove(temporary("labels"));
    return test_done();
}
