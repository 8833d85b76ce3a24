// The rules of the allocator's locks (props/kit/lock_ranks.hpp), and forks while each lock is held
// and inside each system call. One case per run: those called dies_... break a rule on purpose and
// must end with the line that names it.
//
//   locks list | locks CASE
#include <atomic>
#include <functional>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <vector>

#include "sys/lock_rank.hpp"

#include "../support.hpp"
#include "hakmem/hakmem.h"

namespace {

namespace rank = hak::lock_rank;
constexpr unsigned kRanks = rank::pool + 1;

void* a_page() {
    void* const page =
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) stress::fail("mmap: %s", strerror(errno));
    return page;
}

// Every tier, freed by this thread and by another one, and all memory back to the system: each lock
// is taken, each system call made.
void use_everything() {
    std::vector<stress::Block> blocks;
    for (const uint32_t size : {16u, 100u, 1000u, 20'000u, 70'000u, 300'000u, 3'000'000u})
        for (uint64_t i = 0; i < 12; ++i) blocks.push_back(stress::allocate(size, 1, i));
    std::thread([&] {
        for (size_t i = 2; i < blocks.size(); i += 2) stress::release(blocks[i], "another thread");
        stress::Block own = stress::allocate(500, 2, 0);
        stress::release(own, "own");
    }).join();
    for (size_t i = 1; i < blocks.size(); ++i) stress::release(blocks[i], "all but one");
    hak_trim(0);  // units of superslabs that are in use are purged
    stress::release(blocks[0], "the last");
    hak_trim(0);
    if (hak_held_locks() != 0)
        stress::fail("a trim returned and holds the locks %#x", hak_held_locks());
}

// ---- what breaks a rule

void dies_taking_a_lower_lock() {
    hak_lock(rank::pool);
    hak_lock(rank::registry);
}
void dies_taking_a_lock_twice() {
    hak_lock(rank::reclaim);
    hak_lock(rank::reclaim);
}
void dies_giving_back_what_it_has_not() {
    hak_unlock(rank::pool);
}
void dies_calling_the_system_with_the_pool() {
    hak_lock(rank::pool);
    hak_purge_page(a_page());
}
void dies_calling_the_system_with_the_registry() {
    hak_lock(rank::registry);
    hak_purge_page(a_page());
}
void dies_awaiting_a_token_with_a_lock() {
    hak_lock(rank::start);
    hak_await_token();
}
void dies_allocating_under_the_pool() {
    hak_lock(rank::pool);
    subject::malloc(100'000);
}
void dies_returning_with_a_lock() {
    hak_lock(rank::start);
    subject::malloc(100);
}

// ---- what is allowed

void takes_all_in_order() {
    void* const page = a_page();
    for (unsigned skipped = 0; skipped < kRanks; ++skipped) {
        for (unsigned r = 0; r < kRanks; ++r)
            if (r != skipped) hak_lock(r);
        for (unsigned r = 0; r < kRanks; ++r)
            if (r != skipped) hak_unlock(r);
    }
    hak_lock(rank::start);
    hak_lock(rank::reclaim);
    hak_purge_page(page);
    hak_unlock(rank::start);
    hak_unlock(rank::reclaim);
    hak_await_token();
    use_everything();
}

// Handlers that were registered before the allocator's run between its prepare and its parent or
// child.
bool handlers_allocate = false;
unsigned handled = 0;
void in_handler() {
    if (!handlers_allocate) return;
    ++handled;
    for (const uint32_t size : {100u, 70'000u, 3'000'000u}) {
        stress::Block b = stress::allocate(size, 3, handled);
        stress::release(b, "fork handler");
    }
    hak_trim(0);
}
void register_handlers(int, char**, char**) {
    pthread_atfork(in_handler, in_handler, in_handler);
}
[[gnu::section(".preinit_array"), gnu::used]] void (*register_entry)(int, char**,
                                                                     char**) = register_handlers;

// Forks, and the child uses everything and forks again. `in_child` runs in the child first.
void fork_and_use(const char* what, const std::function<void()>& in_child, int depth = 1) {
    const pid_t child = fork();
    if (child < 0) stress::fail("fork: %s", strerror(errno));
    if (child == 0) {
        alarm(30);
        in_child();
        if (hak_held_locks() != 0)
            stress::fail("%s: the child holds the locks %#x", what, hak_held_locks());
        use_everything();
        if (depth > 0) fork_and_use(what, [] {}, depth - 1);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0)
        stress::fail("%s: a child ended with status %#x", what, static_cast<unsigned>(status));
}

void fork_handlers_allocate() {
    handlers_allocate = true;
    for (int i = 0; i < 3; ++i) fork_and_use("fork handlers", [] {});
    if (handled != 6) stress::fail("handlers ran %u times in the parent, not 6", handled);
}

// Another thread holds these locks for a while. fork returns when it has given them back, in the
// parent and in the child.
void fork_while_held(unsigned locks, bool from_worker) {
    std::atomic<bool> held{false}, given_back{false};
    std::thread holder([&] {
        for (unsigned r = 0; r < kRanks; ++r)
            if ((locks >> r & 1) != 0) hak_lock(r);
        held.store(true);
        usleep(15'000);
        given_back.store(true);
        for (unsigned r = kRanks; r-- > 0;)
            if ((locks >> r & 1) != 0) hak_unlock(r);
    });
    const auto forks = [&] {
        while (!held.load()) usleep(100);
        fork_and_use("a lock is held", [&] {
            if (!given_back.load()) stress::fail("fork did not wait for the locks %#x", locks);
        });
        if (!given_back.load())
            stress::fail("fork did not wait for the locks %#x in the parent", locks);
    };
    if (from_worker) {
        std::thread(forks).join();
    } else {
        forks();
    }
    holder.join();
}
void fork_while_locks_are_held() {
    for (unsigned locks = 1; locks < 1u << kRanks; ++locks) fork_while_held(locks, locks % 2 == 0);
    for (unsigned r = 0; r < kRanks; ++r) fork_while_held(1u << r, true);
}

// A thread is inside a system call that changes memory. Where it holds no lock there, fork copies
// the process at once, and the child lives with what the thread had taken out of the pool; where it
// holds one, fork waits.
std::atomic<const char*> wanted_call{nullptr};
std::atomic<bool> has_entered{false}, is_inside{false}, may_leave{false};
bool holds_a_lock_there = false;
thread_local bool stops = false;

void stop_inside(const char* call) {
    const char* const wanted = wanted_call.load();
    if (!stops || wanted == nullptr || strcmp(call, wanted) != 0) return;
    wanted_call.store(nullptr);
    holds_a_lock_there = hak_held_locks() != 0;
    is_inside.store(true);
    has_entered.store(true);
    // With a lock for a moment only, or fork would wait for ever. Without one until the fork has
    // returned; where it waits it is told after a minute.
    for (int i = 0; i < (holds_a_lock_there ? 15 : 60'000) && !may_leave.load(); ++i) usleep(1000);
    is_inside.store(false);
}
void fork_inside_system_calls() {
    hak_in_system_call = stop_inside;
    for (const char* const call : {"commit", "purge", "decommit", "commit", "decommit"}) {
        may_leave.store(false);
        has_entered.store(false);
        wanted_call.store(call);
        std::thread worker([] {
            stops = true;
            while (wanted_call.load() != nullptr) use_everything();
        });
        while (!has_entered.load()) usleep(100);
        fork_and_use(call, [&] {
            if (is_inside.load() == holds_a_lock_there)
                stress::fail("%s: fork %s", call, holds_a_lock_there ? "did not wait" : "waited");
        });
        may_leave.store(true);
        worker.join();
        use_everything();
        stress::audit(call);
    }
}

check_test cases[] = {
    CHECK_TEST(dies_taking_a_lower_lock),
    CHECK_TEST(dies_taking_a_lock_twice),
    CHECK_TEST(dies_giving_back_what_it_has_not),
    CHECK_TEST(dies_calling_the_system_with_the_pool),
    CHECK_TEST(dies_calling_the_system_with_the_registry),
    CHECK_TEST(dies_awaiting_a_token_with_a_lock),
    CHECK_TEST(dies_allocating_under_the_pool),
    CHECK_TEST(dies_returning_with_a_lock),
    CHECK_TEST(takes_all_in_order),
    CHECK_TEST(fork_handlers_allocate),
    CHECK_TEST(fork_while_locks_are_held),
    CHECK_TEST(fork_inside_system_calls),
};

}  // namespace

int main(int, char** argv) {
    return check_main(argv, check_chain(cases, std::size(cases)), CHECK_DIES, 60,
                      [](const check_test* test) {
                          subject::free(subject::malloc(1));
                          test->body();
                      });
}
