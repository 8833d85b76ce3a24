// resize.hpp: usable size and realloc, told with the words of the two stories.
//
//   reallocate(heap, p, n)    in place if the class stays (small), or if the run can shrink or grow
//                             where it is (Large, Big); else allocate, copy, deallocate
#pragma once

#include <cstddef>

#include "sys/hooks.hpp"

#include "mem/window.hpp"

#include "heap/allocate.hpp"
#include "heap/deallocate.hpp"
#include "heap/heap.hpp"
#include "heap/large.hpp"

namespace hak {

// Whether the address is that of a block which this thread's heap has handed to nobody yet. Another
// heap's range cannot be seen.
template <World W>
HAK_INLINE bool is_untouched_here(const Heap<W>* heap, const UnitRecord<W>* record, Address a) {
    // relaxed, both: only this thread makes a slab belong to this heap, and wrote its class then.
    return record->owner.load(order::relaxed) == heap &&
           heap->bins[record->size_class.load(order::relaxed)].is_untouched(a);
}

// A live block, as far as its address can tell. Faults in the name of `entry` where no live block
// starts at p.
template <World W>
struct Located {
    UnitRecord<W>* record;
    UnitState state;
    std::size_t usable;
};

template <World W>
inline Located<W> locate(const void* p, Entry entry) {
    const Address a = address_of(p);
    if (!window<W>.contains(a)) [[unlikely]]
        W::fault(Fault::foreign, entry, p);
    UnitRecord<W>* const record = window<W>.record_of(a);
    // relaxed: a live block's record does not change
    const UnitState state = record->state.load(order::relaxed);
    if (state == UnitState::slab) {
        if (!record->is_block_start(a)) [[unlikely]]
            bad_block<W>(p, entry);
        if (block_at<W>(a)->is_closed(window<W>.secret())) [[unlikely]]
            W::fault(Fault::double_free, entry, p);
        if (is_untouched_here(static_cast<Heap<W>*>(W::current_heap()), record, a)) [[unlikely]]
            W::fault(Fault::not_allocated, entry, p);
        return {record, state, record->block_bytes()};
    }
    if ((state != UnitState::large && state != UnitState::big) ||
        record->start.load(order::relaxed) != a) [[unlikely]]
        bad_block<W>(p, entry);
    const Run run = run_of(record, state);
    return {record, state, run.address + run.bytes - a};
}

template <World W>
inline std::size_t usable_size(const void* p) {
    std::size_t usable = locate<W>(p, Entry::usable_size).usable;
    if constexpr (kProfiled<W>) {
        if (Hooks<W>::takes_call()) [[unlikely]]
            usable = Hooks<W>::usable_of(p, usable);
    }
    // who asks may use it all
    W::Probe::on_resize(pointer_to<void>(address_of(p)), usable, usable);
    return usable;
}

// Whether a block of `usable` bytes is a fitting home for `bytes`: large enough, and not twice too
// large.
inline bool fits(std::size_t usable, std::size_t bytes) {
    return bytes <= usable && bytes >= usable / 2;
}

// Whether a small block of `usable` bytes must move. (Said the other way round, clang takes three
// instructions more in realloc's hit.)
HAK_INLINE bool moves_small(std::size_t usable, std::size_t bytes) {
    return !fits(usable, bytes) && (bytes > usable || usable > kMinAlignment);
}

// Precondition: p holds `usable` bytes. `allocate` is asked for `want` bytes, and for `bytes` if
// there is no memory for so many. Returns null, and leaves the block as it was, if there is none
// for more than `usable`.
template <World W, class Allocate>
HAK_INLINE void* move_to(Heap<W>* heap, void* p, std::size_t usable, std::size_t want,
                         std::size_t bytes, Allocate allocate) {
    void* fresh = allocate(want);
    if (fresh == nullptr && want != bytes) fresh = allocate(bytes);
    if (fresh == nullptr) {
        if (bytes > usable) return nullptr;
        // no memory for a better home: the block stays where it is
        W::Probe::on_resize(p, bytes, usable);
        return p;
    }
    W::Probe::on_move(p, usable);
    __builtin_memcpy(fresh, p, bytes < usable ? bytes : usable);
    deallocate(heap, p);  // where the thread's heap was born in allocate(), as a thread without one
    return fresh;
}

template <World W>
HAK_NOINLINE void* move_small(Heap<W>* heap, void* p, std::size_t usable, std::size_t bytes) {
    return move_to(heap, p, usable, bytes, bytes,
                   [heap](std::size_t n) { return allocate(heap, n); });
}

// The site goes with the block, as long as it is large or a profile samples it.
template <World W>
HAK_NOINLINE void* move_above_small(Heap<W>* heap, void* p, std::size_t usable, std::size_t want,
                                    std::size_t bytes, Address site) {
    return move_to(heap, p, usable, want, bytes, [=](std::size_t n) {
        void* const hit = allocate_hit(heap, n);
        if (hit != nullptr) return hit;
        if constexpr (kProfiled<W>) {
            if (Hooks<W>::takes_call()) [[unlikely]]
                return Hooks<W>::allocate(n, site, bytes).block;
        }
        return (site == 0 ? allocate_missed(heap, n) : allocate_missed_at(heap, n, site)).block;
    });
}

template <World W>
HAK_COLD void* reallocate_above_small(Heap<W>* heap, void* p, std::size_t bytes) {
    const Located<W> old = locate<W>(p, Entry::realloc);
    std::size_t want = bytes;
    if (bytes > W::kConfig.small_bytes_max) {
        if (fits(old.usable, bytes) || resize_in_place(old.record, old.state, bytes)) {
            W::Probe::on_resize(p, bytes, locate<W>(p, Entry::realloc).usable);
            if constexpr (kProfiled<W>) {
                if (Hooks<W>::takes_call()) [[unlikely]]
                    Hooks<W>::resize(p, bytes);
            }
            return p;
        }
        // A run that grows once will grow again: behind a grown block an eighth stays untouched,
        // which costs address space only, and keeps the number of copies logarithmic.
        if (bytes > old.usable && bytes < W::kConfig.window_bytes) want = bytes + bytes / 8;
    } else if constexpr (kProfiled<W>) {
        if (Hooks<W>::takes_call() && Hooks<W>::stays(p, bytes)) [[unlikely]] {
            W::Probe::on_resize(p, bytes, old.usable);
            return p;
        }
    }
    return move_above_small(heap, p, old.usable, want, bytes, site_in(old.record));
}

// Precondition: p is not null. Returns null, and leaves the block as it was, if there is no memory.
template <World W>
HAK_INLINE void* reallocate(Heap<W>* heap, void* p, std::size_t bytes) {
    const Address a = address_of(p);
    const UnitRecord<W>* const record = window<W>.find(a);
    // relaxed: a live block's record does not change. Whatever is not plainly a live small block is
    // told apart by locate().
    if (record == nullptr || record->state.load(order::relaxed) != UnitState::slab ||
        !record->is_block_start(a) || block_at<W>(a)->is_closed(window<W>.secret()) ||
        is_untouched_here(heap, record, a)) [[unlikely]] {
        return reallocate_above_small(heap, p, bytes);
    }
    const std::size_t usable = record->block_bytes();
    if (moves_small(usable, bytes)) return move_small(heap, p, usable, bytes);
    W::Probe::on_resize(p, bytes, usable);
    return p;
}

}  // namespace hak
