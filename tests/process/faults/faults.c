/* A process whose allocator is refused one call to the system, or one and all later ones
 * (refuse.c). Null with ENOMEM is the only harm: a null comes in the call that was refused,
 * success leaves errno alone, contents stay, nothing hangs; and when nothing is refused any more
 * the same scenario runs without a null, and its memory goes back.
 *
 *   REFUSE=KIND:K:once|lasting faults SCENARIO     0: as promised; a line on stdout says how
 *                                                  many calls of each kind there were
 *   faults list                                    each scenario with its HAKMEM_OPTIONS */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>

#include "hakmem/hakmem.h"
#include "refuse.h"
#include "tests/check.h"
#include "tests/pages.h"

extern int hak_stats(struct hak_stats* out, size_t bytes) __attribute__((weak));

static int is_healthy = 0;  /* nothing is refused any more */
static int has_threads = 0; /* a null may stem from a call of another thread that was refused */
static int may_be_full = 0; /* a null may stem from the end of the window */
static atomic_ulong nulls;

static void fail(const char* what, unsigned long n) {
    const char* wish = getenv("REFUSE");
    dprintf(STDERR_FILENO, "FAIL %s, REFUSE=%s: %s: %lu\n", check_running, wish == NULL ? "" : wish,
            what, n);
    _exit(1);
}

/* ---- blocks that know what they hold */

struct Block {
    unsigned char* p;
    size_t n, checked; /* the first and the last `checked` bytes hold the pattern */
};
static unsigned char byte_of(size_t n, size_t i) {
    return (unsigned char)(n * 31 + i * 7 + 3);
}
static void stamp(struct Block* b) {
    b->checked = b->n < 600 ? b->n : 300;
    for (size_t i = 0; i < b->checked; ++i) {
        b->p[i] = byte_of(b->n, i);
        b->p[b->n - 1 - i] = byte_of(b->n, b->n - 1 - i);
    }
}
static void verify(const struct Block* b, size_t n) {
    for (size_t i = 0; i < b->checked && i < n; ++i)
        if (b->p[i] != byte_of(b->n, i)) fail("a block changed at", i);
    for (size_t i = b->n - b->checked; i < b->n && i < n; ++i)
        if (b->p[i] != byte_of(b->n, i)) fail("a block changed at", i);
}

enum { kCookie = 4242 };
static unsigned long before;
static void begin(void) {
    before = refuse_count();
    errno = kCookie;
}
/* What a call returned. Null needs a refusal, in this very call where there is one thread;
 * success leaves errno alone. */
static int judge(const void* p, size_t n) {
    if (p != NULL) {
        if (errno != kCookie) fail("success set errno to", (unsigned long)errno);
        return 1;
    }
    if (errno != ENOMEM) fail("null, and errno is", (unsigned long)errno);
    if (may_be_full) return 0;
    if (is_healthy) fail("null though nothing is refused, for", n);
    if (refuse_count() == (has_threads ? 0 : before)) fail("null without a refusal, for", n);
    atomic_fetch_add(&nulls, 1);
    return 0;
}
static struct Block take(void* p, size_t n) {
    struct Block b = {judge(p, n) ? p : NULL, n, 0};
    if (b.p != NULL) stamp(&b);
    return b;
}
static struct Block get(size_t n) {
    begin();
    return take(malloc(n), n);
}
static struct Block get_aligned(size_t alignment, size_t n) {
    begin();
    void* p = NULL;
    const int error = posix_memalign(&p, alignment, n);
    if (p == NULL && errno != kCookie) fail("posix_memalign set errno to", (unsigned long)errno);
    if (error != (p == NULL ? ENOMEM : 0)) fail("posix_memalign returned", (unsigned long)error);
    if (p == NULL) errno = ENOMEM;
    if ((uintptr_t)p % alignment != 0) fail("misaligned by", (uintptr_t)p % alignment);
    return take(p, n);
}
static struct Block get_zeroed(size_t n) {
    begin();
    unsigned char* p = calloc(1, n);
    const int error = errno, pagemap = p == NULL ? -1 : pages_open();
    const size_t step = n < 10000 ? 1 : 509;
    for (size_t at = 0, end; p != NULL && (at = pages_next(p, n, at, &end, pagemap)) < n; at = end)
        for (; at < end; at += step)
            if (p[at] != 0) fail("calloc is not zero at", at);
    if (pagemap >= 0) close(pagemap);
    errno = error;
    return take(p, n);
}
static void resize(struct Block* b, size_t n) {
    if (b->p == NULL) {
        *b = get(n);
        return;
    }
    begin();
    void* q = realloc(b->p, n);
    if (!judge(q, n)) {
        verify(b, b->n);
        return;
    }
    b->p = q;
    verify(b, n);
    b->n = n;
    stamp(b);
}
static void drop(struct Block* b) {
    if (b->p == NULL) return;
    verify(b, b->n);
    errno = kCookie;
    free(b->p);
    if (errno != kCookie) fail("free set errno to", (unsigned long)errno);
    b->p = NULL;
}
static void trim(void) {
    errno = kCookie;
    malloc_trim(0);
    if (errno != kCookie) fail("malloc_trim set errno to", (unsigned long)errno);
}

