/* Uses a library that was there before the allocator (elder.c).
 *
 *   keeps    the thread that allocated in that library's constructor keeps its heap:
 *            few refills in many calls
 *   limits   with threshold=256K, which was not known when the heap was born: it
 *            keeps no longer run
 *   forks    fork, while a thread allocates under the lock that the library's fork
 *            handlers wait for */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hakmem/hakmem.h"
#include "tests/check.h"

extern pthread_mutex_t elder_lock;
extern void* elder_block;

__attribute__((noreturn)) static void fail(const char* what, unsigned long long got) {
    dprintf(STDERR_FILENO, "FAIL %s: %llu\n", what, got);
    _exit(1);
}

static struct hak_stats statistics(void) {
    int (*stats)(struct hak_stats*, size_t) =
        (int (*)(struct hak_stats*, size_t))dlsym(RTLD_DEFAULT, "hak_stats");
    struct hak_stats s;
    if (stats == NULL || stats(&s, sizeof s) != 0) fail("no statistics", 0);
    return s;
}

static void keeps(void) {
    enum { kPairs = 10000 };
    free(elder_block);
    const unsigned long long before = statistics().refills;
    for (int i = 0; i < kPairs; ++i) {
        void* volatile p = malloc(40);
        free(p);
    }
    const unsigned long long count = statistics().refills - before;
    if (count > kPairs / 100) fail("refills in 10000 pairs of malloc and free", count);
}

static unsigned long long kept_of(size_t bytes) {
    const unsigned long long before = statistics().used_units_bytes;
    void* volatile p = malloc(bytes);
    free(p);
    return statistics().used_units_bytes - before;
}

static void limits(void) {
    if (kept_of(300000) != 0)
        fail("bytes of a run that is kept, though the purge batch wants it", kept_of(300000));
    if (kept_of(100000) == 0) fail("a shorter run is not kept", 0);
}

static void* allocate_under_lock(void* unused) {
    for (;;) {
        pthread_mutex_lock(&elder_lock);
        void* volatile p = malloc(100000);
        free(p);
        pthread_mutex_unlock(&elder_lock);
    }
    return unused;
}

static void forks(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, allocate_under_lock, NULL) != 0) fail("pthread_create", 0);
    for (unsigned i = 0; i < 300; ++i) {
        const pid_t child = fork();
        if (child < 0) fail("fork", i);
        if (child == 0) {
            void* volatile p = malloc(100000);
            free(p);
            _exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        if (status != 0) fail("a child's status", (unsigned)status);
    }
}

/* Without the handlers that run at the end of a process: the elder's block is judged before
 * them. */
static void call(const struct check_test* test) {
    test->body();
    _exit(0);
}

int main(int argc, char** argv) {
    static struct check_test tests[] = {CHECK_TEST(keeps), CHECK_TEST(limits), CHECK_TEST(forks)};
    (void)argc;
    return check_main(argv, check_chain(tests, 3), CHECK_ALONE, 60, call);
}
