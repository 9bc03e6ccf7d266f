/* Trains networks on tables and predicts with them, from the command line, without programming.

       cc -O2 -I. examples/nn.c -o nn -lm

       ./nn train examples/data/parcels.csv --target late --ignore parcel,label -o p.safetensors
       ./nn predict p.safetensors new.csv > predictions.csv
       ./nn --help

   Results go to standard output, progress and messages to standard error. The exit code is 0 when
   all is well, 1 when a file or its data is wrong, and 2 when the command line is. The same table,
   options and seed give the same model, to the last bit, on every machine. */

/* One program, one answer: not with double, and not with OpenBLAS, which depends on the machine. */
#undef NN_DOUBLE
#undef NN_USE_OPENBLAS
#define NN_IMPLEMENTATION
#include "../nn.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(_WIN32)
#include <fcntl.h>
#include <io.h>
#elif defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

/* ---- Messages -------------------------------------------------------------------------------- */

enum { GO_ON = 0, WRONG_DATA = 1, WRONG_USE = 2 }; /* the last two are exit codes */

/* Prints a line to standard error, and ends the program unless the code is GO_ON. */
static void say(int code, const char *format, ...)
{
    va_list list;

    (void)fflush(stdout);
    fputs("nn: ", stderr);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    if (code != GO_ON) exit(code);
}

/* Says what is wrong in a file: in which line and column, what was expected, what stood there. */
static void complain(nn_status status, const char *path, const nn_location *at, long line)
{
    char place[80] = "", found[200] = "";
    const char *name = at ? at->name : "";

    if (line && at->column)
        snprintf(place, sizeof place, ", line %ld, column %ld", line, at->column);
    else if (line)
        snprintf(place, sizeof place, ", line %ld", line);
    if (at && at->expected[0] && status != NN_ERROR_CSV_COLUMN)
        snprintf(found, sizeof found,
                 *name ? "expected %s, found '%s': " : "expected %s: ", at->expected, name);
    else if (*name)
        snprintf(found, sizeof found, "'%s': ", name);
    say(GO_ON, "%s%s: %s%s", path, place, found, nn_status_text(status));
}

/* Ends the program with a message when a call of the library failed. */
static void check(nn_status status, const char *path, const nn_location *at)
{
    if (status == NN_OK) return;
    complain(status, path, at, at ? at->line : 0);
    exit(WRONG_DATA);
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    if (!memory) say(WRONG_DATA, "out of memory");
    return memory;
}

/* ---- Texts ----------------------------------------------------------------------------------- */

/* A text that grows. A 0 follows its last character. */
typedef struct text {
    char *at;
    size_t size, capacity;
} text;

/* Makes room for `more` characters and the 0. */
static void reserve(text *to, size_t more)
{
    if (to->capacity - to->size > more) return;
    to->capacity = 2 * to->capacity + more + 64;
    to->at = (char *)realloc(to->at, to->capacity);
    if (!to->at) say(WRONG_DATA, "out of memory");
}

static void put_bytes(text *to, const char *bytes, size_t size)
{
    reserve(to, size);
    memcpy(to->at + to->size, bytes, size);
    to->size += size;
    to->at[to->size] = 0;
}

static void put(text *to, const char *string)
{
    put_bytes(to, string, strlen(string));
}

/* Appends a cell of CSV: in quotes where it needs them. */
static void put_cell(text *to, const char *cell)
{
    const size_t length = strlen(cell);
    const int quoted =
        strpbrk(cell, ",\"\n\r") || (length && (*cell == ' ' || cell[length - 1] == ' '));

    if (quoted) put(to, "\"");
    for (; *cell; cell++) put_bytes(to, *cell == '"' ? "\"\"" : cell, *cell == '"' ? 2 : 1);
    if (quoted) put(to, "\"");
}

/* Appends an argument as a shell reads it. */
static void put_argument(text *to, const char *argument)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_./,:=+@%";

    if (to->size) put(to, " ");
    if (*argument && !argument[strspn(argument, plain)]) {
        put(to, argument);
        return;
    }
    put(to, "'");
    for (; *argument; argument++)
        put_bytes(to, *argument == '\'' ? "'\\''" : argument, *argument == '\'' ? 4 : 1);
    put(to, "'");
}

/* Appends the shortest decimal number that is read as x. */
static void put_number(text *to, nn_real x)
{
    char number[40];
    int digits = 5;

    do snprintf(number, sizeof number, "%.*g", ++digits, (double)x);
    while (digits < 17 && (nn_real)strtod(number, NULL) != x);
    put(to, number);
}

/* One row of CSV: its cells, each with a 0 behind it. */
typedef struct row {
    text cells;
    int count;
} row;

/* Reads the row at *from, which then is the next one; returns 0 at the end of the text. */
static int read_row(row *to, const char **from)
{
    const char *c = *from;
    int quoted;

    to->cells.size = 0;
    to->count = 0;
    if (!c || !*c) return 0;
    for (;; c++) {
        quoted = *c == '"';
        for (c += quoted; *c && (quoted || (*c != ',' && *c != '\n')); c++) {
            if (quoted && *c == '"' && *++c != '"') {
                quoted = 0;
                c--;
            } else {
                put_bytes(&to->cells, c, 1);
            }
        }
        put_bytes(&to->cells, "", 1);
        to->count++;
        if (*c != ',') break;
    }
    *from = c + (*c == '\n');
    return 1;
}

/* The cell behind this one. */
static const char *next_cell(const char *cell)
{
    return cell + strlen(cell) + 1;
}

/* ---- The command line ------------------------------------------------------------------------ */

/* The verbs, as sets of bits. */
enum { TRAIN = 1, EVALUATE = 2, PREDICT = 4, TUNE = 8, INFO = 16, EXPORT = 32, VERBS = 6 };
static const char *const verb_names[] = {"train", "evaluate", "predict", "tune", "info", "export"};

enum { MAKE = TRAIN | TUNE, READ = TRAIN | TUNE | INFO, USE = READ | EVALUATE | PREDICT };

/* What an option's value is: a text, one of some words, a whole number, a number, or nothing. */
enum { TEXT, WORD, WHOLE, NUMBER, FLAG };

#define ACTIVATIONS "relu leaky_relu tanh sigmoid elu silu gelu softplus linear"

/* X(identifier, option, kind, verbs, default number, lowest, highest, words) */
#define OPTIONS(X)                                                                                 \
    X(TARGET, "--target", TEXT, READ, 0, 0, 0, NULL)                                               \
    X(USED, "--use", TEXT, READ, 0, 0, 0, NULL)                                                    \
    X(IGNORED, "--ignore", TEXT, READ, 0, 0, 0, NULL)                                              \
    X(TASK, "--task", WORD, READ, 0, 0, 0, "classes regression")                                   \
    X(MISSING, "--missing", WORD, READ, 0, 0, 0, "impute drop error")                              \
    X(BAD, "--bad", WORD, READ | EVALUATE, 0, 0, 0, "error drop")                                  \
    X(MARKS, "--marks", TEXT, READ, 0, 0, 0, NULL)                                                 \
    X(HEADER, "--header", FLAG, READ, 0, 0, 0, NULL)                                               \
    X(NO_HEADER, "--no-header", FLAG, READ, 0, 0, 0, NULL)                                         \
    X(DELIMITER, "--delimiter", TEXT, USE, 0, 0, 0, NULL)                                          \
    X(DECIMAL, "--decimal", WORD, USE, 0, 0, 0, ". ,")                                             \
    X(COMMENT, "--comment", TEXT, USE, 0, 0, 0, NULL)                                              \
    X(IMAGE, "--image", TEXT, MAKE, 0, 0, 0, NULL)                                                 \
    X(LAYERS, "--layers", TEXT, MAKE, 0, 0, 0, NULL)                                               \
    X(ACTIVATION, "--activation", WORD, MAKE, 0, 0, 0, ACTIVATIONS)                                \
    X(OPTIMIZER, "--optimizer", WORD, MAKE, 0, 0, 0, "adam sgd rmsprop")                           \
    X(RATE, "--rate", NUMBER, MAKE, 0.003, 1e-12, 1e6, NULL)                                       \
    X(DECAY, "--decay", NUMBER, MAKE, 0.0001, 0, 1e6, NULL)                                        \
    X(DROPOUT, "--dropout", NUMBER, MAKE, 0, 0, 0.99, NULL)                                        \
    X(BALANCE, "--balance", FLAG, MAKE, 0, 0, 0, NULL)                                             \
    X(BATCH, "--batch", WHOLE, MAKE, 32, 1, 1e9, NULL)                                             \
    X(EPOCHS, "--epochs", WHOLE, MAKE, 300, 1, 1e6, NULL)                                          \
    X(PATIENCE, "--patience", WHOLE, MAKE, 30, 0, 1e6, NULL)                                       \
    X(TEST, "--test", NUMBER, MAKE, 0.2, 0, 0.9, NULL)                                             \
    X(VALIDATION, "--validation", NUMBER, MAKE, 0.2, 0, 0.9, NULL)                                 \
    X(SEED, "--seed", WHOLE, MAKE | EVALUATE, 1, 0, 9007199254740992.0, NULL)                      \
    X(THREADS, "--threads", WHOLE, MAKE | EVALUATE | PREDICT, 0, 1, 4096, NULL)                    \
    X(QUIET, "--quiet", FLAG, MAKE, 0, 0, 0, NULL)                                                 \
    X(SECONDS, "--seconds", WHOLE, TUNE, 0, 1, 1e7, NULL)                                          \
    X(TRIALS, "--trials", WHOLE, TUNE, 30, 1, 1e6, NULL)                                           \
    X(FOLDS, "--folds", WHOLE, TUNE, 5, 2, 1000, NULL)                                             \
    X(SVG, "--svg", TEXT, MAKE | EVALUATE, 0, 0, 0, NULL)                                          \
    X(C_SOURCE, "--c", FLAG, EXPORT, 0, 0, 0, NULL)                                                \
    X(INT8, "--int8", FLAG, EXPORT, 0, 0, 0, NULL)                                                 \
    X(ONNX, "--onnx", FLAG, EXPORT, 0, 0, 0, NULL)                                                 \
    X(NAME, "--name", TEXT, EXPORT, 0, 0, 0, NULL)                                                 \
    X(OUTPUT, "-o", TEXT, MAKE | EXPORT, 0, 0, 0, NULL)

typedef struct option {
    const char *name;
    int kind;
    unsigned verbs;
    double start, low, high;
    const char *words;
} option;

#define OPTION_NUMBER(id, ...) OPTION_##id,
#define OPTION_ROW(id, ...)    {__VA_ARGS__},
enum { OPTIONS(OPTION_NUMBER) OPTION_COUNT };
static const option options[] = {OPTIONS(OPTION_ROW)};

typedef struct arguments {
    unsigned verb;
    const char *paths[2];
    int path_count;
    const char *given[OPTION_COUNT]; /* the text of each option that was given, or NULL */
    double value[OPTION_COUNT];      /* its number, or the number of its word; or the default */
} arguments;

/* The position of a word in a list with blanks between the words, or -1. */
static int find_word(const char *words, const char *word)
{
    const size_t length = strlen(word);
    int i;

    for (i = 0; *words; i++) {
        const size_t end = strcspn(words, " ");
        if (end == length && memcmp(words, word, length) == 0) return i;
        words += end + (words[end] == ' ');
    }
    return -1;
}

/* Checks the value of an option and stores it. */
static void set_option(arguments *args, int i, const char *value)
{
    const option *o = &options[i];
    const char *end = value;
    double number = 1;

    if (args->given[i]) say(WRONG_USE, "%s is given twice", o->name);
    if (o->kind == WORD) {
        number = find_word(o->words, value);
        if (number < 0)
            say(WRONG_USE, "%s: expected one of: %s; found '%s'", o->name, o->words, value);
    } else if (o->kind == WHOLE || o->kind == NUMBER) {
        number = strtod(value, (char **)&end);
        if (end == value || *end || !(number >= o->low && number <= o->high) ||
            (o->kind == WHOLE && number != (double)(uint64_t)number))
            say(WRONG_USE, "%s: expected a %snumber from %.16g to %.16g, found '%s'", o->name,
                o->kind == WHOLE ? "whole " : "", o->low, o->high, value);
    }
    args->given[i] = value;
    args->value[i] = number;
}

