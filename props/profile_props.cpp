// profile_props.cpp: the heap profile's parts: the map of sampled blocks against std::map, the
// sampler against its distribution, the tables against sums, with bounds so small that they are
// reached, and with no memory for them.
#include <cmath>
#include <map>

#include "props/kit/generators.hpp"
#include "props/kit/profile_machine.hpp"
#include "props/kit/suite.hpp"

namespace {

using namespace hak;
using namespace hak::profile;
using W = kit::TinyWorld;

constexpr Bounds kSmall = kit::ProfileMachine::kBounds;
constexpr std::uint64_t kInterval = kit::ProfileMachine::kInterval;

// Few addresses, so that most are used again, and home slots collide and wrap around.
void map_agrees_with_model() {
    static BlockMap<5> map;
    std::memset(static_cast<void*>(&map), 0, sizeof map);
    std::map<Address, std::size_t> model;
    for (const unsigned step :
         *rc::gen::container<std::vector<unsigned>>(rc::gen::inRange(0u, 2u * 64))) {
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
    const double exact =
        -1 / std::expm1(-static_cast<double>(bytes) / static_cast<double>(interval));
    RC_ASSERT(std::abs(weight_of(bytes, interval) / exact - 1) < 1e-9);
}

// A sequence of blocks of one size, as an allocating thread counts them: the sum of the weights is
// the number of blocks. Twenty thousand samples, so that five per cent is seven standard
// deviations.
void sums_are_unbiased() {
    const std::size_t bytes = *rc::gen::inRange<std::size_t>(1, 8 * kInterval);
    Random random(*rc::gen::arbitrary<std::uint64_t>());
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
    kit::ProfileMachine machine;
    for (const kit::ProfileCommand& command : *kit::history_generator<kit::ProfileCommand>(200)) {
        std::visit([&](const auto& c) { c.apply(machine); }, command);
    }
    machine.check_sums();
}

// Whichever of its calls the system refuses, the profile does not open, nothing is left behind, and
// the next try may succeed.
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
