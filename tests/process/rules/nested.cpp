// The allocator calls no function of libc that allocates: this program's malloc is the allocator
// under test, and watches for calls of itself from inside itself. Two functions of libc may:
// pthread_setspecific, for keys beyond the 32nd, and the registration of fork handlers; for those
// the allocator is prepared, and they are let through. One case per run: a case called dies_...
// breaks the rule on purpose.
//
//   nested list | nested CASE
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/wait.h>
#include <thread>
#include <threads.h>
#include <unistd.h>
#include <vector>

#include "hakmem/hakmem.h"
#include "props/kit/audit_real.hpp"
#include "tests/check.hpp"

namespace {

// calls of the allocator that the thread is in; of them, those in a function that may allocate
thread_local int depth = 0, prepared = 0;
thread_local const char* outer = "";
unsigned long let_through = 0;

class Call {
  public:
    explicit Call(const char* name) : outer_(outer) {
        if (depth != prepared) {
            // stdio would allocate once more.
            char text[128];
            const int n = snprintf(text, sizeof text, "nested: %s inside %s\n", name, outer);
            if (write(STDERR_FILENO, text, static_cast<size_t>(n)) < 0) _exit(3);
            abort();
        }
        if (depth != 0) __atomic_fetch_add(&let_through, 1, __ATOMIC_RELAXED);
        ++depth;
        outer = name;
    }
    ~Call() {
        --depth;
        outer = outer_;
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

  private:
    const char* outer_;
};

// Inside a function that may allocate.
class MayAllocate {
  public:
    MayAllocate() : before_(prepared) { prepared = depth; }
    ~MayAllocate() { prepared = before_; }
    MayAllocate(const MayAllocate&) = delete;
    MayAllocate& operator=(const MayAllocate&) = delete;

  private:
    int before_;
};

}  // namespace

extern "C" {

void* malloc(size_t n) {
    return Call("malloc"), hak_malloc(n);
}
void free(void* p) {
    Call("free"), hak_free(p);
}
void* calloc(size_t count, size_t n) {
    return Call("calloc"), hak_calloc(count, n);
}
void* realloc(void* p, size_t n) {
    return Call("realloc"), hak_realloc(p, n);
}
int posix_memalign(void** out, size_t alignment, size_t n) {
    return Call("posix_memalign"), hak_posix_memalign(out, alignment, n);
}
void* aligned_alloc(size_t alignment, size_t n) {
    return Call("aligned_alloc"), hak_aligned_alloc(alignment, n);
}
void* memalign(size_t alignment, size_t n) {
    return Call("memalign"), hak_memalign(alignment, n);
}
size_t malloc_usable_size(void* p) {
    return Call("malloc_usable_size"), hak_malloc_usable_size(p);
}
int malloc_trim(size_t keep) {
    return Call("malloc_trim"), hak_trim(keep);
}

int pthread_setspecific(pthread_key_t key, const void* value) {
    const MayAllocate may;
    return tss_set(key, const_cast<void*>(value)) == thrd_success ? 0 : ENOMEM;
}
int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void),
                      void* library) {
    const MayAllocate may;
    using Register = int (*)(void (*)(void), void (*)(void), void (*)(void), void*);
    return reinterpret_cast<Register>(dlsym(RTLD_NEXT, "__register_atfork"))(prepare, parent, child,
                                                                             library);
}

}  // extern "C"

namespace {

void use_everything() {
    std::vector<void*> blocks;
    for (const size_t size : {size_t{1}, size_t{100}, size_t{3000}, size_t{30'000}, size_t{70'000},
                              size_t{900'000}, size_t{3'000'000}})
        for (int i = 0; i < 30; ++i)
            blocks.push_back(i % 3 == 0   ? calloc(1, size)
                             : i % 3 == 1 ? malloc(size)
                                          : memalign(4096, size));
    for (size_t i = 0; i < blocks.size(); i += 3) blocks[i] = realloc(blocks[i], 50'000);
    std::thread([&] {
        for (size_t i = 0; i < blocks.size(); i += 2) free(blocks[i]);
    }).join();
    for (size_t i = 1; i < blocks.size(); i += 2) free(blocks[i]);
    malloc_trim(0);
    struct hak_stats s;
    hak_stats(&s, sizeof s);
}

void is_silent() {
    for (int round = 0; round < 3; ++round) {
        use_everything();
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i) threads.emplace_back(use_everything);
        const pid_t child = fork();
        if (child == 0) {
            use_everything();
            _exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        for (std::thread& t : threads) t.join();
        if (status != 0)
            fprintf(stderr, "a child ended with status %#x\n", static_cast<unsigned>(status));
    }
}

// The key of the allocator is the 101st, so that arming a thread's exit hook makes libc allocate.
void take_keys(int argc, char** argv, char**) {
    tss_t key;
    const bool wants = argc > 1 && strcmp(argv[argc - 1], "lets_through_what_is_prepared") == 0;
    for (int i = 0; i < 100 && wants; ++i) tss_create(&key, nullptr);
}
[[gnu::section(".preinit_array"), gnu::used]] void (*take_keys_entry)(int, char**,
                                                                      char**) = take_keys;
void lets_through_what_is_prepared() {
    is_silent();
    if (let_through == 0)
        fprintf(stderr, "pthread_setspecific never allocated: the watch sees nothing\n");
}

void duplicate_a_name(const char* call) {
    free(strdup(call));
}
void dies_in_a_system_call() {
    hak_in_system_call = duplicate_a_name;
    free(malloc(3'000'000));
}
void dies_in_a_trim() {
    use_everything();
    void* const p = malloc(3'000'000);
    free(p);
    hak_in_system_call = duplicate_a_name;
    malloc_trim(0);
}

check_test cases[] = {CHECK_TEST(is_silent), CHECK_TEST(lets_through_what_is_prepared),
                      CHECK_TEST(dies_in_a_system_call), CHECK_TEST(dies_in_a_trim)};

}  // namespace

int main(int, char** argv) {
    return check_main(argv, check_chain(cases, std::size(cases)), CHECK_DIES, 60, nullptr);
}