/* ---- scenarios */

static void small(void) {
    static const size_t kSizes[] = {1, 24, 100, 500, 2000, 9000, 32768};
    struct Block b[140];
    for (int i = 0; i < 140; ++i) b[i] = get(kSizes[i % 7]);
    for (int i = 0; i < 140; i += 2) drop(&b[i]);
    for (int i = 0; i < 140; i += 2) b[i] = get(kSizes[i / 2 % 7]);
    for (int i = 0; i < 140; ++i) drop(&b[i]);
}
static void large(void) {
    struct Block b[24];
    for (int i = 0; i < 24; ++i)
        b[i] = i % 3 == 0 ? get_zeroed(40000 + (size_t)i * 30000) : get(40000 + (size_t)i * 30000);
    for (int i = 0; i < 24; i += 2) drop(&b[i]);
    trim();
    for (int i = 0; i < 24; i += 2) b[i] = get_zeroed(900000);
    for (int i = 0; i < 24; ++i) drop(&b[i]);
}
static void big(void) {
    struct Block b[10];
    for (int i = 0; i < 10; ++i) b[i] = get(1100000 + (size_t)i * 1000000);
    for (int i = 0; i < 10; i += 2) drop(&b[i]);
    trim();
    for (int i = 0; i < 10; i += 2) b[i] = get_zeroed(3000000);
    for (int i = 0; i < 10; ++i) drop(&b[i]);
}
static void aligned(void) {
    static const size_t kAlignments[] = {16, 256, 4096, 65536, 2 << 20, 8 << 20};
    struct Block b[30];
    for (int i = 0; i < 30; ++i)
        b[i] = get_aligned(kAlignments[i % 6], (size_t)1 << (4 + i % 5 * 4));
    for (int i = 0; i < 30; i += 3) resize(&b[i], 50000);
    for (int i = 0; i < 30; ++i) drop(&b[i]);
}
static void resizing(void) {
    /* through every tier, in place where there is room and to another place where there is none */
    static const size_t kSizes[] = {20,      200,     3000,    40000,   60000, 200000, 1000000,
                                    1900000, 3000000, 9000000, 2500000, 70000, 50};
    struct Block b[2] = {{0}, {0}};
    for (int i = 0; i < 13; ++i) resize(&b[0], kSizes[i]);
    for (int i = 0; i < 13; ++i) {
        resize(&b[1], kSizes[i]);
        resize(&b[0], kSizes[12 - i]);
    }
    drop(&b[0]);
    trim();
    resize(&b[1], 7000000);
    drop(&b[1]);
}
static void aging(void) { /* with delays of no time: each free returns what is free */
    struct Block b[12];
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 12; ++i)
            b[i] = round == 1 ? get_zeroed(30000 * ((size_t)i * i + 1))
                              : get(30000 * ((size_t)i * i + 1));
        for (int i = 0; i < 12; ++i) drop(&b[(i * 5) % 12]);
        refuse_advance(10);
    }
}
static void window_end(void) {
    /* more than a window of 64 MiB holds, and more than half of it, which is what one refusal
     * may leave */
    struct Block b[40];
    may_be_full = 1;
    for (int i = 0; i < 40; ++i) b[i] = get(1900000);
    may_be_full = 0;
    for (int i = 0; i < 40; i += 2) drop(&b[i]);
    for (int i = 0; i < 12; i += 2) b[i] = get(900000);
    for (int i = 0; i < 40; ++i) {
        if (is_healthy && i < 12 && b[i].p == NULL)
            fail("no block in a window that is not full", (unsigned long)i);
        drop(&b[i]);
    }
}

