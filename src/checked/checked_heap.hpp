// checked_heap.hpp: the debug build's malloc, a layer above the heap: every block lies between
// guards, has a record, and waits in the quarantine when it was freed. Simple before fast. What is
// found goes to Report::misuse, which does not return.
//
//   allocate     a block of the heap, larger by the guards; what idle bytes it had must still be
//                kFreedByte
//   deallocate   the record turns from live to freed, by one compare-and-swap; the claim and the
//                guards are checked; the quarantine
//   let_go       when the quarantine is full: nobody wrote meanwhile; back to the heap
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/check.hpp"
#include "base/claim.hpp"
#include "base/config.hpp"
#include "base/types.hpp"

#include "sys/lock.hpp"
#include "sys/sync.hpp"
#include "sys/world.hpp"

#include "mem/unit_record.hpp"

#include "heap/heap.hpp"
#include "heap/large.hpp"
#include "heap/resize.hpp"

#include "checked/block_table.hpp"
#include "checked/finding.hpp"
#include "checked/guards.hpp"
#include "checked/quarantine.hpp"

namespace hak {

struct Request {
    const char* function;
    Origin origin;
    std::size_t alignment;  // 0: none was asked for
    std::size_t bytes;
    bool zero = false;
    std::size_t room = 0;  // more than `bytes`: to grow into
};

template <World W, class Report>
class CheckedHeap {
  public:
    // Null if there is no memory.
    static void* allocate(const Request& request) {
        FreshBlock fresh = take_memory(request);
        if (fresh.block == nullptr) {
            empty_quarantine(request.function);
            fresh = take_memory(request);
            if (fresh.block == nullptr) return nullptr;
        }
        const Located<W> at = locate<W>(fresh.block, Entry::allocate);
        const Guarded h{address_of(fresh.block),
                        address_of(fresh.block) + Record::front_of(request.alignment),
                        request.bytes, at.usable};
        if (!block_table<W>.make_ready(h.client)) {
            hak::deallocate<W>(heap(), fresh.block);
            return nullptr;
        }
        if (at.state == UnitState::slab) check_idle(h.base, at.usable, request.function);
        if (!request.zero) {
            fill(h.client, h.filled(), kFreshByte);
        } else if (!fresh.zero) {
            fill(h.client, h.bytes, 0);
        }
        h.set_guards();
        const Record record(RecordKind::live, request.origin, request.alignment, request.bytes);
        block_table<W>.write(h.base, record.as(RecordKind::held));
        block_table<W>.write(h.client, record);
        return pointer_to<void>(h.client);
    }

    static void deallocate(void* p, const Claim& claim) {
        if (p == nullptr) return;
        const Guarded h = guarded(address_of(p), take_back(address_of(p), claim));
        check_guards(h, claim.function);
        retire(h, claim.function);
    }

    // Null, and the block as it was, if there is no memory. Precondition: p is not null, bytes is
    // not 0.
    static void* reallocate(void* p, std::size_t bytes, const Claim& claim) {
        const Address client = address_of(p);
        const Record old = take_back(client, claim);
        const Guarded h = guarded(client, old);
        check_guards(h, claim.function);
        if (old.alignment() == 0 && resize_in_place(h, bytes)) return p;
        const std::size_t room =
            bytes > h.bytes && bytes > W::kConfig.small_bytes_max ? bytes + bytes / 8 : bytes;
        Request request{claim.function, Origin::malloc, 0, bytes, false, room};
        void* fresh = allocate(request);
        if (fresh == nullptr && room != bytes) {
            request.room = bytes;
            fresh = allocate(request);
        }
        if (fresh == nullptr) {
            block_table<W>.write(client, old);
            return nullptr;
        }
        std::memcpy(fresh, p, bytes < h.bytes ? bytes : h.bytes);
        retire(h, claim.function);
        return fresh;
    }

    static std::size_t usable_size(const void* p, const char* function) {
        const Record record = record_at(address_of(p));
        if (record.kind() != RecordKind::live) bad_pointer(address_of(p), function);
        return record.bytes();
    }

    static void empty_quarantine(const char* function) {
        while (const Address client = quarantine<W>.take()) let_go(client, function);
    }

    // Looks at the guards of every live block and at every freed one in the quarantine. Other
    // threads may run.
    static void check_all(const char* function) {
        if (!window<W>.is_open()) return;
        const Finding found = first_damage(function);
        if (found.function != nullptr) Report::misuse(found);
    }

  private:
    static Heap<W>* heap() { return static_cast<Heap<W>*>(W::current_heap()); }