/* Reads the command line behind the verb. An option's value follows it, or stands behind "=". */
static void read_arguments(arguments *args, int argc, char **argv)
{
    const int most = args->verb & (EVALUATE | PREDICT) ? 2 : 1;
    int i, at;

    for (i = 0; i < OPTION_COUNT; i++) args->value[i] = options[i].start;
    for (at = 2; at < argc; at++) {
        const char *word = argv[at], *value = strchr(word, '=');
        const size_t length = value && word[1] == '-' ? (size_t)(value - word) : strlen(word);

        if (word[0] != '-' || !word[1]) {
            if (args->path_count == most) say(WRONG_USE, "one file too many: '%s'", word);
            args->paths[args->path_count++] = word;
            continue;
        }
        for (i = 0; i < OPTION_COUNT; i++)
            if (strlen(options[i].name) == length && memcmp(options[i].name, word, length) == 0)
                break;
        if (i == OPTION_COUNT || !(options[i].verbs & args->verb))
            say(WRONG_USE, "'nn %s' has no option '%s'; see nn %s --help", argv[1], word, argv[1]);
        if (options[i].kind == FLAG) {
            if (word[length]) say(WRONG_USE, "%s takes no value", options[i].name);
            set_option(args, i, "");
        } else if (word[length]) {
            set_option(args, i, word + length + 1);
        } else {
            if (at + 1 == argc) say(WRONG_USE, "%s needs a value", word);
            set_option(args, i, argv[++at]);
        }
    }
    if (args->path_count < most)
        say(WRONG_USE, "'nn %s' needs %s; see nn %s --help", argv[1],
            most == 2 ? "a model and a table" : "a file", argv[1]);
}

/* ---- Help ------------------------------------------------------------------------------------ */

static const char general_help[] =
    "nn: neural networks for tables, without programming\n\n"
    "  nn train TABLE.csv -o MODEL.safetensors   trains, tests, writes model and picture\n"
    "  nn evaluate MODEL.safetensors TABLE.csv   measures a model on a table\n"
    "  nn predict MODEL.safetensors TABLE.csv    predicts rows, as CSV\n"
    "  nn tune TABLE.csv --seconds 60            searches good options for nn train\n"
    "  nn info FILE                              describes a model or a table\n"
    "  nn export MODEL.safetensors --c           writes a model as C source or ONNX\n\n"
    "nn VERB --help says more about each. A table is a CSV file; - is standard input.\n"
    "Columns of text become one input for each of their texts. Missing inputs are\n"
    "filled in. A target of text is a class.\n\n"
    "Results go to standard output, progress and messages to standard error.\n"
    "Exit codes: 0 success, 1 wrong file or data, 2 wrong command line.\n";

#define HELP_FORMAT                                                                                \
    "  --delimiter C  between cells: a character, tab, or blanks; default ,\n"                     \
    "  --decimal C  . or ,      --comment C  characters that begin skipped lines\n"

static const char *const help_texts[] = {
    "nn train TABLE.csv [-o MODEL.safetensors] [options]\n"
    "Trains a network, prints how well it predicts rows that it was not trained on,\n"
    "and which columns it needs most. -o writes the model and a picture beside it.\n"
    "  --target LIST  columns to predict, by name, or by number from 1 or from the\n"
    "                 end; default -1, the last      --task classes or regression\n"
    "  --use LIST, --ignore LIST    input columns to take, or to leave out\n"
    "  --missing M    missing inputs: impute (default), error, or drop the row\n"
    "  --bad B        rows with other bad cells or no target: error (default), drop\n"
    "  --marks LIST   marks of missing cells beside the empty one, in place of the\n"
    "                 default NA,N/A,nan,null,?\n"
    "  --header, --no-header        the first row is, or is not, names\n" HELP_FORMAT
    "  --layers LIST  hidden layers or none; default 32,16  --image S: see nn tune -h\n"
    "  --activation A relu (default) leaky_relu tanh sigmoid elu silu gelu softplus\n"
    "                 linear                         --dropout P  default 0\n"
    "  --optimizer O  adam (default), sgd, rmsprop   --decay D    default 0.0001\n"
    "  --rate R       default 0.003                  --batch N    default 32\n"
    "  --epochs N     default 300                    --seed N     default 1\n"
    "  --patience N   epochs without a lower loss before it stops; default 30\n"
    "  --test P       share of the rows for the test; default 0.2\n"
    "  --validation P share of the other rows that decides when to stop; 0.2\n"
    "  --balance      the fewer rows a class has, the more each of them counts\n"
    "  --svg FILE     the picture      --threads N      --quiet  no line an epoch\n",

    "nn evaluate MODEL.safetensors TABLE.csv [options]\n"
    "Measures a model on the rows of a table that has the target. The table is read\n"
    "as the one that the model was trained on; columns may be in any order.\n\n"
    "  --bad B        rows with bad cells or no target: error (default), drop\n" HELP_FORMAT
    "  --svg FILE     writes a picture\n"
    "  --seed N       of the permutations that measure importance; default 1\n"
    "  --threads N\n",

    "nn predict MODEL.safetensors TABLE.csv [options]\n"
    "Predicts each row of a table, which is read as the one that the model was\n"
    "trained on. Columns may be in any order, and the target need not be there.\n\n"
    "The output is CSV: a header, then one row for each row of the table, with the\n"
    "class and the probability of each class, or with the predicted number. A row\n"
    "that cannot be read gives a row of empty cells and a message, and the exit code\n"
    "is then 1; a row of nothing but delimiters gives the same without a message.\n"
    "Empty lines are no rows. Rows are read, predicted and printed piece by piece: a\n"
    "table may be larger than memory, or a pipe that never ends.\n\n" HELP_FORMAT "  --threads N\n",

    "nn tune TABLE.csv [--trials N | --seconds N] [-o MODEL.safetensors] [options]\n"
    "Searches hidden layers, learning rate and weight decay by cross-validation, and\n"
    "prints the best as a command line of nn train. It takes the options of nn train\n"
    "too, and keeps those that you give. The rows that nn train would test on take no\n"
    "part. -o also runs that command.\n\n"
    "  --trials N     combinations to try; default 30. With the same seed and number\n"
    "                 of trials the answer is the same on every machine.\n"
    "  --seconds N    stops after that time instead\n"
    "  --folds N      parts of the cross-validation; default 5\n\n"
    "--image HxWxC, here and for nn train, says that the inputs of a row are an image\n"
    "of this height, width and number of channels, channels last; 1xWxC is a\n"
    "sequence. --layers may then begin with conv8k3 (8 channels, kernel 3), conv8k3p\n"
    "(with padding: the size stays), conv8k3s2 and conv8k3s2p (stride 2), pool2 and\n"
    "average2 (windows; pool3s2 has a stride), and global (each channel's average).\n"
    "A kernel or window is a square, or of a sequence a line; 5x3 is 5 high, 3 wide.\n"
    "The default is conv8k3p,pool2,conv16k3p,pool2,64, which nn tune leaves as it is.\n",

    "nn info MODEL.safetensors\n"
    "Prints a model's layers, how it was trained, how its table was read, and a hash\n"
    "of its parameters. Models with equal hashes are equal to the last bit. The hash\n"
    "is 64-bit FNV-1a of all parameters as little-endian floats, layer by layer: the\n"
    "weights [inputs x outputs], row by row, then the biases.\n\n"
    "nn info TABLE.csv [options]\n"
    "Prints how nn train would read a table: inputs, target and first rows. It takes\n"
    "the options of nn train from --target to --comment.\n",

    "nn export MODEL.safetensors --c | --int8 | --onnx [-o FILE]\n"
    "Writes a model for other programs, to standard output without -o.\n\n"
    "  --c            a C file with one function that needs no library\n"
    "  --int8         the same with weights of one byte\n"
    "  --onnx         an ONNX file, for onnxruntime and others\n"
    "  --name NAME    of the C function; default predict\n",
};

/* ---- Reading tables -------------------------------------------------------------------------- */

/* The character that --delimiter names; 0 without the option. */
static char delimiter_of(const arguments *args)
{
    const char *value = args->given[OPTION_DELIMITER];

    if (!value) return 0;
    if (strcmp(value, "tab") == 0 || strcmp(value, "\\t") == 0) return '\t';
    if (strcmp(value, "blanks") == 0) return ' ';
    if (strlen(value) != 1)
        say(WRONG_USE, "--delimiter: expected one character, tab, or blanks; found '%s'", value);
    return *value;
}

/* Fills the options of the reader: by the model's recipe, or as the command line says. */
static void set_csv_options(nn_csv_options *csv, const arguments *args, const nn_model *model)
{
    memset(csv, 0, sizeof *csv);
    csv->delimiter = delimiter_of(args);
    if (args->given[OPTION_DECIMAL]) csv->decimal = *args->given[OPTION_DECIMAL];
    csv->comment = args->given[OPTION_COMMENT];
    csv->drop_bad_rows = args->value[OPTION_MISSING] == 1 || args->value[OPTION_BAD] == 1;
    csv->model = model;
    if (model) return;
    if (args->given[OPTION_HEADER] && args->given[OPTION_NO_HEADER])
        say(WRONG_USE, "--header and --no-header are given together");
    csv->header = args->given[OPTION_HEADER]      ? NN_CSV_HEADER_YES
                  : args->given[OPTION_NO_HEADER] ? NN_CSV_HEADER_NO
                                                  : NN_CSV_HEADER_AUTO;
    csv->target = args->given[OPTION_TARGET];
    csv->use = args->given[OPTION_USED];
    csv->ignore = args->given[OPTION_IGNORED];
    csv->missing = args->given[OPTION_MARKS];
    csv->text_columns = 1;
    csv->impute = args->value[OPTION_MISSING] == 0;
}

/* Reads all of standard input. */
static text read_input(void)
{
    text input = {NULL, 0, 0};
    size_t got;

    do {
        reserve(&input, 65536);
        got = fread(input.at + input.size, 1, 65536, stdin);
        input.size += got;
    } while (got);
    return input;
}

/* Reads the table at the path, or of standard input, which *input keeps for a second reading. */
static void read_table(nn_data *data, const char *path, nn_csv_options *csv, text *input)
{
    nn_location at;
    nn_status status;

    memset(&at, 0, sizeof at);
    csv->location = &at;
    if (strcmp(path, "-") == 0) {
        if (!input->at) *input = read_input();
        status = nn_parse_csv(data, input->at, input->size, csv);
    } else {
        status = nn_read_csv(data, path, csv);
    }
    csv->location = NULL; /* at ends here */
    if (status == NN_OK) return;
    complain(status, strcmp(path, "-") == 0 ? "standard input" : path, &at, at.line);
    if (status == NN_ERROR_CSV_TEXT) say(GO_ON, "--ignore leaves a column of names or dates out");
    exit(WRONG_DATA);
}

static void report_reading(const nn_data *data, const char *path)
{
    if (data->dropped)
        say(GO_ON, "%s: %d rows with bad or missing cells left out", path, data->dropped);
    if (data->imputed) say(GO_ON, "%s: %d missing cells filled in", path, data->imputed);
    if (data->unknown)
        say(GO_ON, "%s: %d cells of categories that are unknown to the model", path, data->unknown);
}

/* How many different numbers the targets are, if all are whole; 0 if not, or if more than most. */
static int count_whole_numbers(const nn_data *data, int most)
{
    nn_real found[16];
    int count = 0, i, k;

    for (i = 0; i < data->rows; i++) {
        const nn_real y = data->y[i];
        if (!(y > -1e6f && y < 1e6f) || y != (nn_real)(long)y) return 0;
        for (k = 0; k < count && found[k] != y; k++) continue;
        if (k < count) continue;
        if (count == most) return 0;
        found[count++] = y;
    }
    return count;
}

