// heaps.hpp: all heaps of the process, type-stable and numbered; birth and adoption happen here,
// under the registry's lock.
#pragma once

#include <cstdint>
#include <new>

#include "sys/lock.hpp"

#include "mem/window.hpp"

#include "heap/heap.hpp"  // IWYU pragma: export
#include "heap/kept.hpp"

namespace hak {

template <World W>
class Heaps {
  public:
    static_assert(sizeof(Heap<W>) <= Window<W>::kHeapStride);

    constexpr Heaps() = default;

    // Heaps [0, count()) exist. acquire: pairs with the store in create(): a heap that is counted
    // is constructed.
    unsigned count() const { return count_.load(order::acquire); }
    Heap<W>& at(unsigned i) const {
        return *std::launder(static_cast<Heap<W>*>(window<W>.heap_memory(i)));
    }
    // A hint: how many heaps have no thread.
    unsigned orphans() const { return orphans_.load(order::relaxed); }
    // relaxed: a hint
    void note_orphan(int by) { orphans_.fetch_add(static_cast<unsigned>(by), order::relaxed); }
    // relaxed: in a forked child, which has one thread
    void set_orphans(unsigned count) { orphans_.store(count, order::relaxed); }
    Lock<W>& lock() { return lock_; }

    // Visiting ends before fork copies the process, so that no orphan is left half-changed.
    // Dekker's pattern: a visitor announces itself and then looks for the fork; fork announces
    // itself and then looks for visitors. seq_cst on all four, or both could miss.
    bool begin_visiting() {
        // relaxed: a hint, so that fork does not wait for those whom it turns away
        if (visiting_barred_.load(order::relaxed)) return false;
        visitors_.fetch_add(1, order::seq_cst);
        if (!visiting_barred_.load(order::seq_cst)) return true;
        end_visiting();
        return false;
    }
    // seq_cst, here and in bar_visiting(): either whoever bars visiting sees this decrement, or we
    // see the bar and wake it.
    void end_visiting() {
        // release part: pairs with the load in bar_visiting()
        const bool was_last = visitors_.fetch_sub(1, order::seq_cst) == 1;
        if (was_last && visiting_barred_.load(order::seq_cst)) W::Pal::wake_one(visitors_futex());
    }
    // One thread at a time.
    void bar_visiting() {
        // seq_cst: pairs with the loads in begin_visiting() and end_visiting()
        visiting_barred_.store(true, order::seq_cst);
        // seq_cst: pairs with begin_visiting() and end_visiting(). acquire part: what visitors
        // wrote is in the copy.
        while (const std::uint32_t visitors = visitors_.load(order::seq_cst))
            W::Pal::sleep_while(visitors_futex(), visitors);
    }
    // relaxed: hands nothing over; who sees it late visits later
    void allow_visiting() { visiting_barred_.store(false, order::relaxed); }
    // In a forked child: nobody visited when the process was copied, but a thread that found
    // visiting barred may have been announced still.
    void forget_visitors() {
        visitors_.store(0, order::relaxed);  // relaxed, both: the child has one thread
        visiting_barred_.store(false, order::relaxed);
    }

    // A heap that the calling thread owns: an orphan with all it has, or a new one. Null if there
    // is no memory for one.
    Heap<W>* take() {
        if (Heap<W>* const adopted = adopt()) return adopted;
        LockGuard<W> guard(lock_);
        const unsigned i = count();
        if (i >= window<W>.heaps_max()) return nullptr;
        if (i >= ready_.get()) return nullptr;
        Heap<W>* const heap = ::new (window<W>.heap_memory(i)) Heap<W>{};
        heap->reset_bins();
        heap->kept_units_max.set(static_cast<std::uint8_t>(longest_kept_run<W>()));
        heap->token.store(Token::owned, order::relaxed);  // relaxed: published by the next store
        count_.store(i + 1, order::release);              // release: pairs with count()
        return heap;
    }

    // The options that the limit depends on have come, and heaps may have been born before.
    // Precondition: the process has one thread.
    void renew_kept_units_max() {
        for (unsigned i = 0; i < count(); ++i)
            at(i).kept_units_max.set(static_cast<std::uint8_t>(longest_kept_run<W>()));
    }

    // Makes memory for one more heap; a system call, so outside the lock. False if there is none.
    bool make_room() {
        const unsigned i = count();
        if (i >= window<W>.heaps_max() || !window<W>.make_heap_ready(i)) return false;
        LockGuard<W> guard(lock_);
        if (ready_.get() < i + 1) ready_.set(i + 1);
        return true;
    }

  private:
    // A futex is the address of the word; Atomic<T> has the size and the representation of T.
    std::uint32_t* visitors_futex() { return pointer_to<std::uint32_t>(address_of(&visitors_)); }

    Heap<W>* adopt() {
        const unsigned n = count();
        if (!W::Sync::choose(Heuristic::adopt, orphans() != 0)) return nullptr;
        for (unsigned i = 0; i < n; ++i) {
            Heap<W>& heap = at(i);
            Token seen = Token::orphan;
            // relaxed: a guess for the CAS
            if (heap.token.load(order::relaxed) != Token::orphan) continue;
            // acquire: pairs with let_go() of the exiting thread or of the last visitor.
            if (heap.token.cas_strong(seen, Token::owned, order::acquire, order::relaxed)) {
                note_orphan(-1);
                return &heap;
            }
        }
        return nullptr;
    }

    Lock<W> lock_;
    Plain<W, unsigned> ready_{};  // heaps whose memory can be written; under the lock
    Atomic<W, unsigned> count_{};
    Atomic<W, unsigned> orphans_{};
    Atomic<W, std::uint32_t> visitors_{};
    Atomic<W, bool> visiting_barred_{};
};

template <World W>
inline constinit Heaps<W> heaps{};

}  // namespace hak
