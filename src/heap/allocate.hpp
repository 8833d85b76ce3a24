// allocate.hpp: the allocation story, top to bottom. Last: what each step costs between threads.
//
//   allocate_hit(heap, n)       pop the class's list                       thread_cache.hpp  plain
//   allocate_missed(heap, n)    everything else:
//     bump                      next untouched block of the current slab   thread_cache.hpp  plain
//     allocate_after_refill     cold: fill the bin from, in this order,
//       collect_pending         what other threads gave back               slabs.hpp      exchange
//       take_own_partial        a slab of this heap that has room          here              plain
//       take_from_others        of a heap whose thread is gone or idle     visit.hpp         tokens
//       open_slab               a fresh slab                               slabs.hpp   pool's lock
//       return_all_free         no memory: all that is free comes together, then once more
//                                                                          lifecycle.hpp
//     allocate_large            a run of units, above small_bytes_max      large.hpp   pool's lock
//     allocate_big              a run of superslabs, above large_bytes_max large.hpp   pool's lock
//
// Everything returns null when there is no memory, and has changed nothing then. errno is the C
// API's business.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sys/hooks.hpp"

#include "mem/reclaim.hpp"

#include "heap/heaps.hpp"
#include "heap/kept.hpp"
#include "heap/large.hpp"
#include "heap/lifecycle.hpp"
#include "heap/slabs.hpp"
#include "heap/thread_cache.hpp"
#include "heap/visit.hpp"