/* Reads a table to train on. A target of few different whole numbers, each of them several times,
   is a class. --task says what it is where that is wrong. */
static void read_training_table(nn_data *data, const arguments *args)
{
    const char *path = args->paths[0], *task = args->given[OPTION_TASK];
    const int numbers = task && args->value[OPTION_TASK] == 1;
    text input = {NULL, 0, 0};
    nn_csv_options csv;
    int count;

    set_csv_options(&csv, args, NULL);
    csv.labels = task && !numbers;
    read_table(data, path, &csv, &input);
    if (data->classes && numbers)
        say(WRONG_DATA, "%s: the target has text, so it cannot be a regression", path);
    if (!task && !data->classes && data->outputs == 1) {
        count = count_whole_numbers(data, 10);
        if (count >= 2 && data->rows >= 5 * count) {
            say(GO_ON,
                "the target has %d different whole numbers: they are taken as classes "
                "(--task regression takes them as numbers)",
                count);
            nn_data_free(data);
            csv.labels = 1;
            read_table(data, path, &csv, &input);
        }
    }
    free(input.at);
    report_reading(data, path);
}

/* ---- What a recipe says ---------------------------------------------------------------------- */

/* A recipe is how nn_read_csv read a table, kept in the model: CSV, whose rows are
       table,COLUMNS,header or numbers,DELIMITER,DECIMAL      missing,MARK,...
       number,NAME,MEAN        text,NAME,CATEGORY,...         text or missing,NAME,CATEGORY,...
       target,NAME             class,NAME,CLASS,... */

static int is_input(const row *line)
{
    if (line->count < 2) return 0;
    return strcmp(line->cells.at, "number") == 0 || strncmp(line->cells.at, "text", 4) == 0;
}

static int is_target(const row *line)
{
    if (line->count < 2) return 0;
    return strcmp(line->cells.at, "target") == 0 || strcmp(line->cells.at, "class") == 0;
}

/* How many inputs of the network a column is. */
static int inputs_of(const row *line)
{
    if (strcmp(line->cells.at, "number") == 0) return 1;
    return line->count - 2 + (strcmp(line->cells.at, "text or missing") == 0);
}

/* Appends the names of the targets, with commas between them. */
static void put_targets(text *to, const char *recipe)
{
    row line = {{NULL, 0, 0}, 0};
    int any = 0;

    while (read_row(&line, &recipe)) {
        if (!is_target(&line)) continue;
        if (any++) put(to, ",");
        put_cell(to, next_cell(line.cells.at));
    }
    free(line.cells.at);
}

/* Prints the inputs and the targets, a line each. */
static void print_recipe(const char *recipe)
{
    row line = {{NULL, 0, 0}, 0};
    const char *cell;
    int i;

    while (read_row(&line, &recipe)) {
        const int texts = strcmp(line.cells.at, "text or missing") == 0;
        if (!is_input(&line) && !is_target(&line)) continue;
        cell = next_cell(line.cells.at);
        printf("%-11s%s: ", is_input(&line) ? "input" : "target", cell);
        if (strcmp(line.cells.at, "number") == 0 && line.count > 2)
            printf("number, %s where it is missing", next_cell(cell));
        else if (strcmp(line.cells.at, "number") == 0 || strcmp(line.cells.at, "target") == 0)
            printf("number");
        else
            printf("%d %s%s", inputs_of(&line), is_target(&line) ? "classes" : "categories",
                   line.count > 2 ? ": " : "");
        for (i = 2; i < line.count && strcmp(line.cells.at, "number") != 0; i++) {
            cell = next_cell(cell);
            printf("%s%s", i > 2 ? ", " : "", i < 22 ? cell : "...");
            if (i == 22) break;
        }
        printf("%s\n", texts ? ", or missing" : "");
    }
    free(line.cells.at);
}

/* ---- The network and its training ------------------------------------------------------------ */

enum { MOST_LAYERS = 16 };

/* Everything that the command line and the data say about a network and its training. */
typedef struct plan {
    nn_layer layers[MOST_LAYERS + 1];
    nn_real dropout[MOST_LAYERS + 1];
    nn_shape shape;
    nn_options how;
} plan;

static const char default_image_layers[] = "conv8k3p,pool2,conv16k3p,pool2,64";

/* Reads a number from 1 to 65536 behind a text and moves *at behind it; returns 0 where there is
   none. */
static int read_count(const char **at, const char *before, int *number)
{
    const size_t length = strlen(before);
    char *end;
    long n;

    if (strncmp(*at, before, length) != 0 || (*at)[length] < '0' || (*at)[length] > '9') return 0;
    n = strtol(*at + length, &end, 10);
    if (n < 1 || n > 65536) return 0;
    *number = (int)n;
    *at = end;
    return 1;
}

/* Reads the size of a kernel or a window: one number for both edges, or for the width of a
   sequence; or height x width. */
static int read_window(const char **at, const char *before, int sequence, nn_layer *layer)
{
    if (!read_count(at, before, &layer->height)) return 0;
    if (read_count(at, "x", &layer->width)) return 1;
    layer->width = layer->height;
    if (sequence) layer->height = 1;
    return 1;
}

/* Reads a stride, where there is one. */
static int read_stride(const char **at, int sequence, nn_layer *layer)
{
    if (**at != 's') return 1;
    if (!read_count(at, "s", &layer->stride_width)) return 0;
    layer->stride_height = sequence ? 0 : layer->stride_width;
    return 1;
}

/* Reads one layer of --layers. */
static int read_layer(const char **at, int sequence, nn_layer *layer)
{
    if (read_count(at, "", &layer->width)) return 1;
    if (read_count(at, "conv", &layer->channels)) {
        layer->kind = NN_LAYER_CONVOLUTION;
        if (!read_window(at, "k", sequence, layer) || !read_stride(at, sequence, layer)) return 0;
        if (**at == 'p') (*at)++, layer->padding = NN_PADDING_SAME;
        return 1;
    }
    if (strncmp(*at, "global", 6) == 0) {
        layer->kind = NN_LAYER_GLOBAL_AVERAGE;
        *at += 6;
        return 1;
    }
    layer->kind = **at == 'a' ? NN_LAYER_AVERAGE_POOL : NN_LAYER_MAX_POOL;
    return read_window(at, **at == 'a' ? "average" : "pool", sequence, layer) &&
           read_stride(at, sequence, layer);
}

/* Fills layers[MOST_LAYERS] with the image and the layers of the command line, but for their
   activations, and returns how many there are. */
static int read_layers(const arguments *args, nn_layer *layers)
{
    const char *image = args->given[OPTION_IMAGE], *at = image;
    const char *list = args->given[OPTION_LAYERS];
    int count = 0, sequence;

    if (image) {
        layers->kind = NN_LAYER_IMAGE;
        if (!read_count(&at, "", &layers->height) || !read_count(&at, "x", &layers->width) ||
            !read_count(&at, "x", &layers->channels) || *at)
            say(WRONG_USE,
                "--image: expected height x width x channels such as 28x28x1, found '%s'", image);
        count = 1;
    }
    sequence = image && layers->height == 1;
    if (!list) list = image ? default_image_layers : "32,16";
    if (strcmp(list, "none") == 0) return count;
    for (at = list;; at++) {
        if (count == MOST_LAYERS || !read_layer(&at, sequence, &layers[count]) ||
            (*at && *at != ','))
            say(WRONG_USE,
                "--layers: expected up to %d widths such as 32,16, or none, or with --image layers "
                "such as conv8k3,pool2,64; found '%s'",
                MOST_LAYERS, list);
        count++;
        if (!*at) return count;
    }
}

/* Two classes: a sigmoid and the binary cross-entropy; more classes: softmax and the cross-entropy;
   numbers: the mean squared error of scaled targets. */
static void make_plan(plan *to, const arguments *args, const nn_data *data)
{
    static const nn_activation activations[] = {NN_RELU,    NN_LEAKY_RELU, NN_TANH,
                                                NN_SIGMOID, NN_ELU,        NN_SILU,
                                                NN_GELU,    NN_SOFTPLUS,   NN_LINEAR};
    static const nn_optimizer optimizers[] = {NN_ADAM, NN_SGD, NN_RMSPROP};
    nn_options *how = &to->how;
    nn_status status;
    int i, count, wrong;

    memset(to, 0, sizeof *to);
    count = read_layers(args, to->layers);
    for (i = 0; i < count; i++) {
        if (to->layers[i].kind != NN_LAYER_DENSE && to->layers[i].kind != NN_LAYER_CONVOLUTION)
            continue;
        to->layers[i].activation = activations[(int)args->value[OPTION_ACTIVATION]];
        to->dropout[i] = (nn_real)args->value[OPTION_DROPOUT];
    }
    to->layers[count].width = data->outputs;
    to->layers[count].activation = !data->classes       ? NN_LINEAR
                                   : data->outputs == 1 ? NN_SIGMOID
                                                        : NN_SOFTMAX;
    to->shape.inputs = data->inputs;
    to->shape.layers = to->layers;
    to->shape.count = count + 1;
    status = nn_check_shape(&to->shape, &wrong);
    if (status == NN_ERROR_IMAGE && wrong == 0 && args->given[OPTION_IMAGE])
        say(WRONG_USE, "--image %s: the table has %d inputs", args->given[OPTION_IMAGE],
            data->inputs);
    if (status == NN_ERROR_IMAGE && !args->given[OPTION_IMAGE])
        say(WRONG_USE, "--layers: convolutions and pools need --image");
    if (status != NN_OK && args->given[OPTION_IMAGE] && !args->given[OPTION_LAYERS])
        say(WRONG_USE, "--image %s is too small for the default layers: give --layers",
            args->given[OPTION_IMAGE]);
    if (status != NN_OK)
        say(WRONG_USE, "--layers, layer %d: %s", wrong + !args->given[OPTION_IMAGE],
            nn_status_text(status));
    how->loss = !data->classes       ? NN_MSE
                : data->outputs == 1 ? NN_BINARY_CROSS_ENTROPY
                                     : NN_CROSS_ENTROPY;
    how->balance_classes = args->given[OPTION_BALANCE] != NULL;
    if (how->balance_classes && !data->classes) say(WRONG_USE, "--balance: there are no classes");
    how->optimizer = optimizers[(int)args->value[OPTION_OPTIMIZER]];
    how->momentum = how->optimizer == NN_SGD ? 0.9f : 0;
    how->learning_rate = (nn_real)args->value[OPTION_RATE];
    how->weight_decay = (nn_real)args->value[OPTION_DECAY];
    how->dropout = args->value[OPTION_DROPOUT] > 0 && count ? to->dropout : NULL;
    how->batch_size = (int)args->value[OPTION_BATCH];
    how->epochs = (int)args->value[OPTION_EPOCHS];
    how->validation_fraction = (nn_real)args->value[OPTION_VALIDATION];
    how->patience = (int)args->value[OPTION_PATIENCE];
    how->seed = (uint64_t)args->value[OPTION_SEED];
    how->scaling = NN_SCALE_STANDARD;
    how->target_scaling = data->classes ? NN_SCALE_NONE : NN_SCALE_STANDARD;
}

/* Takes the threads that the command line allows. The results are the same with any number. */
static void set_threads(const arguments *args)
{
    if (!args->given[OPTION_THREADS]) return;
#ifdef _OPENMP
    omp_set_num_threads((int)args->value[OPTION_THREADS]);
#else
    if (args->value[OPTION_THREADS] > 1)
        say(GO_ON, "this program was compiled without threads (-fopenmp); it uses one");
#endif
}

/* Whether standard error is a terminal, where that can be known. */
static int on_terminal(void)
{
#if defined(_WIN32)
    return _isatty(2);
#elif defined(__unix__) || defined(__APPLE__)
    return isatty(2);
#else
    return 0;
#endif
}

