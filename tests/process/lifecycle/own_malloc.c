/* A program with a malloc of its own: it defines the names that glibc's manual asks for ("Replacing
 * malloc"), which reallocarray is not one of. Whoever provides that must call the program's
 * realloc, or blocks of two allocators meet.
 *
 *   own_malloc --only grows | begins | overflows
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/check.h"

static _Alignas(4096) char memory[1 << 20];
static size_t used;
static int reallocations;

static int is_own(const void* p) {
    return (const char*)p >= memory && (const char*)p < memory + sizeof memory;
}

static void fail(const char* what) {
    dprintf(STDERR_FILENO, "FAIL own_malloc: %s\n", what);
    _exit(1);
}

/* The size stands before the block. Nothing is used twice. */
static void* take(size_t alignment, size_t size) {
    const size_t at = (used + sizeof size + alignment - 1) & ~(alignment - 1);
    if (at > sizeof memory || size > sizeof memory - at) {
        errno = ENOMEM;
        return NULL;
    }
    memcpy(memory + at - sizeof size, &size, sizeof size);
    used = at + size;
    return memory + at;
}
static size_t size_of(const void* p) {
    size_t size;
    memcpy(&size, (const char*)p - sizeof size, sizeof size);
    return size;
}

void* malloc(size_t size) {
    return take(16, size);
}
void free(void* p) {
    if (p != NULL && !is_own(p)) fail("the program's free is given another's block");
}
void* calloc(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
    return take(16, bytes); /* zero, as nothing is used twice */
}
void* realloc(void* p, size_t size) {
    reallocations += 1;
    if (p != NULL && !is_own(p)) fail("the program's realloc is given another's block");
    void* const fresh = take(16, size);
    if (fresh != NULL && p != NULL) memcpy(fresh, p, size_of(p) < size ? size_of(p) : size);
    return fresh;
}
void* memalign(size_t alignment, size_t size) {
    return take(alignment, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
    return take(alignment, size);
}
int posix_memalign(void** out, size_t alignment, size_t size) {
    *out = take(alignment, size);
    return *out != NULL ? 0 : ENOMEM;
}
void* valloc(size_t size) {
    return take(4096, size);
}
void* pvalloc(size_t size) {
    return take(4096, (size + 4095) & ~(size_t)4095);
}
size_t malloc_usable_size(void* p) {
    return p != NULL ? size_of(p) : 0;
}

static void grows(void) {
    char* p = malloc(10);
    memcpy(p, "ten bytes", 10);
    p = reallocarray(p, 100, 10);
    if (!is_own(p) || memcmp(p, "ten bytes", 10) != 0)
        fail("reallocarray of the program's block is not its realloc");
    free(p);
}
static void begins(void) {
    void* const p = reallocarray(NULL, 10, 10);
    if (!is_own(p)) fail("reallocarray of null is not the program's realloc");
    free(p);
}
static void overflows(void) {
    static volatile size_t too_many = SIZE_MAX / 4 + 2;
    const int before = reallocations;
    errno = 0;
    if (reallocarray(NULL, too_many, 4) != NULL || errno != ENOMEM)
        fail("reallocarray of an impossible size");
    if (reallocations != before)
        fail("the program's realloc is called with a product that wraps around");
}

int main(int argc, char** argv) {
    static struct check_test tests[] = {CHECK_TEST(grows), CHECK_TEST(begins),
                                        CHECK_TEST(overflows)};
    (void)argc;
    return check_main(argv, check_chain(tests, 3), CHECK_ALONE, 60, NULL);
}
