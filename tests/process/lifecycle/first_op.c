/* One allocator call as the very first of its process or of its thread.
 * Started by a runner, which judges it: no test by itself.
 *
 *   first_op PLACE FUNCTION SIZE          PLACE: preinit constructor main atexit quick_exit
 *                                         destructor signal child worker_child storm
 *   first_op each PLACE FUNCTION SIZE...  the same for every size, each in a child of its own that
 *                                         leaves this process before anything was allocated
 *   first_op threads FUNCTION             every size in every place of a thread's life, on fresh
 *                                         and on used threads
 *
 * It is C without any library beside libc, so that nothing allocates before it. */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern void* _Znwm(size_t n) __attribute__((weak));
extern void* _ZnamSt11align_val_t(size_t n, size_t align) __attribute__((weak));
extern void* _ZnamRKSt9nothrow_t(size_t n, const void* nothrow) __attribute__((weak));
extern void _ZdlPvm(void* p, size_t n) __attribute__((weak));
extern void free_sized(void* p, size_t n) __attribute__((weak));
extern void _ZdlPv(void* p) __attribute__((weak));
extern void _ZdaPv(void* p) __attribute__((weak));
extern void _ZdaPvSt11align_val_t(void* p, size_t align) __attribute__((weak));
extern int __cxa_thread_atexit_impl(void (*f)(void*), void* argument, void* dso);
extern void* __dso_handle;

static const char* command_of_run = "";

static void fail(const char* what, const char* function, size_t n) {
    dprintf(STDERR_FILENO, "FAIL %s: %s(%zu): %s\n", command_of_run, function, n, what);
    _exit(1);
}

static const char* const kFunctions[] = {"malloc",
                                         "calloc",
                                         "realloc",
                                         "reallocarray",
                                         "posix_memalign",
                                         "aligned_alloc",
                                         "memalign",
                                         "valloc",
                                         "pvalloc",
                                         "usable_null",
                                         "free_null",
                                         "new",
                                         "new_array_aligned",
                                         "new_nothrow",
                                         "delete_null",
                                         "free_sized_null",
                                         "trim",
                                         "mallinfo2",
                                         "impossible",
                                         "free_other",
                                         "realloc_other",
                                         "usable_other"};
enum { kFunctionCount = sizeof kFunctions / sizeof kFunctions[0] };
static const size_t kSizes[] = {0, 1, 100, 5000, 40000, 300000, 3000000};
enum { kSizeCount = sizeof kSizes / sizeof kSizes[0] };

static void* opaque(void* p) {
    __asm__ volatile("" : "+r"(p) : : "memory");
    return p;
}