    static FreshBlock take_memory(const Request& request) {
        const std::size_t room = request.room > request.bytes ? request.room : request.bytes;
        const std::size_t front = Record::front_of(request.alignment);
        if (room > Record::kBytesMax || front > Record::kBytesMax) return {};
        const std::size_t total = front + room + kTailGuardMin;
        if (request.alignment > kMinAlignment)
            return {allocate_aligned(heap(), request.alignment, total), false};
        if (total > W::kConfig.small_bytes_max)
            return allocate_above_small<W>(heap(), total, kMinAlignment);
        return {hak::allocate(heap(), total), false};
    }

    static Guarded guarded(Address client, Record record) {
        const Address base = client - record.front();
        return {base, client, record.bytes(),
                locate<W>(pointer_to<void>(base), Entry::free).usable};
    }

    // A misaligned address has no record; that of the 16 bytes around it is not its own.
    static Record record_at(Address a) {
        return a % kMinAlignment == 0 ? block_table<W>.read(a) : Record();
    }

    static Record take_back(Address a, const Claim& claim) {
        Record record = record_at(a);
        do {
            if (record.kind() != RecordKind::live) bad_pointer(a, claim.function);
            check_claim(a, record, claim);
        } while (!block_table<W>.change(a, record, record.as(RecordKind::freed)));
        return record;
    }

    static void check_claim(Address a, Record record, const Claim& claim) {
        if (!tunables<W>.get().check_claims) return;
        if (claim.origin != record.origin())
            Report::misuse({Misuse::wrong_function, claim.function, a, record});
        if (claim.bytes != Claim::kUnsaid && claim.bytes != record.bytes()) {
            Report::misuse({Misuse::wrong_size, claim.function, a, record, 0, claim.bytes});
        }
        if (claim.alignment != Claim::kUnsaid && claim.alignment != record.alignment()) {
            Report::misuse(
                {Misuse::wrong_alignment, claim.function, a, record, 0, claim.alignment});
        }
    }

    static Finding guards_finding(const Guarded& h, const char* function) {
        const Damage damage = damage_in_guards(h);
        if (!damage.is_found) return {};
        return {damage.offset < 0 ? Misuse::before : Misuse::behind, function, h.client,
                block_table<W>.read(h.client), damage.offset};
    }
    static void check_guards(const Guarded& h, const char* function) {
        if (const Finding found = guards_finding(h, function); found.function != nullptr)
            Report::misuse(found);
    }
    static Finding freed_finding(const Guarded& h, const char* function) {
        const Damage damage = damage_in_freed(h);
        if (!damage.is_found) return {};
        return {Misuse::overwritten, function, h.client, block_table<W>.read(h.client),
                damage.offset};
    }
    static void check_freed(const Guarded& h, const char* function) {
        if (const Finding found = freed_finding(h, function); found.function != nullptr)
            Report::misuse(found);
    }

    // The heap gives a block out again: since it left the quarantine only the heap's two words may
    // have changed, which lie in the guard.
    static void check_idle(Address base, std::size_t usable, const char* function) {
        const Record was = block_table<W>.read(base);
        if (was.kind() == RecordKind::idle)
            check_freed({base, base + was.front(), was.bytes(), usable}, function);
    }

    static void retire(const Guarded& h, const char* function) {
        h.fill_freed();
        if (const Address oldest = quarantine<W>.put(h.client)) let_go(oldest, function);
        while (const Address oldest = quarantine<W>.take_above(tunables<W>.get().quarantine_bytes))
            let_go(oldest, function);
    }

    static void let_go(Address client, const char* function) {
        const Record record = block_table<W>.read(client);
        const Guarded h = guarded(client, record);
        check_guards(h, function);
        check_freed(h, function);
        const bool is_small =
            locate<W>(pointer_to<void>(h.base), Entry::free).state == UnitState::slab;
        block_table<W>.write(h.base, is_small ? record.as(RecordKind::idle) : Record());
        hak::deallocate<W>(heap(), pointer_to<void>(h.base));
    }

