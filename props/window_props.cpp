// window_props.cpp: the window and its free runs. How large the window becomes, where its parts
// lie, what of it can be used and is dumped, against a set of intervals of the reservation; and
// runs of free slots, against a map of intervals.
#include <map>

#include "props/kit/commands.hpp"
#include "props/kit/run.hpp"
#include "props/kit/state_coverage.hpp"
#include "props/kit/suite.hpp"

namespace kit {

struct Size : Field<'n', 96, 1> {};    // in half superslabs; above 80: what no machine has
struct First : Field<'p', 48, 1> {};   // a slot
struct Length : Field<'q', 12, 1> {};  // + 1
struct Align : Field<'a', 4, 1> {};    // log2 of an alignment in slots
struct HeapNumber : Field<'h', 64, 1> {};

struct Refusal : Field<'r', 3, 1> {};  // none, once, always

// Opens the window if it is not open, while calls of kind f are refused.
struct Open {
    Size asked;
    Size ram;
    Size left;
    Refusal refusal;
    Flag f;
    KIT_COMMAND(Open, "open", 30, asked, ram, left, refusal, f)
};
struct Ready {
    First p;
    Length q;
    KIT_COMMAND(Ready, "ready", 60, p, q)
};
// one more than is ready
struct ReadyNext {
    Flag f;
    KIT_COMMAND(ReadyNext, "ready_next", 60, f)
};
struct ReadyHeap {
    HeapNumber h;
    KIT_COMMAND(ReadyHeap, "ready_heap", 20, h)
};
struct RefuseCommit {
    Nth i;
    KIT_COMMAND(RefuseCommit, "refuse_commit", 10, i)
};
using WindowCommand = std::variant<Open, Ready, ReadyNext, ReadyHeap, RefuseCommit>;
using WindowCommands = std::vector<WindowCommand>;

// What of these slots is not free becomes free.
struct Put {
    First p;
    Length q;
    KIT_COMMAND(Put, "put", 90, p, q)
};
struct Find {
    Length q;
    Align a;
    Flag f;
    KIT_COMMAND(Find, "find", 60, q, a, f)
};
// The run that holds the slot is taken as a whole.
struct TakeRun {
    First p;
    KIT_COMMAND(TakeRun, "take", 20, p)
};
using RunsCommand = std::variant<Put, Find, TakeRun>;
using RunsCommands = std::vector<RunsCommand>;

}  // namespace kit

namespace {

using namespace kit;

std::size_t ram, left;

struct W : TinyWorld {
    struct Pal : TinyWorld::Pal {
        static std::size_t ram_bytes() { return ram; }
        static std::size_t address_space_left() { return left; }
    };
    static constexpr hak::Config kConfig = [] {
        hak::Config c = kTinyConfig;
        c.heaps_max = 256;
        return c;
    }();
};
static_assert(hak::World<W>);

constexpr std::size_t kSlot = W::kConfig.superslab_bytes(), kUnit = W::kConfig.unit_bytes,
                      kUnits = W::kConfig.units_per_superslab, kLeast = W::kConfig.window_bytes_min,
                      kUsual = W::kConfig.window_bytes, kPage = FakeOs::kPage;

std::size_t bytes_of(Size size) {
    return size.v > 80 ? SIZE_MAX - (size.v - 81) : size.v * kSlot / 2;
}
std::size_t pages(std::size_t bytes) {
    return (bytes + kPage - 1) / kPage * kPage;
}

// Half of what the process may still map is for the program, unless too little is left for the
// smallest window.
std::size_t size_wanted(std::size_t asked) {
    std::size_t want = asked != 0 ? asked : kUsual;
    if (asked == 0 && ram < SIZE_MAX / 16) want = std::max(want, 8 * ram);
    return left == SIZE_MAX || want <= left / 2 ? want : std::max(left / 2, kLeast);
}

class WindowMachine {
  public:
    explicit WindowMachine(Pairs* pairs) : pairs_(pairs) { reset_world<W>(); }
    void step(const WindowCommand& command) {
        std::visit([this](const auto& c) { this->apply(c); }, command);
        if (window().is_open()) judge();
    }