/* `other` is a block of n bytes that another thread allocated, or null where there can be none. */
static void* call(const char* function, size_t n, void* other) {
    void* p = NULL;
    errno = 0;
    if (strcmp(function, "malloc") == 0)
        p = malloc(n);
    else if (strcmp(function, "calloc") == 0)
        p = calloc(1, n);
    else if (strcmp(function, "realloc") == 0)
        p = realloc(NULL, n);
    else if (strcmp(function, "reallocarray") == 0)
        p = reallocarray(NULL, 1, n);
    else if (strcmp(function, "posix_memalign") == 0) {
        if (posix_memalign(&p, 64, n) != 0) fail("failed", function, n);
    } else if (strcmp(function, "aligned_alloc") == 0)
        p = aligned_alloc(4096, n);
    else if (strcmp(function, "memalign") == 0)
        p = memalign(1 << 17, n);
    else if (strcmp(function, "valloc") == 0)
        p = valloc(n);
    else if (strcmp(function, "pvalloc") == 0)
        p = pvalloc(n);
    else if (strcmp(function, "new") == 0)
        p = _Znwm != NULL ? _Znwm(n) : malloc(n);
    else if (strcmp(function, "new_array_aligned") == 0)
        p = _ZnamSt11align_val_t != NULL ? _ZnamSt11align_val_t(n, 256) : malloc(n);
    else if (strcmp(function, "new_nothrow") == 0)
        p = _ZnamRKSt9nothrow_t != NULL ? _ZnamRKSt9nothrow_t(n, "") : malloc(n);
    else if (strcmp(function, "delete_null") == 0) {
        if (_ZdlPvm != NULL) _ZdlPvm(opaque(NULL), n);
        p = malloc(n);
    } else if (strcmp(function, "free_sized_null") == 0) {
        if (free_sized != NULL) free_sized(opaque(NULL), n);
        p = malloc(n);
    } else if (strcmp(function, "trim") == 0) {
        malloc_trim(n);
        p = malloc(n);
    } else if (strcmp(function, "mallinfo2") == 0) {
        const struct mallinfo2 info = mallinfo2();
        if (info.uordblks > ((size_t)1 << 40))
            fail("mallinfo2 says that too much is in use", function, n);
        p = malloc(n);
    } else if (strcmp(function, "impossible") == 0) {
        if (malloc(SIZE_MAX / 2 - n) != NULL || errno != ENOMEM)
            fail("of an impossible size is not null and ENOMEM", function, n);
        errno = 0;
        p = malloc(n);
    } else if (strcmp(function, "usable_null") == 0) {
        if (malloc_usable_size(opaque(NULL)) != 0) fail("is not 0", function, n);
        p = malloc(n);
    } else if (strcmp(function, "free_null") == 0) {
        free(opaque(NULL));
        p = malloc(n);
    } else if (strcmp(function, "free_other") == 0) {
        free(opaque(other));
        p = malloc(n);
    } else if (strcmp(function, "realloc_other") == 0)
        p = realloc(other, 2 * n + 1);
    else if (strcmp(function, "usable_other") == 0) {
        if (other != NULL && malloc_usable_size(other) < n) fail("is too small", function, n);
        free(opaque(other));
        p = malloc(n);
    } else {
        fail("is not a function of this program", function, n);
    }
    if (p == NULL) fail("returned null", function, n);
    if (((uintptr_t)p & 15) != 0) fail("is not aligned", function, n);
    if (errno != 0) fail("set errno", function, n);
    if (malloc_usable_size(p) < n) fail("has a usable size below its request", function, n);
    if (strcmp(function, "calloc") == 0)
        for (size_t i = 0; i < n; ++i)
            if (((unsigned char*)p)[i] != 0) fail("is not zero", function, n);
    memset(p, 0x6b, n);
    return p;
}

/* What call() returned goes back the way that belongs to it. */
static void give_back(const char* function, void* p) {
    if (strcmp(function, "new") == 0 && _ZdlPv != NULL)
        _ZdlPv(p);
    else if (strcmp(function, "new_nothrow") == 0 && _ZdaPv != NULL)
        _ZdaPv(p);
    else if (strcmp(function, "new_array_aligned") == 0 && _ZdaPvSt11align_val_t != NULL)
        _ZdaPvSt11align_val_t(p, 256);
    else
        free(p);
}

/* After the first call everything else must work as well. */
static void use(const char* function, size_t n, void* other) {
    void* first = call(function, n, other);
    unsigned char* blocks[40];
    for (int i = 0; i < 40; ++i) {
        const size_t size = kSizes[i % kSizeCount] / (i < 20 ? 1 : 3) + 1;
        blocks[i] = i % 3 == 0   ? calloc(1, size)
                    : i % 3 == 1 ? malloc(size)
                                 : aligned_alloc(128, size);
        if (blocks[i] == NULL) fail("a later call returned null", function, n);
        blocks[i][0] = blocks[i][size - 1] = (unsigned char)i;
    }
    for (int i = 0; i < 40; ++i) {
        if (blocks[i][0] != i) fail("a later block changed", function, n);
        if (i % 4 == 0) blocks[i] = realloc(blocks[i], 2000);
        if (blocks[i] == NULL || blocks[i][0] != i)
            fail("a later realloc lost its contents", function, n);
        free(blocks[i]);
    }
    for (size_t i = 0; i < n && strcmp(function, "realloc_other") != 0; ++i)
        if (((unsigned char*)first)[i] != 0x6b) fail("the first block changed", function, n);
    give_back(function, first);
}