/* Trains a model, and fills *history with its epochs. */
static nn_model *train_model(plan *with, const arguments *args, const nn_data *data,
                             nn_history *history)
{
    nn_options *how = &with->how;
    nn_model *model;
    nn_status status;

    history->epochs = (nn_epoch *)allocate((size_t)how->epochs, sizeof(nn_epoch));
    history->capacity = how->epochs;
    history->count = 0;
    how->history = history;
    how->callback = args->given[OPTION_QUIET] ? NULL : nn_print_progress;
    how->callback_batches = how->callback && on_terminal();
    how->user = how->callback ? stderr : NULL;
    check(nn_model_create(&model, data->inputs, with->layers, with->shape.count, how->seed),
          "the network", NULL);
    status = nn_fit(model, data, how);
    if (status == NN_ERROR_DIVERGED)
        say(WRONG_DATA, "training diverged in epoch %d: try a smaller --rate than %g",
            history->count + 1, (double)how->learning_rate);
    check(status, "training", NULL);
    return model;
}

/* The number in history->epochs of the epoch whose weights were kept. */
static int kept_epoch(const nn_history *history, int patience)
{
    const int validated = history->epochs[0].validation_loss >= 0;
    int best = 0, i;

    if (!patience) return history->count - 1;
    for (i = 1; i < history->count; i++) {
        const nn_epoch *a = &history->epochs[i], *b = &history->epochs[best];
        if (validated ? a->validation_loss < b->validation_loss : a->loss < b->loss) best = i;
    }
    return best;
}

/* ---- What a model knows ---------------------------------------------------------------------- */

/* The loss that fits a model's last layer. */
static nn_loss loss_of(const nn_model *model)
{
    nn_shape shape;

    check(nn_get_shape(model, &shape), "the model", NULL);
    switch (shape.layers[shape.count - 1].activation) {
    case NN_SIGMOID: return NN_BINARY_CROSS_ENTROPY;
    case NN_SOFTMAX: return NN_CROSS_ENTROPY;
    default: return NN_MSE;
    }
}

static nn_model *load_model(const char *path)
{
    nn_location at;
    nn_model *model;

    memset(&at, 0, sizeof at);
    check(nn_load(&model, path, &at), path, &at);
    return model;
}

/* A column's name, the first of its inputs, and what the loss loses without it. */
typedef struct influence {
    char name[64];
    int first, inputs;
    double loss;
} influence;

/* Fills *list with the columns of the recipe and returns how many there are; 0 where they are not
   the model's inputs. */
static int list_columns(influence **list, const char *recipe, int inputs)
{
    row line = {{NULL, 0, 0}, 0};
    const char *at;
    int count = 0, first = 0;

    for (at = recipe; read_row(&line, &at);) count += is_input(&line);
    *list = (influence *)allocate((size_t)count, sizeof **list);
    for (count = 0, at = recipe; read_row(&line, &at);) {
        influence *to;
        if (!is_input(&line)) continue;
        to = &(*list)[count++];
        snprintf(to->name, sizeof to->name, "%s", next_cell(line.cells.at));
        to->first = first;
        to->inputs = inputs_of(&line);
        first += to->inputs;
    }
    free(line.cells.at);
    return first == inputs ? count : 0;
}

static int by_loss(const void *a, const void *b)
{
    const influence *first = (const influence *)a, *second = (const influence *)b;

    if (first->loss != second->loss) return first->loss < second->loss ? 1 : -1;
    return first->first < second->first ? -1 : 1;
}

/* ---- Results --------------------------------------------------------------------------------- */

/* What was measured on the rows of a set. */
typedef struct report {
    const nn_model *model;
    const nn_data *data; /* the rows */
    const char *rows;    /* what they are: "test", say */
    char title[200];     /* of the picture */
    nn_metrics metrics;
    int *matrix;        /* [classes x classes] the confusion matrix, or NULL */
    nn_real *predicted; /* [rows x outputs] */
    influence *columns; /* [column_count], the most important first */
    int column_count;
    char summary[300]; /* the metrics in one line */
} report;

/* The name of class k: the model's, or else its number. */
static const char *class_name(const nn_model *model, int k, char number[16])
{
    const char *name = nn_class_name(model, k);

    if (name) return name;
    snprintf(number, 16, "%d", k);
    return number;
}

static void summarise(report *to)
{
    const nn_metrics *m = &to->metrics;
    const int length = snprintf(to->summary, sizeof to->summary, "loss %.4f", (double)m->loss);
    char *end = to->summary + length;
    const size_t room = sizeof to->summary - (size_t)length;

    if (!to->data->classes)
        snprintf(end, room, ", mean absolute error %.6g, root mean squared error %.6g, R2 %.4f",
                 (double)m->mae, sqrt((double)m->mse), (double)m->r2);
    else if (to->data->classes == 2)
        snprintf(end, room,
                 ", accuracy %.4f (%d of %d), precision %.4f, recall %.4f, F1 %.4f, ROC AUC %.4f",
                 (double)m->accuracy, m->correct, m->rows, (double)m->precision, (double)m->recall,
                 (double)m->f1, (double)m->auc);
    else
        snprintf(end, room,
                 ", accuracy %.4f (%d of %d), macro precision %.4f, recall %.4f, F1 %.4f",
                 (double)m->accuracy, m->correct, m->rows, (double)m->macro_precision,
                 (double)m->macro_recall, (double)m->macro_f1);
}

/* A random whole number below `below`, by SplitMix64 (Steele, Lea and Flood 2014). */
static int draw(uint64_t *state, int below)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (int)((z ^ z >> 31) % (uint64_t)below);
}

/* Exchanges a[count] and b[count]. */
static void swap(nn_real *a, nn_real *b, int count)
{
    nn_real x;

    for (; count > 0; count--) x = *a, *a++ = *b, *b++ = x;
}

enum { REPEATS = 5 }; /* permutations of each column */

/* Fills in how much the mean loss on data grows when a column's cells are exchanged among the rows
   (permutation importance; Breiman 2001). nn_importance does this for single inputs of the network;
   here all inputs of a column of text move together. */
static void shuffle_columns(report *to, const nn_data *data, const nn_options *how, uint64_t seed)
{
    const size_t inputs = (size_t)data->inputs, rows = (size_t)data->rows;
    nn_real *x = (nn_real *)allocate(rows * inputs, sizeof *x);
    nn_data shuffled = *data;
    nn_metrics metrics;
    double usual;
    int c, repeat;
    size_t i;

    check(nn_evaluate(to->model, data, how, &metrics), "the rows", NULL);
    usual = (double)metrics.loss;
    shuffled.x = x;
    memcpy(x, data->x, rows * inputs * sizeof *x);
    for (c = 0; c < to->column_count; c++) {
        influence *column = &to->columns[c];
        const size_t size = (size_t)column->inputs * sizeof *x;
        for (repeat = 0; repeat < REPEATS; repeat++) {
            for (i = rows - 1; i > 0; i--)
                swap(x + i * inputs + column->first,
                     x + (size_t)draw(&seed, (int)i + 1) * inputs + column->first, column->inputs);
            check(nn_evaluate(to->model, &shuffled, how, &metrics), "the rows", NULL);
            column->loss += ((double)metrics.loss - usual) / REPEATS;
        }
        for (i = 0; i < rows; i++)
            memcpy(x + i * inputs + column->first, data->x + i * inputs + column->first, size);
    }
    free(x);
}

/* Measures how important the columns are. Where that would take more than 10^10 multiplications, it
   takes only some of the rows. */
static void measure_influence(report *to, const nn_options *how, uint64_t seed)
{
    nn_data some, others;
    double work, most;

    to->column_count =
        list_columns(&to->columns, nn_metadata(to->model, "recipe"), to->data->inputs);
    work = (double)nn_parameter_count(to->model) * REPEATS * (to->column_count + 1);
    most = 1e10 / work > 100 ? 1e10 / work : 100;
    if (to->data->rows > most) {
        check(nn_split(to->data, (nn_real)(most / to->data->rows), seed, &some, &others),
              "the rows", NULL);
        shuffle_columns(to, &some, how, seed);
        nn_data_free(&others);
        nn_data_free(&some);
    } else {
        shuffle_columns(to, to->data, how, seed);
    }
    qsort(to->columns, (size_t)to->column_count, sizeof *to->columns, by_loss);
}

/* Measures the model on its rows. */
static void measure(report *to, const nn_model *model, const nn_data *data, uint64_t seed)
{
    nn_options how;

    memset(to, 0, sizeof *to);
    memset(&how, 0, sizeof how);
    to->model = model;
    to->data = data;
    how.loss = loss_of(model);
    check(nn_evaluate(model, data, &how, &to->metrics), "the rows", NULL);
    to->predicted =
        (nn_real *)allocate((size_t)data->rows * (size_t)data->outputs, sizeof(nn_real));
    check(nn_predict_data(model, data, to->predicted, NULL), "the rows", NULL);
    if (data->classes) {
        to->matrix = (int *)allocate((size_t)data->classes * (size_t)data->classes, sizeof(int));
        check(nn_confusion_matrix(model, data, to->matrix), "the rows", NULL);
    }
    measure_influence(to, &how, seed);
    summarise(to);
}

static void end_report(report *of)
{
    free(of->matrix);
    free(of->predicted);
    free(of->columns);
}

enum { MOST_PRINTED = 20 }; /* classes of a confusion matrix that is printed */

/* Prints the confusion matrix with each class's precision and recall. */
static void print_matrix(const report *of)
{
    const int classes = of->data->classes;
    char number[16];
    nn_scores scores;
    int width = 6, truth, guess;

    printf("\nconfusion matrix (rows: true class, columns: predicted class)\n");
    for (guess = 0; guess < classes; guess++) {
        const int length = (int)strlen(class_name(of->model, guess, number));
        if (length > width) width = length < 12 ? length : 12;
    }
    printf("%*s", width + 2, "");
    if (classes <= MOST_PRINTED)
        for (guess = 0; guess < classes; guess++)
            printf("%*.*s", width + 2, width, class_name(of->model, guess, number));
    printf("  precision  recall    rows\n");
    for (truth = 0; truth < classes; truth++) {
        printf("%*.*s", width + 2, width, class_name(of->model, truth, number));
        if (classes <= MOST_PRINTED)
            for (guess = 0; guess < classes; guess++)
                printf("%*d", width + 2, of->matrix[truth * classes + guess]);
        check(nn_class_scores(of->matrix, classes, truth, &scores), "the rows", NULL);
        printf("%11.4f%8.4f%8d\n", (double)scores.precision, (double)scores.recall, scores.support);
    }
}

/* Prints how often the most frequent class would be right. */
static void print_frequent(const report *of)
{
    const int classes = of->data->classes;
    int best = 0, most = -1, k;
    char number[16];
    nn_scores scores;

    for (k = 0; k < classes; k++) {
        check(nn_class_scores(of->matrix, classes, k, &scores), "the rows", NULL);
        if (scores.support <= most) continue;
        most = scores.support;
        best = k;
    }
    printf("without a model, always %s: accuracy %.4f\n", class_name(of->model, best, number),
           (double)most / of->data->rows);
}

static void print_report(const report *of)
{
    const int most = of->column_count < 10 ? of->column_count : 10;
    int i;

    printf("%s rows: %s\n", of->rows, of->summary);
    if (of->matrix) print_frequent(of);
    if (of->matrix) print_matrix(of);
    printf("\nmost important columns (how much the loss grows when the column is shuffled)\n");
    for (i = 0; i < most; i++) printf("%10.4f  %s\n", of->columns[i].loss, of->columns[i].name);
}

/* ---- The picture ----------------------------------------------------------------------------- */

/* A rectangle of the picture, in pixels, and the part of the plane that it shows. */
typedef struct panel {
    FILE *file;
    double left, top, width, height;
    double low[2], high[2]; /* horizontal, vertical */
} panel;

static double pixel_x(const panel *at, double x)
{
    return at->left + at->width * (x - at->low[0]) / (at->high[0] - at->low[0]);
}

static double pixel_y(const panel *at, double y)
{
    return at->top + at->height * (at->high[1] - y) / (at->high[1] - at->low[1]);
}