  private:
    static hak::Window<W>& window() { return hak::window<W>; }
    static hak::Address address_of_records() { return hak::address_of(window().record(0)); }
    static std::size_t table_bytes(std::size_t slots) {
        return pages(slots * kUnits * sizeof(hak::UnitRecord<W>));
    }
    static std::size_t superslab_bytes(std::size_t slots) {
        return pages(slots * sizeof(hak::SuperSlab<W>));
    }

    void apply(const Open& c) {
        if (window().is_open()) return;
        ram = bytes_of(c.ram), left = bytes_of(c.left);
        // mostly nothing
        const std::size_t asked = c.asked.v < 60 ? 0 : std::min(bytes_of(c.asked), 4 * kUsual);
        // Halved until it fits: the fake system has room for a little more than the usual window.
        std::size_t right = size_wanted(asked) / kSlot * kSlot;
        bool refuses = c.refusal.v != 0;
        const bool lasts = c.refusal.v == 2;
        const Call call = c.f.v == 0 ? Call::reserve : Call::expose;
        const auto total = [](std::size_t n) {
            std::size_t heaps = W::kConfig.heaps_max;
            while (heaps > 64 && heaps * 4096 > n / 16) heaps /= 2;
            return n + table_bytes(n / kSlot) + superslab_bytes(n / kSlot) + heaps * 4096;
        };
        while (right >= kLeast && (refuses || total(right) > FakeOs::kBytes)) {
            // A reservation that is too large is refused before its tables are exposed.
            if (call == Call::reserve || total(right) <= FakeOs::kBytes) refuses = lasts;
            right = right / 2 / kSlot * kSlot;
        }
        if (right < kLeast) right = 0;
        if (c.refusal.v != 0) os.fail(call, 1, lasts);
        hak::Tunables tunables;
        tunables.window_bytes = asked;
        const bool is_open = window().open(tunables);
        os.heal();
        require(is_open == window().is_open(), "open() says one thing and the window another");
        const std::size_t bytes = is_open ? window().bytes() : 0;
        require(bytes == right, "a window of ", bytes, " bytes, not ", right, ", asked for ", asked,
                ", ram ", ram, ", left ", left);
        note("open", !is_open ? "not at all" : c.refusal.v != 0 ? "smaller" : "at once");
        ready_ = 0, heaps_ = 0;
    }
    void apply(const Ready& c) {
        if (window().is_open()) make_ready(c.p.v + c.q.v + 1);
    }
    void apply(const ReadyNext&) {
        if (window().is_open()) make_ready(ready_ + 1);
    }
    void make_ready(std::size_t want) {
        const std::size_t slots = std::min(want, window().slot_count());
        const std::uint64_t failed = os.failed(), calls = os.count(Call::commit);
        const bool good = window().make_ready(slots);
        const bool refused = os.failed() != failed;
        const std::size_t now = window().slots_ready();
        require(good == !refused, "make_ready says ", good);
        require(slots > ready_ || os.count(Call::commit) == calls,
                "a call for slots that are ready");
        if (refused) is_exact_ = false;
        note("ready", refused ? "refused" : slots <= ready_ ? "already" : "more");
        require(!good || now >= slots, now, " slots are ready, not ", slots);
        require(good || now == ready_, "slots are ready though the system refused");
        constexpr std::size_t kStep =
            (kPage + sizeof(hak::SuperSlab<W>) - 1) / sizeof(hak::SuperSlab<W>);
        require(now == ready_ || now < std::max(slots, ready_ + ready_ / 8) + kStep, now,
                " slots are ready, only ", slots, " were wanted after ", ready_);
        ready_ = now;
    }
    void apply(const ReadyHeap& c) {
        if (!window().is_open()) return;
        const std::uint64_t failed = os.failed();
        const bool good = window().make_heap_ready(c.h.v);
        require(good == (os.failed() == failed), "make_heap_ready says ", good);
        require(!good || os.is_committed(window().heap_memory(c.h.v), 4096),
                "a heap without access");
        if (!(heaps_ >> c.h.v & 1)) heaps_ |= std::uint64_t{1} << c.h.v;
    }
    void apply(const RefuseCommit& c) { os.fail(Call::commit, c.i.v + 1, false); }

