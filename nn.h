/* nn.h - neural network training in one header, C99 and C++11, no dependencies - MIT licence

   Dense networks for small and medium problems: train, evaluate, tune, save, reload, predict. The
   same seed, data and options give the same weights, to the last bit, on every machine.

   Contents: search for these tags.

       >>doc          this page
       >>config       NN_DEF, NN_STATIC, NN_REAL, version
       >>api          every public type and function; users stop reading at its end
       >>sizes        the private structs, and what NN_MODEL_SIZE and its like are made of
       >>platform     the C library's functions, replaceable; tables; statuses; memory blocks; files
       >>math         exp, tanh, sigmoid, log1p, expm1, erf, cosine; the random generator
       >>product      products of matrices: tiles, panels, packing, threads, OpenBLAS
       >>activation   ReLU, sigmoid, tanh, GELU, softmax ...: each with its derivative
       >>dense        the dense layer: forward, weight gradient, input gradient
       >>optimizer    SGD, Adam, RMSprop; learning-rate schedules; clipping
       >>simd         the primitives of each instruction set: >>avx512, >>avx2, >>neon, >>wasm
       >>dispatch     the choice among the back-ends
       >>model        layers, parameters, initialisation, memory layout, predicting
       >>loss         each loss with its gradient
       >>data         checks, order of rows, scaling, stratified splits
       >>trainer      forward, backward, update; nn_fit: epochs, early stopping, dropout, callbacks
       >>metrics      accuracy, precision, recall, F1, ROC AUC, errors; cross-validation
       >>csv >>idx    reading tables and images
       >>safetensors  models and checkpoints as files; opening a file in place
       >>export       weights as int8; a model as C source

   ================================================================================================
   >>doc
   ================================================================================================

   QUICK START. In one source file of the program:

       #define NN_IMPLEMENTATION
       #include "nn.h"

   and in the others only the #include. Compile with any C99 or C++11 compiler. Link the C library's
   mathematics where it is separate (-lm). No flag is needed, but -O2 makes it fast: kernels for the
   processor's vector registers are compiled without -march, and the best ones are chosen when a
   model is made. (WebAssembly needs -msimd128 for them and, because it has no fused multiply-add,
   NN_NO_FMA.) No optimisation flag changes a result.

       const nn_layer layers[] = {NN_DENSE(8, NN_RELU), NN_DENSE(1, NN_SIGMOID)};
       nn_options how = {0};                              // in C++: = {}
       nn_data data, train, test;
       nn_metrics result;
       nn_model *model;

       nn_read_csv(&data, "iris2.csv", NULL);             // the last column is the target
       nn_split(&data, 0.8f, 1, &train, &test);           // 80 % to train on, seed 1
       nn_model_create(&model, data.inputs, layers, 2, 1); // 2 layers, seed 1
       how.loss = NN_BINARY_CROSS_ENTROPY;
       how.optimizer = NN_ADAM;
       how.learning_rate = 0.01f;
       how.scaling = NN_SCALE_STANDARD;
       nn_fit(model, &train, &how);
       nn_evaluate(model, &test, &how, &result);          // result.accuracy, ...
       nn_save(model, "iris2.safetensors");
       nn_model_free(model);

   A real program checks the status that each function returns.

   DEFAULTS. An option that is 0 has its default: 100 epochs, batches of 32 rows, mean squared
   error, SGD with a learning rate of 1e-2 (Adam 1e-3, RMSprop 1e-2), no scaling, no validation.

   LEVELS. Each level uses only what is below it. Any level may be used alone:

       loop    nn_fit, nn_trainer_fit           epochs, shuffling, validation, early stopping
       batch   nn_train_batch, nn_accumulate    one update; a gradient without the update
       step    nn_forward, nn_backward, nn_update     any loss, reinforcement learning, GANs
       arrays  nn_parameters, nn_gradients      averaging, evolution, sums over processes

   OBJECTS. An nn_model is what is deployed: the layers, the parameters, the input scaling. An
   nn_trainer is what is thrown away after training: gradients, optimizer state, activations of one
   batch, the random generator, the count of updates. Everything else is a plain struct in which 0
   means the default.

   ERRORS. Every function that can fail returns an nn_status: NN_OK, or the reason. After a failure
   nothing has changed and nothing leaks; outputs are NULL or zero. There is one exception: after
   NN_ERROR_DIVERGED the model has its last finite weights. The library never prints, exits, aborts,
   or touches global state. NN_ASSERT checks the library's own invariants, never input. It is
   assert, or nothing under NN_NO_STDIO.

   MEMORY. nn_model_create and nn_trainer_create allocate one block each. nn_model_create_in and
   nn_trainer_create_in use the caller's block instead. The block has exactly nn_model_size or
   nn_trainer_size bytes and may begin at any address; NN_MODEL_SIZE and NN_TRAINER_SIZE give the
   same numbers as constants. No step, batch, epoch or prediction allocates anything. Functions that
   read files, divide data or evaluate allocate what they need; their comments say so. The vector
   kernels use up to 50 kB of stack.

   MICROCONTROLLERS. With NN_NO_STDIO and NN_NO_MALLOC the library needs only memcpy, memset,
   strlen, sqrtf and fmaf. Training computes in nn_real and never in double, with one exception: a
   processor without the fma instruction computes each fused multiply-add in double. NN_NO_FMA
   avoids that; it is required where double has 32 bits (AVR). Nothing is recursive, and int may
   have 16 bits. NN_STATIC lets the compiler leave out functions that are not called.
   NN_ONLY_ACTIVATIONS, NN_ONLY_LOSSES and NN_ONLY_OPTIMIZERS leave out operations. micro_batch_size
   1 keeps the activations of one row at a time. For predicting alone, nn_model_open_in leaves a
   file's weights in flash (on AVR with NN_READ_BYTE), and nn_export_c writes a model as a C file
   that needs no header.

   THREADS. There is no global state. Any number of threads may predict with one model at the same
   time, each with scratch memory of its own. Two things need one thread at a time: a call with NULL
   for scratch, and everything that writes to a model or a trainer. Compiled with OpenMP (-fopenmp),
   large products of the vector kernels and large updates are divided among its threads by outputs,
   so that any number of threads gives the same result. Small nets use one thread. Waiting threads
   spin: on a busy machine set OMP_WAIT_POLICY=passive.

   REPRODUCIBLE RESULTS. Weights, outputs, losses and files are the same to the last bit with every
   compiler, optimisation level, operating system, byte order, set of vector instructions and number
   of threads, because every result is a fixed sequence of IEEE operations. Sums have a fixed order:
   vectors and threads divide the outputs, never a sum. Every multiply-add is an explicit fused
   multiply-add. exp, tanh, sigmoid, log1p, expm1, erf and cosine are computed here, not by the C
   library. NN_NO_FMA and NN_DOUBLE give different, equally reproducible results. A NaN may have any
   sign. Not reproducible:
     - products of NN_OPENBLAS_WORK multiply-adds or more under NN_USE_OPENBLAS;
     - -ffast-math, which is refused unless NN_ALLOW_FAST_MATH is defined, and its parts, of which
       clang does not announce all (-freciprocal-math, -fassociative-math,
       -funsafe-math-optimizations);
     - x87 arithmetic (FLT_EVAL_METHOD other than 0): use -msse2 -mfpmath=sse;
     - denormal numbers flushed to zero, or another rounding mode;
     - under NN_DOUBLE, a C library whose fma is not exact;
     - the times in nn_progress.

   FILES. nn_save writes a safetensors file, which PyTorch's load_state_dict takes.
   nn_load_parameters reads what PyTorch writes. Files are never trusted: any byte may be wrong.
   Headers of more than 2 MB or 2,048 tensors are refused. The checksum is a CRC-32: it finds
   damage, not forgery. nn_export_c writes C source: the model as one function, for machines that
   only predict.

   SWITCHES. Define them before the #include, and the same ones wherever the header is included:

       NN_IMPLEMENTATION   in one file: the functions' bodies
       NN_STATIC           the functions are static: private to the file
       NN_NO_STDIO         no files, no FILE, no clock
       NN_NO_MALLOC        no heap: only the caller's blocks; no nn_model_create, no nn_export_c,
                           nothing that reads data
       NN_NO_TRAIN         predicting and loading models only: no training, data, metrics, saving
       NN_NO_SIMD          the scalar kernels only: no function pointers, no look at the processor
       NN_USE_OPENBLAS     OpenBLAS computes large products of more than one row (link it), where
                           there are vector kernels
       NN_OPENBLAS_WORK    from this many multiply-adds on: 1e8
       NN_BACKEND          an expression that names the set of kernels to use, for tests: >>platform
       NN_NO_FMA           for machines without fused multiply-add: multiply, then add, each rounded
                           (clang must not be told -ffp-contract=fast)
       NN_DOUBLE           double instead of float everywhere
       NN_ALLOW_FAST_MATH  compile under -ffast-math all the same
       NN_DEF              how public functions are declared, instead of extern
       NN_PREDICT_ROWS     rows that are predicted at a time: 32, without a heap 1
       NN_ALIGNMENT        arrays begin at multiples of it: 64, without a heap as types need it
       NN_ONLY_ACTIVATIONS, NN_ONLY_LOSSES, NN_ONLY_OPTIMIZERS
                           the operations that are compiled in: (1u << NN_RELU | 1u << NN_SIGMOID)

   Functions of the C library that can be replaced, all in >>platform: NN_MALLOC with NN_FREE,
   NN_ASSERT, NN_FMA, NN_SQRT, NN_READ_BYTE, NN_TIME, NN_FOPEN, NN_FREAD, NN_FWRITE, NN_FERROR,
   NN_FFLUSH, NN_FCLOSE, NN_RENAME, NN_REMOVE.

   LIMITS. Dense layers only; counts of rows and widths are int. The largest error of the functions
   in >>math is 2 ulp (units in the last place). Denormal numbers work. x86-64 processors without
   fma (before 2013) compute the same bits, much slower; NN_NO_FMA is faster there.
*/

/* ================================================================================================
   >>config
   ============================================================================================= */

#ifndef NN_H
#define NN_H

#include <stddef.h>
#include <stdint.h>

#define NN_VERSION "0.1.0"

/* How the public functions are declared: NN_STATIC makes them private to the file that includes. */
#ifndef NN_DEF
#ifdef NN_STATIC
#if defined(__GNUC__) || defined(__clang__)
#define NN_DEF static __attribute__((unused))
#else
#define NN_DEF static
#endif
#else
#define NN_DEF extern
#endif
#endif

/* The type of every weight, input and output: float, or double under NN_DOUBLE. */
#ifdef NN_DOUBLE
#define NN_REAL double
#else
#define NN_REAL float
#endif

/* Which vector instructions the compiler can be asked for, flags or none: x86-64's are compiled by
   a target attribute for each function and chosen at run time; the others come with the target. */
#ifndef NN_NO_SIMD
#if (defined(__x86_64__) && !defined(_MSC_VER) &&                                                  \
     (defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 8))) ||                              \
    (defined(_M_X64) && defined(_MSC_VER) && _MSC_VER >= 1920 && !defined(__clang__) &&            \
     !defined(_M_ARM64EC))
#define NN__SIMD
#define NN__X86
#elif (defined(__aarch64__) && defined(__ARM_NEON) && !defined(__AARCH64EB__)) || defined(_M_ARM64)
#define NN__SIMD
#define NN__NEON
#elif defined(__wasm_simd128__) && defined(NN_NO_FMA)
#define NN__SIMD
#define NN__WASM
#endif
#endif

/* Rows that are predicted at a time: more cost scratch memory, fewer cost speed. */
#ifndef NN_PREDICT_ROWS
#ifdef NN_NO_MALLOC
#define NN_PREDICT_ROWS 1
#else
#define NN_PREDICT_ROWS 32
#endif
#endif

/* Arrays begin at multiples of this within a block, a power of two of at least sizeof(nn_real): a
   cache line, or no more than needed where memory is scarce. */
#ifndef NN_ALIGNMENT
#ifdef NN_NO_MALLOC
#define NN_ALIGNMENT sizeof(nn_real)
#else
#define NN_ALIGNMENT 64
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef NN_REAL nn_real;

/* ================================================================================================
   >>api
   ------------------------------------------------------------------------------------------------
   Every function that can fail returns an nn_status. After a failure its outputs are NULL or zero,
   and what existed before is unchanged; only NN_ERROR_DIVERGED leaves a change, the last finite
   weights. Matrices are row-major: [rows x inputs] means rows * inputs numbers, one row after the
   other. An option that is 0 has its default.
   ============================================================================================= */

/* ---- Status ---------------------------------------------------------------------------------- */

typedef enum nn_status {
    NN_OK = 0,
    NN_ERROR_NULL,       /* a required pointer is NULL */
    NN_ERROR_SIZE,       /* a count or width is zero or negative, or there are too few rows */
    NN_ERROR_OVERFLOW,   /* sizes too large for memory, or for a model file's header */
    NN_ERROR_MEMORY,     /* an allocation failed */
    NN_ERROR_BLOCK,      /* the caller's memory is too small, or scratch is not aligned */
    NN_ERROR_OPTION,     /* an option is outside its range */
    NN_ERROR_LAYER,      /* no such kind of layer: was the nn_layer zeroed first? */
    NN_ERROR_ACTIVATION, /* no such activation, or softmax before the last layer */
    NN_ERROR_LOSS,       /* no such loss, or the last activation does not fit it */
    NN_ERROR_SHAPE,      /* the data's inputs or outputs are not the model's */
    NN_ERROR_BATCH,      /* more rows than the batch holds, or fewer than one batch in all */
    NN_ERROR_STATE,      /* called out of order: nn_backward before nn_forward */
    NN_ERROR_READ_ONLY,  /* the model was opened over a file and has no parameters of its own */
    NN_ERROR_DATA,       /* NaN or infinity in the inputs or targets */
    NN_ERROR_TARGET,     /* a target outside [0, 1] for a cross-entropy */
    NN_ERROR_LABEL,      /* a label outside the classes, or fewer than two classes */
    NN_ERROR_WEIGHT,     /* a row weight that is negative or not finite, or none that is positive */
    NN_ERROR_DIVERGED,   /* the loss or a parameter became NaN or infinite; training stopped */
    NN_ERROR_OPEN,       /* the file cannot be opened */
    NN_ERROR_READ,       /* the file cannot be read; it may be a folder */
    NN_ERROR_WRITE,      /* the file cannot be written whole; the old one is intact */
    NN_ERROR_CSV_EMPTY,  /* no row of data */
    NN_ERROR_CSV_CELLS,  /* a row with too few or too many cells */
    NN_ERROR_CSV_NUMBER, /* a cell that is empty or not a finite number */
    NN_ERROR_CSV_QUOTE,  /* a quote that does not end, or stands where none may */
    NN_ERROR_CSV_TARGET, /* no column has the target's name */
    NN_ERROR_IDX_MAGIC,  /* not an IDX file of unsigned bytes */
    NN_ERROR_IDX_SIZE,   /* an IDX file shorter or longer than its header says, or counts differ */
    NN_ERROR_TRUNCATED,  /* a model file shorter or longer than its header says */
    NN_ERROR_HEADER,     /* a model file whose header is not a safetensors header */
    NN_ERROR_METADATA,   /* a model file without nn.h's metadata, or with metadata it cannot read */
    NN_ERROR_TENSOR,     /* a tensor is missing, there twice, of another shape or of another type */
    NN_ERROR_CHECKSUM,   /* a model file whose bytes are not the ones that were saved */
    NN_ERROR_PARAMETER,  /* a model file with a parameter that is NaN or infinite */
    NN_STATUS_COUNT
} nn_status;

/* A sentence in English for a status, never NULL; the string is constant. */
NN_DEF const char *nn_status_text(nn_status status);

/* Where in a file something failed. Fields that do not apply are 0 or "". When the file cannot be
   opened, only path is set. */
typedef struct nn_location {
    const char *path; /* the path as the caller gave it, NULL for memory */
    long line;        /* CSV: line of the file where the row begins, from 1 */
    long column;      /* CSV: cell of the line, from 1 */
    char name[64];    /* CSV: the cell's text; model files: the tensor's name. Cut to fit. */
} nn_location;

/* ---- Model ----------------------------------------------------------------------------------- */

typedef enum nn_activation {
    NN_LINEAR = 0,
    NN_RELU,
    NN_LEAKY_RELU, /* z where z > 0, else 0.01 z */
    NN_SIGMOID,
    NN_TANH,
    NN_SOFTMAX,  /* last layer only */
    NN_ELU,      /* z where z > 0, else exp(z) - 1 */
    NN_SILU,     /* z sigmoid(z) */
    NN_GELU,     /* z (1 + erf(z / sqrt 2)) / 2 */
    NN_SOFTPLUS, /* log(1 + exp(z)) */
    NN_ACTIVATION_COUNT
} nn_activation;

typedef enum nn_layer_kind {
    NN_LAYER_DENSE = 0 /* y = activation(x * W + b) */
} nn_layer_kind;

/* One layer of a shape. Write it with the macro of its kind, or zero the struct and set its fields:

       const nn_layer layers[] = {NN_DENSE(8, NN_RELU), NN_DENSE(1, NN_SIGMOID)}; */
typedef struct nn_layer {
    nn_layer_kind kind;
    nn_activation activation;
    int width; /* outputs, >= 1 */
} nn_layer;

/* clang-format off */
/* A dense layer of `width` outputs. */
#define NN_DENSE(width, activation) {NN_LAYER_DENSE, activation, width}
/* clang-format on */

typedef struct nn_shape {
    int inputs;             /* >= 1 */
    const nn_layer *layers; /* [count], from the first hidden layer to the output layer */
    int count;              /* >= 1 */
} nn_shape;

/* The layers, the parameters, the input scaling. Predicting with scratch memory of your own never
   writes to a model. */
typedef struct nn_model nn_model;

#ifndef NN_NO_MALLOC
/* Makes a model on the heap; nn_model_free frees it. nn_initialize draws its weights from the
   seed. */
NN_DEF nn_status nn_model_create(nn_model **model, int inputs, const nn_layer *layers, int count,
                                 uint64_t seed);
#endif

/* The bytes that nn_model_create_in needs; NN_MODEL_SIZE is the same at compile time. 0 when the
   shape is not valid or the bytes do not fit a size_t. */
NN_DEF size_t nn_model_size(const nn_shape *shape);

/* nn_model_create in the caller's memory of `size` bytes, which may begin at any address. It needs
   no heap. The caller frees the memory after the model's last use. */
NN_DEF nn_status nn_model_create_in(nn_model **model, void *memory, size_t size,
                                    const nn_shape *shape, uint64_t seed);

/* Frees a model; NULL is allowed. A model in the caller's memory is left alone. */
NN_DEF void nn_model_free(nn_model *model);

/* How initial weights are drawn: uniform in [-bound, bound), biases zero. fan_in is the number of a
   layer's inputs, fan_out of its outputs. */
typedef enum nn_initialization {
    NN_INITIALIZE_DEFAULT = 0, /* He before ReLU and leaky ReLU, Glorot before all others */
    NN_INITIALIZE_HE,          /* bound sqrt(6 / fan_in) (He et al. 2015) */
    NN_INITIALIZE_GLOROT,      /* bound sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010) */
    NN_INITIALIZE_LECUN        /* bound sqrt(3 / fan_in) (LeCun et al. 1998) */
} nn_initialization;

/* Draws new parameters. nn_model_create does it with NN_INITIALIZE_DEFAULT. */
NN_DEF nn_status nn_initialize(nn_model *model, nn_initialization scheme, uint64_t seed);

/* Fills *shape with what the model was made of; shape->layers points into the model. */
NN_DEF nn_status nn_get_shape(const nn_model *model, nn_shape *shape);

/* The kernels in use: "avx512", "avx2", "neon", "wasm" or "scalar". "+openblas" follows where
   OpenBLAS computes large products. NULL for a NULL model. */
NN_DEF const char *nn_backend(const nn_model *model);

/* All parameters as one array: for each layer its weights [inputs x width], then its biases
   [width]. They may be changed. nn_parameters is NULL for a NULL model and for one that
   nn_model_open_in made; nn_parameter_count is 0 for a NULL model. */
NN_DEF nn_real *nn_parameters(nn_model *model);
NN_DEF size_t nn_parameter_count(const nn_model *model);

/* The parameters of one layer: y = activation(x * weights + biases). */
typedef struct nn_layer_arrays {
    int inputs, outputs;
    nn_real *weights; /* [inputs x outputs] */
    nn_real *biases;  /* [outputs] */
} nn_layer_arrays;

/* Fills *arrays with where the parameters of layer number `layer`, counted from 0, are. The arrays
   stay the model's; they may be changed. NN_ERROR_SIZE when there is no such layer. */
NN_DEF nn_status nn_layer_parameters(nn_model *model, int layer, nn_layer_arrays *arrays);

#ifndef NN_NO_MALLOC
/* Makes *copy on the heap: the same layers, parameters and scaling. nn_model_free frees it. */
NN_DEF nn_status nn_model_copy(nn_model **copy, const nn_model *model);
#endif

/* y[rows x outputs] = model(x[rows x inputs]). x and y must not overlap. x is not yet scaled: the
   model scales a copy of it. With NULL for scratch, the model's own scratch memory is used, by one
   thread at a time. Several threads may predict with one model when each passes nn_scratch_size
   bytes of its own, aligned as malloc aligns. NN_ERROR_DATA when x is not finite; y is then
   unchanged. */
NN_DEF nn_status nn_predict(const nn_model *model, const nn_real *x, int rows, nn_real *y,
                            void *scratch);

/* Gives the class of each row in classes[rows]: the number of its largest output, counted from 0
   (the first of equal ones); with one output, 1 where that is at least 1/2 and 0 elsewhere. The
   rest is as in nn_predict. */
NN_DEF nn_status nn_predict_classes(const nn_model *model, const nn_real *x, int rows, int *classes,
                                    void *scratch);

/* The bytes of scratch memory for predicting up to `rows` rows. The size stops growing at
   NN_PREDICT_ROWS. 0 when the arguments are not valid. */
NN_DEF size_t nn_scratch_size(const nn_model *model, int rows);

/* ---- Data ------------------------------------------------------------------------------------ */

/* Rows to train on or to measure on. Fill the struct from arrays of your own, or read a file. */
typedef struct nn_data {
    int rows, inputs, outputs;
    int classes;      /* 0: regression. 2 with 1 output, or one one-hot output for each class */
    const nn_real *x; /* [rows x inputs] */
    const nn_real *y; /* [rows x outputs] */
    const nn_real *weight; /* [rows] the row's weight in its batch's mean loss, >= 0; NULL means 1.
                              A row of weight 0 is left out. */
    const char *const *class_names; /* [classes], or NULL */
    int dropped;  /* rows that nn_read_csv left out because drop_bad_rows was set */
    void *memory; /* what nn_data_free frees; NULL for the caller's arrays */
} nn_data;

typedef enum nn_scaling {
    NN_SCALE_NONE = 0,
    NN_SCALE_STANDARD, /* (x - mean) / standard deviation (of the population) */
    NN_SCALE_MIN_MAX   /* (x - min) / (max - min), in [0, 1] on the data it was fitted to */
} nn_scaling;

#ifndef NN_NO_TRAIN

/* Computes the input scaling from data and stores it in the model. From then on the model applies
   it to every input that it is given. Use the training rows only. A constant column is only
   shifted. NN_SCALE_NONE removes the scaling; data may then be NULL. NN_ERROR_DATA when an input is
   not finite or 4 rows * (largest |x|)^2 overflows. */
NN_DEF nn_status nn_fit_scaling(nn_model *model, const nn_data *data, nn_scaling scaling);

#ifndef NN_NO_MALLOC

/* Shuffles the rows by the seed and copies them into two new data sets. *train gets train_fraction,
   in (0, 1), of the rows, rounded; *test gets the others. When data->classes is set the split is
   stratified: each class is divided in the same proportion. NN_ERROR_SIZE when a set would be
   empty. nn_data_free frees both. */
NN_DEF nn_status nn_split(const nn_data *data, nn_real train_fraction, uint64_t seed,
                          nn_data *train, nn_data *test);

/* One fold of a cross-validation. */
typedef struct nn_fold {
    int folds; /* how many there are: 2 to the number of rows */
    int fold;  /* which one, from 0 */
    uint64_t seed;
} nn_fold;

/* *test gets the rows of the fold, *train all others, stratified as in nn_split. The folds of one
   seed have no row in common and cover the data. */
NN_DEF nn_status nn_split_fold(const nn_data *data, const nn_fold *fold, nn_data *train,
                               nn_data *test);

/* Frees what nn_split and the readers allocated, and zeroes *data; NULL is allowed. */
NN_DEF void nn_data_free(nn_data *data);

typedef enum nn_csv_header {
    NN_CSV_HEADER_AUTO = 0, /* the first row is a header when none of its input cells is a number */
    NN_CSV_HEADER_YES,
    NN_CSV_HEADER_NO
} nn_csv_header;

/* How to read a CSV file (RFC 4180: quoted cells, "" for a quote, LF or CRLF). */
typedef struct nn_csv_options {
    char delimiter; /* 0 means ',' */
    char comment;   /* lines that begin with it are skipped; 0 means none are */
    nn_csv_header header;
    int targets; /* number of target columns; 0 means 1 */
    const char *const
        *target_names; /* [targets] their names in the header; NULL: the last columns */
    int labels;        /* 1: the one target is a class, even where its cells are numbers */
    int classes;       /* with class_names: how many there are */
    const char *const *class_names; /* [classes] the classes and their order, for example those of
                                       another data set; NULL: the classes that are found */
    int drop_bad_rows;     /* 1: rows with an empty or non-numeric cell are left out and counted */
    nn_location *location; /* receives the place of a failure; may be NULL */
} nn_csv_options;

/* Reads a table from CSV text[length]. Inputs are numbers. The target is a number, or a class where
   its column is text. Classes that are found (at most 4,096) are sorted, numbers by value, text by
   its bytes. Two classes become one output, 0 or 1; more become one-hot outputs. Spaces around
   unquoted cells are ignored. Numbers are read to the nearest nn_real, whatever the C locale.
   options may be NULL. nn_data_free frees *data. */
NN_DEF nn_status nn_parse_csv(nn_data *data, const char *text, size_t length,
                              const nn_csv_options *options);

#ifndef NN_NO_STDIO
/* The same from a file. */
NN_DEF nn_status nn_read_csv(nn_data *data, const char *path, const nn_csv_options *options);

/* Reads images and their labels in IDX format (MNIST's), unsigned bytes. Each image is a row, x =
   byte / 255. y is one-hot over `classes` classes; 0 means the highest label + 1. location may be
   NULL. nn_data_free frees *data. */
NN_DEF nn_status nn_read_idx(nn_data *data, const char *images, const char *labels, int classes,
                             nn_location *location);
#endif
#endif /* NN_NO_MALLOC */

/* ---- Training options ------------------------------------------------------------------------ */

typedef enum nn_loss {
    NN_MSE = 0,              /* mean of (p - t)^2 over rows and outputs */
    NN_HUBER,                /* quadratic up to huber_delta, linear beyond it (Huber 1964) */
    NN_BINARY_CROSS_ENTROPY, /* needs a last layer NN_SIGMOID; computed from its logits */
    NN_CROSS_ENTROPY,        /* needs a last layer NN_SOFTMAX; computed from its logits */
    NN_MAE,                  /* mean of |p - t| over rows and outputs */
    NN_QUANTILE,             /* pinball loss: p estimates a quantile (Koenker, Bassett 1978) */
    NN_LOSS_COUNT
} nn_loss;

typedef enum nn_optimizer {
    NN_SGD = 0,
    NN_ADAM,    /* Kingma and Ba 2015; weight decay decoupled (Loshchilov and Hutter 2019) */
    NN_RMSPROP, /* Tieleman and Hinton 2012, in PyTorch's form; with momentum where that is > 0 */
    NN_OPTIMIZER_COUNT
} nn_optimizer;

typedef enum nn_schedule {
    NN_SCHEDULE_CONSTANT = 0,
    NN_SCHEDULE_STEP,  /* times step_factor after every schedule_steps updates */
    NN_SCHEDULE_COSINE /* half a cosine from the learning rate down to minimum_learning_rate, in
                          schedule_steps updates; constant after them */
} nn_schedule;

typedef struct nn_trainer nn_trainer;
typedef struct nn_progress nn_progress;

/* Called by nn_fit. When it returns anything but 0, training ends, and nn_fit returns NN_OK. */
typedef int (*nn_callback)(const nn_progress *progress, void *user);

/* Says 0 in those options in which 0 means a default that is not 0. */
#define NN_ZERO ((nn_real)-1)

typedef struct nn_options {
    int epochs; /* passes over the data; 0 means 100 */
    nn_loss loss;
    nn_optimizer optimizer;
    int batch_size; /* rows for each update; 0 means 32. All rows, if there are fewer. */
    /* Of those, the rows that go through the net at a time; 0 means all. Fewer need less memory
       and, without dropout, give the same results. */
    int micro_batch_size;
    nn_real learning_rate; /* > 0; 0 means 1e-2, Adam 1e-3 */
    nn_real momentum;      /* SGD, RMSprop: in [0, 1); 0 means none */
    int nesterov;          /* SGD, 1: Nesterov's momentum, which needs momentum > 0 */
    nn_real beta1, beta2;  /* Adam, in [0, 1); 0 means 0.9, 0.999; NN_ZERO means 0 */
    nn_real alpha;         /* RMSprop, in [0, 1); 0 means 0.99; NN_ZERO means 0 */
    nn_real epsilon;       /* Adam, RMSprop: > 0, outside the root; 0 means 1e-8 */
    nn_real weight_decay;  /* >= 0; SGD, RMSprop: L2, Adam: decoupled; 0 means none */
    nn_real clip_norm;     /* largest global norm of the gradient; 0 means no clipping */

    nn_schedule schedule;
    int schedule_steps;  /* updates, see nn_schedule; 0 means all updates of nn_fit, and is an error
                            for nn_train_batch */
    nn_real step_factor; /* in [0, 1); 0 means 0.1; NN_ZERO means 0 */
    nn_real minimum_learning_rate; /* >= 0, cosine's last value */
    int warmup_steps; /* updates of linear warm-up before the schedule begins; 0 means none */

    nn_real label_smoothing; /* cross-entropy, in [0, 1): t becomes (1 - s) * t + s / outputs */
    nn_real huber_delta;     /* > 0; 0 means 1 */
    nn_real quantile;        /* in (0, 1); 0 means 0.5, the median */
    const nn_real *dropout;  /* [layers] the share of each layer's outputs that dropout zeroes in
                                training, in [0, 1), of the last layer 0; NULL means none */

    /* nn_fit and nn_trainer_fit compute the scaling from the training rows if the model has none.
       For other training call nn_fit_scaling first. */
    nn_scaling scaling;
    /* Rows that are measured after each epoch; NULL means none. They must outlive the trainer. Or
       else a share of the data's rows, in [0, 1), which the seed separates from the training
       rows. */
    const nn_data *validation;
    nn_real validation_fraction;
    /* Early stopping: training stops after this many epochs without a lower validation loss
       (without validation: training loss). 0 means that it never does. The best weights are then
       restored, also after the last epoch. When a callback stops nn_trainer_fit they are not, so
       that it can be called again. */
    int patience;

    uint64_t seed;        /* of shuffling and dropout */
    nn_callback callback; /* called after each epoch; NULL means none */
    int callback_batches; /* 1: called after each batch too */
    void *user;           /* passed to the callback */
} nn_options;

/* What a callback sees. Losses and accuracies are means over rows, NaN where there is none. */
struct nn_progress {
    int epoch, epochs;      /* from 1; epochs in all */
    int batch, batches;     /* from 1; batch == 0: the epoch is complete */
    nn_real loss, accuracy; /* over the epoch's rows so far, each measured before its update */
    nn_real validation_loss, validation_accuracy; /* NaN before the epoch is complete */
    nn_real learning_rate;                        /* of the last update */
    nn_real gradient_norm; /* of the last update, before clipping; NaN unless clip_norm > 0 */
    double elapsed;        /* seconds since nn_fit began; 0 without a clock */
    double remaining;      /* seconds to the last epoch at the pace so far; 0 without a clock */
    int best_epoch;        /* with the lowest loss so far, from 1; 0 without patience */
    nn_trainer *trainer;   /* to save a checkpoint, say */
    const nn_model *model;
};

/* ---- Training, by loop, batch and step ------------------------------------------------------- */

#ifndef NN_NO_MALLOC
/* Trains the model for options->epochs epochs. Each epoch shuffles the rows again; its last batch
   may be smaller. options may be NULL. NN_ERROR_DIVERGED leaves the last finite weights. */
NN_DEF nn_status nn_fit(nn_model *model, const nn_data *data, const nn_options *options);

/* Makes a trainer for the model; nn_trainer_free frees it. The model must outlive it. The options
   and their dropout are copied; NULL means all defaults. */
NN_DEF nn_status nn_trainer_create(nn_trainer **trainer, nn_model *model,
                                   const nn_options *options);
#endif

/* The bytes that nn_trainer_create_in needs; NN_TRAINER_SIZE is the same at compile time. 0 when
   the model or the options are not valid. */
NN_DEF size_t nn_trainer_size(const nn_model *model, const nn_options *options);

/* nn_trainer_create in the caller's memory, as nn_model_create_in. To save memory the options are
   not copied: the options (not NULL) and the model must outlive the trainer, and the options must
   not change. */
NN_DEF nn_status nn_trainer_create_in(nn_trainer **trainer, void *memory, size_t size,
                                      nn_model *model, const nn_options *options);

/* Frees a trainer; NULL is allowed. */
NN_DEF void nn_trainer_free(nn_trainer *trainer);

/* nn_fit with a trainer of your own. It continues at the trainer's epoch: after an interruption (a
   callback that stopped it, or a checkpoint that another process loads) the results are the same as
   without one. */
NN_DEF nn_status nn_trainer_fit(nn_trainer *trainer, const nn_data *data);

/* One update from x[rows x inputs] and y[rows x outputs], rows <= batch_size. *loss receives the
   batch's mean loss before the update; loss may be NULL. */
NN_DEF nn_status nn_train_batch(nn_trainer *trainer, const nn_real *x, const nn_real *y, int rows,
                                nn_real *loss);

/* The same without the update: adds the gradient of the batch's mean loss to the gradients. For row
   weights, gradient accumulation, or sums of gradients over processes before nn_update. If a later
   micro-batch diverges, all gradients are zeroed. */
NN_DEF nn_status nn_accumulate(nn_trainer *trainer, const nn_data *batch, nn_real *loss);

/* *y becomes the outputs [rows x outputs] for x[rows x inputs], with dropout. rows is at most
   batch_size and micro_batch_size. The outputs stay the trainer's and are valid until its next
   call. */
NN_DEF nn_status nn_forward(nn_trainer *trainer, const nn_real *x, int rows, const nn_real **y);

/* Adds to the gradients, from dy[rows x outputs] = dL/dy for the rows of the last nn_forward. (For
   a mean loss over the rows, divide by their number.) If dx is not NULL, dx[rows x inputs] receives
   dL/dx, the gradient with respect to the input that is not yet scaled. The outputs of nn_forward
   are overwritten: each nn_forward serves one nn_backward. NN_ERROR_STATE without an nn_forward,
   and when the model was trained, loaded or changed by another function since. */
NN_DEF nn_status nn_backward(nn_trainer *trainer, const nn_real *dy, nn_real *dx);

/* Applies the gradients to the parameters. Gradients are kept, as they were before clipping. The
   next nn_backward overwrites them; a second nn_update without one applies them again. A parameter
   that would become NaN or infinite keeps its value: NN_ERROR_DIVERGED. */
NN_DEF nn_status nn_update(nn_trainer *trainer);

/* The gradients [nn_parameter_count], in the order of the parameters. They may be changed. NULL for
   a NULL trainer. */
NN_DEF nn_real *nn_gradients(nn_trainer *trainer);

/* Sets the gradients to zero, as if there had been no nn_backward since the last nn_update. */
NN_DEF nn_status nn_clear_gradients(nn_trainer *trainer);

/* The learning rate of the next update; NaN for a NULL trainer. nn_set_learning_rate replaces the
   base rate (> 0), which the schedule then scales. */
NN_DEF nn_real nn_learning_rate(const nn_trainer *trainer);
NN_DEF nn_status nn_set_learning_rate(nn_trainer *trainer, nn_real learning_rate);

/* The global norm of the gradients at the last update, before clipping. NaN without clip_norm. */
NN_DEF nn_real nn_gradient_norm(const nn_trainer *trainer);

#ifndef NN_NO_STDIO
/* A callback that prints one line for each epoch, to the FILE * that options->user is, or to
   stdout. With callback_batches it also draws a progress bar, which needs a terminal. */
NN_DEF int nn_print_progress(const nn_progress *progress, void *user);
#endif

/* ---- Metrics --------------------------------------------------------------------------------- */

/* A metric is NaN where it has no meaning. Rows of weight 0 are left out of every metric. Other
   weights count only in the loss. A ratio 0 / 0 is 0. */
typedef struct nn_metrics {
    nn_real loss;
    int rows, correct;             /* rows; with classes or a cross-entropy: rows predicted right */
    nn_real accuracy;              /* correct / rows */
    nn_real precision, recall, f1; /* two classes: of class 1 */
    nn_real macro_precision, macro_recall, macro_f1; /* mean over the classes */
    nn_real auc;      /* two classes: area under the ROC curve, ties count half */
    nn_real mse, mae; /* mean over rows and outputs */
    nn_real r2; /* 1 - residual / total sum of squares, mean over outputs; NaN if one is constant */
} nn_metrics;

/* Measures the model on data. Of the options only the loss counts, and what belongs to it
   (label_smoothing, huber_delta, quantile): pass the options that the model was trained with, or
   NULL for defaults. It uses the model's own scratch memory: one thread at a time. Under
   NN_NO_MALLOC auc is NaN, and with more than two classes so are the macro means. */
NN_DEF nn_status nn_evaluate(const nn_model *model, const nn_data *data, const nn_options *options,
                             nn_metrics *metrics);

/* Fills the confusion matrix[classes x classes]: how many rows of data are of the class that the
   matrix's row is, and predicted as the class that its column is. data->classes must be set. */
NN_DEF nn_status nn_confusion_matrix(const nn_model *model, const nn_data *data, int *matrix);

/* The scores of one class. A ratio 0 / 0 is 0. */
typedef struct nn_scores {
    nn_real precision; /* of the rows that are predicted as the class, the share that is of it */
    nn_real recall;    /* of the rows of the class, the share that is predicted as it */
    nn_real f1;        /* harmonic mean of the two */
    int support;       /* rows of the class */
} nn_scores;

/* Fills *scores from matrix[classes x classes], a confusion matrix; of_class counts from 0. */
NN_DEF nn_status nn_class_scores(const int *matrix, int classes, int of_class, nn_scores *scores);

#ifndef NN_NO_MALLOC
/* Cross-validation: for each of `folds` folds (2 to the number of rows), trains a new model of the
   shape on the other folds and measures it on this one. options->seed shuffles the rows and seeds
   the models. Fills results[folds]. */
NN_DEF nn_status nn_cross_validate(const nn_shape *shape, const nn_data *data,
                                   const nn_options *options, int folds, nn_metrics *results);
#endif
#endif /* NN_NO_TRAIN */

/* ---- Files ----------------------------------------------------------------------------------- */

/* A model file is a safetensors file with PyTorch's names and layout: `0.weight` [out x in],
   `0.bias` [out], ... as in an nn.Sequential (where NN_LINEAR is no module). Its metadata holds the
   activations, the scaling and a checksum. A checkpoint is a model file with the trainer's state in
   it.

   Saving to a path writes `path.tmp` and renames it: the old file stays whole until the new one is
   complete. A model with a parameter that is not finite is refused with NN_ERROR_PARAMETER, and a
   checkpoint with NN_ERROR_STATE when there are gradients that no nn_update has used. Loading
   checks everything before it changes anything. location, which may be NULL, says which tensor was
   wrong. */

#ifndef NN_NO_TRAIN
/* Writes *size bytes to buffer[capacity]. With NULL for buffer it only sets *size. When the
   capacity is too small, it sets *size and returns NN_ERROR_BLOCK. */
NN_DEF nn_status nn_save_memory(const nn_model *model, void *buffer, size_t capacity, size_t *size);
NN_DEF nn_status nn_save_checkpoint_memory(const nn_trainer *trainer, void *buffer, size_t capacity,
                                           size_t *size);
/* Restores the parameters, the scaling and the trainer's whole state. The trainer must have the
   same shape, optimizer and patience. Training then gives the same results as if it had not
   stopped. */
NN_DEF nn_status nn_load_checkpoint_memory(nn_trainer *trainer, const void *bytes, size_t size,
                                           nn_location *location);
#endif

/* Fills the parameters of a model from a file of the same shapes, also from one that PyTorch wrote:
   its *.weight and *.bias pairs in natural order of their names, float or double. If the file has a
   scaling, the model gets it too. A program that rewrites a file of ours must leave our metadata
   out, because its checksum is of the bytes that nn_save wrote. */
NN_DEF nn_status nn_load_parameters_memory(nn_model *model, const void *bytes, size_t size,
                                           nn_location *location);

/* Makes a model over the bytes of a file exactly as nn_save wrote it: with the same nn_real, and no
   checkpoint. The bytes must outlive the model. The checksum is verified; the weights are then read
   where they are, for example in flash. The caller's memory holds the rest. Such a model can
   predict, be measured and be scaled. Functions that would change or write its parameters return
   NN_ERROR_READ_ONLY. Its products are scalar, whatever nn_backend says: where there is memory,
   nn_load is faster. */
NN_DEF nn_status nn_model_open_in(nn_model **model, void *memory, size_t memory_size,
                                  const void *bytes, size_t size);

/* The bytes of memory that nn_model_open_in needs; NN_MODEL_OPEN_SIZE is the same at compile time.
   0 when bytes[size] does not begin as such a file, or has another length. nn_model_open_in checks
   the numbers and the checksum. */
NN_DEF size_t nn_model_open_size(const void *bytes, size_t size);

#ifndef NN_NO_MALLOC
/* Makes a model from a file that nn_save wrote. */
NN_DEF nn_status nn_load_memory(nn_model **model, const void *bytes, size_t size,
                                nn_location *location);

#ifndef NN_NO_STDIO
NN_DEF nn_status nn_load(nn_model **model, const char *path, nn_location *location);
NN_DEF nn_status nn_load_parameters(nn_model *model, const char *path, nn_location *location);
#ifndef NN_NO_TRAIN
NN_DEF nn_status nn_save(const nn_model *model, const char *path);
NN_DEF nn_status nn_save_checkpoint(const nn_trainer *trainer, const char *path);
NN_DEF nn_status nn_load_checkpoint(nn_trainer *trainer, const char *path, nn_location *location);
#endif
#endif
#endif /* NN_NO_MALLOC */

#ifndef NN_NO_TRAIN
/* Replaces every weight w by the nearest number that an int8 can express: q s with -127 <= q <=
   127, ties away from zero. All weights of an output share one scale s, about their largest |w| /
   127, or 0 if that is 0. Biases do not change. nn_evaluate before and after shows what it
   costs. */
NN_DEF nn_status nn_quantize(nn_model *model);

#ifndef NN_NO_MALLOC
/* How nn_export_c writes a model. */
typedef struct nn_export_options {
    /* The function's name; NULL means "predict". A C identifier that begins with a letter and not
       with NN_, no keyword of C or C++, and better no name of the C library. name_... belongs to
       the file too. */
    const char *name;
    /* 1: the weights as nn_quantize leaves them, one byte each, and a scale for each output. */
    int int8;
} nn_export_options;

/* Writes the model as a C99 file, constant arrays and one function,

       void predict(const float *x, float *y);      under NN_DOUBLE with double

   which computes what nn_predict computes for one row, to the same bits. It needs neither this
   header nor a heap. Compiled with NN_NO_FMA it gives the results of NN_NO_FMA. The file's first
   comment says how to use it. Writing to memory is as in nn_save_memory, to a path as in nn_save;
   the text has no 0 at its end. options may be NULL. */
NN_DEF nn_status nn_export_c_memory(const nn_model *model, const nn_export_options *options,
                                    char *buffer, size_t capacity, size_t *size);
#ifndef NN_NO_STDIO
NN_DEF nn_status nn_export_c(const nn_model *model, const char *path,
                             const nn_export_options *options);
#endif
#endif
#endif

/* ---- Sizes at compile time ------------------------------------------------------------------- */

/* What nn_model_size, nn_model_open_size and nn_trainer_size return, as constants, for nets of at
   most eight layers:

       static unsigned char model_memory[NN_MODEL_SIZE(2, 8, 1)];              2 inputs, 8, 1
       static unsigned char trainer_memory[NN_TRAINER_SIZE(2, 4, 2, 8, 1)];    Adam, 4 rows

   NN_TRAINER_SIZE(state arrays per parameter, rows at a time, inputs, widths...). The state arrays
   are 0 for SGD, 1 for SGD with momentum or RMSprop, 2 for Adam or RMSprop with momentum, and one
   more with patience. The rows are micro_batch_size, or batch_size without it. Dropout, SiLU, GELU
   and softplus need more: see nn_trainer_size. */
#define NN_MODEL_SIZE(...) NN__EXPAND(NN__MODEL_SIZE(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0, 0, 0))
#define NN_MODEL_OPEN_SIZE(...)                                                                    \
    NN__EXPAND(NN__MODEL_OPEN_SIZE(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0, 0, 0))
#define NN_TRAINER_SIZE(moments, rows, ...)                                                        \
    NN__EXPAND(NN__TRAINER_SIZE(moments, rows, __VA_ARGS__, 0, 0, 0, 0, 0, 0, 0, 0, 0))

/* ---- Users stop here. ------------------------------------------------------------------------ */

/* ================================================================================================
   >>sizes
   ------------------------------------------------------------------------------------------------
   The private structs, which stand here for their sizes alone, and what the macros above are made
   of.
   ============================================================================================= */

#define NN__EXPAND(x)     x
#define NN__LARGER(a, b)  ((size_t)(a) > (size_t)(b) ? (size_t)(a) : (size_t)(b))
#define NN__ALIGNED(size) (((size) + (NN_ALIGNMENT - 1)) / NN_ALIGNMENT * NN_ALIGNMENT)
#define NN__ARRAY(count)  NN__ALIGNED((size_t)(count) * sizeof(nn_real))
#define NN__PARAMETERS(a, b, c, d, e, f, g, h, i)                                                  \
    (NN__DENSE(a, b) + NN__DENSE(b, c) + NN__DENSE(c, d) + NN__DENSE(d, e) + NN__DENSE(e, f) +     \
     NN__DENSE(f, g) + NN__DENSE(g, h) + NN__DENSE(h, i))
#define NN__DENSE(in, out) (((size_t)(in) + 1) * (size_t)(out))
#define NN__OUTPUTS(b, c, d, e, f, g, h, i)                                                        \
    ((i) ? (i) : (h) ? (h) : (g) ? (g) : (f) ? (f) : (e) ? (e) : (d) ? (d) : (c) ? (c) : (b))
#define NN__BUFFER(a, c, e, g, i, outputs)                                                         \
    NN__LARGER(NN__LARGER(NN__LARGER(a, c), NN__LARGER(e, g)), NN__LARGER(i, outputs))
#define NN__LAYERS(b, c, d, e, f, g, h, i)                                                         \
    ((size_t) !!(b) + !!(c) + !!(d) + !!(e) + !!(f) + !!(g) + !!(h) + !!(i))
#define NN__MODEL_SIZE(a, b, c, d, e, f, g, h, i, ...)                                             \
    (NN__ARRAY(NN__PARAMETERS(a, b, c, d, e, f, g, h, i)) +                                        \
     NN__MODEL_OPEN_SIZE(a, b, c, d, e, f, g, h, i, __VA_ARGS__))
#define NN__MODEL_OPEN_SIZE(a, b, c, d, e, f, g, h, i, more, ...)                                  \
    (sizeof(char[(more) ? -1 : 1]) - 1 + NN__SLACK + NN__ALIGNED(sizeof(nn_model)) +               \
     NN__ALIGNED(NN__LAYERS(b, c, d, e, f, g, h, i) * sizeof(size_t)) +                            \
     NN__ALIGNED(NN__LAYERS(b, c, d, e, f, g, h, i) * sizeof(nn_layer)) +                          \
     NN__ARRAY(2 * (size_t)(a)) +                                                                  \
     NN__ARRAY((NN_PREDICT_ROWS) *                                                                 \
               (NN__BUFFER(a, c, e, g, i, NN__OUTPUTS(b, c, d, e, f, g, h, i)) +                   \
                NN__BUFFER(b, d, f, h, 0, NN__OUTPUTS(b, c, d, e, f, g, h, i)))))
#ifdef NN__SIMD
#define NN__HIDDEN(b, c) ((c) ? (b) : 0)
#define NN__INPUT_BUFFER(rows, b, c, d, e, f, g, h, i)                                             \
    NN__ARRAY((size_t)(rows)*NN__LARGER(                                                           \
        NN__LARGER(NN__LARGER(NN__HIDDEN(b, c), NN__HIDDEN(c, d)),                                 \
                   NN__LARGER(NN__HIDDEN(d, e), NN__HIDDEN(e, f))),                                \
        NN__LARGER(NN__LARGER(NN__HIDDEN(f, g), NN__HIDDEN(g, h)), NN__HIDDEN(h, i))))
#else
#define NN__INPUT_BUFFER(rows, b, c, d, e, f, g, h, i) 0
#endif
#define NN__TRAINER_SIZE(moments, rows, a, b, c, d, e, f, g, h, i, more, ...)                      \
    (sizeof(char[(more) ? -1 : 1]) - 1 + NN__SLACK + NN__ALIGNED(sizeof(nn_trainer)) +             \
     NN__ALIGNED((size_t)(rows) * sizeof(size_t)) +                                                \
     ((moments) + (size_t)1) * NN__ARRAY(NN__PARAMETERS(a, b, c, d, e, f, g, h, i)) +              \
     NN__ARRAY((size_t)(rows) * (a)) +                                                             \
     NN__ARRAY((size_t)(rows) * ((size_t)(b) + (c) + (d) + (e) + (f) + (g) + (h) + (i))) +         \
     NN__ARRAY((size_t)(rows)*NN__OUTPUTS(b, c, d, e, f, g, h, i)) + NN__ARRAY(rows) +             \
     NN__INPUT_BUFFER(rows, b, c, d, e, f, g, h, i))

/* How types are aligned, and the bytes that aligning a block may cost. */
typedef union nn__widest {
    void *pointer;
    double real;
    uint64_t integer;
} nn__widest;
struct nn__alignment {
    char first;
    nn__widest widest;
};
#define NN__ALIGN offsetof(struct nn__alignment, widest)
#define NN__SLACK ((NN_ALIGNMENT > NN__ALIGN ? NN_ALIGNMENT : NN__ALIGN) - 1)

struct nn_model {
    nn_layer *layers;          /* [count] */
    size_t *offsets;           /* [count] where each layer's parameters begin: see nn__layer_at */
    nn_real *parameters;       /* NULL in a model that nn_model_open_in made: */
    const unsigned char *file; /* there, [out x in] and [out] of each layer as nn_save wrote them */
    nn_real *offset; /* [inputs], then factor[inputs]: x is predicted from (x - offset) * factor */
    nn_real *scratch;
    size_t first_width; /* of the first of the two buffers in scratch */
#ifdef NN__SIMD
    const struct nn__kernels *kernels;
#endif
#ifndef NN_NO_MALLOC
    void *heap; /* what nn_model_free frees; NULL in the caller's memory */
#endif
    size_t parameter_count;
    uint32_t changes; /* of parameters and scaling: an nn_backward must know its nn_forward's */
    int inputs, count;
    nn_scaling scaling;
};

#ifndef NN_NO_TRAIN
/* A sum of many numbers, to about twice nn_real's digits: low is what high lost to rounding
   (Ogita, Rump and Oishi 2005, "Accurate sum and dot product", Sum2). A double would be no double
   on every machine, and slow on some. */
typedef struct nn__sum {
    nn_real high, low;
} nn__sum;

/* Sums over rows: of weight * loss, of weights, of rows with a weight, of rows predicted right. */
typedef struct nn__sums {
    nn__sum loss, weight;
    int counted, correct;
} nn__sums;

/* What a checkpoint must restore, beside the arrays. */
typedef struct nn__state {
    uint64_t random;
    uint64_t epoch_key; /* the order of the rows in this epoch */
    uint32_t step;      /* updates done */
    int epoch;          /* complete epochs */
    int position;       /* rows of the next epoch that are done */
    nn__sums sums;      /* over them */
    int best_epoch;     /* the one with the lowest loss, from 1 */
    int waited;         /* epochs since then */
    nn_real best_loss;
    nn_real gradient_norm;            /* of the last update, for the callback */
    nn_real last_rate;                /* too */
    nn_real learning_rate;            /* before the schedule */
    nn_real beta1_power, beta2_power; /* beta^step */
} nn__state;

struct nn_trainer {
    nn_model *model;
    const nn_options *options;
    nn__state state;
    nn_real *gradients, *first, *second, *best; /* [parameters] each; NULL where not needed */
    nn_real *input;                             /* [batch x inputs], scaled */
    nn_real *planes;           /* for each layer some [batch x width]: see nn__planes */
    nn_real *output_gradients; /* [batch x outputs]: dL/dp */
    nn_real *losses;           /* [batch]: of the rows */
#ifdef NN__SIMD
    nn_real *buffer; /* [batch x widest hidden layer], for the input gradients */
#endif
    size_t *index; /* [batch] rows in the data */
#ifndef NN_NO_MALLOC
    void *heap;
#endif
    uint32_t run_steps; /* updates in the whole of nn_fit */
    int batch;          /* rows that fit: those of a micro-batch */
    int rows;           /* rows of the last nn_forward that wait for nn_backward */
    uint32_t changes;   /* of the model at that time */
#ifdef NN__SIMD
    int backward_rows; /* of the last backward pass */
#endif
    int pending; /* the gradients hold something that no update has used */
};

#endif

#ifdef __cplusplus
}
#endif

#endif /* NN_H */

/* ---- The implementation ---------------------------------------------------------------------- */
#if defined(NN_IMPLEMENTATION) && !defined(NN_IMPLEMENTED)
#define NN_IMPLEMENTED

/* ================================================================================================
   >>platform
   ============================================================================================= */

#if !defined(NN_ALLOW_FAST_MATH) &&                                                                \
    (defined(__FAST_MATH__) || defined(_M_FP_FAST) || defined(__ASSOCIATIVE_MATH__) ||             \
     defined(__RECIPROCAL_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ > 0))
#error "nn.h: -ffast-math changes results and drops NaN checks; NN_ALLOW_FAST_MATH accepts that"
#endif

#include <float.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#if defined(NN_DOUBLE) && DBL_MANT_DIG < 53
#error "nn.h: NN_DOUBLE needs a double of 64 bits"
#endif

/* The C library's functions that are used, each to be overridden by a macro of the same form. */
#ifndef NN_ASSERT
#ifdef NN_NO_STDIO /* assert brings printf into a device's program */
#define NN_ASSERT(condition) ((void)0)
#else
#include <assert.h>
#define NN_ASSERT(condition) assert(condition)
#endif
#endif
#ifndef NN_FMA
#ifdef NN_DOUBLE
#define NN_FMA(a, b, c) fma(a, b, c)
#elif defined(__FMA__) || defined(__FP_FAST_FMAF) || defined(FP_FAST_FMAF) ||                      \
    defined(__ARM_FEATURE_FMA) || defined(__aarch64__)
#define NN_FMA(a, b, c) fmaf(a, b, c)
#else /* some C libraries' fmaf rounds twice, and the others' is slow without the instruction */
#define NN_FMA(a, b, c) nn__fmaf(a, b, c)
#define NN__NEEDS_FMAF
#if DBL_MANT_DIG < 53 && !defined(NN_NO_FMA)
#error "nn.h: double has 32 bits here, too few to compute fma with: define NN_NO_FMA"
#endif
#endif
#endif
#ifndef NN_SQRT
#ifdef NN_DOUBLE
#define NN_SQRT(x) sqrt(x)
#else
#define NN_SQRT(x) sqrtf(x)
#endif
#endif

#ifndef NN_READ_BYTE /* of a file that nn_model_open_in is given: pgm_read_byte for AVR's flash */
#define NN_READ_BYTE(pointer) (*(pointer))
#endif

#ifndef NN_NO_MALLOC
#ifndef NN_MALLOC
#include <stdlib.h>
#define NN_MALLOC(size)  malloc(size)
#define NN_FREE(pointer) free(pointer)
#endif
#ifndef NN_NO_TRAIN
#include <stdlib.h> /* qsort, for the ROC curve */
#endif
#endif

#ifndef NN_NO_STDIO
#include <stdio.h>
#ifndef NN_FOPEN
#define NN_FOPEN(path, mode) fopen(path, mode)
#endif
#ifndef NN_FREAD /* bytes read */
#define NN_FREAD(buffer, bytes, file) fread(buffer, 1, bytes, file)
#endif
#ifndef NN_FWRITE /* bytes written */
#define NN_FWRITE(buffer, bytes, file) fwrite(buffer, 1, bytes, file)
#endif
#ifndef NN_FERROR
#define NN_FERROR(file) ferror(file)
#endif
#ifndef NN_FFLUSH /* 0 when done; a place to add fsync, which C does not have */
#define NN_FFLUSH(file) fflush(file)
#endif
#ifndef NN_FCLOSE
#define NN_FCLOSE(file) fclose(file)
#endif
#ifndef NN_RENAME /* replaces an existing file, in one step; 0 when done */
#ifdef _WIN32
#ifdef __cplusplus
extern "C"
#endif
    __declspec(dllimport) int __stdcall MoveFileExA(const char *, const char *, unsigned long);
#define NN_RENAME(from, to) (!MoveFileExA(from, to, 1 /* MOVEFILE_REPLACE_EXISTING */))
#else
#define NN_RENAME(from, to) rename(from, to)
#endif
#endif
#ifndef NN_REMOVE
#define NN_REMOVE(path) remove(path)
#endif
#endif

#ifndef NN_NO_TRAIN
#if !defined(NN_TIME) && !defined(NN_NO_STDIO)
#define NN_TIME() nn__seconds() /* for the progress of nn_fit; never part of a result */
#include <time.h>

/* Wall-clock time; the processor's time where C11's timespec_get is missing. */
static double nn__seconds(void)
{
#ifdef TIME_UTC
    struct timespec now;

    if (timespec_get(&now, TIME_UTC) == TIME_UTC)
        return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
#endif
    return (double)clock() / CLOCKS_PER_SEC;
}
#endif
#endif

#ifdef NN__SIMD
#if defined(NN__X86)
#include <immintrin.h>
#elif defined(NN__NEON)
#include <arm_neon.h>
#else
#include <wasm_simd128.h>
#endif
#ifdef _MSC_VER
#include <intrin.h>
#define NN__TARGETS(list)
#define NN__INLINE static NN__TARGET __forceinline
#define NN__APART  __declspec(noinline)
#else
#define NN__TARGETS(list) __attribute__((target(list)))
#define NN__INLINE        static inline __attribute__((always_inline)) NN__TARGET
#define NN__APART         __attribute__((noinline)) /* small nets need not pay for its frame */
#ifdef NN__X86
#include <cpuid.h>
#endif
#endif
#ifdef _OPENMP
#define NN__THREADS
#include <omp.h>
#endif
#ifdef NN_USE_OPENBLAS
#include <cblas.h>
#ifndef NN_OPENBLAS_WORK /* multiply-adds of a product from which on OpenBLAS computes it */
#define NN_OPENBLAS_WORK 1e8
#endif
#define NN__WITH_OPENBLAS "+openblas"
#else
#define NN__WITH_OPENBLAS
#endif
#endif

/* For small functions on the path of small nets: inlined on the PC, for speed; on a device the
   compiler decides, for size. */
#ifdef NN__SIMD
#define NN__HOT static inline
#else
#define NN__HOT static
#endif

/* Numbers of a batch that the binary cross-entropy takes at a time, on the stack. */
#ifdef NN__SIMD
#define NN__TAILS 64
#else
#define NN__TAILS 1
#endif

/* The back-end that a new model gets: an expression that is the name of one, NULL for the best. A
   name that the machine does not have gives the scalar one. For tests and measurements. */
#ifndef NN_BACKEND
#define NN_BACKEND NULL
#endif

/* The activations, losses and optimizers that are compiled in, each a set of bits: (1u << NN_RELU |
   1u << NN_SIGMOID) for two. The others are refused. For devices on which every byte of code
   counts. */
#ifndef NN_ONLY_ACTIVATIONS
#define NN_ONLY_ACTIVATIONS (~0u)
#endif
#ifndef NN_ONLY_LOSSES
#define NN_ONLY_LOSSES (~0u)
#endif
#ifndef NN_ONLY_OPTIMIZERS
#define NN_ONLY_OPTIMIZERS (~0u)
#endif
#define NN__ONLY(set, element) (((set) >> (element)) & 1u)

/* NN_NO_FMA's arithmetic rounds the product and the sum: no compiler may fuse them again. (gcc's
   vectorizer of straight code does, whatever it is told: gcc bug 106902.) The other arithmetic has
   no product that a compiler could fuse with a sum. */
#ifdef NN_NO_FMA
#if defined(__clang__)
#pragma float_control(push)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off", "no-tree-slp-vectorize")
#elif defined(_MSC_VER)
#pragma float_control(push)
#pragma fp_contract(off)
#endif
#endif

/* ---- Tables ---------------------------------------------------------------------------------- */

/* A table is a macro that calls X once for each row: for each status, activation, loss or
   optimizer. NN__CHECK_TABLE does not compile when a row is missing or out of the order of the
   enum. */
#define NN__NUMBER_ROW(ID, ...)  NN__NUMBER_##ID,
#define NN__COMPARE_ROW(ID, ...) &&(int)NN__NUMBER_##ID == (int)NN_##ID
#define NN__CHECK_TABLE(name, TABLE, count)                                                        \
    enum { TABLE(NN__NUMBER_ROW) NN__NUMBER_OF_##name };                                           \
    typedef char nn__check_of_##name                                                               \
        [1 TABLE(NN__COMPARE_ROW) && (int)NN__NUMBER_OF_##name == (int)(count) ? 1 : -1]

/* In tables whose rows say ELEMENT or ROW: what is there for the elements alone. */
#define NN__KEEP_IF_ELEMENT(...) __VA_ARGS__
#define NN__KEEP_IF_ROW(...)

/* ---- Statuses -------------------------------------------------------------------------------- */

#define NN__STATUSES(X)                                                                            \
    X(OK, "no error")                                                                              \
    X(ERROR_NULL, "a required pointer is NULL")                                                    \
    X(ERROR_SIZE, "a count or width is zero or negative, or there are too few rows")               \
    X(ERROR_OVERFLOW, "the sizes are too large for memory, or for a model file's header")          \
    X(ERROR_MEMORY, "out of memory")                                                               \
    X(ERROR_BLOCK, "the given memory is too small, or the scratch is not aligned")                 \
    X(ERROR_OPTION, "an option is outside its range")                                              \
    X(ERROR_LAYER, "unknown kind of layer")                                                        \
    X(ERROR_ACTIVATION, "unknown activation, or softmax before the last layer")                    \
    X(ERROR_LOSS, "unknown loss, or the last layer's activation does not fit it")                  \
    X(ERROR_SHAPE, "the data's inputs or outputs are not the model's")                             \
    X(ERROR_BATCH, "more rows than the batch holds, or fewer rows than one batch")                 \
    X(ERROR_STATE, "called out of order")                                                          \
    X(ERROR_READ_ONLY,                                                                             \
      "the model was opened over a file: its parameters cannot be changed or written")             \
    X(ERROR_DATA, "the data has a value that is NaN or infinite")                                  \
    X(ERROR_TARGET, "a target is outside [0, 1]")                                                  \
    X(ERROR_LABEL, "a label is outside the classes, or there are fewer than two classes")          \
    X(ERROR_WEIGHT, "a row weight is negative or not finite, or none is positive")                 \
    X(ERROR_DIVERGED, "training diverged: the loss or a parameter became NaN or infinite")         \
    X(ERROR_OPEN, "the file cannot be opened")                                                     \
    X(ERROR_READ, "the file cannot be read; is it a folder?")                                      \
    X(ERROR_WRITE, "the file cannot be written")                                                   \
    X(ERROR_CSV_EMPTY, "the CSV file has no row of data")                                          \
    X(ERROR_CSV_CELLS, "a CSV row has too few or too many cells (is the delimiter right?)")        \
    X(ERROR_CSV_NUMBER, "a CSV cell is empty or not a finite number")                              \
    X(ERROR_CSV_QUOTE, "a CSV cell has a quote that does not end, or stands where none may")       \
    X(ERROR_CSV_TARGET, "the CSV file has no column of the target's name")                         \
    X(ERROR_IDX_MAGIC, "not an IDX file of unsigned bytes")                                        \
    X(ERROR_IDX_SIZE, "the IDX file's length or count does not fit its header")                    \
    X(ERROR_TRUNCATED, "the model file's length does not fit its header")                          \
    X(ERROR_HEADER, "the model file's header is not a safetensors header")                         \
    X(ERROR_METADATA, "the model file's nn.h metadata is missing or cannot be read")               \
    X(ERROR_TENSOR,                                                                                \
      "the model file has a tensor that is missing, there twice, or of another shape or type")     \
    X(ERROR_CHECKSUM, "the model file's checksum does not fit: it was changed or damaged")         \
    X(ERROR_PARAMETER, "the model file has a parameter that is NaN or infinite")

NN__CHECK_TABLE(statuses, NN__STATUSES, NN_STATUS_COUNT);

#define NN__STATUS_TEXT(ID, text) text "\0"
NN_DEF const char *nn_status_text(nn_status status)
{
    /* one array, so that a linker leaves it out where nobody asks; a list of pointers it cannot */
    static const char texts[] = NN__STATUSES(NN__STATUS_TEXT) "unknown status";
    const char *text = texts;
    int i;

    for (i = 0; i < NN_STATUS_COUNT && i != (int)status; i++) text += strlen(text) + 1;
    return text;
}

/* ---- Sizes and blocks of memory -------------------------------------------------------------- */

/* A block that arrays are taken from in turn. With base NULL nothing is taken: the same calls then
   measure the block, so a size and a layout cannot disagree. All arrays begin at multiples of
   NN_ALIGNMENT; those with wider elements come first, while the offset is a multiple of theirs. */
typedef struct nn__block {
    unsigned char *base;
    size_t used;
    int overflow;
} nn__block;

static void *nn__take(nn__block *block, size_t count, size_t size)
{
    const size_t start = block->used;

    if (count > (SIZE_MAX - NN__SLACK - NN_ALIGNMENT - start) / size) {
        block->overflow = 1;
        return NULL;
    }
    block->used = start + NN__ALIGNED(count * size);
    return block->base ? block->base + start : NULL;
}

static nn_real *nn__take_reals(nn__block *block, size_t rows, size_t columns)
{
    if (columns && rows > SIZE_MAX / columns) {
        block->overflow = 1;
        return NULL;
    }
    return (nn_real *)nn__take(block, rows * columns, sizeof(nn_real));
}

/* The bytes of memory that a measured block needs, wherever the memory begins; 0: too many. */
static size_t nn__block_size(const nn__block *block)
{
    return block->overflow ? 0 : block->used + NN__SLACK;
}

/* Where a block begins in memory: at the next multiple that is aligned for all types. */
static unsigned char *nn__align(void *memory)
{
    const size_t over = (uintptr_t)memory & NN__SLACK;
    return (unsigned char *)memory + (over ? NN__SLACK + 1 - over : 0);
}

/* ---- Locations and files --------------------------------------------------------------------- */

/* Copies length characters, or as many as fit, and ends them. */
static void nn__copy_text(char *to, size_t room, const char *from, size_t length)
{
    if (length > room - 1) length = room - 1;
    memcpy(to, from, length);
    to[length] = 0;
}

static void nn__set_location(nn_location *location, const char *path)
{
    if (!location) return;
    memset(location, 0, sizeof *location);
    location->path = path;
}

#if !defined(NN_NO_STDIO) && !defined(NN_NO_MALLOC)
/* Reads a whole file into memory that the caller frees, one byte longer than *size. */
static nn_status nn__read_file(const char *path, unsigned char **bytes, size_t *size)
{
    unsigned char *buffer = NULL, *larger;
    size_t capacity = 0, used = 0, got;
    nn_status status = NN_OK;
    FILE *file = NN_FOPEN(path, "rb");

    *bytes = NULL;
    *size = 0;
    if (!file) return NN_ERROR_OPEN;
    do {
        if (capacity - used < 2) {
            const size_t wanted = capacity ? capacity * 2 : 32768;
            larger = wanted > capacity ? (unsigned char *)NN_MALLOC(wanted) : NULL;
            if (!larger) {
                status = NN_ERROR_MEMORY;
                break;
            }
            if (used) memcpy(larger, buffer, used);
            if (buffer) NN_FREE(buffer);
            buffer = larger;
            capacity = wanted;
        }
        got = NN_FREAD(buffer + used, capacity - used - 1, file);
        used += got;
    } while (got);
    if (status == NN_OK && NN_FERROR(file)) status = NN_ERROR_READ;
    (void)NN_FCLOSE(file);
    if (status != NN_OK) {
        if (buffer) NN_FREE(buffer);
        return status;
    }
    *bytes = buffer;
    *size = used;
    return NN_OK;
}
#endif
#if !defined(NN_NO_TRAIN) && !defined(NN_NO_STDIO) && !defined(NN_NO_MALLOC)

/* Writes `path.tmp` and renames it to path. */
static nn_status nn__write_file(const char *path, const void *bytes, size_t size)
{
    const size_t length = strlen(path);
    char *temporary = (char *)NN_MALLOC(length + 5);
    nn_status status = NN_OK;
    FILE *file;

    if (!temporary) return NN_ERROR_MEMORY;
    memcpy(temporary, path, length);
    memcpy(temporary + length, ".tmp", 5);
    file = NN_FOPEN(temporary, "wb");
    if (!file) {
        NN_FREE(temporary);
        return NN_ERROR_OPEN;
    }
    if (NN_FWRITE(bytes, size, file) != size || NN_FFLUSH(file)) status = NN_ERROR_WRITE;
    if (NN_FCLOSE(file)) status = NN_ERROR_WRITE;
    if (status == NN_OK && NN_RENAME(temporary, path)) status = NN_ERROR_WRITE;
    if (status != NN_OK) (void)NN_REMOVE(temporary);
    NN_FREE(temporary);
    return status;
}

#endif
#ifdef NN__SIMD

/* ---- How vector kernels are written ---------------------------------------------------------- */

/* nn__NAME_isa: a function of the back-end that is being made. */
#define NN__JOIN(name, isa)  nn__##name##_##isa
#define NN__NAMED(name, isa) NN__JOIN(name, isa)
#define NN__NAME(name)       NN__NAMED(name, NN__ISA)

/* What only training needs. */
#ifdef NN_NO_TRAIN
#define NN__OF_TRAINING(...)
#else
#define NN__OF_TRAINING(...) __VA_ARGS__
#endif

/* A loop whose count is a constant once the function is inlined: it goes, its arrays become
   registers. */
#if defined(__clang__)
#define NN__UNROLL(i, count) _Pragma("clang loop unroll(full)") for (i = 0; i < (count); i++)
#elif defined(__GNUC__)
#define NN__UNROLL(i, count) _Pragma("GCC unroll 16") for (i = 0; i < (count); i++)
#else
#define NN__UNROLL(i, count) for (i = 0; i < (count); i++)
#endif

/* The first n lanes at p; the others are 0 or copies of them. n is all lanes but in the last step
   of a loop. Half a register and one number have forms of their own: what a masked store has
   written, or a masked load wants, must first reach the cache, and small nets wait for nothing
   else. In a product's tile the masked load is the cheapest. */
#define NN__LOAD_UP_TO(p, n)                                                                       \
    ((n) == NN__LANES       ? NN__LOAD(p)                                                          \
     : (n) == NN__LANES / 2 ? NN__LOAD_HALF(p)                                                     \
     : (n) == 1             ? NN__SET1(*(p))                                                       \
                            : NN__LOAD_SOME(p, n))
#define NN__STORE_UP_TO(p, v, n)                                                                   \
    ((n) == NN__LANES       ? NN__STORE(p, v)                                                      \
     : (n) == NN__LANES / 2 ? NN__STORE_HALF(p, v)                                                 \
     : (n) == 1             ? NN__STORE_ONE(p, v)                                                  \
                            : NN__STORE_SOME(p, v, n))
#define NN__LOAD_IN_TILE(p, n) ((n) == NN__LANES ? NN__LOAD(p) : NN__LOAD_SOME(p, n))
#define NN__LANES_OF(left)     ((left) < NN__LANES ? (int)(left) : NN__LANES)

/* |x|, -|x| */
#define NN__SIGN             NN__SET1(-(nn_real)0)
#define NN__SET1_BITS(bits)  NN__SET1(nn__from_bits(bits))
#define NN__ABSOLUTE(v)      NN__BITS_AND(v, NN__SET1_BITS(~NN__SIGN_BIT))
#define NN__LESS_ABSOLUTE(v) NN__BITS_OR(v, NN__SET1_BITS(NN__SIGN_BIT))

/* ---- Primitives ------------------------------------------------------------------------------
   NN__VECTOR is a register of NN__LANES numbers. NN__LOAD and NN__STORE need no alignment;
   NN__LOAD_SOME and NN__STORE_SOME touch the first n numbers only, 0 <= n <= NN__LANES;
   NN__LOAD_HALF loads the first half of a register into both, NN__STORE_HALF stores the first,
   NN__STORE_ONE the first number.
   NN__FMA(a, b, c) is a * b + c and NN__FNMA c - a * b, as nn__fma rounds them.
   NN__SELECT_LESS(a, b, x, y) is a < b ? x : y, so y where a or b is NaN; NN__MAX(a, b) is
   a > b ? a : b and NN__MIN(a, b) a < b ? a : b, so b there. NN__BITS_... treat a
   lane as an unsigned integer; NN__ANY_BITS tells whether any bit of a register is set.
   NN__ZIP_LOW(a, b) is a0 b0 a1 b1 ... of the lower halves, NN__ZIP_HIGH of the upper ones.
   NN__TILE_ROWS x NN__TILE_VECTORS registers of sums, and those that feed them, fill the register
   file. NN__PACK_ROW: see nn__panels; the wider the panel, the less copying brings.
   ---------------------------------------------------------------------------------------------- */

#ifdef NN_NO_FMA
#define NN__FMA(a, b, c)  NN__ADD(NN__MUL(a, b), c)
#define NN__FNMA(a, b, c) NN__SUB(c, NN__MUL(a, b))
#endif
#endif

/* ================================================================================================
   >>math
   ------------------------------------------------------------------------------------------------
   Every operation here is one IEEE operation, in the order written, so that every machine computes
   the same bits. Needs round-to-nearest and denormals, as programs have them unless they ask.
   Largest errors against the true value, in ulp (units in the last place), of both arithmetics:

                     exp     tanh    sigmoid   log1p
       float         0.78    1.40    1.97      1.27    over all 2^32 arguments
       double        0.75    1.40    1.70      1.25    over 4 million
   ============================================================================================= */

#if defined(NN__NEEDS_FMAF) && !defined(NN_NO_FMA)
/* a * b + c, rounded once, for machines without the instruction. The product is exact in double;
   the sum is rounded there to odd, which leaves the second rounding, to float, to decide (Boldo and
   Melquiond 2008). e is what the sum lost (Knuth's two-sum). */
static float nn__fmaf(float a, float b, float c)
{
    const double product = (double)a * b, sum = product + c, rest = sum - product;
    const double e = (product - (sum - rest)) + (c - rest);
    double odd = sum;
    uint64_t bits;

    memcpy(&bits, &sum, sizeof bits);
    if ((e < 0 || e > 0) && !(bits & 1)) {
        bits += (e > 0) == (sum > 0) ? 1 : UINT64_MAX;
        memcpy(&odd, &bits, sizeof odd);
    }
    return (float)odd;
}
#endif

/* a * b + c, rounded once; twice under NN_NO_FMA. The one multiply-add of the library. */
static nn_real nn__fma(nn_real a, nn_real b, nn_real c)
{
#ifdef NN_NO_FMA
    return a * b + c;
#else
    return NN_FMA(a, b, c);
#endif
}

#ifdef NN_DOUBLE
typedef uint64_t nn__bits;
#define NN__MANTISSA       52
#define NN__BIAS           1023
#define NN__ROUNDER        6755399441055744.0 /* 1.5 * 2^52: adding it rounds to an integer */
#define NN__LN2_HIGH       6.93147180369123816490e-01 /* 32 bits: its products with n are exact */
#define NN__LN2_LOW        1.90821492927058770002e-10
#define NN__ROOT_HALF_BITS UINT64_C(0x3fe6a09e667f3bcd)
#define NN__LOG2_E         1.44269504088896341
#define NN__EXP_LOW        (-746.0) /* exp is 0 from here down */
#define NN__EXP_HIGH       710.0    /* exp is infinite from here up */
#define NN__EXPM1_LOW      (-40.0)  /* exp - 1 is -1 from here down */
#define NN__ERF_HIGH       5.95     /* erf is 1 from here up */
#else
typedef uint32_t nn__bits;
#define NN__MANTISSA       23
#define NN__BIAS           127
#define NN__ROUNDER        12582912.0f /* 1.5 * 2^23 */
#define NN__LN2_HIGH       0.693359375f
#define NN__LN2_LOW        (-2.12194440e-4f)
#define NN__ROOT_HALF_BITS UINT32_C(0x3f3504f3)
#define NN__LOG2_E         1.44269504088896341f
#define NN__EXP_LOW        (-104.0f)
#define NN__EXP_HIGH       89.0f
#define NN__EXPM1_LOW      (-20.0f)
#define NN__ERF_HIGH       3.95f
#endif
#define NN__ERF_LIMIT  0.9 /* below it erf is a polynomial */
#define NN__TANH_LIMIT 0.6 /* below it tanh is a polynomial */
#define NN__ONE_BITS   ((nn__bits)NN__BIAS << NN__MANTISSA)
#define NN__SIGN_BIT   ((nn__bits)1 << (sizeof(nn_real) * CHAR_BIT - 1))

static nn__bits nn__to_bits(nn_real x)
{
    nn__bits bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static nn_real nn__from_bits(nn__bits bits)
{
    nn_real x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static nn_real nn__absolute(nn_real x)
{
    return nn__from_bits(nn__to_bits(x) & ~NN__SIGN_BIT);
}

/* 0 for NaN and infinity. */
static int nn__is_finite(nn_real x)
{
    return x - x == 0;
}

#define NN__COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* terms[0] x^(count - 1) + ... + terms[count - 1], by Horner's rule */
static nn_real nn__polynomial(const nn_real *terms, int count, nn_real x)
{
    nn_real sum = terms[0];
    int i;

    for (i = 1; i < count; i++) sum = nn__fma(sum, x, terms[i]);
    return sum;
}

#define NN__DEFINE_POLYNOMIAL                                                                      \
    NN__INLINE NN__VECTOR NN__NAME(polynomial)(const nn_real *terms, const int count,              \
                                               NN__VECTOR x)                                       \
    {                                                                                              \
        NN__VECTOR sum = NN__SET1(terms[0]);                                                       \
        int i;                                                                                     \
                                                                                                   \
        NN__UNROLL (i, count - 1) sum = NN__FMA(sum, x, NN__SET1(terms[i + 1]));                   \
        return sum;                                                                                \
    }

/* 2^n for the exponent field n + bias, 1 <= field <= 2 * bias. */
static nn_real nn__power_of_two(nn__bits field)
{
    return nn__from_bits(field << NN__MANTISSA);
}

/* The last term is that of exp's own series: 1/2. */
static const nn_real nn__exp_terms[] = {
#ifdef NN_DOUBLE
    2.092035066147258e-09,
    2.5105417054887787e-08,
    2.7557257004407348e-07,
    2.7557254811255999e-06,
    2.4801587342422750e-05,
    1.9841269875419193e-04,
    1.3888888888876985e-03,
    8.3333333333258947e-03,
    4.1666666666666678e-02,
    1.6666666666666671e-01,
    0.5
#else
    1.99723246623761952e-04f,
    1.39305030461400747e-03f,
    8.33317730575799942e-03f,
    4.16665114462375641e-02f,
    1.66666671633720398e-01f,
    0.5f
#endif
};

/* exp(x) = 2^n exp(r), x = n ln 2 + r, |r| <= ln 2 / 2 (Cody and Waite 1980, chapter 6), with
   exp(r) = 1 + r + r^2 q(r) and q the minimax polynomial. The rounding of 1 + r is carried along;
   the two factors of 2^n leave one rounding where the result is denormal. The last product is an
   fma so that none is left for a compiler to fuse with a sum that exp is a term of. */
static nn_real nn__exp(nn_real x)
{
    nn_real rounded, count, r, q, sum, rest;
    nn__bits n, half;

    if (x < NN__EXP_LOW) x = NN__EXP_LOW; /* NaN passes */
    if (x > NN__EXP_HIGH) x = NN__EXP_HIGH;
    rounded = nn__fma(x, NN__LOG2_E, NN__ROUNDER);
    count = rounded - NN__ROUNDER;
    r = nn__fma(-count, NN__LN2_LOW, nn__fma(-count, NN__LN2_HIGH, x));
    q = nn__polynomial(nn__exp_terms, NN__COUNT(nn__exp_terms), r);
    sum = r + 1;
    rest = r - (sum - 1);
    sum += nn__fma(r * r, q, rest);
    n = nn__to_bits(rounded) - nn__to_bits(NN__ROUNDER) + 2 * NN__BIAS;
    half = n >> 1;
    return nn__fma(sum * nn__power_of_two(half), nn__power_of_two(n - half), 0);
}

#define NN__DEFINE_EXP                                                                             \
    NN__INLINE NN__VECTOR NN__NAME(exp)(NN__VECTOR x, const int may_be_low, const int may_be_high) \
    {                                                                                              \
        const NN__VECTOR one = NN__SET1(1), rounder = NN__SET1(NN__ROUNDER);                       \
        NN__VECTOR rounded, count, r, q, sum, n, half;                                             \
                                                                                                   \
        if (may_be_low) x = NN__MAX(NN__SET1(NN__EXP_LOW), x);                                     \
        if (may_be_high) x = NN__MIN(NN__SET1(NN__EXP_HIGH), x);                                   \
        rounded = NN__FMA(x, NN__SET1(NN__LOG2_E), rounder);                                       \
        count = NN__SUB(rounded, rounder);                                                         \
        r = NN__FNMA(count, NN__SET1(NN__LN2_HIGH), x);                                            \
        r = NN__FNMA(count, NN__SET1(NN__LN2_LOW), r);                                             \
        q = NN__NAME(polynomial)(nn__exp_terms, NN__COUNT(nn__exp_terms), r);                      \
        sum = NN__ADD(r, one);                                                                     \
        sum = NN__ADD(sum, NN__FMA(NN__MUL(r, r), q, NN__SUB(r, NN__SUB(sum, one))));              \
        n = NN__SET1_BITS(nn__to_bits(NN__ROUNDER) - 2 * NN__BIAS);                                \
        n = NN__BITS_SUB(rounded, n);                                                              \
        half = NN__BITS_RIGHT(n, 1);                                                               \
        n = NN__BITS_SUB(n, half);                                                                 \
        sum = NN__MUL(sum, NN__BITS_LEFT(half, NN__MANTISSA));                                     \
        return NN__FMA(sum, NN__BITS_LEFT(n, NN__MANTISSA), NN__SET1(0));                          \
    }

#define NN__C_MATH_EXP                                                                             \
    NN__C_CONSTANT("exp_low", NN__EXP_LOW)                                                         \
    NN__C_CONSTANT("exp_high", NN__EXP_HIGH)                                                       \
    NN__C_CONSTANT("log2_e", NN__LOG2_E)                                                           \
    NN__C_CONSTANT("rounder", NN__ROUNDER)                                                         \
    NN__C_CONSTANT("ln2_low", NN__LN2_LOW)                                                         \
    NN__C_CONSTANT("ln2_high", NN__LN2_HIGH)                                                       \
    "static @ $_exp(@ x)\n"                                                                        \
    "{\n"                                                                                          \
    "    @ rounded, count, r, q, sum, rest;\n"                                                     \
    "    $_bits n;\n\n"                                                                            \
    "    if (x < $_exp_low) x = $_exp_low;\n"                                                      \
    "    if (x > $_exp_high) x = $_exp_high;\n"                                                    \
    "    rounded = $_fma(x, $_log2_e, $_rounder);\n"                                               \
    "    count = rounded - $_rounder;\n"                                                           \
    "    r = $_fma(-count, $_ln2_low, $_fma(-count, $_ln2_high, x));\n"                            \
    "    sum = r + 1;\n"                                                                           \
    "    rest = r - (sum - 1);\n"                                                                  \
    "    q = $_polynomial($_exp_terms, (int)(sizeof $_exp_terms / sizeof(@)), r);\n"               \
    "    sum += $_fma(r * r, q, rest);\n"                                                          \
    "    n = $_to_bits(rounded) - $_to_bits($_rounder) + 2 * $_bias;\n"                            \
    "    sum *= $_from_bits((n >> 1) << $_mantissa);\n"                                            \
    "    return $_fma(sum, $_from_bits((n - (n >> 1)) << $_mantissa), 0);\n"                       \
    "}\n\n"

/* 1 / (1 + exp(-x)), from e = exp(-|x|) so that nothing overflows and small results keep their
   bits. The rounding of 1 + e is given back at the end. */
static nn_real nn__sigmoid(nn_real x)
{
    nn_real e = nn__exp(-nn__absolute(x)), sum = e + 1, rest = e - (sum - 1);
    nn_real small = e / sum; /* sigmoid(-|x|) */

    small = nn__fma(-small * rest, 1 - small, small);
    return x < 0 ? small : 1 - small;
}

#define NN__DEFINE_SIGMOID                                                                         \
    NN__INLINE NN__VECTOR NN__NAME(sigmoid)(NN__VECTOR x)                                          \
    {                                                                                              \
        const NN__VECTOR one = NN__SET1(1);                                                        \
        NN__VECTOR e = NN__NAME(exp)(NN__LESS_ABSOLUTE(x), 1, 0), sum = NN__ADD(e, one);           \
        NN__VECTOR rest = NN__SUB(e, NN__SUB(sum, one)), small = NN__DIV(e, sum);                  \
                                                                                                   \
        small = NN__FNMA(NN__MUL(small, rest), NN__SUB(one, small), small);                        \
        return NN__SELECT_LESS(x, NN__SET1(0), small, NN__SUB(one, small));                        \
    }

#define NN__C_MATH_SIGMOID                                                                         \
    "static @ $_sigmoid(@ x)\n"                                                                    \
    "{\n"                                                                                          \
    "    @ e = $_exp(x < 0 ? x : -x), sum = e + 1, rest = e - (sum - 1);\n"                        \
    "    @ tail = e / sum;\n\n"                                                                    \
    "    tail = $_fma(-tail * rest, 1 - tail, tail);\n"                                            \
    "    return x < 0 ? tail : 1 - tail;\n"                                                        \
    "}\n\n"

static const nn_real nn__tanh_terms[] = {
#ifdef NN_DOUBLE
    -3.3701789438184836e-08, 6.7749720562453649e-06,  -3.1675430113700330e-05,
    9.2929623920805311e-05,  -2.3774316308102116e-04, 5.8969957418008039e-04,
    -1.4557813140413085e-03, 3.5921222255145958e-03,  -8.8632351125098388e-03,
    2.1869488517569719e-02,  -5.3968253967789648e-02, 1.3333333333332795e-01,
    -3.3333333333333331e-01
#else
    -6.29499415e-03f, 2.11311579e-02f, -5.38790785e-02f, 1.33329615e-01f, -3.33333313e-01f
#endif
};

/* Below 0.6: x + x^3 p(x^2), p minimax. Above: 1 - 2 / (exp(2|x|) + 1), with the sign of x. */
static nn_real nn__tanh(nn_real x)
{
    nn_real size = nn__absolute(x), z = x * x, p;

    p = nn__polynomial(nn__tanh_terms, NN__COUNT(nn__tanh_terms), z);
    p = size < (nn_real)NN__TANH_LIMIT ? nn__fma(x * z, p, x) : 1 - 2 / (nn__exp(2 * size) + 1);
    return nn__from_bits(nn__to_bits(p) | (nn__to_bits(x) & NN__SIGN_BIT)); /* also of -0 */
}

#define NN__DEFINE_TANH                                                                            \
    NN__INLINE NN__VECTOR NN__NAME(tanh)(NN__VECTOR x)                                             \
    {                                                                                              \
        const NN__VECTOR one = NN__SET1(1), size = NN__ABSOLUTE(x), z = NN__MUL(x, x);             \
        NN__VECTOR p = NN__NAME(polynomial)(nn__tanh_terms, NN__COUNT(nn__tanh_terms), z);         \
        NN__VECTOR e = NN__NAME(exp)(NN__ADD(size, size), 0, 1);                                   \
                                                                                                   \
        p = NN__FMA(NN__MUL(x, z), p, x);                                                          \
        e = NN__SUB(one, NN__DIV(NN__SET1(2), NN__ADD(e, one)));                                   \
        p = NN__SELECT_LESS(size, NN__SET1((nn_real)NN__TANH_LIMIT), p, e);                        \
        return NN__BITS_OR(p, NN__BITS_AND(x, NN__SET1_BITS(NN__SIGN_BIT)));                       \
    }

#define NN__C_MATH_TANH                                                                            \
    NN__C_CONSTANT("tanh_limit", NN__TANH_LIMIT)                                                   \
    "static @ $_tanh(@ x)\n"                                                                       \
    "{\n"                                                                                          \
    "    @ size = x < 0 ? -x : x, z = x * x, p;\n\n"                                               \
    "    p = $_polynomial($_tanh_terms, (int)(sizeof $_tanh_terms / sizeof(@)), z);\n"             \
    "    p = size < (@)$_tanh_limit ? $_fma(x * z, p, x) : 1 - 2 / ($_exp(2 * size) + 1);\n"       \
    "    return $_from_bits($_to_bits(p) | ($_to_bits(x) & $_to_bits(-(@)0))); /* also of -0 */\n" \
    "}\n\n"

/* exp(x) - 1 for x <= 0, without the loss of digits near 0. exp's own reduction gives
   exp(x) = 2^n (1 + p), and so 2^n p + (2^n - 1). NaN stays NaN. */
static nn_real nn__expm1(nn_real x)
{
    nn_real rounded, count, r, q, p, scale;

    if (x < NN__EXPM1_LOW) x = NN__EXPM1_LOW;
    rounded = nn__fma(x, NN__LOG2_E, NN__ROUNDER);
    count = rounded - NN__ROUNDER;
    r = nn__fma(-count, NN__LN2_LOW, nn__fma(-count, NN__LN2_HIGH, x));
    q = nn__polynomial(nn__exp_terms, NN__COUNT(nn__exp_terms), r);
    p = nn__fma(r * r, q, r);
    scale = nn__power_of_two(nn__to_bits(rounded) - nn__to_bits(NN__ROUNDER) + NN__BIAS);
    return nn__fma(scale, p, scale - 1);
}

#define NN__DEFINE_EXPM1                                                                           \
    NN__INLINE NN__VECTOR NN__NAME(expm1)(NN__VECTOR x)                                            \
    {                                                                                              \
        const NN__VECTOR one = NN__SET1(1), rounder = NN__SET1(NN__ROUNDER);                       \
        NN__VECTOR rounded, count, r, q, p, scale;                                                 \
                                                                                                   \
        x = NN__MAX(NN__SET1(NN__EXPM1_LOW), x);                                                   \
        rounded = NN__FMA(x, NN__SET1(NN__LOG2_E), rounder);                                       \
        count = NN__SUB(rounded, rounder);                                                         \
        r = NN__FNMA(count, NN__SET1(NN__LN2_HIGH), x);                                            \
        r = NN__FNMA(count, NN__SET1(NN__LN2_LOW), r);                                             \
        q = NN__NAME(polynomial)(nn__exp_terms, NN__COUNT(nn__exp_terms), r);                      \
        p = NN__FMA(NN__MUL(r, r), q, r);                                                          \
        scale = NN__BITS_SUB(rounded, NN__SET1_BITS(nn__to_bits(NN__ROUNDER) - NN__BIAS));         \
        scale = NN__BITS_LEFT(scale, NN__MANTISSA);                                                \
        return NN__FMA(scale, p, NN__SUB(scale, one));                                             \
    }

#define NN__C_MATH_EXPM1                                                                           \
    NN__C_CONSTANT("expm1_low", NN__EXPM1_LOW)                                                     \
    "static @ $_expm1(@ x)\n"                                                                      \
    "{\n"                                                                                          \
    "    @ rounded, count, r, q, p, scale;\n\n"                                                    \
    "    if (x < $_expm1_low) x = $_expm1_low;\n"                                                  \
    "    rounded = $_fma(x, $_log2_e, $_rounder);\n"                                               \
    "    count = rounded - $_rounder;\n"                                                           \
    "    r = $_fma(-count, $_ln2_low, $_fma(-count, $_ln2_high, x));\n"                            \
    "    q = $_polynomial($_exp_terms, (int)(sizeof $_exp_terms / sizeof(@)), r);\n"               \
    "    p = $_fma(r * r, q, r);\n"                                                                \
    "    scale = $_from_bits(($_to_bits(rounded) - $_to_bits($_rounder) + $_bias) << "             \
    "$_mantissa);\n"                                                                               \
    "    return $_fma(scale, p, scale - 1);\n"                                                     \
    "}\n\n"

static const nn_real nn__erf_near_terms[] = {
#ifdef NN_DOUBLE
    1.0249235885422324e-08,  -1.5541175342824789e-07, 1.6374913763724514e-06,
    -1.4919843365073689e-05, 1.2055082678625153e-04,  -8.5483200610301895e-04,
    5.2239775042695778e-03,  -2.6866170632790249e-02, 1.1283791670890468e-01,
    -3.7612638903182427e-01, 1.2837916709551253e-01
#else
    -6.09036128e-04f, 5.01196319e-03f, -2.67789084e-02f, 1.12821408e-01f,
    -3.76125246e-01f, 1.28379151e-01f
#endif
};
static const nn_real nn__erf_far_terms[] = {
#ifdef NN_DOUBLE
    -6.955392144494678e-12,
    2.821109731441193e-10,
    -5.3120291970473516e-09,
    6.1478983205638499e-08,
    -4.8673830089553337e-07,
    2.7609661377486139e-06,
    -1.127846480260932e-05,
    3.1261544499305342e-05,
    -4.163436894769263e-05,
    -9.2416545538713383e-05,
    7.0360516622124559e-04,
    -1.8333329433184572e-03,
    3.3181359513005041e-04,
    1.9047181734548696e-02,
    -1.0273362801917395e-01,
    -6.366325942910217e-01,
    -1.1283765750766337,
    -2.429341571418397e-07
#else
    1.98219379e-04f,  -3.06548784e-03f, 2.23152041e-02f, -1.04113661e-01f,
    -6.36976123e-01f, -1.12779725f,     -1.66449798e-04f
#endif
};

/* The error function. Below 0.9: x + x p(x^2). Above: 1 - exp(q(|x|)), with the sign of x. p and q are
   minimax polynomials; q is the logarithm of 1 - erf. */
static nn_real nn__erf(nn_real x)
{
    nn_real size = nn__absolute(x), z = x * x, p;

    if (size > NN__ERF_HIGH) size = NN__ERF_HIGH;
    p = nn__polynomial(nn__erf_near_terms, NN__COUNT(nn__erf_near_terms), z);
    if (size < (nn_real)NN__ERF_LIMIT)
        p = nn__fma(x, p, x);
    else
        p = 1 - nn__exp(nn__polynomial(nn__erf_far_terms, NN__COUNT(nn__erf_far_terms), size));
    return nn__from_bits(nn__to_bits(p) | (nn__to_bits(x) & NN__SIGN_BIT));
}

#define NN__DEFINE_ERF                                                                             \
    NN__INLINE NN__VECTOR NN__NAME(erf)(NN__VECTOR x)                                              \
    {                                                                                              \
        const NN__VECTOR one = NN__SET1(1), z = NN__MUL(x, x);                                     \
        const NN__VECTOR size = NN__MIN(NN__SET1(NN__ERF_HIGH), NN__ABSOLUTE(x));                  \
        NN__VECTOR p, q;                                                                           \
                                                                                                   \
        p = NN__NAME(polynomial)(nn__erf_near_terms, NN__COUNT(nn__erf_near_terms), z);            \
        q = NN__NAME(polynomial)(nn__erf_far_terms, NN__COUNT(nn__erf_far_terms), size);           \
        q = NN__SUB(one, NN__NAME(exp)(q, 0, 0));                                                  \
        p = NN__SELECT_LESS(size, NN__SET1((nn_real)NN__ERF_LIMIT), NN__FMA(x, p, x), q);          \
        return NN__BITS_OR(p, NN__BITS_AND(x, NN__SET1_BITS(NN__SIGN_BIT)));                       \
    }

#define NN__C_MATH_ERF                                                                             \
    NN__C_CONSTANT("erf_high", NN__ERF_HIGH)                                                       \
    NN__C_CONSTANT("erf_limit", NN__ERF_LIMIT)                                                     \
    "static @ $_erf(@ x)\n"                                                                        \
    "{\n"                                                                                          \
    "    @ size = x < 0 ? -x : x, z = x * x, p;\n\n"                                               \
    "    if (size > $_erf_high) size = $_erf_high;\n"                                              \
    "    p = $_polynomial($_erf_near_terms, (int)(sizeof $_erf_near_terms / sizeof(@)), z);\n"     \
    "    if (size < (@)$_erf_limit)\n"                                                             \
    "        p = $_fma(x, p, x);\n"                                                                \
    "    else\n"                                                                                   \
    "        p = 1 - $_exp($_polynomial($_erf_far_terms, (int)(sizeof $_erf_far_terms / "          \
    "sizeof(@)),\n"                                                                                \
    "                                   size));\n"                                                 \
    "    return $_from_bits($_to_bits(p) | ($_to_bits(x) & $_to_bits(-(@)0)));\n"                  \
    "}\n\n"

static const nn_real nn__log1p_terms[] = {
#ifdef NN_DOUBLE
    0.14617797125374243, 0.15331610842054682, 0.18182892462868555, 0.22222211090523290,
    0.28571428626210205, 0.39999999999899277, 0.66666666666666696
#else
    0.225838762f, 0.285893440f, 0.399995536f, 0.666666687f
#endif
};

/* log(1 + x) = k ln 2 + log(1 + f), with 1 + f in [sqrt(1/2), sqrt(2)); with s = f / (2 + f),
   log(1 + f) = 2 atanh(s) = f - s (f - s^2 R(s^2)), R minimax; c mends the rounding of 1 + x.
   The method of fdlibm's s_log1p.c. -infinity at -1, NaN below. */
static nn_real nn__log1p(nn_real x)
{
    nn_real u = x + 1, c = 0, f = x, k, s, z, q;
    nn__bits bits = nn__to_bits(u) + (NN__ONE_BITS - NN__ROOT_HALF_BITS);

    if (!(u > 0)) return u < 0 ? (u - u) / (u - u) : u == 0 ? -1 / u : x;
    if (!nn__is_finite(x)) return x;
    k = (nn_real)((int)(bits >> NN__MANTISSA) - NN__BIAS);
    if (k != 0) { /* otherwise f = x is exact */
        c = (k > 1 ? 1 - (u - x) : x - (u - 1)) / u;
        bits = (bits & (((nn__bits)1 << NN__MANTISSA) - 1)) + NN__ROOT_HALF_BITS;
        f = nn__from_bits(bits) - 1;
    }
    s = f / (f + 2);
    z = s * s;
    q = nn__polynomial(nn__log1p_terms, NN__COUNT(nn__log1p_terms), z);
    f = nn__fma(-s, nn__fma(-z, q, f), f);
    return nn__fma(k, NN__LN2_HIGH, nn__fma(k, NN__LN2_LOW, c) + f);
}

/* log1p(exp(-|z|)): what softplus(z) = log(1 + exp(z)) has beside max(z, 0), and the logarithm of a
   sigmoid too. */
static nn_real nn__softplus_tail(nn_real z)
{
    return nn__log1p(nn__exp(-nn__absolute(z)));
}

/* log1p's argument is in [0, 1] or NaN, so that k is 0 or 1. */
#define NN__DEFINE_SOFTPLUS_TAIL                                                                   \
    NN__INLINE NN__VECTOR NN__NAME(softplus_tail)(NN__VECTOR z)                                    \
    {                                                                                              \
        const NN__VECTOR zero = NN__SET1(0), one = NN__SET1(1);                                    \
        const NN__VECTOR x = NN__NAME(exp)(NN__LESS_ABSOLUTE(z), 1, 0), u = NN__ADD(x, one);       \
        NN__VECTOR bits = NN__BITS_ADD(u, NN__SET1_BITS(NN__ONE_BITS - NN__ROOT_HALF_BITS));       \
        NN__VECTOR k, c, f, s, w;                                                                  \
                                                                                                   \
        k = NN__BITS_ADD(NN__BITS_RIGHT(bits, NN__MANTISSA), NN__SET1(NN__ROUNDER));               \
        k = NN__SUB(k, NN__SET1(NN__ROUNDER + NN__BIAS));                                          \
        c = NN__DIV(NN__SUB(x, NN__SUB(u, one)), u);                                               \
        c = NN__SELECT_LESS(zero, k, c, zero);                                                     \
        bits = NN__BITS_AND(bits, NN__SET1_BITS(((nn__bits)1 << NN__MANTISSA) - 1));               \
        f = NN__SUB(NN__BITS_ADD(bits, NN__SET1_BITS(NN__ROOT_HALF_BITS)), one);                   \
        f = NN__SELECT_LESS(zero, k, f, x);                                                        \
        s = NN__DIV(f, NN__ADD(f, NN__SET1(2)));                                                   \
        w = NN__MUL(s, s);                                                                         \
        w = NN__FNMA(w, NN__NAME(polynomial)(nn__log1p_terms, NN__COUNT(nn__log1p_terms), w), f);  \
        f = NN__FNMA(s, w, f);                                                                     \
        c = NN__FMA(k, NN__SET1(NN__LN2_LOW), c);                                                  \
        return NN__FMA(k, NN__SET1(NN__LN2_HIGH), NN__ADD(c, f));                                  \
    }

#define NN__C_MATH_SOFTPLUS_TAIL                                                                   \
    NN__C_CONSTANT("root_half_bits", NN__ROOT_HALF_BITS)                                           \
    "static @ $_softplus_tail(@ z)\n"                                                              \
    "{\n"                                                                                          \
    "    const @ x = $_exp(z < 0 ? z : -z), u = x + 1;\n"                                          \
    "    $_bits bits = $_to_bits(u) + ($_to_bits(1) - $_root_half_bits);\n"                        \
    "    @ k = (@)((int)(bits >> $_mantissa) - $_bias), c = 0, f = x, s, w;\n\n"                   \
    "    if (k > 0) {\n"                                                                           \
    "        c = (x - (u - 1)) / u;\n"                                                             \
    "        bits = (bits & ((($_bits)1 << $_mantissa) - 1)) + $_root_half_bits;\n"                \
    "        f = $_from_bits(bits) - 1;\n"                                                         \
    "    }\n"                                                                                      \
    "    s = f / (f + 2);\n"                                                                       \
    "    w = s * s;\n"                                                                             \
    "    w = $_fma(-w, $_polynomial($_log1p_terms, (int)(sizeof $_log1p_terms / sizeof(@)), w), "  \
    "f);\n"                                                                                        \
    "    f = $_fma(-s, w, f);\n"                                                                   \
    "    return $_fma(k, $_ln2_high, $_fma(k, $_ln2_low, c) + f);\n"                               \
    "}\n\n"

#ifndef NN_NO_TRAIN
/* out[count] = log1p(exp(-|z|)) */
static void nn__softplus_tails_scalar(const nn_real *z, nn_real *out, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) out[i] = nn__softplus_tail(z[i]);
}
#endif

#define NN__DEFINE_SOFTPLUS_TAILS                                                                  \
    static NN__TARGET void NN__NAME(softplus_tails)(const nn_real *z, nn_real *out, size_t count)  \
    {                                                                                              \
        size_t i;                                                                                  \
                                                                                                   \
        for (i = 0; i < count; i += NN__LANES) {                                                   \
            const int n = NN__LANES_OF(count - i);                                                 \
            NN__STORE_UP_TO(out + i, NN__NAME(softplus_tail)(NN__LOAD_UP_TO(z + i, n)), n);        \
        }                                                                                          \
    }

#ifndef NN_NO_TRAIN

static void nn__add(nn__sum *sum, nn_real x)
{
    const nn_real high = sum->high + x, added = high - sum->high;

    sum->low += (sum->high - (high - added)) + (x - added);
    sum->high = high;
}

static void nn__add_sum(nn__sum *sum, const nn__sum *other)
{
    nn__add(sum, other->high);
    nn__add(sum, other->low);
}

static nn_real nn__total(const nn__sum *sum)
{
    return nn__is_finite(sum->low) ? sum->high + sum->low : sum->high;
}

/* a * b, rounded: volatile so that no compiler fuses it with the sum it goes into. */
static nn_real nn__rounded_product(nn_real a, nn_real b)
{
    volatile nn_real product = a * b;

    return product;
}

/* cos(pi x) for x in [0, 1], as sin(pi u) with u = 1/2 - x: the minimax polynomial of sin(pi u) / u
   in u^2. Within 4 units of nn_real's epsilon. */
static nn_real nn__cosine_of_pi(nn_real x)
{
    static const nn_real terms[] = {
        (nn_real)7.3923008638194463e-07, (nn_real)-2.1871019893513873e-05,
        (nn_real)4.6628560045010629e-04, (nn_real)-7.3704272040854201e-03,
        (nn_real)8.2145886136305010e-02, (nn_real)-5.9926452928616225e-01,
        (nn_real)2.5501640398759955e+00, (nn_real)-5.1677127800499497e+00,
        (nn_real)3.1415926535897931e+00,
    };
    nn_real u = (nn_real)0.5 - x;

    return nn__polynomial(terms, NN__COUNT(terms), u * u) * u;
}

/* base^n by squaring. */
static nn_real nn__power(nn_real base, uint32_t n)
{
    nn_real result = 1;

    for (; n; n >>= 1, base *= base)
        if (n & 1) result *= base;
    return result;
}

#endif /* NN_NO_TRAIN */

/* ---- The random generator: PCG32, XSH-RR (O'Neill 2014) -------------------------------------- */

static uint32_t nn__random(uint64_t *state)
{
    uint64_t old = *state;
    uint32_t mixed = (uint32_t)(((old >> 18) ^ old) >> 27), turn = (uint32_t)(old >> 59);

    *state = old * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (mixed >> turn) | (mixed << ((32 - turn) & 31));
}

static uint64_t nn__random_start(uint64_t seed)
{
    uint64_t state = seed + UINT64_C(1442695040888963407);
    nn__random(&state);
    return state;
}

/* Uniform in [0, 1), a multiple of 2^-24: the same in float and in double. */
static nn_real nn__uniform(uint64_t *state)
{
    return (nn_real)(nn__random(state) >> 8) * (nn_real)(1.0 / 16777216);
}

#ifndef NN_NO_TRAIN
/* Number i of a random permutation of 0 .. n-1, 0 <= i < n, without a table: a Feistel network on
   the numbers of as many bits as n - 1 has, walked on until it comes out below n (Black and Rogaway
   2002, "Ciphers with arbitrary finite domains"). Each key gives a permutation. With fewer rounds,
   or fewer bits than 4, the orders of small sets are not even. */
static uint32_t nn__permute(uint32_t i, uint32_t n, uint64_t key)
{
    uint32_t mask = (n - 1) | 15, low = 2, low_mask, round_key, mixed;
    int round;

    mask |= mask >> 1;
    mask |= mask >> 2;
    mask |= mask >> 4;
    mask |= mask >> 8;
    mask |= mask >> 16;
    while ((mask >> low) >= ((uint32_t)1 << low)) low++;
    low_mask = ((uint32_t)1 << low) - 1;
    key += UINT64_C(0x9e3779b97f4a7c15); /* key 0 would leave 0 where it is */
    do {
        round_key = (uint32_t)key;
        for (round = 0; round < 12; round++) {
            round_key = round_key * 0x9e3779b1u + (uint32_t)(key >> 32);
            mixed = ((round & 1 ? i >> low : i & low_mask) + round_key) * 0x85ebca77u;
            mixed = ((mixed ^ (mixed >> 15)) * 0xc2b2ae3du) >> 16;
            i ^= round & 1 ? mixed & low_mask : (mixed << low) & mask;
        }
    } while (i >= n);
    return i;
}
#endif

/* ================================================================================================
   >>product
   ------------------------------------------------------------------------------------------------
   What the dense layers' three products share: one product of two matrices, divided into panels,
   and a panel into tiles, whose sums stay in the registers of a back-end. A lane holds one output
   and does in it what the scalar loop of >>dense does, so that no sum changes its order.
   ============================================================================================= */

#ifdef NN__SIMD

/* c[rows x columns] = start + a[rows x depth] * b[depth x columns], each sum from its start on in
   the order of depth. Element (i, k) of a is a[i * a_row + k * a_step], (i, j) of c is
   c[i * c_row + j]. Element (k, j) of b is b[k * b_row + j]; when it is transposed,
   b[j * b_row + k]. start is [rows x columns] by start_row, which is 0 for one row that serves all:
   a bias, or nn__zeros. It may be c; c overlaps neither a nor b. */
typedef struct nn__product {
    const nn_real *a;
    size_t a_row, a_step;
    const nn_real *b;
    size_t b_row;
    int b_transposed;
    const nn_real *start;
    size_t start_row;
    nn_real *c;
    size_t c_row;
    int rows, columns, depth;
} nn__product;

#define NN__PANEL_DEPTH   256
#define NN__PANEL_COLUMNS (192 / sizeof(nn_real)) /* the most that a back-end has: 3 of 64 bytes */
#define NN__WIDE_VECTORS  8                       /* in a panel of one row */

/* As wide as a panel can be: a vector has at most 16 lanes. */
static const nn_real nn__zeros[NN__WIDE_VECTORS * 16] = {0};

/* What a back-end has for products: panel computes one of at most `columns` columns (with one row:
   8 vectors), b not transposed; transpose copies b[columns x depth] into to[depth x to_row], in
   whole vectors; what is behind the last column is not read. */
typedef struct nn__panels {
    void (*panel)(const nn__product *product);
    void (*transpose)(const nn_real *b, size_t b_row, int columns, int depth, nn_real *to,
                      size_t to_row);
    int lanes, vectors; /* of a register; in a panel */
    size_t pack_row;    /* with rows of b as long as this, panels are copied together first */
} nn__panels;

/* The part of a product from a row and a column on. */
static nn__product nn__part(const nn__product *whole, int row, int rows, int column, int columns)
{
    nn__product part = *whole;

    part.a += (size_t)row * part.a_row;
    part.b += (size_t)column * (part.b_transposed ? part.b_row : 1);
    part.c += (size_t)row * part.c_row + (size_t)column;
    if (part.start != nn__zeros) part.start += (size_t)row * part.start_row + (size_t)column;
    part.rows = rows;
    part.columns = columns;
    return part;
}

/* Width of the panel at a column: as even as whole vectors allow. */
static int nn__panel_width(const nn__panels *p, const nn__product *product, int column)
{
    const int left = product->columns - column, vectors = (left + p->lanes - 1) / p->lanes;
    int width;

    if (product->rows == 1 && vectors >= NN__WIDE_VECTORS)
        width = NN__WIDE_VECTORS * p->lanes;
    else if (vectors <= p->vectors)
        width = left;
    else
        width = vectors / ((vectors + p->vectors - 1) / p->vectors) * p->lanes;
    return width < left ? width : left;
}

/* ---- Tiles and panels ------------------------------------------------------------------------ */

/* One tile of a product: rows x vectors, with `last` lanes in the last vector. All its sums stay
   in registers. rows and vectors are constants wherever it is used, last where it is all lanes. */
#define NN__DEFINE_TILE                                                                            \
    NN__INLINE void NN__NAME(tile)(const nn__product *p, const nn_real *a, const nn_real *start,   \
                                   nn_real *c, const int rows, const int vectors, const int last)  \
    {                                                                                              \
        const size_t a_row = p->a_row, a_step = p->a_step, b_row = p->b_row;                       \
        const size_t start_row = p->start_row, c_row = p->c_row;                                   \
        const int depth = p->depth;                                                                \
        const nn_real *b = p->b;                                                                   \
        NN__VECTOR sum[NN__TILE_ROWS][NN__WIDE_VECTORS], row[NN__WIDE_VECTORS], factor;            \
        int i, v, k;                                                                               \
                                                                                                   \
        NN__UNROLL (i, rows) {                                                                     \
            NN__UNROLL (v, vectors)                                                                \
                sum[i][v] = NN__LOAD_IN_TILE(start + (size_t)i * start_row + v * NN__LANES,        \
                                             v < vectors - 1 ? NN__LANES : last);                  \
        }                                                                                          \
        for (k = 0; k < depth; k++, a += a_step, b += b_row) {                                     \
            NN__UNROLL (v, vectors)                                                                \
                row[v] = NN__LOAD_IN_TILE(b + v * NN__LANES, v < vectors - 1 ? NN__LANES : last);  \
            NN__UNROLL (i, rows) {                                                                 \
                factor = NN__SET1(a[(size_t)i * a_row]);                                           \
                NN__UNROLL (v, vectors) sum[i][v] = NN__FMA(factor, row[v], sum[i][v]);            \
            }                                                                                      \
        }                                                                                          \
        NN__UNROLL (i, rows) {                                                                     \
            NN__UNROLL (v, vectors)                                                                \
                NN__STORE_UP_TO(c + (size_t)i * c_row + v * NN__LANES, sum[i][v],                  \
                                v < vectors - 1 ? NN__LANES : last);                               \
        }                                                                                          \
    }

#define NN__TILE_CASE(n)                                                                           \
    case n:                                                                                        \
        if (n <= NN__TILE_ROWS) NN__NAME(tile)(p, a, start, c, n, vectors, last);                  \
        break;

/* A panel of a product, see nn__panels: its rows in tiles as even as can be. One row of one vector,
   as in small nets, is done without their overhead. */
#define NN__DEFINE_PANEL                                                                           \
    NN__INLINE void NN__NAME(tiles)(const nn__product *p, const int vectors, const int last)       \
    {                                                                                              \
        const int tiles = (p->rows - 1) / NN__TILE_ROWS + 1;                                       \
        const int most = (p->rows - 1) / tiles + 1, larger = p->rows - tiles * (most - 1);         \
        const nn_real *a = p->a, *start = p->start;                                                \
        nn_real *c = p->c;                                                                         \
        int i, rows;                                                                               \
                                                                                                   \
        for (i = 0; i < tiles; i++) {                                                              \
            rows = i < larger ? most : most - 1;                                                   \
            switch (rows) {                                                                        \
                NN__TILE_CASE(1)                                                                   \
                NN__TILE_CASE(2)                                                                   \
                NN__TILE_CASE(3)                                                                   \
                NN__TILE_CASE(4)                                                                   \
                NN__TILE_CASE(5)                                                                   \
                NN__TILE_CASE(6)                                                                   \
                NN__TILE_CASE(7)                                                                   \
                NN__TILE_CASE(8)                                                                   \
            }                                                                                      \
            a += (size_t)rows * p->a_row;                                                          \
            start += (size_t)rows * p->start_row;                                                  \
            c += (size_t)rows * p->c_row;                                                          \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static NN__APART NN__TARGET void NN__NAME(wide_panel)(const nn__product *p)                    \
    {                                                                                              \
        const int vectors = (p->columns + NN__LANES - 1) / NN__LANES;                              \
        const int last = p->columns - (vectors - 1) * NN__LANES;                                   \
                                                                                                   \
        switch (last == NN__LANES ? -vectors : vectors) {                                          \
        case 1: NN__NAME(tiles)(p, 1, last); break;                                                \
        case 2: NN__NAME(tiles)(p, 2, last); break;                                                \
        case 3: NN__NAME(tiles)(p, 3, last); break;                                                \
        case -1: NN__NAME(tiles)(p, 1, NN__LANES); break;                                          \
        case -2: NN__NAME(tiles)(p, 2, NN__LANES); break;                                          \
        case -3: NN__NAME(tiles)(p, 3, NN__LANES); break;                                          \
        case NN__WIDE_VECTORS:                                                                     \
            NN__NAME(tile)(p, p->a, p->start, p->c, 1, NN__WIDE_VECTORS, last);                    \
            break;                                                                                 \
        default: NN__NAME(tile)(p, p->a, p->start, p->c, 1, NN__WIDE_VECTORS, NN__LANES);          \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    NN__INLINE NN__VECTOR NN__NAME(row_of)(const nn_real *a, size_t a_step, const nn_real *b,      \
                                           size_t b_row, const nn_real *start, const int columns,  \
                                           int depth)                                              \
    {                                                                                              \
        NN__VECTOR sum = NN__LOAD_UP_TO(start, columns);                                           \
        int k;                                                                                     \
                                                                                                   \
        for (k = 0; k < depth; k++, a += a_step, b += b_row)                                       \
            sum = NN__FMA(NN__SET1(*a), NN__LOAD_UP_TO(b, columns), sum);                          \
        return sum;                                                                                \
    }                                                                                              \
                                                                                                   \
    NN__INLINE NN__VECTOR NN__NAME(narrow_row)(const nn_real *a, size_t a_step, const nn_real *b,  \
                                               size_t b_row, const nn_real *start, int columns,    \
                                               int depth)                                          \
    {                                                                                              \
        if (columns == NN__LANES)                                                                  \
            return NN__NAME(row_of)(a, a_step, b, b_row, start, NN__LANES, depth);                 \
        if (columns == NN__LANES / 2)                                                              \
            return NN__NAME(row_of)(a, a_step, b, b_row, start, NN__LANES / 2, depth);             \
        if (columns == 1) return NN__NAME(row_of)(a, a_step, b, b_row, start, 1, depth);           \
        return NN__NAME(row_of)(a, a_step, b, b_row, start, columns, depth);                       \
    }                                                                                              \
                                                                                                   \
    static NN__TARGET void NN__NAME(panel)(const nn__product *p)                                   \
    {                                                                                              \
        if (p->rows > 1 || p->columns > NN__LANES) {                                               \
            NN__NAME(wide_panel)(p);                                                               \
        } else {                                                                                   \
            const NN__VECTOR v = NN__NAME(narrow_row)(p->a, p->a_step, p->b, p->b_row, p->start,   \
                                                      p->columns, p->depth);                       \
            NN__STORE_UP_TO(p->c, v, p->columns);                                                  \
        }                                                                                          \
    }

/* b[columns x depth] to its transpose, in squares of a vector each way. The square's rows go
   through perfect shuffles: each turns the bits of (row, lane) by one place, until they are
   exchanged. */
#define NN__DEFINE_TRANSPOSE                                                                       \
    NN__INLINE void NN__NAME(transpose_square)(NN__VECTOR v[NN__LANES])                            \
    {                                                                                              \
        NN__VECTOR t[NN__LANES];                                                                   \
        int i, round;                                                                              \
                                                                                                   \
        NN__UNROLL (round, NN__LOG2_LANES) {                                                       \
            NN__UNROLL (i, NN__LANES / 2) {                                                        \
                t[2 * i] = NN__ZIP_LOW(v[i], v[i + NN__LANES / 2]);                                \
                t[2 * i + 1] = NN__ZIP_HIGH(v[i], v[i + NN__LANES / 2]);                           \
            }                                                                                      \
            NN__UNROLL (i, NN__LANES) v[i] = t[i];                                                 \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static NN__TARGET void NN__NAME(transpose)(const nn_real *b, size_t b_row, int columns,        \
                                               int depth, nn_real *to, size_t to_row)              \
    {                                                                                              \
        NN__VECTOR v[NN__LANES];                                                                   \
        int column, k, i, n;                                                                       \
                                                                                                   \
        for (column = 0; column < columns; column += NN__LANES)                                    \
            for (k = 0; k < depth; k += NN__LANES) {                                               \
                n = NN__LANES_OF(depth - k);                                                       \
                NN__UNROLL (i, NN__LANES) {                                                        \
                    v[i] = NN__SET1(0);                                                            \
                    if (column + i < columns)                                                      \
                        v[i] = NN__LOAD_UP_TO(b + (size_t)(column + i) * b_row + k, n);            \
                }                                                                                  \
                NN__NAME(transpose_square)(v);                                                     \
                NN__UNROLL (i, NN__LANES)                                                          \
                    if (i < n) NN__STORE(to + (size_t)(k + i) * to_row + column, v[i]);            \
            }                                                                                      \
    }

#define NN__DEFINE_PANELS                                                                          \
    static const nn__panels NN__NAME(panels) = {NN__NAME(panel), NN__TRANSPOSE_OR_NULL, NN__LANES, \
                                                NN__TILE_VECTORS, NN__PACK_ROW};

/* ---- Packing, threads, OpenBLAS -------------------------------------------------------------- */

/* By way of a copy of each panel of b, in blocks of depth: b is transposed, or its rows are so far
   apart that they would fall on the same few places of the cache. */
static void nn__multiply_packed(const nn__panels *p, const nn__product *whole)
{
    nn_real memory[NN__PANEL_DEPTH * NN__PANEL_COLUMNS + 16]; /* 49 kB */
    nn_real *const copy = memory + (64 - (uintptr_t)memory % 64) % 64 / sizeof(nn_real);
    const int most = p->vectors * p->lanes;
    int k, column, width, depth, i;

    for (column = 0; column < whole->columns; column += width) {
        width = nn__panel_width(p, whole, column);
        if (width > most) width = most;
        for (k = 0; k < whole->depth; k += depth) {
            nn__product part = nn__part(whole, 0, whole->rows, column, width);
            depth = whole->depth - k < NN__PANEL_DEPTH ? whole->depth - k : NN__PANEL_DEPTH;
            part.a += (size_t)k * part.a_step;
            part.depth = depth;
            if (k) {
                part.start = part.c;
                part.start_row = part.c_row;
            }
            if (part.b_transposed) {
                p->transpose(part.b + k, part.b_row, width, depth, copy, (size_t)most);
            } else {
                for (i = 0; i < depth; i++)
                    memcpy(copy + (size_t)i * (size_t)most,
                           part.b + ((size_t)k + (size_t)i) * part.b_row,
                           (size_t)width * sizeof(nn_real));
            }
            part.b = copy;
            part.b_row = (size_t)most;
            p->panel(&part);
        }
    }
}

/* Without threads. */
static void nn__multiply_alone(const nn__panels *p, const nn__product *product)
{
    nn__product part;
    int column, width;

    if (product->b_transposed) {
        nn__multiply_packed(p, product);
        return;
    }
    if (product->b_row >= p->pack_row && product->rows >= 64 && product->depth > 0) {
        nn__multiply_packed(p, product);
        return;
    }
    for (column = 0; column < product->columns; column += width) {
        width = nn__panel_width(p, product, column);
        part = nn__part(product, 0, product->rows, column, width);
        p->panel(&part);
    }
}

/* Work is divided among threads by outputs. With fewer multiply-adds than this, or outputs of an
   elementwise kernel, to a thread, starting it would cost more than it brings. */
#ifdef NN__THREADS
#define NN__PRODUCT_GRAIN 1e6
#define NN__ELEMENT_GRAIN 3e4

static int nn__pieces(double work, double grain)
{
    const int threads = omp_get_max_threads();
    const double pieces = work / grain;

    return pieces < threads ? (int)pieces : threads;
}

/* Where piece i of several begins, in count outputs that are kept together by unit. */
static int nn__piece(int count, int unit, int i, int pieces)
{
    const int units = (count - 1) / unit + 1;
    const int start = (int)((int64_t)units * i / pieces);

    return i == pieces ? count : start * unit;
}
#endif

#ifdef NN_USE_OPENBLAS
/* By OpenBLAS. The order of its sums is its own: see THE SAME BITS. */
static void nn__multiply_blas(const nn__product *p)
{
    const CBLAS_TRANSPOSE ta = p->a_step == 1 ? CblasNoTrans : CblasTrans;
    const CBLAS_TRANSPOSE tb = p->b_transposed ? CblasTrans : CblasNoTrans;
    const int a_row = (int)(p->a_step == 1 ? p->a_row : p->a_step);
    const int b_row = (int)p->b_row, c_row = (int)p->c_row;
    const nn_real beta = p->start == nn__zeros ? 0 : 1;
    int i;

    for (i = 0; beta > 0 && p->start != p->c && i < p->rows; i++)
        memcpy(p->c + (size_t)i * p->c_row, p->start + (size_t)i * p->start_row,
               (size_t)p->columns * sizeof(nn_real));
#ifdef NN_DOUBLE
    cblas_dgemm(CblasRowMajor, ta, tb, p->rows, p->columns, p->depth, 1, p->a, a_row, p->b, b_row,
                beta, p->c, c_row);
#else
    cblas_sgemm(CblasRowMajor, ta, tb, p->rows, p->columns, p->depth, 1, p->a, a_row, p->b, b_row,
                beta, p->c, c_row);
#endif
}
#endif

/* With threads or OpenBLAS, where they pay. */
static NN__APART void nn__multiply_large(const nn__panels *p, const nn__product *product)
{
#ifdef NN_USE_OPENBLAS
    if (product->rows > 1 &&
        (double)product->rows * product->columns * product->depth >= NN_OPENBLAS_WORK) {
        nn__multiply_blas(product);
        return;
    }
#endif
#ifdef NN__THREADS
    {
        const int rows = product->rows, columns = product->columns;
        const int pieces = nn__pieces((double)rows * columns * product->depth, NN__PRODUCT_GRAIN);
        const int by_rows = rows >= columns && !product->b_transposed;
        int i;

        if (pieces > 1) {
#pragma omp parallel for schedule(static)
            for (i = 0; i < pieces; i++) {
                const int count = by_rows ? rows : columns, unit = by_rows ? 8 : p->lanes;
                const int from = nn__piece(count, unit, i, pieces);
                const int length = nn__piece(count, unit, i + 1, pieces) - from;
                const nn__product part = by_rows ? nn__part(product, from, length, 0, columns)
                                                 : nn__part(product, 0, rows, from, length);
                if (length > 0) nn__multiply_alone(p, &part);
            }
            return;
        }
    }
#endif
    nn__multiply_alone(p, product);
}

static void nn__multiply(const nn__panels *p, const nn__product *product)
{
    if (product->rows < 1 || product->columns < 1) return;
    if (product->columns <= p->lanes && product->rows <= 64 && !product->b_transposed)
        p->panel(product); /* in small nets, this is all */
    else
        nn__multiply_large(p, product);
}

#endif

/* ================================================================================================
   >>activation
   ------------------------------------------------------------------------------------------------
   y = f(z) for each number, or for softmax each row, of a layer's z. A room for each activation,
   one row in a table for all. A room has f, the derivative, both again with vectors, and f as the
   text that nn_export_c writes. The scalar functions define the result; the others compute the same
   bits.

   A derivative's function returns dL/dz = dL/dy * f'(z). Its first argument is y, or z itself in
   the rooms whose row says NN__KEEPS_Z: there y does not determine f'(z), or not well enough.

   To add an activation: its enumerator in nn_activation, its row here, its room below.
   ============================================================================================= */

/* X(enumerator, name in files, ELEMENT or ROW: what f takes, traits). In the order of the enum. */
#define NN__ACTIVATIONS(X)                                                                         \
    X(LINEAR, linear, ELEMENT, 0)                                                                  \
    X(RELU, relu, ELEMENT, 0)                                                                      \
    X(LEAKY_RELU, leaky_relu, ELEMENT, 0)                                                          \
    X(SIGMOID, sigmoid, ELEMENT, NN__CALLS_EXP | NN__CALLS_SIGMOID)                                \
    X(TANH, tanh, ELEMENT, NN__CALLS_EXP | NN__CALLS_TANH)                                         \
    X(SOFTMAX, softmax, ROW, NN__CALLS_EXP)                                                        \
    X(ELU, elu, ELEMENT, NN__CALLS_EXP | NN__CALLS_EXPM1)                                          \
    X(SILU, silu, ELEMENT, NN__KEEPS_Z | NN__CALLS_EXP | NN__CALLS_SIGMOID)                        \
    X(GELU, gelu, ELEMENT, NN__KEEPS_Z | NN__CALLS_EXP | NN__CALLS_ERF)                            \
    X(SOFTPLUS, softplus, ELEMENT, NN__KEEPS_Z | NN__CALLS_EXP | NN__CALLS_LOG1P)

enum {
    NN__KEEPS_Z = 1, /* the derivative is computed from z: the trainer keeps it beside y */
    /* what the exported text calls; all but the first include it */
    NN__CALLS_EXP = 2,
    NN__CALLS_SIGMOID = 4,
    NN__CALLS_TANH = 8,
    NN__CALLS_EXPM1 = 16,
    NN__CALLS_ERF = 32,
    NN__CALLS_LOG1P = 64
};

/* A constant of the exported text: a line that defines $_name as the value of a macro of ours. */
#define NN__C_CONSTANT(name, macro) "#define $_" name " " NN__TEXT(macro) "\n"
#define NN__TEXT(macro)             NN__TEXT_OF(macro)
#define NN__TEXT_OF(value)          #value

NN__CHECK_TABLE(activations, NN__ACTIVATIONS, NN_ACTIVATION_COUNT);

/* ---- Linear ---------------------------------------------------------------------------------- */

/* f(z) = z; derivative 1. */

static nn_real nn__linear(nn_real z)
{
    return z;
}

static inline nn_real nn__linear_gradient(nn_real y, nn_real dy)
{
    (void)y;
    return dy;
}

#define NN__VECTOR_LINEAR                                                                          \
    NN__INLINE NN__VECTOR NN__NAME(linear)(NN__VECTOR z)                                           \
    {                                                                                              \
        return z;                                                                                  \
    }                                                                                              \
                                                                                                   \
    NN__INLINE NN__VECTOR NN__NAME(linear_gradient)(NN__VECTOR y, NN__VECTOR dy)                   \
    {                                                                                              \
        (void)y;                                                                                   \
        return dy;                                                                                 \
    }

#define NN__C_LINEAR ""

/* ---- ReLU ------------------------------------------------------------------------------------ */

/* f(z) = max(z, 0); derivative 1 where y > 0, else 0. NaN stays NaN. */

static nn_real nn__relu(nn_real z)
{
    return z <= 0 ? 0 : z; /* z > 0 ? z : 0 would make -0 of -0 with some compilers only */
}

static inline nn_real nn__relu_gradient(nn_real y, nn_real dy)
{
    return y > 0 ? dy : 0;
}

#define NN__VECTOR_RELU                                                                            \
    NN__INLINE NN__VECTOR NN__NAME(relu)(NN__VECTOR z)                                             \
    {                                                                                              \
        return NN__ADD(NN__MAX(NN__SET1(0), z), NN__SET1(0));                                      \
    }                                                                                              \
                                                                                                   \
    NN__INLINE NN__VECTOR NN__NAME(relu_gradient)(NN__VECTOR y, NN__VECTOR dy)                     \
    {                                                                                              \
        return NN__SELECT_LESS(NN__SET1(0), y, dy, NN__SET1(0));                                   \
    }

#define NN__C_RELU                                                                                 \
    "static @ $_relu(@ z)\n"                                                                       \
    "{\n"                                                                                          \
    "    return z <= 0 ? 0 : z;\n"                                                                 \
    "}\n\n"

/* ---- Leaky ReLU ------------------------------------------------------------------------------ */

/* f(z) = z where z > 0, else 0.01 z; derivative 1 where y > 0, else 0.01 (Maas et al. 2013). */

#define NN__LEAKY_SLOPE 0.01

static nn_real nn__leaky_relu(nn_real z)
{
    return z > 0 ? z : nn__fma((nn_real)NN__LEAKY_SLOPE, z, 0); /* fma: see nn__exp */
}

static inline nn_real nn__leaky_relu_gradient(nn_real y, nn_real dy)
{
    return y > 0 ? dy : (nn_real)NN__LEAKY_SLOPE * dy;
}

#define NN__VECTOR_LEAKY_RELU                                                                      \
    NN__INLINE NN__VECTOR NN__NAME(leaky_relu)(NN__VECTOR z)                                       \
    {                                                                                              \
        const NN__VECTOR zero = NN__SET1(0), slope = NN__SET1((nn_real)NN__LEAKY_SLOPE);           \
                                                                                                   \
        return NN__SELECT_LESS(zero, z, z, NN__FMA(slope, z, zero));                               \
    }                                                                                              \
                                                                                                   \
    NN__INLINE NN__VECTOR NN__NAME(leaky_relu_gradient)(NN__VECTOR y, NN__VECTOR dy)               \
    {                                                                                              \
        const NN__VECTOR slope = NN__SET1((nn_real)NN__LEAKY_SLOPE);                               \
                                                                                                   \
        return NN__SELECT_LESS(NN__SET1(0), y, dy, NN__MUL(slope, dy));                            \
    }

#define NN__C_LEAKY_RELU                                                                           \
    NN__C_CONSTANT("leaky_slope", NN__LEAKY_SLOPE)                                                 \
    "static @ $_leaky_relu(@ z)\n"                                                                 \
    "{\n"                                                                                          \
    "    return z > 0 ? z : $_fma((@)$_leaky_slope, z, 0);\n"                                      \
    "}\n\n"

/* ---- Sigmoid --------------------------------------------------------------------------------- */

/* f(z) = 1 / (1 + exp(-z)): nn__sigmoid, in >>math; derivative y (1 - y). */

static inline nn_real nn__sigmoid_gradient(nn_real y, nn_real dy)
{
    return dy * nn__fma(-y, y, y);
}

#define NN__VECTOR_SIGMOID                                                                         \
    NN__INLINE NN__VECTOR NN__NAME(sigmoid_gradient)(NN__VECTOR y, NN__VECTOR dy)                  \
    {                                                                                              \
        return NN__MUL(dy, NN__FNMA(y, y, y));                                                     \
    }

#define NN__C_SIGMOID "" /* NN__C_MATH_SIGMOID */

/* ---- Tanh ------------------------------------------------------------------------------------ */

/* f(z) = tanh(z): nn__tanh, in >>math; derivative 1 - y^2. */

static inline nn_real nn__tanh_gradient(nn_real y, nn_real dy)
{
    return dy * nn__fma(-y, y, 1);
}

#define NN__VECTOR_TANH                                                                            \
    NN__INLINE NN__VECTOR NN__NAME(tanh_gradient)(NN__VECTOR y, NN__VECTOR dy)                     \
    {                                                                                              \
        return NN__MUL(dy, NN__FNMA(y, y, NN__SET1(1)));                                           \
    }

#define NN__C_TANH "" /* NN__C_MATH_TANH */

/* ---- Softmax --------------------------------------------------------------------------------- */

/* y_j = exp(z_j) / (sum over k of exp(z_k)), over a row; for the last layer only.
   dL/dz_j = y_j (dL/dy_j - sum over k of dL/dy_k y_k). */

/* row[width] becomes softmax(row), from exp(z - largest z), which cannot overflow. Returns the sum
   of those exponentials less the 1 of the largest: log(sum of exp(z)) = largest + log1p(it). */
static nn_real nn__softmax_row_scalar(nn_real *row, int width)
{
    nn_real others = 0, largest;
    int j, top = 0;

    for (j = 1; j < width; j++)
        if (row[j] > row[top]) top = j;
    largest = row[top];
    for (j = 0; j < width; j++) {
        row[j] = nn__exp(row[j] - largest);
        if (j != top) others += row[j]; /* at top it is 1, or NaN */
    }
    for (j = 0; j < width; j++) row[j] /= others + 1;
    return others;
}

#ifndef NN_NO_TRAIN
/* y[width] = softmax(z) becomes dL/dz, from dy[width] = dL/dy. */
static void nn__softmax_gradient_row(nn_real *y, const nn_real *dy, int width)
{
    nn_real sum = 0;
    int j;

    for (j = 0; j < width; j++) sum = nn__fma(dy[j], y[j], sum);
    for (j = 0; j < width; j++) y[j] *= dy[j] - sum;
}
#endif

#define NN__VECTOR_SOFTMAX                                                                         \
    static NN__TARGET nn_real NN__NAME(softmax_row)(nn_real * row, int width)                      \
    {                                                                                              \
        nn_real others = 0;                                                                        \
        NN__VECTOR v;                                                                              \
        int j, n, top = 0;                                                                         \
                                                                                                   \
        for (j = 1; j < width; j++)                                                                \
            if (row[j] > row[top]) top = j;                                                        \
        v = NN__SET1(row[top]);                                                                    \
        for (j = 0; j < width; j += NN__LANES) {                                                   \
            n = NN__LANES_OF(width - j);                                                           \
            NN__STORE_UP_TO(row + j, NN__NAME(exp)(NN__SUB(NN__LOAD_UP_TO(row + j, n), v), 1, 0),  \
                            n);                                                                    \
        }                                                                                          \
        for (j = 0; j < width; j++)                                                                \
            if (j != top) others += row[j];                                                        \
        v = NN__SET1(others + 1);                                                                  \
        for (j = 0; j < width; j += NN__LANES) {                                                   \
            n = NN__LANES_OF(width - j);                                                           \
            NN__STORE_UP_TO(row + j, NN__DIV(NN__LOAD_UP_TO(row + j, n), v), n);                   \
        }                                                                                          \
        return others;                                                                             \
    }                                                                                              \
                                                                                                   \
    NN__OF_TRAINING(static NN__TARGET void NN__NAME(softmax_gradient_row)(                         \
        nn_real * y, const nn_real *dy, int width) {                                               \
        NN__VECTOR sum = NN__SET1(0), v;                                                           \
        int j, n;                                                                                  \
                                                                                                   \
        for (j = 0; j < width; j++) sum = NN__FMA(NN__SET1(dy[j]), NN__SET1(y[j]), sum);           \
        for (j = 0; j < width; j += NN__LANES) {                                                   \
            n = NN__LANES_OF(width - j);                                                           \
            v = NN__SUB(NN__LOAD_UP_TO(dy + j, n), sum);                                           \
            NN__STORE_UP_TO(y + j, NN__MUL(NN__LOAD_UP_TO(y + j, n), v), n);                       \
        }                                                                                          \
    })

#define NN__C_SOFTMAX                                                                              \
    "static void $_softmax(@ *y, int count)\n"                                                     \
    "{\n"                                                                                          \
    "    @ others = 0, largest;\n"                                                                 \
    "    int j, top = 0;\n\n"                                                                      \
    "    for (j = 1; j < count; j++)\n"                                                            \
    "        if (y[j] > y[top]) top = j;\n"                                                        \
    "    largest = y[top];\n"                                                                      \
    "    for (j = 0; j < count; j++) {\n"                                                          \
    "        y[j] = $_exp(y[j] - largest);\n"                                                      \
    "        if (j != top) others += y[j];\n"                                                      \
    "    }\n"                                                                                      \
    "    for (j = 0; j < count; j++) y[j] /= others + 1;\n"                                        \
    "}\n\n"

/* ---- ELU ------------------------------------------------------------------------------------- */

/* f(z) = z where z > 0, else exp(z) - 1; derivative 1 where y > 0, else y + 1 (Clevert et al. 2016,
   with alpha = 1). */
static nn_real nn__elu(nn_real z)
{
    return z > 0 ? z : nn__expm1(z);
}

static inline nn_real nn__elu_gradient(nn_real y, nn_real dy)
{
    return y > 0 ? dy : nn__fma(dy, y, dy);
}

#define NN__VECTOR_ELU                                                                             \
    NN__INLINE NN__VECTOR NN__NAME(elu)(NN__VECTOR z)                                              \
    {                                                                                              \
        return NN__SELECT_LESS(NN__SET1(0), z, z, NN__NAME(expm1)(z));                             \
    }                                                                                              \
                                                                                                   \
    NN__INLINE NN__VECTOR NN__NAME(elu_gradient)(NN__VECTOR y, NN__VECTOR dy)                      \
    {                                                                                              \
        return NN__SELECT_LESS(NN__SET1(0), y, dy, NN__FMA(dy, y, dy));                            \
    }

#define NN__C_ELU                                                                                  \
    "static @ $_elu(@ z)\n"                                                                        \
    "{\n"                                                                                          \
    "    return z > 0 ? z : $_expm1(z);\n"                                                         \
    "}\n\n"

/* ---- SiLU ------------------------------------------------------------------------------------ */

/* f(z) = z s with s = sigmoid(z); derivative s + z s (1 - s) (Elfwing et al. 2018). */
static nn_real nn__silu(nn_real z)
{
    return nn__fma(z, nn__sigmoid(z), 0);
}

static inline nn_real nn__silu_gradient(nn_real z, nn_real dy)
{
    const nn_real s = nn__sigmoid(z);

    return dy * nn__fma(z * s, 1 - s, s);
}

#define NN__VECTOR_SILU                                                                            \
    NN__INLINE NN__VECTOR NN__NAME(silu)(NN__VECTOR z)                                             \
    {                                                                                              \
        return NN__FMA(z, NN__NAME(sigmoid)(z), NN__SET1(0));                                      \
    }                                                                                              \
                                                                                                   \
    NN__INLINE NN__VECTOR NN__NAME(silu_gradient)(NN__VECTOR z, NN__VECTOR dy)                     \
    {                                                                                              \
        const NN__VECTOR s = NN__NAME(sigmoid)(z);                                                 \
                                                                                                   \
        return NN__MUL(dy, NN__FMA(NN__MUL(z, s), NN__SUB(NN__SET1(1), s), s));                    \
    }

#define NN__C_SILU                                                                                 \
    "static @ $_silu(@ z)\n"                                                                       \
    "{\n"                                                                                          \
    "    return $_fma(z, $_sigmoid(z), 0);\n"                                                      \
    "}\n\n"

/* ---- GELU ------------------------------------------------------------------------------------ */

/* f(z) = z P(z) with P(z) = (1 + erf(z / sqrt 2)) / 2, the normal distribution; derivative
   P(z) + z exp(-z^2 / 2) / sqrt(2 pi) (Hendrycks and Gimpel 2016; PyTorch's default form). */
#define NN__ROOT_HALF          0.70710678118654752 /* 1 / sqrt 2 */
#define NN__ONE_BY_ROOT_TWO_PI 0.39894228040143268 /* 1 / sqrt(2 pi) */

static nn_real nn__gelu(nn_real z)
{
    const nn_real half = (nn_real)0.5 * z;

    return nn__fma(half, nn__erf(z * (nn_real)NN__ROOT_HALF), half);
}

static inline nn_real nn__gelu_gradient(nn_real z, nn_real dy)
{
    const nn_real p = nn__fma(nn__erf(z * (nn_real)NN__ROOT_HALF), (nn_real)0.5, (nn_real)0.5);
    const nn_real density = (nn_real)NN__ONE_BY_ROOT_TWO_PI * nn__exp((nn_real)-0.5 * z * z);

    return dy * nn__fma(z, density, p);
}

#define NN__VECTOR_GELU                                                                            \
    NN__INLINE NN__VECTOR NN__NAME(gelu)(NN__VECTOR z)                                             \
    {                                                                                              \
        const NN__VECTOR half = NN__MUL(NN__SET1((nn_real)0.5), z);                                \
        const NN__VECTOR e = NN__NAME(erf)(NN__MUL(z, NN__SET1((nn_real)NN__ROOT_HALF)));          \
                                                                                                   \
        return NN__FMA(half, e, half);                                                             \
    }                                                                                              \
                                                                                                   \
    NN__INLINE NN__VECTOR NN__NAME(gelu_gradient)(NN__VECTOR z, NN__VECTOR dy)                     \
    {                                                                                              \
        const NN__VECTOR half = NN__SET1((nn_real)0.5);                                            \
        const NN__VECTOR e = NN__NAME(erf)(NN__MUL(z, NN__SET1((nn_real)NN__ROOT_HALF)));          \
        const NN__VECTOR w = NN__MUL(NN__MUL(NN__SET1((nn_real)-0.5), z), z);                      \
        const NN__VECTOR scale = NN__SET1((nn_real)NN__ONE_BY_ROOT_TWO_PI);                        \
        const NN__VECTOR density = NN__MUL(scale, NN__NAME(exp)(w, 1, 0));                         \
                                                                                                   \
        return NN__MUL(dy, NN__FMA(z, density, NN__FMA(e, half, half)));                           \
    }

#define NN__C_GELU                                                                                 \
    NN__C_CONSTANT("root_half", NN__ROOT_HALF)                                                     \
    "static @ $_gelu(@ z)\n"                                                                       \
    "{\n"                                                                                          \
    "    const @ half = (@)0.5 * z;\n\n"                                                           \
    "    return $_fma(half, $_erf(z * (@)$_root_half), half);\n"                                   \
    "}\n\n"

/* ---- Softplus -------------------------------------------------------------------------------- */

/* f(z) = log(1 + exp(z)) = max(z, 0) + log1p(exp(-|z|)); derivative sigmoid(z). */
static nn_real nn__softplus(nn_real z)
{
    return (z > 0 ? z : 0) + nn__softplus_tail(z);
}

static inline nn_real nn__softplus_gradient(nn_real z, nn_real dy)
{
    return dy * nn__sigmoid(z);
}

#define NN__VECTOR_SOFTPLUS                                                                        \
    NN__INLINE NN__VECTOR NN__NAME(softplus)(NN__VECTOR z)                                         \
    {                                                                                              \
        return NN__ADD(NN__MAX(z, NN__SET1(0)), NN__NAME(softplus_tail)(z));                       \
    }                                                                                              \
                                                                                                   \
    NN__INLINE NN__VECTOR NN__NAME(softplus_gradient)(NN__VECTOR z, NN__VECTOR dy)                 \
    {                                                                                              \
        return NN__MUL(dy, NN__NAME(sigmoid)(z));                                                  \
    }

#define NN__C_SOFTPLUS                                                                             \
    "static @ $_softplus(@ z)\n"                                                                   \
    "{\n"                                                                                          \
    "    return (z > 0 ? z : 0) + $_softplus_tail(z);\n"                                           \
    "}\n\n"

/* ---- What the table drives ------------------------------------------------------------------- */

#define NN__NAME_OF(ID, name, form, traits) #name,
static const char *const nn__activation_names[] = {NN__ACTIVATIONS(NN__NAME_OF)};

/* Whether there is such an activation, and the program has it compiled in. */
static int nn__has_activation(int activation)
{
    return activation >= 0 && activation < NN_ACTIVATION_COUNT &&
           NN__ONLY(NN_ONLY_ACTIVATIONS, activation);
}

/* z[rows x width] = f(z), in place. */
#define NN__VALUE(ID, name, form, traits)                                                          \
    NN__KEEP_IF_##form(case NN_##ID                                                                \
                       : if (NN__ONLY(NN_ONLY_ACTIVATIONS, NN_##ID)) return nn__##name(z);         \
                       break;)
static nn_real nn__activate_one(nn_activation activation, nn_real z)
{
    switch (activation) {
        NN__ACTIVATIONS(NN__VALUE)
    default: break;
    }
    return z;
}

static void nn__activate_scalar(nn_activation activation, nn_real *z, int rows, int width)
{
    size_t i, count = (size_t)rows * (size_t)width;
    int b;

    if (activation == NN_SOFTMAX) {
        for (b = 0; b < rows; b++)
            (void)nn__softmax_row_scalar(z + (size_t)b * (size_t)width, width);
    } else if (activation != NN_LINEAR) {
        for (i = 0; i < count; i++) z[i] = nn__activate_one(activation, z[i]);
    }
}

/* The same with vectors: each activation's loop is a function of its own. */
#define NN__VECTOR_OF_ROW(ID, name, form, traits) NN__VECTOR_##ID
#define NN__VECTOR_VALUE(ID, name, form, traits)                                                   \
    NN__KEEP_IF_##form(case NN_##ID : return NN__NAME(name)(z);)
#define NN__VECTOR_LOOP(ID, name, form, traits)                                                    \
    NN__KEEP_IF_##form(                                                                            \
        static NN__APART NN__TARGET void NN__NAME(name##_loop)(nn_real * z, size_t count) {        \
            size_t i;                                                                              \
                                                                                                   \
            for (i = 0; i < count; i += NN__LANES) {                                               \
                const int n = NN__LANES_OF(count - i);                                             \
                NN__STORE_UP_TO(z + i, NN__NAME(name)(NN__LOAD_UP_TO(z + i, n)), n);               \
            }                                                                                      \
        })
#define NN__VECTOR_CALL(ID, name, form, traits)                                                    \
    NN__KEEP_IF_##form(case NN_##ID : NN__NAME(name##_loop)(z, count); break;)
#define NN__DEFINE_ACTIVATE                                                                        \
    NN__ACTIVATIONS(NN__VECTOR_OF_ROW)                                                             \
    NN__ACTIVATIONS(NN__VECTOR_LOOP)                                                               \
                                                                                                   \
    NN__INLINE NN__VECTOR NN__NAME(activated)(nn_activation activation, NN__VECTOR z)              \
    {                                                                                              \
        switch (activation) {                                                                      \
            NN__ACTIVATIONS(NN__VECTOR_VALUE)                                                      \
        default: return z;                                                                         \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static NN__TARGET void NN__NAME(activate)(nn_activation activation, nn_real * z, int rows,     \
                                              int width)                                           \
    {                                                                                              \
        const size_t columns = (size_t)width, count = (size_t)rows * columns;                      \
        int b;                                                                                     \
                                                                                                   \
        switch (activation) {                                                                      \
            NN__ACTIVATIONS(NN__VECTOR_CALL)                                                       \
        case NN_SOFTMAX:                                                                           \
            for (b = 0; b < rows; b++)                                                             \
                (void)NN__NAME(softmax_row)(z + (size_t)b * columns, width);                       \
            break;                                                                                 \
        default: break;                                                                            \
        }                                                                                          \
    }

#ifdef NN__SIMD
typedef void (*nn__activate_kernel)(nn_activation, nn_real *, int, int);

/* A back-end's activate, with the rows divided among threads. */
static void nn__activate_in_parallel(nn__activate_kernel activate, nn_activation activation,
                                     nn_real *z, int rows, int width)
{
#ifdef NN__THREADS
    int pieces = nn__pieces((double)rows * width, NN__ELEMENT_GRAIN), i;

    if (pieces > rows) pieces = rows;
    if (pieces > 1) {
#pragma omp parallel for schedule(static)
        for (i = 0; i < pieces; i++) {
            const int from = nn__piece(rows, 1, i, pieces);
            activate(activation, z + (size_t)from * (size_t)width,
                     nn__piece(rows, 1, i + 1, pieces) - from, width);
        }
        return;
    }
#endif
    activate(activation, z, rows, width);
}
#endif

#ifndef NN_NO_TRAIN

#define NN__TRAITS_OF(ID, name, form, traits) traits,
static const unsigned char nn__activation_traits[] = {NN__ACTIVATIONS(NN__TRAITS_OF)};

/* Whether an activation's derivative is computed from z and not from y. */
NN__HOT int nn__keeps_z(nn_activation activation)
{
    return nn__activation_traits[activation] & NN__KEEPS_Z;
}

/* dL/dz from s, which is y or z as the traits say, and dy = dL/dy. */
#define NN__GRADIENT(ID, name, form, traits)                                                       \
    NN__KEEP_IF_##form(                                                                            \
        case NN_##ID                                                                               \
        : if (NN__ONLY(NN_ONLY_ACTIVATIONS, NN_##ID)) return nn__##name##_gradient(s, dy);         \
        break;)
static nn_real nn__activation_gradient_one(nn_activation activation, nn_real s, nn_real dy)
{
    switch (activation) {
        NN__ACTIVATIONS(NN__GRADIENT)
    default: break;
    }
    return dy;
}

/* s[rows x width] becomes dL/dz, from dy[rows x width] = dL/dy. */
static void nn__activation_gradient_scalar(nn_activation activation, nn_real *s, const nn_real *dy,
                                           int rows, int width)
{
    size_t i, count = (size_t)rows * (size_t)width;
    int b;

    if (activation == NN_SOFTMAX) {
        for (b = 0; b < rows; b++, s += width, dy += width) nn__softmax_gradient_row(s, dy, width);
    } else {
        for (i = 0; i < count; i++) s[i] = nn__activation_gradient_one(activation, s[i], dy[i]);
    }
}

#define NN__VECTOR_GRADIENT(ID, name, form, traits)                                                \
    NN__KEEP_IF_##form(case NN_##ID : return NN__NAME(name##_gradient)(s, dy);)
#define NN__VECTOR_GRADIENT_LOOP(ID, name, form, traits)                                           \
    NN__KEEP_IF_##form(static NN__APART NN__TARGET void NN__NAME(name##_gradient_loop)(            \
        nn_real * s, const nn_real *dy, size_t count) {                                            \
        size_t i;                                                                                  \
                                                                                                   \
        for (i = 0; i < count; i += NN__LANES) {                                                   \
            const int n = NN__LANES_OF(count - i);                                                 \
            const NN__VECTOR v = NN__LOAD_UP_TO(s + i, n), d = NN__LOAD_UP_TO(dy + i, n);          \
            NN__STORE_UP_TO(s + i, NN__NAME(name##_gradient)(v, d), n);                            \
        }                                                                                          \
    })
#define NN__VECTOR_GRADIENT_CALL(ID, name, form, traits)                                           \
    NN__KEEP_IF_##form(case NN_##ID : NN__NAME(name##_gradient_loop)(s, dy, count); break;)
#define NN__DEFINE_ACTIVATION_GRADIENT                                                             \
    NN__ACTIVATIONS(NN__VECTOR_GRADIENT_LOOP)                                                      \
                                                                                                   \
    NN__INLINE NN__VECTOR NN__NAME(differentiated)(nn_activation activation, NN__VECTOR s,         \
                                                   NN__VECTOR dy)                                  \
    {                                                                                              \
        switch (activation) {                                                                      \
            NN__ACTIVATIONS(NN__VECTOR_GRADIENT)                                                   \
        default: return dy;                                                                        \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static NN__TARGET void NN__NAME(activation_gradient)(nn_activation activation, nn_real * s,    \
                                                         const nn_real *dy, int rows, int width)   \
    {                                                                                              \
        const size_t columns = (size_t)width, count = (size_t)rows * columns;                      \
        int b;                                                                                     \
                                                                                                   \
        switch (activation) {                                                                      \
            NN__ACTIVATIONS(NN__VECTOR_GRADIENT_CALL)                                              \
        case NN_SOFTMAX:                                                                           \
            for (b = 0; b < rows; b++, s += width, dy += width)                                    \
                NN__NAME(softmax_gradient_row)(s, dy, width);                                      \
            break;                                                                                 \
        default: break;                                                                            \
        }                                                                                          \
    }

#ifdef NN__SIMD
typedef void (*nn__gradient_kernel)(nn_activation, nn_real *, const nn_real *, int, int);

/* A back-end's activation_gradient, with the rows divided among threads. */
static void nn__gradient_in_parallel(nn__gradient_kernel gradient, nn_activation activation,
                                     nn_real *s, const nn_real *dy, int rows, int width)
{
#ifdef NN__THREADS
    int pieces = nn__pieces((double)rows * width, NN__ELEMENT_GRAIN), i;

    if (pieces > rows) pieces = rows;
    if (pieces > 1) {
#pragma omp parallel for schedule(static)
        for (i = 0; i < pieces; i++) {
            const int from = nn__piece(rows, 1, i, pieces);
            const size_t at = (size_t)from * (size_t)width;
            gradient(activation, s + at, dy + at, nn__piece(rows, 1, i + 1, pieces) - from, width);
        }
        return;
    }
#endif
    gradient(activation, s, dy, rows, width);
}
#endif
#endif /* NN_NO_TRAIN */

/* ================================================================================================
   >>dense
   ------------------------------------------------------------------------------------------------
   The rows that a layer is given, and its three products: forward, weight gradient, input gradient.
   Each output is one chain of multiply-adds, in the order of the summed index.
   ============================================================================================= */

/* ---- Input rows ------------------------------------------------------------------------------ */

/* out[rows x width] = (x - offset[width]) * factor[width], or x when offset is NULL; row b from row
   index[b] of x, or from row b when index is NULL. */
static void nn__scale_rows_scalar(const nn_real *x, const size_t *index, const nn_real *offset,
                                  const nn_real *factor, nn_real *out, int rows, int width)
{
    int b, i;

    for (b = 0; b < rows; b++) {
        const nn_real *row = x + (index ? index[b] : (size_t)b) * (size_t)width;
        for (i = 0; i < width; i++) *out++ = offset ? (row[i] - offset[i]) * factor[i] : row[i];
    }
}

#define NN__DEFINE_SCALE_ROWS                                                                      \
    static NN__TARGET void NN__NAME(scale_rows)(const nn_real *x, const size_t *index,             \
                                                const nn_real *offset, const nn_real *factor,      \
                                                nn_real *out, int rows, int width)                 \
    {                                                                                              \
        NN__VECTOR v;                                                                              \
        int b, i, n;                                                                               \
                                                                                                   \
        for (b = 0; b < rows; b++, out += width) {                                                 \
            const nn_real *row = x + (index ? index[b] : (size_t)b) * (size_t)width;               \
            for (i = 0; i < width; i += NN__LANES) {                                               \
                n = NN__LANES_OF(width - i);                                                       \
                v = NN__LOAD_UP_TO(row + i, n);                                                    \
                if (offset) {                                                                      \
                    v = NN__SUB(v, NN__LOAD_UP_TO(offset + i, n));                                 \
                    v = NN__MUL(v, NN__LOAD_UP_TO(factor + i, n));                                 \
                }                                                                                  \
                NN__STORE_UP_TO(out + i, v, n);                                                    \
            }                                                                                      \
        }                                                                                          \
    }

static int nn__all_finite_scalar(const nn_real *x, size_t count)
{
    int good = 1;
    size_t i;

    for (i = 0; i < count; i++) good &= nn__is_finite(x[i]);
    return good;
}

#define NN__DEFINE_ALL_FINITE                                                                      \
    static NN__TARGET int NN__NAME(all_finite)(const nn_real *x, size_t count)                     \
    {                                                                                              \
        NN__VECTOR bad = NN__SET1(0), v;                                                           \
        size_t i;                                                                                  \
                                                                                                   \
        for (i = 0; i < count; i += NN__LANES) {                                                   \
            v = NN__LOAD_UP_TO(x + i, NN__LANES_OF(count - i));                                    \
            bad = NN__BITS_OR(bad, NN__SUB(v, v));                                                 \
        }                                                                                          \
        return !NN__ANY_BITS(bad);                                                                 \
    }

/* ---- Forward --------------------------------------------------------------------------------- */

/* y[rows x out] = activation(x[rows x in] * w[in x out] + bias[out]), y overwritten. Each sum
   starts at its bias and goes in the order of k. */
static void nn__dense_forward_scalar(const nn_real *x, const nn_real *w, const nn_real *bias,
                                     nn_real *y, int rows, int in, int out,
                                     nn_activation activation)
{
    nn_real *z = y;
    int b, j, k;

    for (b = 0; b < rows; b++, z += out) {
        const nn_real *row = w;
        for (j = 0; j < out; j++) z[j] = bias[j];
        for (k = 0; k < in; k++, x++, row += out)
            for (j = 0; j < out; j++) z[j] = nn__fma(*x, row[j], z[j]);
    }
    nn__activate_scalar(activation, y, rows, out);
}

#ifdef NN__SIMD

/* As nn__dense_forward_scalar; activate is the back-end's. */
static NN__APART void nn__multiply_forward(const nn__panels *p, const nn_real *x, const nn_real *w,
                                           const nn_real *bias, nn_real *y, int rows, int in,
                                           int out, nn_activation activation,
                                           nn__activate_kernel activate)
{
    nn__product product;

    product.a = x;
    product.a_row = (size_t)in;
    product.a_step = 1;
    product.b = w;
    product.b_row = product.c_row = (size_t)out;
    product.b_transposed = 0;
    product.start = bias;
    product.start_row = 0;
    product.c = y;
    product.rows = rows;
    product.columns = out;
    product.depth = in;
    nn__multiply(p, &product);
    if (activation != NN_LINEAR) nn__activate_in_parallel(activate, activation, y, rows, out);
}

#endif

#define NN__DEFINE_DENSE_FORWARD                                                                   \
    static NN__TARGET void NN__NAME(dense_forward)(const nn_real *x, const nn_real *w,             \
                                                   const nn_real *bias, nn_real *y, int rows,      \
                                                   int in, int out, nn_activation activation)      \
    {                                                                                              \
        NN__VECTOR v;                                                                              \
                                                                                                   \
        if (rows > 1 || out > NN__LANES || activation == NN_SOFTMAX) {                             \
            nn__multiply_forward(&NN__NAME(panels), x, w, bias, y, rows, in, out, activation,      \
                                 NN__NAME(activate));                                              \
            return;                                                                                \
        }                                                                                          \
        if (rows < 1 || out < 1) return;                                                           \
        v = NN__NAME(narrow_row)(x, 1, w, (size_t)out, bias, out, in);                             \
        v = NN__NAME(activated)(activation, v);                                                    \
        NN__STORE_UP_TO(y, v, out);                                                                \
    }

/* A number as a file has it: little-endian, at any address. */
static nn_real nn__stored_real(const unsigned char *b)
{
    nn__bits bits = NN_READ_BYTE(b) | (nn__bits)NN_READ_BYTE(b + 1) << 8 |
                    (nn__bits)NN_READ_BYTE(b + 2) << 16 | (nn__bits)NN_READ_BYTE(b + 3) << 24;
#ifdef NN_DOUBLE
    bits |= (nn__bits)NN_READ_BYTE(b + 4) << 32 | (nn__bits)NN_READ_BYTE(b + 5) << 40 |
            (nn__bits)NN_READ_BYTE(b + 6) << 48 | (nn__bits)NN_READ_BYTE(b + 7) << 56;
#endif
    return nn__from_bits(bits);
}

/* The same from a file's w[out x in] and bias[out]: each sum is the same chain. */
static void nn__stored_forward(const nn_real *x, const unsigned char *w, nn_real *y, int rows,
                               int in, int out, nn_activation activation)
{
    const unsigned char *bias = w + (size_t)in * (size_t)out * sizeof(nn_real), *stored;
    nn_real *z = y, sum;
    int b, j, k;

    for (b = 0; b < rows; b++, x += in) {
        stored = w;
        for (j = 0; j < out; j++) {
            sum = nn__stored_real(bias + (size_t)j * sizeof(nn_real));
            for (k = 0; k < in; k++, stored += sizeof(nn_real))
                sum = nn__fma(x[k], nn__stored_real(stored), sum);
            *z++ = sum;
        }
    }
    nn__activate_scalar(activation, y, rows, out);
}

#ifndef NN_NO_TRAIN

/* ---- Weight gradient ------------------------------------------------------------------------- */

/* dw[in x out] = x[rows x in]^T * dz[rows x out], db[out] = column sums of dz; both are added to
   when accumulate is set and overwritten when not. Sums in the order of the rows. */
static void nn__dense_weight_gradient_scalar(const nn_real *x, const nn_real *dz, nn_real *dw,
                                             nn_real *db, int rows, int in, int out, int accumulate)
{
    size_t i, count = (size_t)in * (size_t)out;
    int b, j, k;

    if (!accumulate) {
        for (i = 0; i < count; i++) dw[i] = 0;
        for (j = 0; j < out; j++) db[j] = 0;
    }
    for (b = 0; b < rows; b++, dz += out) {
        nn_real *row = dw;
        for (k = 0; k < in; k++, x++, row += out)
            for (j = 0; j < out; j++) row[j] = nn__fma(*x, dz[j], row[j]);
        for (j = 0; j < out; j++) db[j] += dz[j];
    }
}

#ifdef NN__SIMD

static const nn_real nn__one_real = 1;

/* dw[in x out] = x[rows x in]^T * dz[rows x out]; db[out] = ones^T * dz */
static NN__APART void nn__multiply_weight_gradient(const nn__panels *p, const nn_real *x,
                                                   const nn_real *dz, nn_real *dw, nn_real *db,
                                                   int rows, int in, int out, int accumulate)
{
    nn__product product;

    product.a = x;
    product.a_row = 1;
    product.a_step = (size_t)in;
    product.b = dz;
    product.b_row = product.c_row = (size_t)out;
    product.b_transposed = 0;
    product.start = accumulate ? dw : nn__zeros;
    product.start_row = accumulate ? (size_t)out : 0;
    product.c = dw;
    product.rows = in;
    product.columns = out;
    product.depth = rows;
    if (out == 1) { /* dw is then one row, too: dz^T * x, whose vectors are full */
        product.a = dz;
        product.a_step = 1;
        product.b = x;
        product.b_row = (size_t)in;
        product.rows = 1;
        product.columns = in;
    }
    nn__multiply(p, &product);
    product.a = &nn__one_real;
    product.a_row = product.a_step = 0;
    product.b = dz;
    product.b_row = (size_t)out;
    product.start = accumulate ? db : nn__zeros;
    product.c = db;
    product.rows = 1;
    product.columns = out;
    nn__multiply(p, &product);
}

#endif

#define NN__DEFINE_DENSE_WEIGHT_GRADIENT                                                           \
    /* dw[in x out] of one row */                                                                  \
    NN__INLINE void NN__NAME(outer_product)(const nn_real *x, const nn_real *dz, nn_real *dw,      \
                                            int in, int out, const int accumulate)                 \
    {                                                                                              \
        int k, j, n;                                                                               \
                                                                                                   \
        for (k = 0; k < in; k++, dw += out) {                                                      \
            const NN__VECTOR factor = NN__SET1(x[k]);                                              \
            for (j = 0; j < out; j += NN__LANES) {                                                 \
                NN__VECTOR v = NN__SET1(0);                                                        \
                n = NN__LANES_OF(out - j);                                                         \
                if (accumulate) v = NN__LOAD_UP_TO(dw + j, n);                                     \
                v = NN__FMA(factor, NN__LOAD_UP_TO(dz + j, n), v);                                 \
                NN__STORE_UP_TO(dw + j, v, n);                                                     \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static NN__TARGET void NN__NAME(dense_weight_gradient)(const nn_real *x, const nn_real *dz,    \
                                                           nn_real *dw, nn_real *db, int rows,     \
                                                           int in, int out, int accumulate)        \
    {                                                                                              \
        const nn_real *rest, *first;                                                               \
        int columns, depth;                                                                        \
                                                                                                   \
        if (rows != 1) {                                                                           \
            nn__multiply_weight_gradient(&NN__NAME(panels), x, dz, dw, db, rows, in, out,          \
                                         accumulate);                                              \
            return;                                                                                \
        }                                                                                          \
        depth = out == 1 ? 1 : in; /* with one output dw is one row, in the order of x */          \
        columns = out == 1 ? in : out;                                                             \
        first = out == 1 ? dz : x;                                                                 \
        rest = out == 1 ? x : dz;                                                                  \
        if (accumulate) {                                                                          \
            NN__NAME(outer_product)(first, rest, dw, depth, columns, 1);                           \
            NN__NAME(outer_product)(&nn__one_real, dz, db, 1, out, 1);                             \
        } else {                                                                                   \
            NN__NAME(outer_product)(first, rest, dw, depth, columns, 0);                           \
            NN__NAME(outer_product)(&nn__one_real, dz, db, 1, out, 0);                             \
        }                                                                                          \
    }

/* ---- Input gradient -------------------------------------------------------------------------- */

/* The gradient of a layer's input through the layer before it: with y[rows x in] =
   activation(...) that input, y becomes dL/dy * activation'(...), where dL/dy[rows x in] =
   dz[rows x out] * w[in x out]^T, each sum in the order of j; times mask[rows x in] before the
   activation's derivative, unless mask is NULL. With NN_LINEAR, y is overwritten unread. Other
   back-ends need buffer[rows x in] for dL/dy. */
static void nn__dense_input_gradient_scalar(const nn_real *dz, const nn_real *w,
                                            const nn_real *mask, nn_real *y, nn_real *buffer,
                                            int rows, int in, int out, nn_activation activation)
{
    int b, j, k;

    (void)buffer;
    for (b = 0; b < rows; b++, dz += out) {
        const nn_real *row = w;
        for (k = 0; k < in; k++, y++, row += out) {
            nn_real sum = 0;
            for (j = 0; j < out; j++) sum = nn__fma(dz[j], row[j], sum);
            if (mask) sum *= *mask++;
            *y = nn__activation_gradient_one(activation, *y, sum);
        }
    }
}

#ifdef NN__SIMD

/* As nn__dense_input_gradient_scalar; gradient is the back-end's activation_gradient. */
static NN__APART void nn__multiply_input_gradient(const nn__panels *p, const nn_real *dz,
                                                  const nn_real *w, const nn_real *mask, nn_real *y,
                                                  nn_real *buffer, int rows, int in, int out,
                                                  nn_activation activation,
                                                  nn__gradient_kernel gradient)
{
    const int plain = activation == NN_LINEAR && !mask;
    const size_t count = (size_t)rows * (size_t)in;
    nn__product product;
    size_t i;

    product.a = dz;
    product.a_row = product.b_row = (size_t)out;
    product.a_step = 1;
    product.b = w;
    product.b_transposed = out > 1;
    product.start = nn__zeros;
    product.start_row = 0;
    product.c = plain ? y : buffer;
    product.c_row = (size_t)in;
    product.rows = rows;
    product.columns = in;
    product.depth = out;
    nn__multiply(p, &product);
    if (plain) return;
    for (i = 0; mask && i < count; i++) buffer[i] *= mask[i];
    nn__gradient_in_parallel(gradient, activation, y, buffer, rows, in);
}

#endif

#define NN__DEFINE_DENSE_INPUT_GRADIENT                                                            \
    /* Of one row, with one output: no sum, and the activation's derivative at once. */            \
    NN__INLINE void NN__NAME(narrow_input_gradient)(nn_real dz, const nn_real *w, nn_real *y,      \
                                                    int in, const nn_activation activation)        \
    {                                                                                              \
        const NN__VECTOR factor = NN__SET1(dz);                                                    \
        int k;                                                                                     \
                                                                                                   \
        for (k = 0; k < in; k += NN__LANES) {                                                      \
            const int n = NN__LANES_OF(in - k);                                                    \
            const NN__VECTOR v = NN__FMA(factor, NN__LOAD_UP_TO(w + k, n), NN__SET1(0));           \
            NN__STORE_UP_TO(y + k,                                                                 \
                            NN__NAME(differentiated)(activation, NN__LOAD_UP_TO(y + k, n), v), n); \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static NN__TARGET void NN__NAME(dense_input_gradient)(                                         \
        const nn_real *dz, const nn_real *w, const nn_real *mask, nn_real *y, nn_real *buffer,     \
        int rows, int in, int out, nn_activation activation)                                       \
    {                                                                                              \
        if (rows == 1 && out == 1 && !mask) {                                                      \
            NN__NAME(narrow_input_gradient)(*dz, w, y, in, activation);                            \
            return;                                                                                \
        }                                                                                          \
        nn__multiply_input_gradient(&NN__NAME(panels), dz, w, mask, y, buffer, rows, in, out,      \
                                    activation, NN__NAME(activation_gradient));                    \
    }

#endif /* NN_NO_TRAIN */
#ifndef NN_NO_TRAIN

/* ================================================================================================
   >>optimizer
   ------------------------------------------------------------------------------------------------
   The update of the parameters theta from their gradients g, which were clipped before. One row of
   the table and one room for each optimizer. A room has the formula, what is prepared once for each
   update, the scalar loop that defines the result, and the same loop with vectors.

   A loop takes theta[count], gradient[count], the arrays of state first[count] and second[count],
   which are NULL where the row says that they are not needed, and what was prepared. A parameter
   that would become NaN or infinite keeps its value and its state; the loop then returns 0.

   To add an optimizer: its enumerator in nn_optimizer, its row here, its room below.
   ============================================================================================= */

/* X(enumerator, name, whether it needs the array first, and second, its default learning rate),
   with nn_options *o. In the order of the enum. */
#define NN__OPTIMIZERS(X)                                                                          \
    X(SGD, sgd, o->momentum > 0, 0, 1e-2)                                                          \
    X(ADAM, adam, 1, 1, 1e-3)                                                                      \
    X(RMSPROP, rmsprop, o->momentum > 0, 1, 1e-2)

NN__CHECK_TABLE(optimizers, NN__OPTIMIZERS, NN_OPTIMIZER_COUNT);

/* What one update needs to know. */
typedef struct nn__step {
    nn_real learning_rate, clip; /* the gradient is multiplied by clip */
    nn_real decay;               /* L2: weight decay. Adam: 1 - learning rate * weight decay */
    nn_real momentum;
    int nesterov;
    nn_real beta1, beta2, epsilon; /* RMSprop's alpha is in beta2 */
    nn_real root;                  /* Adam: 1 / sqrt(1 - beta2^t) */
} nn__step;

/* An option's value, or what 0 stands for. NN_ZERO stands for 0. */
static nn_real nn__or(nn_real value, nn_real standard)
{
    return value < 0 ? 0 : value != 0 ? value : standard;
}

/* ---- SGD ------------------------------------------------------------------------------------- */

/* g += decay * theta;  v = momentum * v + g;  g = v, or with Nesterov g + momentum * v;
   theta -= rate * g                              (Sutskever et al. 2013, in PyTorch's form)
   first is the velocity v. */
static void nn__sgd_prepare(nn__step *step, const nn_options *o, nn__state *state)
{
    (void)state;
    step->decay = o->weight_decay;
    step->momentum = o->momentum;
    step->nesterov = o->nesterov != 0;
}

static int nn__sgd_scalar(nn_real *theta, const nn_real *gradient, nn_real *velocity,
                          nn_real *second, size_t count, const nn__step *step)
{
    int good = 1;
    size_t i;

    (void)second;
    for (i = 0; i < count; i++) {
        nn_real g = nn__fma(step->decay, theta[i], gradient[i] * step->clip), v = 0, next;
        if (velocity) {
            v = nn__fma(step->momentum, velocity[i], g);
            g = step->nesterov ? nn__fma(step->momentum, v, g) : v;
        }
        next = nn__fma(-step->learning_rate, g, theta[i]);
        if (!nn__is_finite(next)) {
            good = 0;
            continue;
        }
        theta[i] = next;
        if (velocity) velocity[i] = v;
    }
    return good;
}

#define NN__OPTIMIZER_SGD                                                                          \
    NN__INLINE int NN__NAME(sgd_loop)(nn_real * theta, const nn_real *gradient, nn_real *velocity, \
                                      size_t count, const nn__step *step, const int momentum)      \
    {                                                                                              \
        const NN__VECTOR mu = NN__SET1(step->momentum), rate = NN__SET1(step->learning_rate);      \
        const NN__VECTOR decay = NN__SET1(step->decay), clip = NN__SET1(step->clip);               \
        NN__VECTOR bad = NN__SET1(0);                                                              \
        size_t i;                                                                                  \
                                                                                                   \
        for (i = 0; i < count; i += NN__LANES) {                                                   \
            const int n = NN__LANES_OF(count - i);                                                 \
            const NN__VECTOR old = NN__LOAD_UP_TO(theta + i, n);                                   \
            NN__VECTOR g = NN__MUL(NN__LOAD_UP_TO(gradient + i, n), clip), before, v, next, check; \
                                                                                                   \
            g = NN__FMA(decay, old, g);                                                            \
            if (momentum) {                                                                        \
                before = NN__LOAD_UP_TO(velocity + i, n);                                          \
                v = NN__FMA(mu, before, g);                                                        \
                g = step->nesterov ? NN__FMA(mu, v, g) : v;                                        \
            }                                                                                      \
            next = NN__FNMA(rate, g, old);                                                         \
            check = NN__SUB(next, next);                                                           \
            bad = NN__BITS_OR(bad, check);                                                         \
            NN__STORE_UP_TO(theta + i, NN__SELECT_LESS(check, NN__SET1(1), next, old), n);         \
            if (momentum)                                                                          \
                NN__STORE_UP_TO(velocity + i, NN__SELECT_LESS(check, NN__SET1(1), v, before), n);  \
        }                                                                                          \
        return !NN__ANY_BITS(bad);                                                                 \
    }                                                                                              \
                                                                                                   \
    static NN__TARGET int NN__NAME(sgd)(nn_real * theta, const nn_real *gradient,                  \
                                        nn_real *velocity, nn_real *second, size_t count,          \
                                        const nn__step *step)                                      \
    {                                                                                              \
        (void)second;                                                                              \
        if (velocity) return NN__NAME(sgd_loop)(theta, gradient, velocity, count, step, 1);        \
        return NN__NAME(sgd_loop)(theta, gradient, NULL, count, step, 0);                          \
    }

/* ---- Adam ------------------------------------------------------------------------------------ */

/* m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
   theta = theta (1 - rate * decay)
           - rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
   (Kingma and Ba 2015; the decay is decoupled: Loshchilov and Hutter 2019). first is m, second v;
   t counts the updates, one for all parameters. */
static void nn__adam_prepare(nn__step *step, const nn_options *o, nn__state *state)
{
    step->beta1 = nn__or(o->beta1, (nn_real)0.9);
    step->beta2 = nn__or(o->beta2, (nn_real)0.999);
    step->epsilon = nn__or(o->epsilon, (nn_real)1e-8);
    state->beta1_power *= step->beta1;
    state->beta2_power *= step->beta2;
    step->decay = nn__fma(-step->learning_rate, o->weight_decay, 1);
    step->learning_rate /= 1 - state->beta1_power;
    step->root = 1 / NN_SQRT(1 - state->beta2_power);
}

static int nn__adam_scalar(nn_real *theta, const nn_real *gradient, nn_real *first, nn_real *second,
                           size_t count, const nn__step *step)
{
    const nn_real rest1 = 1 - step->beta1, rest2 = 1 - step->beta2;
    int good = 1;
    size_t i;

    for (i = 0; i < count; i++) {
        nn_real g = gradient[i] * step->clip;
        nn_real m = nn__fma(step->beta1, first[i], rest1 * g);
        nn_real v = nn__fma(step->beta2, second[i], rest2 * g * g);
        nn_real ratio = m / nn__fma(NN_SQRT(v), step->root, step->epsilon);
        nn_real next = nn__fma(-step->learning_rate, ratio, theta[i] * step->decay);
        if (!nn__is_finite(next) || !nn__is_finite(v)) {
            good = 0;
            continue;
        }
        theta[i] = next;
        first[i] = m;
        second[i] = v;
    }
    return good;
}

#define NN__OPTIMIZER_ADAM                                                                         \
    static NN__TARGET int NN__NAME(adam)(nn_real * theta, const nn_real *gradient, nn_real *first, \
                                         nn_real *second, size_t count, const nn__step *step)      \
    {                                                                                              \
        const NN__VECTOR beta1 = NN__SET1(step->beta1), rest1 = NN__SET1(1 - step->beta1);         \
        const NN__VECTOR beta2 = NN__SET1(step->beta2), rest2 = NN__SET1(1 - step->beta2);         \
        const NN__VECTOR rate = NN__SET1(step->learning_rate), decay = NN__SET1(step->decay);      \
        const NN__VECTOR clip = NN__SET1(step->clip), root = NN__SET1(step->root);                 \
        const NN__VECTOR epsilon = NN__SET1(step->epsilon), one = NN__SET1(1);                     \
        NN__VECTOR bad = NN__SET1(0);                                                              \
        size_t i;                                                                                  \
                                                                                                   \
        for (i = 0; i < count; i += NN__LANES) {                                                   \
            const int n = NN__LANES_OF(count - i);                                                 \
            const NN__VECTOR g = NN__MUL(NN__LOAD_UP_TO(gradient + i, n), clip);                   \
            const NN__VECTOR old = NN__LOAD_UP_TO(theta + i, n);                                   \
            const NN__VECTOR old_m = NN__LOAD_UP_TO(first + i, n);                                 \
            const NN__VECTOR old_v = NN__LOAD_UP_TO(second + i, n);                                \
            const NN__VECTOR m = NN__FMA(beta1, old_m, NN__MUL(rest1, g));                         \
            const NN__VECTOR v = NN__FMA(beta2, old_v, NN__MUL(NN__MUL(rest2, g), g));             \
            NN__VECTOR next, check;                                                                \
                                                                                                   \
            next = NN__DIV(m, NN__FMA(NN__SQRT(v), root, epsilon));                                \
            next = NN__FNMA(rate, next, NN__MUL(old, decay));                                      \
            check = NN__ADD(NN__SUB(next, next), NN__SUB(v, v));                                   \
            bad = NN__BITS_OR(bad, check);                                                         \
            NN__STORE_UP_TO(theta + i, NN__SELECT_LESS(check, one, next, old), n);                 \
            NN__STORE_UP_TO(first + i, NN__SELECT_LESS(check, one, m, old_m), n);                  \
            NN__STORE_UP_TO(second + i, NN__SELECT_LESS(check, one, v, old_v), n);                 \
        }                                                                                          \
        return !NN__ANY_BITS(bad);                                                                 \
    }

/* ---- RMSprop --------------------------------------------------------------------------------- */

/* g += decay * theta;  v = alpha v + (1 - alpha) g^2;  r = g / (sqrt(v) + epsilon);
   with momentum m = momentum * m + r and r = m;  theta -= rate * r
   (Tieleman and Hinton 2012, in PyTorch's form). first is m, second v. */
static void nn__rmsprop_prepare(nn__step *step, const nn_options *o, nn__state *state)
{
    (void)state;
    step->decay = o->weight_decay;
    step->momentum = o->momentum;
    step->beta2 = nn__or(o->alpha, (nn_real)0.99);
    step->epsilon = nn__or(o->epsilon, (nn_real)1e-8);
}

static int nn__rmsprop_scalar(nn_real *theta, const nn_real *gradient, nn_real *first,
                              nn_real *second, size_t count, const nn__step *step)
{
    const nn_real rest = 1 - step->beta2;
    int good = 1;
    size_t i;

    for (i = 0; i < count; i++) {
        nn_real g = nn__fma(step->decay, theta[i], gradient[i] * step->clip);
        nn_real v = nn__fma(step->beta2, second[i], rest * g * g);
        nn_real ratio = g / (NN_SQRT(v) + step->epsilon);
        nn_real m = first ? nn__fma(step->momentum, first[i], ratio) : ratio;
        nn_real next = nn__fma(-step->learning_rate, m, theta[i]);
        if (!nn__is_finite(next) || !nn__is_finite(v)) {
            good = 0;
            continue;
        }
        theta[i] = next;
        second[i] = v;
        if (first) first[i] = m;
    }
    return good;
}

#define NN__OPTIMIZER_RMSPROP                                                                      \
    NN__INLINE int NN__NAME(rmsprop_loop)(nn_real * theta, const nn_real *gradient,                \
                                          nn_real *first, nn_real *second, size_t count,           \
                                          const nn__step *step, const int momentum)                \
    {                                                                                              \
        const NN__VECTOR alpha = NN__SET1(step->beta2), rest = NN__SET1(1 - step->beta2);          \
        const NN__VECTOR rate = NN__SET1(step->learning_rate), decay = NN__SET1(step->decay);      \
        const NN__VECTOR clip = NN__SET1(step->clip), mu = NN__SET1(step->momentum);               \
        const NN__VECTOR epsilon = NN__SET1(step->epsilon), one = NN__SET1(1);                     \
        NN__VECTOR bad = NN__SET1(0);                                                              \
        size_t i;                                                                                  \
                                                                                                   \
        for (i = 0; i < count; i += NN__LANES) {                                                   \
            const int n = NN__LANES_OF(count - i);                                                 \
            const NN__VECTOR old = NN__LOAD_UP_TO(theta + i, n);                                   \
            const NN__VECTOR old_v = NN__LOAD_UP_TO(second + i, n);                                \
            NN__VECTOR g = NN__MUL(NN__LOAD_UP_TO(gradient + i, n), clip), old_m, v, m, next;      \
            NN__VECTOR check;                                                                      \
                                                                                                   \
            g = NN__FMA(decay, old, g);                                                            \
            v = NN__FMA(alpha, old_v, NN__MUL(NN__MUL(rest, g), g));                               \
            m = NN__DIV(g, NN__ADD(NN__SQRT(v), epsilon));                                         \
            if (momentum) {                                                                        \
                old_m = NN__LOAD_UP_TO(first + i, n);                                              \
                m = NN__FMA(mu, old_m, m);                                                         \
            }                                                                                      \
            next = NN__FNMA(rate, m, old);                                                         \
            check = NN__ADD(NN__SUB(next, next), NN__SUB(v, v));                                   \
            bad = NN__BITS_OR(bad, check);                                                         \
            NN__STORE_UP_TO(theta + i, NN__SELECT_LESS(check, one, next, old), n);                 \
            NN__STORE_UP_TO(second + i, NN__SELECT_LESS(check, one, v, old_v), n);                 \
            if (momentum) NN__STORE_UP_TO(first + i, NN__SELECT_LESS(check, one, m, old_m), n);    \
        }                                                                                          \
        return !NN__ANY_BITS(bad);                                                                 \
    }                                                                                              \
                                                                                                   \
    static NN__TARGET int NN__NAME(rmsprop)(nn_real * theta, const nn_real *gradient,              \
                                            nn_real *first, nn_real *second, size_t count,         \
                                            const nn__step *step)                                  \
    {                                                                                              \
        if (first) return NN__NAME(rmsprop_loop)(theta, gradient, first, second, count, step, 1);  \
        return NN__NAME(rmsprop_loop)(theta, gradient, NULL, second, count, step, 0);              \
    }

/* ---- What the table drives ------------------------------------------------------------------- */

typedef int nn__optimizer_loop(nn_real *theta, const nn_real *gradient, nn_real *first,
                               nn_real *second, size_t count, const nn__step *step);

/* clang-format off */
#define NN__OPTIMIZER_OF_ROW(ID, name, first, second, rate)  NN__OPTIMIZER_##ID
#define NN__OPTIMIZER_MEMBER(ID, name, first, second, rate)  nn__optimizer_loop *name;
#define NN__OPTIMIZER_ENTRY(ID, name, first, second, rate)   , NN__NAME(name)
#define NN__OPTIMIZER_SCALAR(ID, name, first, second, rate)  , nn__##name##_scalar
#define NN__FIRST_CASE(ID, name, first, second, rate)        case NN_##ID: return first;
#define NN__SECOND_CASE(ID, name, first, second, rate)       case NN_##ID: return second;
#define NN__RATE_CASE(ID, name, first, second, rate)         case NN_##ID: return (nn_real)(rate);
#define NN__PREPARE_CASE(ID, name, first, second, rate)                                            \
    case NN_##ID:                                                                                  \
        if (NN__ONLY(NN_ONLY_OPTIMIZERS, NN_##ID)) nn__##name##_prepare(step, o, state);           \
        break;
/* clang-format on */

static int nn__has_optimizer(nn_optimizer optimizer)
{
    return (unsigned)optimizer < (unsigned)NN_OPTIMIZER_COUNT &&
           NN__ONLY(NN_ONLY_OPTIMIZERS, optimizer);
}

/* Whether an optimizer keeps the array first, and second; its default learning rate. */
static int nn__needs_first(const nn_options *o)
{
    switch (o->optimizer) {
        NN__OPTIMIZERS(NN__FIRST_CASE)
    default: return 0;
    }
}

static int nn__needs_second(const nn_options *o)
{
    switch (o->optimizer) {
        NN__OPTIMIZERS(NN__SECOND_CASE)
    default: return 0;
    }
}

static nn_real nn__default_learning_rate(const nn_options *o)
{
    switch (o->optimizer) {
        NN__OPTIMIZERS(NN__RATE_CASE)
    default: return 0;
    }
}

static void nn__prepare_step(nn__step *step, const nn_options *o, nn__state *state)
{
    switch (o->optimizer) {
        NN__OPTIMIZERS(NN__PREPARE_CASE)
    default: break;
    }
}

/* ---- Schedules ------------------------------------------------------------------------------- */

/* How much the schedule leaves of the learning rate at a step after the warm-up; length > 0. */
static nn_real nn__scheduled(const nn_options *o, nn_real rate, uint32_t step, uint32_t length)
{
    nn_real half;

    switch (o->schedule) {
    case NN_SCHEDULE_STEP:
        return rate * nn__power(nn__or(o->step_factor, (nn_real)0.1), step / length);
    case NN_SCHEDULE_COSINE: /* Loshchilov and Hutter 2017, without restarts */
        if (step >= length) return o->minimum_learning_rate;
        half =
            nn__fma(nn__cosine_of_pi((nn_real)step / (nn_real)length), (nn_real)0.5, (nn_real)0.5);
        return nn__fma(rate - o->minimum_learning_rate, half, o->minimum_learning_rate);
    default: return rate;
    }
}

/* ---- Clipping -------------------------------------------------------------------------------- */

/* The norm of x[count], computed from x * scale, a power of two. */
static nn_real nn__norm(const nn_real *x, size_t count, nn_real scale)
{
    nn__sum sum = {0, 0};
    size_t i;

    for (i = 0; i < count; i++) nn__add(&sum, nn__rounded_product(x[i] * scale, x[i] * scale));
    return NN_SQRT(nn__total(&sum)) / scale;
}

/* The global norm of the gradients, and the factor that clips it. Squares that overflow are tried
   again, smaller. */
static nn_real nn__clip(nn_trainer *trainer)
{
    const size_t count = trainer->model->parameter_count;
    nn_real norm, factor;

    if (trainer->options->clip_norm == 0) return 1;
    norm = nn__norm(trainer->gradients, count, 1);
    if (!nn__is_finite(norm))
        norm = nn__norm(trainer->gradients, count, nn__power_of_two(NN__BIAS / 2));
    trainer->state.gradient_norm = norm;
    factor = trainer->options->clip_norm / (norm + (nn_real)1e-6);
    return factor < 1 ? factor : 1;
}

#endif /* NN_NO_TRAIN */
#ifdef NN__SIMD

/* ================================================================================================
   >>simd
   ------------------------------------------------------------------------------------------------
   The primitives of each instruction set, and the kernels made with them from the macros of the
   sections above. A compiler's message on a kernel names the line where it is made; cc -E shows the
   kernel itself.
   ============================================================================================= */

/* A back-end: functions of the signatures and the bits of the scalar ones. */
typedef struct nn__kernels {
    const char *name, *label; /* what nn_backend says */
    void (*activate)(nn_activation activation, nn_real *z, int rows, int width);
    nn_real (*softmax_row)(nn_real *row, int width);
    int (*all_finite)(const nn_real *x, size_t count);
    void (*scale_rows)(const nn_real *x, const size_t *index, const nn_real *offset,
                       const nn_real *factor, nn_real *out, int rows, int width);
    void (*dense_forward)(const nn_real *x, const nn_real *w, const nn_real *bias, nn_real *y,
                          int rows, int in, int out, nn_activation activation);
#ifndef NN_NO_TRAIN
    void (*dense_weight_gradient)(const nn_real *x, const nn_real *dz, nn_real *dw, nn_real *db,
                                  int rows, int in, int out, int accumulate);
    void (*dense_input_gradient)(const nn_real *dz, const nn_real *w, const nn_real *mask,
                                 nn_real *y, nn_real *buffer, int rows, int in, int out,
                                 nn_activation activation);
    void (*activation_gradient)(nn_activation activation, nn_real *y, const nn_real *dy, int rows,
                                int width);
    void (*softplus_tails)(const nn_real *z, nn_real *out, size_t count);
    NN__OPTIMIZERS(NN__OPTIMIZER_MEMBER)
#endif
} nn__kernels;

#define NN__DEFINE_TABLE                                                                           \
    static const nn__kernels NN__NAME(kernels) = {NN__ISA_NAME,                                    \
                                                  NN__ISA_NAME NN__WITH_OPENBLAS,                  \
                                                  NN__NAME(activate),                              \
                                                  NN__NAME(softmax_row),                           \
                                                  NN__NAME(all_finite),                            \
                                                  NN__NAME(scale_rows),                            \
                                                  NN__NAME(dense_forward) NN__TRAINING_ENTRIES};

#ifdef NN_NO_TRAIN

#define NN__TRAINING_ENTRIES
#define NN__DEFINE_TRAINING
#define NN__DEFINE_TRANSPOSE_OR_NOT
#define NN__TRANSPOSE_OR_NULL NULL

#else

#define NN__TRANSPOSE_OR_NULL NN__NAME(transpose)
#define NN__TRAINING_ENTRIES                                                                       \
    , NN__NAME(dense_weight_gradient), NN__NAME(dense_input_gradient),                             \
        NN__NAME(activation_gradient),                                                             \
        NN__NAME(softplus_tails) NN__OPTIMIZERS(NN__OPTIMIZER_ENTRY)
#define NN__DEFINE_TRAINING                                                                        \
    NN__DEFINE_ACTIVATION_GRADIENT                                                                 \
    NN__DEFINE_DENSE_WEIGHT_GRADIENT                                                               \
    NN__DEFINE_DENSE_INPUT_GRADIENT                                                                \
    NN__DEFINE_SOFTPLUS_TAILS                                                                      \
    NN__OPTIMIZERS(NN__OPTIMIZER_OF_ROW)
#define NN__DEFINE_TRANSPOSE_OR_NOT NN__DEFINE_TRANSPOSE

#endif

#define NN__DEFINE_KERNELS                                                                         \
    NN__DEFINE_TILE                                                                                \
    NN__DEFINE_PANEL                                                                               \
    NN__DEFINE_TRANSPOSE_OR_NOT                                                                    \
    NN__DEFINE_POLYNOMIAL                                                                          \
    NN__DEFINE_EXP                                                                                 \
    NN__DEFINE_SIGMOID                                                                             \
    NN__DEFINE_TANH                                                                                \
    NN__DEFINE_EXPM1                                                                               \
    NN__DEFINE_ERF                                                                                 \
    NN__DEFINE_SOFTPLUS_TAIL                                                                       \
    NN__DEFINE_PANELS                                                                              \
    NN__DEFINE_ACTIVATE                                                                            \
    NN__DEFINE_ALL_FINITE                                                                          \
    NN__DEFINE_SCALE_ROWS                                                                          \
    NN__DEFINE_DENSE_FORWARD                                                                       \
    NN__DEFINE_TRAINING                                                                            \
    NN__DEFINE_TABLE

#ifdef NN__X86

/* ---- x86-64: AVX-512F ------------------------------------------------------------------------ */

#ifdef NN_DOUBLE
#define NN__M512(operation) _mm512_##operation##_pd
#define NN__I512(operation) _mm512_##operation##_epi64
#define NN__INTEGERS512(v)  _mm512_castpd_si512(v)
#define NN__REALS512(v)     _mm512_castsi512_pd(v)
#define NN__MASK512(n)      ((__mmask8)((1u << (n)) - 1))
#define NN__ANY512(v)       (_mm512_test_epi64_mask(v, v) != 0)
#define NN__ZIP512(a, b, at)                                                                       \
    _mm512_permutex2var_pd(                                                                        \
        a, _mm512_setr_epi64(at, at + 8, at + 1, at + 9, at + 2, at + 10, at + 3, at + 11), b)
#else
#define NN__M512(operation) _mm512_##operation##_ps
#define NN__I512(operation) _mm512_##operation##_epi32
#define NN__INTEGERS512(v)  _mm512_castps_si512(v)
#define NN__REALS512(v)     _mm512_castsi512_ps(v)
#define NN__MASK512(n)      ((__mmask16)((1u << (n)) - 1))
#define NN__ANY512(v)       (_mm512_test_epi32_mask(v, v) != 0)
#define NN__ZIP512(a, b, at)                                                                       \
    _mm512_permutex2var_ps(a,                                                                      \
                           _mm512_setr_epi32(at, at + 16, at + 1, at + 17, at + 2, at + 18,        \
                                             at + 3, at + 19, at + 4, at + 20, at + 5, at + 21,    \
                                             at + 6, at + 22, at + 7, at + 23),                    \
                           b)
#endif
/* g++ 12 warns of an unset operand in the forms that have no mask. */
#define NN__ALL512 NN__MASK512(NN__LANES)
#define NN__WHOLE512(operation, a, b)                                                              \
    NN__REALS512(_mm512_##operation##_si512(NN__INTEGERS512(a), NN__INTEGERS512(b)))
#define NN__BITS512(operation, a, b)                                                               \
    NN__REALS512(NN__I512(operation)(NN__INTEGERS512(a), NN__INTEGERS512(b)))

#define NN__ISA          avx512
#define NN__ISA_NAME     "avx512"
#define NN__TARGET       NN__TARGETS("avx512f,avx2,fma")
#define NN__LANES        (64 / (int)sizeof(nn_real))
#define NN__LOG2_LANES   (sizeof(nn_real) == 4 ? 4 : 3)
#define NN__TILE_ROWS    8
#define NN__TILE_VECTORS 3
#define NN__PACK_ROW     SIZE_MAX

#ifdef NN_DOUBLE
#define NN__VECTOR __m512d
#else
#define NN__VECTOR __m512
#endif
#define NN__LOAD(p)         NN__M512(loadu)(p)
#define NN__STORE(p, v)     NN__M512(storeu)(p, v)
#define NN__LOAD_SOME(p, n) NN__M512(maskz_loadu)(NN__MASK512(n), p)
#ifdef NN_DOUBLE
#define NN__LOAD_HALF(p)     _mm512_maskz_broadcast_f64x4(0xff, _mm256_loadu_pd(p))
#define NN__STORE_HALF(p, v) _mm256_storeu_pd(p, _mm512_maskz_extractf64x4_pd(0xff, v, 0))
#define NN__STORE_ONE(p, v)                                                                        \
    _mm_store_sd(p, _mm256_castpd256_pd128(_mm512_maskz_extractf64x4_pd(0xff, v, 0)))
#else
#define NN__LOAD_HALF(p)                                                                           \
    _mm512_castpd_ps(_mm512_maskz_broadcast_f64x4(0xff, _mm256_castps_pd(_mm256_loadu_ps(p))))
#define NN__STORE_HALF(p, v)                                                                       \
    _mm256_storeu_ps(p,                                                                            \
                     _mm256_castpd_ps(_mm512_maskz_extractf64x4_pd(0xff, _mm512_castps_pd(v), 0)))
#define NN__STORE_ONE(p, v) _mm_store_ss(p, _mm512_maskz_extractf32x4_ps(0xff, v, 0))
#endif
#define NN__STORE_SOME(p, v, n) NN__M512(mask_storeu)(p, NN__MASK512(n), v)
#define NN__SET1(x)             NN__M512(set1)(x)
#define NN__ADD(a, b)           NN__M512(add)(a, b)
#define NN__SUB(a, b)           NN__M512(sub)(a, b)
#define NN__MUL(a, b)           NN__M512(mul)(a, b)
#define NN__DIV(a, b)           NN__M512(div)(a, b)
#define NN__SQRT(v)             NN__M512(maskz_sqrt)(NN__ALL512, v)
#define NN__MAX(a, b)           NN__M512(maskz_max)(NN__ALL512, a, b)
#define NN__MIN(a, b)           NN__M512(maskz_min)(NN__ALL512, a, b)
#ifndef NN_NO_FMA
#define NN__FMA(a, b, c)  NN__M512(fmadd)(a, b, c)
#define NN__FNMA(a, b, c) NN__M512(fnmadd)(a, b, c)
#endif
#ifdef NN_DOUBLE
#define NN__SELECT_LESS(a, b, x, y) _mm512_mask_blend_pd(_mm512_cmp_pd_mask(a, b, _CMP_LT_OQ), y, x)
#else
#define NN__SELECT_LESS(a, b, x, y) _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x)
#endif
#define NN__BITS_ADD(a, b)   NN__BITS512(add, a, b)
#define NN__BITS_SUB(a, b)   NN__BITS512(sub, a, b)
#define NN__BITS_AND(a, b)   NN__WHOLE512(and, a, b)
#define NN__BITS_OR(a, b)    NN__WHOLE512(or, a, b)
#define NN__BITS_LEFT(v, n)  NN__REALS512(NN__I512(maskz_slli)(NN__ALL512, NN__INTEGERS512(v), n))
#define NN__BITS_RIGHT(v, n) NN__REALS512(NN__I512(maskz_srli)(NN__ALL512, NN__INTEGERS512(v), n))
#define NN__ANY_BITS(v)      NN__ANY512(NN__INTEGERS512(v))
#define NN__ZIP_LOW(a, b)    NN__ZIP512(a, b, 0)
#define NN__ZIP_HIGH(a, b)   NN__ZIP512(a, b, NN__LANES / 2)

NN__DEFINE_KERNELS

#undef NN__ISA
#undef NN__ISA_NAME
#undef NN__TARGET
#undef NN__LANES
#undef NN__LOG2_LANES
#undef NN__TILE_ROWS
#undef NN__TILE_VECTORS
#undef NN__PACK_ROW
#undef NN__VECTOR
#undef NN__LOAD
#undef NN__STORE
#undef NN__LOAD_SOME
#undef NN__LOAD_HALF
#undef NN__STORE_HALF
#undef NN__STORE_ONE
#undef NN__STORE_SOME
#undef NN__SET1
#undef NN__ADD
#undef NN__SUB
#undef NN__MUL
#undef NN__DIV
#undef NN__SQRT
#undef NN__MAX
#undef NN__MIN
#undef NN__SELECT_LESS
#undef NN__BITS_ADD
#undef NN__BITS_SUB
#undef NN__BITS_AND
#undef NN__BITS_OR
#undef NN__BITS_LEFT
#undef NN__BITS_RIGHT
#undef NN__ANY_BITS
#undef NN__ZIP_LOW
#undef NN__ZIP_HIGH
#ifndef NN_NO_FMA
#undef NN__FMA
#undef NN__FNMA
#endif

/* ---- x86-64: AVX2 and FMA -------------------------------------------------------------------- */

#ifdef NN_DOUBLE
#define NN__M256(operation) _mm256_##operation##_pd
#define NN__I256(operation) _mm256_##operation##_epi64
#define NN__INTEGERS256(v)  _mm256_castpd_si256(v)
#define NN__REALS256(v)     _mm256_castsi256_pd(v)
#else
#define NN__M256(operation) _mm256_##operation##_ps
#define NN__I256(operation) _mm256_##operation##_epi32
#define NN__INTEGERS256(v)  _mm256_castps_si256(v)
#define NN__REALS256(v)     _mm256_castsi256_ps(v)
#endif
/* Loaded from byte 32 - n * sizeof(nn_real) on, it has its first n lanes set. */
static const int32_t nn__mask256[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
#define NN__MASK256(n)                                                                             \
    _mm256_loadu_si256(                                                                            \
        (const __m256i *)(const void *)(nn__mask256 + 8 - (n) * (int)sizeof(nn_real) / 4))
#define NN__WHOLE256(operation, a, b)                                                              \
    NN__REALS256(_mm256_##operation##_si256(NN__INTEGERS256(a), NN__INTEGERS256(b)))
#define NN__BITS256(operation, a, b)                                                               \
    NN__REALS256(NN__I256(operation)(NN__INTEGERS256(a), NN__INTEGERS256(b)))

#define NN__ISA      avx2
#define NN__ISA_NAME "avx2"
#ifdef NN_NO_FMA
#define NN__TARGET NN__TARGETS("avx2")
#else
#define NN__TARGET NN__TARGETS("avx2,fma")
#endif
#define NN__LANES        (32 / (int)sizeof(nn_real))
#define NN__LOG2_LANES   (sizeof(nn_real) == 4 ? 3 : 2)
#define NN__TILE_ROWS    6
#define NN__TILE_VECTORS 2
#define NN__PACK_ROW     512

#ifdef NN_DOUBLE
#define NN__VECTOR __m256d
#else
#define NN__VECTOR __m256
#endif
#define NN__LOAD(p)         NN__M256(loadu)(p)
#define NN__STORE(p, v)     NN__M256(storeu)(p, v)
#define NN__LOAD_SOME(p, n) NN__M256(maskload)(p, NN__MASK256(n))
#ifdef NN_DOUBLE
#define NN__STORE_ONE(p, v)  _mm_store_sd(p, _mm256_castpd256_pd128(v))
#define NN__LOAD_HALF(p)     _mm256_broadcast_pd((const __m128d *)(const void *)(p))
#define NN__STORE_HALF(p, v) _mm_storeu_pd(p, _mm256_castpd256_pd128(v))
#else
#define NN__STORE_ONE(p, v)  _mm_store_ss(p, _mm256_castps256_ps128(v))
#define NN__LOAD_HALF(p)     _mm256_broadcast_ps((const __m128 *)(const void *)(p))
#define NN__STORE_HALF(p, v) _mm_storeu_ps(p, _mm256_castps256_ps128(v))
#endif
#define NN__STORE_SOME(p, v, n) NN__M256(maskstore)(p, NN__MASK256(n), v)
#define NN__SET1(x)             NN__M256(set1)(x)
#define NN__ADD(a, b)           NN__M256(add)(a, b)
#define NN__SUB(a, b)           NN__M256(sub)(a, b)
#define NN__MUL(a, b)           NN__M256(mul)(a, b)
#define NN__DIV(a, b)           NN__M256(div)(a, b)
#define NN__SQRT(v)             NN__M256(sqrt)(v)
#define NN__MAX(a, b)           NN__M256(max)(a, b)
#define NN__MIN(a, b)           NN__M256(min)(a, b)
#ifndef NN_NO_FMA
#define NN__FMA(a, b, c)  NN__M256(fmadd)(a, b, c)
#define NN__FNMA(a, b, c) NN__M256(fnmadd)(a, b, c)
#endif
#define NN__SELECT_LESS(a, b, x, y) NN__M256(blendv)(y, x, NN__M256(cmp)(a, b, _CMP_LT_OQ))
#define NN__BITS_ADD(a, b)          NN__BITS256(add, a, b)
#define NN__BITS_SUB(a, b)          NN__BITS256(sub, a, b)
#define NN__BITS_AND(a, b)          NN__WHOLE256(and, a, b)
#define NN__BITS_OR(a, b)           NN__WHOLE256(or, a, b)
#define NN__BITS_LEFT(v, n)         NN__REALS256(NN__I256(slli)(NN__INTEGERS256(v), n))
#define NN__BITS_RIGHT(v, n)        NN__REALS256(NN__I256(srli)(NN__INTEGERS256(v), n))
#define NN__ANY_BITS(v)             (!_mm256_testz_si256(NN__INTEGERS256(v), NN__INTEGERS256(v)))
#define NN__ZIP_LOW(a, b)                                                                          \
    NN__M256(permute2f128)(NN__M256(unpacklo)(a, b), NN__M256(unpackhi)(a, b), 0x20)
#define NN__ZIP_HIGH(a, b)                                                                         \
    NN__M256(permute2f128)(NN__M256(unpacklo)(a, b), NN__M256(unpackhi)(a, b), 0x31)

NN__DEFINE_KERNELS

#elif defined(NN__NEON)

/* ---- aarch64: NEON --------------------------------------------------------------------------- */

#ifdef NN_DOUBLE
#define NN__VECTOR       float64x2_t
#define NN__F(operation) operation##_f64
#define NN__U(operation) operation##_u64
#define NN__INTEGERS(v)  vreinterpretq_u64_f64(v)
#define NN__REALS(v)     vreinterpretq_f64_u64(v)
#define NN__WORDS(v)     vreinterpretq_u32_f64(v)
#else
#define NN__VECTOR       float32x4_t
#define NN__F(operation) operation##_f32
#define NN__U(operation) operation##_u32
#define NN__INTEGERS(v)  vreinterpretq_u32_f32(v)
#define NN__REALS(v)     vreinterpretq_f32_u32(v)
#define NN__WORDS(v)     vreinterpretq_u32_f32(v)
#endif

#define NN__ISA      neon
#define NN__ISA_NAME "neon"
#define NN__TARGET
#define NN__LANES        (16 / (int)sizeof(nn_real))
#define NN__LOG2_LANES   (sizeof(nn_real) == 4 ? 2 : 1)
#define NN__TILE_ROWS    8
#define NN__TILE_VECTORS 3
#define NN__PACK_ROW     512

static NN__VECTOR nn__load_some(const nn_real *p, int n)
{
    nn_real lanes[NN__LANES] = {0};
    memcpy(lanes, p, (size_t)n * sizeof *p);
    return NN__F(vld1q)(lanes);
}

static void nn__store_some(nn_real *p, NN__VECTOR v, int n)
{
    nn_real lanes[NN__LANES];
    NN__F(vst1q)(lanes, v);
    memcpy(p, lanes, (size_t)n * sizeof *p);
}

#define NN__LOAD(p)             NN__F(vld1q)(p)
#define NN__STORE(p, v)         NN__F(vst1q)(p, v)
#define NN__LOAD_SOME(p, n)     nn__load_some(p, n)
#define NN__LOAD_HALF(p)        nn__load_some(p, NN__LANES / 2)
#define NN__STORE_HALF(p, v)    nn__store_some(p, v, NN__LANES / 2)
#define NN__STORE_ONE(p, v)     nn__store_some(p, v, 1)
#define NN__STORE_SOME(p, v, n) nn__store_some(p, v, n)
#define NN__SET1(x)             NN__F(vdupq_n)(x)
#define NN__ADD(a, b)           NN__F(vaddq)(a, b)
#define NN__SUB(a, b)           NN__F(vsubq)(a, b)
#define NN__MUL(a, b)           NN__F(vmulq)(a, b)
#define NN__DIV(a, b)           NN__F(vdivq)(a, b)
#define NN__SQRT(v)             NN__F(vsqrtq)(v)
#define NN__MAX(a, b)           NN__SELECT_LESS(b, a, a, b)
#define NN__MIN(a, b)           NN__SELECT_LESS(a, b, a, b)
#ifndef NN_NO_FMA
#define NN__FMA(a, b, c)  NN__F(vfmaq)(c, a, b)
#define NN__FNMA(a, b, c) NN__F(vfmsq)(c, a, b)
#endif
#define NN__SELECT_LESS(a, b, x, y) NN__F(vbslq)(NN__F(vcltq)(a, b), x, y)
#define NN__BITS_ADD(a, b)          NN__REALS(NN__U(vaddq)(NN__INTEGERS(a), NN__INTEGERS(b)))
#define NN__BITS_SUB(a, b)          NN__REALS(NN__U(vsubq)(NN__INTEGERS(a), NN__INTEGERS(b)))
#define NN__BITS_AND(a, b)          NN__REALS(NN__U(vandq)(NN__INTEGERS(a), NN__INTEGERS(b)))
#define NN__BITS_OR(a, b)           NN__REALS(NN__U(vorrq)(NN__INTEGERS(a), NN__INTEGERS(b)))
#define NN__BITS_LEFT(v, n)         NN__REALS(NN__U(vshlq_n)(NN__INTEGERS(v), n))
#define NN__BITS_RIGHT(v, n)        NN__REALS(NN__U(vshrq_n)(NN__INTEGERS(v), n))
#define NN__ANY_BITS(v)             (vmaxvq_u32(NN__WORDS(v)) != 0)
#define NN__ZIP_LOW(a, b)           NN__F(vzip1q)(a, b)
#define NN__ZIP_HIGH(a, b)          NN__F(vzip2q)(a, b)

NN__DEFINE_KERNELS

#elif defined(NN__WASM)

/* ---- WebAssembly: SIMD128, which has no fma -------------------------------------------------- */

#ifdef NN_DOUBLE
#define NN__F(operation)   wasm_f64x2_##operation
#define NN__I(operation)   wasm_i64x2_##operation
#define NN__SHIFT_RIGHT    wasm_u64x2_shr
#define NN__ZIP_LOW(a, b)  wasm_i64x2_shuffle(a, b, 0, 2)
#define NN__ZIP_HIGH(a, b) wasm_i64x2_shuffle(a, b, 1, 3)
#else
#define NN__F(operation)   wasm_f32x4_##operation
#define NN__I(operation)   wasm_i32x4_##operation
#define NN__SHIFT_RIGHT    wasm_u32x4_shr
#define NN__ZIP_LOW(a, b)  wasm_i32x4_shuffle(a, b, 0, 4, 1, 5)
#define NN__ZIP_HIGH(a, b) wasm_i32x4_shuffle(a, b, 2, 6, 3, 7)
#endif

#define NN__ISA      wasm
#define NN__ISA_NAME "wasm"
#define NN__TARGET
#define NN__VECTOR       v128_t
#define NN__LANES        (16 / (int)sizeof(nn_real))
#define NN__LOG2_LANES   (sizeof(nn_real) == 4 ? 2 : 1)
#define NN__TILE_ROWS    4
#define NN__TILE_VECTORS 3
#define NN__PACK_ROW     512

static v128_t nn__load_some(const nn_real *p, int n)
{
    nn_real lanes[NN__LANES] = {0};
    memcpy(lanes, p, (size_t)n * sizeof *p);
    return wasm_v128_load(lanes);
}

static void nn__store_some(nn_real *p, v128_t v, int n)
{
    nn_real lanes[NN__LANES];
    wasm_v128_store(lanes, v);
    memcpy(p, lanes, (size_t)n * sizeof *p);
}

#define NN__LOAD(p)                 wasm_v128_load(p)
#define NN__STORE(p, v)             wasm_v128_store(p, v)
#define NN__LOAD_SOME(p, n)         nn__load_some(p, n)
#define NN__LOAD_HALF(p)            nn__load_some(p, NN__LANES / 2)
#define NN__STORE_HALF(p, v)        nn__store_some(p, v, NN__LANES / 2)
#define NN__STORE_ONE(p, v)         nn__store_some(p, v, 1)
#define NN__STORE_SOME(p, v, n)     nn__store_some(p, v, n)
#define NN__SET1(x)                 NN__F(splat)(x)
#define NN__ADD(a, b)               NN__F(add)(a, b)
#define NN__SUB(a, b)               NN__F(sub)(a, b)
#define NN__MUL(a, b)               NN__F(mul)(a, b)
#define NN__DIV(a, b)               NN__F(div)(a, b)
#define NN__SQRT(v)                 NN__F(sqrt)(v)
#define NN__MAX(a, b)               NN__F(pmax)(b, a)
#define NN__MIN(a, b)               NN__F(pmin)(b, a)
#define NN__SELECT_LESS(a, b, x, y) wasm_v128_bitselect(x, y, NN__F(lt)(a, b))
#define NN__BITS_ADD(a, b)          NN__I(add)(a, b)
#define NN__BITS_SUB(a, b)          NN__I(sub)(a, b)
#define NN__BITS_AND(a, b)          wasm_v128_and(a, b)
#define NN__BITS_OR(a, b)           wasm_v128_or(a, b)
#define NN__BITS_LEFT(v, n)         NN__I(shl)(v, n)
#define NN__BITS_RIGHT(v, n)        NN__SHIFT_RIGHT(v, n)
#define NN__ANY_BITS(v)             wasm_v128_any_true(v)

NN__DEFINE_KERNELS

#endif
#endif /* NN__SIMD */

/* ================================================================================================
   >>dispatch
   ------------------------------------------------------------------------------------------------
   The only place that chooses among back-ends: NN__RUN(model, adam, ...) calls the adam of the
   model's one.
   ============================================================================================= */

#ifndef NN__SIMD
#define NN__RUN(model, kernel, ...) nn__##kernel##_scalar(__VA_ARGS__)
#else
#define NN__RUN(model, kernel, ...) (model)->kernels->kernel(__VA_ARGS__)

#ifdef NN_NO_TRAIN
#define NN__TRAINING_SCALAR
#else
#define NN__TRAINING_SCALAR                                                                        \
    , nn__dense_weight_gradient_scalar, nn__dense_input_gradient_scalar,                           \
        nn__activation_gradient_scalar,                                                            \
        nn__softplus_tails_scalar NN__OPTIMIZERS(NN__OPTIMIZER_SCALAR)
#endif

static const nn__kernels nn__kernels_scalar = {"scalar",
                                               "scalar",
                                               nn__activate_scalar,
                                               nn__softmax_row_scalar,
                                               nn__all_finite_scalar,
                                               nn__scale_rows_scalar,
                                               nn__dense_forward_scalar NN__TRAINING_SCALAR};

#ifdef NN__X86
static void nn__cpuid(unsigned leaf, unsigned registers[4])
{
#ifdef _MSC_VER
    int r[4];
    __cpuidex(r, (int)leaf, 0);
    registers[0] = (unsigned)r[0];
    registers[1] = (unsigned)r[1];
    registers[2] = (unsigned)r[2];
    registers[3] = (unsigned)r[3];
#else
    __cpuid_count(leaf, 0, registers[0], registers[1], registers[2], registers[3]);
#endif
}

/* The register states that the operating system saves. */
static unsigned nn__saved_states(void)
{
#ifdef _MSC_VER
    return (unsigned)_xgetbv(0);
#else
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
#endif
}

/* 1: AVX2 and FMA; 2: AVX-512F too; 0: neither, or the operating system does not know them (Intel's
   manual, volume 1, 14.3 and 15.2). */
static int nn__level(void)
{
    const unsigned fma = 1u << 12, osxsave = 1u << 27, avx2 = 1u << 5, avx512f = 1u << 16;
    const unsigned ymm = 0x6, zmm = 0xe6;
    unsigned r[4], states;

    nn__cpuid(0, r);
    if (r[0] < 7) return 0;
    nn__cpuid(1, r);
    if ((r[2] & (fma | osxsave)) != (fma | osxsave)) return 0;
    states = nn__saved_states();
    nn__cpuid(7, r);
    if (!(r[1] & avx2) || (states & ymm) != ymm) return 0;
    return (r[1] & avx512f) && (states & zmm) == zmm ? 2 : 1;
}
#else
static int nn__level(void)
{
    return 1;
}
#endif

/* Back-end i, from the scalar one to the best of a level; NULL past the last. */
static const nn__kernels *nn__kernels_of(int i, int level)
{
    if (i == 0) return &nn__kernels_scalar;
    if (i > level) return NULL;
#if defined(NN__X86)
    return i == 1 ? &nn__kernels_avx2 : &nn__kernels_avx512;
#elif defined(NN__NEON)
    return &nn__kernels_neon;
#else
    return &nn__kernels_wasm;
#endif
}

/* See NN_BACKEND. */
static const nn__kernels *nn__find_kernels(const char *name)
{
    const nn__kernels *found = &nn__kernels_scalar, *next;
    const int level = nn__level();
    int i;

    for (i = 0; (next = nn__kernels_of(i, level)) != NULL; i++)
        if (!name || strcmp(next->name, name) == 0) found = next;
    return found;
}
#endif

/* ================================================================================================
   >>model
   ============================================================================================= */

/* The one place that knows a layer's layout: its weights [inputs x outputs] begin at `weights` in
   the parameters, its biases [outputs] behind them at `biases`. A file has them in the same places,
   but the weights as [outputs x inputs]. */
typedef struct nn__layer {
    nn_layer_kind kind;
    nn_activation activation;
    int inputs, outputs;
    size_t weights, biases;
} nn__layer;

NN__HOT nn__layer nn__layer_at(const nn_model *model, int i)
{
    nn__layer layer;

    layer.kind = model->layers[i].kind;
    layer.activation = model->layers[i].activation;
    layer.inputs = i ? model->layers[i - 1].width : model->inputs;
    layer.outputs = model->layers[i].width;
    layer.weights = model->offsets[i];
    layer.biases = layer.weights + (size_t)layer.inputs * (size_t)layer.outputs;
    return layer;
}

static int nn__layer_inputs(const nn_model *model, int layer)
{
    return nn__layer_at(model, layer).inputs;
}

static int nn__outputs(const nn_model *model)
{
    return model->layers[model->count - 1].width;
}

#ifndef NN_NO_TRAIN
static nn_activation nn__output_activation(const nn_model *model)
{
    return model->layers[model->count - 1].activation;
}
#endif

static nn_status nn__check_shape(const nn_shape *shape)
{
    int i;

    if (!shape || !shape->layers) return NN_ERROR_NULL;
    if (shape->inputs < 1 || shape->count < 1) return NN_ERROR_SIZE;
    if (shape->inputs > INT_MAX - 64) return NN_ERROR_OVERFLOW;
    for (i = 0; i < shape->count; i++) {
        const int activation = (int)shape->layers[i].activation;

        if (shape->layers[i].kind != NN_LAYER_DENSE) return NN_ERROR_LAYER;
        if (shape->layers[i].width < 1) return NN_ERROR_SIZE;
        if (shape->layers[i].width > INT_MAX - 64) return NN_ERROR_OVERFLOW; /* vectors' loops */
        if (!nn__has_activation(activation) ||
            (activation == (int)NN_SOFTMAX && i < shape->count - 1))
            return NN_ERROR_ACTIVATION;
    }
    return NN_OK;
}

/* What a model's block is made of. Predicting goes through two buffers in turn: the scaled input
   and every second layer's output live in the first, the other outputs in the second. Each can hold
   the outputs. */
typedef struct nn__sizes {
    int inputs, count;
    size_t parameters;
    int buffers[2]; /* widths */
} nn__sizes;

static nn__sizes nn__no_layers(int inputs)
{
    nn__sizes sizes;

    memset(&sizes, 0, sizeof sizes);
    sizes.inputs = sizes.buffers[0] = inputs;
    return sizes;
}

/* Counts another layer in; the parameters become SIZE_MAX when they are too many. */
static void nn__count_layer(nn__sizes *sizes, int in, int out, int last)
{
    const size_t rows = (size_t)in + 1;
    int i;

    if (sizes->parameters == SIZE_MAX || rows > (SIZE_MAX - sizes->parameters) / (size_t)out)
        sizes->parameters = SIZE_MAX;
    else
        sizes->parameters += rows * (size_t)out;
    for (i = 0; i < 2; i++)
        if ((last || i != sizes->count % 2) && out > sizes->buffers[i]) sizes->buffers[i] = out;
    sizes->count++;
}

static nn__sizes nn__sizes_of(const nn_shape *shape)
{
    nn__sizes sizes = nn__no_layers(shape->inputs);
    int i, in = shape->inputs;

    for (i = 0; i < shape->count; in = shape->layers[i++].width)
        nn__count_layer(&sizes, in, shape->layers[i].width, i == shape->count - 1);
    return sizes;
}

/* Lays a model out in a block: the struct itself at its beginning, then the layers, the parameters
   (unless they are in a file), the scaling, the scratch. With block->base NULL it only measures. */
static void nn__lay_out_model(nn_model *model, nn__block *block, const nn__sizes *sizes, int stored)
{
    const size_t width = (size_t)sizes->buffers[0] + (size_t)sizes->buffers[1];

    (void)nn__take(block, 1, sizeof *model);
    model->offsets = (size_t *)nn__take(block, (size_t)sizes->count, sizeof(size_t));
    model->layers = (nn_layer *)nn__take(block, (size_t)sizes->count, sizeof(nn_layer));
    model->parameters = stored ? NULL : nn__take_reals(block, 1, sizes->parameters);
    model->offset = nn__take_reals(block, 2, (size_t)sizes->inputs);
    model->scratch = nn__take_reals(block, NN_PREDICT_ROWS, width);
    model->first_width = (size_t)sizes->buffers[0];
    model->parameter_count = sizes->parameters;
    model->inputs = sizes->inputs;
    model->count = sizes->count;
}

NN_DEF nn_status nn_initialize(nn_model *model, nn_initialization scheme, uint64_t seed)
{
    uint64_t random = nn__random_start(seed);
    int i;

    if (!model) return NN_ERROR_NULL;
    if ((unsigned)scheme > NN_INITIALIZE_LECUN) return NN_ERROR_OPTION;
    if (!model->parameters) return NN_ERROR_READ_ONLY;
    for (i = 0; i < model->count; i++) {
        const nn__layer layer = nn__layer_at(model, i);
        const int rectified = layer.activation == NN_RELU || layer.activation == NN_LEAKY_RELU;
        const int glorot =
            scheme == NN_INITIALIZE_GLOROT || (scheme == NN_INITIALIZE_DEFAULT && !rectified);
        const nn_real fan_in = (nn_real)layer.inputs, fan_out = (nn_real)layer.outputs;
        const nn_real fans = glorot ? fan_in + fan_out : fan_in;
        const nn_real bound = NN_SQRT((scheme == NN_INITIALIZE_LECUN ? 3 : 6) / fans);
        size_t k = layer.weights, end = layer.biases + (size_t)layer.outputs;

        for (; k < layer.biases; k++) model->parameters[k] = bound * (2 * nn__uniform(&random) - 1);
        for (; k < end; k++) model->parameters[k] = 0;
    }
    model->changes++;
    return NN_OK;
}

static void nn__clear_scaling(nn_model *model)
{
    nn_real *offset = model->offset, *factor = offset + model->inputs;
    const int inputs = model->inputs;
    int i;

    model->scaling = NN_SCALE_NONE;
    model->changes++;
    for (i = 0; i < inputs; i++) {
        offset[i] = 0;
        factor[i] = 1;
    }
}

static size_t nn__model_size(const nn__sizes *sizes, int stored)
{
    nn__block block = {NULL, 0, 0};
    nn_model layout;

    nn__lay_out_model(&layout, &block, sizes, stored);
    return nn__block_size(&block);
}

NN_DEF size_t nn_model_size(const nn_shape *shape)
{
    nn__sizes sizes;

    if (nn__check_shape(shape) != NN_OK) return 0;
    sizes = nn__sizes_of(shape);
    return nn__model_size(&sizes, 0);
}

/* A model of these sizes in the caller's memory, without layers or parameters. */
static nn_status nn__make_model(nn_model **model, void *memory, size_t size, const nn__sizes *sizes,
                                int stored)
{
    const size_t needed = nn__model_size(sizes, stored);
    nn__block block = {NULL, 0, 0};

    if (!needed) return NN_ERROR_OVERFLOW;
    if (!memory) return NN_ERROR_NULL;
    if (size < needed) return NN_ERROR_BLOCK;
    block.base = nn__align(memory);
    *model = (nn_model *)(void *)block.base;
    nn__lay_out_model(*model, &block, sizes, stored);
    NN_ASSERT(nn__block_size(&block) == needed);
#ifdef NN__SIMD
    (*model)->kernels = nn__find_kernels(NN_BACKEND);
#endif
#ifndef NN_NO_MALLOC
    (*model)->heap = NULL;
#endif
    (*model)->changes = 0;
    nn__clear_scaling(*model);
    return NN_OK;
}

/* After the layers are set: where the parameters of each begin. */
static void nn__set_offsets(nn_model *model)
{
    size_t offset = 0;
    int i;

    for (i = 0; i < model->count; i++) {
        model->offsets[i] = offset;
        offset += ((size_t)(i ? model->layers[i - 1].width : model->inputs) + 1) *
                  (size_t)model->layers[i].width;
    }
}

NN_DEF nn_status nn_model_create_in(nn_model **model, void *memory, size_t size,
                                    const nn_shape *shape, uint64_t seed)
{
    nn__sizes sizes;
    nn_status status;

    if (!model) return NN_ERROR_NULL;
    *model = NULL;
    status = nn__check_shape(shape);
    if (status != NN_OK) return status;
    sizes = nn__sizes_of(shape);
    status = nn__make_model(model, memory, size, &sizes, 0);
    if (status != NN_OK) return status;
    memcpy((*model)->layers, shape->layers, (size_t)shape->count * sizeof(nn_layer));
    nn__set_offsets(*model);
    (*model)->file = NULL;
    (void)nn_initialize(*model, NN_INITIALIZE_DEFAULT, seed);
    return NN_OK;
}

#ifndef NN_NO_MALLOC
static nn_status nn__create(nn_model **model, const nn_shape *shape, uint64_t seed)
{
    size_t size;
    void *memory;
    nn_status status;

    if (!model) return NN_ERROR_NULL;
    *model = NULL;
    status = nn__check_shape(shape);
    if (status != NN_OK) return status;
    size = nn_model_size(shape);
    if (!size) return NN_ERROR_OVERFLOW;
    memory = NN_MALLOC(size);
    if (!memory) return NN_ERROR_MEMORY;
    status = nn_model_create_in(model, memory, size, shape, seed);
    if (status == NN_OK)
        (*model)->heap = memory;
    else
        NN_FREE(memory);
    return status;
}

NN_DEF nn_status nn_model_create(nn_model **model, int inputs, const nn_layer *layers, int count,
                                 uint64_t seed)
{
    nn_shape shape;

    shape.inputs = inputs;
    shape.layers = layers;
    shape.count = count;
    return nn__create(model, &shape, seed);
}
#endif

NN_DEF void nn_model_free(nn_model *model)
{
#ifdef NN_NO_MALLOC
    (void)model;
#else
    if (model && model->heap) NN_FREE(model->heap);
#endif
}

NN_DEF nn_status nn_get_shape(const nn_model *model, nn_shape *shape)
{
    if (shape) memset(shape, 0, sizeof *shape);
    if (!model || !shape) return NN_ERROR_NULL;
    shape->inputs = model->inputs;
    shape->layers = model->layers;
    shape->count = model->count;
    return NN_OK;
}

NN_DEF const char *nn_backend(const nn_model *model)
{
    if (!model) return NULL;
#ifdef NN__SIMD
    return model->kernels->label;
#else
    return "scalar";
#endif
}

NN_DEF nn_real *nn_parameters(nn_model *model)
{
    return model ? model->parameters : NULL;
}

NN_DEF size_t nn_parameter_count(const nn_model *model)
{
    return model ? model->parameter_count : 0;
}

NN_DEF nn_status nn_layer_parameters(nn_model *model, int layer, nn_layer_arrays *arrays)
{
    nn__layer at;

    if (arrays) memset(arrays, 0, sizeof *arrays);
    if (!model || !arrays) return NN_ERROR_NULL;
    if (layer < 0 || layer >= model->count) return NN_ERROR_SIZE;
    if (!model->parameters) return NN_ERROR_READ_ONLY;
    at = nn__layer_at(model, layer);
    arrays->inputs = at.inputs;
    arrays->outputs = at.outputs;
    arrays->weights = model->parameters + at.weights;
    arrays->biases = model->parameters + at.biases;
    return NN_OK;
}

#ifndef NN_NO_MALLOC
NN_DEF nn_status nn_model_copy(nn_model **copy, const nn_model *model)
{
    nn_shape shape;
    nn_status status;

    if (copy) *copy = NULL;
    if (!copy || !model) return NN_ERROR_NULL;
    if (!model->parameters) return NN_ERROR_READ_ONLY;
    (void)nn_get_shape(model, &shape);
    status = nn__create(copy, &shape, 0);
    if (status != NN_OK) return status;
    memcpy((*copy)->parameters, model->parameters, model->parameter_count * sizeof(nn_real));
    memcpy((*copy)->offset, model->offset, 2 * (size_t)model->inputs * sizeof(nn_real));
    (*copy)->scaling = model->scaling;
    return NN_OK;
}
#endif

/* x[rows x inputs] through all layers, rows <= NN_PREDICT_ROWS or as many as scratch was made for.
   The outputs [rows x outputs] go to y; when y is NULL, they stay in the scratch as they are before
   the last activation: logits. Returns where. x must be finite and not yet scaled. */
static nn_real *nn__infer(const nn_model *model, const nn_real *x, int rows, nn_real *scratch,
                          nn_real *y)
{
    nn_real *next = scratch, *other = scratch + model->first_width * (size_t)rows, *out = NULL;
    const nn_real *w = model->parameters;
    int i;

    if (model->scaling != NN_SCALE_NONE) {
        NN__RUN(model, scale_rows, x, NULL, model->offset, model->offset + model->inputs, next,
                rows, model->inputs);
        x = next;
    }
    for (i = 0; i < model->count; i++, x = out) {
        const nn__layer layer = nn__layer_at(model, i);
        const int last = i == model->count - 1;
        const nn_activation activation = last && !y ? NN_LINEAR : layer.activation;

        out = last && y ? y : other;
        other = next;
        next = out;
        if (w)
            NN__RUN(model, dense_forward, x, w + layer.weights, w + layer.biases, out, rows,
                    layer.inputs, layer.outputs, activation);
        else
            nn__stored_forward(x, model->file + layer.weights * sizeof(nn_real), out, rows,
                               layer.inputs, layer.outputs, activation);
    }
    return out;
}

static int nn__predict_rows(int rows)
{
    return rows < NN_PREDICT_ROWS ? rows : NN_PREDICT_ROWS;
}

NN_DEF size_t nn_scratch_size(const nn_model *model, int rows)
{
    nn_shape shape;
    nn__sizes sizes;

    if (nn_get_shape(model, &shape) != NN_OK || rows < 1) return 0;
    sizes = nn__sizes_of(&shape);
    return (size_t)nn__predict_rows(rows) * sizeof(nn_real) *
           ((size_t)sizes.buffers[0] + (size_t)sizes.buffers[1]);
}

/* The arguments of nn_predict and nn_predict_classes. */
NN__HOT nn_status nn__check_inputs(const nn_model *model, const nn_real *x, int rows,
                                   const void *scratch)
{
    const size_t inputs = (size_t)model->inputs, outputs = (size_t)nn__outputs(model);

    if (rows < 1) return NN_ERROR_SIZE;
    if ((uintptr_t)scratch % sizeof(nn_real) != 0) return NN_ERROR_BLOCK;
    if (rows > 1 &&
        (size_t)rows > SIZE_MAX / sizeof(nn_real) / (inputs > outputs ? inputs : outputs))
        return NN_ERROR_OVERFLOW;
    return NN__RUN(model, all_finite, x, (size_t)rows * inputs) ? NN_OK : NN_ERROR_DATA;
}

NN_DEF nn_status nn_predict(const nn_model *model, const nn_real *x, int rows, nn_real *y,
                            void *scratch)
{
    nn_status status;
    size_t inputs, outputs;
    int first, count;

    if (!model || !x || !y) return NN_ERROR_NULL;
    status = nn__check_inputs(model, x, rows, scratch);
    if (status != NN_OK) return status;
    inputs = (size_t)model->inputs;
    outputs = (size_t)nn__outputs(model);
    for (first = 0; first < rows; first += count) {
        count = nn__predict_rows(rows - first);
        (void)nn__infer(model, x, count, scratch ? (nn_real *)scratch : model->scratch, y);
        x += (size_t)count * inputs;
        y += (size_t)count * outputs;
    }
    return NN_OK;
}

/* The class of a row of outputs or targets. */
static int nn__class_of(const nn_real *row, int outputs)
{
    int j, top = 0;

    if (outputs == 1) return row[0] >= (nn_real)0.5;
    for (j = 1; j < outputs; j++)
        if (row[j] > row[top]) top = j;
    return top;
}

NN_DEF nn_status nn_predict_classes(const nn_model *model, const nn_real *x, int rows, int *classes,
                                    void *scratch)
{
    nn_status status;
    int first, count, outputs, b;

    if (!model || !x || !classes) return NN_ERROR_NULL;
    status = nn__check_inputs(model, x, rows, scratch);
    if (status != NN_OK) return status;
    outputs = nn__outputs(model);
    for (first = 0; first < rows; first += count) {
        nn_real *y;

        count = nn__predict_rows(rows - first);
        y = nn__infer(model, x, count, scratch ? (nn_real *)scratch : model->scratch, NULL);
        NN__RUN(model, activate, model->layers[model->count - 1].activation, y, count, outputs);
        for (b = 0; b < count; b++, y += outputs) *classes++ = nn__class_of(y, outputs);
        x += (size_t)count * (size_t)model->inputs;
    }
    return NN_OK;
}

#ifndef NN_NO_TRAIN

/* ================================================================================================
   >>loss
   ------------------------------------------------------------------------------------------------
   One row of the table and one room for each loss. A row's loss is a mean or a sum over its
   outputs; a batch's is the weighted mean over its rows. p are the outputs, t the targets, z the
   logits (the last layer's sums, before its activation).

   Where the table says ELEMENT, a room has a function of the difference d = p - t of one output,
   and its derivative with respect to p. Where it says ROW, the loss belongs to one activation of
   the last layer, and is computed from z, so that nothing is lost where p rounds to 0 or 1; its
   room has a function for rows, and dL/dz. Either way a caller gets dL/dz, from nn__loss_backward.

   To add a loss: its enumerator in nn_loss, its row here, its room below.
   ============================================================================================= */

/* X(enumerator, name, ELEMENT or ROW, the activation that the last layer must have, or -1: any). In
   the order of the enum. */
#define NN__LOSSES(X)                                                                              \
    X(MSE, mse, ELEMENT, -1)                                                                       \
    X(HUBER, huber, ELEMENT, -1)                                                                   \
    X(BINARY_CROSS_ENTROPY, binary_cross_entropy, ROW, NN_SIGMOID)                                 \
    X(CROSS_ENTROPY, cross_entropy, ROW, NN_SOFTMAX)                                               \
    X(MAE, mae, ELEMENT, -1)                                                                       \
    X(QUANTILE, quantile, ELEMENT, -1)

NN__CHECK_TABLE(losses, NN__LOSSES, NN_LOSS_COUNT);

/* What a loss needs to know beside the outputs. */
typedef struct nn__objective {
    const nn_model *model;
    nn_loss loss;
    nn_activation activation; /* of the last layer */
    int outputs;
    nn_real target_share, target_rest; /* label smoothing (Szegedy et al. 2016) makes of a target t
                                          t * target_share + target_rest */
    nn_real delta, quantile;           /* Huber's; the quantile loss's */
    const nn_real *targets;            /* [... x outputs], row index[b] for row b, */
    const size_t *index;               /* or row b where index is NULL */
    const nn_real *weights;            /* of the same rows, NULL: 1; for the gradient */
    nn_real total;                     /* the sum of the weights of the whole batch */
} nn__objective;

/* Without options: the mean squared error. The fields behind quantile are the caller's to set. */
static void nn__set_objective(nn__objective *objective, const nn_model *model,
                              const nn_options *options)
{
    const nn_real smoothing = options ? options->label_smoothing : 0;

    objective->model = model;
    objective->loss = options ? options->loss : NN_MSE;
    objective->activation = nn__output_activation(model);
    objective->outputs = nn__outputs(model);
    objective->target_share = 1 - smoothing;
    objective->target_rest = smoothing / (nn_real)objective->outputs;
    objective->delta = options ? nn__or(options->huber_delta, 1) : 1;
    objective->quantile = nn__or(options ? options->quantile : 0, (nn_real)0.5);
}

static size_t nn__data_row(const nn__objective *objective, int b)
{
    return objective->index ? objective->index[b] : (size_t)b;
}

static const nn_real *nn__targets_of(const nn__objective *objective, int b)
{
    return objective->targets + nn__data_row(objective, b) * (size_t)objective->outputs;
}

/* ---- Mean squared error ---------------------------------------------------------------------- */

/* The mean over the outputs of d^2; derivative 2 d / outputs.

   The functions of one output, here and below, leave out the division by the number of outputs: the
   first returns sum + the loss of the output, the second the derivative. */

/* Here and below: sum + the loss of one output; then its derivative, both before the division by
   the number of outputs. */
static nn_real nn__mse(const nn__objective *objective, nn_real d, nn_real sum)
{
    (void)objective;
    return nn__fma(d, d, sum);
}

static nn_real nn__mse_gradient(const nn__objective *objective, nn_real d)
{
    (void)objective;
    return 2 * d;
}

/* ---- Huber ----------------------------------------------------------------------------------- */

/* The mean over the outputs of d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2); derivative
   d / outputs where |d| <= delta, else +-delta / outputs (Huber 1964). */

static nn_real nn__huber(const nn__objective *objective, nn_real d, nn_real sum)
{
    const nn_real delta = objective->delta, size = nn__absolute(d);

    if (size > delta) return nn__fma(delta, nn__fma(-(nn_real)0.5, delta, size), sum);
    return nn__fma((nn_real)0.5 * size, size, sum);
}

static nn_real nn__huber_gradient(const nn__objective *objective, nn_real d)
{
    if (nn__absolute(d) > objective->delta) return d > 0 ? objective->delta : -objective->delta;
    return d;
}

/* ---- Mean absolute error --------------------------------------------------------------------- */

/* The mean over the outputs of |d|; derivative sign(d) / outputs, 0 where d is 0. */

static nn_real nn__mae(const nn__objective *objective, nn_real d, nn_real sum)
{
    (void)objective;
    return sum + nn__absolute(d);
}

static nn_real nn__mae_gradient(const nn__objective *objective, nn_real d)
{
    (void)objective;
    return d > 0 ? 1 : d < 0 ? -1 : 0;
}

/* ---- Quantile, or pinball loss --------------------------------------------------------------- */

/* The mean over the outputs of (1 - q) d where d > 0, else -q d; derivative (1 - q) / outputs where
   d > 0, -q / outputs where d < 0, else 0. q is the quantile (Koenker and Bassett 1978). */

static nn_real nn__quantile(const nn__objective *objective, nn_real d, nn_real sum)
{
    const nn_real q = objective->quantile;

    return nn__fma(d > 0 ? 1 - q : -q, d, sum);
}

static nn_real nn__quantile_gradient(const nn__objective *objective, nn_real d)
{
    const nn_real q = objective->quantile;

    return d > 0 ? 1 - q : d < 0 ? -q : 0;
}

/* ---- Binary cross-entropy -------------------------------------------------------------------- */

/* For sigmoid. The mean over the outputs of -t log p - (1 - t) log(1 - p), computed from the logits
   as max(z, 0) - z t + log1p(exp(-|z|)); gradient dL/dz = (p - t) / outputs. */

/* z[rows x outputs] becomes p. */
static void nn__binary_cross_entropy(const nn__objective *objective, nn_real *z, int rows,
                                     nn_real *losses)
{
    const int outputs = objective->outputs;
    nn_real tails[NN__TAILS], *tail = tails; /* log1p(exp(-|z|)) of the next logits, of any rows */
    size_t left = (size_t)rows * (size_t)outputs, ready = 0;
    nn_real *logit = z;
    int b, j;

    tails[0] = 0; /* some compilers do not see that it is set below */
    for (b = 0; b < rows; b++) {
        const nn_real *t = nn__targets_of(objective, b);
        nn_real sum = 0;

        for (j = 0; j < outputs; j++, logit++, ready--) {
            if (ready == 0) {
                tail = tails;
                ready = left < NN__TAILS ? left : NN__TAILS;
                left -= ready;
                NN__RUN(objective->model, softplus_tails, logit, tails, ready);
            }
            sum += nn__fma(-*logit, t[j], 0 > *logit ? 0 : *logit);
            sum += *tail++;
        }
        losses[b] = sum / (nn_real)outputs;
    }
    NN__RUN(objective->model, activate, NN_SIGMOID, z, rows, outputs);
}

/* p[outputs], a row, becomes factor * dL/dz, where share = factor / outputs. */
static void nn__binary_cross_entropy_gradient(const nn__objective *objective, nn_real *p,
                                              const nn_real *t, nn_real factor, nn_real share)
{
    int j;

    (void)factor;
    for (j = 0; j < objective->outputs; j++) p[j] = (p[j] - t[j]) * share;
}

/* ---- Cross-entropy --------------------------------------------------------------------------- */

/* For softmax. The sum over the outputs of -t log p, computed from the logits as the sum of
   t (log(sum of exp(z)) - z); gradient dL/dz = p * (sum of t) - t. With label smoothing (Szegedy et
   al. 2016), t stands for t * target_share + target_rest. */

static nn_real nn__smooth(const nn__objective *objective, nn_real t)
{
    return nn__fma(t, objective->target_share, objective->target_rest);
}

/* z[rows x outputs] becomes p. */
static void nn__cross_entropy(const nn__objective *objective, nn_real *z, int rows, nn_real *losses)
{
    const int outputs = objective->outputs;
    int b, j;

    for (b = 0; b < rows; b++, z += outputs) {
        const nn_real *t = nn__targets_of(objective, b);
        nn_real sum = 0, total = 0, largest = z[0];

        for (j = 1; j < outputs; j++)
            if (z[j] > largest) largest = z[j];
        for (j = 0; j < outputs; j++) {
            const nn_real target = nn__smooth(objective, t[j]);
            sum = nn__fma(target, largest - z[j], sum);
            total += target;
        }
        losses[b] =
            nn__fma(total, nn__log1p(NN__RUN(objective->model, softmax_row, z, outputs)), sum);
    }
}

static void nn__cross_entropy_gradient(const nn__objective *objective, nn_real *p, const nn_real *t,
                                       nn_real factor, nn_real share)
{
    const int outputs = objective->outputs;
    nn_real total = 0;
    int j;

    (void)share;
    for (j = 0; j < outputs; j++) total += nn__smooth(objective, t[j]);
    for (j = 0; j < outputs; j++)
        p[j] = nn__fma(total, p[j], -nn__smooth(objective, t[j])) * factor;
}

/* ---- What the table drives ------------------------------------------------------------------- */

/* clang-format off */
#define NN__KEEP_IF_ROW_ELEMENT(...)
#define NN__KEEP_IF_ROW_ROW(...) __VA_ARGS__
#define NN__FITS_CASE(ID, name, form, last)                                                        \
    case NN_##ID: return (last) < 0 || (int)(last) == (int)activation;
#define NN__IS_ROW_LOSS(ID, name, form, last) NN__KEEP_IF_ROW_##form(|| loss == NN_##ID)
#define NN__ELEMENT_CASE(ID, name, form, last)                                                     \
    NN__KEEP_IF_##form(case NN_##ID:                                                               \
        if (NN__ONLY(NN_ONLY_LOSSES, NN_##ID)) return nn__##name(objective, d, sum);               \
        break;)
#define NN__ELEMENT_GRADIENT_CASE(ID, name, form, last)                                            \
    NN__KEEP_IF_##form(case NN_##ID:                                                               \
        if (NN__ONLY(NN_ONLY_LOSSES, NN_##ID)) return nn__##name##_gradient(objective, d);         \
        break;)
#define NN__ROW_CASE(ID, name, form, last)                                                         \
    NN__KEEP_IF_ROW_##form(case NN_##ID:                                                           \
        if (NN__ONLY(NN_ONLY_LOSSES, NN_##ID))                                                     \
            nn__##name(objective, z, rows, losses);                 \
        return;)
#define NN__ROW_GRADIENT_CASE(ID, name, form, last)                                                \
    NN__KEEP_IF_ROW_##form(case NN_##ID:                                                           \
        if (NN__ONLY(NN_ONLY_LOSSES, NN_##ID))                                                     \
            nn__##name##_gradient(objective, row, t, factor, share);                               \
        continue;)
/* clang-format on */

/* Whether there is such a loss, and it goes with the last layer's activation. */
static int nn__loss_fits(nn_loss loss, nn_activation activation)
{
    if ((unsigned)loss >= (unsigned)NN_LOSS_COUNT || !NN__ONLY(NN_ONLY_LOSSES, loss)) return 0;
    switch (loss) {
        NN__LOSSES(NN__FITS_CASE)
    default: return 0;
    }
}

/* Whether a loss is one of ROW, computed from the logits: a cross-entropy. */
static int nn__is_cross_entropy(nn_loss loss)
{
    return 0 NN__LOSSES(NN__IS_ROW_LOSS);
}

static nn_real nn__add_difference(const nn__objective *objective, nn_real d, nn_real sum)
{
    switch (objective->loss) {
        NN__LOSSES(NN__ELEMENT_CASE)
    default: break;
    }
    return sum;
}

static nn_real nn__difference_gradient(const nn__objective *objective, nn_real d)
{
    switch (objective->loss) {
        NN__LOSSES(NN__ELEMENT_GRADIENT_CASE)
    default: break;
    }
    return d;
}

/* Outputs and losses: from z[rows x outputs], the logits, p = f(z) in p[rows x outputs], which may
   be z, and losses[rows]. */
static void nn__loss_forward(const nn__objective *objective, nn_real *z, nn_real *p, int rows,
                             nn_real *losses)
{
    const int outputs = objective->outputs;
    int b, j;

    switch (objective->loss) {
        NN__LOSSES(NN__ROW_CASE)
    default: break;
    }
    if (p != z) memcpy(p, z, (size_t)rows * (size_t)outputs * sizeof *p);
    NN__RUN(objective->model, activate, objective->activation, p, rows, outputs);
    for (b = 0; b < rows; b++, p += outputs) {
        const nn_real *t = nn__targets_of(objective, b);
        nn_real sum = 0;

        for (j = 0; j < outputs; j++) sum = nn__add_difference(objective, p[j] - t[j], sum);
        losses[b] = sum / (nn_real)outputs;
    }
}

/* The gradient of the rows' weighted mean loss: s[rows x outputs], what the derivative of the last
   activation is computed from (p, or z), becomes dL/dz. dp[rows x outputs] is written over. */
static void nn__loss_backward(const nn__objective *objective, nn_real *s, const nn_real *p,
                              int rows, nn_real *dp)
{
    const int outputs = objective->outputs;
    nn_real *row = s, *d = dp;
    nn_real factor = 1 / objective->total, share = factor / (nn_real)outputs;
    int b, j;

    for (b = 0; b < rows; b++, row += outputs, p += outputs, d += outputs) {
        const nn_real *t = nn__targets_of(objective, b);

        if (objective->weights) {
            factor = objective->weights[nn__data_row(objective, b)] / objective->total;
            share = factor / (nn_real)outputs;
        }
        switch (objective->loss) {
            NN__LOSSES(NN__ROW_GRADIENT_CASE)
        default: break;
        }
        for (j = 0; j < outputs; j++)
            d[j] = nn__difference_gradient(objective, p[j] - t[j]) * share;
    }
    if (nn__is_cross_entropy(objective->loss)) return;
    NN__RUN(objective->model, activation_gradient, objective->activation, s, dp, rows, outputs);
}

/* ================================================================================================
   >>data
   ------------------------------------------------------------------------------------------------
   What a row's outputs mean, checks of data, the order of rows, scaling, dividing.
   ============================================================================================= */

static void nn__copy(nn_real *to, const nn_real *from, size_t count)
{
    memcpy(to, from, count * sizeof(nn_real));
}

/* ---- What a row's prediction means ----------------------------------------------------------- */

static int nn__is_classification(const nn_data *data, nn_loss loss)
{
    return data->classes > 0 || nn__is_cross_entropy(loss);
}

/* Whether p predicts t: the same class or, with several outputs that are not one-hot classes (a
   binary cross-entropy of several labels), all outputs on their target's side of 1/2. */
static int nn__is_correct(const nn_data *data, nn_loss loss, const nn_real *p, const nn_real *t)
{
    int j;

    if (data->classes > 0 || loss == NN_CROSS_ENTROPY)
        return nn__class_of(p, data->outputs) == nn__class_of(t, data->outputs);
    for (j = 0; j < data->outputs; j++)
        if ((p[j] >= (nn_real)0.5) != (t[j] >= (nn_real)0.5)) return 0;
    return 1;
}

/* ---- Checks of data -------------------------------------------------------------------------- */

static nn_real nn__row_weight(const nn_data *data, size_t row)
{
    return data->weight ? data->weight[row] : 1;
}

/* Pointers and sizes. */
static nn_status nn__check_arrays(const nn_data *data)
{
    size_t widest;

    if (!data || !data->x || !data->y) return NN_ERROR_NULL;
    if (data->rows < 1 || data->inputs < 1 || data->outputs < 1) return NN_ERROR_SIZE;
    widest = (size_t)(data->inputs > data->outputs ? data->inputs : data->outputs);
    if ((size_t)data->rows > SIZE_MAX / sizeof(nn_real) / widest) return NN_ERROR_OVERFLOW;
    if (data->classes < 0 || (data->classes > 0 && data->outputs == 1 && data->classes != 2) ||
        (data->classes > 0 && data->outputs > 1 && data->classes != data->outputs))
        return NN_ERROR_LABEL;
    return NN_OK;
}

/* One row's targets against the loss and the classes. */
static nn_status nn__check_target(const nn_data *data, const nn_real *t, nn_loss loss)
{
    int j, ones = 0, zeros = 0;

    for (j = 0; j < data->outputs; j++) {
        ones += t[j] == 1;
        zeros += t[j] == 0;
        if (nn__is_cross_entropy(loss) && !(t[j] >= 0 && t[j] <= 1)) return NN_ERROR_TARGET;
    }
    if (data->classes > 0 && (ones + zeros != data->outputs || (data->outputs > 1 && ones != 1)))
        return NN_ERROR_LABEL;
    return NN_OK;
}

static nn_status nn__check_widths(const nn_data *data, int inputs, int outputs)
{
    const nn_status status = nn__check_arrays(data);

    if (status != NN_OK) return status;
    return data->inputs == inputs && data->outputs == outputs ? NN_OK : NN_ERROR_SHAPE;
}

static nn_status nn__check_rows(const nn_data *data, nn_loss loss)
{
    nn_status status;
    int b, positive = 0;

    if (!data->weight && !data->classes && !nn__is_cross_entropy(loss)) return NN_OK;
    for (b = 0; b < data->rows; b++) {
        const nn_real weight = nn__row_weight(data, (size_t)b);
        if (!nn__is_finite(weight) || weight < 0) return NN_ERROR_WEIGHT;
        positive |= weight > 0;
        status = nn__check_target(data, data->y + (size_t)b * (size_t)data->outputs, loss);
        if (status != NN_OK) return status;
    }
    return positive ? NN_OK : NN_ERROR_WEIGHT;
}

/* All that a model is given to learn from, or to be measured on. */
static nn_status nn__check_fits(const nn_data *data, const nn_model *model, nn_loss loss)
{
    const nn_status status = nn__check_widths(data, model->inputs, nn__outputs(model));

    if (status != NN_OK) return status;
    if (!NN__RUN(model, all_finite, data->x, (size_t)data->rows * (size_t)data->inputs) ||
        !NN__RUN(model, all_finite, data->y, (size_t)data->rows * (size_t)data->outputs))
        return NN_ERROR_DATA;
    return nn__check_rows(data, loss);
}

/* Some rows of a data set in some order. With validation_fraction, one seeded permutation of all
   rows first separates training from validation rows: then row i of these is row first + i of that.
   In training a second permutation, another in each epoch, shuffles them. */
typedef struct nn__rows {
    const nn_data *data;
    int first, count;
    int separated, shuffled;
    uint64_t separation_key, order_key;
} nn__rows;

static nn__rows nn__all_rows(const nn_data *data)
{
    nn__rows rows;

    memset(&rows, 0, sizeof rows);
    rows.data = data;
    rows.count = data->rows;
    return rows;
}

static size_t nn__row(const nn__rows *rows, int i)
{
    uint32_t row = (uint32_t)i;

    if (rows->shuffled) row = nn__permute(row, (uint32_t)rows->count, rows->order_key);
    row += (uint32_t)rows->first;
    return rows->separated ? nn__permute(row, (uint32_t)rows->data->rows, rows->separation_key)
                           : row;
}

/* ---- Scaling --------------------------------------------------------------------------------- */

/* What a column of the data has: its ends, its sum, and that of the squares of the distances from
   the offset. Some columns at a time: a part of each row's cache line. */
enum { NN__COLUMNS = 8 };
typedef struct nn__column {
    nn_real low, high;
    nn__sum sum, squares;
} nn__column;

/* offset and factor of the inputs first .. first + count - 1, over some rows */
static void nn__fit_columns(nn_model *model, const nn__rows *rows, nn_scaling scaling, int first,
                            int count)
{
    nn_real *offset = model->offset + first, *factor = offset + model->inputs, spread;
    const nn_real *x = rows->data->x + first, *row;
    const nn_real n = (nn_real)rows->count;
    nn__column columns[NN__COLUMNS], *column;
    int i, b;

    memset(columns, 0, sizeof columns);
    for (b = 0; b < rows->count; b++) {
        row = x + nn__row(rows, b) * (size_t)model->inputs;
        for (i = 0, column = columns; i < count; i++, column++) {
            if (b == 0 || row[i] < column->low) column->low = row[i];
            if (b == 0 || row[i] > column->high) column->high = row[i];
            nn__add(&column->sum, row[i]);
        }
    }
    for (i = 0, column = columns; i < count; i++, column++)
        offset[i] = scaling == NN_SCALE_MIN_MAX || column->low == column->high
                        ? column->low
                        : nn__total(&column->sum) / n;
    for (b = 0; b < rows->count; b++) {
        row = x + nn__row(rows, b) * (size_t)model->inputs;
        for (i = 0; i < count; i++)
            nn__add(&columns[i].squares,
                    nn__rounded_product(row[i] - offset[i], row[i] - offset[i]));
    }
    for (i = 0, column = columns; i < count; i++, column++) {
        spread = scaling == NN_SCALE_MIN_MAX ? column->high - column->low
                                             : NN_SQRT(nn__total(&column->squares) / n);
        factor[i] = 1 / spread;
        if (column->low == column->high || !nn__is_finite(factor[i])) factor[i] = 1;
    }
}

/* Whether no sum over a column can overflow: of values, or of squares of their distances. */
static int nn__can_be_scaled(const nn_data *data)
{
    const size_t count = (size_t)data->rows * (size_t)data->inputs;
    nn_real largest = 0;
    size_t i;

    for (i = 0; i < count; i++)
        if (nn__absolute(data->x[i]) > largest) largest = nn__absolute(data->x[i]);
    return nn__is_finite(4 * largest * largest * (nn_real)data->rows);
}

static void nn__fit_scaling(nn_model *model, const nn__rows *rows, nn_scaling scaling)
{
    int first, left;

    for (first = 0; first < model->inputs; first += NN__COLUMNS) {
        left = model->inputs - first;
        nn__fit_columns(model, rows, scaling, first, left < NN__COLUMNS ? left : NN__COLUMNS);
    }
    model->scaling = scaling;
    model->changes++;
}

NN_DEF nn_status nn_fit_scaling(nn_model *model, const nn_data *data, nn_scaling scaling)
{
    nn__rows rows;
    nn_status status;

    if (!model) return NN_ERROR_NULL;
    if ((unsigned)scaling > NN_SCALE_MIN_MAX) return NN_ERROR_OPTION;
    if (scaling == NN_SCALE_NONE) {
        nn__clear_scaling(model);
        return NN_OK;
    }
    status = nn__check_arrays(data);
    if (status != NN_OK) return status;
    if (data->inputs != model->inputs) return NN_ERROR_SHAPE;
    if (!NN__RUN(model, all_finite, data->x, (size_t)data->rows * (size_t)data->inputs) ||
        !nn__can_be_scaled(data))
        return NN_ERROR_DATA;
    rows = nn__all_rows(data);
    nn__fit_scaling(model, &rows, scaling);
    return NN_OK;
}

#ifndef NN_NO_MALLOC

/* ---- Data sets on the heap ------------------------------------------------------------------- */

/* Lays x, y, weights and class names out in one block, or measures it. characters: of the names. */
static void nn__lay_out_data(nn__block *block, nn_data *data, int weights, size_t characters)
{
    const size_t rows = (size_t)data->rows;

    data->x = nn__take_reals(block, rows, (size_t)data->inputs);
    data->y = nn__take_reals(block, rows, (size_t)data->outputs);
    data->weight = weights ? nn__take_reals(block, 1, rows) : NULL;
    data->class_names = NULL;
    if (characters)
        data->class_names = (const char *const *)nn__take(
            block, 1, (size_t)data->classes * sizeof(char *) + characters);
}

/* Allocates the arrays of data, whose sizes are set. On failure data is zeroed. */
static nn_status nn__allocate_data(nn_data *data, int weights, size_t characters)
{
    nn__block block = {NULL, 0, 0};
    nn_status status = NN_OK;

    nn__lay_out_data(&block, data, weights, characters);
    if (block.overflow || (characters && (size_t)data->classes > SIZE_MAX / 2 / sizeof(char *)))
        status = NN_ERROR_OVERFLOW;
    if (status == NN_OK) {
        data->memory = NN_MALLOC(nn__block_size(&block));
        if (!data->memory) status = NN_ERROR_MEMORY;
    }
    if (status != NN_OK) {
        memset(data, 0, sizeof *data);
        return status;
    }
    block.base = nn__align(data->memory);
    block.used = 0;
    nn__lay_out_data(&block, data, weights, characters);
    return NN_OK;
}

NN_DEF void nn_data_free(nn_data *data)
{
    if (!data) return;
    if (data->memory) NN_FREE(data->memory);
    memset(data, 0, sizeof *data);
}

static size_t nn__name_characters(const nn_data *data)
{
    size_t characters = 0;
    int c;

    for (c = 0; data->class_names && c < data->classes; c++)
        characters += strlen(data->class_names[c]) + 1;
    return characters;
}

/* The data's arrays, which are its own to write while it is being made. */
static nn_real *nn__writable(const nn_real *array)
{
    return (nn_real *)(uintptr_t)array;
}

/* Class names lie behind their pointers, in the data's own block. */
static void nn__copy_names(nn_data *to, const char *const *names)
{
    const char **pointers = (const char **)(uintptr_t)to->class_names;
    char *text = (char *)(pointers + to->classes);
    int c;

    for (c = 0; c < to->classes; c++) {
        const size_t length = strlen(names[c]) + 1;
        memcpy(text, names[c], length);
        pointers[c] = text;
        text += length;
    }
}

/* ---- Dividing -------------------------------------------------------------------------------- */

/* How rows are divided into a training and a test set. Stratified: the shuffled rows are ordered
   class by class, so that every k-th row has each class in proportion. `train` of every `of` rows,
   spread evenly, go to the training set; for folds, all rows but every one that is `fold` modulo
   `of`. Each set is then shuffled, so that its classes are mixed. */
typedef struct nn__division {
    uint64_t of, train; /* train == 0: folds */
    uint64_t fold;
} nn__division;

static int nn__is_training_row(const nn__division *division, uint64_t i)
{
    const uint64_t of = division->of, train = division->train;

    if (!train) return i % of != division->fold;
    return (i + 1) * train / of > i * train / of;
}

static void nn__copy_row(nn_data *to, size_t at, const nn_data *from, size_t row)
{
    const size_t in = (size_t)from->inputs, out = (size_t)from->outputs;

    nn__copy(nn__writable(to->x) + at * in, from->x + row * in, in);
    nn__copy(nn__writable(to->y) + at * out, from->y + row * out, out);
    if (to->weight) nn__writable(to->weight)[at] = from->weight[row];
}

static nn_status nn__divide_rows(const nn_data *data, const nn__division *division, uint64_t seed,
                                 nn_data *train, nn_data *test)
{
    const int classes = data->classes > 0 ? data->classes : 1;
    const size_t characters = nn__name_characters(data);
    nn_data *parts[2];
    uint64_t next = 0;
    uint32_t taken[2] = {0, 0};
    nn_status status;
    int c, i, k;

    parts[0] = test;
    parts[1] = train;
    for (k = 0; k < 2; k++) {
        *parts[k] = *data;
        parts[k]->memory = NULL;
        parts[k]->rows = parts[k]->dropped = 0;
    }
    for (i = 0; i < data->rows; i++) parts[nn__is_training_row(division, (uint64_t)i)]->rows++;
    status = test->rows && train->rows ? NN_OK : NN_ERROR_SIZE;
    for (k = 0; k < 2 && status == NN_OK; k++)
        status = nn__allocate_data(parts[k], data->weight != NULL, characters);
    if (status != NN_OK) {
        if (k == 2) nn_data_free(test);
        memset(test, 0, sizeof *test);
        memset(train, 0, sizeof *train);
        return status;
    }
    for (k = 0; k < 2 && characters; k++) nn__copy_names(parts[k], data->class_names);
    for (c = 0; c < classes; c++)
        for (i = 0; i < data->rows; i++) {
            const size_t row = (size_t)nn__permute((uint32_t)i, (uint32_t)data->rows, seed);
            if (classes > 1 &&
                nn__class_of(data->y + row * (size_t)data->outputs, data->outputs) != c)
                continue;
            k = nn__is_training_row(division, next++);
            nn__copy_row(parts[k], (size_t)nn__permute(taken[k]++, (uint32_t)parts[k]->rows, ~seed),
                         data, row);
        }
    return NN_OK;
}

static nn_status nn__check_division(const nn_data *data, nn_data *train, nn_data *test)
{
    if (train && train != data) memset(train, 0, sizeof *train);
    if (test && test != data) memset(test, 0, sizeof *test);
    if (!train || !test || !data) return NN_ERROR_NULL;
    if (train == test || train == data || test == data) return NN_ERROR_OPTION;
    return nn__check_arrays(data);
}

NN_DEF nn_status nn_split(const nn_data *data, nn_real train_fraction, uint64_t seed,
                          nn_data *train, nn_data *test)
{
    nn__division division;
    nn_status status = nn__check_division(data, train, test);

    if (status != NN_OK) return status;
    if (!(train_fraction > 0 && train_fraction < 1)) return NN_ERROR_OPTION;
    division.of = (uint64_t)data->rows;
    division.train = (uint64_t)((double)train_fraction * data->rows + 0.5);
    division.fold = 0;
    if (division.train == 0 || division.train >= division.of) return NN_ERROR_SIZE;
    return nn__divide_rows(data, &division, seed, train, test);
}

NN_DEF nn_status nn_split_fold(const nn_data *data, const nn_fold *fold, nn_data *train,
                               nn_data *test)
{
    nn__division division;
    nn_status status = nn__check_division(data, train, test);

    if (status != NN_OK) return status;
    if (!fold) return NN_ERROR_NULL;
    if (fold->folds < 2 || fold->folds > data->rows || fold->fold < 0 || fold->fold >= fold->folds)
        return NN_ERROR_OPTION;
    division.of = (uint64_t)fold->folds;
    division.train = 0;
    division.fold = (uint64_t)fold->fold;
    return nn__divide_rows(data, &division, fold->seed, train, test);
}

#endif /* NN_NO_MALLOC */

/* ================================================================================================
   >>trainer
   ============================================================================================= */

/* ---- Options --------------------------------------------------------------------------------- */

#ifndef NN_NO_MALLOC
static nn_options nn__default_options(void)
{
    nn_options options;

    memset(&options, 0, sizeof options);
    return options;
}
#endif

/* The options by their ranges: integers that are not negative, numbers that are not negative, and
   numbers in [0, 1), of which the first few may be NN_ZERO. */
static const unsigned short nn__counts[] = {
    offsetof(nn_options, epochs),           offsetof(nn_options, batch_size),
    offsetof(nn_options, micro_batch_size), offsetof(nn_options, schedule_steps),
    offsetof(nn_options, warmup_steps),     offsetof(nn_options, patience)};
static const unsigned short nn__magnitudes[] = {
    offsetof(nn_options, learning_rate),         offsetof(nn_options, epsilon),
    offsetof(nn_options, weight_decay),          offsetof(nn_options, clip_norm),
    offsetof(nn_options, minimum_learning_rate), offsetof(nn_options, huber_delta)};
static const unsigned short nn__shares[] = {offsetof(nn_options, beta1),
                                            offsetof(nn_options, beta2),
                                            offsetof(nn_options, alpha),
                                            offsetof(nn_options, step_factor),
                                            offsetof(nn_options, momentum),
                                            offsetof(nn_options, label_smoothing),
                                            offsetof(nn_options, validation_fraction),
                                            offsetof(nn_options, quantile)};
enum { NN__ZEROABLE_SHARES = 4 };

/* Whether the numbers at the offsets are in [0, end), or the first few NN_ZERO. */
static int nn__in_range(const nn_options *o, const unsigned short *offsets, int count, int zeroable,
                        nn_real end)
{
    nn_real x;
    int i;

    for (i = 0; i < count; i++) {
        memcpy(&x, (const char *)o + offsets[i], sizeof x);
        if (!(x >= 0 && x < end) && !(i < zeroable && x == NN_ZERO)) return 0;
    }
    return 1;
}

static nn_status nn__check_options(const nn_model *model, const nn_options *o)
{
    int i, n;

    if (!nn__loss_fits(o->loss, nn__output_activation(model))) return NN_ERROR_LOSS;
    for (i = 0; i < NN__COUNT(nn__counts); i++) {
        memcpy(&n, (const char *)o + nn__counts[i], sizeof n);
        if (n < 0) return NN_ERROR_OPTION;
    }
    if (!nn__in_range(o, nn__magnitudes, NN__COUNT(nn__magnitudes), 0, INFINITY) ||
        !nn__in_range(o, nn__shares, NN__COUNT(nn__shares), NN__ZEROABLE_SHARES, 1) ||
        !nn__has_optimizer(o->optimizer) || (unsigned)o->schedule > NN_SCHEDULE_COSINE ||
        (unsigned)o->scaling > NN_SCALE_MIN_MAX || (o->nesterov && !(o->momentum > 0)) ||
        (o->validation && o->validation_fraction > 0))
        return NN_ERROR_OPTION;
    for (i = 0; o->dropout && i < model->count; i++)
        if (!(o->dropout[i] >= 0 && o->dropout[i] < 1) ||
            (i == model->count - 1 && o->dropout[i] != 0))
            return NN_ERROR_OPTION;
    return NN_OK;
}

/* Rows of a batch; of those, the rows that go through the net at a time. */
static int nn__batch_rows(const nn_options *options)
{
    return options->batch_size ? options->batch_size : 32;
}

static int nn__micro_batch_rows(const nn_options *options)
{
    const int micro = options->micro_batch_size, batch = nn__batch_rows(options);
    return micro && micro < batch ? micro : batch;
}

NN__HOT nn_real nn__layer_dropout(const nn_options *options, int layer)
{
    return options->dropout ? options->dropout[layer] : 0;
}

/* The columns of all arrays [batch x width] that a layer has in training: see nn__planes. */
NN__HOT size_t nn__layer_columns(const nn_model *model, const nn_options *options, int layer)
{
    const int arrays = 1 + (nn__keeps_z(model->layers[layer].activation) ? 1 : 0) +
                       (nn__layer_dropout(options, layer) > 0 ? 2 : 0);

    return (size_t)model->layers[layer].width * (size_t)arrays;
}

/* Lays a trainer out, as nn__lay_out_model. */
static void nn__lay_out_trainer(nn_trainer *trainer, nn__block *block, const nn_model *model,
                                const nn_options *o)
{
    const size_t count = model->parameter_count, batch = (size_t)nn__micro_batch_rows(o);
    size_t columns = 0, layer_columns;
    int layer;
#ifdef NN__SIMD
    int widest = 0;

    for (layer = 0; layer < model->count - 1; layer++)
        if (model->layers[layer].width > widest) widest = model->layers[layer].width;
#endif

    for (layer = 0; layer < model->count; layer++) {
        layer_columns = nn__layer_columns(model, o, layer);
        if (layer_columns > SIZE_MAX - columns) block->overflow = 1;
        columns += layer_columns;
    }
    (void)nn__take(block, 1, sizeof *trainer);
    trainer->index = (size_t *)nn__take(block, batch, sizeof(size_t));
    trainer->first = trainer->second = trainer->best = NULL;
    trainer->gradients = nn__take_reals(block, 1, count);
    if (nn__needs_first(o)) trainer->first = nn__take_reals(block, 1, count);
    if (nn__needs_second(o)) trainer->second = nn__take_reals(block, 1, count);
    if (o->patience > 0) trainer->best = nn__take_reals(block, 1, count);
    trainer->input = nn__take_reals(block, batch, (size_t)model->inputs);
    trainer->planes = nn__take_reals(block, batch, columns);
    trainer->output_gradients = nn__take_reals(block, batch, (size_t)nn__outputs(model));
    trainer->losses = nn__take_reals(block, 1, batch);
#ifdef NN__SIMD
    trainer->buffer = nn__take_reals(block, batch, (size_t)widest);
#endif
}

static nn_status nn__check_trainer(const nn_model *model, const nn_options *options)
{
    if (!model || !options) return NN_ERROR_NULL;
    if (!model->parameters) return NN_ERROR_READ_ONLY;
    return nn__check_options(model, options);
}

/* The bytes of a trainer; 0: too many. */
static size_t nn__trainer_size(const nn_model *model, const nn_options *options)
{
    nn__block block = {NULL, 0, 0};
    nn_trainer layout;

    nn__lay_out_trainer(&layout, &block, model, options);
    return nn__block_size(&block);
}

NN_DEF size_t nn_trainer_size(const nn_model *model, const nn_options *options)
{
    return nn__check_trainer(model, options) == NN_OK ? nn__trainer_size(model, options) : 0;
}

NN_DEF nn_status nn_trainer_create_in(nn_trainer **trainer, void *memory, size_t size,
                                      nn_model *model, const nn_options *options)
{
    nn__block block = {NULL, 0, 0};
    nn_status status;
    nn_trainer *made;
    size_t needed;

    if (!trainer) return NN_ERROR_NULL;
    *trainer = NULL;
    status = nn__check_trainer(model, options);
    if (status != NN_OK) return status;
    needed = nn__trainer_size(model, options);
    if (!needed) return NN_ERROR_OVERFLOW;
    if (!memory) return NN_ERROR_NULL;
    if (size < needed) return NN_ERROR_BLOCK;

    block.base = nn__align(memory);
    memset(block.base, 0, needed - NN__SLACK);
    made = (nn_trainer *)(void *)block.base;
    nn__lay_out_trainer(made, &block, model, options);
    NN_ASSERT(nn__block_size(&block) == needed);
    made->model = model;
    made->options = options;
    made->batch = nn__micro_batch_rows(options);
    made->state.random = nn__random_start(options->seed);
    made->state.learning_rate = nn__or(options->learning_rate, nn__default_learning_rate(options));
    made->state.beta1_power = made->state.beta2_power = 1;
    *trainer = made;
    return NN_OK;
}

#ifndef NN_NO_MALLOC
/* Options of a trainer's own, in front of it on the heap. */
typedef struct nn__own_options {
    nn_options options;
    nn__widest dropout[1]; /* aligned; room for more follows */
} nn__own_options;

NN_DEF nn_status nn_trainer_create(nn_trainer **trainer, nn_model *model, const nn_options *options)
{
    const nn_options none = nn__default_options();
    size_t size, own = sizeof(nn__own_options);
    nn__own_options *copy;
    nn_status status;

    if (!trainer) return NN_ERROR_NULL;
    *trainer = NULL;
    if (!options) options = &none;
    status = nn__check_trainer(model, options);
    if (status != NN_OK) return status;
    size = nn__trainer_size(model, options);
    if (options->dropout) own += (size_t)model->count * sizeof(nn_real);
    if (!size || size > SIZE_MAX - own) return NN_ERROR_OVERFLOW;
    copy = (nn__own_options *)NN_MALLOC(own + size);
    if (!copy) return NN_ERROR_MEMORY;
    copy->options = *options;
    if (options->dropout) {
        nn_real *dropout = (nn_real *)(void *)copy->dropout;
        nn__copy(dropout, options->dropout, (size_t)model->count);
        copy->options.dropout = dropout;
    }
    status =
        nn_trainer_create_in(trainer, (unsigned char *)copy + own, size, model, &copy->options);
    if (status == NN_OK)
        (*trainer)->heap = copy;
    else
        NN_FREE(copy);
    return status;
}
#endif

NN_DEF void nn_trainer_free(nn_trainer *trainer)
{
#ifdef NN_NO_MALLOC
    (void)trainer;
#else
    if (trainer && trainer->heap) NN_FREE(trainer->heap);
#endif
}

NN_DEF nn_real *nn_gradients(nn_trainer *trainer)
{
    return trainer ? trainer->gradients : NULL;
}

NN_DEF nn_status nn_clear_gradients(nn_trainer *trainer)
{
    if (!trainer) return NN_ERROR_NULL;
    memset(trainer->gradients, 0, trainer->model->parameter_count * sizeof(nn_real)); /* IEEE's 0 */
    trainer->pending = 0;
    return NN_OK;
}

/* ---- The step level -------------------------------------------------------------------------- */

/* The arrays of a layer in training, each [batch x width], in this order; after them the next
   layer's. */
typedef struct nn__planes {
    nn_real
        *state; /* what the activation's derivative is computed from: y, or z where the activation
                         says so. The backward pass makes dL/dz of it. */
    nn_real *outputs; /* y; the same array where the state is y */
    nn_real *dropped; /* with dropout: y times the mask; without: y. The next layer's input */
    nn_real *mask;    /* with dropout: 0 or 1 / (1 - dropout); without: NULL */
    nn_real *end;     /* where the next layer's begin */
} nn__planes;

NN__HOT nn__planes nn__planes_at(const nn_trainer *trainer, int layer, nn_real *first)
{
    const nn_activation activation = trainer->model->layers[layer].activation;
    const size_t size = (size_t)trainer->batch * (size_t)trainer->model->layers[layer].width;
    nn__planes planes;

    planes.state = planes.outputs = first;
    if (nn__keeps_z(activation)) planes.outputs += size;
    planes.dropped = planes.outputs;
    planes.mask = NULL;
    if (nn__layer_dropout(trainer->options, layer) > 0) {
        planes.dropped += size;
        planes.mask = planes.dropped + size;
    }
    planes.end = (planes.mask ? planes.mask : planes.outputs) + size;
    return planes;
}

static nn__planes nn__last_planes(const nn_trainer *trainer)
{
    nn_real *first = trainer->planes;
    int i;

    for (i = 0; i < trainer->model->count - 1; i++) first = nn__planes_at(trainer, i, first).end;
    return nn__planes_at(trainer, i, first);
}

/* What the input gradients need beside their own arrays: nothing in the scalar kernels. */
static nn_real *nn__buffer_of(const nn_trainer *trainer)
{
#ifdef NN__SIMD
    return trainer->buffer;
#else
    (void)trainer;
    return NULL;
#endif
}

/* Copies rows of the data into the batch, scaled as the model wants it: those that index names, or
   the first ones when it is NULL. */
static void nn__load_batch(nn_trainer *trainer, const nn_real *x, const size_t *index, int rows)
{
    const nn_model *model = trainer->model;
    const nn_real *offset = model->scaling == NN_SCALE_NONE ? NULL : model->offset;

    NN__RUN(model, scale_rows, x, index, offset, model->offset + model->inputs, trainer->input,
            rows, model->inputs);
}

/* Dropout (Srivastava et al. 2014), inverted: what stays is divided by the share that stays. */
static void nn__drop(nn_trainer *trainer, int layer, const nn__planes *planes, int rows)
{
    const nn_real share = trainer->options->dropout[layer], kept = 1 / (1 - share);
    const size_t count = (size_t)rows * (size_t)trainer->model->layers[layer].width;
    size_t i;

    for (i = 0; i < count; i++) {
        planes->mask[i] = nn__uniform(&trainer->state.random) >= share ? kept : 0;
        planes->dropped[i] = planes->outputs[i] * planes->mask[i];
    }
}

/* The loaded batch through all layers, the last one up to its logits, which are then its state. */
static void nn__forward(nn_trainer *trainer, int rows, int training)
{
    const nn_model *model = trainer->model;
    const nn_real *x = trainer->input;
    nn_real *next = trainer->planes;
    int i;

    for (i = 0; i < model->count; i++) {
        const nn__layer layer = nn__layer_at(model, i);
        const nn__planes planes = nn__planes_at(trainer, i, next);
        const int last = i == model->count - 1, keeps_z = planes.outputs != planes.state;

        NN__RUN(model, dense_forward, x, model->parameters + layer.weights,
                model->parameters + layer.biases, planes.state, rows, layer.inputs, layer.outputs,
                last || keeps_z ? NN_LINEAR : layer.activation);
        if (last) return;
        if (keeps_z) {
            nn__copy(planes.outputs, planes.state, (size_t)rows * (size_t)layer.outputs);
            NN__RUN(model, activate, layer.activation, planes.outputs, rows, layer.outputs);
        }
        if (training && planes.mask) nn__drop(trainer, i, &planes, rows);
        x = training ? planes.dropped : planes.outputs;
        next = planes.end;
    }
}

/* From dL/dz of the last layer, which is its state, back to the first: each layer's state becomes
   its dL/dz. The gradients are added to if something is pending in them, else started. */
static void nn__backward(nn_trainer *trainer, const nn__planes *last, int rows)
{
    const nn_model *model = trainer->model;
    nn__planes planes = *last;
    int i;

    for (i = model->count - 1; i >= 0; i--) {
        const nn__layer layer = nn__layer_at(model, i);
        const nn_real *dz = planes.state, *x = trainer->input;

        if (i > 0) {
            planes =
                nn__planes_at(trainer, i - 1,
                              planes.state - nn__layer_columns(model, trainer->options, i - 1) *
                                                 (size_t)trainer->batch);
            x = planes.dropped;
        }
        NN__RUN(model, dense_weight_gradient, x, dz, trainer->gradients + layer.weights,
                trainer->gradients + layer.biases, rows, layer.inputs, layer.outputs,
                trainer->pending);
        if (i > 0)
            NN__RUN(model, dense_input_gradient, dz, model->parameters + layer.weights, planes.mask,
                    planes.state, nn__buffer_of(trainer), rows, layer.inputs, layer.outputs,
                    model->layers[i - 1].activation);
    }
#ifdef NN__SIMD
    trainer->backward_rows = rows;
#endif
    trainer->pending = 1;
}

NN_DEF nn_status nn_forward(nn_trainer *trainer, const nn_real *x, int rows, const nn_real **y)
{
    const nn_model *model;
    nn__planes planes;
    int width;

    if (y) *y = NULL;
    if (!trainer || !x || !y) return NN_ERROR_NULL;
    if (rows < 1) return NN_ERROR_SIZE;
    if (rows > trainer->batch) return NN_ERROR_BATCH;
    model = trainer->model;
    if (!NN__RUN(model, all_finite, x, (size_t)rows * (size_t)model->inputs)) return NN_ERROR_DATA;
    nn__load_batch(trainer, x, NULL, rows);
    nn__forward(trainer, rows, 1);
    width = nn__outputs(model);
    planes = nn__last_planes(trainer);
    if (planes.outputs != planes.state)
        nn__copy(planes.outputs, planes.state, (size_t)rows * (size_t)width);
    NN__RUN(model, activate, nn__output_activation(model), planes.outputs, rows, width);
    trainer->rows = rows;
    trainer->changes = model->changes;
    *y = planes.outputs;
    return NN_OK;
}

NN_DEF nn_status nn_backward(nn_trainer *trainer, const nn_real *dy, nn_real *dx)
{
    const nn_model *model;
    const nn_real *factor;
    nn__planes planes;
    int rows, outputs, b, i;

    if (!trainer || !dy) return NN_ERROR_NULL;
    model = trainer->model;
    if (!trainer->rows || trainer->changes != model->changes) return NN_ERROR_STATE;
    rows = trainer->rows;
    outputs = nn__outputs(model);
    if (!NN__RUN(model, all_finite, dy, (size_t)rows * (size_t)outputs)) return NN_ERROR_DATA;
    trainer->rows = 0;
    planes = nn__last_planes(trainer);
    NN__RUN(model, activation_gradient, nn__output_activation(model), planes.state, dy, rows,
            outputs);
    nn__backward(trainer, &planes, rows);
    if (dx) {
        NN__RUN(model, dense_input_gradient, trainer->planes, model->parameters, NULL, dx, NULL,
                rows, model->inputs, model->layers[0].width, NN_LINEAR);
        factor = model->offset + model->inputs;
        for (b = 0; b < rows; b++)
            for (i = 0; i < model->inputs; i++) *dx++ *= factor[i];
    }
    return NN_OK;
}

NN_DEF nn_real nn_learning_rate(const nn_trainer *trainer)
{
    const nn_options *o;
    uint32_t step, warmup, length;

    if (!trainer) return NAN;
    o = trainer->options;
    step = trainer->state.step;
    warmup = (uint32_t)o->warmup_steps;
    if (step < warmup)
        return trainer->state.learning_rate * ((nn_real)(step + 1) / (nn_real)warmup);
    length = o->schedule_steps             ? (uint32_t)o->schedule_steps
             : trainer->run_steps > warmup ? trainer->run_steps - warmup
                                           : 1;
    return nn__scheduled(o, trainer->state.learning_rate, step - warmup, length);
}

NN_DEF nn_status nn_set_learning_rate(nn_trainer *trainer, nn_real learning_rate)
{
    if (!trainer) return NN_ERROR_NULL;
    if (!(learning_rate > 0) || !nn__is_finite(learning_rate)) return NN_ERROR_OPTION;
    trainer->state.learning_rate = learning_rate;
    return NN_OK;
}

NN_DEF nn_real nn_gradient_norm(const nn_trainer *trainer)
{
    return trainer && trainer->options->clip_norm > 0 ? trainer->state.gradient_norm : NAN;
}

/* A schedule over the whole of nn_fit has no length outside it. */
static int nn__has_schedule(const nn_trainer *trainer)
{
    return trainer->options->schedule == NN_SCHEDULE_CONSTANT || trainer->options->schedule_steps ||
           trainer->run_steps;
}

/* Updates `count` parameters, from the one at `from` on; 0 if one would not stay finite. */
#define NN__UPDATE_CASE(ID, name, first, second, rate)                                             \
    case NN_##ID:                                                                                  \
        if (NN__ONLY(NN_ONLY_OPTIMIZERS, NN_##ID))                                                 \
            return NN__RUN(trainer->model, name, theta, gradient, m, v, count, step);              \
        break;
static int nn__update_some(nn_trainer *trainer, size_t from, size_t count, const nn__step *step)
{
    nn_real *theta = trainer->model->parameters + from;
    const nn_real *gradient = trainer->gradients + from;
    nn_real *m = trainer->first ? trainer->first + from : NULL;
    nn_real *v = trainer->second ? trainer->second + from : NULL;

    switch (trainer->options->optimizer) {
        NN__OPTIMIZERS(NN__UPDATE_CASE)
    default: break;
    }
    return 0;
}

static int nn__update_all(nn_trainer *trainer, const nn__step *step)
{
    const size_t count = trainer->model->parameter_count;
#ifdef NN__THREADS
    /* Where the products ran on one thread, the gradients are in its cache: leave them there. */
    const int few = (double)count * trainer->backward_rows < 2 * NN__PRODUCT_GRAIN;
    const int pieces = few ? 1 : nn__pieces((double)count, NN__ELEMENT_GRAIN);
    int i, bad = 0;

    if (pieces > 1) {
#pragma omp parallel for schedule(static) reduction(+ : bad)
        for (i = 0; i < pieces; i++) {
            const size_t share = (count / (size_t)pieces + 64) / 64 * 64, from = share * (size_t)i;
            if (from >= count) continue;
            bad +=
                !nn__update_some(trainer, from, share < count - from ? share : count - from, step);
        }
        return !bad;
    }
#endif
    return nn__update_some(trainer, 0, count, step);
}

NN_DEF nn_status nn_update(nn_trainer *trainer)
{
    const nn_options *o;
    nn__step step;
    nn_real rate;

    if (!trainer) return NN_ERROR_NULL;
    o = trainer->options;
    if (!nn__has_schedule(trainer)) return NN_ERROR_OPTION;
    rate = nn_learning_rate(trainer);
    memset(&step, 0, sizeof step);
    step.clip = nn__clip(trainer);
    trainer->pending = 0;
    if (o->clip_norm > 0 && !nn__is_finite(trainer->state.gradient_norm)) return NN_ERROR_DIVERGED;
    trainer->state.last_rate = rate;
    trainer->state.step++;
    trainer->model->changes++;
    step.learning_rate = rate;
    nn__prepare_step(&step, o, &trainer->state);
    return nn__update_all(trainer, &step) ? NN_OK : NN_ERROR_DIVERGED;
}

/* ---- The batch level ------------------------------------------------------------------------- */

static void nn__add_loss(nn__sum *losses, const nn_data *data, size_t row, nn_real loss)
{
    nn__add(losses, nn__rounded_product(nn__row_weight(data, row), loss));
}

static nn_real nn__mean_loss(const nn__sums *sums)
{
    return nn__total(&sums->loss) / nn__total(&sums->weight);
}

/* What a row adds to the sums beside its loss. */
static void nn__count_row(nn__sums *sums, const nn_data *data, size_t row, nn_loss loss,
                          const nn_real *p)
{
    nn__add(&sums->weight, nn__row_weight(data, row));
    sums->counted++;
    sums->correct += nn__is_correct(data, loss, p, data->y + row * (size_t)data->outputs);
}

/* Some rows of a data set: `next` .. `end` - 1 in their order, or as they stand when that is
   NULL. */
typedef struct nn__range {
    const nn_data *data;
    const nn__rows *order;
    int next, end;
} nn__range;

static size_t nn__row_of(const nn__range *range, int i)
{
    return range->order ? nn__row(range->order, i) : (size_t)i;
}

/* Forward, with dropout or without, of the next rows of the range, except those of weight 0: as
   many as are left and fit in a micro-batch. Returns how many; their losses are in the trainer.
   Adds to the sums: with `measure`, to all of them; without, to the losses alone. */
static int nn__forward_rows(nn_trainer *trainer, const nn__objective *objective,
                            const nn__planes *last, nn__range *range, int training, int measure,
                            nn__sums *sums)
{
    const nn_data *data = range->data;
    const nn_real *p = last->outputs;
    nn__sum loss = sums->loss; /* a copy, which stays in registers */
    int b, i = range->next, count = 0;

    for (; i < range->end && count < trainer->batch; i++) {
        trainer->index[count] = nn__row_of(range, i);
        count += nn__row_weight(data, trainer->index[count]) != 0;
    }
    range->next = i;
    nn__load_batch(trainer, data->x, trainer->index, count);
    nn__forward(trainer, count, training);
    nn__loss_forward(objective, last->state, last->outputs, count, trainer->losses);
    for (b = 0; b < count; b++, p += data->outputs) {
        nn__add_loss(&loss, data, trainer->index[b], trainer->losses[b]);
        if (measure) nn__count_row(sums, data, trainer->index[b], objective->loss, p);
    }
    sums->loss = loss;
    return count;
}

static void nn__set_training_objective(nn__objective *objective, const nn_trainer *trainer,
                                       const nn_data *data)
{
    nn__set_objective(objective, trainer->model, trainer->options);
    objective->targets = data->y;
    objective->index = trainer->index;
    objective->weights = data->weight;
}

/* Adds the gradient of the weighted mean loss over the range to the gradients, and to the sums as
   nn__forward_rows. Returns the sum of the rows' weights in *weight: if that is 0, nothing is added
   to the gradients. If a later micro-batch diverges, all gradients are zeroed. */
static nn_status nn__add_gradients(nn_trainer *trainer, nn__range *range, int measure,
                                   nn__sums *sums, nn_real *weight)
{
    const nn_data *data = range->data;
    const nn__planes last = nn__last_planes(trainer);
    nn__objective objective;
    int i, count, begun = 0;

    nn__set_training_objective(&objective, trainer, data);
    *weight = 0;
    if (!data->weight) *weight = (nn_real)(range->end - range->next);
    for (i = range->next; data->weight && i < range->end; i++)
        *weight += data->weight[nn__row_of(range, i)];
    objective.total = *weight;
    trainer->rows = 0;
    for (; range->next < range->end; begun = 1) {
        count = nn__forward_rows(trainer, &objective, &last, range, 1, measure, sums);
        if (!nn__is_finite(sums->loss.high)) {
            if (begun) (void)nn_clear_gradients(trainer);
            return NN_ERROR_DIVERGED;
        }
        if (!count) continue;
        nn__loss_backward(&objective, last.state, last.outputs, count, trainer->output_gradients);
        nn__backward(trainer, &last, count);
    }
    return NN_OK;
}

NN_DEF nn_status nn_accumulate(nn_trainer *trainer, const nn_data *batch, nn_real *loss)
{
    nn__range range;
    nn__sums sums;
    nn_real weight;
    nn_status status;

    if (loss) *loss = 0;
    if (!trainer) return NN_ERROR_NULL;
    status = nn__check_fits(batch, trainer->model, trainer->options->loss);
    if (status != NN_OK) return status;
    if (batch->rows > nn__batch_rows(trainer->options)) return NN_ERROR_BATCH;
    memset(&sums, 0, sizeof sums);
    range.data = batch;
    range.order = NULL;
    range.next = 0;
    range.end = batch->rows;
    status = nn__add_gradients(trainer, &range, 0, &sums, &weight);
    if (status == NN_OK && loss) *loss = nn__total(&sums.loss) / weight;
    return status;
}

NN_DEF nn_status nn_train_batch(nn_trainer *trainer, const nn_real *x, const nn_real *y, int rows,
                                nn_real *loss)
{
    nn_data batch;
    nn_status status;

    if (loss) *loss = 0;
    if (!trainer || !x || !y) return NN_ERROR_NULL;
    memset(&batch, 0, sizeof batch);
    batch.rows = rows;
    batch.inputs = trainer->model->inputs;
    batch.outputs = nn__outputs(trainer->model);
    batch.x = x;
    batch.y = y;
    if (!nn__has_schedule(trainer)) return NN_ERROR_OPTION;
    status = nn_accumulate(trainer, &batch, loss);
    if (status == NN_OK) status = nn_update(trainer);
    if (status != NN_OK && loss) *loss = 0;
    return status;
}

/* ---- The loop level -------------------------------------------------------------------------- */

/* Loss and accuracy over some rows, without dropout, by way of the trainer's buffers. */
static nn__sums nn__validate(nn_trainer *trainer, const nn__rows *rows)
{
    const nn__planes last = nn__last_planes(trainer);
    nn__objective objective;
    nn__range range;
    nn__sums sums;

    nn__set_training_objective(&objective, trainer, rows->data);
    memset(&sums, 0, sizeof sums);
    range.data = rows->data;
    range.order = rows;
    range.next = 0;
    range.end = rows->count;
    while (range.next < range.end)
        (void)nn__forward_rows(trainer, &objective, &last, &range, 0, 1, &sums);
    return sums;
}

static void nn__add_sums(nn__sums *sums, const nn__sums *other)
{
    nn__add_sum(&sums->loss, &other->loss);
    nn__add_sum(&sums->weight, &other->weight);
    sums->counted += other->counted;
    sums->correct += other->correct;
}

/* A run of nn_fit: what it was given, and what the callbacks see. */
typedef struct nn__run {
    nn_trainer *trainer;
    nn__rows training, validation; /* validation.count == 0: none */
    nn_progress progress;
#ifdef NN_TIME
    double begin; /* time */
    double share; /* of the whole run that was done before this call, in epochs */
#endif
} nn__run;

static void nn__report(nn__run *run, const nn__sums *sums, int accuracy, int validation)
{
    nn_progress *progress = &run->progress;
    const nn_real mean = nn__mean_loss(sums);
    const nn_real right = accuracy ? (nn_real)sums->correct / (nn_real)sums->counted : NAN;

    if (validation) {
        progress->validation_loss = mean;
        progress->validation_accuracy = right;
    } else {
        progress->loss = sums->counted ? mean : NAN;
        progress->accuracy = sums->counted ? right : NAN;
    }
}

#ifdef NN_TIME
/* Epochs done since the run began, in part. */
static double nn__epochs_done(const nn__run *run)
{
    const nn__state *state = &run->trainer->state;
    return state->epoch + (double)state->position / run->training.count - run->share;
}
#endif

/* Tells the callback where the training is; returns whether it asks to stop. */
static int nn__call_back(nn__run *run, int batch)
{
    const nn_options *o = run->trainer->options;
    const nn__state *state = &run->trainer->state;
    nn_progress *progress = &run->progress;
#ifdef NN_TIME
    const double done = nn__epochs_done(run);

    progress->elapsed = NN_TIME() - run->begin;
    progress->remaining = progress->elapsed / done * (progress->epochs - run->share - done);
#endif
    progress->epoch = batch ? state->epoch + 1 : state->epoch;
    progress->batch = batch;
    progress->learning_rate = state->last_rate;
    progress->gradient_norm = nn_gradient_norm(run->trainer);
    progress->best_epoch = state->best_epoch;
    return o->callback ? o->callback(progress, o->user) : 0;
}

/* The batches of one epoch, from where it stands. *stop is set when the callback asks for it. */
static nn_status nn__train_epoch(nn__run *run, int *stop)
{
    nn_trainer *trainer = run->trainer;
    nn__state *state = &trainer->state;
    const int count = run->training.count, batch = nn__batch_rows(trainer->options);
    const int classes = nn__is_classification(run->training.data, trainer->options->loss);
    nn__range range;
    nn__sums sums;
    nn_status status;
    nn_real weight;
    int rows;

    if (state->position == 0) {
        state->epoch_key = (uint64_t)nn__random(&state->random) << 32;
        state->epoch_key |= nn__random(&state->random);
        memset(&state->sums, 0, sizeof state->sums);
    }
    range.data = run->training.data;
    range.order = &run->training;
    run->training.shuffled = 1;
    run->training.order_key = state->epoch_key;
    while (state->position < count && !*stop) {
        rows = count - state->position < batch ? count - state->position : batch;
        range.next = state->position;
        range.end = state->position + rows;
        memset(&sums, 0, sizeof sums);
        status = nn__add_gradients(trainer, &range, 1, &sums, &weight);
        if (status != NN_OK) return status;
        nn__add_sums(&state->sums, &sums);
        if (weight > 0) status = nn_update(trainer);
        if (status != NN_OK) return status;
        state->position += rows;
        if (trainer->options->callback_batches) {
            nn__report(run, &state->sums, classes, 0);
            *stop = nn__call_back(run, (state->position - 1) / batch + 1);
        }
    }
    nn__report(run, &state->sums, classes, 0);
    return NN_OK;
}

/* Measures on the validation rows, keeps the best weights. */
static nn_status nn__end_epoch(nn__run *run)
{
    nn_trainer *trainer = run->trainer;
    nn__state *state = &trainer->state;
    nn_real loss = run->progress.loss;

    if (run->validation.count) {
        const nn__sums sums = nn__validate(trainer, &run->validation);
        nn__report(run, &sums, nn__is_classification(run->validation.data, trainer->options->loss),
                   1);
        loss = run->progress.validation_loss;
        if (!nn__is_finite(loss)) return NN_ERROR_DIVERGED;
    }
    state->epoch++;
    state->position = 0;
    if (!trainer->options->patience) return NN_OK;
    if (!state->best_epoch || loss < state->best_loss) {
        state->best_epoch = state->epoch;
        state->best_loss = loss;
        state->waited = 0;
        nn__copy(trainer->best, trainer->model->parameters, trainer->model->parameter_count);
    } else {
        state->waited++;
    }
    return NN_OK;
}

static int nn__has_weight(const nn__rows *rows)
{
    int i;

    if (!rows->data->weight) return 1;
    for (i = 0; i < rows->count; i++)
        if (nn__row_weight(rows->data, nn__row(rows, i)) > 0) return 1;
    return 0;
}

/* Checks the data and divides it into training and validation rows. */
static nn_status nn__begin_run(nn__run *run, nn_trainer *trainer, const nn_data *data)
{
    const nn_options *o = trainer->options;
    nn_status status = nn__check_fits(data, trainer->model, o->loss);
    uint64_t updates;
    int held;

    if (status != NN_OK) return status;
    memset(run, 0, sizeof *run);
    run->trainer = trainer;
    run->training = nn__all_rows(data);
    run->validation = run->training;
    run->validation.count = 0;
    if (o->validation) {
        status = nn__check_fits(o->validation, trainer->model, o->loss);
        if (status != NN_OK) return status;
        run->validation = nn__all_rows(o->validation);
    } else if (o->validation_fraction > 0) {
        held = (int)nn__fma(o->validation_fraction, (nn_real)data->rows, (nn_real)0.5);
        if (held == 0) held = 1;
        if (held >= data->rows) return NN_ERROR_SIZE;
        run->training.separated = run->validation.separated = 1;
        run->training.separation_key = run->validation.separation_key = o->seed;
        run->training.count = run->validation.first = data->rows - held;
        run->validation.count = held;
        if (!nn__has_weight(&run->training) || !nn__has_weight(&run->validation))
            return NN_ERROR_WEIGHT;
    }
    run->progress.epochs = o->epochs ? o->epochs : 100;
    run->progress.batches = (run->training.count - 1) / nn__batch_rows(o) + 1;
    updates = (uint64_t)run->progress.epochs * (uint64_t)run->progress.batches;
    trainer->run_steps = updates < UINT32_MAX ? (uint32_t)updates : UINT32_MAX;
    run->progress.validation_loss = run->progress.validation_accuracy = NAN;
    run->progress.trainer = trainer;
    run->progress.model = trainer->model;
    trainer->pending = trainer->rows = 0;
#ifdef NN_TIME
    run->begin = NN_TIME();
    run->share = nn__epochs_done(run); /* since the first */
#endif
    if (o->scaling != NN_SCALE_NONE && trainer->model->scaling == NN_SCALE_NONE) {
        if (!nn__can_be_scaled(data)) return NN_ERROR_DATA;
        nn__fit_scaling(trainer->model, &run->training, o->scaling);
    }
    return NN_OK;
}

static void nn__restore_best(nn_trainer *trainer)
{
    if (trainer->best && trainer->state.best_epoch)
        nn__copy(trainer->model->parameters, trainer->best, trainer->model->parameter_count);
}

NN_DEF nn_status nn_trainer_fit(nn_trainer *trainer, const nn_data *data)
{
    nn__run run;
    nn__state *state;
    nn_status status;
    int patience, stop = 0;

    if (!trainer) return NN_ERROR_NULL;
    status = nn__begin_run(&run, trainer, data);
    if (status != NN_OK) return status;
    state = &trainer->state;
    patience = trainer->options->patience;
    while (state->epoch < run.progress.epochs && !(patience && state->waited >= patience)) {
        run.progress.validation_loss = run.progress.validation_accuracy = NAN;
        status = nn__train_epoch(&run, &stop);
        if (status != NN_OK || (stop && state->position < run.training.count)) return status;
        status = nn__end_epoch(&run);
        if (status != NN_OK) return status;
        stop |= nn__call_back(&run, 0) != 0;
        if (stop && state->epoch < run.progress.epochs) return NN_OK;
    }
    nn__restore_best(trainer);
    return NN_OK;
}

#ifndef NN_NO_MALLOC
NN_DEF nn_status nn_fit(nn_model *model, const nn_data *data, const nn_options *options)
{
    nn_options o = options ? *options : nn__default_options();
    nn_trainer *trainer;
    nn_status status;

    if (data && data->rows > 0 && o.batch_size > data->rows) o.batch_size = data->rows;
    status = nn_trainer_create(&trainer, model, &o);
    if (status != NN_OK) return status;
    status = nn_trainer_fit(trainer, data);
    if (status == NN_OK) nn__restore_best(trainer); /* also when a callback stopped it */
    nn_trainer_free(trainer);
    return status;
}
#endif

#ifndef NN_NO_STDIO
NN_DEF int nn_print_progress(const nn_progress *progress, void *user)
{
    FILE *file = user ? (FILE *)user : stdout;
    int i, filled;

    if (!progress) return 0;
    if (progress->batch) {
        filled = (int)(30.0 * progress->batch / progress->batches);
        fprintf(file, "\rEpoch %d/%d: [", progress->epoch, progress->epochs);
        for (i = 0; i < 30; i++) fputc(i < filled ? '=' : ' ', file);
        fprintf(file, "] loss %.4f, %.0f s left ", (double)progress->loss, progress->remaining);
        fputs(progress->batch == progress->batches ? "\r\033[K" : "", file);
        fflush(file);
        return 0;
    }
    fprintf(file, "Epoch %d/%d: loss %.4f", progress->epoch, progress->epochs,
            (double)progress->loss);
    if (progress->accuracy >= 0) fprintf(file, ", accuracy %.4f", (double)progress->accuracy);
    if (nn__is_finite(progress->validation_loss))
        fprintf(file, ", validation loss %.4f", (double)progress->validation_loss);
    if (progress->validation_accuracy >= 0)
        fprintf(file, ", validation accuracy %.4f", (double)progress->validation_accuracy);
    fputc('\n', file);
    return 0;
}
#endif

/* ================================================================================================
   >>metrics
   ============================================================================================= */

NN_DEF nn_status nn_class_scores(const int *matrix, int classes, int of_class, nn_scores *scores)
{
    unsigned long predicted = 0, actual = 0; /* rows: they fit an int in any matrix of ours */
    nn_real hit;
    int i;

    if (scores) memset(scores, 0, sizeof *scores);
    if (!matrix || !scores) return NN_ERROR_NULL;
    if (classes < 2) return NN_ERROR_SIZE;
    if (of_class < 0 || of_class >= classes) return NN_ERROR_LABEL;
    hit = (nn_real)matrix[(size_t)of_class * (size_t)classes + (size_t)of_class];
    for (i = 0; i < classes; i++) {
        predicted += (unsigned long)matrix[(size_t)i * (size_t)classes + (size_t)of_class];
        actual += (unsigned long)matrix[(size_t)of_class * (size_t)classes + (size_t)i];
    }
    scores->precision = predicted ? hit / (nn_real)predicted : 0;
    scores->recall = actual ? hit / (nn_real)actual : 0;
    scores->f1 = predicted + actual ? 2 * hit / (nn_real)(predicted + actual) : 0;
    scores->support = (int)actual;
    return NN_OK;
}

#ifndef NN_NO_MALLOC
/* A predicted probability of class 1, and whether the row is of that class. */
typedef struct nn__score {
    nn_real probability;
    int positive;
} nn__score;

static int nn__compare_scores(const void *a, const void *b)
{
    const nn_real first = ((const nn__score *)a)->probability;
    const nn_real second = ((const nn__score *)b)->probability;
    return (first > second) - (first < second);
}

/* The share of (positive, negative) pairs that are ranked right, ties counted half (Hanley and
   McNeil 1982). Sorts the scores. NaN when all rows are of one class. */
static nn_real nn__roc_auc(nn__score *scores, int count)
{
    double pairs = 0, negatives = 0, positives = 0, ties_negative, ties_positive;
    int i, k;

    for (i = 0; i < count; i++)
        if (!nn__is_finite(scores[i].probability)) return NAN;
    qsort(scores, (size_t)count, sizeof *scores, nn__compare_scores);
    for (i = 0; i < count; i = k) {
        ties_negative = ties_positive = 0;
        for (k = i; k < count && !(scores[k].probability > scores[i].probability); k++) {
            ties_positive += scores[k].positive;
            ties_negative += !scores[k].positive;
        }
        pairs += ties_positive * (negatives + ties_negative / 2); /* exact: halves of integers */
        negatives += ties_negative;
        positives += ties_positive;
    }
    return positives > 0 && negatives > 0 ? (nn_real)(pairs / (positives * negatives)) : NAN;
}
#endif

/* For R^2 of one output: sums of (p - t)^2, and of t - first and its square. */
typedef struct nn__output_tally {
    nn_real first; /* target */
    nn__sum residual, sum, squares;
} nn__output_tally;

/* What one pass over the rows collects. */
typedef struct nn__tally {
    nn__sums sums;
    nn__sum squares, absolutes; /* of errors, over rows and outputs */
    nn__output_tally *outputs;  /* [outputs], or NULL */
    int *matrix;                /* [classes x classes], or NULL */
#ifdef NN_NO_MALLOC /* what one output or two classes need; more has no matrix and no R^2 */
    nn__output_tally one_output;
    int two_by_two[4];
#else
    nn__score *scores; /* [rows], or NULL */
#endif
    int classes; /* 0: regression */
} nn__tally;

static void nn__tally_output(nn__output_tally *output, nn_real t, nn_real residual, int first)
{
    nn_real d, square;

    if (first) output->first = t;
    d = t - output->first;
    square = nn__rounded_product(d, d);
    nn__add(&output->residual, residual);
    nn__add(&output->sum, d);
    nn__add(&output->squares, square);
    output->squares.low += nn__fma(d, d, -square); /* what the rounding took */
}

/* 1 - residual / total sum of squares; NaN when the targets are constant. */
static nn_real nn__r_squared(const nn__output_tally *output, nn_real rows)
{
    const nn_real sum = nn__total(&output->sum);
    const nn_real total = nn__fma(-sum, sum / rows, nn__total(&output->squares));

    return total > 0 ? 1 - nn__total(&output->residual) / total : NAN;
}

static void nn__tally_row(nn__tally *tally, const nn_data *data, size_t row, const nn_real *p)
{
    const nn_real *t = data->y + row * (size_t)data->outputs;
    int j;

    for (j = 0; j < data->outputs; j++) {
        const nn_real d = p[j] - t[j], square = nn__rounded_product(d, d);
        nn__add(&tally->squares, square);
        nn__add(&tally->absolutes, nn__absolute(d));
        if (tally->outputs)
            nn__tally_output(&tally->outputs[j], t[j], square, tally->sums.counted == 0);
    }
    if (tally->matrix) {
        const int truth = nn__class_of(t, data->outputs), guess = nn__class_of(p, data->outputs);
        tally->matrix[(size_t)truth * (size_t)tally->classes + (size_t)guess]++;
    }
#ifndef NN_NO_MALLOC
    if (tally->scores) {
        nn__score *score = &tally->scores[tally->sums.counted];
        score->probability = p[data->outputs - 1]; /* of class 1, with one output or two */
        score->positive = nn__class_of(t, data->outputs);
    }
#endif
}

static void nn__tally_all(nn__tally *tally, const nn_model *model, const nn_data *data,
                          const nn_options *options)
{
    const size_t inputs = (size_t)data->inputs, outputs = (size_t)data->outputs;
    nn__objective objective;
    int first, b, count;

    nn__set_objective(&objective, model, options);
    objective.index = NULL;
    for (first = 0; first < data->rows; first += count) {
        nn_real *p, *losses = model->scratch;
        count = nn__predict_rows(data->rows - first);
        p = nn__infer(model, data->x + (size_t)first * inputs, count, model->scratch, NULL);
        if (p == losses) losses += (size_t)count * model->first_width; /* the other buffer */
        objective.targets = data->y + (size_t)first * outputs;
        nn__loss_forward(&objective, p, p, count, losses);
        for (b = 0; b < count; b++, p += outputs) {
            const size_t row = (size_t)first + (size_t)b;
            if (nn__row_weight(data, row) == 0) continue;
            nn__tally_row(tally, data, row, p);
            nn__add_loss(&tally->sums.loss, data, row, losses[b]);
            nn__count_row(&tally->sums, data, row, objective.loss, p);
        }
    }
}

/* The classes that predictions can be counted by: a binary cross-entropy with one output has two,
   a cross-entropy as many as outputs, whether or not the data says so. 0: none. */
static int nn__classes(const nn_data *data, nn_loss loss)
{
    if (data->classes > 0) return data->classes;
    if (loss == NN_CROSS_ENTROPY && data->outputs > 1) return data->outputs;
    return loss == NN_BINARY_CROSS_ENTROPY && data->outputs == 1 ? 2 : 0;
}

static void nn__class_metrics(nn_metrics *metrics, const int *matrix, int classes)
{
    nn_scores scores;
    int c;

    metrics->macro_precision = metrics->macro_recall = metrics->macro_f1 = 0;
    for (c = 0; c < classes; c++) {
        (void)nn_class_scores(matrix, classes, c, &scores);
        metrics->macro_precision += scores.precision;
        metrics->macro_recall += scores.recall;
        metrics->macro_f1 += scores.f1;
    }
    metrics->macro_precision /= (nn_real)classes;
    metrics->macro_recall /= (nn_real)classes;
    metrics->macro_f1 /= (nn_real)classes;
    if (classes == 2) { /* the last scores are those of class 1 */
        metrics->precision = scores.precision;
        metrics->recall = scores.recall;
        metrics->f1 = scores.f1;
    }
}

static void nn__finish_metrics(nn_metrics *metrics, const nn__tally *tally, const nn_data *data,
                               nn_loss loss)
{
    const nn__sums *sums = &tally->sums;
    const nn_real cells = (nn_real)sums->counted * (nn_real)data->outputs;
    int j;

    metrics->loss = nn__mean_loss(sums);
    metrics->rows = sums->counted;
    metrics->mse = nn__total(&tally->squares) / cells;
    metrics->mae = nn__total(&tally->absolutes) / cells;
    metrics->accuracy = metrics->precision = metrics->recall = metrics->f1 = NAN;
    metrics->macro_precision = metrics->macro_recall = metrics->macro_f1 = NAN;
    metrics->auc = metrics->r2 = NAN;
    if (nn__is_classification(data, loss)) {
        metrics->correct = sums->correct;
        metrics->accuracy = (nn_real)sums->correct / (nn_real)sums->counted;
    }
    if (tally->outputs) {
        metrics->r2 = 0;
        for (j = 0; j < data->outputs; j++)
            metrics->r2 += nn__r_squared(&tally->outputs[j], (nn_real)sums->counted);
        metrics->r2 /= (nn_real)data->outputs;
    }
    if (tally->matrix) nn__class_metrics(metrics, tally->matrix, tally->classes);
}

#ifndef NN_NO_MALLOC
/* Lays the tally's arrays out in a block, or measures it. */
static void nn__lay_out_tally(nn__tally *tally, const nn_data *data, nn__block *block)
{
    const size_t classes = (size_t)tally->classes;

    if (classes == 2)
        tally->scores = (nn__score *)nn__take(block, (size_t)data->rows, sizeof(nn__score));
    if (classes) tally->matrix = (int *)nn__take(block, classes, classes * sizeof(int));
    tally->outputs =
        (nn__output_tally *)nn__take(block, (size_t)data->outputs, sizeof(nn__output_tally));
}
#endif

NN_DEF nn_status nn_evaluate(const nn_model *model, const nn_data *data, const nn_options *options,
                             nn_metrics *metrics)
{
    const nn_loss loss = options ? options->loss : NN_MSE;
    nn__tally tally;
    nn_status status;
#ifndef NN_NO_MALLOC
    nn__block block = {NULL, 0, 0};
    void *memory;
#endif

    if (metrics) memset(metrics, 0, sizeof *metrics);
    if (!model || !metrics) return NN_ERROR_NULL;
    if (!nn__loss_fits(loss, nn__output_activation(model))) return NN_ERROR_LOSS;
    if (options && !(options->label_smoothing >= 0 && options->label_smoothing < 1 &&
                     options->quantile >= 0 && options->quantile < 1 && options->huber_delta >= 0 &&
                     nn__is_finite(options->huber_delta)))
        return NN_ERROR_OPTION;
    status = nn__check_fits(data, model, loss);
    if (status != NN_OK) return status;
    memset(&tally, 0, sizeof tally);
    tally.classes = nn__classes(data, loss);
#ifdef NN_NO_MALLOC
    if (tally.classes == 2) tally.matrix = tally.two_by_two;
    if (data->outputs == 1) tally.outputs = &tally.one_output;
#else
    nn__lay_out_tally(&tally, data, &block);
    if (block.overflow) return NN_ERROR_OVERFLOW;
    memory = NN_MALLOC(nn__block_size(&block));
    if (!memory) return NN_ERROR_MEMORY;
    block.base = nn__align(memory);
    memset(block.base, 0, block.used);
    block.used = 0;
    nn__lay_out_tally(&tally, data, &block);
#endif
    nn__tally_all(&tally, model, data, options);
    nn__finish_metrics(metrics, &tally, data, loss);
#ifndef NN_NO_MALLOC
    if (tally.scores) metrics->auc = nn__roc_auc(tally.scores, tally.sums.counted);
    NN_FREE(memory);
#endif
    return NN_OK;
}

NN_DEF nn_status nn_confusion_matrix(const nn_model *model, const nn_data *data, int *matrix)
{
    nn__tally tally;
    nn_status status;
    size_t cells;

    if (!model || !matrix) return NN_ERROR_NULL;
    status = nn__check_fits(data, model, NN_MSE);
    if (status != NN_OK) return status;
    if (data->classes < 2) return NN_ERROR_LABEL;
    cells = (size_t)data->classes * (size_t)data->classes;
    memset(matrix, 0, cells * sizeof *matrix);
    memset(&tally, 0, sizeof tally);
    tally.classes = data->classes;
    tally.matrix = matrix;
    nn__tally_all(&tally, model, data, NULL);
    return NN_OK;
}

#ifndef NN_NO_MALLOC

/* ---- Cross-validation ------------------------------------------------------------------------ */

/* Trains on one fold's complement and measures on the fold. */
static nn_status nn__cross_validate_fold(const nn_shape *shape, const nn_data *data,
                                         const nn_options *options, const nn_fold *fold,
                                         nn_metrics *result)
{
    nn_data train, test;
    nn_model *model;
    nn_status status = nn_split_fold(data, fold, &train, &test);

    if (status != NN_OK) return status;
    status = nn__create(&model, shape, fold->seed);
    if (status == NN_OK) {
        status = nn_fit(model, &train, options);
        if (status == NN_OK) status = nn_evaluate(model, &test, options, result);
        nn_model_free(model);
    }
    nn_data_free(&train);
    nn_data_free(&test);
    return status;
}

NN_DEF nn_status nn_cross_validate(const nn_shape *shape, const nn_data *data,
                                   const nn_options *options, int folds, nn_metrics *results)
{
    const nn_options o = options ? *options : nn__default_options();
    nn_status status = nn__check_shape(shape);
    nn_fold fold;

    if (!results) return NN_ERROR_NULL;
    if (status == NN_OK)
        status = nn__check_widths(data, shape->inputs, shape->layers[shape->count - 1].width);
    if (status == NN_OK && /* there is no model yet */
        !(nn__all_finite_scalar(data->x, (size_t)data->rows * (size_t)data->inputs) &&
          nn__all_finite_scalar(data->y, (size_t)data->rows * (size_t)data->outputs)))
        status = NN_ERROR_DATA;
    if (status == NN_OK) status = nn__check_rows(data, o.loss);
    if (folds < 2 || (status == NN_OK && folds > data->rows)) return NN_ERROR_OPTION;
    memset(results, 0, (size_t)folds * sizeof *results);
    fold.folds = folds;
    fold.seed = o.seed;
    for (fold.fold = 0; fold.fold < folds && status == NN_OK; fold.fold++)
        status = nn__cross_validate_fold(shape, data, &o, &fold, &results[fold.fold]);
    if (status != NN_OK) memset(results, 0, (size_t)folds * sizeof *results);
    return status;
}

#endif
#endif /* NN_NO_TRAIN */
#if !defined(NN_NO_TRAIN) && !defined(NN_NO_MALLOC)

/* ================================================================================================
   >>csv
   ------------------------------------------------------------------------------------------------
   Tables: numbers are read to the nearest nn_real, text in the target column becomes classes.
   ============================================================================================= */

/* ---- Numbers --------------------------------------------------------------------------------- */

/* Natural numbers of up to 4,800 bits, for decimal numbers that need them. Little end first. */
#define NN__BIG_WORDS 150
typedef struct nn__big {
    uint32_t word[NN__BIG_WORDS];
    int count; /* words in use, the last one not 0 */
} nn__big;

/* a = a * factor + addend */
static void nn__big_multiply(nn__big *a, uint32_t factor, uint32_t addend)
{
    uint64_t carry = addend;
    int i;

    for (i = 0; i < a->count; i++) {
        carry += (uint64_t)a->word[i] * factor;
        a->word[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry) {
        NN_ASSERT(a->count < NN__BIG_WORDS);
        a->word[a->count++] = (uint32_t)carry;
    }
}

static void nn__big_shift(nn__big *a, int bits)
{
    for (; bits >= 31; bits -= 31) nn__big_multiply(a, UINT32_C(1) << 31, 0);
    nn__big_multiply(a, UINT32_C(1) << bits, 0);
}

static int nn__big_bits(const nn__big *a)
{
    int bits = a->count * 32;
    uint32_t top;

    if (!a->count) return 0;
    for (top = a->word[a->count - 1]; !(top >> 31); top <<= 1) bits--;
    return bits;
}

static int nn__big_less(const nn__big *a, const nn__big *b)
{
    int i;

    if (a->count != b->count) return a->count < b->count;
    for (i = a->count - 1; i >= 0; i--)
        if (a->word[i] != b->word[i]) return a->word[i] < b->word[i];
    return 0;
}

/* a -= b, where b <= a */
static void nn__big_subtract(nn__big *a, const nn__big *b)
{
    uint64_t borrow = 0;
    int i;

    for (i = 0; i < a->count; i++) {
        const uint64_t take = borrow + (i < b->count ? b->word[i] : 0);
        borrow = a->word[i] < take;
        a->word[i] = (uint32_t)(a->word[i] - take);
    }
    while (a->count && !a->word[a->count - 1]) a->count--;
}

#define NN__DIGITS 800 /* more digits than this cannot change the result, but as a last one */

/* digits[count] * 10^exponent, rounded to the nearest nn_real, ties to even: the quotient of two
   whole numbers, divided bit by bit. */
static nn_real nn__decimal(const char *digits, int count, int32_t exponent)
{
    const int lowest = 2 - NN__BIAS - NN__MANTISSA - 1; /* the exponent of a denormal's last bit */
    nn__big above, below;
    nn__bits quotient = 0;
    int i, shift, bits;

    above.count = below.count = 0;
    for (i = 0; i < count; i++) {
        if (!above.count) {
            above.word[0] = (uint32_t)(digits[i] - '0');
            above.count = above.word[0] != 0;
        } else {
            nn__big_multiply(&above, 10, (uint32_t)(digits[i] - '0'));
        }
    }
    if (!above.count || exponent + count < -400) return 0;
    if (exponent + count > 400) return (nn_real)INFINITY;
    below.word[0] = 1;
    below.count = 1;
    for (i = 0; i < exponent; i++) nn__big_multiply(&above, 10, 0);
    for (i = 0; i > exponent; i--) nn__big_multiply(&below, 10, 0);

    /* value = above / below; wanted: quotient = floor(above / below / 2^shift), one bit more than
       the mantissa holds, or fewer where the result is denormal */
    shift = nn__big_bits(&above) - nn__big_bits(&below) - NN__MANTISSA - 2;
    if (shift < lowest - 1) shift = lowest - 1;
    if (shift > 0) nn__big_shift(&below, shift);
    if (shift < 0) nn__big_shift(&above, -shift);
    bits = nn__big_bits(&above) - nn__big_bits(&below) + 1;
    if (bits < 0) bits = 0;
    nn__big_shift(&below, bits);
    for (i = bits; i >= 0; i--) {
        quotient <<= 1;
        if (!nn__big_less(&above, &below)) {
            nn__big_subtract(&above, &below);
            quotient |= 1;
        }
        if (above.count) nn__big_multiply(&above, 2, 0);
    }
    if (quotient >> (NN__MANTISSA + 2)) { /* one bit too many: keep it as a sticky one */
        if (quotient & 1) above.count = 1;
        quotient >>= 1;
        shift++;
    }
    /* the last bit is a half: round it off */
    i = (int)(quotient & 1) && (above.count || (quotient & 2));
    quotient = (quotient >> 1) + (nn__bits)i;
    shift++;
    while (shift > NN__BIAS - NN__MANTISSA) {
        if (quotient >> (NN__MANTISSA + 1)) return (nn_real)INFINITY;
        quotient <<= 1;
        shift--;
    }
    if (shift <= -NN__BIAS) /* in two factors, each a normal number */
        return (nn_real)quotient * nn__power_of_two(1) *
               nn__power_of_two((nn__bits)(shift + NN__BIAS + NN__BIAS - 1));
    return (nn_real)quotient * nn__power_of_two((nn__bits)(shift + NN__BIAS));
}

/* Reads a decimal number that fills text[length], to the nearest nn_real, whatever the locale; 0
   if it is none or not finite. Few digits and a small exponent take one exact division or product
   (Clinger 1990). */
static int nn__parse_number(const char *text, size_t length, nn_real *value)
{
#ifdef NN_DOUBLE
    const int exact_digits = 15, exact_power = 22;
#else
    const int exact_digits = 7, exact_power = 10;
#endif
    const char *end = text + length;
    char digits[NN__DIGITS + 1];
    int32_t exponent = 0, given = 0; /* an int may have 16 bits */
    int count = 0, point = 0, negative = 0, any = 0, i;
    nn_real result = 0, power = 1;

    if (text < end && (*text == '-' || *text == '+')) negative = *text++ == '-';
    for (; text < end && ((*text >= '0' && *text <= '9') || (*text == '.' && !point)); text++) {
        if (*text == '.') {
            point = 1;
            continue;
        }
        any = 1;
        if (count == 0 && *text == '0') {
            exponent -= point;
        } else if (count < NN__DIGITS) {
            digits[count++] = *text;
            exponent -= point;
        } else {
            if (*text != '0') digits[NN__DIGITS - 1] |= 1; /* not a tie: '0' or more is odd now */
            exponent += !point;
        }
        if (exponent > 100000000 || exponent < -100000000) return 0;
    }
    if (!any) return 0;
    if (text < end && (*text == 'e' || *text == 'E')) {
        const int minus = text + 1 < end && text[1] == '-';
        text += 1 + (text + 1 < end && (text[1] == '-' || text[1] == '+'));
        if (text == end) return 0;
        for (; text < end && *text >= '0' && *text <= '9'; text++)
            if (given < 100000000) given = given * 10 + (*text - '0');
        exponent += minus ? -given : given;
    }
    if (text != end) return 0;
    if (count <= exact_digits && exponent <= exact_power && exponent >= -exact_power) {
        for (i = 0; i < count; i++) result = result * 10 + (nn_real)(digits[i] - '0');
        for (i = 0; i < exponent || i < -exponent; i++) power *= 10;
        result = exponent < 0 ? result / power : result * power;
    } else {
        result = nn__decimal(digits, count, exponent);
    }
    *value = negative ? -result : result;
    return nn__is_finite(result);
}

/* ---- CSV ------------------------------------------------------------------------------------- */

typedef struct nn__cell {
    const char *text; /* without its quotes, and without spaces around an unquoted one */
    size_t length;
    int last; /* of its row */
} nn__cell;

typedef struct nn__parser {
    const char *at, *end;
    long line;   /* of the row that is read */
    long next;   /* line of `at` */
    long column; /* of the last cell, from 1 */
    char delimiter, comment;
} nn__parser;

static int nn__at_line_end(const nn__parser *parser)
{
    return parser->at == parser->end || *parser->at == '\n' ||
           (*parser->at == '\r' && (parser->at + 1 == parser->end || parser->at[1] == '\n'));
}

static void nn__end_line(nn__parser *parser)
{
    if (parser->at < parser->end && *parser->at == '\r') parser->at++;
    if (parser->at < parser->end) parser->at++;
    parser->next++;
}

/* Goes to the next row that is neither empty nor a comment; 0 at the end. */
static int nn__next_row(nn__parser *parser)
{
    while (parser->at < parser->end) {
        const int comment = parser->comment && *parser->at == parser->comment;
        if (!comment && !nn__at_line_end(parser)) {
            parser->line = parser->next;
            parser->column = 0;
            return 1;
        }
        while (!nn__at_line_end(parser)) parser->at++;
        nn__end_line(parser);
    }
    return 0;
}

/* Reads a cell and what ends it. In a quoted cell two quotes stand for one, and lines go on. */
static nn_status nn__next_cell(nn__parser *parser, nn__cell *cell)
{
    parser->column++;
    cell->last = 0;
    if (parser->at < parser->end && *parser->at == '"') {
        cell->text = ++parser->at;
        cell->length = 0;
        for (;; parser->at++) {
            if (parser->at == parser->end) return NN_ERROR_CSV_QUOTE;
            if (*parser->at == '\n') parser->next++;
            if (*parser->at != '"') continue;
            if (parser->at + 1 == parser->end || parser->at[1] != '"') break;
            parser->at++;
        }
        cell->length = (size_t)(parser->at++ - cell->text);
        if (!nn__at_line_end(parser) && *parser->at != parser->delimiter) return NN_ERROR_CSV_QUOTE;
    } else {
        cell->text = parser->at;
        while (!nn__at_line_end(parser) && *parser->at != parser->delimiter && *parser->at != '"')
            parser->at++;
        cell->length = (size_t)(parser->at - cell->text);
        if (!nn__at_line_end(parser) && *parser->at == '"') return NN_ERROR_CSV_QUOTE;
        while (cell->length && (*cell->text == ' ' || *cell->text == '\t')) {
            cell->text++;
            cell->length--;
        }
        while (cell->length &&
               (cell->text[cell->length - 1] == ' ' || cell->text[cell->length - 1] == '\t'))
            cell->length--;
    }
    if (!nn__at_line_end(parser)) {
        parser->at++; /* the delimiter */
        return NN_OK;
    }
    cell->last = 1;
    nn__end_line(parser);
    return NN_OK;
}

/* A cell's text with two quotes read as one; to NULL only counts. Returns the length. (An unquoted
   cell has no quotes.) */
static size_t nn__cell_text(const nn__cell *cell, char *to)
{
    size_t i, length = 0;

    for (i = 0; i < cell->length; i++) {
        if (cell->text[i] == '"' && i + 1 < cell->length && cell->text[i + 1] == '"') i++;
        if (to) to[length] = cell->text[i];
        length++;
    }
    return length;
}

static int nn__cell_is(const nn__cell *cell, const char *name)
{
    size_t i, at = 0;

    for (i = 0; i < cell->length; i++, at++) {
        if (cell->text[i] == '"' && i + 1 < cell->length && cell->text[i + 1] == '"') i++;
        if (!name[at] || name[at] != cell->text[i]) return 0;
    }
    return name[at] == 0;
}

#define NN__MOST_CLASSES 4096 /* that are found in a file; a column of names has more */

/* The table as it is found: columns, where the targets are, the classes. */
typedef struct nn__table {
    const nn_csv_options *options;
    nn__parser start; /* at the first row of data */
    long columns;
    long *target; /* [targets] column of each, from 0 */
    int targets, rows, dropped;
    int labels;        /* the target is a class */
    int fixed;         /* the caller has given the classes */
    nn__cell *classes; /* [count] sorted */
    int count, capacity;
    nn_location location;
} nn__table;

/* Numbers come before text, in order of value; the rest in order of bytes. */
static int nn__compare_labels(const nn__cell *a, const nn__cell *b)
{
    const size_t length = a->length < b->length ? a->length : b->length;
    nn_real x = 0, y = 0;
    const int number_a = nn__parse_number(a->text, a->length, &x);
    const int number_b = nn__parse_number(b->text, b->length, &y);
    int order = number_b - number_a;

    if (order == 0) order = (x > y) - (x < y);
    if (order == 0) order = memcmp(a->text, b->text, length);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

/* The class of a label: its place among the sorted ones; adds it if it is new and not fixed. */
static nn_status nn__find_class(nn__table *table, const nn__cell *label, int add, int *found)
{
    int low = 0, high = table->count, middle, order;

    for (; table->fixed && low < high; low++)
        if (nn__cell_is(label, table->options->class_names[low])) break;
    if (table->fixed) {
        *found = low;
        return low < high ? NN_OK : NN_ERROR_LABEL;
    }
    while (low < high) {
        middle = low + (high - low) / 2;
        order = nn__compare_labels(label, &table->classes[middle]);
        if (order == 0) {
            *found = middle;
            return NN_OK;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    if (!add || table->count == NN__MOST_CLASSES) return NN_ERROR_LABEL;
    if (table->count == table->capacity) {
        const int capacity = table->capacity ? 2 * table->capacity : 16;
        nn__cell *larger = (nn__cell *)NN_MALLOC((size_t)capacity * sizeof(nn__cell));
        if (!larger) return NN_ERROR_MEMORY;
        if (table->count) memcpy(larger, table->classes, (size_t)table->count * sizeof(nn__cell));
        if (table->classes) NN_FREE(table->classes);
        table->classes = larger;
        table->capacity = capacity;
    }
    memmove(table->classes + low + 1, table->classes + low,
            (size_t)(table->count - low) * sizeof(nn__cell));
    table->classes[low] = *label;
    table->count++;
    *found = low;
    return NN_OK;
}

/* The target that a column is, or -1 for an input. */
static int nn__target_of(const nn__table *table, long column)
{
    int i;

    for (i = 0; i < table->targets; i++)
        if (table->target[i] == column) return i;
    return -1;
}

static void nn__mark_location(nn__table *table, const nn__parser *parser, const nn__cell *cell)
{
    table->location.line = parser->line;
    table->location.column = parser->column;
    nn__copy_text(table->location.name, sizeof table->location.name, cell ? cell->text : "",
                  cell ? cell->length : 0);
}

/* Reads the row at the parser into x[inputs] and y[outputs], or only checks it when data is NULL
   and collects its label. *bad: a cell is not a number (its location is marked), the row is no
   use. */
static nn_status nn__read_row(nn__table *table, nn__parser *parser, nn_data *data, int *bad)
{
    const size_t row = (size_t)table->rows;
    const int room = data && table->rows < data->rows; /* not for a bad row after the last good */
    nn_real *x = room ? nn__writable(data->x) + row * (size_t)data->inputs : NULL;
    nn_real *y = room ? nn__writable(data->y) + row * (size_t)data->outputs : NULL;
    nn__cell cell, label = {NULL, 0, 0};
    nn_real value = 0;
    nn_status status;
    long column;
    int target, c = 0;

    *bad = 0;
    for (column = 0, cell.last = 0; !cell.last; column++) {
        status = nn__next_cell(parser, &cell);
        if (status == NN_OK && column == table->columns) status = NN_ERROR_CSV_CELLS;
        if (status != NN_OK) {
            nn__mark_location(table, parser, &cell);
            return status;
        }
        target = nn__target_of(table, column);
        if (target >= 0 && table->labels) {
            label = cell;
            if (cell.length && !memchr(cell.text, 0, cell.length)) continue;
        } else if (nn__parse_number(cell.text, cell.length, &value)) {
            if (target >= 0 && y) y[target] = value;
            if (target < 0 && x) *x++ = value;
            continue;
        }
        if (!*bad) nn__mark_location(table, parser, &cell);
        *bad = 1;
    }
    if (column < table->columns) {
        nn__mark_location(table, parser, NULL);
        return NN_ERROR_CSV_CELLS;
    }
    if (*bad || !table->labels) return NN_OK;
    status = nn__find_class(table, &label, !data, &c);
    if (status != NN_OK) {
        parser->column = table->target[0] + 1;
        nn__mark_location(table, parser, &label);
        return status;
    }
    if (y && data->outputs == 1) y[0] = (nn_real)c;
    for (target = 0; y && data->outputs > 1 && target < data->outputs; target++)
        y[target] = (nn_real)(target == c);
    return NN_OK;
}

/* Finds the columns, the targets and the header in the first row. */
static nn_status nn__read_header(nn__table *table, nn__parser *parser)
{
    const nn_csv_options *o = table->options;
    nn__parser first;
    nn__cell cell;
    nn_status status;
    nn_real value;
    int i, numbers = 0;

    if (!nn__next_row(parser)) return NN_ERROR_CSV_EMPTY;
    first = *parser;
    for (table->columns = 0, cell.last = 0; !cell.last; table->columns++) {
        status = nn__next_cell(parser, &cell);
        if (status != NN_OK) {
            nn__mark_location(table, parser, &cell);
            return status;
        }
        for (i = 0; o->target_names && i < table->targets; i++) {
            if (table->target[i] >= 0 || !nn__cell_is(&cell, o->target_names[i])) continue;
            table->target[i] = table->columns;
            break; /* a column is one target */
        }
    }
    nn__mark_location(table, parser, NULL);
    if (table->columns <= table->targets) return NN_ERROR_CSV_CELLS;
    for (i = 0; o->target_names && i < table->targets; i++) {
        if (table->target[i] >= 0) continue;
        table->location.column = 0;
        nn__copy_text(table->location.name, sizeof table->location.name, o->target_names[i],
                      strlen(o->target_names[i]));
        return NN_ERROR_CSV_TARGET;
    }
    for (i = 0; !o->target_names && i < table->targets; i++)
        table->target[i] = table->columns - table->targets + i;
    table->start = *parser;
    *parser = first;
    for (i = 0, cell.last = 0; !cell.last; i++) {
        if (nn__next_cell(parser, &cell) != NN_OK) return NN_ERROR_CSV_QUOTE;
        if (nn__target_of(table, i) < 0)
            numbers += nn__parse_number(cell.text, cell.length, &value);
    }
    if (!o->target_names &&
        (o->header == NN_CSV_HEADER_NO || (o->header == NN_CSV_HEADER_AUTO && numbers)))
        table->start = first;
    return NN_OK;
}

/* Whether the target column holds text: it is not empty, and no cell of it is a number. */
static int nn__has_labels(const nn__table *table)
{
    nn__parser parser = table->start;
    nn__cell cell;
    nn_real value;
    long column;
    int text = 0;

    if (table->options->labels || table->fixed) return 1;
    if (table->targets != 1) return 0;
    while (nn__next_row(&parser))
        for (column = 0, cell.last = 0; !cell.last; column++) {
            if (nn__next_cell(&parser, &cell) != NN_OK) return 0;
            if (column != table->target[0] || !cell.length) continue;
            if (nn__parse_number(cell.text, cell.length, &value)) return 0;
            text = 1;
        }
    return text;
}

/* Goes over all rows: counts them and collects the classes, then, with data, fills it. */
static nn_status nn__read_rows(nn__table *table, nn_data *data)
{
    nn__parser parser = table->start;
    nn_status status;
    int bad;

    table->rows = table->dropped = 0;
    while (nn__next_row(&parser)) {
        status = nn__read_row(table, &parser, data, &bad);
        if (status != NN_OK) return status;
        if (bad && !table->options->drop_bad_rows) return NN_ERROR_CSV_NUMBER;
        if (table->rows == INT_MAX) return NN_ERROR_OVERFLOW;
        table->dropped += bad;
        table->rows += !bad;
    }
    nn__mark_location(table, &parser, NULL);
    return table->rows ? NN_OK : NN_ERROR_CSV_EMPTY;
}

static void nn__fill_names(const nn__table *table, nn_data *data)
{
    const char **pointers = (const char **)(uintptr_t)data->class_names;
    char *text = (char *)(pointers + data->classes);
    int c;

    for (c = 0; c < data->classes; c++) {
        pointers[c] = text;
        text += nn__cell_text(&table->classes[c], text);
        *text++ = 0;
    }
}

static nn_status nn__make_data(nn__table *table, nn_data *data)
{
    size_t characters = 0;
    nn_status status;
    int c;

    data->rows = table->rows;
    data->dropped = table->dropped;
    data->outputs = table->targets;
    if (table->columns - table->targets > INT_MAX) return NN_ERROR_OVERFLOW;
    data->inputs = (int)(table->columns - table->targets);
    if (table->labels) {
        if (table->count < 2) return NN_ERROR_LABEL;
        data->classes = table->count;
        data->outputs = data->classes == 2 ? 1 : data->classes;
        data->class_names = table->fixed ? table->options->class_names : NULL;
        if (table->fixed) characters = nn__name_characters(data);
        for (c = 0; !table->fixed && c < table->count; c++)
            characters += nn__cell_text(&table->classes[c], NULL) + 1;
    }
    status = nn__allocate_data(data, 0, characters);
    if (status != NN_OK) return status;
    if (characters && table->fixed) nn__copy_names(data, table->options->class_names);
    if (characters && !table->fixed) nn__fill_names(table, data);
    return nn__read_rows(table, data);
}

static nn_status nn__parse_table(nn__table *table, nn_data *data, const char *text, size_t length)
{
    nn__parser parser;
    nn_status status;
    int i;

    for (i = 0; i < table->targets; i++) table->target[i] = -1;
    parser.at = text;
    parser.end = text + length;
    parser.line = parser.next = 1;
    parser.column = 0;
    parser.delimiter = table->options->delimiter ? table->options->delimiter : ',';
    parser.comment = table->options->comment;
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) parser.at += 3; /* byte order mark */
    status = nn__read_header(table, &parser);
    if (status != NN_OK) return status;
    table->labels = nn__has_labels(table);
    status = nn__read_rows(table, NULL);
    return status == NN_OK ? nn__make_data(table, data) : status;
}

static nn_status nn__check_csv_options(const nn_csv_options *o)
{
    int c;

    if ((unsigned)o->header > NN_CSV_HEADER_NO || o->targets < 0 || o->classes < 0 ||
        o->delimiter == '"' || o->delimiter == '\n' || o->delimiter == '\r' || o->comment == '"' ||
        o->comment == '\n' || o->comment == '\r' ||
        o->comment == (o->delimiter ? o->delimiter : ',') || (o->labels && o->targets > 1) ||
        (o->class_names && (o->classes < 2 || o->targets > 1)) ||
        (o->target_names && o->header == NN_CSV_HEADER_NO))
        return NN_ERROR_OPTION;
    for (c = 0; o->class_names && c < o->classes; c++)
        if (!o->class_names[c]) return NN_ERROR_NULL;
    for (c = 0; o->target_names && c < (o->targets ? o->targets : 1); c++)
        if (!o->target_names[c]) return NN_ERROR_NULL;
    return NN_OK;
}

static nn_status nn__parse_csv(nn_data *data, const char *text, size_t length,
                               const nn_csv_options *o, const char *path)
{
    nn__table table;
    nn_status status = nn__check_csv_options(o);

    if (status != NN_OK) return status;
    memset(&table, 0, sizeof table);
    table.options = o;
    table.targets = o->targets ? o->targets : 1;
    table.fixed = o->class_names != NULL;
    table.count = table.fixed ? o->classes : 0;
    table.location.path = path;
    if ((size_t)table.targets > SIZE_MAX / sizeof(long)) return NN_ERROR_OVERFLOW;
    table.target = (long *)NN_MALLOC((size_t)table.targets * sizeof(long));
    if (!table.target) return NN_ERROR_MEMORY;
    status = nn__parse_table(&table, data, text, length);
    if (status != NN_OK) {
        nn_data_free(data);
        if (o->location) *o->location = table.location;
    }
    NN_FREE(table.target);
    if (table.classes) NN_FREE(table.classes);
    return status;
}

static nn_csv_options nn__csv_or_defaults(const nn_csv_options *given)
{
    nn_csv_options options;

    if (given) return *given;
    memset(&options, 0, sizeof options);
    return options;
}

NN_DEF nn_status nn_parse_csv(nn_data *data, const char *text, size_t length,
                              const nn_csv_options *options)
{
    const nn_csv_options o = nn__csv_or_defaults(options);

    if (data) memset(data, 0, sizeof *data);
    nn__set_location(o.location, NULL);
    if (!data || !text) return NN_ERROR_NULL;
    return nn__parse_csv(data, text, length, &o, NULL);
}

#ifndef NN_NO_STDIO

NN_DEF nn_status nn_read_csv(nn_data *data, const char *path, const nn_csv_options *options)
{
    const nn_csv_options o = nn__csv_or_defaults(options);
    unsigned char *text;
    size_t length;
    nn_status status;

    if (data) memset(data, 0, sizeof *data);
    nn__set_location(o.location, path);
    if (!data || !path) return NN_ERROR_NULL;
    status = nn__read_file(path, &text, &length);
    if (status != NN_OK) return status;
    status = nn__parse_csv(data, (const char *)text, length, &o, path);
    NN_FREE(text);
    return status;
}

/* ================================================================================================
   >>idx
   ------------------------------------------------------------------------------------------------
   MNIST's format of images and labels (http://yann.lecun.com/exdb/mnist).
   ============================================================================================= */

/* Checks the header of unsigned bytes in `dimensions` or more dimensions. Sets the count of items
   and the bytes of each; the data begins at *start. */
static nn_status nn__check_idx(const unsigned char *bytes, size_t size, int dimensions,
                               size_t *start, size_t *count, size_t *each)
{
    size_t product = 1;
    int d, given;

    if (size < 4 || bytes[0] || bytes[1] || bytes[2] != 8 || bytes[3] < dimensions)
        return NN_ERROR_IDX_MAGIC;
    given = bytes[3];
    *start = 4 + 4 * (size_t)given;
    if (size < *start) return NN_ERROR_IDX_SIZE;
    for (d = 0; d < given; d++) {
        const unsigned char *b = bytes + 4 + 4 * d;
        const uint32_t stated =
            ((uint32_t)b[0] << 24) | ((uint32_t)b[1] << 16) | ((uint32_t)b[2] << 8) | b[3];
        const size_t length = (size_t)stated;
        if (stated > INT_MAX) return NN_ERROR_IDX_SIZE;
        if (d == 0) {
            *count = length;
            continue;
        }
        if (length && product > (size_t)INT_MAX / length) return NN_ERROR_IDX_SIZE;
        product *= length;
    }
    *each = product;
    if (*count < 1 || *count > INT_MAX || product < 1 || *count > (size - *start) / product ||
        *count * product != size - *start)
        return NN_ERROR_IDX_SIZE;
    return NN_OK;
}

/* Both files are in memory: fills data. */
static nn_status nn__make_idx(nn_data *data, const unsigned char *images, size_t image_size,
                              const unsigned char *labels, size_t label_size, int classes,
                              int *in_labels)
{
    size_t image_start, label_start, count, label_count, each, one, i;
    nn_status status = nn__check_idx(images, image_size, 2, &image_start, &count, &each);
    int highest = 0;
    nn_real *x, *y;

    *in_labels = 0;
    if (status != NN_OK) return status;
    *in_labels = 1;
    status = nn__check_idx(labels, label_size, 1, &label_start, &label_count, &one);
    if (status != NN_OK) return status;
    if (one != 1 || label_count != count) return NN_ERROR_IDX_SIZE;
    for (i = 0; i < count; i++)
        if (labels[label_start + i] > highest) highest = labels[label_start + i];
    if (classes && highest >= classes) return NN_ERROR_LABEL;
    if (!classes && highest < 1) return NN_ERROR_LABEL;
    data->rows = (int)count;
    data->inputs = (int)each;
    data->classes = classes ? classes : highest + 1;
    data->outputs = data->classes == 2 ? 1 : data->classes;
    status = nn__allocate_data(data, 0, 0);
    if (status != NN_OK) return status;
    x = nn__writable(data->x);
    y = nn__writable(data->y);
    for (i = 0; i < count * each; i++) x[i] = (nn_real)images[image_start + i] / 255;
    memset(y, 0, count * (size_t)data->outputs * sizeof *y);
    for (i = 0; i < count; i++, y += data->outputs) {
        const int label = labels[label_start + i];
        if (data->outputs == 1)
            y[0] = (nn_real)label;
        else
            y[label] = 1;
    }
    return NN_OK;
}

NN_DEF nn_status nn_read_idx(nn_data *data, const char *images, const char *labels, int classes,
                             nn_location *location)
{
    unsigned char *image_bytes, *label_bytes;
    size_t image_size, label_size;
    nn_status status;
    int in_labels;

    if (data) memset(data, 0, sizeof *data);
    nn__set_location(location, images);
    if (!data || !images || !labels) return NN_ERROR_NULL;
    if (classes < 0 || classes == 1) return NN_ERROR_SIZE;
    status = nn__read_file(images, &image_bytes, &image_size);
    if (status != NN_OK) return status;
    nn__set_location(location, labels);
    status = nn__read_file(labels, &label_bytes, &label_size);
    if (status == NN_OK) {
        status = nn__make_idx(data, image_bytes, image_size, label_bytes, label_size, classes,
                              &in_labels);
        nn__set_location(location, in_labels ? labels : images);
        NN_FREE(label_bytes);
    }
    NN_FREE(image_bytes);
    return status;
}

#endif /* NN_NO_STDIO */
#endif

/* ================================================================================================
   >>safetensors
   ------------------------------------------------------------------------------------------------
   safetensors: 8 bytes, the little-endian length of the header; the header, JSON; the data, without
   holes. (https://github.com/huggingface/safetensors, "Format".) Tensors are written in PyTorch's
   layout, [out x in]; ours is [in x out]. Metadata, all strings:

       format              "pt"
       nn.version          "1"
       nn.widths           the inputs, then the width of each layer, with commas
       nn.activations      one name for each layer, with commas
       nn.scaling          none, standard or min-max
       nn.scaling_values   offsets, then factors [inputs], each as the hexadecimal of its bits
       nn.state            in checkpoints: nn__state, as numbers in hexadecimal
       nn.crc32            of the data, the values above (from nn.version on), and the bytes of the
                           header behind the metadata, in hexadecimal
   ============================================================================================= */

#define NN__FILE_HEADER  (UINT32_C(2) << 20) /* longest header that is read, in bytes */
#define NN__FILE_TENSORS 2048                /* most tensors, and most keys of the metadata */

/* CRC-32 (ISO 3309), half a byte at a time; begins and ends inverted. */
static uint32_t nn__crc32(uint32_t crc, unsigned char byte)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    crc ^= byte;
    crc = (crc >> 4) ^ table[crc & 15];
    return (crc >> 4) ^ table[crc & 15];
}

static const char *const nn__scaling_names[] = {"none", "standard", "min-max"};

/* The metadata that the checksum covers, in this order. */
enum {
    NN__VERSION,
    NN__WIDTHS,
    NN__ACTIVATIONS,
    NN__SCALING,
    NN__SCALING_VALUES,
    NN__STATE,
    NN__KEYS
};
static const char *const nn__keys[NN__KEYS] = {"nn.version", "nn.widths",         "nn.activations",
                                               "nn.scaling", "nn.scaling_values", "nn.state"};

/* The numbers that an nn__state is in a file. */
enum { NN__STATE_NUMBERS = 21 };

#ifndef NN_NO_TRAIN

/* ---- Writing --------------------------------------------------------------------------------- */

/* Writes to bytes[], or only counts when bytes is NULL; the checksum is of all that is written. */
typedef struct nn__writer {
    unsigned char *bytes;
    size_t size;
    uint32_t crc;
} nn__writer;

static void nn__write_byte(nn__writer *writer, unsigned char byte)
{
    if (writer->bytes) writer->bytes[writer->size] = byte;
    writer->crc = nn__crc32(writer->crc, byte);
    if (writer->size < SIZE_MAX) writer->size++; /* there, which may be 65,535, it stays */
}

static void nn__write_text(nn__writer *writer, const char *text)
{
    while (*text) nn__write_byte(writer, (unsigned char)*text++);
}

static void nn__write_hexadecimal(nn__writer *writer, uint64_t number, int digits)
{
    while (digits-- > 0)
        nn__write_byte(writer, (unsigned char)"0123456789abcdef"[(number >> (4 * digits)) & 15]);
}

static void nn__write_number(nn__writer *writer, size_t number)
{
    char text[21];
    int at = 20;

    text[20] = 0;
    do text[--at] = (char)('0' + number % 10);
    while (number /= 10);
    nn__write_text(writer, text + at);
}

static void nn__write_real(nn__writer *writer, nn_real x)
{
    const nn__bits bits = nn__to_bits(x);
    size_t i;

    for (i = 0; i < sizeof x; i++) nn__write_byte(writer, (unsigned char)(bits >> (8 * i)));
}

static void nn__write_reals(nn__writer *writer, const nn_real *x, size_t count)
{
    while (count--) nn__write_real(writer, *x++);
}

/* What is written: a model, and with it the trainer of a checkpoint, or NULL. */
typedef struct nn__image {
    const nn_model *model;
    const nn_trainer *trainer;
} nn__image;

/* The trainer's state as numbers; the first one says what else must agree. */
static void nn__state_numbers(const nn_trainer *trainer, uint64_t numbers[NN__STATE_NUMBERS])
{
    const nn__state *state = &trainer->state;

    numbers[0] = sizeof(nn_real) | (uint64_t)trainer->options->optimizer << 8 |
                 (uint64_t)(trainer->first != NULL) << 16 | (uint64_t)(trainer->best != NULL) << 17;
    numbers[1] = state->random;
    numbers[2] = state->epoch_key;
    numbers[3] = state->step;
    numbers[4] = (uint64_t)state->epoch;
    numbers[5] = (uint64_t)state->position;
    numbers[6] = (uint64_t)state->sums.counted;
    numbers[7] = (uint64_t)state->sums.correct;
    numbers[8] = (uint64_t)state->best_epoch;
    numbers[9] = (uint64_t)state->waited;
    numbers[10] = (uint64_t)nn__batch_rows(trainer->options);
    numbers[11] = nn__to_bits(state->sums.loss.high);
    numbers[12] = nn__to_bits(state->sums.loss.low);
    numbers[13] = nn__to_bits(state->sums.weight.high);
    numbers[14] = nn__to_bits(state->sums.weight.low);
    numbers[15] = nn__to_bits(state->best_loss);
    numbers[16] = nn__to_bits(state->learning_rate);
    numbers[17] = nn__to_bits(state->beta1_power);
    numbers[18] = nn__to_bits(state->beta2_power);
    numbers[19] = nn__to_bits(state->last_rate);
    numbers[20] = nn__to_bits(state->gradient_norm);
}

static void nn__write_value(nn__writer *writer, const nn__image *image, int key)
{
    const nn_model *model = image->model;
    uint64_t numbers[NN__STATE_NUMBERS];
    int i;

    switch (key) {
    case NN__VERSION: nn__write_text(writer, "1"); break;
    case NN__WIDTHS:
        nn__write_number(writer, (size_t)model->inputs);
        for (i = 0; i < model->count; i++) {
            nn__write_text(writer, ",");
            nn__write_number(writer, (size_t)model->layers[i].width);
        }
        break;
    case NN__ACTIVATIONS:
        for (i = 0; i < model->count; i++) {
            if (i) nn__write_text(writer, ",");
            nn__write_text(writer, nn__activation_names[model->layers[i].activation]);
        }
        break;
    case NN__SCALING: nn__write_text(writer, nn__scaling_names[model->scaling]); break;
    case NN__SCALING_VALUES:
        if (model->scaling == NN_SCALE_NONE) break;
        for (i = 0; i < 2 * model->inputs; i++)
            nn__write_hexadecimal(writer, nn__to_bits(model->offset[i]), 2 * sizeof(nn_real));
        break;
    default:
        if (!image->trainer) break;
        nn__state_numbers(image->trainer, numbers);
        for (i = 0; i < NN__STATE_NUMBERS; i++) nn__write_hexadecimal(writer, numbers[i], 16);
    }
}

/* The arrays of a checkpoint, as tensors of one dimension. NULL where there is none. */
enum { NN__CHECKPOINT_ARRAYS = 3 };
static const char *const nn__array_names[NN__CHECKPOINT_ARRAYS] = {
    "optimizer.first", "optimizer.second", "best.parameters"};

static nn_real *nn__checkpoint_array(const nn_trainer *trainer, int i)
{
    return i == 0 ? trainer->first : i == 1 ? trainer->second : trainer->best;
}

static void nn__write_data(nn__writer *writer, const nn__image *image)
{
    const nn_model *model = image->model;
    const nn_real *w = model->parameters;
    int layer, i, j, k;

    for (layer = 0; layer < model->count; layer++) {
        const int in = nn__layer_inputs(model, layer), out = model->layers[layer].width;
        for (j = 0; j < out; j++)
            for (k = 0; k < in; k++) nn__write_real(writer, w[(size_t)k * (size_t)out + (size_t)j]);
        w += (size_t)in * (size_t)out;
        nn__write_reals(writer, w, (size_t)out);
        w += out;
    }
    for (i = 0; image->trainer && i < NN__CHECKPOINT_ARRAYS; i++) {
        const nn_real *array = nn__checkpoint_array(image->trainer, i);
        if (array) nn__write_reals(writer, array, model->parameter_count);
    }
}

/* `,"name":{"dtype":"F32","shape":[rows,columns],"data_offsets":[start,end]}`; rows 0: one
   dimension. Moves *offset to the end. */
static void nn__write_tensor(nn__writer *writer, size_t rows, size_t columns, size_t *offset)
{
    nn__write_text(writer, sizeof(nn_real) == 4 ? "\":{\"dtype\":\"F32\",\"shape\":["
                                                : "\":{\"dtype\":\"F64\",\"shape\":[");
    if (rows) {
        nn__write_number(writer, rows);
        nn__write_text(writer, ",");
    }
    nn__write_number(writer, columns);
    nn__write_text(writer, "],\"data_offsets\":[");
    nn__write_number(writer, *offset);
    *offset += (rows ? rows : 1) * columns * sizeof(nn_real);
    nn__write_text(writer, ",");
    nn__write_number(writer, *offset);
    nn__write_text(writer, "]}");
}

/* The metadata, where the checksum is to be found. */
static void nn__write_metadata(nn__writer *writer, const nn__image *image, uint32_t crc)
{
    int i;

    nn__write_text(writer, "{\"__metadata__\":{\"format\":\"pt\"");
    for (i = 0; i < NN__KEYS; i++) {
        if (i == NN__STATE && !image->trainer) continue;
        nn__write_text(writer, ",\"");
        nn__write_text(writer, nn__keys[i]);
        nn__write_text(writer, "\":\"");
        nn__write_value(writer, image, i);
        nn__write_text(writer, "\"");
    }
    nn__write_text(writer, ",\"nn.crc32\":\"");
    nn__write_hexadecimal(writer, crc, 8);
    nn__write_text(writer, "\"}");
}

/* The rest of the header, after so many bytes of it, filled up with spaces. */
static void nn__write_tensors(nn__writer *writer, const nn__image *image, size_t metadata)
{
    const nn_model *model = image->model;
    const size_t start = writer->size;
    size_t offset = 0;
    int layer, i, name = 0;

    for (layer = 0; layer < model->count; layer++) {
        const int in = nn__layer_inputs(model, layer), out = model->layers[layer].width;
        nn__write_text(writer, ",\"");
        nn__write_number(writer, (size_t)name);
        nn__write_text(writer, ".weight");
        nn__write_tensor(writer, (size_t)out, (size_t)in, &offset);
        nn__write_text(writer, ",\"");
        nn__write_number(writer, (size_t)name);
        nn__write_text(writer, ".bias");
        nn__write_tensor(writer, 0, (size_t)out, &offset);
        name += 1 + (model->layers[layer].activation != NN_LINEAR); /* as in an nn.Sequential */
    }
    for (i = 0; image->trainer && i < NN__CHECKPOINT_ARRAYS; i++) {
        if (!nn__checkpoint_array(image->trainer, i)) continue;
        nn__write_text(writer, ",\"");
        nn__write_text(writer, nn__array_names[i]);
        nn__write_tensor(writer, 0, model->parameter_count, &offset);
    }
    nn__write_text(writer, "}");
    while ((metadata + writer->size - start) % 8 != 0 && writer->size < SIZE_MAX)
        nn__write_byte(writer, ' ');
}

/* Writes all to buffer[capacity], or only sets *size when buffer is NULL. */
static nn_status nn__write_image(const nn__image *image, void *buffer, size_t capacity,
                                 size_t *size)
{
    nn__writer sum = {NULL, 0, 0xffffffffu}, tensors = {NULL, 0, 0}, writer = {NULL, 0, 0};
    size_t data, metadata;
    uint64_t length;
    int i;

    nn__write_metadata(&writer, image, 0);
    metadata = writer.size;
    nn__write_data(&sum, image);
    data = sum.size;
    for (i = 0; i < NN__KEYS; i++) nn__write_value(&sum, image, i);
    tensors.crc = sum.crc;
    nn__write_tensors(&tensors, image, metadata);
    if (metadata > SIZE_MAX - 8 - tensors.size || data > SIZE_MAX - 8 - tensors.size - metadata)
        return NN_ERROR_OVERFLOW;
    length = metadata + tensors.size;
    if (length > NN__FILE_HEADER || image->model->count > (NN__FILE_TENSORS - 3) / 2)
        return NN_ERROR_OVERFLOW;
    *size = 8 + (size_t)length + data;
    if (!buffer) return NN_OK;
    if (capacity < *size) return NN_ERROR_BLOCK;

    writer.bytes = (unsigned char *)buffer;
    writer.size = 0;
    for (i = 0; i < 8; i++) nn__write_byte(&writer, (unsigned char)(length >> (8 * i)));
    nn__write_metadata(&writer, image, ~tensors.crc);
    nn__write_tensors(&writer, image, metadata);
    nn__write_data(&writer, image);
    NN_ASSERT(writer.size == *size);
    return NN_OK;
}

static nn_status nn__image_of(nn__image *image, const nn_model *model, const nn_trainer *trainer)
{
    image->model = trainer ? trainer->model : model;
    image->trainer = trainer;
    if (!image->model) return NN_ERROR_NULL;
    if (!image->model->parameters) return NN_ERROR_READ_ONLY;
    if (!NN__RUN(image->model, all_finite, image->model->parameters, image->model->parameter_count))
        return NN_ERROR_PARAMETER;
    return trainer && trainer->pending ? NN_ERROR_STATE : NN_OK;
}

static nn_status nn__save_memory(const nn_model *model, const nn_trainer *trainer, void *buffer,
                                 size_t capacity, size_t *size)
{
    nn__image image;
    nn_status status;

    if (size) *size = 0;
    if (!size) return NN_ERROR_NULL;
    status = nn__image_of(&image, model, trainer);
    return status == NN_OK ? nn__write_image(&image, buffer, capacity, size) : status;
}

NN_DEF nn_status nn_save_memory(const nn_model *model, void *buffer, size_t capacity, size_t *size)
{
    return nn__save_memory(model, NULL, buffer, capacity, size);
}

NN_DEF nn_status nn_save_checkpoint_memory(const nn_trainer *trainer, void *buffer, size_t capacity,
                                           size_t *size)
{
    return nn__save_memory(NULL, trainer, buffer, capacity, size);
}

#if !defined(NN_NO_STDIO) && !defined(NN_NO_MALLOC)

static nn_status nn__save(const nn_model *model, const nn_trainer *trainer, const char *path)
{
    nn__image image;
    size_t size;
    void *bytes;
    nn_status status = nn__image_of(&image, model, trainer);

    if (status != NN_OK) return status;
    if (!path) return NN_ERROR_NULL;
    status = nn__write_image(&image, NULL, 0, &size);
    if (status != NN_OK) return status;
    bytes = NN_MALLOC(size);
    if (!bytes) return NN_ERROR_MEMORY;
    status = nn__write_image(&image, bytes, size, &size);
    if (status == NN_OK) status = nn__write_file(path, bytes, size);
    NN_FREE(bytes);
    return status;
}

NN_DEF nn_status nn_save(const nn_model *model, const char *path)
{
    return nn__save(model, NULL, path);
}

NN_DEF nn_status nn_save_checkpoint(const nn_trainer *trainer, const char *path)
{
    return trainer ? nn__save(NULL, trainer, path) : NN_ERROR_NULL;
}
#endif
#endif /* NN_NO_TRAIN */

/* ---- Reading JSON ---------------------------------------------------------------------------- */

/* A part of the header. Of a string: between its quotes, escapes as they are. */
typedef struct nn__span {
    const unsigned char *at, *end;
} nn__span;

static void nn__skip_space(nn__span *json)
{
    while (json->at < json->end &&
           (*json->at == ' ' || *json->at == '\t' || *json->at == '\n' || *json->at == '\r'))
        json->at++;
}

/* Takes a character, after white space; 0 if another is there. */
static int nn__take_character(nn__span *json, int character)
{
    nn__skip_space(json);
    if (json->at == json->end || *json->at != character) return 0;
    json->at++;
    return 1;
}

static int nn__hexadecimal(int32_t c)
{
    if (c >= '0' && c <= '9') return (int)c - '0';
    if (c >= 'a' && c <= 'f') return (int)c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? (int)c - 'A' + 10 : -1;
}

/* Takes four hexadecimal digits, or returns -1. */
static int32_t nn__take_code(nn__span *string)
{
    int32_t code = 0;
    int i, digit;

    if (string->end - string->at < 4) return -1;
    for (i = 0; i < 4; i++) {
        digit = nn__hexadecimal(*string->at++);
        if (digit < 0) return -1;
        code = code * 16 + digit;
    }
    return code;
}

/* Takes what follows the first byte of a character of UTF-8; -1 where it is not legal. */
static int32_t nn__take_utf8(nn__span *string, int32_t first)
{
    const int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    int32_t c = first & (0x3f >> more);
    int i;

    if (first < 0xc2 || first > 0xf4 || string->end - string->at < more) return -1;
    for (i = 0; i < more; i++) {
        if ((*string->at & 0xc0) != 0x80) return -1;
        c = c * 64 + (*string->at++ & 0x3f);
    }
    if ((more == 2 && c < 0x800) || (more == 3 && c < 0x10000)) return -1;
    return c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? -1 : c;
}

/* Takes the next character of a string, escaped or not, as its Unicode number. -1: not legal. */
static int32_t nn__next_character(nn__span *string)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    int32_t c = *string->at++, low;
    int i;

    if (c < 32) return -1;
    if (c >= 128) return nn__take_utf8(string, c);
    if (c != '\\') return c;
    if (string->at == string->end) return -1;
    c = *string->at++;
    for (i = 0; from[i]; i++)
        if (c == from[i]) return to[i];
    c = c == 'u' ? nn__take_code(string) : -1;
    if (c < 0xd800 || c > 0xdfff) return c;
    if (c > 0xdbff || string->end - string->at < 6 || string->at[0] != '\\' || string->at[1] != 'u')
        return -1;
    string->at += 2; /* the second half of a pair */
    low = nn__take_code(string);
    return low < 0xdc00 || low > 0xdfff ? -1 : 0x10000 + (c - 0xd800) * 1024 + (low - 0xdc00);
}

/* Takes a string in quotes. */
static int nn__take_string(nn__span *json, nn__span *string)
{
    if (!nn__take_character(json, '"')) return 0;
    string->at = json->at;
    while (json->at < json->end && *json->at != '"') {
        if (*json->at >= ' ' && *json->at < 128 && *json->at != '\\')
            json->at++; /* most are like this: names may be long */
        else if (nn__next_character(json) < 0)
            return 0;
    }
    if (json->at == json->end) return 0;
    string->end = json->at++;
    return 1;
}

/* Takes a whole number, as JSON writes it. */
static int nn__take_number(nn__span *json, uint64_t *number)
{
    const unsigned char *start;

    nn__skip_space(json);
    start = json->at;
    for (*number = 0; json->at < json->end && *json->at >= '0' && *json->at <= '9'; json->at++) {
        const unsigned digit = (unsigned)(*json->at - '0');
        if (*number > (UINT64_MAX - digit) / 10) return 0;
        *number = *number * 10 + digit;
    }
    return json->at > start && (*start != '0' || json->at == start + 1);
}

static int nn__string_is(nn__span string, const char *text)
{
    for (; string.at < string.end && *text; text++)
        if (nn__next_character(&string) != (unsigned char)*text) return 0;
    return string.at == string.end && !*text;
}

static int nn__same_string(nn__span a, nn__span b)
{
    while (a.at < a.end && b.at < b.end)
        if (nn__next_character(&a) != nn__next_character(&b)) return 0;
    return a.at == a.end && b.at == b.end;
}

/* Takes a digit that a string goes on with, or returns -1. */
static int32_t nn__take_digit(nn__span *string)
{
    nn__span ahead = *string;
    const int32_t c = ahead.at < ahead.end ? nn__next_character(&ahead) : -1;

    if (c < '0' || c > '9') return -1;
    *string = ahead;
    return c;
}

/* Takes a run of digits from both; the order of the two numbers. */
static int nn__compare_numbers(nn__span *a, nn__span *b)
{
    int32_t c, d;
    int order = 0;

    while ((c = nn__take_digit(a)) == '0') continue;
    while ((d = nn__take_digit(b)) == '0') continue;
    for (; c >= 0 && d >= 0; c = nn__take_digit(a), d = nn__take_digit(b))
        if (order == 0) order = (c > d) - (c < d);
    return c == d ? order : c >= 0 ? 1 : -1; /* more digits are more */
}

/* Natural order: runs of digits by their value, so that "2.weight" is before "10.weight"; names
   that differ in leading zeros alone, by their characters. 0 only for equal names. */
static int nn__compare_natural(nn__span a, nn__span b)
{
    const nn__span whole_a = a, whole_b = b;
    int numbers = 1, order;

    for (; numbers >= 0; numbers--, a = whole_a, b = whole_b) {
        while (a.at < a.end && b.at < b.end) {
            nn__span ahead_a = a, ahead_b = b;
            const int32_t c = nn__next_character(&ahead_a), d = nn__next_character(&ahead_b);

            if (numbers && c >= '0' && c <= '9' && d >= '0' && d <= '9') {
                order = nn__compare_numbers(&a, &b);
                if (order) return order;
                continue;
            }
            if (c != d) return c < d ? -1 : 1;
            a = ahead_a;
            b = ahead_b;
        }
        if (a.at < a.end || b.at < b.end) return a.at < a.end ? 1 : -1;
    }
    return 0;
}

/* ---- Reading the header ---------------------------------------------------------------------- */

typedef struct nn__tensor {
    nn__span name;
    uint64_t shape[2];
    int rank;
    int real; /* bytes of a float or a double; 0: another type */
    uint64_t start, end;
} nn__tensor;

/* Bytes of a type of tensor, 0 if there is no such type; *real as in nn__tensor. */
static unsigned nn__type_size(nn__span type, int *real)
{
    static const char *const names[] = {"BOOL", "U8",  "I8",  "F8_E5M2", "F8_E4M3",
                                        "I16",  "U16", "F16", "BF16",    "I32",
                                        "U32",  "F32", "I64", "U64",     "F64"};
    static const unsigned char bytes[] = {1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 8, 8, 8};
    size_t i;

    *real = nn__string_is(type, "F32")                          ? 4
            : nn__string_is(type, "F64") && sizeof(double) == 8 ? 8
                                                                : 0;
    for (i = 0; i < sizeof bytes; i++)
        if (nn__string_is(type, names[i])) return bytes[i];
    return 0;
}

/* Takes `[n, n, ...]`: *product of all, the first two in shape. */
static int nn__take_shape(nn__span *json, nn__tensor *tensor, uint64_t *product)
{
    uint64_t n;

    *product = 1;
    tensor->rank = 0;
    tensor->shape[0] = tensor->shape[1] = 0;
    if (!nn__take_character(json, '[')) return 0;
    if (nn__take_character(json, ']')) return 1;
    do {
        if (!nn__take_number(json, &n) || tensor->rank > 63) return 0;
        if (tensor->rank < 2) tensor->shape[tensor->rank] = n;
        if (n && *product > UINT64_MAX / n) return 0;
        *product *= n;
        tensor->rank++;
    } while (nn__take_character(json, ','));
    return nn__take_character(json, ']');
}

/* Takes a tensor's description; its length must be that of its shape and type. */
static int nn__take_tensor(nn__span *json, nn__tensor *tensor)
{
    nn__span key, type = {NULL, NULL};
    uint64_t product = 0;
    unsigned size;
    int seen = 0, bit;

    if (!nn__take_character(json, '{')) return 0;
    do {
        if (!nn__take_string(json, &key) || !nn__take_character(json, ':')) return 0;
        if (nn__string_is(key, "dtype")) {
            bit = 1;
            if (!nn__take_string(json, &type)) return 0;
        } else if (nn__string_is(key, "shape")) {
            bit = 2;
            if (!nn__take_shape(json, tensor, &product)) return 0;
        } else if (nn__string_is(key, "data_offsets")) {
            bit = 4;
            if (!nn__take_character(json, '[') || !nn__take_number(json, &tensor->start) ||
                !nn__take_character(json, ',') || !nn__take_number(json, &tensor->end) ||
                !nn__take_character(json, ']'))
                return 0;
        } else {
            return 0;
        }
        if (seen & bit) return 0;
        seen |= bit;
    } while (nn__take_character(json, ','));
    if (!nn__take_character(json, '}') || seen != 7) return 0;
    size = nn__type_size(type, &tensor->real);
    return size && product <= UINT64_MAX / size && tensor->start <= tensor->end &&
           tensor->end - tensor->start == product * size;
}

static int nn__begins_with(nn__span string, const char *text)
{
    for (; string.at < string.end && *text; text++)
        if (nn__next_character(&string) != (unsigned char)*text) return 0;
    return !*text;
}

/* Takes `{"key": "value", ...}`. With a key, finds its value; with one that ends in a dot, the
   value of a key that begins so. */
static int nn__take_metadata(nn__span *json, const char *key, nn__span *found)
{
    const int prefix = key && key[strlen(key) - 1] == '.';
    nn__span name, value;

    if (!nn__take_character(json, '{')) return 0;
    if (nn__take_character(json, '}')) return 1;
    do {
        if (!nn__take_string(json, &name) || !nn__take_character(json, ':') ||
            !nn__take_string(json, &value))
            return 0;
        if (key && (prefix ? nn__begins_with(name, key) : nn__string_is(name, key))) *found = value;
    } while (nn__take_character(json, ','));
    return nn__take_character(json, '}');
}

/* Whether all keys of the metadata differ, and are not too many. */
static int nn__keys_differ(nn__span metadata)
{
    nn__span rest, name, other, value;
    int count = 0;

    (void)nn__take_character(&metadata, '{');
    while (nn__take_string(&metadata, &name) && nn__take_character(&metadata, ':') &&
           nn__take_string(&metadata, &value) && nn__take_character(&metadata, ',')) {
        if (++count >= NN__FILE_TENSORS) return 0;
        rest = metadata;
        while (nn__take_string(&rest, &other) && nn__take_character(&rest, ':') &&
               nn__take_string(&rest, &value)) {
            if (nn__same_string(other, name)) return 0;
            if (!nn__take_character(&rest, ',')) break;
        }
    }
    return 1;
}

/* A file in memory whose header has been checked. */
typedef struct nn__file {
    nn__span header;   /* after its first brace */
    nn__span metadata; /* empty if there is none */
    const unsigned char *data;
    uint64_t size; /* of the data */
} nn__file;

/* After an entry comes another one, or the end. */
static int nn__ends_entry(nn__span *json)
{
    const int more = nn__take_character(json, ',');

    nn__skip_space(json);
    return json->at < json->end && *json->at == (more ? '"' : '}');
}

/* Takes the next entry of the header. Returns 1 with a tensor, 2 with metadata, 0 at the end and -1
   if it is not legal. *json begins as the file's header; *metadata as what is known of where the
   metadata is, which is then not read again. */
static int nn__next_entry(nn__span *json, nn__tensor *tensor, nn__span *metadata)
{
    nn__span name;

    if (nn__take_character(json, '}')) {
        nn__skip_space(json);
        return json->at == json->end ? 0 : -1;
    }
    if (!nn__take_string(json, &name) || !nn__take_character(json, ':')) return -1;
    if (!nn__string_is(name, "__metadata__")) {
        tensor->name = name;
        return nn__take_tensor(json, tensor) && nn__ends_entry(json) ? 1 : -1;
    }
    if (metadata->at == json->at) {
        json->at = metadata->end;
    } else {
        metadata->at = json->at;
        if (!nn__take_metadata(json, NULL, NULL)) return -1;
        metadata->end = json->at;
    }
    return nn__ends_entry(json) ? 2 : -1;
}

static uint64_t nn__mix(uint64_t x)
{
    x = (x ^ (x >> 31)) * UINT64_C(0x7fb5d329728ea185);
    x = (x ^ (x >> 27)) * UINT64_C(0x81dadef4bc2dd44d);
    return x ^ (x >> 33);
}

static void nn__name_location(nn_location *location, nn__span name)
{
    if (!location) return;
    nn__copy_text(location->name, sizeof location->name, (const char *)name.at,
                  (size_t)(name.end - name.at));
}

/* Whether all tensors have names of their own; *location names one that has not. */
static int nn__names_differ(const nn__file *file, nn_location *location)
{
    nn__span json = file->header, metadata = file->metadata, rest;
    nn__tensor tensor, other;
    int kind, next;

    while ((kind = nn__next_entry(&json, &tensor, &metadata)) > 0) {
        if (kind != 1) continue;
        rest = json;
        while ((next = nn__next_entry(&rest, &other, &metadata)) > 0) {
            if (next != 1 || !nn__same_string(tensor.name, other.name)) continue;
            nn__name_location(location, tensor.name);
            return 0;
        }
    }
    return 1;
}

/* Checks the header's grammar, and that the tensors cover the data without holes and overlaps: for
   that, without a table, every start must be another tensor's end, but the first (0) and the last
   (the size); so hashes of starts and ends must cancel in sum, and the lengths must add up. */
static nn_status nn__check_header(nn__file *file, nn_location *location)
{
    nn__span json = file->header;
    uint64_t sum = 0, covered = 0;
    nn__tensor tensor;
    int kind, metadata = 0, tensors = 0;

    while ((kind = nn__next_entry(&json, &tensor, &file->metadata)) > 0) {
        if (kind == 2) {
            if (metadata++ || !nn__keys_differ(file->metadata)) return NN_ERROR_HEADER;
            continue;
        }
        nn__name_location(location, tensor.name);
        if (++tensors > NN__FILE_TENSORS) return NN_ERROR_HEADER;
        if (tensor.end > file->size) return NN_ERROR_TRUNCATED;
        covered += tensor.end - tensor.start;
        sum += nn__mix(tensor.end) - nn__mix(tensor.start);
    }
    if (kind < 0) return NN_ERROR_HEADER;
    if (!nn__names_differ(file, location)) return NN_ERROR_TENSOR;
    if (location) location->name[0] = 0;
    if (covered < file->size) return NN_ERROR_TRUNCATED; /* bytes that belong to no tensor */
    if (covered > file->size || sum != nn__mix(file->size) - nn__mix(0)) return NN_ERROR_HEADER;
    return NN_OK;
}

/* Finds header and data in bytes[size], and checks the header. */
static nn_status nn__open_file(nn__file *file, const void *bytes, size_t size,
                               nn_location *location)
{
    const unsigned char *b = (const unsigned char *)bytes;
    uint64_t length = 0;
    int i;

    if (size < 8) return NN_ERROR_TRUNCATED;
    for (i = 0; i < 8; i++) length |= (uint64_t)b[i] << (8 * i);
    if (length < 2 || length > NN__FILE_HEADER) return NN_ERROR_HEADER;
    if (length > size - 8) return NN_ERROR_TRUNCATED;
    if (b[8] != '{') return NN_ERROR_HEADER;
    memset(file, 0, sizeof *file);
    file->header.at = b + 9;
    file->header.end = file->data = b + 8 + length;
    file->size = size - 8 - length;
    return nn__check_header(file, location);
}

/* A value of the metadata; 0 if it is not there. */
static int nn__find_value(const nn__file *file, const char *key, nn__span *value)
{
    nn__span metadata = file->metadata;

    value->at = value->end = NULL;
    if (!metadata.at) return 0;
    return nn__take_metadata(&metadata, key, value) && value->at;
}

/* The name without ".weight" or ".bias" (or without "weight", alone); 0 if it ends otherwise. */
static int nn__base_of(nn__span name, const char *ending, nn__span *base)
{
    base->at = name.at;
    for (base->end = name.at; name.at <= name.end; base->end = name.at) {
        nn__span rest = name;
        if (name.at == base->at && nn__string_is(rest, ending + 1)) return 1;
        if (nn__string_is(rest, ending)) return 1;
        if (name.at == name.end) return 0;
        (void)nn__next_character(&name);
    }
    return 0;
}

/* The first *.weight in natural order of name after `after` (NULL: of all); its base; 0: none. */
static int nn__next_weight(const nn__file *file, const nn__span *after, nn__span *base,
                           nn__tensor *weight)
{
    nn__span json = file->header, metadata = file->metadata, candidate;
    nn__tensor tensor;
    int found = 0, kind;

    while ((kind = nn__next_entry(&json, &tensor, &metadata)) > 0) {
        if (kind != 1 || !nn__base_of(tensor.name, ".weight", &candidate)) continue;
        if (after && nn__compare_natural(candidate, *after) <= 0) continue;
        if (found && nn__compare_natural(candidate, *base) >= 0) continue;
        *base = candidate;
        *weight = tensor;
        found = 1;
    }
    return found;
}

static int nn__find_tensor(const nn__file *file, const nn__span *base, const char *ending,
                           nn__tensor *tensor)
{
    nn__span json = file->header, metadata = file->metadata, candidate;
    int kind;

    while ((kind = nn__next_entry(&json, tensor, &metadata)) > 0) {
        if (kind != 1) continue;
        if (!base && nn__string_is(tensor->name, ending)) return 1;
        if (base && nn__base_of(tensor->name, ending, &candidate) &&
            nn__same_string(candidate, *base))
            return 1;
    }
    return 0;
}

/* The layers of a file one after the other. */
typedef struct nn__layer_reader {
    const nn__file *file;
    nn__span base;
    nn__tensor weight, bias;
    int layer;
} nn__layer_reader;

/* Goes to the next pair of weight and bias; 0 at the end. */
static int nn__next_pair(nn__layer_reader *reader, nn_status *status, nn_location *location)
{
    nn__span base;

    *status = NN_OK;
    if (!nn__next_weight(reader->file, reader->layer ? &reader->base : NULL, &base,
                         &reader->weight))
        return 0;
    reader->base = base;
    reader->layer++;
    nn__name_location(location, reader->weight.name);
    *status = NN_ERROR_TENSOR;
    if (!nn__find_tensor(reader->file, &reader->base, ".bias", &reader->bias) ||
        !reader->weight.real || reader->weight.rank != 2 || reader->weight.shape[0] < 1 ||
        reader->weight.shape[0] > INT_MAX || reader->weight.shape[1] < 1 ||
        reader->weight.shape[1] > INT_MAX)
        return 1;
    if (!reader->bias.real || reader->bias.rank != 1) {
        nn__name_location(location, reader->bias.name);
        return 1;
    }
    if (reader->bias.shape[0] == reader->weight.shape[0]) *status = NN_OK;
    return 1;
}

/* ---- Reading values -------------------------------------------------------------------------- */

/* A float or double from its bits. */
static nn_real nn__real_of(uint64_t bits, int size)
{
    if (size == 4) {
        const uint32_t low = (uint32_t)bits;
        float x;
        memcpy(&x, &low, sizeof x);
        return (nn_real)x;
    } else {
        double x;
        memcpy(&x, &bits, sizeof x);
        return (nn_real)x;
    }
}

static nn_real nn__read_real(const nn__file *file, const nn__tensor *tensor, uint64_t index)
{
    const unsigned char *b = file->data + tensor->start + index * (uint64_t)tensor->real;
    uint64_t bits = 0;
    int i;

    for (i = 0; i < tensor->real; i++) bits |= (uint64_t)b[i] << (8 * i);
    return nn__real_of(bits, tensor->real);
}

static int nn__tensor_is_finite(const nn__file *file, const nn__tensor *tensor)
{
    const uint64_t count = (tensor->end - tensor->start) / (uint64_t)tensor->real;
    uint64_t i;

    for (i = 0; i < count; i++)
        if (!nn__is_finite(nn__read_real(file, tensor, i))) return 0;
    return 1;
}

/* Takes a hexadecimal number of so many digits from a string. */
static int nn__take_hexadecimal(nn__span *string, int digits, uint64_t *number)
{
    int digit;

    for (*number = 0; digits > 0; digits--) {
        if (string->at == string->end) return 0;
        digit = nn__hexadecimal(nn__next_character(string));
        if (digit < 0) return 0;
        *number = *number << 4 | (unsigned)digit;
    }
    return 1;
}

/* The checksum of a file with our metadata. */
static nn_status nn__check_sum(const nn__file *file)
{
    const unsigned char *at = file->metadata.end;
    nn__span value;
    uint64_t i, stated;
    uint32_t crc = 0xffffffffu;
    int key;

    for (i = 0; i < file->size; i++) crc = nn__crc32(crc, file->data[i]);
    for (key = 0; key < NN__KEYS; key++) {
        if (!nn__find_value(file, nn__keys[key], &value)) continue;
        while (value.at < value.end)
            crc = nn__crc32(crc, (unsigned char)nn__next_character(&value));
    }
    for (; at < file->data; at++) crc = nn__crc32(crc, *at);
    if (!nn__find_value(file, "nn.crc32", &value) || !nn__take_hexadecimal(&value, 8, &stated) ||
        value.at != value.end)
        return NN_ERROR_METADATA;
    return stated == (uint32_t)~crc ? NN_OK : NN_ERROR_CHECKSUM;
}

/* Whether the widths that a file of ours states, if it does, are those of its tensors. */
static int nn__widths_fit(const nn__file *file, const nn_model *model)
{
    nn__span value;
    int layer;

    if (!nn__find_value(file, nn__keys[NN__WIDTHS], &value)) return 1;
    for (layer = 0; layer <= model->count; layer++) {
        uint64_t number;
        if ((layer && !nn__take_character(&value, ',')) || !nn__take_number(&value, &number) ||
            number != (uint64_t)(layer ? model->layers[layer - 1].width : model->inputs))
            return 0;
    }
    return value.at == value.end;
}

/* Whether the file is one of ours: then its version is checked, and its checksum. */
static nn_status nn__check_ours(const nn__file *file, int *ours)
{
    nn__span value;

    *ours = nn__find_value(file, "nn.", &value);
    if (!*ours) return NN_OK;
    if (!nn__find_value(file, nn__keys[NN__VERSION], &value) || !nn__string_is(value, "1"))
        return NN_ERROR_METADATA;
    return nn__check_sum(file);
}

/* Reads the scaling: into the model, or only checks it when store is 0. */
static nn_status nn__read_scaling(const nn__file *file, nn_model *model, int store)
{
    const int inputs = model->inputs;
    nn__span kind, values;
    uint64_t bits;
    int scaling, i, digits;

    if (!nn__find_value(file, nn__keys[NN__SCALING], &kind) ||
        !nn__find_value(file, nn__keys[NN__SCALING_VALUES], &values))
        return NN_ERROR_METADATA;
    for (scaling = 0; !nn__string_is(kind, nn__scaling_names[scaling]);)
        if (++scaling > (int)NN_SCALE_MIN_MAX) return NN_ERROR_METADATA;
    if (store && scaling == (int)NN_SCALE_NONE) nn__clear_scaling(model);
    if (scaling == (int)NN_SCALE_NONE) return values.at == values.end ? NN_OK : NN_ERROR_METADATA;
    digits = (values.end - values.at) / 2 / inputs == 16 ? 16 : 8;
    if (digits == 16 && sizeof(double) != 8) return NN_ERROR_METADATA;
    for (i = 0; i < 2 * inputs; i++) {
        nn_real x;
        if (!nn__take_hexadecimal(&values, digits, &bits)) return NN_ERROR_METADATA;
        x = nn__real_of(bits, digits / 2);
        if (!nn__is_finite(x)) return NN_ERROR_METADATA;
        if (store) model->offset[i] = x;
    }
    if (store) model->scaling = (nn_scaling)scaling;
    return values.at == values.end ? NN_OK : NN_ERROR_METADATA;
}

/* Copies all pairs into the parameters, turning [out x in] into [in x out]; or, when store is 0,
   only checks that they fit the model. */
static nn_status nn__read_parameters(const nn__file *file, nn_model *model, int store,
                                     nn_location *location)
{
    nn__layer_reader reader;
    nn_real *w = model->parameters;
    nn_status status;
    int j, k;

    reader.file = file;
    reader.layer = 0;
    while (nn__next_pair(&reader, &status, location)) {
        const int layer = reader.layer - 1;
        int in, out;

        if (status != NN_OK) return status;
        if (layer >= model->count) return NN_ERROR_TENSOR;
        in = nn__layer_inputs(model, layer);
        out = model->layers[layer].width;
        if (reader.weight.shape[0] != (uint64_t)out || reader.weight.shape[1] != (uint64_t)in)
            return NN_ERROR_TENSOR;
        if (!store) {
            if (!nn__tensor_is_finite(file, &reader.weight)) return NN_ERROR_PARAMETER;
            nn__name_location(location, reader.bias.name);
            if (!nn__tensor_is_finite(file, &reader.bias)) return NN_ERROR_PARAMETER;
            continue;
        }
        for (k = 0; k < in; k++)
            for (j = 0; j < out; j++)
                *w++ =
                    nn__read_real(file, &reader.weight, (uint64_t)j * (uint64_t)in + (uint64_t)k);
        for (j = 0; j < out; j++) *w++ = nn__read_real(file, &reader.bias, (uint64_t)j);
    }
    if (reader.layer != model->count) return NN_ERROR_TENSOR;
    if (location) location->name[0] = 0;
    return NN_OK;
}

/* Everything about the file that can be wrong, before anything is changed. */
static nn_status nn__check_file(nn__file *file, nn_model *model, const void *bytes, size_t size,
                                int *ours, nn_location *location)
{
    nn_status status = nn__open_file(file, bytes, size, location);

    if (status == NN_OK) status = nn__check_ours(file, ours);
    if (status == NN_OK) status = nn__read_parameters(file, model, 0, location);
    if (status == NN_OK && *ours) status = nn__read_scaling(file, model, 0);
    if (status == NN_OK && *ours && !nn__widths_fit(file, model)) status = NN_ERROR_METADATA;
    return status;
}

static nn_status nn__load_parameters(nn_model *model, const void *bytes, size_t size,
                                     nn_location *location)
{
    nn__file file;
    nn_status status;
    int ours;

    if (!model || !bytes) return NN_ERROR_NULL;
    if (!model->parameters) return NN_ERROR_READ_ONLY;
    status = nn__check_file(&file, model, bytes, size, &ours, location);
    if (status != NN_OK) return status;
    (void)nn__read_parameters(&file, model, 1, NULL);
    model->changes++;
    if (ours) (void)nn__read_scaling(&file, model, 1);
    return NN_OK;
}

NN_DEF nn_status nn_load_parameters_memory(nn_model *model, const void *bytes, size_t size,
                                           nn_location *location)
{
    nn__set_location(location, NULL);
    return nn__load_parameters(model, bytes, size, location);
}

#if !defined(NN_NO_TRAIN) || !defined(NN_NO_MALLOC)
/* The activation of the next layer from their list; -1 if it is none. *at moves on. */
static int nn__next_activation(nn__span *list)
{
    nn__span word = *list;
    size_t i;
    int32_t c = 0;

    while (list->at < list->end) {
        word.end = list->at;
        c = nn__next_character(list);
        if (c == ',') break;
        word.end = list->at;
    }
    if (c == ',' && list->at == list->end) return -1;
    for (i = 0; i < sizeof nn__activation_names / sizeof *nn__activation_names; i++)
        if (nn__string_is(word, nn__activation_names[i])) return (int)i;
    return -1;
}
#endif

#ifndef NN_NO_TRAIN

/* Reads the state's numbers, and checks that they fit the trainer; *state changes in any case. */
static nn_status nn__read_state(const nn__file *file, const nn_trainer *trainer, nn__state *state)
{
    uint64_t n[NN__STATE_NUMBERS], own[NN__STATE_NUMBERS];
    nn__span value;
    int i;

    if (!nn__find_value(file, nn__keys[NN__ACTIVATIONS], &value)) return NN_ERROR_METADATA;
    for (i = 0; i < trainer->model->count; i++)
        if (nn__next_activation(&value) != (int)trainer->model->layers[i].activation)
            return NN_ERROR_OPTION;
    if (!nn__find_value(file, nn__keys[NN__STATE], &value)) return NN_ERROR_METADATA;
    for (i = 0; i < NN__STATE_NUMBERS; i++)
        if (!nn__take_hexadecimal(&value, 16, &n[i])) return NN_ERROR_METADATA;
    if (value.at != value.end) return NN_ERROR_METADATA;
    nn__state_numbers(trainer, own);
    if (n[0] != own[0] || (n[5] && n[10] != own[10])) return NN_ERROR_OPTION;
    for (i = 4; i < 10; i++)
        if (n[i] > INT_MAX) return NN_ERROR_METADATA;
    if (n[3] > UINT32_MAX || (n[5] && n[6] > n[5]) || n[7] > n[6] || n[8] > n[4] || n[9] > n[4])
        return NN_ERROR_METADATA;
    for (i = 11; i < NN__STATE_NUMBERS; i++)
        if (n[i] != (nn__bits)n[i]) return NN_ERROR_METADATA;
    state->random = n[1];
    state->epoch_key = n[2];
    state->step = (uint32_t)n[3];
    state->epoch = (int)n[4];
    state->position = (int)n[5];
    state->sums.counted = (int)n[6];
    state->sums.correct = (int)n[7];
    state->best_epoch = (int)n[8];
    state->waited = (int)n[9];
    state->sums.loss.high = nn__from_bits((nn__bits)n[11]);
    state->sums.loss.low = nn__from_bits((nn__bits)n[12]);
    state->sums.weight.high = nn__from_bits((nn__bits)n[13]);
    state->sums.weight.low = nn__from_bits((nn__bits)n[14]);
    state->best_loss = nn__from_bits((nn__bits)n[15]);
    state->learning_rate = nn__from_bits((nn__bits)n[16]);
    state->beta1_power = nn__from_bits((nn__bits)n[17]);
    state->beta2_power = nn__from_bits((nn__bits)n[18]);
    state->last_rate = nn__from_bits((nn__bits)n[19]);
    state->gradient_norm = nn__from_bits((nn__bits)n[20]);
    if (!(state->learning_rate > 0) || !nn__is_finite(state->learning_rate) ||
        !(state->beta1_power >= 0 && state->beta1_power <= 1) ||
        !(state->beta2_power >= 0 && state->beta2_power <= 1) ||
        !nn__is_finite(state->sums.loss.high) || !nn__is_finite(state->sums.loss.low) ||
        !nn__is_finite(state->sums.weight.high) || !nn__is_finite(state->sums.weight.low) ||
        state->sums.weight.high < 0)
        return NN_ERROR_METADATA;
    return NN_OK;
}

/* Reads the trainer's arrays, or only checks them when store is 0. */
static nn_status nn__read_arrays(const nn__file *file, const nn_trainer *trainer, int store,
                                 nn_location *location)
{
    const size_t count = trainer->model->parameter_count;
    nn__tensor tensor;
    size_t k;
    int i;

    for (i = 0; i < NN__CHECKPOINT_ARRAYS; i++) {
        nn_real *array = nn__checkpoint_array(trainer, i);
        if (!array) continue;
        if (!nn__find_tensor(file, NULL, nn__array_names[i], &tensor) ||
            tensor.real != (int)sizeof(nn_real) || tensor.rank != 1 || tensor.shape[0] != count)
            return NN_ERROR_TENSOR;
        nn__name_location(location, tensor.name);
        if (!store && !nn__tensor_is_finite(file, &tensor)) return NN_ERROR_PARAMETER;
        for (k = 0; store && k < count; k++) array[k] = nn__read_real(file, &tensor, k);
    }
    return NN_OK;
}

static nn_status nn__load_checkpoint(nn_trainer *trainer, const void *bytes, size_t size,
                                     nn_location *location)
{
    nn__file file;
    nn__state state;
    nn_status status;
    int ours;

    if (!trainer || !bytes) return NN_ERROR_NULL;
    status = nn__check_file(&file, trainer->model, bytes, size, &ours, location);
    if (status == NN_OK && !ours) status = NN_ERROR_METADATA;
    if (status == NN_OK) status = nn__read_state(&file, trainer, &state);
    if (status == NN_OK) status = nn__read_arrays(&file, trainer, 0, location);
    if (status != NN_OK) return status;
    (void)nn__read_parameters(&file, trainer->model, 1, NULL);
    (void)nn__read_scaling(&file, trainer->model, 1);
    (void)nn__read_arrays(&file, trainer, 1, NULL);
    trainer->state = state;
    trainer->rows = trainer->pending = 0;
    trainer->model->changes++;
    return NN_OK;
}

NN_DEF nn_status nn_load_checkpoint_memory(nn_trainer *trainer, const void *bytes, size_t size,
                                           nn_location *location)
{
    nn__set_location(location, NULL);
    return nn__load_checkpoint(trainer, bytes, size, location);
}
#endif /* NN_NO_TRAIN */

#ifndef NN_NO_MALLOC

/* The layers that a file of ours describes, in layers[count]. */
static nn_status nn__read_layers(const nn__file *file, nn_layer *layers, int count, int *inputs,
                                 nn_location *location)
{
    nn__layer_reader reader;
    nn__span names;
    nn_status status;
    int activation;

    (void)nn__find_value(file, nn__keys[NN__ACTIVATIONS], &names);
    reader.file = file;
    reader.layer = 0;
    while (nn__next_pair(&reader, &status, location)) {
        if (status != NN_OK) return status;
        if (reader.layer > count) return NN_ERROR_METADATA;
        if (reader.layer == 1) *inputs = (int)reader.weight.shape[1];
        if (reader.layer > 1 && reader.weight.shape[1] != (uint64_t)layers[reader.layer - 2].width)
            return NN_ERROR_TENSOR;
        activation = nn__next_activation(&names);
        if (activation < 0) return NN_ERROR_METADATA;
        layers[reader.layer - 1].kind = NN_LAYER_DENSE;
        layers[reader.layer - 1].width = (int)reader.weight.shape[0];
        layers[reader.layer - 1].activation = (nn_activation)activation;
    }
    if (reader.layer != count) return NN_ERROR_METADATA;
    return NN_OK;
}

static nn_status nn__load(nn_model **model, const void *bytes, size_t size, nn_location *location)
{
    nn__file file;
    nn__span names;
    nn_shape shape;
    nn_layer *layers;
    nn_status status;
    int ours, count;

    if (model) *model = NULL;
    if (!model || !bytes) return NN_ERROR_NULL;
    status = nn__open_file(&file, bytes, size, location);
    if (status == NN_OK) status = nn__check_ours(&file, &ours);
    if (status != NN_OK) return status;
    if (!ours || !nn__find_value(&file, nn__keys[NN__ACTIVATIONS], &names))
        return NN_ERROR_METADATA;
    for (count = 1; names.at < names.end;) count += nn__next_character(&names) == ',';
    if (count > NN__FILE_TENSORS / 2) return NN_ERROR_METADATA;
    layers = (nn_layer *)NN_MALLOC((size_t)count * sizeof *layers);
    if (!layers) return NN_ERROR_MEMORY;
    status = nn__read_layers(&file, layers, count, &shape.inputs, location);
    if (status == NN_OK) {
        shape.layers = layers;
        shape.count = count;
        status = nn__create(model, &shape, 0);
    }
    NN_FREE(layers);
    if (status == NN_OK) {
        status = nn__load_parameters(*model, bytes, size, location);
        if (status != NN_OK) {
            nn_model_free(*model);
            *model = NULL;
        }
    }
    return status;
}

NN_DEF nn_status nn_load_memory(nn_model **model, const void *bytes, size_t size,
                                nn_location *location)
{
    nn__set_location(location, NULL);
    return nn__load(model, bytes, size, location);
}

#ifndef NN_NO_STDIO

/* Reads a file that is to be loaded, whose location is named in case it fails. */
static nn_status nn__begin_load(const char *path, unsigned char **bytes, size_t *size,
                                nn_location *location)
{
    nn__set_location(location, path);
    return path ? nn__read_file(path, bytes, size) : NN_ERROR_NULL;
}

NN_DEF nn_status nn_load(nn_model **model, const char *path, nn_location *location)
{
    unsigned char *bytes;
    size_t size;
    nn_status status;

    if (!model) return NN_ERROR_NULL;
    *model = NULL;
    status = nn__begin_load(path, &bytes, &size, location);
    if (status != NN_OK) return status;
    status = nn__load(model, bytes, size, location);
    NN_FREE(bytes);
    return status;
}

NN_DEF nn_status nn_load_parameters(nn_model *model, const char *path, nn_location *location)
{
    unsigned char *bytes;
    size_t size;
    nn_status status = NN_ERROR_NULL;

    if (model) status = nn__begin_load(path, &bytes, &size, location);
    if (status != NN_OK) return status;
    status = nn__load_parameters(model, bytes, size, location);
    NN_FREE(bytes);
    return status;
}

#ifndef NN_NO_TRAIN
NN_DEF nn_status nn_load_checkpoint(nn_trainer *trainer, const char *path, nn_location *location)
{
    unsigned char *bytes;
    size_t size;
    nn_status status = NN_ERROR_NULL;

    if (trainer) status = nn__begin_load(path, &bytes, &size, location);
    if (status != NN_OK) return status;
    status = nn__load_checkpoint(trainer, bytes, size, location);
    NN_FREE(bytes);
    return status;
}
#endif
#endif /* NN_NO_STDIO */
#endif /* NN_NO_MALLOC */

/* ---- Opening a file where it is -------------------------------------------------------------- */

/* Only what nn_save writes is taken here, for which little code is enough: the metadata, in its
   order, says all; the tensors' descriptions behind it are in the checksum alone. */
typedef struct nn__stored {
    nn__sizes sizes;
    nn__span
        parts[NN__STATE + 2]; /* what the checksum is of: the metadata's values, the rest of the
                                      header, and in front of them the data */
    uint32_t crc;
} nn__stored;

/* Takes the text; 0 if another is there. */
static int nn__expect(nn__span *file, const char *text)
{
    for (; *text; text++, file->at++)
        if (file->at == file->end || NN_READ_BYTE(file->at) != (unsigned char)*text) return 0;
    return 1;
}

/* Takes a width, as nn_save writes it; 0 if there is none, or one too large. */
static int nn__expect_width(nn__span *file)
{
    unsigned digit;
    int width = 0;

    for (; file->at < file->end; file->at++) {
        digit = (unsigned)NN_READ_BYTE(file->at) - '0';
        if (digit > 9) break;
        if (width > (INT_MAX - 64 - 9) / 10) return 0;
        width = width * 10 + (int)digit;
        if (!width) return 0;
    }
    return width;
}

/* Takes one of the names; which, or -1. */
static int nn__expect_name(nn__span *file, const char *const *names, int count)
{
    nn__span ahead;

    while (--count >= 0) {
        ahead = *file;
        if (nn__expect(&ahead, names[count])) break;
    }
    if (count >= 0) *file = ahead;
    return count;
}

/* Takes a hexadecimal number of so many digits, in lower case. */
static int nn__expect_hexadecimal(nn__span *file, int digits, nn__bits *number)
{
    for (*number = 0; digits > 0; digits--, file->at++) {
        const int c = file->at < file->end ? NN_READ_BYTE(file->at) : 0;
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return 0;
        *number = *number << 4 | (nn__bits)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return 1;
}

/* The layers that the metadata describes, into layers[] unless it is NULL; whether they are as
   nn_save writes them. */
static int nn__read_stored_layers(nn__stored *stored, nn_layer *layers)
{
    nn__span widths = stored->parts[1 + NN__WIDTHS], names = stored->parts[1 + NN__ACTIVATIONS];
    int in = nn__expect_width(&widths), out, activation, last = 0;

    if (!in) return 0;
    stored->sizes = nn__no_layers(in);
    for (; !last; in = out) {
        out = nn__expect(&widths, ",") ? nn__expect_width(&widths) : 0;
        if (!out) return 0;
        last = widths.at == widths.end;
        activation = nn__expect_name(&names, nn__activation_names, NN__COUNT(nn__activation_names));
        if (activation < 0 || (activation == NN_SOFTMAX && !last) ||
            (!last && !nn__expect(&names, ",")))
            return 0;
        nn__count_layer(&stored->sizes, in, out, last);
        if (layers) {
            layers->kind = NN_LAYER_DENSE;
            layers->width = out;
            layers->activation = (nn_activation)activation;
            layers++;
        }
    }
    return names.at == names.end && stored->sizes.count <= (NN__FILE_TENSORS - 3) / 2;
}

static nn_status nn__read_stored(nn__stored *stored, const void *bytes, size_t size)
{
    nn__span file;
    nn__bits crc;
    uint32_t length = 0;
    size_t data;
    int i, good;

    if (!bytes) return NN_ERROR_NULL;
    if (size < 8) return NN_ERROR_TRUNCATED;
    file.at = (const unsigned char *)bytes + 8;
    for (i = 1; i <= 8; i++) {
        if (length > NN__FILE_HEADER) return NN_ERROR_HEADER;
        length = length << 8 | NN_READ_BYTE(file.at - i);
    }
    if (length > NN__FILE_HEADER) return NN_ERROR_HEADER;
    if (length > size - 8) return NN_ERROR_TRUNCATED;
    stored->parts[0].at = file.end = file.at + length;
    stored->parts[0].end = (const unsigned char *)bytes + size;
    good = nn__expect(&file, "{\"__metadata__\":{\"format\":\"pt");
    for (i = 0; i < NN__STATE; i++) {
        good = good && nn__expect(&file, "\",\"") && nn__expect(&file, nn__keys[i]) &&
               nn__expect(&file, "\":\"");
        stored->parts[1 + i].at = file.at;
        while (file.at < file.end && NN_READ_BYTE(file.at) != '"') file.at++;
        stored->parts[1 + i].end = file.at;
    }
    if (!good || !nn__expect(&file, "\",\"nn.crc32\":\"") ||
        !nn__expect_hexadecimal(&file, 8, &crc) || !nn__expect(&file, "\"}") ||
        !nn__read_stored_layers(stored, NULL))
        return NN_ERROR_HEADER;
    stored->crc = (uint32_t)crc;
    stored->parts[1 + NN__STATE] = file;
    data = size - 8 - length;
    return data % sizeof(nn_real) || data / sizeof(nn_real) != stored->sizes.parameters
               ? NN_ERROR_TRUNCATED
               : NN_OK;
}

/* Checks the checksum, and that all numbers are finite; takes the scaling and uses up the parts. */
static nn_status nn__finish_opening(nn_model *model, nn__stored *stored)
{
    nn__span *version = &stored->parts[1 + NN__VERSION];
    nn__span *scaling = &stored->parts[1 + NN__SCALING];
    nn__span *values = &stored->parts[1 + NN__SCALING_VALUES];
    const unsigned char *at;
    uint32_t crc = 0xffffffffu;
    nn__bits bits;
    size_t i;
    int kind;

    for (i = 0; i < NN__STATE + 2; i++)
        for (at = stored->parts[i].at; at < stored->parts[i].end; at++)
            crc = nn__crc32(crc, NN_READ_BYTE(at));
    if (stored->crc != (uint32_t)~crc) return NN_ERROR_CHECKSUM;
    kind = nn__expect_name(scaling, nn__scaling_names, NN__COUNT(nn__scaling_names));
    if (kind < 0 || !nn__expect(version, "1") || version->at != version->end ||
        scaling->at != scaling->end)
        return NN_ERROR_METADATA;
    model->scaling = (nn_scaling)kind;
    for (i = 0; kind != NN_SCALE_NONE && i < 2 * (size_t)model->inputs; i++) {
        if (!nn__expect_hexadecimal(values, 2 * sizeof(nn_real), &bits)) return NN_ERROR_METADATA;
        model->offset[i] = nn__from_bits(bits);
        if (!nn__is_finite(model->offset[i])) return NN_ERROR_METADATA;
    }
    if (values->at != values->end) return NN_ERROR_METADATA;
    for (at = stored->parts[0].at; at < stored->parts[0].end; at += sizeof(nn_real))
        if (!nn__is_finite(nn__stored_real(at))) return NN_ERROR_PARAMETER;
    return NN_OK;
}

NN_DEF size_t nn_model_open_size(const void *bytes, size_t size)
{
    nn__stored stored;

    if (nn__read_stored(&stored, bytes, size) != NN_OK) return 0;
    return nn__model_size(&stored.sizes, 1);
}

NN_DEF nn_status nn_model_open_in(nn_model **model, void *memory, size_t memory_size,
                                  const void *bytes, size_t size)
{
    nn__stored stored;
    nn_model *made = NULL;
    nn_status status;

    if (!model) return NN_ERROR_NULL;
    *model = NULL;
    status = nn__read_stored(&stored, bytes, size);
    if (status == NN_OK) status = nn__make_model(&made, memory, memory_size, &stored.sizes, 1);
    if (status != NN_OK) return status;
    made->file = stored.parts[0].at;
    (void)nn__read_stored_layers(&stored, made->layers);
    nn__set_offsets(made);
    status = nn__finish_opening(made, &stored);
    if (status == NN_OK) *model = made;
    return status;
}

#ifndef NN_NO_TRAIN

/* ================================================================================================
   >>export
   ------------------------------------------------------------------------------------------------
   Weights as int8, and a model as a C file.
   ============================================================================================= */

/* ---- Weights as int8 ------------------------------------------------------------------------- */

/* The smallest scale s with 127 s >= largest > 0 that has 7 significant bits fewer than nn_real:
   then every q s is exact. (A denormal s is cut to that at the latest from 2^17 units on.) */
static nn_real nn__scale_above(nn_real largest)
{
    nn__bits bits = nn__to_bits(largest / 127), low = bits >> (NN__MANTISSA - 6) ? 127 : 0;

    bits &= ~low;
    if (127 * nn__from_bits(bits) < largest) bits += low + 1;
    return nn__from_bits(bits);
}

/* The integer nearest to w / scale, ties away from zero, at most 127 in size. The quotient may have
   been rounded; what it leaves of w is exact and decides. */
static int nn__to_int8(nn_real w, nn_real scale)
{
    const nn_real size = nn__absolute(w);
    nn_real rest;
    int q;

    if (!(scale > 0)) return 0;
    q = (int)(size / scale);
    rest = nn__fma(-(nn_real)q, scale, size);
    if (2 * rest >= scale) q++;
    if (q > 127) q = 127;
    return w < 0 ? -q : q;
}

/* The scale of output j of w[in x out]: one that the quantized weights give again, so that
   quantizing them changes nothing. Above, that is not so for denormal scales of few bits, nor where
   127 s overflows; one step below, the largest weight becomes 127 s, which gives s. */
static nn_real nn__int8_scale(const nn_real *w, int in, int out, int j)
{
    nn_real largest = 0, scale;
    nn__bits bits;
    int k;

    for (k = 0; k < in; k++) {
        const nn_real size = nn__absolute(w[(size_t)k * (size_t)out + (size_t)j]);
        if (size > largest) largest = size;
    }
    if (!(largest > 0)) return 0;
    scale = nn__scale_above(largest);
    bits = nn__to_bits(scale);
    if (nn__to_bits(nn__scale_above((nn_real)nn__to_int8(largest, scale) * scale)) != bits)
        scale = nn__from_bits(bits - (bits >> (NN__MANTISSA - 6) ? 128 : 1));
    return scale;
}

NN_DEF nn_status nn_quantize(nn_model *model)
{
    int i, j, k;

    if (!model) return NN_ERROR_NULL;
    if (!model->parameters) return NN_ERROR_READ_ONLY;
    if (!NN__RUN(model, all_finite, model->parameters, model->parameter_count))
        return NN_ERROR_PARAMETER;
    for (i = 0; i < model->count; i++) {
        const nn__layer layer = nn__layer_at(model, i);
        nn_real *w = model->parameters + layer.weights;

        for (j = 0; j < layer.outputs; j++) {
            const nn_real scale = nn__int8_scale(w, layer.inputs, layer.outputs, j);
            nn_real *weight = w + j;
            for (k = 0; k < layer.inputs; k++, weight += layer.outputs)
                *weight = (nn_real)nn__to_int8(*weight, scale) * scale;
        }
    }
    model->changes++;
    return NN_OK;
}

#ifndef NN_NO_MALLOC /* not on a device: its text would take memory there */

/* ---- Export to C ----------------------------------------------------------------------------- */

/* The file repeats the functions of >>math, >>activation and >>dense, operation for operation, and
   takes their constants and tables from here. In the pieces of its text,

       $   is the name of the function, before "_" of all else that the file defines
       @   the type of a number, float or double
*/
typedef struct nn__exporter {
    nn__writer writer;
    const nn_model *model;
    const char *name;
    int int8;
} nn__exporter;

static const char *const nn__refusals_piece =
    "#if !defined(NN_ALLOW_FAST_MATH) && \\\n"
    "    (defined(__FAST_MATH__) || defined(_M_FP_FAST) || defined(__ASSOCIATIVE_MATH__) || \\\n"
    "     defined(__RECIPROCAL_MATH__) || \\\n"
    "     (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ > 0))\n"
    "#error \"$: -ffast-math changes results; NN_ALLOW_FAST_MATH accepts that\"\n"
    "#endif\n"
#ifdef NN_DOUBLE
    "#if defined(__AVR__) || (defined(__SIZEOF_DOUBLE__) && __SIZEOF_DOUBLE__ < 8)\n"
    "#error \"$: double has to have 64 bits\"\n"
    "#endif\n"
#endif
    "\n";

static const char *const nn__flash_piece =
    "#ifdef __AVR__\n"
    "#include <avr/pgmspace.h>\n"
    "#ifndef NN_FLASH\n"
    "#define NN_FLASH PROGMEM\n"
    "#endif\n"
    "#ifndef NN_FLASH_REAL\n"
    "#define NN_FLASH_REAL(pointer) pgm_read_float(pointer)\n"
    "#endif\n"
    "#ifndef NN_FLASH_INT8\n"
    "#define NN_FLASH_INT8(pointer) ((int8_t)pgm_read_byte(pointer))\n"
    "#endif\n"
    "#endif\n"
    "#ifndef NN_FLASH\n"
    "#define NN_FLASH\n"
    "#endif\n"
    "#ifndef NN_FLASH_REAL\n"
    "#define NN_FLASH_REAL(pointer) (*(pointer))\n"
    "#endif\n"
    "#ifndef NN_FLASH_INT8\n"
    "#define NN_FLASH_INT8(pointer) (*(pointer))\n"
    "#endif\n\n";

/* nn__fma, from which on the pragmas hold. fmaf is taken where NN_FMA takes it, but for AVR: in its
   double of 32 bits, fma may be anything. */
static const char *const nn__fma_piece =
    "/* a * b + c, rounded once; under NN_NO_FMA twice, which no compiler may fuse again. */\n"
    "#ifdef NN_NO_FMA\n"
    "#if defined(__clang__)\n"
    "#pragma float_control(push)\n"
    "#pragma STDC FP_CONTRACT OFF\n"
    "#elif defined(__GNUC__)\n"
    "#pragma GCC push_options\n"
    "#pragma GCC optimize(\"fp-contract=off\", \"no-tree-slp-vectorize\")\n"
    "#elif defined(_MSC_VER)\n"
    "#pragma float_control(push)\n"
    "#pragma fp_contract(off)\n"
    "#endif\n\n"
    "static @ $_fma(@ a, @ b, @ c)\n"
    "{\n"
    "    return a * b + c;\n"
    "}\n"
#ifdef NN_DOUBLE
    "#else\n"
    "#include <math.h>\n\n"
    "static double $_fma(double a, double b, double c)\n"
    "{\n"
    "    return fma(a, b, c);\n"
    "}\n"
#else
    "#elif defined(__AVR__) || (defined(__SIZEOF_DOUBLE__) && __SIZEOF_DOUBLE__ < 8)\n"
    "#error \"$: double has 32 bits here, too few to compute fma with: define NN_NO_FMA\"\n"
    "#elif defined(__FMA__) || defined(__FP_FAST_FMAF) || defined(FP_FAST_FMAF) || \\\n"
    "    defined(__ARM_FEATURE_FMA) || defined(__aarch64__)\n"
    "#include <math.h>\n\n"
    "static float $_fma(float a, float b, float c)\n"
    "{\n"
    "    return fmaf(a, b, c);\n"
    "}\n"
    "#else /* without the instruction: exact in double, rounded to odd there, then to float */\n"
    "#include <stdint.h>\n"
    "#include <string.h>\n\n"
    "static float $_fma(float a, float b, float c)\n"
    "{\n"
    "    const double product = (double)a * (double)b, sum = product + (double)c;\n"
    "    const double rest = sum - product, lost = (product - (sum - rest)) + ((double)c - rest);\n"
    "    double odd = sum;\n"
    "    uint64_t bits;\n\n"
    "    memcpy(&bits, &sum, sizeof bits);\n"
    "    if ((lost < 0 || lost > 0) && !(bits & 1)) {\n"
    "        bits = (lost > 0) == (sum > 0) ? bits + 1 : bits - 1;\n"
    "        memcpy(&odd, &bits, sizeof odd);\n"
    "    }\n"
    "    return (float)odd;\n"
    "}\n"
#endif
    "#endif\n\n";

static const char *const nn__end_piece = "\n"
                                         "#ifdef NN_NO_FMA\n"
                                         "#if defined(__clang__) || defined(_MSC_VER)\n"
                                         "#pragma float_control(pop)\n"
                                         "#elif defined(__GNUC__)\n"
                                         "#pragma GCC pop_options\n"
                                         "#endif\n"
                                         "#endif\n";

/* nn__dense_forward_scalar of one row, the weights transposed and the activation apart. */
static const char *const nn__dense_piece =
    "/* y[out] = x[in] * w[out x in]^T + bias[out] */\n"
    "static void $_dense(const @ *x, const @ *w, const @ *bias, @ *y, int in, int out)\n"
    "{\n"
    "    int j, k;\n\n"
    "    for (j = 0; j < out; j++) {\n"
    "        @ sum = NN_FLASH_REAL(bias + j);\n"
    "        for (k = 0; k < in; k++, w++) sum = $_fma(x[k], NN_FLASH_REAL(w), sum);\n"
    "        y[j] = sum;\n"
    "    }\n"
    "}\n\n";

static const char *const nn__int8_dense_piece =
    "/* y[out] = x[in] * (w[out x in] * scale[out])^T + bias[out]; each w * scale is exact. */\n"
    "static void $_dense(const @ *x, const int8_t *w, const @ *scale,\n"
    "                    const @ *bias, @ *y, int in, int out)\n"
    "{\n"
    "    int j, k;\n\n"
    "    for (j = 0; j < out; j++) {\n"
    "        const @ unit = NN_FLASH_REAL(scale + j);\n"
    "        @ sum = NN_FLASH_REAL(bias + j);\n"
    "        for (k = 0; k < in; k++, w++)\n"
    "            sum = $_fma(x[k], (@)NN_FLASH_INT8(w) * unit, sum);\n"
    "        y[j] = sum;\n"
    "    }\n"
    "}\n\n";

static const char *const nn__bits_piece =
#ifdef NN_DOUBLE
    "typedef uint64_t $_bits;\n\nenum { $_bias = 1023, $_mantissa = 52 };\n\n"
#else
    "typedef uint32_t $_bits;\n\nenum { $_bias = 127, $_mantissa = 23 };\n\n"
#endif
    "static $_bits $_to_bits(@ x)\n"
    "{\n"
    "    $_bits bits;\n"
    "    memcpy(&bits, &x, sizeof bits);\n"
    "    return bits;\n"
    "}\n\n"
    "static @ $_from_bits($_bits bits)\n"
    "{\n"
    "    @ x;\n"
    "    memcpy(&x, &bits, sizeof x);\n"
    "    return x;\n"
    "}\n\n"
    "static @ $_polynomial(const @ *terms, int count, @ x)\n"
    "{\n"
    "    @ sum = NN_FLASH_REAL(terms);\n"
    "    int i;\n\n"
    "    for (i = 1; i < count; i++) sum = $_fma(sum, x, NN_FLASH_REAL(terms + i));\n"
    "    return sum;\n"
    "}\n\n";

/* The functions of >>math that the text of activations calls, each behind those that it calls, and
   their constant arrays. */
typedef struct nn__math_piece {
    int trait;            /* of the activations that call it */
    const char *name;     /* of its array */
    const nn_real *terms; /* [count], or NULL */
    int count;
    const char *text;
} nn__math_piece;

static const nn__math_piece nn__math_pieces[] = {
    {NN__CALLS_EXP, "exp", nn__exp_terms, NN__COUNT(nn__exp_terms), NN__C_MATH_EXP},
    {NN__CALLS_SIGMOID, NULL, NULL, 0, NN__C_MATH_SIGMOID},
    {NN__CALLS_TANH, "tanh", nn__tanh_terms, NN__COUNT(nn__tanh_terms), NN__C_MATH_TANH},
    {NN__CALLS_EXPM1, NULL, NULL, 0, NN__C_MATH_EXPM1},
    {NN__CALLS_ERF, "erf_near", nn__erf_near_terms, NN__COUNT(nn__erf_near_terms), ""},
    {NN__CALLS_ERF, "erf_far", nn__erf_far_terms, NN__COUNT(nn__erf_far_terms), NN__C_MATH_ERF},
    {NN__CALLS_LOG1P, "log1p", nn__log1p_terms, NN__COUNT(nn__log1p_terms),
     NN__C_MATH_SOFTPLUS_TAIL}};

#define NN__PIECE_OF(ID, name, form, traits) NN__C_##ID,
static const char *const nn__activation_pieces[] = {NN__ACTIVATIONS(NN__PIECE_OF)};

/* ---- Export to C: the writer ----------------------------------------------------------------- */

/* A hexadecimal floating constant: exactly x, also denormal or -0. */
static void nn__write_constant(nn__writer *writer, nn_real x)
{
    const nn__bits bits = nn__to_bits(x), field = (bits & ~NN__SIGN_BIT) >> NN__MANTISSA;
    int left = (NN__MANTISSA + 3) / 4 * 4; /* bits of the fraction, in whole digits */
    nn__bits rest = (bits << (left - NN__MANTISSA)) & (((nn__bits)1 << left) - 1);
    int exponent = field ? (int)field - NN__BIAS : rest ? 1 - NN__BIAS : 0;

    if (bits & NN__SIGN_BIT) nn__write_text(writer, "-");
    nn__write_text(writer, field ? "0x1" : "0x0");
    if (rest) nn__write_text(writer, ".");
    while (rest) {
        left -= 4;
        nn__write_hexadecimal(writer, rest >> left, 1);
        rest &= ((nn__bits)1 << left) - 1;
    }
    nn__write_text(writer, exponent < 0 ? "p-" : "p+");
    nn__write_number(writer, (size_t)(exponent < 0 ? -exponent : exponent));
    if (sizeof x == 4) nn__write_text(writer, "f");
}

/* A piece of the file. */
static void nn__write_piece(nn__exporter *to, const char *piece)
{
    for (; *piece; piece++) {
        switch (*piece) {
        case '$': nn__write_text(&to->writer, to->name); break;
        case '@': nn__write_text(&to->writer, NN__TEXT(NN_REAL)); break;
        default: nn__write_byte(&to->writer, (unsigned char)*piece);
        }
    }
}

/* A piece, a count, and another piece. */
static void nn__write_count(nn__exporter *to, const char *before, int count, const char *after)
{
    nn__write_piece(to, before);
    nn__write_number(&to->writer, (size_t)count);
    nn__write_piece(to, after);
}

/* What is before number i of an array that has so many in a line. */
static void nn__write_gap(nn__exporter *to, size_t i, int in_line)
{
    if (i) nn__write_text(&to->writer, ",");
    nn__write_text(&to->writer, i % (size_t)in_line ? " " : "\n    ");
}

/* What is left to write of an array after its name: the transpose of values[rows x columns]. */
static void nn__write_values(nn__exporter *to, const nn_real *values, int rows, int columns)
{
    size_t i = 0;
    int j, k;

    nn__write_text(&to->writer, "[] NN_FLASH = {");
    for (j = 0; j < columns; j++) {
        for (k = 0; k < rows; k++) {
            nn__write_gap(to, i++, sizeof(nn_real) == 4 ? 5 : 3);
            nn__write_constant(&to->writer, values[(size_t)k * (size_t)columns + (size_t)j]);
        }
    }
    nn__write_text(&to->writer, "};\n");
}

/* The arrays of w[in x out] as int8: the scales [out] and the weights [out x in]. */
static void nn__write_int8(nn__exporter *to, int layer, const nn_real *w, int in, int out)
{
    size_t i = 0;
    int j, k, q;

    nn__write_count(to, "static const @ $_s", layer, "[] NN_FLASH = {");
    for (j = 0; j < out; j++) {
        nn__write_gap(to, (size_t)j, sizeof(nn_real) == 4 ? 5 : 3);
        nn__write_constant(&to->writer, nn__int8_scale(w, in, out, j));
    }
    nn__write_count(to, "};\nstatic const int8_t $_w", layer, "[] NN_FLASH = {");
    for (j = 0; j < out; j++) {
        const nn_real scale = nn__int8_scale(w, in, out, j);
        for (k = 0; k < in; k++) {
            q = nn__to_int8(w[(size_t)k * (size_t)out + (size_t)j], scale);
            nn__write_gap(to, i++, 16);
            nn__write_count(to, q < 0 ? "-" : "", q < 0 ? -q : q, "");
        }
    }
    nn__write_text(&to->writer, "};\n");
}

static void nn__write_arrays(nn__exporter *to)
{
    const nn_model *model = to->model;
    int i;

    if (model->scaling != NN_SCALE_NONE) {
        nn__write_piece(to, "/* of the input: (x - offset) * factor */\nstatic const @ $_offset");
        nn__write_values(to, model->offset, model->inputs, 1);
        nn__write_piece(to, "static const @ $_factor");
        nn__write_values(to, model->offset + model->inputs, model->inputs, 1);
        nn__write_text(&to->writer, "\n");
    }
    for (i = 0; i < model->count; i++) {
        const nn__layer layer = nn__layer_at(model, i);
        const nn_real *w = model->parameters + layer.weights;

        if (to->int8) {
            nn__write_int8(to, i, w, layer.inputs, layer.outputs);
        } else {
            nn__write_count(to, "static const @ $_w", i, "");
            nn__write_values(to, w, layer.inputs, layer.outputs);
        }
        nn__write_count(to, "static const @ $_b", i, "");
        nn__write_values(to, model->parameters + layer.biases, layer.outputs, 1);
        nn__write_text(&to->writer, "\n");
    }
}

/* The traits of all the model's activations. */
static int nn__traits_of(const nn_model *model)
{
    int traits = 0, i;

    for (i = 0; i < model->count; i++) traits |= nn__activation_traits[model->layers[i].activation];
    return traits;
}

/* The functions that the model needs, each behind those that it calls. */
static void nn__write_functions(nn__exporter *to)
{
    const nn_model *model = to->model;
    const int traits = nn__traits_of(model);
    int used[NN_ACTIVATION_COUNT] = {0}, i;

    for (i = 0; i < model->count; i++) used[model->layers[i].activation] = 1;
    nn__write_piece(to, nn__fma_piece);
    nn__write_piece(to, to->int8 ? nn__int8_dense_piece : nn__dense_piece);
    if (traits & NN__CALLS_EXP) nn__write_piece(to, nn__bits_piece);
    for (i = 0; i < NN__COUNT(nn__math_pieces); i++) {
        const nn__math_piece *piece = &nn__math_pieces[i];
        if (!(traits & piece->trait)) continue;
        if (piece->terms) {
            nn__write_piece(to, "static const @ $_");
            nn__write_text(&to->writer, piece->name);
            nn__write_text(&to->writer, "_terms");
            nn__write_values(to, piece->terms, piece->count, 1);
            nn__write_text(&to->writer, "\n");
        }
        nn__write_piece(to, piece->text);
    }
    for (i = 0; i < NN_ACTIVATION_COUNT; i++)
        if (used[i]) nn__write_piece(to, nn__activation_pieces[i]);
}

/* Predicting goes through buffers a and b in turn: the scaled input, if there is one, and the
   outputs of all layers but the last. The width of a (0) or b (1), 0 when it is not needed. */
static int nn__export_width(const nn_model *model, int buffer)
{
    const int scaled = model->scaling != NN_SCALE_NONE;
    int i, width = scaled && !buffer ? model->inputs : 0;

    for (i = 0; i < model->count - 1; i++)
        if ((i + scaled) % 2 == buffer && model->layers[i].width > width)
            width = model->layers[i].width;
    return width;
}

/* The statement that replaces into[width] by the activation of it. */
#define NN__IS_ELEMENT(ID, name, form, traits) NN__KEEP_IF_##form(|| activation == NN_##ID)
static void nn__write_activation(nn__exporter *to, nn_activation activation, const char *into,
                                 int width)
{
    const int element = 0 NN__ACTIVATIONS(NN__IS_ELEMENT);

    if (element) {
        nn__write_count(to, "    for (i = 0; i < ", width, "; i++) ");
        nn__write_text(&to->writer, into);
        nn__write_text(&to->writer, "[i] = ");
    } else {
        nn__write_text(&to->writer, "    ");
    }
    nn__write_piece(to, "$_");
    nn__write_text(&to->writer, nn__activation_names[activation]);
    nn__write_text(&to->writer, "(");
    nn__write_text(&to->writer, into);
    if (element)
        nn__write_text(&to->writer, "[i]);\n");
    else
        nn__write_count(to, ", ", width, ");\n");
}

/* The exported function. */
static void nn__write_predict(nn__exporter *to)
{
    const nn_model *model = to->model;
    const char *from = "x", *into;
    int layer, buffer, step = 0, loops = model->scaling != NN_SCALE_NONE;

    for (layer = 0; layer < model->count; layer++)
        loops |= model->layers[layer].activation != NN_LINEAR &&
                 model->layers[layer].activation != NN_SOFTMAX;

    nn__write_piece(to, "void $(const @ *x, @ *y);\n\nvoid $(const @ *x, @ *y)\n{\n");
    for (buffer = 0; buffer < 2; buffer++)
        if (nn__export_width(model, buffer))
            nn__write_count(to, buffer ? "    @ b[" : "    @ a[", nn__export_width(model, buffer),
                            "];\n");
    if (loops) nn__write_text(&to->writer, "    int i;\n");
    if (loops || nn__export_width(model, 0)) nn__write_text(&to->writer, "\n");
    if (model->scaling != NN_SCALE_NONE) {
        nn__write_count(to, "    for (i = 0; i < ", model->inputs, "; i++)\n");
        nn__write_piece(to, "        a[i] = (x[i] - NN_FLASH_REAL($_offset + i)) * "
                            "NN_FLASH_REAL($_factor + i);\n");
        from = "a";
        step = 1;
    }
    for (layer = 0; layer < model->count; layer++, step++, from = into) {
        const nn__layer at = nn__layer_at(model, layer);

        into = layer == model->count - 1 ? "y" : step % 2 ? "b" : "a";
        nn__write_piece(to, "    $_dense(");
        nn__write_text(&to->writer, from);
        nn__write_count(to, ", $_w", layer, "");
        if (to->int8) nn__write_count(to, ", $_s", layer, "");
        nn__write_count(to, ", $_b", layer, ", ");
        nn__write_text(&to->writer, into);
        nn__write_count(to, ", ", at.inputs, "");
        nn__write_count(to, ", ", at.outputs, ");\n");
        if (at.activation != NN_LINEAR) nn__write_activation(to, at.activation, into, at.outputs);
    }
    nn__write_text(&to->writer, "}\n");
}

/* The comment at the top. */
static void nn__write_manual(nn__exporter *to)
{
    const nn_model *model = to->model;
    int i;

    nn__write_piece(to, "/* $: a neural network, written by nn.h " NN_VERSION ".\n\n");
    nn__write_count(to, "       inputs      ", model->inputs, "");
    nn__write_piece(to, model->scaling == NN_SCALE_NONE ? "\n" : ", scaled: ");
    if (model->scaling != NN_SCALE_NONE) {
        nn__write_text(&to->writer, nn__scaling_names[model->scaling]);
        nn__write_text(&to->writer, "\n");
    }
    for (i = 0; i < model->count; i++) {
        nn__write_count(to, i ? "                   " : "       layers      ",
                        model->layers[i].width, " ");
        nn__write_text(&to->writer, nn__activation_names[model->layers[i].activation]);
        nn__write_text(&to->writer, "\n");
    }
    nn__write_text(&to->writer, "       parameters  ");
    nn__write_number(&to->writer, model->parameter_count);
    nn__write_piece(to, to->int8 ? ", the weights as int8\n\n" : "\n\n");
    nn__write_piece(to, "       void $(const @ *x, @ *y);\n\n");
    nn__write_count(to, "   computes y[", nn__outputs(model), "]");
    nn__write_count(to, " from x[", model->inputs, "]: ");
    nn__write_piece(to, model->scaling == NN_SCALE_NONE ? "finite" : "finite, not yet scaled");
    nn__write_piece(to, ", not overlapping y. The bits are\n"
                        "   nn_predict's");
    nn__write_piece(to, to->int8 ? " of the model after nn_quantize.\n" : ".\n");
    nn__write_text(&to->writer, "   Nothing is allocated or kept; arrays on the stack hold ");
    nn__write_number(&to->writer,
                     (size_t)nn__export_width(model, 0) + (size_t)nn__export_width(model, 1));
    nn__write_text(&to->writer,
                   " numbers.\n"
                   "   C++ declares it extern \"C\", unless this file is compiled as C++ too.\n\n");
    nn__write_piece(
        to, "   To be defined, where need be, before it is compiled:\n\n"
            "       NN_NO_FMA               multiply, then add, each rounded: for processors"
            " without fma;\n"
            "                               the bits are those of NN_NO_FMA in nn.h\n"
            "       NN_FLASH                what follows the name of each constant array, "
            "such as an\n"
            "                               attribute; PROGMEM on AVR\n"
            "       NN_FLASH_REAL(pointer)  reads from such an array; pgm_read_float on AVR\n"
            "       NN_FLASH_INT8(pointer)  reads an int8_t\n"
            "*/\n\n");
}

static void nn__write_c(nn__exporter *to)
{
    const int bits = nn__traits_of(to->model) & NN__CALLS_EXP;

    nn__write_manual(to);
    nn__write_piece(to, nn__refusals_piece);
    if (bits || to->int8) nn__write_text(&to->writer, "#include <stdint.h>\n");
    if (bits) nn__write_text(&to->writer, "#include <string.h>\n");
    if (bits || to->int8) nn__write_text(&to->writer, "\n");
    nn__write_piece(to, nn__flash_piece);
    nn__write_arrays(to);
    nn__write_functions(to);
    nn__write_predict(to);
    nn__write_piece(to, nn__end_piece);
}

/* Whether name is an identifier of C and C++, no keyword of either, and begins neither with an
   underscore (such names, and some of those made of them, are the compiler's) nor with NN_ (which
   the file's macros do). */
static int nn__is_identifier(const char *name)
{
    static const char keywords[] =
        " alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t "
        "char32_t char8_t class co_await co_return co_yield compl concept const const_cast "
        "consteval constexpr constinit continue contract_assert decltype default delete do double "
        "dynamic_cast else enum explicit export extern false float for friend goto if inline int "
        "long mutable namespace new noexcept not not_eq nullptr operator or or_eq private "
        "protected public register reinterpret_cast requires restrict return short signed sizeof "
        "static static_assert static_cast struct switch template this thread_local throw true try "
        "typedef typeid typename typeof typeof_unqual union unsigned using virtual void volatile "
        "wchar_t while xor xor_eq ";
    const char *word;
    size_t length;

    for (length = 0; name[length]; length++) {
        const char c = name[length];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (length && (c == '_' || (c >= '0' && c <= '9')))))
            return 0;
    }
    if (!length || !strncmp(name, "NN_", 3)) return 0;
    for (word = keywords; word; word = strchr(word + 1, ' '))
        if (!strncmp(word + 1, name, length) && word[1 + length] == ' ') return 0;
    return 1;
}

NN_DEF nn_status nn_export_c_memory(const nn_model *model, const nn_export_options *options,
                                    char *buffer, size_t capacity, size_t *size)
{
    nn__exporter to;

    if (size) *size = 0;
    if (!model || !size) return NN_ERROR_NULL;
    if (!model->parameters) return NN_ERROR_READ_ONLY;
    memset(&to, 0, sizeof to);
    to.model = model;
    to.name = options && options->name ? options->name : "predict";
    to.int8 = options && options->int8;
    if (!nn__is_identifier(to.name)) return NN_ERROR_OPTION;
    if (!NN__RUN(model, all_finite, model->parameters, model->parameter_count) ||
        !NN__RUN(model, all_finite, model->offset, 2 * (size_t)model->inputs))
        return NN_ERROR_PARAMETER;
    nn__write_c(&to);
    if (to.writer.size == SIZE_MAX) return NN_ERROR_OVERFLOW;
    *size = to.writer.size;
    if (!buffer) return NN_OK;
    if (capacity < *size) return NN_ERROR_BLOCK;
    to.writer.bytes = (unsigned char *)buffer;
    to.writer.size = 0;
    nn__write_c(&to);
    NN_ASSERT(to.writer.size == *size);
    return NN_OK;
}

#ifndef NN_NO_STDIO
NN_DEF nn_status nn_export_c(const nn_model *model, const char *path,
                             const nn_export_options *options)
{
    size_t size;
    char *text;
    nn_status status = path ? nn_export_c_memory(model, options, NULL, 0, &size) : NN_ERROR_NULL;

    if (status != NN_OK) return status;
    text = (char *)NN_MALLOC(size);
    if (!text) return NN_ERROR_MEMORY;
    status = nn_export_c_memory(model, options, text, size, &size);
    if (status == NN_OK) status = nn__write_file(path, text, size);
    NN_FREE(text);
    return status;
}
#endif
#endif /* NN_NO_MALLOC */
#endif /* NN_NO_TRAIN */
#ifdef NN_NO_FMA
#if defined(__clang__) || defined(_MSC_VER)
#pragma float_control(pop)
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif
#endif

#endif /* NN_IMPLEMENTATION */

/*
   MIT License

   Copyright (c) 2026 the nn.h authors

   Permission is hereby granted, free of charge, to any person obtaining a copy
   of this software and associated documentation files (the "Software"), to deal
   in the Software without restriction, including without limitation the rights
   to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
   copies of the Software, and to permit persons to whom the Software is
   furnished to do so, subject to the following conditions:

   The above copyright notice and this permission notice shall be included in all
   copies or substantial portions of the Software.

   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
   IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
   FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
   AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
   LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
   OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
   SOFTWARE.
*/
