// heap_threads_fuzz.cpp: bytes say what three real threads do to the shipped allocator and to
// blocks that they share; whatever the schedule, every block keeps its cookie, and when the threads
// are joined the audit counts the blocks that the program has, no others.
#include <array>
#include <atomic>
#include <cstring>
#include <thread>

#include "fuzz/fresh_core.hpp"
#include "fuzz/history.hpp"
#include "hakmem/hakmem.h"
#include "props/kit/audit_real.hpp"

namespace {

constexpr unsigned kThreads = 3, kShared = 24;
constexpr std::size_t kMostSteps = 300;

struct Who : kit::Field<'t', kThreads, 1> {};
struct Where : kit::Field<'h', kShared, 1> {};
struct Count : kit::Field<'x', 200, 1> {};
struct Size : kit::Field<'n', 1u << 16, 2> {
    std::size_t size() const {
        return 8 + (v < 0x8000 ? v % 600 : v < 0xf000 ? v : std::size_t{v} * 32);
    }
};
// a fresh block takes the place of the one there
struct Put {
    Who t;
    Where h;
    Size n;
    KIT_COMMAND(Put, "put", 80, t, h, n)
};
// frees the block there
struct Take {
    Who t;
    Where h;
    KIT_COMMAND(Take, "take", 60, t, h)
};
struct Resize {
    Who t;
    Where h;
    Size n;
    KIT_COMMAND(Resize, "resize", 30, t, h, n)
};
// x blocks of one size, freed again
struct Churn {
    Who t;
    Count x;
    Size n;
    KIT_COMMAND(Churn, "churn", 20, t, x, n)
};
// the thread ends; a new one goes on
struct Rest {
    Who t;
    KIT_COMMAND(Rest, "rest", 10, t)
};
struct Trim {
    Who t;
    KIT_COMMAND(Trim, "trim", 4, t)
};
using Step = std::variant<Put, Take, Resize, Churn, Rest, Trim>;

const fuzz::Defect lost_block("lost_block");

struct Cookie {
    std::size_t bytes;
};

// Shared places: an exchange that releases the block's bytes to whoever acquires the pointer with
// the next exchange.
std::array<std::atomic<Cookie*>, kShared> shared{};

void stamp(Cookie* p, std::size_t n) {
    p->bytes = n;
    if (n > sizeof(Cookie))
        reinterpret_cast<unsigned char*>(p)[n - 1] = static_cast<unsigned char>(n);
}
Cookie* fresh(std::size_t n) {
    auto* const p = static_cast<Cookie*>(hak_malloc(n));
    kit::require(p != nullptr, "no memory for ", n, " bytes");
    stamp(p, n);
    return p;
}
void verify(Cookie* p) {
    const std::size_t n = p->bytes;
    kit::require(n >= sizeof(Cookie) && n <= hak_malloc_usable_size(p),
                 "a block's cookie has changed");
    kit::require(n == sizeof(Cookie) ||
                     reinterpret_cast<unsigned char*>(p)[n - 1] == static_cast<unsigned char>(n),
                 "a block's last byte has changed");
}
void release(Cookie* p) {
    if (p == nullptr) return;
    verify(p);
    if (lost_block) return;
    hak_free(p);
}

void apply(const Put& c) {
    release(shared[c.h.v].exchange(fresh(c.n.size()), std::memory_order_acq_rel));
}
void apply(const Take& c) {
    release(shared[c.h.v].exchange(nullptr, std::memory_order_acq_rel));
}
void apply(const Resize& c) {
    Cookie* p = shared[c.h.v].exchange(nullptr, std::memory_order_acq_rel);
    if (p == nullptr) return;
    verify(p);
    const std::size_t before = p->bytes;
    p = static_cast<Cookie*>(hak_realloc(p, c.n.size()));
    kit::require(p != nullptr && p->bytes == before, "realloc lost a block's cookie");
    stamp(p, c.n.size());
    release(shared[c.h.v].exchange(p, std::memory_order_acq_rel));
}
void apply(const Churn& c) {
    std::vector<Cookie*> blocks;
    for (unsigned i = 0; i < c.x.v; ++i) blocks.push_back(fresh(8 + c.n.size() % 2000));
    for (Cookie* p : blocks) verify(p), hak_free(p);
}
void apply(const Rest&) {}
void apply(const Trim&) {
    hak_trim(0);
}

// One thread's steps, life by life.
void work(const std::vector<Step>* steps, unsigned who, std::string* wrong) {
    for (std::size_t i = 0; i < steps->size() && wrong->empty();) {
        std::thread([&] {
            try {
                for (bool alive = true; alive && i < steps->size(); ++i) {
                    const Step& step = (*steps)[i];
                    if (std::visit([](const auto& c) { return c.t.v; }, step) != who) continue;
                    std::visit([](const auto& c) { apply(c); }, step);
                    alive = !std::holds_alternative<Rest>(step);
                }
            } catch (const kit::Broken& e) {
                *wrong = e.what();
            }
        }).join();
    }
}

std::string audit(std::size_t live) {
    struct hak_audit_result r;
    if (hak_audit(&r) != 0) return std::string("INV ") + r.invariant + ": " + r.what;
    const unsigned long long out = r.client_blocks + r.large_blocks + r.big_blocks;
    if (out == live) return {};
    return "the allocator counts " + std::to_string(out) + " blocks, the program has " +
           std::to_string(live);
}

std::string run(const std::vector<Step>& commands) {
    // the threads start later, which orders it before all they do
    for (auto& p : shared) p.store(nullptr, std::memory_order_relaxed);
    fuzz::reset_core();
    std::vector<Step> steps(
        commands.begin(),
        commands.begin() + static_cast<std::ptrdiff_t>(std::min(commands.size(), kMostSteps)));
    std::array<std::string, kThreads> wrong;
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < kThreads; ++t) threads.emplace_back(work, &steps, t, &wrong[t]);
    for (std::thread& t : threads) t.join();
    std::string first;
    for (const std::string& w : wrong) {
        if (first.empty()) first = w;
    }
    std::size_t live = 0;
    // the joins order it behind every exchange
    for (const auto& p : shared) live += p.load(std::memory_order_relaxed) != nullptr;
    if (first.empty()) first = audit(live);
    for (auto& p : shared) hak_free(p.exchange(nullptr, std::memory_order_relaxed));  // the same
    hak_trim(0);
    return first.empty() ? audit(0) : first;
}

}  // namespace

FUZZ_HISTORIES("heap_threads", Step, run)
