/* What memcheck must see in this very setting, or its silence over the suites would mean
 * nothing. Each case is an error of the program.
 *
 *   canary clean | undefined_jump | undefined_to_the_system | behind_the_stack | in_the_window */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile int sink;

int main(int argc, char** argv) {
    const char* const which = argc == 2 ? argv[1] : "";
    unsigned char* const block = malloc(100);
    volatile unsigned char on_stack[64];
    if (block == NULL) return 3;
    memset(block, 1, 100);
    if (strcmp(which, "clean") == 0) {
        on_stack[0] = 1;
        if (on_stack[0] == block[99]) sink = 1;
    } else if (strcmp(which, "undefined_jump") == 0) {
        if (on_stack[7] == 42) sink = 1;
    } else if (strcmp(which, "undefined_to_the_system") == 0) {
        const int file = open("/dev/null", O_WRONLY);
        if (write(file, (const void*)(uintptr_t)on_stack, 64) != 64) return 3;
    } else if (strcmp(which, "behind_the_stack") == 0) {
        sink = *(volatile unsigned char*)((uintptr_t)on_stack - 4096);
    } else if (strcmp(which, "in_the_window") == 0) {
        /* reserved, and without access: memcheck reports before the system stops it */
        sink = *(volatile unsigned char*)((uintptr_t)block + ((size_t)1 << 30));
    } else {
        fprintf(stderr, "usage: %s CASE\n", argv[0]);
        return 2;
    }
    free(block);
    return 0;
}
