// audit_heaps.hpp: the part of Audit that walks the heaps: heap.1 to heap.6, what stands for "no
// heap", and the lists that reach from a bin into a slab.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/size_class.hpp"
#include "base/types.hpp"

#include "sys/sync.hpp"
#include "sys/world.hpp"

#include "mem/remote_list.hpp"
#include "mem/unit_record.hpp"

#include "heap/heap.hpp"

#include "audit/audit.hpp"

namespace hak {

// What stands for "no heap" has nothing and is posted nothing.
template <World W>
bool Audit<W>::check_nobody(const Heap<W>& heap, const char* what) {
    for (unsigned c = 0; c < Classes<W>::kCount; ++c) {
        const auto& bin = heap.bins[c];
        if (!expect(bin.list.get() == 0 && bin.bump_bytes.get() == 0 &&
                        heap.partial[c].get() == nullptr,
                    "heap.nobody", what, c)) {
            return false;
        }
    }
    // relaxed, here and below: quiescence
    return expect(heap.pending.load(order::relaxed) == nullptr, "heap.nobody", what, 0);
}

template <World W>
bool Audit<W>::check_heaps() {
    if (!check_nobody(empty_heap<W>, "the empty heap has something") ||
        !check_nobody(exited_heap<W>, "the exited heap has something"))
        return false;
    const unsigned count = heaps<W>.count();
    for (unsigned i = 0; i < count; ++i) {
        if (!check_heap(heaps<W>.at(i))) return false;
    }
    return expect(totals_.orphans == heaps<W>.orphans(), "heap.orphans",
                  "the registry's count of orphans", 0, heaps<W>.orphans(), totals_.orphans);
}

template <World W>
bool Audit<W>::check_heap(Heap<W>& heap) {
    const Token token = heap.token.load(order::relaxed);
    const std::uint64_t where = address_of(&heap);
    if (!expect(token == Token::owned || token == Token::orphan || token == Token::frozen, "heap.1",
                "token at rest", where, static_cast<std::uint64_t>(token)))
        return false;
    totals_.orphans += token == Token::orphan;
    if (!check_pending(heap)) return false;
    if (token == Token::frozen && !setup_.frozen_at_rest) {  // its plain fields may be half-changed
        any_heap_unknown_ = true;
        return true;
    }
    if (!check_kept(heap)) return false;
    if (token == Token::frozen) return check_frozen_bins(heap);
    std::uint64_t classes = 0;
    for (unsigned i = 0; i < Classes<W>::kCount; ++i) {
        const auto c = static_cast<SizeClass>(i);
        if (!check_bin(heap, c) || !check_partial(heap, c)) return false;
        if (heap.partial[c].get() != nullptr) classes |= std::uint64_t{1} << c;
        const auto& bin = heap.bins[c];
        if (token == Token::orphan && !expect(bin.list.get() == 0 && bin.bump_bytes.get() == 0,
                                              "heap.4", "an orphan's bin is not empty", where, c))
            return false;
    }
    slabs_of_heaps_ += heap.slabs.load(order::relaxed);
    const std::uint64_t hint = heap.partial_classes.load(order::relaxed);
    if (!expect(hint == classes, "heap.partial", "partial_classes against the partial lists", where,
                hint, classes))
        return false;
    // relaxed, all of these: quiescence
    const std::uint64_t refills = heap.refills_total.load(order::relaxed);
    const std::uint64_t ended =
        heap.refills_own.load(order::relaxed) + heap.refills_others.load(order::relaxed) +
        heap.refills_opened.load(order::relaxed) + heap.refills_failed.load(order::relaxed);
    return expect(ended == refills, "heap.6", "how refills ended against refills", where, ended,
                  refills);
}

template <World W>
bool Audit<W>::check_bin(Heap<W>& heap, SizeClass c) {
    const auto& bin = heap.bins[c];
    const std::int64_t limit = Classes<W>::kShapes[c].bin_blocks, want = limit - bin.room.get();
    const std::uint64_t where = address_of(&bin);
    std::int64_t length = 0;
    for (Address a = bin.list.get(); a != 0; a = block_at<W>(a)->link.get(), ++length) {
        if (!expect(length < want, "heap.2", "a bin's list is longer than its count", where,
                    static_cast<std::uint64_t>(length + 1), static_cast<std::uint64_t>(want)))
            return false;
        if (!expect(window<W>.contains(a), "heap.2", "a link leaves the window", where, a))
            return false;
        const UnitRecord<W>* const record = window<W>.record_of(a);
        if (!expect(record->state.load(order::relaxed) == UnitState::slab &&
                        record->size_class.load(order::relaxed) == c,
                    "heap.2", "a bin's block is of no slab of its class", a))
            return false;
        const UnitRecord<W>* const slab = window<W>.head_record(record);
        if (!check_block(slab, a, "heap.2")) return false;
        mark(slab) += 1;
        totals_.listed_blocks += 1;
    }
    if (!expect(length == want, "heap.2", "a bin's list is shorter than its count", where,
                static_cast<std::uint64_t>(length), static_cast<std::uint64_t>(want)))
        return false;
    const Address begin = bin.bump.get(), end = bin.bump.get() + bin.bump_bytes.get();
    if (begin == end) return true;
    const std::size_t bytes = Classes<W>::block_bytes(c);
    if (!expect(begin < end && window<W>.contains(begin) && (end - begin) % bytes == 0, "heap.3",
                "the bump range's form", where, begin, end))
        return false;
    const UnitRecord<W>* const record = window<W>.record_of(begin);
    if (!expect(record->owner.load(order::relaxed) == &heap &&
                    record->size_class.load(order::relaxed) == c,
                "heap.3", "the bump range lies in no slab of this heap and class", where, begin))
        return false;
    const UnitRecord<W>* const slab = window<W>.head_record(record);
    if (!expect(heap.bump_slab[c].get() == slab, "heap.3", "bump_slab against the bump range",
                where, address_of(heap.bump_slab[c].get()), address_of(slab)))
        return false;
    if (!expect(slab->is_block_start(begin) &&
                    end == slab->block_address(slab->limit.load(order::relaxed)),
                "heap.3", "the bump range does not end with its slab", where, begin, end))
        return false;
    if (!expect(slab->untouched.get() == 0, "heap.3",
                "a slab with a bump range has untouched blocks too", begin, slab->untouched.get()))
        return false;
    totals_.bump_blocks += (end - begin) / bytes;
    mark(slab) += static_cast<std::uint32_t>((end - begin) / bytes);
    return expect(!bin.bump_zero.get() || is_zero(begin, end - begin), "superslab.2",
                  "a bump range that is said to be zero", begin);
}

// What a heap keeps is lost with its thread where fork cut that off.
template <World W>
bool Audit<W>::check_kept(const Heap<W>& heap) {
    const Token token = heap.token.load(order::relaxed);
    for (unsigned place = 0; place < W::kConfig.kept_places; ++place) {
        const UnitRecord<W>* const kept = heap.kept[place].get();
        if (kept == nullptr) continue;
        runs_of_heaps_ += 1;
        if (token == Token::frozen) totals_.frozen_units += kept->units.get();
        const bool is_kept = unit_of(kept) < scratch_words() &&
                             kept->state.load(order::relaxed) == UnitState::kept &&
                             kept->place.get() == place;
        if (!expect(token != Token::orphan && is_kept, "heap.5",
                    "an orphan keeps a run, or a heap one that is not free or not its place's",
                    unit_of(kept), place))
            return false;
    }
    return true;
}

// What is in the bins of a thread that fork cut off is lost, and with it the slabs of living heaps
// that it lies in.
template <World W>
bool Audit<W>::check_frozen_bins(Heap<W>& heap) {
    for (unsigned c = 0; c < Classes<W>::kCount; ++c) {
        for (Address a = heap.bins[c].list.get(); a != 0; a = block_at<W>(a)->link.get()) {
            if (!expect(window<W>.contains(a), "heap.2", "a link leaves the window",
                        address_of(&heap), a))
                return false;
            std::uint32_t& m = mark(window<W>.head_record(window<W>.record_of(a)));
            m = (m + 1) | kLeakedMark;
        }
    }
    return true;
}

template <World W>
bool Audit<W>::check_partial(Heap<W>& heap, SizeClass c) {
    const UnitRecord<W>* before = nullptr;
    for (const UnitRecord<W>* slab = heap.partial[c].get(); slab != nullptr;
         before = slab, slab = slab->next.get()) {
        const std::uint64_t where = address_of(slab);
        if (!expect(unit_of(slab) < scratch_words() &&
                        slab->state.load(order::relaxed) == UnitState::slab,
                    "slab.4", "a partial list holds what is no slab", where))
            return false;
        if (!expect(slab->prev.get() == before, "slab.4", "prev of a slab on a partial list",
                    where))
            return false;
        if (!expect(slab->owner.load(order::relaxed) == &heap &&
                        slab->size_class.load(order::relaxed) == c,
                    "slab.4", "a slab on a list of another heap or class", where))
            return false;
        mark(slab) |= kPartialMark;
    }
    return true;
}

template <World W>
bool Audit<W>::check_pending(Heap<W>& heap) {
    for (const UnitRecord<W>* slab = heap.pending.load(order::relaxed); slab != nullptr;
         slab = slab->pending_next.get()) {
        const std::uint64_t where = address_of(slab);
        if (!expect(unit_of(slab) < scratch_words() &&
                        slab->state.load(order::relaxed) == UnitState::slab &&
                        window<W>.head_record(slab) == slab,
                    "slab.6", "a pending list holds what is no slab", where))
            return false;
        if (!expect(slab->owner.load(order::relaxed) == &heap, "slab.6",
                    "a slab on another heap's pending list", where))
            return false;
        if (!expect((mark(slab) & kPendingMark) == 0, "remote.2",
                    "a slab is on pending lists twice", where))
            return false;
        mark(slab) |= kPendingMark;
    }
    return true;
}

// No bin's list runs into a slab's own lists.
template <World W>
bool Audit<W>::check_tails() {
    for (unsigned i = 0; i < heaps<W>.count(); ++i) {
        const Heap<W>& heap = heaps<W>.at(i);
        if (heap.token.load(order::relaxed) == Token::frozen) continue;
        for (unsigned c = 0; c < Classes<W>::kCount; ++c) {
            if (heap.bins[c].list.get() == 0) continue;
            const Address last = last_of(heap.bins[c].list.get());
            const UnitRecord<W>* const slab = window<W>.head_record(window<W>.record_of(last));
            const Address remote = slab->remote.load(order::relaxed) & ~kQueued;
            const bool shared =
                (slab->free_head.get() != 0 && last_of(slab->free_head.get()) == last) ||
                (remote != 0 && last_of(remote) == last);
            if (!expect(is_frozen(slab) || !shared, "block.place",
                        "a block is in a bin and on a list of its slab", last))
                return false;
        }
    }
    return true;
}

}  // namespace hak
