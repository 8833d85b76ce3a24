// served.c: a C program that proves which allocator serves it: hak_malloc_usable_size stops the
// process for a block of any other.
#include <hakmem/hakmem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int wrong;

static void expect(const char* what, int holds) {
    if (!holds) {
        printf("wrong: %s\n", what);
        wrong = 1;
    }
}

int main(void) {
    char* const a = malloc(1000);
    char* const b = calloc(10, 100);
    char* const c = strdup("allocated inside libc");
    void* d = NULL;
    expect("malloc", a != NULL && hak_malloc_usable_size(a) >= 1000);
    expect("calloc", b != NULL && hak_malloc_usable_size(b) >= 1000 && b[999] == 0);
    expect("strdup", c != NULL && hak_malloc_usable_size(c) >= 22);
    expect("posix_memalign",
           posix_memalign(&d, 4096, 100) == 0 && hak_malloc_usable_size(d) >= 100);
    char* const e = realloc(a, 100000);
    expect("realloc", e != NULL && hak_malloc_usable_size(e) >= 100000);
    struct hak_stats stats;
    expect("hak_stats", hak_stats(&stats, sizeof stats) == 0 && stats.slabs > 0);
    expect("hak_version", strcmp(hak_version(), HAKMEM_EXPECTED_VERSION) == 0);
    free(e);
    free(b);
    free(c);
    free(d);
    if (!wrong) puts("served by hakmem");
    return wrong;
}
