// commands.hpp: the one command language of the suites. A command is a small struct of typed fields; blocks are named by handle,
// threads by number. Every sequence is valid: a command whose handle is empty (or, for an allocation, taken) is decided by the machine.
// Text (`malloc t0 h3 24`, one command per line, # starts a comment) round-trips; bytes decode to the same structs for fuzzing.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "props/kit/fake_os.hpp"
#include "props/kit/worlds.hpp"

namespace kit {

inline constexpr unsigned kHandles = 512;

// One type per kind of field: a prefix for the text, a limit, a width in bytes for the fuzzer's encoding.
template <char kPrefix_, std::uint32_t kLimit_, unsigned kWidth_>
struct Field {
    static constexpr char kPrefix = kPrefix_;
    static constexpr std::uint32_t kLimit = kLimit_;
    static constexpr unsigned kWidth = kWidth_;
    std::uint32_t v = 0;
    bool operator==(const Field&) const = default;
};
struct Thread : Field<'t', kThreads, 1> {};
struct Handle : Field<'h', kHandles, 2> {};
struct Bytes : Field<'n', 1u << 21, 2> {};      // has an encoding of its own, biased to where classes and tiers meet
struct Log2 : Field<'a', 18, 1> {};             // of an alignment
struct Count : Field<'x', 64, 1> {};
struct Step : Field<'s', 8, 1> {};
struct Millis : Field<'m', 4096, 2> {};
struct Kind : Field<'k', kCalls, 1> {};         // of a system call
struct Nth : Field<'i', 6, 1> {};
struct Flag : Field<'f', 2, 1> {};
struct Mode : Field<'o', 6, 1> {};

#define KIT_COMMAND(Name, text, weight, ...)                     \
    static constexpr const char* kText = text;                   \
    static constexpr unsigned kWeight = weight;                  \
    auto fields() { return std::tie(__VA_ARGS__); }              \
    auto fields() const { return std::tie(__VA_ARGS__); }        \
    bool operator==(const Name&) const = default;

struct Malloc { Thread t; Handle h; Bytes n; KIT_COMMAND(Malloc, "malloc", 60, t, h, n) };
struct Calloc { Thread t; Handle h; Bytes n; KIT_COMMAND(Calloc, "calloc", 14, t, h, n) };
struct Aligned { Thread t; Handle h; Log2 a; Bytes n; KIT_COMMAND(Aligned, "aligned", 10, t, h, a, n) };
struct Realloc { Thread t; Handle h; Bytes n; KIT_COMMAND(Realloc, "realloc", 20, t, h, n) };
struct Free { Thread t; Handle h; KIT_COMMAND(Free, "free", 70, t, h) };
struct Usable { Handle h; KIT_COMMAND(Usable, "usable", 2, h) };
// Allocates `x` blocks of n bytes into the handles from h on.
struct Fill { Thread t; Handle h; Count x; Bytes n; KIT_COMMAND(Fill, "fill", 10, t, h, x, n) };
// Frees every (s+1)-th of the x handles from h on.
struct Sweep { Thread t; Handle h; Count x; Step s; KIT_COMMAND(Sweep, "sweep", 12, t, h, x, s) };
struct Exit { Thread t; KIT_COMMAND(Exit, "exit", 6, t) };
struct Start { Thread t; KIT_COMMAND(Start, "start", 6, t) };
// Mode 0: the parent goes on. 1: the child goes on. 2: as 1, and another thread vanishes between its post of h and its push.
// +3: the forking thread allocates while it holds every lock.
struct Fork { Thread t; Mode o; Handle h; KIT_COMMAND(Fork, "fork", 2, t, o, h) };
struct Trim { Thread t; Flag f; KIT_COMMAND(Trim, "trim", 3, t, f) };  // f: decommit too
struct Advance { Millis m; KIT_COMMAND(Advance, "advance", 8, m) };
struct FailNext { Kind k; Nth i; KIT_COMMAND(FailNext, "fail", 3, k, i) };   // the (i+1)-th call of kind k from here
struct FailAll { Kind k; KIT_COMMAND(FailAll, "failall", 1, k) };            // every call of kind k until heal
struct Heal { Flag f; KIT_COMMAND(Heal, "heal", 4, f) };
struct Hook { Thread t; Flag f; KIT_COMMAND(Hook, "hook", 1, t, f) };        // whether the thread's exit hook can be armed
struct Misuse { Thread t; Mode o; Handle h; KIT_COMMAND(Misuse, "misuse", 4, t, o, h) };
#undef KIT_COMMAND

using Command = std::variant<Malloc, Calloc, Aligned, Realloc, Free, Usable, Fill, Sweep, Exit, Start, Fork, Trim, Advance, FailNext, FailAll,
                             Heal, Hook, Misuse>;
using Commands = std::vector<Command>;

template <std::size_t... I>
constexpr unsigned total_weight(std::index_sequence<I...>) {
    return (std::variant_alternative_t<I, Command>::kWeight + ...);
}
using CommandIndices = std::make_index_sequence<std::variant_size_v<Command>>;
inline constexpr unsigned kTotalWeight = total_weight(CommandIndices{});
static_assert(kTotalWeight <= 256, "the fuzzer chooses a command by one byte");

// Sizes where something changes in TinyWorld: classes, slabs, units, the Large limit, superslabs, the window.
inline constexpr std::array<std::uint32_t, 32> kEdgeSizes = {
    0, 1, 15, 16, 17, 48, 64, 65, 80, 81, 128, 129, 160, 192, 255, 256, 257, 512, 1023, 1024, 1025, 2048,
    3072, 4095, 4096, 4097, 8191, 8192, 8193, 16384, 65536, 600000};

inline std::uint32_t size_of_code(std::uint32_t code) {
    const std::uint32_t low = code & 0x3fff;
    switch (code >> 14 & 3) {
        case 0: return low % 288;
        case 1: return kEdgeSizes[low % kEdgeSizes.size()];
        case 2: return low % 9000;
        default: return low % 512 == 511 ? low * 128 : low * 4;
    }
}
// The code whose size is nearest; not every size has one.
inline std::uint32_t code_of_size(std::uint32_t n) {
    if (n < 288) return n;
    for (std::uint32_t i = 0; i < kEdgeSizes.size(); ++i) {
        if (kEdgeSizes[i] == n) return 1u << 14 | i;
    }
    if (n < 9000) return 2u << 14 | n;
    return 3u << 14 | (n / 4 < 0x3ffe ? n / 4 : 0x3ffe);
}

// ---- text

inline std::string text_of(const Command& command) {
    return std::visit(
        [](const auto& c) {
            std::string text = c.kText;
            std::apply([&](const auto&... field) { ((text += ' ', text += field.kPrefix, text += std::to_string(field.v)), ...); }, c.fields());
            return text;
        },
        command);
}
inline std::string text_of(const Commands& commands) {
    std::string text;
    for (const Command& c : commands) text += text_of(c) + "\n";
    return text;
}

template <class C>
std::optional<Command> parse_as(std::istringstream& words) {
    C c;
    bool good = true;
    const auto read = [&](auto& field) {
        std::string word;
        good = good && (words >> word) && word.size() >= 2 && word.size() <= 10 && word[0] == field.kPrefix &&
               word.find_first_not_of("0123456789", 1) == std::string::npos;
        if (good) {
            const unsigned long value = std::stoul(word.substr(1));
            good = value < field.kLimit;
            field.v = static_cast<std::uint32_t>(value);
        }
    };
    std::apply([&](auto&... field) { (read(field), ...); }, c.fields());
    std::string rest;
    if (!good || (words >> rest)) return std::nullopt;
    return c;
}
template <std::size_t... I>
std::optional<Command> parse_line(const std::string& line, std::index_sequence<I...>) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    std::optional<Command> found;
    const auto is = [&]<class C>(C) {
        if (name != C::kText) return false;
        found = parse_as<C>(words);
        return true;
    };
    static_cast<void>((is(std::variant_alternative_t<I, Command>{}) || ...));
    return found;
}
// Throws Broken with the line that cannot be read.
inline Commands parse(const std::string& text) {
    Commands commands;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        line.resize(std::min(line.find('#'), line.size()));
        if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
        const std::optional<Command> c = parse_line(line, CommandIndices{});
        require(c.has_value(), "not a command: ", line);
        commands.push_back(*c);
    }
    return commands;
}

