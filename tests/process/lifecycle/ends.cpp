// Hostile ends and odd moments: destructors of thread_locals and of keys, exhausted keys, many
// atexit handlers, a main thread that ends first, cancellation, signal handlers. One scenario per
// run, because each needs a process of its own.
#include <atomic>
#include <csignal>
#include <malloc.h>
#include <sys/wait.h>
#include <thread>
#include <utility>
#include <vector>

#include "scenarios.hpp"

namespace {

using namespace lifecycle;

// ---- thread_locals ----

std::atomic<uint64_t> destroyed{0};

struct Local {
    stress::Block kept =
        stress::allocate(size_for(destroyed.load(std::memory_order_relaxed)), 1, 1);
    ~Local() {
        stress::release(kept, "thread_local");
        stress::Block b =
            stress::allocate(size_for(destroyed.fetch_add(1, std::memory_order_relaxed)), 2, 2);
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
    const size_t sum =
        (touch(std::index_sequence<Tens * 10, Tens * 10 + 1, Tens * 10 + 2, Tens * 10 + 3,
                                   Tens * 10 + 4, Tens * 10 + 5, Tens * 10 + 6, Tens * 10 + 7,
                                   Tens * 10 + 8, Tens * 10 + 9>{}) +
         ...);
    subject::opaque(sum);
}

void thousand_thread_locals() {
    settles("1000 thread_locals", 40,
            [] { std::thread([] { touch_thousand(std::make_index_sequence<100>{}); }).join(); });
    if (destroyed.load() != 40'000)
        stress::fail("%" PRIu64 " of 40000 destructors ran", destroyed.load());
}

// ---- keys ----

pthread_key_t round_key;
std::atomic<uint64_t> last_rounds{0};

struct Rounds {
    int round = 0;
    std::vector<stress::Block> blocks;
};
// Frees and allocates in every one of the four rounds of destructors, most in the last, after which
// no hook of the allocator runs.
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
            for (uint64_t i = 0; i < 250; ++i)
                r->blocks.push_back(stress::allocate(size_for(i % 5), 4, i));
            pthread_setspecific(round_key, r);
        }).join();
    });
    if (last_rounds.load() != 800)
        stress::fail("%" PRIu64 " of 800 threads reached the last round", last_rounds.load());
}

// From the 33rd key on, pthread_setspecific itself allocates. Keys made before the allocator's own
// push that one beyond the 32nd; with all 1024 taken it gets none. This runs before any
// constructor.
pthread_key_t taken_keys[PTHREAD_KEYS_MAX];
int taken_count = 0;
void take_keys(int argc, char** argv, char**) {
    int wanted = 0;
    for (int i = 1; i < argc; ++i) {
        if (strcmp(argv[i], "many_keys") == 0) wanted = 100;
        if (strcmp(argv[i], "all_keys") == 0) wanted = PTHREAD_KEYS_MAX;
    }
    while (taken_count < wanted && pthread_key_create(&taken_keys[taken_count], nullptr) == 0)
        ++taken_count;
}
[[gnu::section(".preinit_array"), gnu::used]] void (*take_keys_entry)(int, char**,
                                                                      char**) = take_keys;

