// Single-steps allocator entry points and records which instructions of one library they execute.
//
//   LD_PRELOAD=library LD_BIND_NOW=1 fast_path_step OUTPUT
//
// The processor's trap flag raises SIGTRAP after each instruction, so the listing of a path is an
// observation: nothing guesses which branch is the hit, and tail jumps are followed by
// construction. No ptrace is needed. The library is the object that `malloc` resolves to. Every
// line of OUTPUT is one call:
//
//   <entry> <size> <instructions outside the library> <address in the library, hexadecimal>...
//
// The first line is `library <path>`. ci/fast_path reads the file.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

enum {
    kRounds = 6,
    kMaxBatch = 8,
    kRecordWords = 1 << 23,
    kMaxCalls = 1 << 14,
    kRemoteBytes = 6 << 20,
    kMaxRemote = kRemoteBytes / 16,
};

typedef uintptr_t (*Function)(uintptr_t, uintptr_t, uintptr_t);

static uintptr_t lib_base, lib_low, lib_high;

// The trap handler must not allocate, so everything it writes is static.
static uint32_t record[kRecordWords];
static size_t record_used;
static uint64_t outside;
static int overflowed;

struct Call {
    const char* entry;
    size_t size;
    size_t begin, end;
    uint64_t outside;
};
static struct Call calls[kMaxCalls];
static size_t call_count;

static void die(const char* what) {
    fprintf(stderr, "fast_path_step: %s\n", what);
    exit(2);
}

static void on_trap(int signal, siginfo_t* info, void* context) {
    (void)signal;
    (void)info;
    const uintptr_t at = (uintptr_t)((ucontext_t*)context)->uc_mcontext.gregs[REG_RIP];
    if (at < lib_low || at >= lib_high) {
        outside++;
    } else if (record_used < kRecordWords) {
        record[record_used++] = (uint32_t)(at - lib_base);
    } else {
        overflowed = 1;
    }
}

static uintptr_t stepped(const char* entry, size_t size, Function function, uintptr_t a,
                         uintptr_t b, uintptr_t c) {
    if (call_count == kMaxCalls) die("too many calls to record");
    struct Call* call = &calls[call_count++];
    call->entry = entry;
    call->size = size;
    call->begin = record_used;
    outside = 0;
    // The file is compiled with -mno-red-zone: pushfq would overwrite it.
    __asm__ volatile("pushfq\n\torq $0x100,(%%rsp)\n\tpopfq" ::: "memory", "cc");
    const uintptr_t result = function(a, b, c);
    __asm__ volatile("pushfq\n\tandq $~0x100,(%%rsp)\n\tpopfq" ::: "memory", "cc");
    call->end = record_used;
    call->outside = outside;
    return result;
}

static Function find(const char* name) {
    Function function;
    *(void**)&function = dlsym(RTLD_DEFAULT, name);
    if (!function) {
        fprintf(stderr, "fast_path_step: the library does not export %s\n", name);
        exit(2);
    }
    return function;
}

static int find_text(struct dl_phdr_info* info, size_t size, void* wanted) {
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const ElfW(Phdr)* segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X)) continue;
        const uintptr_t low = info->dlpi_addr + segment->p_vaddr;
        if ((uintptr_t)wanted < low || (uintptr_t)wanted >= low + segment->p_memsz) continue;
        lib_base = info->dlpi_addr;
        lib_low = low;
        lib_high = low + segment->p_memsz;
        return 1;
    }
    return 0;
}

static Function f_malloc, f_free, f_calloc, f_realloc, f_aligned_alloc, f_new, f_sized_delete;

static void touch(uintptr_t block, size_t size) {
    memset((void*)block, 0x5a, size);
}

// One entry point in steady state: batches of blocks are taken and returned, so that the thread's
// own list stays warm and never long. Only `entry` is stepped.
static void local_case(const char* entry, size_t size) {
    uintptr_t block[kMaxBatch];
    const int batch = size <= 1024 ? kMaxBatch : 2;
    for (int round = -4; round < kRounds; ++round) {
        for (int i = 0; i < batch; ++i) {
            const int step = round >= 0;
            if (step && !strcmp(entry, "malloc")) {
                block[i] = stepped(entry, size, f_malloc, size, 0, 0);
            } else if (step && !strcmp(entry, "new")) {
                block[i] = stepped(entry, size, f_new, size, 0, 0);
            } else if (!strcmp(entry, "calloc")) {
                block[i] = step ? stepped(entry, size, f_calloc, 1, size, 0) : f_calloc(1, size, 0);
            } else if (!strcmp(entry, "aligned_alloc")) {
                const size_t rounded = (size + 63) & ~(size_t)63;
                block[i] = step ? stepped(entry, size, f_aligned_alloc, 64, rounded, 0)
                                : f_aligned_alloc(64, rounded, 0);
                if (block[i] % 64) die("aligned_alloc returned a block that is not aligned");
            } else {
                block[i] = f_malloc(size, 0, 0);
            }
            if (!block[i]) die("an allocation failed");
            touch(block[i], size);
        }
        if (!strcmp(entry, "realloc") && round >= 0) {
            for (int i = 0; i < batch; ++i) {
                if (stepped(entry, size, f_realloc, block[i], size, 0) != block[i])
                    die("realloc to the same size moved a block");
            }
        }
        for (int i = 0; i < batch; ++i) {
            const int at = round % 2 ? batch - 1 - i : i;
            if (round >= 0 && !strcmp(entry, "free")) {
                stepped(entry, size, f_free, block[at], 0, 0);
            } else if (round >= 0 && !strcmp(entry, "sized_delete")) {
                stepped(entry, size, f_sized_delete, block[at], size, 0);
            } else {
                f_free(block[at], 0, 0);
            }
        }
    }
}