/* ---- places in the life of a process ---- */

static const char* place = "";
static const char* function_of_run = "malloc";
static size_t size_of_run;
static int reached;

static void use_at(const char* here) {
    if (strcmp(place, here) != 0) return;
    use(function_of_run, size_of_run, NULL);
    reached = 1;
}

static char command_text[256];
static void parse(int argc, char** argv) {
    if (argc != 4) return;
    place = argv[1];
    function_of_run = argv[2];
    size_of_run = strtoull(argv[3], NULL, 10);
    /* Written by hand: this runs before libc's own constructors. */
    size_t used = 0;
    for (int i = 0; i < argc; ++i) {
        for (const char* c = argv[i]; *c != 0 && used < sizeof command_text - 2; ++c)
            command_text[used++] = *c;
        command_text[used++] = ' ';
    }
    command_of_run = command_text;
}

/* A child goes on as a process does that has just started. The call is the system's own: fork()
 * would have the allocator prepare for it. */
static void parse_each(int argc, char** argv) {
    int failures = 0;
    for (int i = 4; i < argc; ++i) {
        const pid_t child = (pid_t)syscall(SYS_fork);
        if (child == 0) {
            char* one[] = {argv[0], argv[2], argv[3], argv[i]};
            alarm(60);
            parse(4, one);
            return;
        }
        int status = 0;
        if (child > 0 && waitpid(child, &status, 0) == child && status == 0) continue;
        dprintf(STDERR_FILENO, "FAIL %s %s %s %s: ended with status 0x%x\n", argv[0], argv[2],
                argv[3], argv[i], (unsigned)status);
        ++failures;
    }
    _exit(failures != 0);
}

static pthread_key_t early_key;
static void key_destructor(void* value);

static void preinit(int argc, char** argv, char** envp) {
    (void)envp;
    if (argc > 4 && strcmp(argv[1], "each") == 0)
        parse_each(argc, argv);
    else
        parse(argc, argv);
    /* Its destructor runs before that of any key that the allocator makes afterwards. */
    pthread_key_create(&early_key, key_destructor);
    use_at("preinit");
}
__attribute__((section(".preinit_array"), used)) static void (*preinit_entry)(int, char**,
                                                                              char**) = preinit;

__attribute__((constructor(101))) static void constructor(void) {
    use_at("constructor");
}

static void check_reached(void) {
    if (place[0] != 0 && !reached)
        fail("its place was never reached", function_of_run, size_of_run);
}
__attribute__((destructor(101))) static void destructor(void) {
    use_at("destructor");
    check_reached();
}
static void at_exit(void) {
    use_at("atexit");
}
static void at_quick(void) {
    use_at("quick_exit");
    check_reached();
}

static void in_handler(int number) {
    (void)number;
    use_at("signal");
}
static void await_child(pid_t child) {
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        fail("a child failed", function_of_run, size_of_run);
    reached = 1;
}
static void* fork_and_use(void* here) {
    if (strcmp(place, here) != 0) return NULL;
    const pid_t child = fork();
    if (child == 0) {
        use_at(here);
        _exit(0);
    }
    await_child(child);
    return NULL;
}

/* Four threads make the first calls at the same time, while signals interrupt every system call
 * and every wait. The handler only counts. */
static atomic_int signals_seen, storm_ready;
static void count_signal(int number) {
    (void)number;
    atomic_fetch_add(&signals_seen, 1);
}
static void* use_in_storm(void* unused) {
    atomic_fetch_add(&storm_ready, 1);
    while (atomic_load(&storm_ready) < 4) {
    }
    use(function_of_run, size_of_run, NULL);
    return unused;
}
static void storm(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = count_signal;
    sigaction(SIGUSR1, &action, NULL);
    const pid_t process = getpid(), sender = fork();
    if (sender == 0) {
        while (kill(process, SIGUSR1) == 0 && getppid() == process) {
        }
        _exit(0);
    }
    while (atomic_load(&signals_seen) == 0) {
    }
    pthread_t threads[4];
    for (int i = 0; i < 4; ++i)
        if (pthread_create(&threads[i], NULL, use_in_storm, NULL) != 0)
            fail("pthread_create failed", function_of_run, size_of_run);
    for (int i = 0; i < 4; ++i) pthread_join(threads[i], NULL);
    kill(sender, SIGKILL);
    while (waitpid(sender, NULL, 0) < 0 && errno == EINTR) {
    }
    reached = 1;
}