static struct Block shared[4][60];
static void* live(void* index) {
    /* allocates for all, and frees what its neighbour allocated in its last life */
    const long me = (long)index;
    struct Block own[40];
    for (int i = 0; i < 40; ++i) own[i] = get(16u << i % 12);
    for (int i = 0; i < 60; ++i) drop(&shared[(me + 1) % 4][i]);
    for (int i = 0; i < 40; ++i) drop(&own[i]);
    return NULL;
}
static void* bear(void* index) {
    const long me = (long)index;
    for (int i = 0; i < 60; ++i) shared[me][i] = get(i % 20 == 0 ? 100000 : 48);
    return NULL;
}
static void start_and_join(void* (*body)(void*), int at_once) {
    pthread_t threads[4];
    int started[4] = {0};
    for (long i = 0; i < 4; ++i) {
        before = refuse_count();
        const int error = pthread_create(&threads[i], NULL, body, (void*)i);
        started[i] = error == 0;
        if (error != 0 && (is_healthy || refuse_count() == 0))
            fail("pthread_create returned", (unsigned long)error);
        if (started[i] && !at_once) pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < 4 && at_once; ++i)
        if (started[i]) pthread_join(threads[i], NULL);
}
static void drop_shared(void) {
    for (int t = 0; t < 4; ++t)
        for (int i = 0; i < 60; ++i) drop(&shared[t][i]);
}
/* One thread at a time: each is born, adopts what the one before left, and ends; so the calls
 * come in the same order in each run. */
static void successors(void) {
    start_and_join(bear, 0);
    start_and_join(live, 0);
    drop_shared();
}
static void threads(void) {
    has_threads = 1;
    start_and_join(bear, 1);
    start_and_join(live, 1);
    drop_shared();
    has_threads = 0;
}
static tss_t keys[40];
static int key_count = 0;
static void* use_keys(void* unused) {
    for (int i = 0; i < key_count; ++i) tss_set(keys[i], unused);
    return live((void*)0);
}
static void many_keys(void) { /* from the 33rd key on, libc allocates where a thread sets it */
    while (key_count < 40 && tss_create(&keys[key_count], NULL) == thrd_success) ++key_count;
    start_and_join(use_keys, 0);
}
static void forks(void) {
    struct Block b[20];
    for (int i = 0; i < 20; ++i) b[i] = get((size_t)60 << i % 14);
    for (int i = 0; i < 2; ++i) {
        const pid_t child = fork();
        if (child < 0) fail("fork", (unsigned long)errno);
        if (child == 0) {
            alarm(20);
            small();
            if (i == 0)
                resizing();
            else
                aligned();
            for (int k = 0; k < 20; ++k) drop(&b[k]);
            trim();
            _exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        if (status != 0) fail("a child's status", (unsigned long)status);
    }
    for (int i = 0; i < 20; ++i) drop(&b[i]);
}

static struct check_test scenarios[] = {
    {"small", small, "", NULL},
    {"large", large, "", NULL},
    {"big", big, "", NULL},
    {"aligned", aligned, "thp=1", NULL},
    {"resizing", resizing, "", NULL},
    {"aging", aging, "purge_delay=0:decommit_delay=0", NULL},
    {"window_end", window_end, "window=64M", NULL},
    {"successors", successors, "", NULL},
    {"threads", threads, "purge_delay=0", NULL},
    {"many_keys", many_keys, "", NULL},
    {"forks", forks, "cache=0", NULL},
    {"profiled", small, "profile=1", NULL},
    {"profiled_forks", forks, "profile=4K", NULL},
    {"limited", large, "rlimit",
     NULL}, /* run.py sets RLIMIT_AS: the library looks for what it leaves */
};

static void judge_memory(void) {
    struct hak_stats s;
    if (hak_stats == NULL || hak_stats(&s, sizeof s) != 0) return;
    if (s.big_bytes != 0) fail("bytes in Big blocks that are gone", s.big_bytes);
    if (s.cached_bytes != 0) fail("free bytes that stay committed after a trim", s.cached_bytes);
    if (s.used_units_bytes > (2u << 20))
        fail("bytes in slabs of blocks that are gone", s.used_units_bytes);
}

static void call(const struct check_test* scenario) {
    scenario->body();
    const unsigned long refused = refuse_count();
    unsigned long calls[kRefuseKinds + 1];
    for (int kind = 0; kind <= kRefuseKinds; ++kind) calls[kind] = refuse_calls(kind);
    refuse_no_more();
    is_healthy = 1;
    scenario->body();
    trim();
    judge_memory();
    printf("refused %lu nulls %lu any %lu", refused, atomic_load(&nulls), calls[kRefuseKinds]);
    for (int kind = 0; kind < kRefuseKinds; ++kind)
        printf(" %s %lu", refuse_names[kind], calls[kind]);
    printf("\n");
}

int main(int argc, char** argv) {
    (void)argc;
    return check_main(argv, check_chain(scenarios, sizeof scenarios / sizeof scenarios[0]),
                      CHECK_ALONE, 30, call);
}
