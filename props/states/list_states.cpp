// list_states.cpp: a thread's list of one class and its range of untouched blocks.
// After every call of a thread the bins of all heaps are read: the list is a stack, the range is
// used when the list is empty, and nobody touches another thread's.
#include <algorithm>
#include <array>
#include <iostream>
#include <vector>

#include "props/kit/transition_table.hpp"
#include "props/states/observed.hpp"
#include "props/states/stage.hpp"

namespace states {
namespace {

using W = Observed;
using hak::Address;
using Classes = hak::Classes<W>;

// What the list has, and whether there is a range beside it. lost: the heap's thread is none of a
// forked child's.
enum State : unsigned { empty, some, full, range, some_range, full_range, lost };

struct Seen {
    std::vector<Address> list;  // the block that is handed out next comes first
    Address bump = 0;
    std::size_t bump_bytes = 0;
    std::int32_t room = 0;
    bool is_lost = false;

    bool operator==(const Seen&) const = default;
    State state() const {
        if (is_lost) return lost;
        if (list.empty()) return bump_bytes == 0 ? empty : range;
        if (room > 0) return bump_bytes == 0 ? some : some_range;
        return bump_bytes == 0 ? full : full_range;
    }
};

class ListWatch : public Watch {
  public:
    ListWatch() {
        // refill, and the hit that follows
        for (const auto& [from, to] : {std::pair{empty, range},
                                       {empty, some},
                                       {empty, some_range},
                                       {empty, full},
                                       {empty, full_range},
                                       {some, empty},
                                       {full, some},
                                       {range, empty},
                                       {some_range, range},
                                       {full_range, some_range}}) {
            transitions_.allow({kAllocate}, from, to);
            transitions_.want(from, to);
        }
        // free
        for (const auto& [from, to] : {std::pair{empty, some},
                                       {some, full},
                                       {range, some_range},
                                       {some_range, full_range}}) {
            transitions_.allow({kFree}, from, to);
            transitions_.want(from, to);
        }
        // flush
        for (const State from : {some, full, range, some_range, full_range}) {
            transitions_.allow({kAllocate, kEnd, kTrim}, from, empty);
            transitions_.want(from, empty);
        }
        for (const State from : {empty, some, full, range, some_range, full_range}) {
            transitions_.allow({kFork}, from, lost);
            transitions_.want(from, lost);
        }
    }
    void on_world() override {
        before_.clear();
        heaps_ = {};
    }
    void on_birth(unsigned thread) override { heaps_[thread] = nullptr; }
    void on_step(Operation operation, unsigned thread, const void* block, bool is_whole) override {
        if (!window.is_open()) return;
        look();
        const Heap* const own = kit::heap_of<W>(thread);
        if (is_whole) {
            unsigned changed = 0;
            for (std::size_t i = 0; i < now_.size(); ++i) {
                if (now_[i] == before_[i]) continue;
                ++changed;
                transitions_.see(operation, before_[i].state(), now_[i].state(), i);
                const Heap* const heap =
                    &hak::heaps<W>.at(static_cast<unsigned>(i / Classes::kCount));
                kit::require(operation == kFork || heap == own || heap == heaps_[thread], "thread ",
                             thread, " changed bin ", i, " of another thread");
            }
            if (own == heaps_[thread] && hak::has_heap<W>(own)) {
                if (operation == kAllocate && block != nullptr)
                    judge_allocation(bin_of(own, block), hak::address_of(block), changed);
                if (operation == kFree)
                    judge_free(own, bin_of(own, block), hak::address_of(block), changed);
            }
        }
        heaps_[thread] = own;
        before_.swap(now_);
    }
    void require_all_seen(bool is_full) override {
        transitions_.print(std::cerr);
        if (is_full) transitions_.require_all_seen();
    }

  private:
    static constexpr std::size_t kNoBin = SIZE_MAX;