// ---- bytes

class ByteReader {
public:
    ByteReader(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
    bool is_empty() const { return size_ == 0; }
    std::uint32_t read(unsigned width) {
        std::uint32_t value = 0;
        for (unsigned i = 0; i < width && size_ != 0; ++i, --size_) value |= static_cast<std::uint32_t>(*data_++) << 8 * i;
        return value;
    }

private:
    const std::uint8_t* data_;
    std::size_t size_;
};

template <std::size_t... I>
Command decode_one(ByteReader& bytes, std::index_sequence<I...>) {
    Command command;
    std::uint32_t choice = bytes.read(1) % kTotalWeight;
    const auto take = [&]<class C>(C c) {
        if (choice >= C::kWeight) {
            choice -= C::kWeight;
            return false;
        }
        const auto read = [&]<class F>(F& field) {
            const std::uint32_t raw = bytes.read(F::kWidth);
            field.v = std::is_same_v<F, Bytes> ? size_of_code(raw) : raw % F::kLimit;
        };
        std::apply([&](auto&... field) { (read(field), ...); }, c.fields());
        command = c;
        return true;
    };
    static_cast<void>((take(std::variant_alternative_t<I, Command>{}) || ...));
    return command;
}
inline Commands decode(const std::uint8_t* data, std::size_t size, std::size_t most) {
    ByteReader bytes(data, size);
    Commands commands;
    while (!bytes.is_empty() && commands.size() < most) commands.push_back(decode_one(bytes, CommandIndices{}));
    return commands;
}

template <std::size_t... I>
void encode_one(const Command& command, std::string& out, std::index_sequence<I...>) {
    std::uint32_t first = 0;
    for (std::size_t i = 0; i < command.index(); ++i) {
        constexpr std::uint32_t kWeights[] = {std::variant_alternative_t<I, Command>::kWeight...};
        first += kWeights[i];
    }
    out += static_cast<char>(first);
    const auto write = [&]<class F>(const F& field) {
        const std::uint32_t raw = std::is_same_v<F, Bytes> ? code_of_size(field.v) : field.v;
        for (unsigned i = 0; i < F::kWidth; ++i) out += static_cast<char>(raw >> 8 * i);
    };
    std::visit([&](const auto& c) { std::apply([&](const auto&... field) { (write(field), ...); }, c.fields()); }, command);
}
inline std::string encode(const Commands& commands) {
    std::string out;
    for (const Command& c : commands) encode_one(c, out, CommandIndices{});
    return out;
}

}  // namespace kit