/* Writes at most `most` bytes of a text, with the characters that XML reserves as entities. */
static void put_label(FILE *file, double x, double y, const char *style, const char *label,
                      int most)
{
    const int length = (int)strlen(label), cut = length > most;
    int i, end = cut ? most - 2 : length;

    while (end > 0 && cut && (label[end] & 0xc0) == 0x80) end--; /* whole UTF-8 characters */
    fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, style);
    for (i = 0; i < end; i++) {
        const unsigned char c = (unsigned char)label[i];
        fprintf(file, c == '&' || c == '<' ? "&#%d;" : "%c", c < ' ' ? ' ' : c);
    }
    fprintf(file, "%s</text>\n", cut ? ".." : "");
}

/* A round distance, 1, 2 or 5 times a power of ten, that divides the range into about five. */
static double tick_step(double range)
{
    double step = 1;

    while (step * 10 <= range / 5) step *= 10;
    while (step > range / 5) step /= 10;
    return range / 5 < 1.5 * step   ? step
           : range / 5 < 3.5 * step ? 2 * step
           : range / 5 < 7.5 * step ? 5 * step
                                    : 10 * step;
}

/* Draws grid lines and tick labels. */
static void draw_axes(const panel *at)
{
    char label[40];
    double tick;
    int axis;

    for (axis = 0; axis < 2; axis++) {
        const double step = tick_step(at->high[axis] - at->low[axis]);
        for (tick = ceil(at->low[axis] / step) + 0; tick * step <= at->high[axis]; tick++) {
            snprintf(label, sizeof label, "%.7g", tick * step);
            if (axis == 0) {
                put_label(at->file, pixel_x(at, tick * step), at->top + at->height + 17,
                          "class=\"m\" text-anchor=\"middle\"", label, 40);
                continue;
            }
            fprintf(at->file, "<path class=\"g\" d=\"M%.1f %.1fh%.1f\"/>\n", at->left,
                    pixel_y(at, tick * step), at->width);
            put_label(at->file, at->left - 8, pixel_y(at, tick * step) + 4,
                      "class=\"m\" text-anchor=\"end\"", label, 40);
        }
    }
}

/* Writes the heading of a panel and the line below it. */
static void draw_heading(const panel *at, const char *heading, const char *below)
{
    put_label(at->file, at->left, at->top - 34, "class=\"h\"", heading, 60);
    put_label(at->file, at->left, at->top - 10, "class=\"m\"", below, 60);
}

/* The loss of an epoch: i is 0 for training and 1 for validation. */
static double loss_at(const nn_history *history, int i, int epoch)
{
    const nn_epoch *at = &history->epochs[epoch];
    return (double)(i ? at->validation_loss : at->loss);
}

/* Draws the losses by epoch, and the epoch whose weights were kept. */
static void draw_curves(panel *at, const nn_history *history, int kept)
{
    static const char *const names[2] = {"training", "validation"};
    const int count = loss_at(history, 1, 0) >= 0 ? 2 : 1;
    double low = loss_at(history, 0, 0), high = low;
    int i, epoch;

    for (i = 0; i < count; i++)
        for (epoch = 0; epoch < history->count; epoch++) {
            const double loss = loss_at(history, i, epoch);
            low = loss < low ? loss : low;
            high = loss > high ? loss : high;
        }
    at->low[0] = 1;
    at->high[0] = history->count > 1 ? history->count : 2;
    at->low[1] = low - 0.05 * (high - low);
    at->high[1] = high > low ? high + 0.05 * (high - low) : low + 1;
    draw_heading(at, "Loss by epoch", "");
    draw_axes(at);
    fprintf(at->file, "<path class=\"k\" d=\"M%.1f %.1fv%.1fM%.1f %.1fh18\"/>\n",
            pixel_x(at, kept + 1), at->top, at->height, at->left + 208, at->top - 14);
    put_label(at->file, at->left + 232, at->top - 10, "", "kept", 20);
    for (i = 0; i < count; i++) {
        fprintf(at->file, "<polyline class=\"l%d\" points=\"", i);
        for (epoch = 0; epoch < history->count; epoch++)
            fprintf(at->file, "%.1f,%.1f ", pixel_x(at, epoch + 1),
                    pixel_y(at, loss_at(history, i, epoch)));
        fprintf(at->file, "\"/>\n<path class=\"l%d\" d=\"M%.1f %.1fh18\"/>\n", i,
                at->left + 104 * i, at->top - 14);
        put_label(at->file, at->left + 24 + 104 * i, at->top - 10, "", names[i], 20);
    }
}

/* Draws the confusion matrix: the darker, the larger the share of the true class. */
static void draw_matrix(const panel *at, const report *of)
{
    const int classes = of->data->classes;
    const double cell = at->height / classes, font = cell * 0.36 < 15 ? cell * 0.36 : 15;
    char style[80], label[16];
    int truth, guess;

    draw_heading(at, "Confusion matrix", "rows: true class, columns: predicted");
    for (truth = 0; truth < classes; truth++) {
        const double y = at->top + cell * truth;
        const int *counts = of->matrix + (size_t)truth * (size_t)classes;
        long sum = 0;
        for (guess = 0; guess < classes; guess++) sum += counts[guess];
        for (guess = 0; guess < classes; guess++) {
            const double x = at->left + cell * guess;
            fprintf(at->file,
                    "<rect class=\"c\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>"
                    "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                    "fill-opacity=\"%.2f\"/>\n",
                    x, y, cell - 2, cell - 2, truth == guess ? "a" : "b", x, y, cell - 2, cell - 2,
                    sum ? 0.62 * counts[guess] / (double)sum : 0);
            snprintf(style, sizeof style, "font-size=\"%.1f\" text-anchor=\"middle\"", font);
            snprintf(label, sizeof label, "%d", counts[guess]);
            if (font > 5)
                put_label(at->file, x + cell / 2 - 1, y + cell / 2 + font * 0.35, style, label, 16);
        }
        if (cell < 9) continue;
        put_label(at->file, at->left - 8, y + cell / 2 + 4, "class=\"m\" text-anchor=\"end\"",
                  class_name(of->model, truth, label), 11);
        put_label(at->file, at->left + cell * truth + cell / 2, at->top + at->height + 17,
                  "class=\"m\" text-anchor=\"middle\"", class_name(of->model, truth, label),
                  cell > 75             ? 12
                  : (int)(cell / 7) > 3 ? (int)(cell / 7)
                                        : 3);
    }
}

/* Draws a dot for each row, at most 1,000 of them, and the line where the dots should be. */
static void draw_scatter(panel *at, const report *of, const char *target)
{
    const size_t outputs = (size_t)of->data->outputs, rows = (size_t)of->data->rows;
    const size_t every = rows / 1000 + 1;
    double low = (double)of->data->y[0], high = low, margin;
    char below[80];
    size_t i;

    for (i = 0; i < rows; i += every) {
        const double y = (double)of->data->y[i * outputs], p = (double)of->predicted[i * outputs];
        if (y < low) low = y;
        if (y > high) high = y;
        if (p < low) low = p;
        if (p > high) high = p;
    }
    margin = high > low ? 0.04 * (high - low) : 1;
    at->low[0] = at->low[1] = low - margin;
    at->high[0] = at->high[1] = high + margin;
    snprintf(below, sizeof below, "%.30s: predicted (up), true (across)", target);
    draw_heading(at, "Predicted against true", below);
    draw_axes(at);
    fprintf(at->file, "<path class=\"k\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", at->left,
            at->top + at->height, at->left + at->width, at->top);
    for (i = 0; i < rows; i += every)
        fprintf(at->file,
                "<circle class=\"a\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill-opacity=\"0.5\"/>\n",
                pixel_x(at, (double)of->data->y[i * outputs]),
                pixel_y(at, (double)of->predicted[i * outputs]));
}

/* Draws a bar for each of the most important columns. */
static void draw_influence(const panel *at, const report *of)
{
    const int count = of->column_count < 10 ? of->column_count : 10;
    const double most = of->columns[0].loss > 0 ? of->columns[0].loss : 1, step = at->height / 10;
    char label[24];
    int i;

    draw_heading(at, "Most important columns", "growth of the loss when the column is shuffled");
    for (i = 0; i < count; i++) {
        const double loss = of->columns[i].loss, y = at->top + step * i;
        const double width = loss > 0 ? (at->width - 50) * loss / most : 0;
        put_label(at->file, at->left, y + 11, "", of->columns[i].name, 34);
        fprintf(at->file,
                "<rect class=\"a\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"8\" "
                "rx=\"2\"/>\n",
                at->left, y + 16, width);
        snprintf(label, sizeof label, "%.4f", loss);
        put_label(at->file, at->left + width + 6, y + 24, "class=\"m\"", label, 24);
    }
}

/* The picture has a background of its own, and follows the reader's choice of light or dark. */
static const char style_sheet[] =
    "<style>\n"
    "text{fill:#1f2328}.m{fill:#59636e}.h{font-size:16px;font-weight:600}\n"
    ".p{fill:#fff;stroke:#d1d9e0}.c{fill:#f0f2f5}.g{stroke:#e4e8ec;fill:none}\n"
    ".k{stroke:#8c959f;stroke-dasharray:4 4;fill:none}.a{fill:#0969da}.b{fill:#cf4a12}\n"
    ".l0,.l1{stroke:#0969da;stroke-width:2;fill:none;stroke-linejoin:round}.l1{stroke:#cf4a12}\n"
    "@media(prefers-color-scheme:dark){\n"
    "text{fill:#f0f6fc}.m{fill:#9198a1}.p{fill:#0d1117;stroke:#3d444d}.c{fill:#1b2129}\n"
    ".g{stroke:#262c36}.k{stroke:#656c76}.a{fill:#4493f8}.b{fill:#f0883e}.l0{stroke:#4493f8}\n"
    ".l1{stroke:#f0883e}}\n"
    "</style>\n";

/* Writes the picture: the curves, unless history is NULL; the confusion matrix, or predicted
   against true; the most important columns. */
static void write_picture(const char *path, const report *of, const nn_history *history, int kept)
{
    FILE *file = fopen(path, "wb");
    const double width = history ? 1200 : 780;
    panel at = {file, 80, 140, 320, 300, {0, 0}, {0, 0}};
    text target = {NULL, 0, 0};
    int failed;

    if (!file) say(WRONG_DATA, "%s: the file cannot be written", path);
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"510\" "
            "viewBox=\"0 0 %.0f 510\" font-family=\"system-ui,Helvetica,Arial,sans-serif\" "
            "font-size=\"13\">\n%s<rect class=\"p\" x=\"1\" y=\"1\" width=\"%.0f\" height=\"508\" "
            "rx=\"10\"/>\n",
            width, width, style_sheet, width - 2);
    put_label(file, 28, 42, "class=\"h\"", of->title, 120);
    put_label(file, 28, 64, "class=\"m\"", of->summary, 170);
    if (history) {
        draw_curves(&at, history, kept);
        at.left += 430;
    }
    at.width = 300;
    put_targets(&target, nn_metadata(of->model, "recipe"));
    if (!of->matrix)
        draw_scatter(&at, of, target.at);
    else if (of->data->classes <= 60)
        draw_matrix(&at, of);
    at.left += 370;
    draw_influence(&at, of);
    fprintf(file, "</svg>\n");
    free(target.at);
    failed = ferror(file);
    if (fclose(file) != 0 || failed) say(WRONG_DATA, "%s: the file cannot be written", path);
}

/* ---- nn train, nn tune, nn evaluate ---------------------------------------------------------- */

/* The path without its folders. */
static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The path with another ending instead of ".safetensors". */
static void put_path(text *to, const char *path, const char *ending)
{
    static const char old[] = ".safetensors";
    const size_t length = strlen(path), cut = sizeof old - 1;
    const int ours = length > cut && strcmp(path + length - cut, old) == 0;

    put_bytes(to, path, ours ? length - cut : length);
    put(to, ending);
}

/* Divides the rows: *test gets those that the network is measured on. A table of fewer than 20 rows
   is not divided unless the command line says so; *test then has all rows. */
