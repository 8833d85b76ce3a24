/* A plug-in that allocates when it is loaded, when it is called and when it is unloaded. */
#include <stdlib.h>
#include <string.h>

static char* kept;

__attribute__((constructor)) static void load(void) {
    kept = calloc(1, 5000);
}
__attribute__((destructor)) static void unload(void) {
    free(kept);
}

/* Returns 1 when its blocks behaved, and keeps them to itself: with RTLD_DEEPBIND its malloc may
 * be libc's. */
int plugin_work(int rounds) {
    int good = kept != NULL;
    for (int i = 0; i < rounds; ++i) {
        const size_t n = (size_t)i * 97 % 70000 + 1;
        char* p = malloc(n);
        if (p == NULL) return 0;
        memset(p, i, n);
        p = realloc(p, 2 * n);
        good &= p != NULL && p[0] == (char)i && p[n - 1] == (char)i;
        free(p);
    }
    return good;
}
