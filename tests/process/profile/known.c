/* known.c: allocates what its functions' names say, half of it to stay. For run.py: no test by
 * itself. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEEP(p) __asm__ volatile("" : : "r"(p) : "memory")

static void* volatile sink;

__attribute__((noinline)) static void eight_mib_of_48(void) {
    for (unsigned i = 0; i < (8u << 20) / 48; ++i) {
        void* p = malloc(48);
        KEEP(p);
        if (i % 2 == 0) free(p);
    }
}
__attribute__((noinline)) static void eight_mib_of_1000(void) {
    for (unsigned i = 0; i < (8u << 20) / 1000; ++i) {
        void* p = calloc(10, 100);
        KEEP(p);
        if (i % 2 == 0) free(p);
    }
}
__attribute__((noinline)) static void sixteen_mib_of_100000(void) {
    for (unsigned i = 0; i < (16u << 20) / 100000; ++i) {
        void* p = malloc(100000);
        KEEP(p);
        if (i % 2 == 0) free(p);
    }
}

int main(int count, char** arguments) {
    if (count == 2 && strcmp(arguments[1], "fork") == 0) {
        const pid_t child = fork();
        if (child != 0) {
            int status;
            waitpid(child, &status, 0);
            return status;
        }
    }
    eight_mib_of_48();
    eight_mib_of_1000();
    sixteen_mib_of_100000();
    sink = malloc(1);
    return 0;
}