// Blocks that were never handed out before: as many as it takes to leave the thread's list of
// returned blocks behind.
static void fresh_case(size_t size) {
    static uintptr_t kept[4096];
    for (size_t i = 0; i < 4096; ++i) {
        const int step = i >= 4096 - 8 * kRounds;
        kept[i] = step ? stepped("malloc_fresh", size, f_malloc, size, 0, 0) : f_malloc(size, 0, 0);
        if (!kept[i]) die("an allocation failed");
    }
    for (size_t i = 0; i < 4096; ++i) f_free(kept[i], 0, 0);
}

static uintptr_t remote[kMaxRemote];
static size_t remote_count, remote_size;

static int by_address(const void* left, const void* right) {
    const uintptr_t a = *(const uintptr_t*)left, b = *(const uintptr_t*)right;
    return a < b ? -1 : a > b;
}

// Runs in a thread of its own, which owns none of the blocks. The first ones stay in its list,
// unless they are smaller than a cache line. Once that is full, the first block of a 64 KiB unit
// notifies the owner (where a slab is one unit), the following ones only post.
static void* remote_worker(void* unused) {
    (void)unused;
    const uintptr_t own = f_malloc(remote_size, 0, 0);
    f_free(own, 0, 0);
    int units = 0, in_unit = 0;
    uintptr_t unit = 0;
    for (size_t i = 0; i < remote_count; ++i) {
        if (remote[i] >> 16 != unit) {
            unit = remote[i] >> 16;
            in_unit = 0;
            units++;
        }
        in_unit++;
        const int warm = units > 4;
        if (units == 1 && in_unit > 1 && in_unit <= 5 && remote_size >= 64) {
            stepped("free_foreign", remote_size, f_free, remote[i], 0, 0);
        } else if (warm && in_unit == 1 && remote_size <= 1024 && units <= 4 + kRounds) {
            stepped("free_notify", remote_size, f_free, remote[i], 0, 0);
        } else if (warm && in_unit > 1 && in_unit <= 5 && units <= 4 + kRounds) {
            stepped("free_remote", remote_size, f_free, remote[i], 0, 0);
        } else {
            f_free(remote[i], 0, 0);
        }
    }
    return NULL;
}

static void remote_case(size_t size) {
    remote_size = size;
    remote_count = kRemoteBytes / (size < 16 ? 16 : size);
    for (size_t i = 0; i < remote_count; ++i) {
        remote[i] = f_malloc(size, 0, 0);
        if (!remote[i]) die("an allocation failed");
    }
    qsort(remote, remote_count, sizeof remote[0], by_address);
    pthread_t thread;
    if (pthread_create(&thread, NULL, remote_worker, NULL)) die("no thread");
    pthread_join(thread, NULL);
}

int main(int count, char** arguments) {
    if (count != 2) die("usage: fast_path_step OUTPUT");
    f_malloc = find("malloc");
    f_free = find("free");
    f_calloc = find("calloc");
    f_realloc = find("realloc");
    f_aligned_alloc = find("aligned_alloc");
    f_new = find("_Znwm");
    f_sized_delete = find("_ZdlPvm");
    void* malloc_address = *(void**)&f_malloc;
    if (!dl_iterate_phdr(find_text, malloc_address)) die("malloc lies in no loaded object");
    Dl_info object;
    if (!dladdr(malloc_address, &object)) die("malloc lies in no known object");

    struct sigaction action = {0};
    action.sa_sigaction = on_trap;
    action.sa_flags = SA_SIGINFO;
    if (sigaction(SIGTRAP, &action, NULL)) die("no handler for SIGTRAP");

    static const size_t sizes[] = {16, 100, 1024, 8192};
    static const char* const local[] = {"malloc", "calloc", "realloc",     "aligned_alloc",
                                        "new",    "free",   "sized_delete"};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; ++s) {
        for (size_t e = 0; e < sizeof local / sizeof local[0]; ++e) local_case(local[e], sizes[s]);
        if (sizes[s] <= 1024) fresh_case(sizes[s]);
    }
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; ++s) remote_case(sizes[s]);
    if (overflowed) die("the paths are longer than the record");
    if (!record_used)
        die("no instruction was stepped: the trap flag has no effect on this machine");

    FILE* output = fopen(arguments[1], "w");
    if (!output) die("cannot write the output");
    fprintf(output, "library %s\n", object.dli_fname);
    for (size_t i = 0; i < call_count; ++i) {
        const struct Call* call = &calls[i];
        fprintf(output, "%s %zu %llu", call->entry, call->size, (unsigned long long)call->outside);
        for (size_t at = call->begin; at < call->end; ++at) fprintf(output, " %x", record[at]);
        fputc('\n', output);
    }
    return fclose(output) ? 2 : 0;
}
