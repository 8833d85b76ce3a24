// window_test.cpp: how large the window becomes: what was asked for, the machine's memory,
// RLIMIT_AS, and a system that refuses; and how much of it core dumps hold.
#include <cstdio>

#include "heap/lifecycle.hpp"

#include "props/kit/worlds.hpp"
#include "tests/unit/examples.hpp"

namespace {

using kit::require;

std::size_t ram, left;

struct W : kit::TinyWorld {
    struct Pal : kit::TinyWorld::Pal {
        static std::size_t ram_bytes() { return ram; }
        static std::size_t address_space_left() { return left; }
    };
    static constexpr hak::Config kConfig = [] {
        hak::Config c = kit::kTinyConfig;
        c.heaps_max = 256;
        return c;
    }();
};
static_assert(hak::World<W>);

constexpr std::size_t kSlot = W::kConfig.superslab_bytes(), kLeast = W::kConfig.window_bytes_min,
                      kUsual = W::kConfig.window_bytes;

// The size of the window that opens, which its users rely on; 0 if none does.
std::size_t opened(std::size_t asked) {
    hak::Tunables tunables;
    tunables.window_bytes = asked;
    const bool is_open = hak::window<W>.open(tunables);
    require(is_open == hak::window<W>.is_open(), "open() says one thing and the window another");
    if (!is_open) return 0;
    const hak::Window<W>& window = hak::window<W>;
    require(window.base() % kSlot == 0 && window.bytes() % kSlot == 0,
            "superslabs do not fit the window");
    require(window.contains(window.base()) && window.contains(window.base() + window.bytes() - 1),
            "the window does not contain itself");
    require(!window.contains(window.base() - 1) && !window.contains(window.base() + window.bytes()),
            "the window contains its neighbours");
    const std::size_t heaps = window.heaps_max();
    require(heaps >= 64 && heaps <= W::kConfig.heaps_max, "room for ", heaps, " heaps");
    require(heaps == 64 || heaps * window.kHeapStride <= window.bytes() / 16,
            "heaps take more than a sixteenth of the window");
    return window.bytes();
}

void sizes() {
    struct Row {
        const char* what;
        std::size_t asked, ram, left, right;
    };
    constexpr std::size_t kNoLimit = SIZE_MAX;
    const Row rows[] = {
        {"little memory", 0, 4096, kNoLimit, kUsual},
        {"more memory than an eighth of it", 0, kUsual / 8 + kSlot, kNoLimit, kUsual + 8 * kSlot},
        {"exactly an eighth of it", 0, kUsual / 8, kNoLimit, kUsual},
        {"memory of which eight times is no number", 0, SIZE_MAX / 16, kNoLimit, kUsual},
        {"asked for", kUsual / 2, 4096, kNoLimit, kUsual / 2},
        {"asked for, whatever memory there is", kUsual / 2, kUsual, kNoLimit, kUsual / 2},
        {"asked for, no multiple of a superslab", kUsual / 2 + kSlot - 1, 4096, kNoLimit,
         kUsual / 2},
        {"a limit of twice the window", 0, 4096, 2 * kUsual, kUsual},
        {"a limit of less", 0, 4096, 2 * kUsual - 1, kUsual - kSlot},
        {"a limit of less, and a wish", kUsual, 4096, kUsual, kUsual / 2},
        {"a limit of more than the wish", kUsual / 4, 4096, kUsual, kUsual / 4},
        {"a limit of twice the least", 0, 4096, 2 * kLeast, kLeast},
        {"a limit of less than that", 0, 4096, 2 * kLeast - 1, kLeast},
        {"a limit that is reached already", 0, 4096, 0, kLeast},
        {"a limit that is reached, and a wish", kUsual, 4096, 0, kLeast},
    };
    for (const Row& row : rows) {
        kit::reset_world<W>();
        ram = row.ram, left = row.left;
        const std::size_t bytes = opened(row.asked);
        require(bytes == row.right, row.what, ": a window of ", bytes, " bytes, not ", row.right);
    }
}

// Refused, it asks for half, and so on down to the least; nothing stays reserved where it gives up.
void refusals() {
    ram = 4096, left = SIZE_MAX;
    for (const kit::Call call : {kit::Call::reserve, kit::Call::expose}) {
        for (const bool lasting : {false, true}) {
            kit::reset_world<W>();
            kit::os.fail(call, 1, lasting);
            const std::size_t bytes = opened(0), right = lasting ? 0 : kUsual / 2;
            require(bytes == right, kit::kCallNames[static_cast<unsigned>(call)],
                    " refused: a window of ", bytes, " bytes, not ", right);
            kit::os.heal();
            // The fake system has room for one window: what was refused is not in the way.
            if (lasting) require(opened(0) == kUsual, "no window after a refusal");
        }
    }
}

// Core dumps hold what is ready to be used, to the page, and nothing of the rest.
void dumps() {
    kit::reset_world<W>();
    ram = 4096, left = SIZE_MAX;
    const std::size_t bytes = opened(0);
    hak::Window<W>& window = hak::window<W>;
    require(kit::os.dumped_bytes() == 0, "a dump of a window that nobody used holds ",
            kit::os.dumped_bytes(), " bytes");
    std::size_t last = 0;
    while (window.slots_ready() < bytes / kSlot) {
        require(window.make_ready(window.slots_ready() + 1), "no slot is made ready");
        const std::size_t slots = window.slots_ready(), page = kit::FakeOs::kPage;
        last = slots * kSlot +
               hak::align_up(slots * W::kConfig.units_per_superslab * sizeof(hak::UnitRecord<W>),
                             page) +
               hak::align_up(slots * sizeof(hak::SuperSlab<W>), page);
        require(kit::os.dumped_bytes() == last, "a dump of ", slots, " slots holds ",
                kit::os.dumped_bytes(), " bytes, not ", last);
    }
    require(window.make_heap_ready(1), "no heap is made ready");
    require(kit::os.dumped_bytes() == last + window.kHeapStride, "a dump of one heap more holds ",
            kit::os.dumped_bytes() - last, " bytes more");
}

}  // namespace

int main(int, char** argv) {
    check_test examples[] = {
        CHECK_TEST(sizes),
        CHECK_TEST(refusals),
        CHECK_TEST(dumps),
    };
    return unit::run(argv, examples);
}
