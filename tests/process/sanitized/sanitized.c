/* What the sanitizers say about the client of a hak_malloc block. Built with AddressSanitizer or
 * MemorySanitizer.
 *
 *   sanitized list         name <tab> what stderr must hold, with {p} for the address that the
 *                          case names; empty for a control
 *   sanitized NAME */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hakmem/hakmem.h"
#include "tests/check.h"

#if __has_feature(address_sanitizer)
#    include <sanitizer/asan_interface.h>
#else
#    include <sanitizer/msan_interface.h>
#endif

static const size_t kSizes[] = {0,    1,    7,     8,     9,      16,      17,     100,
                                1000, 5000, 32768, 40000, 300000, 1100000, 3000000};
enum { kSizeCount = sizeof kSizes / sizeof kSizes[0] };

static volatile unsigned char sink;

static void require(int holds, const char* what, size_t n, size_t at) {
    if (holds) return;
    fprintf(stderr, "%s does not hold for %zu bytes, byte %zu\n", what, n, at);
    _exit(1);
}
static unsigned char* make(size_t n) {
    return hak_malloc(n);
}

static void* run_free(void* p) {
    hak_free(p);
    return NULL;
}
static void free_in_another_thread(void* p) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, run_free, p) != 0) _exit(4);
    pthread_join(thread, NULL);
}

/* Blocks of all sizes by all functions, written and read as far as they were asked for, freed
 * here and there. */
static void every_call(void) {
    for (int round = 0; round < 3; ++round)
        for (int i = 0; i < kSizeCount; ++i) {
            const size_t n = kSizes[i];
            void* blocks[8] = {hak_malloc(n),
                               hak_calloc(1, n),
                               hak_realloc(NULL, n),
                               hak_reallocarray(NULL, 1, n),
                               hak_aligned_alloc(64, n),
                               hak_memalign(4096, n),
                               hak_valloc(n),
                               NULL};
            require(hak_posix_memalign(&blocks[7], 256, n) == 0, "posix_memalign", n, 0);
            for (int k = 0; k < 8; ++k) memset(blocks[k], k, n);
            for (int k = 0; k < 8; ++k) {
                unsigned char* p = hak_realloc(blocks[k], n + n / 3 + 1);
                for (size_t at = 0; at < n; ++at) require(p[at] == k, "the content stays", n, at);
                memset(p, 9, n + n / 3 + 1);
                p = hak_realloc(p, n / 2 + 1);
                if (k % 3 == 0)
                    free_in_another_thread(p);
                else
                    hak_free(p);
            }
        }
    hak_trim(0);
}

#if __has_feature(address_sanitizer)

static int closed(const void* p) {
    return __asan_address_is_poisoned(p);
}

static void exact_to_the_byte(void) {
    for (size_t n = 0; n < 5000000; n = n < 300 ? n + 1 : n + n / 3) {
        unsigned char* const p = make(n);
        for (size_t at = 0; at < n; at += n > 5000 && at > 64 && at + 64 < n ? 61 : 1)
            require(!closed(p + at), "bytes asked for are open", n, at);
        require(closed(p + n), "the byte behind is closed", n, n);
        require(closed(p + n + 15 - n % 16), "the last byte of its 16 is closed", n, n);
        hak_free(p);
        require(closed(p) && closed(p + n / 2) && closed(p + 15), "freed bytes are closed", n, 0);
        unsigned char* const q = hak_aligned_alloc(256, n);
        require(closed(q + n), "the byte behind an aligned block is closed", n, n);
        unsigned char* const r = hak_realloc(q, n + 1);
        require(!closed(r + n) && closed(r + n + 1), "realloc opens what it adds", n, n);
        free_in_another_thread(r);
        require(closed(r) && closed(r + n), "bytes freed by another thread are closed", n, 0);
    }
}
static void usable_size_opens(void) {
    unsigned char* const p = make(1000);
    const size_t usable = hak_malloc_usable_size(p);
    for (size_t at = 0; at < usable; ++at)
        require(!closed(p + at), "who asks for the usable size may use it", 1000, at);
    memset(p, 1, usable);
    hak_free(p);
}
static void never_handed_out(void) {
    unsigned char* const p = make(1000);
    require(closed(p + 20000), "a block that nobody got yet is closed", 1000, 20000);
    hak_free(p);
}

/* The address that the report must name. */
static volatile unsigned char* name(volatile unsigned char* p) {
    char text[32];
    const int n = snprintf(text, sizeof text, "0x%012lx\n", (unsigned long)(uintptr_t)p);
    if (write(STDOUT_FILENO, text, (size_t)n) != n) _exit(3);
    return p;
}

static size_t size;
static void over_write(void) {
    *name(make(size) + size) = 1;
}
static void over_read(void) {
    sink = *name(make(size) + size);
}
static void freed_first(void) {
    unsigned char* p = make(size);
    hak_free(p);
    sink = *name(p);
}
static void freed_last(void) {
    unsigned char* p = make(size);
    hak_free(p);
    *name(p + size - 1) = 1;
}
static void freed_elsewhere(void) {
    unsigned char* p = make(size);
    free_in_another_thread(p);
    *name(p + size / 2) = 1;
}
static void moved(void) {
    unsigned char* p = make(size);
    unsigned char* q = hak_realloc(p, 20 * size);
    if (q == p) hak_free(q); /* it had room to grow */
    sink = *name(p);
}
static void shrunk(void) {
    unsigned char* p = hak_realloc(make(size), size - size / 8 - 1);
    *name(p + size - size / 8 - 1) = 1;
}
static void by_memset(void) {
    unsigned char* p = make(size);
    name(p + size);
    memset(p, 1, size + 1);
}

