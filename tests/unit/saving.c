/* Saving to a path on POSIX: temporary names, permissions, symbolic links, devices, pipes, and each
   call of the system made to fail in turn. Two processes at once and processes that are killed are
   in tests/platform/saving.c, and writes that stop at each byte in faults.c. */
#define _POSIX_C_SOURCE   200809L
#define NN_IMPLEMENTATION /* with calls of the system that can fail */
#include "../test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/* ---- Calls that fail ------------------------------------------------------------------------- */

static long live, fail_at, calls;     /* blocks of memory; the call of that number fails, from 1 */
static const char *failed;            /* the call that failed */
static int fsync_error, fsync_errors; /* the next fsync_errors calls set errno to that */
static mode_t mode_created, mode_at_writing; /* of the last temporary file */
static int files_synced, folders_synced;
static int strange_owner;           /* 1: what files are said to have, and cannot be given */
static int seems_regular;           /* 1: what is open is said to be a regular file */
static int no_links, endless_links; /* 1: readlink finds no links, or one behind each other */

static int fails(const char *name)
{
    if (!fail_at || ++calls != fail_at) return 0;
    failed = name;
    errno = EIO;
    return 1;
}

static void *hook_malloc(size_t size)
{
    void *block = fails("malloc") ? NULL : malloc(size);
    if (block) live++;
    return block;
}

static void hook_free(void *block)
{
    if (block) live--;
    free(block);
}

static int hook_open(const char *path, int flags, int mode, ...)
{
    struct stat now;
    int descriptor;
    if (fails(flags & O_CREAT ? "create" : flags & O_WRONLY ? "open" : "open folder")) return -1;
    descriptor = open(path, flags, mode);
    if (descriptor >= 0 && flags & O_CREAT && fstat(descriptor, &now) == 0)
        mode_created = now.st_mode & 07777;
    return descriptor;
}

static int hook_fsync(int descriptor)
{
    struct stat now;
    int folder;
    CHECK(fstat(descriptor, &now) == 0);
    folder = S_ISDIR(now.st_mode);
    if (fails(folder ? "fsync folder" : "fsync")) return -1;
    if (!folder && fsync_errors > 0) {
        fsync_errors--;
        errno = fsync_error;
        return -1;
    }
    if (folder)
        folders_synced++;
    else
        files_synced++;
    return fsync(descriptor);
}

static size_t hook_write(const void *buffer, size_t bytes, FILE *file)
{
    struct stat now;
    if (fstat(fileno(file), &now) == 0) mode_at_writing = now.st_mode & 07777;
    return fwrite(buffer, 1, fails("write") ? bytes / 2 : bytes, file);
}

static int hook_close(FILE *file)
{
    const int fault = fails("close");
    return fclose(file) != 0 || fault ? EOF : 0;
}

/* Functions, so that the lines that call them have the branches of the source alone. */
static int hook_stat(const char *path, struct stat *status)
{
    if (fails("stat") || stat(path, status) != 0) return -1;
    status->st_uid += (uid_t)strange_owner;
    status->st_gid += (gid_t)strange_owner;
    return 0;
}

static int hook_fstat(int descriptor, struct stat *status)
{
    if (fails("fstat") || fstat(descriptor, status) != 0) return -1;
    if (seems_regular) status->st_mode = (status->st_mode & (mode_t)~S_IFMT) | S_IFREG;
    return 0;
}

static ssize_t hook_readlink(const char *path, char *buffer, size_t size)
{
    if (fails("readlink")) return -1;
    if (no_links) {
        errno = ENOSYS;
        return -1;
    }
    if (!endless_links) return readlink(path, buffer, size);
    memcpy(buffer, "link", 4);
    return 4;
}

static FILE *hook_fdopen(int descriptor, const char *mode)
{
    return fails("fdopen") ? NULL : fdopen(descriptor, mode);
}

static int hook_fchown(int descriptor, uid_t owner, gid_t team)
{
    return fails("fchown") || strange_owner ? -1 : fchown(descriptor, owner, team);
}

static int hook_fchmod(int descriptor, mode_t mode)
{
    return fails("fchmod") ? -1 : fchmod(descriptor, mode);
}

