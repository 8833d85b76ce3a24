// shadow_heap.hpp: what a client knows of its blocks, and what it may demand of each: content,
// place, alignment, usable size.
#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "base/claim.hpp"

#include "props/kit/commands.hpp"

namespace kit {

// Random bytes, repeated only after 64 KiB, so that content that moved by a wrong distance does not
// pass for the right one.
class Pattern {
  public:
    static void write(hak::Address at, std::size_t bytes, std::uint32_t seed) {
        each_span(bytes, seed, [&](std::size_t done, const unsigned char* p, std::size_t n) {
            std::memcpy(hak::pointer_to<void>(at + done), p, n);
        });
    }
    static bool holds(hak::Address at, std::size_t bytes, std::uint32_t seed) {
        bool same = true;
        each_span(bytes, seed, [&](std::size_t done, const unsigned char* p, std::size_t n) {
            same = same && std::memcmp(hak::pointer_to<void>(at + done), p, n) == 0;
        });
        return same;
    }

  private:
    static constexpr std::size_t kBytes = 65536;
    static const std::vector<unsigned char>& table() {
        static const std::vector<unsigned char> bytes = [] {
            std::vector<unsigned char> t(kBytes);
            std::uint64_t x = 0x243f6a8885a308d3u;
            for (auto& byte : t) {
                x ^= x << 13, x ^= x >> 7, x ^= x << 17;
                byte = static_cast<unsigned char>(x >> 32);
            }
            return t;
        }();
        return bytes;
    }
    template <class Visit>
    static void each_span(std::size_t bytes, std::uint32_t seed, Visit visit) {
        std::size_t from = seed * 2654435761u % kBytes;
        for (std::size_t done = 0; done < bytes;) {
            const std::size_t n = std::min(bytes - done, kBytes - from);
            visit(done, table().data() + from, n);
            done += n;
            from = 0;
        }
    }
};

struct ShadowBlock {
    hak::Address p = 0;
    std::size_t requested = 0, usable = 0;
    std::uint32_t seed = 0;
    std::size_t alignment = 0;  // 0: by a call that says none
    hak::Origin origin = hak::Origin::malloc;
    hak::Address site = 0;  // as its record holds it: of a Large or Big block alone
};

template <hak::World W>
class ShadowHeap {
  public:
    bool is_live(unsigned h) const { return blocks_[h].p != 0; }
    const ShadowBlock& at(unsigned h) const { return blocks_[h]; }
    std::size_t live() const { return by_address_.size(); }

    // A fresh block: judged, then filled to its last usable byte.
    void add(unsigned h, void* block, std::size_t requested, std::size_t alignment, bool zero,
             hak::Origin origin = hak::Origin::malloc) {
        const hak::Address p = hak::address_of(block);
        require(!is_live(h), "handle ", h, " is live already");
        judge_place(p, requested, alignment);
        const std::size_t usable = hak::usable_size<W>(block);
        require(usable >= requested, "usable size ", usable, " of a block of ", requested);
        require(os.is_committed(block, usable), "a block of ", requested,
                " bytes lies in memory without access");
        require_disjoint(p, usable);
        if (zero) {
            for (std::size_t i = 0; i < requested; ++i)
                require(*hak::pointer_to<unsigned char>(p + i) == 0, "calloc(", requested,
                        ") is not zero at byte ", i);
        }
        blocks_[h] = {p, requested, usable, ++seed_, alignment, origin};
        by_address_.emplace(p, h);
        Pattern::write(p, usable, seed_);
    }
    void verify(unsigned h) const {
        const ShadowBlock& b = blocks_[h];
        require(Pattern::holds(b.p, b.usable, b.seed), "content of handle ", h, " (", b.requested,
                " bytes) has changed");
    }
    void verify_usable(unsigned h) const {
        const ShadowBlock& b = blocks_[h];
        const std::size_t usable = hak::usable_size<W>(hak::pointer_to<void>(b.p));
        require(usable == b.usable, "usable size of handle ", h, " was ", b.usable, " and is ",
                usable);
        const hak::Address site = hak::site_of<W>(hak::pointer_to<void>(b.p));
        require(site == b.site, "site of handle ", h, " was ", b.site, " and is ", site);
    }
    // The call that allocated the block said where it stands.
    void say_site(unsigned h, hak::Address site) {
        const hak::UnitState state =
            hak::window<W>.record_of(blocks_[h].p)->state.load(hak::order::relaxed);
        if (state != hak::UnitState::slab) blocks_[h].site = site;
        verify_usable(h);
    }
    void verify_all() const {
        for (const auto& [p, h] : by_address_) verify(h), verify_usable(h);
    }
    // The client gives the block back: last look at its content.
    void* remove(unsigned h) {
        verify(h);
        void* const p = hak::pointer_to<void>(blocks_[h].p);
        by_address_.erase(blocks_[h].p);
        blocks_[h] = {};
        return p;
    }
    // realloc gave `block` for what handle h was.
    void replace(unsigned h, void* block, std::size_t requested) {
        const ShadowBlock old = blocks_[h];
        const std::size_t kept = std::min(old.usable, requested);
        require(Pattern::holds(hak::address_of(block), kept, old.seed), "realloc from ",
                old.requested, " to ", requested, " lost content");
        by_address_.erase(old.p);
        blocks_[h] = {};
        add(h, block, requested, 0, false);
        say_site(h, old.site);
    }

