// size_class.hpp: request size <-> class, and the shape of a class's slabs. Everything is computed
// at compile time.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/attrs.hpp"
#include "base/bits.hpp"
#include "base/check.hpp"
#include "base/config.hpp"

namespace hak {

using SizeClass = std::uint8_t;

// Invariants, checked below at compile time:
//   class.1  block sizes rise strictly, and class_of(n) is the least class whose block holds n
//            bytes
//   class.2  a block is aligned to the largest power of two that divides its size (slab starts are
//            multiples of it)
//   class.3  at most a quarter of a block is slack above linear_bytes_max (four classes per
//            doubling)
template <Config C>
struct SizeClasses {
    static_assert(is_valid(C));

    struct Shape {
        std::uint32_t block_bytes;
        // of block_bytes' odd part modulo 2^32: turns an offset into an index by one multiplication
        std::uint32_t inverse;
        std::uint8_t shift;        // log2 of block_bytes' even part
        std::uint8_t units;        // units of one slab
        std::uint16_t bin_blocks;  // blocks that a bin's list takes
    };

    static constexpr unsigned kCount = [] {
        unsigned count = static_cast<unsigned>(C.linear_bytes_max / kMinAlignment);
        for (std::size_t top = C.linear_bytes_max; top < C.small_bytes_max; top *= 2) count += 4;
        return count;
    }();

    static constexpr std::size_t block_bytes_of(unsigned c) {
        const unsigned linear = static_cast<unsigned>(C.linear_bytes_max / kMinAlignment);
        if (c < linear) return (c + 1) * kMinAlignment;
        const unsigned doubling = (c - linear) / 4, quarter = (c - linear) % 4;
        const std::size_t base = C.linear_bytes_max << doubling;
        return base + (quarter + 1) * (base / 4);
    }

    static constexpr auto kShapes = [] {
        std::array<Shape, kCount> shapes{};
        for (unsigned c = 0; c < kCount; ++c) {
            const std::size_t bytes = block_bytes_of(c);
            Shape& s = shapes[c];
            s.block_bytes = static_cast<std::uint32_t>(bytes);
            s.shift = static_cast<std::uint8_t>(std::countr_zero(bytes));
            s.inverse = inverse_of_odd(static_cast<std::uint32_t>(bytes >> s.shift));
            s.units = static_cast<std::uint8_t>(divide_up(bytes * C.slab_blocks_min, C.unit_bytes));
            std::size_t blocks = C.bin_bytes_max / bytes;
            if (blocks < C.bin_blocks_min) blocks = C.bin_blocks_min;
            if (blocks > C.bin_blocks_max) blocks = C.bin_blocks_max;
            s.bin_blocks = static_cast<std::uint16_t>(blocks);
        }
        return shapes;
    }();

    // One byte per 16-byte step up to small_bytes_max: one load, no branch on the size's magnitude.
    static constexpr auto kClassOfStep = [] {
        std::array<SizeClass, C.small_bytes_max / kMinAlignment + 1> classes{};
        unsigned c = 0;
        for (std::size_t step = 0; step < classes.size(); ++step) {
            while (block_bytes_of(c) < step * kMinAlignment) ++c;
            classes[step] = static_cast<SizeClass>(c);
        }
        return classes;
    }();

    // Precondition: bytes <= small_bytes_max. Zero bytes take the smallest block.
    static HAK_INLINE SizeClass class_of(std::size_t bytes) {
        HAK_ASSERT(bytes <= C.small_bytes_max);
        return kClassOfStep[(bytes + kMinAlignment - 1) / kMinAlignment];
    }
    static HAK_INLINE std::size_t block_bytes(SizeClass c) { return kShapes[c].block_bytes; }

    static constexpr std::size_t alignment_of(unsigned c) {
        return std::size_t{1} << kShapes[c].shift;
    }

    // A class with blocks of at least `bytes` bytes at multiples of `alignment`; kCount if there is
    // none. The classes of a doubling are the multiples of a quarter of it, so a size that is a
    // multiple of the alignment meets a class that is one too: the class steps by multiples of the
    // alignment, or the size is itself a class.
    static HAK_INLINE unsigned class_of_aligned(std::size_t bytes, std::size_t alignment) {
        if (bytes > C.small_bytes_max || alignment > C.small_bytes_max) [[unlikely]]
            return kCount;
        // not above small_bytes_max, which is a multiple of the alignment
        return class_of(align_up(bytes == 0 ? 1 : bytes, alignment));
    }

    // Where the first block of a slab lies, counted from the slab's first byte. Slabs start at
    // multiples of unit_bytes, so that without this offset the first blocks of all slabs would
    // share one cache set. The offset keeps class.2, and costs at most 1/32 of the slab where it
    // cannot live in the slack behind the last block.
    static constexpr std::size_t start_offset(unsigned c, std::size_t unit_index) {
        const Shape& s = kShapes[c];
        const std::size_t step = alignment_of(c) < kCacheLine ? kCacheLine : alignment_of(c);
        const std::size_t slab_bytes = s.units * C.unit_bytes;
        const std::size_t slack = slab_bytes % s.block_bytes;
        const std::size_t spend = slack > slab_bytes / 32 ? slack : slab_bytes / 32;
        const std::size_t places = spend / step + 1;
        return (unit_index % (places < 64 ? places : 64)) * step;
    }
    static constexpr std::size_t capacity(unsigned c, std::size_t unit_index) {
        const Shape& s = kShapes[c];
        return (s.units * C.unit_bytes - start_offset(c, unit_index)) / s.block_bytes;
    }

    static constexpr bool tables_hold() {
        for (unsigned c = 0; c < kCount; ++c) {
            const std::size_t bytes = block_bytes_of(c);
            if (c > 0 && bytes <= block_bytes_of(c - 1)) return false;
            if (kClassOfStep[bytes / kMinAlignment] != c) return false;
            if (c + 1 < kCount && kClassOfStep[bytes / kMinAlignment + 1] != c + 1) return false;
            if (capacity(c, 63) < 2 || capacity(c, 0) > 0xffff) return false;
            if (bytes > C.linear_bytes_max && (bytes - block_bytes_of(c - 1)) * 4 > bytes)
                return false;
        }
        return block_bytes_of(kCount - 1) == C.small_bytes_max && kCount < 255;
    }
    static_assert(tables_hold());
};

}  // namespace hak
