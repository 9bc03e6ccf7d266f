/* Saving by processes that are killed, and by two processes at once: POSIX.

       saving [KILLS [SECONDS]]

   KILLS times (100) a process that saves without end is killed at a random moment: what is loaded
   then is one of the two models that it saves, whole. For SECONDS (2) two processes save to one path
   and a third loads from it: no call fails, and each model is whole. */
#define _POSIX_C_SOURCE 200809L
#include "../fixtures.h"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static long kills = 100, seconds = 2;
static nn_model *models[2];
static const char *folder, *path;

/* Which of the two models is loaded; -1 when loading fails or gives another. */
static int loaded(void)
{
    nn_model *model;
    int i = 2;
    if (nn_load(&model, path, NULL) != NN_OK) return -1;
    while (i-- > 0)
        if (same_parameters(model, models[i])) break;
    nn_model_free(model);
    return i;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void sleep_for(double time)
{
    struct timespec left;
    left.tv_sec = (time_t)time;
    left.tv_nsec = (long)(1e9 * (time - (double)left.tv_sec));
    while (nanosleep(&left, &left)) continue;
}

/* Removes what a killed process left behind, and returns how many files that were. */
static int clean(void)
{
    struct dirent *entry;
    char name[600];
    int count = 0;
    DIR *files = opendir(folder);
    if (!CHECK(files != NULL)) return 0;
    while ((entry = readdir(files)) != NULL) {
        if (*entry->d_name == '.' || !strcmp(entry->d_name, "model") ||
            !strcmp(entry->d_name, "model.tmp"))
            continue;
        snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        CHECK(remove(name) == 0);
        count++;
    }
    closedir(files);
    return count;
}

/* A file of the user's own has a name that saving might have chosen. */
static void begin(void)
{
    static const nn_layer layers[] = {NN_DENSE(100, NN_RELU), NN_DENSE(1, NN_SIGMOID)};
    int i;
    for (i = 0; i < 2; i++) models[i] = make_model(100, layers, 2, (uint64_t)i + 1);
    folder = temporary("saving");
    path = temporary("saving/model");
    CHECK(mkdir(folder, 0755) == 0);
    write_file(temporary("saving/model.tmp"), "mine", 4);
    CHECK(nn_save(models[0], path) == NN_OK && loaded() == 0);
}

static void end(void)
{
    char mine[8];
    FILE *file = fopen(temporary("saving/model.tmp"), "rb");
    CHECK(file && fread(mine, 1, sizeof mine, file) == 4 && !memcmp(mine, "mine", 4));
    if (file) fclose(file);
    CHECK(clean() == 0);
    remove(temporary("saving/model.tmp"));
    remove(path);
    CHECK(rmdir(folder) == 0);
    nn_model_free(models[0]);
    nn_model_free(models[1]);
}

static void test_kills(void)
{
    const double started = now();
    double longest;
    long i, within = 0, found[2] = {0, 0};
    begin();
    for (i = 0; i < 5; i++) CHECK(nn_save(models[1], path) == NN_OK);
    longest = (now() - started) / 5; /* a little more than one save */
    fflush(stdout);
    for (i = 0; i < kills; i++) {
        const pid_t saver = fork();
        int state = 0, which;
        if (saver == 0) {
            int next = (int)(i % 2);
            while (nn_save(models[next], path) == NN_OK) next = !next;
            _exit(1);
        }
        if (!CHECK(saver > 0)) break;
        sleep_for(uniform(0, longest));
        CHECK(kill(saver, SIGKILL) == 0 && waitpid(saver, &state, 0) == saver);
        CHECK(WIFSIGNALED(state));
        which = loaded();
        if (CHECK(which >= 0)) found[which]++;
        within += clean();
    }
    printf("%ld kills, %ld of them while a temporary file was there; %ld and %ld of the models\n",
           kills, within, found[0], found[1]);
    CHECK(within > kills / 100 && found[0] > 0 && found[1] > 0);
    end();
}

static void test_two_savers(void)
{
    const double stop = now() + (double)seconds;
    long loads = 0, bad = 0, saves = 0, i;
    pid_t savers[2];
    int reports[2];
    begin();
    CHECK(pipe(reports) == 0);
    fflush(stdout);
    for (i = 0; i < 2; i++) {
        savers[i] = fork();
        if (savers[i] == 0) {
            long counts[2] = {0, 0};
            while (now() < stop) counts[nn_save(models[i], path) != NN_OK]++;
            _exit(write(reports[1], counts, sizeof counts) != (ssize_t)sizeof counts);
        }
        CHECK(savers[i] > 0);
    }
    while (now() < stop) {
        loads++;
        bad += loaded() < 0;
    }
    for (i = 0; i < 2; i++) {
        long counts[2] = {0, 1};
        int state = -1;
        CHECK(savers[i] > 0 && waitpid(savers[i], &state, 0) == savers[i]);
        CHECK(WIFEXITED(state) && WEXITSTATUS(state) == 0);
        CHECK(read(reports[0], counts, sizeof counts) == (ssize_t)sizeof counts);
        CHECK(counts[0] > 0 && counts[1] == 0);
        saves += counts[0];
        if (counts[1]) printf("%ld saves failed\n", counts[1]);
    }
    close(reports[0]);
    close(reports[1]);
    printf("%ld s, two processes: %ld saves; %ld loads, of which %ld failed\n", seconds, saves,
           loads, bad);
    CHECK(loads > 0 && bad == 0);
    CHECK(loaded() >= 0);
    end();
}

int main(int argc, char **argv)
{
    test_any_backend(); /* what is saved does not depend on it */
    if (argc > 1) kills = atol(argv[1]);
    if (argc > 2) seconds = atol(argv[2]);
    random_state = (uint64_t)time(NULL);
    RUN(test_kills);
    RUN(test_two_savers);
    return test_done();
}
