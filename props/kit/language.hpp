// language.hpp: what every command language of the suites has in common. A command is a small
// struct of typed fields, a language a variant of commands. Text (`malloc t0 h3 n24`, one command
// per line, # starts a comment) round-trips; bytes decode to the same structs for fuzzing, and
// generators.hpp makes the same structs for RapidCheck.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "props/kit/broken.hpp"

namespace kit {

// One type per kind of field: a prefix for the text, a limit, a width in bytes for the fuzzer's
// encoding. A kind may have an encoding of its own (of_code, code), in which some values may have
// no code.
template <char kPrefix_, std::uint32_t kLimit_, unsigned kWidth_>
struct Field {
    static constexpr char kPrefix = kPrefix_;
    static constexpr std::uint32_t kLimit = kLimit_;
    static constexpr unsigned kWidth = kWidth_;
    std::uint32_t v = 0;
    bool operator==(const Field&) const = default;
};
// Gives a command its name, how often it is chosen, and its fields.
#define KIT_COMMAND(Name, text, weight, ...)    \
    static constexpr const char* kText = text;  \
    static constexpr unsigned kWeight = weight; \
    auto fields() {                             \
        return std::tie(__VA_ARGS__);           \
    }                                           \
    auto fields() const {                       \
        return std::tie(__VA_ARGS__);           \
    }                                           \
    bool operator==(const Name&) const = default;

template <class Language>
using Alternatives = std::make_index_sequence<std::variant_size_v<Language>>;

template <class Language, std::size_t... I>
constexpr unsigned total_weight(std::index_sequence<I...>) {
    return (std::variant_alternative_t<I, Language>::kWeight + ...);
}

template <class F>
constexpr bool kHasCode = requires(F f) { F::of_code(0u); };

// ---- text

template <class... Cs>
std::string text_of(const std::variant<Cs...>& command) {
    return std::visit(
        [](const auto& c) {
            std::string text = c.kText;
            std::apply(
                [&](const auto&... field) {
                    ((text += ' ', text += field.kPrefix, text += std::to_string(field.v)), ...);
                },
                c.fields());
            return text;
        },
        command);
}
template <class... Cs>
std::string text_of(const std::vector<std::variant<Cs...>>& commands) {
    std::string text;
    for (const auto& c : commands) text += text_of(c) + "\n";
    return text;
}
// RapidCheck prints a counterexample with this.
template <class... Cs>
void showValue(const std::variant<Cs...>& command, std::ostream& out) {
    out << text_of(command);
}

template <class C>
std::optional<C> parse_as(std::istringstream& words) {
    C c;
    bool good = true;
    const auto read = [&](auto& field) {
        std::string word;
        good = good && (words >> word) && word.size() >= 2 && word.size() <= 11 &&
               word[0] == field.kPrefix &&
               word.find_first_not_of("0123456789", 1) == std::string::npos;
        if (!good) return;
        const unsigned long value = std::stoul(word.substr(1));
        good = value < field.kLimit;
        field.v = static_cast<std::uint32_t>(value);
    };
    std::apply([&](auto&... field) { (read(field), ...); }, c.fields());
    std::string rest;
    if (!good || (words >> rest)) return std::nullopt;
    return c;
}
template <class Language, std::size_t... I>
std::optional<Language> parse_line(const std::string& line, std::index_sequence<I...>) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    std::optional<Language> found;
    const auto is = [&]<class C>(C) {
        if (name != C::kText) return false;
        if (const std::optional<C> c = parse_as<C>(words)) found = *c;
        return true;
    };
    static_cast<void>((is(std::variant_alternative_t<I, Language>{}) || ...));
    return found;
}
// Throws Broken with the line that cannot be read.
template <class Language>
std::vector<Language> parse(const std::string& text) {
    std::vector<Language> commands;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        line.resize(std::min(line.find('#'), line.size()));
        if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
        const std::optional<Language> c = parse_line<Language>(line, Alternatives<Language>{});
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
        for (unsigned i = 0; i < width && size_ != 0; ++i, --size_)
            value |= static_cast<std::uint32_t>(*data_++) << 8 * i;
        return value;
    }

  private:
    const std::uint8_t* data_;
    std::size_t size_;
};

