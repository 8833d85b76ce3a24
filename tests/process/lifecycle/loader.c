/* dlopen of the library into a process that another malloc serves, and of plug-ins into a process
 * that the library may serve.
 * Started by a runner, which judges it: no test by itself.
 *
 *   loader cycles LIBRARY            100 times dlopen, hak_* through dlsym, dlclose
 *   loader threads LIBRARY           threads that used the library end after it was closed
 *   loader cancel LIBRARY            the first call of all, with a limit on address space, by a
 *                                    thread that was cancelled already
 *   loader deepbind PLUGIN | plain PLUGIN
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

typedef void* (*Malloc)(size_t);
typedef void (*Free)(void*);

static void fail(const char* what) {
    const char* detail = dlerror();
    dprintf(STDERR_FILENO, "FAIL loader: %s%s%s\n", what, detail != NULL ? ": " : "",
            detail != NULL ? detail : "");
    _exit(1);
}

static void* open_library(const char* path, int flags) {
    void* library = dlopen(path, flags);
    if (library == NULL) fail("dlopen");
    return library;
}

static void work_with(Malloc hak_malloc, Free hak_free) {
    static const size_t kSizes[] = {0, 1, 100, 5000, 40000, 300000, 3000000};
    char* blocks[70];
    for (int i = 0; i < 70; ++i) {
        blocks[i] = hak_malloc(kSizes[i % 7]);
        if (blocks[i] == NULL) fail("hak_malloc returned null");
        memset(blocks[i], i, kSizes[i % 7]);
    }
    for (int i = 0; i < 70; ++i) {
        if (kSizes[i % 7] != 0 && blocks[i][kSizes[i % 7] - 1] != (char)i) fail("a block changed");
        hak_free(blocks[i]);
    }
}

static size_t mappings(void) {
    size_t lines = 0;
    FILE* maps = fopen("/proc/self/maps", "r");
    for (int c; (c = fgetc(maps)) != EOF;) lines += c == '\n';
    fclose(maps);
    return lines;
}

static void cycles(const char* path) {
    size_t early = 0;
    for (int i = 0; i < 100; ++i) {
        void* library =
            open_library(path, i % 2 == 0 ? RTLD_NOW | RTLD_LOCAL : RTLD_LAZY | RTLD_LOCAL);
        Malloc hak_malloc = (Malloc)dlsym(library, "hak_malloc");
        Free hak_free = (Free)dlsym(library, "hak_free");
        if (hak_malloc == NULL || hak_free == NULL) fail("dlsym");
        work_with(hak_malloc, hak_free);
        /* The process's own malloc is another one, and must stay apart. */
        void* own = malloc(100);
        void* theirs = hak_malloc(100);
        free(own);
        if (dlclose(library) != 0) fail("dlclose");
        /* The library stays, so a block outlives the handle. */
        memset(theirs, 1, 100);
        hak_free(theirs);
        if (i == 10) early = mappings();
    }
    if (mappings() > early + 16) fail("mappings grow with every dlopen");
}

static Malloc thread_malloc;
static Free thread_free;
static sem_t used, closed;

static void* live_past_the_library(void* unused) {
    (void)unused;
    work_with(thread_malloc, thread_free);
    sem_post(&used);
    sem_wait(&closed);
    return NULL;
}

static void threads(const char* path) {
    for (int round = 0; round < 20; ++round) {
        void* library = open_library(path, RTLD_NOW | RTLD_LOCAL);
        thread_malloc = (Malloc)dlsym(library, "hak_malloc");
        thread_free = (Free)dlsym(library, "hak_free");
        if (thread_malloc == NULL || thread_free == NULL) fail("dlsym");
        sem_init(&used, 0, 0);
        sem_init(&closed, 0, 0);
        pthread_t workers[8];
        for (int i = 0; i < 8; ++i)
            if (pthread_create(&workers[i], NULL, live_past_the_library, NULL) != 0)
                fail("pthread_create");
        for (int i = 0; i < 8; ++i) sem_wait(&used);
        if (dlclose(library) != 0) fail("dlclose");
        for (int i = 0; i < 8; ++i) sem_post(&closed);
        for (int i = 0; i < 8; ++i) pthread_join(workers[i], NULL);
    }
}

/* No function of the allocator is a cancellation point: the thread ends in the call that is one. */
static int calls_survived = 0;
static void* live_cancelled(void* unused) {
    pthread_cancel(pthread_self());
    work_with(thread_malloc, thread_free);
    calls_survived = 1;
    pthread_testcancel();
    return unused;
}
static void cancel(const char* path) {
    const struct rlimit limit = {(rlim_t)64 << 30, (rlim_t)64 << 30};
    if (setrlimit(RLIMIT_AS, &limit) != 0) fail("setrlimit");
    void* library = open_library(path, RTLD_NOW | RTLD_LOCAL);
    thread_malloc = (Malloc)dlsym(library, "hak_malloc");
    thread_free = (Free)dlsym(library, "hak_free");
    if (thread_malloc == NULL || thread_free == NULL) fail("dlsym");
    pthread_t thread;
    void* result = NULL;
    if (pthread_create(&thread, NULL, live_cancelled, NULL) != 0) fail("pthread_create");
    pthread_join(thread, &result);
    if (!calls_survived) fail("hak_malloc or hak_free acted on a cancellation");
    if (result != PTHREAD_CANCELED) fail("the thread was not cancelled afterwards");
    work_with(thread_malloc, thread_free);
}

static void plugins(const char* path, int flags) {
    for (int i = 0; i < 50; ++i) {
        void* plugin = open_library(path, RTLD_NOW | flags);
        int (*work)(int) = (int (*)(int))dlsym(plugin, "plugin_work");
        if (work == NULL) fail("dlsym");
        if (work(200) != 1) fail("the plug-in's blocks changed");
        if (dlclose(plugin) != 0) fail("dlclose");
    }
}

int main(int argc, char** argv) {
    alarm(60);
    if (argc == 3 && strcmp(argv[1], "cycles") == 0)
        cycles(argv[2]);
    else if (argc == 3 && strcmp(argv[1], "threads") == 0)
        threads(argv[2]);
    else if (argc == 3 && strcmp(argv[1], "cancel") == 0)
        cancel(argv[2]);
    else if (argc == 3 && strcmp(argv[1], "deepbind") == 0)
        plugins(argv[2], RTLD_DEEPBIND);
    else if (argc == 3 && strcmp(argv[1], "plain") == 0)
        plugins(argv[2], 0);
    else {
        fprintf(stderr, "usage: %s cycles|threads|cancel LIBRARY | deepbind|plain PLUGIN\n",
                argv[0]);
        return 2;
    }
    return 0;
}
