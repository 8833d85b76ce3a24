// profile_props.cpp: the heap profile's parts: the map of sampled blocks against std::map, the sampler against its distribution, the
// tables against sums, with bounds so small that they are reached, and with no memory for them.
#include <cmath>
#include <map>

#include "profile/profile.hpp"
#include "props/kit/suite.hpp"
#include "props/kit/worlds.hpp"

namespace {

using namespace hak;
using namespace hak::profile;
using W = kit::TinyWorld;

constexpr Bounds kSmall{.blocks_log2 = 5, .stacks_log2 = 3, .sites_log2 = 2, .filter_log2 = 6};
constexpr std::uint64_t kInterval = 64;

// Few addresses, so that most are used again, and home slots collide and wrap around.
void map_agrees_with_model() {
    static BlockMap<5> map;
    std::memset(static_cast<void*>(&map), 0, sizeof map);
    std::map<Address, std::size_t> model;
    for (const unsigned step : *rc::gen::container<std::vector<unsigned>>(rc::gen::inRange(0u, 2u * 64))) {
        const Address a = 16 * (Address{step} / 2 + 1);
        if (step % 2 == 0) {
            if (model.contains(a)) continue;
            const bool fits = model.size() < BlockMap<5>::kSamplesMax;
            RC_ASSERT(map.insert({a, 0, 0, step, 1.0, 0}) == fits);
            if (fits) model[a] = step;
        } else {
            BlockSample out{};
            const bool is_there = map.remove(a, out);
            RC_ASSERT(is_there == model.contains(a));
            if (is_there) RC_ASSERT(out.address == a && out.bytes == model[a]);
            model.erase(a);
        }
        RC_ASSERT(map.size() == model.size());
    }
    for (const auto& [a, bytes] : model) {
        BlockSample out{};
        RC_ASSERT(map.remove(a, out));
        RC_ASSERT(out.bytes == bytes);
    }
}

void weights_agree_with_libm() {
    const auto bytes = std::size_t{1} << *rc::gen::inRange(0, 40);
    const auto interval = std::uint64_t{1} << *rc::gen::inRange(0, 40);
    const double exact = -1 / std::expm1(-static_cast<double>(bytes) / static_cast<double>(interval));
    RC_ASSERT(std::abs(weight_of(bytes, interval) / exact - 1) < 1e-9);
}

// A sequence of blocks of one size, as an allocating thread counts them: the sum of the weights is the number of blocks. Twenty thousand
// samples, so that five per cent is seven standard deviations.
void sums_are_unbiased() {
    const std::size_t bytes = *rc::gen::inRange<std::size_t>(1, 8 * kInterval);
    policy::Random random(*rc::gen::arbitrary<std::uint64_t>());
    std::int64_t left = draw_gap(random, kInterval);
    double estimate = 0, blocks = 0;
    for (unsigned samples = 0; samples < 20'000; ++blocks) {
        if (!is_sampled(left, bytes)) continue;
        left = draw_gap(random, kInterval);
        estimate += weight_of(bytes, kInterval);
        samples += 1;
    }
    RC_ASSERT(std::abs(estimate / blocks - 1) < 0.05);
}

// Notes and frees, in any order, with more stacks and sites than there is room for.
void tables_agree_with_sums() {
    kit::os.reset();
    Profile<W, kSmall> profile;
    RC_ASSERT(profile.open(kInterval, 1));
    std::map<Address, std::size_t> live;
    double allocations = 0, bytes = 0, live_bytes = 0, frees = 0;
    std::uint64_t samples = 0, now = 100;
    for (const unsigned step : *rc::gen::container<std::vector<unsigned>>(rc::gen::inRange(0u, 4096u))) {
        const Address a = 16 * (step % 64 + 1);
        now += 1;
        RC_ASSERT(!live.contains(a) || profile.may_be_sampled(a));
        if (const auto old = live.find(a); old != live.end()) {
            // Half of the frees are not seen: then the next sample at that address ends the old one.
            if (step % 3 != 0) profile.forget(a, now);
            live_bytes -= weight_of(old->second, kInterval) * static_cast<double>(old->second);
            frees += weight_of(old->second, kInterval);
            live.erase(old);
            if (step % 3 != 0) continue;
        }
        if (!profile.has_room()) {
            profile.forget(a, now);
            continue;
        }
        const std::size_t n = step % 200 + 1;
        const Address frames[2] = {step % 13 + 1, 7};
        profile.note(a, n, step % 5 + 1, frames, 2, now);
        live[a] = n;
        samples += 1;
        allocations += weight_of(n, kInterval);
        bytes += weight_of(n, kInterval) * static_cast<double>(n);
        live_bytes += weight_of(n, kInterval) * static_cast<double>(n);
    }
    const auto near = [](double x, double y) { return std::abs(x - y) < 1e-6 * (1 + std::abs(y)); };
    const Counters c = profile.counters();
    RC_ASSERT(c.samples == samples && c.live_samples == live.size());
    const Totals sum = profile.sum();
    RC_ASSERT(sum.samples == samples);
    RC_ASSERT(near(sum.allocations, allocations) && near(sum.bytes, bytes) && near(sum.live_bytes(), live_bytes) && near(sum.frees, frees));
    double by_stack = 0, by_size = 0, by_age = 0;
    for (std::uint32_t i = 0; i < profile.stacks(); ++i) by_stack += profile.stack(i).totals.bytes;
    for (std::uint32_t i = 0; i < profile.sites(); ++i) {
        const SiteRow row = profile.site(i);
        for (unsigned b = 0; b < kBuckets; ++b) {
            by_size += row.sizes[b];
            by_age += row.lifetimes_ms[b];
        }
    }
    RC_ASSERT(near(by_stack, bytes) && near(by_size, allocations) && near(by_age, frees));
    // Seven stacks and three sites fit.
    RC_ASSERT(profile.stacks() <= 8u && profile.sites() <= 4u);
    const bool is_full = profile.sites() == 4;
    RC_ASSERT(is_full || c.overflowed_sites == 0);
}

// Whichever of its calls the system refuses, the profile does not open, nothing is left behind, and the next try may succeed.
void opens_whole_or_not_at_all() {
    kit::os.reset();
    Profile<W, kSmall> profile;
    const auto call = *rc::gen::element(kit::Call::reserve, kit::Call::commit);
    kit::os.fail(call, 1, true);
    RC_ASSERT(!profile.open(kInterval, 1));
    RC_ASSERT(profile.interval() == 0u);
    kit::os.heal();
    RC_ASSERT(profile.open(kInterval, 1));
}

}  // namespace

int main(int argc, char** argv) {
    kit::Suite suite(argc, argv, 200);
    suite.property("the map agrees with std::map", map_agrees_with_model);
    suite.property("weights agree with libm", weights_agree_with_libm);
    suite.property("sums are unbiased", sums_are_unbiased);
    suite.property("tables agree with sums", tables_agree_with_sums);
    suite.property("no memory: no profile", opens_whole_or_not_at_all);
    return suite.finish();
}
