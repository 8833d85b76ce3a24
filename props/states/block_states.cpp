// block_states.cpp: where each block is. After every call of a thread the place of every block of
// every slab is read from the lists, and compared with where it was: the diagram of docs/memory.md,
// with the edges that each operation may take.
#include <iostream>
#include <map>
#include <vector>

#include "props/kit/transition_table.hpp"
#include "props/states/observed.hpp"
#include "props/states/stage.hpp"

namespace states {
namespace {

using W = Observed;
using hak::Address;

// none: no block starts here. lost: in a bin of a thread that fork cut off.
enum Place : unsigned char {
    none,
    untouched,
    bump_range,
    client,
    thread_cache,
    slab_list,
    remote,
    lost
};

class BlockWatch : public Watch {
  public:
    BlockWatch() {
        const std::vector<unsigned> on_slow_paths{kAllocate, kFree, kEnd, kTrim};
        // refill
        for (const auto& [from, to] : {std::pair{none, untouched},
                                       {untouched, bump_range},
                                       {bump_range, client},
                                       {thread_cache, client},
                                       {slab_list, thread_cache}})
            transitions_.allow({kAllocate}, from, to);
        // free: by the owner, with the list full, by another thread
        for (const Place to : {thread_cache, slab_list, remote})
            transitions_.allow({kFree}, client, to);
        // flush, also of blocks whose slab was taken over; drain; release
        for (const auto& [from, to] : {std::pair{thread_cache, slab_list},
                                       {thread_cache, remote},
                                       {bump_range, untouched},
                                       {remote, slab_list}})
            transitions_.allow({kAllocate, kEnd, kTrim}, from, to);
        for (const Place from : {slab_list, untouched})
            transitions_.allow(on_slow_paths, from, none);
        // the bins of threads that a fork's child does not have
        for (const Place from : {thread_cache, bump_range}) transitions_.allow({kFork}, from, lost);

        for (const auto& [from, to] : {std::pair{none, bump_range},
                                       {none, client},
                                       {untouched, bump_range},
                                       {untouched, client},
                                       {bump_range, client},
                                       {bump_range, untouched},
                                       {bump_range, none},
                                       {client, thread_cache},
                                       {client, slab_list},
                                       {client, remote},
                                       {thread_cache, client},
                                       {thread_cache, slab_list},
                                       {thread_cache, remote},
                                       {thread_cache, none},
                                       {slab_list, thread_cache},
                                       {slab_list, client},
                                       {slab_list, none},
                                       {remote, slab_list},
                                       {remote, thread_cache},
                                       {remote, client},
                                       {remote, none},
                                       {untouched, none},
                                       {thread_cache, lost},
                                       {bump_range, lost}}) {
            transitions_.want(from, to);
        }
    }
    void on_world() override { before_.clear(); }
    void on_step(Operation operation, unsigned, const void* block, bool is_whole) override {
        if (!window.is_open()) return;
        now_.assign(units_ready() * kGrains, none);
        for (std::size_t u = 0; u < units_ready(); ++u) look_at_slab(window.record(u));
        for (unsigned i = 0; i < hak::heaps<W>.count(); ++i) look_at_bins(hak::heaps<W>.at(i));
        before_.resize(now_.size(), none);
        unsigned given = 0, taken = 0;
        for (std::size_t g = 0; g < now_.size(); ++g) {
            if (now_[g] == before_[g]) continue;
            if (is_whole) transitions_.see(operation, before_[g], now_[g], g);
            given += now_[g] == client;
            taken += before_[g] == client;
        }
        const auto* const slab =
            block == nullptr ? nullptr : window.record_of(hak::address_of(block));
        const bool is_small =
            slab != nullptr && slab->state.load(hak::order::relaxed) == hak::UnitState::slab;
        if (is_whole && operation == kAllocate)
            kit::require(given == (is_small ? 1 : 0) &&
                             (!is_small || now_[grain(hak::address_of(block))] == client),
                         given, " blocks were handed out by one allocation");
        if (is_whole && operation == kFree)
            kit::require(
                taken <= 1 && (taken == 0 || before_[grain(hak::address_of(block))] == client),
                taken, " blocks came back in one free");
        before_.swap(now_);
    }
    void require_all_seen(bool is_full) override {
        transitions_.print(std::cerr);
        if (is_full) transitions_.require_all_seen();
    }

  private:
    static constexpr std::size_t kGrains = kit::kTinyConfig.unit_bytes / hak::kMinAlignment;

    static std::size_t grain(Address a) { return (a - window.base()) / hak::kMinAlignment; }
    void put(Address a, Place from, Place to) {
        Place& p = now_[grain(a)];
        kit::require(p == from, "the block at ", grain(a),
                     " is in two places: ", static_cast<unsigned>(p), " and ",
                     static_cast<unsigned>(to));
        p = to;
    }
    void put_list(Address a, Place to) {
        for (; a != 0; a = hak::block_at<W>(a)->link.get()) put(a, client, to);
    }
    void look_at_slab(const UnitRecord* slab) {
        if (slab->state.load(hak::order::relaxed) != hak::UnitState::slab ||
            window.head_record(slab) != slab)
            return;
        const std::uint32_t limit = slab->limit.load(hak::order::relaxed),
                            capacity = hak::Classes<W>::capacity(
                                slab->size_class.load(hak::order::relaxed), unit_of(slab));
        for (std::uint32_t i = 0; i < capacity; ++i)
            put(slab->block_address(i), none, i < limit ? client : untouched);
        put_list(slab->free_head.get(), slab_list);
        put_list(slab->remote.load(hak::order::relaxed) & ~hak::kQueued, remote);
    }
    void look_at_bins(const Heap& heap) {
        const bool is_lost = heap.token.load(hak::order::relaxed) == hak::Token::frozen;
        for (unsigned c = 0; c < hak::Classes<W>::kCount; ++c) {
            const auto& bin = heap.bins[c];
            put_list(bin.list.get(), is_lost ? lost : thread_cache);
            for (Address a = bin.bump.get(); a != bin.bump.get() + bin.bump_bytes.get();
                 a += hak::Classes<W>::block_bytes(static_cast<hak::SizeClass>(c))) {
                put(a, client, is_lost ? lost : bump_range);
            }
        }
    }

    kit::StepTransitions transitions_{
        "block",
        {"none", "untouched", "bump", "client", "thread cache", "slab", "remote", "lost"},
        {"an allocation", "a free", "an exit", "a trim", "a fork"}};
    std::vector<Place> before_, now_;
};

}  // namespace

Watch& block_watch() {
    static BlockWatch eyes;
    return eyes;
}

}  // namespace states
