// profile.hpp: the heap profile of a process: its samples, and what they add up to. One lock, which
// comes after all others and under which nothing is called; its memory is reserved once, when the
// profile opens, and bounded.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/random.hpp"

#include "sys/lock.hpp"

#include "profile/block_map.hpp"
#include "profile/sampler.hpp"
#include "profile/tables.hpp"

namespace hak::profile {

struct Bounds {
    unsigned blocks_log2 = 15, stacks_log2 = 12, sites_log2 = 10, filter_log2 = 16;
};

struct Counters {
    std::uint64_t samples;       // taken
    std::uint64_t live_samples;  // of blocks that live
    // samples that were not taken: too many were live, or there was no memory for one
    std::uint64_t overflowed_blocks;
    std::uint64_t overflowed_stacks;  // samples whose stack found no room, and
    std::uint64_t overflowed_sites;   // whose site found none
};

// W is not asked to be a World: the profile is named in one that is not complete.
template <class W, Bounds kBounds = Bounds{}>
class Profile {
  public:
    constexpr Profile() = default;

    // Called once, before other threads run. False if there is no memory: nothing is sampled then.
    bool open(std::uint64_t interval, std::uint64_t seed) {
        const std::size_t page = W::Pal::page_bytes();
        const std::size_t bytes = align_up(sizeof(Tables), page);
        void* const memory = W::Pal::reserve(bytes, page);
        if (memory == nullptr) return false;
        if (!W::Pal::commit(memory, bytes)) {
            W::Pal::unreserve(memory, bytes);
            return false;
        }
        tables_ = pointer_to<Tables>(address_of(memory));
        interval_ = interval;
        random_ = Random(seed);
        return true;
    }
    std::uint64_t interval() const { return interval_; }  // 0: not open
    Lock<W>& lock() { return lock_; }

    std::int64_t draw() {
        const LockGuard<W> guard(lock_);
        return draw_gap(random_, interval_);
    }
    // For threads that have no gap of their own.
    bool is_sampled_by_all(std::size_t bytes) {
        const LockGuard<W> guard(lock_);
        if (left_ == 0) left_ = draw_gap(random_, interval_);
        if (!is_sampled(left_, bytes)) return false;
        left_ = draw_gap(random_, interval_);
        return true;
    }

    // In a forked child, which has one thread.
    void draw_anew(std::uint64_t seed) {
        random_ = Random(seed);
        left_ = 0;
    }

    // Whether one more sample can be live.
    bool has_room() {
        const LockGuard<W> guard(lock_);
        return tables_->blocks.size() < Blocks::kSamplesMax;
    }
    // A block that was chosen is no sample.
    void lose() {
        const LockGuard<W> guard(lock_);
        counters_.overflowed_blocks += 1;
    }

    // A block that was allocated and not handed out yet. `frames` are not empty or `site` says
    // where. `room`: as in BlockSample.
    void note(Address p, std::size_t bytes, Address site, const Address* frames,
              std::uint32_t depth, std::uint64_t now_ms, std::size_t room = 0) {
        const LockGuard<W> guard(lock_);
        take_out(p, now_ms);  // its free was not seen
        if (tables_->blocks.size() >= Blocks::kSamplesMax) {
            counters_.overflowed_blocks += 1;
            return;
        }
        std::uint64_t hash = hash_of(depth);
        for (std::uint32_t i = 0; i < depth; ++i) hash = hash_of(hash ^ frames[i]);
        const double weight = weight_of(bytes, interval_);
        const std::uint32_t stack = tables_->stacks.find_or_add(
            hash, [=](const Stack& s) { return s.is(hash, frames, depth); },
            [=](Stack& s) {
                s.hash = hash;
                s.depth = depth;
                for (std::uint32_t i = 0; i < depth; ++i) s.frames[i] = frames[i];
            });
        const std::uint32_t row = tables_->sites.find_or_add(
            hash_of(site), [=](const SiteRow& r) { return r.site == site; },
            [=](SiteRow& r) { r.site = site; });
        tables_->blocks.insert({p, stack, row, bytes, weight, now_ms, room});
        change_filter(p, true);
        tables_->stacks.at(stack).totals.add(bytes, weight);
        tables_->sites.at(row).totals.add(bytes, weight);
        tables_->sites.at(row).sizes[bucket_of(bytes)] += weight;
        counters_.samples += 1;
    }