/* ---- places in the life of a thread ---- */

enum Stage { kBody, kThreadAtexit, kKey1, kKey2, kKey3, kKey4, kStageCount };
static pthread_key_t late_key;

struct Task {
    const char* function;
    size_t size;
    void* other;
    enum Stage stage;
    int used_before;
    int late;
    int round;
    int done;
};

static void run_task(struct Task* t) {
    use(t->function, t->size, t->other);
    t->done = 1;
}

/* libc calls it again as long as a value was set, up to PTHREAD_DESTRUCTOR_ITERATIONS (4) times. */
static void key_destructor(void* value) {
    struct Task* t = value;
    t->round += 1;
    if (t->round == (int)(t->stage - kKey1) + 1)
        run_task(t);
    else if (t->round < 4)
        pthread_setspecific(t->late ? late_key : early_key, t);
}
static void thread_atexit(void* value) {
    run_task(value);
}

static void* live(void* value) {
    struct Task* t = value;
    if (t->used_before) {
        void* p[200];
        for (int i = 0; i < 200; ++i) p[i] = malloc((size_t)i * 50);
        for (int i = 0; i < 200; ++i) free(p[i]);
    }
    if (t->stage == kBody)
        run_task(t);
    else if (t->stage == kThreadAtexit)
        __cxa_thread_atexit_impl(thread_atexit, t, &__dso_handle);
    else
        pthread_setspecific(t->late ? late_key : early_key, t);
    return NULL;
}

static void run_threads(const char* function) {
    free(malloc(1));
    if (pthread_key_create(&late_key, key_destructor) != 0)
        fail("pthread_key_create failed", function, 0);
    const int takes_other = strstr(function, "_other") != NULL;
    for (int stage = kBody; stage < kStageCount; ++stage)
        for (int variant = 0; variant < 4; ++variant)
            for (int s = 0; s < kSizeCount; ++s) {
                struct Task t = {function,    kSizes[s],    NULL, (enum Stage)stage,
                                 variant & 1, variant >> 1, 0,    0};
                if (takes_other) t.other = malloc(t.size);
                pthread_t thread;
                if (pthread_create(&thread, NULL, live, &t) != 0)
                    fail("pthread_create failed", function, t.size);
                pthread_join(thread, NULL);
                if (!t.done) fail("the stage of the thread was never reached", function, t.size);
            }
}

int main(int argc, char** argv) {
    alarm(60);
    if (argc == 3 && strcmp(argv[1], "threads") == 0) {
        command_of_run = argv[2];
        run_threads(argv[2]);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "list") == 0) {
        for (int i = 0; i < kFunctionCount; ++i) puts(kFunctions[i]);
        return 0;
    }
    if (place[0] == 0) {
        fprintf(stderr,
                "usage: %s PLACE FUNCTION SIZE | each PLACE FUNCTION SIZE... | threads FUNCTION | "
                "list\n",
                argv[0]);
        return 2;
    }
    use_at("main");
    if (strcmp(place, "signal") == 0) {
        signal(SIGUSR1, in_handler);
        raise(SIGUSR1);
    }
    fork_and_use("child");
    if (strcmp(place, "worker_child") == 0) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, fork_and_use, "worker_child") != 0)
            fail("pthread_create failed", function_of_run, size_of_run);
        pthread_join(thread, NULL);
    }
    if (strcmp(place, "storm") == 0) storm();
    atexit(at_exit);
    at_quick_exit(at_quick);
    if (strcmp(place, "quick_exit") == 0) quick_exit(0);
    return 0;
}