static void divide(arguments *args, const nn_data *data, nn_data *train, nn_data *test)
{
    const uint64_t seed = (uint64_t)args->value[OPTION_SEED];

    memset(train, 0, sizeof *train);
    memset(test, 0, sizeof *test);
    if (data->rows < 20 && !args->given[OPTION_TEST] && !args->given[OPTION_VALIDATION]) {
        say(GO_ON, "%d rows are too few to divide: all are trained on and measured", data->rows);
        args->value[OPTION_TEST] = args->value[OPTION_VALIDATION] = 0;
    }
    if (args->value[OPTION_TEST] > 0)
        check(nn_split(data, (nn_real)(1 - args->value[OPTION_TEST]), seed, train, test),
              "dividing the rows", NULL);
    else
        *train = *data;
}

/* Stores in the model how it was trained, which nn info prints. */
static void describe(nn_model *model, const char *command, const nn_data *train, const report *of,
                     int epochs, int kept)
{
    char line[400];

    check(nn_set_metadata(model, "training.command", command), "the model", NULL);
    snprintf(line, sizeof line,
             "%d rows, of which a part decided when to stop; %d epochs; weights of epoch %d",
             train->rows, epochs, kept + 1);
    check(nn_set_metadata(model, "training", line), "the model", NULL);
    snprintf(line, sizeof line, "%d %s rows: %s", of->data->rows, of->rows, of->summary);
    check(nn_set_metadata(model, "training.result", line), "the model", NULL);
}

/* Trains a model on the data, prints its report, and writes what the command line asks for. */
static void train_and_report(arguments *args, const nn_data *data, const char *command)
{
    nn_data train, test;
    text path = {NULL, 0, 0}, target = {NULL, 0, 0};
    nn_history history;
    nn_model *model;
    report result;
    plan with;
    int kept;

    divide(args, data, &train, &test);
    put_targets(&target, data->recipe);
    say(GO_ON, "%s: %d rows, of which %d for the test; inputs of the network: %d; target: %s, %s",
        args->paths[0], data->rows, test.rows, data->inputs, target.at,
        data->classes ? "classes" : "regression");
    make_plan(&with, args, data);
    model = train_model(&with, args, &train, &history);
    kept = kept_epoch(&history, with.how.patience);
    measure(&result, model, test.rows ? &test : &train, with.how.seed);
    result.rows = test.rows ? "test" : "training";
    snprintf(result.title, sizeof result.title, "%.80s: %.80s, %d %s rows",
             base_name(args->paths[0]), target.at, result.data->rows, result.rows);
    print_report(&result);
    describe(model, command, &train, &result, history.count, kept);
    if (args->given[OPTION_OUTPUT]) {
        check(nn_save(model, args->given[OPTION_OUTPUT]), args->given[OPTION_OUTPUT], NULL);
        say(GO_ON, "the model is in %s", args->given[OPTION_OUTPUT]);
        if (!args->given[OPTION_SVG]) put_path(&path, args->given[OPTION_OUTPUT], ".svg");
    }
    if (args->given[OPTION_SVG]) put(&path, args->given[OPTION_SVG]);
    if (path.size) {
        write_picture(path.at, &result, &history, kept);
        say(GO_ON, "the picture is in %s", path.at);
    }
    end_report(&result);
    free(target.at);
    free(path.at);
    free(history.epochs);
    nn_model_free(model);
    nn_data_free(&test);
    if (train.memory != data->memory) nn_data_free(&train);
}

/* Finds a path that cannot be written before the training, not after it. */
static void check_output(const char *path)
{
    FILE *file = path ? fopen(path, "rb") : NULL;
    const int is_there = file != NULL;

    if (!path) return;
    if (file) (void)fclose(file);
    file = fopen(path, "ab");
    if (!file) check(NN_ERROR_WRITE, path, NULL);
    (void)fclose(file);
    if (!is_there) (void)remove(path);
}

static int verb_train(arguments *args, int argc, char **argv)
{
    text command = {NULL, 0, 0};
    nn_data data;
    int i;

    check_output(args->given[OPTION_OUTPUT]);
    check_output(args->given[OPTION_SVG]);
    for (i = 1; i < argc; i++) put_argument(&command, argv[i]);
    read_training_table(&data, args);
    if (!data.y && !data.labels) say(WRONG_USE, "--target: there is nothing to predict");
    train_and_report(args, &data, command.at);
    nn_data_free(&data);
    free(command.at);
    return 0;
}

static const char no_recipe[] = "%s: the model was not trained on a table";

static int verb_evaluate(arguments *args)
{
    nn_model *model = load_model(args->paths[0]);
    const char *path = args->paths[1];
    text input = {NULL, 0, 0}, target = {NULL, 0, 0};
    nn_csv_options csv;
    nn_data data;
    report result;

    if (!nn_metadata(model, "recipe")) say(WRONG_DATA, no_recipe, args->paths[0]);
    set_csv_options(&csv, args, model);
    read_table(&data, path, &csv, &input);
    report_reading(&data, path);
    put_targets(&target, data.recipe);
    if (!data.y && !data.labels)
        say(WRONG_DATA, "%s: the target '%s' is needed to measure the model, and is not there",
            path, target.at);
    measure(&result, model, &data, (uint64_t)args->value[OPTION_SEED]);
    result.rows = "all";
    snprintf(result.title, sizeof result.title, "%.80s: %.80s, %d rows", base_name(args->paths[0]),
             base_name(path), data.rows);
    print_report(&result);
    if (args->given[OPTION_SVG]) write_picture(args->given[OPTION_SVG], &result, NULL, 0);
    end_report(&result);
    free(target.at);
    free(input.at);
    nn_data_free(&data);
    nn_model_free(model);
    return 0;
}

/* What the search tries: every combination once, in an order that the seed draws, the defaults
   first. They are texts, because the result is a command line. */
static const char *const tuned_layers[] = {"32,16", "none", "8",     "16",     "32",      "64",
                                           "128",   "16,8", "64,32", "128,64", "32,32,32"};
static const char *const tuned_rates[] = {"0.003", "0.0003", "0.001", "0.01", "0.03"};
static const char *const tuned_decays[] = {"0.0001", "0", "0.001", "0.01", "0.1", "1"};

enum { TUNED_LAYERS = 11, TUNED_RATES = 5, TUNED_DECAYS = 6, COMBINATIONS = 330 };

/* Sets what the command line leaves open to combination c. */
static void set_combination(arguments *to, const arguments *args, int c)
{
    *to = *args;
    if (!args->given[OPTION_LAYERS])
        to->given[OPTION_LAYERS] =
            args->given[OPTION_IMAGE] ? default_image_layers : tuned_layers[c % TUNED_LAYERS];
    c /= TUNED_LAYERS;
    if (!args->given[OPTION_RATE]) set_option(to, OPTION_RATE, tuned_rates[c % TUNED_RATES]);
    c /= TUNED_RATES;
    if (!args->given[OPTION_DECAY]) set_option(to, OPTION_DECAY, tuned_decays[c]);
}

/* Appends the command line of nn train with these arguments. */
static void put_command(text *to, const arguments *args)
{
    int i;

    put(to, "train");
    put_argument(to, args->paths[0]);
    for (i = 0; i < OPTION_COUNT; i++) {
        if (!args->given[i] || !(options[i].verbs & TRAIN) || i == OPTION_QUIET) continue;
        put_argument(to, options[i].name);
        if (options[i].kind != FLAG) put_argument(to, args->given[i]);
    }
}

/* When the time is over; without a limit, never. */
typedef struct deadline {
    time_t begin;
    double seconds;
} deadline;

static int is_late(const deadline *end)
{
    return end->seconds > 0 && difftime(time(NULL), end->begin) >= end->seconds;
}

static int stop_when_late(const nn_progress *progress, void *user)
{
    (void)progress;
    return is_late((const deadline *)user);
}

/* The mean loss over the folds of a cross-validation; HUGE_VAL when training diverges. */
static double try_plan(plan *with, const nn_data *data, int folds, nn_metrics *results,
                       double *accuracy)
{
    const nn_status status = nn_cross_validate(&with->shape, data, &with->how, folds, results);
    double loss = 0;
    int i;

    *accuracy = 0;
    if (status == NN_ERROR_DIVERGED) return HUGE_VAL;
    check(status, "cross-validation", NULL);
    for (i = 0; i < folds; i++) loss += (double)results[i].loss;
    for (i = 0; i < folds; i++)
        *accuracy += (double)(data->classes ? results[i].accuracy : results[i].r2);
    *accuracy /= folds;
    return loss / folds;
}

/* Fills order[COMBINATIONS]: those that differ in what the command line leaves open, the defaults
   first and the others shuffled. Returns how many there are. */
static int order_combinations(const arguments *args, int *order)
{
    const int layers = args->given[OPTION_LAYERS] || args->given[OPTION_IMAGE] ? 1 : TUNED_LAYERS;
    const int rates = args->given[OPTION_RATE] ? 1 : TUNED_RATES;
    const int decays = args->given[OPTION_DECAY] ? 1 : TUNED_DECAYS;
    uint64_t state = (uint64_t)args->value[OPTION_SEED];
    int count = 0, i, k, c;

    for (c = 0; c < COMBINATIONS; c++)
        if (c % TUNED_LAYERS < layers && c / TUNED_LAYERS % TUNED_RATES < rates &&
            c / TUNED_LAYERS / TUNED_RATES < decays)
            order[count++] = c;
    for (i = count - 1; i > 1; i--) {
        k = 1 + draw(&state, i);
        c = order[i], order[i] = order[k], order[k] = c;
    }
    return count;
}

/* Tries combinations until there are none, or enough, or the time is over; the first one always.
   *best becomes the arguments with the lowest loss. */
static void search(arguments *best, const arguments *args, const nn_data *data)
{
    const int folds = (int)args->value[OPTION_FOLDS];
    nn_metrics *results = (nn_metrics *)allocate((size_t)folds, sizeof *results);
    deadline end = {time(NULL), args->given[OPTION_SECONDS] ? args->value[OPTION_SECONDS] : 0};
    double lowest = HUGE_VAL, score = 0;
    int order[COMBINATIONS], trial, count = order_combinations(args, order);

    if (!(end.seconds > 0) && count > (int)args->value[OPTION_TRIALS])
        count = (int)args->value[OPTION_TRIALS];
    for (trial = 0; trial < count && (trial == 0 || !is_late(&end)); trial++) {
        arguments tried;
        double loss, accuracy;
        plan with;

        set_combination(&tried, args, order[trial]);
        make_plan(&with, &tried, data);
        with.how.callback = trial ? stop_when_late : NULL;
        with.how.user = &end;
        loss = try_plan(&with, data, folds, results, &accuracy);
        if (trial && is_late(&end)) break; /* it may not have been trained to its end */
        if (!args->given[OPTION_QUIET])
            say(GO_ON, "trial %3d: loss %.4f, %s %.4f%s  --layers %s --rate %s --decay %s",
                trial + 1, loss, data->classes ? "accuracy" : "R2", accuracy,
                loss < lowest ? " *" : "  ", tried.given[OPTION_LAYERS], tried.given[OPTION_RATE],
                tried.given[OPTION_DECAY]);
        if (trial && !(loss < lowest)) continue;
        lowest = loss;
        score = accuracy;
        *best = tried;
    }
    if (!(lowest < HUGE_VAL)) say(WRONG_DATA, "every trial diverged");
    printf("best of %d trials in %d folds: loss %.4f, %s %.4f\n", trial, folds, lowest,
           data->classes ? "accuracy" : "R2", score);
    free(results);
}

