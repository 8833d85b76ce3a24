// kept_props.cpp: the Large runs that a thread keeps. The model has for each thread one run for
// each place, or none, and foretells which block each request gets, and how many units are in use.
#include <map>

#include "props/kit/commands.hpp"
#include "props/kit/run.hpp"
#include "props/kit/state_coverage.hpp"
#include "props/kit/suite.hpp"

namespace kit {

struct Held : Field<'h', 12, 1> {};
struct Extent : Field<'n', 3328, 2> {};  // + kLeast: Large, up to four units
struct CallSite : Field<'s', 6, 1> {};   // 0: the client says none
struct Align : Field<'a', 4, 1> {};      // of what no site is said of

struct Take {
    Thread t;
    Held h;
    Extent n;
    CallSite s;
    KIT_COMMAND(Take, "take", 80, t, h, n, s)
};
struct TakeAligned {
    Thread t;
    Held h;
    Extent n;
    Align a;
    KIT_COMMAND(TakeAligned, "take_aligned", 20, t, h, n, a)
};
// A block as long as the run that the thread keeps for the site, if it keeps one.
struct TakeAgain {
    Thread t;
    Held h;
    CallSite s;
    KIT_COMMAND(TakeAgain, "take_again", 40, t, h, s)
};
struct Give {
    Thread t;
    Held h;
    KIT_COMMAND(Give, "give", 90, t, h)
};
struct GiveTwice {
    Thread t;
    Held h;
    KIT_COMMAND(GiveTwice, "give_twice", 5, t, h)
};
struct Cut {
    Thread t;
    KIT_COMMAND(Cut, "trim", 3, t)
};
struct End {
    Thread t;
    KIT_COMMAND(End, "end", 4, t)
};

using KeptCommand = std::variant<Take, TakeAligned, TakeAgain, Give, GiveTwice, Cut, End>;
using KeptCommands = std::vector<KeptCommand>;

}  // namespace kit

namespace {

using namespace kit;
using W = TinyWorld;

constexpr std::size_t kUnit = kTinyConfig.unit_bytes, kPage = kTinyConfig.page_bytes,
                      kLeast = kTinyConfig.small_bytes_max + 1;
// more than places, so that some share one
constexpr hak::Address kSites[] = {0, 0x1000, 0x1234, 0x4567, 0x89ab, 0xcdef};
constexpr std::size_t kAlignments[] = {16, 128, 512, 1024};

class KeptMachine {
  public:
    explicit KeptMachine(Pairs* pairs) : pairs_(pairs) { reset_world<W>(); }

    void step(const KeptCommand& command) {
        std::visit([this](const auto& c) { this->apply(c); }, command);
        judge_units();
        auditor_.check(Auditor<W>::Scope::everything, false);
    }
    void finish() {
        for (unsigned h = 0; h < Held::kLimit; ++h) {
            if (blocks_[h].p != 0) apply(Give{{h % kThreads}, {h}});
        }
        for (unsigned t = 0; t < kThreads; ++t) apply(End{{t}});
        judge_units();
        require(hak::pool<W>.counters().used_units == 0, "units are in use at the end");
    }

  private:
    struct Block {
        hak::Address p = 0;
        std::size_t units = 0;
        unsigned place = 0;
        unsigned char fill = 0;
    };
    using Places = std::map<unsigned, Block>;

    static hak::Heap<W>* be(unsigned t) {
        threads.current = t;
        return heap_of<W>(t);
    }
    static std::size_t fresh_units(std::size_t bytes, std::size_t alignment) {
        const std::size_t most = kUnit * kTinyConfig.units_per_superslab / 2;
        // A block without an alignment may begin up to a page behind its run's start.
        const bool room = alignment == 16 && bytes + kPage <= most;
        return (bytes + (room ? kPage : 0) + kUnit - 1) / kUnit;
    }
    static bool fits(const Block& kept, std::size_t bytes, std::size_t alignment) {
        return fresh_units(bytes, alignment) == kept.units && kept.p % alignment == 0 &&
               kept.p % kUnit + bytes <= kept.units * kUnit;
    }
    // Of the places that serve a request the first that has a run which fits; -1: none.
    int place_for(unsigned t, unsigned place, std::size_t bytes, std::size_t alignment) {
        for (const unsigned w : {place, 0u}) {
            const auto found = kept_[t].find(w);
            if (found != kept_[t].end() && fits(found->second, bytes, alignment))
                return static_cast<int>(w);
        }
        return -1;
    }