    // Whether a block may be a sample. relaxed: whoever frees a block has it from its allocator
    // through the program's own synchronization, so the count of its sample is visible; whatever
    // else is read costs a look-up.
    bool may_be_sampled(Address p) const {
        return tables_->filter[filter_index(p)].load(order::relaxed) != 0;
    }

    // The block is about to be freed.
    void forget(Address p, std::uint64_t now_ms) {
        const LockGuard<W> guard(lock_);
        take_out(p, now_ms);
    }

    // What a sampled block that lives stands in for (BlockSample::room); else 0.
    std::size_t bytes_to_run_end(Address p) {
        const LockGuard<W> guard(lock_);
        const BlockSample* const sample = tables_->blocks.find(p);
        return sample != nullptr ? sample->room : 0;
    }
    // A sampled block that lives holds so many bytes from here on. It goes on standing for as many
    // blocks as when it was chosen, so that sums stay unbiased.
    void resize(Address p, std::size_t bytes) {
        const LockGuard<W> guard(lock_);
        BlockSample* const sample = tables_->blocks.find(p);
        if (sample == nullptr) return;
        tables_->stacks.at(sample->stack).totals.resize(sample->bytes, bytes, sample->weight);
        tables_->sites.at(sample->site).totals.resize(sample->bytes, bytes, sample->weight);
        sample->bytes = bytes;
    }

    // Of a sampled block that lives; else 0.
    Address site_of(Address p) {
        const LockGuard<W> guard(lock_);
        const BlockSample* const sample = tables_->blocks.find(p);
        return sample != nullptr ? tables_->sites.at(sample->site).site : 0;
    }

    std::uint32_t stacks() {
        const LockGuard<W> guard(lock_);
        return tables_->stacks.count();
    }
    Stack stack(std::uint32_t i) {
        const LockGuard<W> guard(lock_);
        return tables_->stacks.at(i);
    }
    std::uint32_t sites() {
        const LockGuard<W> guard(lock_);
        return tables_->sites.count();
    }
    SiteRow site(std::uint32_t i) {
        const LockGuard<W> guard(lock_);
        return tables_->sites.at(i);
    }
    Totals sum() {
        const LockGuard<W> guard(lock_);
        Totals sum{};
        for (std::uint32_t i = 0; i < tables_->sites.count(); ++i) {
            const Totals& t = tables_->sites.at(i).totals;
            sum = {sum.samples + t.samples,
                   sum.allocations + t.allocations,
                   sum.bytes + t.bytes,
                   sum.frees + t.frees,
                   sum.freed_bytes + t.freed_bytes,
                   sum.lifetime_ms + t.lifetime_ms};
        }
        return sum;
    }
    Counters counters() {
        const LockGuard<W> guard(lock_);
        Counters c = counters_;
        c.live_samples = tables_->blocks.size();
        c.overflowed_stacks = tables_->stacks.overflowed();
        c.overflowed_sites = tables_->sites.overflowed();
        return c;
    }

  private:
    using Blocks = BlockMap<kBounds.blocks_log2>;
    struct Tables {
        // samples by a hash of the address
        typename W::Sync::template Atomic<std::uint32_t>
            filter[std::size_t{1} << kBounds.filter_log2];
        Blocks blocks;
        RowTable<Stack, kBounds.stacks_log2> stacks;
        RowTable<SiteRow, kBounds.sites_log2> sites;
    };

    static std::size_t filter_index(Address p) { return hash_of(p) >> (64 - kBounds.filter_log2); }
    void change_filter(Address p, bool adds) {
        auto& count = tables_->filter[filter_index(p)];
        // relaxed: written under the lock; see may_be_sampled
        count.store(adds ? count.load(order::relaxed) + 1 : count.load(order::relaxed) - 1,
                    order::relaxed);
    }
    void take_out(Address p, std::uint64_t now_ms) {
        BlockSample sample;
        if (!tables_->blocks.remove(p, sample)) return;
        change_filter(p, false);
        const std::uint64_t age = now_ms - sample.born_ms;
        tables_->stacks.at(sample.stack).totals.remove(sample.bytes, sample.weight, age);
        SiteRow& row = tables_->sites.at(sample.site);
        row.totals.remove(sample.bytes, sample.weight, age);
        row.lifetimes_ms[bucket_of(age)] += sample.weight;
    }

    Lock<W> lock_;
    Tables* tables_ = nullptr;
    std::uint64_t interval_ = 0;
    std::int64_t left_ = 0;
    Random random_{};
    Counters counters_{};
};

}  // namespace hak::profile