static const struct {
    const char* name;
    const char* report;
    void (*body)(void);
} kCases[] = {
    {"over_write", "use-after-poison on address {p}", over_write},
    {"over_read", "use-after-poison on address {p}", over_read},
    {"freed_first", "use-after-poison on address {p}", freed_first},
    {"freed_last", "use-after-poison on address {p}", freed_last},
    {"freed_elsewhere", "use-after-poison on address {p}", freed_elsewhere},
    {"moved", "use-after-poison on address {p}", moved},
    {"shrunk", "use-after-poison on address {p}", shrunk},
    {"by_memset", "use-after-poison on address {p}", by_memset},
};
static const struct {
    const char* name;
    void (*body)(void);
} kControls[] = {{"every_call", every_call},
                 {"exact_to_the_byte", exact_to_the_byte},
                 {"usable_size_opens", usable_size_opens},
                 {"never_handed_out", never_handed_out}};

#else

/* The first byte that nobody wrote; n if there is none. */
static size_t unwritten(const void* p, size_t n) {
    const intptr_t at = n == 0 ? -1 : __msan_test_shadow(p, n);
    return at < 0 ? n : (size_t)at;
}

static void what_is_written(void) {
    for (int round = 0; round < 2; ++round)
        for (int i = 0; i < kSizeCount; ++i) {
            const size_t n = kSizes[i];
            unsigned char* p = make(n);
            for (size_t at = 0; at < n; at += n > 5000 ? 997 : 1)
                require(unwritten(p + at, 1) == 0, "fresh memory is unwritten", n, at);
            memset(p, 1, n);
            require(unwritten(p, n) == n, "what was written is known", n, 0);
            p = hak_realloc(p, n + 1);
            require(unwritten(p, n + 1) == n,
                    "realloc keeps what was written, and adds unwritten bytes", n, n);
            p[n] = 1;
            p = hak_realloc(p, 20 * n + 50);
            require(unwritten(p, 20 * n + 50) == n + 1, "realloc that moves keeps what was written",
                    n, n);
            if (round == 0)
                hak_free(p);
            else
                free_in_another_thread(p);
            require(unwritten(p + 16, 1) == 0, "freed memory counts as unwritten", n, 16);
            p = hak_calloc(1, n);
            require(unwritten(p, n) == n, "calloc's memory is written", n, 0);
            for (size_t at = 0; at < n; ++at) require(p[at] == 0, "calloc's memory is zero", n, at);
            hak_free(p);
            p = hak_aligned_alloc(512, n);
            require(n == 0 || unwritten(p, n) == 0, "aligned memory is unwritten", n, 0);
            hak_free(p);
        }
}

static size_t size;
static void decide(const volatile unsigned char* p) {
    if (*p != 0) sink = 1;
}
static void fresh(void) {
    decide(make(size) + size - 1);
}
static void grown(void) {
    unsigned char* p = make(size);
    memset(p, 1, size);
    decide((unsigned char*)hak_realloc(p, size + 1) + size);
}
static void freed(void) {
    unsigned char* p = make(size + 16);
    memset(p, 1, size + 16);
    hak_free(p);
    decide(p + 16);
}
static void freed_and_reused(void) {
    for (int i = 0; i < 100; ++i) {
        unsigned char* p = make(size);
        memset(p, 1, size);
        hak_free(p);
    }
    decide(make(size));
}

static const struct {
    const char* name;
    const char* report;
    void (*body)(void);
} kCases[] = {
    {"fresh", "use-of-uninitialized-value", fresh},
    {"grown", "use-of-uninitialized-value", grown},
    {"freed", "use-of-uninitialized-value", freed},
    {"freed_and_reused", "use-of-uninitialized-value", freed_and_reused},
};
static const struct {
    const char* name;
    void (*body)(void);
} kControls[] = {{"every_call", every_call}, {"what_is_written", what_is_written}};

#endif

/* A case runs at one size of each tier; its name ends with it. */
static const size_t kCaseSizes[] = {1, 13, 100, 5000, 40000, 300000, 3000000};

/* The case's name is that of the running test without its size. */
static void run_case(void) {
    for (size_t i = 0; i < sizeof kCases / sizeof kCases[0]; ++i) {
        const size_t length = strlen(kCases[i].name);
        if (strncmp(check_running, kCases[i].name, length) != 0 || check_running[length] != '_' ||
            strspn(check_running + length + 1, "0123456789") != strlen(check_running + length + 1))
            continue;
        size = strtoull(check_running + length + 1, NULL, 10);
        kCases[i].body();
    }
}

int main(int argc, char** argv) {
    enum {
        kCaseCount = sizeof kCases / sizeof kCases[0],
        kSizeCases = sizeof kCaseSizes / sizeof kCaseSizes[0],
        kControlCount = sizeof kControls / sizeof kControls[0]
    };
    static char names[kCaseCount * kSizeCases][64];
    static struct check_test tests[kCaseCount * kSizeCases + kControlCount];
    size_t count = 0;
    (void)argc;
    for (size_t i = 0; i < kCaseCount; ++i)
        for (size_t k = 0; k < kSizeCases; ++k) {
            /* nothing can be taken from it */
            if (kCaseSizes[k] == 1 && strcmp(kCases[i].name, "shrunk") == 0) continue;
            snprintf(names[count], sizeof names[count], "%s_%zu", kCases[i].name, kCaseSizes[k]);
            tests[count].name = names[count];
            tests[count].body = run_case;
            tests[count++].more = kCases[i].report;
        }
    for (size_t i = 0; i < kControlCount; ++i) {
        tests[count].name = kControls[i].name;
        tests[count].body = kControls[i].body;
        tests[count++].more = "";
    }
    return check_main(argv, check_chain(tests, count), CHECK_DIES, 100, NULL);
}
