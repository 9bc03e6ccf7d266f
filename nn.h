/* nn.h - neural network training in one header, C99 and C++11, no dependencies - MIT licence

   Dense and convolutional networks for small and medium problems: train, evaluate, tune, save,
   reload, predict. The same seed, data and options give the same weights, to the last bit, on every
   machine.

   Contents: search for these tags.

       >>doc          this page
       >>config       NN_DEF, NN_STATIC, NN_REAL, version
       >>api          every public type and function; users stop reading at its end
       >>sizes        the private structs, and what NN_MODEL_SIZE and its like are made of
       >>platform     the C library's functions, replaceable; tables; statuses; memory blocks; files
       >>math         exp, tanh, sigmoid, log1p, erf, cosine; the random generator; decimal text
       >>product      products of matrices: tiles, panels, packing, threads, OpenBLAS
       >>activation   ReLU, sigmoid, tanh, GELU, softmax ...: each with its derivative
       >>dense        the dense layer: forward, weight gradient, input gradient
       >>convolution  the same three for convolutions; pools
       >>optimizer    SGD, Adam, RMSprop; learning-rate schedules; clipping
       >>simd         the primitives of each instruction set: >>avx512, >>avx2, >>neon, >>wasm
       >>dispatch     the choice among the back-ends
       >>model        layers, parameters, initialisation, memory layout, metadata, predicting
       >>loss         each loss with its gradient
       >>data         checks, order of rows, scaling, stratified splits
       >>trainer      forward, backward, update; nn_fit: epochs, early stopping, dropout, callbacks
       >>metrics      accuracy, precision, recall, F1, ROC AUC, errors; cross-validation
       >>csv >>idx    reading tables and images
       >>safetensors  models and checkpoints as files; opening a file in place
       >>export       weights as int8; a model as C source or as an ONNX file

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
       nn_data_free(&test), nn_data_free(&train), nn_data_free(&data);

   A real program checks the status that each function returns.

   DEFAULTS. An option that is 0 has its default: 100 epochs, batches of 32 rows, mean squared
   error, SGD with a learning rate of 1e-2 (Adam 1e-3, RMSprop 1e-2), no scaling, no validation. An
   option that has no effect with the others is refused.

   LEVELS. Each level uses only what is below it. Any level may be used alone:

       loop    nn_fit, nn_trainer_fit           epochs, shuffling, validation, early stopping
       batch   nn_train_batch, nn_accumulate    one update; a gradient without the update
               nn_shard_gradient                the part of a batch that one process computes
       step    nn_forward, nn_backward, nn_update     any loss, reinforcement learning, GANs
       arrays  nn_parameters, nn_gradients      averaging, evolution, sums over processes

   OBJECTS. An nn_model is what is deployed: layers, parameters, scaling, metadata. An nn_trainer is
   what is thrown away after training: gradients, optimizer state, activations of one batch, the
   random generator, the count of updates. Everything else is a plain struct in which 0 means the
   default.

   TABLES. nn_read_csv takes most raw tables as they are. Its options choose the columns and the
   target, make categories of text and fill in missing cells. How a table was read is its recipe.
   nn_fit keeps the recipe in the model, with the names of the inputs and classes, and nn_save and
   nn_load keep them too. By its recipe, other tables are read in the same way:

       read.ignore = "id";                                // a name, or a number
       read.text_columns = read.impute = 1;
       nn_read_csv(&data, "houses.csv", &read);
       how.target_scaling = NN_SCALE_STANDARD;            // prices in the hundred thousands
       nn_fit(model, &data, &how);                        // the model keeps the recipe
       again.model = model;
       nn_read_csv(&more, "new.csv", &again);             // any order of columns; no price needed
       nn_predict_data(model, &more, prices, NULL);       // in the units of the table

   IMAGES. Convolutions and pools work on images. The first layer says what image an input row is:
   its numbers are in the order of the lines, then of the pixels of a line, then of the channels of
   a pixel. The rows of an array, of nn_read_idx and of nn_read_csv are used as they are. Rows in
   PyTorch's order, one whole channel after the other, must be reordered first.

       const nn_layer layers[] = {NN_IMAGE(28, 28, 1), // height, width, channels
                                  NN_CONV2D(8, 5, 1, NN_PADDING_SAME, NN_RELU),  // 28 x 28 x 8
                                  NN_MAX_POOL2D(2, 2),                           // 14 x 14 x 8
                                  NN_CONV2D(16, 5, 1, NN_PADDING_NONE, NN_RELU), // 10 x 10 x 16
                                  NN_MAX_POOL2D(2, 2),                           // 5 x 5 x 16
                                  NN_DENSE(10, NN_SOFTMAX)};
       nn_read_idx(&data, "train-images-idx3-ubyte", "train-labels-idx1-ubyte", 10, NULL);
       nn_model_create(&model, data.inputs, layers, 6, 1); // data.inputs is 28 * 28 * 1

   The samples of a sensor are an image of height 1: NN_IMAGE(1, 64, 2) has 64 samples of two
   signals. NN_CONV1D and the pools that end in 1D run along its width.

   nn_check_shape says which layer of a shape is wrong, and why; the image is layer 0. A scaling has
   a mean and a deviation for each number of the image. All else is as with dense layers.

   ERRORS. Every function that can fail returns an nn_status: NN_OK, or the reason. After a failure
   nothing has changed and nothing leaks; what the function should have made is NULL or zero.
   NN_ERROR_DIVERGED is the exception: the model has its last finite weights, and gradients that
   were added together are zeroed. An nn_location then says where, if one was given. The library
   never prints, exits, aborts, or touches global state. NN_ASSERT checks the library's own
   invariants, never input. It is assert, or nothing under NN_NO_STDIO.

   MEMORY. nn_model_create and nn_trainer_create allocate one block each. nn_model_create_in and
   nn_trainer_create_in use the caller's block instead. The block has exactly nn_model_size or
   nn_trainer_size bytes and may begin at any address; NN_MODEL_SIZE and NN_TRAINER_SIZE give the
   same numbers as constants for dense layers. Convolutions work on the image itself, without a
   copy of each patch. With padding they need one padded copy of their input, which all layers
   share: of NN_PREDICT_ROWS rows in the model, of a micro-batch in the trainer. A trainer also has
   room for one input gradient and, for the vector kernels, for the largest kernel. Max pools store
   no indices. No step, batch, epoch or prediction allocates anything. Functions that read files,
   divide data, evaluate or store metadata allocate what they need; their comments say so. With the
   vector kernels, training and predicting use up to 64 kB of stack; without them, a few kB.

   MICROCONTROLLERS. With NN_NO_STDIO and NN_NO_MALLOC the library needs only memcpy, memset,
   strlen, sqrtf and fmaf. Training computes in nn_real and never in double, with one exception: a
   processor without the fma instruction computes each fused multiply-add in double. NN_NO_FMA
   avoids that; it is required where double has 32 bits (AVR). Nothing is recursive, and int may
   have 16 bits. NN_STATIC lets the compiler leave out functions that are not called.
   NN_ONLY_ACTIVATIONS and its like leave out operations, and NN_NO_CONVOLUTION leaves out all
   layers but dense ones. micro_batch_size 1 keeps the activations of one row at a time. For
   predicting alone, nn_model_open_in leaves a file's weights in flash (on AVR with NN_READ_BYTE),
   and nn_export_c writes a model as a C file that needs no header.

   THREADS. There is no global state. Any number of threads may predict with one model at the same
   time, each with scratch memory of its own. Two things need one thread at a time: a call with NULL
   for scratch, and everything that writes to a model or a trainer. Compiled with OpenMP (-fopenmp),
   large products of the vector kernels and large updates are divided among its threads by outputs,
   so that any number of threads gives the same result. Small nets use one thread. Waiting threads
   spin: on a busy machine set OMP_WAIT_POLICY=passive. A process that forks leaves its threads
   behind. With GNU's OpenMP (libgomp) the child would wait for them for ever, when both it and,
   before the fork, its parent compute large products. Fork before the first of these, or call
   omp_set_num_threads(1) first in the child, or omp_pause_resource_all(omp_pause_soft) in the
   parent before the fork. LLVM's OpenMP needs none of this, and allows it.

   PROCESSES. Many processes can train one model, each with a copy of it. nn_shard_gradient gives
   the gradient of a part of a batch. The program adds these gradients over all processes, by MPI or
   sockets, and each process calls nn_update with the sum. Where the parts and the order of the sum
   stay the same, any number of processes gives the same weights: see examples/mpi.c.

   REPRODUCIBLE RESULTS. Weights, outputs, losses and files are the same to the last bit with every
   compiler, optimisation level, operating system, byte order, set of vector instructions and number
   of threads, because every result is a fixed sequence of IEEE operations. Sums have a fixed order:
   vectors and threads divide the outputs, never a sum. Every multiply-add is an explicit fused
   multiply-add. exp, tanh, sigmoid, log1p, expm1, erf and cosine are computed here, not by the C
   library. NN_NO_FMA and NN_DOUBLE give different, equally reproducible results. A NaN may have any
   sign. A build without a heap leaves the decimal numbers out of its files. Not reproducible:
     - products of NN_OPENBLAS_WORK multiply-adds or more under NN_USE_OPENBLAS;
     - -ffast-math, which is refused unless NN_ALLOW_FAST_MATH is defined, and its parts, of which
       clang does not announce all (-freciprocal-math, -fassociative-math,
       -funsafe-math-optimizations);
     - x87 arithmetic (FLT_EVAL_METHOD other than 0): use -msse2 -mfpmath=sse;
     - denormal numbers flushed to zero, or another rounding mode;
     - under NN_DOUBLE, a C library whose fma is not exact;
     - the times in nn_progress.

   NUMBERS NEAR ZERO. Denormal numbers are correct wherever they occur, but many processors compute
   with them a hundred times more slowly, and training makes them: what decays by a factor never
   reaches zero by itself. Therefore some results are defined as zero. Velocities, the mean of the
   gradients, and what exp, sigmoid and softmax return are zero below the smallest normal number
   (1.2e-38, or 2.2e-308 in double). dL/dz of nonlinear layers, and parameters that decay, are zero
   below 2^26 times that number, because their products would be denormal. In the mean of squared
   gradients, no gradient counts as less than 6.4e-16 (2e-146), whose square is a normal number.

   FILES. nn_save writes a safetensors file. Python's safetensors.torch.load_file reads it, and
   gives what PyTorch's load_state_dict takes; the metadata "nn.input_offset" and "nn.input_scale"
   list the scaling, x_scaled = (x - offset) / scale, as decimal numbers in the order of the inputs.
   nn_load_parameters reads the file that safetensors.torch.save_file writes of a PyTorch model.
   Files are never trusted: any byte may be wrong. A header may have 100,000,000 bytes, as in the
   reference implementation; the time to read it is in proportion to them, times the logarithm of
   the number of tensors. Nothing is read behind a header that is wrong, and one byte behind the
   data. The memory that is allocated is in proportion to the file, except where a few of its bytes
   describe a large image: NN_MALLOC may refuse it. Without a heap, the header is read once for each
   layer; its bytes times the layers may be 2^26, and its tensors must be in the order of the data.
   The checksum is a CRC-32: it finds damage, not forgery. nn_export_c writes C source: the model as
   one function, for machines that only predict. nn_export_onnx writes an ONNX file, for programs
   that have an ONNX runtime.

   SAVING. An old file stays whole until the new one is complete and on the disk, and is then
   replaced at once. Any number of processes may save to one path and load from it at the same
   time: whoever loads gets a whole file. The new file is written beside the old one as
   `path.1a2b3c4d.tmp`, a random name that no other file has (nn.1a2b3c4d.tmp where that is too
   long). A failure removes it; only a process that is killed leaves it behind.
     - POSIX (Linux, macOS, BSD): a new file has the permissions that fopen gives. Later ones keep
       the old one's permissions, and its owner and group where the system lets this user set them;
       a group that cannot be kept loses what others may not do. Access control lists and hard
       links are not kept. A symbolic link stays, and the file that it points to is replaced. A
       device or a pipe is written to, not replaced.
     - Windows: a symbolic link is replaced by a file, and the new file has the permissions that its
       folder gives. A file that is read-only, or that another program keeps open for more than half
       a second, cannot be replaced: NN_ERROR_WRITE.
     - Elsewhere, and where NN_FOPEN is replaced: what the C library does. The temporary file is
       opened with C11's mode "x" where that is announced and NN_FOPEN is not replaced. Otherwise
       the only check is that its name cannot be opened for reading. Nothing tells the disk to
       write, unless NN_FSYNC does.
   The disk makes saving slow. Where a crash of the machine does not matter, define NN_FSYNC(file)
   as 0.

   SWITCHES. Define them before the #include. Only the file with NN_IMPLEMENTATION reads these:

       NN_IMPLEMENTATION   in one file: the functions' bodies
       NN_USE_OPENBLAS     OpenBLAS computes large products of more than one row (link it), where
                           there are vector kernels
       NN_OPENBLAS_WORK    from this many multiply-adds on: 1e8
       NN_BACKEND          an expression that names the set of kernels to use, for tests: >>platform
       NN_ALLOW_FAST_MATH  compile under -ffast-math all the same
       NN_ONLY_ACTIVATIONS, NN_ONLY_LOSSES, NN_ONLY_OPTIMIZERS, NN_ONLY_LAYERS, NN_ONLY_PADDINGS
                           the operations that are compiled in: (1u << NN_RELU | 1u << NN_SIGMOID)
       NN_NO_OPEN          nn_model_open_in refuses files, and predicting is smaller

   Each file may have its own of these:

       NN_STATIC           the functions are static: private to a file that has NN_IMPLEMENTATION
       NN_DEF              how public functions are declared, instead of extern

   These must be the same in all files that share functions:

       NN_DOUBLE           double instead of float everywhere
       NN_NO_FMA           for machines without fused multiply-add: multiply, then add, each rounded
                           (clang must not be told -ffp-contract=fast)
       NN_NO_STDIO         no files, no FILE, no clock
       NN_NO_MALLOC        no heap: only the caller's blocks (..._create_in); no nn_fit, no
                           nn_export_..., no files by path, nothing that reads or divides data, no
                           metadata, no scaling of targets, no nn_shard_gradient
       NN_NO_TRAIN         predicting and loading models only: no training, data, metrics, saving,
                           no nn_quantize and no nn_export_...
       NN_NO_CONVOLUTION   dense layers only: no images, convolutions or pools; -O2 compiles in half
                           the time
       NN_NO_SIMD          the scalar kernels only: no function pointers, no look at the processor
       NN_ALIGNMENT        arrays begin at multiples of it: 64, without a heap as types need it
       NN_PREDICT_ROWS     rows that are predicted at a time: 32, without a heap 1

   Files that disagree do not link: the linker knows each function by a name that ends with the
   file's switches. When it misses nn_fit_DOUBLE_NO_STDIO, the file that calls nn_fit has NN_DOUBLE
   and NN_NO_STDIO, and the file with NN_IMPLEMENTATION has not. When it misses a plain nn_fit, it
   is the file with NN_IMPLEMENTATION that has such switches. NN_ALIGNMENT and NN_PREDICT_ROWS must
   be plain numbers, because they become part of these names. One program may hold two builds, such
   as float and double, each with its own NN_IMPLEMENTATION.

   SHARED LIBRARIES. The functions are exported from a library that is compiled with
   -fvisibility=hidden, or from a DLL, when the file with NN_IMPLEMENTATION says so before the
   #include:

       #define NN_DEF extern __attribute__((visibility("default")))   // gcc, clang
       #define NN_DEF extern __declspec(dllexport)                    // Windows

   The programs that call them need no NN_DEF. On Windows, extern __declspec(dllimport) saves one
   jump for each call.

   Functions of the C library that can be replaced, all in >>platform: NN_MALLOC with NN_FREE,
   NN_ASSERT, NN_FMA, NN_SQRT, NN_READ_BYTE, NN_TIME, NN_FOPEN, NN_FOPEN_NEW, NN_FREAD, NN_FWRITE,
   NN_FERROR, NN_FFLUSH, NN_FSYNC, NN_FCLOSE, NN_RENAME, NN_REMOVE.

   LIMITS. A net is one sequence of layers: dense, convolutions, pools. Counts of rows and widths
   are int. The largest error of the functions in >>math is 2 ulp (units in the last place). x86-64
   processors without fma (before 2013) compute the same bits, much slower; NN_NO_FMA is faster
   there.

   NEWS. NN_VERSION is the version of a header; NN_VERSION_MAJOR, NN_VERSION_MINOR and
   NN_VERSION_PATCH are its numbers, for #if. Before 1.0.0 names may change with the second number.

   0.2.0 adds to 0.1.0, as that was at first: convolutions and pools; the activations ELU, SiLU,
   GELU and softplus; the losses MAE and quantile; RMSprop; the plateau schedule; class weights,
   labels, scaled targets, history, micro-batches; tables with text and missing cells, recipes,
   names, metadata; nn_importance; nn_predict_classes, nn_model_copy, nn_layer_parameters;
   nn_shard_gradient for many processes; nn_model_open_in, nn_export_c, nn_export_onnx, nn_quantize;
   sizes at compile time; vector kernels, OpenMP and OpenBLAS.

   These names have changed:

       0.1.0                                    0.2.0
       nn_create, nn_create_in, nn_free         nn_model_create, nn_model_create_in, nn_model_free
       nn_open_in, nn_open_size, NN_OPEN_SIZE   nn_model_open_in, nn_model_open_size,
                                                NN_MODEL_OPEN_SIZE
       nn_randomize                             nn_initialize
       nn_confusion                             nn_confusion_matrix
       nn_place, nn_export                      nn_location, nn_export_options
       nn_csv, nn_header                        nn_csv_options, nn_csv_header
       NN_HEADER_AUTO, NN_HEADER_YES,           NN_CSV_HEADER_AUTO, NN_CSV_HEADER_YES,
       NN_HEADER_NO                             NN_CSV_HEADER_NO
       NN_CONSTANT, NN_STEP, NN_COSINE          NN_SCHEDULE_CONSTANT, NN_SCHEDULE_STEP,
                                                NN_SCHEDULE_COSINE
       NN_ERROR_CSV_TARGET                      NN_ERROR_CSV_COLUMN

   These calls have changed:
     - A layer is NN_DENSE(8, NN_RELU) instead of {8, NN_RELU}, which is refused now. Structs have
       new fields, also before old ones: set fields by name.
     - nn_initialize(model, NN_INITIALIZE_DEFAULT, seed): there are several schemes. The default,
       which nn_model_create uses, was He's or Glorot's and is PyTorch's: the same seed gives other
       weights.
     - nn_evaluate(model, data, &options, &metrics) takes the options instead of the loss.
     - nn_class_scores fills an nn_scores instead of an array of three numbers.
     - nn_load_parameters(model, path, NULL, location) and nn_load_parameters_memory take the names
       of the layers, or NULL.
     - nn_csv_options: place is location. target is a list in one string instead of the array
       target_names. comment is a string instead of a character.
     - nn_read_idx gives labels, one int a row, instead of one-hot targets in y.
     - Losses, metrics, learning rates and norms are nn_real instead of double, and nn_split takes
       an nn_real: in nn_metrics, nn_progress, nn_train_batch, nn_accumulate, nn_learning_rate,
       nn_gradient_norm.
     - An option without effect is refused, and so is a softmax of one output.
     - Some model files of 0.1.0 and its checkpoints are refused, with NN_ERROR_CHECKSUM or
       NN_ERROR_METADATA.
*/

/* ================================================================================================
   >>config
   ============================================================================================= */

#ifdef NN_H /* a later #include in the same file: its switches must be those of the first */
#if defined(NN_STATIC) != defined(NN__WITH_STATIC)
#error "nn.h: NN_STATIC has changed since the first #include in this file"
#elif defined(NN_DOUBLE) != defined(NN__WITH_DOUBLE)
#error "nn.h: NN_DOUBLE has changed since the first #include in this file"
#elif defined(NN_NO_FMA) != defined(NN__WITH_NO_FMA)
#error "nn.h: NN_NO_FMA has changed since the first #include in this file"
#elif defined(NN_NO_STDIO) != defined(NN__WITH_NO_STDIO)
#error "nn.h: NN_NO_STDIO has changed since the first #include in this file"
#elif defined(NN_NO_MALLOC) != defined(NN__WITH_NO_MALLOC)
#error "nn.h: NN_NO_MALLOC has changed since the first #include in this file"
#elif defined(NN_NO_TRAIN) != defined(NN__WITH_NO_TRAIN)
#error "nn.h: NN_NO_TRAIN has changed since the first #include in this file"
#elif defined(NN_NO_SIMD) != defined(NN__WITH_NO_SIMD)
#error "nn.h: NN_NO_SIMD has changed since the first #include in this file"
#elif defined(NN_NO_CONVOLUTION) != defined(NN__WITH_NO_CONVOLUTION)
#error "nn.h: NN_NO_CONVOLUTION has changed since the first #include in this file"
#endif
#endif

#ifndef NN_H
#define NN_H

#include <stddef.h>
#include <stdint.h>

/* The version of this file, as text and as numbers: see NEWS in >>doc. */
#define NN_VERSION       "0.2.0"
#define NN_VERSION_MAJOR 0
#define NN_VERSION_MINOR 2
#define NN_VERSION_PATCH 0

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
#ifdef NN_NO_MALLOC
#define NN__DEFAULT_ROWS 1
#else
#define NN__DEFAULT_ROWS 32
#endif
#ifndef NN_PREDICT_ROWS
#define NN_PREDICT_ROWS NN__DEFAULT_ROWS
#endif

/* Arrays begin at multiples of this within a block, a power of two of at least sizeof(nn_real): a
   cache line, or no more than needed where memory is scarce. */
#ifdef NN_ALIGNMENT
#define NN__GIVEN_ALIGNMENT
#elif defined(NN_NO_MALLOC)
#define NN_ALIGNMENT sizeof(nn_real)
#else
#define NN_ALIGNMENT 64
#endif

/* Files that were compiled with different switches disagree about types, layouts of memory or
   results, and must not share functions. Therefore the linker knows the public functions by names
   that end with the switches that are not the default: under NN_DOUBLE and NN_NO_FMA, nn_fit is
   nn_fit_DOUBLE_NO_FMA. A file with other switches refers to functions that are not there. This
   costs no byte, works with every linker, and leaves the default names as they are. */
#ifdef NN_STATIC
#define NN__WITH_STATIC
#endif
#ifdef NN_DOUBLE
#define NN__WITH_DOUBLE
#define NN__RENAMED
#define NN__ENDING_DOUBLE _DOUBLE
#else
#define NN__ENDING_DOUBLE
#endif
#ifdef NN_NO_FMA
#define NN__WITH_NO_FMA
#define NN__RENAMED
#define NN__ENDING_NO_FMA _NO_FMA
#else
#define NN__ENDING_NO_FMA
#endif
#ifdef NN_NO_STDIO
#define NN__WITH_NO_STDIO
#define NN__RENAMED
#define NN__ENDING_NO_STDIO _NO_STDIO
#else
#define NN__ENDING_NO_STDIO
#endif
#ifdef NN_NO_MALLOC
#define NN__WITH_NO_MALLOC
#define NN__RENAMED
#define NN__ENDING_NO_MALLOC _NO_MALLOC
#else
#define NN__ENDING_NO_MALLOC
#endif
#ifdef NN_NO_TRAIN
#define NN__WITH_NO_TRAIN
#define NN__RENAMED
#define NN__ENDING_NO_TRAIN _NO_TRAIN
#else
#define NN__ENDING_NO_TRAIN
#endif
#ifdef NN_NO_SIMD
#define NN__WITH_NO_SIMD
#define NN__RENAMED
#define NN__ENDING_NO_SIMD _NO_SIMD
#else
#define NN__ENDING_NO_SIMD
#endif
#ifdef NN_NO_CONVOLUTION
#define NN__WITH_NO_CONVOLUTION
#define NN__RENAMED
#define NN__ENDING_NO_CONVOLUTION _NO_CONVOLUTION
#else
#define NN__ENDING_NO_CONVOLUTION
#endif
#if NN_PREDICT_ROWS == NN__DEFAULT_ROWS
#define NN__ENDING_ROWS
#else
#define NN__RENAMED
#define NN__ENDING_ROWS NN__PASTE(_PREDICT_ROWS_, NN_PREDICT_ROWS)
#endif
#ifndef NN__GIVEN_ALIGNMENT
#define NN__ENDING_ALIGNMENT
#elif NN_ALIGNMENT == 64 && !defined(NN_NO_MALLOC)
#define NN__ENDING_ALIGNMENT
#elif NN_ALIGNMENT < 1 || (NN_ALIGNMENT & (NN_ALIGNMENT - 1))
#error "nn.h: NN_ALIGNMENT must be a power of two"
#else
#define NN__RENAMED
#define NN__ENDING_ALIGNMENT NN__PASTE(_ALIGNMENT_, NN_ALIGNMENT)
#endif
#define NN__PASTE(a, b)          NN__PASTE_EXPANDED(a, b)
#define NN__PASTE_EXPANDED(a, b) a##b
#define NN__LINKED(name)                                                                           \
    NN__LINKED_AS(name, NN__ENDING_DOUBLE, NN__ENDING_NO_FMA, NN__ENDING_NO_STDIO,                 \
                  NN__ENDING_NO_MALLOC, NN__ENDING_NO_TRAIN, NN__ENDING_NO_SIMD,                   \
                  NN__ENDING_NO_CONVOLUTION, NN__ENDING_ALIGNMENT, NN__ENDING_ROWS)
#define NN__LINKED_AS(name, a, b, c, d, e, f, g, h, i)                                             \
    NN__LINKED_AS_EXPANDED(name, a, b, c, d, e, f, g, h, i)
#define NN__LINKED_AS_EXPANDED(name, a, b, c, d, e, f, g, h, i) name##a##b##c##d##e##f##g##h##i
#if defined(NN__RENAMED) && !defined(NN_STATIC)
#define nn_accumulate             NN__LINKED(nn_accumulate)
#define nn_backend                NN__LINKED(nn_backend)
#define nn_backward               NN__LINKED(nn_backward)
#define nn_check_shape            NN__LINKED(nn_check_shape)
#define nn_class_name             NN__LINKED(nn_class_name)
#define nn_class_scores           NN__LINKED(nn_class_scores)
#define nn_clear_gradients        NN__LINKED(nn_clear_gradients)
#define nn_confusion_matrix       NN__LINKED(nn_confusion_matrix)
#define nn_cross_validate         NN__LINKED(nn_cross_validate)
#define nn_data_free              NN__LINKED(nn_data_free)
#define nn_evaluate               NN__LINKED(nn_evaluate)
#define nn_export_c               NN__LINKED(nn_export_c)
#define nn_export_c_memory        NN__LINKED(nn_export_c_memory)
#define nn_export_onnx            NN__LINKED(nn_export_onnx)
#define nn_export_onnx_memory     NN__LINKED(nn_export_onnx_memory)
#define nn_fit                    NN__LINKED(nn_fit)
#define nn_fit_scaling            NN__LINKED(nn_fit_scaling)
#define nn_fit_target_scaling     NN__LINKED(nn_fit_target_scaling)
#define nn_forward                NN__LINKED(nn_forward)
#define nn_get_shape              NN__LINKED(nn_get_shape)
#define nn_gradient_norm          NN__LINKED(nn_gradient_norm)
#define nn_gradients              NN__LINKED(nn_gradients)
#define nn_importance             NN__LINKED(nn_importance)
#define nn_initialize             NN__LINKED(nn_initialize)
#define nn_input_name             NN__LINKED(nn_input_name)
#define nn_layer_parameters       NN__LINKED(nn_layer_parameters)
#define nn_learning_rate          NN__LINKED(nn_learning_rate)
#define nn_load                   NN__LINKED(nn_load)
#define nn_load_checkpoint        NN__LINKED(nn_load_checkpoint)
#define nn_load_checkpoint_memory NN__LINKED(nn_load_checkpoint_memory)
#define nn_load_memory            NN__LINKED(nn_load_memory)
#define nn_load_parameters        NN__LINKED(nn_load_parameters)
#define nn_load_parameters_memory NN__LINKED(nn_load_parameters_memory)
#define nn_metadata               NN__LINKED(nn_metadata)
#define nn_model_copy             NN__LINKED(nn_model_copy)
#define nn_model_create           NN__LINKED(nn_model_create)
#define nn_model_create_in        NN__LINKED(nn_model_create_in)
#define nn_model_free             NN__LINKED(nn_model_free)
#define nn_model_open_in          NN__LINKED(nn_model_open_in)
#define nn_model_open_size        NN__LINKED(nn_model_open_size)
#define nn_model_size             NN__LINKED(nn_model_size)
#define nn_outputs                NN__LINKED(nn_outputs)
#define nn_parameter_count        NN__LINKED(nn_parameter_count)
#define nn_parameters             NN__LINKED(nn_parameters)
#define nn_parse_csv              NN__LINKED(nn_parse_csv)
#define nn_predict                NN__LINKED(nn_predict)
#define nn_predict_classes        NN__LINKED(nn_predict_classes)
#define nn_predict_data           NN__LINKED(nn_predict_data)
#define nn_print_progress         NN__LINKED(nn_print_progress)
#define nn_quantize               NN__LINKED(nn_quantize)
#define nn_read_csv               NN__LINKED(nn_read_csv)
#define nn_read_idx               NN__LINKED(nn_read_idx)
#define nn_save                   NN__LINKED(nn_save)
#define nn_save_checkpoint        NN__LINKED(nn_save_checkpoint)
#define nn_save_checkpoint_memory NN__LINKED(nn_save_checkpoint_memory)
#define nn_save_memory            NN__LINKED(nn_save_memory)
#define nn_scratch_size           NN__LINKED(nn_scratch_size)
#define nn_set_learning_rate      NN__LINKED(nn_set_learning_rate)
#define nn_set_metadata           NN__LINKED(nn_set_metadata)
#define nn_set_scaling            NN__LINKED(nn_set_scaling)
#define nn_set_target_scaling     NN__LINKED(nn_set_target_scaling)
#define nn_shard_gradient         NN__LINKED(nn_shard_gradient)
#define nn_split                  NN__LINKED(nn_split)
#define nn_split_fold             NN__LINKED(nn_split_fold)
#define nn_status_text            NN__LINKED(nn_status_text)
#define nn_train_batch            NN__LINKED(nn_train_batch)
#define nn_trainer_create         NN__LINKED(nn_trainer_create)
#define nn_trainer_create_in      NN__LINKED(nn_trainer_create_in)
#define nn_trainer_fit            NN__LINKED(nn_trainer_fit)
#define nn_trainer_free           NN__LINKED(nn_trainer_free)
#define nn_trainer_size           NN__LINKED(nn_trainer_size)
#define nn_update                 NN__LINKED(nn_update)
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef NN_REAL nn_real;

enum { NN__FIRST_PREDICT_ROWS = NN_PREDICT_ROWS, NN__FIRST_ALIGNMENT = NN_ALIGNMENT };

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
    NN_ERROR_SIZE,       /* a count or width is zero or negative, or there are too few rows, or
                            other ones than in the interrupted epoch */
    NN_ERROR_OVERFLOW,   /* sizes too large for memory, or for a model file's header */
    NN_ERROR_MEMORY,     /* an allocation failed */
    NN_ERROR_BLOCK,      /* the caller's memory is too small, or scratch is not aligned */
    NN_ERROR_OPTION,     /* an option is outside its range, has no effect with the others, or is
                            not the checkpoint's */
    NN_ERROR_LAYER,      /* no such kind of layer or padding, or a field that the kind does not
                            have: was the nn_layer zeroed first? */
    NN_ERROR_IMAGE,      /* the numbers of an image are not the inputs; an image that is not the
                            first layer or is the last one; a convolution or pool of no image */
    NN_ERROR_KERNEL,     /* the kernel of a convolution is larger than its padded input */
    NN_ERROR_WINDOW,     /* the window of a pool is larger than its input */
    NN_ERROR_ACTIVATION, /* no such activation, or softmax before the last layer or of width 1 */
    NN_ERROR_LOSS,       /* no such loss, or the last activation does not fit it */
    NN_ERROR_SHAPE,      /* the data's inputs or outputs are not the model's, in number or name */
    NN_ERROR_BATCH,      /* more rows than the batch holds */
    NN_ERROR_STATE,      /* called out of order: nn_backward before nn_forward, or training again
                            after it has ended */
    NN_ERROR_READ_ONLY,  /* the model was opened over a file and has no parameters of its own */
    NN_ERROR_DATA,       /* NaN, infinity, or too large numbers in the inputs or targets */
    NN_ERROR_TARGET,     /* a target outside [0, 1] for a cross-entropy */
    NN_ERROR_LABEL,      /* a label outside the classes, fewer than two classes, or other classes
                            than the model's */
    NN_ERROR_WEIGHT,     /* a row weight that is negative or not finite, or weights whose sum is 0,
                            or far too small or too large: see nn_data */
    NN_ERROR_DIVERGED,   /* the loss or a parameter became NaN or infinite; training stopped. The
                            learning rate is too large, or numbers of the data are. */
    NN_ERROR_OPEN,       /* the file cannot be opened */
    NN_ERROR_READ,       /* the file cannot be read; it may be a folder */
    NN_ERROR_WRITE,      /* the file cannot be written whole; the old one is intact */
    NN_ERROR_CSV_EMPTY,  /* no row of data */
    NN_ERROR_CSV_CELLS,  /* a row with too few or too many cells */
    NN_ERROR_CSV_NUMBER, /* a cell that is missing or not a finite number */
    NN_ERROR_CSV_QUOTE,  /* a quote that does not end, or stands where none may */
    NN_ERROR_CSV_TEXT,   /* a column of text with too many different texts */
    NN_ERROR_CSV_COLUMN, /* no column has this name or number, or it is listed twice */
    NN_ERROR_CSV_ENCODING, /* UTF-16, or names, classes or categories that are not UTF-8 */
    NN_ERROR_IDX_MAGIC,    /* not an IDX file of unsigned bytes */
    NN_ERROR_IDX_SIZE,  /* an IDX file shorter or longer than its header says, or counts differ */
    NN_ERROR_TRUNCATED, /* a model file shorter or longer than its header says */
    NN_ERROR_HEADER,    /* a model file whose header is not a safetensors header */
    NN_ERROR_METADATA,  /* a model file without nn.h's metadata, or with metadata it cannot read;
                            a key or a text that nn_set_metadata refuses */
    NN_ERROR_TENSOR,    /* a tensor is missing, there twice, left over, of another shape or type, or
                            the order of the layers is not known */
    NN_ERROR_CHECKSUM,  /* a model file whose bytes are not the ones that were saved */
    NN_ERROR_PARAMETER, /* a parameter that is NaN or infinite, in a model or its file */
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
    int dropped;      /* CSV: rows that drop_bad_rows had left out before the failure */
    /* CSV: the cell's text; model files: the tensor's name; checkpoints: the name of the option
       that differs. Cut to fit. */
    char name[64];
    /* CSV: what was expected instead, in English: "a number", "5 cells"; checkpoints: the option's
       value there, where a text can say it. */
    char expected[64];
} nn_location;

/* ---- Model ----------------------------------------------------------------------------------- */

typedef enum nn_activation {
    NN_LINEAR = 0,
    NN_RELU,
    NN_LEAKY_RELU, /* z where z > 0, else 0.01 z */
    NN_SIGMOID,
    NN_TANH,
    NN_SOFTMAX,  /* last layer only, of at least 2 outputs: of one it would always be 1 */
    NN_ELU,      /* z where z > 0, else exp(z) - 1 */
    NN_SILU,     /* z sigmoid(z) */
    NN_GELU,     /* z (1 + erf(z / sqrt 2)) / 2 */
    NN_SOFTPLUS, /* log(1 + exp(z)) */
    NN_ACTIVATION_COUNT
} nn_activation;

/* An image is [height x width x channels] numbers, channels last: the channels of one pixel follow
   each other, then comes the next pixel of its line. A sequence, such as the samples of a sensor,
   is an image of height 1. */
typedef enum nn_layer_kind {
    NN_LAYER_DENSE = 0, /* y = activation(x * W + b) */
#ifndef NN_NO_CONVOLUTION
    NN_LAYER_IMAGE, /* says that each input row is an image; computes nothing */
    /* y = activation(patch * W + b) for each patch of the image that the kernel covers, with W
       [kernel height x kernel width x channels before x channels] (PyTorch's Conv2d) */
    NN_LAYER_CONVOLUTION,
    NN_LAYER_MAX_POOL,      /* the largest number of each channel in each window */
    NN_LAYER_AVERAGE_POOL,  /* the mean of each channel in each window */
    NN_LAYER_GLOBAL_AVERAGE /* the mean of each channel in the whole image */
#endif
} nn_layer_kind;

#ifndef NN_NO_CONVOLUTION
/* What a convolution sees beyond the edges of its image. An output has ceil(n / stride) positions
   along an edge of n pixels with padding, and floor((n - kernel) / stride) + 1 without. */
typedef enum nn_padding {
    NN_PADDING_NONE = 0, /* nothing: the kernel stays within the image */
    NN_PADDING_SAME = 15 /* kernel - 1 zeros, (kernel - 1) / 2 of them before the first pixel:
                            PyTorch's padding "same", and for odd kernels its padding kernel / 2
                            with any stride. No activation is 15: where the two are swapped, the
                            layer is refused. */
} nn_padding;
#endif

/* One layer of a shape. Write it with the macro of its kind, or zero the struct and set its fields:

       const nn_layer layers[] = {NN_DENSE(8, NN_RELU), NN_DENSE(1, NN_SIGMOID)}; */
typedef struct nn_layer {
    nn_layer_kind kind;
    nn_activation activation; /* dense, convolution */
    int width; /* >= 1: outputs of a dense layer; width of an image, a kernel or a window */
#ifndef NN_NO_CONVOLUTION
    int height;                      /* >= 1: of an image, a kernel or a window */
    int channels;                    /* >= 1: of an image; of the output of a convolution */
    int stride_height, stride_width; /* >= 0: pixels from one patch to the next one; 0 means 1, or
                                        the whole window of a pool */
    nn_padding padding;              /* convolution */
#endif
} nn_layer;

/* clang-format off */
#ifdef NN_NO_CONVOLUTION
#define NN_DENSE(width, activation) {NN_LAYER_DENSE, activation, width}
#else
/* A dense layer of `width` outputs. Of an image it takes all numbers, in their order. */
#define NN_DENSE(width, activation)                                                                \
    {NN_LAYER_DENSE, activation, width, 0, 0, 0, 0, NN_PADDING_NONE}

/* The first layer of a net with convolutions or pools: height * width * channels are the inputs, in
   this order, so that the channels of one pixel are side by side. */
#define NN_IMAGE(height, width, channels)                                                          \
    {NN_LAYER_IMAGE, NN_LINEAR, width, height, channels, 0, 0, NN_PADDING_NONE}

/* Convolutions: NN_CONV2D with a square kernel, NN_CONV1D along the width, NN_CONVOLUTION with a
   rectangle. */
#define NN_CONV2D(channels, kernel, stride, padding, activation)                                   \
    NN_CONVOLUTION(channels, kernel, kernel, stride, stride, padding, activation)
#define NN_CONV1D(channels, kernel, stride, padding, activation)                                   \
    NN_CONVOLUTION(channels, 1, kernel, 1, stride, padding, activation)
#define NN_CONVOLUTION(channels, height, width, stride_height, stride_width, padding, activation)  \
    {NN_LAYER_CONVOLUTION, activation, width, height, channels,                                    \
     stride_height, stride_width, padding}

/* Pools, whose windows stay within the image: pixels that no window reaches are left out. */
#define NN_MAX_POOL2D(window, stride) NN_MAX_POOL(window, window, stride, stride)
#define NN_MAX_POOL1D(window, stride) NN_MAX_POOL(1, window, 1, stride)
#define NN_MAX_POOL(height, width, stride_height, stride_width)                                    \
    NN__POOL(NN_LAYER_MAX_POOL, height, width, stride_height, stride_width)
#define NN_AVERAGE_POOL2D(window, stride) NN_AVERAGE_POOL(window, window, stride, stride)
#define NN_AVERAGE_POOL1D(window, stride) NN_AVERAGE_POOL(1, window, 1, stride)
#define NN_AVERAGE_POOL(height, width, stride_height, stride_width)                                \
    NN__POOL(NN_LAYER_AVERAGE_POOL, height, width, stride_height, stride_width)
#define NN_GLOBAL_AVERAGE NN__POOL(NN_LAYER_GLOBAL_AVERAGE, 0, 0, 0, 0)
#define NN__POOL(kind, height, width, stride_height, stride_width)                                 \
    {kind, NN_LINEAR, width, height, 0, stride_height, stride_width, NN_PADDING_NONE}
#endif
/* clang-format on */

typedef struct nn_shape {
    int inputs;             /* >= 1 */
    const nn_layer *layers; /* [count], from the first layer to the output layer */
    int count;              /* >= 1 */
} nn_shape;

/* Returns whether a model can have this shape. *layer receives the number of the layer that is
   wrong, counted from 0, or -1 where it is no layer; layer may be NULL. */
NN_DEF nn_status nn_check_shape(const nn_shape *shape, int *layer);

/* The layers, the parameters, the scaling, the metadata. Predicting with scratch memory of your own
   never writes to a model. */
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
   no heap. The caller frees the memory after the model's last use, and calls nn_model_free before
   that if the model may have metadata. */
NN_DEF nn_status nn_model_create_in(nn_model **model, void *memory, size_t size,
                                    const nn_shape *shape, uint64_t seed);

/* Frees a model and its metadata; NULL is allowed. Of a model in the caller's memory it frees the
   metadata, which is on the heap, and leaves the memory alone. */
NN_DEF void nn_model_free(nn_model *model);

/* How initial weights are drawn: uniform in [-bound, bound). fan_in is the number of a layer's
   inputs, fan_out of its outputs; of a convolution, the kernel's area times the channels before it
   and times its own channels. Biases are zero, but for the default: that is PyTorch's Linear and
   Conv2d, and suits most nets. He is for deep nets of ReLU layers. */
typedef enum nn_initialization {
    NN_INITIALIZE_DEFAULT = 0, /* bound sqrt(1 / fan_in), for biases too */
    NN_INITIALIZE_HE,          /* bound sqrt(6 / fan_in) (He et al. 2015) */
    NN_INITIALIZE_GLOROT,      /* bound sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010) */
    NN_INITIALIZE_LECUN        /* bound sqrt(3 / fan_in) (LeCun et al. 1998) */
} nn_initialization;

/* Draws new parameters. nn_model_create does it with NN_INITIALIZE_DEFAULT. */
NN_DEF nn_status nn_initialize(nn_model *model, nn_initialization scheme, uint64_t seed);

/* Fills *shape with what the model was made of; shape->layers points into the model. */
NN_DEF nn_status nn_get_shape(const nn_model *model, nn_shape *shape);

/* The numbers of an output row. 0 for a NULL model. */
NN_DEF int nn_outputs(const nn_model *model);

/* The kernels in use: "avx512", "avx2", "neon", "wasm" or "scalar". "+openblas" follows where
   OpenBLAS computes large products. NULL for a NULL model. */
NN_DEF const char *nn_backend(const nn_model *model);

/* All parameters as one array: for each layer its weights, then its biases, as in nn_layer_arrays.
   Images and pools have none. They may be changed. nn_parameters is NULL for a NULL model and for
   one that nn_model_open_in made; nn_parameter_count is 0 for a NULL model. */
NN_DEF nn_real *nn_parameters(nn_model *model);
NN_DEF size_t nn_parameter_count(const nn_model *model);

/* The parameters of one layer: y = activation(x * weights + biases). Of a convolution x is one
   patch, so that inputs is kernel height * kernel width * channels before, in this order, and
   outputs is its channels. Images and pools have 0 and NULL. */
typedef struct nn_layer_arrays {
    int inputs, outputs;
    nn_real *weights; /* [inputs x outputs] */
    nn_real *biases;  /* [outputs] */
} nn_layer_arrays;

/* Fills *arrays with where the parameters of layer number `layer`, counted from 0, are. The arrays
   stay the model's; they may be changed. NN_ERROR_SIZE when there is no such layer. */
NN_DEF nn_status nn_layer_parameters(nn_model *model, int layer, nn_layer_arrays *arrays);

#ifndef NN_NO_MALLOC
/* Makes *copy on the heap: the same layers, parameters, scaling and metadata. nn_model_free frees
   it. */
NN_DEF nn_status nn_model_copy(nn_model **copy, const nn_model *model);

/* Metadata: texts that a model carries with it, for example its author or its licence. Each has a
   key. nn_model_copy, nn_save and nn_save_checkpoint keep them.

   nn_set_metadata stores a copy of key and value, in place of an earlier value of the key. NULL for
   the value removes it. Both must be UTF-8. NN_ERROR_METADATA when they are not, and for a key that
   is empty, is "format", or begins with "nn.". */
NN_DEF nn_status nn_set_metadata(nn_model *model, const char *key, const char *value);

/* The value of a key; NULL when there is none. The text is the model's. It stays until the key is
   set again, another file is loaded into the model, or the model is freed. */
NN_DEF const char *nn_metadata(const nn_model *model, const char *key);

/* The names of input i and of class k, both counted from 0; NULL where there is none. nn_fit and
   nn_trainer_fit store those of the data, as the metadata "input_names" and "class_names", and its
   recipe as "recipe". Each list of names is one row of CSV: with commas between the names, and in
   quotes where a name has a comma, a line end or a quote, which is doubled. nn_set_metadata refuses
   any other text for these two keys (NN_ERROR_METADATA), and a wrong number of names
   (NN_ERROR_SHAPE for inputs, NN_ERROR_LABEL for classes: one for each output, or two for one
   output). The names stay as long as the value of nn_metadata. */
NN_DEF const char *nn_input_name(const nn_model *model, int i);
NN_DEF const char *nn_class_name(const nn_model *model, int k);
#endif

/* y[rows x outputs] = model(x[rows x inputs]). x and y must not overlap. x is not yet scaled: the
   model scales a copy of it. With NULL for scratch, the model's own scratch memory is used, by one
   thread at a time. Several threads may predict with one model when each passes nn_scratch_size
   bytes of its own, aligned as malloc aligns. NN_ERROR_DATA when x is not finite; y is then
   unchanged. NN_ERROR_DATA, too, when an output is not finite because numbers of x are too large,
   or NN_ERROR_PARAMETER because a parameter is not finite (under NN_NO_MALLOC NN_ERROR_DATA); y is
   then 0. nn_predict_data does the same for an nn_data, whose inputs it can check. */
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

/* Rows to train on, to measure on or to predict. Fill the struct from arrays of your own, or read a
   file. The targets are numbers in y, or classes, which labels count from 0. Both forms of a class
   give the same results, to the last bit; labels need less memory and time. As targets in y, class
   k of several outputs is one-hot: output k is 1 and the others are 0. With one output, the two
   classes are 0 and 1. */
typedef struct nn_data {
    int rows, inputs, outputs;
    int classes;       /* 0: regression; 2: one output or two; more: one output for each class */
    const nn_real *x;  /* [rows x inputs]; behind NN_IMAGE [rows x height x width x channels] */
    const nn_real *y;  /* [rows x outputs]; NULL with labels, or when targets are not known, which
                          nn_predict_data, nn_split, nn_split_fold and nn_fit_scaling accept */
    const int *labels; /* [rows] the class of each row, 0 to classes - 1, instead of y; or NULL.
                          Under NN_NO_MALLOC they are not read: y is needed. */
    const nn_real *weight; /* [rows] the row's weight in its batch's mean loss, >= 0; NULL means 1.
                              A row of weight 0 is left out. The sum of all is between 2^-100 and
                              2^100 (in double 2^-996 and 2^996; under NN_NO_MALLOC: > 0). */
    const char *const *input_names; /* [inputs], or NULL */
    const char *const *class_names; /* [classes], or NULL */
    const char *recipe; /* how nn_read_csv read the table, as text, which nn_fit keeps in the model;
                           or NULL */
    int dropped;        /* rows that were left out because of a cell that is bad or missing */
    int imputed;        /* missing cells that were filled in */
    int unknown;  /* cells of a category that the recipe does not know: its inputs are all 0 */
    void *memory; /* what nn_data_free frees; NULL for the caller's arrays */
} nn_data;

typedef enum nn_scaling {
    NN_SCALE_NONE = 0,
    NN_SCALE_STANDARD, /* (x - mean) / standard deviation (of the population) */
    NN_SCALE_MIN_MAX   /* (x - min) / (max - min), in [0, 1] on the data it was fitted to */
} nn_scaling;

/* Gives the model an input scaling by hand: the scaled input is (x - mean) / deviation, computed as
   (x - mean) * (1 / deviation). mean[inputs] are finite; deviation[inputs] and 1 / deviation are
   finite and > 0, else NN_ERROR_OPTION. For a scaling of another program, such as scikit-learn's
   mean_ and scale_. */
NN_DEF nn_status nn_set_scaling(nn_model *model, const nn_real *mean, const nn_real *deviation);

#ifndef NN_NO_MALLOC
/* The same for the targets of a regression, mean[outputs] and deviation[outputs]: nn_predict gives
   output / (1 / deviation) + mean. nn_fit_target_scaling says what else that means. */
NN_DEF nn_status nn_set_target_scaling(nn_model *model, const nn_real *mean,
                                       const nn_real *deviation);
#endif

#ifndef NN_NO_TRAIN

/* nn_predict for the rows of data: y[rows x outputs of the model] = model(data->x). It checks what
   nn_predict cannot know: that the data's inputs are the model's, by their number and, where both
   have names, by these (NN_ERROR_SHAPE). Targets are not read and need not be there. */
NN_DEF nn_status nn_predict_data(const nn_model *model, const nn_data *data, nn_real *y,
                                 void *scratch);

/* Computes the input scaling from data and stores it in the model. From then on the model applies
   it to every input that it is given. Use the training rows only. A column that is constant, or
   whose deviation is so small that its inverse overflows (2.9e-39, in double 5.6e-309), is only
   shifted. NN_SCALE_NONE removes the scaling; data may then be NULL. NN_ERROR_DATA when an input is
   not finite or 4 times an input overflows. NN_NO_MALLOC makes the ranges smaller: NN_ERROR_DATA
   when 4 rows * (largest |x|)^2 overflows, and a column is only shifted when the squares of its
   deviations are 0. */
NN_DEF nn_status nn_fit_scaling(nn_model *model, const nn_data *data, nn_scaling scaling);

#ifndef NN_NO_MALLOC

/* The same for the targets of a regression, which may be prices in the hundred thousands: computes
   an offset and a scale for each output from data->y, and stores them in the model. Training then
   compares the outputs with the scaled targets (t - offset) / scale; the losses of nn_progress,
   nn_train_batch, nn_accumulate and nn_evaluate are of these. nn_predict gives output * scale +
   offset, in the targets' own units, as do nn_forward, nn_export_c and the functions that load a
   model; mse, mae and r2 of nn_evaluate are in these units too. NN_ERROR_OPTION for data with
   classes. */
NN_DEF nn_status nn_fit_target_scaling(nn_model *model, const nn_data *data, nn_scaling scaling);

/* Shuffles the rows by the seed and copies them into two new data sets. *train gets train_fraction,
   in (0, 1), of the rows, rounded; *test gets the others. When data has classes and targets the
   split is stratified: each class is divided in the same proportion. Names and the recipe are
   copied too. NN_ERROR_SIZE when a set would be empty. nn_data_free frees both. */
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
    /* The first row is a header when it is made of names: when its input cells have text and no
       number, or when the target is text in it and numbers below. With text_columns, a first row
       that is all text is a header when an input is numbers below, or when none of its texts occurs
       again in its column. Missing marks, true, false, yes and no are no names. */
    NN_CSV_HEADER_AUTO = 0,
    NN_CSV_HEADER_YES,
    NN_CSV_HEADER_NO
} nn_csv_header;

/* The target of a table without one. */
#define NN_NO_TARGET ""

/* How to read a table. A list of columns is a row of CSV, "age,height": names that occur once in
   the header, or numbers, from 1 on or from the end (-1 is the last column). A name that is a
   number stands in quotes. */
typedef struct nn_csv_options {
    char delimiter;      /* between cells; 0 means ','. ' ' means any number of blanks and tabs.
                            NN_ERROR_OPTION for what numbers have: a digit, + - e E. */
    char decimal;        /* '.' or ','; 0 means '.' */
    const char *comment; /* lines that begin with one of these characters are skipped; ARFF: "%@" */
    nn_csv_header header;
    const char *target; /* list of the target columns; NULL: the last one; NN_NO_TARGET: none */
    int targets;        /* without a list, that many of the last columns; 0 means 1 */
    const char *use;    /* list of the input columns; NULL: all that are not targets or ignored */
    const char *ignore; /* list of columns to leave out */
    int labels;         /* 1: the one target is a class, even where its cells are numbers */
    int classes;        /* with class_names: how many there are */
    const char *const *class_names; /* [classes] the classes and their order; NULL: the classes that
                                       are found, sorted */
    /* 1: an input column with text becomes categories: one input for each of its texts (256 at
       most), 1 in the rows that have the text and 0 in the others. Numbers among the texts are
       categories too, if there are no more than 16 different ones; otherwise the texts are bad
       cells. 0: text in an input column is a bad cell. */
    int text_columns;
    /* 1: a missing cell of an input becomes the mean of its column's numbers in this table. Among
       categories it becomes a category of its own. 0: it is a bad cell. */
    int impute;
    const char *missing; /* marks of missing cells beside the empty one, a row of CSV, in upper or
                            lower case; NULL means "NA,N/A,nan,null,?" */
    int drop_bad_rows;   /* 1: rows with a bad cell or without a target are left out and counted.
                            A row with too few or too many cells is an error all the same. */
    /* Reads the table as the one that the model was trained on, or as other data, by its recipe:
       columns in any order, with or without the targets, the same inputs, means and classes. Names
       that are used must occur once. The options above must be 0, but for delimiter, decimal,
       comment, drop_bad_rows and NN_NO_TARGET. A text that is no category sets its inputs to 0 and
       is counted. */
    const nn_model *model;
    const nn_data *like;
    nn_location *location; /* receives the place of a failure; may be NULL */
} nn_csv_options;

/* Reads a table from CSV text[length] (RFC 4180: quoted cells, "" for a quote; lines end with LF,
   CRLF, or all with CR). A number is rounded to the nearest nn_real, whatever the C locale, and -0
   to 0; true and yes are 1, false and no are 0. The target is a number, or a class where its column
   is text.
   The classes that are found (at most 4,096) are sorted: numbers by value, text by its bytes. Equal
   numbers are one class (1 and 1.0). A column whose texts are all numbers with the other decimal
   point is an error, unless labels is set. The inputs are named by the header, or x1, x2 ... in
   their order; those of categories name=text and name=(missing). Blanks around unquoted cells are
   ignored, and so are rows and columns in which every cell is empty. NN_ERROR_CSV_NUMBER says that
   a cell is missing or not a number. The memory in use is at most twice that of data, and some
   hundred bytes for each column. options may be NULL. nn_data_free frees *data. */
NN_DEF nn_status nn_parse_csv(nn_data *data, const char *text, size_t length,
                              const nn_csv_options *options);

#ifndef NN_NO_STDIO
/* The same from a file, which is read piece by piece. */
NN_DEF nn_status nn_read_csv(nn_data *data, const char *path, const nn_csv_options *options);

/* Reads images and their labels in IDX format (MNIST's), unsigned bytes. Each image is a row, line
   by line, as NN_IMAGE(height, width, 1) takes it: x = byte / 255. Its label becomes the row's in
   data->labels. classes is how many there are; 0 means the highest label + 1. Two classes become
   one output, more become one for each. location may be NULL. nn_data_free frees *data. */
NN_DEF nn_status nn_read_idx(nn_data *data, const char *images, const char *labels, int classes,
                             nn_location *location);
#endif
#endif /* NN_NO_MALLOC */

/* ---- Training options ------------------------------------------------------------------------ */

typedef enum nn_loss {
    NN_MSE = 0,              /* mean of (p - t)^2 over rows and outputs */
    NN_HUBER,                /* d^2 / 2 up to |d| = huber_delta, linear beyond (Huber 1964) */
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
    NN_SCHEDULE_STEP,   /* times step_factor after every schedule_steps updates */
    NN_SCHEDULE_COSINE, /* half a cosine from the learning rate down to minimum_learning_rate, in
                           schedule_steps updates; constant after them */
    /* nn_fit: times step_factor, but not below minimum_learning_rate, after every plateau_patience
       epochs without a lower loss (see patience). It is PyTorch's ReduceLROnPlateau with patience =
       plateau_patience - 1, threshold = min_delta, threshold_mode = "abs" and no cooldown. An error
       for nn_train_batch. */
    NN_SCHEDULE_PLATEAU
} nn_schedule;

#ifndef NN_NO_MALLOC
/* What nn_fit reports of a complete epoch: the fields of that name in nn_progress. */
typedef struct nn_epoch {
    int epoch; /* from 1 */
    nn_real loss, accuracy, validation_loss, validation_accuracy, learning_rate;
} nn_epoch;

/* The epochs of one or more runs, one after the other, for plots. Set epochs and capacity, and zero
   count. */
typedef struct nn_history {
    nn_epoch *epochs; /* [capacity] the caller's array */
    int capacity;     /* NN_ERROR_BLOCK when a run may need more: its epochs, all folds' together */
    int count;        /* epochs that are filled in */
} nn_history;
#endif

typedef struct nn_trainer nn_trainer;
typedef struct nn_progress nn_progress;

/* Called by nn_fit. When it returns anything but 0, training ends, and nn_fit returns NN_OK. */
typedef int (*nn_callback)(const nn_progress *progress, void *user);

/* Says 0 in those options in which 0 means a default that is not 0. */
#define NN_ZERO ((nn_real)-1)

/* How to train. Zero the struct and set what differs from the defaults. An option that has no
   effect with the others is refused with NN_ERROR_OPTION: momentum with Adam, huber_delta with
   another loss, callback_batches without a callback. Only `user` may be set without a callback. */
typedef struct nn_options {
    int epochs; /* passes over the data; 0 means 100 */
    nn_loss loss;
    nn_optimizer optimizer;
    int batch_size; /* rows for each update; 0 means 32. All rows, if there are fewer. */
    /* Rows of a batch that go through the net at a time; 0 means all of them. Fewer need less
       memory and, without dropout, give the same results. */
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
    int schedule_steps;   /* step, cosine: updates, see nn_schedule; 0 means all updates of nn_fit,
                             and is an error for nn_train_batch */
    int plateau_patience; /* plateau: epochs, see nn_schedule; 0 means 10 */
    nn_real step_factor;  /* step, plateau: in [0, 1); 0 means 0.1; NN_ZERO means 0 */
    nn_real minimum_learning_rate; /* cosine, plateau: the smallest rate, >= 0 */
    int warmup_steps; /* updates of linear warm-up before the schedule begins; 0 means none */

    nn_real label_smoothing; /* in [0, 1): with NN_CROSS_ENTROPY t becomes t (1 - s) + s / outputs,
                                with NN_BINARY_CROSS_ENTROPY t (1 - s) + s / 2 */
    nn_real huber_delta;     /* > 0; 0 means 1 */
    nn_real quantile;        /* in (0, 1); 0 means 0.5, the median */
    const nn_real *dropout;  /* [layers] the share of each layer's outputs that dropout zeroes in
                                training, in [0, 1), of the last layer and an image 0; NULL means
                                none */

    /* nn_fit and nn_trainer_fit compute the scaling from the training rows if the model has none.
       For other training call nn_fit_scaling first. */
    nn_scaling scaling;
#ifndef NN_NO_MALLOC
    /* The same for the targets of a regression: see nn_fit_target_scaling. NN_ERROR_OPTION for data
       with classes and for a cross-entropy. */
    nn_scaling target_scaling;
#endif
    /* Rows that are measured after each epoch; NULL means none. They must outlive the trainer. */
    const nn_data *validation;
    /* Instead of these, a share of the data's rows, in [0, 1), which the seed separates from the
       training rows. NN_ERROR_OPTION when both are given. */
    nn_real validation_fraction;
    /* Early stopping: training stops after this many epochs without a lower validation loss
       (without validation: training loss). 0 means that it never does. The best weights are then
       restored, also after the last epoch. When a callback stops nn_trainer_fit they are not, so
       that it can be called again. */
    int patience;
    nn_real min_delta; /* >= 0: with patience or plateau, a loss is lower when it is lower than the
                          best one by more than this */

#ifndef NN_NO_MALLOC
    /* Class weights, for nn_fit and nn_trainer_fit: each row's weight, in the training loss and in
       the validation loss, is multiplied by the weight of its class. Either balance_classes is 1,
       for the weight rows / (classes * rows of the class), counted in the training rows with their
       weights, of the classes that occur there (King and Zeng 2001, as in scikit-learn). Or
       class_weights are the weights of all classes [2 with one output, else outputs], >= 0, not all
       0; they are copied. NN_ERROR_LABEL when the data has no classes. A run allocates one nn_real
       for each row. */
    int balance_classes;
    const nn_real *class_weights;
    nn_history *history; /* receives each epoch; must outlive the trainer; NULL means none */
#endif

    uint64_t seed;        /* of shuffling and dropout */
    nn_callback callback; /* called after each epoch; NULL means none */
    int callback_batches; /* 1: called after each batch too */
    void *user;           /* passed to the callback */
} nn_options;

/* Whether and why training has ended. */
typedef enum nn_ended {
    NN_ENDED_NOT = 0,
    NN_ENDED_EPOCHS,  /* all epochs are done */
    NN_ENDED_PATIENCE /* early stopping: see patience */
} nn_ended;

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
    nn_ended ended;        /* why this is the last call. The model then has its final weights: of
                              best_epoch, or without patience of this epoch. It is not set where
                              the callback ends training. */
    nn_trainer *trainer;   /* to save a checkpoint, say */
    const nn_model *model;
};

/* ---- Training, by loop, batch and step ------------------------------------------------------- */

#ifndef NN_NO_MALLOC
/* Trains the model for options->epochs epochs. Each epoch shuffles the rows again; its last batch
   may be smaller. options may be NULL. NN_ERROR_DIVERGED leaves the last finite weights.

   The model keeps the names of the data's inputs and classes and its recipe: see nn_class_name.
   Where the model has names, data with others are refused, so that no column is taken for another:
   NN_ERROR_SHAPE for inputs, NN_ERROR_LABEL for classes; nn_evaluate, nn_confusion_matrix and
   validation do the same. Only the names x1, x2 ..., which nn_read_csv makes up for a table without
   a header, agree with any. To train on other columns on purpose, first remove the model's names
   with nn_set_metadata. */
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
   without one, if the data is the same. Within an epoch another number of rows is refused
   (NN_ERROR_SIZE), and so it is where a cosine is as long as all updates. Between epochs other rows
   are accepted: training goes on with new data. NN_ERROR_STATE, which no other failure has here,
   says that nothing was left to do: all epochs were done, or early stopping had ended training. The
   model then has its final weights already. */
NN_DEF nn_status nn_trainer_fit(nn_trainer *trainer, const nn_data *data);

/* One update from x[rows x inputs] and y[rows x outputs], rows <= batch_size. *loss receives the
   batch's mean loss before the update; loss may be NULL. */
NN_DEF nn_status nn_train_batch(nn_trainer *trainer, const nn_real *x, const nn_real *y, int rows,
                                nn_real *loss);

/* The same without the update: adds the gradient of the batch's mean loss to the gradients, or
   starts them again after an nn_update. For row weights, gradient accumulation, or sums of
   gradients over processes before nn_update. If a later micro-batch diverges, all gradients are
   zeroed. */
NN_DEF nn_status nn_accumulate(nn_trainer *trainer, const nn_data *batch, nn_real *loss);

#ifndef NN_NO_MALLOC
/* Where a shard is in its batch. A shard is a part of a batch whose other parts are computed by
   other processes, by other threads, or later. */
typedef struct nn_shard {
    int batch_rows;       /* rows of the whole batch, 1 to batch_size */
    int first;            /* rows of the batch before the shard's; only dropout depends on it */
    nn_real batch_weight; /* sum of the row weights of the whole batch; 0: they are all 1 */
} nn_shard;

/* Makes the gradients those of a shard's part in the mean loss of the whole batch, which is the sum
   of the weighted losses of its rows, divided by the sum of all weights of the batch. Earlier
   gradients are overwritten. The gradients of all shards of a batch add up to the one that
   nn_accumulate gives for the whole batch, but for rounding errors. If they are always added in the
   same order, the bits of the sum do not depend on who computes which shard. Write the sum to
   nn_gradients in every process, and nn_update does the rest: clipping, weight decay, schedules.
   *loss receives the shard's part in the mean loss; these parts add up too. loss may be NULL. A
   shard may have no rows, or only rows of weight 0: its gradients and its loss are 0. Shards of one
   batch may be of any size. examples/mpi.c is a program that does all this.

   With dropout, a row of the batch has the same masks whatever shard it is in (where no rows have
   weight 0). They are those that nn_accumulate draws for the whole batch, without micro-batches, in
   a new trainer whose seed is options->seed + 0x9e3779b97f4a7c15 * (number of updates so far). The
   trainer's random generator stays as it is. */
NN_DEF nn_status nn_shard_gradient(nn_trainer *trainer, const nn_data *rows, const nn_shard *shard,
                                   nn_real *loss);
#endif

/* *y becomes the outputs [rows x outputs] for x[rows x inputs], with dropout. rows is at most
   batch_size and micro_batch_size. The outputs stay the trainer's and are valid until its next
   call. */
NN_DEF nn_status nn_forward(nn_trainer *trainer, const nn_real *x, int rows, const nn_real **y);

/* Adds to the gradients (or, after an nn_update, starts them again), from dy[rows x outputs] =
   dL/dy for the rows of the last nn_forward. (For a mean loss over the rows, divide by their
   number.) If dx is not NULL, dx[rows x inputs] receives dL/dx, the gradient with respect to the
   input that is not yet scaled. The outputs of nn_forward are overwritten: each nn_forward serves
   one nn_backward. NN_ERROR_STATE without an nn_forward, and when the model was trained, loaded or
   changed by another function since. */
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
   stdout. When training has ended, one more line says why, and which epoch's weights the model has.
   With callback_batches it also draws a progress bar, which needs a terminal. */
NN_DEF int nn_print_progress(const nn_progress *progress, void *user);
#endif

/* ---- Metrics --------------------------------------------------------------------------------- */

/* A metric is NaN where it has no meaning: auc, for example, where all rows are of one class. Rows
   of weight 0 are left out of every metric. Other weights count only in the loss. A ratio 0 / 0 is
   0. mse is infinite, and r2 NaN, where the squares overflow. */
typedef struct nn_metrics {
    nn_real loss;
    int rows, correct;             /* rows; with classes or a cross-entropy: rows predicted right */
    nn_real accuracy;              /* correct / rows */
    nn_real precision, recall, f1; /* two classes: of class 1 */
    nn_real macro_precision, macro_recall, macro_f1; /* mean over the classes that occur in the data
                                                        or in the predictions */
    nn_real auc;      /* two classes: area under the ROC curve, ties count half */
    nn_real mse, mae; /* mean over rows and outputs */
    nn_real r2; /* 1 - residual / total sum of squares, mean over outputs; NaN if the targets of one
                   are constant, or so small that their squares are 0 */
} nn_metrics;

/* Measures the model on data. Of the options only the loss counts, and what belongs to it
   (label_smoothing, huber_delta, quantile), but not class weights: pass the options that the model
   was trained with, or NULL for defaults. An option without effect is refused here too.
   NN_ERROR_DATA when the loss is not finite: an input or a target is too large. It uses
   the model's own scratch memory: one thread at a time. Under NN_NO_MALLOC auc is NaN, and with
   more than two classes so are the macro means. */
NN_DEF nn_status nn_evaluate(const nn_model *model, const nn_data *data, const nn_options *options,
                             nn_metrics *metrics);

/* Fills the confusion matrix[classes x classes]: how many rows of data are of the class that the
   matrix's row is, and predicted as the class that its column is. data->classes must be set. A
   failure leaves the matrix as it was, or 0 where an output is not finite. */
NN_DEF nn_status nn_confusion_matrix(const nn_model *model, const nn_data *data, int *matrix);

/* The scores of one class. A ratio 0 / 0 is 0. */
typedef struct nn_scores {
    nn_real precision; /* of the rows that are predicted as the class, the share that is of it */
    nn_real recall;    /* of the rows of the class, the share that is predicted as it */
    nn_real f1;        /* harmonic mean of the two */
    int support;       /* rows of the class */
    int predicted;     /* rows that are predicted as the class */
} nn_scores;

/* Fills *scores from matrix[classes x classes], a confusion matrix; of_class counts from 0. */
NN_DEF nn_status nn_class_scores(const int *matrix, int classes, int of_class, nn_scores *scores);

#ifndef NN_NO_MALLOC
/* Cross-validation: for each of `folds` folds (2 to the number of rows), trains a new model of the
   shape on the other folds and measures it on this one. options->seed shuffles the rows and seeds
   the models. Fills results[folds]; after a failure they are zero, unless `folds` was wrong. */
NN_DEF nn_status nn_cross_validate(const nn_shape *shape, const nn_data *data,
                                   const nn_options *options, int folds, nn_metrics *results);

/* How important an input is to a model. */
typedef struct nn_input_importance {
    nn_real mean;      /* of the increases of the loss; about 0 where the model does not need it */
    nn_real deviation; /* standard deviation (of the population) of these increases */
} nn_input_importance;

/* Permutation importance (Breiman 2001; Fisher, Rudin and Dominici 2019): fills results[inputs]
   with how much the loss on data grows when the values of one input are permuted among the rows, in
   `repeats` (>= 1; 5 is usual) permutations that options->seed gives. Rows of weight 0 are left
   out. Inputs that say the same share their importance. options are as in nn_evaluate; NULL means
   defaults. The data is predicted inputs * repeats + 1 times. The call allocates a size_t for each
   row, NN_PREDICT_ROWS rows of inputs and `repeats` numbers. It uses the model's own scratch
   memory: one thread at a time. */
NN_DEF nn_status nn_importance(const nn_model *model, const nn_data *data,
                               const nn_options *options, int repeats,
                               nn_input_importance *results);
#endif
#endif /* NN_NO_TRAIN */

/* ---- Files ----------------------------------------------------------------------------------- */

/* A model file is a safetensors file with PyTorch's names and layout: `0.weight` [out x in],
   `0.bias` [out], ... as in an nn.Sequential (where NN_LINEAR is no module). Its metadata holds the
   layers, the scaling, a checksum, and what nn_set_metadata stored. A checkpoint is a model file
   with the trainer's state in it.

   The weights of a convolution are [out x in x height x width], as in nn.Conv2d; or [out x in x
   width], as in nn.Conv1d, where the image and all kernels have height 1. A pool is a module
   without tensors, and the image is none. nn.Flatten, one more, stands before a dense layer behind
   an image. PyTorch's images have the channels first, [channels x height x width]: the file has
   this layer's weights in that order, so that PyTorch computes the same outputs. A build with
   NN_NO_CONVOLUTION refuses the files of models that have an image: NN_ERROR_METADATA.

   Saving to a path replaces an old file at once, when the new one is complete: see SAVING in >>doc.
   NN_ERROR_OPEN: there is no such folder, it is read-only, or the path is "" or a folder.
   NN_ERROR_WRITE: the disk is full, or the old file cannot be replaced. A model with a parameter
   that is not finite is refused with NN_ERROR_PARAMETER, and a checkpoint with NN_ERROR_STATE when
   there are gradients that no nn_update has used. Loading checks everything before it changes
   anything. location, which may be NULL, says which tensor was wrong. */

#ifndef NN_NO_TRAIN
/* Writes *size bytes to buffer[capacity]. With NULL for buffer it only sets *size. When the
   capacity is too small, it sets *size and returns NN_ERROR_BLOCK. */
NN_DEF nn_status nn_save_memory(const nn_model *model, void *buffer, size_t capacity, size_t *size);
NN_DEF nn_status nn_save_checkpoint_memory(const nn_trainer *trainer, void *buffer, size_t capacity,
                                           size_t *size);
/* Restores the parameters, the scaling, the metadata and the trainer's whole state. Training then
   gives the same results as if it had not stopped. The trainer must have the same shape, and
   options with which the training so far would have been the same. Otherwise NN_ERROR_OPTION:
   location->name is the option that differs, and location->expected its value in the checkpoint.
   An option that is 0 is the same as its default. These options may differ:
     - callback, callback_batches, user and history;
     - micro_batch_size, where there is no dropout;
     - epochs: more, or fewer that are not yet over, unless a cosine is as long as they are, or
       training has ended and patience has restored the best weights;
     - patience, if it is there: more, unless training has ended;
     - validation, without patience and NN_SCHEDULE_PLATEAU; with them its number of rows must be
       the same;
     - before the first nn_trainer_fit, all options that only nn_trainer_fit reads.
   Class weights and dropout are compared by a checksum. A base rate of nn_set_learning_rate is
   restored. The data is not in a checkpoint: see nn_trainer_fit. */
NN_DEF nn_status nn_load_checkpoint_memory(nn_trainer *trainer, const void *bytes, size_t size,
                                           nn_location *location);
#endif

/* Fills the parameters of a model from a file of the same shapes, also from one that PyTorch wrote.
   The tensors of a layer are NAME.weight, shaped as above, and NAME.bias [out], of type F16, BF16,
   F32 or F64; without a bias it is zero. A kernel of height 1 may be nn.Conv1d's or nn.Conv2d's.
   names are the names of the layers in the file, in the order of the model: "input" for
   input.weight. Images and pools have no weights, and no names in this list. With NULL for names,
   all layers of the file are taken, and the numbers in their names give the order: they must be
   equal but for these, as "0", "2", "10" or "fc1", "fc2" are. Under NN_NO_MALLOC names must be
   NULL.

   NN_ERROR_TENSOR when a layer has other tensors (1.running_mean, 0.weight_g): then it is no layer
   that can be read here. These are, without names, all tensors with a dot in their names, and with
   names those that begin with a name of the list and a dot. All others are ignored. location names
   a tensor, or the name of the list that is not in the file or is in the list twice.

   From a file that nn_save wrote the model gets the scaling and the metadata too, in place of its
   own. If it has an image, its layers must be the model's but for the activations, else
   NN_ERROR_METADATA. The metadata of any other file is ignored, and the model keeps its own. A
   program that rewrites a file of ours must leave our metadata out, because its checksum is of the
   bytes that nn_save wrote. Where there is a heap, the functions that load a file allocate a table
   of its tensors. */
NN_DEF nn_status nn_load_parameters_memory(nn_model *model, const void *bytes, size_t size,
                                           const char *const *names, nn_location *location);

/* Makes a model over the bytes of a file exactly as nn_save wrote it: with the same nn_real, and no
   checkpoint. The bytes must outlive the model. The checksum is verified; the weights are then read
   where they are, for example in flash. The caller's memory holds the rest. Such a model can
   predict, be measured and be scaled. It has no metadata, unless nn_set_metadata gives it some.
   Functions that would change or write its parameters return NN_ERROR_READ_ONLY; under NN_NO_OPEN
   so does this function. Its products are scalar, whatever nn_backend says: where there is memory,
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
NN_DEF nn_status nn_load_parameters(nn_model *model, const char *path, const char *const *names,
                                    nn_location *location);
#ifndef NN_NO_TRAIN
NN_DEF nn_status nn_save(const nn_model *model, const char *path);
NN_DEF nn_status nn_save_checkpoint(const nn_trainer *trainer, const char *path);
NN_DEF nn_status nn_load_checkpoint(nn_trainer *trainer, const char *path, nn_location *location);
#endif
#endif
#endif /* NN_NO_MALLOC */

#ifndef NN_NO_TRAIN
/* Replaces every weight w by the nearest number that an int8 can express: q s with -127 <= q <=
   127, ties away from zero. All weights of an output, or of a channel of a convolution's output,
   share one scale s, about their largest |w| / 127, or 0 if that is 0. Biases do not change.
   nn_evaluate before and after shows what it costs. */
NN_DEF nn_status nn_quantize(nn_model *model);

#ifndef NN_NO_MALLOC
/* How nn_export_c writes a model. */
typedef struct nn_export_options {
    /* The function's name; NULL means "predict". It is a C identifier that begins with a letter and
       has a small letter. Keywords of C and C++ are refused, and so are macros that compilers
       define, such as linux, and names that headers use: NN_..., M_... and ..._t. Better take no
       name of the C library. name_... belongs to the file too. */
    const char *name;
    /* 1: the weights as nn_quantize leaves them, one byte each, and a scale for each output or, of
       a convolution, for each channel of its output. */
    int int8;
    /* 1: the names of the classes too, as an array `const char *const predict_classes[]`.
       NN_ERROR_OPTION when the model has none: see nn_class_name. */
    int class_names;
} nn_export_options;

/* Writes the model as a C99 file, constant arrays and one function,

       void predict(const float *x, float *y);      under NN_DOUBLE with double

   which computes what nn_predict computes for one row, to the same bits. It checks nothing: where
   nn_predict would return NN_ERROR_DATA, y may be NaN or infinite. It needs neither this header nor
   a heap. The outputs of each layer but the last one are on its stack, in two arrays that take
   turns; the scaled inputs and images are there too, but no image with its padding. Compiled with
   NN_NO_FMA it gives the results of NN_NO_FMA. The file's first comment says how to use it, and how
   many numbers the arrays hold. Writing to memory is as in nn_save_memory, to a path as in nn_save;
   the text has no 0 at its end. options may be NULL. */
NN_DEF nn_status nn_export_c_memory(const nn_model *model, const nn_export_options *options,
                                    char *buffer, size_t capacity, size_t *size);
#ifndef NN_NO_STDIO
NN_DEF nn_status nn_export_c(const nn_model *model, const char *path,
                             const nn_export_options *options);
#endif

/* Writes the model as an ONNX file, for programs that have an ONNX runtime. The graph's input is
   "x" [batch x inputs], its output "y" [batch x outputs], both in the units of nn_predict: scaling
   is part of the graph. So are the means of the model's recipe: where nn_read_csv filled in missing
   numbers, a NaN in x becomes the mean. Rows of images have their channels last, as in nn_predict;
   the graph brings them into ONNX's order and back. The type of x and y is nn_real's, float or
   double. A runtime's y differs from that of nn_predict by rounding errors. The model's metadata,
   such as the names of its classes, become the file's. The file needs ONNX 1.8 or later (operator
   set 13), which onnxruntime has had since its version 1.6. For double it has fewer operators: its
   version 1.32 has no Erf, which GELU needs, no Conv and no averages, and old versions lack more.
   Writing to memory is as in nn_save_memory, to a path as in nn_save. NN_ERROR_OVERFLOW: the file
   would be longer than 2^31 - 1 bytes, the most that the format allows. NN_ERROR_METADATA: the
   recipe cannot be read. */
NN_DEF nn_status nn_export_onnx_memory(const nn_model *model, void *buffer, size_t capacity,
                                       size_t *size);
#ifndef NN_NO_STDIO
NN_DEF nn_status nn_export_onnx(const nn_model *model, const char *path);
#endif
#endif
#endif

/* ---- Sizes at compile time ------------------------------------------------------------------- */

/* What nn_model_size, nn_model_open_size and nn_trainer_size return, as constants, for nets of at
   most eight layers, all dense:

       static unsigned char model_memory[NN_MODEL_SIZE(2, 8, 1)];              2 inputs, 8, 1
       static unsigned char trainer_memory[NN_TRAINER_SIZE(2, 4, 2, 8, 1)];    Adam, 4 rows

   NN_TRAINER_SIZE(state arrays per parameter, rows at a time, inputs, widths...). State arrays: SGD
   0, SGD with momentum 1, Adam 2, RMSprop 1, RMSprop with momentum 2; one more with patience. The
   rows are micro_batch_size, or batch_size without it. Dropout, SiLU, GELU and softplus need more:
   see nn_trainer_size. */
#define NN_MODEL_SIZE(...) NN__EXPAND(NN__MODEL_SIZE(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0, 0, 0))
#define NN_MODEL_OPEN_SIZE(...)                                                                    \
    NN__EXPAND(NN__MODEL_OPEN_SIZE(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0, 0, 0))
#define NN_TRAINER_SIZE(moments, rows, ...)                                                        \
    NN__EXPAND(NN__TRAINER_SIZE(moments, rows, __VA_ARGS__, 0, 0, 0, 0, 0, 0, 0, 0, 0))

/* ---- Users stop here. ------------------------------------------------------------------------ */

/* ================================================================================================
   >>sizes
   ------------------------------------------------------------------------------------------------
   The private structs and the macros that compute NN_MODEL_SIZE, NN_MODEL_OPEN_SIZE and
   NN_TRAINER_SIZE. The structs are in the public part only because these macros need their sizes.
   A program must not use their fields.

   In the macros a is the number of inputs, b to i are the widths of up to eight layers, and the
   widths of missing layers are 0. `more` is the argument after the eighth layer: when it is not 0,
   the array type in sizeof gets a negative length, and the program does not compile. The terms of
   each sum are the arrays that nn__lay_out_model or nn__lay_out_trainer takes from the block.
   NN__SIZE(n) is n as a size_t, without a cast, of which C++ may warn in the program's files. Of a
   comparison with a literal 0 it may warn, too: hence the + 1 in NN__LARGER.
   ============================================================================================= */

#define NN__EXPAND(x)     x
#define NN__SIZE(n)       ((n) * sizeof(char))
#define NN__LARGER(a, b)  (NN__SIZE(a) + 1 > NN__SIZE(b) + 1 ? NN__SIZE(a) : NN__SIZE(b))
#define NN__ALIGNED(size) (((size) + (NN_ALIGNMENT - 1)) / NN_ALIGNMENT * NN_ALIGNMENT)
#define NN__ARRAY(count)  NN__ALIGNED(NN__SIZE(count) * sizeof(nn_real))
#define NN__PARAMETERS(a, b, c, d, e, f, g, h, i)                                                  \
    (NN__DENSE(a, b) + NN__DENSE(b, c) + NN__DENSE(c, d) + NN__DENSE(d, e) + NN__DENSE(e, f) +     \
     NN__DENSE(f, g) + NN__DENSE(g, h) + NN__DENSE(h, i))
#define NN__DENSE(in, out) ((NN__SIZE(in) + 1) * NN__SIZE(out))
#define NN__OUTPUTS(b, c, d, e, f, g, h, i)                                                        \
    ((i) ? (i) : (h) ? (h) : (g) ? (g) : (f) ? (f) : (e) ? (e) : (d) ? (d) : (c) ? (c) : (b))
#define NN__BUFFER(a, c, e, g, i, outputs)                                                         \
    NN__LARGER(NN__LARGER(NN__LARGER(a, c), NN__LARGER(e, g)), NN__LARGER(i, outputs))
#define NN__LAYERS(b, c, d, e, f, g, h, i)                                                         \
    (NN__SIZE(!!(b)) + !!(c) + !!(d) + !!(e) + !!(f) + !!(g) + !!(h) + !!(i))
#ifdef NN_NO_MALLOC
#define NN__TARGET_SCALING(outputs) 0
#else
#define NN__TARGET_SCALING(outputs) NN__ARRAY(2 * NN__SIZE(outputs))
#endif
#define NN__MODEL_SIZE(a, b, c, d, e, f, g, h, i, ...)                                             \
    (NN__ARRAY(NN__PARAMETERS(a, b, c, d, e, f, g, h, i)) +                                        \
     NN__MODEL_OPEN_SIZE(a, b, c, d, e, f, g, h, i, __VA_ARGS__))
#ifdef NN_NO_CONVOLUTION
#define NN__OFFSETS      1
#define NN__MAPS(layers) 0
#else
#define NN__OFFSETS      2
#define NN__MAPS(layers) NN__ALIGNED((layers + 1) * sizeof(nn__map))
#endif
#define NN__MODEL_OPEN_SIZE(a, b, c, d, e, f, g, h, i, more, ...)                                  \
    (sizeof(char[(more) ? -1 : 1]) - 1 + NN__SLACK + NN__ALIGNED(sizeof(nn_model)) +               \
     NN__MAPS(NN__LAYERS(b, c, d, e, f, g, h, i)) +                                                \
     NN__ALIGNED(NN__LAYERS(b, c, d, e, f, g, h, i) * NN__OFFSETS * sizeof(size_t)) +              \
     NN__ALIGNED(NN__LAYERS(b, c, d, e, f, g, h, i) * sizeof(nn_layer)) +                          \
     NN__ARRAY(2 * NN__SIZE(a)) + NN__TARGET_SCALING(NN__OUTPUTS(b, c, d, e, f, g, h, i)) +        \
     NN__ARRAY((NN_PREDICT_ROWS) *                                                                 \
               (NN__BUFFER(a, c, e, g, i, NN__OUTPUTS(b, c, d, e, f, g, h, i)) +                   \
                NN__BUFFER(b, d, f, h, 0, NN__OUTPUTS(b, c, d, e, f, g, h, i)))))
#ifdef NN__SIMD
#define NN__HIDDEN(b, c) ((c) ? (b) : 0)
#define NN__INPUT_BUFFER(rows, b, c, d, e, f, g, h, i)                                             \
    NN__ARRAY(                                                                                     \
        NN__SIZE(rows) *                                                                           \
        NN__LARGER(NN__LARGER(NN__LARGER(NN__HIDDEN(b, c), NN__HIDDEN(c, d)),                      \
                              NN__LARGER(NN__HIDDEN(d, e), NN__HIDDEN(e, f))),                     \
                   NN__LARGER(NN__LARGER(NN__HIDDEN(f, g), NN__HIDDEN(g, h)), NN__HIDDEN(h, i))))
#else
#define NN__INPUT_BUFFER(rows, b, c, d, e, f, g, h, i) 0
#endif
#define NN__TRAINER_SIZE(moments, rows, a, b, c, d, e, f, g, h, i, more, ...)                      \
    (sizeof(char[(more) ? -1 : 1]) - 1 + NN__SLACK + NN__ALIGNED(sizeof(nn_trainer)) +             \
     NN__ALIGNED(NN__SIZE(rows) * sizeof(size_t)) +                                                \
     (NN__SIZE(moments) + 1) * NN__ARRAY(NN__PARAMETERS(a, b, c, d, e, f, g, h, i)) +              \
     NN__ARRAY(NN__SIZE(rows) * (a)) +                                                             \
     NN__ARRAY(NN__SIZE(rows) * (NN__SIZE(b) + (c) + (d) + (e) + (f) + (g) + (h) + (i))) +         \
     NN__ARRAY(NN__SIZE(rows) * NN__OUTPUTS(b, c, d, e, f, g, h, i)) + NN__ARRAY(rows) +           \
     NN__INPUT_BUFFER(rows, b, c, d, e, f, g, h, i))

/* The scalar kernel of the dense layer alone computes the input gradient in place. */
#if defined(NN__SIMD) || !defined(NN_NO_CONVOLUTION)
#define NN__BACKWARD_BUFFER
#endif

/* NN__ALIGN is an alignment that suits every type here. NN__SLACK is the largest number of bytes
   that are lost when a block begins at an address that is not aligned. */
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

/* What a layer puts out for one row: an image [height x width x channels], or only `size` numbers,
   where the height is 0. */
typedef struct nn__map {
    int size; /* height * width * channels */
#ifndef NN_NO_CONVOLUTION
    int height, width, channels;
#endif
} nn__map;

struct nn_model {
    nn_layer *layers; /* [count] */
#ifndef NN_NO_CONVOLUTION
    nn__map *maps; /* [count + 1] the input of each layer, then the output of the last one */
#endif
    /* [count x NN__OFFSETS] the index of each layer's weights, and behind it that of its biases
       where there are convolutions: see nn__layer_at. */
    size_t *offsets;
    nn_real *parameters;       /* [parameter_count], NULL in a model that nn_model_open_in made */
    const unsigned char *file; /* used where parameters is NULL: for each layer, weights [out x in]
                                  and biases [out], as nn_save wrote them */
    nn_real *offset; /* [inputs], then factor[inputs]; the scaled input is (x - offset) * factor */
#ifndef NN_NO_MALLOC
    nn_real *target_offset; /* [outputs], then factor[outputs]; the scaled target is
                               (t - offset) * factor */
#endif
    nn_real *scratch;   /* [NN_PREDICT_ROWS x width of all buffers]: see nn__infer */
    size_t first_width; /* columns of the first of the buffers in scratch */
#ifndef NN_NO_CONVOLUTION
    size_t second_width; /* columns of the second one; the third one is for padded images */
#endif
#ifdef NN__SIMD
    const struct nn__kernels *kernels;
#endif
#ifndef NN_NO_MALLOC
    void *heap;                /* what nn_model_free frees; NULL in the caller's memory */
    struct nn__pair *metadata; /* in the order of the keys, or NULL: see nn__pair */
#endif
    size_t parameter_count;
    uint32_t changes; /* counts changes of the parameters and of the scaling. nn_backward compares
                         it with the count at nn_forward. */
    int inputs, count;
    nn_scaling scaling;
#ifndef NN_NO_MALLOC
    nn_scaling target_scaling;
#endif
};

#ifndef NN_NO_TRAIN
/* A sum of many numbers with about twice the digits of nn_real. low is the sum of the rounding
   errors of high (Ogita, Rump and Oishi 2005, "Accurate sum and dot product", Sum2). A sum in
   double would give different results on machines whose double has 32 bits, and would be slow on
   machines without double arithmetic. */
typedef struct nn__sum {
    nn_real high, low;
} nn__sum;

/* Sums over rows. */
typedef struct nn__sums {
    nn__sum loss, weight; /* of weight * loss; of the weights */
    int counted, correct; /* rows whose weight is not 0; of those, rows predicted correctly */
} nn__sums;

/* What a checkpoint restores in addition to the arrays. */
typedef struct nn__state {
    uint64_t random_state; /* state of the random generator */
    uint64_t epoch_key;    /* key of the permutation that orders the rows in this epoch */
    uint32_t step;         /* number of updates so far */
    int epoch;             /* number of complete epochs */
    int position;          /* rows of the current epoch that have been used */
    nn__sums sums;         /* over these rows */
    int rows;              /* rows of the data in the last epoch that began; 0 before the first */
    int best_epoch;        /* number of the epoch with the lowest loss, from 1 */
    int waited;            /* epochs since the best one, for early stopping */
    nn_real best_loss;
    nn_real gradient_norm;            /* global norm at the last update, for the callback */
    nn_real last_rate;                /* learning rate of the last update, for the callback */
    nn_real learning_rate;            /* base rate, before the schedule */
    nn__sum correction1, correction2; /* 1 - beta1^step, 1 - beta2^step: Adam's bias correction */
} nn__state;

struct nn_trainer {
    nn_model *model;
    const nn_options *options;
    nn__state state;
    /* [parameter_count] each, in the order of the parameters: the derivatives of the loss; the
       optimizer's state, NULL where it needs none; the best parameters, NULL without patience. */
    nn_real *gradients, *first, *second, *best;
    nn_real *input;            /* [batch x inputs], scaled */
    nn_real *planes;           /* for each layer one to four [batch x width]: see nn__planes */
    nn_real *output_gradients; /* [batch x outputs] dL/dp */
    nn_real *losses;           /* [batch] loss of each row */
#ifdef NN__BACKWARD_BUFFER
    nn_real *buffer; /* [batch x widest input], scratch memory of the input gradient */
#endif
#ifndef NN_NO_CONVOLUTION
    nn_real *padded;     /* [batch x largest], scratch memory for padded images */
    nn_real *transposed; /* scratch memory for the largest kernel, transposed */
#endif
    size_t *index; /* [batch] indices of the batch's rows in the data */
#ifndef NN_NO_MALLOC
    void *heap;
    int shard_first; /* in nn_shard_gradient: rows of the batch before those of the micro-batch, */
    int shard_of;    /* and rows of the batch; otherwise 0 */
#endif
    uint32_t run_steps; /* updates in all epochs of nn_fit, for the schedule */
    int batch;          /* capacity of the arrays [batch x ...]: the rows of a micro-batch */
    int rows;           /* rows of the last nn_forward; 0 when nn_backward has used them */
    uint32_t changes;   /* model->changes at the last nn_forward */
#ifdef NN__SIMD
    int backward_rows; /* rows of the last backward pass */
#endif
    int pending; /* 1: the gradients hold a sum that no update has used, and new ones are added */
};

#endif

#ifdef __cplusplus
}
#endif

#endif /* NN_H */

/* ---- The implementation ---------------------------------------------------------------------- */
#if defined(NN_IMPLEMENTATION) && !defined(NN_IMPLEMENTED)
#define NN_IMPLEMENTED

/* Warnings that ask for another language than C are off within the implementation: C++'s casts and
   nullptr are not C, and a cast that NN_DOUBLE needs is useless without it. */
#ifdef __cplusplus
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wold-style-cast"
#pragma clang diagnostic ignored "-Wzero-as-null-pointer-constant"
#elif defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#pragma GCC diagnostic ignored "-Wuseless-cast"
#endif
#endif

/* ================================================================================================
   >>platform
   ------------------------------------------------------------------------------------------------
   What the library needs of the C library and of the compiler, and small parts that every other
   section uses: tables, statuses, blocks of memory, files, and how vector kernels are written.
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

/* NN__FIRST_... are the values at the first #include in the file. */
typedef char nn__NN_PREDICT_ROWS_has_changed[NN_PREDICT_ROWS == NN__FIRST_PREDICT_ROWS ? 1 : -1];
typedef char nn__NN_ALIGNMENT_has_changed[NN_ALIGNMENT == NN__FIRST_ALIGNMENT ? 1 : -1];
typedef char nn__NN_ALIGNMENT_is_too_small[NN_ALIGNMENT >= sizeof(nn_real) ? 1 : -1];

#define NN__NAN ((nn_real)NAN) /* NAN is a float */

#if defined(NN_DOUBLE) && DBL_MANT_DIG < 53
#error "nn.h: NN_DOUBLE needs a double of 64 bits"
#endif

/* The functions of the C library that are used. A program can replace each of them: it defines the
   macro before it includes this header. */
#ifndef NN_ASSERT
#ifdef NN_NO_STDIO /* assert would link printf into the program of a microcontroller */
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
#else /* fmaf rounds twice in some C libraries, and is slow in the others without the instruction */
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

#ifndef NN_READ_BYTE /* reads a byte of nn_model_open_in's file; AVR's flash needs pgm_read_byte */
#define NN_READ_BYTE(pointer) (*(pointer))
#endif

#ifndef NN_NO_MALLOC
#ifndef NN_MALLOC
#include <stdlib.h>
#define NN_MALLOC(size)  malloc(size)
#define NN_FREE(pointer) free(pointer)
#endif
#endif

#ifndef NN_NO_STDIO
#include <stdio.h>

/* How a file is saved: with POSIX's functions, with those of Windows, or with C's. A program that
   replaces NN_FOPEN has files of its own, which neither POSIX nor Windows knows. (Strict C++ on
   Cygwin hides the functions.) */
#if !defined(NN_FOPEN) && !defined(NN_NO_MALLOC) && !defined(NN_NO_TRAIN)
#if defined(_WIN32)
#define NN__WINDOWS_FILES
#include <fcntl.h>
#include <io.h>
#include <sys/stat.h>
#elif (defined(__unix__) || defined(__unix) || defined(__APPLE__) || defined(__HAIKU__) ||         \
       defined(_AIX) || defined(__QNX__)) &&                                                       \
    !(defined(__CYGWIN__) && defined(__cplusplus) && defined(__STRICT_ANSI__))
#define NN__POSIX_FILES
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
/* In C, <unistd.h> would give the program a hundred names such as read, link and pause. Other
   systems than Linux may rename the functions in it. */
#if defined(__linux__) && !defined(__ANDROID__) && !defined(__cplusplus)
int(close)(int);
int(fchown)(int, uid_t, gid_t);
int(fsync)(int);
ssize_t(readlink)(const char *, char *, size_t);
#else
#include <unistd.h>
#endif
/* The headers hide these under -std=c99 and for programs that ask for an old POSIX. */
#if !defined(__cplusplus) && (defined(__STRICT_ANSI__) || defined(_POSIX_C_SOURCE)) &&             \
    !(defined(_POSIX_C_SOURCE) && _POSIX_C_SOURCE >= 200112L)
int(fchmod)(int, mode_t);
FILE *(fdopen)(int, const char *);
int(fileno)(FILE *);
#endif
#ifdef O_CLOEXEC /* a program that is started meanwhile does not inherit the file */
#define NN__CLOEXEC O_CLOEXEC
#else
#define NN__CLOEXEC 0
#endif
#endif
#endif

#ifndef NN_FOPEN /* only the modes "rb" and "wb" are asked of a function that replaces fopen */
#if defined(_WIN32) && !defined(NN_NO_MALLOC)
#include <errno.h>
#define NN_FOPEN(path, mode) nn__open(path, mode)
#define NN__OPENS
#else
#define NN_FOPEN(path, mode) fopen(path, mode)
#endif
#if (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L) ||                                  \
    (defined(__cplusplus) && __cplusplus >= 201703L) || defined(__wasi__)
#define NN__EXCLUSIVE_MODE "wbx" /* C11's library has it */
#endif
#endif
#ifndef NN_FREAD /* returns the number of bytes that were read */
#define NN_FREAD(buffer, bytes, file) fread(buffer, 1, bytes, file)
#endif
#ifndef NN_FWRITE /* returns the number of bytes that were written */
#define NN_FWRITE(buffer, bytes, file) fwrite(buffer, 1, bytes, file)
#endif
#ifndef NN_FERROR
#define NN_FERROR(file) ferror(file)
#endif
#ifndef NN_FFLUSH /* returns 0 on success */
#define NN_FFLUSH(file) fflush(file)
#endif
#ifndef NN_FCLOSE
#define NN_FCLOSE(file) fclose(file)
#endif
#ifndef NN_FOPEN_NEW
/* Creates a file for writing. Returns NULL when there is something of that name, or it cannot be
   created. Where `restricted` is not 0, no other user may access it yet. */
#define NN_FOPEN_NEW(path, restricted) nn__create_file(path, restricted)
#define NN__CREATES_FILES
#endif
#ifndef NN_FSYNC /* waits until what was flushed is on the disk; returns 0 on success */
#if defined(NN__POSIX_FILES)
#define NN_FSYNC(file) nn__sync(fileno(file))
#define NN__SYNCS
#elif defined(NN__WINDOWS_FILES)
#define NN_FSYNC(file) _commit(_fileno(file))
#else
#define NN_FSYNC(file) ((void)(file), 0)
#endif
#endif
#ifndef NN_RENAME /* replaces an existing file atomically; returns 0 on success */
#ifdef _WIN32
#define NN_RENAME(from, to) nn__rename(from, to)
#define NN__RENAMES
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
#define NN_TIME() nn__seconds() /* for nn_progress and temporary names, not for results */
#include <time.h>

/* Returns the wall-clock time in seconds. Without C11's timespec_get it is the processor time. */
static double nn__seconds(void)
{
#ifdef TIME_UTC
    struct timespec now;

    if (timespec_get(&now, TIME_UTC) == TIME_UTC) /* unreached: see below */
        return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
#endif
    return (double)clock() / CLOCKS_PER_SEC; /* unreached: there is a clock */
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
#define NN__INLINE      static NN__TARGET __forceinline
#define NN__APART       __declspec(noinline)
#define NN__PREFETCH(p) (void)(p)
#else
#define NN__TARGETS(list) __attribute__((target(list)))
/* Without optimisation each inlined copy of a function would have a part of the stack to itself,
   and a kernel of many copies would need hundreds of kilobytes. */
#ifdef __OPTIMIZE__
#define NN__INLINE static inline __attribute__((always_inline)) NN__TARGET
#else
#define NN__INLINE static inline NN__TARGET
#endif
/* Functions that are not inlined: small nets do not call them, and then do not set up their stack
   frame; or they are not called often, and code is smaller without copies. */
#define NN__APART       __attribute__((noinline))
#define NN__PREFETCH(p) __builtin_prefetch(p) /* begins to load the line of the cache at p */
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
#ifndef NN_OPENBLAS_WORK /* OpenBLAS computes products of at least this many multiply-adds */
#define NN_OPENBLAS_WORK 1e8
#endif
#define NN__WITH_OPENBLAS "+openblas"
#else
#define NN__WITH_OPENBLAS
#endif
#endif

/* Small functions that small nets call often. Where there are vector kernels, they are inlined for
   speed. Elsewhere the compiler decides, because small code may matter more; NN__SHARED are those
   of which it would make copies. */
#ifdef NN__SIMD
#define NN__HOT    static inline
#define NN__SHARED static inline
#else
#ifdef __GNUC__
#define NN__APART __attribute__((noinline))
#else
#define NN__APART
#endif
#define NN__HOT    static
#define NN__SHARED static NN__APART
#endif

/* How many numbers of a batch the binary cross-entropy processes at a time, and how many rows the
   cross-entropy. They are on the stack. */
#ifdef NN__SIMD
#define NN__TAILS 64
#else
#define NN__TAILS 1
#endif

/* The back-end of a new model, for tests and measurements: an expression whose value is the name of
   a back-end. NULL means the best one. If the machine does not have the named back-end, the model
   gets the scalar one. */
#ifndef NN_BACKEND
#define NN_BACKEND NULL
#endif

/* The layers, paddings, activations, losses and optimizers that are compiled in, for devices with
   little memory for code. Each macro is a set of bits, for example (1u << NN_RELU | 1u <<
   NN_SIGMOID). Functions refuse the operations that are left out. */
#ifndef NN_ONLY_LAYERS
#define NN_ONLY_LAYERS (~0u)
#endif
#ifndef NN_ONLY_PADDINGS
#define NN_ONLY_PADDINGS (~0u)
#endif
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

/* Whether a model can have its parameters in a file, where nn_model_open_in left them. */
#ifdef NN_NO_OPEN
#define NN__IN_PLACE 0
#else
#define NN__IN_PLACE 1
#endif

/* NN_NO_FMA rounds the product and then the sum. A compiler must not contract the two into one
   fused multiply-add. gcc's vectorizer of straight-line code does so in spite of fp-contract=off
   (gcc bug 106902), so it is switched off too. Without NN_NO_FMA this is not needed: the code then
   has no product that a compiler could fuse with a sum. */
#ifdef NN_NO_FMA
#if defined(__clang__)
#ifndef __wasm__ /* clang 14 warns that it does not know the pragma there */
#pragma float_control(push)
#endif
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

/* A table is a macro that calls X once for each row. There is one row for each status, activation,
   loss or optimizer. NN__CHECK_TABLE does not compile when a row is missing, or when the rows have
   another order than the enum. */
#define NN__NUMBER_ROW(ID, ...)  NN__NUMBER_##ID,
#define NN__COMPARE_ROW(ID, ...) &&(int)NN__NUMBER_##ID == (int)NN_##ID
#define NN__CHECK_TABLE_BY(name, TABLE, count, NUMBERED, COMPARED)                                 \
    enum { TABLE(NUMBERED) NN__NUMBER_OF_##name };                                                 \
    typedef char                                                                                   \
        nn__check_of_##name[1 TABLE(COMPARED) && (int)NN__NUMBER_OF_##name == (int)(count) ? 1     \
                                                                                           : -1]
#define NN__CHECK_TABLE(name, TABLE, count)                                                        \
    NN__CHECK_TABLE_BY(name, TABLE, count, NN__NUMBER_ROW, NN__COMPARE_ROW)

/* For tables whose rows say SIMPLE, ELEMENT or ROW. NN__KEEP_IF_##kind keeps its arguments in the
   rows that say SIMPLE or ELEMENT and drops them in the rows that say ROW.
   NN__KEEP_SIMPLE_IF_##kind keeps them only in the rows that say SIMPLE. */
#define NN__KEEP_IF_SIMPLE(...)  __VA_ARGS__
#define NN__KEEP_IF_ELEMENT(...) __VA_ARGS__
#define NN__KEEP_IF_ROW(...)
#define NN__KEEP_SIMPLE_IF_SIMPLE(...) __VA_ARGS__
#define NN__KEEP_SIMPLE_IF_ELEMENT(...)
#define NN__KEEP_SIMPLE_IF_ROW(...)

/* ---- Statuses -------------------------------------------------------------------------------- */

#define NN__STATUSES(X)                                                                            \
    X(NN_OK, "no error")                                                                           \
    X(NN_ERROR_NULL, "a required pointer is NULL")                                                 \
    X(NN_ERROR_SIZE,                                                                               \
      "a count or width is not positive, or the rows are too few or not the interrupted epoch's")  \
    X(NN_ERROR_OVERFLOW, "the sizes are too large for memory, or for a model file's header")       \
    X(NN_ERROR_MEMORY, "out of memory")                                                            \
    X(NN_ERROR_BLOCK, "the given memory is too small, or the scratch is not aligned")              \
    X(NN_ERROR_OPTION,                                                                             \
      "an option is outside its range, has no effect with the others, or differs from the file's") \
    X(NN_ERROR_LAYER, "unknown kind of layer or padding, or a field that the kind does not have")  \
    X(NN_ERROR_IMAGE,                                                                              \
      "an image not first, or last, or not as large as the inputs; or a layer without an image")   \
    X(NN_ERROR_KERNEL, "a convolution's kernel is larger than its padded input")                   \
    X(NN_ERROR_WINDOW, "a pool's window is larger than its input")                                 \
    X(NN_ERROR_ACTIVATION,                                                                         \
      "unknown activation, or softmax in a layer that is not the last or has one output")          \
    X(NN_ERROR_LOSS, "unknown loss, or the last layer's activation does not fit it")               \
    X(NN_ERROR_SHAPE, "the data's inputs or outputs differ from the model's, in number or name")   \
    X(NN_ERROR_BATCH, "there are more rows than the batch holds")                                  \
    X(NN_ERROR_STATE, "the function was called in the wrong order, or training has already ended") \
    X(NN_ERROR_READ_ONLY,                                                                          \
      "the model's parameters are in a file's bytes: they cannot be changed or written")           \
    X(NN_ERROR_DATA, "the data has a value that is NaN, infinite or too large")                    \
    X(NN_ERROR_TARGET, "a target is outside [0, 1]")                                               \
    X(NN_ERROR_LABEL,                                                                              \
      "a label is outside the classes, there are fewer than two, or they are not the model's")     \
    X(NN_ERROR_WEIGHT,                                                                             \
      "a row weight is negative or not finite, or the sum of all is 0 or far too small or large")  \
    X(NN_ERROR_DIVERGED, "training diverged: the loss or a parameter became NaN or infinite")      \
    X(NN_ERROR_OPEN, "the file cannot be opened")                                                  \
    X(NN_ERROR_READ, "the file cannot be read; it may be a folder")                                \
    X(NN_ERROR_WRITE, "the file cannot be written")                                                \
    X(NN_ERROR_CSV_EMPTY, "the CSV file has no row of data")                                       \
    X(NN_ERROR_CSV_CELLS, "a CSV row has too few or too many cells (is the delimiter right?)")     \
    X(NN_ERROR_CSV_NUMBER, "a CSV cell is missing or not a finite number")                         \
    X(NN_ERROR_CSV_QUOTE,                                                                          \
      "a CSV cell has a quote that is not closed, or a quote in a wrong place")                    \
    X(NN_ERROR_CSV_TEXT, "a CSV column has too many different texts for classes or categories")    \
    X(NN_ERROR_CSV_COLUMN, "the CSV file has no such column, or the column is listed twice")       \
    X(NN_ERROR_CSV_ENCODING, "the CSV file is not UTF-8, but UTF-16 or another encoding")          \
    X(NN_ERROR_IDX_MAGIC, "not an IDX file of unsigned bytes")                                     \
    X(NN_ERROR_IDX_SIZE, "the IDX file's length or count does not fit its header")                 \
    X(NN_ERROR_TRUNCATED, "the model file is shorter or longer than its header says")              \
    X(NN_ERROR_HEADER, "the model file's header is not a safetensors header")                      \
    X(NN_ERROR_METADATA, "metadata is missing or not valid, in a model file or as given")          \
    X(NN_ERROR_TENSOR,                                                                             \
      "a tensor of the model file is missing, left over, there twice, or of other shape or type")  \
    X(NN_ERROR_CHECKSUM, "the model file's checksum is wrong: the file was changed or damaged")    \
    X(NN_ERROR_PARAMETER, "a parameter is NaN or infinite, in the model or in its file")

/* The rows name the whole enumerators, because OK alone is a macro in other headers. */
#define NN__NUMBER_STATUS(id, text)  NN__NUMBER_##id,
#define NN__COMPARE_STATUS(id, text) &&(int)NN__NUMBER_##id == (int)id
NN__CHECK_TABLE_BY(statuses, NN__STATUSES, NN_STATUS_COUNT, NN__NUMBER_STATUS, NN__COMPARE_STATUS);

#define NN__STATUS_TEXT(ID, text) text "\0"
NN_DEF const char *nn_status_text(nn_status status)
{
    /* One array of characters: a linker can leave it out when nothing uses it. It could not leave
       out the texts that an array of pointers refers to. */
    static const char texts[] = NN__STATUSES(NN__STATUS_TEXT) "unknown status";
    const char *text = texts;
    int i;

    for (i = 0; i < NN_STATUS_COUNT && i != (int)status; i++) text += strlen(text) + 1;
    return text;
}

/* ---- Sizes and blocks of memory -------------------------------------------------------------- */

/* A block of memory from which nn__take takes one array after the other. With base NULL the same
   calls only measure the block, so that the size and the layout always agree. All arrays begin at
   multiples of NN_ALIGNMENT. Put wider element types first; later arrays then need no padding. */
typedef struct nn__block {
    unsigned char *base;
    size_t used;
    int overflow;
} nn__block;

/* Takes an array of `count` elements of `size` bytes. Returns NULL when the block only measures.
   Sets block->overflow when the bytes do not fit a size_t. */
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

/* Takes an array [rows x cols]. */
static nn_real *nn__take_reals(nn__block *block, size_t rows, size_t cols)
{
    if (cols && rows > SIZE_MAX / cols) {
        block->overflow = 1;
        return NULL;
    }
    return (nn_real *)nn__take(block, rows * cols, sizeof(nn_real));
}

/* Returns the bytes of memory that a measured block needs, whatever the address of the memory is.
   0 means that they do not fit a size_t. */
static size_t nn__block_size(const nn__block *block)
{
    return block->overflow ? 0 : block->used + NN__SLACK;
}

/* Returns the first address in memory at which a block may begin: it is aligned for all types. */
static unsigned char *nn__align(void *memory)
{
    const size_t over = (uintptr_t)memory & NN__SLACK;
    return (unsigned char *)memory + (over ? NN__SLACK + 1 - over : 0);
}

#if !defined(NN_NO_MALLOC)

/* Returns memory for an array, or NULL when there is none, or its bytes do not fit a size_t. */
static void *nn__allocate(size_t count, size_t each)
{
    return count <= SIZE_MAX / each ? NN_MALLOC(count * each) : NULL;
}

/* ---- Sorting --------------------------------------------------------------------------------- */

/* Sorts elements[count] of `size` bytes each, in any case in a time in proportion to count log2
   count, which qsort does not promise. Equal elements keep their order. buffer has as many bytes as
   elements. It is a merge sort (Knuth, The Art of Computer Programming 3, 5.2.4): runs of sorted
   elements, of one at first, are merged in pairs. To compare two texts costs no more than the
   shorter one; so each round costs no more than all texts together. */
static void nn__sort(void *elements, void *buffer, size_t count, size_t size,
                     int (*compare)(const void *, const void *))
{
    const size_t total = count * size;
    unsigned char *from = (unsigned char *)elements, *to = (unsigned char *)buffer, *other;
    size_t run, a, b, middle, end, k;

    for (run = size; run < total; run = run < total - run ? 2 * run : total) {
        for (k = 0; k < total;) {
            a = k;
            b = middle = run < total - a ? a + run : total;
            end = run < total - b ? b + run : total;
            for (; k < end; k += size) {
                const int first = a < middle && (b == end || compare(from + a, from + b) <= 0);
                memcpy(to + k, from + (first ? a : b), size);
                *(first ? &a : &b) += size;
            }
        }
        other = from;
        from = to;
        to = other;
    }
    if (from != elements) memcpy(elements, from, total);
}
#endif

/* ---- Locations and files --------------------------------------------------------------------- */

#ifndef NN_NO_MALLOC
/* Copies `length` characters to to[room], or as many as fit, and appends a 0. */
static void nn__copy_text(char *to, size_t room, const char *from, size_t length)
{
    if (length > room - 1) length = room - 1;
    memcpy(to, from, length);
    to[length] = 0;
}
#endif

/* Clears *location and sets its path. location may be NULL. */
static void nn__set_location(nn_location *location, const char *path)
{
    if (!location) return;
    memset(location, 0, sizeof *location);
    location->path = path;
}

#if defined(_WIN32) && !defined(NN_NO_STDIO) && !defined(NN_NO_MALLOC)
/* On Windows a file cannot be replaced while somebody has it open, nor be opened while it is
   replaced. A virus scanner, too, may have it open for a moment. The defaults of NN_FOPEN and
   NN_RENAME try again, for half a second in all. */
#ifdef __cplusplus
extern "C" {
#endif
__declspec(dllimport) unsigned long __stdcall GetFileAttributesA(const char *);
__declspec(dllimport) unsigned long __stdcall GetLastError(void);
__declspec(dllimport) int __stdcall MoveFileExA(const char *, const char *, unsigned long);
__declspec(dllimport) void __stdcall Sleep(unsigned long);
#ifdef __cplusplus
}
#endif

#ifdef NN__OPENS
/* Whether there is a folder of that name. */
static int nn__is_folder(const char *path)
{
    const unsigned long attributes = GetFileAttributesA(path);
    return attributes != 0xffffffffu && (attributes & 16 /* FILE_ATTRIBUTE_DIRECTORY */);
}

static FILE *nn__open(const char *path, const char *mode)
{
    unsigned long milliseconds;
    FILE *file = fopen(path, mode);

    for (milliseconds = 1; !file && errno == EACCES && milliseconds <= 32; milliseconds++) {
        if (nn__is_folder(path)) break;
        Sleep(milliseconds);
        file = fopen(path, mode);
    }
    return file;
}
#endif

#if defined(NN__RENAMES) && !defined(NN_NO_TRAIN)
static int nn__rename(const char *from, const char *to)
{
    const unsigned long flags = 1 /* MOVEFILE_REPLACE_EXISTING */ | 8 /* ..._WRITE_THROUGH */;
    unsigned long milliseconds, error;

    for (milliseconds = 1; !MoveFileExA(from, to, flags); milliseconds++) {
        error = GetLastError();
        if (error != 5 /* ERROR_ACCESS_DENIED */ && error != 32 /* ..._SHARING_VIOLATION */)
            return -1;
        if (milliseconds > 32) return -1;
        Sleep(milliseconds);
    }
    return 0;
}
#endif
#endif

#if !defined(NN_NO_STDIO) && !defined(NN_NO_MALLOC)
/* Reads the next `size` bytes of a file, or fewer where it ends. Returns how many. */
static size_t nn__read_up_to(FILE *file, unsigned char *bytes, size_t size)
{
    size_t used = 0, got;

    do {
        got = NN_FREAD(bytes + used, size - used, file);
        used += got;
    } while (got && used < size);
    return used;
}

/* The same into memory that the caller frees, also after a failure. The memory grows with the bytes
   that are there: `size`, which a file may have named, allocates nothing. */
static nn_status nn__read_bytes(FILE *file, size_t size, unsigned char **bytes, size_t *got)
{
    unsigned char *larger;
    size_t capacity = 0;

    *bytes = NULL;
    *got = 0;
    while (*got == capacity && capacity < size) {
        capacity = capacity == 0 ? 32768 : capacity > size / 2 ? size : 2 * capacity;
        if (capacity > size) capacity = size;
        larger = (unsigned char *)NN_MALLOC(capacity);
        if (!larger) return NN_ERROR_MEMORY;
        if (*got) memcpy(larger, *bytes, *got);
        if (*bytes) NN_FREE(*bytes);
        *bytes = larger;
        *got += nn__read_up_to(file, *bytes + *got, capacity - *got);
    }
    return NN_OK;
}
#endif
#if !defined(NN_NO_TRAIN) && !defined(NN_NO_STDIO) && !defined(NN_NO_MALLOC)

/* ---- Saving files ----------------------------------------------------------------------------
   An old file stays whole until the new one is complete, and then is replaced at once:
     1. A temporary file is created in the folder of the old one. Its name is drawn at random and
        is created only if nothing has it. So processes that save to one path do not meet, and what
        others have put into the folder is neither opened nor followed.
     2. The bytes are written, and the system is told to put them on the disk. Otherwise a machine
        that loses its power could know the new name in step 3, and have lost the bytes.
     3. The temporary file is renamed. Readers find the old file or the new one.
   After a failure the temporary file is removed. A process that is killed leaves it behind.

   With POSIX's functions, a symbolic link is followed first, and the file that it points to is
   replaced. The new file has the old one's permissions. What is no regular file, such as a device
   or a pipe, is never replaced: it is written to.
   ---------------------------------------------------------------------------------------------- */

/* The default of NN_FSYNC on POSIX. */
#ifdef NN__SYNCS
/* Waits until a file or a folder is on the disk. Returns 0 on success, and also for what is on no
   disk (EINVAL). */
static int nn__sync(int descriptor)
{
    int failed;

#ifdef F_FULLFSYNC /* macOS, whose fsync does not wait for the memory of the disk itself */
    if (fcntl(descriptor, F_FULLFSYNC) == 0) return 0;
#endif
    do failed = fsync(descriptor);
    while (failed && errno == EINTR);
    return failed && errno != EINVAL;
}
#endif

/* The default of NN_FOPEN_NEW. */
#ifdef NN__CREATES_FILES
static FILE *nn__create_file(const char *path, int restricted)
{
#if defined(NN__POSIX_FILES)
    const int descriptor =
        open(path, O_WRONLY | O_CREAT | O_EXCL | NN__CLOEXEC, restricted ? 0600 : 0666);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "wb");

    if (descriptor >= 0 && !file) {
        (void)close(descriptor);
        (void)NN_REMOVE(path);
    }
#elif defined(NN__WINDOWS_FILES) /* whose older C libraries have no mode "wbx" */
    const int descriptor = _open(path, _O_WRONLY | _O_CREAT | _O_EXCL | _O_BINARY | _O_NOINHERIT,
                                 _S_IREAD | _S_IWRITE);
    FILE *file = descriptor < 0 ? NULL : _fdopen(descriptor, "wb");

    (void)restricted;
    if (descriptor >= 0 && !file) {
        (void)_close(descriptor);
        (void)NN_REMOVE(path);
    }
#else
    FILE *file;

    (void)restricted;
#ifdef NN__EXCLUSIVE_MODE
    file = NN_FOPEN(path, NN__EXCLUSIVE_MODE);
    if (file) return file;
#endif
    /* Not exclusive: another process could create the same file between these two calls. */
    file = NN_FOPEN(path, "rb");
    if (file) {
        (void)NN_FCLOSE(file);
        return NULL;
    }
    file = NN_FOPEN(path, "wb");
#endif
    return file;
}
#endif

/* Returns the length of the folder in a path, with the separator at its end. */
static size_t nn__folder_length(const char *path)
{
    size_t i, length = 0;

    for (i = 0; path[i]; i++) {
        if (path[i] == '/') length = i + 1;
#if defined(_WIN32) || defined(__CYGWIN__)
        if (path[i] == '\\' || path[i] == ':') length = i + 1;
#endif
    }
    return length;
}

/* Room for what nn__name_temporary appends, and its 0. */
#define NN__TEMPORARY_ROOM 16

/* name[strlen(path) + NN__TEMPORARY_ROOM] becomes `path.1a2b3c4d.tmp` with 8 random digits. In odd
   attempts the file is nn.1a2b3c4d.tmp in the same folder: the name of path may be as long as the
   file system allows. The digits come from the clock and from addresses, which differ between
   processes and between threads. Equal ones would only cost another attempt. */
static void nn__name_temporary(char *name, const char *path, int attempt)
{
    const double now = NN_TIME();
    size_t length = attempt % 2 ? nn__folder_length(path) : strlen(path);
    uint64_t mixed = 0;
    int shift;

    memcpy(&mixed, &now, sizeof now);
    mixed += (uint64_t)(uintptr_t)&now * UINT64_C(0x9e3779b97f4a7c15);
    mixed ^= (uint64_t)(uintptr_t)name * UINT64_C(0xbf58476d1ce4e5b9);
    mixed += (uint64_t)attempt;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    mixed ^= mixed >> 31;
    nn__copy_text(name, length + 1, path, length);
    if (attempt % 2) {
        name[length++] = 'n';
        name[length++] = 'n';
    }
    name[length++] = '.';
    for (shift = 0; shift < 32; shift += 4)
        name[length++] = "0123456789abcdef"[(mixed >> shift) & 15];
    memcpy(name + length, ".tmp", 5);
}

/* Writes a file that is open, and closes it in any case. */
static nn_status nn__write_and_close(FILE *file, const void *bytes, size_t size)
{
    int failed = NN_FWRITE(bytes, size, file) != size || NN_FFLUSH(file) || NN_FSYNC(file);

    if (NN_FCLOSE(file)) failed = 1;
    return failed ? NN_ERROR_WRITE : NN_OK;
}

#ifdef NN__POSIX_FILES
/* Gives a new file, which only this user can access, the owner, the group and the permissions of an
   old one. Returns 0 on success. Most users may not give a file to another owner, or to a group
   that they are not in. Then the new group may do what everybody else may do. */
static int nn__copy_permissions(int descriptor, const struct stat *old)
{
    mode_t mode = old->st_mode & 0777;
    struct stat now;

    if (fstat(descriptor, &now)) return -1;
    if ((now.st_uid != old->st_uid || now.st_gid != old->st_gid) &&
        fchown(descriptor, old->st_uid, old->st_gid) && now.st_gid != old->st_gid &&
        fchown(descriptor, (uid_t)-1, old->st_gid))
        mode = (mode_t)(mode & (0707 | (mode & 7) << 3));
    /* Some file systems have fixed permissions: there is nothing to change then. */
    return (now.st_mode & 0777) != mode && fchmod(descriptor, mode);
}

#endif

#ifdef NN__SYNCS
/* Waits until the folder of a file knows its new name. `path` is changed. A failure is ignored: the
   file is complete under its new name, and some file systems cannot do this for folders. */
static void nn__sync_folder(char *path)
{
    size_t length = nn__folder_length(path);
    int descriptor;

    if (!length) path[length++] = '.';
    path[length] = 0;
    descriptor = open(path, O_RDONLY | NN__CLOEXEC);
    if (descriptor < 0) return;
    (void)nn__sync(descriptor);
    (void)close(descriptor);
}
#endif

/* Replaces the file `path`, or creates it. */
static nn_status nn__replace_file(const char *path, const void *bytes, size_t size)
{
    nn_status status = NN_OK;
    int attempt, replaces = 0;
    FILE *file = NULL;
    char *temporary;
#ifdef NN__POSIX_FILES
    struct stat old;

    replaces = stat(path, &old) == 0;
    if (replaces ? !S_ISREG(old.st_mode) : errno != ENOENT) return NN_ERROR_OPEN;
#endif
    temporary = (char *)NN_MALLOC(strlen(path) + NN__TEMPORARY_ROOM);
    if (!temporary) return NN_ERROR_MEMORY;
    /* C has no way to ask why a file was not created. */
    for (attempt = 0; attempt < 16 && !file; attempt++) {
        nn__name_temporary(temporary, path, attempt);
        file = NN_FOPEN_NEW(temporary, replaces);
    }
    if (!file) {
        NN_FREE(temporary);
        return NN_ERROR_OPEN;
    }
#ifdef NN__POSIX_FILES
    if (replaces && nn__copy_permissions(fileno(file), &old)) status = NN_ERROR_WRITE;
#endif
    if (status == NN_OK)
        status = nn__write_and_close(file, bytes, size);
    else
        (void)NN_FCLOSE(file);
    if (status == NN_OK && NN_RENAME(temporary, path)) status = NN_ERROR_WRITE;
    if (status != NN_OK) (void)NN_REMOVE(temporary);
#ifdef NN__SYNCS
    if (status == NN_OK) nn__sync_folder(temporary);
#endif
    NN_FREE(temporary);
    return status;
}

#ifdef NN__POSIX_FILES
/* Writes to what is no regular file. A file that has come to its place meanwhile is not touched. */
static nn_status nn__write_device(const char *path, const void *bytes, size_t size)
{
    const int descriptor = open(path, O_WRONLY | O_NOCTTY | NN__CLOEXEC);
    struct stat now;
    FILE *file = NULL;

    if (descriptor < 0) return NN_ERROR_OPEN;
    if (fstat(descriptor, &now) == 0 && !S_ISREG(now.st_mode)) file = fdopen(descriptor, "wb");
    if (!file) {
        (void)close(descriptor);
        return NN_ERROR_OPEN;
    }
    return nn__write_and_close(file, bytes, size);
}

/* *next becomes the path to which the symbolic link `path` leads, which the caller frees. It is
   NULL where path is no link. */
static nn_status nn__follow_link(const char *path, char **next)
{
    const size_t folder = nn__folder_length(path);
    size_t room = 256;
    ssize_t length;
    int no_link;

    for (;; room *= 2) {
        *next = (char *)NN_MALLOC(folder + room);
        if (!*next) return NN_ERROR_MEMORY;
        length = readlink(path, *next + folder, room);
        if (length >= 0 && (size_t)length < room) break;
        /* No link, nothing of that name, or a file system without links. */
        no_link = errno == EINVAL || errno == ENOENT || errno == ENOSYS;
        NN_FREE(*next);
        *next = NULL;
        if (length < 0) return no_link ? NN_OK : NN_ERROR_OPEN;
    }
    (*next)[folder + (size_t)length] = 0;
    if ((*next)[folder] == '/')
        memmove(*next, *next + folder, (size_t)length + 1);
    else
        memcpy(*next, path, folder);
    return NN_OK;
}
#endif

/* Saves bytes[size] as the file `path`. */
static nn_status nn__write_file(const char *path, const void *bytes, size_t size)
{
#ifdef NN__POSIX_FILES
    const char *target = path;
    char *followed = NULL, *next = NULL;
    nn_status status = NN_OK;
    struct stat old;
    int links, missing;
#endif

    if (!*path) return NN_ERROR_OPEN;
#ifdef NN__POSIX_FILES
    /* The system follows links here, and refuses those that it does not trust. */
    missing = stat(path, &old);
    if (missing && errno != ENOENT) return NN_ERROR_OPEN;
    if (!missing && !S_ISREG(old.st_mode)) return nn__write_device(path, bytes, size);
    for (links = 0; links <= 40; links++) {
        status = nn__follow_link(target, &next);
        if (status != NN_OK || !next) break;
        if (followed) NN_FREE(followed);
        target = followed = next;
    }
    if (links > 40) status = NN_ERROR_OPEN;
    /* A link in /proc may lead to a file that has lost its path. */
    if (status == NN_OK && followed && !missing && stat(target, &old)) status = NN_ERROR_OPEN;
    if (status == NN_OK) status = nn__replace_file(target, bytes, size);
    if (followed) NN_FREE(followed);
    return status;
#else
#ifdef NN__WINDOWS_FILES
    if (nn__is_folder(path)) return NN_ERROR_OPEN;
#endif
    return nn__replace_file(path, bytes, size);
#endif
}

#endif
#ifdef NN__SIMD

/* ---- How vector kernels are written ---------------------------------------------------------- */

/* NN__NAME(x) is nn__x_isa, for example nn__tile_avx2: the name of a function in the back-end that
   is being defined. NN__ISA is the name of its instruction set. */
#define NN__JOIN(name, isa)  nn__##name##_##isa
#define NN__NAMED(name, isa) NN__JOIN(name, isa)
#define NN__NAME(name)       NN__NAMED(name, NN__ISA)

/* Code that only training needs. */
#ifdef NN_NO_TRAIN
#define NN__OF_TRAINING(...)
#else
#define NN__OF_TRAINING(...) __VA_ARGS__
#endif

/* A loop whose count is a constant after the function is inlined. The compiler unrolls it
   completely, and can then keep the loop's arrays in registers. */
#if defined(__clang__)
#define NN__UNROLL(i, count) _Pragma("clang loop unroll(full)") for (i = 0; i < (count); i++)
#elif defined(__GNUC__)
#define NN__UNROLL(i, count) _Pragma("GCC unroll 16") for (i = 0; i < (count); i++)
#else
#define NN__UNROLL(i, count) for (i = 0; i < (count); i++)
#endif

/* Before a loop: its body is repeated four times, so that one step has fewer instructions. */
#if defined(__clang__)
#define NN__BY_FOUR _Pragma("clang loop unroll_count(4)")
#elif defined(__GNUC__)
#define NN__BY_FOUR _Pragma("GCC unroll 4")
#else
#define NN__BY_FOUR
#endif

/* Loads or stores the first n lanes at p. After a load the other lanes are 0 or copies of these. n
   is NN__LANES except in the last step of a loop. Half a register and one number do not use masks:
   a masked load after a masked store stalls until the store has reached the cache, and in small
   nets that dominates. In the tile of a product (NN__LOAD_IN_TILE) the masked load is the fastest.
   NN__LANES_OF(left) is the number of lanes that a step of a loop uses when `left` numbers are
   left. */
#define NN__DEFINE_LOADS                                                                           \
    NN__INLINE NN__VECTOR NN__NAME(load_up_to)(const nn_real *p, const int n)                      \
    {                                                                                              \
        if (n == NN__LANES) return NN__LOAD(p);                                                    \
        if (n == NN__LANES / 2) return NN__LOAD_HALF(p);                                           \
        if (n == 1) return NN__SET1(*p);                                                           \
        return NN__LOAD_SOME(p, n);                                                                \
    }                                                                                              \
                                                                                                   \
    NN__INLINE void NN__NAME(store_up_to)(nn_real * p, const NN__VECTOR v, const int n)            \
    {                                                                                              \
        if (n == NN__LANES)                                                                        \
            NN__STORE(p, v);                                                                       \
        else if (n == NN__LANES / 2)                                                               \
            NN__STORE_HALF(p, v);                                                                  \
        else if (n == 1)                                                                           \
            NN__STORE_ONE(p, v);                                                                   \
        else                                                                                       \
            NN__STORE_SOME(p, v, n);                                                               \
    }
#define NN__LOAD_UP_TO(p, n)     NN__NAME(load_up_to)(p, n)
#define NN__STORE_UP_TO(p, v, n) NN__NAME(store_up_to)(p, v, n)
#define NN__LOAD_IN_TILE(p, n)   ((n) == NN__LANES ? NN__LOAD(p) : NN__LOAD_SOME(p, n))
#define NN__LANES_OF(left)       ((left) < NN__LANES ? (int)(left) : NN__LANES)

/* NN__ABSOLUTE(v) is |v|, NN__LESS_ABSOLUTE(v) is -|v|. NN__FLUSHED is nn__flushed. NN__SIGN has
   only the sign bits set. */
#define NN__SIGN              NN__SET1(-(nn_real)0)
#define NN__SET1_BITS(bits)   NN__SET1(nn__from_bits(bits))
#define NN__ABSOLUTE(v)       NN__BITS_AND(v, NN__SET1_BITS(~NN__SIGN_BIT))
#define NN__FLUSHED(v, limit) NN__ZERO_IF_LESS(NN__ABSOLUTE(v), limit, v)
#define NN__LESS_ABSOLUTE(v)  NN__BITS_OR(v, NN__SET1_BITS(NN__SIGN_BIT))

/* ---- Primitives ------------------------------------------------------------------------------
   Each block of >>simd defines these for one instruction set.
   NN__VECTOR is a register of NN__LANES numbers. NN__LOAD and NN__STORE need no alignment.
   NN__LOAD_SOME and NN__STORE_SOME access only the first n numbers, 0 <= n <= NN__LANES.
   NN__LOAD_HALF loads half a register of numbers into both halves of the register. NN__STORE_HALF
   stores the first half, NN__STORE_ONE the first number.
   NN__FMA(a, b, c) is a * b + c and NN__FNMA(a, b, c) is c - a * b. Both round as nn__fma does.
   NN__SELECT_LESS(a, b, x, y) is a < b ? x : y, which is y where a or b is NaN.
   NN__ZERO_IF_LESS(a, b, v) is a < b ? 0 : v.
   NN__MAX(a, b) is a > b ? a : b and NN__MIN(a, b) is a < b ? a : b. Both are b where a or b is
   NaN.
   NN__SCALE(x, n, r, high) is x * 2^n for r = NN__ROUNDER + n. The result is normal, or, where high
   is not 0, may be infinite.
   NN__BITS_... treat each lane as an unsigned integer. NN__ANY_BITS tells whether any bit of a
   register is set.
   NN__ZIP_LOW(a, b) interleaves the lower halves: a0 b0 a1 b1 ... NN__ZIP_HIGH(a, b) interleaves
   the upper halves.
   NN__TILE_ROWS x NN__TILE_VECTORS is the size of a tile in registers. They are chosen so that its
   sums and their operands just fill the register file.
   NN__PACK_ROW is the length of a row of b from which on a product always packs its panels. It is
   larger where panels are wider, because packing then saves less. NN__PACK_A is 1 where tiles are
   so small that strips of a may have to be packed: see Packing in >>product.
   ---------------------------------------------------------------------------------------------- */

#ifdef NN_NO_FMA
#define NN__FMA(a, b, c)  NN__ADD(NN__MUL(a, b), c)
#define NN__FNMA(a, b, c) NN__SUB(c, NN__MUL(a, b))
#endif
#endif

/* ================================================================================================
   >>math
   ------------------------------------------------------------------------------------------------
   The functions that the C library would compute differently on different machines. Each operation
   here is one IEEE operation, and the order of the operations is fixed, so that every machine
   computes the same bits. The functions need rounding to nearest and denormal numbers. Programs
   have both unless they change the floating-point environment.

   Each function stands here up to three times: for one number (nn__exp), for a vector register
   (NN__DEFINE_EXP), and as the text that nn_export_c writes (NN__C_MATH_EXP). All three do the same
   operations in the same order; vectors leave out what would be denormal and changes no result.

   The largest errors against the true value, in ulp (units in the last place), with fused
   multiply-add and with NN_NO_FMA:

                     exp     tanh    sigmoid   log1p   erf     expm1
       float         0.78    1.40    1.97      1.27    1.24    0.89    over all 2^32 arguments
       double        0.75    1.40    1.70      1.25    1.39    1.14    over 4 million arguments
   ============================================================================================= */

#if defined(NN__NEEDS_FMAF) && !defined(NN_NO_FMA)
/* a * b + c, rounded once, for machines without the instruction. The product is exact in double.
   The sum is rounded to odd in double: if it is not exact, its last bit becomes 1. The rounding to
   float then gives the same result as a single rounding (Boldo and Melquiond 2008). e is the
   rounding error of the sum (two-sum, Knuth 1969). */
static float nn__fmaf(float a, float b, float c)
{
    const double product = (double)a * (double)b, sum = product + (double)c;
    const double rest = sum - product, e = (product - (sum - rest)) + ((double)c - rest);
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

/* a * b + c, rounded once; under NN_NO_FMA the product and the sum are each rounded. All scalar
   multiply-adds of the library call this function. */
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
#define NN__ROUNDER        6755399441055744.0 /* 1.5 * 2^52: adding it rounds x to an integer */
#define NN__LN2_HIGH       6.93147180369123816490e-01 /* 32 bits: its products with n are exact */
#define NN__LN2_LOW        1.90821492927058770002e-10
#define NN__ROOT_HALF_BITS 0x3fe6a09e667f3bcdu
#define NN__LOG2_E         1.44269504088896341
#define NN__SMALLEST       2.2250738585072014e-308 /* the smallest normal number */
#define NN__EXP_LOW        (-708.39) /* exp(x) is 0 for x < this: it would soon be denormal */
#define NN__EXP_HIGH       710.0     /* exp(x) is infinite for x >= this */
#define NN__EXPM1_LOW      (-40.0)   /* exp(x) - 1 is -1 for x <= this */
#define NN__ERF_HIGH       5.95      /* erf(x) is 1 for x >= this */
#else
typedef uint32_t nn__bits;
#define NN__MANTISSA       23
#define NN__BIAS           127
#define NN__ROUNDER        12582912.0f /* 1.5 * 2^23 */
#define NN__LN2_HIGH       0.693359375f
#define NN__LN2_LOW        (-2.12194440e-4f)
#define NN__ROOT_HALF_BITS 0x3f3504f3u
#define NN__LOG2_E         1.44269504088896341f
#define NN__SMALLEST       1.17549435e-38f
#define NN__EXP_LOW        (-87.33f)
#define NN__EXP_HIGH       89.0f
#define NN__EXPM1_LOW      (-20.0f)
#define NN__ERF_HIGH       3.95f
#endif
#define NN__ERF_LIMIT  0.9     /* erf(x) is x + x p(x^2) where |x| < this */
#define NN__TANH_LIMIT 0.6     /* tanh(x) is x + x^3 p(x^2) where |x| < this */
#define NN__TINY       8.7e-19 /* about 2^-60: its square is far below the last digit of 1 */
#define NN__NEGLIGIBLE (NN__SMALLEST * 67108864) /* 2^26 times: 2^-100, or 2^-996 in double */
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

/* Returns x, or 0 where |x| is below a limit. NaN stays NaN. See NUMBERS NEAR ZERO in >>doc. */
static nn_real nn__flushed(nn_real x, nn_real limit)
{
    return (nn__to_bits(x) & ~NN__SIGN_BIT) < nn__to_bits(limit) ? 0 : x;
}

/* Returns 0 for NaN and infinity, else 1. */
static int nn__is_finite(nn_real x)
{
    return x - x == 0;
}

#define NN__COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* terms[0] x^(count - 1) + ... + terms[count - 1], by Horner's rule. */
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

/* The coefficients of q in nn__exp. The last one is exact: 1/2, as in the series of exp. */
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

/* exp(x) = 2^n exp(r), where x = n ln 2 + r and |r| <= ln 2 / 2 (Cody and Waite 1980, chapter 6).
   exp(r) = 1 + r + r^2 q(r), where q is a minimax polynomial. rest is the rounding error of 1 + r;
   it is added to the smaller terms. 2^n is applied as two factors, because 2^n alone may overflow.
   A result that would be denormal is 0. The last product is an fma with 0: a compiler could fuse a
   plain product with a sum to which the caller adds the result. */
static nn_real nn__exp(nn_real x)
{
    nn_real rounded, count, r, q, sum, rest;
    nn__bits n, half;

    if (x < NN__EXP_LOW) return 0; /* NaN stays NaN */
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

/* times_power(x, rounded) is x * 2^n for rounded = NN__ROUNDER + n, as in nn__exp. NN__SCALE does
   it in one instruction where the instruction set has it. */
#define NN__DEFINE_EXP                                                                             \
    NN__INLINE NN__VECTOR NN__NAME(times_power)(NN__VECTOR x, NN__VECTOR rounded,                  \
                                                const int may_be_high)                             \
    {                                                                                              \
        const nn__bits zero = nn__to_bits(NN__ROUNDER) - NN__BIAS;                                 \
        NN__VECTOR n = NN__BITS_SUB(rounded, NN__SET1_BITS(zero)), half;                           \
                                                                                                   \
        if (may_be_high) {                                                                         \
            n = NN__BITS_SUB(rounded, NN__SET1_BITS(zero - NN__BIAS));                             \
            half = NN__BITS_RIGHT(n, 1);                                                           \
            n = NN__BITS_SUB(n, half);                                                             \
            x = NN__MUL(x, NN__BITS_LEFT(half, NN__MANTISSA));                                     \
        }                                                                                          \
        return NN__FMA(x, NN__BITS_LEFT(n, NN__MANTISSA), NN__SET1(0));                            \
    }                                                                                              \
                                                                                                   \
    NN__INLINE NN__VECTOR NN__NAME(exp)(NN__VECTOR x, const int may_be_low, const int may_be_high) \
    {                                                                                              \
        const NN__VECTOR one = NN__SET1(1), rounder = NN__SET1(NN__ROUNDER);                       \
        const NN__VECTOR low = NN__SET1(NN__EXP_LOW), bounded = may_be_low ? NN__MAX(low, x) : x;  \
        NN__VECTOR rounded, count, r, q, sum;                                                      \
                                                                                                   \
        r = may_be_high ? NN__MIN(NN__SET1(NN__EXP_HIGH), bounded) : bounded;                      \
        rounded = NN__FMA(r, NN__SET1(NN__LOG2_E), rounder);                                       \
        count = NN__SUB(rounded, rounder);                                                         \
        r = NN__FNMA(count, NN__SET1(NN__LN2_HIGH), r);                                            \
        r = NN__FNMA(count, NN__SET1(NN__LN2_LOW), r);                                             \
        q = NN__NAME(polynomial)(nn__exp_terms, NN__COUNT(nn__exp_terms), r);                      \
        sum = NN__ADD(r, one);                                                                     \
        sum = NN__ADD(sum, NN__FMA(NN__MUL(r, r), q, NN__SUB(r, NN__SUB(sum, one))));              \
        sum = NN__SCALE(sum, count, rounded, may_be_high);                                         \
        return may_be_low ? NN__SELECT_LESS(x, low, NN__SET1(0), sum) : sum;                       \
    }

/* What expm1 takes of exp. */
#define NN__C_MATH_REDUCTION                                                                       \
    NN__C_CONSTANT("log2_e", NN__LOG2_E)                                                           \
    NN__C_CONSTANT("rounder", NN__ROUNDER)                                                         \
    NN__C_CONSTANT("ln2_low", NN__LN2_LOW)                                                         \
    NN__C_CONSTANT("ln2_high", NN__LN2_HIGH)

#define NN__C_MATH_EXP                                                                             \
    NN__C_CONSTANT("exp_low", NN__EXP_LOW)                                                         \
    NN__C_CONSTANT("exp_high", NN__EXP_HIGH)                                                       \
    "static @ $_exp(@ x)\n"                                                                        \
    "{\n"                                                                                          \
    "    @ rounded, count, r, q, sum, rest;\n"                                                     \
    "    $_bits n;\n\n"                                                                            \
    "    if (x < $_exp_low) return 0;\n"                                                           \
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

/* sigmoid(x) = 1 / (1 + exp(-x)). It is computed from e = exp(-|x|), which cannot overflow:
   sigmoid(-|x|) = e / (1 + e), which keeps all its digits where it is small, and sigmoid(|x|) =
   1 - sigmoid(-|x|). rest is the rounding error of 1 + e; the fma corrects the quotient for it.
   With a tiny e the correction changes nothing and would be denormal: vectors leave it out. */
static nn_real nn__sigmoid(nn_real x)
{
    nn_real e = nn__exp(-nn__absolute(x)), sum = e + 1, rest = e - (sum - 1);
    nn_real tail = e / sum; /* sigmoid(-|x|) */

    tail = nn__fma(-tail * rest, 1 - tail, tail);
    return x < 0 ? tail : 1 - tail;
}

#define NN__DEFINE_SIGMOID                                                                         \
    NN__INLINE NN__VECTOR NN__NAME(sigmoid)(NN__VECTOR x)                                          \
    {                                                                                              \
        const NN__VECTOR one = NN__SET1(1);                                                        \
        NN__VECTOR e = NN__NAME(exp)(NN__LESS_ABSOLUTE(x), 1, 0), sum = NN__ADD(e, one);           \
        NN__VECTOR rest = NN__SUB(e, NN__SUB(sum, one)), tail = NN__DIV(e, sum);                   \
                                                                                                   \
        rest = NN__SELECT_LESS(e, NN__SET1((nn_real)NN__TINY), NN__SET1(0), rest);                 \
        tail = NN__FNMA(NN__MUL(tail, rest), NN__SUB(one, tail), tail);                            \
        return NN__SELECT_LESS(x, NN__SET1(0), tail, NN__SUB(one, tail));                          \
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

/* tanh(x). Where |x| < 0.6 it is x + x^3 p(x^2), where p is a minimax polynomial. Elsewhere it is
   1 - 2 / (exp(2 |x|) + 1) with the sign of x. */
static nn_real nn__tanh(nn_real x)
{
    nn_real size = nn__absolute(x), z = x * x, p;

    p = nn__polynomial(nn__tanh_terms, NN__COUNT(nn__tanh_terms), z);
    p = size < (nn_real)NN__TANH_LIMIT ? nn__fma(x * z, p, x) : 1 - 2 / (nn__exp(2 * size) + 1);
    return nn__from_bits(nn__to_bits(p) | (nn__to_bits(x) & NN__SIGN_BIT)); /* tanh(-0) is -0 */
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

/* exp(x) - 1 for x <= 0. Near 0 the difference exp(x) - 1 would lose most of its digits. This
   function does not: as in nn__exp, exp(x) = 2^n (1 + p), and so exp(x) - 1 = 2^n p + (2^n - 1).
   NaN stays NaN. */
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

/* The error function erf(x). Where |x| < 0.9 it is x + x p(x^2), elsewhere 1 - exp(q(|x|)) with the
   sign of x. p and q are minimax polynomials; q approximates the logarithm of 1 - erf. */
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

/* log(1 + x) = k ln 2 + log(1 + f), where 1 + f is in [sqrt(1/2), sqrt(2)). With s = f / (2 + f),
   log(1 + f) = 2 atanh(s) = f - s (f - s^2 R(s^2)), where R is a minimax polynomial. c corrects
   the rounding error of 1 + x. This is the method of fdlibm's s_log1p.c. The result is -infinity
   for x = -1 and NaN for x < -1. */
static nn_real nn__log1p(nn_real x)
{
    nn_real u = x + 1, c = 0, f = x, k, s, z, q;
    nn__bits bits = nn__to_bits(u) + (NN__ONE_BITS - NN__ROOT_HALF_BITS);

    if (!(u > 0)) return u < 0 ? (u - u) / (u - u) : u == 0 ? -1 / u : x;
    if (!nn__is_finite(x)) return x;
    k = (nn_real)((int)(bits >> NN__MANTISSA) - NN__BIAS);
    if (k != 0) { /* where k is 0, f = x is exact */
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

/* log1p(exp(-|z|)). softplus(z) = log(1 + exp(z)) is max(z, 0) plus this, and the logarithm of
   sigmoid(z) is min(z, 0) minus this. */
static nn_real nn__softplus_tail(nn_real z)
{
    return nn__log1p(nn__exp(-nn__absolute(z)));
}

/* For x >= 0 or NaN. Where x is at most 1, and may_be_high is 0, k is 0 or 1. For a tiny x the
   result is x; the square of s would be denormal, and is left out. */
#define NN__DEFINE_LOG1P                                                                           \
    NN__INLINE NN__VECTOR NN__NAME(log1p)(NN__VECTOR x, const int may_be_high)                     \
    {                                                                                              \
        const NN__VECTOR zero = NN__SET1(0), one = NN__SET1(1), u = NN__ADD(x, one);               \
        NN__VECTOR bits = NN__BITS_ADD(u, NN__SET1_BITS(NN__ONE_BITS - NN__ROOT_HALF_BITS));       \
        NN__VECTOR k, c = NN__SUB(x, NN__SUB(u, one)), f, s, w;                                    \
                                                                                                   \
        k = NN__BITS_ADD(NN__BITS_RIGHT(bits, NN__MANTISSA), NN__SET1(NN__ROUNDER));               \
        k = NN__SUB(k, NN__SET1(NN__ROUNDER + NN__BIAS));                                          \
        if (may_be_high) c = NN__SELECT_LESS(one, k, NN__SUB(one, NN__SUB(u, x)), c);              \
        c = NN__SELECT_LESS(zero, k, NN__DIV(c, u), zero);                                         \
        bits = NN__BITS_AND(bits, NN__SET1_BITS(((nn__bits)1 << NN__MANTISSA) - 1));               \
        f = NN__SUB(NN__BITS_ADD(bits, NN__SET1_BITS(NN__ROOT_HALF_BITS)), one);                   \
        f = NN__SELECT_LESS(zero, k, f, x);                                                        \
        s = NN__DIV(f, NN__ADD(f, NN__SET1(2)));                                                   \
        s = NN__SELECT_LESS(x, NN__SET1((nn_real)NN__TINY), zero, s);                              \
        w = NN__MUL(s, s);                                                                         \
        w = NN__FNMA(w, NN__NAME(polynomial)(nn__log1p_terms, NN__COUNT(nn__log1p_terms), w), f);  \
        f = NN__FNMA(s, w, f);                                                                     \
        c = NN__FMA(k, NN__SET1(NN__LN2_LOW), c);                                                  \
        f = NN__FMA(k, NN__SET1(NN__LN2_HIGH), NN__ADD(c, f));                                     \
        return may_be_high ? NN__SELECT_LESS(NN__SUB(x, x), one, f, x) : f;                        \
    }                                                                                              \
                                                                                                   \
    NN__INLINE NN__VECTOR NN__NAME(softplus_tail)(NN__VECTOR z)                                    \
    {                                                                                              \
        return NN__NAME(log1p)(NN__NAME(exp)(NN__LESS_ABSOLUTE(z), 1, 0), 0);                      \
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
/* x[count] becomes log1p(x). x >= 0 or NaN. */
static void nn__log1ps_scalar(nn_real *x, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) x[i] = nn__log1p(x[i]);
}

/* out[count] = log1p(exp(-|z[count]|)), overwritten. */
static void nn__softplus_tails_scalar(const nn_real *z, nn_real *out, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) out[i] = nn__softplus_tail(z[i]);
}
#endif

#define NN__DEFINE_LOGARITHMS                                                                      \
    static NN__TARGET void NN__NAME(log1ps)(nn_real * x, size_t count)                             \
    {                                                                                              \
        size_t i;                                                                                  \
                                                                                                   \
        for (i = 0; i < count; i += NN__LANES) {                                                   \
            const int n = NN__LANES_OF(count - i);                                                 \
            NN__STORE_UP_TO(x + i, NN__NAME(log1p)(NN__LOAD_UP_TO(x + i, n), 1), n);               \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
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

/* Adds x to a sum, and the rounding error of the addition to sum->low (two-sum, Knuth 1969). */
static void nn__add(nn__sum *sum, nn_real x)
{
    const nn_real high = sum->high + x, added = high - sum->high;

    sum->low += (sum->high - (high - added)) + (x - added);
    sum->high = high;
}

/* Adds another sum to a sum. */
static void nn__add_sum(nn__sum *sum, const nn__sum *other)
{
    nn__add(sum, other->high);
    nn__add(sum, other->low);
}

/* The value of a sum. low is NaN when high has overflowed; then high alone is the result. */
static nn_real nn__total(const nn__sum *sum)
{
    return nn__is_finite(sum->low) ? sum->high + sum->low : sum->high;
}

/* a * b, rounded. It is volatile because a compiler could otherwise fuse it with the sum to which
   the caller adds it. */
static nn_real nn__rounded_product(nn_real a, nn_real b)
{
    volatile nn_real product = a * b;

    return product;
}

/* cos(pi x) for x in [0, 1], for the cosine schedule. It is sin(pi u) with u = 1/2 - x, computed as
   u p(u^2) with the minimax polynomial p of sin(pi u) / u. The error is at most 4 times the epsilon
   of nn_real. */
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

/* base^n by repeated squaring. */
static nn_real nn__power(nn_real base, uint32_t n)
{
    nn_real result = 1;

    for (; n; n >>= 1, base *= base)
        if (n & 1) result *= base;
    return result;
}

#endif /* NN_NO_TRAIN */

/* ---- The random generator: PCG32, XSH-RR (O'Neill 2014) -------------------------------------- */

/* Returns 32 random bits and advances the state. */
static uint32_t nn__random(uint64_t *state)
{
    uint64_t old = *state;
    uint32_t mixed = (uint32_t)(((old >> 18) ^ old) >> 27), turn = (uint32_t)(old >> 59);

    *state = old * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (mixed >> turn) | (mixed << ((32 - turn) & 31));
}

/* Returns the generator's first state for a seed. */
static uint64_t nn__random_start(uint64_t seed)
{
    uint64_t state = seed + UINT64_C(1442695040888963407);
    nn__random(&state);
    return state;
}

#if !defined(NN_NO_TRAIN) && !defined(NN_NO_MALLOC)
/* Advances the state as `count` calls of nn__random do, in log2 count steps: one step is state *
   factor + addend, and so are two, with another factor and addend (Brown 1994, "Random number
   generation with arbitrary strides"). */
static void nn__skip_random(uint64_t *state, uint64_t count)
{
    uint64_t factor = UINT64_C(6364136223846793005), addend = UINT64_C(1442695040888963407);

    for (; count; count >>= 1) {
        if (count & 1) *state = *state * factor + addend;
        addend *= factor + 1;
        factor *= factor;
    }
}
#endif

/* Returns a number that is uniformly distributed in [0, 1). It is a multiple of 2^-24, so that
   float and double draw the same numbers. */
static nn_real nn__uniform(uint64_t *state)
{
    return (nn_real)(nn__random(state) >> 8) * (nn_real)(1.0 / 16777216);
}

#ifndef NN_NO_TRAIN

/* ---- Random permutations --------------------------------------------------------------------- */

/* A Feistel network: it permutes the numbers that have as many bits as `mask`. Each of its rounds
   changes the low half of the bits by a function of the high half, or the other way round. */
typedef struct nn__network {
    uint64_t key;
    uint32_t mask, low, low_mask; /* all bits; the number of bits in the low half; those bits */
} nn__network;

/* Returns the network of a key for the numbers 0 ... n - 1. It has at least 4 bits. */
static nn__network nn__network_of(uint32_t n, uint64_t key)
{
    nn__network network;
    uint32_t mask = (n - 1) | 15, low = 2;

    mask |= mask >> 1;
    mask |= mask >> 2;
    mask |= mask >> 4;
    mask |= mask >> 8;
    mask |= mask >> 16;
    while ((mask >> low) >= ((uint32_t)1 << low)) low++;
    network.key = key + UINT64_C(0x9e3779b97f4a7c15); /* with key 0 it would map 0 to 0 */
    network.mask = mask;
    network.low = low;
    network.low_mask = ((uint32_t)1 << low) - 1;
    return network;
}

/* Returns 16 bits that depend on all bits of x. */
NN__HOT uint32_t nn__scramble(uint32_t x)
{
    x *= 0x85ebca77u;
    return ((x ^ (x >> 15)) * 0xc2b2ae3du) >> 16;
}

/* The key of the next round. */
NN__HOT uint32_t nn__next_round_key(const nn__network *network, uint32_t round_key)
{
    return round_key * 0x9e3779b1u + (uint32_t)(network->key >> 32);
}

/* Returns element i of a random permutation of 0 ... n - 1, 0 <= i < n. Each key gives one
   permutation. No table is needed: a Feistel network permutes the numbers that have as many bits as
   n - 1, and is applied again until the result is less than n (cycle walking: Black and Rogaway
   2002, "Ciphers with arbitrary finite domains"). At least 4 bits and 12 rounds are used: with
   fewer, the permutations of small sets are not equally probable. */
static uint32_t nn__permute(uint32_t i, uint32_t n, uint64_t key)
{
    const nn__network network = nn__network_of(n, key);
    uint32_t round_key, mixed;
    int round;

    do {
        round_key = (uint32_t)network.key;
        for (round = 0; round < 12; round++) {
            round_key = nn__next_round_key(&network, round_key);
            mixed = nn__scramble((round & 1 ? i >> network.low : i & network.low_mask) + round_key);
            i ^= round & 1 ? mixed & network.low_mask : (mixed << network.low) & network.mask;
        }
    } while (i >= n);
    return i;
}

#ifdef NN__SIMD
/* elements[count] become nn__permute(element, n, key). The array has NN__PERMUTED elements; those
   after count become undefined. */
#define NN__PERMUTED 128
static void nn__permute_elements_scalar(uint32_t *elements, int count, uint32_t n, uint64_t key)
{
    int i;

    for (i = 0; i < count; i++) elements[i] = nn__permute(elements[i], n, key);
}
#endif

/* The same. The network is applied to all elements, 16 at a time in loops that compilers vectorise,
   and then again to those that are not less than n: v[left], at the places at[left]. */
#define NN__DEFINE_PERMUTE_ELEMENTS                                                                \
    NN__INLINE void NN__NAME(permute_16)(uint32_t * v, const nn__network *network)                 \
    {                                                                                              \
        const uint32_t mask = network->mask, low = network->low, low_mask = network->low_mask;     \
        uint32_t round_key = (uint32_t)network->key;                                               \
        int round, i;                                                                              \
                                                                                                   \
        for (round = 0; round < 12; round += 2) {                                                  \
            round_key = nn__next_round_key(network, round_key);                                    \
            for (i = 0; i < 16; i++)                                                               \
                v[i] ^= (nn__scramble((v[i] & low_mask) + round_key) << low) & mask;               \
            round_key = nn__next_round_key(network, round_key);                                    \
            for (i = 0; i < 16; i++) v[i] ^= nn__scramble((v[i] >> low) + round_key) & low_mask;   \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static NN__TARGET void NN__NAME(permute_elements)(uint32_t * elements, int count, uint32_t n,  \
                                                      uint64_t key)                                \
    {                                                                                              \
        const nn__network network = nn__network_of(n, key);                                        \
        uint32_t v[NN__PERMUTED] = {0};                                                            \
        int at[NN__PERMUTED], i, left, again;                                                      \
                                                                                                   \
        for (i = 0; i < count; i += 16) NN__NAME(permute_16)(elements + i, &network);              \
        for (i = left = 0; i < count; i++) {                                                       \
            at[left] = i;                                                                          \
            left += elements[i] >= n;                                                              \
        }                                                                                          \
        for (; left; left = again) {                                                               \
            for (i = 0; i < left; i++) v[i] = elements[at[i]];                                     \
            for (i = 0; i < left; i += 16) NN__NAME(permute_16)(v + i, &network);                  \
            for (i = again = 0; i < left; i++) {                                                   \
                elements[at[i]] = v[i];                                                            \
                at[again] = at[i];                                                                 \
                again += v[i] >= n;                                                                \
            }                                                                                      \
        }                                                                                          \
    }
#endif

#if !defined(NN_NO_TRAIN) && !defined(NN_NO_MALLOC)

/* ---- Numbers as decimal text ----------------------------------------------------------------- */

/* A number is an integer times a power of two, so it has finitely many decimal digits: at most 769,
   a float 114. Arrays of NN__EXACT_DIGITS digits hold them with zeros in front. */
enum { NN__DECIMAL_ROOM = 25 }; /* characters of the longest text, with the 0 at its end */
#ifdef NN_DOUBLE
enum { NN__DECIMAL_WORDS = 87 };
#else
enum { NN__DECIMAL_WORDS = 14 };
#endif
enum { NN__EXACT_DIGITS = 9 * NN__DECIMAL_WORDS };

/* Writes all digits of the integer m * 2^exponent, or of m * 5^-exponent where the exponent is
   negative: the digits of m * 2^exponent are the same, but for where the point is. */
static void nn__exact_digits(char digits[NN__EXACT_DIGITS], uint64_t m, int exponent)
{
    const uint32_t base = UINT32_C(1000000000);
    uint32_t factor, word[NN__DECIMAL_WORDS] = {0}; /* nine digits each; the last ones come first */
    uint64_t carry;
    int i, k = exponent < 0 ? -exponent : exponent, count = 3;

    for (i = 0; i < 3; i++, m /= base) word[i] = (uint32_t)(m % base);
    while (k > 0) {
        for (i = 0, factor = 1; i < 12 && k > 0; i++, k--) factor *= exponent < 0 ? 5 : 2;
        for (i = 0, carry = 0; i < count; i++, carry /= base) {
            carry += (uint64_t)word[i] * factor;
            word[i] = (uint32_t)(carry % base);
        }
        NN_ASSERT(!carry || count < NN__DECIMAL_WORDS);
        if (carry) word[count++] = (uint32_t)carry;
    }
    memset(digits, '0', NN__EXACT_DIGITS);
    for (i = 0, digits += NN__EXACT_DIGITS; i < count; i++)
        for (k = 0; k < 9; k++, word[i] /= 10) *--digits = (char)('0' + word[i] % 10);
}

/* Copies the digits before `end` and zeros behind them; where up is 1 it adds 1 to the last one. */
static void nn__cut_digits(char cut[NN__EXACT_DIGITS], const char *digits, int end, int up)
{
    memset(cut, '0', NN__EXACT_DIGITS);
    memcpy(cut, digits, (size_t)end);
    if (!up) return;
    while (cut[end - 1] == '9') cut[--end] = '0';
    cut[end - 1]++;
}

/* Returns whether the digits before `end` must be rounded up: to nearest, ties to even. */
static int nn__rounds_up(const char *digits, int end)
{
    int i = end;

    while (i < NN__EXACT_DIGITS && digits[i] == (i == end ? '5' : '0')) i++;
    if (i == NN__EXACT_DIGITS) return (digits[end - 1] - '0') % 2;
    return digits[i] > (i == end ? '5' : '0');
}

/* Finds the shortest decimal number that is read as |x|, and of several as short ones the nearest.
   x is finite and not 0. All numbers between two midpoints, those of |x| and its neighbours, are
   read as |x|; the midpoints too, where the last bit of x is 0. All three are compared digit by
   digit, without rounding (Steele and White 1990, "How to print floating-point numbers
   accurately"). digits[] receives the number, with zeros before and behind it. Returns the power of
   ten of the last place of digits[]. */
static int nn__shortest_digits(nn_real x, char digits[NN__EXACT_DIGITS])
{
    const nn__bits bits = nn__to_bits(nn__absolute(x)), field = bits >> NN__MANTISSA;
    const nn__bits fraction = bits & (((nn__bits)1 << NN__MANTISSA) - 1);
    /* |x| is m * 2^exponent, the midpoints (m - below) * 2^exponent and (m + 2) * 2^exponent. */
    const uint64_t m = (uint64_t)(field ? fraction | (nn__bits)1 << NN__MANTISSA : fraction) * 4;
    const uint64_t below = fraction || field < 2 ? 2 : 1;
    const int exponent = (field ? (int)field : 1) - NN__BIAS - NN__MANTISSA - 2;
    const int closed = fraction % 2 == 0;
    char exact[NN__EXACT_DIGITS], low[NN__EXACT_DIGITS], high[NN__EXACT_DIGITS];
    int end = 0, tries = 0, up;

    /* x < 2^(NN__MANTISSA + 1) is an integer: a shorter number is another one, and too far away. */
    if (exponent >= -NN__MANTISSA - 2 && exponent <= -2 && m % (UINT64_C(1) << -exponent) == 0) {
        nn__exact_digits(digits, m >> -exponent, 0);
        return 0;
    }
    nn__exact_digits(exact, m, exponent);
    nn__exact_digits(low, m - below, exponent);
    nn__exact_digits(high, m + 2, exponent);
    while (exact[end] == '0') end++;
    do { /* of each length first the nearer number, then the one on the other side of |x| */
        end += tries % 2 == 0;
        up = nn__rounds_up(exact, end) ^ (tries++ % 2);
        nn__cut_digits(digits, exact, end, up);
    } while (memcmp(low, digits, sizeof low) >= closed ||
             memcmp(digits, high, sizeof high) >= closed);
    return exponent < 0 ? exponent : 0;
}

/* Writes a finite x as the shortest decimal number that is read as x, whatever the C locale: 0.1,
   -12000, 6.02e+23. A 0 ends the text. Returns its length. */
static int nn__write_decimal(char text[NN__DECIMAL_ROOM], nn_real x)
{
    char digits[NN__EXACT_DIGITS];
    int unit = NN__EXACT_DIGITS - 1, first = 0, end = NN__EXACT_DIGITS, length = 0, power, i;

    if (nn__to_bits(x) & NN__SIGN_BIT) text[length++] = '-';
    memset(digits, '0', sizeof digits);
    if (x != 0) unit += nn__shortest_digits(x, digits); /* the place of 10^0 */
    while (first < NN__EXACT_DIGITS - 1 && digits[first] == '0') first++;
    while (end > first + 1 && digits[end - 1] == '0') end--;
    power = unit - first;
    if (power >= -4 && power < 16) {
        for (i = power < 0 ? unit : first; i <= unit || i < end; i++) {
            if (i == unit + 1) text[length++] = '.';
            text[length++] = digits[i];
        }
    } else {
        for (i = first; i < end; i++) {
            if (i == first + 1) text[length++] = '.';
            text[length++] = digits[i];
        }
        text[length++] = 'e';
        text[length++] = power < 0 ? '-' : '+';
        if (power < 0) power = -power;
        if (power >= 100) text[length++] = (char)('0' + power / 100);
        text[length++] = (char)('0' + power / 10 % 10);
        text[length++] = (char)('0' + power % 10);
    }
    text[length] = 0;
    return length;
}

#endif

/* ================================================================================================
   >>product
   ------------------------------------------------------------------------------------------------
   The product of two matrices for the vector kernels. A dense layer needs three of them: forward,
   weight gradient and input gradient. A product is divided into panels, which are groups of
   columns. A panel is divided into tiles, whose sums stay in the vector registers. Each lane of a
   register computes one output, with the operations of the scalar loop in >>dense and in their
   order. Therefore all back-ends give the same results.
   ============================================================================================= */

#ifdef NN__SIMD

/* c[rows x cols] = start[rows x cols] + a[rows x depth] * b[depth x cols], c overwritten.
   Each c(i, j) is one chain of fma, from start(i, j) on, in the order of k = 0 ... depth - 1:

       a(i, k)     = a[i * a_row + k * a_step]
       b(k, j)     = b[k * b_row + j], or b[j * b_row + k] where b_transposed is 1
       start(i, j) = start[i * start_row + j]
       c(i, j)     = c[i * c_row + j]

   start_row is 0 where all rows start from the same row: a bias, or nn__zeros. start may be c,
   which then accumulates. c overlaps neither a nor b. */
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
    int rows, cols, depth;
} nn__product;

#define NN__WIDE_VECTORS 8 /* vectors in a panel that has only one row */

/* A row of zeros for nn__product.start, as long as the widest panel: a vector has at most 16
   lanes. */
static const nn_real nn__zeros[NN__WIDE_VECTORS * 16] = {0};

/* The functions and sizes of a back-end for products. panel computes a product whose columns fit
   one panel: `vectors` vectors, or NN__WIDE_VECTORS for one row. Its b is not transposed.
   copying_tile computes the first tile_rows rows of such a panel of at most `vectors` vectors. On
   the way it copies b, with whole vectors, to copy[depth x vectors * lanes]. copy copies rows of a
   transposed matrix a[depth x a_step] to to[depth x to_step]. transpose copies b[cols x depth] to
   its transpose to[depth x to_row]. It writes whole vectors, but does not read beyond the columns
   of b. */
typedef struct nn__panels {
    void (*panel)(const nn__product *product);
    void (*copying_tile)(const nn__product *product, nn_real *copy);
    void (*copy)(const nn_real *a, size_t a_step, int rows, int depth, nn_real *to, size_t to_step);
    void (*transpose)(const nn_real *b, size_t b_row, int cols, int depth, nn_real *to,
                      size_t to_row);
    int lanes, vectors; /* numbers in a register; registers in a row of a panel */
    int tile_rows;      /* in the largest tile */
    size_t pack_row;    /* where b_row is at least this, each panel of b is packed */
    int packs_a;        /* strips of a may be packed */
} nn__panels;

/* Returns the part of a product that computes rows row ... row + rows - 1 and columns column ...
   column + columns - 1 of c. */
static nn__product nn__part(const nn__product *whole, int row, int rows, int column, int cols)
{
    nn__product part = *whole;

    part.a += (size_t)row * part.a_row;
    part.b += (size_t)column * (part.b_transposed ? part.b_row : 1);
    part.c += (size_t)row * part.c_row + (size_t)column;
    if (part.start != nn__zeros) part.start += (size_t)row * part.start_row + (size_t)column;
    part.rows = rows;
    part.cols = cols;
    return part;
}

/* Returns the width of the next panel, where `left` columns of a product are left. The widths of a
   product's panels differ as little as whole vectors allow, because a narrow last panel would use
   few registers. wide is 1 where the panels may have the width of those with one row. */
static int nn__panel_width(const nn__panels *p, int left, int wide)
{
    const int vectors = (left + p->lanes - 1) / p->lanes;
    int width;

    if (wide && vectors >= NN__WIDE_VECTORS)
        width = NN__WIDE_VECTORS * p->lanes;
    else if (vectors <= p->vectors)
        width = left;
    else
        width = vectors / ((vectors + p->vectors - 1) / p->vectors) * p->lanes;
    return width < left ? width : left;
}

/* ---- Tiles and panels ------------------------------------------------------------------------ */

/* nn__tile_avx512, nn__tile_avx2, nn__tile_neon, nn__tile_wasm: one tile of a product,

       c[rows x cols] = start[rows x cols] + a[rows x depth] * b[depth x cols]

   The layout is that of nn__product. The columns are `vectors` vectors, of which the last one has
   `last` lanes. c is overwritten; it may be start, but overlaps neither a nor b. Each sum is one
   chain of fma in the order of k, from start on, and stays in a register until it is complete.
   Where copy is not NULL, b is also copied to copy[depth x NN__TILE_VECTORS * NN__LANES], which has
   whole vectors. The function is inlined with constant rows and vectors, and with a constant last
   where that is NN__LANES, so that all loops but the one over k are unrolled. */
#define NN__DEFINE_TILE                                                                            \
    NN__INLINE void NN__NAME(tile)(const nn__product *p, const nn_real *a, const nn_real *start,   \
                                   nn_real *c, const int rows, const int vectors, const int last,  \
                                   nn_real *copy)                                                  \
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
            if (copy) {                                                                            \
                NN__UNROLL (v, vectors) NN__STORE(copy + v * NN__LANES, row[v]);                   \
                copy += NN__TILE_VECTORS * NN__LANES;                                              \
            }                                                                                      \
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
        if (n <= NN__TILE_ROWS) NN__NAME(tile)(p, a, start, c, n, vectors, last, NULL);            \
        break;

#define NN__TILES_CASE(n)                                                                          \
    case n:                                                                                        \
        if (n <= NN__TILE_VECTORS) NN__NAME(tiles)(p, n, last);                                    \
        break;                                                                                     \
    case -n:                                                                                       \
        if (n <= NN__TILE_VECTORS) NN__NAME(tiles)(p, n, NN__LANES);                               \
        break;

/* nn__panel_avx512 and its like: one panel of a product, see nn__panels. Its rows are divided into
   tiles whose numbers of rows differ by at most 1, because a tile of few rows reuses b less. A
   panel of one row and one vector, which is common in small nets, has a loop of its own without the
   overhead of the tiles: nn__row_of. */
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
        const int vectors = (p->cols + NN__LANES - 1) / NN__LANES;                                 \
        const int last = p->cols - (vectors - 1) * NN__LANES;                                      \
                                                                                                   \
        switch (last == NN__LANES ? -vectors : vectors) {                                          \
            NN__TILES_CASE(1)                                                                      \
            NN__TILES_CASE(2)                                                                      \
            NN__TILES_CASE(3)                                                                      \
        case NN__WIDE_VECTORS:                                                                     \
            NN__NAME(tile)(p, p->a, p->start, p->c, 1, NN__WIDE_VECTORS, last, NULL);              \
            break;                                                                                 \
        default: NN__NAME(tile)(p, p->a, p->start, p->c, 1, NN__WIDE_VECTORS, NN__LANES, NULL);    \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    NN__INLINE NN__VECTOR NN__NAME(row_of)(const nn_real *a, size_t a_step, const nn_real *b,      \
                                           size_t b_row, const nn_real *start, const int cols,     \
                                           int depth)                                              \
    {                                                                                              \
        NN__VECTOR sum = NN__LOAD_UP_TO(start, cols);                                              \
        int k;                                                                                     \
                                                                                                   \
        for (k = 0; k < depth; k++, a += a_step, b += b_row)                                       \
            sum = NN__FMA(NN__SET1(*a), NN__LOAD_UP_TO(b, cols), sum);                             \
        return sum;                                                                                \
    }                                                                                              \
                                                                                                   \
    NN__INLINE NN__VECTOR NN__NAME(narrow_row)(const nn_real *a, size_t a_step, const nn_real *b,  \
                                               size_t b_row, const nn_real *start, int cols,       \
                                               int depth)                                          \
    {                                                                                              \
        if (cols == NN__LANES)                                                                     \
            return NN__NAME(row_of)(a, a_step, b, b_row, start, NN__LANES, depth);                 \
        if (cols == NN__LANES / 2)                                                                 \
            return NN__NAME(row_of)(a, a_step, b, b_row, start, NN__LANES / 2, depth);             \
        if (cols == 1) return NN__NAME(row_of)(a, a_step, b, b_row, start, 1, depth);              \
        return NN__NAME(row_of)(a, a_step, b, b_row, start, cols, depth);                          \
    }                                                                                              \
                                                                                                   \
    static NN__TARGET void NN__NAME(panel)(const nn__product *p)                                   \
    {                                                                                              \
        if (p->rows > 1 || p->cols > NN__LANES) {                                                  \
            NN__NAME(wide_panel)(p);                                                               \
        } else {                                                                                   \
            const NN__VECTOR v = NN__NAME(narrow_row)(p->a, p->a_step, p->b, p->b_row, p->start,   \
                                                      p->cols, p->depth);                          \
            NN__STORE_UP_TO(p->c, v, p->cols);                                                     \
        }                                                                                          \
    }

#define NN__COPYING_CASE(n, whole, last)                                                           \
    case whole:                                                                                    \
        if (n <= NN__TILE_VECTORS)                                                                 \
            NN__NAME(tile)(p, p->a, p->start, p->c, NN__TILE_ROWS, n, last, copy);                 \
        break;

/* nn__copying_tile_avx512 and its like: the first NN__TILE_ROWS rows of a panel, see nn__panels.
   The processor multiplies while it waits for the next rows of b, so that copying takes little
   time. */
#define NN__DEFINE_COPYING_TILE                                                                    \
    static NN__TARGET void NN__NAME(copying_tile)(const nn__product *p, nn_real *copy)             \
    {                                                                                              \
        const int vectors = (p->cols + NN__LANES - 1) / NN__LANES;                                 \
        const int last = p->cols - (vectors - 1) * NN__LANES;                                      \
                                                                                                   \
        switch (last == NN__LANES ? -vectors : vectors) {                                          \
            NN__COPYING_CASE(1, 1, last)                                                           \
            NN__COPYING_CASE(2, 2, last)                                                           \
            NN__COPYING_CASE(3, 3, last)                                                           \
            NN__COPYING_CASE(1, -1, NN__LANES)                                                     \
            NN__COPYING_CASE(2, -2, NN__LANES)                                                     \
            NN__COPYING_CASE(3, -3, NN__LANES)                                                     \
        }                                                                                          \
    }

/* to[depth x to_step] = the first `rows` numbers of each row of a[depth x a_step]: the rows of a
   transposed matrix. No aliasing. */
#define NN__DEFINE_COPY                                                                            \
    static NN__TARGET void NN__NAME(copy)(/* unreached: large tiles, of AVX-512, pack no a */      \
                                          const nn_real *a, size_t a_step, int rows, int depth,    \
                                          nn_real *to, size_t to_step)                             \
    {                                                                                              \
        int k, i, n;                                                                               \
                                                                                                   \
        for (k = 0; k < depth; k++, a += a_step, to += to_step)                                    \
            for (i = 0; i < rows; i += NN__LANES) {                                                \
                n = NN__LANES_OF(rows - i);                                                        \
                NN__STORE_UP_TO(to + i, NN__LOAD_UP_TO(a + i, n), n);                              \
            }                                                                                      \
    }

/* to[depth x to_row] = the transpose of b[cols x b_row], overwritten, no aliasing. The matrix is
   divided into squares of NN__LANES x NN__LANES. A square is transposed in registers by log2(lanes)
   perfect shuffles. Each shuffle rotates the bits of the index (row, lane) by one position; after
   the last one row and lane are exchanged. */
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
    static NN__TARGET void NN__NAME(transpose)(const nn_real *b, size_t b_row, int cols,           \
                                               int depth, nn_real *to, size_t to_row)              \
    {                                                                                              \
        NN__VECTOR v[NN__LANES];                                                                   \
        int column, k, i, n;                                                                       \
                                                                                                   \
        for (column = 0; column < cols; column += NN__LANES)                                       \
            for (k = 0; k < depth; k += NN__LANES) {                                               \
                n = NN__LANES_OF(depth - k);                                                       \
                NN__UNROLL (i, NN__LANES) {                                                        \
                    v[i] = NN__SET1(0);                                                            \
                    if (column + i < cols)                                                         \
                        v[i] = NN__LOAD_UP_TO(b + (size_t)(column + i) * b_row + k, n);            \
                }                                                                                  \
                NN__NAME(transpose_square)(v);                                                     \
                NN__UNROLL (i, NN__LANES)                                                          \
                    if (i < n) NN__STORE(to + (size_t)(k + i) * to_row + column, v[i]);            \
            }                                                                                      \
    }

#define NN__DEFINE_PANELS                                                                          \
    static const nn__panels NN__NAME(panels) = {                                                   \
        NN__NAME(panel), NN__NAME(copying_tile), NN__NAME(copy), NN__TRANSPOSE_OR_NULL,            \
        NN__LANES,       NN__TILE_VECTORS,       NN__TILE_ROWS,  NN__PACK_ROW,                     \
        NN__PACK_A};

/* ---- Packing --------------------------------------------------------------------------------- */

/* Rows of a matrix that are far apart are slow to read again and again. A cache can keep a line
   only in a few places, which some bits of the line's address select. Where the distance of two
   rows is a multiple of 4096 bytes, their lines have the same places in the first cache, and
   displace each other although the rest of the cache is free. Each row also needs its own entry in
   the table of pages. Therefore a panel of b is packed where that matters: its first tile copies it
   to contiguous memory while reading it, and the other tiles read the copy. The product is then
   divided into blocks of NN__BLOCK_DEPTH steps of k. The memory holds one block of the widest
   panel, which has 3 vectors of 64 bytes.

   The matrix a is read where it is. Its rows are divided into blocks that stay in the second cache
   while all panels of b use them. In the weight gradient a is a transposed matrix: each step of k
   reads a few numbers of another row. Where these rows have the same places in the cache, and the
   tiles are too small to hide the time that this takes, a is packed as well: a strip of
   NN__STRIP_ROWS rows in blocks of NN__STRIP_DEPTH steps. Several panels use a strip, and share the
   memory with it. */
#define NN__BLOCK_DEPTH 256
#define NN__STRIP_DEPTH 64
#define NN__STRIP_ROWS  48
#define NN__PACKED      (NN__BLOCK_DEPTH * 192 / (int)sizeof(nn_real)) /* numbers in 48 kB */
#define NN__A_BLOCK     (512 * 1024 / (int)sizeof(nn_real)) /* numbers of a in the second cache */

/* Returns 1 when rows that are `row` numbers apart have the same places in the first cache: their
   distance is a multiple of 4096 bytes, give or take less than a line of 64 bytes. */
static int nn__collide(size_t row)
{
    return (row * sizeof(nn_real) + 63) % 4096 < 127;
}

/* Returns 1 when b should be packed: its rows collide in the first cache, or there are too many for
   the second cache. That one has 1 MB or more. Where a power of 2 divides the distance of the rows,
   they use only one of so many bytes; the width of a panel, about 256 bytes, is the least. Packing
   takes a little time, which only several tiles regain. */
static int nn__should_pack(const nn__panels *p, const nn__product *product)
{
    const size_t distance = product->b_row * sizeof(nn_real);
    const size_t power = distance & (~distance + 1); /* the largest power of 2 that divides it */
    const size_t used = power < 256 ? 256 : power;   /* bytes of the cache for each row */

    if (product->rows <= 4 * p->tile_rows || product->depth < 1 || product->cols <= p->lanes)
        return 0;
    if (product->rows > 7 * p->tile_rows && product->b_row >= p->pack_row) return 1;
    return nn__collide(product->b_row) || (size_t)product->depth > 1024 * 1024 / used;
}

/* Returns 1 when a should be packed. */
static int nn__should_pack_a(const nn__panels *p, const nn__product *product)
{
    return p->packs_a && product->a_row == 1 && nn__collide(product->a_step) &&
           product->rows >= NN__STRIP_ROWS && product->cols >= 2 * p->vectors * p->lanes &&
           product->depth > 1;
}

/* Computes one panel, and packs its b into copy[depth x copy_row] first or on the way. The panel
   has at least the rows of the largest tile, unless b is transposed. */
static void nn__multiply_packing(const nn__panels *p, nn__product *panel, nn_real *copy,
                                 size_t copy_row)
{
    const int rows = p->tile_rows;

    if (panel->b_transposed) {
        p->transpose(panel->b, panel->b_row, panel->cols, panel->depth, copy, copy_row);
    } else {
        p->copying_tile(panel, copy);
        panel->a += (size_t)rows * panel->a_row;
        panel->start += (size_t)rows * panel->start_row;
        panel->c += (size_t)rows * panel->c_row;
        panel->rows -= rows;
    }
    panel->b = copy;
    panel->b_row = copy_row;
    if (panel->rows > 0) p->panel(panel);
}

/* Computes up to `panels` panels, from a column on, and returns the column after them. Where first
   is 1, each panel's b is packed into copy[depth x widest panel], one after the other; otherwise an
   earlier call has done that. */
static int nn__multiply_panels(const nn__panels *p, const nn__product *product, int column,
                               int panels, nn_real *copy, int first)
{
    const int most = p->vectors * p->lanes; /* columns of the widest panel */
    nn__product panel;
    int width;

    for (; panels > 0 && column < product->cols; panels--, column += width) {
        width = nn__panel_width(p, product->cols - column, 0);
        panel = nn__part(product, 0, product->rows, column, width);
        if (first) {
            nn__multiply_packing(p, &panel, copy, (size_t)most);
        } else {
            panel.b = copy;
            panel.b_row = (size_t)most;
            p->panel(&panel);
        }
        copy += most * product->depth;
    }
    return column;
}

/* Computes a product with b packed, and a too where packs_a is 1. A block of the depth after the
   first one starts from c, so that the order of each sum does not change. The depths of the blocks
   differ as little as possible. */
static NN__APART void nn__multiply_packed(const nn__panels *p, const nn__product *whole,
                                          int packs_a)
{
    nn_real memory[NN__PACKED + 16];
    nn_real *const copy = memory + (64 - (uintptr_t)memory % 64) % 64 / sizeof(nn_real);
    nn_real *const a_copy = copy + NN__PACKED - NN__STRIP_DEPTH * NN__STRIP_ROWS;
    const int deepest = packs_a ? NN__STRIP_DEPTH : NN__BLOCK_DEPTH;
    const int strip = packs_a ? NN__STRIP_ROWS : whole->rows;
    const int room = NN__PACKED / NN__STRIP_DEPTH - NN__STRIP_ROWS; /* for b in a step of k */
    const int panels = packs_a ? room / (p->vectors * p->lanes) : 1;
    nn__product block = *whole, part;
    int k, column, next = 0, row, rows;

    for (k = 0; k < whole->depth; k += block.depth) {
        const int left = whole->depth - k;
        block.depth = left / ((left - 1) / deepest + 1);
        for (column = 0; column < whole->cols; column = next)
            for (row = 0; row < whole->rows; row += rows) {
                rows = whole->rows - row < strip ? whole->rows - row : strip;
                part = nn__part(&block, row, rows, 0, whole->cols);
                if (packs_a) {
                    p->copy(part.a, part.a_step, rows, part.depth, a_copy, NN__STRIP_ROWS);
                    part.a = a_copy;
                    part.a_step = NN__STRIP_ROWS;
                }
                next = nn__multiply_panels(p, &part, column, panels, copy, row == 0);
            }
        block.a += (size_t)block.depth * block.a_step;
        block.b += (size_t)block.depth * (block.b_transposed ? 1 : block.b_row);
        block.start = block.c;
        block.start_row = block.c_row;
    }
}

/* Computes a product panel by panel. */
static void nn__multiply_unpacked(const nn__panels *p, const nn__product *product)
{
    nn__product part;
    int column, width;

    for (column = 0; column < product->cols; column += width) {
        width = nn__panel_width(p, product->cols - column, product->rows == 1);
        part = nn__part(product, 0, product->rows, column, width);
        p->panel(&part);
    }
}

/* Computes a product, or a block of its rows. */
static void nn__multiply_rows(const nn__panels *p, const nn__product *rows, int packs, int packs_a)
{
    if (packs)
        nn__multiply_packed(p, rows, packs_a);
    else
        nn__multiply_unpacked(p, rows);
}

/* Computes a product in one thread. Many rows are divided into blocks, so that each block of a
   stays in the second cache. Their numbers of rows are multiples of a tile's, but for the last. */
static void nn__multiply_alone(const nn__panels *p, const nn__product *product)
{
    const int packs_a = nn__should_pack_a(p, product);
    const int packs = packs_a || product->b_transposed || nn__should_pack(p, product);
    const int depth = packs ? NN__BLOCK_DEPTH : product->depth;
    nn__product block;
    int row, rows, left, most = 64;

    if (product->rows > most && depth < NN__A_BLOCK / most) most = NN__A_BLOCK / (depth + 1);
    if (product->rows <= most) {
        nn__multiply_rows(p, product, packs, packs_a);
        return;
    }
    for (row = 0; row < product->rows; row += rows) {
        left = product->rows - row;
        rows = left / ((left - 1) / most + 1);
        rows = ((rows - 1) / p->tile_rows + 1) * p->tile_rows;
        if (rows > left) rows = left;
        block = nn__part(product, row, rows, 0, product->cols);
        nn__multiply_rows(p, &block, packs, packs_a);
    }
}

/* ---- Threads, OpenBLAS ----------------------------------------------------------------------- */

/* Work is divided among threads by outputs, never within a sum. A thread gets at least this many
   multiply-adds of a product, or outputs of an elementwise kernel: with fewer, starting the thread
   would take longer than it saves. */
#ifdef NN__THREADS
#define NN__PRODUCT_GRAIN 1e6
#define NN__ELEMENT_GRAIN 3e4

/* Returns how many threads share the work. */
static int nn__pieces(double work, double grain)
{
    const int threads = omp_get_max_threads();
    const double pieces = work / grain;

    return pieces < threads ? (int)pieces : threads;
}

/* Returns the index of the first output of piece i, where `count` outputs are divided into `pieces`
   pieces. Pieces begin at multiples of `unit`. */
static int nn__piece(int count, int unit, int i, int pieces)
{
    const int units = (count - 1) / unit + 1;
    const int start = (int)((int64_t)units * i / pieces);

    return i == pieces ? count : start * unit;
}
#endif

#ifdef NN_USE_OPENBLAS
/* Computes a product with OpenBLAS, which sums in an order of its own: see REPRODUCIBLE RESULTS. */
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
               (size_t)p->cols * sizeof(nn_real));
#ifdef NN_DOUBLE
    cblas_dgemm(CblasRowMajor, ta, tb, p->rows, p->cols, p->depth, 1, p->a, a_row, p->b, b_row,
                beta, p->c, c_row);
#else
    cblas_sgemm(CblasRowMajor, ta, tb, p->rows, p->cols, p->depth, 1, p->a, a_row, p->b, b_row,
                beta, p->c, c_row);
#endif
}
#endif

/* Computes a product with OpenBLAS or with several threads if it is large enough for them. */
static NN__APART void nn__multiply_large(const nn__panels *p, const nn__product *product)
{
#ifdef NN_USE_OPENBLAS
    if (product->rows > 1 &&
        (double)product->rows * product->cols * product->depth >= NN_OPENBLAS_WORK) {
        nn__multiply_blas(product);
        return;
    }
#endif
#ifdef NN__THREADS
    {
        const int rows = product->rows, cols = product->cols;
        const int pieces = nn__pieces((double)rows * cols * product->depth, NN__PRODUCT_GRAIN);
        const int by_rows = rows >= cols && !product->b_transposed;
        int i;

        if (pieces > 1) {
#pragma omp parallel for schedule(static)
            for (i = 0; i < pieces; i++) {
                const int count = by_rows ? rows : cols, unit = by_rows ? 8 : p->lanes;
                const int from = nn__piece(count, unit, i, pieces);
                const int length = nn__piece(count, unit, i + 1, pieces) - from;
                const nn__product part = by_rows ? nn__part(product, from, length, 0, cols)
                                                 : nn__part(product, 0, rows, from, length);
                if (length > 0) nn__multiply_alone(p, &part);
            }
            return;
        }
    }
#endif
    nn__multiply_alone(p, product);
}

/* Computes a product with the panels of a back-end. */
static void nn__multiply(const nn__panels *p, const nn__product *product)
{
    if (product->rows < 1 || product->cols < 1) return;
    if (product->cols <= p->lanes && product->rows <= 64 && !product->b_transposed)
        p->panel(product); /* small nets use only this branch */
    else
        nn__multiply_large(p, product);
}

#endif

/* ================================================================================================
   >>activation
   ------------------------------------------------------------------------------------------------
   y = f(z) for each number of a layer's z, or for softmax for each row. Each activation has one row
   in the table and one part below. A part has the scalar f, the scalar derivative, both with
   vectors, f as the C text that nn_export_c writes, and f as the ONNX operators that nn_export_onnx
   writes. The scalar functions define the result; the vector functions compute the same bits.

   A derivative's function returns dL/dz = dL/dy * f'(z). Its first argument is y. Where the row
   says NN__KEEPS_Z it is z, because f'(z) cannot be computed from y, or only with a loss of digits.

   To add an activation: its enumerator in nn_activation, its row here, its part below.
   ============================================================================================= */

/* X(enumerator, name in files, what f takes, traits), in the order of the enum. f takes an ELEMENT,
   or a whole ROW. SIMPLE is an element whose code is short enough to stand in the loops of small
   nets. */
#define NN__ACTIVATIONS(X)                                                                         \
    X(LINEAR, linear, SIMPLE, 0)                                                                   \
    X(RELU, relu, SIMPLE, 0)                                                                       \
    X(LEAKY_RELU, leaky_relu, SIMPLE, 0)                                                           \
    X(SIGMOID, sigmoid, SIMPLE, NN__CALLS_EXP | NN__CALLS_SIGMOID)                                 \
    X(TANH, tanh, SIMPLE, NN__CALLS_EXP | NN__CALLS_TANH)                                          \
    X(SOFTMAX, softmax, ROW, NN__CALLS_EXP)                                                        \
    X(ELU, elu, ELEMENT, NN__CALLS_EXPM1)                                                          \
    X(SILU, silu, ELEMENT, NN__KEEPS_Z | NN__CALLS_EXP | NN__CALLS_SIGMOID)                        \
    X(GELU, gelu, ELEMENT, NN__KEEPS_Z | NN__CALLS_EXP | NN__CALLS_ERF)                            \
    X(SOFTPLUS, softplus, ELEMENT, NN__KEEPS_Z | NN__CALLS_EXP | NN__CALLS_LOG1P)

enum {
    NN__KEEPS_Z = 1, /* the derivative is computed from z: the trainer keeps it beside y */
    /* what the exported text calls; exp comes with all of them but expm1 */
    NN__CALLS_EXP = 2,
    NN__CALLS_SIGMOID = 4,
    NN__CALLS_TANH = 8,
    NN__CALLS_EXPM1 = 16,
    NN__CALLS_ERF = 32,
    NN__CALLS_LOG1P = 64,
    NN__CALLS_ANY = 126 /* any of these */
};

/* A constant of the exported text: a line that defines $_name as the value of a macro of ours. */
#define NN__C_CONSTANT(name, macro) "#define $_" name " " NN__TEXT(macro) "\n"
#define NN__TEXT(macro)             NN__TEXT_OF(macro)
#define NN__TEXT_OF(value)          #value

NN__CHECK_TABLE(activations, NN__ACTIVATIONS, NN_ACTIVATION_COUNT);

/* ---- Linear ---------------------------------------------------------------------------------- */

/* f(z) = z; derivative 1. */

static nn_real nn__linear(nn_real z) /* unreached: what would change nothing is not called */
{
    return z; /* unreached: the same */
}

static inline nn_real nn__linear_gradient(nn_real y, nn_real dy) /* unreached: the same */
{
    (void)y;
    return dy; /* unreached: the same */
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

#define NN__ONNX_LINEAR

/* ---- ReLU ------------------------------------------------------------------------------------ */

/* f(z) = max(z, 0); derivative 1 where y > 0, else 0. NaN stays NaN. */

static nn_real nn__relu(nn_real z)
{
    return z <= 0 ? 0 : z; /* z > 0 ? z : 0 gives -0 for -0 with some compilers, 0 with others */
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

#define NN__ONNX_RELU NN__ONNX("Relu")

/* ---- Leaky ReLU ------------------------------------------------------------------------------ */

/* f(z) = z where z > 0, else 0.01 z; derivative 1 where y > 0, else 0.01 (Maas et al. 2013). */

#define NN__LEAKY_SLOPE 0.01

static nn_real nn__leaky_relu(nn_real z)
{
    return z > 0 ? z
                 : nn__fma((nn_real)NN__LEAKY_SLOPE, z,
                           0); /* fma: no product is left that a compiler could fuse with a sum */
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

/* The factor of LeakyRelu is 0.01 in float, also where z is double; max(0.01 z, z) is exact. */
#ifdef NN_DOUBLE
#define NN__ONNX_LEAKY_RELU NN__ONNX_WITH("Mul", NN__LEAKY_SLOPE) NN__ONNX_WITH_Z("Max")
#else
#define NN__ONNX_LEAKY_RELU NN__ONNX("LeakyRelu")
#endif

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

#define NN__ONNX_SIGMOID NN__ONNX("Sigmoid")

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

#define NN__ONNX_TANH NN__ONNX("Tanh")

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
    for (j = 0; j < width; j++) row[j] = nn__flushed(row[j] / (others + 1), NN__SMALLEST);
    return others;
}

#ifndef NN_NO_TRAIN
/* y[width] = softmax(z) becomes dL/dz, from dy[width] = dL/dy. */
static void nn__softmax_gradient_row(nn_real *y, const nn_real *dy, int width)
{
    nn_real sum = 0;
    int j;

    for (j = 0; j < width; j++) sum = nn__fma(dy[j], y[j], sum);
    for (j = 0; j < width; j++) y[j] = nn__flushed(y[j] * (dy[j] - sum), NN__NEGLIGIBLE);
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
            NN__STORE_UP_TO(                                                                       \
                row + j,                                                                           \
                NN__FLUSHED(NN__DIV(NN__LOAD_UP_TO(row + j, n), v), NN__SET1(NN__SMALLEST)), n);   \
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
            v = NN__MUL(NN__LOAD_UP_TO(y + j, n), v);                                              \
            NN__STORE_UP_TO(y + j, NN__FLUSHED(v, NN__SET1(NN__NEGLIGIBLE)), n);                   \
        }                                                                                          \
    })

#define NN__C_SOFTMAX                                                                              \
    NN__C_CONSTANT("smallest", NN__SMALLEST)                                                       \
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
    "    for (j = 0; j < count; j++)\n"                                                            \
    "        if ((y[j] /= others + 1) < $_smallest) y[j] = 0;\n"                                   \
    "}\n\n"

#define NN__ONNX_SOFTMAX NN__ONNX("Softmax")

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

/* onnxruntime has no Elu for double: max(exp(min(z, 0)) - 1, z). */
#ifdef NN_DOUBLE
#define NN__ONNX_ELU                                                                               \
    NN__ONNX_WITH("Min", 0) NN__ONNX("Exp") NN__ONNX_WITH("Sub", 1) NN__ONNX_WITH_Z("Max")
#else
#define NN__ONNX_ELU NN__ONNX("Elu")
#endif

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

#define NN__ONNX_SILU NN__ONNX("Sigmoid") NN__ONNX_WITH_Z("Mul")

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

/* As PyTorch writes it, so that runtimes recognise it. The operator Gelu needs operator set 20. */
#define NN__ONNX_GELU                                                                              \
    NN__ONNX_WITH("Div", 2 * NN__ROOT_HALF)                                                        \
    NN__ONNX("Erf") NN__ONNX_WITH("Add", 1) NN__ONNX_WITH_Z("Mul") NN__ONNX_WITH("Mul", 0.5)

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

/* onnxruntime has no Softplus for double: max(log(1 + exp(min(z, 700))), z). */
#ifdef NN_DOUBLE
#define NN__ONNX_SOFTPLUS                                                                          \
    NN__ONNX_WITH("Min", 700)                                                                      \
    NN__ONNX("Exp") NN__ONNX_WITH("Add", 1) NN__ONNX("Log") NN__ONNX_WITH_Z("Max")
#else
#define NN__ONNX_SOFTPLUS NN__ONNX("Softplus")
#endif

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
    default: break; /* unreached: SOFTMAX is not for one number */
    }
    return z; /* unreached: the same */
}

static void nn__activate_scalar(nn_activation activation, nn_real *z, int rows, int width)
{
    size_t i, count = (size_t)rows * (size_t)width;
    int b;

    if (NN__ONLY(NN_ONLY_ACTIVATIONS, NN_SOFTMAX) && activation == NN_SOFTMAX) {
        for (b = 0; b < rows; b++)
            (void)nn__softmax_row_scalar(z + (size_t)b * (size_t)width, width);
    } else if (activation != NN_LINEAR) {
        for (i = 0; i < count; i++) z[i] = nn__activate_one(activation, z[i]);
    }
}

#ifdef NN__SIMD
/* Whether an activation is one of the simple ones. */
#define NN__IS_SIMPLE(ID, name, form, traits) NN__KEEP_SIMPLE_IF_##form(|| activation == NN_##ID)
NN__HOT int nn__is_simple(nn_activation activation)
{
    return 0 NN__ACTIVATIONS(NN__IS_SIMPLE);
}
#endif

/* The same with vectors: each activation's loop is a function of its own. */
#define NN__VECTOR_OF_ROW(ID, name, form, traits) NN__VECTOR_##ID
#define NN__VECTOR_VALUE(ID, name, form, traits)                                                   \
    NN__KEEP_SIMPLE_IF_##form(case NN_##ID : return NN__NAME(name)(z);)
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
        const size_t cols = (size_t)width, count = (size_t)rows * cols;                            \
        int b;                                                                                     \
                                                                                                   \
        switch (activation) {                                                                      \
            NN__ACTIVATIONS(NN__VECTOR_CALL)                                                       \
        case NN_SOFTMAX:                                                                           \
            for (b = 0; b < rows; b++) (void)NN__NAME(softmax_row)(z + (size_t)b * cols, width);   \
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

/* dL/dz from s, which is y or z as the traits say, and dy = dL/dy. Behind a nonlinear activation, a
   dL/dz below NN__NEGLIGIBLE is 0. */
#define NN__GRADIENT(ID, name, form, traits)                                                       \
    NN__KEEP_IF_##form(case NN_##ID                                                                \
                       : if (NN__ONLY(NN_ONLY_ACTIVATIONS, NN_##ID)) dy =                          \
                             nn__##name##_gradient(s, dy);                                         \
                       break;)
static nn_real nn__activation_gradient_one(nn_activation activation, nn_real s, nn_real dy)
{
    if (activation == NN_LINEAR) return dy;
    switch (activation) {
        NN__ACTIVATIONS(NN__GRADIENT)
    default: break; /* unreached: SOFTMAX is not for one number */
    }
    return nn__flushed(dy, NN__NEGLIGIBLE);
}

/* s[rows x width] becomes dL/dz, from dy[rows x width] = dL/dy. */
static void nn__activation_gradient_scalar(nn_activation activation, nn_real *s, const nn_real *dy,
                                           int rows, int width)
{
    size_t i, count = (size_t)rows * (size_t)width;
    int b;

    if (NN__ONLY(NN_ONLY_ACTIVATIONS, NN_SOFTMAX) && activation == NN_SOFTMAX) {
        for (b = 0; b < rows; b++, s += width, dy += width) nn__softmax_gradient_row(s, dy, width);
    } else {
        for (i = 0; i < count; i++) s[i] = nn__activation_gradient_one(activation, s[i], dy[i]);
    }
}

#define NN__VECTOR_GRADIENT(ID, name, form, traits)                                                \
    NN__KEEP_SIMPLE_IF_##form(case NN_##ID : dy = NN__NAME(name##_gradient)(s, dy); break;)
#define NN__VECTOR_GRADIENT_LOOP(ID, name, form, traits)                                           \
    NN__KEEP_IF_##form(static NN__APART NN__TARGET void NN__NAME(name##_gradient_loop)(            \
        nn_real * s, const nn_real *dy, size_t count) {                                            \
        size_t i;                                                                                  \
                                                                                                   \
        for (i = 0; i < count; i += NN__LANES) {                                                   \
            const int n = NN__LANES_OF(count - i);                                                 \
            const NN__VECTOR v = NN__LOAD_UP_TO(s + i, n), d = NN__LOAD_UP_TO(dy + i, n);          \
            const NN__VECTOR dz = NN__NAME(name##_gradient)(v, d);                                 \
            NN__STORE_UP_TO(s + i, NN_##ID == NN_LINEAR ? dz : NN__NAME(negligible_to_zero)(dz),   \
                            n);                                                                    \
        }                                                                                          \
    })
#define NN__VECTOR_GRADIENT_CALL(ID, name, form, traits)                                           \
    NN__KEEP_IF_##form(case NN_##ID : NN__NAME(name##_gradient_loop)(s, dy, count); break;)
#define NN__DEFINE_ACTIVATION_GRADIENT                                                             \
    NN__INLINE NN__VECTOR NN__NAME(negligible_to_zero)(NN__VECTOR dz)                              \
    {                                                                                              \
        return NN__FLUSHED(dz, NN__SET1(NN__NEGLIGIBLE));                                          \
    }                                                                                              \
                                                                                                   \
    NN__ACTIVATIONS(NN__VECTOR_GRADIENT_LOOP)                                                      \
                                                                                                   \
    NN__INLINE NN__VECTOR NN__NAME(differentiated)(nn_activation activation, NN__VECTOR s,         \
                                                   NN__VECTOR dy)                                  \
    {                                                                                              \
        if (activation == NN_LINEAR) return dy;                                                    \
        switch (activation) {                                                                      \
            NN__ACTIVATIONS(NN__VECTOR_GRADIENT)                                                   \
        default: break;                                                                            \
        }                                                                                          \
        return NN__NAME(negligible_to_zero)(dy);                                                   \
    }                                                                                              \
                                                                                                   \
    static NN__TARGET void NN__NAME(activation_gradient)(nn_activation activation, nn_real * s,    \
                                                         const nn_real *dy, int rows, int width)   \
    {                                                                                              \
        const size_t cols = (size_t)width, count = (size_t)rows * cols;                            \
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
   The dense layer: y = activation(x * w + bias). It has three products: forward, the gradient of
   the loss with respect to the weights, and the gradient with respect to the input. Each output is
   one chain of fma in the order of the summed index. The scalar functions define the results; the
   vector kernels compute the same bits.
   ============================================================================================= */

/* ---- Input rows ------------------------------------------------------------------------------ */

/* out[rows x width] = (x - offset[width]) * factor[width], overwritten, no aliasing. Row b of out
   is computed from row index[b] of x, or from row b when index is NULL. When offset is NULL, the
   rows are copied without scaling. */
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
        if (width < 4) { /* scalar stores: the next kernel loads single numbers */                 \
            nn__scale_rows_scalar(x, index, offset, factor, out, rows, width);                     \
            return;                                                                                \
        }                                                                                          \
        for (b = 0; b < rows; b++, out += width) {                                                 \
            const size_t at = index ? index[b] : (size_t)b;                                        \
            const nn_real *row = x + at * (size_t)width;                                           \
            const nn_real *next = x + (index && b + 1 < rows ? index[b + 1] : at) * (size_t)width; \
            for (i = 0; i < width; i += NN__LANES) {                                               \
                n = NN__LANES_OF(width - i);                                                       \
                if (index) NN__PREFETCH(next + i); /* the processor cannot foresee it */           \
                v = NN__LOAD_UP_TO(row + i, n);                                                    \
                if (offset) {                                                                      \
                    v = NN__SUB(v, NN__LOAD_UP_TO(offset + i, n));                                 \
                    v = NN__MUL(v, NN__LOAD_UP_TO(factor + i, n));                                 \
                }                                                                                  \
                NN__STORE_UP_TO(out + i, v, n);                                                    \
            }                                                                                      \
        }                                                                                          \
    }

/* Returns 1 when no number of x[count] is NaN or infinite. x - x is 0 for finite x and NaN
   otherwise. */
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

/* z[out] += x[in] * w[in x out], each sum one chain of fma in the order of k. Returns the end of
   w. */
static const nn_real *nn__add_product(const nn_real *x, const nn_real *w, nn_real *z, int in,
                                      int out)
{
    const nn_real *const end = x + in;
    int j;

    for (; x < end; x++, w += out)
        for (j = 0; j < out; j++) z[j] = nn__fma(*x, w[j], z[j]);
    return w;
}

/* y[rows x out] = activation(x[rows x in] * w[in x out] + bias[out]), row-major, y overwritten, no
   aliasing. Each sum is one chain of fma in the order of k, started at its bias. */
static void nn__dense_forward_scalar(const nn_real *x, const nn_real *w, const nn_real *bias,
                                     nn_real *y, int rows, int in, int out,
                                     nn_activation activation)
{
    nn_real *z = y;
    int b;

    for (b = 0; b < rows; b++, x += in, z += out) {
        memcpy(z, bias, (size_t)out * sizeof *z);
        (void)nn__add_product(x, w, z, in, out);
    }
    nn__activate_scalar(activation, y, rows, out);
}

#ifdef NN__SIMD

/* Computes what nn__dense_forward_scalar computes. activate is the back-end's activation. */
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
    product.cols = out;
    product.depth = in;
    nn__multiply(p, &product);
    if (activation != NN_LINEAR) nn__activate_in_parallel(activate, activation, y, rows, out);
}

#endif

/* forward_row: one row of at most four vectors, whose sums do not wait for each other. The last
   vector has `last` lanes.

   A kernel that small nets use calls the code for larger ones as its last act, with its own
   arguments. Then it needs no stack frame, which would cost more than a small product. */
#define NN__DEFINE_DENSE_FORWARD                                                                   \
    NN__INLINE void NN__NAME(forward_row)(const nn_real *x, const nn_real *w, const nn_real *bias, \
                                          nn_real *y, int in, int out, const int vectors,          \
                                          const int last)                                          \
    {                                                                                              \
        NN__VECTOR sum[4], factor;                                                                 \
        int k, v, n;                                                                               \
                                                                                                   \
        NN__UNROLL (v, vectors) {                                                                  \
            n = v < vectors - 1 ? NN__LANES : last;                                                \
            sum[v] = NN__LOAD_IN_TILE(bias + v * NN__LANES, n);                                    \
        }                                                                                          \
        NN__BY_FOUR                                                                                \
        for (k = 0; k < in; k++, w += out) {                                                       \
            factor = NN__SET1(x[k]);                                                               \
            NN__UNROLL (v, vectors) {                                                              \
                n = v < vectors - 1 ? NN__LANES : last;                                            \
                sum[v] = NN__FMA(factor, NN__LOAD_IN_TILE(w + v * NN__LANES, n), sum[v]);          \
            }                                                                                      \
        }                                                                                          \
        NN__UNROLL (v, vectors)                                                                    \
            NN__STORE_UP_TO(y + v * NN__LANES, sum[v], v < vectors - 1 ? NN__LANES : last);        \
    }                                                                                              \
                                                                                                   \
    static NN__APART NN__TARGET void NN__NAME(matrix_forward)(                                     \
        const nn_real *x, const nn_real *w, const nn_real *bias, nn_real *y, int rows, int in,     \
        int out, nn_activation activation)                                                         \
    {                                                                                              \
        nn__multiply_forward(&NN__NAME(panels), x, w, bias, y, rows, in, out, activation,          \
                             NN__NAME(activate));                                                  \
    }                                                                                              \
                                                                                                   \
    static NN__APART NN__TARGET void NN__NAME(row_forward)(                                        \
        const nn_real *x, const nn_real *w, const nn_real *bias, nn_real *y, int rows, int in,     \
        int out, nn_activation activation)                                                         \
    {                                                                                              \
        const int vectors = (out - 1) / NN__LANES + 1, last = out - (vectors - 1) * NN__LANES;     \
                                                                                                   \
        switch (last == NN__LANES ? -vectors : vectors) {                                          \
        case 2: NN__NAME(forward_row)(x, w, bias, y, in, out, 2, last); break;                     \
        case 3: NN__NAME(forward_row)(x, w, bias, y, in, out, 3, last); break;                     \
        case 4: NN__NAME(forward_row)(x, w, bias, y, in, out, 4, last); break;                     \
        case -2: NN__NAME(forward_row)(x, w, bias, y, in, out, 2, NN__LANES); break;               \
        case -3: NN__NAME(forward_row)(x, w, bias, y, in, out, 3, NN__LANES); break;               \
        case -4: NN__NAME(forward_row)(x, w, bias, y, in, out, 4, NN__LANES); break;               \
        default: NN__NAME(matrix_forward)(x, w, bias, y, rows, in, out, activation); return;       \
        }                                                                                          \
        NN__NAME(activate)(activation, y, 1, out);                                                 \
    }                                                                                              \
                                                                                                   \
    static NN__TARGET void NN__NAME(dense_forward)(const nn_real *x, const nn_real *w,             \
                                                   const nn_real *bias, nn_real *y, int rows,      \
                                                   int in, int out, nn_activation activation)      \
    {                                                                                              \
        NN__VECTOR v;                                                                              \
                                                                                                   \
        if (rows != 1) {                                                                           \
            NN__NAME(matrix_forward)(x, w, bias, y, rows, in, out, activation);                    \
            return;                                                                                \
        }                                                                                          \
        if (out > NN__LANES || !nn__is_simple(activation)) {                                       \
            NN__NAME(row_forward)(x, w, bias, y, rows, in, out, activation);                       \
            return;                                                                                \
        }                                                                                          \
        if (out < 1) return;                                                                       \
        v = NN__NAME(narrow_row)(x, 1, w, (size_t)out, bias, out, in);                             \
        v = NN__NAME(activated)(activation, v);                                                    \
        NN__STORE_UP_TO(y, v, out);                                                                \
    }

/* Returns the number at b in a model file: little-endian, at any address. */
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

/* Continues a sum with x[pixels x channels] times weights in a model file, where the channels are
   outside: weight (i, c) is number c * plane + i from w on. */
static nn_real nn__stored_sum(const nn_real *x, int pixels, int channels, const unsigned char *w,
                              size_t plane, nn_real sum)
{
    int i, c;

    for (i = 0; i < pixels; i++, w += sizeof(nn_real)) {
        const unsigned char *stored = w;
        for (c = 0; c < channels; c++, stored += plane * sizeof(nn_real))
            sum = nn__fma(*x++, nn__stored_real(stored), sum);
    }
    return sum;
}

/* The forward product with the parameters in a model file: w[out x in] and bias[out], each as
   nn__stored_real reads it. Each sum has the order of nn__dense_forward_scalar, so that the results
   are the same. x is [rows x in], where in is [pixels x channels] behind an image; otherwise
   channels is 1. */
static NN__APART void nn__stored_forward(const nn_real *x, const unsigned char *w,
                                         const unsigned char *bias, nn_real *y, int rows, int in,
                                         int channels, int out, nn_activation activation)
{
    const int pixels = in / channels;
    const unsigned char *stored;
    nn_real *z = y;
    int b, j;

    for (b = 0; b < rows; b++, x += in) {
        stored = w;
        for (j = 0; j < out; j++, stored += (size_t)in * sizeof(nn_real))
            *z++ = nn__stored_sum(x, pixels, channels, stored, (size_t)pixels,
                                  nn__stored_real(bias + (size_t)j * sizeof(nn_real)));
    }
    nn__activate_scalar(activation, y, rows, out);
}

#ifndef NN_NO_TRAIN

/* ---- Weight gradient ------------------------------------------------------------------------- */

/* dw[in x out] += x[in]^T * dz[out]. Returns the end of dw. */
static nn_real *nn__add_outer_product(const nn_real *x, const nn_real *dz, nn_real *dw, int in,
                                      int out)
{
    const nn_real *const end = x + in;
    int j;

    for (; x < end; x++, dw += out)
        for (j = 0; j < out; j++) dw[j] = nn__fma(*x, dz[j], dw[j]);
    return dw;
}

/* Zeroes dw[in x out] and db[out]. All bytes 0 is the number 0 in IEEE arithmetic. */
static void nn__clear_gradient(nn_real *dw, nn_real *db, int in, int out)
{
    memset(dw, 0, (size_t)in * (size_t)out * sizeof *dw);
    memset(db, 0, (size_t)out * sizeof *db);
}

/* dw[in x out] = dL/dw = x[rows x in]^T * dz[rows x out] and db[out] = dL/db = the sums of the
   columns of dz, where dz = dL/dz. No aliasing. Both are added to dw and db when accumulate is 1,
   and overwrite them when it is 0. Each sum is one chain in the order of the rows. */
static void nn__dense_weight_gradient_scalar(const nn_real *x, const nn_real *dz, nn_real *dw,
                                             nn_real *db, int rows, int in, int out, int accumulate)
{
    int b, j;

    if (!accumulate) nn__clear_gradient(dw, db, in, out);
    for (b = 0; b < rows; b++, x += in, dz += out) {
        (void)nn__add_outer_product(x, dz, dw, in, out);
        for (j = 0; j < out; j++) db[j] += dz[j];
    }
}

#ifdef NN__SIMD

static const nn_real nn__one_real = 1;

/* Computes what nn__dense_weight_gradient_scalar computes: dw[in x out] = x[rows x in]^T *
   dz[rows x out], and db[out] = ones[rows]^T * dz[rows x out]. */
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
    product.cols = out;
    product.depth = rows;
    if (out == 1) { /* the transpose, dz^T * x, fills the vectors, and dw is the same array */
        product.a = dz;
        product.a_step = 1;
        product.b = x;
        product.b_row = (size_t)in;
        product.rows = 1;
        product.cols = in;
    }
    nn__multiply(p, &product);
    product.a = &nn__one_real;
    product.a_row = product.a_step = 0;
    product.b = dz;
    product.b_row = (size_t)out;
    product.start = accumulate ? db : nn__zeros;
    product.c = db;
    product.rows = 1;
    product.cols = out;
    nn__multiply(p, &product);
}

#endif

#define NN__DEFINE_DENSE_WEIGHT_GRADIENT                                                           \
    /* dw[in x out] = x[in]^T * dz[out]: the weight gradient of one row, or added to dw. */        \
    NN__INLINE void NN__NAME(outer_product)(const nn_real *x, const nn_real *dz, nn_real *dw,      \
                                            int in, const int out, const int accumulate)           \
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
    static NN__APART NN__TARGET void NN__NAME(any_outer_product)(                                  \
        const nn_real *x, const nn_real *dz, nn_real *dw, int in, int out, int accumulate)         \
    {                                                                                              \
        if (accumulate)                                                                            \
            NN__NAME(outer_product)(x, dz, dw, in, out, 1);                                        \
        else                                                                                       \
            NN__NAME(outer_product)(x, dz, dw, in, out, 0);                                        \
    }                                                                                              \
                                                                                                   \
    /* The same. What is common in small nets is constant. */                                      \
    NN__INLINE void NN__NAME(row_gradient)(const nn_real *x, const nn_real *dz, nn_real *dw,       \
                                           int in, int out, int accumulate)                        \
    {                                                                                              \
        if (out == NN__LANES)                                                                      \
            NN__NAME(outer_product)(x, dz, dw, in, NN__LANES, accumulate);                         \
        else if (out == NN__LANES / 2)                                                             \
            NN__NAME(outer_product)(x, dz, dw, in, NN__LANES / 2, accumulate);                     \
        else                                                                                       \
            NN__NAME(any_outer_product)(x, dz, dw, in, out, accumulate);                           \
    }                                                                                              \
                                                                                                   \
    static NN__APART NN__TARGET void NN__NAME(matrix_weight_gradient)(                             \
        const nn_real *x, const nn_real *dz, nn_real *dw, nn_real *db, int rows, int in, int out,  \
        int accumulate)                                                                            \
    {                                                                                              \
        nn__multiply_weight_gradient(&NN__NAME(panels), x, dz, dw, db, rows, in, out, accumulate); \
    }                                                                                              \
                                                                                                   \
    static NN__TARGET void NN__NAME(dense_weight_gradient)(const nn_real *x, const nn_real *dz,    \
                                                           nn_real *dw, nn_real *db, int rows,     \
                                                           int in, int out, int accumulate)        \
    {                                                                                              \
        if (rows != 1) {                                                                           \
            NN__NAME(matrix_weight_gradient)(x, dz, dw, db, rows, in, out, accumulate);            \
        } else if (out == 1) { /* dw^T = dz * x fills the vectors */                               \
            NN__NAME(row_gradient)(dz, x, dw, 1, in, accumulate);                                  \
            *db = (accumulate ? *db : 0) + *dz;                                                    \
        } else {                                                                                   \
            NN__NAME(row_gradient)(x, dz, dw, in, out, accumulate);                                \
            NN__NAME(row_gradient)(&nn__one_real, dz, db, 1, out, accumulate);                     \
        }                                                                                          \
    }

/* ---- Input gradient -------------------------------------------------------------------------- */

/* The gradient with respect to a layer's input, and through the activation of the layer before it:

       dy[rows x in] = (dz[rows x out] * w[in x out]^T) * mask[rows x in]    dL/dy
       y[rows x in]  = dy * activation'                                      dL/dz of that layer

   Before the call y holds that layer's output, or its z where the activation's derivative is
   computed from z. y is overwritten; with NN_LINEAR it is not read. mask is the dropout mask; NULL
   means ones. Each sum is one chain of fma in the order of j, started at 0. No aliasing. The vector
   kernels keep dy in buffer[rows x in]. */
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

/* Computes what nn__dense_input_gradient_scalar computes. gradient is the back-end's
   activation_gradient. */
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
    product.cols = in;
    product.depth = out;
    nn__multiply(p, &product);
    if (plain) return;
    for (i = 0; mask && i < count; i++) buffer[i] *= mask[i];
    nn__gradient_in_parallel(gradient, activation, y, buffer, rows, in);
}

#endif

#define NN__DEFINE_DENSE_INPUT_GRADIENT                                                            \
    /* One row and one output: dy[in] = dz * w[in] has no sum to wait for. */                      \
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
    static NN__APART NN__TARGET void NN__NAME(matrix_input_gradient)(                              \
        const nn_real *dz, const nn_real *w, const nn_real *mask, nn_real *y, nn_real *buffer,     \
        int rows, int in, int out, nn_activation activation)                                       \
    {                                                                                              \
        nn__multiply_input_gradient(&NN__NAME(panels), dz, w, mask, y, buffer, rows, in, out,      \
                                    activation, NN__NAME(activation_gradient));                    \
    }                                                                                              \
                                                                                                   \
    static NN__TARGET void NN__NAME(dense_input_gradient)(                                         \
        const nn_real *dz, const nn_real *w, const nn_real *mask, nn_real *y, nn_real *buffer,     \
        int rows, int in, int out, nn_activation activation)                                       \
    {                                                                                              \
        if (rows == 1 && out == 1 && !mask && nn__is_simple(activation)) {                         \
            NN__NAME(narrow_input_gradient)(*dz, w, y, in, activation);                            \
            return;                                                                                \
        }                                                                                          \
        NN__NAME(matrix_input_gradient)(dz, w, mask, y, buffer, rows, in, out, activation);        \
    }

#endif /* NN_NO_TRAIN */
#ifndef NN_NO_CONVOLUTION

/* ================================================================================================
   >>convolution
   ------------------------------------------------------------------------------------------------
   Convolutions and pools move a window over an image [height x width x channels]. What the window
   covers is a patch: `height` runs, one in each line of the image, each of width * channels
   contiguous numbers. The weights of a convolution, [height x width x channels before x channels],
   are in the order of a patch. So a convolution is the dense layer of each patch, and its three
   products are those of >>dense, over the image itself. No patch is copied.

   Padding is a copy of the image with zeros around it. The products see only padded images. The
   scalar functions define the results; the vector kernels compute the same bits.
   ============================================================================================= */

/* How a window moves over an image. The patches, and the positions of the output, are counted line
   by line from the top left. */
typedef struct nn__window {
    nn__map in;        /* the image */
    nn__map padded;    /* the image with its padding */
    nn__map out;       /* one position for each patch */
    int height, width; /* of the window */
    int stride_height, stride_width;
    int top, left; /* padding before the first line and the first column */
} nn__window;

/* Return whether a layer is a pool, a pool of means, a pool of the whole image, and whether it has
   a padding. Where no such thing is compiled in, the answer is a constant, and the compiler leaves
   out what would follow. */
static int nn__is_pool(nn_layer_kind kind)
{
    const unsigned pools =
        1u << NN_LAYER_MAX_POOL | 1u << NN_LAYER_AVERAGE_POOL | 1u << NN_LAYER_GLOBAL_AVERAGE;

    return ((NN_ONLY_LAYERS)&pools) && kind > NN_LAYER_CONVOLUTION;
}

static int nn__is_average(nn_layer_kind kind)
{
    const unsigned averages = 1u << NN_LAYER_AVERAGE_POOL | 1u << NN_LAYER_GLOBAL_AVERAGE;

    return ((NN_ONLY_LAYERS)&averages) && kind > NN_LAYER_MAX_POOL;
}

static int nn__is_global(nn_layer_kind kind)
{
    return NN__ONLY(NN_ONLY_LAYERS, NN_LAYER_GLOBAL_AVERAGE) && kind == NN_LAYER_GLOBAL_AVERAGE;
}

static int nn__has_padding(const nn_layer *layer)
{
    return NN__ONLY(NN_ONLY_PADDINGS, NN_PADDING_SAME) && layer->padding == NN_PADDING_SAME;
}

/* Returns how a layer's window moves over its input. */
static nn__window nn__window_of(const nn_layer *layer, const nn__map *in, const nn__map *out)
{
    const int whole = nn__is_global(layer->kind), pool = nn__is_pool(layer->kind);
    const int same = nn__has_padding(layer);
    nn__window window;

    window.in = window.padded = *in;
    window.out = *out;
    window.height = whole ? in->height : layer->height;
    window.width = whole ? in->width : layer->width;
    window.stride_height = layer->stride_height ? layer->stride_height : pool ? window.height : 1;
    window.stride_width = layer->stride_width ? layer->stride_width : pool ? window.width : 1;
    window.top = same ? (window.height - 1) / 2 : 0;
    window.left = same ? (window.width - 1) / 2 : 0;
    if (same) {
        window.padded.height += window.height - 1;
        window.padded.width += window.width - 1;
        window.padded.size = window.padded.height * window.padded.width * in->channels;
    }
    return window;
}

static int nn__is_padded(const nn__window *window)
{
    return NN__ONLY(NN_ONLY_PADDINGS, NN_PADDING_SAME) && window->padded.size != window->in.size;
}

/* Returns how many numbers a line of the padded image has. */
static size_t nn__line(const nn__window *window)
{
    return (size_t)window->padded.width * (size_t)window->padded.channels;
}

/* Returns how many numbers of a patch are in one line of the image. */
static int nn__run_length(const nn__window *window)
{
    return window->width * window->padded.channels;
}

/* Returns how many numbers a patch has. */
static int nn__patch_length(const nn__window *window)
{
    return window->height * nn__run_length(window);
}

/* Returns how many pixels a patch has, as a number to divide by. */
static nn_real nn__pixels(const nn__window *window)
{
    return (nn_real)window->height * (nn_real)window->width;
}

/* Returns the number of positions of the output. */
static int nn__positions(const nn__window *window)
{
    return window->out.height * window->out.width;
}

/* Return how many numbers of the padded image are from a patch to the next one in its line, and to
   the one below it. */
static size_t nn__step_across(const nn__window *window)
{
    return (size_t)window->stride_width * (size_t)window->padded.channels;
}

static size_t nn__step_down(const nn__window *window)
{
    return (size_t)window->stride_height * nn__line(window);
}

/* Returns the index in the padded image at which patch i begins. */
static size_t nn__patch(const nn__window *window, int i)
{
    const int line = i / window->out.width, column = i % window->out.width;

    return (size_t)line * nn__step_down(window) + (size_t)column * nn__step_across(window);
}

/* Returns the index in the padded image at which the image begins. */
static size_t nn__inside(const nn__window *window)
{
    return (size_t)window->top * nn__line(window) +
           (size_t)window->left * (size_t)window->padded.channels;
}

/* ---- Padding --------------------------------------------------------------------------------- */

/* Copies images x[rows x in] to padded[rows x padded], with zeros around them. No aliasing. */
static void nn__pad(const nn__window *window, const nn_real *x, nn_real *padded, int rows)
{
    const size_t line = nn__line(window), first = nn__inside(window);
    const size_t length = (size_t)window->in.width * (size_t)window->in.channels;
    int b, i;

    /* All bytes 0 is the number 0 in IEEE arithmetic. */
    memset(padded, 0, (size_t)rows * (size_t)window->padded.size * sizeof *padded);
    for (b = 0; b < rows; b++, padded += window->padded.size)
        for (i = 0; i < window->in.height; i++, x += length)
            memcpy(padded + first + (size_t)i * line, x, length * sizeof *x);
}

#ifndef NN_NO_TRAIN
/* Copies the images in padded[rows x padded] to x[rows x in]. No aliasing. */
static void nn__crop(const nn__window *window, const nn_real *padded, nn_real *x, int rows)
{
    const size_t line = nn__line(window), first = nn__inside(window);
    const size_t length = (size_t)window->in.width * (size_t)window->in.channels;
    int b, i;

    for (b = 0; b < rows; b++, padded += window->padded.size)
        for (i = 0; i < window->in.height; i++, x += length)
            memcpy(x, padded + first + (size_t)i * line, length * sizeof *x);
}
#endif

#ifdef NN__SIMD

/* ---- Grids ----------------------------------------------------------------------------------- */

/* The product of the vector kernels. Its rows are in `lines` groups, and its summed index is in
   `runs` runs, because a window leaves a line of the image before it enters the next one:

       c(l, i, j) = start(l, i, j) + the sum over r = 0 ... runs - 1 and k = 0 ... depth - 1 of
                    a[l * a_line + i * a_row + r * a_run + k * a_step] *
                    b[l * b_line + r * b_run + k * b_row + j]

       start(l, i, j) = start[l * start_line + i * start_row + j]
       c(l, i, j)     = c[l * c_line + i * c_row + j]

   Each c(l, i, j) is one chain of fma in the order of r, then of k. start may be c, which then
   accumulates; a row of it may be used for all rows. Where it is nn__zeros, all columns start from
   the same zeros. c overlaps neither a nor b. */
typedef struct nn__grid {
    const nn_real *a;
    size_t a_line, a_row, a_run, a_step;
    const nn_real *b;
    size_t b_line, b_run, b_row;
    const nn_real *start;
    size_t start_line, start_row;
    nn_real *c;
    size_t c_line, c_row;
    int line_count, rows, cols, runs, depth;
} nn__grid;

/* The functions of a back-end for windows. grid computes a grid. turned computes one that has 1, 2,
   4 or 8 columns, at most half a vector, with its rows in the lanes: a_row is 1, c_row is cols, and
   all rows have the same b and start. add_rows adds the rows of
   x[rows x cols] to sums[cols], in their order. add_patches adds rows of `run` numbers, which may
   overlap, to each of some lines of an image: to[l * to_line + i * step + k] +=
   sums[(l * rows + i) * row + k] for i = 0 ... rows - 1, in this order. Before, between and after
   the rows of sums are at least as many zeros as a vector has lanes. */
typedef struct nn__windows {
    const nn__panels *panels;
    nn__activate_kernel activate;
    void (*grid)(const nn__grid *grid);
    void (*turned)(const nn__grid *grid);
#ifndef NN_NO_TRAIN
    void (*add_rows)(const nn_real *x, size_t rows, int cols, nn_real *sums);
    void (*add_patches)(const nn_real *sums, int row, int line_count, int rows, int run, int step,
                        nn_real *to, size_t to_line);
#endif
} nn__windows;

#endif

#define NN__GRID_CASE(line_count, n)                                                               \
    case 8 * line_count + n:                                                                       \
        if (line_count * n <= (line_count > 1 ? 2 : 1) * NN__TILE_ROWS &&                          \
            (line_count == 1 || vectors == 1))                                                     \
            NN__NAME(grid_tile)                                                                    \
        (g, a, a_line, b, start, start_line, c, c_line, line_count, n,                             \
         line_count == 1 ? vectors : 1, last);                                                     \
        break;

#define NN__GRID_PANEL_CASE(n)                                                                     \
    case n:                                                                                        \
        if (n <= NN__TILE_VECTORS) NN__NAME(grid_panel)(g, column, n, last);                       \
        break;                                                                                     \
    case -n:                                                                                       \
        if (n <= NN__TILE_VECTORS) NN__NAME(grid_panel)(g, column, n, NN__LANES);                  \
        break;

/* nn__grid_tile_avx512 and its like: `rows` rows of each of one to three lines of a grid, whose
   numbers in a, start and c are a_line, start_line and c_line apart. These may also be rows of the
   same line. Otherwise it is as nn__tile. With several lines, short lines have enough sums to hide
   the latency of fma. */
#define NN__DEFINE_GRID                                                                            \
    NN__INLINE void NN__NAME(grid_tile)(const nn__grid *g, const nn_real *a, size_t a_line,        \
                                        const nn_real *b, const nn_real *start, size_t start_line, \
                                        nn_real *c, size_t c_line, const int line_count,           \
                                        const int rows, const int vectors, const int last)         \
    {                                                                                              \
        const size_t a_row = g->a_row, a_step = g->a_step, b_row = g->b_row, c_row = g->c_row;     \
        const size_t start_row = g->start_row;                                                     \
        const int depth = g->depth;                                                                \
        NN__VECTOR sum[2 * NN__TILE_ROWS][NN__TILE_VECTORS], row[NN__TILE_VECTORS], factor;        \
        int i, v, k, run;                                                                          \
                                                                                                   \
        NN__UNROLL (i, line_count * rows) {                                                        \
            const nn_real *from = start + (size_t)(i / rows) * start_line;                         \
            NN__UNROLL (v, vectors)                                                                \
                sum[i][v] =                                                                        \
                    NN__LOAD_IN_TILE(from + (size_t)(i % rows) * start_row + v * NN__LANES,        \
                                     v < vectors - 1 ? NN__LANES : last);                          \
        }                                                                                          \
        for (run = 0; run < g->runs; run++, a += g->a_run, b += g->b_run) {                        \
            const nn_real *one = a, *two = a + a_line, *three = two + a_line, *next = b;           \
            for (k = 0; k < depth; k++, next += b_row) {                                           \
                NN__UNROLL (v, vectors)                                                            \
                    row[v] = NN__LOAD_IN_TILE(next + v * NN__LANES,                                \
                                              v < vectors - 1 ? NN__LANES : last);                 \
                NN__UNROLL (i, line_count * rows) {                                                \
                    const nn_real *from = i < rows ? one : i < 2 * rows ? two : three;             \
                    factor = NN__SET1(from[(size_t)(i % rows) * a_row]);                           \
                    NN__UNROLL (v, vectors) sum[i][v] = NN__FMA(factor, row[v], sum[i][v]);        \
                }                                                                                  \
                one += a_step;                                                                     \
                two += a_step;                                                                     \
                three += a_step;                                                                   \
            }                                                                                      \
        }                                                                                          \
        NN__UNROLL (i, line_count * rows) {                                                        \
            nn_real *to = c + (size_t)(i / rows) * c_line;                                         \
            NN__UNROLL (v, vectors)                                                                \
                NN__STORE_UP_TO(to + (size_t)(i % rows) * c_row + v * NN__LANES, sum[i][v],        \
                                v < vectors - 1 ? NN__LANES : last);                               \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    NN__INLINE void NN__NAME(grid_panel)(const nn__grid *g, int column, const int vectors,         \
                                         const int last)                                           \
    {                                                                                              \
        const nn_real *const first = g->start == nn__zeros ? g->start : g->start + column;         \
        const int tiles = (g->rows - 1) / NN__TILE_ROWS + 1;                                       \
        const int most = (g->rows - 1) / tiles + 1, larger = g->rows - tiles * (most - 1);         \
        const int shared = vectors == 1 && tiles == 1 && g->b_line == 0 ? 3 : 1;                   \
        int line, tile, line_count;                                                                \
                                                                                                   \
        for (line = 0; line < g->line_count; line += line_count) {                                 \
            const nn_real *a = g->a + (size_t)line * g->a_line;                                    \
            const nn_real *b = g->b + (size_t)line * g->b_line + column;                           \
            const nn_real *start = first + (size_t)line * g->start_line;                           \
            nn_real *c = g->c + (size_t)line * g->c_line + column;                                 \
            line_count = g->line_count - line < shared ? g->line_count - line : shared;            \
            if (line_count == 3 && g->line_count - line == 4) line_count = 2;                      \
            if (line_count * g->rows > 2 * NN__TILE_ROWS) line_count = 2;                          \
            if (line_count * g->rows > 2 * NN__TILE_ROWS) line_count = 1;                          \
            for (tile = 0; tile < tiles; tile++) {                                                 \
                const int rows = tile < larger ? most : most - 1;                                  \
                size_t a_line = g->a_line, start_line = g->start_line, c_line = g->c_line;         \
                int sets = line_count;                                                             \
                if (vectors == 1 && tile + 1 < (tile < larger ? larger : tiles)) {                 \
                    sets = 2;                                                                      \
                    tile++;                                                                        \
                    a_line = (size_t)rows * g->a_row;                                              \
                    start_line = (size_t)rows * g->start_row;                                      \
                    c_line = (size_t)rows * g->c_row;                                              \
                }                                                                                  \
                switch (8 * sets + rows) {                                                         \
                    NN__GRID_CASE(1, 1)                                                            \
                    NN__GRID_CASE(1, 2)                                                            \
                    NN__GRID_CASE(1, 3)                                                            \
                    NN__GRID_CASE(1, 4)                                                            \
                    NN__GRID_CASE(1, 5)                                                            \
                    NN__GRID_CASE(1, 6)                                                            \
                    NN__GRID_CASE(1, 7)                                                            \
                    NN__GRID_CASE(1, 8)                                                            \
                    NN__GRID_CASE(2, 1)                                                            \
                    NN__GRID_CASE(2, 2)                                                            \
                    NN__GRID_CASE(2, 3)                                                            \
                    NN__GRID_CASE(2, 4)                                                            \
                    NN__GRID_CASE(2, 5)                                                            \
                    NN__GRID_CASE(2, 6)                                                            \
                    NN__GRID_CASE(2, 7)                                                            \
                    NN__GRID_CASE(2, 8)                                                            \
                    NN__GRID_CASE(3, 1)                                                            \
                    NN__GRID_CASE(3, 2)                                                            \
                    NN__GRID_CASE(3, 3)                                                            \
                    NN__GRID_CASE(3, 4)                                                            \
                    NN__GRID_CASE(3, 5)                                                            \
                }                                                                                  \
                a += (size_t)(sets > line_count ? sets * rows : rows) * g->a_row;                  \
                start += (size_t)(sets > line_count ? sets * rows : rows) * g->start_row;          \
                c += (size_t)(sets > line_count ? sets * rows : rows) * g->c_row;                  \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static NN__TARGET void NN__NAME(grid)(const nn__grid *g)                                       \
    {                                                                                              \
        int column, width, vectors, last;                                                          \
                                                                                                   \
        for (column = 0; column < g->cols; column += width) {                                      \
            width = nn__panel_width(&NN__NAME(panels), g->cols - column, 0);                       \
            vectors = (width + NN__LANES - 1) / NN__LANES;                                         \
            last = width - (vectors - 1) * NN__LANES;                                              \
            switch (last == NN__LANES ? -vectors : vectors) {                                      \
                NN__GRID_PANEL_CASE(1)                                                             \
                NN__GRID_PANEL_CASE(2)                                                             \
                NN__GRID_PANEL_CASE(3)                                                             \
            }                                                                                      \
        }                                                                                          \
    }

#define NN__TURNED_CASE(rows, n)                                                                   \
    case 4 * rows + n:                                                                             \
        if (rows <= NN__LANES / 2 && n <= NN__TILE_VECTORS) {                                      \
            if (last == NN__LANES)                                                                 \
                NN__NAME(turned_tile)(g, line, row, rows, n, NN__LANES);                           \
            else                                                                                   \
                NN__NAME(turned_tile)(g, line, row, rows, n, last);                                \
        }                                                                                          \
        break;

/* nn__turned_avx512 and its like: a grid of few columns, see nn__windows. A vector has a column of
   c for many rows of a line. Perfect shuffles put the numbers of a row together, as in
   nn__transpose: the index (column, lane) becomes (lane, column). */
#define NN__DEFINE_TURNED                                                                          \
    NN__INLINE void NN__NAME(turned_tile)(const nn__grid *g, int line, int row, const int cols,    \
                                          const int vectors, const int last)                       \
    {                                                                                              \
        const nn_real *a = g->a + (size_t)line * g->a_line + row, *b = g->b;                       \
        nn_real *c = g->c + (size_t)line * g->c_line + (size_t)(row * cols);                       \
        const int depth = g->depth;                                                                \
        NN__VECTOR sum[NN__TILE_VECTORS][8], x[NN__TILE_VECTORS], factor;                          \
        int i, j, v, k, n, run, round;                                                             \
                                                                                                   \
        NN__UNROLL (v, vectors) {                                                                  \
            NN__UNROLL (j, cols) sum[v][j] = NN__SET1(g->start[j]);                                \
        }                                                                                          \
        for (run = 0; run < g->runs; run++, a += g->a_run, b += g->b_run) {                        \
            const nn_real *from = a, *next = b;                                                    \
            for (k = 0; k < depth; k++, from += g->a_step, next += g->b_row) {                     \
                NN__UNROLL (v, vectors)                                                            \
                    x[v] = NN__LOAD_IN_TILE(from + v * NN__LANES,                                  \
                                            v < vectors - 1 ? NN__LANES : last);                   \
                NN__UNROLL (j, cols) {                                                             \
                    factor = NN__SET1(next[j]);                                                    \
                    NN__UNROLL (v, vectors) sum[v][j] = NN__FMA(x[v], factor, sum[v][j]);          \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
        NN__UNROLL (v, vectors) {                                                                  \
            NN__VECTOR t[8];                                                                       \
            NN__UNROLL (round, 3) {                                                                \
                if (1 << round >= cols) break;                                                     \
                NN__UNROLL (i, cols / 2) {                                                         \
                    t[2 * i] = NN__ZIP_LOW(sum[v][i], sum[v][i + cols / 2]);                       \
                    t[2 * i + 1] = NN__ZIP_HIGH(sum[v][i], sum[v][i + cols / 2]);                  \
                }                                                                                  \
                NN__UNROLL (i, cols) sum[v][i] = t[i];                                             \
            }                                                                                      \
            n = (v < vectors - 1 ? NN__LANES : last) * cols;                                       \
            NN__UNROLL (i, cols) {                                                                 \
                if (n > i * NN__LANES)                                                             \
                    NN__STORE_UP_TO(c + i * NN__LANES, sum[v][i],                                  \
                                    NN__LANES_OF(n - i * NN__LANES));                              \
            }                                                                                      \
            c += NN__LANES * cols;                                                                 \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static NN__TARGET void NN__NAME(turned)(const nn__grid *g)                                     \
    {                                                                                              \
        int line, row, rows, vectors, last;                                                        \
                                                                                                   \
        for (line = 0; line < g->line_count; line++)                                               \
            for (row = 0; row < g->rows; row += rows) {                                            \
                rows = nn__panel_width(&NN__NAME(panels), g->rows - row, 0);                       \
                vectors = (rows + NN__LANES - 1) / NN__LANES;                                      \
                last = rows - (vectors - 1) * NN__LANES;                                           \
                switch (4 * g->cols + vectors) {                                                   \
                    NN__TURNED_CASE(1, 1)                                                          \
                    NN__TURNED_CASE(1, 2)                                                          \
                    NN__TURNED_CASE(1, 3)                                                          \
                    NN__TURNED_CASE(2, 1)                                                          \
                    NN__TURNED_CASE(2, 2)                                                          \
                    NN__TURNED_CASE(2, 3)                                                          \
                    NN__TURNED_CASE(4, 1)                                                          \
                    NN__TURNED_CASE(4, 2)                                                          \
                    NN__TURNED_CASE(4, 3)                                                          \
                    NN__TURNED_CASE(8, 1)                                                          \
                    NN__TURNED_CASE(8, 2)                                                          \
                    NN__TURNED_CASE(8, 3)                                                          \
                }                                                                                  \
            }                                                                                      \
    }

#ifndef NN_NO_TRAIN
#define NN__DEFINE_ADDITIONS                                                                       \
    static NN__TARGET void NN__NAME(add_rows)(const nn_real *x, size_t rows, int cols,             \
                                              nn_real *sums)                                       \
    {                                                                                              \
        size_t i;                                                                                  \
        int j, n;                                                                                  \
                                                                                                   \
        for (j = 0; j < cols; j += NN__LANES) {                                                    \
            const nn_real *row = x + j;                                                            \
            NN__VECTOR sum;                                                                        \
            n = NN__LANES_OF(cols - j);                                                            \
            sum = NN__LOAD_IN_TILE(sums + j, n);                                                   \
            for (i = 0; i < rows; i++, row += cols) sum = NN__ADD(sum, NN__LOAD_IN_TILE(row, n));  \
            NN__STORE_UP_TO(sums + j, sum, n);                                                     \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static NN__TARGET void NN__NAME(add_patches)(const nn_real *sums, int row, int line_count,     \
                                                 int rows, int run, int step, nn_real *to,         \
                                                 size_t to_line)                                   \
    {                                                                                              \
        const int length = (rows - 1) * step + run;                                                \
        int from = 0, up_to = 0; /* the patches that have numbers of this vector */                \
        int i, j, n, line;                                                                         \
                                                                                                   \
        for (j = 0; j < length; j += NN__LANES) {                                                  \
            n = NN__LANES_OF(length - j);                                                          \
            while (from < rows && from * step + run <= j) from++;                                  \
            while (up_to < rows && up_to * step < j + n) up_to++;                                  \
            for (line = 0; line < line_count; line++) {                                            \
                const nn_real *patch = sums + ((line * rows + from) * row - from * step + j);      \
                nn_real *at = to + (size_t)line * to_line + j;                                     \
                NN__VECTOR v = NN__LOAD_UP_TO(at, n);                                              \
                for (i = from; i < up_to; i++, patch += row - step)                                \
                    v = NN__ADD(v, NN__LOAD(patch));                                               \
                NN__STORE_UP_TO(at, v, n);                                                         \
            }                                                                                      \
        }                                                                                          \
    }
#define NN__ADDITIONS , NN__NAME(add_rows), NN__NAME(add_patches)
#else
#define NN__DEFINE_ADDITIONS
#define NN__ADDITIONS
#endif

#define NN__DEFINE_WINDOWS                                                                         \
    static const nn__windows NN__NAME(windows) = {&NN__NAME(panels), NN__NAME(activate),           \
                                                  NN__NAME(grid), NN__NAME(turned) NN__ADDITIONS};

/* ---- Convolution: forward -------------------------------------------------------------------- */

/* y[rows x positions x channels] = activation(patches of x[rows x padded] * w[patch x channels] +
   bias[channels]), y overwritten, no aliasing. Each sum is one chain of fma in the order of the
   patch, line by line, started at its bias. */
static void nn__convolution_forward_scalar(const nn__window *window, const nn_real *x,
                                           const nn_real *w, const nn_real *bias, nn_real *y,
                                           int rows, nn_activation activation)
{
    const int positions = nn__positions(window), run = nn__run_length(window);
    const int out = window->out.channels;
    nn_real *z = y;
    int b, i, line;

    for (b = 0; b < rows; b++, x += window->padded.size)
        for (i = 0; i < positions; i++, z += out) {
            const nn_real *patch = x + nn__patch(window, i), *row = w;
            memcpy(z, bias, (size_t)out * sizeof *z);
            for (line = 0; line < window->height; line++, patch += nn__line(window))
                row = nn__add_product(patch, row, z, run, out);
        }
    nn__activate_scalar(activation, y, rows, window->out.size);
}

#ifdef NN__SIMD

/* What the vector kernels of windows work on: see the scalar functions. They read rows of `from`
   and write rows of `to`; what else a kernel needs is set for it alone. */
typedef struct nn__images {
    const nn__window *window;
    const nn__windows *kernels;
    const nn_real *from; /* x, of gradients dz or dy */
    nn_real *to;         /* y, of gradients dx */
    const nn_real *x, *w, *bias;
    nn_activation activation;
    int average;
} nn__images;

/* Sets what all of them need, and the rest to 0. It does not return the struct, because gcc would
   copy it: 1 % of the time in which a small net predicts. */
static void nn__set_images(nn__images *images, const nn__window *window, const nn__windows *kernels,
                           const nn_real *from, nn_real *to)
{
    memset(images, 0, sizeof *images);
    images->window = window;
    images->kernels = kernels;
    images->from = from;
    images->to = to;
}

/* Calls work for all images, which are divided among threads. products is the number of
   multiply-adds for an image. */
static void nn__work_on_images(void (*work)(const nn__images *images, int first, int rows),
                               const nn__images *images, int rows, double products)
{
#ifdef NN__THREADS
    int pieces = nn__pieces(rows * products, NN__PRODUCT_GRAIN), i;

    if (pieces > rows) pieces = rows;
    if (pieces > 1) {
#pragma omp parallel for schedule(static)
        for (i = 0; i < pieces; i++) {
            const int first = nn__piece(rows, 1, i, pieces);
            work(images, first, nn__piece(rows, 1, i + 1, pieces) - first);
        }
        return;
    }
#endif
    (void)products;
    if (rows > 0) work(images, 0, rows);
}

/* Returns the number of multiply-adds of a convolution of one image. */
static double nn__convolution_work(const nn__window *window)
{
    return (double)window->out.size * nn__patch_length(window);
}

/* Returns 1 when a grid has so few columns that its rows fill the vectors better: see nn__windows.
   The shuffles need a power of 2. */
static int nn__should_turn(const nn__windows *kernels, const nn__grid *grid)
{
    const int cols = grid->cols;

    return grid->a_row == 1 && (cols & (cols - 1)) == 0 && cols <= 8 &&
           2 * cols <= kernels->panels->lanes && grid->rows > grid->cols;
}

/* Computes images first ... first + rows - 1 of nn__convolution_forward_scalar. */
static void nn__forward_images(const nn__images *images, int first, int rows)
{
    const nn__window *const window = images->window;
    const size_t size = (size_t)window->out.size;
    nn__grid grid;
    int b, turns;

    grid.a_row = nn__step_across(window);
    grid.a_line = nn__step_down(window);
    grid.a_run = nn__line(window);
    grid.a_step = 1;
    grid.b = images->w;
    grid.b_line = 0;
    grid.b_row = grid.c_row = (size_t)window->out.channels;
    grid.depth = nn__run_length(window);
    grid.b_run = (size_t)grid.depth * grid.b_row;
    grid.start = images->bias;
    grid.start_line = grid.start_row = 0;
    grid.c_line = (size_t)window->out.width * grid.c_row;
    grid.line_count = window->out.height;
    grid.rows = window->out.width;
    grid.cols = window->out.channels;
    grid.runs = window->height;
    turns = nn__should_turn(images->kernels, &grid);
    for (b = first; b < first + rows; b++) {
        grid.a = images->from + (size_t)b * (size_t)window->padded.size;
        grid.c = images->to + (size_t)b * size;
        if (turns)
            images->kernels->turned(&grid);
        else
            images->kernels->grid(&grid);
        if (images->activation != NN_LINEAR)
            images->kernels->activate(images->activation, grid.c, 1, window->out.size);
    }
}

#endif

#define NN__DEFINE_CONVOLUTION_FORWARD                                                             \
    static NN__TARGET void NN__NAME(convolution_forward)(                                          \
        const nn__window *window, const nn_real *x, const nn_real *w, const nn_real *bias,         \
        nn_real *y, int rows, nn_activation activation)                                            \
    {                                                                                              \
        nn__images images;                                                                         \
                                                                                                   \
        nn__set_images(&images, window, &NN__NAME(windows), x, y);                                 \
        images.w = w;                                                                              \
        images.bias = bias;                                                                        \
        images.activation = activation;                                                            \
        nn__work_on_images(nn__forward_images, &images, rows, nn__convolution_work(window));       \
    }

/* The same with the parameters in a model file: w[channels x channels before x height x width] and
   bias[channels]. The sums have the same order. */
static void nn__stored_convolution(const nn__window *window, const nn_real *x,
                                   const unsigned char *w, const unsigned char *bias, nn_real *y,
                                   int rows, nn_activation activation)
{
    const int positions = nn__positions(window), in = window->in.channels;
    const size_t plane = (size_t)window->height * (size_t)window->width;
    const size_t patch_size = (size_t)nn__patch_length(window) * sizeof(nn_real);
    const size_t across = (size_t)window->width * sizeof(nn_real);
    nn_real *z = y;
    int b, i, j, line;

    for (b = 0; b < rows; b++, x += window->padded.size)
        for (i = 0; i < positions; i++)
            for (j = 0; j < window->out.channels; j++) {
                const nn_real *patch = x + nn__patch(window, i);
                const unsigned char *stored = w + (size_t)j * patch_size;
                nn_real sum = nn__stored_real(bias + (size_t)j * sizeof(nn_real));
                for (line = 0; line < window->height; line++, patch += nn__line(window))
                    sum = nn__stored_sum(patch, window->width, in, stored + (size_t)line * across,
                                         plane, sum);
                *z++ = sum;
            }
    nn__activate_scalar(activation, y, rows, window->out.size);
}

#ifndef NN_NO_TRAIN

/* ---- Convolution: weight gradient ------------------------------------------------------------ */

/* dw[patch x channels] = dL/dw = the sum over all patches of x[rows x padded] of patch^T * dz, and
   db[channels] = dL/db = the sum of dz[rows x positions x channels] = dL/dz over all positions. No
   aliasing. Both are added to dw and db when accumulate is 1, and overwrite them when it is 0. Each
   sum is one chain in the order of the rows, and of the positions in a row. */
static void nn__convolution_weight_gradient_scalar(const nn__window *window, const nn_real *x,
                                                   const nn_real *dz, nn_real *dw, nn_real *db,
                                                   int rows, int accumulate)
{
    const int positions = nn__positions(window), run = nn__run_length(window);
    const int out = window->out.channels;
    int b, i, j, line;

    if (!accumulate) nn__clear_gradient(dw, db, nn__patch_length(window), out);
    for (b = 0; b < rows; b++, x += window->padded.size)
        for (i = 0; i < positions; i++, dz += out) {
            const nn_real *patch = x + nn__patch(window, i);
            nn_real *row = dw;
            for (line = 0; line < window->height; line++, patch += nn__line(window))
                row = nn__add_outer_product(patch, dz, row, run, out);
            for (j = 0; j < out; j++) db[j] += dz[j];
        }
}

#ifdef NN__SIMD

/* Adds the weight gradient of one image x[padded] to a part of a grid of dw, or overwrites it. */
static void nn__weight_gradient_grid(const nn__windows *kernels, const nn__grid *whole, int line,
                                     int line_count, int row, int rows)
{
    nn__grid part = *whole;

    part.a += (size_t)line * part.a_line + (size_t)row * part.a_row;
    part.c += (size_t)line * part.c_line + (size_t)row * part.c_row;
    if (part.start != nn__zeros) part.start = part.c;
    part.line_count = line_count;
    part.rows = rows;
    if (line_count > 0 && rows > 0) kernels->grid(&part);
}

/* Computes lines line ... line + lines - 1 of a kernel, and in each of them rows row ... row + rows
   - 1, of nn__convolution_weight_gradient_scalar. */
static void nn__weight_gradient_part(const nn__windows *kernels, const nn__grid *whole,
                                     const nn__window *window, int images, int accumulate, int line,
                                     int line_count, int row, int rows)
{
    nn__grid grid = *whole;
    int b;

    for (b = 0; b < images; b++) {
        if (b > 0 || accumulate) {
            grid.start = grid.c;
            grid.start_line = grid.c_line;
            grid.start_row = grid.c_row;
        }
        nn__weight_gradient_grid(kernels, &grid, line, line_count, row, rows);
        grid.a += window->padded.size;
        grid.b += window->out.size;
    }
}

/* Computes what nn__convolution_weight_gradient_scalar computes. Threads divide the rows of dw. */
static void nn__windows_weight_gradient(const nn__windows *kernels, const nn__window *window,
                                        const nn_real *x, const nn_real *dz, nn_real *dw,
                                        nn_real *db, int rows, int accumulate)
{
    const int run = nn__run_length(window), height = window->height, out = window->out.channels;
    nn__grid grid;

    grid.a = x;
    grid.a_line = nn__line(window);
    grid.a_row = 1;
    grid.a_run = nn__step_down(window);
    grid.a_step = nn__step_across(window);
    grid.b = dz;
    grid.b_line = 0;
    grid.b_row = grid.c_row = (size_t)out;
    grid.b_run = (size_t)window->out.width * grid.b_row;
    grid.start = nn__zeros;
    grid.start_line = grid.start_row = 0;
    grid.c = dw;
    grid.c_line = (size_t)run * grid.c_row;
    grid.line_count = height;
    grid.rows = run;
    grid.cols = out;
    grid.runs = window->out.height;
    grid.depth = window->out.width;
    if (!accumulate) memset(db, 0, (size_t)out * sizeof *db);
    kernels->add_rows(dz, (size_t)rows * (size_t)nn__positions(window), out, db);
#ifdef NN__THREADS
    {
        const int pieces = nn__pieces(rows * nn__convolution_work(window), NN__PRODUCT_GRAIN);
        int i;

        if (pieces > 1) {
#pragma omp parallel for schedule(static)
            for (i = 0; i < pieces; i++) {
                const int by_lines = height >= run, count = by_lines ? height : run;
                const int from = nn__piece(count, 1, i, pieces);
                const int length = nn__piece(count, 1, i + 1, pieces) - from;
                nn__weight_gradient_part(kernels, &grid, window, rows, accumulate,
                                         by_lines ? from : 0, by_lines ? length : height,
                                         by_lines ? 0 : from, by_lines ? run : length);
            }
            return;
        }
    }
#endif
    nn__weight_gradient_part(kernels, &grid, window, rows, accumulate, 0, height, 0, run);
}

#endif

#define NN__DEFINE_CONVOLUTION_WEIGHT_GRADIENT                                                     \
    static NN__TARGET void NN__NAME(convolution_weight_gradient)(                                  \
        const nn__window *window, const nn_real *x, const nn_real *dz, nn_real *dw, nn_real *db,   \
        int rows, int accumulate)                                                                  \
    {                                                                                              \
        if (rows > 0)                                                                              \
            nn__windows_weight_gradient(&NN__NAME(windows), window, x, dz, dw, db, rows,           \
                                        accumulate);                                               \
        else                                                                                       \
            nn__convolution_weight_gradient_scalar(window, x, dz, dw, db, rows, accumulate);       \
    }

/* ---- Convolution: input gradient ------------------------------------------------------------- */

/* dx[rows x padded] = dL/dx, from dz[rows x positions x channels] = dL/dz and w[patch x channels].
   Each position gives its patch the numbers dz * w^T, each of them one chain of fma in the order of
   the channels, started at 0. A number of dx is the sum of what its patches get, in the order of
   the positions, started at 0. dx is overwritten; no aliasing. The vector kernels keep the
   transposed weights in transposed[channels x patch]. */
static void nn__convolution_input_gradient_scalar(const nn__window *window, const nn_real *dz,
                                                  const nn_real *w, nn_real *transposed,
                                                  nn_real *dx, int rows)
{
    const int positions = nn__positions(window), run = nn__run_length(window);
    const int out = window->out.channels;
    int b, i, j, k, line;

    (void)transposed;
    memset(dx, 0, (size_t)rows * (size_t)window->padded.size * sizeof *dx);
    for (b = 0; b < rows; b++, dx += window->padded.size)
        for (i = 0; i < positions; i++, dz += out) {
            nn_real *patch = dx + nn__patch(window, i);
            const nn_real *row = w;
            for (line = 0; line < window->height; line++, patch += nn__line(window))
                for (k = 0; k < run; k++, row += out) {
                    nn_real sum = 0;
                    for (j = 0; j < out; j++) sum = nn__fma(dz[j], row[j], sum);
                    patch[k] += sum;
                }
        }
}

#ifdef NN__SIMD

static int nn__least(int a, int b)
{
    return a < b ? a : b;
}

/* The input gradient has the products dz * w^T of many positions in a buffer, before it adds them
   to dx. */
#define NN__PATCHES (8192 / (int)sizeof(nn_real)) /* numbers in 8 kB */

/* Computes images first ... first + rows - 1 of nn__convolution_input_gradient_scalar, with the
   transposed weights as images->w. For some lines of the kernel and some positions of a line of the
   output, sums[lines x positions x run] = dz * w^T, and then they are added to dx. A number of dx
   gets its sums in the order of the positions: only a single position has its run divided, where
   the buffer is too small. The zeros that are added do not change dx, which is never -0. */
static void nn__input_gradient_images(const nn__images *images, int first, int rows)
{
    const nn__window *const window = images->window;
    const nn__windows *const kernels = images->kernels;
    const int lanes = kernels->panels->lanes, run = nn__run_length(window);
    const int width = window->out.width, out = window->out.channels;
    const int step = width > 1 ? (int)nn__step_across(window) : 0; /* one patch has any stride */
    const int part = nn__least(run, NN__PATCHES), row = (part - 1) / lanes * lanes + 2 * lanes;
    const int room = part < run || row > NN__PATCHES ? 1 : NN__PATCHES / row;
    const int line_count = nn__least(window->height, room),
              most = nn__least(width, room / line_count);
    const size_t line = nn__line(window);
    nn_real memory[NN__PATCHES + 64];
    nn_real *const sums = memory + (64 - (uintptr_t)memory % 64) % 64 / sizeof(nn_real);
    nn__grid grid;
    int b, y, i, from, position;

    memset(sums, 0, ((size_t)(line_count * most * row) + (size_t)lanes) * sizeof *sums);
    grid.a_row = (size_t)out;
    grid.a_line = grid.a_run = grid.b_run = 0;
    grid.a_step = 1;
    grid.b_line = (size_t)run;
    grid.b_row = (size_t)window->height * (size_t)run;
    grid.start = nn__zeros;
    grid.start_line = grid.start_row = 0;
    grid.c = sums + lanes;
    grid.c_row = (size_t)row;
    grid.runs = 1;
    grid.depth = out;
    for (b = first; b < first + rows; b++) {
        const nn_real *dz = images->from + (size_t)b * (size_t)window->out.size;
        nn_real *const dx = images->to + (size_t)b * (size_t)window->padded.size;
        memset(dx, 0, (size_t)window->padded.size * sizeof *dx);
        for (y = 0; y < window->out.height; y++, dz += (size_t)width * (size_t)out)
            for (position = 0; position < width; position += grid.rows) {
                grid.a = dz + (size_t)position * (size_t)out;
                grid.rows = nn__least(width - position, most);
                grid.c_line = (size_t)(grid.rows * row);
                for (i = 0; i < window->height; i += grid.line_count) {
                    nn_real *to = dx + (size_t)(y * window->stride_height + i) * line +
                                  (size_t)position * (size_t)step;
                    grid.line_count = nn__least(window->height - i, line_count);
                    for (from = 0; from < run; from += part) {
                        grid.b = images->w + (size_t)i * (size_t)run + from;
                        grid.cols = nn__least(run - from, part);
                        kernels->grid(&grid);
                        kernels->add_patches(grid.c, row, grid.line_count, grid.rows, grid.cols,
                                             step, to + from, line);
                    }
                }
            }
    }
}

/* transposed[out x patch] = the transpose of w[patch x out]. */
static void nn__transpose_weights(const nn__panels *panels, const nn_real *w, int patch, int out,
                                  nn_real *transposed)
{
    const int whole = patch / panels->lanes * panels->lanes; /* whole vectors are written */
    int k, j;

    panels->transpose(w, (size_t)out, whole, out, transposed, (size_t)patch);
    for (k = whole; k < patch; k++)
        for (j = 0; j < out; j++)
            transposed[(size_t)j * (size_t)patch + (size_t)k] =
                w[(size_t)k * (size_t)out + (size_t)j];
}

#endif

#define NN__DEFINE_CONVOLUTION_INPUT_GRADIENT                                                      \
    static NN__TARGET void NN__NAME(convolution_input_gradient)(                                   \
        const nn__window *window, const nn_real *dz, const nn_real *w, nn_real *transposed,        \
        nn_real *dx, int rows)                                                                     \
    {                                                                                              \
        nn__images images;                                                                         \
                                                                                                   \
        nn__set_images(&images, window, &NN__NAME(windows), dz, dx);                               \
        images.w = transposed;                                                                     \
        nn__transpose_weights(&NN__NAME(panels), w, nn__patch_length(window),                      \
                              window->out.channels, transposed);                                   \
        nn__work_on_images(nn__input_gradient_images, &images, rows,                               \
                           nn__convolution_work(window));                                          \
    }

#endif /* NN_NO_TRAIN */

/* ---- Pools ----------------------------------------------------------------------------------- */

/* y[rows x positions x channels] = for each channel the largest number of each patch of
   x[rows x in], or where average is 1 the mean: the sum in the order of the patch, divided by the
   number of pixels. A NaN that is not the first number of its patch is no maximum. y is
   overwritten; no aliasing. */
static void nn__pool_scalar(const nn__window *window, int average, const nn_real *x, nn_real *y,
                            int rows)
{
    const int positions = nn__positions(window), run = nn__run_length(window);
    const int channels = window->out.channels;
    const nn_real pixels = nn__pixels(window);
    int b, i, c, k, line;

    for (b = 0; b < rows; b++, x += window->in.size)
        for (i = 0; i < positions; i++)
            for (c = 0; c < channels; c++) {
                const nn_real *patch = x + nn__patch(window, i) + c;
                nn_real best = *patch, sum = 0;
                for (line = 0; line < window->height; line++, patch += nn__line(window))
                    for (k = 0; k < run; k += channels) {
                        best = patch[k] > best ? patch[k] : best;
                        sum += patch[k];
                    }
                *y++ = average ? sum / pixels : best;
            }
}

#ifdef NN__SIMD
/* Returns how many numbers a pool of one image reads. */
static double nn__pool_work(const nn__window *window)
{
    return (double)nn__positions(window) * nn__patch_length(window);
}
#endif

/* With few channels most lanes would be empty: then the scalar functions are used. */
#define NN__DEFINE_POOL                                                                            \
    /* A line of y from n channels of the lines of x. */                                           \
    NN__INLINE void NN__NAME(pool_line)(const nn__window *window, const int average,               \
                                        const nn_real *x, nn_real *y, const int n)                 \
    {                                                                                              \
        const int run = nn__run_length(window), channels = window->out.channels;                   \
        const size_t line = nn__line(window), step = nn__step_across(window);                      \
        const NN__VECTOR pixels = NN__SET1(nn__pixels(window));                                    \
        int i, part, k;                                                                            \
                                                                                                   \
        for (i = 0; i < window->out.width; i++, x += step, y += channels) {                        \
            const nn_real *patch = x;                                                              \
            NN__VECTOR result = average ? NN__SET1(0) : NN__LOAD_UP_TO(x, n);                      \
            for (part = 0; part < window->height; part++, patch += line)                           \
                for (k = 0; k < run; k += channels) {                                              \
                    const NN__VECTOR v = NN__LOAD_UP_TO(patch + k, n);                             \
                    result = average ? NN__ADD(result, v) : NN__MAX(v, result);                    \
                }                                                                                  \
            NN__STORE_UP_TO(y, average ? NN__DIV(result, pixels) : result, n);                     \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    NN__INLINE void NN__NAME(pool_lines)(const nn__images *images, int first, int rows,            \
                                         const int average)                                        \
    {                                                                                              \
        const nn__window *const window = images->window;                                           \
        const size_t down = nn__step_down(window);                                                 \
        const int channels = window->out.channels;                                                 \
        nn_real *y = images->to + (size_t)first * (size_t)window->out.size;                        \
        int b, i, c, n;                                                                            \
                                                                                                   \
        for (b = first; b < first + rows; b++)                                                     \
            for (i = 0; i < window->out.height; i++) {                                             \
                const nn_real *x = images->from + (size_t)b * (size_t)window->in.size;             \
                x += (size_t)i * down;                                                             \
                for (c = 0; c < channels; c += n) {                                                \
                    n = NN__LANES_OF(channels - c);                                                \
                    if (n == NN__LANES)                                                            \
                        NN__NAME(pool_line)(window, average, x + c, y + c, NN__LANES);             \
                    else if (n == NN__LANES / 2)                                                   \
                        NN__NAME(pool_line)(window, average, x + c, y + c, NN__LANES / 2);         \
                    else                                                                           \
                        NN__NAME(pool_line)(window, average, x + c, y + c, n);                     \
                }                                                                                  \
                y += window->out.width * channels;                                                 \
            }                                                                                      \
    }                                                                                              \
                                                                                                   \
    static NN__TARGET void NN__NAME(pool_images)(const nn__images *images, int first, int rows)    \
    {                                                                                              \
        if (images->average)                                                                       \
            NN__NAME(pool_lines)(images, first, rows, 1);                                          \
        else                                                                                       \
            NN__NAME(pool_lines)(images, first, rows, 0);                                          \
    }                                                                                              \
                                                                                                   \
    static NN__TARGET void NN__NAME(pool)(const nn__window *window, int average, const nn_real *x, \
                                          nn_real *y, int rows)                                    \
    {                                                                                              \
        nn__images images;                                                                         \
                                                                                                   \
        nn__set_images(&images, window, &NN__NAME(windows), x, y);                                 \
        images.average = average;                                                                  \
        if (window->out.channels < 4)                                                              \
            nn__pool_scalar(window, average, x, y, rows);                                          \
        else                                                                                       \
            nn__work_on_images(NN__NAME(pool_images), &images, rows, nn__pool_work(window));       \
    }

#ifndef NN_NO_TRAIN

/* dx[rows x in] = dL/dx, from x[rows x in] and dy[rows x positions x channels] = dL/dy. The first
   largest number of each channel in a patch gets dy, or where average is 1 all of them get dy
   divided by the number of pixels. A number of dx is the sum of what it gets from its patches, in
   the order of the positions, started at 0. dx is overwritten; no aliasing. */
static void nn__pool_gradient_scalar(const nn__window *window, int average, const nn_real *x,
                                     const nn_real *dy, nn_real *dx, int rows)
{
    const int positions = nn__positions(window), run = nn__run_length(window);
    const int channels = window->out.channels;
    const nn_real pixels = nn__pixels(window);
    int b, i, c, k, line;

    memset(dx, 0, (size_t)rows * (size_t)window->in.size * sizeof *dx);
    for (b = 0; b < rows; b++, x += window->in.size, dx += window->in.size)
        for (i = 0; i < positions; i++)
            for (c = 0; c < channels; c++, dy++) {
                size_t at = nn__patch(window, i) + (size_t)c, best = at;
                const nn_real share = *dy / pixels;
                for (line = 0; line < window->height; line++, at += nn__line(window))
                    for (k = 0; k < run; k += channels) {
                        if (average) dx[at + (size_t)k] += share;
                        if (x[at + (size_t)k] > x[best]) best = at + (size_t)k;
                    }
                if (!average) dx[best] += *dy;
            }
}

#ifdef NN__SIMD
/* Returns 1 when each number of the image belongs to exactly one patch. */
static int nn__pools_once(const nn__window *window)
{
    return window->stride_height == window->height && window->stride_width == window->width &&
           window->out.height * window->height == window->in.height &&
           window->out.width * window->width == window->in.width;
}
#endif

/* nn__unpool_avx512 and its like: n channels of dx in the windows of one line of dy. The images are
   at `image`. Where fresh is 1, dx has no numbers yet, and counts as 0. A lane of `index` is the
   number of the pixel that has the first largest number of the patch. */
#define NN__DEFINE_POOL_GRADIENT                                                                   \
    NN__INLINE void NN__NAME(unpool)(const nn__images *images, size_t image, const nn_real *dy,    \
                                     const int n, const int average, const int fresh)              \
    {                                                                                              \
        const nn__window *const window = images->window;                                           \
        const int run = nn__run_length(window), channels = window->out.channels;                   \
        const size_t line = nn__line(window), step = nn__step_across(window);                      \
        const NN__VECTOR pixels = NN__SET1(nn__pixels(window));                                    \
        const NN__VECTOR zero = NN__SET1(0), one = NN__SET1(1);                                    \
        const nn_real *x = images->x + image;                                                      \
        nn_real *dx = images->to + image;                                                          \
        int i, part, k;                                                                            \
                                                                                                   \
        for (i = 0; i < window->out.width; i++, x += step, dx += step, dy += channels) {           \
            const NN__VECTOR gradient = NN__LOAD_UP_TO(dy, n);                                     \
            const NN__VECTOR share = average ? NN__DIV(gradient, pixels) : gradient;               \
            NN__VECTOR best = share, index = zero, at = zero, v;                                   \
            if (!average) best = NN__LOAD_UP_TO(x, n);                                             \
            for (part = 0; part < window->height * !average; part++)                               \
                for (k = 0; k < run; k += channels) {                                              \
                    v = NN__LOAD_UP_TO(x + (size_t)part * line + k, n);                            \
                    index = NN__SELECT_LESS(best, v, at, index);                                   \
                    best = NN__MAX(v, best);                                                       \
                    at = NN__ADD(at, one);                                                         \
                }                                                                                  \
            at = zero;                                                                             \
            for (part = 0; part < window->height; part++)                                          \
                for (k = 0; k < run; k += channels) {                                              \
                    nn_real *to = dx + (size_t)part * line + k;                                    \
                    v = NN__ZERO_IF_LESS(at, index, share);                                        \
                    v = average ? share : NN__ZERO_IF_LESS(index, at, v);                          \
                    v = NN__ADD(fresh ? zero : NN__LOAD_UP_TO(to, n), v);                          \
                    NN__STORE_UP_TO(to, v, n);                                                     \
                    at = NN__ADD(at, one);                                                         \
                }                                                                                  \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    NN__INLINE void NN__NAME(unpool_lines)(const nn__images *images, int first, int rows,          \
                                           const int average, const int fresh)                     \
    {                                                                                              \
        const nn__window *const window = images->window;                                           \
        const size_t size = (size_t)window->in.size, down = nn__step_down(window);                 \
        const int channels = window->out.channels;                                                 \
        const nn_real *dy = images->from + (size_t)first * (size_t)window->out.size;               \
        int b, i, c, n;                                                                            \
                                                                                                   \
        for (b = first; b < first + rows; b++) {                                                   \
            size_t at = (size_t)b * size;                                                          \
            if (!fresh) memset(images->to + at, 0, size * sizeof(nn_real));                        \
            for (i = 0; i < window->out.height; i++, at += down) {                                 \
                for (c = 0; c < channels; c += n) {                                                \
                    const size_t from = at + (size_t)c;                                            \
                    n = NN__LANES_OF(channels - c);                                                \
                    if (n == NN__LANES)                                                            \
                        NN__NAME(unpool)(images, from, dy + c, NN__LANES, average, fresh);         \
                    else if (n == NN__LANES / 2)                                                   \
                        NN__NAME(unpool)(images, from, dy + c, NN__LANES / 2, average, fresh);     \
                    else                                                                           \
                        NN__NAME(unpool)(images, from, dy + c, n, average, fresh);                 \
                }                                                                                  \
                dy += window->out.width * channels;                                                \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static NN__TARGET void NN__NAME(pool_gradient_images)(const nn__images *images, int first,     \
                                                          int rows)                                \
    {                                                                                              \
        if (images->average)                                                                       \
            NN__NAME(unpool_lines)(images, first, rows, 1, 0);                                     \
        else if (nn__pools_once(images->window))                                                   \
            NN__NAME(unpool_lines)(images, first, rows, 0, 1);                                     \
        else                                                                                       \
            NN__NAME(unpool_lines)(images, first, rows, 0, 0);                                     \
    }                                                                                              \
                                                                                                   \
    static NN__TARGET void NN__NAME(pool_gradient)(const nn__window *window, int average,          \
                                                   const nn_real *x, const nn_real *dy,            \
                                                   nn_real *dx, int rows)                          \
    {                                                                                              \
        nn__images images;                                                                         \
                                                                                                   \
        nn__set_images(&images, window, &NN__NAME(windows), dy, dx);                               \
        images.average = average;                                                                  \
        images.x = x;                                                                              \
        if (window->out.channels < 4 || nn__pixels(window) > 1000000) /* a float counts to 2^24 */ \
            nn__pool_gradient_scalar(window, average, x, dy, dx, rows);                            \
        else                                                                                       \
            nn__work_on_images(NN__NAME(pool_gradient_images), &images, rows,                      \
                               2 * nn__pool_work(window));                                         \
    }

#endif /* NN_NO_TRAIN */
#endif /* NN_NO_CONVOLUTION */
#ifndef NN_NO_TRAIN

/* ================================================================================================
   >>optimizer
   ------------------------------------------------------------------------------------------------
   The update of the parameters theta from their gradients g. Each optimizer has one row in the
   table and one part of this section. The part has the formula, a function that prepares what is
   constant during one update, the scalar loop that defines the result, and the same loop with
   vectors. In the formulas g is the gradient after clipping, and rate is the learning rate of this
   update.

   A loop reads gradient[count] and overwrites theta[count] and the optimizer's state, first[count]
   and second[count]. A state array is NULL where the row says that it is not needed. The arrays do
   not overlap. A parameter that would become NaN or infinite keeps its value and its state; the
   loop then returns 0.

   To add an optimizer, add its enumerator to nn_optimizer, its row here, and its part below.
   ============================================================================================= */

/* X(enumerator, name, whether the array first is needed, whether second is needed, the default
   learning rate). The conditions use nn_options *o. The rows are in the order of the enum. */
#define NN__OPTIMIZERS(X)                                                                          \
    X(SGD, sgd, o->momentum > 0, 0, 1e-2)                                                          \
    X(ADAM, adam, 1, 1, 1e-3)                                                                      \
    X(RMSPROP, rmsprop, o->momentum > 0, 1, 1e-2)

NN__CHECK_TABLE(optimizers, NN__OPTIMIZERS, NN_OPTIMIZER_COUNT);

/* What is constant during one update. */
typedef struct nn__step {
    nn_real learning_rate, clip; /* Adam: rate / (1 - beta1^t); factor of clipping: see nn__clip */
    nn_real decay;               /* SGD, RMSprop: weight decay. Adam: 1 - rate * weight decay */
    nn_real momentum;
    int nesterov;
    nn_real beta1, beta2, epsilon; /* for RMSprop beta2 is alpha */
    nn_real root;                  /* Adam: 1 / sqrt(1 - beta2^t) */
    nn_real negligible;            /* parameters of smaller magnitude become 0 */
} nn__step;

/* The magnitude that a gradient g has at least in a mean of g^2: (1 - beta) g^2 is then normal for
   all beta < 1, and the mean does not decay to denormal numbers either. */
#ifdef NN_DOUBLE
#define NN__LEAST_GRADIENT 2e-146
#else
#define NN__LEAST_GRADIENT 6.4e-16f
#endif

/* Returns |g|, or NN__LEAST_GRADIENT where that is greater. NaN stays NaN. */
static nn_real nn__size_of(nn_real g)
{
    const nn_real size = nn__absolute(g);

    return NN__LEAST_GRADIENT > size ? NN__LEAST_GRADIENT : size;
}

/* What 0 means in options in which it is a default. */
#define NN__BETA1       ((nn_real)0.9)
#define NN__BETA2       ((nn_real)0.999)
#define NN__ALPHA       ((nn_real)0.99)
#define NN__EPSILON     ((nn_real)1e-8)
#define NN__STEP_FACTOR ((nn_real)0.1)
#define NN__HUBER_DELTA ((nn_real)1)
#define NN__MEDIAN      ((nn_real)0.5)

/* Returns an option's value: `standard` where the option is 0, and 0 where it is NN_ZERO. */
NN__SHARED nn_real nn__or(nn_real value, nn_real standard)
{
    return value < 0 ? 0 : value != 0 ? value : standard;
}

/* ---- SGD ------------------------------------------------------------------------------------- */

/* SGD, with or without momentum:

       g = g + weight_decay * theta
       v = momentum * v + g
       g = v, or with Nesterov's momentum g + momentum * v
       theta = theta - rate * g

   (Sutskever et al. 2013, in PyTorch's form). The array first is the velocity v. Without momentum
   the two lines in the middle are left out. */
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
        theta[i] = nn__flushed(next, step->negligible);
        if (velocity) velocity[i] = nn__flushed(v, NN__SMALLEST);
    }
    return good;
}

#define NN__OPTIMIZER_SGD                                                                          \
    NN__INLINE int NN__NAME(sgd_loop)(nn_real * theta, const nn_real *gradient, nn_real *velocity, \
                                      size_t count, const nn__step *step, const int momentum)      \
    {                                                                                              \
        const NN__VECTOR mu = NN__SET1(step->momentum), rate = NN__SET1(step->learning_rate);      \
        const NN__VECTOR decay = NN__SET1(step->decay), clip = NN__SET1(step->clip);               \
        const NN__VECTOR negligible = NN__SET1(step->negligible);                                  \
        const int decays = step->negligible > 0;                                                   \
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
            if (decays) next = NN__FLUSHED(next, negligible);                                      \
            NN__STORE_UP_TO(theta + i, NN__SELECT_LESS(check, NN__SET1(1), next, old), n);         \
            if (momentum) {                                                                        \
                v = NN__FLUSHED(v, NN__SET1(NN__SMALLEST));                                        \
                NN__STORE_UP_TO(velocity + i, NN__SELECT_LESS(check, NN__SET1(1), v, before), n);  \
            }                                                                                      \
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

/* Adam with decoupled weight decay, which is also called AdamW:

       m = beta1 * m + (1 - beta1) * g
       v = beta2 * v + (1 - beta2) * g^2
       theta = theta * (1 - rate * weight_decay)
               - rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)

   (Kingma and Ba 2015; decoupled weight decay: Loshchilov and Hutter 2019). The array first is m,
   second is v. t is the number of this update, counted from 1.

   In v, |g| counts as NN__LEAST_GRADIENT at least. 1 - beta^t is not computed from beta^t, which is
   a rounded product and close to 1 at first. It is the sum of (1 - beta) beta^k for k = 0 ... t -
   1, kept in two numbers. */
static nn_real nn__correction(nn__sum *correction, nn_real beta)
{
    nn__add(correction, nn__rounded_product(1 - beta, 1 - nn__total(correction)));
    return nn__total(correction);
}

static void nn__adam_prepare(nn__step *step, const nn_options *o, nn__state *state)
{
    step->beta1 = nn__or(o->beta1, NN__BETA1);
    step->beta2 = nn__or(o->beta2, NN__BETA2);
    step->epsilon = nn__or(o->epsilon, NN__EPSILON);
    step->decay = nn__fma(-step->learning_rate, o->weight_decay, 1);
    step->learning_rate /= nn__correction(&state->correction1, step->beta1);
    step->root = 1 / NN_SQRT(nn__correction(&state->correction2, step->beta2));
}

static int nn__adam_scalar(nn_real *theta, const nn_real *gradient, nn_real *first, nn_real *second,
                           size_t count, const nn__step *step)
{
    const nn_real rest1 = 1 - step->beta1, rest2 = 1 - step->beta2;
    int good = 1;
    size_t i;

    for (i = 0; i < count; i++) {
        nn_real g = gradient[i] * step->clip, size = nn__size_of(g);
        nn_real m = nn__fma(step->beta1, first[i], rest1 * g);
        nn_real v = nn__fma(step->beta2, second[i], rest2 * size * size);
        nn_real ratio = m / nn__fma(NN_SQRT(v), step->root, step->epsilon);
        nn_real next = nn__fma(-step->learning_rate, ratio, theta[i] * step->decay);
        if (!nn__is_finite(next) || !nn__is_finite(v)) {
            good = 0;
            continue;
        }
        theta[i] = nn__flushed(next, step->negligible);
        first[i] = nn__flushed(m, NN__SMALLEST);
        second[i] = v;
    }
    return good;
}

#define NN__OPTIMIZER_ADAM                                                                         \
    /* The update of n parameters, at most a vector. Returns not 0 where one is not finite. */     \
    NN__INLINE NN__VECTOR NN__NAME(adam_vector)(nn_real * theta, const nn_real *gradient,          \
                                                nn_real *first, nn_real *second, const int n,      \
                                                const nn__step *s)                                 \
    {                                                                                              \
        const NN__VECTOR old = NN__LOAD_UP_TO(theta, n), one = NN__SET1(1);                        \
        const NN__VECTOR old_m = NN__LOAD_UP_TO(first, n), old_v = NN__LOAD_UP_TO(second, n);      \
        const NN__VECTOR g = NN__MUL(NN__LOAD_UP_TO(gradient, n), NN__SET1(s->clip));              \
        const NN__VECTOR size = NN__MAX(NN__SET1(NN__LEAST_GRADIENT), NN__ABSOLUTE(g));            \
        const NN__VECTOR g2 = NN__MUL(NN__MUL(NN__SET1(1 - s->beta2), size), size);                \
        const NN__VECTOR v = NN__FMA(NN__SET1(s->beta2), old_v, g2);                               \
        NN__VECTOR m = NN__MUL(NN__SET1(1 - s->beta1), g), next, check;                            \
                                                                                                   \
        m = NN__FMA(NN__SET1(s->beta1), old_m, m);                                                 \
        next = NN__DIV(m, NN__FMA(NN__SQRT(v), NN__SET1(s->root), NN__SET1(s->epsilon)));          \
        next = NN__FNMA(NN__SET1(s->learning_rate), next, NN__MUL(old, NN__SET1(s->decay)));       \
        check = NN__ADD(NN__SUB(next, next), NN__SUB(v, v));                                       \
        if (s->negligible > 0) next = NN__FLUSHED(next, NN__SET1(s->negligible));                  \
        m = NN__FLUSHED(m, NN__SET1(NN__SMALLEST));                                                \
        NN__STORE_UP_TO(theta, NN__SELECT_LESS(check, one, next, old), n);                         \
        NN__STORE_UP_TO(first, NN__SELECT_LESS(check, one, m, old_m), n);                          \
        NN__STORE_UP_TO(second, NN__SELECT_LESS(check, one, v, old_v), n);                         \
        return check;                                                                              \
    }                                                                                              \
                                                                                                   \
    static NN__TARGET int NN__NAME(adam)(nn_real * theta, const nn_real *gradient, nn_real *first, \
                                         nn_real *second, size_t count, const nn__step *step)      \
    {                                                                                              \
        const nn__step s = *step; /* a copy, which the arrays cannot be thought to overlap */      \
        NN__VECTOR bad = NN__SET1(0), check;                                                       \
        size_t i;                                                                                  \
                                                                                                   \
        for (i = 0; count - i >= NN__LANES; i += NN__LANES) {                                      \
            check = NN__NAME(adam_vector)(theta + i, gradient + i, first + i, second + i,          \
                                          NN__LANES, &s);                                          \
            bad = NN__BITS_OR(bad, check);                                                         \
        }                                                                                          \
        if (i < count) {                                                                           \
            check = NN__NAME(adam_vector)(theta + i, gradient + i, first + i, second + i,          \
                                          (int)(count - i), &s);                                   \
            bad = NN__BITS_OR(bad, check);                                                         \
        }                                                                                          \
        return !NN__ANY_BITS(bad);                                                                 \
    }

/* ---- RMSprop --------------------------------------------------------------------------------- */

/* RMSprop, with or without momentum:

       g = g + weight_decay * theta
       v = alpha * v + (1 - alpha) * g^2
       m = momentum * m + g / (sqrt(v) + epsilon)
       theta = theta - rate * m

   (Tieleman and Hinton 2012, in PyTorch's form). The array first is m, second is v. Without
   momentum m is not kept: momentum is 0. In v, |g| counts as NN__LEAST_GRADIENT at least. */
static void nn__rmsprop_prepare(nn__step *step, const nn_options *o, nn__state *state)
{
    (void)state;
    step->decay = o->weight_decay;
    step->momentum = o->momentum;
    step->beta2 = nn__or(o->alpha, NN__ALPHA);
    step->epsilon = nn__or(o->epsilon, NN__EPSILON);
}

static int nn__rmsprop_scalar(nn_real *theta, const nn_real *gradient, nn_real *first,
                              nn_real *second, size_t count, const nn__step *step)
{
    const nn_real rest = 1 - step->beta2;
    int good = 1;
    size_t i;

    for (i = 0; i < count; i++) {
        nn_real g = nn__fma(step->decay, theta[i], gradient[i] * step->clip);
        nn_real size = nn__size_of(g);
        /* RMSprop always has second. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
        nn_real v = nn__fma(step->beta2, second[i], rest * size * size);
        nn_real ratio = g / (NN_SQRT(v) + step->epsilon);
        nn_real m = first ? nn__fma(step->momentum, first[i], ratio) : ratio;
        nn_real next = nn__fma(-step->learning_rate, m, theta[i]);
        if (!nn__is_finite(next) || !nn__is_finite(v)) {
            good = 0;
            continue;
        }
        theta[i] = nn__flushed(next, step->negligible);
        second[i] = v;
        if (first) first[i] = nn__flushed(m, NN__SMALLEST);
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
        const NN__VECTOR least = NN__SET1(NN__LEAST_GRADIENT), smallest = NN__SET1(NN__SMALLEST);  \
        const NN__VECTOR negligible = NN__SET1(step->negligible);                                  \
        const int decays = step->negligible > 0;                                                   \
        NN__VECTOR bad = NN__SET1(0);                                                              \
        size_t i;                                                                                  \
                                                                                                   \
        for (i = 0; i < count; i += NN__LANES) {                                                   \
            const int n = NN__LANES_OF(count - i);                                                 \
            const NN__VECTOR old = NN__LOAD_UP_TO(theta + i, n);                                   \
            const NN__VECTOR old_v = NN__LOAD_UP_TO(second + i, n);                                \
            NN__VECTOR g = NN__MUL(NN__LOAD_UP_TO(gradient + i, n), clip), old_m, v, m, next;      \
            NN__VECTOR size, check;                                                                \
                                                                                                   \
            g = NN__FMA(decay, old, g);                                                            \
            size = NN__MAX(least, NN__ABSOLUTE(g));                                                \
            v = NN__FMA(alpha, old_v, NN__MUL(NN__MUL(rest, size), size));                         \
            m = NN__DIV(g, NN__ADD(NN__SQRT(v), epsilon));                                         \
            if (momentum) {                                                                        \
                old_m = NN__LOAD_UP_TO(first + i, n);                                              \
                m = NN__FMA(mu, old_m, m);                                                         \
            }                                                                                      \
            next = NN__FNMA(rate, m, old);                                                         \
            check = NN__ADD(NN__SUB(next, next), NN__SUB(v, v));                                   \
            bad = NN__BITS_OR(bad, check);                                                         \
            if (decays) next = NN__FLUSHED(next, negligible);                                      \
            NN__STORE_UP_TO(theta + i, NN__SELECT_LESS(check, one, next, old), n);                 \
            NN__STORE_UP_TO(second + i, NN__SELECT_LESS(check, one, v, old_v), n);                 \
            if (momentum) {                                                                        \
                m = NN__FLUSHED(m, smallest);                                                      \
                NN__STORE_UP_TO(first + i, NN__SELECT_LESS(check, one, m, old_m), n);              \
            }                                                                                      \
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

/* ---- Functions generated from the table ------------------------------------------------------ */

typedef int nn__optimizer_loop(nn_real *theta, const nn_real *gradient, nn_real *first,
                               nn_real *second, size_t count, const nn__step *step);

/* clang-format off */
#define NN__OPTIMIZER_OF_ROW(ID, name, first, second, rate)  NN__OPTIMIZER_##ID
#define NN__OPTIMIZER_MEMBER(ID, name, first, second, rate)  nn__optimizer_loop *name;
#define NN__OPTIMIZER_ENTRY(ID, name, first, second, rate)   , NN__NAME(name)
#define NN__OPTIMIZER_SCALAR(ID, name, first, second, rate)  , nn__##name##_scalar
#define NN__FIRST_CASE(ID, name, first, second, rate)                                              \
    case NN_##ID:                                                                                  \
        if (NN__ONLY(NN_ONLY_OPTIMIZERS, NN_##ID)) return first;                                   \
        break;
#define NN__SECOND_CASE(ID, name, first, second, rate)                                             \
    case NN_##ID:                                                                                  \
        if (NN__ONLY(NN_ONLY_OPTIMIZERS, NN_##ID)) return second;                                  \
        break;
#define NN__RATE_CASE(ID, name, first, second, rate)                                               \
    case NN_##ID:                                                                                  \
        if (NN__ONLY(NN_ONLY_OPTIMIZERS, NN_##ID)) return (nn_real)(rate);                         \
        break;
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

/* These return whether the optimizer needs the array first and the array second, and its default
   learning rate. */
static int nn__needs_first(const nn_options *o)
{
    switch (o->optimizer) {
        NN__OPTIMIZERS(NN__FIRST_CASE)
    default: break; /* unreached: the options were checked */
    }
    return 0; /* unreached: the same */
}

static int nn__needs_second(const nn_options *o)
{
    switch (o->optimizer) {
        NN__OPTIMIZERS(NN__SECOND_CASE)
    default: break; /* unreached: the options were checked */
    }
    return 0; /* unreached: the same */
}

static nn_real nn__default_learning_rate(const nn_options *o)
{
    switch (o->optimizer) {
        NN__OPTIMIZERS(NN__RATE_CASE)
    default: break; /* unreached: the options were checked */
    }
    return 0; /* unreached: the same */
}

static void nn__prepare_step(nn__step *step, const nn_options *o, nn__state *state)
{
    switch (o->optimizer) {
        NN__OPTIMIZERS(NN__PREPARE_CASE)
    default: break; /* unreached: the options were checked */
    }
}

/* ---- Schedules ------------------------------------------------------------------------------- */

/* The learning-rate schedule. Returns the learning rate at a step, which is counted from 0 after
   the linear warm-up. rate is the base rate, length > 0 is schedule_steps.

       step schedule:    rate * step_factor^floor(step / length)
       cosine schedule:  minimum + (rate - minimum) * (1 + cos(pi * step / length)) / 2
                         (Loshchilov and Hutter 2017, without restarts) */
static nn_real nn__scheduled(const nn_options *o, nn_real rate, uint32_t step, uint32_t length)
{
    nn_real half;

    switch (o->schedule) {
    case NN_SCHEDULE_STEP:
        return rate * nn__power(nn__or(o->step_factor, NN__STEP_FACTOR), step / length);
    case NN_SCHEDULE_COSINE:
        if (step >= length) return o->minimum_learning_rate;
        half =
            nn__fma(nn__cosine_of_pi((nn_real)step / (nn_real)length), (nn_real)0.5, (nn_real)0.5);
        return nn__fma(rate - o->minimum_learning_rate, half, o->minimum_learning_rate);
    default: return rate;
    }
}

static int nn__plateau_patience(const nn_options *o)
{
    return o->plateau_patience ? o->plateau_patience : 10;
}

/* The plateau schedule, after each epoch without a lower loss: PyTorch's ReduceLROnPlateau. As
   there, the rate stays where it would change by 1e-8 or less. */
static void nn__reduce_on_plateau(const nn_options *o, nn__state *state)
{
    const int patience = nn__plateau_patience(o);
    nn_real rate = state->learning_rate * nn__or(o->step_factor, NN__STEP_FACTOR);

    if (o->schedule != NN_SCHEDULE_PLATEAU || state->waited % patience != 0) return;
    if (rate < o->minimum_learning_rate) rate = o->minimum_learning_rate;
    if (state->learning_rate - rate > (nn_real)1e-8) state->learning_rate = rate;
}

/* ---- Clipping -------------------------------------------------------------------------------- */

/* Returns the Euclidean norm of x[count], computed as |x * scale| / scale. scale is a power of two,
   so that scaling does not round. */
static nn_real nn__norm(const nn_real *x, size_t count, nn_real scale)
{
    nn__sum sum = {0, 0};
    size_t i;

    for (i = 0; i < count; i++) nn__add(&sum, nn__rounded_product(x[i] * scale, x[i] * scale));
    return NN_SQRT(nn__total(&sum)) / scale;
}

/* Clipping by global norm (Pascanu et al. 2013): if the Euclidean norm of all gradients together is
   greater than clip_norm, they are multiplied by clip_norm / norm. Returns the factor. As in
   PyTorch, 1e-6 is added to the norm. When the squares overflow or become denormal, the norm is
   computed again from smaller or larger numbers. */
static nn_real nn__clip(nn_trainer *trainer)
{
    const size_t count = trainer->model->parameter_count;
    nn_real norm, factor;

    if (trainer->options->clip_norm == 0) return 1;
    norm = nn__norm(trainer->gradients, count, 1);
    if (!nn__is_finite(norm))
        norm = nn__norm(trainer->gradients, count, nn__power_of_two(NN__BIAS / 2));
#ifndef NN_NO_MALLOC /* the factor does not need it: 1e-6 is far larger */
    if (norm * norm < NN__NEGLIGIBLE)
        norm = nn__norm(trainer->gradients, count, nn__power_of_two(NN__BIAS / 5 * 9));
#endif
    trainer->state.gradient_norm = norm;
    factor = trainer->options->clip_norm / (norm + (nn_real)1e-6);
    return factor < 1 ? factor : 1;
}

#endif /* NN_NO_TRAIN */
#ifdef NN__SIMD

/* ================================================================================================
   >>simd
   ------------------------------------------------------------------------------------------------
   One block for each instruction set: >>avx512, >>avx2, >>neon and >>wasm. A block defines the
   primitives that >>platform describes. NN__DEFINE_KERNELS then defines all kernels from the macros
   of the sections above: nn__tile_avx2, nn__dense_forward_avx2 and so on. A compiler's message
   about a kernel names the line of NN__DEFINE_KERNELS; cc -E shows the text of the kernel.
   ============================================================================================= */

/* A back-end. Each function has the same arguments as the scalar function of its name, and computes
   the same bits. */
typedef struct nn__kernels {
    const char *name, *label; /* for NN_BACKEND; for nn_backend */
    void (*activate)(nn_activation activation, nn_real *z, int rows, int width);
    nn_real (*softmax_row)(nn_real *row, int width);
    int (*all_finite)(const nn_real *x, size_t count);
    void (*scale_rows)(const nn_real *x, const size_t *index, const nn_real *offset,
                       const nn_real *factor, nn_real *out, int rows, int width);
    void (*dense_forward)(const nn_real *x, const nn_real *w, const nn_real *bias, nn_real *y,
                          int rows, int in, int out, nn_activation activation);
#ifndef NN_NO_CONVOLUTION
    void (*convolution_forward)(const nn__window *window, const nn_real *x, const nn_real *w,
                                const nn_real *bias, nn_real *y, int rows,
                                nn_activation activation);
    void (*pool)(const nn__window *window, int average, const nn_real *x, nn_real *y, int rows);
#endif
#ifndef NN_NO_TRAIN
#ifndef NN_NO_CONVOLUTION
    void (*convolution_weight_gradient)(const nn__window *window, const nn_real *x,
                                        const nn_real *dz, nn_real *dw, nn_real *db, int rows,
                                        int accumulate);
    void (*convolution_input_gradient)(const nn__window *window, const nn_real *dz,
                                       const nn_real *w, nn_real *transposed, nn_real *dx,
                                       int rows);
    void (*pool_gradient)(const nn__window *window, int average, const nn_real *x,
                          const nn_real *dy, nn_real *dx, int rows);
#endif
    void (*dense_weight_gradient)(const nn_real *x, const nn_real *dz, nn_real *dw, nn_real *db,
                                  int rows, int in, int out, int accumulate);
    void (*dense_input_gradient)(const nn_real *dz, const nn_real *w, const nn_real *mask,
                                 nn_real *y, nn_real *buffer, int rows, int in, int out,
                                 nn_activation activation);
    void (*activation_gradient)(nn_activation activation, nn_real *y, const nn_real *dy, int rows,
                                int width);
    void (*softplus_tails)(const nn_real *z, nn_real *out, size_t count);
    void (*log1ps)(nn_real *x, size_t count);
    void (*permute_elements)(uint32_t *elements, int count, uint32_t n, uint64_t key);
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
                                                  NN__NAME(dense_forward)                          \
                                                      NN__IMAGE_ENTRIES NN__TRAINING_ENTRIES};

#ifdef NN_NO_CONVOLUTION
#define NN__IMAGE_ENTRIES
#define NN__IMAGE_TRAINING_ENTRIES
#define NN__DEFINE_IMAGES
#define NN__DEFINE_IMAGE_TRAINING
#else
#define NN__IMAGE_ENTRIES , NN__NAME(convolution_forward), NN__NAME(pool)
#define NN__IMAGE_TRAINING_ENTRIES                                                                 \
    , NN__NAME(convolution_weight_gradient), NN__NAME(convolution_input_gradient),                 \
        NN__NAME(pool_gradient)
#define NN__DEFINE_IMAGES                                                                          \
    NN__DEFINE_GRID                                                                                \
    NN__DEFINE_TURNED                                                                              \
    NN__DEFINE_ADDITIONS                                                                           \
    NN__DEFINE_WINDOWS                                                                             \
    NN__DEFINE_CONVOLUTION_FORWARD                                                                 \
    NN__DEFINE_POOL
#define NN__DEFINE_IMAGE_TRAINING                                                                  \
    NN__DEFINE_CONVOLUTION_WEIGHT_GRADIENT                                                         \
    NN__DEFINE_CONVOLUTION_INPUT_GRADIENT                                                          \
    NN__DEFINE_POOL_GRADIENT
#endif

#ifdef NN_NO_TRAIN

#define NN__TRAINING_ENTRIES
#define NN__DEFINE_TRAINING
#define NN__DEFINE_TRANSPOSE_OR_NOT
#define NN__TRANSPOSE_OR_NULL NULL

#else

#define NN__TRANSPOSE_OR_NULL NN__NAME(transpose)
#define NN__TRAINING_ENTRIES                                                                       \
    NN__IMAGE_TRAINING_ENTRIES, NN__NAME(dense_weight_gradient), NN__NAME(dense_input_gradient),   \
        NN__NAME(activation_gradient), NN__NAME(softplus_tails), NN__NAME(log1ps),                 \
        NN__NAME(permute_elements) NN__OPTIMIZERS(NN__OPTIMIZER_ENTRY)
#define NN__DEFINE_TRAINING                                                                        \
    NN__DEFINE_ACTIVATION_GRADIENT                                                                 \
    NN__DEFINE_DENSE_WEIGHT_GRADIENT                                                               \
    NN__DEFINE_DENSE_INPUT_GRADIENT                                                                \
    NN__DEFINE_IMAGE_TRAINING                                                                      \
    NN__DEFINE_LOGARITHMS                                                                          \
    NN__DEFINE_PERMUTE_ELEMENTS                                                                    \
    NN__OPTIMIZERS(NN__OPTIMIZER_OF_ROW)
#define NN__DEFINE_TRANSPOSE_OR_NOT NN__DEFINE_TRANSPOSE

#endif

#define NN__DEFINE_KERNELS                                                                         \
    NN__DEFINE_LOADS                                                                               \
    NN__DEFINE_TILE                                                                                \
    NN__DEFINE_PANEL                                                                               \
    NN__DEFINE_COPYING_TILE                                                                        \
    NN__DEFINE_COPY                                                                                \
    NN__DEFINE_TRANSPOSE_OR_NOT                                                                    \
    NN__DEFINE_POLYNOMIAL                                                                          \
    NN__DEFINE_EXP                                                                                 \
    NN__DEFINE_SIGMOID                                                                             \
    NN__DEFINE_TANH                                                                                \
    NN__DEFINE_EXPM1                                                                               \
    NN__DEFINE_ERF                                                                                 \
    NN__DEFINE_LOG1P                                                                               \
    NN__DEFINE_PANELS                                                                              \
    NN__DEFINE_ACTIVATE                                                                            \
    NN__DEFINE_ALL_FINITE                                                                          \
    NN__DEFINE_SCALE_ROWS                                                                          \
    NN__DEFINE_DENSE_FORWARD                                                                       \
    NN__DEFINE_IMAGES                                                                              \
    NN__DEFINE_TRAINING                                                                            \
    NN__DEFINE_TABLE

#ifdef NN__X86

/* ---- >>avx512: x86-64 with AVX-512F ---------------------------------------------------------- */

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
/* Some intrinsics are used with a mask of all lanes: g++ 12 warns about an uninitialised operand in
   their form without a mask. */
#define NN__ALL512 NN__MASK512(NN__LANES)
#define NN__WHOLE512(operation, a, b)                                                              \
    NN__REALS512(_mm512_##operation##si512(NN__INTEGERS512(a), NN__INTEGERS512(b)))
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
#define NN__PACK_A       0

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
#define NN__ZERO_IF_LESS(a, b, v)   _mm512_maskz_mov_pd(_mm512_cmp_pd_mask(a, b, _CMP_NLT_UQ), v)
#else
#define NN__SELECT_LESS(a, b, x, y) _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x)
#define NN__ZERO_IF_LESS(a, b, v)   _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_NLT_UQ), v)
#endif
#define NN__SCALE(x, n, r, high) NN__M512(maskz_scalef)(NN__ALL512, x, n)

#define NN__BITS_ADD(a, b)   NN__BITS512(add, a, b)
#define NN__BITS_SUB(a, b)   NN__BITS512(sub, a, b)
#define NN__BITS_AND(a, b)   NN__WHOLE512(and_, a, b)
#define NN__BITS_OR(a, b)    NN__WHOLE512(or_, a, b)
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
#undef NN__PACK_A
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
#undef NN__ZERO_IF_LESS
#undef NN__SCALE
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

/* ---- >>avx2: x86-64 with AVX2 and FMA -------------------------------------------------------- */

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
/* A register that is loaded from byte 32 - n * sizeof(nn_real) on has all bits of its first n lanes
   set, and is 0 elsewhere. NN__MASK256(n) loads it. */
static const int32_t nn__mask256[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
#define NN__MASK256(n)                                                                             \
    _mm256_loadu_si256(                                                                            \
        (const __m256i *)(const void *)(nn__mask256 + 8 - (n) * (int)sizeof(nn_real) / 4))
#define NN__WHOLE256(operation, a, b)                                                              \
    NN__REALS256(_mm256_##operation##si256(NN__INTEGERS256(a), NN__INTEGERS256(b)))
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
#define NN__PACK_A       1

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
#define NN__ZERO_IF_LESS(a, b, v)   NN__M256(andnot)(NN__M256(cmp)(a, b, _CMP_LT_OQ), v)
#define NN__SCALE(x, n, r, high)    NN__NAME(times_power)(x, r, high)
#define NN__BITS_ADD(a, b)          NN__BITS256(add, a, b)
#define NN__BITS_SUB(a, b)          NN__BITS256(sub, a, b)
#define NN__BITS_AND(a, b)          NN__WHOLE256(and_, a, b)
#define NN__BITS_OR(a, b)           NN__WHOLE256(or_, a, b)
#define NN__BITS_LEFT(v, n)         NN__REALS256(NN__I256(slli)(NN__INTEGERS256(v), n))
#define NN__BITS_RIGHT(v, n)        NN__REALS256(NN__I256(srli)(NN__INTEGERS256(v), n))
#define NN__ANY_BITS(v)             (!_mm256_testz_si256(NN__INTEGERS256(v), NN__INTEGERS256(v)))
#define NN__ZIP_LOW(a, b)                                                                          \
    NN__M256(permute2f128)(NN__M256(unpacklo)(a, b), NN__M256(unpackhi)(a, b), 0x20)
#define NN__ZIP_HIGH(a, b)                                                                         \
    NN__M256(permute2f128)(NN__M256(unpacklo)(a, b), NN__M256(unpackhi)(a, b), 0x31)

NN__DEFINE_KERNELS

#elif defined(NN__NEON)

/* ---- >>neon: aarch64 with NEON --------------------------------------------------------------- */

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
#define NN__PACK_A       1

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
#define NN__ZERO_IF_LESS(a, b, v)   NN__REALS(NN__U(vbicq)(NN__INTEGERS(v), NN__F(vcltq)(a, b)))
#define NN__SCALE(x, n, r, high)    NN__NAME(times_power)(x, r, high)
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

/* ---- >>wasm: WebAssembly with SIMD128, which has no fused multiply-add ----------------------- */

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
#define NN__PACK_A       1

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
#define NN__ZERO_IF_LESS(a, b, v)   wasm_v128_andnot(v, NN__F(lt)(a, b))
#define NN__SCALE(x, n, r, high)    NN__NAME(times_power)(x, r, high)
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
   The only place that chooses among the back-ends. NN__RUN(model, adam, ...) calls the function
   adam of the model's back-end.
   ============================================================================================= */

#ifndef NN__SIMD
#define NN__RUN(model, kernel, ...) nn__##kernel##_scalar(__VA_ARGS__)
#else
#define NN__RUN(model, kernel, ...) (model)->kernels->kernel(__VA_ARGS__)

#ifdef NN_NO_CONVOLUTION
#define NN__IMAGE_SCALAR
#define NN__IMAGE_TRAINING_SCALAR
#else
#define NN__IMAGE_SCALAR , nn__convolution_forward_scalar, nn__pool_scalar
#define NN__IMAGE_TRAINING_SCALAR                                                                  \
    , nn__convolution_weight_gradient_scalar, nn__convolution_input_gradient_scalar,               \
        nn__pool_gradient_scalar
#endif
#ifdef NN_NO_TRAIN
#define NN__TRAINING_SCALAR
#else
#define NN__TRAINING_SCALAR                                                                        \
    NN__IMAGE_TRAINING_SCALAR, nn__dense_weight_gradient_scalar, nn__dense_input_gradient_scalar,  \
        nn__activation_gradient_scalar, nn__softplus_tails_scalar, nn__log1ps_scalar,              \
        nn__permute_elements_scalar NN__OPTIMIZERS(NN__OPTIMIZER_SCALAR)
#endif

static const nn__kernels nn__kernels_scalar = {
    "scalar",
    "scalar",
    nn__activate_scalar,
    nn__softmax_row_scalar,
    nn__all_finite_scalar,
    nn__scale_rows_scalar,
    nn__dense_forward_scalar NN__IMAGE_SCALAR NN__TRAINING_SCALAR};

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

/* Returns the set of registers that the operating system saves when it switches tasks (XCR0). */
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

/* Returns 1 when the processor has AVX2 and FMA and the operating system saves their registers, 2
   when the same is also true for AVX-512F, else 0 (Intel's Software Developer's Manual, volume 1,
   sections 14.3 and 15.2). */
static int nn__level(void)
{
    const unsigned fma = 1u << 12, osxsave = 1u << 27, avx2 = 1u << 5, avx512f = 1u << 16;
    const unsigned ymm = 0x6, zmm = 0xe6;
    unsigned r[4], states;

    nn__cpuid(0, r);
    if (r[0] < 7) return 0; /* unreached: on other processors */
    nn__cpuid(1, r);
    if ((r[2] & (fma | osxsave)) != (fma | osxsave)) return 0; /* unreached: the same */
    states = nn__saved_states();
    nn__cpuid(7, r);
    if (!(r[1] & avx2) || (states & ymm) != ymm) return 0;    /* unreached: the same */
    return (r[1] & avx512f) && (states & zmm) == zmm ? 2 : 1; /* unreached: the same */
}
#else
static int nn__level(void)
{
    return 1;
}
#endif

/* Returns back-end i of a level, from the scalar one (i = 0) to the fastest one, and NULL after the
   last. */
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

/* Returns the back-end of this name, the fastest one for NULL, and the scalar one for the name of a
   back-end that the machine does not have: see NN_BACKEND. */
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
   ------------------------------------------------------------------------------------------------
   A model is one block of memory: the struct, the layers, the parameters, the input scaling and
   scratch memory for predicting. This section makes models, initialises their parameters and
   predicts with them.
   ============================================================================================= */

/* What a layer puts out, and what it takes in. */
static int nn__outputs_of(const nn_model *model, int layer)
{
#ifdef NN_NO_CONVOLUTION
    return model->layers[layer].width;
#else
    return model->maps[layer + 1].size;
#endif
}

/* The size of a layer's matrix of weights [rows x cols]; 0 x 0 of a layer without parameters. The
   rows are [pixels x channels] of a patch, or of the image before a dense layer. Of other dense
   layers channels is 1. */
typedef struct nn__matrix {
    int rows, cols;
#ifndef NN_NO_CONVOLUTION
    int channels;
#endif
} nn__matrix;

/* Returns the channels of a matrix. */
static int nn__channels(const nn__matrix *w)
{
#ifdef NN_NO_CONVOLUTION
    (void)w;
    return 1;
#else
    return w->channels;
#endif
}

static nn__matrix nn__matrix_of(const nn_layer *layer, const nn__map *in)
{
    nn__matrix w;

    w.rows = in->size;
    w.cols = layer->width;
#ifndef NN_NO_CONVOLUTION
    w.channels = in->height ? in->channels : 1;
    if (layer->kind == NN_LAYER_CONVOLUTION) {
        w.rows = layer->height * layer->width * in->channels;
        w.cols = layer->channels;
    } else if (layer->kind != NN_LAYER_DENSE) {
        w.rows = w.cols = 0;
    }
#endif
    return w;
}

/* One layer and where its parameters are. Only nn__layer_at knows this layout: the matrix of the
   weights [rows x cols] begins at index `weights` of the parameters, and the biases [cols] follow
   it at index `biases`. Of a dense layer the matrix is [inputs x outputs]. A model file has the
   same order, but the weights are [cols x rows] there, and the rows are [channels x pixels]. */
typedef struct nn__layer {
    nn_layer_kind kind;
    nn_activation activation;
    int inputs, outputs; /* numbers in a row */
    nn__matrix matrix;
    size_t weights, biases;
} nn__layer;

NN__HOT nn__layer nn__layer_at(const nn_model *model, int i)
{
    nn__layer layer;
#ifdef NN_NO_CONVOLUTION
    nn__map before, *in = &before;

    before.size = i ? model->layers[i - 1].width : model->inputs;
#else
    const nn__map *in = model->maps + i;
#endif
    layer.kind = model->layers[i].kind;
    layer.activation = model->layers[i].activation;
    layer.inputs = in->size;
    layer.outputs = nn__outputs_of(model, i);
    layer.matrix = nn__matrix_of(model->layers + i, in);
    layer.weights = model->offsets[NN__OFFSETS * i];
#ifdef NN_NO_CONVOLUTION
    layer.biases = layer.weights + (size_t)layer.matrix.rows * (size_t)layer.matrix.cols;
#else
    layer.biases = model->offsets[NN__OFFSETS * i + 1];
#endif
    return layer;
}

#ifndef NN_NO_CONVOLUTION
/* Returns how the window of layer i, a convolution or a pool, moves over its input. */
static nn__window nn__window_at(const nn_model *model, int i)
{
    return nn__window_of(model->layers + i, model->maps + i, model->maps + i + 1);
}
#endif

static int nn__outputs(const nn_model *model)
{
    return nn__outputs_of(model, model->count - 1);
}

/* Returns the number of the first layer that computes something: 1 behind an image, else 0. */
static int nn__first_layer(const nn_model *model)
{
#ifdef NN_NO_CONVOLUTION
    (void)model;
    return 0;
#else
    return model->layers[0].kind == NN_LAYER_IMAGE;
#endif
}

/* Returns whether a layer has weights and biases: images and pools have none. */
static int nn__has_parameters(const nn_model *model, int i)
{
#ifdef NN_NO_CONVOLUTION
    (void)model, (void)i;
    return 1;
#else
    return model->layers[i].kind == NN_LAYER_DENSE || model->layers[i].kind == NN_LAYER_CONVOLUTION;
#endif
}

/* Returns the number of the first layer from layer i on that has parameters, or the count. */
static int nn__next_with_parameters(const nn_model *model, int i)
{
    while (i < model->count && !nn__has_parameters(model, i)) i++;
    return i;
}

#ifndef NN_NO_TRAIN
NN__SHARED nn_activation nn__output_activation(const nn_model *model)
{
    return model->layers[model->count - 1].activation;
}
#endif

/* ---- Shapes ---------------------------------------------------------------------------------- */

/* The largest number of numbers in a row, or of pixels. The loops of the vector kernels add up to
   64 to an index, which must not overflow. */
#define NN__MOST (INT_MAX - 64)

#ifndef NN_NO_CONVOLUTION

/* *product = a * b * c, for numbers >= 0. Returns 0 where that is more than NN__MOST. */
NN__SHARED int nn__multiply_counts(int a, int b, int c, int *product)
{
    if (b && a > NN__MOST / b) return 0;
    a *= b;
    if (c && a > NN__MOST / c) return 0;
    *product = a * c;
    return 1;
}

/* Returns how many positions a window has along an edge of so many pixels. */
static int nn__steps(int pixels, int window, int stride)
{
    return (pixels - window) / stride + 1;
}

/* Whether a layer has only fields that its kind has. */
static int nn__fields_fit(const nn_layer *layer)
{
    const int image = layer->kind == NN_LAYER_IMAGE, pool = nn__is_pool(layer->kind);
    const int whole = nn__is_global(layer->kind);

    if (layer->kind == NN_LAYER_DENSE || image || whole)
        if (layer->stride_height || layer->stride_width) return 0;
    if ((layer->kind == NN_LAYER_DENSE || whole) && layer->height) return 0;
    if (whole && layer->width) return 0;
    if ((layer->kind == NN_LAYER_DENSE || pool) && layer->channels) return 0;
    if (layer->kind != NN_LAYER_CONVOLUTION) return layer->padding == NN_PADDING_NONE;
    return (layer->padding == NN_PADDING_NONE || layer->padding == NN_PADDING_SAME) &&
           NN__ONLY(NN_ONLY_PADDINGS, layer->padding);
}

/* Fills *out with what a convolution or a pool makes of an image. */
static nn_status nn__map_behind_window(const nn_layer *layer, const nn__map *in, nn__map *out)
{
    const int pool = nn__is_pool(layer->kind);
    nn__window window;
    int count;

    if (!in->height) return NN_ERROR_IMAGE;
    if (!nn__is_global(layer->kind) && (layer->height < 1 || layer->width < 1))
        return NN_ERROR_SIZE;
    if (layer->stride_height < 0 || layer->stride_width < 0 || (!pool && layer->channels < 1))
        return NN_ERROR_SIZE;
    if (layer->height > NN__MOST - in->height || layer->width > NN__MOST - in->width)
        return NN_ERROR_OVERFLOW;
    if (nn__has_padding(layer) &&
        !nn__multiply_counts(in->height + layer->height, in->width + layer->width, in->channels,
                             &count))
        return NN_ERROR_OVERFLOW;
    window = nn__window_of(layer, in, in);
    if (window.height > window.padded.height || window.width > window.padded.width)
        return pool ? NN_ERROR_WINDOW : NN_ERROR_KERNEL;
    out->height = nn__steps(window.padded.height, window.height, window.stride_height);
    out->width = nn__steps(window.padded.width, window.width, window.stride_width);
    out->channels = pool ? in->channels : layer->channels;
    if (!nn__multiply_counts(out->height, out->width, out->channels, &out->size) ||
        !nn__multiply_counts(window.height, window.width, in->channels, &count))
        return NN_ERROR_OVERFLOW;
    return NN_OK;
}

#endif

/* Fills *out with what a layer makes of *in. Returns whether it can do so. */
static nn_status nn__map_behind(const nn_layer *layer, const nn__map *in, nn__map *out)
{
#ifdef NN_NO_CONVOLUTION
    (void)in;
    if (layer->kind != NN_LAYER_DENSE) return NN_ERROR_LAYER;
#else
    if ((unsigned)layer->kind > NN_LAYER_GLOBAL_AVERAGE || !NN__ONLY(NN_ONLY_LAYERS, layer->kind) ||
        !nn__fields_fit(layer))
        return NN_ERROR_LAYER;
    memset(out, 0, sizeof *out);
    if (layer->kind > NN_LAYER_IMAGE) return nn__map_behind_window(layer, in, out);
    if (layer->kind == NN_LAYER_IMAGE) {
        if (layer->height < 1 || layer->width < 1 || layer->channels < 1) return NN_ERROR_SIZE;
        out->height = layer->height;
        out->width = layer->width;
        out->channels = layer->channels;
        if (!nn__multiply_counts(out->height, out->width, out->channels, &out->size) ||
            out->size != in->size)
            return NN_ERROR_IMAGE;
        return NN_OK;
    }
#endif
    if (layer->width < 1) return NN_ERROR_SIZE;
    if (layer->width > NN__MOST) return NN_ERROR_OVERFLOW;
    out->size = layer->width;
    return NN_OK;
}

/* The same of a layer that was checked before. */
static void nn__next_map(const nn_layer *layer, const nn__map *in, nn__map *out)
{
#ifdef NN_NO_CONVOLUTION
    (void)in;
    out->size = layer->width;
#else
    (void)nn__map_behind(layer, in, out);
#endif
}

/* Returns whether a layer may have its activation. */
static int nn__activation_fits(const nn_layer *layer, int last)
{
    const int activation = (int)layer->activation;

    if (!nn__has_activation(activation)) return 0;
#ifndef NN_NO_CONVOLUTION
    if (layer->kind != NN_LAYER_DENSE && layer->kind != NN_LAYER_CONVOLUTION)
        return activation == (int)NN_LINEAR;
    last = last && layer->kind == NN_LAYER_DENSE;
#endif
    return activation != (int)NN_SOFTMAX || (last && layer->width > 1);
}

/* The input of a shape, as the first layer sees it. */
static nn__map nn__input_map(int inputs)
{
    nn__map map;

    memset(&map, 0, sizeof map);
    map.size = inputs;
    return map;
}

/* Returns whether a layer may be at its place behind *in, and fills *out with what it makes of
   that. */
static nn_status nn__check_layer(const nn_layer *layer, const nn__map *in, int first, int last,
                                 nn__map *out)
{
    const nn_status status = nn__map_behind(layer, in, out);

#ifndef NN_NO_CONVOLUTION
    if (status == NN_OK && layer->kind == NN_LAYER_IMAGE && (!first || last)) return NN_ERROR_IMAGE;
#else
    (void)first;
#endif
    if (status == NN_OK && !nn__activation_fits(layer, last)) return NN_ERROR_ACTIVATION;
    return status;
}

NN_DEF nn_status nn_check_shape(const nn_shape *shape, int *layer)
{
    nn_status status = NN_OK;
    nn__map map;
    int i;

    if (layer) *layer = -1;
    if (!shape || !shape->layers) return NN_ERROR_NULL;
    if (shape->inputs < 1 || shape->count < 1) return NN_ERROR_SIZE;
    if (shape->inputs > NN__MOST) return NN_ERROR_OVERFLOW;
    map = nn__input_map(shape->inputs);
    for (i = 0; status == NN_OK && i < shape->count; i++) {
        const nn__map in = map;
        status = nn__check_layer(shape->layers + i, &in, i == 0, i == shape->count - 1, &map);
        if (status != NN_OK && layer) *layer = i;
    }
    return status;
}

/* The sizes of the arrays in a model's block. Predicting uses two buffers, and each layer reads one
   and writes the other. The first buffer holds the scaled input and the outputs of the second,
   fourth ... layer. The second buffer holds the outputs of the other layers. Each buffer is also
   wide enough for the outputs of the last layer. An image is no layer here. */
typedef struct nn__sizes {
    int inputs, count;
    size_t parameters;
    nn__map map;    /* the output of the last layer so far */
    int buffers[2]; /* number of columns */
#ifndef NN_NO_CONVOLUTION
    int images; /* layers that are images */
    int padded; /* columns of the buffer for padded images */
#endif
} nn__sizes;

static void nn__no_layers(nn__sizes *sizes, int inputs)
{
    memset(sizes, 0, sizeof *sizes);
    sizes->inputs = sizes->buffers[0] = inputs;
    sizes->map = nn__input_map(inputs);
}

/* Adds the next layer, which nn__check_layer has accepted, to the sizes. When the number of
   parameters does not fit a size_t, it becomes SIZE_MAX. */
static void nn__count_layer(nn__sizes *sizes, const nn_layer *layer, int last)
{
    const nn__matrix w = nn__matrix_of(layer, &sizes->map);
    const size_t rows = (size_t)w.rows + 1;
    const nn__map in = sizes->map;
    int i, step = sizes->count++;

    nn__next_map(layer, &in, &sizes->map);
#ifndef NN_NO_CONVOLUTION
    step -= sizes->images;
    if (layer->kind == NN_LAYER_IMAGE) {
        sizes->images++;
        return;
    }
    if (layer->kind == NN_LAYER_CONVOLUTION) {
        const nn__window window = nn__window_of(layer, &in, &sizes->map);
        if (nn__is_padded(&window) && window.padded.size > sizes->padded)
            sizes->padded = window.padded.size;
    }
#endif
    if (sizes->parameters == SIZE_MAX ||
        (w.cols && rows > (SIZE_MAX - sizes->parameters) / (size_t)w.cols))
        sizes->parameters = SIZE_MAX;
    else
        sizes->parameters += rows * (size_t)w.cols;
    for (i = 0; i < 2; i++)
        if ((last || i != step % 2) && sizes->map.size > sizes->buffers[i])
            sizes->buffers[i] = sizes->map.size;
}

static nn__sizes nn__sizes_of(const nn_shape *shape)
{
    nn__sizes sizes;
    int i;

    nn__no_layers(&sizes, shape->inputs);
    for (i = 0; i < shape->count; i++)
        nn__count_layer(&sizes, shape->layers + i, i == shape->count - 1);
    return sizes;
}

/* Returns the columns of all buffers for predicting. */
static size_t nn__buffer_columns(const nn__sizes *sizes)
{
#ifdef NN_NO_CONVOLUTION
    return (size_t)sizes->buffers[0] + (size_t)sizes->buffers[1];
#else
    return (size_t)sizes->buffers[0] + (size_t)sizes->buffers[1] + (size_t)sizes->padded;
#endif
}

/* Sets the model's pointers to its arrays in a block, and its sizes. The block begins with the
   struct itself. stored is 1 when the parameters are not in the block but in a file. With
   block->base NULL it only measures the block. */
static void nn__lay_out_model(nn_model *model, nn__block *block, const nn__sizes *sizes, int stored)
{
    (void)nn__take(block, 1, sizeof *model);
#ifndef NN_NO_CONVOLUTION
    model->maps = (nn__map *)nn__take(block, (size_t)sizes->count + 1, sizeof(nn__map));
    model->second_width = (size_t)sizes->buffers[1];
#endif
    model->offsets = (size_t *)nn__take(block, (size_t)sizes->count, NN__OFFSETS * sizeof(size_t));
    model->layers = (nn_layer *)nn__take(block, (size_t)sizes->count, sizeof(nn_layer));
    model->parameters = stored ? NULL : nn__take_reals(block, 1, sizes->parameters);
    model->offset = nn__take_reals(block, 2, (size_t)sizes->inputs);
#ifndef NN_NO_MALLOC
    model->target_offset = nn__take_reals(block, 2, (size_t)sizes->map.size);
#endif
    model->scratch = nn__take_reals(block, NN_PREDICT_ROWS, nn__buffer_columns(sizes));
    model->first_width = (size_t)sizes->buffers[0];
    model->parameter_count = sizes->parameters;
    model->inputs = sizes->inputs;
    model->count = sizes->count;
}

/* Returns the number of outputs that an input has an effect on: of a convolution the kernel's area
   times the channels. */
static nn_real nn__fan_out(const nn_model *model, int layer)
{
#ifndef NN_NO_CONVOLUTION
    const nn_layer *at = model->layers + layer;

    if (at->kind == NN_LAYER_CONVOLUTION)
        return (nn_real)at->height * (nn_real)at->width * (nn_real)at->channels;
#endif
    return (nn_real)model->layers[layer].width;
}

/* Weight initialisation (initialization): each weight is uniform in [-bound, bound). The bounds of
   PyTorch's Linear, which is the default, of He initialisation (He et al. 2015), Glorot
   initialisation, which is also called Xavier (Glorot and Bengio 2010), and LeCun initialisation
   (LeCun et al. 1998):

       default  sqrt(1 / fan_in)
       He       sqrt(6 / fan_in)
       Glorot   sqrt(6 / (fan_in + fan_out))
       LeCun    sqrt(3 / fan_in)

   The default draws the biases within the same bound. The other schemes set them to 0. */
NN_DEF nn_status nn_initialize(nn_model *model, nn_initialization scheme, uint64_t seed)
{
    static const unsigned char squares[] = {1, 6, 6, 3}; /* bound^2 times the sum of the fans */
    uint64_t random_state = nn__random_start(seed);
    int i;

    if (!model) return NN_ERROR_NULL;
    if ((unsigned)scheme > NN_INITIALIZE_LECUN) return NN_ERROR_OPTION;
    if (!model->parameters) return NN_ERROR_READ_ONLY;
    for (i = 0; i < model->count; i++) {
        const nn__layer layer = nn__layer_at(model, i);
        const nn_real fan_out = scheme == NN_INITIALIZE_GLOROT ? nn__fan_out(model, i) : 0;
        const nn_real fans = (nn_real)layer.matrix.rows + fan_out;
        const nn_real bound = NN_SQRT((nn_real)squares[scheme] / fans);
        const size_t end = layer.biases + (size_t)layer.matrix.cols;
        size_t k;

        for (k = layer.weights; k < end; k++)
            model->parameters[k] = k < layer.biases || scheme == NN_INITIALIZE_DEFAULT
                                       ? bound * (2 * nn__uniform(&random_state) - 1)
                                       : 0;
    }
    model->changes++;
    return NN_OK;
}

/* Removes the input scaling: offset 0 and factor 1 for every input. */
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

/* Stores offset[width] and, behind it, factor[width]: the inverses of the deviations. */
static nn_status nn__store_scaling(nn_real *offset, int width, const nn_real *mean,
                                   const nn_real *deviation)
{
    int i;

    for (i = 0; i < width; i++) {
        const nn_real factor = 1 / deviation[i];
        if (!nn__is_finite(mean[i]) || !(deviation[i] > 0) || !nn__is_finite(factor) ||
            !nn__is_finite(1 / factor))
            return NN_ERROR_OPTION;
    }
    for (i = 0; i < width; i++) {
        offset[i] = mean[i];
        offset[width + i] = 1 / deviation[i];
    }
    return NN_OK;
}

NN_DEF nn_status nn_set_scaling(nn_model *model, const nn_real *mean, const nn_real *deviation)
{
    nn_status status;

    if (!model || !mean || !deviation) return NN_ERROR_NULL;
    status = nn__store_scaling(model->offset, model->inputs, mean, deviation);
    if (status != NN_OK) return status;
    model->scaling = NN_SCALE_STANDARD;
    model->changes++;
    return NN_OK;
}

#ifndef NN_NO_MALLOC
NN_DEF nn_status nn_set_target_scaling(nn_model *model, const nn_real *mean,
                                       const nn_real *deviation)
{
    nn_status status;

    if (!model || !mean || !deviation) return NN_ERROR_NULL;
    status = nn__store_scaling(model->target_offset, nn__outputs(model), mean, deviation);
    if (status != NN_OK) return status;
    model->target_scaling = NN_SCALE_STANDARD;
    model->changes++;
    return NN_OK;
}

static void nn__clear_target_scaling(nn_model *model)
{
    model->target_scaling = NN_SCALE_NONE;
    model->changes++;
}

/* Undoes the scaling of the targets: y[rows x outputs] becomes y * (1 / factor) + offset. */
static void nn__unscale(const nn_model *model, nn_real *y, int rows)
{
    const int outputs = nn__outputs(model);
    int b, j;

    if (model->target_scaling == NN_SCALE_NONE) return;
    for (j = 0; j < outputs; j++) {
        const nn_real offset = model->target_offset[j];
        const nn_real scale = 1 / model->target_offset[outputs + j];
        nn_real *out = y + j;
        for (b = 0; b < rows; b++, out += outputs) *out = nn__fma(*out, scale, offset);
    }
}
#endif

/* Returns the bytes of a model's block, or 0 when they do not fit a size_t. */
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

    if (nn_check_shape(shape, NULL) != NN_OK) return 0;
    sizes = nn__sizes_of(shape);
    return nn__model_size(&sizes, 0);
}

/* Makes a model of these sizes in the caller's memory. The layers, their offsets and the parameters
   are not set yet. */
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
    (*model)->metadata = NULL;
    (*model)->target_scaling = NN_SCALE_NONE;
#endif
    (*model)->changes = 0;
    nn__clear_scaling(*model);
    return NN_OK;
}

/* Sets what follows from the layers, which must be set before: their outputs, and the index at
   which the parameters of each begin. */
static void nn__set_offsets(nn_model *model)
{
    nn__map map = nn__input_map(model->inputs);
    size_t offset = 0;
    int i;

    for (i = 0; i < model->count; i++) {
        const nn__map in = map;
        const nn__matrix w = nn__matrix_of(model->layers + i, &in);

        nn__next_map(model->layers + i, &in, &map);
        model->offsets[NN__OFFSETS * i] = offset;
        offset += (size_t)w.rows * (size_t)w.cols;
#ifndef NN_NO_CONVOLUTION
        model->offsets[NN__OFFSETS * i + 1] = offset;
        model->maps[i] = in;
        model->maps[i + 1] = map;
#endif
        offset += (size_t)w.cols;
    }
}

NN_DEF nn_status nn_model_create_in(nn_model **model, void *memory, size_t size,
                                    const nn_shape *shape, uint64_t seed)
{
    nn__sizes sizes;
    nn_status status;

    if (!model) return NN_ERROR_NULL;
    *model = NULL;
    status = nn_check_shape(shape, NULL);
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
    status = nn_check_shape(shape, NULL);
    if (status != NN_OK) return status;
    size = nn_model_size(shape);
    if (!size) return NN_ERROR_OVERFLOW;
    memory = NN_MALLOC(size);
    if (!memory) return NN_ERROR_MEMORY;
    status = nn_model_create_in(model, memory, size, shape, seed);
    NN_ASSERT(status == NN_OK); /* the shape was checked */
    (*model)->heap = memory;
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

#ifndef NN_NO_MALLOC

/* ---- Metadata -------------------------------------------------------------------------------- */

/* A pair of a model's metadata, in one allocation with its texts. The pairs of a model are a list
   in the order of the keys' bytes, so that a file does not depend on the order of the calls. */
typedef struct nn__pair {
    struct nn__pair *next;
    const char *key, *value;
    const char **names; /* [count] what the value of "input_names" or "class_names" lists; NULL */
    int count;
} nn__pair;

/* Returns whether a text is UTF-8: without overlong forms, surrogates and numbers above 10ffff. */
static int nn__is_utf8(const char *text)
{
    static const uint32_t lowest[] = {0, 0x80, 0x800, 0x10000};
    const unsigned char *at = (const unsigned char *)text;

    while (*at) {
        const int more = *at < 0x80 ? 0 : *at >= 0xf0 ? 3 : *at >= 0xe0 ? 2 : 1;
        uint32_t c = more ? *at & (0x3fu >> more) : *at;
        int i;

        if (more && (*at < 0xc2 || *at > 0xf4)) return 0;
        for (i = 0, at++; i < more; i++, at++) {
            if ((*at & 0xc0) != 0x80) return 0; /* also at the end of the text */
            c = c << 6 | (*at & 0x3fu);
        }
        if (c < lowest[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return 0;
    }
    return 1;
}

/* Copies a cell of a row of CSV to *text, without its quotes, and a 0 behind it; moves *text behind
   that. Returns the end of the cell in the row, or NULL when it is no cell. */
static const char *nn__read_cell(const char *row, char **text)
{
    char *to = *text;

    if (*row == '"') {
        for (row++; *row != '"' || row[1] == '"'; row++) {
            if (!*row) return NULL;
            row += *row == '"'; /* a doubled quote stands for one */
            *to++ = *row;
        }
        row++;
    } else {
        for (; *row && *row != ','; row++) {
            if (*row == '"' || *row == '\n' || *row == '\r') return NULL;
            *to++ = *row;
        }
    }
    *to++ = 0;
    *text = to;
    return *row && *row != ',' ? NULL : row;
}

/* Fills pair->names from the value, with text[length of the value + 1] for their characters.
   Returns whether the value is a row of CSV. */
static int nn__read_names(nn__pair *pair, char *text)
{
    const char *row = pair->value - 1;

    do {
        pair->names[pair->count++] = text;
        row = nn__read_cell(row + 1, &text);
    } while (row && *row);
    return row != NULL;
}

/* Returns whether a model with so many inputs or outputs can have so many names for them. */
static nn_status nn__check_name_count(const nn_model *model, const nn__pair *pair, int inputs)
{
    const int outputs = nn__outputs(model);

    if (inputs) return pair->count == model->inputs ? NN_OK : NN_ERROR_SHAPE;
    return pair->count == outputs || (outputs == 1 && pair->count == 2) ? NN_OK : NN_ERROR_LABEL;
}

/* Returns whether a key may be the user's. */
static int nn__is_key(const char *key)
{
    return *key && strcmp(key, "format") != 0 && strncmp(key, "nn.", 3) != 0 && nn__is_utf8(key);
}

/* Makes a pair that the model can have. */
static nn_status nn__make_pair(nn__pair **made, const nn_model *model, const char *key,
                               const char *value)
{
    const int inputs = !strcmp(key, "input_names"), named = inputs || !strcmp(key, "class_names");
    const size_t key_size = strlen(key) + 1, size = strlen(value) + 1;
    size_t names = 1, i;
    nn__pair *pair;
    char *text;
    nn_status status = NN_OK;

    *made = NULL;
    if (!nn__is_key(key) || !nn__is_utf8(value)) return NN_ERROR_METADATA;
    /* size is that of value. NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
    for (i = 0; i < size; i++) names += value[i] == ',';
    if (!named) names = 0;
    if (size > SIZE_MAX / 32 || key_size > SIZE_MAX / 32) return NN_ERROR_OVERFLOW;
    pair = (nn__pair *)NN_MALLOC(sizeof *pair + names * sizeof(char *) + key_size + 2 * size);
    if (!pair) return NN_ERROR_MEMORY;
    memset(pair, 0, sizeof *pair);
    pair->names = named ? (const char **)(void *)(pair + 1) : NULL;
    text = (char *)(pair + 1) + names * sizeof(char *);
    pair->key = (const char *)memcpy(text, key, key_size);
    pair->value = (const char *)memcpy(text + key_size, value, size);
    if (named && !nn__read_names(pair, text + key_size + size)) status = NN_ERROR_METADATA;
    if (named && status == NN_OK) status = nn__check_name_count(model, pair, inputs);
    if (status == NN_OK)
        *made = pair;
    else
        NN_FREE(pair);
    return status;
}

static void nn__free_pairs(nn__pair *pair)
{
    while (pair) {
        nn__pair *next = pair->next;
        NN_FREE(pair);
        pair = next;
    }
}

/* Puts a pair into a list, in place of one with its key; or, with NULL for the pair, only removes
   that one. */
static void nn__put_pair(nn__pair **list, const char *key, nn__pair *pair)
{
    nn__pair *old;

    while (*list && strcmp((*list)->key, key) < 0) list = &(*list)->next;
    old = *list && !strcmp((*list)->key, key) ? *list : NULL;
    if (old) *list = old->next;
    if (pair) {
        pair->next = *list;
        *list = pair;
    }
    if (old) NN_FREE(old);
}

static const nn__pair *nn__find_pair(const nn_model *model, const char *key)
{
    const nn__pair *pair = model->metadata;

    while (pair && strcmp(pair->key, key) != 0) pair = pair->next;
    return pair;
}

NN_DEF nn_status nn_set_metadata(nn_model *model, const char *key, const char *value)
{
    nn__pair *pair = NULL;
    nn_status status;

    if (!model || !key) return NN_ERROR_NULL;
    if (!value && !nn__is_key(key)) return NN_ERROR_METADATA;
    status = value ? nn__make_pair(&pair, model, key, value) : NN_OK;
    if (status == NN_OK) nn__put_pair(&model->metadata, key, pair);
    return status;
}

NN_DEF const char *nn_metadata(const nn_model *model, const char *key)
{
    const nn__pair *pair = model && key ? nn__find_pair(model, key) : NULL;

    return pair ? pair->value : NULL;
}

/* Returns name i of the names under a key; NULL where there is none. */
static const char *nn__name_of(const nn_model *model, const char *key, int i)
{
    const nn__pair *pair = model ? nn__find_pair(model, key) : NULL;

    return pair && i >= 0 && i < pair->count ? pair->names[i] : NULL;
}

NN_DEF const char *nn_input_name(const nn_model *model, int i)
{
    return nn__name_of(model, "input_names", i);
}

NN_DEF const char *nn_class_name(const nn_model *model, int k)
{
    return nn__name_of(model, "class_names", k);
}
#endif

NN_DEF void nn_model_free(nn_model *model)
{
#ifdef NN_NO_MALLOC
    (void)model;
#else
    if (!model) return;
    nn__free_pairs(model->metadata);
    model->metadata = NULL;
    if (model->heap) NN_FREE(model->heap);
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

NN_DEF int nn_outputs(const nn_model *model)
{
    return model ? nn__outputs(model) : 0;
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
    if (!at.matrix.cols) return NN_OK;
    arrays->inputs = at.matrix.rows;
    arrays->outputs = at.matrix.cols;
    arrays->weights = model->parameters + at.weights;
    arrays->biases = model->parameters + at.biases;
    return NN_OK;
}

#ifndef NN_NO_MALLOC
NN_DEF nn_status nn_model_copy(nn_model **copy, const nn_model *model)
{
    const nn__pair *pair;
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
    memcpy((*copy)->target_offset, model->target_offset,
           2 * (size_t)nn__outputs(model) * sizeof(nn_real));
    (*copy)->target_scaling = model->target_scaling;
    for (pair = model->metadata; pair && status == NN_OK; pair = pair->next)
        status = nn_set_metadata(*copy, pair->key, pair->value);
    if (status == NN_OK) return NN_OK;
    nn_model_free(*copy);
    *copy = NULL;
    return status;
}
#endif

#ifndef NN_NO_CONVOLUTION
/* Computes a layer that moves a window over an image: see nn__layer_forward. */
static NN__APART void nn__window_forward(const nn_model *model, int i, const nn_real *x, nn_real *y,
                                         int rows, nn_activation activation, nn_real *padded)
{
    const nn_layer_kind kind = model->layers[i].kind;
    const size_t *const offsets = model->offsets + NN__OFFSETS * i;
    const nn__window window = nn__window_at(model, i);

    if (nn__is_pool(kind)) {
        NN__RUN(model, pool, &window, nn__is_average(kind), x, y, rows);
        return;
    }
    if (nn__is_padded(&window)) {
        nn__pad(&window, x, padded, rows);
        x = padded;
    }
    if (!NN__IN_PLACE || model->parameters)
        NN__RUN(model, convolution_forward, &window, x, model->parameters + offsets[0],
                model->parameters + offsets[1], y, rows, activation);
    else
        nn__stored_convolution(&window, x, model->file + offsets[0] * sizeof(nn_real),
                               model->file + offsets[1] * sizeof(nn_real), y, rows, activation);
}
#endif

/* Computes layer i, but no image: y[rows x outputs] from x[rows x inputs], with this activation in
   place of its own. padded has room for the padded images. */
NN__HOT void nn__layer_forward(const nn_model *model, int i, const nn__layer *layer,
                               const nn_real *x, nn_real *y, int rows, nn_activation activation,
                               nn_real *padded)
{
    const nn_real *w = model->parameters;

#ifndef NN_NO_CONVOLUTION
    if (layer->kind != NN_LAYER_DENSE) {
        nn__window_forward(model, i, x, y, rows, activation, padded);
        return;
    }
#else
    (void)i;
    (void)padded;
#endif
    NN__RUN(model, dense_forward, x, w + layer->weights, w + layer->biases, y, rows, layer->inputs,
            layer->outputs, activation);
}

/* Returns whether this is a dense layer whose parameters are in a model file. */
static int nn__is_stored_dense(const nn_model *model, const nn__layer *layer)
{
#ifdef NN_NO_CONVOLUTION
    (void)layer;
    return NN__IN_PLACE && !model->parameters;
#else
    return NN__IN_PLACE && !model->parameters && layer->kind == NN_LAYER_DENSE;
#endif
}

#ifdef NN__SIMD
/* Computes a layer that moves a window, or whose parameters are in a model file, as nn__infer does.
   It is a function of its own because small nets have neither: their layers take less time without
   its registers. */
static NN__APART void nn__infer_other(const nn_model *model, int i, const nn_real *x, nn_real *out,
                                      int rows, nn_activation activation, nn_real *padded)
{
    const nn__layer layer = nn__layer_at(model, i);

    if (!nn__is_stored_dense(model, &layer))
        nn__layer_forward(model, i, &layer, x, out, rows, activation, padded);
    else
        nn__stored_forward(x, model->file + layer.weights * sizeof(nn_real),
                           model->file + layer.biases * sizeof(nn_real), out, rows, layer.inputs,
                           nn__channels(&layer.matrix), layer.outputs, activation);
}
#endif

/* Computes the model's outputs [rows x outputs] for x[rows x inputs], or its logits (the last
   layer's sums before the activation) where logits is 1. They are written to y, or to scratch where
   y is NULL. Returns where they are. rows is at most NN_PREDICT_ROWS, and scratch holds rows * the
   width of all buffers: see nn__sizes. x must be finite and is not yet scaled. Where targets are
   scaled, so are the outputs: nn__unscale follows. */
static nn_real *nn__infer(const nn_model *model, const nn_real *x, int rows, nn_real *scratch,
                          nn_real *y, int logits)
{
    nn_real *next = scratch, *other = scratch + model->first_width * (size_t)rows, *out = NULL;
#ifdef NN_NO_CONVOLUTION
    nn_real *const padded = NULL;
#else
    nn_real *const padded = other + model->second_width * (size_t)rows;
#endif
#ifdef NN__SIMD
    const nn_real *const w = model->parameters;
#endif
    int i;

    if (model->scaling != NN_SCALE_NONE) {
        NN__RUN(model, scale_rows, x, NULL, model->offset, model->offset + model->inputs, next,
                rows, model->inputs);
        x = next;
    }
    for (i = nn__first_layer(model); i < model->count; i++, x = out) {
        const nn__layer layer = nn__layer_at(model, i);
        const int last = i == model->count - 1;
        const nn_activation activation = last && logits ? NN_LINEAR : layer.activation;

        out = last && y ? y : other;
        other = next;
        next = out;
#ifdef NN__SIMD
        if (w && layer.kind == NN_LAYER_DENSE)
            NN__RUN(model, dense_forward, x, w + layer.weights, w + layer.biases, out, rows,
                    layer.inputs, layer.outputs, activation);
        else
            nn__infer_other(model, i, x, out, rows, activation, padded);
#else
        if (!nn__is_stored_dense(model, &layer))
            nn__layer_forward(model, i, &layer, x, out, rows, activation, padded);
        else
            nn__stored_forward(x, model->file + layer.weights * sizeof(nn_real),
                               model->file + layer.biases * sizeof(nn_real), out, rows,
                               layer.inputs, nn__channels(&layer.matrix), layer.outputs,
                               activation);
#endif
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
    return (size_t)nn__predict_rows(rows) * sizeof(nn_real) * nn__buffer_columns(&sizes);
}

/* Returns whether x[count] are finite. A loop here is faster for few numbers than a call. */
NN__HOT int nn__are_finite(const nn_model *model, const nn_real *x, size_t count)
{
#ifdef NN__SIMD
    nn_real zero = 0;

    if (count <= 4) {
        while (count-- > 0) zero += x[count] - x[count];
        return zero == 0;
    }
#endif
    (void)model; /* without vector kernels */
    return NN__RUN(model, all_finite, x, count);
}

/* Returns the status for outputs of finite inputs that are not finite. */
static nn_status nn__overflow(const nn_model *model)
{
#ifdef NN_NO_MALLOC
    (void)model;
#else
    if (model->parameters && !NN__RUN(model, all_finite, model->parameters, model->parameter_count))
        return NN_ERROR_PARAMETER;
#endif
    return NN_ERROR_DATA;
}

/* Checks the arguments that nn_predict and nn_predict_classes have in common. */
NN__HOT nn_status nn__check_inputs(const nn_model *model, const nn_real *x, int rows,
                                   const void *scratch)
{
    const size_t inputs = (size_t)model->inputs, outputs = (size_t)nn__outputs(model);

    if (rows < 1) return NN_ERROR_SIZE;
    if ((uintptr_t)scratch % sizeof(nn_real) != 0) return NN_ERROR_BLOCK;
    if (rows > 1 &&
        (size_t)rows > SIZE_MAX / sizeof(nn_real) / (inputs > outputs ? inputs : outputs))
        return NN_ERROR_OVERFLOW;
    return nn__are_finite(model, x, (size_t)rows * inputs) ? NN_OK : NN_ERROR_DATA;
}

NN_DEF nn_status nn_predict(const nn_model *model, const nn_real *x, int rows, nn_real *y,
                            void *scratch)
{
    nn_real *const start = y;
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
        (void)nn__infer(model, x, count, scratch ? (nn_real *)scratch : model->scratch, y, 0);
#ifndef NN_NO_MALLOC
        nn__unscale(model, y, count);
#endif
        x += (size_t)count * inputs;
        y += (size_t)count * outputs;
    }
    if (nn__are_finite(model, start, (size_t)rows * outputs)) return NN_OK;
    memset(start, 0, (size_t)rows * outputs * sizeof *y);
    return nn__overflow(model);
}

/* Returns the class of a row of outputs or targets: see nn_predict_classes. */
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
    int *const start = classes;
    nn_status status;
    int first, count, outputs, b;

    if (!model || !x || !classes) return NN_ERROR_NULL;
    status = nn__check_inputs(model, x, rows, scratch);
    if (status != NN_OK) return status;
    outputs = nn__outputs(model);
    for (first = 0; first < rows; first += count) {
        nn_real *y;

        count = nn__predict_rows(rows - first);
        y = nn__infer(model, x, count, scratch ? (nn_real *)scratch : model->scratch, NULL, 0);
#ifndef NN_NO_MALLOC
        nn__unscale(model, y, count);
#endif
        if (!nn__are_finite(model, y, (size_t)count * (size_t)outputs)) {
            memset(start, 0, (size_t)rows * sizeof *classes);
            return nn__overflow(model);
        }
        for (b = 0; b < count; b++, y += outputs) *classes++ = nn__class_of(y, outputs);
        x += (size_t)count * (size_t)model->inputs;
    }
    return NN_OK;
}

#ifndef NN_NO_TRAIN

/* ================================================================================================
   >>loss
   ------------------------------------------------------------------------------------------------
   Each loss has one row in the table and one part below. A row's loss is a mean or a sum over its
   outputs; a batch's is the weighted mean over its rows. p are the outputs, t the targets, z the
   logits (the last layer's sums, before its activation).

   Where the table says ELEMENT, a part has a function of the difference d = p - t of one output,
   and its derivative with respect to p. Where it says ROW, the loss belongs to one activation of
   the last layer, and is computed from z, so that nothing is lost where p rounds to 0 or 1; its
   part has a function for rows, and dL/dz. Either way a caller gets dL/dz, from nn__loss_backward.

   To add a loss: its enumerator in nn_loss, its row here, its part below.
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
    const nn_options *options; /* for the losses' own options; NULL: their defaults */
    int outputs;
    const nn_real *targets; /* [... x outputs], row index[b] for row b, */
    const size_t *index;    /* or row b where index is NULL */
#ifndef NN_NO_MALLOC
    const int *labels; /* [...] the classes of the same rows instead of targets, or NULL */
#endif
    const nn_real *weights; /* of the same rows, NULL: 1; for the gradient */
    nn_real total;          /* the sum of the weights of the whole batch */
#ifndef NN_NO_MALLOC
    const nn_real *target_offset; /* [outputs], then factor[outputs]; NULL: targets as they are */
#endif
} nn__objective;

/* The targets of one row: numbers, or a class. */
typedef struct nn__targets {
    const nn_real *t; /* [outputs], or NULL: */
#ifndef NN_NO_MALLOC
    int hot; /* output `hot` has the target 1, the others 0 */
#endif
} nn__targets;

/* Without options: the mean squared error. The fields behind outputs are the caller's to set. */
NN__HOT void nn__set_objective(nn__objective *objective, const nn_model *model,
                               const nn_options *options)
{
    objective->model = model;
    objective->loss = options ? options->loss : NN_MSE;
    objective->options = options;
    objective->outputs = nn__outputs(model);
#ifndef NN_NO_MALLOC
    objective->target_offset = model->target_scaling == NN_SCALE_NONE ? NULL : model->target_offset;
#endif
}

NN__HOT size_t nn__data_row(const nn__objective *objective, int b)
{
    return objective->index ? objective->index[b] : (size_t)b;
}

/* Sets the targets to those of the rows of data from row `first` on. */
NN__HOT void nn__set_targets(nn__objective *objective, const nn_data *data, size_t first)
{
#ifndef NN_NO_MALLOC
    objective->labels = data->labels ? data->labels + first : NULL;
    objective->targets = NULL;
    if (data->labels) return;
#endif
    objective->targets = data->y + first * (size_t)data->outputs;
}

#ifndef NN_NO_MALLOC
/* Read instead of computed: a branch on a label is seldom predicted. */
static const nn_real nn__zero_one[2] = {0, 1};

/* Returns the targets of a label. The target of one output is the label itself. */
NN__HOT nn__targets nn__label_targets(int label, int outputs)
{
    nn__targets targets;

    targets.t = outputs == 1 ? nn__zero_one + label : NULL;
    targets.hot = label;
    return targets;
}
#endif

NN__HOT nn__targets nn__targets_of(const nn__objective *objective, int b)
{
    const size_t row = nn__data_row(objective, b);
    nn__targets targets;

#ifndef NN_NO_MALLOC
    if (objective->labels) return nn__label_targets(objective->labels[row], objective->outputs);
    targets.hot = -1;
#endif
    targets.t = objective->targets + row * (size_t)objective->outputs;
    return targets;
}

#ifndef NN_NO_MALLOC
/* Returns whether one output has the target 1 and the others 0. */
NN__HOT int nn__is_one_hot(nn__targets targets)
{
    return !targets.t;
}
#endif

/* Returns the target of output j. */
NN__HOT nn_real nn__target_at(nn__targets targets, int j)
{
#ifndef NN_NO_MALLOC
    if (!targets.t) return nn__zero_one[j == targets.hot];
#endif
    return targets.t[j];
}

/* Returns the target of output j, scaled as the model says. The product is rounded before it is
   subtracted, as if the caller had scaled the targets. */
NN__HOT nn_real nn__scaled_target(const nn__objective *objective, nn__targets targets, int j)
{
#ifndef NN_NO_MALLOC
    const nn_real *offset = objective->target_offset;
    /* Labels, for which t is NULL, are not scaled. */
    if (offset) /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
        return nn__rounded_product(targets.t[j] - offset[j], offset[objective->outputs + j]);
#else
    (void)objective;
#endif
    return nn__target_at(targets, j);
}

/* ---- Mean squared error ---------------------------------------------------------------------- */

/* The mean over the outputs of d^2; derivative 2 d / outputs.

   The functions of one output, here and below, leave out the division by the number of outputs: the
   first returns sum + the loss of the output, the second the derivative. */
static nn_real nn__mse(const nn__objective *objective, nn_real d, nn_real sum)
{
    (void)objective;
    return sum == 0 ? d * d : nn__fma(d, d, sum); /* fma is slow where it is no instruction */
}

static nn_real nn__mse_gradient(const nn__objective *objective, nn_real d)
{
    (void)objective;
    return 2 * d;
}

/* ---- Huber ----------------------------------------------------------------------------------- */

/* The mean over the outputs of d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2); derivative
   d / outputs where |d| <= delta, else +-delta / outputs (Huber 1964). */

static nn_real nn__delta(const nn__objective *objective)
{
    return nn__or(objective->options->huber_delta, NN__HUBER_DELTA);
}

static nn_real nn__huber(const nn__objective *objective, nn_real d, nn_real sum)
{
    const nn_real delta = nn__delta(objective), size = nn__absolute(d);

    if (size > delta) return nn__fma(delta, nn__fma(-(nn_real)0.5, delta, size), sum);
    return nn__fma((nn_real)0.5 * size, size, sum);
}

static nn_real nn__huber_gradient(const nn__objective *objective, nn_real d)
{
    const nn_real delta = nn__delta(objective);

    if (nn__absolute(d) > delta) return d > 0 ? delta : -delta;
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
    return (nn_real)((d > 0) - (d < 0));
}

/* ---- Quantile, or pinball loss --------------------------------------------------------------- */

/* The mean over the outputs of (1 - q) d where d > 0, else -q d; derivative (1 - q) / outputs where
   d > 0, -q / outputs where d < 0, else 0. q is the quantile (Koenker and Bassett 1978). */

static nn_real nn__q(const nn__objective *objective)
{
    return nn__or(objective->options->quantile, NN__MEDIAN);
}

static nn_real nn__quantile(const nn__objective *objective, nn_real d, nn_real sum)
{
    const nn_real q = nn__q(objective);

    return nn__fma(d > 0 ? 1 - q : -q, d, sum);
}

static nn_real nn__quantile_gradient(const nn__objective *objective, nn_real d)
{
    const nn_real q = nn__q(objective);

    return d > 0 ? 1 - q : d < 0 ? -q : 0;
}

/* ---- Binary cross-entropy -------------------------------------------------------------------- */

/* For sigmoid. The mean over the outputs of -t log p - (1 - t) log(1 - p), computed from the logits
   as max(z, 0) - z t + log1p(exp(-|z|)); gradient dL/dz = (p - t) / outputs. With label smoothing
   s, t stands for t (1 - s) + s / 2, as in Keras. */

/* Label smoothing (Szegedy et al. 2016), an option of both cross-entropies. */
static nn_real nn__smoothing(const nn__objective *objective)
{
    return objective->options->label_smoothing;
}

/* Returns what t becomes with smoothing s: t (1 - s) + rest. */
NN__SHARED nn_real nn__target(nn_real t, nn_real s, nn_real rest)
{
    return s > 0 ? nn__fma(t, 1 - s, rest) : t;
}

/* z[rows x outputs] becomes p. */
static void nn__binary_cross_entropy(const nn__objective *objective, nn_real *z, int rows,
                                     nn_real *losses)
{
    const int outputs = objective->outputs;
    const nn_real s = nn__smoothing(objective), rest = s / 2;
    nn_real tails[NN__TAILS], *tail = tails; /* log1p(exp(-|z|)) of the next logits, of any rows */
    size_t left = (size_t)rows * (size_t)outputs, ready = 0;
    nn_real *logit = z;
    int b, j;

    tails[0] = 0; /* some compilers do not see that it is set below */
    for (b = 0; b < rows; b++) {
        const nn__targets targets = nn__targets_of(objective, b);
        nn_real sum = 0;

        for (j = 0; j < outputs; j++, logit++, ready--) {
            const nn_real t = nn__target(nn__target_at(targets, j), s, rest);

            if (ready == 0) {
                tail = tails;
                ready = left < NN__TAILS ? left : NN__TAILS;
                left -= ready;
                NN__RUN(objective->model, softplus_tails, logit, tails, ready);
            }
            sum += nn__fma(-*logit, t, 0 > *logit ? 0 : *logit);
            /* tails is filled. NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign) */
            sum += *tail++;
        }
        losses[b] = sum / (nn_real)outputs;
    }
    NN__RUN(objective->model, activate, NN_SIGMOID, z, rows, outputs);
}

/* p[outputs], a row, becomes factor * dL/dz, where share = factor / outputs. */
static void nn__binary_cross_entropy_gradient(const nn__objective *objective, nn_real *p,
                                              nn__targets targets, nn_real factor, nn_real share)
{
    const nn_real s = nn__smoothing(objective), rest = s / 2;
    int j;

    (void)factor;
    for (j = 0; j < objective->outputs; j++)
        p[j] = nn__flushed((p[j] - nn__target(nn__target_at(targets, j), s, rest)) * share,
                           NN__NEGLIGIBLE);
}

/* ---- Cross-entropy --------------------------------------------------------------------------- */

/* For softmax. The sum over the outputs of -t log p, computed from the logits as the sum of
   t (log(sum of exp(z)) - z); gradient dL/dz = p * (sum of t) - t. With label smoothing s, t stands
   for t (1 - s) + s / outputs. A label without smoothing leaves one term: log(sum of exp(z)) -
   z[label]. */

/* Up to NN__TAILS rows, from row `first` on: z[rows x outputs] becomes p. */
static void nn__cross_entropy_rows(const nn__objective *objective, nn_real *z, int first, int rows,
                                   nn_real *losses)
{
    const int outputs = objective->outputs;
    const nn_real s = nn__smoothing(objective), rest = s / (nn_real)outputs;
    nn_real sums[NN__TAILS], totals[NN__TAILS];
    int b, j;

    sums[0] = totals[0] = 0; /* some compilers do not see that they are set below */
    for (b = 0; b < rows; b++, z += outputs) {
        const nn__targets targets = nn__targets_of(objective, first + b);
        nn_real sum = 0, total = 0, largest = z[0];

        for (j = 1; j < outputs; j++)
            if (z[j] > largest) largest = z[j];
#ifndef NN_NO_MALLOC
        if (nn__is_one_hot(targets) && s == 0) {
            sum = largest - z[targets.hot];
            total = 1;
        } else
#endif
            for (j = 0; j < outputs; j++) {
                const nn_real target = nn__target(nn__target_at(targets, j), s, rest);
                if (target == 0) continue; /* it adds nothing, even where z is infinite */
                sum = nn__fma(target, largest - z[j], sum);
                total += target;
            }
        sums[b] = sum;
        totals[b] = total;
        losses[b] = NN__RUN(objective->model, softmax_row, z, outputs);
    }
    NN__RUN(objective->model, log1ps, losses, (size_t)rows);
    for (b = 0; b < rows; b++) losses[b] = nn__fma(totals[b], losses[b], sums[b]);
}

/* z[rows x outputs] becomes p. Many rows are divided among threads: an output takes as long as some
   16 numbers of other elementwise work. */
static void nn__cross_entropy(const nn__objective *objective, nn_real *z, int rows, nn_real *losses)
{
    const int outputs = objective->outputs, blocks = (rows - 1) / NN__TAILS + 1;
    int i;

#ifdef NN__THREADS
    const int many = nn__pieces(16.0 * rows * outputs, NN__ELEMENT_GRAIN) > 1;
#pragma omp parallel for schedule(static) if (many)
#endif
    for (i = 0; i < blocks; i++) {
        const int first = i * NN__TAILS, left = rows - first;
        nn__cross_entropy_rows(objective, z + (size_t)first * (size_t)outputs, first,
                               left < NN__TAILS ? left : NN__TAILS, losses + first);
    }
}

static void nn__cross_entropy_gradient(const nn__objective *objective, nn_real *p,
                                       nn__targets targets, nn_real factor, nn_real share)
{
    const int outputs = objective->outputs;
    const nn_real s = nn__smoothing(objective), rest = s / (nn_real)outputs;
    nn_real total = 0;
    int j;

    (void)share;
#ifndef NN_NO_MALLOC
    if (nn__is_one_hot(targets) && s == 0) {
        p[targets.hot] -= 1;
        for (j = 0; j < outputs; j++) p[j] = nn__flushed(p[j] * factor, NN__NEGLIGIBLE);
        return;
    }
#endif
    for (j = 0; j < outputs; j++) total += nn__target(nn__target_at(targets, j), s, rest);
    for (j = 0; j < outputs; j++) {
        const nn_real target = nn__target(nn__target_at(targets, j), s, rest);
        const nn_real d = total == 1 ? p[j] - target : nn__fma(total, p[j], -target);
        p[j] = nn__flushed(d * factor, NN__NEGLIGIBLE);
    }
}

/* ---- What the table drives ------------------------------------------------------------------- */

/* clang-format off */
#define NN__KEEP_IF_ROW_ELEMENT(...)
#define NN__KEEP_IF_ROW_ROW(...) __VA_ARGS__
#define NN__FITS_CASE(ID, name, form, last)                                                        \
    case NN_##ID: needed = last; break;
#define NN__ELEMENT_LOSS_BIT(ID, name, form, last) NN__KEEP_IF_##form(| 1u << NN_##ID)
#define NN__HAS_ELEMENT_LOSS ((NN_ONLY_LOSSES) & (0 NN__LOSSES(NN__ELEMENT_LOSS_BIT)))
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
            nn__##name(objective, p, rows, losses);                 \
        return;)
#define NN__ROW_GRADIENT_CASE(ID, name, form, last)                                                \
    NN__KEEP_IF_ROW_##form(case NN_##ID:                                                           \
        if (NN__ONLY(NN_ONLY_LOSSES, NN_##ID))                                                     \
            nn__##name##_gradient(objective, row, targets, factor, share);                        \
        continue;)
/* clang-format on */

/* Whether there is such a loss, and it goes with the last layer's activation. */
static int nn__loss_fits(nn_loss loss, nn_activation activation)
{
    int needed = -1;

    if ((unsigned)loss >= (unsigned)NN_LOSS_COUNT || !NN__ONLY(NN_ONLY_LOSSES, loss)) return 0;
    switch (loss) {
        NN__LOSSES(NN__FITS_CASE)
    default: break; /* unreached: see above */
    }
    return needed < 0 || needed == (int)activation;
}

/* Whether a loss is one of ROW, computed from the logits: a cross-entropy. */
static int nn__is_cross_entropy(nn_loss loss)
{
    return 0 NN__LOSSES(NN__IS_ROW_LOSS);
}

NN__HOT nn_real nn__add_difference(const nn__objective *objective, nn_real d, nn_real sum)
{
    switch (objective->loss) {
        NN__LOSSES(NN__ELEMENT_CASE)
    default: break; /* unreached: losses of whole rows do not come here */
    }
    return sum;
}

NN__HOT nn_real nn__difference_gradient(const nn__objective *objective, nn_real d)
{
    switch (objective->loss) {
        NN__LOSSES(NN__ELEMENT_GRADIENT_CASE)
    default: break; /* unreached: losses of whole rows do not come here */
    }
    return d; /* unreached: the same */
}

/* The losses[rows] of p[rows x outputs]. p are the outputs, and stay as they are; or, for a
   cross-entropy, p are the logits, and become the outputs. */
static void nn__loss_forward(const nn__objective *objective, nn_real *p, int rows, nn_real *losses)
{
    const int outputs = objective->outputs;
    int b, j;

    switch (objective->loss) {
        NN__LOSSES(NN__ROW_CASE)
    default: break;
    }
    if (!NN__HAS_ELEMENT_LOSS) return; /* of nn_confusion_matrix, which uses no loss */
    for (b = 0; b < rows; b++, p += outputs) {
        const nn__targets targets = nn__targets_of(objective, b);
        nn_real sum = 0;

        for (j = 0; j < outputs; j++)
            sum =
                nn__add_difference(objective, p[j] - nn__scaled_target(objective, targets, j), sum);
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
        const nn__targets targets = nn__targets_of(objective, b);

        if (objective->weights) {
            factor = objective->weights[nn__data_row(objective, b)] / objective->total;
            share = factor / (nn_real)outputs;
        }
        switch (objective->loss) {
            NN__LOSSES(NN__ROW_GRADIENT_CASE)
        default: break;
        }
        if (!NN__HAS_ELEMENT_LOSS) continue; /* unreached: leaves out what follows */
        for (j = 0; j < outputs; j++)
            d[j] = share * nn__difference_gradient(objective,
                                                   p[j] - nn__scaled_target(objective, targets, j));
    }
    if (!NN__HAS_ELEMENT_LOSS || nn__is_cross_entropy(objective->loss)) return;
    NN__RUN(objective->model, activation_gradient, nn__output_activation(objective->model), s, dp,
            rows, outputs);
}

/* ================================================================================================
   >>data
   ------------------------------------------------------------------------------------------------
   Rows of data: whether a prediction is correct, checks, the order of rows in an epoch, scaling of
   the inputs, and stratified splits.
   ============================================================================================= */

static void nn__copy(nn_real *to, const nn_real *from, size_t count)
{
    memcpy(to, from, count * sizeof(nn_real));
}

/* ---- Correct predictions --------------------------------------------------------------------- */

static int nn__is_classification(const nn_data *data, nn_loss loss)
{
    return data->classes > 0 || nn__is_cross_entropy(loss);
}

/* Returns the number of classes, or 0 for regression. Where data->classes is 0, a binary
   cross-entropy with one output has two classes, and a cross-entropy has one class for each
   output. */
static int nn__classes(const nn_data *data, nn_loss loss)
{
    if (data->classes > 0) return data->classes;
    if (loss == NN_CROSS_ENTROPY && data->outputs > 1) return data->outputs;
    return loss == NN_BINARY_CROSS_ENTROPY && data->outputs == 1 ? 2 : 0;
}

/* Returns the targets of a row of data, which must have some. */
NN__HOT nn__targets nn__row_targets(const nn_data *data, size_t row)
{
    nn__targets targets;

#ifndef NN_NO_MALLOC
    if (data->labels) return nn__label_targets(data->labels[row], data->outputs);
    targets.hot = -1;
#endif
    targets.t = data->y + row * (size_t)data->outputs;
    return targets;
}

/* Returns the class of targets[outputs]. */
static int nn__target_class(nn__targets targets, int outputs)
{
#ifndef NN_NO_MALLOC
    if (!targets.t) return targets.hot;
#endif
    return nn__class_of(targets.t, outputs);
}

#ifndef NN_NO_MALLOC
/* Returns the class of a row of data, which must have targets, whatever their form. */
static int nn__label_of(const nn_data *data, size_t row)
{
    return nn__target_class(nn__row_targets(data, row), data->outputs);
}
#endif

/* Returns whether the outputs p[outputs] are a correct prediction of the targets. With classes,
   both must have the same class. Otherwise (binary cross-entropy with several independent targets)
   each output must be on the same side of 1/2 as its target. */
static int nn__is_correct(const nn_data *data, nn_loss loss, const nn_real *p, nn__targets targets)
{
    int j;

    if (data->classes > 0 || loss == NN_CROSS_ENTROPY)
        return nn__class_of(p, data->outputs) == nn__target_class(targets, data->outputs);
    for (j = 0; j < data->outputs; j++)
        /* Labels are classes. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
        if ((p[j] >= (nn_real)0.5) != (targets.t[j] >= (nn_real)0.5)) return 0;
    return 1;
}

/* ---- Checks of data -------------------------------------------------------------------------- */

static nn_real nn__row_weight(const nn_data *data, size_t row)
{
    return data->weight ? data->weight[row] : 1;
}

/* Returns whether the targets of data are known. */
static int nn__has_targets(const nn_data *data)
{
#ifndef NN_NO_MALLOC
    if (data->labels) return 1;
#endif
    return data->y != NULL;
}

/* Checks the pointers and the sizes of data. Targets need not be there; then there may be no
   outputs either. */
static nn_status nn__check_arrays(const nn_data *data)
{
    size_t widest;

    if (!data || !data->x) return NN_ERROR_NULL;
    if (data->rows < 1 || data->inputs < 1 || data->outputs < (nn__has_targets(data) ? 1 : 0))
        return NN_ERROR_SIZE;
    widest = (size_t)(data->inputs > data->outputs ? data->inputs : data->outputs);
    if ((size_t)data->rows > SIZE_MAX / sizeof(nn_real) / widest) return NN_ERROR_OVERFLOW;
    if (data->classes < 0 || (data->classes > 0 && data->outputs == 1 && data->classes != 2) ||
        (data->classes > 0 && data->outputs > 1 && data->classes != data->outputs))
        return NN_ERROR_LABEL;
#ifndef NN_NO_MALLOC
    if (data->labels && data->y) return NN_ERROR_OPTION;
    if (data->labels && !data->classes) return NN_ERROR_LABEL;
#endif
    return NN_OK;
}

#ifndef NN_NO_MALLOC
/* Returns whether every label is a class. */
static int nn__labels_fit(const nn_data *data)
{
    int b;

    for (b = 0; data->labels && b < data->rows; b++)
        if (data->labels[b] < 0 || data->labels[b] >= data->classes) return 0;
    return 1;
}
#endif

/* Checks the targets t[outputs] of one row. A cross-entropy needs targets in [0, 1]. With classes
   the targets must be 0 or 1 and, with several outputs, one-hot: exactly one of them is 1. */
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

/* Checks data, and that it has targets and these numbers of inputs and outputs. */
static nn_status nn__check_widths(const nn_data *data, int inputs, int outputs)
{
    const nn_status status = nn__check_arrays(data);

    if (status != NN_OK) return status;
    if (!nn__has_targets(data)) return NN_ERROR_NULL;
    return data->inputs == inputs && data->outputs == outputs ? NN_OK : NN_ERROR_SHAPE;
}

#ifndef NN_NO_MALLOC
/* Returns k of a name "xk", or 0 for any other name. Where a table has no header, nn_read_csv makes
   up the names x1, x2, ... */
static long nn__made_up(const char *name)
{
    long number = 0;

    if (*name++ != 'x' || *name == '0') return 0;
    for (; *name >= '0' && *name <= '9' && number < 100000000; name++)
        number = number * 10 + (*name - '0');
    return *name ? 0 : number;
}

/* Returns whether input i can have both names, because they are the same or one is made up. */
static int nn__same_input(const char *a, const char *b, int i)
{
    const long first = nn__made_up(a), second = nn__made_up(b);

    return !strcmp(a, b) || (first == i + 1L && !second) || (second == i + 1L && !first);
}

/* Compares the names of the inputs and of the classes, where both data and `other` have some. */
static nn_status nn__compare_names(const nn_data *data, const nn_data *other)
{
    int i;

    if (data->input_names && other->input_names)
        for (i = 0; i < data->inputs; i++)
            if (!nn__same_input(data->input_names[i], other->input_names[i], i))
                return NN_ERROR_SHAPE;
    if (data->class_names && other->class_names) {
        if (data->classes != other->classes) return NN_ERROR_LABEL;
        for (i = 0; i < data->classes; i++)
            if (strcmp(data->class_names[i], other->class_names[i]) != 0) return NN_ERROR_LABEL;
    }
    return NN_OK;
}

/* Checks that the names of the data's inputs and classes are the model's, where both have names. A
   table with its columns in another order would otherwise give wrong numbers without a word. The
   data's inputs are as many as the model's. */
static nn_status nn__check_data_names(const nn_model *model, const nn_data *data)
{
    const nn__pair *inputs, *classes;
    nn_data own;
    int i;

    if (!data->input_names && !data->class_names) return NN_OK;
    for (i = 0; data->input_names && i < data->inputs; i++)
        if (!data->input_names[i]) return NN_ERROR_NULL;
    for (i = 0; data->class_names && i < data->classes; i++)
        if (!data->class_names[i]) return NN_ERROR_NULL;
    inputs = nn__find_pair(model, "input_names");
    classes = nn__find_pair(model, "class_names");
    memset(&own, 0, sizeof own);
    own.input_names = inputs ? inputs->names : NULL;
    own.class_names = classes ? classes->names : NULL;
    own.classes = classes ? classes->count : 0;
    return nn__compare_names(data, &own);
}

/* Writes a name as a cell of a row of CSV; returns its end. to[] has two bytes for each character,
   and three more. */
static char *nn__write_cell(char *to, const char *name)
{
    const char *c;
    int quoted = !*name;

    for (c = name; *c; c++) quoted |= strchr(",\"\r\n", *c) != NULL;
    if (quoted) *to++ = '"';
    for (; *name; name++) {
        if (*name == '"') *to++ = '"';
        *to++ = *name;
    }
    if (quoted) *to++ = '"';
    return to;
}

/* Returns the name of the two that is not made up, or the model's. own is NULL without one. */
static const char *nn__better_name(const nn__pair *own, const char *const *names, int i)
{
    return !own || nn__made_up(own->names[i]) ? names[i] : own->names[i];
}

/* Makes the pair of names[count], which agree with the model's; NULL where it has this pair. */
static nn_status nn__pair_of_names(nn__pair **made, const nn_model *model, const char *key,
                                   const char *const *names, int count)
{
    const nn__pair *own = nn__find_pair(model, key);
    size_t size = 0;
    char *row, *to;
    nn_status status;
    int i, same = own != NULL;

    for (i = 0; i < count; i++) {
        const char *const name = nn__better_name(own, names, i);
        const size_t length = strlen(name);
        if (length > SIZE_MAX / 32 || size > SIZE_MAX / 2) return NN_ERROR_OVERFLOW;
        size += 2 * length + 3;
        same = same && !strcmp(name, own->names[i]);
    }
    if (same) return NN_OK;
    row = (char *)NN_MALLOC(size);
    if (!row) return NN_ERROR_MEMORY;
    for (i = 0, to = row; i < count; i++) {
        if (i) *to++ = ',';
        to = nn__write_cell(to, nn__better_name(own, names, i));
    }
    *to = 0; /* There is a name. NOLINT(clang-analyzer-unix.Malloc) */
    status = nn__make_pair(made, model, key, row);
    NN_FREE(row);
    return status;
}

/* Stores the names of the data, which agree with the model's, and its recipe in the model. What the
   model has already stays where it is. */
static nn_status nn__keep_names(nn_model *model, const nn_data *data)
{
    const char *recipe = nn_metadata(model, "recipe");
    nn__pair *made[3] = {NULL, NULL, NULL};
    nn_status status = NN_OK;
    int i;

    if (data->input_names)
        status = nn__pair_of_names(&made[0], model, "input_names", data->input_names, data->inputs);
    if (status == NN_OK && data->class_names && data->classes > 0)
        status =
            nn__pair_of_names(&made[1], model, "class_names", data->class_names, data->classes);
    if (status == NN_OK && data->recipe && !(recipe && !strcmp(recipe, data->recipe)))
        status = nn__make_pair(&made[2], model, "recipe", data->recipe);
    for (i = 0; i < 3; i++) {
        if (!made[i]) continue;
        if (status == NN_OK)
            nn__put_pair(&model->metadata, made[i]->key, made[i]);
        else
            NN_FREE(made[i]);
    }
    return status;
}
#endif

/* Returns whether the sum of the row weights is so that no weighted mean overflows, or loses digits
   in denormal numbers. */
static int nn__sum_fits(nn_real sum)
{
#ifdef NN_NO_MALLOC
    return sum > 0 && nn__is_finite(sum);
#else
    return sum >= NN__NEGLIGIBLE && sum <= 1 / NN__NEGLIGIBLE;
#endif
}

/* Checks the weights and the targets of all rows. */
static nn_status nn__check_rows(const nn_data *data, nn_loss loss)
{
    nn_real sum = 0;
    nn_status status;
    int b;

    if (!data->weight && !data->classes && !nn__is_cross_entropy(loss)) return NN_OK;
#ifndef NN_NO_MALLOC
    if (!nn__labels_fit(data)) return NN_ERROR_LABEL;
#endif
    for (b = 0; b < data->rows; b++) {
        const nn_real weight = nn__row_weight(data, (size_t)b);
        if (!(weight >= 0)) return NN_ERROR_WEIGHT;
        sum += weight;
#ifndef NN_NO_MALLOC
        if (data->labels) continue;
#endif
        status = nn__check_target(data, data->y + (size_t)b * (size_t)data->outputs, loss);
        if (status != NN_OK) return status;
    }
    return nn__sum_fits(sum) ? NN_OK : NN_ERROR_WEIGHT;
}

/* Returns how many numbers there are in y. */
static size_t nn__numbers(const nn_data *data)
{
#ifndef NN_NO_MALLOC
    if (!data->y) return 0;
#endif
    return (size_t)data->rows * (size_t)data->outputs;
}

/* Returns 1 when no number of x[count] is NaN or infinite. Many are divided among threads. */
static int nn__finite(const nn_model *model, const nn_real *x, size_t count)
{
#ifdef NN__THREADS
    const int pieces = nn__pieces((double)count, NN__ELEMENT_GRAIN);
    int i, bad = 0;

    if (pieces > 1) {
#pragma omp parallel for schedule(static) reduction(+ : bad)
        for (i = 0; i < pieces; i++) {
            const size_t share = count / (size_t)pieces + 1, from = share * (size_t)i;
            if (from >= count) continue;
            bad +=
                !NN__RUN(model, all_finite, x + from, share < count - from ? share : count - from);
        }
        return !bad;
    }
#endif
    (void)model; /* without vector kernels */
    return NN__RUN(model, all_finite, x, count);
}

NN_DEF nn_status nn_predict_data(const nn_model *model, const nn_data *data, nn_real *y,
                                 void *scratch)
{
    nn_status status = NN_OK;

    if (!model || !data) return NN_ERROR_NULL;
    if (data->inputs != model->inputs) return NN_ERROR_SHAPE;
#ifndef NN_NO_MALLOC
    status = nn__check_data_names(model, data);
#endif
    if (status != NN_OK && status != NN_ERROR_LABEL) return status; /* classes are not used here */
    return nn_predict(model, data->x, data->rows, y, scratch);
}

/* Checks everything about data with which a model is to be trained or measured. */
static nn_status nn__check_fits(const nn_data *data, const nn_model *model, nn_loss loss)
{
    nn_status status = nn__check_widths(data, model->inputs, nn__outputs(model));

#ifndef NN_NO_MALLOC
    if (status == NN_OK) status = nn__check_data_names(model, data);
#endif
    if (status != NN_OK) return status;
    if (!nn__finite(model, data->x, (size_t)data->rows * (size_t)data->inputs) ||
        !nn__finite(model, data->y, nn__numbers(data)))
        return NN_ERROR_DATA;
#ifndef NN_NO_MALLOC
    if (model->target_scaling != NN_SCALE_NONE && nn__is_classification(data, loss))
        return NN_ERROR_OPTION;
#endif
    return nn__check_rows(data, loss);
}

/* Some rows of a data set in some order: see nn__row. With validation_fraction, one seeded
   permutation of all rows first separates training from validation rows. In training a second
   permutation shuffles the training rows, with another key in each epoch. */
typedef struct nn__rows {
    const nn_data *data;
    int first, count;        /* these are rows first ... first + count - 1 of the separated data */
    int separated, shuffled; /* 1: the first permutation is used; the second one is used */
    uint64_t separation_key, order_key;
#ifdef NN__SIMD
    /* The vector kernels permute many rows in the time of one: ahead[ahead_count] are the indices
       in the data of the rows ahead_first, ahead_first + 1 ... */
    const nn_model *model;
    int ahead_first, ahead_count;
    uint32_t ahead[NN__PERMUTED];
#endif
} nn__rows;

static nn__rows nn__all_rows(const nn_data *data, const nn_model *model)
{
    nn__rows rows;

    memset(&rows, 0, sizeof rows);
    rows.data = data;
    rows.count = data->rows;
#ifdef NN__SIMD
    rows.model = model;
#else
    (void)model;
#endif
    return rows;
}

static void nn__shuffle(nn__rows *rows, uint64_t key)
{
    rows->shuffled = 1;
    rows->order_key = key;
#ifdef NN__SIMD
    rows->ahead_count = 0;
#endif
}

#ifdef NN__SIMD
/* Fills `ahead` from row i on. */
static void nn__look_ahead(nn__rows *rows, int i)
{
    const int left = rows->count - i, count = left < NN__PERMUTED ? left : NN__PERMUTED;
    int k;

    for (k = 0; k < NN__PERMUTED; k++) rows->ahead[k] = (uint32_t)i + (uint32_t)k;
    if (rows->shuffled)
        NN__RUN(rows->model, permute_elements, rows->ahead, count, (uint32_t)rows->count,
                rows->order_key);
    for (k = 0; k < NN__PERMUTED; k++) rows->ahead[k] += (uint32_t)rows->first;
    if (rows->separated)
        NN__RUN(rows->model, permute_elements, rows->ahead, count, (uint32_t)rows->data->rows,
                rows->separation_key);
    rows->ahead_first = i;
    rows->ahead_count = count;
}
#endif

/* Returns the index in the data of row i, 0 <= i < rows->count. */
NN__HOT size_t nn__row(nn__rows *rows, int i)
{
#ifdef NN__SIMD
    if (i < rows->ahead_first || i - rows->ahead_first >= rows->ahead_count)
        nn__look_ahead(rows, i);
    return rows->ahead[i - rows->ahead_first];
#else
    uint32_t row = (uint32_t)i;

    if (rows->shuffled) row = nn__permute(row, (uint32_t)rows->count, rows->order_key);
    row += (uint32_t)rows->first;
    return rows->separated ? nn__permute(row, (uint32_t)rows->data->rows, rows->separation_key)
                           : row;
#endif
}

/* ---- Scaling --------------------------------------------------------------------------------- */

/* Statistics of one column of the inputs. NN__COLUMNS columns are computed at a time, because a
   cache line of a row holds several of them. */
enum { NN__COLUMNS = 8 };
typedef struct nn__column {
    nn_real low, high; /* minimum and maximum */
#ifndef NN_NO_MALLOC
    nn_real unit; /* the numbers are multiplied by this power of two before they are added */
#endif
    nn__sum sum, squares; /* of x; of (x - offset)^2 */
} nn__column;

/* Returns a number times the column's unit. */
static nn_real nn__in_units(const nn__column *column, nn_real x)
{
#ifdef NN_NO_MALLOC
    (void)column;
    return x;
#else
    return nn__rounded_product(x, column->unit);
#endif
}

/* What a scaling is computed from, x[rows x width], and where it is stored: offset[width] and,
   behind it, factor[width]. */
typedef struct nn__unscaled {
    const nn_real *x;
    nn_real *offset;
    int width;
} nn__unscaled;

/* Computes the scaling (x - offset) * factor of the columns first ... first + count - 1 from some
   rows, in two passes:

       standard  offset = mean(x)     factor = 1 / sqrt(mean((x - offset)^2))
       min-max   offset = min(x)      factor = 1 / (max(x) - min(x))

   A constant column gets factor 1, and so does one whose factor would overflow. The sums of the
   columns must be 0. */
static void nn__fit_columns(const nn__unscaled *numbers, nn__rows *rows, nn_scaling scaling,
                            int first, int count, nn__column *cols)
{
    nn_real *offset = numbers->offset + first, *factor = offset + numbers->width, spread;
    const nn_real *x = numbers->x + first, *row;
    const nn_real n = (nn_real)rows->count;
    nn__column *column;
    int i, b;

    for (b = 0; b < rows->count; b++) {
        row = x + nn__row(rows, b) * (size_t)numbers->width;
        for (i = 0, column = cols; i < count; i++, column++) {
            if (b == 0 || row[i] < column->low) column->low = row[i];
            if (b == 0 || row[i] > column->high) column->high = row[i];
            nn__add(&column->sum, nn__in_units(column, row[i]));
        }
    }
    for (i = 0, column = cols; i < count; i++, column++)
        offset[i] = scaling == NN_SCALE_MIN_MAX || column->low == column->high
                        ? column->low
                        : nn__total(&column->sum) / n / nn__in_units(column, 1);
    for (b = 0; b < rows->count; b++) {
        row = x + nn__row(rows, b) * (size_t)numbers->width;
        for (i = 0, column = cols; i < count; i++, column++) {
            const nn_real d = nn__in_units(column, row[i] - offset[i]);
            nn__add(&column->squares, nn__rounded_product(d, d));
        }
    }
    for (i = 0, column = cols; i < count; i++, column++) {
        spread = scaling == NN_SCALE_MIN_MAX ? nn__in_units(column, column->high - column->low)
                                             : NN_SQRT(nn__total(&column->squares) / n);
        factor[i] = nn__in_units(column, 1) / spread;
        if (column->low == column->high || !nn__is_finite(factor[i])) factor[i] = 1;
    }
}

#ifdef NN_NO_MALLOC
/* Returns whether no sum over a column of x[rows x width] can overflow: neither the sum of x nor
   the sum of (x - offset)^2, which is at most rows * (2 |x|)^2. */
static int nn__can_be_scaled(const nn_real *x, int rows, int width)
{
    const size_t count = (size_t)rows * (size_t)width;
    nn_real largest = 0;
    size_t i;

    for (i = 0; i < count; i++)
        if (nn__absolute(x[i]) > largest) largest = nn__absolute(x[i]);
    return nn__is_finite(4 * largest * largest * (nn_real)rows);
}
#else
/* Returns whether all differences of numbers of x[rows x width] are finite. They are then so small
   that the inverse of a factor is finite, too. */
static int nn__can_be_scaled(const nn_real *x, int rows, int width)
{
    const size_t count = (size_t)rows * (size_t)width;
    size_t i;

    for (i = 0; i < count; i++)
        if (!nn__is_finite(4 * x[i])) return 0;
    return 1;
}

/* Begins cols[count] again, where the squares of one have overflowed or become denormal: in new
   units its largest number is about 1. Returns whether there is such a column. */
static int nn__choose_units(nn__column *cols, int count, int rows)
{
    int i, chosen = 0;

    for (i = 0; i < count; i++) {
        nn__column *column = &cols[i];
        const nn_real square = nn__total(&column->squares) / (nn_real)rows;
        const nn_real low = nn__absolute(column->low), high = nn__absolute(column->high);
        const nn__bits field = nn__to_bits(low > high ? low : high) >> NN__MANTISSA;
        const int good = square >= NN__NEGLIGIBLE && nn__is_finite(square);

        memset(&column->sum, 0, sizeof column->sum);
        memset(&column->squares, 0, sizeof column->squares);
        if (good || column->low == column->high) continue;
        column->unit = nn__power_of_two(2 * NN__BIAS - field); /* four times as much is finite */
        chosen = 1;
    }
    return chosen;
}
#endif

static void nn__fit_all_columns(const nn__unscaled *numbers, nn__rows *rows, nn_scaling scaling)
{
    nn__column cols[NN__COLUMNS];
    int first, left, count;

    for (first = 0; first < numbers->width; first += NN__COLUMNS) {
        left = numbers->width - first;
        count = left < NN__COLUMNS ? left : NN__COLUMNS;
        memset(cols, 0, sizeof cols);
#ifndef NN_NO_MALLOC
        for (left = 0; left < count; left++) cols[left].unit = 1;
#endif
        nn__fit_columns(numbers, rows, scaling, first, count, cols);
#ifndef NN_NO_MALLOC
        if (nn__choose_units(cols, count, rows->count))
            nn__fit_columns(numbers, rows, scaling, first, count, cols);
#endif
    }
}

static void nn__fit_scaling(nn_model *model, nn__rows *rows, nn_scaling scaling)
{
    nn__unscaled numbers;

    numbers.x = rows->data->x;
    numbers.offset = model->offset;
    numbers.width = model->inputs;
    nn__fit_all_columns(&numbers, rows, scaling);
    model->scaling = scaling;
    model->changes++;
}

#ifndef NN_NO_MALLOC
static void nn__fit_target_scaling(nn_model *model, nn__rows *rows, nn_scaling scaling)
{
    nn__unscaled numbers;

    numbers.x = rows->data->y;
    numbers.offset = model->target_offset;
    numbers.width = nn__outputs(model);
    nn__fit_all_columns(&numbers, rows, scaling);
    model->target_scaling = scaling;
    model->changes++;
}

NN_DEF nn_status nn_fit_target_scaling(nn_model *model, const nn_data *data, nn_scaling scaling)
{
    nn__rows rows;
    nn_status status;

    if (!model) return NN_ERROR_NULL;
    if ((unsigned)scaling > NN_SCALE_MIN_MAX) return NN_ERROR_OPTION;
    if (scaling == NN_SCALE_NONE) {
        nn__clear_target_scaling(model);
        return NN_OK;
    }
    status = nn__check_arrays(data);
    if (status != NN_OK) return status;
    if (data->classes > 0) return NN_ERROR_OPTION;
    if (!data->y) return NN_ERROR_NULL;
    if (data->outputs != nn__outputs(model)) return NN_ERROR_SHAPE;
    if (!NN__RUN(model, all_finite, data->y, (size_t)data->rows * (size_t)data->outputs) ||
        !nn__can_be_scaled(data->y, data->rows, data->outputs))
        return NN_ERROR_DATA;
    rows = nn__all_rows(data, model);
    nn__fit_target_scaling(model, &rows, scaling);
    return NN_OK;
}
#endif

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
#ifndef NN_NO_MALLOC
    status = nn__check_data_names(model, data);
    if (status != NN_OK) return status;
#endif
    if (!NN__RUN(model, all_finite, data->x, (size_t)data->rows * (size_t)data->inputs) ||
        !nn__can_be_scaled(data->x, data->rows, data->inputs))
        return NN_ERROR_DATA;
    rows = nn__all_rows(data, model);
    nn__fit_scaling(model, &rows, scaling);
    return NN_OK;
}

#ifndef NN_NO_MALLOC

/* ---- Data sets on the heap ------------------------------------------------------------------- */

/* What a data set holds beside x. Characters are those of all names or of the recipe, with the 0
   after each name and after the recipe; 0 means that there are none. */
typedef struct nn__data_contents {
    int y, labels, weights; /* 1: it has this array */
    size_t input_characters, class_characters, recipe_characters;
} nn__data_contents;

/* Returns the characters of names[count], or 0 where names is NULL. Many names may be one text, so
   that their sum does not fit a size_t; then it is SIZE_MAX. */
static size_t nn__name_characters(const char *const *names, int count)
{
    size_t characters = 0;
    int i;

    for (i = 0; names && i < count; i++) {
        const size_t length = strlen(names[i]) + 1;
        characters = length < SIZE_MAX - characters ? characters + length : SIZE_MAX;
    }
    return characters;
}

static nn__data_contents nn__contents_of(const nn_data *data)
{
    nn__data_contents contents;

    contents.y = data->y != NULL;
    contents.labels = data->labels != NULL;
    contents.weights = data->weight != NULL;
    contents.input_characters = nn__name_characters(data->input_names, data->inputs);
    contents.class_characters = nn__name_characters(data->class_names, data->classes);
    contents.recipe_characters = data->recipe ? strlen(data->recipe) + 1 : 0;
    return contents;
}

/* Takes a list of names: first all pointers, then the characters. NULL where there are none. The
   caller has as many pointers, or cells, in memory: their size fits a size_t. */
static const char *const *nn__take_names(nn__block *block, int count, size_t characters)
{
    const size_t pointers = (size_t)count * sizeof(char *);

    if (!characters) return NULL;
    if (characters > SIZE_MAX - pointers) {
        block->overflow = 1;
        return NULL;
    }
    return (const char *const *)nn__take(block, 1, pointers + characters);
}

/* Sets the pointers of data to its arrays in one block, or only measures the block. */
static void nn__lay_out_data(nn__block *block, nn_data *data, const nn__data_contents *contents)
{
    const size_t rows = (size_t)data->rows;

    data->x = nn__take_reals(block, rows, (size_t)data->inputs);
    data->y = contents->y ? nn__take_reals(block, rows, (size_t)data->outputs) : NULL;
    data->weight = contents->weights ? nn__take_reals(block, 1, rows) : NULL;
    data->input_names = nn__take_names(block, data->inputs, contents->input_characters);
    data->class_names = nn__take_names(block, data->classes, contents->class_characters);
    data->labels =
        contents->labels ? (const int *)nn__take(block, rows, sizeof *data->labels) : NULL;
    data->recipe = contents->recipe_characters
                       ? (const char *)nn__take(block, 1, contents->recipe_characters)
                       : NULL;
}

/* Allocates the arrays of data: x and the contents. Its rows, inputs, outputs and classes must be
   set. The caller then fills the arrays through nn__writable and its like. On failure *data is
   zeroed. */
static nn_status nn__allocate_data(nn_data *data, const nn__data_contents *contents)
{
    nn__block block = {NULL, 0, 0};
    nn_status status = NN_OK;

    nn__lay_out_data(&block, data, contents);
    if (block.overflow) status = NN_ERROR_OVERFLOW;
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
    nn__lay_out_data(&block, data, contents);
    return NN_OK;
}

NN_DEF void nn_data_free(nn_data *data)
{
    if (!data) return;
    if (data->memory) NN_FREE(data->memory);
    memset(data, 0, sizeof *data);
}

/* These return an array of a data set without its const. Only the functions that make a data set
   write to its arrays. */
static nn_real *nn__writable(const nn_real *array)
{
    return (nn_real *)(uintptr_t)array;
}

static int *nn__writable_labels(const int *labels)
{
    return (int *)(uintptr_t)labels;
}

static char *nn__writable_text(const char *text)
{
    return (char *)(uintptr_t)text;
}

/* Returns where the characters of a data set's names[count] begin: behind all pointers. */
static char *nn__name_text(const char *const *names, int count)
{
    return (char *)(uintptr_t)(names + count);
}

/* Sets name i of a data set to a text, which must be among its characters. */
static void nn__set_name(const char *const *names, int i, const char *text)
{
    ((const char **)(uintptr_t)names)[i] = text;
}

/* Copies names[count] to the list `to`, which nn__allocate_data made for as many characters. */
static void nn__copy_names(const char *const *to, const char *const *names, int count)
{
    char *text = nn__name_text(to, count);
    int i;

    for (i = 0; i < count; i++) {
        const size_t length = strlen(names[i]) + 1;
        memcpy(text, names[i], length);
        nn__set_name(to, i, text);
        text += length;
    }
}

/* Copies the names and the recipe of a data set to one that was allocated with its contents. */
static void nn__copy_texts(nn_data *to, const nn_data *from)
{
    if (to->input_names) nn__copy_names(to->input_names, from->input_names, from->inputs);
    if (to->class_names) nn__copy_names(to->class_names, from->class_names, from->classes);
    if (to->recipe) memcpy(nn__writable_text(to->recipe), from->recipe, strlen(from->recipe) + 1);
}

/* ---- Stratified splits and folds ------------------------------------------------------------- */

/* How rows are divided into a training set and a test set. The split is stratified: the rows are
   shuffled and then ordered class by class, so that every k-th row has each class in proportion.
   For a split, `train` of every `of` rows go to the training set, spread evenly. For folds, the
   rows whose number modulo `of` is `fold` go to the test set. In the end each set is shuffled, so
   that its classes are mixed. */
typedef struct nn__division {
    uint64_t of, train; /* train is 0 for folds */
    uint64_t fold;
} nn__division;

/* Returns how many of the first i ordered rows go to the training set. */
static uint64_t nn__training_rows(const nn__division *division, uint64_t i)
{
    const uint64_t of = division->of;

    if (division->train) return i * division->train / of;
    return i - (i + of - 1 - division->fold) / of;
}

/* Copies row number `row` of a data set to row number `at` of another one. */
static void nn__copy_row(nn_data *to, size_t at, const nn_data *from, size_t row)
{
    const size_t in = (size_t)from->inputs, out = (size_t)from->outputs;

    nn__copy(nn__writable(to->x) + at * in, from->x + row * in, in);
    if (to->y) nn__copy(nn__writable(to->y) + at * out, from->y + row * out, out);
    if (to->labels) nn__writable_labels(to->labels)[at] = from->labels[row];
    if (to->weight) nn__writable(to->weight)[at] = from->weight[row];
}

/* Allocates both data sets of a division, without their rows. On failure both are zeroed. */
static nn_status nn__allocate_parts(const nn_data *data, const nn__division *division,
                                    nn_data *train, nn_data *test)
{
    const nn__data_contents contents = nn__contents_of(data);
    const int count = (int)nn__training_rows(division, (uint64_t)data->rows);
    nn_status status;

    *train = *test = *data;
    train->memory = test->memory = NULL;
    train->dropped = train->imputed = train->unknown = 0;
    test->dropped = test->imputed = test->unknown = 0;
    train->rows = count;
    test->rows = data->rows - count;
    NN_ASSERT(train->rows && test->rows);
    status = nn__allocate_data(train, &contents);
    if (status == NN_OK) {
        status = nn__allocate_data(test, &contents);
        if (status != NN_OK) nn_data_free(train);
    }
    if (status != NN_OK) {
        memset(train, 0, sizeof *train);
        memset(test, 0, sizeof *test);
        return status;
    }
    nn__copy_texts(train, data);
    nn__copy_texts(test, data);
    return NN_OK;
}

/* Fills first[classes] with how many rows are of a lower class: the place of the first row of each
   class when the rows are ordered class by class. */
static void nn__count_classes(const nn_data *data, size_t *first, int classes)
{
    size_t sum = 0, count;
    int c, i;

    memset(first, 0, (size_t)classes * sizeof *first);
    for (i = 0; classes > 1 && i < data->rows; i++) first[nn__label_of(data, (size_t)i)]++;
    for (c = 0; c < classes; c++, sum += count) {
        count = first[c];
        first[c] = sum;
    }
}

/* Makes the two data sets of a division. On failure both are zeroed. */
static nn_status nn__divide_rows(const nn_data *data, const nn__division *division, uint64_t seed,
                                 nn_data *train, nn_data *test)
{
    const int classes = data->classes > 0 && nn__has_targets(data) ? data->classes : 1;
    nn_status status;
    size_t *next; /* [classes] the place of the next row of the class among the ordered rows */
    int i;

    next = (size_t *)NN_MALLOC((size_t)classes * sizeof *next);
    if (!next) return NN_ERROR_MEMORY;
    status = nn__allocate_parts(data, division, train, test);
    if (status == NN_OK) nn__count_classes(data, next, classes);
    for (i = 0; status == NN_OK && i < data->rows; i++) {
        const size_t row = (size_t)nn__permute((uint32_t)i, (uint32_t)data->rows, seed);
        const uint64_t place = next[classes > 1 ? nn__label_of(data, row) : 0]++;
        const uint64_t before = nn__training_rows(division, place);
        const int trains = nn__training_rows(division, place + 1) > before;
        nn_data *part = trains ? train : test;
        const uint32_t at = (uint32_t)(trains ? before : place - before);

        nn__copy_row(part, (size_t)nn__permute(at, (uint32_t)part->rows, ~seed), data, row);
    }
    NN_FREE(next);
    return status;
}

/* Zeroes *train and *test and checks the arguments of a division. */
static nn_status nn__check_division(const nn_data *data, nn_data *train, nn_data *test)
{
    nn_status status;

    if (train && train != data) memset(train, 0, sizeof *train);
    if (test && test != data) memset(test, 0, sizeof *test);
    if (!train || !test || !data) return NN_ERROR_NULL;
    if (train == test || train == data || test == data) return NN_ERROR_OPTION;
    status = nn__check_arrays(data);
    return status == NN_OK && !nn__labels_fit(data) ? NN_ERROR_LABEL : status;
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
   ------------------------------------------------------------------------------------------------
   Training at three levels. The step level computes the forward pass, the backward pass and one
   update. The batch level adds the loss and divides a batch into micro-batches. The loop level is
   nn_fit: epochs, validation, early stopping and callbacks.
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

/* What the options that are numbers may be, and what each needs in order to have an effect: one of
   these optimizers, losses or schedules. An option without effect is refused, not ignored. */
#define NN__BIT(n)             ((uint32_t)1 << (n))
#define NN__FIRST_LOSS         ((int)NN_OPTIMIZER_COUNT)
#define NN__FIRST_SCHEDULE     (NN__FIRST_LOSS + (int)NN_LOSS_COUNT)
#define NN__SCHEDULES          ((int)NN_SCHEDULE_PLATEAU + 1)
#define NN__WITH_OPTIMIZER(ID) NN__BIT(NN_##ID)
#define NN__WITH_LOSS(ID)      NN__BIT(NN__FIRST_LOSS + (int)NN_##ID)
#define NN__WITH_SCHEDULE(ID)  NN__BIT(NN__FIRST_SCHEDULE + (int)NN_SCHEDULE_##ID)
#define NN__ALWAYS             (NN__INTEGER - 1)
#define NN__INTEGER            NN__BIT(NN__FIRST_SCHEDULE + NN__SCHEDULES) /* an int, not nn_real */
#define NN__SHARE              (2 * NN__INTEGER) /* less than 1; otherwise finite */
#define NN__ZEROABLE           (4 * NN__INTEGER) /* may be NN_ZERO, but no other number below 0 */

/* clang-format off */
#define NN__RULES(X)                                                                               \
    X(epochs, NN__INTEGER | NN__ALWAYS)                                                            \
    X(batch_size, NN__INTEGER | NN__ALWAYS)                                                        \
    X(micro_batch_size, NN__INTEGER | NN__ALWAYS)                                                  \
    X(learning_rate, NN__ALWAYS)                                                                   \
    X(momentum, NN__SHARE | NN__WITH_OPTIMIZER(SGD) | NN__WITH_OPTIMIZER(RMSPROP))                 \
    X(nesterov, NN__INTEGER | NN__WITH_OPTIMIZER(SGD))                                             \
    X(beta1, NN__SHARE | NN__ZEROABLE | NN__WITH_OPTIMIZER(ADAM))                                  \
    X(beta2, NN__SHARE | NN__ZEROABLE | NN__WITH_OPTIMIZER(ADAM))                                  \
    X(alpha, NN__SHARE | NN__ZEROABLE | NN__WITH_OPTIMIZER(RMSPROP))                               \
    X(epsilon, NN__WITH_OPTIMIZER(ADAM) | NN__WITH_OPTIMIZER(RMSPROP))                             \
    X(weight_decay, NN__ALWAYS)                                                                    \
    X(clip_norm, NN__ALWAYS)                                                                       \
    X(schedule_steps, NN__INTEGER | NN__WITH_SCHEDULE(STEP) | NN__WITH_SCHEDULE(COSINE))           \
    X(plateau_patience, NN__INTEGER | NN__WITH_SCHEDULE(PLATEAU))                                  \
    X(step_factor,                                                                                 \
      NN__SHARE | NN__ZEROABLE | NN__WITH_SCHEDULE(STEP) | NN__WITH_SCHEDULE(PLATEAU))             \
    X(minimum_learning_rate, NN__WITH_SCHEDULE(COSINE) | NN__WITH_SCHEDULE(PLATEAU))               \
    X(warmup_steps, NN__INTEGER | NN__ALWAYS)                                                      \
    X(label_smoothing,                                                                             \
      NN__SHARE | NN__WITH_LOSS(BINARY_CROSS_ENTROPY) | NN__WITH_LOSS(CROSS_ENTROPY))              \
    X(huber_delta, NN__WITH_LOSS(HUBER))                                                           \
    X(quantile, NN__SHARE | NN__WITH_LOSS(QUANTILE))                                               \
    X(validation_fraction, NN__SHARE | NN__ALWAYS)                                                 \
    X(patience, NN__INTEGER | NN__ALWAYS)                                                          \
    X(min_delta, NN__ALWAYS)
/* clang-format on */

/* Where each of these options is in nn_options, and its rule. */
#define NN__PLACE(name, rule) offsetof(nn_options, name),
#define NN__RULE(name, rule)  rule,
static const unsigned char nn__places[] = {NN__RULES(NN__PLACE)};
static const uint32_t nn__rules[] = {NN__RULES(NN__RULE)};

/* All options, in the order of nn_options, and what a checkpoint keeps of them: X(type, name, part,
   form, value). H is X where there is a heap. `part` says what the option takes part in: STEP in
   every update, LOOP only in nn_trainer_fit, FREE in no result. `form` is that of the value: a
   REAL, a COUNT or one of the names of an enum; of data that is not kept, a HASH. The value is the
   one in use: a default where the option is 0. It may use nn_options *o and nn_model *model, and is
   computed in >>safetensors. */
/* clang-format off */
#define NN__OPTION_LIST(X, H)                                                                      \
    X(int, epochs, LOOP, COUNT, nn__epochs(o))                                                     \
    X(nn_loss, loss, STEP, LOSS, o->loss)                                                          \
    X(nn_optimizer, optimizer, STEP, OPTIMIZER, o->optimizer)                                      \
    X(int, batch_size, LOOP, COUNT, nn__batch_rows(o))                                             \
    X(int, micro_batch_size, STEP, COUNT, nn__micro_batch_rows(o))                                 \
    X(nn_real, learning_rate, STEP, REAL,                                                          \
      nn__or(o->learning_rate, nn__default_learning_rate(o)))                                      \
    X(nn_real, momentum, STEP, REAL, nn__or(o->momentum, 0))                                       \
    X(int, nesterov, STEP, COUNT, o->nesterov != 0)                                                \
    X(nn_real, beta1, STEP, REAL, nn__or(o->beta1, NN__BETA1))                                     \
    X(nn_real, beta2, STEP, REAL, nn__or(o->beta2, NN__BETA2))                                     \
    X(nn_real, alpha, STEP, REAL, nn__or(o->alpha, NN__ALPHA))                                     \
    X(nn_real, epsilon, STEP, REAL, nn__or(o->epsilon, NN__EPSILON))                               \
    X(nn_real, weight_decay, STEP, REAL, nn__or(o->weight_decay, 0))                               \
    X(nn_real, clip_norm, STEP, REAL, nn__or(o->clip_norm, 0))                                     \
    X(nn_schedule, schedule, STEP, SCHEDULE, o->schedule)                                          \
    X(int, schedule_steps, STEP, COUNT, o->schedule_steps)                                         \
    X(int, plateau_patience, LOOP, COUNT, nn__plateau_patience(o))                                 \
    X(nn_real, step_factor, STEP, REAL, nn__or(o->step_factor, NN__STEP_FACTOR))                   \
    X(nn_real, minimum_learning_rate, STEP, REAL, nn__or(o->minimum_learning_rate, 0))             \
    X(int, warmup_steps, STEP, COUNT, o->warmup_steps)                                             \
    X(nn_real, label_smoothing, STEP, REAL, nn__or(o->label_smoothing, 0))                         \
    X(nn_real, huber_delta, STEP, REAL, nn__or(o->huber_delta, NN__HUBER_DELTA))                   \
    X(nn_real, quantile, STEP, REAL, nn__or(o->quantile, NN__MEDIAN))                              \
    X(const nn_real *, dropout, STEP, HASH, nn__dropout_hash(model, o))                            \
    X(nn_scaling, scaling, LOOP, SCALING, o->scaling)                                              \
    H(nn_scaling, target_scaling, LOOP, SCALING, o->target_scaling)                                \
    X(const nn_data *, validation, LOOP, COUNT, o->validation ? o->validation->rows : 0)           \
    X(nn_real, validation_fraction, LOOP, REAL, nn__or(o->validation_fraction, 0))                 \
    X(int, patience, LOOP, COUNT, o->patience)                                                     \
    X(nn_real, min_delta, LOOP, REAL, nn__or(o->min_delta, 0))                                     \
    H(int, balance_classes, LOOP, COUNT, o->balance_classes != 0)                                  \
    H(const nn_real *, class_weights, LOOP, HASH, nn__class_weights_hash(model, o))                \
    H(nn_history *, history, FREE, COUNT, 0)                                                       \
    X(uint64_t, seed, STEP, COUNT, o->seed)                                                        \
    X(nn_callback, callback, FREE, COUNT, 0)                                                       \
    X(int, callback_batches, FREE, COUNT, 0)                                                       \
    X(void *, user, FREE, COUNT, 0)

#ifdef NN_NO_MALLOC
#define NN__NO_OPTION(type, name, part, form, value)
#define NN__OPTIONS_HERE(X) NN__OPTION_LIST(X, NN__NO_OPTION)
#else
#define NN__OPTIONS_HERE(X) NN__OPTION_LIST(X, X)
#endif
#define NN__OPTION_FIELD(type, name, part, form, value)  type name;
#define NN__OPTION_NUMBER(type, name, part, form, value) NN__OPTION_##name,
#define NN__SAME_PLACE(type, name, part, form, value)                                              \
    && offsetof(struct nn__listed_options, name) == offsetof(nn_options, name)
struct nn__listed_options {
    NN__OPTIONS_HERE(NN__OPTION_FIELD)
};
/* Does not compile when the list has not all options in the order of nn_options. */
typedef char nn__check_of_options
    [sizeof(struct nn__listed_options) == sizeof(nn_options) NN__OPTIONS_HERE(NN__SAME_PLACE) ? 1
                                                                                              : -1];
/* clang-format on */
enum { NN__OPTION_LIST(NN__OPTION_NUMBER, NN__OPTION_NUMBER) NN__OPTION_COUNT };
enum { NN__PART_FREE, NN__PART_LOOP, NN__PART_STEP };

/* Whether the lowest loss of an epoch is needed. */
static int nn__keeps_best_loss(const nn_options *o)
{
    return o->patience > 0 || o->schedule == NN_SCHEDULE_PLATEAU;
}

/* Returns whether all options are in their ranges and have an effect. The loss must be valid. */
static int nn__options_fit(const nn_options *o)
{
    uint32_t have;
    nn_real x;
    int i, n, set, good;

    if (!nn__has_optimizer(o->optimizer) || (unsigned)o->schedule >= NN__SCHEDULES ||
        (unsigned)o->scaling > NN_SCALE_MIN_MAX)
        return 0;
    have = NN__BIT(o->optimizer) | NN__BIT(NN__FIRST_LOSS + (int)o->loss) |
           NN__BIT(NN__FIRST_SCHEDULE + (int)o->schedule);
    for (i = 0; i < NN__COUNT(nn__rules); i++) {
        const char *at = (const char *)o + nn__places[i];
        const uint32_t rule = nn__rules[i];

        if (rule & NN__INTEGER) {
            memcpy(&n, at, sizeof n);
            set = n != 0;
            good = n >= 0;
        } else {
            memcpy(&x, at, sizeof x);
            set = x != 0;
            good = (x >= 0 && x < (rule & NN__SHARE ? 1 : (nn_real)INFINITY)) ||
                   ((rule & NN__ZEROABLE) && x == NN_ZERO);
        }
        if (!good || (set && !(rule & have))) return 0;
    }
    return !(o->nesterov && o->momentum == 0) && !(o->callback_batches && !o->callback) &&
           !(o->validation && o->validation_fraction > 0) &&
           !(o->min_delta > 0 && !nn__keeps_best_loss(o));
}

#ifndef NN_NO_MALLOC
/* Returns how many class weights there are. */
static int nn__class_weight_count(const nn_model *model)
{
    const int outputs = nn__outputs(model);

    return outputs == 1 ? 2 : outputs;
}

static int nn__class_weights_fit(const nn_model *model, const nn_options *o)
{
    int c, positive = 0;

    if (!o->class_weights) return o->balance_classes >= 0;
    for (c = 0; c < nn__class_weight_count(model); c++) {
        if (!(o->class_weights[c] >= 0) || !nn__is_finite(o->class_weights[c])) return 0;
        positive |= o->class_weights[c] > 0;
    }
    return positive && !o->balance_classes;
}
#endif

static nn_status nn__check_options(const nn_model *model, const nn_options *o)
{
    int i;

    if (!nn__loss_fits(o->loss, nn__output_activation(model))) return NN_ERROR_LOSS;
    if (!nn__options_fit(o)) return NN_ERROR_OPTION;
#ifndef NN_NO_MALLOC
    if ((unsigned)o->target_scaling > NN_SCALE_MIN_MAX ||
        (o->target_scaling != NN_SCALE_NONE && nn__is_cross_entropy(o->loss)))
        return NN_ERROR_OPTION;
#endif
    for (i = 0; o->dropout && i < model->count; i++)
        if (!(o->dropout[i] >= 0 && o->dropout[i] < 1) ||
            ((i == model->count - 1 || i < nn__first_layer(model)) && o->dropout[i] != 0))
            return NN_ERROR_OPTION;
#ifndef NN_NO_MALLOC
    if (!nn__class_weights_fit(model, o)) return NN_ERROR_OPTION;
#endif
    return NN_OK;
}

/* Return the rows of a batch, for one update, and the rows of a micro-batch, which go through the
   net at a time. */
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

/* Returns the number of columns of all arrays [batch x width] that a layer has in training: see
   nn__planes. */
NN__HOT size_t nn__layer_columns(const nn_model *model, const nn_options *options, int layer)
{
    const int arrays = 1 + (nn__keeps_z(model->layers[layer].activation) ? 1 : 0) +
                       (nn__layer_dropout(options, layer) > 0 ? 2 : 0);

    return (size_t)nn__outputs_of(model, layer) * (size_t)arrays;
}

#ifdef NN__BACKWARD_BUFFER
/* The scratch memory of the backward pass, and of padded images. */
typedef struct nn__buffers {
    int gradient;      /* columns of an array [batch x ...] for the gradient of a layer's input */
    int padded;        /* columns of an array [batch x ...] for padded images */
    size_t transposed; /* numbers of the largest kernel, transposed */
} nn__buffers;

static nn__buffers nn__buffers_of(const nn_model *model)
{
    nn__buffers most = {0, 0, 0};
    int i;

    for (i = nn__first_layer(model); i < model->count; i++) {
        const nn__layer layer = nn__layer_at(model, i);
        int needed = 0;

#ifndef NN_NO_CONVOLUTION
        if (layer.kind == NN_LAYER_CONVOLUTION) {
            const nn__window window = nn__window_at(model, i);
            if (nn__is_padded(&window) && window.padded.size > most.padded)
                most.padded = window.padded.size;
#ifdef NN__SIMD
            if (layer.biases - layer.weights > most.transposed)
                most.transposed = layer.biases - layer.weights;
#endif
        }
        needed = layer.kind != NN_LAYER_DENSE;
#endif
#ifdef NN__SIMD
        needed = 1;
#endif
        if (needed && i > nn__first_layer(model) && layer.inputs > most.gradient)
            most.gradient = layer.inputs;
    }
    return most;
}
#endif

/* Sets the trainer's pointers to its arrays in a block, or only measures the block, as
   nn__lay_out_model does. */
static void nn__lay_out_trainer(nn_trainer *trainer, nn__block *block, const nn_model *model,
                                const nn_options *o)
{
    const size_t count = model->parameter_count, batch = (size_t)nn__micro_batch_rows(o);
#ifdef NN__BACKWARD_BUFFER
    const nn__buffers buffers = nn__buffers_of(model);
#endif
    size_t cols = 0;
    int layer;

    for (layer = nn__first_layer(model); layer < model->count; layer++) {
        cols += nn__layer_columns(model, o, layer); /* four times the widths, which fit, at most */
    }
    (void)nn__take(block, 1, sizeof *trainer);
    trainer->index = (size_t *)nn__take(block, batch, sizeof(size_t));
    trainer->first = trainer->second = trainer->best = NULL;
    trainer->gradients = nn__take_reals(block, 1, count);
    if (nn__needs_first(o)) trainer->first = nn__take_reals(block, 1, count);
    if (nn__needs_second(o)) trainer->second = nn__take_reals(block, 1, count);
    if (o->patience > 0) trainer->best = nn__take_reals(block, 1, count);
    trainer->input = nn__take_reals(block, batch, (size_t)model->inputs);
    trainer->planes = nn__take_reals(block, batch, cols);
    trainer->output_gradients = nn__take_reals(block, batch, (size_t)nn__outputs(model));
    trainer->losses = nn__take_reals(block, 1, batch);
#ifdef NN__BACKWARD_BUFFER
    trainer->buffer = nn__take_reals(block, batch, (size_t)buffers.gradient);
#endif
#ifndef NN_NO_CONVOLUTION
    trainer->padded = nn__take_reals(block, batch, (size_t)buffers.padded);
    trainer->transposed = nn__take_reals(block, 1, buffers.transposed);
#endif
}

static nn_status nn__check_trainer(const nn_model *model, const nn_options *options)
{
    if (!model || !options) return NN_ERROR_NULL;
    if (!model->parameters) return NN_ERROR_READ_ONLY;
    return nn__check_options(model, options);
}

/* Returns the bytes of a trainer's block, or 0 when they do not fit a size_t. */
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
    made->state.random_state = nn__random_start(options->seed);
    made->state.learning_rate = nn__or(options->learning_rate, nn__default_learning_rate(options));
    *trainer = made;
    return NN_OK;
}

#ifndef NN_NO_MALLOC
/* A trainer's copy of its options and of their arrays, dropout[layers] and class_weights[classes].
   On the heap it precedes the trainer. */
typedef struct nn__own_options {
    nn_options options;
    nn__widest arrays[1]; /* they begin here, aligned; the allocation has space for all */
} nn__own_options;

/* Gives an option its copy of an array[count] at *next, and moves *next behind it. */
static void nn__own_array(const nn_real **array, size_t count, nn_real **next)
{
    if (!*array) return;
    nn__copy(*next, *array, count);
    *array = *next;
    *next += count;
}

NN_DEF nn_status nn_trainer_create(nn_trainer **trainer, nn_model *model, const nn_options *options)
{
    const nn_options none = nn__default_options();
    size_t size, own = sizeof(nn__own_options);
    nn__own_options *copy;
    nn_real *next;
    size_t layers, classes;
    nn_status status;

    if (!trainer) return NN_ERROR_NULL;
    *trainer = NULL;
    if (!options) options = &none;
    status = nn__check_trainer(model, options);
    if (status != NN_OK) return status;
    size = nn__trainer_size(model, options);
    layers = (size_t)model->count;
    classes = (size_t)nn__class_weight_count(model);
    if (options->dropout) own += layers * sizeof(nn_real);
    if (options->class_weights) own += classes * sizeof(nn_real);
    if (!size || size > SIZE_MAX - own) return NN_ERROR_OVERFLOW;
    copy = (nn__own_options *)NN_MALLOC(own + size);
    if (!copy) return NN_ERROR_MEMORY;
    copy->options = *options;
    next = (nn_real *)(void *)copy->arrays;
    nn__own_array(&copy->options.dropout, layers, &next);
    nn__own_array(&copy->options.class_weights, classes, &next);
    status =
        nn_trainer_create_in(trainer, (unsigned char *)copy + own, size, model, &copy->options);
    NN_ASSERT(status == NN_OK); /* all was checked */
    (*trainer)->heap = copy;
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
    /* All bytes 0 is the number 0 in IEEE arithmetic. */
    memset(trainer->gradients, 0, trainer->model->parameter_count * sizeof(nn_real));
    trainer->pending = 0;
    return NN_OK;
}

/* ---- The step level -------------------------------------------------------------------------- */

/* The arrays of one layer in training. Each is [batch x width]. They follow each other in this
   order, and the arrays of the next layer follow them. z = x * w + bias, y = activation(z). */
typedef struct nn__planes {
    /* From this the activation's derivative is computed: y, or z where the activation says
       NN__KEEPS_Z. The backward pass overwrites it with dL/dz. */
    nn_real *state;
    nn_real *outputs; /* y; the same array as state where that holds y */
    nn_real *dropped; /* the next layer's input: with dropout y * mask, without it outputs */
    nn_real *mask;    /* the dropout mask: 0 or 1 / (1 - dropout); NULL without dropout */
    nn_real *end;     /* where the arrays of the next layer begin */
} nn__planes;

/* Returns the arrays of a layer that begin at `first`. */
NN__HOT nn__planes nn__planes_at(const nn_trainer *trainer, int layer, nn_real *first)
{
    const nn_activation activation = trainer->model->layers[layer].activation;
    const size_t size = (size_t)trainer->batch * (size_t)nn__outputs_of(trainer->model, layer);
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

/* Returns the arrays of the last layer. */
static nn__planes nn__last_planes(const nn_trainer *trainer)
{
    nn_real *first = trainer->planes;
    int i;

    for (i = nn__first_layer(trainer->model); i < trainer->model->count - 1; i++)
        first = nn__planes_at(trainer, i, first).end;
    return nn__planes_at(trainer, i, first);
}

/* Returns the scratch memory of the input gradient. The scalar kernel of dense layers needs
   none. */
static nn_real *nn__buffer_of(const nn_trainer *trainer)
{
#ifdef NN__BACKWARD_BUFFER
    return trainer->buffer;
#else
    (void)trainer;
    return NULL;
#endif
}

/* Returns the scratch memory for padded images. */
static nn_real *nn__padded_of(const nn_trainer *trainer)
{
#ifndef NN_NO_CONVOLUTION
    return trainer->padded;
#else
    (void)trainer;
    return NULL;
#endif
}

/* Copies rows of x to the batch, trainer->input[rows x inputs], and scales them with the model's
   scaling. Row b is row index[b] of x, or row b when index is NULL. */
static void nn__load_batch(const nn_trainer *trainer, const nn_real *x, const size_t *index,
                           int rows)
{
    const nn_model *model = trainer->model;
    const nn_real *offset = model->scaling == NN_SCALE_NONE ? NULL : model->offset;
    const nn_real *factor = model->offset + model->inputs;
#ifdef NN__THREADS
    int pieces = nn__pieces((double)rows * model->inputs, NN__ELEMENT_GRAIN), i;

    if (pieces > rows) pieces = rows;
    if (pieces > 1) {
#pragma omp parallel for schedule(static)
        for (i = 0; i < pieces; i++) {
            const int from = nn__piece(rows, 1, i, pieces);
            const size_t at = (size_t)from * (size_t)model->inputs;
            NN__RUN(model, scale_rows, index ? x : x + at, index ? index + from : NULL, offset,
                    factor, trainer->input + at, nn__piece(rows, 1, i + 1, pieces) - from,
                    model->inputs);
        }
        return;
    }
#endif
    NN__RUN(model, scale_rows, x, index, offset, factor, trainer->input, rows, model->inputs);
}

/* Inverted dropout (Srivastava et al. 2014). Each output becomes 0 with probability p = `share`.
   The others are multiplied by 1 / (1 - p), so that the expected value does not change and
   predicting needs no correction. The dropout mask holds these factors:

       mask[rows x width]    = 0 with probability p, else 1 / (1 - p)
       dropped[rows x width] = outputs[rows x width] * mask[rows x width]

   In a shard, the draws of the batch's other rows are skipped. */
static void nn__drop(nn_trainer *trainer, int layer, const nn__planes *planes, int rows)
{
    const nn_real share = trainer->options->dropout[layer], kept = 1 / (1 - share);
    const size_t width = (size_t)nn__outputs_of(trainer->model, layer);
    const size_t count = (size_t)rows * width;
    size_t i;

#ifndef NN_NO_MALLOC
    nn__skip_random(&trainer->state.random_state, (uint64_t)trainer->shard_first * width);
#endif
    for (i = 0; i < count; i++) {
        planes->mask[i] = nn__uniform(&trainer->state.random_state) >= share ? kept : 0;
        planes->dropped[i] = planes->outputs[i] * planes->mask[i];
    }
#ifndef NN_NO_MALLOC
    if (trainer->shard_of)
        nn__skip_random(&trainer->state.random_state,
                        (uint64_t)(trainer->shard_of - trainer->shard_first - rows) * width);
#endif
}

/* The forward pass of x[rows x inputs], scaled, through all layers. Where logits is 1, the last
   layer computes only its logits, in its state. Dropout is used where training is 1. Returns the
   arrays of the last layer. */
static nn__planes nn__forward(nn_trainer *trainer, const nn_real *x, int rows, int training,
                              int logits)
{
    const nn_model *model = trainer->model;
    int i = nn__first_layer(model);
    nn__planes planes = nn__planes_at(trainer, i, trainer->planes);

    for (;; i++) {
        const nn__layer layer = nn__layer_at(model, i);
        const int last = i == model->count - 1, keeps_z = planes.outputs != planes.state;
        const int linear = logits && last;

        nn__layer_forward(model, i, &layer, x, planes.state, rows,
                          linear || keeps_z ? NN_LINEAR : layer.activation, nn__padded_of(trainer));
        if (keeps_z) { /* then no logits are wanted: sigmoid and softmax keep none */
            nn__copy(planes.outputs, planes.state, (size_t)rows * (size_t)layer.outputs);
            NN__RUN(model, activate, layer.activation, planes.outputs, rows, layer.outputs);
        }
        if (training && planes.mask) nn__drop(trainer, i, &planes, rows);
        if (last) return planes;
        x = training ? planes.dropped : planes.outputs;
        planes = nn__planes_at(trainer, i + 1, planes.end);
    }
}

#ifndef NN_NO_CONVOLUTION
/* dx[rows x inputs of layer i] = dL/dx from dz[rows x outputs of layer i] and the input x of a
   layer of this kind that moves a window. w are its weights. */
static NN__APART void nn__window_input_gradient(const nn_trainer *trainer, int i,
                                                nn_layer_kind kind, const nn_real *w,
                                                const nn_real *x, const nn_real *dz, nn_real *dx,
                                                int rows)
{
    const nn_model *model = trainer->model;
    const nn__window window = nn__window_at(model, i);
    const int padded = nn__is_padded(&window);

    if (nn__is_pool(kind)) {
        NN__RUN(model, pool_gradient, &window, nn__is_average(kind), x, dz, dx, rows);
        return;
    }
    NN__RUN(model, convolution_input_gradient, &window, dz, w, trainer->transposed,
            padded ? trainer->padded : dx, rows);
    if (padded) nn__crop(&window, trainer->padded, dx, rows);
}

/* The weight gradient of a convolution, as nn__backward has it, to dw and db. */
static NN__APART void nn__window_weight_gradient(const nn_trainer *trainer, int i, const nn_real *x,
                                                 const nn_real *dz, nn_real *dw, nn_real *db,
                                                 int rows)
{
    const nn_model *model = trainer->model;
    const nn__window window = nn__window_at(model, i);

    if (nn__is_padded(&window)) {
        nn__pad(&window, x, trainer->padded, rows);
        x = trainer->padded;
    }
    NN__RUN(model, convolution_weight_gradient, &window, x, dz, dw, db, rows, trainer->pending);
}
#endif

/* The gradient of the loss with respect to the weights of layer i, from its input x and dz = dL/dz:
   added to the gradients when trainer->pending is 1. */
NN__HOT void nn__layer_weight_gradient(const nn_trainer *trainer, int i, const nn__layer *layer,
                                       const nn_real *x, const nn_real *dz, int rows)
{
#ifndef NN_NO_CONVOLUTION
    if (layer->kind == NN_LAYER_CONVOLUTION)
        nn__window_weight_gradient(trainer, i, x, dz, trainer->gradients + layer->weights,
                                   trainer->gradients + layer->biases, rows);
    if (layer->kind != NN_LAYER_DENSE) return;
#else
    (void)i;
#endif
    NN__RUN(trainer->model, dense_weight_gradient, x, dz, trainer->gradients + layer->weights,
            trainer->gradients + layer->biases, rows, layer->inputs, layer->outputs,
            trainer->pending);
}

/* The gradient with respect to the input of layer i, from dz = dL/dz, and through the activation
   and the dropout of the layer before it, whose arrays are *before: see
   nn__dense_input_gradient_scalar. */
NN__HOT void nn__layer_input_gradient(const nn_trainer *trainer, int i, const nn__layer *layer,
                                      const nn__planes *before, const nn_real *dz, int rows)
{
    const nn_model *model = trainer->model;
    const nn_activation activation = model->layers[i - 1].activation;

#ifndef NN_NO_CONVOLUTION
    if (layer->kind != NN_LAYER_DENSE) {
        const size_t count = (size_t)rows * (size_t)layer->inputs;
        nn_real *const dx = trainer->buffer;
        size_t k;

        nn__window_input_gradient(trainer, i, layer->kind, model->parameters + layer->weights,
                                  before->dropped, dz, dx, rows);
        for (k = 0; before->mask && k < count; k++) dx[k] *= before->mask[k];
        NN__RUN(model, activation_gradient, activation, before->state, dx, rows, layer->inputs);
        return;
    }
#endif
    NN__RUN(model, dense_input_gradient, dz, model->parameters + layer->weights, before->mask,
            before->state, nn__buffer_of(trainer), rows, layer->inputs, layer->outputs, activation);
}

/* The backward pass of input[rows x inputs], scaled. The state of the last layer holds its dL/dz.
   For each layer from the last to the first,

       dw = x^T * dz    db = sums of the columns of dz    dz of the layer before: see
                                                          nn__dense_input_gradient_scalar

   and the state of the layer before is overwritten with its dL/dz. dw and db are added to the
   gradients when trainer->pending is 1, and overwrite them when it is 0. */
static void nn__backward(nn_trainer *trainer, const nn_real *input, const nn__planes *last,
                         int rows)
{
    const nn_model *model = trainer->model;
    const int first = nn__first_layer(model);
    nn__planes planes = *last;
    int i;

    for (i = model->count - 1; i >= first; i--) {
        const nn__layer layer = nn__layer_at(model, i);
        const nn_real *dz = planes.state, *x = input;

        if (i > first) {
            planes =
                nn__planes_at(trainer, i - 1,
                              planes.state - nn__layer_columns(model, trainer->options, i - 1) *
                                                 (size_t)trainer->batch);
            x = planes.dropped;
        }
        nn__layer_weight_gradient(trainer, i, &layer, x, dz, rows);
        if (i > first) nn__layer_input_gradient(trainer, i, &layer, &planes, dz, rows);
    }
#ifdef NN__SIMD
    trainer->backward_rows = rows;
#endif
    trainer->pending = 1;
}

NN_DEF nn_status nn_forward(nn_trainer *trainer, const nn_real *x, int rows, const nn_real **y)
{
    const nn_model *model;

    if (y) *y = NULL;
    if (!trainer || !x || !y) return NN_ERROR_NULL;
    if (rows < 1) return NN_ERROR_SIZE;
    if (rows > trainer->batch) return NN_ERROR_BATCH;
    model = trainer->model;
    if (!NN__RUN(model, all_finite, x, (size_t)rows * (size_t)model->inputs)) return NN_ERROR_DATA;
    nn__load_batch(trainer, x, NULL, rows);
    *y = nn__forward(trainer, trainer->input, rows, 1, 0).outputs;
#ifndef NN_NO_MALLOC
    if (model->target_scaling != NN_SCALE_NONE) {
        nn__copy(trainer->output_gradients, *y, (size_t)rows * (size_t)nn__outputs(model));
        nn__unscale(model, trainer->output_gradients, rows);
        *y = trainer->output_gradients;
    }
#endif
    trainer->rows = rows;
    trainer->changes = model->changes;
    return NN_OK;
}

#ifndef NN_NO_MALLOC
/* y = p * (1 / factor) + offset, as in nn__unscale: dp[rows x outputs] = dy * (1 / factor). dp may
   be dy. */
static void nn__scale_gradients(const nn_model *model, const nn_real *dy, int rows, nn_real *dp)
{
    const size_t outputs = (size_t)nn__outputs(model), count = (size_t)rows * outputs;
    size_t i, j;

    for (j = 0; j < outputs; j++) {
        const nn_real scale = 1 / model->target_offset[outputs + j];
        for (i = j; i < count; i += outputs) dp[i] = dy[i] * scale;
    }
}
#endif

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
#ifndef NN_NO_MALLOC
    if (model->target_scaling != NN_SCALE_NONE) {
        nn__scale_gradients(model, dy, rows, trainer->output_gradients);
        dy = trainer->output_gradients;
    }
#endif
    planes = nn__last_planes(trainer);
    NN__RUN(model, activation_gradient, nn__output_activation(model), planes.state, dy, rows,
            outputs);
    nn__backward(trainer, trainer->input, &planes, rows);
    if (dx) {
        const int first = nn__first_layer(model);
        const nn__layer layer = nn__layer_at(model, first);

#ifndef NN_NO_CONVOLUTION
        if (layer.kind != NN_LAYER_DENSE)
            nn__window_input_gradient(trainer, first, layer.kind, model->parameters, trainer->input,
                                      trainer->planes, dx, rows);
        else
#endif
            NN__RUN(model, dense_input_gradient, trainer->planes, model->parameters, NULL, dx, NULL,
                    rows, layer.inputs, layer.outputs, NN_LINEAR);
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

    if (!trainer) return NN__NAN;
    o = trainer->options;
    step = trainer->state.step;
    warmup = (uint32_t)o->warmup_steps;
    /* Linear warm-up: update number step + 1 has this share of the base rate. */
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
    return trainer && trainer->options->clip_norm > 0 ? trainer->state.gradient_norm : NN__NAN;
}

/* Returns whether the length of the schedule is known. A schedule over all updates of nn_fit has no
   length outside nn_fit. */
static int nn__has_schedule(const nn_trainer *trainer)
{
    return trainer->options->schedule == NN_SCHEDULE_CONSTANT || trainer->options->schedule_steps ||
           trainer->run_steps;
}

/* Updates the parameters from ... from + count - 1. Returns 0 when one of them would become NaN or
   infinite. */
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
    default: break; /* unreached: the options were checked */
    }
    return 0; /* unreached: the same */
}

/* Updates all parameters, with several threads when there are many. */
static int nn__update_all(nn_trainer *trainer, const nn__step *step)
{
    const size_t count = trainer->model->parameter_count;
#ifdef NN__THREADS
    /* When one thread computed the products, the gradients are in its cache. The update is then
       faster in the same thread. */
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
    if (trainer->state.step < UINT32_MAX) trainer->state.step++; /* and not back to the warm-up */
    trainer->model->changes++;
    step.learning_rate = rate;
    step.negligible = o->weight_decay > 0 ? NN__NEGLIGIBLE : 0; /* without decay none gets there */
    nn__prepare_step(&step, o, &trainer->state);
    return nn__update_all(trainer, &step) ? NN_OK : NN_ERROR_DIVERGED;
}

/* ---- The batch level ------------------------------------------------------------------------- */

/* Adds the weighted loss of a row to a sum. */
NN__HOT void nn__add_loss(nn__sum *losses, const nn_data *data, size_t row, nn_real loss)
{
    nn__add(losses, data->weight ? nn__rounded_product(data->weight[row], loss) : loss);
}

/* Returns the mean of the rows' losses, weighted by the row weights. */
static nn_real nn__mean_loss(const nn__sums *sums)
{
    return nn__total(&sums->loss) / nn__total(&sums->weight);
}

/* Adds a row to the sums, all but its loss: its weight, and whether p[outputs] is correct. */
NN__HOT void nn__count_row(nn__sums *sums, const nn_data *data, size_t row, nn_loss loss,
                           const nn_real *p)
{
    nn__add(&sums->weight, nn__row_weight(data, row));
    sums->counted++;
    sums->correct += nn__is_correct(data, loss, p, nn__row_targets(data, row));
}

/* The rows next ... end - 1 of an order of a data set. When order is NULL, they are in the order of
   the data. */
typedef struct nn__range {
    const nn_data *data;
    nn__rows *order;
    int next, end;
} nn__range;

/* The rows of one micro-batch. Row b is row index[b] of the data, or row first + b where index is
   NULL. */
typedef struct nn__batch {
    const size_t *index;
    int first, rows;
    const nn_real *input; /* [rows x inputs], scaled */
    nn__planes last;      /* the arrays of the last layer */
} nn__batch;

/* Returns the index in the data of row i. */
static size_t nn__row_of(const nn__range *range, int i)
{
    return range->order ? nn__row(range->order, i) : (size_t)i;
}

/* Takes the next micro-batch of a range: its next rows, without those of weight 0. Rows in the
   order of the data that need no scaling are used where they are. */
static void nn__next_batch(nn_trainer *trainer, nn__range *range, nn__batch *batch)
{
    const nn_data *data = range->data;
    int i = range->next, count = 0;

    batch->first = i;
    if (range->order || data->weight) {
        for (; i < range->end && count < trainer->batch; i++) {
            trainer->index[count] = nn__row_of(range, i);
            count += nn__row_weight(data, trainer->index[count]) != 0;
        }
        batch->index = trainer->index;
        batch->first = 0;
    } else {
        count = range->end - i < trainer->batch ? range->end - i : trainer->batch;
        i += count;
        batch->index = NULL;
    }
    batch->rows = count;
    range->next = i;
    batch->input = data->x + (size_t)batch->first * (size_t)data->inputs;
    if (!batch->index && trainer->model->scaling == NN_SCALE_NONE) return;
    nn__load_batch(trainer, batch->input, batch->index, count);
    batch->input = trainer->input;
}

/* Adds the rest of a micro-batch to the sums, as nn__count_row does for a row. In a regression no
   row is correct or wrong. */
static void nn__count_batch(const nn__objective *objective, const nn_data *data,
                            const nn__batch *batch, nn__sums *sums)
{
    const nn_real *p = batch->last.outputs;
    int b;

    if (!data->weight && !nn__is_classification(data, objective->loss)) {
        nn__add(&sums->weight, (nn_real)batch->rows);
        sums->counted += batch->rows;
        return;
    }
    for (b = 0; b < batch->rows; b++, p += data->outputs)
        nn__count_row(sums, data, nn__data_row(objective, b), objective->loss, p);
}

/* Computes the forward pass and the losses of a micro-batch; the losses are in trainer->losses, and
   are added to the sums. Dropout is used where training is 1. */
static void nn__forward_batch(nn_trainer *trainer, nn__objective *objective, const nn_data *data,
                              nn__batch *batch, int training, nn__sums *sums)
{
    nn__sum loss = sums->loss; /* a local copy, which the compiler can keep in registers */
    int b;

    objective->index = batch->index;
    nn__set_targets(objective, data, (size_t)batch->first);
    batch->last = nn__forward(trainer, batch->input, batch->rows, training,
                              nn__is_cross_entropy(objective->loss));
    nn__loss_forward(objective, batch->last.outputs, batch->rows, trainer->losses);
    for (b = 0; b < batch->rows; b++)
        nn__add_loss(&loss, data, nn__data_row(objective, b), trainer->losses[b]);
    sums->loss = loss;
}

static void nn__set_training_objective(nn__objective *objective, const nn_trainer *trainer,
                                       const nn_data *data)
{
    nn__set_objective(objective, trainer->model, trainer->options);
    objective->weights = data->weight;
}

/* Adds the gradient of the range's mean loss, weighted by the row weights, to the gradients. It
   goes through the range by micro-batches and adds the losses to the sums; where measure is 1, it
   adds all else too. *weight is the sum of the row weights by which the losses are divided. If it
   is 0, it receives the sum of the range's weights; if that is 0, nothing is added to the
   gradients. If a later micro-batch diverges, all gradients are zeroed. */
static nn_status nn__add_gradients(nn_trainer *trainer, nn__range *range, int measure,
                                   nn__sums *sums, nn_real *weight)
{
    const nn_data *data = range->data;
    nn__objective objective;
    nn__batch batch;
    int i, begun = 0;

    nn__set_training_objective(&objective, trainer, data);
    if (*weight == 0) {
        if (!data->weight) *weight = (nn_real)(range->end - range->next);
        for (i = range->next; data->weight && i < range->end; i++)
            *weight += data->weight[nn__row_of(range, i)];
    }
    objective.total = *weight;
    trainer->rows = 0;
    for (; range->next < range->end; begun = 1) {
        nn__next_batch(trainer, range, &batch);
        nn__forward_batch(trainer, &objective, data, &batch, 1, sums);
        if (measure) nn__count_batch(&objective, data, &batch, sums);
        if (!nn__is_finite(sums->loss.high)) {
            if (begun) (void)nn_clear_gradients(trainer);
            return NN_ERROR_DIVERGED;
        }
        if (!batch.rows) continue;
        nn__loss_backward(&objective, batch.last.state, batch.last.outputs, batch.rows,
                          trainer->output_gradients);
        nn__backward(trainer, batch.input, &batch.last, batch.rows);
    }
    return NN_OK;
}

NN_DEF nn_status nn_accumulate(nn_trainer *trainer, const nn_data *batch, nn_real *loss)
{
    nn__range range;
    nn__sums sums;
    nn_real weight = 0;
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

#ifndef NN_NO_MALLOC
/* Checks a shard's rows and its place. Where all rows have weight 0, rows->rows becomes 0. */
static nn_status nn__check_shard(const nn_trainer *trainer, nn_data *rows, const nn_shard *shard)
{
    const int of = shard->batch_rows, first = shard->first;
    nn_status status;

    if (of < 1 || first < 0 || rows->rows < 0) return NN_ERROR_SIZE;
    if (of > nn__batch_rows(trainer->options) || first > of || rows->rows > of - first)
        return NN_ERROR_BATCH;
    if (shard->batch_weight != 0 ? !nn__sum_fits(shard->batch_weight) : rows->weight != NULL)
        return NN_ERROR_WEIGHT;
    if (!rows->rows) return NN_OK;
    status = nn__check_fits(rows, trainer->model, trainer->options->loss);
    if (status != NN_ERROR_WEIGHT) return status;
    /* This status is of weights. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
    while (rows->rows && rows->weight[rows->rows - 1] == 0) rows->rows--;
    return rows->rows ? status : NN_OK;
}

NN_DEF nn_status nn_shard_gradient(nn_trainer *trainer, const nn_data *rows, const nn_shard *shard,
                                   nn_real *loss)
{
    nn__state *state;
    uint64_t random_state, batch_state;
    nn_data part;
    nn__range range;
    nn__sums sums;
    nn_real weight;
    nn_status status;

    if (loss) *loss = 0;
    if (!trainer || !rows || !shard) return NN_ERROR_NULL;
    part = *rows;
    status = nn__check_shard(trainer, &part, shard);
    if (status != NN_OK) return status;
    memset(&sums, 0, sizeof sums);
    range.data = &part;
    range.order = NULL;
    weight = shard->batch_weight != 0 ? shard->batch_weight : (nn_real)shard->batch_rows;
    state = &trainer->state;
    random_state = state->random_state;
    batch_state = nn__random_start(trainer->options->seed +
                                   UINT64_C(0x9e3779b97f4a7c15) * (uint64_t)state->step);
    trainer->shard_of = shard->batch_rows;
    trainer->rows = trainer->pending = 0; /* the first rows overwrite the gradients */
    if (!part.rows) (void)nn_clear_gradients(trainer);
    for (range.end = 0; range.end < part.rows && status == NN_OK;) {
        range.next = range.end;
        range.end =
            part.rows - range.next < trainer->batch ? part.rows : range.next + trainer->batch;
        trainer->shard_first = shard->first + range.next;
        state->random_state = batch_state;
        status = nn__add_gradients(trainer, &range, 0, &sums, &weight);
    }
    trainer->shard_first = trainer->shard_of = 0;
    state->random_state = random_state;
    trainer->pending = 1;
    if (status != NN_OK)
        (void)nn_clear_gradients(trainer);
    else if (loss)
        *loss = nn__total(&sums.loss) / weight;
    return status;
}
#endif

NN_DEF nn_status nn_train_batch(nn_trainer *trainer, const nn_real *x, const nn_real *y, int rows,
                                nn_real *loss)
{
    nn_data batch;
    nn_status status;

    if (loss) *loss = 0;
    if (!trainer || !x || !y) return NN_ERROR_NULL;
    /* Each field by itself: memset takes several nanoseconds, which the step of a small net would
       show. */
    batch.rows = rows;
    batch.inputs = trainer->model->inputs;
    batch.outputs = nn__outputs(trainer->model);
    batch.classes = batch.dropped = batch.imputed = batch.unknown = 0;
    batch.x = x;
    batch.y = y;
    batch.labels = NULL;
    batch.weight = NULL;
    batch.input_names = batch.class_names = NULL;
    batch.recipe = NULL;
    batch.memory = NULL;
    if (!nn__has_schedule(trainer)) return NN_ERROR_OPTION;
    status = nn_accumulate(trainer, &batch, loss);
    if (status == NN_OK) status = nn_update(trainer);
    if (status != NN_OK && loss) *loss = 0;
    return status;
}

/* ---- The loop level -------------------------------------------------------------------------- */

/* Returns the sums of the loss and of the correct predictions over some rows, without dropout. It
   uses the trainer's buffers. */
static nn__sums nn__validate(nn_trainer *trainer, nn__rows *rows)
{
    nn__objective objective;
    nn__batch batch;
    nn__range range;
    nn__sums sums;

    nn__set_training_objective(&objective, trainer, rows->data);
    memset(&sums, 0, sizeof sums);
    range.data = rows->data;
    range.order = rows;
    range.next = 0;
    range.end = rows->count;
    while (range.next < range.end) {
        nn__next_batch(trainer, &range, &batch);
        nn__forward_batch(trainer, &objective, rows->data, &batch, 0, &sums);
        nn__count_batch(&objective, rows->data, &batch, &sums);
    }
    return sums;
}

static void nn__add_sums(nn__sums *sums, const nn__sums *other)
{
    nn__add_sum(&sums->loss, &other->loss);
    nn__add_sum(&sums->weight, &other->weight);
    sums->counted += other->counted;
    sums->correct += other->correct;
}

/* One call of nn_trainer_fit. */
typedef struct nn__run {
    nn_trainer *trainer;
    nn__rows training, validation; /* validation.count is 0 without validation */
    nn_progress progress;          /* what the callback sees */
#ifndef NN_NO_MALLOC
    nn_data weighted[2]; /* with class weights: the data and the validation data, reweighted */
    void *memory;        /* of these weights */
#endif
#ifdef NN_TIME
    double begin; /* time at which the call began, in seconds */
    double share; /* epochs, with fractions, that were complete before the call */
#endif
} nn__run;

/* Puts the mean loss and the accuracy of the sums into the progress: those of the validation rows
   where validation is 1. Where accuracy is 0 the accuracy is NaN. */
static void nn__report(nn__run *run, const nn__sums *sums, int accuracy, int validation)
{
    nn_progress *progress = &run->progress;
    const nn_real mean = nn__mean_loss(sums);
    const nn_real right = accuracy ? (nn_real)sums->correct / (nn_real)sums->counted : NN__NAN;

    if (validation) {
        progress->validation_loss = mean;
        progress->validation_accuracy = right;
    } else {
        progress->loss = sums->counted ? mean : NN__NAN;
        progress->accuracy = sums->counted ? right : NN__NAN;
    }
}

#ifdef NN_TIME
/* Returns the epochs since the call began. A part of an epoch counts as a fraction. */
static double nn__epochs_done(const nn__run *run)
{
    const nn__state *state = &run->trainer->state;
    return state->epoch + (double)state->position / run->training.count - run->share;
}
#endif

/* Calls the callback. batch is the number of the batch, or 0 after an epoch. Returns what the
   callback returns: a value that is not 0 stops training. */
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
    progress->best_epoch = run->trainer->best ? state->best_epoch : 0;
    return o->callback ? o->callback(progress, o->user) : 0;
}

/* Trains on the batches of one epoch that have not been used yet. Sets *stop when the callback
   stops training. */
static NN__APART nn_status nn__train_epoch(nn__run *run, int *stop)
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
        state->epoch_key = (uint64_t)nn__random(&state->random_state) << 32;
        state->epoch_key |= nn__random(&state->random_state);
        memset(&state->sums, 0, sizeof state->sums);
    }
    range.data = run->training.data;
    range.order = &run->training;
    nn__shuffle(&run->training, state->epoch_key);
    while (state->position < count && !*stop) {
        rows = count - state->position < batch ? count - state->position : batch;
        range.next = state->position;
        range.end = state->position + rows;
        memset(&sums, 0, sizeof sums);
        weight = 0;
        status = nn__add_gradients(trainer, &range, 1, &sums, &weight);
        if (status == NN_OK && weight > 0) status = nn_update(trainer);
        if (status != NN_OK) return status;
        nn__add_sums(&state->sums, &sums);
        state->position += rows;
        if (trainer->options->callback_batches) {
            nn__report(run, &state->sums, classes, 0);
            *stop = nn__call_back(run, (state->position - 1) / batch + 1);
        }
    }
    nn__report(run, &state->sums, classes, 0);
    return NN_OK;
}

/* Early stopping: gives the model the weights of the best epoch. */
static NN__APART void nn__restore_best(nn_trainer *trainer)
{
    if (!trainer->best || !trainer->state.best_epoch) return;
    nn__copy(trainer->model->parameters, trainer->best, trainer->model->parameter_count);
    trainer->model->changes++;
}

static int nn__epochs(const nn_options *o)
{
    return o->epochs ? o->epochs : 100;
}

static nn_ended nn__ended(const nn_trainer *trainer)
{
    const nn_options *o = trainer->options;

    if (trainer->state.epoch >= nn__epochs(o)) return NN_ENDED_EPOCHS;
    return o->patience && trainer->state.waited >= o->patience ? NN_ENDED_PATIENCE : NN_ENDED_NOT;
}

/* Notes the loss of a complete epoch: keeps the best weights, or reduces the learning rate. */
static void nn__note_loss(nn_trainer *trainer, nn_real loss)
{
    const nn_options *o = trainer->options;
    nn__state *state = &trainer->state;

    if (!nn__keeps_best_loss(o)) return;
    if (!state->best_epoch || loss < state->best_loss - o->min_delta) {
        state->best_epoch = state->epoch;
        state->best_loss = loss;
        state->waited = 0;
        if (trainer->best)
            nn__copy(trainer->best, trainer->model->parameters, trainer->model->parameter_count);
    } else {
        state->waited++;
        nn__reduce_on_plateau(o, state);
    }
}

#ifndef NN_NO_MALLOC
/* Adds a complete epoch to the history. */
static void nn__record(const nn__run *run)
{
    const nn_progress *progress = &run->progress;
    const nn__state *state = &run->trainer->state;
    nn_history *history = run->trainer->options->history;
    nn_epoch *epoch;

    if (!history || history->count < 0 || history->count >= history->capacity) return;
    epoch = &history->epochs[history->count++];
    epoch->epoch = state->epoch;
    epoch->loss = progress->loss;
    epoch->accuracy = progress->accuracy;
    epoch->validation_loss = progress->validation_loss;
    epoch->validation_accuracy = progress->validation_accuracy;
    epoch->learning_rate = state->last_rate;
}

/* Checks that the history has space for so many more epochs. */
static nn_status nn__check_history(const nn_history *history, uint64_t epochs)
{
    if (!history) return NN_OK;
    if (!history->epochs) return NN_ERROR_NULL;
    if (history->count < 0 || history->capacity < history->count) return NN_ERROR_SIZE;
    return (uint64_t)(history->capacity - history->count) < epochs ? NN_ERROR_BLOCK : NN_OK;
}
#endif

/* Ends an epoch: computes the validation loss, and where training has ended restores the best
   weights. */
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
    nn__note_loss(trainer, loss);
    run->progress.ended = nn__ended(trainer);
    if (run->progress.ended) nn__restore_best(trainer);
#ifndef NN_NO_MALLOC
    nn__record(run);
#endif
    return NN_OK;
}

/* Returns whether the weights of the rows can be used. */
static int nn__has_weight(nn__rows *rows)
{
    nn_real sum = 0;
    int i;

    if (!rows->data->weight) return 1;
    for (i = 0; i < rows->count; i++) sum += nn__row_weight(rows->data, nn__row(rows, i));
    return nn__sum_fits(sum);
}

#ifndef NN_NO_MALLOC
/* Fills weights[classes] with the balanced weights of the training rows: the sum of all row weights
   / (number of classes that occur * sum of the row weights of the class); 1 for classes that do not
   occur. sums[classes] must be zero. */
static void nn__balance_classes(nn__rows *rows, int classes, nn__sum *sums, nn_real *weights)
{
    nn__sum total = {0, 0};
    nn_real present = 0;
    int i, c;

    for (i = 0; i < rows->count; i++) {
        const size_t row = nn__row(rows, i);
        nn__add(&sums[nn__label_of(rows->data, row)], nn__row_weight(rows->data, row));
    }
    for (c = 0; c < classes; c++) {
        if (nn__total(&sums[c]) > 0) present += 1;
        nn__add_sum(&total, &sums[c]);
    }
    for (c = 0; c < classes; c++)
        weights[c] =
            nn__total(&sums[c]) > 0 ? nn__total(&total) / (present * nn__total(&sums[c])) : 1;
}

/* Makes *weighted the same data, whose row weights, in row_weights[rows], are multiplied by the
   weights of the classes. */
static void nn__weigh_rows(const nn_data *data, const nn_real *class_weights, nn_real *row_weights,
                           nn_data *weighted)
{
    int b;

    for (b = 0; b < data->rows; b++) {
        const size_t row = (size_t)b;
        row_weights[row] = nn__row_weight(data, row) * class_weights[nn__label_of(data, row)];
    }
    *weighted = *data;
    weighted->weight = row_weights;
}

/* With class weights: gives the run's data new row weights. */
static nn_status nn__weigh_classes(nn__run *run)
{
    const nn_options *o = run->trainer->options;
    const nn_data *data = run->training.data, *other = o->validation;
    const size_t classes = (size_t)nn__class_weight_count(run->trainer->model);
    nn__block block = {NULL, 0, 0};
    nn__sum *sums = NULL;
    nn_real *weights = NULL, *rows = NULL, *other_rows = NULL;
    int pass;

    if (!o->class_weights && !o->balance_classes) return NN_OK;
    if (!nn__classes(data, o->loss)) return NN_ERROR_LABEL;
    for (pass = 0;; pass++) { /* measures, then divides the block */
        sums = (nn__sum *)nn__take(&block, classes, sizeof(nn__sum));
        weights = nn__take_reals(&block, 1, classes);
        rows = nn__take_reals(&block, 1, (size_t)data->rows);
        if (other) other_rows = nn__take_reals(&block, 1, (size_t)other->rows);
        if (pass) break;
        if (block.overflow) return NN_ERROR_OVERFLOW;
        run->memory = NN_MALLOC(nn__block_size(&block));
        if (!run->memory) return NN_ERROR_MEMORY;
        block.base = nn__align(run->memory);
        block.used = 0;
    }
    if (o->class_weights) {
        nn__copy(weights, o->class_weights, classes);
    } else {
        memset(sums, 0, classes * sizeof *sums);
        nn__balance_classes(&run->training, (int)classes, sums, weights);
    }
    nn__weigh_rows(data, weights, rows, &run->weighted[0]);
    run->training.data = run->validation.data = &run->weighted[0];
    if (other) {
        nn__weigh_rows(other, weights, other_rows, &run->weighted[1]);
        run->validation.data = &run->weighted[1];
    }
    if (!nn__has_weight(&run->training)) return NN_ERROR_WEIGHT;
    return !run->validation.count || nn__has_weight(&run->validation) ? NN_OK : NN_ERROR_WEIGHT;
}
#endif

/* Returns whether training can only go on with as many rows as before: within an epoch, whose rows
   are permuted, and where the cosine is as long as all updates. */
static int nn__needs_same_rows(const nn_trainer *trainer)
{
    const nn_options *o = trainer->options;

    return trainer->state.position ||
           (trainer->state.epoch && o->schedule == NN_SCHEDULE_COSINE && !o->schedule_steps);
}

/* Checks the data, separates the validation rows from the training rows, and computes the scaling
   from the training rows if the model has none. */
static nn_status nn__begin_run(nn__run *run, nn_trainer *trainer, const nn_data *data)
{
    const nn_options *o = trainer->options;
    nn_status status = nn__check_fits(data, trainer->model, o->loss);
    uint64_t updates;
    int held, scaled;
#ifndef NN_NO_MALLOC
    int targets;
#endif

    if (status != NN_OK) return status;
    if (nn__ended(trainer) != NN_ENDED_NOT) return NN_ERROR_STATE;
    if (data->rows != trainer->state.rows && nn__needs_same_rows(trainer)) return NN_ERROR_SIZE;
    run->trainer = trainer;
    run->training = nn__all_rows(data, trainer->model);
    run->validation = run->training;
    run->validation.count = 0;
    if (o->validation) {
        status = nn__check_fits(o->validation, trainer->model, o->loss);
#ifndef NN_NO_MALLOC
        if (status == NN_OK) status = nn__compare_names(o->validation, data);
#endif
        if (status != NN_OK) return status;
        run->validation = nn__all_rows(o->validation, trainer->model);
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
#ifndef NN_NO_MALLOC
    status = nn__check_history(o->history, (uint64_t)(nn__epochs(o) - trainer->state.epoch));
    if (status == NN_OK) status = nn__weigh_classes(run);
    if (status != NN_OK) return status;
#endif
    scaled = o->scaling != NN_SCALE_NONE && trainer->model->scaling == NN_SCALE_NONE;
    if (scaled && !nn__can_be_scaled(data->x, data->rows, data->inputs)) return NN_ERROR_DATA;
#ifndef NN_NO_MALLOC
    targets = o->target_scaling != NN_SCALE_NONE;
    if (targets && data->classes > 0) return NN_ERROR_OPTION;
    targets = targets && trainer->model->target_scaling == NN_SCALE_NONE;
    if (targets && !nn__can_be_scaled(data->y, data->rows, data->outputs)) return NN_ERROR_DATA;
    status = nn__keep_names(trainer->model, data);
    if (status != NN_OK) return status;
#endif
    /* From here on nothing fails. Before, nothing may change. */
    run->progress.epochs = nn__epochs(o);
    run->progress.batches = (run->training.count - 1) / nn__batch_rows(o) + 1;
    updates = (uint64_t)run->progress.epochs * (uint64_t)run->progress.batches;
    trainer->run_steps = updates < UINT32_MAX ? (uint32_t)updates : UINT32_MAX;
    run->progress.trainer = trainer;
    run->progress.model = trainer->model;
    trainer->state.rows = data->rows;
    trainer->pending = trainer->rows = 0;
#ifdef NN_TIME
    run->begin = NN_TIME();
    run->share = nn__epochs_done(run); /* share is still 0 here: epochs since training began */
#endif
#ifndef NN_NO_MALLOC
    if (targets) nn__fit_target_scaling(trainer->model, &run->training, o->target_scaling);
#endif
    if (scaled) nn__fit_scaling(trainer->model, &run->training, o->scaling);
    return NN_OK;
}

/* Trains until training ends or a callback stops it. */
static nn_status nn__train(nn__run *run)
{
    nn_status status;
    int stop = 0;

    do {
        run->progress.validation_loss = run->progress.validation_accuracy = NN__NAN;
        status = nn__train_epoch(run, &stop);
        if (status != NN_OK || (stop && run->trainer->state.position < run->training.count))
            return status;
        status = nn__end_epoch(run);
        if (status != NN_OK) return status;
        stop |= nn__call_back(run, 0) != 0;
    } while (!stop && !run->progress.ended);
    return NN_OK;
}

NN_DEF nn_status nn_trainer_fit(nn_trainer *trainer, const nn_data *data)
{
    nn__run run;
    nn_status status;

    if (!trainer) return NN_ERROR_NULL;
    memset(&run, 0, sizeof run);
    status = nn__begin_run(&run, trainer, data);
    if (status == NN_OK) status = nn__train(&run);
#ifndef NN_NO_MALLOC
    if (run.memory) NN_FREE(run.memory);
#endif
    return status;
}

#ifndef NN_NO_MALLOC
NN_DEF nn_status nn_fit(nn_model *model, const nn_data *data, const nn_options *options)
{
    nn_options o = options ? *options : nn__default_options();
    nn_trainer *trainer;
    nn_status status;

    if (!model || !data) return NN_ERROR_NULL;
    if (data->rows > 0 && o.batch_size > data->rows) o.batch_size = data->rows;
    status = nn_trainer_create(&trainer, model, &o);
    if (status != NN_OK) return status;
    status = nn_trainer_fit(trainer, data);
    if (status == NN_OK) nn__restore_best(trainer); /* nn_trainer_fit does not after a callback */
    nn_trainer_free(trainer);
    return status;
}
#endif

#ifndef NN_NO_STDIO
NN_DEF int nn_print_progress(const nn_progress *progress, void *user)
{
    FILE *file = user ? (FILE *)user : stdout;
    int i, filled, kept;

    if (!progress) return 0;
    if (progress->batch) {
        filled = (int)(30.0 * progress->batch / progress->batches);
        fprintf(file, "\rEpoch %d/%d: [", progress->epoch, progress->epochs);
        for (i = 0; i < 30; i++) fputc(i < filled ? '=' : ' ', file);
        fprintf(file, "] loss %.4f, %.0f s left ", (double)progress->loss, progress->remaining);
        fputs(progress->batch == progress->batches ? "\r\033[K" : "", file);
        (void)fflush(file);
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
    if (!progress->ended) return 0;
    kept = progress->best_epoch ? progress->best_epoch : progress->epoch;
    if (progress->ended == NN_ENDED_PATIENCE)
        fprintf(file, "Stopped after %d epochs without a lower loss", progress->epoch - kept);
    else
        fprintf(file, "Trained for %d epochs", progress->epochs);
    fprintf(file, "; the weights are those of epoch %d\n", kept);
    return 0;
}
#endif

/* ================================================================================================
   >>metrics
   ------------------------------------------------------------------------------------------------
   Accuracy, the confusion matrix and what is computed from it (precision, recall, F1), the ROC AUC,
   R2, mean errors, and cross-validation. One pass over the rows collects sums and counts in an
   nn__tally.
   ============================================================================================= */

/* For class c, with the rows of the confusion matrix as true classes and its columns as predicted
   ones:

       precision = matrix(c, c) / sum of column c
       recall    = matrix(c, c) / sum of row c
       f1        = 2 matrix(c, c) / (sum of column c + sum of row c) */
NN_DEF nn_status nn_class_scores(const int *matrix, int classes, int of_class, nn_scores *scores)
{
    /* Counts of rows. In a matrix that nn_confusion_matrix has filled they fit an int. */
    unsigned long predicted = 0, actual = 0;
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
    scores->predicted = (int)predicted;
    return NN_OK;
}

#ifndef NN_NO_MALLOC
/* The predicted probability of class 1 for a row, and whether the row is of that class. */
typedef struct nn__score {
    nn_real probability;
    int positive;
} nn__score;

/* Orders scores by probability, for nn__sort. */
static int nn__compare_scores(const void *a, const void *b)
{
    const nn_real first = ((const nn__score *)a)->probability;
    const nn_real second = ((const nn__score *)b)->probability;
    return (first > second) - (first < second);
}

/* ROC AUC, the area under the ROC curve. It is the share of all pairs of a positive and a negative
   row in which the positive row has the higher probability; a tie counts half (Hanley and McNeil
   1982). The scores[count], behind which there is room for as many, are sorted in place. The result
   is NaN when all rows are of one class. */
static nn_real nn__roc_auc(nn__score *scores, int count)
{
    double pairs = 0, negatives = 0, positives = 0, ties_negative, ties_positive;
    int i, k;

    nn__sort(scores, scores + count, (size_t)count, sizeof *scores, nn__compare_scores);
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
    return positives > 0 && negatives > 0 ? (nn_real)(pairs / (positives * negatives)) : NN__NAN;
}
#endif

/* The sums for R2 (the coefficient of determination R^2) of one output. The targets t are summed as
   distances from the first target, which lose fewer digits when their mean is large. */
typedef struct nn__output_tally {
    nn_real first;                  /* target of the first row */
    nn__sum residual, sum, squares; /* of (p - t)^2; of t - first; of (t - first)^2 */
} nn__output_tally;

/* What one pass over the rows collects. */
typedef struct nn__tally {
    nn__sums sums;
    nn__sum squares, absolutes; /* of (p - t)^2 and |p - t|, over rows and outputs */
    nn__output_tally *outputs;  /* [outputs], or NULL: R2 is then NaN */
    int *matrix;                /* confusion matrix [classes x classes], or NULL */
#ifdef NN_NO_MALLOC /* space for one output and for two classes; with more, both are NULL */
    nn__output_tally one_output;
    int two_by_two[4];
#else
    nn__score *scores; /* [2 * rows] for the ROC AUC, or NULL: see nn__roc_auc */
#endif
    int classes; /* 0: regression */
} nn__tally;

/* Adds a target t and its squared error `residual` to the sums of one output. */
static void nn__tally_output(nn__output_tally *output, nn_real t, nn_real residual, int first)
{
    nn_real d, square;

    if (first) output->first = t;
    d = t - output->first;
    square = nn__rounded_product(d, d);
    nn__add(&output->residual, residual);
    nn__add(&output->sum, d);
    nn__add(&output->squares, square);
    output->squares.low += nn__fma(d, d, -square); /* the rounding error of the square */
}

/* R2 = 1 - residual sum of squares / total sum of squares. The total is the sum of
   (t - mean(t))^2 = sum((t - first)^2) - sum(t - first)^2 / rows. Returns NaN when the targets are
   constant. */
static nn_real nn__r_squared(const nn__output_tally *output, nn_real rows)
{
    const nn_real sum = nn__total(&output->sum);
    const nn_real total = nn__fma(-sum, sum / rows, nn__total(&output->squares));

    return total > 0 ? 1 - nn__total(&output->residual) / total : NN__NAN;
}

/* Adds a row with the outputs p[outputs] to the tally. */
static void nn__tally_row(nn__tally *tally, const nn_data *data, size_t row, const nn_real *p)
{
    const nn__targets targets = nn__row_targets(data, row);
    int j;

    for (j = 0; j < data->outputs; j++) {
        /* p is not NULL. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
        const nn_real t = nn__target_at(targets, j), d = p[j] - t;
        const nn_real square = nn__rounded_product(d, d);
        nn__add(&tally->squares, square);
        nn__add(&tally->absolutes, nn__absolute(d));
        if (tally->outputs)
            nn__tally_output(&tally->outputs[j], t, square, tally->sums.counted == 0);
    }
    if (tally->matrix) {
        const int truth = nn__target_class(targets, data->outputs);
        const int guess = nn__class_of(p, data->outputs);
        tally->matrix[(size_t)truth * (size_t)tally->classes + (size_t)guess]++;
    }
#ifndef NN_NO_MALLOC
    if (tally->scores) {
        nn__score *score = &tally->scores[tally->sums.counted];
        score->probability = p[data->outputs - 1]; /* class 1 is the only or the second output */
        score->positive = nn__target_class(targets, data->outputs);
    }
#endif
}

/* Predicts all rows of data and adds them to the tally, except those of weight 0. */
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
        p = nn__infer(model, data->x + (size_t)first * inputs, count, model->scratch, NULL,
                      nn__is_cross_entropy(objective.loss));
        /* p is in one of the two buffers of the scratch memory. The losses use the other one. */
        if (p == losses) losses += (size_t)count * model->first_width;
        nn__set_targets(&objective, data, (size_t)first);
        nn__loss_forward(&objective, p, count, losses);
#ifndef NN_NO_MALLOC
        nn__unscale(model, p, count);
#endif
        for (b = 0; b < count; b++, p += outputs) {
            const size_t row = (size_t)first + (size_t)b;
            if (nn__row_weight(data, row) == 0) continue;
            nn__tally_row(tally, data, row, p);
            /* losses is in scratch. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
            nn__add_loss(&tally->sums.loss, data, row, losses[b]);
            nn__count_row(&tally->sums, data, row, objective.loss, p);
        }
    }
}

/* Computes the metrics that are made of a confusion matrix[classes x classes]. */
static void nn__class_metrics(nn_metrics *metrics, const int *matrix, int classes)
{
    nn_scores scores;
    nn_real present = 0; /* classes of which there is a row, or a prediction */
    int c;

    metrics->macro_precision = metrics->macro_recall = metrics->macro_f1 = 0;
    for (c = 0; c < classes; c++) {
        (void)nn_class_scores(matrix, classes, c, &scores);
        if (scores.support || scores.predicted) present += 1;
        metrics->macro_precision += scores.precision;
        metrics->macro_recall += scores.recall;
        metrics->macro_f1 += scores.f1;
    }
    metrics->macro_precision /= present;
    metrics->macro_recall /= present;
    metrics->macro_f1 /= present;
    if (classes == 2) { /* after the loop, scores are those of class 1 */
        metrics->precision = scores.precision;
        metrics->recall = scores.recall;
        metrics->f1 = scores.f1;
    }
}

/* Computes all metrics but the ROC AUC from a complete tally. */
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
    metrics->accuracy = metrics->precision = metrics->recall = metrics->f1 = NN__NAN;
    metrics->macro_precision = metrics->macro_recall = metrics->macro_f1 = NN__NAN;
    metrics->auc = metrics->r2 = NN__NAN;
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
/* Sets the tally's pointers to its arrays in a block, or only measures the block. */
static void nn__lay_out_tally(nn__tally *tally, const nn_data *data, nn__block *block)
{
    const size_t classes = (size_t)tally->classes;

    if (classes == 2)
        tally->scores = (nn__score *)nn__take(block, (size_t)data->rows, 2 * sizeof(nn__score));
    if (classes) tally->matrix = (int *)nn__take(block, classes, classes * sizeof(int));
    tally->outputs =
        (nn__output_tally *)nn__take(block, (size_t)data->outputs, sizeof(nn__output_tally));
}
#endif

/* Checks the options and the data with which a model is to be measured. */
static nn_status nn__check_measured(const nn_model *model, const nn_data *data,
                                    const nn_options *options)
{
    const nn_loss loss = options ? options->loss : NN_MSE;

    if (!nn__loss_fits(loss, nn__output_activation(model))) return NN_ERROR_LOSS;
    if (options && !nn__options_fit(options)) return NN_ERROR_OPTION;
    return nn__check_fits(data, model, loss);
}

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
    status = nn__check_measured(model, data, options);
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
    if (!nn__is_finite(nn__total(&tally.sums.loss))) status = nn__overflow(model);
    if (status == NN_OK) nn__finish_metrics(metrics, &tally, data, loss);
#ifndef NN_NO_MALLOC
    if (status == NN_OK && tally.scores)
        metrics->auc = nn__roc_auc(tally.scores, tally.sums.counted);
    NN_FREE(memory);
#endif
    return status;
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
    if (nn__is_finite(nn__total(&tally.absolutes))) return NN_OK;
    memset(matrix, 0, cells * sizeof *matrix);
    return nn__overflow(model);
}

#ifndef NN_NO_MALLOC

/* ---- Cross-validation ------------------------------------------------------------------------ */

/* Trains a new model on all rows that are not in the fold, and measures it on the fold. */
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
    nn_status status = nn_check_shape(shape, NULL);
    nn_fold fold;
    int recorded;

    if (!results) return NN_ERROR_NULL;
    if (status == NN_OK)
        status = nn__check_widths(data, shape->inputs, nn__sizes_of(shape).map.size);
    if (status == NN_OK && /* scalar functions, because there is no model with a back-end yet */
        !(nn__all_finite_scalar(data->x, (size_t)data->rows * (size_t)data->inputs) &&
          nn__all_finite_scalar(data->y, nn__numbers(data))))
        status = NN_ERROR_DATA;
    if (status == NN_OK) status = nn__check_rows(data, o.loss);
    if (folds < 2 || (status == NN_OK && folds > data->rows)) return NN_ERROR_OPTION;
    if (status == NN_OK && o.epochs >= 0)
        status = nn__check_history(o.history, (uint64_t)folds * (uint64_t)nn__epochs(&o));
    recorded = o.history ? o.history->count : 0;
    memset(results, 0, (size_t)folds * sizeof *results);
    fold.folds = folds;
    fold.seed = o.seed;
    for (fold.fold = 0; fold.fold < folds && status == NN_OK; fold.fold++)
        status = nn__cross_validate_fold(shape, data, &o, &fold, &results[fold.fold]);
    if (status == NN_OK) return NN_OK;
    memset(results, 0, (size_t)folds * sizeof *results);
    if (o.history && status != NN_ERROR_DIVERGED) o.history->count = recorded;
    return status;
}

/* ---- Permutation importance ------------------------------------------------------------------ */

/* The rows of which an input is permuted. */
typedef struct nn__permuted {
    nn__objective objective;
    const nn_data *data;
    size_t *rows; /* [count] those whose weight is not 0 */
    int count;
    nn_real *x;         /* [NN_PREDICT_ROWS x inputs] the rows that are predicted at a time */
    nn_real *increases; /* [repeats] of the loss */
} nn__permuted;

/* Returns the mean loss when row b has the value of row permutation(b) in the column `input`; input
   -1 is no column. */
static nn_real nn__permuted_loss(nn__permuted *permuted, int input, uint64_t key)
{
    const nn_model *model = permuted->objective.model;
    const nn_data *data = permuted->data;
    const size_t inputs = (size_t)data->inputs;
    nn__sums sums;
    int first, count, b;

    memset(&sums, 0, sizeof sums);
    nn__set_targets(&permuted->objective, data, 0);
    for (first = 0; first < permuted->count; first += count) {
        const size_t *rows = permuted->rows + first;
        nn_real *p, *losses = model->scratch, *x = permuted->x;

        count = nn__predict_rows(permuted->count - first);
        for (b = 0; b < count; b++, x += inputs) {
            const uint32_t at = (uint32_t)first + (uint32_t)b;
            nn__copy(x, data->x + rows[b] * inputs, inputs);
            if (input < 0) continue;
            x[input] =
                data->x[permuted->rows[nn__permute(at, (uint32_t)permuted->count, key)] * inputs +
                        (size_t)input];
        }
        p = nn__infer(model, permuted->x, count, model->scratch, NULL,
                      nn__is_cross_entropy(permuted->objective.loss));
        /* p is in one of the two buffers of the scratch memory. The losses use the other one. */
        if (p == losses) losses += (size_t)count * model->first_width;
        permuted->objective.index = rows;
        nn__loss_forward(&permuted->objective, p, count, losses);
        for (b = 0; b < count; b++) {
            /* losses is in scratch. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
            nn__add_loss(&sums.loss, data, rows[b], losses[b]);
            nn__add(&sums.weight, nn__row_weight(data, rows[b]));
        }
    }
    return nn__mean_loss(&sums);
}

/* Computes mean and standard deviation of the increases[repeats]. */
static void nn__average_increases(const nn_real *increases, int repeats,
                                  nn_input_importance *result)
{
    nn__sum sum = {0, 0}, squares = {0, 0};
    int i;

    for (i = 0; i < repeats; i++) nn__add(&sum, increases[i]);
    result->mean = nn__total(&sum) / (nn_real)repeats;
    for (i = 0; i < repeats; i++) {
        const nn_real d = increases[i] - result->mean;
        nn__add(&squares, nn__rounded_product(d, d));
    }
    result->deviation = NN_SQRT(nn__total(&squares) / (nn_real)repeats);
}

/* Sets the pointers to the arrays in a block, or only measures the block. */
static void nn__lay_out_permuted(nn__permuted *permuted, nn__block *block, int repeats)
{
    permuted->rows = (size_t *)nn__take(block, (size_t)permuted->data->rows, sizeof(size_t));
    permuted->x = nn__take_reals(block, NN_PREDICT_ROWS, (size_t)permuted->data->inputs);
    permuted->increases = nn__take_reals(block, 1, (size_t)repeats);
}

NN_DEF nn_status nn_importance(const nn_model *model, const nn_data *data,
                               const nn_options *options, int repeats, nn_input_importance *results)
{
    uint64_t key, random_state = nn__random_start(options ? options->seed : 0);
    nn__block block = {NULL, 0, 0};
    nn__permuted permuted;
    nn_real usual;
    nn_status status;
    void *memory;
    int i, k, good = 1;

    if (!model || !results) return NN_ERROR_NULL;
    memset(results, 0, (size_t)model->inputs * sizeof *results);
    status = nn__check_measured(model, data, options);
    if (status != NN_OK) return status;
    if (repeats < 1) return NN_ERROR_OPTION;
    memset(&permuted, 0, sizeof permuted);
    nn__set_objective(&permuted.objective, model, options);
    permuted.data = data;
    nn__lay_out_permuted(&permuted, &block, repeats);
    if (block.overflow) return NN_ERROR_OVERFLOW;
    memory = NN_MALLOC(nn__block_size(&block));
    if (!memory) return NN_ERROR_MEMORY;
    block.base = nn__align(memory);
    block.used = 0;
    nn__lay_out_permuted(&permuted, &block, repeats);
    for (i = 0; i < data->rows; i++)
        if (nn__row_weight(data, (size_t)i) != 0) permuted.rows[permuted.count++] = (size_t)i;
    usual = nn__permuted_loss(&permuted, -1, 0);
    for (i = 0; i < model->inputs; i++) {
        for (k = 0; k < repeats; k++) {
            key = (uint64_t)nn__random(&random_state) << 32;
            key |= nn__random(&random_state);
            permuted.increases[k] = nn__permuted_loss(&permuted, i, key) - usual;
        }
        nn__average_increases(permuted.increases, repeats, &results[i]);
        good &= nn__is_finite(results[i].mean) && nn__is_finite(results[i].deviation);
    }
    NN_FREE(memory);
    if (good) return NN_OK;
    memset(results, 0, (size_t)model->inputs * sizeof *results);
    return nn__overflow(model);
}

#endif
#endif /* NN_NO_TRAIN */
#if !defined(NN_NO_TRAIN) && !defined(NN_NO_MALLOC)

/* ================================================================================================
   >>csv
   ------------------------------------------------------------------------------------------------
   Tables in CSV format. A table is read once, row by row. Each column that is used has a field, and
   each cell of a row becomes an nn_real: a number, or a NaN whose bits say that the cell is missing
   or which of the field's texts it is. Some questions have an answer only after the last row:
   whether the first row is a header, which columns are text and which are empty, what the classes
   and the means are. Then the rows are completed and become the arrays of an nn_data.
   ============================================================================================= */

/* ---- Numbers --------------------------------------------------------------------------------- */

/* An unsigned integer of up to 4,800 bits, for decimal numbers with many digits or large exponents.
   The least significant word comes first. */
#define NN__BIG_WORDS 150
typedef struct nn__big {
    uint32_t word[NN__BIG_WORDS];
    int count; /* number of words in use; the last one of them is not 0 */
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

/* a = a * 2^bits */
static void nn__big_shift(nn__big *a, int bits)
{
    for (; bits >= 31; bits -= 31) nn__big_multiply(a, UINT32_C(1) << 31, 0);
    nn__big_multiply(a, UINT32_C(1) << bits, 0);
}

/* Returns the number of bits of a, without leading zeros. */
static int nn__big_bits(const nn__big *a)
{
    int bits = a->count * 32;
    uint32_t top;

    /* Its words are set, and the last one is not 0.
       NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign) */
    for (top = a->word[a->count - 1]; !(top >> 31); top <<= 1) bits--;
    return bits;
}

/* Returns whether a < b. */
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

/* A result depends on at most this many digits, and on whether one of the further digits is not 0:
   see nn__parse_number. */
#define NN__DIGITS 800

/* Returns digits[count] * 10^exponent, rounded to the nearest nn_real, ties to even. The value is
   the quotient of two integers, which is computed by long division in binary. It is not 0, and its
   magnitude is that of an nn_real, or rounds to infinity. */
static nn_real nn__decimal(const char *digits, int count, int exponent)
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
    below.word[0] = 1;
    below.count = 1;
    for (i = 0; i < exponent; i++) nn__big_multiply(&above, 10, 0);
    for (i = 0; i > exponent; i--) nn__big_multiply(&below, 10, 0);

    /* The value is above / below. Choose shift so that quotient = floor(above / below / 2^shift)
       has one bit more than the mantissa, or fewer where the result is denormal. */
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
    /* The quotient may have one bit too many. If that bit is 1, the remainder must not be 0. */
    if (quotient >> (NN__MANTISSA + 2)) {
        if (quotient & 1) above.count = 1;
        quotient >>= 1;
        shift++;
    }
    /* The last bit of the quotient stands for one half. Round to nearest, ties to even. */
    i = (int)(quotient & 1) && (above.count || (quotient & 2));
    quotient = (quotient >> 1) + (nn__bits)i;
    shift++;
    if (shift <= -NN__BIAS) /* 2^shift is denormal: multiply by two normal factors */
        return (nn_real)quotient * nn__power_of_two(1) *
               nn__power_of_two((nn__bits)(shift + NN__BIAS + NN__BIAS - 1));
    return (nn_real)quotient * nn__power_of_two((nn__bits)(shift + NN__BIAS));
}

/* Reads the decimal number text ... end, without its sign, and rounds it to the nearest nn_real,
   ties to even, however many digits it has. */
static NN__APART nn_real nn__exact_number(const char *text, const char *end, char point)
{
    char digits[NN__DIGITS + 1];
    int64_t exponent = 0, given = 0; /* as large as the text is long */
    int count = 0, after = 0, minus = 0;

    for (; text < end && *text != 'e' && *text != 'E'; text++) {
        if (*text == point) after = 1;
        if (*text < '0') continue; /* the sign, the point */
        if (count == 0 && *text == '0') {
            exponent -= after;
        } else if (count < NN__DIGITS) {
            digits[count++] = *text;
            exponent -= after;
        } else {
            /* A digit that is not 0 is left out: an odd last digit records that there is no tie. */
            if (*text != '0') digits[NN__DIGITS - 1] |= 1;
            exponent += !after;
        }
    }
    for (; text < end; text++) {
        minus |= *text == '-';
        if (*text >= '0' && *text <= '9' && /* unreached: there are fewer than 10^8 digits */
            given < 100000000)
            given = given * 10 + (*text - '0');
    }
    return nn__decimal(digits, count, (int)(exponent + (minus ? -given : given)));
}

/* The decimal number `digits` * 10^exponent. Up to 19 significant digits are kept; `more` is 1 when
   one of the others is not 0. */
typedef struct nn__number {
    uint64_t digits;
    int64_t exponent;
    int negative, more;
} nn__number;

/* Appends the decimal digits at text to a number and returns their end. */
NN__HOT const char *nn__scan_digits(const char *text, const char *end, nn__number *number)
{
    const uint64_t full = UINT64_C(1000000000000000000);
    uint64_t digits = number->digits;
    unsigned digit;

    for (; text < end && (digit = (unsigned)(unsigned char)*text - '0') <= 9; text++) {
        if (digits < full) {
            digits = digits * 10 + digit;
        } else {
            number->exponent++;
            number->more |= digit != 0;
        }
    }
    number->digits = digits;
    return text;
}

/* Reads the number with which text begins, and returns its end, or NULL when there is none. point
   is the decimal point. */
NN__HOT const char *nn__scan_number(const char *text, const char *end, char point,
                                    nn__number *number)
{
    const char *begin;
    int64_t given = 0;
    int minus, any;

    number->digits = 0;
    number->exponent = 0;
    number->negative = number->more = 0;
    if (text < end && (*text == '-' || *text == '+')) number->negative = *text++ == '-';
    begin = text;
    text = nn__scan_digits(text, end, number);
    any = text > begin;
    if (text < end && *text == point) {
        begin = ++text;
        text = nn__scan_digits(text, end, number);
        any |= text > begin;
        number->exponent -= text - begin;
    }
    if (!any) return NULL;
    if (text < end && (*text == 'e' || *text == 'E')) {
        minus = ++text < end && *text == '-';
        if (text < end && (*text == '-' || *text == '+')) text++;
        for (begin = text; text < end && *text >= '0' && *text <= '9'; text++)
            if (given < 100000000) given = given * 10 + (*text - '0');
        if (text == begin) return NULL;
        number->exponent += minus ? -given : given;
    }
    return text;
}

/* Returns the upper 64 bits of a * b. */
static uint64_t nn__multiply_high(uint64_t a, uint64_t b)
{
    const uint64_t low = UINT32_MAX;
    const uint64_t middle = (a >> 32) * (b & low) + (((a & low) * (b & low)) >> 32);
    const uint64_t other = (a & low) * (b >> 32) + (middle & low);

    return (a >> 32) * (b >> 32) + (middle >> 32) + (other >> 32);
}

/* Shifts x, not 0, to the left until its highest bit is set. Returns by how many bits. */
static int nn__normalize(uint64_t *x)
{
    int step, shift = 0;

    for (step = 32; step; step /= 2)
        if (!(*x >> (64 - step))) {
            *x <<= step;
            shift += step;
        }
    return shift;
}

/* Sets *power to the upper 64 bits of 10^exponent, which has an error of less than 4 in the last of
   them, and returns the weight of this bit as an exponent of 2. exponent is in [-364, 335]. The
   power is the product of 10^(28 i), rounded down, and 10^k, k < 28, which is exact. */
static int nn__power_of_ten(int exponent, uint64_t *power)
{
    static const uint64_t tens[] = {
        UINT64_C(0xe1afa13afbd14d6d), UINT64_C(0xe3e27a444d8d98b7), UINT64_C(0xe61acf033d1a45df),
        UINT64_C(0xe858ad248f5c22c9), UINT64_C(0xea9c227723ee8bcb), UINT64_C(0xece53cec4a314ebd),
        UINT64_C(0xef340a98172aace4), UINT64_C(0xf18899b1bc3f8ca1), UINT64_C(0xf3e2f893dec3f126),
        UINT64_C(0xf64335bcf065d37d), UINT64_C(0xf8a95fcf88747d94), UINT64_C(0xfb158592be068d2e),
        UINT64_C(0xfd87b5f28300ca0d), UINT64_C(0x8000000000000000), UINT64_C(0x813f3978f8940984),
        UINT64_C(0x82818f1281ed449f), UINT64_C(0x83c7088e1aab65db), UINT64_C(0x850fadc09923329e),
        UINT64_C(0x865b86925b9bc5c2), UINT64_C(0x87aa9aff79042286), UINT64_C(0x88fcf317f22241e2),
        UINT64_C(0x8a5296ffe33cc92f), UINT64_C(0x8bab8eefb6409c1a), UINT64_C(0x8d07e33455637eb2),
        UINT64_C(0x8e679c2f5e44ff8f)};
    static const uint64_t units[] = {
        UINT64_C(0x8000000000000000), UINT64_C(0xa000000000000000), UINT64_C(0xc800000000000000),
        UINT64_C(0xfa00000000000000), UINT64_C(0x9c40000000000000), UINT64_C(0xc350000000000000),
        UINT64_C(0xf424000000000000), UINT64_C(0x9896800000000000), UINT64_C(0xbebc200000000000),
        UINT64_C(0xee6b280000000000), UINT64_C(0x9502f90000000000), UINT64_C(0xba43b74000000000),
        UINT64_C(0xe8d4a51000000000), UINT64_C(0x9184e72a00000000), UINT64_C(0xb5e620f480000000),
        UINT64_C(0xe35fa931a0000000), UINT64_C(0x8e1bc9bf04000000), UINT64_C(0xb1a2bc2ec5000000),
        UINT64_C(0xde0b6b3a76400000), UINT64_C(0x8ac7230489e80000), UINT64_C(0xad78ebc5ac620000),
        UINT64_C(0xd8d726b7177a8000), UINT64_C(0x878678326eac9000), UINT64_C(0xa968163f0a57b400),
        UINT64_C(0xd3c21bcecceda100), UINT64_C(0x84595161401484a0), UINT64_C(0xa56fa5b99019a5c8),
        UINT64_C(0xcecb8f27f4200f3a)};

    *power = nn__multiply_high(tens[(exponent + 364) / 28], units[(exponent + 364) % 28]);
    (void)nn__normalize(power);
    /* floor(log2(10^exponent)) - 63; 217706 / 2^16 is close enough to log2(10) here. */
    return (int)((((int64_t)exponent + 32768) * 217706) >> 16) - 108853 - 63;
}

/* Rounds a number to the nearest nn_real, ties to even, without its sign. Returns 0 when the 64
   bits that it computes with do not decide it: one case in 10^9 (NN_DOUBLE: in 100). With few
   digits and a small exponent, the digits and the power of ten are exact, so that one division or
   product rounds correctly (Clinger 1990, "How to read floating point numbers accurately"). */
NN__HOT int nn__round_number(const nn__number *number, nn_real *value)
{
#ifdef NN_DOUBLE
    static const nn_real powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
#else
    static const nn_real powers[] = {1e0f, 1e1f, 1e2f, 1e3f, 1e4f, 1e5f,
                                     1e6f, 1e7f, 1e8f, 1e9f, 1e10f};
#endif
    const int exact = NN__COUNT(powers) - 1, lowest = 1 - NN__BIAS;
    const uint64_t margin = number->more ? 64 : 12; /* more than the error of the product, in bits
                                                       of weight 1 */
    uint64_t product, power, rest, half;
    int exponent, drop;

    *value = 0;
    if (!number->digits) return 1;
    if (number->digits <= UINT64_C(1) << (NN__MANTISSA + 1) && number->exponent <= exact &&
        number->exponent >= -exact) { /* with so few digits there are no more */
        if (number->exponent < 0)
            *value = (nn_real)number->digits / powers[-number->exponent];
        else
            *value = (nn_real)number->digits * powers[number->exponent];
        return 1;
    }
    if (number->exponent < -364) return 1;
    if (number->exponent > 335) {
        *value = (nn_real)INFINITY;
        return 1;
    }
    product = number->digits;
    exponent = 64 - nn__normalize(&product);
    exponent += nn__power_of_ten((int)number->exponent, &power);
    product = nn__multiply_high(product, power);
    exponent += 63 - nn__normalize(&product);           /* of the highest bit */
    if (exponent < lowest - NN__MANTISSA - 3) return 1; /* less than half of the least denormal */
    if (exponent > NN__BIAS) *value = (nn_real)INFINITY;
    if (exponent >= NN__BIAS) return exponent > NN__BIAS;
    drop = 63 - NN__MANTISSA + (exponent < lowest ? lowest - exponent : 0);
    if (drop > 62) return 0;
    half = UINT64_C(1) << (drop - 1);
    rest = product & (2 * half - 1);
    if ((rest > half ? rest - half : half - rest) <= margin) return 0;
    product = (product >> drop) + (rest > half);
    if (exponent >= lowest)
        product += (uint64_t)(exponent - lowest) << NN__MANTISSA; /* the highest bit adds 1 to it */
    *value = nn__from_bits((nn__bits)product);
    return 1;
}

/* Reads the number with which text begins, rounded to the nearest nn_real, whatever the locale.
   Returns its end, or NULL when there is no number, or none that is finite. */
NN__HOT const char *nn__read_number(const char *text, const char *end, char point,
                                    nn__number *number, nn_real *value)
{
    const char *stop = nn__scan_number(text, end, point, number);

    if (!stop) return NULL;
    if (!nn__round_number(number, value)) *value = nn__exact_number(text, stop, point);
    if (number->negative) *value = 0 - *value; /* never -0: equal numbers are one text */
    return nn__is_finite(*value) ? stop : NULL;
}

/* ---- Rows and cells -------------------------------------------------------------------------- */

/* text[length] is without the quotes of a quoted cell or the blanks around an unquoted one. Two
   quotes in it stand for one. */
typedef struct nn__cell {
    const char *text;
    size_t length;
} nn__cell;

/* Gives the rows of a text, one after the other. A file is read piece by piece: buffer[capacity]
   always holds one whole row. */
typedef struct nn__parser {
    const char *at, *end; /* what is left of the row, or the text behind it when there is none */
    const char *row_end, *next_row;
    long line; /* the line where the row begins, from 1 */
    long next_line;
    int column; /* the number of the last cell, from 1 */
    char delimiter, decimal, line_end;
    const char *comment;
#ifndef NN_NO_STDIO
    FILE *file; /* NULL: all of the text is there */
    char *buffer;
    size_t capacity;
#endif
} nn__parser;

/* Reads more of the file behind what is there, at ... end, which may move. Returns NN_OK also at
   the end of the file. */
static nn_status nn__read_more(nn__parser *parser)
{
#ifndef NN_NO_STDIO
    const size_t used = (size_t)(parser->end - parser->at);
    size_t got;

    if (!parser->file) return NN_OK;
    if (used > parser->capacity / 2) {
        char *larger = (char *)nn__allocate(parser->capacity, 2);
        if (!larger) return NN_ERROR_MEMORY;
        memcpy(larger, parser->at, used);
        NN_FREE(parser->buffer);
        parser->buffer = larger;
        parser->capacity *= 2;
    } else if (used && parser->at != parser->buffer) {
        memmove(parser->buffer, parser->at, used);
    }
    got = NN_FREAD(parser->buffer + used, parser->capacity - used, parser->file);
    if (got == 0 && NN_FERROR(parser->file)) return NN_ERROR_READ;
    parser->at = parser->buffer;
    parser->end = parser->buffer + used + got;
#else
    (void)parser;
#endif
    return NN_OK;
}

/* Finds the end of the line that begins at parser->at and contains its first `from` characters, and
   reads until it is there. */
static nn_status nn__find_line_end(nn__parser *parser, size_t from, const char **stop)
{
    size_t length;
    nn_status status;

    for (;;) {
        length = (size_t)(parser->end - parser->at);
        *stop = NULL;
        if (length > from)
            *stop = (const char *)memchr(parser->at + from, parser->line_end, length - from);
        if (*stop) return NN_OK;
        status = nn__read_more(parser);
        if (status != NN_OK) return status;
        if ((size_t)(parser->end - parser->at) == length) break; /* the end of the text */
        from = length;
    }
    *stop = parser->end;
    return NN_OK;
}

/* Returns whether a row has nothing but delimiters and blanks. */
static int nn__is_empty_row(const nn__parser *parser)
{
    const char *c;

    for (c = parser->at; c < parser->row_end; c++)
        if (*c != parser->delimiter && *c != ' ' && *c != '\t' && *c != '\r') return 0;
    return 1;
}

/* Goes to the next row that is neither empty nor a comment. *found becomes 0 at the end of the
   text. A line end between quotes does not end a row. */
static nn_status nn__next_row(nn__parser *parser, int *found)
{
    nn_status status;

    for (*found = 0;; parser->at = parser->next_row) {
        const char *stop, *quote;
        size_t from = 0, checked = 0;
        int comment, inside = 0;

        parser->line = parser->next_line;
        parser->column = 0;
        if (parser->at == parser->end) {
            status = nn__read_more(parser);
            if (status != NN_OK || parser->at == parser->end) return status;
        }
        comment = parser->comment && *parser->at && strchr(parser->comment, *parser->at);
        for (;;) {
            status = nn__find_line_end(parser, from, &stop);
            if (status != NN_OK) return status;
            parser->next_line++;
            from = (size_t)(stop - parser->at);
            while (!comment && checked < from &&
                   (quote = (const char *)memchr(parser->at + checked, '"', from - checked))) {
                inside = !inside;
                checked = (size_t)(quote - parser->at) + 1;
            }
            checked = from;
            if (!inside || stop == parser->end) break;
            from++;
        }
        parser->row_end = stop;
        parser->next_row = stop < parser->end ? stop + 1 : stop;
        if (stop > parser->at && stop[-1] == '\r' && parser->line_end == '\n') parser->row_end--;
        if (!comment && !nn__is_empty_row(parser)) break;
    }
    *found = 1;
    return NN_OK;
}

NN__HOT int nn__is_delimiter(const nn__parser *parser, char c)
{
    return c == parser->delimiter || (c == '\t' && parser->delimiter == ' ');
}

static int nn__is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Returns 0 when a cell does not end at `at`. Otherwise it goes to the next cell, and *last says
   whether there is none in the row. */
NN__HOT int nn__end_cell(nn__parser *parser, const char *at, int *last)
{
    if (at < parser->row_end && !nn__is_delimiter(parser, *at)) return 0;
    *last = at == parser->row_end;
    if (!*last) at++;
    if (parser->delimiter == ' ') { /* further blanks belong to it, and at the end of the row all */
        while (at < parser->row_end && nn__is_blank(*at)) at++;
        *last = at == parser->row_end;
    }
    parser->at = at;
    return 1;
}

/* Reads the next cell of the row. A quoted cell may contain delimiters and line ends. */
static nn_status nn__next_cell(nn__parser *parser, nn__cell *cell, int *last)
{
    const char *at = parser->at, *const end = parser->row_end;

    *last = 1;
    if (at < end && *at == '"') {
        cell->text = ++at;
        for (;; at++) {
            cell->length = (size_t)(at - cell->text);
            if (at == end) return NN_ERROR_CSV_QUOTE;
            if (*at != '"') continue;
            if (at + 1 == end || at[1] != '"') break;
            at++;
        }
        return nn__end_cell(parser, at + 1, last) ? NN_OK : NN_ERROR_CSV_QUOTE;
    }
    cell->text = at;
    while (at < end && !nn__is_delimiter(parser, *at) && *at != '"') at++;
    cell->length = (size_t)(at - cell->text);
    while (cell->length && nn__is_blank(*cell->text)) {
        cell->text++;
        cell->length--;
    }
    while (cell->length && nn__is_blank(cell->text[cell->length - 1])) cell->length--;
    return nn__end_cell(parser, at, last) ? NN_OK : NN_ERROR_CSV_QUOTE;
}

/* Goes to the first cell of the row, which is not empty. */
static void nn__begin_cells(nn__parser *parser)
{
    parser->column = 0;
    if (parser->delimiter != ' ') return;
    while (nn__is_blank(*parser->at)) parser->at++;
}

/* A parser of text in memory, with the default delimiter. */
static nn__parser nn__parse_text(const char *text, size_t length)
{
    nn__parser parser;

    memset(&parser, 0, sizeof parser);
    parser.at = text;
    parser.end = text + length;
    parser.next_line = 1;
    parser.delimiter = ',';
    parser.decimal = '.';
    parser.line_end = '\n';
    return parser;
}

/* Copies a cell's text, in which quotes come in pairs, and replaces two by one. Returns the length
   of the result. With NULL for `to` it only computes the length. */
static size_t nn__cell_text(const nn__cell *cell, char *to)
{
    size_t i, length = 0;

    for (i = 0; i < cell->length; i++) {
        if (cell->text[i] == '"') i++;
        if (to) to[length] = cell->text[i];
        length++;
    }
    return length;
}

static int nn__same_cell(const nn__cell *a, const nn__cell *b)
{
    return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

/* Orders cells by their bytes. */
static int nn__compare_cells(const nn__cell *a, const nn__cell *b)
{
    const int order = memcmp(a->text, b->text, a->length < b->length ? a->length : b->length);

    return order ? order : (a->length > b->length) - (a->length < b->length);
}

/* Returns whether a cell is a word, in upper or lower case. */
static int nn__is_word(const nn__cell *cell, const char *word, size_t length)
{
    size_t i;

    if (cell->length != length) return 0;
    for (i = 0; i < length; i++) {
        char a = cell->text[i], b = word[i];
        if (a >= 'A' && a <= 'Z') a = (char)(a - 'A' + 'a');
        if (b >= 'A' && b <= 'Z') b = (char)(b - 'A' + 'a');
        if (a != b) return 0;
    }
    return 1;
}

/* Returns 1 for true and yes, 0 for false and no, and -1 for all other cells. */
static int nn__truth(const nn__cell *cell)
{
    if (nn__is_word(cell, "true", 4) || nn__is_word(cell, "yes", 3)) return 1;
    if (nn__is_word(cell, "false", 5) || nn__is_word(cell, "no", 2)) return 0;
    return -1;
}

/* ---- The different texts of a column --------------------------------------------------------- */

/* The most classes that are found in a file, and the most categories of an input column. A column
   with more different texts is probably a name, a key or a date. */
enum { NN__MOST_CLASSES = 4096, NN__MOST_CATEGORIES = 256, NN__MOST_NUMBERS = 16 };

typedef struct nn__text {
    size_t begin, length; /* in the dictionary's characters, with two quotes for one */
    nn__number number;    /* where it is one */
    nn_real value;        /* of a number; of true 1, of false 0 */
    unsigned char is_number, has_value;
    int uses;  /* rows that have it */
    int place; /* its number among the classes or categories; -1: none */
} nn__text;

/* The code of a text is its number, in the order in which the texts were found or given. Sorted are
   first numbers by value, then others by their bytes. Equal numbers are one text. */
typedef struct nn__dictionary {
    nn__text *by_code; /* [count] */
    int *sorted;       /* [count] codes */
    char *characters;
    size_t used, room;
    int count, capacity, numbers;
} nn__dictionary;

static void nn__free_dictionary(nn__dictionary *texts)
{
    if (!texts) return;
    if (texts->by_code) NN_FREE(texts->by_code);
    if (texts->sorted) NN_FREE(texts->sorted);
    if (texts->characters) NN_FREE(texts->characters);
    NN_FREE(texts);
}

/* Returns a copy of array[used], of elements of `each` bytes, with room for twice as many and for
   at least `needed`, and frees the array; NULL, and the array stays, when there is no memory. */
static void *nn__grow(void *array, size_t used, size_t needed, size_t each, size_t *room)
{
    const size_t half = *room < needed / 2 ? needed / 2 : *room;
    const size_t wanted = 2 * half + 1;
    void *larger = nn__allocate(wanted, each);

    if (!larger) return NULL;
    if (used) memcpy(larger, array, used * each);
    if (array) NN_FREE(array);
    *room = wanted;
    return larger;
}

/* Compares the absolute values of numbers. */
static int nn__compare_sizes(const nn__number *a, const nn__number *b)
{
    uint64_t digits[2];
    int64_t exponent[2];
    int i;

    digits[0] = a->digits;
    digits[1] = b->digits;
    exponent[0] = a->exponent;
    exponent[1] = b->exponent;
    if (!digits[0]) return 0; /* both are 0 */
    for (i = 0; i < 2; i++)
        while (digits[i] < UINT64_C(1000000000000000000)) {
            digits[i] *= 10;
            exponent[i]--;
        }
    if (exponent[0] != exponent[1]) return exponent[0] < exponent[1] ? -1 : 1;
    if (digits[0] != digits[1]) return digits[0] < digits[1] ? -1 : 1;
    return a->more - b->more;
}

static int nn__compare_numbers(const nn__number *a, const nn__number *b)
{
    const int sign_a = a->digits ? 1 - 2 * a->negative : 0;
    const int sign_b = b->digits ? 1 - 2 * b->negative : 0;

    if (sign_a != sign_b) return sign_a - sign_b;
    return sign_a < 0 ? nn__compare_sizes(b, a) : nn__compare_sizes(a, b);
}

/* Compares a cell, which is a number where number is not NULL, with a text of a dictionary. */
static int nn__compare_texts(const nn__cell *cell, const nn__number *number,
                             const nn__dictionary *texts, int code)
{
    const nn__text *text = &texts->by_code[code];
    const size_t length = cell->length < text->length ? cell->length : text->length;
    int order = text->is_number - (number != NULL);

    if (order) return order;
    if (number) {
        order = nn__compare_numbers(number, &text->number);
        if (order || !number->more) return order;
    }
    if (length) order = memcmp(cell->text, texts->characters + text->begin, length);
    return order ? order : (cell->length > text->length) - (cell->length < text->length);
}

/* Returns where a cell is in the order of a dictionary, or where it belongs when *found is 0. */
static int nn__look_up(const nn__dictionary *texts, const nn__cell *cell, const nn__number *number,
                       int *found)
{
    int low = 0, high = texts ? texts->count : 0;

    while (low < high) {
        const int middle = low + (high - low) / 2;
        const int order = nn__compare_texts(cell, number, texts, texts->sorted[middle]);
        if (order == 0) {
            *found = 1;
            return middle;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    *found = 0;
    return low;
}

/* Makes room for more characters. Returns 0 when there is no memory. */
static int nn__make_room(nn__dictionary *texts, size_t length)
{
    char *characters;

    if (length <= texts->room - texts->used) return 1;
    characters =
        (char *)nn__grow(texts->characters, texts->used, texts->used + length, 1, &texts->room);
    if (characters) texts->characters = characters;
    return characters != NULL;
}

/* Gives a text that is an equal number another spelling: classes and categories are named as where
   they occur first. */
static nn_status nn__respell(nn__dictionary *texts, int code, const nn__cell *cell, nn_real value)
{
    nn__text *text = &texts->by_code[code];

    if (!nn__make_room(texts, cell->length)) return NN_ERROR_MEMORY;
    text->begin = texts->used;
    text->length = cell->length;
    if (text->is_number) text->value = value;
    memcpy(texts->characters + texts->used, cell->text, cell->length);
    texts->used += cell->length;
    return NN_OK;
}

/* Sets *code to the code of a cell's text, which is added to the dictionary when it is new.
   value is the number's. */
static nn_status nn__add_text(nn__dictionary **dictionary, const nn__cell *cell,
                              const nn__number *number, nn_real value, int *code)
{
    nn__dictionary *texts = *dictionary;
    nn__text *text;
    int found, at = nn__look_up(texts, cell, number, &found);

    if (found) {
        /* texts is not NULL here. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
        *code = texts->sorted[at];
        return NN_OK;
    }
    if (!texts) {
        texts = *dictionary = (nn__dictionary *)NN_MALLOC(sizeof *texts);
        if (!texts) return NN_ERROR_MEMORY;
        memset(texts, 0, sizeof *texts);
    }
    if (texts->count == texts->capacity) {
        size_t room = (size_t)texts->capacity, same = room;
        int *sorted = (int *)nn__grow(texts->sorted, (size_t)texts->count, 0, sizeof(int), &same);
        nn__text *by_code;

        if (!sorted) return NN_ERROR_MEMORY;
        texts->sorted = sorted;
        by_code =
            (nn__text *)nn__grow(texts->by_code, (size_t)texts->count, 0, sizeof *by_code, &room);
        if (!by_code) return NN_ERROR_MEMORY;
        texts->by_code = by_code;
        texts->capacity = (int)room;
    }
    if (!nn__make_room(texts, cell->length)) return NN_ERROR_MEMORY;
    memmove(texts->sorted + at + 1, texts->sorted + at, (size_t)(texts->count - at) * sizeof(int));
    texts->sorted[at] = *code = texts->count++;
    text = &texts->by_code[*code];
    memset(text, 0, sizeof *text);
    text->begin = texts->used;
    text->length = cell->length;
    text->is_number = number != NULL;
    if (number) text->number = *number;
    text->has_value = number || nn__truth(cell) >= 0;
    text->value = number ? value : (nn_real)nn__truth(cell);
    text->place = -1;
    if (cell->length) memcpy(texts->characters + texts->used, cell->text, cell->length);
    texts->used += cell->length;
    texts->numbers += number != NULL;
    return NN_OK;
}

static nn__text *nn__text_of(const nn__dictionary *texts, int code)
{
    return &texts->by_code[code];
}

static nn__cell nn__text_cell(const nn__dictionary *texts, const nn__text *text)
{
    nn__cell cell;

    cell.text = texts->characters + text->begin;
    cell.length = text->length;
    return cell;
}

/* ---- Tables: columns, fields, rows ----------------------------------------------------------- */

/* While a table is read, a cell is its number, or a NaN that says what it is: */
enum { NN__MISSING, NN__UNKNOWN, NN__FIRST_CODE }; /* ... + the code of a text */

/* What the cells of a field are. EITHER is decided after the last row. */
enum { NN__NUMBERS, NN__TEXTS, NN__EITHER };

/* A column that is used: an input or a target. */
typedef struct nn__field {
    nn__dictionary *texts; /* its different texts, NULL where there is none */
    nn__cell name;         /* in the header; or the column's number, in a recipe without one */
    nn_real mean;          /* what a missing number becomes, where imputes is 1 */
    int column;            /* in the file, from 0; -1: not there */
    int place, inputs;     /* the first of its inputs, and how many they are */
    nn__sum sum;           /* of its `numbers` numbers, for the mean */
    int numbers;
    long text_line;       /* of the first cell that is no number; 0: none */
    long missing_line;    /* of the first missing cell; 0: none */
    unsigned char target; /* 1: a target, 0: an input */
    unsigned char kind;   /* NN__NUMBERS, NN__TEXTS or NN__EITHER */
    unsigned char fixed;  /* 1: its texts are given, and others are unknown */
    unsigned char plain;  /* 1: numbers are stored as they are, without a look at the texts */
    unsigned char seen;   /* 1: a cell is not empty, or the column has a name */
    unsigned char has_numbers, has_texts;
    unsigned char imputes;     /* 1: a cell of an input may be missing */
    unsigned char has_missing; /* 1: then it is a category, the last one; else it is none */
} nn__field;

/* Rows as they are read: [room x fields] cells follow the struct. */
typedef struct nn__chunk {
    struct nn__chunk *next;
    size_t rows, room;
} nn__chunk;

typedef struct nn__column_name {
    nn__cell cell;
    int column;
} nn__column_name;

typedef struct nn__table {
    nn_csv_options o;
    const char *recipe; /* of the model or of other data, or NULL */
    nn__parser parser;
    nn_location location;  /* of a failure */
    nn_location first_bad; /* of the first row that was dropped */
    char *first_row;       /* a copy of the first row, which the names point into */
    size_t first_length;
    long first_line;
    nn__cell *names;          /* [cols] the cells of the first row */
    nn__column_name *by_name; /* [2 * cols] the same by their bytes, and room to sort them; NULL
                                 where no name is looked for */
    int *field_of;            /* [cols] the field of each column, -1: none */
    int cols;                 /* columns of the file, up to the last one that is not empty */
    int first_cols;           /* cells of the first row */
    int recipe_cols;          /* columns of the file that the recipe is of */
    char recipe_decimal;      /* its decimal point */
    int header;               /* an nn_csv_header; AUTO: decided after the last row */
    nn__field *fields;        /* [count] the inputs, then the targets */
    int count, targets;       /* targets: how many of them are targets */
    nn__chunk *first, *last;
    size_t rows;
    int dropped, imputed, unknown;
    nn__cell marks[32]; /* [mark_count] of missing values */
    int mark_count;
    int number_marks; /* 1: one of them is a number, with a point or a comma */
    int first_again;  /* 1: the first row is read after the others */
} nn__table;

static nn_real nn__coded(int code)
{
    const nn__bits quiet = (nn__bits)(4 * NN__BIAS + 3) << (NN__MANTISSA - 1);

    return nn__from_bits(quiet | (nn__bits)(unsigned)code);
}

/* Returns what a cell is that is not a number, or -1 for a number. */
NN__HOT int nn__code_of(nn_real cell)
{
    const nn__bits bits = nn__to_bits(cell);

    return bits >> (NN__MANTISSA - 1) == 4 * NN__BIAS + 3 ? (int)(bits & 0xffff) : -1;
}

/* Records where a failure is, what stood there and what was expected, and returns the status. */
static nn_status nn__fail(nn__table *table, nn_status status, const nn__cell *cell,
                          const char *expected)
{
    nn_location *at = &table->location;

    at->line = table->parser.line;
    at->column = table->parser.column;
    nn__copy_text(at->name, sizeof at->name, cell ? cell->text : "", cell ? cell->length : 0);
    nn__copy_text(at->expected, sizeof at->expected, expected, strlen(expected));
    return status;
}

/* The same, where a number of things was expected. */
static nn_status nn__fail_count(nn__table *table, nn_status status, const nn__cell *cell,
                                size_t count, const char *things)
{
    char text[64];
    size_t at = 20;

    do text[--at] = (char)('0' + count % 10);
    while ((count /= 10) != 0);
    memmove(text, text + at, 20 - at);
    nn__copy_text(text + (20 - at), sizeof text - 20, things, strlen(things));
    return nn__fail(table, status, cell, text);
}

static int nn__is_missing(const nn__table *table, const nn__cell *cell)
{
    int i;

    if (!cell->length) return 1;
    for (i = 0; i < table->mark_count; i++)
        if (nn__is_word(cell, table->marks[i].text, table->marks[i].length)) return 1;
    return 0;
}

/* Returns whether a whole cell is a number. */
static int nn__is_number(const nn__table *table, const nn__cell *cell, nn__number *number,
                         nn_real *value)
{
    const char *end = cell->text + cell->length;

    return nn__read_number(cell->text, end, table->parser.decimal, number, value) == end;
}

/* ---- Reading rows ---------------------------------------------------------------------------- */

/* Stores a cell of a field that has texts, as a code. */
static nn_status nn__store_text(nn__table *table, nn__field *field, const nn__cell *cell,
                                const nn__number *number, nn_real value, nn_real *stored)
{
    const int most = field->target ? NN__MOST_CLASSES : NN__MOST_CATEGORIES;
    int found, at = nn__look_up(field->texts, cell, number, &found), code;
    nn_status status;

    *stored = nn__coded(NN__UNKNOWN);
    if (found) {
        code = field->texts->sorted[at];
        *stored = nn__coded(NN__FIRST_CODE + code);
        return table->first_again && !field->fixed ? nn__respell(field->texts, code, cell, value)
                                                   : NN_OK;
    }
    if (field->fixed) return NN_OK;
    if (field->texts && field->texts->count == most) {
        if (field->plain && field->has_numbers) return NN_OK; /* texts will be bad cells here */
        return nn__fail_count(table, field->target ? NN_ERROR_LABEL : NN_ERROR_CSV_TEXT, cell,
                              (size_t)most, " different texts at most");
    }
    status = nn__add_text(&field->texts, cell, number, value, &code);
    if (status == NN_OK) *stored = nn__coded(NN__FIRST_CODE + code);
    return status;
}

/* Returns whether a column that is no target has nothing but empty cells: then it is left out. */
static int nn__is_empty_field(const nn__field *field)
{
    return !field->target && !field->seen && !field->has_numbers;
}

/* Stores a cell of a field: a number, or a code. Where it cannot be used, *bad becomes the reason,
   and the first such cell of a row is recorded; a class that is not one of the given ones is an
   error only in a row that has no other fault. */
static nn_status nn__store_cell(nn__table *table, nn__field *field, const nn__cell *cell,
                                nn_real *stored, nn_status *bad)
{
    const char *expected = field->kind == NN__NUMBERS ? "a number" : "a cell that is not missing";
    nn__number number;
    int truth, found = 0, is_number = nn__is_number(table, cell, &number, stored);

    if (field->target && field->kind != NN__NUMBERS)
        expected = field->kind == NN__TEXTS ? "a class" : "a number or a class";
    /* A class that is listed may be spelled as a mark of missing cells is. A number that only has
       the value of one is missing, as it was when the list was made of the table. */
    if (field->fixed && !is_number) (void)nn__look_up(field->texts, cell, NULL, &found);
    if (!found && nn__is_missing(table, cell)) {
        if (!field->missing_line) field->missing_line = table->parser.line;
        *stored = nn__coded(NN__MISSING);
        if (!cell->length && nn__is_empty_field(field)) return NN_OK;
        field->seen = 1;
        if (!field->target && (table->o.impute || field->imputes)) return NN_OK;
    } else if (is_number && field->kind != NN__TEXTS && field->plain) {
        field->has_numbers = 1;
        return NN_OK;
    } else {
        const nn_real value = *stored;

        field->seen = 1;
        field->has_numbers |= (unsigned char)is_number;
        truth = is_number || (field->target && field->kind != NN__NUMBERS) ? -1 : nn__truth(cell);
        if (truth >= 0 && field->kind == NN__NUMBERS) {
            *stored = (nn_real)truth;
            return NN_OK;
        }
        if (!is_number && truth < 0 && !field->text_line) field->text_line = table->parser.line;
        if (field->kind != NN__NUMBERS && !(cell->length && memchr(cell->text, 0, cell->length))) {
            const nn_status status =
                nn__store_text(table, field, cell, is_number ? &number : NULL, value, stored);
            field->has_texts |= !is_number && truth < 0;
            if (field->kind == NN__EITHER && field->texts && !field->plain &&
                field->texts->numbers > NN__MOST_NUMBERS)
                field->plain = 1;
            if (*bad == NN_OK && field->target && nn__code_of(*stored) == NN__UNKNOWN &&
                field->fixed)
                *bad = nn__fail(table, NN_ERROR_LABEL, cell, "one of the given classes");
            return status;
        }
    }
    if (*bad != NN_ERROR_CSV_NUMBER) *bad = nn__fail(table, NN_ERROR_CSV_NUMBER, cell, expected);
    return NN_OK;
}

/* Reads the row at the parser into cells[count]. *bad says whether, and why, it cannot be used. */
static nn_status nn__read_row(nn__table *table, nn_real *cells, nn_status *bad)
{
    nn__parser *parser = &table->parser;
    int column, last = 0;
    nn__number number;
    nn__cell cell;
    nn_status status;

    *bad = NN_OK;
    nn__begin_cells(parser);
    for (column = 0; !last; column++) {
        const int at = column < table->cols ? table->field_of[column] : -1;
        nn__field *field = at < 0 ? NULL : &table->fields[at];

        if (field && field->plain && !table->number_marks) {
            const char *text = parser->at;
            while (text < parser->row_end && nn__is_blank(*text) && *text != parser->delimiter)
                text++;
            text = nn__read_number(text, parser->row_end, parser->decimal, &number, &cells[at]);
            if (text && nn__end_cell(parser, text, &last)) {
                field->has_numbers = 1;
                continue;
            }
        }
        parser->column = column + 1;
        status = nn__next_cell(parser, &cell, &last);
        if (status != NN_OK) return nn__fail(table, status, &cell, "a delimiter or a line end");
        if (column >= table->cols && cell.length)
            return nn__fail_count(table, NN_ERROR_CSV_CELLS, &cell, (size_t)table->cols, " cells");
        if (!field) continue;
        status = nn__store_cell(table, field, &cell, &cells[at], bad);
        if (status != NN_OK) return status;
    }
    for (; column < table->cols; column++) {
        const int at = table->field_of[column];

        if (table->names[column].length || (at >= 0 && !nn__is_empty_field(&table->fields[at]))) {
            parser->column = column;
            return nn__fail_count(table, NN_ERROR_CSV_CELLS, NULL, (size_t)table->cols, " cells");
        }
        if (at >= 0) cells[at] = nn__coded(NN__MISSING);
    }
    return NN_OK;
}

/* Makes room for one more row, and returns its cells, or NULL when there is no memory. A chunk has
   twice as many rows as the one before, and at most a megabyte. */
static nn_real *nn__new_row(nn__table *table)
{
    const size_t width = (size_t)table->count;
    nn__chunk *chunk = table->last;
    size_t room = chunk ? 2 * chunk->room : 64;

    if (!chunk || chunk->rows == chunk->room) {
        if (room > ((size_t)1 << 20) / sizeof(nn_real) / width)
            room = ((size_t)1 << 20) / sizeof(nn_real) / width + 1;
        chunk = (nn__chunk *)NN_MALLOC(sizeof *chunk + room * width * sizeof(nn_real));
        if (!chunk) return NULL;
        chunk->next = NULL;
        chunk->rows = 0;
        chunk->room = room;
        if (table->last)
            table->last->next = chunk;
        else
            table->first = chunk;
        table->last = chunk;
    }
    return (nn_real *)(void *)(chunk + 1) + chunk->rows * width;
}

/* Counts a row that cannot be used, or returns why when it is not to be dropped. */
static nn_status nn__drop_row(nn__table *table, nn_status bad)
{
    if (bad == NN_OK || bad == NN_ERROR_LABEL || !table->o.drop_bad_rows) return bad;
    if (!table->dropped) table->first_bad = table->location;
    if (table->dropped == INT_MAX) /* unreached: such a file has 4 GB */
        return NN_ERROR_OVERFLOW;  /* unreached: the same */
    table->location.dropped = ++table->dropped;
    return NN_OK;
}

/* Reads all rows behind the parser. */
static nn_status nn__read_rows(nn__table *table)
{
    nn_status status, bad;
    nn_real *cells;
    int found;

    for (;;) {
        status = nn__next_row(&table->parser, &found);
        if (status != NN_OK || !found) return status;
        cells = nn__new_row(table);
        if (!cells) return NN_ERROR_MEMORY;
        status = nn__read_row(table, cells, &bad);
        if (status == NN_OK) status = nn__drop_row(table, bad);
        if (status != NN_OK) return status;
        table->last->rows += bad == NN_OK;
        table->parser.at = table->parser.next_row;
    }
}

/* ---- Headers and lists of columns ------------------------------------------------------------ */

/* Copies the first row and finds its cells. The columns end with the last one that is not empty. */
static nn_status nn__read_first_row(nn__table *table)
{
    nn__parser row = table->parser;
    size_t length = (size_t)(row.row_end - row.at);
    nn_status status;
    int pass, last, count = 0;

    table->first_row = (char *)NN_MALLOC(length + 1);
    if (!table->first_row) return NN_ERROR_MEMORY;
    memcpy(table->first_row, row.at, length);
    table->first_length = length;
    table->first_line = row.line;
    for (pass = 0;; pass++) {
        row.at = table->first_row;
        row.row_end = row.end = row.at + length;
        nn__begin_cells(&row);
        for (count = last = 0; !last; count++) {
            nn__cell cell;
            status = nn__next_cell(&row, &cell, &last);
            table->parser.column = count + 1;
            if (status != NN_OK) return nn__fail(table, status, &cell, "a delimiter or a line end");
            if (count == INT_MAX / 64) return NN_ERROR_OVERFLOW;
            if (pass) table->names[count] = cell;
            if (cell.length && !pass) table->cols = count + 1;
        }
        if (pass) break;
        table->names = (nn__cell *)NN_MALLOC((size_t)count * sizeof(nn__cell));
        table->field_of = (int *)NN_MALLOC((size_t)count * sizeof(int));
        if (!table->names || !table->field_of) return NN_ERROR_MEMORY;
    }
    table->first_cols = count;
    return NN_OK;
}

/* Where the first row ends with empty cells, the rows in the 100 lines behind it may show that
   there are more columns. */
static nn_status nn__look_for_columns(nn__table *table)
{
    nn__parser *const parser = &table->parser, ahead;
    const size_t row_end = (size_t)(parser->row_end - parser->at);
    const size_t next_row = (size_t)(parser->next_row - parser->at);
    size_t from = next_row;
    nn__cell cell;
    int line, column, last, found;

    if (table->cols == table->first_cols) return NN_OK;
    for (line = 0; line < 100; line++) { /* reads them, which may move the first row */
        const char *stop;
        const nn_status status = nn__find_line_end(parser, from, &stop);
        if (status != NN_OK) return status;
        from = (size_t)(stop - parser->at);
        if (stop == parser->end) break;
        from++;
    }
    parser->row_end = parser->at + row_end;
    parser->next_row = parser->at + next_row;
    ahead = *parser;
    ahead.end = ahead.at + from;
#ifndef NN_NO_STDIO
    ahead.file = NULL;
#endif
    while (table->cols < table->first_cols) {
        ahead.at = ahead.next_row;
        (void)nn__next_row(&ahead, &found); /* in memory, which cannot fail */
        if (!found) return NN_OK;
        nn__begin_cells(&ahead);
        for (column = last = 0; !last && column < table->first_cols; column++) {
            if (nn__next_cell(&ahead, &cell, &last) != NN_OK) return NN_OK;
            if (cell.length && column >= table->cols) table->cols = column + 1;
        }
    }
    return NN_OK;
}

/* Returns the whole number that a text is, which may be negative, or 0. */
static int nn__column_number(const nn__cell *text)
{
    const int negative = text->length && *text->text == '-';
    size_t i;
    int number = 0;

    for (i = (size_t)negative; i < text->length; i++) {
        if (text->text[i] < '0' || text->text[i] > '9' || number > INT_MAX / 10 - 1) return 0;
        number = number * 10 + (text->text[i] - '0');
    }
    return negative ? -number : number;
}

/* Gives one item of a list of columns after the other, from a row of CSV. Where it is a number,
   which is not quoted, *number is not 0. Returns 0 at the end. */
static int nn__next_item(nn__parser *list, nn__cell *item, int *number)
{
    const char *begin = list->at;
    int last;

    if (list->column < 0) return 0;
    if (nn__next_cell(list, item, &last) != NN_OK) item->length = 0;
    list->column = last ? -1 : list->column + 1;
    *number = begin < list->row_end && *begin == '"' ? 0 : nn__column_number(item);
    return 1;
}

static nn__parser nn__begin_list(const char *list)
{
    nn__parser parser = nn__parse_text(list ? list : "", list ? strlen(list) : 0);

    parser.row_end = parser.next_row = parser.end;
    parser.column = parser.at == parser.end ? -1 : 0;
    return parser;
}

/* Returns whether a list has a name, so that the table must have a header. */
static int nn__has_names(const char *list)
{
    nn__parser items = nn__begin_list(list);
    nn__cell item;
    int number;

    while (nn__next_item(&items, &item, &number))
        if (!number) return 1;
    return 0;
}

/* What a column is used for, until it has a field. */
enum {
    NN__COLUMN_FREE = -1,
    NN__COLUMN_USED = -2,
    NN__COLUMN_IGNORED = -3,
    NN__COLUMN_TARGET = -4
};

/* Orders names by their bytes, and the same names by their columns, for nn__sort. */
static int nn__compare_names_of_columns(const void *first, const void *second)
{
    const nn__column_name *a = (const nn__column_name *)first;
    const nn__column_name *b = (const nn__column_name *)second;
    const int order = nn__compare_cells(&a->cell, &b->cell);

    return order ? order : a->column - b->column;
}

/* Makes table->by_name, the names of the first row in order; the second half is nn__sort's. */
static nn_status nn__sort_names(nn__table *table)
{
    const size_t size = 2 * sizeof *table->by_name;
    int i;

    if (!table->cols) return NN_OK;
    table->by_name = (nn__column_name *)nn__allocate((size_t)table->cols, size);
    if (!table->by_name) return NN_ERROR_MEMORY;
    for (i = 0; i < table->cols; i++) {
        table->by_name[i].cell = table->names[i];
        table->by_name[i].column = i;
    }
    nn__sort(table->by_name, table->by_name + table->cols, (size_t)table->cols,
             sizeof *table->by_name, nn__compare_names_of_columns);
    return NN_OK;
}

/* Returns the column of an item of a list, or -1. Of several columns of one name it is the first.
   *same becomes the number of columns of the name. */
static int nn__find_column(const nn__table *table, const nn__cell *item, int number, int *same)
{
    int low = 0, high = table->cols, i;

    *same = 1;
    if (number) {
        if (number < 0) number += table->cols + 1;
        return number >= 1 && number <= table->cols ? number - 1 : -1;
    }
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (nn__compare_cells(&table->by_name[middle].cell, item) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (i = low; i < table->cols && nn__same_cell(&table->by_name[i].cell, item);) i++;
    *same = i - low;
    return *same ? table->by_name[low].column : -1;
}

/* Marks the columns of a list. order[cols], which may be NULL, receives their numbers. */
static nn_status nn__mark_columns(nn__table *table, const char *list, int mark, int *order,
                                  int *count)
{
    nn__parser items = nn__begin_list(list);
    nn__cell item;
    int number, column, same;

    for (*count = 0; nn__next_item(&items, &item, &number); ++*count) {
        column = nn__find_column(table, &item, number, &same);
        if (same > 1 || column < 0 || table->field_of[column] != NN__COLUMN_FREE) {
            table->parser.column = 0;
            return nn__fail(table, NN_ERROR_CSV_COLUMN, &item,
                            same > 1     ? "a name that occurs once, or a number"
                            : column < 0 ? "the name or the number of a column"
                                         : "a column that is listed once");
        }
        table->field_of[column] = mark;
        if (order) order[*count] = column;
    }
    return NN_OK;
}

/* Makes room for the fields of a table. */
static nn_status nn__allocate_fields(nn__table *table, int count)
{
    if (count < 1) return NN_ERROR_CSV_CELLS;
    table->fields = (nn__field *)nn__allocate((size_t)count, sizeof(nn__field));
    if (!table->fields) return NN_ERROR_MEMORY;
    memset(table->fields, 0, (size_t)count * sizeof(nn__field));
    table->count = count;
    return NN_OK;
}

/* Connects a field with a column. */
static void nn__set_column(nn__table *table, int at, int column)
{
    table->fields[at].column = column;
    if (!table->recipe) table->fields[at].seen = table->names[column].length > 0;
    table->field_of[column] = at;
}

/* Fills a dictionary with the classes that the caller gives, whose quotes become two each. */
static nn_status nn__give_classes(nn__field *field, const nn_csv_options *o)
{
    const char decimal = (char)(o->decimal ? o->decimal : '.');
    nn_status status = NN_OK;
    int c, code;

    for (c = 0; c < o->classes && status == NN_OK; c++) {
        const char *name = o->class_names[c], *at;
        char *text = (char *)NN_MALLOC(2 * strlen(name) + 1);
        nn__number number;
        nn__cell cell;
        nn_real value = 0;
        int is_number;

        if (!text) return NN_ERROR_MEMORY;
        cell.text = text;
        cell.length = 0;
        for (at = name; *at; at++) {
            if (*at == '"') text[cell.length++] = '"';
            text[cell.length++] = *at;
        }
        at = text + cell.length;
        is_number = nn__read_number(text, at, decimal, &number, &value) == at;
        status = nn__add_text(&field->texts, &cell, is_number ? &number : NULL, value, &code);
        NN_FREE(text);
        if (status == NN_OK && code != c) status = NN_ERROR_OPTION; /* it is there twice */
    }
    field->fixed = 1;
    return status;
}

/* Chooses the fields by the options: the inputs in the order of the file, and the targets in the
   order of the list. order[cols] is for use here. */
static nn_status nn__choose_columns(nn__table *table, int *order)
{
    const nn_csv_options *o = &table->o;
    const int wanted = o->use ? NN__COLUMN_USED : NN__COLUMN_FREE;
    int i, at, count, inputs = 0;
    nn_status status;

    for (i = 0; i < table->cols; i++) table->field_of[i] = NN__COLUMN_FREE;
    status = nn__mark_columns(table, o->target, NN__COLUMN_TARGET, order, &table->targets);
    if (status == NN_OK)
        status = nn__mark_columns(table, o->ignore, NN__COLUMN_IGNORED, NULL, &count);
    if (status == NN_OK && !o->target) {
        table->targets = o->targets ? o->targets : 1;
        for (i = table->cols - 1, count = table->targets; i >= 0 && count > 0; i--) {
            if (table->field_of[i] != NN__COLUMN_FREE) continue;
            table->field_of[i] = NN__COLUMN_TARGET;
            if (--count < table->cols) order[count] = i;
        }
    }
    if (status == NN_OK) status = nn__mark_columns(table, o->use, NN__COLUMN_USED, NULL, &count);
    if (status != NN_OK) return status;
    for (i = 0; i < table->cols; i++) inputs += table->field_of[i] == wanted;
    table->parser.column = table->first_cols;
    if (inputs < 1)
        return nn__fail_count(table, NN_ERROR_CSV_CELLS, NULL, (size_t)table->targets + 1,
                              " columns at least");
    status = nn__allocate_fields(table, inputs + table->targets);
    if (status != NN_OK) return status;
    for (i = at = 0; i < table->cols; i++)
        if (table->field_of[i] == wanted)
            nn__set_column(table, at++, i);
        else if (table->field_of[i] != NN__COLUMN_TARGET)
            table->field_of[i] = -1;
    for (i = 0; i < table->targets; i++) nn__set_column(table, at++, order[i]);
    return NN_OK;
}

/* Says what the cells of the chosen fields may be. */
static nn_status nn__choose_kinds(nn__table *table)
{
    const nn_csv_options *o = &table->o;
    const int classes = o->labels || o->class_names;
    int i;

    if (classes && table->targets > 1) return NN_ERROR_OPTION; /* a list of several */
    for (i = 0; i < table->count; i++) {
        nn__field *field = &table->fields[i];

        field->target = i >= table->count - table->targets;
        field->kind = NN__NUMBERS;
        if (field->target ? table->targets == 1 : o->text_columns) field->kind = NN__EITHER;
        if (field->target && classes) field->kind = NN__TEXTS;
        field->plain = field->kind == NN__NUMBERS || (field->target && !classes);
        if (field->target && o->class_names) {
            const nn_status status = nn__give_classes(field, o);
            if (status != NN_OK) return status;
        }
    }
    return NN_OK;
}

/* Whether the first row is a header: what its cells are says yes or no, or AUTO, when only the rows
   behind it can decide. */
static int nn__guess_header(const nn__table *table)
{
    int i, numbers = 0, names = 0, words = 0, target_name = 0;

    for (i = 0; i < table->count; i++) {
        const nn__field *field = &table->fields[i];
        const nn__cell *cell = &table->names[field->column];
        nn__number number;
        nn_real value;
        const int is_number = nn__is_number(table, cell, &number, &value);
        const int is_name = !is_number && !nn__is_missing(table, cell);

        if (field->target) {
            target_name |= is_name;
            continue;
        }
        numbers += is_number;
        names += is_name;
        words += is_name && nn__truth(cell) >= 0;
    }
    if (names > words && !numbers)
        return table->o.text_columns ? NN_CSV_HEADER_AUTO : NN_CSV_HEADER_YES;
    return target_name ? NN_CSV_HEADER_AUTO : NN_CSV_HEADER_NO;
}

/* Decides it after the last row. The first row is a header when it has a name above a target or,
   with text_columns, above an input whose cells are all numbers. Otherwise, where all of it is
   text, it is a header when none of its texts occurs again in its column. */
static int nn__is_header(const nn__table *table)
{
    int i, numbers = 0, again = 0;

    for (i = 0; i < table->count; i++) {
        const nn__field *field = &table->fields[i];
        const nn__cell *cell = &table->names[field->column];
        nn__number number;
        nn_real value;
        int found = 0;

        if (nn__is_number(table, cell, &number, &value)) {
            numbers += !field->target;
            continue;
        }
        if (nn__is_missing(table, cell)) continue;
        if (field->has_numbers && !field->text_line && (field->target || table->o.text_columns))
            return 1;
        (void)nn__look_up(field->texts, cell, NULL, &found);
        again += found;
    }
    return !numbers && !again && table->o.text_columns;
}

/* Names the fields after the first row, which is a header. */
static nn_status nn__name_fields(nn__table *table)
{
    int i;

    for (i = 0; i < table->count; i++) {
        nn__field *field = &table->fields[i];

        if (field->column >= 0) field->name = table->names[field->column];
    }
    if (!memchr(table->first_row, 0, table->first_length)) return NN_OK;
    table->parser.line = table->first_line;
    return nn__fail(table, NN_ERROR_CSV_COLUMN, NULL, "names without a zero byte");
}

/* The first row, whose header was AUTO, is data: reads it from its copy into cells[]. */
static nn_status nn__read_first_again(nn__table *table, nn_real *cells, nn_status *bad)
{
    const nn__parser parser = table->parser;
    nn_status status;

    table->parser.at = table->first_row;
    table->parser.row_end = table->parser.end = table->first_row + table->first_length;
    table->parser.line = table->first_line;
    table->first_again = 1;
    status = nn__read_row(table, cells, bad);
    table->parser = parser;
    return status;
}

/* ---- After the last row ---------------------------------------------------------------------- */

/* Returns whether the targets can be read: a table that is read by a recipe may have none. */
static int nn__has_target_columns(const nn__table *table)
{
    const nn__field *target = table->fields + table->count - 1;

    return table->targets && target->column >= 0;
}

/* Completes a cell, now that the kind of its field is known. Returns 0 when it cannot be used. */
static int nn__settle_cell(const nn__table *table, const nn__field *field, nn_real *cell)
{
    const int code = nn__code_of(*cell);
    const nn__text *text;

    if (code < 0) return 1;
    if (code == NN__MISSING) return table->o.impute || field->imputes; /* no target is missing */
    if (code == NN__UNKNOWN) return field->fixed;
    if (field->kind == NN__TEXTS) return 1;
    text = nn__text_of(field->texts, code - NN__FIRST_CODE);
    *cell = text->value;
    return text->has_value;
}

/* Records where a row is that cannot be used, because of what was read before it was known. */
static void nn__locate_bad_cell(nn__table *table, const nn__field *field, nn_real stored,
                                const char *expected)
{
    const int missing = nn__code_of(stored) == NN__MISSING;
    nn__cell cell = {"", 0};
    int i;

    table->parser.line = missing ? field->missing_line : field->text_line;
    table->parser.column = field->column + 1;
    for (i = 0; field->texts && !missing && i < field->texts->count; i++)
        if (!nn__text_of(field->texts, i)->has_value) {
            cell = nn__text_cell(field->texts, nn__text_of(field->texts, i));
            break; /* the first one that was met */
        }
    (void)nn__fail(table, NN_OK, &cell, expected);
}

/* Returns whether all texts of a field are numbers with the other decimal point. */
static int nn__is_misread(const nn__table *table, const nn__field *field)
{
    const char other = table->parser.decimal == ',' ? '.' : ',';
    int i;

    for (i = 0; i < field->texts->count; i++) {
        const nn__text *text = nn__text_of(field->texts, i);
        const nn__cell cell = nn__text_cell(field->texts, text);
        const char *end = cell.text + cell.length;
        nn__number number;
        nn_real value;

        if (text->is_number) continue;
        if (nn__read_number(cell.text, end, other, &number, &value) != end) return 0;
    }
    return 1;
}

/* Decides what the cells of each field are. An input is categories when it has text and at most
   NN__MOST_NUMBERS different numbers; a target is classes when it has text and no number. Texts
   that are numbers with the other decimal point are an error. */
static nn_status nn__decide_kinds(nn__table *table)
{
    int i;

    for (i = 0; i < table->count; i++) {
        nn__field *field = &table->fields[i];
        const int texts = field->has_texts && !(field->plain && field->has_numbers);

        if (field->kind != NN__EITHER) continue;
        field->kind = texts ? NN__TEXTS : NN__NUMBERS;
        if (!texts || !nn__is_misread(table, field)) continue;
        nn__locate_bad_cell(table, field, nn__coded(NN__UNKNOWN),
                            "a number: is the decimal point right?");
        return NN_ERROR_CSV_NUMBER;
    }
    return NN_OK;
}

/* Counts a cell of a row that is used: texts, and for the mean numbers. */
static void nn__count_cell(const nn__table *table, nn__field *field, nn_real cell)
{
    const int code = nn__code_of(cell);

    if (code >= NN__FIRST_CODE) nn__text_of(field->texts, code - NN__FIRST_CODE)->uses++;
    if (!table->o.impute || field->fixed) return;
    if (code == NN__MISSING) field->has_missing = field->kind == NN__TEXTS;
    if (code >= 0 || field->target) return;
    nn__add(&field->sum, cell);
    field->numbers++;
}

/* Completes all rows and drops those that cannot be used. */
static nn_status nn__settle_rows(nn__table *table)
{
    const size_t width = (size_t)table->count;
    const int count = nn__has_target_columns(table) ? table->count : table->count - table->targets;
    nn__chunk *chunk;
    nn_status status;

    table->rows = 0;
    for (chunk = table->first; chunk; chunk = chunk->next) {
        nn_real *const cells = (nn_real *)(void *)(chunk + 1);
        size_t r, kept = 0;

        for (r = 0; r < chunk->rows; r++) {
            nn_real *row = cells + r * width;
            int i, bad = -1;

            for (i = 0; i < count && bad < 0; i++) {
                const nn__field *field = &table->fields[i];
                const nn_real stored = row[i];
                if (nn__settle_cell(table, field, &row[i]) || nn__is_empty_field(field)) continue;
                nn__locate_bad_cell(table, field, stored,
                                    field->kind == NN__TEXTS ? "a cell that is not missing"
                                                             : "a number");
                bad = i;
            }
            if (bad >= 0) {
                status = nn__drop_row(table, NN_ERROR_CSV_NUMBER);
                if (status != NN_OK) return status;
                continue;
            }
            for (i = 0; i < count; i++) nn__count_cell(table, &table->fields[i], row[i]);
            if (r > kept) memmove(cells + kept * width, row, width * sizeof(nn_real));
            kept++;
        }
        chunk->rows = kept;
        table->rows += kept;
    }
    if (table->rows > INT_MAX) return NN_ERROR_OVERFLOW; /* unreached: such a file has 4 GB */
    if (table->rows) return NN_OK;
    if (table->dropped) {
        const int dropped = table->dropped;
        table->location = table->first_bad;
        table->location.dropped = dropped;
    } else {
        (void)nn__fail(table, NN_OK, NULL, "a row of data");
    }
    return NN_ERROR_CSV_EMPTY;
}

/* The mean of the numbers of an input becomes what its missing cells are. */
static nn_status nn__find_mean(nn__table *table, nn__field *field)
{
    /* never -0, which a recipe cannot give back */
    field->mean = field->numbers ? 0 + nn__total(&field->sum) / (nn_real)field->numbers : 0;
    if (field->numbers && nn__is_finite(field->mean)) return NN_OK;
    table->parser.line = field->missing_line;
    table->parser.column = field->column + 1;
    return nn__fail(table, NN_ERROR_CSV_NUMBER, NULL, "a number in one of the rows");
}

/* Returns text k of a field, in the order of the categories or classes. */
static nn__text *nn__text_at(const nn__field *field, int k)
{
    return nn__text_of(field->texts, field->fixed ? k : field->texts->sorted[k]);
}

/* Gives each input its place, and each text its place among the classes or categories. */
static nn_status nn__place_fields(nn__table *table, int *inputs)
{
    nn_status status;
    int i, k;

    *inputs = 0;
    for (i = 0; i < table->count; i++) {
        nn__field *field = &table->fields[i];
        nn__dictionary *texts = field->texts;
        int places = 0;

        for (k = 0; texts && k < texts->count; k++) {
            nn__text *text = nn__text_at(field, k);
            if (field->kind == NN__TEXTS && (field->fixed || text->uses)) text->place = places++;
        }
        if (table->o.impute && !field->target) {
            field->imputes = 1;
            status = field->kind == NN__NUMBERS && !nn__is_empty_field(field)
                         ? nn__find_mean(table, field)
                         : NN_OK;
            if (status != NN_OK) return status;
        }
        field->place = *inputs;
        field->inputs = field->kind == NN__TEXTS ? places + field->has_missing : 1;
        if (!field->target && nn__is_empty_field(field)) field->inputs = 0;
        if (field->target) continue;
        if (field->inputs > INT_MAX - *inputs) /* unreached: the texts need 2 GB */
            return NN_ERROR_OVERFLOW;          /* unreached: the same */
        *inputs += field->inputs;
    }
    return NN_OK;
}

/* Fills x[inputs] of a row from its cells. */
static void nn__fill_inputs(nn__table *table, const nn_real *cells, nn_real *x)
{
    const int count = table->count - table->targets;
    int i, k;

    for (i = 0; i < count; i++) {
        const nn__field *field = &table->fields[i];
        const int code = nn__code_of(cells[i]);

        if (code < 0) {
            x[field->place] = cells[i];
            continue;
        }
        if (!field->inputs) continue;
        if (field->kind == NN__NUMBERS) {
            x[field->place] = field->mean;
            table->imputed++;
            continue;
        }
        for (k = 0; k < field->inputs; k++) x[field->place + k] = 0;
        k = -1;
        if (code == NN__MISSING && field->has_missing) k = field->inputs - 1;
        if (code >= NN__FIRST_CODE) k = nn__text_of(field->texts, code - NN__FIRST_CODE)->place;
        if (k >= 0) x[field->place + k] = 1;
        table->unknown += k < 0;
        table->imputed += code == NN__MISSING && k >= 0;
    }
}

/* Writes a text to to[], or only counts its characters where to is NULL. */
static void nn__put(char *to, size_t *size, const char *text, size_t length)
{
    if (to) memcpy(to + *size, text, length);
    *size += length;
}

static void nn__put_number(char *to, size_t *size, int number)
{
    char digits[12];
    int at = sizeof digits;

    do digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    nn__put(to, size, digits + at, sizeof digits - (size_t)at);
}

/* Writes the name of an input of a field, and a 0: name, name=text or, without a header, x1=text.
   number is the field's, without the empty ones, which are not in the recipe. text is the category,
   or NULL where it is the missing cells. */
static void nn__put_input_name(const nn__table *table, const nn__field *field, int number,
                               const nn__text *text, char *to, size_t *size)
{
    if (table->header == NN_CSV_HEADER_YES) {
        *size += nn__cell_text(&field->name, to ? to + *size : NULL);
    } else {
        nn__put(to, size, "x", 1);
        nn__put_number(to, size, number);
    }
    if (field->kind == NN__TEXTS) {
        nn__put(to, size, "=", 1);
        if (text) {
            const nn__cell cell = nn__text_cell(field->texts, text);
            *size += nn__cell_text(&cell, to ? to + *size : NULL);
        } else {
            nn__put(to, size, "(missing)", 9);
        }
    }
    nn__put(to, size, "", 1);
}

/* Writes the names of all inputs to the list, or only counts their characters where it is NULL. */
static size_t nn__name_inputs(const nn__table *table, const char *const *names, int inputs)
{
    char *to = names ? nn__name_text(names, inputs) : NULL;
    size_t size = 0;
    int i, k, c, at = 0, number = 0;

    for (i = 0; i < table->count - table->targets; i++) {
        const nn__field *field = &table->fields[i];
        const int count = field->texts ? field->texts->count : 0;

        number += field->inputs > 0;
        for (k = c = 0; k < field->inputs; k++) {
            const nn__text *text = NULL;

            for (; c < count && !text; c++) /* the places are in the order of the texts */
                if (nn__text_at(field, c)->place == k) text = nn__text_at(field, c);
            if (names) nn__set_name(names, at++, to + size);
            nn__put_input_name(table, field, number, text, to, &size);
        }
    }
    return size;
}

/* The same for the classes. */
static size_t nn__name_classes(const nn__field *target, const char *const *names)
{
    char *to = names ? nn__name_text(names, target->inputs) : NULL;
    size_t size = 0;
    int i;

    for (i = 0; i < target->texts->count; i++) {
        const nn__text *text = nn__text_at(target, i);
        const nn__cell cell = nn__text_cell(target->texts, text);

        if (text->place < 0) continue;
        if (names) nn__set_name(names, text->place, to + size);
        size += nn__cell_text(&cell, to ? to + size : NULL);
        nn__put(to, &size, "", 1);
    }
    return size;
}

/* ---- Recipes --------------------------------------------------------------------------------- */

/* A recipe says how a table was read, so that another one can be read in the same way. It is CSV:

       table,3,header,",",.           columns; header or numbers; delimiter; decimal point
       missing,NA,-999                marks of missing cells, where the caller gave them
       number,weight,71.25            an input, and its mean for missing cells or nothing
       text,colour,blue,red           an input that is categories; a missing cell is a bad one
       text or unknown,taste,salt     the same; a missing cell is no category, but not a bad one
       text or missing,shape,flat     the same; a missing cell is a category too, the last one
       target,price                   a number to predict
       class,species,cat,dog          a class to predict

   Without a header, columns are numbers from 1. The lines are in the order of the inputs. */

/* Writes a comma and a cell, in quotes where it needs them. In a cell's text two quotes already
   stand for one. */
static void nn__put_cell(char *to, size_t *size, const char *text, size_t length)
{
    size_t i;
    int quoted = length && (nn__is_blank(text[0]) || nn__is_blank(text[length - 1]));

    for (i = 0; i < length; i++)
        quoted |= text[i] == ',' || text[i] == '"' || text[i] == '\n' || text[i] == '\r';
    nn__put(to, size, ",", 1);
    if (quoted) nn__put(to, size, "\"", 1);
    nn__put(to, size, text, length);
    if (quoted) nn__put(to, size, "\"", 1);
}

static void nn__put_column(const nn__table *table, const nn__field *field, char *to, size_t *size)
{
    if (table->header == NN_CSV_HEADER_YES) {
        nn__put_cell(to, size, field->name.text, field->name.length);
    } else {
        nn__put(to, size, ",", 1);
        nn__put_number(to, size, field->column + 1);
    }
}

/* Writes the line of a field. */
static void nn__put_field(const nn__table *table, const nn__field *field, char *to, size_t *size)
{
    static const char *const inputs[] = {"number", "text", "text or unknown", "text or missing"};
    static const char *const targets[] = {"target", "class"};
    const int texts = field->kind == NN__TEXTS;
    const char *kind = field->target ? targets[texts]
                                     : inputs[texts ? 1 + field->imputes + field->has_missing : 0];
    int i;

    nn__put(to, size, kind, strlen(kind));
    nn__put_column(table, field, to, size);
    if (!texts && field->imputes) {
        char text[NN__DECIMAL_ROOM];
        nn__put(to, size, ",", 1);
        nn__put(to, size, text, to ? (size_t)nn__write_decimal(text, field->mean) : sizeof text);
    }
    for (i = 0; texts && i < field->texts->count; i++) {
        const nn__cell cell = nn__text_cell(field->texts, nn__text_at(field, i));
        if (nn__text_at(field, i)->place >= 0) nn__put_cell(to, size, cell.text, cell.length);
    }
    nn__put(to, size, "\n", 1);
}

/* Writes the recipe of a table that was read, and a 0. Where `to` is NULL it only counts the
   characters, as if each mean were as long as a number can be. */
static size_t nn__put_recipe(const nn__table *table, char *to)
{
    size_t size = 0;
    int i;

    nn__put(to, &size, "table,", 6);
    nn__put_number(to, &size, table->cols);
    if (table->header == NN_CSV_HEADER_YES)
        nn__put(to, &size, ",header", 7);
    else
        nn__put(to, &size, ",numbers", 8);
    nn__put_cell(to, &size, &table->parser.delimiter, 1);
    nn__put_cell(to, &size, &table->parser.decimal, 1);
    nn__put(to, &size, "\n", 1);
    if (table->o.missing) {
        nn__put(to, &size, "missing", 7);
        for (i = 0; i < table->mark_count; i++)
            nn__put_cell(to, &size, table->marks[i].text, table->marks[i].length);
        nn__put(to, &size, "\n", 1);
    }
    for (i = 0; i < table->count; i++)
        if (table->fields[i].inputs) nn__put_field(table, &table->fields[i], to, &size);
    nn__put(to, &size, "", 1);
    return size;
}

/* Sets the marks of missing cells to the rest of a row. */
static nn_status nn__set_marks(nn__table *table, nn__parser *row)
{
    nn__cell *mark;
    const char *end;
    nn__number number;
    nn_real value;
    int last = 0;

    for (table->mark_count = 0; !last;) {
        if (table->mark_count == NN__COUNT(table->marks)) return NN_ERROR_OPTION;
        mark = &table->marks[table->mark_count++];
        if (nn__next_cell(row, mark, &last) != NN_OK) return NN_ERROR_OPTION;
        end = mark->text + mark->length;
        table->number_marks |= nn__read_number(mark->text, end, '.', &number, &value) == end ||
                               nn__read_number(mark->text, end, ',', &number, &value) == end;
    }
    return NN_OK;
}

/* Reads one line of a recipe into the next field; the text of a recipe outlives the table. */
static nn_status nn__read_recipe_line(nn__table *table, nn__parser *line, const nn__cell *kind)
{
    nn__field *field = &table->fields[table->count++];
    nn__cell cell;
    nn_status status = NN_OK;
    int last = 0, code = 0;

    memset(field, 0, sizeof *field);
    field->target =
        (unsigned char)(nn__is_word(kind, "target", 6) || nn__is_word(kind, "class", 5));
    field->seen = !field->target;
    field->has_missing = (unsigned char)nn__is_word(kind, "text or missing", 15);
    field->imputes =
        (unsigned char)(field->has_missing || nn__is_word(kind, "text or unknown", 15));
    field->kind = NN__NUMBERS;
    if (nn__is_word(kind, "class", 5) || nn__is_word(kind, "text", 4) || field->imputes)
        field->kind = NN__TEXTS;
    else if (!field->target && !nn__is_word(kind, "number", 6))
        return NN_ERROR_METADATA;
    field->plain = field->kind == NN__NUMBERS;
    field->fixed = !field->plain;
    if (nn__next_cell(line, &field->name, &last) != NN_OK) return NN_ERROR_METADATA;
    while (!last && status == NN_OK) {
        nn__number number;
        nn_real value = 0;
        int is_number;

        if (nn__next_cell(line, &cell, &last) != NN_OK) return NN_ERROR_METADATA;
        table->parser.decimal = (char)(field->plain ? '.' : table->recipe_decimal);
        is_number = nn__is_number(table, &cell, &number, &value);
        if (field->plain) {
            if (field->imputes || field->target || !is_number) return NN_ERROR_METADATA;
            field->imputes = 1;
            field->mean = value;
        } else {
            const int before = field->texts ? field->texts->count : 0;
            if (before == (field->target ? NN__MOST_CLASSES : NN__MOST_CATEGORIES))
                return NN_ERROR_METADATA;
            status = nn__add_text(&field->texts, &cell, is_number ? &number : NULL, value, &code);
            if (status == NN_OK && code != before) return NN_ERROR_METADATA;
        }
    }
    table->targets += field->target;
    return table->targets && !field->target ? NN_ERROR_METADATA : status;
}

/* Returns the outputs of what has the recipe: the model, or the other data. */
static int nn__recipe_outputs(const nn__table *table)
{
    return table->o.model ? nn__outputs(table->o.model) : table->o.like->outputs;
}

/* Reads the fields of table->recipe. More targets than outputs are refused here, because they may
   be absent in the table, and each row would have room for them. */
static nn_status nn__read_recipe(nn__table *table)
{
    nn__parser line = nn__parse_text(table->recipe, strlen(table->recipe));
    const char *c;
    nn__cell cell;
    nn_status status;
    int line_count = 0, found = 0, last = 0, i, number;

    for (c = line.at; c < line.end; c++)
        line_count += *c == '\n' && line_count < INT_MAX; /* unreached: a text of 2 GB */
    status = nn__allocate_fields(table, line_count);
    table->count = 0;
    if (status == NN_OK) status = nn__next_row(&line, &found);
    if (status != NN_OK) return status == NN_ERROR_MEMORY ? status : NN_ERROR_METADATA;
    for (i = 0; found && i < 5; i++) {
        if (!nn__next_item(&line, &cell, &number)) return NN_ERROR_METADATA;
        if (i == 0 && !nn__is_word(&cell, "table", 5)) return NN_ERROR_METADATA;
        if (i == 1) table->recipe_cols = number;
        if (i == 2)
            table->header = nn__is_word(&cell, "header", 6) ? NN_CSV_HEADER_YES : NN_CSV_HEADER_NO;
        if (i == 3 && (*cell.text == '\n' || *cell.text == '\r')) return NN_ERROR_METADATA;
        if (i == 3 && cell.length == 1 && !table->o.delimiter) table->o.delimiter = *cell.text;
        if (i == 4 && cell.length == 1) table->recipe_decimal = *cell.text;
    }
    if (table->recipe_decimal != '.' && table->recipe_decimal != ',') return NN_ERROR_METADATA;
    if (!table->o.decimal) table->o.decimal = table->recipe_decimal;
    for (line.at = line.next_row;; line.at = line.next_row) {
        (void)nn__next_row(&line, &found);
        if (!found) break;
        if (nn__next_cell(&line, &cell, &last) != NN_OK || last) return NN_ERROR_METADATA;
        if (nn__is_word(&cell, "missing", 7))
            status = nn__set_marks(table, &line);
        else
            status = nn__read_recipe_line(table, &line, &cell);
        if (status != NN_OK) return status;
    }
    if (table->recipe_cols < 1 || table->count == table->targets) return NN_ERROR_METADATA;
    return table->targets > nn__recipe_outputs(table) ? NN_ERROR_SHAPE : NN_OK;
}

/* Sets *before[1 ... recipe_cols], which the caller frees, to how many targets a recipe without a
   header has in columns before each one. */
static nn_status nn__count_targets_before(const nn__table *table, int **before)
{
    const size_t count = (size_t)table->recipe_cols + 1;
    int i, number, sum = 0;

    *before = (int *)nn__allocate(count, sizeof(int));
    if (!*before) return NN_ERROR_MEMORY;
    memset(*before, 0, count * sizeof(int));
    for (i = table->count - table->targets; i < table->count; i++) {
        number = nn__column_number(&table->fields[i].name);
        if (number >= 1 && number <= table->recipe_cols) (*before)[number] = 1;
    }
    for (i = 1; i <= table->recipe_cols; i++) {
        const int is_target = (*before)[i];
        (*before)[i] = sum;
        sum += is_target;
    }
    return NN_OK;
}

/* Finds the columns of the recipe's fields in the file, where their names must occur once. All
   targets may be absent; before is then NULL or as nn__count_targets_before made it. */
static nn_status nn__match_fields(nn__table *table, const int *before)
{
    const int named = table->header == NN_CSV_HEADER_YES;
    int i, number, column, same, absent = 0;

    for (i = 0; i < table->count; i++) {
        nn__field *field = &table->fields[i];

        field->column = -1;
        if (field->target && (table->o.target || before)) continue;
        number = named ? 0 : nn__column_number(&field->name);
        if (!named && (number < 1 || number > table->recipe_cols)) return NN_ERROR_METADATA;
        if (before) number -= before[number];
        column = nn__find_column(table, &field->name, number, &same);
        if (column < 0 && field->target) {
            absent++;
            continue;
        }
        if (same > 1 || column < 0 || absent) {
            table->parser.column = 0;
            return nn__fail(table, NN_ERROR_CSV_COLUMN, &field->name,
                            same > 1 ? "a name that occurs once" : "a column of this name");
        }
        if (table->field_of[column] != NN__COLUMN_FREE) return NN_ERROR_METADATA;
        nn__set_column(table, i, column);
    }
    return NN_OK;
}

static nn_status nn__match_columns(nn__table *table)
{
    const int named = table->header == NN_CSV_HEADER_YES;
    const int without = !named && table->cols == table->recipe_cols - table->targets;
    int *before = NULL, i;
    nn_status status = NN_OK;

    for (i = 0; i < table->cols; i++) table->field_of[i] = NN__COLUMN_FREE;
    if (!named && !without && table->cols != table->recipe_cols)
        return nn__fail_count(table, NN_ERROR_CSV_CELLS, NULL, (size_t)table->recipe_cols,
                              " cells");
    if (without) status = nn__count_targets_before(table, &before);
    if (status == NN_OK) status = nn__match_fields(table, before);
    if (before) NN_FREE(before);
    return status;
}

/* ---- Reading a table ------------------------------------------------------------------------- */

/* Fills labels or y of data from the cells of the targets. */
static void nn__fill_targets(const nn__table *table, const nn_real *cells, nn_data *data,
                             size_t row)
{
    const int first = table->count - table->targets;
    int i;

    if (data->labels) {
        const nn__dictionary *texts = table->fields[first].texts;
        const int code = nn__code_of(cells[first]) - NN__FIRST_CODE;
        nn__writable_labels(data->labels)[row] = nn__text_of(texts, code)->place;
    }
    for (i = 0; data->y && i < table->targets; i++)
        nn__writable(data->y)[row * (size_t)table->targets + (size_t)i] = cells[first + i];
}

/* Fills the arrays of data from the rows, and frees the rows one chunk after the other. */
static void nn__fill_data(nn__table *table, nn_data *data)
{
    nn_real *x = nn__writable(data->x);
    size_t row = 0, r;

    while (table->first) {
        nn__chunk *chunk = table->first;
        const nn_real *cells = (const nn_real *)(const void *)(chunk + 1);

        for (r = 0; r < chunk->rows; r++, row++, cells += table->count) {
            nn__fill_inputs(table, cells, x + row * (size_t)data->inputs);
            nn__fill_targets(table, cells, data, row);
        }
        table->first = chunk->next;
        NN_FREE(chunk);
    }
    data->imputed = table->imputed;
    data->unknown = table->unknown;
}

/* Checks that a table that was read by a recipe fits the model or the data of the recipe. Two
   classes are one output or two. */
static nn_status nn__check_recipe_sizes(const nn__table *table, nn_data *data)
{
    const nn_model *model = table->o.model;
    const nn_data *like = table->o.like;
    const int inputs = model ? model->inputs : like ? like->inputs : data->inputs;
    const int outputs = model || like ? nn__recipe_outputs(table) : data->outputs;

    if (data->classes == 2 && outputs == 2) data->outputs = 2;
    return data->inputs == inputs && data->outputs == outputs ? NN_OK : NN_ERROR_SHAPE;
}

/* Makes data from the rows and the fields. */
static nn_status nn__make_data(nn__table *table, nn_data *data)
{
    const nn__field *target = table->fields + table->count - 1;
    const int given = nn__has_target_columns(table);
    nn__data_contents contents;
    nn_status status = nn__place_fields(table, &data->inputs);

    if (status != NN_OK) return status;
    if (data->inputs < 1) return NN_ERROR_CSV_CELLS;
    memset(&contents, 0, sizeof contents);
    data->rows = (int)table->rows;
    data->dropped = table->dropped;
    data->outputs = table->targets;
    if (table->targets && target->kind == NN__TEXTS) {
        if (target->inputs < 2) {
            table->parser.line = 0;
            table->parser.column = target->column + 1;
            return nn__fail(table, NN_ERROR_LABEL, NULL, "two classes or more");
        }
        data->classes = target->inputs;
        data->outputs = data->classes == 2 ? 1 : data->classes;
        contents.labels = given;
        contents.class_characters = nn__name_classes(target, NULL);
    } else {
        contents.y = given;
    }
    status = nn__check_recipe_sizes(table, data);
    if (status != NN_OK) return status;
    contents.input_characters = nn__name_inputs(table, NULL, data->inputs);
    contents.recipe_characters =
        table->recipe ? strlen(table->recipe) + 1 : nn__put_recipe(table, NULL);
    status = nn__allocate_data(data, &contents);
    if (status != NN_OK) return status;
    nn__fill_data(table, data);
    (void)nn__name_inputs(table, data->input_names, data->inputs);
    if (data->classes) (void)nn__name_classes(target, data->class_names);
    if (table->recipe)
        memcpy(nn__writable_text(data->recipe), table->recipe, contents.recipe_characters);
    else
        (void)nn__put_recipe(table, nn__writable_text(data->recipe));
    table->parser.line = table->parser.column = 0;
    return nn__is_utf8(data->recipe) ? NN_OK
                                     : nn__fail(table, NN_ERROR_CSV_ENCODING, NULL, "UTF-8");
}

/* Finds out how lines end: with CR alone when that is the first line end outside quotes. */
static nn_status nn__find_line_ends(nn__parser *parser)
{
    const char first = (char)(parser->at < parser->end ? *parser->at : 0);
    const int comment = parser->comment && first && strchr(parser->comment, first);
    int inside = 0;
    size_t i;

    for (i = 0;; i++) {
        if (i + 1 >= (size_t)(parser->end - parser->at)) { /* a CR needs the character behind it */
            const nn_status status = nn__read_more(parser);
            if (status != NN_OK || parser->at + i == parser->end) return status;
        }
        inside ^= parser->at[i] == '"' && !comment;
        if (!inside && (parser->at[i] == '\n' || parser->at[i] == '\r')) break;
    }
    if (parser->at[i] == '\r' && (parser->at + i + 1 == parser->end || parser->at[i + 1] != '\n'))
        parser->line_end = '\r';
    return NN_OK;
}

/* Skips the byte order mark of UTF-8, refuses UTF-16, and finds out how lines end. */
static nn_status nn__begin_text(nn__table *table)
{
    nn__parser *parser = &table->parser;
    size_t there;
    nn_status status;

    do { /* a read may give less than there is */
        there = (size_t)(parser->end - parser->at);
        status = there < 3 ? nn__read_more(parser) : NN_OK;
        if (status != NN_OK) return status;
    } while ((size_t)(parser->end - parser->at) > there);
    if (parser->end - parser->at >= 2) {
        const unsigned char a = (unsigned char)parser->at[0], b = (unsigned char)parser->at[1];
        if ((a == 0xff && b == 0xfe) || (a == 0xfe && b == 0xff) || !a || !b) {
            parser->line = parser->column = 1;
            return nn__fail(table, NN_ERROR_CSV_ENCODING, NULL, "UTF-8, not UTF-16");
        }
    }
    if (parser->end - parser->at >= 3 && memcmp(parser->at, "\xef\xbb\xbf", 3) == 0)
        parser->at += 3;
    return nn__find_line_ends(parser);
}

/* Finds the fields and the header from the first row. */
static nn_status nn__begin_table(nn__table *table)
{
    const nn_csv_options *o = &table->o;
    nn_status status;
    int found, named, *order;

    status = nn__begin_text(table);
    if (status == NN_OK) status = nn__next_row(&table->parser, &found);
    if (status != NN_OK) return status;
    if (!found) return nn__fail(table, NN_ERROR_CSV_EMPTY, NULL, "a row of data");
    status = nn__read_first_row(table);
    if (status != NN_OK) return status;
    if (table->header != NN_CSV_HEADER_YES || table->recipe) status = nn__look_for_columns(table);
    if (status != NN_OK) return status;
    named = nn__has_names(o->target) || nn__has_names(o->use) || nn__has_names(o->ignore);
    if (named || (table->recipe && table->header == NN_CSV_HEADER_YES))
        status = nn__sort_names(table);
    if (status != NN_OK) return status;
    if (table->recipe) return nn__match_columns(table);
    order = (int *)NN_MALLOC((size_t)table->first_cols * sizeof(int));
    if (!order) return NN_ERROR_MEMORY;
    status = nn__choose_columns(table, order);
    NN_FREE(order);
    if (status == NN_OK) status = nn__choose_kinds(table);
    if (status != NN_OK) return status;
    if (named) table->header = NN_CSV_HEADER_YES;
    if (table->header == NN_CSV_HEADER_AUTO) table->header = nn__guess_header(table);
    return NN_OK;
}

/* Reads the whole table. Row 0 is kept free until it is known whether the first row is a header. */
static nn_status nn__read_table(nn__table *table)
{
    nn_status status = nn__begin_table(table);
    const int undecided = status == NN_OK && table->header == NN_CSV_HEADER_AUTO;
    nn_status bad = NN_OK;
    nn_real *cells;

    if (status != NN_OK) return status;
    if (table->header == NN_CSV_HEADER_YES) {
        status = nn__name_fields(table);
        if (status != NN_OK) return status;
    } else {
        cells = nn__new_row(table);
        if (!cells) return NN_ERROR_MEMORY;
        if (!undecided) status = nn__read_row(table, cells, &bad);
        if (status == NN_OK) status = nn__drop_row(table, bad);
        if (status != NN_OK) return status;
        table->last->rows += bad == NN_OK;
    }
    table->parser.at = table->parser.next_row;
    status = nn__read_rows(table);
    if (status != NN_OK || !undecided) return status;
    table->header = nn__is_header(table) ? NN_CSV_HEADER_YES : NN_CSV_HEADER_NO;
    cells = (nn_real *)(void *)(table->first + 1);
    if (table->header == NN_CSV_HEADER_YES) {
        status = nn__name_fields(table);
    } else {
        status = nn__read_first_again(table, cells, &bad);
        if (status == NN_OK) status = nn__drop_row(table, bad);
    }
    if (bad != NN_OK || table->header == NN_CSV_HEADER_YES) {
        table->first->rows--;
        memmove(cells, cells + table->count,
                table->first->rows * (size_t)table->count * sizeof(nn_real));
    }
    return status;
}

static nn_status nn__check_csv_options(const nn_csv_options *o)
{
    const int recipe = o->model || o->like;
    const int chosen = o->use || o->ignore || o->labels || o->class_names || o->text_columns ||
                       o->impute || o->missing || o->targets || o->header;
    const char delimiter = (char)(o->delimiter || recipe ? o->delimiter : ','); /* 0: not known */
    const char decimal = (char)(o->decimal ? o->decimal : '.');
    const char *comment = o->comment ? o->comment : "";
    int c;

    for (; *comment; comment++)
        if (*comment == delimiter || *comment == '"' || *comment == '\n' || *comment == '\r')
            return NN_ERROR_OPTION;
    if ((unsigned)o->header > NN_CSV_HEADER_NO || o->targets < 0 || o->classes < 0 ||
        delimiter == '"' || delimiter == '\n' || delimiter == '\r' ||
        (decimal != '.' && decimal != ',') || (decimal == delimiter && !recipe))
        return NN_ERROR_OPTION;
    if ((o->model && o->like) || (recipe && (chosen || (o->target && *o->target))))
        return NN_ERROR_OPTION;
    if ((o->targets && o->target) || (o->labels && o->targets > 1) ||
        (!o->class_names != !o->classes) ||
        (o->class_names && (o->classes < 2 || o->targets > 1 || o->classes > NN__MOST_CLASSES)) ||
        ((o->labels || o->class_names) && o->target && !*o->target))
        return NN_ERROR_OPTION;
    if (o->header == NN_CSV_HEADER_NO &&
        (nn__has_names(o->target) || nn__has_names(o->use) || nn__has_names(o->ignore)))
        return NN_ERROR_OPTION;
    for (c = 0; o->class_names && c < o->classes; c++)
        if (!o->class_names[c]) return NN_ERROR_NULL;
    return NN_OK;
}

/* Prepares a table: the options, the recipe, the marks of missing cells. */
static nn_status nn__prepare_table(nn__table *table)
{
    nn_csv_options *o = &table->o;
    const char *marks = o->missing ? o->missing : "NA,N/A,nan,null,?";
    nn__parser row = nn__begin_list(marks);
    nn_status status = nn__set_marks(table, &row);

    table->header = (int)o->header;
    if (o->model) table->recipe = nn_metadata(o->model, "recipe");
    if (o->like) table->recipe = o->like->recipe;
    if ((o->model || o->like) && !table->recipe) return NN_ERROR_METADATA;
    if (status == NN_OK && table->recipe) status = nn__read_recipe(table);
    table->parser.delimiter = (char)(o->delimiter ? o->delimiter : ',');
    table->parser.decimal = (char)(o->decimal ? o->decimal : '.');
    table->parser.comment = o->comment;
    if (status == NN_OK && strchr("0123456789+-eE", table->parser.delimiter))
        status = NN_ERROR_OPTION; /* a number is read before a delimiter is looked for */
    if (status == NN_OK && (table->parser.delimiter == table->parser.decimal ||
                            (o->comment && strchr(o->comment, table->parser.delimiter))))
        status = NN_ERROR_OPTION; /* what the caller and the recipe say do not fit */
    return status;
}

static void nn__free_table(nn__table *table)
{
    int i;

    for (i = 0; table->fields && i < table->count; i++) nn__free_dictionary(table->fields[i].texts);
    while (table->first) {
        nn__chunk *chunk = table->first;
        table->first = chunk->next;
        NN_FREE(chunk);
    }
    if (table->fields) NN_FREE(table->fields);
    if (table->names) NN_FREE(table->names);
    if (table->by_name) NN_FREE(table->by_name);
    if (table->field_of) NN_FREE(table->field_of);
    if (table->first_row) NN_FREE(table->first_row);
}

/* Sets *means[inputs], which the caller frees, to what a missing number of each input becomes by
   the model's recipe, or to NaN where it may not be missing. *means is NULL when none may. */
static nn_status nn__recipe_means(const nn_model *model, nn_real **means)
{
    nn__table table;
    nn_status status;
    int i, inputs = 0, any = 0;

    *means = NULL;
    if (!nn_metadata(model, "recipe")) return NN_OK;
    memset(&table, 0, sizeof table);
    table.o.model = model;
    table.parser = nn__parse_text("", 0);
    status = nn__prepare_table(&table);
    if (status == NN_OK) status = nn__place_fields(&table, &inputs);
    if (status == NN_OK && inputs != model->inputs) status = NN_ERROR_METADATA;
    for (i = 0; i < table.count; i++)
        any |= table.fields[i].kind == NN__NUMBERS && table.fields[i].imputes;
    if (status == NN_OK && any) {
        *means = (nn_real *)NN_MALLOC((size_t)inputs * sizeof(nn_real));
        if (!*means) status = NN_ERROR_MEMORY;
    }
    for (i = 0; *means && i < inputs; i++) (*means)[i] = NN__NAN;
    for (i = 0; *means && i < table.count; i++)
        if (table.fields[i].kind == NN__NUMBERS && table.fields[i].imputes)
            (*means)[table.fields[i].place] = table.fields[i].mean;
    nn__free_table(&table);
    return status;
}

/* Reads a table from table->parser. */
static nn_status nn__parse_csv(nn__table *table, nn_data *data)
{
    nn_status status = nn__prepare_table(table);

    if (status == NN_OK) status = nn__read_table(table);
    if (status == NN_OK) {
        status = nn__decide_kinds(table);
        if (status == NN_OK) status = nn__settle_rows(table);
    }
    if (status == NN_OK) status = nn__make_data(table, data);
    if (status != NN_OK) {
        nn_data_free(data);
        if (table->o.location) *table->o.location = table->location;
    }
    nn__free_table(table);
    return status;
}

static nn_status nn__begin_csv(nn__table *table, const nn_csv_options *options, const char *path)
{
    memset(table, 0, sizeof *table);
    if (options) table->o = *options;
    table->location.path = path;
    nn__set_location(table->o.location, path);
    return nn__check_csv_options(&table->o);
}

NN_DEF nn_status nn_parse_csv(nn_data *data, const char *text, size_t length,
                              const nn_csv_options *options)
{
    nn__table table;
    nn_status status = nn__begin_csv(&table, options, NULL);

    if (data) memset(data, 0, sizeof *data);
    if (!data || !text) return NN_ERROR_NULL;
    if (status != NN_OK) return status;
    table.parser = nn__parse_text(text, length);
    return nn__parse_csv(&table, data);
}

#ifndef NN_NO_STDIO

NN_DEF nn_status nn_read_csv(nn_data *data, const char *path, const nn_csv_options *options)
{
    nn__table table;
    nn_status status = nn__begin_csv(&table, options, path);

    if (data) memset(data, 0, sizeof *data);
    if (!data || !path) return NN_ERROR_NULL;
    if (status != NN_OK) return status;
    table.parser = nn__parse_text("", 0);
    table.parser.file = NN_FOPEN(path, "rb");
    if (!table.parser.file) return NN_ERROR_OPEN;
    table.parser.capacity = (size_t)1 << 16;
    table.parser.buffer = (char *)NN_MALLOC(table.parser.capacity);
    table.parser.at = table.parser.end = table.parser.buffer;
    status = table.parser.buffer ? nn__parse_csv(&table, data) : NN_ERROR_MEMORY;
    if (table.parser.buffer) NN_FREE(table.parser.buffer);
    (void)NN_FCLOSE(table.parser.file);
    return status;
}

/* ================================================================================================
   >>idx
   ------------------------------------------------------------------------------------------------
   IDX files, the format of the MNIST images and labels (http://yann.lecun.com/exdb/mnist). A file
   has a magic number (0, 0, type, number of dimensions), the length of each dimension as four
   bytes, most significant byte first, and the data. Type 8 is unsigned bytes.
   ============================================================================================= */

/* A file's items. */
typedef struct nn__items {
    unsigned char *bytes; /* [count x each] */
    size_t count, each;
} nn__items;

/* Reads the items of a file of unsigned bytes that has at least `dimensions` dimensions. Its header
   is checked before more is read. */
static nn_status nn__read_items(nn__items *items, FILE *file, int dimensions)
{
    unsigned char header[4 + 4 * 255];
    size_t lengths, size, got;
    nn_status status;
    int d;

    if (nn__read_up_to(file, header, 4) < 4 || header[0] || header[1] || header[2] != 8 ||
        header[3] < dimensions)
        return NN_ERROR_IDX_MAGIC;
    lengths = 4 * (size_t)header[3];
    if (nn__read_up_to(file, header + 4, lengths) < lengths) return NN_ERROR_IDX_SIZE;
    items->count = 0;
    items->each = 1;
    for (d = 0; d < header[3]; d++) {
        const unsigned char *b = header + 4 + 4 * d;
        const uint32_t length =
            ((uint32_t)b[0] << 24) | ((uint32_t)b[1] << 16) | ((uint32_t)b[2] << 8) | b[3];
        if (length < 1 || length > INT_MAX) return NN_ERROR_IDX_SIZE;
        if (d == 0) {
            items->count = (size_t)length;
            continue;
        }
        if (items->each > (size_t)INT_MAX / length) return NN_ERROR_IDX_SIZE;
        items->each *= (size_t)length;
    }
    if (items->count > (SIZE_MAX - 1) / items->each) return NN_ERROR_IDX_SIZE;
    size = items->count * items->each;
    status = nn__read_bytes(file, size + 1, &items->bytes, &got); /* one more, to see the end */
    return status == NN_OK && got != size ? NN_ERROR_IDX_SIZE : status;
}

/* Reads the items of the file at the path; location names it in case that fails. */
static nn_status nn__read_idx_file(nn__items *items, const char *path, int dimensions,
                                   nn_location *location)
{
    FILE *file = NN_FOPEN(path, "rb");
    nn_status status;

    items->bytes = NULL;
    nn__set_location(location, path);
    if (!file) return NN_ERROR_OPEN;
    status = nn__read_items(items, file, dimensions);
    if (NN_FERROR(file)) status = NN_ERROR_READ;
    (void)NN_FCLOSE(file);
    return status;
}

/* Allocates and fills data from the items of both files. */
static nn_status nn__make_idx(nn_data *data, const nn__items *images, const nn__items *labels,
                              int classes)
{
    const size_t count = images->count, each = images->each;
    nn__data_contents contents;
    nn_status status;
    int highest = 0;
    size_t i;
    nn_real *x;

    if (labels->count != count) return NN_ERROR_IDX_SIZE;
    for (i = 0; i < count; i++)
        if (labels->bytes[i] > highest) highest = labels->bytes[i];
    if (classes && highest >= classes) return NN_ERROR_LABEL;
    if (!classes && highest < 1) return NN_ERROR_LABEL;
    data->rows = (int)count;
    data->inputs = (int)each;
    data->classes = classes ? classes : highest + 1;
    data->outputs = data->classes == 2 ? 1 : data->classes;
    memset(&contents, 0, sizeof contents);
    contents.labels = 1;
    status = nn__allocate_data(data, &contents);
    if (status != NN_OK) return status;
    x = nn__writable(data->x);
    for (i = 0; i < count * each; i++) x[i] = (nn_real)images->bytes[i] / 255;
    for (i = 0; i < count; i++) nn__writable_labels(data->labels)[i] = labels->bytes[i];
    return NN_OK;
}

NN_DEF nn_status nn_read_idx(nn_data *data, const char *images, const char *labels, int classes,
                             nn_location *location)
{
    nn__items image_items, label_items;
    nn_status status;

    if (data) memset(data, 0, sizeof *data);
    nn__set_location(location, images);
    if (!data || !images || !labels) return NN_ERROR_NULL;
    if (classes < 0 || classes == 1) return NN_ERROR_SIZE;
    label_items.bytes = NULL;
    status = nn__read_idx_file(&image_items, images, 2, location);
    if (status == NN_OK) status = nn__read_idx_file(&label_items, labels, 1, location);
    if (status == NN_OK) status = nn__make_idx(data, &image_items, &label_items, classes);
    if (image_items.bytes) NN_FREE(image_items.bytes);
    if (label_items.bytes) NN_FREE(label_items.bytes);
    return status;
}

#endif /* NN_NO_STDIO */
#endif

/* ================================================================================================
   >>safetensors
   ------------------------------------------------------------------------------------------------
   safetensors: 8 bytes, the little-endian length of the header; the header, JSON; the data, without
   holes. (https://github.com/huggingface/safetensors, "Format".) Tensors are written in PyTorch's
   layout, [out x in]; ours is [in x out]. PyTorch has the channels of an image before its pixels,
   we have them behind. So the weights of a convolution, ours [height x width x in x out], are
   [out x in x height x width] in a file. Behind an image, the inputs of a dense layer, ours
   [height x width x channels], are [channels x height x width]. Metadata, all strings:

       format              "pt"
       nn.version          "1", or "2" where there is a scaling of the targets: a build without a
                           heap cannot undo it, and refuses such a file. "3" and "4" are the same
                           with nn.layers, which a build without convolutions refuses
       nn.widths           the inputs, then the width of each layer, with commas
       nn.layers           in its place, where the first layer is an image: each layer, see below
       nn.activations      one name for each layer, with commas
       nn.scaling          none, standard or min-max
       nn.scaling_values   offsets, then factors [inputs], each as the hexadecimal of its bits
       nn.state            in checkpoints, numbers in hexadecimal: nn__state, and each option of
                           NN__OPTION_LIST after a comma
       nn.crc32            of the data, the values above (from nn.version on), and the bytes of the
                           header behind this value, in hexadecimal; where the metadata end there,
                           of the bytes behind them
       nn.target_scaling   as nn.scaling and nn.scaling_values, of the targets [outputs]; both are
       nn.target_values    missing where the targets are not scaled
       nn.input_offset     where there is a scaling, decimal numbers with commas, for other
       nn.input_scale      programs: x_scaled = (x - input_offset) / input_scale. (They are left out
                           where a header of 100,000,000 bytes has no room for them.)
       nn.target_offset    the same for the targets: y = output * target_scale + target_offset
       nn.target_scale
       ...                 the user's pairs, in the order of their keys

   nn.layers has one of these for each layer, with commas. Sizes and strides are height x width:

       image 28x28x1                               height, width, channels
       convolution 8 5x5 stride 1x1 same           channels, kernel; same or none
       max_pool 2x2 stride 2x2                     window
       average_pool 2x2 stride 2x2
       global_average
       dense 10                                    width

   Modules are counted as in the nn.Sequential that computes the same: one for a layer, one for its
   activation unless that is linear, and none for the image. One more, nn.Flatten, stands before a
   dense layer behind an image. Where the image and all kernels have height 1, the convolutions are
   nn.Conv1d, whose weights are [out x in x width]. (Convolutions with padding and even kernels are
   nn.Conv2d only with stride 1. Others need an nn.ZeroPad2d, which is not counted.)

   The decimal numbers are never read here, and cannot contradict nn.scaling_values and
   nn.target_values: nn_save writes them of the same numbers, and the checksum covers all. A build
   without a heap writes no decimal numbers, and reads none of the user's pairs.

   One set of functions reads files: tokens; then the values of our metadata; then any safetensors
   header, which is JSON. nn_model_open_in must be small and needs the first two alone: it takes the
   metadata only where nn_save writes them.

   What the reference implementation reads is read: "__metadata__": null, other keys in a tensor's
   description, empty tensors. So are types that it does not know, of tensors that are not needed:
   their lengths are not compared with their shapes. What it refuses is refused: grammar, values of
   the metadata that are no strings, holes, overlaps, lengths that do not fit. Two tensors of one
   name are refused too. In a file of ours no tensor but the layers' and the checkpoint's may stand
   beside names with a dot, and each layer has a bias. Without a heap, other keys in a description
   are refused, the tensors must follow each other as the data do, and two tensors of one name are
   found only where they are a layer's.
   ============================================================================================= */

/* The longest header that is read, in bytes: that of the reference implementation. Where int has 16
   bits it is so short that an int can count its layers. */
#define NN__FILE_HEADER (INT_MAX < 65536 ? UINT32_C(65535) : UINT32_C(100000000))

#ifdef NN_NO_MALLOC
/* Without a heap, the header is read once for each layer: this is the most bytes that may be. */
#define NN__FILE_WORK (UINT32_C(1) << 26)

/* Returns whether a header of so many bytes is too long to be read for so many layers. */
static int nn__is_too_long(size_t header, int layers)
{
    return header > NN__FILE_WORK / (uint32_t)layers;
}
#endif

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

#ifndef NN_NO_CONVOLUTION
/* In the order of nn_layer_kind and of nn_padding. */
static const char *const nn__kind_names[] = {"dense",    "image",        "convolution",
                                             "max_pool", "average_pool", "global_average"};
static const char *const nn__padding_names[] = {"none", "same"};
#endif

/* The parts of a file: the data, the values of our metadata, the header behind the metadata. The
   checksum covers all of the others, in this order. The widths may be the value of nn.layers. */
enum {
    NN__DATA,
    NN__VERSION,
    NN__WIDTHS,
    NN__ACTIVATIONS,
    NN__SCALING,
    NN__SCALING_VALUES,
    NN__CHECKSUM,
    NN__STATE,
    NN__REST,
    NN__PARTS
};
static const char *const nn__keys[] = {"",        "version",        "widths", "activations",
                                       "scaling", "scaling_values", "crc32",  "state"};

/* The numbers that an nn__state is in a file. */
enum { NN__STATE_NUMBERS = 23 };

/* The arrays of a checkpoint, as tensors of one dimension. */
enum { NN__CHECKPOINT_ARRAYS = 3 };
static const char *const nn__array_names[NN__CHECKPOINT_ARRAYS] = {
    "optimizer.first", "optimizer.second", "best.parameters"};

/* Fills shape[4] with the dimensions of a layer's weights in a file; returns how many they are. In
   a sequence, convolutions have one less. */
static int nn__weight_shape(const nn_model *model, int i, int sequence, size_t *shape)
{
    const nn__layer layer = nn__layer_at(model, i);
    int rank = 0;

    shape[rank++] = (size_t)layer.matrix.cols;
#ifndef NN_NO_CONVOLUTION
    if (layer.kind == NN_LAYER_CONVOLUTION) {
        shape[rank++] = (size_t)layer.matrix.channels;
        if (!sequence) shape[rank++] = (size_t)model->layers[i].height;
        shape[rank++] = (size_t)model->layers[i].width;
        return rank;
    }
#endif
    (void)sequence;
    shape[rank++] = (size_t)layer.matrix.rows;
    return rank;
}

#ifndef NN_NO_TRAIN

/* ---- Writing --------------------------------------------------------------------------------- */

/* Writes to bytes[]. When bytes is NULL it only counts, and computes the checksum of what would be
   written. */
typedef struct nn__writer {
    unsigned char *bytes;
    size_t size;
    uint32_t crc;
} nn__writer;

static void nn__write_byte(nn__writer *writer, unsigned char byte)
{
    if (writer->bytes)
        writer->bytes[writer->size] = byte;
    else
        writer->crc = nn__crc32(writer->crc, byte);
    writer->size += writer->size < SIZE_MAX; /* there, which may be 65,535, it stays */
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
typedef struct nn__saved {
    const nn_model *model;
    const nn_trainer *trainer;
    int decimals; /* whether the scaling is written as decimal numbers, too */
} nn__saved;

/* Where the numbers of a state are, in the order of the file: as initialisers of arrays. */
#define NN__STATE_INTS(state)                                                                      \
    {                                                                                              \
        &(state)->epoch, &(state)->position, &(state)->sums.counted, &(state)->sums.correct,       \
            &(state)->best_epoch, &(state)->waited                                                 \
    }
#define NN__STATE_REALS(state)                                                                     \
    {                                                                                              \
        &(state)->sums.loss.high, &(state)->sums.loss.low, &(state)->sums.weight.high,             \
            &(state)->sums.weight.low, &(state)->best_loss, &(state)->learning_rate,               \
            &(state)->correction1.high, &(state)->correction1.low, &(state)->correction2.high,     \
            &(state)->correction2.low, &(state)->last_rate, &(state)->gradient_norm                \
    }

/* The trainer's state as numbers: the bytes of nn_real, random, epoch_key, step, the ints, the rows
   of the data, the reals. */
static void nn__state_numbers(const nn_trainer *trainer, uint64_t numbers[NN__STATE_NUMBERS])
{
    const nn__state *state = &trainer->state;
    const int *const ints[] = NN__STATE_INTS(state);
    const nn_real *const reals[] = NN__STATE_REALS(state);
    int i;

    numbers[0] = sizeof(nn_real);
    numbers[1] = state->random_state;
    numbers[2] = state->epoch_key;
    numbers[3] = state->step;
    for (i = 0; i < NN__COUNT(ints); i++) numbers[4 + i] = (uint64_t)*ints[i];
    numbers[10] = (uint64_t)state->rows;
    for (i = 0; i < NN__COUNT(reals); i++) numbers[11 + i] = nn__to_bits(*reals[i]);
}

/* Returns a number that x[count] has in common with few other arrays, and that is not 0: its CRC-32
   and 2^32. */
static uint64_t nn__hash_reals(const nn_real *x, size_t count)
{
    nn__writer writer = {NULL, 0, 0xffffffffu};

    nn__write_reals(&writer, x, count);
    return writer.crc | UINT64_C(1) << 32;
}

/* 0: no layer has dropout. */
static uint64_t nn__dropout_hash(const nn_model *model, const nn_options *o)
{
    int i;

    for (i = 0; o->dropout && i < model->count; i++)
        if (o->dropout[i] > 0) return nn__hash_reals(o->dropout, (size_t)model->count);
    return 0;
}

#ifndef NN_NO_MALLOC
static uint64_t nn__class_weights_hash(const nn_model *model, const nn_options *o)
{
    if (!o->class_weights) return 0;
    return nn__hash_reals(o->class_weights, (size_t)nn__class_weight_count(model));
}
#endif

/* Fills values[NN__OPTION_COUNT] with what a checkpoint keeps of a trainer's options. */
/* clang-format off */
#define NN__REAL_NUMBER(value)  nn__to_bits(value)
#define NN__OTHER_NUMBER(value) (uint64_t)(value)
#define NN__COUNT_NUMBER        NN__OTHER_NUMBER
#define NN__HASH_NUMBER         NN__OTHER_NUMBER
#define NN__LOSS_NUMBER         NN__OTHER_NUMBER
#define NN__OPTIMIZER_NUMBER    NN__OTHER_NUMBER
#define NN__SCHEDULE_NUMBER     NN__OTHER_NUMBER
#define NN__SCALING_NUMBER      NN__OTHER_NUMBER
#define NN__OPTION_VALUE(type, name, part, form, value) *values++ = NN__##form##_NUMBER(value);
#ifdef NN_NO_MALLOC
#define NN__HEAP_VALUE(type, name, part, form, value) *values++ = 0;
#else
#define NN__HEAP_VALUE NN__OPTION_VALUE
#endif
/* clang-format on */
static void nn__option_values(const nn_trainer *trainer, uint64_t *values)
{
    const nn_options *o = trainer->options;
    const nn_model *model = trainer->model;

    NN__OPTION_LIST(NN__OPTION_VALUE, NN__HEAP_VALUE)
    (void)model;
}

static void nn__write_options(nn__writer *writer, const nn_trainer *trainer)
{
    uint64_t values[NN__OPTION_COUNT];
    int i, digits;

    nn__option_values(trainer, values);
    for (i = 0; i < NN__OPTION_COUNT; i++) {
        for (digits = 1; digits < 16 && values[i] >> (4 * digits); digits++) continue;
        nn__write_text(writer, ",");
        nn__write_hexadecimal(writer, values[i], digits);
    }
}

static int nn__has_target_scaling(const nn_model *model)
{
#ifdef NN_NO_MALLOC
    (void)model;
    return 0;
#else
    return model->target_scaling != NN_SCALE_NONE;
#endif
}

#ifndef NN_NO_CONVOLUTION
static void nn__write_size(nn__writer *writer, const char *before, int height, int width)
{
    nn__write_text(writer, before);
    nn__write_number(writer, (size_t)height);
    nn__write_text(writer, "x");
    nn__write_number(writer, (size_t)width);
}

/* Writes layer i as nn.layers has it. */
static void nn__write_layer(nn__writer *writer, const nn_model *model, int i)
{
    const nn_layer *layer = model->layers + i;
    nn__window window;

    nn__write_text(writer, nn__kind_names[layer->kind]);
    if (layer->kind == NN_LAYER_GLOBAL_AVERAGE) return;
    if (layer->kind == NN_LAYER_DENSE || layer->kind == NN_LAYER_CONVOLUTION) {
        nn__write_text(writer, " ");
        nn__write_number(writer,
                         (size_t)(layer->kind == NN_LAYER_DENSE ? layer->width : layer->channels));
        if (layer->kind == NN_LAYER_DENSE) return;
    }
    nn__write_size(writer, " ", layer->height, layer->width);
    if (layer->kind == NN_LAYER_IMAGE) {
        nn__write_text(writer, "x");
        nn__write_number(writer, (size_t)layer->channels);
        return;
    }
    window = nn__window_at(model, i);
    nn__write_size(writer, " stride ", window.stride_height, window.stride_width);
    if (layer->kind != NN_LAYER_CONVOLUTION) return;
    nn__write_text(writer, " ");
    nn__write_text(writer, nn__padding_names[layer->padding == NN_PADDING_SAME]);
}
#endif

/* Writes the inputs and the widths; or, where the model begins with an image, its layers. */
static void nn__write_shape(nn__writer *writer, const nn_model *model)
{
    int i;

#ifndef NN_NO_CONVOLUTION
    for (i = 0; nn__first_layer(model) && i < model->count; i++) {
        if (i) nn__write_text(writer, ",");
        nn__write_layer(writer, model, i);
    }
    if (nn__first_layer(model)) return;
#endif
    nn__write_number(writer, (size_t)model->inputs);
    for (i = 0; i < model->count; i++) {
        nn__write_text(writer, ",");
        nn__write_number(writer, (size_t)nn__outputs_of(model, i));
    }
}

static void nn__write_value(nn__writer *writer, const nn__saved *saved, int key)
{
    const nn_model *model = saved->model;
    uint64_t numbers[NN__STATE_NUMBERS];
    size_t k;
    int i;

    switch (key) {
    case NN__VERSION:
        nn__write_number(writer,
                         (size_t)(1 + nn__has_target_scaling(model) + 2 * nn__first_layer(model)));
        break;
    case NN__WIDTHS: nn__write_shape(writer, model); break;
    case NN__ACTIVATIONS:
        for (i = 0; i < model->count; i++) {
            if (i) nn__write_text(writer, ",");
            nn__write_text(writer, nn__activation_names[model->layers[i].activation]);
        }
        break;
    case NN__CHECKSUM: break;
    case NN__SCALING: nn__write_text(writer, nn__scaling_names[model->scaling]); break;
    case NN__SCALING_VALUES:
        if (model->scaling == NN_SCALE_NONE) break;
        for (k = 0; k < 2 * (size_t)model->inputs; k++)
            nn__write_hexadecimal(writer, nn__to_bits(model->offset[k]), 2 * sizeof(nn_real));
        break;
    default:
        if (!saved->trainer) break;
        nn__state_numbers(saved->trainer, numbers);
        for (i = 0; i < NN__STATE_NUMBERS; i++) nn__write_hexadecimal(writer, numbers[i], 16);
        nn__write_options(writer, saved->trainer);
    }
}

/* The arrays of a checkpoint. NULL where there is none. */
static nn_real *nn__checkpoint_array(const nn_trainer *trainer, int i)
{
    return i == 0 ? trainer->first : i == 1 ? trainer->second : trainer->best;
}

/* Writes a matrix of weights, ours [pixels x channels x out], as [out x channels x pixels]. */
static void nn__write_weights(nn__writer *writer, const nn__matrix *matrix, const nn_real *w)
{
    const int channels = nn__channels(matrix), pixels = matrix->rows / channels;
    int i, j, c;

    for (j = 0; j < matrix->cols; j++)
        for (c = 0; c < channels; c++)
            for (i = 0; i < pixels; i++) {
                const size_t row = (size_t)i * (size_t)channels + (size_t)c;
                nn__write_real(writer, w[row * (size_t)matrix->cols + (size_t)j]);
            }
}

static void nn__write_data(nn__writer *writer, const nn__saved *saved)
{
    const nn_model *model = saved->model;
    int i;

    for (i = 0; i < model->count; i++) {
        const nn__layer layer = nn__layer_at(model, i);

        nn__write_weights(writer, &layer.matrix, model->parameters + layer.weights);
        nn__write_reals(writer, model->parameters + layer.biases, (size_t)layer.matrix.cols);
    }
    for (i = 0; saved->trainer && i < NN__CHECKPOINT_ARRAYS; i++) {
        const nn_real *array = nn__checkpoint_array(saved->trainer, i);
        if (array) nn__write_reals(writer, array, model->parameter_count);
    }
}

/* `,"name":{"dtype":"F32","shape":[8,3,5],"data_offsets":[start,end]}`. The number of the module is
   before the name unless it is negative. Moves *offset to the end. */
static void nn__write_tensor(nn__writer *writer, int module, const char *name, const size_t *shape,
                             int rank, size_t *offset)
{
    size_t size = sizeof(nn_real);
    int i;

    nn__write_text(writer, ",\"");
    if (module >= 0) nn__write_number(writer, (size_t)module);
    nn__write_text(writer, name);
    nn__write_text(writer, sizeof(nn_real) == 4 ? "\":{\"dtype\":\"F32\",\"shape\":["
                                                : "\":{\"dtype\":\"F64\",\"shape\":[");
    for (i = 0; i < rank; i++) {
        if (i) nn__write_text(writer, ",");
        nn__write_number(writer, shape[i]);
        size *= shape[i];
    }
    nn__write_text(writer, "],\"data_offsets\":[");
    nn__write_number(writer, *offset);
    *offset += size;
    nn__write_text(writer, ",");
    nn__write_number(writer, *offset);
    nn__write_text(writer, "]}");
}

#ifndef NN_NO_MALLOC
/* Writes what stands between the quotes of a string in JSON. */
static void nn__write_escaped(nn__writer *writer, const char *text)
{
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c < 32) {
            nn__write_text(writer, "\\u");
            nn__write_hexadecimal(writer, c, 4);
            continue;
        }
        if (c == '"' || c == '\\') nn__write_byte(writer, '\\');
        nn__write_byte(writer, c);
    }
}

/* Writes `,"nn.key":"x,x,..."` with x[count] as decimal numbers, or with their inverses. */
static void nn__write_decimals(nn__writer *writer, const char *key, const nn_real *x, int count,
                               int inverse)
{
    char text[NN__DECIMAL_ROOM];
    int i;

    nn__write_text(writer, ",\"nn.");
    nn__write_text(writer, key);
    nn__write_text(writer, "\":\"");
    for (i = 0; i < count; i++) {
        if (i) nn__write_text(writer, ",");
        (void)nn__write_decimal(text, inverse ? 1 / x[i] : x[i]);
        nn__write_text(writer, text);
    }
    nn__write_text(writer, "\"");
}

/* Writes the scaling of the targets as it is read. */
static void nn__write_targets(nn__writer *writer, const nn_model *model)
{
    const size_t outputs = (size_t)nn__outputs(model);
    size_t i;

    nn__write_text(writer, ",\"nn.target_scaling\":\"");
    nn__write_text(writer, nn__scaling_names[model->target_scaling]);
    nn__write_text(writer, "\",\"nn.target_values\":\"");
    for (i = 0; i < 2 * outputs; i++)
        nn__write_hexadecimal(writer, nn__to_bits(model->target_offset[i]), 2 * sizeof(nn_real));
    nn__write_text(writer, "\"");
}

/* Returns whether there is a scaling that decimal numbers can express: factors without a finite
   inverse, which only the author of a file can make, are none. */
static int nn__has_decimals(const nn_model *model)
{
    const nn_real *factor = model->offset + model->inputs;
    int i;

    if (model->scaling == NN_SCALE_NONE && model->target_scaling == NN_SCALE_NONE) return 0;
    for (i = 0; model->scaling != NN_SCALE_NONE && i < model->inputs; i++)
        if (!nn__is_finite(1 / factor[i])) return 0;
    return 1;
}

/* Writes the pairs that follow the checksum. */
static void nn__write_pairs(nn__writer *writer, const nn__saved *saved)
{
    const nn_model *model = saved->model;
    const int inputs = model->inputs, outputs = nn__outputs(model);
    const nn__pair *pair;

    if (model->target_scaling != NN_SCALE_NONE) nn__write_targets(writer, model);
    if (saved->decimals && model->scaling != NN_SCALE_NONE) {
        nn__write_decimals(writer, "input_offset", model->offset, inputs, 0);
        nn__write_decimals(writer, "input_scale", model->offset + inputs, inputs, 1);
    }
    if (saved->decimals && model->target_scaling != NN_SCALE_NONE) {
        nn__write_decimals(writer, "target_offset", model->target_offset, outputs, 0);
        nn__write_decimals(writer, "target_scale", model->target_offset + outputs, outputs, 1);
    }
    for (pair = model->metadata; pair; pair = pair->next) {
        nn__write_text(writer, ",\"");
        nn__write_escaped(writer, pair->key);
        nn__write_text(writer, "\":\"");
        nn__write_escaped(writer, pair->value);
        nn__write_text(writer, "\"");
    }
}
#endif

/* Returns whether pairs follow the checksum. */
static int nn__has_pairs(const nn__saved *saved)
{
#ifdef NN_NO_MALLOC
    (void)saved;
    return 0;
#else
    return saved->decimals || nn__has_target_scaling(saved->model) || saved->model->metadata;
#endif
}

/* The metadata up to the checksum, and their end where no pairs follow it. */
static void nn__write_metadata(nn__writer *writer, const nn__saved *saved, uint32_t crc)
{
    int i;

    nn__write_text(writer, "{\"__metadata__\":{\"format\":\"pt\"");
    for (i = NN__VERSION; i <= NN__STATE; i++) {
        if (i == NN__CHECKSUM || (i == NN__STATE && !saved->trainer)) continue;
        nn__write_text(writer, ",\"nn.");
        nn__write_text(writer,
                       i == NN__WIDTHS && nn__first_layer(saved->model) ? "layers" : nn__keys[i]);
        nn__write_text(writer, "\":\"");
        nn__write_value(writer, saved, i);
        nn__write_text(writer, "\"");
    }
    nn__write_text(writer, ",\"nn.crc32\":\"");
    nn__write_hexadecimal(writer, crc, 8);
    nn__write_text(writer, nn__has_pairs(saved) ? "\"" : "\"}");
}

#ifndef NN_NO_CONVOLUTION
/* Returns whether the image and all kernels have height 1. */
static int nn__is_sequence(const nn_model *model)
{
    int i;

    for (i = 0; i < model->count; i++)
        if ((model->layers[i].kind == NN_LAYER_IMAGE ||
             model->layers[i].kind == NN_LAYER_CONVOLUTION) &&
            model->layers[i].height != 1)
            return 0;
    return 1;
}
#endif

/* Writes the tensors of the layers. */
static void nn__write_layers(nn__writer *writer, const nn_model *model, size_t *offset)
{
    size_t shape[4];
    int i, rank, module = 0, sequence = 0;

#ifndef NN_NO_CONVOLUTION
    sequence = nn__is_sequence(model);
#endif
    for (i = nn__first_layer(model); i < model->count; i++) {
#ifndef NN_NO_CONVOLUTION
        if (model->layers[i].kind == NN_LAYER_DENSE && model->maps[i].height)
            module++; /* nn.Flatten */
#endif
        if (nn__has_parameters(model, i)) {
            rank = nn__weight_shape(model, i, sequence, shape);
            nn__write_tensor(writer, module, ".weight", shape, rank, offset);
            nn__write_tensor(writer, module, ".bias", shape, 1, offset);
        }
        module += 1 + (model->layers[i].activation != NN_LINEAR); /* as in an nn.Sequential */
    }
}

/* The rest of the header, after so many bytes of it, filled up with spaces. */
static void nn__write_rest(nn__writer *writer, const nn__saved *saved, size_t metadata)
{
    const nn_model *model = saved->model;
    const size_t start = writer->size;
    size_t offset = 0;
    int i;

#ifndef NN_NO_MALLOC
    nn__write_pairs(writer, saved);
    if (nn__has_pairs(saved)) nn__write_text(writer, "}");
#endif
    nn__write_layers(writer, model, &offset);
    for (i = 0; saved->trainer && i < NN__CHECKPOINT_ARRAYS; i++)
        if (nn__checkpoint_array(saved->trainer, i))
            nn__write_tensor(writer, -1, nn__array_names[i], &model->parameter_count, 1, &offset);
    nn__write_text(writer, "}");
    while ((metadata + writer->size - start) % 8 != 0 &&
           writer->size < SIZE_MAX) /* unreached: a size_t has more than 16 bits */
        nn__write_byte(writer, ' ');
}

/* Bytes of the data. Its arrays are all in memory, so that their sum cannot overflow. */
static size_t nn__data_size(const nn__saved *saved)
{
    const size_t size = saved->model->parameter_count * sizeof(nn_real);
    size_t sum = size;
    int i;

    for (i = 0; saved->trainer && i < NN__CHECKPOINT_ARRAYS; i++)
        if (nn__checkpoint_array(saved->trainer, i)) sum += size;
    return sum;
}

static uint32_t nn__saved_crc(const nn__saved *saved, size_t metadata)
{
    nn__writer writer = {NULL, 0, 0xffffffffu};
    int i;

    nn__write_data(&writer, saved);
    for (i = NN__VERSION; i <= NN__STATE; i++) nn__write_value(&writer, saved, i);
    nn__write_rest(&writer, saved, metadata);
    return ~writer.crc;
}

/* Returns the bytes of the header, and sets *metadata to those of its first part. */
static size_t nn__header_size(const nn__saved *saved, size_t *metadata)
{
    nn__writer writer = {NULL, 0, 0};

    nn__write_metadata(&writer, saved, 0);
    *metadata = writer.size;
    nn__write_rest(&writer, saved, writer.size);
    return writer.size;
}

/* Writes all to buffer[capacity], or only sets *size when buffer is NULL. */
static nn_status nn__write_saved(nn__saved *saved, void *buffer, size_t capacity, size_t *size)
{
    nn__writer writer = {NULL, 0, 0};
    const size_t data = nn__data_size(saved);
    size_t metadata;
    uint64_t length = nn__header_size(saved, &metadata);
    int i;

    if (length > NN__FILE_HEADER && saved->decimals) { /* there is no room for them */
        saved->decimals = 0;
        length = nn__header_size(saved, &metadata);
    }
    if (length > NN__FILE_HEADER || length + data > SIZE_MAX - 8) return NN_ERROR_OVERFLOW;
#ifdef NN_NO_MALLOC
    if (nn__is_too_long((size_t)length, saved->model->count)) return NN_ERROR_OVERFLOW;
#endif
    *size = 8 + (size_t)length + data;
    if (!buffer) return NN_OK;
    if (capacity < *size) return NN_ERROR_BLOCK;

    writer.bytes = (unsigned char *)buffer;
    for (i = 0; i < 8; i++) nn__write_byte(&writer, (unsigned char)(length >> (8 * i)));
    nn__write_metadata(&writer, saved, nn__saved_crc(saved, metadata));
    nn__write_rest(&writer, saved, metadata);
    nn__write_data(&writer, saved);
    NN_ASSERT(writer.size == *size);
    return NN_OK;
}

static nn_status nn__saved_of(nn__saved *saved, const nn_model *model, const nn_trainer *trainer)
{
    saved->model = trainer ? trainer->model : model;
    saved->trainer = trainer;
    saved->decimals = 0;
    if (!saved->model) return NN_ERROR_NULL;
    if (!saved->model->parameters) return NN_ERROR_READ_ONLY;
    if (!NN__RUN(saved->model, all_finite, saved->model->parameters, saved->model->parameter_count))
        return NN_ERROR_PARAMETER;
#ifndef NN_NO_MALLOC
    saved->decimals = nn__has_decimals(saved->model);
#endif
    return trainer && trainer->pending ? NN_ERROR_STATE : NN_OK;
}

static nn_status nn__save_memory(const nn_model *model, const nn_trainer *trainer, void *buffer,
                                 size_t capacity, size_t *size)
{
    nn__saved saved;
    nn_status status;

    if (size) *size = 0;
    if (!size) return NN_ERROR_NULL;
    status = nn__saved_of(&saved, model, trainer);
    return status == NN_OK ? nn__write_saved(&saved, buffer, capacity, size) : status;
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
    nn__saved saved;
    size_t size;
    void *bytes;
    nn_status status = nn__saved_of(&saved, model, trainer);

    if (status != NN_OK) return status;
    if (!path) return NN_ERROR_NULL;
    status = nn__write_saved(&saved, NULL, 0, &size);
    if (status != NN_OK) return status;
    bytes = NN_MALLOC(size);
    if (!bytes) return NN_ERROR_MEMORY;
    (void)nn__write_saved(&saved, bytes, size, &size); /* as many bytes as before */
    status = nn__write_file(path, bytes, size);
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

/* ---- Tokens ---------------------------------------------------------------------------------- */

/* A part of a file in memory, whose bytes are read with NN_READ_BYTE alone. Of a string it is what
   stands between the quotes, with escapes as they are. */
typedef struct nn__span {
    const unsigned char *at, *end;
} nn__span;

/* The next byte; -1 at the end. */
static int nn__peek(const nn__span *span)
{
    return span->at < span->end ? NN_READ_BYTE(span->at) : -1;
}

static int nn__take_text(nn__span *span, const char *text)
{
    for (; *text; text++, span->at++)
        if (nn__peek(span) != (unsigned char)*text) return 0;
    return 1;
}

/* Takes a whole number without sign and leading zeros; 0 if there is none, or one too large. */
static int nn__take_number(nn__span *span, size_t *number)
{
    const unsigned char *start = span->at;
    size_t n = 0;

    for (; span->at < span->end; span->at++) {
        const unsigned digit = (unsigned)NN_READ_BYTE(span->at) - '0';
        if (digit > 9) break;
        if (n > (SIZE_MAX - 9) / 10 || (!n && span->at > start)) return 0;
        n = n * 10 + digit;
    }
    *number = n;
    return span->at > start;
}

/* Takes a width; 0 if there is none, or one too large. */
static int nn__take_width(nn__span *span)
{
    size_t width;

    return nn__take_number(span, &width) && width <= INT_MAX - 64 ? (int)width : 0;
}

/* The value of a hexadecimal digit in lower case; 16: it is none. */
static unsigned nn__digit(int c)
{
    if (c >= '0' && c <= '9') return (unsigned)(c - '0');
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

static int nn__take_hexadecimal(nn__span *span, int digits, uint64_t *number)
{
    uint64_t n = 0;
    unsigned digit;

    for (; digits > 0; digits--, span->at++) {
        digit = nn__digit(nn__peek(span));
        if (digit > 15) return 0;
        n = n << 4 | digit;
    }
    *number = n;
    return 1;
}

/* Takes one of the names, up to a comma or the end; which, or -1. */
static int nn__take_name(nn__span *span, const char *const *names, int count)
{
    nn__span name = *span, rest;

    while (span->at < span->end && nn__peek(span) != ',') span->at++;
    name.end = span->at;
    while (--count >= 0) {
        rest = name;
        if (nn__take_text(&rest, names[count]) && rest.at == rest.end) break;
    }
    return count;
}

/* Takes the next activation of a list and the comma behind it; -1 if there is none. */
static int nn__take_activation(nn__span *list)
{
    const int activation =
        nn__take_name(list, nn__activation_names, NN__COUNT(nn__activation_names));

    if (list->at == list->end) return activation;
    list->at++;
    return list->at < list->end ? activation : -1;
}

#ifndef NN_NO_CONVOLUTION
/* Takes a number of at least 1 behind a text. */
static int nn__take_positive(nn__span *span, const char *before, int *number)
{
    size_t n;

    if (!nn__take_text(span, before) || !nn__take_number(span, &n) || n < 1 || n > INT_MAX)
        return 0;
    *number = (int)n;
    return 1;
}

/* Takes a layer of nn.layers, but not its activation. Its numbers are at least 1; whether the layer
   can be where it is, nn__check_layer says. */
static int nn__take_description(nn__span *list, nn_layer *layer)
{
    int kind = NN__COUNT(nn__kind_names), padding;
    nn__span rest = *list;

    memset(layer, 0, sizeof *layer);
    while (--kind >= 0 && !nn__take_text(&rest, nn__kind_names[kind])) rest = *list;
    if (kind < 0) return 0;
    *list = rest;
    layer->kind = (nn_layer_kind)kind;
    if (kind == NN_LAYER_GLOBAL_AVERAGE) return 1;
    if (kind == NN_LAYER_DENSE) return nn__take_positive(list, " ", &layer->width);
    if (kind == NN_LAYER_CONVOLUTION && !nn__take_positive(list, " ", &layer->channels)) return 0;
    if (!nn__take_positive(list, " ", &layer->height) ||
        !nn__take_positive(list, "x", &layer->width))
        return 0;
    if (kind == NN_LAYER_IMAGE) return nn__take_positive(list, "x", &layer->channels);
    if (!nn__take_positive(list, " stride ", &layer->stride_height) ||
        !nn__take_positive(list, "x", &layer->stride_width))
        return 0;
    if (kind != NN_LAYER_CONVOLUTION) return 1;
    padding = nn__take_text(list, " ") ? nn__take_name(list, nn__padding_names, 2) : -1;
    if (padding > 0) layer->padding = NN_PADDING_SAME;
    return padding >= 0;
}
#endif

/* A float or double from its bits. */
static nn_real nn__real_of(uint64_t bits, int size)
{
    if (size == sizeof(nn_real)) return nn__from_bits((nn__bits)bits);
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

/* ---- The parts of a file, and our metadata --------------------------------------------------- */

typedef struct nn__file {
    nn__span parts[NN__PARTS]; /* NULL to NULL where they are missing */
    nn__span header;
    size_t data; /* bytes of data that the header announces */
    int ours;    /* whether it has metadata of ours */
#ifndef NN_NO_CONVOLUTION
    int described; /* whether the widths are the value of nn.layers */
#endif
#ifndef NN_NO_MALLOC
    nn__span target_scaling, target_values; /* NULL to NULL where they are missing */
    struct nn__entry *table;                /* [tensors] in the order of the header, or NULL */
    struct nn__entry **order;               /* [2 * tensors] the same by name, and room to sort */
    struct nn__entry **layers; /* [count] in order, and among others, the tensors of the layers */
    size_t tensors, count;
    int named; /* whether layers are what a list of names chose */
    /* What was read from a path, or NULL. */
    unsigned char *owned_header, *owned_data;
#endif
} nn__file;

/* Returns the length of the header that the first 8 bytes of a file state; 0 if it is too long. */
static uint32_t nn__stated_length(const unsigned char *bytes)
{
    uint32_t length = 0;
    int i;

    for (i = 8; i-- > 0;) {
        if (length > NN__FILE_HEADER >> 8) return 0;
        length = length << 8 | NN_READ_BYTE(bytes + i);
    }
    return length > NN__FILE_HEADER ? 0 : length;
}

/* Finds header and data in bytes[size]. */
static nn_status nn__find_header(nn__file *file, const void *bytes, size_t size)
{
    const unsigned char *start = (const unsigned char *)bytes;
    uint32_t length;

    memset(file, 0, sizeof *file);
    if (!bytes) return NN_ERROR_NULL;
    if (size < 8) return NN_ERROR_TRUNCATED;
    length = nn__stated_length(start);
    if (!length) return NN_ERROR_HEADER;
    if (length > size - 8) return NN_ERROR_TRUNCATED;
    file->parts[NN__REST].at = start + 8; /* all of the header, as yet */
    file->parts[NN__REST].end = file->parts[NN__DATA].at = start + 8 + length;
    file->parts[NN__DATA].end = start + size;
    return NN_OK;
}

/* Returns whether the value of nn.layers describes the layers. */
static int nn__is_described(const nn__file *file)
{
#ifdef NN_NO_CONVOLUTION
    (void)file;
    return 0;
#else
    return file->described;
#endif
}

/* Checks the version and the checksum. */
static nn_status nn__check_ours(const nn__file *file)
{
    nn__span part = file->parts[NN__VERSION];
    uint64_t stated;
    uint32_t crc = 0xffffffffu;
    int i, version = nn__is_described(file) ? '3' : '1';

#ifndef NN_NO_MALLOC
    if (file->target_scaling.at) version++;
#endif
    if (part.end - part.at != 1 || NN_READ_BYTE(part.at) != version) return NN_ERROR_METADATA;
    for (i = 0; i < NN__PARTS; i++)
        for (part = file->parts[i]; i != NN__CHECKSUM && part.at < part.end; part.at++)
            crc = nn__crc32(crc, NN_READ_BYTE(part.at));
    part = file->parts[NN__CHECKSUM];
    if (!nn__take_hexadecimal(&part, 8, &stated) || part.at != part.end) return NN_ERROR_METADATA;
    return (uint32_t)stated == (uint32_t)~crc ? NN_OK : NN_ERROR_CHECKSUM;
}

/* Reads the scaling, whose values have so many digits: into the model, whose own has been cleared,
   or only checks it when store is 0. */
static nn_status nn__read_scaling(const nn__file *file, nn_model *model, int digits, int store)
{
    nn__span kind = file->parts[NN__SCALING], values = file->parts[NN__SCALING_VALUES];
    const int scaling = nn__take_name(&kind, nn__scaling_names, NN__COUNT(nn__scaling_names));
    uint64_t bits;
    size_t i;

    if (scaling < 0 || kind.at != kind.end) return NN_ERROR_METADATA;
    for (i = 0; scaling != NN_SCALE_NONE && i < 2 * (size_t)model->inputs; i++) {
        nn_real x;
        if (!nn__take_hexadecimal(&values, digits, &bits)) return NN_ERROR_METADATA;
        x = nn__real_of(bits, digits / 2);
        if (!nn__is_finite(x)) return NN_ERROR_METADATA;
        if (store) model->offset[i] = x;
    }
    if (values.at != values.end) return NN_ERROR_METADATA;
    if (store) model->scaling = (nn_scaling)scaling;
    return NN_OK;
}

#ifndef NN_NO_MALLOC
/* The same for the scaling of the targets, which may be missing. Each factor is positive and has a
   finite inverse. */
static nn_status nn__read_target_scaling(const nn__file *file, nn_model *model, int store)
{
    nn__span kind = file->target_scaling, values = file->target_values;
    const size_t outputs = (size_t)nn__outputs(model);
    const int scaling = nn__take_name(&kind, nn__scaling_names, NN__COUNT(nn__scaling_names));
    int digits = 8;
    uint64_t bits;
    size_t i;

    if (!file->target_scaling.at) return NN_OK;
    if (scaling <= NN_SCALE_NONE || kind.at != kind.end ||
        file->target_scaling.at < file->parts[NN__CHECKSUM].end ||
        values.at < file->parts[NN__CHECKSUM].end)
        return NN_ERROR_METADATA;
    if (sizeof(double) == 8 && (size_t)(values.end - values.at) / 2 / outputs == 16) digits = 16;
    for (i = 0; i < 2 * outputs; i++) {
        nn_real x;
        if (!nn__take_hexadecimal(&values, digits, &bits)) return NN_ERROR_METADATA;
        x = nn__real_of(bits, digits / 2);
        if (!nn__is_finite(x) || (i >= outputs && (!(x > 0) || !nn__is_finite(1 / x))))
            return NN_ERROR_METADATA;
        if (store) model->target_offset[i] = x;
    }
    if (values.at != values.end) return NN_ERROR_METADATA;
    if (store) model->target_scaling = (nn_scaling)scaling;
    return NN_OK;
}
#endif

/* Counts a layer in, whose activation is the next one in the list, and stores it in layers[] unless
   that is NULL. */
static nn_status nn__read_layer(nn__span *activations, nn__sizes *sizes, nn_layer *layers,
                                nn_layer *layer)
{
    const int activation = nn__take_activation(activations);
    const int last = activations->at == activations->end;
    nn__map map;
    nn_status status;

    if (activation < 0) return NN_ERROR_METADATA;
    layer->activation = (nn_activation)activation;
    status = nn__check_layer(layer, &sizes->map, sizes->count == 0, last, &map);
    if (status != NN_OK) return status;
    if (layers) layers[sizes->count] = *layer;
    nn__count_layer(sizes, layer, last);
    return NN_OK;
}

/* Returns the inputs that the metadata state, 0 if they do not, and sets *list to where their
   layers begin. */
static int nn__take_inputs(const nn__file *file, nn__span *list)
{
    *list = file->parts[NN__WIDTHS];
#ifndef NN_NO_CONVOLUTION
    if (file->described) {
        nn__span first = *list;
        nn_layer image;
        int inputs;

        if (!nn__take_description(&first, &image) || image.kind != NN_LAYER_IMAGE) return 0;
        return nn__multiply_counts(image.height, image.width, image.channels, &inputs) ? inputs : 0;
    }
#endif
    return nn__take_width(list);
}

/* Takes the next layer of the metadata, but not its activation. */
static int nn__take_layer(const nn__file *file, nn__span *list, nn_layer *layer)
{
#ifndef NN_NO_CONVOLUTION
    if (file->described)
        return (list->at == file->parts[NN__WIDTHS].at || nn__take_text(list, ",")) &&
               nn__take_description(list, layer);
#else
    (void)file;
#endif
    memset(layer, 0, sizeof *layer);
    layer->width = nn__take_text(list, ",") ? nn__take_width(list) : 0;
    return layer->width > 0;
}

/* ---- Opening a file where it is -------------------------------------------------------------- */

/* Takes `","nn.key":"value`. */
static int nn__take_pair(nn__span *header, const char *key, nn__span *value)
{
    if (!nn__take_text(header, "\",\"nn.") || !nn__take_text(header, key) ||
        !nn__take_text(header, "\":\""))
        return 0;
    value->at = header->at;
    while (header->at < header->end && nn__peek(header) != '"') header->at++;
    value->end = header->at;
    return 1;
}

/* The layers that the metadata describe, into layers[] unless it is NULL, if they are as nn_save
   writes them. */
static nn_status nn__read_saved_layers(const nn__file *file, nn__sizes *sizes, nn_layer *layers)
{
    nn__span list, activations = file->parts[NN__ACTIVATIONS];
    const int inputs = nn__take_inputs(file, &list);
    nn_layer layer;
    nn_status status;

    if (!inputs) return NN_ERROR_METADATA;
    nn__no_layers(sizes, inputs);
    do {
        if (!nn__take_layer(file, &list, &layer)) return NN_ERROR_METADATA;
        status = nn__read_layer(&activations, sizes, layers, &layer);
        if (status != NN_OK) return status;
    } while (activations.at < activations.end);
    return list.at == list.end ? NN_OK : NN_ERROR_METADATA;
}

/* Only what nn_save writes is taken here: the metadata up to the checksum, in its order, say all.
   What is behind it in the header is in the checksum alone. */
static nn_status nn__read_saved(nn__file *file, nn__sizes *sizes, const void *bytes, size_t size)
{
    const nn_status status = nn__find_header(file, bytes, size);
    nn__span *rest = &file->parts[NN__REST];
    size_t data;
    int i, good;

    if (status != NN_OK) return status;
    good = nn__take_text(rest, "{\"__metadata__\":{\"format\":\"pt");
    for (i = NN__VERSION; good && i <= NN__CHECKSUM; i++) {
#ifndef NN_NO_CONVOLUTION
        nn__span pair = *rest;
        if (i == NN__WIDTHS && nn__take_pair(&pair, "layers", &file->parts[i])) {
            file->described = 1;
            *rest = pair;
            continue;
        }
#endif
        good = nn__take_pair(rest, nn__keys[i], &file->parts[i]);
    }
#ifndef NN_NO_MALLOC
    if (good) {
        nn__span pairs = *rest;
        if (nn__take_pair(&pairs, "target_scaling", &file->target_scaling))
            good = nn__take_pair(&pairs, "target_values", &file->target_values);
    }
#endif
    good = good && nn__take_text(rest, "\"");
    (void)nn__take_text(rest, "}"); /* unless pairs of the user's follow, of which none is read */
    if (!good || nn__read_saved_layers(file, sizes, NULL) != NN_OK)
        return file->parts[NN__VERSION].at ? NN_ERROR_METADATA : NN_ERROR_HEADER;
    data = (size_t)(file->parts[NN__DATA].end - file->parts[NN__DATA].at);
    return data % sizeof(nn_real) || data / sizeof(nn_real) != sizes->parameters
               ? NN_ERROR_TRUNCATED
               : NN_OK;
}

NN_DEF size_t nn_model_open_size(const void *bytes, size_t size)
{
    nn__file file;
    nn__sizes sizes;

    return nn__read_saved(&file, &sizes, bytes, size) == NN_OK ? nn__model_size(&sizes, 1) : 0;
}

NN_DEF nn_status nn_model_open_in(nn_model **model, void *memory, size_t memory_size,
                                  const void *bytes, size_t size)
{
    nn__file file;
    nn__sizes sizes;
    nn__span data;
    nn_model *made = NULL;
    nn_status status;

    if (!model) return NN_ERROR_NULL;
    *model = NULL;
    status = NN__IN_PLACE ? nn__read_saved(&file, &sizes, bytes, size) : NN_ERROR_READ_ONLY;
    if (status == NN_OK) status = nn__make_model(&made, memory, memory_size, &sizes, 1);
    if (status == NN_OK) status = nn__check_ours(&file);
    if (status == NN_OK) status = nn__read_scaling(&file, made, 2 * sizeof(nn_real), 1);
    if (status != NN_OK) return status;
    (void)nn__read_saved_layers(&file, &sizes, made->layers);
    nn__set_offsets(made);
#ifndef NN_NO_MALLOC
    status = nn__read_target_scaling(&file, made, 1);
    if (status != NN_OK) return status;
#endif
    data = file.parts[NN__DATA];
    made->file = data.at;
    for (; data.at < data.end; data.at += sizeof(nn_real))
        if (!nn__is_finite(nn__stored_real(data.at))) return NN_ERROR_PARAMETER;
    *model = made;
    return NN_OK;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void nn__skip_space(nn__span *json)
{
    int c;

    for (; (c = nn__peek(json)) == ' ' || c == '\t' || c == '\n' || c == '\r';) json->at++;
}

/* Takes a character, after white space; 0 if another is there. */
static int nn__take_character(nn__span *json, int character)
{
    nn__skip_space(json);
    if (nn__peek(json) != character) return 0;
    json->at++;
    return 1;
}

/* Takes four hexadecimal digits, or returns -1. */
static int32_t nn__take_code(nn__span *string)
{
    int32_t code = 0;
    unsigned digit;
    int i, c;

    for (i = 0; i < 4; i++, string->at++) {
        c = nn__peek(string);
        digit = nn__digit(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);
        if (digit > 15) return -1;
        code = code * 16 + (int32_t)digit;
    }
    return code;
}

/* Takes what follows the first byte of a character of UTF-8; -1 where it is not legal. */
static int32_t nn__take_utf8(nn__span *string, int32_t first)
{
    const int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    int32_t c = first & (0x3f >> more);
    int i, byte;

    if (first < 0xc2 || first > 0xf4) return -1;
    for (i = 0; i < more; i++, string->at++) {
        byte = nn__peek(string);
        if ((byte & 0xc0) != 0x80) return -1;
        c = c * 64 + (byte & 0x3f);
    }
    if ((more == 2 && c < 0x800) || (more == 3 && c < 0x10000)) return -1;
    return c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? -1 : c;
}

/* Takes an escaped character of a string, from behind the backslash. */
static int32_t nn__take_escaped(nn__span *string)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    int32_t c = nn__peek(string), low;
    int i;

    if (c < 0) return -1;
    string->at++;
    for (i = 0; from[i]; i++)
        if (c == from[i]) return to[i];
    c = c == 'u' ? nn__take_code(string) : -1;
    if (c < 0xd800 || c > 0xdfff) return c;
    if (c > 0xdbff || !nn__take_text(string, "\\u")) return -1; /* the other half of a pair */
    low = nn__take_code(string);
    return low < 0xdc00 || low > 0xdfff ? -1 : 0x10000 + (c - 0xd800) * 1024 + (low - 0xdc00);
}

/* Takes the next character of a string, escaped or not, as its Unicode number; -1 at the end, and
   where it is not legal. */
NN__HOT int32_t nn__next_character(nn__span *string)
{
    const int32_t c = nn__peek(string);

    if (c < 32) return -1;
    string->at++;
    if (c >= 128) return nn__take_utf8(string, c);
    return c == '\\' ? nn__take_escaped(string) : c;
}

/* Takes a string in quotes, and checks its escapes and its UTF-8. */
static int nn__take_string(nn__span *json, nn__span *string)
{
    if (!nn__take_character(json, '"')) return 0;
    string->at = json->at;
    while (nn__peek(json) != '"')
        if (nn__next_character(json) < 0) return 0;
    string->end = json->at++;
    return 1;
}

/* Takes a whole number, after white space. */
static int nn__take_count(nn__span *json, size_t *count)
{
    nn__skip_space(json);
    return nn__take_number(json, count);
}

static int nn__begins_with(nn__span *string, const char *text)
{
    for (; *text; text++)
        if (nn__next_character(string) != (unsigned char)*text) return 0;
    return 1;
}

static int nn__string_is(nn__span string, const char *text)
{
    return nn__begins_with(&string, text) && string.at == string.end;
}

static int nn__is_digit(int32_t c)
{
    return c >= '0' && c <= '9';
}

/* How runs of digits in two strings are compared: as characters, by their values, or as equal. */
enum { NN__AS_CHARACTERS, NN__AS_VALUES, NN__AS_EQUAL };

/* The order of two strings by their characters. */
static int nn__compare_strings(nn__span a, nn__span b, int numbers)
{
    int32_t c = nn__next_character(&a), d = nn__next_character(&b);
    int order, in_a, in_b;

    for (;;) {
        if (numbers && nn__is_digit(c) && nn__is_digit(d)) {
            while (c == '0') c = nn__next_character(&a);
            while (d == '0') d = nn__next_character(&b);
            order = 0;
            for (;;) { /* the longer number is larger, or else the first digit that differs says */
                in_a = nn__is_digit(c);
                in_b = nn__is_digit(d);
                if (!in_a && !in_b) break;
                if (!order || in_a != in_b) order = in_a != in_b ? in_a - in_b : (c > d) - (c < d);
                if (in_a) c = nn__next_character(&a);
                if (in_b) d = nn__next_character(&b);
            }
            if (order && numbers == NN__AS_VALUES) return order;
        }
        if (c != d || c < 0) return (c > d) - (c < d); /* the end is -1 */
        c = nn__next_character(&a);
        d = nn__next_character(&b);
    }
}

/* Natural order, so that "2.weight" is before "10.weight"; names that differ in leading zeros alone
   by their characters. 0 only for equal names. */
static int nn__compare_natural(nn__span a, nn__span b)
{
    const int order = nn__compare_strings(a, b, NN__AS_VALUES);

    return order ? order : nn__compare_strings(a, b, NN__AS_CHARACTERS);
}

/* ---- The header ------------------------------------------------------------------------------ */

/* The kinds of entries of a header: a key of the metadata, and tensors. A name with a dot that does
   not end in ".weight" or ".bias" is that of another tensor of a layer. */
enum { NN__KIND_WEIGHT, NN__KIND_BIAS, NN__KIND_OTHER, NN__KIND_TENSOR, NN__KIND_KEY };

/* The most dimensions of a layer's tensor. */
#ifdef NN_NO_CONVOLUTION
enum { NN__MOST_RANK = 2 };
#else
enum { NN__MOST_RANK = 4 };
#endif

typedef struct nn__entry {
    nn__span name;
    nn__span base; /* the name without ".weight" or ".bias", or all of it */
    int kind;
    nn__span value;                          /* of a key; the rest is a tensor's */
    size_t shape[NN__MOST_RANK], start, end; /* of a higher rank, the first dimensions */
    int rank;
    int real;  /* bytes of a floating-point type that is read; 0: another type */
    int brain; /* of 2 bytes: 1: BF16, 0: F16 */
#ifndef NN_NO_MALLOC
    int chosen; /* whether a list of names has chosen it */
#endif
} nn__entry;

/* Returns the bytes of an element, 0 for a type that is not known; sets what the tensor's type
   is. */
static unsigned nn__type_size(nn__span type, nn__entry *tensor)
{
    static const char *const names[] = {"F32",     "F64",     "F16", "BF16", "I8",
                                        "I16",     "I32",     "I64", "BOOL", "U8",
                                        "F8_E5M2", "F8_E4M3", "U16", "U32",  "U64"};
    static const unsigned char bytes[] = {4, 8, 2, 2, 1, 2, 4, 8, 1, 1, 1, 1, 2, 4, 8};
    int i;

    tensor->real = tensor->brain = 0;
    for (i = 0; i < NN__COUNT(names); i++) {
        if (!nn__string_is(type, names[i])) continue;
        if (i < 4 && bytes[i] <= sizeof(double)) /* unreached: a double has 8 bytes */
            tensor->real = bytes[i];
        tensor->brain = i == 3;
        return bytes[i];
    }
    return 0;
}

/* Takes `[n, n, ...]`: *product of all, the first ones in shape. */
static int nn__take_shape(nn__span *json, nn__entry *tensor, size_t *product)
{
    size_t n;

    *product = 1;
    tensor->rank = 0;
    memset(tensor->shape, 0, sizeof tensor->shape);
    if (!nn__take_character(json, '[')) return 0;
    if (nn__take_character(json, ']')) return 1;
    do {
        if (!nn__take_count(json, &n)) return 0;
        if (tensor->rank < NN__MOST_RANK) tensor->shape[tensor->rank] = n;
        if (n && *product > SIZE_MAX / n) return 0;
        *product *= n;
        tensor->rank++;
    } while (nn__take_character(json, ','));
    return nn__take_character(json, ']');
}

#ifndef NN_NO_MALLOC
/* Takes digits, at least one. */
static int nn__take_digits(nn__span *json)
{
    const unsigned char *start = json->at;

    while (nn__is_digit(nn__peek(json))) json->at++;
    return json->at > start;
}

/* Takes a string, a number, true, false or null. */
static int nn__take_scalar(nn__span *json)
{
    nn__span string;
    int c;

    nn__skip_space(json);
    c = nn__peek(json);
    if (c == '"') return nn__take_string(json, &string);
    if (c == 't') return nn__take_text(json, "true");
    if (c == 'f') return nn__take_text(json, "false");
    if (c == 'n') return nn__take_text(json, "null");
    json->at += c == '-';
    if (nn__peek(json) == '0')
        json->at++;
    else if (!nn__take_digits(json))
        return 0;
    if (nn__peek(json) == '.') {
        json->at++;
        if (!nn__take_digits(json)) return 0;
    }
    c = nn__peek(json);
    if (c != 'e' && c != 'E') return 1;
    json->at++;
    c = nn__peek(json);
    json->at += c == '+' || c == '-';
    return nn__take_digits(json);
}

/* Takes any value of JSON, in which at most 64 brackets are open at a time. */
static int nn__take_value(nn__span *json)
{
    nn__span key;
    uint64_t objects = 0; /* for each open bracket, the last in the lowest bit: is it an object? */
    int depth = 0, opens;

    for (;;) {
        const int object = nn__take_character(json, '{');
        opens = object || nn__take_character(json, '[');
        if (opens) {
            if (depth++ == 64) return 0;
            objects = objects << 1 | (uint64_t)object;
        } else if (!nn__take_scalar(json)) {
            return 0;
        }
        for (; depth; depth--, objects >>= 1, opens = 0) { /* what ends here */
            if (!nn__take_character(json, objects & 1 ? '}' : ']')) break;
        }
        if (!depth) return 1;
        if (!opens && !nn__take_character(json, ',')) return 0;
        if ((objects & 1) && (!nn__take_string(json, &key) || !nn__take_character(json, ':')))
            return 0;
    }
}
#endif

/* Takes a tensor's description; its length must be that of its shape and type, if that is known.
   Other keys are passed over where there is a heap. */
static int nn__take_tensor(nn__span *json, nn__entry *tensor)
{
    nn__span key, type = {NULL, NULL};
    size_t product = 0;
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
            if (!nn__take_character(json, '[') || !nn__take_count(json, &tensor->start) ||
                !nn__take_character(json, ',') || !nn__take_count(json, &tensor->end) ||
                !nn__take_character(json, ']'))
                return 0;
        } else {
#ifndef NN_NO_MALLOC
            if (nn__take_value(json)) continue;
#endif
            return 0;
        }
        if (seen & bit) return 0;
        seen |= bit;
    } while (nn__take_character(json, ','));
    if (!nn__take_character(json, '}') || seen != 7) return 0;
    size = nn__type_size(type, tensor);
    return tensor->start <= tensor->end &&
           (!size || (product <= SIZE_MAX / size && tensor->end - tensor->start == product * size));
}

/* Finds a tensor's kind and base; of "weight" and "bias" alone, the base is empty. */
static void nn__split_name(nn__entry *tensor)
{
    static const char *const endings[] = {"weight", "bias"};
    nn__span rest = tensor->name;
    int32_t c;
    int i;

    tensor->base.at = tensor->base.end = tensor->name.at;
    tensor->kind = NN__KIND_TENSOR;
    for (;;) { /* the rest begins behind a dot, which base ends before */
        for (i = NN__KIND_WEIGHT; i <= NN__KIND_BIAS; i++) {
            if (!nn__string_is(rest, endings[i])) continue;
            tensor->kind = i;
            return;
        }
        do {
            tensor->base.end = rest.at;
            c = nn__next_character(&rest);
        } while (c >= 0 && c != '.');
        if (c < 0) return;
        tensor->kind = NN__KIND_OTHER;
    }
}

#ifndef NN_NO_MALLOC
/* The order of two tensors by base, a weight before its bias. 0 only for two tensors of one name;
   then "weight" and ".weight" count as one, too. */
static int nn__compare_tensors(const void *first, const void *second)
{
    const nn__entry *a = *(const nn__entry *const *)first, *b = *(const nn__entry *const *)second;
    const int order = nn__compare_natural(a->base, b->base);

    return order ? order : (a->kind > b->kind) - (a->kind < b->kind);
}

/* The order of two tensors in the data. */
static int nn__compare_places(const void *first, const void *second)
{
    const nn__entry *a = *(const nn__entry *const *)first, *b = *(const nn__entry *const *)second;
    const int order = (a->start > b->start) - (a->start < b->start);

    return order ? order : (a->end > b->end) - (a->end < b->end);
}
#endif

/* A walk through the header. */
typedef struct nn__scan {
    nn__span json;
    int inside;                /* the metadata */
    int begun;                 /* an object has had an entry: a comma comes before the next one */
    const unsigned char *rest; /* what is behind the metadata */
} nn__scan;

static nn__scan nn__begin_scan(const nn__file *file)
{
    nn__scan scan;

    memset(&scan, 0, sizeof scan);
    scan.json = file->header;
    return scan;
}

/* Takes the next entry. Returns 1, 0 at the end, and -1 where the header is not legal. */
static int nn__next_entry(nn__scan *scan, nn__entry *entry)
{
    nn__span *json = &scan->json;

    entry->name.at = entry->name.end = json->at;
    for (;;) {
        if (nn__take_character(json, '}')) {
            if (!scan->inside) break;
            scan->rest = json->at;
            scan->inside = 0;
            scan->begun = 1;
            continue;
        }
        if (scan->begun && !nn__take_character(json, ',')) return -1;
        scan->begun = 1;
        if (!nn__take_string(json, &entry->name) || !nn__take_character(json, ':')) return -1;
        if (scan->inside) {
            entry->base = entry->name;
            entry->kind = NN__KIND_KEY;
            return nn__take_string(json, &entry->value) ? 1 : -1;
        }
        if (!nn__string_is(entry->name, "__metadata__")) {
            nn__split_name(entry);
            return nn__take_tensor(json, entry) ? 1 : -1;
        }
        nn__skip_space(json);
        if (scan->rest) return -1;
        if (nn__peek(json) == 'n') {
            if (!nn__take_text(json, "null")) return -1;
            scan->rest = json->at;
            continue;
        }
        if (!nn__take_character(json, '{')) return -1;
        scan->inside = 1;
        scan->begun = 0;
    }
    nn__skip_space(json);
    return json->at == json->end ? 0 : -1;
}

static void nn__name_location(nn_location *location, nn__span name)
{
    size_t i;

    if (!location) return;
    for (i = 0; i < sizeof location->name - 1 && name.at < name.end; i++, name.at++)
        location->name[i] = (char)NN_READ_BYTE(name.at);
    location->name[i] = 0;
}

/* Keeps the value of a key of ours; whether it is the first of its name. */
static int nn__keep_value(nn__file *file, const nn__entry *entry)
{
    nn__span name = entry->name, *part = NULL;
    int i;

    if (!nn__begins_with(&name, "nn.")) return 1;
    file->ours = 1;
    for (i = NN__VERSION; i <= NN__STATE; i++)
        if (nn__string_is(name, nn__keys[i])) part = &file->parts[i];
#ifndef NN_NO_CONVOLUTION
    if (nn__string_is(name, "layers")) {
        part = &file->parts[NN__WIDTHS];
        file->described = 1;
    }
#endif
#ifndef NN_NO_MALLOC
    if (nn__string_is(name, "target_scaling")) part = &file->target_scaling;
    if (nn__string_is(name, "target_values")) part = &file->target_values;
#endif
    if (!part) return 1;
    if (part->at) return 0;
    *part = entry->value;
    return 1;
}

#ifndef NN_NO_MALLOC
/* Makes the table of the header's tensors, and checks that they cover the data without holes and
   overlaps and that no two have the same name. An empty tensor may stand wherever one begins. */
static nn_status nn__make_table(nn__file *file, nn_location *location)
{
    const size_t count = file->tensors;
    nn__scan scan = nn__begin_scan(file);
    size_t i;

    file->table = (nn__entry *)nn__allocate(count + 1, sizeof(nn__entry));
    file->order = (nn__entry **)nn__allocate(2 * count + 1, sizeof(nn__entry *));
    if (!file->table || !file->order) return NN_ERROR_MEMORY;
    for (i = 0; i < count; i++) {
        do (void)nn__next_entry(&scan, &file->table[i]);
        while (file->table[i].kind == NN__KIND_KEY);
        file->table[i].chosen = 0;
        file->order[i] = &file->table[i];
    }
    nn__sort(file->order, file->order + count, count, sizeof(nn__entry *), nn__compare_places);
    for (i = 0; i < count; i++) {
        nn__name_location(location, file->order[i]->name);
        if (file->order[i]->start != file->data) return NN_ERROR_HEADER;
        file->data = file->order[i]->end;
    }
    nn__sort(file->order, file->order + count, count, sizeof(nn__entry *), nn__compare_tensors);
    for (i = 1; i < count; i++) {
        nn__name_location(location, file->order[i]->name);
        if (!nn__compare_tensors(&file->order[i - 1], &file->order[i])) return NN_ERROR_TENSOR;
    }
    file->layers = file->order;
    file->count = count;
    return NN_OK;
}
#endif

/* Checks the header: its grammar, and that the tensors cover the data without holes and overlaps.
   Without a heap they must also follow each other in the order of the header. */
static nn_status nn__check_header(nn__file *file, nn_location *location)
{
    nn__scan scan;
    nn__entry entry;
    int more;

    if (!nn__take_text(&file->header, "{")) return NN_ERROR_HEADER;
    scan = nn__begin_scan(file);
    while ((more = nn__next_entry(&scan, &entry)) > 0) {
        if (entry.kind == NN__KIND_KEY) {
            if (!nn__keep_value(file, &entry)) return NN_ERROR_HEADER;
            continue;
        }
#ifdef NN_NO_MALLOC
        nn__name_location(location, entry.name);
        if (entry.start != file->data) return NN_ERROR_HEADER;
        file->data = entry.end;
#else
        file->tensors++;
#endif
    }
    if (more < 0 && !scan.inside) nn__name_location(location, entry.name);
    if (more < 0) return NN_ERROR_HEADER;
#ifndef NN_NO_MALLOC
    {
        const nn_status status = nn__make_table(file, location);
        if (status != NN_OK) return status;
    }
#endif
    if (location) location->name[0] = 0;
    if (file->ours && file->parts[NN__CHECKSUM].at) {
        file->parts[NN__REST].at = file->parts[NN__CHECKSUM].end + 1; /* behind the quote */
        file->parts[NN__REST].end = file->header.end;
        (void)nn__take_text(&file->parts[NN__REST], "}");
    }
    return NN_OK;
}

/* Checks that the data have the length that the header announces, and, of a file of ours, version
   and checksum. */
static nn_status nn__check_data(const nn__file *file)
{
    const nn__span *data = &file->parts[NN__DATA];

    if ((size_t)(data->end - data->at) != file->data) return NN_ERROR_TRUNCATED;
    return file->ours ? nn__check_ours(file) : NN_OK;
}

/* Finds the parts of any safetensors file in bytes[size] and checks them. nn__close_file is needed
   after it in any case. */
static nn_status nn__open_file(nn__file *file, const void *bytes, size_t size,
                               nn_location *location)
{
    nn_status status = nn__find_header(file, bytes, size);

    file->header = file->parts[NN__REST];
    if (status == NN_OK) status = nn__check_header(file, location);
    return status == NN_OK ? nn__check_data(file) : status;
}

static void nn__close_file(nn__file *file)
{
#ifdef NN_NO_MALLOC
    (void)file;
#else
    if (file->table) NN_FREE(file->table);
    if (file->order) NN_FREE(file->order);
    if (file->owned_header) NN_FREE(file->owned_header);
    if (file->owned_data) NN_FREE(file->owned_data);
#endif
}

#if !defined(NN_NO_STDIO) && !defined(NN_NO_MALLOC)

/* nn__open_file for a stream. The header is checked before more is read, then the data that it
   announces, and one byte more, to see the end. */
static nn_status nn__read_parts(nn__file *file, FILE *stream, nn_location *location)
{
    unsigned char start[8];
    nn__span *header = &file->header, *data = &file->parts[NN__DATA];
    nn_status status;
    size_t length, got;

    if (nn__read_up_to(stream, start, 8) < 8) return NN_ERROR_TRUNCATED;
    length = (size_t)nn__stated_length(start);
    if (!length) return NN_ERROR_HEADER;
    status = nn__read_bytes(stream, length, &file->owned_header, &got);
    if (status != NN_OK) return status;
    if (got < length) return NN_ERROR_TRUNCATED;
    header->at = file->owned_header;
    header->end = header->at + length;
    status = nn__check_header(file, location);
    if (status != NN_OK) return status;
    status = nn__read_bytes(stream, file->data + 1, &file->owned_data, &got);
    if (status != NN_OK) return status;
    data->at = file->owned_data;
    data->end = data->at + got;
    return nn__check_data(file);
}

/* nn__open_file for a path. */
static nn_status nn__open_path(nn__file *file, const char *path, nn_location *location)
{
    nn_status status;
    FILE *stream;

    memset(file, 0, sizeof *file);
    nn__set_location(location, path);
    if (!path) return NN_ERROR_NULL;
    stream = NN_FOPEN(path, "rb");
    if (!stream) return NN_ERROR_OPEN;
    status = nn__read_parts(file, stream, location);
    if (NN_FERROR(stream)) status = NN_ERROR_READ;
    (void)NN_FCLOSE(stream);
    return status;
}
#endif

/* ---- Loading --------------------------------------------------------------------------------- */

#ifndef NN_NO_MALLOC
/* Writes a character as UTF-8; returns its end. */
static char *nn__write_utf8(char *to, int32_t c)
{
    static const unsigned char first[] = {0, 0xc0, 0xe0, 0xf0};
    const int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    int i;

    *to++ = (char)(unsigned char)(first[more] | c >> (6 * more));
    for (i = more; i-- > 0;) *to++ = (char)(unsigned char)(0x80 | (c >> (6 * i) & 0x3f));
    return to;
}

/* Takes the beginning of a string if it is the text. */
static int nn__begins_with_utf8(nn__span *string, const char *text)
{
    char character[4];
    size_t bytes;

    for (; *text; text += bytes) {
        const int32_t c = nn__next_character(string);
        if (c < 0) return 0;
        bytes = (size_t)(nn__write_utf8(character, c) - character);
        if (strncmp(text, character, bytes) != 0) return 0;
    }
    return 1;
}
#endif

/* The layers in their order. */
typedef struct nn__cursor {
    const nn__file *file;
    nn__entry tensors[2]; /* a layer's weight and bias */
    int found;            /* bit k: tensors[k] is there; 4: one of them is there twice */
    nn__span base;        /* of their names */
    int count;            /* layers so far */
#ifndef NN_NO_MALLOC
    size_t index; /* of the next tensor in file->layers */
#endif
} nn__cursor;

static nn__cursor nn__begin_reading(const nn__file *file)
{
    nn__cursor cursor;

    memset(&cursor, 0, sizeof cursor);
    cursor.file = file;
    return cursor;
}

/* Finds the next weight, or bias without a weight, and the bias that belongs to the weight; 0 at
   the end. */
static int nn__find_layer(nn__cursor *cursor)
{
#ifdef NN_NO_MALLOC
    nn__scan scan = nn__begin_scan(cursor->file);
    const nn__span before = cursor->base;
    nn__entry entry;
    int order;

    cursor->found = 0;
    while (nn__next_entry(&scan, &entry) > 0) {
        if (entry.kind > NN__KIND_BIAS ||
            (cursor->count && nn__compare_natural(entry.base, before) <= 0))
            continue;
        order = cursor->found ? nn__compare_natural(entry.base, cursor->base) : -1;
        if (order > 0) continue;
        if (order < 0) cursor->found = 0;
        cursor->found |= cursor->found >> entry.kind & 1 ? 4 : 1 << entry.kind;
        cursor->tensors[entry.kind] = entry;
        cursor->base = entry.base;
    }
#else
    const nn__file *file = cursor->file;
    const nn__entry *tensor;

    for (cursor->found = 0; cursor->index < file->count; cursor->index++) {
        tensor = file->layers[cursor->index];
        if (tensor->kind > NN__KIND_BIAS) continue;
        if (cursor->found &&
            (tensor->kind != NN__KIND_BIAS || nn__compare_natural(tensor->base, cursor->base)))
            break;
        cursor->found |= 1 << tensor->kind;
        cursor->tensors[tensor->kind] = *tensor;
        cursor->base = tensor->base;
    }
#endif
    return cursor->found;
}

/* Returns whether a tensor can be the weights of a layer, by its type and its dimensions. */
static int nn__is_weights(const nn__entry *tensor)
{
    int i;

    if (!tensor->real || tensor->rank < 2 || tensor->rank > NN__MOST_RANK) return 0;
    for (i = 0; i < tensor->rank; i++)
        if (tensor->shape[i] < 1 ||
            tensor->shape[i] > NN__MOST) /* unreached: such a file has 2 GB */
            return 0;
    return 1;
}

/* Goes to the next layer. Returns 1, 0 at the end, and -1 when its tensors are none of a layer, or
   when nothing says that it comes next: the names of layers must be equal but for numbers. */
static int nn__next_layer(nn__cursor *cursor, nn_location *location)
{
    const nn__entry *weight = &cursor->tensors[NN__KIND_WEIGHT];
    const nn__entry *bias = &cursor->tensors[NN__KIND_BIAS];
    const nn__span before = cursor->base;
    int numbered = !cursor->count;

    if (!nn__find_layer(cursor)) return 0;
#ifndef NN_NO_MALLOC
    numbered |= cursor->file->named;
#endif
    nn__name_location(location, (cursor->found & 1 ? weight : bias)->name);
    if (!(cursor->found & 1) || cursor->found & 4 ||
        (!numbered && nn__compare_strings(before, cursor->base, NN__AS_EQUAL)))
        return -1;
    cursor->count++;
    if (!nn__is_weights(weight)) return -1;
    if (!(cursor->found & 2)) return cursor->file->ours ? -1 : 1; /* nn_save writes all biases */
    if (bias->real && bias->rank == 1) return bias->shape[0] == weight->shape[0] ? 1 : -1;
    nn__name_location(location, bias->name);
    return -1;
}

/* The bits of the float that has the value of half a float, F16: a sign, 5 bits of exponent, 10 of
   mantissa. */
static uint32_t nn__widen(uint32_t half)
{
    uint32_t exponent = (half >> 10 & 31) + 112, mantissa = half & 0x3ff;

    if (exponent == 143) exponent = 255; /* infinite or NaN */
    if (exponent == 112) {               /* zero or denormal */
        if (!mantissa) return half << 16;
        for (exponent++; !(mantissa & 0x400); exponent--) mantissa <<= 1;
    }
    return (half & 0x8000) << 16 | exponent << 23 | (mantissa & 0x3ff) << 13;
}

static nn_real nn__read_real(const unsigned char *b, const nn__entry *tensor)
{
    uint64_t bits = 0;
    int i;

    if (tensor->real == sizeof(nn_real)) return nn__stored_real(b);
    for (i = tensor->real; i-- > 0;) bits = bits << 8 | NN_READ_BYTE(b + i);
    if (tensor->real != 2) return nn__real_of(bits, tensor->real);
    return nn__real_of(tensor->brain ? bits << 16 : nn__widen((uint32_t)bits), 4);
}

/* Reads a tensor [out x channels x pixels] into w[pixels x channels x out], or only checks it when
   w is NULL; whether all of it is finite. */
static int nn__read_tensor(const nn__file *file, const nn__entry *tensor, size_t pixels,
                           int channels, size_t out, nn_real *w)
{
    const unsigned char *at = file->parts[NN__DATA].at + tensor->start;
    const size_t real = (size_t)tensor->real, in = pixels * (size_t)channels;
    size_t i, j;
    int c;

    for (i = 0; i < pixels; i++)
        for (c = 0; c < channels; c++)
            for (j = 0; j < out; j++) {
                const size_t index = j * in + (size_t)c * pixels + i;
                const nn_real x = nn__read_real(at + index * real, tensor);
                if (!nn__is_finite(x)) return 0;
                if (w) *w++ = x;
            }
    return 1;
}

/* Returns whether a tensor belongs to a layer, but is neither its weight nor its bias. With a list
   of names, only the layers in it count. */
static int nn__is_left_over(const nn__file *file, const nn__entry *tensor, const char *const *names,
                            int count)
{
    int i;

#ifdef NN_NO_MALLOC
    (void)names, (void)count;
#else
    for (i = 0; names && i < count; i++) {
        nn__span rest = tensor->name;
        if (!*names[i] || !nn__begins_with_utf8(&rest, names[i])) continue;
        if (tensor->kind <= NN__KIND_BIAS && rest.at == tensor->base.end) continue;
        if (nn__next_character(&rest) == '.') return 1;
    }
    if (names) return 0;
#endif
    if (tensor->kind != NN__KIND_OTHER) return 0;
    for (i = 0; file->parts[NN__STATE].at && i < NN__CHECKPOINT_ARRAYS; i++)
        if (nn__string_is(tensor->name, nn__array_names[i])) return 0;
    return 1;
}

/* Refuses a file in which a layer has other tensors than a weight and a bias: it computes something
   else than a dense layer, and its shapes do not tell. Names the first one in the header that has
   floating-point numbers, or else the first one. */
static nn_status nn__check_left_over(const nn__file *file, const char *const *names, int count,
                                     nn_location *location)
{
    nn__scan scan = nn__begin_scan(file);
    nn__entry tensor;
    int found = 0;

    while (nn__next_entry(&scan, &tensor) > 0) {
        if (tensor.kind == NN__KIND_KEY || (found && !tensor.real) ||
            !nn__is_left_over(file, &tensor, names, count))
            continue;
        nn__name_location(location, tensor.name);
        if (tensor.real) return NN_ERROR_TENSOR;
        found = 1;
    }
    return found ? NN_ERROR_TENSOR : NN_OK;
}

/* Makes file->layers the tensors of the layers in the list. */
static nn_status nn__choose_layers(nn__file *file, const char *const *names, int count,
                                   nn_location *location)
{
#ifdef NN_NO_MALLOC
    if (names) return NN_ERROR_OPTION;
#else
    nn__entry **chosen = file->order + file->tensors; /* the room for sorting */
    size_t used = 0, k;
    int i;

    for (i = 0; names && i < count; i++)
        if (!names[i]) return NN_ERROR_NULL;
#endif
    {
        const nn_status status = nn__check_left_over(file, names, count, location);
        if (status != NN_OK || !names) return status;
    }
#ifndef NN_NO_MALLOC
    for (i = 0; i < count; i++) {
        const size_t before = used;
        for (k = 0; k < file->tensors; k++) { /* in order, so that a weight comes before its bias */
            nn__entry *tensor = file->order[k];
            nn__span base = tensor->base;
            if (tensor->kind > NN__KIND_BIAS || !nn__begins_with_utf8(&base, names[i]) ||
                base.at != base.end || tensor->chosen)
                continue;
            tensor->chosen = 1;
            chosen[used++] = tensor;
        }
        if (used == before || chosen[before]->kind != NN__KIND_WEIGHT) {
            if (location)
                nn__copy_text(location->name, sizeof location->name, names[i], strlen(names[i]));
            return NN_ERROR_TENSOR;
        }
    }
    file->layers = chosen;
    file->count = used;
    file->named = 1;
#endif
    return NN_OK;
}

/* Returns whether a tensor has the dimensions of the weights of layer i. Those of a convolution
   whose kernel has height 1 may leave out the height. */
static int nn__weights_fit(const nn__entry *tensor, const nn_model *model, int i)
{
    size_t shape[4] = {0, 0, 0, 0};
    int rank = nn__weight_shape(model, i, 0, shape);

    if (rank == 4 && tensor->rank == 3 && shape[2] == 1)
        rank = nn__weight_shape(model, i, 1, shape);
    return tensor->rank == rank && !memcmp(tensor->shape, shape, (size_t)rank * sizeof *shape);
}

/* Reads the parameters of all layers into the model; or, when store is 0, only checks them. */
static nn_status nn__read_parameters(const nn__file *file, nn_model *model, int store,
                                     nn_location *location)
{
    nn__cursor cursor = nn__begin_reading(file);
    const nn__entry *weight = &cursor.tensors[NN__KIND_WEIGHT];
    const nn__entry *bias = &cursor.tensors[NN__KIND_BIAS];
    int more, i;

#ifdef NN_NO_MALLOC
    if (nn__is_too_long((size_t)(file->header.end - file->header.at), model->count))
        return NN_ERROR_OVERFLOW;
#endif
    for (i = nn__next_with_parameters(model, 0); (more = nn__next_layer(&cursor, location)) > 0;
         i = nn__next_with_parameters(model, i + 1)) {
        nn_real *weights = NULL, *biases = NULL;
        nn__layer layer;
        size_t out;
        int channels;

        if (i == model->count || !nn__weights_fit(weight, model, i)) return NN_ERROR_TENSOR;
        layer = nn__layer_at(model, i);
        out = (size_t)layer.matrix.cols;
        channels = nn__channels(&layer.matrix);
        if (store) {
            weights = model->parameters + layer.weights;
            biases = model->parameters + layer.biases;
            memset(biases, 0, out * sizeof(nn_real)); /* in case there is no bias */
        }
        if (!nn__read_tensor(file, weight, (size_t)(layer.matrix.rows / channels), channels, out,
                             weights))
            return NN_ERROR_PARAMETER;
        if (!(cursor.found & 2)) continue;
        nn__name_location(location, bias->name);
        if (!nn__read_tensor(file, bias, 1, 1, out, biases)) return NN_ERROR_PARAMETER;
    }
    if (more < 0 || i != model->count) return NN_ERROR_TENSOR;
    if (store) model->changes++;
    if (location) location->name[0] = 0;
    return NN_OK;
}

/* Returns whether the model's layer i is as the metadata describe it, but for its activation. A
   stride of 0 is written as what it means. */
static int nn__layer_fits(const nn_model *model, int i, const nn_layer *layer)
{
    const nn_layer *own = model->layers + i;
#ifndef NN_NO_CONVOLUTION
    if (own->kind != layer->kind || own->height != layer->height ||
        own->channels != layer->channels || own->padding != layer->padding)
        return 0;
    if (own->kind > NN_LAYER_IMAGE && own->kind != NN_LAYER_GLOBAL_AVERAGE) {
        const nn__window window = nn__window_at(model, i);
        if (window.stride_height != layer->stride_height ||
            window.stride_width != layer->stride_width)
            return 0;
    }
#endif
    return own->width == layer->width;
}

/* Returns whether the layers in the metadata, if they are there, are the model's. */
static int nn__layers_fit(const nn__file *file, const nn_model *model)
{
    nn__span list;
    nn_layer layer;
    int i;

    if (!file->parts[NN__WIDTHS].at) return 1;
    if (nn__take_inputs(file, &list) != model->inputs) return 0;
    for (i = 0; i < model->count; i++)
        if (!nn__take_layer(file, &list, &layer) || !nn__layer_fits(model, i, &layer)) return 0;
    return list.at == list.end;
}

/* Reads parameters and scaling into the model; or, when store is 0, only checks that they fit. */
static nn_status nn__read_model(const nn__file *file, nn_model *model, int store,
                                nn_location *location)
{
    const nn__span *values = &file->parts[NN__SCALING_VALUES];
    nn_status status = nn__read_parameters(file, model, store, location);
    int digits = 8;

    if (status != NN_OK || !file->ours) return status;
    if (!values->at) return NN_ERROR_METADATA;
    if (sizeof(double) == 8 && (values->end - values->at) / 2 / model->inputs == 16) digits = 16;
    if (store) nn__clear_scaling(model);
    status = nn__read_scaling(file, model, digits, store);
#ifndef NN_NO_MALLOC
    if (store) nn__clear_target_scaling(model);
    if (status == NN_OK) status = nn__read_target_scaling(file, model, store);
#endif
    if (status == NN_OK && !nn__layers_fit(file, model)) status = NN_ERROR_METADATA;
    return status;
}

#ifndef NN_NO_MALLOC
/* Writes the characters of a string and a 0 behind them, in no more bytes than the string has and
   one. Returns their end, or NULL where one of them is 0. */
static char *nn__write_string(char *to, nn__span string)
{
    while (string.at < string.end) {
        const int32_t c = nn__next_character(&string);
        if (c == 0) return NULL;
        to = nn__write_utf8(to, c);
    }
    *to++ = 0;
    return to;
}

/* Makes the pair of an entry of the header. */
static nn_status nn__read_pair(const nn__entry *entry, const nn_model *model, nn__pair **pair)
{
    const nn__span name = entry->name, value = entry->value;
    const size_t size = (size_t)(name.end - name.at) + (size_t)(value.end - value.at) + 2;
    char *key = (char *)NN_MALLOC(size), *text;
    nn_status status = NN_ERROR_METADATA;

    if (!key) return NN_ERROR_MEMORY;
    text = nn__write_string(key, name);
    if (text && nn__write_string(text, value)) status = nn__make_pair(pair, model, key, text);
    NN_FREE(key);
    return status == NN_OK || status == NN_ERROR_MEMORY ? status : NN_ERROR_METADATA;
}

/* Reads the user's pairs of a file of ours into a list. They are behind the checksum, in the order
   of their keys. */
static nn_status nn__read_pairs(const nn__file *file, const nn_model *model, nn__pair **list)
{
    nn__scan scan = nn__begin_scan(file);
    nn__pair **end = list, *last = NULL;
    nn_status status = NN_OK;
    nn__entry entry;

    *list = NULL;
    while (file->ours && status == NN_OK && nn__next_entry(&scan, &entry) > 0) {
        nn__span name = entry.name;
        if (entry.kind != NN__KIND_KEY || name.at < file->parts[NN__CHECKSUM].end ||
            nn__begins_with(&name, "nn."))
            continue;
        status = nn__read_pair(&entry, model, end);
        if (status != NN_OK) break;
        if (last && strcmp(last->key, (*end)->key) >= 0) status = NN_ERROR_METADATA;
        last = *end; /* a pair was made. NOLINT(clang-analyzer-core.NullDereference) */
        end = &last->next;
    }
    if (status == NN_OK) return NN_OK;
    nn__free_pairs(*list);
    *list = NULL;
    return status;
}

/* A file of ours replaces all pairs of a model. Any other file leaves them as they are. */
static void nn__replace_pairs(const nn__file *file, nn_model *model, nn__pair *list)
{
    if (!file->ours) return;
    nn__free_pairs(model->metadata);
    model->metadata = list;
}
#endif

/* Fills the parameters of a model from an open file, which is then closed. */
static nn_status nn__fill_model(nn_model *model, nn__file *file, const char *const *names,
                                nn_status status, nn_location *location)
{
#ifndef NN_NO_MALLOC
    nn__pair *pairs;
#endif
    int i, count = 0;

    for (i = 0; i < model->count; i++) count += nn__has_parameters(model, i);
    if (status == NN_OK) status = nn__choose_layers(file, names, count, location);
    if (status == NN_OK) status = nn__read_model(file, model, 0, location);
#ifndef NN_NO_MALLOC
    if (status == NN_OK) status = nn__read_pairs(file, model, &pairs);
    if (status == NN_OK) nn__replace_pairs(file, model, pairs);
#endif
    if (status == NN_OK) (void)nn__read_model(file, model, 1, NULL);
    nn__close_file(file);
    return status;
}

NN_DEF nn_status nn_load_parameters_memory(nn_model *model, const void *bytes, size_t size,
                                           const char *const *names, nn_location *location)
{
    nn__file file;
    nn_status status;

    nn__set_location(location, NULL);
    if (!model || !bytes) return NN_ERROR_NULL;
    if (!model->parameters) return NN_ERROR_READ_ONLY;
    status = nn__open_file(&file, bytes, size, location);
    return nn__fill_model(model, &file, names, status, location);
}

#ifndef NN_NO_TRAIN

/* ---- Loading checkpoints --------------------------------------------------------------------- */

/* Reads the trainer's arrays, or only checks them when store is 0. */
static nn_status nn__read_arrays(const nn__file *file, const nn_trainer *trainer, int store,
                                 nn_location *location)
{
    const size_t count = trainer->model->parameter_count;
    int i;

    for (i = 0; i < NN__CHECKPOINT_ARRAYS; i++) {
        nn_real *array = nn__checkpoint_array(trainer, i);
        nn__scan scan = nn__begin_scan(file);
        nn__entry tensor;
        int more;

        if (!array) continue;
        do more = nn__next_entry(&scan, &tensor);
        while (more &&
               (tensor.kind == NN__KIND_KEY || !nn__string_is(tensor.name, nn__array_names[i])));
        if (!more || tensor.real != (int)sizeof(nn_real) || tensor.rank != 1 ||
            tensor.shape[0] != count)
            return NN_ERROR_TENSOR;
        nn__name_location(location, tensor.name);
        if (!nn__read_tensor(file, &tensor, 1, 1, count, store ? array : NULL))
            return NN_ERROR_PARAMETER;
    }
    if (location) location->name[0] = 0;
    return NN_OK;
}

/* Whether a sum can be 1 - beta^step. */
static int nn__is_correction(const nn__sum *sum)
{
    const nn_real total = nn__total(sum), most = (nn_real)1.001; /* more than rounding makes of 1 */

    return sum->high >= 0 && sum->high <= most && total >= 0 && total <= most;
}

#ifndef NN_NO_MALLOC
/* Writes a number as decimal text. */
static void nn__write_digits(char *text, uint64_t number)
{
    uint64_t unit = 1;

    while (number / unit > 9) unit *= 10;
    for (; unit; unit /= 10) *text++ = (char)('0' + (int)(number / unit % 10));
    *text = 0;
}
#endif

/* Names what else of a checkpoint is not the trainer's. */
static void nn__locate(nn_location *location, const char *name)
{
    if (location) memcpy(location->name, name, strlen(name) + 1);
}

/* Says in a location which option of a checkpoint is not the trainer's, and its value there, as far
   as there is a text for it. */
/* clang-format off */
#define NN__OPTION_NAME(type, name, part, form, value) #name "\0"
#define NN__OPTION_PART(type, name, part, form, value) NN__PART_##part,
#define NN__OPTION_FORM(type, name, part, form, value) NN__FORM_##form,
#define NN__NAME_OF_ROW(ID, name, ...)                 #name,
/* clang-format on */
static void nn__locate_option(nn_location *location, int option, uint64_t value)
{
    /* One array of characters: see nn_status_text. */
    static const char names[] = NN__OPTION_LIST(NN__OPTION_NAME, NN__OPTION_NAME);
    const char *name = names;
    int i;
#ifndef NN_NO_MALLOC
    enum {
        NN__FORM_HASH,
        NN__FORM_COUNT,
        NN__FORM_REAL,
        NN__FORM_LOSS,
        NN__FORM_OPTIMIZER,
        NN__FORM_SCHEDULE,
        NN__FORM_SCALING
    };
    static const unsigned char forms[] = {NN__OPTION_LIST(NN__OPTION_FORM, NN__OPTION_FORM)};
    static const char *const losses[] = {NN__LOSSES(NN__NAME_OF_ROW) NULL};
    static const char *const optimizers[] = {NN__OPTIMIZERS(NN__NAME_OF_ROW) NULL};
    static const char *const schedules[] = {"constant", "step", "cosine", "plateau", NULL};
    static const char *const scalings[] = {"none", "standard", "min-max", NULL};
    static const char *const *const lists[] = {losses, optimizers, schedules, scalings};
    const int form = forms[option];
#endif

    if (!location) return;
    for (i = 0; i < option; i++) name += strlen(name) + 1;
    nn__locate(location, name);
#ifdef NN_NO_MALLOC
    (void)value;
#else
    if (form == NN__FORM_COUNT) {
        nn__write_digits(location->expected, value);
    } else if (form == NN__FORM_REAL) {
        const nn_real x = nn__from_bits((nn__bits)value);
        if (nn__is_finite(x)) (void)nn__write_decimal(location->expected, x);
    } else if (form >= NN__FORM_LOSS) {
        const char *const *list = lists[form - NN__FORM_LOSS];
        for (i = 0; list[i]; i++)
            if (value == (uint64_t)i) memcpy(location->expected, list[i], strlen(list[i]) + 1);
    }
#endif
}

/* Returns whether a trainer whose option has its own value would have done the same so far as the
   one that saved the checkpoint, whose option had another value. `state` is the checkpoint's. */
static int nn__option_may_differ(int option, const uint64_t *saved, const uint64_t *own,
                                 const nn__state *state)
{
    static const unsigned char parts[] = {NN__OPTION_LIST(NN__OPTION_PART, NN__OPTION_PART)};
    const uint64_t epoch = (uint64_t)state->epoch, patience = saved[NN__OPTION_patience];
    const int begun = state->epoch || state->position;
    /* After the last epoch, the best weights are restored where there is patience. */
    const int ended =
        patience && (epoch >= saved[NN__OPTION_epochs] || (uint64_t)state->waited >= patience);
    const uint64_t schedule = saved[NN__OPTION_schedule];

    if (option == NN__OPTION_micro_batch_size) return !saved[NN__OPTION_dropout];
    if (option == NN__OPTION_patience) /* the trainers have an array for the best weights, or not */
        return patience && own[option] && (!begun || (!ended && own[option] > patience));
    if (parts[option] != NN__PART_LOOP) return 0;
    if (!begun) return 1;
    if (option == NN__OPTION_validation) return !patience && schedule != NN_SCHEDULE_PLATEAU;
    if (option != NN__OPTION_epochs || ended) return 0;
    if (schedule == NN_SCHEDULE_COSINE && !saved[NN__OPTION_schedule_steps])
        return 0; /* it is as long as all epochs */
    return own[option] >= epoch + (state->position || patience ? 1 : 0);
}

/* Reads the options of a checkpoint with this state, and compares them with the trainer's. */
static nn_status nn__read_options(nn__span text, const nn_trainer *trainer, const nn__state *state,
                                  nn_location *location)
{
    uint64_t saved[NN__OPTION_COUNT], own[NN__OPTION_COUNT];
    int i, digits;

    for (i = 0; i < NN__OPTION_COUNT; i++) {
        if (!nn__take_text(&text, ",")) return NN_ERROR_METADATA;
        for (digits = 0; text.at + digits < text.end && NN_READ_BYTE(text.at + digits) != ',';)
            if (++digits > 16) return NN_ERROR_METADATA;
        if (!digits || !nn__take_hexadecimal(&text, digits, &saved[i])) return NN_ERROR_METADATA;
    }
    if (text.at != text.end) return NN_ERROR_METADATA;
    nn__option_values(trainer, own);
    for (i = 0; i < NN__OPTION_COUNT; i++) {
        if (saved[i] == own[i] || nn__option_may_differ(i, saved, own, state)) continue;
        nn__locate_option(location, i, saved[i]);
        return NN_ERROR_OPTION;
    }
    return NN_OK;
}

/* Reads the state, which must fit the trainer; *state changes in any case. */
static nn_status nn__read_state(const nn__file *file, const nn_trainer *trainer, nn__state *state,
                                nn_location *location)
{
    const nn_model *model = trainer->model;
    nn__span activations = file->parts[NN__ACTIVATIONS], numbers = file->parts[NN__STATE];
    uint64_t n[NN__STATE_NUMBERS];
    int *const ints[] = NN__STATE_INTS(state);
    nn_real *const reals[] = NN__STATE_REALS(state);
    int i;

    if (!activations.at) return NN_ERROR_METADATA;
    for (i = 0; i < model->count; i++)
        if (nn__take_activation(&activations) != (int)model->layers[i].activation) {
            nn__locate(location, "activation");
            return NN_ERROR_OPTION;
        }
    for (i = 0; i < NN__STATE_NUMBERS; i++)
        if (!nn__take_hexadecimal(&numbers, 16, &n[i])) return NN_ERROR_METADATA;
    if (n[0] != sizeof(nn_real)) {
        nn__locate(location, "NN_DOUBLE");
        return NN_ERROR_OPTION;
    }
    if (n[3] > UINT32_MAX || n[5] > n[10] || n[10] > INT_MAX || (n[5] && n[6] > n[5]) ||
        n[7] > n[6] || n[8] > n[4] || n[9] > n[4])
        return NN_ERROR_METADATA;
    state->random_state = n[1];
    state->epoch_key = n[2];
    state->step = (uint32_t)n[3];
    state->rows = (int)n[10];
    for (i = 0; i < NN__COUNT(ints); i++) {
        if (n[4 + i] > INT_MAX) return NN_ERROR_METADATA;
        *ints[i] = (int)n[4 + i];
    }
    for (i = 0; i < NN__COUNT(reals); i++) {
        if (n[11 + i] != (nn__bits)n[11 + i]) return NN_ERROR_METADATA;
        *reals[i] = nn__from_bits((nn__bits)n[11 + i]);
    }
    if (!(state->learning_rate >= 0) || !nn__is_finite(state->learning_rate) ||
        !nn__is_correction(&state->correction1) || !nn__is_correction(&state->correction2) ||
        !nn__is_finite(state->sums.loss.high) || !nn__is_finite(state->sums.loss.low) ||
        !nn__is_finite(state->sums.weight.high) || !nn__is_finite(state->sums.weight.low) ||
        state->sums.weight.high < 0)
        return NN_ERROR_METADATA;
    return nn__read_options(numbers, trainer, state, location);
}

/* Restores a trainer from an open file, which is then closed. */
static nn_status nn__fill_trainer(nn_trainer *trainer, nn__file *file, nn_status status,
                                  nn_location *location)
{
#ifndef NN_NO_MALLOC
    nn__pair *pairs;
#endif
    nn__state state;

    if (status == NN_OK) status = nn__check_left_over(file, NULL, 0, location);
    if (status == NN_OK) status = nn__read_model(file, trainer->model, 0, location);
    if (status == NN_OK && !file->ours) status = NN_ERROR_METADATA;
    if (status == NN_OK) status = nn__read_state(file, trainer, &state, location);
    if (status == NN_OK) status = nn__read_arrays(file, trainer, 0, location);
#ifndef NN_NO_MALLOC
    if (status == NN_OK) status = nn__read_pairs(file, trainer->model, &pairs);
    if (status == NN_OK) nn__replace_pairs(file, trainer->model, pairs);
#endif
    if (status == NN_OK) {
        (void)nn__read_model(file, trainer->model, 1, NULL);
        (void)nn__read_arrays(file, trainer, 1, NULL);
        trainer->state = state;
        trainer->rows = trainer->pending = 0;
        trainer->model->changes++;
    }
    nn__close_file(file);
    return status;
}

NN_DEF nn_status nn_load_checkpoint_memory(nn_trainer *trainer, const void *bytes, size_t size,
                                           nn_location *location)
{
    nn__file file;
    nn_status status;

    nn__set_location(location, NULL);
    if (!trainer || !bytes) return NN_ERROR_NULL;
    status = nn__open_file(&file, bytes, size, location);
    return nn__fill_trainer(trainer, &file, status, location);
}
#endif /* NN_NO_TRAIN */

#ifndef NN_NO_MALLOC

/* ---- Loading a model that does not exist yet ------------------------------------------------- */

/* The layers that the tensors and the activations in the metadata describe: their sizes, and
   themselves unless layers is NULL. With nn.layers it describes them alone; nn__read_model compares
   them with the tensors. */
static nn_status nn__read_layers(const nn__file *file, nn__sizes *sizes, nn_layer *layers,
                                 nn_location *location)
{
    nn__cursor cursor = nn__begin_reading(file);
    nn__span activations = file->parts[NN__ACTIVATIONS];
    const nn__entry *weight = &cursor.tensors[NN__KIND_WEIGHT];
    nn_layer layer;
    nn_status status;
    int more, in, out = 0;

    if (nn__is_described(file)) {
        status = nn__read_saved_layers(file, sizes, layers);
        if (status != NN_OK) return status;
        /* A number has 2 bytes or more. */
        return sizes->parameters <= file->data / 2 ? NN_OK : NN_ERROR_TENSOR;
    }
    sizes->count = 0;
    memset(&layer, 0, sizeof layer);
    while ((more = nn__next_layer(&cursor, location)) > 0) {
        if (weight->rank != 2) return NN_ERROR_TENSOR;
        in = (int)weight->shape[1];
        if (!sizes->count)
            nn__no_layers(sizes, in);
        else if (in != out)
            return NN_ERROR_TENSOR;
        layer.width = out = (int)weight->shape[0];
        status = nn__read_layer(&activations, sizes, layers, &layer);
        if (status != NN_OK) return status;
    }
    if (more < 0) return NN_ERROR_TENSOR;
    return sizes->count && activations.at == activations.end ? NN_OK : NN_ERROR_METADATA;
}

/* Makes the model that a file of ours describes, and reads it. */
static nn_status nn__make_loaded(nn_model **model, const nn__file *file, nn_location *location)
{
    nn__sizes sizes;
    size_t size;
    void *memory;
    nn_model *made = NULL;
    nn_status status;

    if (!file->ours || !file->parts[NN__ACTIVATIONS].at) return NN_ERROR_METADATA;
    status = nn__check_left_over(file, NULL, 0, location);
    if (status == NN_OK) status = nn__read_layers(file, &sizes, NULL, location);
    if (status != NN_OK) return status;
    size = nn__model_size(&sizes, 0);
    if (!size) return NN_ERROR_OVERFLOW;
    memory = NN_MALLOC(size);
    if (!memory) return NN_ERROR_MEMORY;
    status = nn__make_model(&made, memory, size, &sizes, 0);
    NN_ASSERT(status == NN_OK); /* the block has its size */
    made->heap = memory;
    made->file = NULL;
    (void)nn__read_layers(file, &sizes, made->layers, NULL);
    nn__set_offsets(made);
    status = nn__read_model(file, made, 1, location);
    if (status == NN_OK) status = nn__read_pairs(file, made, &made->metadata);
    if (status == NN_OK)
        *model = made;
    else
        NN_FREE(memory);
    return status;
}

NN_DEF nn_status nn_load_memory(nn_model **model, const void *bytes, size_t size,
                                nn_location *location)
{
    nn__file file;
    nn_status status;

    nn__set_location(location, NULL);
    if (!model) return NN_ERROR_NULL;
    *model = NULL;
    status = nn__open_file(&file, bytes, size, location);
    if (status == NN_OK) status = nn__make_loaded(model, &file, location);
    nn__close_file(&file);
    return status;
}

#ifndef NN_NO_STDIO

NN_DEF nn_status nn_load(nn_model **model, const char *path, nn_location *location)
{
    nn__file file;
    nn_status status;

    if (!model) return NN_ERROR_NULL;
    *model = NULL;
    status = nn__open_path(&file, path, location);
    if (status == NN_OK) status = nn__make_loaded(model, &file, location);
    nn__close_file(&file);
    return status;
}

NN_DEF nn_status nn_load_parameters(nn_model *model, const char *path, const char *const *names,
                                    nn_location *location)
{
    nn__file file;
    nn_status status;

    if (!model) return NN_ERROR_NULL;
    nn__set_location(location, path);
    if (!model->parameters) return NN_ERROR_READ_ONLY;
    status = nn__open_path(&file, path, location);
    return nn__fill_model(model, &file, names, status, location);
}

#ifndef NN_NO_TRAIN
NN_DEF nn_status nn_load_checkpoint(nn_trainer *trainer, const char *path, nn_location *location)
{
    nn__file file;
    nn_status status;

    if (!trainer) return NN_ERROR_NULL;
    status = nn__open_path(&file, path, location);
    return nn__fill_trainer(trainer, &file, status, location);
}
#endif
#endif /* NN_NO_STDIO */
#endif /* NN_NO_MALLOC */

#ifndef NN_NO_TRAIN

/* ================================================================================================
   >>export
   ------------------------------------------------------------------------------------------------
   Quantization of the weights to int8, and export of a model as a C file or as an ONNX file.
   ============================================================================================= */

/* ---- Weights as int8 ------------------------------------------------------------------------- */

/* Returns the smallest scale s with 127 s >= largest > 0 whose last 7 bits are 0. Each product q s
   with |q| <= 127 is then exact, because q has at most 7 bits. A small denormal s keeps its last
   bits: it has so few bits that its products are exact all the same. */
static nn_real nn__scale_above(nn_real largest)
{
    nn__bits bits = nn__to_bits(largest / 127), low = bits >> (NN__MANTISSA - 6) ? 127 : 0;

    bits &= ~low;
    if (127 * nn__from_bits(bits) < largest) bits += low + 1;
    return nn__from_bits(bits);
}

/* Returns the integer q that is nearest to w / scale, ties away from zero, limited to |q| <= 127.
   The quotient is rounded, but the remainder |w| - q * scale is exact and decides whether q is
   rounded up. */
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

/* Returns the scale of column j of w[rows x cols], or 0 when all its weights are 0. Quantization
   must be idempotent: the quantized weights must have the same scale. For small denormal scales,
   and where 127 s overflows, the scale of nn__scale_above does not have this property. The next
   smaller scale s does: the largest weight then becomes 127 s, whose scale is s. */
static nn_real nn__int8_scale(const nn_real *w, int rows, int cols, int j)
{
    nn_real largest = 0, scale;
    nn__bits bits;
    int k;

    for (k = 0; k < rows; k++) {
        const nn_real size = nn__absolute(w[(size_t)k * (size_t)cols + (size_t)j]);
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

        for (j = 0; j < layer.matrix.cols; j++) {
            const nn_real scale = nn__int8_scale(w, layer.matrix.rows, layer.matrix.cols, j);
            nn_real *weight = w + j;
            for (k = 0; k < layer.matrix.rows; k++, weight += layer.matrix.cols)
                *weight = (nn_real)nn__to_int8(*weight, scale) * scale;
        }
    }
    model->changes++;
    return NN_OK;
}

#ifndef NN_NO_MALLOC /* a microcontroller does not export: the text would take too much memory */

/* ---- Export to C ----------------------------------------------------------------------------- */

/* The exported file has the functions of >>math, >>activation, >>dense and >>convolution with the
   same operations in the same order, so that it computes the same bits. Their constants and tables
   are written from those of this header. In the pieces of its text two characters are replaced:

       $   by the name of the exported function. All other names in the file begin with this name
           and an underscore.
       @   by the type of a number, float or double
*/
typedef struct nn__exporter {
    nn__writer writer;
    const nn_model *model;
    const char *name;
    int int8;
    const nn__pair *classes; /* the names of the classes, or NULL where they are not written */
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

/* nn__fma, after the pragmas of NN_NO_FMA. It uses fmaf where NN_FMA does, except on AVR, whose
   double has 32 bits and whose fma may not be exact. */
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

/* nn__dense_forward_scalar for one row. The weights are transposed. The activation is a separate
   statement. */
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

#ifndef NN_NO_CONVOLUTION
static const char *const nn__window_piece =
    "/* How a window moves over an image [height x width x channels], line by line. */\n"
    "typedef struct $_window {\n"
    "    int in_height, in_width, channels;\n"
    "    int out_height, out_width, out_channels;\n"
    "    int height, width; /* of the window */\n"
    "    int stride_height, stride_width;\n"
    "    int top, left; /* zeros before the first line and the first column */\n"
    "} $_window;\n\n";

/* nn__pad and nn__convolution_forward_scalar for one row. The weights are transposed. Zeros of the
   padding are not left out of the sums: -0 + 0 is 0. */
#define NN__C_CONVOLUTION(scaled, type, scales, unit, weight)                                      \
    "/* y[positions x out_channels] = patches of x * " scaled "^T +\n"                             \
    "   bias[out_channels]. Around x are zeros, which take part in the sums. */\n"                 \
    "static void $_convolution(const @ *x, " type " *w, " scales "const @ *bias, @ *y,\n"          \
    "                          const $_window *at)\n"                                              \
    "{\n"                                                                                          \
    "    const int channels = at->channels;\n"                                                     \
    "    int i, j, k, m, n, c;\n\n"                                                                \
    "    for (i = 0; i < at->out_height; i++)\n"                                                   \
    "        for (j = 0; j < at->out_width; j++) {\n"                                              \
    "            " type " *weight = w;\n"                                                          \
    "            for (k = 0; k < at->out_channels; k++) {\n" unit                                  \
    "                @ sum = NN_FLASH_REAL(bias + k);\n"                                           \
    "                for (m = 0; m < at->height; m++)\n"                                           \
    "                    for (n = 0; n < at->width; n++) {\n"                                      \
    "                        const int line = i * at->stride_height + m - at->top;\n"              \
    "                        const int column = j * at->stride_width + n - at->left;\n"            \
    "                        const int inside = line >= 0 && line < at->in_height &&\n"            \
    "                                           column >= 0 && column < at->in_width;\n"           \
    "                        const int pixel = inside ? (line * at->in_width + column) *"          \
    " channels : 0;\n"                                                                             \
    "                        for (c = 0; c < channels; c++, weight++)\n"                           \
    "                            sum = $_fma(inside ? x[pixel + c] : 0,\n"                         \
    "                                        " weight ", sum);\n"                                  \
    "                    }\n"                                                                      \
    "                *y++ = sum;\n"                                                                \
    "            }\n"                                                                              \
    "        }\n"                                                                                  \
    "}\n\n"

/* For weights as nn_real, and as int8. */
static const char *const nn__convolution_pieces[] = {
    NN__C_CONVOLUTION("w[out_channels x patch]", "const @", "", "", "NN_FLASH_REAL(weight)"),
    NN__C_CONVOLUTION("(w[out_channels x patch] * scale[out_channels])", "const int8_t",
                      "const @ *scale,\n                          ",
                      "                const @ unit = NN_FLASH_REAL(scale + k);\n",
                      "(@)NN_FLASH_INT8(weight) * unit")};

/* nn__pool_scalar for one row. */
static const char *const nn__pool_piece =
    "/* y[positions x channels] = the mean or the largest number of each channel of a patch */\n"
    "static void $_pool(const @ *x, @ *y, const $_window *at, int average)\n"
    "{\n"
    "    const @ pixels = (@)at->height * (@)at->width;\n"
    "    const int channels = at->channels, line = at->in_width * channels;\n"
    "    int i, j, c, m, n;\n\n"
    "    for (i = 0; i < at->out_height; i++)\n"
    "        for (j = 0; j < at->out_width; j++)\n"
    "            for (c = 0; c < channels; c++) {\n"
    "                const @ *patch =\n"
    "                    x + i * at->stride_height * line + j * at->stride_width * channels + c;\n"
    "                @ best = *patch, sum = 0;\n"
    "                for (m = 0; m < at->height; m++)\n"
    "                    for (n = 0; n < at->width; n++) {\n"
    "                        const @ pixel = patch[m * line + n * channels];\n"
    "                        if (pixel > best) best = pixel;\n"
    "                        sum += pixel;\n"
    "                    }\n"
    "                *y++ = average ? sum / pixels : best;\n"
    "            }\n"
    "}\n\n";
#endif

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

/* The functions of >>math that the texts of the activations call, and their constant arrays. Each
   function comes after those that it calls. */
typedef struct nn__math_piece {
    int trait;            /* the trait of the activations that call it */
    const char *name;     /* the name of its array, or NULL */
    const nn_real *terms; /* [count], or NULL */
    int count;
    const char *text;
} nn__math_piece;

static const nn__math_piece nn__math_pieces[] = {
    {NN__CALLS_ANY, "exp", nn__exp_terms, NN__COUNT(nn__exp_terms), NN__C_MATH_REDUCTION},
    {NN__CALLS_EXP, NULL, NULL, 0, NN__C_MATH_EXP},
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

/* Writes x as a hexadecimal floating-point constant, which is exact also where x is denormal or
   -0. */
static void nn__write_constant(nn__writer *writer, nn_real x)
{
    const nn__bits bits = nn__to_bits(x), field = (bits & ~NN__SIGN_BIT) >> NN__MANTISSA;
    int left = (NN__MANTISSA + 3) / 4 * 4; /* bits of the fraction, a multiple of 4 */
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

/* Writes a piece of the file's text and replaces $ and @. */
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

/* Writes a piece, a count and another piece. */
static void nn__write_count(nn__exporter *to, const char *before, int count, const char *after)
{
    nn__write_piece(to, before);
    nn__write_number(&to->writer, (size_t)count);
    nn__write_piece(to, after);
}

/* Writes the separator before number i of an array: a comma, and a space or, after `in_line`
   numbers, a new line. */
static void nn__write_gap(nn__exporter *to, size_t i, int in_line)
{
    if (i) nn__write_text(&to->writer, ",");
    nn__write_text(&to->writer, i % (size_t)in_line ? " " : "\n    ");
}

/* Writes an array after its name: "[]", and the transpose of values[rows x cols]. */
static void nn__write_values(nn__exporter *to, const nn_real *values, int rows, int cols)
{
    size_t i = 0;
    int j, k;

    nn__write_text(&to->writer, "[] NN_FLASH = {");
    for (j = 0; j < cols; j++) {
        for (k = 0; k < rows; k++) {
            nn__write_gap(to, i++, sizeof(nn_real) == 4 ? 5 : 3);
            nn__write_constant(&to->writer, values[(size_t)k * (size_t)cols + (size_t)j]);
        }
    }
    nn__write_text(&to->writer, "};\n");
}

/* Writes the arrays of w[rows x cols] as int8: the scales [cols] and the weights [cols x rows]. */
static void nn__write_int8(nn__exporter *to, int layer, const nn_real *w, int rows, int cols)
{
    size_t i = 0;
    int j, k, q;

    nn__write_count(to, "static const @ $_s", layer, "[] NN_FLASH = {");
    for (j = 0; j < cols; j++) {
        nn__write_gap(to, (size_t)j, sizeof(nn_real) == 4 ? 5 : 3);
        nn__write_constant(&to->writer, nn__int8_scale(w, rows, cols, j));
    }
    nn__write_count(to, "};\nstatic const int8_t $_w", layer, "[] NN_FLASH = {");
    for (j = 0; j < cols; j++) {
        const nn_real scale = nn__int8_scale(w, rows, cols, j);
        for (k = 0; k < rows; k++) {
            q = nn__to_int8(w[(size_t)k * (size_t)cols + (size_t)j], scale);
            nn__write_gap(to, i++, 16);
            nn__write_count(to, q < 0 ? "-" : "", q < 0 ? -q : q, "");
        }
    }
    nn__write_text(&to->writer, "};\n");
}

/* Writes the arrays that undo the scaling of the targets. */
static void nn__write_target_arrays(nn__exporter *to)
{
    const int outputs = nn__outputs(to->model);
    const nn_real *offset = to->model->target_offset;
    int j;

    nn__write_piece(to, "/* of the output: y * scale + offset */\nstatic const @ $_target_offset");
    nn__write_values(to, offset, outputs, 1);
    nn__write_piece(to, "static const @ $_target_scale[] NN_FLASH = {");
    for (j = 0; j < outputs; j++) {
        nn__write_gap(to, (size_t)j, sizeof(nn_real) == 4 ? 5 : 3);
        nn__write_constant(&to->writer, 1 / offset[outputs + j]);
    }
    nn__write_text(&to->writer, "};\n\n");
}

/* Writes the arrays of the scaling and of all layers. */
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
    if (model->target_scaling != NN_SCALE_NONE) nn__write_target_arrays(to);
    for (i = 0; i < model->count; i++) {
        const nn__layer layer = nn__layer_at(model, i);
        const nn_real *w = model->parameters + layer.weights;

        if (!nn__has_parameters(model, i)) continue;
        if (to->int8) {
            nn__write_int8(to, i, w, layer.matrix.rows, layer.matrix.cols);
        } else {
            nn__write_count(to, "static const @ $_w", i, "");
            nn__write_values(to, w, layer.matrix.rows, layer.matrix.cols);
        }
        nn__write_count(to, "static const @ $_b", i, "");
        nn__write_values(to, model->parameters + layer.biases, layer.matrix.cols, 1);
        nn__write_text(&to->writer, "\n");
    }
}

/* Writes a string literal whose characters are the bytes of the text. What is not plain ASCII, and
   what could make a trigraph, is an octal escape, which ends after three digits. */
static void nn__write_literal(nn__writer *writer, const char *text)
{
    nn__write_text(writer, "\"");
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        const int plain = c >= 32 && c < 127 && c != '"' && c != '\\' && c != '?';
        if (!plain) nn__write_byte(writer, '\\');
        if (!plain) nn__write_byte(writer, (unsigned char)('0' + (c >> 6)));
        if (!plain) nn__write_byte(writer, (unsigned char)('0' + (c >> 3 & 7)));
        nn__write_byte(writer, plain ? c : (unsigned char)('0' + (c & 7)));
    }
    nn__write_text(writer, "\"");
}

/* Writes the array of the names of the classes. It is declared before it is defined, as the
   exported function is: no compiler then warns that nothing uses it. */
static void nn__write_classes(nn__exporter *to)
{
    const int count = to->classes->count;
    int i;

    nn__write_count(to, "extern const char *const $_classes[", count, "];\n\n");
    nn__write_count(to, "const char *const $_classes[", count, "] = {");
    for (i = 0; i < count; i++) {
        nn__write_text(&to->writer, i ? ",\n    " : "\n    ");
        nn__write_literal(&to->writer, to->classes->names[i]);
    }
    nn__write_text(&to->writer, "};\n\n");
}

/* Returns the traits of all activations of the model. */
static int nn__traits_of(const nn_model *model)
{
    int traits = 0, i;

    for (i = 0; i < model->count; i++) traits |= nn__activation_traits[model->layers[i].activation];
    return traits;
}

/* Returns whether the file computes with fma. Nets of pools alone do not. */
static int nn__needs_fma(const nn_model *model)
{
    return model->parameter_count || model->target_scaling != NN_SCALE_NONE;
}

/* Writes the functions of the kinds of layers that the model has. */
static void nn__write_kinds(nn__exporter *to)
{
    const nn_model *model = to->model;
    int dense = 0, convolutions = 0, pools = 0, i;

    for (i = nn__first_layer(model); i < model->count; i++)
        ++*(model->layers[i].kind == NN_LAYER_DENSE ? &dense
            : nn__has_parameters(model, i)          ? &convolutions
                                                    : &pools);
    if (dense) nn__write_piece(to, to->int8 ? nn__int8_dense_piece : nn__dense_piece);
#ifndef NN_NO_CONVOLUTION
    if (convolutions || pools) nn__write_piece(to, nn__window_piece);
    if (convolutions) nn__write_piece(to, nn__convolution_pieces[to->int8 != 0]);
    if (pools) nn__write_piece(to, nn__pool_piece);
#endif
}

/* Writes the functions that the model needs. Each comes after those that it calls. */
static void nn__write_functions(nn__exporter *to)
{
    const nn_model *model = to->model;
    const int traits = nn__traits_of(model);
    int used[NN_ACTIVATION_COUNT] = {0}, i;

    for (i = 0; i < model->count; i++) used[model->layers[i].activation] = 1;
    if (nn__needs_fma(model)) nn__write_piece(to, nn__fma_piece);
    nn__write_kinds(to);
    if (traits & NN__CALLS_ANY) nn__write_piece(to, nn__bits_piece);
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

/* The exported function uses two buffers, a and b. Each layer reads one and writes the other; the
   last layer writes to y. The scaled input, if there is one, is in a. Returns the width of a
   (buffer 0) or b (buffer 1), or 0 when it is not needed. */
static int nn__export_width(const nn_model *model, int buffer)
{
    const int scaled = model->scaling != NN_SCALE_NONE, first = nn__first_layer(model);
    int i, width = scaled && !buffer ? model->inputs : 0;

    for (i = first; i < model->count - 1; i++)
        if ((i - first + scaled) % 2 == buffer && nn__outputs_of(model, i) > width)
            width = nn__outputs_of(model, i);
    return width;
}

/* Writes the statement that replaces into[width] by activation(into). */
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

#ifndef NN_NO_CONVOLUTION
/* Writes how each window moves. */
static void nn__write_windows(nn__exporter *to)
{
    const nn_model *model = to->model;
    int i, k;

    for (i = nn__first_layer(model); i < model->count; i++) {
        const nn__map *map = model->maps + i;
        const nn__window window = nn__window_at(model, i);
        const int numbers[] = {map[0].height,       map[0].width, map[0].channels,
                               map[1].height,       map[1].width, map[1].channels,
                               window.height,       window.width, window.stride_height,
                               window.stride_width, window.top,   window.left};

        if (model->layers[i].kind == NN_LAYER_DENSE) continue;
        nn__write_count(to, "static const $_window $_window", i, " = {");
        for (k = 0; k < NN__COUNT(numbers); k++) nn__write_count(to, k ? ", " : "", numbers[k], "");
        nn__write_text(&to->writer, "};\n\n");
    }
}
#endif

/* Writes the call that computes a layer. */
static void nn__write_call(nn__exporter *to, int i, const char *from, const char *into)
{
    const nn__layer layer = nn__layer_at(to->model, i);
    const int dense = layer.kind == NN_LAYER_DENSE, weights = nn__has_parameters(to->model, i);

    nn__write_piece(to, dense ? "    $_dense(" : weights ? "    $_convolution(" : "    $_pool(");
    nn__write_text(&to->writer, from);
    if (weights) nn__write_count(to, ", $_w", i, "");
    if (weights && to->int8) nn__write_count(to, ", $_s", i, "");
    if (weights) nn__write_count(to, ", $_b", i, "");
    nn__write_text(&to->writer, ", ");
    nn__write_text(&to->writer, into);
    if (dense) {
        nn__write_count(to, ", ", layer.inputs, "");
        nn__write_count(to, ", ", layer.outputs, "");
    }
#ifndef NN_NO_CONVOLUTION
    if (!dense) nn__write_count(to, ", &$_window", i, "");
    if (!weights) nn__write_text(&to->writer, layer.kind == NN_LAYER_MAX_POOL ? ", 0" : ", 1");
#endif
    nn__write_text(&to->writer, ");\n");
    if (layer.activation != NN_LINEAR)
        nn__write_activation(to, layer.activation, into, layer.outputs);
}

/* Writes the exported function. */
static void nn__write_predict(nn__exporter *to)
{
    const nn_model *model = to->model;
    const char *from = "x", *into;
    const int targets = model->target_scaling != NN_SCALE_NONE;
    int layer, buffer, step = 0, loops = targets || model->scaling != NN_SCALE_NONE;

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
    for (layer = nn__first_layer(model); layer < model->count; layer++, step++, from = into) {
        into = layer == model->count - 1 ? "y" : step % 2 ? "b" : "a";
        nn__write_call(to, layer, from, into);
    }
    if (targets) {
        nn__write_count(to, "    for (i = 0; i < ", nn__outputs(model), "; i++)\n");
        nn__write_piece(to, "        y[i] = $_fma(y[i], NN_FLASH_REAL($_target_scale + i), "
                            "NN_FLASH_REAL($_target_offset + i));\n");
    }
    nn__write_text(&to->writer, "}\n");
}

/* Writes the comment at the beginning of the file. */
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
        nn__write_text(&to->writer, i ? "                   " : "       layers      ");
#ifndef NN_NO_CONVOLUTION
        if (nn__first_layer(model))
            nn__write_layer(&to->writer, model, i);
        else
#endif
            nn__write_number(&to->writer, (size_t)nn__outputs_of(model, i));
        if (nn__has_parameters(model, i)) nn__write_text(&to->writer, " ");
        if (nn__has_parameters(model, i))
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
    if (to->classes)
        nn__write_count(to, "   The names of the classes are $_classes[", to->classes->count,
                        "].\n");
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

/* Writes the whole file. */
static void nn__write_c(nn__exporter *to)
{
    const int bits = nn__traits_of(to->model) & NN__CALLS_ANY;

    nn__write_manual(to);
    nn__write_piece(to, nn__refusals_piece);
    if (bits || to->int8) nn__write_text(&to->writer, "#include <stdint.h>\n");
    if (bits) nn__write_text(&to->writer, "#include <string.h>\n");
    if (bits || to->int8) nn__write_text(&to->writer, "\n");
    nn__write_piece(to, nn__flash_piece);
    nn__write_arrays(to);
    if (to->classes) nn__write_classes(to);
    nn__write_functions(to);
#ifndef NN_NO_CONVOLUTION
    nn__write_windows(to);
#endif
    nn__write_predict(to);
    if (nn__needs_fma(to->model)) nn__write_piece(to, nn__end_piece);
}

/* Returns whether C and C++ leave the name to a program: it is no keyword or alternative token, up
   to C23 and C++26; no macro that compilers define after a machine or its system, as the gnu
   dialects still do; and none of the kinds of names that headers define: macros (which have no
   small letter), constants such as M_PIl, types. Names that begin with an underscore are reserved,
   too. */
static int nn__is_free(const char *name)
{
    static const char taken[] =
        " alignas alignof and and_eq asm auto bitand bitor bool break case catch char class "
        "co_await co_return co_yield compl concept const const_cast consteval constexpr constinit "
        "continue contract_assert decltype default delete do double dynamic_cast else enum "
        "explicit export extern false float for friend goto hp9000s200 hp9000s300 hp9000s800 hppa "
        "hpux i386 i860 ia64 if inline int linux long m68k m88k main mc68000 mc68010 mc68020 "
        "mc68030 mc68040 mips mipseb mipsel mutable namespace new noexcept not not_eq ns32000 "
        "nullptr operator or or_eq private protected public pyr register reinterpret_cast "
        "requires restrict return sequent sgi short signed sizeof sparc static static_assert "
        "static_cast struct sun switch template this thread_local throw true try typedef typeid "
        "typename typeof typeof_unqual ultrix union unix unsigned using vax virtual void volatile "
        "while xor xor_eq ";
    const size_t length = strlen(name);
    const char *word, *c = name;

    while (*c && *c < 'a') c++; /* of letters, digits and _, the small letters are last */
    if (!*c || !strncmp(name, "NN_", 3) || !strncmp(name, "M_", 2) ||
        (length > 2 && !strcmp(name + length - 2, "_t")))
        return 0;
    for (word = taken; word; word = strchr(word + 1, ' '))
        if (!strncmp(word + 1, name, length) && word[1 + length] == ' ') return 0;
    return 1;
}

/* Returns whether the name is an identifier of C that may be used. */
static int nn__is_identifier(const char *name)
{
    size_t length;

    for (length = 0; name[length]; length++) {
        const char c = name[length];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (length && (c == '_' || (c >= '0' && c <= '9')))))
            return 0;
    }
    return length && nn__is_free(name);
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
    if (options && options->class_names) to.classes = nn__find_pair(model, "class_names");
    if (!nn__is_identifier(to.name) || (options && options->class_names && !to.classes))
        return NN_ERROR_OPTION;
    if (!NN__RUN(model, all_finite, model->parameters, model->parameter_count) ||
        !NN__RUN(model, all_finite, model->offset, 2 * (size_t)model->inputs))
        return NN_ERROR_PARAMETER;
    nn__write_c(&to);
    if (to.writer.size == SIZE_MAX) return NN_ERROR_OVERFLOW; /* unreached: the text is shorter */
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
    (void)nn_export_c_memory(model, options, text, size, &size); /* as long as before */
    status = nn__write_file(path, text, size);
    NN_FREE(text);
    return status;
}
#endif

/* ---- Export to ONNX: messages ---------------------------------------------------------------- */

/* An ONNX file is one message of Protocol Buffers
   (https://protobuf.dev/programming-guides/encoding). A message is a sequence of fields. A field is
   a key, 8 * its number + its type, and a value:

       type 0   a number: 7 bits in each byte, the lowest first; bit 7 says that more bytes follow
       type 2   a length, written like a number of type 0, and as many bytes: a text, an array, or
                another message

   These are the fields that we write, with their numbers in
   https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. What we call port is a ValueInfoProto
   there, type is TypeProto and its Tensor, operators is OperatorSetIdProto, metadata is
   StringStringEntryProto. A field that may occur several times, such as a node of the graph, is
   written once for each. */
enum { NN__MODEL_IR_VERSION = 1, NN__MODEL_PRODUCER = 2, NN__MODEL_PRODUCER_VERSION = 3 };
enum { NN__MODEL_GRAPH = 7, NN__MODEL_OPERATORS = 8, NN__MODEL_METADATA = 14 };
enum { NN__OPERATORS_VERSION = 2, NN__METADATA_KEY = 1, NN__METADATA_VALUE = 2 };
enum { NN__GRAPH_NODE = 1, NN__GRAPH_NAME = 2, NN__GRAPH_TENSOR = 5 };
enum { NN__GRAPH_INPUT = 11, NN__GRAPH_OUTPUT = 12, NN__PORT_NAME = 1, NN__PORT_TYPE = 2 };
enum { NN__NODE_INPUT = 1, NN__NODE_OUTPUT = 2, NN__NODE_NAME = 3, NN__NODE_OPERATOR = 4 };
enum { NN__NODE_ATTRIBUTE = 5, NN__ATTRIBUTE_NAME = 1, NN__ATTRIBUTE_INTS = 8 };
enum { NN__ATTRIBUTE_TYPE = 20, NN__TYPE_INTS = 7 };
enum { NN__TENSOR_SIZE = 1, NN__TENSOR_TYPE = 2, NN__TENSOR_INTS = 7, NN__TENSOR_NAME = 8 };
enum { NN__TENSOR_BYTES = 9 };
enum { NN__TYPE_TENSOR = 1, NN__TYPE_ELEMENT = 1, NN__TYPE_SHAPE = 2 };
enum { NN__SHAPE_DIMENSION = 1, NN__DIMENSION_SIZE = 1, NN__DIMENSION_NAME = 2 };
enum { NN__ELEMENT_REAL = sizeof(nn_real) == 4 ? 1 : 11 }; /* float or double */
enum { NN__ELEMENT_INT64 = 7 };

static void nn__write_varint(nn__writer *writer, uint64_t number)
{
    for (; number > 127; number >>= 7)
        nn__write_byte(writer, (unsigned char)((number & 127) | 128));
    nn__write_byte(writer, (unsigned char)number);
}

/* Writes a field of type 0. */
static void nn__write_integer(nn__writer *writer, int field, uint64_t number)
{
    nn__write_varint(writer, (uint64_t)field << 3);
    nn__write_varint(writer, number);
}

/* Begins a field of type 2, with one byte for its length. Returns where its contents begin. */
static size_t nn__begin_field(nn__writer *writer, int field)
{
    nn__write_varint(writer, (uint64_t)field << 3 | 2);
    nn__write_byte(writer, 0);
    return writer->size;
}

/* Ends the field whose contents begin at start: now its length is known. If the length needs more
   than one byte, the contents move up to make room. */
static void nn__end_field(nn__writer *writer, size_t start)
{
    const size_t length = writer->size - start;
    size_t rest, end;

    for (rest = length; rest > 127; rest >>= 7) nn__write_byte(writer, 0);
    if (!writer->bytes) return;
    end = writer->size;
    memmove(writer->bytes + (end - length), writer->bytes + start, length);
    writer->size = start - 1;
    nn__write_varint(writer, length);
    writer->size = end;
}

/* Writes a field that is a text, followed by a number unless that is 0. */
static void nn__write_name(nn__writer *writer, int field, const char *text, size_t number)
{
    const size_t start = nn__begin_field(writer, field);

    nn__write_text(writer, text);
    if (number) nn__write_number(writer, number);
    nn__end_field(writer, start);
}

/* ---- Export to ONNX: the graph --------------------------------------------------------------- */

/* The nodes are a chain: each takes the value of the one before as its first input. Value 0 is x,
   node k computes value k, and the last value is y. A node's tensors have its number too. */
typedef struct nn__onnx {
    nn__writer writer;
    const nn_model *model;
    const nn_real *means; /* [inputs] what a NaN of x becomes; NULL: it stays */
    size_t value;         /* the last that was computed */
    size_t last;          /* the one that is y, once it is known; 0 before */
} nn__onnx;

/* Begins the next node, whose attributes may follow. Its second input is named by second and
   number, its third by third and third_number; NULL: it has none. Returns what nn__end_field
   needs. */
static size_t nn__begin_node(nn__onnx *to, const char *operation, const char *second, size_t number,
                             const char *third, size_t third_number)
{
    nn__writer *writer = &to->writer;
    const size_t node = nn__begin_field(writer, NN__GRAPH_NODE), k = to->value + 1;

    nn__write_name(writer, NN__NODE_INPUT, to->value ? "value" : "x", to->value);
    if (second) nn__write_name(writer, NN__NODE_INPUT, second, number);
    if (third) nn__write_name(writer, NN__NODE_INPUT, third, third_number);
    nn__write_name(writer, NN__NODE_OUTPUT, k == to->last ? "y" : "value", k == to->last ? 0 : k);
    nn__write_name(writer, NN__NODE_NAME, operation, k);
    nn__write_name(writer, NN__NODE_OPERATOR, operation, 0);
    to->value = k;
    return node;
}

/* Writes the next node, without attributes. */
static void nn__write_node(nn__onnx *to, const char *operation, const char *second, size_t number,
                           const char *third, size_t third_number)
{
    nn__end_field(&to->writer, nn__begin_node(to, operation, second, number, third, third_number));
}

/* Writes a tensor of the next node, values[count]. Its dimensions are those of size[4] that are not
   0; without one it is a single number. The numbers are in the order of values, or where matrix is
   not NULL in the order of nn__write_weights. */
static void nn__write_numbers(nn__onnx *to, const char *name, const nn_real *values, size_t count,
                              const int *size, const nn__matrix *matrix)
{
    nn__writer *writer = &to->writer;
    const size_t tensor = nn__begin_field(writer, NN__GRAPH_TENSOR);
    size_t bytes;
    int i;

    for (i = 0; i < 4; i++)
        if (size[i]) nn__write_integer(writer, NN__TENSOR_SIZE, (uint64_t)size[i]);
    nn__write_integer(writer, NN__TENSOR_TYPE, NN__ELEMENT_REAL);
    nn__write_name(writer, NN__TENSOR_NAME, name, to->value + 1);
    bytes = nn__begin_field(writer, NN__TENSOR_BYTES); /* little-endian */
    if (!writer->bytes) /* only counts, without the checksum, which takes time */
        writer->size = count < (SIZE_MAX - writer->size) / sizeof(nn_real)
                           ? writer->size + count * sizeof(nn_real)
                           : SIZE_MAX;
    else if (matrix)
        nn__write_weights(writer, matrix, values);
    else
        nn__write_reals(writer, values, count);
    nn__end_field(writer, bytes);
    nn__end_field(writer, tensor);
}

/* Writes a tensor of the next node, values[rows x cols]. If rows is 0 it has one dimension; if cols
   is 0 too it is a single number. */
static void nn__write_node_tensor(nn__onnx *to, const char *name, const nn_real *values, int rows,
                                  int cols)
{
    const int size[4] = {rows, cols, 0, 0};

    nn__write_numbers(to, name, values, (size_t)(rows ? rows : 1) * (size_t)(cols ? cols : 1), size,
                      NULL);
}

/* Writes a node that combines each row with values[cols], or each number with one if cols is 0. */
static void nn__write_node_with(nn__onnx *to, const char *operation, const char *name,
                                const nn_real *values, int cols)
{
    nn__write_node_tensor(to, name, values, 0, cols);
    nn__write_node(to, operation, name, to->value + 1, NULL, 0);
}

/* The nodes of each activation, from >>activation, up to one without an operator. The second input
   of a node is z, a constant, or missing. */
enum { NN__ALONE, NN__WITH_Z, NN__WITH_CONSTANT };
typedef struct nn__onnx_step {
    const char *operation;
    int second;
    nn_real constant;
} nn__onnx_step;

#define NN__ONNX(operation)                    {operation, NN__ALONE, 0},
#define NN__ONNX_WITH_Z(operation)             {operation, NN__WITH_Z, 0},
#define NN__ONNX_WITH(operation, constant)     {operation, NN__WITH_CONSTANT, (nn_real)(constant)},
#define NN__ONNX_STEPS(ID, name, form, traits) {NN__ONNX_##ID{NULL, NN__ALONE, 0}},
static const nn__onnx_step nn__onnx_steps[][6] = {NN__ACTIVATIONS(NN__ONNX_STEPS)};

#ifndef NN_NO_CONVOLUTION
/* Writes an attribute of a node that is an array of numbers. */
static void nn__write_attribute(nn__writer *writer, const char *name, const int *numbers, int count)
{
    const size_t attribute = nn__begin_field(writer, NN__NODE_ATTRIBUTE);
    int i;

    nn__write_name(writer, NN__ATTRIBUTE_NAME, name, 0);
    for (i = 0; i < count; i++) nn__write_integer(writer, NN__ATTRIBUTE_INTS, (uint64_t)numbers[i]);
    nn__write_integer(writer, NN__ATTRIBUTE_TYPE, NN__TYPE_INTS);
    nn__end_field(writer, attribute);
}

static void nn__write_transpose(nn__onnx *to, const int *order)
{
    const size_t node = nn__begin_node(to, "Transpose", NULL, 0, NULL, 0);

    nn__write_attribute(&to->writer, "perm", order, 4);
    nn__end_field(&to->writer, node);
}

/* Writes the nodes that make images [batch x channels x height x width], ONNX's order, of rows. */
static void nn__write_nodes_to_image(nn__onnx *to, const nn__map *map)
{
    static const int order[] = {0, 3, 1, 2};
    nn__writer *writer = &to->writer;
    const size_t tensor = nn__begin_field(writer, NN__GRAPH_TENSOR);
    size_t size;

    nn__write_integer(writer, NN__TENSOR_SIZE, 4);
    nn__write_integer(writer, NN__TENSOR_TYPE, NN__ELEMENT_INT64);
    size = nn__begin_field(writer, NN__TENSOR_INTS);
    nn__write_varint(writer, 0); /* the batch as it is */
    nn__write_varint(writer, (uint64_t)map->height);
    nn__write_varint(writer, (uint64_t)map->width);
    nn__write_varint(writer, (uint64_t)map->channels);
    nn__end_field(writer, size);
    nn__write_name(writer, NN__TENSOR_NAME, "shape", to->value + 1);
    nn__end_field(writer, tensor);
    nn__write_node(to, "Reshape", "shape", to->value + 1, NULL, 0);
    nn__write_transpose(to, order);
}

/* Writes the nodes that make rows, channels last, of images. */
static void nn__write_nodes_to_rows(nn__onnx *to)
{
    static const int order[] = {0, 2, 3, 1};

    nn__write_transpose(to, order);
    nn__write_node(to, "Flatten", NULL, 0, NULL, 0);
}

/* Writes the node of a convolution, behind its weights [channels x channels before x pixels]
   and biases, or of a pool. */
static void nn__write_window_node(nn__onnx *to, int i, const nn__layer *layer)
{
    static const char *const operators[] = {"MaxPool", "AveragePool", "GlobalAveragePool"};
    const nn_model *model = to->model;
    const nn_real *parameters = model->parameters;
    const nn__window at = nn__window_at(model, i);
    const int size[] = {at.out.channels, at.in.channels, at.height, at.width};
    const int stride[] = {at.stride_height, at.stride_width};
    const int pads[] = {at.top, at.left, at.padded.height - at.in.height - at.top,
                        at.padded.width - at.in.width - at.left};
    const size_t k = to->value + 1;
    size_t node;

    if (layer->kind == NN_LAYER_CONVOLUTION) {
        nn__write_numbers(to, "weight", parameters + layer->weights,
                          (size_t)layer->matrix.rows * (size_t)layer->matrix.cols, size,
                          &layer->matrix);
        nn__write_node_tensor(to, "bias", parameters + layer->biases, 0, layer->matrix.cols);
        node = nn__begin_node(to, "Conv", "weight", k, "bias", k);
        nn__write_attribute(&to->writer, "pads", pads, 4);
    } else {
        /* It is a pool, because it is no convolution.
           NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage) */
        node = nn__begin_node(to, operators[layer->kind - NN_LAYER_MAX_POOL], NULL, 0, NULL, 0);
    }
    if (layer->kind != NN_LAYER_GLOBAL_AVERAGE) {
        nn__write_attribute(&to->writer, "kernel_shape", size + 2, 2);
        nn__write_attribute(&to->writer, "strides", stride, 2);
    }
    nn__end_field(&to->writer, node);
}
#endif

/* Writes the nodes of layer i: z = x W + b, for which Gemm takes W[in x out] as it is, and f(z). */
static void nn__write_layer_nodes(nn__onnx *to, int i)
{
    const nn__layer layer = nn__layer_at(to->model, i);
    const nn_real *parameters = to->model->parameters;
    const nn__onnx_step *step = nn__onnx_steps[layer.activation];
    const size_t z = to->value + 1;

#ifndef NN_NO_CONVOLUTION
    if (layer.kind != NN_LAYER_DENSE) {
        nn__write_window_node(to, i, &layer);
    } else
#endif
    {
        nn__write_node_tensor(to, "weight", parameters + layer.weights, layer.inputs,
                              layer.outputs);
        nn__write_node_tensor(to, "bias", parameters + layer.biases, 0, layer.outputs);
        nn__write_node(to, "Gemm", "weight", z, "bias", z);
    }
    for (; step->operation; step++) {
        const char *second = step->second == NN__WITH_Z ? "value" : NULL;
        if (step->second == NN__WITH_CONSTANT)
            nn__write_node_with(to, step->operation, "constant", &step->constant, 0);
        else
            nn__write_node(to, step->operation, second, z, NULL, 0);
    }
}

/* Writes all nodes, each behind its tensors. */
static void nn__write_nodes(nn__onnx *to)
{
    const nn_model *model = to->model;
    const int outputs = nn__outputs(model);
    int i;
#ifndef NN_NO_CONVOLUTION
    int image = 0, window;
#endif

    to->value = 0;
    if (to->means) { /* where x is NaN its mean, else x */
        nn__write_node(to, "IsNaN", NULL, 0, NULL, 0);
        nn__write_node_tensor(to, "mean", to->means, 0, model->inputs);
        nn__write_node(to, "Where", "mean", to->value + 1, "x", 0);
    }
    if (model->scaling != NN_SCALE_NONE) {
        nn__write_node_with(to, "Sub", "offset", model->offset, model->inputs);
        nn__write_node_with(to, "Mul", "factor", model->offset + model->inputs, model->inputs);
    }
    for (i = nn__first_layer(model); i < model->count; i++) {
#ifndef NN_NO_CONVOLUTION
        window = model->layers[i].kind != NN_LAYER_DENSE;
        if (window && !image) nn__write_nodes_to_image(to, model->maps + i);
        if (!window && image) nn__write_nodes_to_rows(to);
        image = window;
#endif
        nn__write_layer_nodes(to, i);
    }
#ifndef NN_NO_CONVOLUTION
    if (image) nn__write_nodes_to_rows(to);
#endif
    if (model->target_scaling != NN_SCALE_NONE) {
        nn__write_node_with(to, "Div", "target_factor", model->target_offset + outputs, outputs);
        nn__write_node_with(to, "Add", "target_offset", model->target_offset, outputs);
    }
}

/* Writes the graph's input or output, [batch x width]. */
static void nn__write_port(nn__writer *writer, int field, const char *name, int width)
{
    const size_t port = nn__begin_field(writer, field);
    size_t type, tensor, shape, dimension;

    nn__write_name(writer, NN__PORT_NAME, name, 0);
    type = nn__begin_field(writer, NN__PORT_TYPE);
    tensor = nn__begin_field(writer, NN__TYPE_TENSOR);
    nn__write_integer(writer, NN__TYPE_ELEMENT, NN__ELEMENT_REAL);
    shape = nn__begin_field(writer, NN__TYPE_SHAPE);
    dimension = nn__begin_field(writer, NN__SHAPE_DIMENSION);
    nn__write_name(writer, NN__DIMENSION_NAME, "batch", 0); /* any size */
    nn__end_field(writer, dimension);
    dimension = nn__begin_field(writer, NN__SHAPE_DIMENSION);
    nn__write_integer(writer, NN__DIMENSION_SIZE, (uint64_t)width);
    nn__end_field(writer, dimension);
    nn__end_field(writer, shape);
    nn__end_field(writer, tensor);
    nn__end_field(writer, type);
    nn__end_field(writer, port);
}

/* Writes the whole file. ONNX 1.8 of 2020 and every later version read IR version 7 and operator
   set 13. There the defaults of the attributes that we do not write are what we need. */
static void nn__write_onnx(nn__onnx *to)
{
    nn__writer *writer = &to->writer;
    const nn__pair *pair;
    size_t graph, operators, entry;

    writer->size = 0;
    nn__write_integer(writer, NN__MODEL_IR_VERSION, 7);
    nn__write_name(writer, NN__MODEL_PRODUCER, "nn.h", 0);
    nn__write_name(writer, NN__MODEL_PRODUCER_VERSION, NN_VERSION, 0);
    graph = nn__begin_field(writer, NN__MODEL_GRAPH);
    nn__write_nodes(to);
    nn__write_name(writer, NN__GRAPH_NAME, "network", 0);
    nn__write_port(writer, NN__GRAPH_INPUT, "x", to->model->inputs);
    nn__write_port(writer, NN__GRAPH_OUTPUT, "y", nn__outputs(to->model));
    nn__end_field(writer, graph);
    operators = nn__begin_field(writer, NN__MODEL_OPERATORS);
    nn__write_integer(writer, NN__OPERATORS_VERSION, 13);
    nn__end_field(writer, operators);
    for (pair = to->model->metadata; pair; pair = pair->next) {
        entry = nn__begin_field(writer, NN__MODEL_METADATA);
        nn__write_name(writer, NN__METADATA_KEY, pair->key, 0);
        nn__write_name(writer, NN__METADATA_VALUE, pair->value, 0);
        nn__end_field(writer, entry);
    }
}

static nn_status nn__export_onnx(const nn_model *model, const nn_real *means, void *buffer,
                                 size_t capacity, size_t *size)
{
    nn__onnx to;

    memset(&to, 0, sizeof to);
    to.model = model;
    to.means = means;
    nn__write_onnx(&to); /* counts the values */
    to.last = to.value;
    nn__write_onnx(&to); /* counts the bytes */
    if (to.writer.size == SIZE_MAX || (uint64_t)to.writer.size > 0x7fffffff)
        return NN_ERROR_OVERFLOW;
    if (!NN__RUN(model, all_finite, model->parameters, model->parameter_count) ||
        !NN__RUN(model, all_finite, model->offset, 2 * (size_t)model->inputs))
        return NN_ERROR_PARAMETER;
    *size = to.writer.size;
    if (!buffer) return NN_OK;
    if (capacity < *size) return NN_ERROR_BLOCK;
    to.writer.bytes = (unsigned char *)buffer;
    nn__write_onnx(&to);
    NN_ASSERT(to.writer.size == *size);
    return NN_OK;
}

NN_DEF nn_status nn_export_onnx_memory(const nn_model *model, void *buffer, size_t capacity,
                                       size_t *size)
{
    nn_status status;
    nn_real *means;

    if (size) *size = 0;
    if (!model || !size) return NN_ERROR_NULL;
    if (!model->parameters) return NN_ERROR_READ_ONLY;
    status = nn__recipe_means(model, &means);
    if (status != NN_OK) return status;
    status = nn__export_onnx(model, means, buffer, capacity, size);
    if (means) NN_FREE(means);
    return status;
}

#ifndef NN_NO_STDIO
NN_DEF nn_status nn_export_onnx(const nn_model *model, const char *path)
{
    size_t size;
    void *bytes;
    nn_status status = path ? nn_export_onnx_memory(model, NULL, 0, &size) : NN_ERROR_NULL;

    if (status != NN_OK) return status;
    bytes = NN_MALLOC(size);
    if (!bytes) return NN_ERROR_MEMORY;
    status = nn_export_onnx_memory(model, bytes, size, &size);
    if (status == NN_OK) status = nn__write_file(path, bytes, size);
    NN_FREE(bytes);
    return status;
}
#endif
#endif /* NN_NO_MALLOC */
#endif /* NN_NO_TRAIN */
#ifdef NN_NO_FMA
#if (defined(__clang__) && !defined(__wasm__)) || defined(_MSC_VER)
#pragma float_control(pop)
#elif defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
#endif

#ifdef __cplusplus
#if defined(__clang__)
#pragma clang diagnostic pop
#elif defined(__GNUC__)
#pragma GCC diagnostic pop
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