void with_keys_taken() {
    for (int i = 0; i < taken_count; ++i) pthread_setspecific(taken_keys[i], &taken_keys[i]);
    settles("threads with their keys taken", 400, [] {
        std::thread([] {
            for (int i = 0; i < taken_count; ++i)
                pthread_setspecific(taken_keys[i], &taken_keys[i]);
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
    // Without a key the allocator may learn of no thread's end; a bound on what is left behind is
    // not asked for here.
    for (int i = 0; i < 100; ++i) std::thread([] { mixed_work(5, 100); }).join();
}

// ---- the end of the process ----

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

void quick_exit_while_threads_run() {
    at_quick_exit(exit_handler);
    for (int i = 0; i < 3; ++i)
        std::thread([] {
            for (;;) mixed_work(22, 50);
        }).detach();
    usleep(30'000);
    quick_exit(0);
}
void exit_from_worker() {
    std::thread([] {
        for (int i = 0; i < 64; ++i) atexit(exit_handler);
        mixed_work(23, 100);
        exit(0);
    }).detach();
    for (;;) mixed_work(24, 50);
}

// ---- cancellation ----

// Threads are cancelled at any point; what they had is released by a cleanup handler, which
// allocates, in the middle of the unwinding.
struct Cleanup {
    std::vector<stress::Block> blocks;
    ~Cleanup() {
        for (stress::Block& b : blocks) stress::release(b, "cleanup");
        mixed_work(25, 30);
    }
};
void cancelled_threads() {
    settles("cancelled threads", 400, [] {
        std::atomic<bool> runs{false};
        std::thread thread([&runs] {
            Cleanup cleanup;
            for (uint64_t i = 0;; ++i) {
                cleanup.blocks.push_back(stress::allocate(size_for(i), 26, i));
                runs.store(true, std::memory_order_relaxed);
                if (cleanup.blocks.size() > 40) {
                    for (stress::Block& b : cleanup.blocks) stress::release(b, "before cleanup");
                    cleanup.blocks.clear();
                }
                pthread_testcancel();
            }
        });
        while (!runs.load(std::memory_order_relaxed)) usleep(50);
        pthread_cancel(thread.native_handle());
        thread.join();
    });
}
// The line that reports a wrong pointer is printed by a thread that was cancelled already, and the
// process ends there.
void fault_with_cancellation_pending() {
    int ends[2];
    if (pipe(ends) != 0) stress::fail("pipe: %s", strerror(errno));
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        alarm(20);
        std::thread([] {
            pthread_cancel(pthread_self());
            void* const p = subject::malloc(48);
            subject::free(p);
            subject::free(p);
        }).join();
        _exit(8);
    }
    close(ends[1]);
    char text[256] = {};
    const ssize_t got = read(ends[0], text, sizeof text - 1);
    int status = 0;
    waitpid(child, &status, 0);
    if (got <= 0 || strstr(text, "already free (double free)") == nullptr || text[got - 1] != '\n')
        stress::fail("the line is %zd bytes: %s", got, text);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
        stress::fail("a child ended with status %#x", static_cast<unsigned>(status));
}

// ---- signals ----

std::atomic<uint64_t> handled{0};
void on_signal(int) {
    const int saved = errno;
    stress::Block b =
        stress::allocate(size_for(handled.fetch_add(1, std::memory_order_relaxed)), 10, 1);
    stress::release(b, "signal handler");
    errno = saved;
}

// The handler's thread only waits, so it is never inside the allocator; its first call ever is made
// by the handler.
void signals_in_a_waiting_thread() {
    struct sigaction action{};
    action.sa_handler = on_signal;
    sigaction(SIGUSR1, &action, nullptr);
    std::atomic<bool> stop{false};
    std::thread waiter([&] {
        while (!stop.load(std::memory_order_relaxed)) usleep(1'000'000);
    });
    const auto start = std::chrono::steady_clock::now();
    // Signals that meet a pending one are merged, so a busy machine needs more of them.
    for (uint64_t sent = 0;
         (sent < 3000 || handled.load() < 100) && stress::seconds_since(start) < 40; ++sent) {
        pthread_kill(waiter.native_handle(), SIGUSR1);
        mixed_work(11, 30);
    }
    stop.store(true, std::memory_order_relaxed);
    pthread_kill(waiter.native_handle(), SIGUSR1);
    waiter.join();
    if (handled.load() < 100) stress::fail("only %" PRIu64 " signals were handled", handled.load());
}

// A fault that is found in the middle of a slow path, of a program whose crash handler allocates,
// as those that print a backtrace do.
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
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 7)
        stress::fail("the handler did not end: status %#x", static_cast<unsigned>(status));
}

// The same where the fault is found in the blocks of a thread that ended, and the handler forks, as
// those that start a debugger do.
void fork_report(int) {
    const pid_t child = fork();
    if (child == 0) {
        mixed_work(22, 200);
        _exit(7);
    }
    int status = 0;
    waitpid(child, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 9);
}
void crash_handler_forks() {
    const pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        signal(SIGABRT, fork_report);
        alarm(20);
        std::vector<void*> blocks(5000);
        std::thread([&blocks] {
            for (void*& p : blocks) p = subject::malloc(48);
        }).join();
        subject::free(subject::malloc(48));
        for (void* p : blocks) subject::free(p);
        subject::opaque(reinterpret_cast<uintptr_t>(blocks[100]));
        memset(blocks[100], 'x', 16);
        for (int i = 0; i < 100'000; ++i)
            subject::opaque(reinterpret_cast<uintptr_t>(subject::malloc(48)));
        _exit(8);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 7)
        stress::fail("the handler did not end: status %#x", static_cast<unsigned>(status));
}

check_test scenarios[] = {
    CHECK_TEST(thousand_thread_locals),
    CHECK_TEST(key_rounds),
    CHECK_TEST(many_keys),
    CHECK_TEST(all_keys),
    CHECK_TEST(many_exit_handlers),
    CHECK_TEST(main_ends_first),
    CHECK_TEST(exit_while_threads_run),
    CHECK_TEST(quick_exit_while_threads_run),
    CHECK_TEST(exit_from_worker),
    CHECK_TEST(cancelled_threads),
    CHECK_TEST(fault_with_cancellation_pending),
    CHECK_TEST(signals_in_a_waiting_thread),
    CHECK_TEST(crash_handler_allocates),
    CHECK_TEST(crash_handler_forks),
};

}  // namespace

int main(int, char** argv) {
    return run(argv, scenarios);
}