static int verb_tune(arguments *args)
{
    nn_data data, train, test;
    text command = {NULL, 0, 0};
    arguments best;

    if (args->given[OPTION_SECONDS] && args->given[OPTION_TRIALS])
        say(WRONG_USE, "--seconds and --trials are given together");
    check_output(args->given[OPTION_OUTPUT]);
    check_output(args->given[OPTION_SVG]);
    read_training_table(&data, args);
    if (!data.y && !data.labels) say(WRONG_USE, "--target: there is nothing to predict");
    divide(args, &data, &train, &test);
    search(&best, args, &train);
    put_command(&command, &best);
    printf("nn %s\n", command.at);
    if (args->given[OPTION_OUTPUT]) {
        printf("\n");
        train_and_report(&best, &data, command.at);
    }
    free(command.at);
    nn_data_free(&test);
    if (train.memory != data.memory) nn_data_free(&train);
    nn_data_free(&data);
    return 0;
}

/* ---- nn predict ------------------------------------------------------------------------------ */

enum { BLOCK_ROWS = 1024 };

/* A table that is read piece by piece. */
typedef struct stream {
    FILE *file;
    const char *path;
    text bytes;        /* those that were read and not yet used; bytes.at[0] begins a row */
    text header;       /* the first row, with its line end; empty in a table without a header */
    long header_lines; /* lines of the header, and of what stands before it */
    long line;         /* of the file, from 1, that bytes.at[0] begins */
    int ended;         /* the file has no more bytes */
    int failures;      /* rows that could not be read */
    nn_data totals;    /* imputed and unknown: such cells of all rows */
    char line_end;     /* '\n', or '\r' in files without '\n' */
    char delimiter;
    const char *comment; /* characters that begin lines of comment, or "" */
} stream;

/* Where a row begins: its first byte in stream.bytes, and its line in the file. */
typedef struct row_start {
    size_t at;
    long line;
} row_start;

/* Reads some more bytes: of a pipe what is there, without waiting for more than that. */
static void read_more(stream *from)
{
    const size_t most = 65536;
    size_t got;

    reserve(&from->bytes, most);
#if defined(__unix__) || defined(__APPLE__)
    if (from->file == stdin) {
        const ssize_t count = read(0, from->bytes.at + from->bytes.size, most);
        if (count < 0) say(WRONG_DATA, "standard input cannot be read");
        got = (size_t)count;
    } else
#endif
    {
        got = fread(from->bytes.at + from->bytes.size, 1, most, from->file);
        if (ferror(from->file))
            say(WRONG_DATA, "%s: %s", from->path, nn_status_text(NN_ERROR_READ));
    }
    from->bytes.size += got;
    from->ended = got == 0;
}

/* Drops the first bytes, which are used. */
static void use_bytes(stream *from, size_t count)
{
    from->bytes.size -= count;
    memmove(from->bytes.at, from->bytes.at + count, from->bytes.size);
}

static int is_comment(const stream *from, size_t at)
{
    return at < from->bytes.size && from->bytes.at[at] && strchr(from->comment, from->bytes.at[at]);
}

/* Finds the end of the row that begins at `at`, which may contain line ends in quotes. *lines grows
   by its lines. Returns 0 when more bytes must be read to know. */
static size_t end_of_row(const stream *from, size_t at, long *lines)
{
    const char *bytes = from->bytes.at;
    const size_t size = from->bytes.size;
    const int comment = is_comment(from, at);
    int quoted = 0, begins = 1; /* within quotes; at the begin of a cell, where a quote may open */
    long count = 0;

    for (; at < size; at++) {
        const char c = bytes[at];
        if (c == from->line_end) {
            count++;
            if (quoted) continue;
            *lines += count;
            return at + 1;
        }
        if (comment) continue;
        if (c == '"' && (begins || quoted))
            quoted = !quoted; /* of two quotes in quotes, the second one opens them again */
        begins = c == from->delimiter || c == '"' || (begins && (c == ' ' || c == '\t'));
    }
    if (!from->ended) return 0;
    *lines += count + 1;
    return size;
}

/* Takes the first row as the header, where the model's table has one: the first line that is no
   comment and not empty. */
static void take_header(stream *from)
{
    size_t at = 0, end;
    long lines = 0;

    for (;;) {
        while (!(end = end_of_row(from, at, &lines)) && !from->ended) read_more(from);
        if (end == at || !is_comment(from, at)) {
            const size_t blank = strspn(from->bytes.at + at, " \t\r\n");
            if (end == at || at + blank < end) break;
        }
        at = end;
    }
    if (end == at) say(WRONG_DATA, "%s: %s", from->path, nn_status_text(NN_ERROR_CSV_EMPTY));
    put_bytes(&from->header, from->bytes.at, end);
    from->header_lines = lines;
    from->line += lines;
    use_bytes(from, end);
}

/* Finds rows that are there completely, at most BLOCK_ROWS, and reads more bytes when there are
   none. starts[count] is where the last of them ends. Returns 0 at the end of the table. */
static int take_rows(stream *from, row_start starts[BLOCK_ROWS + 1])
{
    int count;
    size_t end;

    for (;;) {
        starts[0].at = 0;
        starts[0].line = from->line;
        for (count = 0; count < BLOCK_ROWS && starts[count].at < from->bytes.size; count++) {
            starts[count + 1].line = starts[count].line;
            end = end_of_row(from, starts[count].at, &starts[count + 1].line);
            if (!end) break;
            starts[count + 1].at = end;
        }
        if (count || from->ended) return count;
        read_more(from);
    }
}

/* The class of a row of outputs: as nn_predict_classes. */
static int class_of(const nn_real *y, int outputs)
{
    int best = 0, k;

    if (outputs == 1) return y[0] >= 0.5f;
    for (k = 1; k < outputs; k++)
        if (y[k] > y[best]) best = k;
    return best;
}

/* Prints the rows of predictions y[rows x outputs]: class and probabilities, or numbers. */
static void print_predictions(const nn_model *model, const nn_real *y, int rows, int outputs)
{
    const int classes = loss_of(model) != NN_MSE;
    text line = {NULL, 0, 0};
    char number[16];
    int i, k;

    for (i = 0; i < rows; i++, y += outputs) {
        line.size = 0;
        if (classes) put_cell(&line, class_name(model, class_of(y, outputs), number));
        if (classes && outputs == 1) {
            put(&line, ",");
            put_number(&line, 1 - y[0]);
        }
        for (k = 0; k < outputs; k++) {
            if (k || classes) put(&line, ",");
            put_number(&line, y[k]);
        }
        put(&line, "\n");
        (void)fwrite(line.at, 1, line.size, stdout);
    }
    free(line.at);
}

/* Prints the names of the columns, and keeps in *empty the row of one that could not be read. */
static void print_header(const nn_model *model, int outputs, text *empty)
{
    const int classes = loss_of(model) == NN_MSE ? 0 : outputs == 1 ? 2 : outputs;
    text line = {NULL, 0, 0};
    char number[16];
    int k;

    put_targets(&line, nn_metadata(model, "recipe"));
    for (k = 0; k < classes; k++) {
        put(&line, ",");
        put_cell(&line, class_name(model, k, number));
    }
    printf("%s\n", line.at);
    for (k = 1; k < (classes ? classes + 1 : outputs); k++) put(empty, ",");
    put(empty, "\n");
    free(line.at);
}

/* Predicts rows begin ... end - 1. The status is not NN_OK when one of them cannot be read, and
   nothing is printed. *at then says where, with the line in the header and the rows together. */
static nn_status predict_rows(const nn_model *model, stream *from, const row_start *starts,
                              int begin, int end, nn_csv_options *csv, nn_location *at)
{
    text piece = {NULL, 0, 0};
    nn_data data;
    nn_status status;

    put_bytes(&piece, from->header.at ? from->header.at : "", from->header.size);
    put_bytes(&piece, from->bytes.at + starts[begin].at, starts[end].at - starts[begin].at);
    csv->location = at;
    status = nn_parse_csv(&data, piece.at, piece.size, csv);
    free(piece.at);
    if (status == NN_ERROR_CSV_EMPTY) return NN_OK; /* lines of comment, empty lines */
    if (status == NN_OK) {
        nn_real *y = (nn_real *)allocate((size_t)data.rows * (size_t)data.outputs, sizeof *y);
        status = nn_predict_data(model, &data, y, NULL);
        if (status == NN_OK) print_predictions(model, y, data.rows, data.outputs);
        from->totals.imputed += data.imputed;
        from->totals.unknown += data.unknown;
        free(y);
    }
    nn_data_free(&data);
    return status;
}

/* Whether a row is nothing but delimiters. */
static int is_hollow(const stream *from, const row_start *at)
{
    int delimiters = 0;
    size_t i;

    for (i = at[0].at; i < at[1].at; i++) {
        const char c = from->bytes.at[i];
        if (c != from->delimiter && c != ' ' && c != '\t' && c != '\r' && c != '\n') return 0;
        delimiters += c == from->delimiter;
    }
    return delimiters && from->delimiter != ' ';
}

/* Predicts rows begin ... count - 1. Where one cannot be read, those before it are predicted, and a
   row of empty cells stands for it. */
static void predict_block(const nn_model *model, stream *from, const row_start *starts, int begin,
                          int count, nn_csv_options *csv, const text *empty)
{
    int bad;

    while (begin < count) {
        nn_location at, before;
        nn_status status;
        long line;

        memset(&at, 0, sizeof at);
        memset(&before, 0, sizeof before);
        status = predict_rows(model, from, starts, begin, count, csv, &at);
        if (status == NN_OK) return;
        line = starts[begin].line + at.line - from->header_lines - 1;
        for (bad = begin; bad < count && starts[bad + 1].line <= line; bad++) continue;
        if (at.line <= from->header_lines || bad == count) { /* not a row, but the table is wrong */
            complain(status, from->path, &at, at.line);
            exit(WRONG_DATA);
        }
        if (bad > begin)
            check(predict_rows(model, from, starts, begin, bad, csv, &before), from->path, &before);
        complain(status, from->path, &at, line);
        (void)fwrite(empty->at, 1, empty->size, stdout);
        from->failures++;
        begin = bad + 1;
    }
}

/* Skips the mark of UTF-8, and finds out how lines end: with CR if the first one does. */
static void begin_text(stream *to)
{
    size_t end = 0;

    while (to->bytes.size < 3 && !to->ended) read_more(to);
    if (to->bytes.size >= 3 && memcmp(to->bytes.at, "\xef\xbb\xbf", 3) == 0) use_bytes(to, 3);
    for (;; read_more(to)) {
        while (end < to->bytes.size && to->bytes.at[end] != '\n' && to->bytes.at[end] != '\r')
            end++;
        if (to->ended || end + 1 < to->bytes.size) break;
        if (end < to->bytes.size && to->bytes.at[end] == '\n') break;
    }
    to->line_end = '\n';
    if (end < to->bytes.size && to->bytes.at[end] == '\r' &&
        (end + 1 == to->bytes.size || to->bytes.at[end + 1] != '\n'))
        to->line_end = '\r';
}

/* Opens the table, and takes its header where the model's table had one. */
static void open_stream(stream *to, const arguments *args, const nn_model *model)
{
    const char *recipe = nn_metadata(model, "recipe"), *path = args->paths[1];
    row line = {{NULL, 0, 0}, 0};

    memset(to, 0, sizeof *to);
    if (!read_row(&line, &recipe) || line.count < 5)
        say(WRONG_DATA, no_recipe, args->paths[0]);
    to->path = strcmp(path, "-") == 0 ? "standard input" : path;
    to->file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (!to->file) say(WRONG_DATA, "%s: %s", path, nn_status_text(NN_ERROR_OPEN));
    to->comment = args->given[OPTION_COMMENT] ? args->given[OPTION_COMMENT] : "";
    to->delimiter = delimiter_of(args);
    to->line = 1;
    if (!to->delimiter) to->delimiter = *next_cell(next_cell(next_cell(line.cells.at)));
    begin_text(to);
    if (strcmp(next_cell(next_cell(line.cells.at)), "header") == 0) take_header(to);
    free(line.cells.at);
}

/* Compares the header with the model, also where no row follows it: a row in its place would be
   lost without a word. */
