// Forks from any thread, beside anything, and children that live on: each allocates at once, frees
// what it inherited, starts threads, forks and ends through exit. One scenario per run, because
// each needs a process of its own.
#include <atomic>
#include <latch>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <thread>
#include <vector>

#include "scenarios.hpp"

namespace {

using namespace lifecycle;

// Every tier; few of the blocks are long, because each page that a child writes is a page fault.
uint32_t few_pages(uint64_t i) {
    return i % 8 != 7 ? size_for(i) : i % 32 == 7 ? 300'000 : 100'000;
}
void work(uint32_t owner, int count) {
    mixed_work(owner, count, few_pages);
}

void await(pid_t child, const char* what) {
    if (child < 0) stress::fail("%s: fork: %s", what, strerror(errno));
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0)
        stress::fail("%s: a child ended with status 0x%x", what, static_cast<unsigned>(status));
}

// A child allocates at once, frees what its parent allocated, starts threads, and leaves through
// exit, with its handlers.
[[noreturn]] void live_as_child(std::vector<stress::Block>& inherited, int depth) {
    alarm(20);
    work(12, 60);
    for (stress::Block& b : inherited) stress::release(b, "inherited");
    std::thread([] { work(13, 100); }).join();
    if (depth > 0) {
        std::vector<stress::Block> own;
        for (uint64_t i = 0; i < 50; ++i) own.push_back(stress::allocate(few_pages(i), 14, i));
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
        for (uint64_t k = 0; k < 64; ++k) blocks.push_back(stress::allocate(few_pages(k), 15, k));
        const pid_t child = fork();
        if (child == 0) live_as_child(blocks, depth);
        await(child, "fork");
        for (stress::Block& b : blocks) stress::release(b, "parent after fork");
    }
}

// Other threads are at any point of any call when the fork happens. The vanished ones' heaps stay
// frozen in the child.
void with_busy_threads(void (*body)()) {
    std::atomic<bool> stop{false};
    std::vector<std::thread> busy;
    for (uint32_t i = 0; i < 2; ++i)
        busy.emplace_back([&stop, i] {
            while (!stop.load(std::memory_order_relaxed)) work(16 + i, 80);
        });
    body();
    stop.store(true, std::memory_order_relaxed);
    for (std::thread& t : busy) t.join();
}
void fork_from_main() {
    fork_rounds(100, 0);
}
void fork_from_main_busy() {
    with_busy_threads([] { fork_rounds(100, 0); });
}
void fork_from_worker() {
    with_busy_threads([] { std::thread([] { fork_rounds(100, 0); }).join(); });
}
void fork_in_child() {
    with_busy_threads([] { std::thread([] { fork_rounds(20, 3); }).join(); });
}

void fork_and_work(const char* what) {
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);
        work(18, 60);
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
        if (pipe == nullptr || fgets(text, sizeof text, pipe) == nullptr ||
            strcmp(text, "text\n") != 0)
            stress::fail("popen failed");
        pclose(pipe);
    });
}