// One byte chooses the command by weight; its fields follow, each in its width.
template <class Language, std::size_t... I>
Language decode_one(ByteReader& bytes, std::index_sequence<I...> all) {
    static_assert(total_weight<Language>(std::index_sequence<I...>{}) <= 256,
                  "one byte chooses a command");
    Language command;
    std::uint32_t choice = bytes.read(1) % total_weight<Language>(all);
    const auto take = [&]<class C>(C c) {
        if (choice >= C::kWeight) {
            choice -= C::kWeight;
            return false;
        }
        const auto read = [&]<class F>(F& field) {
            const std::uint32_t raw = bytes.read(F::kWidth);
            if constexpr (kHasCode<F>) {
                field.v = F::of_code(raw);
            } else {
                field.v = raw % F::kLimit;
            }
        };
        std::apply([&](auto&... field) { (read(field), ...); }, c.fields());
        command = c;
        return true;
    };
    static_cast<void>((take(std::variant_alternative_t<I, Language>{}) || ...));
    return command;
}
template <class Language>
std::vector<Language> decode(const std::uint8_t* data, std::size_t size, std::size_t most) {
    ByteReader bytes(data, size);
    std::vector<Language> commands;
    while (!bytes.is_empty() && commands.size() < most)
        commands.push_back(decode_one<Language>(bytes, Alternatives<Language>{}));
    return commands;
}

// The inverse, for seed corpora. Throws Broken with the command that no bytes mean, because a
// field's value has no code.
template <class... Cs>
std::string encode(const std::vector<std::variant<Cs...>>& commands) {
    constexpr std::uint32_t kWeights[] = {Cs::kWeight...};
    std::string out;
    for (const auto& command : commands) {
        std::uint32_t first = 0;
        for (std::size_t i = 0; i < command.index(); ++i) first += kWeights[i];
        out += static_cast<char>(first);
        const auto write = [&]<class F>(const F& field) {
            std::uint32_t raw = field.v;
            if constexpr (kHasCode<F>) {
                raw = F::code(field.v);
                require(F::of_code(raw) == field.v, "no bytes mean ", F::kPrefix, field.v,
                        " in: ", text_of(command));
            }
            for (unsigned i = 0; i < F::kWidth; ++i) out += static_cast<char>(raw >> 8 * i);
        };
        std::visit(
            [&](const auto& c) {
                std::apply([&](const auto&... field) { (write(field), ...); }, c.fields());
            },
            command);
    }
    return out;
}

// ---- shrinking

// The same command with one field smaller, for each field: zero, half, an eighth less, one less.
template <class Language>
std::vector<Language> simpler(const Language& command) {
    std::vector<Language> found;
    std::visit(
        [&](const auto& c) {
            std::uint32_t values[8] = {};
            std::size_t count = 0;
            std::apply([&](const auto&... field) { ((values[count++] = field.v), ...); },
                       c.fields());
            for (std::size_t k = 0; k < count; ++k) {
                std::uint32_t before = values[k];
                for (const std::uint32_t less :
                     {std::uint32_t{0}, values[k] / 2, values[k] - values[k] / 8, values[k] - 1}) {
                    if (less >= values[k] || less == before) continue;
                    before = less;
                    auto copy = c;
                    std::size_t at = 0;
                    const auto set = [&](auto& field) {
                        if (at++ == k) field.v = less;
                    };
                    std::apply([&](auto&... field) { (set(field), ...); }, copy.fields());
                    found.push_back(copy);
                }
            }
        },
        command);
    return found;
}

// The commands left when no chunk can be taken out, and no field made smaller, without `fails`
// becoming false. For failures that RapidCheck does not see.
template <class Command, class Fails>
std::vector<Command> minimize(std::vector<Command> commands, Fails fails) {
    for (bool smaller = true; smaller;) {
        smaller = false;
        for (std::size_t chunk = commands.size(); chunk > 0; chunk /= 2) {
            for (std::size_t i = 0; i + chunk <= commands.size();) {
                std::vector<Command> fewer = commands;
                fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i),
                            fewer.begin() + static_cast<std::ptrdiff_t>(i + chunk));
                if (fails(fewer)) {
                    commands = std::move(fewer);
                    smaller = true;
                } else {
                    i += chunk;
                }
            }
        }
    }
    for (std::size_t i = 0; i < commands.size(); ++i) {
        bool smaller = true;
        for (unsigned round = 0; smaller && round < 64; ++round) {
            smaller = false;
            for (const Command& simple : simpler(commands[i])) {
                std::vector<Command> changed = commands;
                changed[i] = simple;
                if (!fails(changed)) continue;
                commands = std::move(changed);
                smaller = true;
                break;
            }
        }
    }
    return commands;
}

}  // namespace kit
