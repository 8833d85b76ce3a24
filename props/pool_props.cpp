// pool_props.cpp: the state model of superslabs: units and slots of the window, their buckets, runs
// and queues, and what reclaim returns.
#include "props/kit/pool_machine.hpp"
#include "props/kit/suite.hpp"

namespace {

using kit::PoolCommand;
using kit::PoolCommands;

constexpr std::pair<const char*, const char*> kWanted[] = {
    {"untouched", "big"},
    {"untouched", "units.clean"},
    {"untouched", "units.full"},
    {"big", "cached.dirty"},
    {"units.dirty", "cached.dirty"},
    {"units.full", "cached.dirty"},
    {"units.clean", "units.dirty"},
    {"units.dirty", "units.clean"},
    {"units.full", "units.dirty"},
    {"units.clean", "units.full"},
    {"cached.dirty", "cached.clean"},
    {"cached.clean", "cached.dirty"},
    {"cached.dirty", "big"},
    {"cached.clean", "big"},
    {"cached.dirty", "units.dirty"},
    {"cached.clean", "units.clean"},
    {"cached.clean", "reserved"},
    {"cached.dirty", "reserved"},
    {"reserved", "big"},
    {"reserved", "units.clean"},
    {"untouched", "reserved"},
    {"units.clean", "cached.dirty"},
};

// What was decommitted just before the untouched slots is one run with them, for a block that grows
// and for a fresh one.
void across_the_top() {
    using W = kit::TinyWorld;
    constexpr std::size_t kSlot = W::kConfig.superslab_bytes();
    for (const bool grows : {true, false}) {
        kit::reset_world<W>();
        kit::require(hak::start<W>(), "no window");
        const auto slots = static_cast<std::uint32_t>(hak::window<W>.slot_count());
        auto& pool = hak::pool<W>;
        const auto acquire = [&](std::uint32_t count) {
            return pool.acquire_slots(count, kSlot, hak::Pool<W>::Use::block).address;
        };
        const hak::Address first = acquire(1), behind = acquire(2);
        pool.release_slots(behind, hak::Pool<W>::Wait::decay, 0);
        hak::reclaim<W>.everything(true);
        if (grows) {
            kit::require(pool.extend_slots(first, 1, slots), "a block did not grow across the top");
        } else {
            kit::require(acquire(slots - 1) == behind,
                         "a block of all slots but one found no place");
        }
        kit::Auditor<W>().check(kit::Auditor<W>::Scope::pool, true);
    }
}

// Two threads find no room at once, and both bring a superslab: one of them is cached, and not
// divided.
void two_at_once() {
    using W = kit::TinyWorld;
    kit::reset_world<W>();
    kit::require(hak::start<W>(), "no window");
    auto& pool = hak::pool<W>;
    hak::Address other = 0;
    kit::os.set_meanwhile([&] { other = pool.acquire_units(1, hak::Pool<W>::Use::slab).address; });
    const hak::Address mine = pool.acquire_units(1, hak::Pool<W>::Use::slab).address;
    const hak::PoolCounters counters = pool.counters();
    kit::require(mine != 0 && other != 0 && mine != other, "no units");
    kit::require(counters.committed_slots == 2 && counters.units_slots == 1, counters.units_slots,
                 " superslabs are divided for two units");
    kit::Auditor<W>().check(kit::Auditor<W>::Scope::pool, true);
}

// The run that was freed last is not joined with its neighbours yet; for everybody but the next
// block of its length it might as well be.
void unsorted() {
    using W = kit::TinyWorld;
    using Pool = hak::Pool<W>;
    constexpr std::size_t kSlot = W::kConfig.superslab_bytes();
    kit::reset_world<W>();
    kit::require(hak::start<W>(), "no window");
    auto tunables = hak::tunables<W>.get();
    tunables.purge_delay_ms = 100;
    tunables.cache_bytes_max = tunables.batch_bytes_max = SIZE_MAX;
    hak::tunables<W>.set(tunables);
    auto& pool = hak::pool<W>;
    kit::Auditor<W> auditor;
    hak::Address slots[6];
    for (hak::Address& slot : slots) slot = pool.acquire_slots(1, kSlot, Pool::Use::block).address;
    for (unsigned n = 1; n < 6; ++n)
        kit::require(slots[n] == slots[0] + n * kSlot, "fresh slots do not lie side by side");

    pool.release_slots(slots[1]);
    kit::require(pool.extend_slots(slots[0], 1, 2),
                 "a block did not grow into what was freed last");
    auditor.check(kit::Auditor<W>::Scope::pool, true);

    pool.release_slots(slots[2], Pool::Wait::batch);
    pool.release_slots(slots[4], Pool::Wait::decay);
    kit::require(pool.batch_slots() == 1, pool.batch_slots(), " slots in the purge batch, not 1");
    auditor.check(kit::Auditor<W>::Scope::pool, true);
    hak::reclaim<W>.everything(false);

    kit::require(pool.acquire_slots(1, kSlot, Pool::Use::block).address != 0 &&
                     pool.acquire_slots(1, kSlot, Pool::Use::block).address != 0,
                 "no slots");
    pool.release_slots(slots[2]);
    kit::os.advance(80);
    pool.release_slots(slots[4]);
    kit::os.advance(30);
    const std::uint64_t purges = pool.counters().purges;
    hak::reclaim<W>.tick();
    kit::require(pool.counters().purges == purges + 1 && pool.cached_dirty_slots() == 1,
                 "of two runs, free for 110 and for 30 ms, ", pool.counters().purges - purges,
                 " went after a delay of 100");
    auditor.check(kit::Auditor<W>::Scope::pool, true);
}

// Blocks whose alignment skips slots make no more mappings than the limit, and one that the system
// refuses leaves no slot behind.
void aligned_blocks() {
    using W = kit::TinyWorld;
    constexpr std::size_t kSlot = W::kConfig.superslab_bytes();
    kit::reset_world<W>();
    kit::require(hak::start<W>(), "no window");
    auto& pool = hak::pool<W>;
    kit::Auditor<W> auditor;
    const auto acquire = [&] {
        return pool.acquire_slots(1, 2 * kSlot, hak::Pool<W>::Use::block).address;
    };
    for (unsigned n = 0; n < 20; ++n) {
        if (n == 15) kit::os.fail(kit::Call::commit, 1, false);
        kit::require((acquire() != 0) == (n != 15), "block ", n,
                     " of twenty that are aligned to two slots");
        auditor.check(kit::Auditor<W>::Scope::pool, true);
        const std::uint64_t committed_runs = auditor.audit().totals().committed_runs;
        kit::require(committed_runs <= W::kConfig.committed_runs_max, committed_runs,
                     " committed runs after ", n + 1, " aligned blocks");
    }
}

}  // namespace

int main(int argc, char** argv) {
    kit::Suite suite(argc, argv, 1500);
    kit::Pairs pairs;
    const auto histories = kit::history_generator<PoolCommand>(300);
    suite.histories<PoolCommand>("props_pool", histories, [&](const PoolCommands& c) {
        return kit::run_pool_history<kit::TinyWorld>(c, &pairs);
    });
    suite.example("every change of state that is claimed was met", [&] {
        pairs.print(std::cerr, "slots");
        if (suite.is_full()) pairs.require_met(kWanted);
    });
    suite.example("across the top", across_the_top);
    suite.example("aligned blocks", aligned_blocks);
    suite.example("two at once", two_at_once);
    suite.example("the unsorted run", unsorted);
    return suite.finish();
}
