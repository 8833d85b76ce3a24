// oom_props.cpp: the system refuses. In each scenario every single call fails in turn, once or for good; null is the only harm, nothing
// is lost, and when the system gives again the same scenario runs without a null.
#include <cstdio>

#include "props/kit/machine.hpp"

namespace {

using W = kit::TinyWorld;
using kit::require;

struct Scenario {
    const char* name;
    const char* text;
};
constexpr Scenario kScenarios[] = {
    {"first call", "malloc t0 h0 n24\n"},
    {"small blocks of two threads",
     "fill t0 h0 x40 n32\nfill t1 h64 x40 n200\nsweep t1 h0 x40 s1\nsweep t0 h64 x40 s0\nexit t1\nfill t2 h128 x30 n200\nstart t1\nfill t1 h200 x20 n64\n"
     "trim t0 f1\nfill t3 h240 x40 n128\nexit t0\nexit t2\nexit t3\nfill t1 h300 x40 n128\n"},
    {"Large blocks",
     "malloc t0 h0 n1000\nmalloc t0 h1 n4000\ncalloc t1 h2 n3000\nrealloc t0 h0 n2000\nrealloc t0 h0 n4000\nfree t0 h1\nadvance m300\nfree t0 h2\nadvance m300\n"
     "calloc t0 h3 n4000\ntrim t0 f0\ncalloc t0 h4 n4000\nrealloc t0 h0 n300\n"},
    {"Big blocks",
     "malloc t0 h0 n9000\nmalloc t0 h1 n20000\nrealloc t0 h1 n40000\nfree t0 h0\nadvance m300\nmalloc t0 h2 n8192\naligned t1 h3 a15 n9000\nrealloc t0 h1 n9000\n"
     "trim t0 f1\nadvance m400\nrealloc t0 h1 n60000\ncalloc t0 h5 n16384\nfree t0 h1\nadvance m500\nfree t0 h2\nadvance m500\nfree t0 h3\ncalloc t2 h6 n30000\n"},
    {"growing and shrinking",
     "malloc t0 h0 n16\nrealloc t0 h0 n100\nrealloc t0 h0 n1000\nrealloc t0 h0 n5000\nrealloc t0 h0 n20000\nrealloc t0 h0 n100000\nrealloc t0 h0 n5000\nrealloc t0 h0 n10\n"},
    {"threads that end, borrow and fork",
     "hook t1 f0\nmalloc t1 h0 n48\nmalloc t0 h1 n48\nexit t0\nmalloc t0 h2 n48\nfree t0 h1\nfill t2 h10 x20 n48\nfork t2 f1 f1\nfree t2 h0\nfill t0 h40 x20 n48\nfork t0 f0 f1\n"
     "malloc t3 h70 n2000\ntrim t3 f1\n"},
};

// The scenario with the k-th call failing; how many calls were made while it could fail. Zero failures: the end of the series.
std::uint64_t run_with_failure(const kit::Commands& commands, std::uint64_t k, bool lasting) {
    kit::Machine<W> machine;
    kit::os.fail_any(k, lasting);
    for (const kit::Command& c : commands) machine.step(c);
    const std::uint64_t failed = kit::os.failed();
    kit::os.heal();
    require(failed != 0 || machine.nulls() == 0, "null, and no call had failed");
    // Afterwards: the same again, in the same world.
    for (unsigned t = 0; t < kit::kThreads; ++t) machine.step(kit::Start{{t}});
    const std::uint64_t nulls = machine.nulls();
    for (const kit::Command& c : commands) machine.step(c);
    require(machine.nulls() == nulls, machine.nulls() - nulls, " nulls after the system gave again");
    machine.finish();
    return failed;
}

// A window of half the size where the wanted one cannot be reserved; none, and the next call tries again, where not even the least fits.
void reserve_failures() {
    for (unsigned failures = 0; failures <= 3; ++failures) {
        kit::Machine<W> machine;
        if (failures == 3) {
            kit::os.fail(kit::Call::reserve, 1, true);
        } else if (failures != 0) {
            kit::os.fail_any(1, true);
        }
        void* p = hak::allocate<W>(kit::heap_of<W>(0), 24);
        if (failures == 0) {
            require(p != nullptr && hak::window<W>.bytes() == kit::kTinyConfig.window_bytes, "the window is not the wanted one");
            continue;
        }
        require(p == nullptr && !hak::window<W>.is_open(), "a block without a window");
        kit::os.heal();
        p = hak::allocate<W>(kit::heap_of<W>(0), 24);
        require(p != nullptr, "null after the system gave again");
        hak::deallocate<W>(kit::heap_of<W>(0), p);
        machine.finish();
    }
    for (const kit::Call call : {kit::Call::reserve, kit::Call::expose}) {
        kit::Machine<W> machine;
        kit::os.fail(call, 1, false);
        void* const p = hak::allocate<W>(kit::heap_of<W>(0), 24);
        require(p != nullptr && hak::window<W>.bytes() == kit::kTinyConfig.window_bytes / 2, "one failure should halve the window");
        hak::deallocate<W>(kit::heap_of<W>(0), p);
    }
}

// The window is full: null, then every block back, then the same number again.
void full_window() {
    for (const std::size_t n : {std::size_t{16}, std::size_t{200}, std::size_t{1000}, std::size_t{4000}, std::size_t{8192}, std::size_t{20000}}) {
        kit::Machine<W> machine;
        std::size_t counts[2] = {};
        for (std::size_t& count : counts) {
            std::vector<void*> blocks;
            while (void* const p = hak::allocate<W>(kit::heap_of<W>(0), n)) blocks.push_back(p);
            count = blocks.size();
            for (unsigned i = 0; i < 3; ++i) require(hak::allocate<W>(kit::heap_of<W>(0), n) == nullptr, "a block after null, and none was freed");
            for (void* const p : blocks) hak::deallocate<W>(kit::heap_of<W>(0), p);
        }
        require(counts[0] == counts[1], "the window held ", counts[0], " blocks of ", n, ", then ", counts[1]);
        // A block takes at most its rounded size and a page for its color, and the rounding at most doubles that.
        require(counts[0] * 2 * (n + kit::FakeOs::kPage) + 65536 >= kit::kTinyConfig.window_bytes, "the window held only ", counts[0], " blocks of ", n);
        machine.finish();
    }
}

// The window is full of blocks of one size; all come back, from the thread that had them or from another, and any other size finds
// as much room as if nothing had been there: no list, no kept slab and no posted block stands in its way.
void full_window_of_another_size() {
    const std::size_t sizes[] = {16, 48, 100, 8192};  // slabs of one unit, and whole superslabs: no other placement fits better
    const auto fill = [](std::vector<void*>& blocks, std::size_t n) {
        while (void* const p = hak::allocate<W>(kit::heap_of<W>(0), n)) blocks.push_back(p);
        return blocks.size();
    };
    for (const std::size_t first : sizes) {
        for (const std::size_t second : sizes) {
            for (const unsigned freer : {0u, 1u}) {
                std::vector<void*> blocks;
                std::size_t fresh = 0;
                {
                    kit::Machine<W> machine;
                    kit::threads.current = 0;
                    fresh = fill(blocks, second);
                    blocks.clear();
                }
                kit::Machine<W> machine;
                kit::threads.current = 0;
                fill(blocks, first);
                kit::threads.current = freer;
                for (void* const p : blocks) hak::deallocate<W>(kit::heap_of<W>(freer), p);
                blocks.clear();
                kit::threads.current = 0;
                const std::size_t again = fill(blocks, second);
                require(again == fresh, "after ", first, " byte blocks, freed by thread ", freer, ", the window holds ", again, " blocks of ", second, ", not ", fresh);
                for (void* const p : blocks) hak::deallocate<W>(kit::heap_of<W>(0), p);
                machine.finish();
            }
        }
    }
}

// Sizes that no address space has: null from every function, and what is there stays as it is.
void impossible_sizes() {
    const std::size_t sizes[] = {SIZE_MAX, SIZE_MAX - 15, SIZE_MAX - 4095, SIZE_MAX / 2, SIZE_MAX / 2 + 1, std::size_t{1} << 45, (std::size_t{1} << 32) * 8192,
                                 (std::size_t{1} << 32) * 8192 + 1, (std::size_t{1} << 32) * 1024 + 24, kit::kTinyConfig.window_bytes + 1};
    kit::Machine<W> machine;
    const auto heap = [] { return kit::heap_of<W>(0); };
    for (const std::size_t held : {std::size_t{24}, std::size_t{2000}, std::size_t{9000}}) {
        void* const p = hak::allocate<W>(heap(), held);
        kit::Pattern::write(hak::address_of(p), held, 5);
        for (const std::size_t n : sizes) {
            require(hak::allocate<W>(heap(), n) == nullptr, "malloc(", n, ") gave a block");
            require(hak::allocate_zeroed<W>(heap(), n) == nullptr, "calloc(", n, ") gave a block");
            require(hak::reallocate<W>(heap(), p, n) == nullptr, "realloc to ", n, " gave a block");
            for (unsigned a = 4; a < 64; ++a) require(hak::allocate_aligned<W>(heap(), std::size_t{1} << a, n) == nullptr, n, " bytes aligned to 2^", a, " gave a block");
        }
        for (unsigned a = 20; a < 64; ++a) require(hak::allocate_aligned<W>(heap(), std::size_t{1} << a, 24) == nullptr, "24 bytes aligned to 2^", a, " gave a block");
        require(kit::Pattern::holds(hak::address_of(p), held, 5) && hak::usable_size<W>(p) >= held, "a refused realloc changed the block");
        hak::deallocate<W>(heap(), p);
    }
    machine.finish();
}

}  // namespace

