// window.hpp: the one reserved address range. An address is ours if and only if it lies in here;
// nothing outside is dereferenced.
//
// Layout of the reservation, the window aligned to a superslab and the rest to pages:
//   [ window: slots of one superslab | unit table: one UnitRecord per unit
//     | superslab table: one SuperSlab per slot | heaps ]
// The unit table is readable from the start and says "free" (zero) wherever nobody wrote. The
// tables become writable from their beginning, in steps, as the highest slot in use rises
// (`slots_ready`), and never shrink: two mappings each. Core dumps hold the slots that are ready,
// their records and the heaps: gdb's gcore writes what nobody ever touched, too, and the rest may
// be a terabyte.
//
// INV window.1  window.base and window.bytes change once, from kClosed and zero, before the first
//               block is handed out
// INV window.2  slot s is used only if s < slots_ready
// INV window.3  nothing in the window is ever unmapped
#pragma once

#include <cstddef>
#include <cstdint>

#include "mem/superslab.hpp"    // IWYU pragma: export
#include "mem/unit_record.hpp"  // IWYU pragma: export

namespace hak {

template <World W>
class Window {
  public:
    static constexpr Config kConfig = W::kConfig;
    static constexpr std::size_t kSuperSlabBytes = kConfig.superslab_bytes();
    static constexpr unsigned kUnitShift = log2_floor(kConfig.unit_bytes);
    static constexpr std::size_t kHeapStride = 4096;
    static constexpr Address kClosed = Address{1} << 63;  // base while the window is not open

    constexpr Window() = default;

    // The record of the unit that holds p; null if p lies outside the window.
    // relaxed loads: a thread that has a block got it from somebody to whom the window was open
    // (happens-before through the program's own hand-over). A thread with a foreign pointer may see
    // any mixture of old and new words, and each says "not ours": no length reaches from kClosed to
    // an address, and the window itself holds no foreign address.
    HAK_WRAPS HAK_INLINE UnitRecord<W>* find(Address p) const {
        const Address offset = p - base_.load(order::relaxed);
        if (offset >= bytes_.load(order::relaxed)) [[unlikely]]
            return nullptr;
        UnitRecord<W>* const record = table_.load(order::relaxed) + (offset >> kUnitShift);
        if (record == nullptr) __builtin_unreachable();  // spares the hit a second test
        return record;
    }
    bool contains(Address p) const { return find(p) != nullptr; }
    // Precondition: contains(p).
    UnitRecord<W>* record_of(Address p) const {
        return table_.load(order::relaxed) + ((p - base_.load(order::relaxed)) >> kUnitShift);
    }
    HAK_INLINE Address secret() const { return secret_.load(order::relaxed); }

    Address base() const { return base_.load(order::relaxed); }
    std::size_t bytes() const { return bytes_.load(order::relaxed); }
    // acquire: pairs with the last store of open()
    bool is_open() const { return base_.load(order::acquire) != kClosed; }

    std::size_t slot_count() const { return bytes() / kSuperSlabBytes; }
    Address slot_address(std::size_t slot) const { return base() + slot * kSuperSlabBytes; }
    std::size_t slot_of(Address p) const { return (p - base()) / kSuperSlabBytes; }
    std::size_t unit_index(Address p) const { return (p - base()) >> kUnitShift; }
    UnitRecord<W>* record(std::size_t unit) const { return table_.load(order::relaxed) + unit; }
    UnitRecord<W>* head_record(const UnitRecord<W>* any) const {
        return record_of(any->start.load(order::relaxed));
    }
    SuperSlab<W>& superslab(std::size_t slot) const { return superslabs_.get()[slot]; }
    void* heap_memory(std::size_t index) const {
        return pointer_to<void>(heaps_.get() + index * kHeapStride);
    }
    unsigned heaps_max() const { return heaps_max_.get(); }

    // acquire: pairs with make_ready
    std::size_t slots_ready() const { return slots_ready_.load(order::acquire); }
    bool make_ready(std::size_t slots);
    bool make_heap_ready(std::size_t index);

    // Reserves the window; false if not even the smallest fits. Caller holds the process's start-up
    // lock.
    bool open(const Tunables& tunables);

  private:
    bool try_reserve(std::size_t window_bytes);

