// free_runs.hpp: free runs of slots of one kind, found by size and joined with their neighbours.
// Two instances: reserved and cached. Everything here happens under the pool's lock.
//
// INV runs.1  each run of this kind is in the bucket of floor(log2(its length)), once
// INV runs.2  no two runs of this kind touch
#pragma once

#include <climits>
#include <cstddef>
#include <cstdint>

#include "mem/window.hpp"  // IWYU pragma: export

namespace hak {

template <World W, SlotKind kKind>
class FreeRuns {
  public:
    static constexpr std::uint32_t kNone = UINT32_MAX;

    // Puts slots [first, first + count) in, joined with neighbours of this kind. Returns the joined
    // run's first slot. `absorbed(slot)` is told of each neighbour's first slot before it
    // disappears into the joined run.
    template <class Absorbed>
    std::uint32_t insert(std::uint32_t first, std::uint32_t count, std::uint32_t top,
                         Absorbed absorbed) {
        if (first > 0 && slot(first - 1).kind.get() == kKind) {
            const std::uint32_t left = slot(first - 1).run_first.get();
            absorbed(left);
            count += slot(left).run_slots.get();
            remove(left);
            first = left;
        }
        if (const std::uint32_t right = first + count;
            right < top && slot(right).kind.get() == kKind) {
            absorbed(right);
            count += slot(right).run_slots.get();
            remove(right);
        }
        form(first, count, kKind);
        push(first);
        return first;
    }

    // Takes the run that starts at `first` out of its bucket; it stays formed, and the caller gives
    // it a kind.
    void remove(std::uint32_t first) {
        SuperSlab<W>& s = slot(first);
        const unsigned bucket = log2_floor(s.run_slots.get());
        if (s.prev.get() != 0) {
            slot(s.prev.get() - 1).next.set(s.next.get());
        } else {
            heads_[bucket].set(s.next.get());
        }
        if (s.next.get() != 0) slot(s.next.get() - 1).prev.set(s.prev.get());
        slots_.set(slots_.get() - s.run_slots.get());
    }

    // A run with room for `count` slots at a multiple of `alignment_bytes`; kNone if there is none.
    // `*at` is where they begin. Of each bucket a few runs are looked at, which keeps the lock's
    // hold short; `thorough`: all of them.
    std::uint32_t find(std::uint32_t count, std::size_t alignment_bytes, bool thorough,
                       std::uint32_t* at) const {
        const int most = thorough ? INT_MAX : kLookMax;
        for (unsigned bucket = log2_floor(count); bucket < kBuckets; ++bucket) {
            std::uint32_t best = kNone;
            int looked = 0;
            for (std::uint32_t i = heads_[bucket].get(); i != 0 && looked < most;
                 i = slot(i - 1).next.get(), ++looked) {
                const std::uint32_t first = i - 1, length = slot(first).run_slots.get();
                const std::uint32_t start = aligned_slot(first, alignment_bytes);
                if (start + count > first + length) continue;
                if (best == kNone || length < slot(best).run_slots.get()) {
                    best = first;
                    *at = start;
                }
            }
            if (best != kNone) return best;
        }
        return kNone;
    }

    std::size_t slots() const { return slots_.get(); }

    template <class Each>
    void for_each(Each each) const {
        for (unsigned bucket = 0; bucket < kBuckets; ++bucket) {
            for (std::uint32_t i = heads_[bucket].get(); i != 0; i = slot(i - 1).next.get())
                each(i - 1);
        }
    }

    static void form(std::uint32_t first, std::uint32_t count, SlotKind kind) {
        slot(first).run_slots.set(count);
        slot(first + count - 1).run_first.set(first);
        turn(first, count, kind);
    }
    // Of a run that is formed already.
    static void turn(std::uint32_t first, std::uint32_t count, SlotKind kind) {
        slot(first).kind.set(kind);
        slot(first + count - 1).kind.set(kind);
    }

    // First slot at or after `first` whose address is a multiple of alignment_bytes.
    static std::uint32_t aligned_slot(std::uint32_t first, std::size_t alignment_bytes) {
        if (alignment_bytes <= Window<W>::kSuperSlabBytes) return first;
        return static_cast<std::uint32_t>(
            window<W>.slot_of(align_up(window<W>.slot_address(first), alignment_bytes)));
    }

  private:
    template <World>
    friend class Audit;

    static constexpr unsigned kBuckets = 32;
    static constexpr int kLookMax = 64;  // a bucket's runs differ by less than a factor of two

    static SuperSlab<W>& slot(std::uint32_t i) { return window<W>.superslab(i); }

    void push(std::uint32_t first) {
        SuperSlab<W>& s = slot(first);
        const unsigned bucket = log2_floor(s.run_slots.get());
        s.prev.set(0);
        s.next.set(heads_[bucket].get());
        if (heads_[bucket].get() != 0) slot(heads_[bucket].get() - 1).prev.set(first + 1);
        heads_[bucket].set(first + 1);
        slots_.set(slots_.get() + s.run_slots.get());
    }

    Plain<W, std::uint32_t> heads_[kBuckets]{};
    Plain<W, std::size_t> slots_{};
};

// Slots in the order in which they became due, for purging or for decommitting. Under the pool's
// lock.
// INV decay.1  in_decay  <=>  the slot is on exactly one queue. A queue is served from its front;
//                             an entry that was split off an
//              older one, or joined it, may wait behind younger ones, never longer than the delay
//              once more.
template <World W>
class DecayQueue {
  public:
    void push(std::uint32_t i, std::uint64_t now_ms) {
        SuperSlab<W>& s = slot(i);
        HAK_ASSERT(!s.in_decay.get());
        s.in_decay.set(true);
        s.since_ms.set(now_ms);
        s.decay_next.set(0);
        s.decay_prev.set(tail_.get());
        if (tail_.get() != 0) {
            slot(tail_.get() - 1).decay_next.set(i + 1);
        } else {
            head_.set(i + 1);
        }
        tail_.set(i + 1);
    }
    void remove(std::uint32_t i) {
        SuperSlab<W>& s = slot(i);
        HAK_ASSERT(s.in_decay.get());
        const std::uint32_t next = s.decay_next.get(), prev = s.decay_prev.get();
        if (prev != 0) {
            slot(prev - 1).decay_next.set(next);
        } else {
            head_.set(next);
        }
        if (next != 0) {
            slot(next - 1).decay_prev.set(prev);
        } else {
            tail_.set(prev);
        }
        s.in_decay.set(false);
    }
    bool is_empty() const { return head_.get() == 0; }
    std::uint32_t front() const { return head_.get() - 1; }
    bool is_due(std::uint64_t now_ms, std::uint64_t delay_ms) const {
        return !is_empty() && slot(front()).since_ms.get() + delay_ms <= now_ms;
    }

  private:
    template <World>
    friend class Audit;

    static SuperSlab<W>& slot(std::uint32_t i) { return window<W>.superslab(i); }

    Plain<W, std::uint32_t> head_{}, tail_{};
};

}  // namespace hak
