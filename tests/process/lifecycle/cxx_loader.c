/* cxx_loader.c: a C program, linked with nothing of C++, that loads a plug-in in C++. Started by a
 * runner, which judges it: no test by itself. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    free(malloc(100));
    void* const plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    int (*run)(void) = NULL;
    if (plugin != NULL) *(void**)&run = dlsym(plugin, "plugin_run");
    if (run == NULL) {
        fprintf(stderr, "cxx_loader: %s\n", dlerror());
        return 2;
    }
    const int step = run();
    if (step != 0) fprintf(stderr, "cxx_loader: step %d\n", step);
    return step == 0 ? 0 : 1;
}