    void judge() {
        const hak::Window<W>& w = window();
        const std::size_t slots = w.slot_count();
        require(w.base() % kSlot == 0 && w.bytes() == slots * kSlot, "no whole superslabs");
        require(w.slots_ready() == ready_ && ready_ <= slots, "slots ready changed by themselves");
        // Intervals of the reservation in their order; none reaches into the next.
        const hak::Address heaps = hak::address_of(w.heap_memory(0)),
                           superslabs = hak::address_of(&w.superslab(0));
        require(
            w.base() + w.bytes() <= address_of_records() &&
                address_of_records() + slots * kUnits * sizeof(hak::UnitRecord<W>) <= superslabs &&
                superslabs + slots * sizeof(hak::SuperSlab<W>) <= heaps,
            "the parts of the reservation overlap");
        require(w.heaps_max() >= 64 && w.heaps_max() <= W::kConfig.heaps_max &&
                    (w.heaps_max() == 64 || w.heaps_max() * 4096 <= w.bytes() / 16),
                "room for ", w.heaps_max(), " heaps");
        for (const hak::Address a : {w.base(), w.base() + 1, w.base() + kUnit - 1, w.base() + kUnit,
                                     w.base() + w.bytes() / 2 + 5, w.base() + w.bytes() - 1}) {
            const std::size_t unit = (a - w.base()) / kUnit;
            require(w.find(a) == w.record(unit) && w.record_of(a) == w.record(unit) &&
                        w.unit_index(a) == unit && w.slot_of(a) == unit / kUnits &&
                        w.slot_address(unit / kUnits) <= a &&
                        a < w.slot_address(unit / kUnits) + kSlot,
                    "byte ", a - w.base(), " of the window has another record or slot");
        }
        for (const hak::Address a : {w.base() - 1, w.base() + w.bytes(), hak::Address{0},
                                     hak::Address{1} << 63, ~hak::Address{0}})
            require(w.find(a) == nullptr, "an address outside the window has a record");
        if (ready_ != 0)
            require(os.is_committed(w.record(0), ready_ * kUnits * sizeof(hak::UnitRecord<W>)) &&
                        os.is_committed(&w.superslab(0), ready_ * sizeof(hak::SuperSlab<W>)),
                    "a slot is ready and its records are not");
        const std::size_t dumped =
            (ready_ == 0 ? 0 : ready_ * kSlot + table_bytes(ready_) + superslab_bytes(ready_)) +
            static_cast<std::size_t>(std::popcount(heaps_)) * 4096;
        require(is_exact_ ? os.dumped_bytes() == dumped : os.dumped_bytes() >= dumped,
                "a core dump holds ", os.dumped_bytes(), " bytes, not ", dumped);
    }
    void note(const char* what, const char* how) {
        if (pairs_ != nullptr) pairs_->note(what, how);
    }

    Pairs* pairs_;
    std::size_t ready_ = 0;
    std::uint64_t heaps_ = 0;
    bool is_exact_ = true;  // the system never refused what was advised for a dump before
};

class RunsMachine {
  public:
    RunsMachine() {
        reset_world<W>();
        ram = 4096, left = SIZE_MAX;
        require(hak::start<W>() && hak::window<W>.make_ready(kFrontier + 1), "no window");
        for (std::uint32_t i = 0; i < kFrontier; ++i) FreeRuns::form(i, 1, hak::SlotKind::big);
        // Whatever the first slot behind the top says, it is none of a run.
        FreeRuns::form(kFrontier, 1, hak::SlotKind::cached);
    }
    void step(const RunsCommand& command) {
        std::visit([this](const auto& c) { this->apply(c); }, command);
        std::map<std::uint32_t, std::uint32_t> seen;
        std::size_t slots = 0;
        runs_.for_each([&](std::uint32_t first) {
            const auto& s = hak::window<W>.superslab(first);
            require(seen.emplace(first, s.run_slots.get()).second, "a run is listed twice");
            require(seen.size() <= kFrontier, "the lists do not end");
            require(
                hak::window<W>.superslab(first + s.run_slots.get() - 1).run_first.get() == first,
                "the last slot of a run does not say its first");
            slots += s.run_slots.get();
        });
        require(seen == model_, "the runs are not those of the model");
        require(runs_.slots() == slots, "the sum of the runs is ", runs_.slots(), ", not ", slots);
    }

  private:
    using FreeRuns = hak::FreeRuns<W, hak::SlotKind::cached>;
    static constexpr std::uint32_t kFrontier = 48;