#define NN_MALLOC(size)                 hook_malloc(size)
#define NN_FREE(pointer)                hook_free(pointer)
#define NN_FWRITE(buffer, bytes, file)  hook_write(buffer, bytes, file)
#define NN_FFLUSH(file)                 (fails("flush") ? EOF : fflush(file))
#define NN_FCLOSE(file)                 hook_close(file)
#define NN_RENAME(from, to)             (fails("rename") ? -1 : rename(from, to))
#define open(path, ...)                 hook_open(path, __VA_ARGS__, 0)
#define stat(path, status)              hook_stat(path, status)
#define fstat(descriptor, status)       hook_fstat(descriptor, status)
#define readlink(path, buffer, size)    hook_readlink(path, buffer, size)
#define fdopen(descriptor, mode)        hook_fdopen(descriptor, mode)
#define fchown(descriptor, owner, team) hook_fchown(descriptor, owner, team)
#define fchmod(descriptor, mode)        hook_fchmod(descriptor, mode)
#define fsync(descriptor)               hook_fsync(descriptor)

#include "../fixtures.h"

#undef open
#undef stat
#undef fstat
#undef readlink
#undef fdopen
#undef fchown
#undef fchmod
#undef fsync

/* ---- Files and models ------------------------------------------------------------------------ */

static nn_model *old_model, *new_model;

/* The path of a file in the folder of these tests. A later call may give the same memory, unless it
   is of the same name. */
static const char *in_folder(const char *name)
{
    static char paths[16][800];
    static int next;
    char path[800];
    int i;
    if (strlen(name) > 500) exit(2);
    sprintf(path, "%s/%s", temporary("saving"), name);
    for (i = 0; i < 16; i++)
        if (!strcmp(paths[i], path)) return paths[i];
    return strcpy(paths[next++ % 16], path);
}

/* How many files there are in a folder. */
static int entries_of(const char *path)
{
    DIR *folder = opendir(path);
    int count = 0;
    if (!CHECK(folder != NULL)) return -1;
    while (readdir(folder)) count++;
    closedir(folder);
    return count - 2; /* . and .. */
}

static int entries(void)
{
    return entries_of(temporary("saving"));
}

/* Whether `path` is exactly what is saved of the model. */
static int holds(const char *path, const nn_model *model)
{
    static unsigned char expected[8192], found[8192];
    size_t size = 0, read;
    FILE *file = fopen(path, "rb");
    if (!file) return 0;
    read = fread(found, 1, sizeof found, file);
    fclose(file);
    CHECK(nn_save_memory(model, expected, sizeof expected, &size) == NN_OK);
    return read == size && !memcmp(found, expected, size);
}

static mode_t mode_of(const char *path)
{
    struct stat now;
    return lstat(path, &now) == 0 ? now.st_mode & 07777 : 07777;
}

static int is_link(const char *path)
{
    struct stat now;
    return lstat(path, &now) == 0 && S_ISLNK(now.st_mode);
}

/* Saves as a user who may not replace /dev/null: as nobody when we are root. */
static nn_status save_as_nobody(const nn_model *model, const char *path)
{
    const int root = geteuid() == 0;
    nn_status status;
    if (root) CHECK(setegid(65534) == 0 && seteuid(65534) == 0);
    status = nn_save(model, path);
    if (root) CHECK(seteuid(0) == 0 && setegid(0) == 0);
    return status;
}

/* The number that the next file would have. */
static int next_descriptor(void)
{
    const int descriptor = dup(0);
    close(descriptor);
    return descriptor;
}

static void begin(void)
{
    umask(022);
    CHECK(mkdir(temporary("saving"), 0755) == 0 && entries() == 0);
    CHECK(mkdir(in_folder("other"), 0755) == 0);
}