// Several threads fork at the same time while another one visits the heaps of threads that ended.
// What a child inherits must say that nobody visits: a child's own fork waits for whoever does.
void forks_at_once() {
    std::vector<std::thread> ended;
    for (uint32_t i = 0; i < 100; ++i) ended.emplace_back([i] { stress::allocate(100, 19, i); });
    for (std::thread& t : ended) t.join();
    std::atomic<bool> stop{false};
    std::thread visitor([&] {
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
    visitor.join();
}

// The child of a process that used much of its window looks only at what can concern it: a page of
// tables for each superslab would be as many faults, before the child's first instruction.
void fork_after_large_use() {
    constexpr int kBlocks = 64;
    void* blocks[kBlocks] = {};
    int count = 0;
    while (count < kBlocks && (blocks[count] = subject::malloc(size_t{1} << 30)) != nullptr)
        ++count;
    for (int i = 0; i < count; ++i) subject::free(blocks[i]);
    malloc_trim(0);
    work(20, 100);
    const pid_t child = fork();
    if (child == 0) {
        rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        _exit(usage.ru_minflt > 2000 ? 1 : 0);
    }
    await(child, "more than 2000 page faults");
}

// Nor does it copy a page for each thread that the process once had: nothing waits for their heaps.
void fork_after_many_threads() {
    constexpr int kThreads = 600;
    // They sleep until all are there: that many which looked for it every millisecond would be long
    // about it.
    std::latch all_there(kThreads);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i)
        threads.emplace_back([&all_there] {
            subject::free(subject::malloc(100));
            all_there.arrive_and_wait();
        });
    for (std::thread& t : threads) t.join();
    const pid_t child = fork();
    if (child == 0) {
        rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        _exit(usage.ru_minflt > kThreads / 2 ? 1 : 0);
    }
    await(child, "a page fault for every second heap");
}

// A race at the start of a process shows once in its life: threads that make their first calls, and
// forks beside them, in a hundred fresh processes, and children that are as fresh.
void fresh_process() {
    std::atomic<bool> go{false};
    std::vector<std::thread> others;
    for (uint32_t i = 0; i < 2; ++i)
        others.emplace_back([&go, i] {
            while (!go.load(std::memory_order_acquire)) {
            }
            work(27 + i, 40);
        });
    std::thread forker([&go] {
        while (!go.load(std::memory_order_acquire)) {
        }
        fork_and_work("fork beside first calls, from a worker");
    });
    go.store(true, std::memory_order_release);
    fork_and_work("fork beside first calls");
    forker.join();
    for (std::thread& t : others) t.join();
}
void hundred_fresh_processes() {
    for (int i = 0; i < 100; ++i) {
        const pid_t child = fork();
        if (child == 0) {
            execl("/proc/self/exe", "forks", "fresh_process", nullptr);
            _exit(9);
        }
        await(child, "a fresh process");
    }
}

// POSIX lets a handler fork that interrupts malloc, if its child calls nothing but
// async-signal-safe functions.
volatile sig_atomic_t handler_calls, handler_forks;
void fork_in_handler(int) {
    const int saved = errno;
    handler_calls = handler_calls + 1;
    const pid_t child = fork();
    if (child == 0) _exit(0);
    if (child > 0) {
        waitpid(child, nullptr, 0);
        handler_forks = handler_forks + 1;
    }
    errno = saved;
}
void fork_in_a_handler() {
    struct sigaction action{};
    action.sa_handler = fork_in_handler;
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, nullptr);
    // One alarm at a time: where a fork takes longer than the interval, a repeated one would leave
    // the loop no instruction of its own.
    const struct itimerval once = {{0, 0}, {0, 700}}, never = {};
    sig_atomic_t armed_after = -1;
    stress::Random random(29);
    void* blocks[64] = {};
    while (handler_forks < 200) {
        if (armed_after != handler_calls) {
            armed_after = handler_calls;
            setitimer(ITIMER_REAL, &once, nullptr);
        }
        void*& block = blocks[random.next() % 64];
        free(block);
        block = malloc(random.next() % 2000000);
    }
    setitimer(ITIMER_REAL, &never, nullptr);
    for (void* block : blocks) free(block);
}

check_test scenarios[] = {
    CHECK_TEST(fork_in_a_handler),       CHECK_TEST(hundred_fresh_processes),
    CHECK_TEST(fork_from_main),          CHECK_TEST(fork_from_main_busy),
    CHECK_TEST(fork_from_worker),        CHECK_TEST(fork_in_child),
    CHECK_TEST(fresh_process),           CHECK_TEST(fork_at_the_edges),
    CHECK_TEST(forks_at_once),           CHECK_TEST(fork_after_large_use),
    CHECK_TEST(fork_after_many_threads), CHECK_TEST(children_by_library_calls),
};

}  // namespace

int main(int, char** argv) {
    return run(argv, scenarios);
}