    void look() {
        now_.assign(hak::heaps<W>.count() * std::size_t{Classes::kCount}, {});
        for (std::size_t i = 0; i < now_.size(); ++i) {
            const Heap& heap = hak::heaps<W>.at(static_cast<unsigned>(i / Classes::kCount));
            const auto& bin = heap.bins[i % Classes::kCount];
            Seen& seen = now_[i];
            seen.is_lost = heap.token.load(hak::order::relaxed) == hak::Token::frozen;
            for (Address a = bin.list.get(); a != 0; a = hak::block_at<W>(a)->link.get())
                seen.list.push_back(a);
            seen.bump_bytes = bin.bump_bytes.get();
            seen.bump = seen.bump_bytes == 0 ? 0 : bin.bump.get();
            seen.room = bin.room.get();
        }
        // A heap's bins are empty when it is made.
        while (before_.size() < now_.size())
            before_.push_back(
                {{}, 0, 0, Classes::kShapes[before_.size() % Classes::kCount].bin_blocks, false});
    }
    // Where the block belongs in the heap's bins; kNoBin for what is no small block any more.
    static std::size_t bin_of(const Heap* own, const void* block) {
        const UnitRecord* const record = window.record_of(hak::address_of(block));
        if (record->state.load(hak::order::relaxed) != hak::UnitState::slab) return kNoBin;
        for (unsigned i = 0; i < hak::heaps<W>.count(); ++i) {
            if (&hak::heaps<W>.at(i) == own)
                return i * std::size_t{Classes::kCount} +
                       window.head_record(record)->size_class.load(hak::order::relaxed);
        }
        return kNoBin;
    }
    void judge_allocation(std::size_t i, Address block, unsigned changed) const {
        if (i == kNoBin) return;
        const Seen &was = before_[i], &is = now_[i];
        if (was.list.empty() && was.bump_bytes == 0) {
            kit::require(std::find(is.list.begin(), is.list.end(), block) == is.list.end(),
                         "a block is handed out and stays in the list");
            return;
        }
        kit::require(changed == 1, "a hit changed ", changed, " bins");
        if (was.list.empty()) {
            kit::require(block == was.bump && is.list.empty() && is.bump_bytes < was.bump_bytes,
                         "an untouched block was not the next of its range");
            return;
        }
        const bool is_popped =
            block == was.list.front() &&
            std::equal(is.list.begin(), is.list.end(), was.list.begin() + 1, was.list.end());
        kit::require(is_popped && is.bump_bytes == was.bump_bytes,
                     "an allocation took another block than the one freed last");
    }
    void judge_free(const Heap* own, std::size_t i, Address block, unsigned changed) const {
        if (i == kNoBin || now_[i].list == before_[i].list) {
            kit::require(changed == 0, "a free changed ", changed,
                         " bins, and the list of its class is the same");
            const bool is_own =
                i != kNoBin && window.record_of(block)->owner.load(hak::order::relaxed) == own;
            kit::require(!is_own || before_[i].room <= 0, "a free passed by a list that has room");
            return;
        }
        const Seen &was = before_[i], &is = now_[i];
        const bool is_pushed =
            is.list.front() == block &&
            std::equal(is.list.begin() + 1, is.list.end(), was.list.begin(), was.list.end());
        kit::require(changed == 1 && is_pushed && is.bump == was.bump,
                     "a free did not push its block on the list");
        kit::require(was.room > 0, "a free pushed its block on a list without room");
    }

    kit::StepTransitions transitions_{
        "list of class",
        {"empty", "some", "full", "range", "some and range", "full and range", "lost"},
        {"an allocation", "a free", "an exit", "a trim", "a fork"}};
    std::vector<Seen> before_, now_;
    // where each thread's word stood after its last step
    std::array<const Heap*, kit::kThreads> heaps_{};
};

}  // namespace

Watch& list_watch() {
    static ListWatch eyes;
    return eyes;
}

}  // namespace states
