// lock_ranks.cpp: which lock is which, what a thread holds, and the line that a broken rule prints.
#include "props/kit/lock_ranks.hpp"

#include "sys/lock_rank.hpp"

#include "api/real_world.hpp"
#include "props/kit/audit_real.hpp"

namespace kit {
namespace {

using W = hak::RealWorld;

namespace rank = hak::lock_rank;

// What the calling thread has taken or waits for; bit r for the lock of rank r.
constinit thread_local unsigned held = 0;

hak::Lock<W>& lock_of(unsigned r) {
    hak::Lock<W>* const locks[rank::kCount] = {
        &hak::start_lock<W>,  &hak::heaps<W>.lock(),   &hak::reclaim<W>.lock(),
        &hak::pool<W>.lock(), &hak::learner<W>.lock(), &hak::heap_profile<W>.lock()};
    return *locks[r];
}
unsigned rank_of(const void* lock) {
    unsigned r = 0;
    while (r < rank::kCount && &lock_of(r) != lock) ++r;
    return r;
}
const char* name_of(unsigned r) {
    return r < rank::kCount ? rank::kNames[r] : "a lock without a rank";
}

// From prepare to parent or child the forking thread holds every lock, and passes through each.
bool is_forking() {
    return hak::forking_thread<W>.load(hak::order::relaxed) == W::Pal::thread_id();
}

[[noreturn]] void broken(const char* does, const char* what) {
    hak::Text text;
    text << "hakmem: lock ranks: a thread " << does << " " << what << " and holds";
    for (unsigned r = 0; r < rank::kCount; ++r) {
        if ((held >> r & 1) != 0) text << " " << name_of(r);
    }
    (text << "\n").print();
    std::abort();
}

}  // namespace

void RankProbe::on_lock(const void* lock) {
    if (is_forking()) return;
    const unsigned r = rank_of(lock);
    if (r == rank::kCount || held >> r != 0) broken("takes", name_of(r));
    held |= 1u << r;
}
void RankProbe::on_unlock(const void* lock) {
    const unsigned r = rank_of(lock);
    if (r == rank::kCount || (held >> r & 1) == 0) broken("gives back", name_of(r));
    held &= ~(1u << r);
}

void RankPal::before_call(const char* call) {
    if (!is_forking() && (held & (1u << rank::registry | 1u << rank::pool)) != 0)
        broken("calls", call);
    if (hak_in_system_call != nullptr) hak_in_system_call(call);
}
void RankPal::before_sleep(const std::uint32_t* word) {
    if (rank_of(word) != rank::kCount) return;  // a lock begins with the word that it sleeps on
    const bool waits_for_visitors =
        hak::address_of(word) - hak::address_of(&hak::heaps<W>) < sizeof hak::heaps<W>;
    if ((waits_for_visitors ? held & ~(1u << rank::start) : held) != 0)
        broken("sleeps for", waits_for_visitors ? "visitors" : "a token");
}

}  // namespace kit

void (*volatile hak_in_system_call)(const char*) = nullptr;

extern "C" unsigned hak_held_locks() {
    return kit::is_forking() ? 0 : kit::held;
}
extern "C" void hak_lock(unsigned rank) {
    kit::lock_of(rank).acquire();
}
extern "C" void hak_unlock(unsigned rank) {
    kit::lock_of(rank).release();
}
extern "C" void hak_purge_page(void* page) {
    kit::W::Pal::purge(page, kit::W::Pal::page_bytes());
}
extern "C" void hak_await_token() {
    static std::uint32_t word = 1;
    kit::W::Pal::sleep_while(&word, 0);
}
