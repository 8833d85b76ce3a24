/* A library whose constructor runs before that of the allocator, where the loader's order is the
 * usual one: it is the program's own dependency, while a preloaded library is initialised last.
 * It allocates, and it registers fork handlers that wait for a lock. */
#include <pthread.h>
#include <stdlib.h>

pthread_mutex_t elder_lock = PTHREAD_MUTEX_INITIALIZER;
void* elder_block;

static void take(void) {
    pthread_mutex_lock(&elder_lock);
}
static void give(void) {
    pthread_mutex_unlock(&elder_lock);
}

/* Priorities run in their order: the handlers are registered before this library's first
 * allocation. */
__attribute__((constructor(102))) static void register_handlers(void) {
    pthread_atfork(take, give, give);
}
__attribute__((constructor(103))) static void allocate(void) {
    elder_block = malloc(40);
}