    Atomic<W, Address> base_{kClosed};
    Atomic<W, std::size_t> bytes_{};
    Atomic<W, UnitRecord<W>*> table_{};
    Atomic<W, Address> secret_{};
    Plain<W, SuperSlab<W>*> superslabs_{};
    Plain<W, Address> heaps_{};
    Plain<W, unsigned> heaps_max_{};
    Atomic<W, std::size_t> slots_ready_{};
};

template <World W>
inline constinit Window<W> window{};

template <World W>
bool Window<W>::try_reserve(std::size_t window_bytes) {
    const std::size_t slots = window_bytes / kSuperSlabBytes;
    const std::size_t page = W::Pal::page_bytes();
    const std::size_t table_bytes =
        align_up(slots * kConfig.units_per_superslab * sizeof(UnitRecord<W>), page);
    const std::size_t superslabs_bytes = align_up(slots * sizeof(SuperSlab<W>), page);
    // A heap is a thread's; small windows belong to processes with little address space, which
    // cannot have many threads.
    std::size_t heaps = kConfig.heaps_max;
    while (heaps > 64 && heaps * kHeapStride > window_bytes / 16) heaps /= 2;
    const std::size_t heaps_bytes = align_up(heaps * kHeapStride, page);
    const std::size_t total = window_bytes + table_bytes + superslabs_bytes + heaps_bytes;
    void* const memory = W::Pal::reserve(total, kSuperSlabBytes);
    if (memory == nullptr) return false;
    W::Pal::advise_no_dump(memory, total);
    const Address base = address_of(memory), table = base + window_bytes;
    if (!W::Pal::expose(pointer_to<void>(table), table_bytes)) {
        W::Pal::unreserve(memory, total);
        return false;
    }
    W::Pal::advise_no_huge(pointer_to<void>(table), table_bytes + superslabs_bytes + heaps_bytes);
    superslabs_.set(pointer_to<SuperSlab<W>>(table + table_bytes));
    heaps_.set(table + table_bytes + superslabs_bytes);
    heaps_max_.set(static_cast<unsigned>(heaps));
    // odd: no block, link or seal of zeros is ever closed
    secret_.store(W::Pal::entropy() | 1, order::relaxed);
    table_.store(pointer_to<UnitRecord<W>>(table), order::relaxed);
    bytes_.store(window_bytes, order::relaxed);
    base_.store(base, order::release);  // release: pairs with is_open()
    return true;
}

template <World W>
bool Window<W>::open(const Tunables& tunables) {
    std::size_t want = tunables.window_bytes;
    if (want == 0) {
        want = kConfig.window_bytes;
        if (const std::size_t ram = W::Pal::ram_bytes(); ram < SIZE_MAX / 16 && ram * 8 > want)
            want = ram * 8;
    }
    // With a finite RLIMIT_AS at most half of what is left, because the program's own mappings and
    // thread stacks need the rest; but no less than the smallest window.
    const std::size_t left = W::Pal::address_space_left();
    if (left != SIZE_MAX && want > left / 2)
        want = left / 2 < kConfig.window_bytes_min ? kConfig.window_bytes_min : left / 2;
    for (want = align_down(want, kSuperSlabBytes); want >= kConfig.window_bytes_min;
         want = align_down(want / 2, kSuperSlabBytes)) {
        if (try_reserve(want)) return true;
    }
    return false;
}

// Makes records and superslab state writable for slots [0, slots). Idempotent; may run in several
// threads at once, because it only ever adds access to a prefix. Calls the system: no lock may be
// held.
template <World W>
bool Window<W>::make_ready(std::size_t slots) {
    std::size_t ready = slots_ready();
    if (slots <= ready) return true;
    // In steps of 1/8 of what is ready, so that a growing heap makes few calls; at least one page
    // of superslab state.
    constexpr std::size_t kStep = divide_up(kConfig.page_bytes, sizeof(SuperSlab<W>));
    std::size_t target = align_up(slots > ready + ready / 8 ? slots : ready + ready / 8, kStep);
    if (target > slot_count()) target = slot_count();
    const std::size_t page = W::Pal::page_bytes();
    const std::size_t table_bytes =
        align_up(target * kConfig.units_per_superslab * sizeof(UnitRecord<W>), page);
    const std::size_t superslabs_bytes = align_up(target * sizeof(SuperSlab<W>), page);
    UnitRecord<W>* const table = table_.load(order::relaxed);
    W::Pal::advise_dump(pointer_to<void>(base()), target * kSuperSlabBytes);
    W::Pal::advise_dump(table, table_bytes);
    W::Pal::advise_dump(superslabs_.get(), superslabs_bytes);
    if (!W::Pal::commit(table, table_bytes) || !W::Pal::commit(superslabs_.get(), superslabs_bytes))
        return false;
    for (typename W::Sync::Loop loop; ready < target; loop.retry()) {
        // release: pairs with slots_ready(): who sees the new count sees pages that can be written.
        if (slots_ready_.cas_weak(ready, target, order::release, order::relaxed)) break;
    }
    return true;
}

template <World W>
bool Window<W>::make_heap_ready(std::size_t index) {
    const std::size_t page = W::Pal::page_bytes();
    const Address begin = align_down(heaps_.get() + index * kHeapStride, page);
    const Address end = align_up(heaps_.get() + (index + 1) * kHeapStride, page);
    W::Pal::advise_dump(pointer_to<void>(begin), end - begin);
    return W::Pal::commit(pointer_to<void>(begin), end - begin);
}

}  // namespace hak