    // Precondition: the block was taken back; it has no alignment of its own. True if it is live
    // again, with its new size.
    static bool resize_in_place(Guarded h, std::size_t bytes) {
        if (bytes > Record::kBytesMax) return false;
        const std::size_t total = h.client - h.base + bytes + kTailGuardMin;
        LockGuard<W> guard(quarantine<W>.lock());
        const Located<W> at = locate<W>(pointer_to<void>(h.base), Entry::realloc);
        if (!fits(at.usable, total)) {
            if (at.state == UnitState::slab || total <= W::kConfig.small_bytes_max) return false;
            if (!hak::resize_in_place(at.record, at.state, total)) return false;
        }
        const std::size_t kept = h.bytes;
        h.bytes = bytes;
        h.usable = locate<W>(pointer_to<void>(h.base), Entry::realloc).usable;
        if (bytes > kept)
            fill(h.client + kept, bytes - kept < kFillMax ? bytes - kept : kFillMax, kFreshByte);
        h.set_guards();
        const Record record(RecordKind::live, Origin::malloc, 0, bytes);
        block_table<W>.write(h.base, record.as(RecordKind::held));
        block_table<W>.write(h.client, record);
        return true;
    }

    // The client's address and the record of the block whose memory `a` lies in; kind none if no
    // block was there yet.
    struct Around {
        Address client = 0;
        Record record{};
    };
    static Around block_around(Address a) {
        if (!window<W>.contains(a) || window<W>.slot_of(a) >= window<W>.slots_ready()) return {};
        std::size_t unit = window<W>.unit_index(a);
        const std::size_t own = unit;
        // relaxed, all of these: a diagnosis
        while (unit != 0 && window<W>.record(unit)->state.load(order::relaxed) == UnitState::free)
            --unit;
        const UnitRecord<W>* const slab = window<W>.record(unit);
        Address base = slab->start.load(order::relaxed);
        if (slab->state.load(order::relaxed) == UnitState::slab) {
            if (unit != own || a < base) return {};
            base += (a - base) / slab->block_bytes() * slab->block_bytes();
        }
        const Record at_base = block_table<W>.read(base);
        if (at_base.kind() != RecordKind::held && at_base.kind() != RecordKind::idle) return {};
        const Address client = base + at_base.front();
        const Record record = block_table<W>.read(client);
        const bool is_block =
            record.kind() == RecordKind::live || record.kind() == RecordKind::freed;
        return is_block && a >= base && a < client + record.bytes() + kTailGuardMin
                   ? Around{client, record}
                   : Around{};
    }

    [[noreturn]] static void bad_pointer(Address a, const char* function) {
        if (!window<W>.contains(a)) Report::misuse({Misuse::foreign, function, a});
        const Around around = block_around(a);
        const auto offset = static_cast<std::ptrdiff_t>(a - around.client);
        if (a % kMinAlignment != 0)
            Report::misuse({Misuse::misaligned, function, a, around.record, offset});
        if (around.record.kind() == RecordKind::live && a != around.client) {
            Report::misuse({Misuse::interior, function, a, around.record, offset});
        }
        const Record own = block_table<W>.read(a);
        // Live: another thread gave it back between two looks, and it was handed out again.
        if (own.kind() == RecordKind::freed || own.kind() == RecordKind::live)
            Report::misuse({Misuse::double_free, function, a, own});
        Report::misuse({Misuse::not_allocated, function, a, around.record, offset});
    }

    static Finding first_damage(const char* function) {
        LockGuard<W> guard(quarantine<W>.lock());
        Finding found{};
        quarantine<W>.for_each([&](Address client) {
            const Guarded h = guarded(client, block_table<W>.read(client));
            if (found.function == nullptr) found = freed_finding(h, function);
            if (found.function == nullptr) found = guards_finding(h, function);
        });
        const std::size_t units = window<W>.slots_ready() * W::kConfig.units_per_superslab;
        for (std::size_t unit = 0; unit < units && found.function == nullptr; ++unit) {
            // relaxed, all of these: of a block that lives they do not change, and what the table
            // says of any other address is no live block
            const UnitRecord<W>* const record = window<W>.record(unit);
            const UnitState state = record->state.load(order::relaxed);
            const Address first = record->start.load(order::relaxed);
            if (state == UnitState::large || state == UnitState::big) {
                found = live_damage(first, function);
            } else if (state == UnitState::slab && window<W>.unit_index(first) == unit) {
                const std::uint32_t blocks = record->limit.load(order::relaxed);
                for (std::uint32_t i = 0; i < blocks && found.function == nullptr; ++i)
                    found = live_damage(record->block_address(i), function);
            }
        }
        return found;
    }

    // Guards of a block that was live since the lock is held are the client's to break alone: who
    // frees or resizes it waits for the lock first.
    static Finding live_damage(Address base, const char* function) {
        const Record at_base = block_table<W>.read(base);
        if (at_base.kind() != RecordKind::held) return {};
        const Address client = base + at_base.front();
        const Record record = block_table<W>.read(client);
        return record.kind() == RecordKind::live ? guards_finding(guarded(client, record), function)
                                                 : Finding{};
    }
};

}  // namespace hak