int main() {
    const char* running = "";
    std::uint64_t k = 0;
    bool lasting = false;
    try {
        for (const Scenario& scenario : kScenarios) {
            running = scenario.name;
            const kit::Commands commands = kit::parse<kit::Command>(scenario.text);
            for (lasting = false;; lasting = true) {
                for (k = 1; run_with_failure(commands, k, lasting) != 0; ++k) {}
                require(k > 3, "only ", k - 1, " calls could fail: the scenario shows nothing");
                if (lasting) break;
            }
            std::printf("OK: %s: each of %llu calls fails, once and for good\n", running, static_cast<unsigned long long>(k - 1));
        }
        k = 0;
        running = "reserve fails";
        reserve_failures();
        running = "the window is full";
        full_window();
        running = "the window is full, then of another size";
        full_window_of_another_size();
        running = "impossible sizes";
        impossible_sizes();
        std::printf("OK: reserve fails; the window is full; impossible sizes\n");
    } catch (const kit::Broken& e) {
        std::fprintf(stderr, "FAILED: %s, call %llu failing %s: %s\nreproduce: props_oom\n", running, static_cast<unsigned long long>(k), lasting ? "for good" : "once", e.what());
        return 1;
    } catch (const kit::ClientFault& f) {
        std::fprintf(stderr, "FAILED: %s, call %llu failing %s: a correct client was reported: %s\n", running, static_cast<unsigned long long>(k), lasting ? "for good" : "once", hak::text_of(f.fault));
        return 1;
    }
    return 0;
}