    // Blocks with the client as the allocator counts them: per slab, and of the upper tiers.
    void reconcile(const hak::Audit<W>& audit) const {
        std::map<const hak::UnitRecord<W>*, std::uint32_t> counts;
        std::uint64_t large = 0, big = 0;
        for (const auto& [p, h] : by_address_) {
            const hak::UnitRecord<W>* const record = hak::window<W>.record_of(p);
            const hak::UnitState state = record->state.load(hak::order::relaxed);
            require(state != hak::UnitState::free, "the unit of handle ", h, " is free");
            large += state == hak::UnitState::large;
            big += state == hak::UnitState::big;
            if (state == hak::UnitState::slab) counts[hak::window<W>.head_record(record)] += 1;
        }
        std::uint64_t small = 0;
        for (const auto& [slab, count] : counts) {
            if (hak::Audit<W>::is_frozen(slab)) continue;
            small += count;
            require(audit.client_blocks(slab) == count, "conservation: the slab of unit ",
                    slab - hak::window<W>.record(0), " has ", audit.client_blocks(slab),
                    " blocks out, the client has ", count);
        }
        const hak::AuditTotals& t = audit.totals();
        require(t.client_blocks == small, "conservation: ", t.client_blocks,
                " small blocks are out, the client has ", small);
        require(t.large_blocks == large && t.big_blocks == big, "conservation: ", t.large_blocks,
                " Large and ", t.big_blocks, " Big blocks are out, the client has ", large, " and ",
                big);
    }

    std::size_t usable_bytes() const {
        std::size_t sum = 0;
        for (const auto& [p, h] : by_address_) sum += blocks_[h].usable;
        return sum;
    }

  private:
    void judge_place(hak::Address p, std::size_t requested, std::size_t alignment) const {
        require(
            hak::window<W>.contains(p) && hak::window<W>.contains(p + requested - (requested != 0)),
            "a block outside the window");
        require(p % std::max(alignment, hak::kMinAlignment) == 0, "a block of ", requested,
                " bytes is not aligned to ", alignment);
    }
    void require_disjoint(hak::Address p, std::size_t usable) const {
        const auto next = by_address_.lower_bound(p);
        require(next == by_address_.end() || p + usable <= next->first, "a block overlaps handle ",
                next == by_address_.end() ? 0 : next->second);
        if (next == by_address_.begin()) return;
        const auto& [q, h] = *std::prev(next);
        require(q + blocks_[h].usable <= p, "a block overlaps handle ", h);
    }

    std::array<ShadowBlock, kHandles> blocks_{};
    std::map<hak::Address, unsigned> by_address_;
    std::uint32_t seed_ = 0;
};

}  // namespace kit