namespace hak {

// Takes room from the heap's first slab of class c that has any: its free list as a batch, its
// untouched blocks as bump range.
template <World W>
HAK_INLINE bool take_own_partial(Heap<W>& heap, SizeClass c) {
    const Timed<W, Activity::refill_own> timed;
    UnitRecord<W>* const slab = heap.partial[c].get();
    if (slab == nullptr) return false;
    Bin<W>& bin = heap.bins[c];
    heap.bump_slab[c].set(nullptr);  // the range is used up
    if (slab->free_count.get() != 0) fill<W>(bin, slab->take_free());
    if (const std::uint32_t blocks = slab->untouched.get(); blocks != 0) {
        bin.bump_zero.set(slab->zero_tail.get());
        bin.bump.set(slab->take_untouched());
        bin.bump_bytes.set(blocks * Classes<W>::block_bytes(c));
        heap.bump_slab[c].set(slab);
    }
    leave_partial(heap, slab, c);
    return true;
}

// Now and then a refill looks at the clock: lists that lie idle go back to their slabs, so that no
// slab is held for ever by a block in a list; empty slabs, of this heap and of heaps without a
// thread, go to the pool; what is free long enough is purged.
template <World W>
HAK_COLD void housekeep(Heap<W>& heap) {
    constexpr std::uint64_t kFlushMs = 500;
    const std::uint64_t now = W::Pal::now_ms();
    if (W::Sync::choose(Heuristic::flush, now - heap.flushed_ms.get() >= kFlushMs)) {
        heap.flushed_ms.set(now);
        flush_all(heap);
        release_empty_slabs(heap);
        if (W::Sync::choose(Heuristic::visit_orphans, heaps<W>.orphans() != 0)) visit_all<W>(false);
    }
    reclaim<W>.tick();
    Hooks<W>::tick();
}

// Room for class c from this heap's slabs, another heap's, or a fresh one, which is counted. False
// if there is no memory.
template <World W>
HAK_INLINE bool find_room(Heap<W>& heap, SizeClass c) {
    if (take_own_partial(heap, c)) {
        bump_counter<W>(heap.refills_own);
        return true;
    }
    // What was taken over is empty perhaps, and went to the pool.
    if (take_from_others(heap, c) && take_own_partial(heap, c)) {
        bump_counter<W>(heap.refills_others);
        return true;
    }
    UnitRecord<W>* const slab = open_slab(heap, c);
    if (slab == nullptr) return false;
    join_partial(heap, slab, c);
    bump_counter<W>(heap.refills_opened);
    return take_own_partial(heap, c);
}

// Precondition: the bin of class c is empty. False if there is no memory.
template <World W>
HAK_COLD bool refill(Heap<W>& heap, SizeClass c) {
    const Timed<W, Activity::refill> timed;
    constexpr std::uint32_t kHousekeepEvery = 64;
    const Held<W> held(heap);
    heap.idle_looks.store(0, order::relaxed);  // relaxed: a hint for visitors
    bump_counter<W>(heap.refills_total);
    heap.refills.set(heap.refills.get() + 1);
    if (W::Sync::choose(Heuristic::housekeep, heap.refills.get() % kHousekeepEvery == 0))
        housekeep(heap);
    if (W::Sync::choose(Heuristic::collect, has_pending(heap))) collect_pending(heap);
    if (find_room(heap, c)) [[likely]]
        return true;
    // Other classes' lists, other heaps and the pool may keep what this class needs; and if nothing
    // comes together here, another thread may just have returned it.
    return_all_free(heap, true);
    if (find_room(heap, c)) return true;
    bump_counter<W>(heap.refills_failed);
    return false;
}

// A block from the bin without a refill; null if the bin is empty.
template <World W>
HAK_INLINE FreshBlock take_from_bin(Heap<W>& heap, SizeClass c) {
    Bin<W>& bin = heap.bins[c];
    if (const Address at = bin.list.get(); at != 0) [[unlikely]] {
        if (Block<W>* const b = pop<W>(bin)) return {b, false};
        W::fault(Fault::overwritten, Entry::allocate, block_at<W>(at));
    }
    return {bump<W>(bin, c), bin.bump_zero.get()};
}

// The bin had nothing, or the thread has no heap. `bytes` is what the client asked for.
template <World W>
HAK_COLD FreshBlock allocate_after_refill(Heap<W>* heap, SizeClass c, std::size_t bytes) {
    if (has_heap(heap)) [[likely]]
        return served<W>(Event::refilled,
                         refill(*heap, c) ? take_from_bin(*heap, c) : FreshBlock{});
    if constexpr (kProfiled<W>) {
        if (Hooks<W>::takes_call()) return Hooks<W>::allocate_small(bytes, c);
    }
    const Borrowed<W> borrowed = heap_for_this_call<W>();
    if (borrowed.heap == nullptr) return served<W>(Event::refilled, {});
    FreshBlock fresh = take_from_bin(*borrowed.heap, c);
    if (fresh.block == nullptr && refill(*borrowed.heap, c))
        fresh = take_from_bin(*borrowed.heap, c);
    finish_call(borrowed);
    return served<W>(Event::refilled, fresh);
}

// A block of class c for `bytes`, which fit, whether the bin has one or not.
template <World W>
HAK_INLINE FreshBlock allocate_small(Heap<W>* heap, std::size_t bytes, SizeClass c) {
    FreshBlock fresh = take_from_bin(*heap, c);
    if (fresh.block == nullptr) [[unlikely]] {
        fresh = allocate_after_refill(heap, c, bytes);
    } else {
        W::Probe::on_event(Event::untouched);
    }
    if (fresh.block != nullptr)
        W::Probe::on_hand_out(fresh.block, bytes, Classes<W>::block_bytes(c));
    return fresh;
}

// The hit: null if the size is not small, or if the class's list has nothing to give.
template <World W>
HAK_INLINE void* allocate_hit(Heap<W>* heap, std::size_t bytes) {
    W::Probe::on_event(Event::request);
    if (bytes > W::kConfig.small_bytes_max) [[unlikely]]
        return nullptr;
    const SizeClass c = Classes<W>::class_of(bytes);
    Block<W>* const b = pop<W>(heap->bins[c]);
    if (b != nullptr) [[likely]] {
        W::Probe::on_event(Event::popped);
        W::Probe::on_hand_out(b, bytes, Classes<W>::block_bytes(c));
    }
    return b;
}

template <World W>
HAK_NOINLINE FreshBlock allocate_small_missed(Heap<W>* heap, std::size_t bytes) {
    return allocate_small(heap, bytes, Classes<W>::class_of(bytes));
}

// What a hit could not serve.
template <World W>
HAK_INLINE FreshBlock allocate_missed(Heap<W>* heap, std::size_t bytes) {
    if (bytes <= W::kConfig.small_bytes_max) return allocate_small_missed(heap, bytes);
    return allocate_above_small<W>(heap, bytes, kMinAlignment);
}

// The same for a client that says where it stands: a Large or Big block's record holds the site.
template <World W>
HAK_NOINLINE FreshBlock allocate_missed_at(Heap<W>* heap, std::size_t bytes, Address site) {
    if constexpr (kProfiled<W>) {
        if (Hooks<W>::takes_call()) [[unlikely]]
            return Hooks<W>::allocate(bytes, site, bytes);
    }
    if (bytes <= W::kConfig.small_bytes_max)
        return allocate_small(heap, bytes, Classes<W>::class_of(bytes));
    const unsigned place = place_of<W>(site);
    // No call of the hooks: what a site gets from its own place costs the same whatever is
    // learned.
    FreshBlock fresh{take_kept(*heap, place, bytes, kMinAlignment), false};
    if (fresh.block != nullptr) {
        W::Probe::on_event(Event::above_small);
    } else {
        fresh = allocate_above_small<W>(heap, bytes, kMinAlignment);
        if (fresh.block == nullptr) return {};
    }
    UnitRecord<W>* const record = window<W>.record_of(address_of(fresh.block));
    record->place.set(static_cast<std::uint8_t>(place));
    record->site.set(site);
    return fresh;
}

template <World W>
HAK_INLINE void* allocate(Heap<W>* heap, std::size_t bytes) {
    void* const hit = allocate_hit(heap, bytes);
    return hit != nullptr ? hit : allocate_missed(heap, bytes).block;
}

// The heap comes last, so that a hit has memset's first register for the block.
template <World W>
HAK_NOINLINE void* allocate_zeroed_missed(std::size_t bytes, Heap<W>* heap) {
    const FreshBlock fresh = allocate_missed(heap, bytes);
    if (fresh.block == nullptr) return nullptr;
    if (!fresh.zero) {
        __builtin_memset(fresh.block, 0, bytes);
    } else {
        W::Probe::on_zero(fresh.block, bytes);
    }
    return fresh.block;
}

// `bytes` zero bytes.
template <World W>
HAK_INLINE void* allocate_zeroed(Heap<W>* heap, std::size_t bytes) {
    void* const hit = allocate_hit(heap, bytes);
    if (hit == nullptr) [[unlikely]]
        return allocate_zeroed_missed(bytes, heap);
    __builtin_memset(hit, 0, bytes);
    return hit;
}

// What the list of class c could not serve; c may be kCount, for none.
template <World W>
HAK_NOINLINE void* allocate_aligned_missed(Heap<W>* heap, std::size_t alignment, std::size_t bytes,
                                           unsigned c) {
    if (c < Classes<W>::kCount) return allocate_small(heap, bytes, static_cast<SizeClass>(c)).block;
    return allocate_above_small<W>(heap, bytes, alignment).block;
}

// Precondition: alignment is a power of two.
template <World W>
HAK_INLINE void* allocate_aligned(Heap<W>* heap, std::size_t alignment, std::size_t bytes) {
    W::Probe::on_event(Event::request);
    const unsigned c =
        Classes<W>::class_of_aligned(bytes, alignment < kMinAlignment ? kMinAlignment : alignment);
    if (c < Classes<W>::kCount) [[likely]] {
        if (Block<W>* const b = pop<W>(heap->bins[c])) [[likely]] {
            W::Probe::on_event(Event::popped);
            W::Probe::on_hand_out(b, bytes, Classes<W>::block_bytes(static_cast<SizeClass>(c)));
            return b;
        }
    }
    return allocate_aligned_missed(heap, alignment, bytes, c);
}

}  // namespace hak