    // The run that holds the slot, or the model's end.
    auto holder(std::uint32_t slot) {
        auto next = model_.upper_bound(slot);
        if (next == model_.begin()) return model_.end();
        --next;
        return slot < next->first + next->second ? next : model_.end();
    }
    void put(std::uint32_t first, std::uint32_t count) {
        std::set<std::uint32_t> absorbed, right;
        std::uint32_t begin = first, length = count;
        if (const auto before = first == 0 ? model_.end() : holder(first - 1);
            before != model_.end()) {
            right.insert(before->first);
            begin = before->first, length += before->second;
            model_.erase(before);
        }
        if (const auto behind = model_.find(first + count); behind != model_.end()) {
            right.insert(behind->first);
            length += behind->second;
            model_.erase(behind);
        }
        model_[begin] = length;
        const std::uint32_t joined = runs_.insert(
            first, count, kFrontier, [&](std::uint32_t slot) { absorbed.insert(slot); });
        require(joined == begin, "the joined run begins at ", joined, ", not ", begin);
        require(absorbed == right, "other runs were absorbed than lie beside it");
    }
    void apply(const Put& c) {
        const std::uint32_t end = std::min(c.p.v + c.q.v + 1, kFrontier);
        std::uint32_t i = c.p.v;
        while (i < end) {
            std::uint32_t k = i;
            while (k < end && holder(k) == model_.end()) ++k;
            if (k > i) put(i, k - i);
            i = k + 1;
        }
    }
    void take(std::uint32_t first) {
        const std::uint32_t count = model_[first];
        runs_.remove(first);
        model_.erase(first);
        for (std::uint32_t i = first; i < first + count; ++i)
            FreeRuns::form(i, 1, hak::SlotKind::big);
    }
    void apply(const TakeRun& c) {
        if (const auto run = holder(c.p.v); run != model_.end()) take(run->first);
    }
    // The shortest run that has room; its middle is taken, what is before and behind stays.
    void apply(const Find& c) {
        const std::uint32_t count = c.q.v + 1;
        const std::size_t alignment = kSlot << c.a.v;
        const auto start_in = [&](std::uint32_t first) {
            const hak::Address a = hak::window<W>.slot_address(first);
            return static_cast<std::uint32_t>(first +
                                              ((alignment - a % alignment) % alignment) / kSlot);
        };
        std::uint32_t shortest = UINT32_MAX;
        for (const auto& [first, length] : model_) {
            if (start_in(first) + count <= first + length) shortest = std::min(shortest, length);
        }
        std::uint32_t at = 0;
        const std::uint32_t found = runs_.find(count, alignment, c.f.v != 0, &at);
        if (shortest == UINT32_MAX)
            return require(found == FreeRuns::kNone, "a run for what has no room");
        require(found != FreeRuns::kNone, "no run of ", count, " slots though there is one");
        require(model_.contains(found) && model_[found] == shortest,
                "not the shortest run that has room");
        require(at == start_in(found), "slots from ", at, ", not from ", start_in(found));
        const std::uint32_t length = shortest;
        take(found);
        if (at > found) put(found, at - found);
        if (at + count < found + length) put(at + count, found + length - at - count);
    }

    FreeRuns runs_;
    std::map<std::uint32_t, std::uint32_t> model_;
};

constexpr std::pair<const char*, const char*> kWanted[] = {
    {"open", "not at all"}, {"open", "smaller"},  {"open", "at once"},
    {"ready", "refused"},   {"ready", "already"}, {"ready", "more"},
};

}  // namespace

int main(int argc, char** argv) {
    Suite suite(argc, argv, 1500);
    Pairs pairs;
    suite.histories<WindowCommand>(
        "props_window", history_generator<WindowCommand>(40),
        [&](const WindowCommands& c) { return run_on(WindowMachine(&pairs), c); });
    suite.histories<RunsCommand>("props_runs", history_generator<RunsCommand>(150),
                                 [](const RunsCommands& c) { return run_on(RunsMachine(), c); });
    suite.example("every case that is claimed was met", [&] {
        pairs.print(std::cerr, "windows");
        if (suite.is_full()) pairs.require_met(kWanted);
    });
    return suite.finish();
}
