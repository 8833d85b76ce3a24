// audit_slabs.hpp: the part of Audit that walks the unit table: block.1, slab.1 to slab.6,
// remote.1, large.1 and the conservation of blocks. Everything here is read at quiescence, so each
// load is relaxed.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/size_class.hpp"
#include "base/types.hpp"

#include "sys/sync.hpp"
#include "sys/world.hpp"

#include "mem/remote_list.hpp"
#include "mem/superslab.hpp"
#include "mem/unit_record.hpp"

#include "heap/heap.hpp"

#include "audit/audit.hpp"

namespace hak {

// A free block: it starts a block below the limit, is in nobody's bump range, and its seal holds.
template <World W>
bool Audit<W>::check_block(const UnitRecord<W>* slab, Address a, const char* invariant) {
    const auto& bin = slab->owner.load(order::relaxed)->bins[slab->size_class.load(order::relaxed)];
    const bool is_bump =
        !is_frozen(slab) && a >= bin.bump.get() && a < bin.bump.get() + bin.bump_bytes.get();
    return expect(slab->holds(a), invariant, "a listed address is no block of its slab", a,
                  address_of(slab)) &&
           expect(!is_bump, "block.place", "a listed block is in the bump range too", a,
                  address_of(slab)) &&
           expect(block_at<W>(a)->is_closed(window<W>.secret()), "block.1",
                  "a free block's seal does not hold", a, address_of(slab));
}

template <World W>
bool Audit<W>::check_free_list(const UnitRecord<W>* slab) {
    std::uint32_t length = 0;
    for (Address a = slab->free_head.get(); a != 0; a = block_at<W>(a)->link.get(), ++length) {
        if (!expect(length < slab->free_count.get(), "slab.3",
                    "a free list is longer than free_count", address_of(slab), length + 1,
                    slab->free_count.get()))
            return false;
        if (!check_block(slab, a, "slab.3")) return false;
    }
    return expect(length == slab->free_count.get(), "slab.3",
                  "a free list is shorter than free_count", address_of(slab), length,
                  slab->free_count.get());
}

template <World W>
bool Audit<W>::check_remote_list(const UnitRecord<W>* slab, std::uint32_t& length) {
    const Address word = slab->remote.load(order::relaxed);
    const bool queued = (word & kQueued) != 0, pending = (mark(slab) & kPendingMark) != 0;
    const std::uint64_t where = address_of(slab);
    if (!expect(queued == ((word & ~kQueued) != 0), "remote.1",
                "queued without posted blocks, or blocks without queued", where, word))
        return false;
    if (!expect(queued == (pending || is_in_flight(slab)), "slab.6",
                "queued against the owner's pending list", where, queued, pending))
        return false;
    if (!expect(!(pending && is_in_flight(slab)), "remote.2", "pending before the poster pushed it",
                where))
        return false;
    for (Address a = word & ~kQueued; a != 0; a = block_at<W>(a)->link.get(), ++length) {
        const std::uint32_t most = slab->limit.load(order::relaxed);
        if (!expect(length < most, "remote.1", "a remote list is longer than the slab's limit",
                    where, length + 1, most))
            return false;
        if (!check_block(slab, a, "remote.1")) return false;
    }
    if (!is_frozen(slab)) totals_.remote_blocks += length;  // what is posted to a frozen heap stays
    return true;
}

template <World W>
bool Audit<W>::check_slab(const UnitRecord<W>* slab) {
    const SizeClass c = slab->size_class.load(order::relaxed);
    const std::size_t unit = unit_of(slab);
    const std::uint64_t where = address_of(slab);
    if (!expect(c < Classes<W>::kCount, "slab.1", "size class", where, c)) return false;
    const auto& shape = Classes<W>::kShapes[c];
    const std::uint32_t limit = slab->limit.load(order::relaxed);
    if (!expect(slab->units.get() == shape.units, "slab.1", "units of a slab", where,
                slab->units.get(), shape.units))
        return false;
    if (!expect(limit <= Classes<W>::capacity(c, unit), "slab.1", "limit", where, limit,
                Classes<W>::capacity(c, unit)))
        return false;
    const Address start = unit_address(unit) + Classes<W>::start_offset(c, unit);
    if (!expect(slab->start.load(order::relaxed) == start, "slab.1", "start", where,
                slab->start.load(order::relaxed), start))
        return false;
    if (!expect(slab->inverse.load(order::relaxed) == shape.inverse &&
                    slab->shift.load(order::relaxed) == shape.shift,
                "slab.1", "inverse and shift", where))
        return false;
    const Heap<W>* const owner = slab->owner.load(order::relaxed);
    bool known = false;
    for (unsigned i = 0; i < heaps<W>.count() && !known; ++i) known = owner == &heaps<W>.at(i);
    if (!expect(known, "slab.1", "the owner is no heap", where, address_of(owner))) return false;
    totals_.slabs += 1;
    if (is_frozen(slab)) {
        totals_.frozen_units += shape.units;
        std::uint32_t length = 0;
        return check_remote_list(slab, length);
    }
    live_slabs_ += 1;
    const std::uint32_t used = slab->used.get(), free_count = slab->free_count.get(),
                        untouched = slab->untouched.get();
    if (!expect(used + free_count == limit, "slab.2", "used + free against the limit", where,
                used + free_count, limit))
        return false;
    if (!expect(limit + untouched == Classes<W>::capacity(c, unit), "slab.2",
                "limit + untouched against capacity", where, limit + untouched,
                Classes<W>::capacity(c, unit)))
        return false;
    if (!expect(((mark(slab) & kPartialMark) != 0) == (free_count + untouched > 0), "slab.4",
                "room against the partial list", where, free_count + untouched,
                mark(slab) & kPartialMark))
        return false;
    std::uint32_t remote = 0;
    if (!check_free_list(slab) || !check_remote_list(slab, remote)) return false;
    const Address remote_head = slab->remote.load(order::relaxed) & ~kQueued,
                  free_head = slab->free_head.get();
    if (remote_head != 0 && free_head != 0 &&
        !expect(last_of(remote_head) != last_of(free_head), "block.place",
                "a block is on the free list and posted", where))
        return false;
    totals_.free_blocks += free_count;
    totals_.untouched_blocks += untouched;
    const std::uint32_t held = (mark(slab) & kCountMask) + remote;
    if (!expect(used >= held, "conservation", "used against bins, bump ranges and the remote list",
                where, used, held))
        return false;
    totals_.client_blocks += used - held;
    if ((mark(slab) & kLeakedMark) != 0) totals_.frozen_units += shape.units;
    mark(slab) = used - held;
    if (!slab->zero_tail.get() || untouched == 0) return true;
    const Address tail = slab->block_address(slab->limit.load(order::relaxed));
    return expect(is_zero(tail, untouched * slab->block_bytes()), "superslab.2",
                  "untouched blocks that are said to be zero", tail);
}

template <World W>
bool Audit<W>::check_record_fields(const UnitRecord<W>* record, const UnitRecord<W>* head) {
    const bool same =
        record->start.load(order::relaxed) == head->start.load(order::relaxed) &&
        record->owner.load(order::relaxed) == head->owner.load(order::relaxed) &&
        record->inverse.load(order::relaxed) == head->inverse.load(order::relaxed) &&
        record->limit.load(order::relaxed) == head->limit.load(order::relaxed) &&
        record->shift.load(order::relaxed) == head->shift.load(order::relaxed) &&
        record->size_class.load(order::relaxed) == head->size_class.load(order::relaxed);
    return expect(same, "slab.1", "a slab's record does not repeat its head's", address_of(record));
}

// The whole table in order: `cover` is the slab or Large run that the last head opened, up to unit
// `cover_end`.
template <World W>
bool Audit<W>::check_records() {
    const UnitRecord<W>* cover = nullptr;
    std::size_t cover_end = 0;
    std::uint32_t covered = 0;
    // of the run that ends before slot run_end: its inner slots' own words have no meaning
    SlotKind kind = SlotKind::reserved;
    std::size_t run_end = 0;
    const std::size_t top = pool<W>.top_.get();
    for (std::size_t u = 0; u < scratch_words(); ++u) {
        const UnitRecord<W>* const record = window<W>.record(u);
        const UnitState state = record->state.load(order::relaxed);
        const std::size_t s = u / kUnits;
        const unsigned unit = u % kUnits;
        if (unit == 0) covered = 0;
        if (unit == 0 && s >= run_end) {
            kind = s < top ? slot(s).kind.get() : SlotKind::reserved;
            run_end = s < top && kind != SlotKind::units ? s + slot(s).run_slots.get() : s + 1;
            if (kind == SlotKind::big && !expect(state == UnitState::big, "large.1",
                                                 "slots of a Big block that nobody has", s))
                return false;
        }
        if (u >= cover_end) cover = nullptr;
        if (state == UnitState::slab) {
            const UnitRecord<W>* const head = window<W>.head_record(record);
            if (cover != nullptr) {
                if (!expect(head == cover && check_record_fields(record, cover), "slab.1",
                            "a unit belongs to two slabs, or to none", u))
                    return false;
            } else {
                if (!expect(head == record, "slab.1", "a slab's unit without its head", u))
                    return false;
                if (!check_slab(record)) return false;
                cover = record;
                cover_end = u + record->units.get();
            }
        } else if (state == UnitState::large || state == UnitState::kept) {
            const Address start = record->start.load(order::relaxed);
            if (!expect(cover == nullptr && window<W>.contains(start) &&
                            window<W>.unit_index(start) == u,
                        "large.1", "a Large record inside another block, or not at its first unit",
                        u, start))
                return false;
            if (!expect(record->units.get() > 0 && unit + record->units.get() <= kUnits &&
                            record->owner.load(order::relaxed) == nullptr,
                        "large.1", "units or owner of a Large block", u, record->units.get()))
                return false;
            cover = record;
            cover_end = u + record->units.get();
            (state == UnitState::large ? totals_.large_blocks : kept_runs_) += 1;
        } else {
            // Large runs say so at their first unit alone.
            const bool inside =
                cover != nullptr && cover->state.load(order::relaxed) != UnitState::slab;
            if (!expect(cover == nullptr || inside, "slab.1", "a slab's unit says free", u))
                return false;
            if (!expect(record->owner.load(order::relaxed) == nullptr &&
                            record->remote.load(order::relaxed) == 0,
                        "slab.5", "a free unit has an owner or a remote word", u,
                        record->remote.load(order::relaxed)))
                return false;
            if (state == UnitState::big) {
                const Address start = record->start.load(order::relaxed);
                if (!expect(cover == nullptr && unit == 0 && kind == SlotKind::big &&
                                window<W>.contains(start) && window<W>.unit_index(start) == u,
                            "large.1", "a Big record that is not at the head of its run", u, start))
                    return false;
                totals_.big_blocks += 1;
                cover_end = u + slot(s).run_slots.get() * std::size_t{kUnits};
                for (std::size_t v = u + 1; v < cover_end; ++v) {
                    if (!expect(window<W>.record(v)->state.load(order::relaxed) == UnitState::free,
                                "large.1", "a record inside a Big block", v))
                        return false;
                }
                u = cover_end - 1;
                continue;
            }
        }
        if (cover != nullptr) {
            if (!expect(kind == SlotKind::units, "superslab.1",
                        "a block in a slot that is not divided into units", u))
                return false;
            covered |= 1u << unit;
        }
        if (unit == kUnits - 1 && kind == SlotKind::units &&
            !expect(covered == slot(s).used_units.get(), "superslab.1",
                    "used units against slabs and Large runs", s, slot(s).used_units.get(),
                    covered))
            return false;
    }
    if (!expect(any_heap_unknown_ ? kept_runs_ >= runs_of_heaps_ : kept_runs_ == runs_of_heaps_,
                "heap.5", "kept runs against the heaps that keep one", 0, runs_of_heaps_,
                kept_runs_))
        return false;
    return expect(live_slabs_ == slabs_of_heaps_, "heap.slabs", "the heaps' counts of slabs", 0,
                  slabs_of_heaps_, live_slabs_);
}

}  // namespace hak
