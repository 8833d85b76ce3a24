// profile_machine.hpp: the tables of the heap profile beside sums that are kept by hand. Samples
// begin and end in any order, some ends are not seen, and there are more stacks and sites than fit.
#pragma once

#include <cmath>
#include <map>
#include <vector>

#include "profile/profile.hpp"
#include "props/kit/language.hpp"
#include "props/kit/worlds.hpp"

namespace kit {

class ProfileMachine {
  public:
    static constexpr hak::profile::Bounds kBounds{
        .blocks_log2 = 5, .stacks_log2 = 3, .sites_log2 = 2, .filter_log2 = 6};
    static constexpr std::uint64_t kInterval = 64;

    ProfileMachine() {
        os.reset();
        require(profile_.open(kInterval, 1), "a profile does not open");
    }

    void pass(std::uint64_t ms) { now_ms_ += ms; }

    // A block at the address becomes a sample. If one lives there, its free was not seen.
    void note(hak::Address a, std::size_t bytes, hak::Address site, unsigned depth) {
        end_in_model(a);
        const bool fits = live_.size() < kLiveMax;
        hak::Address frames[hak::profile::kFramesMax];
        for (unsigned i = 0; i < depth; ++i) frames[i] = site + 7 * i;
        profile_.note(a, bytes, site, frames, depth, now_ms_);
        refused_ += !fits;
        if (!fits) return;
        const double weight = hak::profile::weight_of(bytes, kInterval);
        live_[a] = {bytes, site, weight};
        samples_ += 1;
        allocations_ += weight;
        bytes_ += weight * static_cast<double>(bytes);
        live_bytes_ += weight * static_cast<double>(bytes);
    }
    // A sample holds so many bytes from here on.
    void resize(hak::Address a, std::size_t bytes) {
        profile_.resize(a, bytes);
        const auto at = live_.find(a);
        if (at == live_.end()) return;
        const double more = at->second.weight *
                            (static_cast<double>(bytes) - static_cast<double>(at->second.bytes));
        live_bytes_ += more;
        bytes_ += more > 0 ? more : 0;
        at->second.bytes = bytes;
    }
    void forget(hak::Address a, bool is_told = true) {
        end_in_model(a);
        if (is_told) profile_.forget(a, now_ms_);
    }

    // After each step: who lives where.
    void check(hak::Address a) {
        const auto at = live_.find(a);
        const hak::Address site = profile_.site_of(a);
        if (at == live_.end()) {
            require(site == 0, "a block that is no sample has site ", site);
        } else {
            require(profile_.may_be_sampled(a), "the filter does not know a sample");
            const bool found_room = profile_.counters().overflowed_sites == 0;
            require(site == at->second.site || (site == 0 && !found_room), "a sample of site ",
                    at->second.site, " has site ", site);
        }
    }
    // At the end: the sums, by every table that splits them.
    void check_sums() {
        for (const auto& [a, sample] : live_) check(a);
        const hak::profile::Counters c = profile_.counters();
        require(c.samples == samples_ && c.live_samples == live_.size(), c.samples, " samples, ",
                c.live_samples, " live, not ", samples_, " and ", live_.size());
        require(c.overflowed_blocks == refused_, c.overflowed_blocks,
                " samples found no room, not ", refused_);
        const hak::profile::Totals sum = profile_.sum();
        require(sum.samples == samples_, "the totals hold ", sum.samples, " samples, not ",
                samples_);
        same(sum.allocations, allocations_, "allocations");
        same(sum.bytes, bytes_, "bytes");
        same(sum.live_bytes(), live_bytes_, "live bytes");
        same(sum.frees, frees_, "frees");
        double by_stack = 0, by_size = 0, by_age = 0;
        for (std::uint32_t i = 0; i < profile_.stacks(); ++i)
            by_stack += profile_.stack(i).totals.bytes;
        for (std::uint32_t i = 0; i < profile_.sites(); ++i) {
            const hak::profile::SiteRow row = profile_.site(i);
            for (unsigned b = 0; b < hak::profile::kBuckets; ++b) {
                by_size += row.sizes[b];
                by_age += row.lifetimes_ms[b];
            }
        }
        same(by_stack, bytes_, "bytes of all stacks");
        same(by_size, allocations_, "allocations of all sizes");
        same(by_age, frees_, "frees of all ages");
        // One row of each table is for what finds no room.
        require(profile_.stacks() <= 1u << kBounds.stacks_log2 &&
                    profile_.sites() <= 1u << kBounds.sites_log2,
                "more rows than there is room for");
        require(c.overflowed_sites == 0 || profile_.sites() == 1u << kBounds.sites_log2,
                "no room for a site, and rows are left");
    }

  private:
    struct Sample {
        std::size_t bytes;
        hak::Address site;
        double weight;  // as it was chosen
    };
    static constexpr std::size_t kLiveMax =
        hak::profile::BlockMap<kBounds.blocks_log2>::kSamplesMax;

    void end_in_model(hak::Address a) {
        const auto at = live_.find(a);
        if (at == live_.end()) return;
        live_bytes_ -= at->second.weight * static_cast<double>(at->second.bytes);
        frees_ += at->second.weight;
        live_.erase(at);
    }
    static void same(double x, double y, const char* what) {
        require(std::abs(x - y) < 1e-6 * (1 + std::abs(y)), what, ": ", x, ", not ", y);
    }

    hak::profile::Profile<TinyWorld, kBounds> profile_;
    std::map<hak::Address, Sample> live_;
    std::uint64_t samples_ = 0, refused_ = 0, now_ms_ = 100;
    double allocations_ = 0, bytes_ = 0, live_bytes_ = 0, frees_ = 0;
};

// Commands.
struct Place : Field<'p', 64, 1> {
    hak::Address address() const { return 16 * (hak::Address{v} + 1); }
};
struct SampleBytes : Field<'n', 1u << 16, 2> {};
struct SampleSite : Field<'s', 6, 1> {};
struct Depth : Field<'d', hak::profile::kFramesMax + 1, 1> {};
struct Span : Field<'m', 1u << 16, 2> {};

struct Note {
    Place p;
    SampleBytes n;
    SampleSite s;
    Depth d;
    KIT_COMMAND(Note, "note", 12, p, n, s, d)
    void apply(ProfileMachine& m) const {
        m.note(p.address(), n.v + 1, s.v + 1, d.v);
        m.check(p.address());
    }
};
struct Forget {
    Place p;
    KIT_COMMAND(Forget, "forget", 8, p)
    void apply(ProfileMachine& m) const {
        m.forget(p.address());
        m.check(p.address());
    }
};
struct Resize {
    Place p;
    SampleBytes n;
    KIT_COMMAND(Resize, "resize", 4, p, n)
    void apply(ProfileMachine& m) const {
        m.resize(p.address(), n.v + 1);
        m.check(p.address());
    }
};
struct Pass {
    Span m;
    KIT_COMMAND(Pass, "pass", 2, m)
    void apply(ProfileMachine& machine) const { machine.pass(m.v); }
};
using ProfileCommand = std::variant<Note, Forget, Pass, Resize>;

}  // namespace kit