    void take(unsigned t, unsigned h, std::size_t bytes, std::size_t alignment, unsigned site) {
        if (blocks_[h].p != 0) apply(Give{{t}, {h}});
        hak::Heap<W>* const heap = be(t);
        const unsigned place = hak::place_of<W>(kSites[site]);
        const int from = place_for(t, place, bytes, alignment);
        void* const block = site != 0 ? hak::allocate_missed_at<W>(heap, bytes, kSites[site]).block
                            : alignment == 16 ? hak::allocate<W>(heap, bytes)
                                              : hak::allocate_aligned<W>(heap, alignment, bytes);
        require(block != nullptr, "no memory");
        const hak::Address p = hak::address_of(block);
        require(p % alignment == 0, "a block is not aligned to ", alignment);
        Block fresh{p, fresh_units(bytes, alignment), place, ++fill_};
        if (from >= 0) {
            const Block& kept = kept_[t][static_cast<unsigned>(from)];
            require(p == kept.p, "a run that the thread keeps would fit, and was not handed out");
            note("request", from == 0 ? (place == 0 ? "plain" : "plain, of a site") : "a site's");
            kept_[t].erase(static_cast<unsigned>(from));
        } else {
            note("request", "fresh");
            for (const Places& places : kept_) {
                for (const auto& [w, kept] : places)
                    require(p < kept.p - kept.p % kUnit ||
                                p >= kept.p - kept.p % kUnit + kept.units * kUnit,
                            "a block of a run that is kept for others");
            }
        }
        std::memset(block, fresh.fill, bytes);
        require(hak::site_of<W>(block) == kSites[site], "a block says another site");
        blocks_[h] = fresh;
    }
    // Freed by a thread that may keep it.
    void give(unsigned t, unsigned h) {
        const Block block = std::exchange(blocks_[h], {});
        require(*hak::pointer_to<unsigned char>(block.p) == block.fill, "content has changed");
        hak::Heap<W>* const heap = be(t);
        hak::deallocate<W>(heap, hak::pointer_to<void>(block.p));
        if (!hak::has_heap<W>(heap)) return note("free", "no heap");
        if (block.units > kTinyConfig.kept_units_max) return note("free", "too long");
        note("free", kept_[t].contains(block.place) ? "in another's place" : "kept");
        kept_[t][block.place] = block;
    }

    void apply(const Take& c) { take(c.t.v, c.h.v, c.n.v + kLeast, 16, c.s.v); }
    void apply(const TakeAligned& c) { take(c.t.v, c.h.v, c.n.v + kLeast, kAlignments[c.a.v], 0); }
    void apply(const TakeAgain& c) {
        const auto found = kept_[c.t.v].find(hak::place_of<W>(kSites[c.s.v]));
        if (found == kept_[c.t.v].end()) return;
        take(c.t.v, c.h.v, found->second.units * kUnit - kPage, 16, c.s.v);
    }
    void apply(const Give& c) {
        if (blocks_[c.h.v].p != 0) give(c.t.v, c.h.v);
    }
    // A kept run is free, whoever says otherwise.
    void apply(const GiveTwice& c) {
        if (blocks_[c.h.v].p == 0) return;
        void* const p = hak::pointer_to<void>(blocks_[c.h.v].p);
        const std::size_t units = blocks_[c.h.v].units;
        give(c.t.v, c.h.v);
        const auto& kept = kept_[c.t.v];
        const bool is_kept = std::ranges::any_of(
            kept, [&](const auto& w) { return w.second.p == hak::address_of(p); });
        if (units > kTinyConfig.kept_units_max || !is_kept) return;
        try {
            hak::deallocate<W>(be((c.t.v + 1) % kThreads), p);
        } catch (const ClientFault& fault) {
            return require(fault.fault == hak::Fault::double_free, "reported as another fault");
        }
        broken("a second free of a kept run was not noticed");
    }
    void apply(const Cut& c) {
        be(c.t.v);
        hak::trim<W>(false);
        kept_[c.t.v].clear();
    }
    void apply(const End& c) {
        if (!hak::has_heap<W>(be(c.t.v))) return;
        hak::give_up<W>();
        threads.all[c.t.v] = {&hak::empty_heap<W>, true, false};
        note("end", kept_[c.t.v].empty() ? "nothing kept" : "something kept");
        kept_[c.t.v].clear();
    }

    // What is out, and what is kept: no unit more, and no unit less.
    void judge_units() {
        std::size_t out = 0, kept = 0;
        for (const Block& block : blocks_) out += block.units;
        for (const Places& places : kept_) {
            require(places.size() <= kTinyConfig.kept_places, "more runs than places");
            for (const auto& [place, block] : places) kept += block.units;
        }
        const std::size_t used = hak::pool<W>.counters().used_units;
        require(used == out + kept, used, " units are in use, ", out, " are out and ", kept,
                " kept");
    }
    void note(const char* what, const char* how) {
        if (pairs_ != nullptr) pairs_->note(what, how);
    }

    Pairs* pairs_;
    Auditor<W> auditor_;
    std::array<Block, Held::kLimit> blocks_{};
    std::array<Places, kThreads> kept_;
    unsigned char fill_ = 0;
};

constexpr std::pair<const char*, const char*> kWanted[] = {
    {"request", "plain"},    {"request", "plain, of a site"},
    {"request", "a site's"}, {"request", "fresh"},
    {"free", "no heap"},     {"free", "too long"},
    {"free", "kept"},        {"free", "in another's place"},
    {"end", "nothing kept"}, {"end", "something kept"},
};

}  // namespace

int main(int argc, char** argv) {
    Suite suite(argc, argv, 800);
    Pairs pairs;
    suite.histories<KeptCommand>(
        "props_kept", history_generator<KeptCommand>(200),
        [&](const KeptCommands& c) { return run_on(KeptMachine(&pairs), c); });
    suite.example("every case that is claimed was met", [&] {
        pairs.print(std::cerr, "kept runs");
        if (suite.is_full()) pairs.require_met(kWanted);
    });
    return suite.finish();
}
