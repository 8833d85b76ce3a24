// Hostile ends and odd moments: destructors of thread_locals and of keys, exhausted keys, many atexit handlers, a main thread that
// ends first, signal handlers, forks. One scenario per run, because each needs a process of its own.
#include <atomic>
#include <csignal>
#include <malloc.h>
#include <memory>
#include <semaphore.h>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <utility>
#include <vector>

#include "../support.hpp"

namespace {

uint32_t size_for(uint64_t i) {
    static constexpr uint32_t kSizes[] = {1, 16, 100, 1000, 5000, 40'000, 70'000, 300'000};
    return kSizes[i % 8];
}

void mixed_work(uint32_t owner, int count) {
    std::vector<stress::Block> blocks;
    for (int i = 0; i < count; ++i) blocks.push_back(stress::allocate(size_for(static_cast<uint64_t>(i)), owner, static_cast<uint64_t>(i)));
    for (stress::Block& b : blocks) stress::release(b, "mixed work");
}

// Memory may not grow with the number of rounds; the first rounds fill caches.
template <class F>
void settles(const char* what, int rounds, F&& round) {
    for (int i = 0; i < rounds / 4; ++i) round();
    const size_t before = stress::resident_bytes();
    for (int i = rounds / 4; i < rounds; ++i) round();
    const size_t after = stress::resident_bytes();
    if (!HAKMEM_STRESS_SANITIZED && after > before + (size_t{8} << 20))
        stress::fail("%s: resident memory grew from %zu to %zu KiB in %d rounds", what, before >> 10, after >> 10, rounds - rounds / 4);
}

// ---- thread_locals ----

std::atomic<uint64_t> destroyed{0};

struct Local {
    stress::Block kept = stress::allocate(size_for(destroyed.load(std::memory_order_relaxed)), 1, 1);
    ~Local() {
        stress::release(kept, "thread_local");
        stress::Block b = stress::allocate(size_for(destroyed.fetch_add(1, std::memory_order_relaxed)), 2, 2);
        stress::release(b, "thread_local");
    }
};
template <size_t N>
uintptr_t touch_one() {
    static thread_local Local local;
    return reinterpret_cast<uintptr_t>(&local);
}
template <size_t... N>
uintptr_t touch(std::index_sequence<N...>) {
    return (touch_one<N>() + ...);
}
template <size_t... Tens>
void touch_thousand(std::index_sequence<Tens...>) {
    // In groups of ten, because compilers limit the depth of a fold.
    const size_t sum = (touch(std::index_sequence<Tens * 10, Tens * 10 + 1, Tens * 10 + 2, Tens * 10 + 3, Tens * 10 + 4,
                                                  Tens * 10 + 5, Tens * 10 + 6, Tens * 10 + 7, Tens * 10 + 8,
                                                  Tens * 10 + 9>{}) +
                        ...);
    subject::opaque(sum);
}

void thousand_thread_locals() {
    settles("1000 thread_locals", 40, [] { std::thread([] { touch_thousand(std::make_index_sequence<100>{}); }).join(); });
    if (destroyed.load() != 40'000) stress::fail("%" PRIu64 " of 40000 destructors ran", destroyed.load());
}

// ---- keys ----

pthread_key_t round_key;
std::atomic<uint64_t> last_rounds{0};

struct Rounds {
    int round = 0;
    std::vector<stress::Block> blocks;
};
// Frees and allocates in every one of the four rounds of destructors, most in the last, after which no hook of the allocator runs.
void work_in_every_round(void* value) {
    auto* r = static_cast<Rounds*>(value);
    r->round += 1;
    const size_t keep = r->round < 4 ? 250 - static_cast<size_t>(r->round) * 15 : 0;
    while (r->blocks.size() > keep) {
        stress::release(r->blocks.back(), "key destructor");
        r->blocks.pop_back();
    }
    mixed_work(3, 60);
    if (r->round < 4) {
        pthread_setspecific(round_key, r);
        return;
    }
    delete r;
    last_rounds.fetch_add(1, std::memory_order_relaxed);
}

void key_rounds() {
    pthread_key_create(&round_key, work_in_every_round);
    settles("key destructors", 800, [] {
        std::thread([] {
            auto* r = new Rounds;
            for (uint64_t i = 0; i < 250; ++i) r->blocks.push_back(stress::allocate(size_for(i % 5), 4, i));
            pthread_setspecific(round_key, r);
        }).join();
    });
    if (last_rounds.load() != 800) stress::fail("%" PRIu64 " of 800 threads reached the last round", last_rounds.load());
}

// From the 33rd key on, pthread_setspecific itself allocates. Keys made before the allocator's own push that one beyond the 32nd;
// with all 1024 taken it gets none. This runs before any constructor.
pthread_key_t taken_keys[PTHREAD_KEYS_MAX];
int taken_count = 0;
void take_keys(int argc, char** argv, char**) {
    if (argc < 2) return;
    const int wanted = strcmp(argv[1], "many_keys") == 0 ? 100 : strcmp(argv[1], "all_keys") == 0 ? PTHREAD_KEYS_MAX : 0;
    while (taken_count < wanted && pthread_key_create(&taken_keys[taken_count], nullptr) == 0) ++taken_count;
}
[[gnu::section(".preinit_array"), gnu::used]] void (*take_keys_entry)(int, char**, char**) = take_keys;

void with_keys_taken() {
    for (int i = 0; i < taken_count; ++i) pthread_setspecific(taken_keys[i], &taken_keys[i]);
    settles("threads with their keys taken", 400, [] {
        std::thread([] {
            for (int i = 0; i < taken_count; ++i) pthread_setspecific(taken_keys[i], &taken_keys[i]);
            mixed_work(5, 100);
        }).join();
    });
}
void many_keys() {
    if (taken_count < 90) stress::fail("only %d keys were made", taken_count);
    with_keys_taken();
}
void all_keys() {
    if (taken_count < 1000) stress::fail("only %d keys were made", taken_count);
    // Without a key the allocator may learn of no thread's end; a bound on what is left behind is not asked for here.
    for (int i = 0; i < 100; ++i) std::thread([] { mixed_work(5, 100); }).join();
}

// ---- the end of the process ----

void exit_handler() { mixed_work(6, 3); }
void many_exit_handlers() {
    for (int i = 0; i < 8192; ++i)
        if (atexit(exit_handler) != 0) stress::fail("atexit failed");
}

void main_ends_first() {
    std::thread([] {
        usleep(50'000);
        for (int i = 0; i < 100; ++i) mixed_work(7, 100);
        exit(0);
    }).detach();
    mixed_work(8, 100);
    pthread_exit(nullptr);
}

void exit_while_threads_run() {
    for (int i = 0; i < 3; ++i)
        std::thread([] {
            for (;;) mixed_work(9, 50);
        }).detach();
    usleep(30'000);
    exit(0);
}

// ---- signals ----

std::atomic<uint64_t> handled{0};
void on_signal(int) {
    const int saved = errno;
    stress::Block b = stress::allocate(size_for(handled.fetch_add(1, std::memory_order_relaxed)), 10, 1);
    stress::release(b, "signal handler");
    errno = saved;
}

// The handler's thread only waits, so it is never inside the allocator; its first call ever is made by the handler.
void signals_in_a_waiting_thread() {
    struct sigaction action {};
    action.sa_handler = on_signal;
    sigaction(SIGUSR1, &action, nullptr);
    std::atomic<bool> stop{false};
    std::thread waiter([&] {
        while (!stop.load(std::memory_order_relaxed)) usleep(1'000'000);
    });
    const auto start = std::chrono::steady_clock::now();
    // Signals that meet a pending one are merged, so a busy machine needs more of them.
    for (uint64_t sent = 0; (sent < 3000 || handled.load() < 100) && stress::seconds_since(start) < 40; ++sent) {
        pthread_kill(waiter.native_handle(), SIGUSR1);
        mixed_work(11, 30);
    }
    stop.store(true, std::memory_order_relaxed);
    pthread_kill(waiter.native_handle(), SIGUSR1);
    waiter.join();
    if (handled.load() < 100) stress::fail("only %" PRIu64 " signals were handled", handled.load());
}

// ---- forks ----

void await(pid_t child, const char* what) {
    if (child < 0) stress::fail("%s: fork: %s", what, strerror(errno));
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0) stress::fail("%s: a child ended with status 0x%x", what, static_cast<unsigned>(status));
}

// A child allocates at once, frees what its parent allocated, starts threads, and leaves through exit, with its handlers.
[[noreturn]] void live_as_child(std::vector<stress::Block>& inherited, int depth) {
    alarm(20);
    mixed_work(12, 60);
    for (stress::Block& b : inherited) stress::release(b, "inherited");
    std::thread([] { mixed_work(13, 100); }).join();
    if (depth > 0) {
        std::vector<stress::Block> own;
        for (uint64_t i = 0; i < 50; ++i) own.push_back(stress::allocate(size_for(i), 14, i));
        const pid_t child = fork();
        if (child == 0) live_as_child(own, depth - 1);
        await(child, "fork in a child");
        for (stress::Block& b : own) stress::release(b, "after fork");
    }
    atexit(exit_handler);
    exit(0);
}

void fork_rounds(int rounds, int depth) {
    for (int i = 0; i < rounds; ++i) {
        std::vector<stress::Block> blocks;
        for (uint64_t k = 0; k < 64; ++k) blocks.push_back(stress::allocate(size_for(k), 15, k));
        const pid_t child = fork();
        if (child == 0) live_as_child(blocks, depth);
        await(child, "fork");
        for (stress::Block& b : blocks) stress::release(b, "parent after fork");
    }
}

// Other threads are at any point of any call when the fork happens. The vanished ones' heaps stay frozen in the child.
void with_busy_threads(void (*body)()) {
    std::atomic<bool> stop{false};
    std::vector<std::thread> busy;
    for (uint32_t i = 0; i < 2; ++i)
        busy.emplace_back([&stop, i] {
            while (!stop.load(std::memory_order_relaxed)) mixed_work(16 + i, 80);
        });
    body();
    stop.store(true, std::memory_order_relaxed);
    for (std::thread& t : busy) t.join();
}
void fork_from_main() { fork_rounds(100, 0); }
void fork_from_main_busy() { with_busy_threads([] { fork_rounds(100, 0); }); }
void fork_from_worker() { with_busy_threads([] { std::thread([] { fork_rounds(100, 0); }).join(); }); }
void fork_in_child() { with_busy_threads([] { std::thread([] { fork_rounds(20, 3); }).join(); }); }

void fork_and_work(const char* what) {
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);
        mixed_work(18, 60);
        _exit(0);
    }
    await(child, what);
}
struct ForkAtEnd {
    bool armed = false;
    ~ForkAtEnd() {
        if (armed) fork_and_work("fork in a thread_local destructor");
    }
};
thread_local ForkAtEnd fork_at_end;

void fork_at_the_edges() {
    for (int i = 0; i < 50; ++i) {
        std::thread([] { fork_and_work("fork as a thread's first act"); }).join();
        std::thread([] { fork_at_end.armed = true; }).join();
    }
}

void children_by_library_calls() {
    with_busy_threads([] {
        for (int i = 0; i < 20; ++i)
            if (system("exit 0") != 0) stress::fail("system failed");
        FILE* pipe = popen("echo text", "r");
        char text[16] = {};
        if (pipe == nullptr || fgets(text, sizeof text, pipe) == nullptr || strcmp(text, "text\n") != 0) stress::fail("popen failed");
        pclose(pipe);
    });
}

// Several threads fork at the same time while another one tends the heaps of threads that ended. What a child inherits must say that
// nobody tends: a child's own fork waits for whoever does.
void forks_at_once() {
    std::vector<std::thread> ended;
    for (uint32_t i = 0; i < 100; ++i) ended.emplace_back([i] { stress::allocate(100, 19, i); });
    for (std::thread& t : ended) t.join();
    std::atomic<bool> stop{false};
    std::thread tender([&] {
        while (!stop.load(std::memory_order_relaxed)) malloc_trim(0);
    });
    std::vector<std::thread> forkers;
    for (int i = 0; i < 3; ++i)
        forkers.emplace_back([] {
            for (int round = 0; round < 60; ++round) {
                const pid_t child = fork();
                if (child == 0) {
                    alarm(20);
                    fork_and_work("fork in a child of one of several forks");
                    _exit(0);
                }
                await(child, "one of several forks");
            }
        });
    for (std::thread& t : forkers) t.join();
    stop.store(true, std::memory_order_relaxed);
    tender.join();
}

// The child of a process that used much of its window looks only at what can concern it: a page of tables for each superslab would
// be as many faults, before the child's first instruction.
void fork_after_large_use() {
    constexpr int kBlocks = 64;
    void* blocks[kBlocks] = {};
    int count = 0;
    while (count < kBlocks && (blocks[count] = subject::malloc(size_t{1} << 30)) != nullptr) ++count;
    for (int i = 0; i < count; ++i) subject::free(blocks[i]);
    malloc_trim(0);
    mixed_work(20, 100);
    const pid_t child = fork();
    if (child == 0) {
        rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        _exit(usage.ru_minflt > 2000 ? 1 : 0);
    }
    await(child, "more than 2000 page faults");
}

// A fault that is found in the middle of a slow path, of a program whose crash handler allocates, as those that print a backtrace do.
void write_report(int) {
    mixed_work(21, 200);
    _exit(7);
}
void crash_handler_allocates() {
    const pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        signal(SIGABRT, write_report);
        alarm(20);
        void* blocks[2] = {subject::malloc(48), subject::malloc(48)};
        subject::free(blocks[0]);
        subject::free(blocks[1]);
        subject::opaque(reinterpret_cast<uintptr_t>(blocks[1]));
        memset(blocks[1], 'x', 16);
        malloc_trim(0);
        _exit(8);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 7) stress::fail("the handler did not end: status %#x", static_cast<unsigned>(status));
}

struct Scenario {
    const char* name;
    void (*body)();
};
constexpr Scenario kScenarios[] = {
    {"thousand_thread_locals", thousand_thread_locals},
    {"key_rounds", key_rounds},
    {"many_keys", many_keys},
    {"all_keys", all_keys},
    {"many_exit_handlers", many_exit_handlers},
    {"main_ends_first", main_ends_first},
    {"exit_while_threads_run", exit_while_threads_run},
    {"signals_in_a_waiting_thread", signals_in_a_waiting_thread},
    {"fork_from_main", fork_from_main},
    {"fork_from_main_busy", fork_from_main_busy},
    {"fork_from_worker", fork_from_worker},
    {"fork_in_child", fork_in_child},
    {"fork_at_the_edges", fork_at_the_edges},
    {"forks_at_once", forks_at_once},
    {"fork_after_large_use", fork_after_large_use},
    {"children_by_library_calls", children_by_library_calls},
    {"crash_handler_allocates", crash_handler_allocates},
};

} // namespace

int main(int argc, char** argv) {
    if (argc == 2 && strcmp(argv[1], "list") == 0) {
        for (const Scenario& s : kScenarios) puts(s.name);
        return 0;
    }
    for (const Scenario& s : kScenarios)
        if (argc == 2 && strcmp(argv[1], s.name) == 0) {
            snprintf(stress::command_line, sizeof stress::command_line, "%s %s", argv[0], argv[1]);
            alarm(60);
            s.body();
            return 0;
        }
    fprintf(stderr, "usage: %s list | SCENARIO\n", argv[0]);
    return 2;
}