static void end(void)
{
    struct dirent *entry;
    DIR *folder;
    CHECK(rmdir(in_folder("other")) == 0);
    folder = opendir(temporary("saving"));
    while (folder && (entry = readdir(folder)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            remove(in_folder(entry->d_name));
    if (folder) closedir(folder);
    CHECK(rmdir(temporary("saving")) == 0);
    CHECK(live == 2); /* the models */
    umask(022);
}

/* Each test has an empty folder but for the folder `other`. */
#undef RUN
#define RUN(function)                                                                              \
    do {                                                                                           \
        test_begin();                                                                              \
        begin();                                                                                   \
        function();                                                                                \
        end();                                                                                     \
        test_end(#function);                                                                       \
    } while (0)

/* ---- Names ----------------------------------------------------------------------------------- */

static void test_names(void)
{
    char name[300];
    CHECK(nn_save(new_model, "") == NN_ERROR_OPEN);
    CHECK(nn_export_c(new_model, "", NULL) == NN_ERROR_OPEN);
    CHECK(nn_export_onnx(new_model, "") == NN_ERROR_OPEN);
    CHECK(entries() == 1);

    /* Files of the user's own. */
    write_file(in_folder("model.tmp"), "mine", 4);
    CHECK(symlink("model.tmp", in_folder(".tmp")) == 0);
    CHECK(nn_save(old_model, in_folder("model")) == NN_OK);
    CHECK(nn_save(new_model, in_folder("model")) == NN_OK);
    CHECK(holds(in_folder("model"), new_model) && entries() == 4);
    CHECK(file_exists(in_folder("model.tmp")) && is_link(in_folder(".tmp")));

    /* The longest name that most file systems take, and a longer one. */
    memset(name, 'm', sizeof name);
    name[255] = 0;
    CHECK(nn_save(old_model, in_folder(name)) == NN_OK);
    CHECK(nn_save(new_model, in_folder(name)) == NN_OK);
    CHECK(holds(in_folder(name), new_model) && entries() == 5);
    name[255] = 'm';
    name[256] = 0;
    CHECK(nn_save(new_model, in_folder(name)) == NN_ERROR_OPEN);

    CHECK(nn_save(new_model, in_folder("other")) == NN_ERROR_OPEN);
    CHECK(nn_save(new_model, in_folder("other/")) == NN_ERROR_OPEN);
    CHECK(nn_save(new_model, in_folder("other/.")) == NN_ERROR_OPEN);
    CHECK(nn_save(new_model, in_folder("model/")) == NN_ERROR_OPEN);
    CHECK(nn_save(new_model, in_folder("model/model")) == NN_ERROR_OPEN);
    CHECK(nn_save(new_model, in_folder("missing/")) == NN_ERROR_OPEN);
    CHECK(nn_save(new_model, in_folder("missing/model")) == NN_ERROR_OPEN);
    CHECK(entries() == 5 && entries_of(in_folder("other")) == 0);
}

/* In the current folder, whose name is not part of the path. */
static void test_current_folder(void)
{
    const int here = open(".", O_RDONLY);
    CHECK(here >= 0 && chdir(in_folder("other")) == 0);
    folders_synced = 0;
    CHECK(nn_save(new_model, "model") == NN_OK);
    CHECK(folders_synced == 1);
    CHECK(entries_of(".") == 1 && holds("model", new_model));
    CHECK(remove("model") == 0);
    CHECK(fchdir(here) == 0 && close(here) == 0);
}

/* Of the names that are tried, half is the path and eight digits, half is short. No two are equal:
   by chance that happens once in 400,000 runs. What has such a name is not touched. */
static void test_temporary_names(void)
{
    enum { NAMES = 200 };
    static char names[NAMES][NN__TEMPORARY_ROOM + 8];
    int i, j, equal = 0;
    for (i = 0; i < NAMES; i++) {
        const char *start = i % 2 ? "a/nn." : "a/net.";
        const size_t length = strlen(start);
        nn__name_temporary(names[i], "a/net", i % 16);
        CHECK(!strncmp(names[i], start, length));
        CHECK(strspn(names[i] + length, "0123456789abcdef") == 8);
        CHECK(!strcmp(names[i] + length + 8, ".tmp"));
        for (j = 0; j < i; j++) equal += !strcmp(names[i], names[j]);
    }
    CHECK(equal == 0);
    write_file(in_folder("a"), "mine", 4);
    CHECK(symlink("a", in_folder("b")) == 0 && symlink("c", in_folder("d")) == 0);
    CHECK(mkfifo(in_folder("e"), 0600) == 0);
    CHECK(!NN_FOPEN_NEW(in_folder("a"), 0) && !NN_FOPEN_NEW(in_folder("b"), 1));
    CHECK(!NN_FOPEN_NEW(in_folder("d"), 0) && !NN_FOPEN_NEW(in_folder("e"), 1));
    CHECK(entries() == 5);
}

/* ---- Permissions ----------------------------------------------------------------------------- */

/* A new file has what the umask leaves. An old one keeps what it has, also when nothing of it is
   left by the umask, and the temporary file never has more. */
static void test_permissions(void)
{
    static const mode_t modes[] = {0600, 0640, 0444, 0644, 0666, 0777, 0604, 0200};
    static const mode_t masks[] = {022, 077, 0, 0777};
    const char *path = in_folder("model");
    size_t i, j;
    for (i = 0; i < sizeof masks / sizeof *masks; i++) {
        umask(masks[i]);
        CHECK(nn_save(old_model, path) == NN_OK);
        CHECK(mode_of(path) == (0666 & ~masks[i]));
        for (j = 0; j < sizeof modes / sizeof *modes; j++) {
            CHECK(chmod(path, modes[j]) == 0);
            CHECK(nn_save(j % 2 ? new_model : old_model, path) == NN_OK);
            CHECK(mode_of(path) == modes[j]);
            CHECK(!(mode_created & (mode_t)~0600) && mode_at_writing == modes[j]);
        }
        CHECK(holds(path, new_model) || geteuid() != 0);
        CHECK(remove(path) == 0);
    }
    umask(022);
    /* Writing to a file takes these bits from it. */
    CHECK(nn_save(old_model, path) == NN_OK && chmod(path, 06755) == 0);
    CHECK(nn_save(new_model, path) == NN_OK && mode_of(path) == 0755);
    CHECK(entries() == 2);
}

/* Another user's file, in a folder that is everybody's. */
static void test_owner(void)
{
    const char *path = in_folder("model");
    struct stat now;
    if (geteuid() != 0) {
        test_skip("only root can give files to other users");
        return;
    }
    CHECK(nn_save(old_model, path) == NN_OK);
    CHECK(chown(path, 65533, 65532) == 0 && chmod(path, 0640) == 0);
    CHECK(nn_save(new_model, path) == NN_OK && holds(path, new_model));
    CHECK(lstat(path, &now) == 0 && now.st_uid == 65533 && now.st_gid == 65532);
    CHECK(mode_of(path) == 0640);

    /* Only the group is another one. */
    CHECK(chown(path, 0, 65532) == 0);
    CHECK(nn_save(old_model, path) == NN_OK && holds(path, old_model));
    CHECK(lstat(path, &now) == 0 && now.st_uid == 0 && now.st_gid == 65532);
    CHECK(chown(path, 65533, 65532) == 0);

    /* Of the group's permissions, the new group gets those that everybody has. */
    CHECK(chmod(path, 0674) == 0 && chmod(temporary("saving"), 0777) == 0);
    CHECK(save_as_nobody(old_model, path) == NN_OK && holds(path, old_model));
    CHECK(lstat(path, &now) == 0 && now.st_uid == 65534 && now.st_gid == 65534);
    CHECK(mode_of(path) == 0644);

    /* The group alone can be kept. */
    CHECK(chown(path, 65533, 65534) == 0 && chmod(path, 0670) == 0);
    CHECK(save_as_nobody(new_model, path) == NN_OK && holds(path, new_model));
    CHECK(lstat(path, &now) == 0 && now.st_uid == 65534 && now.st_gid == 65534);
    CHECK(mode_of(path) == 0670);

    /* In such a folder with the sticky bit, another user's file cannot be replaced. */
    CHECK(chown(path, 65533, 65533) == 0 && chmod(temporary("saving"), 01777) == 0);
    CHECK(save_as_nobody(old_model, path) == NN_ERROR_WRITE);
    CHECK(holds(path, new_model) && mode_of(path) == 0670 && entries() == 2);
}

/* An owner and a group that nobody may give: of the group's permissions, the new group gets those
   that everybody has. The same without the rights of root. */
static void test_strange_owner(void)
{
    const char *path = in_folder("model");
    CHECK(nn_save(old_model, path) == NN_OK && chmod(path, 0674) == 0);
    strange_owner = 1;
    CHECK(nn_save(new_model, path) == NN_OK && holds(path, new_model));
    strange_owner = 0;
    CHECK(mode_of(path) == 0644 && entries() == 2);
}

/* ---- Links, devices, pipes ------------------------------------------------------------------- */

static void test_links(void)
{
    char text[400];
    int i;
    CHECK(nn_save(old_model, in_folder("other/model")) == NN_OK);
    CHECK(chmod(in_folder("other/model"), 0600) == 0);
    CHECK(symlink("other/model", in_folder("relative")) == 0);
    CHECK(symlink("../relative", in_folder("other/back")) == 0);
    CHECK(symlink("other/back", in_folder("chain")) == 0);
    CHECK(nn_save(new_model, in_folder("chain")) == NN_OK);
    CHECK(holds(in_folder("other/model"), new_model) && mode_of(in_folder("other/model")) == 0600);
    CHECK(is_link(in_folder("chain")) && is_link(in_folder("other/back")));
    CHECK(is_link(in_folder("relative")));
    CHECK(entries() == 3 && entries_of(in_folder("other")) == 2);

    /* An absolute one. */
    CHECK(getcwd(text, sizeof text) != NULL);
    if (*temporary("saving") == '/') *text = 0;
    i = (int)strlen(text);
    CHECK((size_t)i + strlen(in_folder("other/model")) + 2 < sizeof text);
    sprintf(text + i, "%s%s", i ? "/" : "", in_folder("other/model"));
    CHECK(symlink(text, in_folder("absolute")) == 0);
    CHECK(nn_save(old_model, in_folder("absolute")) == NN_OK);
    CHECK(holds(in_folder("other/model"), old_model) && is_link(in_folder("absolute")));

    /* A long one, to nothing yet. */
    for (i = 0; i < 380; i += 2) memcpy(text + i, "./", 2);
    strcpy(text + i, "other/made");
    CHECK(symlink(text, in_folder("long")) == 0);
    CHECK(nn_save(new_model, in_folder("long")) == NN_OK);
    CHECK(is_link(in_folder("long")) && holds(in_folder("other/made"), new_model));
    CHECK(mode_of(in_folder("other/made")) == 0644);

    CHECK(entries() == 5 && entries_of(in_folder("other")) == 3);
    remove(in_folder("other/made"));
    remove(in_folder("other/model"));
    remove(in_folder("other/back"));
}

static void test_refused_links(void)
{
    static const char *const links[] = {"a", "b", "self", "nowhere", "folder"};
    int i;
    CHECK(symlink("b", in_folder("a")) == 0 && symlink("a", in_folder("b")) == 0);
    CHECK(symlink("self", in_folder("self")) == 0);
    CHECK(symlink("missing/model", in_folder("nowhere")) == 0);
    CHECK(symlink("other", in_folder("folder")) == 0);
    CHECK(nn_save(new_model, in_folder("a")) == NN_ERROR_OPEN);
    CHECK(nn_save(new_model, in_folder("self")) == NN_ERROR_OPEN);
    CHECK(nn_save(new_model, in_folder("nowhere")) == NN_ERROR_OPEN);
    CHECK(nn_save(new_model, in_folder("folder")) == NN_ERROR_OPEN);
    CHECK(nn_save(new_model, in_folder("folder/")) == NN_ERROR_OPEN);
    CHECK(entries() == 6 && entries_of(in_folder("other")) == 0);
    for (i = 0; i < COUNT_OF(links); i++) CHECK(is_link(in_folder(links[i])));
}

/* Linux has links to files that have lost their path: here the old file, after it was replaced. */
static void test_lost_file(void)
{
    char link[40];
    const int file = open(in_folder("model"), O_RDWR | O_CREAT, 0600);
    struct stat now;
    sprintf(link, "/proc/self/fd/%d", file);
    CHECK(file >= 0);
    if (lstat(link, &now) != 0 || !S_ISLNK(now.st_mode)) {
        test_skip("no /proc/self/fd");
    } else {
        CHECK(nn_save(old_model, link) == NN_OK && holds(in_folder("model"), old_model));
        CHECK(nn_save(new_model, link) == NN_ERROR_OPEN);
        CHECK(holds(in_folder("model"), old_model) && entries() == 2);
    }
    close(file);
}

/* A file system without links; links that somebody else changes on the way, so that each leads to
   another one. */
static void test_other_links(void)
{
    const char *path = in_folder("model");
    no_links = 1;
    CHECK(nn_save(old_model, path) == NN_OK && holds(path, old_model));
    no_links = 0;
    endless_links = 1;
    CHECK(nn_save(new_model, path) == NN_ERROR_OPEN);
    CHECK(nn_save(new_model, in_folder("missing")) == NN_ERROR_OPEN);
    endless_links = 0;
    CHECK(holds(path, old_model) && entries() == 2);
}

static void test_full_disk(void)
{
    if (access("/dev/full", W_OK) != 0) {
        test_skip("no /dev/full");
        return;
    }
    CHECK(save_as_nobody(new_model, "/dev/full") == NN_ERROR_WRITE);
    CHECK(symlink("/dev/full", in_folder("full")) == 0);
    CHECK(save_as_nobody(new_model, in_folder("full")) == NN_ERROR_WRITE);
    CHECK(is_link(in_folder("full")) && entries() == 2);
}

static void test_devices(void)
{
    static unsigned char expected[8192], found[8192];
    struct stat before, after;
    size_t size = 0;
    int reader;
    CHECK(lstat("/dev/null", &before) == 0 && save_as_nobody(new_model, "/dev/null") == NN_OK);
    CHECK(lstat("/dev/null", &after) == 0 && before.st_ino == after.st_ino);
    seems_regular = 1; /* a file has come to its place */
    CHECK(save_as_nobody(new_model, "/dev/null") == NN_ERROR_OPEN);
    seems_regular = 0;

    CHECK(mkfifo(in_folder("pipe"), 0600) == 0 && symlink("pipe", in_folder("link")) == 0);
    CHECK(nn_save_memory(new_model, expected, sizeof expected, &size) == NN_OK);
    reader = open(in_folder("pipe"), O_RDONLY | O_NONBLOCK);
    CHECK(reader >= 0 && nn_save(new_model, in_folder("link")) == NN_OK);
    CHECK(read(reader, found, sizeof found) == (ssize_t)size && !memcmp(found, expected, size));
    CHECK(close(reader) == 0 && entries() == 3);
    CHECK(lstat(in_folder("pipe"), &after) == 0 && S_ISFIFO(after.st_mode));
}

/* ---- Failures -------------------------------------------------------------------------------- */

/* All that can fail. Those of the last row do not make saving fail. */
static const char *const steps[] = {
    "malloc", "stat",  "readlink", "create", "open",   "fstat",  "fdopen",      "fchmod",
    "write",  "flush", "fsync",    "close",  "rename", "fchown", "open folder", "fsync folder"};
enum { STEPS = sizeof steps / sizeof *steps, HARMLESS = STEPS - 3 };
static int seen[STEPS];

/* Saves to `path`, which leads to `target`, with each call failing in turn. Mode 0: there is no old
   file. */
static void fail_each(const char *path, const char *target, mode_t mode)
{
    const int descriptor = next_descriptor();
    int before, harmless;
    for (fail_at = 1; fail_at < 100; fail_at++) {
        nn_status status;
        long number = fail_at, blocks = live;
        int bad = test_bad;
        size_t i;
        fail_at = 0;
        remove(target);
        if (mode) {
            CHECK(nn_save(old_model, target) == NN_OK && chmod(target, mode) == 0);
            /* So that root has an owner to keep. */
            if (geteuid() == 0) CHECK(chown(target, 65533, 65533) == 0);
        }
        before = entries() + entries_of(in_folder("other"));
        calls = 0;
        failed = NULL;
        fail_at = number;
        status = nn_save(new_model, path);
        fail_at = 0;
        CHECK(live == blocks && next_descriptor() == descriptor);
        if (!failed) {
            CHECK(status == NN_OK && number > 10);
            break;
        }
        for (i = 0; i < STEPS - 1 && strcmp(failed, steps[i]) != 0;) i++;
        seen[i] = 1;
        harmless = i >= HARMLESS;
        if (!strcmp(failed, "malloc"))
            CHECK(status == NN_ERROR_MEMORY);
        else if (!strcmp(failed, "create") || !strcmp(failed, "fdopen") || harmless)
            CHECK(status == NN_OK); /* the first two have another attempt */
        else
            CHECK(status == NN_ERROR_OPEN || status == NN_ERROR_WRITE);
        if (status == NN_OK)
            CHECK(holds(target, new_model) &&
                  entries() + entries_of(in_folder("other")) == before + !mode);
        else
            CHECK((mode ? holds(target, old_model) : access(target, F_OK) != 0) &&
                  entries() + entries_of(in_folder("other")) == before);
        if (mode && harmless && strcmp(failed, "fchown") != 0) CHECK(mode_of(target) == mode);
        if (mode) CHECK(!(mode_of(target) & (mode_t)~mode));
        if (test_bad > bad) printf("%s, call %ld: %s\n", path, number, failed);
        fail_at = number;
    }
    CHECK(fail_at == 0);
    remove(target);
}

static void test_failures(void)
{
    int i;
    CHECK(symlink("other/model", in_folder("first")) == 0 &&
          symlink("first", in_folder("link")) == 0);
    fail_each(in_folder("model"), in_folder("model"), 0);
    fail_each(in_folder("model"), in_folder("model"), 0640);
    fail_each(in_folder("link"), in_folder("other/model"), 0);
    fail_each(in_folder("link"), in_folder("other/model"), 0444);
    for (fail_at = 1; fail_at < 20; fail_at++) { /* a device */
        nn_status status;
        const int descriptor = next_descriptor();
        calls = 0;
        failed = NULL;
        status = save_as_nobody(new_model, "/dev/null");
        CHECK(live == 2 && next_descriptor() == descriptor);
        if (!failed) break;
        CHECK(status != NN_OK);
        for (i = 0; i < STEPS; i++) seen[i] |= !strcmp(failed, steps[i]);
    }
    CHECK(fail_at > 5 && fail_at < 20);
    fail_at = 0;
    for (i = 0; i < STEPS; i++)
        if (!CHECK(seen[i] || (!strcmp(steps[i], "fchown") && geteuid() != 0)))
            printf("%s never failed\n", steps[i]);
    CHECK(is_link(in_folder("first")) && is_link(in_folder("link")));
}

/* A signal interrupts fsync; a file system does not have it. */
static void test_fsync(void)
{
    const char *path = in_folder("model");
    files_synced = folders_synced = 0;
    fsync_error = EINTR;
    fsync_errors = 3;
    CHECK(nn_save(old_model, path) == NN_OK && fsync_errors == 0);
    CHECK(files_synced == 1 && folders_synced == 1);
    fsync_error = EINVAL;
    fsync_errors = 1;
    CHECK(nn_save(new_model, path) == NN_OK && fsync_errors == 0);
    CHECK(files_synced == 1 && folders_synced == 2);
    fsync_error = ENOSPC;
    fsync_errors = 1;
    CHECK(nn_save(old_model, path) == NN_ERROR_WRITE && holds(path, new_model));
    CHECK(folders_synced == 2 && entries() == 2);
}

int main(void)
{
    test_any_backend(); /* what is saved does not depend on it */
    old_model = example_model(1);
    new_model = example_model(2);
    RUN(test_names);
    RUN(test_current_folder);
    RUN(test_temporary_names);
    RUN(test_permissions);
    RUN(test_owner);
    RUN(test_strange_owner);
    RUN(test_links);
    RUN(test_refused_links);
    RUN(test_lost_file);
    RUN(test_other_links);
    RUN(test_full_disk);
    RUN(test_devices);
    RUN(test_failures);
    RUN(test_fsync);
    nn_model_free(old_model);
    nn_model_free(new_model);
    return test_done();
}