static void check_header(const stream *from, nn_csv_options *csv)
{
    nn_location at;
    nn_data data;
    nn_status status;

    if (!from->header.size) return;
    memset(&at, 0, sizeof at);
    csv->location = &at;
    status = nn_parse_csv(&data, from->header.at, from->header.size, csv);
    csv->location = NULL; /* at ends here */
    if (status == NN_ERROR_CSV_EMPTY) return;
    check(status, from->path, &at);
    nn_data_free(&data);
}

static int verb_predict(const arguments *args)
{
    row_start *starts = (row_start *)allocate(BLOCK_ROWS + 1, sizeof *starts);
    nn_model *model = load_model(args->paths[0]);
    text empty = {NULL, 0, 0};
    nn_csv_options csv;
    stream from;
    int count, begin, end;

    open_stream(&from, args, model);
    set_csv_options(&csv, args, model);
    csv.target = NN_NO_TARGET;
    check_header(&from, &csv);
    print_header(model, nn_outputs(model), &empty);
    while ((count = take_rows(&from, starts)) > 0) {
        for (begin = end = 0; end < count; end++) {
            if (!is_hollow(&from, &starts[end])) continue;
            predict_block(model, &from, starts, begin, end, &csv, &empty);
            (void)fwrite(empty.at, 1, empty.size, stdout);
            begin = end + 1;
        }
        predict_block(model, &from, starts, begin, count, &csv, &empty);
        if (fflush(stdout) != 0) say(WRONG_DATA, "standard output: the file cannot be written");
        from.line = starts[count].line;
        use_bytes(&from, starts[count].at);
    }
    report_reading(&from.totals, from.path);
    if (from.failures) say(GO_ON, "%s: %d rows could not be read", from.path, from.failures);
    if (from.file != stdin) (void)fclose(from.file);
    free(from.bytes.at);
    free(from.header.at);
    free(empty.at);
    free(starts);
    nn_model_free(model);
    return from.failures ? WRONG_DATA : 0;
}

/* ---- nn info --------------------------------------------------------------------------------- */

/* 64-bit FNV-1a (Fowler, Noll and Vo) of the parameters as little-endian floats. */
static uint64_t hash_of(nn_model *model)
{
    const nn_real *parameters = nn_parameters(model);
    const size_t count = nn_parameter_count(model);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    uint32_t bits;
    size_t i;
    int k;

    for (i = 0; i < count; i++) {
        memcpy(&bits, &parameters[i], sizeof bits);
        for (k = 0; k < 32; k += 8) {
            hash ^= bits >> k & 255;
            hash *= UINT64_C(0x100000001b3);
        }
    }
    return hash;
}

static void print_layers(const nn_model *model)
{
    static const char *const names[] = {"linear",  "relu", "leaky_relu", "sigmoid", "tanh",
                                        "softmax", "elu",  "silu",       "gelu",    "softplus"};
    nn_shape shape;
    int i;

    check(nn_get_shape(model, &shape), "the model", NULL);
    printf("layers     %d inputs", shape.inputs);
    for (i = 0; i < shape.count; i++) {
        const nn_layer *at = &shape.layers[i];

        printf(" -> ");
        switch (at->kind) {
        case NN_LAYER_DENSE: printf("%d %s", at->width, names[at->activation]); break;
        case NN_LAYER_IMAGE: printf("image %dx%dx%d", at->height, at->width, at->channels); break;
        case NN_LAYER_GLOBAL_AVERAGE: printf("global average"); break;
        case NN_LAYER_CONVOLUTION:
            printf("convolution %d %dx%d%s %s", at->channels, at->height, at->width,
                   at->padding == NN_PADDING_SAME ? " padded" : "", names[at->activation]);
            break;
        default:
            printf("%s pool %dx%d", at->kind == NN_LAYER_MAX_POOL ? "max" : "average", at->height,
                   at->width);
        }
        if (at->kind == NN_LAYER_CONVOLUTION && (at->stride_height > 1 || at->stride_width > 1))
            printf(" stride %dx%d", at->stride_height ? at->stride_height : 1,
                   at->stride_width ? at->stride_width : 1);
        if (at->kind == NN_LAYER_MAX_POOL || at->kind == NN_LAYER_AVERAGE_POOL)
            printf(" stride %dx%d", at->stride_height ? at->stride_height : at->height,
                   at->stride_width ? at->stride_width : at->width);
    }
    printf("\nparameters %lu\n", (unsigned long)nn_parameter_count(model));
}

/* Prints the scaling, which a model file lists as decimal numbers: what the model subtracts from
   its inputs and then divides them by, what it multiplies its outputs by and then adds. */
static void print_scaling(const nn_model *model)
{
    static const char *const keys[][2] = {{"inputs -", "\"nn.input_offset\":\""},
                                          {"inputs /", "\"nn.input_scale\":\""},
                                          {"outputs *", "\"nn.target_scale\":\""},
                                          {"outputs +", "\"nn.target_offset\":\""}};
    const char *found;
    size_t size;
    char *bytes;
    int i;

    check(nn_save_memory(model, NULL, 0, &size), "the model", NULL);
    bytes = (char *)allocate(size + 1, 1);
    check(nn_save_memory(model, bytes, size, &size), "the model", NULL);
    for (i = 0; i < 4; i++) { /* the header begins behind eight bytes and has no 0 */
        found = strstr(bytes + 8, keys[i][1]);
        if (!found) continue;
        found += strlen(keys[i][1]);
        printf("%-11s%.*s\n", keys[i][0], (int)strcspn(found, "\""), found);
    }
    free(bytes);
}

static void info_of_model(const char *path)
{
    static const char *const keys[][2] = {
        {"command", "training.command"}, {"training", "training"}, {"result", "training.result"}};
    nn_model *model = load_model(path);
    const char *recipe = nn_metadata(model, "recipe"), *value;
    int i;

    printf("model      %s\n", path);
    print_layers(model);
    printf("hash       %016llx\n", (unsigned long long)hash_of(model));
    for (i = 0; i < 3; i++)
        if ((value = nn_metadata(model, keys[i][1])) != NULL)
            printf("%-11s%s%s\n", keys[i][0], i == 0 ? "nn " : "", value);
    if (recipe) print_recipe(recipe);
    for (i = 0; !recipe && nn_input_name(model, i); i++)
        printf("input      %s\n", nn_input_name(model, i));
    for (i = 0; !recipe && nn_class_name(model, i); i++)
        printf("class      %s\n", nn_class_name(model, i));
    print_scaling(model);
    nn_model_free(model);
}

/* Prints the first rows as the network gets them. */
static void print_rows(const nn_data *data)
{
    text line = {NULL, 0, 0};
    size_t i, k;

    printf("first rows, as the network gets them before scaling\n");
    for (i = 0; i < 5 && i < (size_t)data->rows; i++) {
        line.size = 0;
        for (k = 0; k < (size_t)data->inputs; k++) {
            put(&line, " ");
            put_number(&line, data->x[i * (size_t)data->inputs + k]);
        }
        if (data->labels || data->y) put(&line, " ->");
        if (data->labels) put(&line, " "), put(&line, data->class_names[data->labels[i]]);
        for (k = 0; data->y && k < (size_t)data->outputs; k++) {
            put(&line, " ");
            put_number(&line, data->y[i * (size_t)data->outputs + k]);
        }
        printf("   %s\n", line.at);
    }
    free(line.at);
}

static void info_of_table(const arguments *args)
{
    nn_data data;

    read_training_table(&data, args);
    printf("table      %s\n", args->paths[0]);
    printf("rows       %d", data.rows);
    if (data.dropped) printf(", and %d left out", data.dropped);
    if (data.imputed) printf(", %d missing cells filled in", data.imputed);
    printf("\ninputs     %d of the network\n", data.inputs);
    print_recipe(data.recipe);
    print_rows(&data);
    nn_data_free(&data);
}

/* A model is a safetensors file: eight bytes of length, of which the last are 0, then a brace. */
static int verb_info(const arguments *args)
{
    char begin[9] = "";
    FILE *file = strcmp(args->paths[0], "-") == 0 ? NULL : fopen(args->paths[0], "rb");
    const int is_model =
        file && fread(begin, 1, 9, file) == 9 && !begin[6] && !begin[7] && begin[8] == '{';
    int i;

    if (file) (void)fclose(file);
    if (!is_model) {
        info_of_table(args);
        return 0;
    }
    for (i = 0; i < OPTION_COUNT; i++)
        if (args->given[i]) say(WRONG_USE, "%s is of no use with a model", options[i].name);
    info_of_model(args->paths[0]);
    return 0;
}

/* ---- nn export ------------------------------------------------------------------------------- */

/* Writes the model in the chosen form to memory; with NULL for to it only sets *size. */
static nn_status export_to(const nn_model *model, const arguments *args, char *to, size_t capacity,
                           size_t *size)
{
    nn_export_options how;

    memset(&how, 0, sizeof how);
    how.name = args->given[OPTION_NAME];
    how.int8 = args->given[OPTION_INT8] != NULL;
    how.class_names = nn_class_name(model, 0) != NULL;
    if (args->given[OPTION_ONNX]) return nn_export_onnx_memory(model, to, capacity, size);
    return nn_export_c_memory(model, &how, to, capacity, size);
}

static int verb_export(const arguments *args)
{
    const int c_source = args->given[OPTION_C_SOURCE] || args->given[OPTION_INT8];
    const char *path = args->given[OPTION_OUTPUT] ? args->given[OPTION_OUTPUT] : "standard output";
    nn_model *model;
    nn_status status;
    size_t size;
    char *bytes;
    FILE *file;
    int failed;

    if (c_source + (args->given[OPTION_ONNX] != NULL) != 1)
        say(WRONG_USE, "nn export needs exactly one of --c, --int8, --onnx");
    if (args->given[OPTION_NAME] && !c_source) say(WRONG_USE, "--name is of no use with --onnx");
    model = load_model(args->paths[0]);
    status = export_to(model, args, NULL, 0, &size);
    if (status == NN_ERROR_OPTION)
        say(WRONG_USE, "--name: '%s' cannot name a C function", args->given[OPTION_NAME]);
    check(status, args->paths[0], NULL);
    bytes = (char *)allocate(size, 1);
    check(export_to(model, args, bytes, size, &size), args->paths[0], NULL);
    file = args->given[OPTION_OUTPUT] ? fopen(path, "wb") : stdout;
    if (!file) say(WRONG_DATA, "%s: %s", path, nn_status_text(NN_ERROR_OPEN));
    failed = fwrite(bytes, 1, size, file) != size;
    failed |= (file == stdout ? fflush(file) : fclose(file)) != 0;
    if (failed) say(WRONG_DATA, "%s: %s", path, nn_status_text(NN_ERROR_WRITE));
    free(bytes);
    nn_model_free(model);
    return 0;
}

/* ---- The program ----------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    arguments args;
    int verb, i, code = 0;

#if defined(_WIN32)
    _setmode(0, _O_BINARY); /* the same bytes as elsewhere */
    _setmode(1, _O_BINARY);
#endif
    memset(&args, 0, sizeof args);
    if (argc < 2) {
        fputs(general_help, stderr);
        return WRONG_USE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        fputs(general_help, stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) return puts("nn " NN_VERSION) < 0;
    for (verb = 0; verb < VERBS && strcmp(verb_names[verb], argv[1]) != 0; verb++) continue;
    if (verb == VERBS) say(WRONG_USE, "there is no verb '%s'; see nn --help", argv[1]);
    for (i = 2; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help_texts[verb], stdout);
            return 0;
        }
    args.verb = 1u << verb;
    read_arguments(&args, argc, argv);
    set_threads(&args);
    switch (args.verb) {
    case TRAIN: code = verb_train(&args, argc, argv); break;
    case EVALUATE: code = verb_evaluate(&args); break;
    case PREDICT: code = verb_predict(&args); break;
    case TUNE: code = verb_tune(&args); break;
    case INFO: code = verb_info(&args); break;
    case EXPORT: code = verb_export(&args); break;
    }
    if (fflush(stdout) != 0 || ferror(stdout))
        say(WRONG_DATA, "standard output: %s", nn_status_text(NN_ERROR_WRITE));
    return code;
}
