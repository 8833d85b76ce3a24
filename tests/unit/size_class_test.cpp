// size_class_test.cpp: every size, every alignment, every class and every offset, in the shipped
// geometry and in TinyWorld's.
#include <cstdio>
#include <cstring>
#include <memory>

#include "props/kit/worlds.hpp"
#include "tests/unit/examples.hpp"

namespace {

using kit::require;

struct ShippedWorld : kit::TinyWorld {
    static constexpr hak::Config kConfig{};
};

// class.1 and class.3 for each size, class.2 for each class.
template <hak::World W>
void check_sizes() {
    using Classes = hak::Classes<W>;
    for (std::size_t n = 0; n <= W::kConfig.small_bytes_max; ++n) {
        const hak::SizeClass c = Classes::class_of(n);
        const std::size_t block = Classes::block_bytes(c);
        require(c < Classes::kCount && block >= n, "class.1: a block of ", block, " for ", n);
        require(c == 0 || Classes::block_bytes(static_cast<hak::SizeClass>(c - 1)) < n,
                "class.1: a smaller class holds ", n);
        if (n > W::kConfig.linear_bytes_max)
            require((block - n) * 4 < block, "class.3: ", block, " for ", n);
    }
    for (unsigned c = 0; c < Classes::kCount; ++c) {
        const std::size_t block = Classes::block_bytes(static_cast<hak::SizeClass>(c));
        require(block % hak::kMinAlignment == 0, "class.2: ", block);
        require(!hak::is_power_of_two(block) || Classes::alignment_of(c) == block,
                "class.2: a power of two aligned to ", Classes::alignment_of(c));
    }
}

// The least class that holds the size and whose blocks are aligned; none only where there is none.
template <hak::World W>
void check_alignments() {
    using Classes = hak::Classes<W>;
    for (std::size_t alignment = 1; alignment <= 2 * W::kConfig.small_bytes_max; alignment *= 2) {
        unsigned want = 0;
        for (std::size_t n = 0; n <= W::kConfig.small_bytes_max + 1; ++n) {
            while (want < Classes::kCount &&
                   (Classes::block_bytes(static_cast<hak::SizeClass>(want)) < n ||
                    Classes::alignment_of(want) < alignment))
                ++want;
            const unsigned got = Classes::class_of_aligned(n, alignment);
            require(got == want, n, " bytes aligned to ", alignment, ": class ", got,
                    ", the least is ", want);
        }
    }
    require(Classes::class_of_aligned(SIZE_MAX, 16) == Classes::kCount &&
                Classes::class_of_aligned(1, std::size_t{1} << 62) == Classes::kCount,
            "sizes that no class has");
}

// For every class and every place that a slab can have: blocks lie inside and aligned, and of all
// offsets exactly the multiples of the block size are block starts.
template <hak::World W>
void check_slabs() {
    using Classes = hak::Classes<W>;
    const auto slab = std::make_unique<hak::UnitRecord<W>>();
    for (unsigned c = 0; c < Classes::kCount; ++c) {
        const auto& shape = Classes::kShapes[c];
        const std::size_t bytes = shape.units * W::kConfig.unit_bytes, block = shape.block_bytes;
        std::size_t checked_offset = SIZE_MAX;
        for (std::size_t unit = 0; unit < 128; ++unit) {
            const std::size_t offset = Classes::start_offset(c, unit),
                              capacity = Classes::capacity(c, unit);
            require(offset % Classes::alignment_of(c) == 0, "class.2: a slab's start");
            require(offset + capacity * block <= bytes && capacity >= 1 && capacity <= 0xffff,
                    "blocks of ", block, " outside their slab");
            require(offset + (capacity + 1) * block > bytes, "room for one more block of ", block);
            // the walk over all offsets is the costly part: three places each
            if (unit > 2 && offset != checked_offset) continue;
            checked_offset = offset;
            const hak::Address begin = hak::Address{1} << 40;
            slab->start.store(begin + offset, hak::order::relaxed);
            slab->inverse.store(shape.inverse, hak::order::relaxed);
            slab->shift.store(shape.shift, hak::order::relaxed);
            slab->limit.store(static_cast<std::uint16_t>(capacity), hak::order::relaxed);
            slab->size_class.store(static_cast<hak::SizeClass>(c), hak::order::relaxed);
            for (std::size_t at = 0; at < bytes; ++at) {
                const bool want =
                    at >= offset && (at - offset) % block == 0 && (at - offset) / block < capacity;
                require(slab->is_block_start(begin + at) == want, "blocks of ", block, ": offset ",
                        at, want ? " is a block's start" : " is none");
                if (want)
                    require(slab->index_of(begin + at) == (at - offset) / block &&
                                slab->block_address(slab->index_of(begin + at)) == begin + at,
                            "index of a block of ", block);
            }
            // Far away, in both directions and by multiples of 4 GiB: a corrupted link.
            for (const hak::Address far : {begin - block, begin + offset - (hak::Address{1} << 32),
                                           begin + offset + (hak::Address{1} << 32),
                                           hak::Address{0}, ~hak::Address{0} - 15}) {
                require(!slab->holds(far), "a slab holds an address outside");
            }
        }
    }
}

template <hak::World W>
void geometry() {
    check_sizes<W>();
    check_alignments<W>();
    check_slabs<W>();
}

}  // namespace

int main(int, char** argv) {
    check_test examples[] = {
        {"shipped_geometry", &geometry<ShippedWorld>, nullptr, nullptr},
        {"tiny_geometry", &geometry<kit::TinyWorld>, nullptr, nullptr},
    };
    return unit::run(argv, examples);
}
