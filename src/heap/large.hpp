// large.hpp: blocks above small_bytes_max. Large: a run of units; Big: a run of superslabs. Neither
// needs a heap; a thread that has one keeps the Large runs that it freed last (kept.hpp).
//
// INV large.1  the record of a Large or Big block's first unit says so and holds the block's
//              address; no other record points at it
// INV large.2  state leaves large/big by one CAS, so that of two frees of one block exactly one
//              succeeds
#pragma once

#include <cstddef>
#include <cstdint>

#include "sys/hooks.hpp"

#include "mem/reclaim.hpp"

#include "heap/kept.hpp"
#include "heap/lifecycle.hpp"

namespace hak {

// A block fresh from its source, and whether its bytes (behind the first two words of a small
// block) are known to be zero.
struct FreshBlock {
    void* block = nullptr;
    bool zero = false;
};

// What a request was served with, or that it was not.
template <World W>
HAK_INLINE FreshBlock served(Event how, FreshBlock fresh) {
    W::Probe::on_event(fresh.block != nullptr ? how : Event::refused);
    return fresh;
}

// Bytes to skip at the front of a run whose client asked for no alignment, so that large blocks do
// not all begin in one cache set. A multiple of a cache line below kColorsEnd, spread by Fibonacci
// hashing over the run's position, and never in the sets of the run's own record: a client that
// writes one byte in each page would evict what its free reads (twice the time of malloc, 16 writes
// and free of 64 KiB). The block begins in its run's first unit, whose record speaks for it: in a
// small geometry a color must be below a unit.
template <World W>
inline std::size_t color_of(std::size_t position, std::size_t slack) {
    if (slack < kCacheLine) return 0;
    constexpr std::uint32_t kSets = kColorsEnd / kCacheLine,
                            kRecord = sizeof(UnitRecord<W>) / kCacheLine;
    if (slack >= W::kConfig.unit_bytes) slack = W::kConfig.unit_bytes - 1;
    const std::uint32_t spread =
        wrapping_mul(static_cast<std::uint32_t>(position), 2654435769u) >> 26;
    const std::size_t behind_record = (position + 1) * kRecord + spread * (kSets - kRecord) / kSets;
    const std::size_t color = behind_record % kSets * kCacheLine;
    return color <= slack ? color : color % (slack + 1) / kCacheLine * kCacheLine;
}

template <World W>
inline void* publish_block(Address run, std::size_t offset, UnitState state, unsigned units,
                           std::size_t bytes, std::size_t usable) {
    UnitRecord<W>* const record = window<W>.record_of(run);
    record->units.set(static_cast<std::uint8_t>(units));
    record->place.set(0);
    // relaxed: whoever frees the block has it from us through the program's own synchronization
    record->start.store(run + offset, order::relaxed);
    record->owner.store(nullptr, order::relaxed);
    record->state.store(state, order::relaxed);
    void* const p = pointer_to<void>(run + offset);
    W::Probe::on_hand_out(p, bytes, usable - offset);
    return p;
}

// Units of a run for so many bytes, at most large_bytes_max(). A page more for the color even where
// the size fills its units exactly: what lies behind it in the last unit is never touched, so that
// it costs address space and commit charge, not memory.
template <World W>
HAK_INLINE unsigned units_for(std::size_t bytes, bool colored) {
    const std::size_t with_color = bytes + W::kConfig.page_bytes;
    const std::size_t room =
        colored && with_color <= W::kConfig.large_bytes_max() ? with_color : bytes;
    return static_cast<unsigned>(divide_up(room, W::kConfig.unit_bytes));
}

template <World W>
HAK_NOINLINE FreshBlock allocate_large(Heap<W>* heap, std::size_t bytes, std::size_t alignment) {
    constexpr std::size_t kUnit = W::kConfig.unit_bytes;
    const bool colored = alignment <= kCacheLine;
    const unsigned units = units_for<W>(bytes, colored);
    typename Hooks<W>::Call call;
    call.set_bytes(bytes);
    if (void* const kept = take_kept(*heap_of_thread(heap), 0, bytes, alignment))
        return {kept, false};
    FreshRun run = pool<W>.acquire_units(units, Pool<W>::Use::block);
    if (run.address == 0) {
        trim<W>(true);  // if it returned nothing, another thread's may just have returned it all
        run = pool<W>.acquire_units(units, Pool<W>::Use::block);
    }
    if (run.address == 0) return {};
    const std::size_t offset =
        colored ? color_of<W>(window<W>.unit_index(run.address), units * kUnit - bytes) : 0;
    return {publish_block<W>(run.address, offset, UnitState::large, units, bytes, units * kUnit),
            run.zero};
}

template <World W>
HAK_NOINLINE FreshBlock allocate_big(std::size_t bytes, std::size_t alignment) {
    constexpr std::size_t kSlot = Window<W>::kSuperSlabBytes;
    if (bytes > window<W>.bytes() || alignment > window<W>.bytes()) return {};
    const auto slots = static_cast<std::uint32_t>(bytes == 0 ? 1 : divide_up(bytes, kSlot));
    typename Hooks<W>::Call call;
    call.set_bytes(bytes);
    FreshRun run = pool<W>.acquire_slots(slots, alignment, Pool<W>::Use::block);
    if (run.address == 0) {
        trim<W>(true);  // as in allocate_large
        run = pool<W>.acquire_slots(slots, alignment, Pool<W>::Use::block);
    }
    if (run.address == 0) return {};
    const bool colored = alignment <= kCacheLine;
    const std::size_t offset =
        colored ? color_of<W>(window<W>.unit_index(run.address), slots * kSlot - bytes) : 0;
    return {publish_block<W>(run.address, offset, UnitState::big, 0, bytes, slots * kSlot),
            run.zero};
}

template <World W>
HAK_NOINLINE FreshBlock allocate_run(Heap<W>* heap, std::size_t bytes, std::size_t alignment) {
    if constexpr (kProfiled<W>) {
        if (Hooks<W>::takes_call()) [[unlikely]]
            return Hooks<W>::allocate_above_small(bytes, alignment);
    }
    if (!start<W>()) return served<W>(Event::above_small, {});
    if (bytes <= W::kConfig.large_bytes_max() && alignment <= W::kConfig.unit_bytes) {
        return served<W>(Event::above_small,
                         allocate_large<W>(heap, bytes == 0 ? 1 : bytes, alignment));
    }
    return served<W>(Event::above_small, allocate_big<W>(bytes, alignment));
}

// Large or Big. What the thread keeps is looked at first, and nothing else where it fits and nobody
// watches.
template <World W>
HAK_INLINE FreshBlock allocate_above_small(Heap<W>* heap, std::size_t bytes,
                                           std::size_t alignment) {
    if (!Hooks<W>::is_watching(heap->keeps)) [[likely]] {
        if (void* const kept = take_kept(*heap, 0, bytes, alignment))
            return served<W>(Event::above_small, {kept, false});
    }
    return allocate_run(heap, bytes, alignment);
}

// The site that the record of a live Large or Big block holds; 0: nobody said one.
template <World W>
HAK_INLINE Address site_in(const UnitRecord<W>* record) {
    return record->place.get() != 0 ? record->site.get() : 0;
}

// The same of whatever `p` may be: 0 if it is not such a block.
template <World W>
HAK_COLD Address site_of(const void* p) {
    const UnitRecord<W>* const record = window<W>.find(address_of(p));
    if (record == nullptr) return 0;
    // relaxed, both: a live block's record does not change
    const UnitState state = record->state.load(order::relaxed);
    if ((state != UnitState::large && state != UnitState::big) ||
        record->start.load(order::relaxed) != address_of(p))
        return 0;
    return site_in(record);
}

// First byte of the run, and its length, of a Large or Big block.
struct Run {
    Address address;
    std::size_t bytes;
};
template <World W>
HAK_INLINE Run run_of(const UnitRecord<W>* record, UnitState state) {
    // relaxed: the block is live, nobody changes it
    const Address p = record->start.load(order::relaxed);
    if (state == UnitState::large)
        return {align_down(p, W::kConfig.unit_bytes), record->units.get() * W::kConfig.unit_bytes};
    const Address run = align_down(p, Window<W>::kSuperSlabBytes);
    return {run, pool<W>.big_slots(run) * Window<W>::kSuperSlabBytes};
}

// Whether a freed run of so many bytes goes into the purge batch.
template <World W>
HAK_INLINE bool is_batched(std::size_t bytes) {
    return bytes >= Hooks<W>::batch_threshold(tunables<W>.get().batch_threshold);
}

// The state's one change when the block, whose client may use `usable` bytes, is freed; false if
// somebody freed it already.
template <World W>
HAK_INLINE bool retire(UnitRecord<W>* record, UnitState from, UnitState to, void* p,
                       std::size_t usable) {
    // relaxed: exactly-once is the CAS's own; the pool's lock orders everything else, and what is
    // kept stays with this thread.
    if (!swap_alone<W, UnitState>(record->state, from, to) &&
        !record->state.cas_strong(from, to, order::relaxed, order::relaxed))
        return false;
    W::Probe::on_retire(p, usable);
    return true;
}

// Frees a Large block whose run this thread keeps at once. False if `p` is not such a block.
template <World W>
HAK_INLINE bool keep_at_once(Heap<W>* heap, UnitRecord<W>* record, void* p) {
    // relaxed, both: a live block's record does not change
    if (record->state.load(order::relaxed) != UnitState::large ||
        record->start.load(order::relaxed) != address_of(p))
        return false;
    if (!is_kept_at_once(heap, record)) return false;
    // the slow path finds it freed
    if (!retire(record, UnitState::large, UnitState::kept, p,
                bytes_to_run_end(record, address_of(p))))
        return false;
    keep_in_empty_place(*heap, record);
    return true;
}

// False if the block was not large or big any more: somebody freed it already.
template <World W>
HAK_NOINLINE bool release_above_small(Heap<W>* heap, UnitRecord<W>* record, UnitState state) {
    typename Hooks<W>::Call call;
    const Run run = run_of(record, state);
    call.set_bytes(run.bytes);
    const bool keeps = state == UnitState::large && is_kept_when_freed(heap, record);
    const Address p = record->start.load(order::relaxed);  // relaxed: as in run_of
    if (!retire(record, state, keeps ? UnitState::kept : UnitState::free, pointer_to<void>(p),
                run.address + run.bytes - p))
        return false;
    if (keeps) {
        keep(*heap, record);
        return true;
    }
    using Wait = typename Pool<W>::Wait;
    const Wait wait = is_batched<W>(run.bytes) ? Wait::batch : Wait::decay;
    const std::uint64_t now_ms = W::Pal::now_ms();
    if (run.bytes < Window<W>::kSuperSlabBytes) {
        pool<W>.release_units(run.address, static_cast<unsigned>(run.bytes / W::kConfig.unit_bytes),
                              wait, now_ms);
    } else {
        pool<W>.release_slots(run.address, wait, now_ms);
    }
    reclaim<W>.tick(now_ms);
    return true;
}

// Changes a run's length in place; false if what lies behind it is not free. `bytes` counts from
// the block's start.
template <World W>
HAK_COLD bool resize_in_place(UnitRecord<W>* record, UnitState state, std::size_t bytes) {
    if (bytes > window<W>.bytes()) return false;  // the sum below must not wrap around
    const Run run = run_of(record, state);
    const Address p = record->start.load(order::relaxed);  // relaxed: as in run_of
    const std::size_t needed = p - run.address + bytes;
    if (state == UnitState::large) {
        constexpr std::size_t kUnit = W::kConfig.unit_bytes;
        if (needed > W::kConfig.large_bytes_max()) return false;
        const auto units = static_cast<unsigned>(divide_up(needed, kUnit)),
                   old = static_cast<unsigned>(run.bytes / kUnit);
        if (units > old && !pool<W>.extend_units(run.address, old, units)) return false;
        record->units.set(static_cast<std::uint8_t>(units));
        if (units < old) pool<W>.release_units(run.address + units * kUnit, old - units);
        return true;
    }
    // What fits a Large run moves there: a slot of its own would keep all its pages.
    if (needed <= W::kConfig.large_bytes_max()) return false;
    constexpr std::size_t kSlot = Window<W>::kSuperSlabBytes;
    const auto slots = static_cast<std::uint32_t>(divide_up(needed, kSlot)),
               old = static_cast<std::uint32_t>(run.bytes / kSlot);
    if (slots > old) return pool<W>.extend_slots(run.address, old, slots);
    if (slots < old) pool<W>.shrink_slots(run.address, slots);
    return true;
}

}  // namespace hak
